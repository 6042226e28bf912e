"""Which of a test's cases run when: one or two of each claim always, more in the slow stage, the rest by hand."""

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest


def fast(values: Iterable[Any], *kept: int) -> list[Any]:
    """The parameters in their order: those at the positions `kept` stay in the fast run, the others are marked slow."""
    values = list(values)
    assert all(0 <= position < len(values) for position in kept)
    return [
        value
        if position in kept
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for position, value in enumerate(values)
    ]


def share(name: str, parts: int) -> int:
    """Which of `parts` equal shares a case belongs to: the same one every day and on every machine."""
    return zlib.crc32(name.encode()) % parts


def dtype_of(name: str) -> type:
    """The one dtype in which a case is run: half of the cases each, the dtype of a case never changes."""
    return np.float64 if zlib.crc32(b"dtype of " + name.encode()) % 2 else np.float32


def sampled(cases: Iterable[Any], parts: int) -> list[Any]:
    """Cases with a name, each marked `slow` if it is of the first of so many shares, and else `long`: run by hand."""
    return [
        pytest.param(case, marks=pytest.mark.long if share(case.name, parts) else pytest.mark.slow) for case in cases
    ]
