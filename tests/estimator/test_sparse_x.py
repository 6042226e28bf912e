"""A sparse X stays sparse in the estimators: the minimum of the dense path, and words where none exists.

The namesake modules are `softmax_regression.py`, `softmax_regression_cv.py` and `predicting.py`.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse

import jaxsoftmax as js

sklearn = pytest.importorskip("sklearn")
pytestmark = pytest.mark.peers

from sklearn.exceptions import ConvergenceWarning  # noqa: E402

SoftmaxRegression = js.SoftmaxRegression


def data(K=3, dtype="float64"):
    """Overlapping classes, an empty row and an empty column."""
    rng = np.random.default_rng(K)
    A = np.round(2 * rng.normal(size=(60, 6)) * (rng.random((60, 6)) < 0.5), 1).astype(dtype)
    A[4], A[:, 2] = 0, 0
    return A, np.array(["u", "v", "w"])[rng.permutation(np.arange(60) % K)]


@pytest.fixture
def never_dense(monkeypatch):
    """Whoever makes a sparse matrix dense fails."""
    for kind in ("csr", "csc", "coo"):
        for suffix in ("array", "matrix"):
            monkeypatch.setattr(getattr(scipy.sparse, f"{kind}_{suffix}"), "toarray", None)


def slack(*fits):
    """‖W − Ŵ‖ for each is at most twice ‖g‖/μ near the minimiser; μ = 0.1 is below the penalty's and these data's."""
    return sum(2 * fit.gradient_norm for fit in fits) / 0.1


_SLOW = pytest.mark.slow
CASES = [
    {"C": 1.0},
    pytest.param({"C": 1.0, "class_weight": "balanced", "fit_intercept": False}, marks=_SLOW),
    {"alpha": 0.5, "class_weight": {"u": 2.0, "v": 0.5}},
    pytest.param({"regularizer": js.L2(0.5, penalize_intercept=True), "label_smoothing": "0.1"}, marks=_SLOW),
    pytest.param({"C": 1.0, "method": "newton-cg", "dtype": "float32"}, marks=_SLOW),
]


@pytest.mark.slow_cases("3-options0", "2-options0", "3-options2")
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("K", [2, 3])
def test_the_model_is_that_of_the_dense_path(options, K, never_dense):
    A, y = data(K)
    s = np.random.default_rng(0).integers(0, 4, 60).astype(float)
    dense = SoftmaxRegression(**options).fit(A, y, s)
    for kind in ("csr", "csc", "coo"):
        X = scipy.sparse.csr_array(A).asformat(kind)
        model = SoftmaxRegression(**options).fit(X, y, s)
        reach = slack(model.fit_, dense.fit_)
        assert model.fit_.converged
        assert model.fit_.inner_solves[0].preconditioner == "diagonal"
        assert model.existence_ is None
        assert model.coef_.shape == dense.coef_.shape
        assert np.linalg.norm(model.coef_ - dense.coef_) <= 2 * reach  # of two classes the rows' difference
        assert np.linalg.norm(_centred(model.intercept_) - _centred(dense.intercept_)) <= 2 * reach
        # A shift of the logits by δ moves a probability by δ/2 at most; |x| + 1 is below 20 here.
        assert np.max(np.abs(model.predict_proba(X) - dense.predict_proba(A))) <= 20 * reach
        scores = model.decision_function(X)
        assert np.max(np.abs(_centred(scores) - _centred(dense.decision_function(A)))) <= 40 * reach
        np.testing.assert_array_equal(model.predict(X), model.predict(A))
        assert model.score(X, y) == model.score(A, y)


def _centred(b):
    return b - b.mean(axis=-1, keepdims=True) if np.shape(b)[-1] == 3 else b


@_SLOW
def test_without_a_penalty_the_minimum_is_met_too():
    A, y = data()
    model, dense = SoftmaxRegression(tol=1e-12).fit(scipy.sparse.csr_array(A), y), SoftmaxRegression().fit(A, y)
    assert model.fit_.status is js.Status.GRADIENT_TOLERANCE
    # Newton's step from a gradient within 1e-9 of 0; the smallest curvature of these data exceeds 0.1.
    assert np.linalg.norm(model.coef_ - dense.coef_) <= slack(model.fit_, dense.fit_)
    table, expected = model.summary(), dense.summary()  # both end at gradients of rounding size
    np.testing.assert_allclose(table.coefficients, expected.coefficients, atol=1e-8)
    np.testing.assert_allclose(table.standard_errors, expected.standard_errors, atol=1e-8)


def test_separable_sparse_data_are_told_without_a_verdict():
    """S9: never silently; and the words say that no verdict was sought."""
    X, y = scipy.sparse.eye_array(6, format="csr"), ["a", "b", "c"] * 2
    with pytest.warns(ConvergenceWarning, match=r"keep growing; .* X is sparse, so no verdict .* X\.toarray\(\)"):
        model = SoftmaxRegression().fit(X, y)
    assert model.existence_ is None
    assert model.fit_.status is js.Status.DIVERGING
    with pytest.raises(ValueError, match=r"X is sparse, so no verdict(.|\n)*C=1\.0 adds a penalty"):
        SoftmaxRegression(on_separation="raise").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SoftmaxRegression(on_separation="ignore").fit(X, y).fit_.status is js.Status.DIVERGING
        smooth = SoftmaxRegression(on_separation="smooth").fit(X, y)
    assert smooth.label_smoothing_ == "0.01"
    by_hand = SoftmaxRegression(label_smoothing="0.01").fit(X, y)
    np.testing.assert_array_equal(smooth.coef_, by_hand.coef_)


def test_a_warm_start_begins_at_the_last_weights(never_dense):
    A, y = data()
    X = scipy.sparse.csr_array(A)
    model = SoftmaxRegression(C=1.0, warm_start=True).fit(X, y)
    first = model.n_iter_[0]
    assert model.fit(X, y).n_iter_[0] <= 1 < first


@_SLOW
def test_what_sparse_training_does_not_take_is_made_dense_and_is_as_before():
    A, y = data()
    X, T = scipy.sparse.csr_array(A), np.eye(3)[np.arange(60) % 3]
    for options, targets in (
        ({"method": "newton", "C": 1.0}, y),
        ({"regularizer": js.LogCosh(1.0, 1.0)}, y),
        ({"C": 1.0}, 0.9 * T + 0.1 / 3),
        ({"method": "adam", "batch_size": 20, "max_iter": 2, "random_state": 0, "C": 1.0}, y),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model, dense = (SoftmaxRegression(**options).fit(given, targets) for given in (X, A))
        np.testing.assert_array_equal(model.coef_, dense.coef_)
    parts = SoftmaxRegression().partial_fit(X, y, classes=["u", "v", "w"])
    np.testing.assert_array_equal(parts.coef_, SoftmaxRegression().partial_fit(A, y, classes=["u", "v", "w"]).coef_)


def test_a_dense_copy_that_cannot_fit_is_refused(monkeypatch):
    A, y = data()
    monkeypatch.setattr("jaxsoftmax.problem.arrays.shortage", lambda needed, *_: 1.0)
    with pytest.raises(ValueError, match="X: made dense, it needs"):
        SoftmaxRegression(method="newton").fit(scipy.sparse.csr_array(A), y)


@_SLOW
def test_folds_of_sparse_data_score_as_those_of_dense_data(never_dense):
    """Each fold's minimum is the same, so that with these margins the same samples are right."""
    A, y = data()
    s = np.random.default_rng(0).integers(1, 4, 60).astype(float)
    options = {"Cs": [0.01, 0.1, 1.0], "cv": 3, "class_weight": "balanced"}
    dense = js.SoftmaxRegressionCV(**options).fit(A, y, s)
    model = js.SoftmaxRegressionCV(**options).fit(scipy.sparse.coo_array(A), y, s)
    np.testing.assert_array_equal(model.scores_, dense.scores_)
    assert model.C_ == dense.C_
    assert model.fit_.inner_solves[0].preconditioner == "diagonal"
    assert np.linalg.norm(model.coef_ - dense.coef_) <= slack(model.fit_, dense.fit_)
