"""Rows from Parquet by polars, which the extra `tables` installs: a block of rows at a time.

Guarded by `tests/training/streamed/test_source.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.training.streamed.known_file import KnownFile
from jaxsoftmax.training.streamed.rows import Fill, RowSource, row_layout

__all__ = ["parquet_file", "parquet_labels"]

# Read at once: a block costs some milliseconds beside its rows, and memory two or three times its size.
_BLOCK = 2**25
_NUMBERS = {"Boolean", *(f"{kind}{bits}" for kind in ("Int", "UInt", "Float") for bits in (8, 16, 32, 64))}
_PANDAS_INDEX = "__index_level_"
_EXACT = 2**53  # up to here every integer is a double


def parquet_file(file: KnownFile, columns: Sequence[str] | None, without: Sequence[str]) -> RowSource:
    """The rows of numeric columns of a Parquet file.

    Args:
        file: the file.
        columns: the names to read, in this order; None: all but the index that pandas may have stored.
        without: names to leave out, such as the label's.

    Raises:
        ImportError: polars is not installed; the message names the extra.
        ValueError: the file is damaged or has no rows, or a column is not there or not numeric.
    """
    try:
        import polars
    except ImportError:
        message = f"{file.path}: reading Parquet needs polars. Run: pip install 'jaxsoftmax[tables]'"
        raise ImportError(message, name="polars") from None
    with file.reading():
        table = polars.scan_parquet(file.path, glob=False)
        schema = _of_polars(polars, table.collect_schema)
        N = _of_polars(polars, table.select(polars.len()).collect).item()
    for name in (*(columns or ()), *without):
        if name not in schema:
            listing = ", ".join(list(schema)[:12]) + (", …" if len(schema) > 12 else "")
            raise WrongValue(file.path, f"has no column {name!r}, only {listing}", "name columns that it has")
    everything = [name for name in schema if not name.startswith(_PANDAS_INDEX)]
    names = [name for name in (everything if columns is None else columns) if name not in without]
    for name in names:
        if str(schema[name]) not in _NUMBERS:
            remedy = "name it in place of y if it has the labels, else write the file without it"
            raise WrongValue(file.path, f"the column {name!r} is of type {schema[name]}, not numeric", remedy)
    stored = {name: np.dtype(str(schema[name]).lower().replace("boolean", "bool")) for name in names}
    dtype = np.result_type(*stored.values()) if stored else np.dtype(float)
    common = polars.Boolean if dtype.kind == "b" else getattr(polars, dtype.name.capitalize().replace("Uint", "UInt"))
    rounded = [name for name in names if dtype.kind == "f" and stored[name].kind in "iu" and stored[name].itemsize == 8]
    layout = row_layout(str(file.path), (N, len(names)), dtype)
    rows = max(1, _BLOCK // (len(names) * dtype.itemsize))

    def block(start: int) -> np.ndarray:
        frame = _of_polars(polars, table.select(names).slice(start, rows).collect)
        for column in frame:
            if column.null_count():
                row = start + int(np.flatnonzero(column.is_null().to_numpy())[0])
                remedy = "fill it in, or write the file without the row or the column"
                raise WrongValue(file.path, f"row {row}, column {column.name!r}: the cell is empty", remedy)
        for name in rounded:
            cells = frame[name].to_numpy()
            if (wrong := (cells > _EXACT) | (cells < -_EXACT)).any():
                row = int(np.flatnonzero(wrong)[0])
                given = f"row {start + row}, column {name!r}: {cells[row]} may be no double, which the columns become"
                raise WrongValue(file.path, given, "write that column as floats, if its rounding is meant")
        return frame.cast(common).to_numpy()

    @contextmanager
    def opened() -> Iterator[Fill]:
        ready, following = np.empty((0, len(names)), dtype), 0

        def fill(out: np.ndarray) -> None:
            nonlocal ready, following
            while len(out):
                if not len(ready):
                    ready = block(following)
                    following += len(ready)
                    if not len(ready):
                        raise EOFError("it ends before its last row")
                n = min(len(ready), len(out))
                out[:n], ready, out = ready[:n], ready[n:], out[n:]

        with file.reading():
            yield fill

    return RowSource(str(file.path), *layout, tuple(names), opened)


def _of_polars(polars: Any, call: Any) -> Any:
    """What a call returns; what polars raises becomes an error of reading."""
    try:
        return call()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise OSError((str(error).strip() or type(error).__name__).splitlines()[0]) from None


def parquet_labels(path: Any, name: str) -> np.ndarray:
    """The labels (N,) in a column of a Parquet file that `parquet_file` has opened.

    Raises:
        ValueError: the column has gaps.
    """
    import polars

    file = KnownFile(Path(path))
    with file.reading():
        column = _of_polars(polars, polars.scan_parquet(file.path, glob=False).select(name).collect)[name]
    if column.null_count():
        given = f"{file.path} has {column.null_count()} gaps in the column {name!r}"
        raise WrongValue("y", given, "give every sample a label, or leave it out")
    return column.to_numpy()
