"""Dense Newton on 𝒦⊥ ("newton"), globalised by generalised self-concordance (S8).

The direction solves H V = −g: a solution exists because g ∈ 𝒦⊥, unique up to the kernel 𝒦 (S6), and
`calculus/loss/projected_solve.py` finds it. The step length is the longest that keeps S8's promise (damping.py). Near
a minimiser the steps are Newton's and the error is squared by each; where none exists ρ does not go to 0, and the
loss falls by a steady factor a step.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp

from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.null_space import free_directions, row_space
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, complement_projectors, solve_on_complement
from jaxsoftmax.linalg.products import PRECISION
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal
from jaxsoftmax.training.methods.damping import damped_move
from jaxsoftmax.training.methods.newton_cg import WELL_CONDITIONED

DENSE_LIMIT = 1500  # C·D
DENSE_WORK = 2**31  # N·(C·D)², half of the operations of the Gram products
CHEAP_WORK = 2**29  # beyond it "newton-cg" is faster where X is well conditioned: few products are needed


def is_dense(problem: Problem) -> bool:
    """Whether the (CD, CD) Hessian is small and cheap enough to be formed and diagonalised (a few seconds at most)."""
    size = problem.C * problem.D
    return size <= DENSE_LIMIT and problem.N * size**2 <= DENSE_WORK


@dataclasses.dataclass(frozen=True)
class Newton(Method):
    """Newton's method with the dense Hessian, for problems whose dense Hessian is small."""

    name: ClassVar[str] = "newton"
    default_steps: ClassVar[int] = 200
    patience: ClassVar[int] = 5
    monotone: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    any_columns: ClassVar[bool] = True

    def suits(self, problem: Problem) -> bool:
        """Where the dense Hessian is small, and cheap or needed for what an ill-conditioned X asks."""
        if not is_dense(problem):
            return False
        cheap = problem.N * (problem.C * problem.D) ** 2 <= CHEAP_WORK
        return cheap or row_space(problem).condition > WELL_CONDITIONED

    def bytes_needed(self, N: int, D: int, C: int, itemsize: int) -> dict[str, int]:
        """The Hessian scaled, the same with its diagonal raised, and its factor."""
        return {f"three matrices of {C * D:,} x {C * D:,}": 3 * (C * D) ** 2 * itemsize}

    def constants(self, problem: Problem, key: Any) -> ComplementProjectors:
        """Scales and kernel projectors, on the host in float64 (concrete data needed)."""
        return complement_projectors(problem, free_directions(problem))

    def propose(self, point: Point, oracle: Oracle, constants: ComplementProjectors, state: Any) -> Proposal:
        """The damped Newton step."""
        H = hessian(point.W, oracle.problem).to_dense()
        V = -solve_on_complement(H, point.gradient, constants)
        curvature = jnp.vdot(V.ravel(), H @ V.ravel(), precision=PRECISION)
        return damped_move(point, oracle, V, state, curvature, oracle.spread(V))
