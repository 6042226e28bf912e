"""The direction that separates classes (S9): each sample's margin along it, and its pixels; or how it was looked for.

Guarded by `tests/plots/test_separation.py`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.images import as_shape, draw_tiles
from jaxsoftmax.plots.style import AS_IT_IS, BLUE, GREY, RED, axes_of, legend_above, named_places, need
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.visible import shortened

__all__ = ["plot_direction", "plot_margins", "plot_stages"]

_FIELDS = ("direction", "separated", "stages", "reason", "data")
_REMEDY = "give what js.decide_existence returns"


def plot_margins(verdict: Any, *, ax: Any = None) -> Any:
    """Draw how far each sample is moved away from other classes along the separating direction V (S9).

    The margin of a sample with class c to class j is z_c − z_j, the difference of its logits along V: never negative,
    and positive where V separates the two. Which margins are 0 is known exactly. Where V separates all samples from all
    other classes the smallest margin of each is drawn, otherwise the largest. Samples whose targets give every class a
    share have no margin and are left out.

    Args:
        verdict: an `ExistenceVerdict` with a direction.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes: a row of marks for each class. Margins are in units in which the largest entry of V is 1.

    Raises:
        TypeError: not an `ExistenceVerdict`.
        ValueError: it has no direction.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> verdict = js.decide_existence(js.Problem.from_labels([[1.0], [2.0], [4.0]], ["a", "a", "b"]))
        >>> ax = js.plots.plot_margins(verdict)
        >>> [label.get_text() for label in ax.get_yticklabels()], ax.lines[0].get_xdata().round(3).tolist()
        (['a', 'b'], [0.667, 0.333, 0.333])
    """
    V = _direction(verdict)
    data = verdict.data
    X = np.asarray(data.values, float)[data.rows]
    logits = X @ V[:, : data.given].T + (V[:, data.given] if data.intercept else 0.0)
    support, separated = data.support, np.asarray(verdict.separated)[data.rows]
    apart = ~support.all(axis=1)  # a sample with a share of every class has a margin to none
    logits, support, separated = logits[apart], support[apart], separated[apart]
    margins = np.where(separated, logits.max(axis=1, keepdims=True) - logits, 0.0)
    outside = ~support
    complete = bool(separated[outside].all())
    extreme = (
        np.where(outside, margins, np.inf).min(axis=1) if complete else np.where(outside, margins, 0.0).max(axis=1)
    )
    moved = (separated & outside).any(axis=1)
    own, names = support.argmax(axis=1), [shortened(name) for name in data.names()[0]]
    ax = axes_of(ax, height=min(1.8 + 0.32 * len(names), 9.0))
    shift = _spread(own, len(names))
    for mask, marker, colour, label in (
        (~moved, "x", RED, "no margin: not separated from any class"),
        (moved, "o", BLUE, "separated"),
    ):
        if mask.any():
            style = {"marker": marker, "color": colour, "markersize": 4, "fillstyle": "none", "alpha": 0.7}
            label = f"{label} ({int(mask.sum())})"
            ax.plot(extreme[mask], (own + shift)[mask], linestyle="none", label=label, clip_on=False, **style)
    ax.axvline(0.0, color=GREY, linestyle="--", linewidth=1.2)
    ax.set_xlim(left=-0.02 * float(extreme[np.isfinite(extreme)].max(initial=0.0)))
    places = named_places(len(names))
    ax.set_yticks(places, [names[place] for place in places], fontsize=8, **AS_IT_IS)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_ylabel("true class")
    which = "smallest" if complete else "largest"
    ax.set_xlabel(f"{which} margin to another class, z_c − z_j along V (largest entry of V: 1)")
    legend_above(ax)
    size = f", the smallest margin is {number(extreme.min())}" if complete else f", by at most {number(extreme.max())}"
    left_out = int((~apart).sum())
    more = f" Left out: {left_out} whose targets give every class a share." if left_out else ""
    words = f"{'all' if moved.all() else int(moved.sum())} of {len(moved)} samples are moved away from another class"
    along = f"Margins of the samples along a direction that separates classes, {verdict.status.value}"
    describe(ax, f"{along}: {words}{size}.{more}")
    return ax


def plot_direction(verdict: Any, shape: Any, *, ax: Any = None) -> Any:
    """Draw the separating direction V of image data (S9): one image for each class whose weights it moves.

    The gauge is that of `ExistenceVerdict.diverging`: the median class of each pixel stands still.

    Args:
        verdict: an `ExistenceVerdict` with a direction.
        shape: (height, width) of the images.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes, with all images side by side and one colour bar whose middle is 0; the largest entry is 1.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do: no direction, one that moves no
            pixel, another shape.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> images = np.array([[0, 5, 1, 0], [0, 7, 0, 1], [3, 0, 1, 0], [2, 0, 0, 1]])
        >>> verdict = js.decide_existence(js.Problem.from_labels(images, ["a", "a", "b", "b"]))
        >>> ax = js.plots.plot_direction(verdict, (2, 2))
        >>> [text.get_text() for text in ax.texts]
        ['class a', 'class b']
    """
    _direction(verdict)
    data, V = verdict.data, verdict.direction
    height, width = as_shape(shape, data.given)
    relative = (V - np.sort(V, axis=0)[(len(V) - 1) // 2])[:, : data.given]
    moved = np.flatnonzero((relative != 0).any(axis=1))
    if not moved.size:
        raise WrongValue("verdict", "its direction moves no pixel, only the intercept", "draw plot_margins instead")
    pixels = _scaled(relative[moved])
    names = [shortened(data.names()[0][c]) for c in moved]
    count = int((pixels != 0).any(axis=0).sum())
    ax = axes_of(ax, width=8.0, height=1.2 + 1.75 * -(-len(moved) // 5))
    draw_tiles(ax, pixels, (height, width), [f"class {name}" for name in names], "entry of V (largest: 1)")
    c, d = np.unravel_index(np.argmax(np.abs(pixels)), pixels.shape)
    describe(
        ax,
        f"The separating direction as images of {height} × {width} pixels: it moves {count} "
        f"pixels of {len(moved)} classes ({', '.join(names)}), most of all row {int(d) // width}, column "
        f"{int(d) % width} of class {names[c]}.",
    )
    return ax


def plot_stages(verdict: Any, *, ax: Any = None) -> Any:
    """Draw how long each stage of a verdict on existence took: for one without a direction.

    Args:
        verdict: an `ExistenceVerdict`.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes.

    Raises:
        TypeError: not an `ExistenceVerdict`.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js
        >>> ax = js.plots.plot_stages(js.decide_existence(js.Problem.from_labels([[0.0], [0.0]], [0, 1])))
        >>> ax.get_title(loc="left")
        'ATTAINED'
    """
    need("verdict", verdict, (*_FIELDS, "headline"), _REMEDY)
    stages = list(verdict.stages) or [("decided at once", verdict.seconds)]
    ax = axes_of(ax, height=1.6 + 0.34 * len(stages))
    bars = ax.barh(range(len(stages)), [seconds for _, seconds in stages], color=BLUE, height=0.6)
    ax.bar_label(bars, [f"{seconds:.2g} s" for _, seconds in stages], fontsize=8, padding=3)
    ax.set_yticks(range(len(stages)), [name for name, _ in stages], fontsize=8)
    ax.set_ylim(len(stages) - 0.5, -0.5)
    ax.margins(x=0.15)
    ax.set_xlabel("time, t (seconds)")
    ax.set_title(verdict.headline(), loc="left", fontsize=10)
    told = ", ".join(f"{name} {number(seconds)} s" for name, seconds in stages)
    describe(ax, f"{verdict.headline()}: {verdict.reason}. Time of the stages: {told}.")
    return ax


def _direction(verdict: Any) -> np.ndarray:
    """V (C, D) as floats of which the largest is 1."""
    need("verdict", verdict, (*_FIELDS, "status"), _REMEDY)
    if verdict.direction is None:
        given = f"it has no separating direction: {verdict.status.value}"
        raise WrongValue("verdict", given, "draw plot_stages instead, or the verdict's own plot")
    return _scaled(verdict.direction)


def _scaled(V: np.ndarray) -> np.ndarray:
    """Python integers of any size over the largest of them."""
    most = max(abs(int(v)) for v in V.ravel()) or 1
    return np.array([[float(Fraction(int(v), most)) for v in row] for row in V])


def _spread(own: np.ndarray, C: int) -> np.ndarray:
    """Where in its row each sample stands: samples of a class go from top to bottom, in the order given."""
    shift = np.zeros(len(own))
    for c in range(C):
        mine = np.flatnonzero(own == c)
        if len(mine) > 1:
            shift[mine] = np.linspace(-0.32, 0.32, len(mine))
    return shift
