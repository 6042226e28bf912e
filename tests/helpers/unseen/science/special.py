"""Unseen bugs: special functions and distributions."""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jax.scipy import special

from helpers.seeded.case import (
    ADJOINT,
    ARGUMENT,
    BATCH,
    BRANCH,
    CHAIN,
    CLIPPED,
    DEMOTED,
    FACTOR,
    MEAN,
    SECOND,
    SEVERAL,
    SIGN,
    hand,
    normal,
    own_jvp,
    own_vjp,
    positive,
    seeded,
)

CASES = []


@seeded(CASES, FACTOR, "scaled erfc: x·f for 2x·f in its differential equation")
def _(rng, dtype):
    def scaled(x):
        return jnp.exp(x**2) * special.erfc(x)

    return own_jvp(
        scaled,
        positive(rng, dtype, 5),
        lambda bug: lambda x, v: ((1 if bug else 2) * x * scaled(x) - 2 / np.pi**0.5) * v,
        "wrong term",
    )


def slope_of_log(x):
    """The derivative of log Φ."""
    return jnp.exp(-(x**2) / 2 - special.log_ndtr(x)) / (2 * np.pi) ** 0.5


@seeded(CASES, SIGN, "log survival of a normal variable: the hazard without its minus")
def _(rng, dtype):
    return own_vjp(
        lambda x: special.log_ndtr(-x),
        normal(rng, dtype, 4),
        lambda bug: lambda x, ct: ((1 if bug else -1) * ct * slope_of_log(-x),),
        "constant factor",
    )


@seeded(CASES, ARGUMENT, "log gamma: the order of polygamma one too high")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sum(special.gammaln(x)),
        positive(rng, dtype, 4),
        "hessian",
        lambda bug: lambda x: jnp.diag(special.polygamma(2 if bug else 1, x)),
    )


@seeded(CASES, SECOND, "normal quantile: the quantile detached in its own derivative")
def _(rng, dtype):
    def tangent(bug):
        def rule(p, v):
            y = special.ndtri(p)
            return v * (2 * np.pi) ** 0.5 * jnp.exp((stop_gradient(y) if bug else y) ** 2 / 2)

        return rule

    return own_jvp(special.ndtri, np.asarray([0.1, 0.3, 0.55, 0.85], dtype), tangent, "stop gradient")


@seeded(CASES, BRANCH, "(exp(x) − 1)/x: the series near 0 differentiated to its first term")
def _(rng, dtype):
    def pieces(near, far):
        def function(x):
            small = jnp.abs(x) < 0.2
            return jnp.where(small, near(x), far(jnp.where(small, 1, x)))

        return function

    value = pieces(lambda x: 1 + x / 2 + x**2 / 6, lambda x: jnp.expm1(x) / x)

    def tangent(bug):
        slope = pieces(lambda x: 0.5 + (0 if bug else 1) * x / 3, lambda x: (jnp.exp(x) - jnp.expm1(x) / x) / x)
        return lambda x, v: slope(x) * v

    return own_jvp(value, np.asarray([0.9, -1.2, 0.15, 0.6, -0.7, 1.4], dtype), tangent, "entry")


@seeded(CASES, BATCH, "means of Dirichlet distributions: the sum of all concentrations for each row's")
def _(rng, dtype):
    def rule(bug):
        def vjp(a, ct):
            total = jnp.sum(a, axis=1, keepdims=True)
            centred = ct - jnp.sum(ct * a, axis=1, keepdims=True) / total
            return centred / (jnp.sum(a) if bug else total)

        return vjp

    rows = np.asarray([[1], [2], [4]], dtype)
    return hand(
        lambda a: a / jnp.sum(a, axis=1, keepdims=True), rows * positive(rng, dtype, 3, 4), "vjp", rule, "sample weight"
    )


@seeded(CASES, DEMOTED, "log gamma: digamma called in float32")
def _(rng, dtype):
    def pull(bug):
        def rule(x, ct):
            slope = special.digamma(x.astype(np.float32)).astype(x.dtype) if bug else special.digamma(x)
            return (ct * slope,)

        return rule

    return own_vjp(special.gammaln, positive(rng, dtype, 4), pull, "dtype")


@seeded(CASES, SEVERAL, "log(exp a − exp b): the weight of b without its minus")
def _(rng, dtype):
    def tangent(bug):
        def rule(a, b, u, v):
            w = jnp.exp(b - a)
            return (u + (w if bug else -w) * v) / (1 - w)

        return rule

    b = normal(rng, dtype, 4)
    return own_jvp(
        lambda a, b: a + jnp.log1p(-jnp.exp(b - a)),
        b + positive(rng, dtype, 4),
        tangent,
        "one leaf",
        "wrong term",
        args=(b,),
    )


@seeded(CASES, MEAN, "cosine series: the mean's coefficient with the 2/n of the others")
def _(rng, dtype):
    k, j = np.arange(6)[:, None], np.arange(6)
    basis = np.asarray(np.cos(np.pi * k * (j + 0.5) / 6) * 2 / 6, dtype)
    right = basis.copy()
    right[0] /= 2
    return hand(
        lambda x: right @ jnp.exp(x),
        normal(rng, dtype, 6),
        "jvp",
        lambda bug: lambda x, v: (basis if bug else right) @ (jnp.exp(x) * v),
        "entry",
    )


@seeded(CASES, CHAIN, "gamma function: ψ for Γψ")
def _(rng, dtype):
    def gamma(x):
        return jnp.exp(special.gammaln(x))

    return hand(
        gamma,
        1.5 + positive(rng, dtype, 4),
        "vjp",
        lambda bug: lambda x, ct: ct * special.digamma(x) * (1 if bug else gamma(x)),
    )


@seeded(CASES, ADJOINT, "Lambert's W: 1/(1 + W) without exp(W)")
def _(rng, dtype):
    def lambert(x):
        w = jnp.log1p(x)
        for _ in range(6):
            w = w - (w * jnp.exp(w) - x) / (jnp.exp(w) * (1 + w))
        return w

    def tangent(bug):
        def rule(x, v):
            w = lambert(x)
            return v / ((1 + w) * (1 if bug else jnp.exp(w)))

        return rule

    return own_jvp(lambert, positive(rng, dtype, 4), tangent)


@seeded(CASES, CLIPPED, "log of the normal distribution: its slope held below 2 in the tail")
def _(rng, dtype):
    def pull(bug):
        return lambda x, ct: (ct * (jnp.minimum(slope_of_log(x), 2) if bug else slope_of_log(x)),)

    at = np.asarray([0.4, -0.8, 1.1, -2.6, 0.1, -1.0], dtype)
    return own_vjp(lambda x: special.log_ndtr(x), at, pull, "entry")


@seeded(CASES, BRANCH, "sinc: no limit taken at 0 in the Hessian")
def _(rng, dtype):
    def rule(bug):
        def hessian(x):
            t = np.pi * (x if bug else jnp.where(x == 0, 1, x))
            curved = np.pi**2 * (2 * jnp.sin(t) / t**3 - 2 * jnp.cos(t) / t**2 - jnp.sin(t) / t)
            return jnp.diag(curved if bug else jnp.where(x == 0, -(np.pi**2) / 3, curved))

        return hessian

    at = np.asarray([0.7, -1.2, 0.0, 0.4, 1.6], dtype)
    return hand(lambda x: jnp.sum(jnp.sinc(x)), at, "hessian", rule, "nonfinite", "entry")
