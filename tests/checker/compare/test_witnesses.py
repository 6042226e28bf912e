"""Where a program's derivative is not its function's: a branch at the point, a bisection, a loop with a tolerance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.checker.inputs.context import Session

X = np.array([0.5, 0.0, 2.0])


def at_a_point(x):
    """x log 2, written with a branch that holds at x = 0 alone."""
    return jnp.sum(jnp.where(x == 0, 0.0, x * jnp.log(2.0)))


def test_a_branch_that_holds_at_one_point_only_is_seen_by_every_route():
    right = js.crosscheck(at_a_point, X, gradient=lambda x: jnp.full_like(x, jnp.log(2.0)))
    assert right.verdict == "AGREE", str(right)
    assert any("takes a branch that it does not take around it ([1])" in note for note in right.notes)
    wrong = js.crosscheck(at_a_point, X, gradient=jax.grad(at_a_point))
    assert wrong.verdict == "DISAGREE", str(wrong)
    assert [e.path for e in wrong.worst_entries[:1]] == ["[1]"]
    assert js.crosscheck(at_a_point, X).verdict == "DISAGREE"  # JAX's own derivative of it is that wrong one


def root(a):
    """m with m³ + m = a, by bisection: no digit of it depends on a through anything but comparisons."""

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        above = middle**3 + middle > a
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, 60, halve, (jnp.zeros_like(a), jnp.full_like(a, 4.0)))
    return (low + high) / 2


def slope(a):
    return 1 / (3 * root(a) ** 2 + 1)


@pytest.mark.slow_cases("0.0-DISAGREE", "1.0-AGREE")
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "AGREE"), (0.0, "DISAGREE"), (2.0, "DISAGREE")])
def test_a_bisection_is_held_to_its_values(factor, verdict):
    """Autodiff and the complex step of it are 0; differences are right to 1e-13."""
    a = np.array([1.0, 2.0, 5.3])
    report = js.crosscheck(lambda a: jnp.sum(root(a)), a, gradient=lambda a: factor * slope(a))
    assert report.verdict == verdict, str(report)
    assert any("decides by comparisons" in note for note in report.notes)


def square_roots(a):
    """By an iteration that stops at 1e-9: its own derivative lags behind that of the root by about as much."""

    def going(state):
        return jnp.any(jnp.abs(state[0] - state[1]) > 1e-9)

    def step(state):
        return state[0] - 0.2 * (state[0] ** 2 - a), state[0]

    return jnp.sum(jax.lax.while_loop(going, step, (1.0 + 0 * a, 0 * a))[0])


@pytest.mark.slow_cases("2.0-DISAGREE", "1.0-INCONCLUSIVE")
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "INCONCLUSIVE"), (2.0, "DISAGREE")])
def test_a_loop_that_stops_at_a_tolerance_accuses_nobody_alone(factor, verdict):
    """The right rule is 4e-9 off the iteration's derivative, far beyond rounding; values do not tell the two apart."""
    report = js.crosscheck(square_roots, np.array([2.0, 3.0]), gradient=lambda a: factor * 0.5 / jnp.sqrt(a))
    assert report.verdict == verdict, str(report)
    assert any("stops at a tolerance" in note for note in report.notes)


def test_values_do_not_overrule_an_error_that_they_cannot_see():
    """1e-9 in one entry: differences agree within their estimate, the program decides."""
    x = np.array([0.3, 1.1])
    wrong = lambda x: jnp.cos(x) * jnp.array([1.0, 1.0 + 1e-9])  # noqa: E731
    assert js.crosscheck(lambda x: jnp.sum(jnp.sin(x)), x, gradient=wrong).verdict == "DISAGREE"


@jax.custom_jvp
def sinc(x):
    """sin(x)/x with a branch at 0 alone: its slope there is right, 0, and its curvature is not."""
    return jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x))


@sinc.defjvp
def sinc_jvp(primals, tangents):
    (x,), (v,) = primals, tangents
    series = -x / 3 + x**3 / 30 - x**5 / 840
    safe = jnp.where(jnp.abs(x) < 0.1, 1.0, x)
    return sinc(x), v * jnp.where(jnp.abs(x) < 0.1, series, (jnp.cos(safe) - jnp.sin(safe) / safe) / safe)


@pytest.mark.slow
def test_a_branch_with_the_right_slope_and_another_curvature_accuses_nobody():
    report = js.crosscheck(lambda x: jnp.sum(sinc(x)), np.array([0.0, 1.3]))
    assert report.verdict != "DISAGREE", str(report)
    assert any("at a point next to it" in note for note in report.notes)


@pytest.mark.parametrize("kind", fast(["jvp", "hvp"], 1))
def test_a_given_rule_that_nothing_can_be_held_to_is_not_agreed(kind):
    """A bisection is known by its values alone, which judge a gradient: whatever else is given is not checked."""
    rule = {"jvp": lambda a, v: 7 * jnp.sum(v), "hvp": lambda a, v: 7 * v}[kind]
    report = js.crosscheck(lambda a: jnp.sum(root(a)), np.array([1.0, 5.3]), gradient=slope, **{kind: rule})
    assert report.verdict == "NOT CHECKED", str(report)
    (row,) = [row for row in report.statements if row.quantity == kind]
    assert row.passed is None and "values alone" in row.note


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "AGREE"), (0.0, "DISAGREE")])
def test_a_rule_checked_next_to_a_branch_is_checked_at_the_point_too(factor, verdict):
    """x log 2 again: a jvp that is 0 in the entry at 0, as JAX's own is, and right everywhere else."""

    def jvp(x, v):
        return jnp.sum(jnp.where(x == 0, factor, 1.0) * v) * jnp.log(2.0)

    report = js.crosscheck(at_a_point, X, jvp=jvp)
    assert report.verdict == verdict, str(report)
    assert [row.passed for row in report.statements if row.quantity == "jvp at the point itself"] == [factor == 1]


@pytest.mark.slow
def test_a_formula_that_cancels_on_both_sides_of_the_point_accuses_nobody():
    """jnp.sinc has a series at 0 alone; beside it the second derivative's formula loses half of its digits."""
    fun = lambda x: jnp.sum(jnp.sinc(x))  # noqa: E731
    report = js.crosscheck(fun, np.array([0.0, 1.3]), hvp=lambda x, v: jax.jvp(jax.grad(fun), (x,), (v,))[1])
    assert report.verdict == "AGREE", str(report)
    assert "hvp at the point itself" in [row.quantity for row in report.statements]


@pytest.mark.slow
def test_a_hessian_that_is_wrong_at_the_point_alone_is_seen():
    """JAX's second derivative of I0 at 0 is 1.5; it is 1/2 there, and all around to six digits."""
    i0 = jax.scipy.special.i0
    report = js.crosscheck(i0, np.float64(0.0), hessian=jax.hessian(i0))
    assert report.verdict == "DISAGREE", str(report)


def square(x):
    """x², whose autodiff is 0 times infinity at 0: NaN says nothing of a rule that is a number."""
    return jnp.sum(jnp.sqrt(x**4))


@pytest.mark.slow_cases("gradient")
@pytest.mark.parametrize(
    ("rule", "verdict"),
    fast(
        [
            ({"gradient": lambda x: 2 * x}, "AGREE"),
            ({"gradient": lambda x: jnp.where(x == 0, 1.0, 2 * x)}, "DISAGREE"),
            ({"gradient": lambda x: jnp.where(x == 0, jnp.nan, 2 * x)}, "DISAGREE"),
            ({"hvp": lambda x, v: 2 * v}, "AGREE"),
            ({"hvp": lambda x, v: jnp.where(x == 0, 1.0, 2.0) * v}, "DISAGREE"),
            ({"jvp": lambda x, v: jnp.sum(2 * x * v)}, "AGREE"),
            ({"vjp": lambda x, ct: (2 * x + (x == 0)) * ct}, "DISAGREE"),
            ({}, "DISAGREE"),
        ],
        0,
        3,
        4,
        6,
    ),
    ids=["gradient", "gradient wrong at 0", "NaN", "hvp", "hvp wrong at 0", "jvp", "vjp wrong at 0", "JAX's own"],
)
def test_a_route_that_is_not_a_number_accuses_nobody(rule, verdict):
    report = js.crosscheck(square, X, **rule)
    assert report.verdict == verdict, str(report)


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "AGREE"), (1.0, "DISAGREE")])
def test_where_no_rounding_is_bounded_the_scatter_beside_the_point_is_the_tolerance(factor, verdict, monkeypatch):
    monkeypatch.setattr(Session, "_dear", lambda self, program: True)
    report = js.crosscheck(square, X, hvp=lambda x, v: jnp.where(x == 0, factor, 2.0) * v)
    assert report.verdict == verdict, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("at_0", [0.0, np.inf])
def test_a_curvature_that_grows_towards_the_point_accuses_no_value_at_it(at_0):
    """The second derivative of |x|^1.5 is 3/4 |x|^-1/2: infinite at 0, where some rules say 0."""

    def hvp(x, v):
        safe = jnp.where(x == 0, 1.0, jnp.abs(x))
        return jnp.where(x == 0, at_0 * v if at_0 else 0.0, 0.75 * v / jnp.sqrt(safe))

    report = js.crosscheck(lambda x: jnp.sum(jnp.abs(x) ** 1.5), X, hvp=hvp)
    assert report.verdict == "NOT CHECKED", str(report)
    assert any("has no value in 1 entry of hvp" in note for note in report.notes)


def test_a_jump_at_the_point_accuses_nobody():
    jumping = lambda x: jnp.sum(jnp.where(x == 0, 5.0, x * 2.0))  # noqa: E731
    report = js.crosscheck(jumping, X, gradient=lambda x: jnp.full_like(x, 2.0))
    assert report.verdict == "INCONCLUSIVE", str(report)
    assert any("jumps at the point" in note for note in report.notes)


def test_a_kink_is_no_jump():
    """|x| written with a branch: its slope at 0 is 1 to autodiff, 0 to central differences; 1 is a subgradient."""
    fun = lambda x: jnp.sum(jnp.where(x >= 0, x, -x))  # noqa: E731
    report = js.crosscheck(fun, X, gradient=lambda x: jnp.where(x >= 0, 1.0, -1.0))
    assert report.verdict == "AGREE", str(report)
    assert not any("jumps at the point" in note for note in report.notes)
