"""Many fits: a line is the norm of a class's weights, at the strength of its penalty."""

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers
ALPHAS = [1.0, 0.01, 0.1]


@pytest.fixture(scope="module")
def path():
    problem = js.Problem.from_labels(np.arange(6.0)[:, None], ["n", "y", "n", "y", "y", "n"])
    return js.fit_path(problem, ALPHAS)


@peers
def test_a_line_is_the_norm_of_a_classs_weights_over_the_strengths(path, ax):
    assert path.plot(ax=ax) is ax
    for c, line in enumerate(ax.lines):
        assert list(line.get_xdata()) == sorted(ALPHAS)
        twin = [np.sqrt(np.sum(path[k].coef[c] ** 2)) for k in np.argsort(ALPHAS)]
        assert np.allclose(line.get_ydata(), twin, rtol=4 * np.finfo(float).eps)  # one square, one root
    assert [line.get_label() for line in ax.lines] == ["class n", "class y"]
    assert ax.get_xscale() == "log" and "α" in ax.get_xlabel()
    assert "3 of the fits have converged" in js.plots.alt_text(ax)


@peers
def test_fits_that_differ_in_weights_are_numbered_and_those_astray_are_crossed(ax):
    problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
    with pytest.warns(js.NoMinimizerWarning):
        fits = js.fit_many(problem, sample_weights=np.array([[1, 1, 1, 1], [1, 1, 0, 1.0]]))
    fits.plot(ax=ax)
    assert list(ax.lines[0].get_xdata()) == [0, 1] and ax.get_xscale() == "linear"
    cross = ax.lines[-1]
    assert cross.get_label() == "not converged" and set(cross.get_xdata()) == {1}


def test_bad_input_is_named_before_anything_is_drawn(path):
    with pytest.raises(TypeError, match="fits: got"):
        js.plots.plot_path(path[0])
    with pytest.raises(ValueError, match="strengths: got"):
        js.plots.plot_path(path, [1.0, 2.0])
    with pytest.raises(ValueError, match="strengths: got"):
        js.plots.plot_path(path, [1.0, 2.0, 0.0])
    with pytest.raises(TypeError, match="strengths: got"):
        js.plots.plot_path(path, "abc")
