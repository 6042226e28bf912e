"""Second derivatives along a direction by extrapolated differences of values, with the noise that the values show.

D(h) = (f(x + hv) − 2f(x) + f(x − hv))/h² = v′Hv + c₂h² + c₄h⁴ + … at h = 8δ, 4δ, 2δ, δ goes through the tableau of
`numeric.differences`. A sample that is wrong by ε makes D wrong by 4ε/h², so ε must be known: samples at seventeen
equal steps δ tell it. Their eighth differences are f⁽⁸⁾δ⁸ for a smooth f, next to nothing at δ = 2⁻⁷ of the length
scale; those of independent errors of size ε have the size ε√C(16, 8) (Hamming; Moré & Wild 2011). The stairs of a loop
that stops at a tolerance show there as well, and so does an f that varies over less than δ: then the estimate is too
large, not small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.numeric.differences import ONE_BATCH, U, length_scales, tableau

__all__ = ["SecondDifference", "second_difference", "second_kernel"]

# δ over the length scale; the largest step is 8δ, 2⁻⁴ of it, as for first differences.
_STEP = 2.0**-7
_SIDE = 8
_ORDER = 8
# An estimate is no more than that.
_DOUBT = 10.0
_SPREAD = math.sqrt(math.comb(2 * _ORDER, _ORDER))


class SecondDifference(NamedTuple):
    """v′Hv, and an estimate of its error; infinite where some sample is not finite."""

    value: float
    error_estimate: float
    noise: float  # of a sample, as the samples show it


def second_kernel(
    f: Callable[[list[Any]], Any], x: Sequence[Any], v: Sequence[Any], delta: Any, *, batch: int | None = None
) -> Any:
    """f at x + jδv for j = −8 … 8, an array of 17; can be traced by `jax.jit`.

    Args:
        f: takes the list of leaves, returns a scalar.
        x: float64 leaves; called under `jax.enable_x64(True)`.
        v: leaves of the direction.
        delta: δ.
        batch: see `difference_kernel`.
    """
    x, v = [jnp.asarray(a) for a in x], [jnp.asarray(b) for b in v]
    steps = jnp.asarray(delta, np.float64) * jnp.arange(-_SIDE, _SIDE + 1)

    def sample(t: Any) -> Any:
        return jnp.asarray(f([a + t * b for a, b in zip(x, v, strict=True)]))

    if batch is None and sum(a.size for a in x) <= ONE_BATCH:
        return jax.vmap(sample)(steps)
    return jax.lax.map(sample, steps)


def second_difference(
    x: Sequence[Any], v: Sequence[Any], kernel: Callable[[Sequence[Any], Sequence[Any], Any], Any]
) -> SecondDifference:
    """v′Hv of f at x: at the length scale of x along v, at 1/max|v| and at a sixteenth, the best by its own estimate.

    Longer steps are believed only where shorter ones do not contradict them: equal steps of a whole period see no wave.

    Args:
        x: float64 leaves; called under `jax.enable_x64(True)`.
        v: leaves of the direction.
        kernel: a `second_kernel` of (x, v, δ).

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.checker.numeric.second_differences import second_difference, second_kernel
        >>> with jax.enable_x64(True):
        ...     sine = lambda x, v, delta: second_kernel(lambda y: jnp.sin(y[0]), x, v, delta)
        ...     found = second_difference([jnp.float64(1.0)], [jnp.float64(2.0)], sine)
        >>> abs(found.value + 4 * np.sin(1.0)) <= found.error_estimate <= 1e-8
        True
    """
    natural, unit = length_scales(x, v)
    scales = {natural / 16, natural} if 0.25 <= unit / natural <= 4 else {natural / 16, natural, unit}
    best: SecondDifference | None = None
    for scale in sorted(scales):
        delta = 2.0 ** math.floor(math.log2(_STEP * scale))  # a power of two: jδ is exact
        found = _extrapolated(np.asarray(kernel(x, v, delta), np.float64), delta)
        better = best is None or found.error_estimate < best.error_estimate
        if better and (best is None or not _contradict(best, found)):
            best = found
    assert best is not None
    return best


def _contradict(one: SecondDifference, other: SecondDifference) -> bool:
    return abs(one.value - other.value) > _DOUBT * (one.error_estimate + other.error_estimate)


def _extrapolated(samples: np.ndarray, delta: float) -> SecondDifference:
    if not np.isfinite(samples).all():
        return SecondDifference(math.nan, math.inf, math.inf)
    noise = float(np.max(np.abs(np.diff(samples, _ORDER)))) / _SPREAD + 4 * U * float(np.max(np.abs(samples)))
    steps = np.array([8, 4, 2, 1])
    h = steps * delta
    first = (samples[_SIDE + steps] - 2 * samples[_SIDE] + samples[_SIDE - steps]) / h**2
    value, error, _ = tableau(first, 4 * noise / h**2, 4.0)
    return SecondDifference(float(value), float(error), noise)
