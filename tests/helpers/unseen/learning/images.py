"""Unseen bugs: pooling, convolution, dropout and augmentation of images and signals."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import (
    ARGUMENT,
    BATCH,
    BRANCH,
    CHAIN,
    DEMOTED,
    FACTOR,
    SET,
    STALE,
    TRANSPOSE,
    hand,
    normal,
    own_vjp,
    seeded,
)

CASES = []


@seeded(CASES, FACTOR, "inverted dropout: divided by the keep rate twice in the jvp")
def _(rng, dtype):
    mask = np.asarray([1, 0, 1, 1, 0, 1], dtype) / np.asarray(0.7, dtype)

    def rule(bug):
        return lambda x, v: mask * jnp.cos(x) * v / (0.7 if bug else 1.0)

    return hand(lambda x: mask * jnp.sin(x), normal(rng, dtype, 6), "jvp", rule, "constant factor")


@seeded(CASES, STALE, "dropout: the jvp with the mask of the key before")
def _(rng, dtype):
    mask = np.asarray([1, 0, 1, 1, 1, 1, 0, 1], dtype)
    last = np.asarray([1, 0, 1, 1, 0, 1, 1, 1], dtype)

    def rule(bug):
        return lambda x, v: (last if bug else mask) / 0.75 * (1 - jnp.tanh(x) ** 2) * v

    return hand(lambda x: mask / 0.75 * jnp.tanh(x), normal(rng, dtype, 8), "jvp", rule, "entry")


@seeded(CASES, TRANSPOSE, "separable blur K x Kᵀ: K on both sides in the jvp")
def _(rng, dtype):
    k = normal(rng, dtype, 3, 3)

    def rule(bug):
        return lambda x, v: k @ ((1 - jnp.tanh(x) ** 2) * v) @ (k if bug else k.T)

    return hand(lambda x: k @ jnp.tanh(x) @ k.T, normal(rng, dtype, 3, 3), "jvp", rule, "transpose")


@seeded(CASES, ARGUMENT, "max pooling: the cotangent one place beyond the maximum")
def _(rng, dtype):
    def pull(bug):
        def rule(x, ct):
            winners = jax.nn.one_hot(jnp.argmax(x.reshape(4, 2), 1), 2, dtype=x.dtype)
            placed = (winners * ct[:, None]).reshape(-1)
            return (jnp.roll(placed, 1) if bug else placed,)

        return rule

    return own_vjp(lambda x: jnp.max(x.reshape(4, 2), axis=1), normal(rng, dtype, 8), pull, "shift", "permutation")


@seeded(CASES, BRANCH, "k-sparse layer: the cotangent passes through what was cut")
def _(rng, dtype):
    def keep(x):
        return x >= jnp.sort(x)[2]

    def rule(bug):
        return lambda x, ct: ct if bug else jnp.where(keep(x), ct, jnp.zeros_like(ct))

    return hand(lambda x: jnp.where(keep(x), x, jnp.zeros_like(x)), normal(rng, dtype, 8), "vjp", rule, "entry")


@seeded(CASES, BATCH, "flatten: the cotangent reshaped with batch and features exchanged")
def _(rng, dtype):
    def pull(bug):
        return lambda x, ct: (jnp.cos(x) * (ct.reshape(4, 3).T if bug else ct.reshape(3, 4)),)

    return own_vjp(lambda x: jnp.sin(x).reshape(-1), normal(rng, dtype, 3, 4), pull, "permutation", "transpose")


@seeded(CASES, CHAIN, "grid sampling: pixels per unit of the grid forgotten in the jvp")
def _(rng, dtype):
    image = normal(rng, dtype, 6)

    def cell(g):
        u = (g + 1) * 2.5
        i = jnp.floor(u).astype(int)
        return u - i, image_at(i), image_at(i + 1)

    def image_at(i):
        return jnp.asarray(image)[i]

    def sample(g):
        t, left, right = cell(g)
        return (1 - t) * left + t * right

    def rule(bug):
        def jvp(g, v):
            _, left, right = cell(g)
            return (right - left) * v * (1.0 if bug else 2.5)

        return jvp

    return hand(sample, np.asarray([-0.83, -0.31, 0.27, 0.71], dtype), "jvp", rule, "constant factor")


@seeded(CASES, CHAIN, "sine features of a coordinate: the frequencies forgotten in the vjp")
def _(rng, dtype):
    w = np.asarray([1.0, 2.0, 4.0], dtype)

    def rule(bug):
        return lambda x, ct: jnp.sum(ct * jnp.cos(x[:, None] * w) * (1.0 if bug else w), axis=1)

    return hand(lambda x: jnp.sin(x[:, None] * w), normal(rng, dtype, 4), "vjp", rule)


@seeded(CASES, SET, "nearest upsampling: the cotangent of the last copy alone")
def _(rng, dtype):
    def rule(bug):
        def vjp(x, ct):
            copies = ct.reshape(5, 2)
            return 2 * x * (copies[:, 1] if bug else copies.sum(1))

        return vjp

    return hand(lambda x: jnp.repeat(x**2, 2), normal(rng, dtype, 5), "vjp", rule, "wrong term")


@seeded(CASES, DEMOTED, "convolution: the kernel in bfloat16 in the jvp")
def _(rng, dtype):
    kernel = normal(rng, dtype, 3)

    def rule(bug):
        def jvp(x, v):
            k = jnp.asarray(kernel).astype(jnp.bfloat16).astype(x.dtype) if bug else kernel
            return jnp.convolve(jnp.cos(x) * v, k, mode="valid")

        return jvp

    return hand(lambda x: jnp.convolve(jnp.sin(x), kernel, mode="valid"), normal(rng, dtype, 8), "jvp", rule, "dtype")


@seeded(CASES, DEMOTED, "bilinear resize: the weights of the vjp stored in float32")
def _(rng, dtype):
    weights = np.asarray(rng.dirichlet(np.ones(5), size=3), dtype)

    def rule(bug):
        def vjp(x, ct):
            w = weights.astype(np.float32).astype(dtype) if bug else weights
            return w.T @ ct * 3 * x**2

        return vjp

    return hand(lambda x: weights @ x**3, normal(rng, dtype, 5), "vjp", rule, "dtype")


@seeded(CASES, STALE, "random crop: the vjp pads at the offset of the last batch")
def _(rng, dtype):
    def rule(bug):
        def vjp(x, ct):
            start = 1 if bug else 2
            return jnp.zeros_like(x).at[start : start + 5].set(0.5 * ct)

        return vjp

    return hand(lambda x: 0.5 * x[2:7], normal(rng, dtype, 8), "vjp", rule, "shift", "permutation")


@seeded(CASES, FACTOR, "total variation of a signal: the Hessian of one difference too many")
def _(rng, dtype):
    d = np.diff(np.eye(5, dtype=dtype), axis=0)

    def rule(bug):
        def hessian(x):
            r = jnp.sqrt(1 + (d @ x) ** 2)
            return (2 if bug else 1) * d.T @ (d / r[:, None] ** 3)

        return hessian

    return hand(
        lambda x: jnp.sum(jnp.sqrt(1 + jnp.diff(x) ** 2)), normal(rng, dtype, 5), "hessian", rule, "constant factor"
    )
