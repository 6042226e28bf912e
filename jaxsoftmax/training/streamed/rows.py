"""Rows in chunks: two buffers, of which a thread fills one while the other is used.

Read, not mapped: a chunk then starts at a multiple of 64 bytes in whatever file it lies, so that JAX on a CPU uses it
without a copy; the memory in use is two chunks, whatever the size of the file; and a file that is cut off meanwhile is
an error, where a memory map would end the process. A map whose pages are used in place is faster only for files that
are in the machine's memory already.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import positive_int

__all__ = ["Fill", "RowSource", "row_layout"]

Fill = Callable[[np.ndarray], None]  # puts the next len(out) rows into out (n, width), C-contiguous
_ALIGNMENT = 64  # bytes, at which JAX takes over memory on a CPU


def row_layout(name: str, shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, int, np.dtype]:
    """N, the width and the dtype in native byte order of an array (N, …) whose inner dimensions are laid side by side.

    Args:
        name: opens every message.
        shape: of the array.
        dtype: as stored.

    Raises:
        TypeError: not real numbers of at most 64 bits.
        ValueError: it has no rows, or they have no entries.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.training.streamed.rows import row_layout
        >>> row_layout("X", (60000, 28, 28), np.dtype("uint8"))
        (60000, 784, dtype('uint8'))
    """
    if dtype != jnp.bfloat16 and (dtype.kind not in "biuf" or dtype.itemsize > 8):
        raise WrongType(name, f"has the dtype {dtype}", "convert it to real numbers, such as float32")
    if len(shape) < 2 or 0 in shape:
        raise WrongValue(name, f"has the shape {shape}, not (N, columns)", "give one row a sample, and at least one")
    return shape[0], math.prod(shape[1:]), dtype.newbyteorder("=")


@dataclass(frozen=True)
class RowSource:
    """N rows that are read in chunks, as often as one likes; `open_source` makes one.

    Attributes:
        name: what errors call it: the file, or "X".
        N: the number of rows.
        width: the number of columns, without an intercept.
        dtype: of the chunks: as stored, in native byte order.
        column_names: where the file has some.
        opened: a context manager for one pass; gives the function that fills a buffer with the next rows.
    """

    name: str
    N: int
    width: int
    dtype: np.dtype
    column_names: tuple[str, ...] | None
    opened: Callable[[], AbstractContextManager[Fill]]

    def chunks(self, rows: int) -> Iterator[tuple[slice, np.ndarray]]:
        """One pass over all rows, in order, from the first: each chunk with the slice of rows that it is.

        **A chunk is valid until the next one is asked for**: its memory is then filled again. JAX computes in the
        background, and on a CPU it uses the chunk's memory itself. So wait for what is computed from a chunk
        (`block_until_ready`, or take a number out of it), and keep no array that was made of the chunk alone.

        While a chunk is used, a thread reads the next. The thread ends with that chunk: a loop that is left early
        leaves none behind.

        Args:
            rows: of a chunk, at least 1; the last chunk may have fewer. Two chunks are in memory.

        Returns:
            Iterator of (part, chunk): chunk (n, width) of the stored dtype, C-contiguous.

        Raises:
            TypeError, ValueError: `rows` is no integer >= 1.
            ValueError: while iterating: the file is damaged, or has changed since it was opened.

        Example:
            >>> import numpy as np
            >>> from jaxsoftmax.training.streamed.source import open_source
            >>> source = open_source(np.arange(10.0).reshape(5, 2))
            >>> [(part.start, part.stop, float(chunk.sum())) for part, chunk in source.chunks(2)]
            [(0, 2, 6.0), (2, 4, 22.0), (4, 5, 17.0)]
        """
        rows = min(positive_int("rows", rows), self.N)
        parts = (slice(start, min(start + rows, self.N)) for start in range(0, self.N, rows))
        return self._read(parts, rows)

    def _read(self, parts: Iterator[slice], rows: int) -> Iterator[tuple[slice, np.ndarray]]:
        free, other = (_aligned(rows, self.width, self.dtype) for _ in range(2))
        with self.opened() as fill:
            part = next(parts)
            reading = _Reading(fill, free[: part.stop - part.start])
            try:
                for ahead in parts:
                    chunk = reading.result()
                    free, other = other, free
                    reading = _Reading(fill, free[: ahead.stop - ahead.start])
                    yield part, chunk
                    part = ahead
                yield part, reading.result()
            finally:
                reading.thread.join()


class _Reading:
    """One chunk on its way: a thread that ends when it is there."""

    def __init__(self, fill: Fill, out: np.ndarray) -> None:
        self._fill, self._out = fill, out
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="jaxsoftmax reads rows")
        self.thread.start()

    def _run(self) -> None:
        try:
            self._fill(self._out)
        except BaseException as error:  # raised where the chunk is asked for
            self._error = error

    def result(self) -> np.ndarray:
        self.thread.join()
        if self._error is not None:
            raise self._error
        return self._out


def _aligned(rows: int, width: int, dtype: np.dtype) -> np.ndarray:
    """Memory for (rows, width) that starts at a multiple of 64 bytes."""
    size = rows * width * dtype.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(rows, width)
