"""S22: the robust covariance against the sum over observations, listed one by one."""

import numpy as np

import jaxsoftmax as js
from helpers import naive_inference as naive

RNG = np.random.default_rng(5)


def sandwich(B, X, labels):
    """H⁻¹ (Σ g gᵀ) H⁻¹ by loops."""
    inverse = np.linalg.inv(naive.information(B, X))
    scores = [naive.score(B, x, c) for x, c in zip(X, labels, strict=True)]
    return inverse @ sum(np.outer(g, g) for g in scores) @ inverse


def test_the_robust_covariance_is_that_of_the_observations():
    """S22: labels with frequencies; the sandwich of the listed observations, weights once and not squared."""
    X, labels, s = RNG.normal(size=(40, 2)), RNG.integers(3, size=40), RNG.integers(3, size=40)
    problem = js.Problem.from_labels(X, labels, sample_weight=s)
    table = js.inference(problem, naive.fitted(problem), covariance="robust")
    rows, listed = np.repeat(np.column_stack([X, np.ones(40)]), s, axis=0), np.repeat(labels, s)
    expected = sandwich(table.coefficients, rows, listed)
    # Two inverses and a product of three matrices.
    close = 4 * naive.rounding(naive.information(table.coefficients, rows), s.sum()) * np.abs(expected).max()
    np.testing.assert_allclose(table.covariance, expected, rtol=0, atol=close)
    np.testing.assert_allclose(table.standard_errors.ravel(), np.sqrt(np.diagonal(expected)), rtol=1e-11)
    assert "robust" in repr(table)
    plain = js.inference(problem, naive.fitted(problem))
    assert np.abs(table.covariance - plain.covariance).max() > 0.01 * np.abs(expected).max()


def test_counts_have_the_sandwich_of_their_observations():
    """S22: Σ_c t_c (y − e_c)(y − e_c)ᵀ = S(t) + (y − t)(y − t)ᵀ, so listing the observations changes nothing."""
    counts = RNG.integers(4, size=(15, 3)) + (np.arange(3) == 1)
    few, totals = RNG.normal(size=(15, 1)), counts.sum(axis=1)
    problem = js.Problem(few, counts / totals[:, None], intercept=True, sample_weight=totals)
    table = js.inference(problem, naive.fitted(problem), covariance="robust")
    rows, labels = naive.listed(np.column_stack([few, np.ones(15)]), counts / totals[:, None], totals)
    expected = sandwich(table.coefficients, rows, labels)
    close = 4 * naive.rounding(naive.information(table.coefficients, rows), len(rows)) * np.abs(expected).max()
    np.testing.assert_allclose(table.covariance, expected, rtol=0, atol=close)


def test_blocks_of_rows_add_up(monkeypatch):
    """The sum over the scores does not depend on how many are held at once."""
    X, labels = RNG.normal(size=(30, 2)), RNG.integers(2, size=30)
    problem = js.Problem.from_labels(X, labels)
    fit = naive.fitted(problem)
    whole = js.inference(problem, fit, covariance="robust").covariance
    monkeypatch.setattr("jaxsoftmax.uncertainty.maximum._BLOCK_ENTRIES", 7 * 2 * 3)
    np.testing.assert_allclose(js.inference(problem, fit, covariance="robust").covariance, whole, rtol=1e-12)
