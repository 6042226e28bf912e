"""The fused path: value and gradient (S1, S2) and Hessian-vector product (S4) that read X once.

Both need two products with X. Over blocks of rows that stay in cache (blocks.py) the second product finds X already
there. X may be stored in a narrower dtype, and targets as labels: both are widened a block at a time. What is fastest
for which shape was measured (`benchmarks/kernels.py`).

Guarded by `tests/linalg/test_blocks.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.rules import cross_entropy_rows, residual_rows, softmax_rows
from jaxsoftmax.linalg.blocks import Placement, rows_of_blocks, sum_blocks
from jaxsoftmax.linalg.products import PRECISION, sample_logits, sum_over_samples
from jaxsoftmax.linalg.stable_softmax import (
    centred,
    softmax_terms,
    terms_neg_log,
    terms_probabilities,
    terms_residual,
    weighted_neg_log,
)
from jaxsoftmax.problem.label_targets import LabelTargets, dense_targets
from jaxsoftmax.problem.problem import Problem

Array = jax.Array


# A block of up to this many classes is held as (C, rows), so that the softmax of many rows is one vectorised sweep.
_CLASSES_FIRST = 32
# On CPU a product (rows, D)·(D, C) is the faster form from this D on, ...
_WIDE = 128
# ... with the columns of a weight matrix of 4 to 16 classes padded to whole vectors of this many bytes.
_VECTOR_BYTES = 32
_PADDED = range(4, 16)
# On CPU whole products are faster than blocks from this many rows on while the logits take no more than this, where a
# row is narrow (D < _WIDE) or has many classes: most of the work is then in the logits, not in reading X.
_WHOLE_ROWS = 1 << 14
_WHOLE_BYTES = 8 << 20


def _class_axis(where: Placement, C: int) -> int:
    """Where the classes stand in a block: 0 for (C, rows), 1 for (rows, C)."""
    return 1 if where.cpu and C > _CLASSES_FIRST else 0


def _in_blocks(where: Placement, W: Array, X: Array) -> bool:
    """Whether X is read in blocks of rows, or the products are taken whole."""
    N, (C, D) = X.shape[0], W.shape
    small = N >= _WHOLE_ROWS and N * C * W.dtype.itemsize <= _WHOLE_BYTES
    whole = where.cpu and where.axes is None and small and (D < _WIDE or C > _CLASSES_FIRST)
    return where.blocks and not (whole and X.shape[1] == D)


def _product(W: Array, X: Array, axis: int) -> Array:
    """W Xᵀ, or X Wᵀ where `axis` is 1."""
    if axis == 0:
        return jnp.einsum("cd,nd->cn", W, X, precision=PRECISION)
    return jnp.einsum("nd,cd->nc", X, W, precision=PRECISION)


def _block_logits(where: Placement, W: Array, X: Array, axis: int) -> Array:
    """The logits of a block, its classes along `axis`."""
    X = X.astype(W.dtype)
    C, D = W.shape
    if axis == 1 or not where.cpu or D < _WIDE:
        return _product(W, X, axis)
    lanes = _VECTOR_BYTES // W.dtype.itemsize
    spare = -C % lanes if C in _PADDED else 0
    # The barrier keeps XLA from folding the transpose into the product, and so back into the slow form.
    z = jax.lax.optimization_barrier(_product(jnp.pad(W, ((0, spare), (0, 0))), X, 1))
    return z[:, :C].T


def _times_samples(R: Array, X: Array, axis: int) -> Array:
    """Rᵀ X for R (rows, C), R X for (C, rows), contracted as (rows, C)ᵀ (rows, D).

    On CPU that form is summed in pieces of some 250 rows; the other one row after row, where the rounding errors of
    equal terms (an intercept, saturated probabilities) all go one way and pass eps·(8 + √N)·Σ|terms|. The barrier keeps
    XLA from folding the transpose into the product and so back into the other form.
    """
    rows = jax.lax.optimization_barrier(R.T) if axis == 0 else R
    return jnp.einsum("nc,nd->cd", rows, X.astype(R.dtype), precision=PRECISION)


def _with_intercept(W: Array, X: Array) -> Array:
    """A block of X with a column of ones where W has one column more: the intercept then is no stored column."""
    if W.shape[1] == X.shape[1]:
        return X
    return jnp.concatenate([X.astype(W.dtype), jnp.ones((X.shape[0], 1), W.dtype)], axis=1)


def _value_and_gradient_block(
    where: Placement, W: Array, values: Array | None, X: Array, targets: Array, s: Array
) -> tuple[Array, Array]:
    """`targets` are rows of T, or the codes of labels where `values` are the entries of such a row."""
    C, X = W.shape[0], _with_intercept(W, X)
    axis = _class_axis(where, C)
    t = dense_targets(targets if values is None else LabelTargets(targets, values, C), axis)
    terms = softmax_terms(_block_logits(where, W, X, axis), axis)
    ce = weighted_neg_log(t, terms_neg_log(terms), axis)
    r = terms_residual(terms, terms_probabilities(terms), t, axis)
    value = jnp.sum(s * jnp.where((s > 0) | jnp.isfinite(ce), ce, 0))
    return value, _times_samples(r * jnp.expand_dims(s, axis), X, axis)


def _hvp_block(where: Placement, V: Array, X: Array, Y: Array, s: Array) -> Array:
    axis = _class_axis(where, V.shape[0])
    y = Y if axis == 1 else Y.T
    u = centred(y, _block_logits(where, V, X, axis), axis)
    return _times_samples(y * u * jnp.expand_dims(s, axis), X, axis)


def _hvp_block_at(where: Placement, V: Array, W: Array, X: Array, s: Array) -> Array:
    X = _with_intercept(W, X)
    axis = _class_axis(where, V.shape[0])
    y = terms_probabilities(softmax_terms(_block_logits(where, W, X, axis), axis))
    u = centred(y, _block_logits(where, V, X, axis), axis)
    return _times_samples(y * u * jnp.expand_dims(s, axis), X, axis)


def _hvp_block_many(V: Array, X: Array, Y: Array, s: Array) -> Array:
    """k directions V (k, C, D) at once: their logits are one product of X with k·C rows."""
    y = Y.T[None]
    u = _product(V.reshape(-1, V.shape[2]), X.astype(V.dtype), 0).reshape(V.shape[0], V.shape[1], -1)
    return _times_samples((y * centred(y, u, axis=1) * s).reshape(-1, X.shape[0]), X, 0).reshape(V.shape)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value_and_gradient(where: Placement, W: Array, X: Array, T: Any, s: Array) -> tuple[Array, Array]:
    """T is `LabelTargets` or an array (N, C)."""
    if not _in_blocks(where, W, X):
        return _value_and_gradient_plain(W, X, T, s)
    out = (jax.ShapeDtypeStruct((), W.dtype), jax.ShapeDtypeStruct(W.shape, W.dtype))
    block = partial(_value_and_gradient_block, where)
    values, targets = (T.values, T.codes) if isinstance(T, LabelTargets) else (None, T)
    return sum_blocks(where, block, (W, values), (X, targets, s), out, logits=W.shape[0])


def _value_and_gradient_plain(W: Array, X: Array, T: Any, s: Array) -> tuple[Array, Array]:
    z, T = sample_logits(W, X), dense_targets(T)
    ce = cross_entropy_rows(z, T)
    value = jnp.sum(s * jnp.where((s > 0) | jnp.isfinite(ce), ce, 0))
    return value, sum_over_samples(residual_rows(z, T) * s[:, None], X, W)


@_value_and_gradient.defjvp
def _value_and_gradient_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    # The blocks compute raw pieces; their derivatives are those of the plain formulas, which carry the hand rules.
    return _value_and_gradient(where, *primals), jax.jvp(_value_and_gradient_plain, primals, tangents)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _probabilities(where: Placement, W: Array, X: Array) -> Array:
    if not where.blocks or where.axes is not None or not where.cpu or W.shape[0] > _CLASSES_FIRST:
        return _probabilities_plain(W, X)

    def block(x: Array) -> Array:
        return terms_probabilities(softmax_terms(_block_logits(where, W, x, 0), 0)).T

    return block(X) if W.shape[1] >= _WIDE else rows_of_blocks(where, block, X, W.shape[0], W.dtype)


def _probabilities_plain(W: Array, X: Array) -> Array:
    return softmax_rows(sample_logits(W, X))


@_probabilities.defjvp
def _probabilities_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    return _probabilities(where, *primals), jax.jvp(_probabilities_plain, primals, tangents)[1]


def fused_probabilities(W: Array, problem: Problem, where: Placement) -> Array:
    """softmax(X Wᵀ), (N, C), of few classes in blocks of (C, rows) where rows are narrow (S1)."""
    return _probabilities(where, W, problem.X)


def fused_value_and_gradient(W: Array, problem: Problem, where: Placement) -> tuple[Array, Array]:
    """(Σ_n s_n CE_n, (Y - T)ᵀ diag(s) X) without penalties, X read once (S1, S2).

    Where W has a column more than X it is the intercept's; `where` then has blocks, and nothing is differentiated.
    """
    return _value_and_gradient(where, W, problem.X, problem.targets, problem.sample_weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _hvp(where: Placement, W: Array, V: Array, X: Array, s: Array) -> Array:
    if not _in_blocks(where, W, X):
        return _hvp_plain(W, V, X, s)
    out = jax.ShapeDtypeStruct(W.shape, W.dtype)
    block = partial(_hvp_block_at, where)
    return sum_blocks(where, block, (V, W), (X, s), out, logits=W.shape[0])


def _hvp_plain(W: Array, V: Array, X: Array, s: Array) -> Array:
    return _hvp_from_rows_plain(softmax_rows(sample_logits(W, X)), V, X, s)


def _hvp_from_rows_plain(Y: Array, V: Array, X: Array, s: Array) -> Array:
    return sum_over_samples(Y * centred(Y, sample_logits(V, X)) * s[:, None], X, V)


@_hvp.defjvp
def _hvp_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    return _hvp(where, *primals), jax.jvp(_hvp_plain, primals, tangents)[1]


def fused_hvp(W: Array, problem: Problem, V: Array, where: Placement) -> Array:
    """(Y ∘ (U - ū))ᵀ diag(s) X at W without penalties, X read once (S4); X as in `fused_value_and_gradient`."""
    return _hvp(where, W, V, problem.X, problem.sample_weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _hvp_from_rows(where: Placement, Y: Array, V: Array, X: Array, s: Array) -> Array:
    if not _in_blocks(where, V, X):
        return _hvp_from_rows_plain(Y, V, X, s)
    out = jax.ShapeDtypeStruct(V.shape, V.dtype)
    return sum_blocks(where, partial(_hvp_block, where), (V,), (X, Y, s), out, logits=V.shape[0])


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
    return sum_blocks(where, _hvp_block_many, (V,), (X, Y, s), out, logits=V.shape[0] * V.shape[1])


def _hvp_many_plain(Y: Array, V: Array, X: Array, s: Array) -> Array:
    return jax.lax.map(lambda v: _hvp_from_rows_plain(Y, v, X, s), V)


@_hvp_many.defjvp
def _hvp_many_jvp(where: Placement, primals: Any, tangents: Any) -> Any:
    return _hvp_many(where, *primals), jax.jvp(_hvp_many_plain, primals, tangents)[1]


def fused_hvp_many(Y: Array, problem: Problem, V: Array, where: Placement) -> Array:
    """The products of `fused_hvp_from_probabilities` for k directions V (k, C, D) with one read of X (S4)."""
    return _hvp_many(where, Y, V, problem.X, problem.sample_weight)
