"""The Gram matrix once a problem: against sums of fractions, its error bound reached, rank and null space from it."""

from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.moments import Rows, moments, rows_of
from jaxsoftmax.calculus.loss.null_space import row_space
from jaxsoftmax.problem import arrays

EPS = float(np.finfo(float).eps)


def _problem(X, s=None):
    return js.Problem.from_labels(X, np.arange(len(X)) % 3, intercept=False, sample_weight=s)


def _exact(X, s):
    """Σ_n s_n x_n x_nᵀ over the rationals."""
    rows = [[Fraction(float(x)) for x in row] for row in X]
    D = len(rows[0])
    weighted = [(Fraction(float(w)), row) for w, row in zip(s, rows, strict=True)]
    return [[sum(w * row[i] * row[j] for w, row in weighted) for j in range(D)] for i in range(D)]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_matrix_is_the_sum_within_its_bound_in_any_blocks(weighted, x64, monkeypatch):
    """G = Σ s u uᵀ: every entry within error_bound·√(G_dd G_ee) of the exact sum; weight 0 takes no part."""
    monkeypatch.setattr(arrays, "_BLOCK", 30)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(23, 3)) * [1e-9, 1.0, 1e12]
    s = rng.uniform(0.1, 2.0, size=23) if weighted else np.ones(23)
    s[5] = 0
    X[5] = 1e300
    found = moments(_problem(X, s))
    np.testing.assert_array_equal(np.exp2(np.round(np.log2(found.scale))), found.scale)
    for matrix, weight in ((found.gram, s), (found.plain, (s > 0).astype(float))):
        exact = _exact(X, weight)
        for i in range(3):
            for j in range(3):
                unit = Fraction(found.scale[i]) * Fraction(found.scale[j])
                size = float(exact[i][i] * exact[j][j] / unit**2) ** 0.5
                assert abs(float(Fraction(matrix[i, j]) - exact[i][j] / unit)) <= found.error_bound * size
    rms = np.sqrt(np.diagonal(found.gram) / s.sum())
    assert np.all((rms >= 2**-0.5 * (1 - 4 * EPS)) & (rms <= 2**0.5 * (1 + 4 * EPS)))


@pytest.mark.parametrize("rows", [1, 50, 10**5])
def test_the_error_bound_counts_the_terms(rows, monkeypatch):
    """γ_m with m no less than the terms of the longest block and the number of blocks, and no more than both and 8."""
    monkeypatch.setattr(arrays, "_BLOCK", rows)
    bound = moments(_problem(np.ones((1000, 1), np.float32))).error_bound
    terms = min(rows, 1000) + -(-1000 // rows)
    assert terms * EPS / 2 <= bound <= (terms + 8) * EPS / 2 * 1.001


def test_rows_stand_for_those_that_are_not_in_memory(x64):
    """`moments` and `row_space` of rows given from outside are those of the same rows in the problem."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(50, 4))
    X[:, 3] = X[:, 0] + X[:, 1]
    whole, frame = _problem(X), js.Problem.from_labels(np.zeros((2, 4)), [0, 1], intercept=False)
    other = rows_of(whole)
    given = Rows(other.live, other.weights, other.top, lambda: ((b, w) for b, w in other.blocks()))
    found = row_space(frame, given)
    assert found.rank == row_space(whole).rank == 3
    np.testing.assert_array_equal(moments(frame).gram, moments(whole).gram)
    np.testing.assert_allclose(X @ found.null, 0, atol=100 * EPS)


@pytest.mark.parametrize("apart", [10.0**-k for k in (3, 6, 8, 10)] + [0.0])
def test_the_rank_is_that_of_the_rows_where_the_matrix_cannot_tell(apart, x64):
    """S6: a column within 1e-10 of another one is still no copy, though its Gram eigenvalue is 1e-20 of the largest."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(400, 6))
    X[:, 5] = X[:, 2] - X[:, 3] + apart * rng.normal(size=400)
    problem = _problem(X)
    found = row_space(problem)
    assert found.rank == np.linalg.matrix_rank(X) == (6 if apart else 5)
    if apart:
        sigma = np.linalg.svd(X / 2.0 ** np.floor(np.log2(np.linalg.norm(X, axis=0))), compute_uv=False)
        assert found.condition == pytest.approx(sigma[0] / sigma[-1], rel=1e-4)
    else:
        assert np.abs(X @ found.null).max() <= 400 * EPS


def test_it_is_computed_once():
    """A problem's moments are kept; another problem with the same numbers has its own."""
    problem = _problem(np.eye(3, dtype="float32"))
    first = moments(problem)
    assert moments(problem) is first
    assert moments(_problem(np.eye(3, dtype="float32"))) is not first


def test_traced_data_are_refused():
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda p: moments(p).gram)(_problem(np.eye(3, dtype="float32")))


def test_columns_at_both_ends_of_the_doubles(x64):
    """Below 2⁻¹⁰⁰¹ a column counts as one of zeros; at 2¹⁰²³, whose octave ends beyond the doubles, it is scaled."""
    X = np.column_stack([[1.0, -1.0], [2.0**-1003, 2.0**-1005], [2.0**-999, 0.0], [1.5 * 2.0**1023, 0.0]])
    found = moments(js.Problem(X, np.full((2, 2), 0.5)))
    assert found.scale[:2].tolist() == [1.0, 1.0]
    assert np.isfinite(found.scale).all()
    diagonal = np.diagonal(found.gram)
    assert diagonal[1] == 0
    assert (diagonal[[0, 2, 3]] >= 0.5).all() and (diagonal[[0, 2, 3]] <= 4).all()


def test_the_scale_is_near_the_weighted_root_mean_square(x64):
    """One sample of 3 with weight 1000 beside twenty of 1/8 with weight 1: the mean square is near 9, not near 9/21."""
    X, s = np.full((21, 1), 0.125), np.ones(21)
    X[0], s[0] = 3.0, 1000.0
    assert moments(_problem(X, s)).scale.tolist() == [2.0 ** np.round(np.log2(3.0))]


def test_weights_that_are_all_alike_count_in_one_matrix_alone(x64):
    """`gram` is Σ s u uᵀ and `plain` Σ u uᵀ: of weights 4 one is four times the other, exactly."""
    X = np.random.default_rng(6).normal(size=(9, 2))
    alike, once = moments(_problem(X, np.full(9, 4.0))), moments(_problem(X))
    np.testing.assert_array_equal(alike.gram, 4 * alike.plain)
    np.testing.assert_array_equal(alike.plain, once.plain)


def test_a_column_of_negative_numbers_has_the_scale_of_their_size(x64):
    """−5, −6, −7 in float64 and in int32: the power of two near 6 is 8, and nothing counts as a column of zeros."""
    for dtype in (np.float64, np.int32):
        found = moments(_problem(np.array([[-5], [-6], [-7]], dtype)))
        assert found.scale.tolist() == [8.0] and found.gram.tolist() == [[110 / 64]]


def test_products_with_the_rows_go_block_by_block(x64, monkeypatch):
    """(X/σ)ᵀ(X/σ)V, R with RᵀR = Vᵀ(X/σ)ᵀ(X/σ)V, and X/σ, of the samples that take part, two rows at a time.

    Sums of at most seven terms, each of at most the square of the largest entry times the largest of V.
    """
    monkeypatch.setattr(arrays, "_BLOCK", 6)
    rng = np.random.default_rng(7)
    X, s, scale = rng.normal(size=(8, 3)), np.ones(8), np.array([1.0, 2.0, 0.5])
    s[2] = 0
    V = rng.normal(size=(3, 2))
    rows, live = rows_of(_problem(X, s)), X[s > 0] / scale
    assert len(list(rows.blocks())) > 2
    atol = 8 * 8 * 3 * EPS * np.abs(live).max() ** 2 * np.abs(V).max()
    np.testing.assert_allclose(rows.square_times(scale, V), live.T @ (live @ V), rtol=0, atol=atol)
    R = rows.triangle(scale, V)
    assert R.shape == (2, 2)
    np.testing.assert_allclose(R.T @ R, (live @ V).T @ (live @ V), rtol=0, atol=3 * atol * np.abs(V).max())
    np.testing.assert_array_equal(rows.whole(scale), live)
    assert rows.triangle(scale, V[:, :0]).shape == (0, 0) and not rows.square_times(scale, V[:, :0]).size
