"""Derivatives along a direction by Richardson-extrapolated differences, each with an estimate of its error.

Central differences D(h) = (f(x + hv) − f(x − hv))/2h = f′(x)v + c₂h² + c₄h⁴ + … at h = h₀, h₀/2, …; Neville's tableau
T(k, j) = T(k, j−1) + (T(k, j−1) − T(k−1, j−1))/(4ʲ − 1) removes the powers one by one (Ridders 1982). The error of an
entry is estimated by its distance to the two entries that it was made from, plus the rounding of the samples carried
through the tableau: a sample that is wrong by ε makes T(k, 0) wrong by at most ε/h, and T(k, j) wrong by at most
(4ʲN(k, j−1) + N(k−1, j−1))/(4ʲ − 1). The entry with the smallest estimate is taken, separately for every entry of f.

The samples come from one program (`difference_kernel`), which can be compiled once; the tableau is NumPy on the host.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = [
    "Difference",
    "Samples",
    "difference_kernel",
    "directional_difference",
    "extrapolate",
    "length_scale",
    "length_scales",
    "sample_noise",
    "tableau",
]

U = 2.0**-53
LEVELS = 8
FIRST = 2.0**-4  # h₀ over the length scale L: the first power that eight levels leave, (h₀/L)¹⁶ = U/2¹¹, is below U
CONVERGED = 2.0**-20  # relative; a worse estimate tries another length scale, which costs time and can only improve it
ONE_BATCH = 1 << 16  # entries of x up to which all samples are computed side by side


class Samples(NamedTuple):
    """f on a line: what `difference_kernel` returns. K levels; the output of f has any shape S."""

    center: Any  # S, f(x)
    plus: Any  # (K, *S), f(x + h₀2⁻ᵏv)
    minus: Any  # (K, *S), f(x − h₀2⁻ᵏv)
    moved: Any  # (2, *S), f(x ± an ulp of each entry that v touches): how the rounding of x + hv reaches f


class Difference(NamedTuple):
    """A derivative along a direction, its estimated error, and what it was made from. The output of f has shape S."""

    value: np.ndarray  # S, float64
    error_estimate: np.ndarray  # S; an estimate, not a bound; infinite where no sample was finite
    left: np.ndarray  # S, the slope from the left (h < 0), by the same samples
    left_error: np.ndarray
    right: np.ndarray  # S, the slope from the right
    right_error: np.ndarray
    noise: np.ndarray  # S, the part of error_estimate that is rounding
    evaluations: int  # of f, over all length scales that were tried
    h0: float  # the first step of `samples`
    samples: Samples  # NumPy, of the length scale that served the worst entry best


def length_scale(x: Sequence[Any], v: Sequence[Any]) -> float:
    """max |xᵢ| / max |vᵢ| over the entries that v touches; 1/max |vᵢ| where those xᵢ are all 0, and 1 where v is 0.

    The quotient is kept within [2⁻¹⁰⁰⁰, 2¹⁰⁰⁰]; no square is formed, so scales of 1e±200 are no trouble.

    Args:
        x: leaves, any shapes.
        v: leaves of the direction, the same shapes.

    Returns:
        A positive finite float.

    Example:
        >>> import jax, numpy as np
        >>> from jaxsoftmax.checker.numeric.differences import length_scale
        >>> with jax.enable_x64(True):
        ...     print(length_scale([np.array([3e200, 7.0])], [np.array([0.0, 2.0])]))
        3.5
    """
    return length_scales(x, v)[0]


def length_scales(x: Sequence[Any], v: Sequence[Any]) -> tuple[float, float]:
    """`length_scale`, and 1/max |vᵢ|: the scale of a function that varies over distances of 1."""
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(x, v, strict=True)]
    most_x = max(float(np.max(np.abs(a), where=b != 0, initial=0.0)) for a, b in pairs)
    most_v = max(float(np.max(np.abs(b), initial=0.0)) for _, b in pairs)
    if not (most_v > 0 and math.isfinite(most_v)):
        return 1.0, 1.0
    low, high = 2.0**-1000, 2.0**1000
    unit = min(max(1 / max(most_v, low), low), high)
    return (min(max(most_x / most_v, low), high) if most_x > 0 else unit), unit


def difference_kernel(
    f: Callable[[list[Any]], Any],
    x: Sequence[Any],
    v: Sequence[Any],
    h0: Any,
    *,
    levels: int = LEVELS,
    factor: float = 2.0,
    batch: int | None = None,
) -> Samples:
    """f at x, x ± h₀·factor⁻ᵏ·v and two neighbours of x: 2·levels + 3 evaluations; can be traced by `jax.jit`.

    Args:
        f: takes the list of leaves, returns an array of any shape S.
        x: float64 leaves; called under `jax.enable_x64(True)`.
        v: leaves of the direction, the same shapes.
        h0: the first step, a scalar, traced or not.
        levels: how many steps.
        factor: the quotient of successive steps, a power of two.
        batch: how many samples to compute side by side (1: one after the other, for an f that cannot be vmapped).
            None: all when x has at most 65536 entries, otherwise one.

    Returns:
        Samples of JAX arrays (of tracers, when traced).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxsoftmax.checker.numeric.differences import difference_kernel
        >>> with jax.enable_x64(True):
        ...     samples = difference_kernel(lambda x: x[0] ** 2, [jnp.float64(3.0)], [jnp.float64(1.0)], 1.0, levels=2)
        ...     print(samples.plus, samples.minus)
        [16.   12.25] [4.   6.25]
    """
    x, v = [jnp.asarray(a) for a in x], [jnp.asarray(b) for b in v]
    steps = jnp.asarray(h0, np.float64) * np.power(factor, -np.arange(levels, dtype=np.float64))
    count = 2 * levels + 3
    along = jnp.concatenate([jnp.zeros(1), steps, -steps, jnp.zeros(2)])
    ulps = jnp.zeros(count).at[-2].set(2 * U).at[-1].set(-2 * U)

    def sample(place: tuple[Any, Any]) -> Any:
        t, ulp = place
        return jnp.asarray(f([a * (1 + ulp * jnp.sign(b)) + t * b for a, b in zip(x, v, strict=True)]))

    if batch is None:
        batch = count if sum(a.size for a in x) <= ONE_BATCH else 1
    if batch >= count:
        values = jax.vmap(sample)((along, ulps))
    else:
        values = lax.map(sample, (along, ulps), batch_size=None if batch == 1 else batch)
    return Samples(values[0], values[1 : levels + 1], values[levels + 1 : 2 * levels + 1], values[-2:])


def tableau(first: np.ndarray, noise: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(value, error estimate, its rounding part) of the best tableau entry; `ratio` is 4 for even powers, 2 for all."""
    previous, carried = [first[0]], [noise[0]]
    best = first[0].copy()
    error, rounding = np.full(best.shape, np.inf), noise[0].copy()
    for k in range(1, len(first)):
        row, rough = [first[k]], [noise[k]]
        for j in range(1, k + 1):
            power = ratio**j
            row.append(row[j - 1] + (row[j - 1] - previous[j - 1]) / (power - 1))
            rough.append((power * rough[j - 1] + carried[j - 1]) / (power - 1))
            apart = np.maximum(np.abs(row[j] - row[j - 1]), np.abs(row[j] - previous[j - 1]))
            here = apart + rough[j]
            better = here < error  # False for NaN
            best = np.where(better, row[j], best)
            error, rounding = np.where(better, here, error), np.where(better, rough[j], rounding)
        previous, carried = row, rough
    return best, error, rounding


def sample_noise(samples: Samples, noise: Any = 0.0) -> np.ndarray:
    """How wrong a sample may be, shape S: 4u·max|f|, the effect of the rounded argument, and the caller's `noise`.

    The argument x + hv is rounded to half an ulp of each entry; `samples.moved` shows what a whole ulp does. That is a
    sum over the entries with one pattern of signs, hence a typical size, not a bound. A function that computes in a
    lower precision inside is noisier than this knows: give its rounding as `noise`.
    """
    center, plus, minus, moved = (np.asarray(part) for part in samples)
    with np.errstate(invalid="ignore"):
        largest = np.max(np.abs(np.concatenate([center[None], plus, minus])), axis=0)
        argument = np.max(np.abs(moved - center), axis=0)
        total = 4 * U * largest + argument + noise
    return np.where(np.isfinite(total), total, np.inf)


def extrapolate(samples: Samples, h0: float, noise: Any = 0.0) -> Difference:
    """The tableau of samples that were taken at h₀2⁻ᵏ.

    Args:
        samples: K levels of an output of shape S, arrays of any kind.
        h0: the first step.
        noise: how wrong the caller knows a sample of f may be besides, a scalar or shape S.

    Returns:
        A Difference with `samples` as NumPy.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.numeric.differences import Samples, extrapolate
        >>> h = 0.5 ** np.arange(4)
        >>> found = extrapolate(Samples(np.array(0.0), h**3 + h, -(h**3) - h, np.zeros(2)), 1.0)
        >>> float(found.value)
        1.0
    """
    samples = Samples(*(np.asarray(part, np.float64) for part in samples))
    levels, shape = len(samples.plus), samples.center.shape
    h = (h0 * 2.0 ** -np.arange(levels)).reshape(-1, *[1] * len(shape))
    center, plus, minus, _ = samples
    evaluations = 2 * levels + 3
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        wrong = sample_noise(samples, noise)
        value, error, rough = tableau((plus - minus) / h / 2, wrong / h, 4.0)
        right, right_error, _ = tableau((plus - center) / h, 2 * wrong / h, 2.0)
        left, left_error, _ = tableau((center - minus) / h, 2 * wrong / h, 2.0)
    return Difference(value, error, left, left_error, right, right_error, rough, evaluations, h0, samples)


def directional_difference(
    f: Callable[[list[Any]], Any],
    x: Sequence[Any],
    v: Sequence[Any],
    *,
    scale: float | None = None,
    levels: int = LEVELS,
    batch: int | None = None,
    noise: Any = 0.0,
    attempts: int = 4,
    kernel: Callable[[Sequence[Any], Sequence[Any], Any], Samples] | None = None,
) -> Difference:
    """The derivative of f at x along v by extrapolated central differences, with an estimate of its error.

    The first step is 2⁻⁴ of the length scale of x along v. Where that converges badly (estimate above 2⁻²⁰ of the
    largest derivative) the length scales 1/max|v|, 2⁻¹²L and 2⁻²⁴L are tried as well; each entry keeps the best.

    Args:
        f: takes the list of leaves, returns an array of any shape S.
        x: float64 leaves; called under `jax.enable_x64(True)`.
        v: leaves of the direction.
        scale: the length scale L; that of `length_scale` when None.
        levels: how many halvings of the step.
        batch: see `difference_kernel`.
        noise: see `extrapolate`.
        attempts: how many length scales at most.
        kernel: a compiled `difference_kernel` of (x, v, h0), for many directions; must have `levels` levels.

    Returns:
        A Difference, NumPy.

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.checker.numeric.differences import directional_difference
        >>> with jax.enable_x64(True):
        ...     found = directional_difference(lambda x: jnp.exp(x[0]), [jnp.float64(1.0)], [jnp.float64(2.0)])
        >>> bool(abs(found.value - 2 * np.e) <= found.error_estimate <= 1e-11)
        True
    """
    if kernel is None:
        kernel = jax.jit(functools.partial(difference_kernel, f, levels=levels, batch=batch))
    natural, unit = length_scales(x, v)
    L = natural if scale is None else float(scale)
    tried: list[float] = []
    best: Difference | None = None
    for candidate in (L, unit, L * 2.0**-12, L * 2.0**-24):
        if any(0.25 <= candidate / other <= 4 for other in tried):
            continue
        if best is not None:
            enough = CONVERGED * float(np.max(np.abs(best.value), initial=0.0))
            # where rounding is what is left, a shorter step can only make it worse
            shorter_is_worse = bool(np.all(best.error_estimate <= 2 * best.noise + enough))
            if len(tried) == attempts or np.all(best.error_estimate <= enough):
                break
            if shorter_is_worse and candidate < max(tried):
                continue
        tried.append(candidate)
        h0 = 2.0 ** math.floor(math.log2(FIRST * candidate))  # a power of two: h·v is exact
        found = extrapolate(kernel(x, v, h0), h0, noise)
        best = found if best is None else _merged(best, found)
    assert best is not None
    return best


def _merged(a: Difference, b: Difference) -> Difference:
    """For each entry the one with the smaller estimate; the samples of the one whose worst entry is better."""

    def chosen(name: str, error: str) -> np.ndarray:
        return np.where(getattr(b, error) < getattr(a, error), getattr(b, name), getattr(a, name))

    pairs = {"value": "error_estimate", "error_estimate": "error_estimate", "noise": "error_estimate"}
    pairs |= {"left": "left_error", "left_error": "left_error", "right": "right_error", "right_error": "right_error"}
    kept = b if np.max(b.error_estimate, initial=0.0) < np.max(a.error_estimate, initial=0.0) else a
    return Difference(
        **{name: chosen(name, error) for name, error in pairs.items()},
        evaluations=a.evaluations + b.evaluations,
        h0=kept.h0,
        samples=kept.samples,
    )
