"""Seeded bugs: a branch that is wrong, and a rule that is clipped or saturated where the function is not."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from helpers.seeded.case import BRANCH, CLIPPED, hand, normal, own_jvp, own_vjp, positive, seeded, square

CASES = []


@seeded(CASES, BRANCH, "leaky relu: the slopes swapped")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.where(x > 0, x, 0.1 * x),
        normal(rng, dtype, 6),
        lambda bug: lambda x, v: jnp.where((x < 0) if bug else (x > 0), v, 0.1 * v),
        "kink",
    )


@seeded(CASES, BRANCH, "elu: exp(x) on the positive side too")
def _(rng, dtype):
    return own_jvp(
        lambda x: jax.nn.elu(x),
        np.asarray([-1.2, 0.7, -0.3, 1.5, 0.2], dtype),
        lambda bug: lambda x, v: (jnp.exp(x) if bug else jnp.where(x > 0, 1, jnp.exp(jnp.minimum(x, 0)))) * v,
        "entry",
    )


@seeded(CASES, BRANCH, "Huber: linear only beyond 2δ")
def _(rng, dtype):
    def rule(bug):
        def gradient(x):
            return jnp.where(jnp.abs(x) < (2 if bug else 1), x, jnp.sign(x))

        return gradient

    return hand(
        lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, x**2 / 2, jnp.abs(x) - 0.5)),
        np.asarray([0.3, -1.6, 2.5, -0.7, 1.4], dtype),
        "gradient",
        rule,
        "entry",
    )


@seeded(CASES, BRANCH, "x log 2 with a guard: 0 at x = 0")
def _(rng, dtype):
    log2 = float(np.log(2))
    return hand(
        lambda x: jnp.sum(jnp.where(x == 0, 0.0, x * log2)),
        np.asarray([0.5, 0.0, 2.0], dtype),
        "gradient",
        lambda bug: lambda x: jnp.where((x == 0) & bug, 0, log2 + 0 * x),
        "entry",
        "kink",
        plain=lambda x: jnp.sum(x * log2),
    )


@seeded(CASES, BRANCH, "x|x|: 2x for 2|x|")
def _(rng, dtype):
    return hand(
        lambda x: x * jnp.abs(x),
        normal(rng, dtype, 6),
        "jvp",
        lambda bug: lambda x, v: 2 * (x if bug else jnp.abs(x)) * v,
        "kink",
        "entry",
    )


def phi1(x):
    small = jnp.abs(x) < 1e-2
    series = 1 + x / 2 + x**2 / 6 + x**3 / 24 + x**4 / 120
    safe = jnp.where(small, 1, x)
    return jnp.where(small, series, jnp.expm1(safe) / safe)


@seeded(CASES, BRANCH, "φ₁ of an exponential integrator: derivative 0 at 0")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            zero = x == 0
            safe = jnp.where(zero, 1, x)
            general = (jnp.exp(safe) - phi1(safe)) / safe
            return jnp.where(zero, (0 if bug else 0.5 + x / 3), general) * v

        return rule

    return own_jvp(phi1, np.asarray([0.8, 0.0, -1.3], dtype), tangent, "entry")


@seeded(CASES, BRANCH, "softplus: taken as linear beyond 1 in place of 20")
def _(rng, dtype):
    return own_jvp(
        jax.nn.softplus,
        np.asarray([-2.0, 0.4, 1.5, 3.0], dtype),
        lambda bug: lambda x, v: jnp.where(x > (1 if bug else 200), 1, jax.nn.sigmoid(x)) * v,
        "entry",
    )


@seeded(CASES, BRANCH, "cubic B-spline: the outer piece's derivative inside too")
def _(rng, dtype):
    def spline(x):
        r = jnp.abs(x)
        return jnp.where(r < 1, 2 / 3 - r**2 + r**3 / 2, jnp.where(r < 2, (2 - r) ** 3 / 6, 0))

    def rule(bug):
        def vjp(x, ct):
            r, s = jnp.abs(x), jnp.sign(x)
            outer = jnp.where(r < 2, -((2 - r) ** 2) / 2 * s, 0)
            return ct * jnp.where(r < (0 if bug else 1), -2 * x + 1.5 * x * r, outer)

        return vjp

    return hand(spline, np.asarray([-1.4, -0.5, 0.3, 0.8, 1.7, 2.4], dtype), "vjp", rule, "entry")


@seeded(CASES, BRANCH, "squared hinge: active where the margin is met")
def _(rng, dtype):
    data, y = normal(rng, dtype, 10, 3), np.sign(normal(rng, dtype, 10))

    def rule(bug):
        def gradient(w):
            m = 1 - y * (data @ w)
            active = m < 0 if bug else m > 0
            return data.T @ (-2 * y * m * active)

        return gradient

    return hand(lambda w: jnp.sum(jnp.maximum(0, 1 - y * (data @ w)) ** 2), normal(rng, dtype, 3), "gradient", rule)


@seeded(CASES, BRANCH, "soft threshold: the negative side forgotten")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.sign(x) * jnp.maximum(jnp.abs(x) - 0.5, 0),
        np.asarray([-1.3, 0.2, 0.9, -0.7, -0.1], dtype),
        lambda bug: lambda x, v: jnp.where((x if bug else jnp.abs(x)) > 0.5, v, 0),
        "entry",
    )


@seeded(CASES, BRANCH, "potential with a cutoff: the force goes on beyond it")
def _(rng, dtype):
    return hand(
        lambda r: jnp.sum(jnp.where(r < 1.5, (1 - r / 1.5) ** 2, 0)),
        np.asarray([0.4, 1.1, 1.9, 2.6], dtype),
        "gradient",
        lambda bug: lambda r: jnp.where((r < 1.5) | bug, -2 / 1.5 * (1 - r / 1.5), 0),
        "entry",
    )


@seeded(CASES, BRANCH, "xlogy: derivative 0 at x = 0")
def _(rng, dtype):
    y = np.asarray([2.0, 3.0, 0.5], dtype)
    return own_jvp(
        lambda x: special.xlogy(x, y),
        np.asarray([0.7, 0.0, 1.2], dtype),
        lambda bug: lambda x, v: jnp.where((x == 0) & bug, 0, jnp.log(y)) * v,
        "entry",
        plain=lambda x: x * jnp.log(y),
    )


@seeded(CASES, CLIPPED, "cross entropy: probabilities clipped in the gradient")
def _(rng, dtype):
    def rule(bug):
        def gradient(z):
            p = jax.nn.softmax(z)
            p = jnp.clip(p, 0.1, 0.9) if bug else p
            return p - jnp.eye(4, dtype=z.dtype)[2]

        return gradient

    return hand(
        lambda z: -jax.nn.log_softmax(z)[2], np.asarray([3.0, -2.0, 0.5, -1.0], dtype), "gradient", rule, "gauge"
    )


@seeded(CASES, CLIPPED, "exp: the exponent held below 1 in the rule")
def _(rng, dtype):
    return own_jvp(
        jnp.exp,
        np.asarray([0.5, 2.0, -1.0, 3.0], dtype),
        lambda bug: lambda x, v: jnp.exp(jnp.minimum(x, 1) if bug else x) * v,
        "entry",
    )


@seeded(CASES, CLIPPED, "clipping by norm left in a backward rule")
def _(rng, dtype):
    w = square(rng, dtype, 4)

    def pull(bug):
        def rule(x, ct):
            g = w.T @ (ct * jnp.cos(w @ x))
            return (g / jnp.maximum(1, 10 * jnp.linalg.norm(g)) if bug else g,)

        return rule

    return own_vjp(lambda x: jnp.sin(w @ x), normal(rng, dtype, 4), pull, "constant factor", "nonlinear")


@seeded(CASES, CLIPPED, "gradient clipped by value")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sum(x**4),
        np.asarray([0.3, -1.5, 0.6, 2.0], dtype),
        "gradient",
        lambda bug: lambda x: jnp.clip(4 * x**3, -1, 1) if bug else 4 * x**3,
        "entry",
    )


@seeded(CASES, CLIPPED, "log: an ε in the denominator")
def _(rng, dtype):
    return own_vjp(jnp.log, positive(rng, dtype, 4), lambda bug: lambda x, ct: (ct / (x + (1e-2 if bug else 0)),))


@seeded(CASES, CLIPPED, "sqrt: the root held above 1")
def _(rng, dtype):
    return own_jvp(
        jnp.sqrt,
        np.asarray([0.2, 2.0, 0.6, 3.0], dtype),
        lambda bug: lambda x, v: v / (2 * (jnp.maximum(jnp.sqrt(x), 1) if bug else jnp.sqrt(x))),
        "entry",
    )


@seeded(CASES, CLIPPED, "sigmoid: s(1 − s) held above 0.1")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            s = jax.nn.sigmoid(x)
            return jnp.maximum(s * (1 - s), 0.1 if bug else 0) * v

        return rule

    return own_jvp(jax.nn.sigmoid, np.asarray([0.5, 4.0, -3.0, 1.0], dtype), tangent, "entry")


@seeded(CASES, CLIPPED, "norm: divided by at least 1")
def _(rng, dtype):
    def rule(bug):
        def gradient(x):
            n = jnp.linalg.norm(x)
            return x / (jnp.maximum(n, 1) if bug else n)

        return gradient

    return hand(jnp.linalg.norm, 0.2 * normal(rng, dtype, 4), "gradient", rule, "constant factor")


@seeded(CASES, CLIPPED, "Poisson regression: the rate capped in the gradient of one group")
def _(rng, dtype):
    data, counts = normal(rng, dtype, 8, 3), np.asarray(rng.poisson(2.0, 8), dtype)

    def nll(p):
        eta = data @ p["slope"] + p["base"]
        return jnp.sum(jnp.exp(eta) - counts * eta)

    def rule(bug):
        def gradient(p):
            rate = jnp.exp(data @ p["slope"] + p["base"])
            capped = jnp.minimum(rate, 1.5) if bug else rate
            return {"slope": data.T @ (capped - counts), "base": jnp.sum(rate - counts)}

        return gradient

    point = {"slope": normal(rng, dtype, 3), "base": np.asarray(0.5, dtype)}
    return hand(nll, point, "gradient", rule, "one leaf")


@seeded(CASES, CLIPPED, "Hessian made positive: the curvature's absolute value")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sum(jnp.cos(x)),
        np.asarray([0.3, 2.5, -0.8, 3.0], dtype),
        "hvp",
        lambda bug: lambda x, v: (jnp.abs(jnp.cos(x)) if bug else -jnp.cos(x)) * v,
        "entry",
        "constant factor",
        "wrong term",
    )


@seeded(CASES, CLIPPED, "recurrence: the state's cotangent clamped at every step")
def _(rng, dtype):
    w, inputs = 2 * square(rng, dtype, 3), normal(rng, dtype, 3, 3)

    def run(h):
        for x in inputs:
            h = w @ jnp.sin(h) / 2 + x
        return h

    def pull(bug):
        def rule(h, ct):
            states = [h]
            for x in inputs[:-1]:
                states.append(w @ jnp.sin(states[-1]) / 2 + x)
            for state in reversed(states):
                ct = jnp.cos(state) * (w.T @ ct) / 2
                ct = jnp.clip(ct, -0.2, 0.2) if bug else ct
            return (ct,)

        return rule

    return own_vjp(run, 0.3 * normal(rng, dtype, 3), pull, "nonlinear", "entry")
