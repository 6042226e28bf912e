"""The error model behind ``tolerances``: a block of samples with the errors of its logits and probabilities.

See the docstring of ``tolerances`` for the derivation; the names here are its symbols.

Guarded by `tests/evidence/crosscheck/test_tolerances.py`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxsoftmax.evidence.crosscheck import reference
from jaxsoftmax.evidence.crosscheck.entrywise import entrywise

# Samples are treated in blocks of about this many float64 entries.
_BLOCK_ENTRIES = 2**22
# Up to this many entries (N, C), the softmax of all blocks is kept between calls.
_KEEP_ENTRIES = 2**22
_EXP_LIMIT = 700.0


def sum_constant(N: int, C: int) -> float:
    """K of the module docstring: a sum of N rows of C classes errs by about eps K sum|terms| at most.

    Example:
        >>> from jaxsoftmax.evidence.crosscheck.roundoff import sum_constant
        >>> sum_constant(100, 2)
        18.0
    """
    return float(8.0 + np.sqrt(N) + 4.0 * max(0.0, np.log2(C / 2)))


@dataclasses.dataclass(frozen=True)
class Rows:
    """A block of samples: data in float64, exact-enough softmax, and the errors of logits and probabilities."""

    X: np.ndarray
    T: np.ndarray
    s: np.ndarray
    Z: np.ndarray
    Y: np.ndarray
    complement: np.ndarray
    neg_log: np.ndarray
    gamma: np.ndarray
    dy: np.ndarray
    dlog: np.ndarray

    def directional(self, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U = X V' and the error of its computation."""
        return self.X @ V.T, self.gamma * (np.abs(self.X) @ np.abs(V).T)


@dataclasses.dataclass(frozen=True)
class Model:
    """What a rule computes with: the data, the unit roundoff, and whether it is compensated."""

    W: np.ndarray
    data: reference.PlainProblem
    eps: float
    tiny: float
    compensated: bool

    @property
    def samples(self) -> int:
        """How many terms a sum over samples has, the self-regulariser's included."""
        return self.data.X.shape[0] + sum(self.data.X.shape[1] for t in self.data.regularizer if t.kind == "self")

    @property
    def K(self) -> float:
        """The relative error of such a sum."""
        return self.eps * sum_constant(self.samples, self.W.shape[0])

    @property
    def own(self) -> float:
        """Relative error of one softmax entry by its own evaluation; a plain sum over C classes may add C eps."""
        C = self.W.shape[0]
        return self.eps * (4.0 * (1.0 + np.log2(C)) + (0.0 if self.compensated else C))

    @property
    def entry_sum(self) -> float:
        """Relative error of a sum over the entries of W, as K is of one over the samples."""
        return self.eps * (8 + np.sqrt(self.W.size))

    def entrywise_errors(self, order: str, K: float) -> np.ndarray:
        """(C, D): the summed tolerances of the entrywise penalties (S21 a, b), K the relative error of one term.

        `order` is "value" (of positive terms), "slope", "curvature" or "third".
        """
        out = np.zeros(self.W.shape)
        for term in entrywise(self.data):
            if order == "value":
                out += K * term.mask * term.value(self.W)
            elif order == "slope":
                out += term.slope_error(self.W, K, self.compensated)
            else:
                error = term.curvature_error if order == "curvature" else term.third_error
                out += error(self.W, K, self.eps, self.tiny, self.compensated)
        return out

    def blocks(self, *, extra: bool = True) -> Iterator[Rows]:
        """The samples block by block, then the D samples gamma e_d of each self-regulariser (S21d)."""
        if self.data.X.shape[0] * self.W.shape[0] <= _KEEP_ENTRIES:
            yield from self._kept
        else:
            yield from self._samples()
        if extra:
            yield from self._extra()

    @functools.cached_property
    def _kept(self) -> list[Rows]:
        return list(self._samples())

    @property
    def _block_rows(self) -> int:
        return max(1, _BLOCK_ENTRIES // (self.W.shape[1] + 4 * self.W.shape[0]))

    def _samples(self) -> Iterator[Rows]:
        size, d = self._block_rows, self.data
        for i in range(0, d.X.shape[0], size):
            yield self._rows(*(np.asarray(a[i : i + size]) for a in (d.X, d.T, d.sample_weight)))

    def _extra(self) -> Iterator[Rows]:
        (C, D), size = self.W.shape, self._block_rows
        for term in self.data.regularizer:
            for i in range(0, D, size) if term.kind == "self" else ():
                n = min(size, D - i)
                yield self._rows(float(term.value) * np.eye(n, D, i), np.full((n, C), 1.0 / C), np.ones(n))

    def _rows(self, X: np.ndarray, T: np.ndarray, s: np.ndarray) -> Rows:
        u = self.eps / 2
        k = np.count_nonzero(X, axis=1)[:, None]
        gamma = k * u / np.maximum(1.0 - k * u, u)
        Z = X @ self.W.T
        delta = gamma * (np.abs(X) @ np.abs(self.W).T)
        top = Z.argmax(axis=1)[:, None]
        d = Z - np.take_along_axis(Z, top, 1)
        rest = d.copy()
        np.put_along_axis(rest, top, -np.inf, 1)
        e = np.exp(rest)
        others = e.sum(axis=1, keepdims=True)
        np.put_along_axis(e, top, 1.0, 1)
        Y = e / (1.0 + others)
        complement = 1.0 - Y
        np.put_along_axis(complement, top, others / (1.0 + others), 1)
        if not self.compensated:
            delta = delta + u * np.abs(d)
        neg_log = np.log1p(others) - d
        odds = delta + delta.max(axis=1, keepdims=True)
        # (1 − y)(e^E − 1). A large E meets factors that underflow, and is added to their logarithms instead.
        log_complement = np.log1p(-np.minimum(Y, 0.5))
        largest = rest.max(axis=1, keepdims=True)
        log_others = largest + np.log(np.exp(rest - largest).sum(axis=1, keepdims=True))
        np.put_along_axis(log_complement, top, log_others - np.log1p(others), 1)
        near, large = complement * np.expm1(np.minimum(odds, 1.0)), odds > 1.0
        change = np.where(large, np.exp(np.minimum(log_complement + odds, _EXP_LIMIT)), near)
        step = np.where(large, np.exp(np.minimum(log_complement + odds - neg_log, 0.0)), Y * near)
        dy = np.minimum(step, np.maximum(Y, complement)) + self.tiny
        dlog = np.minimum(odds, change) + self.tiny
        return Rows(X, T, s, Z, Y, complement, neg_log, gamma, dy, dlog)

    def log_size(self, rows: Rows) -> np.ndarray:
        """The magnitude that -log y is accurate relative to: itself, or |lse| + |z| for the plain difference."""
        if self.compensated:
            return rows.neg_log
        return 2.0 * np.abs(rows.Z) + rows.neg_log + np.log(self.W.shape[0])

    def pair_weight(self, rows: Rows, i: int, j: int) -> np.ndarray:
        """Tolerance of the weights y_i (delta_ij - y_j) of block (i, j) of the Hessian, as (n,)."""
        yi, yj, di, dj = rows.Y[:, i], rows.Y[:, j], rows.dy[:, i], rows.dy[:, j]
        if i != j:
            return self.K * yi * yj + di * yj + dj * yi + di * dj
        q = rows.complement[:, i]
        return self.K * yi * (q if self.compensated else 1.0) + di * (np.abs(q - yi) + di)

    def residual_size(self, rows: Rows) -> np.ndarray:
        """The magnitude that y - t is accurate relative to: itself where one class has the whole target."""
        plain = np.maximum(rows.Y, rows.T)
        if not self.compensated:
            return plain
        sole = (rows.T != 0).sum(axis=1, keepdims=True) == 1
        return np.where(sole, np.where(rows.T != 0, rows.T * rows.complement, rows.Y), plain)

    def moments(self, rows: Rows, V: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(u - ubar, magnitude subtracted in it, its propagated error) for u = V x."""
        U, dU = rows.directional(V)
        shifted = U - np.take_along_axis(U, rows.Y.argmax(axis=1)[:, None], 1)
        centred = shifted - (rows.Y * shifted).sum(axis=1, keepdims=True)
        base = np.abs(shifted if self.compensated else U)
        size = base + (rows.Y * base).sum(axis=1, keepdims=True)
        mean = (rows.dy * np.abs(centred) + (rows.Y + rows.dy) * dU).sum(axis=1, keepdims=True)
        return centred, size, dU + mean


def model(W: Any, problem: Any, dtype: Any = None, compensated: bool = True) -> Model:
    """The error model of a rule at W; a `Model` made before passes through (its softmax is then shared)."""
    if isinstance(problem, Model):
        return problem
    data = problem if isinstance(problem, reference.PlainProblem) else reference.plain(problem)
    info = np.finfo(np.dtype(getattr(problem, "dtype", np.float64)) if dtype is None else dtype)
    return Model(np.asarray(W).astype(np.float64), data, float(info.eps), float(info.tiny), compensated)
