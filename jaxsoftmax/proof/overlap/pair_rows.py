"""Rows of two classes that can take part in a common point of their hulls, and nested subsets with fewer columns.

Guarded by `tests/proof/overlap/test_pair.py`.
"""

from __future__ import annotations

import numpy as np

__all__ = ["faced", "peeled"]

_SAMPLE = 1001


def faced(A: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns left when every facet seen by a single column has been used (S12 for two classes).

    Let λ >= 0 with Σ_{first} λ_n x_n = Σ_{others} λ_n x_n. Where a column is a non-zero constant, the λ of the two
    classes have the same sum; so if x_f >= θ on one class and x_f <= θ on the other, λ_n = 0 wherever x_f ≠ θ. Without
    one the same holds for θ = 0. Those rows leave, then columns that no longer vary (one non-zero constant stays), and
    the look is repeated.

    Args:
        A: (n, K) integers.
        first: (n,) bool: rows of the first class.

    Returns:
        Indices of the rows and columns left; no rows where all λ are 0.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.pair_rows import faced
        >>> A = np.array([[0, 5, 1], [2, 6, 1], [0, 6, 1], [0, 4, 1]])
        >>> [part.tolist() for part in faced(A, np.array([True, True, False, False]))]
        [[0, 2, 3], [1, 2]]
    """
    rows, columns = np.arange(len(A)), np.arange(A.shape[1])
    while len(rows):
        side = first[rows]
        B = A[np.ix_(rows, columns)]
        lowest, highest = B.min(axis=0), B.max(axis=0)
        varying = lowest != highest
        constant = np.flatnonzero(~varying & (lowest != 0))
        if len(constant):
            if side.all() or not side.any():
                return rows[:0], columns[:0]
            low, high = B[side].min(axis=0), B[side].max(axis=0)
            low_other, high_other = B[~side].min(axis=0), B[~side].max(axis=0)
            extreme = ((low >= high_other) | (high <= low_other)) & varying
            level = np.where(low >= high_other, high_other, low_other)
        else:
            signed = np.where(side[:, None], B, -B)
            extreme = ((signed.min(axis=0) >= 0) | (signed.max(axis=0) <= 0)) & varying
            level = np.zeros_like(lowest)
        kept = (B[:, extreme] == level[extreme]).all(axis=1)
        varying[constant[:1]] = True
        columns = columns[varying]
        if kept.all() and varying.all():
            return rows, columns
        rows = rows[kept]
    return rows, columns[:0]


def peeled(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nested sets of rows on which fewer and fewer columns vary.

    Again and again the column in which fewest of the remaining rows differ from its commonest value is made constant:
    those rows leave. For images these are the pixels at the border.

    Args:
        A: (n, K) integers.

    Returns:
        leaves (n,): the stage (from 1) at which a row leaves, one more than the last for rows that stay; and the
        number of columns with other values left after each stage, from stage 0, where all rows are there.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.pair_rows import peeled
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
