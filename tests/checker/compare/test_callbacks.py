"""Vector functions that JAX differentiates by their own rules alone: a callback inside, held to differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.stages import fast
from jaxsoftmax.checker.crosscheck import crosscheck

X = np.array([0.5, -1.0, 2.0])
MIX = np.array([[1.0, 0.5, 0.0], [0.0, 2.0, -1.0]])


def host(x):
    """MIX sin(x), in NumPy."""
    outside = lambda y: (MIX @ np.sin(np.asarray(y, np.float64))).astype(x.dtype)  # noqa: E731
    return jax.pure_callback(outside, jax.ShapeDtypeStruct((2,), x.dtype), x, vmap_method="sequential")


def matrix(x, error):
    return {
        "right": lambda m: m,
        "factor 2": lambda m: 2 * m,
        "one entry": lambda m: m.at[1, 0].add(1e-5),
    }[error](jnp.asarray(MIX, x.dtype) * jnp.cos(x))


def with_jvp(error):
    @jax.custom_jvp
    def fun(x):
        return host(x)

    fun.defjvp(lambda p, t: (fun(*p), matrix(p[0], error) @ t[0]))
    return fun


def with_vjp(error):
    @jax.custom_vjp
    def fun(x):
        return host(x)

    fun.defvjp(lambda x: (host(x), x), lambda x, ct: (ct @ matrix(x, error),))
    return fun


ERRORS = {"right": "AGREE", "factor 2": "DISAGREE", "one entry": "DISAGREE"}


@pytest.mark.slow_cases("with_jvp-factor 2", "with_jvp-one entry")
@pytest.mark.parametrize(("error", "verdict"), ERRORS.items(), ids=ERRORS)
@pytest.mark.parametrize("make", fast([with_jvp, with_vjp], 0))
def test_a_rule_around_a_callback_is_held_to_values(make, error, verdict):
    report = crosscheck(make(error), X)
    assert report.verdict == verdict, str(report)
    assert any("finite differences were used instead" in note for note in report.notes)
    row = next(row for row in report.statements if row.route == "extrapolated differences")
    assert row.passed == (verdict == "AGREE")
    if error == "one entry":
        assert "output[1]" in row.worst["path"] and "[0]" in row.worst["path"]


@pytest.mark.slow
@pytest.mark.parametrize(("error", "verdict"), [("right", "AGREE"), ("factor 2", "DISAGREE")])
def test_in_float32_the_callback_is_as_noisy_as_float32(error, verdict):
    report = crosscheck(with_jvp(error), X.astype(np.float32))
    assert report.verdict == verdict, str(report)


@pytest.mark.slow_cases("right-AGREE")
@pytest.mark.parametrize(("error", "verdict"), [("right", "AGREE"), ("one entry", "DISAGREE")])
def test_given_rules_are_held_to_values_too(error, verdict):
    rules = {"jvp": lambda x, v: matrix(x, error) @ v, "vjp": lambda x, ct: ct @ matrix(x, error)}
    for name, rule in rules.items():
        report = crosscheck(with_jvp("right"), X, **{name: rule})
        assert report.verdict == verdict, f"{name}: {report}"


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "AGREE"), (1.001, "DISAGREE")])
def test_many_entries_are_held_to_random_directions(factor, verdict):
    """300 entries, more than differences take one by one."""

    def fun(x):
        outside = lambda y: np.asarray(y)[:2] * np.sum(np.asarray(y) ** 2)  # noqa: E731
        return jax.pure_callback(outside, jax.ShapeDtypeStruct((2,), x.dtype), x, vmap_method="sequential")

    def jvp(x, v):
        return v[:2] * jnp.sum(x**2) + factor * x[:2] * 2 * (x @ v)

    report = crosscheck(fun, np.linspace(0.5, 1.5, 300), jvp=jvp)
    assert report.verdict == verdict, str(report)


def test_values_that_are_nowhere_finite_agree_with_nothing():
    """Finite at the point alone: differences have no estimate."""

    def fun(x):
        outside = lambda y: np.where(np.asarray(y) == X, 1.0, np.nan)  # noqa: E731
        return jax.pure_callback(outside, jax.ShapeDtypeStruct((3,), x.dtype), x, vmap_method="sequential")

    assert crosscheck(fun, X, jvp=lambda x, v: v).verdict == "NOT CHECKED"


@pytest.mark.slow
def test_a_kink_is_left_out():
    """|x| at 0 in one entry: whatever the rule says there is no error, and elsewhere it is."""

    def fun(x):
        outside = lambda y: np.abs(np.asarray(y))  # noqa: E731
        return jax.pure_callback(outside, jax.ShapeDtypeStruct((3,), x.dtype), x, vmap_method="sequential")

    at = np.array([1.0, 0.0, -2.0])
    report = crosscheck(fun, at, jvp=lambda x, v: jnp.where(x >= 0, v, -v))
    assert report.verdict == "AGREE", str(report)
    assert any("no derivative at [1]" in note for note in report.notes)
    assert crosscheck(fun, at, jvp=lambda x, v: jnp.where(x >= 0, v, v)).verdict == "DISAGREE"
