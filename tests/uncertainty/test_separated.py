"""S22, S11: separated data: what runs to infinity, and what is finite with the numbers of the samples left."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js
from helpers import naive_inference as naive
from jaxsoftmax.uncertainty import coordinates

# Classes a and b overlap in x; c lies beyond them.
X = np.array([[0.0], [1], [2], [3], [1.5], [2.5], [0.5], [6], [7]])
LABELS = np.array(list("abababbcc"))


def table_of(X, labels, **options):
    problem = js.Problem.from_labels(X, labels)
    fit = naive.fitted(problem)
    assert fit.status is js.Status.DIVERGING and not fit.converged
    return js.inference(problem, fit, **options)


def test_a_class_apart_runs_to_infinity_and_leaves_the_others_theirs():
    """S11: the face compares a with b alone; its maximum is that of the samples of a and b."""
    table = table_of(X, LABELS)
    assert not table.attained and table.existence.type == "quasi-complete"
    assert table.classes == ("b", "c")
    assert table.identified.tolist() == [[True, True], [False, False]]
    assert table.coefficients[1].tolist() == [np.inf, -np.inf]
    assert np.isnan(table.standard_errors[1]).all() and np.isnan(table.p_values[1]).all()
    assert np.isnan(table.covariance[2:]).all() and np.isnan(table.covariance[:, 2:]).all()
    both = js.Problem.from_labels(X[:7], LABELS[:7])
    expected = js.inference(both, naive.fitted(both))
    np.testing.assert_allclose(table.coefficients[0], expected.coefficients[0], rtol=1e-9)
    np.testing.assert_allclose(table.standard_errors[0], expected.standard_errors[0], rtol=1e-9)
    np.testing.assert_allclose(table.lower[0], expected.lower[0], rtol=1e-8)
    assert table.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    assert table.log_likelihood == pytest.approx(-table.existence.infimum_estimate, rel=1e-9)
    shown = repr(table)
    assert "no maximum" in shown and "2 run to infinity, 2 are finite" in shown and "-inf" in shown
    assert table.to_dict()["coefficients"][1] == ["inf", "-inf"]


def test_the_gauge_decides_which_coefficients_are_finite():
    """S11, S3: against c nothing is finite; summing to zero neither, as c is in every mean."""
    against_c = table_of(X, LABELS, reference="c")
    assert against_c.coefficients.tolist() == [[-np.inf, np.inf]] * 2
    mean = table_of(X, LABELS, reference="sum")
    assert mean.coefficients.tolist() == [[-np.inf, np.inf]] * 2 + [[np.inf, -np.inf]]


def test_a_feature_that_tells_alone_runs_to_infinity():
    """S11: wherever the dummy is 1 the class is 1; the rest is the fit of the samples where it is 0."""
    x = np.array([0.0, 1, 2, 3, 1.5, 2.5, 0.5, 1.0, 2.0])
    dummy = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    y = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1])
    table = table_of(np.column_stack([x, dummy]), y)
    assert table.identified.tolist() == [[True, False, True]]
    assert table.coefficients[0, 1] == np.inf
    few = js.Problem.from_labels(x[:7, None], y[:7])
    expected = js.inference(few, naive.fitted(few))
    np.testing.assert_allclose(table.coefficients[0, [0, 2]], expected.coefficients[0], rtol=1e-9)
    np.testing.assert_allclose(table.standard_errors[0, [0, 2]], expected.standard_errors[0], rtol=1e-9)
    robust = table_of(np.column_stack([x, dummy]), y, covariance="robust")
    sandwich = js.inference(few, naive.fitted(few), covariance="robust")
    np.testing.assert_allclose(robust.standard_errors[0, [0, 2]], sandwich.standard_errors[0], rtol=1e-9)


def test_complete_separation_leaves_nothing_finite():
    """S9: every coefficient that the direction moves is infinite, and the supremum of the likelihood is 1."""
    table = table_of(np.array([[0.0], [1], [2], [3]]), [0, 0, 1, 1])
    assert table.coefficients.tolist() == [[np.inf, -np.inf]] and not table.identified.any()
    assert table.log_likelihood == 0.0 and table.existence.type == "complete"


def test_samples_of_weight_zero_take_no_part_in_the_separation():
    """S22: the sample that would join c to the others has weight 0."""
    problem = js.Problem.from_labels(np.vstack([[[1.0]], X]), ["c", *LABELS], sample_weight=[0.0, *np.ones(len(X))])
    table = js.inference(problem, naive.fitted(problem))
    np.testing.assert_array_equal(table.coefficients, table_of(X, LABELS).coefficients)


@pytest.mark.parametrize("ask", [lambda t: t.lr_test("x0"), lambda t: t.marginal_effects()])
def test_what_needs_a_maximum_is_refused(ask):
    with pytest.raises(ValueError, match=r"the data are separated.*needs a maximum.*drop the features"):
        ask(table_of(X, LABELS))
    with pytest.raises(ValueError, match=r"a profile interval needs a maximum"):
        table_of(X, LABELS).profile_interval("b", "x0")


def test_a_verdict_that_does_not_know_the_face_is_refused_in_its_words():
    """S11: which coefficients are finite rests on the proof that no direction separates more."""

    problem = js.Problem.from_labels(X, LABELS)
    fit = naive.fitted(problem)
    unsure = dataclasses.replace(fit.existence, face_maximal=False)
    with pytest.raises(
        ValueError, match=r"^fit: no minimiser exists.*another direction may separate more.*decimal=True"
    ):
        js.inference(problem, fit, existence=unsure)


@pytest.mark.slow
def test_iris_read_as_decimals():
    """S11: setosa is apart, versicolor and virginica overlap: the face's minimum is the published 5.949273…"""
    iris = js.datasets.load_iris()
    problem = js.Problem.from_labels(iris.X, iris.y, feature_names=iris.feature_names)
    verdict = js.decide_existence(problem, decimal=True)
    table = js.inference(problem, js.fit(problem, "newton"), existence=verdict, reference="versicolor")
    assert table.log_likelihood == pytest.approx(-5.949273396, abs=1e-9)
    row = table.classes.index("virginica")
    assert table.identified[row].all() and not table.identified[1 - row].any()
    two = iris.y != "setosa"
    pair = js.Problem.from_labels(iris.X[two], iris.y[two])
    expected = js.inference(pair, js.fit(pair, "newton"), reference="versicolor")
    np.testing.assert_allclose(table.standard_errors[row], expected.standard_errors[0], rtol=1e-8)
    np.testing.assert_allclose(table.coefficients[row], expected.coefficients[0], rtol=1e-8)


@pytest.mark.parametrize(("smallest", "rank"), [(8 * 2.0**-52, 3), (10 * 2.0**-52, 4)])
def test_what_rounding_may_leave_of_a_singular_value_is_no_direction(monkeypatch, x64, smallest, rank):
    """S11: of nine samples a singular value is known to 9 eps of the largest; the stub returns one on either side."""
    problem = js.Problem.from_labels(X, np.arange(9) % 3)
    data = SimpleNamespace(problem=problem, X=np.asarray(problem.X), T=np.asarray(problem.T), s=np.ones(9))
    mask = np.arange(3) <= 1  # one comparison a sample: nine rows
    sigma, plain = np.array([1.0, 0.5, 0.25, smallest]), np.linalg.svd

    def svd(a, *given, **more):
        return (np.eye(4), sigma, np.eye(4)) if a.shape == (4, 4) else plain(a, *given, **more)

    monkeypatch.setattr(np.linalg, "svd", svd)
    found = coordinates.face_coordinates(data, np.tile(mask, (9, 1)))
    assert found.basis.shape[1] == rank
