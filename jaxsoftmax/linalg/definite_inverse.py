"""The inverse of a positive definite matrix on the host, by Cholesky, or None where it is not definite to rounding.

Guarded by `tests/linalg/test_definite_inverse.py`.
"""

from __future__ import annotations

import numpy as np


def definite_inverse(M: np.ndarray) -> np.ndarray | None:
    """M⁻¹ of a symmetric float64 matrix (D, D), symmetric to the last bit; None where the factorisation fails.

    The diagonal is scaled to ones first (Jacobi), which costs little and is within a factor D of the best scaling.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.linalg.definite_inverse import definite_inverse
        >>> definite_inverse(np.array([[4.0, 0.0], [0.0, 0.25]])).tolist()
        [[0.25, 0.0], [0.0, 4.0]]
        >>> definite_inverse(np.array([[1.0, 2.0], [2.0, 1.0]])) is None
        True
    """
    from scipy.linalg import get_lapack_funcs  # costs 0.2 s

    factorise, invert = get_lapack_funcs(("potrf", "potri"), dtype=np.float64)
    diagonal = np.diagonal(M)
    if not (diagonal > 0).all():
        return None
    unit = 1 / np.sqrt(diagonal)
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves the doubles is refused at the end
        units = unit * unit[:, None]
        # LAPACK wants columns in a row: the transpose has them, and is the same matrix.
        factor, failed = factorise((M * units).T, lower=1, clean=1, overwrite_a=1)
        if not failed:
            factor, failed = invert(factor, lower=1, overwrite_c=1)
        if failed:
            return None
        whole = factor + factor.T  # above the diagonal there are zeros
        np.fill_diagonal(whole, np.diagonal(factor))
        whole *= units
    return whole if np.isfinite(whole).all() else None
