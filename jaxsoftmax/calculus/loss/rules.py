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

from jaxsoftmax.linalg.row_softmax import (
    label_cross_entropy,
    label_residual,
    row_cross_entropy,
    row_residual,
)
from jaxsoftmax.linalg.stable_softmax import (
    centred,
    softmax_terms,
    terms_neg_log,
    terms_probabilities,
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
    return row_residual(z, t)


def _residual_rows_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (z, t), (dz, dt) = primals, tangents
    r = residual_rows(z, t)
    y, t, out = softmax_rows(z.astype(r.dtype)), t.astype(r.dtype), jnp.zeros_like(r)
    if not isinstance(dz, SymbolicZero):
        out = out + jnp.sum(t, axis=-1, keepdims=True) * (y * centred(y, dz.astype(r.dtype)))
    if not isinstance(dt, SymbolicZero):
        dt = dt.astype(r.dtype)
        out = out + (jnp.sum(dt, axis=-1, keepdims=True) * y - dt)
    return r, out


residual_rows.defjvp(_residual_rows_jvp, symbolic_zeros=True)


@jax.custom_jvp
def cross_entropy_rows(z: Array, t: Array) -> Array:
    """Σ_i t_i (-log y_i) along the last axis (S1)."""
    return row_cross_entropy(z, t)


def _cross_entropy_rows_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (z, t), (dz, dt) = primals, tangents
    value = cross_entropy_rows(z, t)
    out = jnp.zeros_like(value)
    if not isinstance(dz, SymbolicZero):
        out = out + jnp.sum(residual_rows(z, t) * dz.astype(value.dtype), axis=-1)
    if not isinstance(dt, SymbolicZero):
        neg_log = neg_log_softmax_rows(z.astype(value.dtype))
        # A class of probability 0 has -log y = inf; its product with a zero tangent must stay 0, not NaN.
        neg_log = jnp.where(jnp.isfinite(neg_log), neg_log, jnp.finfo(value.dtype).max)
        out = out + jnp.sum(dt.astype(value.dtype) * neg_log, axis=-1)
    return value, out


cross_entropy_rows.defjvp(_cross_entropy_rows_jvp, symbolic_zeros=True)


@jax.custom_jvp
def label_residual_rows(z: Array, k: Array) -> Array:
    """y - e_k along the last axis (S2), e_k the one-hot row of the label."""
    return label_residual(z, k)


@label_residual_rows.defjvp
def _label_residual_rows_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    r = label_residual_rows(*primals)
    y = softmax_rows(primals[0].astype(r.dtype))
    return r, y * centred(y, tangents[0].astype(r.dtype))


@jax.custom_jvp
def label_cross_entropy_rows(z: Array, k: Array) -> Array:
    """-log y_k along the last axis (S1) for integer labels k."""
    return label_cross_entropy(z, k)


@label_cross_entropy_rows.defjvp
def _label_cross_entropy_rows_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    value = label_cross_entropy_rows(*primals)
    return value, jnp.sum(label_residual_rows(*primals) * tangents[0].astype(value.dtype), axis=-1)
