"""Decimals of claims are rounded in the stated direction, whatever the size of the rational."""

from fractions import Fraction

import numpy as np
import pytest

from jaxsoftmax.proof.exact.decimals import (
    common_digits,
    decimal_text,
    float_estimate,
    log2_estimate,
    rate_text,
    short_text,
    sqrt_bound,
)


def rationals(seed, count=150, powers=(0, 5, 40, -40, 400, -400)):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        p, q = (int(v) for v in rng.integers(1, 2**62, 2))
        power = int(rng.choice(powers))
        yield Fraction(p, q) * Fraction(10) ** power
        yield Fraction(10) ** power * Fraction(int(rng.integers(1, 20)), int(rng.choice([1, 2, 5])))


def test_decimal_text_brackets_within_one_unit():
    for x in rationals(1):
        for places in (-3, 0, 1, 12, 60):
            for value in (x, -x):
                low, high = (Fraction(decimal_text(value, places, up)) for up in (False, True))
                assert low <= value <= high and high - low in (0, Fraction(10) ** -places)
                assert (high == low) == ((value * Fraction(10) ** places).denominator == 1)


def test_short_text_brackets_within_one_unit_of_its_last_digit():
    for x in rationals(2):
        for digits in (1, 4, 12):
            low, high = (Fraction(short_text(x, up, digits)) for up in (False, True))
            assert low <= x <= high and high - low <= x * Fraction(10) ** (1 - digits)
    assert short_text(Fraction(0), up=True) == "0"
    assert Fraction(short_text(Fraction(99999, 10), up=True, digits=3)) == 10000
    with pytest.raises(ValueError, match="below 0"):
        short_text(Fraction(-1), up=True)


def test_rate_stays_below_one_and_never_below_the_truth():
    for x in rationals(3, powers=(-30, -40, -400)):
        rate = Fraction(rate_text(x))
        assert 1 - x <= rate < 1 and 1 - rate >= x * (1 - Fraction(1, 10**11))
    assert rate_text(Fraction(0)) == "1"


def test_common_digits_as_printed():
    """What the checker asks: upper − lower <= 10^(E + 1 − digits), E the exponent of lower, rounded outward."""
    for x in rationals(4):
        for gap in (1, 20, 55):
            lower, upper = x, x * (1 + Fraction(3, 10**gap))
            digits, places = common_digits(lower, upper)
            low, high = decimal_text(lower, places, up=False), decimal_text(upper, places, up=True)
            assert Fraction(low) <= lower and upper <= Fraction(high)
            if digits:
                assert digits <= gap + 1
                e = len(str(lower.numerator // lower.denominator)) - 1 if lower >= 1 else None
                if e is not None:
                    assert Fraction(high) - Fraction(low) <= Fraction(10) ** (e + 1 - digits)
                    cut = [v.replace(".", "")[:digits] for v in (low, decimal_text(upper, places, up=False))]
                    assert cut[0] == cut[1]
    assert common_digits(Fraction(-1), Fraction(1))[0] == 0
    assert common_digits(Fraction(999, 1000), Fraction(1001, 1000))[0] == 0  # no leading digit is shared
    assert common_digits(Fraction(14619, 10), Fraction(14621, 10))[0] == 3


def test_more_digits_than_cpython_prints_at_once():
    x = Fraction(1, 7)
    text = decimal_text(x, 9001, up=False)
    assert text == "0." + ("142857" * 1501)[:9001]
    assert decimal_text(Fraction(10) ** 5000 + 1, 0, up=True) == "1" + "0" * 4999 + "1"


def test_square_root_from_above():
    for x in [*rationals(5), Fraction(4), Fraction(2**400), Fraction(1, 2**4000), Fraction(3**2000)]:
        root = sqrt_bound(x)
        assert x < root * root <= x * (1 + Fraction(1, 2**59))
    assert sqrt_bound(Fraction(0)) == 0


def test_estimates_of_any_size():
    assert log2_estimate(Fraction(2) ** 40000) == 40000 and log2_estimate(Fraction(0)) == -np.inf
    assert float_estimate(-(Fraction(10) ** 400)) == -1e300 and float_estimate(Fraction(1, 3)) == 1 / 3
