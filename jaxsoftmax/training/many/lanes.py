"""The compiled calls behind `fit_many`: Newton's loop mapped over lanes, and what is evaluated where each ends.

A lane is one problem of the batch. All lanes run the loop of `training/loop/run.py` by a method of Newton's until the
last has ended; one that has ended is masked and changes no more. Everything is in float64. Where the lanes share X,
their products with it are one product of matrices, which is why a batch is faster than its fits one by one.

At the end point S13 needs a lower bound on the Hessian's curvature: from the Hessian there (`train`), or carried along
from where it was last evaluated (`train_kept`, kept.py).

Guarded by `tests/training/many/test_fit_many.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.bounds.steps import max_logit_range
from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors
from jaxsoftmax.linalg.blocks import Placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.run import Carry, Limits, advance, start
from jaxsoftmax.training.many.kept import Kept, KeptNewton, inverse_and_curvature
from jaxsoftmax.training.methods.newton import Newton

Array = jax.Array

METHOD = Newton()
KEPT = KeptNewton()
HISTORY_ROWS = 4


class Ends(NamedTuple):
    """Where the lanes ended: the loop's memory, and `curvature` (B,), μ less its rounding; NaN where not resolved."""

    carry: Carry
    curvature: Array


class KeptEnds(NamedTuple):
    """Where the lanes stand: the loop's memory, products taken (B,), and ρ (B,) of the move since the ground (S8)."""

    carry: Carry
    products: Array
    rho: Array


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
        return Ends(carry._replace(state=()), inverse_and_curvature(H, constants, mine.C)[1])

    return jax.vmap(lane, in_axes=(0, 0, 0 if own_data else None))(own, W0, constants)


@partial(jax.jit, static_argnames="where")
def train_kept(
    where: Placement,
    problem: Problem,
    own: dict[str, Any],
    W0: Array,
    there: Array,
    inverses: Array,
    constants: ComplementProjectors,
    limits: Limits,
) -> KeptEnds:
    """Train every lane by conjugate gradients with its inverse kept; `there` (B, C, D) is where that was made."""

    def lane(own: dict[str, Any], W0: Array, there: Array, inverse: Array) -> KeptEnds:
        mine, kept = problem.replace(**own), Kept(inverse, constants)
        carry = start(KEPT, where, mine, W0, kept, HISTORY_ROWS)
        carry = advance(KEPT, where, mine, carry, kept, limits.max_steps + 1, limits)
        rho = jnp.asarray(max_logit_range(mine, carry.W - there))
        return KeptEnds(carry._replace(state=()), carry.state.products, rho)

    return jax.vmap(lane)(own, W0, there, inverses)


@jax.jit
def evaluate_ground(
    problem: Problem, own: dict[str, Any], W: Array, constants: ComplementProjectors
) -> tuple[Array, Array]:
    """The inverses (B, CD, CD) of the Hessians at W (B, C, D), and the curvatures (B,)."""

    def lane(own: dict[str, Any], W: Array) -> tuple[Array, Array]:
        return inverse_and_curvature(hessian(W, problem.replace(**own)).to_dense(), constants, problem.C)

    return jax.vmap(lane)(own, W)
