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

from jaxsoftmax.calculus.bounds.curvature import curvature_lower_bound
from jaxsoftmax.calculus.bounds.global_rates import log_descent_gain_bound
from jaxsoftmax.calculus.bounds.steps import contraction_rate, descent_step_bound
from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.problem.dtypes import widened
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal
from jaxsoftmax.training.methods.newton import DENSE_LIMIT

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class GradientDescent(Method):
    """Gradient descent at the fixed step 1/Λ, which lowers the loss at every step (S16)."""

    name: ClassVar[str] = "gd"
    # Best loss and best gradient norm both fall at every step of exact gradient descent (the gradient is cocoercive).
    # Rounding noise sets a new record at step n of an idle stretch with probability about 1/n, so a stretch of 100
    # without one says that rounding, not progress, decides.
    patience: ClassVar[int] = 100
    monotone: ClassVar[bool] = True

    def constants(self, problem: Problem, key: Any) -> np.floating:
        """The step 1/Λ, rounded down to the compute dtype; 0 where Λ = 0 (the loss is constant)."""
        return rounded_down(descent_step_bound(problem), problem.dtype)

    def propose(self, point: Point, oracle: Oracle, constants: Array, state: Any) -> Proposal:
        """W − η∇L(W)."""
        return Proposal(point.W - constants * point.gradient, constants, state)

    def log_gain_bound(self, problem: Problem, W0: Any) -> float:
        """S18's log(μ/Λ)."""
        return log_descent_gain_bound(problem, W0)

    def rate_bound(self, problem: Problem, W: Any, step_size: float) -> float:
        """S17's factor: steps of at most 1/Λ contract most slowly at the least curvature, which S7c bounds."""
        return 1.0 - step_size * float(curvature_lower_bound(W, problem))

    def rate_estimate(self, problem: Problem, W: Any, step_size: float) -> float | None:
        """S17's factor with the eigenvalues of H(W)."""
        return descent_rate_estimate(problem, W, step_size)


def descent_rate_estimate(problem: Problem, W: Any, step: float) -> float | None:
    """S17's factor max|1 − ηλ| over the eigenvalues λ of H(W) on 𝒦⊥, in float64.

    None where the dense Hessian is not formed, its smallest eigenvalue is lost in rounding, or no step was taken.
    """
    if not step > 0 or problem.C * problem.D > DENSE_LIMIT or not np.all(np.isfinite(W)):
        return None
    k = null_space(problem)
    with jax.enable_x64(True):
        H = np.asarray(hessian(np.asarray(W, np.float64), widened(problem)).to_dense())
    n = H.shape[0]
    if k.dim >= n or not np.all(np.isfinite(H)):
        return None
    values = np.linalg.eigvalsh(H)
    low, high = float(values[k.dim]), float(values[-1])
    resolved = low > n * np.finfo(float).eps * high
    return contraction_rate(step, low, high) if resolved else None


def rounded_down(step: float, dtype: Any) -> np.floating:
    """The largest number of `dtype` that is not above `step` (S16 needs η <= 1/Λ); 0 for an infinite step."""
    kind = np.dtype(dtype).type
    if not np.isfinite(step):
        return kind(0)
    near = kind(min(step, float(np.finfo(dtype).max)))
    return near if float(near) <= step else np.nextafter(near, kind(0))
