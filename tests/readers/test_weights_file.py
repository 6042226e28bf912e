"""Weights are taken for the classes and columns that they were fitted to, in their order, and for no others."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.readers.weights_file import load_weights, save_weights

X, Y = np.float32([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]), ["a", "b", "a"]


def test_weights_come_back_for_the_same_names_and_for_unnamed_data(tmp_path):
    problem = js.Problem.from_labels(X, Y, feature_names=["width", "length"])
    W = np.arange(6.0).reshape(2, 3)
    save_weights(tmp_path / "w.npz", W, problem)
    np.testing.assert_array_equal(load_weights(tmp_path / "w.npz", problem), W)
    np.testing.assert_array_equal(load_weights(tmp_path / "w.npz", js.Problem.from_labels(X, Y)), W)


@pytest.mark.parametrize(
    ("names", "labels", "words"),
    [
        (["length", "width"], Y, "its feature_names are width, length"),
        (["width", "height"], Y, "its feature_names are width, length"),
        (["width", "length"], ["a", "c", "a"], "its classes are a, b"),
    ],
    ids=["another order", "another name", "another class"],
)
def test_weights_of_other_columns_or_of_another_order_are_refused(names, labels, words, tmp_path):
    """A column for each feature in turn: the same names in another order are other columns."""
    save_weights(tmp_path / "w.npz", np.zeros((2, 3)), js.Problem.from_labels(X, Y, feature_names=["width", "length"]))
    with pytest.raises(ValueError, match=words):
        load_weights(tmp_path / "w.npz", js.Problem.from_labels(X, labels, feature_names=names))
