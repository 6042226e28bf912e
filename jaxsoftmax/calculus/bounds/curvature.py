"""S7: proved bounds on the curvature of the loss and on its condition number.

What `…_bound` and `singular_value_bounds` return holds for the data as stored, all rounding counted
(linalg/enclosures.py); they need concrete arrays. Where float64 cannot establish a lower bound it is 0, and the bound
on the condition number inf.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.calculus.loss.penalty_sum import holding, sample_scales
from jaxsoftmax.linalg.enclosures import (
    DOWN,
    EXP_SLACK,
    UNIT_ROUNDOFF,
    UP,
    gamma,
    largest_singular_value_bound,
    nonzero_singular_value_bounds,
    normal_or_zero,
    smallest_singular_value_bound,
)
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights, require_concrete


class SingularValueBounds(NamedTuple):
    """`lower` ≤ the smallest nonzero singular value of diag(√s) X (0.0: none proved), the largest ≤ `upper`."""

    lower: float
    upper: float


def _concrete(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """(X, s) in float64 over the samples of positive weight."""
    require_concrete(problem)
    s = np.asarray(problem.sample_weight).astype(np.float64)
    return np.asarray(problem.X).astype(np.float64)[s > 0], s[s > 0]


def singular_value_bounds(problem: Problem) -> SingularValueBounds:
    """Proved bounds on the smallest nonzero and the largest singular value of diag(√s) X (for S7).

    `lower` is 0.0 when no positive bound could be proved: the columns, brought near norm 1, are too badly conditioned
    for float64, or some column depends on many others (linalg/exact_rank.py proves dependence on a few).

    Args:
        problem: concrete data, any compute dtype; the bounds are about its device X, exactly as stored.

    Raises:
        TypeError: on a traced problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> lower, upper = js.singular_value_bounds(problem)
        >>> lower <= 3 <= lower * (1 + 1e-12), upper * (1 - 1e-12) <= 4 <= upper
        (True, True)
    """
    found = nonzero_singular_value_bounds(*_concrete(problem))
    return SingularValueBounds(found.lower, found.upper)


def _gamma_squared(problem: Problem) -> float:
    """Σ γ² over the self-regularisers."""
    return sum(float(gamma) ** 2 for gamma in sample_scales(problem))


def _entrywise_floor(W: np.ndarray, problem: Problem) -> tuple[float, float]:
    """Lower bounds for the curvature at W of the entries that penalties hold, rounded down (S21 a, b).

    The first over the columns that some penalty holds, the second over all columns where a penalty holds them all, else
    0. An entry's curvature falls in |w|: its least value is at the largest |w|.
    """
    some = everywhere = 0.0
    for p, columns in holding(problem):
        floor = p.curvature_floor(float(np.max(np.abs(W[:, columns > 0]), initial=0.0)))
        some += floor
        everywhere += floor if columns.all() else 0.0
    return some * DOWN, everywhere * DOWN


def curvature_bound(problem: Problem) -> float:
    """Λ, a proved upper bound on the curvature of the loss, the same at every W (S7a, S21).

    Λ = ½ σ_max(diag(√s) X)² + penalties ≥ λ_max(H(W)), a Python float. Penalties: α for L2, αγ for log-cosh, γ²/2 for
    the self-regulariser.

    Raises:
        TypeError: on a traced problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(js.curvature_bound(problem), 9)
        8.0

    Source: [B].
    """
    high = largest_singular_value_bound(*_concrete(problem))
    entrywise = sum(p.curvature_bound() for p, _ in holding(problem))
    return (0.5 * high * high + entrywise + 0.5 * _gamma_squared(problem)) * UP


def lambda2_bound(Y: Any) -> np.ndarray:
    """A proved lower bound on λ₂(S(y)) for each row y of probabilities, S(y) = diag(y) − yyᵀ (S7b, S7d).

    λ₂ is the smallest eigenvalue on the vectors that sum to zero. The bound is min_i y_i; for two classes it is
    2 y₁ y₂, the exact value. The entries of Y are taken as given.

    Args:
        Y: (..., C) probabilities.

    Returns:
        float64 array (...,).

    Example:
        >>> import jaxsoftmax as js
        >>> js.lambda2_bound([[0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3]]).round(12).tolist()
        [0.2, 0.333333333333]
    """
    Y = np.asarray(Y).astype(np.float64)
    if Y.shape[-1] == 2:
        return normal_or_zero(2 * Y[..., 0] * Y[..., 1]) * DOWN
    return np.min(Y, axis=-1) if Y.shape[-1] > 1 else np.zeros(Y.shape[:-1])


def _probability_lower_bounds(Z: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Lower bounds for softmax at logits within `error` (rows) of Z.

    The logits cost a factor e^{-2 error} >= 1 - 2 error, and a sum of C terms in any order 1 - γ_C. EXP_SLACK covers
    exp, the division and d's rounding: u |d| < 2^-43 where exp(d) is a normal number. Elsewhere the bound is 0.
    """
    d = Z - np.max(Z, axis=1, keepdims=True)
    p = np.exp(d)
    slack = EXP_SLACK + gamma(Z.shape[1]) + 2 * error
    return normal_or_zero(p / np.sum(p, axis=1, keepdims=True) * np.maximum(0.0, 1 - slack)[:, None])


def _flattest(X: np.ndarray, W64: np.ndarray, problem: Problem) -> float:
    """min_n λ₂(S(y_n)) from below, over the rows of X and the samples of S21d."""
    smallest = np.min(_lambda2_of_samples(W64, X), initial=np.inf)
    for scale in sample_scales(problem):
        Z = float(scale) * W64.T
        rows = lambda2_bound(_probability_lower_bounds(Z, UNIT_ROUNDOFF * np.max(np.abs(Z), axis=1)))
        smallest = min(smallest, np.min(rows))
    return float(smallest)


def flattest_softmax_bound(W: Any, problem: Problem) -> float:
    """min_n λ₂(S(y_n)) from below, a Python float ≥ 0: twice it is what S19's step gains at least (S7b, S19).

    Raises:
        TypeError: on traced arguments.
        ValueError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.calculus.bounds.curvature import flattest_softmax_bound
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(flattest_softmax_bound(np.zeros((2, 2)), problem), 9)
        0.5
    """
    X, _ = _concrete(problem)
    return _flattest(X, np.asarray(as_weights(W, problem)).astype(np.float64), problem)


def curvature_lower_bound(W: Any, problem: Problem) -> float:
    """A proved lower bound on the curvature of the loss at W, outside the null space (S7c, S21).

    min_n λ₂(S(y_n)) σ_min⁺² ≤ λ_min of H(W) on 𝒦⊥, a Python float; 0.0 when no positive bound could be established (see
    `singular_value_bounds`). With L2 on every column it is at least α; with L2 beside a free intercept the smaller of α
    and the data's bound; log-cosh is an L2 of strength αγ sech²(γ max|w|) at W; the self-regulariser adds its D samples
    γ e_d.

    Raises:
        TypeError: on traced arguments.
        ValueError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(js.curvature_lower_bound(np.zeros((2, 2)), problem), 9)  # λ₂ = 1/2 at W = 0
        4.5
    """
    X, s = _concrete(problem)
    W64 = np.asarray(as_weights(W, problem)).astype(np.float64)
    gamma2, (alpha, alpha_whole) = _gamma_squared(problem), _entrywise_floor(W64, problem)
    low, _, full_rank = nonzero_singular_value_bounds(X, s)
    smallest = _flattest(X, W64, problem)
    if problem.regularizer and not full_rank:
        # `low` is the smallest nonzero singular value; a penalty also sees the directions that X does not.
        low = 0.0
    data = float(normal_or_zero(smallest * (low * low + gamma2))) * DOWN
    held = holding(problem)
    if any(columns.all() for _, columns in held):
        return alpha_whole
    if held:
        # V = V_a + **1**vᵀ, v ⊥ e_bias: the data see V_a, the penalty sees C‖v‖² (needs full column rank).
        return min(alpha, data)
    return data


def samplewise_curvature_bound(W: Any, problem: Problem) -> float:
    """S7c sample by sample, at least `curvature_lower_bound`: σ_min⁺(diag(√(s m)) X)² with m_n ≤ λ₂(S(y_n)).

    On 𝒦⊥ S(y_n) ⪰ m_n (I − **11**ᵀ/C) for each sample, so H ⪰ (I − **11**ᵀ/C) ⊗ Σ_n s_n m_n x_n x_nᵀ: one confident
    sample no longer speaks for all. With regularisers it is `curvature_lower_bound`. A Python float ≥ 0.

    Raises:
        TypeError, ValueError: as `curvature_lower_bound`.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.calculus.bounds.curvature import samplewise_curvature_bound
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> W = np.array([[0, 1], [0, 0]], dtype="float32")  # the second sample is confident, the first is not
        >>> round(samplewise_curvature_bound(W, problem), 6), round(js.curvature_lower_bound(W, problem), 6)
        (0.565207, 0.317929)
    """
    if problem.regularizer:
        return curvature_lower_bound(W, problem)
    X, s = _concrete(problem)
    weight = normal_or_zero(s * _lambda2_of_samples(np.asarray(as_weights(W, problem)).astype(np.float64), X)) * DOWN
    if not np.all(weight > 0):
        X, weight = X[weight > 0], weight[weight > 0]
        if not len(X) or nonzero_singular_value_bounds(X, weight).full_column_rank is False:
            return 0.0  # the samples left may have a smaller row space than all of them
    low = smallest_singular_value_bound(X, weight)
    return max(float(normal_or_zero(low * low * DOWN)) * DOWN, 0.0)


def _lambda2_of_samples(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """(N,): lower bounds for λ₂(S(y_n)), the rounding of logits and softmax included."""
    # |z - computed z| ≤ γ_D Σ|x||w| per entry; a softmax entry moves by at most e^{±2 max|Δz|}.
    error = gamma(X.shape[1] + 1) * np.max(np.abs(X) @ np.abs(W).T, axis=1)
    return lambda2_bound(_probability_lower_bounds(X @ W.T, error))


def condition_bound(W: Any, problem: Problem) -> float:
    """A proved upper bound on the condition number of the Hessian at W, outside the null space (S7c).

    `curvature_bound` over `curvature_lower_bound`; inf where the latter is 0. Without regularisers this is
    cond⁺² / (2 min_n λ₂(S(y_n))), cond⁺ the ratio of the extreme nonzero singular values of diag(√s) X.

    Raises:
        TypeError, ValueError: as `curvature_lower_bound`.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(js.condition_bound(np.zeros((2, 2)), problem), 6)  # (4/3)² / (2 · 1/2)
        1.777778
    """
    low = curvature_lower_bound(W, problem)
    return curvature_bound(problem) / low * UP if low > 0 else math.inf


def condition_bound_two_classes(W: Any, problem: Problem) -> float:
    """`condition_bound` for two classes, where it is cond⁺² / (4 min_n y_n1 y_n2) (S7d).

    Raises:
        ValueError: if the problem has not exactly two classes.
        TypeError: on traced arguments.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(js.condition_bound_two_classes(np.zeros((2, 2)), problem), 6)
        1.777778

    Source: [R].
    """
    if problem.C != 2:
        raise ValueError(f"problem: has {problem.C} classes; S7d is about two. Use condition_bound for any number.")
    return condition_bound(W, problem)
