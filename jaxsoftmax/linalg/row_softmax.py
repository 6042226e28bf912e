"""Softmax of rows in few passes over the logits, every digit kept (section 7, facts 1-3), without custom rules.

`stable_softmax.py` holds the pieces of a block that stays in cache; here the logits are large, and what costs is each
pass over them and each array of their size. So a pass reads the logits, whatever their dtype, and leaves one number a
row; exp is computed again where it is needed rather than kept. A pass is written as a sum of slices of the row, which
the compiler vectorises (a reduction along the last axis it does not) and which is a pairwise sum as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.linalg.stable_softmax import two_sum

Array = jax.Array

# Rows of few columns: exp of the whole row is kept, since the gradient needs it too and so short a loop is costly.
# A longer row is cut into this many slices at most, none narrower than a vector register unless all are single columns.
_SLICES, _NARROW = 32, 8


def working_dtype(*dtypes: Any) -> Any:
    """The promoted dtype, at least float32: what a row is computed in."""
    return jnp.promote_types(jnp.result_type(*dtypes), jnp.float32)


def _columns(x: Array, start: int, stop: int) -> Array:
    return jax.lax.slice_in_dim(x, start, stop, axis=-1)


def _stored(x: Array) -> Array:
    """x; for bfloat16 its bits, since XLA for CPU would keep a float32 copy of all of it."""
    return jax.lax.bitcast_convert_type(x, np.uint16) if x.dtype == jnp.bfloat16 else x


def _widened(x: Array, dtype: Any) -> Array:
    """What `_stored` gave, or part of it, in the working dtype."""
    if x.dtype == np.uint16:
        x = jax.lax.bitcast_convert_type(x.astype(np.uint32) << 16, np.float32)
    return x.astype(dtype)


def _balanced(op: Callable[[Array, Array], Array], parts: list[Array]) -> Array:
    while len(parts) > 1:
        paired = [op(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = paired + parts[len(parts) - len(parts) % 2 :]
    return parts[0]


def sum_columns(part: Callable[[int, int], Array], n: int) -> Array:
    """Σ over n columns, kept with length 1, where part(start, stop) holds columns start to stop.

    Depth of the additions: at most 5 a level of slices, then 7; relative error for terms of one sign at most
    eps·(1 + log2 n).
    """
    if n <= _SLICES:
        return _balanced(jnp.add, [part(i, i + 1) for i in range(n)])
    width = max(-(-n // _SLICES), _NARROW)
    parts = [part(i, i + width) for i in range(0, n - width + 1, width)]
    rest = n % width
    if rest:
        # The last slice overlaps the one before it; what was counted already is left out.
        new = jax.lax.iota(np.int32, width) >= width - rest
        parts.append(jnp.where(new, part(n - width, n), 0))
    x = _balanced(jnp.add, parts)
    if width <= _NARROW:
        return jnp.sum(x, axis=-1, keepdims=True)
    return sum_columns(lambda start, stop: _columns(x, start, stop), width)


def _once(x: Array, seed: Array) -> Array:
    """x, computed once: XLA repeats sums and maxima in whatever uses them, a quotient not. The divisor is 1."""
    return x / (1 + 0 * seed)


def _seed(x: Array, dtype: Any) -> Array:
    """One finite number a row that the compiler does not know: of the targets, whose logits may be infinite."""
    return _widened(_columns(x, 0, 1), dtype)


def _sum(x: Array, dtype: Any) -> Array:
    total = sum_columns(lambda start, stop: _widened(_columns(x, start, stop), dtype), x.shape[-1])
    return _once(total, _seed(x, dtype)) if x.shape[-1] <= _SLICES else total


def _maximum(z: Array, dtype: Any, seed: Array) -> Array:
    """max over the last axis, kept with length 1; NaN where a row holds one."""
    n = z.shape[-1]
    width = max(-(-n // _SLICES), _NARROW) if n > _SLICES else 1
    starts = [*range(0, n - width, width), n - width]
    x = _balanced(jnp.maximum, [_widened(_columns(z, i, i + width), dtype) for i in starts])
    return _once(x, seed) if n <= _SLICES else jnp.max(x, axis=-1, keepdims=True)


class Shift(NamedTuple):
    """What a row's exponentials have in common, each (..., 1), in the working dtype.

    exp(z - m) is exp(z + `offset`) / `top`, m the `maximum`: `offset` + r = lift - m exactly, `top` = exp(lift - r).
    The lift (24, in float64 64) raises the row above underflow: C terms that vanish one by one may sum to a normal
    number.
    """

    maximum: Array
    offset: Array
    top: Array


def row_shift(z: Array, dtype: Any, seed: Array) -> Shift:
    """The shift of each row of logits (S1, section 7.1)."""
    info = jnp.finfo(dtype)
    maximum = _maximum(z, dtype, seed)
    finite = jnp.clip(maximum, -float(info.max), float(info.max))
    lift = 64.0 if info.bits == 64 else 24.0
    # The barrier hides the constant: the compiler would add it up with itself, and the rounding error would be gone.
    offset, r = two_sum(jax.lax.optimization_barrier(jnp.asarray(lift, dtype)), -finite)
    # exp(r) from three terms, r^3/6 < eps/6. Where r is too large for them (|m| > 2^16, in float64 2^36, just above a
    # power of two; or |m| beyond 2^26, 2^58) there is no lift.
    small = jnp.abs(r) < float(info.eps) ** (1 / 3)
    r = jnp.where(small, r, 0)
    top = jnp.where(small, float(np.exp(lift)), 1) / (1 + (r + r * r / 2))
    return Shift(maximum, jnp.where(small, offset, -finite), top)


def log_of_sum(a: Array, b: Array) -> Array:
    """log(a + b) for a, b >= 0 with a + b >= 1: two or three eps relative, also where the sum is next to 1.

    The rounding error of the sum comes back as a term: log1p by way of a logarithm that vectorises.
    """
    s, error = two_sum(a, b)
    return jnp.log(s) + error / s


def weights(z: Array, shift: Shift) -> Array:
    """exp(z - m)·top: `top` itself at the maximum, within 2 or 3 eps elsewhere (section 7.1).

    The difference d carries its rounding error e, and exp(d)(1 + e) keeps what exp(d) alone, wrong by |d| eps/2, loses.
    An infinite or overflowing d has no error worth the name (NaN, or huge); its exp is 0.
    """
    z = _widened(z, shift.offset.dtype)
    d, e = two_sum(z, shift.offset)
    return jnp.where(z == shift.maximum, shift.top, jnp.exp(d) * (1 + jnp.where(jnp.abs(e) < 1, e, 0)))


def _below(z: Array, shift: Shift) -> Array:
    """m - z, which is 0 also where both are infinite."""
    z = _widened(z, shift.offset.dtype)
    return jnp.where(z == shift.maximum, 0, shift.maximum - z)


def row_parts(z: Array, shift: Shift, seed: Array) -> tuple[Array, Array]:
    """The number of classes at the maximum, and Σ exp(z - m) over the others, (..., 1): no sum swallows a small one."""
    dtype, n = shift.offset.dtype, z.shape[-1]

    whole = weights(z, shift) if n <= _SLICES else None

    def others(start: int, stop: int) -> Array:
        x = _columns(z, start, stop)
        w = weights(x, shift) if whole is None else _columns(whole, start, stop)
        return jnp.where(_widened(x, dtype) == shift.maximum, 0, w)

    def ties(start: int, stop: int) -> Array:
        return (_widened(_columns(z, start, stop), dtype) == shift.maximum).astype(dtype)

    return _once(sum_columns(ties, n), seed), sum_columns(others, n) / shift.top


def row_probabilities(z: Array, shift: Shift, ties: Array, others: Array) -> Array:
    """softmax(z), each entry within 4 eps (1 + log2 C) relative."""
    return weights(z, shift) * (1 / (shift.top * (ties + others)))


def row_cross_entropy(z: Array, t: Array) -> Array:
    """Σ_i t_i (-log y_i) along the last axis (S1), with 0·inf = 0: a class of target 0 never contributes.

    -log y is a sum of non-negative terms, so a loss of 1e-300 keeps its digits (section 7.2).
    """
    dtype = working_dtype(z.dtype, t.dtype)
    z, t = _stored(z), _stored(t)
    shift = row_shift(z, dtype, _seed(t, dtype))
    lost = log_of_sum(*row_parts(z, shift, _seed(t, dtype)))

    def part(start: int, stop: int) -> Array:
        x, share = _columns(z, start, stop), _widened(_columns(t, start, stop), dtype)
        return jnp.where(share == 0, 0, share * (lost + _below(x, shift)))

    return sum_columns(part, z.shape[-1])[..., 0]


def row_residual(z: Array, t: Array) -> Array:
    """(Σt)·y - t (S2, section 7.3), y - t for rows of T that sum to 1.

    Where a class at the maximum carries the whole target t, t·(y_k - 1) is formed as -t·Σ_{j≠k} y_j, relative accuracy
    kept. Elsewhere the plain difference is accurate relative to max(y, t): below the maximum y_k <= 1/2, so that
    t·y_k - t does not cancel.
    """
    dtype = working_dtype(z.dtype, t.dtype)
    z, t = _stored(z), _stored(t)
    shift = row_shift(z, dtype, _seed(t, dtype))
    ties, others = row_parts(z, shift, _seed(t, dtype))
    y = row_probabilities(z, shift, ties, others)
    total, t = _sum(t, dtype), _widened(t, dtype)
    whole = (_widened(z, dtype) == shift.maximum) & (t == total)
    missing = (others + (ties - 1)) / (ties + others)
    return jnp.where(whole, -t * missing, total * y - t)


class LabelTerms(NamedTuple):
    """The label's row: Σ_{j≠k} exp(z_j - m), exp(z_k - m) and m - z_k, each (..., 1)."""

    shift: Shift
    others: Array
    own: Array
    below: Array


def label_terms(z: Array, k: Array) -> LabelTerms:
    """The pieces of -log y_k and y - e_k (section 7.2, 7.3): the label is left out of the sum, so nothing cancels."""
    dtype = working_dtype(z.dtype)
    z, k = _stored(z), k[..., None]
    shift = row_shift(z, dtype, k.astype(dtype))

    whole = weights(z, shift) if z.shape[-1] <= _SLICES else None

    def part(start: int, stop: int) -> Array:
        classes = start + jax.lax.iota(k.dtype, stop - start)
        w = weights(_columns(z, start, stop), shift) if whole is None else _columns(whole, start, stop)
        return jnp.where(classes == k, 0, w)

    others = sum_columns(part, z.shape[-1]) / shift.top
    # No such class: NaN, which is what the default of an unsigned dtype, all bits set, means in bfloat16 too.
    own = jnp.take_along_axis(z, k, axis=-1, mode="fill")
    return LabelTerms(shift, others, weights(own, shift) / shift.top, _below(own, shift))


def label_cross_entropy(z: Array, k: Array) -> Array:
    """-log y_k along the last axis (S1); log1p(Σ_{j≠k} exp(z_j - z_k)) for a label at the maximum (section 7.2).

    Else (m - z_k) + log(total): neither term is negative, and the loss is at least log 2, so no digit is lost. A label
    outside 0 to C - 1 gives NaN.
    """
    terms = label_terms(z, k)
    return (terms.below + log_of_sum(terms.own, terms.others))[..., 0]


def label_residual(z: Array, k: Array) -> Array:
    """y - e_k along the last axis (S2); at the label -Σ_{j≠k} y_j, which keeps its relative accuracy (section 7.3)."""
    terms = label_terms(z, k)
    total = terms.others + terms.own
    classes = jax.lax.iota(k.dtype, z.shape[-1])
    scale = 1 / (terms.shift.top * total)
    y = jnp.where(classes == k[..., None], -(terms.others * terms.shift.top), weights(_stored(z), terms.shift))
    return y * scale
