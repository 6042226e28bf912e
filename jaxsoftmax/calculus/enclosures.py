"""Rigorous eigenvalue and singular-value bounds in plain float64: approximate factors, enclosed residuals (for S7).

Every bound holds whatever LAPACK returned: γ_k = k u/(1 - k u) bounds the rounding of a sum of k terms in any order,
and results are rounded outwards.
"""

from __future__ import annotations

import math

import numpy as np

UNIT_ROUNDOFF = 2.0**-53
UP, DOWN = 1 + 8 * UNIT_ROUNDOFF, 1 - 8 * UNIT_ROUNDOFF


def gamma(k: int) -> float:
    """γ_k = k u/(1 - k u), rounded up."""
    return k * UNIT_ROUNDOFF / (1 - k * UNIT_ROUNDOFF) * UP


def symmetric_eigenvalue_bounds(M: np.ndarray) -> tuple[float, float]:
    """Rigorous (lower, upper) for the eigenvalues of a symmetric float64 matrix, whatever `eigh` returned.

    With any V and diagonal D, M = V D Vᵀ + E gives λ_max ≤ max(D, 0)(1 + δ) + ‖E‖, and likewise below, where
    δ ≥ ‖VᵀV - I‖. Both norms are bounded by Frobenius norms of the computed residuals plus γ-terms for computing them.
    """
    n = M.shape[0]
    if n == 0:
        return 0.0, 0.0
    values, V = np.linalg.eigh(M)
    column = np.sum(V * V, axis=0) * (1 + gamma(n + 1))
    delta = float(np.linalg.norm(V.T @ V - np.eye(n))) * UP + gamma(n + 2) * float(np.sum(column)) + n * UNIT_ROUNDOFF
    residual = np.linalg.norm(M - (V * values) @ V.T) * (1 + gamma(n * n))
    rounding = gamma(n + 4) * float(np.sum(np.abs(values) * column)) + UNIT_ROUNDOFF * np.linalg.norm(M) * UP
    slack = float(residual + rounding + n * np.finfo(np.float64).tiny) * UP
    top, bottom = float(values[-1]), float(values[0])
    upper = (max(top, 0.0) * (1 + delta) if top > 0 else top * max(0.0, 1 - delta)) + slack
    lower = (bottom * max(0.0, 1 - delta) if bottom > 0 else bottom * (1 + delta)) - slack
    return lower - abs(lower) * 4 * UNIT_ROUNDOFF, upper + abs(upper) * 4 * UNIT_ROUNDOFF


def nonzero_singular_value_bounds(X: np.ndarray, s: np.ndarray) -> tuple[float, float]:
    """Rigorous (lower for σ_min⁺ or 0.0, upper for σ_max) of diag(√s) X, float64."""
    X = X[:, np.any(X != 0, axis=0)]  # an all-zero column changes no nonzero singular value
    N, D = X.shape
    if D == 0:
        return 0.0, 0.0
    # A power of two keeps the squares in range and changes nothing else.
    scale = int(np.frexp(np.max(np.abs(X)))[1])
    X = np.ldexp(X, -scale)
    A = X * np.sqrt(s)[:, None]
    gram = A.T @ A if D <= N else A @ A.T
    # Each entry errs by at most γ_{N+4} |A|ᵀ|A| (the square root and the product included), so the matrix by that
    # times ‖A‖_F²; computed ‖A‖_F² errs by γ itself, which UP and the γ-factor cover.
    frobenius = float(np.sum(A * A)) * (1 + gamma(N * D + 4))
    error = gamma(max(N, D) + 6) * frobenius + N * D * np.finfo(np.float64).tiny
    lower, upper = symmetric_eigenvalue_bounds(gram)
    low, high = math.sqrt(max(0.0, (lower - error) * DOWN)) * DOWN, math.sqrt((upper + error) * UP) * UP
    return float(np.ldexp(low, scale)), float(np.ldexp(high, scale))
