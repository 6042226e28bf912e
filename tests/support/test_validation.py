"""Unusable input to the constructors: an error of the right type that names the argument, what was given and a remedy.

Every item of the list "Bad input" that concerns data is a row here; the legal oddities are at the end.
"""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax import L2
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support import validation as _checks
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import as_weights, nonnegative_real, positive_int, positive_real, show

X = np.array([[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
T = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
y = ["a", "b", "a"]


def changed(array, index, value):
    """A copy of an array with one entry changed."""
    array = np.array(array, dtype=np.result_type(array, type(value)))
    array[index] = value
    return array


class Unreadable:
    """An object whose conversion to an array fails."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("detach it first")


BAD_X = [
    ("nan", changed(X, (1, 0), np.nan), ValueError, ["X: entry (1, 0) is nan", "finite", "drop the sample"]),
    ("inf", changed(X, (2, 1), -np.inf), ValueError, ["X: entry (2, 1) is -inf", "finite"]),
    ("nan on the device", jnp.asarray(changed(X, (1, 0), np.nan)), ValueError, ["X: entry (1, 0) is nan"]),
    (
        "too large for float32",
        changed(X, (0, 1), 1e300),
        ValueError,
        ["X: entry (0, 1) is 1e+300", "float32", "'float64'"],
    ),
    ("one axis", X[0], ValueError, ["X: shape (2,)", "reshape(-1, 1)", "reshape(1, -1)"]),
    ("three axes", X[None], ValueError, ["X: shape (1, 3, 2)", "(N, D)", "one row a sample"]),
    ("no samples", X[:0], ValueError, ["X: shape (0, 2)", "no samples", "at least one row"]),
    ("nothing", [], ValueError, ["X: shape (0,)", "(N, D)"]),
    ("object array", X.astype(object), TypeError, ["X:", "object", ".astype(float)"]),
    ("mixed with text", [[1, "b"], [2, "c"], [3, "d"]], TypeError, ["X:", "text", "encode"]),
    ("a path", "iris.csv", TypeError, ["X:", "str", "text"]),
    ("nothing at all", None, TypeError, ["X:", "NoneType"]),
    ("bytes", np.array([[b"1"], [b"2"], [b"3"]]), TypeError, ["X:", "bytes", "encode"]),
    ("complex", X + 1j, TypeError, ["X:", "complex", ".real"]),
    ("complex on the device", jnp.asarray(X + 1j), TypeError, ["X:", "complex", ".real"]),
    ("dates", np.array([["2020-01-01"]] * 3, dtype="M8[D]"), TypeError, ["X:", "dates", "use numbers"]),
    ("durations", np.array([[1]] * 3, dtype="m8[s]"), TypeError, ["X:", "durations", "use numbers"]),
    ("ragged", [[1.0], [2.0, 3.0], [4.0]], ValueError, ["X:", "rows of equal length"]),
    ("unreadable", Unreadable(), ValueError, ["X:", "detach it first"]),
    ("masked", np.ma.array(X, mask=X == 0.5), ValueError, ["X: entry (1, 1) is masked", "fill it in"]),
    (
        "int64 no double holds",
        changed(X.astype(int), (2, 0), 2**53 + 1),
        ValueError,
        ["entry (2, 0)", str(2**53 + 1), "rescale"],
    ),
    ("uint64 no double holds", np.full((3, 1), 2**64 - 1, np.uint64), ValueError, ["entry (0, 0)", str(2**64 - 1)]),
    ("uint64 just beyond", np.full((3, 1), 2**53 + 1, np.uint64), ValueError, ["entry (0, 0)", str(2**53 + 1)]),
    ("Python int no double holds", [[2**53 + 1, 0.5]] * 3, ValueError, ["X: entry (0, 0)", str(2**53 + 1), "rescale"]),
    ("Python int beyond 64 bits", [[2**70]] * 3, TypeError, ["X:", "objects"]),
    ("float64 on the device", "float64", TypeError, ["X: got a JAX array of dtype float64", "enable_x64(True)"]),
    (
        "int32 on the device",
        jnp.ones((3, 2), int),
        TypeError,
        ["X: got a JAX array of dtype int32", "X.astype('float32')"],
    ),
    ("float16 on the device", jnp.ones((3, 2), "float16"), TypeError, ["float16", "X.astype('float32')"]),
    ("random keys", jax.random.key(0), TypeError, ["X: got a JAX array of dtype key", "use float32"]),
]


@pytest.mark.parametrize(("given", "error", "says"), [pytest.param(*case[1:], id=case[0]) for case in BAD_X])
def test_unusable_X(given, error, says):
    if isinstance(given, str) and given == "float64":
        with jax.enable_x64(True):
            given = jnp.asarray(X)
    assert_says(lambda: Problem(given, T), error, says)
    assert_says(lambda: Problem.from_labels(given, y), error, says)


BAD_T = [
    ("nan", changed(T, (1, 1), np.nan), ValueError, ["T: entry (1, 1) is nan", "finite"]),
    ("inf", changed(T, (1, 1), np.inf), ValueError, ["T: entry (1, 1) is inf", "finite"]),
    ("negative", [[1, 0], [-0.25, 1.25], [0, 1]], ValueError, ["T: entry (1, 0) is -0.25", "below 0", "drop row 1"]),
    (
        "counts",
        [[1, 0], [2, 3], [0, 1]],
        ValueError,
        ["T: row 1 sums to 5", "divide it by its sum", "sample_weight"],
    ),
    ("float counts", [[1, 0], [2.0, 3.0], [0, 1]], ValueError, ["T: row 1 sums to 5.0", "divide it", "sample_weight"]),
    ("a zero row", [[1, 0], [0.0, 0.0], [0, 1]], ValueError, ["T: row 1 sums to 0", "drop its sample"]),
    ("two hot", [[1, 0], [True, True], [0, 1]], ValueError, ["T: row 1 sums to 2", "divide it"]),
    ("beyond the tolerance", changed(T, (1, 1), 0.75 + 2.0**-47), ValueError, ["T: row 1 sums to 1.0", "divide it"]),
    ("an overflowing sum", np.full((3, 2), 1.7e308), ValueError, ["T: row 0 sums to inf", "divide it"]),
    ("one class", np.ones((3, 1)), ValueError, ["T: shape (3, 1)", "two classes", "absent ones included"]),
    ("labels", np.array([0, 1, 0]), ValueError, ["T: shape (3,)", "Problem.from_labels(X, y)"]),
    ("text", [["a", "b"]] * 3, TypeError, ["T:", "text"]),
    ("objects", T.astype(object), TypeError, ["T:", "object", ".astype(float)"]),
    ("complex", T + 0j, TypeError, ["T:", "complex"]),
    ("too few rows", T[:2], ValueError, ["T: 2 rows for the 3 rows of X", "one for each sample"]),
    ("a device array of another dtype", jnp.asarray(T, "float16"), TypeError, ["T:", "float16", "T.astype('float32')"]),
    ("device integers", jnp.eye(3, 2, dtype=int), TypeError, ["T:", "int32", "T.astype('float32')"]),
]


@pytest.mark.parametrize(("given", "error", "says"), [pytest.param(*case[1:], id=case[0]) for case in BAD_T])
def test_unusable_T(given, error, says):
    if isinstance(given, jax.Array) and given.dtype == np.int32:
        given = given.at[2, 0].set(1)
    assert_says(lambda: Problem(X, given), error, says)


BAD_Y = [
    ("one class", ["a", "a", "a"], ValueError, ["y:", "'a'", "one class", "classes"]),
    ("two axes", np.zeros((3, 2)), ValueError, ["y: shape (3, 2)", "Problem(X, T)"]),
    ("a column", np.zeros((3, 1)), ValueError, ["y: shape (3, 1)", "y[:, 0]"]),
    ("a scalar", 3, ValueError, ["y: shape ()", "one label a sample"]),
    ("no labels", [], ValueError, ["y: has no labels", "at least one"]),
    ("too few", ["a", "b"], ValueError, ["y: 2 rows for the 3 rows of X"]),
    ("continuous", [0.0, 0.5, 1.0], ValueError, ["y: entry 1 is 0.5", "continuous", "bin"]),
    ("nan", [0.0, np.nan, 1.0], ValueError, ["y: entry 1 is nan", "missing", "drop that sample"]),
    ("nan array", np.array([0.0, np.nan, 1.0]), ValueError, ["y: entry 1 is nan", "missing"]),
    ("inf array", np.array([0.0, np.inf, 1.0]), ValueError, ["y: entry 1 is inf", "drop that sample"]),
    ("None among text", ["a", None, "b"], ValueError, ["y: entry 1 is None", "missing"]),
    ("nan among text", ["a", float("nan"), "b"], ValueError, ["y: entry 1 is nan", "missing"]),
    (
        "masked",
        np.ma.array([0, 1, 2], mask=[False, False, True]),
        ValueError,
        ["y: entry 2 is masked", "drop that sample"],
    ),
    ("text and numbers", ["a", 1, "b"], TypeError, ["y: labels of types int, str", "all text"]),
    ("booleans and numbers", [True, 2, False], TypeError, ["y: labels of types bool, int", "all text"]),
    (
        "uint64 overflow",
        np.array([0, 2**63, 1], np.uint64),
        ValueError,
        ["y: entry 1", str(2**63), "64-bit", "text labels"],
    ),
    ("Python int overflow", [0, 2**63, 1], ValueError, ["y: entry 1", str(2**63), "64-bit"]),
    ("Python int below", [0, -(2**63) - 1, 1], ValueError, ["y: entry 1", str(-(2**63) - 1), "64-bit"]),
    ("beyond all NumPy integers", [0, 2**200, 1], ValueError, ["y: entry 1", "64-bit"]),
    ("float overflow", [0.0, 1e300, 1.0], ValueError, ["y: entry 1 is 1e+300", "2**53"]),
    ("a float of two integers", [0.0, 2.0**53, 1.0], ValueError, ["y: entry 1 is 9007199254740992.0", "2**53"]),
    ("an integer among floats", [0.5 - 0.5, -(2**53) - 1, 1], ValueError, ["y: entry 1 is -9007199254740992.0"]),
    ("float32 of two integers", np.float32([0, 2**24, 1]), ValueError, ["y: entry 1 is 16777216.0", "2**24"]),
    ("complex", np.array([0j, 1, 2]), TypeError, ["y:", "complex", ".astype(str)"]),
    (
        "dates",
        np.array(["2020-01-01", "2020-01-02", "2020-01-01"], "M8[D]"),
        TypeError,
        ["y:", "datetime64", ".astype(str)"],
    ),
    ("objects", np.array([object(), object(), object()]), TypeError, ["y: labels of types object", "all text"]),
    ("ragged", [[1], [1, 2], [3]], TypeError, ["y: labels of types list", "all text"]),
    ("random keys", jax.random.split(jax.random.key(0), 3), TypeError, ["y:", "key", "integers or text"]),
]


@pytest.mark.parametrize(("given", "error", "says"), [pytest.param(*case[1:], id=case[0]) for case in BAD_Y])
def test_unusable_labels(given, error, says):
    assert_says(lambda: Problem.from_labels(X, given), error, says)


BAD_OPTIONS = [
    (
        "negative weight",
        {"sample_weight": [1, -1.0, 1]},
        ValueError,
        ["sample_weight: entry 1 is -1.0", ">= 0", "remove"],
    ),
    (
        "subnormal weight",
        {"sample_weight": [1, 1e-40, 1]},
        ValueError,
        ["sample_weight: entry 1 is 1e-40", "smallest normal float32", "rescale"],
    ),
    ("zero weights", {"sample_weight": [0, 0, 0]}, ValueError, ["sample_weight: every weight is zero", "positive"]),
    ("nan weight", {"sample_weight": [1, 1, np.nan]}, ValueError, ["sample_weight: entry 2 is nan", "finite"]),
    ("infinite weight", {"sample_weight": [1, 1, np.inf]}, ValueError, ["sample_weight: entry 2 is inf", "finite"]),
    (
        "short weights",
        {"sample_weight": [1, 1]},
        ValueError,
        ["sample_weight: shape (2,)", "(3,)", "one weight a sample"],
    ),
    (
        "weight column",
        {"sample_weight": np.ones((3, 1))},
        ValueError,
        ["sample_weight: shape (3, 1)", "sample_weight[:, 0]"],
    ),
    ("text weights", {"sample_weight": ["1", "1", "1"]}, TypeError, ["sample_weight:", "text"]),
    ("object weights", {"sample_weight": np.ones(3, object)}, TypeError, ["sample_weight:", "object"]),
    ("vanishing weight", {"sample_weight": [1, 1e-60, 1]}, ValueError, ["sample_weight: entry 1 is 1e-60", "rescale"]),
    ("overflowing weight", {"sample_weight": [1, 1e60, 1]}, ValueError, ["sample_weight: entry 1 is 1e+60", "float32"]),
    (
        "device weights",
        {"sample_weight": jnp.ones(3, "float16")},
        TypeError,
        ["sample_weight:", "float16", ".astype('float32')"],
    ),
    ("integer dtype", {"dtype": int}, TypeError, ["dtype:", "int", "'float32'"]),
    ("half precision", {"dtype": "float16"}, TypeError, ["dtype:", "'float16'", "'float32'"]),
    ("no dtype", {"dtype": "double precision"}, TypeError, ["dtype:", "'double precision'", "'float32'"]),
    (
        "float64 while x64 is off",
        {"dtype": "float64"},
        ValueError,
        ["dtype: got float64", "x64 is off", "jax.enable_x64(True)"],
    ),
    ("intercept", {"intercept": 1}, TypeError, ["intercept: got 1", "True or False"]),
    ("short names", {"feature_names": ["a"]}, ValueError, ["feature_names: 1 names, expected 2", "column of X"]),
    ("repeated names", {"feature_names": ["a", "a"]}, ValueError, ["feature_names:", "repeats", "distinct"]),
    ("names as one text", {"feature_names": "ab"}, TypeError, ["feature_names:", "'ab'", "give a list"]),
    ("one class declared twice", {"classes": ["a", "a"]}, ValueError, ["classes:", "name"]),
]


@pytest.mark.parametrize(("options", "error", "says"), [pytest.param(*case[1:], id=case[0]) for case in BAD_OPTIONS])
def test_unusable_options_of_both_constructors(options, error, says):
    assert_says(lambda: Problem(X, T, **options), error, says)
    assert_says(lambda: Problem.from_labels(X, y, **options), error, says)


BAD_LABEL_OPTIONS = [
    ("smoothing above 1", {"label_smoothing": 1.5}, ValueError, ["label_smoothing: got 1.5", "[0, 1]"]),
    ("smoothing below 0", {"label_smoothing": "-0.1"}, ValueError, ["label_smoothing: got '-0.1'", "[0, 1]"]),
    ("smoothing nan", {"label_smoothing": np.nan}, ValueError, ["label_smoothing: got nan", "'0.01'"]),
    ("smoothing text", {"label_smoothing": "a bit"}, ValueError, ["label_smoothing: got 'a bit'", "'0.01'"]),
    ("smoothing 1/0", {"label_smoothing": "1/0"}, ValueError, ["label_smoothing: got '1/0'", "'0.01'"]),
    ("smoothing beyond memory", {"label_smoothing": "1e-999999999"}, ValueError, ["smoothing:", "exponent", "'0.01'"]),
    ("smoothing flag", {"label_smoothing": True}, TypeError, ["label_smoothing: got True", "0.01"]),
    ("smoothing list", {"label_smoothing": [0.1]}, TypeError, ["label_smoothing: got [0.1]", "0.01"]),
    ("smoothing array", {"label_smoothing": np.ones(2)}, TypeError, ["smoothing:", "(2,)", "0.01"]),
    ("a label that classes lack", {"classes": ["a", "c"]}, ValueError, ["y: entry 1 is 'b'", "['a', 'c']", "add it"]),
    ("classes of another type", {"classes": [0, 1]}, TypeError, ["classes:", "int64", "same type"]),
    ("missing class", {"classes": ["a", "b", None]}, ValueError, ["classes: entry 2 is None", "missing"]),
]


@pytest.mark.parametrize(("options", "error", "says"), [pytest.param(*c[1:], id=c[0]) for c in BAD_LABEL_OPTIONS])
def test_unusable_options_of_from_labels(options, error, says):
    assert_says(lambda: Problem.from_labels(X, y, **options), error, says)


def test_no_features_and_no_intercept_is_an_error_and_an_intercept_alone_is_not():
    assert_says(lambda: Problem(X[:, :0], T), ValueError, ["X: shape (3, 0)", "no features", "intercept=True"])
    assert Problem(X[:, :0], T, intercept=True).shape == (3, 1, 2)


def test_traced_data_are_refused_with_the_way_out():
    problem = Problem(X, T)
    for build in (lambda v: Problem(v, T), lambda v: Problem(X, v), lambda v: Problem(X, T, sample_weight=v)):
        assert_says(
            lambda build=build: jax.jit(build)(jnp.ones((3, 2))), TypeError, ["traced", "outside jit", "replace("]
        )
    assert_says(lambda: jax.jit(lambda v: Problem.from_labels(X, v))(jnp.arange(3)), TypeError, ["y:", "traced"])
    assert_says(lambda: jax.jit(lambda v: problem.smoothed(v))(0.1), TypeError, ["eps:"])


BAD_REPLACEMENTS = [
    ({"W": np.ones(3)}, TypeError, ["replace: got W=", "X, T, sample_weight, regularizer"]),
    ({"X": jnp.ones((3, 2), "float16")}, TypeError, ["X:", "float16", "X.astype('float32')"]),
    ({"X": np.ones((4, 2))}, ValueError, ["replace: X (4, 2)", "T (3, 2)", "one N"]),
    ({"sample_weight": np.ones((3, 1))}, ValueError, ["sample_weight (3, 1)", "(N,)"]),
    ({"regularizer": 3}, TypeError, ["regularizer: got 3", "js.L2(alpha)"]),
]


@pytest.mark.parametrize(("changes", "error", "says"), BAD_REPLACEMENTS)
def test_unusable_replacements(changes, error, says):
    assert_says(lambda: Problem(X, T).replace(**changes), error, says)


def test_methods_that_need_the_data_as_given_say_when_they_are_gone(tmp_path):
    rebuilt = jax.tree.map(lambda leaf: leaf, Problem(X, T))
    for name, call in {
        "smoothed": lambda: rebuilt.smoothed(0.1),
        "exact_targets": lambda: rebuilt.exact_targets(),
        "dump": lambda: rebuilt.dump(tmp_path / "p.txt"),
    }.items():
        assert_says(call, ValueError, [f"{name}:", "rebuilt by JAX", "that was constructed"])
    assert_says(lambda: Problem(X, T).dump(tmp_path / "none" / "p.txt"), ValueError, ["path:", "none", "create it"])
    assert list(tmp_path.iterdir()) == []


BAD_W = [
    ("transposed", np.ones((3, 2)), ValueError, ["W: shape (3, 2)", "(C, D) = (2, 3)", "transposed", "W.T"]),
    ("without the intercept", np.ones((2, 2)), ValueError, ["W: shape (2, 2)", "intercept column is missing", "last"]),
    ("flat", np.ones(6), ValueError, ["W: shape (6,)", "W.reshape(2, 3)"]),
    ("other", jnp.ones((5, 5)), ValueError, ["W: shape (5, 5)", "(C, D) = (2, 3)"]),
    ("device integers", jnp.ones((2, 3), int), TypeError, ["W:", "int32", "W.astype('float32')"]),
    ("bfloat16", jnp.ones((2, 3), "bfloat16"), TypeError, ["W:", "bfloat16", "W.astype('float32')"]),
    ("complex", np.ones((2, 3), complex), TypeError, ["W:", "complex", "float"]),
    ("objects", np.ones((2, 3), object), TypeError, ["W:", "object"]),
    ("text", "W", TypeError, ["W:", "float"]),
    ("nothing", None, TypeError, ["W:", "float"]),
    ("ragged", [[1.0], [2.0, 3.0]], ValueError, ["W:", "equal length"]),
    ("too large", np.full((2, 3), 1e300), ValueError, ["W: entry (0, 0) is 1e+300", "float32", "'float64'"]),
]


@pytest.mark.parametrize(("given", "error", "says"), [pytest.param(*case[1:], id=case[0]) for case in BAD_W])
def test_unusable_weights_W(given, error, says):
    problem = Problem(X, T, intercept=True)
    assert_says(lambda: as_weights(given, problem), error, says)
    assert_says(lambda: as_weights(given, problem, "V"), error, [part.replace("W", "V") for part in says])


def test_weights_W_convert_from_numpy_and_lists_and_pass_traced():
    problem = Problem(X, T)
    for given in ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], np.float64), jnp.array([[1.0, 2.0], [3.0, 4.0]])):
        W = as_weights(given, problem)
        assert W.dtype == np.float32
        np.testing.assert_array_equal(W, [[1, 2], [3, 4]])
    assert jax.jit(lambda W, problem: as_weights(W, problem).sum())(jnp.ones((2, 2)), problem) == 4
    assert np.isnan(as_weights(np.full((2, 2), np.nan), problem)).all()  # a training loop reports these
    with pytest.raises(ValueError, match="transposed"):
        jax.jit(lambda W: as_weights(W, Problem(X, T, intercept=True)))(jnp.ones((3, 2)))


def test_a_float64_problem_is_not_used_while_x64_is_off():
    with jax.enable_x64(True):
        problem = Problem(X, T)
        assert as_weights(np.ones((2, 2)), problem).dtype == np.float64
        assert_says(lambda: as_weights(jnp.ones((2, 2), "float32"), problem), TypeError, ["W:", "float32", "float64"])
    for call in (
        lambda: as_weights(np.ones((2, 2)), problem),
        lambda: problem.replace(T=T),
        lambda: problem.replace(regularizer=L2(1)),
        lambda: problem.smoothed(0.1),
    ):
        assert_says(call, ValueError, ["problem:", "float64", "x64 is off", "jax.enable_x64(True)"])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: positive_int("steps", 0), ValueError, ["steps: got 0", ">= 1"]),
        (lambda: positive_int("steps", 1.0), TypeError, ["steps: got 1.0", "a float", "integer >= 1"]),
        (lambda: positive_int("steps", True), TypeError, ["steps: got True", "integer"]),
        (lambda: nonnegative_real("tol", -1e-9), ValueError, ["tol: got -1e-09", ">= 0"]),
        (lambda: nonnegative_real("tol", "1"), TypeError, ["tol: got '1'", "real number"]),
        (lambda: positive_real("step", 0.0), ValueError, ["step: got 0.0", "> 0"]),
        (lambda: positive_real("step", np.nan), ValueError, ["step: got nan", "finite"]),
        (lambda: positive_real("step", 10**400), ValueError, ["step: got 1", "finite"]),
    ],
)
def test_scalar_checks_for_other_modules(call, error, says):
    assert_says(call, error, says)


def test_scalar_checks_return_what_they_accept():
    assert positive_int("k", np.int32(3)) == 3
    assert type(positive_int("k", np.int32(3))) is int
    assert nonnegative_real("tol", 0) == 0
    assert positive_real("step", np.float32(0.5)) == 0.5
    assert jax.jit(lambda v: positive_real("step", v))(-1.0) == -1.0
    assert show("x" * 200) == "'" + "x" * 58 + "…"


LEGAL = {
    "one sample": (X[:1], [[0.5, 0.5]]),
    "rank-deficient": (np.ones((3, 2)), T),
    "constant and duplicated": (X[[0, 0, 0]], T[[1, 1, 1]]),
    "absent class": (X, np.c_[T, np.zeros(3)]),
    "more features than samples": (np.ones((3, 9)), T),
}


@pytest.mark.parametrize("case", LEGAL)
def test_legal_oddities_construct(case):
    """Awkward is not unusable: N = 1, deficient rank, constant features, duplicates, absent classes."""
    rows, targets = LEGAL[case]
    problem = Problem(rows, targets, intercept=True)
    np.testing.assert_array_equal(problem.X[:, :-1], rows)
    np.testing.assert_array_equal(problem.T, targets)


def assert_says(call, error, says):
    """The call raises exactly `error`, and its one-line message has every part."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is {ValueError: WrongValue, TypeError: WrongType}[error]
    message = str(caught.value)
    assert message == f"{caught.value.argument}: {caught.value.given}; {caught.value.remedy}."
    assert "\n" not in message
    assert len(message) < 400
    for part in says:
        assert part in message, message


def test_a_jaxlib_that_computes_wrong_numbers_is_named(monkeypatch):
    """jaxlib 0.10.2 (jax-ml/jax#39103) got past the metadata: a warning, once a Problem is built with it."""
    assert "0.10.2" in _checks.MISCOMPILING
    monkeypatch.setattr(_checks, "MISCOMPILING", {version("jaxlib"): "a reason"})
    _checks.warn_if_miscompiling.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"jaxlib [0-9.]+ returns wrong numbers.*Install another release"):
        js.Problem([[1.0]], [[0.5, 0.5]])
    _checks.warn_if_miscompiling.cache_clear()


@pytest.mark.slow
def test_second_derivatives_of_the_loss_are_right_where_jaxlib_miscompiled_them():
    """S4 at the size at which jaxlib 0.10.2 returned an error of the size of the entries (jax-ml/jax#39103)."""
    rng = np.random.default_rng(39103)
    X = rng.normal(size=(1000, 7)).astype(np.float32)
    problem = js.Problem.from_labels(X, np.arange(1000) % 3, label_smoothing=0.1, intercept=False)
    W = jnp.asarray(rng.normal(size=(3, 7)), np.float32)
    ours = np.asarray(js.hessian(W, problem).to_dense())
    theirs = np.asarray(jax.hessian(js.loss)(W, problem)).reshape(ours.shape)
    # Each side errs by eps·(8 + √N)·Σ|terms| and the logits' part; N terms s y (1 - y) |x|² of size about 1/4.
    assert np.abs(ours - theirs).max() <= 2 * 2.0**-23 * (8 + 1000**0.5) * 1000


def test_no_key_is_the_key_0():
    """No key is made for it: that would compile a program."""
    drawn = [_checks.random_generator(key).random(4).tolist() for key in (None, jax.random.key(0))]
    assert drawn[0] == drawn[1]


def test_what_replace_keeps_is_about_the_numbers_that_are_left():
    """The data as given stay beside another penalty only; names stay where there are as many columns and classes."""
    problem = Problem.from_labels(X, y, feature_names=["u", "v"])
    assert problem.replace(regularizer=L2(1.0)).host.X is problem.host.X
    same = problem.replace(X=np.ones((2, 3)), T=np.eye(2), sample_weight=np.ones(2))
    assert same.host is None and same.feature_names == ("u", "v", "intercept") and list(same.classes) == ["a", "b"]
    other = problem.replace(X=np.ones((2, 4)), T=np.eye(3)[:2], sample_weight=np.ones(2))
    assert other.feature_names is None and other.classes is None


def test_a_device_T_is_replaced_where_it_is_not_its_exact_meaning():
    """A row that sums to 1 + 4 eps means itself over its sum; one that is right already is kept as it is."""
    off = jnp.asarray([[0.5 + 2.0**-22] * 2, [1.0, 0.0]], jnp.float32)
    assert Problem(X[:2], off).T[0].tolist() == [0.5, 0.5]
    kept = jnp.asarray([[0.25, 0.75], [1.0, 0.0]], jnp.float32)
    assert Problem(X[:2], kept).targets is kept
