"""Value and gradient of the losses that replace optax's, one-hot and integer labels: times and temporaries."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsoftmax as js
from benchmarks import harness

SHAPES = ((60_000, 10), (4_096, 1_000), (512, 50_257))
FORMS = {
    "one-hot": (js.softmax_cross_entropy, optax.losses.softmax_cross_entropy),
    "integer": (
        js.softmax_cross_entropy_with_integer_labels,
        optax.losses.softmax_cross_entropy_with_integer_labels,
    ),
}


def _compiled(f: Any, *args: Any) -> Any:
    return jax.jit(jax.value_and_grad(lambda z, t: f(z, t).sum())).lower(*args).compile()


def _compare(N: int, C: int, dtype: str, repeats: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    z = jnp.asarray(3 * rng.standard_normal((N, C), np.float32), dtype)
    labels = jnp.asarray(rng.integers(0, C, N), np.int32)
    out: dict[str, Any] = {}
    for form, functions in FORMS.items():
        t = jax.nn.one_hot(labels, C, dtype=dtype) if form == "one-hot" else labels
        ours, theirs = (_compiled(f, z, t) for f in functions)
        times = harness.interleaved(
            {"ours": lambda f=ours, t=t: f(z, t), "optax": lambda f=theirs, t=t: f(z, t)}, repeats
        )
        memory = {name: f.memory_analysis().temp_size_in_bytes / 1e6 for name, f in (("ours", ours), ("optax", theirs))}
        mine, other = (f(z, t)[1].astype(np.float32) for f in (ours, theirs))
        out[form] = {
            "times": times,
            "ours / optax": harness.ratio(times, "ours", "optax"),
            "temporaries_MB": memory,
            "largest gradient difference": float(jnp.abs(mine - other).max()),
        }
        del mine, other, t
    return out


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    targets = []
    for dtype in ("float32", "bfloat16"):
        for N, C in SHAPES:
            # The small shape takes a millisecond: more rounds find a quiet moment for each.
            repeats = options.repeats * (10 if N * C < 10**6 else 1)
            name = f"({N}, {C}) {dtype}"
            result[name] = _compare(N, C, dtype, repeats)
            for form, found in result[name].items():
                memory = found["temporaries_MB"]
                what = f"{name}, {form}"
                targets.append(harness.target(f"{what}: time / optax, minima", found["ours / optax"]["by_min"], 1.15))
                targets.append(harness.target(f"{what}: temporaries, MB", memory["ours"], memory["optax"]))
    result["targets"] = targets
    return result
