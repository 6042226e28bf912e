"""The headers of arrays in files, IDX and NPY: what they promise, and whether the file is as long as that.

Guarded by `tests/readers/test_formats.py` and `tests/training/streamed/test_source.py`.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxsoftmax.support.errors import WrongValue

__all__ = ["IDX_HEADER_BYTES", "IDX_TYPES", "ArrayHeader", "idx_header", "npy_header", "require_size"]

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IDX_HEADER_BYTES = 4 + 4 * 255  # of the longest header


class ArrayHeader(NamedTuple):
    """What stands before the entries of a stored array, which follow in C order.

    Attributes:
        shape: of the array.
        dtype: as stored, in the file's byte order.
        offset: the byte at which the entries start.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @property
    def size(self) -> int:
        """Bytes of header and entries."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def idx_header(path: Path, start: bytes) -> ArrayHeader:
    """Read the header of an IDX file.

    The format: two zero bytes, the code of the type, the number of dimensions, each dimension as a 32-bit big-endian
    integer, then the entries, big-endian, the last dimension fastest.

    Args:
        path: of the file, for messages.
        start: its first bytes, at least `IDX_HEADER_BYTES` where it has so many.

    Raises:
        ValueError: the magic number or the type is wrong, or the header is cut off.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.support.array_files import idx_header
        >>> idx_header(Path("a.idx"), bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        ArrayHeader(shape=(3,), dtype=dtype('uint8'), offset=8)
    """
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not start[3]:
        found = start[:4].hex(" ") or "nothing"
        wanted = f"00 00, a type code ({', '.join(f'{code:02x}' for code in IDX_TYPES)}) and the number of dimensions"
        raise WrongValue(path, f"is not an IDX file: it starts with {found}, not with {wanted}", "check its name")
    dimensions = start[3]
    offset = 4 + 4 * dimensions
    if len(start) < offset:
        raise WrongValue(path, f"is cut off in its header of {offset} bytes ({len(start)} found)", "fetch it again")
    shape = struct.unpack(f">{dimensions}I", start[4:offset])
    return ArrayHeader(shape, np.dtype(IDX_TYPES[start[2]]), offset)


def npy_header(path: Path, file: BinaryIO) -> ArrayHeader:
    """Read the header of an NPY file.

    Args:
        path: of the file, for messages.
        file: opened at the start of the header; read up to the first entry.

    Raises:
        ValueError: the header cannot be read, or the array is stored column by column (in Fortran order).

    Example:
        >>> import io, numpy as np
        >>> from pathlib import Path
        >>> from jaxsoftmax.support.array_files import npy_header
        >>> file = io.BytesIO()
        >>> np.save(file, np.zeros((2, 3), np.float32))
        >>> _ = file.seek(0)
        >>> npy_header(Path("a.npy"), file)
        ArrayHeader(shape=(2, 3), dtype=dtype('float32'), offset=128)
    """
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    start = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        if version not in read:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not for plain numbers")
        shape, fortran, dtype = read[version](file)
    except (ValueError, EOFError) as error:
        words = " ".join(str(error).split())[:100]
        raise WrongValue(path, f"its NPY header cannot be read ({words})", "write it again with numpy.save") from None
    if fortran and len(shape) > 1:
        given = "is stored column by column (in Fortran order), so that no row is in one piece"
        raise WrongValue(path, given, "write it again with numpy.save(path, numpy.ascontiguousarray(X))")
    return ArrayHeader(shape, dtype, file.tell() - start)


def require_size(path: Path, header: ArrayHeader, found: int) -> None:
    """Refuse a file that has not the bytes that its header promises.

    Args:
        path: of the file, for messages.
        header: of the array, which is all that the file holds.
        found: how many bytes there are, the header's included.

    Raises:
        ValueError: there are fewer or more.

    Example:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from jaxsoftmax.support.array_files import ArrayHeader, require_size
        >>> require_size(Path("a.idx"), ArrayHeader((3,), np.dtype("u1"), 8), 11)
    """
    if found != header.size:
        fault = "is cut off" if found < header.size else "is too long"
        entries = " x ".join(map(str, header.shape))
        sizes = f"its header promises {entries} entries, {header.size} bytes in all, and it has {found}"
        raise WrongValue(path, f"{fault}: {sizes}", "fetch or write it again")
