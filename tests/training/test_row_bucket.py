"""Rows of weight 0 up to a bucket: the same minimisation (section 0), and one compilation for many sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.training import row_bucket
from jaxsoftmax.training.row_bucket import bucket, filled_up

RNG = np.random.default_rng(44)
X = RNG.normal(size=(37, 3)) + np.array([0.0, 1e6, 0.0])
Y = RNG.integers(0, 3, 37)
COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: COMPILED.append(event) if event.endswith("backend_compile_duration") else None
)


def test_buckets_are_near_above_and_four_to_an_octave():
    for N in range(1, 2000):
        assert N <= bucket(N) <= N + max(0, (N - 1) // 4) and bucket(bucket(N)) == bucket(N)
    assert len({bucket(N) for N in range(1025, 2049)}) == 4


def problems():
    return {
        "labels": js.Problem.from_labels(X, Y),
        "probabilities": js.Problem(X, RNG.dirichlet(np.ones(3), 37), sample_weight=RNG.uniform(0.5, 2, 37)),
        "first has no weight": js.Problem.from_labels(X, Y, sample_weight=[0.0] + [1.0] * 36),
        "bytes": js.Problem.from_labels(np.abs(X - X.min(axis=0)).astype(np.uint8), Y, regularizer=js.L2(0.1)),
    }


@pytest.mark.slow_cases("probabilities", "first has no weight", "labels")
@pytest.mark.parametrize("name", ["labels", "probabilities", "first has no weight", "bytes"])
def test_a_filled_problem_is_the_same_problem(x64, name):
    """Section 0: rows of weight 0 leave the loss alone; as copies of a row they leave every extreme alone too."""
    problem = problems()[name]
    filled = filled_up(problem)
    assert filled.shape == (40, *problem.shape[1:]) and filled.X.dtype == problem.X.dtype
    assert not np.asarray(filled.sample_weight[37:]).any() and not filled.host.sample_weight[37:].any()
    for ours, given in ((filled.X, problem.X), (filled.T, problem.T), (filled.host.X, problem.host.X)):
        np.testing.assert_array_equal(ours[:37], given)
        np.testing.assert_array_equal(ours[37:], np.repeat(given[:1], 3, axis=0))
    rows, sums = filled.exact_targets()
    assert sums[:37] == problem.exact_targets()[1] and (rows[37:] == rows[0]).all()
    W = jnp.asarray(RNG.normal(size=problem.shape[:0:-1])) * 1e-6
    np.testing.assert_allclose(js.loss(W, filled), js.loss(W, problem), rtol=1e-13)


def test_what_cannot_gain_is_left_alone(monkeypatch):
    problem = js.Problem.from_labels(X[:32], Y[:32])
    assert filled_up(problem) is problem
    monkeypatch.setattr(row_bucket, "MOST_NUMBERS", 0)
    problem = js.Problem.from_labels(X, Y)
    assert filled_up(problem) is problem


@pytest.mark.slow
@pytest.mark.parametrize("method", fast(["newton", "newton-cg", "gd", "bb", "mm", "lbfgs", "agd", "adam"], 0))
def test_fits_end_the_same_with_and_without(x64, monkeypatch, method):
    problem = js.Problem.from_labels(X - [0.0, 1e6, 0.0], Y)
    ours = js.fit(problem, method)
    monkeypatch.setattr(row_bucket, "MOST_NUMBERS", 0)
    plain = js.fit(problem, method)
    assert (ours.status, ours.converged) == (plain.status, plain.converged)
    assert abs(ours.loss - plain.loss) <= 1e-9 * plain.loss
    assert ours.q_estimate == pytest.approx(plain.q_estimate, rel=1e-2, abs=1e-4)


@pytest.mark.slow
def test_divergence_is_told_of_the_data_given(x64):
    """S9: the verdict is about the user's samples, not about the filled rows."""
    problem = js.Problem.from_labels(X[:, :1], (X[:, 0] > 0).astype(int))
    with pytest.warns(js.NoMinimizerWarning):
        result = js.fit(problem)
    assert result.status.name == "DIVERGING" and len(result.existence.separated) == problem.N


@pytest.mark.slow_cases("newton")
@pytest.mark.parametrize("method", fast(["newton", "newton-cg", "gd"], 0))
def test_sizes_of_one_bucket_compile_once(method):
    jax.clear_caches()  # JAX keeps so many programs; after many tests it might drop one of these between two fits
    for N in (33, 37, 39, 40):
        before = len(COMPILED)
        drawn = RNG.integers(0, 37, N)
        js.fit(js.Problem.from_labels(X[drawn][:, [0, 2]].astype(np.float32), Y[drawn]), method)
        assert len(COMPILED) == before or N == 33
    assert COMPILED  # the listener hears
