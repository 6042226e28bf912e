"""What a check may cost: seconds and bytes, and how many probes that leaves.

Guarded by `tests/checker/inputs/test_arguments.py`.
"""

from __future__ import annotations

import dataclasses
import time

from jaxsoftmax.support.validation import positive_real, show

__all__ = ["Budget", "as_budget"]


@dataclasses.dataclass(frozen=True)
class Budget:
    """The most that `crosscheck` may take.

    The gradient is always compared entry by entry, and so are matrices of up to `bytes`. Further directions, and
    columns of larger matrices, follow while there is time; the report says how many there were and what that
    guarantees.

    Attributes:
        seconds: wall-clock time after which no further probe or comparison starts; an analysis whose compilation would
            take more than a tenth of it is left out, and the report says so. One evaluation is never cut short.
        quick: compare every entry to half of the digits of the largest, without an analysis of rounding, and hold the
            function to differences along one direction: what a test can afford. Where that much does not agree, the
            whole check decides. `budget="quick"` is short for Budget(quick=True).
        bytes: memory for intermediate values of one compiled program and for dense matrices.

    Raises:
        TypeError, ValueError: not positive numbers.

    Example:
        >>> import jaxsoftmax as js
        >>> js.Budget(seconds=5)
        Budget(seconds=5, bytes=2147483648, quick=False)
    """

    seconds: float = 60.0
    bytes: float = 2**31
    quick: bool = False

    def __post_init__(self) -> None:
        positive_real("budget.seconds", self.seconds)
        positive_real("budget.bytes", self.bytes)
        if not isinstance(self.quick, bool):
            raise TypeError(f"budget.quick: got {show(self.quick)}; give True or False.")


def as_budget(budget: Budget | float | str | None) -> Budget:
    """A budget, or seconds, or "quick", or None for the default.

    Raises:
        TypeError: neither.
        ValueError: not positive.
    """
    if budget is None:
        return Budget()
    if isinstance(budget, Budget):
        return budget
    if isinstance(budget, str) and budget == "quick":
        return Budget(quick=True)
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise TypeError(f"budget: got {show(budget)}; give seconds or jaxsoftmax.Budget(...), or 'quick'.")
    return Budget(seconds=positive_real("budget", budget))


class Clock:
    """Time since the check began, against its budget."""

    budget: Budget
    began: float
    evaluations: int

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.began = time.perf_counter()
        self.evaluations = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def allows(self, share: float = 1.0) -> bool:
        """Whether less than this share of the seconds is spent."""
        return self.seconds < share * self.budget.seconds
