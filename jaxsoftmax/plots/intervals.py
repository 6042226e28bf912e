"""Coefficients with their intervals as a forest plot, and a test's statistic in its distribution (S22).

Guarded by `tests/plots/test_intervals.py`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import (
    AS_IT_IS,
    BLACK,
    BLUE,
    GREY,
    RED,
    axes_of,
    legend_above,
    legend_aside,
    line_style,
    need,
)
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, nonnegative_real, positive_int, show
from jaxsoftmax.support.visible import shortened

__all__ = ["plot_coefficients", "plot_intervals", "plot_tail"]


_CLASS, _ALONE = 30, 56  # letters of "class …", and of a label that has no class beside it


class _Lines(NamedTuple):
    """What a forest plot has: k names and groups, (k,) estimates and their limits, and the level of confidence."""

    names: list[str]
    groups: list[str]
    values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float | None


_REMEDY = "give what js.inference, its bootstrap or its marginal_effects returns"


def plot_coefficients(table: Any, *, most: int = 30, ax: Any = None) -> Any:
    """Draw coefficients or effects with their intervals, one line each; classes differ in colour and marker.

    Args:
        table: an `Inference`, or what its `bootstrap` or `marginal_effects` returns.
        most: how many lines at most: those whose estimates are largest beside their intervals.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes. A coefficient that runs to infinity is an arrow at the edge; those that the data do not identify are
        left out.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.arange(8)[:, None], [0, 0, 1, 0, 1, 0, 1, 1], feature_names=["dose"])
        >>> ax = js.plots.plot_coefficients(js.inference(problem, js.fit(problem)))
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['dose', 'intercept']
    """
    need("table", table, ("classes", "features", "lower", "upper", "level"), _REMEDY)
    effects = hasattr(table, "effects")
    values = np.asarray(table.effects if effects else getattr(table, "coefficients", None), float)
    if values.shape != (len(table.classes), len(table.features)):
        raise WrongType("table", f"got {show(table)}, {kind_of(table)}", _REMEDY)
    names, groups = [], []
    for name in table.classes:
        names += [str(feature) for feature in table.features]
        groups += [f"class {name}"] * len(table.features)
    what = "change of the probability with the feature, ∂P/∂x" if effects else "coefficient, β"
    values, lower, upper = (np.asarray(part, float).ravel() for part in (values, table.lower, table.upper))
    return _forest(ax, _Lines(names, groups, values, lower, upper, table.level), what, positive_int("most", most))


def plot_intervals(
    names: Any, estimates: Any, lower: Any, upper: Any, *, level: float | None = None, most: int = 30, ax: Any = None
) -> Any:
    """Draw estimates with intervals of any origin as a forest plot.

    Args:
        names: k labels.
        estimates: (k,) numbers; NaN ones are left out, infinite ones are arrows at the edge.
        lower: (k,) lower ends.
        upper: (k,) upper ends.
        level: the level of confidence, for the legend.
        most: how many lines at most: those whose estimates are largest beside their intervals.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> ax = js.plots.plot_intervals(["Wald", "profile"], [1.0, 1.0], [0.2, 0.3], [1.8, 2.1], level=0.95)
        >>> js.plots.alt_text(ax)
        '2 estimates with intervals (95 %): 2 leave out 0. The largest is 1 (Wald), 0.2 to 1.8.'
    """
    labels = [str(name) for name in names]
    given = (("estimates", estimates), ("lower", lower), ("upper", upper))
    values, low, high = (_numbers(name, value, len(labels)) for name, value in given)
    lines = _Lines(labels, [""] * len(labels), values, low, high, level)
    return _forest(ax, lines, "estimate", positive_int("most", most))


def _numbers(name: str, value: Any, count: int) -> np.ndarray:
    found = np.asarray(value)
    if found.dtype.kind not in "iuf":
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", "give a list of real numbers")
    if found.shape != (count,):
        raise WrongValue(name, f"shape {found.shape}, expected ({count},)", "give one number for each name")
    return found.astype(float)


def _forest(ax: Any, lines: _Lines, what: str, most: int) -> Any:
    names, groups, values, lower, upper, level = lines
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        raise WrongValue("table", "no estimate is identified", "drop the features that span others")
    with np.errstate(all="ignore"):
        clear = np.abs(values) / np.maximum(upper - lower, np.finfo(float).tiny)
    clear[np.isinf(values)] = np.inf
    order = known[np.argsort(-clear[known], kind="stable")]
    shown = np.sort(order[:most])
    ax = axes_of(ax, height=1.6 + 0.24 * len(shown), width=7.2)
    ends = [0.0, *(part[i] for i in shown for part in (values, lower, upper) if np.isfinite(part[i]))]
    room = 0.06 * (max(ends) - min(ends) or 1.0)
    low, high = min(ends) - room, max(ends) + room
    ax.axvline(0.0, color=GREY, linewidth=1.0, linestyle="--")
    for place, group in enumerate(dict.fromkeys(groups)):
        mine = [(y, i) for y, i in enumerate(shown) if groups[i] == group]
        if not mine:
            continue
        style = {key: value for key, value in line_style(place).items() if key in ("color", "marker", "markersize")}
        finite = [(y, i) for y, i in mine if np.isfinite(values[i])]
        rows, at = [y for y, _ in finite], [i for _, i in finite]
        ax.hlines(rows, lower[at], upper[at], color=style["color"], linewidth=1.6)
        ax.plot(values[at], rows, linestyle="none", **style)
        for y, i in mine:
            if np.isinf(values[i]):
                edge, mark = (high, ">") if values[i] > 0 else (low, "<")
                ax.plot([edge], [y], linestyle="none", marker=mark, color=style["color"], markersize=8, clip_on=False)
    if np.isinf(values[shown]).any():
        ax.plot([], [], linestyle="none", marker=">", color=GREY, markersize=8, label="runs to infinity")
    ax.set_xlim(low, high)
    if not np.isfinite(values[shown]).any():
        ax.set_xticks([0.0])
    several = len(set(groups)) > 1
    labels = [
        f"{shortened(names[i])}, {shortened(groups[i], _CLASS)}" if several else shortened(names[i], _ALONE)
        for i in shown
    ]
    ax.set_yticks(range(len(shown)), labels, fontsize=8, **AS_IT_IS)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)
    interval = "" if level is None else f", with {100 * level:g} % interval"
    ax.set_xlabel(f"{what}{interval}")
    if np.isinf(values[shown]).any():
        legend_above(ax)
    describe(ax, _words(lines, shown, known))
    return ax


def _words(lines: _Lines, shown: np.ndarray, known: np.ndarray) -> str:
    names, groups, values, lower, upper, level = lines
    finite = [i for i in known if np.isfinite(values[i])]
    apart = sum(bool(lower[i] > 0 or upper[i] < 0) for i in finite)
    text = f"{len(known)} estimates with intervals" + ("" if level is None else f" ({100 * level:g} %)")
    text += f": {apart} leave out 0."
    if len(known) > len(finite):
        text += f" {len(known) - len(finite)} run to infinity."
    if finite:
        i = max(finite, key=lambda i: abs(values[i]))
        whose = ", ".join(filter(None, (shortened(names[i], _ALONE), shortened(groups[i], _CLASS))))
        text += f" The largest is {number(values[i])} ({whose}), {number(lower[i])} to {number(upper[i])}."
    if len(shown) < len(known):
        text += f" The {len(shown)} clearest are drawn."
    return text


def plot_tail(statistic: Any, degrees_of_freedom: Any, *, ax: Any = None) -> Any:
    """Draw the χ² density with a test's statistic in it: the area to its right is the p-value (S22).

    Args:
        statistic: at least 0.
        degrees_of_freedom: at least 1.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> js.plots.alt_text(js.plots.plot_tail(5.99, 2))
        'Chi-square density with 2 degrees of freedom: the statistic is 5.99, the area beyond it 0.05.'
    """
    from scipy.special import gammaincc, gammaln

    value = float(nonnegative_real("statistic", statistic))
    k = positive_int("degrees_of_freedom", degrees_of_freedom)
    p = float(gammaincc(k / 2, value / 2))
    far = max(k + 5 * math.sqrt(2 * k), 1.15 * value)
    x = np.linspace(far / 800, far, 800)
    y = np.exp((k / 2 - 1) * np.log(x) - x / 2 - k / 2 * math.log(2) - gammaln(k / 2))
    ax = axes_of(ax)
    ax.plot(x, y, color=BLUE, linewidth=1.6, label="density without\nan effect")
    tail = x >= value
    ax.fill_between(x[tail], y[tail], color=RED, hatch="///", alpha=0.5, linewidth=0, label=f"area beyond: p = {p:.3g}")
    ax.axvline(value, color=BLACK, linestyle="--", linewidth=1.4, label=f"statistic: {value:.4g}")
    ax.set_xlim(0, far)
    ax.set_ylim(0, 1.1 * float(y[len(y) // 40 :].max()))  # for one degree of freedom the density is infinite at 0
    ax.set_xlabel("likelihood-ratio statistic, χ²")
    ax.set_ylabel("density")
    legend_aside(ax)
    freedom = f"{k} degree{'s' if k > 1 else ''} of freedom"
    describe(
        ax,
        f"Chi-square density with {freedom}: the statistic is {number(value)}, the area beyond it {number(p)}.",
    )
    return ax
