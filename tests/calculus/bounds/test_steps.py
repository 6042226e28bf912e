"""S8, S16, S17: self-concordance, descent and local rates: sound on random problems, reached on the worst ones."""

import functools
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxsoftmax as js
from helpers import cases, twins

EPS = twins.EPS64
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([0.0, 0.3, 1.0, 4.0])
SHAPE = {"N": 9, "D": 4, "C": 3, "intercept": True}
PLAIN = cases.Case("plain", **SHAPE)
BOTH = cases.Case("all", **SHAPE, alpha=0.5, gamma=-2.5, cosh=(0.75, 1.5))


@pytest.mark.slow
@given(seed=SEEDS, scale=SCALES, reach=SCALES, case=st.sampled_from([PLAIN, BOTH]))
def test_third_derivative_and_neighbouring_Hessians_obey_self_concordance(seed, scale, reach, case):
    """S8: |D³L[V, U, U]| ≤ ρ D²L[U, U] and e^-ρ H(W) ⪯ H(W + V) ⪯ e^ρ H(W), ρ = max range(V x_n)."""
    W, V, U = cases.directions(case, "float64", seed)
    W, V = scale * W, reach * V
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64", seed)
        data = cases.data(case, problem)
        rho = float(js.max_logit_range(problem, V))
        below, above = (float(f) for f in js.self_concordance_factors(problem, V))
        third = float(js.third_derivative(W, problem, V, U))
        second = float(js.quadratic_form(W, problem, U))
    expected = twins.max_logit_range(data, V)
    assert rho == pytest.approx(expected, rel=100 * EPS, abs=100 * EPS)
    largest = max(np.linalg.norm(x) for x in twins.with_extra_samples(data).X)
    beta = max(np.sqrt(2) * largest, 2 * case.cosh[1] if case.cosh[0] else 0.0)  # S13, S21b
    assert rho <= beta * np.linalg.norm(V) * (1 + 20 * EPS)
    assert (below, above) == (
        pytest.approx(np.exp(-expected), rel=1e-12, abs=0),
        pytest.approx(np.exp(expected), rel=1e-12, abs=0),
    )
    slack = twins.third_derivative_tolerance(W, data, V, U, EPS)
    assert abs(third) <= rho * second * (1 + 1e-12) + slack
    here, there = twins.hessian(W, data), twins.hessian(W + V, data)
    noise = 100 * EPS * above * np.linalg.norm(here, 2)
    assert np.linalg.eigvalsh(there - below * here)[0] >= -noise
    assert np.linalg.eigvalsh(above * here - there)[0] >= -noise


def test_self_concordance_is_approached_by_a_confident_sample():
    """S8: with y = (p, 1 - p), p = e^-30, D³ is (1 - 2p) ρ times D², and H grows by nearly e^ρ over a step."""
    with jax.enable_x64(True):
        problem = js.Problem(np.array([[2.0]]), np.array([[0.5, 0.5]]))
        W, V = np.array([[-15.0], [0.0]]), np.array([[1.5], [0.25]])
        rho = float(js.max_logit_range(problem, V))
        assert rho == 2.5
        ratio = float(js.third_derivative(W, problem, V)) / float(js.quadratic_form(W, problem, V))
        assert ratio == pytest.approx(rho, rel=1e-12, abs=0)
        growth = float(js.quadratic_form(W + V, problem, V)) / float(js.quadratic_form(W, problem, V))
        assert growth == pytest.approx(float(js.self_concordance_factors(problem, V)[1]), rel=1e-10, abs=0)


def test_samples_of_weight_zero_do_not_count_for_the_range():
    """Section 0, S8: ρ is over the samples with s_n > 0, and over the γ e_d of S21d."""
    problem = js.Problem(
        np.array([[1.0, 0.0], [0.0, 100.0]], np.float32),
        np.eye(2, dtype=np.float32),
        sample_weight=np.array([1, 0], np.float32),
    )
    V = np.array([[3.0, 1.0], [-1.0, 0.0]], np.float32)
    assert float(js.max_logit_range(problem, V)) == 4.0
    assert float(js.max_logit_range(problem.replace(regularizer=js.SelfRegularizer(-2.0)), V)) == 8.0


def test_log_cosh_counts_twice_gamma_times_the_largest_entry_that_it_holds():
    """S8, S21b: 2γ max |v_cd| with γ = 1.5, the free intercept left out; nothing where the strength is 0."""
    X, T = np.full((1, 1), 1e-3, np.float32), np.eye(2, dtype=np.float32)[:1]
    V = np.array([[2.0, 4.0], [-3.0, 4.0]], np.float32)  # the logits' range is 5e-3
    for penalty, rho in (
        (js.LogCosh(0.5, 1.5), 9.0),
        (js.LogCosh(0.5, 1.5, penalize_intercept=True), 12.0),
        (js.LogCosh(0.0, 1.5), 5e-3),
    ):
        problem = js.Problem(X, T, intercept=True, regularizer=penalty)
        assert float(js.max_logit_range(problem, V)) == pytest.approx(rho, rel=1e-3)


@given(seed=SEEDS, scale=SCALES, case=st.sampled_from([PLAIN, BOTH]), part=st.sampled_from([0.1, 1.0, 1.5, 2.0]))
def test_a_step_decreases_the_loss_by_what_the_descent_lemma_promises(seed, scale, case, part):
    """S16: L(W - η∇L) ≤ L(W) - η(1 - ηΛ/2)‖∇L‖²; (η/2)‖∇L‖² at η = 1/Λ; no increase up to 2/Λ."""
    W = scale * cases.directions(case, "float64", seed)[0]
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64", seed)
        data = cases.data(case, problem)
        value, gradient = js.value_and_gradient(W, problem)
        step = part * js.descent_step_bound(problem)
        moved = W - step * np.asarray(gradient)
        after = float(js.loss(moved, problem))
    assert type(step) is float
    Lambda = twins.curvature_bound(data)
    assert step == pytest.approx(part / Lambda, rel=1e-10, abs=0)
    assert step <= part / Lambda * (1 + 20 * EPS)
    norm = float(np.linalg.norm(np.asarray(gradient)))
    promised = js.descent_decrease_bound(step, norm, Lambda)
    assert promised == pytest.approx((part - part**2 / 2) * norm**2 / Lambda, rel=1e-9, abs=1e-9 * norm**2 / Lambda)
    slack = twins.loss_tolerance(W, data, EPS) + twins.loss_tolerance(moved, data, EPS)
    assert after <= float(value) - promised + slack


def test_the_descent_lemma_is_attained_along_the_steepest_curvature():
    """S16: two classes, W = 0, a small residual along σ_max: the decrease is the promised one to second order."""
    h = 2.0**-20  # the relative excess is of order h²
    with jax.enable_x64(True):
        problem = js.Problem(np.array([[2.0]]), np.array([[0.5 + h, 0.5 - h]]))
        value, gradient = js.value_and_gradient(np.zeros((2, 1)), problem)
        Lambda = js.curvature_bound(problem)
        for part in (0.5, 1.0, 1.5):
            after = js.loss(-part / Lambda * np.asarray(gradient), problem)
            promised = js.descent_decrease_bound(part / Lambda, float(np.linalg.norm(np.asarray(gradient))), Lambda)
            # Both losses are about log 2 and differ by about 1e-12: eps·log 2 leaves 4 digits.
            assert float(value - after) == pytest.approx(promised, rel=1e-3, abs=0)
    assert js.descent_step_bound(js.Problem(np.zeros((2, 1)), np.eye(2))) == np.inf


@functools.cache
def _near_the_minimiser():
    """(problem, W*, eigenvalues, eigenvectors of H(W*) on 𝒦⊥) of a small problem; Newton to convergence."""
    rng = np.random.default_rng(2)
    problem = js.Problem(rng.normal(size=(9, 2)), rng.dirichlet(2 * np.ones(3), size=9))
    W, kern = np.zeros((3, 2)), js.null_space(problem)
    for _ in range(30):
        W = W - np.asarray(js.hessian(W, problem).solve(js.gradient(W, problem), null_space=kern))
    values, vectors = np.linalg.eigh(twins.hessian(W, twins.data_of(problem)))
    return problem, W, values[2:], vectors[:, 2:]


@pytest.mark.slow_cases("1.0", "0.25")
@pytest.mark.parametrize("part", [0.25, 1.0, "optimal", 1.9])
def test_gradient_descent_contracts_at_the_rate_of_S17_near_the_minimiser(part):
    """S17: ‖W_{k+1} - W*‖ ≤ max(|1 - ημ*|, |1 - ηΛ*|) ‖W_k - W*‖ near W*, attained along the extreme eigenvectors.

    Quadratic terms are below 1e-3 relative at distances 1e-4, rounding is 1e-16 against distances above 1e-10.
    """
    with jax.enable_x64(True):
        problem, best, values, vectors = _near_the_minimiser()
        mu, Lambda = float(values[0]), float(values[-1])
        step = js.optimal_step(mu, Lambda) if part == "optimal" else part / Lambda
        rate = js.contraction_rate(step, mu, Lambda)
        worst = vectors[:, np.argmax(np.abs(1 - step * values))].reshape(best.shape)
        random = np.asarray(js.center_classes(np.random.default_rng(4).normal(size=best.shape)))
        measured = []
        for start in (worst, random):
            W = best + 1e-4 * start
            distances = [float(np.linalg.norm(W - best))]
            for _ in range(20):
                W = W - step * np.asarray(js.gradient(W, problem))
                distances.append(float(np.linalg.norm(W - best)))
            live = [d for d in distances if d > 1e-10]
            measured.append([b / a for a, b in itertools.pairwise(live)])
    assert rate == pytest.approx(twins.contraction_rate(step, mu, Lambda), rel=1e-12, abs=0)
    if part == "optimal":
        assert rate == pytest.approx(js.optimal_rate(mu, Lambda), rel=1e-12, abs=0)
    assert max(measured[0] + measured[1]) <= rate + 1e-3
    np.testing.assert_allclose(measured[0], rate, atol=1e-3)


def test_the_optimal_step_has_the_optimal_rate():
    """S17: 2/(μ + Λ) gives (κ - 1)/(κ + 1), and no other step does better."""
    mu, Lambda = 0.3, 7.0
    best = js.optimal_rate(mu, Lambda)
    kappa = Lambda / mu
    assert best == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-14, abs=0)
    assert js.contraction_rate(js.optimal_step(mu, Lambda), mu, Lambda) == pytest.approx(best, rel=1e-13, abs=0)
    assert min(js.contraction_rate(step, mu, Lambda) for step in np.linspace(0.01, 2 / Lambda, 1000)) >= best
