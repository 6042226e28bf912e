"""Why the kernels are as they are: value and gradient, and H @ V, by every form that lost, beside the one in use.

Ratios are to autodiff of the optax loss in the same rounds. The shapes go from thin data to a linear probe of 1,000
classes. `limits` holds what no form can beat here: one read of X, and each product on a block that is in cache already.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness
from benchmarks.mnist import optax_loss
from jaxsoftmax.calculus.loss import fused
from jaxsoftmax.linalg import blocks
from jaxsoftmax.linalg.blocks import Placement, placement

SHAPES = {
    "thin": (200_000, 20, 10),
    "few classes": (100_000, 54, 7),
    "letters": (60_000, 100, 26),
    "a hundred classes": (20_000, 512, 100),
    "linear probe": (50_000, 512, 1_000),
}
LIMIT = 1.0  # never slower than autodiff
# Environment of another run whose flags are to be compared: XLA reads them once, when it starts.
FLAGS = "XLA_FLAGS"

Change = tuple[Any, str, Any]
# Each variant is the kernel in use with some of its constants replaced.
VARIANTS: dict[str, tuple[Change, ...]] = {
    "in use": (),
    "blocks of 0.5 MiB": ((blocks, "_CPU_BLOCK_BYTES", 1 << 19),),
    "blocks of 1 MiB": ((blocks, "_CPU_BLOCK_BYTES", 1 << 20),),
    "blocks of 4 MiB": ((blocks, "_CPU_BLOCK_BYTES", 4 << 20),),
    "blocks of 8 MiB": ((blocks, "_CPU_BLOCK_BYTES", 8 << 20),),
    "one block": ((blocks, "_CPU_BLOCK_BYTES", 1 << 60),),
    "classes first: W X' as it is": ((fused, "_WIDE", 1 << 60), (fused, "_CLASSES_FIRST", 1 << 60)),
    "classes first: (X W')' as it is": (
        (fused, "_WIDE", 0),
        (fused, "_PADDED", ()),
        (fused, "_CLASSES_FIRST", 1 << 60),
    ),
    "classes first: (X W')' padded": (
        (fused, "_WIDE", 0),
        (fused, "_PADDED", range(1 << 20)),
        (fused, "_CLASSES_FIRST", 1 << 60),
    ),
    "classes first: (X W')' padded to 16": (
        (fused, "_WIDE", 0),
        (fused, "_VECTOR_BYTES", 64),
        (fused, "_CLASSES_FIRST", 1 << 60),
    ),
    "classes last": ((fused, "_CLASSES_FIRST", 0),),
    "in use, once more": (),  # how far equal code comes apart
}


def _jitted(changes: tuple[Change, ...], problem: js.Problem, W: Any, V: Any, whole: bool = False) -> dict[str, Any]:
    """Value and gradient, and H @ V with cached probabilities, compiled while the changes hold."""
    Y = js.probabilities(W, problem)
    with ExitStack() as stack:
        for owner, name, value in changes:
            stack.enter_context(mock.patch.object(owner, name, value))
        where = Placement(False, 1) if whole else placement(problem)
        # Functions of their own, since jit remembers what it traced before.
        vg = jax.jit(lambda W, p: fused.fused_value_and_gradient(W, p, where)).lower(W, problem).compile()
        hv = jax.jit(lambda Y, p, V: fused.fused_hvp_from_probabilities(Y, p, V, where)).lower(Y, problem, V).compile()
    return {"value_and_gradient": partial(vg, W, problem), "H @ V": partial(hv, Y, problem, V)}


def _uint8(problem: js.Problem) -> js.Problem | None:
    """The problem with X in bytes, where X are bytes."""
    X = np.asarray(problem.X)
    if X.min() < 0 or X.max() > 255 or (X != np.floor(X)).any():
        return None
    leaves, tree = jax.tree.flatten(problem)
    return jax.tree.unflatten(tree, [jnp.asarray(X.astype(np.uint8)), *leaves[1:]])


def _measure(problem: js.Problem, repeats: int) -> dict[str, Any]:
    N, D, C = problem.shape
    rng = np.random.default_rng(1)
    W, V = (
        jnp.asarray(0.05 / float(jnp.abs(problem.X).max()) * rng.standard_normal((C, D)), problem.dtype)
        for _ in range(2)
    )
    X, T = jnp.asarray(np.asarray(problem.X)), jnp.asarray(np.asarray(problem.T))
    autodiff = jax.jit(jax.value_and_grad(optax_loss))
    autodiff_hvp = jax.jit(lambda W, X, T, V: jax.jvp(lambda w: jax.grad(optax_loss)(w, X, T), (W,), (V,))[1])
    calls: dict[str, dict[str, Callable[[], Any]]] = {
        "value_and_gradient": {"autodiff": lambda: autodiff(W, X, T)},
        "H @ V": {"autodiff": lambda: autodiff_hvp(W, X, T, V)},
    }
    kernels = {name: _jitted(changes, problem, W, V) for name, changes in VARIANTS.items()}
    kernels["whole products"] = _jitted((), problem, W, V, whole=True)
    kernels["T stored, (N, C)"] = _jitted((), problem.replace(T=problem.T), W, V)
    if (narrow := _uint8(problem)) is not None:
        kernels["X in uint8"] = _jitted((), narrow, W, V)
    for name, both in kernels.items():
        for what, call in both.items():
            calls[what][name] = call
    found: dict[str, Any] = {"shape": [N, D, C]}
    for what, by_name in calls.items():
        times = harness.interleaved(by_name, repeats, warm=1)
        ratios = {name: harness.ratio(times, name, "autodiff")["by_min"] for name in by_name}
        found[what] = {"min_ms": {name: t["min_ms"] for name, t in times.items()}, "of autodiff, by minima": ratios}
    found["limits"] = _limits(problem, W, repeats)
    return found


def _limits(problem: js.Problem, W: Any, repeats: int) -> dict[str, float]:
    """Minima in ms: one read of X, the two products on all of X, and on one block as often as X has blocks."""
    N, D, C = problem.shape
    X = jnp.asarray(np.asarray(problem.X))
    rows = blocks._block_rows(N, (D + 4 * C) * X.dtype.itemsize, blocks._CPU_BLOCK_BYTES, None)
    count = N // rows
    block, R = X[:rows], jnp.ones((N, C), X.dtype)
    weights, residuals = jnp.tile(W, (count, 1, 1)), jnp.ones((count, rows, C), X.dtype)
    axis = 1 if C > 32 else 0
    cpu = Placement(True, 1)

    def logits(total: Any, w: Any) -> Any:
        return total + fused._block_logits(cpu, w, block, axis), None

    def gram(total: Any, r: Any) -> Any:
        return total + fused._times_samples(r, block, 1), None

    zeros = jnp.zeros((rows, C) if axis else (C, rows), X.dtype)
    times = harness.interleaved(
        {
            "one read of X (a sum)": partial(jax.jit(jnp.sum), X),
            "X W'": partial(jax.jit(lambda W, X: X @ W.T), W, X),
            "R' X": partial(jax.jit(lambda R, X: R.T @ X), R, X),
            "logits of a block in cache": partial(jax.jit(lambda a: jax.lax.scan(logits, zeros, a)[0]), weights),
            "R' X of a block in cache": partial(
                jax.jit(lambda a: jax.lax.scan(gram, jnp.zeros_like(W), a)[0]), residuals
            ),
        },
        repeats,
        warm=1,
    )
    return {name: t["min_ms"] for name, t in times.items()}


def _memory(problem: js.Problem) -> dict[str, float]:
    """Temporaries of the compiled value and gradient and H V, in numbers of N·C."""
    N, D, C = problem.shape
    W = jnp.zeros((C, D), problem.dtype)
    of: dict[str, Any] = {
        "value_and_gradient": jax.jit(js.value_and_gradient).lower(W, problem),
        "hvp": jax.jit(js.hvp).lower(W, problem, W),
    }
    unit = N * C * W.dtype.itemsize
    return {k: round(v.compile().memory_analysis().temp_size_in_bytes / unit, 4) for k, v in of.items()}


def run(options: Any) -> dict[str, Any]:
    pixels, labels, source = data.mnist(options.mnist)
    # The pixels as bytes were read; stored in float32 as a user's are, in bytes as a variant.
    problem = js.Problem.from_labels(np.rint(255 * pixels).astype(np.float32), labels)
    result: dict[str, Any] = {"data": source, "flags": os.environ.get(FLAGS, ""), "dtype": "float32", "shapes": {}}
    for name in ("MNIST", *SHAPES):
        if name != "MNIST":
            N, D, C = SHAPES[name]
            rng = np.random.default_rng(0)
            X = rng.standard_normal((N, D), dtype=np.float32)
            problem = js.Problem.from_labels(X, rng.integers(0, C, N), intercept=False)
        print(f"  {name} …", flush=True)
        rounds = max(3, min(options.repeats, int(options.repeats * 5e8 / np.prod([float(n) for n in problem.shape]))))
        result["shapes"][name] = _measure(problem, rounds) | {"temporaries / (N C)": _memory(problem)}
    rows = result["shapes"]
    mnist = {what: rows["MNIST"][what]["of autodiff, by minima"]["in use"] for what in ("value_and_gradient", "H @ V")}
    slowest = max(
        (row[what]["of autodiff, by minima"]["in use"], name, what)
        for name, row in rows.items()
        for what in ("value_and_gradient", "H @ V")
    )
    result["targets"] = [
        harness.target("MNIST: value_and_gradient / autodiff", mnist["value_and_gradient"], 0.75),
        harness.target("MNIST: H @ V / autodiff", mnist["H @ V"], 0.6),
        harness.target(f"the largest of all ratios ({slowest[1]}, {slowest[2]})", slowest[0], LIMIT),
    ]
    return result
