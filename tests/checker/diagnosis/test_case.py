"""The fit of a factor: its uncertainty is reached, however different the leaves' tolerances are."""

import numpy as np
import pytest

from jaxsoftmax.checker.diagnosis.case import scale_fit


@pytest.mark.parametrize("limits", [(1e-12, 1e-3), (1e-3, 1e-12), (1e-6, 1e-6)])
def test_the_uncertainty_of_a_fitted_factor_is_reached(limits):
    """|Δc| <= Σ w|d|t / Σ w d², w = 1/t²: errors of the full size t, all of the direction's sign, move c by that."""
    direction = [np.array([[1.0], [-2.0]]), np.array([[3.0], [0.5], [-1.0]])]
    error = [1.9 * d + t * np.sign(d) for d, t in zip(direction, limits, strict=True)]
    found = scale_fit(error, direction, limits)
    assert found is not None
    c, spread, entries = found
    weights = [1 / t**2 for t in limits]
    allowed = sum(w * t * np.abs(d).sum() for w, t, d in zip(weights, limits, direction, strict=True))
    allowed /= sum(w * (d**2).sum() for w, d in zip(weights, direction, strict=True))
    # c itself is rounded a few times: 10 eps of 1.9, beside 10⁻¹² at the least
    assert spread == pytest.approx(allowed, rel=1e-12)
    assert c - 1.9 == pytest.approx(spread, rel=1e-9, abs=20 * 2.0**-52)
    assert entries == 5
