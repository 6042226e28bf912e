"""checker/assertions.py and example.py: a test's one line, and a function that says how it is checked.

The check itself is replaced: what is guarded here is what it is called with and what becomes of its report.
"""

import functools
import inspect
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.checker import assertions
from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.example import OPTIONS, declared_example

AT = np.float32([1.0, 2.0])


def cube(x):
    return jnp.sum(x**3)


@pytest.fixture
def check(monkeypatch):
    """`check.verdict` is what the next call finds; `check.calls` are the calls."""
    state = SimpleNamespace(verdict="AGREE", calls=[])

    def replaced(fun, at, **options):
        state.calls.append((fun, at, options))
        return js.CrossCheckReport(state.verdict, ())

    monkeypatch.setattr(assertions, "crosscheck", replaced)
    return state


def test_assert_derivatives_hands_everything_on_and_returns_the_report(check):
    rule = lambda x: 3 * x**2  # noqa: E731
    report = js.assert_derivatives(cube, AT, gradient=rule, psd=True)
    assert report.verdict == "AGREE"
    assert check.calls == [(cube, AT, {"budget": "quick", "gradient": rule, "psd": True})]


@pytest.mark.parametrize(
    ("verdict", "allowed", "raises"),
    [
        ("AGREE", (), False),
        ("DISAGREE", ("ROUNDING", "NOT CHECKED", "INCONCLUSIVE"), True),
        ("ROUNDING", (), True),
        ("ROUNDING", ("ROUNDING",), False),
        ("NOT CHECKED", ("ROUNDING",), True),
        ("INCONCLUSIVE", "INCONCLUSIVE", False),
    ],
)
def test_it_passes_on_agreement_alone_unless_the_caller_allows_more_by_name(check, verdict, allowed, raises):
    check.verdict = verdict
    if raises:
        with pytest.raises(js.DerivativeError, match=f"Cross-check: {verdict}") as caught:
            js.assert_derivatives(cube, AT, allow=allowed)
        assert caught.value.report.verdict == verdict
        # pytest's own frame filter: the failure points at the line of the test, not into the helper.
        assert [entry.path.name for entry in caught.traceback.filter(caught)] == ["test_assertions.py"]
    else:
        assert js.assert_derivatives(cube, AT, allow=allowed).verdict == verdict
    assert check.calls == [(cube, AT, {"budget": "quick"})]


def test_without_a_point_the_declared_example_is_used_and_overruled(check):
    @js.declare_example(at=AT, psd=True, key=1)
    def square(x):
        return jnp.sum(x**2)

    js.assert_derivatives(square, key=2)
    assert check.calls == [(square, AT, {"budget": "quick", "psd": True, "key": 2})]
    with pytest.raises(ValueError, match="cube: no example is declared"):
        js.assert_derivatives(cube)


def test_an_example_is_declared_by_arguments_or_by_a_function_called_late():
    calls = []

    def make():
        calls.append(1)
        return {"at": AT, "args": (2,)}

    lazy = js.declare_example(make)(lambda x, n: jnp.sum(x**n))
    assert calls == []
    assert declared_example(lazy) == {"at": AT, "args": (2,)}
    assert calls == [1]
    eager = js.declare_example(at=AT)(lambda x: x[0])
    taken = declared_example(eager)
    taken["at"] = None
    assert declared_example(eager) == {"at": AT}, "the caller's copy"


@pytest.mark.parametrize("wrap", [jax.jit, jax.custom_vjp, functools.partial, jax.custom_jvp, jax.checkpoint])
def test_transformed_functions_take_a_declaration(wrap):
    fun = wrap(lambda x: jnp.sum(x))
    assert js.declare_example(at=AT)(fun) is fun
    assert declared_example(fun)["at"] is AT


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: js.declare_example(), TypeError, "declare_example: at is missing"),
        (lambda: js.declare_example(at=AT, gradiant=cube), TypeError, "'gradiant' .* give gradient"),
        (lambda: js.declare_example(at=AT, colour=3), TypeError, "'colour' .* give some of at, gradient"),
        (lambda: js.declare_example(AT), TypeError, r"declare_example: got array\(.*by name \(at=..., gradient=...\)"),
        (lambda: js.declare_example(cube, at=AT), TypeError, "got a function and at; give one or the other"),
        (lambda: js.declare_example(at=AT)(len), TypeError, "<built-in function len>.*takes no attributes"),
        (lambda: declared_example(cube), ValueError, "cube: no example is declared for it; decorate it with @js.decl"),
        (lambda: declared_example(js.declare_example(lambda: [1])(lambda x: x)), TypeError, r"returned \[1\]"),
        (lambda: declared_example(js.declare_example(dict)(lambda x: x)), TypeError, "at is missing"),
        (lambda: declared_example(SimpleNamespace(__crosscheck__=3)), TypeError, "__crosscheck__ is 3, "),
    ],
)
def test_a_wrong_declaration_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_options_are_the_arguments_of_crosscheck():
    assert set(OPTIONS) == set(inspect.signature(crosscheck).parameters) - {"fun"}


def test_the_quick_budget_holds_a_rule_to_its_own_dtype_too():
    """Right in float64, and in float32 computed in bfloat16: half of float32's digits are not there."""

    def short(x):
        return 3 * (x if x.dtype == np.float64 else x.astype(jnp.bfloat16).astype(x.dtype)) ** 2

    report = js.crosscheck(cube, np.float32([0.3, 1.7]), gradient=short, budget="quick")
    assert report.verdict == "DISAGREE", str(report)


def test_a_right_rule_in_float32_stays_with_the_quick_check():
    """Half of the digits: 2⁻¹² of the largest entry in float32, 2⁻²⁶·⁵ in float64, and one difference."""
    report = crosscheck(cube, np.float32([0.3, 1.7]), gradient=lambda x: 3 * x**2, budget="quick")
    assert report.verdict == "AGREE", str(report)
    assert report.resolution_as_run == pytest.approx(2.0**-12)
    assert [row.route for row in report.statements if row.quantity.endswith("directions")] == [
        "extrapolated differences"
    ]
