"""The compiled call behind `fit_many`: Newton's loop mapped over lanes, and what is evaluated where each ends.

A lane is one problem of the batch. All lanes run the loop of `training/loop/run.py` by Newton's method until the last
has ended; one that has ended is masked and changes no more. Everything is in float64. Where the lanes share X, their
products with it are one product of matrices, which is why a batch is faster than its fits one by one.

At the end point S13 needs a lower bound μ on the Hessian's curvature on {1ᵀV = 0}, off its null space. With A that
Hessian in scaled features plus a multiple of the projector on the null space,

    1/μ = λ_max(A⁻¹) <= tr(A⁻¹) = ‖L⁻¹‖_F²,    A = L Lᵀ,

which costs a Cholesky factor, not eigenvalues, and is at most C·D times too large: near a minimiser ‖g‖ is far smaller.

Guarded by `tests/training/many/test_fit_many.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors
from jaxsoftmax.linalg.blocks import Placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.run import Carry, Limits, advance, start
from jaxsoftmax.training.methods.newton import Newton

Array = jax.Array

METHOD = Newton()
HISTORY_ROWS = 4


class Ends(NamedTuple):
    """Where the lanes ended: the loop's memory, and `curvature` (B,), μ less its rounding; NaN where not resolved."""

    carry: Carry
    curvature: Array


@partial(jax.jit, static_argnames=("where", "own_data"))
def train(
    where: Placement,
    own_data: bool,
    problem: Problem,
    own: dict[str, Any],
    W0: Array,
    constants: ComplementProjectors,
    limits: Limits,
) -> Ends:
    """Train every lane: `own` replaces parts of `problem`, each array with the lanes first, as W0 (B, C, D) has them.

    `own_data`: the lanes have data of their own, and so `constants` of their own.
    """

    def lane(own: dict[str, Any], W0: Array, constants: ComplementProjectors) -> Ends:
        mine = problem.replace(**own)
        carry = start(METHOD, where, mine, W0, constants, HISTORY_ROWS)
        carry = advance(METHOD, where, mine, carry, constants, limits.max_steps + 1, limits)
        H = hessian(carry.W, mine).to_dense()
        return Ends(carry._replace(state=()), smallest_curvature(H, constants, mine.C))

    return jax.vmap(lane, in_axes=(0, 0, 0 if own_data else None))(own, W0, constants)


def smallest_curvature(H: Array, constants: ComplementProjectors, C: int) -> Array:
    """A lower bound on H (CD, CD) off its null space on {1ᵀV = 0}, in features scaled by `constants.scale`.

    Less the rounding of the entries and of the factor, CD·eps·‖A‖ each: exact but for rounding of a higher order.
    """
    n = H.shape[0]
    inverse = jnp.tile(1 / constants.scale, C)
    A = H * inverse[:, None] * inverse[None, :]
    A = A.reshape(C, n // C, C, n // C)
    A = A - jnp.mean(A, axis=0, keepdims=True)
    A = (A - jnp.mean(A, axis=2, keepdims=True)).reshape(n, n)
    J = jnp.full((C, C), 1 / C, H.dtype)
    typical = jnp.trace(A) / n
    free = jnp.kron(J, jnp.eye(n // C, dtype=H.dtype)) + jnp.kron(jnp.eye(C) - J, constants.null_scaled)
    A = A + typical * free
    L = jnp.linalg.cholesky(A, symmetrize_input=False)
    inverted = jax.scipy.linalg.solve_triangular(L, jnp.eye(n, dtype=H.dtype), lower=True)
    rounding = 2 * n * jnp.finfo(H.dtype).eps * jnp.linalg.norm(A)
    return 1 / jnp.sum(inverted**2) - rounding
