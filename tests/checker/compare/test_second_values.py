"""Second order where the program does not decide: v'Hv against second differences of values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.stages import fast
from jaxsoftmax.checker.crosscheck import crosscheck

A = np.array([2.0, 3.0])
ROUTE = "second differences of values"


def square_roots(tolerance):
    """Their sum, by an iteration that stops at a tolerance."""

    def fun(a):
        going = lambda s: jnp.any(jnp.abs(s[0] - s[1]) > tolerance)  # noqa: E731
        step = lambda s: (s[0] - 0.2 * (s[0] ** 2 - a), s[0])  # noqa: E731
        return jnp.sum(jax.lax.while_loop(going, step, (1.0 + 0 * a, 0 * a))[0])

    return fun


def rule(kind, factor):
    second = lambda a: -0.25 * factor * a**-1.5  # noqa: E731
    return {"hvp": lambda a, v: second(a) * v, "hessian": lambda a: jnp.diag(second(a))}[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", fast(["hvp", "hessian"], 1))
@pytest.mark.parametrize(("factor", "verdicts"), [(1.0, ("AGREE", "INCONCLUSIVE")), (1.1, ("DISAGREE",))])
def test_a_loop_that_stops_at_a_tolerance_is_held_to_values(kind, factor, verdicts):
    report = crosscheck(square_roots(1e-9), A, **{kind: rule(kind, factor)})
    assert report.verdict in verdicts, str(report)
    assert [row.passed for row in report.statements if row.route == ROUTE] == [factor == 1.0]


@pytest.mark.parametrize("factor", fast([1.0, 3.0]))
def test_values_that_see_nothing_say_nothing(factor):
    """A loop that stops at 0.1: its stairs hide the curvature."""
    report = crosscheck(square_roots(0.1), A, hvp=rule("hvp", factor))
    assert report.verdict == "NOT CHECKED", str(report)
    assert not any(row.route == ROUTE for row in report.statements)
    assert any("second differences of values were left out" in note for note in report.notes)


@pytest.mark.parametrize(("factor", "verdict"), fast([(1.0, "AGREE"), (1 + 1e-9, "AGREE"), (1.0001, "DISAGREE")]))
def test_a_rule_without_a_bound_is_decided_by_values(factor, verdict):
    """So long a program that the budget leaves no time to bound its rounding: half of the digits, and values."""

    def fun(x):
        for _ in range(40):
            x = jnp.sin(x) + 0.1 * x
        return jnp.sum(x)

    hvp = lambda x, v: factor * jax.jvp(jax.grad(fun), (x,), (v,))[1]  # noqa: E731
    report = crosscheck(fun, A, hvp=hvp, budget=1.0)
    assert report.verdict == verdict, str(report)
    assert any(row.route == ROUTE for row in report.statements)


def test_where_the_program_decides_values_are_not_asked():
    report = crosscheck(lambda x: jnp.sum(x**3), A, hvp=lambda x, v: 6 * x * v)
    assert report.verdict == "AGREE" and not any(row.route == ROUTE for row in report.statements)


def implicit(factor):
    """Square roots by a loop that stops at a tolerance, with the rule of the root; the slope's own slope is off."""

    @jax.custom_jvp
    def fun(a):
        going = lambda s: jnp.any(jnp.abs(s[0] - s[1]) > 1e-9)  # noqa: E731
        step = lambda s: (s[0] - 0.2 * (s[0] ** 2 - a), s[0])  # noqa: E731
        return jax.lax.while_loop(going, step, (1.0 + 0 * a, 0 * a))[0]

    @jax.custom_jvp
    def slope(a):
        return 0.5 / jnp.sqrt(a)

    slope.defjvp(lambda p, t: (slope(*p), factor * -0.25 * p[0] ** -1.5 * t[0]))
    fun.defjvp(lambda p, t: (fun(*p), slope(p[0]) * t[0]))
    return fun


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "verdicts"), [(1.0, ("AGREE", "INCONCLUSIVE")), (1.1, ("DISAGREE",))])
def test_combinations_of_several_outputs_are_held_to_values(factor, verdicts):
    report = crosscheck(implicit(factor), A)
    assert report.verdict in verdicts, str(report)
    assert any(row.route == ROUTE and "<w, fun>" in row.quantity for row in report.statements)
