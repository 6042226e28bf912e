"""Gradient descent at the step of S16: descent, the invariant kernel part (S3, S6), and the rate of S17."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.training.measured_rate import measured_rate
from jaxsoftmax.training.methods.gradient_descent import rounded_down
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


def test_data_without_curvature_are_done_at_once():
    """X = 0: Λ = 0, the loss is constant and every W a minimiser."""
    result = js.fit(js.Problem(np.zeros((4, 2)), np.eye(4)[:, :2] * 0 + 0.5), "gd")
    assert result.status is Status.GRADIENT_TOLERANCE and result.steps == 0 and result.converged


@pytest.mark.slow
def test_float32_descends_and_ends_honestly():
    """S16 in float32: no rise beyond rounding, and an end by tolerance with q < 1 on an easy problem."""
    result = js.fit(js.Problem(X, T), "gd")
    assert result.W.dtype == np.float32
    assert result.status in (Status.GRADIENT_TOLERANCE, Status.STALLED)
    loss = result.history["loss"]
    assert np.all(np.diff(loss) <= 4 * (8 + 20**0.5) * float(np.finfo(np.float32).eps) * loss[:-1])
    with jax.enable_x64(True):
        best = js.fit(js.Problem(X, T), "newton").loss
    assert result.loss - best <= 1e-5 * best
