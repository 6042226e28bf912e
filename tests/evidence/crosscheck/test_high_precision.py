"""evidence/crosscheck/high_precision.py: 50 digits of the stored numbers, against the standard library's decimals."""

import decimal
import sys
from decimal import Decimal

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck import reference

flint = pytest.importorskip("flint")

N, D, C = 5, 3, 3
ALPHA, GAMMA, COSH = 0.25, 0.5, (0.375, 1.5)  # exact in float32, so that the decimals below are the stored strengths


def make(dtype="float32", regularizer=None, seed=0):
    """A small problem with soft and one-hot rows, weights, W and a direction, all stored in dtype."""
    rng = np.random.default_rng(seed)
    T = rng.dirichlet(np.ones(C), size=N)
    T[0], T[1] = np.eye(C)[0], np.eye(C)[2]
    problem = js.Problem(
        rng.normal(size=(N, D - 1)),
        T,
        intercept=True,
        sample_weight=rng.uniform(0.5, 2, N),
        dtype=dtype,
        regularizer=regularizer,
    )
    W, V = rng.normal(size=(2, C, D)).astype(dtype)
    return problem, W, V


def decimals(a):
    return [[Decimal(float(x)) for x in row] for row in np.atleast_2d(np.asarray(a).astype(np.float64))]


def by_decimals(problem, W, V, U, regularized):
    """Loss, gradient, H[V] and D^3 L[V, U, U] with 120-digit decimals: S1, S2, S4, S8 as loops, no shift."""
    with decimal.localcontext(decimal.Context(prec=120)):
        X, T, w, v, q = (decimals(a) for a in (problem.X, problem.T, W, V, U))
        s = decimals(problem.sample_weight)[0]
        if regularized:
            g = Decimal(GAMMA)
            X += [[g if e == d else Decimal(0) for e in range(D)] for d in range(D)]
            T += [[Decimal(1) / C] * C] * D
            s += [Decimal(1)] * D
        loss, third = Decimal(0), Decimal(0)
        G = [[Decimal(0)] * D for _ in range(C)]
        H = [[Decimal(0)] * D for _ in range(C)]
        for x, t, weight in zip(X, T, s, strict=True):
            z = [sum(a * b for a, b in zip(row, x, strict=True)) for row in w]
            u = [sum(a * b for a, b in zip(row, x, strict=True)) for row in v]
            e = [a.exp() for a in z]
            y = [a / sum(e) for a in e]
            mean = sum(a * b for a, b in zip(y, u, strict=True))
            loss -= weight * sum(t[i] * y[i].ln() for i in range(C))
            b = [sum(a * b for a, b in zip(row, x, strict=True)) for row in q]
            other = sum(a * b for a, b in zip(y, b, strict=True))
            third += weight * sum(y[i] * (u[i] - mean) * (b[i] - other) ** 2 for i in range(C))
            for c in range(C):
                for d in range(D):
                    G[c][d] += weight * (sum(t) * y[c] - t[c]) * x[d]
                    H[c][d] += weight * y[c] * (u[c] - mean) * x[d]
        if regularized:
            a = Decimal(ALPHA)
            loss += a / 2 * sum(w[c][d] ** 2 for c in range(C) for d in range(D - 1))
            for c in range(C):
                for d in range(D - 1):
                    G[c][d] += a * w[c][d]
                    H[c][d] += a * v[c][d]
                    # S21b: log(2 cosh x) = log(e^x + e^-x), with p = e^x/(e^x + e^-x) = (1 + tanh x)/2
                    b, g = map(Decimal, COSH)
                    x = g * w[c][d]
                    p = x.exp() / (x.exp() + (-x).exp())
                    loss += b / g * (x.exp() + (-x).exp()).ln()
                    G[c][d] += b * (2 * p - 1)
                    H[c][d] += b * g * 4 * p * (1 - p) * v[c][d]
                    third -= 2 * b * g**2 * (2 * p - 1) * 4 * p * (1 - p) * v[c][d] * q[c][d] ** 2
        return loss, G, H, third


def agree(ball, value):
    """50 digits: the ball's midpoint and the decimal agree to a relative 1e-50 (the decimals have 120 digits)."""
    before = flint.ctx.prec
    try:
        flint.ctx.prec = 500
        other = flint.arb(str(value))
        return float(abs(ball.mid() - other).upper()) <= 1e-50 * abs(float(other))
    finally:
        flint.ctx.prec = before


@pytest.mark.parametrize("regularized", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fifty_digits_of_the_stored_numbers(dtype, regularized, x64):
    """S1, S2, S4, S8, S21: loss, gradient, H[V] and D^3 L have 50 right digits in every entry."""
    penalties = js.L2(ALPHA) + js.LogCosh(*COSH) + js.SelfRegularizer(GAMMA) if regularized else None
    problem, W, V = make(dtype, penalties)
    U = V[::-1] * 0.5
    loss, G, H, third = by_decimals(problem, W, V, U, regularized)
    assert agree(highprecision.loss(W, problem), loss)
    assert agree(highprecision.third_derivative(W, problem, V, U), third)
    assert agree(highprecision.third_derivative(W, problem, V), by_decimals(problem, W, V, V, regularized)[3])
    for ours, theirs in ((highprecision.gradient(W, problem), G), (highprecision.hvp(W, problem, V), H)):
        assert ours.shape == (C, D)
        assert all(agree(ours[c, d], theirs[c][d]) for c in range(C) for d in range(D))


def hessian_entry(W, problem, c, d, e, f):
    """One entry of the Hessian (S4), by covariances of single entries instead of products."""
    X, _, s, terms = highprecision._softened(problem, C)
    pieces = [highprecision._row_pieces(row) for row in highprecision._matmul(X, highprecision._balls(W).T)]
    covariance = [y[c] * q[c] if c == e else -(y[c] * y[e]) for y, q, _ in pieces]
    value = highprecision._total(s * np.array(covariance, object) * X[:, d] * X[:, f])
    return value + (highprecision._penalised(W, terms, "curvature")[c, d] if (c, d) == (e, f) else 0)


def test_hessian_columns_entries_and_form_are_one_matrix(x64):
    """S4: the columns, the single entries (by another formula) and the quadratic form agree to 50 digits."""
    problem, W, V = make("float64", js.L2(ALPHA) + js.LogCosh(*COSH) + js.SelfRegularizer(GAMMA))
    columns = [(c, d) for c in range(C) for d in range(D)]
    H = highprecision.hessian_columns(W, problem, columns)
    pairs = [(*a, *b) for a in columns for b in columns]
    with highprecision._precision(50):
        entries = [hessian_entry(W, problem, *pair) for pair in pairs]
        width = max(float(abs(a - b).upper()) for a, b in zip(H.ravel(), entries, strict=True))
        v = highprecision._balls(V.ravel())
        form = sum((v[i] * H[i, j] * v[j] for i in range(C * D) for j in range(C * D)), flint.arb(0))
        gap = float(abs(form - highprecision.quadratic_form(W, problem, V)).upper())
    assert width <= 1e-50
    assert gap <= 1e-50 * float(form)
    dense = np.asarray(jax.jit(reference.hessian)(W, problem))
    # float64 against 50 digits: 9 x 9 entries of size ~ 1 from some 20 terms.
    assert highprecision.errors(dense, H).max() <= 200 * np.finfo(np.float64).eps * np.abs(dense).max()


def test_stored_floats_are_read_exactly():
    """S1: 0.1 in float32 is 13421773 * 2^-27, not 0.1."""
    z = np.array([0.1, 0.0], np.float32)
    with highprecision._precision(50):
        exact = flint.arb(13421773) / flint.arb(2) ** 27
        expected = 1 / (1 + (-exact).exp())
        assert float(abs(highprecision.probabilities(z)[0] - expected).upper()) < 1e-60


@pytest.mark.parametrize("gap", [0.0, 30.0, 700.0])
def test_per_logit_functions_keep_relative_digits(gap):
    """S1, S2, section 7.2-7.3: y, -log y and y - t to 50 relative digits, however confident the row is."""
    z, t = np.array([[gap, 0.0, -3.0]]), np.array([[1.0, 0.0, 0.0]])
    with decimal.localcontext(decimal.Context(prec=420)):
        e = [Decimal(float(x)).exp() for x in z[0] - z[0, 0]]
        total = sum(e)
        y = [a / total for a in e]
        logs = [total.ln() - Decimal(float(x)) for x in z[0] - z[0, 0]]
        r = [-(e[1] + e[2]) / total, y[1], y[2]]
    context = decimal.Context(prec=80)
    balls = (highprecision.probabilities(z), highprecision.neg_log_probabilities(z), highprecision.residual(z, t))
    before = flint.ctx.prec
    try:
        flint.ctx.prec = 1500
        for ours, theirs in zip(balls, (y, logs, r), strict=True):
            for ball, value in zip(ours[0], theirs, strict=True):
                other = flint.arb(str(context.plus(value)))
                assert bool(abs(ball.mid() - other) <= flint.arb(10) ** -50 * abs(other))
    finally:
        flint.ctx.prec = before


def test_residual_scales_with_the_row_sum_of_its_targets():
    """S2: the exact derivative of sum t (-log y) for rows that miss 1: (1't) y - t."""
    z, t = np.array([0.5, -1.0]), np.array([0.75, 0.5])
    y = highprecision.to_float(highprecision.probabilities(z))
    r = highprecision.to_float(highprecision.residual(z, t))
    np.testing.assert_allclose(r, 1.25 * y - t, rtol=0, atol=4e-16)


def test_errors_are_subtracted_in_high_precision():
    """A float64 subtraction would call every correctly rounded value exact."""
    third = highprecision.probabilities(np.zeros(3))
    error = highprecision.errors(np.full(3, 1 / 3), third)
    # 1 - 3 * fl(1/3) = 2^-54 exactly.
    assert (error == 2.0**-54 / 3).all()
    with highprecision._precision(50):
        zero, two = flint.arb(0), flint.arb(2)
    got = highprecision.errors(np.array([0.0, 1.0, np.nan, 3.0]), np.array([zero, zero, two, two], object))
    assert got[0] == 0.0 and got[1] == 1.0 and np.isnan(got[2]) and got[3] == 1.0


def test_the_working_precision_is_restored():
    """Ball arithmetic elsewhere in the process keeps its precision, also after an error."""
    before = flint.ctx.prec
    highprecision.probabilities(np.zeros(2))
    assert flint.ctx.prec == before
    with pytest.raises(ValueError):
        highprecision.residual(np.zeros(2), np.zeros(3), digits=80)
    assert flint.ctx.prec == before


def test_a_missing_python_flint_is_named_with_its_remedy(monkeypatch):
    """The message names the extra."""
    monkeypatch.setitem(sys.modules, "flint", None)
    assert not highprecision.available()
    with pytest.raises(ImportError, match=r"jaxsoftmax\[exact\]"):
        highprecision.probabilities(np.zeros(2))
