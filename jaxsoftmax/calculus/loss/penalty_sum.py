"""S21: the penalties of a problem, added up; the formulas are those of `calculus/penalties/`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import Regularizer

Array = jax.Array


def penalised_columns(penalty: Regularizer, problem: Problem) -> np.ndarray:
    """(D,) float64: 1 for a penalised column, 0 for an intercept that is left out."""
    columns = np.ones(problem.X.shape[1])
    if problem.intercept and not penalty.penalize_intercept:
        columns[-1] = 0.0
    return columns


def penalised(problem: Problem) -> bool:
    """Whether a concrete problem has a penalty of positive strength: then X's null space is not free (S21)."""
    return any(_acts(p) for p in problem.regularizer)


def _acts(penalty: Regularizer) -> bool:
    """Whether a concrete strength is positive, asked of NumPy: a comparison by JAX costs twenty times as much."""
    return bool(np.asarray(penalty.strength) > 0)


def holding(problem: Problem) -> list[tuple[Any, np.ndarray]]:
    """The penalties on entries (`Entrywise`) that a concrete problem has, α > 0, each with its `penalised_columns`."""
    acting = [p for p in problem.regularizer if p.sample_scale is None and _acts(p)]
    return [(p, penalised_columns(p, problem)) for p in acting]


def sample_scales(problem: Problem) -> list[Any]:
    """γ of each penalty that is the loss of D more samples γ e_d with uniform targets (S21d)."""
    return [p.sample_scale for p in problem.regularizer if p.sample_scale is not None]


def _parts(problem: Problem, dtype: Any) -> list[tuple[Regularizer, Array]]:
    return [(p, jnp.asarray(penalised_columns(p, problem), dtype)) for p in problem.regularizer]


def penalty_value(W: Array, problem: Problem) -> Array:
    """R(W), a scalar (S21)."""
    return sum((p.value(W, held) for p, held in _parts(problem, W.dtype)), jnp.zeros((), W.dtype))


def penalty_gradient(W: Array, problem: Problem) -> Array:
    """∇R(W), (C, D) (S21)."""
    return sum((p.gradient(W, held) for p, held in _parts(problem, W.dtype)), jnp.zeros_like(W))


def penalty_hvp(W: Array, problem: Problem, V: Array) -> Array:
    """D²R(W)[V, ·], (C, D) (S21)."""
    return sum((p.hvp(W, held, V) for p, held in _parts(problem, V.dtype)), jnp.zeros_like(V))


def penalty_quadratic_form(W: Array, problem: Problem, V: Array) -> Array:
    """D²R(W)[V, V] ≥ 0, a scalar, as a sum of squares and variances (S21, S4)."""
    return sum((p.quadratic_form(W, held, V) for p, held in _parts(problem, V.dtype)), jnp.zeros((), V.dtype))


def penalty_third_derivative(W: Array, problem: Problem, V: Array, U: Array) -> Array:
    """D³R(W)[V, U, U], a scalar (S8)."""
    return sum((p.third_derivative(W, held, V, U) for p, held in _parts(problem, V.dtype)), jnp.zeros((), V.dtype))


def penalty_class_blocks(W: Array, problem: Problem) -> Array:
    """(C, C, D): entry (a, b, d) is the Hessian entry ((a, d), (b, d)) of R; all others vanish (S21)."""
    zero = jnp.zeros((len(W), *W.shape), W.dtype)
    return sum((p.class_blocks(W, held) for p, held in _parts(problem, W.dtype)), zero)
