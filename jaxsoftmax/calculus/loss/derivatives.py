"""S2-S4 and S8 in closed form: gradient, Hessian-vector product, quadratic form, third derivative; no autodiff.

`hessian` lives in hessian.py.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.fused import fused_hvp, fused_value_and_gradient
from jaxsoftmax.calculus.loss.penalty_sum import (
    penalty_gradient,
    penalty_hvp,
    penalty_quadratic_form,
    penalty_third_derivative,
    penalty_value,
)
from jaxsoftmax.calculus.loss.rules import residual_rows, softmax_rows
from jaxsoftmax.linalg.blocks import Placement, placement
from jaxsoftmax.linalg.products import sample_logits, sum_over_samples
from jaxsoftmax.linalg.stable_softmax import centred
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights

Array = jax.Array


def gradient_on_arrays(W: Array, problem: Problem) -> Array:
    """S2 + S21 for checked arguments: (Y - T)ᵀ diag(s) X + ∇R."""
    r = residual_rows(sample_logits(W, problem.X), problem.T) * problem.sample_weight[:, None]
    return sum_over_samples(r, problem.X, W) + penalty_gradient(W, problem)


def quadratic_form_on_arrays(Y: Array, W: Array, problem: Problem, V: Array) -> Array:
    """S4 for checked arguments: Σ_n s_n Var_{i∼y_n}[(V x_n)_i] + D²R[V, V]."""
    u = centred(Y, sample_logits(V, problem.X))
    variance = jnp.sum(Y * u * u, axis=-1)
    return jnp.sum(problem.sample_weight * variance) + penalty_quadratic_form(W, problem, V)


@jax.jit
def _gradient(W: Array, problem: Problem) -> Array:
    return gradient_on_arrays(W, problem)


def _vg(W: Array, problem: Problem, where: Placement) -> tuple[Array, Array]:
    value, grad = fused_value_and_gradient(W, problem, where)
    return value + penalty_value(W, problem), grad + penalty_gradient(W, problem)


_value_and_gradient = jax.jit(_vg, static_argnums=2)


def _hv(W: Array, problem: Problem, V: Array, where: Placement) -> Array:
    return fused_hvp(W, problem, V, where) + penalty_hvp(W, problem, V)


_hvp = jax.jit(_hv, static_argnums=3)


@jax.jit
def _quadratic_form(W: Array, problem: Problem, V: Array) -> Array:
    return quadratic_form_on_arrays(softmax_rows(sample_logits(W, problem.X)), W, problem, V)


@jax.jit
def _third_derivative(W: Array, problem: Problem, V: Array, U: Array) -> Array:
    Y = softmax_rows(sample_logits(W, problem.X))
    v, u = centred(Y, sample_logits(V, problem.X)), centred(Y, sample_logits(U, problem.X))
    cumulant = jnp.sum(Y * v * u * u, axis=-1)
    return jnp.sum(problem.sample_weight * cumulant) + penalty_third_derivative(W, problem, V, U)


def gradient(W: Any, problem: Problem) -> Array:
    """The gradient of the loss, (Y - T)ᵀ diag(s) X + ∇R(W), shape (C, D), compute dtype (S2, S21).

    Differentiable in W, X, T and s. It reads X twice; `value_and_gradient` reads it once.

    Raises:
        ValueError, TypeError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> js.gradient(np.zeros((2, 2), dtype="float32"), problem).tolist()
        [[-0.5, 0.5], [0.5, -0.5]]

    Source: [R], the key equation; in [R]'s layout -(T - Y) Xᵀ.
    """
    return _gradient(as_weights(W, problem), problem)


def value_and_gradient(W: Any, problem: Problem) -> tuple[Array, Array]:
    """The loss and its gradient in one pass that reads X once: a scalar and a (C, D) array (S1, S2, S21).

    X is taken in blocks of rows that stay in cache for both products; a sharded X is worked on shard by shard.

    Raises:
        ValueError, TypeError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> value, grad = js.value_and_gradient(np.zeros((2, 2), dtype="float32"), problem)
        >>> print(value, grad.tolist())
        1.3862944 [[-0.5, 0.5], [0.5, -0.5]]
    """
    return _value_and_gradient(as_weights(W, problem), problem, placement(problem))


def hvp(W: Any, problem: Problem, V: Any) -> Array:
    """The Hessian at W times V, D²L(W)[V, ·] = (Y ∘ (U - ū))ᵀ diag(s) X with U = X Vᵀ, shape (C, D) (S4, S21).

    For many products at one W use ``hessian(W, problem) @ V``, which computes the probabilities once.

    Raises:
        ValueError, TypeError: if W or V does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> W = np.zeros((2, 2), dtype="float32")
        >>> js.hvp(W, problem, np.array([[1, 0], [0, 0]], dtype="float32")).tolist()
        [[0.25, 0.0], [-0.25, 0.0]]
    """
    return _hvp(as_weights(W, problem), problem, as_weights(V, problem, "V"), placement(problem))


def quadratic_form(W: Any, problem: Problem, V: Any) -> Array:
    """The curvature of the loss at W along V, D²L(W)[V, V], a scalar, never negative (S4, S5).

    Σ_n s_n Var_{i∼y_n}[(V x_n)_i] + D²R(W)[V, V], computed as a sum of squares: it keeps its relative accuracy where
    Σ y u² - ū² would cancel and turn negative.

    Raises:
        ValueError, TypeError: if W or V does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> W = np.zeros((2, 2), dtype="float32")
        >>> print(js.quadratic_form(W, problem, np.array([[1, 0], [0, 0]], dtype="float32")))
        0.25
    """
    return _quadratic_form(as_weights(W, problem), problem, as_weights(V, problem, "V"))


def third_derivative(W: Any, problem: Problem, V: Any, U: Any = None) -> Array:
    """The third derivative D³L(W)[V, U, U], a scalar (S8): how the curvature along U changes in the direction V.

    Σ_n s_n E_{y_n}[(v - v̄)(u - ū)²] + D³R(W)[V, U, U].

    Args:
        W: (C, D) weights.
        problem: the data.
        V: (C, D) direction that enters once, v = V x_n.
        U: (C, D) direction that enters twice, u = U x_n; V when None.

    Raises:
        ValueError, TypeError: if W, V or U does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> W = np.log(np.array([[3, 1], [1, 1]], dtype="float32"))
        >>> print(round(float(js.third_derivative(W, problem, np.array([[1, 0], [0, 0]], dtype="float32"))), 6))
        -0.09375
    """
    W, V = as_weights(W, problem), as_weights(V, problem, "V")
    return _third_derivative(W, problem, V, V if U is None else as_weights(U, problem, "U"))
