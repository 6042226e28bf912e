"""S19: the fixed matrix that majorises every Hessian of a problem, and its pseudo-inverse applied to gradients.

H(W) ⪯ ½ (I − **11**ᵀ/C) ⊗ XᵀSX for every W (S7a), so with M the matrix on the right

    L(W + V) <= L(W) + ⟨∇L, V⟩ + ½⟨V, MV⟩,

which V = −M⁺∇L = −2 ∇L (XᵀSX)⁺ minimises. Penalties add their own bounds (S21): α on the columns that L2 holds, αγ on
those of log-cosh, γ²/2 for the self-regulariser (on {**1**ᵀV = 0} only, like the data). Altogether M is

    on {1ᵀV = 0}:  V ↦ V (½ XᵀSX + A + ½γ²I);    on the gauge {1vᵀ}:  v ↦ v A,  A = diag(α + αγ) on penalised columns,

of which only two (D, D) inverses are needed. λ_min(M⁺H) >= 2 min_n λ₂(S(y_n)) whatever cond(X) is.

Guarded by `tests/training/methods/test_methods.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.moments import moments
from jaxsoftmax.calculus.loss.null_space import FreeDirections, NullSpace
from jaxsoftmax.calculus.loss.penalty_sum import holding, sample_scales
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.linalg.definite_inverse import definite_inverse
from jaxsoftmax.linalg.products import PRECISION
from jaxsoftmax.problem.problem import Problem

Array = jax.Array


class Majorant(NamedTuple):
    """M⁺ as arrays: `inverse` in features divided by `scale` (D,), and `gauge` (D,), the diagonal of A⁺.

    `inverse` is one (D, D) matrix for all classes, or (C, D, D), one a class (`class_block_inverses`).
    """

    scale: Any
    inverse: Any
    gauge: Any


CERTAIN = 1e3  # times what rounding may have changed: an eigenvalue so large is known to a thousandth


def _scaled_matrix(problem: Problem, extra: np.ndarray) -> tuple[np.ndarray, float]:
    """½ XᵀSX + diag(extra) in scaled features, and what rounding may have changed its eigenvalues by."""
    found, scale = moments(problem), feature_scale(problem)
    ratio = found.scale / scale
    M = 0.5 * found.gram * ratio * ratio[:, None] + np.diag(extra / scale**2)
    return M, (found.error_bound + problem.D * float(np.finfo(float).eps)) * float(np.trace(M))


def _rows(problem: Problem, kern: NullSpace | FreeDirections, extra: np.ndarray) -> np.ndarray:
    """B (rank, D) with (½ XᵀSX + diag(extra))⁺ = (B/scale)ᵀ(B/scale), float64.

    From the eigenvalues of the Gram matrix in features scaled by powers of two, as many as the kernel says; where its
    rounding may have changed the smallest of them by a thousandth, from the singular values of the rows themselves.
    """
    scale, null = feature_scale(problem), np.asarray(kern.null, np.float64)
    rank = problem.D - null.shape[1]
    M, doubt = _scaled_matrix(problem, extra)
    values, vectors = np.linalg.eigh(M)
    values, vectors = values[problem.D - rank :], vectors[:, problem.D - rank :]
    if rank and values[0] < CERTAIN * doubt:
        values, vectors = _from_the_rows(problem, scale, extra, rank)
    rows = vectors.T / np.sqrt(values)[:, None]
    if null.shape[1]:
        # Between projectors on the row space a generalised inverse becomes the pseudo-inverse; in scaled features the
        # projector v -> v (I − N Nᵀ) reads v -> v Σ⁻¹(I − N Nᵀ)Σ.
        rows = rows - ((rows / scale) @ null) @ (null.T * scale)
    return rows


def _certain_inverse(problem: Problem, extra: np.ndarray) -> np.ndarray | None:
    """(½ XᵀSX + diag(extra))⁻¹ in scaled features by Cholesky, a tenth of the cost; None where rounding may matter.

    1/‖M⁻¹‖_F is never above the smallest eigenvalue.
    """
    M, doubt = _scaled_matrix(problem, extra)
    inverse = definite_inverse(M)
    certain = inverse is not None and CERTAIN * doubt * float(np.linalg.norm(inverse)) <= 1
    return inverse if certain else None


def _from_the_rows(problem: Problem, scale: np.ndarray, extra: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The same eigenvalues and vectors by a QR and an SVD: XᵀSX, with the square of the condition, is not formed."""
    X, s = np.asarray(problem.X).astype(np.float64), np.asarray(problem.sample_weight).astype(np.float64)
    parts = [X[s > 0] * np.sqrt(0.5 * s[s > 0])[:, None]]
    if np.any(extra > 0):
        parts.append(np.diag(np.sqrt(extra)))
    _, sigma, Vt = np.linalg.svd(np.linalg.qr(np.vstack(parts) / scale, mode="r"), full_matrices=False)
    return sigma[:rank] ** 2, Vt[:rank].T


def majorant(problem: Problem, kern: NullSpace | FreeDirections) -> Majorant:
    """M⁺ of a concrete problem (S19, S21), computed in float64 on the host."""
    held = sum((p.curvature_bound() * columns for p, columns in holding(problem)), np.zeros(problem.D))
    extra = sum(0.5 * float(gamma) ** 2 for gamma in sample_scales(problem))
    inverse = None if kern.null.shape[1] else _certain_inverse(problem, held + extra)
    if inverse is None:
        rows = _rows(problem, kern, held + extra)
        inverse = rows.T @ rows
    gauge = np.divide(1.0, held, out=np.zeros(problem.D), where=held > 0)
    return Majorant(*(part.astype(problem.dtype) for part in (feature_scale(problem), inverse, gauge)))


def whitening(problem: Problem, kern: NullSpace | FreeDirections) -> np.ndarray:
    """A (rank, D) with AᵀA = (½ XᵀSX)⁺: the features X Aᵀ have ½ (XAᵀ)ᵀS(XAᵀ) = I, and W = U A maps weights back (S19).

    With whitened features the condition of the Hessian is at most 1/(2 min_n λ₂(S(y_n))), whatever cond(X) was.
    """
    return _rows(problem, kern, np.zeros(problem.D)) / feature_scale(problem)


def apply_inverse(M: Majorant, G: Array) -> Array:
    """M⁺ G for G (C, D): the classes' mean by A⁺, the rest by (½ XᵀSX + A + ½γ²I)⁺; the result lies in 𝒦⊥."""
    mean = jnp.mean(G, axis=0, keepdims=True)
    rest = (G - mean) / M.scale
    if M.inverse.ndim == 3:
        rest = jnp.einsum("cd,cde->ce", rest, M.inverse, precision=PRECISION) / M.scale
        rest = rest - jnp.mean(rest, axis=0, keepdims=True)
    else:
        rest = jnp.matmul(rest, M.inverse, precision=PRECISION) / M.scale
    return rest + mean * M.gauge
