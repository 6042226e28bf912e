"""Many fits: a line is the norm of a class's weights, at the strength of its penalty."""

from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers
ALPHAS = [1.0, 0.01, 0.1]


class ManyFits(list):
    """What is drawn of `Fits`; the report itself draws in test_reports.py."""

    coef = np.random.default_rng(0).normal(size=(3, 2, 4))
    loss = np.ones(3)
    converged = np.array([True, True, True])


@pytest.fixture
def path():
    return ManyFits([SimpleNamespace(classes=("n", "y"))] * 3)


@peers
def test_a_line_is_the_norm_of_a_classs_weights_over_the_strengths(path, ax):
    assert js.plots.plot_path(path, ALPHAS, ax=ax) is ax
    for c, line in enumerate(ax.lines):
        assert list(line.get_xdata()) == sorted(ALPHAS)
        twin = [np.sqrt(np.sum(path.coef[k, c] ** 2)) for k in np.argsort(ALPHAS)]
        assert np.allclose(line.get_ydata(), twin, rtol=4 * np.finfo(float).eps)  # one square, one root
    assert [line.get_label() for line in ax.lines] == ["class n", "class y"]
    assert ax.get_xscale() == "log" and "α" in ax.get_xlabel()
    assert "3 of the fits have converged" in js.plots.alt_text(ax)


@peers
def test_fits_that_differ_in_weights_are_numbered_and_those_astray_are_crossed(path, ax):
    path.converged = np.array([True, False, True])
    js.plots.plot_path(path, ax=ax)
    assert list(ax.lines[0].get_xdata()) == [0, 1, 2] and ax.get_xscale() == "linear"
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
