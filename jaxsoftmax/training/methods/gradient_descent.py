"""Gradient descent at the step of S16 ("gd"): every step lowers the loss as promised, from any start.

W ← W − η ∇L(W) with η = 1/Λ, Λ the rigorous curvature bound of S7a (S21 for regularisers). Every step lowers the loss
by at least (η/2)‖∇L‖² (S16), with no line search and from any start. ∇L lies in 𝒦⊥, so the part of W₀ in the kernel 𝒦
is never changed (S3, S6). The loop refuses a step that raises the loss beyond rounding: such a step refutes S16's
premise.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np

from jaxsoftmax.calculus.bounds.steps import descent_step_bound
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Oracle, Point, Proposal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class GradientDescent:
    """The method object for `loop.run`; it has no options."""

    name: ClassVar[str] = "gd"
    default_steps: ClassVar[int] = 10_000
    # Best loss and best gradient norm both fall at every step of exact gradient descent (the gradient is cocoercive).
    # Rounding noise sets a new record at step n of an idle stretch with probability about 1/n, so a stretch of 100
    # without one says that rounding, not progress, decides.
    patience: ClassVar[int] = 100
    monotone: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    halt_words: ClassVar[str] = ""

    def constants(self, problem: Problem, key: Any) -> np.floating:
        """The step 1/Λ, rounded down to the compute dtype; 0 where Λ = 0 (the loss is constant)."""
        return rounded_down(descent_step_bound(problem), problem.dtype)

    def begin(self, point: Point, oracle: Oracle, constants: Array) -> tuple[()]:
        """No state."""
        return ()

    def propose(self, point: Point, oracle: Oracle, constants: Array, state: Any) -> Proposal:
        """W − η∇L(W)."""
        return Proposal(point.W - constants * point.gradient, constants, state)


def rounded_down(step: float, dtype: Any) -> np.floating:
    """The largest number of `dtype` that is not above `step` (S16 needs η <= 1/Λ); 0 for an infinite step."""
    kind = np.dtype(dtype).type
    if not np.isfinite(step):
        return kind(0)
    near = kind(min(step, float(np.finfo(dtype).max)))
    return near if float(near) <= step else np.nextafter(near, kind(0))
