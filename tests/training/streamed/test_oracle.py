"""What methods compute their constants from, where the samples are read in chunks: never below what the samples are."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.bounds.curvature import curvature_bound
from jaxsoftmax.calculus.loss.null_space import row_space
from jaxsoftmax.training.streamed import passes
from jaxsoftmax.training.streamed.fit import attains_for_certain, samples_of
from jaxsoftmax.training.streamed.oracle import oracle_of, samples_of_weight_0, stand_in

EPS = 2.0**-52
RNG = np.random.default_rng(6)
N, C = 150, 3
LABELS = np.arange(N) % C
WEIGHTS = RNG.integers(0, 3, N).astype(float)
W, V = RNG.normal(size=(2, C, 5))


def matrix(scale=1.0):
    """Columns of sizes 1e-3 to 1e3, the last one the sum of two others."""
    X = RNG.normal(size=(N, 4)) * [1e-3, 1.0, 1e3, 1.0] * scale
    X[:, 3] = X[:, 0] + X[:, 1]
    return X


def streamed(X, monkeypatch, **options):
    monkeypatch.setattr(passes, "CHUNK_BYTES", 40 * X[0].nbytes)
    problem = js.StreamedProblem.from_labels(X, LABELS, sample_weight=WEIGHTS, **options)
    return problem, samples_of(problem, np.float64)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("penalty", [None, js.L2(0.5), js.SelfRegularizer(3.0)])
def test_the_stand_in_is_above_the_samples_and_hardly_so(penalty, dtype, x64, monkeypatch):
    """S7a, S19: FᵀF − XᵀSX has no eigenvalue below 0, in scaled features, and none above what rounding explains."""
    X = matrix()
    problem, samples = streamed(X, monkeypatch, regularizer=penalty)
    frame = samples_of_weight_0(problem.regularizer, C, 5, True, dtype)
    small = stand_in(frame, samples.moment_rows(samples.look().top))
    whole = js.Problem.from_labels(X, LABELS, sample_weight=WEIGHTS, regularizer=penalty)
    Xe, F = np.asarray(whole.X), np.asarray(small.X).astype(np.float64)
    size = np.sqrt(np.sum(WEIGHTS[:, None] * Xe**2, axis=0))
    apart = np.linalg.eigvalsh((F.T @ F - (WEIGHTS[:, None] * Xe).T @ Xe) / size / size[:, None])
    # Both products are rounded: sums of N terms of scaled size 1, N·eps of a trace of 5 in each entry.
    slack = 5 * N * EPS
    assert apart.min() >= -slack
    # F's entries are rounded to `dtype`: 4 eps of a trace of at most 10, in powers of two, are added, 2 eps are lost.
    assert apart.max() <= 20 * slack + 60 * float(np.finfo(dtype).eps)
    assert curvature_bound(small) >= curvature_bound(whole) * (1 - slack)
    if penalty is None:
        assert row_space(small).rank == row_space(whole).rank == 4


@pytest.mark.slow_cases("penalty1", "penalty3", "penalty2")
@pytest.mark.parametrize("penalty", [None, js.L2(0.5), js.LogCosh(0.5, 2.0), js.SelfRegularizer(3.0)])
def test_its_answers_are_those_of_the_problem_in_memory(penalty, x64, monkeypatch):
    """S1, S2, S4, S8, S21, and the scale of the stopping test."""
    X = matrix()
    problem, samples = streamed(X, monkeypatch, regularizer=penalty)
    frame = samples_of_weight_0(problem.regularizer, C, 5, True, np.float64)
    oracle = oracle_of(samples, frame, samples.look(), False)
    whole = js.Problem.from_labels(X, LABELS, sample_weight=WEIGHTS, regularizer=penalty)
    at, along = jnp.asarray(W / [1, 1, 1e3, 1, 1]), jnp.asarray(V)
    value, gradient = oracle.value_and_gradient(at)
    expected, slope = js.value_and_gradient(at, whole)
    # Sums of N terms, each of a few hundred at most but for the third column, whose entries are some thousand.
    close = {"rtol": 40 * N * EPS, "atol": 40 * N * EPS * 1e3}
    np.testing.assert_allclose([value, oracle.value(at)], [expected] * 2, **close)
    np.testing.assert_allclose(gradient, slope, **close)
    np.testing.assert_allclose(oracle.hessian_at(at)(along), js.hvp(at, whole, along), rtol=1e-10, atol=1e-8)
    assert float(oracle.spread(along)) == pytest.approx(float(js.max_logit_range(whole, along)), rel=20 * EPS)
    from jaxsoftmax.training.loop.stopping import gradient_scale

    np.testing.assert_allclose(oracle.scale, gradient_scale(whole), rtol=2 * N * EPS)


@pytest.mark.parametrize(
    ("options", "certain"),
    [
        ({}, False),
        ({"label_smoothing": "0.1"}, True),
        ({"regularizer": js.L2(1.0)}, True),
        ({"regularizer": js.L2(1.0), "classes": range(4)}, False),  # class 3 has no sample, and a free intercept
        ({"regularizer": js.L2(1.0, penalize_intercept=True), "classes": range(4)}, True),
        ({"regularizer": js.L2(1.0), "classes": range(4), "intercept": False}, True),
    ],
)
def test_a_theorem_is_named_only_where_it_holds(options, certain, x64, monkeypatch):
    """S9, S21: as for data in memory."""
    problem, samples = streamed(matrix(), monkeypatch, **options)
    assert attains_for_certain(problem, samples) is certain


def test_the_gram_matrix_costs_one_pass(x64, monkeypatch):
    """Of data whose rank it shows; the stand-in shares what was found."""
    X = matrix()[:, :3]
    problem, samples = streamed(X, monkeypatch)
    rows, begun = samples.moment_rows(samples.look().top), []
    counted = rows._replace(blocks=lambda: begun.append(1) or rows.blocks())
    stand_in(samples_of_weight_0((), C, problem.D, True, np.float64), counted)
    assert len(begun) == 1
