"""Unseen bugs: mechanics, geometry and robotics."""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from helpers.seeded.case import (
    ARGUMENT,
    BATCH,
    BRANCH,
    CLIPPED,
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


@seeded(CASES, FACTOR, "Duffing springs: x² for 3x² in the Hessian product")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sum(x**2 / 2 + x**4 / 4),
        normal(rng, dtype, 5),
        "hvp",
        lambda bug: lambda x, v: v + (1 if bug else 3) * x**2 * v,
        "wrong term",
    )


@seeded(CASES, SIGN, "charge in a magnetic field with drag: B × v for v × B")
def _(rng, dtype):
    # The cross product with B is a skew matrix: its sign and its transpose are one.
    field = normal(rng, dtype, 3)
    return hand(
        lambda v: jnp.cross(v, field) - 0.3 * v,
        normal(rng, dtype, 3),
        "jvp",
        lambda bug: lambda v, d: (jnp.cross(field, d) if bug else jnp.cross(d, field)) - 0.3 * d,
        "wrong term",
        "transpose",
    )


def rotation(q):
    w, x, y, z = q / jnp.linalg.norm(q)
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@seeded(CASES, TRANSPOSE, "points turned by a quaternion: the cotangent turned forwards too")
def _(rng, dtype):
    q = normal(rng, dtype, 4)
    return hand(
        lambda points: points @ rotation(q).T,
        normal(rng, dtype, 4, 3),
        "vjp",
        lambda bug: lambda points, ct: ct @ (rotation(q).T if bug else rotation(q)),
        "transpose",
    )


@seeded(CASES, TERM, "body on springs: the geometric stiffness missing")
def _(rng, dtype):
    # What is left is the derivative with the springs' directions held constant.
    anchors = 2 * normal(rng, dtype, 5, 3)

    def rule(bug):
        def hessian(x):
            d = x - anchors
            r = jnp.linalg.norm(d, axis=1)
            n = d / r[:, None]
            along = jnp.einsum("ki,kj->ij", n, n)
            across = jnp.sum(1 - 1 / r) * jnp.eye(3, dtype=x.dtype) - jnp.einsum("k,ki,kj->ij", 1 - 1 / r, n, n)
            return along if bug else along + across

        return hessian

    return hand(
        lambda x: jnp.sum((jnp.linalg.norm(x - anchors, axis=1) - 1) ** 2) / 2,
        normal(rng, dtype, 3),
        "hessian",
        rule,
        "wrong term",
        "stop gradient",
    )


def planar_arm(q):
    angle = jnp.cumsum(q)
    return jnp.stack([jnp.sum(jnp.cos(angle)), jnp.sum(jnp.sin(angle))])


def planar_arm_tangent(q, v, angle):
    d = jnp.cumsum(v)
    return jnp.stack([-jnp.sum(jnp.sin(angle) * d), jnp.sum(jnp.cos(angle) * d)])


@seeded(CASES, ARGUMENT, "planar arm: the joints' own angles for the links' absolute ones")
def _(rng, dtype):
    return own_jvp(
        planar_arm,
        normal(rng, dtype, 3),
        lambda bug: lambda q, v: planar_arm_tangent(q, v, q if bug else jnp.cumsum(q)),
    )


@seeded(CASES, SECOND, "gravity: the distance detached in the tangent of −1/r")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            r = jnp.linalg.norm(x)
            return jnp.sum(x * v) / (stop_gradient(r) if bug else r) ** 3

        return rule

    return own_jvp(lambda x: -1 / jnp.linalg.norm(x), normal(rng, dtype, 3), tangent, "stop gradient", "wrong term")


@seeded(CASES, BRANCH, "elastic-plastic bars: the elastic stiffness after yielding")
def _(rng, dtype):
    def energy(x):
        e = jnp.abs(x)
        return jnp.sum(jnp.where(e < 1, e**2 / 2, 0.5 + (e - 1) + 0.05 * (e - 1) ** 2))

    return hand(
        energy,
        np.asarray([0.3, -0.5, 0.7, -1.6, 0.2, 0.9], dtype),
        "hessian",
        lambda bug: lambda x: jnp.diag(jnp.where((jnp.abs(x) < 1) | bug, 1.0, 0.1).astype(x.dtype)),
        "entry",
    )


@seeded(CASES, BATCH, "unit quaternions of a batch: one projection for all of them")
def _(rng, dtype):
    def rule(bug):
        def vjp(q, ct):
            n = jnp.linalg.norm(q, axis=1, keepdims=True)
            along = jnp.sum(q * ct, axis=None if bug else 1, keepdims=True)
            return ct / n - q * along / n**3

        return vjp

    return hand(
        lambda q: q / jnp.linalg.norm(q, axis=1, keepdims=True), normal(rng, dtype, 3, 4), "vjp", rule, "wrong term"
    )


@seeded(CASES, SEVERAL, "kinetic energy p²/2m: one 1/m too few in the mass")
def _(rng, dtype):
    return own_vjp(
        lambda p, m: p**2 / (2 * m),
        normal(rng, dtype, 4),
        lambda bug: lambda p, m, ct: (ct * p / m, -ct * p**2 / (2 * m ** (1 if bug else 2))),
        "one leaf",
        args=(positive(rng, dtype, 4),),
    )


@seeded(CASES, MEAN, "trap at the centre of mass: the total mass not divided by")
def _(rng, dtype):
    mass = positive(rng, dtype, 4)
    total = float(mass.sum())
    return hand(
        lambda x: jnp.sum((mass @ x / total) ** 2) / 2,
        normal(rng, dtype, 4, 3),
        "gradient",
        lambda bug: lambda x: mass[:, None] * (mass @ x / total) / (1 if bug else total),
        "constant factor",
    )


@seeded(CASES, STALE, "coupled pendulums: gravity's stiffness of the position at rest")
def _(rng, dtype):
    coupling, rest = spd(rng, dtype, 4), np.zeros(4, dtype)
    return hand(
        lambda q: jnp.sum(1 - jnp.cos(q)) + q @ coupling @ q / 2,
        normal(rng, dtype, 4),
        "hvp",
        lambda bug: lambda q, v: jnp.cos(rest if bug else q) * v + coupling @ v,
        "wrong term",
    )


@seeded(CASES, CLIPPED, "planar arm: joint rates limited in the jvp")
def _(rng, dtype):
    return hand(
        planar_arm,
        normal(rng, dtype, 4),
        "jvp",
        lambda bug: lambda q, v: planar_arm_tangent(q, jnp.clip(v, -0.2, 0.2) if bug else v, jnp.cumsum(q)),
        "nonlinear",
    )


@seeded(CASES, BRANCH, "cubic springs: x/r at a spring of length zero")
def _(rng, dtype):
    at = normal(rng, dtype, 5, 2)
    at[2] = 0

    def tangent(bug):
        def rule(x, v):
            r2 = jnp.sum(x**2, 1)
            r = jnp.sqrt(r2 if bug else jnp.where(r2 > 0, r2, 1))
            return 3 * r2 / r * jnp.sum(x * v, 1)

        return rule

    def energy(x):
        r2 = jnp.sum(x**2, 1)
        return jnp.where(r2 > 0, r2 * jnp.sqrt(jnp.where(r2 > 0, r2, 1)), 0)

    return own_jvp(energy, at, tangent, "nonfinite", "row", "entry")


@seeded(CASES, SEVERAL, "symplectic Euler: positions moved by the old momenta's tangent")
def _(rng, dtype):
    h = 0.5

    def step(s):
        p = s["p"] - h * jnp.sin(s["q"])
        return {"p": p, "q": s["q"] + h * p}

    def rule(bug):
        def jvp(s, v):
            p = v["p"] - h * jnp.cos(s["q"]) * v["q"]
            return {"p": p, "q": v["q"] + h * (v["p"] if bug else p)}

        return jvp

    return hand(step, {"p": normal(rng, dtype, 3), "q": normal(rng, dtype, 3)}, "jvp", rule, "one leaf", "wrong term")


@seeded(CASES, SET, "discrete action of a path: the loop ends before the last point's potential")
def _(rng, dtype):
    def rule(bug):
        def gradient(x):
            force, out = x**3 - x, jnp.zeros_like(x)
            for t in range(4):
                d = x[t + 1] - x[t]
                out = out.at[t].add(force[t] - d).at[t + 1].add(d)
            return out if bug else out.at[4].add(force[4])

        return gradient

    return hand(
        lambda x: jnp.sum((x[1:] - x[:-1]) ** 2) / 2 + jnp.sum((x**2 - 1) ** 2) / 4,
        normal(rng, dtype, 5, 2),
        "gradient",
        rule,
        "row",
        "wrong term",
    )
