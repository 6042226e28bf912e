"""Checks: a point is the row's own ratio, what failed stands first and beyond the line; bars are the report's bins."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.checker.report.entries import UlpHistogram
from jaxsoftmax.reporting.row import Row, compare, not_run, yes_or_no

peers = pytest.mark.peers
ROWS = (
    compare("S7a", "largest eigenvalue", "", 2.0, "<=", 7.0, 1.0),  # ratio 0.25
    yes_or_no("S9", "a minimiser exists", "", True),
    not_run("S13", "proof", "", "no time"),
    compare("S2", "gradient", "", 5.0, "<=", 2.0, 0.0),  # 2.5: failed
    Row(statement="S4", quantity="Hessian", ratio=0.5, passed=True, blind=True),
    yes_or_no("S10", "multipliers", "", False),
    Row(statement="S1", quantity="loss", ratio=np.inf, passed=False),
)


def points(ax):
    """label of the row -> where its point is drawn; without the line at 1."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    return {names[int(y)]: x for line in ax.lines[:-1] for x, y in zip(*line.get_data(), strict=True)}


@peers
def test_a_point_is_the_share_that_the_row_used(ax):
    js.plots.plot_checks(ROWS, ax=ax)
    assert points(ax) == {
        "largest eigenvalue (S7a)": 0.25,
        "a minimiser exists (S9)": 1e-4,
        "proof (S13)": 1e-4,
        "gradient (S2)": 2.5,
        "Hessian (S4)": 0.5,
        "multipliers (S10)": 1e4,
        "loss (S1)": 1e4,
    }
    assert list(ax.lines[-1].get_xdata()) == [1.0, 1.0]
    assert ax.get_xlim()[1] >= 1e4 and "error / tolerance" in ax.get_xlabel()


@peers
def test_failed_rows_stand_first_and_every_verdict_has_its_marker(ax):
    js.plots.plot_checks(ROWS, most=5, ax=ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert set(names[:3]) == {"gradient (S2)", "multipliers (S10)", "loss (S1)"}
    assert names[3:] == ["proof (S13)", "Hessian (S4)"]
    markers = [line.get_marker() for line in ax.lines[:-1]]
    assert len(set(markers)) == len(markers) == 3
    text = js.plots.alt_text(ax)
    assert "7 checks used: 3 passed, 3 failed, 1 open" in text and "The 5 gravest are drawn" in text


@peers
@pytest.mark.slow
def test_a_report_of_a_problem_draws_every_statement_below_the_line(ax):
    problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 1])
    report = js.crosscheck_problem(problem, np.ones((2, 4)) * [[0.5], [-0.5]])
    report.plot(ax=ax, most=100)
    drawn = sorted(x for line in ax.lines[:-1] for x in line.get_xdata())
    assert drawn == sorted(max(row.ratio, 1e-4) for row in report.statements)
    assert f"{report.worst.ratio:.3g}" in js.plots.alt_text(ax)


@peers
def test_the_bars_are_the_bins_of_the_reports_histogram(ax):
    histogram = UlpHistogram.of(np.float32([1.0, 1.0, 2.0, 3.0]), [1.0, 1.0, 2.0 + 1e-7, 3.0 + 1e-6])
    report = js.CrossCheckReport("AGREE", (), ulp_histogram=histogram)
    assert js.plots.ulp_histogram(report, ax=ax) is ax
    drawn = [(label.get_text(), bar.get_height()) for label, bar in zip(ax.get_xticklabels(), ax.patches, strict=True)]
    assert drawn == list(histogram.bins())
    low, high = ax.get_ylim()
    assert low < 1 and high > 2, "a bin of one entry has a height, the fullest bin fits"
    assert "float32" in ax.get_xlabel() and "exact 2" in js.plots.alt_text(ax)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: js.plots.plot_checks([]), ValueError, "rows: got none"),
        (lambda: js.plots.plot_checks("rows"), TypeError, "rows: got 'rows'"),
        (lambda: js.plots.plot_checks([1]), TypeError, "rows: got 1"),
        (lambda: js.plots.plot_checks(ROWS, most=0), ValueError, "most: got 0"),
        (lambda: js.plots.ulp_histogram(3), TypeError, "report: got .*js.crosscheck"),
        (lambda: js.plots.ulp_histogram(js.CrossCheckReport("AGREE", ())), ValueError, "no entries in ulps"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(call, error, words):
    with pytest.raises(error, match=words):
        call()
