"""The step length of Newton's methods, from generalised self-concordance (S8): no step falls by less than S8 promises.

Let φ(t) = L(W + tV), a = −φ'(0) = −⟨g, V⟩, b = φ''(0) = D²L[V, V] and ρ = max_n range(V x_n). By S8
φ''(t) <= e^{ρt} b, and integrating twice

    φ(t) <= φ(0) − a t + b (e^{ρt} − 1 − ρt)/ρ².

The right-hand side is least where a = b (e^{ρt} − 1)/ρ, that is at **t = log(1 + ρ a/b)/ρ** (t = a/b when ρ = 0). For
the exact Newton direction a = b = λ², so t = log(1 + ρ)/ρ, and the guaranteed decrease is
λ² [(1 + ρ) log(1 + ρ) − ρ]/ρ². Near a minimiser ρ → 0, t → 1 and the steps are Newton's; far away t ρ = log(1 + ρ), so
no step changes a log-odds by more than that. Since b is computed along the direction in hand, the guarantee holds for
an inexact direction too. The self-regulariser S21d is D more samples γ e_d; ρ includes the ranges of γV's columns.

The bound knows only the largest range, so one outlying sample can make t small for all. The full step, then its halves
down to t, is therefore tried first, and taken where the loss falls by no less than was guaranteed for t (the promise
stands) and by a quarter of what its slope at 0 foretells (no overshooting): tens of steps instead of thousands.

Guarded by `tests/training/methods/test_newton.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.training.loop.protocol import Oracle, Point, Proposal

Array = jax.Array

# a/b = 1 for an exact direction; the cap keeps t finite where b underflows on data without a minimiser.
LARGEST_RATIO = 1e6
# A step longer than S8's must fall by this part of its slope's promise; half is what an exact quadratic gives at t = 1.
LEAST_SLOPE = 0.25
# Ending: the estimated gap λ²/2 is at most this part of the loss, or this part of its rounding.
RELATIVE_GAP = 1e-12
PART_OF_ROUNDING = 1e-3


def damped_move(point: Point, oracle: Oracle, V: Array, state: Any, curvature: Array, spread: Array) -> Proposal:
    """W + tV with the longest t of 1, 1/2, … that keeps S8's promise, for a descent direction V (C, D).

    `curvature` is b and `spread` ρ. For a direction of Newton's b = a but for the error of the solve: less than half
    of a is rounding.
    """
    a = -jnp.sum(point.gradient * V)
    b, rho = jnp.maximum(curvature.astype(V.dtype), 0.5 * a), spread.astype(V.dtype)
    t = damped_step(rho, a, b)
    promise = guaranteed_decrease(rho, a, b, t)

    def trial(longer: Array) -> tuple[Array, Array, Array, Array]:
        W = point.W + longer * V
        return (longer, W, *oracle.value_and_gradient(W))

    def too_long(tried: tuple[Array, Array, Array, Array]) -> Array:
        longer, _, value, _ = tried
        return (longer > t) & ~(value <= point.value - jnp.maximum(promise, LEAST_SLOPE * longer * a))

    # From twice the longest, as if tried and refused: so the trial is compiled once.
    refused = (2 * jnp.maximum(jnp.ones_like(t), t), point.W, jnp.full_like(point.value, jnp.inf), point.gradient)
    step, W, value, gradient = jax.lax.while_loop(
        too_long, lambda tried: trial(jnp.maximum(0.5 * tried[0], t)), refused
    )
    # `idle`: in low precision λ² may have a floor above that; a step that improved nothing has reached it.
    ready = is_small(0.5 * a, point.value) | (point.idle >= 1)
    return Proposal(W, step, state, spread=rho, decrement=a, ready=ready, evaluated=(value, gradient))


def is_small(gap: Array, value: Array) -> Array:
    """Whether a gap is too small a part of the loss to matter, or of what the loss is rounded by."""
    limit = max(RELATIVE_GAP, PART_OF_ROUNDING * float(jnp.finfo(value.dtype).eps))
    return gap <= limit * jnp.maximum(jnp.abs(value), jnp.finfo(value.dtype).tiny)


def damped_step(rho: Array, a: Array, b: Array) -> Array:
    """t = log(1 + ρ a/b)/ρ, the minimiser of S8's upper bound on φ (see the module docstring)."""
    ratio = jnp.clip(jnp.where(b > 0, a / jnp.where(b > 0, b, 1), LARGEST_RATIO), 0, LARGEST_RATIO)
    safe = jnp.where(rho > 0, rho, 1)
    return jnp.where(rho > 0, jnp.log1p(safe * ratio) / safe, ratio)


def guaranteed_decrease(rho: Array, a: Array, b: Array, t: Array) -> Array:
    """The decrease a t − b (e^{ρt} − 1 − ρt)/ρ² that S8 promises for a step t (see the module docstring)."""
    small = jnp.abs(rho * t) < 1e-3
    safe = jnp.where(small, 1, rho)
    closed = (jnp.expm1(safe * t) - safe * t) / safe**2
    series = t**2 * (0.5 + rho * t / 6 + (rho * t) ** 2 / 24)
    return a * t - b * jnp.where(small, series, closed)
