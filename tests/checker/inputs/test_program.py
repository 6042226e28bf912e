"""Programs: constants are arguments, functions that trace alike share compiled code, memory is counted."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.inputs import context
from jaxsoftmax.checker.inputs import program as module
from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.budget import Budget, Clock
from jaxsoftmax.checker.inputs.context import Session, sizes
from jaxsoftmax.checker.inputs.large import leafwise
from jaxsoftmax.checker.inputs.program import Program, cost
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.roundoff.calls import Arithmetic

TINY = float(np.finfo(np.float64).tiny) * 2.0**53
U64 = 2.0**-53


def count_compilations(monkeypatch):
    made = []
    original = module.compiled

    def counting(kind, text, consts, build, options=None):
        def building():
            made.append(kind)
            return build()

        return original(kind, text, consts, building, options)

    for name in ("inputs.program", "inputs.tracing", "compare.routes"):
        monkeypatch.setattr(f"jaxsoftmax.checker.{name}.compiled", counting)
    return made


@pytest.mark.slow
def test_other_data_and_another_closure_compile_nothing(monkeypatch):
    """A second check of a function that traces alike, with other data, point and key, builds no program."""

    def check(seed):
        rng = np.random.default_rng(seed)
        A, b = rng.standard_normal((4, 3)).astype("f4"), rng.standard_normal(4).astype("f4")
        fun = lambda x: jnp.sum(jnp.logaddexp(0, A @ x - b))  # noqa: E731
        gradient = lambda x: A.T @ jax.nn.sigmoid(A @ x - b)  # noqa: E731
        hvp = lambda x, v: A.T @ (jax.nn.sigmoid(A @ x - b) * jax.nn.sigmoid(b - A @ x) * (A @ v))  # noqa: E731
        return crosscheck(
            fun, rng.standard_normal(3).astype("f4"), gradient=gradient, hvp=hvp, key=jax.random.key(seed)
        )

    assert check(0).verdict == "AGREE"
    made = count_compilations(monkeypatch)
    report = check(1)
    assert report.verdict == "AGREE" and made == []
    assert crosscheck(lambda x: jnp.sum(jnp.tanh(x) ** 3), np.ones(2, "f4")).verdict == "AGREE" and made


def test_constants_are_arguments(x64):
    """A closed-over array is no number in the jaxpr: two programs of other data have one text and their own values."""

    def program(big):
        return Program(lambda c, x: c[0] @ x + jnp.sum(big), [np.ones(3)], np.ones(3))

    made = [program(jnp.zeros(9)), program(jnp.ones(9))]
    assert str(made[0].jaxpr) == str(made[1].jaxpr) and not made[0].jaxpr.constvars
    assert [float(p.values(np.arange(3.0))[0]) for p in made] == [3.0, 12.0]


def test_small_constants_of_other_values_do_not_share_code(x64):
    """Scalars are literals of the jaxpr: their digits are part of the text, so 1 + 2⁻⁵² and 1 are told apart."""

    def value(s):
        return float(Program(lambda c, x: x * s, [], np.ones(1)).values(np.ones(1))[0][0])

    assert [value(1.0), value(1 + 2.0**-52)] == [1.0, 1 + 2.0**-52]


def test_embedded_array_literals_do_not_share_code(x64):
    """Long arrays print with an ellipsis: what differs in the part that is not shown must not be confused."""

    def made(last):
        table = np.zeros(5000)
        table[2500] = last
        return Program(lambda c, x: jnp.asarray(table) @ x, [], np.ones(5000))

    assert [float(made(v).values(np.ones(5000))[0]) for v in (1.0, 2.0)] == [1.0, 2.0]


def test_a_program_of_other_callbacks_is_not_shared(x64):
    """Two host functions behind pure_callback print as different objects: each program calls its own."""

    def made(host):
        shape = jax.ShapeDtypeStruct((), np.float64)
        return Program(lambda c, x: jax.pure_callback(host, shape, x.sum()), [], np.ones(2))

    first, second = made(lambda x: x), made(lambda x: 5 * x)
    assert float(first.values(np.ones(2))[0]) == 2.0 and float(second.values(np.ones(2))[0]) == 10.0


def test_a_jitted_rule_with_other_data_runs_with_its_own():
    """Constants inside jit are not printed: a second rule that prints alike must not run the first one's code."""

    def verdict(scale, wrong):
        table = jnp.asarray([scale, 1.0], jnp.float32)
        other = table + wrong
        return crosscheck(lambda x: jnp.sum(table * x**2), np.ones(2, "f4"), gradient=jax.jit(lambda x: 2 * other * x))

    assert verdict(1.0, 0.0).verdict == "AGREE"
    assert verdict(2.0, 0.0).verdict == "AGREE"
    assert {s.passed for s in verdict(2.0, 1.0).statements if "as it runs" in s.quantity} == {False}


def test_errors_bound_a_sum_of_products(x64):
    """x·c with 64 terms: the bound in units of u covers the rounding seen and is not above (n + 2) Σ|terms|."""
    rng = np.random.default_rng(0)
    c, x = rng.standard_normal(64), rng.standard_normal(64)
    found = Program(lambda k, x: k[0] @ x, [c], x).errors(x, arithmetic=Arithmetic(TINY))
    exact = sum(np.longdouble(c) * np.longdouble(x))
    bound = float(found.errors[0])
    assert abs(np.longdouble(found.values[0]) - exact) <= U64 * bound
    assert 0 < bound <= 66 * np.abs(c * x).sum()


def test_only_decimal_constants_are_rounded(x64):
    """A scalar constant that bfloat16 holds (2.5) is exact; 0.1 carries one rounding; arrays only when asked.

    x·c is then in error by u|x c| for the product, and another u|x c| for the constant.
    """

    def bound(c, **options):
        return float(
            np.max(Program(lambda k, x: k[0] * x, [c], np.ones(())).errors(np.float64(3), **options).errors[0])
        )

    one = bound(np.float64(2.5), arithmetic=Arithmetic(TINY)) / 7.5
    two = bound(np.float64(0.1), arithmetic=Arithmetic(TINY)) / 0.3
    assert two == pytest.approx(one + 1, rel=1e-6)
    table = np.array([0.1, 0.2])
    assert bound(table, arithmetic=Arithmetic(TINY)) / 0.6 == pytest.approx(one, rel=1e-6)
    assert bound(table, arithmetic=Arithmetic(TINY), narrow=True) / 0.6 == pytest.approx(one + 1, rel=1e-6)


def test_cost_counts_loops_by_their_trips(x64):
    """8 bytes for each of 1000 × 5 intermediate numbers of a scan, and the inner jaxpr of jit once."""
    looped = jax.make_jaxpr(lambda x: lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=1000)[0])(np.ones(5))
    assert 1000 * 5 * 8 <= cost(looped.jaxpr) <= 2 * 1000 * 5 * 8
    flat = jax.make_jaxpr(jax.jit(jnp.sin))(np.ones(5))
    assert cost(flat.jaxpr) == 2 * 5 * 8


def test_old_programs_are_dropped(monkeypatch):
    """No more than _KEEP compiled programs are held; the one that was used last stays."""
    monkeypatch.setattr(module, "_compiled", type(module._compiled)())
    monkeypatch.setattr(module, "_KEEP", 3)
    kept = module.compiled("k", "0", [], lambda: lambda c: c)
    for i in range(1, 6):
        module.compiled("k", str(i), [], lambda: lambda c: c)
        assert module.compiled("k", "0", [], lambda: lambda c: -c) is kept
    assert len(module._compiled) == 3


def session(fun, at, **more):
    point = read_point(at)
    return Session(point, Traced("fun", fun, point, ()), (), np.random.default_rng(0), Clock(Budget()), **more)


def test_nan_bounds_become_infinite_and_missing_ones_zero():
    """0 times inf in a bound says nothing about the error; None says that the value is exact."""
    found = sizes([None, np.array([np.nan, 1.0])], [np.zeros(3), np.zeros(2)])
    np.testing.assert_array_equal(found[0], np.zeros(3))
    np.testing.assert_array_equal(found[1], [np.inf, 1.0])


def test_a_session_leaves_entries_without_a_derivative_out_of_its_directions():
    s = session(lambda p: p["a"].sum() + p["b"], {"a": np.ones((2, 2), "f4"), "b": np.float32(1)}, nonsmooth={1, 4})
    drawn = s.normal(3)
    assert drawn.shape == (3, 5) and not drawn[:, [1, 4]].any() and drawn[:, [0, 2, 3]].all()
    leaves = s.like_point(np.arange(5.0))
    np.testing.assert_array_equal(np.asarray(leaves[0]), [[0, 1], [2, 3]])
    assert float(leaves[1]) == 4.0 and leaves[1].dtype == np.float64


def test_a_leaf_too_small_to_see_makes_the_finding_blind():
    """A leaf whose values are below half of its tolerance: a factor 2 would pass there, whatever the others say."""
    ours = [np.array([1.0]), np.array([1e-20])]
    finding = leafwise("", "g", "r", ours, ours, [np.array([1e-9]), np.array([1e-12])], None, ["a", "b"])
    assert finding.blind and finding.check.passed
    clear = leafwise("", "g", "r", ours, ours, [np.array([1e-9]), np.array([1e-32])], None, ["a", "b"])
    assert not clear.blind and clear.resolution == 1e-9


def test_a_leaf_that_is_zero_to_rounding_is_not_blind():
    """theirs is 0 to its own tolerance: there is nothing that a factor could double."""
    ours, theirs = [np.array([1e-18])], [np.array([0.0])]
    finding = leafwise("", "g", "r", ours, theirs, [np.array([1e-17])], [np.array([5e-18])], ["a"])
    assert finding.check.passed and not finding.blind and finding.vacuous


@pytest.mark.slow
def test_long_recurrences_are_judged_by_samples():
    """A contraction x ← cos(x)/2 + c, 500 times: errors contract although worst-case bounds of differences may not."""

    def fun(x):
        return lax.fori_loop(0, 200, lambda i, y: 3.9 * y * (1 - y), x[0])

    s = session(fun, np.float32([0.3]))
    program = s.program(s.fun.run, s.fun.consts, s.wide())
    s.measure(program, s.wide())
    assert any("a random estimate replaced it" in note for note in s.notes)


def a_session(double=False, **given):
    """What the rounding analysis reads of a session in float32 or float64."""
    info = np.finfo(np.float64 if double else np.float32)
    known = {
        "double": double,
        "u": float(info.eps) / 2,
        "point": SimpleNamespace(tiny=float(info.tiny)),
        "quick": False,
    }
    known |= {"clock": SimpleNamespace(evaluations=0, budget=Budget(seconds=1.0)), "_dear": lambda program: False}
    return SimpleNamespace(**known | {"note": lambda text: None} | given)


@pytest.mark.parametrize(("backend", "bits"), [("cpu", 24), ("gpu", 11), ("tpu", 8), ("another", 8)])
def test_a_rule_is_bounded_in_its_own_arithmetic(backend, bits, monkeypatch):
    """Underflow costs tiny/u of the dtype; factors of float32 products keep 11 or 8 bits, of a rule that runs in it."""
    monkeypatch.setattr(context.jax, "default_backend", lambda: backend)
    for double, tiny in ((False, 2.0**-126 / 2.0**-24), (True, 2.0**-1022 / U64)):
        session = a_session(double, _measured=lambda program, args, options: options["arithmetic"])
        narrow, wide = (Session.measure(session, None, narrow=flag) for flag in (True, False))
        assert (wide.tiny_over_u, wide.matmul_units) == (narrow.tiny_over_u, 1.0) == (tiny, 1.0)
        assert narrow.matmul_units == (1.0 if double else 2.0 ** (24 - bits))
        assert session.clock.evaluations == 2


def test_a_quick_check_asks_for_half_of_the_digits_of_the_largest_entry(x64):
    """units of √(1/u) times the largest |value|, no analysis; inf for what is too dear, or refuses to be analysed."""
    program = SimpleNamespace(values=lambda: [np.array([1.0, -3.0]), np.zeros(0)])
    found = Session.measure(a_session(quick=True), program)
    np.testing.assert_array_equal(found.errors[0], 3 * U64**-0.5)
    assert found.values[0].tolist() == [1.0, -3.0] and found.errors[1].shape == (0,)

    def refuse(*_):
        raise jax.errors.JaxRuntimeError("foreign")

    for session in (a_session(_dear=lambda program: True), a_session(_measured=refuse)):
        assert np.isinf(Session.measure(session, program).errors[0]).all()


def test_an_analysis_may_take_a_tenth_of_the_budget_or_half_a_second(monkeypatch):
    """8 ms an equation: 62 of them fit into 1 s, 125 into 10 s, and one more does not; a note says so."""
    for seconds, most in ((1.0, 62), (10.0, 125)):
        notes = []
        session = a_session(clock=SimpleNamespace(budget=Budget(seconds=seconds)), note=notes.append)
        for count in (most, most + 1):
            monkeypatch.setattr(context, "equations", lambda jaxpr, count=count: range(count))
            assert Session._dear(session, SimpleNamespace(jaxpr=None)) is (count > most)
        assert len(notes) == 1 and "rounding was left out" in notes[0]


def test_the_smaller_of_bound_and_samples_judges_where_the_bound_is_hopeless():
    """Six bits of the largest entry's digits must be left of the working dtype, or of 39 bits; else both are asked."""
    sampled = []

    def errors(*_, sampled_=sampled, **options):
        sampled_.append(options.get("sampled", False))
        return [np.array([4.0, 1e-9])], [np.array([3.0, 5.0]) if sampled_[-1] else np.array([limit, 1.0])]

    for double, u in ((False, 2.0**-24), (True, 2.0**-39)):
        for limit, expected in ((2.0**-6 * 4 / u, None), (2.0**-6 * 4 / u * 1.01, [3.0, 1.0])):
            sampled.clear()
            found = Session._measured(a_session(double), SimpleNamespace(errors=errors), (), {})
            assert found.errors[0].tolist() == ([limit, 1.0] if expected is None else expected)
            assert sampled == ([False] if expected is None else [False, True])


def test_constants_of_a_program_are_rounded_as_the_rule_has_them(x64):
    """A number errs by itself unless bfloat16 holds it; an array of float64 by what float32 does not hold, narrow."""
    for narrow in (False, True):
        for value, error in ((0.1, 0.1), (-0.1, 0.1), (1.0, 0.0), (257.0, 257.0)):
            assert module._constant_error(np.float64(value), narrow) == error
        assert module._constant_error(np.float32(0.1), narrow) is None
    data = np.array([0.1, -0.1, 257.0])
    assert module._constant_error(data, False) is None
    np.testing.assert_array_equal(module._constant_error(data, True), [0.1, 0.1, 0])
