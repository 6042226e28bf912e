"""The boundary of crosscheck: every bad input is refused with the argument, what was given and the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.inputs.arguments import read_point, require_like
from jaxsoftmax.checker.inputs.budget import Budget, Clock, as_budget

X = np.float32([1, 2])
RNG = np.random.default_rng(0)


def f(x):
    return jnp.sum(jnp.sin(x))


def g(x):
    return jnp.cos(x)


def printing(x):
    jax.debug.print("x = {}", x)
    return jnp.sum(x)


def raising(x):
    raise RuntimeError("no such table")


def holding_a_tracer():
    kept = []
    jax.make_jaxpr(lambda y: kept.append(y * 2) or y)(X)
    return lambda x: jnp.sum(x * kept[0])


def counting():
    log = []
    return lambda x: jnp.sum(x) * (log.append(1) or len(log))


def writing_to_a_reference():
    ref = jax.new_ref(jnp.zeros(())) if hasattr(jax, "new_ref") else None
    if ref is None:
        return printing

    def fun(x):
        ref[...] = jnp.sum(x)
        return jnp.sum(x)

    return fun


# name: (fun, at, keywords, error, words of the message: the argument, what was given, the remedy)
BAD = {
    "a vector with a gradient": (jnp.sin, X, {"gradient": g}, ValueError, ["fun: returned shape (2,)", "jvp or vjp"]),
    "a vector with a hessian": (jnp.sin, X, {"hessian": g}, ValueError, ["fun: returned shape (2,)", "Sum"]),
    "a vector with psd": (jnp.sin, X, {"psd": True, "jvp": lambda x, v: v}, ValueError, ["fun: returned shape (2,)"]),
    "auxiliary data": (
        lambda x: (f(x), x), X, {"gradient": g}, TypeError, ["fun: returned", "float32[2]", "has_aux=True"],
    ),
    "an integer": (lambda x: jnp.int32(1), X, {}, TypeError, ["fun: output has dtype int32", "no output is a float"]),
    "a complex number": (lambda x: f(x) * 1j, X, {}, TypeError, ["fun: output has dtype complex64", "two outputs"]),
    "a complex number among outputs": (
        lambda x: {"a": x, "z": x * 1j}, X, {}, TypeError, ["fun: output['z'] has dtype complex64", "two outputs"],
    ),
    "Booleans alone": (lambda x: x > 0, X, {}, TypeError, ["fun: output has dtype bool", "no output is a float"]),
    "nothing": (lambda x: None, X, {}, ValueError, ["fun: returned nothing", "Return the value"]),
    "a string": (lambda x: "abc", X, {}, (TypeError, ValueError), ["fun:"]),
    "raises": (raising, X, {}, ValueError, ["fun: raised RuntimeError", "no such table", "Call fun yourself"]),
    "NaN at the point": (lambda x: jnp.sum(jnp.log(-x)), X, {}, ValueError, ["fun: returned nan", "Move `at`"]),
    "inf at the point": (lambda x: jnp.sum(jnp.exp(99 * x)), X, {}, ValueError, ["fun: returned inf", "rescale"]),
    "NaN in one output": (lambda x: jnp.log(x - 1.5), X, {"jvp": lambda x, v: v / (x - 1.5)}, ValueError, ["nan"]),
    "NumPy code": (lambda x: np.sum(np.asarray(x)), X, {}, TypeError, ["fun: JAX cannot trace it", "jax.numpy"]),
    "float()": (lambda x: float(x[0]), X, {}, TypeError, ["fun: JAX cannot trace it", "Write it with jax.numpy"]),
    "int()": (lambda x: x[int(x[0])], X, {}, TypeError, ["fun: JAX cannot trace it", "Write it with jax.numpy"]),
    "a branch on values": (lambda x: x[0] if x[0] > 0 else x[1], X, {}, TypeError, ["fun: JAX cannot", "jax.lax"]),
    "a Boolean mask": (lambda x: jnp.sum(x[x > 1]), X, {}, TypeError, ["fun: JAX cannot trace it", "jax.numpy"]),
    "a closed-over tracer": (holding_a_tracer(), X, {}, TypeError, ["fun: closes over a traced value", "args"]),
    "prints": (printing, X, {}, ValueError, ["fun: has side effects", "Check the function without them"]),
    "writes": (writing_to_a_reference(), X, {}, ValueError, ["fun: has side effects", "without them"]),
    "counts its calls": (counting(), X, {}, ValueError, ["fun: two traces of it differ", "through args"]),
    "random": (lambda x: f(x) * RNG.random(), X, {}, ValueError, ["fun: two traces of it differ", "Pass keys"]),
    "random array": (lambda x: x @ RNG.random(2, np.float32), X, {}, ValueError, ["two traces of it differ"]),
    "not callable": (3, X, {}, TypeError, ["fun: got 3, an int", "a function is needed"]),
    "integers": (f, np.array([1, 2]), {}, TypeError, ["at: got a NumPy array of dtype int", "through args"]),
    "a Python int": (f, 3, {}, TypeError, ["at: got 3, an int", "float arrays", "through args"]),
    "Booleans": (f, X > 1, {}, TypeError, ["at: got a NumPy array of dtype bool", "through args"]),
    "a complex leaf": (f, np.complex64([1, 2]), {}, TypeError, ["at: got", "complex64", "conjugate", "two real"]),
    "a complex leaf beside a float": (f, [X, 1j], {}, TypeError, ["at[1]: got 1j, a complex", "two real leaves"]),
    "a complex argument": (
        lambda x, y: f(x), X, {"args": (1j,), "argnums": (0, 1)}, TypeError, ["y: got 1j", "two real leaves"],
    ),
    "a key as a leaf": (f, {"k": jax.random.key(0)}, {}, TypeError, ["at['k']: got", "through args"]),
    "NaN entries": (f, np.float32([1, np.nan]), {}, ValueError, ["at: has NaN or infinite", "finite point"]),
    "infinite leaf": (f, {"w": np.float32(np.inf)}, {}, ValueError, ["at['w']: has NaN or infinite", "finite point"]),
    "no leaves": (f, {}, {}, ValueError, ["at: has no leaves", "Give an array or a pytree"]),
    "None": (f, None, {}, ValueError, ["at: has no leaves", "Give an array or a pytree"]),
    "no entries": (f, np.zeros((0,), np.float32), {}, ValueError, ["at: has no entries", "not empty"]),
    "a string as point": (f, "abc", {}, TypeError, ["at: got 'abc', a str", "float arrays"]),
    "longdouble": (f, np.ones(2, np.longdouble), {}, TypeError, ["at: got", "JAX has no such float", "Use float64"]),
    "args no tuple": (f, X, {"args": 3}, TypeError, ["args: got 3", "args=(value,)"]),
    "args a list": (f, X, {"args": [3]}, TypeError, ["args: got [3]", "args=(value,)"]),
    "too many args": (f, X, {"args": (3,)}, ValueError, ["fun: raised TypeError", "positional argument"]),
    "args beyond the last": (f, X, {"argnums": 1}, ValueError, ["argnums: got 1", "1 arguments", "from 0"]),
    "an argument twice": (f, X, {"argnums": (0, 0)}, ValueError, ["argnums: got (0, 0)", "once"]),
    "a text for argnums": (f, X, {"argnums": "x"}, TypeError, ["argnums: got 'x'", "tuple of ints"]),
    "kwargs no dict": (f, X, {"kwargs": (1,)}, TypeError, ["kwargs: got (1,)", "give a dict"]),
    "no auxiliary data": (f, X, {"has_aux": True}, TypeError, ["fun: returned", "pair (value, auxiliary data)"]),
    "a number for has_aux": (f, X, {"has_aux": 1}, TypeError, ["has_aux: got 1", "True or False"]),
    "an intent no callable": (f, X, {"intent": 3}, TypeError, ["intent: got 3", "a function is needed"]),
    "an intent of another shape": (
        lambda x: x, X, {"intent": f}, ValueError, ["intent: returned shape ()", "expected (2,)"],
    ),
    "None where x is a float": (
        lambda p: f(p[0]), [X, 3], {"gradient": lambda p: [None, 3]}, TypeError,
        ["gradient[0]: returned a NoneType", "static"],
    ),
    "another tree with an int": (
        lambda p: f(p[0]), [X, 3], {"gradient": lambda p: [g(p[0])]}, TypeError,
        ["gradient: returned the tree", "same containers"],
    ),
    "a number as key": (f, X, {"key": 3}, TypeError, ["key: got 3", "jax.random.key(0)"]),
    "a text budget": (f, X, {"budget": "a"}, TypeError, ["budget: got 'a'", "give seconds or"]),
    "True as budget": (f, X, {"budget": True}, TypeError, ["budget: got True", "give seconds or"]),
    "no budget": (f, X, {"budget": 0}, ValueError, ["budget: got 0", "a number > 0"]),
    "another policy": (f, X, {"dtype_policy": "f"}, ValueError, ["dtype_policy: got 'f'", "'widen' or 'working'"]),
    "a text for psd": (f, X, {"psd": "yes"}, TypeError, ["psd: got 'yes'", "True or False"]),
    "a twin no callable": (f, X, {"twin": 3}, TypeError, ["twin: got 3, an int", "a function is needed"]),
    "gradient no callable": (f, X, {"gradient": 3}, TypeError, ["gradient: got 3, an int", "a function is needed"]),
    "another tree": (
        f, X, {"gradient": lambda x: {"a": g(x)}}, TypeError, ["gradient: returned the tree", "'a'", "same containers"],
    ),
    "another key": (
        lambda p: f(p["w"]), {"w": X}, {"gradient": lambda p: {"v": p["w"]}}, TypeError,
        ["gradient: returned the tree", "'v'", "'w'"],
    ),
    "another shape": (
        f, X, {"gradient": lambda x: g(x)[:1]}, ValueError,
        ["gradient: returned shape (1,)", "expected (2,)", "Return that shape"],
    ),
    "another shape in a leaf": (
        lambda p: f(p["w"]), {"w": X}, {"gradient": lambda p: {"w": p["w"][None]}}, ValueError,
        ["gradient['w']: returned shape (1, 2)", "expected (2,)"],
    ),
    "another dtype": (
        f, X, {"gradient": lambda x: g(x).astype(jnp.bfloat16)}, TypeError,
        ["gradient: returned dtype bfloat16", "expected float32", "Return that dtype"],
    ),
    "integers as gradient": (
        f, X, {"gradient": lambda x: g(x).astype(int)}, TypeError, ["gradient: returned dtype int32", "float32"],
    ),
    "None as gradient": (f, X, {"gradient": lambda x: None}, TypeError, ["gradient: returned the tree", "None"]),
    "a raising rule": (f, X, {"gradient": lambda x: x.foo}, ValueError, ["gradient: raised AttributeError", "foo"]),
    "a NumPy rule": (
        f, X, {"gradient": lambda x: np.cos(np.asarray(x))}, TypeError, ["gradient: JAX cannot trace it", "jax.numpy"],
    ),
    "a printing rule": (
        f, X, {"gradient": lambda x: jax.debug.print("") or g(x)}, ValueError, ["gradient: has side effects"],
    ),
    "no pair": (f, X, {"value_and_gradient": g}, TypeError, ["value_and_gradient: returned", "pair (value, gradient)"]),
    "a triple": (
        f, X, {"value_and_gradient": lambda x: (f(x), g(x), 1)}, TypeError, ["value_and_gradient: returned", "pair"],
    ),
    "a pair with a vector for the value": (
        f, X, {"value_and_gradient": lambda x: (x, g(x))}, ValueError,
        ["value_and_gradient: value: returned shape (2,)", "expected ()"],
    ),
    "a pair with a short gradient": (
        f, X, {"value_and_gradient": lambda x: (f(x), g(x)[:1])}, ValueError,
        ["value_and_gradient: gradient: returned shape (1,)", "expected (2,)"],
    ),
    "hvp of x alone": (f, X, {"hvp": lambda x: g(x)}, ValueError, ["hvp: raised TypeError", "positional"]),
    "hvp of another shape": (f, X, {"hvp": lambda x, v: v[:1]}, ValueError, ["hvp: returned shape (1,)", "(2,)"]),
    "a vector for a Hessian": (f, X, {"hessian": g}, ValueError, ["hessian: returned a block of shape (2,)", "(2, 2)"]),
    "nested Hessian of wrong blocks": (
        lambda p: f(p["w"]), {"w": X}, {"hessian": lambda p: {"w": {"w": p["w"]}}}, ValueError,
        ["hessian: returned a block of shape (2,)", "to_dense()"],
    ),
    "a Hessian of half a tree": (
        lambda p: f(p[0]) + p[1], (X, np.float32(1)), {"hessian": lambda p: (p[0],)}, ValueError,
        ["hessian: returned a tuple", "jax.hessian returns"],
    ),
    "None as Hessian": (f, X, {"hessian": lambda x: None}, ValueError, ["hessian: returned a", "to_dense()"]),
    "a Hessian of integers": (
        f, X, {"hessian": lambda x: jnp.ones((2, 2), int)}, TypeError, ["hessian: returned dtype int32", "float32"],
    ),
    "jvp of another shape": (
        lambda x: jnp.stack([x, x]), X, {"jvp": lambda x, v: v}, ValueError, ["jvp: returned shape (2,)", "(2, 2)"],
    ),
    "vjp of another shape": (
        lambda x: jnp.stack([x, x]), X, {"vjp": lambda x, ct: ct}, ValueError, ["vjp: returned shape (2, 2)", "(2,)"],
    ),
    "jvp of another tree": (
        lambda x: {"a": x}, X, {"jvp": lambda x, v: v}, TypeError, ["jvp: returned the tree", "same containers"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fun", "at", "keywords", "error", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_by_name(fun, at, keywords, error, words):
    """The message names the argument, what was given, and what to do; it is one line."""
    with pytest.raises(error) as caught:
        crosscheck(fun, at, **keywords)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and message.rstrip().endswith((".", ")"))


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap], ids=["jit", "grad", "vmap"])
def test_a_check_inside_a_transformation_is_refused(transform):
    """A traced point, or a traced value closed over, has no numbers to check."""
    with pytest.raises(TypeError, match=r"crosscheck: called while JAX traces|at: is traced|traced value"):
        transform(lambda x: crosscheck(f, x) and x.sum())(X)

    def inner(y):
        crosscheck(lambda x: jnp.sum(x * y), X)
        return y.sum()

    with pytest.raises(TypeError, match=r"crosscheck: called while|closes over a traced value"):
        transform(inner)(X)


def test_a_deleted_array_is_refused():
    """A donated buffer, for example: JAX itself would say so from inside."""
    gone = jnp.asarray(X)
    gone.delete()
    with pytest.raises(ValueError, match="at: the array was deleted or donated"):
        crosscheck(f, gone)


def test_a_hand_rule_that_gives_nan_disagrees():
    """A NaN where autodiff has a number is an error of the rule, not of the input."""
    report = crosscheck(f, X, gradient=lambda x: x * jnp.nan)
    assert report.verdict == "DISAGREE" and report.worst.ratio == np.inf


def test_a_wrong_value_of_value_and_gradient_disagrees():
    report = crosscheck(f, X, value_and_gradient=lambda x: (2 * f(x), g(x)))
    assert [s.quantity for s in report.statements if not s.passed] == [
        "value of value_and_gradient",
        "value of value_and_gradient, as it runs in float32",
    ]


def test_a_point_keeps_names_dtypes_and_containers():
    """Paths name the leaves; float64 leaves stay float64 although x64 is off outside."""
    at = {"b": np.float64(2.5), "w": [np.ones((2, 3), np.float32), jnp.ones(2, jnp.bfloat16)]}
    point = read_point(at)
    assert point.paths == ("['b']", "['w'][0]", "['w'][1]") and point.size == 9 and point.double
    assert [str(leaf.dtype) for leaf in point.leaves] == ["float64", "float32", "bfloat16"]
    assert point.dtype == "bfloat16, float32, float64" and point.eps == 2.0**-7
    assert point.tiny == float(jnp.finfo(jnp.bfloat16).tiny)
    assert jax.tree.structure(point.unflatten(point.leaves)) == jax.tree.structure(at)
    with jax.enable_x64(True):
        assert all(leaf.dtype == np.float64 for leaf in point.wide())


def test_python_floats_are_float32_where_x64_is_off():
    """[1.0, 2.0] means what jnp.asarray makes of it."""
    assert [str(leaf.dtype) for leaf in read_point([1.0, 2.0]).leaves] == ["float32", "float32"]


def test_python_floats_are_float64_where_x64_is_on(x64):
    assert [str(leaf.dtype) for leaf in read_point([1.0, 2.0]).leaves] == ["float64", "float64"]


def test_require_like_compares_dtypes_only_when_asked():
    like = [np.ones(2, np.float32)]
    require_like("rule", [np.ones(2, np.float64)], like, [""], dtypes=False)
    with pytest.raises(TypeError, match=r"rule: returned dtype float64; expected float32"):
        require_like("rule", [np.ones(2, np.float64)], like, [""])


def test_a_budget_is_seconds_bytes_or_the_default():
    assert as_budget(None) == Budget() and as_budget(2.5) == Budget(seconds=2.5)
    kept = Budget(seconds=1, bytes=2**20)
    assert as_budget(kept) is kept
    with pytest.raises(ValueError, match=r"budget\.bytes: got -1"):
        Budget(bytes=-1)
    with pytest.raises(TypeError, match=r"budget\.seconds: got 'x'"):
        Budget(seconds="x")


def test_a_clock_allows_a_share_of_its_seconds(monkeypatch):
    """After 30 of 60 seconds, more than half of the budget is no longer there; 0.6 of it is."""
    clock = Clock(Budget(seconds=60))
    clock.began = 512.0  # a number whose sums and differences here are exact
    monkeypatch.setattr("time.perf_counter", lambda: clock.began + 30)
    assert clock.seconds == 30 and clock.allows() and clock.allows(0.6) and not clock.allows(0.5)
