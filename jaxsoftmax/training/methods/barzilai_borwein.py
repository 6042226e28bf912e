"""Gradient descent with Barzilai-Borwein steps, made safe ("bb").

The step η = ⟨ΔW, ΔW⟩/⟨ΔW, ΔG⟩ or ⟨ΔW, ΔG⟩/⟨ΔG, ΔG⟩ [BB] is the inverse of a curvature seen along the last step; the
two alternate. Since the gradient is cocoercive both are >= 1/Λ (S20's remark), and no more is true of them in
general: the published trainer (rychlik.py) has no guarantee. Here a step is taken only where

    L(W − η∇L) <= max of the last 10 losses − 10⁻⁴ η‖∇L‖²  (+ the rounding of the loss),

else it is halved, down to S16's 1/Λ at which L falls by (1/2Λ)‖∇L‖² always. That is the nonmonotone line search of
Grippo, Lampariello & Lucidi (SIAM J. Numer. Anal. 23 (1986)) as used by Raydan (SIAM J. Optim. 7 (1997)): it keeps the
speed of the free steps and converges globally whenever a minimiser exists.

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
from jaxsoftmax.training.methods.gradient_descent import rounded_down

Array = jax.Array

MEMORY = 10
LEAST_SLOPE = 1e-4


class _State(NamedTuple):
    step: Array
    losses: Array  # (MEMORY,) the last ones, -inf where there is none yet
    W: Array  # the point before this one
    gradient: Array


@dataclasses.dataclass(frozen=True)
class BarzilaiBorwein(Method):
    """Gradient descent with Barzilai-Borwein steps and a line search that keeps them safe."""

    name: ClassVar[str] = "bb"
    # Losses and gradients are far from monotone: records come every few dozen steps on ill-conditioned data.
    patience: ClassVar[int] = 1000

    def constants(self, problem: Problem, key: Any) -> np.floating:
        """S16's step 1/Λ, the shortest that is ever taken."""
        return rounded_down(descent_step_bound(problem), problem.dtype)

    def begin(self, point: Point, oracle: Oracle, constants: Array) -> _State:
        """No history."""
        losses = jnp.full((MEMORY,), -jnp.inf, point.W.dtype)
        return _State(jnp.zeros((), jnp.int32), losses, point.W, point.gradient)

    def propose(self, point: Point, oracle: Oracle, constants: Array, state: _State) -> Proposal:
        """W − η∇L(W), η the present BB step or the longest of its halves that the guard admits."""
        moved, turned = point.W - state.W, point.gradient - state.gradient
        both, long, short = jnp.sum(moved * turned), jnp.sum(moved * moved), jnp.sum(turned * turned)
        up, down = jnp.where(state.step % 2 == 0, long, both), jnp.where(state.step % 2 == 0, both, short)
        # Rounding may leave ⟨ΔW, ΔG⟩ <= 0, and the first step has no last one; a quotient below 1/Λ is raised to it.
        usable = (down > 0) & jnp.isfinite(up / jnp.where(down > 0, down, 1))
        step = jnp.maximum(jnp.where(usable, up / jnp.where(down > 0, down, 1), constants), constants)
        losses = state.losses.at[state.step % MEMORY].set(point.value)
        square = jnp.sum(point.gradient * point.gradient)
        ceiling = jnp.max(losses) + 2 * oracle.rounding(point.W, point.value)

        def trial(step: Array) -> tuple[Array, Array, Array, Array]:
            W = point.W - step * point.gradient
            return (step, W, *oracle.value_and_gradient(W))

        def too_long(tried: tuple[Array, Array, Array, Array]) -> Array:
            step, _, value, _ = tried
            return (step > constants) & ~(value <= ceiling - LEAST_SLOPE * step * square)

        def halve(tried: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            return trial(jnp.maximum(0.5 * tried[0], constants))

        step, W, value, gradient = jax.lax.while_loop(too_long, halve, trial(step))
        after = _State(state.step + 1, losses, point.W, point.gradient)
        return Proposal(W, step, after, evaluated=(value, gradient))
