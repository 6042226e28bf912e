"""The proved ball (S13): how exactly the minimiser is known, weight by weight, or beside the points of a training run.

Guarded by `tests/plots/test_ball.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import BLUE, GREEN, RED, axes_of, legend_aside, need
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show

__all__ = ["plot_ball"]

_LEAST = 1e-300  # what a logarithmic axis of doubles can show
_LINES = 200  # weights up to which each has a line of its own


def plot_ball(certificate: Any, iterates: Any = None, *, ax: Any = None) -> Any:
    """Draw where the minimiser W* is proved to be: in a ball around the certificate's weights Ŵ (S13).

    Without iterates: the size of each weight above its proved error, largest first; the way between the two on the
    logarithmic axis is the number of proved digits. With iterates: the distance of each from Ŵ, above the radius of the
    ball; the distance from W* differs from it by the radius at most. Distances below eps ‖Ŵ‖ are rounding, and stand
    there.

    Args:
        certificate: a `Certificate`.
        iterates: a `Fit`, a list of them, or weights (k, C, D) or (C, D) with the intercept's column. Parts of them in
            the null space (S6: what all classes share) are taken off where there is no regulariser.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do: other weights than those of the
            certificate; columns that it dropped, along which weights are free.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> fit = js.fit(problem)
        >>> ax = js.plots.plot_ball(js.certify(problem, fit.W, digits=20), fit)
        >>> bool(ax.lines[0].get_ydata()[0] < 1e-3)
        True
    """
    fields = ("weight_error_bounds", "radius_euclidean", "loss_lower", "dropped", "W")
    need("certificate", certificate, fields, "give what js.certify returns")
    W = np.asarray(certificate.W, float)
    distances = None if iterates is None else _distances(certificate, W, iterates)
    ax = axes_of(ax)
    if distances is None:
        told = _draw_digits(ax, certificate, W)
    else:
        told = _draw_distances(ax, certificate, distances, float(np.finfo(float).eps * np.linalg.norm(W)))
    ax.set_yscale("log")
    legend_aside(ax)
    proved = f"{int(certificate.digits)} digits of the minimum, {_first_digits(certificate.loss_lower)}, are proved"
    describe(ax, f"The proved ball: {proved}; {told}.")
    return ax


def _draw_digits(ax: Any, certificate: Any, W: np.ndarray) -> str:
    kept = np.setdiff1d(np.arange(W.shape[1]), [one.column for one in certificate.dropped])
    sizes = np.abs(W[:, kept])
    errors = np.broadcast_to(np.asarray(certificate.weight_error_bounds(), float)[kept], sizes.shape)
    order = np.argsort(-sizes, axis=None, kind="stable")
    sizes, errors = (np.maximum(part.ravel()[order], _LEAST) for part in (sizes, errors))
    seen = sizes > _LEAST  # a weight of 0 has no place on the axis
    place = np.arange(1, len(sizes) + 1)
    if len(place) <= _LINES:
        ax.vlines(place[seen], errors[seen], sizes[seen], color="0.8", linewidth=1.0)
    ax.plot(place[seen], sizes[seen], "o", color=BLUE, markersize=4, label="size of a weight, |ŵ|")
    ax.plot(place, errors, "v", color=RED, markersize=4, label="proved error of it,\n|w* − ŵ| at most this")
    ax.set_xlabel("weights, the largest first")
    ax.set_ylabel("size (units of a weight)")
    digits = np.log10(sizes[seen] / errors[seen])
    least = f", so that each but zeros has {max(0, int(digits.min()))} digits or more" if digits.size else ""
    return f"each of {len(sizes)} weights is known to {number(errors.max())} or better{least}"


def _draw_distances(ax: Any, certificate: Any, distances: np.ndarray, floor: float) -> str:
    hidden = bool((distances < floor).any())
    distances = np.maximum(distances, max(floor, _LEAST))
    radius = max(float(certificate.radius_euclidean), _LEAST)
    place = np.arange(len(distances))
    rounding = "\n(to rounding, eps ‖Ŵ‖)" if hidden else ""
    ax.plot(place, distances, "-o", color=BLUE, markersize=4, label=f"distance from Ŵ{rounding}")
    label = f"radius of the ball\nin which W* is: {radius:.2g}"
    ax.axhline(radius, color=GREEN, linestyle="--", linewidth=1.6, label=label)
    ends = np.array([radius, *distances[distances > _LEAST]])
    ax.set_ylim(ends.min() / 30, ends.max() * 30)
    ax.axhspan(ends.min() / 30, radius, color=GREEN, alpha=0.15, linewidth=0)
    ax.set_xlabel("iterate, k")
    ax.set_ylabel("distance, ‖W − Ŵ‖")
    if len(place) <= 12:
        ax.set_xticks(place)
    known = f"the minimiser is within {number(radius)} of known weights, and"
    if len(distances) == 1:
        return f"{known} the weights given are {number(distances[0])} away from them{', to rounding' * hidden}"
    ends = f"{number(distances[0])} to {number(distances[-1])}"
    return f"{known} the {len(distances)} iterates go from {ends} away from them{', to rounding' * hidden}"


def _distances(certificate: Any, W: np.ndarray, iterates: Any) -> np.ndarray:
    """‖W_k − Ŵ‖_F, (k,)."""
    remedy = "give a Fit, a list of them, or weights (k, C, D)"
    if hasattr(iterates, "history"):
        iterates = [iterates]
    if isinstance(iterates, Sequence) and not isinstance(iterates, str):
        iterates = [getattr(one, "W", one) for one in iterates]
    try:
        given = np.asarray(iterates)
    except ValueError:  # rows of unequal lengths
        given = np.empty(0, object)
    if given.dtype.kind not in "iuf":
        raise WrongType("iterates", f"got {show(iterates)}, {kind_of(iterates)}", remedy)
    given = given[None] if given.ndim == 2 else given
    if given.shape[1:] != W.shape or not len(given) or not np.isfinite(given).all():
        shape = f"(k, {W.shape[0]}, {W.shape[1]})"
        raise WrongValue("iterates", f"shape {given.shape}, expected finite {shape}", remedy)
    if certificate.dropped:
        given_ = f"{len(certificate.dropped)} columns are combinations of others, along which weights are free"
        raise WrongValue("iterates", given_, "leave iterates out, or drop these columns from the data")
    given = given.astype(float)
    if not certificate.data.host.regularizer:
        given = given - given.mean(axis=1, keepdims=True)
    return np.linalg.norm((given - W).reshape(len(given), -1), axis=1)


def _first_digits(text: str) -> str:
    return text if len(text) <= 14 else f"{text[:12]}…"
