"""From approximate multipliers, the residual of a fit, to exact ones: the correction of S10."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest, integer_product
from jaxsoftmax.proof.exact.rational import independent_rows, orthonormal_columns, pivot_columns, solve_exactly
from jaxsoftmax.proof.exact.witness import Block, Multipliers, is_stationary, signs

__all__ = ["exact_multipliers"]

# Scales of the rounding, bits of the largest entry, each with a number of sweeps that lift and spread: most fits need
# one; a rough one may need more.
_SCALES = [(bits, 1) for bits in (0, 2, 4, 6, 8, 10, 12, 15, 19, 24, 32, 48)] + [(bits, 8) for bits in (4, 10, 18, 30)]
_LARGEST_COUPLED = 2**24  # entries of the matrix of a coupled system
_LARGEST_VALUE = 2.0**62  # of a rounded entry, an int64
_WEIGHT_FLOOR = 2.0**-30  # of a row, relative to the largest: the scaled matrix stays of full rank in floating point


def exact_multipliers(A: np.ndarray, support: np.ndarray, positive: np.ndarray, G: np.ndarray) -> Multipliers | None:
    """Integers over common denominators with G **1** = 0, AᵀG = 0 and G > 0 on the given pairs, from a float G (S10).

    G is rounded to integers at a scale, the pairs to at least 1, and on a basis of rows B the rational Δ with
    (A + 0)ᵀ-residual zero is added: A_BFᵀ Δ = −A_Fᵀ G, F a set of independent columns. B is chosen where the positive
    entries of G are large; positivity is checked again there. Coarse scales come first, so that the integers are small.

    Classes that share a row on which both may be non-zero form groups, and each group is corrected by itself. Where
    some rows allow only a part of a group, the unknowns are single edges λ (e_j − e_i) ⊗ a_n instead of rows.

    Args:
        A: (n, K) integers, int64 or Python integers, of any rank.
        support: (n, C) bool, at least one in each row; G is free there.
        positive: (n, C) bool, pairs where G must be > 0; elsewhere off the support it must be 0.
        G: (n, C) floats, approximately stationary, > 0 on `positive` or nearly so.

    Returns:
        The multipliers, verified exactly; None when no scale gave any.

    Raises:
        ImportError: python-flint is not installed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.multipliers import exact_multipliers
        >>> from jaxsoftmax.proof.exact.witness import is_stationary
        >>> A = np.array([[1], [1], [1]])
        >>> support = np.array([[True, False], [True, False], [False, True]])
        >>> found = exact_multipliers(A, support, ~support, np.array([[-0.3, 0.3], [-0.4, 0.4], [0.7, -0.7]]))
        >>> is_stationary(A, found)
        True
    """
    n, C = support.shape
    allowed = support | positive
    G = np.where(allowed, G, 0.0)
    if not np.isfinite(G).all():
        return None
    base, blocks = np.zeros((n, C), np.int64), []
    for classes, rows in _groups(allowed):
        within = np.ix_(rows, classes)
        correct = _correct_rows if allowed[within].all() else _correct_edges
        part = correct(A[rows], support[within], positive[within], G[within])
        if part is None:
            return None
        base[within] = part.base
        touched = rows[part.touched]
        if part.denominator == 1 and part.values.dtype == np.int64:
            base[np.ix_(touched, classes)] = part.values
            continue
        base[touched] = 0
        values = np.zeros((len(touched), C), part.values.dtype)
        values[:, classes] = part.values
        blocks.append(Block(part.denominator, touched, values))
    plain = np.flatnonzero(base.any(axis=1))
    blocks = [Block(1, plain, base[plain]), *blocks]
    found = Multipliers(tuple(block for block in blocks if len(block.rows)))
    sign = signs(found, n, C)
    if (sign[positive] <= 0).any() or sign[~allowed].any() or not is_stationary(A, found):
        return None
    return found


def _groups(allowed: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Classes linked by rows that allow both, and those rows; rows that allow a single class have G = 0."""
    several = allowed.sum(axis=1) >= 2
    links = allowed[several].astype(np.float64)
    reach = (links.T @ links > 0) | np.eye(allowed.shape[1], dtype=bool)
    while True:  # squaring: paths of twice the length
        further = reach.astype(np.float64) @ reach > 0
        if (further == reach).all():
            break
        reach = further
    found = []
    for first in np.flatnonzero(reach.argmax(axis=1) == np.arange(len(reach))):
        classes = np.flatnonzero(reach[first])
        rows = np.flatnonzero(several & allowed[:, classes].any(axis=1))
        if len(rows):
            found.append((classes, rows))
    return found


class _Part(NamedTuple):
    """Integers `base` (r, c), and on the rows `touched` the final values over a denominator instead."""

    base: np.ndarray
    touched: np.ndarray
    values: np.ndarray
    denominator: int


def _anchors(support: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Of each row the class of the support that takes what the others leave: the one of largest magnitude."""
    return np.where(support, abs(G), -1.0).argmax(axis=1)


def _correct_rows(A: np.ndarray, support: np.ndarray, positive: np.ndarray, G: np.ndarray) -> _Part | None:
    """Every class of the group is allowed on every row: one system for all classes, Δ **1** = 0 by itself."""
    every, anchors = np.arange(len(G)), _anchors(support, G)

    def close(values: np.ndarray) -> np.ndarray:
        values[every, anchors] -= values.sum(axis=1)
        return values

    found = _corrected(A, positive, G, close)
    return None if found is None else _Part(*found)


def _correct_edges(A: np.ndarray, support: np.ndarray, positive: np.ndarray, G: np.ndarray) -> _Part | None:
    """The coupled system: one unknown for each allowed class of a row other than its anchor."""
    A = A[:, pivot_columns(A)]
    K, c = A.shape[1], G.shape[1]
    anchors = _anchors(support, G)
    edges = support | positive
    edges[np.arange(len(G)), anchors] = False
    rows, classes = np.nonzero(edges)
    if len(rows) * K * c > _LARGEST_COUPLED:
        return None
    M = np.zeros((len(rows), c, K), A.dtype)
    M[np.arange(len(rows)), classes] = A[rows]
    M[np.arange(len(rows)), anchors[rows]] = -A[rows]
    M = M[:, :-1].reshape(len(rows), -1)  # the columns of one class follow from the others
    found = _corrected(M, positive[edges][:, None], G[edges][:, None], lambda values: values)
    if found is None:
        return None
    values, basis, exact, q = found
    touched = np.unique(rows[basis])
    base = _as_family(rows, classes, anchors, values[:, 0], G.shape)
    numerators = base[touched].astype(object) * q
    change = exact[:, 0].astype(object) - values[basis, 0].astype(object) * q
    numerators += _as_family(rows[basis], classes[basis], anchors, change, G.shape)[touched]
    return _Part(base, touched, as_smallest(numerators), q)


def _as_family(
    rows: np.ndarray, classes: np.ndarray, anchors: np.ndarray, values: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    family = np.zeros(shape, values.dtype)
    family[rows, classes] = values
    np.subtract.at(family, (rows, anchors[rows]), values)
    return family


def _corrected(
    A: np.ndarray, positive: np.ndarray, X: np.ndarray, close: Callable[[np.ndarray], np.ndarray]
) -> _Part | None:
    """Integers near a multiple of X, with the exact values over q on basis rows that make Aᵀ X = 0; > 0 on `positive`.

    `close` restores what every row must satisfy (its sum) after entries were rounded.
    """
    A = A[:, pivot_columns(A)]
    weights = _weights(positive, X)
    Q = orthonormal_columns(A, weights)
    basis = independent_rows(A, Q)
    W = weights[:, None]
    largest = abs(X).max(initial=0.0)
    start = -np.frexp(largest)[1] if largest > 0 else 0
    for bits, sweeps in _SCALES:
        step = 2.0 ** float(-(start + bits))
        spread = X
        for _ in range(sweeps):
            lifted = close(np.where(positive, np.maximum(spread, step), spread))
            # The weighted projection spreads over all rows what the lifted entries and the inexact fit leave.
            spread = lifted - W * (Q @ (Q.T @ (lifted / W)))
        if not (abs(spread) < _LARGEST_VALUE * step).all():  # columns that floats take for dependent: Q is noise
            continue
        values = np.rint(spread / step).astype(np.int64)
        values = close(np.where(positive, np.maximum(values, 1), values))
        try:
            change = -W[basis] * np.linalg.solve(Q[basis].T, Q.T @ (values / W))
        except np.linalg.LinAlgError:
            return None
        if bits < 48 and (values[basis] + change <= 0)[positive[basis]].any():
            continue
        solved = solve_exactly(A[basis].T, -integer_product(A.T, values))
        assert solved is not None  # a square non-singular system
        numerators, q = solved
        exact = values[basis].astype(object) * q + numerators.astype(object)
        if (exact[positive[basis]] > 0).all():
            return _Part(values, basis, as_smallest(exact), q)
    return None


def _weights(positive: np.ndarray, X: np.ndarray) -> np.ndarray:
    """How much a row can change: its least positive entry; rows without any may change most of all."""
    least = np.where(positive, X, np.inf).min(axis=1)
    largest = max(abs(X).max(initial=0.0), np.finfo(np.float64).tiny)
    return np.clip(np.where(np.isfinite(least), least, 4 * largest) / largest, _WEIGHT_FLOOR, 4.0)
