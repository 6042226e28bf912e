"""One exact rational vector with Xᵀg = 0 near an approximate one, its entries as short as signs allow (S10)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact_products import integer_product
from jaxsoftmax.proof.independent_columns import independent_columns

__all__ = ["KernelVector", "exact_kernel_vector", "rational_basis"]

_PRIME = 2**61 - 1
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
        ([0], [8], [1, 2], [8, -16], 1)
    """
    from scipy.linalg import get_lapack_funcs

    size = np.abs(h)
    live = np.flatnonzero(size > 0)
    if not len(live):
        return None
    X, h = X[live], h[live] / size.max()
    float_basis = independent_columns(X).X
    columns = rational_basis(X)
    R = len(columns)
    if float_basis.shape[1] != R or len(X) <= R:
        return None
    getrf, getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)
    _, swaps, _ = getrf(np.abs(h)[:, None] * float_basis)
    order = np.arange(len(X))
    for i, j in enumerate(swaps.tolist()):
        order[[i, j]] = order[[j, i]]
    basis = np.sort(order[:R])
    factor, pivots, singular = getrf(float_basis[basis].T)
    if singular:
        return None
    for bits in _BITS:
        g = np.rint(np.ldexp(h, bits))
        change = getrs(factor, pivots, float_basis.T @ g)[0]
        if not (np.abs(change) <= _MARGIN * np.abs(g[basis])).all():
            continue
        found = _corrected(X[:, columns], g.astype(np.int64), basis)
        if found is not None and (np.sign(np.array(found[0], dtype=object)) == np.sign(h[basis])).all():
            g[basis] = 0
            rows = np.flatnonzero(g)
            return KernelVector(live[rows], g[rows].astype(np.int64), live[basis], *found)
    return None


def rational_basis(X: np.ndarray) -> np.ndarray:
    """Indices of columns that are independent over ℚ and, up to an improbable coincidence, span all columns.

    The rank modulo a prime of a random combination of the rows is at most the rank over ℚ, and the pivot columns found
    modulo the prime are independent over ℚ.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.kernel_vector import rational_basis
        >>> rational_basis(np.array([[1, 2, 0], [3, 6, 1], [5, 10, 7], [0, 0, 2]])).tolist()
        [0, 2]
    """
    import flint

    n, K = X.shape
    rows = min(n, K + 8)
    if n > rows:
        mixing = np.random.default_rng(0).integers(-127, 128, (rows, n))
        X = integer_product(mixing, X)
    reduced = (X % _PRIME).astype(np.int64)
    form, rank = flint.nmod_mat(rows, K, reduced.ravel().tolist(), _PRIME).rref()
    return np.array([next(j for j in range(i, K) if int(form[i, j])) for i in range(rank)], dtype=np.int64)


def _corrected(X: np.ndarray, g: np.ndarray, basis: np.ndarray) -> tuple[list[int], int] | None:
    """Numerators and denominator of g + Δ on the basis with Xᵀ(g + Δ) = 0, Δ being 0 elsewhere."""
    import flint

    residual = integer_product(X.T, g[:, None])[:, 0].tolist()
    square = flint.fmpz_mat(X[basis].T.tolist())
    try:
        change = square.solve(flint.fmpz_mat(len(residual), 1, [-value for value in residual]))
    except ZeroDivisionError:
        return None
    numerators, denominator = change.numer_denom()
    q = int(denominator)
    return [q * value + int(p) for value, p in zip(g[basis].tolist(), numerators.entries(), strict=True)], q
