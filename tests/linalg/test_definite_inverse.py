"""The inverse of a definite matrix: against exact inverses, in any units, and None where the matrix is not definite."""

import numpy as np
import pytest

from jaxsoftmax.linalg.definite_inverse import definite_inverse

EPS = float(np.finfo(float).eps)


@pytest.mark.parametrize("decades", [0, 60])
def test_it_is_the_inverse_whatever_the_units(decades):
    """M M⁻¹ = I within D·eps·cond of the matrix scaled to a unit diagonal, which units do not change; symmetric."""
    rng = np.random.default_rng(1)
    A = rng.normal(size=(40, 12))
    unit = 2.0 ** rng.integers(-decades, decades + 1, size=12)
    M = (A * unit).T @ (A * unit)
    inverse = definite_inverse(M)
    np.testing.assert_array_equal(inverse, inverse.T)
    plain = M / unit / unit[:, None]
    error = plain @ (inverse * unit * unit[:, None]) - np.eye(12)
    assert np.abs(error).max() <= 4 * 12 * EPS * np.linalg.cond(plain)


@pytest.mark.parametrize("M", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]]])
def test_what_is_not_definite_has_none(M):
    assert definite_inverse(np.array(M)) is None


@pytest.mark.parametrize(
    "M", [[[1e-310, 0.0], [0.0, 1.0]], [[1.0, np.nan], [np.nan, 1.0]], [[1.0, np.inf], [np.inf, 1.0]]]
)
def test_an_inverse_that_is_no_matrix_of_doubles_is_none(M):
    """1/10^-310 is no double; and what is not finite has no inverse, wherever it stands."""
    assert definite_inverse(np.array(M)) is None
