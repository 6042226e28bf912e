"""checker/diagnosis*.py: every name is given to an error of its kind, to no other, and to nothing that is right."""

from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.derivatives.mutants import MUTANTS
from jaxsoftmax.checker.compare.autodiff import find_truth
from jaxsoftmax.checker.diagnosis import data, factors, layout, paths, places
from jaxsoftmax.checker.diagnosis.case import Case, Fitted, scale_fit
from jaxsoftmax.checker.diagnosis.flat import flatten
from jaxsoftmax.checker.diagnosis.linear import Linear
from jaxsoftmax.checker.diagnosis.order import name_diagnoses
from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.budget import Clock, as_budget
from jaxsoftmax.checker.inputs.context import Session, Suspect
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.report.finding import Subject
from jaxsoftmax.checker.report.result import DiagnosisName

# Differences of the synthetic cases below are exact or rounded a few times, of numbers below 100.
TOLERANCE = 1e-12


def spoken(guess):
    """A guess as the report says it of the case's rule, or None."""

    def text(case, *more):
        found = guess(case, *more)
        return None if found is None else str(found.about(case.suspect.name))

    return text


constant_factor, leaf_factor, regulariser = map(
    spoken, (factors.constant_factor, factors.leaf_factor, factors.regulariser)
)
gauge, permutation, shift, transpose = map(spoken, (layout.gauge, layout.permutation, layout.shift, layout.transpose))
few_entries, some_entries, one_leaf, rows, row_factors = map(
    spoken, (places.few_entries, places.some_entries, places.one_leaf, places.rows, places.row_factors)
)
other_data, other_axis = map(spoken, (data.other_data, data.other_axis))


def on_the_program(case):
    """What the two guesses that need the linearised program say."""
    linear = Linear(case.session, flatten(case.session, gradient=case.suspect.kind in ("hvp", "hessian")))
    guesses = (paths.wrong_parts, paths.tampered)
    return next((text for guess in guesses if (text := spoken(guess)(case, linear)) is not None), None)


def total(x, *args):
    return sum(jnp.sum(jnp.asarray(leaf) ** 3) for leaf in jax.tree.leaves(x))


def session_of(at, fun=total, args=()):
    point, args = read_point(at), jax.tree.map(jnp.asarray, args)
    traced = Traced("fun", fun, point, args, twice=True)
    return Session(point, traced, args, np.random.default_rng(0), Clock(as_budget(None)))


def case_of(at, ours, theirs, kind="gradient", fun=total, args=()):
    """A gradient (tree like at) or a matrix as a case, without a check around it."""
    session = session_of(at, fun, args)
    leaves = [[np.asarray(a, np.float64) for a in jax.tree.leaves(q)] for q in (ours, theirs)]
    tolerance = [np.full(np.shape(a), TOLERANCE) for a in leaves[0]]
    return Case(session, Suspect(kind, kind, *leaves, tolerance, True, session.fun))


def guesses_of(case):
    """What the whole procedure says of one case."""
    session, suspect = case.session, case.suspect
    truth = find_truth(session)
    session.suspects.append(suspect)
    session.add("", Subject(suspect.name), truth.route, [np.ones(1)], [np.zeros(1)], [np.zeros(1)], paths=[""])
    return name_diagnoses(session, truth)


RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 5))
G = RNG.standard_normal((4, 5))


def test_a_factor_is_named_with_its_value_and_its_meaning():
    """ours = c theirs: c by least squares, told apart from its neighbours by the tolerance."""
    text = constant_factor(case_of(X, 0.5 * G, G))
    assert text is not None and "half of" in text and "0.5000" in text
    text = constant_factor(case_of(X, G / 20, G))
    assert text is not None and "1/20 (a size of at)" in text
    text = constant_factor(case_of(X, 1.001 * G, G))
    assert text is not None and "1.001 times" in text


def test_a_factor_must_hold_in_every_entry_and_zero_is_none():
    almost = 0.5 * G
    almost[2, 3] += 1e-9
    assert constant_factor(case_of(X, almost, G)) is None
    assert str(constant_factor(case_of(X, 0 * G, G))).startswith("stop gradient: ")


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_factors_of_tiny_and_huge_numbers_are_found(scale):
    """Squares of 1e200 are out of range; the fit works in units of the largest entry."""
    c, spread, entries = scale_fit([0.5 * scale * G], [scale * G], [scale * 1e-12]) or (0.0, 0.0, 0)
    assert c == pytest.approx(0.5) and 0 < spread < 1e-10 and entries == G.size


def test_a_single_entry_has_only_known_factors():
    """Every pair of numbers has a quotient, so that alone is no finding."""
    one = np.ones(1)
    assert "twice" in str(constant_factor(case_of(one, [2.0], [1.0])))
    assert constant_factor(case_of(one, [2.7], [1.0])) is None


def test_one_leaf_by_a_factor_is_told_from_one_leaf_otherwise():
    at = {"a": X, "b": X[0], "c": X[:, 0]}
    right = {"a": G, "b": G[0], "c": G[:, 0]}
    text = leaf_factor(case_of(at, right | {"b": -G[0]}, right))
    assert text is not None and text.startswith("one leaf: only ['b'] is wrong, it is minus the right one")
    other = case_of(at, right | {"b": np.sin(G[0])}, right)
    assert leaf_factor(other) is None
    assert one_leaf(other) == "one leaf: only ['b'] is wrong in gradient; the other 2 leaves agree"
    assert one_leaf(case_of(at, right | {"b": -G[0], "a": -G}, right)) is None


def test_a_term_of_the_parameters_is_a_regulariser_missing_or_too_much():
    """ours − theirs = c x on the leaves that fail; c with its sign in words."""
    text = regulariser(case_of(X, G - 0.3 * X, G))
    assert text is not None and "a term 0.3 * parameters is missing" in text
    at, right = {"W": X, "b": X[0]}, {"W": G, "b": G[0]}
    text = regulariser(case_of(at, {"W": G + 0.2 * X, "b": G[0]}, right))
    assert text is not None and "a term 0.2 * parameters on ['W'] is too much" in text
    column = G.copy()
    column[:, 4] += 0.7 * X[:, 4]
    text = regulariser(case_of(X, column, G))
    assert text is not None and "index 4 of axis 1" in text
    assert regulariser(case_of(X, G - 0.3 * np.tanh(X), G)) is None


def test_a_regulariser_in_a_hessian_is_a_multiple_of_the_identity():
    H = RNG.standard_normal((20, 20))
    H = H + H.T
    text = regulariser(case_of(X, [H - 0.25 * np.eye(20)], [H], "hessian"))
    assert text is not None and "0.25" in text
    assert regulariser(case_of(X, [H - np.diag(np.arange(20.0))], [H], "hessian")) is None


def test_layouts_are_recognised_and_told_apart():
    """Transpose in place or reshaped, shifts by one, permutations of rows and columns: each verified on every entry."""
    square = RNG.standard_normal((4, 4))
    assert "transposed" in str(transpose(case_of(square, square.T.copy() * 2, square * 2)))
    assert "reshaped" in str(transpose(case_of(X, G.T.reshape(4, 5), G)))
    assert "shifted by -1 along axis 1" in str(shift(case_of(X, np.roll(G, -1, axis=1), G)))
    order = [2, 0, 3, 1]
    assert "axis 0: its entries are [2, 0, 3, 1]" in str(permutation(case_of(X, G[order], G)))
    assert "axis 1" in str(permutation(case_of(X, G[:, ::-1], G)))
    for guess in (transpose, shift, permutation):
        assert guess(case_of(X, G + 0.1 * RNG.standard_normal(G.shape), G)) is None


def test_a_matrix_can_be_the_transpose():
    J = RNG.standard_normal((20, 20))
    assert "transpose of the right matrix" in str(transpose(case_of(X, [J.T], [J], "hessian")))


def test_a_sum_that_is_0_on_one_side_alone_is_a_gauge():
    """g − mean(g) removes a mean that belongs there; a right gradient that sums to 0 is a projection."""
    assert "removes its mean" in str(gauge(case_of(X, G - G.mean(axis=0), G)))
    centred = G - G.mean(axis=1, keepdims=True)
    assert "along axis 1 where 0 is right" in str(gauge(case_of(X, centred + np.arange(4.0)[:, None], centred)))
    assert "['a'] of gradient sums to" in str(gauge(case_of({"a": X}, {"a": G**2}, {"a": centred})))
    assert gauge(case_of(X, G + np.outer(np.arange(4.0), np.arange(5.0)), G)) is None
    assert gauge(case_of(X, 2 * centred, centred)) is None


def test_an_error_along_the_parameters_of_a_scale_invariant_function_is_a_missing_projection():
    """Euler: <∇f, x> = 0 when f(cx) = f(x); c x added to such a gradient is no regulariser."""
    tangent = G - X * np.vdot(X, G) / np.vdot(X, X)
    assert "gauge" in str(regulariser(case_of(X, tangent + 0.3 * X, tangent)))
    assert "missing regulariser" in str(regulariser(case_of(X, G + 0.3 * X, G)))


def test_entries_and_slices_are_placed():
    at, right = {"W": X, "b": X[0]}, {"W": G, "b": G[0]}
    one = G.copy()
    one[3, 2] += 0.5
    text = few_entries(case_of(at, {"W": one, "b": G[0]}, right))
    assert text is not None and "1 of 25 entries is wrong: ['W'][3, 2]" in text
    row = G.copy()
    row[2] = 0
    case = case_of(at, {"W": row, "b": G[0]}, right)
    assert few_entries(case) is None
    assert rows(case) == "row: only index 2 along axis 0 of ['W'] is wrong in gradient, it is 0; the rest agrees"
    column = G.copy()
    column[:, 1] *= 3
    assert "index 1 along axis 1" in str(rows(case_of(at, {"W": column, "b": G[0]}, right)))
    assert rows(case_of(at, {"W": G + 1, "b": G[0]}, right)) is None


def test_where_some_entries_are_right_the_wrong_ones_are_placed():
    """Whole slices are rows, others are entries; where no entry is right but zeros, nothing is said."""
    some, three = G.copy(), G.copy()
    some[[0, 2], [1, 3]] = 9.0
    three[:3] = np.sin(G[:3])
    text = some_entries(case_of(X, some, G))
    assert text is not None and text.startswith("entry: 2 of 20 entries are wrong: ") and "9 where" in text
    text = rows(case_of(X, three, G))
    assert text is not None and text.startswith("row: only index 0, 1, 2 along axis 0")
    assert some_entries(case_of(X, np.sin(G), G)) is None
    diagonal = np.diag(G.ravel())
    assert some_entries(case_of(X, [np.sin(diagonal)], [diagonal], "jvp", lambda x: x**2)) is None


def test_slices_with_factors_of_their_own_are_rows():
    factors = np.arange(1.0, 5.0)[:, None]
    assert str(row_factors(case_of(X, factors * G, G))).startswith("row: ")
    assert row_factors(case_of(X, factors + G, G)) is None


def test_a_zero_where_one_number_is_right_is_an_entry():
    """0 is a multiple of everything: no cause is named."""
    found = guesses_of(case_of(np.ones(1), [0.0], [-1.0]))
    assert [d.name for d in found] == ["entry"] and "0 where -1 is right" in found[0].text


def model(x, A, y, s, lam):
    """Σ s (A x − y)⁴/4 + lam Σ log cosh x + Σ sin x: three terms, weights, data."""
    r = A @ x - y
    return jnp.sum(s * r**4) / 4 + lam * jnp.sum(jnp.log(jnp.cosh(x))) + jnp.sum(jnp.sin(x))


def model_gradient(x, A, y, s, lam, signs=(1, 1, 1)):
    return signs[0] * A.T @ (s * (A @ x - y) ** 3) + signs[1] * lam * np.tanh(x) + signs[2] * np.cos(x)


A, Y, S, LAM = RNG.standard_normal((7, 5)), RNG.standard_normal(7), RNG.uniform(0.5, 2, 7), 0.8


def modelled(gradient, at=X[0], args=(A, Y, S, LAM), fun=model, right=model_gradient):
    return case_of(at, gradient, right(at, *args), fun=fun, args=args)


@pytest.mark.parametrize(
    ("signs", "said"),
    [((1, 0, 1), "is missing"), ((1, -1, 1), "with the wrong sign"), ((1, 1, 3), "3 times")],
)
def test_terms_of_the_function_are_told_apart(signs, said, x64):
    """ours = Σ c_k ∇T_k with the terms of the jaxpr."""
    case = modelled(model_gradient(X[0], A, Y, S, LAM, signs))
    assert len(flatten(case.session).terms()) == 3
    text = on_the_program(case)
    assert text is not None and text.startswith("wrong term: ") and said in text


@pytest.mark.parametrize(
    ("args", "name", "said"),
    [
        ((A, Y, 1 + 0 * S, LAM), "sample weight", "args[2] (shape (7,)) is left out"),
        ((A, Y, S * S, LAM), "sample weight", "squared"),
        ((A, Y, np.sqrt(S), LAM), "sample weight", "square root"),
        ((A, 0 * Y, S, LAM), "wrong term", "args[1] (shape (7,)) is left out"),
        ((A, -Y, S, LAM), "wrong term", "wrong sign"),
        ((A, Y, 0 * S + S.mean(), LAM), "sample weight", "its mean"),
        ((A, np.roll(Y, 1), S, LAM), "shift", "shifted by 1 along axis 0"),
        ((A, np.float64(np.float32(Y)), S, LAM), "dtype", "args[1] (shape (7,)) is rounded to float32"),
    ],
)
def test_data_that_was_replaced_is_found(args, name, said, x64):
    """ours is the derivative with one array as ones, zeros, its square, root or negative."""
    case = modelled(model_gradient(X[0], *args))
    text = other_data(case, None)
    assert text is not None and text.startswith(f"{name}: ") and said in text


def spread_out(x):
    return jnp.sum((x - jnp.mean(x)) ** 3) / jnp.sqrt(jnp.sum(x**2))


def test_a_value_held_constant_is_found(x64):
    """The derivative of f(x, stop(z)), for the norm in a denominator."""
    x = X[0]
    size = np.linalg.norm(x)
    d = x - x.mean()
    inner = 3 * d**2 - 3 * np.mean(d**2)
    theirs = inner / size - np.sum(d**3) * x / size**3
    case = case_of(x, inner / size, theirs, fun=spread_out)
    text = on_the_program(case)
    assert text is not None and text.startswith("stop gradient: ")


@pytest.mark.slow
def test_two_values_held_constant_are_found(x64):
    x = X[0]
    theirs = np.asarray(jax.grad(spread_out)(x))
    size = np.linalg.norm(x)
    case = case_of(x, 3 * (x - x.mean()) ** 2 / size, theirs, fun=spread_out)
    assert str(on_the_program(case)).startswith("stop gradient: ")


@pytest.mark.slow
def test_loops_are_unrolled_for_it(x64):
    """One sine of a scan's five left out of the derivative."""

    def fun(x):
        return jnp.sum(jax.lax.scan(lambda c, _: (jnp.sin(c) * 1.3, None), x, None, length=5)[0])

    def wrong(x):
        before = x
        for _ in range(4):
            before = 1.3 * jnp.sin(before)
        return jax.grad(fun)(x) / jnp.cos(before)

    case = case_of(X[0], np.asarray(wrong(X[0])), np.asarray(jax.grad(fun)(X[0])), fun=fun)
    assert "sin (of shape (5,)) is left out" in str(on_the_program(case))


M = RNG.standard_normal((4, 4))


def layer(x):
    return jnp.tanh(M @ jnp.sin(x))


def layer_jacobian(x, m):
    return (1 - np.tanh(M @ np.sin(x)) ** 2)[:, None] * m * np.cos(x)


@pytest.mark.parametrize(
    ("fun", "wrong", "said"),
    [
        (layer, lambda x: layer_jacobian(x, M.T), "transpose: "),
        (lambda x: jnp.cumsum(x**2), lambda x: 2 * np.triu(np.ones((4, 4))) * x, "transpose: "),
        (lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x)), lambda x: np.diag(np.exp(x) / np.exp(x).sum()), "gauge: "),
        (lambda x: x * jnp.exp(x), lambda x: np.diag((1 - x) * np.exp(x)), "wrong term: "),
        (lambda x: x * jnp.exp(x), lambda x: np.diag(np.exp(x)), "stop gradient: "),
        (lambda x: jnp.where(x > 0, x, 0.1 * x), lambda x: np.diag(np.where(x > 0, 0.1, 1.0)), "kink: "),
        (lambda x: jnp.sin(jnp.roll(x, 1)), lambda x: np.diag(np.cos(x)), "shift: "),
    ],
)
def test_places_in_the_program_are_named(fun, wrong, said, x64):
    """A Jacobian that differs from the right one in one place of the program, by rule; the right one has no name."""
    x = np.array([0.5, -1.2, 0.3, 0.9])
    right = np.asarray(jax.jacobian(fun)(x))
    text = on_the_program(case_of(x, [wrong(x)], [right], "jvp", fun))
    if said == "shift: ":
        right_shift = np.roll(np.diag(np.cos(np.roll(x, 1))), 0, axis=0)
        text = on_the_program(case_of(x, [right_shift], [right], "jvp", fun))
    assert text is not None and text.startswith(said)
    assert on_the_program(case_of(x, [right], [right], "jvp", fun)) is None


@pytest.mark.slow
def test_a_reduction_over_the_batch_too_is_named(x64):
    """Under vmap <x, v> must not be summed over the rows."""

    def rows(x):
        return x / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True))

    n = np.linalg.norm(X, axis=1, keepdims=True)
    basis = np.eye(X.size).reshape(-1, *X.shape)
    wrong = np.stack([(v / n - X * np.sum(X * v) / n**3).ravel() for v in basis], axis=1)
    case = case_of(X, [wrong], [np.asarray(jax.jacobian(rows)(X)).reshape(20, 20)], "jvp", rows)
    assert "over axis 0 too" in str(on_the_program(case))


@pytest.mark.slow
def test_a_variance_along_the_other_axis_is_a_transpose(x64):
    def fun(w):
        return jnp.sum(jnp.var(w, axis=1) ** 2)

    wrong = np.asarray(jax.grad(fun)(M.T)).T
    case = case_of(M, wrong, np.asarray(jax.grad(fun)(M)), fun=fun)
    assert str(other_axis(case, find_truth(case.session))).startswith("transpose: ")


@pytest.mark.slow
def test_a_hessian_is_explained_like_a_gradient(x64):
    hessian = np.asarray(jax.hessian(model)(X[0], A, Y, S, LAM))
    unweighted = np.asarray(jax.hessian(model)(X[0], A, Y, 1 + 0 * S, LAM))
    case = case_of(X[0], [unweighted], [hessian], "hessian", model, (A, Y, S, LAM))
    assert str(other_data(case, None)).startswith("sample weight: ")
    curvature = np.diag(LAM / np.cosh(X[0]) ** 2)
    case = case_of(X[0], [hessian - 2 * curvature], [hessian], "hessian", model, (A, Y, S, LAM))
    assert "wrong sign" in str(on_the_program(case))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_unexplained_error_gets_no_name(seed):
    """Errors drawn at random, of several sizes: nothing is claimed (one leaf, all entries wrong, no structure)."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        right = np.asarray(jax.grad(model)(X[0], A, Y, S, LAM))
    for size in (1e-6, 1e-2, 10.0):
        case = modelled(right + size * rng.standard_normal(5), right=lambda *_: right)
        assert guesses_of(case) == []


@pytest.mark.slow
def test_an_unexplained_hessian_gets_no_name():
    with jax.enable_x64(True):
        right = np.asarray(jax.hessian(model)(X[0], A, Y, S, LAM))
    noise = RNG.standard_normal((5, 5))
    case = case_of(X[0], [right + noise + noise.T], [right], "hessian", model, (A, Y, S, LAM))
    assert guesses_of(case) == []


def test_fits_carry_their_uncertainty():
    """|Δc| <= Σ |d| t / Σ d²: an error of t in the only entry of d = 2 moves c by t/2."""
    assert scale_fit([np.array([1.0])], [np.array([2.0])], [0.1]) == (0.5, pytest.approx(0.05), 1)
    assert scale_fit([np.array([1.0])], [np.array([0.0])], [0.1]) is None
    assert str(Fitted.of(0.5, 0.05)) == "0.5000 ± 5e-02"


def quartic(x, c):
    return jnp.sum(c * x**4)


def whole(gradient=None, at=None, **rules):
    at = np.array([0.5, -1.5, 2.0, 0.7], np.float32) if at is None else at
    given = {"gradient": gradient} if gradient is not None else {}
    return js.crosscheck(quartic, at, args=(np.float32([1, 2, 3, 4]),), **given, **rules)


def names(report):
    return [diagnosis.name for diagnosis in report.diagnoses]


@pytest.mark.slow
def test_a_report_carries_the_names_and_a_right_rule_has_none():
    assert names(whole(lambda x, c: 4 * c * x**3)) == []
    assert names(whole(lambda x, c: 4 * x**3)) == ["sample weight"]
    # The right value where sinh and cosh are finite: tanh(1000 x) is the sign of x to all digits.
    signed = lambda x, c: 4 * c * jnp.abs(x) ** 3 * jnp.sinh(1e3 * x) / jnp.cosh(1e3 * x)  # noqa: E731
    assert names(whole(signed))[0] == "nonfinite"


@pytest.mark.slow
def test_a_demoted_rule_is_named_by_its_dtype():
    low = lambda x, c: (4 * c * x**3).astype(jnp.bfloat16).astype(x.dtype)  # noqa: E731
    assert names(whole(low)) == ["dtype"]


@pytest.mark.slow
def test_a_rule_that_is_wrong_in_its_own_dtype_alone_is_not_called_demoted():
    """The formula in float64 is right, what runs is half of it: a factor, which no rounding explains."""

    def split(x, c):
        return (4 if x.dtype == np.float64 else 2) * c * x**3

    assert names(whole(split)) == ["constant factor"]
    assert names(whole(lambda x, c: 2 * c * x**3, dtype_policy="working")) == ["constant factor"]


@pytest.mark.slow
def test_a_rule_that_clips_its_cotangent_is_nonlinear():
    report = js.crosscheck(lambda x: x**2, np.float32([0.5, -1.5, 2.0]), vjp=lambda x, ct: 2 * x * jnp.minimum(ct, 0.5))
    assert names(report)[0] == "nonlinear"


@pytest.mark.slow
def test_a_wrong_rule_of_the_function_itself_is_named_once():
    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(lambda primals, tangents: (cube(*primals), primals[0] ** 2 * tangents[0]))
    report = js.crosscheck(lambda x: jnp.sum(cube(x)), np.float32([0.5, -1.5, 2.0]))
    assert names(report) == ["constant factor"] and "a third of" in report.diagnoses[0].text


@pytest.mark.slow
def test_second_order_findings_have_their_names():
    right = lambda x, v, c: 12 * c * x**2 * v  # noqa: E731
    assert names(whole(hvp=right)) == []
    assert names(whole(hvp=lambda x, v, c: right(x, v, c) + v * v))[0] == "nonlinear"
    skew = lambda x, c: jnp.diag(12 * c * x**2) + jnp.triu(jnp.outer(x, jnp.sin(x)), 1)  # noqa: E731
    assert names(whole(hessian=skew))[0] == "asymmetric"


@pytest.mark.slow
def test_a_false_claim_of_convexity_is_indefinite():
    report = js.crosscheck(lambda x: jnp.sum(jnp.sin(x)), np.float32([1.0, 2.0]), gradient=jnp.cos, psd=True)
    assert names(report) == ["indefinite"]


def test_all_names_are_in_the_list():
    assert {m.diagnosis for m in MUTANTS} - {"unnamed"} <= set(get_args(DiagnosisName))


def drawn(entry):
    """The example with JAX arrays for data: products of NumPy arrays would be constants of a rule's trace."""
    example = entry.make(np.random.default_rng(0), np.float32)
    return replace(example, args=jax.tree.map(jnp.asarray, example.args))


def named(example, psd=False):
    report = js.crosscheck(example.fun, example.at, args=example.args, key=jax.random.key(0), psd=psd, **example.rules)
    return [diagnosis.name for diagnosis in report.diagnoses if diagnosis.name != "resolution"]


def test_a_factor_is_fitted_by_least_squares_in_units_of_the_limits():
    """scale_fit: c = Σ w e d / Σ w d², w = (least t / t)², known to Σ w t |d| / Σ w d²; d beyond 8 t counts."""
    error, direction, limits = (
        [np.array([1.0, 2.0]), np.array([3.0])],
        [np.array([2.0, -4.0]), np.array([6.0])],
        [0.5, 0.25],
    )
    for unit in (1.0, 2.0**-900, 2.0**900):  # squares of neither are numbers
        found = scale_fit(*([unit * part for part in given] for given in (error, direction, limits)))
        assert found is not None
        c, spread, entries = found
        assert c == (0.25 * (2 - 8) + 18) / (0.25 * 20 + 36)
        assert spread == (0.25 * 0.5 * 6 + 0.25 * 6) / 41 and entries == 1  # 4 is 8 times 0.5, and no more
    assert scale_fit(error, direction, [0.0, 0.25])[2] == 3  # a leaf without a limit has the weight 1, as the least one
    assert scale_fit(error, direction, [0.0, 0.25])[0] == (2 - 8 + 18) / 56
    for bad in ([np.array([np.inf, 2.0]), direction[1]], [np.zeros(2), np.zeros(1)]):
        assert scale_fit(error, bad, limits) is None
        assert scale_fit(bad, direction, limits) is None or not bad[0].any()


def test_a_guess_may_miss_by_the_rounding_of_both_sides():
    """Case.limit: the largest tolerance of the leaf, and once more for the guess or as often as it is larger."""
    case = SimpleNamespace(_floor=[0.5, 0.25])
    assert [Case.limit(case, *given) for given in ((0,), (1, 3.0), (0, 0.1))] == [1.0, 1.0, 1.0]
    number = Fitted.of(-0.25, 0.0)
    assert (number.number, number.spread) == ("-0.2500", 2.0**-54) and Fitted.of(0.25, 1.0).spread == 1.0
    known = [("x", -2.0)]
    for c, spread, said in (
        (-2.25, 0.25, "x"),
        (-2.25, 0.125, None),
        (-2 - 2.0**-48, 0.0, "x"),
        (-2 - 2.0**-45, 0.0, None),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(factors, "_candidates", lambda case: known)
            assert factors._known(None, c, spread) == said


def test_a_gradient_is_orthogonal_to_parameters_whose_scale_does_not_matter():
    """Euler: ⟨g, x⟩ is 0 up to Σ t |x| and its own rounding, where Σ |g x| is more than 16 times that."""
    radial = lambda g, x, t: factors._radial(  # noqa: E731
        SimpleNamespace(matrix=False, failing=[0], theirs=[np.array(g)], limit=lambda i: t), [np.array(x)]
    )
    assert radial([1.0, -1.0], [1.0, 1.0], 1e-9) and radial([1.0, -1.0], [1.0, 1.0 + 1e-9], 1e-9)
    assert not radial([1.0, -1.0], [1.0, 1.0 + 1e-8], 1e-9)
    assert not radial([1.0, -1.0], [0.0, 0.0], 1e-9) and not radial([1.0, -1.0], [1.0, 1.0], 1 / 16)
    assert radial([1.0, -1.0], [1.0, 1.0], 1 / 17)
    assert radial([1.0, -1.0], [1.0, 1.0 + 2.0**-50], 0.0) and not radial([1.0, -1.0], [1.0, 1.0 + 2.0**-44], 0.0)
