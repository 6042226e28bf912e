"""Unseen bugs: numerical linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jax.scipy.linalg import cho_solve, expm

from helpers.seeded.case import (
    ADJOINT,
    ARGUMENT,
    BATCH,
    CHAIN,
    DEMOTED,
    SECOND,
    SET,
    SEVERAL,
    SIGN,
    TERM,
    TRANSPOSE,
    hand,
    normal,
    own_jvp,
    own_vjp,
    positive,
    seeded,
    spd,
    square,
)

CASES = []


@seeded(CASES, SIGN, "QR of a tall matrix: the turn within the columns' span with the wrong sign")
def _(rng, dtype):
    def rule(bug):
        def jvp(a, d):
            q, r = jnp.linalg.qr(a)
            s = jnp.linalg.solve(r.T, d.T).T
            c = q.T @ s
            lower = jnp.tril(c, -1)
            turn = lower - lower.T
            return s - q @ c + (-1 if bug else 1) * q @ turn

        return jvp

    return hand(lambda a: jnp.linalg.qr(a)[0], normal(rng, dtype, 5, 3), "jvp", rule, "wrong term")


@seeded(CASES, TRANSPOSE, "Kronecker product applied as B X Aᵀ: Aᵀ again in the adjoint")
def _(rng, dtype):
    a, b = normal(rng, dtype, 4, 4), normal(rng, dtype, 3, 3)
    return own_vjp(
        lambda x: b @ jnp.sin(x) @ a.T,
        normal(rng, dtype, 3, 4),
        lambda bug: lambda x, ct: (jnp.cos(x) * (b.T @ ct @ (a.T if bug else a)),),
        "transpose",
    )


@seeded(CASES, TRANSPOSE, "largest eigenvalue: the last row of the eigenvectors for the last column")
def _(rng, dtype):
    def rule(bug):
        def gradient(a):
            vectors = jnp.linalg.eigh((a + a.T) / 2)[1]
            v = vectors[-1] if bug else vectors[:, -1]
            return jnp.outer(v, v)

        return gradient

    return hand(lambda a: jnp.linalg.eigvalsh((a + a.T) / 2)[-1], spd(rng, dtype, 4), "gradient", rule, "transpose")


@seeded(CASES, TERM, "low-rank factor of a matrix: X Vᵀ X missing in the Hessian product")
def _(rng, dtype):
    target = spd(rng, dtype, 4)

    def rule(bug):
        def hvp(x, v):
            full = v @ x.T @ x + (x @ x.T - target) @ v
            return full if bug else full + x @ v.T @ x

        return hvp

    return hand(lambda x: jnp.sum((x @ x.T - target) ** 2) / 4, normal(rng, dtype, 4, 2), "hvp", rule, "wrong term")


@seeded(CASES, SECOND, "logdet: a detached inverse in the tangent")
def _(rng, dtype):
    def tangent(bug):
        def rule(a, d):
            inverse = jnp.linalg.inv(a)
            return jnp.sum((stop_gradient(inverse) if bug else inverse).T * d)

        return rule

    return own_jvp(lambda a: jnp.linalg.slogdet(a)[1], square(rng, dtype, 3), tangent, "stop gradient")


@seeded(CASES, BATCH, "determinants of a batch: the traces summed over the batch")
def _(rng, dtype):
    def rule(bug):
        def jvp(a, d):
            trace = jnp.einsum("bij,bji->b", jnp.linalg.inv(a), d)
            return jnp.linalg.det(a) * (jnp.sum(trace) if bug else trace)

        return jvp

    at = np.stack([square(rng, dtype, 3) for _ in range(3)])
    return hand(jnp.linalg.det, at, "jvp", rule)


@seeded(CASES, DEMOTED, "solve by Cholesky: the factor kept in float32 for the adjoint")
def _(rng, dtype):
    factor = np.linalg.cholesky(spd(rng, dtype, 4))
    kept = factor.astype(np.float32).astype(dtype)
    return hand(
        lambda b: cho_solve((factor, True), jnp.tanh(b)),
        normal(rng, dtype, 4),
        "vjp",
        lambda bug: lambda b, ct: cho_solve((kept if bug else factor, True), ct) / jnp.cosh(b) ** 2,
        "dtype",
    )


@seeded(CASES, SEVERAL, "bilinear form xᵀAy: Ax for Aᵀx in y")
def _(rng, dtype):
    return own_vjp(
        lambda x, a, y: x @ a @ y,
        normal(rng, dtype, 4),
        lambda bug: lambda x, a, y, ct: (ct * (a @ y), ct * jnp.outer(x, y), ct * ((a if bug else a.T) @ x)),
        "one leaf",
        "transpose",
        args=(normal(rng, dtype, 4, 4), normal(rng, dtype, 4)),
    )


@seeded(CASES, CHAIN, "exponential of A/2: the half forgotten in the jvp")
def _(rng, dtype):
    return hand(
        lambda a: expm(a / 2),
        normal(rng, dtype, 3, 3),
        "jvp",
        lambda bug: lambda a, d: jax.jvp(expm, (a / 2,), (d if bug else d / 2,))[1],
        "constant factor",
    )


@seeded(CASES, SET, "symmetric matrix from its triangle: an entry below the diagonal counted in one place")
def _(rng, dtype):
    i, j = np.tril_indices(3)
    weight = positive(rng, dtype, 3, 3)

    def full(p):
        a = jnp.zeros((3, 3), p.dtype).at[i, j].set(p)
        return a.at[j, i].set(p)

    def rule(bug):
        def hvp(p, v):
            curved = weight * jnp.cosh(full(p)) * full(v)
            twice = curved[i, j] + curved[j, i]
            return curved[j, i] if bug else jnp.where(i == j, curved[i, i], twice)

        return hvp

    return hand(lambda p: jnp.sum(weight * jnp.cosh(full(p))), normal(rng, dtype, 6), "hvp", rule)


@seeded(CASES, ADJOINT, "least squares: the residual's part of the matrix's cotangent missing")
def _(rng, dtype):
    b = normal(rng, dtype, 6)

    def solve(a):
        return jnp.linalg.solve(a.T @ a, a.T @ b)

    def rule(bug):
        def vjp(a, ct):
            x, s = solve(a), jnp.linalg.solve(a.T @ a, ct)
            through = -jnp.outer(a @ s, x)
            return through if bug else through + jnp.outer(b - a @ x, s)

        return vjp

    return hand(solve, normal(rng, dtype, 6, 3), "vjp", rule, "wrong term")


@seeded(CASES, ARGUMENT, "smallest eigenvalue: the largest one's vector in the Hessian")
def _(rng, dtype):
    a = spd(rng, dtype, 4)

    def rule(bug):
        def hessian(x):
            values, vectors = jnp.linalg.eigh(a + jnp.diag(x))
            mixed = vectors[:, -1 if bug else 0][:, None] * vectors[:, 1:]
            return 2 * mixed @ ((mixed / (values[0] - values[1:])).T)

        return hessian

    return hand(
        lambda x: jnp.linalg.eigvalsh(a + jnp.diag(x))[0],
        np.asarray([0.5, 2.0, 3.5, 5.0], dtype),
        "hessian",
        rule,
    )


@seeded(CASES, TRANSPOSE, "vec by columns in the formula, reshaped by rows")
def _(rng, dtype):
    a = spd(rng, dtype, 2)

    def pull(bug):
        def rule(x, ct):
            out = ct * (a @ x + x**3)
            return (out.T.reshape(2, 3) if bug else out,)

        return rule

    return own_vjp(
        lambda x: jnp.sum(x * (a @ x)) / 2 + jnp.sum(x**4) / 4,
        normal(rng, dtype, 2, 3),
        pull,
        "permutation",
        "transpose",
    )
