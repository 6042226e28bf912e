"""Traces of a user's function: in its own dtypes, in float64, and what they give away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.tracing import Traced

X = np.array([0.5, 1.25, -2.0], np.float32)
U64 = 2.0**-53


def traced(fun, at=X, args=(), *more):
    return Traced("fun", fun, read_point(at), args, *more, twice=True)


def wide_value(t):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(lambda x: t.run(t.consts, x)[0])(t.point.wide()))


def test_the_wide_trace_is_in_float64_and_the_narrow_one_in_the_users_dtypes():
    """exp of float32 numbers: one value to float32's roundings, one to float64's (3 terms, 1 ulp each and a sum)."""
    t = traced(lambda x: jnp.sum(jnp.exp(x)))
    exact = np.exp(X.astype(np.float64)).sum()
    assert t.wide and t.closed.jaxpr.invars[0].aval.dtype == np.float64
    assert t.narrow.jaxpr.invars[0].aval.dtype == np.float32
    assert abs(wide_value(t) - exact) <= 8 * U64 * exact
    (ran,) = t.as_run(t.point.leaves)
    assert ran.dtype == np.float32 and abs(float(ran) - exact) <= 8 * 2.0**-24 * exact


def test_float_args_are_widened_with_the_point():
    """A float32 argument is that number in float64 in the wide trace, so products do not round to float32."""
    t = traced(lambda x, a: jnp.sum(x * a), X, (np.float32([0.1, 0.2, 0.3]),))
    assert t.wide and t.reduced == ()
    exact = X.astype(np.float64) @ np.float32([0.1, 0.2, 0.3]).astype(np.float64)
    assert abs(wide_value(t) - exact) <= 8 * U64 * 2


def test_a_function_that_refuses_float64_is_replayed_from_its_own_trace():
    """A dtype check inside leaves only the narrow trace, which the replay widens: `wide` says so."""

    def strict(x):
        assert x.dtype == jnp.float32
        return jnp.sum(jnp.exp(x))

    t = traced(strict)
    exact = np.exp(X.astype(np.float64)).sum()
    assert not t.wide and t.reduced == ()
    assert abs(wide_value(t) - exact) <= 8 * U64 * exact


def test_a_function_that_refuses_widened_args_gets_them_as_they_are():
    """Only the point is widened then."""

    def strict(x, a):
        assert a.dtype == jnp.float32
        return jnp.sum(x * a)

    t = traced(strict, X, (np.float32([0.1, 0.2, 0.3]),))
    assert t.wide and t.closed.jaxpr.invars[0].aval.dtype == np.float64


def test_demotions_are_reported():
    """Dtypes narrower than float64 that the wide trace computes in, also inside loops and jit."""
    t = traced(lambda x: jnp.sum(jax.jit(lambda y: y.astype(jnp.bfloat16))(x).astype(jnp.float32)))
    assert t.reduced == ("bfloat16", "float32")
    assert traced(lambda x: jnp.sum(x) * jnp.sum(jnp.arange(3)) / 3).reduced == ()


def test_random_keys_in_args_are_no_demotion():
    """A typed key has an extended dtype, which is no float."""
    t = traced(lambda x, key: jnp.sum(x * jax.random.bernoulli(key, 0.5, x.shape)), X, (jax.random.key(1),))
    assert t.wide and t.narrow.jaxpr is not None and "key<fry>" not in t.reduced


def test_a_key_made_inside_is_the_same_at_every_trace():
    """Two traces are compared; keys as constants are compared by their data."""
    key = jax.random.key(0)
    t = traced(lambda x: jnp.sum(x) * jax.random.uniform(key))
    assert np.isfinite(wide_value(t))


def test_nan_constants_are_the_same_at_every_trace():
    """NaN differs from itself: constants with the same bytes are the same."""
    table = jnp.array([1.0, np.nan, 2.0])
    t = traced(lambda x: jnp.nansum(x * table))
    assert abs(wide_value(t) - (0.5 - 4.0)) <= 8 * U64


def test_as_run_carries_demotions_out():
    """A round trip through bfloat16 is rounded as it is outside jit: XLA may not skip the pair of casts."""
    x = np.float32([1 + 2.0**-12, 3.0])
    t = traced(lambda x: jnp.sum(x.astype(jnp.bfloat16).astype(jnp.float32)), x)
    assert float(t.as_run(t.point.leaves)[0]) == 4.0


def test_as_run_keeps_custom_rules():
    """The user's gradient is that of the custom rule; the wide run has none."""

    @jax.custom_jvp
    def square(x):
        return x**2

    square.defjvp(lambda primals, tangents: (square(*primals), 7.0 * tangents[0]))
    t = traced(lambda x: jax.grad(lambda y: jnp.sum(square(y)))(x))
    np.testing.assert_array_equal(np.asarray(t.as_run(t.point.leaves)[0]), [7, 7, 7])


def test_as_run_under_x64_for_float64_points():
    """A float64 point runs in float64 although x64 is off outside."""
    t = traced(lambda x: jnp.sum(x / 3), np.array([1.0, 2.0]))
    (ran,) = t.as_run(t.point.leaves)
    assert ran.dtype == np.float64 and abs(float(ran) - 1.0) <= 2 * U64


def test_more_arguments_are_put_together_from_leaves():
    """A direction between x and args arrives in the user's containers."""
    at = {"w": X, "b": np.float32(1.0)}
    point = read_point(at)
    direction = (point.leaves, point.tree)
    t = Traced("hvp", lambda x, v, s: {"w": v["w"] * s, "b": v["b"] * x["b"]}, point, (2.0,), direction)
    outs = t.as_run(point.leaves, [np.float32(3.0), X])
    np.testing.assert_array_equal(np.asarray(outs[0]), 3.0)
    np.testing.assert_array_equal(np.asarray(outs[1]), 2 * X)


def test_stops_are_kept_on_request():
    """run(keep_stops=True) differentiates as JAX does; the default differentiates the computation."""
    t = traced(lambda x: jnp.sum(x * jax.lax.stop_gradient(x)))
    with jax.enable_x64(True):
        for keep, factor in ((False, 2.0), (True, 1.0)):
            found = jax.grad(lambda x, keep=keep: t.run(t.consts, x, keep_stops=keep)[0])(t.point.wide())
            np.testing.assert_array_equal(np.asarray(found[0]), factor * X.astype(np.float64))


def test_the_narrow_run_uses_the_numbers_of_the_working_dtype():
    """0.1 is float32's 0.1 in the narrow trace and float64's in the wide one."""
    t = traced(lambda x: jnp.sum(x) * jnp.asarray(0.1))
    with jax.enable_x64(True):
        narrow = float(t.run_narrow(list(t.narrow.consts), t.point.wide())[0])
        wide = float(t.run(t.consts, t.point.wide())[0])
    assert abs(narrow + 0.25 * float(np.float32(0.1))) <= 4 * U64
    assert abs(wide + 0.25 * 0.1) <= 4 * U64


def test_random_constants_inside_jit_are_found():
    """Constants of a jitted part belong to its own jaxpr; they are compared between traces too."""
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two traces of it differ"):
        traced(lambda x: jax.jit(lambda y: y @ jnp.asarray(rng.standard_normal(3), jnp.float32))(x))


@pytest.mark.parametrize("made", ["inside", "outside"])
def test_constants_are_found_wherever_they_are_made(made):
    """A float32 table closed over is exact in float64; one built inside from Python numbers is built in float64."""
    values = [0.1, 0.2, 0.3]
    outside = jnp.asarray(values, jnp.float32)
    t = traced(lambda x: x @ (outside if made == "outside" else jnp.asarray(values)))
    table = np.float32(values).astype(np.float64) if made == "outside" else np.asarray(values)
    assert abs(wide_value(t) - X.astype(np.float64) @ table) <= 8 * U64
