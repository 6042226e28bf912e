"""The losses that replace optax's: softmax_cross_entropy and softmax_cross_entropy_with_integer_labels (S1, S2, S4)."""

from __future__ import annotations

import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxsoftmax.calculus.loss.rules import cross_entropy_rows, label_cross_entropy_rows
from jaxsoftmax.linalg.row_softmax import working_dtype

Array = jax.Array

_compiled_cross_entropy = jax.jit(cross_entropy_rows)
_compiled_label_cross_entropy = jax.jit(label_cross_entropy_rows)


def _class_axes(axis: Any, z: Array) -> tuple[int, ...]:
    """The class axes as a tuple, in the order given."""
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise TypeError(f"logits: dtype {z.dtype} is not floating; convert with logits.astype(jnp.float32).")
    try:
        axes = tuple(operator.index(a) for a in (axis if isinstance(axis, tuple) else (axis,)))
    except TypeError:
        raise ValueError(f"axis: {axis!r} is neither an integer nor a tuple of integers.") from None
    if not axes or not all(-z.ndim <= a < z.ndim for a in axes) or len({a % z.ndim for a in axes}) < len(axes):
        raise ValueError(f"axis: {axis} is not an axis of logits of shape {z.shape}; use one of its {z.ndim} axes.")
    if 0 in (z.shape[a] for a in axes):
        raise ValueError(f"logits: shape {z.shape} has no class along axis {axis}.")
    return axes


def _classes_last(x: Array, axes: tuple[int, ...]) -> Array:
    """The class axes moved to the end, in their order, and made one."""
    axes = tuple(a % x.ndim for a in axes)
    if len(axes) == 1:
        return jnp.moveaxis(x, axes[0], -1)
    batch = tuple(a for a in range(x.ndim) if a not in axes)
    return x.transpose(batch + axes).reshape(*(x.shape[a] for a in batch), math.prod(x.shape[a] for a in axes))


def _expanded(where: Any, axes: tuple[int, ...], ndim: int) -> Any:
    """`where` as optax reads it: one of fewer dimensions has none for the classes, and selects rows."""
    return where if where is None or jnp.ndim(where) in (0, ndim) else jnp.expand_dims(jnp.asarray(where), axes)


def _narrow(x: Array, work: Any) -> Array:
    """In the working dtype; numbers of 16 bits stay as they are, the rules widen them as they read."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4 else x.astype(work)


def softmax_cross_entropy(
    logits: Any, targets: Any = None, axis: int | tuple[int, ...] = -1, where: Any = None, *, labels: Any = None
) -> Array:
    """Cross-entropy Σ_i t_i (-log softmax(z)_i) along an axis, with hand-derived rules of every order (S1, S2, S4).

    A drop-in for ``optax.losses.softmax_cross_entropy`` (``labels=`` is accepted for ``targets=``): same values and
    derivatives, also for targets that do not sum to 1, whose gradient in the logits is (Σt)·y - t. What differs is
    accuracy: y and -log y are within 4·eps·(1 + log2 C) relative, so the loss and the gradient of a sample that is
    confidently right (a loss of 1e-300) keep their digits.
    Only in rows whose largest logit is beyond 2^16 (float64: 2^36), sums of probabilities that are each below the
    smallest normal number may come out as 0.

    Args:
        logits: (..., C) real floating array; dtypes below 32 bits are computed in float32 and rounded once.
        targets: array broadcastable to `logits`: one-hot, soft or count targets.
        axis: the class axis, or several axes whose entries are the classes together.
        where: optional boolean array broadcastable to `logits`: classes marked False are left out. As in optax an array
            of fewer dimensions is first expanded at `axis`, so that an (N,) mask selects rows.
        labels: optax's name for `targets`.

    Returns:
        The loss per row, the shape of `logits` without `axis`, in the promoted dtype.

    Raises:
        TypeError: if `logits` is not floating, or if not exactly one of `targets` and `labels` is given.
        ValueError: if the shapes do not broadcast, or `axis` is no axis of `logits` or holds no class.

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
    axes = _class_axes(axis, z)
    if jnp.issubdtype(t.dtype, jnp.complexfloating):
        raise TypeError(f"targets: dtype {t.dtype} is complex; targets are real numbers.")
    where = _expanded(where, axes, z.ndim)
    try:
        shape = jnp.broadcast_shapes(z.shape, t.shape, () if where is None else jnp.shape(where))
    except ValueError:
        raise ValueError(
            f"targets: shape {t.shape} (where: {None if where is None else jnp.shape(where)}) does not broadcast with "
            f"logits of shape {z.shape}; both have one entry a class along axis {axis}."
        ) from None
    out_dtype = jnp.result_type(z.dtype, t.dtype)
    work = working_dtype(out_dtype)
    z, t = (jnp.broadcast_to(_narrow(x, work), shape) for x in (z, t))
    if where is not None:
        mask = jnp.broadcast_to(jnp.asarray(where, dtype=bool), shape)
        z, t = jnp.where(mask, z, -jnp.inf), jnp.where(mask, t, 0)
    return _compiled_cross_entropy(_classes_last(z, axes), _classes_last(t, axes)).astype(out_dtype)


def _class_number(k: Array, C: int) -> Array:
    """Labels as int32: negative ones counted from the end, and C for what is no class."""
    if k.dtype.itemsize < 4:
        k = k.astype(np.int32)
    wrong = (k >= C) | (k < -C) if jnp.issubdtype(k.dtype, jnp.signedinteger) else k >= C
    k = jnp.where(wrong, C, k).astype(np.int32)
    return jnp.where(k < 0, k + C, k)


def _refuse_labels_outside(labels: Any, where: Any, axes: tuple[int, ...], C: int) -> None:
    """An error for a label that is no class, in a row that counts; inside jit, or on other hosts, nothing is known."""
    for x in (labels, where):
        if isinstance(x, Tracer) or (isinstance(x, jax.Array) and not x.is_fully_addressable):
            return
    values = np.asarray(labels)
    wrong = (values < 0) | (values >= C)
    if where is not None and np.any(wrong):
        mask = np.asarray(where, dtype=bool)
        wrong = wrong & (np.any(mask, axis=axes) if mask.ndim else mask)
        values = np.broadcast_to(values, wrong.shape)
    if np.any(wrong):
        raise ValueError(
            f"labels: {values[wrong][0]} is not one of the {C} classes, 0 to {C - 1}; leave such rows out with `where`."
        )


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Any = None
) -> Array:
    """Cross-entropy -log softmax(z)_k of the label k of each row, with hand-derived rules of every order (S1, S2, S4).

    A drop-in for ``optax.losses.softmax_cross_entropy_with_integer_labels``: same arguments, values, derivatives. What
    differs:

    - Accuracy: the loss, and the gradient y - e_k entry by entry, are within 4·eps·(1 + log2 C) relative (where the
      exact value is a normal number): a sample that is confidently right keeps its digits. An infinite logit gives no
      NaN. Only in rows whose largest logit is beyond 2^16 (float64: 2^36), sums of probabilities that are each below
      the smallest normal number may come out as 0.
    - A label outside 0 to C - 1 is a ValueError where labels are known, that is outside jit and vmap (optax counts
      negative ones from the end, and many data sets write -1 for "no label"). Inside, as in optax, -1 is the last
      class, and a label below -C or above C - 1 makes the loss NaN; the gradient is then NaN too (in optax it is y).

    Args:
        logits: (..., C) real floating array; dtypes below 32 bits are computed in float32 and rounded once.
        labels: (...) integers of any dtype, the shape of `logits` without `axis` (or broadcastable to it).
        axis: the class axis, or several axes: a label is then an index into their entries in row-major order.
        where: optional boolean array broadcastable to `logits`: classes marked False are left out of the sum. As in
            optax an array of fewer dimensions is first expanded at `axis`, so that an (N,) mask selects rows; a row
            left out has loss 0, and a label that is left out keeps its logit: logsumexp of the others less that logit.

    Returns:
        The loss per row, the shape of `logits` without `axis`, in the dtype of `logits`.

    Raises:
        TypeError: if `logits` is not floating or `labels` not of an integer dtype.
        ValueError: if the shapes do not broadcast, `axis` is no axis of `logits` or holds no class, or a label is
            outside 0 to C - 1 in a row that counts.

    Example:
        >>> import jaxsoftmax as js, jax.numpy as jnp
        >>> logits = jnp.array([[80.0, 0.0], [0.0, 0.0]])
        >>> print(js.softmax_cross_entropy_with_integer_labels(logits, jnp.array([0, 0])))
        [1.8048513e-35 6.9314718e-01]

    Source: [R], equation for the loss; section 7.1-7.3.
    """
    z, k = jnp.asarray(logits), jnp.asarray(labels)
    axes = _class_axes(axis, z)
    if not jnp.issubdtype(k.dtype, jnp.integer):
        raise TypeError(f"labels: dtype {k.dtype} is not an integer dtype; for one-hot rows use softmax_cross_entropy.")
    where = _expanded(where, axes, z.ndim)
    rows = tuple(n for a, n in enumerate(z.shape) if a not in {b % z.ndim for b in axes})
    try:
        if k.ndim != len(rows):
            raise ValueError
        rows = np.broadcast_shapes(rows, k.shape)
        mask = None if where is None else jnp.broadcast_to(jnp.asarray(where, dtype=bool), z.shape)
    except ValueError:
        raise ValueError(
            f"labels: shape {k.shape} (where: {None if where is None else jnp.shape(where)}) does not fit logits of "
            f"shape {z.shape} with classes along axis {axis}: one label for each row, that is shape {rows}."
        ) from None
    C = math.prod(z.shape[a] for a in axes)
    _refuse_labels_outside(labels, where, axes, C)
    k = jnp.broadcast_to(_class_number(k, C), rows)
    z = jnp.broadcast_to(_classes_last(z, axes), (*rows, C))
    if mask is None:
        return _compiled_label_cross_entropy(z, k).astype(z.dtype)
    return _masked(z, k, jnp.broadcast_to(_classes_last(mask, axes), z.shape)).astype(z.dtype)


@jax.jit
def _masked(z: Array, k: Array, mask: Array) -> Array:
    """The loss over the classes of the mask; where the label is not one of them, of the largest of them, moved over."""
    masked, k = jnp.where(mask, z, -jnp.inf), k[..., None]
    inside = jnp.take_along_axis(mask, k, axis=-1, mode="clip")
    known = jnp.where(inside, k, jnp.argmax(masked, axis=-1, keepdims=True))
    value = label_cross_entropy_rows(masked, known[..., 0])
    away = (jnp.take_along_axis(x, at, axis=-1, mode="fill").astype(value.dtype) for x, at in ((masked, known), (z, k)))
    value = value + jnp.where(inside, 0, jax.lax.sub(*away))[..., 0]
    return jnp.where(jnp.any(mask, axis=-1), value, 0)
