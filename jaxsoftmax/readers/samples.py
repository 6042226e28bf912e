"""Reads new samples for a trained classifier from a file: columns found by name, labels beside them if any."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxsoftmax.readers.columns import TRUTH, find_target, is_decimal, listing, missing_cell
from jaxsoftmax.readers.csv_file import delimiter_of, table_records
from jaxsoftmax.readers.read_table import is_compressed, is_text_table, read_table, table_text
from jaxsoftmax.support.errors import WrongValue

__all__ = ["Samples", "read_samples"]


class Samples(NamedTuple):
    """New samples X (N, width) float64, their labels (N,) as text or None, and the columns that were not used."""

    X: np.ndarray
    labels: np.ndarray | None
    unused: tuple[str, ...]


def read_samples(path: str | Path, names: Sequence[str] | None, width: int, target: str | None = None) -> Samples:
    r"""The columns of a file that a classifier was trained on, in their order.

    In a text table whose first line holds every one of `names`, columns are found by name, and others are left out.
    Otherwise columns are taken as they come, and there must be `width` of them besides the target. Files of other
    formats hold labels, and are read as `read_table` reads them; an NPZ file without a target is read for X alone.

    Args:
        path: the file.
        names: of the columns trained on; None where they had none.
        width: how many they are.
        target: the column of labels, by name or index, if there is one.

    Raises:
        FileNotFoundError, ValueError: as `read_table`; columns that are not there.

    Example:
        >>> import pathlib, tempfile
        >>> from jaxsoftmax.readers.samples import read_samples
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "eggs.csv"
        >>> _ = file.write_text("nest,length,width\na,4.0,3.1\nb,12,9.5\n")
        >>> read_samples(file, ["width", "length"], 2)
        Samples(X=array([[ 3.1,  4. ],
               [ 9.5, 12. ]]), labels=None, unused=('nest',))
    """
    path = Path(path)
    if not is_text_table(path):
        return _from_other_formats(path, names, width, target)
    text = table_text(path)
    delimiter = delimiter_of(path.with_suffix("").suffix if is_compressed(path) else path.suffix, text)
    records = table_records(path, text, delimiter)
    first_line, first = next(records, (0, []))
    if not first:
        raise WrongValue(path, "holds only blank lines", "give a file with a row a sample")
    cells = [cell.strip() for cell in first]
    header = _is_header(cells, names, target)
    columns = cells if header else [f"column {k}" for k in range(len(cells))]
    label = None if target is None else find_target(path, columns, header, target)
    used = _used(path, columns, header, names, width, label)
    rows, labels = [], []
    if not header:
        records = iter([(first_line, first), *records])
    for line, row in records:
        if len(row) != len(columns):
            given = f"line {line} has {len(row)} cells, line {first_line} has {len(columns)}"
            raise WrongValue(
                path, given, "complete the row or remove it (a cell that holds the delimiter needs quotes)"
            )
        rows.append([_number(path, line, columns[k], row[k]) for k in used])
        if label is not None:
            labels.append(row[label].strip())
    if not rows:
        raise WrongValue(path, "has a header and no rows", "give a file with a row a sample")
    unused = tuple(name for k, name in enumerate(columns) if k != label and k not in used)
    return Samples(np.array(rows), None if label is None else np.array(labels), unused)


def _is_header(cells: list[str], names: Sequence[str] | None, target: str | None) -> bool:
    """Whether the first line holds names: those trained on, the target's, or nothing that could be a value."""
    if names is not None and set(names) <= set(cells):
        return True
    if target is not None and target in cells and not is_decimal(target):
        return True
    return not any(is_decimal(cell) or cell.lower() in TRUTH for cell in cells)


def _used(
    path: Path, columns: list[str], header: bool, names: Sequence[str] | None, width: int, label: int | None
) -> list[int]:
    """The indices of the columns trained on, in their order."""
    if header and names is not None and not all(name.startswith("column ") for name in names):
        missing = [name for name in names if name not in columns]
        if missing:
            there = listing(columns)
            raise WrongValue(path, f"lacks the columns {listing(missing)} (it has {there})", "give those trained on")
        twice = [name for name in names if columns.count(name) > 1]
        if twice:
            raise WrongValue(path, f"two columns are named {twice[0]!r}", "rename one of them")
        return [columns.index(name) for name in names]
    used = [k for k in range(len(columns)) if k != label]
    if len(used) != width:
        more = " besides the target" if label is not None else ""
        remedy = "name the target if one holds labels" if len(used) == width + 1 else "give those trained on"
        raise WrongValue(path, f"has {len(used)} columns{more}, the weights are for {width}", remedy)
    return used


def _number(path: Path, line: int, name: str, cell: str) -> float:
    cell = TRUTH.get(cell.strip().lower(), cell)
    if not is_decimal(cell):
        where = f"line {line}, column {name!r}"
        if not cell.strip():
            raise missing_cell(path, where)
        raise WrongValue(path, f"{where}: {cell.strip()[:40]!r} is no number", "write decimals with a point")
    value = float(cell)
    if not np.isfinite(value):
        raise WrongValue(path, f"line {line}, column {name!r}: beyond the largest float64", "rescale the column")
    return value


def _from_other_formats(path: Path, names: Sequence[str] | None, width: int, target: str | None) -> Samples:
    labels = None
    if path.suffix.lower() == ".npz" and target is None:
        X, found = _npz_samples(path), []
    else:
        data = read_table(path, target)
        X, found, labels = data.X, list(data.feature_names), data.y.astype(str) if data.y.ndim == 1 else None
    if names is not None and found and set(names) <= set(found):
        unused = tuple(name for name in found if name not in names)
        return Samples(X[:, [found.index(name) for name in names]], labels, unused)
    if X.shape[1] != width:
        raise WrongValue(path, f"has {X.shape[1]} columns, the weights are for {width}", "give those trained on")
    return Samples(X, labels, ())


def _npz_samples(path: Path) -> np.ndarray:
    """The array X of an NPZ file, whatever else it holds."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            X = stored["X"]
    except (KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError):
        raise WrongValue(path, "is no NPZ file with an array X of numbers", "save X (N, D) in it") from None
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise WrongValue(
            path, f"X has shape {X.shape}, dtype {X.dtype}", "save a numeric matrix (N, D), a row a sample"
        )
    return X
