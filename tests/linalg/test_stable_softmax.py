"""Softmax, its logarithm, residual and variance against values of 2,400 bits (sections 7.1, 7.2, 7.3 and 7.4)."""

import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.linalg import stable_softmax as numerics

flint = pytest.importorskip("flint")
from helpers.hostile_rows import exact, promised, relative_errors, rows  # noqa: E402  (it needs flint)

CLASSES = (2, 3, 10, 40, 200)


@functools.partial(jax.jit, static_argnums=1)
def _pieces(Z, axis):
    terms = numerics.softmax_terms(Z, axis)
    return numerics.terms_probabilities(terms), numerics.terms_neg_log(terms)


@functools.partial(jax.jit, static_argnums=2)
def _residual(Z, t, axis=-1):
    terms = numerics.softmax_terms(Z, axis)
    y = numerics.terms_probabilities(terms)
    weighted = numerics.weighted_neg_log(t, numerics.terms_neg_log(terms), axis)
    return y, numerics.terms_residual(terms, y, t, axis), weighted


def pieces(Z: np.ndarray, axis: int = -1):
    """(y, -log y) from the compensated pieces, classes along `axis`, compiled, as NumPy."""
    Z = jnp.asarray(np.moveaxis(Z, -1, axis))
    out = _pieces(Z, axis)
    return tuple(np.moveaxis(np.asarray(a), axis, -1) for a in out)


@pytest.mark.parametrize("C", fast(CLASSES, 1, 3))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_and_their_logarithms_are_within_4_eps_of_50_digits(C, dtype):
    """Section 7.1, 7.2: relative error of y and -log y at most 4 eps (1 + log2 C) wherever they are normal numbers."""
    with jax.enable_x64(dtype == "float64"):
        y, neg_log = pieces(rows(C, dtype))
        assert y.dtype == neg_log.dtype == np.dtype(dtype)
    true_y, true_log, _, _ = exact(C, dtype)
    assert np.nanmax(relative_errors(y, true_y)) <= promised(dtype, C)
    errors = relative_errors(neg_log, true_log)
    assert np.nanmax(errors) <= promised(dtype, C)
    smallest = np.min(neg_log[~np.isnan(errors)])
    assert smallest < (1e-290 if dtype == "float64" else 1e-34), "no confidently right sample was tested"


@pytest.mark.parametrize(("dtype", "C"), fast([("float32", 10), ("float64", 10), ("float32", 200)], 0))
def test_the_layout_with_classes_first_is_as_accurate(dtype, C):
    """Section 7.1, 7.2: the fused kernels hold classes along axis 0; also float32 while x64 is on."""
    with jax.enable_x64(True):
        y, neg_log = pieces(rows(C, dtype), axis=0)
        assert y.dtype == neg_log.dtype == np.dtype(dtype)
        t = jnp.asarray(np.eye(C, dtype=dtype)[np.arange(len(y)) % C].T)
        _, r, weighted = (np.asarray(a).T for a in _residual(jnp.asarray(rows(C, dtype).T), t, 0))
    true_y, true_log, complement, _ = exact(C, dtype)
    assert np.nanmax(relative_errors(y, true_y)) <= promised(dtype, C)
    assert np.nanmax(relative_errors(neg_log, true_log)) <= promised(dtype, C)
    residual = [
        [-c if k == n % C else v for k, (v, c) in enumerate(zip(true_y[n], complement[n], strict=True))]
        for n in range(len(true_y))
    ]
    assert np.nanmax(relative_errors(r, residual)) <= promised(dtype, C)
    picked = [[true_log[n][n % C]] for n in range(len(true_log))]
    assert np.nanmax(relative_errors(weighted[:, None], picked)) <= promised(dtype, C)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_textbook_formula_is_wrong_by_hundreds_of_eps_on_the_same_rows(dtype):
    """Section 7.1-7.3: what the tests above guard against: exp(z - max)/sum, lse - z and y - 1 as commonly written."""
    C = 10
    Z = rows(C, dtype)
    with jax.enable_x64(dtype == "float64"):

        @jax.jit
        def textbook(z):
            d = z - jnp.max(z, axis=-1, keepdims=True)
            total = jnp.sum(jnp.exp(d), axis=-1, keepdims=True)
            return jnp.exp(d) / total, jnp.log(total) - d

        y, neg_log = (np.asarray(a) for a in textbook(jnp.asarray(Z)))
    true_y, true_log, complement, _ = exact(C, dtype)
    eps = float(np.finfo(dtype).eps)
    assert np.nanmax(relative_errors(y, true_y)) > (100 if dtype == "float64" else 10) * eps
    assert np.nanmax(relative_errors(neg_log, true_log)) == 1.0, "a loss of 1e-300 comes out as 0"
    assert np.nanmax(relative_errors(1 - y, complement)) == 1.0, "and its gradient too"


@pytest.mark.parametrize("C", fast(CLASSES, 1, 3))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_residuals_keep_their_digits(C, dtype):
    """Section 7.3: y - t relative to itself for one-hot and single-count t, to max((Σt) y, t) for the others."""
    Z = rows(C, dtype)
    rng = np.random.default_rng(C)
    n = len(Z)
    top = np.argmax(Z, axis=1)
    hot = [np.eye(C)[k] for k in (top, np.zeros(n, int), rng.integers(0, C, size=n))]
    soft = rng.dirichlet(np.ones(C), size=n)
    smoothed = 0.99 * hot[0] + 0.01 / C
    counts = rng.integers(0, 4, size=(n, C)).astype(float)
    targets = [(t, True) for t in (*hot, 5 * hot[0])] + [(t, False) for t in (soft, smoothed, counts, 0 * soft)]
    with jax.enable_x64(dtype == "float64"):
        y = pieces(Z)[0]
        ours = [(t.astype(dtype), np.asarray(_residual(Z, t.astype(dtype))[1]), sole) for t, sole in targets]
    true_y, _, complement, _ = exact(C, dtype)
    normal, normal_complement = (relative_errors(np.asarray(y), true) for true in (true_y, complement))
    for t, r, sole in ours:
        totals = [sum((flint.arb(float(v)) for v in row), flint.arb(0)) for row in t]
        true, scale = [], []
        for row in range(n):
            weighted = [totals[row] * v for v in true_y[row]]
            true.append(
                [
                    -float(t[row, i]) * complement[row][i] if sole and t[row, i] else weighted[i] - float(t[row, i])
                    for i in range(C)
                ]
            )
            scale.append([flint.arb(max(float(w), float(v))) for w, v in zip(weighted, t[row], strict=True)])
        errors = relative_errors(r, true, None if sole else scale)
        # A count times a probability below the normal range is lost with the probability.
        errors[(np.isnan(normal) & (t == 0)) | (np.isnan(normal_complement) & (t > 1))] = np.nan
        # A soft row's Σt is itself rounded: C/2 eps at most in any order, half of it a bit less than promised.
        allowed = promised(dtype, C) + (0 if sole else C / 2 * float(np.finfo(dtype).eps))
        assert np.all(~(errors > allowed))
        if sole:
            assert np.count_nonzero(~np.isnan(errors)) > n


@pytest.mark.slow_cases("float64")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_give_finite_values_where_representable_else_infinity_and_never_nan(dtype):
    """Section 7.1: logits near the largest number, infinite ones and masks of -inf."""
    big = float(np.finfo(dtype).max) * 0.75
    inf = np.inf
    expected = {  # z: (y, -log y)
        (big, -big, 0.0): ((1, 0, 0), (0, inf, big)),
        (big, big, -big): ((0.5, 0.5, 0), (math.log(2), math.log(2), inf)),
        (-big, -big, -big): ((1 / 3,) * 3, (math.log(3),) * 3),
        (0.0, -inf, 0.0): ((0.5, 0, 0.5), (math.log(2), inf, math.log(2))),
        (-inf, -inf, 1.0): ((0, 0, 1), (inf, inf, 0)),
        (-inf, -inf, -inf): ((1 / 3,) * 3, (math.log(3),) * 3),
        (inf, 0.0, -inf): ((1, 0, 0), (0, inf, inf)),
        (inf, inf, big): ((0.5, 0.5, 0), (math.log(2), math.log(2), inf)),
    }
    Z = np.array(list(expected), dtype)
    with jax.enable_x64(dtype == "float64"):
        y, neg_log = pieces(Z)
        hot = np.eye(3, dtype=dtype)
        cost = jax.jit(js.softmax_cross_entropy)
        one_hot = [np.asarray(cost(jnp.asarray(Z), t)) for t in hot]
        slope = np.asarray(jax.jit(jax.grad(lambda z: jnp.sum(cost(z, hot[0]))))(jnp.asarray(Z)))
    for n, (probability, cost) in enumerate(expected.values()):
        np.testing.assert_allclose(y[n], np.asarray(probability, dtype), rtol=promised(dtype, 3))
        np.testing.assert_allclose(neg_log[n], np.asarray(cost, dtype), rtol=promised(dtype, 3))
        np.testing.assert_allclose(
            slope[n], np.asarray(probability, dtype) - np.eye(3, dtype=dtype)[0], rtol=promised(dtype, 3)
        )
    np.testing.assert_array_equal(np.array(one_hot).T, neg_log)


@pytest.mark.parametrize("n", [3, 32, 33, 65, 67, 131, 1000])
def test_class_sums_are_pairwise_and_complete(n):
    """Section 7.1: every term once, odd lengths too; error at most eps (1 + log2 n) relative for terms of one sign."""
    x = np.random.default_rng(n).uniform(0.5, 1, size=(2, n)).astype(np.float32)
    for axis, values in ((-1, x), (0, x.T)):
        ours = np.asarray(jax.jit(numerics.sum_classes, static_argnums=1)(values, axis), np.float64).reshape(-1)
        true = np.array([math.fsum(row) for row in x.astype(np.float64)])
        assert np.all(np.abs(ours / true - 1) <= np.finfo(np.float32).eps * (1 + np.log2(n)))


def test_two_sum_keeps_the_rounding_error_exactly():
    """Section 7.1: s + e = a + b exactly, compiled (no reassociation)."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=64) * 2.0 ** rng.integers(-40, 40, size=64)
    b = rng.normal(size=64) * 2.0 ** rng.integers(-40, 40, size=64)
    with jax.enable_x64(True):
        s, e = (np.asarray(v) for v in jax.jit(numerics.two_sum)(a, b))
    for values in zip(a, b, s, e, strict=True):
        first, second, total, error = (Fraction(float(v)) for v in values)
        assert first + second == total + error
    assert np.any(e != 0)


def test_centred_directions_are_accurate_relative_to_their_own_size():
    """Section 7.4: u - ū after the shift, in either layout; a constant of any size in u changes nothing."""
    y = np.array([[0.5, 0.5 - 2.0**-40, 2.0**-40], [0.25, 0.125, 0.625]])
    u = np.array([[1.0, 1.0, 3.0], [2.0, -1.0, 0.5]])
    with jax.enable_x64(True):
        for shift in (0.0, 2.0**30):
            ours = np.asarray(numerics.centred(jnp.asarray(y), jnp.asarray(u + shift)))
            across = np.asarray(numerics.centred(jnp.asarray(y.T), jnp.asarray(u.T + shift), 0)).T
            for value in (ours, across):
                np.testing.assert_allclose(value[0], [-(2.0**-39), -(2.0**-39), 2 - 2.0**-39], rtol=1e-15)
                np.testing.assert_allclose(value[1], u[1] - np.sum(y[1] * u[1]), rtol=1e-15)


def test_a_class_of_target_zero_costs_nothing_even_where_its_probability_is_zero():
    """Section 7.1: 0·∞ = 0 in Σ t (-log y)."""
    t, cost = jnp.array([[0.0, 1.0], [0.5, 0.5]]), jnp.array([[jnp.inf, 2.0], [jnp.inf, 2.0]])
    assert numerics.weighted_neg_log(t, cost).tolist() == [2.0, np.inf]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_terms_that_underflow_beside_a_normal_runner_up_are_not_lost(dtype):
    """7.1, 7.2: with the runner-up anywhere above the underflow threshold, classes below it still count in -log y."""
    edge = float(np.log(np.finfo(dtype).tiny))
    gaps = np.concatenate([np.linspace(0.5, 60, 40), np.linspace(0, 12, 25)])  # the runner-up above the threshold
    below = np.linspace(0.3, 30, 9)  # the others below the runner-up
    Z = np.array([[0.0, edge + gap, *(edge + gap - below)] for gap in gaps]).astype(dtype)
    with jax.enable_x64(True):
        _, ours = pieces(Z)
    assert ours.dtype == dtype
    for value, ball in zip(ours[:, 0], flint_neg_log(Z)[:, 0], strict=True):
        assert abs(float(flint.arb(float(value)) / ball - 1)) <= promised(dtype, Z.shape[1])


def flint_neg_log(Z: np.ndarray) -> np.ndarray:
    """-log softmax of stored logits, in balls of 2,400 bits."""
    before, flint.ctx.prec = flint.ctx.prec, 2400
    try:
        rows = []
        for row in Z:
            balls = [flint.arb(float(z)) for z in row]
            rows.append([(sum(((other - z).exp() for other in balls), flint.arb(0))).log() for z in balls])
        return np.array(rows, dtype=object)
    finally:
        flint.ctx.prec = before
