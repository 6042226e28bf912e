"""Unseen bugs: activations, dense layers and their normalisation."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import (
    ARGUMENT,
    BRANCH,
    CHAIN,
    DEMOTED,
    FACTOR,
    SECOND,
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


@seeded(CASES, FACTOR, "gelu by tanh: the 3 of the cubic's derivative forgotten")
def _(rng, dtype):
    c, k = math.sqrt(2 / math.pi), 0.044715

    def tangent(bug):
        def rule(x, v):
            t = jnp.tanh(c * (x + k * x**3))
            inner = c * (1 + (1 if bug else 3) * k * x**2)
            return (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner) * v

        return rule

    return own_jvp(lambda x: 0.5 * x * (1 + jnp.tanh(c * (x + k * x**3))), normal(rng, dtype, 6), tangent, "wrong term")


@seeded(CASES, CHAIN, "scaled tanh 1.7159 tanh(2x/3): the 2/3 forgotten")
def _(rng, dtype):
    return own_jvp(
        lambda x: 1.7159 * jnp.tanh(2 * x / 3),
        normal(rng, dtype, 5),
        lambda bug: lambda x, v: 1.7159 * (1 if bug else 2 / 3) * (1 - jnp.tanh(2 * x / 3) ** 2) * v,
        "constant factor",
    )


@seeded(CASES, BRANCH, "relu6: the slope stays 1 above 6")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.clip(x, 0, 6),
        np.asarray([-1.3, 0.8, 4.0, 7.5, 2.2, 5.1, -0.4, 3.3], dtype),
        lambda bug: lambda x, v: jnp.where((x > 0) & (bug | (x < 6)), v, jnp.zeros_like(v)),
        "entry",
    )


@seeded(CASES, TERM, "swish of a learned slope: no tangent for the slope")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, b, vx, vb):
            s = jax.nn.sigmoid(b * x)
            out = (s + b * x * s * (1 - s)) * vx
            return out if bug else out + x**2 * s * (1 - s) * vb

        return rule

    return own_jvp(
        lambda x, b: x * jax.nn.sigmoid(b * x),
        normal(rng, dtype, 5),
        tangent,
        "one leaf",
        "stop gradient",
        "wrong term",
        args=(positive(rng, dtype, 5),),
    )


@seeded(CASES, SECOND, "mish: the inner tanh detached in the tangent")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            t = jnp.tanh(jax.nn.softplus(x))
            t = jax.lax.stop_gradient(t) if bug else t
            return (t + x * (1 - t**2) * jax.nn.sigmoid(x)) * v

        return rule

    return own_jvp(lambda x: x * jnp.tanh(jax.nn.softplus(x)), normal(rng, dtype, 5), tangent, "stop gradient")


@seeded(CASES, DEMOTED, "softplus: the sigmoid of its tangent in float32")
def _(rng, dtype):
    def tangent(bug):
        return lambda x, v: jax.nn.sigmoid(x.astype(jnp.float32) if bug else x).astype(x.dtype) * v

    return own_jvp(lambda x: jnp.logaddexp(x, 0.0), normal(rng, dtype, 5), tangent, "dtype")


@seeded(CASES, SEVERAL, "feature modulation γx + β: the tangent of γ multiplies β")
def _(rng, dtype):
    def tangent(bug):
        return lambda x, g, b, vx, vg, vb: g * vx + vg * (b if bug else x) + vb

    return own_jvp(
        lambda x, g, b: g * x + b,
        normal(rng, dtype, 4, 3),
        tangent,
        "one leaf",
        args=(normal(rng, dtype, 3), normal(rng, dtype, 3)),
    )


@seeded(CASES, SEVERAL, "learned leak: its cotangent from the positive part")
def _(rng, dtype):
    def leak(p):
        return jnp.where(p["z"] > 0, p["z"], p["a"] * p["z"])

    def rule(bug):
        def vjp(p, ct):
            z = p["z"]
            part = jnp.maximum(z, 0) if bug else jnp.minimum(z, 0)
            return {"z": jnp.where(z > 0, ct, p["a"] * ct), "a": jnp.sum(ct * part)}

        return vjp

    return hand(leak, {"z": normal(rng, dtype, 6), "a": np.asarray(0.2, dtype)}, "vjp", rule, "one leaf")


@seeded(CASES, SIGN, "highway layer: the carry gate's share added")
def _(rng, dtype):
    def highway(x):
        t = jax.nn.sigmoid(x)
        return t * jnp.sin(2 * x) + (1 - t) * x

    def rule(bug):
        def vjp(x, ct):
            t = jax.nn.sigmoid(x)
            slope = t * (1 - t)
            carry = x * slope if bug else -x * slope
            return ct * (slope * jnp.sin(2 * x) + 2 * t * jnp.cos(2 * x) + (1 - t) + carry)

        return vjp

    return hand(highway, normal(rng, dtype, 5), "vjp", rule, "wrong term")


@seeded(CASES, TERM, "residual block: the skip connection has no cotangent")
def _(rng, dtype):
    w = normal(rng, dtype, 4, 4)

    def rule(bug):
        def vjp(x, ct):
            branch = (1 - jnp.tanh(x) ** 2) * (w.T @ ct)
            return branch if bug else ct + branch

        return vjp

    return hand(lambda x: x + w @ jnp.tanh(x), normal(rng, dtype, 4), "vjp", rule, "wrong term", "stop gradient")


@seeded(CASES, TRANSPOSE, "low-rank adapter B(Ax): B for Bᵀ in the cotangent of A")
def _(rng, dtype):
    x = normal(rng, dtype, 3)

    def pull(bug):
        return lambda a, b, ct: (jnp.outer((b if bug else b.T) @ ct, x), jnp.outer(ct, a @ x))

    return own_vjp(
        lambda a, b: b @ (a @ x),
        normal(rng, dtype, 3, 3),
        pull,
        "transpose",
        "one leaf",
        args=(normal(rng, dtype, 3, 3),),
    )


@seeded(CASES, ARGUMENT, "gated linear unit: the linear half for the gate in the Hessian")
def _(rng, dtype):
    def rule(bug):
        def hessian(x):
            a, b = x[:3], x[3:]
            s = jax.nn.sigmoid(b)
            cross = jnp.diag(s * (1 - s))
            corner = jnp.diag((b if bug else a) * s * (1 - s) * (1 - 2 * s))
            return jnp.block([[jnp.zeros_like(cross), cross], [cross, corner]])

        return hessian

    return hand(
        lambda x: jnp.sum(x[:3] * jax.nn.sigmoid(x[3:])),
        normal(rng, dtype, 6),
        "hessian",
        rule,
        "entry",
    )


@seeded(CASES, SECOND, "root-mean-square norm: a saved and detached x̂ in the backward rule")
def _(rng, dtype):
    def scale(x):
        return jnp.sqrt(jnp.mean(x**2) + 1e-3)

    def pull(bug):
        def rule(x, ct):
            y = x / scale(x)
            y = jax.lax.stop_gradient(y) if bug else y
            return ((ct - y * jnp.mean(ct * y)) / scale(x),)

        return rule

    return own_vjp(lambda x: x / scale(x), normal(rng, dtype, 5), pull, "stop gradient")


@seeded(CASES, STALE, "weight normalisation: the norm stored at initialisation")
def _(rng, dtype):
    start = normal(rng, dtype, 5)

    def pull(bug):
        def rule(w, ct):
            norm = jnp.sqrt(jnp.sum(w**2))
            unit = w / norm
            return (1.5 * (ct - unit * (unit @ ct)) / (np.linalg.norm(start) if bug else norm),)

        return rule

    at = start + normal(rng, dtype, 5)
    return own_vjp(lambda w: 1.5 * w / jnp.sqrt(jnp.sum(w**2)), at, pull, "constant factor")
