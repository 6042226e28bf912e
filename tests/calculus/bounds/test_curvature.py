"""S7: every bound is sound on random problems and tight on its worst cases."""

import math
from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxsoftmax as js
from helpers import cases, twins
from jaxsoftmax.calculus.bounds.curvature import flattest_softmax_bound, samplewise_curvature_bound
from jaxsoftmax.linalg.enclosures import gamma

EPS = twins.EPS64
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([0.0, 0.3, 1.0, 4.0])
# One shape, every regulariser: nothing is compiled anew between examples.
SHAPE = {"N": 9, "D": 4, "C": 3, "intercept": True}
PENALISED = tuple(
    cases.Case(name, **SHAPE, **more)
    for name, more in {
        "none": {},
        "l2": {"alpha": 0.5},
        "l2 on all": {"alpha": 0.5, "penalize_intercept": True},
        "self": {"gamma": -0.75},
        "log-cosh": {"cosh": (0.75, 0.5)},
        "log-cosh on all": {"cosh": (0.75, 0.5), "penalize_intercept": True},
        "both": {"alpha": 0.5, "gamma": 0.75},
        "both on all": {"alpha": 0.01, "gamma": 0.75, "penalize_intercept": True},
        "deficient": {"deficient": True},
        "deficient, both": {"deficient": True, "alpha": 0.5, "gamma": 0.75},
    }.items()
)


def spectrum(W, data) -> np.ndarray:
    """The eigenvalues of H(W) on 𝒦⊥, ascending, from the dense twin; they err by n eps λ_max."""
    return np.linalg.eigvalsh(twins.hessian(W, data))[twins.kernel_dimension(data) :]


@given(seed=SEEDS, scale=SCALES, case=st.sampled_from(PENALISED), dtype=st.sampled_from(["float32", "float64"]))
def test_curvature_and_condition_bounds_hold(seed, scale, case, dtype):
    """S7 a, c, S21: lower ≤ λ_min(H|𝒦⊥), λ_max(H) ≤ Λ, cond(H|𝒦⊥) ≤ condition_bound, as Python floats."""
    W = scale * cases.directions(case, dtype, seed)[0]
    with jax.enable_x64(dtype == "float64"):
        problem = cases.problem(case, dtype, seed)
        W = W.astype(dtype).astype(np.float64)
        data = cases.data(case, problem)
        Lambda, low = js.curvature_bound(problem), js.curvature_lower_bound(W, problem)
        condition = js.condition_bound(W, problem)
        smallest, largest = js.singular_value_bounds(problem)
    assert {type(v) for v in (Lambda, low, condition, smallest, largest)} == {float}
    values = spectrum(W, data)
    noise = 40 * EPS * values[-1]
    assert values[-1] <= Lambda + noise
    assert 0 <= low <= values[0] + noise
    assert condition == math.inf or (values[-1] - noise) / (values[0] + noise) <= condition
    sigma = twins.singular_values(twins.data_of(problem))
    assert sigma[0] <= largest * (1 + 20 * EPS)
    assert largest <= sigma[0] * (1 + 1e-12)
    rank = np.linalg.matrix_rank(data.X[data.s > 0])
    assert smallest <= sigma[rank - 1] * (1 + 1e-10)
    if rank == case.D:
        # The Gram matrix is enclosed within some N·D·eps·σ_max²; σ_min is found unless it drowns in that.
        assert smallest >= sigma[-1] * (1 - 1e-10 * (sigma[0] / sigma[-1]) ** 2)
        assert low > 0
        assert condition < math.inf
    # The curvature bound is no looser than S7a says.
    assert Lambda <= twins.curvature_bound(data) * (1 + 1e-12)


@given(seed=SEEDS, scale=SCALES, deficient=st.booleans())
def test_samplewise_bound_is_sharper_and_still_below_the_spectrum(seed, scale, deficient):
    """S7 c sample by sample: curvature_lower_bound <= it <= λ_min(H|𝒦⊥); equal to the first at W = 0."""
    case = cases.Case("samplewise", 9, 4, 3, intercept=True, deficient=deficient)
    W = scale * cases.directions(case, "float64", seed)[0]
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64", seed)
        data = cases.data(case, problem)
        sharper, plain = samplewise_curvature_bound(W, problem), js.curvature_lower_bound(W, problem)
    values = spectrum(W, data)
    assert plain * (1 - 1e-9) <= sharper <= values[0] + 40 * EPS * values[-1]
    if scale == 0 and plain > 0:
        assert sharper == pytest.approx(plain, rel=1e-9)


@given(seed=SEEDS, C=st.sampled_from([2, 3, 7]), spread=st.sampled_from([0.0, 1.0, 10.0, 40.0]))
def test_lambda2_bound_is_below_the_spectrum_and_the_Loewner_bound_holds(seed, C, spread):
    """S7 a, b: min y ≤ λ₂(S(y)) on **1**⊥, interlacing, and S(y) ⪯ ½(I - **11**ᵀ/C), for softmax of anything."""
    y = twins.softmax(spread * np.random.default_rng(seed).normal(size=C))
    bound = js.lambda2_bound(y)
    assert bound.dtype == np.float64
    assert 0 <= bound <= twins.lambda2(y) + 20 * EPS
    order, values = np.sort(y), np.linalg.eigvalsh(twins.category_covariance(y))
    assert np.all(values[1:] >= order[:-1] - 20 * EPS)
    assert np.all(values <= order + 20 * EPS)
    gap = (np.eye(C) - 1 / C) / 2 - twins.category_covariance(y)
    assert np.linalg.eigvalsh(gap)[0] >= -20 * EPS


def test_lambda2_bound_is_attained():
    """S7 b, d: uniform y and two smallest entries equal attain min y; two classes have exactly 2 y₁ y₂."""
    for y in (np.full(5, 0.2), np.array([0.1, 0.1, 0.8]), np.array([0.125, 0.25, 0.125, 0.5]), np.array([0.25, 0.75])):
        assert js.lambda2_bound(y) == pytest.approx(twins.lambda2(y), rel=100 * EPS, abs=0)
    rows = np.array([[0.5, 0.5], [0.9, 0.1]])
    np.testing.assert_allclose(js.lambda2_bound(rows), 2 * rows[:, 0] * rows[:, 1], rtol=8 * EPS)
    assert np.all(js.lambda2_bound(rows) <= 2 * rows[:, 0] * rows[:, 1])
    assert js.lambda2_bound(np.zeros((4, 3, 1))).shape == (4, 3)


def test_curvature_bound_is_attained_by_two_classes_at_zero():
    """S7a, S21: for C = 2 and W = 0 the largest eigenvalue is Λ, with L2 and the self-regulariser too.

    The penalties act along σ_max's direction as along any other when W = 0: ½σ_max² + α + γ²/2 is attained.
    """
    rng = np.random.default_rng(0)
    X, s = rng.normal(size=(7, 3)), np.array([1, 0.5, 0, 2, 1, 3, 1e-3])
    T, W = np.tile([0.5, 0.5], (7, 1)), np.zeros((2, 3))
    with jax.enable_x64(True):
        plain = js.Problem(X, T, sample_weight=s)
        for regularizer, extra in (((), 0.0), (js.L2(0.5), 0.5), (js.L2(0.5) + js.SelfRegularizer(-3.0), 5.0)):
            problem = plain.replace(regularizer=regularizer)
            Lambda = js.curvature_bound(problem)
            assert Lambda == pytest.approx(twins.curvature_bound(twins.data_of(plain)) + extra, rel=1e-12, abs=0)
            top = np.linalg.eigvalsh(np.asarray(js.hessian(W, problem).to_dense()))[-1]
            assert Lambda * (1 - 1e-12) <= top <= Lambda * (1 + 20 * EPS)


def test_curvature_bound_is_approached_by_two_dominating_classes_of_many():
    """S7a: for C > 2 Λ is approached as two classes share all the mass at every sample."""
    with jax.enable_x64(True):
        problem = js.Problem(np.array([[1.0], [2.0]]), np.full((2, 4), 0.25))
        W = np.array([[0.0], [0.0], [-40.0], [-50.0]])
        top = np.linalg.eigvalsh(np.asarray(js.hessian(W, problem).to_dense()))[-1]
        assert top == pytest.approx(js.curvature_bound(problem), rel=1e-12, abs=0)


@pytest.mark.parametrize("C", [2, 3, 5])
def test_lower_curvature_and_condition_bounds_are_attained_at_zero(C):
    """S7 c: at W = 0 the smallest eigenvalue on 𝒦⊥ is σ_min²/C, for any data; the condition bound is C/2 too large."""
    rng = np.random.default_rng(C)
    X, s = rng.normal(size=(8, 3)), np.array([1, 0.5, 0, 2, 1, 3, 1e-3, 2])
    W = np.zeros((C, 3))
    with jax.enable_x64(True):
        problem = js.Problem(X, np.full((8, C), 1 / C), sample_weight=s)
        values = spectrum(W, twins.data_of(problem))
        assert js.curvature_lower_bound(W, problem) == pytest.approx(values[0], rel=1e-10, abs=0)
        assert js.condition_bound(W, problem) == pytest.approx(C / 2 * values[-1] / values[0], rel=1e-10, abs=0)
        smoothed = problem.replace(regularizer=js.SelfRegularizer(2.0))  # XᵀSX + γ² I: every eigenvalue moves
        moved = spectrum(W, twins.data_of(problem, gamma=2.0))
        assert js.curvature_lower_bound(W, smoothed) == pytest.approx(moved[0], rel=1e-10, abs=0)


def test_sample_weights_belong_inside_the_condition_number():
    """S7 c, d: X = I, s = (1, 10⁻⁶) has cond H = 10⁶ at W = 0, and the bounds say exactly that."""
    with jax.enable_x64(True):
        problem = js.Problem(np.eye(2), np.full((2, 2), 0.5), sample_weight=np.array([1.0, 1e-6]))
        W = np.zeros((2, 2))
        values = spectrum(W, twins.data_of(problem))
        assert values[-1] / values[0] == pytest.approx(1e6, rel=1e-9, abs=0)
        assert js.condition_bound(W, problem) == pytest.approx(1e6, rel=1e-6, abs=0)
        assert js.condition_bound_two_classes(W, problem) == pytest.approx(1e6, rel=1e-6, abs=0)
        lower, upper = js.singular_value_bounds(problem)
        assert (lower, upper) == (pytest.approx(1e-3, rel=1e-9, abs=0), pytest.approx(1.0, rel=1e-12, abs=0))


@given(seed=SEEDS, scale=SCALES)
def test_two_classes_have_the_spectrum_of_one_weighted_gram_matrix(seed, scale):
    """S7 d: H|𝒦⊥ has the eigenvalues of 2 Σ s y₁ y₂ xxᵀ, and cond ≤ cond⁺²/(4 min y₁ y₂)."""
    case = cases.Case("two", 9, 3, 2)
    W = scale * cases.directions(case, "float64", seed)[0]
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64", seed)
        data = cases.data(case, problem)
        bound = js.condition_bound_two_classes(W, problem)
        dense = np.asarray(js.hessian(W, problem).to_dense())
    Y = np.array([twins.softmax(z) for z in twins.logits(W, data.X)])
    pair = Y[:, 0] * Y[:, 1]
    gram = sum(2 * s * p * np.outer(x, x) for s, p, x in zip(data.s, pair, data.X, strict=True))
    values = np.linalg.eigvalsh(gram)
    np.testing.assert_allclose(np.linalg.eigvalsh(dense)[3:], values, rtol=0, atol=100 * EPS * values[-1])
    sigma = twins.singular_values(data)
    formula = (sigma[0] / sigma[-1]) ** 2 / (4 * np.min(pair[data.s > 0]))
    assert values[-1] / values[0] <= bound * (1 + 1e-9)
    assert bound == pytest.approx(formula, rel=1e-8 + 1e-12 * (sigma[0] / sigma[-1]) ** 2, abs=0)


def test_bounds_with_unseen_features_and_the_self_regulariser():
    """S7 c, S21d: a feature that is 0 in every sample has only the curvature γ² λ₂ of the self-regulariser."""
    X = np.array([[3.0, 0.0], [4.0, 0.0]])
    W = np.zeros((2, 2))
    with jax.enable_x64(True):
        problem = js.Problem(X, np.full((2, 2), 0.5), regularizer=js.SelfRegularizer(0.5))
        values = spectrum(W, twins.data_of(problem, gamma=0.5))
        assert values[0] == pytest.approx(0.125, rel=1e-12)
        assert js.curvature_lower_bound(W, problem) <= values[0]
        assert js.condition_bound(W, problem) >= values[-1] / values[0] * (1 - 1e-12)


def test_samples_of_weight_zero_do_not_loosen_the_bounds():
    """Section 0, S7 c, d: a sample of weight 0 with a tiny probability, or a huge one, changes no bound."""
    X, s = np.array([[1.0, 0.0], [0.5, 1.0], [30.0, 500.0]]), np.array([1.0, 2.0, 0.0])
    W = np.array([[1.0, 0.0], [0.0, 0.5]])
    with jax.enable_x64(True):
        problem = js.Problem(X, np.full((3, 2), 0.5), sample_weight=s)
        without = js.Problem(X[:2], np.full((2, 2), 0.5), sample_weight=s[:2])
        assert js.singular_value_bounds(problem) == js.singular_value_bounds(without)
        assert js.curvature_bound(problem) == js.curvature_bound(without)
        assert js.curvature_lower_bound(W, problem) == js.curvature_lower_bound(W, without) > 0.1
        assert js.condition_bound(W, problem) == js.condition_bound_two_classes(W, without)


def test_no_bound_is_said_to_be_none():
    """S7: nearly dependent data have no proved σ_min⁺: the lower bounds are 0.0 and the condition bounds inf."""
    X = np.array([[1.0, 2.0], [2.0, 4.0], [2.0**-24, 2.0**-23 + 2.0**-46]], np.float32)
    problem = js.Problem(X, np.full((3, 2), 0.5, np.float32))
    W = np.zeros((2, 2))
    assert js.singular_value_bounds(problem).lower == 0.0
    assert js.curvature_lower_bound(W, problem) == 0.0
    assert js.condition_bound(W, problem) == math.inf == js.condition_bound_two_classes(W, problem)
    nothing = js.Problem(np.zeros((3, 2), np.float32), np.full((3, 2), 0.5, np.float32))
    assert js.singular_value_bounds(nothing) == (0.0, 0.0)
    assert js.curvature_bound(nothing) == 0.0


@pytest.mark.parametrize("gap", [700.0, 744.44, 744.9, 760.0])
def test_lower_curvature_bound_stays_sound_where_probabilities_underflow(gap):
    """S7 c, d: y₁ y₂ = e^-gap near and below the smallest double: the bound must not round it up."""
    with jax.enable_x64(True):
        problem = js.Problem(np.array([[1.0]]), np.array([[0.5, 0.5]]))
        low = js.curvature_lower_bound(np.array([[gap], [0.0]]), problem)
        # ½ low ≤ e^-gap, compared after multiplying by 2^600: both sides are normal numbers then.
        assert low * 2.0**599 <= np.exp(600 * np.log(2.0) - gap) * (1 + 1e-12)


def test_samples_without_a_bound_take_their_directions_with_them():
    """S7c: the first sample, of probability e^-1000000, is left out; along its column nothing is proved then."""
    with jax.enable_x64(True):
        problem = js.Problem(np.diag([1000.0, 1.0]), np.full((2, 2), 0.5))
        assert samplewise_curvature_bound(np.array([[1000.0, 0.0], [0.0, 0.0]]), problem) == 0.0
        # Without that column the other sample has them all: 2 · ½ · ½ of x² = 1.
        alone = js.Problem(np.array([[1000.0], [1.0]]), np.full((2, 2), 0.5))
        assert samplewise_curvature_bound(np.array([[1.0], [0.0]]), alone) == pytest.approx(
            2 * math.exp(-1) / (1 + math.exp(-1)) ** 2, rel=1e-9
        )


def test_bounds_refuse_traced_problems_and_other_numbers_of_classes():
    """S7: bounds are proved about concrete numbers; S7d is about two classes."""
    problem = cases.problem(PENALISED[0], "float32")
    W = np.zeros((3, 4), np.float32)
    for bound in (js.curvature_bound, js.singular_value_bounds, lambda p: js.curvature_lower_bound(W, p)):
        with pytest.raises(TypeError, match="outside jit"):
            jax.jit(lambda p, bound=bound: bound(p))(problem)
    with pytest.raises(ValueError, match="3 classes"):
        js.condition_bound_two_classes(W, problem)


def test_the_rounding_of_a_logit_grows_with_its_terms(x64):
    """S7b: 1000 terms of size 2 that cancel: a logit of 0 may be off by γ_D Σ|x||w|, a probability by twice that."""
    D, size = 1000, 2.0
    problem = js.Problem(np.ones((1, D)), np.full((1, 3), 1 / 3))
    found = Fraction(flattest_softmax_bound(size * np.tile([1.0, -1.0], (3, D // 2)), problem))
    off = 2 * Fraction(gamma(D)) * int(D * size)
    assert (1 - 2 * off) / 3 <= found <= (1 - off) / 3
