"""Seeded bugs: contributions overwritten where they should add up, and derivatives taken at another point."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import SET, STALE, hand, normal, own_jvp, own_vjp, positive, seeded, square

CASES = []


@seeded(CASES, SET, "embedding: .set for .add with a word that occurs twice")
def _(rng, dtype):
    words = np.array([0, 2, 2, 4])

    def pull(bug):
        def rule(table, ct):
            zero = jnp.zeros_like(table)
            return (zero.at[words].set(ct) if bug else zero.at[words].add(ct),)

        return rule

    return own_vjp(lambda table: table[words], normal(rng, dtype, 5, 3), pull, "row")


@seeded(CASES, SET, "gather: .set for .add")
def _(rng, dtype):
    index = np.array([1, 1, 0, 3, 1])

    def rule(bug):
        def gradient(x):
            g, zero = jnp.cos(x[index]), jnp.zeros_like(x)
            return zero.at[index].set(g) if bug else zero.at[index].add(g)

        return gradient

    return hand(lambda x: jnp.sum(jnp.sin(x[index])), normal(rng, dtype, 4), "gradient", rule, "entry")


@seeded(CASES, SET, "bonds of a molecule: forces set on atoms with two bonds")
def _(rng, dtype):
    i, j = np.array([0, 0, 1, 2]), np.array([1, 2, 3, 3])

    def rule(bug):
        def gradient(x):
            d = x[i] - x[j]
            r = jnp.sqrt(jnp.sum(d**2, -1, keepdims=True))
            f = (r - 1) * d / r
            g = jnp.zeros_like(x)
            return g.at[i].set(f).at[j].add(-f) if bug else g.at[i].add(f).at[j].add(-f)

        return gradient

    return hand(
        lambda x: 0.5 * jnp.sum((jnp.sqrt(jnp.sum((x[i] - x[j]) ** 2, -1)) - 1) ** 2),
        normal(rng, dtype, 4, 3),
        "gradient",
        rule,
        "row",
    )


@seeded(CASES, SET, "overlapping windows: the cotangents of a patch extraction overwritten")
def _(rng, dtype):
    index = np.arange(4)[:, None] + np.arange(3)

    def pull(bug):
        def rule(x, ct):
            g = jnp.zeros_like(x)
            for k in range(4):
                g = g.at[index[k]].set(ct[k]) if bug else g.at[index[k]].add(ct[k])
            return (g,)

        return rule

    return own_vjp(lambda x: x[index], normal(rng, dtype, 6), pull, "entry")


@seeded(CASES, SET, "recurrent weights: the gradient of the first step alone")
def _(rng, dtype):
    inputs = normal(rng, dtype, 3, 3)

    def run(w):
        h = jnp.zeros(3, w.dtype)
        for x in inputs:
            h = jnp.tanh(w @ h + x)
        return h

    def pull(bug):
        def rule(w, ct):
            states = [jnp.zeros(3, w.dtype)]
            for x in inputs:
                states.append(jnp.tanh(w @ states[-1] + x))
            total = jnp.zeros_like(w)
            for t in (2, 1, 0):
                ct = ct * (1 - states[t + 1] ** 2)
                share = jnp.outer(ct, states[t])
                total = share if bug and t > 0 else total + share
                ct = w.T @ ct
            return (total,)

        return rule

    return own_vjp(run, square(rng, dtype, 3) / 2, pull, "wrong term")


@seeded(CASES, SET, "a weight used by two layers: the last use alone")
def _(rng, dtype):
    x = normal(rng, dtype, 3)

    def rule(bug):
        def gradient(w):
            y = jnp.tanh(w @ x)
            last = jnp.outer(2 * (w @ y), y)
            first = jnp.outer((1 - y**2) * (w.T @ (2 * (w @ y))), x)
            return last if bug else last + first

        return gradient

    return hand(
        lambda w: jnp.sum((w @ jnp.tanh(w @ x)) ** 2),
        square(rng, dtype, 3),
        "gradient",
        rule,
        "wrong term",
        "stop gradient",
    )


@seeded(CASES, SET, "segments: a maximum of contributions for their sum")
def _(rng, dtype):
    segment = np.array([0, 0, 1, 2, 2, 2])

    def rule(bug):
        reduce = jax.ops.segment_max if bug else jax.ops.segment_sum
        return lambda x, ct: reduce(ct * jnp.exp(x[segment]), segment, 3)

    return hand(lambda x: jnp.exp(x[segment]), normal(rng, dtype, 3), "vjp", rule, "entry", "nonlinear")


@seeded(CASES, SET, "message passing: messages to a node overwritten in the jvp")
def _(rng, dtype):
    sender, receiver = np.array([0, 1, 2, 3, 0]), np.array([1, 2, 2, 0, 3])

    def rule(bug):
        def jvp(x, v):
            m = (1 - jnp.tanh(x[sender]) ** 2) * v[sender]
            zero = jnp.zeros_like(x)
            return zero.at[receiver].set(m) if bug else zero.at[receiver].add(m)

        return jvp

    return hand(
        lambda x: jnp.zeros_like(x).at[receiver].add(jnp.tanh(x[sender])), normal(rng, dtype, 4), "jvp", rule, "entry"
    )


@seeded(CASES, SET, "cumulative sum: accumulated forwards in the adjoint")
def _(rng, dtype):
    return own_vjp(
        lambda x: jnp.cumsum(x**2),
        normal(rng, dtype, 5),
        lambda bug: lambda x, ct: (2 * x * (jnp.cumsum(ct) if bug else jnp.cumsum(ct[::-1])[::-1]),),
        "transpose",
        "permutation",
    )


@seeded(CASES, SET, "finite elements: element matrices set into the stiffness of the Hessian")
def _(rng, dtype):
    stiffness = positive(rng, dtype, 4)

    def rule(bug):
        def hessian(u):
            h = jnp.zeros((5, 5), u.dtype)
            for e in range(4):
                d = u[e + 1] - u[e]
                local = stiffness[e] * (1 + 3 * d**2) * jnp.asarray([[1, -1], [-1, 1]], u.dtype)
                block = h.at[e : e + 2, e : e + 2]
                h = block.set(local) if bug else block.add(local)
            return h

        return hessian

    def energy(u):
        d = u[1:] - u[:-1]
        return jnp.sum(stiffness * (d**2 / 2 + d**4 / 4))

    return hand(energy, normal(rng, dtype, 5), "hessian", rule, "entry", "wrong term", "gauge")


@seeded(CASES, SET, "a penalty on every layer of a pytree: the loop overwrites the shared leaf")
def _(rng, dtype):
    def loss(p):
        return sum(jnp.sum(jnp.sin(p["shift"] + layer)) for layer in p["layers"])

    def rule(bug):
        def gradient(p):
            shift, layers = jnp.zeros_like(p["shift"]), []
            for layer in p["layers"]:
                g = jnp.cos(p["shift"] + layer)
                layers.append(g)
                shift = g if bug else shift + g
            return {"shift": shift, "layers": layers}

        return gradient

    point = {"shift": normal(rng, dtype, 3), "layers": [normal(rng, dtype, 3) for _ in range(3)]}
    return hand(loss, point, "gradient", rule, "one leaf", "wrong term")


@seeded(CASES, STALE, "gradient at the starting point of the optimiser")
def _(rng, dtype):
    start = normal(rng, dtype, 4)

    def rule(bug):
        def gradient(x):
            at = start if bug else x
            return jnp.sinh(at) + jnp.stack([at[1], at[0], 0 * at[2], 0 * at[3]])

        return gradient

    return hand(lambda x: jnp.sum(jnp.cosh(x)) + x[0] * x[1], normal(rng, dtype, 4), "gradient", rule)


@seeded(CASES, STALE, "jvp linearised where the last batch was")
def _(rng, dtype):
    last, w = normal(rng, dtype, 4), square(rng, dtype, 4)
    return hand(
        lambda x: jnp.tanh(w @ x),
        normal(rng, dtype, 4),
        "jvp",
        lambda bug: lambda x, v: (1 - jnp.tanh(w @ (last if bug else x)) ** 2) * (w @ v),
    )


@seeded(CASES, STALE, "Hessian product with the curvature of an earlier iterate")
def _(rng, dtype):
    data, earlier = normal(rng, dtype, 7, 3), normal(rng, dtype, 3)

    def rule(bug):
        def hvp(w, v):
            s = jax.nn.sigmoid(data @ (earlier if bug else w))
            return data.T @ (s * (1 - s) * (data @ v)) + 0.1 * v

        return hvp

    return hand(lambda w: jnp.sum(jax.nn.softplus(data @ w)) + 0.05 * w @ w, normal(rng, dtype, 3), "hvp", rule)


@seeded(CASES, STALE, "recurrence: the state after the step for the one before")
def _(rng, dtype):
    w = square(rng, dtype, 3)

    def run(h):
        for _ in range(3):
            h = w @ jnp.sin(h) / 2
        return h

    def rule(bug):
        def vjp(h, ct):
            states = [h]
            for _ in range(3):
                states.append(w @ jnp.sin(states[-1]) / 2)
            for t in (2, 1, 0):
                ct = jnp.cos(states[t + 1 if bug else t]) * (w.T @ ct) / 2
            return ct

        return vjp

    return hand(run, normal(rng, dtype, 3), "vjp", rule)


@seeded(CASES, STALE, "one leaf at its value of the last epoch")
def _(rng, dtype):
    old, x = normal(rng, dtype, 3), normal(rng, dtype, 3)

    def rule(bug):
        def gradient(p):
            g = jnp.cos(p["a"] @ x * p["b"])
            return {"a": g * x * (old @ x if bug else p["b"]), "b": g * (p["a"] @ x)}

        return gradient

    point = {"a": 0.4 * normal(rng, dtype, 3), "b": np.asarray(0.7, dtype)}
    return hand(lambda p: jnp.sin(p["a"] @ x * p["b"]), point, "gradient", rule, "one leaf", "constant factor")


@seeded(CASES, STALE, "layers built in a loop: every closure has the last weight")
def _(rng, dtype):
    weights = [square(rng, dtype, 3) / 2 for _ in range(3)]

    def run(x):
        for w in weights:
            x = jnp.tanh(w @ x)
        return x

    def tangent(bug):
        def rule(x, v):
            for w in weights:
                y = jnp.tanh(w @ x)
                v = (1 - y**2) * ((weights[-1] if bug else w) @ v)
                x = y
            return v

        return rule

    return own_jvp(run, normal(rng, dtype, 3), tangent)


@seeded(CASES, STALE, "Nesterov: the gradient at the look-ahead")
def _(rng, dtype):
    velocity = normal(rng, dtype, 4)
    return hand(
        lambda x: jnp.sum(jnp.log1p(x**2)),
        normal(rng, dtype, 4),
        "value_and_gradient",
        lambda bug: (
            lambda x: (
                jnp.sum(jnp.log1p(x**2)),
                2 * (x + (0.5 * velocity if bug else 0)) / (1 + (x + (0.5 * velocity if bug else 0)) ** 2),
            )
        ),
    )


@seeded(CASES, STALE, "batch norm: the running mean and variance in the backward rule")
def _(rng, dtype):
    running = positive(rng, dtype, 3)

    def norm(x):
        return (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-3)

    def pull(bug):
        def rule(x, ct):
            s = jnp.sqrt((running if bug else x.var(0)) + 1e-3)
            y = (x - x.mean(0)) / s
            return ((ct - ct.mean(0) - y * (ct * y).mean(0)) / s,)

        return rule

    return own_vjp(norm, normal(rng, dtype, 5, 3), pull)


@seeded(CASES, STALE, "semi-implicit Euler: the force differentiated after the drift")
def _(rng, dtype):
    h = 0.3
    return own_jvp(
        lambda q: q + h * (0.5 - h * q**3),
        normal(rng, dtype, 3),
        lambda bug: lambda q, v: v - 3 * h**2 * ((q + h * (0.5 - h * q**3)) if bug else q) ** 2 * v,
        "wrong term",
    )


@seeded(CASES, STALE, "kernel regression: the default length for the one that is fitted")
def _(rng, dtype):
    grid, y = normal(rng, dtype, 5), normal(rng, dtype, 5)

    def fit(length):
        k = jnp.exp(-((grid[:, None] - grid) ** 2) / (2 * length**2))
        return jnp.sum((k @ y) ** 2) / 2

    def rule(bug, default=1.0):
        def gradient(length):
            at = default if bug else length
            d2 = (grid[:, None] - grid) ** 2
            k = jnp.exp(-d2 / (2 * at**2))
            return (k @ y) @ ((k * d2 / at**3) @ y) + 0 * length

        return gradient

    return hand(fit, np.asarray(0.6, dtype), "gradient", rule, "constant factor")


@seeded(CASES, STALE, "log: a backward rule that uses its output for its input")
def _(rng, dtype):
    return own_vjp(
        jnp.log1p,
        positive(rng, dtype, 4),
        lambda bug: lambda x, ct: (ct / (1 + (jnp.log1p(x) if bug else x)),),
    )
