"""Exact integer vectors with Xᵀg = 0 near an approximate one, as few and as short entries as its signs allow (S10).

Guarded by `tests/proof/overlap/test_pair.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.float_basis import float_basis
from jaxsoftmax.proof.exact.products import as_smallest, integer_bits, integer_product
from jaxsoftmax.proof.exact.rational import pivot_columns, solve_exactly
from jaxsoftmax.proof.overlap.kernel_lattice import KernelLattice

__all__ = ["KernelVector", "exact_kernel_vector"]

_BITS = (4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48)
_ROUNDING = 1e-9  # of the largest entry: below it a float may stand for 0
_SHORT = 62  # bits of integers that need no shortening
_DIMENSIONS, _REDUCED_BITS = (
    56,
    4000,
)  # of a lattice that is reduced in a few seconds; longer ones have fewer dimensions
_LARGER = 16  # bits of the multiple beyond those of the lattice's vectors
_SMALL_FACTOR = 2**10  # denominators that a quotient group that is not quite cyclic may leave


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
    other ones are short. The correction's denominator has about 8R bits for data of 8 bits. Where it is long, the
    integer points of the kernel near a multiple of g are looked at instead (`proof/overlap/kernel_lattice.py`).

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

    def completed(g: np.ndarray) -> np.ndarray:
        """The entries on the basis, in floats, that make Uᵀg = 0."""
        g = g.copy()
        g[basis] = 0
        return -getrs(factor, pivots, U.T @ g)[0]

    X = X[:, columns]
    for bits in _BITS:
        g = np.rint(np.ldexp(h, bits))
        if not _plausible(completed(g), h[basis]):
            continue
        g[basis] = 0
        rows = np.flatnonzero(g)
        integers = g[rows].astype(np.int64)
        numerators, q = _solved(X, rows, integers, basis)
        if not _agree(numerators, h[basis]):
            continue
        if q > 1 and integer_bits(numerators) > _SHORT:
            shortened = _shortened(X, rows, integers, basis, h[basis], q.bit_length(), completed)
            if shortened is not None:
                (integers, numerators), q = shortened, 1
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


def _solved(X: np.ndarray, rows: np.ndarray, integers: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, int]:
    """Numerators and denominator of the exact entries on the basis rows that complete those on other rows."""
    solved = solve_exactly(X[basis].T, -integer_product(X[rows].T, integers[:, None]))
    assert solved is not None  # the matrix is square
    return solved[0][:, 0], solved[1]


def _agree(values: np.ndarray, signs: np.ndarray) -> bool:
    return not ((values > 0) & (signs < 0) | (values < 0) & (signs > 0)).any()


def _plausible(values: np.ndarray, signs: np.ndarray) -> bool:
    """Whether exact values may have these signs or be 0, as floats see it."""
    return bool((values * np.sign(signs) >= -_ROUNDING * np.abs(values).max()).all())


def _shortened(
    X: np.ndarray,
    rows: np.ndarray,
    integers: np.ndarray,
    basis: np.ndarray,
    signs: np.ndarray,
    length: int,
    completed: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Integers near a multiple of those given that integers on the basis complete; None without success."""
    dimensions = round(_DIMENSIONS * min(1.0, _REDUCED_BITS / length) ** (2 / 3)) or 1
    largest = np.sort(np.argsort(-np.abs(integers), kind="stable")[:dimensions])
    try:
        lattice = KernelLattice(X[basis], X[rows[largest]])
    except ArithmeticError:
        return None
    residual = integer_product(X[rows].T, integers[:, None])[:, 0]
    period = lattice.period(residual)
    for bits in range(lattice.bits, lattice.bits + _LARGER):
        factor = period * -(-(1 << bits) // period)
        z = integers.astype(object) * factor
        z[largest] += lattice.completing(residual.astype(object) * factor)
        if not _agree(z, integers):
            continue
        g = np.zeros(len(X))
        g[rows] = z.astype(np.float64)
        if not _plausible(completed(g), signs):
            continue
        numerators, q = _solved(X, rows, z, basis)
        if q > _SMALL_FACTOR:
            return None
        if _agree(numerators, signs):
            return as_smallest(z * q), numerators
    return None
