"""Two classes that no direction separates completely, proved by a point common to their hulls (S10, Gordan; S12)."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.float_basis import scaled_columns
from jaxsoftmax.proof.exact.witness import Block, Multipliers, is_stationary, signs
from jaxsoftmax.proof.overlap.face_fit import fit_face
from jaxsoftmax.proof.overlap.kernel_vector import KernelVector, exact_kernel_vector
from jaxsoftmax.proof.overlap.pair_rows import faced, peeled

__all__ = ["overlapping_pair"]

_SAMPLE = 10_000  # rows for the fit that says which classes are confused
_RIDGE = 1e-3
_NOTHING = 1e-9  # multipliers below this part of the largest do not count
_FEWER = 0.6  # the part of the columns that the first attempt leaves


def overlapping_pair(
    A: np.ndarray, support: np.ndarray, seconds: float = np.inf, *, pairs: int | None = None
) -> Multipliers | None:
    """Multipliers on the rows of two classes that refute complete separation of one-hot data (S10, Gordan variant).

    If Σ_{class a} λ_n x_n = Σ_{class b} λ_n x_n with λ >= 0, not all 0, then G_na = −G_nb = ∓λ_n has AᵀG = 0, and every
    pair with λ_n > 0 has margin 0 under every recession direction. Pairs of classes are tried in the order of how
    often a linear fit confuses them. Of each, rows that a facet (S12) keeps from taking part leave, the two-class loss
    is minimised, and its residual, which is such a λ up to rounding, is put right in exact arithmetic.

    A multiplier's denominator grows with the number of columns that vary. So the certificate is sought on the rows
    that have the commonest value in the columns that vary least: any rows will do, and fewer columns vary among them.

    Args:
        A: (n, K) integers.
        support: (n, C) bool with one class a row.
        seconds: give up after about this time.
        pairs: try so many pairs of classes, the most confused ones; None: all.

    Returns:
        Multipliers, verified exactly: >= 0 on every pair, > 0 on at least one. None when no pair was found in time.

    Raises:
        ValueError: if a row's support is not one class.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.pair import overlapping_pair
        >>> A = np.array([[0, 1], [2, 1], [1, 1], [3, 1]])
        >>> G = overlapping_pair(A, np.eye(2, dtype=bool)[[0, 0, 1, 1]])
        >>> overlapping_pair(A, np.eye(2, dtype=bool)[[0, 1, 1, 1]]) is None, len(G.blocks) > 0
        (True, True)
    """
    if not (support.sum(axis=1) == 1).all():
        raise ValueError("support: a row has several classes, or none; overlapping_pair is for one-hot targets.")
    end = time.perf_counter() + seconds
    codes = support.argmax(axis=1)
    for a, b in _by_confusion(A, codes, support.shape[1])[:pairs]:
        left = end - time.perf_counter()
        if left <= 0:
            return None
        rows = np.flatnonzero((codes == a) | (codes == b))
        found = _certificate(A[rows], codes[rows] == a, left)
        if found is None:
            continue
        G = Multipliers(tuple(_two_columns(part, rows, a, b, support.shape[1]) for part in found))
        positive = signs(G, *support.shape)
        positive[support] = 0
        if (positive >= 0).all() and positive.any() and is_stationary(A, G):
            return G
    return None


def _by_confusion(A: np.ndarray, codes: np.ndarray, C: int) -> list[tuple[int, int]]:
    """Pairs of classes, those first between which a least-squares fit of a sample misjudges most rows."""
    counts = np.bincount(codes, minlength=C)
    pairs = [(a, b) for a in range(C) for b in range(a + 1, C) if counts[a] and counts[b]]
    if not counts.all() and not ((A == A[0]) & (A[0] != 0)).all(axis=0).any():
        # Without a constant column 0 may be in the hull of one class: against any absent class.
        absent = int(counts.argmin())
        pairs += [(min(a, absent), max(a, absent)) for a in range(C) if counts[a]]
    if len(pairs) < 2:
        return pairs
    sample = np.arange(0, len(A), -(-len(A) // _SAMPLE))
    X, _, _, _ = scaled_columns(A[sample])
    targets = np.eye(C)[codes[sample]]
    gram = X.T @ X
    gram[np.diag_indices_from(gram)] += _RIDGE * len(sample)
    scores = X @ np.linalg.solve(gram, X.T @ targets)
    own = np.take_along_axis(scores, codes[sample][:, None], axis=1)
    misjudged = targets.T @ (scores >= own)  # [a, b]: rows of a that look at least as much like b
    return sorted(pairs, key=lambda pair: -(misjudged[pair] + misjudged[pair[::-1]]))


class _Overlap(NamedTuple):
    rows: np.ndarray
    columns: np.ndarray
    h: np.ndarray  # signed multipliers of the rows, approximately


def _certificate(A: np.ndarray, first: np.ndarray, seconds: float) -> list[KernelVector] | None:
    """Exact signed multipliers of rows of two classes, + on the first one's; None where none is found."""
    end = time.perf_counter() + seconds
    leaves, columns = peeled(A)  # the stage at which a row leaves; columns that vary after each stage
    fewer = int(np.argmin(np.abs(columns - _FEWER * columns[0])))
    for stage in (fewer, 0) if fewer else (0,):
        overlap = _overlap(A, first, np.flatnonzero(leaves > stage), end)
        found = overlap and exact_kernel_vector(A[np.ix_(overlap.rows, overlap.columns)], overlap.h)
        if overlap and found:
            return [part._replace(rows=overlap.rows[part.rows]) for part in found]
    return None


def _overlap(A: np.ndarray, first: np.ndarray, rows: np.ndarray, end: float) -> _Overlap | None:
    """Approximate multipliers on some of these rows; None where the two classes come apart on them."""
    while True:
        inner, columns = faced(A[rows], first[rows])
        rows = rows[inner]
        if not len(rows):
            return None
        support = np.stack([first[rows], ~first[rows]], axis=1)
        part = A[np.ix_(rows, columns)]
        fit = fit_face(part, support, support * 1.0, np.ones(len(rows)), ~support, end - time.perf_counter())
        h = fit.residual[:, 1]
        if fit.converged:
            return _Overlap(rows, columns, np.where(np.abs(h) > _NOTHING * np.abs(h).max(), h, 0.0))
        if not fit.diverging:
            return None
        # What is left of the rows that the fit drives apart is noise; the other ones may overlap.
        Z = part @ (fit.W[0] - fit.W[1])
        kept = np.abs(h) > _NOTHING * np.abs(h).max()
        if kept.all() or (np.where(first[rows], Z, -Z) > 0).all():
            return None
        rows = rows[kept]


def _two_columns(part: KernelVector, rows: np.ndarray, a: int, b: int, C: int) -> Block:
    values = np.zeros((len(part.rows), C), part.numerators.dtype)
    values[:, a], values[:, b] = -part.numerators, part.numerators
    return Block(part.denominator, rows[part.rows], values)
