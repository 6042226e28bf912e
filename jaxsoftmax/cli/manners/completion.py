"""What a shell offers after Tab: names of methods, dtypes and points, and the columns of the table that is named.

typer keeps those that begin with what is typed already.
Nothing here imports NumPy or JAX: a shell waits for the answer.

Guarded by `tests/cli/test_manners.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["columns", "words"]


def words(*known: str) -> Callable[[], list[str]]:
    """A function that offers the words.

    Example:
        >>> from jaxsoftmax.cli.manners.completion import words
        >>> words("float32", "float64")()
        ['float32', 'float64']
    """
    return lambda: list(known)


def columns(ctx: Any) -> list[str]:
    """The columns of DATA, where it is a text table with a header and its name is typed already.

    Example:
        >>> from types import SimpleNamespace
        >>> from jaxsoftmax.cli.manners.completion import columns
        >>> columns(SimpleNamespace(params={}, args=["absent.csv"]))
        []
    """
    # While the option still lacks its value, the words before it are not told apart yet.
    typed = [word for word in (ctx.params.get("data"), *ctx.args) if word]
    path = next((Path(word) for word in typed if word.lower().endswith((".csv", ".tsv", ".txt"))), None)
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline(65536)
        cells = next(csv.reader([header], delimiter=max(",;\t", key=header.count)), [])
    except (OSError, ValueError, csv.Error):
        return []
    return [cell.strip() for cell in cells]
