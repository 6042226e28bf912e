"""How a training run went: loss, gradient and weights against steps or seconds, and the proved rates (S17, S18).

Guarded by `tests/plots/test_history.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import GREY, axes_of, legend_aside, line_style, need
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, one_of, positive_real, real_number, show

__all__ = ["plot_fit", "plot_history", "plot_rate"]

QUANTITIES = {  # of a fit's history: how the axis is labelled, and whether it is logarithmic
    "loss": ("loss, L(W)", False),
    "gradient_norm": ("norm of the gradient, ‖∇L(W)‖", True),
    "weight_norm": ("norm of the weights, ‖W‖", False),
    "step_size": ("length of the step, η", True),
}
_GAP = "loss above the minimum, L(W) − L*"
_FIT = ("history", "method", "status", "loss_in_training", "rate_bound")
_VACUOUS = 1e-12  # a rate this near to 1 promises nothing that a picture can show
_NAMED = 4  # runs that the alternative text names


def plot_history(fits: Any, quantity: str = "loss", *, minimum: Any = None, seconds: Any = None, ax: Any = None) -> Any:
    """Draw a quantity of the history of one or more fits against the steps (of S16, S17, S19, S20: one line a method).

    Args:
        fits: a `Fit`, a list of them (labelled by their methods), or a dict label -> `Fit`.
        quantity: "loss", "gradient_norm", "weight_norm" or "step_size".
        minimum: with "loss", draw L(W) − minimum on a logarithmic axis; points where it is not positive are left out.
            Shapes: a scalar.
        seconds: draw against seconds: of one fit the list that `js.fit(…, progress=seen.append)` filled, between whose
            entries steps are taken as evenly long, or how long the training took in all; for several fits a list of
            these, or a dict label -> these. Compilation is part of the first steps: fit once before to leave it out.
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
    one_of("quantity", quantity, QUANTITIES)
    label, logarithmic = QUANTITIES[quantity]
    low = 0.0
    if minimum is not None:
        if quantity != "loss":
            given = f"it is subtracted from the loss, and quantity is {quantity!r}"
            raise WrongValue("minimum", given, "leave one of the two out")
        low, label, logarithmic = float(real_number("minimum", minimum)), _GAP, True
    table = _labelled(fits)
    clocks = _clocks(table, fits, seconds)
    ax = axes_of(ax)
    for place, (name, fit) in enumerate(table.items()):
        values = np.asarray(fit.history[quantity], float) - low
        seen = np.isfinite(values) & ((values > 0) | (not logarithmic))
        style = line_style(place, points=int(seen.sum()))
        ax.plot(clocks[name][seen], values[seen], label=name, **style)
    _finish(ax, label, logarithmic, seconds is not None)
    told = [f"{name} {_from_to(fit, quantity, low)}" for name, fit in list(table.items())[:_NAMED]]
    more = f"; and {len(table) - _NAMED} more" if len(table) > _NAMED else ""
    describe(ax, f"The {label} against {_against(seconds)}: {'; '.join(told)}{more}.")
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
        ['gd', 'measured', 'from the eigenvalues', 'proved bound']
    """
    need("fit", fit, _FIT, "give what js.fit returns")
    ax = plot_history(fit, "gradient_norm", ax=ax)
    steps, norms = (np.asarray(fit.history[key], float) for key in ("step", "gradient_norm"))
    positive = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    rates = (
        ("measured", fit.rate_measured),
        ("from the eigenvalues", fit.rate_estimate),
        ("proved bound", fit.rate_bound),
    )
    known = {name: rate for name, rate in rates if rate is not None and 0 < rate and positive.size}
    for place, (name, rate) in enumerate(known.items(), 1):
        middle = positive[positive.size // 2]
        line = norms[middle] * np.exp((steps - steps[middle]) * math.log(rate))
        style = line_style(place) | {"marker": "", "linewidth": 1.2}
        ax.plot(steps, line, label=f"{name}:\n1 − {1 - rate:.3g} a step", **style)
    if positive.size:  # slopes that are far off the curve would stretch the axis
        ax.set_ylim(norms[positive].min() / 3, norms[positive].max() * 3)
    legend_aside(ax)
    if known:
        describe(ax, f"Rates a step: {', '.join(f'{name} 1 − {1 - rate:.3g}' for name, rate in known.items())}.")
    return ax


def plot_fit(fit: Any, *, seconds: Any = None, ax: Any = None) -> Any:
    """Draw how a fit converged, with the rates that are proved; where it diverges, how its weights grow.

    A run that converges has two curves on one logarithmic axis: the loss above the minimum and the norm of the
    gradient. The minimum is `loss_in_training − gap_estimate`, or the lowest loss of the run where no gap was
    estimated; differences that the training's dtype cannot tell from rounding are left out. Two bounds are drawn where
    the fit has them: of "gd", from the middle of the run on, what a step leaves of the gradient at most in the limit
    (`rate_bound`: S17; that of "mm" is about another norm, S19, and is not drawn), and from the start what it leaves of
    the loss above the minimum at most, promised before training (`log_gain_bound`: S18).

    Args:
        fit: a `Fit`.
        seconds: as in `plot_history`.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes. Of a run that ended DIVERGING there is one curve, ‖W‖.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> penalty = js.L2(1.0, penalize_intercept=True)
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], regularizer=penalty)
        >>> ax = js.fit(problem, "gd", max_steps=400).plot()
        >>> [line.get_label().partition(":")[0] for line in ax.lines]
        ['loss above the minimum', 'norm of the gradient', 'proved in the limit', 'proved before training']
    """
    need("fit", fit, _FIT, "give what js.fit returns")
    if fit.status.name == "DIVERGING":
        ax = plot_history({"‖W‖": fit}, "weight_norm", seconds=None if seconds is None else {"‖W‖": seconds}, ax=ax)
        ax.get_legend().remove()
        verdict = fit.existence
        proved = verdict is not None and verdict.attained is False and verdict.proof is not None
        describe(ax, f"The weights keep growing{': no minimiser exists, which is proved (S9)' * proved}.")
        return ax
    clock = _clocks({"fit": fit}, fit, seconds)["fit"]
    ax = axes_of(ax)
    history = {name: np.asarray(fit.history[name], float) for name in ("step", "loss", "gradient_norm")}
    gap, words = _gap(fit, history["loss"])
    _curve(ax, 0, clock, gap, words)
    norms = history["gradient_norm"]
    _curve(ax, 1, clock, norms, "norm of the gradient")
    told = _bounds(ax, fit, history["step"], clock, gap, norms)
    _finish(ax, "loss gap, L − L*, and gradient, ‖∇L‖", True, seconds is not None)
    shown = np.concatenate([values[np.isfinite(values) & (values > 0)] for values in (gap, norms)])
    if shown.size:
        ax.set_ylim(shown.min() / 3, shown.max() * 3)
    ends = ", ".join(
        f"the {what} goes from {_ends(values)}" for what, values in ((words, gap), ("norm of the gradient", norms))
    )
    describe(ax, f"Training by {fit.method} in {int(fit.steps)} steps, against {_against(seconds)}: {ends}.")
    if told:
        describe(ax, " ".join(told))
    return ax


def _gap(fit: Any, loss: np.ndarray) -> tuple[np.ndarray, str]:
    """(the loss above the minimum, NaN where rounding hides it; what to call it)."""
    eps = np.finfo(np.float32 if np.array_equal(loss.astype(np.float32), loss, equal_nan=True) else np.float64).eps
    if fit.gap_estimate is None:
        low, words = np.nanmin(np.where(np.isfinite(loss), loss, np.nan)), "loss above its lowest"
    else:
        low, words = fit.loss_in_training - fit.gap_estimate, "loss above the minimum"
    gap = loss - low
    return np.where(gap > eps * np.abs(loss), gap, np.nan), words


def _bounds(ax: Any, fit: Any, steps: np.ndarray, clock: np.ndarray, gap: np.ndarray, norms: np.ndarray) -> list[str]:
    """Draw the bounds that are proved; what they say."""
    told, dashes = [], {"color": GREY, "linewidth": 1.4}
    seen = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    if fit.method == "gd" and fit.rate_bound is not None and 0 < fit.rate_bound < 1 - _VACUOUS and seen.size > 1:
        middle = seen[seen.size // 2]
        line = norms[middle] * np.exp((steps[middle:] - steps[middle]) * math.log(fit.rate_bound))
        rate = f"1 − {1 - fit.rate_bound:.3g}"
        label = f"proved in the limit:\ngradient × {rate} a step"
        ax.plot(clock[middle:], line, label=label, linestyle=":", **dashes)
        told.append(f"In the limit a step leaves at most {rate} of the gradient, by the curvature at the end (S17).")
    gain = 0.0 if fit.log_gain_bound is None else math.exp(fit.log_gain_bound)
    if _VACUOUS < gain < 1 and np.isfinite(gap[0]):
        line = gap[0] * np.exp(steps * math.log1p(-gain))
        label = f"proved before training:\nloss × (1 − {gain:.2g}) a step"
        ax.plot(clock, line, label=label, linestyle="-.", **dashes)
        told.append(f"Before training it was proved that each step leaves at most 1 − {gain:.2g} of the loss gap.")
    return told


def _curve(ax: Any, place: int, clock: np.ndarray, values: np.ndarray, label: str) -> None:
    seen = np.isfinite(values) & (values > 0)
    ax.plot(clock[seen], values[seen], label=label, **line_style(place, points=int(seen.sum())))


def _finish(ax: Any, label: str, logarithmic: bool, in_seconds: bool) -> None:
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlabel("time of training, t (seconds)" if in_seconds else "step, k")
    ax.set_ylabel(label)
    legend_aside(ax)


def _against(seconds: Any) -> str:
    return "the steps" if seconds is None else "the seconds of training"


def _ends(values: np.ndarray) -> str:
    seen = values[np.isfinite(values)]
    return f"{number(seen[0])} to {number(seen[-1])}" if seen.size else "nothing finite to nothing"


def _from_to(fit: Any, quantity: str, low: float) -> str:
    values = np.asarray(fit.history[quantity], float) - low
    return f"goes from {_ends(values)} in {int(fit.steps)} steps"


def _labelled(fits: Any) -> dict[str, Any]:
    """The fits by label: as given, or by method (numbered where one comes twice)."""
    if isinstance(fits, Mapping):
        table = {str(label): fit for label, fit in fits.items()}
    elif hasattr(fits, "history"):
        need("fits", fits, _FIT, "give what js.fit returns")
        table = {fits.method: fits}
    elif isinstance(fits, Sequence) and not isinstance(fits, str):
        table = {}
        for fit in fits:
            name = getattr(fit, "method", "?")
            same = sum(label.split(" (")[0] == name for label in table)
            table[f"{name} ({same + 1})" if same else name] = fit
    else:
        given = f"got {show(fits)}, {kind_of(fits)}"
        raise WrongType("fits", given, "give a Fit, a list of them, or a dict label -> Fit")
    for label, fit in table.items():
        if not all(hasattr(fit, field) for field in _FIT):
            raise WrongType("fits", f"{label!r} is {show(fit)}, {kind_of(fit)}", "give what js.fit returns")
    if not table:
        raise WrongValue("fits", "got none", "give at least one Fit")
    return table


def _clocks(table: dict[str, Any], fits: Any, seconds: Any) -> dict[str, np.ndarray]:
    """Where each point of each history stands on the horizontal axis."""
    steps = {name: np.asarray(fit.history["step"], float) for name, fit in table.items()}
    if seconds is None:
        return steps
    if hasattr(fits, "history"):
        given = dict.fromkeys(table, seconds)
    elif isinstance(seconds, Mapping):
        given = {str(label): value for label, value in seconds.items()}
    else:
        listed = seconds if isinstance(seconds, Sequence) else [seconds]
        given = dict(zip(table, listed, strict=False)) if len(listed) == len(table) else {}
    if set(given) != set(table):
        raise WrongValue("seconds", f"not one for each of the {len(table)} fits", "give a list or a dict like fits")
    return {name: _clock(steps[name], given[name]) for name in table}


def _clock(steps: np.ndarray, given: Any) -> np.ndarray:
    """The seconds at which each step was done."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        if not given or not all(hasattr(one, "step") and hasattr(one, "seconds") for one in given):
            remedy = "give the list that js.fit(…, progress=seen.append) filled, or a number"
            raise WrongType("seconds", f"got {show(given)}, {kind_of(given)}", remedy)
        told = [(0.0, 0.0), *((float(one.step), float(one.seconds)) for one in given if one.step > 0)]
        known, first = np.unique([step for step, _ in told], return_index=True)
        return np.interp(steps, known, np.array([at for _, at in told])[first])
    total = float(positive_real("seconds", given))
    return steps * (total / max(steps[-1], 1.0)) if steps.size else steps
