"""S9: the search for complete separation, against margins in Python's integers and the exact oracle."""

import time
from fractions import Fraction

import numpy as np
import pytest

from helpers.certificates.exact_oracle import decide
from jaxsoftmax.proof.separation.hinge_newton import hinge_separator
from jaxsoftmax.proof.separation.search import _round_middle, separating_weights

SECONDS = 30.0  # no test waits so long: a search that is cut off by time is a failure


def least_margin(A, labels, V):
    """min over n and j ≠ y_n of (V a_n)_{y_n} − (V a_n)_j, S9 as written: Python's integers, entry by entry."""
    V, least = [[int(v) for v in row] for row in V], None
    for a, y in zip(A.tolist(), labels.tolist(), strict=True):
        z = [sum(v * x for v, x in zip(row, a, strict=True)) for row in V]
        margin = min(z[y] - z[j] for j in range(len(z)) if j != y)
        least = margin if least is None else min(least, margin)
    return least


def one_hot(labels, C):
    return np.eye(C, dtype=bool)[labels]


def planted(rng, N, K, C, *, intercept=1, gap=0.05, size=1000, offset=0):
    """Integer rows in general position whose classes some real weights separate with relative margin >= gap."""
    W = rng.normal(size=(C, K + bool(intercept)))
    rows, labels = [], []
    while len(rows) < N:
        x = rng.integers(-size, size + 1, K)
        z = W @ np.append(x / size, [1.0] * bool(intercept))
        first, second = np.argsort(-z)[:2]
        if z[first] - z[second] >= gap * np.abs(z).max():
            rows.append([*(x + offset), *([intercept] * bool(intercept))])
            labels.append(first)
    return np.array(rows), np.array(labels)


@pytest.mark.parametrize(
    ("N", "K", "C", "intercept"),
    [(5, 1, 2, 1), (40, 3, 2, 1), (60, 2, 4, 0), (80, 5, 3, -7), (120, 6, 5, 2), (30, 40, 3, 0), (25, 60, 6, 1)],
)
def test_planted_separation_is_found(N, K, C, intercept):
    for seed in range(6):
        A, labels = planted(np.random.default_rng(seed), N, K, C, intercept=intercept)
        V = separating_weights(A, one_hot(labels, C), SECONDS)
        assert V is not None and V.shape == (C, A.shape[1]) and V.dtype == np.int64
        assert least_margin(A, labels, V) > 0 and np.gcd.reduce(V, axis=None) == 1


def test_small_problems_full_of_ties_against_the_oracle():
    """Never a direction where the oracle, exactly, finds overlap or a tie; and one wherever it separates completely."""
    rng, seen = np.random.default_rng(7), {"complete": 0, "quasi-complete": 0, "attained": 0}
    for _ in range(250):
        N, K, C, size = rng.integers(1, 9), rng.integers(1, 4), rng.integers(2, 5), rng.integers(1, 4)
        A = rng.integers(-size, size + 1, (N, K))
        if rng.random() < 0.6:
            A = np.hstack([A, np.full((N, 1), rng.choice([1, 3, -2]))])
        labels = (A @ rng.normal(size=(A.shape[1], C))).argmax(axis=1) if rng.random() < 0.5 else rng.integers(0, C, N)
        rows = [[Fraction(int(a)) for a in row] for row in A]
        truth = decide(rows, [frozenset([int(y)]) for y in labels], C).verdict
        V = separating_weights(A, one_hot(labels, C), SECONDS)
        assert (V is not None) == (truth == "complete"), (A.tolist(), labels.tolist())
        assert V is None or least_margin(A, labels, V) > 0
        seen[truth] += 1
    assert min(seen.values()) >= 20


def test_overlap_is_left_after_a_few_steps_at_a_minimum():
    """Normals that overlap: the hinge's minimum is reached, by the naive gradient, and no time is lost after it."""
    rng = np.random.default_rng(3)
    B = np.hstack([rng.normal(size=(400, 5)), np.ones((400, 1))])
    labels = (B @ rng.normal(size=(6, 3)) + rng.normal(size=(400, 3))).argmax(axis=1)
    fit = hinge_separator(B, labels, 3, SECONDS)
    assert fit.ending in ("overlap", "stalled") and fit.steps < 40 and fit.least <= 0
    gradient, total = np.zeros((3, 6)), 0.0
    for b, y in zip(B, labels, strict=True):
        z = fit.U @ b
        for j in range(3):
            hinge = max(0.0, 1 - (z[y] - z[j])) if j != y else 0.0
            gradient[j] += hinge * b
            gradient[y] -= hinge * b
            total += hinge
    assert total > 10
    assert np.abs(gradient).max() < 1e-6 * total
    assert separating_weights(np.rint(B * 2**20).astype(np.int64), one_hot(labels, 3), SECONDS) is None


def test_least_margin_of_the_fit_is_that_of_its_logits():
    A, labels = planted(np.random.default_rng(0), 50, 4, 3)
    B = A / np.abs(A).max(axis=0)
    fit = hinge_separator(B, labels, 3, SECONDS)
    Z = [[sum(u * b for u, b in zip(row, x, strict=True)) for row in fit.U] for x in B]
    naive = min(z[y] - z[j] for z, y in zip(Z, labels, strict=True) for j in range(3) if j != y)
    assert fit.ending == "separated" and fit.least >= 0.1
    assert fit.least == pytest.approx(naive, abs=1e-12 * np.abs(Z).max() * 100)


def test_ties_overlap_and_conflicting_rows_are_not_separated():
    line = np.array([[0, 1], [1, 1], [1, 1], [2, 1]])
    assert separating_weights(line, one_hot(np.array([0, 0, 1, 1]), 2), SECONDS) is None  # they meet at 1
    assert separating_weights(line[:, :1] - 1, one_hot(np.array([0, 1, 1, 1]), 2), SECONDS) is None  # a row of zeros
    plane = np.array([[0, 0, 1], [4, 0, 1], [0, 4, 1], [1, 1, 1]])
    assert separating_weights(plane, one_hot(np.array([0, 0, 0, 1]), 2), SECONDS) is None  # inside the triangle
    V = separating_weights(plane, one_hot(np.array([0, 1, 2, 3]), 4), SECONDS)  # four classes: possible
    assert V is not None and least_margin(plane, np.arange(4), V) > 0


@pytest.mark.parametrize("gap", [1e-3, 1e-4])
def test_narrow_gaps_are_found(gap):
    for seed in range(4):
        A, labels = touching(seed, gap)
        V = separating_weights(A, one_hot(labels, 2), SECONDS)
        assert V is not None and least_margin(A, labels, V) > 0


@pytest.mark.parametrize("gap", [1e-7, 1e-9, 0.0, -1e-9])
def test_gaps_near_rounding_are_never_answered_wrongly(gap):
    for seed in range(4):
        A, labels = touching(seed, gap)
        V = separating_weights(A, one_hot(labels, 2), SECONDS)
        assert V is None or (gap > 0 and least_margin(A, labels, V) > 0)


def touching(seed, gap):
    """Two classes on the two sides of the plane x₀ = x₁, half of the rows `gap` from it, in units of 2⁴⁰."""
    rng = np.random.default_rng(seed)
    A = np.rint(rng.uniform(-1, 1, (40, 3)) * 2**40).astype(np.int64)
    A[::2, 1] = A[::2, 0]
    side = np.where(np.arange(40) // 2 % 2, 1, -1)
    A[::2, 0] += (side * np.rint(gap * 2**40).astype(np.int64))[::2]
    labels = (A[:, 0] > A[:, 1]).astype(np.int64)
    labels[::2] = side[::2] > 0
    return np.hstack([A, np.ones((40, 1), np.int64)]), labels


def test_columns_of_any_scale_and_offset():
    """Columns times 1, 10³⁰ and 2¹²⁰⁰ (no float holds that), and years: an offset much larger than the deviations."""
    A, labels = planted(np.random.default_rng(5), 60, 3, 3)
    scaled = A.astype(object) * np.array([1, 10**30, 2**1200, 1], dtype=object)
    V = separating_weights(scaled, one_hot(labels, 3), SECONDS)
    assert V is not None and V.dtype == object and least_margin(scaled, labels, V) > 0
    years, labels = planted(np.random.default_rng(6), 60, 3, 3, size=40, offset=10**15)
    V = separating_weights(years, one_hot(labels, 3), SECONDS)
    assert V is not None and least_margin(years, labels, V) > 0
    assert np.abs(V[:, :3]).max() < 2**12  # the deviations need few digits, whatever the offset
    extreme = np.array([[-(2**62) + 1, 1], [2**62 - 1, 1], [0, 1]])
    assert separating_weights(extreme, one_hot(np.array([0, 1, 1]), 2), SECONDS) is not None


def test_roundings_that_the_bias_makes_good_cost_no_digits():
    """Bright pixels: what rounding does to all rows alike is left to the bias, or the next finer grid is needed."""
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        pixels = np.where(rng.random((90, 150)) < 0.05, 0, rng.integers(230, 256, (90, 150)))
        A, labels = np.hstack([pixels, np.ones((90, 1), np.int64)]), rng.integers(0, 3, 90)
        V = separating_weights(A, one_hot(labels, 3), SECONDS)
        assert V is not None and least_margin(A, labels, V) > 0
        assert np.count_nonzero(V) < 240  # the finer grid leaves more than 250 of 453, each with a bit more


def test_float32_and_many_columns():
    """Above 200,000 entries the search is in float32; above 2,000 columns its preconditioner is diagonal."""
    for N, K, C in ((3000, 70, 4), (90, 2300, 3)):
        rng = np.random.default_rng(K)
        A = np.hstack([rng.integers(0, 256, (N, K)), np.ones((N, 1), np.int64)])
        Z = (A[:, :40] - 128) @ rng.integers(-9, 10, (40, C))
        labels, Z = Z.argmax(axis=1), np.sort(Z, axis=1)
        A, labels = (a[Z[:, -1] - Z[:, -2] > 500] for a in (A, labels))
        assert A.size > 150_000
        V = separating_weights(A, one_hot(labels, C), SECONDS)
        assert V is not None
        Z = A.astype(np.int64) @ V.T  # small enough to be exact
        own = Z[np.arange(len(A)), labels][:, None]
        assert np.abs(V).max() < 2**30 and ((own - Z > 0) | one_hot(labels, C)).all()


def test_absent_classes_need_a_column_that_pushes_them_down():
    A, labels = planted(np.random.default_rng(8), 30, 3, 2)
    V = separating_weights(A, one_hot(labels, 4), SECONDS)
    assert V is not None and least_margin(A, labels, V) > 0
    assert separating_weights(np.array([[1], [-1]]), one_hot(np.array([0, 0]), 2), SECONDS) is None
    V = separating_weights(np.ones((4, 1), np.int64), one_hot(np.zeros(4, int), 2), SECONDS)  # a bias alone
    assert V is not None and V[0, 0] > V[1, 0]


def test_the_grid_is_as_coarse_as_the_margins_allow_and_sparse():
    """Classes far apart on one feature of many: weights of one digit, and the columns that do not matter are 0."""
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    A = np.hstack([rng.integers(0, 16, (90, 20)), 400 * (labels[:, None] - 1) ** 2, 400 * labels[:, None]])
    A = np.hstack([A, np.ones((90, 1), np.int64)])
    V = separating_weights(A, one_hot(labels, 3), SECONDS)
    assert V is not None and least_margin(A, labels, V) > 0
    assert np.count_nonzero(V) <= 20 and np.abs(V[:, :-1]).max() < 256
    assert all((np.bincount(np.unique(column, return_inverse=True)[1]).max() == (column == 0).sum()) for column in V.T)


def test_what_is_not_attempted():
    A = np.array([[1, 1], [2, 1]])
    assert separating_weights(A, np.array([[True, True, False], [False, False, True]]), SECONDS) is None  # an equation
    assert separating_weights(A, np.ones((2, 1), bool), SECONDS) is None  # no pairs
    assert separating_weights(A[:0], np.ones((0, 2), bool), SECONDS) is None
    assert separating_weights(A[:, :0], one_hot(np.array([0, 1]), 2), SECONDS) is None
    assert separating_weights(0 * A, one_hot(np.array([0, 0]), 2), SECONDS) is None


def test_time_is_kept():
    """A search that needs many steps, cut off: within the time of one inner step, and by its own forecast before."""
    rng = np.random.default_rng(0)
    A, labels = rng.integers(0, 256, (3000, 300)), rng.integers(0, 5, 3000)  # random labels: no hope
    started = time.perf_counter()
    assert separating_weights(A, one_hot(labels, 5), 0.0) is None
    once = time.perf_counter() - started
    started = time.perf_counter()
    assert separating_weights(A, one_hot(labels, 5), 1.0) is None
    assert time.perf_counter() - started < 1.0 + 10 * once


def test_the_middle_of_a_column_is_rounded_to_few_digits():
    """The nearest multiple of the power of two that is an eighth of the range or a quarter, of either sign."""
    for top, bottom in ((13, 4), (1000, -37), (-5, -1000), (7, 7), (2**70 + 12345, 2**69 - 1), (3, 0), (-1, -2)):
        middle = _round_middle(top, bottom)
        unit = 1 << max((top - bottom).bit_length() - 2, 0)
        assert middle % unit == 0 and abs(2 * middle - (top + bottom)) <= unit


@pytest.mark.peers
@pytest.mark.parametrize(("name", "seconds"), [("wine", 0.3), ("breast_cancer", 0.3), ("digits", 0.5)])
def test_sets_of_scikit_learn(name, seconds):
    """The completely separable sets of DESIGN.md, raw values; their times are in the benchmarks."""
    datasets = pytest.importorskip("sklearn.datasets")
    X, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    columns = []
    for x in X.T:
        fractions = [Fraction(repr(float(v))) for v in x]
        common = np.lcm.reduce([f.denominator for f in fractions])
        columns.append([int(f * int(common)) for f in fractions])
    A = np.array([*columns, [1] * len(X)]).T
    V = separating_weights(A, one_hot(labels, labels.max() + 1), seconds * 20)
    assert V is not None and least_margin(A, labels, V) > 0
