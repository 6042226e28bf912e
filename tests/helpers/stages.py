"""Which of a test's parameters stay in the fast run: one or two of each claim, the rest in the slow stage."""

from collections.abc import Iterable
from typing import Any

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
