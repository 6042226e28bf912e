"""A regulariser is one class (S21): one that the package has never seen gets loss, derivatives, bounds, fits, verdicts.

Its twin is a textbook loss, differentiated by JAX.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.bounds.bohning import apply_inverse, majorant
from jaxsoftmax.calculus.penalties.entrywise import Entrywise
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.training.end_point import radius_factor

C, D, N = 3, 4, 8
ALPHA = 0.5


class PseudoHuber(Entrywise):
    """α Σ √(1 + w²): r″ = α(1 + w²)^(-3/2), and |r‴|/r″ = 3|w|/(1 + w²) <= 3/2."""

    alpha: object
    penalize_intercept: bool = False
    kind = "huber"
    concordance = 1.5

    def value(self, W, held):
        return self.alpha * jnp.sum(jnp.sqrt(1 + W**2) * held)

    def gradient(self, W, held):
        return self.alpha * (W / jnp.sqrt(1 + W**2)) * held

    def curvatures(self, W, held):
        return self.alpha * held / ((1 + W**2) * jnp.sqrt(1 + W**2))

    def third_derivative(self, W, held, V, U):
        return jnp.sum(-3 * W / (1 + W**2) * self.curvatures(W, held) * V * U**2)

    def curvature_bound(self):
        return float(self.alpha)

    def curvature_floor(self, largest):
        return float(self.alpha) / ((1 + largest**2) * math.sqrt(1 + largest**2))

    def excess(self, w):
        return float(self.alpha) * np.sum(w * w / (1 + np.sqrt(1 + w * w)))

    def log_floor(self, excess):
        return [math.log(float(self.alpha)), -3 * math.log1p(excess / float(self.alpha))]


def mask(whole: bool) -> np.ndarray:
    return np.array([1.0, 1.0, 1.0, float(whole)])


@functools.cache
def problem_of(whole: bool, label_smoothing: str = "0") -> js.Problem:
    """Separable data of three classes with the intercept as last of 4 independent columns."""
    x, z = np.array([-2.0, -1.5, -1.25, -0.25, 0.25, 1.0, 1.5, 2.5]), np.random.default_rng(11).normal(size=N)
    X, y = np.stack([x, x * x, z], axis=1), np.digitize(x, [-0.75, 0.5])
    penalty = PseudoHuber(ALPHA, penalize_intercept=whole)
    return js.Problem.from_labels(X, y, label_smoothing=label_smoothing, regularizer=penalty)


def textbook(W, problem, whole):
    """The twin: plain log-softmax and the sum as the class's docstring has it."""
    plain = -jnp.sum(problem.T * jax.nn.log_softmax(problem.X @ W.T))
    return plain + ALPHA * jnp.sum(mask(whole) * jnp.sqrt(1 + W**2))


def weights(seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(C, D))


@jax.jit
def ours(W, problem, V, U):
    H = js.hessian(W, problem)
    return {
        "loss": js.loss(W, problem),
        "gradient": js.gradient(W, problem),
        "hvp": js.hvp(W, problem, V),
        "quadratic": js.quadratic_form(W, problem, V),
        "third": js.third_derivative(W, problem, V, U),
        "dense": H.to_dense(),
        "diagonal": H.diagonal(),
        "block": H.block(1, 1),
    }


@pytest.mark.slow
@pytest.mark.parametrize("whole", fast([False, True], 0))
def test_derivatives_are_those_of_its_twin(whole, x64):
    """S1, S2, S4, S8, S21: every entry is below 100 and has fewer than 100 summands."""
    problem, W, V, U = problem_of(whole), weights(1), weights(2), weights(3)

    def twin(w):
        return textbook(w, problem, whole)

    H = jax.jit(jax.hessian(twin))
    dense = np.asarray(H(W))
    wanted = {
        "loss": twin(W),
        "gradient": jax.grad(twin)(W),
        "hvp": np.tensordot(dense, V, axes=2),
        "quadratic": np.sum(V * np.tensordot(dense, V, axes=2)),
        "third": jax.jvp(lambda w: jnp.sum(U * jnp.tensordot(H(w), U, axes=2)), (W,), (V,))[1],
        "dense": dense.reshape(C * D, C * D),
        "diagonal": np.einsum("cdcd->cd", dense),
        "block": dense[1, :, 1, :],
    }
    for name, value in ours(W, problem, V, U).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)
    traced = ours._cache_size()
    ours(W, problem.replace(regularizer=PseudoHuber(2.0, penalize_intercept=whole)), V, U)
    assert ours._cache_size() == traced  # its strength is a leaf


@pytest.mark.slow_cases("True", "False")
@pytest.mark.parametrize("whole", [False, True])
def test_null_space_and_bounds_hold(whole, x64):
    """S6, S7, S8, S19, S21: kernel, λ_max <= Λ, λ_min on 𝒦⊥, e^∓ρ and M⁺ against the dense spectrum; n eps λ_max."""
    problem, kern = problem_of(whole), js.null_space(problem_of(whole))
    assert kern.dim == (0 if whole else 1)
    basis, M = kern.complement_basis(), majorant(problem, kern)
    half = js.curvature_bound(problem.replace(regularizer=None)) + ALPHA
    assert js.curvature_bound(problem) == pytest.approx(half, rel=1e-12)
    for seed, scale in ((2, 0.0), (3, 0.5), (4, 3.0)):
        W, V = weights(seed, scale), weights(seed + 10, 0.3)
        H, moved = (np.asarray(ours(at, problem, V, V)["dense"]) for at in (W, W + V))
        values = np.linalg.eigvalsh(H)
        noise = 1e3 * np.finfo(float).eps * values[-1]
        assert np.max(np.abs(H @ kern.basis()), initial=0.0) <= noise
        assert values[-1] <= js.curvature_bound(problem) + noise
        assert 0 < js.curvature_lower_bound(W, problem) <= values[kern.dim] + noise
        low, high = js.self_concordance_factors(problem, V)
        assert np.linalg.eigvalsh(moved - float(low) * H)[0] >= -noise * float(high)
        assert np.linalg.eigvalsh(float(high) * H - moved)[0] >= -noise * float(high)
        columns = [np.ravel(apply_inverse(M, jnp.asarray(h.reshape(C, D)))) for h in H.T]
        assert np.max(np.linalg.eigvals(basis.T @ np.array(columns).T @ basis).real) <= 1 + 1e-9  # M⁺H ⪯ 1
    # S13's β where the data, scaled by 1e3, count little: 3/2 |v_cd| by Cauchy and Schwarz.
    beta = 1.5 * math.sqrt((C - 1) / C / 1e6 + 1 / C)
    assert radius_factor(problem, np.full(D, 1e3), np.ones(D)) == pytest.approx(beta, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("whole", fast([False, True], 0))
@pytest.mark.parametrize("method", fast(["newton", "mm", "gd"], 2))
def test_every_kind_of_method_finds_its_minimiser(method, whole, x64):
    """S16, S18, S19, S21e: on separable data a minimiser exists because of it; its gradient vanishes by the twin.

    The stopping test is at most 1e-8 of a_d, whose sum is below 100.
    """
    problem = problem_of(whole)
    fit = js.fit(problem, method=method, tol=1e-8, max_steps=20000)
    assert fit.status == js.Status.GRADIENT_TOLERANCE, fit
    assert np.max(np.abs(jax.grad(lambda w: textbook(w, problem, whole))(jnp.asarray(fit.W)))) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("whole", fast([False, True], 0))
def test_a_rate_known_before_training_is_kept(whole, x64):
    """S18: with smoothed targets each step 1/Λ shrinks F - F* by the bound at least (in a double 1 for `not whole`)."""
    problem = problem_of(whole, "0.1")
    rate, step = js.descent_rate_bound(problem), js.descent_step_bound(problem)
    least, W = float(js.fit(problem, method="newton").loss), jnp.zeros((C, D))
    assert rate < 1 if whole else math.isfinite(js.log_descent_gain_bound(problem))
    gaps = []
    for _ in range(6):
        gaps.append(float(js.loss(W, problem)) - least)
        W = W - step * js.gradient(W, problem)
    assert all(after <= rate * before for before, after in itertools.pairwise(gaps))


def test_the_exact_side_knows_it_by_what_it_says_of_itself():
    """S21e: columns that it leaves free, its line in the text form, composition; a certificate refuses it by name."""
    free, whole = problem_of(False), problem_of(True)
    assert ExactData(free).columns.tolist() == [3]
    assert ExactData(whole).columns.tolist() == []
    assert ExactData(free).regularizer_lines() == ["huber 1/2 0"]
    assert js.decide_existence(free).attained
    assert repr(PseudoHuber(1) + js.L2(2)) == (
        "(PseudoHuber(alpha=1, penalize_intercept=False), L2(alpha=2, penalize_intercept=False))"
    )
    with pytest.raises(ValueError, match=r"PseudoHuber.*not covered"):
        js.certify(whole)


def test_what_is_missing_is_said_where_it_is_made():
    """A class without one of the formulas cannot be used by mistake."""

    class Half(Entrywise):
        alpha: object
        penalize_intercept: bool = False

    with pytest.raises(TypeError, match=r"abstract.*curvature_bound"):
        Half(1.0)  # pyright: ignore[reportAbstractUsage]
    with pytest.raises(ValueError, match="alpha: got -1"):
        PseudoHuber(-1)
