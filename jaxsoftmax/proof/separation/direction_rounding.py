"""From an approximate recession direction to an exact one: integers within the null space of its ties (S9, S11).

Guarded by `tests/proof/separation/test_linear_program.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest, integer_product
from jaxsoftmax.proof.exact.rational import null_space_basis, unit_columns

__all__ = ["coprime_entries", "exact_direction", "relative_margins"]

_DIGITS = (2, 6, 12, 20, 30, 45)  # bits after the point to which a direction is rounded, relative to its largest entry
_LARGEST_SYSTEM = 2**24  # entries of the equations whose null space is computed


def relative_margins(A: np.ndarray, support: np.ndarray, V: np.ndarray) -> np.ndarray:
    """(V a_n)_i − (V a_n)_j for i the first class of the support, exactly, of any sign."""
    Z = integer_product(A, V.T)
    return Z[np.arange(len(Z)), support.argmax(axis=1)][:, None] - Z


def exact_direction(A: np.ndarray, support: np.ndarray, pairs: np.ndarray, V: np.ndarray) -> np.ndarray | None:
    """Integers near a multiple of V: equal logits on the supports, no negative margin on the pairs, some positive.

    Args:
        A: (n, K) integers.
        support: (n, C) bool.
        pairs: (n, C) bool, off the support; others may get any margin.
        V: (C, K) floats for the columns of A divided by their largest entries, last row 0: of margin ≥ 1, or about 0.

    Returns:
        Integers (C, K) with the margins > 0 where V has them, or else on as many pairs as were found; None if on none.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.direction_rounding import exact_direction
        >>> A, support = np.array([[6, 1], [2, 1]]), np.eye(2, dtype=bool)
        >>> exact_direction(A, support, ~support, np.array([[3.0, -2.0], [0.0, 0.0]])).tolist()
        [[1, -4], [0, 0]]
    """
    scaled, largest = unit_columns(A)
    floats = _relative_margins_float(scaled, support, V)
    goal = pairs & (floats > 0.5)
    if not goal.any():
        return None
    best, most = None, 0
    for tolerance in (0.5, 1e-5, 0.0):
        ties = (pairs & (floats <= tolerance)) | support if tolerance else support
        basis, free = _null_space(A, support, ties)
        if basis is None:
            continue
        for candidate in _roundings(V[:-1].ravel()[free], np.tile(largest, len(V) - 1)[free]):
            flat = integer_product(basis, candidate[:, None])[:, 0]
            step = coprime_entries(np.append(flat, np.zeros(A.shape[1], flat.dtype)).reshape(V.shape))
            exact = relative_margins(A, support, step)
            if (exact[pairs] < 0).any():
                continue
            count = int((exact[pairs] > 0).sum())
            if count > most:
                best, most = step, count
            if (exact[goal] > 0).all():
                return best
    return best


def _relative_margins_float(A: np.ndarray, support: np.ndarray, V: np.ndarray) -> np.ndarray:
    Z = A @ V.T
    return Z[np.arange(len(Z)), support.argmax(axis=1)][:, None] - Z


def _null_space(A: np.ndarray, support: np.ndarray, ties: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Integer basis of the weights (last class 0) whose logits agree on every tie with the support's, as columns."""
    n, (C, K) = len(A), (ties.shape[1], A.shape[1])
    anchors = support.argmax(axis=1)
    ties = ties.copy()
    ties[np.arange(n), anchors] = False
    rows, classes = np.nonzero(ties)
    if not len(rows):
        return np.eye((C - 1) * K, dtype=np.int64), np.arange((C - 1) * K)
    if len(rows) * K * C > _LARGEST_SYSTEM:
        return None, np.arange(0)
    M = np.zeros((len(rows), C, K), A.dtype)
    M[np.arange(len(rows)), classes] = A[rows]
    M[np.arange(len(rows)), anchors[rows]] = -A[rows]
    basis, free = null_space_basis(M[:, :-1].reshape(len(rows), -1))
    return (basis, free) if len(free) else (None, free)


def _roundings(values: np.ndarray, units: np.ndarray) -> Iterator[np.ndarray]:
    """Integer vectors near multiples of values/units, coarse ones first.

    Each digit count is tried on a grid that is the same for all coordinates, then on one that is finer by a power of
    two for coordinates of larger units, so that all have the same relative accuracy.
    """
    bits = np.array([int(u).bit_length() for u in units])
    mantissas = values * np.array(
        [2.0 ** int(b) / int(u) if b < 1000 else 1.0 for b, u in zip(bits, units, strict=True)]
    )
    if not mantissas.any():
        return
    spread = int(bits.max() - bits.min())
    for digits in _DIGITS:
        if spread <= digits + 10:
            plain = np.ldexp(mantissas, -(bits - bits.min()))
            yield np.rint(plain * (2.0**digits / abs(plain).max())).astype(np.int64)
        grid = np.rint(mantissas * (2.0**digits / abs(mantissas).max())).astype(np.int64)
        shifts = (int(bits.max()) - bits).astype(object)
        yield as_smallest(grid.astype(object) << shifts)


def coprime_entries(V: np.ndarray) -> np.ndarray:
    """V divided by the greatest common divisor of its entries."""
    common = math.gcd(*(int(v) for v in V.flat))
    return as_smallest(V.astype(object) // common) if common > 1 else V
