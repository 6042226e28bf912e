"""S22: at the ends of a profile interval the likelihood-ratio statistic is the quantile, by loops."""

import numpy as np
import pytest
from scipy import stats

import jaxsoftmax as js
from helpers import naive_inference as naive

RNG = np.random.default_rng(12)
X = RNG.normal(size=(40, 2))
LABELS = RNG.integers(3, size=40)
ONES = np.column_stack([X, np.ones(40)])


@pytest.mark.parametrize(("place", "level"), [((1, 0), 0.95), ((0, 2), 0.5), ((1, 1), 0.999)])
def test_the_statistic_at_either_end_is_the_quantile(place, level):
    """S22: twice the loss of the maximum with that coefficient held, less the minimum, is the χ² quantile."""
    problem = js.Problem.from_labels(X, LABELS)
    table = js.inference(problem, naive.fitted(problem))
    found = table.profile_interval((1, 2)[place[0]], ("x0", "x1", "intercept")[place[1]], level)
    least = naive.loss(naive.maximum(ONES, LABELS, 3), ONES, LABELS)
    target = stats.chi2.ppf(level, 1)
    index = place[0] * 3 + place[1]
    assert found.lower < found.estimate < found.upper
    for end in (found.lower, found.upper):
        held = naive.loss(naive.maximum(ONES, LABELS, 3, held=(index, end)), ONES, LABELS)
        # An end is known to 1e-9 standard errors, in each of which the statistic's root moves by about 1.
        assert 2 * (held - least) == pytest.approx(target, abs=4e-9 * np.sqrt(target) + 160 * naive.EPS * least)
    reach = stats.norm.ppf(0.5 + level / 2) * table.standard_errors[place]
    assert found.wald_upper - found.estimate == pytest.approx(reach, rel=1e-10)


def test_the_interval_does_not_depend_on_which_class_is_the_reference():
    """S22, S3: b against a is −(a against b); sums to zero are another functional with ends of its own."""
    problem = js.Problem.from_labels(X, LABELS)
    fit = naive.fitted(problem)
    first = js.inference(problem, fit, reference=0).profile_interval(2, "x0")
    second = js.inference(problem, fit, reference=2).profile_interval(0, "x0")
    assert (first.lower, first.upper) == pytest.approx((-second.upper, -second.lower), rel=1e-8)
    mean = js.inference(problem, fit, reference="sum").profile_interval(2, "x0")
    assert mean.lower < mean.estimate < mean.upper and mean.upper - mean.lower < first.upper - first.lower


def test_a_flat_side_is_followed_far():
    """S22: nearly separated data, where the upper end lies much further out than Wald's."""
    x = np.array([0.0, 1, 2, 3, 4, 5, 6, 7])[:, None]
    problem = js.Problem.from_labels(x, [0, 0, 0, 1, 0, 1, 1, 1])
    found = js.inference(problem, naive.fitted(problem)).profile_interval(1, "x0")
    assert found.upper - found.estimate > 1.5 * (found.wald_upper - found.estimate)
    assert found.lower > found.wald_lower


def test_a_coefficient_that_is_not_identified_has_no_interval():
    problem = js.Problem.from_labels(np.column_stack([X[:, :1], X[:, :1]]), LABELS)
    with pytest.raises(ValueError, match=r"do not identify that of x1"):
        js.inference(problem, naive.fitted(problem)).profile_interval(1, "x1")
