"""S18: the rate known before training: sound step by step, exact on cases done by hand, never better than the truth."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins
from helpers.stages import fast

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
