"""Products of integer matrices, exact and at the speed of float64 BLAS (section 7.7)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

__all__ = ["as_smallest", "integer_bits", "integer_product"]

_FLOAT_BITS = 53  # integers below 2**53, and sums of them that stay below, are exact in float64
_INT_BITS = 62
_MOST_PRODUCTS = 48  # of limbs; beyond, products of Python integers are no slower


def integer_bits(A: np.ndarray) -> int:
    """The least b with |a| < 2**b for every entry of an integer array (int64 or Python integers).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.products import integer_bits
        >>> integer_bits(np.array([[-4, 3]])), integer_bits(np.array([2**70], dtype=object))
        (3, 71)
    """
    if not A.size:
        return 0
    return max(int(A.max()).bit_length(), int(A.min()).bit_length())


def as_smallest(A: np.ndarray) -> np.ndarray:
    """An integer array as int64 where its entries are below 2**62 in magnitude, as Python integers where not.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.products import as_smallest
        >>> as_smallest(np.array([1, 2], dtype=object)).dtype, as_smallest(np.array([2**62])).dtype
        (dtype('int64'), dtype('O'))
    """
    return A.astype(np.int64 if integer_bits(A) <= _INT_BITS else object, copy=False)


def integer_product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A @ B exactly, for integer matrices (n, K) and (K, m) of int64 or Python integers (section 7.7).

    The entries are split into limbs so small that Σ_k |a_ik| |b_kj| < 2⁵³ for each pair of limbs: every partial sum of
    a conventional float64 matrix product is then an integer that a double holds, in any order of summation, fused or
    not. The limbs' products are added as integers.

    Returns:
        (n, m) int64 where the bound K·max|A|·max|B| is below 2⁶², else Python integers (object).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.products import integer_product
        >>> integer_product(np.array([[3**30, 1]]), np.array([[5**20], [7]])).tolist()[0][0] == 3**30 * 5**20 + 7
        True
    """
    A, B = as_smallest(A), as_smallest(B)  # so that |a| of an int64 is one
    a, b, k = integer_bits(A), integer_bits(B), A.shape[1].bit_length()
    if a + b + k <= _FLOAT_BITS:
        return np.rint(A.astype(np.float64) @ B.astype(np.float64)).astype(np.int64)
    small = a + b + k <= _INT_BITS
    half = (_FLOAT_BITS - k) // 2
    width = _FLOAT_BITS - k - b if b < half else half  # a short factor leaves the other longer limbs
    height = _FLOAT_BITS - k - a if a < half else half
    if half < 8 or -(-a // width) * -(-b // height) > _MOST_PRODUCTS:
        product = A.astype(object) @ B.astype(object)
        return product.astype(np.int64) if small else product
    total = np.zeros((A.shape[0], B.shape[1]), dtype=np.int64 if small else object)
    left, right = _limbs(A, a, width), _limbs(B, b, height)
    for i, P in enumerate(left):
        for j, Q in enumerate(right):
            part = np.rint(P @ Q).astype(np.int64)
            shift = width * i + height * j
            total += part << shift if small else part.astype(object) << shift
    return total


def _limbs(A: np.ndarray, bits: int, width: int) -> list[np.ndarray]:
    """float64 matrices P_i, |entries| < 2**width, with A = Σ_i P_i 2**(width·i); limbs have their entry's sign."""
    negative, size = A < 0, cast(Any, abs(A))  # integers, whatever abs is declared to return
    sign = np.where(negative.astype(bool), -1.0, 1.0)
    together = max(1, -(-bits // width))
    parts = [size]
    if A.dtype == object:
        together = _INT_BITS // width  # limbs that an int64 holds: Python integers are touched once for so many
        places = range(0, max(bits, 1), together * width)
        parts = [((size >> shift) & ((1 << together * width) - 1)).astype(np.int64) for shift in places]
    mask = (1 << width) - 1
    limbs = [sign * ((part >> k * width) & mask) for part in parts for k in range(together)]
    return limbs[: max(1, -(-bits // width))]
