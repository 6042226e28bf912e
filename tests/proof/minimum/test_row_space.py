"""S6: a dependent column is a combination in the units given, whatever the denominators of the columns are."""

from fractions import Fraction

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.minimum.objective import proof_data
from jaxsoftmax.proof.minimum.row_space import drop_dependent_columns

pytest.importorskip("flint")


def test_a_dependent_column_is_a_combination_in_the_units_given():
    """Quarters, halves and eighths: x₁ = 2x₀, whose integers are equal, and x₂ = 5x₀/2."""
    x = np.array([0.25, 0.5, -1.25])
    problem = js.Problem.from_labels(np.column_stack([x, 2 * x, 2.5 * x]), [0, 1, 0], intercept=False)
    data, dropped = drop_dependent_columns(proof_data(ExactData(problem)))
    (kept,) = data.columns
    factors = [Fraction(1), Fraction(2), Fraction(5, 2)]
    assert {one.column: one.coefficients for one in dropped} == {
        d: {int(kept): factors[d] / factors[kept]} for d in range(3) if d != kept
    }
