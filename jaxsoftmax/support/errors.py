"""How an argument is refused: which one, what was given and the remedy, as fields that the command line words anew.

Guarded by `tests/support/test_validation.py`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["WrongArgument", "WrongType", "WrongValue", "did_you_mean", "no_such_file"]


class WrongArgument(Exception):
    """An argument that cannot be used; raised as `WrongValue` (a ValueError) or `WrongType` (a TypeError).

    Attributes:
        argument: its name, or the file in which the fault is.
        given: what was given, and what is wrong with it.
        remedy: what to give instead, in words that fit a Python call and a command line alike.

    Example:
        >>> from jaxsoftmax.support.errors import WrongValue
        >>> error = WrongValue("max_steps", "got 0", "give an integer >= 1")
        >>> str(error), error.remedy
        ('max_steps: got 0; give an integer >= 1.', 'give an integer >= 1')
    """

    argument: str
    given: str
    remedy: str

    def __init__(self, argument: Any, given: str, remedy: str) -> None:
        super().__init__(argument, given, remedy)
        self.argument, self.given, self.remedy = str(argument), given, remedy

    def __str__(self) -> str:
        return f"{self.argument}: {self.given}; {self.remedy}."


class WrongValue(WrongArgument, ValueError):
    """A value of the right kind that cannot be used."""


class WrongType(WrongArgument, TypeError):
    """A value of the wrong kind."""


def did_you_mean(word: Any, known: Iterable[str], otherwise: str) -> str:
    """The remedy for a word that is none of those known: the nearest of them, if one is near, before `otherwise`.

    Example:
        >>> from jaxsoftmax.support.errors import did_you_mean
        >>> did_you_mean("Specis", ["width", "species"], "choose a column")
        "did you mean 'species'? If not, choose a column"
        >>> did_you_mean("fish", ["width", "species"], "choose a column")
        'choose a column'
    """
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(word).casefold(), folded, 1)
    return f"did you mean {folded[near[0]]!r}? If not, {otherwise}" if near else otherwise


def no_such_file(path: Path) -> str:
    """What is said about a file that is not there, with the nearest name in its folder, if one is near.

    Example:
        >>> import pathlib
        >>> from jaxsoftmax.support.errors import no_such_file
        >>> no_such_file(pathlib.Path("absent.csv"))  # doctest: +ELLIPSIS
        'absent.csv: no such file; check the path (relative ones start at ...).'
    """
    try:
        beside = os.listdir(path.parent)
    except OSError:
        beside = []
    remedy = did_you_mean(path.name, beside, f"check the path (relative ones start at {Path.cwd()})")
    return f"{path}: no such file; {remedy}."
