"""The eigenvalues of a Hessian between their proved bounds (S7), with the null space apart (S6).

Guarded by `tests/plots/test_spectrum.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import BLACK, BLUE, GREEN, GREY, RED, SKY, axes_of, legend_aside, need
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, positive_int, show

__all__ = ["plot_spectrum"]

_FIELDS = ("lambda_min_bound", "lambda_max_bound", "resolution", "kernel_dim_predicted", "spectral_density", "verdict")
_REMEDY = "give what js.probe_convexity or js.probe_operator returns"


def plot_spectrum(
    found: Any, report: Any = None, *, kernel_dim: int | None = None, bins: int = 40, ax: Any = None
) -> Any:
    r"""Draw the spectrum of a Hessian on a logarithmic axis between S7's bounds, the null space apart (S6).

    Of a report alone the density of the eigenvalues off the null space is drawn, smoothed (`SpectralDensity`), and the
    extreme eigenvalues that were found. Of a list of eigenvalues each is counted in a bar: the `kernel_dim` nearest to
    0 are the null space's; what the computer returns for them is rounding, and its absolute value is drawn. A negative
    eigenvalue among the others, or one by which a report refutes convexity (S5 forbids them), is drawn by its absolute
    value under a label of its own.

    Args:
        found: a `ConvexityReport`; or eigenvalues (n,) real, e.g. of
            `numpy.linalg.eigvalsh(js.hessian(W, problem).to_dense())`, in any order.
        report: with eigenvalues, a `ConvexityReport` of the same W: its bounds (S7a, S7c) and its resolution are drawn.
        kernel_dim: with eigenvalues, how many belong to the null space; None takes S6's dimension from `report`, or 0.
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
        ('log', ['off the null space: 2', 'null space: 1\n(rounding)'])
    """
    bins = positive_int("bins", bins)
    if report is not None:
        need("report", report, _FIELDS, _REMEDY)
    if hasattr(found, "lambda_max_bound"):
        need("found", found, _FIELDS, _REMEDY)
        if report is not None or kernel_dim is not None:
            given = "a report, and another argument that belongs to eigenvalues"
            raise WrongValue("found", given, "give the report alone, or eigenvalues first")
        ax = axes_of(ax)
        _draw_density(ax, found)
        _draw_extremes(ax, found)
        report, told = found, _of_report(found)
    else:
        values, kernel_dim = _checked(found, report, kernel_dim)
        ax = axes_of(ax)
        _draw_bars(ax, values, kernel_dim, bins)
        told = (
            f"Spectrum of a Hessian: {values.size} eigenvalues, of which {kernel_dim} belong to the null space; the "
            f"largest is {number(values.max())}."
        )
        ax.set_ylabel("number of eigenvalues")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.set_ylim(0, 1.15 * max(ax.dataLim.y1, 1.0))
    ax.set_xscale("log")
    if report is not None:
        told += _draw_bounds(ax, report)
    ax.set_xlabel("eigenvalue of the Hessian, |λ(H(W))|")
    legend_aside(ax)
    describe(ax, told)
    return ax


def _draw_density(ax: Any, report: Any) -> None:
    density = report.spectral_density
    ax.set_ylabel("share of the eigenvalues a decade")
    if density is not None and len(density.grid):
        ax.fill_between(density.grid, density.density, color=SKY, alpha=0.35, linewidth=0)
        ax.plot(density.grid, density.density, color=BLUE, linewidth=1.5, label="density off the null space")
        ax.set_ylim(0, 1.15 * float(np.max(density.density)))
    else:
        ax.set_yticks([])
        ax.set_ylabel("")


def _draw_extremes(ax: Any, report: Any) -> None:
    """Small triangles on the axis: they stand on the numbers, and hide no line."""
    transform = ax.get_xaxis_transform()
    extremes = (("smallest found", "^", report.lambda_min), ("largest found", "s", report.lambda_max))
    for name, marker, at in extremes:
        if at > 0:
            label = f"{name}: {at:.3g}"
            options = {"marker": marker, "color": BLACK, "linestyle": "none", "clip_on": False}
            ax.plot([at], [0.0], transform=transform, label=label, markersize=7, **options)
    if _refuted(report) and report.lambda_min < 0:
        options = {"marker": "X", "color": RED, "linestyle": "none", "clip_on": False}
        label = f"negative: {report.lambda_min:.3g}"
        ax.plot([-report.lambda_min], [0.0], transform=transform, label=label, markersize=9, **options)


def _refuted(report: Any) -> bool:
    return report.verdict.value == "REFUTED"


def _draw_bounds(ax: Any, report: Any) -> str:
    """Vertical lines at the bounds and at the resolution; the sentence on them."""
    lines = (
        ("proved lower bound\nof the smallest (S7c): {:.2g}", RED, "--", report.lambda_min_bound),
        ("cannot be told from 0\nbelow {:.2g}", GREY, ":", report.resolution),
        ("proved upper bound\nof the largest (S7a): {:.3g}", GREEN, "-.", report.lambda_max_bound),
    )
    for name, colour, style, at in lines:
        if at > 0:
            ax.axvline(at, color=colour, linestyle=style, linewidth=1.6, label=name.format(at))
    least, most = report.lambda_min_bound, report.lambda_max_bound
    low = f"at least {number(least)} (S7c)" if least > 0 else "without a proved lower bound"
    high = f"at most {number(most)} (S7a)" if most > 0 else "without a proved upper bound"
    return f" Proved: off the null space eigenvalues are {low} and {high}."


def _of_report(report: Any) -> str:
    low = number(report.lambda_min) if report.resolved else f"below {number(report.resolution)} (unresolved)"
    refuted = "Convexity is REFUTED. " if _refuted(report) else ""
    return (
        f"{refuted}Spectrum of a Hessian off its null space of dimension {int(report.kernel_dim)}: eigenvalues from "
        f"{low} to {number(report.lambda_max)}."
    )


def _checked(found: Any, report: Any, kernel_dim: Any) -> tuple[np.ndarray, int]:
    try:
        values = np.asarray(found)
    except ValueError:  # rows of unequal lengths
        values = np.empty(0)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "fiu" or not np.all(np.isfinite(values)):
        remedy = "give a list of finite real numbers, or the report of js.probe_convexity"
        raise WrongValue("found", f"got {show(found)}, {kind_of(found)}", remedy)
    if kernel_dim is None:
        kernel_dim = 0 if report is None else int(report.kernel_dim_predicted)
    if isinstance(kernel_dim, bool) or not isinstance(kernel_dim, (int, np.integer)):
        raise WrongType("kernel_dim", f"got {show(kernel_dim)}, {kind_of(kernel_dim)}", "give an integer")
    if not 0 <= kernel_dim <= values.size:
        given = f"got {kernel_dim}, and there are {values.size} eigenvalues"
        raise WrongValue("kernel_dim", given, f"give 0 to {values.size}")
    return values.astype(np.float64), int(kernel_dim)


def _draw_bars(ax: Any, values: np.ndarray, kernel_dim: int, bins: int) -> None:
    order = np.argsort(np.abs(values), kind="stable")
    kernel, rest = np.abs(values[order[:kernel_dim]]), values[order[kernel_dim:]]
    # A logarithmic axis has no place for 0: exact zeros stand at the smallest thing that float64 could have told.
    largest = float(np.max(np.abs(values))) or 1.0
    floor = max(np.finfo(np.float64).eps ** 2 * largest, np.finfo(np.float64).tiny)
    groups = (
        ("off the null space: {}", BLUE, "", np.abs(rest[rest >= 0])),
        ("negative, off the\nnull space: {}", RED, "xxx", np.abs(rest[rest < 0])),
        ("null space: {}\n(rounding)", "0.75", "///", kernel),
    )
    everything = np.maximum(np.abs(values), floor)
    low, high = math.log10(float(everything.min())), math.log10(float(everything.max()))
    edges = np.logspace(low - 0.1, min(high + 0.1, 308.2), bins + 1)
    for name, colour, hatch, group in groups:
        if group.size:
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.5}
            ax.hist(np.maximum(group, floor), bins=edges, label=name.format(group.size), **style)
