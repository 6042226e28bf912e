"""Reads Parquet by polars and svmlight by scikit-learn, the libraries of the extra `tables`.

Guarded by `tests/readers/test_formats.py`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.readers.columns import (
    as_float64,
    as_labels,
    find_target,
    listing,
    missing_cell,
    no_feature,
    no_label,
    refuse_identifiers,
    refuse_nonfinite,
)
from jaxsoftmax.support.errors import WrongValue

__all__ = ["read_parquet", "read_svmlight"]

DENSE_ENTRIES = 2**30  # 8 GiB: an svmlight file may name a column in the billions
_PANDAS_INDEX = "__index_level_"
_LINE = "write a line a sample: label index:value index:value …, the indices rising"


def _missing(path: Path, what: str, package: str) -> ImportError:
    return ImportError(f"{path}: {what} needs {package}. Run: pip install 'jaxsoftmax[tables]'", name=package)


def read_parquet(path: Path, content: bytes, target: str | int | None) -> Dataset:
    """Read numeric feature columns and one label column (text, categories, booleans or integers) from Parquet.

    Args:
        path: opens every message.
        content: the file's bytes.
        target: the label column by name or index; default: the last.

    Raises:
        ImportError: polars is not installed; the message names the extra.
        ValueError: the file is damaged, or a column cannot be used.
    """
    try:
        import polars
    except ImportError:
        raise _missing(path, "reading Parquet", "polars") from None
    try:
        frame = polars.read_parquet(io.BytesIO(content), use_pyarrow=False)
    except (Exception, polars.exceptions.PanicException) as error:
        if isinstance(error, MemoryError):
            raise
        first = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise WrongValue(path, f"is not a Parquet file, or is damaged ({first})", "write it again") from None
    notes = ()
    index = [name for name in frame.columns if name.startswith(_PANDAS_INDEX)]
    if index:  # what pandas stores of a frame's index, behind the columns
        frame = frame.drop(index)
        notes = ("the index that pandas stored with the table is left out.",)
    names = frame.columns
    if len(names) < 2 or not frame.height:
        raise WrongValue(
            path,
            f"has {frame.height} rows and {len(names)} columns ({listing(names) or 'none'})",
            "give a row a sample, features and a label",
        )
    label = find_target(path, names, True, target)
    features = [name for k, name in enumerate(names) if k != label]
    columns = []
    for name in features:
        column = frame[name]
        if not (column.dtype.is_numeric() or column.dtype == polars.Boolean):
            raise no_feature(path, f"the column {name!r} is of type {column.dtype}")
        _refuse_null(path, name, column)
        cells = column.to_numpy() if column.dtype.is_integer() else column.cast(polars.Float64).to_numpy()
        columns.append(as_float64(path, cells, lambda index, name=name: f"row {index[0]}, column {name!r}"))
    X = np.column_stack(columns)
    refuse_nonfinite(path, X, lambda n, d: f"row {n}, column {features[d]!r}")
    y = _label_column(path, polars, frame[names[label]], names)
    return Dataset(path.name, X, y, tuple(features), names[label], f"file {path.name}", notes)


def _refuse_null(path: Path, name: str, column: Any) -> None:
    if column.null_count():
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise missing_cell(path, f"row {row}, column {name!r}: the cell")


def _label_column(path: Path, polars: Any, column: Any, names: list[str]) -> np.ndarray:
    name = column.name
    _refuse_null(path, name, column)
    if isinstance(column.dtype, (polars.Categorical, polars.Enum)):
        column = column.cast(polars.String)
    if column.dtype == polars.String:
        y = np.array(column.to_list(), dtype=np.str_)
    elif column.dtype.is_integer() or column.dtype.is_float() or column.dtype == polars.Boolean:
        y = column.to_numpy()
        whole = np.isfinite(y) & (y == np.floor(y)) if y.dtype.kind == "f" else np.True_
        if not whole.all():
            raise no_label(path, name, f"holds {y[~whole][0]}, no text or integer", names)
        y = as_labels(path, y, lambda n: f"row {n}, column {name!r}")
    else:
        raise no_label(path, name, f"is of type {column.dtype}, no text or integers", names)
    refuse_identifiers(path, y, name, names)
    return y


def read_svmlight(path: Path, content: bytes, target: str | int | None) -> Dataset:
    """Read `label index:value …` lines, the format of svmlight and libsvm, as a dense matrix.

    Indices start at 1, or at 0 where the file has an index 0; the columns keep the file's numbers in their names.

    Args:
        path: opens every message.
        content: the file's bytes, decompressed.
        target: must be None: the label opens each line.

    Raises:
        ImportError: scikit-learn is not installed; the message names the extra.
        ValueError: a line cannot be used, or the dense matrix would be too large.
    """
    try:
        from sklearn.datasets import load_svmlight_file
    except ImportError:
        raise _missing(path, "reading svmlight", "scikit-learn") from None
    if target is not None:
        given = f"got {target!r}, and in {path} (svmlight) the label opens each line"
        raise WrongValue("target", given, "leave it out")
    try:
        X, y = load_svmlight_file(io.BytesIO(content), zero_based=True)[:2]  # pyright: ignore[reportArgumentType]
    except (ValueError, OverflowError, TypeError) as error:
        line, fault = _faulty_line(content)
        words = f"line {line}: {fault}" if line else f"is not svmlight text ({' '.join(str(error).split())[:120]})"
        raise WrongValue(path, words, _LINE) from None
    N, columns = X.shape
    first = int(X.indices.min()) if X.nnz else 0
    start = 0 if first == 0 else 1  # "auto" of scikit-learn: no index 0 anywhere means that they start at 1
    if not N or not X.nnz:
        raise WrongValue(path, f"has {N} lines and no feature", _LINE)
    if N * (columns - start) > DENSE_ENTRIES:
        size = f"{N} samples with indices up to {columns - 1} are {N * columns * 8 / 2**30:.0f} GiB as a dense matrix"
        raise WrongValue(path, f"{size}, as the library needs it", "keep fewer features or samples")
    dense = np.asarray(X[:, start:].toarray(), np.float64)
    names = tuple(f"feature {k}" for k in range(start, columns))
    refuse_nonfinite(path, dense, lambda n, d: f"sample {n}, {names[d]}")
    labels = as_labels(path, np.asarray(y), lambda n: f"the label of sample {n}")
    return Dataset(path.name, dense, labels, names, "label", f"file {path.name}")


def _faulty_line(content: bytes) -> tuple[int, str]:
    """The first line that is not `label index:value …` with rising indices, and its fault; 0 where none is."""
    for number, raw in enumerate(content.splitlines(), 1):
        text = raw.split(b"#")[0].decode("utf-8", "replace")
        label, *pairs = text.split() or [""]
        try:
            float(label or "0")
        except ValueError:
            return number, f"{label[:40]!r} is no number to be a label"
        last = -1
        for pair in pairs:
            index, _, value = pair.partition(":")
            if index == "qid":
                continue
            try:
                float(value)
                place = int(index)
            except ValueError:
                return number, f"{pair[:40]!r} is not index:value"
            if place <= last:
                return number, f"the index {place} does not rise"
            last = place
    return 0, ""
