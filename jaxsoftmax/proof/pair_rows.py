"""Rows of two classes that can take part in a common point of their hulls, and nested subsets with fewer columns."""

from __future__ import annotations

import numpy as np

__all__ = ["faced", "peeled"]

_SAMPLE = 1001


def faced(A: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns left when every facet seen by a single column has been used (S12 for two classes).

    Let λ >= 0 with Σ_{first} λ_n x_n = Σ_{others} λ_n x_n. If x_f >= θ on the first class and x_f <= θ on the other, or
    the reverse, and the rows of a constant column sum alike, then λ_n = 0 wherever x_f ≠ θ: those rows leave, columns
    that no longer vary leave (one non-zero constant stays), and the look is repeated. Without a constant column θ must
    be 0.

    Args:
        A: (n, K) integers.
        first: (n,) bool: rows of the first class.

    Returns:
        Indices of the rows and columns left; no rows where one class has none left.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.pair_rows import faced
        >>> A = np.array([[0, 5, 1], [2, 6, 1], [0, 6, 1], [0, 4, 1]])
        >>> [part.tolist() for part in faced(A, np.array([True, True, False, False]))]
        [[0, 2, 3], [1, 2]]
    """
    rows, columns = np.arange(len(A)), np.arange(A.shape[1])
    while True:
        side = first[rows]
        if side.all() or not side.any():
            return rows[:0], columns[:0]
        B = A[np.ix_(rows, columns)]
        low, high = (getattr(B[side], name)(axis=0) for name in ("min", "max"))
        low_other, high_other = (getattr(B[~side], name)(axis=0) for name in ("min", "max"))
        fixed = (low == high) & (low_other == high_other) & (low == low_other)
        constant = np.flatnonzero(fixed & (low != 0))
        varying = ~fixed
        above, below = (low >= high_other) & varying, (high <= low_other) & varying
        if not len(constant):  # sums of λ may differ: only θ = 0 between the two sides says something
            above &= (low >= 0) & (high_other <= 0)
            below &= (high <= 0) & (low_other >= 0)
            level = np.zeros_like(low)
        else:
            level = np.where(above, high_other, low_other)  # rows beyond it have multiplier 0
        kept = np.ones(len(rows), bool)
        extreme = np.flatnonzero(above | below)
        if len(extreme):
            part = B[:, extreme]
            kept = (part == level[extreme]).all(axis=1)
            # Where the sides do not touch the first class has rows at the level of the other only if they are equal.
        varying[constant[:1]] = True
        columns = columns[varying]
        if kept.all() and varying.all():
            return rows, columns
        rows = rows[kept]


def peeled(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nested sets of rows on which fewer and fewer columns vary.

    Again and again the column in which fewest of the remaining rows differ from its commonest value is made constant:
    those rows leave. For images these are the pixels at the border.

    Args:
        A: (n, K) integers.

    Returns:
        leaves (n,): the stage (from 1) at which a row leaves, one more than the last for rows that stay; and the
        number of columns that vary after each stage, from stage 0, where all rows are there.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.pair_rows import peeled
        >>> leaves, columns = peeled(np.array([[0, 1], [0, 2], [3, 1], [0, 2], [0, 2]]))
        >>> leaves.tolist(), columns.tolist()
        ([2, 3, 1, 3, 3], [2, 1, 0])
    """
    sample = A[:: max(1, len(A) // _SAMPLE)]
    common = np.sort(sample, axis=0)[len(sample) // 2]  # the median is the commonest value where that has a majority
    differs = (A != common).astype(bool)
    counts = differs.sum(axis=0)
    leaves, alive = np.zeros(len(A), np.int64), np.ones(len(A), bool)
    columns = [int((counts > 0).sum())]
    while columns[-1]:
        column = np.where(counts > 0, counts, len(A) + 1).argmin()
        gone = np.flatnonzero(alive & differs[:, column])
        alive[gone] = False
        leaves[gone] = len(columns)
        counts = counts - differs[gone].sum(axis=0)
        columns.append(int((counts > 0).sum()))
    leaves[alive] = len(columns)
    return leaves, np.array(columns)
