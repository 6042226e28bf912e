"""Rationals of any size as decimals rounded in a stated direction, square roots from above, logarithms as estimates."""

from __future__ import annotations

import math
from fractions import Fraction

__all__ = [
    "common_digits",
    "decimal_text",
    "dyadic_below",
    "exponent10",
    "float_estimate",
    "log2_estimate",
    "rate_text",
    "short_text",
    "sqrt_bound",
]

_CHUNK = 4000  # digits that CPython converts at a time (its limit is 4300)


def decimal_text(x: Fraction, places: int, up: bool) -> str:
    """x, of either sign, with so many decimal places (or so many zeros, if negative), rounded up or down.

    Example:
        >>> from fractions import Fraction
        >>> from jaxsoftmax.proof.exact.decimals import decimal_text
        >>> decimal_text(Fraction(-2, 3), 3, up=True), decimal_text(Fraction(1250), -2, up=False)
        ('-0.666', '1200')
    """
    scaled = x * 10**places if places >= 0 else x / 10**-places
    whole = math.ceil(scaled) if up else math.floor(scaled)
    if places <= 0:
        whole, places = whole * 10**-places, 0
    sign = "-" if whole < 0 else ""
    digits = _digits(abs(whole)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def short_text(x: Fraction, up: bool, digits: int = 12) -> str:
    """A rational >= 0 with so many significant decimals in scientific notation, rounded up or down.

    Example:
        >>> from fractions import Fraction
        >>> from jaxsoftmax.proof.exact.decimals import short_text
        >>> short_text(Fraction(2, 300), up=True, digits=4), short_text(Fraction(2, 300), up=False, digits=4)
        ('6.667e-3', '6.666e-3')
    """
    if x < 0:
        raise ValueError(f"x: got {float_estimate(x)}, below 0; short_text is for magnitudes.")
    if x == 0:
        return "0"
    e = exponent10(x)
    scaled = x * Fraction(10) ** (digits - 1 - e)
    whole = math.ceil(scaled) if up else math.floor(scaled)
    text = str(whole)
    e += len(text) - digits
    return f"{text[0]}.{text[1:].rstrip('0') or '0'}e{e}"


def rate_text(gain: Fraction) -> str:
    """1 − gain rounded up, with digits enough that it stays below 1."""
    if gain <= 0:
        return "1"
    return decimal_text(1 - gain, max(12, 12 - exponent10(gain)), up=True)


def common_digits(lower: Fraction, upper: Fraction) -> tuple[int, int]:
    """Significant decimals on which both agree as printed, and the decimal places that show them and four more."""
    if lower <= 0:
        e = exponent10(upper) if upper > 0 else 0
        return 0, max(12 + 3 - e, 0)
    e, width = exponent10(upper), upper - lower
    most = 0 if width == 0 else max(0, e - exponent10(width) + 2)
    found = 0
    for digits in range(most, 0, -1):
        if _cut(lower, digits - 1 - e) == _cut(upper, digits - 1 - e):
            found = digits
            break
    return found, max(found, 12) + 3 - e


def _cut(x: Fraction, places: int) -> int:
    return math.floor(x * Fraction(10) ** places)


def sqrt_bound(x: Fraction) -> Fraction:
    """A rational at most a relative 2⁻⁶⁰ above √x.

    Example:
        >>> from fractions import Fraction
        >>> from jaxsoftmax.proof.exact.decimals import sqrt_bound
        >>> 2 < sqrt_bound(Fraction(2)) ** 2 < 2 + Fraction(1, 2**58)
        True
    """
    if x <= 0:
        return Fraction(0)
    shift = 130 - x.numerator.bit_length() + x.denominator.bit_length()
    shift += shift % 2  # even, of either sign: x·2^shift has 130 bits or so
    lifted = x * Fraction(2) ** shift
    return Fraction(math.isqrt(math.floor(lifted)) + 1) / Fraction(2) ** (shift // 2)


def log2_estimate(x: Fraction) -> float:
    """log₂ of a rational of any size; −inf for one that is not positive.

    Example:
        >>> from fractions import Fraction
        >>> from jaxsoftmax.proof.exact.decimals import log2_estimate
        >>> log2_estimate(Fraction(1, 2**5000))
        -5000.0
    """
    if x <= 0:
        return -math.inf
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return math.log2(x / Fraction(2) ** e) + e


def dyadic_below(x: float) -> Fraction:
    """A dyadic number of 12 bits just below x > 0.

    Example:
        >>> from jaxsoftmax.proof.exact.decimals import dyadic_below
        >>> dyadic_below(0.1)
        Fraction(819, 8192)
    """
    mantissa, exponent = math.frexp(x)
    return Fraction(math.floor(mantissa * 4096), 4096) * Fraction(2) ** exponent


def float_estimate(x: Fraction) -> float:
    """The double nearest to x, with ±1e300 for what is larger."""
    try:
        return float(x)
    except OverflowError:
        return 1e300 if x > 0 else -1e300


def exponent10(x: Fraction) -> int:
    """floor(log₁₀ x) for x > 0.

    Example:
        >>> from fractions import Fraction
        >>> from jaxsoftmax.proof.exact.decimals import exponent10
        >>> exponent10(Fraction(999, 10)), exponent10(Fraction(1, 10**5000))
        (1, -5000)
    """
    e = math.floor((x.numerator.bit_length() - x.denominator.bit_length()) * math.log10(2))
    while Fraction(10) ** e > x:
        e -= 1
    while Fraction(10) ** (e + 1) <= x:
        e += 1
    return e


def _digits(n: int) -> str:
    """The decimal digits of n >= 0; CPython refuses to print more than 4300 at once."""
    parts = []
    while n.bit_length() > 3 * _CHUNK:
        n, low = divmod(n, 10**_CHUNK)
        parts.append(str(low).rjust(_CHUNK, "0"))
    return "".join([str(n), *reversed(parts)])
