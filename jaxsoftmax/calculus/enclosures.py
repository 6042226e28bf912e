"""Rigorous eigenvalue and singular-value bounds in plain float64: approximate factors, enclosed residuals (for S7).

Every bound holds whatever LAPACK returned: γ_k = k u/(1 - k u) bounds the rounding of a sum of k terms in any order,
and results are rounded outwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from jaxsoftmax.calculus.dependence import dependent_columns, merged_columns

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


class SingularValues(NamedTuple):
    """Rigorous: `lower` ≤ σ_min⁺ (0.0: none proved), σ_max ≤ `upper`; whether `lower` > 0 proves full column rank."""

    lower: float
    upper: float
    full_column_rank: bool


def nonzero_singular_value_bounds(X: np.ndarray, s: np.ndarray) -> SingularValues:
    """Rigorous bounds for the nonzero singular values of diag(√s) X, s > 0, float64.

    Columns that are exactly proportional are merged (`dependence.merged_columns`), which changes no nonzero singular
    value. Where the rest are dependent, columns that are proved to be combinations of the others are dropped
    (`dependence.dependent_columns`): XXᵀ loses a positive semi-definite part and no rank, so σ_min⁺ does not grow.
    σ_min⁺ is bounded from the Gram matrix as it stands and from that of columns brought near norm 1
    (`_scaled_lower_bound`), which differences of units do not disturb.
    """
    columns = X.shape[1]
    X, weight = merged_columns(X[:, np.any(X != 0, axis=0)])  # a column of zeros changes no nonzero singular value
    N, D = X.shape
    if D == 0:
        return SingularValues(0.0, 0.0, False)
    # Powers of two keep the squares in range and change nothing else.
    scale = int(np.frexp(np.max(np.abs(X)))[1])
    A = np.ldexp(X, -scale) * (np.sqrt(s)[:, None] * weight)
    gram = A.T @ A if D <= N else A @ A.T
    # Each entry errs by at most γ_{N+8} |A|ᵀ|A| (the square root and the products included), so the matrix by that
    # times ‖A‖_F²; computed ‖A‖_F² errs by γ itself, which UP and the γ-factor cover.
    frobenius = float(np.sum(A * A)) * (1 + gamma(N * D + 8))
    error = gamma(max(N, D) + 10) * frobenius + N * D * np.finfo(np.float64).tiny
    lower, upper = symmetric_eigenvalue_bounds(gram)
    low, high = math.sqrt(max(0.0, (lower - error) * DOWN)) * DOWN, math.sqrt((upper + error) * UP) * UP
    if 1 < D <= N:
        low = max(low, _scaled_lower_bound(A))
        if low == 0.0:
            dropped = dependent_columns(X)
            if len(dropped):
                A = np.delete(A, dropped, axis=1)
                low, D = _scaled_lower_bound(A), A.shape[1]
    # `weight` stands for √g within 2^-50 of itself (`merged_columns`).
    low, high = low * (1 - 2.0**-50) * DOWN, high * (1 + 2.0**-50) * UP
    return SingularValues(float(np.ldexp(low, scale)), float(np.ldexp(high, scale)), columns == D <= N and low > 0)


def _scaled_lower_bound(A: np.ndarray) -> float:
    """A lower bound for σ_min of A, N x D, N ≥ D, of full column rank; 0.0 when none could be proved.

    Write A = B P with P a diagonal of powers of two and columns of B of norm near 1, and let G be the computed BᵀB,
    ‖BᵀB − G‖ ≤ e. If G ⪰ m I with m > e then BᵀB ⪰ (1 − e/m) G, so AᵀA ⪰ (1 − e/m) P G P, whose smallest eigenvalue
    is 1/‖P⁻¹G⁻¹P⁻¹‖. For any K near G⁻¹ and F = I − G K we have G⁻¹ = K (I − F)⁻¹, hence

        P⁻¹G⁻¹P⁻¹ = (P⁻¹K P⁻¹)(I − P F P⁻¹)⁻¹,  ‖P⁻¹G⁻¹P⁻¹‖ ≤ ‖P⁻¹K P⁻¹‖ / (1 − ‖P F P⁻¹‖).

    All three losses are relative: a column in small units costs nothing.
    """
    N, D = A.shape
    norms = np.sqrt(np.sum(A * A, axis=0))
    if not np.all(norms > 2.0**-500):
        return 0.0
    exponent = np.frexp(norms)[1].astype(int)
    B = np.ldexp(A, -exponent)
    G = B.T @ B
    G = (G + G.T) / 2
    # As in `nonzero_singular_value_bounds`; B has the relative errors of A, and the average adds one rounding.
    frobenius = float(np.sum(B * B)) * (1 + gamma(N * D + 8))
    error = (gamma(N + 12) * frobenius + N * D * np.finfo(np.float64).tiny) * UP
    floor, _ = symmetric_eigenvalue_bounds(G)
    if not floor > error * UP:
        return 0.0
    K = np.linalg.inv(G)
    down, up = np.ldexp(1.0, -exponent), np.ldexp(1.0, exponent)
    N_ = K * down[:, None] * down[None, :]
    middle = (N_ + N_.T) / 2
    _, top = symmetric_eigenvalue_bounds(middle)
    top = (top + float(np.linalg.norm(N_ - middle)) * (1 + gamma(D * D))) * UP
    left, right = np.abs(G) * up[:, None], np.abs(K) * down[None, :]
    residual = (np.eye(D) - G @ K) * up[:, None] * down[None, :]
    f = float(np.linalg.norm(residual)) + gamma(D + 4) * (float(np.linalg.norm(left @ right)) + D)
    f = f * (1 + gamma(D * D + D)) * UP
    if not (f < 1 and 0 < top < math.inf):
        return 0.0
    square = (1 - error / floor * UP) * (1 - f) / top * (1 - 16 * UNIT_ROUNDOFF)
    return math.sqrt(square) * DOWN if square > np.finfo(np.float64).tiny else 0.0
