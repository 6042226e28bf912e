"""Gradient descent at the step of S16 ("gd"): every step lowers the loss as promised, from any start.

W ← W − η ∇L(W) with η = 1/Λ, Λ the rigorous curvature bound of S7a (S21 for regularisers). Every step lowers the loss
by at least (η/2)‖∇L‖² (S16), with no line search and from any start. ∇L lies in 𝒦⊥, so the part of W₀ in the kernel 𝒦
is never changed (S3, S6). The loop refuses a step that raises the loss beyond rounding: such a step refutes S16's
premise.

**Rates.** Near W* a run contracts by max|1 − ηλ| over the eigenvalues λ of H along the directions that it enters, those
of 𝒦⊥. An L2 penalty gives every other direction the eigenvalue α, and yet no run from W₀ = 0 enters them: ∇F = ∇L + αW
stays in the 𝒦⊥ of the loss alone (S21a).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np

from jaxsoftmax.calculus.bounds.curvature import samplewise_curvature_bound
from jaxsoftmax.calculus.bounds.global_rates import log_descent_gain_bound
from jaxsoftmax.calculus.bounds.steps import contraction_rate, descent_step_bound
from jaxsoftmax.calculus.bounds.two_classes import two_class_hessian
from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.null_space import helmert, null_space, orthogonal_complement
from jaxsoftmax.calculus.loss.penalty_sum import holding
from jaxsoftmax.linalg.enclosures import DOWN, UP
from jaxsoftmax.problem.dtypes import widened
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal
from jaxsoftmax.training.loop.stopping import gradient_scale
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
        """S17's factor: steps of at most 1/Λ contract most slowly at the least curvature, which S7c and d bound."""
        return (1.0 - step_size * samplewise_curvature_bound(W, problem) * DOWN) * UP

    def rate_estimate(self, problem: Problem, W: Any, step_size: float, W0: Any) -> float | None:
        """S17's factor with the eigenvalues of H(W)."""
        return descent_rate_estimate(problem, W, step_size, W0)


def descent_rate_estimate(problem: Problem, W: Any, step: float, W0: Any) -> float | None:
    """S17's factor max|1 − ηλ| over the eigenvalues λ of H(W) along what a run from W0 enters, in float64.

    None where the Hessian is not formed (two classes need a (D, D) matrix only, S7d), its smallest eigenvalue is lost
    in rounding, or no step was taken.
    """
    if not step > 0 or not np.all(np.isfinite(W)):
        return None
    whole = problem.C * problem.D
    if (problem.D if problem.C == 2 else whole) > DENSE_LIMIT:
        return None
    columns = _columns_entered(problem, W0)
    two = problem.C == 2 and columns is not None
    if not two and whole > DENSE_LIMIT:
        return None
    with jax.enable_x64(True):
        wide, W64 = widened(problem), np.asarray(W, np.float64)
        H = two_class_hessian(W64, wide) if two else np.asarray(hessian(W64, wide).to_dense())
    if columns is None:
        basis = null_space(problem).complement_basis()
    else:
        basis = columns if two else np.kron(helmert(problem.C).T, columns)
    if not basis.shape[1] or not np.all(np.isfinite(H)):
        return None
    values = np.linalg.eigvalsh(basis.T @ H @ basis)
    low, high = float(values[0]), float(values[-1])
    resolved = low > H.shape[0] * np.finfo(float).eps * high
    return contraction_rate(step, low, high) if resolved else None


def _columns_entered(problem: Problem, W0: Any) -> np.ndarray | None:
    """R (D, r), orthonormal columns: a run from W0 enters only the V with 1ᵀV = 0 and rows in span R.

    None where it enters more: W0 has a part outside whose gradient, α times the part, is above the rounding of the
    whole (eps a_d, `gradient_scale`), or log-cosh does not keep 1ᵀV = 0 (S21b).
    """
    held = holding(problem)
    if any(p.concordance is not None for p, _ in held):
        return None
    loss = problem.replace(regularizer=tuple(p for p in problem.regularizer if p.sample_scale is not None))
    k = null_space(loss)
    null = np.asarray(k.null, np.float64)
    if any(not columns.all() for _, columns in held) and np.any(np.abs(null[-1:]) > problem.D * np.finfo(float).eps):
        null = null[:, :0]  # a free intercept that the null space of X contains a part of: the penalty turns it (S21a)
    if held:
        pull = np.asarray(W0, np.float64) * sum(p.curvature_bound() * columns for p, columns in held)
        rounding = float(np.finfo(problem.dtype).eps) * np.asarray(gradient_scale(problem), np.float64)
        if np.any(np.abs(pull.mean(axis=0)) > rounding) or np.any(np.abs(pull @ null) > rounding @ np.abs(null)):
            return None
    return orthogonal_complement(null)


def rounded_down(step: float, dtype: Any) -> np.floating:
    """The largest number of `dtype` that is not above `step` (S16 needs η <= 1/Λ); 0 for an infinite step."""
    kind = np.dtype(dtype).type
    if not np.isfinite(step):
        return kind(0)
    near = kind(min(step, float(np.finfo(dtype).max)))
    return near if float(near) <= step else np.nextafter(near, kind(0))
