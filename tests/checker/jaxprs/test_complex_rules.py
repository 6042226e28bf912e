"""checker/complex_rules and complex_step, the fast part: the slopes of each rule, by one compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.jaxprs.complex_step import complex_step, step_of, why_not

U = 2.0**-53
X, Y = np.array([-2.5, -0.7, 0.4, 1.3, 7.2]), np.array([0.9, -1.6, 2.2, 0.3, -0.5])
VX, VY = np.array([1.0, -2.0, 0.5, 3.0, -1.5]), np.array([2.0, 1.0, -0.25, 1.5, 4.0])
TOP = X[-1]
# Three outputs hold TOP, with the slopes 1, 2 and 0 in x₄: their mean is 1.
TIES = lambda x: jnp.stack([x[4], 2 * x[4] - TOP, x[4] * 0 + TOP, x[0]])  # noqa: E731


def along(function, *given):
    """The slopes of a program's outputs along the directions given, compiled in one piece."""
    with jax.enable_x64(True):
        points, directions = given[::2], given[1::2]
        program = jax.make_jaxpr(function)(*points)
        assert why_not(program) is None
        return [np.asarray(part) for part in jax.jit(lambda *v: complex_step(program, points, v))(*directions)]


POWER, QUOTIENT = np.abs(X) ** Y, X / Y
UP, DOWN = np.argsort(X * Y), np.argsort(-Y)
# name: (function of x and y, the terms of its slope)
RULES = {
    "rem": (lax.rem, [VX, -np.trunc(QUOTIENT) * VY]),
    "div": (lax.div, [VX / Y, -QUOTIENT * VY / Y]),
    "atan2": (lambda x, y: lax.atan2(y, x), [X * VY / (X * X + Y * Y), -Y * VX / (X * X + Y * Y)]),
    "pow": (lambda x, y: lax.pow(lax.abs(x), y), [POWER * VY * np.log(np.abs(X)), POWER * Y * VX / X]),
    "abs": (lambda x, y: lax.abs(x), [np.sign(X) * VX]),
    "max": (lax.max, [np.where(X > Y, VX, VY)]),
    "min": (lax.min, [np.where(X < Y, VX, VY)]),
    "clamp": (lambda x, y: lax.clamp(-1.0, x, 1.0), [np.where(np.abs(X) < 1, VX, 0)]),
    "clamp to y": (lambda x, y: lax.clamp(y, x, y + 2), [np.where((X > Y) & (X < Y + 2), VX, VY)]),
    "cbrt": (lambda x, y: lax.cbrt(x), [VX / np.cbrt(X) ** 2 / 3]),
    "sinh": (lambda x, y: lax.sinh(x), [np.cosh(X) * VX]),
    "cosh": (lambda x, y: lax.cosh(x), [np.sinh(X) * VX]),
    "exp2": (lambda x, y: lax.exp2(x), [np.log(2) * np.exp2(X) * VX]),
    "sort": (lambda x, y: lax.sort((x * y, x), num_keys=1)[1], [VX[UP]]),
    "top_k": (lambda x, y: lax.top_k(y, 2)[0], [VY[DOWN[:2]]]),
    "cummax": (lambda x, y: lax.cummax(x), [VX]),  # x ascends
    "cummin": (lambda x, y: lax.cummin(x), [np.full(5, VX[0])]),
    "dot": (jnp.dot, [X * VY, VX * Y]),
    "convolution": (lambda x, y: jnp.convolve(x, y, "valid"), [X * VY[::-1], VX * Y[::-1]]),
    "scatter": (lambda x, y: x.at[jnp.array([1, 1])].add(y[:2]), [VX, [0, VY[0], 0, 0, 0], [0, VY[1], 0, 0, 0]]),
    "tie": (lambda x, y: lax.max(x[4], 2 * x[4] - TOP), [1.5 * VX[4]]),
    "ties": (lambda x, y: lax.reduce_max(TIES(x), (0,)), [VX[4]]),
    "ties below": (lambda x, y: lax.reduce_min(-TIES(x), (0,)), [-VX[4]]),
}


def test_each_rule_has_the_slope_of_the_real_function():
    """Im f(x + ihv)/h beside the terms of f′(x)v: a dozen operations, each good to 2u, of the terms' absolute sum."""
    found = along(lambda x, y: [f(x, y) for f, _ in RULES.values()], X, VX, Y, VY)
    for (name, (_, terms)), slope in zip(RULES.items(), found, strict=True):
        parts = np.array(terms)
        if name in ("dot", "convolution"):  # sums over the entries
            parts = parts.reshape(-1, *slope.shape)
        error = np.abs(slope - parts.sum(axis=0))
        assert np.all(error <= 24 * U * np.abs(parts).sum(axis=0)), name


def test_slopes_keep_their_digits_where_plain_complex_formulas_lose_them():
    """x f′(x): e^{y log x} loses |y log x| ulps, cosh's exponentials cancel, y² leaves the doubles; y/0 has none."""
    x = np.array([1e-9, 1e200, 1.5])
    found = along(
        lambda x: [
            lax.cosh(x[0]), lax.sinh(x[0]), 1 / x[1], 1e150 / x[1], lax.pow(x[2], 300.0), lax.atan2(x[2], x[2] - 1.5)
        ], x, x
    )  # fmt: skip
    wanted = [1e-9 * np.sinh(1e-9), 1e-9 * np.cosh(1e-9), -1 / x[1], -1e150 / x[1], 300 * 1.5**300, -1.0]
    np.testing.assert_allclose(found, wanted, rtol=24 * U)


def test_where_the_real_function_has_no_slope_the_answer_is_nan():
    """Of a negative number: its logarithm, its root, a power by its exponent, cbrt at 0; and beside NaN."""
    functions = (
        lambda x: lax.log(x), lambda x: lax.sqrt(x), lambda x: lax.pow(x, x + 4), lambda x: lax.cbrt(x + 2),
        lambda x: lax.max(x, jnp.nan), lambda x: lax.atan2(x + 2, x + 2),
    )  # fmt: skip
    found = along(lambda x: [f(x) for f in functions], np.float64(-2.0), np.float64(1.0))
    assert np.isnan(found).all()


def test_a_branch_that_is_constant_does_not_hide_the_slope_of_the_other():
    """A carry or an output is continued where any branch depends on x."""
    (found,) = along(lambda x: lax.cond(x > 0, lambda y: y * y, jnp.ones_like, x), np.float64(3.0), np.float64(1.0))
    assert found == 6


def test_the_step_is_a_hundred_octaves_below_the_smallest_ratio_within_its_limits():
    """2⁻¹⁰⁰ of min |x|/|v|, of entries that are not 0; clipped to 2⁻⁷⁰⁰ and 2⁶⁰."""
    step = jax.jit(lambda x, v: step_of([x], [v]))
    for x, v, exponent in (
        ([0.0, 4.0], [1.0, 2.0], 1),
        ([3.0, 4.0], [0.0, 1.0], 2),
        ([-6.0, 1.0], [2.0, -0.5], 1),
        ([0.0, 0.0], [1.0, 1.0], 0),
        ([1e-300, 1.0], [1e10, 1.0], -700),
        ([1e100, 1e90], [1.0, 1.0], 60),
    ):
        with jax.enable_x64(True):
            assert float(step(np.array(x), np.array(v))) == 2.0 ** (exponent - 100)


@pytest.mark.parametrize("inside", ["jit", "scan", "cond", "while", "test of a while"])
def test_what_has_no_rule_is_named_wherever_it_stands(inside):
    """The first operation on what is perturbed; the slope of none is asked for."""
    f = {
        "jit": lambda x: lax.lgamma(jax.jit(lax.erf)(x)),
        "scan": lambda x: lax.scan(lambda c, _: (lax.erf(c), None), x, None, length=2)[0],
        "cond": lambda x: lax.cond(x > 0, lax.erf, lambda y: y, x),
        "while": lambda x: lax.while_loop(lambda c: c < 0, lax.erf, x),
        "test of a while": lambda x: lax.while_loop(lambda c: lax.erf(c) < 0, lambda c: c + 1, x),
    }[inside]
    assert why_not(jax.make_jaxpr(f)(0.5)) == "primitive 'erf'"
    assert why_not(jax.make_jaxpr(f)(0.5), [False]) is None


@pytest.mark.slow
def test_the_slope_of_expm1_far_below_zero_has_its_digits():
    """e^x at x = -30 and -40: XLA's imaginary part is (expm1(x) + 1) sin h, which has three digits and none."""
    with jax.enable_x64(True):
        x = np.array([-40.0, -30.0, -0.5, 2.0])
        found = complex_step(jax.make_jaxpr(lax.expm1)(x), [x], [np.ones_like(x)])[0]
    # A few units of e^x, and those of its imaginary part.
    np.testing.assert_allclose(found, np.exp(x), rtol=16 * 2.0**-53)
