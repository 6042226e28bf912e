"""S22: the likelihood-ratio test of features against the maximum without them, by loops."""

import numpy as np
import pytest
from scipy import stats

import jaxsoftmax as js
from helpers import naive_inference as naive
from jaxsoftmax.uncertainty.likelihood_ratio import LikelihoodRatio

RNG = np.random.default_rng(8)
X = RNG.normal([0.0, 0.0, 20.0], size=(50, 3))
LABELS = RNG.integers(3, size=50)
ONES = np.column_stack([X, np.ones(50)])


@pytest.fixture(scope="module")
def table():
    problem = js.Problem.from_labels(X, LABELS, feature_names=["a", "b", "far"])
    return js.inference(problem, naive.fitted(problem))


@pytest.mark.parametrize(("out", "kept"), [("a", [1, 2, 3]), (["a", "far"], [1, 3]), ("intercept", [0, 1, 2])])
def test_the_statistic_is_twice_the_loss_of_the_maximum_without(table, out, kept):
    """S22: (C − 1) degrees of freedom a feature; the intercept is a feature like the others."""
    full = naive.loss(naive.maximum(ONES, LABELS, 3), ONES, LABELS)
    less = naive.loss(naive.maximum(ONES[:, kept], LABELS, 3), ONES[:, kept], LABELS)
    found = table.lr_test(out)
    # Two sums of 50 terms that cancel to the statistic.
    assert found.statistic == pytest.approx(2 * (less - full), abs=4 * 50 * naive.EPS * full)
    assert found.degrees_of_freedom == 2 * (4 - len(kept))
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, found.degrees_of_freedom), rel=1e-12)
    assert found.log_likelihood == table.log_likelihood and f"{found.p_value:.4g}" in repr(found)


@pytest.mark.slow
def test_a_feature_that_others_span_loses_nothing():
    """S22, S6: the rank does not fall, so there is no test."""
    problem = js.Problem.from_labels(np.column_stack([X[:, :1], 2 * X[:, :1]]), LABELS)
    found = js.inference(problem, naive.fitted(problem)).lr_test("x1")
    assert found.degrees_of_freedom == 0 and found.p_value is None
    assert abs(found.statistic) < 1e-11 and "no test" in repr(found)


def test_weights_count_in_the_test():
    """S22: the statistic of frequencies is that of the samples repeated."""
    s = RNG.integers(3, size=50)
    weighted = js.Problem.from_labels(X, LABELS, sample_weight=s)
    repeated = js.Problem.from_labels(np.repeat(X, s, axis=0), np.repeat(LABELS, s))
    first, second = (js.inference(p, naive.fitted(p)).lr_test("x0") for p in (weighted, repeated))
    assert first.statistic == pytest.approx(second.statistic, abs=1e-11)


@pytest.mark.peers
def test_a_statistic_that_rounding_made_negative_is_drawn_at_zero():
    """A feature that tells nothing loses nothing; the two maxima are rounded."""
    axes = pytest.importorskip("matplotlib.figure").Figure().add_subplot()
    LikelihoodRatio(("a",), -1e-13, 2, 1.0, -3.0, -3.0).plot(ax=axes)
    assert "the statistic is 0, the area beyond it 1." in js.plots.alt_text(axes)
