"""Data are read exactly, as doubles or as decimals, and the hash depends on the numbers alone (section 7.10; S21e)."""

import hashlib
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.numbers import exact_number, integer_columns

rng = np.random.default_rng(3)
MATRICES = {
    "normals": rng.normal(size=(9, 3)),
    "float32": rng.normal(size=(9, 3)).astype(np.float32),
    "bfloat16": np.asarray(jnp.asarray(rng.normal(size=(5, 2)), jnp.bfloat16)),
    "extremes": np.array([[1e300, 5e-324], [0.0, -1e-300], [-0.0, 2.0**-1000]]),
    "tenths": np.array([[0.1, 2.5], [1e22, 1e-7], [-0.3, 0.0]]),
    "large whole floats": np.array([[2.0**60, 1e17]]),
    "integers": rng.integers(-5, 5, (4, 2)),
    "uint64": np.array([[2**63]], np.uint64),
    "bool": np.array([[True, False]]),
    "zeros": np.zeros((3, 2)),
    "no samples": np.zeros((0, 2)),
}


def meant(value, decimal):
    """What an entry means, one at a time."""
    if value.dtype.kind in "biu":
        return Fraction(int(value))
    return Fraction(str(value)) if decimal else Fraction(float(value))


@pytest.mark.parametrize("decimal", [False, True])
@pytest.mark.parametrize("name", MATRICES)
def test_integers_over_scales_are_the_entries(name, decimal):
    X = MATRICES[name]
    A, scales = integer_columns(X, decimal)
    for n, d in np.ndindex(*X.shape):
        assert Fraction(int(A[n, d]), scales[d]) == meant(X[n, d], decimal)
    for d, q in enumerate(scales):  # the least scale: no factor in common
        assert q > 0 and math.gcd(q, *(int(a) for a in A[:, d])) in (1, q if not np.any(A[:, d]) else 1)


def test_a_decimal_tie_is_a_tie_in_decimals_only():
    X = np.array([[0.1 + 0.2], [0.3]])
    assert len(set(integer_columns(X, decimal=True)[0][:, 0].tolist())) == 2  # 0.30000000000000004 prints so
    X = np.array([[0.1], [0.7]]) * np.array([1.0])
    A, scales = integer_columns(X, decimal=True)
    assert A[:, 0].tolist() == [1, 7] and scales == [10]


@pytest.mark.parametrize(
    ("dtype", "value", "printed"),
    [
        (np.float32, 2**24 - 1, 16777215),  # all of its digits are printed
        (np.float32, 123456792, 123456790),
        (np.float64, 2**53 - 1, 2**53 - 1),
        (np.float64, 2.0**60, 1152921504606847000),
        (jnp.bfloat16, 259, 260),
    ],
)
def test_a_large_integer_in_decimals_is_what_its_float_prints(dtype, value, printed):
    """Section 7.10: a float prints the shortest decimal that gives it, which is another integer from some size on."""
    X = np.array([[value]]).astype(dtype)
    A, scales = integer_columns(X, decimal=True)
    assert (A.tolist(), scales) == ([[printed]], [1])
    exact, scales = integer_columns(X)
    assert Fraction(exact.item(), scales[0]) == int(float(X.item()))


@pytest.mark.parametrize(
    ("value", "decimal", "expected"),
    [(0.5, False, "1/2"), (np.float32(0.1), True, "1/10"), (3, True, "3"), (jnp.float32(0.25), True, "1/4")],
)
def test_scalars(value, decimal, expected):
    assert str(exact_number(value, decimal)) == expected


def hash_by_definition(problem, decimal=False):
    """The specification read literally, a byte string a line, from the problem's host data."""
    host, (N, D) = problem.host, problem.host.X.shape
    lines = [
        b"jaxsoftmax-data 1",
        f"shape {N} {D} {problem.C}".encode(),
        f"intercept {int(problem.intercept)}".encode(),
    ]
    lines += [line.encode() for line in ExactData(problem, decimal).regularizer_lines()]
    out = b"\n".join([*lines, b"X", b""])
    for d in range(D):
        exact = [meant(host.X[n, d], decimal) for n in range(N)]
        q = math.lcm(*(x.denominator for x in exact))
        whole = [int(x * q) for x in exact]
        width = max(m.bit_length() for m in whole) // 8 + 1
        out += f"{q} {width}\n".encode() + b"".join(m.to_bytes(width, "little", signed=True) for m in whole)
    numerators, denominators = problem.exact_targets()
    out += b"T\n"
    for row, q in zip(numerators.tolist(), denominators, strict=True):
        out += " ".join(str(Fraction(int(p), int(q))) for p in row).encode() + b"\n"
    out += b"sample_weight\n"
    weights = np.ones(N, int) if host.sample_weight is None else host.sample_weight
    for s in weights:
        out += str(meant(s, decimal)).encode() + b"\n"
    return hashlib.sha256(out).hexdigest()


PROBLEMS = {
    "labels": lambda: js.Problem.from_labels(MATRICES["normals"], rng.integers(0, 3, 9), label_smoothing="0.1"),
    "pixels": lambda: js.Problem.from_labels(
        np.array([[0, 255], [128, 3], [127, 0]], np.uint8), ["b", "a", "b"], intercept=False
    ),
    "rows": lambda: js.Problem(
        np.array([[0.5], [2.0]]),
        [[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]],
        sample_weight=[0.1, 0.0],
        regularizer=js.L2(0.1) + js.LogCosh(0.5, 2.0) + js.SelfRegularizer(0.3),
    ),
    "wide": lambda: js.Problem(np.array([[2.0**60, 2.0**-40], [1.0, 3.0]]), [[1, 0], [0, 1]]),
}


@pytest.mark.parametrize("decimal", [False, True])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_hash_is_that_of_the_specification(name, decimal):
    problem = PROBLEMS[name]()
    assert ExactData(problem, decimal).sha256 == hash_by_definition(problem, decimal)


def test_the_hash_sees_the_numbers_and_not_their_type():
    def of(X):
        return ExactData(js.Problem.from_labels(X, [0, 1, 1])).sha256

    X = np.array([[1, -2], [3, 4], [0, 5]])
    assert of(X) == of(X.astype(np.float64)) == of(X.astype(np.float32)) == of(X.astype(np.int8))
    assert of(X) != of(np.where(X == 3, np.nextafter(3.0, 4.0), X.astype(np.float64)))


@pytest.mark.parametrize(
    ("regularizer", "intercept", "expected"),
    [
        (None, True, [0, 1]),
        (js.L2(0.0), True, [0, 1]),
        (js.L2(0.1), True, [1]),
        (js.L2(0.1, penalize_intercept=True), True, []),
        (js.L2(0.1), False, []),
        (js.LogCosh(0.1, 2.0), True, [1]),
        (js.LogCosh(0.0, 2.0), True, [0, 1]),
        (js.SelfRegularizer(0.1), True, []),
        (js.L2(0.1) + js.LogCosh(0.1, 1.0, penalize_intercept=True), True, []),
        (js.LogCosh(0.1, 1.0, penalize_intercept=True) + js.L2(0.1), True, []),
        (js.L2(0.1) + js.LogCosh(0.0, 1.0, penalize_intercept=True), True, [1]),
    ],
)
def test_s21e_admissible_columns(regularizer, intercept, expected):
    """The columns along which L + R can be flat: where R's recession function is finite (and 0)."""
    problem = js.Problem.from_labels([[1.0], [2.0]], [0, 1], intercept=intercept, regularizer=regularizer)
    assert ExactData(problem).columns.tolist() == expected


def test_rows_of_weight_zero_take_no_part():
    data = ExactData(js.Problem.from_labels([[1.0], [2.0], [3.0]], [0, 1, 0], sample_weight=[1, 0, 2]))
    assert data.integers.tolist() == [[1, 1], [3, 1]] and data.support.tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("regularizer", [None, js.L2(0.1)])
@pytest.mark.parametrize("X", [np.array([[7, 1], [8, 2], [9, 3]]), np.array([[7.0, 1.0], [8.5, 2.0], [9.0, 3.0]])])
def test_some_columns_are_those_of_the_integers(X, regularizer):
    """S12, S21e: a place among the admissible columns, whatever was read before; rows of weight 0 are left out."""
    options = {"classes": [0, 1], "sample_weight": [1, 0, 1], "regularizer": regularizer}
    data = ExactData(js.Problem.from_labels(X, [0, 1, 0], **options))
    columns = np.arange(len(data.columns))[::-1]
    part = data.some_columns(columns)  # before the integers are there
    assert part.tolist() == data.integers[:, columns].tolist() == data.some_columns(columns).tolist()


def test_a_problem_rebuilt_by_jax_is_refused():
    problem = js.Problem.from_labels([[1.0], [2.0]], [0, 1]).replace(sample_weight=np.ones(2))
    with pytest.raises(ValueError, match="no longer has the data as given"):
        ExactData(problem)


@pytest.mark.parametrize("decimal", [False, True])
def test_columns_are_read_in_blocks_as_they_are_one_by_one(decimal, monkeypatch):
    """Integers, tenths, and a column beyond int64 in blocks of 2: the numbers, whatever block they are in."""
    X = np.array([[1.0, 0.1, 3.0, 1e30, 5.0], [2.0, 0.7, 1e-30, 1.0, -4.0]])
    monkeypatch.setattr("jaxsoftmax.proof.exact.numbers._COLUMNS", 2)
    A, scales = integer_columns(X, decimal)
    read = (lambda v: Fraction(str(v))) if decimal else (lambda v: Fraction(float(v)))
    assert [[Fraction(a, q) for a, q in zip(row, scales, strict=True)] for row in A.tolist()] == [
        [read(v) for v in row] for row in X
    ]
    assert A.dtype == object and all(type(a) is int for row in A.tolist() for a in row)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_integers_of_decimals_are_those_of_fractions(dtype):
    """Section 7.10: the least common denominator, whether the decimals have exponents or not, and negative zero."""
    rng = np.random.default_rng(6)
    for _ in range(50):
        values = (rng.normal(size=4) * 10.0 ** rng.integers(-6, 4)).round(rng.integers(0, 6)).astype(dtype)
        values[0] = -0.0
        A, (q,) = integer_columns(values[:, None], decimal=True)
        exact = [Fraction(str(value)) for value in values]
        assert q == math.lcm(*(value.denominator for value in exact))
        assert A[:, 0].tolist() == [value * q for value in exact]


def test_integers_beyond_int64_are_pythons():
    """Section 7.7: 2⁶² beside ½ is 2⁶³ over 2, one more than an int64 holds."""
    A, scales = integer_columns(np.array([[2.0**62, 2.0**60], [0.5, 0.5]]))
    assert A.tolist() == [[2**63, 2**61], [1, 1]] and scales == [2, 2]
