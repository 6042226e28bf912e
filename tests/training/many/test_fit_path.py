"""`fit_path` (S21): the fits of a path are those of `fit` one by one, begun where the last two point to."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.training.many import fit_path as path_module

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 3))
LABELS = RNG.integers(3, size=40)
PROBLEM = js.Problem.from_labels(X, LABELS)
ALPHAS = [0.1, 10.0, 0.0, 1.0]


@pytest.mark.slow_cases("L2")
@pytest.mark.parametrize("penalty", fast([js.L2, lambda alpha: js.LogCosh(alpha, 1.0)], 0))
def test_each_is_the_fit_of_its_penalty(penalty):
    told = []
    path = js.fit_path(PROBLEM, ALPHAS, penalty=penalty, progress=lambda *done: told.append(done))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for place, (alpha, found) in enumerate(zip(ALPHAS, path, strict=True)):
        with jax.enable_x64(True):
            alone = js.fit(js.Problem.from_labels(X, LABELS, regularizer=penalty(alpha)), "newton")
        gaps = 1.1 * (found.gap_estimate + alone.gap_estimate)
        assert found.converged and found.loss == pytest.approx(alone.loss, rel=1e-13, abs=gaps)
        assert path.problem(place).host.regularizer[0].strength == alpha


def test_each_begins_where_the_stronger_penalty_ended():
    """From the minimiser next door Newton's method takes fewer steps than from 0."""
    alphas = np.geomspace(1.0, 0.5, 6)
    path = js.fit_path(PROBLEM, alphas)
    cold = js.fit_many(PROBLEM, regularizers=[js.L2(alpha) for alpha in alphas])
    assert path[0].steps == cold[0].steps and (path.steps[1:] < cold.steps[1:]).all()
    np.testing.assert_allclose(path.loss, cold.loss, rtol=1e-12)


@pytest.mark.parametrize(
    ("strengths", "ahead"),
    [
        ([4.0, 2.0, 1.0], 1.0),
        ([16.0, 4.0, 2.0], 0.5),
        ([4.0, 2.0, 0.01], 2.0),
        ([4.0, 2.0, 0.0], 0.0),
        ([4.0, 2.0], 0.0),
    ],
)
def test_the_secant_is_in_the_logarithm_of_the_strength(strengths, ahead):
    """At most twice as far as the last two are apart; where a strength is 0, and at the start, there is no line."""
    assert path_module._secant([(js.L2(strength),) for strength in strengths]) == pytest.approx(ahead)
    assert path_module._secant([(js.L2(1.0), js.SelfRegularizer(2.0))] * 3) == 0.0


def test_a_start_on_the_secant_saves_steps(monkeypatch):
    """From the second penalty on the start is W + a (W − the one before): nearer than W alone."""
    starts, trained = [], path_module.trained

    def told(lanes, places, W, limits, ground):
        starts.append(W[0])
        return trained(lanes, places, W, limits, ground)

    monkeypatch.setattr(path_module, "trained", told)
    path = js.fit_path(PROBLEM, [4.0, 2.0, 1.0, 0.5])
    np.testing.assert_array_equal(starts[1], path[0].W)
    for place in (2, 3):
        np.testing.assert_allclose(starts[place], 2 * path[place - 1].W - path[place - 2].W, rtol=0, atol=1e-15)
        gaps = [np.linalg.norm(start - path[place].W) for start in (starts[place], path[place - 1].W)]
        assert gaps[0] < gaps[1]


@pytest.mark.slow
def test_problems_too_large_for_the_dense_hessian(monkeypatch):
    path = js.fit_path(PROBLEM, [1.0, 0.1])
    monkeypatch.setattr(path_module, "is_dense", lambda problem: False)
    monkeypatch.setattr(path_module, "trained", None)
    np.testing.assert_allclose(js.fit_path(PROBLEM, [1.0, 0.1]).loss, path.loss, rtol=1e-6)


@pytest.mark.slow
def test_separable_data_are_told():
    problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 1])
    with pytest.warns(js.NoMinimizerWarning, match=r"fit_path: in 1 of 2 fits"):
        path = js.fit_path(problem, [0.0, 1.0])
    assert [one.name for one in path.status] == ["DIVERGING", "GRADIENT_TOLERANCE"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((X, [1.0]), "problem"),
        ((js.Problem.from_labels(X, LABELS, regularizer=js.L2(1.0)), [1.0]), "problem"),
        ((PROBLEM, []), "alphas"),
        ((PROBLEM, 1.0), "alphas"),
        ((PROBLEM, ["1.0"]), "alphas"),
        ((PROBLEM, [True]), "alphas"),
        ((PROBLEM, [[1.0], [1.0, 2.0]]), "alphas"),
        ((PROBLEM, [1.0, -1.0]), "alpha"),
        ((PROBLEM, [np.nan]), "alpha"),
    ],
)
def test_bad_input(arguments, name):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: "):
        js.fit_path(*arguments)


def test_a_penalty_that_makes_none_is_refused():
    with pytest.raises(TypeError, match=r"^penalty: got 'l2'"):
        js.fit_path(PROBLEM, [1.0], penalty="l2")
