"""A sparse X as given, and products with it: against a dense copy, and what is refused."""

import numpy as np
import pytest
import scipy.sparse

import jaxsoftmax as js
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.training.sparse import rows as module
from jaxsoftmax.training.sparse.rows import SparseRows, canonical

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


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr"])
def test_every_format_gives_the_same_rows(kind):
    A = dense()
    X = canonical(scipy.sparse.csr_array(A).asformat(kind))
    assert X.has_canonical_format
    assert np.array_equal(X.toarray(), A)
    assert not any(array.flags.writeable for array in (X.data, X.indices, X.indptr))


def test_what_was_given_is_copied_and_left_alone():
    """Duplicates are summed and zeros dropped in the copy alone."""
    given = scipy.sparse.csr_array((np.array([1.0, 2.0, 0.0]), np.array([1, 1, 0]), np.array([0, 3])), (1, 2))
    X = canonical(given)
    assert (X.nnz, X.toarray().tolist(), given.nnz) == (1, [[0.0, 3.0]], 3)
    given.data[:] = 7.0
    assert X.toarray().tolist() == [[0.0, 3.0]]


def test_duplicates_of_small_integers_do_not_overflow_and_those_of_booleans_are_one():
    places = (np.array([0, 0]), np.array([0, 0]))
    assert canonical(scipy.sparse.coo_array((np.uint8([200, 100]), places), (1, 1))).data.tolist() == [300.0]
    assert canonical(scipy.sparse.coo_array((np.array([True, True]), places), (1, 1))).data.tolist() == [1.0]


def test_floats_keep_their_dtype():
    for dtype, kept in (("float32", "float32"), ("float64", "float64"), ("int64", "float64"), ("bool", "float64")):
        assert canonical(scipy.sparse.csr_array(np.eye(2, dtype=dtype))).dtype == kept


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.eye(2), WrongType, "give a SciPy sparse matrix"),
        (scipy.sparse.csr_array(np.eye(2) * 1j), WrongType, "complex128"),
        (scipy.sparse.csr_array(np.array([[0, 1], [0, np.nan]])), WrongValue, r"entry \(1, 1\) is nan"),
        (scipy.sparse.csr_array(np.array([[0, 0], [-np.inf, 0]])), WrongValue, r"entry \(1, 0\) is -inf"),
        (
            scipy.sparse.csr_array(np.array([[0, 2**53 + 1]])),
            WrongValue,
            r"entry \(0, 1\) is the integer 9007199254740993",
        ),
        (
            scipy.sparse.coo_array((np.array([2**53, 2]), (np.zeros(2, int), np.zeros(2, int))), (1, 1)),
            WrongValue,
            "may be rounded",
        ),
    ],
    ids=["dense", "complex", "nan", "inf", "integer", "sum"],
)
def test_what_cannot_be_used_is_refused_by_its_place(X, error, words):
    with pytest.raises(error, match=words):
        canonical(X)


def test_an_integer_that_a_double_holds_is_taken():
    assert canonical(scipy.sparse.csr_array(np.array([[2**53]]))).data.tolist() == [2.0**53]


def test_numbers_beyond_float32_are_refused_by_their_place():
    X = SparseRows.of(canonical(scipy.sparse.csr_array(np.array([[0.0, 1e300]]))), False)
    with pytest.raises(WrongValue, match=r"entry \(0, 1\) is 1e\+300, beyond the largest float32"):
        X.astype("float32")


def test_a_copy_that_cannot_fit_is_refused(monkeypatch):
    monkeypatch.setattr(module, "shortage", lambda needed: 1.0)
    with pytest.raises(ValueError, match="its copy in rows needs about"):
        js.SparseProblem.from_labels(scipy.sparse.csr_array(np.eye(2)), [0, 1])
