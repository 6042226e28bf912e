"""One exact rational vector with Xᵀg = 0 near an approximate one, its entries as short as signs allow (S10)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact_products import integer_product
from jaxsoftmax.proof.float_basis import float_basis
from jaxsoftmax.proof.rational import independent_columns, solve_exactly

__all__ = ["KernelVector", "exact_kernel_vector"]

_BITS = (4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48)
_MARGIN = 0.5  # the correction may take this part of an entry, as floats see it


class KernelVector(NamedTuple):
    """g = integers on `rows`, numerators/denominator on `basis`, 0 elsewhere."""

    rows: np.ndarray  # (m,) strictly increasing, none of them in the basis
    integers: np.ndarray  # (m,) int64, not 0
    basis: np.ndarray  # (R,) strictly increasing
    numerators: list[int]
    denominator: int


def exact_kernel_vector(X: np.ndarray, h: np.ndarray) -> KernelVector | None:
    """A rational g with Xᵀg = 0 exactly, sign g_n = sign h_n or 0 on every row, and g ≠ 0 (S10's exact correction).

    h is rounded to integers, coarsely, and the residual is put right on R = rank X rows by one exact solve. Those rows
    come from an LU factorisation of diag(|h|) X with pivoting, so that the correction is small relative to |h| on
    them; the coarsest rounding whose correction leaves their signs alone is taken: small entries become 0, and the
    other ones are short.

    Args:
        X: (n, K) integers, int64 or Python integers.
        h: (n,) float64 with Xᵀh = 0 up to rounding.

    Returns:
        The vector, verified by its signs on the basis and, through the solve, on R independent columns; None where
        no rounding succeeds. The caller verifies all columns.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.kernel_vector import exact_kernel_vector
        >>> g = exact_kernel_vector(np.array([[3, 1], [7, 1], [5, 1]]), np.array([1 / 3, 1 / 3, -2 / 3]))
        >>> g.rows.tolist(), g.integers.tolist(), g.basis.tolist(), g.numerators, g.denominator
        ([2], [-16], [0, 1], [8, 8], 1)
    """
    from scipy.linalg import get_lapack_funcs

    size = np.abs(h)
    live = np.flatnonzero(size > 0)
    if not len(live):
        return None
    X, h = X[live], h[live] / size.max()
    U = float_basis(X).X
    columns = independent_columns(X)
    R = len(columns)
    if U.shape[1] != R or len(X) <= R:
        return None
    getrf, getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)
    _, swaps, _ = getrf(np.abs(h)[:, None] * U)
    order = np.arange(len(X))
    for i, j in enumerate(swaps.tolist()):
        order[[i, j]] = order[[j, i]]
    basis = np.sort(order[:R])
    factor, pivots, singular = getrf(U[basis].T)
    if singular:
        return None
    for bits in _BITS:
        g = np.rint(np.ldexp(h, bits))
        change = getrs(factor, pivots, U.T @ g)[0]
        if not (np.abs(change) <= _MARGIN * np.abs(g[basis])).all():
            continue
        found = _corrected(X[:, columns], g.astype(np.int64), basis)
        if all(value * sign > 0 for value, sign in zip(found[0], np.sign(h[basis]).tolist(), strict=True)):
            g[basis] = 0
            rows = np.flatnonzero(g)
            return KernelVector(live[rows], g[rows].astype(np.int64), live[basis], *found)
    return None


def _corrected(X: np.ndarray, g: np.ndarray, basis: np.ndarray) -> tuple[list[int], int]:
    """Numerators and denominator of g + Δ on the basis with Xᵀ(g + Δ) = 0, Δ being 0 elsewhere."""
    solved = solve_exactly(X[basis].T, -integer_product(X.T, g[:, None]))
    assert solved is not None  # the matrix is square
    change, q = solved
    return [q * value + step for value, step in zip(g[basis].tolist(), change[:, 0].tolist(), strict=True)], q
