"""S21 a, b, d: the regularisers' place in every derivative, from their definitions."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins
from helpers.stages import fast
from jaxsoftmax.calculus.loss.penalty_sum import holding, penalised

EPS = twins.EPS64
PLAIN = cases.Case("plain", 6, 4, 3, intercept=True)


@jax.jit
def _all(W, problem, V, U):
    """Every quantity, flat in one dictionary."""
    H = js.hessian(W, problem)
    return {
        "loss": js.loss(W, problem),
        "gradient": js.gradient(W, problem),
        "hvp": js.hvp(W, problem, V),
        "quadratic_form": js.quadratic_form(W, problem, V),
        "third_derivative": js.third_derivative(W, problem, V, U),
        "dense": H.to_dense(),
        "diagonal": H.diagonal(),
        "block": H.block(1, 2),
    }


def _numbers(W, problem, V, U):
    return {k: np.asarray(v) for k, v in _all(W, problem, V, U).items()}


@pytest.mark.slow
def test_self_regulariser_is_the_loss_of_D_more_samples():
    """S21d: everything equals the same with D rows γ e_d of weight 1 and uniform targets put into the data."""
    X, T, s = cases.arrays(PLAIN)
    W, V, U = cases.directions(PLAIN, "float64")
    gamma, D, C = -1.75, PLAIN.D, PLAIN.C
    X = np.hstack([X, np.ones((len(X), 1))])
    more = np.vstack([X, gamma * np.eye(D)]), np.vstack([T, np.full((D, C), 1 / C)]), np.concatenate([s, np.ones(D)])
    with jax.enable_x64(True):
        ours = _numbers(W, js.Problem(X, T, sample_weight=s, regularizer=js.SelfRegularizer(gamma)), V, U)
        longer = _numbers(W, js.Problem(more[0], more[1], sample_weight=more[2]), V, U)
    for name, value in ours.items():
        np.testing.assert_allclose(value, longer[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.slow_cases("False")
@pytest.mark.parametrize("penalize_intercept", fast([False, True], 0))
def test_l2_adds_alpha_on_the_penalised_columns_and_nothing_else(penalize_intercept):
    """S21a: (α/2)‖W‖², gradient α W, Hessian α I, no third derivative; the last column only if asked for."""
    alpha = 0.75
    W, V, U = cases.directions(PLAIN, "float64")
    X, T, s = cases.arrays(PLAIN)
    with jax.enable_x64(True):
        problem = js.Problem(X, T, intercept=True, sample_weight=s)
        plain = _numbers(W, problem, V, U)
        ours = _numbers(W, problem.replace(regularizer=js.L2(alpha, penalize_intercept=penalize_intercept)), V, U)
    mask = np.ones((PLAIN.C, PLAIN.D))
    mask[:, -1] = penalize_intercept
    extra = {
        "loss": alpha / 2 * np.sum(mask * W**2),
        "gradient": alpha * mask * W,
        "hvp": alpha * mask * V,
        "quadratic_form": alpha * np.sum(mask * V**2),
        "third_derivative": 0.0,
        "dense": alpha * np.diag(mask.reshape(-1)),
        "diagonal": alpha * mask,
        "block": 0.0,
    }
    for name, value in extra.items():
        np.testing.assert_allclose(ours[name] - plain[name], value, atol=1e-12, err_msg=name)


def test_l2_without_an_intercept_penalises_every_column():
    """S21a: with intercept=False the last column is a feature like the others."""
    problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"), regularizer=js.L2(2.0))
    W = np.array([[0.0, 3.0], [0.0, 3.0]], np.float32)
    assert float(js.loss(W, problem)) == pytest.approx(2 * np.log(2) + 18)
    np.testing.assert_allclose(np.asarray(js.hvp(np.zeros((2, 2)), problem, W)), 2 * W)


@pytest.mark.slow
def test_penalties_of_one_kind_add_and_a_change_of_strength_traces_nothing():
    """S21: two L2 terms are one with the sum of strengths; strengths are traced values."""
    W, V, U = cases.directions(PLAIN, "float64")
    X, T, s = cases.arrays(PLAIN)
    with jax.enable_x64(True):
        problem = js.Problem(X, T, intercept=True, sample_weight=s)
        twice = _numbers(W, problem.replace(regularizer=js.L2(0.25) + js.L2(0.5)), V, U)
        once = _numbers(W, problem.replace(regularizer=js.L2(0.75)), V, U)
        size = _all._cache_size()
        _numbers(W, problem.replace(regularizer=js.L2(0.125)), V, U)
        assert _all._cache_size() == size
        slope = jax.grad(lambda a: js.loss(jnp.asarray(W), problem.replace(regularizer=js.L2(a))))(0.75)
    for name, value in once.items():
        np.testing.assert_allclose(twice[name], value, rtol=1e-13, atol=1e-13, err_msg=name)
    assert float(slope) == pytest.approx(np.sum(W[:, :-1] ** 2) / 2)


def test_gauge_statements_under_the_regularisers():
    """S21: **1**ᵀ∇ = α **1**ᵀW on penalised columns; the self-regulariser leaves **1**ᵀ∇ = 0 (S3) and the gauge."""
    W, _, _ = cases.directions(PLAIN, "float64")
    X, T, s = cases.arrays(PLAIN)
    shift = np.ones((PLAIN.C, 1)) @ np.array([[0.5, -2.0, 1.0, 3.0]])
    with jax.enable_x64(True):
        base = js.Problem(X, T, intercept=True, sample_weight=s)
        l2 = base.replace(regularizer=js.L2(0.75))
        selfish = base.replace(regularizer=js.SelfRegularizer(1.5))
        sums = np.asarray(js.gradient(W, l2)).sum(axis=0)
        sums_self = np.asarray(js.gradient(W, selfish)).sum(axis=0)
        moved = float(js.loss(W + shift, selfish)) - float(js.loss(W, selfish))
    # Every entry of the gradient is below 50 here and the loss below 100.
    np.testing.assert_allclose(sums, 0.75 * W.sum(axis=0) * np.array([1, 1, 1, 0]), atol=200 * EPS * 50)
    np.testing.assert_allclose(sums_self, 0, atol=200 * EPS * 50)
    assert abs(moved) <= 200 * EPS * 100


@pytest.mark.slow
@pytest.mark.parametrize("penalize_intercept", fast([False, True], 0))
def test_log_cosh_adds_its_four_formulas_on_the_penalised_columns(penalize_intercept):
    """S21b: (α/γ) Σ log(2 cosh γw), gradient +α tanh γW, Hessian diagonal αγ sech² γW, third derivative; autodiff.

    Every summand is below 10 and met by at most 12 others.
    """
    alpha, gamma = 0.75, 1.5
    W, V, U = cases.directions(PLAIN, "float64")
    X, T, s = cases.arrays(PLAIN)
    penalty = js.LogCosh(alpha, gamma, penalize_intercept=penalize_intercept)
    with jax.enable_x64(True):
        problem = js.Problem(X, T, intercept=True, sample_weight=s)
        plain, ours = _numbers(W, problem, V, U), _numbers(W, problem.replace(regularizer=penalty), V, U)
        at_zero = _numbers(np.zeros_like(W), problem.replace(regularizer=penalty), V, U)
        plain_at_zero = _numbers(np.zeros_like(W), problem, V, U)
        front = np.asarray(jax.hessian(lambda w: js.loss(w, problem.replace(regularizer=penalty)))(np.zeros_like(W)))
    mask = np.ones((PLAIN.C, PLAIN.D))
    mask[:, -1] = penalize_intercept
    slope, curvature = alpha * np.tanh(gamma * W), alpha * gamma / np.cosh(gamma * W) ** 2
    extra = {
        "loss": alpha / gamma * np.sum(mask * np.log(2 * np.cosh(gamma * W))),
        "gradient": mask * slope,
        "hvp": mask * curvature * V,
        "quadratic_form": np.sum(mask * curvature * V**2),
        "third_derivative": np.sum(mask * -2 * gamma * np.tanh(gamma * W) * curvature * V * U**2),
        "dense": np.diag((mask * curvature).reshape(-1)),
        "diagonal": mask * curvature,
        "block": 0.0,
    }
    for name, value in extra.items():
        np.testing.assert_allclose(ours[name] - plain[name], value, atol=1e-12, err_msg=name)
    # At 0, where |w| has no derivative, training starts: curvature αγ there, by hand and by autodiff of the loss.
    added = at_zero["dense"] - plain_at_zero["dense"]
    np.testing.assert_allclose(added, alpha * gamma * np.diag(mask.reshape(-1)), atol=1e-12)
    np.testing.assert_allclose(front.reshape(added.shape), at_zero["dense"], atol=1e-12)


@pytest.mark.slow_cases("float32")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_cosh_and_its_derivatives_keep_relative_digits(dtype):
    """S21b, 7.4: log(2 cosh x), tanh x, sech² x to 6 eps relative from 1e-6 to where sech² ends; 0, finite beyond.

    Measured in 200 bits: exp and log1p are good to two ulps and three or four operations follow.
    """
    flint = pytest.importorskip("flint")
    from jaxsoftmax.calculus.penalties import log_cosh

    info = np.finfo(dtype)
    end = -0.5 * np.log(float(info.tiny)) - 2
    grid = np.concatenate([np.geomspace(1e-6, end, 150), -np.geomspace(1e-3, end, 50), np.linspace(15, 20, 50)])
    with jax.enable_x64(dtype == "float64"):
        x = grid.astype(dtype)
        values = [np.asarray(f(jnp.asarray(x))) for f in (log_cosh.log_cosh, log_cosh.tanh, log_cosh.sech_squared)]
        far = [float(f(jnp.asarray(1e30, dtype))) for f in (log_cosh.log_cosh, log_cosh.tanh, log_cosh.sech_squared)]
    before = flint.ctx.prec
    flint.ctx.prec = 200
    try:
        for ours, true in zip(
            values, (lambda b: (2 * b.cosh()).log(), lambda b: b.tanh(), lambda b: b.sech() ** 2), strict=True
        ):
            assert ours.dtype == dtype
            for got, at in zip(ours.tolist(), x.tolist(), strict=True):
                exact = true(flint.arb(at))
                assert abs(float((flint.arb(got) - exact) / exact)) <= 6 * info.eps
    finally:
        flint.ctx.prec = before
    assert far == [float(np.asarray(1e30, dtype)), 1.0, 0.0]


def test_a_penalty_of_strength_zero_holds_nothing():
    """S21: it leaves the null space and every bound as they are without it."""
    problem = js.Problem(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    with_it = problem.replace(regularizer=js.L2(0.0) + js.LogCosh(0.0, 2.0))
    assert holding(with_it) == [] and not penalised(with_it) and penalised(problem.replace(regularizer=js.L2(0.1)))
    assert js.null_space(with_it).dim == js.null_space(problem).dim == 2


def test_what_the_host_knows_of_l2():
    """S7, S18, S21a: r″ is α everywhere, R(w) − R(0) = (α/2) Σ w²."""
    penalty = js.L2(0.3)
    assert penalty.curvature_bound() == penalty.curvature_floor(9.0) == 0.3 and penalty.concordance is None
    assert penalty.excess(np.array([1.0, 2.0])) == pytest.approx(0.75, rel=4 * EPS)
    assert penalty.log_floor(5.0) == [math.log(0.3)]


def test_what_the_host_knows_of_log_cosh():
    """S7, S8, S18, S21b: r″ <= αγ, r″ = αγ sech² γw from below, |r‴| <= 2γ r″, R by log cosh, r″ >= αγ e^(−2γE/α)."""
    alpha, gamma = 0.1, 3.0  # their product rounds up
    penalty = js.LogCosh(alpha, gamma)
    assert penalty.curvature_bound() == pytest.approx(0.3, rel=4 * EPS) and penalty.concordance == 6.0
    assert Fraction(penalty.curvature_floor(0.0)) <= Fraction(alpha) * 3
    w = np.array([0.2, 1.0, 100.0])
    for one in w.tolist():
        with localcontext(prec=60):
            e = (-6 * Decimal(one)).exp()
            exact = 3 * Decimal(alpha) * 4 * e / (1 + e) ** 2
        assert exact * (1 - 3 * Decimal(2) ** -40) <= Decimal(penalty.curvature_floor(one)) <= exact
    # log cosh x = x − log 2 to all digits at 300.
    expected = alpha / gamma * (np.log(np.cosh(gamma * w[:2])).sum() + 300 - np.log(2))
    assert penalty.excess(w) == pytest.approx(expected, rel=1e-14)
    assert sum(penalty.log_floor(0.25)) == pytest.approx(math.log(0.3) - 15, rel=1e-14)


def test_the_strength_of_a_self_regulariser_is_the_size_of_its_scale():
    """S21d: γ = −2 has samples γ e_d, and gradients of |γ| at most."""
    assert (js.SelfRegularizer(-2.0).strength, js.SelfRegularizer(-2.0).sample_scale) == (2.0, -2.0)
