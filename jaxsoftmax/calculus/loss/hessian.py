"""HessianOperator: S4 at one W, matrix-free with cached probabilities, dense on request, with a solve on 𝒦⊥."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.dense_hessian import dense_hessian, hessian_block, hessian_diagonal
from jaxsoftmax.calculus.loss.derivatives import quadratic_form_on_arrays
from jaxsoftmax.calculus.loss.fused import fused_hvp_from_probabilities, fused_hvp_many, fused_probabilities
from jaxsoftmax.calculus.loss.null_space import NullSpace
from jaxsoftmax.calculus.loss.null_space import null_space as null_space_of
from jaxsoftmax.calculus.loss.penalty_sum import penalty_hvp
from jaxsoftmax.calculus.loss.projected_solve import complement_projectors, solve_on_complement
from jaxsoftmax.linalg.blocks import Placement, placement
from jaxsoftmax.linalg.products import replicated
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.memory import cannot_fit, devices_of, shortage
from jaxsoftmax.support.validation import as_weights, is_traced

Array = jax.Array

# Up to this C·D the solve factorises the dense matrix; beyond it conjugate gradients use products only.
DENSE_LIMIT = 3000


def _product(Y: Array, W: Array, problem: Problem, V: Array, where: Placement) -> Array:
    return fused_hvp_from_probabilities(Y, problem, V, where) + penalty_hvp(W, problem, V)


_probabilities = jax.jit(fused_probabilities, static_argnums=2)
_matvec = jax.jit(_product, static_argnums=4)
_dense = jax.jit(dense_hessian, static_argnums=3)
_block = jax.jit(hessian_block, static_argnums=(3, 4))
_diagonal = jax.jit(hessian_diagonal)
_quadratic = jax.jit(quadratic_form_on_arrays)


@partial(jax.jit, static_argnums=4)
def _matmat(Y: Array, W: Array, problem: Problem, columns: Array, where: Placement) -> Array:
    V = columns.T.reshape(-1, *W.shape)
    total = fused_hvp_many(Y, problem, V, where)
    if problem.regularizer:
        total = total + jax.vmap(lambda v: penalty_hvp(W, problem, v))(V)
    return total.reshape(len(V), -1).T


@partial(jax.jit, static_argnums=4)
def _solve_cg(Y: Array, W: Array, problem: Problem, B: Array, where: Placement, kern: NullSpace) -> Array:
    """The V in 𝒦⊥ with H V = B by conjugate gradients, started at 0, so that the iterates stay in 𝒦⊥."""

    def operator(V: Array) -> Array:
        return kern.project(_product(Y, W, problem, V, where))

    tolerance = float(jnp.finfo(B.dtype).eps) ** 0.75
    V, _ = jax.scipy.sparse.linalg.cg(operator, B, tol=tolerance, maxiter=10 * B.size)
    return kern.project(V)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class HessianOperator:
    """The Hessian H(W) of a problem as an operator on (C, D) weights (S4, S21); made by `hessian`.

    A pytree: it can be passed through jit. Flat vectors are row-major vec over (C, D).

    Attributes:
        W: (C, D) where it was formed.
        problem: the data.
        probabilities: (N, C) softmax(X Wᵀ), kept for all products.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> H = js.hessian(np.zeros((2, 2), dtype="float32"), problem)
        >>> (H @ np.array([[1, 0], [0, 0]], dtype="float32")).tolist()
        [[0.25, 0.0], [-0.25, 0.0]]
        >>> H.shape, float(H.trace())
        ((4, 4), 1.0)
    """

    W: Any
    problem: Problem
    probabilities: Any

    @property
    def shape(self) -> tuple[int, int]:
        """(C·D, C·D)."""
        n = self.problem.C * self.problem.D
        return n, n

    @property
    def dtype(self) -> Any:
        """The compute dtype."""
        return self.problem.dtype

    def __repr__(self) -> str:
        n = self.shape[0]
        return f"HessianOperator({n} x {n}, {self.dtype}): products H @ V, to_dense(), diagonal(), solve(B)"

    def __matmul__(self, V: Any) -> Array:
        """H V for V of shape (C, D), (C·D,) or (C·D, k); the result has V's shape.

        Raises:
            ValueError, TypeError: if V has another shape or is a JAX array of another dtype.
        """
        C, D = self.problem.C, self.problem.D
        shape = jnp.shape(V)
        where = placement(self.problem)
        if shape == (C * D,):
            return (self @ jnp.reshape(_typed(V, self.problem), (C, D))).reshape(-1)
        if len(shape) == 2 and shape[0] == C * D and shape != (C, D):
            return _matmat(self.probabilities, self.W, self.problem, _typed(V, self.problem), where)
        return _matvec(self.probabilities, self.W, self.problem, as_weights(V, self.problem, "V"), where)

    def to_dense(self) -> Array:
        """The (C·D, C·D) matrix, by C(C-1)/2 weighted Gram products (S4).

        Raises:
            ValueError: the memory for it is not free; said before any of it is allocated.
        """
        _refuse_too_large(self)
        return _dense(self.probabilities, self.W, self.problem, placement(self.problem))

    def blocks(self) -> Array:
        """(C, C, D, D): block (i, j) is Xᵀ diag(s ∘ (δ_ij y_i - y_i y_j)) X + penalties (S4)."""
        C, D = self.problem.C, self.problem.D
        return jnp.swapaxes(self.to_dense().reshape(C, D, C, D), 1, 2)

    def block(self, i: int, j: int) -> Array:
        """Block (i, j), (D, D), alone.

        Raises:
            ValueError: if i or j is not a class index.
        """
        for name, index in (("i", i), ("j", j)):
            if not 0 <= index < self.problem.C:
                raise ValueError(f"{name}: got {index}; give a class index from 0 to {self.problem.C - 1}.")
        return _block(self.probabilities, self.W, self.problem, i, j)

    def diagonal(self) -> Array:
        """(C, D): the diagonal entries ((c, d), (c, d)) (S4)."""
        return _diagonal(self.probabilities, self.W, self.problem)

    def trace(self) -> Array:
        """The sum of the diagonal, a scalar."""
        return jnp.sum(self.diagonal())

    def quadratic_form(self, V: Any) -> Array:
        """D²L(W)[V, V], a scalar, never negative (S4, S5).

        Raises:
            ValueError, TypeError: if V does not fit the problem.
        """
        return _quadratic(self.probabilities, self.W, self.problem, as_weights(V, self.problem, "V"))

    def solve(self, B: Any, *, null_space: NullSpace | None = None) -> Array:
        """The pseudo-inverse of H applied to B, shape (C, D): the V in 𝒦⊥ with H V = the part of B in 𝒦⊥ (S6).

        Dense Cholesky with refinement up to C·D = 3000, conjugate gradients on products beyond.

        Args:
            B: (C, D) right-hand side.
            null_space: the problem's `NullSpace`, where it is known already (needed under jit).

        Raises:
            ValueError, TypeError: if B does not fit the problem; a traced problem without `null_space`.
        """
        B = as_weights(B, self.problem, "B")
        kern = null_space_of(self.problem) if null_space is None else null_space
        B = kern.project(replicated(B))
        if self.shape[0] <= DENSE_LIMIT:
            return solve_on_complement(self.to_dense(), B, complement_projectors(self.problem, kern))
        return _solve_cg(self.probabilities, self.W, self.problem, B, placement(self.problem), kern)


def bytes_of_dense(C: int, D: int, itemsize: int) -> int:
    """What the (C·D, C·D) matrix takes while it is made: itself, and the Grams of the pairs of classes."""
    return ((C * D) ** 2 + C * (C - 1) // 2 * (D * (D + 1) // 2)) * itemsize


def _refuse_too_large(H: HessianOperator) -> None:
    """Nothing where arrays are traced: what will be free when they are not is not known."""
    if is_traced(H.probabilities) or is_traced(H.problem.X):
        return
    n, needed = H.shape[0], bytes_of_dense(H.problem.C, H.problem.D, H.dtype.itemsize)
    if (free := shortage(needed, devices_of(H.problem.X))) is not None:
        remedy = "use what needs no matrix: H @ V, H.quadratic_form(V), H.diagonal(), H.block(i, j), H.solve(B)"
        raise cannot_fit("to_dense", f"the Hessian of {n:,} x {n:,} entries in {H.dtype}", needed, free, remedy)


def _typed(V: Any, problem: Problem) -> Array:
    """A flat or multi-column V in the problem's dtype, by the rule of `as_weights`."""
    if isinstance(V, jax.Array):
        if V.dtype != problem.dtype:
            raise TypeError(
                f"V: a JAX array of dtype {V.dtype}, but the problem's dtype is {problem.dtype}. "
                f"Use V.astype('{problem.dtype}')."
            )
        return V
    return jnp.asarray(V, problem.dtype)


def hessian(W: Any, problem: Problem) -> HessianOperator:
    """The Hessian of the loss at W as an operator: products, dense form, blocks, diagonal, trace, solve (S4, S21).

    Args:
        W: (C, D) weights.
        problem: the data.

    Raises:
        ValueError, TypeError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> js.hessian(np.zeros((2, 2), dtype="float32"), problem).to_dense().diagonal().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    W = as_weights(W, problem)
    return HessianOperator(W, problem, _probabilities(W, problem, placement(problem)))
