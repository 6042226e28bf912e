"""Gradient descent at the step of S16, and the rate at which a run of it was seen to contract.

W ← W − η ∇L(W) with η = 1/Λ, Λ the rigorous curvature bound of S7a (S21 for regularisers). Every step lowers the loss
by at least (η/2)‖∇L‖² (S16), with no line search and from any start. ∇L lies in 𝒦⊥, so the part of W₀ in the kernel 𝒦
is never changed (S3, S6). The loop refuses a step that raises the loss beyond rounding: such a step refutes S16's
premise.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.rates import descent_step_bound
from jaxsoftmax.problem import Problem
from jaxsoftmax.training.loop import Point, Proposal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class GradientDescent:
    """The method object for `loop.run`; it has no options."""

    name: ClassVar[str] = "gd"
    # Best loss and best gradient norm both fall at every step of exact gradient descent (the gradient is cocoercive).
    # Rounding noise sets a new record at step n of an idle stretch with probability about 1/n, so a stretch of 100
    # without one says that rounding, not progress, decides.
    patience: ClassVar[int] = 100
    monotone: ClassVar[bool] = True

    def constants(self, problem: Problem) -> np.ndarray:
        """The step 1/Λ, rounded down to the compute dtype; 0 where Λ = 0 (the loss is constant)."""
        return np.asarray(rounded_down(descent_step_bound(problem), problem.dtype))

    def begin(self, point: Point, problem: Problem, constants: Array) -> tuple[()]:
        """No state."""
        return ()

    def propose(self, point: Point, problem: Problem, constants: Array, state: Any) -> Proposal:
        """W − η∇L(W)."""
        nan = jnp.full((), jnp.nan, point.W.dtype)
        step = constants.astype(point.W.dtype)
        W = point.W - step * point.gradient
        return Proposal(W, step, nan, nan, jnp.ones((), bool), state)


def rounded_down(step: float, dtype: Any) -> np.floating:
    """The largest number of `dtype` that is not above `step` (S16 needs η <= 1/Λ); 0 for an infinite step."""
    kind = np.dtype(dtype).type
    if not np.isfinite(step):
        return kind(0)
    near = kind(min(step, float(np.finfo(dtype).max)))
    return near if float(near) <= step else np.nextafter(near, kind(0))


def measured_rate(steps: np.ndarray, gradient_norms: np.ndarray, floor: float) -> float | None:
    """The factor per step by which ‖∇L‖ shrank over the last part of a run, or None where that cannot be measured.

    Asymptotically the gradient norm contracts like the iterates, by S17's factor. The geometric mean is taken over the
    last half of the steps (in log scale one straight line), cut off where the norm is within 100 times of `floor`, the
    rounding level of the gradient: a plateau there measures the arithmetic, not the method.

    Args:
        steps: (k,) step numbers, increasing.
        gradient_norms: (k,) norms at those steps.
        floor: rounding level of the gradient norm.
    """
    steps, norms = np.asarray(steps, float), np.asarray(gradient_norms, float)
    usable = np.isfinite(norms) & (norms > max(100.0 * floor, 0.0))
    cut = usable.size if usable.all() else int(np.argmin(usable))
    steps, norms = steps[:cut], norms[:cut]
    if cut < 2:
        return None
    first = int(np.searchsorted(steps, steps[-1] / 2))
    first = min(first, cut - 2)
    if steps[-1] - steps[first] < 5 or not norms[-1] < norms[first]:
        return None
    return float(np.exp((np.log(norms[-1]) - np.log(norms[first])) / (steps[-1] - steps[first])))
