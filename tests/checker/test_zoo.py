"""The zoo itself is right: its rules against plain autodiff in float64 and differences, its mutants really wrong."""

import zlib
from collections import Counter
from dataclasses import replace

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.derivatives.mutants import ALSO_TRUE, DIAGNOSES, EQUIVALENT, MUTANTS
from helpers.derivatives.zoo import CASES, case
from helpers.stages import sampled, share

U64, U32 = 2.0**-53, 2.0**-24


def drawn(name, make, dtype, key=0):
    """The example of one key, as JAX arrays; the seed depends on the name, so that cases do not share their draws."""
    example = make(np.random.default_rng([zlib.crc32(name.encode()), key]), dtype)
    at, args = jax.tree.map(jnp.asarray, (example.at, example.args))
    return replace(example, at=at, args=args)


def widened(tree):
    """The same numbers, real leaves in float64."""
    return jax.tree.map(lambda a: jnp.asarray(a, np.float64) if np.asarray(a).dtype.kind == "f" else a, tree)


def flat(tree):
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves)


def norm(vector):
    """The Euclidean norm without overflow: entries may be 1e200."""
    largest = np.max(np.abs(vector))
    return largest * np.linalg.norm(vector / largest) if largest > 0 else 0.0


def like(rng, tree):
    """Normal numbers in the shapes and dtypes of a tree, which may be one of shapes alone."""
    return jax.tree.map(lambda a: np.asarray(rng.standard_normal(a.shape)).astype(a.dtype), tree)


def second_order(fun, x, args):
    """The Hessian in the order of raveled leaves, by forward over reverse, or forward over forward for a while loop."""
    vector, unravel = jax.flatten_util.ravel_pytree(x)
    return jax.jacfwd(jax.jacfwd(lambda v: fun(unravel(v), *args)))(vector)


def gradient_of(fun, x, args):
    try:
        return jax.grad(fun)(x, *args)
    except ValueError:  # a while loop has no reverse mode
        return jax.jacfwd(fun)(x, *args)


def expected(rule, example, direction):
    """What the rule must return, by plain autodiff of the example's function."""
    fun, x, args = example.fun, example.at, example.args
    if rule == "gradient":
        return gradient_of(fun, x, args)
    if rule == "value_and_gradient":
        return fun(x, *args), gradient_of(fun, x, args)
    if rule == "hvp":
        return jax.jvp(lambda y: gradient_of(fun, y, args), (x,), (direction,))[1]
    if rule == "hessian":
        return second_order(fun, x, args)
    if rule == "jvp":
        return jax.jvp(lambda y: fun(y, *args), (x,), (direction,))[1]
    assert rule == "vjp"
    return jax.vjp(lambda y: fun(y, *args), x)[1](direction)[0]


def direction_for(rule, example, rng):
    """A direction for hvp and jvp, a cotangent for vjp, None for the others."""
    if rule in ("hvp", "jvp"):
        return like(rng, example.at)
    if rule == "vjp":
        return like(rng, jax.eval_shape(example.fun, example.at, *example.args))
    return None


def applied(rule, function, x, direction, args):
    """The rule's result at x."""
    return function(x, direction, *args) if rule in ("hvp", "jvp", "vjp") else function(x, *args)


KEYS = range(1)  # the examples of one key cost a compilation, and no second key ever found what the first did not
RULES = [(entry, rule) for entry in CASES for rule in drawn(entry.name, entry.make, np.float32).rules]
IDS = [f"{entry.name}:{rule}" for entry, rule in RULES]
# The zoo's own numbers do not change with the package: a quarter of them in CI, the rest by hand.
SAMPLED = [
    pytest.param(entry, rule, marks=pytest.mark.long if share(entry.name, 4) else pytest.mark.slow)
    for entry, rule in RULES
]


def amplification(rule, function, example, direction):
    """How far the result moves, relative to a relative perturbation of every input: its componentwise conditioning.

    Three random signs of size 2⁻³⁰ in float64; the result is in absolute units, entry by entry summed to a norm.
    """
    rng, step = np.random.default_rng(5), 2.0**-30
    base = flat(applied(rule, function, example.at, direction, example.args))
    moved = 0.0
    for _ in range(3):

        def shaken(a):
            a = np.asarray(a)
            return a * (1 + step * rng.choice([-1.0, 1.0], a.shape)) if a.dtype.kind == "f" else a

        x, v, args = jax.tree.map(shaken, (example.at, direction, example.args))
        moved = max(moved, norm(flat(applied(rule, function, x, v, args)) - base) / step)
    return norm(base) + moved


@pytest.mark.parametrize(("entry", "rule"), SAMPLED, ids=IDS)
def test_each_rule_agrees_with_plain_autodiff_in_float64(entry, rule, x64):
    """Every hand rule of the zoo equals jax.grad, jvp, vjp or jacfwd of its function in float64, normwise.

    Tolerance: a stable formula has a small backward error, here at most 64 roundings on the path of any entry (the
    sums are of at most 60 terms, 10⁶ in pairs), on either side; its effect is that many units times the amplification.
    The autodiff side adds its own cancellations (one difference, one quotient): a factor of 16.
    """
    for key in KEYS:
        example = drawn(entry.name, entry.make, np.float64, key)
        direction = direction_for(rule, example, np.random.default_rng(key))
        got = flat(applied(rule, example.rules[rule], example.at, direction, example.args))
        want = flat(expected(rule, example, direction))
        scale = amplification(rule, example.rules[rule], example, direction)
        assert got.shape == want.shape and np.isfinite(want).all()
        assert norm(got - want) <= 2 * 64 * 16 * U64 * scale


@pytest.mark.parametrize(("entry", "rule"), SAMPLED, ids=IDS)
def test_each_rule_is_stable_in_float32(entry, rule):
    """The rule in float32 meets its own float64 values within 64 roundings times the conditioning of its inputs."""
    for key in KEYS:
        example = drawn(entry.name, entry.make, np.float32, key)
        direction = direction_for(rule, example, np.random.default_rng(key))
        got = applied(rule, example.rules[rule], example.at, direction, example.args)
        assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(np.float32)}
        with jax.enable_x64(True):
            wide = replace(example, at=widened(example.at), args=widened(example.args))
            direction = widened(direction)
            want = flat(applied(rule, example.rules[rule], wide.at, direction, wide.args))
            scale = amplification(rule, example.rules[rule], wide, direction)
        assert norm(flat(got) - want) <= 64 * U32 * scale


SCALAR = [entry for entry in CASES if not {"jvp", "vjp"} & set(drawn(entry.name, entry.make, np.float32).rules)]


@pytest.mark.parametrize("entry", sampled(SCALAR, 4), ids=[entry.name for entry in SCALAR])
def test_each_gradient_agrees_with_central_differences(entry, x64):
    """Also the custom rules, whose autodiff would be the rule itself: D(h) = (f(x + hv) − f(x − hv)) / 2h, v = x ∘ z.

    Tolerance: truncation of D(h) is a third of D(2h) − D(h) up to order h⁴, so that difference covers it; rounding of
    the two values is 64 u |f| each, divided by 2h, where |f| is measured by the largest term seen: the amplification.
    """
    rng, h = np.random.default_rng(7), 2.0**-13
    example = drawn(entry.name, entry.make, np.float64)
    v = jax.tree.map(lambda a: np.asarray(a) * rng.standard_normal(np.shape(a)), example.at)

    def f(t):
        return float(example.fun(jax.tree.map(lambda a, b: a + t * b, example.at, v), *example.args))

    def slope(t):
        return (f(t) - f(-t)) / (2 * t)

    function = example.rules.get("gradient", lambda x, *args: gradient_of(example.fun, x, args))
    got = float(np.dot(flat(function(example.at, *example.args)), flat(v)))
    size = amplification("value", example.fun, example, None)
    assert abs(got - slope(h)) <= abs(slope(2 * h) - slope(h)) + 64 * U64 * size / h


def test_the_zoo_holds_what_was_promised():
    assert len(CASES) >= 34 and len({entry.name for entry in CASES}) == len(CASES)
    assert {rule for _, rule in RULES} == {"gradient", "value_and_gradient", "hvp", "hessian", "jvp", "vjp"}


@pytest.mark.parametrize("entry", sampled(CASES, 4), ids=[entry.name for entry in CASES])
def test_examples_are_drawn_in_their_dtype_and_vary_with_the_key(entry):
    for dtype in (np.float32, np.float64):
        first, again, other = (entry.make(np.random.default_rng(key), dtype) for key in (0, 0, 1))
        leaves = jax.tree.leaves((first.at, first.args))
        assert {np.asarray(a).dtype for a in leaves if np.asarray(a).dtype.kind == "f"} == {np.dtype(dtype)}
        np.testing.assert_array_equal(flat(first.at), flat(again.at))
        assert not np.array_equal(flat(first.at), flat(other.at))


def gap(entry, key):
    """The mutant's results beside those of plain autodiff of its function, both in float64, rule after rule."""
    example = drawn(entry.base, entry.make, np.float64, key)
    if not example.rules:  # the function's own rule: the truth is the derivative of the case's own, right function
        right = drawn(entry.base, case(entry.base).make, np.float64, key)
        own, truth = (flat(gradient_of(fun, right.at, right.args)) for fun in (example.fun, right.fun))
        return [(own, truth)]
    pairs = []
    for rule, function in example.rules.items():
        direction = direction_for(rule, example, np.random.default_rng(key))
        got = flat(applied(rule, function, example.at, direction, example.args))
        pairs.append((got, flat(expected(rule, example, direction))))
    return pairs


@pytest.mark.parametrize("entry", sampled(MUTANTS, 12), ids=[entry.name for entry in MUTANTS])
def test_each_mutant_is_wrong_in_the_way_it_says(entry, x64):
    """More than 1e-6 of the truth away, unless it is listed as equivalent: then no more than rounding away.

    The exceptions: an indefinite mutant has a right rule and a negative eigenvalue; one that is not finite says so in
    its result; at a kink the truth may be NaN. Rounding is at most 2 · 64 · 16 · u = 2.3e-13 as above, times an
    amplification that is below 4 for these well-conditioned examples: 1e-12. The gap to 1e-6 separates the two.
    """
    for key in KEYS:
        for got, want in gap(entry, key):
            assert got.shape == want.shape
            if entry.psd:
                assert norm(got - want) <= 1e-12 * norm(want)
                example = drawn(entry.base, entry.make, np.float64, key)
                H = np.atleast_2d(second_order(example.fun, example.at, example.args))
                assert np.linalg.eigvalsh(H)[0] < -1e-2 * np.abs(H).max()
            elif entry.diagnosis == "nonfinite":
                assert np.isfinite(want).all() and not np.isfinite(got).all()
            elif entry.diagnosis == "kink" and not np.isfinite(want).all():
                assert np.isfinite(got).all()
            elif entry.name in EQUIVALENT:
                assert norm(got - want) <= 1e-12 * norm(want)
            else:
                assert norm(got - want) > 1e-6 * norm(want)


def test_the_mutants_cover_what_was_promised():
    names = [entry.name for entry in MUTANTS]
    assert len(set(names)) == len(names) >= 110
    assert {entry.diagnosis for entry in MUTANTS} == set(DIAGNOSES)
    assert min(Counter(entry.diagnosis for entry in MUTANTS).values()) >= 4
    assert set(EQUIVALENT) | set(ALSO_TRUE) <= set(names) and {"matlab-l2", "matlab-logcosh"} <= set(names)
    assert {diagnosis for diagnoses in ALSO_TRUE.values() for diagnosis in diagnoses} <= set(DIAGNOSES)
    assert {entry.base for entry in MUTANTS} <= {entry.name for entry in CASES}
