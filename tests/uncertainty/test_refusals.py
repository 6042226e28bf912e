"""S22: what is no likelihood, or no maximum of one, is refused in one sentence with its remedy."""

import contextlib
import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import naive_inference as naive
from jaxsoftmax.uncertainty.likelihood import LARGEST, _refuse_what_is_not_counted
from jaxsoftmax.uncertainty.maximum import _inverse

X = np.array([[0.0], [1.0], [2.0], [3.0], [1.5], [2.5]])
Y = [0, 1, 0, 1, 1, 0]
PROBLEM = js.Problem.from_labels(X, Y)
FIT = naive.fitted(PROBLEM)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (js.Problem.from_labels(X, Y, regularizer=js.L2(0.1)), "has the penalty L2.*without a regularizer"),
        (js.Problem.from_labels(X, Y, label_smoothing=0.01), "smoothed by 1/100.*without label_smoothing"),
        (js.Problem.from_labels(X, Y, sample_weight=[1 / 6] * 6), "weight of sample 0.*whole numbers"),
        (js.Problem(X, np.full((6, 2), 0.5)), "row 0 of T times its sample_weight is 0.5, 0.5.*total count"),
        (js.Problem(X, [[0.5, 0.5]] * 5 + [[0.4, 0.6]], sample_weight=[2] * 6), "row 5 of T.*0.8, 1.2"),
        (js.Problem.from_labels(X, Y).replace(sample_weight=np.ones(6)), "rebuilt by JAX.*that was constructed"),
    ],
    ids=["penalty", "smoothing", "weights", "shares", "counts", "rebuilt"],
)
def test_what_is_no_likelihood_is_refused(problem, words):
    """S22: penalties, smoothing, weights that are no frequencies, shares that are no counts."""
    with pytest.raises(ValueError, match=f"^problem: .*{words}") as caught:
        js.inference(problem, FIT)
    assert "\n" not in str(caught.value)


def test_a_penalty_of_strength_zero_is_none():
    problem = js.Problem.from_labels(X, Y, regularizer=js.L2(0.0))
    assert js.inference(problem, naive.fitted(problem)).n == 6


def test_too_many_weights_are_refused_before_anything_is_formed():
    wide = js.Problem.from_labels(np.ones((2, LARGEST)), [0, 1])
    with pytest.raises(ValueError, match=r"free weights"):
        js.inference(wide, FIT)


def test_what_is_no_problem_or_fit_is_a_type_error():
    with pytest.raises(TypeError, match=r"^problem: "):
        js.inference(FIT, PROBLEM)
    with pytest.raises(TypeError, match=r"^fit: .*give the result of"):
        js.inference(PROBLEM, FIT.W)
    with pytest.raises(TypeError, match=r"^existence: "):
        js.inference(PROBLEM, FIT, existence=True)
    with pytest.raises(TypeError, match=r"^problem: .*traced"):
        jax.jit(lambda problem: js.inference(problem, FIT))(PROBLEM)


def test_the_fit_of_another_problem_is_refused():
    """By its shape, or by the loss of its weights here."""
    wide = js.Problem.from_labels(np.column_stack([X, X**2]), Y)
    with pytest.raises(ValueError, match=r"^fit: its weights have the shape \(2, 2\)"):
        js.inference(wide, FIT)
    other = js.Problem.from_labels(X + 0.001, Y)
    with pytest.raises(ValueError, match=r"^fit: its loss is .* on this problem; give the fit of this problem"):
        js.inference(other, FIT)


@pytest.mark.slow_cases("laplace")
@pytest.mark.parametrize("where", ["inference", "laplace"])
def test_a_loss_may_differ_by_its_rounding_and_no_more(where):
    """Sums of n samples and C classes, logits of D terms, and the intercept, which may have been rounded once."""
    ones, eps = np.column_stack([X, np.ones(6)]), 2.0**-52
    problem = js.Problem.from_labels(X, [0, 0, 0, 1, 1, 1])
    fit = naive.fitted(problem)
    V, last, L = fit.W - fit.W[:1], np.abs(fit.W[:, -1]).max(), fit.loss
    if where == "inference":
        spread = np.abs(ones) @ np.abs(V).max(axis=0)
        allowed = 4 * eps * ((6 + 2) * L + 2 * (2 + 4) * np.sum(spread + last))
    else:
        logits = 2 * 2 * np.abs(ones).sum(axis=0) @ np.abs(fit.W).max(axis=0)
        allowed = 4 * eps * ((8 + 6**0.5) * L + logits + 6 * last)
    call = getattr(js, where)
    call(problem, dataclasses.replace(fit, loss=L + 0.99 * allowed))
    with pytest.raises(ValueError, match=r"^fit: its loss is"):
        call(problem, dataclasses.replace(fit, loss=L + 1.01 * allowed))


def test_counts_of_rounded_shares_are_known_to_eight_roundings_a_class():
    """A row of float32 shares is off by 8·eps·C before it is refused; times its count of 1000."""
    host = SimpleNamespace(targets=SimpleNamespace(codes=None, rows=np.zeros((1, 4), np.float32)))
    for share, good in ((0.95, True), (1.05, False)):
        off = share * 8 * 2.0**-23 * 4
        T = np.array([[0.25 + off, 0.25 - off, 0.25, 0.25]])
        with contextlib.nullcontext() if good else pytest.raises(ValueError, match=r"which are no counts"):
            _refuse_what_is_not_counted(host, np.array([1000.0]), T)


def test_a_fit_that_has_not_converged_is_refused():
    early = dataclasses.replace(FIT, status=js.Status.STEP_LIMIT, q_estimate=2.0)
    assert not early.converged
    with pytest.raises(ValueError, match=r"^fit: it ended STEP_LIMIT, and has not converged.*train further"):
        js.inference(PROBLEM, early)


def test_a_singular_information_matrix_is_refused():
    """Columns that differ in their last bits alone: no digit of their standard errors is known."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=40)
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(
            np.column_stack([a, a + 1e-12 * rng.normal(size=40)]), rng.integers(2, size=40)
        )
        fit = naive.fitted(problem)
        with pytest.raises(ValueError, match=r"singular to working precision|not converged"):
            js.inference(problem, fit)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"covariance": "hc3"}, "^covariance: .*'observed', 'robust'"),
        ({"level": 95}, "^level: got 95.*between 0 and 1"),
        ({"level": "high"}, "^level: "),
        ({"reference": "c"}, "^reference: got 'c', which is no class .*give one of 0, 1"),
        ({"reference": [0]}, "^reference: "),
    ],
)
def test_options_that_are_none_are_named(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        js.inference(PROBLEM, FIT, **options)


def test_a_class_named_sum_is_not_mistaken_for_the_gauge():
    problem = js.Problem.from_labels(X, np.array(["sum", "other"])[Y])
    fit = naive.fitted(problem)
    with pytest.raises(ValueError, match=r"'sum' is also the name of a class"):
        js.inference(problem, fit, reference="sum")
    assert js.inference(problem, fit, reference="other").classes == ("sum",)


def test_names_that_are_none_are_refused_with_those_there_are():
    table = js.inference(PROBLEM, FIT)
    with pytest.raises(ValueError, match=r"^features: got 'age'.*'x0', 'intercept'"):
        table.lr_test("age")
    with pytest.raises(TypeError, match=r"^features: "):
        table.lr_test(3)
    with pytest.raises(ValueError, match=r"no feature would be left"):
        table.lr_test(["x0", "intercept"])
    with pytest.raises(ValueError, match=r"^class_name: got 0, which is no class shown; give one of 1"):
        table.profile_interval(0, "x0")
    with pytest.raises(ValueError, match=r"^feature: "):
        table.profile_interval(1, "age")
    with pytest.raises(ValueError, match=r"^level: "):
        table.profile_interval(1, "x0", level=1.0)
    with pytest.raises(ValueError, match=r"^at: .*'overall', 'mean'"):
        table.marginal_effects(at="median")


def test_labels_are_compared_as_what_they_are():
    """Booleans and numbers from NumPy name their class."""
    problem = js.Problem.from_labels(X, np.array(Y, bool))
    table = js.inference(problem, naive.fitted(problem), reference=True)
    assert table.classes == (False,)
    assert js.inference(PROBLEM, FIT, reference=np.int64(1)).classes == (0,)


def test_an_inverse_without_two_digits_is_no_covariance():
    """2·eps times the condition of [[1, r], [r, 1]], 4/(1 − r): above 1/100 it is refused, below it is told."""
    near = lambda gap: np.array([[1.0, 1.0 - gap], [1.0 - gap, 1.0]])  # noqa: E731
    with pytest.raises(ValueError, match="singular to working precision"):
        _inverse(near(2.0**-46))
    found, error = _inverse(near(2.0**-30))
    np.testing.assert_allclose(found @ near(2.0**-30), np.eye(2), atol=error)
    assert 1e-7 < error < 1e-5
