"""New samples reach the weights by the names of their columns, never by luck of their order."""

import numpy as np
import pytest

from jaxsoftmax.problem.new_samples import new_samples, sparse_samples

pd = pytest.importorskip("pandas")
NAMES = ("width", "length")


def test_columns_are_put_in_the_order_trained_on():
    frame = pd.DataFrame({"length": [1.0, 2.0], "width": [3.0, 4.0]})
    assert new_samples(frame, NAMES, 2).tolist() == [[3.0, 1.0], [4.0, 2.0]]
    cyclic = pd.DataFrame([[3.0, 1.0, 2.0]], columns=["c", "a", "b"])
    assert new_samples(cyclic, ("a", "b", "c"), 3).tolist() == [[1.0, 2.0, 3.0]]
    assert new_samples(frame, None, 2).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert new_samples(frame.to_numpy(), NAMES, 2).tolist() == [[1.0, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (pd.DataFrame({"width": [1.0]}), "lacks the columns 'length'"),
        (pd.DataFrame({"width": [1.0], "height": [1.0]}), "lacks the columns 'length'"),
        (pd.DataFrame({"width": [1.0], "length": [1.0], "id": [1.0]}), "has columns .* not given: 'id'"),
        (pd.DataFrame(np.zeros((1, 9))), "'width', 'length'"),
        (pd.DataFrame([[1.0, 2.0, 3.0]], columns=["width", "length", "width"]), "two columns are named 'width'"),
        ([[1.0]], "has 1 columns, the weights are for 2"),
        ([1.0, 2.0], r"shape \(2,\), expected \(N, 2\); use X.reshape\(1, -1\)"),
        ([[1.0, float("nan")]], r"entry \(0, 1\) is nan"),
    ],
    ids=["fewer", "renamed", "more", "other names", "twice", "a column less", "one sample", "not finite"],
)
def test_other_columns_are_refused(X, words):
    with pytest.raises(ValueError, match=words):
        new_samples(X, NAMES, 2)


def test_the_array_given_stays_writeable_and_is_not_copied():
    """Reading a large X for a prediction costs no copy."""
    X = np.ones((3, 2))
    found = new_samples(X, None, 2)
    assert np.shares_memory(X, found) and X.flags.writeable and not found.flags.writeable


def test_sparse_samples_stay_sparse_and_are_counted():
    """Small integers that are given twice are summed without overflow."""
    sparse = pytest.importorskip("scipy.sparse")
    twice = sparse.coo_array((np.int8([127, 127]), ([0, 0], [1, 1])), (1, 2))
    found = sparse_samples(twice, 2)
    assert sparse.issparse(found)
    assert found.toarray().tolist() == [[0.0, 254.0]]
    with pytest.raises(ValueError, match="has 2 columns, the weights are for 3"):
        sparse_samples(twice, 3)
    with pytest.raises(ValueError, match=r"entry \(0, 1\) is nan"):
        sparse_samples(sparse.csr_array(np.array([[0, np.nan]])), 2)
