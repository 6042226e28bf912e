"""From curvature between pairs of classes to curvature of all: the graph Laplacian's second eigenvalue (S14).

Guarded by `tests/proof/minimum/test_curvature.py`.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from jaxsoftmax.proof.exact.decimals import dyadic_below

__all__ = ["laplacian_bound"]


def laplacian_bound(C: int, edges: list[tuple[int, int, Fraction]]) -> Fraction | None:
    """μ with Σ m_ab (v_a − v_b)² >= μ ‖v‖² where 1ᵀv = 0, for edges (a, b, m_ab) on C vertices; None if none is found.

    On v_C = 0 that is L' − μ (I − 11ᵀ/C)' ⪰ 0 for the leading C − 1 rows and columns, which is decided exactly.

    Example:
        >>> from fractions import Fraction
        >>> from jaxsoftmax.proof.minimum.class_graph import laplacian_bound
        >>> 1.9 < laplacian_bound(2, [(0, 1, Fraction(1))]) < 2
        True

    Source: S14.
    """
    L = [[Fraction(0)] * C for _ in range(C)]
    for a, b, m in edges:
        for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            L[i][j] += sign * m
    mu = float(np.linalg.eigvalsh(np.array(L, dtype=np.float64))[1]) * (1 - 2.0**-8)
    for _ in range(8):
        if mu <= 0:
            return None
        exact = dyadic_below(mu)
        reduced = [[L[i][j] - exact * ((i == j) - Fraction(1, C)) for j in range(C - 1)] for i in range(C - 1)]
        if _is_positive_definite(reduced):
            return exact
        mu *= 0.9
    return None


def _is_positive_definite(M: list[list[Fraction]]) -> bool:
    """Whether M ≻ 0, decided exactly: elimination in fractions has positive pivots only."""
    M = [row[:] for row in M]
    for k in range(len(M)):
        if M[k][k] <= 0:
            return False
        for i in range(k + 1, len(M)):
            factor = M[i][k] / M[k][k]
            M[i] = [x - factor * y for x, y in zip(M[i], M[k], strict=True)]
    return True
