"""S13 at the end point: the ball holds the minimiser, q < 1 never fires without one; S12's separation test."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.training import end_point
from jaxsoftmax.training.columns import ExactData
from jaxsoftmax.training.methods.gradient_descent import descent_rate_estimate
from jaxsoftmax.training.methods.newton import Newton, is_dense
from jaxsoftmax.training.smallest_curvature import CurvatureEstimate

RNG = np.random.default_rng(20244)
X = RNG.normal(size=(20, 2)) * [1.0, 100.0]
MIXED = np.arange(20) % 3
SEPARATED = np.digitize(X[:, 0], [-0.4, 0.4])


def _whole(problem):
    return ExactData(problem, lambda: iter(()))


def _evaluate(problem, W):
    return end_point.evaluate(_whole(problem), W, end_point.slope_at(_whole(problem), W))


def _separates(problem, W):
    return end_point.separates(_whole(problem), W)


@pytest.mark.slow
@pytest.mark.parametrize(
    "regularizer", [None, *(pytest.param(r, marks=pytest.mark.slow) for r in (js.L2(0.2), js.SelfRegularizer(1.7)))]
)
def test_the_ball_of_s13_holds_the_minimiser(x64, regularizer):
    """S13: ‖W* - Ŵ‖_Σ <= r = -log(1 - q)/β and L(Ŵ) - L(W*) <= (μ/β²)[q + (1 - q)log(1 - q)], near minimisers."""
    problem = js.Problem.from_labels(X, MIXED, regularizer=regularizer)
    best = js.fit(problem, "newton")
    scale = feature_scale(problem)
    beta = end_point.radius_factor(problem, scale)
    k = js.null_space(problem)
    fired = 0
    for size in (1e-4, 1e-3, 1e-2):
        W = best.W + np.asarray(k.project(RNG.normal(size=(3, 3)))) * size / scale
        end = _evaluate(problem, W)
        if not end.q < 1:
            continue
        fired += 1
        radius = -math.log1p(-end.q) / beta
        # ‖·‖_Σ of the part off the gauge: the gauge part is in the kernel, or has a norm of its own (L2).
        away = (W - best.W) * scale
        away = away - away.mean(axis=0)
        assert np.linalg.norm(away) <= radius
        if regularizer is not None and k.dim == 1:
            continue  # μ is not to be had from q alone when the penalty's gauge part joins in
        g = np.asarray(js.gradient(W, problem))
        mu = beta * np.linalg.norm(g / scale) / end.q
        gap = mu / beta**2 * (end.q + (1 - end.q) * math.log1p(-end.q))
        assert float(js.loss(W, problem)) - best.loss <= gap + 1e-12
        assert end.gap == pytest.approx(float(js.loss(W, problem)) - best.loss, rel=0.2)
    assert fired >= 1


def test_q_is_that_of_a_problem_solved_by_hand(x64):
    """S13 by hand: one sample x = 2 with bias-free targets (a, 1 - a) at W = 0: H = diag-block 2[[1,-1],[-1,1]]/2."""
    problem = js.Problem([[2.0]], [[0.6, 0.4]])
    end = _evaluate(problem, np.zeros((2, 1)))
    # g = (-0.2, 0.2), H = x² S(1/2, 1/2) = [[1, -1], [-1, 1]]: μ = 2, β = √2·2, q = 2√2·0.2√2/2 = 0.4.
    assert end.q == pytest.approx(0.4, rel=1e-12)
    assert end.gap == pytest.approx(0.5 * 0.08 / 2, rel=1e-12)
    W = np.zeros((2, 1))
    assert descent_rate_estimate(problem, W, 0.25, W) == pytest.approx(1 - 0.25 * 2, rel=1e-12)
    # Newton's V = (0.1, -0.1): range of V x = 0.4.
    assert end.spread == pytest.approx(0.4, rel=1e-12)
    scaled = _evaluate(js.Problem([[2.0**21]], [[0.6, 0.4]]), np.zeros((2, 1)))
    assert scaled.q == pytest.approx(0.4, rel=1e-12)


@pytest.mark.slow
def test_q_with_log_cosh_is_that_of_a_problem_solved_by_hand(x64):
    """S13, S21b by hand: the sample above with log-cosh at W = 0, where its Hessian is h = αγ times the identity.

    In the coordinates (1, -1)/√2 and (1, 1)/√2: H = diag(2 + h, h), σ = 2, so the first is (2 + h)/4 when scaled; τ² =
    h/((2 + h)/4) makes the second the same, which is μ. β = max(√2, 2γ (1/8 + 1/(2τ²))^½), ‖g‖_* = 0.2√2/2.
    """
    for gamma in (0.125, 3.0):
        alpha = 0.5
        problem = js.Problem([[2.0]], [[0.6, 0.4]], regularizer=js.LogCosh(alpha, gamma))
        mu = (2 + alpha * gamma) / 4
        beta = max(math.sqrt(2), 2 * gamma * math.sqrt(1 / 8 + mu / (2 * alpha * gamma)))
        end = _evaluate(problem, np.zeros((2, 1)))
        assert end.q == pytest.approx(beta * 0.1 * math.sqrt(2) / mu, rel=1e-12)
    assert beta > 2


@pytest.mark.slow
@pytest.mark.parametrize(("parts", "whole"), [(("cosh",), False), (("cosh", "l2", "self"), True)])
def test_the_ball_of_s13_holds_the_minimiser_under_log_cosh(x64, parts, whole):
    """S13, S21b: ‖W* - Ŵ‖ <= r in the norm of q, gauge part included, on separated data with columns of any unit.

    The norm is Σ σ²‖v - v̄‖² + τ² C v̄², τ² = mean curvature of the column / mean scaled curvature off the gauge.
    """
    pieces = {"cosh": js.LogCosh(0.3, 2.0, whole), "l2": js.L2(0.1, whole), "self": js.SelfRegularizer(0.7)}
    problem = js.Problem.from_labels(X, SEPARATED, regularizer=tuple(pieces[p] for p in parts))
    best, k, scale = js.fit(problem, "newton"), js.null_space(problem), feature_scale(problem)
    assert best.converged
    fired = 0
    for size in (1e-5, 1e-4, 1e-3, 1e-2):
        W = best.W + np.asarray(k.project(RNG.normal(size=(3, 3)))) * size / scale
        q = _evaluate(problem, W).q
        H = np.asarray(js.hessian(W, problem).to_dense()).reshape(3, 3, 3, 3)
        inside = np.einsum("cded->ced", H) - np.einsum("cded->ed", H) / 3  # (I - J) H on equal features
        typical = np.mean(np.einsum("ccd->d", inside) / 2 / scale**2)
        h = 0.6 / np.cosh(2 * W) ** 2 + (0.1 if "l2" in parts else 0.0)
        tau = np.sqrt(h.mean(axis=0) / typical)
        if not whole:
            tau[-1] = scale[-1]
        beta = end_point.radius_factor(problem, scale, tau)
        # q from the definition: μ and ‖g‖_* in that norm, by the dense matrix in orthonormal class coordinates.
        turn = np.vstack([js.helmert(3), np.full((1, 3), 3**-0.5)])
        weights = np.vstack([scale, scale, tau])
        M = np.kron(turn, np.eye(3)) @ H.reshape(9, 9) @ np.kron(turn, np.eye(3)).T
        mu = np.linalg.eigvalsh(M / np.outer(weights, weights))[k.dim]
        dual = np.linalg.norm(turn @ np.asarray(js.gradient(W, problem)) / weights)
        assert q == pytest.approx(beta * dual / mu, rel=1e-6)
        if q < 1:
            fired += 1
            away = W - best.W
            norm = np.sum((away - away.mean(axis=0)) ** 2 * scale**2) + 3 * np.sum(away.mean(axis=0) ** 2 * tau**2)
            assert math.sqrt(norm) <= -math.log1p(-q) / beta * (1 + 1e-9)
    assert fired >= 2


@pytest.mark.slow
def test_q_with_log_cosh_counts_what_couples_the_gauge_with_the_rest(x64):
    """S13, S21b: three classes at weights of unlike size, h = αγ sech² γw unlike between them: μ of the whole matrix.

    In orthonormal class coordinates with 1/√3 last, scaled by σ, and by τ in the last row, from the dense Hessian.
    """
    problem = js.Problem.from_labels(X, MIXED, regularizer=js.LogCosh(3.0, 2.0, penalize_intercept=True))
    scale = feature_scale(problem)
    W = np.array([[1.0, 0.2, -0.5], [0.1, -0.3, 0.0], [-0.4, 0.0, 0.8]]) / scale
    H = np.asarray(js.hessian(W, problem).to_dense())
    turn = np.vstack([js.helmert(3), np.full((1, 3), 3**-0.5)])
    M = np.kron(turn, np.eye(3)) @ H @ np.kron(turn, np.eye(3)).T
    typical = np.mean(np.diag(M)[:6] / np.tile(scale, 2) ** 2)
    tau = np.sqrt((6 / np.cosh(2 * W) ** 2).mean(axis=0) / typical)
    weights = np.concatenate([scale, scale, tau])
    mu = np.linalg.eigvalsh(M / np.outer(weights, weights))[0]
    dual = np.linalg.norm((turn @ np.asarray(js.gradient(W, problem))).ravel() / weights)
    beta = end_point.radius_factor(problem, scale, tau)
    assert _evaluate(problem, W).q == pytest.approx(beta * dual / mu, rel=1e-6)


def test_the_radius_factor_of_the_self_regulariser_is_in_the_smallest_scale(x64):
    """S13, S21d: β = √2 max ‖Σ⁻¹x‖ includes the samples γ e_d, of which the largest is |γ|/min σ."""
    problem = js.Problem([[1.0, 2.0]], [[0.5, 0.5]], regularizer=js.SelfRegularizer(-50.0))
    for scale in ([1.0, 64.0], [64.0, 1.0]):
        assert end_point.radius_factor(problem, np.array(scale)) == pytest.approx(50 * math.sqrt(2), rel=1e-15)
    assert end_point.radius_factor(problem, np.array([64.0, 128.0])) == pytest.approx(50 / 64 * math.sqrt(2), rel=1e-15)


def test_samples_of_weight_zero_do_not_enter_q(x64):
    """Weight 0 (section 0): β's maximum is over samples of positive weight."""
    s, outlier = np.ones(20), X.copy()
    s[3], outlier[3] = 0, 1e6
    W = np.zeros((3, 3))
    with_it = _evaluate(js.Problem.from_labels(outlier, MIXED, sample_weight=s), W)
    without = _evaluate(js.Problem.from_labels(np.delete(X, 3, 0), np.delete(MIXED, 3)), W)
    assert with_it.q == pytest.approx(without.q, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0, 1000.0])
def test_q_never_fires_without_a_minimiser(x64, size):
    """S13's contrapositive: on separated data q >= 1 at every W."""
    problem = js.Problem.from_labels(X, SEPARATED)
    direction = js.fit(problem, "newton", max_steps=8).W
    for W in (size * direction, size * RNG.normal(size=(3, 3)) / feature_scale(problem)):
        assert not _evaluate(problem, W).q < 1


def test_existence_ratio_makes_an_allowance_for_rounding():
    values = np.array([-1e-17, 1e-16, 2.0, 5.0])
    g = np.array([0.25, 0.0])
    assert end_point.existence_ratio(values, 2, 3.0, g, 0.5) == 1.0
    assert end_point.existence_ratio(values, 1, 3.0, g, 1e-15) == math.inf
    assert end_point.existence_ratio(values, 4, 3.0, 0 * g, 1e-15) == 0.0
    assert end_point.existence_ratio(values, 4, 3.0, g, 1e-15) == math.inf  # a gradient, and no curvature at all
    assert end_point.existence_ratio(values, 4, 3.0, g[::-1], 1e-15) == math.inf
    assert end_point.existence_ratio(values, 2, 3.0, np.array([0.25, 1.0]), 0.5) == pytest.approx(2 * math.sqrt(1.75))


@pytest.mark.slow_cases("log-cosh")
@pytest.mark.parametrize(("penalty", "size"), [(js.LogCosh(0.5, 1.0), 9), (None, 6)], ids=["log-cosh", "none"])
def test_what_eigenvalues_may_be_wrong_by_is_taken_off(x64, monkeypatch, penalty, size):
    """S13, S21b: n eps λ_max, n = C·D: an eigenvalue of noise below that is no curvature, q is inf."""
    seen = []
    monkeypatch.setattr(end_point, "existence_ratio", lambda *given: seen.append(given) or math.inf)
    _evaluate(js.Problem.from_labels(X, MIXED, regularizer=penalty), np.zeros((3, 3)))
    ((eigenvalues, *_, rounding),) = seen
    assert eigenvalues.shape == (size,)
    assert rounding == pytest.approx(9 * np.finfo(float).eps * eigenvalues[-1], rel=1e-12, abs=0)


def test_separation_needs_every_margin_beyond_rounding(x64):
    """S12: one-hot targets without regulariser; a margin of rounding size, a tie or a soft row is no certificate."""
    problem = js.Problem.from_labels(X, SEPARATED)
    W = js.fit(problem, "newton").W
    assert _separates(problem, W)
    assert not _separates(problem, -W)
    assert not _separates(problem, np.zeros((3, 3)))
    assert not _separates(problem, np.ones((3, 3)) + 1e-17 * W)
    assert not _separates(js.Problem.from_labels(X, SEPARATED, label_smoothing=0.01), W)
    assert not _separates(js.Problem.from_labels(X, SEPARATED, regularizer=js.L2(0.1)), W)
    s = np.ones(20)
    s[0] = 0
    wrong = SEPARATED.copy()
    wrong[0] = (wrong[0] + 1) % 3
    assert not _separates(js.Problem.from_labels(X, wrong), W)
    assert _separates(js.Problem.from_labels(X, wrong, sample_weight=s), W)


@pytest.mark.parametrize(("units", "separated"), [(2, False), (3, True)])
def test_a_margin_counts_beyond_twice_the_rounding_of_a_logit(x64, units, separated):
    """S9: x = 1 and weights 1 and 1 + k eps: each of the two logits may err by D eps |x||w|, so 2 are too few."""
    problem = js.Problem(np.ones((1, 1)), np.array([[1.0, 0.0]]))
    assert _separates(problem, np.array([[1 + units * 2.0**-52], [1.0]])) is separated


def test_a_margin_of_terms_that_cancel_is_no_certificate(x64):
    """S9: 10¹⁶ + 2 − 10¹⁶ errs by up to 2γ₂ 10¹⁶ = 18, so a margin of 2 says nothing; at 10¹⁴ it says all."""
    problem = js.Problem.from_labels(np.array([[1.0, 1.0], [-1.0, -1.0]]), [0, 1], intercept=False)
    for far, certain in ((1e16, False), (1e14, True)):
        W = np.array([[far, 2 - far], [0.0, 0.0]])
        assert W.sum() == 2
        assert _separates(problem, W) is certain


@pytest.mark.parametrize("x", [0.1, 0.45, 0.7])
def test_equal_terms_that_cancel_separate_nothing(x):
    """S9: a thousand equal features with weights ±0.7 have the logit 0; equal terms round alike, half a sum at a time.

    A product in float32 errs by two to nine eps times Σ|xw|, and γ_D allows it: the margin is none for either label.
    """
    W = np.zeros((2, 1000), np.float32)
    W[1, :500], W[1, 500:] = 0.7, -0.7
    for N in (1, 2, 8):
        for label in (0, 1):
            X, labels = np.full((N, 1000), x, np.float32), np.full(N, label)
            assert not _separates(js.Problem.from_labels(X, labels, classes=[0, 1], intercept=False), W)


def test_large_problems_are_not_diagonalised():
    """Neither many weights nor, with many samples, fewer of them: the dense Hessian is for what is small and cheap."""
    wide = np.zeros((2, 800), np.float32)
    assert not is_dense(js.Problem(wide, np.eye(2, dtype=np.float32)))
    assert is_dense(js.Problem(wide[:, :700], np.eye(2, dtype=np.float32)))
    assert not is_dense(SimpleNamespace(N=2**18, D=60, C=2)) and is_dense(SimpleNamespace(N=2**17, D=60, C=2))


def test_newton_cg_serves_what_is_well_conditioned_and_no_longer_cheap():
    """Beyond 2^29 operations products are cheaper, but where X is ill-conditioned the dense Hessian is still taken."""
    rng = np.random.default_rng(0)
    for N, spread, dense in ((20_000, 1.0, True), (60_000, 1.0, False), (60_000, 1e-4, True)):
        X = rng.standard_normal((N, 24), np.float32)
        X[:, 1] = X[:, 0] + np.float32(spread) * X[:, 1]
        problem = js.Problem.from_labels(X, np.arange(N) % 4)
        assert is_dense(problem) and Newton().suits(problem) == dense


def test_a_sample_in_any_block_decides_and_one_without_weight_does_not(monkeypatch):
    """Blocks of 2, then 3 rows: each row of ten is looked at once, and rows of weight 0 never count."""
    monkeypatch.setattr(end_point, "FIRST_ROWS", 2)
    monkeypatch.setattr(end_point, "block_rows", lambda width: 3)
    x, W = np.arange(1.0, 11.0)[:, None], np.array([[-1.0], [1.0]])
    for wrong in range(10):
        labels, s = np.arange(10) != wrong, (np.arange(10) != wrong).astype(float)
        for weights, separated in ((None, False), (s, True)):
            problem = js.Problem.from_labels(x, labels, classes=[False, True], intercept=False, sample_weight=weights)
            assert _separates(problem, W) is separated
        soft = js.Problem(x, np.where((np.arange(10) == wrong)[:, None], [[0.5, 0.5]], [[0.0, 1.0]]))
        assert not _separates(soft, W)
    hard = js.Problem(x, np.tile([[0.0, 1.0]], (10, 1)))
    assert _separates(hard, W)
    assert not _separates(js.Problem.from_labels(x, labels, intercept=False, label_smoothing=0.1), 9 * W)


@pytest.mark.slow
def test_a_repeated_column_is_in_the_kernel_once_for_each_class_but_one(x64):
    """S6, S13: of three classes the kernel on {1ᵀV = 0} has two dimensions, and μ is the eigenvalue after them."""
    x = np.arange(12.0)
    labels = np.array([0, 1, 2, 1, 0, 2, 0, 1, 2, 2, 1, 0])
    once, twice = (js.Problem.from_labels(np.column_stack([x] * k) - 5, labels) for k in (1, 2))
    W = js.fit(once, "newton").W
    ends = _evaluate(once, W), _evaluate(twice, np.column_stack([W[:, :1] / 2, W[:, :1] / 2, W[:, 1:]]))
    assert 0 < ends[0].q < 1e-6 and 0 < ends[1].q < 1e-6


def test_q_of_a_curvature_that_was_estimated_takes_its_error_off_and_the_samples_of_every_block(x64):
    """S13 by hand: x = 2 and, in another block, 20; σ = 2: β = √2·10, ‖gΣ⁻¹‖ = 0.1√2, μ = 0.5 − 0.1: q = 5."""
    problem, far = js.Problem([[2.0]], [[0.6, 0.4]]), js.Problem([[20.0]], [[0.5, 0.5]])
    end = end_point.EndPoint(0.0, np.array([[-0.2], [0.2]]))
    data = ExactData(problem, lambda: iter((far,)))
    found = end_point.evaluate(data, np.zeros((2, 1)), end, CurvatureEstimate(0.5, 0.1))
    assert found.q == pytest.approx(5.0, rel=1e-12)
    assert end_point.evaluate(data, np.zeros((2, 1)), end, CurvatureEstimate(0.5, 0.5)).q == math.inf
