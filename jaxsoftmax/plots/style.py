"""How pictures look: colours told apart by every eye, lines told apart in grey, the legend off the data.

The colours are those of Okabe and Ito (2008), which people with any of the common kinds of colour blindness tell apart.
Printed in grey some of them fall together; lines differ in their dashes and markers too. In maps of numbers the
lightness follows the value. Nothing is set for pictures that others draw: every style is given to one artist.

Guarded by `tests/plots/test_style.py`.
"""

from __future__ import annotations

from typing import Any

from jaxsoftmax.plots.alt_text import forget
from jaxsoftmax.support.errors import WrongType
from jaxsoftmax.support.validation import kind_of, show

__all__ = [
    "AS_IT_IS",
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "MAP",
    "ORANGE",
    "RED",
    "SKY",
    "axes_of",
    "legend_above",
    "legend_aside",
    "line_style",
    "named_places",
    "need",
]

BLUE, RED, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"  # of contrast 3.4 and more on white
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
GREY = "#767676"  # of contrast 4.5 on white
MAP = "cividis"
_COLOURS = (BLUE, RED, GREEN, BLACK, PURPLE, ORANGE, SKY)
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
_MARKERS = "os^Dv*P"
AS_IT_IS = {"parse_math": False}  # of a text with names: two dollar signs in them are no formula
_NAMED = 20  # labels that have room beside each other


def line_style(place: int, *, points: int = 0) -> dict[str, Any]:
    """Colour, dashes and marker of the line at a place; the first 35 differ in the pair of dashes and marker.

    Args:
        place: 0, 1, … in the order of the legend.
        points: how many points the line has: markers stand at about eight of them.

    Example:
        >>> from jaxsoftmax.plots.style import line_style
        >>> line_style(1)["linestyle"], line_style(1)["marker"]
        ('--', 's')
    """
    return {
        "color": _COLOURS[place % len(_COLOURS)],
        "linestyle": _DASHES[place % len(_DASHES)],
        "marker": _MARKERS[place % len(_MARKERS)],
        "markersize": 4.5,
        "linewidth": 1.5,
        "markevery": (min(place, max(points - 1, 0)), max(1, points // 8)),
    }


def axes_of(ax: Any, *, width: float = 7.2, height: float = 4.2) -> Any:
    """`ax`, or the axes of a new figure of this size in inches.

    Raises:
        TypeError: `ax` is no axes.
        ImportError: matplotlib is missing and `ax` is None.
    """
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError('js.plots needs matplotlib: pip install "jaxsoftmax[plots]".') from error
        ax = pyplot.subplots(figsize=(width, height), layout="constrained")[1]
    if not callable(getattr(ax, "plot", None)) or not callable(getattr(ax, "has_data", None)):
        raise WrongType("ax", f"got {show(ax)}, {kind_of(ax)}", "give matplotlib axes, or leave it out for new ones")
    if not ax.has_data():
        forget(ax)
    return ax


def legend_aside(ax: Any) -> None:
    """The legend, to the right of the axes, where it hides no data."""
    _legend(ax, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, handlelength=3.2)


def legend_above(ax: Any) -> None:
    """The legend above the axes: to the right there is no room beside long labels."""
    style = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2, "frameon": False}
    _legend(ax, ncols=2, fontsize=8, handlelength=2.4, **style)


def _legend(ax: Any, **style: Any) -> None:
    for text in ax.legend(**style).get_texts():
        text.set(**AS_IT_IS)


def named_places(count: int) -> range:
    """Which of so many classes are named on an axis: all, or of very many about every twentieth part.

    Example:
        >>> from jaxsoftmax.plots.style import named_places
        >>> list(named_places(3)), len(named_places(1000))
        ([0, 1, 2], 20)
    """
    return range(0, count, 1 if count <= 2 * _NAMED else -(-count // _NAMED))


def need(name: str, value: Any, fields: tuple[str, ...], remedy: str) -> None:
    """Refuse what has not the fields that are drawn.

    This room is below those that make reports, so that a report is known by what it has.

    Raises:
        TypeError: a field is missing.
    """
    if isinstance(value, type) or not all(hasattr(value, field) for field in fields):
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", remedy)
