"""value_and_gradient and H @ V on 60,000 x 785 x 10 float32, beside autodiff of the optax loss and the limits."""

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


def run(options: Any) -> dict[str, Any]:
    pixels, labels, source = data.mnist(options.mnist)
    problem = js.Problem.from_labels(pixels, labels, dtype="float32")
    rng = np.random.default_rng(1)
    C, D = problem.C, problem.D
    W, V = (jnp.asarray(0.05 * rng.standard_normal((C, D)), jnp.float32) for _ in range(2))
    # The peer gets arrays of its own, made as a user makes them.
    X, T = jnp.asarray(np.hstack([pixels, np.ones((len(pixels), 1), np.float32)])), jax.nn.one_hot(labels, C)
    jax.block_until_ready((X, T))
    H = js.hessian(W, problem)
    R = jnp.asarray(rng.standard_normal((len(pixels), C)), jnp.float32)

    autodiff = jax.jit(jax.value_and_grad(optax_loss))
    autodiff_hvp = jax.jit(lambda W, X, T, V: jax.jvp(lambda w: jax.grad(optax_loss)(w, X, T), (W,), (V,))[1])
    total = jax.jit(jnp.sum)
    logits = jax.jit(lambda W, X: X @ W.T)
    gram = jax.jit(lambda R, X: R.T @ X)
    times = harness.interleaved(
        {
            "value_and_gradient": lambda: js.value_and_gradient(W, problem),
            "jax.value_and_grad of optax": lambda: autodiff(W, X, T),
            "H @ V": lambda: H @ V,
            "jvp of grad of optax": lambda: autodiff_hvp(W, X, T, V),
            "limit: one read of X": lambda: total(X),
            "limit: X W' alone": lambda: logits(W, X),
            "limit: R' X alone": lambda: gram(R, X),
        },
        options.repeats,
    )
    gradient = harness.ratio(times, "value_and_gradient", "jax.value_and_grad of optax")
    product = harness.ratio(times, "H @ V", "jvp of grad of optax")
    theirs, ours = autodiff(W, X, T)[1], js.value_and_gradient(W, problem)[1]
    return {
        "data": source,
        "shape": [*X.shape, C],
        "dtype": "float32",
        "times": times,
        "value_and_gradient / autodiff": gradient,
        "H @ V / autodiff": product,
        "largest gradient difference / largest entry": float(jnp.abs(ours - theirs).max() / jnp.abs(ours).max()),
        "targets": [
            harness.target("value_and_gradient / autodiff, medians", gradient["by_median"], 0.75),
            harness.target("H @ V / autodiff, medians", product["by_median"], 0.6),
        ],
    }
