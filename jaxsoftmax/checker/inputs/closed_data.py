"""Data that a rule closes over: numbers rounded to float32 before the trace excuse a formula by as much, no more.

Guarded by `tests/checker/inputs/test_large.py` and `tests/checker/test_crosscheck.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.tracing import Traced


def excused(
    session: Session,
    traced: Traced,
    name: str,
    ours: Sequence[Any],
    theirs: Sequence[Any],
    tolerance: Sequence[Any],
    coarse: Sequence[Any],
) -> list[Any]:
    """The tolerance of a formula, for the comparison that follows.

    It is `coarse` where the formula needs that and closes over arrays of a narrow dtype.

    ``3 * c * x**2`` with a float32 array c computes ``3 * c`` in float32 while it is traced: nobody sees it, and
    float64's rounding bound does not hold for it. Held to the working dtype's bound the rule is as right as it runs.

    Args:
        session: the check.
        traced: the rule.
        name: for the note.
        ours: the formula's values, a leaf each.
        theirs: the truth.
        tolerance: of both sides in float64.
        coarse: of both sides when the rule rounds in the working dtype.
    """
    if not traced.closes_over_narrow or _within(ours, theirs, tolerance) or not _within(ours, theirs, coarse):
        return list(tolerance)
    session.excuse = (
        f"{name} closes over float32 data and may compute with them before JAX traces it, where no check sees it"
    )
    session.note(
        f"{name} closes over float32 data and may compute with them before JAX traces it, so its formula was held to "
        f"the rounding of {session.point.dtype} only. Pass data through args for a sharper check"
    )
    return list(coarse)


def _within(ours: Sequence[Any], theirs: Sequence[Any], tolerances: Sequence[Any]) -> bool:
    with np.errstate(all="ignore"):
        return all(
            bool((np.abs(np.asarray(a, np.float64) - b) <= t).all())
            for a, b, t in zip(ours, theirs, tolerances, strict=True)
        )
