"""The proved ball: the numbers drawn are the certificate's, and distances do not see the null space (S6, S13)."""

from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers


def made(**changed):
    """What is drawn of a `Certificate`; the real one draws in test_reports.py."""
    fields = {
        "W": np.array([[0.25, -1.5], [-0.25, 1.5]]),
        "weight_error_bounds": lambda: np.array([1e-20, 3e-19]),
        "radius_euclidean": "4.5e-19",
        "loss_lower": "2.34748653512134554510850479",
        "digits": 24,
        "dropped": (),
        "data": SimpleNamespace(host=SimpleNamespace(regularizer=())),
    }
    return SimpleNamespace(**fields | changed)


@pytest.fixture
def certificate():
    return made()


@peers
def test_each_weight_stands_above_its_proved_error(certificate, ax):
    assert js.plots.plot_ball(certificate, ax=ax) is ax
    sizes, errors = ax.lines
    W, bounds = np.abs(certificate.W), certificate.weight_error_bounds()
    pairs = sorted(((W[c, d], bounds[d]) for c in range(2) for d in range(2)), key=lambda pair: -pair[0])
    assert np.array_equal(sizes.get_ydata(), [size for size, _ in pairs])
    assert np.array_equal(errors.get_ydata(), [error for _, error in pairs])
    assert sizes.get_marker() != errors.get_marker() and ax.get_yscale() == "log"
    text = js.plots.alt_text(ax)
    assert f"{certificate.digits} digits of the minimum, {certificate.loss_lower[:12]}" in text


@peers
def test_distances_are_from_the_balls_middle_and_do_not_see_the_null_space(certificate, ax):
    rng = np.random.default_rng(0)
    steps = certificate.W + np.array([1.0, 0.1, 0.01])[:, None, None] * rng.normal(size=(3, 2, 2))
    shared = rng.normal(size=(3, 1, 2))
    js.plots.plot_ball(certificate, steps + shared, ax=ax)
    off = steps - steps.mean(axis=1, keepdims=True) - certificate.W
    twin = [np.sqrt(sum(entry**2 for entry in one.ravel())) for one in off]
    # Entries are at most 4 and rounded at most five times each: 2 by 2 of them, 40 eps in all.
    assert np.allclose(ax.lines[0].get_ydata(), twin, rtol=0, atol=40 * np.finfo(float).eps)
    radius = float(certificate.radius_euclidean)
    assert list(ax.lines[1].get_ydata()) == [radius, radius]
    low, high = ax.get_ylim()
    assert low < radius and high > max(twin)


@peers
def test_a_fit_is_a_single_point(certificate, ax):
    fit = SimpleNamespace(history={}, W=certificate.W + 1e-3)
    js.plots.plot_ball(certificate, fit, ax=ax)
    assert len(ax.lines[0].get_ydata()) == 1
    assert "the weights given are" in js.plots.alt_text(ax)


@peers
def test_what_rounding_hides_stands_at_rounding(certificate, ax):
    certificate.W = certificate.W / 3
    js.plots.plot_ball(certificate, [certificate.W + 1e-3 * np.eye(2), certificate.W], ax=ax)
    far, near = ax.lines[0].get_ydata()
    norm = np.sqrt(sum(entry**2 for entry in certificate.W.ravel()))
    assert far > 1e-4 and np.isclose(near, np.finfo(float).eps * norm, rtol=1e-14)  # five roundings
    assert "to rounding" in ax.lines[0].get_label() and "to rounding" in js.plots.alt_text(ax)


@peers
def test_a_dropped_column_is_not_drawn_and_leaves_distances_open(ax):
    certificate = made(dropped=(SimpleNamespace(column=0),))
    js.plots.plot_ball(certificate, ax=ax)
    assert list(ax.lines[1].get_ydata()) == [3e-19, 3e-19]
    with pytest.raises(ValueError, match="iterates: 1 columns are combinations"):
        js.plots.plot_ball(certificate, np.zeros((2, 2)))


@peers
def test_beside_a_penalty_the_shared_part_of_the_weights_counts(ax):
    certificate = made(data=SimpleNamespace(host=SimpleNamespace(regularizer=("L2",))))
    js.plots.plot_ball(certificate, certificate.W + 0.5, ax=ax)
    assert abs(ax.lines[0].get_ydata()[0] - 1.0) < 4 * np.finfo(float).eps  # the root of four quarters


def test_bad_input_is_named_before_anything_is_drawn(certificate):
    with pytest.raises(TypeError, match="certificate: got 3"):
        js.plots.plot_ball(3)
    with pytest.raises(TypeError, match="iterates: got 'W'"):
        js.plots.plot_ball(certificate, "W")
    with pytest.raises(ValueError, match=r"iterates: shape \(1, 3, 2\), expected finite \(k, 2, 2\)"):
        js.plots.plot_ball(certificate, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="iterates: shape"):
        js.plots.plot_ball(certificate, np.full((2, 2), np.nan))
