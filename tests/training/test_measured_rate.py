"""S17: the measured rate is a factor per step, whatever steps the history has kept, and nothing where none is seen."""

import numpy as np
import pytest

from jaxsoftmax.training.measured_rate import measured_rate


@pytest.mark.parametrize("every", [1, 4, 16])
def test_the_factor_is_per_step_not_per_row(every):
    """A norm that shrinks by 0.99 a step, seen at each step or at some of them; log and exp err by some u."""
    steps = np.arange(0, 800, every)
    assert measured_rate(steps, 3 * 0.99**steps, 0.0) == pytest.approx(0.99, rel=1e-13)


def test_the_last_half_counts_down_to_the_rounding_of_the_gradient():
    """First slow, then fast, then a plateau within 100 times the floor: the fast part alone is measured."""
    steps = np.arange(101)
    norms = np.where(steps < 40, 0.9 ** np.minimum(steps, 40), 0.9**40 * 0.5 ** (steps - 40.0))
    assert measured_rate(steps, norms, 0.0) == pytest.approx(0.5, rel=1e-13)
    floor = norms[90] / 100
    assert measured_rate(steps, np.maximum(norms, norms[90]), floor) == pytest.approx(0.5, rel=1e-13)


@pytest.mark.parametrize(
    ("steps", "norms"),
    [([0], [1.0]), ([0, 1, 2], [1.0, 0.5, 0.25]), (range(20), [1.0] * 20), (range(20), [np.nan] * 20)],
    ids=["one row", "too few steps", "no decrease", "not finite"],
)
def test_where_no_contraction_is_seen_there_is_no_rate(steps, norms):
    assert measured_rate(np.array(steps), np.array(norms), 0.0) is None
