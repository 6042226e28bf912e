"""The scale-free stopping test, the rounding of the loss, and when a theorem says that a minimiser exists.

The test is on the scaled gradient max_cd |g_cd| / a_d with a_d = Σ_n s_n |x_nd| (plus the regulariser's own scale).
Because |y - t| <= 1, |g_cd| <= a_d always, so the number lies in [0, 1] without a regulariser and does not change when
a feature is rescaled, when all weights are multiplied, or when the data are repeated.

Guarded by `tests/training/loop/test_run.py`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.penalty_sum import penalised_columns
from jaxsoftmax.problem.problem import Problem

Array = jax.Array


def gradient_scale(problem: Problem) -> Array:
    """a_d, (D,): Σ_n s_n |x_nd| plus α on penalised columns (S21 a, b) and |γ| for the self-regulariser (S21d)."""
    X = jnp.abs(problem.X.astype(problem.dtype))
    scale = jnp.einsum("n,nd->d", problem.sample_weight, X, precision=jax.lax.Precision.HIGHEST)
    for penalty in problem.regularizer:
        columns = jnp.asarray(penalised_columns(penalty, problem), scale.dtype)
        scale = scale + jnp.asarray(penalty.strength, scale.dtype) * columns
    return scale


def scaled_gradient(gradient: Array, scale: Array) -> Array:
    """max_cd |g_cd| / a_d; columns with a_d = 0 (no sample, no penalty) take no part."""
    ratio = jnp.where(scale > 0, jnp.abs(gradient) / jnp.where(scale > 0, scale, 1), 0)
    return jnp.max(ratio, initial=0.0)


def loss_rounding(W: Array, value: Array, problem: Problem, scale: Array) -> Array:
    """A bound on the rounding error of the computed loss.

    The terms of S1 are non-negative, so summing N of them costs eps·(8 + √N)·L. A logit errs by at most
    γ_D Σ_d |x_nd w_cd|, γ_D = D·eps; the loss moves by at most Σ_c |y - t|_nc <= 2 times that, so summed over the
    samples by 2·γ_D·Σ_d a_d max_c |w_cd|.
    """
    eps = jnp.finfo(W.dtype).eps
    N, D = problem.X.shape
    summing = eps * (8 + N**0.5) * jnp.abs(value)
    logits = 2 * D * eps * jnp.sum(scale * jnp.max(jnp.abs(W), axis=0))
    return summing + logits


def attains_for_certain(problem: Problem) -> Array:
    """True where a theorem, not a computation, says that a minimiser exists (S9, S21).

    All targets of the samples that take part positive [NR]; an L2 or log-cosh penalty on every column; a
    self-regulariser; or an L2 or log-cosh penalty that leaves the intercept out when every class has positive mass.
    """
    takes_part = problem.sample_weight > 0
    known = jnp.all(jnp.where(takes_part[:, None], problem.T > 0, True))
    for penalty in problem.regularizer:
        certain = jnp.asarray(penalty.strength) > 0
        if problem.intercept and not penalty.penalize_intercept:
            present = jnp.any((problem.T > 0) & takes_part[:, None], axis=0)
            certain = certain & jnp.all(present)
        known = known | certain
    return known


def frobenius(x: Array) -> Array:
    """Frobenius norm that neither overflows nor underflows on the way."""
    top = jnp.max(jnp.abs(x), initial=0.0)
    unit = jnp.where((top > 0) & jnp.isfinite(top), top, 1)
    return unit * jnp.sqrt(jnp.sum((x / unit) ** 2))
