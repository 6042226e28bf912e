"""Is a symmetric integer matrix positive semidefinite? Proved by a guessed factor and its exact residual (S15b)."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from jaxsoftmax.proof.exact_products import integer_product

__all__ = ["factor_shift", "is_semidefinite", "unit_exponents"]

_PLACES = 56  # binary places to which the entries of the factor are rounded


def factor_shift(n: int) -> float:
    """δ = n(n + 2) 2⁻⁵², above what a Cholesky factorisation of order n and unit diagonal can err in a row sum (S15).

    Example:
        >>> from jaxsoftmax.proof.definite import factor_shift
        >>> factor_shift(2) == 8 * 2.0**-52
        True
    """
    return n * (n + 2) * 2.0**-52


def unit_exponents(M: np.ndarray) -> np.ndarray:
    """Integers u with the diagonal of M[i, j] 2^-(u_i + u_j) in [1/4, 1], for positive integers on M's diagonal."""
    return np.array([-(-int(M[i, i]).bit_length() // 2) for i in range(len(M))])


def is_semidefinite(M: np.ndarray) -> bool:
    r"""Whether M ⪰ 0 could be proved, for a symmetric matrix of Python integers.

    With D = diag(2^-u) such that DMD has a diagonal in [1/4, 1], R̂ the Cholesky factor of DMD − δI in floating point,
    rounded to integers over 2⁵⁶, the remainder DMD − R̂R̂ᵀ is computed exactly, and is positive semidefinite because it
    is diagonally dominant. Nothing is assumed of the factorisation; δ only gives the remainder its diagonal.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.definite import is_semidefinite
        >>> M = np.array([[2, 1], [1, 2]], dtype=object)
        >>> is_semidefinite(M), is_semidefinite(M - np.diag([2, 2]).astype(object))
        (True, False)

    Source: S15b; Rump, Verification of positive definiteness, BIT 46 (2006).
    """
    n = len(M)
    if any(int(M[i, i]) <= 0 for i in range(n)):
        return n == 0
    u = unit_exponents(M)
    scaled = np.array([[int(v) / (1 << int(u[i] + u[j])) for j, v in enumerate(row)] for i, row in enumerate(M)])
    scaled[np.diag_indices(n)] -= factor_shift(n)
    try:
        factor = scipy.linalg.cholesky(scaled, lower=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return False
    if not np.isfinite(factor).all():
        return False
    R = np.rint(np.ldexp(factor, _PLACES)).astype(np.int64)
    product = integer_product(R, R.T).astype(object)
    # 2^(112 + 2w) (DMD − R̂R̂ᵀ) in integers, w the largest exponent.
    w = int(u.max())
    lift = np.array([_PLACES + w - int(k) for k in u], dtype=object)
    lifted = np.array([[int(v) << int(lift[i] + lift[j]) for j, v in enumerate(row)] for i, row in enumerate(M)])
    remainder = lifted.astype(object) - (product << 2 * w)
    diagonal = remainder[np.diag_indices(n)]
    return bool(all(2 * d >= total for d, total in zip(diagonal, abs(remainder).sum(axis=1), strict=True)))
