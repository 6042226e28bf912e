"""How good predictions are: which classes are taken for which, and whether probabilities mean what they say.

Guarded by `tests/plots/test_predictions.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import AS_IT_IS, BLUE, GREY, axes_of, legend_aside, named_places
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, positive_int, show
from jaxsoftmax.support.visible import shortened

__all__ = ["plot_confusion", "plot_reliability"]

_WRITTEN = 20  # classes up to which the numbers are written into the cells
_Z = 1.959963984540054  # the normal quantile of a 95 % interval


def plot_confusion(counts: Any, classes: Any = None, *, ax: Any = None) -> Any:
    """Draw a confusion matrix: true classes downwards, predicted ones across, right predictions on the diagonal.

    A cell's colour is its share of its true class; up to 20 classes the number of samples stands in it, if not 0.

    Args:
        counts: (C, C) numbers >= 0: row c, column k: samples of class c that are taken for class k.
        classes: C labels; None numbers them.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> ax = js.plots.plot_confusion([[5, 1], [0, 4]], ["no", "yes"])
        >>> [text.get_text() for text in ax.texts]
        ['5', '1', '4']
    """
    table = _real("counts", counts)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not (table >= 0).all() or not table.sum() > 0:
        remedy = "give a square table of numbers >= 0, true classes by predicted ones"
        raise WrongValue("counts", f"got {show(counts)}", remedy)
    C = len(table)
    names = _names(classes, C)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    ax = axes_of(ax, width=5.4 if C <= 10 else 8.0, height=4.4 if C <= 10 else 6.2)
    image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    if C <= _WRITTEN:
        size = 10 if C <= 5 else 8 if C <= 10 else 6
        for c, k in np.argwhere(table > 0):
            ink = "white" if shares[c, k] > 0.55 else "black"  # the map is dark above its middle
            ax.text(k, c, f"{table[c, k]:.10g}", ha="center", va="center", fontsize=size, color=ink)
    places, upright = named_places(C), max(map(len, names)) > 4
    shown = [names[place] for place in places]
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if upright else {}
    ax.set_xticks(places, shown, fontsize=8, **turned, **AS_IT_IS)
    ax.set_yticks(places, shown, fontsize=8, **AS_IT_IS)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.figure.colorbar(image, ax=ax, label="share of the true class")
    describe(ax, _confusion_words(table, names))
    return ax


def _confusion_words(table: np.ndarray, names: list[str]) -> str:
    right, total = float(np.trace(table)), float(table.sum())
    text = f"Confusion matrix of {len(table)} classes: {right:.10g} of {total:.10g} samples are on the diagonal "
    text += f"({100 * right / total:.4g} %)."
    wrong = table - np.diag(np.diag(table))
    c, k = np.unravel_index(np.argmax(wrong), wrong.shape)
    if wrong[c, k] > 0:
        text += f" Most often {names[c]} is taken for {names[k]} ({wrong[c, k]:.10g})."
    return text


def plot_reliability(probabilities: Any, labels: Any, *, classes: Any = None, bins: int = 10, ax: Any = None) -> Any:
    """Draw how often the predicted class is right, against the probability that it was given (a reliability diagram).

    Samples are put into bins of equal width by the probability of their most probable class. A point stands at the
    mean probability of its bin and the share of right predictions in it, with Wilson's 95 % interval of that share; on
    the diagonal probabilities mean what they say.

    Args:
        probabilities: (N, C) as of `Fit.probabilities`.
        labels: (N,) the true classes: codes 0 to C − 1, or labels among `classes`.
        classes: C labels, such as `fit.classes`; None where `labels` are codes.
        bins: of [0, 1], at least 1; empty ones are left out.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> ax = js.plots.plot_reliability([[0.9, 0.1], [0.95, 0.05], [0.3, 0.7]], [0, 1, 1])
        >>> [point.round(3).tolist() for point in ax.lines[-1].get_data()]
        [[0.7, 0.925], [1.0, 0.5]]
    """
    bins = positive_int("bins", bins)
    table = _real("probabilities", probabilities)
    if table.ndim != 2 or not len(table) or (table < 0).any() or (np.abs(table.sum(axis=1) - 1) > 1e-3).any():
        remedy = "give (N, C) probabilities whose rows sum to 1, as of Fit.probabilities"
        raise WrongValue("probabilities", f"got {show(probabilities)}, {kind_of(probabilities)}", remedy)
    codes = _codes(labels, classes, *table.shape)
    sure, right = table.max(axis=1), table.argmax(axis=1) == codes
    place = np.minimum((sure * bins).astype(int), bins - 1)
    filled = np.unique(place)
    count = np.array([(place == b).sum() for b in filled])
    mean = np.array([sure[place == b].mean() for b in filled])
    share = np.array([right[place == b].mean() for b in filled])
    low, high = _wilson(share, count)
    ax = axes_of(ax, width=6.4, height=4.6)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="probabilities\nmean what they say")
    bars = (np.maximum(share - low, 0), np.maximum(high - share, 0))
    ax.errorbar(mean, share, yerr=bars, fmt="none", ecolor=BLUE, elinewidth=1.0, capsize=3, label="95 % interval")
    ax.plot(mean, share, "-o", color=BLUE, markersize=5, label="predictions in a bin")
    for x, y, n in zip(mean, low, count, strict=True):
        ax.annotate(str(n), (x, y), (0, -4), textcoords="offset points", ha="center", va="top", fontsize=7)
    left = max(0.0, float(mean.min()) - 0.05)
    ax.set_xlim(left, 1.02)
    ax.set_ylim(min(left, float(low.min())) - 0.08, 1.03)
    ax.set_xlabel("probability of the predicted class, p")
    ax.set_ylabel("share of right predictions (samples below)")
    legend_aside(ax)
    off = float(np.sum(count * np.abs(mean - share)) / len(table))
    describe(
        ax,
        f"Reliability diagram of {len(table)} predictions: {100 * right.mean():.4g} % are right, their probabilities "
        f"are {100 * sure.mean():.4g} % on average. Over the {len(filled)} bins with samples the two differ by "
        f"{number(100 * off)} percentage points on average (the expected calibration error).",
    )
    return ax


def _wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval: the p with (share − p)² ≤ z² p (1 − p)/n."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = _Z / (1 + _Z**2 / count) * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return middle - reach, middle + reach


def _real(name: str, value: Any) -> np.ndarray:
    try:
        found = np.asarray(value)
    except ValueError:  # rows of unequal lengths
        found = np.empty(0, object)
    if found.dtype.kind not in "iuf":
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", "give a table of real numbers")
    if not np.isfinite(found).all():
        raise WrongValue(name, "it has NaN or infinities", "give finite numbers")
    return found.astype(float)


def _names(classes: Any, C: int) -> list[str]:
    if classes is None:
        return [str(c) for c in range(C)]
    names = [shortened(name) for name in np.asarray(classes, object).ravel()]
    if len(names) != C:
        raise WrongValue("classes", f"got {len(names)} for {C} classes", "give a label for each class")
    return names


def _codes(labels: Any, classes: Any, N: int, C: int) -> np.ndarray:
    given = np.asarray(labels)
    if given.shape != (N,):
        raise WrongValue("labels", f"shape {given.shape}, expected ({N},)", "give the true class of each sample")
    if classes is not None:
        place = {label: code for code, label in enumerate(np.asarray(classes).tolist())}
        _names(classes, C)
        unknown = [label for label in given.tolist() if label not in place]
        if unknown:
            raise WrongValue("labels", f"{show(unknown[0])} is none of the classes", "give labels among classes")
        return np.array([place[label] for label in given.tolist()])
    if given.dtype.kind not in "iu" or (given < 0).any() or (given >= C).any():
        remedy = f"give codes 0 to {C - 1}, or classes=fit.classes beside labels"
        raise WrongValue("labels", f"got {show(labels)}, {kind_of(labels)}", remedy)
    return given
