"""Exact rational vectors with Xᵀg = 0 near an approximate one, as few and as short entries as its signs allow (S10).

Guarded by `tests/proof/overlap/test_pair.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.float_basis import float_basis
from jaxsoftmax.proof.exact.products import as_smallest, integer_product
from jaxsoftmax.proof.exact.rational import pivot_columns, solve_exactly

__all__ = ["KernelVector", "exact_kernel_vector"]

_BITS = (4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48)
_ROUNDING = 1e-9  # of the largest entry: below it a float may stand for 0


class KernelVector(NamedTuple):
    """The entries of an exact vector: numerators / denominator on some rows, 0 on the other ones."""

    rows: np.ndarray  # (m,) strictly increasing
    numerators: np.ndarray  # (m,) int64 or Python integers, not 0
    denominator: int


def exact_kernel_vector(X: np.ndarray, h: np.ndarray) -> list[KernelVector] | None:
    """A rational g with Xᵀg = 0 exactly, sign g_n = sign h_n or 0 on every row, and g ≠ 0 (S10's exact correction).

    h is rounded to integers, coarsely, and the residual is put right on R = rank X rows by one exact solve. Those rows
    come from an LU factorisation of diag(|h|) X with pivoting, so that the correction is small relative to |h| on
    them; the coarsest rounding whose correction leaves their signs alone is taken: small entries become 0, and the
    other ones are short. The correction's denominator has about 8R bits for data of 8 bits.

    Args:
        X: (n, K) integers, int64 or Python integers.
        h: (n,) float64 with Xᵀh = 0 up to rounding.

    Returns:
        Vectors with disjoint rows whose sum is g, its signs verified; None where no rounding succeeds. That Xᵀg = 0 is
        exact on R independent columns; the caller verifies all.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.kernel_vector import exact_kernel_vector
        >>> [g] = exact_kernel_vector(np.array([[3, 1], [7, 1], [5, 1]]), np.array([1 / 3, 1 / 3, -2 / 3]))
        >>> g.rows.tolist(), g.numerators.tolist(), g.denominator
        ([0, 1, 2], [8, 8, -16], 1)
    """
    from scipy.linalg import get_lapack_funcs

    live = np.flatnonzero(h != 0)
    if not len(live):
        return None
    X, h = X[live], h[live] / np.abs(h).max()
    U = float_basis(X).X
    columns = pivot_columns(X)
    R = len(columns)
    if U.shape[1] != R or len(X) <= R:
        return None
    if R == 0:
        return [KernelVector(live, np.sign(h).astype(np.int64), 1)]
    getrf, getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)
    _, swaps, _ = getrf(np.abs(h)[:, None] * U)
    order = np.arange(len(X))
    for i, j in enumerate(swaps.tolist()):
        order[[i, j]] = order[[j, i]]
    basis = np.sort(order[:R])
    factor, pivots, singular = getrf(U[basis].T)
    if singular:
        return None

    X, side = X[:, columns], np.sign(h[basis]).astype(np.int64)
    for bits in _BITS:
        g = np.rint(np.ldexp(h, bits))
        g[basis] = 0
        near = -getrs(factor, pivots, U.T @ g)[0]  # the entries on the basis that make Uᵀg = 0, as floats see them
        if (near * side < -_ROUNDING * np.abs(near).max()).any():
            continue
        rows = np.flatnonzero(g)
        integers = g[rows].astype(np.int64)
        solved = solve_exactly(X[basis].T, -integer_product(X[rows].T, integers[:, None]))
        assert solved is not None  # the matrix is square
        numerators, q = solved[0][:, 0], solved[1]
        if (numerators * side < 0).any():
            continue
        if not integers.any() and not numerators.any():
            continue
        if q == 1:
            both = np.concatenate([rows, basis])
            parts = [KernelVector(both, np.concatenate([integers, numerators]), 1)]
        else:
            parts = [KernelVector(rows, integers, 1), KernelVector(basis, numerators, q)]
        return [_without_zeros(live, part) for part in parts if part.numerators.any()]
    return None


def _without_zeros(live: np.ndarray, part: KernelVector) -> KernelVector:
    order = np.argsort(part.rows)
    order = order[(part.numerators[order] != 0).astype(bool)]
    return KernelVector(live[part.rows[order]], as_smallest(part.numerators[order]), part.denominator)
