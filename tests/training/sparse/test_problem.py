"""`SparseProblem`: the fields that `Problem.from_labels` has, what is refused, and what other calls say of it."""

import jax
import numpy as np
import pytest
import scipy.sparse

import jaxsoftmax as js
from jaxsoftmax.support.errors import WrongType, WrongValue

A = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0], [3.0, -1.0]])
X, y = scipy.sparse.csr_array(A), ["b", "a", "b", "a"]
make = js.SparseProblem.from_labels


def test_the_dense_problem_is_the_same_one():
    """Shapes, classes, names, exact targets, weights, penalties and dtype are those that Problem.from_labels makes."""
    options = {"classes": ["c", "b", "a"], "label_smoothing": "1/10", "sample_weight": [1, 2, 0, 1]}
    options |= {"regularizer": js.L2(0.5) + js.L2(0.25, penalize_intercept=True), "feature_names": ["u", "v"]}
    sparse, dense = make(X, y, **options), js.Problem.from_labels(A, y, **options)
    again = sparse.to_dense()
    assert sparse.shape == dense.shape == again.shape == (4, 3, 3)
    assert sparse.strengths == (0.75, 0.25)
    assert sparse.dtype == dense.dtype == again.dtype
    assert sparse.feature_names == dense.feature_names == again.feature_names == ("u", "v", "intercept")
    assert sparse.classes.tolist() == dense.classes.tolist() == again.classes.tolist()
    for one, other in ((dense.X, again.X), (dense.sample_weight, again.sample_weight), (dense.T, again.T)):
        assert np.array_equal(one, other)
    assert np.array_equal(dense.exact_targets()[0], again.exact_targets()[0])


@pytest.mark.parametrize("given", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("x64", [False, True])
def test_the_compute_dtype_is_that_of_the_dense_problem(given, x64):
    with jax.enable_x64(x64):
        assert make(abs(X).astype(given), y).dtype == js.Problem.from_labels(np.abs(A).astype(given), y).dtype


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"regularizer": js.LogCosh(1.0, 1.0)}, WrongValue, "but X is sparse; give js.L2"),
        ({"regularizer": js.SelfRegularizer(1.0)}, WrongValue, "but X is sparse; give js.L2"),
        ({"regularizer": 1.0}, WrongType, "regularizer"),
        ({"sample_weight": [1, 1, -1, 1]}, WrongValue, "sample_weight: entry 2 is -1"),
        ({"dtype": "bfloat16"}, WrongValue, "give 'float32' or 'float64'"),
        ({"dtype": "float64"}, WrongValue, "x64 is off"),
        ({"intercept": 1}, WrongType, "give True or False"),
        ({"feature_names": ["u"]}, WrongValue, "1 names, expected 2"),
        ({"label_smoothing": 2}, WrongValue, r"in \[0, 1\]"),
        ({"classes": ["a"]}, WrongValue, "not among classes"),
    ],
)
def test_what_cannot_be_used_is_refused(options, error, words):
    with jax.enable_x64(False), pytest.raises(error, match=words):
        make(X, y, **options)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(WrongValue, match="y: 3 rows for the 4 rows of X"):
        make(X, y[:3])
    with pytest.raises(WrongValue, match="has no numbers"):
        make(scipy.sparse.csr_array((4, 0)), y, intercept=False)


@pytest.mark.parametrize(
    "call",
    [
        js.decide_existence,
        js.curvature_bound,
        js.certify,
        lambda problem: js.loss(np.zeros((2, 3)), problem),
        js.fit_many,
        lambda problem: js.fit_many([problem.to_dense(), problem]),
        lambda problem: js.fit_path(problem, [1.0]),
        lambda problem: js.inference(problem, js.fit(problem.to_dense())),
        lambda problem: js.laplace(problem, js.fit(problem.to_dense())),
    ],
)
@pytest.mark.filterwarnings("ignore::jaxsoftmax.NoMinimizerWarning")
def test_other_calls_refuse_it_and_name_the_remedy(call):
    with pytest.raises(WrongType, match=r"got a SparseProblem, which only fit takes; .* use problem\.to_dense\(\)"):
        call(make(X, y))


def test_the_refusal_of_a_dense_copy_names_the_sparse_problem(monkeypatch):
    monkeypatch.setattr("jaxsoftmax.problem.arrays.shortage", lambda needed, *_: 1.0)
    with pytest.raises(WrongValue, match=r"made dense, it needs .* js\.SparseProblem\.from_labels"):
        js.Problem.from_labels(X, y)


def test_smoothed_targets_are_those_of_the_dense_problem():
    """S21(c), exactly, smoothed twice too."""
    once, twice = make(X, y).smoothed("0.1"), make(X, y, label_smoothing="0.1").smoothed(0.5)
    for found, expected in ((once, "0.1"), (twice, "11/20")):  # 1 − (1 − 1/10)(1 − 1/2)
        same = js.Problem.from_labels(A, y, label_smoothing=expected)
        np.testing.assert_array_equal(found.to_dense().T, same.T)
    with pytest.raises(WrongValue, match="eps"):
        once.smoothed(2)
