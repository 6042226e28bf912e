"""How far a long phase is, as a line of text with the seconds that are left.

Guarded by `tests/support/test_countdown.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Countdown", "duration"]


def duration(seconds: float) -> str:
    """Seconds in the unit in which they are read.

    Example:
        >>> from jaxsoftmax.support.countdown import duration
        >>> [duration(seconds) for seconds in (0.4, 89.0, 5399.0, 86400.0)]
        ['0 s', '89 s', '90 min', '24 h']
    """
    for size, unit in ((1, "s"), (60, "min")):
        if seconds / size < 90.5:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.0f} h"


class Countdown:
    """Tells what was done, and from its second second on, how long the rest takes if it is no slower than this.

    What is left stands first, where a narrow terminal shows it.

    Args:
        tell: called with each line.
        total: how much there is to do; nothing is said of what is left where it is no more than what is done.
        clock: seconds; the phase begins now.

    Example:
        >>> from jaxsoftmax.support.countdown import Countdown
        >>> step = Countdown(print, total=8, clock=iter([0.0, 0.5, 6.0, 8.0]).__next__)
        >>> for done in (1, 6, 8):
        ...     step(done, f"{done} of 8 eggs")
        1 of 8 eggs
        about 2 s left, 6 of 8 eggs
        8 of 8 eggs
    """

    tell: Callable[[str], None]
    total: float
    clock: Callable[[], float]
    began: float

    def __init__(
        self, tell: Callable[[str], None], total: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.tell, self.total, self.clock = tell, total, clock
        self.began = clock()

    def __call__(self, done: float, text: str) -> None:
        """Tell that `done` of the total are done, in the words of `text`."""
        seconds = self.clock() - self.began
        if seconds >= 1 and 0 < done < self.total:
            text = f"about {duration(seconds / done * (self.total - done))} left, {text}"
        self.tell(text)
