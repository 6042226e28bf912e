"""`open_source`: rows for training that need not fit in memory, from an array, a memory map or a file."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.support.array_files import ArrayHeader
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of
from jaxsoftmax.training.streamed.files import array_file, npz_member, packed_array, rows_in_place
from jaxsoftmax.training.streamed.known_file import KnownFile
from jaxsoftmax.training.streamed.parquet import parquet_file
from jaxsoftmax.training.streamed.rows import Fill, RowSource, row_layout

__all__ = ["open_source"]

_PARQUET, _ZIP, _GZIP = b"PAR1", b"PK", b"\x1f\x8b"


def open_source(X: Any, *, columns: Sequence[str] | None = None, without: Sequence[str] = ()) -> RowSource:
    """Make rows ready to be read in chunks: headers are looked at, no row is read.

    A file is known by how it starts, whatever its name:

    * NPY, of numpy.save: read in place.
    * NPZ: its array X, or the only one, or the one named as in "rows.npz:NAME"; read in place as numpy.savez stores
      it, unpacked row after row as numpy.savez_compressed does.
    * IDX, the format of MNIST: images become rows; big-endian numbers are turned a chunk at a time.
    * NPY and IDX compressed by gzip: unpacked row after row in every pass.
    * Parquet: its numeric columns, of which all take the smallest dtype that holds each of them.

    A memory map of a file is read as that file (NPY forgets the name of bfloat16: map such a file, and view the map as
    bfloat16). The rows of an array in memory are copied a chunk at a time. Dimensions after the first are laid side by
    side.

    Args:
        X: array (N, columns) or (N, …) of real numbers, np.memmap, or the path of a file.
        columns: of a Parquet file: the names to read, in this order; default: all.
        without: of a Parquet file: names to leave out, such as the label's.

    Returns:
        RowSource, whose dtype is as stored.

    Raises:
        FileNotFoundError: no such file.
        ImportError: polars, for Parquet, is not installed.
        TypeError: X is no array or path, or its entries are not real numbers.
        ValueError: a file is damaged, cut off or stored column by column; there are no rows or no columns.

    Example:
        >>> import numpy as np, pathlib, tempfile
        >>> from jaxsoftmax.training.streamed.source import open_source
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.npy"
        >>> np.save(path, np.ones((5, 3), np.float32))
        >>> source = open_source(path)
        >>> source.N, source.width, source.dtype
        (5, 3, dtype('float32'))
        >>> sum(float(chunk.sum()) for _, chunk in source.chunks(rows=2))
        15.0
    """
    if isinstance(X, (str, Path)):
        path, member = _split(str(X))
        file = KnownFile(path)
        with file.reading(), path.open("rb") as stream:
            start = stream.read(4)
        if start == _PARQUET:
            return parquet_file(file, columns, without)
        _refuse_columns(columns, without)
        if start.startswith(_ZIP):
            return npz_member(file, member)
        return packed_array(file) if start.startswith(_GZIP) else array_file(file)
    _refuse_columns(columns, without)
    if isinstance(X, np.ma.MaskedArray):
        raise WrongType("X", "got a masked array, which has gaps", "fill them in, as X.filled(value) does")
    if not isinstance(X, np.ndarray):
        raise WrongType("X", f"got {kind_of(X)}", "give a NumPy array, a memory map or the path of a file")
    return _of_array(X)


def _split(given: str) -> tuple[Path, str | None]:
    """A path, and the name of an array behind the colon after .npz."""
    path, colon, member = given.rpartition(":")
    named = colon and path.lower().endswith(".npz") and not Path(given).exists()
    return (Path(path), member) if named else (Path(given), None)


def _refuse_columns(columns: Sequence[str] | None, without: Sequence[str]) -> None:
    for argument, names in (("columns", columns), ("without", without)):
        if names:
            raise WrongValue(argument, "X is no Parquet file, whose columns have names", "leave it out")


def _of_array(X: np.ndarray) -> RowSource:
    layout = row_layout("X", X.shape, X.dtype)
    inner = X.shape[1:]
    if X.flags.c_contiguous and isinstance(X, np.memmap) and (place := _place_in_file(X)):
        return rows_in_place(*place)

    @contextmanager
    def opened() -> Iterator[Fill]:
        at = 0

        def fill(out: np.ndarray) -> None:
            nonlocal at
            np.copyto(out.reshape(len(out), *inner), X[at : at + len(out)])
            at += len(out)

        yield fill

    return RowSource("X", *layout, None, opened)


def _place_in_file(X: np.memmap) -> tuple[KnownFile, ArrayHeader] | None:
    """Where the entries of a memory map lie in its file; None where they may differ from the file's (mode "c").

    Raises:
        FileNotFoundError, ValueError: the file is gone, or holds other numbers.
    """
    mapped: Any = X
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if not isinstance(mapped, mmap.mmap) or X.mode == "c" or X.filename is None:
        return None
    # X may be a part of what was mapped, and the map starts at a multiple of the granularity.
    first = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    offset = first + X.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    file = KnownFile(Path(X.filename))
    with file.path.open("rb") as stream:
        for row, size in ((0, 0), (len(X) - 1, X.nbytes - X.nbytes // len(X))):
            stream.seek(offset + size)
            if stream.read(X.nbytes // len(X)) != X[row].tobytes():
                raise WrongValue("X", f"{file.path} is no longer the file that X maps", "map it again")
    return file, ArrayHeader(X.shape, X.dtype, offset)
