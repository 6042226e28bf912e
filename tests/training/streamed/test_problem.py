"""`StreamedProblem`: what it takes, what it refuses, and what it says of itself."""

import numpy as np
import pytest

import jaxsoftmax as js

X = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
LABELS = np.array(["a", "b", "c"] * 4)


def test_it_says_what_it_is(x64):
    problem = js.StreamedProblem.from_labels(X, LABELS, feature_names=["u", "v"])
    assert (problem.shape, problem.classes.tolist(), problem.feature_names) == (
        (12, 3, 3),
        ["a", "b", "c"],
        ("u", "v", "intercept"),
    )
    assert repr(problem) == "StreamedProblem: 12 samples, 2 features, 3 classes, float32"
    dtypes = [js.StreamedProblem.from_labels(X.astype(d), LABELS).dtype for d in ("f4", "f8", "u1", "i4", "f2")]
    assert dtypes == ["f4", "f8", "f4", "f8", "f4"]


def test_without_x64_doubles_are_computed_with_in_float32():
    assert js.StreamedProblem.from_labels(X.astype("f8"), LABELS).dtype == np.float32


def test_a_parquet_file_gives_labels_and_names(tmp_path):
    polars = pytest.importorskip("polars")
    polars.DataFrame({"u": X[:, 0], "kind": LABELS, "v": X[:, 1]}).write_parquet(tmp_path / "t.parquet")
    problem = js.StreamedProblem.from_labels(tmp_path / "t.parquet", "kind")
    assert problem.feature_names == ("u", "v", "intercept") and problem.classes.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(np.concatenate([chunk.copy() for _, chunk in problem.source.chunks(5)]), X)
    np.testing.assert_array_equal(problem.targets.codes, np.arange(12) % 3)
    polars.DataFrame({"u": X[:, 0], "kind": [None, *LABELS[1:]]}).write_parquet(tmp_path / "gap.parquet")
    with pytest.raises(ValueError, match=r"^y: .*gap.parquet has 1 gaps in the column 'kind'"):
        js.StreamedProblem.from_labels(tmp_path / "gap.parquet", "kind")


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"y": LABELS[:5]}, ValueError, r"^y: 5 rows for the 12 rows of X; give one for each sample"),
        ({"y": "kind"}, ValueError, r"^y: got the text 'kind', but X is no Parquet file, .*; give the labels, one for"),
        ({"X": "nowhere.npy"}, FileNotFoundError, "nowhere.npy"),
        ({"X": X.tolist()}, TypeError, r"^X: got .*; give a NumPy array, a memory map or the path of a file"),
        ({"X": X[:, :0]}, ValueError, r"^X: has the shape \(12, 0\)"),
        ({"dtype": "float16"}, TypeError, r"^dtype: got 'float16'; give 'float32' or 'float64'"),
        ({"dtype": "float64"}, ValueError, "x64"),
        ({"sample_weight": -np.ones(12)}, ValueError, "^sample_weight: "),
        ({"feature_names": ["u"]}, ValueError, "^feature_names: 1 names, expected 2"),
        ({"regularizer": 3}, TypeError, "^regularizer: "),
        ({"across_processes": "yes"}, TypeError, "^across_processes: "),
        ({"label_smoothing": 2}, ValueError, "^label_smoothing: "),
    ],
)
def test_bad_input_is_named(given, kind, words):
    options = {"X": X, "y": LABELS} | given
    with pytest.raises(kind, match=words):
        js.fit(js.StreamedProblem.from_labels(options.pop("X"), options.pop("y"), **options))


def test_the_same_problem_in_memory(tmp_path):
    """For what needs the numbers at hand; other calls name it."""
    np.save(tmp_path / "X.npy", X)
    options = {"sample_weight": np.arange(12), "regularizer": js.L2(0.5), "feature_names": ["u", "v"]}
    problem = js.StreamedProblem.from_labels(tmp_path / "X.npy", LABELS, label_smoothing="0.1", **options)
    dense, other = problem.to_dense(), js.Problem.from_labels(X, LABELS, label_smoothing="0.1", **options)
    for name in ("X", "T", "sample_weight"):
        np.testing.assert_array_equal(getattr(dense, name), getattr(other, name))
    assert repr(dense.regularizer) == repr(other.regularizer)
    assert (dense.feature_names, dense.dtype) == (other.feature_names, other.dtype)
    for call in (js.decide_existence, js.certify, js.hessian):
        with pytest.raises(TypeError, match=r"got a StreamedProblem, which only fit takes; .*problem\.to_dense"):
            call(np.zeros((3, 3)), problem) if call is js.hessian else call(problem)
