"""Unseen bugs: losses of supervised and metric learning."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from helpers.seeded.case import (
    ARGUMENT,
    BRANCH,
    CHAIN,
    CLIPPED,
    DEMOTED,
    FACTOR,
    MEAN,
    SECOND,
    STALE,
    TERM,
    hand,
    normal,
    own_jvp,
    own_vjp,
    positive,
    seeded,
)

CASES = []


@seeded(CASES, FACTOR, "triplet loss of squared distances: 1 for 2")
def _(rng, dtype):
    def loss(t):
        a, p, n = t["anchor"], t["positive"], t["negative"]
        return jax.nn.relu(jnp.sum((a - p) ** 2) - jnp.sum((a - n) ** 2) + 30.0)

    def rule(bug):
        def gradient(t):
            a, p, n, c = t["anchor"], t["positive"], t["negative"], 1 if bug else 2
            return {"anchor": c * (n - p), "positive": -c * (a - p), "negative": c * (a - n)}

        return gradient

    point = {name: normal(rng, dtype, 3) for name in ("anchor", "positive", "negative")}
    return hand(loss, point, "gradient", rule, "constant factor")


@seeded(CASES, ARGUMENT, "cross entropy of soft labels: the labels for the probabilities in the Hessian product")
def _(rng, dtype):
    y = np.asarray(rng.dirichlet(np.ones(5)), dtype)

    def rule(bug):
        def hvp(z, v):
            p = y if bug else jax.nn.softmax(z)
            return p * v - p * (p @ v)

        return hvp

    return hand(lambda z: logsumexp(z) - y @ z, normal(rng, dtype, 5), "hvp", rule)


@seeded(CASES, BRANCH, "expectile loss: the weights of the two sides exchanged in the Hessian")
def _(rng, dtype):
    def rule(bug):
        def hessian(u):
            return jnp.diag(2 * jnp.where((u < 0) == bug, 0.8, 0.2).astype(u.dtype))

        return hessian

    return hand(
        lambda u: jnp.sum(jnp.where(u < 0, 0.2, 0.8) * u**2), normal(rng, dtype, 6), "hessian", rule, "sample weight"
    )


@seeded(CASES, MEAN, "mean of a kernel over all pairs: n for n² in the Hessian")
def _(rng, dtype):
    def kernel(x):
        d = x[:, None] - x
        return d, jnp.exp(-(d**2) / 2)

    def rule(bug):
        def hessian(x):
            d, k = kernel(x)
            m = k * (1 - d**2)
            return 2 * (m - jnp.diag(m.sum(1))) / (5 if bug else 25)

        return hessian

    return hand(lambda x: jnp.mean(kernel(x)[1]), normal(rng, dtype, 5), "hessian", rule, "constant factor")


@seeded(CASES, MEAN, "importance weights: not divided by their sum in the Hessian product")
def _(rng, dtype):
    data, weights = normal(rng, dtype, 7, 3), positive(rng, dtype, 7)

    def rule(bug):
        def hvp(w, v):
            s = jax.nn.sigmoid(data @ w)
            out = data.T @ (weights * s * (1 - s) * (data @ v))
            return out if bug else out / weights.sum()

        return hvp

    return hand(
        lambda w: weights @ jax.nn.softplus(data @ w) / weights.sum(),
        normal(rng, dtype, 3),
        "hvp",
        rule,
        "constant factor",
    )


@seeded(CASES, MEAN, "log of a mean of exponentials: the mean taken in the tangent again")
def _(rng, dtype):
    return own_jvp(
        lambda x: logsumexp(x) - math.log(5),
        normal(rng, dtype, 5),
        lambda bug: lambda x, v: jnp.vdot(jax.nn.softmax(x), v) / (5 if bug else 1),
        "constant factor",
    )


@seeded(CASES, CHAIN, "angular margin cos(θ + m): differentiated by the angle, not its cosine")
def _(rng, dtype):
    def rule(bug):
        def gradient(c):
            s = jnp.sin(jnp.arccos(c) + 0.5)
            return -s if bug else s / jnp.sqrt(1 - c**2)

        return gradient

    return hand(
        lambda c: jnp.sum(jnp.cos(jnp.arccos(c) + 0.5)),
        np.asarray(rng.uniform(-0.8, 0.8, 5), dtype),
        "gradient",
        rule,
        "sample weight",
    )


@seeded(CASES, CHAIN, "log cosh of scaled residuals: the scales once for twice in the Hessian product")
def _(rng, dtype):
    s = positive(rng, dtype, 5)

    def rule(bug):
        return lambda x, v: (1 - jnp.tanh(x / s) ** 2) * v / (s if bug else s**2)

    return hand(lambda x: jnp.sum(jnp.logaddexp(x / s, -x / s)), normal(rng, dtype, 5), "hvp", rule, "sample weight")


@seeded(CASES, DEMOTED, "label smoothing: probabilities of the gradient in float32")
def _(rng, dtype):
    y = np.asarray([0.05, 0.8, 0.05, 0.05, 0.05], dtype)

    def rule(bug):
        return lambda z: jax.nn.softmax(z.astype(jnp.float32) if bug else z).astype(z.dtype) - y

    return hand(lambda z: -y @ jax.nn.log_softmax(z), normal(rng, dtype, 5), "gradient", rule, "dtype")


@seeded(CASES, TERM, "soft sum-to-zero constraint: its 11ᵀ missing in the Hessian")
def _(rng, dtype):
    def rule(bug):
        def hessian(u):
            own = jnp.diag(2 * (1 - u**2) / (1 + u**2) ** 2)
            return own if bug else own + 1

        return hessian

    return hand(
        lambda u: jnp.sum(jnp.log1p(u**2)) + jnp.sum(u) ** 2 / 2,
        normal(rng, dtype, 5),
        "hessian",
        rule,
        "wrong term",
        "gauge",
        "stop gradient",
    )


@seeded(CASES, SECOND, "logistic regression: the empirical Fisher matrix called the Hessian")
def _(rng, dtype):
    data, y = normal(rng, dtype, 8, 3), np.sign(normal(rng, dtype, 8))

    def rule(bug):
        def hessian(w):
            s = jax.nn.sigmoid(-y * (data @ w))
            return data.T @ ((s**2 if bug else s * (1 - s))[:, None] * data)

        return hessian

    return hand(lambda w: jnp.sum(jax.nn.softplus(-y * (data @ w))), normal(rng, dtype, 3), "hessian", rule)


@seeded(CASES, STALE, "softmax classifier: the Hessian with the probabilities of the first step")
def _(rng, dtype):
    first = normal(rng, dtype, 4)

    def rule(bug):
        def hessian(z):
            p = jax.nn.softmax(jnp.asarray(first) if bug else z)
            return jnp.diag(p) - jnp.outer(p, p)

        return hessian

    return hand(lambda z: logsumexp(z) - z[2], first + normal(rng, dtype, 4), "hessian", rule)


@seeded(CASES, CLIPPED, "logit: the probability kept between 0.05 and 0.95 in the backward rule")
def _(rng, dtype):
    def pull(bug):
        def rule(p, ct):
            q = jnp.clip(p, 0.05, 0.95) if bug else p
            return (ct / (q * (1 - q)),)

        return rule

    return own_vjp(
        lambda p: jnp.log(p) - jnp.log1p(-p), np.asarray([0.3, 0.02, 0.6, 0.8, 0.97, 0.45, 0.2], dtype), pull, "entry"
    )


@seeded(CASES, CLIPPED, "log cosh: the slope held within ±0.8")
def _(rng, dtype):
    def tangent(bug):
        return lambda x, v: (jnp.clip(jnp.tanh(x), -0.8, 0.8) if bug else jnp.tanh(x)) * v

    return own_jvp(
        lambda x: jnp.logaddexp(x, -x), np.asarray([0.3, -0.9, 2.1, 0.7, -0.2, -1.8, 0.5], dtype), tangent, "entry"
    )
