"""Enclosures contain the loss, gradient and probabilities (S1, S2), as narrow as derived (sections 7.7, 7.8)."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from helpers.certificates.minimum_twins import DIGITS, Objective, as_mpf, drawn, fraction, integer_weights
from jaxsoftmax.proof.minimum.enclose import enclose

pytest.importorskip("flint")

# The twin errs by 10^-100 or so of the size of its terms; what it is compared with has 30 digits at most.
CASES = [{"seed": seed} for seed in range(12)] + [
    {"seed": 20, "K": 1, "C": 2, "intercept": False},
    {"seed": 21, "own": Fraction(-3, 7), "alpha": Fraction(0)},
    {"seed": 22, "alpha": Fraction(1, 10), "intercept": True},
    {"seed": 23, "alpha": Fraction(1, 10), "intercept": False},
    {"seed": 24, "weights": "far", "targets": "soft"},
    {"seed": 25, "scale": 30},
    {"seed": 26, "scale": -30},
]


def at_some_weights(seed, bits=40, size=1.0, **given):
    objective = drawn(seed, **given)
    C, K = objective.shape
    widest = [max(1.0, float(max(abs(x[d]) for x in objective.X))) for d in range(K)]
    W = integer_weights(np.random.default_rng(seed).normal(0, size, (C, K)) / widest, bits + 100) >> 100
    W[-1] = -W[:-1].sum(axis=0)
    return objective, objective.exact_form(), W


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_twin_is_inside_and_the_width_is_the_derived_one(case):
    precision, bits = 100, 160
    objective, data, W = at_some_weights(**(case | {"bits": bits}))
    found = enclose(data, W, bits, precision)
    with mpmath.workdps(DIGITS):
        at = as_mpf(W, bits)
        loss, slack = fraction(objective.loss(at)), Fraction(1, 10**70)
        load = sum(objective.s)
        assert found.loss[0] - slack * load <= loss <= found.loss[1] + slack * load
        # Arb works with 32 more bits; the terms are at most max|z| + log C <= 2^7 here, and added in n steps.
        assert found.loss[1] - found.loss[0] <= load * Fraction(2) ** (12 - precision - 32)
        g = objective.gradient(at)
        for c, d in np.ndindex(*W.shape):
            off = abs(fraction(g[c][d]) - found.gradient[c, d])
            assert off <= found.gradient_error[d] * (1 + slack)
        for d in range(W.shape[1]):
            expected = 2 * sum(s * abs(x[d]) for s, x in zip(objective.s, objective.X, strict=True))
            assert found.gradient_error[d] == expected / 2**precision
        Y = objective.probabilities(at)
        for n, j in np.ndindex(*found.probabilities.shape):
            assert abs(fraction(Y[n][j]) * 2**precision - found.probabilities[n, j]) <= 1


def test_probabilities_are_rounded_to_the_nearest_not_merely_within_a_unit():
    """What keeps the documented unit true once Arb's own radius is added."""
    objective, data, W = at_some_weights(3)
    found = enclose(data, W, 40, 60)
    with mpmath.workdps(DIGITS):
        Y = objective.probabilities(as_mpf(W, 40))
        worst = max(
            abs(fraction(Y[n][j]) * 2**60 - found.probabilities[n, j])
            for n, j in np.ndindex(*found.probabilities.shape)
        )
    assert worst <= Fraction(1, 2) + Fraction(1, 2**15)


def test_probabilities_of_a_few_units_are_rounded_like_all_others():
    """S2: e^−w of 13 units of 2^-60 down to a hundredth of one, each to the nearest; below half a unit that is 0."""
    one = Objective([[Fraction(1)]], [[Fraction(1, 2)] * 2], [Fraction(1)], Fraction(0), [False]).exact_form()
    for twice in range(78, 94):
        found = enclose(one, np.array([[twice], [0]], dtype=object), bits=1, precision=60)
        with mpmath.workdps(DIGITS):
            y = fraction(1 / (1 + mpmath.exp(mpmath.mpf(twice) / 2)))
        assert abs(y * 2**60 - found.probabilities[0, 1]) <= Fraction(1, 2) + Fraction(1, 2**15)


@pytest.mark.parametrize("size", [1e3, 1e5])
def test_far_weights_underflow_to_zero_and_stay_enclosed(size):
    """At logits of 10^3 to 10^5 probabilities are below any unit: 0, at once and not by shifts of a million bits."""
    objective, data, W = at_some_weights(5, size=size, scale=0)
    found = enclose(data, W, 40, 80)
    with mpmath.workdps(DIGITS):
        at = as_mpf(W, 40)
        loss = fraction(objective.loss(at))
        assert found.loss[0] <= loss * (1 + Fraction(1, 10**60)) and loss <= found.loss[1] * (1 + Fraction(1, 10**60))
        Y = objective.probabilities(at)
    assert (found.probabilities == 0).any()
    for n, j in np.ndindex(*found.probabilities.shape):
        assert abs(fraction(Y[n][j]) * 2**80 - found.probabilities[n, j]) <= 1


def test_many_denominators_of_targets_cost_no_product_of_them():
    """1,500 rows of coprime denominators: their exact sum would have a denominator of 60,000 bits."""
    rng = np.random.default_rng(0)
    _objective, data, W = at_some_weights(4, targets="soft", own=None, alpha=Fraction(0), weights="ones")
    n, C = 1500, data.C
    q = np.array([10**9 + 2 * k + 1 for k in range(n)], dtype=object)
    first = rng.integers(1, 10**8, (n, C - 1)).astype(object)
    P = np.hstack([first, (q - first.sum(axis=1))[:, None]])
    A = np.tile(data.A, (n // len(data.A) + 1, 1))[:n]
    data = data._replace(A=A, P=P, q=q, s_num=np.array([1] * n, dtype=object), s_den=1)
    found = enclose(data, W, 40, 100)
    assert found.loss[0].denominator.bit_length() < 1000
    assert found.loss[1] - found.loss[0] < Fraction(n * 2**12, 2**132)


def test_a_column_of_zeros_and_one_row():
    objective = drawn(8, K=2, intercept=False, own=None)
    X = [[x[0], Fraction(0)] for x in objective.X][:1]
    one = type(objective)(X, objective.T[:1], objective.s[:1], Fraction(0), [False, False])
    W = np.zeros((objective.shape[0], 2), dtype=object)
    found = enclose(one.exact_form(), W, 0, 64)
    assert found.gradient_error[1] == 0 and (found.gradient[:, 1] == 0).all()
    C = objective.shape[0]
    with mpmath.workdps(DIGITS):
        loss = fraction(mpmath.log(C)) * objective.s[0]
    assert found.loss[0] <= loss * (1 + Fraction(1, 10**60)) and loss * (1 - Fraction(1, 10**60)) <= found.loss[1]


@pytest.mark.parametrize("share", [Fraction(1, 3), Fraction(2, 3), Fraction(4, 7)])
def test_the_upper_loss_is_rounded_up_for_each_denominator(share):
    """S1: one sample with its logits 2^70 apart loses t·2^70 and e^(−2^70) more, which no ball of Arb notices.

    t = 1/3 times 2^70 has no binary expansion: the floor at 96 places is too small by up to a unit, and the upper loss
    is the floor and a unit. Against 600 bits each end is off by that unit at most.
    """
    objective = drawn(8, K=1, C=2, intercept=False, own=None)
    one = type(objective)([[Fraction(1)]] * 2, [[share, 1 - share]] * 2, [Fraction(1)] * 2, Fraction(0), [False])
    W = np.array([[0], [2**70]], dtype=object)
    coarse, fine = (enclose(one.exact_form(), W, 0, precision) for precision in (64, 600))
    exact = 2 * share * 2**70
    for found, unit in ((coarse, Fraction(2) ** -96), (fine, Fraction(2) ** -632)):
        assert found.loss[0] <= exact <= found.loss[1]
        assert found.loss[1] - found.loss[0] <= 2 * unit
    assert coarse.loss[0] <= fine.loss[0] <= fine.loss[1] <= coarse.loss[1]


def test_a_denominator_for_each_row_is_rounded_for_itself():
    """S1: as many floors as denominators, and the upper loss is above the exact one, at 64 bits as at 600."""
    denominators = [3, 5, 7, 11, 13, 17, 19, 23]
    objective = drawn(8, K=1, C=2, intercept=False, own=None)
    n = len(denominators)
    T = [[Fraction(q - 1, q), Fraction(1, q)] for q in denominators]
    rows = type(objective)([[Fraction(1)]] * n, T, [Fraction(1)] * n, Fraction(0), [False])
    W = np.array([[0], [2**70]], dtype=object)
    exact = sum(t[0] for t in T) * 2**70
    for precision in (64, 600):
        found = enclose(rows.exact_form(), W, 0, precision)
        assert found.loss[0] <= exact <= found.loss[1]
        assert found.loss[1] - found.loss[0] <= (n + 1) * Fraction(2) ** (-precision - 32)


def test_the_lower_end_of_the_loss_takes_off_the_radius_of_the_logarithms():
    """7.8: at W = 0 nothing but the logarithms is rounded; 2 log 2 is in every interval, whichever way they round."""
    each = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    data = Objective([[Fraction(1)], [Fraction(2)]], each, [Fraction(1)] * 2, Fraction(0), [False])
    form = data.exact_form()
    with mpmath.workdps(60):
        exact = fraction(2 * mpmath.log(2))
    for precision in range(8, 40):
        low, high = enclose(form, np.zeros((2, 1), dtype=object), 0, precision).loss
        assert low <= exact <= high
