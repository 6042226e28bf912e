"""Unseen bugs: differential equations, least squares and optimisation."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import (
    ADJOINT,
    ARGUMENT,
    BATCH,
    CHAIN,
    CLIPPED,
    DEMOTED,
    MEAN,
    SET,
    SIGN,
    STALE,
    TERM,
    TRANSPOSE,
    hand,
    normal,
    own_jvp,
    positive,
    seeded,
    spd,
    square,
)

CASES = []


@seeded(CASES, SIGN, "augmented Lagrangian: the multiplier subtracted in the Hessian product")
def _(rng, dtype):
    a, multiplier, rho = spd(rng, dtype, 4), 0.8, 1.5

    def fun(x):
        c = jnp.sum(x**2) - 1
        return x @ a @ x / 2 + multiplier * c + rho / 2 * c**2

    def rule(bug):
        def hvp(x, v):
            c = jnp.sum(x**2) - 1
            return a @ v + 4 * rho * x * (x @ v) + 2 * (rho * c + (-1 if bug else 1) * multiplier) * v

        return hvp

    return hand(fun, normal(rng, dtype, 4), "hvp", rule, "missing regulariser", "wrong term")


@seeded(CASES, TRANSPOSE, "linear misfit: A Aᵀ for Aᵀ A")
def _(rng, dtype):
    a, b = square(rng, dtype, 4), normal(rng, dtype, 4)
    return hand(
        lambda x: jnp.sum((a @ x - b) ** 2) / 2,
        normal(rng, dtype, 4),
        "hvp",
        lambda bug: lambda x, v: a @ (a.T @ v) if bug else a.T @ (a @ v),
        "transpose",
    )


def field(x):
    """A nonlinear oscillator with an inflow, and its Jacobian times v."""
    return jnp.stack([x[1], (1 - x[0] ** 2) * x[1] - x[0], x[0] * x[1] - x[2]])


def slope(x, v):
    return jax.jvp(field, (x,), (v,))[1]


@seeded(CASES, TERM, "Heun's step: the predictor treated as constant")
def _(rng, dtype):
    h = 0.3

    def rule(bug):
        def jvp(x, v):
            k = slope(x, v)
            return v + h / 2 * (k + slope(x + h * field(x), v if bug else v + h * k))

        return jvp

    return hand(
        lambda x: x + h / 2 * (field(x) + field(x + h * field(x))),
        normal(rng, dtype, 3),
        "jvp",
        rule,
        "stop gradient",
        "wrong term",
    )


@seeded(CASES, ARGUMENT, "midpoint step: the Jacobian at the start of the step")
def _(rng, dtype):
    h = 0.5

    def rule(bug):
        def jvp(x, v):
            middle = x + h / 2 * field(x)
            return v + h * slope(x if bug else middle, v + h / 2 * slope(x, v))

        return jvp

    return hand(lambda x: x + h * field(x + h / 2 * field(x)), normal(rng, dtype, 3), "jvp", rule, "wrong term")


@seeded(CASES, BATCH, "quartic energies of trajectories: the rank-one part over all of them")
def _(rng, dtype):
    def rule(bug):
        def hessian(x):
            flat, same = x.ravel(), jnp.kron(jnp.eye(3, dtype=x.dtype), jnp.ones((2, 2), x.dtype))
            square = jnp.repeat(jnp.sum(x**2, 1), 2)
            return jnp.diag(square) + 2 * jnp.outer(flat, flat) * (1 if bug else same)

        return hessian

    return hand(lambda x: jnp.sum(jnp.sum(x**2, 1) ** 2) / 4, normal(rng, dtype, 3, 2), "hessian", rule, "wrong term")


@seeded(CASES, DEMOTED, "explicit Euler: the states stored in float32 for the backward sweep")
def _(rng, dtype):
    w, h = square(rng, dtype, 3), 0.2

    def states(x):
        all_states = [x]
        for _ in range(5):
            all_states.append(all_states[-1] + h * jnp.tanh(w @ all_states[-1]))
        return all_states

    def rule(bug):
        def gradient(x):
            path = states(x)
            adjoint = path[-1]
            for s in path[-2::-1]:
                s = s.astype(np.float32).astype(s.dtype) if bug else s
                adjoint = adjoint + h * w.T @ (adjoint * (1 - jnp.tanh(w @ s) ** 2))
            return adjoint

        return gradient

    return hand(lambda x: jnp.sum(states(x)[-1] ** 2) / 2, normal(rng, dtype, 3), "gradient", rule, "dtype")


@seeded(CASES, CHAIN, "decay with log rates: the rate's own derivative forgotten")
def _(rng, dtype):
    time, start = positive(rng, dtype, 4), positive(rng, dtype, 4)

    def decay(u):
        return start * jnp.exp(-jnp.exp(u) * time)

    return hand(
        decay,
        normal(rng, dtype, 4),
        "jvp",
        lambda bug: lambda u, v: -time * decay(u) * v * (1 if bug else jnp.exp(u)),
    )


@seeded(CASES, SET, "data assimilation: a measurement overwrites the adjoint state")
def _(rng, dtype):
    a, data = square(rng, dtype, 3) / 2, normal(rng, dtype, 4, 3)

    def path(x):
        out = [x]
        for _ in range(3):
            out.append(jnp.sin(a @ out[-1]))
        return out

    def rule(bug):
        def gradient(x):
            states = path(x)
            adjoint = states[3] - data[3]
            for t in (2, 1, 0):
                back = a.T @ (adjoint * jnp.cos(a @ states[t]))
                adjoint = states[t] - data[t] + (0 if bug and t == 1 else 1) * back
            return adjoint

        return gradient

    return hand(
        lambda x: sum(jnp.sum((s - d) ** 2) for s, d in zip(path(x), data, strict=True)) / 2,
        normal(rng, dtype, 3),
        "gradient",
        rule,
    )


@seeded(CASES, ADJOINT, "implicit step with a mass matrix: the mass left out behind the adjoint solve")
def _(rng, dtype):
    mass, a = spd(rng, dtype, 4), normal(rng, dtype, 4, 4)
    system = mass - 0.2 * a

    def rule(bug):
        def vjp(x, ct):
            s = jnp.linalg.solve(system.T, ct)
            return s if bug else mass.T @ s

        return vjp

    return hand(lambda x: jnp.linalg.solve(system, mass @ x), normal(rng, dtype, 4), "vjp", rule)


@seeded(CASES, ADJOINT, "control of convection and diffusion: the adjoint state with the wrong sign")
def _(rng, dtype):
    a = np.asarray(2 * np.eye(5) - 1.4 * np.eye(5, k=-1) - 0.6 * np.eye(5, k=1), dtype)
    wanted = normal(rng, dtype, 5)

    def rule(bug):
        def gradient(u):
            adjoint = jnp.linalg.solve(a.T, jnp.linalg.solve(a, u) - wanted)
            return (-1 if bug else 1) * adjoint + 0.1 * u

        return gradient

    return hand(
        lambda u: jnp.sum((jnp.linalg.solve(a, u) - wanted) ** 2) / 2 + 0.05 * jnp.sum(u**2),
        normal(rng, dtype, 5),
        "gradient",
        rule,
        "wrong term",
    )


@seeded(CASES, STALE, "adaptive Euler step: the step size from before it was refused")
def _(rng, dtype):
    return hand(
        lambda x: x + 0.2 * field(x),
        normal(rng, dtype, 3),
        "jvp",
        lambda bug: lambda x, v: v + (0.4 if bug else 0.2) * slope(x, v),
        "wrong term",
    )


@seeded(CASES, CLIPPED, "trust region: the Hessian product shortened to the radius")
def _(rng, dtype):
    a = spd(rng, dtype, 4)

    def rule(bug):
        def hvp(x, v):
            out = a @ v + 3 * x**2 * v
            return out * jnp.minimum(1, 0.5 / jnp.linalg.norm(out)) if bug else out

        return hvp

    return hand(lambda x: x @ a @ x / 2 + jnp.sum(x**4) / 4, normal(rng, dtype, 4), "hvp", rule, "nonlinear")


@seeded(CASES, MEAN, "fit of a decay curve: a mean of squares and a Hessian of the sum")
def _(rng, dtype):
    time, data = np.linspace(0, 2, 7).astype(dtype), positive(rng, dtype, 7)

    def rule(bug):
        def hessian(p):
            e = jnp.exp(-p[1] * time)
            r, j = p[0] * e - data, jnp.stack([e, -p[0] * time * e])
            mixed, last = -jnp.sum(r * time * e), jnp.sum(r * p[0] * time**2 * e)
            curved = jnp.array([[jnp.zeros_like(mixed), mixed], [mixed, last]])
            return (j @ j.T + curved) / (1 if bug else 7)

        return hessian

    return hand(
        lambda p: jnp.mean((p[0] * jnp.exp(-p[1] * time) - data) ** 2) / 2,
        positive(rng, dtype, 2),
        "hessian",
        rule,
        "constant factor",
    )


@seeded(CASES, TERM, "entropic transport: the marginals left off the diagonal of the dual's Hessian")
def _(rng, dtype):
    cost = positive(rng, dtype, 3, 3)

    def rule(bug):
        def hessian(x):
            plan = jnp.exp(x[:3, None] + x[3:] - cost)
            zero = jnp.zeros_like(plan)
            marginals = jnp.concatenate([jnp.sum(plan, 1), jnp.sum(plan, 0)])
            return jnp.block([[zero, plan], [plan.T, zero]]) + (0 if bug else 1) * jnp.diag(marginals)

        return hessian

    return hand(
        lambda x: jnp.sum(jnp.exp(x[:3, None] + x[3:] - cost)) - jnp.sum(x) / 3,
        normal(rng, dtype, 6) / 2,
        "hessian",
        rule,
        "wrong term",
        "indefinite",
    )


@seeded(CASES, SIGN, "log barrier: the minus of the gradient kept in the Hessian product")
def _(rng, dtype):
    a = normal(rng, dtype, 7, 3)
    return hand(
        lambda x: -jnp.sum(jnp.log(4 - a @ x)),
        normal(rng, dtype, 3) / 4,
        "hvp",
        lambda bug: lambda x, v: (-1 if bug else 1) * a.T @ (a @ v / (4 - a @ x) ** 2),
        "constant factor",
        "indefinite",
    )


@seeded(CASES, CHAIN, "bounded parameters: the width of the bounds forgotten")
def _(rng, dtype):
    def bounded(u):
        return -1 + 3 * jax.nn.sigmoid(u)

    def tangent(bug):
        def rule(u, v):
            s = jax.nn.sigmoid(u)
            return (1 if bug else 3) * s * (1 - s) * v

        return rule

    return own_jvp(bounded, normal(rng, dtype, 4), tangent, "constant factor")
