"""Numbers as given, read exactly: a float is its dyadic value, or the shortest decimal that prints it.

Guarded by `tests/proof/exact/test_data.py`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest

__all__ = ["exact_number", "integer_columns"]

_DYADIC_BITS = 62
_COLUMNS = 32  # at a time: on the way to integers a block of floats is there ten times
# Up to here a float prints every integer with all its digits, by its bytes (two: bfloat16): float32 prints 123456792 as
# 1.2345679e+08.
_DECIMAL_INTEGERS = {2: 2.0**8, 4: 2.0**24}


def exact_number(value: Any, decimal: bool = False) -> Fraction:
    """A real scalar as the rational that it is, or (`decimal`) that it prints.

    Example:
        >>> from jaxsoftmax.proof.exact.numbers import exact_number
        >>> exact_number(0.1) == exact_number(0.1, decimal=True), str(exact_number(0.1, decimal=True))
        (False, '1/10')
    """
    if hasattr(value, "dtype"):
        value = np.asarray(value)[()]
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return Fraction(int(value))
    return Fraction(str(value)) if decimal else Fraction(float(value))


def integer_columns(X: np.ndarray, decimal: bool = False) -> tuple[np.ndarray, list[int]]:
    """Integers A (N, D) and the least positive scales q with X[n, d] = A[n, d] / q[d], exactly (sections 7.7 and 7.10).

    Args:
        X: (N, D) finite real numbers of any NumPy dtype, bfloat16 included.
        decimal: read 0.1 as 1/10 (the shortest decimal that gives this float of this dtype) instead of as the float.

    Returns:
        A int64, or Python integers where some reach 2**62; the scales as Python integers, one a column.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.numbers import integer_columns
        >>> X = np.array([[0.25, 0.1], [1.0, 0.3]])
        >>> integer_columns(X, decimal=True)[0].tolist(), integer_columns(X, decimal=True)[1], integer_columns(X)[1][0]
        ([[1, 1], [4, 3]], [4, 10], 4)
    """
    if X.dtype.kind in "biu":
        wide = X.dtype.kind == "u" and X.dtype.itemsize == 8
        return as_smallest(X.astype(object if wide else np.int64)), [1] * X.shape[1]
    A, scales = np.empty(X.shape, np.int64), []
    for start in range(0, X.shape[1], _COLUMNS):
        places = slice(start, start + _COLUMNS)
        part, more = _float_columns(X[:, places], decimal)
        if part.dtype == object:
            A = A.astype(object, copy=False)
        A[:, places] = part
        scales += more
    return A, scales


def _float_columns(X: np.ndarray, decimal: bool) -> tuple[np.ndarray, list[int]]:
    F = X.astype(np.float64)
    if F.size and abs(F).max() < (_DECIMAL_INTEGERS.get(X.dtype.itemsize, 2.0**53) if decimal else 2.0**53):
        A = F.astype(np.int64)
        if (A == F).all():
            return A, [1] * X.shape[1]
    return _decimal_columns(X) if decimal else _dyadic_columns(F)


def _dyadic_columns(F: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """A float m·2^e has the scale 2^-e, where e is the exponent of its last bit that is not 0."""
    mantissa, exponent = np.frexp(F)
    m = (mantissa * 2.0**53).astype(np.int64)
    last = np.frexp((m & -m).astype(np.float64))[1] - 1  # m & -m is the power of two of the last bit
    lowest = np.where(m == 0, 0, exponent - 53 + last).min(axis=0, initial=0)  # at most 0: a scale is at least 1
    shift = -np.minimum(lowest, 0)
    scales = [1 << int(s) for s in shift]
    if F.size == 0 or np.where(m == 0, -(10**6), exponent + shift).max() <= _DYADIC_BITS:
        return np.ldexp(F, shift).astype(np.int64), scales
    exact = m.astype(object)
    place = np.where(m == 0, 0, exponent - 53 + shift)
    up, down = np.maximum(place, 0).astype(object), np.maximum(-place, 0).astype(object)
    return as_smallest((exact << up) >> down), scales


def _decimal_columns(X: np.ndarray) -> tuple[np.ndarray, list[int]]:
    columns, scales = [], []
    for d in range(X.shape[1]):
        values, places = np.unique(X[:, d].astype(X.dtype), return_inverse=True)
        integers, q = _decimal_integers(values)
        columns.append(np.array(integers, dtype=object)[places])
        scales.append(q)
    return as_smallest(np.stack(columns, axis=1)), scales


def _decimal_integers(values: np.ndarray) -> tuple[list[int], int]:
    """Integers and the least q >= 1 with value = integer/q, for the shortest decimals of the values' own dtype."""
    texts = list(map(repr, values.tolist())) if values.dtype == np.float64 else list(map(str, values))
    if any("e" in text for text in texts):
        exact = list(map(Fraction, texts))
        q = math.lcm(*(value.denominator for value in exact))
        return [value.numerator * (q // value.denominator) for value in exact], q
    halves = [text.partition(".") for text in texts]
    places = max((len(part) for _, _, part in halves), default=0)
    integers = [int(whole + part.ljust(places, "0")) for whole, _, part in halves]
    common = math.gcd(10**places, *integers)
    return [integer // common for integer in integers], 10**places // common
