"""Checks of the columns of a table: which holds the labels, and that features are finite and labels whole.

Guarded by `tests/readers/test_read_table.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jaxsoftmax.support.errors import WrongValue, did_you_mean

__all__ = [
    "LARGEST",
    "TRUTH",
    "as_float64",
    "as_labels",
    "find_target",
    "integer_in",
    "is_decimal",
    "listing",
    "missing_cell",
    "no_feature",
    "no_label",
    "refuse_continuous",
    "refuse_identifiers",
    "refuse_nonfinite",
]

LARGEST = float(np.finfo(np.float64).max)
TRUTH = {"true": "1", "false": "0"}  # what these words mean as the cells of a feature, in any case
_MOST_CHARACTERS = 4000  # of a number
_DECIMAL = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d+))?", re.ASCII | re.IGNORECASE)


def is_decimal(cell: str) -> bool:
    """Whether a cell is a number: a decimal in the digits 0 to 9, of at most 4,000 characters, blanks around it.

    `float` takes more: 1_000, the digits of other scripts, inf and nan.

    Example:
        >>> from jaxsoftmax.readers.columns import is_decimal
        >>> [is_decimal(cell) for cell in (" -1.5e3 ", ".5", "1_000", "nan", "1,5", "0x1")]
        [True, True, False, False, False, False]
    """
    cell = cell.strip()
    return len(cell) <= _MOST_CHARACTERS and _DECIMAL.fullmatch(cell) is not None


def integer_in(cell: str) -> int | None:
    """The integer that a decimal is, exactly; 2**63 for what is larger, with its sign; None where it is no integer.

    Example:
        >>> from jaxsoftmax.readers.columns import integer_in
        >>> [integer_in(cell) for cell in ("9007199254740993.0", "12e1", "0e-99", "1.5", "1e-400", "-1e999")]
        [9007199254740993, 120, 0, None, None, -9223372036854775808]
    """
    match = _DECIMAL.fullmatch(cell.strip())
    assert match is not None
    sign, mantissa, exponent = match.groups()
    whole, _, places = mantissa.partition(".")
    digits = (whole + places).lstrip("0")
    power = int(exponent or 0) - len(places) + len(digits) - len(digits.rstrip("0"))
    if not digits:
        return 0
    if power < 0:
        return None
    size = len(digits.rstrip("0")) + power
    found = min(int(digits.rstrip("0")) * 10**power, 2**63) if size <= 20 else 2**63
    return -found if sign == "-" else found


def listing(names: Sequence[str]) -> str:
    """The first dozen names, and how many there are."""
    return ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")


def missing_cell(path: Path, place: str) -> WrongValue:
    """The refusal of a cell that is empty or says that there is no value."""
    return WrongValue(path, f"{place} is missing", "remove the row, or fill the cell in")


def no_feature(path: Path, fault: str) -> WrongValue:
    """The refusal of a column that holds no numbers and is not the label."""
    remedy = "remove the column, encode it as numbers, or choose it as the target if it holds the labels"
    return WrongValue(path, f"{fault}, and features are numbers", remedy)


def no_label(path: Path, name: str, fault: str, names: Sequence[str]) -> WrongValue:
    """The refusal of a column that was taken as the label and holds none."""
    given = f"the column {name!r} of {path}, taken as the label, {fault}"
    return WrongValue("target", given, f"choose one of the columns: {listing(names)}")


def find_target(path: Path, names: Sequence[str], header: bool, target: str | int | None) -> int:
    """The index of the label column: by name, by index (negative ones count from the end), or the last.

    Raises:
        ValueError: no such column.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.readers.columns import find_target
        >>> find_target(Path("eggs.csv"), ["width", "bird", "length"], True, "-2")
        1
    """
    if target is None:
        return len(names) - 1
    if isinstance(target, str) and target in names:
        return list(names).index(target)
    try:
        index = int(target)
    except ValueError:
        where = did_you_mean(target, names, f"choose one of the columns: {listing(names)}")
        if not header:
            where = f"the file has no header, so give an index from 0 to {len(names) - 1}"
        raise WrongValue("target", f"no column of {path} is named {target!r}", where) from None
    if not -len(names) <= index < len(names):
        given = f"the index {index} is out of range of the {len(names)} columns of {path} ({listing(names)})"
        raise WrongValue("target", given, f"give an index from 0 to {len(names) - 1}, or a name")
    return index % len(names)


def as_float64(path: Path, X: np.ndarray, place: Callable[[tuple[int, ...]], str]) -> np.ndarray:
    """X in float64, whose every integer must be one that a double holds; `place(index)` says where an entry is.

    Raises:
        ValueError: an integer beyond 2**53 would be rounded.

    Example:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from jaxsoftmax.readers.columns import as_float64
        >>> as_float64(Path("a.npz"), np.array([[3]]), str)
        array([[3.]])
    """
    F = X.astype(np.float64)
    if X.dtype.kind in "iu" and X.dtype.itemsize == 8:
        for index in map(tuple, np.argwhere(np.abs(F) >= 2.0**53).tolist()):
            if int(F[index]) != int(X[index]):
                given = f"{place(index)} is the integer {int(X[index])}, which no float64 holds exactly"
                raise WrongValue(path, given, "rescale or shift the column, or store it as floats to have it rounded")
    return F


def refuse_nonfinite(path: Path, X: np.ndarray, place: Callable[[int, int], str]) -> None:
    """Name the first entry of X that is not finite; `place(n, d)` says where it is."""
    if not np.isfinite(X).all():
        n, d = (int(k) for k in np.argwhere(~np.isfinite(X))[0])
        raise WrongValue(path, f"{place(n, d)} is {X[n, d]}, not finite", "remove the row, or fill the entry in")


def as_labels(path: Path, y: np.ndarray, place: Callable[[int], str]) -> np.ndarray:
    """Labels (N,) from an array: text and integers as they are, whole floats as int64.

    Raises:
        ValueError: a label is no integer, or the array holds neither numbers nor text.
    """
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.floor(y)) & (np.abs(y) < 2.0**63)
        if not whole.all():
            n = int(np.argmin(whole))
            raise WrongValue(path, f"{place(n)} is {y[n]}", "give labels that are text or integers")
        return y.astype(np.int64)
    if y.dtype.kind not in "iubUS":
        raise WrongValue(path, f"{place(0)} has dtype {y.dtype}", "give labels that are text or integers")
    return y.astype(np.str_) if y.dtype.kind == "S" else y


def refuse_identifiers(path: Path, y: np.ndarray, name: str, names: Sequence[str]) -> None:
    """A column in which all of twenty cells or more differ is no class.

    Raises:
        ValueError: they do.
    """
    count = len(np.unique(y))
    if count == len(y) and count >= 20:
        fault = f"has {count} cells, all different: an identifier, not a class"
        raise no_label(path, name, fault, names)


def refuse_continuous(y: np.ndarray, name: str) -> None:
    """A column of whole numbers with fewer than two rows for each looks like a number to predict, not like a class.

    Raises:
        ValueError: it does; twenty numbers or more are needed to say so.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.readers.columns import refuse_continuous
        >>> refuse_continuous(np.arange(40) // 2, "grade")
        >>> refuse_continuous(np.arange(40) // 1.5 // 1, "weight")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        jaxsoftmax.support.errors.WrongValue: target: the column 'weight' has 27 different ...
    """
    count = len(np.unique(y)) if y.ndim == 1 and y.dtype.kind in "iuf" else 0
    if count >= 20 and 2 * count > len(y):
        given = (
            f"the column {name!r} has {count} different numbers in {len(y)} rows, which looks like a number to predict"
        )
        raise WrongValue("target", given, "choose a column of classes")
