"""Seeded bugs of second order only: the gradient is right, the Hessian or the derivative of a rule is not."""

import jax
import jax.numpy as jnp

from helpers.seeded.case import SECOND, composed, hand, normal, own_jvp, own_vjp, positive, seeded, spd, square

CASES = []


def detached(bug):
    return jax.lax.stop_gradient if bug else lambda x: x


@seeded(CASES, SECOND, "softplus: a detached point in the tangent")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.logaddexp(x, 0),
        normal(rng, dtype, 5),
        lambda bug: lambda x, v: jax.nn.sigmoid(detached(bug)(x)) * v,
        "stop gradient",
    )


@seeded(CASES, SECOND, "logsumexp: detached probabilities")
def _(rng, dtype):
    return own_jvp(
        lambda z: jnp.log(jnp.sum(jnp.exp(z))),
        normal(rng, dtype, 5),
        lambda bug: lambda z, v: detached(bug)(jax.nn.softmax(z)) @ v,
        "stop gradient",
    )


@seeded(CASES, SECOND, "logistic regression: s for s(1 − s) in the Hessian product")
def _(rng, dtype):
    data, y = normal(rng, dtype, 8, 4), normal(rng, dtype, 8)

    def rule(bug):
        def hvp(w, v):
            s = jax.nn.sigmoid(data @ w)
            return data.T @ (s * (1 if bug else 1 - s) * (data @ v))

        return hvp

    return hand(lambda w: jnp.sum(jax.nn.softplus(data @ w) - y * (data @ w)), normal(rng, dtype, 4), "hvp", rule)


@seeded(CASES, SECOND, "Rosenbrock: the sign of 400y in the Hessian")
def _(rng, dtype):
    def rule(bug):
        def hessian(p):
            x, y = p
            off = -400 * x
            corner = 1200 * x**2 + (400 if bug else -400) * y + 2
            return jnp.stack([jnp.stack([corner, off]), jnp.stack([off, 200 + 0 * x])])

        return hessian

    return hand(
        lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
        normal(rng, dtype, 2),
        "hessian",
        rule,
        "entry",
        "wrong term",
    )


@seeded(CASES, SECOND, "quadratic form: 2A for A + Aᵀ as the Hessian")
def _(rng, dtype):
    a = square(rng, dtype, 4)
    return hand(
        lambda x: x @ a @ x,
        normal(rng, dtype, 4),
        "hessian",
        lambda bug: lambda x: 2 * a + 0 * x if bug else a + a.T + 0 * x,
        "asymmetric",
        "transpose",
    )


@seeded(CASES, SECOND, "quartic energy: |v| in the Hessian product")
def _(rng, dtype):
    return hand(
        lambda x: jnp.sum(x**4) / 12,
        normal(rng, dtype, 4),
        "hvp",
        lambda bug: lambda x, v: x**2 * (jnp.abs(v) if bug else v),
        "nonlinear",
    )


@seeded(CASES, SECOND, "normalised direction: the Hessian product divided by |v|")
def _(rng, dtype):
    a = spd(rng, dtype, 4)
    return hand(
        lambda x: jnp.log(1 + x @ a @ x),
        normal(rng, dtype, 4),
        "hvp",
        lambda bug: (
            lambda x, v: (
                (2 * (a @ v) / (1 + x @ a @ x) - 4 * (a @ x) * (x @ a @ v) / (1 + x @ a @ x) ** 2)
                / (jnp.linalg.norm(v) if bug else 1)
            )
        ),
        "nonlinear",
    )


@seeded(CASES, SECOND, "norm: its own value detached")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.sqrt(jnp.sum(x**2)),
        normal(rng, dtype, 4),
        lambda bug: lambda x, v: x @ v / detached(bug)(jnp.sqrt(jnp.sum(x**2))),
        "stop gradient",
    )


@seeded(CASES, SECOND, "exp: a detached residual in the backward rule")
def _(rng, dtype):
    return own_vjp(
        jnp.exp,
        normal(rng, dtype, 4),
        lambda bug: lambda x, ct: (ct * detached(bug)(jnp.exp(x)),),
        "stop gradient",
    )


@seeded(CASES, SECOND, "nonlinear least squares: Gauss-Newton called the Hessian")
def _(rng, dtype):
    t, y = positive(rng, dtype, 6), normal(rng, dtype, 6)

    def model(w):
        return w[0] * jnp.exp(-w[1] * t)

    def rule(bug):
        def hessian(w):
            e = jnp.exp(-w[1] * t)
            j = jnp.stack([e, -w[0] * t * e], 1)
            r = model(w) - y
            off, corner = -jnp.sum(r * t * e), jnp.sum(r * w[0] * t**2 * e)
            extra = jnp.stack([jnp.stack([0 * off, off]), jnp.stack([off, corner])])
            return j.T @ j if bug else j.T @ j + extra

        return hessian

    return hand(
        lambda w: 0.5 * jnp.sum((model(w) - y) ** 2),
        positive(rng, dtype, 2),
        "hessian",
        rule,
        "wrong term",
        "stop gradient",
    )


@seeded(CASES, SECOND, "tanh: one of two factors y detached")
def _(rng, dtype):
    def tangent(bug):
        def rule(x, v):
            y = jnp.tanh(x)
            return (1 - detached(bug)(y) * y) * v

        return rule

    return own_jvp(jnp.tanh, normal(rng, dtype, 4), tangent, "stop gradient", "constant factor")


@seeded(CASES, SECOND, "square root by Newton's iteration: the root detached in its implicit derivative")
def _(rng, dtype):
    def root(a):
        y = (1 + a) / 2
        for _ in range(6):
            y = (y + a / y) / 2
        return y

    return own_jvp(
        root,
        positive(rng, dtype, 4),
        lambda bug: lambda a, v: v / (2 * detached(bug)(jnp.sqrt(a))),
        "stop gradient",
    )


@seeded(CASES, SECOND, "energy of a pytree: the coupling block of the Hessian product missing")
def _(rng, dtype):
    def rule(bug):
        def hvp(s, v):
            c, d = jnp.cos(s["a"]), jnp.sin(s["a"])
            mix = 0 if bug else 1
            return {
                "a": -d * s["b"] * v["a"] + mix * c * v["b"],
                "b": mix * c * v["a"] + v["b"],
            }

        return hvp

    point = {"a": normal(rng, dtype, 3), "b": normal(rng, dtype, 3)}
    return hand(
        lambda s: jnp.sum(jnp.sin(s["a"]) * s["b"] + s["b"] ** 2 / 2), point, "hvp", rule, "wrong term", "stop gradient"
    )


@seeded(CASES, SECOND, "cubic inside a network: a detached square in a custom rule")
def _(rng, dtype):
    w = square(rng, dtype, 3)
    case = own_jvp(
        lambda x: x**3 / 3, normal(rng, dtype, 3), lambda bug: lambda x, v: detached(bug)(x**2) * v, "stop gradient"
    )
    return composed(case, lambda f: lambda x: jnp.sum(jnp.tanh(f(w @ x))))
