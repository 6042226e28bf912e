"""Textbook loss and its automatic derivatives (S1-S4, S8, S21), independent of every hand rule.

This file is one of the two sides that ``crosscheck`` compares, so it shares nothing with the other side: it imports
JAX and nothing of ours, knows the problem only by its attributes ``X`` (N, D), ``T`` (N, C), ``sample_weight`` (N,),
``regularizer`` (a tuple) and ``intercept``, and writes softmax with ``max``, ``exp`` and ``log`` because
``jax.nn``'s functions may carry custom rules of their own. A test scans the jaxpr of every function for
custom rules.

The row loss is S1 in the form ``(1't) lse(z) - t'z``. S1 is usually printed as ``lse(z) - t'z``; the factor is 1 when
the row of T sums to 1. Stored rows sum to 1 up to rounding, and with the factor the two forms of S1 (this one and
``sum_i t_i (-log y_i)``) are the same function of the stored numbers, to rounding of the evaluation alone.

Plain formulas lose digits (section 7); run them in float64 on numbers upcast by `plain`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "PlainProblem",
    "PlainTerm",
    "gradient",
    "hessian",
    "hvp",
    "log_probabilities",
    "loss",
    "plain",
    "probabilities",
    "quadratic_form",
    "third_derivative",
    "value_and_gradient",
]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PlainTerm:
    """One penalty as plain numbers: ``kind`` "l2" (alpha), "logcosh" (alpha and gamma) or "self" (gamma).

    Attributes:
        value: the stored alpha, or the gamma of "self", a float64 NumPy scalar array.
        kind: "l2", "logcosh" or "self".
        penalize_intercept: whether an L2 or log-cosh term includes the intercept column.
        gamma: the stored gamma of "logcosh", else None.
    """

    value: Any
    kind: str = dataclasses.field(metadata={"static": True})
    penalize_intercept: bool = dataclasses.field(default=True, metadata={"static": True})
    gamma: Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PlainProblem:
    """The stored numbers of a problem as plain float64 arrays; accepted wherever this module takes a problem.

    Attributes:
        X: (N, D) inputs. T: (N, C) targets. sample_weight: (N,) weights. regularizer: tuple of `PlainTerm`.
        intercept: whether the last column of X is the intercept.
    """

    X: Any
    T: Any
    sample_weight: Any
    regularizer: tuple[PlainTerm, ...]
    intercept: bool = dataclasses.field(default=False, metadata={"static": True})


def _term(term: Any, dtype: Any = None) -> PlainTerm:
    """A penalty by its kind, for whose formula the reference has its own; ``dtype`` rounds its numbers first."""
    if isinstance(term, PlainTerm):
        return term
    kind = getattr(term, "kind", None)
    if kind not in ("l2", "logcosh", "self"):
        raise TypeError(
            f"regularizer: the reference has no formula of its own for {type(term).__name__}, so nothing would check "
            "it; use L2(alpha), LogCosh(alpha, gamma) or SelfRegularizer(gamma)."
        )
    whole = bool(term.penalize_intercept)
    value, gamma = (term.gamma, None) if kind == "self" else (term.alpha, getattr(term, "gamma", None))
    if dtype is not None:  # A Python float takes part in float32 arithmetic as its float32 rounding.
        value = np.asarray(np.asarray(value, dtype), np.float64)
        gamma = None if gamma is None else np.asarray(np.asarray(gamma, dtype), np.float64)
    return PlainTerm(value, kind, whole, gamma)


def plain(problem: Any, rows: slice = slice(None), *, regularizer: bool = True) -> PlainProblem:
    """The stored numbers of a problem, upcast to float64 NumPy; every upcast is exact.

    Args:
        problem: a `jaxsoftmax.Problem` (concrete), or anything with its attributes.
        rows: which samples to keep.
        regularizer: keep the penalties (drop them in all row blocks but one, so that blocks add up).

    Returns:
        A `PlainProblem` of float64 NumPy arrays. Penalty constants are first rounded to the compute dtype.

    Example:
        >>> import numpy as np, jaxsoftmax as js
        >>> from jaxsoftmax.evidence.crosscheck import reference
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 2])
        >>> reference.plain(problem).X.dtype
        dtype('float64')
    """
    dtype = np.dtype(getattr(problem, "dtype", np.float64))
    terms = tuple(_term(t, dtype) for t in problem.regularizer) if regularizer else ()
    X, T, s = (np.asarray(a[rows]).astype(np.float64) for a in (problem.X, problem.T, problem.sample_weight))
    return PlainProblem(X, T, s, terms, bool(problem.intercept))


def _logits(W: Any, problem: Any) -> jax.Array:
    W = jnp.asarray(W)
    X = jnp.asarray(problem.X).astype(jnp.result_type(W, jnp.asarray(problem.T)))
    return jnp.matmul(X, W.T, precision=jax.lax.Precision.HIGHEST)


def _log_sum_exp(z: jax.Array) -> jax.Array:
    m = jax.lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    return (m + jnp.log(jnp.sum(jnp.exp(z - m), axis=-1, keepdims=True)))[..., 0]


def probabilities(W: Any, problem: Any) -> jax.Array:
    """Y = softmax(X W') by the plain formula, (N, C)."""
    z = _logits(W, problem)
    e = jnp.exp(z - jnp.max(z, axis=-1, keepdims=True))
    return e / jnp.sum(e, axis=-1, keepdims=True)


def log_probabilities(W: Any, problem: Any) -> jax.Array:
    """log Y = z - lse(z) by the plain formula, (N, C)."""
    z = _logits(W, problem)
    return z - _log_sum_exp(z)[:, None]


def _penalty(W: jax.Array, problem: Any) -> jax.Array:
    total = jnp.zeros((), W.dtype)
    for term in (_term(t) for t in problem.regularizer):
        value = jnp.asarray(term.value, W.dtype)
        part = W[:, :-1] if problem.intercept and not term.penalize_intercept else W
        if term.kind == "l2":
            total = total + value / 2 * jnp.sum(part**2)
        elif term.kind == "logcosh":
            x = jnp.asarray(term.gamma, W.dtype) * part
            # log(2 cosh x) = log(exp(x) + exp(-x))
            total = total + value / jnp.asarray(term.gamma, W.dtype) * jnp.sum(_log_sum_exp(jnp.stack([x, -x], -1)))
        else:
            columns = value * W.T
            total = total + jnp.sum(_log_sum_exp(columns) - jnp.mean(columns, axis=-1))
    return total


def loss(W: Any, problem: Any) -> jax.Array:
    """The textbook loss (S1) with the penalties of S21, a scalar.

    Args:
        W: (C, D) weights.
        problem: the problem, or its `plain` form.

    Returns:
        ``sum_n s_n [(1't_n) lse(z_n) - t_n'z_n] + penalties`` in the dtype of W and T.

    Example:
        >>> import jax, numpy as np, jaxsoftmax as js
        >>> from jaxsoftmax.evidence.crosscheck import reference
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 2])
        >>> with jax.enable_x64(True):
        ...     value = float(reference.loss(np.zeros((3, 4)), reference.plain(problem)))
        >>> round(value, 6)  # 3 log 3
        3.295837
    """
    W = jnp.asarray(W)
    z, T = _logits(W, problem), jnp.asarray(problem.T)
    rows = jnp.sum(T, axis=-1) * _log_sum_exp(z) - jnp.sum(T * z, axis=-1)
    return jnp.sum(jnp.asarray(problem.sample_weight) * rows) + _penalty(W, problem)


def gradient(W: Any, problem: Any) -> jax.Array:
    """``jax.grad`` of `loss`, (C, D): what S2 claims in closed form."""
    return jax.grad(loss)(jnp.asarray(W), problem)


def value_and_gradient(W: Any, problem: Any) -> tuple[jax.Array, jax.Array]:
    """``jax.value_and_grad`` of `loss`: a scalar and (C, D)."""
    return jax.value_and_grad(loss)(jnp.asarray(W), problem)


def hvp(W: Any, problem: Any, V: Any) -> jax.Array:
    """Hessian-vector product by ``jvp`` of ``grad``, (C, D): what S4 claims in closed form."""
    return jax.jvp(lambda w: gradient(w, problem), (jnp.asarray(W),), (jnp.asarray(V),))[1]


def quadratic_form(W: Any, problem: Any, V: Any) -> jax.Array:
    """``<V, hvp(W, problem, V)>``, a scalar (S4, S5). Unlike the hand rule it can come out negative by rounding."""
    return jnp.sum(jnp.asarray(V) * hvp(W, problem, V))


def hessian(W: Any, problem: Any) -> jax.Array:
    """``jax.hessian`` of `loss` as a (C D, C D) matrix, row-major vec (S4)."""
    W = jnp.asarray(W)
    return jax.hessian(loss)(W, problem).reshape(W.size, W.size)


def third_derivative(W: Any, problem: Any, V: Any, U: Any = None) -> jax.Array:
    """D^3 L(W)[V, U, U] by nested ``jvp``, a scalar (S8); ``U=None`` means ``U=V``."""
    W, V = jnp.asarray(W), jnp.asarray(V)
    U = V if U is None else jnp.asarray(U)

    def along(function, direction):
        return lambda w: jax.jvp(function, (w,), (direction,))[1]

    return along(along(along(lambda w: loss(w, problem), U), U), V)(W)
