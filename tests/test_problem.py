"""Problem keeps the data as given, gives targets an exact meaning, states one dtype, and rebuilds unasked."""

import json
import math
import os
import pickle
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsoftmax.problem import Problem
from jaxsoftmax.regularizers import L2, SelfRegularizer

X = np.array([[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
T = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
y = ["b", "a", "b"]


def fractions_of(problem):
    """The exact targets as rows of Fractions."""
    numerators, denominators = problem.exact_targets()
    return [[Fraction(int(p), q) for p in row] for row, q in zip(numerators.tolist(), denominators, strict=True)]


# ── layout, dtype, host copy ──


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


# ── labels ──


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


# ── exact targets (S21c, THEORY 7.9) ──


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
        Problem.from_labels(X, y, smoothing=eps),
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
    """THEORY 7.9: t/Σt over the rationals sums to 1 exactly; the device T is that number correctly rounded."""
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
    problem = Problem.from_labels(X, y, smoothing=2 - 2 * exact)  # C = 2: a hot entry is 1 - ε/2
    assert fractions_of(problem)[0][1] == exact
    assert problem.T[0, 1] == (0.5 if side < 0 else np.float32(0.5) + np.float32(2**-24))
    assert correctly_rounded(np.asarray(problem.T)[0, 1], exact, np.float32)


def test_rows_within_the_stated_tolerance_are_normalised_and_no_further():
    """The allowance is 8·eps·C of T's own dtype: at it accepted and normalised, beyond it an error."""
    for dtype in (np.float64, np.float32):
        off = 8 * np.finfo(dtype).eps * 2
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


# ── the pytree ──


def test_leaves_have_readable_paths_and_static_data_are_intercept_and_dtype_only():
    problem = Problem(X, T, regularizer=L2(0.5) + SelfRegularizer(2))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(problem)[0]]
    assert paths == [".X", ".T", ".sample_weight", ".regularizer[0].alpha", ".regularizer[1].gamma"]
    structure = jax.tree.structure(problem)
    named = Problem(X + 1, T, regularizer=L2(7) + SelfRegularizer(1), classes=["p", "q"], feature_names=["u", "v"])
    assert structure == jax.tree.structure(named)
    assert structure != jax.tree.structure(
        Problem(X[:, :1], T, intercept=True, regularizer=L2(0.5) + SelfRegularizer(2))
    )
    assert hash(structure) == hash(jax.tree.structure(named))


def test_a_rebuilt_problem_has_the_leaves_and_nobodys_host_data():
    problem = Problem.from_labels(X, y, smoothing=0.1, feature_names=["u", "v"], regularizer=L2(0.5))
    for rebuilt in (jax.tree.map(lambda leaf: leaf, problem), jax.jit(lambda p: p)(problem), jax.device_put(problem)):
        assert isinstance(rebuilt, Problem)
        for ours, theirs in zip(jax.tree.leaves(problem), jax.tree.leaves(rebuilt), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert (rebuilt.host, rebuilt.classes, rebuilt.feature_names) == (None, None, None)
        assert (rebuilt.intercept, rebuilt.dtype, rebuilt.shape) == (True, np.dtype("float32"), (3, 3, 2))
        assert "dropped" in repr(rebuilt)


def test_unflatten_validates_nothing():
    leaves, tree = jax.tree.flatten(Problem(X, T, regularizer=L2(1)))
    for odd in (None, object(), -1, np.nan, "text", jax.ShapeDtypeStruct((2,), "int8")):
        rebuilt = jax.tree.unflatten(tree, [odd] * len(leaves))
        assert rebuilt.X is odd
        assert rebuilt.regularizer[0].alpha is odd
        assert "Problem(" in repr(rebuilt)
    shapes = jax.eval_shape(lambda p: p, Problem(X, T))
    assert shapes.shape == (3, 2, 2)
    assert "3 samples" in repr(shapes)


def test_names_classes_and_host_data_do_not_retrace():
    traces = []

    @jax.jit
    def total(problem):
        traces.append(problem.shape)
        return problem.T.sum() + problem.X.sum() + sum(r.alpha for r in problem.regularizer)

    total(Problem.from_labels(X, ["a", "b", "a"], regularizer=L2(0.1)))
    total(Problem.from_labels(X * 2, [5, 6, 6], feature_names=["u", "v"], regularizer=L2(0.3)))
    total(
        Problem.from_labels(X.tolist(), [True, False, True], smoothing=0.1, sample_weight=[1, 2, 0], regularizer=L2(1))
    )
    total(Problem(np.c_[X, [1, 1, 1]], T, regularizer=L2(0.1)))  # no appended intercept: static, so one more trace
    total(Problem.from_labels(X[:, :1], y, regularizer=L2(0.1)))
    assert traces == [(3, 3, 2), (3, 3, 2), (3, 2, 2)]


def test_problems_map_and_differentiate():
    """vmap over weights and gradients in X, T and s go through `replace`, whose values are not inspected."""
    problem = Problem(X, T)

    def value(problem):
        return (problem.sample_weight * jnp.sum(problem.X @ jnp.ones((2, 2)) * problem.T, axis=1)).sum()

    weights = np.array([[1, 0, 0], [0, 2, -1]], np.float32)
    direct = [value(problem.replace(sample_weight=s)) for s in weights]
    np.testing.assert_array_equal(jax.vmap(lambda s: value(problem.replace(sample_weight=s)))(weights), direct)
    tree = jax.tree.structure(problem)
    axes = jax.tree.unflatten(tree, [None, None, 0])
    mapped = jax.tree.unflatten(tree, [problem.X, problem.T, weights])
    np.testing.assert_array_equal(jax.vmap(value, in_axes=(axes,))(mapped), direct)
    gradient = jax.grad(value)(problem)
    np.testing.assert_allclose(gradient.X, np.ones((3, 2)), rtol=1e-6)  # Σ_c t_nc = 1, one rounding each
    for name in ("X", "T", "sample_weight"):
        part = jax.grad(lambda leaf, name=name: value(problem.replace(**{name: leaf})))(getattr(problem, name))
        np.testing.assert_array_equal(part, getattr(gradient, name))


def test_replace_keeps_what_still_describes_the_problem():
    problem = Problem.from_labels(X, y, feature_names=["u", "v"])
    penalised = problem.replace(regularizer=L2(0.1))
    np.testing.assert_array_equal(penalised.host.X, X)
    assert penalised.host.regularizer[0].alpha == 0.1
    assert problem.regularizer == problem.host.regularizer == ()
    moved = problem.replace(X=np.ones((5, 4)), T=np.ones((5, 3)), sample_weight=np.ones(5))
    assert (moved.host, moved.classes, moved.feature_names, moved.shape) == (None, None, None, (5, 4, 3))
    assert moved.X.dtype == np.float32
    assert problem.replace(sample_weight=np.zeros(3)).classes.tolist() == ["a", "b"]
    traced = jax.jit(lambda a: problem.replace(regularizer=L2(a)).host.regularizer is None)(0.5)
    assert traced


def test_a_problem_survives_pickling():
    problem = pickle.loads(pickle.dumps(Problem.from_labels(X, y, smoothing=0.1, regularizer=L2(0.1))))
    assert fractions_of(problem)[0] == [Fraction(1, 20), Fraction(19, 20)]
    assert problem.classes.tolist() == ["a", "b"]
    np.testing.assert_array_equal(problem.host.X, X)


# ── texts ──


def test_the_report_names_everything_that_shapes_a_result():
    text = repr(
        Problem.from_labels(
            X,
            y,
            classes=["a", "b", "c"],
            smoothing=0.01,
            sample_weight=[1, 0, 2.5],
            regularizer=L2(0.1) + SelfRegularizer(2),
        )
    )
    for part in (
        "3 samples, 3 features (the last is the intercept), 3 classes",
        "dtype: float32 (X is float64, but x64 is off)",
        "targets: one-hot, smoothing 1/100",
        "absent classes: ['c']",
        "sum 3.5, of which 0 (take no part): 1",
        "L2(alpha=0.1, penalize_intercept=False) + SelfRegularizer(gamma=2)",
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
            smoothing="0.01",
            sample_weight=[0.1, 0, 3],
            regularizer=L2(0.1, True) + SelfRegularizer(-2),
        )
        problem.dump(path)
    found = read_dump(path)
    assert np.array(found["X"]).tobytes() == odd.tobytes()
    assert found["intercept"] == 1
    low, high = Fraction(1, 200), Fraction(199, 200)
    assert found["T"] == [[low, high], [high, low], [low, high]]
    assert found["sample_weight"] == [[0.1], [0.0], [3.0]]
    assert found["regularizers"] == [["l2", (0.1).hex(), "1"], ["self", "-2"]]
    assert found["classes"] == ["b c", "é"]
    assert found["features"] is None
    assert [file.name for file in tmp_path.iterdir()] == ["problem.txt"]

    frame = Problem([[1, 2**60], [-3, 0]], np.float32([[0.1, 0.9], [0, 1]]), feature_names=["u", "v"])
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

    monkeypatch.setattr("jaxsoftmax._text.dump_lines", broken)
    with pytest.raises(OSError, match="disk full"):
        Problem(X, T).dump(path)
    assert path.read_text() == "an older file"
    assert [file.name for file in tmp_path.iterdir()] == ["problem.txt"]


# ── sharding ──

SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxsoftmax.problem import Problem

assert jax.device_count() == 4
X = np.arange(32, dtype="float32").reshape(8, 4)
y = np.arange(8) % 3
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(kind,))
    rows, vector = NamedSharding(mesh, P("rows", None)), NamedSharding(mesh, P("rows"))
    x = jax.device_put(X, rows)
    for intercept in (False, True):
        p = Problem.from_labels(x, y, intercept=intercept, sample_weight=np.ones(8) if intercept else None)
        assert p.X.sharding == rows and p.T.sharding == rows and p.sample_weight.sharding == vector
        assert p.smoothed(0.1).T.sharding == rows
        np.testing.assert_array_equal(p.X, np.c_[X, np.ones(8)] if intercept else X)
        np.testing.assert_array_equal(jax.jit(lambda p: p.T * p.sample_weight[:, None])(p), np.eye(3)[y])
    t, s = jax.device_put(np.eye(3, dtype="float32")[y], rows), jax.device_put(np.ones(8, "float32"), vector)
    p = Problem(x, t, sample_weight=s)
    assert p.X is x and p.T is t and p.sample_weight is s
    inexact = jax.device_put(np.full((8, 3), 1 / 3, "float32") * np.float32(1 + 2e-7), rows)
    assert Problem(x, inexact).T.sharding == rows  # normalised, and still in place
    mesh = jax.make_mesh((2, 2), ("rows", "columns"), axis_types=(kind, kind))
    x = jax.device_put(X, NamedSharding(mesh, P("rows", "columns")))
    p = Problem.from_labels(x, y, intercept=False)
    assert p.X is x and p.T.sharding == NamedSharding(mesh, P("rows", None))
    p = Problem.from_labels(x, y)  # five columns cannot be split in two: replicated along them
    assert p.X.sharding.is_equivalent_to(NamedSharding(mesh, P("rows", None)), 2)
    np.testing.assert_array_equal(p.X, np.c_[X, np.ones(8)])
x = jax.device_put(X, jax.devices()[2])
p = Problem.from_labels(x, y)
assert all(leaf.devices() == {jax.devices()[2]} for leaf in jax.tree.leaves(p))
"""


def test_rows_stay_sharded_as_X_is_on_automatic_and_explicit_meshes():
    """Intercept, targets and weights follow the rows of a sharded X, in a process with four virtual CPU devices."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    run = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
