"""Sources: each kind gives the rows of the array it was made from; a change meanwhile and every fault is one line."""

import gzip
import os
import struct
import sys
import tracemalloc
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.support.errors import WrongArgument, WrongType, WrongValue
from jaxsoftmax.training.streamed.source import open_source

N = 23
DTYPES = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
IDX_CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def numbers(dtype="f4", shape=(N, 5)):
    """Entries whose bytes differ from each other, so that a wrong order shows."""
    if jnp.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        return np.random.default_rng(0).integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype == "b1":
        return numbers("i1", shape) > 0
    return (numbers("i2", shape) / 7).astype(dtype)


def idx(array):
    """The bytes of an IDX file, written by the format's description."""
    code = IDX_CODES[array.dtype.newbyteorder("=").str[1:]]
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + big(array).tobytes()


def big(array):
    return array.astype(array.dtype.newbyteorder(">"))


def write(path, content):
    path.write_bytes(content)
    return path


def npy(path, array):
    np.save(path, array)
    return path


def npz(path, save=np.savez, **arrays):
    save(path, **arrays)
    return path


def mapped(folder, array):
    return np.load(npy(folder / "mapped.npy", array), mmap_mode="r")


def whole(rowsource, rows):
    """All rows of one pass, after a look at the chunks."""
    found = []
    for part, chunk in rowsource.chunks(rows):
        assert part.start == sum(map(len, found)) and part.stop - part.start == len(chunk)
        assert chunk.flags.c_contiguous and chunk.dtype == rowsource.dtype and chunk.dtype.isnative
        found.append(chunk.copy())
    assert all(len(chunk) == rows for chunk in found[:-1])
    return np.concatenate(found)


def require_rows(X, expected, name=None):
    rowsource = open_source(X)
    flat = expected.reshape(len(expected), -1)
    assert (rowsource.N, rowsource.width) == flat.shape
    assert rowsource.dtype == expected.dtype.newbyteorder("=")
    if name is not None:
        assert rowsource.name == str(name)
    for rows in (1, 4, N - 1, N, N + 1):
        assert np.array_equal(whole(rowsource, rows), flat)


def twice(array):
    """The array as every second column of one twice as wide."""
    return np.repeat(array, 2, axis=1)[:, ::2]


FILES = {
    "npy": lambda d, A: npy(d / "a.npy", A),
    "npy, big-endian": lambda d, A: npy(d / "a.npy", big(A)),
    "npy by another name": lambda d, A: write(d / "a.bin", npy(d / "a.npy", A).read_bytes()),
    "npy.gz": lambda d, A: write(d / "a.npy.gz", gzip.compress(npy(d / "a.npy", big(A)).read_bytes())),
    "text of a path": lambda d, A: str(npy(d / "a.npy", A)),
    "npz, one array": lambda d, A: npz(d / "a.npz", other=A),
    "npz, big-endian": lambda d, A: npz(d / "a.npz", other=big(A)),
    "npz, X of several": lambda d, A: npz(d / "a.npz", y=np.arange(3), X=A, Z=-A),
    "npz, compressed": lambda d, A: npz(d / "a.npz", np.savez_compressed, y=np.arange(3), X=big(A)),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("shape", [(N, 5), (N, 3, 2)], ids=["matrix", "images"])
def test_a_file_gives_the_rows_of_its_array(tmp_path, kind, shape):
    A = numbers("f4", shape)
    require_rows(FILES[kind](tmp_path, A), A)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_keep_the_dtype_that_is_stored(tmp_path, dtype):
    A = numbers(dtype)
    require_rows(npy(tmp_path / "a.npy", A), A, tmp_path / "a.npy")
    require_rows(mapped(tmp_path, A), A, tmp_path / "mapped.npy")
    require_rows(npz(tmp_path / "a.npz", np.savez_compressed, X=A), A, f"{tmp_path / 'a.npz'}:X")
    require_rows(A, A, "X")
    require_rows(big(A), A, "X")


@pytest.mark.parametrize("dtype", IDX_CODES)
@pytest.mark.parametrize("shape", [(N, 5), (N, 3, 2)], ids=["matrix", "images"])
def test_idx_of_every_type_is_read_packed_or_not(tmp_path, dtype, shape):
    A = numbers(dtype, shape)
    require_rows(write(tmp_path / "a-idx3-ubyte", idx(A)), A)
    require_rows(write(tmp_path / "a-idx3-ubyte.gz", gzip.compress(idx(A))), A)


def test_a_named_array_of_an_npz_file_is_read(tmp_path):
    A = numbers()
    npz(tmp_path / "a.npz", X=A, train=2 * A)
    require_rows(f"{tmp_path / 'a.npz'}:train", 2 * A, f"{tmp_path / 'a.npz'}:train")
    odd = write(tmp_path / "odd.npz:train", (tmp_path / "a.npz").read_bytes())  # a file may be called so
    require_rows(odd, A)


@pytest.mark.parametrize(
    "view",
    [
        lambda A: A,
        np.asfortranarray,
        twice,
        lambda A: A[::-1],
        lambda A: A[:, 1:3],
        lambda A: A.reshape(N, 5, 1).transpose(0, 2, 1),
    ],
    ids=["plain", "Fortran", "every second column", "backwards", "some columns", "three dimensions"],
)
def test_an_array_in_any_order_gives_its_rows(tmp_path, view):
    A = numbers()
    require_rows(view(A), view(A))
    require_rows(view(mapped(tmp_path, A)), view(A))


def test_a_part_or_a_view_of_a_memory_map_is_read_at_its_place_in_the_file(tmp_path):
    A = numbers("f4", (3 * N, 5))
    M = mapped(tmp_path, A)
    require_rows(M[N : 2 * N], A[N : 2 * N], tmp_path / "mapped.npy")
    require_rows(M[N:].view(np.uint8)[1 : N + 1], A[N:].view(np.uint8)[1 : N + 1], tmp_path / "mapped.npy")
    start = 4096 + 128  # past the first page, where the map itself starts later in the file
    far = write(tmp_path / "far", bytes(start) + A.tobytes())
    require_rows(np.memmap(far, np.float32, "r", start, A.shape)[1 : N + 1], A[1 : N + 1], far)


def test_bfloat16_is_read_from_memory_and_from_a_map(tmp_path):
    A = numbers("f4").astype(jnp.bfloat16)
    require_rows(A, A)
    require_rows(mapped(tmp_path, A).view(jnp.bfloat16), A, tmp_path / "mapped.npy")


def test_a_map_in_copy_on_write_mode_is_read_as_it_was_changed(tmp_path):
    A = numbers()
    M = np.load(npy(tmp_path / "a.npy", A), mmap_mode="c")
    M[3, 2] = 99
    require_rows(M, np.array(M), "X")


def test_a_map_that_was_written_to_is_read_as_it_is_now(tmp_path):
    M = np.load(npy(tmp_path / "a.npy", numbers()), mmap_mode="r+")
    M[3, 2] = 99
    M.flush()
    require_rows(M, np.array(M), tmp_path / "a.npy")


@pytest.mark.parametrize("row", [0, N - 1])
def test_a_map_of_a_file_that_was_replaced_is_refused(tmp_path, row):
    """Known by the first and the last row."""
    A = numbers()
    M = mapped(tmp_path, A)
    A[row, 4] += 1
    os.replace(npy(tmp_path / "other.npy", A), tmp_path / "mapped.npy")
    with pytest.raises(WrongValue, match=r"^X: .*mapped\.npy is no longer the file that X maps; map it again\.$"):
        open_source(M)


# A file that changes


def later(path):
    """The same file with another time of its last change."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10**9))


def longer(path):
    """One byte more, and the time as it was."""
    found = path.stat()
    with path.open("ab") as file:
        file.write(b"!")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def replaced(path):
    """Another file of the same bytes and time."""
    found = path.stat()
    other = write(path.with_name("other"), path.read_bytes())
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.replace(other, path)


def removed(path):
    path.unlink()


def shorter(path):
    os.truncate(path, path.stat().st_size // 2)


CHANGED = r"^[^;\n]*: is no longer the file that was opened at first: it has changed, or is gone; make the .* again"


@pytest.mark.parametrize("change", [later, longer, replaced, removed, shorter])
@pytest.mark.parametrize("kind", ["npy", "npz, X of several", "npz, compressed", "npy.gz"])
def test_a_file_that_changes_is_refused_at_the_start_and_the_end_of_a_pass(tmp_path, kind, change):
    for when in ("before", "during"):
        path = FILES[kind](tmp_path, numbers())
        rowsource = open_source(path)
        whole(rowsource, 9)
        if when == "before":
            change(path)
            with pytest.raises(WrongValue, match=CHANGED):
                next(rowsource.chunks(9))
        else:
            chunks = rowsource.chunks(9)
            next(chunks)
            change(path)
            with pytest.raises(WrongValue, match=CHANGED):
                list(chunks)


# Memory


@pytest.mark.slow_cases("npz, compressed", "npy.gz")
@pytest.mark.parametrize("kind", ["npy", "npz, compressed", "npy.gz"])
def test_a_pass_over_64_mb_takes_few_chunks_of_memory(tmp_path, kind):
    """Two chunks of 16 MiB; a stream unpacks 1 MiB at a time, which its parts may hold four times over."""
    path = FILES[kind](tmp_path, np.ones((2**14, 2**12), np.uint8))
    rowsource = open_source(path)
    tracemalloc.start()
    try:
        assert sum(int(chunk.sum()) for _, chunk in rowsource.chunks(2**12)) == 2**26
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 2 * 2**24 < peak < 2 * 2**24 + 2**22


# What is refused


def refusal(X, error=WrongArgument, **settings):
    with pytest.raises(error) as caught:
        open_source(X, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", lambda d: npy(d / "b.npy", numbers()).read_bytes()[:-1], ["is cut off", "23 x 5", "588", "587"]),
        ("a.npy", lambda d: npy(d / "b.npy", numbers()).read_bytes() + b"!", ["is too long"]),
        ("a.npy", lambda d: npy(d / "b.npy", numbers()).read_bytes()[:50], ["its NPY header cannot be read"]),
        ("a.npy", lambda d: b"\x93NUMPY\x09\x00" + bytes(99), ["its NPY header cannot be read"]),
        ("a.npy", lambda d: b"a,b\n1,2\n", ["starts with 'a,b", "no NPY, NPZ, IDX or Parquet", "numpy.save"]),
        ("a.npy", lambda d: b"", ["starts with nothing"]),
        ("a.npy", lambda d: npy(d / "b.npy", np.asfortranarray(numbers())).read_bytes(), ["Fortran", "ascontiguous"]),
        ("a.npy", lambda d: npy(d / "b.npy", np.array([[None]])).read_bytes(), ["dtype object", "convert it"]),
        ("a.npy", lambda d: npy(d / "b.npy", numbers()[:, 0]).read_bytes(), ["has the shape (23,)"]),
        ("a.npy", lambda d: npy(d / "b.npy", numbers()[:0]).read_bytes(), ["has the shape (0, 5)"]),
        ("a-idx2-ubyte", lambda d: idx(numbers("u1"))[:-1], ["is cut off", "23 x 5", "127", "126"]),
        ("a-idx2-ubyte", lambda d: idx(numbers("u1"))[:7], ["is cut off in its header"]),
        ("a-idx2-ubyte", lambda d: b"\0\0\x07\2" + bytes(99), ["is not an IDX file"]),
        ("a-idx1-ubyte", lambda d: idx(numbers("u1")[:, 0]), ["has the shape (23,)"]),
        ("a.npz", lambda d: npz(d / "b.npz", X=numbers()).read_bytes()[:-30], ["cannot be read", "zip"]),
        (
            "a.npz",
            lambda d: npz(d / "b.npz", A=numbers(), B=numbers()).read_bytes(),
            ["no array X, only A, B", ":NAME"],
        ),
        ("a.npz", lambda d: npz(d / "b.npz", X=np.array([["a"]])).read_bytes(), ["dtype <U1"]),
        ("a.npz", lambda d: npz(d / "b.npz", X=np.asfortranarray(numbers())).read_bytes(), ["Fortran"]),
        ("a.npy.gz", lambda d: gzip.compress(b"text, compressed"), ["starts with 'text"]),
        ("a.npy.gz", lambda d: gzip.compress(bytes(99))[:9], ["cannot be read", "ended before"]),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_when_it_is_opened(tmp_path, name, content, words):
    message = refusal(write(tmp_path / name, content(tmp_path)))
    assert message.startswith(str(tmp_path / name))
    for word in words:
        assert word in message


def test_what_is_no_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.npy", FileNotFoundError)
    assert "no such file" in refusal(f"{tmp_path / 'absent.npz'}:X", FileNotFoundError)
    assert "is a directory" in refusal(tmp_path)
    assert "no array Z, only X" in refusal(f"{npz(tmp_path / 'a.npz', X=numbers())}:Z")
    for X in ([[1.0]], None, jnp.ones((2, 2))):
        assert refusal(X, WrongType).endswith("give a NumPy array, a memory map or the path of a file.")
    assert "got a masked array, which has gaps" in refusal(np.ma.masked_array(numbers()), WrongType)
    for names in ({"columns": ["a"]}, {"without": ["a"]}):
        for X in (numbers(), npy(tmp_path / "a.npy", numbers())):
            assert "X is no Parquet file" in refusal(X, **names)


def test_an_npz_member_shorter_than_its_header_promises_is_refused(tmp_path):
    content = npy(tmp_path / "b.npy", numbers()).read_bytes()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
            archive.writestr("X.npy", content[:-4])
        assert "is cut off: its header promises 23 x 5" in refusal(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(idx(numbers("u1")))[:-20], "cannot be read"),
        (gzip.compress(idx(numbers("u1"))[:-9]), r"cannot be read \(it ends before its last row\)"),
        (gzip.compress(idx(numbers("u1")) + b"!"), "is too long"),
        (gzip.compress(idx(numbers("u1")))[:-8] + b"\1" * 8, r"cannot be read \(CRC check failed"),
    ],
    ids=["cut", "too short", "too long", "checksum"],
)
def test_damage_inside_a_compressed_file_is_found_in_the_first_pass(tmp_path, content, words):
    """So small a file is unpacked whole where its header is read."""
    path = write(tmp_path / "a.gz", content)
    with pytest.raises(WrongValue, match=words):
        whole(open_source(path), 4)


def test_a_wrong_checksum_in_a_compressed_npz_is_found_in_the_first_pass(tmp_path):
    content = bytearray(npz(tmp_path / "a.npz", np.savez_compressed, X=numbers()).read_bytes())
    at = content.index(b"PK\1\2") + 16  # of the directory's entry
    content[at] ^= 1
    path = write(tmp_path / "a.npz", content)
    with pytest.raises(WrongValue, match=r"cannot be read \(Bad CRC"):
        whole(open_source(path), 4)


# Parquet


def parquet(path, row_group_size=None, **columns):
    polars = pytest.importorskip("polars")
    polars.DataFrame(columns).write_parquet(path, row_group_size=row_group_size)
    return path


@pytest.mark.peers
@pytest.mark.parametrize(
    "block", [2**25, 7 * 4 * 3, 1], ids=["one block", "blocks of seven rows", "a row larger than a block"]
)
def test_parquet_gives_the_columns_that_are_asked_for(tmp_path, monkeypatch, block):
    """Whatever the row groups (of five rows), the blocks that are read, and the chunks."""
    monkeypatch.setattr("jaxsoftmax.training.streamed.parquet._BLOCK", block)
    A = numbers("f4", (N, 3))
    a, b, c = A.T
    path = parquet(tmp_path / "a[1].parquet", 5, a=a, b=b, y=["w"] * N, c=c, __index_level_0__=a)
    for settings, order in (
        ({"without": ["y"]}, [0, 1, 2]),
        ({"columns": ["c", "a"]}, [2, 0]),
        ({"columns": ["c", "b", "a"], "without": ["b"]}, [2, 0]),
    ):
        rowsource = open_source(path, **settings)
        assert rowsource.column_names == tuple("abc"[k] for k in order)
        assert rowsource.name == str(path) and (rowsource.N, rowsource.width) == (N, len(order))
        for rows in (1, 4, N, N + 1):
            assert np.array_equal(whole(rowsource, rows), A[:, order])


@pytest.mark.peers
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "f2"])
def test_parquet_keeps_the_dtype_and_takes_the_smallest_that_holds_all_columns(tmp_path, dtype):
    A, small = numbers(dtype, (N, 2)), numbers("i1", (N,))
    found = open_source(parquet(tmp_path / "a.parquet", a=A[:, 0], b=A[:, 1]))
    assert found.dtype == A.dtype
    assert np.array_equal(whole(found, 4), A)
    mixed = open_source(parquet(tmp_path / "b.parquet", a=A[:, 0], b=small)) if dtype != "u8" else None
    if mixed is not None:
        assert mixed.dtype == np.result_type(dtype, "i1")
        assert np.array_equal(whole(mixed, 4), np.column_stack([A[:, 0], small]))


@pytest.mark.peers
def test_parquet_integers_that_their_common_dtype_would_round_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxsoftmax.training.streamed.parquet._BLOCK", 2 * 2 * 8)  # two rows
    for large in (2**53 + 1, -(2**53) - 1):
        path = parquet(tmp_path / "a.parquet", a=[1.5, 2.5, 0.5], b=[2**53, -(2**53), large])
        with pytest.raises(WrongValue, match=f"row 2, column 'b': {large} may be no double"):
            whole(open_source(path), 2)
    path = parquet(tmp_path / "a.parquet", a=[1.5, 2.5], b=[2**53, -(2**53)])
    assert whole(open_source(path), 1).tolist() == [[1.5, 2.0**53], [2.5, -(2.0**53)]]


@pytest.mark.peers
def test_parquet_that_cannot_be_used_is_refused(tmp_path, monkeypatch):
    path = parquet(tmp_path / "a.parquet", a=[1.0], y=["wren"])
    assert "the column 'y' is of type String, not numeric; name it in place of y if it has the labels" in refusal(path)
    assert "has no column 'z', only a, y" in refusal(path, without=["z"])
    assert "has no column 'z', only a, y" in refusal(path, columns=["z"])
    assert "has the shape (1, 0)" in refusal(path, without=["a", "y"])
    assert "has the shape (0, 1)" in refusal(parquet(tmp_path / "b.parquet", a=np.zeros(0)))
    assert "cannot be read" in refusal(write(tmp_path / "c.parquet", path.read_bytes()[:-30]))
    monkeypatch.setattr("jaxsoftmax.training.streamed.parquet._BLOCK", 2 * 2 * 8)  # two rows
    empty = open_source(parquet(tmp_path / "d.parquet", a=[1.0, 2.0, 3.0, 4.0], b=[1.0, 2.0, 3.0, None]))
    with pytest.raises(WrongValue, match="row 3, column 'b': the cell is empty"):
        whole(empty, 1)


@pytest.mark.peers
def test_a_parquet_file_that_changes_is_refused(tmp_path):
    path = parquet(tmp_path / "a.parquet", a=np.arange(N))
    rowsource = open_source(path)
    chunks = rowsource.chunks(4)
    next(chunks)
    later(path)
    with pytest.raises(WrongValue, match=CHANGED):
        list(chunks)
    with pytest.raises(WrongValue, match=CHANGED):
        next(rowsource.chunks(4))


def test_parquet_without_polars_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"needs polars\. Run: pip install 'jaxsoftmax\[tables\]'"):
        open_source(write(tmp_path / "a.parquet", b"PAR1" + bytes(99)))
