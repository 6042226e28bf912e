"""Integers of a table are the numbers that they say, or are refused."""

from pathlib import Path

import numpy as np
import pytest

from jaxsoftmax.readers.columns import as_float64, as_labels, integer_in


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**53 + 3, 2**62 + 1])
def test_an_integer_that_no_double_holds_is_refused(value):
    """2⁵³ + 1 is rounded to 2⁵³, and is told from it by the integer alone."""
    X = np.array([[1, 2], [3, value]])
    with pytest.raises(ValueError, match=rf"\[1, 1\] is the integer {value}, which no float64 holds exactly"):
        as_float64(Path("a.npz"), X, lambda index: str(list(index)))


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**53 - 1, 2**53 + 2, 2**62])
def test_an_integer_that_a_double_holds_is_taken(value):
    assert as_float64(Path("a.npz"), np.array([[value]]), str).tolist() == [[value]]
    assert as_float64(Path("a.npz"), np.array([[abs(value)]], np.uint64), str).tolist() == [[abs(value)]]


def test_a_whole_label_that_no_int64_holds_is_refused():
    """2⁶³ would become −2⁶³, the same class as −2⁶³ itself; the double below it is the largest label."""
    for value in (2.0**63, -(2.0**63)):
        with pytest.raises(ValueError, match="label 1 is"):
            as_labels(Path("a.npz"), np.array([0.0, value]), lambda n: f"label {n}")
    largest = 2.0**63 - 1024
    assert as_labels(Path("a.npz"), np.array([largest, -largest]), str).tolist() == [2**63 - 1024, 1024 - 2**63]


def test_an_integer_of_twenty_digits_is_cut_at_two_to_the_63():
    """Beyond it no label is told from another, however many digits it has."""
    for text, number in (("9223372036854775807", 2**63 - 1), ("9223372036854775809", 2**63), ("9" * 20, 2**63)):
        assert integer_in(text) == number and integer_in("-" + text) == -number
    assert integer_in("0.5") is None and integer_in("5e-1") is None and integer_in("50e-1") == 5
