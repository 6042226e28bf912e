"""Newton-CG ("newton-cg"): Newton's direction by preconditioned conjugate gradients, products only, damped by S8.

H V = −g is solved on 𝒦⊥. The first preconditioner is the fixed matrix M of S19: the eigenvalues of M⁺H lie in
[2 min_n λ₂(S(y_n)), 1], so cond(X) does not enter, and M⁺ maps into 𝒦⊥, so no iterate has a part in the kernel. At the
start M is H but for a factor; in a trained classifier it is far above. The class blocks of H
(`calculus/loss/class_blocks.py`) take its place once the products wasted, beside what blocks are expected to need
(later: with what the last blocks needed when new), cost half of what blocks cost to make; they are made anew
by the same rule. Where C blocks would need more memory than the data, or than is free, M stays.

The solve stops at ‖r‖ <= φ‖g‖ in the norm ‖r‖² = ⟨r, M⁺r⟩, with φ = (‖g‖/‖g₀‖)^½ between 0.03 and ½, g₀ the gradient at
the start: loose far away, tighter near a minimiser (Dembo, Eisenstat & Steihaug, SIAM J. Numer. Anal. 19 (1982)). Below
0.03 nothing would be gained: the products of one solve to φ² are those of two to φ. The last solve, which only confirms
the end, is as loose as the first. Any direction of conjugate gradients started at 0 is one of descent, and the step
length is S8's, which asks for no exact direction (damping.py).

In float64 the products of the solve are taken with float32 copies of X and s where there is much to multiply and the
condition of X allows it: loss and gradient stay in float64, so the outer steps correct what a direction lacks. Where H
gets so flat that they cannot (far out on separable data), whole steps leave the gradient no smaller than it was; after
a few of them in a row the products are taken in float64.

Memory: the (N, C) probabilities and a few (C, D) arrays, the C blocks, the float32 copy; never the (CD, CD) matrix.

Guarded by `tests/training/methods/test_methods.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.bounds.bohning import Majorant, apply_inverse, majorant
from jaxsoftmax.calculus.loss.class_blocks import bytes_of_class_blocks, class_block_inverses, rows_drawn
from jaxsoftmax.calculus.loss.null_space import free_directions, row_space
from jaxsoftmax.calculus.loss.projected_solve import projector, remove_kernel
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.memory import devices_of, fits
from jaxsoftmax.training.loop.protocol import InnerSolve, Method, Oracle, Point, Proposal
from jaxsoftmax.training.loop.stopping import scaled_gradient
from jaxsoftmax.training.methods.damping import damped_move, is_small

Array = jax.Array

MOST_PRODUCTS = 1000  # a step
LOOSEST, TIGHTEST = 0.5, 0.03
# A step may take so many products, however cheap blocks are; with fresh ones as many as this.
LEAST_PRODUCTS = 12
FRESH_PRODUCTS = 60
EXPECTED_RATE = 0.7  # of class blocks: each product halves the residual
SLOWEST_RATE = 0.01
# cond(X) up to which float32 products, right to some 1e-7 of cond(X)², still point down in every direction.
WELL_CONDITIONED = 1e3
# N·D·C from which a float32 copy pays, and the whole steps in vain after which it is given up.
MUCH_TO_MULTIPLY = 1e7
MOST_IDLE = 3


class Solver(NamedTuple):
    """What the inner solve needs.

    `inner`: the problem that products are taken with; `inverse`: the preconditioner; `patience`: products after which
    class blocks pay, 0 where they are never made; `gauge` and `null`: projectors (D, D) on the two parts of 𝒦, which
    float32 products do not keep to.
    """

    inner: Problem
    inverse: Majorant
    patience: Any
    gauge: Any
    null: Any


class State(NamedTuple):
    """What the method remembers.

    `first`: ⟨g₀, M⁺g₀⟩. `gain`: λ²/⟨g, M⁺g⟩ of the last solve. `lowest`: the smallest scaled gradient so far. `whole`:
    whether the last step was; `idle`: whole steps in a row after which the gradient was no smaller than that.
    `best`: the fall of log ‖r‖ a product in the first solve with this preconditioner.
    `wasted`: products since then beyond what that rate would have taken. `fresh`: there was no solve yet.
    """

    first: Any
    gain: Any
    lowest: Any
    whole: Any
    idle: Any
    best: Any
    wasted: Any
    fresh: Any


@dataclasses.dataclass(frozen=True)
class NewtonCG(Method):
    """Newton's method with Hessian-vector products only, by conjugate gradients."""

    name: ClassVar[str] = "newton-cg"
    default_steps: ClassVar[int] = 200
    patience: ClassVar[int] = 5
    monotone: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    any_columns: ClassVar[bool] = True

    def bytes_needed(self, N: int, D: int, C: int, itemsize: int) -> dict[str, int]:
        """The probabilities, and S19's inverse with the two projectors."""
        matrices = {f"three matrices of {D:,} x {D:,}": 3 * D * D * itemsize}
        return matrices | {f"{N:,} x {C:,} probabilities": N * C * itemsize}

    def constants(self, problem: Problem, key: Any) -> Solver:
        """The preconditioner M⁺, on the host in float64; one copy for each class where class blocks will follow."""
        kern = free_directions(problem)
        M = majorant(problem, kern)
        patience = _patience(problem)
        if patience:
            M = M._replace(inverse=np.broadcast_to(M.inverse, (problem.C, *M.inverse.shape)))
        gauge, null = (projector(basis, np).astype(problem.dtype) for basis in kern)
        return Solver(_inner(problem), M, np.int32(patience), gauge, null)

    def begin(self, point: Point, oracle: Oracle, constants: Solver) -> State:
        """⟨g₀, M⁺g₀⟩, and nothing wasted; S19's matrix is held to what class blocks are expected to give."""
        square = jnp.sum(point.gradient * apply_inverse(constants.inverse, point.gradient))
        zero = jnp.zeros((), square.dtype)
        never = jnp.zeros((), bool)
        size = scaled_gradient(point.gradient, oracle.scale)
        return State(
            square, jnp.ones_like(square), size, never, jnp.zeros((), jnp.int32), zero + EXPECTED_RATE, zero, never
        )

    def inner_solve(self, constants: Solver) -> InnerSolve:
        """By S19's matrix."""
        return InnerSolve(0, "majorant", str(constants.inner.dtype), 0.0)

    def is_worn(self, constants: Solver, state: State) -> Array:
        """Once class blocks pay, or float32 products have led to several steps in vain."""
        vain = (state.idle >= MOST_IDLE) & (constants.inner.dtype != state.first.dtype)
        return _blocks_pay(constants, state) | vain

    def renew(
        self, problem: Problem, W: Any, constants: Solver, state: State, solved: InnerSolve
    ) -> tuple[Solver, State, InnerSolve] | None:
        """Class blocks at W, once the products wasted for want of them cost half of what they cost; else None.

        Also the products in the problem's own precision, once those in float32 led to several steps in vain.
        """
        if constants.inner.dtype != problem.dtype and int(state.idle) >= MOST_IDLE:
            return (
                constants._replace(inner=problem),
                state,
                solved._replace(products_dtype=str(problem.dtype), failed=False),
            )
        wasted = float(state.wasted)
        if not _blocks_pay(constants, state):
            return None
        inverse = class_block_inverses(problem, constants.inner, W)
        state = state._replace(wasted=jnp.zeros_like(state.wasted))
        if inverse is None:
            return constants, state, solved._replace(wasted_products=wasted, failed=True)
        M = constants.inverse._replace(inverse=inverse.astype(constants.inverse.inverse.dtype))
        solved = solved._replace(preconditioner="class blocks", wasted_products=wasted, failed=False)
        return constants._replace(inverse=M), state._replace(fresh=jnp.ones((), bool)), solved

    def kept(self, constants: Solver) -> Any:
        """The preconditioner."""
        return constants.inverse.inverse

    def with_kept(self, problem: Problem, constants: Solver, kept: Any, solved: InnerSolve) -> Solver:
        """The same preconditioner, and products in the precision that the last solve took."""
        inner = constants.inner if solved.products_dtype == str(constants.inner.dtype) else problem
        return constants._replace(inner=inner, inverse=constants.inverse._replace(inverse=kept))

    def propose(self, point: Point, oracle: Oracle, constants: Solver, state: State) -> Proposal:
        """The damped step along the direction that conjugate gradients reached."""
        M = constants.inverse
        square = jnp.sum(point.gradient * apply_inverse(M, point.gradient))
        ratio = jnp.where(state.first > 0, square / jnp.where(state.first > 0, state.first, 1), 0)
        target = jnp.clip(ratio**0.5, TIGHTEST**2, LOOSEST**2) * square  # φ² ‖g‖²; `ratio` is of squares
        size = scaled_gradient(point.gradient, oracle.scale)
        # Where the end is only to be confirmed, a loose solve is enough.
        over = (size <= float(jnp.finfo(size.dtype).eps) ** (2 / 3)) & is_small(0.5 * state.gain * square, point.value)
        target = jnp.where(over, LOOSEST**2 * square, target)
        # What the best rate needs, and what may still be wasted; the rate of fresh blocks is only to be learnt.
        expected = 0.5 * jnp.log(square / target) / state.best
        known = jnp.where(state.fresh, FRESH_PRODUCTS, expected + constants.patience - state.wasted)
        most = jnp.clip(known, LEAST_PRODUCTS, MOST_PRODUCTS)
        most = jnp.where(constants.patience > 0, most, MOST_PRODUCTS).astype(jnp.int32)
        inner = jax.tree.map(lambda leaf: leaf.astype(constants.inner.dtype), M)
        V, along, left, count = solve(constants.inner, oracle, lambda G: apply_inverse(inner, G), point, target, most)
        V = remove_kernel(V, constants.gauge, constants.null)
        rate = 0.5 * jnp.log(square / left) / count
        best = jnp.where(state.fresh, jnp.maximum(rate, SLOWEST_RATE), state.best)
        wasted = state.wasted + jnp.maximum(count * (1 - rate / best), 0)
        idle = jnp.where(state.whole & (size >= state.lowest), state.idle + 1, 0)
        never = jnp.zeros((), bool)
        gain = -jnp.sum(point.gradient * V) / square
        after = State(state.first, gain, jnp.minimum(size, state.lowest), never, idle, best, wasted, never)
        proposal = damped_move(point, oracle, V, after, *along)
        return proposal._replace(state=after._replace(whole=proposal.step_size >= 1))


def _blocks_pay(constants: Solver, state: State) -> Array:
    """Whether the products wasted for want of class blocks cost half of what these cost."""
    return (constants.patience > 0) & (state.wasted >= constants.patience)


def _patience(problem: Problem) -> int:
    """Products that cost half of what the class blocks cost; 0 where these do not fit, or X is sharded."""
    N, D, C = problem.N, problem.D, problem.C
    where = placement(problem)
    if where.axes is not None or not where.blocks or C * D * D > N * (C + D):
        return 0
    if not fits(bytes_of_class_blocks(D, C, problem.dtype.itemsize), devices_of(problem.X)):
        return 0
    rows = rows_drawn(N, D)
    return int(np.ceil(0.5 * (2 * rows * D * D + D**3) / (4 * N * D)))


def _inner(problem: Problem) -> Problem:
    """The problem itself, or in float32 where it is float64, large and well conditioned, and the copy fits."""
    if problem.dtype != np.float64 or problem.N * problem.D * problem.C < MUCH_TO_MULTIPLY:
        return problem
    if problem.X.dtype == np.float64 and not fits(4 * problem.N * problem.D, devices_of(problem.X)):
        return problem
    if row_space(problem).condition > WELL_CONDITIONED:
        return problem
    narrow = (problem.sample_weight, problem.regularizer)
    s, penalties = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), narrow)
    X = problem.X.astype(jnp.float32) if problem.X.dtype == np.float64 else problem.X
    return Problem.tree_unflatten((problem.intercept, "float32"), (X, problem.targets, s, penalties))


def solve(
    inner: Problem,
    oracle: Oracle,
    precondition: Callable[[Array], Array],
    point: Point,
    target: Array,
    most: Array,
) -> tuple[Array, tuple[Array, Array], Array, Array]:
    """(V, (⟨V, HV⟩, ρ(V)), ⟨r, M⁺r⟩, products) for r = −g − HV, by conjugate gradients from V = 0 (S6, S19).

    Products are taken with `inner`; `precondition` is M⁺, from its dtype to its dtype.
    """
    dtype = inner.dtype
    asked = oracle.on(inner)
    product = asked.hessian_at(point.W.astype(dtype))
    g = point.gradient.astype(dtype)

    def goes_on(carry: tuple[Array, ...]) -> Array:
        *_, square, count, healthy = carry
        return (square > target) & (count < most) & healthy

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        V, r, p, square, count, _ = carry
        Hp = product(p)
        curvature = jnp.sum(p * Hp)
        healthy = curvature > 0  # else p has left what this precision resolves; V is good so far
        alpha = jnp.where(healthy, square / jnp.where(healthy, curvature, 1), 0)
        V, r = V + alpha * p, r - alpha * Hp
        z = precondition(r)
        after = jnp.sum(r * z)
        return V, r, z + after / square * p, after, count + 1, healthy

    z = precondition(-g)
    start = (jnp.zeros_like(g), -g, z, jnp.sum(-g * z), jnp.zeros((), jnp.int32), jnp.ones((), bool))
    V, r, _, square, count, _ = jax.lax.while_loop(goes_on, step, start)
    curvature = jnp.sum(V * (-g - r))  # HV = −g − r
    spread = asked.spread(V)
    out = point.W.dtype
    along = curvature.astype(out), spread.astype(out)
    return V.astype(out), along, jnp.maximum(square, jnp.finfo(dtype).tiny).astype(out), count
