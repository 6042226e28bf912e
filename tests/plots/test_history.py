"""Pictures: what is drawn are the numbers of the fit, spectrum or report, S7's bounds and S17's slopes beside them."""

import doctest
import subprocess
import sys

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.checker.report.entries import UlpHistogram

peers = pytest.mark.peers


@pytest.fixture(scope="module")
def problem():
    return js.Problem.from_labels(np.arange(4.0, dtype=np.float32)[:, None], [0, 1, 0, 1])


@pytest.fixture(scope="module")
def fits(problem):
    return [js.fit(problem, method, max_steps=400) for method in ("gd", "newton")]


@pytest.fixture
def ax():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg", force=True)
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


@peers
@pytest.mark.parametrize("quantity", ["loss", "gradient_norm", "weight_norm", "step_size"])
def test_a_history_line_is_the_fits_own_numbers(fits, ax, quantity):
    assert js.plots.plot_history(fits, quantity, ax=ax) is ax
    for fit, line in zip(fits, ax.lines, strict=True):
        values = fit.history[quantity]
        # A logarithmic axis cannot show 0 or NaN (the last step has no step size); everything else is there, unchanged.
        seen = np.isfinite(values) & ((values > 0) | (quantity in ("loss", "weight_norm")))
        assert np.array_equal(line.get_xdata(), fit.history["step"][seen])
        assert np.array_equal(line.get_ydata(), values[seen])
        assert line.get_label() == fit.method


@peers
def test_a_minimum_is_subtracted_from_the_loss(fits, ax):
    low = fits[1].loss
    js.plots.plot_history(fits[0], minimum=low, ax=ax)
    gap = fits[0].history["loss"] - low
    assert np.array_equal(ax.lines[0].get_ydata(), gap[gap > 0])
    assert ax.get_yscale() == "log"


@peers
def test_labels_come_from_the_caller_or_the_method_numbered(fits, ax):
    js.plots.plot_history({"mine": fits[0]}, ax=ax)
    js.plots.plot_history([fits[0], fits[0], fits[1]], ax=ax)
    assert [line.get_label() for line in ax.lines] == ["mine", "gd", "gd (2)", "newton"]


@peers
def test_rate_lines_have_the_slopes_of_s17(fits, ax):
    fit = fits[0]
    js.plots.plot_rate(fit, ax=ax)
    curve, *lines = ax.lines
    assert len(lines) == 3
    for line, rate in zip(lines, (fit.rate_measured, fit.rate_estimate, fit.rate_bound), strict=True):
        steps, y = line.get_data()
        slope = (np.log(y[-1]) - np.log(y[0])) / (steps[-1] - steps[0])
        # exp and log cost an ulp each, log of a value in [1e-300, 1e300] at most 700 eps; over the steps of the run.
        assert abs(slope - np.log(rate)) <= 4 * 700 * np.finfo(float).eps / (steps[-1] - steps[0])
        shared = np.isin(steps, curve.get_xdata())
        assert np.any(y[shared] == curve.get_ydata())  # through one point of the curve


@peers
def test_rates_that_are_not_known_are_left_out(problem, ax):
    js.plots.plot_rate(js.fit(problem, "newton"), ax=ax)
    assert [line.get_label() for line in ax.lines] == ["newton"]


@peers
def test_the_spectrum_is_drawn_whole_with_the_kernel_apart_and_s7s_lines(problem, ax):
    W = np.zeros((2, 2))
    report = js.probe_convexity(problem, W)
    values = np.linalg.eigvalsh(np.asarray(js.hessian(W, problem).to_dense(), np.float64))
    js.plots.plot_spectrum(values, report, ax=ax)
    counts = [sum(bar.get_height() for bar in group) for group in ax.containers]
    assert counts == [2, 2]  # S6: D + (C - 1)(D - R) = 2 for full column rank, D = C = 2
    labels = [group.patches[0].get_label() for group in ax.containers]
    assert labels == ["off the null space: 2", "null space: 2 (rounding)"]
    at = [line.get_xdata()[0] for line in ax.lines]
    assert at == [report.lambda_min_bound, report.resolution, report.lambda_max_bound]


@peers
def test_a_negative_eigenvalue_is_not_hidden(ax):
    js.plots.plot_spectrum([3.0, -0.5, 1e-17, 0.0], kernel_dim=2, ax=ax)
    assert [group.patches[0].get_label() for group in ax.containers] == [
        "off the null space: 1",
        "negative, off the null space: 1",
        "null space: 2 (rounding)",
    ]
    assert sum(bar.get_height() for group in ax.containers for bar in group) == 4


@peers
@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1.0], np.arange(5), np.float32([1e-30, 1e30])])
def test_degenerate_spectra_are_drawn(values, ax):
    js.plots.plot_spectrum(values, kernel_dim=0, ax=ax)
    assert sum(bar.get_height() for group in ax.containers for bar in group) == len(values)


@peers
def test_the_bars_are_the_bins_of_the_reports_histogram(ax):
    histogram = UlpHistogram.of(np.float32([1.0, 1.0, 2.0, 3.0]), [1.0, 1.0, 2.0 + 1e-7, 3.0 + 1e-6])
    report = js.CrossCheckReport("AGREE", (), ulp_histogram=histogram)
    assert js.plots.ulp_histogram(report, ax=ax) is ax
    drawn = [(label.get_text(), bar.get_height()) for label, bar in zip(ax.get_xticklabels(), ax.patches, strict=True)]
    assert drawn == list(histogram.bins())
    low, high = ax.get_ylim()
    assert low < 1 and high > 2, "a bin of one entry has a height, the fullest bin fits"
    assert "float32" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f: js.plots.plot_history("gd"), TypeError, "fits: got 'gd'"),
        (lambda f: js.plots.plot_history([]), ValueError, "fits: got none"),
        (lambda f: js.plots.plot_history([f, 1]), TypeError, r"fits: '\?' is 1"),
        (lambda f: js.plots.plot_history(f, "loos"), ValueError, "quantity: got 'loos'"),
        (lambda f: js.plots.plot_history(f, "step_size", minimum=1.0), ValueError, "minimum: it is subtracted"),
        (lambda f: js.plots.plot_history(f, minimum="low"), TypeError, "minimum"),
        (lambda f: js.plots.plot_history(f, ax=3), TypeError, "ax: got 3"),
        (lambda f: js.plots.plot_rate([f]), TypeError, "fit: got"),
        (lambda f: js.plots.plot_spectrum([]), ValueError, "eigenvalues: got"),
        (lambda f: js.plots.plot_spectrum([1.0, np.nan]), ValueError, "eigenvalues: got"),
        (lambda f: js.plots.plot_spectrum([[1.0]]), ValueError, "eigenvalues: got"),
        (lambda f: js.plots.plot_spectrum([1.0], "report"), TypeError, "report: got 'report'"),
        (lambda f: js.plots.plot_spectrum([1.0], kernel_dim=2), ValueError, "kernel_dim: got 2"),
        (lambda f: js.plots.plot_spectrum([1.0], kernel_dim=0.5), TypeError, "kernel_dim: got 0.5"),
        (lambda f: js.plots.plot_spectrum([1.0], bins=0), ValueError, "bins: got 0"),
        (lambda f: js.plots.ulp_histogram(f), TypeError, "report: got .*js.crosscheck"),
        (lambda f: js.plots.ulp_histogram(js.CrossCheckReport("AGREE", ())), ValueError, "no entries in ulps"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(fits, call, error, words):
    with pytest.raises(error, match=words):
        call(fits[0])


def test_without_matplotlib_the_extra_is_named():
    """None in sys.modules makes an import fail: the module loads, drawing says what to install."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import jaxsoftmax as js\n"
        "try:\n    js.plots.plot_spectrum([1.0])\n"
        "except ImportError as error:\n    assert 'jaxsoftmax[plots]' in str(error)\n"
        "else:\n    raise SystemExit('drawn without matplotlib')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@peers
def test_the_examples_run():
    """pyproject.toml keeps this module out of the doctest run, where matplotlib need not be."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg", force=True)
    from matplotlib import pyplot

    outcome = doctest.testmod(js.plots, optionflags=doctest.NORMALIZE_WHITESPACE)
    pyplot.close("all")
    assert outcome.attempted >= 3
    assert outcome.failed == 0
