"""How far a long phase is, as a line of text with the seconds that are left.

Guarded by `tests/support/test_countdown.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Countdown"]


class Countdown:
    """Tells what was done, and from its second second on, how long the rest takes if it is no slower than this.

    Args:
        tell: called with each line.
        total: how much there is to do, at least 1.
        clock: seconds; the phase begins now.

    Example:
        >>> from jaxsoftmax.support.countdown import Countdown
        >>> step = Countdown(print, total=8, clock=iter([0.0, 0.5, 6.0, 8.0]).__next__)
        >>> for done in (1, 6, 8):
        ...     step(done, f"{done} of 8 eggs")
        1 of 8 eggs
        6 of 8 eggs, about 2 s left
        8 of 8 eggs
    """

    def __init__(self, tell: Callable[[str], None], total: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.tell, self.total, self.clock = tell, total, clock
        self.began = clock()

    def __call__(self, done: int, text: str) -> None:
        """Tell that `done` of the total are done, in the words of `text`."""
        seconds = self.clock() - self.began
        if seconds >= 1 and 0 < done < self.total:
            text += f", about {seconds / done * (self.total - done):.0f} s left"
        self.tell(text)
