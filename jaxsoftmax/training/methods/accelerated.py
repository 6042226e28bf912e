"""Accelerated gradient descent with adaptive restart ("agd"): Nesterov's momentum at the step of S16.

With x the iterates and y the points at which the gradient is taken,

    x⁺ = y − η∇L(y),  y⁺ = x⁺ + β(x⁺ − x),  η = 1/Λ,  β = (θ − 1)/θ⁺,  θ⁺ = (1 + √(1 + 4θ²))/2.

The loss falls like 1/k² from any start; a strongly convex loss with condition κ needs of the order of √κ steps where
gradient descent needs κ, provided the momentum is dropped when it has overshot: θ returns to 1 as soon as
⟨∇L(y), x⁺ − x⟩ > 0 (the gradient restart of O'Donoghue & Candès, Found. Comput. Math. 15 (2015), whose momentum
sequence is Nesterov's). The loop's W is y, where loss and gradient are known. The loss need not fall at every step.
Both sequences stay in W₀ + 𝒦⊥ (S6).

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


class _State(NamedTuple):
    x: Array
    theta: Array


@dataclasses.dataclass(frozen=True)
class AcceleratedDescent(Method):
    """Nesterov's accelerated gradient descent with restart, at the step 1/Λ."""

    name: ClassVar[str] = "agd"
    # Between two restarts loss and gradient may both oscillate for a while.
    patience: ClassVar[int] = 1000

    def constants(self, problem: Problem, key: Any) -> np.floating:
        """S16's step 1/Λ."""
        return rounded_down(descent_step_bound(problem), problem.dtype)

    def begin(self, point: Point, oracle: Oracle, constants: Array) -> _State:
        """x = y = W₀ and no momentum."""
        return _State(point.W, jnp.ones_like(point.value))

    def propose(self, point: Point, oracle: Oracle, constants: Array, state: _State) -> Proposal:
        """The next y."""
        x = point.W - constants * point.gradient
        restart = jnp.sum(point.gradient * (x - state.x)) > 0
        theta = jnp.where(restart, 1, state.theta)
        after = (1 + jnp.sqrt(1 + 4 * theta * theta)) / 2
        beta = jnp.where(restart, 0, (theta - 1) / after)
        return Proposal(x + beta * (x - state.x), constants, _State(x, after))
