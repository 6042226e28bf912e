"""Unseen bugs: chemistry, thermodynamics and molecular dynamics."""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from helpers.seeded.case import (
    ADJOINT,
    BRANCH,
    DEMOTED,
    FACTOR,
    MEAN,
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
    spd,
)

CASES = []


@seeded(CASES, FACTOR, "Morse bonds: e² for 2e² in the curvature")
def _(rng, dtype):
    a, r0 = 1.3, 1.0

    def rule(bug):
        def hvp(r, v):
            e = jnp.exp(-a * (r - r0))
            return 2 * a**2 * ((1 if bug else 2) * e**2 - e) * v

        return hvp

    return hand(
        lambda r: jnp.sum((1 - jnp.exp(-a * (r - r0))) ** 2), positive(rng, dtype, 5), "hvp", rule, "wrong term"
    )


@seeded(CASES, SIGN, "Arrhenius: −E/T² for E/T² in the temperature")
def _(rng, dtype):
    return own_jvp(
        lambda t: jnp.exp(-1.5 / t),
        positive(rng, dtype, 4),
        lambda bug: lambda t, v: (-1 if bug else 1) * 1.5 / t**2 * jnp.exp(-1.5 / t) * v,
        "constant factor",
    )


@seeded(CASES, TRANSPOSE, "mass action: the stoichiometric matrix not transposed")
def _(rng, dtype):
    k, n = positive(rng, dtype, 4), normal(rng, dtype, 4, 4)

    def rule(bug):
        def vjp(c, ct):
            s = k * ((n if bug else n.T) @ ct)
            return s * jnp.roll(c, 1) + jnp.roll(s * c, -1)

        return vjp

    return hand(lambda c: n @ (k * c * jnp.roll(c, 1)), positive(rng, dtype, 4), "vjp", rule, "transpose")


@seeded(CASES, TERM, "free energy of mixing: log x for log x + 1")
def _(rng, dtype):
    chi = spd(rng, dtype, 5)
    return hand(
        lambda x: jnp.sum(x * jnp.log(x)) + x @ chi @ x / 2,
        np.asarray(rng.dirichlet(np.ones(5)), dtype),
        "gradient",
        lambda bug: lambda x: jnp.log(x) + chi @ x + (0 if bug else 1),
        "gauge",
        "wrong term",
    )


@seeded(CASES, SECOND, "Yukawa: the screening detached in the backward rule")
def _(rng, dtype):
    def pull(bug):
        def rule(r, ct):
            e = jnp.exp(-0.7 * r)
            return (-ct * (stop_gradient(e) if bug else e) * (0.7 * r + 1) / r**2,)

        return rule

    return own_vjp(
        lambda r: jnp.sum(jnp.exp(-0.7 * r) / r), positive(rng, dtype, 4), pull, "stop gradient", "wrong term"
    )


@seeded(CASES, BRANCH, "minimum image: a pair across the boundary is not wrapped in the vjp")
def _(rng, dtype):
    def wrapped(d):
        return d - 3.0 * jnp.round(d / 3.0)

    return hand(
        lambda d: wrapped(d) ** 2,
        np.asarray([0.4, -1.1, 0.9, 2.3, -0.6, 1.2], dtype),
        "vjp",
        lambda bug: lambda d, ct: 2 * (d if bug else wrapped(d)) * ct,
        "entry",
    )


@seeded(CASES, DEMOTED, "ion among charges: distances of the Hessian in float32")
def _(rng, dtype):
    sites, charge = 2 * normal(rng, dtype, 5, 3), normal(rng, dtype, 5)

    def rule(bug):
        def hessian(x):
            d = x - sites
            d = d.astype(np.float32).astype(d.dtype) if bug else d
            r2 = jnp.sum(d**2, -1)
            tensor = 3 * d[:, :, None] * d[:, None] / r2[:, None, None] - jnp.eye(3, dtype=d.dtype)
            return jnp.einsum("k,kij->ij", charge / r2**1.5, tensor)

        return hessian

    return hand(
        lambda x: jnp.sum(charge / jnp.linalg.norm(x - sites, axis=1)), normal(rng, dtype, 3), "hessian", rule, "dtype"
    )


@seeded(CASES, SEVERAL, "van der Waals gas: the sign in the covolume b")
def _(rng, dtype):
    def pull(bug):
        def rule(v, t, b, ct):
            d_b = ct * t / (v - b) ** 2
            return -d_b + ct * 2 * 0.4 / v**3, ct / (v - b), -d_b if bug else d_b

        return rule

    return own_vjp(
        lambda v, t, b: t / (v - b) - 0.4 / v**2,
        1 + positive(rng, dtype, 3),
        pull,
        "one leaf",
        args=(positive(rng, dtype, 3), positive(rng, dtype, 3) / 4),
    )


@seeded(CASES, MEAN, "free energy of levels: Boltzmann factors without 1/Z")
def _(rng, dtype):
    def tangent(bug):
        def rule(e, v):
            w = jnp.exp(-e)
            return jnp.sum(w * v) / (1 if bug else jnp.sum(w))

        return rule

    return own_jvp(lambda e: -jnp.log(jnp.sum(jnp.exp(-e))), normal(rng, dtype, 5), tangent, "constant factor")


@seeded(CASES, SET, "bimolecular rates: a partner of two reactions overwritten")
def _(rng, dtype):
    # Species 3 is the partner in two reactions, every other species has one place.
    first, second, k = np.asarray([0, 1, 2]), np.asarray([3, 3, 4]), positive(rng, dtype, 3)

    def pull(bug):
        def rule(c, ct):
            out = jnp.zeros_like(c).at[first].add(ct * k * c[second])
            share = ct * k * c[first]
            return (out.at[second].set(share) if bug else out.at[second].add(share),)

        return rule

    return own_vjp(lambda c: k * c[first] * c[second], positive(rng, dtype, 5), pull, "entry")


@seeded(CASES, ADJOINT, "charge equilibration: the constraint left out of the adjoint system")
def _(rng, dtype):
    hardness = spd(rng, dtype, 4)

    def solve(b):
        free, ones = jnp.linalg.solve(hardness, b), jnp.linalg.solve(hardness, jnp.ones_like(b))
        return free - ones * jnp.sum(free) / jnp.sum(ones)

    return hand(
        lambda chi: -solve(chi),
        normal(rng, dtype, 4),
        "vjp",
        lambda bug: lambda chi, ct: -jnp.linalg.solve(hardness, ct) if bug else -solve(ct),
        "wrong term",
    )


@seeded(CASES, STALE, "pair forces: a neighbour list in which one pair is not yet")
def _(rng, dtype):
    now = 1.0 - np.eye(6)
    before = now.copy()
    before[0, 1] = before[1, 0] = 0
    at = np.asarray(0.6 * rng.normal(size=(6, 2)), dtype)
    at[1] = at[0] + np.asarray([0.5, 0.3], dtype)

    def rule(bug):
        mask = np.asarray(before if bug else now, dtype)

        def gradient(x):
            d = x[:, None] - x[None]
            return -2 * jnp.sum((mask * jnp.exp(-jnp.sum(d**2, -1)))[..., None] * d, 1)

        return gradient

    def energy(x):
        i, j = np.triu_indices(6, 1)
        return jnp.sum(jnp.exp(-jnp.sum((x[i] - x[j]) ** 2, -1)))

    return hand(energy, at, "gradient", rule, "row", "wrong term")
