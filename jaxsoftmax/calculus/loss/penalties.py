"""S21: value and derivatives of the regularisers, by hand.

L2 is (α/2)‖W‖² (S21a) and log-cosh (α/γ) Σ log(2 cosh γ w_cd) (S21b), the intercept column left out unless asked for;
their Hessians are diagonal. The self-regulariser (S21d) is D extra samples
γ e_d with uniform targets: its logits are the rows of γ Wᵀ, so S2 and S4 apply to (D, C) rows.
Every Hessian is diagonal over features: entry ((c, d), (c', d')) vanishes unless d = d'.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.log_cosh import log_cosh, sech_squared, tanh
from jaxsoftmax.calculus.loss.rules import cross_entropy_rows, residual_rows, softmax_rows
from jaxsoftmax.linalg.stable_softmax import centred
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import L2, LogCosh, SelfRegularizer

Array = jax.Array


def penalised_columns(penalty: L2 | LogCosh, problem: Problem) -> np.ndarray:
    """(D,) float64: 1 for a penalised column, 0 for an intercept that is left out."""
    columns = np.ones(problem.X.shape[1])
    if problem.intercept and not penalty.penalize_intercept:
        columns[-1] = 0.0
    return columns


def _masked(V: Array, penalty: L2 | LogCosh, problem: Problem) -> Array:
    return V * jnp.asarray(penalised_columns(penalty, problem), dtype=V.dtype)


def _log_cosh_curvature(W: Array, penalty: LogCosh, problem: Problem) -> Array:
    """αγ sech²(γ W) on penalised columns, 0 elsewhere (S21b)."""
    return _masked(penalty.alpha * penalty.gamma * sech_squared(penalty.gamma * W), penalty, problem)


def _uniform_rows(W: Array) -> Array:
    return jnp.full((W.shape[1], W.shape[0]), 1.0 / W.shape[0], W.dtype)


def penalty_value(W: Array, problem: Problem) -> Array:
    """R(W), a scalar (S21)."""
    total = jnp.zeros((), W.dtype)
    for p in problem.regularizer:
        if isinstance(p, L2):
            total = total + 0.5 * p.alpha * jnp.sum(W * _masked(W, p, problem))
        elif isinstance(p, LogCosh):
            total = total + p.alpha / p.gamma * jnp.sum(_masked(log_cosh(p.gamma * W), p, problem))
        elif isinstance(p, SelfRegularizer):
            total = total + jnp.sum(cross_entropy_rows(p.gamma * W.T, _uniform_rows(W)))
    return total


def penalty_gradient(W: Array, problem: Problem) -> Array:
    """∇R(W), (C, D): α W or α tanh(γ W) on penalised columns; γ (softmax(γ w_d) - 1/C) on column d (S21)."""
    total = jnp.zeros_like(W)
    for p in problem.regularizer:
        if isinstance(p, L2):
            total = total + p.alpha * _masked(W, p, problem)
        elif isinstance(p, LogCosh):
            total = total + p.alpha * _masked(tanh(p.gamma * W), p, problem)
        elif isinstance(p, SelfRegularizer):
            total = total + p.gamma * residual_rows(p.gamma * W.T, _uniform_rows(W)).T
    return total


def penalty_hvp(W: Array, problem: Problem, V: Array) -> Array:
    """D²R(W)[V, ·], (C, D): α V or αγ sech²(γ W) ∘ V on penalised columns; γ² S(softmax(γ w_d)) v_d on column d."""
    total = jnp.zeros_like(V)
    for p in problem.regularizer:
        if isinstance(p, L2):
            total = total + p.alpha * _masked(V, p, problem)
        elif isinstance(p, LogCosh):
            total = total + _log_cosh_curvature(W, p, problem) * V
        elif isinstance(p, SelfRegularizer):
            y = softmax_rows(p.gamma * W.T)
            total = total + p.gamma**2 * (y * centred(y, V.T)).T
    return total


def penalty_quadratic_form(W: Array, problem: Problem, V: Array) -> Array:
    """D²R(W)[V, V] ≥ 0, a scalar, as a sum of squares and variances (S21, S4)."""
    total = jnp.zeros((), V.dtype)
    for p in problem.regularizer:
        if isinstance(p, L2):
            total = total + p.alpha * jnp.sum(V * _masked(V, p, problem))
        elif isinstance(p, LogCosh):
            total = total + jnp.sum(_log_cosh_curvature(W, p, problem) * V**2)
        elif isinstance(p, SelfRegularizer):
            y = softmax_rows(p.gamma * W.T)
            total = total + p.gamma**2 * jnp.sum(y * centred(y, V.T) ** 2)
    return total


def penalty_third_derivative(W: Array, problem: Problem, V: Array, U: Array) -> Array:
    """D³R(W)[V, U, U], a scalar: zero for L2; -2αγ² sech² tanh (γ w) v u²; γ³ times third cumulants for S21d (S8)."""
    total = jnp.zeros((), V.dtype)
    for p in problem.regularizer:
        if isinstance(p, LogCosh):
            third = -2 * p.gamma * tanh(p.gamma * W) * _log_cosh_curvature(W, p, problem)
            total = total + jnp.sum(third * V * U**2)
        elif isinstance(p, SelfRegularizer):
            y = softmax_rows(p.gamma * W.T)
            total = total + p.gamma**3 * jnp.sum(y * centred(y, V.T) * centred(y, U.T) ** 2)
    return total


def penalty_class_blocks(W: Array, problem: Problem) -> Array:
    """(C, C, D): entry (a, b, d) is the Hessian entry ((a, d), (b, d)) of R; all others vanish (S21)."""
    C, D = W.shape
    eye = jnp.eye(C, dtype=W.dtype)
    total = jnp.zeros((C, C, D), W.dtype)
    for p in problem.regularizer:
        if isinstance(p, L2):
            total = total + p.alpha * eye[:, :, None] * jnp.asarray(penalised_columns(p, problem), W.dtype)
        elif isinstance(p, LogCosh):
            total = total + eye[:, :, None] * _log_cosh_curvature(W, p, problem)
        elif isinstance(p, SelfRegularizer):
            y = softmax_rows(p.gamma * W.T).T
            # Off the diagonal -y_a y_b; on it the sum of the others (S3), which keeps relative accuracy.
            pairs = p.gamma**2 * y[:, None, :] * y[None, :, :] * (1 - eye)[:, :, None]
            total = total - pairs + eye[:, :, None] * jnp.sum(pairs, axis=1)[:, None, :]
    return total
