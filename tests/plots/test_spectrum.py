"""Spectra: eigenvalues counted whole, the density as the report has it, S7's lines at the report's bounds (S6, S7)."""

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers


@pytest.fixture(scope="module")
def problem():
    return js.Problem.from_labels(np.arange(4.0, dtype=np.float32)[:, None], [0, 1, 0, 1])


@pytest.fixture(scope="module")
def report(problem):
    return js.probe_convexity(problem, np.zeros((2, 2)))


def upright(ax):
    """Where the vertical lines stand, by the first words of their labels."""
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]]
    return [line.get_xdata()[0] for line in lines], [line.get_linestyle() for line in lines]


@peers
def test_the_spectrum_is_drawn_whole_with_the_kernel_apart_and_s7s_lines(problem, report, ax):
    values = np.linalg.eigvalsh(np.asarray(js.hessian(np.zeros((2, 2)), problem).to_dense(), np.float64))
    js.plots.plot_spectrum(values, report, ax=ax)
    counts = [sum(bar.get_height() for bar in group) for group in ax.containers]
    assert counts == [2, 2]  # S6: D + (C - 1)(D - R) = 2 for full column rank, D = C = 2
    labels = [group.patches[0].get_label() for group in ax.containers]
    assert labels == ["off the null space: 2", "null space: 2\n(rounding)"]
    at, dashes = upright(ax)
    assert at == [report.lambda_min_bound, report.resolution, report.lambda_max_bound]
    assert len(set(dashes)) == 3, "told apart in grey"


@peers
def test_a_report_alone_draws_its_density_its_extremes_and_s7s_bounds(report, ax):
    assert report.plot(ax=ax) is ax
    density = report.spectral_density
    curve, low, high = ax.lines[:3]
    assert np.array_equal(curve.get_xdata(), density.grid) and np.array_equal(curve.get_ydata(), density.density)
    assert [low.get_xdata()[0], high.get_xdata()[0]] == [report.lambda_min, report.lambda_max]
    at, _ = upright(ax)
    assert at == [report.lambda_min_bound, report.resolution, report.lambda_max_bound]
    assert at[0] <= report.lambda_min * (1 + 1e-6) and report.lambda_max <= at[2]  # two classes at W = 0: S7c is tight
    left, right = ax.get_xlim()
    assert left < min(at) and right > max(at)
    assert f"{report.lambda_max_bound:.3g} (S7a)" in js.plots.alt_text(ax)


@peers
def test_an_operator_without_bounds_has_no_lines_for_them(ax):
    js.probe_operator(lambda v: 3 * v, 4).plot(ax=ax)
    labels = ax.get_legend_handles_labels()[1]
    assert not [label for label in labels if "proved" in label]
    assert "without a proved lower bound" in js.plots.alt_text(ax)


@peers
def test_a_negative_eigenvalue_is_not_hidden(ax):
    js.plots.plot_spectrum([3.0, -0.5, 1e-17, 0.0], kernel_dim=2, ax=ax)
    assert [group.patches[0].get_label() for group in ax.containers] == [
        "off the null space: 1",
        "negative, off the\nnull space: 1",
        "null space: 2\n(rounding)",
    ]
    assert sum(bar.get_height() for group in ax.containers for bar in group) == 4


@peers
def test_the_negative_eigenvalue_that_refutes_convexity_is_drawn(ax):
    diagonal = np.array([-0.5, 1.0, 2.0, 3.0])
    report = js.probe_operator(lambda v: diagonal * v, 4)
    assert report.verdict.name == "REFUTED"
    report.plot(ax=ax)
    (mark,) = [line for line in ax.lines if line.get_label().startswith("negative: -0.5")]
    assert mark.get_xdata()[0] == -report.lambda_min
    assert "REFUTED" in js.plots.alt_text(ax)


@peers
@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1.0], np.arange(5), np.float32([1e-30, 1e30])])
def test_degenerate_spectra_are_drawn(values, ax):
    js.plots.plot_spectrum(values, kernel_dim=0, ax=ax)
    assert sum(bar.get_height() for group in ax.containers for bar in group) == len(values)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda r: js.plots.plot_spectrum([]), ValueError, "found: got"),
        (lambda r: js.plots.plot_spectrum([1.0, np.nan]), ValueError, "found: got"),
        (lambda r: js.plots.plot_spectrum([[1.0]]), ValueError, "found: got"),
        (lambda r: js.plots.plot_spectrum([1.0], "report"), TypeError, "report: got 'report'"),
        (lambda r: js.plots.plot_spectrum([1.0], kernel_dim=2), ValueError, "kernel_dim: got 2"),
        (lambda r: js.plots.plot_spectrum([1.0], kernel_dim=0.5), TypeError, "kernel_dim: got 0.5"),
        (lambda r: js.plots.plot_spectrum([1.0], bins=0), ValueError, "bins: got 0"),
        (lambda r: js.plots.plot_spectrum(r, r), ValueError, "found: a report, and another argument"),
        (lambda r: js.plots.plot_spectrum(r, kernel_dim=2), ValueError, "found: a report, and another argument"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(report, call, error, words):
    with pytest.raises(error, match=words):
        call(report)
