"""One linear program decides whether a minimiser exists (S11): HiGHS proposes, exact integers confirm."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest, integer_product
from jaxsoftmax.proof.exact.rational import pivot_columns, unit_columns
from jaxsoftmax.proof.exact.witness import Multipliers, margins
from jaxsoftmax.proof.overlap.multipliers import exact_multipliers
from jaxsoftmax.proof.separation.direction_rounding import coprime_entries, exact_direction, relative_margins
from jaxsoftmax.proof.separation.recession_program import solve_program

__all__ = ["Recession", "solve_recession"]

_LARGEST = 2**21  # (C − 1) K², entries of the program for each pair and weight: beyond, it takes hours
_ROUNDS = 6  # of the program, each on the pairs that no direction found so far separates


class Recession(NamedTuple):
    """A recession direction, multipliers on the pairs that it does not separate, and the pairs that it does."""

    V: np.ndarray | None  # (C, K) integers
    G: Multipliers | None
    separated: np.ndarray  # (n, C) bool


def solve_recession(A: np.ndarray, support: np.ndarray, seconds: float) -> Recession:
    """A direction that separates every pair that any recession direction separates, and multipliers on the rest (S11).

    The program is solved in its dual form, minimise Σ μ subject to Σ (ν − μ + 1) over pairs of (e_i − e_j) ⊗ a_n = 0,
    0 ≤ μ ≤ 1, ν ≥ 0: its multipliers are the direction, λ = 1 + ν − μ the family G. It has as many equations as there
    are weights. The direction is then rounded within the exact null space of the equations that pairs of margin 0 and
    supports set; pairs that come out separated are dropped, and the program is solved again on the others until none of
    them separates, when `exact_multipliers` completes G. Nothing that is returned depends on the solver's accuracy.

    Args:
        A: (n, K) integers, int64 or Python integers, of any rank.
        support: (n, C) bool, at least one in each row.
        seconds: time limit.

    Returns:
        V with exact margins > 0 exactly on `separated` (None where nothing separates or rounding failed), and G,
        exact, > 0 on all other pairs and 0 on `separated` (None where rounding failed, time ran out, or the program
        would be too large: (C − 1) K² above two million).

    Raises:
        ImportError: python-flint is not installed.
        ArithmeticError: the exact check of the direction failed (a fault of this library, never of the data).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.linear_program import solve_recession
        >>> A = np.array([[0, 1], [1, 1], [1, 1], [2, 1]])
        >>> support = np.array([[True, False], [True, False], [False, True], [False, True]])
        >>> found = solve_recession(A, support, 10.0)
        >>> found.separated.tolist()
        [[False, True], [False, False], [False, False], [True, False]]
        >>> found.V.tolist(), found.G.blocks[0].rows.tolist()
        ([[-1, 1], [0, 0]], [1, 2])
    """
    end = time.monotonic() + seconds
    unknown = np.zeros(support.shape, bool)
    if (support.shape[1] - 1) * A.shape[1] ** 2 > _LARGEST:
        return Recession(None, None, unknown)
    columns = pivot_columns(A)
    rows, copies = _distinct(A[:, columns], support)
    reduced, reduced_support = A[rows][:, columns], support[rows]
    direction, G = _directions(reduced, reduced_support, end)
    V = None
    rest = unknown
    if direction is not None:
        V = np.zeros((support.shape[1], A.shape[1]), direction.dtype)
        V[:, columns] = direction
        exact = margins(A, support, V)
        if exact is None:
            raise ArithmeticError("a direction was rounded to one that is not a recession direction: please report it.")
        rest = exact > 0
    if G is None:
        return Recession(V, None, rest)
    # A row that occurs several times shares its multipliers among the copies.
    shared = G[copies] / np.bincount(copies)[copies, None]
    return Recession(V, exact_multipliers(A, support, ~(support | rest), shared), rest)


def _distinct(A: np.ndarray, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First index of each distinct row of (A, support), and for every row the number of its like among those."""
    numbers: dict[tuple, int] = {}
    firsts, copies = [], np.empty(len(A), np.int64)
    for n, key in enumerate(zip(map(tuple, A.tolist()), map(bytes, support), strict=True)):
        copies[n] = numbers.setdefault(key, len(firsts))
        if copies[n] == len(firsts):
            firsts.append(n)
    return np.array(firsts, np.int64), copies


def _directions(A: np.ndarray, support: np.ndarray, end: float) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The direction found in exact integers, and float multipliers on the pairs that it does not separate."""
    moved, change = _centred(A)
    V: np.ndarray | None = None
    separated = np.zeros(support.shape, bool)
    G: np.ndarray | None = None
    for _ in range(_ROUNDS):
        pairs = ~(support | separated)
        solved = solve_program(unit_columns(moved)[0], support, pairs, end)
        if solved is None:
            break
        step, G = exact_direction(moved, support, pairs, solved[0]), solved[1]
        if step is None:  # nothing separates any more, or the program's answer cannot be rounded
            break
        V = step if V is None else _joined(moved, support, V, step, separated)
        separated = relative_margins(moved, support, V) > 0
        G = None
    if V is None:
        return None, G
    return _sparse(integer_product(V, change.T)), G


def _centred(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A with large offsets of its columns removed by a column of ones, where there is one: A S, and S."""
    K = A.shape[1]
    change = np.eye(K, dtype=A.dtype)
    ones = np.flatnonzero((A == 1).all(axis=0))
    if len(A) and len(ones):
        low, high = A.min(axis=0), A.max(axis=0)
        middle = low + (high - low) // 2
        offset = (abs(middle) > 4 * (high - low)) & (np.arange(K) != ones[0])
        change[ones[0], offset] = -middle[offset]
    return A + A[:, ones[:1]] * change[ones[0]] * (np.arange(K) != ones[0]) if len(ones) else A, change


def _joined(A: np.ndarray, support: np.ndarray, V: np.ndarray, step: np.ndarray, separated: np.ndarray) -> np.ndarray:
    """t V + step for the least t > 0 that keeps every pair of V separated: both directions in one."""
    old = relative_margins(A, support, V)[separated].astype(object)
    new = relative_margins(A, support, step)[separated].astype(object)
    times = max([1, *(int(-b // a) + 1 for a, b in zip(old, new, strict=True) if b < 0)])
    return as_smallest(V.astype(object) * times + step.astype(object))


def _sparse(V: np.ndarray) -> np.ndarray:
    """V in the gauge where each column's most frequent value is 0: the logits' differences do not change."""
    shift = [max(column, key=lambda v, column=column: (column.count(v), v == 0)) for column in V.T.tolist()]
    return coprime_entries(as_smallest(V.astype(object) - np.array(shift, dtype=object)))
