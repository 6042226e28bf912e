"""Exact linear algebra for S10 and S11 against elimination in fractions."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from helpers.integer_problems import eliminated
from jaxsoftmax.proof.exact.rational import (
    independent_rows,
    null_space_basis,
    orthonormal_columns,
    pivot_columns,
    solve_exactly,
    unit_columns,
)

# Columns that double precision cannot tell apart, but which are independent.
CLOSE = np.array([[2**60, 2**60 + 1], [2**61, 2**61], [2**62, 2**62]], dtype=object)


def matrices():
    rng = np.random.default_rng(5)
    for n, K in [(1, 1), (3, 5), (5, 3), (6, 6), (40, 4), (60, 5)]:
        for size in (1, 9, 2**40):
            A = rng.integers(-size, size + 1, (n, K))
            yield A
            if K > 2:
                A[:, 1] = 2 * A[:, 0] if size < 2**20 else A[:, 0]
                yield A
                yield np.vstack([A, A]).astype(object) * 3**60
    yield np.zeros((4, 3), np.int64)
    yield CLOSE


def test_pivot_columns_are_the_pivots_of_elimination():
    for A in matrices():
        assert pivot_columns(A).tolist() == eliminated(A)[1]
        assert pivot_columns(A.T).tolist() == eliminated(A.T)[1]


def test_independent_rows_have_full_rank_and_large_weights():
    rng = np.random.default_rng(2)
    for A in matrices():
        A = A[:, pivot_columns(A)]
        rows = independent_rows(A, orthonormal_columns(A, rng.random(len(A)) + 0.1))
        assert len(set(rows.tolist())) == A.shape[1] == len(eliminated(A[rows])[1])
    A = rng.integers(-9, 10, (50, 4))
    weights = np.where(np.arange(50) % 5 == 0, 1.0, 1e-9)
    assert np.all(independent_rows(A, orthonormal_columns(A, weights)) % 5 == 0)


def test_solutions_satisfy_the_system_in_lowest_terms():
    rng = np.random.default_rng(3)
    for A in matrices():
        A = A[:, pivot_columns(A)]
        X = rng.integers(-5, 6, (A.shape[1], 3)).astype(object)
        for factor, B in ((1, A.astype(object) @ X), (6, A.astype(object) @ X)):
            solved = solve_exactly(A * factor, B)
            assert solved is not None
            Y, q = solved
            assert np.array_equal(Y.astype(object) * factor, X * q)
            assert q == np.lcm.reduce([Fraction(x, factor).denominator for x in X.ravel().tolist()] or [1])
        if len(A) > A.shape[1]:
            outside = np.zeros((len(A), 1), np.int64)
            outside[np.setdiff1d(np.arange(len(A)), eliminated(A.T)[1])[0]] = 1
            whole = len(eliminated(np.hstack([A, outside]))[1]) > A.shape[1]
            assert (solve_exactly(A, outside) is None) == whole


def test_null_space_is_a_basis_of_the_kernel():
    for A in matrices():
        basis, free = null_space_basis(A)
        pivots = eliminated(A)[1]
        assert basis.shape == (A.shape[1], A.shape[1] - len(pivots))
        assert not (A.astype(object) @ basis.astype(object)).any()
        block = basis[free]
        assert len(free) == 0 or (
            block[0, 0] != 0 and np.array_equal(block, np.eye(len(free), dtype=object) * block[0, 0])
        )


def test_unit_columns_of_huge_entries():
    scaled, largest = unit_columns(np.array([[2**1500, 3], [-(2**1499), 0]], dtype=object))
    assert scaled.tolist() == [[1.0, 1.0], [-0.5, 0.0]] and largest == [2**1500, 3]


def test_dependent_columns_are_named():
    A = np.array([[1, 2], [2, 4], [3, 6]])
    with pytest.raises(ValueError, match="pivot_columns"):
        solve_exactly(A, np.ones((3, 1), np.int64))
    with pytest.raises(ValueError, match="pivot_columns"):
        solve_exactly(A[:2], np.ones((2, 1), np.int64))
    with pytest.raises(ValueError, match="pivot_columns"):
        independent_rows(A, orthonormal_columns(A, np.ones(3)))


def test_without_flint_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxsoftmax\[exact\]'"):
        pivot_columns(np.array([[1, 2]]))


def test_candidates_that_do_not_suffice_are_not_insisted_on():
    """Rows of large weight that are all parallel: the others are looked at too."""
    A = np.array([[1, 0]] * 60 + [[0, 1]] * 40)
    Q = A * np.where(np.arange(100) < 60, 10.0, 1.0)[:, None]
    rows = independent_rows(A, Q)
    assert rows[0] < 60 <= rows[1]


def test_orthonormal_columns_also_of_nearly_dependent_ones():
    """Where the Gram matrix is numerically singular, and where it is not."""
    rng = np.random.default_rng(0)
    x = rng.integers(-(2**40), 2**40, (50, 1))
    for A in (np.hstack([x, x + rng.integers(-1, 2, (50, 2))]), rng.integers(-9, 10, (50, 3))):
        Q = orthonormal_columns(A, np.ones(50))
        assert abs(Q.T @ Q - np.eye(3)).max() < 1e-10
        B = unit_columns(A)[0]
        assert abs(B - Q @ (Q.T @ B)).max() < 1e-10


def test_systems_without_columns_are_solved_where_nothing_is_asked():
    """No unknowns: 0 = 0 has the empty solution and 0 = 1 none; no right-hand side: a solution without columns."""
    none, rows = np.zeros((2, 0), np.int64), np.array([[1], [2]])
    empty, wide = solve_exactly(none, 0 * rows), solve_exactly(rows, none)
    assert empty is not None and empty[0].shape == (0, 1) and empty[1] == 1
    assert solve_exactly(none, rows) is None
    assert wide is not None and wide[0].shape == (1, 0)
