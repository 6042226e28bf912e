"""Seeded bugs: a part of a float64 rule that is computed in float32 or bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special, stats

from helpers.seeded.case import DEMOTED, hand, normal, own_jvp, own_vjp, positive, seeded, spd, square

CASES = []


def single(bug):
    """Return the demotion to float32 and back, or nothing."""
    return (lambda x: x.astype(jnp.float32).astype(x.dtype)) if bug else (lambda x: x)


@seeded(CASES, DEMOTED, "softmax computed in float32 in the gradient")
def _(rng, dtype):
    target = np.asarray(rng.dirichlet(np.ones(5)), dtype)

    def rule(bug):
        def gradient(z):
            p = jax.nn.softmax(z.astype(jnp.float32)) if bug else jax.nn.softmax(z)
            return p - target

        return gradient

    return hand(lambda z: -jnp.sum(target * jax.nn.log_softmax(z)), normal(rng, dtype, 5), "gradient", rule, "dtype")


@seeded(CASES, DEMOTED, "erf: 2/√π with six digits of a float32")
def _(rng, dtype):
    def tangent(bug):
        c = np.float32(2 / np.sqrt(np.pi)) if bug else np.asarray(2 / np.sqrt(np.pi), dtype)
        return lambda x, v: c * jnp.exp(-(x**2)) * v

    return own_jvp(special.erf, normal(rng, dtype, 4), tangent, "dtype", "constant factor")


@seeded(CASES, DEMOTED, "dense layer: the adjoint product accumulated in float32")
def _(rng, dtype):
    w = normal(rng, dtype, 6, 6)

    def pull(bug):
        def rule(x, ct):
            g = ct * (1 - jnp.tanh(w @ x) ** 2)
            if bug:
                return (jnp.matmul(w.T.astype("float32"), g.astype(jnp.float32)).astype(g.dtype),)
            return (w.T @ g,)

        return rule

    return own_vjp(lambda x: jnp.tanh(w @ x), normal(rng, dtype, 6), pull, "dtype")


@seeded(CASES, DEMOTED, "gelu: the density in bfloat16")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            density = stats.norm.pdf(x)
            density = density.astype(jnp.bfloat16).astype(x.dtype) if bug else density
            return (stats.norm.cdf(x) + x * density) * v

        return rule

    return own_jvp(lambda x: jax.nn.gelu(x, approximate=False), normal(rng, dtype, 5), tangent, "dtype")


@seeded(CASES, DEMOTED, "layer norm: statistics in float32")
def _(rng, dtype):
    def norm(x, cast=lambda x: x):
        m = cast(jnp.mean(x))
        return (x - m) / jnp.sqrt(cast(jnp.mean((x - m) ** 2)) + 1e-5)

    def pull(bug):
        def rule(x, ct):
            y = norm(x, single(bug))
            s = jnp.sqrt(single(bug)(jnp.var(x)) + 1e-5)
            return ((ct - jnp.mean(ct) - y * jnp.mean(ct * y)) / s,)

        return rule

    return own_vjp(lambda x: norm(x), normal(rng, dtype, 6), pull, "dtype")


@seeded(CASES, DEMOTED, "logistic regression: the direction of the Hessian product in float32")
def _(rng, dtype):
    data = normal(rng, dtype, 7, 4)

    def rule(bug):
        def hvp(w, v):
            s = jax.nn.sigmoid(data @ w)
            return data.T @ (s * (1 - s) * (data @ single(bug)(v)))

        return hvp

    return hand(lambda w: jnp.sum(jax.nn.softplus(data @ w)), normal(rng, dtype, 4), "hvp", rule, "dtype", "nonlinear")


@seeded(CASES, DEMOTED, "likelihood of a pytree: one leaf's score in float32")
def _(rng, dtype):
    data = normal(rng, dtype, 8)

    def nll(p):
        return jnp.sum((data - p["m"]) ** 2 * jnp.exp(-p["s"]) / 2 + p["s"] / 2)

    def rule(bug):
        def gradient(p):
            r = data - p["m"]
            score = jnp.sum((1 - r**2 * jnp.exp(-p["s"])) / 2)
            return {"m": -jnp.sum(r) * jnp.exp(-p["s"]), "s": single(bug)(score)}

        return gradient

    point = {"m": np.asarray(0.37, dtype), "s": np.asarray(-0.21, dtype)}
    return hand(nll, point, "gradient", rule, "dtype", "one leaf")


@seeded(CASES, DEMOTED, "Gaussian process: the adjoint system solved in float32")
def _(rng, dtype):
    k, y = spd(rng, dtype, 4), normal(rng, dtype, 4)

    def rule(bug):
        def gradient(u):
            m = k + jnp.diag(jnp.exp(u))
            if bug:
                alpha = jnp.linalg.solve(m.astype(jnp.float32), jnp.asarray(y, jnp.float32)).astype(m.dtype)
            else:
                alpha = jnp.linalg.solve(m, y)
            return -(alpha**2) * jnp.exp(u) / 2

        return gradient

    return hand(
        lambda u: 0.5 * y @ jnp.linalg.solve(k + jnp.diag(jnp.exp(u)), y),
        normal(rng, dtype, 4),
        "gradient",
        rule,
        "dtype",
    )


@seeded(CASES, DEMOTED, "Gauss quadrature: the nodes of the jvp stored in float32")
def _(rng, dtype):
    nodes, weights = (a.astype(dtype) for a in np.polynomial.legendre.leggauss(5))

    def rule(bug):
        t = nodes.astype(np.float32).astype(dtype) if bug else nodes
        return lambda x, v: jnp.exp(x[:, None] * t) @ (weights * t) * v

    return hand(lambda x: jnp.exp(x[:, None] * nodes) @ weights, normal(rng, dtype, 3), "jvp", rule, "dtype")


@seeded(CASES, DEMOTED, "torus: an angle reduced in float32")
def _(rng, dtype):
    def rule(bug):
        def gradient(x):
            turns = single(bug)(x / (2 * np.pi))
            return -jnp.sin(2 * np.pi * (turns - jnp.floor(turns)))

        return gradient

    return hand(lambda x: jnp.sum(jnp.cos(x)), 20 * positive(rng, dtype, 4), "gradient", rule, "dtype")


@seeded(CASES, DEMOTED, "attention: probabilities kept in bfloat16 for the backward pass")
def _(rng, dtype):
    k, values = normal(rng, dtype, 3, 4), normal(rng, dtype, 3, 4)

    def pull(bug):
        def rule(q, ct):
            p = jax.nn.softmax(q @ k.T, -1)
            p = p.astype(jnp.bfloat16).astype(p.dtype) if bug else p
            dp = ct @ values.T
            return ((p * (dp - jnp.sum(dp * p, -1, keepdims=True))) @ k,)

        return rule

    return own_vjp(lambda q: jax.nn.softmax(q @ k.T, -1) @ values, normal(rng, dtype, 3, 4), pull, "dtype")


@seeded(CASES, DEMOTED, "quadratic energy: the matrix cast to float32 in the Hessian")
def _(rng, dtype):
    a = square(rng, dtype, 4)
    h = a + a.T
    return hand(
        lambda x: x @ a @ x + jnp.sum(x**4),
        normal(rng, dtype, 4),
        "hessian",
        lambda bug: lambda x: (h.astype("float32").astype(dtype) if bug else h) + jnp.diag(12 * x**2),
        "dtype",
    )
