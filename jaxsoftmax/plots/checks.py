"""Checks beside what was allowed: error over tolerance, one line a comparison, and how many ulps the entries are off.

Guarded by `tests/plots/test_checks.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import AS_IT_IS, BLACK, BLUE, GREY, ORANGE, RED, axes_of, legend_above, need
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, positive_int, show
from jaxsoftmax.support.visible import shortened

__all__ = ["plot_checks", "ulp_histogram"]

_WIDE = 64  # letters of a label
# verdict of a row -> how it is drawn and called
_STYLES = {
    "AGREE": ("o", BLUE, "passed"),
    "ROUNDING": ("D", ORANGE, "passed, but blind to a factor 2"),
    "DISAGREE": ("X", RED, "failed"),
    None: ("s", GREY, "open: not run, or decided by rounding"),
}
_LEAST, _MOST = 1e-4, 1e4  # shares beyond are drawn at the edge


def plot_checks(rows: Any, *, most: int = 40, ax: Any = None) -> Any:
    """Draw what share of its tolerance or bound each comparison used: left of the line at 1 it passed.

    Args:
        rows: the rows of a report: `CrossCheckReport.statements`, or `checks` of a data set of `js.verify`.
        most: how many lines at most: failed ones first, then open ones, then those with the largest share.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes. A row without a number (a yes or no) stands at the left edge where it passed, at the right where it
        failed; shares below 1e-4 stand at the left edge too.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 1])
        >>> report = js.crosscheck_problem(problem, np.ones((2, 4)) * [[0.5], [-0.5]])
        >>> ax = js.plots.plot_checks(report.statements, most=5)
        >>> len(ax.get_yticklabels()), ax.get_xscale()
        (5, 'log')
    """
    most = positive_int("most", most)
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise WrongType("rows", f"got {show(rows)}, {kind_of(rows)}", "give report.statements or the like")
    for row in rows:
        need("rows", row, ("ratio", "passed", "verdict", "label"), "give report.statements or the like")
    if not rows:
        raise WrongValue("rows", "got none", "give a report that compared something")
    shown = sorted(rows, key=_gravity)[:most]
    ax = axes_of(ax, height=1.4 + 0.22 * len(shown), width=9.0)
    groups: dict[Any, list[tuple[float, int]]] = {}
    for place, row in enumerate(shown):
        groups.setdefault(row.verdict, []).append((_share(row), place))
    ax.set_xscale("log")
    for verdict, points in groups.items():
        marker, colour, name = _STYLES[verdict]
        style = {"linestyle": "none", "marker": marker, "color": colour, "markersize": 6, "clip_on": False}
        ax.plot([x for x, _ in points], [y for _, y in points], label=f"{name}: {len(points)}", zorder=3, **style)
    ax.axvline(1.0, color=BLACK, linewidth=1.4, linestyle="--", label="what is allowed")
    ax.set_xlim(_LEAST, _MOST if any(_share(row) > 1 for row in shown) else 3.0)
    ax.set_yticks(range(len(shown)), [shortened(row.label(), _WIDE) for row in shown], fontsize=7.5, **AS_IT_IS)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("share of the limit that was used, error / tolerance")
    legend_above(ax)
    describe(ax, _words(rows, shown))
    return ax


def _gravity(row: Any) -> tuple[int, float]:
    order = {False: 0, None: 1, True: 2}[None if row.passed is None else bool(row.passed)]
    return order, -_share(row)


def _share(row: Any) -> float:
    """Where a row stands, within the edges."""
    if row.ratio is None or row.passed is None:
        return _MOST if row.passed is False else _LEAST
    ratio = float(row.ratio)
    return _MOST if math.isnan(ratio) else min(max(ratio, _LEAST), _MOST)


def _words(rows: Sequence[Any], shown: Sequence[Any]) -> str:
    failed, undecided = sum(row.passed is False for row in rows), sum(row.passed is None for row in rows)
    passed = len(rows) - failed - undecided
    text = f"Share of the limit that each of {len(rows)} checks used: {passed} passed, {failed} failed"
    text += f", {undecided} open" if undecided else ""
    counted = [row for row in rows if row.ratio is not None and row.passed is not None]
    if counted:
        worst = max(counted, key=lambda row: row.ratio)
        text += f". The largest share is {number(worst.ratio)}: {worst.label()}"
    if len(shown) < len(rows):
        text += f". The {len(shown)} gravest are drawn"
    return f"{text}."


def ulp_histogram(report: Any, *, ax: Any = None) -> Any:
    """Draw how many of the compared entries are how many ulps off, as bars on a logarithmic axis of counts.

    Args:
        report: a `CrossCheckReport` of `js.crosscheck`, with an ulp histogram.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes. The bars are as the report prints them, from exact to the last bin that is not empty.

    Raises:
        TypeError: not a `CrossCheckReport`.
        ValueError: the report has no ulp histogram, or one of no entries.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.checker.report.entries import UlpHistogram
        >>> counted = UlpHistogram.of(np.float32([1.0, 2.0, 3.0]), [1.0, 2.0 + 1e-7, 3.0])
        >>> ax = js.plots.ulp_histogram(js.CrossCheckReport("AGREE", (), ulp_histogram=counted))
        >>> [label.get_text() for label in ax.get_xticklabels()], [int(bar.get_height()) for bar in ax.patches]
        (['exact', '≤ 1/2'], [2, 1])
    """
    need("report", report, ("ulp_histogram", "statements"), "give what js.crosscheck returns")
    histogram = report.ulp_histogram
    if histogram is None or not histogram.total:
        raise WrongValue("report", "it counts no entries in ulps", "give a report of js.crosscheck that compared some")
    labels, counts = zip(*histogram.bins(), strict=True)
    ax = axes_of(ax)
    bars = ax.bar(range(len(counts)), counts, width=1.0, color=BLUE, edgecolor="white")
    ax.bar_label(bars, [str(count) if count else "" for count in counts], fontsize=8, padding=1)
    # From 1/2, so that a bin of one entry has a height.
    ax.set_yscale("log")
    ax.set_ylim(0.5, 3.0 * max(counts))
    ax.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    ax.set_xlabel(f"error (units in the last place, ulps of {histogram.dtype})")
    ax.set_ylabel(f"number of entries, of {histogram.total}")
    parts = ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True) if count)
    describe(ax, f"How many of {histogram.total} entries are how many ulps of {histogram.dtype} off: {parts}.")
    return ax
