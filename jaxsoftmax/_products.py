"""Matrix products of the data at stated precision, correct on explicitly sharded meshes.

Products of float32 data use Precision.HIGHEST (the default is TF32 on recent GPUs); bfloat16 X is widened, so that
accumulation is float32. On an explicit mesh a product that contracts a sharded axis must be told where its result
lives; elsewhere `out_sharding` stays None and XLA decides.
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


def _spec_entry(sharding: Any | None, axis: int) -> Any:
    if sharding is None or axis >= len(sharding.spec):
        return None
    return sharding.spec[axis]


def sample_logits(W: Array, X: Array) -> Array:
    """X Wᵀ, shape (N, C), rows sharded as X's rows, in W's dtype."""
    sx, sw = explicit_sharding(X), explicit_sharding(W)
    mesh_of = sx or sw
    out = None if mesh_of is None else NamedSharding(mesh_of.mesh, P(_spec_entry(sx, 0), _spec_entry(sw, 0)))
    return jnp.einsum("nd,cd->nc", X.astype(W.dtype), W, precision=PRECISION, out_sharding=out)


def sum_over_samples(R: Array, X: Array, W: Array) -> Array:
    """Rᵀ X, shape (C, D), sharded as W, in R's dtype."""
    sx, sw = explicit_sharding(X), explicit_sharding(W)
    mesh_of = sx or sw
    out = None
    if mesh_of is not None:
        out = NamedSharding(mesh_of.mesh, P(_spec_entry(sw, 0), _spec_entry(sw, 1)))
    return jnp.einsum("nc,nd->cd", R, X.astype(R.dtype), precision=PRECISION, out_sharding=out)
