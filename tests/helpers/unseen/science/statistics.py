"""Unseen bugs: likelihoods, generalised linear models, survival times, Gaussian processes."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from helpers.seeded.case import (
    ARGUMENT,
    BATCH,
    BRANCH,
    CHAIN,
    CLIPPED,
    DEMOTED,
    FACTOR,
    MEAN,
    SECOND,
    SET,
    SEVERAL,
    STALE,
    TERM,
    TRANSPOSE,
    hand,
    normal,
    own_vjp,
    positive,
    seeded,
    spd,
)

CASES = []


def density(z):
    return jnp.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5


def mills(z):
    """The slope of log Φ."""
    return density(z) / special.ndtr(z)


@seeded(CASES, FACTOR, "Gaussian sample: the curvature of log σ without its 2")
def _(rng, dtype):
    data = normal(rng, dtype, 8)

    def rule(bug):
        def hessian(p):
            r, w = data - p[0], jnp.exp(-2 * p[1])
            mixed = 2 * jnp.sum(r) * w
            return jnp.array([[8 * w, mixed], [mixed, (1 if bug else 2) * jnp.sum(r**2) * w]])

        return hessian

    return hand(
        lambda p: 8 * p[1] + jnp.sum((data - p[0]) ** 2) * jnp.exp(-2 * p[1]) / 2,
        normal(rng, dtype, 2) / 2,
        "hessian",
        rule,
        "entry",
    )


@seeded(CASES, TERM, "Cox's partial likelihood: the events' own share missing")
def _(rng, dtype):
    event = np.asarray([1, 0, 1, 1, 0, 1], dtype)

    def at_risk(eta):
        return jnp.cumsum(jnp.exp(eta)[::-1])[::-1]

    def pull(bug):
        def rule(eta, ct):
            risk = jnp.exp(eta) * jnp.cumsum(event / at_risk(eta))
            return (ct * (-risk if bug else event - risk),)

        return rule

    return own_vjp(
        lambda eta: jnp.sum(event * (eta - jnp.log(at_risk(eta)))), normal(rng, dtype, 6), pull, "wrong term"
    )


@seeded(CASES, ARGUMENT, "Dirichlet-multinomial: ψ(N) for ψ(A + N)")
def _(rng, dtype):
    counts = np.asarray([3, 0, 2, 1, 5], dtype)
    n = float(counts.sum())

    def value(a):
        total = jnp.sum(a)
        each = special.gammaln(a + counts) - special.gammaln(a)
        return special.gammaln(total) - special.gammaln(total + n) + jnp.sum(each)

    def pull(bug):
        def rule(a, ct):
            total = jnp.sum(a)
            shared = special.digamma(total) - special.digamma(jnp.asarray(n, a.dtype) if bug else total + n)
            return (ct * (shared + special.digamma(a + counts) - special.digamma(a)),)

        return rule

    return own_vjp(value, positive(rng, dtype, 5), pull, "gauge", "wrong term")


@seeded(CASES, SECOND, "probit regression: the expected information for the observed one")
def _(rng, dtype):
    data, labels = normal(rng, dtype, 9, 3), np.sign(normal(rng, dtype, 9))

    def rule(bug):
        def hessian(w):
            z = labels * (data @ w)
            m = mills(z)
            weight = density(z) ** 2 / (special.ndtr(z) * special.ndtr(-z)) if bug else m * (z + m)
            return data.T @ (weight[:, None] * data)

        return hessian

    return hand(
        lambda w: -jnp.sum(special.log_ndtr(labels * (data @ w))),
        normal(rng, dtype, 3),
        "hessian",
        rule,
        "sample weight",
    )


@seeded(CASES, BRANCH, "Tobit: censored samples curved like observed ones")
def _(rng, dtype):
    data, y = normal(rng, dtype, 8, 3), normal(rng, dtype, 8)
    censored = np.asarray([0, 1, 0, 0, 1, 0, 1, 0], bool)

    def rule(bug):
        def hvp(w, v):
            z = -data @ w
            weight = 1.0 if bug else jnp.where(censored, mills(z) * (z + mills(z)), 1)
            return data.T @ (weight * (data @ v))

        return hvp

    return hand(
        lambda w: jnp.sum(jnp.where(censored, -special.log_ndtr(-data @ w), (y - data @ w) ** 2 / 2)),
        normal(rng, dtype, 3),
        "hvp",
        rule,
        "sample weight",
    )


@seeded(CASES, BATCH, "mixture: responsibilities normalised over the samples")
def _(rng, dtype):
    data = normal(rng, dtype, 7)

    def rule(bug):
        def gradient(mu):
            r = data[:, None] - mu
            return -jnp.sum(jax.nn.softmax(-(r**2) / 2, axis=0 if bug else 1) * r, 0)

        return gradient

    return hand(
        lambda mu: -jnp.sum(special.logsumexp(-((data[:, None] - mu) ** 2) / 2, axis=1)),
        normal(rng, dtype, 3),
        "gradient",
        rule,
    )


@seeded(CASES, DEMOTED, "latent Gaussian process: the prior's precision in float32 for Hessian products")
def _(rng, dtype):
    precision = spd(rng, dtype, 5)

    def rule(bug):
        kept = precision.astype(np.float32).astype(dtype) if bug else precision
        return lambda u, v: kept @ v + jnp.exp(u) * v

    return hand(lambda u: u @ precision @ u / 2 + jnp.sum(jnp.exp(u) - u), normal(rng, dtype, 5), "hvp", rule, "dtype")


@seeded(CASES, SEVERAL, "Weibull lifetimes: log t for log(t/λ) in the shape")
def _(rng, dtype):
    time = positive(rng, dtype, 5, 3)

    def nll(p):
        u = time / p["scale"]
        return jnp.sum(u ** p["shape"] - jnp.log(p["shape"] / time) - p["shape"] * jnp.log(u))

    def rule(bug):
        def gradient(p):
            k, u = p["shape"], time / p["scale"]
            d_shape = u**k * jnp.log(time if bug else u) - 1 / k - jnp.log(u)
            return {"shape": jnp.sum(d_shape, 0), "scale": jnp.sum(k - k * u**k, 0) / p["scale"]}

        return gradient

    point = {"shape": 1 + positive(rng, dtype, 3), "scale": 2 + positive(rng, dtype, 3)}
    return hand(nll, point, "gradient", rule, "one leaf", "wrong term")


@seeded(CASES, CHAIN, "probit model's means: the density left out of the jvp")
def _(rng, dtype):
    data = normal(rng, dtype, 6, 3)
    return hand(
        lambda w: special.ndtr(data @ w),
        normal(rng, dtype, 3),
        "jvp",
        lambda bug: lambda w, v: (1 if bug else density(data @ w)) * (data @ v),
        "sample weight",
    )


@seeded(CASES, SET, "random effects: the last residual of a group for their sum")
def _(rng, dtype):
    # Only group 2 has two samples.
    group, y = np.asarray([0, 1, 2, 2, 3, 4]), normal(rng, dtype, 6)

    def rule(bug):
        def gradient(b):
            zero, r = jnp.zeros_like(b), y - b[group]
            return b - (zero.at[group].set(r) if bug else zero.at[group].add(r))

        return gradient

    return hand(
        lambda b: jnp.sum((y - b[group]) ** 2) / 2 + jnp.sum(b**2) / 2, normal(rng, dtype, 5), "gradient", rule, "entry"
    )


@seeded(CASES, STALE, "Poisson regression: working weights of the iterate before")
def _(rng, dtype):
    data, before, counts = normal(rng, dtype, 8, 3), normal(rng, dtype, 3), np.asarray(rng.poisson(2, 8), dtype)
    return hand(
        lambda w: jnp.sum(jnp.exp(data @ w) - counts * (data @ w)),
        normal(rng, dtype, 3) / 2,
        "hvp",
        lambda bug: lambda w, v: data.T @ (jnp.exp(data @ (before if bug else w)) * (data @ v)),
        "sample weight",
    )


@seeded(CASES, CLIPPED, "logistic regression: working weights held above 0.2")
def _(rng, dtype):
    data = normal(rng, dtype, 8, 3)

    def rule(bug):
        def hessian(w):
            s = jax.nn.sigmoid(data @ w)
            weight = jnp.maximum(s * (1 - s), 0.2 if bug else 0)
            return data.T @ (weight[:, None] * data)

        return hessian

    return hand(lambda w: jnp.sum(jax.nn.softplus(data @ w)), normal(rng, dtype, 3), "hessian", rule, "sample weight")


@seeded(CASES, TRANSPOSE, "vector autoregression: the coefficients' gradient transposed")
def _(rng, dtype):
    series = normal(rng, dtype, 7, 3)
    past, future = series[:-1], series[1:]

    def rule(bug):
        def gradient(p):
            r = (future - past @ p["a"].T) * jnp.exp(-2 * p["scale"])
            d_a = -r.T @ past
            d_scale = 6 - jnp.sum(r * (future - past @ p["a"].T), 0)
            return {"a": d_a.T if bug else d_a, "scale": d_scale}

        return gradient

    return hand(
        lambda p: jnp.sum(((future - past @ p["a"].T) * jnp.exp(-p["scale"])) ** 2 / 2 + p["scale"]),
        {"a": normal(rng, dtype, 3, 3), "scale": normal(rng, dtype, 3) / 3},
        "gradient",
        rule,
        "one leaf",
        "transpose",
    )


@seeded(CASES, ARGUMENT, "order statistics: the sorting permutation for its inverse in the backward rule")
def _(rng, dtype):
    def pull(bug):
        def rule(x, ct):
            order = jnp.argsort(x)
            return (ct[order] if bug else jnp.zeros_like(ct).at[order].set(ct),)

        return rule

    return own_vjp(
        lambda x: jnp.sort(x), np.asarray([0.3, 1.2, -0.7, 2.1, -1.5], dtype), pull, "permutation", "transpose"
    )


@seeded(CASES, MEAN, "kernel density estimate: the samples' mean in the value, their sum in the Hessian product")
def _(rng, dtype):
    samples = normal(rng, dtype, 6)

    def rule(bug):
        def hvp(x, v):
            d = x[:, None] - samples
            return jnp.sum((d**2 - 1) * jnp.exp(-(d**2) / 2), 1) * v / (1 if bug else 6)

        return hvp

    return hand(
        lambda x: jnp.sum(jnp.mean(jnp.exp(-((x[:, None] - samples) ** 2) / 2), 1)),
        normal(rng, dtype, 4),
        "hvp",
        rule,
        "constant factor",
    )
