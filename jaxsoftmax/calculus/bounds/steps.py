"""S8, S16, S17: how the Hessian changes along a move, which step is safe, and how fast gradient descent is."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.bounds.curvature import curvature_bound
from jaxsoftmax.calculus.loss.penalty_sum import penalised_columns, sample_scales
from jaxsoftmax.linalg.enclosures import DOWN
from jaxsoftmax.linalg.products import sample_logits
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights

Array = jax.Array


def max_logit_range(problem: Problem, V: Any) -> Array:
    """ρ, the most that the move V changes the difference of two logits of a sample (S8); works under jit.

    ρ = max_n (max_i u_i - min_i u_i), u = V x_n, over the samples of positive weight.

    A self-regulariser's samples γ e_d count too (S21d), and a log-cosh penalty counts as 2γ |v_cd| over its
    entries (S21b): with h(t) = αγ sech²(γ(w + tv)), |d/dt log h| = |2γv tanh| ≤ 2γ|v|, so that |D³R[V, U, U]| ≤
    2γ max|v_cd| D²R[U, U] and e^{-ρ} h(0) ≤ h(1) ≤ e^{ρ} h(0).

    Raises:
        ValueError, TypeError: if V does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> float(js.max_logit_range(problem, np.array([[2, 0], [0, 1]])))
        2.0
    """
    return _max_logit_range(as_weights(V, problem, "V"), problem)


@jax.jit
def _max_logit_range(V: Array, problem: Problem) -> Array:
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
    """How much the Hessian can change along the move V: e^{-ρ} H(W) ⪯ H(W + V) ⪯ e^{ρ} H(W) for every W (S8).

    Returns (e^{-ρ}, e^{ρ}), ρ that of `max_logit_range`.

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
    """1/Λ: gradient descent with any step up to this lowers the loss at every step (S16).

    A Python float, rounded down; inf for data without curvature (X = 0).

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> round(js.descent_step_bound(problem), 9)
        0.125
    """
    Lambda = curvature_bound(problem)
    return 1 / Lambda * DOWN if Lambda > 0 else math.inf


def descent_decrease_bound(step: float, gradient_norm: float, Lambda: float) -> float:
    """How much a gradient step η lowers the loss at least: η(1 - ηΛ/2)‖∇L‖² ≤ L(W) - L(W - η∇L) (S16).

    For η ≤ 1/Λ this is at least (η/2)‖∇L‖²; for η > 2/Λ it is negative and promises nothing.

    Example:
        >>> import jaxsoftmax as js
        >>> js.descent_decrease_bound(step=0.125, gradient_norm=2.0, Lambda=8.0)
        0.25
    """
    return step * (1 - 0.5 * step * Lambda) * gradient_norm * gradient_norm


def contraction_rate(step: float, mu: float, Lambda: float) -> float:
    """max(|1 - ημ|, |1 - ηΛ|): the factor by which a gradient step η shrinks the distance to the minimiser (S17).

    It holds near the minimiser, where μ and Λ are the extreme eigenvalues of the Hessian outside the null space.

    Example:
        >>> import jaxsoftmax as js
        >>> js.contraction_rate(step=0.25, mu=1.0, Lambda=4.0)
        0.75
    """
    return max(abs(1 - step * mu), abs(1 - step * Lambda))


def optimal_step(mu: float, Lambda: float) -> float:
    """2/(μ + Λ): the best fixed step near the minimiser (S17); far from it a step that long may raise the loss.

    Example:
        >>> import jaxsoftmax as js
        >>> js.optimal_step(mu=1.0, Lambda=4.0)
        0.4
    """
    return 2 / (mu + Lambda)


def optimal_rate(mu: float, Lambda: float) -> float:
    """(κ - 1)/(κ + 1), κ = Λ/μ: what `contraction_rate` is at `optimal_step` (S17).

    Example:
        >>> import jaxsoftmax as js
        >>> js.optimal_rate(mu=1.0, Lambda=4.0)
        0.6
    """
    return (Lambda - mu) / (Lambda + mu)
