"""The alternative text of a picture: what it shows, in one or two sentences with its numbers, for who hears a page.

Every drawing function of this room says what it drew (`describe`); `alt_text` reads it off the axes. The words are kept
beside the axes, not in them: nothing that matplotlib draws or prints changes.

Guarded by `tests/plots/test_alt_text.py`.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show

__all__ = ["alt_text", "describe", "forget", "number"]

_TEXTS: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()


def forget(ax: Any) -> None:
    """Begin anew: the axes are empty."""
    _TEXTS.pop(ax, None)


def describe(ax: Any, text: str) -> None:
    """Add to what is said of the axes."""
    _TEXTS.setdefault(ax, []).append(text)


def number(value: Any) -> str:
    """A number as a sentence has it: three digits, and a power of ten where it is far from 1."""
    return f"{float(value):.3g}"


def alt_text(drawn: Any) -> str:
    """What a picture of `js.plots` shows, in one or two sentences with its numbers.

    Args:
        drawn: the axes that a function of `js.plots` or a report's `plot` returned, or a figure: then all its axes.

    Returns:
        The text, for the attribute `alt` of an image or the `aria-label` of an inline SVG.

    Raises:
        TypeError: neither axes nor a figure.
        ValueError: nothing of this package was drawn there.

    Example:
        >>> import jaxsoftmax as js
        >>> js.plots.alt_text(js.plots.plot_confusion([[5, 1], [0, 4]], ["no", "yes"]))
        'Confusion matrix of 2 classes: 9 of 10 samples are on the diagonal (90 %). Most often no is taken for yes (1).'
    """
    axes = getattr(drawn, "axes", None)
    if axes is None:
        raise WrongType("drawn", f"got {show(drawn)}, {kind_of(drawn)}", "give what a function of js.plots returned")
    several = axes if isinstance(axes, list) else [drawn]
    texts = [text for ax in several for text in _TEXTS.get(ax, ())]
    if not texts:
        raise WrongValue("drawn", "nothing of js.plots is drawn there", "draw with js.plots, or a report's plot, first")
    return " ".join(texts)
