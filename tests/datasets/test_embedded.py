"""The embedded data: the published numbers, readable without scikit-learn or a network."""

import subprocess
import sys

import numpy as np
import pytest

import jaxsoftmax as js


def test_iris_is_fishers_table():
    iris = js.datasets.load_iris()
    assert iris.X.shape == (150, 4)
    assert iris.X.dtype == np.float64
    assert iris.classes == ("setosa", "versicolor", "virginica")
    assert [int((iris.y == name).sum()) for name in iris.classes] == [50, 50, 50]
    # Published decimals: each entry is the double nearest to a number with one decimal.
    assert np.array_equal(iris.X, np.round(iris.X * 10) / 10)
    # Rows 35 and 38 (from 1), where UCI's file departs from Fisher's paper.
    assert iris.X[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert iris.X[37].tolist() == [4.9, 3.6, 1.4, 0.1]


def test_digits_are_the_integers_0_to_16():
    digits = js.datasets.load_digits()
    assert digits.X.shape == (1797, 64)
    assert digits.y.dtype == np.int64
    assert np.array_equal(digits.X, np.round(digits.X))
    assert digits.X.min() == 0
    assert digits.X.max() == 16
    assert digits.classes == tuple(range(10))
    assert len(digits.feature_names) == 64


def test_embedded_data_equal_scikit_learns_copies():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_iris()
    ours = js.datasets.load_iris()
    assert np.array_equal(ours.X, theirs.data)
    assert list(ours.y) == [str(theirs.target_names[k]) for k in theirs.target]
    assert list(ours.feature_names) == list(theirs.feature_names)
    theirs = datasets.load_digits()
    ours = js.datasets.load_digits()
    assert np.array_equal(ours.X, theirs.data)
    assert np.array_equal(ours.y, theirs.target)
    assert list(ours.feature_names) == list(theirs.feature_names)


def test_embedded_data_need_neither_scikit_learn_nor_pandas():
    code = (
        "import sys, jaxsoftmax as js; js.datasets.load_iris(); js.datasets.load_digits(); "
        "assert not {'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dataset_says_what_it_is():
    assert "N=150, D=4, C=3" in repr(js.datasets.load_iris())
