"""Newton's method for sparse data: conjugate gradients, the Hessian's diagonal as preconditioner, steps damped by S8.

H V = −g is solved to ‖r‖ <= φ ‖g‖ in the preconditioner's norm, φ = (‖g‖/‖g₀‖)^¼ between 0.03 and ½: looser for longer
than "newton-cg" on dense X (`methods/newton_cg.py`), which on random text takes two thirds of the products to a gap of
1e-6 and no more to the end. The preconditioner is the Hessian's diagonal at the present probabilities, restricted to
{1ᵀV = 0}: the data leave all classes' common part alone (S3), and a penalty is least where it is 0 (S21a), so it is 0
from the start. Steps are those of `methods/damping.py`. The logits of a step are known from the products of its
direction, so that trying a longer step reads X only once it is taken.

Memory: a dozen arrays of the size of W, some six of that of the logits; X is there once.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.training.loop.run import (
    CHUNK_SECONDS,
    DIVERGING,
    GRADIENT_TOLERANCE,
    INTERRUPTED,
    NONFINITE,
    RUNAWAY_RANGE,
    RUNAWAY_STEPS,
    RUNNING,
    STALLED,
    STEP_LIMIT,
    Limits,
    Progress,
)
from jaxsoftmax.training.methods.damping import (
    LEAST_SLOPE,
    PART_OF_ROUNDING,
    RELATIVE_GAP,
    damped_step,
    guaranteed_decrease,
)
from jaxsoftmax.training.methods.newton_cg import LOOSEST, MOST_PRODUCTS, TIGHTEST
from jaxsoftmax.training.sparse.objective import Objective, Sample, logit_range

PATIENCE = 5  # steps in a row that improve neither the loss nor the gradient's norm
FOR_THE_GAP = 1e-6  # of the gradient is left where a gap is evaluated: flat directions, as of far columns, count there


class Run(NamedTuple):
    """How a run ended: W and ∇L (D, C), what was seen there, a row of the history for each step, and a_d (D,)."""

    W: np.ndarray
    value: float
    gradient: np.ndarray
    status: int
    decrement: float
    spread: float
    products: int
    history: list[tuple[float, float, float, float]]
    scale: np.ndarray


class Direction(NamedTuple):
    """V (D, C), X V (N, C), λ² ≈ −⟨g, V⟩, ⟨V, HV⟩, and the products that it took."""

    V: np.ndarray
    U: np.ndarray
    slope: float
    curvature: float
    products: int


def inverse_diagonal(objective: Objective, sample: Sample) -> Callable[[np.ndarray], np.ndarray]:
    """The preconditioner at a point on {1ᵀV = 0}: the least of ½⟨Z, MZ⟩ − ⟨R, Z⟩ there, M the Hessian's diagonal."""
    M = objective.diagonal(sample)
    held = np.finfo(objective.dtype).tiny <= M  # the inverse of less may be no number of this dtype
    inverse = np.where(held, 1 / np.where(held, M, 1), 1).astype(objective.dtype)
    ones = np.ones(inverse.shape[1], objective.dtype)
    share = inverse / (inverse @ ones)[:, None]

    def apply(R: np.ndarray) -> np.ndarray:
        Z = R * inverse
        Z -= share * (Z @ ones)[:, None]
        return Z

    return apply


def conjugate_gradients(
    objective: Objective,
    sample: Sample,
    g: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray],
    target: float,
    z: np.ndarray | None = None,
) -> Direction:
    """A direction of descent with ⟨r, M⁻¹r⟩ <= `target` for r = −g − HV, from V = 0; `z` is −M⁻¹g, if it is known."""
    V, r, count = np.zeros_like(g), -g, 0
    U, z = np.zeros(sample.residual.shape, g.dtype), precondition(r) if z is None else z
    p, square = z, _dot(r, z)
    while square > target and count < MOST_PRODUCTS:
        Hp, Xp = objective.product(p, sample)
        count += 1
        curvature = _dot(p, Hp)
        if not curvature > 0:  # p has left what this precision resolves; V is good so far
            break
        alpha = g.dtype.type(square / curvature)
        Hp *= alpha
        r -= Hp
        Xp *= alpha
        U += Xp
        V += np.multiply(p, alpha, out=Hp)
        z = precondition(r)
        after = _dot(r, z)
        p *= g.dtype.type(after / square)
        p += z
        square = after
    return Direction(V, U, -_dot(g, V), -_dot(V, g + r), count)


def minimise(
    objective: Objective,
    W: np.ndarray,
    limits: Limits,
    attains: bool,
    progress: Callable[[Progress], None] | None,
    began: float,
) -> Run:
    """Newton's steps from W (D, C) until one of the endings; Ctrl-C keeps the last point reached."""
    scale, dtype, told_at = objective.scale(), objective.dtype, 0.0
    W = W - np.where(objective.held > 0, W.mean(axis=1, keepdims=True, dtype=np.float64), 0).astype(dtype)
    loose = float(limits.tolerance) > float(limits.runaway_below)  # then no minimum is asked for
    Z = objective.rows.logits(W)
    sample = objective.at(Z)
    value, g = objective.value(W, sample), objective.gradient(W, sample)
    norm = float(np.linalg.norm(g))
    run = Run(
        W, value, g, RUNNING if np.isfinite(value) and np.isfinite(norm) else NONFINITE, np.nan, np.nan, 0, [], scale
    )
    best, first, gain, idle, runaway = (value, norm), 0.0, 1.0, 0, 0
    try:
        while run.status == RUNNING:
            step, small = len(run.history), largest_ratio(g, scale)
            if progress is not None and time.perf_counter() - told_at > CHUNK_SECONDS:
                told_at = time.perf_counter()
                progress(Progress(step, int(limits.max_steps), value, small, told_at - began))
            precondition = inverse_diagonal(objective, sample)
            z = precondition(-g)
            square = max(-_dot(g, z), 0.0)  # rounding can make it negative where M spans the dtype's range
            first = first or square
            part = min(max((square / first) ** 0.25, TIGHTEST**2), LOOSEST**2) if first > 0 else 1.0
            near = small <= float(limits.runaway_below) and _is_small(0.5 * gain * square, value, dtype)
            if near or (loose and small <= float(limits.tolerance)):
                part = LOOSEST**2  # the end is only to be confirmed
            to = conjugate_gradients(objective, sample, g, precondition, part * square, z)
            gain = to.slope / square if square > 0 else 1.0
            a, rho = to.slope, float(logit_range(to.U, objective.s))
            if not a > 0 and norm > 0:  # no direction is resolved: nothing is known of the gap
                status = GRADIENT_TOLERANCE if small <= float(limits.tolerance) else STALLED
                return run._replace(status=status, decrement=np.nan, spread=np.nan)
            run = run._replace(decrement=a, spread=rho, products=run.products + to.products)
            moving = small <= float(limits.runaway_below) and rho >= RUNAWAY_RANGE and not attains
            runaway = runaway + 1 if moving else 0
            status = STEP_LIMIT if step >= int(limits.max_steps) else RUNNING
            if runaway >= RUNAWAY_STEPS:
                status = DIVERGING
            if small <= float(limits.tolerance) and (loose or _is_small(0.5 * a, value, dtype) or idle >= 1):
                status = GRADIENT_TOLERANCE
            if status != RUNNING:
                return run._replace(status=status)
            t, W, Z, sample, value = _damped(objective, run.W, Z, run.value, to)
            g = objective.gradient(W, sample)
            weight_norm = float(np.linalg.norm(run.W))
            run.history.append((run.value, norm, weight_norm, t))
            norm = float(np.linalg.norm(g))
            if not (np.isfinite(value) and np.isfinite(norm) and np.isfinite(W).all()):
                run.history.pop()
                return run._replace(status=NONFINITE)
            if value > run.value + _rounding(objective, run.W, run.value, scale):
                run.history.pop()
                return run._replace(status=STALLED)
            idle = 0 if value < best[0] or norm < best[1] else idle + 1
            best = (min(best[0], value), min(best[1], norm))
            run = run._replace(W=W, value=value, gradient=g, status=STALLED if idle >= PATIENCE else RUNNING)
    except KeyboardInterrupt:
        run = run._replace(status=INTERRUPTED)
    return run


def gap_at(objective: Objective, W: np.ndarray) -> float | None:
    """λ²/2 at W (D, C) by conjugate gradients, λ the Newton decrement; None where no direction is resolved there."""
    sample = objective.at(objective.rows.logits(W))
    g, precondition = objective.gradient(W, sample), inverse_diagonal(objective, sample)
    z = precondition(-g)
    square = -_dot(g, z)
    if not 0 <= square < np.inf:
        return None
    slope = conjugate_gradients(objective, sample, g, precondition, FOR_THE_GAP**2 * square, z).slope
    return 0.5 * slope if slope > 0 or square == 0 else None


def _damped(
    objective: Objective, W: np.ndarray, Z: np.ndarray, value: float, to: Direction
) -> tuple[float, np.ndarray, np.ndarray, Sample, float]:
    """The longest t of 1, 1/2, … that keeps S8's promise, and what is there (`damping.damped_move`)."""
    a, rho = to.slope, float(logit_range(to.U, objective.s))
    b = max(to.curvature, 0.5 * a)
    numbers = jnp.asarray(rho), jnp.asarray(a), jnp.asarray(b)
    least = float(damped_step(*numbers))
    promise = float(guaranteed_decrease(*numbers, jnp.asarray(least)))
    t = max(1.0, least)
    while True:
        length = objective.dtype.type(t)
        W_there, Z_there = W + length * to.V, Z + length * to.U
        sample = objective.at(Z_there)
        there = objective.value(W_there, sample)
        if not t > least or there <= value - max(promise, LEAST_SLOPE * t * a):
            return t, W_there, Z_there, sample, there
        t = max(0.5 * t, least)


def largest_ratio(g: np.ndarray, scale: np.ndarray) -> float:
    """max_dc |g_dc| / a_d, for g (D, C): the number that the tolerance is compared with."""
    largest = functools.reduce(np.maximum, np.abs(g).T)
    return float(np.max(largest[scale > 0] / scale[scale > 0], initial=0.0))


def _dot(A: np.ndarray, B: np.ndarray) -> float:
    return float(np.vdot(A, B))


def _is_small(gap: float, value: float, dtype: np.dtype) -> bool:
    """Whether a gap is too small a part of the loss to matter (`damping.is_small`)."""
    info = np.finfo(dtype)
    limit = max(RELATIVE_GAP, PART_OF_ROUNDING * float(info.eps))
    return gap <= limit * max(abs(value), float(info.tiny))


def _rounding(objective: Objective, W: np.ndarray, value: float, scale: np.ndarray) -> float:
    """Twice a bound on the rounding of the loss as computed (`stopping.loss_rounding`): X has few entries a row."""
    eps, X = float(np.finfo(objective.dtype).eps), objective.rows.matrix
    longest = int(np.diff(X.indptr).max(initial=0)) + 1
    logits = 2 * longest * eps * float(np.sum(scale * np.max(np.abs(W), axis=1)))
    return 2 * (eps * (8 + X.shape[0] ** 0.5) * abs(value) + logits)
