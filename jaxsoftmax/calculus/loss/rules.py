"""The hand-written rules: logits-level cross-entropy and its pieces as nested `custom_jvp` functions (S1, S2, S4).

The tangent of the loss is a residual, the residual's tangent is a softmax tangent, and each is a `custom_jvp` of its
own with symbolic zeros. So forward, reverse and mixed derivatives of any order, in logits and targets, on sharded
arrays too, are the closed forms of S2 and S4 and keep their relative accuracy.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxsoftmax.linalg.stable_softmax import (
    centred,
    softmax_terms,
    terms_neg_log,
    terms_probabilities,
    terms_residual,
    weighted_neg_log,
)

Array = jax.Array


@jax.custom_jvp
def softmax_rows(z: Array) -> Array:
    """softmax along the last axis with the rule D y[u] = y ∘ (u - ū) (S4)."""
    return terms_probabilities(softmax_terms(z))


@softmax_rows.defjvp
def _softmax_rows_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y = softmax_rows(*primals)
    return y, y * centred(y, tangents[0])


@jax.custom_jvp
def neg_log_softmax_rows(z: Array) -> Array:
    """-log softmax along the last axis with the rule D(-log y)[u] = ū - u."""
    return terms_neg_log(softmax_terms(z))


@neg_log_softmax_rows.defjvp
def _neg_log_softmax_rows_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,) = primals
    return neg_log_softmax_rows(z), -centred(softmax_rows(z), tangents[0])


@jax.custom_jvp
def residual_rows(z: Array, t: Array) -> Array:
    """(Σt)·y - t along the last axis (S2); for rows of T that sum to 1, y - t."""
    terms = softmax_terms(z)
    return terms_residual(terms, terms_probabilities(terms), t)


def _residual_rows_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (z, t), (dz, dt) = primals, tangents
    r, y = residual_rows(z, t), softmax_rows(z)
    out = jnp.zeros_like(r)
    if not isinstance(dz, SymbolicZero):
        out = out + jnp.sum(t, axis=-1, keepdims=True) * (y * centred(y, dz))
    if not isinstance(dt, SymbolicZero):
        out = out + (jnp.sum(dt, axis=-1, keepdims=True) * y - dt)
    return r, out


residual_rows.defjvp(_residual_rows_jvp, symbolic_zeros=True)


@jax.custom_jvp
def cross_entropy_rows(z: Array, t: Array) -> Array:
    """Σ_i t_i (-log y_i) along the last axis (S1)."""
    return weighted_neg_log(t, terms_neg_log(softmax_terms(z)))


def _cross_entropy_rows_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (z, t), (dz, dt) = primals, tangents
    value = cross_entropy_rows(z, t)
    out = jnp.zeros_like(value)
    if not isinstance(dz, SymbolicZero):
        out = out + jnp.sum(residual_rows(z, t) * dz, axis=-1)
    if not isinstance(dt, SymbolicZero):
        neg_log = neg_log_softmax_rows(z)
        # A class of probability 0 has -log y = inf; its product with a zero tangent must stay 0, not NaN.
        neg_log = jnp.where(jnp.isfinite(neg_log), neg_log, jnp.finfo(z.dtype).max)
        out = out + jnp.sum(dt * neg_log, axis=-1)
    return value, out


cross_entropy_rows.defjvp(_cross_entropy_rows_jvp, symbolic_zeros=True)

_compiled_cross_entropy = jax.jit(cross_entropy_rows)


def softmax_cross_entropy(
    logits: Any, targets: Any = None, axis: int = -1, where: Any = None, *, labels: Any = None
) -> Array:
    """Cross-entropy Σ_i t_i (-log softmax(z)_i) along an axis, with hand-derived rules of every order (S1, S2, S4).

    A drop-in for ``optax.losses.softmax_cross_entropy`` (``labels=`` is accepted for ``targets=``): same values and
    derivatives, also for targets that do not sum to 1, whose gradient in the logits is (Σt)·y - t. What differs is
    accuracy: y and -log y are within 4·eps·(1 + log2 C) relative, so the loss and the gradient of a sample that is
    confidently right (a loss of 1e-300) keep their digits.

    Args:
        logits: (..., C) real floating array; dtypes below 32 bits are computed in float32.
        targets: array broadcastable to `logits`: one-hot, soft or count targets.
        axis: the class axis.
        where: optional boolean array broadcastable to `logits`: classes marked False are left out. As in optax an array
            of fewer dimensions is first expanded at `axis`, so that an (N,) mask selects rows.
        labels: optax's name for `targets`.

    Returns:
        The loss per row, the shape of `logits` without `axis`, in the promoted dtype.

    Raises:
        TypeError: if `logits` is not floating, or if not exactly one of `targets` and `labels` is given.
        ValueError: if the shapes do not broadcast.

    Example:
        >>> import jaxsoftmax as js, jax.numpy as jnp
        >>> print(js.softmax_cross_entropy(jnp.array([80.0, 0.0]), jnp.array([1.0, 0.0])))
        1.8048513e-35

    Source: [R], equation for the loss; section 7.1-7.3.
    """
    if (targets is None) == (labels is None):
        raise TypeError("softmax_cross_entropy: give exactly one of `targets` and `labels` (optax's name for it).")
    z = jnp.asarray(logits)
    t = jnp.asarray(labels if targets is None else targets)
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise TypeError(f"logits: dtype {z.dtype} is not floating; convert with logits.astype(jnp.float32).")
    if jnp.issubdtype(t.dtype, jnp.complexfloating):
        raise TypeError(f"targets: dtype {t.dtype} is complex; targets are real numbers.")
    if z.ndim == 0 or not -z.ndim <= axis < z.ndim:
        raise ValueError(f"axis: {axis} is not an axis of logits of shape {z.shape}; use one of its {z.ndim} axes.")
    if where is not None and jnp.ndim(where) not in (0, z.ndim):
        where = jnp.expand_dims(jnp.asarray(where), axis)
    try:
        shape = jnp.broadcast_shapes(z.shape, t.shape, () if where is None else jnp.shape(where))
    except ValueError:
        raise ValueError(
            f"targets: shape {t.shape} (where: {None if where is None else jnp.shape(where)}) does not broadcast with "
            f"logits of shape {z.shape}; both have one entry a class along axis {axis}."
        ) from None
    out_dtype = jnp.result_type(z.dtype, t.dtype)
    work = jnp.promote_types(out_dtype, jnp.float32)
    z, t = jnp.broadcast_to(z, shape).astype(work), jnp.broadcast_to(t, shape).astype(work)
    if where is not None:
        mask = jnp.broadcast_to(jnp.asarray(where, dtype=bool), shape)
        z, t = jnp.where(mask, z, -jnp.inf), jnp.where(mask, t, 0)
    value = _compiled_cross_entropy(jnp.moveaxis(z, axis, -1), jnp.moveaxis(t, axis, -1))
    return value.astype(out_dtype)
