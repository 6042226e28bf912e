"""scikit-learn's contract, its conventions and its numbers; and what it does not say: that no fit exists."""

import itertools
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.made_fit import made_fit

sklearn = pytest.importorskip("sklearn")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import make_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

SoftmaxRegression = js.SoftmaxRegression


def data(K=3, N=120, D=5, seed=0):
    return make_classification(N, D, n_informative=D - 1, n_redundant=0, n_classes=K, flip_y=0.2, random_state=seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([SoftmaxRegression()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([SoftmaxRegression(C=1.0), js.SoftmaxRegressionCV(Cs=[1.0], cv=2)])
def test_scikit_learns_checks_with_a_penalty(estimator, check):
    check(estimator)


_SLOW = pytest.mark.slow


@pytest.mark.slow_cases("3-inf-False")
@pytest.mark.parametrize(
    ("K", "C", "weighted"),
    [
        (2, 1.0, True),
        (3, np.inf, False),
        pytest.param(2, np.inf, False, marks=_SLOW),
        pytest.param(3, 0.01, True, marks=_SLOW),
        pytest.param(5, np.inf, True, marks=_SLOW),
    ],
)
def test_coefficients_are_scikit_learns(K, C, weighted):
    """Its newton-cholesky at tolerance 1e-12, two classes with its one row and its penalty included."""
    X, y = data(K)
    s = np.random.default_rng(0).integers(1, 4, len(y)).astype(float) if weighted else None
    ours = SoftmaxRegression(C=C, class_weight="balanced").fit(X, y, s)
    theirs = LogisticRegression(C=C, class_weight="balanced", solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(
        X, y, s
    )
    size = np.max(np.abs(theirs.coef_))
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6 * size)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6 * size)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(ours.predict_log_proba(X), np.log(ours.predict_proba(X)), rtol=1e-12)


def test_separable_data_are_told_and_never_fitted_silently():
    """S9: the words of the verdict, as a warning, an error, nothing, or by smoothing."""
    X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"]
    with pytest.warns(ConvergenceWarning, match="keep growing"):
        model = SoftmaxRegression().fit(X, y)
    assert model.existence_.attained is False and model.fit_.status is js.Status.DIVERGING
    with pytest.raises(ValueError, match="keep growing"):
        SoftmaxRegression(on_separation="raise").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SoftmaxRegression(on_separation="ignore").fit(X, y).existence_.attained is False
        smooth = SoftmaxRegression(on_separation="smooth").fit(X, y)
        assert SoftmaxRegression(C=1.0).fit(X, y).existence_ is None
    assert smooth.fit_.converged and smooth.label_smoothing_ == "0.01" and smooth.existence_.attained is False
    by_hand = SoftmaxRegression(label_smoothing=0.01).fit(X, y)
    np.testing.assert_allclose(smooth.coef_, by_hand.coef_, rtol=1e-9)
    with pytest.raises(ValueError, match="on_separation"):
        SoftmaxRegression(on_separation="hope").fit(X, y)


@pytest.mark.slow
def test_a_matrix_of_probabilities_is_taken_as_targets():
    X, y = data()
    T = np.full((len(y), 3), 0.1)
    T[np.arange(len(y)), y] = 0.8
    model = SoftmaxRegression().fit(X, T)
    fit = js.fit(js.Problem(X, T, intercept=True, dtype="float32"))
    np.testing.assert_allclose(model.coef_, fit.coef, atol=1e-4)
    np.testing.assert_allclose(model.coef_, SoftmaxRegression(label_smoothing="3/10").fit(X, y).coef_, atol=1e-9)
    assert model.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="row 0"):
        SoftmaxRegression().fit(X, 2 * T)
    with pytest.raises(ValueError, match=r"class_weight.*sample_weight"):
        SoftmaxRegression(class_weight="balanced").fit(X, T)


@pytest.mark.slow
def test_columns_of_a_frame_keep_their_names():
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = SoftmaxRegression().fit(frame, np.array(["x", "y", "z"])[y])
    assert model.feature_names_in_.tolist() == list("abcde")
    assert model.fit_.feature_names == (*"abcde", "intercept") and model.fit_.classes == ("x", "y", "z")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("edcba")])
    np.testing.assert_array_equal(model.fit_.predict(frame[list("edcba")]), model.predict(frame))


@pytest.mark.slow
def test_arrays_of_jax_stay_arrays_of_jax():
    X, y = data()
    X = X.astype(np.float32)
    model = SoftmaxRegression(C=1.0).fit(jnp.asarray(X), y)
    for call in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        there = getattr(model, call)(jnp.asarray(X))
        assert isinstance(there, jax.Array)
        np.testing.assert_allclose(there, getattr(model, call)(X), atol=1e-4)
    with pytest.raises(ValueError, match=r"shape \(120, 4\), expected \(N, 5\)"):
        model.predict(jnp.asarray(X[:, :4]))
    with pytest.raises(ValueError, match=r"shape \(120, 4\), expected \(N, 5\)"):
        model.partial_fit(jnp.asarray(X[:, :4]), y)
    with jax.enable_x64(True):
        wide = SoftmaxRegression(C=1.0).fit(jnp.asarray(X, "float64"), y)
    np.testing.assert_allclose(wide.coef_, SoftmaxRegression(C=1.0).fit(X.astype("float64"), y).coef_, rtol=1e-9)


@pytest.mark.slow
def test_tensors_of_torch_stay_tensors():
    torch = pytest.importorskip("torch")
    X, y = data()
    model = SoftmaxRegression(C=1.0).fit(torch.from_numpy(X), y)
    found = model.predict_proba(torch.from_numpy(X))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), model.predict_proba(X), atol=1e-12)


@pytest.mark.slow
def test_it_works_inside_scikit_learn():
    """Pipelines, searches and calibration; a warm start begins at the last weights."""
    X, y = data(N=200)
    grid = {"softmaxregression__C": [0.01, 1.0]}
    search = GridSearchCV(make_pipeline(StandardScaler(), SoftmaxRegression()), grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.5
    probabilities = CalibratedClassifierCV(SoftmaxRegression(C=1.0), cv=2).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    model = SoftmaxRegression(C=1.0, warm_start=True).fit(X, y)
    assert model.n_iter_[0] > 1 and model.fit(X, y).n_iter_[0] <= 1
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.slow
def test_parts_of_the_data_train_step_by_step():
    """S16: each part's own loss falls."""
    X, y = data(N=200)
    model = SoftmaxRegression()
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X[:50], y[:50])
    losses = []
    for _ in range(20):
        model.partial_fit(X[:50], y[:50], classes=[0, 1, 2])
        losses.append(model.fit_.loss)
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))
    model.partial_fit(X[50:60], y[50:60])
    with pytest.raises(ValueError, match="not among classes"):
        SoftmaxRegression(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="differ from those"):
        model.partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"C": 0}, "C: got 0"),
        ({"C": -1.0}, "C: got -1.0"),
        ({"C": "1"}, "C: got '1'"),
        ({"C": 1.0, "alpha": 1.0}, "C and alpha are given"),
        ({"alpha": -1.0}, "alpha"),
        ({"class_weight": "even"}, 'give "balanced", a dict or None'),
        ({"class_weight": {7: 1.0}}, "7 is no class of y"),
        ({"class_weight": 3}, "class_weight"),
        ({"method": "newtno"}, "newton"),
        ({"max_iter": 0}, "max_iter: got 0"),
        ({"label_smoothing": 2}, "label_smoothing"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(options, words):
    X, y = data()
    with pytest.raises((TypeError, ValueError), match=words):
        SoftmaxRegression(**options).fit(X, y)


@pytest.mark.slow
def test_the_table_is_that_of_inference_and_is_not_stored():
    """S22; what is stored of a model leaves the data behind, and says so."""
    X, y = data(2)
    model = SoftmaxRegression().fit(X, y)
    table = model.summary(level=0.9)
    np.testing.assert_allclose(table.coefficients[0, :-1], model.coef_[0], rtol=1e-6)
    assert table.level == 0.9 and (table.standard_errors > 0).all()
    again = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match=r"stored and read again.*fit it again"):
        again.summary()
    with pytest.raises(ValueError, match="penalty"):
        SoftmaxRegression(C=1.0).fit(X, y).summary()
    with pytest.warns(ConvergenceWarning):
        separated = SoftmaxRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    assert np.isinf(separated.summary().coefficients).all()


def test_arrays_of_jax_predict_as_numpys_do():
    """Integers and booleans must not round the weights; NaN and infinities have no class."""
    whole = np.random.default_rng(1).integers(0, 5, size=(40, 2)).astype(np.uint8)
    W = np.array([[0.25, -0.4], [0.5, 0.75], [-0.3, 0.1]])
    model = SoftmaxRegression()._keep(made_fit(W=W, has_intercept=False, classes=(0, 1, 2), feature_names=None))
    model.classes_, model.n_features_in_ = np.arange(3), 2
    for X in (whole, whole > 2, whole.astype(np.int32), whole.astype(np.float16)):
        np.testing.assert_allclose(model.predict_proba(jnp.asarray(X)), model.predict_proba(X.astype(float)), rtol=1e-5)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="X: it holds NaN or infinities"):
            model.predict(jnp.array([[0.0, bad]]))


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        (np.full((4, 3), 0.6), {}, "^y: row 0 sums to"),
        ([0, 1, 2, 0], {"class_weight": {0: -1}}, "^class_weight: that of 0 is -1"),
        ([0, 1, 2, 0], {"class_weight": {0: "a"}}, "^class_weight: that of 0 is 'a'"),
        ([1, 1, 1, 1], {}, "^y: every label is 1"),
    ],
)
def test_what_is_refused_is_named_as_it_was_given(y, options, words):
    with pytest.raises(ValueError, match=words):
        js.SoftmaxRegression(**options).fit(np.eye(4), y)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["a", "b", "a", "b"], "X, column 'z': holds text.*get_dummies"),
        ([1.0, None, 2.0, 3.0], "X, column 'z': 1 cell is missing"),
    ],
)
def test_a_frames_faults_are_told_by_the_column(column, words):
    frame = pytest.importorskip("pandas").DataFrame({"a": [0.0, 1, 2, 3], "z": column})
    with pytest.raises((TypeError, ValueError), match=words):
        js.SoftmaxRegression().fit(frame, [0, 1, 0, 1])


def test_of_two_classes_equally_probable_the_first_is_predicted():
    """As for more classes, whose first largest score counts."""
    X, y = data(2)
    model = SoftmaxRegression(C=1.0).fit(X, y)
    model.coef_, model.intercept_ = np.zeros((1, 5)), np.zeros(1)
    assert model.predict(X[:1]).tolist() == [model.classes_[0]]
