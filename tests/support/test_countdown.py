"""The rest takes as long as its share of what is done; nothing is said in the first second, nor at the end."""

import pytest

from jaxsoftmax.support.countdown import Countdown


@pytest.mark.parametrize(
    ("seconds", "done", "said"),
    [
        (0.9, 1, "x"),  # too early
        (1.0, 1, "about 3 s left, x"),  # 1 s for one of four
        (9.0, 3, "about 3 s left, x"),
        (9.0, 0, "x"),  # nothing is known yet
        (9.0, 4, "x"),  # nothing is left
    ],
)
def test_the_rest_takes_as_long_as_its_share(seconds, done, said):
    heard = []
    times = iter([5.0, 5.0 + seconds])
    Countdown(heard.append, total=4, clock=times.__next__)(done, "x")
    assert heard == [said]
