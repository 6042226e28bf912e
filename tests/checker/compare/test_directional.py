"""Routes along directions share nothing with reverse mode: each convicts a wrong gradient, and reverse mode itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.compare import routes
from jaxsoftmax.checker.compare.autodiff import dot, dot_tolerance, find_truth
from jaxsoftmax.checker.compare.directional import probe_directions
from jaxsoftmax.checker.compare.routes import routes_of
from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.inputs import context
from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.budget import Budget, Clock
from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.tracing import Traced

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

U64 = 2.0**-53
AT = {"b": np.float32([0.3, -0.8]), "w": np.float32([[1.0, 0.5, -0.25], [0.1, -1.5, 2.0]])}


def fun(p):
    return jnp.sum(jnp.tanh(p["w"]) * jnp.float32([1, 2, 3])) + jnp.sum(jnp.exp(p["b"])) * p["w"][0, 0]


def gradient(p):
    w = (1 - jnp.tanh(p["w"]) ** 2) * jnp.float32([1, 2, 3])
    return {"b": jnp.exp(p["b"]) * p["w"][0, 0], "w": w.at[0, 0].add(jnp.sum(jnp.exp(p["b"])))}


def session(fun, at):
    point = read_point(at)
    return Session(point, Traced("fun", fun, point, ()), (), np.random.default_rng(0), Clock(Budget()))


def rows(report, quantity):
    return {s.route: s for s in report.statements if s.quantity == quantity}


ROUTES = {"forward autodiff (float64)", "complex step (float64)", "extrapolated differences"}


def test_three_routes_judge_the_hand_rule_and_reverse_mode():
    report = crosscheck(fun, AT, gradient=gradient)
    assert report.verdict == "AGREE"
    for quantity in ("gradient along directions", "reverse autodiff (float64) along directions"):
        assert set(rows(report, quantity)) == ROUTES


def test_each_route_convicts_a_wrong_gradient():
    """1 % in one leaf: the three routes and the Taylor remainder all fail for the hand rule, none for reverse mode."""
    report = crosscheck(fun, AT, gradient=lambda p: {**gradient(p), "w": 1.01 * gradient(p)["w"]})
    assert [s.passed for s in rows(report, "gradient along directions").values()] == [False] * 3
    assert all(s.passed for s in rows(report, "reverse autodiff (float64) along directions").values())
    assert not rows(report, "gradient, order of the Taylor remainder")["t^2"].passed


def test_a_function_without_complex_continuation_says_so():
    report = crosscheck(lambda x: jnp.sum(jnp.abs(x) ** 3), np.float32([1.0, -2.0]))
    quantity = "reverse autodiff (float64) along directions"
    assert "extrapolated differences" in rows(report, quantity)
    assert any("no complex step: abs" in note for note in report.notes) or "complex step (float64)" in rows(
        report, quantity
    )


def test_a_reverse_rule_that_is_wrong_in_jax_itself_would_be_caught(monkeypatch):
    """Reverse mode is held to the function's values: with its gradient scaled by 1.01, it is no judge any more."""
    import jaxsoftmax.checker.crosscheck as module

    original = module.find_truth
    monkeypatch.setattr(
        module, "find_truth", lambda s, **k: (t := original(s, **k))._replace(gradient=[1.01 * g for g in t.gradient])
    )
    report = crosscheck(fun, AT, gradient=gradient)
    assert report.verdict in ("AGREE", "INCONCLUSIVE"), report
    assert any("values" in note for note in report.notes)
    wrong = crosscheck(fun, AT, gradient=lambda p: jax.tree.map(lambda g: 1.01 * g, gradient(p)))
    assert wrong.verdict in ("DISAGREE", "INCONCLUSIVE"), wrong


@pytest.mark.parametrize("route", ["difference", "complex_step"])
def test_routes_give_the_directional_derivative(route):
    """d/dt f(x + tv) by closed form; the complex step to 64 roundings, differences to ten error estimates."""
    s = session(fun, AT)
    direction = [np.ones(2), np.full((2, 3), -0.5)]
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), AT)
        exact = dot([np.asarray(g) for g in jax.tree.leaves(gradient(wide))], direction)
    found = getattr(routes_of(s), route)(direction)
    if route == "difference":
        assert abs(float(found.value) - exact) <= 10 * float(found.error_estimate) + 64 * U64 * 20
    else:
        assert abs(found - exact) <= 64 * U64 * 20


def test_routes_are_made_once():
    s = session(fun, AT)
    assert routes_of(s) is routes_of(s)


def test_probes_touch_every_leaf_and_leave_kinks_out():
    s = session(fun, AT)
    truth = find_truth(s)
    probes = probe_directions(s, routes_of(s), truth)
    alone = [[bool(v.any()) for v in p.leaves] for p in probes]
    assert [True, True] in alone and [True, False] in alone and [False, True] in alone
    s.nonsmooth |= {0, 1}
    left = probe_directions(s, routes_of(s), truth)
    assert left and all(not p.leaves[0].any() for p in left)


def test_dot_tolerance_covers_the_rounding_of_the_sum_and_of_the_terms():
    """|Σ ab| in longdouble against float64; a term's tolerance is carried by the other factor; 0·inf is 0."""
    rng = np.random.default_rng(0)
    a, b = [rng.standard_normal(1000)], [rng.standard_normal(1000)]
    exact = np.sum(a[0].astype(np.longdouble) * b[0])
    assert abs(dot(a, b) - float(exact)) <= dot_tolerance(a, b, [np.zeros(1000)])
    carried = dot_tolerance([np.zeros(2)], [np.array([2.0, -3.0])], [np.array([1.0, 10.0])])
    assert carried == pytest.approx(32.0)
    assert dot_tolerance([np.zeros(2)], [np.array([2.0, 0.0])], [np.array([1.0, np.inf])]) == pytest.approx(2.0)


def test_large_functions_are_probed_sparingly(monkeypatch):
    """More bytes of intermediate values than LEAN_BYTES: one direction, no complex step, and still convicted."""
    for module in (routes, context):
        monkeypatch.setattr(module, "LEAN_BYTES", 2.0**19)
    n = 2**17  # entries are compared as those of large leaves
    c = np.linspace(0.5, 1.5, n, dtype=np.float32)
    f = lambda x: jnp.sum(jnp.sin(x) * c)  # noqa: E731
    x = np.linspace(-1, 1, n, dtype=np.float32)
    report = crosscheck(f, x, gradient=lambda x: jnp.cos(x) * c)
    assert report.verdict == "AGREE" and report.evaluations <= 20
    assert "complex step (float64)" not in {s.route for s in report.statements}
    report = crosscheck(f, x, gradient=lambda x: (jnp.cos(x) * c).at[n // 3].multiply(1.01))
    assert report.verdict == "DISAGREE" and report.worst.worst["path"] == f"[{n // 3}]"
