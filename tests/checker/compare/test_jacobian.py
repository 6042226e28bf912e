"""Functions with many outputs: hand jvp and vjp, entry by entry or along probes, and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.compare.jacobian import read_outputs
from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.inputs.budget import Budget

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

RNG = np.random.default_rng(0)
A = RNG.standard_normal((4, 3)).astype(np.float32)
AT = {"b": RNG.standard_normal(4).astype(np.float32), "x": RNG.standard_normal(3).astype(np.float32)}


def fun(p):
    z = A @ p["x"] + p["b"]
    return {"s": jnp.sum(z**2), "t": jnp.tanh(z)}


def jvp(p, v, wrong=0.0):
    z, dz = A @ p["x"] + p["b"], A @ v["x"] + v["b"]
    dt = (1 - jnp.tanh(z) ** 2) * dz
    return {"s": 2 * z @ dz, "t": dt.at[2].add(wrong * v["b"][1])}


def vjp(p, ct, wrong=0.0):
    z = A @ p["x"] + p["b"]
    dz = 2 * z * ct["s"] + (1 - jnp.tanh(z) ** 2) * ct["t"]
    return {"b": dz.at[1].add(wrong * ct["t"][2]), "x": A.T @ dz}


def failed(report):
    return {(s.quantity, s.route) for s in report.statements if not s.passed}


BUDGETS = pytest.mark.parametrize("budget", [None, Budget(bytes=1)], ids=["dense", "probed"])


@BUDGETS
def test_right_rules_agree_and_are_held_to_each_other(budget):
    report = crosscheck(fun, AT, jvp=jvp, vjp=vjp, budget=budget)
    assert report.verdict == "AGREE", report
    along = "" if budget is None else " along directions"
    assert [s.quantity for s in report.statements] == [
        f"jvp{along}",
        "jvp along directions",  # against extrapolated differences
        "jvp, as it runs in float32",
        f"vjp{along}",
        "vjp along directions",
        "vjp, as it runs in float32",
        "jvp",
    ]
    assert report.statements[-1].route == "<ct, Jv> with the hand vjp"


@BUDGETS
def test_one_wrong_entry_of_the_jacobian_is_seen_by_either_rule(budget):
    """∂t₂/∂b₁ off by 10⁻³: all three comparisons of the rule that is wrong fail, the other rule's pass."""
    for kind, rules in (
        ("jvp", {"jvp": lambda p, v: jvp(p, v, 1e-3), "vjp": vjp}),
        ("vjp", {"jvp": jvp, "vjp": lambda p, ct: vjp(p, ct, 1e-3)}),
    ):
        report = crosscheck(fun, AT, budget=budget, **rules)
        names = {q.partition(",")[0].partition(" ")[0] for q, route in failed(report) if "hand vjp" not in route}
        assert names == {kind}
        assert any("hand vjp" in route for _, route in failed(report))


def test_the_wrong_entry_is_named_by_output_and_input():
    report = crosscheck(fun, AT, jvp=lambda p, v: jvp(p, v, 1e-3))
    (row,) = [s for s in report.statements if s.quantity == "jvp"]
    assert row.worst["path"] == "output['t'][2], ['b'][1]"
    report = crosscheck(fun, AT, vjp=lambda p, ct: vjp(p, ct, 1e-3))
    (row,) = [s for s in report.statements if s.quantity == "vjp"]
    assert row.worst["path"] == "['b'][1], output['t'][2]"


def test_rules_wrong_in_the_same_way_are_dual_and_wrong():
    report = crosscheck(fun, AT, jvp=lambda p, v: jvp(p, v, 1e-3), vjp=lambda p, ct: vjp(p, ct, 1e-3))
    assert not any("hand vjp" in route for _, route in failed(report))
    assert len(failed(report)) == 6


def test_a_function_with_a_while_loop_has_its_vjp_checked_by_forward_mode():
    """Reverse mode of a while loop is impossible; ct J from forward mode judges, and a wrong rule is still seen."""

    def looped(x):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1]) * x), (0, x))[1]

    def right(x, ct):
        return sum(ct[i] * jax.jacfwd(looped)(x)[i] for i in range(3))

    x = np.float32([0.4, 0.8, 1.2])
    report = crosscheck(looped, x, vjp=right)
    assert report.verdict == "AGREE" and any("reverse autodiff" in note for note in report.notes)
    assert {s.route for s in report.statements} == {"forward autodiff (float64)", "extrapolated differences"}
    assert crosscheck(looped, x, vjp=lambda x, ct: right(x, ct).at[1].multiply(1.01)).verdict == "DISAGREE"


def test_a_scalar_function_may_have_its_jvp_and_vjp_checked():
    f = lambda x: jnp.sum(jnp.sin(x))  # noqa: E731
    x = np.float32([0.5, 1.0])
    rules = {"jvp": lambda x, v: jnp.cos(x) @ v, "vjp": lambda x, ct: jnp.cos(x) * ct}
    assert crosscheck(f, x, **rules).verdict == "AGREE"
    rules["vjp"] = lambda x, ct: jnp.cos(x)  # forgets the cotangent
    assert crosscheck(f, x, **rules).verdict == "DISAGREE"


def test_a_wide_jacobian_screens_columns_and_confirms_the_doubtful_ones():
    """200 columns, of which 16 are analysed: a single wrong entry in another column is found and named."""
    n = 200
    c = RNG.standard_normal(n).astype(np.float32)
    x = RNG.standard_normal(n).astype(np.float32)
    f = lambda x: jnp.stack([jnp.sum(c * x**3), x @ x])  # noqa: E731
    rule = lambda x, v, w=0.0: jnp.stack([3 * jnp.sum(c * x**2 * v) + w * v[123], 2 * x @ v])  # noqa: E731
    assert crosscheck(f, x, jvp=rule).verdict == "AGREE"
    report = crosscheck(f, x, jvp=lambda x, v: rule(x, v, 1e-4))
    (row,) = [s for s in report.statements if s.quantity == "jvp"]
    assert not row.passed and row.worst["path"] == "output[0], [123]"


def test_outputs_are_named_and_counted():
    outputs = read_outputs({"s": jax.ShapeDtypeStruct((), np.float32), "t": jax.ShapeDtypeStruct((2, 2), np.float32)})
    assert outputs.size == 5 and outputs.name(0) == "output['s']" and outputs.name(3) == "output['t'][1, 0]"
