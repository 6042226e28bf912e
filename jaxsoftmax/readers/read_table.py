"""Reads a file of any format (CSV, TSV, text, NPZ, Parquet, svmlight, IDX) into a Dataset, NPZ files itself."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.readers.columns import as_float64, as_labels, refuse_nonfinite
from jaxsoftmax.readers.csv_file import read_delimited
from jaxsoftmax.readers.idx import is_idx, read_idx
from jaxsoftmax.readers.parquet_svmlight import read_parquet, read_svmlight
from jaxsoftmax.support.errors import WrongValue, no_such_file

__all__ = ["is_compressed", "is_text_table", "read_table", "table_text"]

_EXPORT = "export the table as CSV text in UTF-8, or as NPZ with arrays X and y"
_COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MOST_UNPACKED = 100  # times its size, to which a compressed file may unpack; 64 MiB are always allowed
_SVMLIGHT = {".svm", ".svmlight", ".libsvm"}
_PARQUET = {".parquet", ".pq"}
_NOT_READ = {  # suffix -> what it is
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), "a spreadsheet"),
    **dict.fromkeys((".feather", ".arrow", ".ipc", ".orc", ".avro"), "a columnar file other than Parquet"),
    **dict.fromkeys((".h5", ".hdf5", ".nc", ".mat", ".zarr"), "an HDF5 or MATLAB container"),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "a pickle, not safe to open"),
    **dict.fromkeys((".sav", ".dta", ".sas7bdat", ".rds", ".rdata"), "a statistics package's file"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".xml", ".arff", ".yaml", ".yml"), "not a plain table"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".duckdb"), "a database"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".zst"), "an archive"),
    **dict.fromkeys((".npy", ".pt", ".safetensors"), "an array without its labels"),
}


def read_table(path: str | Path, target: str | int | None = None) -> Dataset:
    r"""Read a data set from a file.

    CSV, TSV and text files: one sample a line, numeric features, one label column (text or integers). The delimiter is
    a comma for .csv and a tab for .tsv, unless the first line has none of them; else it is found in the first line
    (tab, comma, semicolon, blanks). A first line whose feature cells are not numbers is a header. NPZ files: arrays X
    (N, D) and y (N,), or T (N, C) with probability targets; nothing is unpickled. Parquet (.parquet, .pq) and svmlight
    (.svm, .svmlight, .libsvm) need the extra `tables`. IDX (MNIST): name the file of images. Any of them may be
    compressed with a further suffix .gz, .bz2 or .xz.

    Args:
        path: the file.
        target: the label column by name, or by its index from 0 (negative ones count from the end); default: the last
            column. In an NPZ file, the name of the label array; for IDX images, the path of their labels, by default
            the file beside them that MNIST's naming gives; none for svmlight.

    Returns:
        Dataset with X (N, D) float64 and y (N,) int64 or text (or (N, C) float64 from an NPZ file).

    Raises:
        FileNotFoundError: no such file.
        ImportError: the library that reads the format is not installed; the message names the extra.
        ValueError: the file or a cell of it cannot be used; the message names which, and what to do.

    Example:
        >>> import jaxsoftmax as js, tempfile, pathlib
        >>> from jaxsoftmax.readers.read_table import read_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "eggs.csv"
        ...     _ = file.write_text("width,length,bird\n3.1,4.0,wren\n9.5,12,crow\n")
        ...     read_table(file, target="bird").classes
        ('crow', 'wren')
    """
    path = Path(path)
    name, content = _load(path)
    suffix = Path(name).suffix.lower()
    if suffix == ".npz":
        return _read_npz(path, content, target)
    if suffix in _PARQUET or (content[:4] == b"PAR1" == content[-4:]):
        return read_parquet(path, content, target)
    if suffix in _SVMLIGHT:
        return read_svmlight(path, content, target)
    if is_idx(name):
        return read_idx(path, content, target, lambda other: _load(other)[1])
    if suffix in _NOT_READ:
        raise WrongValue(path, f"{suffix} is {_NOT_READ[suffix]}, which is not read", _EXPORT)
    text = _decode(path, content)
    del content  # the bytes of a large table, beside its text and its numbers
    return read_delimited(path, text, target, suffix)


def _load(path: Path) -> tuple[str, bytes]:
    """The file's name without the suffix of a compression, and its bytes, decompressed."""
    if path.is_dir():
        raise WrongValue(path, "is a directory", "name one file in it")
    if not path.exists():
        raise FileNotFoundError(no_such_file(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongValue(path, f"cannot be read ({error.strerror or error})", "check its permissions") from None
    name = path.name
    packed = _COMPRESSED.get(path.suffix.lower())
    if packed is not None:
        name = path.stem
        try:
            with packed(io.BytesIO(content)) as file:
                content = _unpacked(path, file, max(1 << 26, _MOST_UNPACKED * len(content)))
        except WrongValue:
            raise
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise WrongValue(
                path, f"is not {path.suffix} data, or is damaged ({str(error)[:80]})", "fetch or compress it again"
            ) from None
    if not content:
        raise WrongValue(path, "is empty (0 bytes)", "give a file with a row a sample")
    return name, content


def _unpacked(path: Path, file: Any, most: int) -> bytes:
    """What is left of a compressed file, refused before it fills the memory."""
    parts, size = [], 0
    while part := file.read(1 << 20):
        size += len(part)
        if size > most:
            given = f"unpacks to more than {most >> 20} MiB, the most that is read of a file so small"
            raise WrongValue(path, given, "unpack it yourself, if it is what it should be")
        parts.append(part)
    return b"".join(parts)


def is_compressed(path: Path) -> bool:
    """Whether the file's last suffix is one of a compression that is read."""
    return path.suffix.lower() in _COMPRESSED


def is_text_table(path: Path) -> bool:
    """Whether a file is read as a text table, by its name.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.readers.read_table import is_text_table
        >>> [is_text_table(Path(name)) for name in ("a.csv.gz", "a.txt", "a.npz", "train-images-idx3-ubyte.gz")]
        [True, True, False, False]
    """
    name = path.stem if is_compressed(path) else path.name
    suffix = Path(name).suffix.lower()
    return not (suffix == ".npz" or suffix in _PARQUET | _SVMLIGHT or suffix in _NOT_READ or is_idx(name))


def table_text(path: Path) -> str:
    """The text of a delimited table, decompressed and decoded as `read_table` does it.

    Raises:
        FileNotFoundError, ValueError: as `read_table` raises them.

    Example:
        >>> import tempfile, pathlib
        >>> from jaxsoftmax.readers.read_table import table_text
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "eggs.csv"
        >>> _ = file.write_text("3.1,wren")
        >>> table_text(file)
        '3.1,wren'
    """
    return _decode(path, _load(path)[1])


def _decode(path: Path, content: bytes) -> str:
    if b"\0" in content[:4096] or content[:2] in (b"\x1f\x8b", b"PK") or b"\0" in content:
        remedy = "it is compressed by gzip: add .gz to its name" if content[:2] == b"\x1f\x8b" else _EXPORT
        raise WrongValue(path, "is not text (binary bytes found)", remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise WrongValue(path, f"line {line} is not UTF-8 (byte 0x{content[error.start]:02x})", _EXPORT) from None


def _read_npz(path: Path, content: bytes, target: str | int | None) -> Dataset:
    damaged = WrongValue(path, "is not an NPZ archive, or is damaged", "save it with numpy.savez(path, X=X, y=y)")
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise damaged
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            keys = list(stored.files)
            wanted = str(target) if target is not None else "y" if "y" in keys else "T"
            if "X" not in keys or wanted not in keys:
                missing = "X" if "X" not in keys else wanted if target is not None else "y (or T)"
                given = f"has no array {missing}, only {', '.join(keys) or 'none'}"
                raise WrongValue(path, given, "save X (N, D) and y (N,) or T (N, C)")
            X, y = _npz_array(path, stored, "X"), _npz_array(path, stored, wanted)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise damaged from None
    if X.ndim != 2 or X.dtype.kind not in "fiub" or 0 in X.shape:
        given = f"X has shape {X.shape}, dtype {X.dtype}"
        raise WrongValue(path, given, "save a numeric matrix (N, D), a row a sample")
    if y.ndim not in (1, 2) or len(y) != len(X):
        needed = f"save ({len(X)},) labels or ({len(X)}, C) probabilities"
        raise WrongValue(path, f"{wanted} has shape {y.shape}", needed)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    X = as_float64(path, X, lambda index: f"X[{index[0]}, {index[1]}]")
    refuse_nonfinite(path, X, lambda n, d: f"X[{n}, {d}]")
    names = tuple(f"x{d}" for d in range(X.shape[1]))
    if y.ndim == 1:
        y = as_labels(path, y, lambda n: f"{wanted}[{n}]")
    return Dataset(path.name, X, y, names, wanted, f"file {path.name}")


def _npz_array(path: Path, stored: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        return np.asarray(stored[key])
    except ValueError as error:
        raise WrongValue(path, f"the array {key} cannot be read ({error})", "save it as numbers or text") from None
