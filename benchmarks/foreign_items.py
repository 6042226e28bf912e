"""The items of `foreign.py`: the tests' zoo of functions of others and seeded bugs, as checkers are given them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import peers_derivatives

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from helpers.foreign import cases as zoo  # pyright: ignore[reportMissingImports] (of tests/)
from helpers.foreign.case import weighted  # pyright: ignore[reportMissingImports]
from helpers.seeded.case import SECOND  # pyright: ignore[reportMissingImports]
from helpers.seeded.cases import SEEDED  # pyright: ignore[reportMissingImports]
from helpers.unseen.cases import UNSEEN  # pyright: ignore[reportMissingImports]

DTYPES = ("float32", "float64")
CASES: dict[str, Any] = {"zoo": zoo.CASES, "seeded": SEEDED, "unseen": UNSEEN}


class Item(NamedTuple):
    """One derivative in one dtype: `side` is "right" or "wrong"."""

    kind: str
    index: int
    dtype: str
    side: str

    @property
    def case(self) -> Any:
        """The case of the zoo, or the seeded bug."""
        return CASES[self.kind][self.index]

    @property
    def family(self) -> str:
        """The group in which the summary counts it: the library, or the kind of bug."""
        return self.case.library if self.kind == "zoo" else self.case.family

    @property
    def label(self) -> str:
        """The key of its row."""
        return f"{self.kind}, {self.case.name}, {self.dtype}, {self.side}"


class Problem(NamedTuple):
    """What is given to the checkers."""

    fun: Callable[..., Any]
    at: Any
    args: tuple[Any, ...]
    rules: dict[str, Any]
    names: tuple[str, ...] = ()
    second: bool = False


def problem(item: Item) -> Problem:
    """The function, the point and the rules of an item."""
    if item.kind == "zoo":
        fun, at, args = item.case.example(np.dtype(item.dtype).type)
        return Problem(fun, at, args, {})
    setup, wrong = item.case.setup(item.dtype), item.side == "wrong"
    fun, rules = (setup.fun, setup.wrong) if wrong else (setup.right_fun, setup.right)
    return Problem(fun, setup.at, setup.args, rules, setup.names, item.family == SECOND and not rules)


def for_peers(given: Problem) -> tuple[Callable[[Any], Any], list[Any]]:
    """A function without rules as peers take it: of all floats, or its gradient where the bug is of second order."""
    fun, x = peers_derivatives.of_floats(given.fun, given.at, given.args)
    return peers_derivatives.gradient_of(weighted(fun), ()) if given.second else fun, x


def libraries() -> dict[str, str]:
    """The versions of the libraries that are installed."""
    names = sorted({case.library for cases in CASES.values() for case in cases} - {None})
    return {name: importlib.metadata.version(name) for name in names if importlib.util.find_spec(name)}


def chosen(only: str | None, dtypes: Iterable[str], every: int) -> tuple[list[Item], dict[str, int]]:
    """The items, each `every`-th of a dtype-major list; and how many wait for a library that is not installed."""
    items, absent = [], Counter()
    for kind, cases in CASES.items():
        if only in (None, kind):
            asked = [(d, i) for d in dtypes for i, c in enumerate(cases) if kind == "zoo" or d in c.dtypes]
            for dtype, index in asked[::every]:
                library = cases[index].library
                if library and importlib.util.find_spec(library) is None:
                    absent[library] += 1
                    continue
                sides = ("right",) if kind == "zoo" else ("wrong", "right")
                items += [Item(kind, index, dtype, side) for side in sides]
    return items, dict(absent)
