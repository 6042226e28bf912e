"""Many fits in one picture: how weights and losses change with the strength of the penalty (S21), or from fit to fit.

Guarded by `tests/plots/test_path.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import axes_of, legend_aside, line_style, need
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show
from jaxsoftmax.support.visible import shortened

__all__ = ["plot_path"]


def plot_path(fits: Any, strengths: Any = None, *, ax: Any = None) -> Any:
    """Draw the norm of each class's weights, the intercept left out, along a path of penalties or over many fits.

    Args:
        fits: what `js.fit_path` or `js.fit_many` returns.
        strengths: (B,) positive strengths of the penalty, one for each fit: the axis is logarithmic; None takes the
            number of the fit.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes: a line for each class. Fits that have not converged are marked by a cross.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> ax = js.plots.plot_path(js.fit_path(problem, [0.1, 1.0, 10.0]), [0.1, 1.0, 10.0])
        >>> [line.get_label() for line in ax.lines], ax.get_xscale()
        (['class 0', 'class 1'], 'log')
    """
    need("fits", fits, ("coef", "converged", "loss"), "give what js.fit_path or js.fit_many returns")
    if np.ndim(fits.loss) != 1:
        raise WrongType("fits", f"got {show(fits)}, {kind_of(fits)}", "give what js.fit_path or js.fit_many returns")
    norms = np.linalg.norm(np.asarray(fits.coef, float), axis=2)
    count = len(norms)
    at = np.arange(count, dtype=float) if strengths is None else _strengths(strengths, count)
    ax = axes_of(ax)
    order = np.argsort(at, kind="stable")
    names = fits[0].classes
    for c, line in enumerate(norms.T):
        name = c if names is None else names[c]
        ax.plot(at[order], line[order], label=f"class {shortened(name)}", **line_style(c, points=count))
    astray = ~np.asarray(fits.converged, bool)
    if astray.any():
        where = np.repeat(at[astray], norms.shape[1])
        ax.plot(where, norms[astray].ravel(), "x", color="black", markersize=8, label="not converged")
    if strengths is not None:
        ax.set_xscale("log")
    ax.set_xlabel("number of the fit" if strengths is None else "strength of the penalty, α")
    ax.set_ylabel("norm of a class's weights, ‖w_c‖")
    legend_aside(ax)
    along = "from the first to the last" if strengths is None else f"from {at.min():.3g} to {at.max():.3g}"
    first, last = norms[order[0]].max(), norms[order[-1]].max()
    what = "over the fits" if strengths is None else "along the strength of the penalty"
    describe(
        ax,
        f"Norms of the weights of {norms.shape[1]} classes in {count} fits {what}, {along}: the largest goes from "
        f"{number(first)} to {number(last)}. {count - int(astray.sum())} of the fits have converged.",
    )
    return ax


def _strengths(given: Any, count: int) -> np.ndarray:
    found = np.asarray(given)
    if found.dtype.kind not in "iuf":
        raise WrongType("strengths", f"got {show(given)}, {kind_of(given)}", "give a list of positive numbers")
    if found.shape != (count,) or not (np.isfinite(found) & (found > 0)).all():
        remedy = f"give {count} positive numbers, one for each fit"
        raise WrongValue("strengths", f"got {show(given)}", remedy)
    return found.astype(float)
