"""Unseen bugs: graph networks and recurrent networks."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import (
    ARGUMENT,
    BATCH,
    DEMOTED,
    MEAN,
    SET,
    SEVERAL,
    SIGN,
    STALE,
    hand,
    normal,
    own_vjp,
    positive,
    seeded,
)

CASES = []

SOURCE, TARGET = np.asarray([0, 0, 0, 1]), np.asarray([1, 2, 3, 4])


@seeded(CASES, MEAN, "mean over neighbours: not divided by the degrees in the jvp")
def _(rng, dtype):
    a = np.asarray([[0, 1, 1, 1], [1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1]], dtype)
    degrees = a.sum(1)[:, None]

    def rule(bug):
        def jvp(x, v):
            out = a @ ((1 - jnp.tanh(x) ** 2) * v)
            return out if bug else out / degrees

        return jvp

    return hand(lambda x: a @ jnp.tanh(x) / degrees, normal(rng, dtype, 4, 2), "jvp", rule, "sample weight")


@seeded(CASES, SET, "edge energies: fluxes of a hub overwritten in the Hessian product")
def _(rng, dtype):
    weights = positive(rng, dtype, 4)

    def rule(bug):
        def hvp(x, v):
            d = x[SOURCE] - x[TARGET]
            flux = weights * jnp.cosh(d) * (v[SOURCE] - v[TARGET])
            out = jnp.zeros_like(x).at[TARGET].add(-flux)
            first = jnp.zeros_like(x)
            return out + (first.at[SOURCE].set(flux) if bug else first.at[SOURCE].add(flux))

        return hvp

    return hand(lambda x: weights @ jnp.cosh(x[SOURCE] - x[TARGET]), normal(rng, dtype, 5), "hvp", rule, "entry", "row")


@seeded(CASES, DEMOTED, "edge energies: differences of the Hessian product in float32")
def _(rng, dtype):
    weights = positive(rng, dtype, 4)

    def rule(bug):
        def hvp(x, v):
            y = x.astype(jnp.float32) if bug else x
            d = (y[SOURCE] - y[TARGET]).astype(x.dtype)
            flux = 3 * weights * d**2 * (v[SOURCE] - v[TARGET])
            return jnp.zeros_like(x).at[SOURCE].add(flux).at[TARGET].add(-flux)

        return hvp

    return hand(lambda x: weights @ (x[SOURCE] - x[TARGET]) ** 4 / 4, normal(rng, dtype, 5), "hvp", rule, "dtype")


@seeded(CASES, ARGUMENT, "message passing: sources and targets not exchanged in the vjp")
def _(rng, dtype):
    weights = positive(rng, dtype, 4)

    def passed(x, source, target):
        return jnp.zeros_like(x).at[target].add(weights[:, None] * x[source])

    def rule(bug):
        return lambda x, ct: passed(ct, SOURCE, TARGET) if bug else passed(ct, TARGET, SOURCE)

    return hand(lambda x: passed(x, SOURCE, TARGET), normal(rng, dtype, 5, 2), "vjp", rule, "transpose")


@seeded(CASES, SIGN, "gated recurrent unit: the sign of the update gate's share")
def _(rng, dtype):
    def unit(s):
        z = jax.nn.sigmoid(s["gate"])
        return (1 - z) * jnp.tanh(s["new"]) + z * s["old"]

    def rule(bug):
        def jvp(s, d):
            z, n = jax.nn.sigmoid(s["gate"]), jnp.tanh(s["new"])
            change = n - s["old"] if bug else s["old"] - n
            return (1 - z) * (1 - n**2) * d["new"] + z * d["old"] + z * (1 - z) * d["gate"] * change

        return jvp

    point = {name: normal(rng, dtype, 4) for name in ("gate", "new", "old")}
    return hand(unit, point, "jvp", rule, "wrong term", "one leaf")


@seeded(CASES, SEVERAL, "memory cell: the forget gate's tangent multiplies the candidate")
def _(rng, dtype):
    def cell(s):
        return jax.nn.sigmoid(s["f"]) * s["c"] + jax.nn.sigmoid(s["i"]) * jnp.tanh(s["g"])

    def rule(bug):
        def jvp(s, d):
            f, i, g = jax.nn.sigmoid(s["f"]), jax.nn.sigmoid(s["i"]), jnp.tanh(s["g"])
            forget = f * (1 - f) * d["f"] * (g if bug else s["c"])
            return f * d["c"] + forget + i * (1 - i) * d["i"] * g + i * (1 - g**2) * d["g"]

        return jvp

    point = {name: normal(rng, dtype, 4) for name in "figc"}
    return hand(cell, point, "jvp", rule, "one leaf")


@seeded(CASES, BATCH, "scan over samples: each with the tangent of the one before")
def _(rng, dtype):
    w = normal(rng, dtype, 3, 2)

    def rule(bug):
        return lambda x, v: (jnp.roll(v, 1, axis=0) if bug else v) @ w

    return hand(lambda x: x @ w, normal(rng, dtype, 4, 3), "jvp", rule, "shift", "permutation")


@seeded(CASES, BATCH, "batch of recurrent states: the Hessian of the summed states")
def _(rng, dtype):
    w = normal(rng, dtype, 2)

    def rule(bug):
        def hessian(h):
            s = jnp.tanh(h.reshape(3, 2) @ w)
            c = -2 * s * (1 - s**2)
            blocks = jnp.ones((3, 3), h.dtype) * c if bug else jnp.diag(c)
            return jnp.kron(blocks, jnp.outer(w, w))

        return hessian

    return hand(lambda h: jnp.sum(jnp.tanh(h.reshape(3, 2) @ w)), normal(rng, dtype, 6), "hessian", rule)


@seeded(CASES, STALE, "gates of a unit: the backward rule with the state before the reset")
def _(rng, dtype):
    w, before = normal(rng, dtype, 3, 3), normal(rng, dtype, 3)

    def pull(bug):
        def rule(h, ct):
            slope = 1 - jnp.tanh(w @ (before if bug else h)) ** 2
            return (w.T @ (slope * ct),)

        return rule

    return own_vjp(lambda h: jnp.tanh(w @ h), normal(rng, dtype, 3), pull)
