"""The Taylor test: at what power of t the remainder of a claimed expansion along a direction vanishes.

With the true gradient g, r(t) = f(x + tv) − f(x) − t⟨g, v⟩ = t²⟨v, Hv⟩/2 + O(t³): on a logarithmic plot its slope is
2, and 3 when t²⟨v, Hv⟩/2 is subtracted too. A gradient that is wrong by e leaves t⟨e, v⟩, of slope 1, which rules for
small t; a wrong Hessian leaves slope 2. r is a difference of nearly equal numbers: below the noise
4u·max|f| + 2u|t⟨g, v⟩| + ut²|⟨v, Hv⟩| + (what an ulp of x does to f) it says nothing; the slope is fitted above.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.checker.numeric.differences import Samples, difference_kernel, length_scale, sample_noise

__all__ = ["MARGIN", "Slope", "fit_slope", "taylor_kernel", "taylor_slopes"]

U = 2.0**-53
LEVELS = 13
FACTOR = 4.0  # t from 2⁻⁴ to 2⁻²⁸ of the length scale: t² of a function of size 1 reaches its rounding, 2⁻⁵², there
FIRST = 2.0**-4
# A remainder counts from eight times its noise: its logarithm to base 2 is then good to log2(8/7) = 0.19.
ABOVE = 8.0
# The slope of four points at log2 t = 0, −2, −4, −6 is Σ cᵢyᵢ with Σ|cᵢ| = (3 + 1 + 1 + 3)/20 = 0.4, and that of three
# points has Σ|cᵢ| = 1/2: noise moves it by at most 0.1. The next power of t moves it too, less as t falls; half a power
# is midway to the slope of a wrong derivative.
WINDOW = 4
LEAST = 3
MARGIN = 0.5


class Slope(NamedTuple):
    """What the Taylor test found along one direction."""

    order_fitted: float  # NaN where too few remainders stand above their noise
    order_expected: int  # 2, or 3 with the Hessian's term
    remainders: np.ndarray  # (K,) |r(t)|, the worse of t and −t
    noise: np.ndarray  # (K,) what of it may be rounding
    steps: np.ndarray  # (K,) t, falling
    passed: bool | None  # None: nothing can be said
    text: str


def taylor_kernel(
    f: Callable[[list[Any]], Any],
    x: Sequence[Any],
    v: Sequence[Any],
    t0: Any,
    *,
    levels: int = LEVELS,
    batch: int | None = None,
) -> Samples:
    """f at x ± t₀4⁻ᵏv, k = 0 … levels − 1: the samples that `fit_slope` takes; can be traced by `jax.jit`.

    Args:
        f: takes the list of leaves, returns a scalar.
        x: float64 leaves; called under `jax.enable_x64(True)`.
        v: leaves of the direction.
        t0: the first step.
        levels: how many steps.
        batch: see `difference_kernel`.

    Returns:
        Samples, 2·levels + 3 evaluations of f.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxsoftmax.checker.numeric.taylor import taylor_kernel
        >>> with jax.enable_x64(True):
        ...     print(taylor_kernel(lambda x: x[0] ** 2, [jnp.float64(1.0)], [jnp.float64(1.0)], 1.0, levels=2).plus)
        [4.     1.5625]
    """
    return difference_kernel(f, x, v, t0, levels=levels, factor=FACTOR, batch=batch)


def fit_slope(
    samples: Samples,
    t0: float,
    g_dot_v: float,
    hv_dot_v: float | None = None,
    noise: float = 0.0,
    slope_error: float = 0.0,
) -> Slope:
    """The fitted order of the remainder of samples that were taken at t₀4⁻ᵏ.

    Args:
        samples: from `taylor_kernel`.
        t0: the first step.
        g_dot_v: the claimed ⟨g, v⟩.
        hv_dot_v: the claimed ⟨v, Hv⟩; with it the order expected is 3.
        noise: how wrong the caller knows a sample of f may be besides. An f that computes in a lower precision needs it
            here: it is a staircase, whose slope at the shortest steps is 0, not the gradient.
        slope_error: the rounding of `g_dot_v` that the caller knows of (its sum of products, say).

    Returns:
        A Slope.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.numeric.differences import Samples
        >>> from jaxsoftmax.checker.numeric.taylor import fit_slope
        >>> t = 0.25 ** np.arange(1, 9)
        >>> samples = Samples(np.array(1.0), np.exp(t), np.exp(-t), np.ones(2))
        >>> fit_slope(samples, 0.25, 1.0).passed, fit_slope(samples, 0.25, 1.001).passed
        (True, False)
    """
    samples = Samples(*(np.asarray(part, np.float64) for part in samples))
    expected = 2 if hv_dot_v is None else 3
    curvature = 0.0 if hv_dot_v is None else float(hv_dot_v)
    t = t0 * FACTOR ** -np.arange(len(samples.plus))
    with np.errstate(invalid="ignore", over="ignore"):
        quadratic = 0.5 * t * t * curvature
        forward = (samples.plus - samples.center) - t * g_dot_v - quadratic
        backward = (samples.minus - samples.center) + t * g_dot_v - quadratic
        r = np.maximum(np.abs(forward), np.abs(backward))
        rough = sample_noise(samples, noise) + t * (2 * U * abs(g_dot_v) + slope_error) + 2 * U * np.abs(quadratic)
        counts = np.isfinite(r) & (r > ABOVE * rough)

    def slope(order: float, passed: bool | None, text: str) -> Slope:
        return Slope(order, expected, r, rough, t, passed, text)

    if not np.isfinite(r).any():
        return slope(math.nan, None, "f is not finite on the line: the Taylor test says nothing.")
    places = np.flatnonzero(counts)
    claim = "gradient" if expected == 2 else "gradient and Hessian"
    if not len(places):
        degree = "linear" if expected == 2 else "quadratic"
        text = f"The remainder is no more than rounding at every step: f is {degree} along v, as the {claim} says."
        return slope(math.nan, None, text)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)  # a lone step amid rounding is none
    window = ([run for run in runs if len(run) >= LEAST] or runs)[-1][-WINDOW:]
    if len(window) < LEAST:
        text = f"Only {len(window)} of {len(t)} remainders stand above rounding: no slope can be fitted."
        return slope(math.nan, None, text)
    order = float(np.polyfit(np.log2(t[window]), np.log2(r[window]), 1)[0])
    if order < MARGIN:  # a wrong derivative leaves a power of 1 or more
        text = f"The remainder does not fall with t (t^{order:.2f}): f jumps at the point or is noisier than assumed."
        return slope(order, None, text)
    passed = order >= expected - MARGIN
    verdict = "as the" if passed else "too slowly for the"
    return slope(order, passed, f"The remainder falls like t^{order:.2f}, {verdict} {claim} (t^{expected} expected).")


def taylor_slopes(
    f: Callable[[list[Any]], Any],
    x: Sequence[Any],
    g_dot_v: float,
    v: Sequence[Any],
    hv_dot_v: float | None = None,
    *,
    scale: float | None = None,
    batch: int | None = None,
    noise: float = 0.0,
    slope_error: float = 0.0,
    kernel: Callable[[Sequence[Any], Sequence[Any], Any], Samples] | None = None,
) -> Slope:
    """The Taylor test of a gradient (and Hessian) along v.

    Both signs of t are sampled and the larger remainder counts: an odd and an even term cannot cancel at both.

    Args:
        f: takes the list of leaves, returns a scalar.
        x: float64 leaves; called under `jax.enable_x64(True)`.
        g_dot_v: the claimed ⟨g, v⟩.
        v: leaves of the direction.
        hv_dot_v: the claimed ⟨v, Hv⟩.
        scale: the length scale along v; that of `length_scale` when None.
        batch: see `difference_kernel`.
        noise: see `fit_slope`.
        slope_error: see `fit_slope`.
        kernel: a compiled `taylor_kernel` of (x, v, t0), for many directions.

    Returns:
        A Slope. `passed` is None where f is linear (quadratic) along v, or too few steps stand above rounding.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxsoftmax.checker.numeric.taylor import taylor_slopes
        >>> with jax.enable_x64(True):
        ...     found = taylor_slopes(lambda x: jnp.sin(x[0]), [jnp.float64(0.5)], math.cos(0.5), [jnp.float64(1.0)])
        >>> print(found.text)
        The remainder falls like t^2.00, as the gradient (t^2 expected).
    """
    if kernel is None:
        kernel = jax.jit(functools.partial(taylor_kernel, f, batch=batch))
    t0 = 2.0 ** math.floor(math.log2(FIRST * (length_scale(x, v) if scale is None else scale)))
    curvature = None if hv_dot_v is None else float(hv_dot_v)
    return fit_slope(kernel(x, v, t0), t0, float(g_dot_v), curvature, float(noise), float(slope_error))
