"""Short integer combinations of nearly dependent columns: floating point then sees what the exact data decide."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest, integer_bits, integer_product

__all__ = ["reduced_columns", "reduction_cost"]


def reduced_columns(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """B = A U with U unimodular and short, nearly orthogonal columns of B (Lenstra, Lenstra and Lovász).

    The recession directions of A (S9) are V' Uᵀ for those V' of B, and the multipliers (S10) are the same, so either
    matrix decides. Tenths read as doubles are the example: x + y and z agree but for a last bit, the three columns are
    independent, and only that bit, scaled up, shows it to a solver in floating point.

    Args:
        A: (n, K) integers, int64 or Python integers, of any rank; dependent columns come out as zeros.

    Returns:
        B (n, K) and U (K, K), integers, B = A U exactly.

    Raises:
        ImportError: python-flint is not installed.
        ArithmeticError: the product was not B (practically impossible).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.reduced_columns import reduced_columns
        >>> A = np.array([[2**40, 2**40 + 1], [-(2**40), -(2**40)], [2**41, 2**41 + 3]])
        >>> B, U = reduced_columns(A)
        >>> sorted(abs(B).max(axis=0).tolist())[0], bool((A @ U == B).all())
        (3, True)

    Source: A. K. Lenstra, H. W. Lenstra and L. Lovász, Math. Ann. 261 (1982), by python-flint.
    """
    try:
        import flint
    except ImportError as error:
        raise ImportError("lattice reduction needs python-flint: pip install 'jaxsoftmax[exact]'") from error
    n, K = A.shape
    if n == 0 or K == 0:
        return A, np.eye(K, dtype=np.int64)
    lattice: Any = flint.fmpz_mat(K, n, A.T.ravel().tolist())  # its stub leaves the transform out
    reduced, transform = lattice.lll(transform=True)
    B, U = (
        as_smallest(np.array([int(x) for x in M.entries()], dtype=object).reshape(K, -1).T)
        for M in (reduced, transform)
    )
    if (integer_product(A, U) != B).any():
        raise ArithmeticError("the reduced columns are not the combinations that the transform says.")
    return B, U


def reduction_cost(A: np.ndarray) -> float:
    """About how many seconds `reduced_columns` takes: n·K²·bits²·10⁻¹⁰, as measured from (6, 4) to (2000, 21).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.reduced_columns import reduction_cost
        >>> reduction_cost(np.full((100, 10), 2**40)) < 0.01
        True
    """
    n, K = A.shape
    return 1e-10 * n * K**2 * integer_bits(A) ** 2
