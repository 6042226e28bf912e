"""The Gram matrix of the data, once a problem: what rank, null space, scales and S19's matrix are decided from.

G = Σ_n s_n u_n u_nᵀ in features u = x/σ divided by powers of two, summed over blocks of rows in float64: X is read
twice and never copied. Working with G squares the condition number: `error_bound` says what its entries may have lost,
and who asks more of them than that goes back to the rows.

Guarded by `tests/calculus/loss/test_moments.py`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jaxsoftmax.problem.arrays import block_rows, float64_blocks
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import require_concrete

UNIT_ROUNDOFF = float(np.finfo(np.float64).eps) / 2


class Moments(NamedTuple):
    """Second moments of the samples that take part (s_n > 0), float64.

    Attributes:
        scale: (D,) powers of two near the weighted root mean square of each column; 1 for a column of zeros.
        gram: (D, D) Σ_n s_n u uᵀ, u = x/scale.
        plain: (D, D) the same with each sample counted once.
        error_bound: ‖gram computed − gram‖₂ <= this times its trace; the same for `plain`.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.calculus.loss.moments import moments
        >>> found = moments(js.Problem(np.float32([[3.0], [4.0], [5.0]]), np.eye(3, dtype="float32")))
        >>> found.scale.tolist(), found.gram.tolist()
        ([4.0], [[3.125]])
    """

    scale: np.ndarray
    gram: np.ndarray
    plain: np.ndarray
    error_bound: float


_KNOWN: weakref.WeakKeyDictionary[Problem, Moments] = weakref.WeakKeyDictionary()


class Rows(NamedTuple):
    """The samples that take part: `live` of them, with float64 blocks (rows, weights) that are the caller's to change.

    `top()` is max |x| of each column (D,). `blocks()` starts anew each time; no block has more than `longest` rows.
    """

    live: int
    weights: np.ndarray
    top: Callable[[], np.ndarray]
    longest: int
    blocks: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]

    def times(self, scale: np.ndarray, V: np.ndarray) -> np.ndarray:
        """(X/scale) V, (live, k)."""
        if not V.shape[1]:
            return np.zeros((self.live, 0))
        return np.concatenate([(block / scale) @ V for block, _ in self.blocks()])

    def transposed_times(self, scale: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """(X/scale)ᵀ Z, (D, k), for Z (live, k)."""
        total, start = np.zeros((len(scale), Z.shape[1])), 0
        if not Z.shape[1]:
            return total
        for block, _ in self.blocks():
            total += (block / scale).T @ Z[start : start + len(block)]
            start += len(block)
        return total


def rows_of(problem: Problem) -> Rows:
    """The samples of a concrete problem that take part."""
    X, s = np.asarray(problem.X), np.asarray(problem.sample_weight, np.float64)
    live = s > 0

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows, block in float64_blocks(X):
            yield (block, s[rows]) if live[rows].all() else (block[live[rows]], s[rows][live[rows]])

    top = lambda: _largest(X if live.all() else X[live])  # noqa: E731
    return Rows(int(live.sum()), s[live], top, block_rows(X.shape[1]), blocks)


def moments(problem: Problem, rows: Rows | None = None) -> Moments:
    """The moments of a concrete problem; computed once and kept as long as the problem lives.

    `rows` stand for the problem's own where these are not held in memory at once.

    Raises:
        TypeError: if called on a traced problem.
        ValueError: X holds NaN or infinities, which only `replace` lets in.
    """
    found = _KNOWN.get(problem)
    if found is None:
        require_concrete(problem)
        found = _KNOWN[problem] = _moments(rows_of(problem) if rows is None else rows)
    return found


def same_samples(problem: Problem, other: Problem) -> None:
    """Let `problem` have the moments of `other`, whose samples are the same numbers."""
    _KNOWN[problem] = moments(other)


def _moments(rows: Rows) -> Moments:
    top, s = rows.top(), rows.weights
    if not np.isfinite(top).all():
        raise WrongValue("problem", "its X holds NaN or infinite entries", "give finite ones")
    # A column below 2⁻¹⁰⁰⁰ counts as one of zeros: no weight that a double holds would make it matter.
    D, top = len(top), np.where(np.frexp(top)[1] < -1000, 0.0, top)
    unit = np.ldexp(1.0, np.where(top > 0, np.minimum(np.frexp(top)[1], 1000), 0))
    largest = float(s.max())  # weights are taken relative to it, so that no sum leaves the doubles
    alike = bool((s == largest).all())
    gram, plain = np.zeros((D, D)), None if alike else np.zeros((D, D))
    for block, weight in rows.blocks():
        block /= unit
        if plain is not None:
            plain += block.T @ block
            block *= np.sqrt(weight / largest)[:, None]
        gram += block.T @ block  # one and the same array: BLAS's symmetric product, half the work
    if plain is None:
        plain = gram
    mean = np.diagonal(gram) / (s / largest).sum()
    scale = np.where(top > 0, unit * np.exp2(np.round(0.5 * np.log2(np.where(mean > 0, mean, 1.0)))), 1.0)
    ratio = unit / scale
    # Sums of the terms of a block in any order, then of the blocks; a root, a quotient and two products a factor.
    steps = min(rows.longest, rows.live) + -(-rows.live // rows.longest) + 8
    bound = steps * UNIT_ROUNDOFF / (1 - steps * UNIT_ROUNDOFF)
    rescaled = lambda G: G * ratio[:, None] * ratio  # noqa: E731
    plain = plain if plain is gram else rescaled(plain)
    gram = rescaled(gram)
    return Moments(scale, gram * largest, gram if alike else plain, bound)


def _largest(X: np.ndarray) -> np.ndarray:
    """(D,) max |x| of each column, without a copy of X."""
    if X.dtype.kind not in "fiu":  # bfloat16, which NumPy sees as opaque
        tops = [np.abs(block).max(axis=0) for _, block in float64_blocks(X)]
        return np.max(tops, axis=0)
    return np.maximum(X.max(axis=0).astype(np.float64), -X.min(axis=0).astype(np.float64))
