"""Every argument: argnums, kwargs, auxiliary data, outputs and leaves that are no floats, and a declared intent."""

import functools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.choice import all_floats, choose_call, parameter_names, require_argnums
from jaxsoftmax.checker.crosscheck import crosscheck

X = np.array([0.5, -1.25, 2.0], np.float32)
Y = np.array([1.5, 0.75, -1.0], np.float32)


def product(x, y):
    return jnp.sum(x * y**2)


def chosen(fun, *arguments, kwargs=None, argnums=None, has_aux=False, rules=False):
    return choose_call(fun, arguments, kwargs or {}, argnums, has_aux=has_aux, rules=rules)


def bilinear(factor):
    """x y with a custom_vjp whose cotangent of y is scaled."""

    @jax.custom_vjp
    def fun(x, y):
        return jnp.sum(x * y)

    fun.defvjp(lambda x, y: (fun(x, y), (x, y)), lambda kept, ct: (kept[1] * ct, factor * kept[0] * ct))
    return fun


def test_without_rules_all_arguments_that_hold_floats_are_the_point():
    """Defect 5: a custom_vjp that is wrong in its second argument was AGREE, for only the first was looked at."""
    call, _, notes = chosen(bilinear(0.5), X, Y)
    assert call.argnums == (0, 1) and call.point.paths == ("x", "y")
    assert notes == ["fun's own derivatives were checked in x, y; argnums picks others"]


@pytest.mark.slow
def test_a_custom_rule_wrong_in_its_second_argument_disagrees():
    """Defect 5, end to end; with argnums=0 it is not looked at, as the user wants it."""
    report = crosscheck(bilinear(0.5), X, args=(Y,))
    assert report.verdict == "DISAGREE" and any(e.path.startswith("y[") for e in report.worst_entries), report
    assert crosscheck(bilinear(0.5), X, args=(Y,), argnums=0).verdict == "AGREE"


def test_a_right_custom_rule_agrees_in_all_arguments():
    """The wider default accuses no right rule."""
    assert crosscheck(bilinear(1.0), X, args=(Y,)).verdict == "AGREE"


def test_with_rules_the_point_is_x_and_a_note_names_what_was_held_fixed():
    """The rule's form says what it is the derivative in; that the rest was not checked is said."""
    call, _, notes = chosen(product, X, Y, rules=True)
    assert call.argnums == 0 and call.point.paths == ("",)
    assert len(notes) == 1 and notes[0].startswith("held fixed: y.") and "argnums=(0, 1)" in notes[0]
    assert chosen(product, X, Y, argnums=0, rules=True)[2] == []
    assert chosen(lambda x, n: jnp.sum(x**n), X, 3, rules=True)[2] == []


def test_an_argument_that_is_used_as_a_number_is_held_fixed():
    """A custom_vjp with nondiff_argnums, or a branch on a Python float: the next smaller choice is taken, and said."""

    @functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
    def scaled(x, c):
        return c * jnp.sum(x)

    scaled.defvjp(lambda x, c: (scaled(x, c), x), lambda c, x, ct: (c * ct * jnp.ones_like(x),))
    call, _, notes = chosen(scaled, X, 2.0)
    assert call.argnums == 0 and notes == ["held fixed, for JAX cannot differentiate fun there: c"]
    call, _, notes = chosen(lambda x, y, c: jnp.sum(x * y) if c > 1 else jnp.sum(x), X, Y, 2.0)
    assert call.argnums == (0, 1) and notes[-1] == "held fixed, for JAX cannot differentiate fun there: c"


def test_arguments_that_nobody_asked_for_keep_the_dtypes_that_they_have_beside_x():
    """A Python float, or NumPy's float64 where x64 is off, makes no float64 check of a float32 one."""
    call, _, _ = chosen(lambda x, y, c: c * jnp.sum(x * y), X, Y.astype(np.float64), 0.5)
    assert call.argnums == (0, 1, 2) and {str(leaf.dtype) for leaf in call.point.leaves} == {"float32"}
    call, _, _ = chosen(lambda x, c: c * jnp.sum(x), X.astype(np.float64), 0.5)
    assert {str(leaf.dtype) for leaf in call.point.leaves} == {"float64"}


def test_arguments_with_nan_integers_and_keys_are_no_candidates():
    arguments = (X, np.float32([np.nan]), np.arange(3), jax.random.key(0), "text", 2.0, np.zeros(0, np.float32))
    assert all_floats(arguments) == [(0, 5), (0,)]


def test_argnums_count_as_in_jax_grad():
    assert require_argnums(-1, 3) == 2 and require_argnums((0, -1), 3) == (0, 2) and require_argnums([1], 2) == (1,)


def test_parameters_are_named_as_the_function_names_them():
    """Else by their place."""
    assert parameter_names(jax.jit(product), 2) == ["x", "y"]
    assert parameter_names(lambda *a: a, 3) == ["at", "args[0]", "args[1]"]


@pytest.mark.slow_cases("1", "argnums1")
@pytest.mark.parametrize("argnums", [1, (0, 1), (1, 0)])
def test_rules_return_what_jax_grad_of_these_argnums_returns(argnums):
    """And the report names the argument."""
    gradient = jax.grad(product, argnums)
    assert crosscheck(product, X, args=(Y,), gradient=gradient, argnums=argnums).verdict == "AGREE"


@pytest.mark.slow
def test_an_error_is_named_by_argument_and_index():
    def gradient(x, y):
        return y**2, (2 * x * y).at[2].multiply(1.1)

    report = crosscheck(product, X, args=(Y,), gradient=gradient, argnums=(0, 1))
    assert report.verdict == "DISAGREE" and report.worst_entries[0].path == "y[2]"


def test_second_order_rules_take_and_return_tuples_too():
    """hvp(x, v, y) with v = (of x, of y); a Hessian as jax.hessian nests it."""

    def hvp(x, v, y):
        return 2 * y * v[1], 2 * y * v[0] + 2 * x * v[1]

    hessian = jax.hessian(product, (0, 1))
    rules = {"hvp": hvp, "hessian": hessian}
    assert crosscheck(product, X[:2], args=(Y[:2],), argnums=(0, 1), **rules).verdict == "AGREE"


def test_kwargs_reach_the_function_and_every_rule_and_are_widened():
    """0.1 in float32 is one number in the formula's check, so it agrees to float64's rounding."""

    def fun(x, *, scale, power=2):
        return jnp.sum(scale * x**power)

    kwargs = {"scale": np.float32(0.1), "power": 3}
    report = crosscheck(fun, X, kwargs=kwargs, gradient=lambda x, *, scale, power: scale * power * x ** (power - 1))
    assert report.verdict == "AGREE" and report.resolution < 1e-12


@pytest.mark.slow
def test_auxiliary_data_are_left_out_and_named():
    """As jax.value_and_grad(has_aux=True) and jax.grad(has_aux=True) have it."""

    def fun(x):
        return jnp.sum(jnp.sin(x)), {"n": x.size, "x": x}

    rules = {"value_and_gradient": jax.value_and_grad(fun, has_aux=True), "gradient": jax.grad(fun, has_aux=True)}
    report = crosscheck(fun, X, has_aux=True, **rules)
    assert report.verdict == "AGREE"
    assert "the auxiliary output was left out (has_aux): aux['n'], aux['x']" in report.notes
    named = lambda x: (jnp.sum(jnp.sin(x)), "not even an array")  # noqa: E731
    assert choose_call(named, (X,), {}, None, has_aux=True, rules=True)[0].aux == ("",)


def test_outputs_that_are_no_floats_are_passed_over_and_named():
    """jax.jvp gives float0 in their places; a vjp gets float0 there."""

    def fun(x):
        return {"loss": jnp.sin(x), "right": x > 0}

    rules = {"jvp": lambda x, v: jax.jvp(fun, (x,), (v,))[1], "vjp": lambda x, ct: jnp.cos(x) * ct["loss"]}
    report = crosscheck(fun, X, **rules)
    assert report.verdict == "AGREE"
    assert "outputs that are no floats were passed over: output['right']" in report.notes


class Layer(typing.NamedTuple):
    w: typing.Any
    width: typing.Any
    activation: typing.Any
    name: typing.Any


LAYER = Layer(X, 3, jnp.sin, "first")


def run(layer):
    assert layer.width == 3 and layer.name == "first"
    return jnp.sum(layer.activation(layer.w))


@pytest.mark.slow_cases("None as equinox")
@pytest.mark.parametrize(
    "others",
    [(None, None, None), (np.zeros((), jax.dtypes.float0), jnp.sin, "first"), (0.0, 0.0, {"anything": 1})],
    ids=["None as equinox", "float0 as allow_int", "zeros"],
)
def test_leaves_that_are_no_floats_are_held_fixed_and_their_derivatives_not_looked_at(others):
    report = crosscheck(run, LAYER, gradient=lambda p: Layer(jnp.cos(p.w), *others))
    assert report.verdict == "AGREE"
    expected = "held fixed, since it is no float that can be checked: at.width, at.activation, at.name"
    assert [note for note in report.notes if "held fixed" in note] == [expected]


def test_directions_of_such_a_point_have_no_derivative_at_those_leaves():
    """float0 for integers, as jax.jvp wants it, and None for what is no number; a Hessian may leave the blocks out."""
    seen = []

    def hvp(p, v):
        seen.append(v)
        return Layer(-jnp.sin(p.w) * v.w, None, None, None)

    def hessian(p):
        return Layer(Layer(jnp.diag(-jnp.sin(p.w)), None, None, None), None, None, None)

    assert crosscheck(run, LAYER, hvp=hvp, hessian=hessian).verdict == "AGREE"
    assert seen[0].width.dtype == jax.dtypes.float0 and seen[0].activation is None


@pytest.mark.slow
def test_an_error_in_such_a_tree_is_found_and_named():
    report = crosscheck(run, LAYER, gradient=lambda p: Layer(jnp.cos(p.w).at[1].multiply(2), None, None, None))
    assert report.verdict == "DISAGREE" and report.worst_entries[0].path == ".w[1]"


@pytest.mark.slow
def test_a_point_of_integers_has_floats_in_another_argument():
    """An embedding: the table is the second argument."""

    def fun(index, table):
        return jnp.sum(table[index] ** 2)

    report = crosscheck(fun, np.array([0, 2]), args=(X,), gradient=jax.grad(fun, 1), argnums=1)
    assert report.verdict == "AGREE"


def straight_through(x):
    return jnp.sum(x + jax.lax.stop_gradient(jnp.round(x) - x))


def test_a_straight_through_estimator_agrees_with_its_intent():
    report = crosscheck(straight_through, X, intent=jnp.sum, gradient=jnp.ones_like)
    assert report.verdict == "AGREE" and any("the values of the two were not compared" in n for n in report.notes)


@pytest.mark.slow_cases("0.25-DISAGREE", "0.5-AGREE")
@pytest.mark.parametrize(("meant", "verdict"), [(0.5, "AGREE"), (0.25, "DISAGREE")])
def test_a_gradient_reversal_is_held_to_its_intent(meant, verdict):
    """Without a rule: the custom_vjp of the function itself; a factor other than the one meant is seen."""

    @jax.custom_vjp
    def reversal(x):
        return x

    reversal.defvjp(lambda x: (x, None), lambda _, ct: (-0.5 * ct,))
    assert crosscheck(reversal, X, intent=lambda x: -meant * x).verdict == verdict


def test_the_value_beside_a_gradient_is_not_held_to_the_intent():
    rule = lambda x: (straight_through(x), jnp.ones_like(x))  # noqa: E731
    assert crosscheck(straight_through, X, intent=jnp.sum, value_and_gradient=rule).verdict == "AGREE"
