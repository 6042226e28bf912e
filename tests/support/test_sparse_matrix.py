"""A sparse matrix as given: every format, duplicates, dtypes, and what is refused, by its place."""

import numpy as np
import pytest
import scipy.sparse

import jaxsoftmax as js
from jaxsoftmax.support import sparse_matrix as module
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.sparse_matrix import canonical


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr"])
def test_every_format_gives_the_same_rows(kind):
    A = np.array([[0, 1.5, -2], [0, 0, 0], [3, 0, 0.25]])
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
    """Beyond 2^53 too, where there is nothing to sum."""
    for kind in ("csr", "coo", "lil"):
        X = canonical(scipy.sparse.csr_array(np.array([[2**53, 0, 2**62, -(2**63)]])).asformat(kind))
        assert X.data.tolist() == [2.0**53, 2.0**62, -(2.0**63)]


def test_a_copy_that_cannot_fit_is_refused(monkeypatch):
    monkeypatch.setattr(module, "shortage", lambda needed: 1.0)
    with pytest.raises(ValueError, match="its copy in rows needs about"):
        js.SparseProblem.from_labels(scipy.sparse.csr_array(np.eye(2)), [0, 1])
