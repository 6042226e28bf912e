"""`fit_many` (S8, S13): every lane of the compiled call ends where `fit` of its own problem does, and says the same.

A run that ends at q < 1 is, by S13, so near the minimiser that no log-odds of a sample differs from that of the
minimiser by more than −log(1 − q); two runs differ by no more than the sum, at most 1.2 (q + q') below 0.3.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.training.columns import exact_data, working_columns
from jaxsoftmax.training.end_point import evaluate, radius_factor, slope_at
from jaxsoftmax.training.loop.run import GRADIENT_TOLERANCE, start
from jaxsoftmax.training.many import fit_many as front
from jaxsoftmax.training.many import run_lanes
from jaxsoftmax.training.many.batch import batch_of
from jaxsoftmax.training.many.lanes import METHOD

RNG = np.random.default_rng(7)
N, D, C = 40, 3, 3
X = RNG.normal(size=(N, D))
LABELS = RNG.integers(C, size=N)
PROBLEM = js.Problem.from_labels(X, LABELS)
COUNTS = RNG.multinomial(N, np.full(N, 1 / N), size=3)
EPS = float(np.finfo(np.float64).eps)


def refused(call, name):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: "):
        call()


def same(found, X, y, **options):
    """The lane against `fit` of its problem alone, in float64."""
    make = js.Problem.from_labels if np.ndim(y) == 1 else js.Problem
    with jax.enable_x64(True):
        problem = make(X, y, **options)
        alone = js.fit(problem, "newton", tol=1e-12)
    assert found.status is alone.status and found.converged and found.reason == alone.reason
    gaps = found.gap_estimate + alone.gap_estimate
    assert found.loss == pytest.approx(alone.loss, rel=1e-13, abs=1.1 * gaps)
    apart = found.q_estimate + alone.q_estimate
    assert apart < 0.3
    odds, others = (fit.logits(X) - fit.logits(X)[:, :1] for fit in (found, alone))
    rounding = 4 * EPS * np.max(np.abs(np.column_stack([X, np.ones(len(X))])) @ np.abs(alone.W.T))
    np.testing.assert_allclose(odds, others, rtol=0, atol=1.2 * apart + rounding)
    assert found.classes == alone.classes and found.feature_names == alone.feature_names
    assert found.has_intercept == alone.has_intercept and found.method == alone.method


@pytest.mark.slow
def test_weights_make_bootstrap_samples_folds_and_groups():
    fits = js.fit_many(PROBLEM, sample_weights=COUNTS)
    for counts, found in zip(COUNTS, fits, strict=True):
        same(found, X, LABELS, sample_weight=counts)


@pytest.mark.slow
def test_fits_differ_by_penalties_some_of_strength_zero():
    """S21: lanes in which other penalties act have another null space (S6), and are trained apart."""
    penalties = [js.L2(0.5), js.L2(0.0), js.L2(3.0)]
    fits = js.fit_many(PROBLEM, regularizers=penalties)
    for penalty, found in zip(penalties, fits, strict=True):
        same(found, X, LABELS, regularizer=penalty)


@pytest.mark.slow
@pytest.mark.parametrize("made", [lambda a: js.LogCosh(a, 1.0), js.SelfRegularizer], ids=["log-cosh", "self"])
def test_every_penalty_has_its_q(made):
    """S13, S21b, S21d: of log-cosh the whole space counts, which only the dense evaluation does."""
    penalties = [made(0.5), made(2.0)]
    for penalty, found in zip(penalties, js.fit_many(PROBLEM, regularizers=penalties), strict=True):
        same(found, X, LABELS, regularizer=penalty)


def test_the_samples_of_a_self_regulariser_count_in_the_radius_factor_of_a_lane(x64):
    """S13, S21d: β = √2 max(‖x‖, |γ|)/σ over samples and the regulariser's own, as `fit` has it."""
    small = js.Problem.from_labels(1e-3 * X, LABELS, intercept=False)
    lanes = run_lanes.lanes_of(batch_of(small, None, [js.SelfRegularizer(-100.0)]), [0])
    expected = radius_factor(lanes.problem_at(0), np.asarray(lanes.constants[0].scale))
    assert lanes.beta(0) == pytest.approx(expected, rel=1e-14)


def test_what_a_penalty_leaves_of_the_gauge_is_in_q(x64):
    """S3, S13: where a run ends off the gauge, its part Σ_d (1ᵀg_d)²/(C a_d), here C α v² for v = 1, is beside ‖g‖²."""
    batch, alpha, curvature = batch_of(PROBLEM, None, [js.L2(0.5)]), 0.5, 1e4
    lanes = run_lanes.lanes_of(batch, [0])
    problem = lanes.problem_at(0)
    at = np.ones((C, D + 1)) * [1, 1, 1, 0]
    raw = start(METHOD, placement(problem), problem, jnp.asarray(at), lanes.constants[0], 4)
    raw = raw._replace(status=np.int32(GRADIENT_TOLERANCE), decrement=np.float64(0), spread=np.float64(0))
    limits = front.limits_of(None, None)
    found = run_lanes._finished(lanes, 0, METHOD, jax.tree.map(np.asarray, raw._replace(state=())), curvature, limits)
    g = np.asarray(js.gradient(at, problem))
    inner = np.sum(((g - g.mean(axis=0)) / np.asarray(lanes.constants[0].scale)) ** 2)
    gauge = C * alpha * D
    assert curvature * gauge > 0.1 * inner
    assert found.q_estimate == pytest.approx(lanes.beta(0) * (inner + curvature * gauge) ** 0.5 / curvature, rel=1e-12)
    assert found.q_estimate < 1  # else it would be evaluated once more


@pytest.mark.slow
def test_weights_and_penalties_go_together_and_a_start_may_be_given():
    penalties = [js.L2(1.0), js.L2(2.0), js.L2(3.0)]
    start = js.fit(PROBLEM).W
    fits = js.fit_many(PROBLEM, sample_weights=COUNTS, regularizers=penalties, W0=start, tol=1e-13)
    for counts, penalty, found in zip(COUNTS, penalties, fits, strict=True):
        same(found, X, LABELS, sample_weight=counts, regularizer=penalty)
    again = js.fit_many(PROBLEM, sample_weights=COUNTS, regularizers=penalties, W0=fits.W, tol=1e-13)
    assert (again.steps <= 1).all() and fits.steps.min() > 1


@pytest.mark.slow
def test_problems_of_their_own_data_and_sizes():
    """Labels, smoothed labels and probability rows side by side; a far offset in one of them alone."""
    rows = RNG.dirichlet(np.ones(C), size=25)
    options = {"intercept": True, "classes": range(C)}
    parts = [
        (X + np.array([1e6, 0, 0]), LABELS, options),
        (X[:33], LABELS[:33], options | {"label_smoothing": 0.1}),
        (X[:25], rows, options),
    ]
    problems = [(js.Problem.from_labels if y.ndim == 1 else js.Problem)(x, y, **more) for x, y, more in parts]
    for (x, y, more), found in zip(parts, js.fit_many(problems, tol=1e-12), strict=True):
        same(found, x, y, **more)
    alike = js.fit_many(problems[:2])
    assert alike.converged.all() and alike[1].loss == pytest.approx(js.fit(problems[1]).loss, rel=1e-6)


@pytest.mark.slow
def test_a_lane_without_a_minimiser_is_told_and_leaves_the_others_alone():
    """S9: the weights of a lane that keeps two samples of different labels run away."""
    keep = np.zeros(N)
    keep[[np.flatnonzero(LABELS == c)[0] for c in range(C)]] = 1
    with pytest.warns(js.NoMinimizerWarning, match=r"fit_many: in 1 of 3 fits the weights keep growing"):
        fits = js.fit_many(PROBLEM, sample_weights=[np.ones(N), keep, COUNTS[0]])
    assert [one.name for one in fits.status] == ["GRADIENT_TOLERANCE", "DIVERGING", "GRADIENT_TOLERANCE"]
    assert not fits[1].converged and fits[1].existence is None
    assert js.decide_existence(fits.problem(1)).attained is False
    same(fits[0], X, LABELS)
    same(fits[2], X, LABELS, sample_weight=COUNTS[0])


@pytest.mark.slow
def test_a_lane_whose_samples_span_less():
    """S6: where a column vanishes under the weights, the lane's null space is larger than the batch's."""
    tail = np.column_stack([X, np.arange(N) >= N - 15])
    problem = js.Problem.from_labels(tail, LABELS)
    weights = np.array([np.ones(N), np.arange(N) < N - 15])
    for s, found in zip(weights, js.fit_many(problem, sample_weights=weights), strict=True):
        same(found, tail, LABELS, sample_weight=s)


@pytest.mark.slow
def test_what_is_said_is_said_of_the_weights_returned():
    """At offsets of 10⁹ the intercept is rounded by 10⁻⁷: loss and gradient are those after that, as in `fit`."""
    problem = js.Problem.from_labels(X + np.array([1e9, 0, 0]), LABELS)
    for place, found in enumerate(js.fit_many(problem, sample_weights=COUNTS[:2])):
        with jax.enable_x64(True):
            lane = js.Problem.from_labels(problem.host.X, LABELS, sample_weight=COUNTS[place])
            columns = working_columns(lane)
            end = slope_at(exact_data(lane, columns), columns.inward(found.W - found.W[:1]))
        assert found.loss == pytest.approx(end.loss, rel=1e-13)
        assert found.converged and found.gradient_norm > 1e-9  # what the rounding of the intercept leaves


@pytest.mark.slow
def test_far_features_are_judged_at_the_weights_returned_with_what_rounding_their_intercept_leaves(monkeypatch):
    """S3, S13: at an offset of 10¹² no intercept in doubles has a smaller gradient; a penalty is that of W itself.

    So the batch settles both: none is trained again alone.
    """
    monkeypatch.setattr(front, "fit", None)
    far = js.Problem.from_labels(X + np.array([1e12, 0, 0]), LABELS)
    free, held = js.fit_many(far, regularizers=[js.L2(0.0), js.L2(0.3)])
    assert [one.status.name for one in (free, held)] == ["GRADIENT_TOLERANCE"] * 2
    with jax.enable_x64(True):
        lane = js.Problem.from_labels(far.host.X, LABELS, regularizer=js.L2(0.3))
        columns = working_columns(lane)
        end = slope_at(exact_data(lane, columns), columns.inward(held.W))
    assert held.loss == pytest.approx(end.loss, rel=1e-13)


@pytest.mark.slow
def test_a_problem_that_jax_has_rebuilt_is_a_batch_too():
    """Without the data as given; the lanes are those of the stored numbers."""
    rebuilt = jax.tree.map(lambda leaf: leaf, PROBLEM)
    fits = js.fit_many(rebuilt, sample_weights=COUNTS)
    np.testing.assert_allclose(fits.loss, js.fit_many(PROBLEM, sample_weights=COUNTS).loss, rtol=1e-5)


@pytest.mark.slow
def test_a_lane_of_other_units_is_trained_again_alone():
    """Groups in their own units: the columns that all share suit one of them, and `fit` settles the others."""
    group = np.arange(N) % 2
    mixed = X * np.where(group == 1, 1e6, 1e-6)[:, None]
    weights = np.array([group == 0, group == 1])
    fits = js.fit_many(js.Problem.from_labels(mixed, LABELS), sample_weights=weights)
    for s, found in zip(weights, fits, strict=True):
        assert found.converged
        same(found, mixed, LABELS, sample_weight=s)


@pytest.mark.slow
def test_q_is_that_of_the_eigenvalues_with_the_trace_of_the_inverse_for_the_smallest():
    """S13: β‖g‖ (Σ 1/λ + D/λ̄), λ̄ their mean over all C·D directions, on the D gauge directions that A fills up."""
    weights, n = RNG.uniform(0.5, 1.5, size=(3, N)), C * (D + 1)
    for s, found in zip(weights, js.fit_many(PROBLEM, sample_weights=weights, tol=1e-3), strict=True):
        with jax.enable_x64(True):
            lane = js.Problem.from_labels(X, LABELS, sample_weight=s)
            data = exact_data(lane, working_columns(lane))
            exact = evaluate(data, found.W, slope_at(data, found.W)).q
            inverse = np.tile(1 / np.asarray(feature_scale(lane)), C)
            H = np.asarray(js.hessian(found.W, lane).to_dense()) * inverse * inverse[:, None]
        Q = np.kron(js.helmert(C), np.eye(D + 1))
        values = np.linalg.eigvalsh(Q @ H @ Q.T)
        wanted = exact * values[0] * (np.sum(1 / values) + (D + 1) * n / values.sum())
        rounded = 10 * EPS * (8 + N**0.5) * N / found.gradient_norm  # of the gradient, relative
        assert found.q_estimate == pytest.approx(wanted, rel=rounded) and rounded < 1e-3


def test_blocks_of_lanes_and_progress(monkeypatch):
    """The lanes go through the compiled call in blocks of one length; the last is filled up and cut off again."""
    fits, told = js.fit_many(PROBLEM, sample_weights=COUNTS, tol=1e-12), []
    monkeypatch.setattr(run_lanes, "MOST_NUMBERS", 2 * 4 * (C * (D + 1)) ** 2)
    few = js.fit_many(PROBLEM, sample_weights=COUNTS, tol=1e-12, progress=lambda *done: told.append(done))
    assert told == [(2, 3), (3, 3)]
    np.testing.assert_allclose(few.W, fits.W, rtol=0, atol=1e-9)
    assert list(run_lanes.blocks_of([0, 1, 2], PROBLEM)) == [[0, 1], [2, 2]]


@pytest.mark.slow
def test_problems_too_large_for_the_dense_hessian_are_trained_one_by_one(monkeypatch):
    fits = js.fit_many(PROBLEM, sample_weights=COUNTS[:2])
    monkeypatch.setattr(front, "is_dense", lambda problem: False)
    monkeypatch.setattr(front, "trained", None)
    alone = js.fit_many(PROBLEM, sample_weights=COUNTS[:2], tol=1e-7)
    np.testing.assert_allclose(alone.loss, fits.loss, rtol=1e-6)
    assert alone.problem(-1).host.sample_weight.tolist() == COUNTS[1].tolist()


def test_the_numbers_are_arrays_and_the_report_counts():
    fits = js.fit_many(PROBLEM, sample_weights=COUNTS)
    assert fits.W.shape == (3, C, D + 1) and fits.coef.shape == (3, C, D) and fits.intercept.shape == (3, C)
    for name in ("loss", "scaled_gradient", "gap_estimate", "q_estimate", "steps", "converged"):
        assert getattr(fits, name).tolist() == [getattr(one, name) for one in fits]
    text = repr(fits)
    assert "3 fits by newton" in text and "3 GRADIENT_TOLERANCE" in text and "3 of 3" in text
    assert len(fits[:2]) == 2 and len(fits) == 3
    with pytest.raises(IndexError):
        fits.problem(3)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "problems"),
        ({"sample_weights": np.ones(N)}, "sample_weights"),
        ({"sample_weights": np.ones((2, N - 1))}, "sample_weights"),
        ({"sample_weights": [np.zeros(N)]}, "sample_weights"),
        ({"sample_weights": [-np.ones(N)]}, "sample_weights"),
        ({"sample_weights": [np.full(N, np.nan)]}, "sample_weights"),
        ({"sample_weights": "ones"}, "sample_weights"),
        ({"sample_weights": COUNTS * 1j}, "sample_weights"),
        ({"sample_weights": COUNTS, "W0": [[1.0], [1.0, 2.0]]}, "W0"),
        ({"sample_weights": COUNTS, "W0": np.full((C, D + 1), np.nan)}, "W0"),
        ({"regularizers": js.L2(1.0)}, "regularizers"),
        ({"regularizers": []}, "regularizers"),
        ({"regularizers": [js.L2(1.0), js.LogCosh(1.0, 1.0)]}, "regularizers"),
        ({"regularizers": [js.L2(1.0)] * 2, "sample_weights": COUNTS}, "regularizers"),
        ({"sample_weights": COUNTS, "W0": np.zeros((2, C, D + 1))}, "W0"),
        ({"sample_weights": COUNTS, "max_steps": 0}, "max_steps"),
        ({"sample_weights": COUNTS, "tol": -1.0}, "tol"),
        ({"sample_weights": COUNTS, "progress": 3}, "progress"),
    ],
)
def test_bad_input(arguments, name):
    refused(lambda: js.fit_many(PROBLEM, **arguments), name)


@pytest.mark.parametrize(
    "problems",
    [
        [],
        3,
        [PROBLEM, "x"],
        [PROBLEM, js.Problem.from_labels(X[:, :2], LABELS)],
        [PROBLEM, js.Problem.from_labels(X, LABELS > 0)],
        [PROBLEM, js.Problem.from_labels(X, LABELS, regularizer=js.L2(1.0))],
    ],
)
def test_problems_that_are_no_batch(problems):
    refused(lambda: js.fit_many(problems), "problems")


def test_a_list_of_problems_takes_no_weights_beside():
    refused(lambda: js.fit_many([PROBLEM], sample_weights=COUNTS), "sample_weights")


def test_nothing_is_warned_of_where_all_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        js.fit_many(PROBLEM, sample_weights=COUNTS)
