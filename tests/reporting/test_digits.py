"""reporting/digits.py: two numbers side by side are told apart."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.reporting.digits import told_apart


@pytest.mark.parametrize(
    ("first", "second", "texts"),
    [
        (25.03990001, 25.0399, ("25.03990001", "25.0399")),
        (0.5, 1.0, ("0.5", "1")),
        (1.0, 1.0 + 2**-52, ("1", "1.0000000000000002")),
        (float("nan"), 1.0, ("nan", "1")),
    ],
)
def test_as_many_digits_as_are_needed(first, second, texts):
    assert told_apart(first, second) == texts


@pytest.mark.slow
def test_a_report_tells_its_numbers_apart():
    """In the diagnosis, and in the table of the worst entries."""
    at = np.array([0.5, -1.0, 2.0])
    report = js.crosscheck(lambda x: (x**4).sum(), at, gradient=lambda x: 4 * x**3 + 1e-10 * np.array([0.0, 0.0, 1.0]))
    assert "32.0000000001 where 32 is right" in report.diagnoses[0].text
    entry = report.worst_entries[0]
    assert entry.ours != entry.theirs and all(text in repr(report) for text in told_apart(entry.ours, entry.theirs, 9))
    factor = js.crosscheck(lambda x: (x**4).sum(), at, gradient=lambda x: 4 * (1 + 1e-9) * x**3).diagnoses[0]
    assert "is 1.000000001 times the right one" in factor.text
