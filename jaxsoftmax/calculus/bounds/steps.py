"""S8, S16, S17: self-concordance along a direction, the descent step and the rates of gradient descent."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.bounds.curvature import curvature_bound
from jaxsoftmax.calculus.loss.penalties import penalised_columns, sample_scales
from jaxsoftmax.linalg.enclosures import DOWN
from jaxsoftmax.linalg.products import sample_logits
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights

Array = jax.Array


def max_logit_range(problem: Problem, V: Any) -> Array:
    """ρ = max_n range(V x_n), n over samples of positive weight, a scalar in the compute dtype (S8).

    range(u) = max_i u_i - min_i u_i. A self-regulariser's samples γ e_d count too (S21d), and a log-cosh penalty
    counts as 2γ |v_cd| over its entries (S21b): with h(t) = αγ sech²(γ(w + tv)), |d/dt log h| = |2γv tanh| ≤ 2γ|v|, so
    that |D³R[V, U, U]| ≤ 2γ max|v_cd| D²R[U, U] and e^{-ρ} h(0) ≤ h(1) ≤ e^{ρ} h(0). Works under jit.

    Raises:
        ValueError, TypeError: if V does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> float(js.max_logit_range(problem, np.array([[2, 0], [0, 1]])))
        2.0
    """
    V = as_weights(V, problem, "V")

    def spread(U: Array) -> Array:
        return jnp.max(U, axis=1) - jnp.min(U, axis=1)

    rho = jnp.max(jnp.where(problem.sample_weight > 0, spread(sample_logits(V, problem.X)), 0))
    for gamma in sample_scales(problem):
        rho = jnp.maximum(rho, jnp.max(spread(jnp.abs(gamma) * V.T)))
    for p in problem.regularizer:
        if p.concordance is not None:
            entries = jnp.abs(V) * jnp.asarray(penalised_columns(p, problem), V.dtype)
            rho = jnp.maximum(rho, jnp.where(p.strength > 0, p.concordance * jnp.max(entries), 0))
    return rho


def self_concordance_factors(problem: Problem, V: Any) -> tuple[Array, Array]:
    """(e^{-ρ}, e^{ρ}) with e^{-ρ} H(W) ⪯ H(W + V) ⪯ e^{ρ} H(W) for every W (S8).

    Raises:
        ValueError, TypeError: if V does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> [round(float(f), 6) for f in js.self_concordance_factors(problem, np.array([[1, 0], [0, 0]]))]
        [0.367879, 2.718282]

    Source: [SB].
    """
    rho = max_logit_range(problem, V)
    return jnp.exp(-rho), jnp.exp(rho)


def descent_step_bound(problem: Problem) -> float:
    """1/Λ: with any step up to it gradient descent decreases L monotonically (S16). A Python float, rounded down.

    inf for data without curvature (X = 0).

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(js.descent_step_bound(problem), 9)
        0.125
    """
    Lambda = curvature_bound(problem)
    return 1 / Lambda * DOWN if Lambda > 0 else math.inf


def descent_decrease_bound(step: float, gradient_norm: float, Lambda: float) -> float:
    """η(1 - ηΛ/2)‖∇L‖² ≤ L(W) - L(W - η∇L), for any η; (η/2)‖∇L‖² at least when η ≤ 1/Λ (S16).

    Example:
        >>> import jaxsoftmax as js
        >>> js.descent_decrease_bound(step=0.125, gradient_norm=2.0, Lambda=8.0)
        0.25
    """
    return step * (1 - 0.5 * step * Lambda) * gradient_norm * gradient_norm


def contraction_rate(step: float, mu: float, Lambda: float) -> float:
    """max(|1 - ημ|, |1 - ηΛ|): the asymptotic contraction a step, for extreme eigenvalues μ, Λ at W* (S17).

    Example:
        >>> import jaxsoftmax as js
        >>> js.contraction_rate(step=0.25, mu=1.0, Lambda=4.0)
        0.75
    """
    return max(abs(1 - step * mu), abs(1 - step * Lambda))


def optimal_step(mu: float, Lambda: float) -> float:
    """2/(μ + Λ): the best fixed step near W*; it may exceed the globally safe 2/Λ-bound of S7a (S17).

    Example:
        >>> import jaxsoftmax as js
        >>> js.optimal_step(mu=1.0, Lambda=4.0)
        0.4
    """
    return 2 / (mu + Lambda)


def optimal_rate(mu: float, Lambda: float) -> float:
    """(κ - 1)/(κ + 1), κ = Λ/μ: the contraction a step at `optimal_step` (S17).

    Example:
        >>> import jaxsoftmax as js
        >>> js.optimal_rate(mu=1.0, Lambda=4.0)
        0.6
    """
    return (Lambda - mu) / (Lambda + mu)
