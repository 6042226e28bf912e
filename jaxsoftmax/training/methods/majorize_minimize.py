"""The fixed-Hessian step of S19 ("mm"): W ← W − 2∇L(W)(XᵀSX)⁺, monotone and without a step size.

Each step minimises Böhning's quadratic upper bound of the loss [B], so the loss falls at every step from any start, and
near a minimiser the iterates contract by 1 − λ_min(M⁺H) <= 1 − 2 min_n λ₂(S(y_n)) a step: scaling or mixing features
changes nothing. The factor is computed once (calculus/bounds/bohning.py).

Guarded by `tests/training/methods/test_methods.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp

from jaxsoftmax.calculus.bounds.bohning import Majorant, apply_inverse, majorant
from jaxsoftmax.calculus.bounds.curvature import flattest_softmax_bound
from jaxsoftmax.calculus.loss.null_space import free_directions
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal


@dataclasses.dataclass(frozen=True)
class MajorizeMinimize(Method):
    """Each step minimises the fixed quadratic that lies above the loss (S19)."""

    name: ClassVar[str] = "mm"
    patience: ClassVar[int] = 100  # as for "gd", in the metric of M
    monotone: ClassVar[bool] = True
    any_columns: ClassVar[bool] = True

    def constants(self, problem: Problem, key: Any) -> Majorant:
        """M⁺, on the host in float64."""
        return majorant(problem, free_directions(problem))

    def propose(self, point: Point, oracle: Oracle, constants: Majorant, state: Any) -> Proposal:
        """W − M⁺∇L(W)."""
        return Proposal(point.W - apply_inverse(constants, point.gradient), jnp.ones_like(point.value), state)

    def rate_bound(self, problem: Problem, W: Any, step_size: float) -> float | None:
        """S19's 1 − 2 min_n λ₂(S(y_n)); None beside a penalty whose curvature varies.

        Other penalties have in M all of their curvature, and the self-regulariser that of uniform samples (S21d).
        """
        if any(p.concordance is not None for p in problem.regularizer):
            return None
        return 1.0 - 2.0 * float(flattest_softmax_bound(W, problem))
