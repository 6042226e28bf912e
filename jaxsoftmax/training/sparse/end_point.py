"""What is said at the end for sparse data, in float64 on the data as given: loss, gradient, S13's q, separation.

The smallest curvature that S13 asks for comes from the penalty α on the features and, for a free intercept, from the
dual of a ridge regression: S13's last statement in `docs/theory.md`, whose σ, κ, τ and θ these are. θ = m (1 + Xa) from
some steps of conjugate gradients for a makes the bound sharp; at a = 0 it already holds.

Where the penalty holds the intercept too, or there is none, μ is the smaller of the strengths and nothing is solved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxsoftmax.training.end_point import EndPoint
from jaxsoftmax.training.sparse.objective import Objective, Sample

MOST_SOLVES = 30  # products with X and Xᵀ for σ
ENOUGH = 1e-3  # q this far below 1 needs no sharper σ
SAFE = 1 - 1e-9  # rounding of sums of N positive terms in float64


def evaluate(objective: Objective, W: np.ndarray, spread: float, decrement: float) -> tuple[EndPoint, bool]:
    """The end point at W (D, C), its gradient (C, D), and whether W separates the classes; `objective` in float64."""
    Z = objective.rows.logits(W)
    sample = objective.at(Z)
    g = objective.gradient(W, sample)
    gap = 0.5 * max(decrement, 0.0) if np.isfinite(decrement) else None
    end = EndPoint(objective.value(W, sample), g.T, existence_ratio(objective, sample, g), gap)
    if np.isfinite(spread):
        end = end._replace(spread=spread)
    return end, separates(objective, W, Z)


def existence_ratio(objective: Objective, sample: Sample, g: np.ndarray) -> float | None:
    """S13's q = β‖g‖/μ at a point with the gradient g (D, C); None where no penalty holds the features."""
    held, rows = objective.held[:, 0], objective.rows
    if not held[0] > 0 or not np.isfinite(g).all():
        return None
    largest = float(np.max(np.where(objective.s > 0, rows.square_norms(), 0)))
    alpha, strength = float(held[0]), float(np.min(held))
    if strength > 0:
        return math.sqrt(2 * (largest + rows.intercept)) * float(np.linalg.norm(g)) / strength
    m = least_curvatures(objective, sample)
    if not m.sum() > 0:
        return math.inf
    # A sum over all classes of the intercepts' gradient is rounding: nothing there moves the loss (S3).
    features, free = float(np.sum(g[:-1] ** 2)), float(np.sum((g[-1] - g[-1].mean()) ** 2))
    best, total = math.inf, float(m.sum())
    for sigma, primal, shift in dual_bounds(rows.matrix, m, alpha):
        kappa = min(shift / alpha, math.sqrt(total / alpha))
        # Any τ is right; these are the scales on which the intercept is as curved as the features.
        for tau in (math.sqrt(sigma / alpha), math.sqrt(sigma / alpha + kappa**2), 1.0):
            best = min(best, ratio_at(tau, largest, alpha, sigma, kappa, features, free))
        if best < ENOUGH or sigma > 0.5 * primal:
            break
    return best


def least_curvatures(objective: Objective, sample: Sample) -> np.ndarray:
    """m_n = s_n min_i y_ni <= s_n λ₂(S(y_n)), (N,) (S7b)."""
    return objective.s * np.asarray(sample.Y).min(axis=0)


def ratio_at(
    tau: float, largest: float, alpha: float, sigma: float, kappa: float, features: float, free: float
) -> float:
    """q in the norm of τ; `largest` is max ‖x_n‖², `features` and `free` the gradient's squares off and on b."""
    mu = SAFE * alpha * sigma / (alpha * (tau**2 + kappa**2) + sigma)
    if not mu > 0:
        return math.inf
    return math.sqrt(2 * (largest + 1 / tau**2)) * math.sqrt(features + free / tau**2) / mu


def dual_bounds(X: Any, m: np.ndarray, alpha: float) -> Any:
    """(a lower bound of σ, an upper one, ‖v‖), better by each step of conjugate gradients for (XᵀMX + αI) a = −v."""
    part = np.where(m > 0, 1 / np.where(m > 0, m, 1), 0)
    v = X.T @ m
    size = float(np.linalg.norm(v))
    a, u, r = np.zeros_like(v), np.zeros_like(m), -v
    p, square = r, float(r @ r)
    for _ in range(MOST_SOLVES):
        theta = m * (1 + u)
        # Xᵀθ = −αa − r for the residual r, but for rounding, which grows with the steps: it is taken anew.
        dual = X.T @ theta if u.any() else v
        sigma = float(theta.sum()) ** 2 / (float(theta @ (theta * part)) + float(dual @ dual) / alpha)
        yield SAFE * sigma, float(theta @ (1 + u)) + alpha * float(a @ a), size
        Xp = X @ p
        Hp = X.T @ (m * Xp) + alpha * p
        curvature = float(p @ Hp)
        if not curvature > 0:
            return
        step = square / curvature
        a, u, r = a + step * p, u + step * Xp, r - step * Hp
        after = float(r @ r)
        p, square = r + after / square * p, after


def separates(objective: Objective, W: np.ndarray, Z: np.ndarray) -> bool:
    """Whether W classifies every sample with a positive margin: then no minimiser exists (S9).

    For one-hot targets without a penalty only. A margin counts when it exceeds the rounding of the logits.
    """
    rest, own = np.asarray(objective.targets.values).tolist()
    if objective.held.any() or rest != 0 or not own > 0 or not np.isfinite(W).all():
        return False
    codes = np.asarray(objective.targets.codes)[:, None]
    mine = np.take_along_axis(Z, codes, axis=1)[:, 0]
    others = np.array(Z)
    np.put_along_axis(others, codes, -np.inf, axis=1)
    rows = objective.rows
    absolute = rows._replace(matrix=abs(rows.matrix))
    size = absolute.logits(np.ascontiguousarray(np.max(np.abs(W), axis=1, keepdims=True)))[:, 0]
    entries = int(np.diff(rows.matrix.indptr).max(initial=0)) + 1
    slack = 2 * entries * float(np.finfo(np.float64).eps) * size
    return bool(np.all((mine - others.max(axis=1) > slack)[objective.s > 0]))
