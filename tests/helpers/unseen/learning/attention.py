"""Unseen bugs: attention, contrastive learning, embeddings and softmax."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from helpers.seeded.case import (
    ARGUMENT,
    BATCH,
    DEMOTED,
    FACTOR,
    MEAN,
    SECOND,
    SET,
    SEVERAL,
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


def scores_pulled(p, dp):
    """Return the cotangent of the scores of p = softmax(scores)."""
    return p * (dp - jnp.sum(dp * p, -1, keepdims=True))


@seeded(CASES, FACTOR, "attention: 1/d for 1/√d in the cotangent of the queries")
def _(rng, dtype):
    keys, values, root = normal(rng, dtype, 4, 3), normal(rng, dtype, 4, 2), math.sqrt(3)

    def rule(bug):
        def vjp(q, ct):
            p = jax.nn.softmax(q @ keys.T / root, -1)
            return scores_pulled(p, ct @ values.T) @ keys / (3 if bug else root)

        return vjp

    return hand(
        lambda q: jax.nn.softmax(q @ keys.T / root, -1) @ values,
        normal(rng, dtype, 2, 3),
        "vjp",
        rule,
        "constant factor",
    )


@seeded(CASES, TRANSPOSE, "rotary embedding: turned forwards in the vjp too")
def _(rng, dtype):
    angles = np.asarray(np.arange(1, 4)[:, None] * [1.0, 0.3], dtype)

    def turn(x, sign=1):
        a, b = x[:, :2], x[:, 2:]
        c, s = jnp.cos(angles), sign * jnp.sin(angles)
        return jnp.concatenate([a * c - b * s, a * s + b * c], 1)

    def rule(bug):
        return lambda x, ct: turn(ct, 1 if bug else -1)

    return hand(turn, normal(rng, dtype, 3, 4), "vjp", rule, "transpose", "wrong term")


@seeded(CASES, ARGUMENT, "relative positions: the bias read at j − i in the jvp")
def _(rng, dtype):
    index = np.arange(3)[:, None] - np.arange(3) + 2
    scores, values = normal(rng, dtype, 3, 3), normal(rng, dtype, 3, 2)

    def weights(b):
        return jax.nn.softmax(scores + b[index], -1)

    def rule(bug):
        return lambda b, v: scores_pulled(weights(b), v[index.T if bug else index]) @ values

    return hand(lambda b: weights(b) @ values, normal(rng, dtype, 5), "jvp", rule, "transpose")


@seeded(CASES, SECOND, "Hopfield energy: the attention weights held fixed in the Hessian product")
def _(rng, dtype):
    def gradient(x, fixed):
        p = jax.nn.softmax(x @ x.T / 2, -1)
        p = jax.lax.stop_gradient(p) if fixed else p
        return (p + p.T) @ x / 2

    def rule(bug):
        return lambda x, v: jax.jvp(lambda x: gradient(x, bug), (x,), (v,))[1]

    return hand(
        lambda x: jnp.sum(logsumexp(x @ x.T / 2, axis=-1)),
        normal(rng, dtype, 3, 2),
        "hvp",
        rule,
        "stop gradient",
        "wrong term",
    )


@seeded(CASES, BATCH, "softmax with a temperature for each sample: their mean in the vjp")
def _(rng, dtype):
    t = positive(rng, dtype, 4, 1)

    def rule(bug):
        return lambda z, ct: scores_pulled(jax.nn.softmax(z / t, -1), ct) / (t.mean() if bug else t)

    return hand(lambda z: jax.nn.softmax(z / t, -1), normal(rng, dtype, 4, 3), "vjp", rule, "sample weight")


@seeded(CASES, SEVERAL, "attention: the cotangent of the keys with the keys for the queries")
def _(rng, dtype):
    values = normal(rng, dtype, 3, 2)

    def pull(bug):
        def rule(q, k, ct):
            ds = scores_pulled(jax.nn.softmax(q @ k.T, -1), ct @ values.T)
            return ds @ k, ds.T @ (k if bug else q)

        return rule

    return own_vjp(
        lambda q, k: jax.nn.softmax(q @ k.T, -1) @ values,
        normal(rng, dtype, 3, 2),
        pull,
        "one leaf",
        args=(normal(rng, dtype, 3, 2),),
    )


@seeded(CASES, SET, "keys shared by two heads: the cotangent of the last head alone")
def _(rng, dtype):
    def heads(q, k):
        return jnp.tanh(jnp.einsum("hid,jd->hij", q, k))

    def pull(bug):
        def rule(q, k, ct):
            ds = ct * (1 - heads(q, k) ** 2)
            dk = jnp.einsum("hij,hid->hjd", ds, q)
            return jnp.einsum("hij,jd->hid", ds, k), dk[-1] if bug else dk.sum(0)

        return rule

    return own_vjp(heads, normal(rng, dtype, 2, 3, 2), pull, "one leaf", "wrong term", args=(normal(rng, dtype, 3, 2),))


@seeded(CASES, MEAN, "weights divided by their sum S: 1/S for 1/S² in the projection")
def _(rng, dtype):
    def pull(bug):
        def rule(x, ct):
            s = jnp.sum(x)
            return (ct / s - (ct @ x) / (s if bug else s**2),)

        return rule

    return own_vjp(lambda x: x / jnp.sum(x), positive(rng, dtype, 5), pull, "gauge", "wrong term")


@seeded(CASES, FACTOR, "cross entropy with a temperature: 1/T for 1/T² in the Hessian product")
def _(rng, dtype):
    def rule(bug):
        def hvp(z, v):
            p = jax.nn.softmax(z / 2.5)
            return (p * v - p * (p @ v)) / (2.5 if bug else 2.5**2)

        return hvp

    return hand(lambda z: logsumexp(z / 2.5) - z[1] / 2.5, normal(rng, dtype, 5), "hvp", rule, "constant factor")


@seeded(CASES, TERM, "contrastive loss: the pull of the positive key missing")
def _(rng, dtype):
    keys = normal(rng, dtype, 5, 3)

    def rule(bug):
        def gradient(q):
            push = jax.nn.softmax(keys @ q / 0.5) @ keys
            return (push if bug else push - keys[0]) / 0.5

        return gradient

    return hand(
        lambda q: logsumexp(keys @ q / 0.5) - keys[0] @ q / 0.5,
        normal(rng, dtype, 3),
        "gradient",
        rule,
        "wrong term",
        "stop gradient",
    )


@seeded(CASES, MEAN, "contrastive loss of pairs: the half forgotten for one of the two directions")
def _(rng, dtype):
    eye = np.eye(3, dtype=dtype)

    def loss(s):
        own = jnp.diag(s)
        return (jnp.mean(logsumexp(s, axis=1) - own) + jnp.mean(logsumexp(s, axis=0) - own)) / 2

    def rule(bug):
        def gradient(s):
            rows, columns = jax.nn.softmax(s, 1) - eye, jax.nn.softmax(s, 0) - eye
            return rows / 6 + columns / (3 if bug else 6)

        return gradient

    return hand(loss, normal(rng, dtype, 3, 3), "gradient", rule, "wrong term")


@seeded(CASES, BATCH, "similarities of pairs: the tangent of the second summed over the batch")
def _(rng, dtype):
    def tangent(bug):
        def rule(a, b, va, vb):
            second = jnp.einsum("bi,ci->b", a, vb) if bug else jnp.sum(a * vb, -1)
            return jnp.sum(va * b, -1) + second

        return rule

    return own_jvp(
        lambda a, b: jnp.sum(a * b, -1),
        normal(rng, dtype, 4, 3),
        tangent,
        "one leaf",
        args=(normal(rng, dtype, 4, 3),),
    )


@seeded(CASES, DEMOTED, "embedding: the cotangents of words summed in float32")
def _(rng, dtype):
    words = np.asarray([0, 2, 2, 1, 2])

    def pull(bug):
        def rule(table, ct):
            wide = jnp.float32 if bug else table.dtype
            return (3 * table**2 * jnp.zeros(table.shape, wide).at[words].add(ct.astype(wide)).astype(table.dtype),)

        return rule

    return own_vjp(lambda table: table[words] ** 3, normal(rng, dtype, 4, 2), pull, "dtype")
