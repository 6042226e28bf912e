"""Lanczos with full reorthogonalisation, several chains at once: extreme eigenvalues, and quadrature of a spectrum.

A chain from a unit vector q builds A Q = Q T + β e_mᵀ with orthonormal Q and tridiagonal T. Eigenvalues of T are Ritz
values, with the residual ‖A x − θ x‖ = β |last entry of T's eigenvector|; squared first entries are the weights of the
m-point Gauss quadrature of q's spectral measure. Chains are independent but share products: k chains cost one product
with k columns a step. Vectors live on the host, products wherever the operator does.

Ours, not SciPy's `eigsh`: quadrature needs T itself, which ARPACK does not return, and the products must have several
columns to read X once a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg

Apply = Callable[[np.ndarray], np.ndarray]


class Chains(NamedTuple):
    """k chains of m steps: diagonals (k, m), off-diagonals (k, m) (the last one leads out), bases (k, n, m)."""

    alpha: np.ndarray
    beta: np.ndarray
    basis: np.ndarray


class Ritz(NamedTuple):
    """Of one chain, ascending: values (m,), residual estimates (m,), quadrature weights (m,), vectors of T (m, m)."""

    values: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    vectors: np.ndarray


def lanczos(
    apply: Apply,
    start: np.ndarray,
    steps: int,
    *,
    project: Apply | None = None,
    enough: Callable[[Chains], bool] | None = None,
    check_every: int = 10,
    seed: int = 0,
) -> Chains:
    """Run k chains from the columns of `start` (n, k).

    Args:
        apply: (n, k) -> (n, k), a symmetric operator.
        start: not necessarily of unit norm.
        steps: at most so many, and at most the dimension of the space.
        project: orthogonal projector on an invariant subspace to stay in.
        enough: asked now and then; True ends the run.
        check_every: so many steps apart.
        seed: of the vectors that go on where a chain has found an invariant subspace (its off-diagonal entry is then 0
            and the quadrature is complete).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.linalg.lanczos import lanczos, ritz
        >>> A = np.diag([1.0, 2.0, 5.0])
        >>> ritz(lanczos(lambda V: A @ V, np.ones((3, 1)), 3), 0).values.round(12).tolist()
        [1.0, 2.0, 5.0]
    """
    rng = np.random.default_rng(seed)

    def prepared(V: np.ndarray) -> np.ndarray:
        return V if project is None else project(V)

    n, k = start.shape
    q = prepared(np.array(start, np.float64))
    q = q / np.linalg.norm(q, axis=0)
    size = min(steps, 64)
    basis, alpha, beta = np.empty((k, n, size)), np.zeros((k, steps)), np.zeros((k, steps))
    for m in range(steps):
        if m == basis.shape[2]:
            grown = np.empty((k, n, min(steps, 2 * m)))
            grown[:, :, :m] = basis
            basis = grown
        basis[:, :, m] = q.T
        w = prepared(np.asarray(apply(q), np.float64))
        alpha[:, m] = np.einsum("nk,nk->k", q, w)
        size_of_w = np.linalg.norm(w, axis=0)
        w = _orthogonalised(w, basis[:, :, : m + 1])
        norm = np.linalg.norm(w, axis=0)
        beta[:, m] = norm
        exhausted = False
        for j in np.flatnonzero(norm <= 1e-13 * np.maximum(size_of_w, np.abs(alpha[:, : m + 1]).max(axis=1))):
            beta[j, m] = 0.0
            fresh = prepared(rng.standard_normal((n, 1)))
            fresh = prepared(_orthogonalised(fresh / np.linalg.norm(fresh), basis[j : j + 1, :, : m + 1]))
            w[:, j : j + 1] = fresh
            norm[j] = np.linalg.norm(fresh)
            exhausted = exhausted or norm[j] <= 1e-10
        chains = Chains(alpha[:, : m + 1], beta[:, : m + 1], basis[:, :, : m + 1])
        if exhausted or m + 1 == steps:
            return chains
        if enough is not None and (m + 1) % check_every == 0 and enough(chains):
            return chains
        q = w / norm
    raise AssertionError("steps >= 1")


def _orthogonalised(w: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Columns of w (n, k) minus their parts in the bases (k, n, m); twice is enough (Giraud, Langou)."""
    for _ in range(2):
        for j in range(w.shape[1]):
            w[:, j] -= basis[j] @ (basis[j].T @ w[:, j])
    return w


def ritz(chains: Chains, chain: int) -> Ritz:
    """Ritz values, residual estimates and quadrature weights of one chain."""
    alpha, beta = chains.alpha[chain], chains.beta[chain]
    values, vectors = scipy.linalg.eigh_tridiagonal(alpha, beta[:-1])
    return Ritz(values, beta[-1] * np.abs(vectors[-1]), vectors[0] ** 2, vectors)
