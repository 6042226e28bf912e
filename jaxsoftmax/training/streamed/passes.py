"""Sums over samples that are read in chunks: each is one pass over the data, with the same bits in every process.

A chunk goes through the kernels that dense problems use (`calculus/loss/fused.py`), in the compute dtype; the sums of
the chunks are added in float64, in the order of the rows, then those of the processes in their order. The intercept is
no stored column. All is called with x64 on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.fused import fused_hvp, fused_value_and_gradient
from jaxsoftmax.calculus.loss.moments import Rows, spread_of
from jaxsoftmax.linalg.blocks import Placement, placement
from jaxsoftmax.problem.arrays import block_rows
from jaxsoftmax.problem.label_targets import LabelTargets
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.training.streamed import processes

Array = jax.Array

CHUNK_BYTES = 32 << 20  # of X as stored


class Chunk(NamedTuple):
    """Some rows as stored (rows, width), their classes and their weights in float64; filled up with weight 0."""

    X: np.ndarray
    codes: np.ndarray
    s: np.ndarray


class Found(NamedTuple):
    """What a first pass found.

    Of the columns with the intercept's: `top`, max |x|, and `sums`, Σ_n s_n |x_nd|, (D,) float64. `checksum`: CRC-32 of
    the rows that this process has, as stored and in their order; 0 where it was not asked for.
    """

    top: np.ndarray
    sums: np.ndarray
    checksum: int


class Samples:
    """Samples in chunks: rows of a `RowSource`, a class and a weight for each.

    Attributes:
        D: columns, the intercept included.
        dtype: compute dtype.
        across: whether other processes hold more samples.
    """

    source: Any
    targets: LabelTargets
    s: np.ndarray | None
    intercept: bool
    dtype: np.dtype
    across: bool
    rows: int

    def __init__(
        self, source: Any, targets: LabelTargets, s: np.ndarray | None, intercept: bool, dtype: Any, across: bool
    ) -> None:
        self.source, self.targets, self.s = source, targets, s
        self.intercept, self.dtype, self.across = intercept, np.dtype(dtype), across
        self.D = source.width + intercept
        self.rows = min(source.N, max(1, CHUNK_BYTES // max(1, source.width * source.dtype.itemsize)))
        self._where = placement(
            _chunk_problem(jnp.zeros((1, 1)), jnp.zeros(1, jnp.int32), self._values, jnp.ones(1), 1)
        )

    @property
    def _values(self) -> np.ndarray:
        return np.asarray(self.targets.values, self.dtype)

    def chunks(self) -> Iterator[Chunk]:
        """All chunks in order; X is valid until the next one is asked for."""
        for rows, X in self.source.chunks(self.rows):
            n, codes = len(X), self.targets.codes[rows]
            s = np.ones(n) if self.s is None else self.s[rows]
            if n < self.rows:
                X = np.concatenate([X, np.zeros((self.rows - n, X.shape[1]), X.dtype)])
                codes, s = (np.concatenate([part, np.zeros(self.rows - n, part.dtype)]) for part in (codes, s))
            yield Chunk(X, codes, s)

    def value_and_gradient(self, W: Any) -> tuple[float, np.ndarray]:
        """(Σ_n s_n CE_n, Σ_n s_n (y − t) xᵀ) in float64, W (C, D) (S1, S2)."""
        return self._sum(partial(_value_and_gradient, self._where), W)

    def product(self, W: Any, V: Any) -> np.ndarray:
        """The Hessian at W times V, without penalties, float64 (S4)."""
        return self._sum(partial(_product, self._where), W, V)

    def spread(self, V: Any) -> float:
        """The largest range of the logits of V over the samples that take part (S8)."""
        with jax.disable_jit(False):
            found = [float(_spread(V, *self._placed(chunk))) for chunk in self.chunks()]
        return float(self.largest(np.array(max(found, default=0.0))))

    def look(self, with_checksum: bool = False) -> Found:
        """The first pass; the checksum tells the data of a checkpoint.

        Raises:
            ValueError: NaN, infinities, or integers that no double holds, with the row.
        """
        tops, sums, start, checksum = [np.zeros(self.D)], np.zeros(self.D), 0, 0
        exact = 2.0**53 if self.source.dtype.kind in "iu" else np.inf
        for chunk in self.chunks():
            with jax.disable_jit(False):
                top, part = (np.asarray(a) for a in _look(chunk.X, chunk.s))
            if not ((top < exact) & (top <= np.finfo(self.dtype).max)).all():
                self._refuse(chunk.X, start)
            ones = [float(self.intercept)] * self.intercept
            tops.append(np.append(top, ones))
            sums += np.append(part, chunk.s.sum() if self.intercept else ones)
            start += len(chunk.X)
            if with_checksum:
                checksum = zlib.crc32(chunk.X.view(np.uint8).data, checksum)
        return Found(self.largest(np.max(tops, axis=0)), self.add(sums), checksum)

    def _refuse(self, X: np.ndarray, start: int) -> None:
        """Look at a chunk again, entry by entry; 2^53 is a double, but so is what 2^53 + 1 was rounded to."""
        with np.errstate(over="ignore", invalid="ignore"):
            wide = X.astype(np.float64)
            wrong = ~np.isfinite(wide.astype(self.dtype))
        if X.dtype.kind in "iu":
            wrong |= X > 2**53
        if X.dtype.kind == "i":
            wrong |= X < -(2**53)
        if not wrong.any():
            return
        row, column = (int(k) for k in np.argwhere(wrong)[0])
        given = f"entry ({start + row}, {column}) of {self.source.name} is {X[row, column]}"
        if not np.isfinite(wide[row, column]):
            raise WrongValue("X", given, "every entry must be finite: fill it in or drop the sample")
        if X.dtype.kind in "iu":
            remedy = "rescale that column, or store X as floats, if its rounding is meant"
            raise WrongValue("X", f"{given}, an integer beyond 2^53", remedy)
        raise WrongValue(
            "X", f"{given}, beyond the largest {self.dtype}", "rescale that column, or choose the dtype 'float64'"
        )

    def moment_rows(self, top: np.ndarray) -> Rows:
        """The samples that take part as float64 blocks, for `moments` and `row_space`."""
        s = np.ones(self.source.N) if self.s is None else self.s
        live = s[s > 0]
        low, high, count = spread_of(live) if len(live) else (np.inf, 0.0, 0.0)
        largest = float(self.largest(np.array(high)))
        weights = (
            -float(self.largest(np.array(-low))),
            largest,
            float(self.add(np.array(count * high / largest))),
        )

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for X, _, weight in self.float64_blocks():
                yield X[weight > 0], weight[weight > 0]

        join = (self.add, self.stack) if self.across else ()
        return Rows(int(self.add(np.array(len(live)))), weights, lambda: top, blocks, *join)

    def float64_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(X, codes, s) of all samples in float64, some rows at a time, with the intercept's column of ones."""
        many = block_rows(self.D)
        for chunk in self.chunks():
            for start in range(0, len(chunk.X), many):
                rows = slice(start, start + many)
                X = np.ones((len(chunk.X[rows]), self.D))
                X[:, : self.source.width] = chunk.X[rows]
                yield X, chunk.codes[rows], chunk.s[rows]

    def add(self, part: Any) -> Any:
        """The sum of an array over the processes."""
        return processes.add_up(part) if self.across else part

    def stack(self, part: np.ndarray) -> np.ndarray:
        """The rows of all processes under each other."""
        return np.concatenate(processes.gather(part)) if self.across else part

    def largest(self, part: Any) -> Any:
        """The largest of each entry over the processes."""
        return processes.largest(part) if self.across else part

    def _placed(self, chunk: Chunk) -> tuple[Any, ...]:
        return chunk.X, chunk.codes, self._values, chunk.s.astype(self.dtype)

    def _sum(self, kernel: Callable[..., Any], *weights: Any) -> Any:
        total = None
        with jax.disable_jit(False):
            for chunk in self.chunks():
                # Waited for: X is no longer there once the next chunk is asked for, which a thread reads meanwhile.
                part = jax.tree.map(lambda a: np.asarray(a, np.float64), kernel(*weights, *self._placed(chunk)))
                total = part if total is None else jax.tree.map(np.add, total, part)
        return self.add(total)


def _chunk_problem(X: Any, codes: Any, values: Any, s: Any, C: int) -> Problem:
    return Problem.tree_unflatten((False, str(values.dtype)), (X, LabelTargets(codes, values, C), s, ()))


@partial(jax.jit, static_argnums=0)
def _value_and_gradient(where: Placement, W: Array, X: Array, codes: Array, values: Array, s: Array) -> Any:
    return fused_value_and_gradient(W, _chunk_problem(X, codes, values, s, W.shape[0]), where)


@partial(jax.jit, static_argnums=0)
def _product(where: Placement, W: Array, V: Array, X: Array, codes: Array, values: Array, s: Array) -> Array:
    return fused_hvp(W, _chunk_problem(X, codes, values, s, W.shape[0]), V, where)


@jax.jit
def _spread(V: Array, X: Array, codes: Array, values: Array, s: Array) -> Array:
    width = X.shape[1]
    U = jnp.einsum("cd,nd->cn", V[:, :width], X.astype(V.dtype), precision=jax.lax.Precision.HIGHEST)
    U = U + V[:, width:].sum(axis=1, keepdims=True)
    return jnp.max(jnp.where(s > 0, jnp.max(U, axis=0) - jnp.min(U, axis=0), 0))


@jax.jit
def _look(X: Array, s: Array) -> tuple[Array, Array]:
    size = jnp.abs(X.astype(jnp.float64))
    return jnp.max(size, axis=0), jnp.einsum("n,nd->d", s, size, precision=jax.lax.Precision.HIGHEST)
