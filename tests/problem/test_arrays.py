"""Problem keeps the data as given and states one dtype; its two texts, the report and the dump, say everything."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax import L2, LogCosh, SelfRegularizer
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support import memory

X = np.array([[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
T = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
y = ["b", "a", "b"]


def test_the_intercept_is_a_last_column_of_ones_and_the_host_copy_has_none():
    problem = Problem(X, T, intercept=True, sample_weight=[1, 0, 2])
    assert problem.shape == (3, 3, 2) == (problem.N, problem.D, problem.C)
    np.testing.assert_array_equal(problem.X, np.c_[X, np.ones(3)])
    np.testing.assert_array_equal(problem.host.X, X)
    np.testing.assert_array_equal(problem.sample_weight, [1, 0, 2])
    assert problem.host.sample_weight.dtype.kind == "i"
    assert Problem.from_labels(X, y).intercept
    assert not Problem(X, T).intercept
    assert Problem(X, T).host.sample_weight is None
    np.testing.assert_array_equal(Problem(X, T).sample_weight, np.ones(3))


@pytest.mark.parametrize(
    ("x64", "given_dtype", "dtype", "computed", "stored", "why"),
    [
        (False, "float64", None, "float32", "float32", "X is float64, but x64 is off"),
        (False, "int16", None, "float32", "float32", "X is int16, but x64 is off"),
        (False, "float16", None, "float32", "float32", "X is float16"),
        (False, "bfloat16", None, "float32", "bfloat16", "X is bfloat16"),
        (False, "bfloat16", "float32", "float32", "float32", "as asked"),
        (False, "float64", "bfloat16", "float32", "bfloat16", "as asked"),
        (True, "float64", None, "float64", "float64", "X is float64 and x64 is on"),
        (True, "int64", None, "float64", "float64", "X is int64 and x64 is on"),
        (True, "bool", None, "float64", "float64", "X is bool and x64 is on"),
        (True, "float32", None, "float32", "float32", "X is float32"),
        (True, "float32", np.float64, "float64", "float64", "as asked"),
        (True, "float64", jnp.float32, "float32", "float32", "as asked"),
    ],
)
def test_dtype_rule(x64, given_dtype, dtype, computed, stored, why):
    """The default compute dtype is float64 only for float64 or integer X with x64 on; repr says which and why."""
    with jax.enable_x64(x64):
        problem = Problem(np.abs(X).astype(given_dtype), T, dtype=dtype, regularizer=L2(0.5), intercept=True)
        assert problem.dtype == computed
        assert problem.X.dtype == stored
        for leaf in (problem.T, problem.sample_weight, problem.regularizer[0].alpha):
            assert leaf.dtype == computed
        assert problem.host.X.dtype == given_dtype
        assert f"dtype: {computed}" in repr(problem)
        assert why in repr(problem)


def test_device_arrays_are_kept_as_they_are():
    """A JAX array of the compute dtype is not copied; bfloat16 X stays with float32 beside it."""
    x, t, s = jnp.asarray(X, "float32"), jnp.asarray(T, "float32"), jnp.ones(3)
    problem = Problem(x, t, sample_weight=s)
    assert problem.X is x
    assert problem.T is t
    assert problem.sample_weight is s
    for dtype in (None, "float32", "bfloat16"):
        half = Problem(x.astype("bfloat16"), t, dtype=dtype, intercept=True)
        assert half.X.dtype == jnp.bfloat16
        assert half.dtype == np.float32


def test_the_host_copy_cannot_be_changed_through_the_array_given():
    given = X.copy()
    problem = Problem(given, T)
    given[:] = 7
    np.testing.assert_array_equal(problem.host.X, X)
    np.testing.assert_array_equal(problem.X, X)
    with pytest.raises(ValueError, match="read-only"):
        problem.host.X[0, 0] = 1
    view = given.view()
    view.flags.writeable = False  # read-only itself, but its base is not: it must be copied
    problem = Problem(view, T)
    given[:] = 8
    assert (problem.host.X == 7).all()
    given.flags.writeable = False
    assert np.shares_memory(Problem(given, T).host.X, given)


class ArrayLike:
    """Something with `__array__` and nothing else."""

    def __array__(self, dtype=None, copy=None):
        return X.astype(dtype or X.dtype)


class DLPackLike:
    """Something with `__dlpack__` and nothing else."""

    def __dlpack__(self, **options):
        return X.__dlpack__(**options)

    def __dlpack_device__(self):
        return X.__dlpack_device__()


@pytest.mark.parametrize(
    "given",
    [
        X.tolist(),
        tuple(map(tuple, X)),
        list(X),
        np.asfortranarray(X),
        X[::-1][::-1],
        np.ma.array(X),
        ArrayLike(),
        DLPackLike(),
    ],
    ids=["list", "tuple", "list of arrays", "Fortran order", "strided", "unmasked", "__array__", "__dlpack__"],
)
def test_arrays_in(given):
    problem = Problem(given, T)
    np.testing.assert_array_equal(problem.X, X)
    np.testing.assert_array_equal(problem.host.X, X)
    assert type(problem.host.X) is np.ndarray


def test_weights_that_the_dtype_holds_without_their_digits_are_refused():
    """Section 0: float32 has 10⁻⁴⁰ as a subnormal number, which a processor may take for 0; 10⁻³⁷ is a normal one."""
    with pytest.raises(ValueError, match="below the smallest normal float32"):
        Problem(X, T, sample_weight=[1e-40, 1, 1], dtype="float32")
    assert Problem(X, T, sample_weight=[1e-37, 0, 1], dtype="float32").sample_weight[0] == np.float32(1e-37)


def test_large_integers_stay_exact_on_the_host():
    """A large integer that a double holds is legal; the device copy rounds to the compute dtype."""
    big = np.array([[2**60], [-(2**53)], [2**53]])
    problem = Problem(big, T)
    assert problem.host.X.dtype == np.int64
    np.testing.assert_array_equal(problem.host.X, big)
    assert Problem([[2**24 + 1]] * 3, T).X[0, 0] == 2**24


def test_pandas_frames_and_categoricals():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1, 2], "c": [True, False, True]})
    problem = Problem.from_labels(frame, pd.Categorical(y, categories=["b", "z", "a"]))
    assert problem.feature_names == ("a", "b", "c", "intercept")
    assert problem.classes.tolist() == ["a", "b", "z"]
    np.testing.assert_array_equal(problem.host.X, [[1, 0.5, 1], [2, 1, 0], [3, 2, 1]])
    np.testing.assert_array_equal(problem.T, [[0, 1, 0], [1, 0, 0], [0, 1, 0]])
    assert Problem.from_labels(frame, pd.Series(y)).classes.tolist() == ["a", "b"]
    assert Problem(frame, pd.DataFrame({"p": [0.5, 1, 0], "q": [0.5, 0, 1]})).classes.tolist() == ["p", "q"]
    with pytest.raises(ValueError, match=r"column 'a'.*9007199254740993"):  # beside floats it would round silently
        Problem.from_labels(frame.assign(a=[1, 2, 2**53 + 1]), y)
    with pytest.raises(ValueError, match=r"column 'd'.*9007199254740993"):  # among integers too
        Problem.from_labels(pd.DataFrame({"a": [1, 2, 3], "d": [1, 2, 2**53 + 1]}), y)
    with pytest.raises(ValueError, match=r"column 'a'.*-9007199254740993"):
        Problem.from_labels(frame.assign(a=[1, 2, -(2**53) - 1]), y)
    with pytest.raises(ValueError, match=r"X, column 'b': 1 cell is missing"):
        Problem.from_labels(frame.assign(b=[1.0, 2.0, np.nan]), y)
    with pytest.raises(TypeError, match="column 'a'"):
        Problem.from_labels(frame.assign(a=["x", "y", "z"]), y)
    for missing in (pd.Series(["a", None, "b"], dtype="category"), pd.Series([1, None, 2], dtype="Int64")):
        with pytest.raises(ValueError, match=r"y: entry 1 is .*missing"):
            Problem.from_labels(frame, missing)


def test_polars_frames_and_enums():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, 2, 3], "b": [0.5, 1, 2]})
    problem = Problem.from_labels(frame, pl.Series(y, dtype=pl.Enum(["z", "a", "b"])))
    assert problem.feature_names == ("a", "b", "intercept")
    assert problem.classes.tolist() == ["a", "b", "z"]
    np.testing.assert_array_equal(problem.host.X, [[1, 0.5], [2, 1], [3, 2]])


def test_scipy_sparse_is_made_dense():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.coo_array):
        np.testing.assert_array_equal(Problem(kind(X), T).host.X, X)


def test_the_report_names_everything_that_shapes_a_result():
    text = repr(
        Problem.from_labels(
            X,
            y,
            classes=["a", "b", "c"],
            label_smoothing=0.01,
            sample_weight=[1, 0, 2.5],
            regularizer=L2(0.1) + LogCosh(1, 0.5) + SelfRegularizer(2),
        )
    )
    for part in (
        "3 samples, 3 features (the last is the intercept), 3 classes",
        "dtype: float32 (X is float64, but x64 is off)",
        "targets: one-hot, smoothing 1/100",
        "absent classes: ['c']",
        "sum 3.5, of which 0 (take no part): 1",
        "L2(alpha=0.1, penalize_intercept=False) + LogCosh(alpha=1, gamma=0.5, penalize_intercept=False) + Self",
        "classes: ['a', 'b', 'c']",
    ):
        assert part in text
    assert "absent classes: [2]" in repr(Problem(X, np.c_[np.eye(2)[[0, 1, 0]], np.zeros(3)]))


def read_dump(path) -> dict[str, Any]:
    """The reader that `Problem.dump` documents, in the standard library."""
    lines = iter(Path(path).read_text(encoding="ascii").splitlines())

    def number(token) -> Any:
        return float.fromhex(token) if "x" in token else Fraction(token) if "/" in token else int(token)

    def block(name, rows, columns) -> Any:
        assert next(lines) == name
        table = [[number(token) for token in next(lines).split()] for _ in range(rows)]
        assert all(len(row) == columns for row in table)
        return table

    assert next(lines) == "jaxsoftmax-problem 1"
    N, D, C = map(int, next(lines).removeprefix("shape ").split())
    out: dict[str, Any] = {"intercept": int(next(lines).removeprefix("intercept "))}
    count = int(next(lines).removeprefix("regularizers "))
    out["regularizers"] = [next(lines).split() for _ in range(count)]
    out["classes"] = json.loads(next(lines).removeprefix("classes "))
    out["features"] = json.loads(next(lines).removeprefix("features "))
    out |= {"X": block("X", N, D), "T": block("T", N, C), "sample_weight": block("sample_weight", N, 1)}
    assert next(lines) == "end"
    assert next(lines, None) is None
    return out


def test_the_dump_is_exact_and_stdlib_readable(tmp_path):
    """Every number that went in comes out: integers as integers, floats bit for bit, targets as rationals."""
    path = tmp_path / "problem.txt"
    path.write_text("an older file")
    odd = np.array([[-0.0, 5e-324], [0.1, -1.7976931348623157e308], [1 / 3, 2.0]])
    with jax.enable_x64(True):
        problem = Problem.from_labels(
            odd,
            ["é", "b c", "é"],
            label_smoothing="0.01",
            sample_weight=[0.1, 0, 3],
            regularizer=L2(0.1, True) + LogCosh(0.3, 2) + LogCosh(1, 0.5, True) + SelfRegularizer(-2),
        )
        problem.dump(path)
    found = read_dump(path)
    assert np.array(found["X"]).tobytes() == odd.tobytes()
    assert found["intercept"] == 1
    low, high = Fraction(1, 200), Fraction(199, 200)
    assert found["T"] == [[low, high], [high, low], [low, high]]
    assert found["sample_weight"] == [[0.1], [0.0], [3.0]]
    l2, cosh = ["l2", (0.1).hex(), "1"], [["logcosh", (0.3).hex(), "2", "0"], ["logcosh", "1", (0.5).hex(), "1"]]
    assert found["regularizers"] == [l2, *cosh, ["self", "-2"]]
    assert found["classes"] == ["b c", "é"]
    assert found["features"] is None
    assert [file.name for file in tmp_path.iterdir()] == ["problem.txt"]

    frame = Problem([[1, 2**60], [-3, 0]], np.array([[0.1, 0.9], [0, 1]], "float32"), feature_names=["u", "v"])
    frame.dump(path)
    found = read_dump(path)
    assert found["X"] == [[1, 2**60], [-3, 0]]
    assert all(type(entry) is int for row in found["X"] for entry in row)
    a, b = Fraction(float(np.float32(0.1))), Fraction(float(np.float32(0.9)))
    assert found["T"] == [[a / (a + b), b / (a + b)], [0, 1]]
    assert found["sample_weight"] == [[1], [1]]
    assert found["features"] == ["u", "v"]

    Problem(np.zeros((2, 0)), np.eye(2), intercept=True).dump(path)
    assert read_dump(path)["X"] == [[], []]


def test_a_failed_dump_leaves_the_old_file_and_no_new_one(tmp_path, monkeypatch):
    path = tmp_path / "problem.txt"
    path.write_text("an older file")

    def broken(*_):
        yield "jaxsoftmax-problem 1"
        raise OSError("disk full")

    monkeypatch.setattr("jaxsoftmax.problem.dump.dump_lines", broken)
    with pytest.raises(OSError, match="disk full"):
        Problem(X, T).dump(path)
    assert path.read_text() == "an older file"
    assert [file.name for file in tmp_path.iterdir()] == ["problem.txt"]


def _free(monkeypatch, count):
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): count)


def test_a_copy_of_X_that_cannot_fit_is_refused_before_it_is_made(monkeypatch, x64):
    """(4, 2) doubles and a column of ones take 96 bytes; of 95 free, float32 would do, or three samples."""
    given = np.arange(8.0).reshape(4, 2).copy()
    given.setflags(write=False)
    _free(monkeypatch, 96)
    assert Problem.from_labels(given, [0, 1, 0, 1]).D == 3
    _free(monkeypatch, 95)
    words = r"^X: the copy of 4 samples and 3 columns to compute with, in float64, needs about .* MB of memory, and .* "
    with pytest.raises(ValueError, match=words + r"are free; choose the dtype 'float32' .*, or give at most 3 samples"):
        Problem.from_labels(given, [0, 1, 0, 1])
    assert Problem.from_labels(given, [0, 1, 0, 1], dtype="float32").D == 3
    _free(monkeypatch, 47)
    with pytest.raises(ValueError, match=r"in float32, .*; give at most 3 samples at a time\."):
        Problem.from_labels(given, [0, 1, 0, 1], dtype="float32")
    _free(monkeypatch, 23)
    with pytest.raises(ValueError, match=r"; give fewer columns\."):
        Problem.from_labels(given, [0, 1, 0, 1])


def test_X_that_is_used_as_it_is_needs_no_memory(monkeypatch):
    _free(monkeypatch, 0)
    given = np.ones((2, 1), np.float32)
    given.setflags(write=False)
    assert Problem(given, [[1, 0], [0, 1]]).N == 2
    assert Problem(jnp.ones((2, 1)), [[1, 0], [0, 1]]).N == 2


def test_copies_on_the_host_are_refused_too(monkeypatch):
    """Of an array that may be changed later, and of a sparse one made dense: 16 bytes each."""
    sparse = pytest.importorskip("scipy.sparse")
    for given, words in (
        (np.ones((2, 1)), r"^X: the copy of an array that may be changed later needs .*; make the array read-only"),
        (
            sparse.csr_matrix(np.ones((2, 1))),
            r"^X: made dense, it needs about .*; train on js.SparseProblem.from_labels",
        ),
    ):
        _free(monkeypatch, 15)
        with pytest.raises(ValueError, match=words):
            Problem(given, [[1, 0], [0, 1]])
        _free(monkeypatch, 16)
        assert Problem(given, [[1, 0], [0, 1]]).N == 2


@pytest.mark.parametrize("intercept", [False, True])
def test_a_number_beyond_the_dtype_is_named_with_an_intercept_and_without(intercept):
    """Section 0: where ones are appended the conversion is another one; neither makes an infinity of 10³⁰⁰."""
    with pytest.raises(ValueError, match=r"^X: entry \(1, 0\) is 1e\+300, beyond the largest float32"):
        Problem([[1.0], [1e300]], [[1, 0], [0, 1]], intercept=intercept, dtype="float32")
