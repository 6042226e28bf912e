"""Unseen bugs: mixtures, variational inference, factor models and other generative models."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from helpers.seeded.case import (
    BATCH,
    CLIPPED,
    DEMOTED,
    SECOND,
    SET,
    SEVERAL,
    SIGN,
    STALE,
    TERM,
    TRANSPOSE,
    hand,
    normal,
    own_jvp,
    own_vjp,
    positive,
    seeded,
)

CASES = []


@seeded(CASES, SIGN, "divergence from a standard normal: + for − at the log variance")
def _(rng, dtype):
    def divergence(q):
        return -jnp.sum(1 + q["s"] - q["m"] ** 2 - jnp.exp(q["s"])) / 2

    def rule(bug):
        return lambda q: {"m": q["m"], "s": (jnp.exp(q["s"]) + (1 if bug else -1)) / 2}

    point = {"m": normal(rng, dtype, 4), "s": normal(rng, dtype, 4)}
    return hand(divergence, point, "gradient", rule, "wrong term", "one leaf")


@seeded(CASES, SIGN, "Gaussian mixture: the spread of the means added in the Hessian")
def _(rng, dtype):
    means = normal(rng, dtype, 4, 3)

    def logits(x):
        return -jnp.sum((x - means) ** 2, 1) / 2

    def rule(bug):
        def hessian(x):
            r = jax.nn.softmax(logits(x))
            d = means - r @ means
            return np.eye(3, dtype=dtype) + (1 if bug else -1) * d.T @ (r[:, None] * d)

        return hessian

    return hand(lambda x: -logsumexp(logits(x)), normal(rng, dtype, 3), "hessian", rule, "wrong term")


@seeded(CASES, BATCH, "Gaussian mixture: responsibilities that sum to one over the samples")
def _(rng, dtype):
    data = normal(rng, dtype, 6, 2)

    def logits(m):
        return -jnp.sum((data[:, None] - m) ** 2, -1) / 2

    def rule(bug):
        def gradient(m):
            r = jax.nn.softmax(logits(m), axis=0 if bug else 1)
            return -jnp.sum(r[..., None] * (data[:, None] - m), 0)

        return gradient

    return hand(lambda m: -jnp.sum(logsumexp(logits(m), axis=1)), normal(rng, dtype, 3, 2), "gradient", rule)


@seeded(CASES, DEMOTED, "Boltzmann machine: the hidden units of the Hessian in float32")
def _(rng, dtype):
    w, c = normal(rng, dtype, 5, 3), normal(rng, dtype, 5)

    def rule(bug):
        def hessian(x):
            u = w @ x + c
            s = jax.nn.sigmoid(u.astype(jnp.float32) if bug else u).astype(x.dtype)
            return -w.T @ ((s * (1 - s))[:, None] * w)

        return hessian

    return hand(lambda x: -jnp.sum(jax.nn.softplus(w @ x + c)), normal(rng, dtype, 3), "hessian", rule, "dtype")


@seeded(CASES, SEVERAL, "divergence of two normals: the second mean over the first variance")
def _(rng, dtype):
    def divergence(m, s, n, t):
        return jnp.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5

    def tangent(bug):
        def rule(m, s, n, t, vm, vs, vn, vt):
            d = m - n
            first = d / t**2 * vm + (s / t**2 - 1 / s) * vs
            return first - d / (s if bug else t) ** 2 * vn + (1 / t - (s**2 + d**2) / t**3) * vt

        return rule

    return own_jvp(
        divergence,
        normal(rng, dtype, 3),
        tangent,
        "one leaf",
        args=(positive(rng, dtype, 3), normal(rng, dtype, 3), positive(rng, dtype, 3)),
    )


@seeded(CASES, CLIPPED, "decoder's log variance: clamped from below in the Hessian product")
def _(rng, dtype):
    r = positive(rng, dtype, 6)

    def rule(bug):
        return lambda s, v: jnp.exp(-(jnp.maximum(s, -0.5) if bug else s)) * r**2 * v / 2

    return hand(
        lambda s: jnp.sum(jnp.exp(-s) * r**2 + s) / 2,
        np.asarray([0.3, -1.2, 0.8, -0.1, 0.5, 0.1], dtype),
        "hvp",
        rule,
        "entry",
    )


@seeded(CASES, SEVERAL, "matrix factorisation: the items' biases from the users' residuals")
def _(rng, dtype):
    ratings = normal(rng, dtype, 3, 3)

    def residuals(p):
        return p["users"] @ p["items"].T + p["bias"] - ratings

    def rule(bug):
        def gradient(p):
            e = residuals(p)
            return {"users": e @ p["items"], "items": e.T @ p["users"], "bias": e.sum(1 if bug else 0)}

        return gradient

    point = {"users": normal(rng, dtype, 3, 2), "items": normal(rng, dtype, 3, 2), "bias": normal(rng, dtype, 3)}
    return hand(lambda p: jnp.sum(residuals(p) ** 2) / 2, point, "gradient", rule, "one leaf")


@seeded(CASES, TRANSPOSE, "learned metric |Ld|²: the gradient of L transposed")
def _(rng, dtype):
    d = normal(rng, dtype, 5, 3)

    def rule(bug):
        return lambda m: 2 * (d.T @ d @ m.T if bug else m @ d.T @ d)

    return hand(lambda m: jnp.sum((d @ m.T) ** 2), normal(rng, dtype, 3, 3), "gradient", rule, "transpose")


@seeded(CASES, TRANSPOSE, "linear decoder: the Kronecker product of the Hessian in the other order")
def _(rng, dtype):
    x = normal(rng, dtype, 5, 3)

    def rule(bug):
        def hessian(w):
            eye = jnp.eye(2, dtype=w.dtype)
            return jnp.kron(eye, x.T @ x) if bug else jnp.kron(x.T @ x, eye)

        return hessian

    return hand(
        lambda w: jnp.sum((x @ w.reshape(3, 2)) ** 2) / 2,
        normal(rng, dtype, 6),
        "hessian",
        rule,
        "permutation",
        "transpose",
    )


@seeded(CASES, SET, "skip-gram: the gradient of a word with two contexts overwritten")
def _(rng, dtype):
    centres, contexts = np.asarray([0, 0, 1]), np.asarray([2, 3, 4])

    def rule(bug):
        def gradient(e):
            a, b = e[centres], e[contexts]
            s = -jax.nn.sigmoid(-jnp.sum(a * b, 1, keepdims=True))
            g = jnp.zeros_like(e).at[contexts].add(s * a)
            return g.at[centres].set(s * b) if bug else g.at[centres].add(s * b)

        return gradient

    return hand(
        lambda e: jnp.sum(jax.nn.softplus(-jnp.sum(e[centres] * e[contexts], 1))),
        normal(rng, dtype, 5, 2),
        "gradient",
        rule,
        "row",
    )


@seeded(CASES, SET, "hashed features: of two in one bucket the later alone in the jvp")
def _(rng, dtype):
    buckets = np.asarray([0, 1, 1, 2, 3, 4])

    def rule(bug):
        def jvp(x, v):
            d, out = 2 * x * v, jnp.zeros(5, x.dtype)
            return out.at[buckets].set(d) if bug else out.at[buckets].add(d)

        return jvp

    return hand(lambda x: jnp.zeros(5, x.dtype).at[buckets].add(x**2), normal(rng, dtype, 6), "jvp", rule, "entry")


@seeded(CASES, CLIPPED, "energy with two wells: the eigenvalues of the Hessian floored")
def _(rng, dtype):
    c = np.asarray([[0, 0.5, 0], [0.5, 0, -0.3], [0, -0.3, 0]], dtype)

    def rule(bug):
        def hessian(x):
            h = jnp.diag(3 * x**2 - 1) + c
            values, vectors = jnp.linalg.eigh(h)
            return (vectors * jnp.maximum(values, 0.5)) @ vectors.T if bug else h

        return hessian

    return hand(
        lambda x: jnp.sum((x**2 - 1) ** 2) / 4 + x @ c @ x / 2,
        np.asarray([0.2, 1.3, -0.9], dtype),
        "hessian",
        rule,
    )


@seeded(CASES, SIGN, "domain adaptation: the gradient reversal left in the encoder")
def _(rng, dtype):
    w = normal(rng, dtype, 4, 3)

    def pull(bug):
        return lambda x, ct: ((-1 if bug else 1) * w.T @ (ct * (1 - jnp.tanh(w @ x) ** 2)),)

    return own_vjp(lambda x: jnp.tanh(w @ x), normal(rng, dtype, 3), pull, "constant factor")


@seeded(CASES, STALE, "count model: the Hessian product at the averaged weights")
def _(rng, dtype):
    data, average = normal(rng, dtype, 6, 3) / 2, normal(rng, dtype, 3)

    def rule(bug):
        return lambda w, v: data.T @ (jnp.exp(data @ (average if bug else w)) * (data @ v))

    return hand(lambda w: jnp.sum(jnp.exp(data @ w)), normal(rng, dtype, 3), "hvp", rule)


@seeded(CASES, TERM, "affine coupling: the scale's dependence on the first half missing in the vjp")
def _(rng, dtype):
    def couple(x):
        return jnp.concatenate([x[:3], x[3:] * jnp.exp(jnp.sin(x[:3]))])

    def pull(bug):
        def rule(x, ct):
            a, b = x[:3], x[3:]
            scale = jnp.exp(jnp.sin(a))
            first = ct[:3] if bug else ct[:3] + ct[3:] * b * scale * jnp.cos(a)
            return (jnp.concatenate([first, ct[3:] * scale]),)

        return rule

    return own_vjp(couple, normal(rng, dtype, 6), pull, "stop gradient", "wrong term")


@seeded(CASES, SECOND, "log of a mixture's density: the responsibilities detached in the tangent")
def _(rng, dtype):
    means = np.asarray([-1.0, 0.5, 2.0], dtype)

    def logits(x):
        return -((x[:, None] - means) ** 2) / 2

    def tangent(bug):
        def rule(x, v):
            r = jax.nn.softmax(logits(x), -1)
            r = jax.lax.stop_gradient(r) if bug else r
            return (r @ means - x) * v

        return rule

    return own_jvp(lambda x: logsumexp(logits(x), axis=-1), normal(rng, dtype, 4), tangent, "stop gradient")
