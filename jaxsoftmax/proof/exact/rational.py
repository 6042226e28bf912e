"""Exact linear algebra over the rationals by python-flint: independent rows and columns, solutions, null spaces."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import scipy.linalg

from jaxsoftmax.proof.exact.products import as_smallest, integer_product

__all__ = [
    "independent_rows",
    "null_space_basis",
    "orthonormal_columns",
    "pivot_columns",
    "solve_exactly",
    "unit_columns",
]

_PRIME = 2**61 - 1  # columns independent modulo a prime are independent over the rationals
_EXTRA = 8  # rows of a random combination beyond the number of columns
_CHUNK = 8192  # rows that are combined at once
_CANDIDATES = 20  # rows of largest weight in Q, for each row wanted: the pivots are nearly always among them
_WELL = 1e-2  # least ratio of pivots that makes the candidates good enough
_DEPENDENT = "A: its {} columns are linearly dependent. Pass A[:, pivot_columns(A)]."


def _flint() -> Any:
    try:
        import flint
    except ImportError as error:
        raise ImportError(
            "exact rational linear algebra needs python-flint: pip install 'jaxsoftmax[exact]'"
        ) from error
    return flint


def _integers(A: np.ndarray) -> Any:
    return _flint().fmpz_mat(*A.shape, A.ravel().tolist())


def _residues(A: np.ndarray) -> Any:
    return _flint().nmod_mat(*A.shape, (A % _PRIME).ravel().tolist(), _PRIME)


def pivot_columns(A: np.ndarray) -> np.ndarray:
    """Indices of columns of an integer matrix that are linearly independent over the rationals, first ones preferred.

    Independence is proved (it holds modulo a prime). That no further column is independent of them is true up to a
    probability below K·2⁻¹⁶ for tall matrices, whose rows are combined at random first; users of the indices verify
    what they conclude from it.

    Args:
        A: (n, K) integers, int64 or Python integers.

    Returns:
        (R,) increasing indices, R the rank.

    Raises:
        ImportError: python-flint is not installed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.rational import pivot_columns
        >>> pivot_columns(np.array([[1, 2, 0], [2, 4, 1], [3, 6, 1]])).tolist()
        [0, 2]
    """
    n, K = A.shape
    if n == 0 or K == 0:
        return np.zeros(0, np.int64)
    if n > 2 * (K + _EXTRA):
        rng = np.random.default_rng(n * 7919 + K)
        total: np.ndarray | int = 0
        for start in range(0, n, _CHUNK):
            part = A[start : start + _CHUNK]
            factors = rng.integers(-(2**15), 2**15, (K + _EXTRA, len(part)))
            total = (total + integer_product(factors, part) % _PRIME) % _PRIME
        A = np.asarray(total)
    return _pivots(A)


def _pivots(A: np.ndarray) -> np.ndarray:
    reduced, rank = _residues(A).rref()
    table = np.array([int(x) for x in reduced.entries()], dtype=np.uint64).reshape(A.shape)[:rank]
    return (table != 0).argmax(axis=1).astype(np.int64)


def unit_columns(A: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """A as float64 with each column divided by its largest magnitude, and these magnitudes (1 for a zero column).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.rational import unit_columns
        >>> unit_columns(np.array([[2**70, 1], [-(2**71), 0]], dtype=object))[0].tolist()
        [[0.5, 1.0], [-1.0, 0.0]]
    """
    if not len(A):
        return np.zeros(A.shape), [1] * A.shape[1]
    largest = [int(x) or 1 for x in abs(A).max(axis=0)]
    if A.dtype == object:
        return (A / np.array(largest, dtype=object)).astype(np.float64), largest
    return A.astype(np.float64) / np.array(largest, np.float64), largest


def orthonormal_columns(A: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Q with orthonormal columns that span those of diag(weights) A, in floating point, A of full column rank."""
    B = weights[:, None] * unit_columns(A)[0]
    if len(B) > 10 * B.shape[1]:  # two Cholesky factorisations are faster, where the condition allows them
        Q = B
        try:
            for _ in range(2):
                Q = scipy.linalg.solve_triangular(np.linalg.cholesky(Q.T @ Q), Q.T, lower=True, check_finite=False).T
        except np.linalg.LinAlgError:
            return np.linalg.qr(B)[0]
        if abs(Q.T @ Q - np.eye(B.shape[1])).max(initial=0.0) < 1e-10:
            return Q
    return np.linalg.qr(B)[0]


def independent_rows(A: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """R rows of an integer matrix of full column rank R that are linearly independent, well conditioned where possible.

    Pivoted QR of Qᵀ (from `orthonormal_columns`: the result does not depend on the scales of the columns, and rows of
    large weight are preferred) proposes; arithmetic modulo a prime confirms, or chooses the first independent rows in
    the order of the pivots.

    Args:
        A: (n, R) integers.
        Q: (n, R) float64.

    Returns:
        (R,) increasing indices of rows.

    Raises:
        ValueError: the rank of A is below R.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.rational import independent_rows, orthonormal_columns
        >>> A = np.array([[1, 1], [1, 2], [1, 3]])
        >>> independent_rows(A, orthonormal_columns(A, np.array([1.0, 1e-3, 1.0]))).tolist()
        [0, 2]
    """
    R = A.shape[1]
    if R == 0:
        return np.zeros(0, np.int64)
    candidates = np.arange(len(Q))
    if len(Q) > _CANDIDATES * R:
        candidates = np.argpartition(-(Q * Q).sum(axis=1), _CANDIDATES * R)[: _CANDIDATES * R]
    for chosen in (candidates, np.arange(len(Q))):
        triangle, order = cast(tuple[np.ndarray, np.ndarray], scipy.linalg.qr(Q[chosen].T, mode="r", pivoting=True))
        rows = np.sort(chosen[order[:R]]).astype(np.int64)
        size = abs(np.diagonal(triangle))
        well = len(chosen) == len(Q) or size[-1] > _WELL * size[0]
        if well and len(rows) == R and _residues(A[rows]).rank() == R:
            return rows
    found = order[_pivots(A[order].T)]
    if len(found) < R:
        raise ValueError(_DEPENDENT.format(R))
    return np.sort(found).astype(np.int64)


def solve_exactly(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Integers Y and q > 0 in lowest terms with A Y = q B, for A of full column rank; None if there is no solution.

    Args:
        A: (n, R) integers, n ≥ R.
        B: (n, m) integers.

    Returns:
        Y (R, m), int64 or Python integers, and the common denominator q of the unique solution Y/q.

    Raises:
        ValueError: A is not of full column rank.
        ImportError: python-flint is not installed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.rational import solve_exactly
        >>> Y, q = solve_exactly(np.array([[2, 0], [0, 3], [2, 3]]), np.array([[1], [1], [2]]))
        >>> Y.tolist(), q
        ([[3], [2]], 6)
        >>> solve_exactly(np.array([[2], [2]]), np.array([[1], [2]])) is None
        True
    """
    n, R = A.shape
    m = B.shape[1]
    if R == 0 or m == 0:
        return None if R == 0 and B.any() else (np.zeros((R, m), np.int64), 1)
    rows = np.arange(n) if n == R else independent_rows(A, orthonormal_columns(A, np.ones(n)))
    try:
        solution = _integers(A[rows]).solve(_integers(B[rows]))
    except ZeroDivisionError:
        raise ValueError(_DEPENDENT.format(R)) from None
    table, q = solution.numer_denom()
    Y, q = as_smallest(np.array([int(x) for x in table.entries()], dtype=object).reshape(R, m)), int(q)
    if n > R and (integer_product(A, Y).astype(object) != B.astype(object) * q).any():
        return None
    return Y, q


def null_space_basis(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An integer basis of {v : A v = 0}, one column for each free coordinate, the identity times a number on those.

    Args:
        A: (n, K) integers.

    Returns:
        The basis (K, K − R) and the free coordinates (K − R,). A v = 0 is verified for every column v.

    Raises:
        ArithmeticError: the rank found modulo a prime was not the rank (practically impossible).
        ImportError: python-flint is not installed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.rational import null_space_basis
        >>> basis, free = null_space_basis(np.array([[2, 4, 6], [1, 2, 4]]))
        >>> basis.tolist(), free.tolist()
        ([[-2], [1], [0]], [1])
    """
    K = A.shape[1]
    pivots = pivot_columns(A)
    free = np.setdiff1d(np.arange(K), pivots)
    basis = np.zeros((K, len(free)), dtype=object)
    solved = solve_exactly(A[:, pivots], -A[:, free])
    if solved is None:
        raise ArithmeticError("the columns found are not a maximal set of independent columns.")
    basis[pivots], basis[free, np.arange(len(free))] = solved
    return as_smallest(basis), free
