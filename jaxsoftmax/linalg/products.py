"""Matrix products of the data at stated precision, correct on explicitly sharded meshes.

Products of float32 data use Precision.HIGHEST (the default is TF32 on recent GPUs); bfloat16 X is widened, so that
accumulation is float32. Off explicit meshes XLA partitions the plain product.

Guarded by `tests/calculus/loss/test_derivatives.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

Array = jax.Array
PRECISION = jax.lax.Precision.HIGHEST


def explicit_sharding(x: Array) -> Any | None:
    """The sharding in the type of x when some mesh axis is explicit, else None."""
    sharding = getattr(jax.typeof(x), "sharding", None)
    if sharding is None or sharding.mesh.empty:
        return None
    return sharding if AxisType.Explicit in sharding.mesh.axis_types else None


def spec_entries(sharding: Any | None) -> tuple[Any, Any]:
    """The mesh axes of the two dimensions of a matrix, None where not sharded."""
    if sharding is None:
        return None, None
    rows, columns, *_ = (*sharding.spec, None, None)
    return rows, columns


def replicated(x: Array) -> Array:
    """x, on an explicit mesh with every dimension unsharded."""
    sharding = explicit_sharding(x)
    return x if sharding is None else jax.sharding.reshard(x, NamedSharding(sharding.mesh, P()))


def sample_logits(W: Array, X: Array) -> Array:
    """X Wᵀ, shape (N, C), rows sharded as X's rows, in W's dtype."""

    def product(w: Array, x: Array) -> Array:
        return jnp.einsum("nd,cd->nc", x.astype(w.dtype), w, precision=PRECISION)

    sharding = explicit_sharding(X)
    rows, columns = spec_entries(sharding)
    if sharding is None or (rows is None and columns is None):
        return product(W, X)

    def local(w: Array, x: Array) -> Array:
        return product(w, x) if columns is None else jax.lax.psum(product(w, x), columns)

    # On an explicit mesh the transpose of the plain product contracts the sharded rows, which JAX before 0.10 refuses
    # ("ambiguous how the output should be sharded"); the transpose of shard_map adds the psum itself.
    weights, samples = P(None, columns), P(rows, columns)
    mapped = jax.shard_map(local, mesh=sharding.mesh, in_specs=(weights, samples), out_specs=P(rows, None))
    return mapped(jax.sharding.reshard(W, NamedSharding(sharding.mesh, weights)), X)


def sum_over_samples(R: Array, X: Array, like: Array | None = None) -> Array:
    """Rᵀ X over the samples, in R's dtype, sharded as `like` (replicated when None)."""
    sharding = explicit_sharding(X)
    out = None
    if sharding is not None:
        columns = (spec_entries(explicit_sharding(R))[1], spec_entries(sharding)[1])
        out = NamedSharding(sharding.mesh, P(*columns))
    total = jnp.einsum("nc,nd->cd", R, X.astype(R.dtype), precision=PRECISION, out_sharding=out)
    if sharding is None:
        return total
    target = P(*spec_entries(None if like is None else explicit_sharding(like)))
    return jax.sharding.reshard(total, NamedSharding(sharding.mesh, target))
