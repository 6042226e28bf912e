"""Reads CSV, TSV and other text tables: delimiter, header, numbers and labels, each fault named with its line.

Guarded by `tests/readers/test_read_table.py`.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.readers.columns import (
    LARGEST,
    TRUTH,
    find_target,
    integer_in,
    is_decimal,
    missing_cell,
    no_feature,
    no_label,
    refuse_identifiers,
)
from jaxsoftmax.readers.plain_lines import plain_rows
from jaxsoftmax.support.errors import WrongValue

__all__ = ["delimiter_of", "read_delimited", "table_records"]

_SHORT = 1000  # characters of cells that need no second look
_MISSING = {"", "?", "na", "n/a", "nan", "null", "none", "<na>"}


def delimiter_of(suffix: str, text: str) -> str | None:
    """The delimiter, found in the first line that is not empty; None means runs of blanks.

    Example:
        >>> from jaxsoftmax.readers.csv_file import delimiter_of
        >>> delimiter_of(".csv", "3.1;4.0;wren")
        ';'
    """
    # Of a large text nothing is copied but its lines.
    line = re.search(r"[^\r\n]+", text)
    first_line = line[0] if line else ""
    preferred = "," if suffix == ".csv" else "\t" if suffix == ".tsv" else None
    if preferred is not None and preferred in first_line:
        return preferred
    for candidate in ("\t", ";", ",") if suffix == ".csv" else ("\t", ",", ";"):
        if candidate in first_line:
            return candidate
    return None if len(first_line.split()) > 1 and suffix not in (".csv", ".tsv") else (preferred or ",")


def table_records(path: Path, text: str, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    r"""(line number, cells) of every line that is not blank; a quoted cell may span lines.

    Args:
        path: opens a message.
        text: the decoded content.
        delimiter: between cells; None: runs of blanks.

    Raises:
        ValueError: the quotes do not fit together; the message names the line.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.readers.csv_file import table_records
        >>> list(table_records(Path("eggs.csv"), '3.1, wren\n\n9.5,"crow"\n', ","))
        [(1, ['3.1', 'wren']), (3, ['9.5', 'crow'])]
    """
    if delimiter is None:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, line.split()
        return
    reader = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True)
    try:
        start = 1
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        raise WrongValue(path, f"line {reader.line_num}: {error}", "check the quotes there") from None


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends; a StringIO would hold four bytes for each letter."""
    if text.count("\r") != text.count("\r\n"):
        yield from io.StringIO(text, newline="")
        return
    start = 0
    while start < len(text):
        stop = text.find("\n", start) + 1 or len(text)
        yield text[start:stop]
        start = stop


def _is_number(cell: str) -> bool:
    """Whether a cell looks like a number, as it is none of a header's names: more of them do than are read as one."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_value(cell: str) -> bool:
    """Whether a cell is none of a header's names: it looks like a number, or is true or false."""
    return _is_number(cell) or cell.strip().lower() in TRUTH


def _is_header(first: list[str], second: list[str] | None, last: list[str] | None, label: int | None) -> bool:
    """Whether the first row holds names: cells that are no numbers where the next row has numbers, or is absent."""
    features = [k for k in range(len(first)) if k != label]
    words = [k for k in features if first[k].strip() and not _is_value(first[k])]
    if words:
        if second is None or len(second) != len(first) or len(words) == len(features):
            return True
        return any(_is_value(second[k]) or not second[k].strip() for k in words)
    if second is None or last is None or label is None or label >= min(len(second), len(last)):
        return False
    # A frame without column names is written with the names 0, 1, 2, ... and the label's name behind them.
    counted = [first[k].strip() for k in features] == [str(k) for k in range(len(features))] and len(features) > 1
    word_over_numbers = not _is_number(first[label]) and _is_number(second[label]) and _is_number(last[label])
    return word_over_numbers or (counted and not _is_number(first[label]) and first[label] != second[label])


def _column_names(path: Path, first: list[str], header: bool) -> list[str]:
    if not header:
        return [f"column {k}" for k in range(len(first))]
    names = [cell.strip() or f"column {k}" for k, cell in enumerate(first)]
    for k, name in enumerate(names):
        if name in names[:k]:
            places = f"{names.index(name)} and {k}"
            raise WrongValue(path, f"two columns are named {name!r} (columns {places} from 0)", "rename one of them")
    return names


def read_delimited(path: Path, text: str, target: str | int | None = None, suffix: str | None = None) -> Dataset:
    r"""Read a table from text; `read_table` says which forms are understood.

    Args:
        path: the file's name, which chooses the delimiter (by its suffix) and opens every message.
        text: the decoded content.
        target: the label column by name or index; default: the last.
        suffix: the one that chooses the delimiter, where it is not the path's (a compressed file).

    Returns:
        Dataset with X (N, D) float64 and y (N,) int64 or text.

    Raises:
        ValueError: a line or a cell cannot be used; the message names it, and what to do.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.readers.csv_file import read_delimited
        >>> read_delimited(Path("eggs.csv"), "3.1,4.0,wren\n9.5,12,crow\n").X.tolist()
        [[3.1, 4.0], [9.5, 12.0]]
    """
    suffix = (path.suffix if suffix is None else suffix).lower()
    delimiter = delimiter_of(suffix, text)
    records = table_records(path, text, delimiter)
    first_line, first = next(records, (0, []))
    if not first:
        raise WrongValue(path, "holds only blank lines", "give a file with a row a sample")
    second = next(records, None)
    if len(first) < 2:
        given = f"line {first_line} has one column ({first[0][:40]!r}), and features and a label are needed"
        raise WrongValue(path, given, "separate the columns by commas, tabs, semicolons or, in a .txt file, blanks")
    last = _last_cells(text, first)
    named = isinstance(target, str) and target in [cell.strip() for cell in first]
    guess = len(first) - 1 if target is None else _index_or_none(target, len(first))
    header = named or _is_header(first, second[1] if second else None, last, guess)
    names = _column_names(path, first, header)
    label = find_target(path, names, header, target)

    features = [name for k, name in enumerate(names) if k != label]
    plain = plain_rows(text, delimiter, len(names), label, header)
    if plain is not None:
        X, labels, lines = plain
        return _dataset(
            path, X, _labels(path, names[label], labels, lines, names), names, first, header, label, delimiter
        )

    values, labels, lines = array("d"), [], []
    pending = [(first_line, first)] if not header else []
    if second is not None:
        pending.append(second)

    def rows() -> Iterator[tuple[int, list[str]]]:
        yield from pending
        yield from records

    for line, row in rows():
        if len(row) != len(names):
            first_has = f"{'the header' if header else f'line {first_line}'} has {len(names)}"
            remedy = "complete the row or remove it (a cell that holds the delimiter needs quotes)"
            raise WrongValue(path, f"line {line} has {len(row)} cells, {first_has}", remedy)
        labels.append(row.pop(label).strip())
        lines.append(line)
        together = "".join(row)
        if not together.isascii() or "_" in together or (len(together) > _SHORT and max(map(len, row)) > _SHORT):
            _refuse_cell(path, line, row, features)
        try:
            values.extend(map(float, row))  # of what is left it reads decimals, inf and nan
        except ValueError:
            del values[len(features) * (len(labels) - 1) :]  # the cells before the one that it could not read
            row = [TRUTH.get(cell.strip().lower(), cell) for cell in row]
            _refuse_cell(path, line, row, features)
            values.extend(map(float, row))
    if not labels:
        raise WrongValue(path, "has a header and no rows", "give a file with a row a sample")
    X = np.frombuffer(values, dtype=np.float64).reshape(len(labels), len(features)).copy()
    if not np.isfinite(X).all():
        n, d = (int(k) for k in np.argwhere(~np.isfinite(X))[0])
        row = next(row for line, row in table_records(path, text, delimiter) if line == lines[n])
        cell = row[d + (d >= label)].strip()
        # What float() makes infinite although digits were written: not a missing value, but one out of range.
        beyond = any(c.isdigit() for c in cell)
        what = f"{cell[:40]!r} is beyond the largest float64 ({LARGEST:.2g})" if beyond else f"the cell is {X[n, d]}"
        remedy = "rescale the column (other units)" if beyond else "remove the row, or fill the cell in"
        raise WrongValue(path, f"line {lines[n]}, column {features[d]!r}: {what}, not finite", remedy)
    return _dataset(path, X, _labels(path, names[label], labels, lines, names), names, first, header, label, delimiter)


def _dataset(
    path: Path,
    X: np.ndarray,
    y: np.ndarray,
    names: list[str],
    first: list[str],
    header: bool,
    label: int,
    delimiter: str | None,
) -> Dataset:
    """What was read, with how it was read, and a note where the first column is an index."""
    features, notes = [name for k, name in enumerate(names) if k != label], ()
    if header and not first[0].strip() and label != 0 and len(y) > 1 and bool((np.diff(X[:, 0]) == 1).all()):
        notes = (
            "the first column has no name and counts the rows; it is used as a feature. Remove it if it is an index.",
        )
    table = {"delimiter": delimiter, "header": header, "target": label}
    return Dataset(path.name, X, y, tuple(features), names[label], f"file {path.name}", notes, table)


def _last_cells(text: str, first: list[str]) -> list[str] | None:
    """The last line's cells by a plain split, for the header's heuristic only."""
    line = next((line for line in reversed(text[-100_000:].splitlines()) if line.strip()), "")
    for delimiter in (",", "\t", ";", None):
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        if len(cells) == len(first):
            return cells
    return None


def _index_or_none(target: str | int, length: int) -> int | None:
    try:
        index = int(target)
    except ValueError:
        return None
    return index % length if -length <= index < length else None


def _refuse_cell(path: Path, line: int, row: list[str], features: list[str]) -> None:
    """Refuse the first cell that is no decimal; inf and nan are left to those who know the whole column."""
    for name, cell in zip(features, row, strict=True):
        if is_decimal(cell) or (_is_value(cell) and not any(c.isdigit() for c in cell)):
            continue
        where = f"line {line}, column {name!r}: {cell[:40]!r}"
        if cell.strip().lower() in _MISSING:
            raise missing_cell(path, where) from None
        if _is_number(cell):
            remedy = "write it with the digits 0 to 9, a point and perhaps an exponent, in at most 4,000 characters"
            raise WrongValue(path, f"{where} is no plain decimal", remedy) from None
        if _is_number(cell.replace(",", ".")):
            raise WrongValue(path, f"{where} has a decimal comma", "write decimals with a point") from None
        raise no_feature(path, f"{where} is no number") from None


def _labels(path: Path, name: str, labels: list[str], lines: list[int], names: list[str]) -> np.ndarray:
    """Labels as int64 where every cell is an integer (1.0 counts as 1), else as text; a class each."""
    numeric = [cell for cell in labels if _is_number(cell) and cell.lower() not in _MISSING]
    mostly_numbers = len(numeric) > len(labels) / 2
    plain = True
    for cell, line in zip(labels, lines, strict=True):
        # "NA" or "none" may be somebody's class, but not among numbers; an empty cell and NaN never are.
        if cell == "" or cell.lower() == "nan" or (mostly_numbers and cell.lower() in _MISSING):
            raise missing_cell(path, f"line {line}: the label {cell!r} (column {name!r})")
        if not is_decimal(cell):
            plain = False
            if mostly_numbers and _is_number(cell):  # inf, 1_000
                raise no_label(path, name, f"holds {cell[:40]!r} in line {line}, no text or integer", names)
    y = np.array(labels)
    if plain:
        known = {cell: integer_in(cell) for cell in set(labels)}
        for cell, line in zip(labels, lines, strict=True):
            if known[cell] is None:
                raise no_label(path, name, f"holds {cell[:40]!r} in line {line}, no text or integer", names)
        exact = [known[cell] for cell in labels]
        if max(abs(found) for found in exact if found is not None) < 2**63:
            y = np.array(exact, dtype=np.int64)
    refuse_identifiers(path, y, name, names)
    return y
