"""H V = B on 𝒦⊥ (S6): one dense Cholesky solve for Newton's direction, the pseudo-inverse and the end point.

The solution in 𝒦⊥ exists for B ∈ 𝒦⊥ and is unique. With Π the projector on 𝒦 and τ > 0 the matrix H + τΠ is positive
definite and has the same solution in 𝒦⊥. It is set up in features scaled by powers of two, scaled to a unit diagonal
(Jacobi), factored by Cholesky with a diagonal shift of CD·eps (raised hundredfold until the factorisation runs to
completion), refined once, and the solution is projected on 𝒦⊥.

Guarded by `tests/training/methods/test_newton.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.moments import moments
from jaxsoftmax.calculus.loss.null_space import FreeDirections, NullSpace
from jaxsoftmax.calculus.loss.penalty_sum import penalised_columns
from jaxsoftmax.linalg.products import PRECISION
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import is_traced

Array = jax.Array


class ComplementProjectors(NamedTuple):
    """What the solve needs to know of 𝒦, as arrays of fixed shape: data of another rank do not retrace.

    `scale` (D,) powers of two; `gauge` and `null` (D, D): projectors of the feature space, `…_scaled` the same
    subspaces in scaled features. The projector on 𝒦 is J ⊗ gauge + (I − J) ⊗ null, J = 11ᵀ/C.
    """

    scale: Any
    gauge: Any
    null: Any
    gauge_scaled: Any
    null_scaled: Any


def feature_scale(problem: Problem) -> Any:
    """Powers of two σ_d near (Σ_n s_n x_nd²/Σs + a_d/Σs)^½, a_d the curvature of the penalties on its entries.

    1 for a column of zeros that no penalty holds. Powers of two make every scaling exact. The root mean square, not the
    maximum: a feature that few samples have then gets curvature comparable with the others; and with the penalties, for
    beside one a column in tiny units has the penalty's curvature. Float64 NumPy for concrete data, the compute dtype
    under jit.
    """
    if not any(is_traced(leaf) for leaf in jax.tree.leaves(problem)):
        found = moments(problem)
        with np.errstate(over="ignore"):
            held = np.sqrt(_held(problem, np.float64, np) / found.weight)
            return _power(np.where(found.plain.diagonal() > 0, found.scale, 0), held, np)
    s = problem.sample_weight
    X = jnp.where(s[:, None] > 0, jnp.asarray(problem.X, problem.dtype), 0)  # 0 times an overflowing square is NaN
    top = jnp.max(jnp.abs(X), axis=0, initial=0.0)
    unit = jnp.where(top > 0, top, 1.0)
    rms = unit * jnp.sqrt((s @ (X / unit) ** 2) / s.sum())
    held = jnp.sqrt(_held(problem, problem.dtype, jnp) / s.sum())
    return _power(jnp.where(top > 0, _nearest(rms, jnp), 0), held, jnp)


def _power(data: Any, held: Any, xp: Any) -> Any:
    """The power of two near (data² + held²)^½: `data` itself, a power of two, where `held` is below it; 1 for 0."""
    both = xp.hypot(data, held)
    return xp.where(both > 0, _nearest(both, xp), 1.0)


def _nearest(size: Any, xp: Any) -> Any:
    """The power of two nearest to positive numbers on a logarithmic scale; XLA's exp2 is none, for some integers."""
    one = xp.ones_like(size)
    return xp.ldexp(one, xp.round(xp.log2(xp.where(size > 0, size, 1))).astype(np.int32))


def _held(problem: Problem, dtype: Any, xp: Any) -> Any:
    """(D,) what the penalties on entries add to the curvature of each column where it is largest (S21a, b).

    Not the self-regulariser's: its curvature vanishes where one class dominates a column.
    """
    total = xp.zeros(problem.X.shape[1], dtype)
    for p in problem.regularizer:
        if p.sample_scale is None:
            slope = 1 if p.concordance is None else 0.5 * xp.asarray(p.concordance, dtype)
            total = total + xp.asarray(p.strength, dtype) * slope * xp.asarray(penalised_columns(p, problem), dtype)
    return total


def projector(basis: Any, xp: Any) -> Any:
    """Orthogonal projector on the span of independent columns, (D, D): `v @ P` projects a row.

    As (B⁺)ᵀ Bᵀ, entry d of `v @ P` is a combination of row d of B: rows of very different size keep their own accuracy,
    so that a basis which the data annihilate in scaled features stays one when the scaling is undone.
    """
    if basis.shape[1] == 0:
        return xp.zeros((basis.shape[0],) * 2, basis.dtype)
    if basis.shape[0] == basis.shape[1]:
        return xp.eye(len(basis), dtype=basis.dtype)
    return xp.linalg.pinv(basis).T @ basis.T


def complement_projectors(problem: Problem, kern: NullSpace | FreeDirections) -> ComplementProjectors:
    """The projectors of a problem's kernel, in its dtype; rows transform as v -> v·scale with the features."""
    scale = feature_scale(problem)
    xp = np if isinstance(scale, np.ndarray) else jnp
    gauge, null = xp.asarray(kern.gauge, scale.dtype), xp.asarray(kern.null, scale.dtype)
    column = scale[:, None]
    parts = (
        scale,
        projector(gauge, xp),
        projector(null, xp),
        projector(column * gauge, xp),
        projector(column * null, xp),
    )
    return ComplementProjectors(*(xp.asarray(part, dtype=problem.dtype) for part in parts))


def remove_kernel(V: Array, gauge: Array, null: Array) -> Array:
    """V minus its projection on 𝒦: the class mean loses its gauge part, the rest its part outside the row space."""
    mean = jnp.mean(V, axis=0, keepdims=True)
    rest = V - mean
    mean = mean - jnp.matmul(mean, gauge, precision=PRECISION)
    return mean + rest - jnp.matmul(rest, null, precision=PRECISION)


@jax.jit
def solve_on_complement(H: Array, B: Array, projectors: ComplementProjectors) -> Array:
    """The V in 𝒦⊥ with H V = B, for B (C, D) in 𝒦⊥, from the dense (CD, CD) Hessian, row-major vec (S6)."""
    C, D = B.shape
    dtype = B.dtype
    n = C * D
    scale = projectors.scale.astype(dtype)
    inverse = jnp.broadcast_to(1 / scale, (C, D)).reshape(n)
    A = H.astype(dtype) * inverse[:, None] * inverse[None, :]
    J = jnp.full((C, C), 1 / C, dtype)
    projector = jnp.kron(J, projectors.gauge_scaled) + jnp.kron(jnp.eye(C, dtype=dtype) - J, projectors.null_scaled)
    tau = jnp.trace(A) / n
    A = A + jnp.where(tau > 0, tau, 1) * projector.astype(dtype)
    diagonal = jnp.diagonal(A)
    jacobi = jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1))
    A = A * jacobi[:, None] * jacobi[None, :]
    rhs = B.reshape(n) * inverse * jacobi
    eye = jnp.eye(n, dtype=dtype)

    def factor(jitter: Array) -> Array:
        return jnp.linalg.cholesky(A + jitter * eye, symmetrize_input=False)

    def incomplete(carry: tuple[Array, Array]) -> Array:
        return ~jnp.all(jnp.isfinite(carry[1])) & (carry[0] < 1)

    def retry(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        jitter = 100 * carry[0]
        return jitter, factor(jitter)

    # From a hundredth of the first shift, as if it had failed: so the factor is compiled once.
    jitter = jnp.asarray(n * jnp.finfo(dtype).eps / 100, dtype)
    _, R = jax.lax.while_loop(incomplete, retry, (jitter, jnp.full_like(A, jnp.nan)))

    def solve(v: Array) -> Array:
        return jax.scipy.linalg.cho_solve((R, True), v)

    u = solve(rhs)
    # One refinement removes the shift's effect to first order; the shifted inverse contracts the error in every
    # direction.
    u = u + solve(rhs - jnp.matmul(A, u, precision=PRECISION))
    V = (u * jacobi * inverse).reshape(C, D)
    # Twice: where units differ much, V may lie almost wholly in 𝒦, and the first pass leaves eps times its length
    # there.
    for _ in range(2):
        V = remove_kernel(V, projectors.gauge.astype(dtype), projectors.null.astype(dtype))
    return V
