"""Looks for a direction that separates completely (S9), in floats, and hands it over in small exact integers.

Columns are centred and scaled for the search in `hinge_newton`, whose weights are then put on the coarsest grid that
leaves every margin positive, because the length of a certificate and the time to check it grow with the digits. Floats
only propose: the margins of the integers that are returned have been computed exactly.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest
from jaxsoftmax.proof.exact.witness import margins
from jaxsoftmax.proof.separation.hinge_newton import hinge_separator

__all__ = ["separating_weights"]

_DOUBLE_ENTRIES = 200_000  # above, float32: twice as fast, and rows so many rarely leave margins below its rounding
_GRID_BITS = 50  # of the largest weight; doubles have no more
_BLOCK = 2**19  # entries converted at a time, so that the temporaries stay in cache


class _Columns(NamedTuple):
    """b_nk = ((A_nd − middle_d) / 2^bits_d − mean_d) / size_d for the columns d in `used`, then ones if `ones` ≥ 0.

    `ones` is a constant column of A, not 0. Without one nothing can be shifted, and middle and mean are 0.
    """

    used: np.ndarray  # (k,) indices of columns
    ones: int
    middle: list[int]
    bits: list[int]
    mean: np.ndarray
    size: np.ndarray


def separating_weights(A: np.ndarray, support: np.ndarray, seconds: float) -> np.ndarray | None:
    """Integers V with every margin of S9 positive, found by a float search and verified exactly.

    Complete separation of one-hot rows. None says nothing about the data: the search ended, by time or because margins
    so small were not worth more of it. A row of more than one supported class, for which V would have to satisfy
    equations, is not attempted.

    Args:
        A: (N, K) integers, int64 or Python integers; an intercept is a column of equal entries.
        support: (N, C) bool, t_nj > 0.
        seconds: of the search; the verification of what it finds comes on top.

    Returns:
        V (C, K), int64 or Python integers without a common factor, 0 in many places; or None.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.search import separating_weights
        >>> from jaxsoftmax.proof.exact.witness import margins
        >>> A, support = np.array([[-1, 1], [2, 1], [5, 1]]), np.eye(3, dtype=bool)
        >>> V = separating_weights(A, support, 1.0)
        >>> (margins(A, support, V) > 0).tolist()
        [[False, True, True], [True, False, True], [True, True, False]]
        >>> separating_weights(np.array([[0], [1], [2]]), np.array([[1, 0], [0, 1], [1, 0]], bool), 1.0) is None
        True
    """
    end = time.perf_counter() + seconds
    classes = support.shape[1]
    if not A.size or classes < 2 or not (support.sum(axis=1) == 1).all():
        return None
    B, columns = _standardised(A)
    if not B.shape[1]:
        return None
    labels = support.argmax(axis=1)
    fit = hinge_separator(B, labels, classes, end - time.perf_counter())
    if not fit.least > 0:
        return None
    return _coarsest(A, support, B, columns, _unscaled(fit.U.T.astype(np.float64), columns))


def _standardised(A: np.ndarray) -> tuple[np.ndarray, _Columns]:
    """The columns of A with mean 0 (where there is an intercept) and mean square 1, in floats, and how they came so."""
    top, bottom = ([int(a) for a in extreme] for extreme in (A.max(axis=0), A.min(axis=0)))
    constant = [d for d, (a, b) in enumerate(zip(top, bottom, strict=True)) if a == b != 0]
    ones = constant[0] if constant else -1
    middle = [_round_middle(a, b) if constant else 0 for a, b in zip(top, bottom, strict=True)]
    bits = [max(abs(a - m), abs(b - m)).bit_length() for a, b, m in zip(top, bottom, middle, strict=True)]
    used = np.array([d for d, b in enumerate(bits) if b], dtype=np.int64)
    columns = _Columns(used, ones, middle, bits, np.zeros(len(used)), np.ones(len(used)))
    B = np.empty((len(A), len(used) + bool(constant)), np.float64 if A.size <= _DOUBLE_ENTRIES else np.float32)
    total, squares = np.zeros(len(used)), np.zeros(len(used))
    shift = np.array([middle[d] for d in used], dtype=A.dtype)
    unit = np.array([1 << bits[d] for d in used], dtype=object) if A.dtype == object else None
    factor = np.ones(len(used)) if unit is not None else np.ldexp(1.0, -np.array(bits)[used])
    every = len(used) == A.shape[1]
    rows = max(_BLOCK // A.shape[1], 1)
    for start in range(0, len(A), rows):
        part = slice(start, start + rows)
        moved = (A[part] if every else A[part][:, used]) - shift
        # int / int is rounded once, however many digits they have.
        block = (moved / unit).astype(np.float64) if unit is not None else moved * factor
        B[part, : len(used)] = block
        total += block.sum(axis=0)
        squares += np.einsum("nd,nd->d", block, block)
    mean = total / len(A) if constant else columns.mean
    size = np.sqrt(np.maximum(squares / len(A) - mean**2, np.finfo(np.float64).tiny))
    inner = B[:, : len(used)]
    inner -= mean.astype(B.dtype)
    inner *= (1 / size).astype(B.dtype)
    B[:, len(used) :] = 1
    return B, columns._replace(mean=mean, size=size)


def _round_middle(top: int, bottom: int) -> int:
    """(top + bottom) / 2 to an eighth of the range, an integer of few digits: the bias has to hold its multiples."""
    places = max((top - bottom).bit_length() - 2, 0)
    return (top + bottom + (1 << places)) >> (places + 1) << places


def _unscaled(U: np.ndarray, columns: _Columns) -> np.ndarray:
    """The weights (k, C) of (A_d − middle_d) / 2^bits_d, and in a last row (zeros without an intercept) those of 1."""
    weights = U[: len(columns.used)] / columns.size[:, None]
    bias = U[len(columns.used) :].sum(axis=0, keepdims=True) - columns.mean @ weights
    return np.vstack([weights, bias if columns.ones >= 0 else 0 * bias])


def _coarsest(
    A: np.ndarray, support: np.ndarray, B: np.ndarray, columns: _Columns, weights: np.ndarray
) -> np.ndarray | None:
    """V on the first of ever finer grids, 2⁻ᵇ for the columns' multiples in [−1, 1], whose exact margins are positive.

    The bias is rounded last, after the mean effect of the other roundings: what is left of them is of the size of the
    columns' deviations.
    """
    k, labels = len(columns.used), support.argmax(axis=1)
    largest = math.frexp(float(np.abs(weights).max()))[1]
    for bits in range(1 - largest, _GRID_BITS - largest + 1):
        grid = np.rint(np.ldexp(weights, bits))
        if columns.ones >= 0:
            grid[k] = np.rint(np.ldexp(weights[k], bits) + columns.mean @ (np.ldexp(weights[:k], bits) - grid[:k]))
        U = grid[:k] * columns.size[:, None]
        if columns.ones >= 0:
            U = np.vstack([U, grid[k] + columns.mean @ grid[:k]])
        Z = B @ np.ldexp(U, -bits).astype(B.dtype)
        own = Z[np.arange(len(Z)), labels]
        Z[support] = -np.inf
        if not (own > Z.max(axis=1)).all():
            continue
        V = _integers(grid, columns, A)
        found = margins(A, support, V)
        if found is not None and (found[~support] > 0).all():
            return V
    return None


def _integers(grid: np.ndarray, columns: _Columns, A: np.ndarray) -> np.ndarray:
    """The exact weights (C, K) of A of the whole numbers `grid` (k + 1, C) over the columns' units, times a positive.

    Σ_d g_d (A_d − m_d) / 2^{b_d} + g is multiplied by 2^max b and by |A_ones|, the constant that carries Σ g_d m_d.
    A column's weights may be shifted by a common amount, which moves no margin: their most frequent value becomes 0.
    """
    k, ones = len(columns.used), columns.ones
    whole = grid.astype(np.int64).astype(object)
    finest = max((columns.bits[d] for i, d in enumerate(columns.used) if grid[i].any()), default=0)
    constant = int(A[0, ones]) if ones >= 0 else 1
    V = np.zeros((grid.shape[1], A.shape[1]), dtype=object)
    bias = whole[k] << finest
    for i, d in enumerate(columns.used):
        if grid[i].any():
            column = whole[i] << (finest - columns.bits[d])
            counts = (column[:, None] == column[None, :]).sum(axis=0)
            column = column - column[counts.argmax()]
            V[:, d] = column * abs(constant)
            bias = bias - column * columns.middle[d]
    if ones >= 0:
        bias = bias - bias[(bias[:, None] == bias[None, :]).sum(axis=0).argmax()]
        V[:, ones] = bias if constant > 0 else -bias
    divisor = math.gcd(*(int(v) for v in V.ravel() if v))
    return as_smallest(V // divisor if divisor > 1 else V)
