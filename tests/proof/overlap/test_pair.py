"""S10 (Gordan), S12: certificates that two classes overlap, against hulls known by construction."""

import itertools
import math

import numpy as np
import pytest

from jaxsoftmax.proof.exact.witness import is_stationary, signs
from jaxsoftmax.proof.overlap.kernel_vector import exact_kernel_vector
from jaxsoftmax.proof.overlap.pair import overlapping_pair
from jaxsoftmax.proof.overlap.pair_rows import faced, peeled


def one_hot(codes, C):
    return np.eye(C, dtype=bool)[np.asarray(codes)]


def with_intercept(X):
    return np.hstack([X, np.ones((len(X), 1), np.int64)])


def assert_refutes(A, support, G):
    """Rows of G sum to 0, AᵀG = 0, G >= 0 on every pair and > 0 on one: in Python integers, block by block."""
    assert G is not None
    common = math.lcm(*(block.denominator for block in G.blocks))
    whole = np.zeros(support.shape, dtype=object)
    for block in G.blocks:
        whole[block.rows] += block.values.astype(object) * (common // block.denominator)
    assert not whole.sum(axis=1).any() and not (A.astype(object).T @ whole).any()
    assert (whole[~support] >= 0).all() and (whole[~support] > 0).any()
    return G


@pytest.mark.parametrize("scale", [1, 10**30])
def test_a_point_in_both_hulls_is_found_among_three_classes(scale):
    """S10: classes 0 and 2 overlap, class 1 is far away; also where the columns need Python integers."""
    rng = np.random.default_rng(1)
    codes = np.repeat([0, 1, 2], 20)
    X = rng.integers(-9, 10, (60, 3)) + np.array([0, 100, 1])[codes][:, None]
    A = with_intercept(X)
    A = A if scale == 1 else A.astype(object) * scale
    G = assert_refutes(A, one_hot(codes, 3), overlapping_pair(A, one_hot(codes, 3), 60.0))
    assert {int(codes[n]) for block in G.blocks for n in block.rows} == {0, 2}
    assert overlapping_pair(A, one_hot(codes, 3), 60.0, pairs=1) is not None  # they are the most confused ones
    assert overlapping_pair(A, one_hot(codes, 3), 60.0, pairs=0) is None


def test_separable_classes_give_none():
    """S10: a certificate would contradict the direction; also where the hulls are one step apart."""
    rng = np.random.default_rng(2)
    X = rng.integers(-20, 21, (80, 2))
    codes = (2 * X[:, 0] - 3 * X[:, 1] > 0).astype(int)
    assert overlapping_pair(with_intercept(X), one_hot(codes, 2), 60.0) is None


def test_hulls_that_only_touch_are_recognised():
    """S12 and beyond: the hulls share a facet that no single column sees, x + y = 4."""
    X = np.array([[0, 4], [4, 0], [1, 1], [0, 2], [2, 2], [3, 1], [5, 3], [4, 4]])
    codes = [0, 0, 0, 0, 1, 1, 1, 1]
    A = with_intercept(X)
    G = assert_refutes(A, one_hot(codes, 2), overlapping_pair(A, one_hot(codes, 2), 60.0))
    assert all((X[block.rows].sum(axis=1) == 4).all() for block in G.blocks)


def test_one_class_around_the_origin_needs_no_other():
    """Without a constant column 0 in one hull is enough, against a class that has no row; with one it is not."""
    X, codes = np.array([[1, 0], [-1, 1], [0, -2]]), [0, 0, 0]
    assert_refutes(X, one_hot(codes, 2), overlapping_pair(X, one_hot(codes, 2), 60.0))
    A = with_intercept(X)
    assert overlapping_pair(A, one_hot(codes, 2), 60.0) is None


def test_soft_targets_are_refused():
    with pytest.raises(ValueError, match="one-hot"):
        overlapping_pair(np.ones((1, 1), np.int64), np.ones((1, 2), bool))


def hulls_meet(first, second):
    """Whether two small sets of points of the line or the plane have hulls with a common point (Radon, by cases)."""
    if first.shape[1] == 1:
        return max(first.min(), second.min()) <= min(first.max(), second.max())
    # Two convex sets of the plane are disjoint iff a line through two of the points, or across one, separates strictly:
    # check all normals of differences and of perpendiculars.
    points = np.vstack([first, second])
    steps = [points[j] - points[i] for i, j in itertools.permutations(range(len(points)), 2)]
    for step in steps:
        for normal in (step, np.array([-step[1], step[0]])):
            if (first @ normal).min() > (second @ normal).max():
                return False
    return True


@pytest.mark.parametrize("dimension", [1, 2])
def test_small_random_pairs_are_decided_as_geometry_does(dimension):
    """S10: with a constant column two classes have a certificate exactly when their hulls meet."""
    rng = np.random.default_rng(dimension)
    met = 0
    for _ in range(80):
        X = rng.integers(-3, 4, (int(rng.integers(4, 9)), dimension))
        codes = np.arange(len(X)) % 2
        X[codes == 1] += rng.integers(0, 5)
        support = one_hot(codes, 2)
        G = overlapping_pair(with_intercept(X), support, 60.0)
        expected = hulls_meet(X[codes == 0], X[codes == 1])
        assert (G is not None) == expected, (X.tolist(), codes.tolist())
        if expected:
            assert_refutes(with_intercept(X), support, G)
            met += 1
    assert 10 < met < 70


def images(n, side):
    """Rows like pictures: a blob in the middle, pixels of the border seldom lit; classes differ in the middle only."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 2
    far = np.add.outer(np.abs(np.arange(side) - side // 2), np.abs(np.arange(side) - side // 2)).ravel()
    lit = rng.random((n, side * side)) < 0.9 * np.exp(-0.45 * far)
    X = np.where(lit, rng.integers(1, 256, lit.shape), 0)
    X[np.ix_(codes == 1, far <= 1)] //= 2
    return with_intercept(X), codes


def test_pictures_give_a_certificate_on_rows_in_which_fewer_columns_vary():
    """S10: a denominator grows with the columns that vary among the rows taken, so rows are taken in which few do."""
    A, codes = images(2500, 11)
    support = one_hot(codes, 2)
    G = assert_refutes(A, support, overlapping_pair(A, support, 60.0))
    rows = np.concatenate([block.rows for block in G.blocks])
    varying = int((A[rows] != A[rows[0]]).any(axis=0).sum())
    assert varying < A.shape[1] - 10
    # Hadamard: |det| is at most the product of the columns' lengths on as many rows as columns.
    assert max(block.denominator.bit_length() for block in G.blocks) <= varying * (8 + math.log2(varying) / 2)


def test_an_exact_vector_keeps_signs_and_vanishes_against_every_column():
    """S10's exact correction: rank-deficient columns, an approximate vector with noise of 1e−9."""
    rng = np.random.default_rng(6)
    X = rng.integers(-50, 51, (40, 5))
    X = np.column_stack([X, X[:, 0] - 3 * X[:, 1], np.full(40, 7)])
    null = np.linalg.svd(X.T.astype(float))[2][6:]
    h = null.T @ rng.normal(size=len(null)) + 1e-9 * rng.normal(size=40)
    parts = exact_kernel_vector(X, h)
    assert parts is not None
    g = np.zeros(40, dtype=object)
    for part in parts:
        scale = math.lcm(*(p.denominator for p in parts)) // part.denominator
        g[part.rows] += part.numerators.astype(object) * scale
    assert g.any() and not (X.T.astype(object) @ g).any()
    assert ((g > 0) <= (h > 0)).all() and ((g < 0) <= (h < 0)).all()


def test_no_exact_vector_where_the_kernel_is_empty():
    assert exact_kernel_vector(np.array([[1, 0], [0, 1]]), np.array([0.5, -0.5])) is None
    assert exact_kernel_vector(np.array([[1, 1], [0, 1], [2, 1]]), np.zeros(3)) is None


def test_facets_take_rows_and_columns_away():
    """S12: x_f >= θ on one class and <= θ on the other leaves the rows at θ; then a further column has a facet."""
    A = np.array([[0, 1, 9, 1], [2, 7, 9, 1], [0, 3, 8, 1], [0, 1, 9, 1], [-1, 0, 1, 1], [0, 3, 9, 1]])
    first = np.array([True, True, True, False, False, False])
    rows, columns = faced(A, first)
    # Column 0: θ = 0, rows 1 and 4 leave. Then column 2 is <= 9 on the first, = 9 on the other: row 2 leaves.
    # Then column 1: 1 on the first, 1 and 3 on the other: row 5 leaves, and nothing varies but the constant column.
    assert rows.tolist() == [0, 3] and len(columns) == 1 and (A[rows][:, columns] != 0).all()


def test_without_a_constant_column_facets_go_through_the_origin():
    """S12: x_f >= 0 on one class and <= 0 on the other; with x_f >= 5 and <= 5 instead, nothing follows."""
    A = np.array([[0, 1], [2, 1], [0, 2], [-1, 3]])
    rows, columns = faced(A, np.array([True, True, False, True]))
    assert rows.tolist() == [0, 1, 2, 3] and columns.tolist() == [0, 1]
    rows, columns = faced(A, np.array([True, True, False, False]))
    assert rows.tolist() == [0, 2] and columns.tolist() == [1]
    A = np.array([[5, 1], [7, -1], [5, 2], [4, -3]])
    assert faced(A, np.array([True, True, False, False]))[0].tolist() == [0, 1, 2, 3]


def test_peeled_sets_are_nested_and_make_columns_constant():
    """After each stage at most as many columns vary as it says, and every stage makes one constant."""
    A, _ = images(300, 5)
    leaves, columns = peeled(A)
    for stage, count in enumerate(columns):
        rows = leaves > stage
        assert not rows.any() or (A[rows].min(axis=0) != A[rows].max(axis=0)).sum() <= count
    assert columns[0] == 25 and columns[-1] == 0 and (np.diff(columns) < 0).all()


@pytest.mark.slow
def test_certificates_and_verification_agree_on_signs():
    """The package's own exact check (witness) accepts what assert_refutes accepts."""
    A, codes = images(6000, 14)
    support = one_hot(codes, 2)
    G = assert_refutes(A, support, overlapping_pair(A, support, 60.0))
    assert is_stationary(A, G) and (signs(G, *support.shape)[~support] >= 0).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_multipliers_of_the_wrong_sign_never_leave(sign, monkeypatch):
    """S10: G >= 0 on pairs is checked on what is returned, whoever found it."""
    from jaxsoftmax.proof.overlap import pair as module

    find = module.exact_kernel_vector

    def turned(X, h):
        found = find(X, h)
        return found and [part._replace(numerators=sign * part.numerators) for part in found]

    monkeypatch.setattr(module, "exact_kernel_vector", turned)
    A = np.array([[0, 1], [2, 1], [1, 1], [3, 1]])
    found = module.overlapping_pair(A, np.eye(2, dtype=bool)[[0, 0, 1, 1]])
    assert (found is not None) is (sign == 1)
