"""Forest plots: a line runs from end to end of its interval, an arrow to infinity; the tail is the p-value (S22)."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import chi2

import jaxsoftmax as js

peers = pytest.mark.peers


def table(values, lower, upper):
    return SimpleNamespace(
        classes=("a", "b"), features=("dose", "age"), coefficients=values, lower=lower, upper=upper, level=0.9
    )


@peers
def test_each_line_runs_from_lower_to_upper_with_the_estimate_on_it(ax):
    values = np.array([[1.0, -2.0], [0.5, 3.0]])
    js.plots.plot_coefficients(table(values, values - 1, values + 2), ax=ax)
    segments = [segment for part in ax.collections for segment in part.get_segments()]
    drawn = {segment[0][1]: (segment[0][0], segment[1][0]) for segment in segments}
    assert drawn == {0: (0.0, 3.0), 1: (-3.0, 0.0), 2: (-0.5, 2.5), 3: (2.0, 5.0)}
    dots = {y: x for line in ax.lines[1:] for x, y in zip(*line.get_data(), strict=True)}
    assert dots == {0: 1.0, 1: -2.0, 2: 0.5, 3: 3.0}
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "dose, class a",
        "age, class a",
        "dose, class b",
        "age, class b",
    ]
    assert len({line.get_marker() for line in ax.lines[1:]}) == 2, "classes told apart in grey"
    assert "90 % interval" in ax.get_xlabel()
    assert js.plots.alt_text(ax) == (
        "4 estimates with intervals (90 %): 1 leave out 0. The largest is 3 (age, class b), 2 to 5."
    )


@peers
def test_infinite_coefficients_are_arrows_and_unknown_ones_are_left_out(ax):
    values = np.array([[np.inf, -np.inf], [np.nan, 1.0]])
    js.plots.plot_coefficients(table(values, values - 1, values + 1), ax=ax)
    left, right = ax.get_xlim()
    arrows = {
        line.get_marker(): line.get_xdata()[0]
        for line in ax.lines
        if line.get_marker() in "<>" and len(line.get_xdata())
    }
    assert arrows == {">": right, "<": left}
    assert len(ax.get_yticks()) == 3
    assert "2 run to infinity" in js.plots.alt_text(ax)


@peers
def test_of_many_the_clearest_are_drawn_in_the_order_given(ax):
    values = np.array([1.0, 10.0, 2.0, 5.0])
    js.plots.plot_intervals("wxyz", values, values - 1, values + 1, most=2, ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x", "z"]
    assert "The 2 clearest are drawn" in js.plots.alt_text(ax)


@peers
@pytest.mark.parametrize(("statistic", "k"), [(3.84, 1), (0.0, 2), (25.0, 3), (1e3, 40)])
def test_the_curve_is_the_chi_square_density_and_the_area_beyond_it_the_p_value(statistic, k, ax):
    js.plots.plot_tail(statistic, k, ax=ax)
    x, y = ax.lines[0].get_data()
    # The logarithm of the density has terms of up to |x/2| + |k/2 log x| + gammaln <= 1e3, each good to an ulp or two.
    assert np.allclose(y, chi2.pdf(x, k), rtol=1e4 * np.finfo(float).eps, atol=1e-300)
    assert ax.lines[1].get_xdata()[0] == statistic
    assert f"the area beyond it {chi2.sf(statistic, k):.3g}" in js.plots.alt_text(ax)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: js.plots.plot_coefficients(3), TypeError, "table: got 3"),
        (lambda: js.plots.plot_intervals(["a"], [1.0], [0.0], [2.0, 3.0]), ValueError, "upper: shape"),
        (lambda: js.plots.plot_intervals(["a"], ["x"], [0.0], [2.0]), TypeError, "estimates: got"),
        (lambda: js.plots.plot_intervals(["a"], [np.nan], [0.0], [2.0]), ValueError, "no estimate is identified"),
        (lambda: js.plots.plot_tail(-1.0, 2), ValueError, "statistic: got -1.0"),
        (lambda: js.plots.plot_tail(1.0, 0), ValueError, "degrees_of_freedom: got 0"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(call, error, words):
    with pytest.raises(error, match=words):
        call()
