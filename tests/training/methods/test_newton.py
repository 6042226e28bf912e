"""Newton on 𝒦⊥: the direction (S6), the S8 step length, and the published minima."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.loss.projected_solve import (
    ComplementProjectors,
    complement_projectors,
    feature_scale,
    solve_on_complement,
)
from jaxsoftmax.training.methods import damping
from jaxsoftmax.training.result import Status

RNG = np.random.default_rng(20242)
X = RNG.normal(size=(20, 3))
DEFICIENT = np.column_stack([X[:, :2], X[:, :2] @ [1.0, -2.0]])
ONE_HOT = np.eye(3)[np.arange(20) % 3]
SEPARATED = np.eye(3)[np.digitize(X[:, 0], [-0.4, 0.4])]
EPS = float(np.finfo(float).eps)
REGULARIZERS = [None, js.L2(0.3), js.SelfRegularizer(1.5)]


@pytest.mark.slow_cases("deficient-self", "full-none", "full-self", "full-l2")
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=["none", "l2", "self"])
@pytest.mark.parametrize("data", [X, DEFICIENT], ids=["full", "deficient"])
def test_direction_is_the_pseudo_inverse_applied_to_the_gradient(x64, data, regularizer):
    """S6: the V in 𝒦⊥ with H V = -g, features of very different units included."""
    units = np.array([2.0**20, 1.0, 2.0**-15])
    for scale in (np.ones(3), units):
        problem = js.Problem(data * scale, ONE_HOT, regularizer=regularizer)
        W = RNG.normal(size=(3, 3)) / scale
        H, g = np.asarray(js.hessian(W, problem).to_dense()), np.asarray(js.gradient(W, problem))
        k = js.null_space(problem)
        V = -np.asarray(solve_on_complement(jnp.asarray(H), jnp.asarray(g), complement_projectors(problem, k)))
        # The residual in scaled units: backward error of Cholesky and the projection, n·eps with room for the constant.
        residual = (H @ V.reshape(-1)).reshape(3, 3) + g
        size = np.abs(H) @ np.abs(V.reshape(-1)) + np.abs(g.reshape(-1))
        assert np.all(np.abs(residual) <= 1e3 * 9 * EPS * size.reshape(3, 3).max(axis=0, keepdims=True))
        if k.dim:
            assert np.abs(k.basis().T @ V.reshape(-1)).max() <= 100 * EPS * np.abs(V).max()
        if scale is not units:
            expected = -np.linalg.pinv(H, rcond=1e-11, hermitian=True) @ g.reshape(-1)
            np.testing.assert_allclose(V.reshape(-1), expected, atol=1e-10 * np.abs(expected).max())


def test_step_length_minimises_the_bound():
    """S8: t = log(1 + ρ a/b)/ρ is where a t - b(e^{ρt} - 1 - ρt)/ρ² is largest, for inexact directions (a ≠ b) too."""
    with jax.enable_x64(True):
        for rho, a, b in [(1.0, 1.0, 1.0), (7.0, 2.0, 0.3), (0.01, 1.0, 4.0), (40.0, 5.0, 5.0)]:
            rho, a, b = map(jnp.float64, (rho, a, b))
            t = float(damping.damped_step(rho, a, b))
            best = float(damping.guaranteed_decrease(rho, a, b, jnp.float64(t)))
            assert best > 0
            for other in np.linspace(0.01, 3, 60) * t:
                assert float(damping.guaranteed_decrease(rho, a, b, jnp.float64(other))) <= best * (1 + 1e-9)
        one, none = jnp.float64(1), jnp.float64(0)
        assert float(damping.damped_step(none, one, one)) == 1.0
        assert float(damping.damped_step(jnp.float64(1e-9), one, one)) == pytest.approx(1.0, abs=1e-9)
        assert np.isfinite(float(damping.damped_step(one, one, none)))


@pytest.mark.slow_cases("overlapping-none", "separated-self", "overlapping-self")
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=["none", "l2", "self"])
@pytest.mark.parametrize("targets", [ONE_HOT, SEPARATED], ids=["overlapping", "separated"])
def test_every_step_falls_by_what_s8_guarantees(x64, targets, regularizer):
    """S8: L(W + tV) <= L(W) - [a t - b(e^{ρt} - 1 - ρt)/ρ²] from any start, ρ with the self-regulariser's samples."""
    problem = js.Problem(X, targets, regularizer=regularizer)
    projectors = complement_projectors(problem, js.null_space(problem))
    for size in (0.0, 1.0, 10.0):
        W = RNG.normal(size=(3, 3)) * size
        H, g = js.hessian(W, problem).to_dense(), js.gradient(W, problem)
        V = -solve_on_complement(H, g, projectors)
        a, b, rho = -jnp.sum(g * V), js.quadratic_form(W, problem, V), js.max_logit_range(problem, V)
        for t in (damping.damped_step(rho, a, b), 0.3 * damping.damped_step(rho, a, b)):
            promised = float(damping.guaranteed_decrease(rho, a, b, t))
            before, after = float(js.loss(W, problem)), float(js.loss(W + t * V, problem))
            slack = 100 * EPS * (before + 20 * np.abs(W).max())
            assert promised > 0 and after <= before - promised + slack


def test_guarantee_is_nearly_attained():
    """S8's bound is nearly sharp where one class dominates: the decrease is within a third of the promise."""
    with jax.enable_x64(True):
        problem = js.Problem(np.ones((1, 1)), [[0.5, 0.5]])
        W = np.array([[-4.0], [4.0]])
        g = js.gradient(W, problem)
        V = -g * 4.0 / jnp.max(jnp.abs(g))
        a, b, rho = -jnp.sum(g * V), js.quadratic_form(W, problem, V), js.max_logit_range(problem, V)
        t = 0.25
        promised = float(damping.guaranteed_decrease(rho, a, b, jnp.float64(t)))
        actual = float(js.loss(W, problem) - js.loss(W + t * V, problem))
        assert promised <= actual <= 4 / 3 * promised


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", fast(REGULARIZERS, 1), ids=["none", "l2", "self"])
@pytest.mark.parametrize("size", [3.0, 12.0])
def test_first_step_of_a_fit_is_the_longest_that_keeps_what_s8_promises(x64, regularizer, size):
    """S8: 1, 1/2, … down to log(1 + ρ)/ρ of the pseudo-inverse direction, ρ from a plain loop over samples.

    A step is taken when the loss falls by S8's guarantee for the last of them and by a quarter of its slope.
    """
    problem = js.Problem(X, ONE_HOT, regularizer=regularizer)
    W0 = size * np.array([[1.0, -1.0, 0.5], [-1.0, 0.5, 0.0], [0.0, 0.5, -0.5]])
    H, g = np.asarray(js.hessian(W0, problem).to_dense()), np.asarray(js.gradient(W0, problem))
    V = -(np.linalg.pinv(H, rcond=1e-11, hermitian=True) @ g.reshape(-1)).reshape(3, 3)
    samples = np.vstack([X, 1.5 * np.eye(3)]) if isinstance(regularizer, js.SelfRegularizer) else X
    rho, a = max(np.ptp(V @ x) for x in samples), -float(np.sum(g * V))
    safe = np.log1p(rho) / rho
    promise = a * ((1 + rho) * np.log1p(rho) - rho) / rho**2
    assert safe < 0.7
    start, t = float(js.loss(W0, problem)), 1.0
    while t > safe and float(js.loss(W0 + t * V, problem)) > start - max(promise, 0.25 * t * a):
        t = max(t / 2, safe)
    result = js.fit(problem, "newton", W0=W0, max_steps=1)
    assert result.history["step_size"][0] == pytest.approx(t, rel=1e-6)
    # The pseudo-inverse's own error, eps times the condition of H here, is below 1e-6 of V.
    np.testing.assert_allclose(result.W, W0 + t * V, atol=1e-6 * np.abs(V).max())
    assert result.loss <= start - promise * (1 - 1e-6)


@pytest.mark.slow
def test_an_outlying_sample_does_not_shorten_every_step(x64):
    """One sample far out makes S8's step small for all; the longer steps need tens of steps, not thousands (S8)."""
    far = np.vstack([X, 1e4 * np.ones((1, 3))])
    result = js.fit(js.Problem(far, np.vstack([ONE_HOT, [[0.2, 0.3, 0.5]]])), "newton")
    assert result.converged and result.steps <= 40


def test_newton_is_quadratic_at_the_end(x64):
    """Near a minimiser ρ -> 0 and the steps are Newton's: the gradient norm is squared, step by step."""
    history = js.fit(js.Problem(X, ONE_HOT), "newton").history
    norm = history["gradient_norm"]
    close = (norm[:-1] < 1e-1) & (norm[:-1] > 1e-7)
    assert np.count_nonzero(close) >= 2
    # Quadratic: |g'| <= c|g|²; 20|g|² + rounding holds with room here, and no linear rate does for |g| < 1e-3.
    assert np.all(norm[1:][close] <= 20 * norm[:-1][close] ** 2 + 1e-13)
    assert history["step_size"][-2] == pytest.approx(1.0, abs=1e-3)


def test_power_of_two_feature_scales():
    """Scaling by `feature_scale` is exact; columns that no sample has keep 1; weights of 0 take no part."""
    problem = js.Problem(
        np.float32([[3e10, 0, 5], [4e10, 0, 1e-20]]), np.eye(2, dtype=np.float32), sample_weight=[1, 0]
    )
    scale = feature_scale(problem)
    assert np.all(np.frexp(scale)[0] == 0.5) and scale[1] == 1
    assert 0.7 <= scale[0] / 3e10 <= 1.5 and 0.7 <= scale[2] / 5 <= 1.5


@pytest.mark.slow
def test_digits_reach_the_published_minimum(x64):
    """Newton at default settings, targets 991/1000 and 1/1000, X = pixel/16: relative gap <= 1e-10 (S8, S13)."""
    digits = js.datasets.load_digits()
    problem = js.Problem.from_labels(digits.X / 16, digits.y, label_smoothing=0.01)
    assert float(problem.T.max()) == 0.991
    result = js.fit(problem, "newton")
    assert abs(result.loss / 220.66032111114930 - 1) <= 1e-10
    assert result.status is Status.GRADIENT_TOLERANCE and result.converged
    assert result.gap_estimate <= 1e-10 * result.loss


@pytest.mark.slow
def test_anes96_reaches_the_published_minimum(x64):
    """Newton at default settings on one-hot targets, raw units: relative gap <= 1e-10 (S8, S13)."""
    sm = pytest.importorskip("statsmodels.datasets")
    data = sm.anes96.load_pandas()
    X = data.exog[["logpopul", "selfLR", "age", "educ", "income"]].to_numpy(float)
    result = js.fit(js.Problem.from_labels(X, data.endog.to_numpy(int)), "newton")
    assert abs(result.loss / 1461.92274724814609569 - 1) <= 1e-10
    assert result.status is Status.GRADIENT_TOLERANCE and result.converged


@pytest.mark.slow
def test_float32_reaches_the_rounding_of_the_loss():
    """float32: the float64 minimum to the rounding of a float32 sum, and q < 1 was evaluated there."""
    iris = js.datasets.load_iris()
    result = js.fit(js.Problem.from_labels(iris.X.astype(np.float32), iris.y, label_smoothing=0.01), "newton")
    assert result.status is Status.GRADIENT_TOLERANCE and result.converged
    assert abs(result.loss / 19.7426742446 - 1) <= (8 + 150**0.5) * float(np.finfo(np.float32).eps)


def test_the_solve_takes_the_diagonal_shift_back():
    """S6, float32: H = (I − 11ᵀ/C) ⊗ G has V = B G⁻¹. The factor is of H + CD·eps; one refinement leaves its square."""
    C, D, share = 4, 25, 0.96
    G = (1 - share) * np.eye(D) + share  # unit diagonal, the smallest eigenvalue 1 − share
    B = np.random.default_rng(2).normal(size=(C, D))
    B -= B.mean(axis=0)
    H = np.kron(np.eye(C) - 1 / C, G)
    none, every = np.zeros((D, D)), np.eye(D)
    projectors = ComplementProjectors(*(np.float32(part) for part in (np.ones(D), every, none, every, none)))
    found = np.asarray(solve_on_complement(jnp.float32(H), jnp.float32(B), projectors))
    exact = B @ np.linalg.inv(G)
    eps = float(np.finfo(np.float32).eps)
    shift = C * D * eps / (1 - share)  # what the shift moves the solution by, relative, along the flattest direction
    rounding = 8 * D * eps  # of the products of the residual, and of the factor's refinement
    assert shift**2 + rounding < 0.3 * shift
    assert np.linalg.norm(found - exact) <= (shift**2 + rounding) * np.linalg.norm(exact)
