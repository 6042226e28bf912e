"""Functions of `jnp.linalg` and `jax.scipy.linalg`."""

from __future__ import annotations

import jax.numpy as jnp
import jax.scipy.linalg as sl
import numpy as np

from helpers.foreign.case import case, definite, normal, regular

la = jnp.linalg
WIDE, TALL = normal(2, 4), normal(4, 2)
NEAR = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0625]]
DET = (
    "the second derivative in a33 and a44 of det at diag(8, 1, 0, 0) is 0, where 8 is right (the determinant is then "
    "8 a33 a44); the gradient, 0, is right, and so is the hessian of 3 by 3 matrices. JAX 0.10.2"
)

TRIANGLE = (
    "with lower=True the values depend on the lower triangle alone (mpmath: the factor of [[2, c], [0.3, 1]] is the "
    "same for any c), yet the gradient in the upper one is not 0: of the factor's sum in a12 it is -0.0767, right is "
    "0, and 0.6304 in a21, right is 0.5536. JAX 0.10.2"
)


def spread(rng):
    """A symmetric matrix with eigenvalues well apart."""
    q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    return q @ np.diag([-1.5, 0.4, 1.3, 3.0]) @ q.T


def symmetrized(fun):
    """The function of the symmetric part: what LAPACK reads of a matrix that is not symmetric is its own business."""
    return lambda a, *rest: fun((a + a.T) / 2, *rest)


CASES = [
    case("jnp.linalg.inv", la.inv, regular(3), vector=True),
    case("jnp.linalg.det", la.det, regular(4)),
    case("jnp.linalg.det, 2 by 2", la.det, normal(2, 2)),
    case("jnp.linalg.det, nearly singular", la.det, NEAR),
    case("jnp.linalg.det of rank n - 1", la.det, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]]),
    case("jnp.linalg.det of rank n - 2, 3 by 3", la.det, [[8.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    case("jnp.linalg.det of rank n - 2", la.det, lambda rng: np.diag([8.0, 1.0, 0.0, 0.0]), fault=DET),
    case("jnp.linalg.slogdet", lambda a: la.slogdet(a)[1], regular(4)),
    case("jnp.linalg.slogdet of a definite matrix", lambda a: la.slogdet(a).logabsdet, definite(4)),
    case("jnp.linalg.solve in A and b", la.solve, regular(3), normal(3), vector=True),
    case("jnp.linalg.solve in A", la.solve, regular(4), args=(normal(4),)),
    case("jnp.linalg.solve in b", lambda b, a: la.solve(a, b), normal(4), args=(regular(4),), vector=True),
    case("jnp.linalg.lstsq in A and b, tall", lambda a, b: la.lstsq(a, b)[0], TALL, normal(4), vector=True),
    case("jnp.linalg.lstsq in b, wide", lambda b, a: la.lstsq(a, b)[0], normal(2), args=(WIDE,)),
    case("jnp.linalg.pinv, tall", la.pinv, TALL),
    case("jnp.linalg.pinv, wide", la.pinv, WIDE, vector=True),
    case("jnp.linalg.cholesky", la.cholesky, definite(3), vector=True),
    case("jnp.linalg.cholesky of a symmetric part", symmetrized(la.cholesky), definite(4)),
    case("log det by jnp.linalg.cholesky", lambda a: 2 * jnp.sum(jnp.log(jnp.diag(la.cholesky(a)))), definite(4)),
    case("jnp.linalg.qr, R", lambda a: la.qr(a)[1], TALL, vector=True),
    case("jnp.linalg.qr, Q and R", la.qr, regular(3)),
    case("jnp.linalg.svd, values", lambda a: la.svd(a, compute_uv=False), normal(3, 4), vector=True),
    case("jnp.linalg.svdvals", la.svdvals, normal(4, 2)),
    case("jnp.linalg.svd, a projection", lambda a: (lambda u: u[:, :1] @ u[:, :1].T)(la.svd(a)[0]), normal(3, 3)),
    case("jnp.linalg.eigvalsh", la.eigvalsh, spread, vector=True),
    case(
        "jnp.linalg.eigvalsh, sum of squares at the identity",
        lambda a: jnp.sum(la.eigvalsh(a) ** 2),
        [[1.0, 0.0], [0.0, 1.0]],
        note="equal eigenvalues; a symmetric function of them is smooth",
    ),
    case("jnp.linalg.eigh, values", symmetrized(lambda a: la.eigh(a)[0]), spread),
    case(
        "jnp.linalg.eigh, a function of a matrix",
        symmetrized(lambda a: (lambda w, v: (v * jnp.tanh(w)) @ v.T)(*la.eigh(a))),
        spread,
    ),
    case("jnp.linalg.eigvals, absolute values", lambda a: jnp.abs(la.eigvals(a)), regular(3)),
    case("jnp.linalg.eigvals, a conjugate pair", lambda a: jnp.sum(jnp.abs(la.eigvals(a))), [[0.3, -2.0], [1.0, 0.7]]),
    case("jnp.linalg.norm, vector", la.norm, normal(5)),
    case("jnp.linalg.norm at 0", la.norm, [0.0, 0.0], undefined="no derivative at 0; JAX returns NaN"),
    case("jnp.linalg.norm, ord 3", lambda x: la.norm(x, ord=3), normal(5)),
    case("jnp.linalg.norm, ord 1", lambda x: la.norm(x, ord=1), normal(5)),
    case("jnp.linalg.norm, ord inf", lambda x: la.norm(x, ord=jnp.inf), [0.4, -2.0, 1.1]),
    case("jnp.linalg.norm, Frobenius", la.norm, normal(3, 3)),
    case("jnp.linalg.norm, spectral", lambda a: la.norm(a, ord=2), normal(3, 3)),
    case("jnp.linalg.norm, nuclear", lambda a: la.norm(a, ord="nuc"), normal(3, 3)),
    case("jnp.linalg.norm, rows", lambda a: la.norm(a, axis=1), normal(3, 3), vector=True),
    case("jnp.linalg.cond", la.cond, regular(3)),
    case("jnp.linalg.matrix_power 3", lambda a: la.matrix_power(a, 3), normal(3, 3), vector=True),
    case("jnp.linalg.matrix_power -2", lambda a: la.matrix_power(a, -2), regular(3)),
    case("jnp.linalg.multi_dot", lambda *m: la.multi_dot(m), normal(2, 3), normal(3, 2), normal(2, 4), vector=True),
    case("jnp.linalg.tensorsolve", la.tensorsolve, regular(3), normal(3)),
    case("jnp.linalg.cross", la.cross, normal(2, 3), normal(2, 3), vector=True),
    case("jnp.kron", jnp.kron, normal(2, 2), normal(2, 3)),
    case(
        "jax.scipy.linalg.cho_solve in b",
        lambda b, a: sl.cho_solve(sl.cho_factor(a), b),
        normal(3),
        args=(definite(3),),
        fault=TRIANGLE,
    ),
    case(
        "jax.scipy.linalg.cho_solve in A and b",
        symmetrized(lambda a, b: sl.cho_solve(sl.cho_factor(a), b)),
        definite(3),
        args=(normal(3),),
        vector=True,
    ),
    case(
        "jax.scipy.linalg.solve, pos", lambda a, b: sl.solve((a + a.T) / 2, b, assume_a="pos"), definite(3), normal(3)
    ),
    case(
        "jax.scipy.linalg.solve_triangular, lower",
        lambda a, b: sl.solve_triangular(a, b, lower=True),
        regular(3),
        normal(3),
        vector=True,
    ),
    case(
        "jax.scipy.linalg.solve_triangular, transposed",
        lambda a, b: sl.solve_triangular(a, b, trans=1),
        regular(3),
        normal(3, 2),
    ),
    case("jax.scipy.linalg.lu_solve", lambda a, b: sl.lu_solve(sl.lu_factor(a), b), regular(3), normal(3)),
    case("jax.scipy.linalg.lu, L and U", lambda a: sl.lu(a)[1:], regular(3)),
    case("jax.scipy.linalg.expm", sl.expm, normal(3, 3), vector=True),
    case("jax.scipy.linalg.expm, large", sl.expm, normal(3, 3, scale=4.0)),
    case("jax.scipy.linalg.expm of a rotation", sl.expm, [[0.0, -1.3], [1.3, 0.0]]),
    case("jax.scipy.linalg.expm_frechet", lambda a, e: sl.expm_frechet(a, e)[1], normal(3, 3), normal(3, 3)),
    case("jax.scipy.linalg.toeplitz", lambda c: sl.toeplitz(c) @ jnp.arange(4, dtype=c.dtype), normal(4), vector=True),
    case("jax.scipy.linalg.block_diag", sl.block_diag, normal(2, 2), normal(1, 3)),
    case("jax.scipy.linalg.polar, Q", lambda a: sl.polar(a, method="svd")[0], regular(3)),
    case(
        "Mahalanobis distance by jax.scipy.linalg.cholesky",
        lambda x, a: jnp.sum(sl.solve_triangular(sl.cholesky(a, lower=True), x, lower=True) ** 2),
        normal(3),
        definite(3),
        fault=TRIANGLE,
    ),
    case(
        "Mahalanobis distance by jax.scipy.linalg.cholesky of a symmetric part",
        lambda x, a: jnp.sum(sl.solve_triangular(sl.cholesky((a + a.T) / 2, lower=True), x, lower=True) ** 2),
        normal(3),
        definite(3),
    ),
]
