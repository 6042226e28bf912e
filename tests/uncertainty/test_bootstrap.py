"""The bootstrap (S22): the fits of the draws are the naive fits of listed observations, drawn by the same counts."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import naive_inference as naive
from jaxsoftmax.uncertainty.bootstrap import _of_full_rank

RNG = np.random.default_rng(5)
X = RNG.normal(size=(30, 2))
LABELS = RNG.integers(3, size=30)
ONES = np.column_stack([X, np.ones(30)])
FEATURES = ("x0", "x1", "intercept")


def table(problem, **options):
    return js.inference(problem, naive.fitted(problem), **options)


def test_each_draw_is_the_maximum_of_its_observations():
    """S22: draw b lists observation n as often as its count says; class 0 is the reference."""
    found = table(js.Problem.from_labels(X, LABELS)).bootstrap(4, key=jax.random.key(3))
    counts = np.random.default_rng([0, 3]).multinomial(30, np.full(30, 1 / 30), size=4)
    assert found.without_maximum == 0 and found.draws.shape == (4, 2, 3)
    for row, draw in zip(counts, found.draws, strict=True):
        B = naive.maximum(np.repeat(ONES, row, axis=0), np.repeat(LABELS, row), 3)
        np.testing.assert_allclose(draw, B, rtol=0, atol=1e-7 * np.abs(B).max())
    np.testing.assert_allclose(found.standard_errors, found.draws.std(axis=0, ddof=1))
    ranked = np.sort(found.draws, axis=0)  # 0.025 of the way from the first to the last is 0.075 of a step
    np.testing.assert_allclose(found.lower, ranked[0] + 0.075 * (ranked[1] - ranked[0]), atol=1e-12)
    np.testing.assert_allclose(found.upper, ranked[3] - 0.075 * (ranked[3] - ranked[2]), atol=1e-12)
    assert found.classes == (1, 2) and found.features == FEATURES and found.level == 0.95


@pytest.mark.slow
def test_counts_are_observations():
    """Rows of shares and weights are what they list: each observation is drawn as likely as another."""
    T = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    s, x = np.array([4, 8, 2, 6]), np.arange(4.0)[:, None]
    problem = js.Problem(x, T, intercept=True, sample_weight=s)
    found = table(problem).bootstrap(3)
    rows, codes = np.nonzero(T)
    seen = (s[:, None] * T)[rows, codes].astype(int)
    counts = np.random.default_rng([0, 0]).multinomial(20, seen / 20, size=3)
    for row, draw in zip(counts, found.draws, strict=True):
        ones = np.column_stack([x[rows], np.ones(len(rows))])
        B = naive.maximum(np.repeat(ones, row, axis=0), np.repeat(codes, row), 2)
        np.testing.assert_allclose(draw, B, rtol=0, atol=1e-7 * np.abs(B).max())


@pytest.mark.slow
def test_draws_without_a_maximum_are_left_out_and_counted():
    """Of few observations many draws are separated (S9), and some hold no sample in which a feature varies (S6)."""
    x = np.column_stack([[0.0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 1, 1, 0, 0, 0]])
    problem = js.Problem.from_labels(x, [0, 0, 1, 0, 1, 0, 1, 1])
    found = table(problem).bootstrap(60)
    counts = np.random.default_rng([0, 0]).multinomial(8, np.full(8, 1 / 8), size=60)
    attained = []
    for row in counts:
        drawn = js.Problem.from_labels(x, [0, 0, 1, 0, 1, 0, 1, 1], sample_weight=row)
        spans = np.linalg.matrix_rank(np.column_stack([x, np.ones(8)])[row > 0]) == 3
        attained.append(spans and bool(js.decide_existence(drawn).attained))
    assert len(found.draws) == sum(attained) and found.without_maximum == 60 - sum(attained)
    assert 0 < sum(attained) < 60
    assert "left out" in repr(found)


@pytest.mark.slow
def test_the_table_and_what_is_not_identified():
    problem = js.Problem.from_labels(np.column_stack([X, X[:, 1]]), LABELS, feature_names=["a", "b", "again"])
    found = table(problem, reference="sum").bootstrap(5, level=0.5)
    assert np.isfinite(found.standard_errors[:, [0, 3]]).all() and np.isnan(found.standard_errors[:, [1, 2]]).all()
    assert "class 2" in repr(found) and "[25 %" in repr(found)
    assert found.to_dict()["features"] == ["a", "b", "again", "intercept"]
    assert found.to_frame().shape == (12, 4)


@pytest.mark.parametrize("draws", [0, 1, 2.5, "many"])
def test_bad_input(draws):
    with pytest.raises((TypeError, ValueError), match=r"^draws: "):
        table(js.Problem.from_labels(X, LABELS)).bootstrap(draws)


def test_draws_that_do_not_span_what_the_data_do_are_left_out():
    """Six rows of rank 2 but for rounding, of either sign in their Gram matrix, and a seventh that has the rank 3."""
    for seed in range(12):
        A = np.random.default_rng(seed).normal(size=(7, 2))
        third = 0.3 * A[:, 0] + 0.7 * A[:, 1]
        third[6] += 1
        drawn = np.ones((2, 7))
        drawn[0, 6] = 0
        ones = SimpleNamespace(s=np.ones(7), T=np.eye(2)[[0] * 7], X=np.column_stack([A, third]))
        assert _of_full_rank(ones, drawn).tolist() == [False, True]
        flat = SimpleNamespace(s=np.ones(7), T=ones.T, X=np.column_stack([A, A[:, 0]]))  # the data have no more
        assert _of_full_rank(flat, drawn).tolist() == [True, True]


def test_whether_a_draw_spans_the_data_does_not_depend_on_units():
    """S6: a column of 10⁻²⁰ beside the intercept: two different samples span what all do, one does not."""
    x = np.column_stack([np.ones(6), 1e-20 * np.arange(6)])
    data = SimpleNamespace(s=np.ones(6), T=np.eye(2)[[0] * 6], X=x)
    drawn = np.array([[6, 0, 0, 0, 0, 0], [5, 1, 0, 0, 0, 0]])
    assert _of_full_rank(data, drawn).tolist() == [False, True]


def test_a_draw_need_not_span_more_than_the_data():
    """Data of rank 2 in three columns, whose Gram matrix cannot tell (a, a + 10⁻⁶c and a copy): a whole draw has it."""
    a, c = RNG.normal(size=(2, 9))
    data = SimpleNamespace(s=np.ones(9), T=np.eye(2)[[0] * 9], X=np.column_stack([a, a + 1e-6 * c, a]))
    assert _of_full_rank(data, np.array([[1] * 9, [9, *[0] * 8]])).tolist() == [True, False]


@pytest.mark.slow
def test_one_draw_alone_is_no_distribution():
    """Of two draws one is separated and one is not: a standard deviation of one number is refused in words."""
    x = np.arange(8.0)[:, None]
    problem = js.Problem.from_labels(x, [0, 0, 1, 0, 1, 0, 1, 1])
    found = table(problem)
    counts = np.random.default_rng([0, 1]).multinomial(8, np.full(8, 1 / 8), size=2)
    drawn = [js.Problem.from_labels(x, [0, 0, 1, 0, 1, 0, 1, 1], sample_weight=row) for row in counts]
    assert sum(bool(js.decide_existence(one).attained) for one in drawn) == 1
    with pytest.raises(ValueError, match="fewer than two draws of the data have a maximum"):
        found.bootstrap(2, key=jax.random.key(1))
