"""S7: singular-value bounds are sound and tight where columns are dependent, in other units, or nearly dependent."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsoftmax.linalg.enclosures import (
    largest_singular_value_bound,
    nonzero_singular_value_bounds,
    smallest_singular_value_bound,
)
from jaxsoftmax.linalg.exact_rank import dependent_columns, merged_columns

SEEDS = st.integers(0, 2**32 - 1)


def exact_rank(X):
    """The rank over the rationals by Gaussian elimination in fractions."""
    rows = [[Fraction(x) for x in row] for row in X.tolist()]
    rank = 0
    for column in range(X.shape[1]):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] / rows[rank][column]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def eigenvalues_below(X, s, value):
    """How many eigenvalues of Xᵀ diag(s) X are below value², exactly: Sylvester's law, pivots in fractions."""
    x = [[Fraction(v) for v in row] for row in X.tolist()]
    D = X.shape[1]
    M = [
        [
            sum((Fraction(w) * row[i] * row[j] for w, row in zip(s.tolist(), x, strict=True)), Fraction(0))
            for j in range(D)
        ]
        for i in range(D)
    ]
    for i in range(D):
        M[i][i] -= Fraction(value) ** 2
    negative = 0
    for k in range(D):
        negative += M[k][k] < 0
        for i in range(k + 1, D):
            factor = M[i][k] / M[k][k]
            M[i] = [p - factor * q for p, q in zip(M[i], M[k], strict=True)]
    return negative


@given(seed=SEEDS, kind=st.sampled_from(["full", "copies", "combinations", "units", "both"]))
def test_bounds_enclose_the_exact_nonzero_singular_values(seed, kind):
    """S7: below the exact σ_min⁺ (rationals) and close to it, whatever depends on what."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-8, 9, size=(9, 4)).astype(float) / 4
    X[:4] += 4 * np.eye(4)  # well conditioned: what is tested is dependence and units
    if kind in ("copies", "both"):
        X = np.column_stack([X, 3 * X[:, 0], X[:, 1] / 4, -5 * X[:, 0]])
    if kind in ("combinations", "both"):
        X = np.column_stack([X, X[:, 2] - 2 * X[:, 3], X[:, 0] + X[:, 1] + X[:, 2]])
    if kind in ("units", "both"):
        X = X * 2.0 ** rng.integers(-10, 11, size=X.shape[1])
    s = rng.integers(1, 9, size=9) / 4.0
    low, high, full = nonzero_singular_value_bounds(X, s)
    zeros = X.shape[1] - exact_rank(X)
    assert low > 0
    assert eigenvalues_below(X, s, low) == zeros
    if kind in ("full", "copies", "units"):  # dropping columns loses what they added: no tightness is claimed then
        # The residual of the inverse is γ_{D+4} times condition (< 1e3 here) times the ratio of the units, <= 2^20.
        loose = 20 * 2.0**-53 * 1e3 * (2.0**20 if kind == "units" else 8.0)
        assert eigenvalues_below(X, s, low * (1 + loose)) > zeros
    assert full == (zeros == 0)
    top = np.linalg.svd(np.sqrt(s)[:, None] * X, compute_uv=False)[0]
    assert top * (1 - 1e-14) <= high <= top * (1 + 1e-12)
    assert smallest_singular_value_bound(X, s) == low
    assert largest_singular_value_bound(X, s) == pytest.approx(top, rel=1e-12)
    assert largest_singular_value_bound(X, s) >= top * (1 - 1e-14)


def test_nearly_dependent_columns_are_not_called_dependent():
    """One unit in the last place off: exact arithmetic says no, and no bound is proved rather than a wrong one."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(12, 3))
    copy, combination = 2 * X[:, 0], X[:, 0] + X[:, 1]
    copy[5] = np.nextafter(copy[5], 9)
    combination[7] = np.nextafter(combination[7], 9)
    for extra in (copy, combination):
        near = np.column_stack([X, extra])
        assert merged_columns(near)[0].shape == near.shape
        assert len(dependent_columns(near, near.T @ near)) == 0
        assert nonzero_singular_value_bounds(near, np.ones(12))[0] == 0.0


def test_merged_columns_keep_the_product_with_the_transpose():
    """X Xᵀ is unchanged: representatives·g·representativesᵀ, g = 1 + Σc², in exact arithmetic for dyadic factors."""
    rng = np.random.default_rng(4)
    a, b = rng.integers(-4, 5, size=(2, 6)).astype(float)
    X = np.column_stack([a, b, 2 * a, -a / 2, b])
    kept, weight = merged_columns(X)
    assert kept.shape == (6, 2)
    np.testing.assert_allclose((kept * weight**2) @ kept.T, X @ X.T, rtol=1e-14, atol=1e-13)
    assert merged_columns(np.eye(3))[0].shape == (3, 3)


def test_a_dependence_among_few_samples_is_found_among_many_columns():
    """As in image data: three columns that only two samples have."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 12))
    X[:, 9:] = 0
    X[[3, 8], 9:] = [[1.0, 2.0, 0.0], [0.25, 0.0, 0.75]]
    dropped = dependent_columns(X, X.T @ X)
    assert len(dropped) == 1
    assert dropped[0] >= 9
    low, _, full = nonzero_singular_value_bounds(X, np.ones(60))
    sigma = np.linalg.svd(X, compute_uv=False)
    assert not full
    assert 0 < low <= sigma[10] * (1 + 1e-14)
    assert low >= sigma[10] / 4
