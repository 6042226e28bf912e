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

from jaxsoftmax.calculus.loss.null_space import NullSpace
from jaxsoftmax.calculus.loss.penalty_sum import holding, sample_scales
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.linalg.products import PRECISION
from jaxsoftmax.problem.problem import Problem

Array = jax.Array


class Majorant(NamedTuple):
    """M⁺ as arrays: `inverse` (D, D) in features divided by `scale` (D,), and `gauge` (D,), the diagonal of A⁺."""

    scale: Any
    inverse: Any
    gauge: Any


def _rows(problem: Problem, kern: NullSpace, extra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(scale, B) with (½ XᵀSX + diag(extra))⁺ = (B/scale)ᵀ(B/scale), B (rank, D), float64, by a QR and an SVD.

    The features are first scaled by powers of two, and the singular values kept are as many as the kernel says: XᵀSX
    itself, with the square of the condition number, is never formed.
    """
    X, s = np.asarray(problem.X).astype(np.float64), np.asarray(problem.sample_weight).astype(np.float64)
    scale, live = np.asarray(feature_scale(problem), np.float64), s > 0
    parts = [X[live] * np.sqrt(0.5 * s[live])[:, None]]
    if np.any(extra > 0):
        parts.append(np.diag(np.sqrt(extra)))
    R = np.linalg.qr(np.vstack(parts) / scale, mode="r")
    _, sigma, Vt = np.linalg.svd(R, full_matrices=False)
    null = np.asarray(kern.null, np.float64)
    rank = problem.D - null.shape[1]
    rows = Vt[:rank] / sigma[:rank, None]
    if null.shape[1]:
        # Between projectors on the row space a generalised inverse becomes the pseudo-inverse; in scaled features the
        # projector v -> v (I − N Nᵀ) reads v -> v Σ⁻¹(I − N Nᵀ)Σ.
        rows = rows - ((rows / scale) @ null) @ (null.T * scale)
    return scale, rows


def majorant(problem: Problem, kern: NullSpace) -> Majorant:
    """M⁺ of a concrete problem (S19, S21), computed in float64 on the host."""
    held = sum((p.curvature_bound() * columns for p, columns in holding(problem)), np.zeros(problem.D))
    extra = sum(0.5 * float(gamma) ** 2 for gamma in sample_scales(problem))
    scale, rows = _rows(problem, kern, held + extra)
    gauge = np.divide(1.0, held, out=np.zeros(problem.D), where=held > 0)
    return Majorant(*(part.astype(problem.dtype) for part in (scale, rows.T @ rows, gauge)))


def whitening(problem: Problem, kern: NullSpace) -> np.ndarray:
    """A (rank, D) with AᵀA = (½ XᵀSX)⁺: the features X Aᵀ have ½ (XAᵀ)ᵀS(XAᵀ) = I, and W = U A maps weights back (S19).

    With whitened features the condition of the Hessian is at most 1/(2 min_n λ₂(S(y_n))), whatever cond(X) was.
    """
    scale, rows = _rows(problem, kern, np.zeros(problem.D))
    return rows / scale


def apply_inverse(M: Majorant, G: Array) -> Array:
    """M⁺ G for G (C, D): the classes' mean by A⁺, the rest by (½ XᵀSX + A + ½γ²I)⁺; the result lies in 𝒦⊥."""
    mean = jnp.mean(G, axis=0, keepdims=True)
    rest = jnp.matmul((G - mean) / M.scale, M.inverse, precision=PRECISION) / M.scale
    return rest + mean * M.gauge
