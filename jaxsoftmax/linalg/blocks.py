"""Sums over samples and rows of samples, block by block of rows, inside each shard of a sharded X.

Products that use a block of rows twice find it in cache the second time, and intermediates stay small. When X is
sharded over rows the blocks run inside each shard and one psum joins the shards; where the sharding cannot be seen (a
tracer on an automatic mesh of several devices) `Placement.blocks` is False and callers use whole products, which XLA
partitions itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxsoftmax.linalg.products import explicit_sharding, spec_entries
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import is_traced

Array = jax.Array

# A block of X with what is computed from it stays in a cache up to this many bytes (`benchmarks/kernels.py`); on
# accelerators launches are what to save.
_CPU_BLOCK_BYTES = 4 << 20
_ACCELERATOR_BLOCK_BYTES = 256 << 20
# Arrays as large as the logits that a block computes and keeps at one time.
_LOGITS_KEPT = 4


class Placement(NamedTuple):
    """How the rows of X are laid out: a static (hashable) argument of the compiled kernels."""

    blocks: bool
    block_bytes: int
    mesh: Any = None
    axes: Any = None
    cpu: bool = True


def placement(problem: Problem) -> Placement:
    """Where the rows of `problem.X` live; decided outside jit, where a concrete array shows its sharding."""
    X = problem.X
    cpu = _on_cpu(X)
    make = partial(Placement, block_bytes=_CPU_BLOCK_BYTES if cpu else _ACCELERATOR_BLOCK_BYTES, cpu=cpu)
    explicit = explicit_sharding(X)
    if explicit is not None:
        rows, columns = spec_entries(explicit)
        if rows is None or columns is not None:
            return make(columns is None and explicit.mesh.size == 1)
        return make(True, mesh=explicit.mesh, axes=rows)
    if is_traced(X):
        return make(jax.device_count() == 1)
    sharding = X.sharding
    if len(sharding.device_set) == 1:
        return make(True)
    if isinstance(sharding, NamedSharding):
        rows, columns = spec_entries(sharding)
        if rows is not None and columns is None:
            return make(True, mesh=sharding.mesh, axes=rows)
    return make(False)


def whole_columns(X: Array, where: Placement) -> tuple[Array, Placement]:
    """X with unsharded columns, and the placement that then holds: for kernels that need every feature of a sample."""
    explicit = explicit_sharding(X)
    rows, columns = spec_entries(explicit)
    if explicit is None or columns is None:
        return X, where
    X = jax.sharding.reshard(X, NamedSharding(explicit.mesh, P(rows, None)))
    return X, where._replace(blocks=True, mesh=None if rows is None else explicit.mesh, axes=rows)


def _on_cpu(X: Array) -> bool:
    platform = jax.default_backend() if is_traced(X) else next(iter(X.devices())).platform
    return platform == "cpu"


def _block_rows(n: int, row_bytes: int, block_bytes: int, limit: int | None) -> int:
    """Rows a block: near the byte target, a divisor of n when one is close (no remainder block to compile)."""
    target = max(64, block_bytes // max(1, row_bytes))
    target = min(n, target if limit is None else min(target, limit))
    for rows in range(target, max(1, int(0.7 * target)), -1):
        if n % rows == 0:
            return rows
    return target


def _over_blocks(block: Any, init: Any, rows: int, arrays: tuple[Array, ...]) -> Any:
    """Sum block(*row_slices) over blocks of rows: a compiled loop plus one remainder block."""
    n = arrays[0].shape[0]
    count = n // rows
    if count <= 1 and count * rows == n:
        return block(*arrays)

    def body(i: Array, total: Any) -> Any:
        part = block(*(jax.lax.dynamic_slice_in_dim(a, i * rows, rows) for a in arrays))
        return jax.tree.map(jnp.add, total, part)

    total = jax.lax.fori_loop(0, count, body, init)
    if count * rows < n:
        total = jax.tree.map(jnp.add, total, block(*(a[count * rows :] for a in arrays)))
    return total


def rows_of_blocks(where: Placement, block: Callable[[Array], Array], X: Array, width: int, dtype: Any) -> Array:
    """block(X), (N, width), taken a block of rows at a time; for an X that is not sharded."""
    n, d = X.shape
    rows = _block_rows(n, (d + _LOGITS_KEPT * width) * jnp.dtype(dtype).itemsize, where.block_bytes, None)
    if rows >= n:
        return block(X)

    def fill(start: Any, out: Array, count: int = rows) -> Array:
        part = block(jax.lax.dynamic_slice_in_dim(X, start, count))
        return jax.lax.dynamic_update_slice_in_dim(out, part, start, 0)

    whole = n // rows
    out = jax.lax.fori_loop(0, whole, lambda i, out: fill(i * rows, out), jnp.zeros((n, width), dtype))
    return out if whole * rows == n else fill(whole * rows, out, n - whole * rows)


def sum_blocks(
    where: Placement,
    block: Callable[..., Any],
    replicated: tuple[Any, ...],
    rows: tuple[Array, ...],
    out: Any,
    *,
    logits: int = 0,
    rows_limit: int | None = None,
) -> Any:
    """block(*replicated, *row blocks) summed over blocks and shards.

    `rows` are arrays with one entry a sample, X first; `out` gives shapes and dtypes of the sum; `logits` is how many
    logits of a sample a block computes; `rows_limit` caps the rows of a block for callers that compute other things.
    """
    itemsize = jnp.dtype(jax.tree.leaves(out)[0].dtype).itemsize

    def local(*args: Array) -> Any:
        fixed, arrays = args[: len(replicated)], args[len(replicated) :]
        n, d = arrays[0].shape
        size = _block_rows(n, (d + _LOGITS_KEPT * logits) * itemsize, where.block_bytes, rows_limit)
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), out)
        if where.axes is not None:
            zero = jax.tree.map(lambda a: jax.lax.pcast(a, where.axes, to="varying"), zero)
        total = _over_blocks(partial(block, *fixed), zero, size, arrays)
        return total if where.axes is None else jax.lax.psum(total, where.axes)

    if where.axes is None:
        return local(*replicated, *rows)
    specs = (*(P() for _ in replicated), *(P(where.axes) for _ in rows))
    return jax.shard_map(local, mesh=where.mesh, in_specs=specs, out_specs=P())(*replicated, *rows)
