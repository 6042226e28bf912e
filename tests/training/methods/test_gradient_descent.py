"""Gradient descent at the step of S16: descent, the invariant kernel part (S3, S6), the rate of S17 (and S7d)."""

from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.bounds.curvature import samplewise_curvature_bound
from jaxsoftmax.training.measured_rate import measured_rate
from jaxsoftmax.training.methods import gradient_descent
from jaxsoftmax.training.methods.gradient_descent import GradientDescent, descent_rate_estimate, rounded_down
from jaxsoftmax.training.result import Status

RNG = np.random.default_rng(20241)
X = RNG.normal(size=(20, 2))
T = RNG.dirichlet(2 * np.ones(3), size=20)
S = RNG.uniform(0.5, 2.0, size=20)
EPS = float(np.finfo(float).eps)


def naive(X, T, s, W, step, steps):
    """W after `steps` steps, plain float64 NumPy, and the losses on the way."""
    losses = []
    for _ in range(steps):
        Z = X @ W.T
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        Y = E / E.sum(axis=1, keepdims=True)
        losses.append(-np.sum(s[:, None] * T * np.log(Y)))
        W = W - step * ((Y - T) * s[:, None]).T @ X
    return W, losses


def test_fifty_steps_agree_with_a_naive_twin(x64):
    """S16: W - ∇L/Λ, fifty times. A step amplifies no error (1 - ηλ <= 1), each adds a few eps·|W|."""
    problem = js.Problem(X, T, sample_weight=S)
    step = 1 / js.curvature_bound(problem)
    W, losses = naive(X, T, S, np.zeros((3, 2)), step, 50)
    result = js.fit(problem, "gd", tol=0.0, max_steps=50)
    np.testing.assert_allclose(result.W, W, rtol=0, atol=50 * 40 * EPS)
    np.testing.assert_allclose(result.history["loss"][:50], losses, rtol=40 * EPS)
    np.testing.assert_allclose(result.history["step_size"][:50], step, rtol=20 * EPS)


@pytest.mark.parametrize("regularizer", fast([None, js.L2(0.3), js.SelfRegularizer(1.5)], 0))
def test_every_step_lowers_the_loss_by_half_the_step_times_the_squared_gradient(x64, regularizer):
    """S16: L(W - η∇L) <= L(W) - (η/2)‖∇L‖² for η = 1/Λ, with the regularisers' share of Λ (S21)."""
    problem = js.Problem(X, T, sample_weight=S, regularizer=regularizer)
    history = js.fit(problem, "gd", tol=0.0, max_steps=100, W0=RNG.normal(size=(3, 2)) * 3).history
    loss, norm, step = (history[k] for k in ("loss", "gradient_norm", "step_size"))
    promised = 0.5 * step[:-1] * norm[:-1] ** 2
    # Two losses, each summed from 20 non-negative terms.
    assert np.all(loss[1:] <= loss[:-1] - promised + 2 * (8 + 20**0.5) * EPS * loss[:-1])


@pytest.mark.slow
def test_the_part_of_the_start_in_the_kernel_is_kept(x64):
    """S3, S6: ∇L lies in 𝒦⊥, for rank-deficient X too, so W - W0 does."""
    deficient = np.column_stack([X, X @ [1.0, -2.0]])
    problem = js.Problem(deficient, T)
    W0 = RNG.normal(size=(3, 3))
    result = js.fit(problem, "gd", W0=W0, max_steps=200)
    moved = (result.W - W0).reshape(-1)
    K = js.null_space(problem).basis()
    assert K.shape[1] == 3 + 2
    # 200 steps, each with a gradient rounding of at most a few eps times Σ|terms| <= a_d, times η a_d <= N.
    assert np.abs(K.T @ moved).max() <= 200 * 20 * EPS * max(1.0, np.abs(W0).max())


def test_measured_rate_agrees_with_the_spectrum(x64):
    """S17: the gradient norm shrinks by max|1 - ηλ| a step near W*; S7c's rigorous factor is not below it."""
    problem = js.Problem(X, T, sample_weight=S)
    result = js.fit(problem, "gd")
    assert result.status is Status.GRADIENT_TOLERANCE and result.converged
    eigenvalues = np.linalg.eigvalsh(np.asarray(js.hessian(result.W, problem).to_dense()))
    expected = 1 - eigenvalues[js.null_space(problem).dim] / js.curvature_bound(problem)
    assert result.rate_estimate == pytest.approx(expected, rel=1e-9)
    # Over the last half of the run the other modes have died down to (ratio of factors)^steps.
    assert result.rate_measured == pytest.approx(expected, abs=0.02 * (1 - expected))
    assert result.rate_estimate <= result.rate_bound < 1


TWO = np.column_stack([T[:, :2].sum(axis=1), T[:, 2]])


@pytest.mark.slow
@pytest.mark.parametrize("deficient", [False, True], ids=["full", "deficient"])
def test_the_rates_of_two_classes_are_those_of_the_smaller_matrix(x64, deficient):
    """S7d, S17: 1 − η λ_min(2 Σ s y₁y₂ xxᵀ) is the estimate, and the proved bound is the same number, rounded up."""
    D = np.column_stack([X, X @ [1.0, -2.0]]) if deficient else X
    problem = js.Problem(D, TWO, sample_weight=S)
    result = js.fit(problem, "gd")
    y = np.asarray(js.probabilities(result.W, problem))
    G = 2 * (D * (S * y[:, 0] * y[:, 1])[:, None]).T @ D
    low = np.linalg.eigvalsh(G)[-2]  # rank 2
    gain = low / js.curvature_bound(problem)
    assert 1 - result.rate_estimate == pytest.approx(gain, rel=1e-9)
    if not deficient:  # dependence that rounding broke has no proved bound
        assert 1 - result.rate_bound == pytest.approx(gain, rel=1e-9)
        assert 1 - gain <= result.rate_bound + 4 * EPS
    assert 1 - result.rate_measured == pytest.approx(gain, rel=0.02)


@pytest.mark.slow
def test_two_classes_have_an_estimate_up_to_the_limit_of_the_smaller_matrix():
    """S7d: D = 800 columns of two classes need an 800 × 800 matrix; the Hessian of 1600 weights would be refused."""
    wide = np.random.default_rng(5).normal(size=(3, 800)).astype(np.float32)
    problem, W = js.Problem(wide, TWO[:3]), np.zeros((2, 800), np.float32)
    found = descent_rate_estimate(problem, W, 1e-3, W)
    # Row space of three samples: the nonzero eigenvalues of ½ X Xᵀ.
    values = np.linalg.eigvalsh(0.5 * wide.astype(float) @ wide.T.astype(float))
    assert found == pytest.approx(1 - 1e-3 * values[0], rel=1e-9)
    three = js.Problem(wide, T[:3])
    W = np.zeros((3, 800), np.float32)
    assert descent_rate_estimate(three, W, 1e-3, W) is None


@pytest.mark.slow
@pytest.mark.parametrize("targets", [T, TWO], ids=["three classes", "two"])
def test_a_run_from_zero_does_not_enter_the_directions_that_only_the_penalty_sees(x64, targets):
    """S21a, S17: from W₀ = 0 the estimate is the rate measured; α is an eigenvalue where W₀ has a part outside 𝒦⊥."""
    alpha, C = 1e-3, targets.shape[1]
    problem = js.Problem(np.column_stack([X, X @ [1.0, -2.0]]), targets, regularizer=js.L2(alpha))
    result = js.fit(problem, "gd")
    values, vectors = np.linalg.eigh(np.asarray(js.hessian(result.W, problem).to_dense()))
    outside = 3 + (C - 1)  # the gauge, and the dependent column: α each
    np.testing.assert_allclose(values[:outside], alpha, rtol=1e-10)
    step = result.history["step_size"][0]
    assert 1 - result.rate_estimate == pytest.approx(step * values[outside], rel=1e-9)
    near = js.fit(problem, "gd", W0=result.W + 1e-3 * vectors[:, outside].reshape(C, 3))
    # Along one eigenvector from a distance of 10⁻³: ρ/2 of S8, and the next mode comes in at second order.
    assert 1 - near.rate_measured == pytest.approx(step * values[outside], rel=0.01)
    assert near.rate_estimate == pytest.approx(result.rate_estimate, rel=1e-9)
    aside, across = np.zeros((C, 3)), np.zeros((C, 3))
    aside[:, :2] = [1.0, 0.5]  # a gauge direction, in the row space
    across[0], across[1] = [1.0, -2.0, -1.0], [-1.0, 2.0, 1.0]  # X v = 0
    for W0 in (aside, across):
        assert 1 - descent_rate_estimate(problem, result.W, step, W0) == pytest.approx(step * alpha, rel=1e-9)


@pytest.mark.slow_cases("0.0")
@pytest.mark.parametrize("part", [0.0, 1.0])
def test_a_free_intercept_in_the_null_space_turns_what_a_run_enters(x64, part):
    """S21a: 𝒦⊥ is invariant only if the intercept's column is independent of the others; 1ᵀV = 0 always is."""
    dependent = np.column_stack([X[:, :1], X[:, :1] - part])  # with part = 1 the intercept is their difference
    problem = js.Problem(dependent, T, intercept=True, regularizer=js.L2(1e-3))
    W, Q = np.zeros((3, 3)), np.kron(js.helmert(3), np.eye(3))
    values = np.linalg.eigvalsh(Q @ np.asarray(js.hessian(W, problem).to_dense()) @ Q.T)
    low = values[0] if part else values[2]
    assert 1 - descent_rate_estimate(problem, W, 1e-3, W) == pytest.approx(1e-3 * low, rel=1e-6)


def test_log_cosh_keeps_no_direction_out(x64):
    """S21b: 𝒦⊥ is not invariant, so every direction counts, whatever W₀ is."""
    problem = js.Problem(X, T, regularizer=js.LogCosh(1e-3, 1.0))
    W = np.zeros((3, 2))
    assert 1 - descent_rate_estimate(problem, W, 0.01, W) == pytest.approx(0.01 * 1e-3, rel=1e-9)


def test_rate_of_a_geometric_sequence_and_what_cannot_be_measured():
    """The geometric mean is exact for a geometric sequence; plateaus at rounding, growth and short runs give None."""
    k = np.arange(101)
    assert measured_rate(k, 3 * 0.9**k, 0.0) == pytest.approx(0.9, rel=1e-12)
    flat = np.maximum(0.5**k, 1e-12)
    assert measured_rate(k, flat, 1e-14) == pytest.approx(0.5, rel=1e-12)
    assert measured_rate(k, 1.0 + k, 0.0) is None
    assert measured_rate(k[:3], 0.5 ** k[:3], 0.0) is None
    assert measured_rate(k, np.zeros(101), 0.0) is None
    assert measured_rate(k[:1], np.ones(1), 0.0) is None


def test_the_step_is_rounded_towards_zero():
    """S16 needs η <= 1/Λ in the compute dtype as well."""
    for bound in (3.0, 7.0, 1e-3, 12345.678, 0.1):
        for dtype in (np.float32, np.float64):
            step = rounded_down(1 / bound, dtype)
            assert (
                step.dtype == dtype and 0 < float(step) <= 1 / bound < float(np.nextafter(step, dtype(np.inf))) * 1.0001
            )
    assert rounded_down(np.inf, np.float32) == 0


def test_the_rate_is_rounded_up(monkeypatch):
    """S17: 1 − ημ of the doubles as they are, from above, whichever way product and difference round."""
    pairs = np.random.default_rng(4).uniform(0.1, 1, size=(100, 2)).tolist()
    pairs += [[step, (1 - 1e-9) / step] for step, _ in pairs]  # the product's rounding is of 1, the rate is 10⁻⁹
    for step, mu in pairs:
        monkeypatch.setattr(gradient_descent, "samplewise_curvature_bound", lambda *_, mu=mu: mu)
        found, exact = Fraction(GradientDescent().rate_bound(None, None, step)), 1 - Fraction(step) * Fraction(mu)
        assert exact <= found <= exact + Fraction(40 * 2.0**-53)


def test_no_contraction_is_stated_where_none_is_proved():
    """S17, S7c: two columns equal up to rounding have no proved curvature: the factor is 1 and nothing below it."""
    near = np.array([[1.0, 2.0], [2.0, 4.0], [2.0**-24, 2.0**-23 + 2.0**-46]], np.float32)
    problem = js.Problem(near, np.full((3, 2), 0.5, np.float32))
    W = np.zeros((2, 2))
    assert samplewise_curvature_bound(W, problem) == 0.0
    assert 1 <= GradientDescent().rate_bound(problem, W, 0.1) <= 1 + 1e-15


@pytest.mark.slow
def test_data_without_curvature_are_done_at_once():
    """X = 0: Λ = 0, the loss is constant and every W a minimiser."""
    result = js.fit(js.Problem(np.zeros((4, 2)), np.eye(4)[:, :2] * 0 + 0.5), "gd")
    assert result.status is Status.GRADIENT_TOLERANCE and result.steps == 0 and result.converged


@pytest.mark.slow
def test_float32_descends_and_ends_honestly():
    """S16 in float32: no rise beyond rounding, and an end by tolerance with q < 1 on an easy problem."""
    result = js.fit(js.Problem(X, T), "gd")
    np.testing.assert_array_equal(result.W, result.W.astype(np.float32))  # as given: nothing is translated
    assert result.status in (Status.GRADIENT_TOLERANCE, Status.STALLED)
    loss = result.history["loss"]
    assert np.all(np.diff(loss) <= 4 * (8 + 20**0.5) * float(np.finfo(np.float32).eps) * loss[:-1])
    with jax.enable_x64(True):
        best = js.fit(js.Problem(X, T), "newton").loss
    assert result.loss - best <= 1e-5 * best
