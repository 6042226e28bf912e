"""Labels stay labels: the device holds an integer a sample, and kernels need less than 3 N C numbers of memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss import fused
from jaxsoftmax.linalg import blocks
from jaxsoftmax.problem.dtypes import narrowed, stored_eps, widened
from jaxsoftmax.problem.label_targets import LabelTargets

N, D = 3001, 130


def _problem(C, *, bytes_=False, smoothing="0.1", dtype="float32"):
    rng = np.random.default_rng(C)
    X = rng.integers(0, 256, (N, D)).astype(np.uint8) if bytes_ else rng.standard_normal((N, D))
    y = np.r_[np.arange(C), rng.integers(0, C, N - C)]
    s = rng.uniform(0, 2, N)
    return js.Problem.from_labels(X, y, intercept=False, label_smoothing=smoothing, sample_weight=s, dtype=dtype), y


def test_labels_are_stored_and_T_is_computed_from_them():
    problem, y = _problem(5)
    assert isinstance(problem.targets, LabelTargets)
    assert [leaf.shape for leaf in jax.tree.leaves(problem)] == [(N, D), (N,), (2,), (N,)]
    expected = np.full((N, 5), 0.02, np.float32)
    expected[np.arange(N), y] = 0.92
    np.testing.assert_array_equal(problem.T, expected)
    np.testing.assert_array_equal(jax.jit(lambda p: p.T)(problem), expected)
    assert problem.shape == (N, D, 5)


def test_no_two_of_many_classes_share_a_code():
    """More classes than an octet can tell apart: each of 300 labels has its own column of T."""
    problem = js.Problem.from_labels(np.zeros((300, 1), np.float32), np.arange(300))
    assert isinstance(problem.targets, LabelTargets)
    np.testing.assert_array_equal(problem.T, np.eye(300))


def test_every_derived_problem_keeps_labels():
    problem, y = _problem(3)
    rebuilt = jax.tree.map(lambda leaf: leaf, problem)
    with jax.enable_x64(True):
        others = [widened(problem), problem.astype("float64"), widened(rebuilt)]
        assert all(p.T.dtype == np.float64 for p in others)
    others += [rebuilt, narrowed(problem), problem.smoothed("0.5"), problem.replace(X=np.ones((N, D)))]
    for other in others:
        assert isinstance(other.targets, LabelTargets)
        np.testing.assert_array_equal(other.targets.codes, y)
    batch = problem.replace(X=problem.X[:7], T=problem.targets[:7], sample_weight=problem.sample_weight[:7])
    np.testing.assert_array_equal(batch.T, problem.T[:7])
    soft = problem.replace(T=problem.T)
    assert soft.targets.shape == (N, 3) and isinstance(soft.targets, jax.Array)


@pytest.mark.slow_cases("10-True")
@pytest.mark.parametrize(
    ("C", "bytes_"),
    [(10, True), pytest.param(3, False, marks=pytest.mark.slow), pytest.param(40, True, marks=pytest.mark.slow)],
)
def test_blocks_of_labels_and_bytes_give_what_whole_products_of_arrays_give(C, bytes_):
    """S1, S2, S4: the sums that T (N, C) and X in the compute dtype give, over blocks with a remainder."""
    problem, _ = _problem(C, bytes_=bytes_)
    assert problem.X.dtype == (np.uint8 if bytes_ else np.float32)
    dense = problem.replace(X=problem.X.astype(jnp.float32), T=problem.T)
    rng = np.random.default_rng(0)
    W, V = (jnp.asarray(0.001 * rng.standard_normal((C, D)), jnp.float32) for _ in range(2))

    @partial(jax.jit, static_argnums=3)
    def sums(W, problem, V, where):
        value, gradient = fused.fused_value_and_gradient(W, problem, where)
        return value, gradient, fused.fused_hvp(W, problem, V, where)

    ours = jax.tree.map(np.asarray, sums(W, problem, V, blocks.Placement(True, 1 << 18)))
    whole = jax.tree.map(np.asarray, sums(W, dense, V, blocks.Placement(False, 1)))
    # A sum of N terms s r x, where |r| <= 1 for a residual and twice the largest logit of V for a centred one. Logits
    # summed in another order are within D eps of Σ|w x|, which moves a term by twice that much of itself.
    X, eps = np.abs(np.asarray(dense.X)), np.finfo(np.float32).eps
    terms = np.asarray(problem.sample_weight) @ X
    sizes = [(X @ np.abs(np.asarray(A)).T).max() for A in (W, V)]
    share = 2 * eps * (8 + N**0.5 + 2 * D * (1 + sizes[0]))
    assert share < 0.01
    assert abs(ours[0] - whole[0]) <= share * whole[0]
    assert np.all(np.abs(ours[1] - whole[1]) <= share * terms)
    assert np.all(np.abs(ours[2] - whole[2]) <= share * 2 * sizes[1] * terms)


@pytest.mark.slow
def test_a_derivative_in_the_weights_passes_labels_and_bytes():
    """D gradient = product with H (S4) where neither the labels nor the bytes have a tangent."""
    problem, _ = _problem(3, bytes_=True)
    W = jnp.full((3, D), 0.001, jnp.float32)
    V = jnp.asarray(np.random.default_rng(0).standard_normal((3, D)), jnp.float32)
    along = jax.jvp(lambda w: js.value_and_gradient(w, problem)[1], (W,), (V,))[1]
    terms = np.asarray(problem.sample_weight) @ np.asarray(problem.X, np.float32)
    largest = np.abs(np.asarray(problem.X, np.float32) @ np.asarray(V).T).max()
    eps = np.finfo(np.float32).eps * (8 + N**0.5)
    assert np.all(np.abs(along - js.hvp(W, problem, V)) <= 2 * eps * 2 * largest * terms)


@pytest.mark.slow
@pytest.mark.parametrize("C", [32, 200])
def test_memory_beyond_the_data(C):
    """At most 3 N C numbers up to 32 classes, and a block beyond: no array of N C is there."""
    problem, _ = _problem(C, bytes_=True)
    W = jnp.zeros((C, D), jnp.float32)
    for function, args in ((js.value_and_gradient, (W, problem)), (js.hvp, (W, problem, W))):
        used = jax.jit(function).lower(*args).compile().memory_analysis().temp_size_in_bytes
        # A block keeps X widened and some arrays of its logits; the weights, their sums and padding come beside it.
        block = 3 * blocks._CPU_BLOCK_BYTES + 8 * W.nbytes
        assert used <= (max(block, 3 * 4 * N * C) if C <= 32 else block), (function.__name__, used)


@pytest.mark.parametrize(("dtype", "digits"), [(np.float64, 53), (np.float32, 24), (np.longdouble, 53)])
def test_a_float_label_that_two_integers_round_to_is_refused(dtype, digits):
    """2^53 is what 2^53 + 1 is rounded to, and so is −2^53; one less is itself."""
    for sign in (1, -1):
        with pytest.raises(ValueError, match=f"names no single integer|from 2\\*\\*{digits} on"):
            js.Problem.from_labels(np.zeros((2, 1)), np.array([sign * 2**digits, 1], dtype))
        known = js.Problem.from_labels(np.zeros((2, 1)), np.array([sign * (2**digits - 1), 1], dtype)).classes
        assert sign * (2**digits - 1) in known.tolist()


def test_bytes_are_read_as_numbers():
    problem, _ = _problem(3, bytes_=True)
    assert "X in uint8" in repr(problem)
    assert stored_eps(problem) == np.finfo(np.float32).eps
    half = js.Problem.from_labels(np.float32(problem.X), np.arange(N) % 3, dtype="bfloat16")
    assert stored_eps(half) == 2.0**-7  # X alone is in bfloat16: the larger of the two
    np.testing.assert_array_equal(problem.replace(X=np.full((N, D), 0.5)).X, np.float32(0.5))
    given = js.Problem.from_labels(problem.X, np.arange(N) % 3, intercept=True)
    assert given.X.dtype == np.uint8
    np.testing.assert_array_equal(given.X[:, -1], 1)


@pytest.mark.slow
def test_bytes_train_and_pass_the_cross_check():
    X = np.random.default_rng(0).integers(0, 256, (60, 3)).astype(np.uint8)
    problem = js.Problem.from_labels(X, np.arange(60) % 3, label_smoothing=0.1, dtype="float32")
    fitted = js.fit(problem)
    assert fitted.converged
    same = js.fit(js.Problem.from_labels(X.astype(np.float32), np.arange(60) % 3, label_smoothing=0.1))
    np.testing.assert_allclose(fitted.loss, same.loss, rtol=1e-6)
    assert js.crosscheck_problem(problem, fitted.W).verdict in ("AGREE", "ROUNDING")  # float32, up to 255
