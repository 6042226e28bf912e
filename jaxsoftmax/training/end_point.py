"""What is said at the end of a run, in float64 on the data as given: loss, gradient, S13's q, the gap, separation.

Everything here is an evaluation in floating point, not a proof: the numbers are right up to rounding, for which q makes
an allowance. Whatever the loop computed in, the problem here is in float64 and made from the numbers given
(`columns.exact_data`); all functions are called with x64 on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.bounds.steps import max_logit_range
from jaxsoftmax.calculus.loss.derivatives import value_and_gradient
from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.null_space import free_directions, helmert
from jaxsoftmax.calculus.loss.penalty_sum import holding, penalty_gradient, penalty_hvp, sample_scales
from jaxsoftmax.calculus.loss.projected_solve import complement_projectors, feature_scale, solve_on_complement
from jaxsoftmax.problem.arrays import block_rows
from jaxsoftmax.problem.label_targets import LabelTargets
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.columns import ExactData
from jaxsoftmax.training.smallest_curvature import CurvatureEstimate

FIRST_ROWS = 256  # of the samples that `separates` looks at before the others


class EndPoint(NamedTuple):
    """Float64 evaluations at W; the last two are None where the dense Hessian was not formed, q where nothing was."""

    loss: float
    gradient: np.ndarray  # (C, D)
    q: float | None = None  # S13's β‖g‖/μ, inf where μ is not resolved
    gap: float | None = None  # λ²/2, λ the Newton decrement
    spread: float | None = None  # range ρ of the logits of the full Newton step (S8)


@jax.jit
def _largest_square(X: Any, s: Any, scale: Any) -> Any:
    """max_n ‖x_n/scale‖² over the samples that take part; one sweep, X is not copied."""
    squares = jnp.sum((X.astype(scale.dtype) / scale) ** 2, axis=1)
    return jnp.max(jnp.where(s > 0, squares, 0))


def radius_factor(problem: Problem, scale: np.ndarray, gauge_scale: np.ndarray | None = None) -> float:
    """S13's β = √2 max_n ‖Σ⁻¹x_n‖ over the samples that take part and the self-regulariser's samples γ e_d.

    With log-cosh also 2γ max_d (1/σ_d² (C − 1)/C + 1/(C τ_d²))^½ over its columns, τ = `gauge_scale` (σ when None): the
    norm is then ‖V‖² = Σ_d σ_d² ‖v_d − v̄_d‖² + τ_d² C v̄_d² over the whole space, and by Cauchy and Schwarz this times
    ‖V‖ bounds 2γ |v_cd|, the entry's part of ρ (S8, S21b). It is 2γ max_d 1/σ_d where τ = σ, and 2γ where both are 1.
    """
    squares = float(_largest_square(problem.X, problem.sample_weight, scale))
    largest = max([math.sqrt(squares), *(abs(float(gamma)) / float(scale.min()) for gamma in sample_scales(problem))])
    beta, C = math.sqrt(2.0) * largest, problem.C
    entry = np.sqrt((C - 1) / C / scale**2 + 1 / C / (scale if gauge_scale is None else gauge_scale) ** 2)
    for penalty, columns in holding(problem):
        if penalty.concordance is not None:
            beta = max(beta, float(penalty.concordance) * float(np.max(columns * entry)))
    return beta


def existence_ratio(eigenvalues: np.ndarray, kernel_dim: int, beta: float, norms: np.ndarray, rounding: float) -> float:
    """q = β‖g‖/μ (S13) with μ the smallest eigenvalue outside the kernel less the rounding of the eigenvalues.

    Args:
        eigenvalues: those of Σ⁻¹HΣ⁻¹ on {1ᵀV = 0}, ascending. H is non-negative there (S5) with a kernel of the
            predicted dimension (S6), so μ is the one after it.
        kernel_dim: that dimension.
        beta: S13's β.
        norms: (‖gΣ⁻¹‖² of the part of g with 1ᵀg = 0, Σ_d (1ᵀg_d)²/(C a_d) of the gauge part). On the gauge directions
            the Hessian is the diagonal a_d of the L2 penalties (S21a) and nothing there moves a difference of logits,
            so their norm may be weighted at will: with weights a_d/μ it has curvature μ and dual square μ Σ g²/a_d.
        rounding: what to subtract from the eigenvalue.

    Returns:
        q, inf where μ is below the rounding.
    """
    inner, gauge = float(norms[0]), float(norms[1])
    if kernel_dim >= eigenvalues.size:
        return 0.0 if inner == gauge == 0.0 else math.inf
    mu = float(eigenvalues[kernel_dim]) - rounding
    return beta * math.sqrt(inner + mu * gauge) / mu if mu > 0 else math.inf


def _off_the_gauge(M: np.ndarray, C: int) -> np.ndarray:
    """The (CD, CD) matrix on {1ᵀV = 0} in Helmert coordinates, ((C − 1)D, (C − 1)D)."""
    Q, D = helmert(C), M.shape[0] // C
    half = np.tensordot(Q, M.reshape(C, D, C * D), axes=1).reshape(-1, C, D)
    whole = np.tensordot(Q, half, axes=(1, 1)).transpose(1, 0, 2)
    return whole.reshape((C - 1) * D, (C - 1) * D)


def gauge_part(problem: Problem, g: np.ndarray) -> float:
    """Σ_d (1ᵀg_d)²/(C a_d) over the columns that L2 penalties hold, a_d their total strength; 0 elsewhere (S3)."""
    held = sum((p.curvature_bound() * columns for p, columns in holding(problem)), np.zeros(problem.D))
    sums = g.sum(axis=0)[held > 0]
    return float(np.sum(sums * sums / held[held > 0])) / problem.C


def _ratio_off_the_gauge(
    data: ExactData, scaled: np.ndarray, g: np.ndarray, scale: np.ndarray, kernel_dim: int
) -> float:
    """S13's q on {1ᵀV = 0}, on which all penalties but log-cosh leave the Hessian a block of its own (S21)."""
    problem = data.problem
    eigenvalues = np.linalg.eigvalsh(_off_the_gauge(scaled, problem.C))
    # eigvalsh is backward stable: n·eps·λ_max covers it, and the rounding of the entries at the same order.
    rounding = scaled.shape[0] * np.finfo(float).eps * float(eigenvalues[-1])
    inner = (g - g.mean(axis=0)) / scale
    norms = np.array([np.sum(inner * inner), gauge_part(problem, g)])
    beta = _largest(data, lambda part: radius_factor(part, scale))
    return existence_ratio(eigenvalues, kernel_dim, beta, norms, rounding)


def _whole_space_ratio(data: ExactData, W: np.ndarray, scaled: np.ndarray, g: np.ndarray, scale: np.ndarray) -> float:
    """S13's q with log-cosh (S21b), whose Hessian couples the gauge directions with the rest: the whole space is used.

    Coordinates: rows of an orthogonal C × C matrix whose last row is 1ᵀ/√C; in them the features are scaled by σ, in
    the last row by τ instead. σ makes differences of logits comparable; the gauge directions move none, so τ_d² is
    their own curvature h̄_d = Σ_c h_cd/C over the mean scaled curvature of the rest, which makes the two comparable.
    (Any positive τ is right, with β for this norm, `radius_factor`; a poor one only makes q larger.) The data cancel in
    the last row (S3), so it is formed from the penalties' curvatures h and slopes alone: no rounding of the data there.
    """
    problem, (C, D) = data.problem, g.shape
    Q = helmert(C)
    last = np.full((1, C), 1 / math.sqrt(C))
    acting = problem.replace(regularizer=tuple(p for p, _ in holding(problem)))
    point = jax.numpy.asarray(W)
    slopes = np.asarray(penalty_gradient(point, acting))
    h = np.asarray(penalty_hvp(point, acting, jax.numpy.ones_like(point)))  # their Hessians are diagonal
    inside = _off_the_gauge(scaled, C)
    typical = float(np.mean(np.diag(inside)))
    mean = h.mean(axis=0)
    tau = np.where(mean > 0, np.sqrt(mean / typical) if typical > 0 else 1.0, scale)
    beside = (Q * last) @ h / (scale * tau)  # (C - 1, D): entry ((k, d), (gauge, d)); others vanish
    beside = (beside[:, :, None] * np.eye(D)).reshape(-1, D)
    whole = np.block([[inside, beside], [beside.T, np.diag(mean / tau**2)]])
    if not np.all(np.isfinite(whole)):
        return math.inf
    eigenvalues = np.linalg.eigvalsh(whole)
    rounding = C * D * np.finfo(float).eps * float(eigenvalues[-1])
    dual = np.vstack([(Q @ g) / scale, last @ slopes / tau])
    norms = np.array([np.sum(dual * dual), 0.0])
    beta = _largest(data, lambda part: radius_factor(part, scale, tau))
    return existence_ratio(eigenvalues, free_directions(problem).dim(C), beta, norms, rounding)


def slope_at(data: ExactData, W: np.ndarray) -> EndPoint:
    """Loss and gradient at float64 weights W (C, D), and nothing else."""
    value, gradient = value_and_gradient(W, data.problem)
    parts = [value_and_gradient(W, part) for part in data.more()]
    # Each process has the penalties; the samples of all are added up.
    loss, slope = math.fsum(float(v) for v, _ in parts), sum((np.asarray(g) for _, g in parts), np.zeros(W.shape))
    loss, slope = data.add((loss, slope))
    return EndPoint(float(value) + loss, np.asarray(gradient) + slope)


def evaluate(data: ExactData, W: np.ndarray, end: EndPoint, curvature: CurvatureEstimate | None = None) -> EndPoint:
    """`end` with S13's q and the Newton decrement at W.

    S13 in its scaled form: ‖V‖_Σ = ‖VΣ‖ with Σ powers of two near the columns' root mean squares, ‖g‖_* = ‖gΣ⁻¹‖.
    From the dense Hessian where that is cheap; else q alone, where the smallest `curvature` was estimated.
    """
    problem, g = data.problem, end.gradient
    if not np.all(np.isfinite(W)):
        return end
    if curvature is not None:
        scale, inner = feature_scale(problem), (g - g.mean(axis=0)) / feature_scale(problem)
        norms = np.array([np.sum(inner * inner), gauge_part(problem, g)])
        beta = _largest(data, lambda part: radius_factor(part, scale))
        return end._replace(q=existence_ratio(np.array([curvature.value]), 0, beta, norms, curvature.error))
    scale, free = feature_scale(problem), free_directions(problem)
    H = np.zeros((problem.C * problem.D,) * 2)
    for part in data.more():
        H += hessian(W, part).to_dense()
    H = np.asarray(hessian(W, problem).to_dense()) + data.add(H)
    V = -np.asarray(solve_on_complement(H, jax.numpy.asarray(g), complement_projectors(problem, free)))
    spread = _largest(data, lambda part: float(max_logit_range(part, jax.numpy.asarray(V))))
    inverse = np.tile(1.0 / scale, problem.C)
    scaled = H * inverse[:, None] * inverse[None, :]
    if not np.all(np.isfinite(scaled)):
        return end._replace(q=math.inf)
    if any(penalty.concordance is not None for penalty, _ in holding(problem)):
        q = _whole_space_ratio(data, W, scaled, g, scale)
    else:
        q = _ratio_off_the_gauge(data, scaled, g, scale, (problem.C - 1) * free.null.shape[1])
    return end._replace(q=q, gap=max(0.0, -0.5 * float(np.sum(g * V))), spread=spread)


def _all(data: ExactData) -> Iterator[Problem]:
    yield data.problem
    yield from data.more()


def _largest(data: ExactData, number: Callable[[Problem], float]) -> float:
    return float(data.largest(max(map(number, _all(data)))))


def separates(data: ExactData, W: np.ndarray) -> bool:
    """Whether W classifies every sample with a positive margin: then no minimiser exists (S9, S12).

    For one-hot targets without a regulariser only (False otherwise). A margin counts when it exceeds the rounding of
    the logits, 2·γ_D Σ_d |x_nd w_cd|, so that up to rounding of this evaluation the statement is about W itself.
    """
    if data.problem.regularizer or not np.all(np.isfinite(W)):
        return False
    return not data.largest(float(not all(_separated(part, W) for part in _all(data))))


def _separated(problem: Problem, W: np.ndarray) -> bool:
    targets, weights = jax.tree.map(np.asarray, (problem.targets, problem.sample_weight))
    W, X = np.asarray(W, problem.dtype), np.asarray(problem.X)
    slack = 2 * problem.D * float(np.finfo(problem.dtype).eps)
    most = block_rows(problem.C + problem.D)
    # One sample on the wrong side settles it: a short block first.
    for start, stop in itertools.pairwise([0, *range(min(FIRST_ROWS, problem.N), problem.N, most), problem.N]):
        rows = slice(start, stop)
        live = weights[rows] > 0
        own, x = _own_classes(targets[rows], live), X[rows][live].astype(problem.dtype)
        if own is None:
            return False
        Z, own = x @ W.T, own[:, None]
        mine = np.take_along_axis(Z, own, axis=1)[:, 0]
        np.put_along_axis(Z, own, -np.inf, axis=1)
        size = np.max(np.abs(x) @ np.abs(W.T), axis=1, initial=0.0)
        if not np.all(mine - Z.max(axis=1, initial=-np.inf) > slack * size):
            return False
    return True


def _own_classes(targets: Any, live: np.ndarray) -> np.ndarray | None:
    """The class of each sample that counts where its target is one class alone; None where one's is not."""
    if isinstance(targets, LabelTargets):
        rest, own = targets.values.tolist()
        return targets.codes[live] if rest == 0 and own > 0 else None
    T = targets[live]
    return np.argmax(T, axis=1) if np.all(np.count_nonzero(T, axis=1) == 1) else None
