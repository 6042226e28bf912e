"""Reads a text table again for cells with more digits than a float64 holds: as decimals they would be other numbers.

Guarded by `tests/cli/test_certify.py`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

from jaxsoftmax.readers.csv_file import table_records
from jaxsoftmax.readers.read_table import table_text
from jaxsoftmax.support.errors import WrongValue

__all__ = ["is_shortest", "refuse_rounded_cells"]

_SAFE = 15  # float64 and back keeps every decimal of at most 15 digits


def is_shortest(cell: str) -> bool:
    """Whether the decimal in a cell and the shortest decimal of its float64 are the same number.

    Example:
        >>> from jaxsoftmax.readers.exact_cells import is_shortest
        >>> [is_shortest(cell) for cell in ("0.1", "1e3", "9007199254740993", "0.10000000000000000555", "1e-400")]
        [True, True, False, False, False]
    """
    cell = cell.strip()
    mantissa, _, exponent = cell.lower().partition("e")
    if not exponent and len(cell) <= _SAFE:
        return True
    value = float(cell)
    if value == 0:  # no Fraction: 10**(10**9) would fill the memory
        return not any(digit in "123456789" for digit in mantissa)
    # A finite float that is not 0 bounds the exponent by the length of the cell.
    return math.isfinite(value) and Fraction(cell) == Fraction(repr(value))


def refuse_rounded_cells(path: Path, table: dict[str, Any], names: tuple[str, ...]) -> None:
    r"""Refuse a table with a cell that float64 rounds to another decimal.

    Args:
        path: the file, as `read_table` has read it without complaint.
        table: `Dataset.table`.
        names: of the features.

    Raises:
        ValueError: naming line, column and cell, and the remedy.

    Example:
        >>> import pathlib, tempfile
        >>> from jaxsoftmax.readers.exact_cells import refuse_rounded_cells
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "eggs.csv"
        >>> _ = file.write_text("3.1,wren\n9.5,crow\n")
        >>> refuse_rounded_cells(file, {"delimiter": ",", "header": False, "target": 1}, ("column 0",))
    """
    records = table_records(path, table_text(path), table["delimiter"])
    if table["header"]:
        next(records)
    for line, row in records:
        del row[table["target"]]
        if max(map(len, row)) <= _SAFE and "e" not in "".join(row).lower():
            continue  # the quick way through large tables
        for name, cell in zip(names, row, strict=True):
            if not is_shortest(cell):
                given = f"{cell.strip()[:60]!r} has more digits than a float64 holds, which is {float(cell)!r}"
                remedy = "shorten the cell, or take each number as the float64 nearest to it"
                raise WrongValue(path, f"line {line}, column {name!r}: {given}", remedy)
