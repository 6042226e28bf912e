"""S7, S18: data on which each rounding term of a bound is needed: without the term the bound is on the wrong side.

What is exact here is computed in fractions or in 60 decimal digits from the stored numbers.
"""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.bounds.curvature import (
    _lambda2_of_samples,
    _probability_lower_bounds,
    flattest_softmax_bound,
    samplewise_curvature_bound,
)
from jaxsoftmax.linalg.enclosures import DOWN, EXP_SLACK, smallest_singular_value_bound

EPS = 2.0**-52


def softmax(logits):
    """Of exact logits, in 60 digits."""
    with localcontext(prec=60):
        powers = [(Decimal(z.numerator) / Decimal(z.denominator)).exp() for z in map(Fraction, logits)]
        return [p / sum(powers) for p in powers]


@pytest.mark.parametrize("order", list(itertools.permutations([1e16, 1.0, -1e16])))
def test_logits_that_cancel_cost_what_they_may_be_wrong_by(order, x64):
    """S7d: 10^16 + 1 − 10^16 is 0 in some orders, where λ₂ would be ½, not 2y(1 − y) at y = 1/(1 + e)."""
    problem = js.Problem(np.array([order]), np.array([[0.5, 0.5]]))
    W = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    y = softmax([1, 0])
    assert 0 <= Decimal(flattest_softmax_bound(W, problem)) <= 2 * y[0] * y[1]


# Three times these lies midway between two doubles: the first is rounded down, the second up, both by 2^-30.
LOW, HIGH = ((2**53 + 13) // 3 + 2**32) * 2.0**-30, (2**53 + 7) // 3 * 2.0**-30


@pytest.mark.parametrize("own", [False, True], ids=["data", "self-regulariser"])
def test_the_error_of_logits_is_reached(own, x64):
    """S7b: y_min = 1/(1 + 2e^Δ) is too large by the error of Δ = 12, 2^-29: all of 2u|γw|, and half of 2γ₂|xw|.

    The logits are 3w, of the sample x = 3 or of S21d's γ e_d with γ = 3.
    """
    assert 3 * Fraction(LOW) - Fraction(3 * LOW) == Fraction(3 * HIGH) - 3 * Fraction(HIGH) == Fraction(2) ** -30
    problem = js.Problem(
        np.array([[0.0 if own else 3.0]]),
        np.full((1, 3), 1 / 3),
        regularizer=js.SelfRegularizer(3.0) if own else None,
    )
    found = Decimal(flattest_softmax_bound(np.array([[LOW], [HIGH], [LOW]]), problem))
    exact = min(softmax([0, 3 * (Fraction(HIGH) - Fraction(LOW)), 0]))
    assert found <= exact
    assert float(1 - found / exact) <= (0 if own else 2.0**-29) + 2 * EXP_SLACK


def test_two_classes_are_rounded_down():
    """S7d: 2y₁y₂ of the doubles as they are, whichever way the product rounds, and of a subnormal one."""
    rows = np.random.default_rng(0).random((200, 2))
    rows = np.vstack([rows, [5e-324, 0.8], [0.8, 5e-324], [2.0**-1022, 0.6]])
    for (a, b), bound in zip(rows.tolist(), js.lambda2_bound(rows).tolist(), strict=True):
        exact = 2 * Fraction(a) * Fraction(b)
        assert 0 <= bound <= exact
        assert bound >= float(exact) * (1 - 20 * EPS) or exact < 2.0**-1021


def test_equal_probabilities_are_rounded_down(x64):
    """S7b: at W = 0 the bound is 1/C from below, though 1/5 = 0.2 rounds up; and it is within exp's allowance."""
    for C in (3, 5, 7, 10):
        problem = js.Problem(np.array([[1.0, 2.0]]), np.full((1, C), 1 / C))
        bound = Fraction(flattest_softmax_bound(np.zeros((C, 2)), problem))
        assert Fraction(1, C) * (1 - Fraction(2 * EXP_SLACK)) <= bound <= Fraction(1, C)


def test_an_exponential_may_be_wrong_by_its_allowance(monkeypatch):
    """S7b: EXP_SLACK is 8 · 2^-43: one for d's rounding, and exp may err by three in numerator and denominator each."""
    Z, exp = np.array([[0.0, -3.0, -3.0], [0.0, -600.0, -700.0]]), np.exp
    exact = [min(softmax(row)) for row in Z.tolist()]
    monkeypatch.setattr(np, "exp", lambda x: exp(x) * (1 + 3 * 2.0**-43 * np.where(x < 0, 1, -1)))
    found = np.min(_probability_lower_bounds(Z, np.zeros(2)), axis=1)
    assert all(0 < Decimal(bound) <= y for bound, y in zip(found.tolist(), exact, strict=True))


@pytest.mark.parametrize("gap", np.linspace(742.5, 745.5, 13))
def test_a_subnormal_probability_counts_as_none(gap, x64):
    """S7b: the smallest doubles have no digits to round: e^-744 is 10^-323 or 5 · 10^-324, whichever is nearer."""
    problem = js.Problem(np.array([[1.0]]), np.full((1, 3), 1 / 3))
    found = flattest_softmax_bound(np.array([[gap], [gap], [0.0]]), problem)
    assert 0 <= Decimal(found) <= min(softmax([0, 0, -gap]))


def test_a_subnormal_curvature_counts_as_none(x64):
    """S7c: 2y₁y₂ = 2·10⁻³⁰¹ is a normal number; times x² of 10⁻²² it has two to seven bits, rounded either way."""
    for x in np.linspace(1e-11, 2e-11, 9).tolist():
        problem = js.Problem(np.array([[x]]), np.array([[0.5, 0.5]]))
        w = 692 / x
        y = softmax([Fraction(x) * Fraction(w), 0])
        exact = 2 * y[0] * y[1] * Decimal(x) ** 2
        assert 0 <= Decimal(js.curvature_lower_bound(np.array([[w], [0.0]]), problem)) <= exact


def test_a_sum_of_many_equal_probabilities_is_counted(x64):
    """S7b: 10^5 equal terms added one after the other err by 10^-12 of their sum, more than exp's allowance.

    The logits of S21d's samples are γWᵀ, whose rows NumPy adds column by column. One class is far ahead of the others.
    """
    C = 10**5
    worst = 0.0
    problem = js.Problem(np.zeros((1, 2)), np.full((1, C), 1 / C), regularizer=js.SelfRegularizer(1.0))
    for ahead in np.linspace(0.1, 3.0, 12):
        W = np.zeros((C, 2))
        W[0] = ahead
        with localcontext(prec=60):
            exact = 1 / (Decimal(float(ahead)).exp() + C - 1)
        found = Decimal(flattest_softmax_bound(W, problem))
        assert found <= exact
        worst = max(worst, float(1 - found / exact))
    assert worst <= 2 * (EXP_SLACK + C * 2.0**-53)


@pytest.mark.parametrize("strengths", [(0.1, 0.2), (0.1, 0.7)], ids=["rounded up", "rounded down"])
def test_sums_of_strengths_are_rounded_outwards(strengths, x64):
    """S7, S21a: 0.1 + 0.2 is a double above their sum and 0.1 + 0.7 one below it."""
    exact = sum(map(Fraction, strengths), Fraction(0))
    nothing, T = np.zeros((2, 1)), np.full((2, 2), 0.5)
    for whole in (True, False):
        penalties = js.L2(strengths[0], penalize_intercept=whole) + js.L2(strengths[1], penalize_intercept=whole)
        problem = js.Problem(np.array([[2.0], [-2.0]]), T, intercept=True, regularizer=penalties)
        assert Fraction(js.curvature_lower_bound(np.zeros((2, 2)), problem)) <= exact
    flat = js.Problem(nothing, T, regularizer=js.L2(strengths[0]) + js.L2(strengths[1]))
    assert Fraction(js.curvature_bound(flat)) >= exact
    low, high = js.curvature_lower_bound(np.zeros((2, 1)), flat), js.curvature_bound(flat)
    assert low <= exact <= high <= low * (1 + 40 * EPS)


def test_the_strength_of_own_samples_is_rounded_up(x64):
    """S7a, S21d: γ²/2 for doubles γ whose squares round down."""
    for gamma in np.random.default_rng(1).uniform(0.5, 2, 50).tolist():
        problem = js.Problem(np.zeros((2, 1)), np.full((2, 2), 0.5), regularizer=js.SelfRegularizer(gamma))
        exact = Fraction(gamma) ** 2 / 2
        assert exact <= Fraction(js.curvature_bound(problem)) <= exact * (1 + Fraction(20 * EPS))


@pytest.mark.parametrize("order", [(1e16, 1.0, -1e16), (1e16, -1e16, 1.0), (1.0, 1e16, -1e16)])
def test_the_divergence_at_the_start_counts_the_error_of_its_logits(order, x64):
    """S18: t = (½, ½) and z = (1, 0): KL is log(1 + e) − ½ − log 2, and 0 where the logit is computed as 0."""
    problem = js.Problem(np.array([order]), np.array([[0.5, 0.5]]))
    W = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    divergence = math.log((1 + math.e) / 2) - 0.5
    # log ½ + (½ log ½ − Δ)/½
    assert js.log_probability_bound(problem, W) <= 2 * math.log(0.5) - 2 * divergence


@pytest.mark.parametrize("seed", range(3))
def test_the_divergence_is_rounded_up(seed, x64):
    """S18: W₀ = 0 and t = (p, 1 − p): Δ = Σ t log 2t; its terms cancel near p = ½, and nothing may go below."""
    rng = np.random.default_rng(seed)
    for p in [*rng.uniform(0.01, 0.99, 20), 0.5 + 2.0**-30]:
        t = [Fraction(float(p)), Fraction(float(1 - p))]
        problem = js.Problem(np.array([[1.0]]), np.array([[float(p), float(1 - p)]]))
        with localcontext(prec=60):
            q = [Decimal(v.numerator) / Decimal(v.denominator) for v in (t[0] / sum(t), t[1] / sum(t))]
            divergence = sum(v * (2 * v).ln() for v in q)
            exact = min(v.ln() + ((1 - v) * (1 - v).ln() - divergence) / v for v in q)
        found = Decimal(js.log_probability_bound(problem))
        assert found <= exact
        assert found >= exact - 8 * Decimal(EXP_SLACK) * (2 + abs(exact)) / min(q)


@pytest.mark.parametrize("entries", [1, 7, 1000])
def test_what_penalties_add_at_the_start_is_rounded_up(entries, x64):
    """S18, S21a: R(W₀) = (α/2) Σ w² of the doubles, seen in log δ = 2 log ½ − 2R: X = 0, t = (½, ½)."""
    for alpha, w in ((0.3, 0.1), (0.7, 0.3), (0.1, 0.7)):
        problem = js.Problem(np.zeros((1, entries)), np.array([[0.5, 0.5]]), regularizer=js.L2(alpha))
        exact = Fraction(alpha) * entries * Fraction(w) ** 2  # two rows of W
        with localcontext(prec=60):
            log_delta = 2 * Decimal("0.5").ln() - 2 * Decimal(exact.numerator) / Decimal(exact.denominator)
        found = Decimal(js.log_probability_bound(problem, np.full((2, entries), w)))
        assert found <= log_delta
        assert found >= log_delta * (1 + 20 * Decimal(EXP_SLACK))


def test_bounds_on_condition_and_step_are_rounded_outwards(x64):
    """S7c, S16: quotients of the bounds as they are."""
    for x in np.random.default_rng(2).uniform(0.5, 2, 20):
        problem = js.Problem(np.array([[x]]), np.array([[0.5, 0.5]]))
        W = np.zeros((2, 1))
        high, low = Fraction(js.curvature_bound(problem)), Fraction(js.curvature_lower_bound(W, problem))
        assert Fraction(js.condition_bound(W, problem)) >= high / low
        assert Fraction(js.descent_step_bound(problem)) * high <= 1


def wrong(log, d=2.0**-40):
    """A logarithm wrong by d of itself, upwards below 2^150 and downwards above: its allowance in the module."""
    return lambda x: log(x) + d * abs(log(x)) * (1 if x < 2.0**150 else -1)


def test_logarithms_may_be_wrong_by_their_allowance(monkeypatch, x64):
    """S18: x = 2^100 and t = (½, ½) give μ/Λ = ½ from logarithms of σ and Λ that are a hundred times as large."""
    problem = js.Problem(np.array([[2.0**100]]), np.array([[0.5, 0.5]]))
    exact = math.log(0.5)
    monkeypatch.setattr(math, "log", wrong(math.log))
    assert exact - 1e-9 <= js.log_descent_gain_bound(problem) <= exact


def test_logarithms_of_strengths_may_be_wrong_by_their_allowance(monkeypatch, x64):
    """S18, S21b: αγ = 1 from α = 2^100 and γ = 2^-100, without data: μ = Λ."""
    problem = js.Problem(
        np.zeros((1, 1)), np.array([[0.5, 0.5]]), regularizer=js.LogCosh(2.0**100, 2.0**-100, penalize_intercept=True)
    )
    monkeypatch.setattr(math, "log", wrong(math.log))
    assert -1e-9 <= js.log_descent_gain_bound(problem) <= 0


@pytest.mark.parametrize("p", [2.0**-2, 2.0**-6])
def test_logarithms_of_probabilities_may_be_wrong_by_their_allowance(monkeypatch, p, x64):
    """S18: W₀ = 0 and t = (p, 1 − p): Δ = log 2 less the entropy of t, and log δ takes Δ/p from log p."""
    problem = js.Problem(np.array([[1.0]]), np.array([[p, 1 - p]]))
    with localcontext(prec=60):
        q = [Decimal(p), 1 - Decimal(p)]
        divergence = sum((a * (2 * a).ln() for a in q), Decimal(0))
        exact = min(a.ln() + ((1 - a) * (1 - a).ln() - divergence) / a for a in q)
    log, calls = np.log, itertools.count()
    # The two logarithms in Δ are too small, those of the probabilities too large.
    monkeypatch.setattr(np, "log", lambda x: log(x) + 2.0**-40 * np.abs(log(x)) * (-1 if next(calls) < 2 else 1))
    found = Decimal(js.log_probability_bound(problem))
    assert next(calls) >= 4
    assert found <= exact


def test_products_of_bounds_are_rounded_down(x64):
    """S7c: min λ₂ σ², and σ² of the samples weighed one by one, are not above the exact products of their factors."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, W, s = rng.normal(size=(6, 2)), rng.normal(size=(3, 2)), rng.uniform(0.5, 2, 6)
        problem = js.Problem.from_labels(X, np.arange(6) % 3, intercept=False, sample_weight=s)
        factors = flattest_softmax_bound(W, problem), js.singular_value_bounds(problem).lower
        product = Fraction(factors[0]) * Fraction(factors[1]) ** 2
        assert product * (1 - Fraction(20 * EPS)) <= Fraction(js.curvature_lower_bound(W, problem)) <= product
        square = Fraction(smallest_singular_value_bound(X, s * _lambda2_of_samples(W, X) * DOWN)) ** 2
        assert square * (1 - Fraction(20 * EPS)) <= Fraction(samplewise_curvature_bound(W, problem)) <= square
