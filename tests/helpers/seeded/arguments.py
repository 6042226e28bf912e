"""Seeded bugs: the wrong argument, axis, index or label; and one of several arguments of a custom rule."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from helpers.seeded.case import ARGUMENT, SEVERAL, composed, hand, normal, own_jvp, own_vjp, positive, seeded, square

CASES = []


@seeded(CASES, ARGUMENT, "tanh: 1 − x² for 1 − y²")
def _(rng, dtype):
    return own_jvp(jnp.tanh, normal(rng, dtype, 5), lambda bug: lambda x, v: (1 - (x if bug else jnp.tanh(x)) ** 2) * v)


@seeded(CASES, ARGUMENT, "sigmoid: x(1 − x) for s(1 − s)")
def _(rng, dtype):
    def pull(bug):
        def rule(x, ct):
            s = x if bug else jax.nn.sigmoid(x)
            return (ct * s * (1 - s),)

        return rule

    return own_vjp(jax.nn.sigmoid, normal(rng, dtype, 5), pull)


@seeded(CASES, ARGUMENT, "row softmax: the mean taken over axis 0")
def _(rng, dtype):
    def pull(bug):
        def rule(z, ct):
            p = jax.nn.softmax(z, -1)
            return (p * (ct - jnp.sum(ct * p, 0 if bug else -1, keepdims=True)),)

        return rule

    def value(z):
        return jnp.exp(jax.nn.log_softmax(z, -1))

    return own_vjp(value, normal(rng, dtype, 4, 4), pull, "wrong term", "gauge")


@seeded(CASES, ARGUMENT, "cross entropy: labels off by one")
def _(rng, dtype):
    labels = np.array([0, 2, 1])
    hot = np.eye(4, dtype=dtype)

    def loss(z):
        return -jnp.sum(jax.nn.log_softmax(z, -1) * hot[labels])

    return hand(
        loss,
        normal(rng, dtype, 3, 4),
        "gradient",
        lambda bug: lambda z: jax.nn.softmax(z, -1) - hot[labels + (1 if bug else 0)],
        "shift",
        "permutation",
        "wrong term",
    )


@seeded(CASES, ARGUMENT, "ring of springs: the neighbour on the wrong side twice")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sum((jnp.roll(x, -1) - x) ** 2) / 2,
        normal(rng, dtype, 6),
        "gradient",
        lambda bug: lambda x: 2 * x - jnp.roll(x, -1) - jnp.roll(x, -1 if bug else 1),
        "wrong term",
        "shift",
        "permutation",
    )


@seeded(CASES, ARGUMENT, "Kullback-Leibler divergence: weighted by the other distribution")
def _(rng, dtype):
    p = np.asarray(rng.dirichlet(np.ones(5)), dtype)

    def divergence(z):
        q = jax.nn.log_softmax(z)
        return jnp.sum(jnp.exp(q) * (q - jnp.log(p)))

    def rule(bug):
        def gradient(z):
            q = jax.nn.log_softmax(z)
            return (p if bug else jnp.exp(q)) * (q - jnp.log(p) - divergence(z))

        return gradient

    return hand(divergence, normal(rng, dtype, 5), "gradient", rule)


@seeded(CASES, ARGUMENT, "convolution: the kernel not flipped in the vjp")
def _(rng, dtype):
    kernel = normal(rng, dtype, 3)

    def pull(bug):
        return lambda x, ct: (jnp.convolve(ct, kernel if bug else kernel[::-1], mode="valid"),)

    return own_vjp(
        lambda x: jnp.convolve(x, kernel, mode="full"), normal(rng, dtype, 5), pull, "transpose", "permutation"
    )


@seeded(CASES, ARGUMENT, "Bessel i0: i0 for i1")
def _(rng, dtype):
    return own_jvp(
        special.i0, normal(rng, dtype, 4), lambda bug: lambda x, v: (special.i0 if bug else special.i1)(x) * v
    )


@seeded(CASES, ARGUMENT, "log factorial: ψ(n) for ψ(n + 1)")
def _(rng, dtype):
    return hand(
        lambda n: jnp.sum(special.gammaln(n + 1)),
        positive(rng, dtype, 4),
        "gradient",
        lambda bug: lambda n: special.digamma(n + (0 if bug else 1)),
    )


@seeded(CASES, ARGUMENT, "embedding: the cotangents of words scattered one row too far")
def _(rng, dtype):
    words = np.array([0, 2, 2, 4])

    def pull(bug):
        return lambda table, ct: (jnp.zeros_like(table).at[(words + 1) % 5 if bug else words].add(ct),)

    return own_vjp(
        lambda table: np.eye(5, dtype=dtype)[words] @ table,
        normal(rng, dtype, 5, 3),
        pull,
        "shift",
        "permutation",
        "row",
    )


@seeded(CASES, ARGUMENT, "weight standardisation: variance along the wrong axis")
def _(rng, dtype):
    def loss(w):
        return jnp.sum(jnp.var(w, axis=1) ** 2)

    def rule(bug):
        def gradient(w):
            axis = 0 if bug else 1
            d = w - w.mean(axis, keepdims=True)
            return 4 / 4 * d * w.var(axis, keepdims=True)

        return gradient

    return hand(loss, normal(rng, dtype, 4, 4), "gradient", rule, "transpose")


@seeded(CASES, SEVERAL, "xlogy: x log y for x/y in the second argument")
def _(rng, dtype):
    def tangent(bug):
        return lambda x, y, dx, dy: jnp.log(y) * dx + (x * jnp.log(y) if bug else x / y) * dy

    return own_jvp(special.xlogy, positive(rng, dtype, 4), tangent, "one leaf", args=(positive(rng, dtype, 4),))


@seeded(CASES, SEVERAL, "logaddexp: the weight of x for both")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, y, dx, dy):
            s = jax.nn.sigmoid(x - y)
            return s * dx + (s if bug else 1 - s) * dy

        return rule

    return own_jvp(jnp.logaddexp, normal(rng, dtype, 4), tangent, "one leaf", args=(normal(rng, dtype, 4),))


@seeded(CASES, SEVERAL, "betaln: ψ(a) for ψ(b)")
def _(rng, dtype):
    def tangent(bug):
        def rule(a, b, da, db):
            s = special.digamma(a + b)
            return (special.digamma(a) - s) * da + (special.digamma(a if bug else b) - s) * db

        return rule

    case = own_jvp(
        lambda a, b: special.gammaln(a) + special.gammaln(b) - special.gammaln(a + b),
        (positive(rng, dtype, 3), positive(rng, dtype, 3) + 2),
        tangent,
        "one leaf",
        "wrong term",
    )
    return composed(case, lambda f: lambda ab: f(*ab))


@seeded(CASES, SEVERAL, "matrix product: the right factor's cotangent from the wrong side")
def _(rng, dtype):
    def pull(bug):
        return lambda a, b, ct: (ct @ b.T, a @ ct if bug else a.T @ ct)

    return own_vjp(jnp.matmul, square(rng, dtype, 3), pull, "one leaf", "transpose", args=(normal(rng, dtype, 3, 3),))


@seeded(CASES, SEVERAL, "dense layer of a pytree: the bias before the activation's derivative")
def _(rng, dtype):
    x = normal(rng, dtype, 3)

    def pull(bug):
        def rule(p, ct):
            g = ct * (1 - jnp.tanh(p["w"] @ x + p["b"]) ** 2)
            return ({"w": jnp.outer(g, x), "b": ct if bug else g},)

        return rule

    point = {"w": normal(rng, dtype, 4, 3), "b": normal(rng, dtype, 4)}
    return own_vjp(lambda p: jnp.tanh(p["w"] @ x + p["b"]), point, pull, "one leaf")


@seeded(CASES, SEVERAL, "normal density: the scale without its normaliser")
def _(rng, dtype):
    def logpdf(x, m, s):
        return jnp.sum(-(((x - m) / s) ** 2) / 2 - jnp.log(s))

    def pull(bug):
        def rule(x, m, s, ct):
            z = (x - m) / s
            return -ct * z / s, ct * z / s, ct * (z**2 / s if bug else (z**2 - 1) / s)

        return rule

    args = (normal(rng, dtype, 4), positive(rng, dtype, 4))
    return own_vjp(logpdf, normal(rng, dtype, 4), pull, "one leaf", "wrong term", args=args)


@seeded(CASES, SEVERAL, "hypot: x/r for y/r")
def _(rng, dtype):
    def tangent(bug):
        return lambda x, y, dx, dy: (x * dx + (x if bug else y) * dy) / jnp.sqrt(x**2 + y**2)

    case = own_jvp(
        lambda x, y: jnp.sqrt(x**2 + y**2), (normal(rng, dtype, 4), normal(rng, dtype, 4)), tangent, "one leaf"
    )
    return composed(case, lambda f: lambda xy: f(*xy))


@seeded(CASES, SEVERAL, "power: log p for log x in the exponent")
def _(rng, dtype):
    def tangent(bug):
        return lambda x, p, dx, dp: p * x ** (p - 1) * dx + x**p * jnp.log(p if bug else x) * dp

    return own_jvp(
        lambda x, p: jnp.exp(p * jnp.log(x)),
        positive(rng, dtype, 3),
        tangent,
        "one leaf",
        args=(positive(rng, dtype, 3) + 1,),
    )


@seeded(CASES, SEVERAL, "layer norm with a scale: the scale's cotangent from x, not x̂")
def _(rng, dtype):
    def hat(x):
        return (x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + 1e-5)

    def pull(bug):
        def rule(x, gamma, beta, ct):
            y, g = hat(x), ct * gamma
            dx = (g - jnp.mean(g) - y * jnp.mean(g * y)) / jnp.sqrt(jnp.var(x) + 1e-5)
            return dx, ct * (x if bug else y), ct

        return rule

    return own_vjp(
        lambda x, gamma, beta: gamma * hat(x) + beta,
        3 * normal(rng, dtype, 5),
        pull,
        "one leaf",
        args=(positive(rng, dtype, 5), normal(rng, dtype, 5)),
    )


@seeded(CASES, SEVERAL, "linear interpolation: a − b for b − a in t")
def _(rng, dtype):
    def pull(bug):
        def rule(a, b, t, ct):
            return ct * (1 - t), ct * t, jnp.sum(ct * ((a - b) if bug else (b - a)))

        return rule

    case = own_vjp(
        lambda a, b, t: (1 - t) * a + t * b,
        (normal(rng, dtype, 4), normal(rng, dtype, 4), np.asarray(0.3, dtype)),
        pull,
        "one leaf",
        "constant factor",
    )
    return composed(case, lambda f: lambda abt: f(*abt))


@seeded(CASES, SEVERAL, "arctan2: the sign in the second argument")
def _(rng, dtype):
    def tangent(bug):
        return lambda y, x, dy, dx: (x * dy + (y if bug else -y) * dx) / (x**2 + y**2)

    return own_jvp(
        jnp.arctan2, normal(rng, dtype, 4), tangent, "one leaf", "constant factor", args=(positive(rng, dtype, 4),)
    )


@seeded(CASES, SEVERAL, "RBF kernel: l² for l³ in the length")
def _(rng, dtype):
    def kernel(x, y, length):
        return jnp.exp(-jnp.sum((x - y) ** 2) / (2 * length**2))

    def pull(bug):
        def rule(x, y, length, ct):
            k = ct * kernel(x, y, length)
            d = x - y
            return -k * d / length**2, k * d / length**2, k * jnp.sum(d**2) / length ** (2 if bug else 3)

        return rule

    args = (0.4 * normal(rng, dtype, 3), np.asarray(1.7, dtype))
    return own_vjp(kernel, 0.4 * normal(rng, dtype, 3), pull, "one leaf", "constant factor", args=args)
