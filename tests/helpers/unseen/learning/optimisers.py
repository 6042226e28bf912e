"""Unseen bugs: optimisation layers, reinforcement learning and what training loops leave in derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import (
    ADJOINT,
    ARGUMENT,
    BRANCH,
    CLIPPED,
    SECOND,
    STALE,
    TERM,
    hand,
    normal,
    own_jvp,
    own_vjp,
    seeded,
    spd,
    square,
)

CASES = []


@seeded(CASES, ADJOINT, "quadratic program: the adjoint without its equality constraints")
def _(rng, dtype):
    h, a, b = spd(rng, dtype, 4), normal(rng, dtype, 2, 4), normal(rng, dtype, 2)
    kkt = np.block([[h, a.T], [a, np.zeros((2, 2), dtype)]])

    def rule(bug):
        def vjp(q, ct):
            if bug:
                return -jnp.linalg.solve(h, ct)
            return -jnp.linalg.solve(kkt, jnp.concatenate([ct, jnp.zeros_like(ct[:2])]))[:4]

        return vjp

    return hand(
        lambda q: jnp.linalg.solve(kkt, jnp.concatenate([-q, b]))[:4], normal(rng, dtype, 4), "vjp", rule, "wrong term"
    )


@seeded(CASES, ADJOINT, "projection onto the simplex: the mean over all entries, not the support")
def _(rng, dtype):
    def project(z):
        order = jnp.sort(z)[::-1]
        sums, k = jnp.cumsum(order), jnp.arange(1, 6)
        last = jnp.sum(1 + k * order > sums) - 1
        return jnp.maximum(z - (sums[last] - 1) / (last + 1), 0)

    def pull(bug):
        def rule(z, ct):
            s = (project(z) > 0).astype(z.dtype)
            return (s * (ct - jnp.sum(s * ct) / (5 if bug else jnp.sum(s))),)

        return rule

    at = np.asarray([0.5, 0.3, -0.9, 0.1, -0.6], dtype)
    return own_vjp(project, at, pull, "wrong term")


@seeded(CASES, ADJOINT, "values of a policy: I − γPᵀ for I − γP in the tangent")
def _(rng, dtype):
    m = np.eye(3, dtype=dtype) - np.asarray(0.8 * rng.dirichlet(np.ones(3), size=3), dtype)

    def tangent(bug):
        return lambda r, v: jnp.linalg.solve(m.T if bug else m, jnp.cos(r) * v)

    return own_jvp(lambda r: jnp.linalg.solve(m, jnp.sin(r)), normal(rng, dtype, 3), tangent, "transpose")


@seeded(CASES, ADJOINT, "hypergradient of ridge penalties: multiplied by the Hessian for its inverse")
def _(rng, dtype):
    x, y, z, t = (normal(rng, dtype, *shape) for shape in ((6, 3), (6,), (4, 3), (4,)))

    def inner(lam):
        h = x.T @ x + jnp.diag(jnp.exp(lam))
        return h, jnp.linalg.solve(h, x.T @ y)

    def rule(bug):
        def gradient(lam):
            h, w = inner(lam)
            g = z.T @ (z @ w - t)
            return -jnp.exp(lam) * w * (h @ g if bug else jnp.linalg.solve(h, g))

        return gradient

    return hand(lambda lam: jnp.sum((z @ inner(lam)[1] - t) ** 2) / 2, normal(rng, dtype, 3), "gradient", rule)


@seeded(CASES, ADJOINT, "energy bᵀA⁻¹b/2 of a matrix without symmetry: A⁻¹ as the Hessian")
def _(rng, dtype):
    a = square(rng, dtype, 4)

    def rule(bug):
        def hessian(b):
            inverse = jnp.linalg.inv(jnp.asarray(a))
            return inverse if bug else (inverse + inverse.T) / 2

        return hessian

    return hand(lambda b: b @ jnp.linalg.solve(a, b) / 2, normal(rng, dtype, 4), "hessian", rule, "transpose")


@seeded(CASES, ADJOINT, "control cost |M⁻¹u|²/2: M for Mᵀ in the second solve of the Hessian product")
def _(rng, dtype):
    m = square(rng, dtype, 4)

    def rule(bug):
        return lambda u, v: jnp.linalg.solve(m if bug else m.T, jnp.linalg.solve(m, v))

    return hand(lambda u: jnp.sum(jnp.linalg.solve(m, u) ** 2) / 2, normal(rng, dtype, 4), "hvp", rule, "transpose")


@seeded(CASES, SECOND, "Hessian product by a difference of gradients with step 0.1")
def _(rng, dtype):
    a = spd(rng, dtype, 4)

    def gradient(x):
        return a @ x + x**3

    def rule(bug):
        def hvp(x, v):
            return (gradient(x + 0.1 * v) - gradient(x)) / 0.1 if bug else a @ v + 3 * x**2 * v

        return hvp

    return hand(lambda x: x @ a @ x / 2 + jnp.sum(x**4) / 4, normal(rng, dtype, 4), "hvp", rule, "nonlinear")


@seeded(CASES, BRANCH, "squared relu units: the mask from the direction in the Hessian product")
def _(rng, dtype):
    x = normal(rng, dtype, 6, 3)

    def rule(bug):
        def hvp(w, v):
            return x.T @ jnp.where(x @ (v if bug else w) > 0, x @ v, 0)

        return hvp

    return hand(lambda w: jnp.sum(jax.nn.relu(x @ w) ** 2) / 2, normal(rng, dtype, 3), "hvp", rule, "nonlinear")


@seeded(CASES, BRANCH, "clipped policy ratio: no gradient outside the band, whatever the advantage")
def _(rng, dtype):
    gains = np.asarray([1.0, -1.0, 1.2, 0.5, -1.0, -0.7, 0.8, -0.4], dtype)

    def loss(r):
        return -jnp.sum(jnp.minimum(r * gains, jnp.clip(r, 0.8, 1.2) * gains))

    def rule(bug):
        def gradient(r):
            inside = (r > 0.8) & (r < 1.2)
            passes = inside if bug else jnp.where(gains > 0, r < 1.2, r > 0.8)
            return jnp.where(passes, -gains, 0).astype(r.dtype)

        return gradient

    at = np.asarray([0.7, 1.1, 1.4, 0.9, 0.6, 1.5, 1.05, 0.95], dtype)
    return hand(loss, at, "gradient", rule, "entry", "row")


@seeded(CASES, CLIPPED, "tangent of a layer: scaled to a norm of at most 1/2")
def _(rng, dtype):
    w = normal(rng, dtype, 4, 4)

    def rule(bug):
        def jvp(x, v):
            v = v / jnp.maximum(1, 2 * jnp.sqrt(jnp.sum(v**2))) if bug else v
            return (1 - jnp.tanh(w @ x) ** 2) * (w @ v)

        return jvp

    return hand(lambda x: jnp.tanh(w @ x), normal(rng, dtype, 4), "jvp", rule, "nonlinear")


@seeded(CASES, CLIPPED, "sparse communication: cotangents below 0.5 set to zero")
def _(rng, dtype):
    w = normal(rng, dtype, 5, 3)

    def rule(bug):
        def vjp(x, ct):
            ct = jnp.where(jnp.abs(ct) < 0.5, 0, ct) if bug else ct
            return w.T @ (jnp.cos(w @ x) * ct)

        return vjp

    return hand(lambda x: jnp.sin(w @ x), normal(rng, dtype, 3), "vjp", rule, "nonlinear")


@seeded(CASES, CLIPPED, "squared value errors: clipped to ±1 in the gradient")
def _(rng, dtype):
    targets = normal(rng, dtype, 8)

    def rule(bug):
        return lambda q: jnp.clip(q - targets, -1, 1) if bug else q - targets

    at = targets + np.asarray([0.3, -0.5, 1.9, 0.2, -0.7, 0.6, -2.4, 0.1], dtype)
    return hand(lambda q: jnp.sum((q - targets) ** 2) / 2, at, "gradient", rule, "entry", "row")


@seeded(CASES, ARGUMENT, "temporal difference: the features of the next state")
def _(rng, dtype):
    here, there, reward, frozen = (normal(rng, dtype, *shape) for shape in ((6, 3), (6, 3), (6,), (3,)))

    def errors(w):
        return here @ w - reward - 0.9 * there @ frozen

    def rule(bug):
        return lambda w: (there if bug else here).T @ errors(w)

    return hand(lambda w: jnp.sum(errors(w) ** 2) / 2, normal(rng, dtype, 3), "gradient", rule)


@seeded(CASES, TERM, "policy with an entropy bonus: the bonus missing in the Hessian product")
def _(rng, dtype):
    gains = normal(rng, dtype, 4)

    def expected(z):
        return -gains @ jax.nn.softmax(z)

    def loss(z):
        p = jax.nn.softmax(z)
        return expected(z) + 0.3 * p @ jnp.log(p)

    def rule(bug):
        return lambda z, v: jax.jvp(jax.grad(expected if bug else loss), (z,), (v,))[1]

    return hand(loss, normal(rng, dtype, 4), "hvp", rule, "wrong term", "stop gradient")


@seeded(CASES, STALE, "policy gradient with the probabilities of the old policy")
def _(rng, dtype):
    gains, old = normal(rng, dtype, 4), normal(rng, dtype, 4)

    def rule(bug):
        def gradient(z):
            p = jax.nn.softmax(jnp.asarray(old) if bug else z)
            return p * (gains - p @ gains)

        return gradient

    return hand(lambda z: gains @ jax.nn.softmax(z), old + normal(rng, dtype, 4), "gradient", rule)
