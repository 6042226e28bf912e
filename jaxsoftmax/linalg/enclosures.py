"""Rigorous eigenvalue and singular-value bounds in plain float64: approximate factors, enclosed residuals (for S7).

Every bound holds whatever LAPACK returned: γ_k = k u/(1 - k u) bounds the rounding of a sum of k terms in any order,
and results are rounded outwards.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.linalg.exact_rank import dependent_columns, merged_columns

UNIT_ROUNDOFF = 2.0**-53
UP, DOWN = 1 + 8 * UNIT_ROUNDOFF, 1 - 8 * UNIT_ROUNDOFF
# exp and log are good to an ulp or two in practice, not by proof: this covers them and the few operations around them.
EXP_SLACK = 2.0**-40


def normal_or_zero(x: Any) -> Any:
    """x >= 0 with subnormal numbers lowered to 0: below the smallest normal, a factor DOWN need not round down."""
    return np.where(x < np.finfo(np.float64).tiny, 0.0, x)


def gamma(k: int) -> float:
    """γ_k = k u/(1 - k u), rounded up."""
    return k * UNIT_ROUNDOFF / (1 - k * UNIT_ROUNDOFF) * UP


def symmetric_eigenvalue_bounds(M: np.ndarray) -> tuple[float, float]:
    """Rigorous (lower, upper) for the eigenvalues of a symmetric float64 matrix, whatever `eigh` returned.

    With any V and diagonal D, M = V D Vᵀ + E gives λ_max ≤ max(D, 0)(1 + δ) + ‖E‖, and likewise below, where
    δ ≥ ‖VᵀV - I‖. Both norms are bounded by Frobenius norms of the computed residuals plus γ-terms for the products in
    them; the last subtraction and the norm of n² entries err by γ_(n²) and a few u relative. An entry of V D Vᵀ takes
    n + 1 roundings; γ_(n+4) leaves one for entries of M that were rounded themselves, u‖M‖ <= u Σ|D|‖v‖².
    """
    n = M.shape[0]
    if n == 0:
        return 0.0, 0.0
    values, V = np.linalg.eigh(M)
    column = np.sum(V * V, axis=0) * (1 + gamma(n + 1))
    norm = 1 + gamma(n * n)
    delta = (float(np.linalg.norm(V.T @ V - np.eye(n))) * norm + gamma(n + 2) * float(np.sum(column))) * UP
    residual = np.linalg.norm(M - (V * values) @ V.T) * norm
    rounding = gamma(n + 4) * float(np.sum(np.abs(values) * column))
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

    Columns that are exactly proportional are merged (`exact_rank.merged_columns`), which changes no nonzero singular
    value. For σ_min⁺ see `_scaled_lower_bound`; with fewer samples than columns the Gram matrix of the rows serves.
    """
    columns = X.shape[1]
    X, weight = merged_columns(X[:, np.any(X != 0, axis=0)])  # a column of zeros changes no nonzero singular value
    N, D = X.shape
    if D == 0:
        return SingularValues(0.0, 0.0, False)
    A, scale = _weighted(X, s, weight)
    low, high = _from_gram(A)
    full = D == columns and D <= N
    if 1 < D <= N:
        low, dropped = _scaled_lower_bound(A, X)
        full = full and not dropped
    return SingularValues(_outward(low, scale, DOWN), _outward(high, scale, UP), full and low > 0)


def largest_singular_value_bound(X: np.ndarray, s: np.ndarray) -> float:
    """The upper bound of `nonzero_singular_value_bounds` alone, at less cost."""
    X = X[:, np.any(X != 0, axis=0)]
    if X.shape[1] == 0:
        return 0.0
    A, scale = _weighted(X, s, np.ones(X.shape[1]))
    return _outward(_from_gram(A)[1], scale, UP)


def smallest_singular_value_bound(X: np.ndarray, s: np.ndarray) -> float:
    """The lower bound of `nonzero_singular_value_bounds` alone, at less cost."""
    X, weight = merged_columns(X[:, np.any(X != 0, axis=0)])
    N, D = X.shape
    if D == 0:
        return 0.0
    A, scale = _weighted(X, s, weight)
    low = _scaled_lower_bound(A, X)[0] if 1 < D <= N else _from_gram(A)[0]
    return _outward(low, scale, DOWN)


def _weighted(X: np.ndarray, s: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, int]:
    """diag(√s) X diag(weight) divided by a power of two that keeps squares in range, and its exponent."""
    scale = int(np.frexp(np.max(np.abs(X)))[1])
    return np.ldexp(X, -scale) * np.sqrt(s)[:, None] * weight, scale


def _outward(value: float, scale: int, direction: float) -> float:
    """The power of two comes back; `direction`, UP or DOWN, covers 3u of `weight` (`merged_columns`) and a product."""
    return float(np.ldexp(value * direction, scale))


def _gram_error(A: np.ndarray) -> float:
    """‖computed − exact‖ of AᵀA or AAᵀ for `_weighted` A; each entry errs by at most γ_{N+12} |A|ᵀ|A|.

    The square root, the products and a symmetrising average are included, and the computed ‖A‖_F² errs by γ itself.
    """
    N, D = A.shape
    frobenius = float(np.sum(A * A)) * (1 + gamma(N * D + 8))
    return (gamma(max(N, D) + 12) * frobenius + N * D * np.finfo(np.float64).tiny) * UP


def _from_gram(A: np.ndarray) -> tuple[float, float]:
    """(lower, upper) for the singular values of A from the smaller of its Gram matrices; lower 0.0 when none."""
    N, D = A.shape
    lower, upper = symmetric_eigenvalue_bounds(A.T @ A if D <= N else A @ A.T)
    error = _gram_error(A)
    return math.sqrt(max(0.0, (lower - error) * DOWN)) * DOWN, math.sqrt((upper + error) * UP) * UP


def _scaled_lower_bound(A: np.ndarray, X: np.ndarray) -> tuple[float, bool]:
    """A lower bound for σ_min⁺ of A, N ≥ D (0.0: none proved), and whether columns were dropped.

    Write A = B P with P a diagonal of powers of two and columns of B of norm near 1, and let G be the computed BᵀB,
    ‖BᵀB − G‖ ≤ e. If G is singular to rounding, columns proved to be combinations of the others in the data X, whose
    rows and columns A scales, are dropped (`exact_rank.dependent_columns`): AAᵀ loses a positive semi-definite part
    and no rank, so σ_min⁺ does not grow. If then G ⪰ m I with m > e, AᵀA ⪰ (1 − e/m) P G P, whose smallest
    eigenvalue is 1/λ, λ = λ_max(P⁻¹G⁻¹P⁻¹), say at the unit vector v. For any K near G⁻¹ and F = I − G K we have
    K = G⁻¹(I − F), so vᵀ(P⁻¹K P⁻¹)v = λ (1 − vᵀ(P F P⁻¹)v), hence

        λ ≤ λ_max(½(P⁻¹K P⁻¹ + its transpose)) / (1 − ‖P F P⁻¹‖).

    All three losses are relative: a column in small units costs nothing.
    """
    norms = np.sqrt(np.sum(A * A, axis=0))
    if not np.all(norms > 2.0**-500):
        return 0.0, False
    exponent = np.frexp(norms)[1].astype(int)
    B = np.ldexp(A, -exponent)
    G = B.T @ B
    G = (G + G.T) / 2
    error = _gram_error(B)
    floor, _ = symmetric_eigenvalue_bounds(G)
    dropped = np.zeros(0, int)
    if not floor > error * UP:
        dropped = dependent_columns(X, G)
        keep = np.setdiff1d(np.arange(len(G)), dropped)
        if not (len(dropped) and len(keep)):
            return 0.0, False
        G, exponent = G[np.ix_(keep, keep)], exponent[keep]
        floor, _ = symmetric_eigenvalue_bounds(G)
        if not floor > error * UP:
            return 0.0, True
    return _from_scaled_gram(G, exponent, error / floor * UP), len(dropped) > 0


def _from_scaled_gram(G: np.ndarray, exponent: np.ndarray, lost: float) -> float:
    """√ of a lower bound for (1 − lost) λ_min(P G P), P = diag(2^exponent), as derived in `_scaled_lower_bound`."""
    D = len(G)
    K = np.linalg.inv(G)
    down, up = np.ldexp(1.0, -exponent), np.ldexp(1.0, exponent)
    inverse = K * down[:, None] * down[None, :]
    if not np.all(np.isfinite(inverse)):
        return 0.0
    middle = (inverse + inverse.T) / 2
    top = symmetric_eigenvalue_bounds(middle)[1] * UP
    # The last subtraction errs by u relative, which the factor below covers.
    residual = (np.eye(D) - G @ K) * up[:, None] * down[None, :]
    size = float(np.linalg.norm((np.abs(G) * up[:, None]) @ (np.abs(K) * down[None, :])))
    f = (float(np.linalg.norm(residual)) + gamma(D + 4) * size) * (1 + gamma(D * D + D)) * UP
    if not (f < 1 and 0 < top < math.inf):
        return 0.0
    square = (1 - lost) * (1 - f) / top * (1 - 16 * UNIT_ROUNDOFF)
    return math.sqrt(square) * DOWN if square > np.finfo(np.float64).tiny else 0.0
