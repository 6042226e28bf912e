"""Labels and targets have one exact meaning over the rationals, and the device T is that number rounded once."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsoftmax import L2
from jaxsoftmax.problem.problem import Problem

X = np.array([[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
T = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
y = ["b", "a", "b"]


def fractions_of(problem):
    """The exact targets as rows of Fractions."""
    numerators, denominators = problem.exact_targets()
    return [[Fraction(int(p), q) for p in row] for row, q in zip(numerators.tolist(), denominators, strict=True)]


@pytest.mark.parametrize(
    ("labels", "classes", "expected", "codes"),
    [
        (["b", "a", "b"], None, ["a", "b"], [1, 0, 1]),
        (np.array(["b", "a", "b"], object), None, ["a", "b"], [1, 0, 1]),
        (np.array([b"b", b"a", b"b"]), None, ["a", "b"], [1, 0, 1]),
        ([3, -1, 3], None, [-1, 3], [1, 0, 1]),
        (np.array([3, 1, 3], np.uint64), None, [1, 3], [1, 0, 1]),
        (jnp.array([3, 1, 3]), None, [1, 3], [1, 0, 1]),
        ([2**62, -(2**63), 2**62], None, [-(2**63), 2**62], [1, 0, 1]),
        ([True, False, True], None, [False, True], [1, 0, 1]),
        ([3.0, 1.0, 3.0], None, [1, 3], [1, 0, 1]),
        ([3.0, 1, np.int8(3)], None, [1, 3], [1, 0, 1]),
        (["b", "a", "b"], ["c", "b", "a"], ["a", "b", "c"], [1, 0, 1]),
        ([7, 7, 7], [9, 7, 8], [7, 8, 9], [0, 0, 0]),
        ([5, 5, 5], (np.float64(2), 5), [2, 5], [1, 1, 1]),
    ],
)
def test_labels_become_one_hot_rows_of_the_sorted_classes(labels, classes, expected, codes):
    """Class c of the sorted classes is column c of T (and row c of W); declared classes may be absent."""
    problem = Problem.from_labels(X, labels, classes=classes)
    assert problem.classes.tolist() == expected
    np.testing.assert_array_equal(problem.T, np.eye(len(expected))[codes])
    numerators, denominators = problem.exact_targets()
    assert numerators.dtype == np.int64
    np.testing.assert_array_equal(numerators, np.eye(len(expected))[codes])
    assert denominators == [1, 1, 1]


@pytest.mark.parametrize(
    ("eps", "exact"),
    [
        (0.01, Fraction(1, 100)),
        (np.float32(0.01), Fraction(1, 100)),
        (jnp.float32(0.01), Fraction(1, 100)),
        ("0.01", Fraction(1, 100)),
        ("1e-2", Fraction(1, 100)),
        ("1/3", Fraction(1, 3)),
        (Fraction(2, 7), Fraction(2, 7)),
        (1e-20, Fraction(1, 10**20)),
        (0, Fraction(0)),
        (1, Fraction(1)),
    ],
)
def test_smoothing_means_the_decimal_it_prints(eps, exact):
    """S21c: T <- (1 - eps) T + eps/C over the rationals, from labels, from rows, and by `smoothed`."""
    expected = [[(1 - exact) * t + exact / 2 for t in row] for row in ([0, 1], [1, 0], [0, 1])]
    one_hot = Problem(X, [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    for problem in (
        Problem.from_labels(X, y, label_smoothing=eps),
        Problem.from_labels(X, y).smoothed(eps),
        one_hot.smoothed(eps),
    ):
        assert fractions_of(problem) == expected
        assert all(sum(row) == 1 for row in fractions_of(problem))


def test_two_smoothings_compose_exactly_and_keep_the_rest():
    """S21c twice: (1 - b)((1 - a) t + a/C) + b/C."""
    a, b = Fraction("0.1"), Fraction("0.3")
    problem = Problem(X, T, sample_weight=[1, 2, 3], regularizer=L2(1)).smoothed(a).smoothed(b)
    assert fractions_of(problem) == [
        [(1 - b) * ((1 - a) * Fraction(t) + a / 2) + b / 2 for t in row] for row in T.tolist()
    ]
    np.testing.assert_array_equal(problem.sample_weight, [1, 2, 3])
    assert len(problem.regularizer) == 1
    np.testing.assert_array_equal(problem.host.X, X)


def correctly_rounded(value, exact, dtype):
    """Whether no neighbour of the float `value` is nearer to the rational `exact`, ties to the even significand."""
    here = abs(Fraction(float(value)) - exact)
    for direction in (-1, 2):
        neighbour = np.nextafter(dtype(value), dtype(direction))
        there = abs(Fraction(float(neighbour)) - exact)
        if there < here or (there == here != 0 and value.view(f"i{value.itemsize}") % 2):
            return False
    return True


weight = st.one_of(
    st.floats(0, 1, allow_subnormal=False),
    st.sampled_from([0.0, 1.0, 2.0**-30, 1e-300, 1 / 3, 1 - 2.0**-24, 2.0**-25]),
)


@given(
    raw=st.lists(st.lists(weight, min_size=3, max_size=3), min_size=2, max_size=2), eps=st.sampled_from(["0", "0.01"])
)
def test_a_float_row_means_itself_over_its_exact_sum(raw, eps):
    """section 7.9: t/Σt over the rationals sums to 1 exactly; the device T is that number correctly rounded."""
    rows = np.array(raw)
    rows[rows.sum(axis=1) == 0] = 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    expected = []
    for row in rows.tolist():
        total = sum(map(Fraction, row))
        expected.append([(1 - Fraction(eps)) * Fraction(t) / total + Fraction(eps) / 3 for t in row])
    for x64, dtype in ((False, np.float32), (True, np.float64)):
        with jax.enable_x64(x64):
            problem = Problem(X[:2], rows).smoothed(eps)
            device = np.asarray(problem.T)
        assert fractions_of(problem) == expected
        assert device.dtype == dtype
        for value, exact in zip(device.ravel(), [*expected[0], *expected[1]], strict=True):
            assert correctly_rounded(value, exact, dtype)
    for row, q in zip(*problem.exact_targets(), strict=True):
        assert math.gcd(*map(int, row), q) == 1


@pytest.mark.parametrize("side", [-1, 1])
def test_float32_targets_are_rounded_once(side):
    """t = 1/2 + 2^-25 ± 2^-60 lies beside a float32 midpoint, its double on it: rounding by way of it goes wrong."""
    exact = Fraction(1, 2) + Fraction(1, 2**25) + side * Fraction(1, 2**60)
    assert float(exact) == 0.5 + 2.0**-25
    problem = Problem.from_labels(X, y, label_smoothing=2 - 2 * exact)  # C = 2: a hot entry is 1 - ε/2
    assert fractions_of(problem)[0][1] == exact
    assert problem.T[0, 1] == (0.5 if side < 0 else np.float32(0.5) + np.float32(2**-24))
    assert correctly_rounded(np.asarray(problem.T)[0, 1], exact, np.float32)


def test_rows_within_the_stated_tolerance_are_normalised_and_no_further():
    """The allowance is 8·eps·C of T's own dtype: at it accepted and normalised, beyond it an error."""
    for dtype in (np.float64, np.float32, jnp.bfloat16):
        off = 8 * float(jnp.finfo(dtype).eps) * 2
        accepted = Problem(X, np.array([[1, 0], [0.5, 0.5 + off], [0, 1]], dtype))
        half = Fraction(1, 2)
        assert fractions_of(accepted)[1] == [half / (1 + Fraction(float(off))), 1 - half / (1 + Fraction(float(off)))]
        with pytest.raises(ValueError, match="T: row 1 sums to"):
            Problem(X, np.array([[1, 0], [0.5, 0.5 + 1.125 * off], [0, 1]], dtype))


@pytest.mark.parametrize("dtype", [bool, int, np.uint8, np.float32, jnp.bfloat16])
def test_one_hot_rows_of_any_type_are_exact(dtype):
    problem = Problem(X, np.eye(3)[[2, 0, 1]].astype(dtype))
    np.testing.assert_array_equal(problem.T, np.eye(3)[[2, 0, 1]])
    assert problem.exact_targets()[1] == [1, 1, 1]


def test_a_device_T_that_is_not_normalised_is_replaced_by_its_exact_meaning():
    """The device T is the rounded t/Σt, also when T came as a JAX array: one off in the sum is not kept."""
    rows = np.full((3, 2), 0.5 + 2.0**-22, np.float32)  # the sum is 1 + 4 eps, within 16 eps
    np.testing.assert_array_equal(Problem(X, jnp.asarray(rows)).T, np.full((3, 2), 0.5))


@pytest.mark.parametrize("label", ["a\0", "a\ud800"])
def test_letters_that_numpy_or_a_file_would_lose_are_refused(label):
    """NumPy takes a zero letter at the end for padding: two classes would become one, silently."""
    with pytest.raises(ValueError, match=r"entry 0 is .* letter"):
        Problem.from_labels([[1.0], [2.0], [3.0]], [label, "a", "b"])
