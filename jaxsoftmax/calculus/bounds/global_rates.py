"""S18: how fast gradient descent lowers the loss from its very start: bounds proved before training.

Let L be the loss of the stored numbers X, s and T (a stored row t means t/Σt, as everywhere), all t_ni > 0, and
Δ = L(W₀) - Σ_n s_n Σ_i t_ni (-log t_ni) = Σ_n s_n KL(t_n‖y_n(W₀)) >= 0.

*Probabilities.* Let L(W) <= L(W₀). Every KL is >= 0, so s_n KL(t_n‖y_n(W)) <= Δ. Since Σ_{j≠i} y_nj <= 1, Gibbs gives
Σ_{j≠i} t_nj (-log y_nj) >= Σ_{j≠i} t_nj (-log(t_nj/(1 - t_ni))), hence t_ni log(t_ni/y_ni) + (1 - t_ni) log(1 - t_ni)
<= Δ/s_n, that is log y_ni >= log t_ni + ((1 - t_ni) log(1 - t_ni) - Δ/s_n)/t_ni; log δ is its least value over n, i.

*Rate.* {L <= L(W₀)} is convex, holds all iterates (S16) and the minimiser in W₀ + 𝒦⊥, and there H >= μ on 𝒦⊥ with μ =
δ σ_min⁺(diag(√s)X)² (S7c). So ‖∇L‖² >= 2μ(L - L*), and a step 1/Λ lowers L by ‖∇L‖²/(2Λ) at least: L - L* shrinks by
1 - μ/Λ a step.

*Regularisers.* S18 is for L alone. The self-regulariser is covered because it is L with D more samples γ e_d. For
F = L + R with R of L2 and log-cosh penalties let E = Δ + R(W₀) - R(0); R(0) is R's least value. F(W) <= F(W₀) implies
L(W) <= L(W₀) + R(W₀) - R(0), so the bound on the probabilities holds with E for Δ; and R(W) - R(0) <= E, as L(W) >=
Σ_n s_n Σ_i t_ni (-log t_ni). R's curvature on {F <= F(W₀)} therefore has a floor: α for L2; for log-cosh one entry's
(α/γ) log cosh γw is at most E, so αγ sech² γw = αγ exp(-2 log cosh γw) >= αγ exp(-2γE/α). Where all columns are held,
the floor is a μ for the whole space; beside a free intercept the smaller of it and the data's μ is one (as in
`curvature_lower_bound`; needs full column rank).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.calculus.bounds.curvature import curvature_bound
from jaxsoftmax.calculus.loss.penalty_sum import holding, sample_scales
from jaxsoftmax.linalg.enclosures import DOWN, EXP_SLACK, UNIT_ROUNDOFF, UP, gamma, nonzero_singular_value_bounds
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights, require_concrete


class _Start(NamedTuple):
    """The samples that take part (those of S21d included) in float64, and bounds at W₀."""

    X: np.ndarray
    P: np.ndarray  # rows t/Σt, each entry within (C + 1) u relative
    s: np.ndarray
    W: np.ndarray
    excess: float  # E >= Δ + R(W₀) - R(0)


def _start(problem: Problem, W0: Any) -> _Start:
    require_concrete(problem, W0)
    W = np.zeros((problem.C, problem.D)) if W0 is None else np.asarray(as_weights(W0, problem, "W0"), np.float64)
    if not np.all(np.isfinite(W)):
        raise ValueError("W0: has NaN or infinite entries; the loss at the start must be finite. Give finite weights.")
    X, T, s = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.T, problem.sample_weight))
    X, T, s = X[s > 0], T[s > 0], s[s > 0]
    for scale in sample_scales(problem):
        X = np.vstack([X, float(scale) * np.eye(problem.D)])
        T = np.vstack([T, np.full((problem.D, problem.C), 1.0)])
        s = np.concatenate([s, np.ones(problem.D)])
    P = T / T.sum(axis=1, keepdims=True)
    excess = _divergence(X, P, s, W) + _penalty_excess(W, problem)
    return _Start(X, P, s, W, excess * UP)


def _divergence(X: np.ndarray, P: np.ndarray, s: np.ndarray, W: np.ndarray) -> float:
    """An upper bound for Σ_n s_n KL(p_n‖softmax(W x_n)); +inf where it overflows."""
    C = P.shape[1]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        Z = X @ W.T
        error = gamma(X.shape[1] + 1) * np.max(np.abs(X) @ np.abs(W).T, axis=1)
        d = Z - np.max(Z, axis=1, keepdims=True)
        neg_log = np.log(np.sum(np.exp(d), axis=1, keepdims=True)) - d
        log_p = np.where(P > 0, np.log(np.where(P > 0, P, 1.0)), 0.0)
        size = np.abs(log_p) + neg_log + 1.0
        # Each logarithm errs by slack·size (its argument's (C + 1) u included), -log y by 2·error from the logits.
        slack = EXP_SLACK + 8 * (C + 4) * UNIT_ROUNDOFF
        terms = P * (log_p + neg_log) + P * slack * size
        rows = np.sum(terms, axis=1) + (2 * error + gamma(C + 4) * np.sum(P * size, axis=1))
        rows = np.maximum(rows, 0.0)
        total = float(np.sum(s * rows)) * (1 + gamma(len(s) + 4)) * UP
    return total if total == total else math.inf


def _penalty_excess(W: np.ndarray, problem: Problem) -> float:
    """An upper bound for R(W) - R(0) of the penalties on entries, each known as `Entrywise.excess` says.

    γ_{n+8}: a sum of n terms >= 0 in any order and eight roundings a term. 4 EXP_SLACK: log cosh x = x + log1p(e^(-2x))
    - log 2 for x >= 1 has logarithms of 0.13 and 0.7 in a difference of 0.43 or more, twice their slack.
    """
    total = 0.0
    for p, columns in holding(problem):
        w = np.abs(W[:, columns > 0])
        with np.errstate(over="ignore"):
            total += float(p.excess(w)) * (1 + gamma(w.size + 8)) * (1 + 4 * EXP_SLACK)
    return total * UP


def _log_probability(start: _Start) -> float:
    P, excess = start.P, start.excess
    if not np.all(P > 0) or not math.isfinite(excess):
        return -math.inf
    C = P.shape[1]
    # 1 - p without cancellation for the one entry of a row that may exceed ½: the sum of the others.
    others = np.sum(np.where(np.arange(C) == np.argmax(P, axis=1)[:, None], 0.0, P), axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        log_rest = np.where(P <= 0.5, np.log1p(-np.minimum(P, 0.5)), np.log(others))
        rest = np.where(P <= 0.5, 1 - np.minimum(P, 0.5), others)
        entropy = rest * log_rest / P
        loss = excess / start.s[:, None] / P
        # p is known to (C + 1) u: |log p|, the entropy term (in [-1, 0]) and Δ/(s p) move by a few of those.
        slack = EXP_SLACK + 8 * (C + 4) * UNIT_ROUNDOFF
        right = np.log(P) + entropy - loss - slack * (np.abs(np.log(P)) + 1.0 + loss)
    lowest = float(np.min(right))
    return lowest * (UP if lowest < 0 else DOWN)


def log_probability_bound(problem: Problem, W0: Any = None) -> float:
    """log δ: at every W whose loss is at most that of W0, every probability is at least δ; proved (S18).

    A Python float, -inf where some target of a sample that takes part is 0: then no such bound exists. The logarithm is
    returned because δ itself underflows on real data (Δ/s_n over a smoothed target of 0.001 is in the thousands). For
    regularisers see the module: the samples of S21d take part, L2 and log-cosh add R(W₀) - R(0) to Δ.

    Args:
        problem: concrete data; the bound is about the device X, s and T, a row t of T meaning t/Σt exactly.
        W0: (C, D) start, zeros when None.

    Raises:
        TypeError: on traced arguments.
        ValueError: W0 does not fit the problem or is not finite.

    Example:
        >>> import jaxsoftmax as js, math, numpy as np
        >>> problem = js.Problem(np.array([[2.0]], np.float32), np.array([[0.5, 0.5]], np.float32))
        >>> round(math.exp(js.log_probability_bound(problem)), 9)  # Δ = 0, so log δ = 2 log ½
        0.25
    """
    return _log_probability(_start(problem, W0))


def log_descent_gain_bound(problem: Problem, W0: Any = None) -> float:
    """log(μ/Λ), proved before training: each step 1/Λ of gradient descent shrinks L - L* by 1 - μ/Λ or more (S18).

    The logarithmic form of `descent_rate_bound`, for where that is 1 to double precision: the factor is at most
    1 - 10^(this / log 10). -inf where nothing is promised: some target is 0, or no σ_min⁺ > 0 could be proved.

    Args:
        problem: concrete data, as for `log_probability_bound`; penalties as the module says.
        W0: (C, D) start, zeros when None.

    Raises:
        TypeError, ValueError: as `log_probability_bound`.

    Example:
        >>> import jaxsoftmax as js, math, numpy as np
        >>> problem = js.Problem(np.array([[2.0]], np.float32), np.array([[0.5, 0.5]], np.float32))
        >>> round(math.exp(js.log_descent_gain_bound(problem)), 9)  # δ σ² / (½ σ²) = 2 δ
        0.5
    """
    start = _start(problem, W0)
    Lambda = curvature_bound(problem)
    low = _log_data_curvature(start, problem) if Lambda > 0 else -math.inf
    floors = [(_log_floor(p, start), bool(columns.all())) for p, columns in holding(problem)]
    if floors:
        whole = [floor for floor, all_columns in floors if all_columns]
        low = max(whole) if whole else min(low, max(floor for floor, _ in floors))
    if low == -math.inf:
        return low
    log_Lambda = math.log(Lambda)
    return low - log_Lambda - EXP_SLACK * (abs(low) + abs(log_Lambda) + 1.0)


def _log_data_curvature(start: _Start, problem: Problem) -> float:
    """log(δ σ_min⁺²) of the samples, those of S21d included; with penalties only for full column rank."""
    low, _, full_rank = nonzero_singular_value_bounds(start.X, start.s)
    if problem.regularizer and not full_rank:
        low = 0.0  # the smallest nonzero singular value says nothing about directions that the data do not see
    log_delta = _log_probability(start)
    if low == 0.0 or log_delta == -math.inf:
        return -math.inf
    value = log_delta + 2 * math.log(low)
    return value - EXP_SLACK * (abs(log_delta) + 2 * abs(math.log(low)) + 1.0)


def _log_floor(p: Any, start: _Start) -> float:
    """log of the least curvature of an entry that p holds, on {F <= F(W₀)} (the module's *Regularisers*)."""
    parts = p.log_floor(start.excess)
    return sum(parts) - EXP_SLACK * (sum(map(abs, parts)) + 1.0)


def descent_rate_bound(problem: Problem, W0: Any = None) -> float:
    """1 - μ/Λ, proved before training: each step 1/Λ of gradient descent shrinks L - L* by this factor or more (S18).

    It holds from the first step on, without a line search, and is pessimistic. On real data it is usually 1.0, because
    float64 cannot tell it from 1: use `log_descent_gain_bound` there.

    Args:
        problem: concrete data, as for `log_probability_bound`; penalties as the module says.
        W0: (C, D) start, zeros when None.

    Raises:
        TypeError, ValueError: as `log_probability_bound`.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.array([[2.0]], np.float32), np.array([[0.5, 0.5]], np.float32))
        >>> round(js.descent_rate_bound(problem), 9)
        0.5
    """
    gain = math.exp(min(log_descent_gain_bound(problem, W0), 0.0)) * (1 - EXP_SLACK)
    return min(1.0, (1.0 - gain) * UP)
