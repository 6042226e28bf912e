"""Cancellation-free pieces of the softmax layer (section 7, facts 1-4), plain jax.numpy without custom rules.

Every function takes the axis that holds the classes, so that the fused kernels can work on (C, rows) blocks, which
vectorise over rows, with the same arithmetic as the row-major path.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# A plain sum of C positive terms errs by up to (C - 1)/2 eps; up to this many classes that stays inside the
# 4 eps (1 + log2 C) which the library promises, beyond it a pairwise sum is needed.
_PLAIN_SUM_LIMIT = 32


def sum_classes(x: Array, axis: int = -1) -> Array:
    """Sum over the class axis (kept with length 1), relative error at most eps·(1 + log2 C) for terms of one sign."""
    n = x.shape[axis]
    if n <= _PLAIN_SUM_LIMIT:
        return jnp.sum(x, axis=axis, keepdims=True)
    while n > _PLAIN_SUM_LIMIT:
        half = n // 2
        head = jax.lax.slice_in_dim(x, 0, half, axis=axis) + jax.lax.slice_in_dim(x, half, 2 * half, axis=axis)
        if n % 2:
            head = jnp.concatenate([head, jax.lax.slice_in_dim(x, n - 1, n, axis=axis)], axis=axis)
        x, n = head, head.shape[axis]
    return jnp.sum(x, axis=axis, keepdims=True)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """(s, e) with s = fl(a + b) and s + e = a + b exactly (Knuth), barring overflow."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


class SoftmaxTerms(NamedTuple):
    """Softmax of a row of logits, in pieces that keep their relative accuracy.

    With m the row maximum: `top` marks entries equal to m; elsewhere exp(z - m) = `weight`·`scale`; `rest` is
    Σ exp(z - m) - 1, so that Y = (top ? 1 : weight·scale) / (1 + rest) and the total never swallows a small rest.
    """

    top: Array
    weight: Array
    scale: Array
    rest: Array
    shifted: Array
    correction: Array


def softmax_terms(z: Array, axis: int = -1) -> SoftmaxTerms:
    """The pieces of softmax(z) (S1, section 7.1): compensated differences, no underflow of sums of normal size.

    The difference d = z - m carries its rounding error e (TwoDiff), and exp(d)(1 + e) keeps one or two eps where
    exp(d) alone loses |d| eps. In a row whose runner-up is near the underflow threshold, exp is evaluated at d + lift
    and the sum is scaled back once: C terms that underflow one by one may still sum to a normal number.
    """
    info = jnp.finfo(z.dtype)
    maximum = jnp.max(z, axis=axis, keepdims=True)
    top = z == maximum
    d, e = two_sum(z, -maximum)
    d = jnp.where(top, 0, d)
    # An overflowing difference (logits of 1e308) or an infinite logit has no meaningful rounding error.
    e = jnp.where(top | ~jnp.isfinite(d), 0, e)
    lift_by = np.asarray(64.0 if info.bits == 64 else 24.0, z.dtype)
    runner_up = jnp.max(jnp.where(top, -jnp.inf, d), axis=axis, keepdims=True)
    # Above this a term that underflows alone is e^-lift_by of the runner-up or less: nothing, to working accuracy.
    far = runner_up < float(np.log(float(info.tiny))) + float(lift_by)
    # d <= runner_up < -lift_by in a far row: adding towards zero is exact.
    weight = jnp.exp(d + jnp.where(far, lift_by, 0).astype(z.dtype)) * (1 + e)
    scale = jnp.where(far, jnp.exp(-lift_by), 1).astype(z.dtype)
    ties = jnp.sum(top, axis=axis, keepdims=True, dtype=z.dtype) - 1
    rest = sum_classes(jnp.where(top, 0, weight), axis) * scale + ties
    return SoftmaxTerms(top, weight, scale, rest, d, e)


def terms_probabilities(terms: SoftmaxTerms) -> Array:
    """Y from `softmax_terms`, each entry within 4 eps (1 + log2 C) relative."""
    return jnp.where(terms.top, 1, terms.weight * terms.scale) / (1 + terms.rest)


def terms_neg_log(terms: SoftmaxTerms) -> Array:
    """-log Y from `softmax_terms` (section 7.2): a sum of non-negative terms, so a loss of 1e-300 keeps its digits."""
    return (jnp.log1p(terms.rest) - terms.correction) - terms.shifted


def terms_residual(terms: SoftmaxTerms, y: Array, t: Array, axis: int = -1) -> Array:
    """(Σt)·y - t from `softmax_terms` (section 7.3), y - t for rows of T that sum to 1.

    Where one class carries the whole target t, t·(y_k - 1) is formed as -t·Σ_{j≠k} y_j, relative accuracy kept: the sum
    is rest/(1 + rest) for a class at the maximum, and 1 - y_k, which does not cancel, for the others (y_k <= 1/2).
    Elsewhere the plain difference is accurate relative to max(y, t).
    """
    total = jnp.sum(t, axis=axis, keepdims=True)
    others = jnp.where(terms.top, terms.rest / (1 + terms.rest), 1 - y)
    return jnp.where(t == total, -t * others, total * y - t)


def weighted_neg_log(t: Array, neg_log: Array, axis: int = -1) -> Array:
    """Σ_i t_i (-log y_i) along the class axis, with 0·inf = 0: a class of target 0 never contributes."""
    return jnp.sum(jnp.where(t == 0, 0, t * neg_log), axis=axis)


def centred(y: Array, u: Array, axis: int = -1) -> Array:
    """u - ū with ū = Σ y u, computed after the shift u ← u - u_k, k = argmax y (S4): accurate relative to its size."""
    k = jnp.argmax(y, axis=axis, keepdims=True)
    classes = jax.lax.broadcasted_iota(k.dtype, y.shape, axis % y.ndim)
    u = u - jnp.sum(jnp.where(classes == k, u, 0), axis=axis, keepdims=True)
    # A dot product, not a sum of products: XLA for CPU in jaxlib 0.10.2 miscompiles the latter under vmap
    # (jax-ml/jax#39103), which made jax.hessian of the loss wrong in its first digit.
    mean = jnp.vecdot(y, u, axis=axis, precision=jax.lax.Precision.HIGHEST)
    return u - jnp.expand_dims(mean, axis)
