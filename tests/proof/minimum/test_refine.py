"""Chord steps gain digits at each step and end where S13's gap was asked for; the factor is that of S4's Hessian."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from helpers.certificates.minimum_twins import DIGITS, as_mpf, drawn, fraction, mpf
from jaxsoftmax.proof.minimum.curvature import scaling_exponents
from jaxsoftmax.proof.minimum.refine import FactoredHessian, float_columns, refine

pytest.importorskip("flint")

CASES = [{"seed": seed} for seed in range(4)] + [
    {"seed": 30, "C": 4, "alpha": Fraction(1, 10), "intercept": True, "scale": 6},
    {"seed": 31, "scale": 20, "weights": "far"},
    {"seed": 32, "scale": -20},
]


def floats(W) -> np.ndarray:
    return np.array([[float(w) for w in row] for row in W])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_step_is_newtons(case):
    """S13: the solve against an elimination at 120 digits; float64 loses its condition number's digits at most."""
    objective = drawn(**case)
    data, (C, K) = objective.exact_form(), objective.shape
    exponents = scaling_exponents(data)
    rng = np.random.default_rng(1)
    W = np.ldexp(rng.normal(0, 0.3, (C, K)), -exponents)
    W -= W.mean(axis=0)
    g = np.ldexp(rng.normal(0, 1, (C, K)), exponents)
    g -= g.mean(axis=0)
    factor = FactoredHessian(data, W, exponents)
    found = factor.scaled_solve(np.ldexp(g, -exponents))
    with mpmath.workdps(DIGITS):
        at = [[mpmath.mpf(w) for w in row] for row in W]
        H = mpmath.matrix(objective.reduced_hessian(at))
        right = mpmath.matrix([mpmath.mpf(g[c, d]) - mpmath.mpf(g[-1, d]) for c in range(C - 1) for d in range(K)])
        step = mpmath.lu_solve(H, right)
        expected = np.array([float(v) for v in step]).reshape(C - 1, K)
        least = objective.least_eigenvalue(at, exponents)
        scaled = np.ldexp(np.vstack([expected, -expected.sum(axis=0)]), exponents)
        most = float(sum(objective.s)) * max(
            float(sum((x / Fraction(2) ** int(e)) ** 2 for x, e in zip(row, exponents, strict=True)))
            for row in objective.X
        )
    condition = most / least
    assert np.linalg.norm(found - scaled) <= 64 * C * K * 2.0**-52 * condition * np.linalg.norm(scaled)
    estimate = factor.least_eigenvalue_estimate()
    assert least * (1 - 1e-6 - 2.0**-40 * condition) <= estimate <= 3 * least


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_end_is_the_minimiser_to_what_was_asked(case):
    objective = drawn(**case)
    data, (_, K) = objective.exact_form(), objective.shape
    exponents = scaling_exponents(data)
    with mpmath.workdps(DIGITS):
        best = objective.minimiser()
        assert best is not None
        beta = float(mpmath.sqrt(2 * max(
            mpmath.fsum((mpf(x) / mpmath.mpf(2) ** int(e)) ** 2 for x, e in zip(row, exponents, strict=True))
            for row in objective.X
        )))  # fmt: skip
        refined = refine(data, floats(best), exponents, -133.0, beta=beta)  # 2^-133 is 10^-40
        at = as_mpf(refined.W, refined.bits)
        assert (refined.W.sum(axis=0) == 0).all()
        excess = objective.loss(at) - objective.loss(best)
        assert 0 <= excess + mpmath.mpf(10) ** -100 * objective.loss(best)
        assert excess <= 1.01 * mpmath.mpf(2) ** -133 * objective.loss(best)
        for d in range(K):
            off = max(abs(row[d] - b[d]) for row, b in zip(at, best, strict=True)) * mpmath.mpf(2) ** int(exponents[d])
            assert off < mpmath.mpf(10) ** -15
    assert refined.steps <= 6


def test_steps_from_afar_and_without_a_minimiser_are_refused():
    objective = drawn(3)
    data, (C, K) = objective.exact_form(), objective.shape
    far = np.random.default_rng(0).normal(0, 200, (C, K))
    with pytest.raises(ArithmeticError):
        refine(data, far, scaling_exponents(data), -60.0, beta=10.0)
    X = [[Fraction(n), Fraction(1)] for n in (-2, -1, 1, 2)]
    T = [[Fraction(n < 2), Fraction(n >= 2)] for n in range(4)]
    separable = type(objective)(X, T, [Fraction(1)] * 4, Fraction(0), [False, False]).exact_form()
    for size in (1.0, 10.0, 100.0, 1e4):
        with pytest.raises(ArithmeticError):
            refine(separable, np.array([[-size, 0], [size, 0]]), scaling_exponents(separable), -60.0, beta=4.0)


def test_a_huge_column_keeps_the_start():
    """Weights of 10^-30 are not lost in the first fixed point: from 0 these steps would not contract."""
    X = [[n * Fraction(10) ** 30, Fraction(1)] for n in (-2, -1, 1, 2)]
    low = Fraction(1, 10**6)
    T = [[1 - low, low] if n < 2 else [low, 1 - low] for n in range(4)]
    objective = type(drawn(0))(X, T, [Fraction(1)] * 4, Fraction(0), [False, False])
    with mpmath.workdps(DIGITS):
        best = objective.minimiser()
    data = objective.exact_form()
    assert refine(data, floats(best), scaling_exponents(data), -100.0, beta=4.0).steps <= 4
    with pytest.raises(ArithmeticError):
        refine(data, 0.1 * floats(best), scaling_exponents(data), -100.0, beta=4.0)


def test_float_columns_of_any_size():
    X = [[Fraction(10) ** 200, Fraction(1, 3 * 10**300)], [Fraction(3, 7), Fraction(1, 10**299)]]
    objective = type(drawn(0))(X, [[Fraction(1, 2)] * 2] * 2, [Fraction(1)] * 2, Fraction(0), [False] * 2)
    exponents = np.array([600, -1000])
    for data in (objective.exact_form(), objective.exact_form().restricted(np.array([1]))):
        found = float_columns(data, exponents[data.columns])
        for n in range(2):
            for k, d in enumerate(data.columns):
                exact = X[n][d] / Fraction(2) ** int(exponents[d])
                assert abs(Fraction(found[n, k]) - exact) <= exact * Fraction(3, 2**53)
    assert fraction(mpmath.mpf(0.75)) == Fraction(3, 4)
