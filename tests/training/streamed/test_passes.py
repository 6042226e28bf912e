"""Sums over chunks are those over all samples (S1, S2, S4, S8), whatever the size of a chunk."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.moments import moments, rows_of
from jaxsoftmax.training.streamed import passes
from jaxsoftmax.training.streamed.fit import samples_of

EPS = 2.0**-53
RNG = np.random.default_rng(2)
N, C = 103, 3
X = RNG.normal(size=(N, 4)) * [1, 10, 0.1, 1]
LABELS = RNG.integers(0, C, N)
WEIGHTS = RNG.integers(0, 3, N).astype(float)
W, V = RNG.normal(size=(2, C, 5))


@pytest.fixture(params=[pytest.param(1, marks=pytest.mark.slow), 17, N])
def samples(request, monkeypatch, x64):
    """All samples in float64, so many rows a chunk."""
    monkeypatch.setattr(passes, "CHUNK_BYTES", request.param * X[0].nbytes)
    problem = js.StreamedProblem.from_labels(X, LABELS, sample_weight=WEIGHTS)
    found = samples_of(problem, np.float64)
    assert found.rows == request.param
    return found


def twin():
    """Loss, gradient, product, range of the logits, and Σ s|x|, in plain NumPy."""
    Xe, T = np.hstack([X, np.ones((N, 1))]), np.eye(C)[LABELS]
    Z, U = Xe @ W.T, Xe @ V.T
    Y = np.exp(Z - Z.max(axis=1, keepdims=True))
    Y /= Y.sum(axis=1, keepdims=True)
    value = -np.sum(WEIGHTS * np.log(np.sum(Y * T, axis=1)))
    centred = U - np.sum(Y * U, axis=1, keepdims=True)
    spread = np.max(np.ptp(U, axis=1)[WEIGHTS > 0])
    return (
        value,
        (WEIGHTS[:, None] * (Y - T)).T @ Xe,
        (WEIGHTS[:, None] * Y * centred).T @ Xe,
        spread,
        WEIGHTS @ abs(Xe),
    )


@pytest.mark.slow_cases("17")
def test_each_pass_is_the_sum_over_all_samples(samples):
    """Tolerance: sums of N terms of size at most 50 in another order, N·eps of their absolute sum."""
    value, gradient, product, spread, sums = twin()
    found, slope = samples.value_and_gradient(jax.numpy.asarray(W))
    atol = 20 * N * EPS * 50 * N
    np.testing.assert_allclose(found, value, rtol=0, atol=atol)
    np.testing.assert_allclose(slope, gradient, rtol=0, atol=atol)
    np.testing.assert_allclose(samples.product(*map(jax.numpy.asarray, (W, V))), product, rtol=0, atol=atol)
    assert samples.spread(jax.numpy.asarray(V)) == pytest.approx(spread, rel=20 * EPS)
    seen = samples.look()
    np.testing.assert_allclose(seen.sums, sums, rtol=2 * N * EPS)
    np.testing.assert_array_equal(seen.top, [*np.max(np.abs(X), axis=0), 1.0])


def test_the_moments_are_those_of_the_samples_in_memory(samples):
    """S6, S19: the same Gram matrices but for the order of the sums, within the bound that both state."""
    whole = js.Problem.from_labels(X, LABELS, sample_weight=WEIGHTS)
    rows, other = samples.moment_rows(samples.look().top), rows_of(whole)
    frame = js.Problem.from_labels(X[:1], LABELS[:1], classes=range(C))
    found, expected = moments(frame, rows), moments(whole)
    assert (rows.live, rows.weights) == (other.live, other.weights)
    np.testing.assert_array_equal(found.scale, expected.scale)
    for name in ("gram", "plain"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        bound = (found.error_bound + expected.error_bound) * np.trace(theirs)
        assert np.linalg.norm(mine - theirs, 2) <= bound


def test_bytes_are_widened_as_they_are_read(monkeypatch):
    """S1 for uint8 images: no intercept is stored, and the last chunk is filled up with samples of weight 0."""
    monkeypatch.setattr(passes, "CHUNK_BYTES", 64)
    images = RNG.integers(0, 256, (50, 16)).astype(np.uint8)
    labels = np.arange(50) % 2
    problem, whole = (cls.from_labels(images, labels) for cls in (js.StreamedProblem, js.Problem))
    assert problem.dtype == whole.dtype == np.float32
    start = np.full((2, 17), 1e-3, np.float32) * [[1], [-1]]
    with jax.enable_x64(True):
        samples = samples_of(problem, problem.dtype)
        value, gradient = samples.value_and_gradient(jax.numpy.asarray(start, np.float32))
    expected, slope = js.value_and_gradient(start, whole)
    # Two float32 evaluations: sums of 50 terms of size at most 255, logits off by 17·eps·4.
    assert value == pytest.approx(float(expected), rel=100 * 2.0**-24)
    np.testing.assert_allclose(gradient, slope, rtol=0, atol=100 * 2.0**-24 * 50 * 255)


@pytest.mark.parametrize(
    ("entry", "dtype", "words"),
    [
        (np.nan, "float64", r"^X: entry \(97, 2\) of X is nan; every entry must be finite"),
        (-np.inf, "float64", r"^X: entry \(97, 2\) of X is -inf; every entry must be finite"),
        (1e39, "float32", r"^X: entry \(97, 2\) of X is 1e\+39, beyond the largest float32; rescale"),
        (2**53 + 2, "int64", r"^X: entry \(97, 2\) of X is 9007199254740994, an integer .*, or store X as floats"),
        (2**53 + 1, "int64", r"^X: entry \(97, 2\) of X is 9007199254740993, an integer beyond 2\^53; "),
        (-(2**63), "int64", r"^X: entry \(97, 2\) of X is -9223372036854775808, an integer beyond 2\^53; "),
        (2**64 - 1, "uint64", r"^X: entry \(97, 2\) of X is 18446744073709551615, an integer beyond 2\^53; "),
    ],
)
def test_what_cannot_be_computed_with_is_named_with_its_row(entry, dtype, words, monkeypatch):
    monkeypatch.setattr(passes, "CHUNK_BYTES", 10 * X[0].nbytes)
    wrong = np.abs(X).astype(dtype if "int" in dtype else "float64")
    wrong[97, 2] = entry
    with pytest.raises(ValueError, match=words):
        js.fit(js.StreamedProblem.from_labels(wrong, LABELS, dtype="float32"))


def test_integers_up_to_2_53_are_taken(x64):
    """2^53 is a double; 2^53 + 1 is rounded to it, and refused above."""
    whole = X.astype(np.int64)
    whole[[5, 97], 2] = 2**53, -(2**53)
    assert samples_of(js.StreamedProblem.from_labels(whole, LABELS), np.float64).look().top[2] == 2.0**53
