"""Functions that an equation defines: bisections, loops that stop at a tolerance, implicit layers; both orders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.stages import fast
from jaxsoftmax.checker.assertions import assert_derivatives
from jaxsoftmax.checker.choice import choose_call
from jaxsoftmax.checker.compare.jacobian import read_outputs
from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.equation import AtRoot, implicit_function
from jaxsoftmax.checker.numeric.differences import directional_difference

X = np.float32([1.0, 2.0])


def bisected(a):
    """The square root: no digit of it depends on a through anything but comparisons."""

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        above = middle**2 > a
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, 60, halve, (jnp.zeros_like(a), jnp.full_like(a, 4.0)))
    return (low + high) / 2


def squared(y, a):
    return y**2 - a


@pytest.mark.slow_cases("2.0-DISAGREE", "0.0-DISAGREE", "1.0-AGREE")
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "AGREE"), (0.0, "DISAGREE"), (2.0, "DISAGREE")])
def test_a_bisection_is_held_to_its_equation(factor, verdict):
    report = crosscheck(bisected, np.float64(2.0), gradient=lambda a: factor * 0.5 / jnp.sqrt(a), equation=squared)
    assert report.verdict == verdict, str(report)
    assert any("fun's value solves it to rounding" in note for note in report.notes)


def test_an_error_that_differences_do_not_see_is_seen():
    wrong = lambda a: (1 + 1e-11) * 0.5 / jnp.sqrt(a)  # noqa: E731
    assert crosscheck(bisected, np.float64(2.0), gradient=wrong, equation=squared).verdict == "DISAGREE"


def test_the_quick_check_takes_an_equation_too():
    assert_derivatives(bisected, np.float32(2.0), gradient=lambda a: 0.5 / jnp.sqrt(a), equation=squared)


RULES = {
    "right": ("AGREE", lambda a: -0.25 * a**-1.5),
    "wrong by a tenth": ("DISAGREE", lambda a: -0.275 * a**-1.5),
    "zero": ("DISAGREE", lambda a: 0 * a),
}


@pytest.mark.slow_cases("right-hessian", "wrong by a tenth-hessian")
@pytest.mark.parametrize("kind", fast(["hvp", "hessian"], 1))
@pytest.mark.parametrize(("verdict", "second"), RULES.values(), ids=RULES)
def test_second_order_of_a_root(kind, verdict, second):
    rule = {"hvp": lambda a, v: second(a) * v, "hessian": lambda a: second(a)[None, None]}[kind]
    report = crosscheck(bisected, np.float64(2.0), equation=squared, **{kind: rule})
    assert report.verdict == verdict, str(report)


W = np.array([[0.3, -0.2, 0.1], [0.4, 0.1, -0.3], [-0.1, 0.2, 0.25]])
Z = np.array([0.5, -0.3, 0.8])


def layer(transposed):
    """z = tanh(W z + x), by a loop that stops at 1e-9, with the rule of the implicit function."""

    @jax.custom_vjp
    def fixed_point(x):
        going = lambda s: jnp.max(jnp.abs(s[0] - s[1])) > 1e-9  # noqa: E731
        start = (jnp.zeros_like(x), jnp.ones_like(x))
        return jax.lax.while_loop(going, lambda s: (jnp.tanh(W @ s[0] + x), s[0]), start)[0]

    def forward(x):
        z = fixed_point(x)
        return z, (z, x)

    def backward(kept, ct):
        z, x = kept
        d = 1 - jnp.tanh(W @ z + x) ** 2
        matrix = jnp.eye(3) - d[:, None] * W
        return (d * jnp.linalg.solve(matrix.T if transposed else matrix, ct),)

    fixed_point.defvjp(forward, backward)
    return fixed_point


def layered(z, x):
    return z - jnp.tanh(W @ z + x)


@pytest.mark.slow
@pytest.mark.parametrize(("transposed", "verdict"), [(True, "AGREE"), (False, "DISAGREE")])
def test_an_implicit_layer_is_held_to_its_equation_in_both_orders(transposed, verdict):
    report = crosscheck(layer(transposed), Z, equation=layered)
    assert report.verdict == verdict, str(report)
    assert any(row.quantity.startswith("hvp of jax.grad of <w, fun>") for row in report.statements)


@pytest.mark.slow
def test_without_its_equation_a_layer_that_stops_at_a_tolerance_is_not_agreed():
    assert crosscheck(layer(True), Z).verdict in ("INCONCLUSIVE", "NOT CHECKED")


def loose(a):
    """A square root that is 1e-5 off."""
    return jax.lax.fori_loop(0, 12, lambda _, y: y - 0.2 * (y**2 - a), jnp.ones_like(a))


@pytest.mark.slow_cases("wrong")
@pytest.mark.parametrize("name", ["at the value", "at the root", "wrong"])
def test_a_solver_that_stops_early_leaves_two_right_derivatives(name):
    rules = {"at the value": lambda a: 0.5 / loose(a), "at the root": lambda a: 0.5 / jnp.sqrt(a)}
    rules["wrong"] = lambda a: 0.51 / jnp.sqrt(a)
    report = crosscheck(loose, np.float64(2.0), gradient=rules[name], equation=squared)
    assert report.verdict == ("DISAGREE" if name == "wrong" else "AGREE"), str(report)
    assert any("(relative) off its root" in note for note in report.notes)


@pytest.mark.slow_cases("AtRoot")
@pytest.mark.parametrize("wrap", fast([lambda e: e, AtRoot], 1))
def test_three_derivatives_and_the_differences_are_those_of_the_root(wrap):
    at = np.float64(2.0)
    call, traced, _ = choose_call(bisected, (at,), {}, None, has_aux=False, rules=True)
    found = implicit_function(call, traced, read_outputs(traced.out), wrap(squared)).function
    with jax.enable_x64(True):
        x, ones = jnp.asarray(at), jnp.asarray(1.0)
        fun = lambda x: found(x, *call.args)  # noqa: E731
        for order, truth in enumerate([2**0.5, 0.5 * 2**-0.5, -0.25 * 2**-1.5, 0.375 * 2**-2.5]):
            derivative = fun
            for _ in range(order):
                derivative = jax.grad(derivative)
            assert abs(float(derivative(x)) - truth) <= 1e-14, order
        slope = directional_difference(lambda leaves: fun(leaves[0]), [x], [ones])
    assert abs(float(slope.value) - 0.5 * 2**-0.5) <= float(slope.error_estimate) <= 1e-11


@pytest.mark.slow
def test_trees_arguments_and_auxiliary_data_reach_the_equation():
    """Two roots in a dict beside a count, an argument and a keyword, with auxiliary data."""

    def fun(p, shift, *, scale):
        root = bisected(p["a"] + shift)
        return {"y": root, "n": jnp.int32(60), "z": scale * p["b"]}, "aux"

    def equation(y, p, shift, *, scale):
        assert y["n"] is None
        return [y["y"] ** 2 - p["a"] - shift, y["z"] / scale - p["b"]]

    def vjp(p, ct, shift, *, scale, wrong=0.0):
        return {"a": ct["y"] * (0.5 + wrong) / jnp.sqrt(p["a"] + shift), "b": scale * ct["z"]}

    at = {"a": X.astype(np.float64), "b": np.float64(0.3)}
    options = {"args": (0.5,), "kwargs": {"scale": 3.0}, "has_aux": True, "equation": equation}
    assert crosscheck(fun, at, vjp=vjp, **options).verdict == "AGREE"
    wrong = lambda *given, **more: vjp(*given, **more, wrong=1e-4)  # noqa: E731
    assert crosscheck(fun, at, vjp=wrong, **options).verdict == "DISAGREE"


CALLBACK = lambda y, a: jax.pure_callback(lambda b: np.asarray(b), jax.ShapeDtypeStruct(y.shape, y.dtype), y)  # noqa: E731
REFUSED = {
    "no callable": (3, TypeError, ["equation: got 3", "a function is needed"]),
    "too few arguments": (lambda y: y, ValueError, ["equation: raised TypeError", "Call equation yourself"]),
    "too few entries": (lambda y, a: (y**2 - a)[0], ValueError, ["equation: returned 1 entries; expected 2"]),
    "not finite": (lambda y, a: jnp.log(y - 5) - a, ValueError, ["equation: it, or a derivative", "not finite"]),
    "singular": (lambda y, a: (y**2 - a) ** 2, ValueError, ["F_y, its derivative in y, is singular"]),
    "without y": (lambda y, a: 0 * y + a, ValueError, ["F_y, its derivative in y, is singular"]),
    "another root": (
        lambda y, a: y**2 - 2 * a,
        ValueError,
        ["root nearest to fun's value is", "that fun's value solves"],
    ),
    "no root": (lambda y, a: y**2 + a, ValueError, ["does not find a root"]),
    "a callback": (CALLBACK, ValueError, ["JAX cannot differentiate it", "without callbacks"]),
}


@pytest.mark.parametrize(("equation", "error", "parts"), REFUSED.values(), ids=REFUSED)
def test_an_equation_that_cannot_be_used_is_refused_by_name(equation, error, parts):
    with pytest.raises(error) as caught:
        crosscheck(bisected, X, jvp=lambda a, v: v, equation=equation)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_an_equation_and_an_intent_are_refused_together_and_so_are_too_many_outputs():
    with pytest.raises(ValueError, match="equation: given together with intent"):
        crosscheck(bisected, X, jvp=lambda a, v: v, equation=squared, intent=jnp.sqrt)
    with pytest.raises(ValueError, match="equation: fun has 2001 outputs"):
        crosscheck(lambda x: x, np.ones(2001), jvp=lambda x, v: v, equation=lambda y, x: y - x)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["jaxopt", "optimistix"])
def test_implicit_derivatives_of_libraries_agree(library):
    """A fixed point of jaxopt and a root of optimistix, with the rules that the libraries give them."""
    module = pytest.importorskip(library)
    if library == "jaxopt":
        solver = module.FixedPointIteration(lambda z, x: jnp.tanh(W @ z + x), tol=1e-10, maxiter=200)
        fun = lambda x: solver.run(jnp.zeros(3), x).params  # noqa: E731
    else:
        newton = module.Newton(rtol=1e-10, atol=1e-10)
        fun = lambda x: module.root_find(layered, newton, jnp.zeros(3), x).value  # noqa: E731
    report = crosscheck(fun, Z, equation=layered)
    assert report.verdict == "AGREE", str(report)
