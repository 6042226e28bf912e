"""`fit` of sparse data: the minimum of the dense problem, what is said of it, and what is refused."""

import warnings

import jax
import numpy as np
import pytest
import scipy.sparse

import jaxsoftmax as js
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.training.sparse import fit as module

ALPHA = 0.5


def data(classes=3, seed=0):
    """Empty rows and columns, duplicates, weights with a 0."""
    rng = np.random.default_rng(seed)
    A = np.round(4 * rng.normal(size=(30, 8)) * (rng.random((30, 8)) < 0.4)) / 4
    A[4], A[:, 6] = 0, 0
    X = scipy.sparse.coo_array(A)
    halves = (np.r_[X.data / 2, X.data / 2], (np.tile(X.row, 2), np.tile(X.col, 2)))
    s = rng.uniform(0.5, 2, 30)
    s[3] = 0
    return scipy.sparse.coo_array(halves, A.shape), A, rng.permutation(np.arange(30) % classes), s


@pytest.mark.slow_cases(
    "2-0-True-float32",
    "3-0.05-True-float32",
    "3-0.05-False-float32",
    "2-0-False-float32",
    "3-0.05-True-float64",
    "2-0-False-float64",
    "3-0.05-False-float64",
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("classes", "smoothing"), [(3, "0.05"), (2, 0)])
def test_the_minimum_is_that_of_the_dense_problem(classes, smoothing, intercept, dtype):
    """S1, S13, S21a. Both are within ‖g‖/μ of the minimiser (twice, near it) and ‖g‖²/μ of the minimum.

    μ = 0.1 is below the smallest curvature: the penalty's is 1/2, the intercepts' some units.
    """
    X, A, y, s = data(classes)
    options = {"intercept": intercept, "sample_weight": s, "regularizer": js.L2(ALPHA), "label_smoothing": smoothing}
    with jax.enable_x64(True):
        found = js.fit(js.SparseProblem.from_labels(X, y, dtype=dtype, **options))
        twin = js.fit(js.Problem.from_labels(A, y, **options), "newton")
        problem = js.Problem.from_labels(A, y, **options)
        assert abs(float(js.loss(found.W, problem)) - found.loss) <= 1e-13 * found.loss
        g = np.asarray(js.gradient(found.W, problem))
    assert found.status is js.Status.GRADIENT_TOLERANCE
    assert found.converged
    assert found.q_estimate < 1
    assert "Converged" in found.reason
    np.testing.assert_allclose(found.gradient_norm, np.linalg.norm(g), rtol=0, atol=1e-13)
    reach = found.gradient_norm + twin.gradient_norm
    assert np.linalg.norm(found.W - found.W.mean(0) - twin.W + twin.W.mean(0)) <= 2 * reach / 0.1
    assert abs(found.loss - twin.loss) <= reach**2 / 0.1 + 1e-13 * twin.loss
    assert found.gap_estimate <= 2 * reach**2 / 0.1 + 1e-20
    limit = np.finfo(dtype).eps ** (2 / 3)
    assert found.scaled_gradient <= 2 * limit  # twice: float32 data are rounded
    a = s @ np.abs(A) + ALPHA
    a = np.r_[a, s.sum()] if intercept else a
    np.testing.assert_allclose(found.scaled_gradient, np.max(np.abs(g) / a), rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_what_is_said_is_what_other_fits_say():
    """History, words, labels, names, predictions of new sparse samples."""
    X, A, y, _ = data()
    labels = np.array(["ham", "spam", "eggs"])[y]
    names = [f"w{i}" for i in range(8)]
    result = js.fit(js.SparseProblem.from_labels(X, labels, regularizer=js.L2(1.0), feature_names=names))
    assert result.history["step"].tolist() == list(range(result.steps + 1))
    assert set(result.history) == {"step", "loss", "gradient_norm", "weight_norm", "step_size"}
    assert result.feature_names == (*names, "intercept")
    assert result.classes == ("eggs", "ham", "spam")
    assert result.W.dtype == np.float64
    assert "the Hessian's diagonal, anew at each step" in " ".join(str(result).split())
    assert result.predict(X).tolist() == result.predict(A).tolist()
    assert result.to_dict()["inner_solves"][0]["preconditioner"] == "diagonal"


def test_a_start_is_taken_and_its_common_part_ends_at_zero():
    """S21a: what all classes share is not seen by the data, and it is 0 from the start under a penalty."""
    X, _, y, _ = data()
    with jax.enable_x64(True):
        problem = js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0))
        result = js.fit(problem, W0=np.ones((3, 9)))
        again = js.fit(problem, "newton-cg", W0=result.W)
    assert result.converged
    assert np.abs(result.W[:, :-1].sum(axis=0)).max() <= 1e-9
    assert again.steps <= 1


def test_a_loose_tolerance_ends_as_soon_as_it_is_reached():
    X, _, y, _ = data()
    problem = js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0))
    loose, tight = js.fit(problem, tol=1e-2), js.fit(problem)
    assert loose.status is js.Status.GRADIENT_TOLERANCE
    assert tight.scaled_gradient < loose.scaled_gradient <= 2e-2
    assert loose.steps < tight.steps
    assert loose.loss - tight.loss <= 2 * loose.gap_estimate


@pytest.mark.slow
def test_the_gap_is_that_of_the_data_where_float32_rounds_the_gradient():
    """λ²/2 of S13: a far column hides the intercept, and what is left of it, from a float32 gradient."""
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(300, 6)), rng.integers(3, size=300)
    A[:, 0] += 1e3
    X = scipy.sparse.csr_array(A)
    rounded = js.fit(js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0), dtype="float32"))
    with jax.enable_x64(True):
        best = js.fit(js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0), dtype="float64"), tol=1e-13)
    true = rounded.loss - best.loss
    assert not rounded.converged and true > 1e-6
    # S8: λ²/2 is the gap up to a factor e^ρ, and the logits of a step with λ = 0.01 move by some hundredths.
    assert rounded.gap_estimate == pytest.approx(true, rel=0.05)


def test_separable_data_without_a_penalty_never_converge():
    """S9: W separates the classes in the end; and the step limit is said where it comes first."""
    X = scipy.sparse.eye_array(6, format="csr")
    problem = js.SparseProblem.from_labels(X, [0, 1, 2, 0, 1, 2])
    with pytest.warns(js.NoMinimizerWarning, match=r"problem\.to_dense"):
        result = js.fit(problem)
    assert result.status is js.Status.DIVERGING
    assert not result.converged
    assert result.q_estimate is None
    assert "S13's q is not evaluated" in result.reason
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", js.NoMinimizerWarning)
        assert not js.fit(problem, max_steps=1).converged


@pytest.mark.slow
def test_an_absent_class_beside_a_free_intercept_never_converges():
    """S21a: its intercept falls without end, and nothing held says otherwise."""
    X, _, y, _ = data()
    problem = js.SparseProblem.from_labels(X, y, classes=[0, 1, 2, 7], regularizer=js.L2(1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", js.NoMinimizerWarning)
        result = js.fit(problem)
    assert not result.converged
    assert result.q_estimate >= 1


def test_a_minimiser_is_certain_where_a_theorem_says_so():
    """S9, S21: smoothing; a penalty on all, or on the features where every class has a sample of positive weight."""
    X, _, y, s = data()
    cases = [
        ({"regularizer": js.L2(1.0)}, True),
        ({}, False),
        ({"intercept": False}, False),
        ({"label_smoothing": "0.1"}, True),
        ({"regularizer": js.L2(1.0), "classes": [0, 1, 2, 3]}, False),
        ({"regularizer": js.L2(1.0), "sample_weight": s * (y > 0)}, False),
        ({"regularizer": js.L2(1.0, penalize_intercept=True), "classes": [0, 1, 2, 3]}, True),
        ({"regularizer": js.L2(1.0), "classes": [0, 1, 2, 3], "intercept": False}, True),
        ({"regularizer": js.L2(0.0)}, False),
    ]
    for options, certain in cases:
        assert module.attains_for_certain(js.SparseProblem.from_labels(X, y, **options)) is certain


@pytest.mark.parametrize(
    ("dtype", "factor", "words"),
    [
        (
            "float64",
            1e200,
            r"column 1 \('w1'\) has numbers too large for float64: .*; rescale that column\.$",
        ),
        ("float64", 1e-200, "column 1 .* too small for float64"),
        ("float32", 1e30, "column 1 .* too large for float32.*, or choose the dtype 'float64'"),
        ("float32", 1e-200, "column 1 .* too small for float32"),
    ],
)
def test_columns_whose_squares_leave_the_dtype_are_refused_by_name(dtype, factor, words):
    """Their curvature is 0 or infinite there, and the fit would be of other data; beside a penalty tiny ones are 0."""
    _, A, y, _ = data()
    scaled = scipy.sparse.csr_array(A * np.where(np.arange(8) == 1, factor, 1))
    with jax.enable_x64(True):
        options = {"dtype": dtype, "feature_names": [f"w{i}" for i in range(8)]}
        with pytest.raises(WrongValue, match=words):
            js.fit(js.SparseProblem.from_labels(scaled, y, **options))
        held = js.SparseProblem.from_labels(scaled, y, regularizer=js.L2(1.0), **options)
        if factor > 1:
            with pytest.raises(WrongValue, match=words):
                js.fit(held)
        else:
            found = js.fit(held)
            assert found.converged
            assert np.all(np.abs(found.W[:, 1]) <= 30 * np.abs(scaled.data).max() * factor)  # |w| <= Σ|x|/α


def test_a_start_at_the_edge_of_the_dtype_ends_without_a_claim_and_without_numpys_warnings():
    X, _, y, _ = data()
    problem = js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0), dtype="float32")
    assert not js.fit(problem, W0=np.full((3, 9), 1e30), max_steps=3).converged


def test_a_fit_inside_jit_is_refused():
    X, _, y, _ = data()
    problem = js.SparseProblem.from_labels(X, y)
    with pytest.raises(WrongType, match="fit was called inside jit"):
        jax.jit(lambda: js.fit(problem).W)()


def test_whole_weights_are_those_of_repeated_samples():
    """S1. Both end within 2‖g‖/μ of the minimiser, μ = 0.1 below the smallest curvature."""
    X, A, y, _ = data()
    counts = np.arange(30) % 3
    with jax.enable_x64(True):
        found = js.fit(js.SparseProblem.from_labels(X, y, sample_weight=counts, regularizer=js.L2(ALPHA)))
        again = scipy.sparse.csr_array(A.repeat(counts, axis=0))
        twin = js.fit(js.SparseProblem.from_labels(again, y.repeat(counts), regularizer=js.L2(ALPHA)))
    reach = 2 * (found.gradient_norm + twin.gradient_norm) / 0.1
    assert np.linalg.norm(found.W - found.W.mean(0) - twin.W + twin.W.mean(0)) <= reach


def test_data_without_a_penalty_say_why_q_is_empty():
    X, _, y, _ = data()
    result = js.fit(js.SparseProblem.from_labels(X, y, label_smoothing="0.1"))
    assert (result.status.name, result.converged, result.q_estimate) == ("GRADIENT_TOLERANCE", False, None)
    assert "S13's q is not evaluated" in result.reason
    assert "A minimiser exists (S9, S21)" in result.reason


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "gd"}, WrongValue, "but X is sparse; leave it out, or give 'newton-cg'"),
        ({"whiten": True}, WrongValue, "whiten: got True"),
        ({"batch_size": 2}, WrongValue, "batch_size: got 2"),
        ({"learning_rate": 0.1}, WrongValue, "learning_rate: got 0.1"),
        ({"tol": -1}, WrongValue, "tol: got -1"),
        ({"max_steps": 0}, WrongValue, "max_steps: got 0"),
        ({"W0": np.zeros((3, 8))}, WrongValue, "the intercept column is missing"),
        ({"progress": 3}, WrongType, "give a function"),
    ],
)
def test_what_cannot_be_used_is_refused(options, error, words):
    X, _, y, _ = data()
    with pytest.raises(error, match=words):
        js.fit(js.SparseProblem.from_labels(X, y), **options)


def test_what_cannot_fit_is_refused_with_an_estimate(monkeypatch):
    X, _, y, _ = data()
    monkeypatch.setattr(module, "shortage", lambda needed: 1.0)
    with pytest.raises(ValueError, match=r"on 30 samples, 9 columns and 3 classes needs about .* MB"):
        js.fit(js.SparseProblem.from_labels(X, y))


def test_progress_is_told_and_ctrl_c_keeps_what_was_done():
    X, _, y, _ = data()

    def stop(progress):
        assert progress.max_steps == 200
        raise KeyboardInterrupt

    result = js.fit(js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0)), progress=stop)
    assert (result.status, result.steps) == (js.Status.INTERRUPTED, 0)
    assert not result.W.any()


def test_ctrl_c_at_the_end_point_is_told(monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    X, _, y, _ = data()
    problem = js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0))
    assert not js.fit(problem).interrupted
    monkeypatch.setattr(module, "evaluate", stop)
    assert js.fit(problem).interrupted


def test_new_sparse_samples_are_never_made_dense(monkeypatch):
    """And their logits are those of the dense rows: sums of 9 terms."""
    X, A, y, _ = data()
    fit = js.fit(js.SparseProblem.from_labels(X, y, regularizer=js.L2(1.0)))
    expected = fit.logits(A)
    slack = 2 * 9 * np.finfo(float).eps * (np.abs(A) @ np.abs(fit.coef.T) + np.abs(fit.intercept))
    for kind in ("coo", "csr", "csc"):
        monkeypatch.setattr(getattr(scipy.sparse, f"{kind}_array"), "toarray", None)
    for given in (X, X.tocsc(), X.tocsr().astype("float32")):
        found = fit.logits(given)
        assert found.dtype == np.float64
        assert np.all(np.abs(found - expected) <= slack)
        np.testing.assert_array_equal(fit.predict(given), expected.argmax(axis=1))
