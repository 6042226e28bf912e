"""A fit comes back from its file whole, and weights are taken for the classes and columns that they were fitted to."""

import json

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.made_fit import made_fit
from jaxsoftmax.estimator.fit_file import load_weights

X, Y = np.float32([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 1.0]]), ["crow", "wren", "crow", "wren"]
NAMES = ["width", "length"]


@pytest.fixture
def saved(tmp_path):
    """A fit with everything in it, and its file."""
    fit = made_fit()
    js.save_fit(fit, tmp_path / "saved.npz")
    return fit, tmp_path / "saved.npz"


def test_a_fit_comes_back_whole(saved):
    """Every field, to the last bit, so that its report and its predictions are the same."""
    fit, path = saved
    again = js.load_fit(path)
    assert repr(again) == repr(fit)
    assert again.to_dict() == fit.to_dict()
    assert again.converged and again.inner_solves == fit.inner_solves and again.classes == ("crow", "wren")
    np.testing.assert_array_equal(again.probabilities(X), fit.probabilities(X))


def test_fields_that_say_nothing_stay_so(tmp_path):
    fit = made_fit(classes=None, feature_names=None, inner_solves=(), gap_estimate=None, q_estimate=None)
    js.save_fit(fit, tmp_path / "w.npz")
    again = js.load_fit(tmp_path / "w.npz")
    assert again.classes is None and again.feature_names is None
    assert again.to_dict() == fit.to_dict()


def test_weights_come_back_for_the_same_names_and_for_unnamed_data(saved):
    fit, path = saved
    for problem in (js.Problem.from_labels(X, Y, feature_names=NAMES), js.Problem.from_labels(X, Y)):
        np.testing.assert_array_equal(load_weights(path, problem), fit.W)


@pytest.mark.parametrize(
    ("names", "labels", "words"),
    [
        (["length", "width"], Y, "its feature_names are width, length"),
        (["width", "height"], Y, "its feature_names are width, length"),
        (NAMES, ["crow", "owl", "crow", "owl"], "its classes are crow, wren"),
    ],
    ids=["another order", "another name", "another class"],
)
def test_weights_of_other_columns_or_of_another_order_are_refused(saved, names, labels, words):
    """A column for each feature in turn: the same names in another order are other columns."""
    with pytest.raises(ValueError, match=words):
        load_weights(saved[1], js.Problem.from_labels(X, labels, feature_names=names))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fit": None}, "holds weights, but no whole fit"),
        ({"fit": np.array('{"status": "GLORIOUS"}')}, "no whole fit"),
        ({"fit": np.array("[")}, "no whole fit"),
        ({"classes": np.array(["a"])}, "does not fit its classes"),
        ({"feature_names": np.array(["a"])}, "does not fit its classes and feature names"),
        ({"W": np.array([["x"]])}, "no numeric array W"),
        ({"W": np.full((2, 3), np.nan)}, "not finite"),
        ({"W": np.zeros(3)}, "W has shape"),
    ],
    ids=["weights alone", "no such status", "no JSON", "classes", "names", "text", "NaN", "one row"],
)
def test_another_file_is_refused(saved, tmp_path, change, words):
    with np.load(saved[1]) as stored:
        arrays = {name: stored[name] for name in stored.files} | change
    np.savez(tmp_path / "w.npz", **{name: values for name, values in arrays.items() if values is not None})
    with pytest.raises(ValueError, match=words):
        js.load_fit(tmp_path / "w.npz")


def test_what_is_no_fit_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match=r"fit: got .*give what jaxsoftmax\.fit returned"):
        js.save_fit(np.zeros((2, 3)), tmp_path / "w.npz")
    with pytest.raises(ValueError, match="no such file"):
        js.load_fit(tmp_path / "w.npz")


def test_other_programs_read_the_arrays(saved):
    with np.load(saved[1]) as stored:
        assert stored["classes"].tolist() == ["crow", "wren"] and stored["feature_names"].tolist() == [
            *NAMES,
            "intercept",
        ]
        assert bool(stored["intercept"]) and stored["W"].shape == (2, 3)
        assert json.loads(str(stored["fit"]))["method"] == "newton-cg"
