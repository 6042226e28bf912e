"""Losses and residuals of rows against values of 2,400 bits, and what their passes keep (sections 7.1, 7.2 and 7.3)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.stages import fast
from jaxsoftmax.linalg import row_softmax

flint = pytest.importorskip("flint")
from helpers.hostile_rows import exact, promised, relative_errors, rows  # noqa: E402  (it needs flint)

CLASSES = (2, 3, 10, 33, 40, 200, 300)  # single columns; narrow slices, with a rest and without; slices of slices
SHAPES = fast([(dtype, C) for C in CLASSES for dtype in ("float32", "float64")], 0, 5, 8, 10)


@jax.jit
def _labels(z, k):
    return row_softmax.label_cross_entropy(z, k), row_softmax.label_residual(z, k)


@jax.jit
def _targets(z, t):
    return row_softmax.row_cross_entropy(z, t), row_softmax.row_residual(z, t)


@pytest.mark.slow_cases("float32-200", "float32-40", "float64-10")
@pytest.mark.parametrize(("dtype", "C"), SHAPES)
def test_one_hot_losses_and_residuals_are_within_4_eps_of_the_exact_ones(dtype, C):
    """Section 7.1, 7.2, 7.3, S1, S2: integer labels and one-hot targets, label at the top and anywhere."""
    Z = rows(C, dtype)
    y, neg_log, complement, _ = exact(C, dtype)
    n = np.arange(len(Z))
    smallest = 1.0
    for k in (np.argmax(Z, axis=1), n % C, np.argmin(Z, axis=1)):
        true = [[-c if j == k[i] else v for j, (v, c) in enumerate(zip(y[i], complement[i], strict=True))] for i in n]
        loss = [[neg_log[i][k[i]]] for i in n]
        with jax.enable_x64(dtype == "float64"):
            by_label, by_target = _labels(Z, k.astype("int32")), _targets(Z, np.eye(C, dtype=dtype)[k])
        for value, slope in (by_label, by_target):
            assert value.dtype == slope.dtype == np.dtype(dtype)
            errors = relative_errors(np.asarray(value)[:, None], loss)
            assert np.nanmax(errors) <= promised(dtype, C)
            assert np.nanmax(relative_errors(np.asarray(slope), true)) <= promised(dtype, C)
            smallest = min(smallest, np.min(np.asarray(value)[~np.isnan(errors[:, 0])]))
    assert smallest < (1e-290 if dtype == "float64" else 1e-34), "no confidently right sample was tested"


@pytest.mark.parametrize(("dtype", "C"), fast([("float32", 10), ("float64", 40), ("float32", 200)], 0, 1))
def test_residuals_of_other_targets_are_accurate_relative_to_the_larger_part(dtype, C):
    """Section 7.3: soft rows, counts and a row of zeros, relative to max((Σt) y, t); Σt itself errs by C/2 eps."""
    Z = rows(C, dtype)
    rng = np.random.default_rng(C)
    y = exact(C, dtype)[0]
    normal = relative_errors(np.array([[float(v) for v in row] for row in y], dtype), y)
    soft = rng.dirichlet(np.ones(C), size=len(Z))
    for t in (soft, rng.integers(0, 4, size=Z.shape).astype(float), 0 * soft):
        t = t.astype(dtype)
        with jax.enable_x64(dtype == "float64"):
            r = np.asarray(_targets(Z, t)[1])
        totals = [sum((flint.arb(float(v)) for v in row), flint.arb(0)) for row in t]
        weighted = [[totals[i] * v for v in row] for i, row in enumerate(y)]
        true = [[w - float(v) for w, v in zip(weighted[i], t[i], strict=True)] for i in range(len(t))]
        scale = [
            [flint.arb(max(float(w), float(v))) for w, v in zip(weighted[i], t[i], strict=True)] for i in range(len(t))
        ]
        errors = relative_errors(r, true, scale)
        errors[np.isnan(normal) & (t == 0)] = np.nan
        assert np.all(~(errors > promised(dtype, C) + C / 2 * float(np.finfo(dtype).eps)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_offsets_and_ties_change_nothing(dtype):
    """Section 7.1: a row moved by 2^10 … 1e30 has the loss of the differences that its stored numbers have."""
    info = np.finfo(dtype)
    with jax.enable_x64(dtype == "float64"):
        # Just above -2^16 (in float64 -2^35) the sum with the lift is rounded by r with r²/2 of many eps.
        edges = (6 - 2.0**16 - 2.0**-8, 30 - 2.0**35 - 2.0**-18)
        for offset in (2.0**10, -(2.0**10) - 8, 2.0**17, -(2.0**17) - 8, 2.0**30, -1e30, 1e30, *edges):
            z = np.array([[0.0, -8.0, -16.0, 0.0]]) * np.array([[1.0], [0.125]]) + offset
            z = z.astype(dtype)
            d = z.astype(np.float64) - z.max(axis=1, keepdims=True)
            total = np.exp(d).sum(axis=1, keepdims=True)
            for k in range(4):
                value, slope = _labels(z, np.full(2, k, "int32"))
                np.testing.assert_allclose(
                    value, np.log(total[:, 0]) - d[:, k], rtol=12 * info.eps
                )  # promised at C = 4
                np.testing.assert_allclose(slope, np.exp(d) / total - np.eye(4)[k], rtol=12 * info.eps)


def test_the_lift_saves_sums_of_terms_that_vanish_one_by_one():
    """Section 7.1: 200 terms of e^-88.5 are 0 each in float32, their sum is not; beyond 2^16 it may be lost."""
    for top in (3.0, 1000.0):
        z = np.full((1, 201), top - 88.5, np.float32)
        z[0, 7] = top
        value, slope = _labels(z, np.array([7], "int32"))
        true = 200 * math.exp(-88.5)
        assert float(value[0]) == pytest.approx(true, rel=promised("float32", 201), abs=0)
        assert float(slope[0, 7]) == pytest.approx(-true, rel=promised("float32", 201), abs=0)
    z = np.float32([[2.0**27, 2.0**27 - 96]])
    assert float(_labels(z, np.array([0], "int32"))[0][0]) == 0


def test_a_lift_that_is_rounded_by_much_is_none():
    """Section 7.1: next to −2^20, 24 − m is rounded by 1/16, whose cube over 6 is 340 eps: three terms will not do."""
    for power in (16, 17, 18, 20, 22):
        top = -(2.0**power - 10 - 2.0 ** (power - 24))
        z = np.float32([[top, top - 3]])
        assert z.astype(float).tolist() == [[top, top - 3]]
        value, slope = _labels(z, np.array([0], "int32"))
        assert float(value[0]) == pytest.approx(math.log1p(math.exp(-3)), rel=promised("float32", 2), abs=0)
        assert float(slope[0, 0]) == pytest.approx(-1 / (1 + math.exp(3)), rel=promised("float32", 2), abs=0)


def test_the_logarithm_of_a_sum_is_as_good_as_log1p():
    """Section 7.2: log(1 + x) from two_sum, x from 1e-37 to 1e4, within 4 eps."""
    x = (10 ** np.random.default_rng(1).uniform(-37, 4, 20_000)).astype(np.float32)
    ours = jax.jit(row_softmax.log_of_sum)(np.ones_like(x), x)
    np.testing.assert_allclose(np.asarray(ours, np.float64), np.log1p(x.astype(np.float64)), rtol=4 * 2.0**-23)


@pytest.mark.parametrize("n", fast([1, 2, 7, 32, 33, 40, 63, 64, 257, 1000, 1025, 5000], 0, 3, 4, 8, 10))
def test_sums_of_columns_are_pairwise_and_complete(n):
    """Section 7.1: every column once; error at most eps (1 + log2 n) relative for terms of one sign."""
    x = np.random.default_rng(n).uniform(0.5, 1, size=(3, n)).astype(np.float32)
    cut = lambda x: row_softmax.sum_columns(lambda i, j: x[:, i:j], x.shape[1])  # noqa: E731
    ours = np.asarray(jax.jit(cut)(x), np.float64)[:, 0]
    true = np.array([math.fsum(row) for row in x.astype(np.float64)])
    assert np.all(np.abs(ours / true - 1) <= np.finfo(np.float32).eps * (1 + np.log2(n)))


@pytest.mark.slow_cases("float32")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_of_the_size_of_the_logits_is_kept(dtype):
    """A pass leaves a sixteenth of the row or less; the gradient of integer labels is the one large array."""
    z, k = jnp.zeros((64, 2000), dtype), jnp.zeros(64, "int32")
    memory = jax.jit(lambda z, k: _labels(z, k)).lower(z, k).compile().memory_analysis()
    assert memory.temp_size_in_bytes <= z.size * 4 / 16


def test_digits_do_not_depend_on_what_the_compiler_knows():
    """Section 7.1: with constant targets and labels the compensation stays; folded away it loses 12 eps here."""
    with jax.enable_x64(True):
        Z = jnp.asarray([[3.7, 3.7 - 2.0**-51]])
        T, k = jnp.asarray([[1.0, 0.0]]), jnp.asarray([0])
        for lost in (jax.jit(lambda z: _targets(z, T)[0]), jax.jit(lambda z: _labels(z, k)[0])):
            true = math.log1p(math.exp(-(2.0**-51)))
            assert abs(float(lost(Z)[0]) - true) <= 8 * np.finfo(float).eps * true


@pytest.mark.slow_cases("40")
@pytest.mark.parametrize("C", [3, 40])
def test_infinite_logits_are_certain_and_lose_nothing(C):
    """−∞ has the probability 0, and +∞ all of it: −log y is log(1 + 1/e), 0, or ∞, and y − t beside them finite."""
    Z = np.full((3, C), -np.inf, np.float32)
    Z[0, :2], Z[1, 0], Z[2, 0] = (1.0, 0.0), np.inf, np.inf
    k = np.int32([0, 0, 1])
    with np.errstate(over="ignore"):
        wanted = np.float32([np.log1p(np.exp(-1.0)), 0, np.inf])
    t = np.eye(C, dtype=np.float32)[k]
    for value, slope in (_labels(Z, k), _targets(Z, t)):
        np.testing.assert_allclose(value, wanted, rtol=8 * 2.0**-23)
        y = np.zeros((3, C))
        y[0, :2], y[1:, 0] = (1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(1.0))), 1
        np.testing.assert_allclose(slope, y - t, rtol=0, atol=8 * 2.0**-23)
