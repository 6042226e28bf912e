"""Numbers that belong to pixels, as images: the weights of each class for image data, one image a class.

Guarded by `tests/plots/test_images.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.plots.alt_text import describe, number
from jaxsoftmax.plots.style import AS_IT_IS, MAP, axes_of
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, positive_int, show
from jaxsoftmax.support.visible import shortened

__all__ = ["as_shape", "draw_tiles", "plot_weights"]

_ACROSS = 5  # images in a row


def plot_weights(fit: Any, shape: Any, *, classes: Any = None, ax: Any = None) -> Any:
    """Draw the weights of each class as an image: bright pixels speak for the class, dark ones against it.

    Args:
        fit: a `Fit`, or weights without the intercept, (C, pixels).
        shape: (height, width) of the images, such as (8, 8): their product is the number of features.
        classes: C labels; None takes those of the fit, or numbers them.
        ax: matplotlib axes; None makes new ones.

    Returns:
        The axes, with all images side by side and one colour bar whose middle is 0.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: matplotlib is missing and `ax` is None.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> ax = js.plots.plot_weights(np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, -1.0]]), (2, 2), classes="ab")
        >>> js.plots.alt_text(ax)[:62]
        'Weights of 2 classes as images of 2 × 2 pixels, from -1 to 3. '
    """
    coef = np.asarray(getattr(fit, "coef", fit))
    if coef.dtype.kind not in "iuf":
        raise WrongType("fit", f"got {show(fit)}, {kind_of(fit)}", "give a Fit, or weights (C, pixels)")
    if coef.ndim != 2 or not coef.size or not np.isfinite(coef).all():
        raise WrongValue("fit", f"weights of shape {coef.shape}", "give a Fit, or finite weights (C, pixels)")
    height, width = as_shape(shape, coef.shape[1])
    given = getattr(fit, "classes", None) if classes is None else classes
    names = [shortened(name) for name in (range(len(coef)) if given is None else given)]
    if len(names) != len(coef):
        raise WrongValue("classes", f"got {len(names)} for {len(coef)} classes", "give a label for each class")
    coef = coef.astype(float)
    ax = axes_of(ax, width=8.0, height=1.2 + 1.75 * -(-len(coef) // _ACROSS))
    draw_tiles(ax, coef, (height, width), [f"class {name}" for name in names], "weight of the pixel, w")
    c, d = np.unravel_index(np.argmax(np.abs(coef)), coef.shape)
    describe(
        ax,
        f"Weights of {len(coef)} classes as images of {height} × {width} pixels, from {number(coef.min())} to "
        f"{number(coef.max())}. The largest is that of class {names[c]} at row {int(d) // width}, column "
        f"{int(d) % width}.",
    )
    return ax


def as_shape(shape: Any, pixels: int) -> tuple[int, int]:
    """(height, width) of images with so many pixels.

    Raises:
        TypeError, ValueError: they are no two numbers whose product this is.
    """
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise WrongType("shape", f"got {show(shape)}, {kind_of(shape)}", "give (height, width), such as (8, 8)")
    height, width = (positive_int("shape", side) for side in shape)
    if height * width != pixels:
        given = f"got {(height, width)}, and there are {pixels} features"
        raise WrongValue("shape", given, f"give (height, width) whose product is {pixels}")
    return height, width


def draw_tiles(ax: Any, rows: np.ndarray, shape: tuple[int, int], titles: list[str], label: str) -> None:
    """Draw each of the rows (k, pixels) as an image with a title, and one colour bar whose middle is 0."""
    height, width = shape
    across = min(_ACROSS, len(rows))
    down = -(-len(rows) // across)
    gap, head = max(1, round(width / 8)), max(1.0, height / 4)  # between images, in pixels
    most = float(np.abs(rows).max()) or 1.0
    image = None
    for place, values in enumerate(rows):
        left, top = (place % across) * (width + gap), (place // across) * (height + head + gap)
        extent = (left, left + width, top + head + height, top + head)
        image = ax.imshow(values.reshape(shape), cmap=MAP, vmin=-most, vmax=most, extent=extent, interpolation="none")
        at = (left + width / 2, top + head * 0.85)
        ax.text(*at, titles[place], ha="center", va="bottom", fontsize=8, **AS_IT_IS)
    ax.set_xlim(0, across * (width + gap) - gap)
    ax.set_ylim(down * (height + head + gap) - gap, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
