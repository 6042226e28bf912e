"""One-hot and smoothed targets on the device as labels: an integer a sample and the two probabilities of a row.

The kernels form their rows of T a block of samples at a time, so that no (N, C) array is ever there.

Guarded by `tests/problem/test_label_targets.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.support.validation import is_traced

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class LabelTargets:
    """Targets T (N, C) whose row n is `values[1]` at class `codes[n]` and `values[0]` elsewhere.

    A pytree with the leaves `codes` and `values`: other labels, or another smoothing, retrace nothing.

    Attributes:
        codes: (N,) integers.
        values: (2,) floats in the compute dtype.
        C: number of classes (static).

    Example:
        >>> import jaxsoftmax as js
        >>> targets = js.Problem.from_labels([[0.0], [1.0]], ["a", "b"]).targets
        >>> targets.codes.tolist(), targets.values.tolist(), targets.shape
        ([0, 1], [0.0, 1.0], (2, 2))
    """

    codes: Any
    values: Any
    C: int = dataclasses.field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return self.codes.shape[0], self.C

    def __getitem__(self, rows: Any) -> LabelTargets:
        """The targets of some samples."""
        return dataclasses.replace(self, codes=self.codes[rows])

    def astype(self, dtype: Any) -> LabelTargets:
        """The same probabilities in another dtype."""
        return dataclasses.replace(self, values=self.values.astype(dtype))


def dense_targets(targets: Any, axis: int = 1) -> Array:
    """T with its classes along `axis`, (N, C) or (C, N), from `LabelTargets` or an array (N, C).

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.problem.label_targets import dense_targets
        >>> dense_targets(js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0]).targets, axis=0).tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if not isinstance(targets, LabelTargets):
        return targets if axis == 1 else targets.T
    classes = jnp.expand_dims(jnp.arange(targets.C, dtype=targets.codes.dtype), 1 - axis)
    return jnp.where(jnp.expand_dims(targets.codes, axis) == classes, targets.values[1], targets.values[0])


_dense = jax.jit(dense_targets)


def given_targets(targets: Any) -> Array:
    """T (N, C) for a user: computed, with its rows where the labels are; an array is itself."""
    if not isinstance(targets, LabelTargets):
        return targets
    sharding = getattr(targets.codes, "sharding", None)
    T = _dense(targets)
    if is_traced(targets.codes) or not isinstance(sharding, jax.sharding.NamedSharding):
        return T
    rows = sharding.spec[0] if len(sharding.spec) else None
    return jax.device_put(T, jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec(rows, None)))


def stored_targets(exact: Any, dtype: np.dtype) -> Any:
    """What is stored of exact targets, as NumPy arrays: `LabelTargets` where they are labels, else T (N, C)."""
    if exact.codes is None:
        return exact.rounded(dtype)
    return LabelTargets(exact.codes.astype(np.int32), exact.label_values(dtype), exact.C)
