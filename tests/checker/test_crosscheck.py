"""Public behaviour of crosscheck: own rules, pytrees, dtypes, keys, budgets, shardings, and what the report holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.inputs.budget import Budget
from jaxsoftmax.checker.roundoff.interpreter import RULES, with_errors

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

RNG = np.random.default_rng(0)
X = np.float32([0.5, -1.25, 2.0])


def f(x, s=1.0):
    return s * jnp.sum(jnp.sin(x) * x)


def g(x, s=1.0):
    return s * (jnp.cos(x) * x + jnp.sin(x))


def named(report, word):
    return [s for s in report.statements if word in s.quantity]


def with_rule(kind, factor, wrap):
    """sum(softplus) with a custom rule of the given kind, scaled by factor, inside another construct."""
    if kind == "custom_jvp":

        @jax.custom_jvp
        def softplus(x):  # pyright: ignore[reportRedeclaration]
            return jnp.logaddexp(x, 0)

        softplus.defjvp(lambda p, t: (softplus(*p), factor * jax.nn.sigmoid(p[0]) * t[0]))
    else:

        @jax.custom_vjp
        def softplus(x):
            return jnp.logaddexp(x, 0)

        softplus.defvjp(lambda x: (softplus(x), x), lambda x, ct: (factor * jax.nn.sigmoid(x) * ct,))
    return {
        "bare": lambda x: jnp.sum(softplus(x)),
        "scan": lambda x: lax.scan(lambda c, y: (c + softplus(y * x[0]), None), jnp.zeros((), x.dtype), x)[0],
        "remat": lambda x: jax.checkpoint(lambda y: jnp.sum(softplus(y) ** 2))(x),
        "cond": lambda x: lax.cond(x[0] > 0, lambda y: jnp.sum(softplus(y)), jnp.sum, x),
    }[wrap]


@pytest.mark.parametrize(
    ("kind", "wrap"), [("custom_jvp", "bare"), ("custom_vjp", "scan"), ("custom_vjp", "cond"), ("custom_jvp", "remat")]
)
def test_own_rules_are_checked_wherever_they_are(kind, wrap):
    """A right rule agrees; one that is 0.1 % too large does not, and would if it were compared with itself."""
    right, wrong = (crosscheck(with_rule(kind, factor, wrap), X) for factor in (1.0, 1.001))
    assert right.verdict == "AGREE", right
    assert wrong.verdict == "DISAGREE" and not named(wrong, "jax.grad of fun")[0].passed
    assert named(right, "jax.grad of fun")


def test_own_rules_of_vector_functions_are_checked():
    @jax.custom_vjp
    def scaled(x):
        return jnp.tanh(x) * x[0]

    def backward(x, ct, factor=1.0):
        out = (1 - jnp.tanh(x) ** 2) * x[0] * ct
        return (factor * out.at[0].add(jnp.tanh(x) @ ct),)

    scaled.defvjp(lambda x: (scaled(x), x), backward)
    report = crosscheck(scaled, X)
    assert report.verdict == "AGREE" and named(report, "vjp")
    scaled.defvjp(lambda x: (scaled(x), x), lambda x, ct: backward(x, ct, 0.999))
    assert crosscheck(scaled, X).verdict == "DISAGREE"


def test_a_rule_right_in_first_and_wrong_in_second_order_is_seen():
    """The backward pass of a custom_vjp is itself differentiated: a stop_gradient in it makes the Hessian 0."""

    @jax.custom_vjp
    def square(x):
        return jnp.sum(x**3)

    square.defvjp(lambda x: (square(x), x), lambda x, ct: (lax.stop_gradient(3 * x**2) * ct,))
    report = crosscheck(square, X)
    assert report.verdict == "DISAGREE"
    assert all(s.passed for s in named(report, "jax.grad of fun") if s.statement == "first order")
    assert any(not s.passed for s in report.statements if s.statement == "second order")


def test_a_stop_gradient_makes_own_differentiation_disagree():
    """Σ x·stop(x): JAX's gradient is x, that of the function is 2x."""
    assert crosscheck(lambda x: jnp.sum(x * lax.stop_gradient(x)), X).verdict == "DISAGREE"


def test_a_function_without_rules_agrees_with_itself_and_says_so():
    report = crosscheck(f, X)
    assert report.verdict == "AGREE" and any("no custom rule" in note for note in report.notes)


def test_the_factor_is_held_to_rounding_and_not_to_a_tolerance():
    """1 + 10⁻⁶ is below float32's 32 ulps and far above float64's: the formula's row convicts."""
    report = crosscheck(f, X, gradient=lambda x: (1 + 1e-6) * g(x))
    assert report.verdict == "DISAGREE" and not named(report, "gradient")[0].passed
    assert report.resolution < 1e-12


DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": jnp.bfloat16,
}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_right_rules_agree_and_half_is_seen_in_every_float_dtype(dtype):
    """Also float64 while x64 is off outside: the rule runs under x64 then."""
    x = np.asarray(X).astype(dtype)
    assert crosscheck(f, x, gradient=g).verdict == "AGREE"
    report = crosscheck(f, x, gradient=lambda x: 0.5 * g(x))
    assert report.verdict == "DISAGREE"
    assert not named(report, f"as it runs in {np.dtype(dtype)}")[0].passed


def test_float64_scalars_and_mixed_leaves_keep_their_dtypes():
    at = {"a": np.float64(0.75), "b": X, "c": jnp.asarray([0.5], jnp.bfloat16)}
    fun = lambda p: jnp.sum(jnp.sin(p["b"])) * p["a"] + p["a"] ** 2 * p["c"][0].astype(p["a"].dtype)  # noqa: E731

    def gradient(p):
        c = p["c"].astype(p["a"].dtype)
        return {
            "a": jnp.sum(jnp.sin(p["b"])).astype(p["a"].dtype) + 2 * p["a"] * c[0],
            "b": (jnp.cos(p["b"]) * p["a"]).astype(p["b"].dtype),
            "c": (p["a"] ** 2)[None].astype(p["c"].dtype),
        }

    assert crosscheck(fun, at, gradient=gradient).verdict == "AGREE"
    report = crosscheck(fun, at, gradient=lambda p: {**gradient(p), "a": 1.001 * gradient(p)["a"]})
    assert report.verdict == "DISAGREE" and report.worst_entries[0].path == "['a']"


def test_pytrees_of_all_containers_are_points():
    import typing

    class Layer(typing.NamedTuple):
        w: typing.Any
        b: typing.Any

    at: typing.Any = [Layer(X, np.float32(0.5)), {"k": (X[:2],)}, None]  # pyright: ignore[reportIndexIssue]
    fun = lambda p: jnp.sum(p[0].w ** 2) * p[0].b + jnp.sum(p[1]["k"][0] ** 3)  # noqa: E731
    rule = lambda p: [Layer(2 * p[0].w * p[0].b, jnp.sum(p[0].w ** 2)), {"k": (3 * p[1]["k"][0] ** 2,)}, None]  # noqa: E731
    assert crosscheck(fun, at, gradient=rule).verdict == "AGREE"
    wrong = lambda p: [rule(p)[0], {"k": (3 * p[1]["k"][0] ** 2 + jnp.float32([0, 0.1]),)}, None]  # noqa: E731
    report = crosscheck(fun, at, gradient=wrong)
    assert report.verdict == "DISAGREE" and report.worst_entries[0].path == "[1]['k'][0][1]"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jitted_rules_with_closed_over_data_are_checked(dtype):
    """jit, static arguments and data closed over inside jit."""
    A = RNG.standard_normal((4, 3)).astype(dtype)
    fun = jax.jit(lambda x: jnp.sum((A @ x) ** 2))
    rule = jax.jit(lambda x: 2 * (A.T @ (A @ x)))
    assert crosscheck(fun, X.astype(dtype), gradient=rule).verdict == "AGREE"
    wrong = jax.jit(lambda x: A.T @ (A @ x))
    assert crosscheck(fun, X.astype(dtype), gradient=wrong).verdict == "DISAGREE"


def test_args_reach_the_function_and_every_rule():
    """Integers, keys and arrays in a pytree: fun(x, *args), gradient(x, *args), hvp(x, v, *args)."""
    index, key, table = np.array([0, 2]), jax.random.key(3), RNG.standard_normal(3).astype("f4")

    def mask(key):
        return jax.random.bernoulli(key, 0.5, (3,))

    fun = lambda x, i, k, t: jnp.sum(x[i] ** 2) + jnp.sum(mask(k) * x**3 * t["table"])  # noqa: E731

    def gradient(x, i, k, t):
        return jnp.zeros_like(x).at[i].add(2 * x[i]) + mask(k) * 3 * x**2 * t["table"]

    def hvp(x, v, i, k, t):
        return jnp.zeros_like(x).at[i].add(2 * v[i]) + mask(k) * 6 * x * t["table"] * v

    args = (index, key, {"table": table})
    assert crosscheck(fun, X, gradient=gradient, hvp=hvp, args=args).verdict == "AGREE"
    other = lambda x, i, k, t: gradient(x, i, jax.random.fold_in(k, 1), t)  # noqa: E731
    assert crosscheck(fun, X, gradient=other, args=args).verdict == "DISAGREE"


def test_old_style_keys_are_arguments_too():
    key = jax.random.PRNGKey(3)
    fun = lambda x, k: jnp.sum(x * jax.random.normal(k, x.shape, x.dtype))  # noqa: E731
    assert crosscheck(fun, X, gradient=jax.grad(fun), args=(key,)).verdict == "AGREE"


def test_other_keys_probe_other_directions_and_one_key_repeats():
    def probed(key):
        report = crosscheck(f, X, gradient=g, key=key)
        return [s.worst["ours"] for s in report.statements if "along directions" in s.quantity]

    assert probed(jax.random.key(1)) == probed(jax.random.key(1)) != probed(jax.random.key(2))


def test_working_policy_judges_the_rule_as_it_runs_only():
    """dtype_policy='working': no formula row; 1 + 10⁻⁵ is seen in float32, 1 + 10⁻⁹ is not."""
    report = crosscheck(f, X, gradient=g, dtype_policy="working")
    assert report.verdict == "AGREE"
    assert "gradient" not in {s.quantity for s in report.statements}
    assert crosscheck(f, X, gradient=lambda x: (1 + 1e-5) * g(x), dtype_policy="working").verdict == "DISAGREE"


def test_a_demotion_is_seen_as_it_runs():
    """A rule that goes through bfloat16 is right as a formula and wrong by 2⁻⁹ in float32."""
    report = crosscheck(f, X, gradient=lambda x: g(x.astype(jnp.bfloat16)).astype(x.dtype))
    assert report.verdict == "DISAGREE"
    assert not named(report, "gradient, as it runs in float32")[0].passed


def test_a_rule_with_its_own_precomputed_float32_data_does_not_disagree():
    """A Gram matrix formed outside in float32 is off by float32's rounding: the rule is right in its dtype."""
    A = RNG.standard_normal((6, 3)).astype("f4")
    gram = A.T @ A
    gradient = lambda x: gram @ x  # noqa: E731
    assert crosscheck(lambda x: jnp.sum((A @ x) ** 2) / 2, X, gradient=gradient).verdict != "DISAGREE"
    c = RNG.standard_normal(3).astype("f4")
    assert crosscheck(lambda x: jnp.sum(c * x**3), X, gradient=lambda x: 3 * c * x**2).verdict != "DISAGREE"
    rules = {"hvp": lambda x, v: 6 * c * x * v, "hessian": lambda x: jnp.diag(6 * c * x)}
    rules |= {"jvp": lambda x, v: jnp.sum(3 * c * x**2 * v), "gradient": lambda x: 3 * c * x**2}
    report = crosscheck(lambda x: jnp.sum(c * x**3), X, **rules)
    assert report.verdict != "DISAGREE" and any("closes over float32 data" in note for note in report.notes), report
    report = crosscheck(lambda x: jnp.sum(c * x**3), X, gradient=lambda x: 3.0001 * c * x**2)
    assert report.verdict == "DISAGREE"


def foreign_gradient(factor):
    def outside(x):
        x = np.asarray(x)
        return (factor * (np.cos(x) * x + np.sin(x))).astype(x.dtype)

    return lambda x: jax.pure_callback(outside, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


def test_a_hand_rule_of_foreign_code_is_checked():
    """A gradient behind a callback has no rounding bound of its own: the truth's stands in, and 1 % is seen."""
    report = crosscheck(f, X, gradient=foreign_gradient(1.0))
    assert report.verdict == "AGREE" and any("has no rounding bound" in n for n in report.notes)
    assert crosscheck(f, X, gradient=foreign_gradient(1.01)).verdict == "DISAGREE"


def foreign(factor):
    @jax.custom_jvp
    def sin(x):
        return jax.pure_callback(
            lambda y: np.sin(np.asarray(y)), jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="expand_dims"
        )

    sin.defjvp(lambda p, t: (sin(*p), factor * jnp.cos(p[0]) * t[0]))
    return lambda x: jnp.sum(sin(x))


def test_own_rules_of_foreign_code_are_held_to_differences():
    """A callback with a custom_jvp: nothing is left to differentiate, differences stand in and say so."""
    report = crosscheck(foreign(1.0), X)
    assert report.verdict in ("AGREE", "ROUNDING") and any(
        "finite differences were used instead" in n for n in report.notes
    )
    assert crosscheck(foreign(1.1), X).verdict == "DISAGREE"


def test_foreign_code_of_many_entries_is_refused():
    with pytest.raises(ValueError, match=r"fun: without its custom rules JAX cannot differentiate it, and 300 entries"):
        crosscheck(foreign(1.0), np.ones(300, "f4"))


def test_a_while_loop_is_checked_by_forward_mode():
    """A custom_vjp over a while loop: the stripped function has forward mode alone."""

    @jax.custom_vjp
    def cubed(x):
        return lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * x), (0, x))[1].sum()

    cubed.defvjp(lambda x: (cubed(x), x), lambda x, ct: (3 * x**2 * ct,))
    report = crosscheck(cubed, X)
    assert report.verdict == "AGREE", report
    assert "forward autodiff (float64)" in {s.route for s in named(report, "jax.grad of fun")}
    cubed.defvjp(lambda x: (cubed(x), x), lambda x, ct: (2 * x**2 * ct,))
    assert crosscheck(cubed, X).verdict == "DISAGREE"


def test_the_report_holds_what_it_promises():
    report = crosscheck(lambda p: f(p["w"]), {"w": X}, gradient=lambda p: {"w": g(p["w"]).at[1].multiply(2)})
    assert report.verdict == "DISAGREE"
    worst = report.worst_entries[0]
    assert worst.path == "['w'][1]" and worst.ours == pytest.approx(2 * worst.theirs, rel=1e-5)
    assert report.seconds > 0 and report.evaluations > 3 and 0 < report.resolution < 1e-12
    assert report.ulp_histogram is not None and report.worst.ratio > 1
    assert json.loads(json.dumps(report.to_dict()))["verdict"] == "DISAGREE"
    with pytest.raises(AssertionError, match="DISAGREE"):
        report.raise_unless_agree()


def test_nothing_of_jaxs_configuration_is_changed_and_float64_stays_inside():
    """The guard of conftest.py watches the configuration; results are NumPy and Python numbers."""
    assert not jax.config.jax_enable_x64
    report = crosscheck(f, X.astype(np.float64), gradient=g)
    assert not jax.config.jax_enable_x64 and report.verdict == "AGREE"


def test_a_check_works_under_x64_too(x64):
    assert crosscheck(f, X, gradient=g).verdict == "AGREE"
    assert crosscheck(f, X.astype(np.float64), gradient=lambda x: 0.5 * g(x)).verdict == "DISAGREE"


def test_a_constant_function_agrees_with_a_zero_gradient_only():
    fun = lambda x: jnp.float32(3.0)  # noqa: E731
    assert crosscheck(fun, X, gradient=lambda x: 0 * x).verdict == "AGREE"
    assert crosscheck(fun, X, gradient=lambda x: 1e-3 * jnp.ones_like(x)).verdict == "DISAGREE"


def test_a_spent_budget_still_compares_every_entry_of_the_gradient():
    report = crosscheck(f, X, gradient=lambda x: g(x).at[2].multiply(1.01), budget=1e-3)
    assert report.verdict == "DISAGREE" and not named(report, "gradient")[0].passed
    assert any("no time was left in the budget to name the error" in note for note in report.notes)


def test_a_spent_budget_says_what_of_a_functions_own_rules_was_not_checked():
    @jax.custom_jvp
    def cube(x):
        return jnp.sum(x**3)

    cube.defjvp(lambda primals, tangents: (cube(*primals), jnp.sum(3 * primals[0] ** 2 * tangents[0])))
    report = crosscheck(cube, X, budget=1e-3)
    assert report.verdict == "NOT CHECKED" and named(report, "jax.grad of fun")[0].passed
    assert [row.note for row in report.statements if row.passed is None][-1].startswith("no time was left")


def test_weakly_typed_and_python_scalars_are_points():
    assert crosscheck(lambda x: x**2, 1.5, gradient=lambda x: 2 * x).verdict == "AGREE"
    assert crosscheck(lambda p: p[0] * p[1], [1.0, 2.0], gradient=lambda p: [p[1], p[0]]).verdict == "AGREE"


PROGRAM = r"""
import json, warnings
warnings.simplefilter("error")
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxsoftmax.checker.crosscheck import crosscheck

assert jax.device_count() == 4
mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
rng = np.random.default_rng(0)
data = jax.device_put(rng.standard_normal((8, 3)).astype("f4"), NamedSharding(mesh, P("data", None)))
x = jnp.asarray(rng.standard_normal(3).astype("f4"))
w = jax.device_put(rng.standard_normal(8).astype("f4"), NamedSharding(mesh, P("data")))
out = {}
fun = lambda x, A: jnp.sum(jnp.logaddexp(0, A @ x))
grad = lambda x, A: A.T @ jax.nn.sigmoid(A @ x)
out["data in args"] = [
    crosscheck(fun, x, gradient=lambda x, A: k * grad(x, A), args=(data,)).verdict for k in (1, 2)]
out["data closed over"] = [
    crosscheck(lambda x: fun(x, data), x, gradient=lambda x: k * grad(x, data)).verdict for k in (1, 2)]
out["jitted"] = [
    crosscheck(jax.jit(lambda x: fun(x, data)), x, gradient=jax.jit(lambda x: k * grad(x, data))).verdict
    for k in (1, 2)]
out["sharded point"] = [
    crosscheck(lambda w: jnp.sum(jnp.sin(w) ** 2), w, gradient=lambda w: k * 2 * jnp.sin(w) * jnp.cos(w)).verdict
    for k in (1, 2)]
hvp = lambda w, v: 2 * jnp.cos(2 * w) * v
out["hvp at a sharded point"] = [
    crosscheck(lambda w: jnp.sum(jnp.sin(w) ** 2), w, hvp=lambda w, v: k * hvp(w, v)).verdict for k in (1, 2)]
def mapped(w):
    body = lambda y: jax.lax.psum(jnp.sum(jnp.sin(y)), "data")
    return jax.shard_map(body, mesh=mesh, in_specs=P("data"), out_specs=P())(w)
out["shard_map"] = [crosscheck(mapped, w, gradient=lambda w: k * jnp.cos(w)).verdict for k in (1, 2)]
print(json.dumps(out))
"""


def test_sharded_points_and_data_are_checked():
    """Four virtual CPU devices: right rules agree and doubled ones do not, wherever the sharded array is."""
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")])),
    }
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found and all(verdicts == ["AGREE", "DISAGREE"] for verdicts in found.values()), found


def test_a_budget_object_and_seconds_mean_the_same():
    for budget in (Budget(seconds=5), 5, 5.0):
        assert crosscheck(f, X, gradient=g, budget=budget).verdict == "AGREE"


def test_unknown_rounding_bounds_ask_for_half_of_the_digits_and_for_values(monkeypatch):
    """A bound of inf, where no analysis is possible, passes nothing: half of the digits must agree, and values too."""
    unknown = lambda call, outs: [jnp.full(out.shape, jnp.inf) for out in outs]  # noqa: E731
    monkeypatch.setitem(RULES, "digamma", unknown)
    monkeypatch.setattr("jaxsoftmax.checker.inputs.program.sampled_errors", with_errors)  # an estimate would stand in
    x = np.float32([1.5, 2.5])
    # Compiled analyses are kept for programs that print alike: no other test has this factor.
    fun = lambda x: jnp.sum(jax.scipy.special.gammaln(x)) * 0.8125  # noqa: E731
    rule = lambda x: jax.scipy.special.digamma(x) * 0.8125  # noqa: E731
    report = crosscheck(fun, x, gradient=rule)
    first = [check for check in report.statements if check.quantity.startswith("gradient")][:2]
    assert first[0].passed is None  # it does not count
    assert first[0].bound <= 2.0**-26.5 and first[1].bound <= 2.0**-12
    assert report.verdict == "AGREE"  # extrapolated differences agree
    assert crosscheck(fun, x, gradient=lambda x: 2 * rule(x)).verdict == "DISAGREE"
    assert crosscheck(fun, x, gradient=lambda x: (1 + 1e-7) * rule(x)).verdict != "AGREE"


def test_the_order_of_a_special_function_is_no_operand():
    """d/dx psi_1 = psi_2: JAX counts the order up by literals, 1.0 + 1.0, and it has no derivative in it."""
    fun = lambda x: jnp.sum(jax.scipy.special.polygamma(1, x))  # noqa: E731
    x = np.float32([0.5, 1.5, 4.0])
    assert crosscheck(fun, x, gradient=lambda x: jax.scipy.special.polygamma(2, x)).verdict == "AGREE"
    assert crosscheck(fun, x, gradient=lambda x: jax.scipy.special.polygamma(1, x)).verdict == "DISAGREE"


def test_an_infinite_derivative_is_told():
    """d sqrt(x)/dx at 0: inf is right for any positive factor, and the report says that no more is known."""
    report = crosscheck(lambda x: jnp.sum(jnp.sqrt(x)), np.float32([0.0, 4.0]), gradient=lambda x: 0.5 / jnp.sqrt(x))
    assert any("at [0] is not finite" in note for note in report.notes)
