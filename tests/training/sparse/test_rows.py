"""A sparse X as given, and products with it: against a dense copy, and what is refused."""

import numpy as np
import pytest
import scipy.sparse

from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.sparse_matrix import canonical
from jaxsoftmax.training.sparse import rows as module
from jaxsoftmax.training.sparse.rows import SparseRows

EPS = float(np.finfo(np.float64).eps)


def dense(seed=0, shape=(13, 7)):
    """Entries of both signs, an empty row and an empty column."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=shape) * (rng.random(shape) < 0.4)
    A[3], A[:, 2] = 0, 0
    return A


@pytest.mark.parametrize("part", [2**20, 3], ids=["whole", "in parts"])
@pytest.mark.parametrize("intercept", [True, False])
def test_products_are_those_of_the_dense_copy(intercept, part, monkeypatch):
    """Of at most 13 terms each: within 13 eps of the sum of their sizes."""
    monkeypatch.setattr(module, "PART", part)
    A, rng = dense(), np.random.default_rng(1)
    whole = np.hstack([A, np.ones((13, 1))]) if intercept else A
    X = SparseRows.of(canonical(scipy.sparse.csr_array(A)), intercept)
    V, G, s = rng.normal(size=(whole.shape[1], 3)), rng.normal(size=(13, 3)), rng.uniform(size=13)
    for found, left, right in (
        (X.logits(V), whole, V),
        (X.transposed(G), whole.T, G),
        (X.squares_transposed(G), (whole**2).T, G),
        (X.absolute_sums(s), np.abs(whole).T, s),
        (X.square_norms(), A**2, np.ones(7)),
    ):
        assert found.shape == (left @ right).shape
        assert np.all(np.abs(found - left @ right) <= 13 * EPS * (np.abs(left) @ np.abs(right)))


def test_numbers_beyond_float32_are_refused_by_their_place():
    X = SparseRows.of(canonical(scipy.sparse.csr_array(np.array([[0.0, 1e300]]))), False)
    with pytest.raises(WrongValue, match=r"entry \(0, 1\) is 1e\+300, beyond the largest float32"):
        X.astype("float32")


def test_long_sums_and_large_squares_of_float32_are_taken_in_float64():
    """The intercept's row of 10⁵ equal terms errs by one rounding; (10³⁰)² is no float32."""
    X = SparseRows.of(canonical(scipy.sparse.csr_array(np.full((10**5, 1), 1e30, np.float32))), True)
    G = np.full((10**5, 2), 0.1, np.float32)
    exact = 10**5 * float(np.float32(0.1))
    assert np.all(X.transposed(G)[-1] == np.float32(exact))
    assert X.square_norms()[0] == float(np.float32(1e30)) ** 2
