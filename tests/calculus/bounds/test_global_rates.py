"""S18: the rate known before training: sound step by step, exact on cases done by hand, never better than the truth."""

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
from jaxsoftmax.calculus.bounds import global_rates
from jaxsoftmax.linalg.enclosures import EXP_SLACK, UNIT_ROUNDOFF, gamma

flint = pytest.importorskip("flint")

SHAPE = {"N": 9, "D": 3, "C": 3, "targets": "soft"}
PLAIN = cases.Case("plain", **SHAPE)
PENALTIES = {
    "none": None,
    "self": js.SelfRegularizer(0.75),
    "l2, free intercept": js.L2(0.5),
    "log-cosh, free intercept": js.LogCosh(2.0, 0.25),
    "both": js.L2(0.25) + js.LogCosh(1.0, 0.5, penalize_intercept=True) + js.SelfRegularizer(-0.5),
}


GAP = 1e-7


def problem_of(penalty, label_smoothing=0.5, seed=1, dtype="float64"):
    """Soft targets, the rows pulled towards uniform so that δ is of moderate size."""
    X, T, s = cases.arrays(PLAIN, seed)
    T = (1 - label_smoothing) * T + label_smoothing / T.shape[1]
    return js.Problem(X[:, :2], T, intercept=True, sample_weight=s, regularizer=penalty, dtype=dtype)


def exact_log_delta(problem, W0):
    """S18's right-hand side in 400-bit balls from the stored numbers, rows of T over their exact sums."""
    X, T, s, W = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.T, problem.sample_weight, W0))
    before = flint.ctx.prec
    flint.ctx.prec = 400
    try:
        one = flint.arb(1)
        rows = []
        for x, t, weight in zip(X, T, s, strict=True):
            if weight > 0:
                total = sum(Fraction(v) for v in t)
                p = [Fraction(v) / total for v in t]
                p = [flint.arb(v.numerator) / flint.arb(v.denominator) for v in p]
                z = [sum((flint.arb(a) * flint.arb(b) for a, b in zip(w, x, strict=True)), flint.arb(0)) for w in W]
                lse = sum((v.exp() for v in z), flint.arb(0)).log()
                divergence = sum((q * (q.log() + lse - v) for q, v in zip(p, z, strict=True)), flint.arb(0))
                rows.append((p, flint.arb(weight), divergence))
        excess = sum((weight * kl for _, weight, kl in rows), flint.arb(0))
        right = [q.log() + ((one - q) * (one - q).log() - excess / weight) / q for p, weight, _ in rows for q in p]
        return min(right, key=lambda b: float(b.mid()))
    finally:
        flint.ctx.prec = before


def below(value, ball):
    """A float at or below a ball, decided in high precision."""
    before = flint.ctx.prec
    flint.ctx.prec = 400
    try:
        return bool(flint.arb(value) <= ball)
    finally:
        flint.ctx.prec = before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("label_smoothing", "scale"), [(0.9, 0.0), (0.5, 1.0), (0.001, 0.0), (0.0, 3.0)])
def test_log_delta_is_the_statement_rounded_down(dtype, label_smoothing, scale):
    """S18: at most the right-hand side in 400 bits, and within the slack 2^-40 of its terms' sizes.

    The terms are |log p|, the entropy's 1, Δ/(s p), and what Δ is made of: Σ_n s_n Σ_i p (|log p| + |log y| + 1) over
    the smallest s p. Twice, because the few eps of arithmetic (C = 3: 2^-47) ride on each.
    """
    with jax.enable_x64(dtype == "float64"):
        problem = problem_of(None, label_smoothing, dtype=dtype)
        W0 = (scale * cases.directions(PLAIN, dtype)[0]).astype(dtype)
        bound = js.log_probability_bound(problem, W0)
    exact = exact_log_delta(problem, W0)
    assert type(bound) is float
    assert below(bound, exact)
    data = twins.data_of(problem)
    log_y = np.array([twins.log_softmax(z) for z in twins.logits(W0.astype(np.float64), data.X)])
    mass = data.s[:, None] * data.T
    made_of = np.sum(mass * (np.abs(np.log(data.T)) - log_y + 1)) / np.min(mass[data.s > 0])
    assert bound >= float(exact.mid()) - 2 * 2.0**-40 * (2 + abs(float(exact.mid())) + made_of)


def test_log_delta_and_rate_by_hand():
    """S18: x = 2, t = (1/2, 1/2), W₀ = 0: Δ = 0, δ = 1/4, μ = δ·4 = 1, Λ = 2; t = (3/4, 1/4), s = 3 by the formula."""
    even = js.Problem(np.array([[2.0]], np.float32), np.array([[0.5, 0.5]], np.float32))
    assert math.exp(js.log_probability_bound(even)) == pytest.approx(0.25, rel=1e-10)
    assert js.descent_rate_bound(even) == pytest.approx(0.5, rel=1e-10)
    assert js.descent_rate_bound(even) >= 0.5
    uneven = js.Problem(np.array([[2.0]], np.float32), np.array([[0.75, 0.25]], np.float32), sample_weight=[3.0])
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    # The smaller target decides: log(1/4) + (3/4 log(3/4) - KL)/(1/4); the weight cancels in Δ/s.
    log_delta = math.log(0.25) + (0.75 * math.log(0.75) - kl) / 0.25
    assert js.log_probability_bound(uneven) == pytest.approx(log_delta, rel=1e-10)
    assert js.log_descent_gain_bound(uneven) == pytest.approx(log_delta + math.log(2), rel=1e-10)
    assert js.descent_rate_bound(uneven) == pytest.approx(1 - 2 * math.exp(log_delta), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [pytest.param(0.0, marks=pytest.mark.slow), 1.0])
def test_no_probability_on_the_sublevel_set_is_below_delta(scale):
    """S18: at points with L(W) <= L(W₀), pushed to the boundary, every log y_ni is at or above the bound."""
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        problem = problem_of(None, 0.2)
        data = twins.data_of(problem)
        W0 = scale * cases.directions(PLAIN, "float64")[0]
        bound, level = js.log_probability_bound(problem, W0), float(js.loss(W0, problem))
        best = js.fit(problem, "newton").W
        loss = jax.jit(lambda w: js.loss(w, problem))
        least = 0.0
        for _ in range(40):
            V = rng.normal(size=best.shape)
            low, high = 0.0, 100.0
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (middle, high) if float(loss(jnp.asarray(best + middle * V))) <= level else (low, middle)
            Z = (best + low * V) @ data.X[data.s > 0].T
            least = min(least, float(np.min(Z - np.log(np.sum(np.exp(Z), axis=0)))))
    assert bound <= least < 0


@pytest.mark.slow_cases("both")
@pytest.mark.parametrize("penalty", fast(PENALTIES.values(), 0, len(PENALTIES) - 1), ids=PENALTIES.keys())
def test_every_step_contracts_the_gap_by_the_rate_promised_before_training(penalty):
    """S18, S16: (L_{k+1} - L*)/(L_k - L*) <= 1 - μ/Λ at every step from W₀, also with the penalties as extended.

    L* is the smallest loss of 4000 steps: the last gradient and the least curvature off the kernel there say that its
    own gap, ‖g‖²/(2μ) up to the factor 1 + 1e-6 by which H still varies, is below 1e-14. L_k - L* is used
    while above 1e-7: the losses are below 64 and computed to 64 (8 + √N) eps < 2e-13, which moves a ratio by 4e-6.
    """
    with jax.enable_x64(True):
        problem = problem_of(penalty, label_smoothing=0.95)
        W0 = 0.02 * cases.directions(PLAIN, "float64")[0]
        rate, gain = js.descent_rate_bound(problem, W0), js.log_descent_gain_bound(problem, W0)
        step = js.descent_step_bound(problem)

        @jax.jit
        def descend(W, p):
            def advance(w, _):
                value, g = js.value_and_gradient(w, p)
                return w - step * g, (value, jnp.linalg.norm(g))

            return jax.lax.scan(advance, W, length=4000)

        W, (losses, norms) = descend(W0, problem)
        H = np.asarray(js.hessian(W, problem).to_dense())
        mu = np.linalg.eigvalsh(H)[js.null_space(problem).dim]
    assert float(norms[-1]) ** 2 / mu < 1e-14
    losses, norms = np.asarray(losses), np.asarray(norms)
    gaps = losses - losses.min()
    live = gaps[:-1] > GAP
    ratios = gaps[1:][live] / gaps[:-1][live]
    assert live.sum() >= 5
    assert rate < 1 - 1e-5
    assert rate == pytest.approx(1 - math.exp(gain), rel=1e-11)
    assert np.all(ratios <= rate + 4e-6)


@pytest.mark.parametrize("weight", [3.0, 20.0])
def test_the_floor_of_log_cosh_is_below_the_curvature_on_the_sublevel_set(weight):
    """S18, S21b: αγ sech²(γw) where F(W) <= F(W₀), attained by one weight pushed as far as that allows."""
    alpha, gamma = 2.0, 0.25
    penalty = js.LogCosh(alpha, gamma)
    with jax.enable_x64(True):
        # No curvature and no loss but log 2 from the data (x = 0): F - L is the penalty of two entries.
        problem = js.Problem(np.zeros((1, 1)), np.array([[0.5, 0.5]]), regularizer=penalty)
        W0 = np.array([[weight], [0.0]])
        log_floor = js.log_descent_gain_bound(problem, W0) + math.log(js.curvature_bound(problem))
    # W = W₀ itself attains it: Δ = 0, the other entry is at 0.
    assert log_floor == pytest.approx(math.log(alpha * gamma / math.cosh(gamma * weight) ** 2), abs=1e-9)
    assert log_floor <= math.log(alpha * gamma / math.cosh(gamma * weight) ** 2)


def test_the_samples_of_the_self_regulariser_take_part_as_scaled(x64):
    """S18, S21d: x = 0 and γ = 2: z = (2, 0) against (½, ½), KL = log(1 + e²) − 1 − log 2; and σ_min = 2."""
    problem = js.Problem(np.zeros((1, 1)), np.array([[0.5, 0.5]]), regularizer=js.SelfRegularizer(2.0))
    W0 = np.array([[1.0], [0.0]])
    log_delta = 2 * math.log(0.5) - 2 * (math.log1p(math.exp(2)) - 1 - math.log(2))
    assert js.log_probability_bound(problem, W0) == pytest.approx(log_delta, abs=1e-10)
    # μ = δ γ² over Λ = γ²/2
    assert js.log_descent_gain_bound(problem, W0) == pytest.approx(log_delta + math.log(2), abs=1e-10)


def test_of_two_penalties_on_all_columns_the_stronger_is_promised(x64):
    """S18, S21a: μ >= 4 of L2(4) + L2(1), whose Λ is 5."""
    problem = js.Problem(np.zeros((1, 1)), np.array([[0.5, 0.5]]), regularizer=js.L2(4.0) + js.L2(1.0))
    assert js.log_descent_gain_bound(problem) == pytest.approx(math.log(4 / 5), abs=1e-10)


def test_a_target_next_to_one_has_a_bound(x64):
    """S18: t = (1, 2^-60) leaves 1 − p = 2^-60 to the first class, though p is 1 as a double; Δ is log 2."""
    problem = js.Problem(np.array([[1.0]]), np.array([[1.0, 2.0**-60]]))
    assert js.log_probability_bound(problem) == pytest.approx(-math.log(2) * 2.0**60, rel=1e-9)


def test_the_divergence_counts_the_rounding_of_logits_of_many_terms(x64):
    """S18: 1000 terms of size 2 that cancel: −log y may be off by 2 γ_D Σ|x||w|; log δ is 2 log ½ less twice that."""
    D, size = 1000, 2.0
    problem = js.Problem(np.ones((1, D)), np.array([[0.5, 0.5]]))
    found = js.log_probability_bound(problem, size * np.tile([1.0, -1.0], (2, D // 2)))
    off = 2 * 2 * gamma(D) * D * size
    # Of 2^-40 and C + 4 = 6 units of rounding in a few terms of size 2 there are less than a hundred.
    assert 2 * math.log(0.5) - 1.01 * off - 100 * EXP_SLACK <= found <= 2 * math.log(0.5) - off


def test_the_divergence_has_each_allowance_once():
    """S18: p = y = 1/C: 2^-40 and 8 (C + 4) u for logarithms of size 2 log C + 1, and γ_{C+4} for the sum of them."""
    C = 2**16
    P, nothing = np.full((1, C), 1 / C), np.zeros((1, 1))
    size = 2 * math.log(C) + 1
    allowed = (EXP_SLACK + 8 * (C + 4) * UNIT_ROUNDOFF + gamma(C + 4)) * size
    found = global_rates._divergence(nothing, P, np.ones(1), np.zeros((C, 1)))
    # The terms themselves cancel to some 40 u of log C; the sum of many sums is another γ_5.
    assert allowed * (1 - 1e-3) <= found <= allowed * (1 + 1e-3)


def test_a_sum_over_many_samples_may_be_rounded_in_any_order():
    """S18: N = 2^20 samples with KL = ¾ log 3/2 + ¼ log ½ each: γ_N of 2^-33 is added, whatever NumPy's order loses."""
    N = 2**20
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = global_rates._divergence(np.zeros((N, 1)), np.tile([0.75, 0.25], (N, 1)), np.ones(N), np.zeros((2, 1)))
    # 2^-40 of logarithms of size 3 at most, relative to KL = 0.13, is below 2^-35.
    assert N * kl * (1 + gamma(N)) <= found <= N * kl * (1 + gamma(N) + 2.0**-35)


def test_what_penalties_add_has_each_allowance_once(x64):
    """S18, S21a: ½ Σ w² of n = 2^17 ones, with γ_{n+8} for their sum and four allowances of a logarithm."""
    D = 2**16
    problem = js.Problem(np.zeros((1, D)), np.array([[0.5, 0.5]]), regularizer=js.L2(1.0))
    found = Fraction(global_rates._penalty_excess(np.ones((2, D)), problem))
    exact = D * (1 + Fraction(gamma(2 * D + 8))) * (1 + Fraction(4 * EXP_SLACK))
    assert exact <= found <= exact * (1 + Fraction(20 * UNIT_ROUNDOFF))


@pytest.mark.parametrize("excess", [0.0, 512.0])
def test_a_logarithm_of_probability_has_each_allowance_once(excess):
    """S18: p = ½ and s = 1: log p + entropy − 2E, less 2^-40 + 8 (C + 4) u of each term's size, then rounded down.

    The roundings are those of some six operations, less than the 8 u that the last one takes off; half of them remain.
    """
    one = global_rates._Start(np.zeros((1, 1)), np.full((1, 2), 0.5), np.ones(1), np.zeros((2, 1)), excess)
    slack = Fraction(EXP_SLACK) + 48 * Fraction(UNIT_ROUNDOFF)
    log_half = Fraction(math.log(0.5))  # within u/2
    exact = 2 * log_half - 2 * Fraction(excess) - slack * (-log_half + 1 + 2 * Fraction(excess))
    found = Fraction(global_rates._log_probability(one))
    assert exact * (1 + Fraction(16 * UNIT_ROUNDOFF)) <= found <= exact * (1 + Fraction(4 * UNIT_ROUNDOFF))


def test_logarithms_of_curvature_have_an_allowance_of_their_own(x64):
    """S18: 2 log σ with σ = 2^100 may be wrong by 2^-40 of itself, whatever is taken off afterwards for log Λ."""
    problem = js.Problem(np.array([[2.0**100]]), np.array([[0.5, 0.5]]))
    start = global_rates._start(problem, None)
    log_delta, log_square = global_rates._log_probability(start), 200 * math.log(2)
    found = global_rates._log_data_curvature(start, problem)
    allowed = EXP_SLACK * (abs(log_delta) + log_square + 1)
    assert log_delta + log_square - 1.01 * allowed <= found <= log_delta + log_square - 0.99 * allowed


def test_the_rate_is_rounded_up(monkeypatch):
    """S18: 1 − g for gains g of some 2^-20, half of which round down; and exp may be wrong by half its allowance."""
    exp = math.exp
    for gain in np.random.default_rng(18).uniform(1, 2, 20) * 2.0**-20:
        log_gain = math.log(gain)
        monkeypatch.setattr(global_rates, "log_descent_gain_bound", lambda problem, W0, found=log_gain: found)
        with localcontext(prec=60):
            exact = 1 - Decimal(log_gain).exp()
        assert exact <= Decimal(js.descent_rate_bound(None)) <= exact + Decimal(20 * UNIT_ROUNDOFF)
    monkeypatch.setattr(global_rates, "log_descent_gain_bound", lambda problem, W0: -0.5)
    monkeypatch.setattr(math, "exp", lambda x: exp(x) * (1 + EXP_SLACK / 2))
    assert js.descent_rate_bound(None) >= 1 - exp(-0.5)


def test_the_rate_is_monotone_in_the_start_and_the_smoothing():
    """S18: a start of higher loss and less smoothing promise less."""
    with jax.enable_x64(True):
        W = cases.directions(PLAIN, "float64")[0]
        starts = [js.log_descent_gain_bound(problem_of(None), scale * W) for scale in (0.0, 1.0, 3.0)]
        smoothed = [js.log_descent_gain_bound(problem_of(None, eps)) for eps in (0.9, 0.5, 0.1, 0.001)]
    assert starts == sorted(starts, reverse=True)
    assert smoothed == sorted(smoothed, reverse=True)


def test_where_nothing_is_promised_the_bound_says_so():
    """S18: a target 0 gives -inf and the rate 1.0; a sample of weight 0 does not count; no proved σ_min⁺ gives 1.0."""
    X = np.array([[1.0, 0.5], [2.0, 0.25], [0.5, 1.0]], np.float32)
    T = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]], np.float32)
    hard = js.Problem(X, T)
    assert js.log_probability_bound(hard) == js.log_descent_gain_bound(hard) == -math.inf
    assert js.descent_rate_bound(hard) == 1.0
    without = js.Problem(X, T, sample_weight=[1, 1, 0])
    assert js.log_probability_bound(without) == js.log_probability_bound(js.Problem(X[:2], T[:2]))
    assert js.descent_rate_bound(without) < 1.0
    near = np.array([[1.0, 2.0], [2.0, 4.0], [2.0**-24, 2.0**-23 + 2.0**-46]], np.float32)
    unproved = js.Problem(near, np.full((3, 2), 0.5, np.float32))
    assert math.isfinite(js.log_probability_bound(unproved))
    assert js.descent_rate_bound(unproved) == 1.0
    # Columns that are dependent for certain change no nonzero singular value: here X has one, and μ/Λ = δ = 1/2.
    repeated = js.Problem(X[:, [0, 0]], np.full((3, 2), 0.5, np.float32))
    assert js.descent_rate_bound(repeated) == pytest.approx(0.5, abs=1e-9)
    # One-hot targets with L2 on every column need no δ: the rate is 1 - α/Λ.
    ridge = hard.replace(regularizer=js.L2(0.5, penalize_intercept=True))
    assert js.descent_rate_bound(ridge) == pytest.approx(1 - 0.5 / js.curvature_bound(ridge), rel=1e-9)


@pytest.mark.parametrize("alpha", [1e-6, 1e6])
def test_beside_a_free_intercept_the_smaller_of_the_two_curvatures_is_promised(alpha, x64):
    """S18, S21a: along the intercept only the data have curvature, along directions without data only the penalty."""
    bare, problem = problem_of(None), problem_of(js.L2(alpha))
    promised = js.log_descent_gain_bound(problem) + math.log(js.curvature_bound(problem))
    of_data = js.log_descent_gain_bound(bare) + math.log(js.curvature_bound(bare))
    assert promised <= min(of_data, math.log(alpha)) + 1e-9
    assert promised >= min(of_data, math.log(alpha)) - 1e-9


def test_the_logarithm_tells_what_the_rate_cannot():
    """S18: with smoothing 0.001 δ is far below the smallest double; the rate is 1.0 and its logarithm finite."""
    with jax.enable_x64(True):
        problem = problem_of(None, 0.001)
        problem = js.Problem(np.asarray(problem.X) * 4, np.eye(3)[np.arange(9) % 3]).smoothed("0.001")
        gain = js.log_descent_gain_bound(problem)
        assert js.descent_rate_bound(problem) == 1.0
    assert -1e6 < gain < -745


def test_bad_starts_are_named():
    """S18: W₀ of another shape, with NaN, or traced."""
    problem = problem_of(None, dtype="float32")
    with pytest.raises(ValueError, match="W0"):
        js.descent_rate_bound(problem, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="W0: has NaN"):
        js.log_probability_bound(problem, np.full((3, 3), np.nan))
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(js.descent_rate_bound)(problem)
