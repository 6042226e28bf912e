"""S1, S2, S4 by the fused kernels: blocks of rows with a remainder give the whole sums, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import twins
from jaxsoftmax.calculus.loss import fused
from jaxsoftmax.linalg import blocks

# 131 rows: with few bytes a block the loop runs over two blocks of 64 rows, and 3 rows remain.
N, D, C = 131, 3, 5
SMALL, WHOLE = blocks.Placement(True, 1), blocks.Placement(False, 1)
_value_and_gradient = jax.jit(fused.fused_value_and_gradient, static_argnums=2)
_hvp = jax.jit(fused.fused_hvp, static_argnums=3)
_hvp_cached = jax.jit(fused.fused_hvp_from_probabilities, static_argnums=3)
_hvp_many = jax.jit(fused.fused_hvp_many, static_argnums=3)


@pytest.fixture(scope="module")
def setup():
    rng = np.random.default_rng(7)
    X, W, V = rng.normal(size=(N, D)), rng.normal(size=(C, D)), rng.normal(size=(C, D))
    T, s = rng.dirichlet(np.ones(C), size=N), rng.uniform(0, 2, size=N)
    T[::2] = np.eye(C)[rng.integers(0, C, size=len(T[::2]))]
    s[::5] = 0
    with jax.enable_x64(True):
        problem = js.Problem(X, T, sample_weight=s)
    return problem, W, V, twins.Data(X, np.asarray(problem.T), s)


def test_rows_are_split_into_the_blocks_that_this_file_is_about():
    """The sizes above really exercise the loop and the remainder; a close divisor is preferred to a remainder."""
    assert blocks._block_rows(N, 8 * D, SMALL.block_bytes, None) == 64
    assert blocks._block_rows(200, 8 * D, 1, None) == 50
    assert blocks._block_rows(131, 8 * D, 1 << 30, None) == 131
    assert blocks._block_rows(131, 8 * D, 1 << 30, 100) == 100
    one_over = blocks.sum_blocks(SMALL, lambda x: jnp.sum(x, axis=0), (), (jnp.ones((129, D)),), jnp.zeros(D))
    np.testing.assert_array_equal(np.asarray(one_over), 129)  # two blocks of 64 rows and a single one
    seen = []
    total = blocks.sum_blocks(
        SMALL, lambda x: seen.append(x.shape) or jnp.sum(x, axis=0), (), (jnp.ones((N, D)),), jnp.zeros(D)
    )
    np.testing.assert_array_equal(np.asarray(total), N)
    assert set(seen) == {(64, D), (3, D)}


@pytest.mark.slow_cases("128")
@pytest.mark.parametrize("n", [128, N, 60])
def test_probabilities_by_blocks_are_those_of_each_sample(setup, n):
    """S1: blocks of 64 rows, with a remainder and without, and one block alone; each row is its sample's."""
    _, W, _, data = setup
    with jax.enable_x64(True):
        part = js.Problem(data.X[:n], data.T[:n])
        Y = np.asarray(jax.jit(fused.fused_probabilities, static_argnums=2)(jnp.asarray(W), part, SMALL))
        assert Y.dtype == np.float64
    # A logit is off by D eps Σ|x||w| on either side, its probability by twice that, relatively, and by a few eps.
    rtol = 4 * (D * np.max(np.abs(data.X) @ np.abs(W.T)) + 8) * twins.EPS64
    np.testing.assert_allclose(Y, [twins.softmax(z) for z in twins.logits(W, data.X[:n])], rtol=rtol)
    seen = []
    whole = blocks.rows_of_blocks(SMALL, lambda x: seen.append(x.shape) or 2 * x, jnp.ones((n, D)), D, jnp.float32)
    np.testing.assert_array_equal(np.asarray(whole), 2)
    assert set(seen) == {128: {(64, D)}, N: {(64, D), (3, D)}, 60: {(60, D)}}[n]


@pytest.mark.slow_cases("whole")
@pytest.mark.parametrize("where", [SMALL, WHOLE], ids=["blocks", "whole"])
def test_fused_sums_are_S1_S2_S4(setup, where):
    """S1, S2, S4: value, gradient and products, one and many, by blocks and whole, with and without probabilities."""
    problem, W, V, data = setup
    with jax.enable_x64(True):
        W_, V_ = jnp.asarray(W), jnp.asarray(V)
        value, gradient = _value_and_gradient(W_, problem, where)
        product = _hvp(W_, problem, V_, where)
        Y = js.probabilities(W_, problem)
        cached = _hvp_cached(Y, problem, V_, where)
        many = np.asarray(_hvp_many(Y, problem, jnp.stack([W_, V_]), where))
        value, gradient, product, cached = (np.asarray(a) for a in (value, gradient, product, cached))
    eps = 2 * twins.EPS64
    assert abs(value - twins.loss(W, data)) <= twins.loss_tolerance(W, data, eps)
    assert np.all(np.abs(gradient - twins.gradient(W, data)) <= twins.gradient_tolerance(W, data, eps))
    assert np.all(np.abs(many[0] - twins.hvp(W, data, W)) <= twins.hvp_tolerance(W, data, W, eps))
    for ours in (product, cached, many[1]):
        assert np.all(np.abs(ours - twins.hvp(W, data, V)) <= twins.hvp_tolerance(W, data, V, eps))


@pytest.mark.parametrize("where", [SMALL, WHOLE], ids=["blocks", "whole"])
def test_a_class_of_target_0_costs_nothing_however_unlikely_it_is(where):
    """S1, 0·inf = 0: finite logits may differ by more than the largest float32; the loss is 0, or infinite, no NaN."""
    for label, loss in ((0, 0.0), (1, np.inf)):
        problem = js.Problem(np.float32([[1e20]]), np.eye(2, dtype="float32")[[label]])
        value, gradient = _value_and_gradient(jnp.float32([[3e18], [-3e18]]), problem, where)
        assert float(value) == loss
        # y is (1, 0): y - t is 0, or (1, -1).
        np.testing.assert_allclose(gradient, np.float32([[1e20], [-1e20]]) * label, rtol=1e-6)


@pytest.mark.slow
def test_derivatives_of_the_fused_functions_are_the_next_statements(setup):
    """S2, S4, S8: D value = gradient, D gradient = product with H, D product = third derivative; in s, T and X too."""
    problem, W, V, data = setup
    rng = np.random.default_rng(8)
    U = rng.normal(size=(C, D))
    with jax.enable_x64(True):
        W_, V_, U_ = (jnp.asarray(a) for a in (W, V, U))

        def parts(w, x, t, s):
            return _value_and_gradient(w, problem.replace(X=x, T=t, sample_weight=s), SMALL)

        @jax.jit
        def derivatives(w, p):
            at = w, p.X, p.T, p.sample_weight
            along_w = jax.jvp(lambda w: parts(w, *at[1:]), (w,), (V_,))[1]
            by_inputs = jax.grad(lambda *a: jnp.vdot(parts(*a)[1], U_), argnums=(0, 1, 2, 3))(*at)
            value_by_inputs = jax.grad(lambda *a: parts(*a)[0], argnums=(0, 1, 2, 3))(*at)
            product = jax.grad(lambda w: jnp.vdot(_hvp(w, p, V_, SMALL), U_))(w)
            y = js.probabilities(w, p)
            linear = jax.grad(lambda v: jnp.vdot(_hvp_cached(y, p, v, SMALL), U_))(V_)
            return along_w, by_inputs, value_by_inputs, product, linear

        out = jax.tree.map(np.asarray, derivatives(W_, problem))
    along_w, by_inputs, value_by_inputs, product, linear = out
    eps = 2 * twins.EPS64
    # Derivatives by other routes sum the same terms; ten times the tolerance of one covers their order.
    allowed = 10 * twins.hvp_tolerance(W, data, V, eps)
    assert along_w[0] == pytest.approx(np.sum(twins.gradient(W, data) * V), rel=1e-11, abs=0)
    assert np.all(np.abs(along_w[1] - twins.hvp(W, data, V)) <= allowed)
    np.testing.assert_allclose(by_inputs[0], twins.hvp(W, data, U), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(linear, twins.hvp(W, data, U), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(value_by_inputs[0], twins.gradient(W, data), rtol=1e-10, atol=1e-12)
    # ⟨∇L, U⟩ = Σ s (y - t)ᵀ U x and L = Σ s t (-log y): their derivatives in x, t and s by hand.
    Z, Uz = W @ data.X.T, (U @ data.X.T).T
    Y = np.array([twins.softmax(z) for z in Z.T])
    neg_log = np.array([-twins.log_softmax(z) for z in Z.T])
    R, s = Y - data.T, data.s[:, None]
    centred = Y * (Uz - np.sum(Y * Uz, axis=1, keepdims=True))
    tight = {"rtol": 1e-10, "atol": 1e-11}
    np.testing.assert_allclose(by_inputs[1], s * (R @ U + centred @ W), **tight)
    # T moves with its row sum free: (Σt) y - t has the derivative (Σdt) y - dt.
    np.testing.assert_allclose(by_inputs[2], s * (np.sum(Y * Uz, axis=1, keepdims=True) - Uz), **tight)
    np.testing.assert_allclose(by_inputs[3], np.sum(R * Uz, axis=1), **tight)
    np.testing.assert_allclose(value_by_inputs[1], s * (R @ W), **tight)
    np.testing.assert_allclose(value_by_inputs[2], s * neg_log, **tight)
    np.testing.assert_allclose(value_by_inputs[3], np.sum(data.T * neg_log, axis=1), **tight)
    # d/dW ⟨H[V], U⟩ = D³L[·, V, U]; its pairing with V is D³L[U, V, V].
    np.testing.assert_allclose(np.sum(product * V), twins.third_derivative(W, data, U, V), rtol=1e-10)


@pytest.mark.parametrize(
    ("shape", "blocks_are_read"),
    [
        ((100_000, 54, 7), False),  # narrow rows
        ((20_000, 512, 100), False),  # many classes
        ((60_000, 785, 10), True),  # most of the work is reading X
        ((10_000, 54, 7), True),  # few rows: one block
        ((1_000_000, 20, 5), True),  # logits that leave the cache
    ],
)
def test_where_products_are_taken_whole(shape, blocks_are_read):
    """On CPU, in one piece: by the shape alone, as measured (`benchmarks/kernels.py`)."""
    rows, features, classes = shape
    W, X = (jax.ShapeDtypeStruct(size, jnp.float32) for size in ((classes, features), (rows, features)))
    where = blocks.Placement(True, 1 << 20)
    assert fused._in_blocks(where, W, X) is blocks_are_read
    assert fused._in_blocks(where._replace(cpu=False), W, X) and fused._in_blocks(where._replace(axes="x"), W, X)
    assert not fused._in_blocks(where._replace(blocks=False), W, X)


@pytest.mark.parametrize("where", [SMALL, WHOLE], ids=["blocks", "whole"])
def test_an_infinite_loss_of_weight_zero_takes_no_part(where):
    """Section 0, S1: logits of ±10⁶⁰ are infinite in float32 and so is the loss of the wrong label; 0·∞ is 0 here."""
    X = np.full((2, 1), 1.0, np.float32)
    X[1] = 1e30
    problem = js.Problem(X, np.float32([[0.5, 0.5], [1, 0]]), sample_weight=np.float32([2, 0]))
    W = jnp.asarray([[-1e30], [1e30]], jnp.float32)
    alone = js.Problem(X[:1], np.float32([[0.5, 0.5]]), sample_weight=np.float32([2]))
    (value, gradient), (expected, slope) = (_value_and_gradient(W, p, where) for p in (problem, alone))
    assert np.isfinite(float(value)) and float(value) == float(expected)
    np.testing.assert_array_equal(gradient, slope)
    counted = problem.replace(sample_weight=np.float32([2, 1]))
    assert float(_value_and_gradient(W, counted, where)[0]) == np.inf
