"""Rows from files that hold one array: NPY, a member of NPZ, IDX; read in place, or unpacked row after row.

Guarded by `tests/training/streamed/test_source.py`.
"""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxsoftmax.support.array_files import IDX_HEADER_BYTES, ArrayHeader, idx_header, npy_header, require_size
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.training.streamed.known_file import KnownFile
from jaxsoftmax.training.streamed.rows import Fill, RowSource, row_layout

__all__ = ["array_file", "npz_member", "packed_array", "rows_in_place"]

_PIECE = 2**20  # bytes read at a time: what a stream unpacks beside the buffer
_NPY = b"\x93NUMPY"
_ZIP_HEADER = struct.Struct("<26xHH")  # of a member: ends in the lengths of what follows, its name and an extra field


def array_file(file: KnownFile) -> RowSource:
    """The rows of an NPY or IDX file, read in place.

    Raises:
        ValueError: it is neither, its header cannot be used, or its length is not what the header promises.
    """
    with file.reading(), file.path.open("rb") as stream:
        header = _header(file.path, stream)
    rows = rows_in_place(file, header)
    require_size(file.path, header, file.size)
    return rows


def packed_array(file: KnownFile) -> RowSource:
    """The rows of an NPY or IDX file that gzip has compressed; its length is known at the end of a pass only.

    Raises:
        ValueError: it is neither, or its header cannot be used.
    """

    def unpacked() -> BinaryIO:
        return gzip.open(file.path)  # pyright: ignore[reportReturnType]

    with file.reading(), unpacked() as stream:
        header = _header(file.path, stream)
    return _source(str(file.path), header, lambda: _unpacked_rows(file, header, unpacked))


def npz_member(file: KnownFile, wanted: str | None) -> RowSource:
    """The rows of one array of an NPZ file: read in place where it is stored as it is, else unpacked.

    Args:
        file: the archive.
        wanted: the array's name; None: X, or the only one.

    Raises:
        ValueError: no such array, or it cannot be used.
    """

    @contextmanager
    def unpacked() -> Iterator[BinaryIO]:
        with zipfile.ZipFile(file.path) as archive, archive.open(info) as stream:
            yield stream  # pyright: ignore[reportReturnType]

    with file.reading(), zipfile.ZipFile(file.path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        key = wanted if wanted is not None else "X" if len(members) != 1 else next(iter(members))
        if key not in members:
            given = f"has no array {key}, only {', '.join(list(members)[:12]) or 'none'}"
            raise WrongValue(file.path, given, f"name one, as in {file.path.name}:NAME")
        info, name = members[key], f"{file.path}:{key}"
        with archive.open(info) as stream:
            header = npy_header(file.path, stream)  # pyright: ignore[reportArgumentType]
        assert archive.fp is not None
        archive.fp.seek(info.header_offset)
        before = _ZIP_HEADER.size + sum(_ZIP_HEADER.unpack(archive.fp.read(_ZIP_HEADER.size)))
    if info.compress_type == zipfile.ZIP_STORED:
        place = info.header_offset + before + header.offset
        rows = rows_in_place(file, header._replace(offset=place), name)
    else:
        rows = _source(name, header, lambda: _unpacked_rows(file, header, unpacked))
    require_size(file.path, header, info.file_size)
    return rows


def rows_in_place(file: KnownFile, header: ArrayHeader, name: str | None = None) -> RowSource:
    """The rows that lie in a file as they are, from a given byte on.

    Raises:
        TypeError, ValueError: the array is no matrix of numbers.
    """

    @contextmanager
    def opened() -> Iterator[Fill]:
        with file.reading(), file.path.open("rb") as stream:
            stream.seek(header.offset)
            yield _filling(stream, header.dtype)

    return _source(name or str(file.path), header, opened)


def _header(path: Path, stream: BinaryIO) -> ArrayHeader:
    """Of an NPY or IDX file, told apart by how it starts."""
    start = stream.read(IDX_HEADER_BYTES)
    if start.startswith(_NPY):
        stream.seek(0)
        return npy_header(path, stream)
    if start.startswith(b"\0\0"):
        return idx_header(path, start)
    found = repr(start[:8])[1:] if start else "nothing"
    remedy = "write it with numpy.save, or as Parquet"
    raise WrongValue(path, f"starts with {found}: it is no NPY, NPZ, IDX or Parquet file", remedy)


def _source(name: str, header: ArrayHeader, opened: Callable[[], AbstractContextManager[Fill]]) -> RowSource:
    return RowSource(name, *row_layout(name, header.shape, header.dtype), None, opened)


@contextmanager
def _unpacked_rows(
    file: KnownFile, header: ArrayHeader, unpacked: Callable[[], AbstractContextManager[BinaryIO]]
) -> Iterator[Fill]:
    with file.reading(), unpacked() as stream:
        stream.read(header.offset)
        yield _filling(stream, header.dtype)
        # Asking for more than there should be also lets the stream compare its checksum.
        if stream.read(1):
            raise WrongValue(file.path, "is too long: its header promises less", "fetch or write it again")


def _filling(stream: BinaryIO, stored: np.dtype) -> Fill:
    """Fills buffers with the bytes that follow, brought into native order."""

    def fill(out: np.ndarray) -> None:
        left = out.view(np.uint8).reshape(-1).data
        while left:
            found = stream.readinto(left[:_PIECE])  # pyright: ignore[reportAttributeAccessIssue]
            if not found:
                raise EOFError("it ends before its last row")
            left = left[found:]
        if not stored.isnative:
            out.byteswap(inplace=True)

    return fill
