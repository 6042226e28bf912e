"""Seeded bugs: a sign that is wrong, and a term that is missing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy import special, stats

from helpers.seeded.case import SIGN, TERM, hand, normal, own_jvp, own_vjp, positive, seeded, spd, square

CASES = []


@seeded(CASES, SIGN, "silu: the second term subtracted")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            s = jax.nn.sigmoid(x)
            return (s - x * s * (1 - s) if bug else s + x * s * (1 - s)) * v

        return rule

    return own_jvp(lambda x: x * jax.nn.sigmoid(x), normal(rng, dtype, 5), tangent, "wrong term")


@seeded(CASES, SIGN, "negative log likelihood: the score of the likelihood itself")
def _(rng, dtype):
    counts = np.asarray(rng.poisson(3.0, 6), dtype)
    return hand(
        lambda u: jnp.sum(jnp.exp(u) - counts * u),
        normal(rng, dtype, 6),
        "gradient",
        lambda bug: lambda u: counts - jnp.exp(u) if bug else jnp.exp(u) - counts,
        "constant factor",
    )


@seeded(CASES, SIGN, "inverse: dA⁻¹ = +A⁻¹ dA A⁻¹")
def _(rng, dtype):
    return own_jvp(
        jnp.linalg.inv,
        square(rng, dtype, 3),
        lambda bug: lambda a, v: (1 if bug else -1) * jnp.linalg.inv(a) @ v @ jnp.linalg.inv(a),
        "constant factor",
    )


@seeded(CASES, SIGN, "quotient: u'v + uv' over v²")
def _(rng, dtype):
    w, q = normal(rng, dtype, 4), positive(rng, dtype, 4)

    def rule(bug):
        def gradient(x):
            u, d = w @ x, 1 + q @ x**2
            return (w * d + (1 if bug else -1) * u * 2 * q * x) / d**2

        return gradient

    return hand(lambda x: (w @ x) / (1 + q @ x**2), normal(rng, dtype, 4), "gradient", rule, "wrong term")


@seeded(CASES, SIGN, "layer norm: the projection on x̂ added")
def _(rng, dtype):
    def norm(x):
        return (x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + 1e-5)

    def pull(bug):
        def rule(x, ct):
            y, s = norm(x), jnp.sqrt(jnp.var(x) + 1e-5)
            return ((ct - jnp.mean(ct) + (1 if bug else -1) * y * jnp.mean(ct * y)) / s,)

        return rule

    return own_vjp(norm, normal(rng, dtype, 6), pull, "wrong term")


@seeded(CASES, SIGN, "harmonic oscillator: the force with the wrong sign in the step's jvp")
def _(rng, dtype):
    h = 0.2

    def step(s):
        return {"x": s["x"] + h * s["v"], "v": s["v"] - h * jnp.sin(s["x"])}

    def rule(bug):
        def jvp(s, d):
            return {
                "x": d["x"] + h * d["v"],
                "v": d["v"] + (1 if bug else -1) * h * jnp.cos(s["x"]) * d["x"],
            }

        return jvp

    point = {"x": normal(rng, dtype, 3), "v": normal(rng, dtype, 3)}
    return hand(step, point, "jvp", rule, "wrong term", "one leaf")


@seeded(CASES, SIGN, "von Mises likelihood: cos for −sin")
def _(rng, dtype):
    angles = normal(rng, dtype, 5)
    return hand(
        lambda m: -2.0 * jnp.sum(jnp.cos(angles - m)),
        np.asarray(0.4, dtype),
        "gradient",
        lambda bug: lambda m: (2.0 if bug else -2.0) * jnp.sum(jnp.sin(angles - m)),
        "constant factor",
    )


@seeded(CASES, SIGN, "entropy of softmax: +H in the bracket")
def _(rng, dtype):
    def entropy(z):
        p = jax.nn.softmax(z)
        return -jnp.sum(p * jnp.log(p))

    def rule(bug):
        def gradient(z):
            p = jax.nn.softmax(z)
            return -p * (jnp.log(p) + (-1 if bug else 1) * entropy(z))

        return gradient

    return hand(entropy, normal(rng, dtype, 5), "gradient", rule, "wrong term", "gauge")


@seeded(CASES, SIGN, "softmax cross entropy: +ppᵀ in the Hessian")
def _(rng, dtype):
    def rule(bug):
        def hessian(z):
            p = jax.nn.softmax(z)
            return jnp.diag(p) + (1 if bug else -1) * jnp.outer(p, p)

        return hessian

    return hand(
        lambda z: optax.softmax_cross_entropy_with_integer_labels(z, 1),
        normal(rng, dtype, 4),
        "hessian",
        rule,
        "wrong term",
        "gauge",
    )


@seeded(CASES, SIGN, "Gaussian process likelihood: +αα'")
def _(rng, dtype):
    y, base = normal(rng, dtype, 4), spd(rng, dtype, 4)

    def nll(s):
        k = jnp.exp(s["a"]) * base + jnp.exp(s["n"]) * np.eye(4, dtype=dtype)
        return 0.5 * y @ jnp.linalg.solve(k, y) + 0.5 * jnp.linalg.slogdet(k)[1]

    def rule(bug):
        def gradient(s):
            k = jnp.exp(s["a"]) * base + jnp.exp(s["n"]) * np.eye(4, dtype=dtype)
            inverse = jnp.linalg.inv(k)
            alpha = inverse @ y
            m = 0.5 * (inverse + (1 if bug else -1) * jnp.outer(alpha, alpha))
            return {"a": jnp.sum(m * jnp.exp(s["a"]) * base), "n": jnp.trace(m) * jnp.exp(s["n"])}

        return gradient

    point = {"a": np.asarray(0.2, dtype), "n": np.asarray(-0.5, dtype)}
    return hand(nll, point, "gradient", rule, "wrong term")


@seeded(CASES, SIGN, "complementary error function: the derivative of erf")
def _(rng, dtype):
    return own_jvp(
        special.erfc,
        normal(rng, dtype, 4),
        lambda bug: lambda x, v: (2 if bug else -2) / np.sqrt(np.pi).astype(dtype) * jnp.exp(-(x**2)) * v,
        "constant factor",
    )


@seeded(CASES, TERM, "gelu: x·φ(x) missing")
def _(rng, dtype):
    return own_jvp(
        lambda x: jax.nn.gelu(x, approximate=False),
        normal(rng, dtype, 5),
        lambda bug: lambda x, v: (stats.norm.cdf(x) + (0 if bug else x * stats.norm.pdf(x))) * v,
        "wrong term",
        "stop gradient",
    )


@seeded(CASES, TERM, "ridge regression: the gradient without λw")
def _(rng, dtype):
    data, y = normal(rng, dtype, 8, 4), normal(rng, dtype, 8)
    return hand(
        lambda w: jnp.mean((data @ w - y) ** 2) / 2 + 0.1 / 2 * w @ w,
        normal(rng, dtype, 4),
        "gradient",
        lambda bug: lambda w: data.T @ (data @ w - y) / 8 + (0 if bug else 0.1 * w),
        "missing regulariser",
        "wrong term",
    )


@seeded(CASES, TERM, "elastic net: the quadratic part forgotten")
def _(rng, dtype):
    data, y = normal(rng, dtype, 8, 4), np.sign(normal(rng, dtype, 8))

    def rule(bug):
        def gradient(w):
            g = -data.T @ (y * jax.nn.sigmoid(-y * (data @ w))) + 0.2 * jnp.sign(w)
            return g if bug else g + 0.3 * w

        return gradient

    return hand(
        lambda w: (
            jnp.sum(jax.nn.softplus(-y * (data @ w))) + 0.2 * jnp.sum(jnp.abs(w)) + 0.3 * jnp.sum(optax.l2_loss(w))
        ),
        normal(rng, dtype, 4),
        "gradient",
        rule,
        "missing regulariser",
        "wrong term",
    )


@seeded(CASES, TERM, "softmax: the vjp without its mean")
def _(rng, dtype):
    def pull(bug):
        def rule(z, ct):
            p = jax.nn.softmax(z)
            return (p * (ct if bug else ct - ct @ p),)

        return rule

    return own_vjp(lambda z: jnp.exp(jax.nn.log_softmax(z)), normal(rng, dtype, 5), pull, "wrong term", "gauge")


@seeded(CASES, TERM, "quadratic form of a matrix without symmetry: Ax for (A + Aᵀ)x")
def _(rng, dtype):
    a = square(rng, dtype, 4)
    return hand(
        lambda x: x @ a @ x,
        normal(rng, dtype, 4),
        "gradient",
        lambda bug: lambda x: a @ x if bug else a @ x + x @ a,
        "wrong term",
        "transpose",
        "stop gradient",
    )


@seeded(CASES, TERM, "logsumexp: the Hessian product without p(p·v)")
def _(rng, dtype):
    def rule(bug):
        def hvp(z, v):
            p = jax.nn.softmax(z)
            return p * v if bug else p * v - p * (p @ v)

        return hvp

    return hand(special.logsumexp, normal(rng, dtype, 5), "hvp", rule, "wrong term", "gauge", "stop gradient")


@seeded(CASES, TERM, "attention: keys' share of the gradient missing where queries and keys are one")
def _(rng, dtype):
    values = normal(rng, dtype, 4, 3)

    def attend(x):
        return jax.nn.softmax(x @ x.T, -1) @ values

    def rule(bug):
        def vjp(x, ct):
            p = jax.nn.softmax(x @ x.T, -1)
            dp = ct @ values.T
            ds = p * (dp - jnp.sum(dp * p, -1, keepdims=True))
            return ds @ x if bug else ds @ x + ds.T @ x

        return vjp

    return hand(attend, normal(rng, dtype, 4, 3), "vjp", rule, "wrong term", "stop gradient")


@seeded(CASES, TERM, "Cholesky's log determinant in a likelihood: the trace term missing")
def _(rng, dtype):
    y = normal(rng, dtype, 4)

    def rule(bug):
        def gradient(k):
            alpha = jnp.linalg.solve(k.T, y)
            g = -jnp.outer(alpha, jnp.linalg.solve(k, y)) / 2
            return g if bug else g + jnp.linalg.inv(k).T / 2

        return gradient

    return hand(
        lambda k: 0.5 * y @ jnp.linalg.solve(k, y) + 0.5 * jnp.linalg.slogdet(k)[1],
        spd(rng, dtype, 4),
        "gradient",
        rule,
        "wrong term",
    )


@seeded(CASES, TERM, "batch norm: the variance treated as constant")
def _(rng, dtype):
    def norm(x):
        return (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5)

    def pull(bug):
        def rule(x, ct):
            y = norm(x)
            g = ct - ct.mean(0)
            return ((g if bug else g - y * (ct * y).mean(0)) / jnp.sqrt(x.var(0) + 1e-5),)

        return rule

    return own_vjp(norm, normal(rng, dtype, 6, 3), pull, "wrong term", "stop gradient")


@seeded(CASES, TERM, "product of three: one of the summands forgotten in the jvp")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sin(x) * jnp.exp(x) * x,
        normal(rng, dtype, 4),
        "jvp",
        lambda bug: (
            lambda x, v: (
                v * jnp.exp(x) * (jnp.cos(x) * x + jnp.sin(x) * x)
                if bug
                else v * jnp.exp(x) * (jnp.cos(x) * x + jnp.sin(x) * x + jnp.sin(x))
            )
        ),
        "wrong term",
        "stop gradient",
    )


@seeded(CASES, TERM, "variational bound: the gradient of the log scale without the entropy")
def _(rng, dtype):
    noise = normal(rng, dtype, 3)

    def bound(q):
        return jnp.sum((q["m"] + jnp.exp(q["s"]) * noise) ** 2) / 2 - jnp.sum(q["s"])

    def rule(bug):
        def gradient(q):
            z = q["m"] + jnp.exp(q["s"]) * noise
            return {"m": z, "s": z * jnp.exp(q["s"]) * noise - (0 if bug else 1)}

        return gradient

    point = {"m": normal(rng, dtype, 3), "s": normal(rng, dtype, 3)}
    return hand(bound, point, "gradient", rule, "wrong term", "one leaf")
