"""The dense Hessian in float64 beside `jax.hessian` of the optax loss: times, temporaries, the bare product."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsoftmax as js
from benchmarks import data, harness


def optax_loss(W: jax.Array, X: jax.Array, T: jax.Array) -> jax.Array:
    return optax.losses.softmax_cross_entropy(X @ W.T, T).sum()


def _temporaries(function: Any, *args: Any) -> float:
    """Megabytes of temporaries of the compiled function."""
    return jax.jit(function).lower(*args).compile().memory_analysis().temp_size_in_bytes / 1e6


def _compare(problem: js.Problem, W: Any, repeats: int) -> dict[str, Any]:
    N, D, C = problem.shape
    W, X, T = jnp.asarray(W), jnp.asarray(np.asarray(problem.X)), jnp.asarray(np.asarray(problem.T))
    autodiff = jax.jit(jax.hessian(optax_loss))
    H, theirs = js.hessian(W, problem).to_dense(), autodiff(W, X, T).reshape(C * D, C * D)
    difference = float(jnp.abs(H - theirs).max() / jnp.abs(theirs).max())
    del H, theirs
    # The one product that the pair formula cannot do without: (pairs x N) (N x feature products), both at hand.
    rng = np.random.default_rng(0)
    pairs = jnp.asarray(rng.random((C * (C - 1) // 2, N)))
    products = jnp.asarray(rng.random((D * (D + 1) // 2, N)))
    bare = jax.jit(lambda a, b: jnp.einsum("pn,kn->pk", a, b, precision="highest"))
    times = harness.interleaved(
        {
            "hessian(W, p).to_dense()": lambda: js.hessian(W, problem).to_dense(),
            "limit: the bare product": lambda: bare(pairs, products),
        },
        repeats,
    )
    # jax.hessian is slow and floods the caches: fewer rounds, ours beside it again.
    inside = jax.jit(lambda W, p: js.hessian(W, p).to_dense())
    beside = harness.interleaved(
        {
            "ours": lambda: js.hessian(W, problem).to_dense(),
            "ours in a user's jit": lambda: inside(W, problem),
            "jax.hessian of optax": lambda: autodiff(W, X, T),
        },
        max(5, repeats // 4),
    )
    temporaries = {
        "ours": _temporaries(lambda W, p: js.hessian(W, p).to_dense(), W, problem),
        "jax.hessian of optax": _temporaries(jax.hessian(optax_loss), W, X, T),
    }
    return {
        "shape": [N, D, C],
        "times": times,
        "beside jax.hessian": beside,
        "speed-up": {k: 1 / v for k, v in harness.ratio(beside, "ours", "jax.hessian of optax").items()},
        "speed-up in a user's jit": {
            k: 1 / v for k, v in harness.ratio(beside, "ours in a user's jit", "jax.hessian of optax").items()
        },
        "over the bare product": harness.ratio(times, "hessian(W, p).to_dense()", "limit: the bare product"),
        "temporaries_MB": temporaries,
        "temporaries ratio": temporaries["ours"] / temporaries["jax.hessian of optax"],
        "largest difference / largest entry": difference,
    }


def run(options: Any) -> dict[str, Any]:
    with jax.enable_x64(True):
        digits = data.digits("float64")
        W = 0.1 * np.random.default_rng(0).standard_normal((digits.C, digits.D))
        result: dict[str, Any] = {"dtype": "float64", "digits": _compare(digits, W, options.repeats)}
        for N, D, C in ((60_000, 20, 10), (500, 200, 30)):
            problem, W = data.random_problem(N, D, C, "float64")
            result[f"N={N} D={D} C={C}"] = _compare(problem, W, max(5, options.repeats // 2))
    result["targets"] = [
        harness.target(f"digits: {what} over jax.hessian", result["digits"][what]["by_median"], 14, at_least=True)
        for what in ("speed-up", "speed-up in a user's jit")
    ]
    for name in ("digits", "N=500 D=200 C=30"):
        share = result[name]["temporaries ratio"]
        result["targets"].append(harness.target(f"{name}: temporaries / jax.hessian's", share, 1 / 20))
    return result
