"""Seeded bugs: a matrix, a Jacobian or a pair of indices transposed, square so that the shapes fit."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import TRANSPOSE, hand, normal, own_jvp, own_vjp, seeded, square

CASES = []


@seeded(CASES, TRANSPOSE, "dense layer: W for Wᵀ in the vjp")
def _(rng, dtype):
    w = square(rng, dtype, 4)

    def pull(bug):
        def rule(x, ct):
            g = ct * (1 - jnp.tanh(w @ x) ** 2)
            return ((w if bug else w.T) @ g,)

        return rule

    return own_vjp(lambda x: jnp.tanh(w @ x), normal(rng, dtype, 4), pull, "transpose")


@seeded(CASES, TRANSPOSE, "outer product: the weight's gradient transposed")
def _(rng, dtype):
    x, y = normal(rng, dtype, 3), normal(rng, dtype, 3)
    return hand(
        lambda w: jnp.sum((w @ x - y) ** 2),
        normal(rng, dtype, 3, 3),
        "gradient",
        lambda bug: lambda w: 2 * (jnp.outer(x, w @ x - y) if bug else jnp.outer(w @ x - y, x)),
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "logdet: A⁻¹ for A⁻ᵀ")
def _(rng, dtype):
    return hand(
        lambda a: jnp.linalg.slogdet(a)[1],
        square(rng, dtype, 3),
        "gradient",
        lambda bug: lambda a: jnp.linalg.inv(a) if bug else jnp.linalg.inv(a).T,
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "least squares: X r for Xᵀ r")
def _(rng, dtype):
    data, y = square(rng, dtype, 4), normal(rng, dtype, 4)
    return hand(
        lambda w: 0.5 * jnp.sum((data @ w - y) ** 2),
        normal(rng, dtype, 4),
        "gradient",
        lambda bug: lambda w: (data if bug else data.T) @ (data @ w - y),
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "attention: scores' cotangent not transposed for the keys")
def _(rng, dtype):
    q, values = normal(rng, dtype, 3, 3), normal(rng, dtype, 3, 3)

    def rule(bug):
        def vjp(k, ct):
            p = jax.nn.softmax(q @ k.T, -1)
            dp = ct @ values.T
            ds = p * (dp - jnp.sum(dp * p, -1, keepdims=True))
            return (ds if bug else ds.T) @ q

        return vjp

    return hand(lambda k: jax.nn.softmax(q @ k.T, -1) @ values, normal(rng, dtype, 3, 3), "vjp", rule, "transpose")


@seeded(CASES, TRANSPOSE, "linear dynamics: the product of step matrices in the wrong order")
def _(rng, dtype):
    a, b = square(rng, dtype, 3), square(rng, dtype, 3)

    def rule(bug):
        def jvp(x, v):
            y = jnp.tanh(a @ x)
            inner = (1 - y**2) * (a @ v)
            outer = 1 - jnp.tanh(b @ y) ** 2
            return outer * (inner @ b if bug else b @ inner)

        return jvp

    return hand(lambda x: jnp.tanh(b @ jnp.tanh(a @ x)), normal(rng, dtype, 3), "jvp", rule, "transpose")


@seeded(CASES, TRANSPOSE, "matrix product: Bᵀ forgotten for the left factor")
def _(rng, dtype):
    b = square(rng, dtype, 3)
    return own_vjp(
        lambda a: jnp.sin(a @ b),
        normal(rng, dtype, 3, 3),
        lambda bug: lambda a, ct: ((ct * jnp.cos(a @ b)) @ (b if bug else b.T),),
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "rotation of a frame: R for Rᵀ in the potential's gradient")
def _(rng, dtype):
    r = np.linalg.qr(normal(rng, dtype, 3, 3))[0]
    return hand(
        lambda x: jnp.sum((r @ x) ** 4) / 4,
        normal(rng, dtype, 3),
        "gradient",
        lambda bug: lambda x: (r if bug else r.T) @ (r @ x) ** 3,
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "Rosenbrock-like coupling: the Jacobian applied from the wrong side")
def _(rng, dtype):
    def field(x):
        return jnp.stack([x[0] * x[1], x[1] + x[2] ** 2, jnp.sin(x[0])])

    def jacobian(x):
        zero = jnp.zeros_like(x[0])
        return jnp.stack(
            [
                jnp.stack([x[1], x[0], zero]),
                jnp.stack([zero, zero + 1, 2 * x[2]]),
                jnp.stack([jnp.cos(x[0]), zero, zero]),
            ]
        )

    return own_jvp(
        field,
        normal(rng, dtype, 3),
        lambda bug: lambda x, v: v @ jacobian(x) if bug else jacobian(x) @ v,
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "bilinear layer of a pytree: the core's gradient transposed")
def _(rng, dtype):
    def score(p):
        return jnp.tanh(p["u"] @ p["core"] @ p["v"])

    def rule(bug):
        def gradient(p):
            g = 1 - score(p) ** 2
            core = jnp.outer(p["v"], p["u"]) if bug else jnp.outer(p["u"], p["v"])
            return {"u": g * (p["core"] @ p["v"]), "core": g * core, "v": g * (p["core"].T @ p["u"])}

        return gradient

    point = {"u": 0.3 * normal(rng, dtype, 3), "core": normal(rng, dtype, 3, 3), "v": 0.3 * normal(rng, dtype, 3)}
    return hand(score, point, "gradient", rule, "transpose", "one leaf")


@seeded(CASES, TRANSPOSE, "Cholesky: L L̄ for Lᵀ L̄ in the adjoint")
def _(rng, dtype):
    base = square(rng, dtype, 3)

    def pull(bug):
        def rule(a, ct):
            low = jnp.linalg.cholesky(a)
            s = (low if bug else low.T) @ jnp.tril(ct)
            phi = jnp.tril(s) - jnp.diag(jnp.diag(s)) / 2
            inverse = jnp.linalg.inv(low)
            m = inverse.T @ phi @ inverse
            return ((m + m.T) / 2,)

        return rule

    return own_vjp(
        lambda a: jnp.linalg.cholesky(a, symmetrize_input=True),
        base @ base.T,
        pull,
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "graph Laplacian flow: the directed adjacency not transposed")
def _(rng, dtype):
    adjacency = (rng.uniform(size=(5, 5)) < 0.4).astype(dtype)
    return hand(
        lambda x: x + 0.1 * adjacency @ jnp.tanh(x),
        normal(rng, dtype, 5),
        "vjp",
        lambda bug: lambda x, ct: ct + 0.1 * ((adjacency if bug else adjacency.T) @ ct) * (1 - jnp.tanh(x) ** 2),
        "transpose",
    )
