"""Columns of doubles that are exactly dependent: found in floating point, proved in rational arithmetic (for S7).

Floating point only proposes. What these functions return has been verified with integers and fractions, so a rigorous
bound may rest on it.

Guarded by `tests/linalg/test_enclosures.py`.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

# Beyond these the exact verification would take longer than a second, and the column is not called dependent.
_MOST_PARTNERS = 32
_MOST_ENTRIES = 500_000


def merged_columns(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(representatives (N, D'), weight (D',)): the nonzero singular values of X are those of representatives·√g.

    Columns a and c a contribute (1 + c²) a aᵀ to X Xᵀ; g is 1 + Σ c² over the columns proportional to a
    representative, and `weight` is √g within a relative 3u. Proportionality is verified exactly; candidates are
    found by a fingerprint that proportional columns share up to rounding, so nothing rests on it. No column of X is 0.
    """
    N, D = X.shape
    if D < 2:
        return X, np.ones(D)
    first = np.argmax(X != 0, axis=0)
    pivots = X[first, np.arange(D)]
    # Not a random draw: any fixed irregular weights will do.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        prints = (np.modf(np.arange(1, N + 1) * 0.6180339887498949)[0] @ X) / pivots
    prints = np.where(np.isfinite(prints), prints, 0.0)
    order = np.lexsort((prints, first))
    leader = np.arange(D)
    for before, here in itertools.pairwise(order):
        near = abs(prints[here] - prints[before]) <= 1e-6 * abs(prints[here]) + 1e-12
        if near and first[here] == first[before] and _proportional(X[:, leader[before]], X[:, here]):
            leader[here] = leader[before]
    if np.array_equal(leader, np.arange(D)):
        return X, np.ones(D)
    chosen = np.unique(leader)
    weight = np.ones(len(chosen))
    keep = np.empty(len(chosen), int)
    for j, lead in enumerate(chosen):
        members = np.flatnonzero(leader == lead)
        keep[j] = members[np.argmax(np.abs(pivots[members]))]  # the largest: every |c| ≤ 1
        ratio = pivots[members] / pivots[keep[j]]
        # A ratio errs by u relative, its square by 3u, fsum rounds once and the root once: 3u in all.
        weight[j] = math.sqrt(math.fsum(ratio * ratio))
    return X[:, keep], weight


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether b = c a exactly, for vectors of doubles; first by floating point, then in integers."""
    support = a != 0
    if not np.array_equal(support, b != 0):
        return False
    a, b = a[support], b[support]
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        ratio = b / a
    if not np.all(np.abs(ratio - ratio[0]) <= 2.0**-50 * np.abs(ratio[0])):
        return False
    p, q = Fraction(float(b[0])), Fraction(float(a[0]))
    c = p / q
    return all(Fraction(y) == c * Fraction(x) for x, y in zip(a.tolist(), b.tolist(), strict=True))


def dependent_columns(X: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Indices of columns of X that are proved to be combinations of the columns left, as many as could be proved.

    Null vectors of `gram`, the Gram matrix of X with its columns (and rows) scaled by positive numbers, propose a
    column and its few partners; the combination is solved for on as many rows as there are partners, in fractions, and
    verified on every row.
    """
    values, vectors = np.linalg.eigh(gram)
    null = vectors[:, values <= 1e-12 * X.shape[0] ** 0.5 * values[-1]]
    if not null.shape[1]:
        return np.zeros(0, int)
    chosen = _pivots(null.T)[: null.shape[1]]
    # X_J = −X_F (Z_F Z_J⁻¹) for the null vectors Z: one column of coefficients for each chosen column.
    coefficients = np.linalg.solve(null[chosen].T, null.T).T
    coefficients[chosen] = 0.0
    proved = []
    for place, column in enumerate(chosen):
        size = np.abs(coefficients[:, place])
        partners = np.flatnonzero(size > 1e-7 * max(1.0, float(size.max())))
        if 0 < len(partners) <= _MOST_PARTNERS and _is_combination(X[:, column], X[:, partners]):
            proved.append(int(column))
    return np.array(sorted(proved), int)


def _pivots(A: np.ndarray) -> np.ndarray:
    from scipy.linalg import qr  # costs 0.2 s

    return qr(A, pivoting=True, mode="r")[-1]


def _is_combination(b: np.ndarray, A: np.ndarray) -> bool:
    """Whether b = A c for some rational c, exactly."""
    rows = np.flatnonzero((b != 0) | np.any(A != 0, axis=1))
    if len(rows) * A.shape[1] > _MOST_ENTRIES or len(rows) < A.shape[1]:
        return False
    A, b = A[rows], b[rows]
    pivots = _pivots(A.T)[: A.shape[1]]
    solution = _solve_exactly(A[pivots].tolist(), b[pivots].tolist())
    if solution is None:
        return False
    # Over one common denominator, so that each row is a sum of fractions with powers of two below.
    denominator = math.lcm(*(c.denominator for c in solution))
    numerators = [c.numerator * (denominator // c.denominator) for c in solution]
    for row, right in zip(A.tolist(), b.tolist(), strict=True):
        total = sum((n * Fraction(x) for n, x in zip(numerators, row, strict=True) if x), Fraction(0))
        if total != denominator * Fraction(right):
            return False
    return True


def _solve_exactly(A: list[list[float]], b: list[float]) -> list[Fraction] | None:
    """The rational solution of a square system of doubles by Gaussian elimination; None when it is singular."""
    n = len(A)
    M = [[*map(Fraction, row), Fraction(right)] for row, right in zip(A, b, strict=True)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if M[i][k] != 0), None)
        if pivot is None:
            return None
        M[k], M[pivot] = M[pivot], M[k]
        M[k] = [x / M[k][k] for x in M[k]]
        for i in range(n):
            if i != k and M[i][k] != 0:
                factor = M[i][k]
                M[i] = [x - factor * y for x, y in zip(M[i], M[k], strict=True)]
    return [row[n] for row in M]
