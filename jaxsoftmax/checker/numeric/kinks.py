"""Whether the samples of a difference show a function that is not differentiable at the point, or near it.

With s(h) = (f(x + hv) − 2f(x) + f(x − hv))/h, a smooth f gives s = f″h + f⁗h³/12 + …: halving h halves s, and
J = 2s(h/2) − s(h) falls eightfold. A kink at x with slopes f′₋, f′₊ gives s → J → f′₊ − f′₋, whatever h. A kink at the
distance d gives that for h ≫ d and the smooth pattern for h < d.

Guarded by `tests/checker/numeric/test_differences.py`.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.checker.numeric.differences import Difference, sample_noise

__all__ = ["Kink", "Shape", "kink"]

ABOVE = 8.0  # a number counts when it is this many times its rounding: its logarithm to base 2 is then good to 0.19
# |J| of successive steps: 1 for a kink, 2^0.5 for √|x|, 2^-0.5 = 0.71 for |x|^1.5 (differentiable), 1/8 for a smooth f.
STEADY = 0.75
# s of successive steps falls by 2 or more for a smooth f; 1.5 lies midway (in the logarithm, nearly) to a kink's 1.
FALLING = 1.5
# An ulp of x changes a smooth f by 2⁻⁵² of itself times its condition number; beyond 2⁻²⁰ it is taken for a jump.
JUMP = 2.0**-20


class Shape(enum.Enum):
    """What a function looks like along a line through the point."""

    SMOOTH = "smooth"
    KINK = "kink at the point"
    KINK_NEARBY = "kink nearby"
    NOISE = "noise"


class Kink(NamedTuple):
    """What the samples of a Difference say of smoothness."""

    shape: Shape
    evidence: str  # one sentence with the numbers
    index: tuple[int, ...]  # the entry of the output that shows it best
    jump: float  # the slope from the right minus that from the left there; its estimate is meant for KINK
    step: float  # the step down to which the pattern was seen

    @property
    def kinked(self) -> bool:
        """A kink, at the point or nearby."""
        return self.shape in (Shape.KINK, Shape.KINK_NEARBY)


def _last(flags: np.ndarray) -> np.ndarray:
    """The last index along axis 0 where a flag is set, −1 where none is."""
    return len(flags) - 1 - np.argmax(flags[::-1], axis=0) + np.where(flags.any(axis=0), 0, -len(flags))


def _at(values: np.ndarray, level: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, np.clip(level, 0, len(values) - 1)[None], axis=0)[0]


def kink(difference: Difference, noise: Any = 0.0) -> Kink:
    """Classify the point by the samples that a difference was made from (of its best length scale).

    Args:
        difference: from `directional_difference` or `extrapolate`; the output of f has any shape S.
        noise: how wrong the caller knows a sample of f may be besides, as for `extrapolate`.

    Returns:
        A Kink. KINK: the jump of the slope stays as h falls to the smallest step or into rounding. KINK_NEARBY: the
        pattern of a kink at larger steps only, or central differences that fall by less than half for each halving of
        the step; a smooth f that varies over less than the step looks the same. NOISE: even the largest step changes f
        by rounding only. SMOOTH otherwise.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxsoftmax.checker.numeric.differences import directional_difference
        >>> from jaxsoftmax.checker.numeric.kinks import kink
        >>> with jax.enable_x64(True):
        ...     found = directional_difference(lambda x: jnp.abs(x[0]), [jnp.float64(0.0)], [jnp.float64(1.0)])
        >>> kink(found).shape.value, kink(found).jump
        ('kink at the point', 2.0)
    """
    center, plus, minus, moved = difference.samples
    levels, size = len(plus), center.shape
    h = difference.h0 * 2.0 ** -np.arange(levels)
    column = h.reshape(-1, *[1] * len(size))
    if not center.size:
        return Kink(Shape.SMOOTH, "f has no entries.", (), 0.0, float(h[-1]))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        wrong = sample_noise(difference.samples, noise)
        s = ((plus - center) - (center - minus)) / column
        s_counts = np.abs(s) > ABOVE * 4 * wrong / column
        J = 2 * s[1:] - s[:-1]
        J_noise = 4 * wrong * (2 / column[1:] + 1 / column[:-1])
        J_counts = np.abs(J) > ABOVE * J_noise
        central = (plus - minus) / column / 2
        change = central[:-1] - central[1:]
        change_counts = np.abs(change) > ABOVE * wrong * (1 / column[1:] + 1 / column[:-1])

        # At the point: three steps of a steady jump, the last of them the smallest step or the last one above rounding.
        steady = J_counts[1:] & J_counts[:-1] & (np.abs(J[1:]) >= STEADY * np.abs(J[:-1])) & (J[1:] * J[:-1] > 0)
        last = _last(J_counts)
        at = (last >= 2) & _at(steady, last - 1) & _at(steady, last - 2)

        # Nearby: three steps with s hardly falling, or central differences that converge at first order or worse.
        flat = s_counts[:-1] & s_counts[1:] & (np.abs(s[:-1]) <= FALLING * np.abs(s[1:])) & (s[:-1] * s[1:] > 0)
        flat_run = flat[:-1] & flat[1:]
        largest = np.max(np.where(change_counts, np.abs(change), 0.0), axis=0)
        end = _last(change_counts)
        slow = (end >= 3) & (np.abs(_at(change, end)) > largest * 2.0 ** -end.astype(float))
        near = ~at & (flat_run.any(axis=0) | slow)

        # A jump of f itself: an ulp of x moves f, and f is flat beside it on both sides.
        argument = np.max(np.abs(moved - center), axis=0)
        flat_sides = np.maximum(np.ptp(plus[-3:], axis=0), np.ptp(minus[-3:], axis=0)) <= argument / 4
        broken = (argument > JUMP * np.max(np.abs(plus), axis=0)) & flat_sides
        quiet = (np.abs(plus[0] - minus[0]) <= ABOVE * wrong) & ((plus != minus).any(axis=0))
        jump = np.where(last >= 0, _at(J, last), 0.0)

    def found(shape: Shape, where: np.ndarray, weight: np.ndarray, sentence: str, level: np.ndarray) -> Kink:
        flat_index = int(np.argmax(np.where(where, weight, -1.0)))
        index = tuple(int(i) for i in np.unravel_index(flat_index, size)) if size else ()
        step = float(h[min(max(int(level[index]), 0), levels - 1)])
        left, right = float(difference.left[index]), float(difference.right[index])
        values = {"left": left, "right": right, "jump": float(jump[index]), "step": step, "size": float(wrong[index])}
        values["argument"] = float(argument[index])
        return Kink(shape, sentence.format(**values), index, float(jump[index]), step)

    if broken.any():
        text = "f itself jumps at the point: it changes by {argument:.3g} when x moves by its rounding."
        return found(Shape.KINK, broken, argument, text, np.zeros(size, int) + levels - 1)
    if at.any():
        text = "The slope jumps by {jump:.3g} between the left and the right of the point, down to the step {step:.1e}."
        return found(Shape.KINK, at, np.abs(jump), text, last + 1)
    if near.any():
        place = np.where(flat_run.any(axis=0), _last(flat_run) + 2, end + 1)
        text = "Difference quotients do not settle as the step falls to {step:.1e}: a kink, or a shorter scale of f."
        return found(Shape.KINK_NEARBY, near, largest, text, place)
    whole = np.zeros(size, int) + levels - 1
    if quiet.size and quiet.all():
        text = "The largest step changes f by no more than its rounding, about {size:.1e}."
        return found(Shape.NOISE, quiet, wrong, text, 0 * whole)
    text = "Slopes from the left and the right tend to each other, down to rounding or to the step {step:.1e}."
    return found(Shape.SMOOTH, np.ones(size, bool), np.abs(jump), text, whole)
