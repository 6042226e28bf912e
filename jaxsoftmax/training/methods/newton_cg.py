"""Newton-CG ("newton-cg"): Newton's direction by preconditioned conjugate gradients, products only, damped by S8.

H V = −g is solved on 𝒦⊥ with the fixed matrix M of S19 as preconditioner: the eigenvalues of M⁺H lie in
[2 min_n λ₂(S(y_n)), 1], so cond(X) does not enter, and M⁺ maps into 𝒦⊥, so no iterate has a part in the kernel. The
solve stops at ‖r‖ <= φ‖g‖ in the norm ‖r‖² = ⟨r, M⁺r⟩, with φ = (‖g‖/‖g₀‖)^½ between 0.03 and ½, g₀ the gradient at
the start: loose far away, tighter near a minimiser (Dembo, Eisenstat & Steihaug, SIAM J. Numer. Anal. 19 (1982)). Below
0.03 nothing would be gained: the products of one solve to φ² are those of two to φ, and the last solve, which only
confirms the end, would cost the most. Any direction of conjugate gradients started at 0 is one of descent, and the step
length is S8's, which asks for no exact direction (damping.py).

Memory: the (N, C) probabilities and a few (C, D) arrays; the (CD, CD) matrix never exists.

Guarded by `tests/training/methods/test_methods.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.bounds.bohning import Majorant, apply_inverse, majorant
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal
from jaxsoftmax.training.methods.damping import damped_move

Array = jax.Array

MOST_PRODUCTS = 1000  # a step
LOOSEST, TIGHTEST = 0.5, 0.03


@dataclasses.dataclass(frozen=True)
class NewtonCG(Method):
    """Newton's method with Hessian-vector products only, by conjugate gradients."""

    name: ClassVar[str] = "newton-cg"
    default_steps: ClassVar[int] = 200
    patience: ClassVar[int] = 5
    monotone: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    any_columns: ClassVar[bool] = True

    def constants(self, problem: Problem, key: Any) -> Majorant:
        """The preconditioner M⁺, on the host in float64."""
        return majorant(problem, null_space(problem))

    def begin(self, point: Point, oracle: Oracle, constants: Majorant) -> Array:
        """⟨g₀, M⁺g₀⟩."""
        return jnp.sum(point.gradient * apply_inverse(constants, point.gradient))

    def propose(self, point: Point, oracle: Oracle, constants: Majorant, state: Array) -> Proposal:
        """The damped step along the direction that conjugate gradients reached."""
        square = jnp.sum(point.gradient * apply_inverse(constants, point.gradient))
        ratio = jnp.where(state > 0, square / jnp.where(state > 0, state, 1), 0)
        target = jnp.clip(ratio**0.5, TIGHTEST**2, LOOSEST**2) * square  # φ² ‖g‖²; `ratio` is of squares
        V = solve(oracle, constants, point, target)
        return damped_move(point, oracle, V, state)


def solve(oracle: Oracle, M: Majorant, point: Point, target: Array) -> Array:
    """V with ⟨r, M⁺r⟩ <= target, r = −g − HV, by preconditioned conjugate gradients from V = 0 (S6, S19)."""
    product = oracle.hessian_at(point.W)

    def goes_on(carry: tuple[Array, ...]) -> Array:
        *_, square, count, healthy = carry
        return (square > target) & (count < MOST_PRODUCTS) & healthy

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        V, r, p, square, count, _ = carry
        Hp = product(p)
        curvature = jnp.sum(p * Hp)
        healthy = curvature > 0  # else p has left what this precision resolves; V is good so far
        alpha = jnp.where(healthy, square / jnp.where(healthy, curvature, 1), 0)
        V, r = V + alpha * p, r - alpha * Hp
        z = apply_inverse(M, r)
        after = jnp.sum(r * z)
        return V, r, z + after / square * p, after, count + 1, healthy

    r = -point.gradient
    z = apply_inverse(M, r)
    start = (jnp.zeros_like(r), r, z, jnp.sum(r * z), jnp.zeros((), jnp.int32), jnp.ones((), bool))
    return jax.lax.while_loop(goes_on, step, start)[0]
