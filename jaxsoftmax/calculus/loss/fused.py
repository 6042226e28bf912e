"""The fused path: value and gradient (S1, S2) and Hessian-vector product (S4) that read X once.

Both need two products with X. Over blocks of rows that stay in cache (blocks.py) the second product finds X already
there. A block is held as (C, rows), so that the softmax of many rows is one vectorised sweep.

Guarded by `tests/linalg/test_blocks.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.rules import cross_entropy_rows, residual_rows, softmax_rows
from jaxsoftmax.linalg.blocks import Placement, sum_blocks
from jaxsoftmax.linalg.products import PRECISION, sample_logits, sum_over_samples
from jaxsoftmax.linalg.stable_softmax import (
    centred,
    softmax_terms,
    terms_neg_log,
    terms_probabilities,
    terms_residual,
    weighted_neg_log,
)
from jaxsoftmax.problem.problem import Problem

Array = jax.Array


def _class_logits(W: Array, X: Array) -> Array:
    """W Xᵀ, (C, rows)."""
    return jnp.einsum("cd,nd->cn", W, X.astype(W.dtype), precision=PRECISION)


def _times_samples(R: Array, X: Array) -> Array:
    """R X for R (C, rows), contracted as (rows, C)ᵀ (rows, D).

    On CPU that form is summed in pieces of some 250 rows; the other one row after row, where the rounding errors of
    equal terms (an intercept, saturated probabilities) all go one way and pass eps·(8 + √N)·Σ|terms|. The barrier keeps
    XLA from folding the transpose into the product and so back into the other form.
    """
    rows = jax.lax.optimization_barrier(R.T)
    return jnp.einsum("nc,nd->cd", rows, X.astype(R.dtype), precision=PRECISION)


def _value_and_gradient_block(W: Array, X: Array, T: Array, s: Array) -> tuple[Array, Array]:
    t = T.T
    terms = softmax_terms(_class_logits(W, X), axis=0)
    ce = weighted_neg_log(t, terms_neg_log(terms), axis=0)
    r = terms_residual(terms, terms_probabilities(terms), t, axis=0)
    return jnp.sum(s * jnp.where((s > 0) | jnp.isfinite(ce), ce, 0)), _times_samples(r * s, X)


def _hvp_block(V: Array, X: Array, Y: Array, s: Array) -> Array:
    y = Y.T
    return _times_samples(y * centred(y, _class_logits(V, X), axis=0) * s, X)


def _hvp_block_at(V: Array, W: Array, X: Array, s: Array) -> Array:
    y = terms_probabilities(softmax_terms(_class_logits(W, X), axis=0))
    return _times_samples(y * centred(y, _class_logits(V, X), axis=0) * s, X)


def _hvp_block_many(V: Array, X: Array, Y: Array, s: Array) -> Array:
    """k directions V (k, C, D) at once: their logits are one product of X with k·C rows."""
    y = Y.T[None]
    u = _class_logits(V.reshape(-1, V.shape[2]), X).reshape(V.shape[0], V.shape[1], -1)
    return _times_samples((y * centred(y, u, axis=1) * s).reshape(-1, X.shape[0]), X).reshape(V.shape)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value_and_gradient(where: Placement, W: Array, X: Array, T: Array, s: Array) -> tuple[Array, Array]:
    if not where.blocks:
        return _value_and_gradient_plain(W, X, T, s)
    out = (jax.ShapeDtypeStruct((), W.dtype), jax.ShapeDtypeStruct(W.shape, W.dtype))
    return sum_blocks(where, _value_and_gradient_block, (W,), (X, T, s), out)


def _value_and_gradient_plain(W: Array, X: Array, T: Array, s: Array) -> tuple[Array, Array]:
    z = sample_logits(W, X)
    ce = cross_entropy_rows(z, T)
    value = jnp.sum(s * jnp.where((s > 0) | jnp.isfinite(ce), ce, 0))
    return value, sum_over_samples(residual_rows(z, T) * s[:, None], X, W)


@_value_and_gradient.defjvp
def _value_and_gradient_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    # The blocks compute raw pieces; their derivatives are those of the plain formulas, which carry the hand rules.
    return _value_and_gradient(where, *primals), jax.jvp(_value_and_gradient_plain, primals, tangents)[1]


def fused_value_and_gradient(W: Array, problem: Problem, where: Placement) -> tuple[Array, Array]:
    """(Σ_n s_n CE_n, (Y - T)ᵀ diag(s) X) without penalties, X read once (S1, S2)."""
    return _value_and_gradient(where, W, problem.X, problem.T, problem.sample_weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _hvp(where: Placement, W: Array, V: Array, X: Array, s: Array) -> Array:
    if not where.blocks:
        return _hvp_plain(W, V, X, s)
    out = jax.ShapeDtypeStruct(W.shape, W.dtype)
    return sum_blocks(where, _hvp_block_at, (V, W), (X, s), out)


def _hvp_plain(W: Array, V: Array, X: Array, s: Array) -> Array:
    return _hvp_from_rows_plain(softmax_rows(sample_logits(W, X)), V, X, s)


def _hvp_from_rows_plain(Y: Array, V: Array, X: Array, s: Array) -> Array:
    return sum_over_samples(Y * centred(Y, sample_logits(V, X)) * s[:, None], X, V)


@_hvp.defjvp
def _hvp_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    return _hvp(where, *primals), jax.jvp(_hvp_plain, primals, tangents)[1]


def fused_hvp(W: Array, problem: Problem, V: Array, where: Placement) -> Array:
    """(Y ∘ (U - ū))ᵀ diag(s) X at W without penalties, X read once (S4)."""
    return _hvp(where, W, V, problem.X, problem.sample_weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _hvp_from_rows(where: Placement, Y: Array, V: Array, X: Array, s: Array) -> Array:
    if not where.blocks:
        return _hvp_from_rows_plain(Y, V, X, s)
    out = jax.ShapeDtypeStruct(V.shape, V.dtype)
    return sum_blocks(where, _hvp_block, (V,), (X, Y, s), out)


@_hvp_from_rows.defjvp
def _hvp_from_rows_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    return _hvp_from_rows(where, *primals), jax.jvp(_hvp_from_rows_plain, primals, tangents)[1]


def fused_hvp_from_probabilities(Y: Array, problem: Problem, V: Array, where: Placement) -> Array:
    """(Y ∘ (U - ū))ᵀ diag(s) X at cached probabilities Y (N, C), without penalties, X read once (S4)."""
    return _hvp_from_rows(where, Y, V, problem.X, problem.sample_weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _hvp_many(where: Placement, Y: Array, V: Array, X: Array, s: Array) -> Array:
    if not where.blocks:
        return _hvp_many_plain(Y, V, X, s)
    out = jax.ShapeDtypeStruct(V.shape, V.dtype)
    return sum_blocks(where, _hvp_block_many, (V,), (X, Y, s), out)


def _hvp_many_plain(Y: Array, V: Array, X: Array, s: Array) -> Array:
    return jax.lax.map(lambda v: _hvp_from_rows_plain(Y, v, X, s), V)


@_hvp_many.defjvp
def _hvp_many_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    return _hvp_many(where, *primals), jax.jvp(_hvp_many_plain, primals, tangents)[1]


def fused_hvp_many(Y: Array, problem: Problem, V: Array, where: Placement) -> Array:
    """The products of `fused_hvp_from_probabilities` for k directions V (k, C, D) with one read of X (S4)."""
    return _hvp_many(where, Y, V, problem.X, problem.sample_weight)
