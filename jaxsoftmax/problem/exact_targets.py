"""Targets with an exact meaning: labels, or probability rows over the rationals, and S21(c) smoothing of either.

A float row t means t/Σt in rationals; a smoothing ε given as a float means the decimal that it prints
(0.01 is 1/100). The device copy is the correctly rounded float of the exact number (section 7.9).

Guarded by `tests/problem/test_problem.py`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from jaxsoftmax.problem.arrays import BFLOAT16, require_finite
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import is_traced, kind_of, show


def exact_smoothing(value: Any, name: str = "label_smoothing") -> Fraction:
    """The rational that a smoothing means: a float or string is the decimal it prints, a Fraction is itself.

    Raises:
        TypeError: not a number or text.
        ValueError: not a decimal or p/q, or outside [0, 1].
    """
    text = value
    if isinstance(value, (jax.Array, np.ndarray)):
        if not is_traced(value) and value.shape == ():
            text = str(value)
    elif isinstance(value, (float, np.floating, np.integer)):
        text = str(value)
    if isinstance(text, bool) or not isinstance(text, (str, int, Fraction)):
        raise WrongType(
            name, f"got {show(value)}, {kind_of(value)}", "give a number or text, such as '0.01' or '1/100'"
        )
    remedy = "give a decimal or a fraction in [0, 1], such as '0.01'"
    exponent = re.search(r"[eE]([+-]?\d+)\s*$", text) if isinstance(text, str) else None
    if exponent and abs(int(exponent[1])) > 400:  # an exact 10**(10**9) would exhaust the memory
        raise WrongValue(name, f"got {show(value)}, whose exponent is out of range", remedy)
    try:
        exact = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise WrongValue(name, f"got {show(value)}, which is no decimal or fraction", remedy) from error
    if not 0 <= exact <= 1:
        raise WrongValue(name, f"got {show(value)}", remedy)
    if exact.denominator > 10**400:  # a certificate's checker reads no more
        raise WrongValue(name, f"got {show(value)}, which has a denominator beyond 10^400", remedy)
    return exact


@dataclasses.dataclass(frozen=True, eq=False)
class ExactTargets:
    """Exact targets (1 − ε) t + ε/C with t one-hot (`codes`) or a row over its own sum (`rows`).

    Attributes:
        C: number of classes.
        codes: (N,) int64 class of each sample, or None when `rows` holds the targets.
        rows: (N, C) read-only float array as given, or None when `codes` does.
        label_smoothing: ε, an exact rational.
    """

    C: int
    codes: np.ndarray | None
    rows: np.ndarray | None
    label_smoothing: Fraction = Fraction(0)

    @property
    def N(self) -> int:
        """Number of samples."""
        return len(self.rows if self.codes is None else self.codes)  # pyright: ignore[reportArgumentType]

    def smoothed(self, eps: Fraction) -> ExactTargets:
        """(1 − eps) t + eps/C on top of what is there; two smoothings make one: 1 − (1 − ε)(1 − eps)."""
        return dataclasses.replace(self, label_smoothing=1 - (1 - self.label_smoothing) * (1 - eps))

    def integers(self) -> tuple[np.ndarray, list[int]]:
        """Numerators (N, C) (int64 when all fit, else Python ints) and a denominator for each row, in lowest terms."""
        p, q = self.label_smoothing.numerator, self.label_smoothing.denominator
        if self.codes is not None:
            low, high, denominator = p, (q - p) * self.C + p, q * self.C
            common = math.gcd(low, high, denominator)
            N = len(self.codes)
            numerators = np.full((N, self.C), low // common, dtype=np.int64 if high // common < 2**63 else object)
            numerators[np.arange(N), self.codes] = high // common
            return numerators, [denominator // common] * N
        assert self.rows is not None  # exactly one of codes and rows is there
        scaled = integer_rows(self.rows)
        sums = scaled.sum(axis=1)
        numerators = (q - p) * self.C * scaled + p * sums[:, None]
        denominators = q * self.C * sums
        common = [math.gcd(*row, total) for row, total in zip(numerators, denominators, strict=True)]
        numerators = numerators // np.array(common, dtype=object)[:, None]
        if max(numerators.max(), 0) < 2**63:
            numerators = numerators.astype(np.int64)
        return numerators, [total // factor for total, factor in zip(denominators, common, strict=True)]

    def label_values(self, dtype: np.dtype) -> np.ndarray:
        """The entries of a row of smoothed labels, (2,): of the classes that are not its label's, and of that one."""
        low = self.label_smoothing / self.C
        exact = (low, 1 - self.label_smoothing + low)
        numerators = np.array([t.numerator for t in exact], dtype=object)
        return round_ratio(numerators, np.array([t.denominator for t in exact], dtype=object), dtype)

    def rounded(self, dtype: np.dtype) -> np.ndarray:
        """The targets as an (N, C) float array of `dtype`, each entry correctly rounded from the exact rational."""
        if self.codes is not None:
            values = self.label_values(dtype)
            T = np.full((len(self.codes), self.C), values[0], dtype=dtype)
            T[np.arange(len(self.codes)), self.codes] = values[1]
            return T
        numerators, denominators = self.integers()
        return round_ratio(numerators.astype(object), np.array(denominators, dtype=object)[:, None], dtype)


def integer_rows(rows: np.ndarray) -> np.ndarray:
    """Each float row times its own power of two, as Python ints (N, C): a double is m·2^e exactly."""
    mantissa, exponent = np.frexp(rows.astype(np.float64))
    integers = (mantissa * 2.0**53).astype(np.int64)
    exponent = np.where(integers == 0, np.iinfo(np.int32).max, exponent)
    shift = np.where(integers == 0, 0, exponent - exponent.min(axis=1, keepdims=True))
    return integers.astype(object) << shift.astype(object)


def round_ratio(numerators: np.ndarray, denominators: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """numerators/denominators (object arrays of Python ints), correctly rounded to float64 or float32."""
    quotient = numerators / denominators  # Python's int / int is correctly rounded to double
    doubles = quotient.astype(np.float64)
    if dtype == np.float64:
        return doubles
    # Rounding twice goes wrong only when the double sits on a float32 midpoint that the rational does not: such a
    # double has its last 28 bits zero. Move it one ulp towards the rational first.
    numerators, denominators = np.broadcast_arrays(numerators, denominators)
    suspects = np.argwhere((doubles.view(np.int64) & (2**28 - 1) == 0) & (doubles != 0) & (doubles != 1))
    for index in map(tuple, suspects):
        exact, double = Fraction(int(numerators[index]), int(denominators[index])), Fraction(float(doubles[index]))
        if exact != double:
            doubles[index] = np.nextafter(doubles[index], 2.0 if exact > double else -1.0)
    return doubles.astype(dtype)


def from_rows(T: np.ndarray) -> ExactTargets:
    """Exact targets from probability rows (N, C), C >= 2: one-hot rows become codes.

    Raises:
        ValueError: an entry is NaN, infinite or negative, or a row does not sum to 1 (to 8·eps·C of T's dtype).
    """
    require_finite(T, "T")
    if T.dtype == BFLOAT16:
        eps, T = 2.0**-7, T.astype(np.float32)
    else:
        eps = 0.0 if T.dtype.kind in "biu" else float(np.finfo(T.dtype).eps)
    if T.dtype.kind != "b" and (T < 0).any():
        n, i = (int(k) for k in np.argwhere(T < 0)[0])
        raise WrongValue("T", f"entry ({n}, {i}) is {show(T[n, i])}, below 0", f"correct or drop row {n}")
    C = T.shape[1]
    if ((T == 0) | (T == 1)).all() and (T.sum(axis=1) == 1).all():
        return ExactTargets(C, np.argmax(T, axis=1).astype(np.int64), None)
    tolerance = 8 * eps * C
    for n, row in enumerate(T.tolist()):
        total = _row_sum(row)
        if not abs(total - 1) <= tolerance:
            if total == 0:
                raise WrongValue("T", f"row {n} sums to 0", "drop its sample, or give it a valid row and weight 0")
            given = f"row {n} sums to {total}, not 1 (allowed: {tolerance:.3g} for {T.dtype}, {C} classes)"
            raise WrongValue("T", given, "divide it by its sum; for counts, give that sum as its sample_weight")
    return ExactTargets(C, None, T)


def _row_sum(row: list) -> float:
    if all(isinstance(entry, int) for entry in row):
        return sum(row)
    try:
        return math.fsum(row)  # correctly rounded: the verdict does not depend on the order of the classes
    except OverflowError:
        return math.inf
