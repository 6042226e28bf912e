"""S19: the fixed matrix that majorises every Hessian of a problem, and its pseudo-inverse applied to gradients.

H(W) ⪯ ½ (I − **11**ᵀ/C) ⊗ XᵀSX for every W (S7a), so with M the matrix on the right L(W + V) <= L(W) + ⟨∇L, V⟩ + ½⟨V, MV⟩,
which V = −M⁺∇L = −2 ∇L (XᵀSX)⁺ minimises. Penalties add their own bounds (S21): α on the columns that L2 holds, γ²/2 for
the self-regulariser (on {**1**ᵀV = 0} only, like the data). Per class-feature matrix this is

    on {1ᵀV = 0}:  V ↦ V (½ XᵀSX + P),  P = diag(α + γ²/2);    on the gauge {1vᵀ}:  v ↦ A v,  A = diag(α),

of which only two (D, D) inverses are needed. λ_min(M⁺H) >= 2 min_n λ₂(S(y_n)) whatever cond(X) is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax._products import PRECISION
from jaxsoftmax.calculus.gauge import Kernel
from jaxsoftmax.calculus.penalties import l2_columns
from jaxsoftmax.calculus.solve import feature_scale
from jaxsoftmax.problem import Problem
from jaxsoftmax.regularizers import L2, SelfRegularizer

Array = jax.Array


class Majorant(NamedTuple):
    """M⁺ as arrays: `inverse` (D, D) in features divided by `scale` (D,), and `gauge` (D,), the diagonal of A⁺."""

    scale: Any
    inverse: Any
    gauge: Any


def majorant(problem: Problem, kern: Kernel) -> Majorant:
    """M⁺ of a concrete problem (S19), computed in float64 on the host by a QR and an SVD of diag(√s) X.

    The features are first scaled by powers of two, and the singular values kept are as many as the kernel says: XᵀSX
    itself, with the square of the condition number, is never formed.
    """
    X, s = np.asarray(problem.X).astype(np.float64), np.asarray(problem.sample_weight).astype(np.float64)
    D, scale = problem.D, np.asarray(feature_scale(problem), np.float64)
    held, extra = np.zeros(D), np.zeros(D)
    for p in problem.regularizer:
        if isinstance(p, L2):
            held += float(p.alpha) * l2_columns(p, problem)
        elif isinstance(p, SelfRegularizer):
            extra += 0.5 * float(p.gamma) ** 2
    live = s > 0
    A = np.vstack([X[live] * np.sqrt(0.5 * s[live])[:, None], np.diag(np.sqrt(held + extra))]) / scale
    R = np.linalg.qr(A, mode="r")
    _, sigma, Vt = np.linalg.svd(R, full_matrices=False)
    null = np.asarray(kern.null, np.float64)
    rank = D - null.shape[1]
    rows = Vt[:rank] / sigma[:rank, None]
    if null.shape[1]:
        # Between projectors on the row space a generalised inverse becomes the pseudo-inverse; in scaled features the
        # projector v -> v (I − N Nᵀ) reads v -> v Σ⁻¹(I − N Nᵀ)Σ.
        rows = rows - ((rows / scale) @ null) @ (null.T * scale)
    gauge = np.divide(1.0, held, out=np.zeros(D), where=held > 0)
    dtype = problem.dtype
    return Majorant(*(part.astype(dtype) for part in (scale, rows.T @ rows, gauge)))


def apply_inverse(M: Majorant, G: Array) -> Array:
    """M⁺ G for G (C, D): the classes' mean by A⁺, the rest by (½ XᵀSX + P)⁺; the result lies in 𝒦⊥."""
    mean = jnp.mean(G, axis=0, keepdims=True)
    rest = jnp.matmul((G - mean) / M.scale, M.inverse, precision=PRECISION) / M.scale
    return rest + mean * M.gauge
