"""Dense Newton on 𝒦⊥, globalised by generalised self-concordance (S8): every step is safe and none is searched for.

**Direction.** H V = −g has a solution because g ∈ 𝒦⊥, unique up to the kernel 𝒦 (S6). With Π the projector on 𝒦 and
τ > 0 the matrix H + τΠ is positive definite and has the same solution in 𝒦⊥. It is set up in features scaled by powers
of two, scaled to a unit diagonal (Jacobi), factored by Cholesky with a diagonal shift of CD·eps (raised hundredfold
until the factorisation runs to completion), refined once, and projected on 𝒦⊥.

**Step length.** Let φ(t) = L(W + tV), a = −φ'(0) = −⟨g, V⟩, b = φ''(0) = D²L[V, V] and ρ = max_n range(V x_n). By S8
φ''(t) <= e^{ρt} b, and integrating twice

    φ(t) <= φ(0) − a t + b (e^{ρt} − 1 − ρt)/ρ².

The right-hand side is least where a = b (e^{ρt} − 1)/ρ, that is at **t = log(1 + ρ a/b)/ρ** (t = a/b when ρ = 0). For
the exact Newton direction a = b = λ², so t = log(1 + ρ)/ρ, and the guaranteed decrease is
λ² [(1 + ρ) log(1 + ρ) − ρ]/ρ². Near a minimiser ρ → 0, t → 1 and the steps are Newton's; far away t ρ = log(1 + ρ), so
no step changes a log-odds by more than that. Since b is computed along the direction in hand, the guarantee holds for
an inexact direction too. The self-regulariser S21d is D more samples γ e_d; ρ includes the ranges of γV's columns.

Where no minimiser exists ρ does not go to 0, and the loss falls by a steady factor a step.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.derivatives import quadratic_form
from jaxsoftmax.calculus.gauge import Kernel, kernel
from jaxsoftmax.calculus.hessian import hessian
from jaxsoftmax.calculus.rates import sample_range
from jaxsoftmax.problem import Problem
from jaxsoftmax.training.loop import Point, Proposal

Array = jax.Array
PRECISION = jax.lax.Precision.HIGHEST

# Ending: the estimated gap λ²/2 is at most this part of the loss.
RELATIVE_GAP = 1e-12
# a/b = 1 for an exact direction; the cap keeps t finite where b underflows on data without a minimiser.
LARGEST_RATIO = 1e6


class NewtonConstants(NamedTuple):
    """Arrays of fixed shape, so that data of another rank do not retrace the loop.

    `scale` (D,) powers of two; `gauge` and `null` (D, D): projectors of the feature space, `…_scaled` the same
    subspaces in scaled features. The projector on 𝒦 is J ⊗ gauge + (I − J) ⊗ null, J = 11ᵀ/C.
    """

    scale: Any
    gauge: Any
    null: Any
    gauge_scaled: Any
    null_scaled: Any


@dataclasses.dataclass(frozen=True)
class Newton:
    """The method object for `loop.run`; it has no options."""

    name: ClassVar[str] = "newton"
    patience: ClassVar[int] = 5
    monotone: ClassVar[bool] = True

    def constants(self, problem: Problem) -> NewtonConstants:
        """Scales and kernel projectors, on the host in float64 (concrete data needed)."""
        return newton_constants(problem, kernel(problem), feature_scale(problem))

    def begin(self, point: Point, problem: Problem, constants: NewtonConstants) -> tuple[()]:
        """No state."""
        return ()

    def propose(self, point: Point, problem: Problem, constants: NewtonConstants, state: Any) -> Proposal:
        """The damped Newton step."""
        H = hessian(point.W, problem).to_dense()
        V = newton_direction(H, point.gradient, constants)
        a = -jnp.sum(point.gradient * V)
        b = quadratic_form(point.W, problem, V).astype(V.dtype)
        rho = jnp.asarray(sample_range(problem, V)).astype(V.dtype)
        t = damped_step(rho, a, b)
        small = 0.5 * a <= RELATIVE_GAP * jnp.maximum(jnp.abs(point.value), jnp.finfo(V.dtype).tiny)
        # `idle`: in low precision λ² may have a floor above that; a step that improved nothing has reached it.
        return Proposal(point.W + t * V, t, rho, a, small | (point.idle >= 1), state)


def damped_step(rho: Array, a: Array, b: Array) -> Array:
    """t = log(1 + ρ a/b)/ρ, the minimiser of S8's upper bound on φ (see the module docstring)."""
    ratio = jnp.clip(jnp.where(b > 0, a / jnp.where(b > 0, b, 1), LARGEST_RATIO), 0, LARGEST_RATIO)
    safe = jnp.where(rho > 0, rho, 1)
    return jnp.where(rho > 0, jnp.log1p(safe * ratio) / safe, ratio)


def guaranteed_decrease(rho: Array, a: Array, b: Array, t: Array) -> Array:
    """The decrease a t − b (e^{ρt} − 1 − ρt)/ρ² that S8 promises for a step t (see the module docstring)."""
    small = jnp.abs(rho * t) < 1e-3
    safe = jnp.where(small, 1, rho)
    closed = (jnp.expm1(safe * t) - safe * t) / safe**2
    series = t**2 * (0.5 + rho * t / 6 + (rho * t) ** 2 / 24)
    return a * t - b * jnp.where(small, series, closed)


def feature_scale(problem: Problem) -> np.ndarray:
    """Powers of two near the weighted root mean square of each column, float64; 1 for a column of zeros.

    Powers of two make every scaling exact. The root mean square, not the maximum: a feature that few samples have then
    gets curvature comparable with the others.
    """
    X, s = np.asarray(problem.X, np.float64), np.asarray(problem.sample_weight, np.float64)
    top = np.max(np.abs(np.where(s[:, None] > 0, X, 0)), axis=0, initial=0.0)
    unit = np.where(top > 0, top, 1.0)
    rms = unit * np.sqrt((s @ (X / unit) ** 2) / s.sum())
    return np.where(top > 0, np.exp2(np.round(np.log2(np.where(top > 0, rms, 1.0)))), 1.0)


def _projector(basis: np.ndarray) -> np.ndarray:
    """Orthogonal projector on the span of independent columns, (D, D): `v @ P` projects a row.

    As (B⁺)ᵀ Bᵀ, entry d of `v @ P` is a combination of row d of B: rows of very different size keep their own accuracy,
    so that a basis which the data annihilate in scaled features stays one when the scaling is undone.
    """
    if basis.shape[1] == 0:
        return np.zeros((basis.shape[0],) * 2)
    return np.linalg.pinv(basis).T @ basis.T


def _scaled_null_space(problem: Problem, scale: np.ndarray, dimension: int) -> np.ndarray:
    """(D, dimension) orthonormal basis of the null space of XΣ⁻¹ over the samples that take part."""
    X = np.asarray(problem.X, np.float64)[np.asarray(problem.sample_weight) > 0] / scale
    if X.shape[0] > X.shape[1]:
        X = np.asarray(np.linalg.qr(X, mode="r"))
    return np.linalg.svd(X, full_matrices=True)[2][problem.D - dimension :].T


def newton_constants(problem: Problem, k: Kernel, scale: np.ndarray) -> NewtonConstants:
    """Projectors for `newton_direction` in the problem's dtype; rows transform as v -> v·scale with the features."""
    gauge, m = np.asarray(k.gauge, np.float64), k.null.shape[1]
    null = _scaled_null_space(problem, scale, m) if m else np.zeros((problem.D, 0))
    parts = (
        scale,
        _projector(gauge),
        _projector(null / scale[:, None]),
        _projector(scale[:, None] * gauge),
        _projector(null),
    )
    return NewtonConstants(*(np.asarray(p, dtype=np.dtype(problem.dtype)) for p in parts))


def remove_kernel(V: Array, gauge: Array, null: Array) -> Array:
    """V minus its projection on 𝒦: the class mean loses its gauge part, the rest its part outside the row space."""
    mean = jnp.mean(V, axis=0, keepdims=True)
    rest = V - mean
    mean = mean - jnp.matmul(mean, gauge, precision=PRECISION)
    return mean + rest - jnp.matmul(rest, null, precision=PRECISION)


@jax.jit
def newton_direction(H: Array, gradient: Array, constants: NewtonConstants) -> Array:
    """V in 𝒦⊥ with H V = −gradient, from the dense (CD, CD) Hessian, row-major vec."""
    C, D = gradient.shape
    dtype = gradient.dtype
    n = C * D
    scale = constants.scale.astype(dtype)
    inverse = jnp.broadcast_to(1 / scale, (C, D)).reshape(n)
    A = H.astype(dtype) * inverse[:, None] * inverse[None, :]
    J = jnp.full((C, C), 1 / C, dtype)
    projector = jnp.kron(J, constants.gauge_scaled) + jnp.kron(jnp.eye(C, dtype=dtype) - J, constants.null_scaled)
    tau = jnp.trace(A) / n
    A = A + jnp.where(tau > 0, tau, 1) * projector.astype(dtype)
    diagonal = jnp.diagonal(A)
    jacobi = jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1))
    A = A * jacobi[:, None] * jacobi[None, :]
    rhs = -(gradient.reshape(n) * inverse * jacobi)
    eye = jnp.eye(n, dtype=dtype)

    def factor(jitter: Array) -> Array:
        return jnp.linalg.cholesky(A + jitter * eye, symmetrize_input=False)

    def incomplete(carry: tuple[Array, Array]) -> Array:
        return ~jnp.all(jnp.isfinite(carry[1])) & (carry[0] < 1)

    def retry(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        jitter = 100 * carry[0]
        return jitter, factor(jitter)

    jitter = jnp.asarray(n * jnp.finfo(dtype).eps, dtype)
    _, R = jax.lax.while_loop(incomplete, retry, (jitter, factor(jitter)))

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
        V = remove_kernel(V, constants.gauge.astype(dtype), constants.null.astype(dtype))
    return V
