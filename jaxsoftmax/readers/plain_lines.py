"""Reads plain rows of text tables in blocks, by NumPy's parser; what is not plain is left to the careful reader.

Guarded by `tests/readers/test_plain_lines.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["plain_rows"]

_ROWS = 20_000  # parsed at a time
_LONGEST = 4000  # characters of a line in which no cell can be too long for the careful reader


def plain_rows(
    text: str, delimiter: str | None, width: int, label: int, header: bool
) -> tuple[np.ndarray, list[str], list[int]] | None:
    r"""(features (N, width - 1) float64, labels, line numbers) of a table, or None where a careful reader must look.

    It is left to that reader wherever there is a quote, a lone carriage return, a line with another number of cells or
    of great length, a cell that NumPy does not read as a number, or a number that is not finite. So what is returned
    is what the careful reader would return, and every fault is its to tell.

    Args:
        text: the whole table.
        delimiter: between cells; None: runs of blanks.
        width: the number of cells in a line.
        label: the index of the label's cell, from 0.
        header: whether the first line that is not blank holds names.

    Example:
        >>> from jaxsoftmax.readers.plain_lines import plain_rows
        >>> plain_rows("3.1,wren\n9.5,crow\n", ",", 2, 1, False)
        (array([[3.1],
               [9.5]]), ['wren', 'crow'], [1, 2])
    """
    if '"' in text:
        return None
    features = [k for k in range(width) if k != label]
    X, labels, numbers = np.empty((text.count("\n") + 1, len(features))), [], []
    lines, filled = _lines(text), 0
    front = label < width // 2  # the end of a line from which fewer cells are split off
    if header:
        next(lines, None)
    while True:
        block = []
        for number, line in lines:
            if "\r" in line or len(line) > _LONGEST or _cells_in(line, delimiter) != width:
                return None
            cells = line.split(delimiter, label + 1) if front else line.rsplit(delimiter, width - label)
            labels.append(cells[label if front else label - width].strip())
            numbers.append(number)
            block.append(line)
            if len(block) == _ROWS:
                break
        if not block:
            break
        try:
            rows = np.loadtxt(block, np.float64, comments=None, delimiter=delimiter, usecols=features, ndmin=2)
        except (ValueError, IndexError):
            return None
        if len(rows) != len(block) or not np.isfinite(rows).all():
            return None
        X[filled : filled + len(rows)] = rows
        filled += len(rows)
    return (X[:filled], labels, numbers) if filled else None


def _cells_in(line: str, delimiter: str | None) -> int:
    return len(line.split()) if delimiter is None else line.count(delimiter) + 1


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of every line that is not blank, without its end."""
    start, number = 0, 0
    while start < len(text):
        stop = text.find("\n", start)
        stop = len(text) if stop < 0 else stop
        number += 1
        line = text[start:stop].removesuffix("\r")
        if line.strip():
            yield number, line
        start = stop + 1
