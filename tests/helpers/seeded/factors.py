"""Seeded bugs: a factor that is wrong, and a factor of the chain rule that was forgotten."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy import special

from helpers.seeded.case import CHAIN, FACTOR, hand, normal, own_jvp, own_vjp, positive, seeded, spd, square

CASES = []


@seeded(CASES, FACTOR, "l2_loss: 2(p − t) where the half cancels the 2")
def _(rng, dtype):
    target = normal(rng, dtype, 6)
    return hand(
        lambda p: jnp.sum(optax.l2_loss(p, target)),
        normal(rng, dtype, 6),
        "gradient",
        lambda bug: lambda p: (2 if bug else 1) * (p - target),
        "constant factor",
    )


@seeded(CASES, FACTOR, "Lennard-Jones: 6 for 12 in the repulsion")
def _(rng, dtype):
    return hand(
        lambda r: jnp.sum(4 * (r**-12 - r**-6)),
        np.asarray(rng.uniform(1.0, 1.6, 5), dtype),
        "gradient",
        lambda bug: lambda r: 4 * (-(6 if bug else 12) * r**-13 + 6 * r**-7),
        "wrong term",
    )


@seeded(CASES, FACTOR, "erf: 1/√π for 2/√π")
def _(rng, dtype):
    return own_jvp(
        special.erf,
        normal(rng, dtype, 5),
        lambda bug: lambda x, v: (1 if bug else 2) / np.sqrt(np.pi).astype(dtype) * jnp.exp(-(x**2)) * v,
        "constant factor",
    )


@seeded(CASES, FACTOR, "RBF kernel: 2l² for l²")
def _(rng, dtype):
    centre, length = normal(rng, dtype, 4), 0.8
    return hand(
        lambda x: jnp.exp(-jnp.sum((x - centre) ** 2) / (2 * length**2)),
        centre + 0.5 * normal(rng, dtype, 4),
        "gradient",
        lambda bug: (
            lambda x: (
                -(x - centre) / ((2 if bug else 1) * length**2) * jnp.exp(-jnp.sum((x - centre) ** 2) / (2 * length**2))
            )
        ),
        "constant factor",
    )


@seeded(CASES, FACTOR, "logdet: twice the inverse")
def _(rng, dtype):
    return hand(
        lambda a: jnp.linalg.slogdet(a)[1],
        square(rng, dtype, 4),
        "gradient",
        lambda bug: lambda a: (2 if bug else 1) * jnp.linalg.inv(a).T,
        "constant factor",
    )


@seeded(CASES, FACTOR, "RMS norm: the projection taken twice")
def _(rng, dtype):
    def norm(x):
        return x / jnp.sqrt(jnp.mean(x**2) + 1e-3)

    def pull(bug):
        def rule(x, ct):
            r = jnp.sqrt(jnp.mean(x**2) + 1e-3)
            return (ct / r - (2 if bug else 1) * x * jnp.mean(ct * x) / r**3,)

        return rule

    return own_vjp(norm, normal(rng, dtype, 6), pull, "wrong term")


@seeded(CASES, FACTOR, "Hamiltonian of a double well: 2(q² − 1)q for 4(q² − 1)q")
def _(rng, dtype):
    return hand(
        lambda s: jnp.sum(s["p"] ** 2) / 2 + jnp.sum((s["q"] ** 2 - 1) ** 2),
        {"p": normal(rng, dtype, 3), "q": normal(rng, dtype, 3)},
        "gradient",
        lambda bug: lambda s: {"p": s["p"], "q": (2 if bug else 4) * (s["q"] ** 2 - 1) * s["q"]},
        "one leaf",
        "constant factor",
    )


@seeded(CASES, FACTOR, "Student's t likelihood: half the score")
def _(rng, dtype):
    nu, data = 3.0, normal(rng, dtype, 8)
    return hand(
        lambda m: jnp.sum((nu + 1) / 2 * jnp.log1p((data[:, None] - m) ** 2 / nu)),
        normal(rng, dtype, 2),
        "value_and_gradient",
        lambda bug: (
            lambda m: (
                jnp.sum((nu + 1) / 2 * jnp.log1p((data[:, None] - m) ** 2 / nu)),
                jnp.sum((nu + 1) * (m - data[:, None]) / (nu + (data[:, None] - m) ** 2), 0) / (2 if bug else 1),
            )
        ),
        "constant factor",
    )


@seeded(CASES, FACTOR, "leapfrog step of a pendulum: h² for h²/2")
def _(rng, dtype):
    h = 0.4
    return hand(
        lambda q: q + h * 0.3 - h**2 / 2 * jnp.sin(q),
        normal(rng, dtype, 4),
        "jvp",
        lambda bug: lambda q, v: v - h**2 / (1 if bug else 2) * jnp.cos(q) * v,
        "wrong term",
    )


@seeded(CASES, FACTOR, "sinc: a π too many")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.sin(np.pi * x) / (np.pi * x),
        positive(rng, dtype, 4),
        lambda bug: lambda x, v: (np.pi if bug else 1) * (jnp.cos(np.pi * x) - jnp.sinc(x)) / x * v,
        "constant factor",
    )


@seeded(CASES, FACTOR, "ridge logistic regression: 2λv in the Hessian product")
def _(rng, dtype):
    data, labels, lam = normal(rng, dtype, 9, 4), np.sign(normal(rng, dtype, 9)), 0.3

    def rule(bug):
        def hvp(w, v):
            s = jax.nn.sigmoid(data @ w)
            return data.T @ (s * (1 - s) * (data @ v)) / 9 + (2 if bug else 1) * lam * v

        return hvp

    return hand(
        lambda w: jnp.mean(jax.nn.softplus(-labels * (data @ w))) + lam / 2 * jnp.sum(w**2),
        normal(rng, dtype, 4),
        "hvp",
        rule,
        "missing regulariser",
        "wrong term",
    )


@seeded(CASES, FACTOR, "Coulomb energy: each pair counted twice")
def _(rng, dtype):
    charge = positive(rng, dtype, 4)

    def energy(x):
        i, j = np.triu_indices(4, 1)
        return jnp.sum(charge[i] * charge[j] / jnp.sqrt(jnp.sum((x[i] - x[j]) ** 2, -1)))

    def rule(bug):
        def gradient(x):
            d = x[:, None] - x[None]
            r = jnp.sqrt(jnp.sum(d**2, -1) + jnp.eye(4, dtype=d.dtype))
            return -jnp.sum((charge[:, None] * charge / r**3)[..., None] * d, 1) * (2 if bug else 1)

        return gradient

    return hand(energy, 2 * normal(rng, dtype, 4, 3), "gradient", rule, "constant factor")


@seeded(CASES, CHAIN, "softmax with a temperature: 1/T forgotten")
def _(rng, dtype):
    target = np.asarray(rng.dirichlet(np.ones(5)), dtype)
    return hand(
        lambda z: optax.softmax_cross_entropy(z / 0.5, target),
        normal(rng, dtype, 5),
        "gradient",
        lambda bug: lambda z: (jax.nn.softmax(z / 0.5) - target) / (1 if bug else 0.5),
        "constant factor",
    )


@seeded(CASES, CHAIN, "Gaussian likelihood: the softplus of the scale not differentiated")
def _(rng, dtype):
    data = normal(rng, dtype, 7)

    def nll(s):
        sigma = jax.nn.softplus(s["rho"])
        return jnp.sum(((data - s["mu"]) / sigma) ** 2 / 2 + jnp.log(sigma))

    def rule(bug):
        def gradient(s):
            sigma = jax.nn.softplus(s["rho"])
            r = data - s["mu"]
            d_sigma = jnp.sum(1 / sigma - r**2 / sigma**3)
            return {"mu": -jnp.sum(r) / sigma**2, "rho": d_sigma * (1 if bug else jax.nn.sigmoid(s["rho"]))}

        return gradient

    point = {"mu": np.asarray(0.3, dtype), "rho": np.asarray(-0.4, dtype)}
    return hand(nll, point, "gradient", rule, "one leaf", "constant factor")


@seeded(CASES, CHAIN, "standardised inputs: the features' scales forgotten in the jvp")
def _(rng, dtype):
    scale = np.asarray([0.5, 2.0, 3.0, 0.7], dtype)
    return hand(
        lambda x: jnp.tanh(x / scale),
        normal(rng, dtype, 4),
        "jvp",
        lambda bug: lambda x, v: (1 - jnp.tanh(x / scale) ** 2) * (v if bug else v / scale),
    )


@seeded(CASES, CHAIN, "dense layer: the activation's derivative left out of the vjp")
def _(rng, dtype):
    w, b = normal(rng, dtype, 3, 5), normal(rng, dtype, 3)

    def pull(bug):
        def rule(x, ct):
            s = jax.nn.sigmoid(w @ x + b)
            return (w.T @ (ct if bug else ct * s * (1 - s)),)

        return rule

    return own_vjp(lambda x: jax.nn.sigmoid(w @ x + b), normal(rng, dtype, 5), pull)


@seeded(CASES, CHAIN, "squashed Gaussian policy: the correction of tanh without its inner derivative")
def _(rng, dtype):
    mean = normal(rng, dtype, 4)

    def rule(bug):
        def gradient(u):
            t = jnp.tanh(u)
            return -(u - mean) + (2 * t / (1 - t**2) if bug else 2 * t)

        return gradient

    return hand(
        lambda u: jnp.sum(-((u - mean) ** 2) / 2 - jnp.log(1 - jnp.tanh(u) ** 2)),
        normal(rng, dtype, 4),
        "gradient",
        rule,
        "wrong term",
    )


@seeded(CASES, CHAIN, "rotation by degrees: π/180 forgotten")
def _(rng, dtype):
    point = normal(rng, dtype, 2)

    def turn(a):
        c, s = jnp.cos(jnp.deg2rad(a)), jnp.sin(jnp.deg2rad(a))
        return jnp.stack([c * point[0] - s * point[1], s * point[0] + c * point[1]])

    def rule(bug):
        def jvp(a, v):
            c, s = jnp.cos(jnp.deg2rad(a)), jnp.sin(jnp.deg2rad(a))
            d = jnp.stack([-s * point[0] - c * point[1], c * point[0] - s * point[1]])
            return d * v * (1 if bug else np.pi / 180)

        return jvp

    return hand(turn, np.asarray(33.0, dtype), "jvp", rule, "constant factor")


@seeded(CASES, CHAIN, "power 2^x: log 2 forgotten")
def _(rng, dtype):
    return own_jvp(
        lambda x: jnp.exp2(x),
        normal(rng, dtype, 4),
        lambda bug: lambda x, v: jnp.exp2(x) * v * (1 if bug else np.log(2)),
        "constant factor",
    )


@seeded(CASES, CHAIN, "periodic kernel: π/p forgotten")
def _(rng, dtype):
    period, length = 1.7, 0.9

    def kernel(d):
        return jnp.sum(jnp.exp(-2 * jnp.sin(np.pi * d / period) ** 2 / length**2))

    def rule(bug):
        def gradient(d):
            u = np.pi * d / period
            k = jnp.exp(-2 * jnp.sin(u) ** 2 / length**2)
            return -4 * jnp.sin(u) * jnp.cos(u) / length**2 * k * (1 if bug else np.pi / period)

        return gradient

    return hand(kernel, normal(rng, dtype, 5), "gradient", rule, "constant factor")


@seeded(CASES, CHAIN, "gamma likelihood in the log of its shape: the exp not differentiated")
def _(rng, dtype):
    data = positive(rng, dtype, 4)

    def nll(u):
        a = jnp.exp(u)
        return jnp.sum(special.gammaln(a) - (a - 1) * jnp.log(data) + data)

    def rule(bug):
        def gradient(u):
            a = jnp.exp(u)
            return (special.digamma(a) - jnp.log(data)) * (1 if bug else a)

        return gradient

    return hand(nll, normal(rng, dtype, 4), "gradient", rule)


@seeded(CASES, CHAIN, "Hessian in log-parameters: the first-derivative term forgotten")
def _(rng, dtype):
    a = spd(rng, dtype, 4)

    def rule(bug):
        def hessian(u):
            w = jnp.exp(u)
            h = w[:, None] * a * w
            return h if bug else h + jnp.diag(w * (a @ w))

        return hessian

    return hand(
        lambda u: 0.5 * jnp.exp(u) @ a @ jnp.exp(u),
        normal(rng, dtype, 4),
        "hessian",
        rule,
        "wrong term",
        "stop gradient",
    )


@seeded(CASES, CHAIN, "recurrent cell: tanh not differentiated at the last step")
def _(rng, dtype):
    w, inputs = square(rng, dtype, 3) / 3, normal(rng, dtype, 4, 3)

    def run(h):
        for x in inputs:
            h = jnp.tanh(w @ h + x)
        return h

    def rule(bug):
        def jvp(h, v):
            for t, x in enumerate(inputs):
                h = jnp.tanh(w @ h + x)
                v = w @ v if bug and t == 3 else (1 - h**2) * (w @ v)
            return v

        return jvp

    return hand(run, normal(rng, dtype, 3), "jvp", rule)
