"""S13's q for sparse data: never below the q of the true smallest curvature, and separation by W itself."""

import dataclasses

import jax
import numpy as np
import pytest

from helpers.sparse_objective import C, made, matrix_of
from jaxsoftmax.training.sparse.end_point import (
    dual_bounds,
    evaluate,
    existence_ratio,
    least_curvatures,
    ratio_at,
    separates,
)


@pytest.mark.slow_cases("-0.001")
@pytest.mark.parametrize("alpha", [1e-3, 0.5, 20.0])
@pytest.mark.parametrize("shift", [0.0, 3.0], ids=["", "far from the intercept"])
def test_q_is_above_that_of_the_true_curvature_in_any_norm(alpha, shift):
    """S13 with a free intercept, for the best τ of a grid; and it is a number of use: within 10^4 of that one."""
    with jax.enable_x64(True):
        built, (X, _, s, _), W, _ = made("float64", True, (alpha, 0.0), shift=shift)
        sample = built.at(built.rows.logits(W))
        g, D = built.gradient(W, sample), X.shape[1]
        H = matrix_of(lambda V: built.product(V, sample)[0], D).reshape(D, C, D, C)
        q = existence_ratio(built, sample, g)
    true = []
    null = np.zeros((D, C))
    null[-1] = 1 / np.sqrt(C)  # the intercepts' common part is left out
    for tau in np.geomspace(1e-3, 1e3, 61):
        unit = np.r_[np.ones(D - 1), tau]
        scaled = (H / unit[:, None, None, None] / unit[:, None]).reshape(D * C, D * C)
        mu = np.linalg.eigvalsh(scaled + 1e6 * np.outer(null, null))[0]
        beta = np.sqrt(2 * np.max(np.sum((X / unit)[s > 0] ** 2, axis=1)))
        true.append(beta * np.linalg.norm(g / unit[:, None]) / mu)
    assert min(true) <= q <= 1e4 * min(true)


def test_the_bounds_of_sigma_enclose_it_and_close():
    """S13: M − vᵀ(G + αI)⁻¹v, the least over a of Σ m (1 + aᵀx)² + α‖a‖²."""
    with jax.enable_x64(True):
        built, (X, *_), W, _ = made("float64", True)
        m, A = least_curvatures(built, built.at(built.rows.logits(W))), X[:, :-1]
    for alpha in (1e-3, 1.0):
        v = A.T @ m
        sigma = m.sum() - v @ np.linalg.solve(A.T @ (m[:, None] * A) + alpha * np.eye(len(v)), v)
        found = list(dual_bounds(built.rows.matrix, m, alpha))
        assert all(low <= sigma * (1 + 1e-12) and sigma <= high * (1 + 1e-12) for low, high, _ in found)
        assert found[-1][0] >= 0.999 * sigma
        np.testing.assert_allclose(found[0][2], np.linalg.norm(v), rtol=1e-12)


def test_each_samples_curvature_is_below_lambda_two():
    """S7b: s λ₂(S(y)), the second smallest eigenvalue."""
    with jax.enable_x64(True):
        built, (_, _, s, _), W, _ = made("float64", True)
        sample = built.at(built.rows.logits(W))
        m, Y = least_curvatures(built, sample), np.asarray(sample.Y).T
    second = [weight * np.linalg.eigvalsh(np.diag(y) - np.outer(y, y))[1] for y, weight in zip(Y, s, strict=True)]
    assert np.all(m <= np.array(second) * (1 + 1e-9))
    assert m.sum() > 0


def test_q_in_a_norm_is_that_of_the_worst_form_within_a_factor_of_two():
    """S13: β‖g‖/λ_min of α‖z‖² + σb², z = a + κb, in the norm ‖a‖² + τ²b²; det over trace loses at most 2."""
    rng = np.random.default_rng(0)
    for tau, largest, alpha, sigma, kappa, features, free in np.exp(3 * rng.normal(size=(200, 7))):
        form = np.array([[alpha, alpha * kappa / tau], [alpha * kappa / tau, (sigma + alpha * kappa**2) / tau**2]])
        scaled = alpha * sigma / tau**2 / np.linalg.eigvalsh(form)[1]  # the smallest, by the determinant
        beta = np.sqrt(2) * np.hypot(np.sqrt(largest), 1 / tau)
        true = beta * np.hypot(np.sqrt(features), np.sqrt(free) / tau) / scaled
        assert true * (1 - 1e-9) <= ratio_at(tau, largest, alpha, sigma, kappa, features, free) <= 2.001 * true


@pytest.mark.parametrize("intercept", [True, False])
def test_where_everything_is_held_the_curvature_is_the_smallest_strength(intercept):
    """S13, S21a: q = β‖g‖/α."""
    with jax.enable_x64(True):
        built, (X, _, s, _), W, _ = made("float64", intercept)
        sample = built.at(built.rows.logits(W))
        g = built.gradient(W, sample)
        q = existence_ratio(built, sample, g)
    beta = np.sqrt(2 * np.max(np.sum(X[s > 0] ** 2, axis=1)))
    np.testing.assert_allclose(q, beta * np.linalg.norm(g) / (0.25 if intercept else 0.75), rtol=1e-14)


def test_nothing_is_said_without_a_penalty():
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True, (0.0, 0.0))
        sample = built.at(built.rows.logits(W))
        assert existence_ratio(built, sample, built.gradient(W, sample)) is None


def test_w_separates_where_every_sample_is_on_its_side():
    """S9: for labels without a penalty; a sample of weight 0 takes no part, and a tie is no margin."""
    with jax.enable_x64(True):
        built, (_, T, s, _), W, _ = made("float64", True, (0.0, 0.0), "0")
        Z, W = np.where(s[:, None] > 0, T, -T), 0 * W
        assert separates(built, W, Z)
        assert not separates(built, W, np.where(np.arange(len(Z))[:, None] == 4, 0, Z))
        for other in (made("float64", True, (1.0, 0.0), "0"), made("float64", True, (0.0, 0.0))):
            assert not separates(other[0], W, Z)


def test_a_margin_within_rounding_is_none():
    """S9: logits of size 1e3 with margins of 1e-13 say nothing."""
    with jax.enable_x64(True):
        built, (_, T, *_), W, _ = made("float64", True, (0.0, 0.0), "0")
        assert separates(built, W, 1e-10 * T)
        assert not separates(built, 1e3 * np.ones_like(W), 1e-13 * T)


@pytest.mark.parametrize(("factor", "positive"), [(1.01, True), (0.99, False)])
def test_a_margin_counts_beyond_twice_the_rounding_of_its_own_logit(factor, positive):
    """2 k eps Σ_d |x_nd| max_c |w_dc|, k the entries of the longest row and the intercept, sample by sample."""
    with jax.enable_x64(True):
        built, (X, T, *_), W, _ = made("float64", True, (0.0, 0.0), "0")
        longest = np.count_nonzero(X[:, :-1], axis=1).max() + 1
        slack = 2 * longest * 2.0**-52 * np.abs(X) @ np.abs(W).max(axis=1)
        for n in np.flatnonzero(built.s > 0):
            margins = np.where(np.arange(len(X)) == n, factor * slack, 1.0)
            assert separates(built, W, margins[:, None] * T) is positive


def test_a_sample_of_weight_zero_is_not_the_largest():
    """S13: β is that of the samples that take part, whatever the others are."""
    with jax.enable_x64(True):
        built, (X, *_), W, _ = made("float64", True)
        norms = np.sum(X**2, axis=1)
        s = np.where(norms == norms.max(), 0.0, built.s)
        q = existence_ratio(dataclasses.replace(built, s=s), built.at(built.rows.logits(W)), W)
    np.testing.assert_allclose(q, np.sqrt(2 * norms[s > 0].max()) * np.linalg.norm(W) / 0.25, rtol=1e-14)


def test_a_common_part_of_the_intercepts_gradient_is_rounding():
    """S3: nothing there moves the loss, so that q does not see it; it sees each class's own part."""
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True, (0.5, 0.0))
        sample = built.at(built.rows.logits(W))
        g = built.gradient(W, sample)
        common, own = np.zeros_like(g), np.zeros_like(g)
        common[-1], own[-1] = 50.0, [50.0, -50.0, 0.0]
        q, moved, other = (existence_ratio(built, sample, part) for part in (g, g + common, g + own))
    assert moved == pytest.approx(q, rel=1e-12) and other > 1.5 * q


def test_the_end_point_says_half_of_the_decrement_and_nothing_that_is_not_known():
    """λ²/2 is the estimated gap; a run that has no decrement or spread yet leaves both open."""
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True)
        told, _ = evaluate(built, W, 0.25, 3.0)
        silent, _ = evaluate(built, W, np.nan, np.nan)
        below, _ = evaluate(built, W, 0.25, -1e-9)
    assert (told.gap, told.spread, below.gap) == (1.5, 0.25, 0.0)
    assert silent.gap is None and silent.spread is None
    assert told.gradient.shape == W.T.shape


def test_bounds_of_the_curvature_are_lowered_by_the_rounding_of_their_sums():
    """A 10⁻⁹th, for sums of N positive terms: σ = Σm without features, and q of μ = 1/2 in the norm τ = 1."""
    ((low, *_), *_) = dual_bounds(np.zeros((2, 1)), np.ones(2), 1.0)
    assert low == pytest.approx(2 * (1 - 1e-9), rel=1e-15)
    assert ratio_at(1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0) == pytest.approx(2 * 2**0.5 / (1 - 1e-9), rel=1e-15)


def test_the_best_of_all_norms_and_bounds_is_said():
    """S13: any τ is right and so is every bound of σ: q is not above that of τ = 1 at any of them."""
    with jax.enable_x64(True):
        built, (X, _, s, _), W, _ = made("float64", True, (0.5, 0.0), shift=3.0)
        sample = built.at(built.rows.logits(W))
        g, m = built.gradient(W, sample), least_curvatures(built, sample)
        q = existence_ratio(built, sample, g)
    largest = np.max(np.sum(X[s > 0, :-1] ** 2, axis=1))
    features, free = np.sum(g[:-1] ** 2), np.sum((g[-1] - g[-1].mean()) ** 2)
    for sigma, primal, size in dual_bounds(built.rows.matrix, m, 0.5):
        kappa = min(size / 0.5, np.sqrt(m.sum() / 0.5))
        for tau in (1.0, np.sqrt(sigma / 0.5), np.sqrt(sigma / 0.5 + kappa**2)):
            assert q <= ratio_at(tau, largest, 0.5, sigma, kappa, features, free) * (1 + 1e-12)
        if sigma > 0.5 * primal:  # sharp to a factor of 2: nothing further is asked for
            break
