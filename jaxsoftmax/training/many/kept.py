"""Newton's directions from a factor that is kept: conjugate gradients on the true Hessian, many lanes and steps long.

Along a path of penalties the Hessian changes slowly. So the inverse of one preconditions the conjugate gradients of
later steps and later penalties: some five products with the Hessian a step, each of them cheap, take the place of a
Hessian and a factor. The inverses are made anew where the products beyond what good ones need have cost as much.

The smallest curvature that S13 asks for is carried along too. With ρ the largest range of logits between the point
where it was evaluated and the end point, S8 gives, for L2 penalties that fell by a factor r at most (r <= 1),

    H(end) ⪰ r·e^{-ρ}·H(there).

Guarded by `tests/training/many/test_kept.py`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, remove_kernel
from jaxsoftmax.linalg.products import PRECISION
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal
from jaxsoftmax.training.methods.damping import damped_move
from jaxsoftmax.training.methods.newton_cg import solve

Array = jax.Array

# Below this C·D a Hessian and its factor cost less than the products.
SMALLEST = 128
# A step solves to ‖r‖ <= φ‖g‖, φ = ‖g‖/‖g₀‖ between these: with a good inverse each product gains a digit.
TIGHTEST, LOOSEST = 1e-3, 0.1
MOST_PRODUCTS = 300
# An operation of a product takes this many times as long as one of the products of matrices that make an inverse.
DEARER = 3
# Products a step that a good inverse needs, and steps after which a new one may be made.
EXPECTED, CHUNK = 4, 4


class Kept(NamedTuple):
    """What the directions need: `inverse` (CD, CD) of a Hessian near by, and the projectors of the null space."""

    inverse: Array
    projectors: ComplementProjectors


class State(NamedTuple):
    """⟨g₀, P⁻¹g₀⟩ with P⁻¹ the inverse kept, and the products taken so far."""

    first: Array
    products: Array


@dataclasses.dataclass(frozen=True)
class KeptNewton(Method):
    """Newton's method with an inverse that is kept as preconditioner."""

    name: ClassVar[str] = "newton-cg"
    default_steps: ClassVar[int] = 200
    patience: ClassVar[int] = 5
    monotone: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    any_columns: ClassVar[bool] = True

    def begin(self, point: Point, oracle: Oracle, constants: Kept) -> State:
        """⟨g₀, P⁻¹g₀⟩, and no products yet."""
        return State(jnp.sum(point.gradient * precondition(constants, point.gradient)), jnp.zeros((), jnp.int32))

    def propose(self, point: Point, oracle: Oracle, constants: Kept, state: State) -> Proposal:
        """The damped step along the direction that conjugate gradients reached."""
        square = jnp.sum(point.gradient * precondition(constants, point.gradient))
        ratio = jnp.where(state.first > 0, square / jnp.where(state.first > 0, state.first, 1), 0)
        target = jnp.clip(ratio, TIGHTEST**2, LOOSEST**2) * square  # `ratio` is of squares, as φ² is
        V, along, _, count = solve(
            oracle.problem, oracle, lambda G: precondition(constants, G), point, target, jnp.int32(MOST_PRODUCTS)
        )
        V = remove_kernel(V, constants.projectors.gauge, constants.projectors.null)
        return damped_move(point, oracle, V, State(state.first, state.products + count), *along)


def precondition(kept: Kept, G: Array) -> Array:
    """P⁻¹ G for G (C, D)."""
    return jnp.matmul(kept.inverse, G.ravel(), precision=PRECISION).reshape(G.shape)


def inverse_and_curvature(H: Array, constants: ComplementProjectors, C: int) -> tuple[Array, Array]:
    """The inverse of H (CD, CD), made definite on its null space, and a lower bound on its curvature elsewhere.

    With A that Hessian in features scaled by `constants.scale` plus a multiple of the projector on {V = 1vᵀ} and the
    null space, the curvature on {1ᵀV = 0} off the null space is at least

        1/λ_max(A⁻¹) >= 1/tr(A⁻¹) = 1/‖L⁻¹‖_F²,    A = L Lᵀ,

    which costs a Cholesky factor, not eigenvalues, and is at most C·D times too small: near a minimiser ‖g‖ is far
    smaller. Less the rounding of the entries and of the factor, CD·eps·‖A‖ each: exact but for rounding of a higher
    order. The curvature is that in scaled features, the inverse that in the features themselves.
    """
    n = H.shape[0]
    unit = jnp.tile(1 / constants.scale, C)
    A = H * unit[:, None] * unit[None, :]
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
    inverse = jnp.matmul(inverted.T, inverted, precision=PRECISION) * unit[:, None] * unit[None, :]
    return inverse, 1 / jnp.sum(inverted**2) - rounding


@dataclasses.dataclass
class Ground:
    """Where the Hessians of B lanes were last evaluated, and what is kept of them.

    Attributes:
        W: (B, C, D), the points, in the working columns.
        penalties: those of each lane.
        curvatures: (B,) lower bounds on the curvature there.
        inverses: (B, CD, CD).
        wasted: products of all lanes since then, beyond those that a good inverse needs.
    """

    W: np.ndarray
    penalties: list[tuple]
    curvatures: np.ndarray
    inverses: Array
    wasted: float = 0.0

    def for_others(self) -> Ground:
        """The same for other lanes of much the same data: the inverses serve them, the curvatures are not theirs."""
        return dataclasses.replace(self, curvatures=np.zeros_like(self.curvatures), wasted=0.0)

    def is_worn(self, problem: Problem) -> bool:
        """Whether the products wasted have cost as much as the Hessians and inverses of all lanes."""
        N, D, C = problem.shape
        size, lanes = C * D, len(self.W)
        making = lanes * (N * size**2 / 2 + 2 * size**3)
        return self.wasted * DEARER * 4 * N * size >= making

    def curvature_at(self, lane: int, penalties: tuple[Any, ...], rho: float) -> float:
        """S8's bound for a lane whose logits have moved by ρ since, under other strengths of its penalties."""
        least = 1.0
        for now, then in zip(penalties, self.penalties[lane], strict=True):
            ratio = float(now.strength) / float(then.strength) if float(then.strength) else 1.0
            if now.sample_scale is not None and ratio != 1:
                return 0.0  # the samples of a self-regulariser change with its strength
            least = min(least, ratio)
        return float(self.curvatures[lane]) * least * math.exp(-rho)
