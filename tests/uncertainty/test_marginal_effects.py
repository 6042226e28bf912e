"""S22: marginal effects and their delta-method errors, against complex steps through the textbook formula."""

import numpy as np
import pytest

import jaxsoftmax as js
from helpers import naive_inference as naive

RNG = np.random.default_rng(3)
N = 50
X = RNG.normal([0.0, 30.0], size=(N, 2))
LABELS, S = RNG.integers(3, size=N), RNG.integers(1, 4, size=N)


def effects(B, X, s):
    """(C, D) Σ s y_j (w_jk − Σ_i y_i w_ik) / Σ s by loops; B may be complex."""
    W = np.vstack([np.zeros(B.shape[1]), B])
    total = np.zeros(W.shape, W.dtype)
    for x, weight in zip(X, s, strict=True):
        z = np.array([sum(w * x) for w in W])
        e = np.exp(z - z.real.max())
        y = e / sum(e)
        for j in range(len(W)):
            for k in range(len(x)):
                total[j, k] += weight * y[j] * (W[j, k] - sum(y[i] * W[i, k] for i in range(len(W))))
    return total / sum(s)


@pytest.mark.parametrize("covariance", ["observed", "robust"])
@pytest.mark.parametrize("at", ["overall", "mean"])
def test_effects_and_errors_are_those_of_the_formula(at, covariance):
    """S22: the derivative of the effects in the weights by complex steps, whose truncation is nothing."""
    problem = js.Problem.from_labels(X, LABELS, sample_weight=S)
    table = js.inference(problem, naive.fitted(problem), covariance=covariance)
    found = table.marginal_effects(at)
    rows, s = np.column_stack([X, np.ones(N)]), S
    if at == "mean":
        rows, s = (S @ rows / S.sum())[None], np.ones(1)
    B = table.coefficients
    expected = effects(B, rows, s)
    jacobian = np.zeros((expected.size, B.size))
    for i in range(B.size):
        moved = B.astype(complex)
        moved.flat[i] += 1e-30j
        jacobian[:, i] = effects(moved, rows, s).imag.ravel() / 1e-30
    errors = np.sqrt(np.diagonal(jacobian @ table.covariance @ jacobian.T)).reshape(3, 3)
    # The second feature is 30 standard deviations out: the quadratic form cancels by 30² of entries with 12 digits.
    np.testing.assert_allclose(found.effects, expected[:, :2], rtol=1e-10)
    np.testing.assert_allclose(found.standard_errors, errors[:, :2], rtol=1e-8)
    np.testing.assert_allclose(found.z, expected[:, :2] / errors[:, :2], rtol=1e-8)
    np.testing.assert_allclose(found.effects.sum(axis=0), 0, atol=1e-15)
    assert found.features == ("x0", "x1") and found.classes == (0, 1, 2) and found.at == at
    assert found.to_dict()["effects"][0][0] == found.effects[0, 0]


def test_no_gauge_changes_an_effect():
    """S3: effects and errors are of probabilities, which see differences of weights alone."""
    problem = js.Problem.from_labels(X, LABELS)
    fit = naive.fitted(problem)
    first, second = (js.inference(problem, fit, reference=r).marginal_effects() for r in (0, "sum"))
    np.testing.assert_allclose(first.standard_errors, second.standard_errors, rtol=1e-12)
    assert repr(first) == repr(second)


def test_what_is_not_identified_has_no_effect_and_leaves_the_others_theirs():
    """S22, S6: a feature given twice."""
    doubled = np.column_stack([X, X[:, 1]])
    problem, plain = (js.Problem.from_labels(data, LABELS) for data in (doubled, X))
    found = js.inference(problem, naive.fitted(problem)).marginal_effects()
    expected = js.inference(plain, naive.fitted(plain)).marginal_effects()
    assert np.isnan(found.effects[:, 1:]).all() and np.isnan(found.standard_errors[:, 1:]).all()
    np.testing.assert_allclose(found.effects[:, 0], expected.effects[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.standard_errors[:, 0], expected.standard_errors[:, 0], rtol=1e-9)
