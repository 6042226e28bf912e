"""Gradient descent at the best fixed step of S17 ("gd-optimal"), guarded by S16.

The step 2/(μ* + Λ*) contracts by (κ − 1)/(κ + 1) near W*, twice as fast as 1/Λ* and often many times as fast as
S16's 1/Λ, whose Λ bounds the curvature everywhere. Its eigenvalues are those of H(W*), which nobody knows beforehand,
so they are followed along the way:

- Λ* by power iteration on H(W), one product every fourth step from the vector of the last time. With θ = ⟨v, Hv⟩ and
  r = ‖Hv − θv‖ some eigenvalue lies in [θ − r, θ + r]; θ + r is taken.
- μ* by the curvature along the last step, ⟨ΔW, ΔG⟩/‖ΔW‖² >= μ: once the fast directions are gone that is μ*. An
  estimate above μ* makes the step shorter, never longer.

**Guard.** From afar that step need not descend (S17 is asymptotic). It is taken only where the loss falls by at least
10⁻⁴ η‖∇L‖², up to the rounding of the loss; otherwise the step of S16 is taken, which always
descends. So the method converges wherever S16 does.

Guarded by `tests/training/methods/test_methods.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.bounds.steps import descent_step_bound
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal
from jaxsoftmax.training.loop.stopping import frobenius
from jaxsoftmax.training.methods.gradient_descent import descent_rate_estimate, rounded_down

Array = jax.Array

POWER_EVERY = 4
LEAST_SLOPE = 1e-4


class _State(NamedTuple):
    step: Array
    v: Array  # unit vector of the power iteration
    high: Array  # estimate of Λ*
    W: Array  # the point before this one
    gradient: Array


@dataclasses.dataclass(frozen=True)
class OptimalDescent(Method):
    """Gradient descent whose step follows the curvature seen along the way (S17)."""

    name: ClassVar[str] = "gd-optimal"
    patience: ClassVar[int] = 100  # as for "gd"
    monotone: ClassVar[bool] = True

    def constants(self, problem: Problem, key: Any) -> np.floating:
        """S16's step 1/Λ."""
        return rounded_down(descent_step_bound(problem), problem.dtype)

    def begin(self, point: Point, oracle: Oracle, constants: Array) -> _State:
        """The power iteration starts along the gradient."""
        norm = frobenius(point.gradient)
        v = point.gradient / jnp.where(norm > 0, norm, 1)
        return _State(jnp.zeros((), jnp.int32), v, jnp.zeros_like(norm), point.W, point.gradient)

    def propose(self, point: Point, oracle: Oracle, constants: Array, state: _State) -> Proposal:
        """W − 2/(μ̂ + Λ̂) ∇L(W) where the loss falls, else W − ∇L(W)/Λ."""

        def power(v: Array, high: Array) -> tuple[Array, Array]:
            Hv = oracle.hessian_at(point.W)(v)
            theta = jnp.sum(v * Hv)
            norm = frobenius(Hv)
            return Hv / jnp.where(norm > 0, norm, 1), theta + frobenius(Hv - theta * v)

        v, high = jax.lax.cond(state.step % POWER_EVERY == 0, power, lambda v, high: (v, high), state.v, state.high)
        moved, turned = point.W - state.W, point.gradient - state.gradient
        length = jnp.sum(moved * moved)
        low = jnp.clip(jnp.where(length > 0, jnp.sum(moved * turned) / jnp.where(length > 0, length, 1), high), 0, high)
        step = jnp.maximum(jnp.where(high > 0, 2 / jnp.where(high > 0, low + high, 1), 0), constants)
        W = point.W - step * point.gradient
        value, gradient = oracle.value_and_gradient(W)
        allowance = 2 * oracle.rounding(point.W, point.value)
        promise = LEAST_SLOPE * step * jnp.sum(point.gradient * point.gradient)

        def short() -> tuple[Array, Array, Array, Array]:
            W = point.W - constants * point.gradient
            return (W, constants, *oracle.value_and_gradient(W))

        good = value <= point.value - promise + allowance
        W, step, value, gradient = jax.lax.cond(good, lambda: (W, step, value, gradient), short)
        after = _State(state.step + 1, v, high, point.W, point.gradient)
        return Proposal(W, step, after, evaluated=(value, gradient))

    def rate_estimate(self, problem: Problem, W: Any, step_size: float, W0: Any) -> float | None:
        """S17's factor of the last step, with the eigenvalues of H(W)."""
        return descent_rate_estimate(problem, W, step_size, W0)
