"""Pictures of fits, spectra and cross-checks: history, rates (S17), eigenvalues between their bounds (S7), ulps.

Needs matplotlib (the extra `plots`), which is imported on use. Every function draws into `ax`, or into new axes, and
returns the axes: titles, limits and scales are then the caller's. Nothing is shown, saved or configured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxsoftmax.checker.report.result import CrossCheckReport
from jaxsoftmax.evidence.spectrum.probe import ConvexityReport
from jaxsoftmax.support.validation import kind_of, positive_int, real_number, show
from jaxsoftmax.training.result import Fit

__all__ = ["plot_history", "plot_rate", "plot_spectrum", "ulp_histogram"]

QUANTITIES = {  # of a fit's history: how the axis is labelled, and whether it is logarithmic
    "loss": ("L(W)", False),
    "gradient_norm": ("‖∇L(W)‖", True),
    "weight_norm": ("‖W‖", False),
    "step_size": ("step η", True),
}


def _axes(ax: Any) -> Any:
    """`ax`, or the axes of a new figure."""
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError('js.plots needs matplotlib: pip install "jaxsoftmax[plots]".') from error
        return pyplot.subplots()[1]
    if not callable(getattr(ax, "plot", None)):
        raise TypeError(f"ax: got {show(ax)}, {kind_of(ax)}; give matplotlib axes, or leave it out for new ones.")
    return ax


def _labelled(fits: Any) -> dict[str, Fit]:
    """The fits by label: as given, or by method (numbered where one comes twice)."""
    if isinstance(fits, Fit):
        fits = [fits]
    if isinstance(fits, Mapping):
        table = {str(label): fit for label, fit in fits.items()}
    elif isinstance(fits, Sequence) and not isinstance(fits, str):
        table = {}
        for fit in fits:
            name = getattr(fit, "method", "?")
            same = sum(label.split(" (")[0] == name for label in table)
            table[f"{name} ({same + 1})" if same else name] = fit
    else:
        raise TypeError(f"fits: got {show(fits)}, {kind_of(fits)}; give a Fit, a list of them, or a dict label -> Fit.")
    for label, fit in table.items():
        if not isinstance(fit, Fit):
            raise TypeError(f"fits: {label!r} is {show(fit)}, {kind_of(fit)}; give what js.fit returns.")
    if not table:
        raise ValueError("fits: got none; give at least one Fit.")
    return table


def plot_history(fits: Any, quantity: str = "loss", *, minimum: Any = None, ax: Any = None) -> Any:
    """Draw a quantity of the history of one or more fits against the steps (of S16, S17, S19, S20: one line a method).

    Args:
        fits: a `Fit`, a list of them (labelled by their methods), or a dict label -> `Fit`.
        quantity: "loss", "gradient_norm", "weight_norm" or "step_size".
        minimum: with "loss", draw L(W) − minimum on a logarithmic axis; points where it is not positive are left out.
            Shapes: a scalar.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> runs = [js.fit(problem, method, max_steps=5) for method in ("gd", "newton")]
        >>> ax = js.plots.plot_history(runs, "gradient_norm")
        >>> [line.get_label() for line in ax.lines]
        ['gd', 'newton']
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity: got {show(quantity)}; give one of {', '.join(map(repr, QUANTITIES))}.")
    label, logarithmic = QUANTITIES[quantity]
    low = 0.0
    if minimum is not None:
        if quantity != "loss":
            raise ValueError(f"minimum: it is subtracted from the loss, and quantity is {quantity!r}. Leave one out.")
        low, label, logarithmic = float(real_number("minimum", minimum)), "L(W) − minimum", True
    table = _labelled(fits)
    ax = _axes(ax)
    for name, fit in table.items():
        steps = np.asarray(fit.history["step"], float)
        values = np.asarray(fit.history[quantity], float) - low
        seen = np.isfinite(values) & ((values > 0) | (not logarithmic))
        ax.plot(steps[seen], values[seen], label=name, linewidth=1.2)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel(label)
    ax.legend()
    return ax


def plot_rate(fit: Any, *, ax: Any = None) -> Any:
    """Draw ‖∇L‖ against the steps, and the slopes of the rates that the fit knows through its midpoint (S17).

    A contraction by r a step is a straight line of slope log r. `fit.rate_measured` is fitted to the curve;
    `fit.rate_estimate` and `fit.rate_bound` are not: they come from the curvature at the end point.

    Args:
        fit: a `Fit` of a linearly convergent method, e.g. "gd".
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes. Rates the fit does not know are left out.

    Raises:
        TypeError: not a `Fit`.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> ax = js.plots.plot_rate(js.fit(problem, "gd", max_steps=400))
        >>> [line.get_label().split(":")[0] for line in ax.lines]
        ['gd', 'measured', 'eigenvalues at the end', 'rigorous bound']
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"fit: got {show(fit)}, {kind_of(fit)}; give what js.fit returns.")
    ax = plot_history(fit, "gradient_norm", ax=ax)
    steps, norms = (np.asarray(fit.history[key], float) for key in ("step", "gradient_norm"))
    positive = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    if positive.size:
        middle = positive[positive.size // 2]
        rates = (
            ("measured", "--", fit.rate_measured),
            ("eigenvalues at the end", ":", fit.rate_estimate),
            ("rigorous bound", "-.", fit.rate_bound),
        )
        for name, style, rate in rates:
            if rate is not None and 0 < rate:
                line = norms[middle] * np.exp((steps - steps[middle]) * math.log(rate))
                ax.plot(steps, line, style, label=f"{name}: 1 − {1 - rate:.3g} a step")
        # Slopes that are far off the curve would stretch the axis.
        ax.set_ylim(norms[positive].min() / 3, norms[positive].max() * 3)
    ax.legend()
    return ax


def plot_spectrum(
    eigenvalues: Any,
    report: Any = None,
    *,
    kernel_dim: int | None = None,
    bins: int = 40,
    ax: Any = None,
) -> Any:
    """Draw the eigenvalues of a Hessian on a logarithmic axis, the null space apart (S6), between S7's bounds.

    The `kernel_dim` eigenvalues nearest to 0 are the null space's; what the computer returns for them is rounding, and
    its absolute value is drawn. A negative eigenvalue among the others (S5 forbids them) is drawn by its absolute value
    under a label of its own.

    Args:
        eigenvalues: (n,) real, e.g. of `numpy.linalg.eigvalsh(js.hessian(W, problem).to_dense())`, in any order.
        report: a `ConvexityReport` of the same W: its bounds (S7a, S7c) and its resolution are drawn as lines.
        kernel_dim: how many eigenvalues belong to the null space; None takes S6's dimension from `report`, or 0.
        bins: of the histogram, at least 1.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> ax = js.plots.plot_spectrum([1e-16, 0.5, 2.0], kernel_dim=1)
        >>> ax.get_xscale(), ax.get_legend_handles_labels()[1]
        ('log', ['off the null space: 2', 'null space: 1 (rounding)'])
    """
    values = np.asarray(eigenvalues)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "fiu" or not np.all(np.isfinite(values)):
        raise ValueError(
            f"eigenvalues: got {show(eigenvalues)}, {kind_of(eigenvalues)}; give a list of finite real numbers."
        )
    if report is not None and not isinstance(report, ConvexityReport):
        raise TypeError(f"report: got {show(report)}, {kind_of(report)}; give what js.probe_convexity returns.")
    if kernel_dim is None:
        kernel_dim = 0 if report is None else int(report.kernel_dim_predicted)
    if isinstance(kernel_dim, bool) or not isinstance(kernel_dim, (int, np.integer)):
        raise TypeError(f"kernel_dim: got {show(kernel_dim)}, {kind_of(kernel_dim)}; give an integer.")
    bins = positive_int("bins", bins)
    if not 0 <= kernel_dim <= values.size:
        raise ValueError(f"kernel_dim: got {kernel_dim}; there are {values.size} eigenvalues. Give 0 to {values.size}.")
    values = values.astype(np.float64)
    order = np.argsort(np.abs(values), kind="stable")
    kernel, rest = np.abs(values[order[:kernel_dim]]), values[order[kernel_dim:]]
    # A logarithmic axis has no place for 0: exact zeros stand at the smallest thing that float64 could have told.
    largest = float(np.max(np.abs(values))) or 1.0
    floor = max(np.finfo(np.float64).eps ** 2 * largest, np.finfo(np.float64).tiny)
    groups = (
        ("off the null space: {}", "C0", np.abs(rest[rest >= 0])),
        ("negative, off the null space: {}", "C3", np.abs(rest[rest < 0])),
        ("null space: {} (rounding)", "0.6", kernel),
    )
    ax = _axes(ax)
    everything = np.maximum(np.abs(values), floor)
    low, high = math.log10(float(everything.min())), math.log10(float(everything.max()))
    edges = np.logspace(low - 0.1, min(high + 0.1, 308.2), bins + 1)
    for name, colour, group in groups:
        if group.size:
            ax.hist(np.maximum(group, floor), bins=edges, color=colour, label=name.format(group.size))
    if report is not None:
        lines = (
            ("lower bound of λ_min (S7c): {:.2g}", "C1", "--", report.lambda_min_bound),
            ("resolution of float64: {:.2g}", "0.4", ":", report.resolution),
            ("upper bound of λ_max (S7a): {:.3g}", "C2", "--", report.lambda_max_bound),
        )
        for name, colour, style, at in lines:
            if at > 0:
                ax.axvline(at, color=colour, linestyle=style, label=name.format(at))
    ax.set_xscale("log")
    ax.set_xlabel("|eigenvalue of H(W)|")
    ax.set_ylabel("number of eigenvalues")
    ax.legend()
    return ax


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
    if not isinstance(report, CrossCheckReport):
        raise TypeError(f"report: got {show(report)}, {kind_of(report)}; give what js.crosscheck returns.")
    histogram = report.ulp_histogram
    if histogram is None or not histogram.total:
        raise ValueError("report: it counts no entries in ulps. Give a report of js.crosscheck that compared some.")
    labels, counts = zip(*histogram.bins(), strict=True)
    ax = _axes(ax)
    ax.bar(range(len(counts)), counts, width=1.0, color="C0", edgecolor="white", label=f"{histogram.total} entries")
    # From 1/2, so that a bin of one entry has a height.
    ax.set_yscale("log")
    ax.set_ylim(0.5, 2.0 * max(counts))
    ax.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    ax.set_xlabel(f"error in ulps of {histogram.dtype}")
    ax.set_ylabel("entries")
    ax.legend()
    return ax
