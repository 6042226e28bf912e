"""Prove an integer matrix positive semidefinite: a factor guessed in floating point, its remainder exact (S15b)."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from jaxsoftmax.proof.exact.products import integer_bits, integer_product

__all__ = ["factor_shift", "proves_semidefinite", "scaled_floats", "unit_exponents"]

_PLACES = 56  # binary places to which the entries of the factor are rounded


def factor_shift(n: int) -> float:
    """δ = n min(n + 2, 16) 2⁻⁵²: what a Cholesky factorisation of order n and unit diagonal errs in a row sum (S15).

    Never more than n(n + 2) 2⁻⁵². Large ones err far less, for roundings do not add up: sixteen an entry are ample, and
    where they were not, a proof would fail, and nothing false be proved.

    Example:
        >>> from jaxsoftmax.proof.minimum.semidefinite import factor_shift
        >>> factor_shift(2) == 8 * 2.0**-52
        True
    """
    return n * min(n + 2, 16) * 2.0**-52


def unit_exponents(M: np.ndarray) -> np.ndarray:
    """Integers u with the diagonal of M[i, j] 2^-(u_i + u_j) in [1/4, 1], for positive integers on M's diagonal."""
    return np.array([-(-int(M[i, i]).bit_length() // 2) for i in range(len(M))])


def scaled_floats(M: np.ndarray, u: np.ndarray) -> np.ndarray:
    """M[i, j] 2^-(u_i + u_j) in float64, each entry rounded once or twice, for Python integers of any size.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.minimum.semidefinite import scaled_floats
        >>> scaled_floats(np.array([[3 * 4**700]], dtype=object), np.array([701]))
        array([[0.75]])
    """
    places = u[:, None] + u[None, :]
    excess = int(max(0, integer_bits(M) - 1000))  # bits beyond the range of a double
    cut = np.clip(places - 64, 0, None) if excess else np.zeros_like(places)
    small = M >> cut.astype(object) if excess else M
    if excess and integer_bits(small) > 1000:
        small = np.clip(small, -(1 << 1000), 1 << 1000)
    return np.ldexp(small.astype(np.float64), cut - places)


def proves_semidefinite(M: np.ndarray) -> bool:
    r"""Whether M ⪰ 0 could be proved, for a symmetric matrix of Python integers.

    With D = diag(2^-u) such that DMD has a diagonal in [1/4, 1], R̂ the Cholesky factor of DMD − δI in floating point,
    rounded to integers over 2⁵⁶, the remainder DMD − R̂R̂ᵀ is computed exactly, and is positive semidefinite because it
    is diagonally dominant. Nothing is assumed of the factorisation; δ only gives the remainder its diagonal.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.minimum.semidefinite import proves_semidefinite
        >>> M = np.array([[2, 1], [1, 2]], dtype=object)
        >>> proves_semidefinite(M), proves_semidefinite(M - np.diag([2, 2]).astype(object))
        (True, False)

    Source: S15b; Rump, Verification of positive definiteness, BIT 46 (2006).
    """
    n = len(M)
    if n == 0:
        return True
    if any(int(M[i, i]) <= 0 for i in range(n)):
        return False
    u = unit_exponents(M)
    scaled = scaled_floats(M, u)
    if not abs(scaled).max() <= 2.0:  # |m_ij| <= √(m_ii m_jj) fails
        return False
    scaled[np.diag_indices(n)] -= factor_shift(n)
    try:
        factor = scipy.linalg.cholesky(scaled, lower=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return False
    if not (abs(factor) < 4).all():  # NaN among them; no factor of a matrix with this diagonal
        return False
    R = np.rint(np.ldexp(factor, _PLACES)).astype(np.int64)
    product = integer_product(R, R.T).astype(object)
    # 2^(112 + 2w) (DMD − R̂R̂ᵀ) in integers, w the largest exponent.
    w = int(u.max())
    lift = (2 * (_PLACES + w) - u[:, None] - u[None, :]).astype(object)
    remainder = (M.astype(object) << lift) - (product << 2 * w)
    return bool((2 * remainder[np.diag_indices(n)] >= abs(remainder).sum(axis=1)).all())
