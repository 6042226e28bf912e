"""The Gram matrix of the data, once a problem: what rank, null space, scales and S19's matrix are decided from.

G = Σ_n s_n u_n u_nᵀ in features u = x/σ divided by powers of two, summed over blocks of rows in float64: X is read
twice and never copied. Working with G squares the condition number: `error_bound` says what its entries may have lost,
and who asks more of them than that goes back to the rows.

Guarded by `tests/calculus/loss/test_moments.py`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.problem.arrays import float64_blocks
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
        weight: Σ_n s_n, or inf where that is beyond the doubles.

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
    weight: float


_KNOWN: weakref.WeakKeyDictionary[Problem, Moments] = weakref.WeakKeyDictionary()


def alone(part: Any) -> Any:
    """What one process has, where there is one only: itself."""
    return part


class Rows(NamedTuple):
    """The samples that take part: `live` of them, with float64 blocks (rows, weights) that are the caller's to change.

    `weights` are their least and largest and the sum over the largest; `top()` is max |x| of each column (D,).
    `blocks()` starts anew each time. Where the samples are spread over processes they are those of this one, `add` sums
    an array over all and `stack` puts the rows of all under each other.
    """

    live: int
    weights: tuple[float, float, float]
    top: Callable[[], np.ndarray]
    blocks: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
    add: Callable[[np.ndarray], np.ndarray] = alone
    stack: Callable[[np.ndarray], np.ndarray] = alone

    def whole(self, scale: np.ndarray) -> np.ndarray:
        """X/scale, (live, D)."""
        return self.stack(np.concatenate([np.zeros((0, len(scale))), *(block / scale for block, _ in self.blocks())]))

    def square_times(self, scale: np.ndarray, V: np.ndarray) -> np.ndarray:
        """(X/scale)ᵀ (X/scale) V, (D, k)."""
        total = np.zeros_like(V)
        for block, _ in self.blocks() if V.shape[1] else ():
            block /= scale
            total += block.T @ (block @ V)
        return self.add(total)

    def triangle(self, scale: np.ndarray, V: np.ndarray) -> np.ndarray:
        """R (k, k) with RᵀR = Vᵀ(X/scale)ᵀ(X/scale)V by QR, block after block: as good as a QR of the whole."""
        R = np.zeros((0, V.shape[1]))
        for block, _ in self.blocks() if V.shape[1] else ():
            R = np.asarray(np.linalg.qr(np.concatenate([R, (block / scale) @ V]), mode="r"))
        return np.asarray(np.linalg.qr(self.stack(R), mode="r"))


def rows_of(problem: Problem) -> Rows:
    """The samples of a concrete problem that take part."""
    X, s = np.asarray(problem.X), np.asarray(problem.sample_weight, np.float64)
    live = s > 0

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows, block in float64_blocks(X):
            yield (block, s[rows]) if live[rows].all() else (block[live[rows]], s[rows][live[rows]])

    top = lambda: _largest(X if live.all() else X[live])  # noqa: E731
    return Rows(int(live.sum()), spread_of(s[live]), top, blocks)


def spread_of(weights: np.ndarray) -> tuple[float, float, float]:
    """The least and the largest of positive weights, and their sum over the largest, which no dtype is too small for.

    Example:
        >>> import numpy as np
        >>> spread_of(np.array([1.0, 4.0]))
        (1.0, 4.0, 1.25)
    """
    largest = float(weights.max())
    return float(weights.min()), largest, float((weights / largest).sum())


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
    top, (least, largest, count) = rows.top(), rows.weights
    if not np.isfinite(top).all():
        raise WrongValue("problem", "its X holds NaN or infinite entries", "give finite ones")
    # A column below 2⁻¹⁰⁰⁰ counts as one of zeros: no weight that a double holds would make it matter.
    D, top = len(top), np.where(np.frexp(top)[1] < -1000, 0.0, top)
    unit = np.ldexp(1.0, np.where(top > 0, np.minimum(np.frexp(top)[1], 1000), 0))
    alike = least == largest  # weights are taken relative to the largest, so that no sum leaves the doubles
    gram, plain = np.zeros((D, D)), None if alike else np.zeros((D, D))
    longest = blocks = 0
    for block, weight in rows.blocks():
        longest, blocks = max(longest, len(block)), blocks + 1
        block /= unit
        if plain is not None:
            plain += block.T @ block
            block *= np.sqrt(weight / largest)[:, None]
        gram += block.T @ block  # one and the same array: BLAS's symmetric product, half the work
    gram = rows.add(gram)
    plain = gram if plain is None else rows.add(plain)
    mean = np.diagonal(gram) / count
    scale = np.where(top > 0, unit * np.exp2(np.round(0.5 * np.log2(np.where(mean > 0, mean, 1.0)))), 1.0)
    ratio = unit / scale
    # Sums of the terms of a block in any order, then of the blocks; a root, a quotient and two products a factor.
    steps = int(rows.add(np.array(longest + blocks))) + 8
    bound = steps * UNIT_ROUNDOFF / (1 - steps * UNIT_ROUNDOFF)
    rescaled = lambda G: G * ratio[:, None] * ratio  # noqa: E731
    plain = plain if plain is gram else rescaled(plain)
    gram = rescaled(gram)
    return Moments(scale, gram * largest, gram if alike else plain, bound, count * largest)


def _largest(X: np.ndarray) -> np.ndarray:
    """(D,) max |x| of each column, without a copy of X."""
    if X.dtype.kind not in "fiu":  # bfloat16, which NumPy sees as opaque
        tops = [np.abs(block).max(axis=0) for _, block in float64_blocks(X)]
        return np.max(tops, axis=0)
    return np.maximum(X.max(axis=0).astype(np.float64), -X.min(axis=0).astype(np.float64))
