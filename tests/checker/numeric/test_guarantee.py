"""Every mechanical mutant of the zoo's rules whose error exceeds the reported resolution is found by js.crosscheck."""

import zlib

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.derivatives import equivalents, mechanical
from helpers.derivatives.zoo import CASES, case
from helpers.stages import share

RULES = [(entry.name, rule) for entry in CASES for rule in entry.make(np.random.default_rng(0), np.float32).rules]


# One rule in three in the slow stage, the others by hand.
PLACES = [
    pytest.param(place, *entry, marks=pytest.mark.long if share(".".join(entry), 6) else pytest.mark.slow)
    for place, entry in enumerate(RULES)
]


def drawn(name, dtype, key=0):
    """The example of one key; the seed depends on the name, so that cases do not share their draws."""
    return case(name).make(np.random.default_rng([zlib.crc32(name.encode()), key]), dtype)


def operands(example, rule, rng):
    """Arguments of a rule: a direction or a cotangent is drawn where it takes one."""

    def draw(leaf):
        return np.asarray(rng.standard_normal(np.shape(leaf))).astype(leaf.dtype)

    if rule in ("hvp", "jvp"):
        return (example.at, jax.tree.map(draw, example.at), *example.args)
    if rule == "vjp":
        return (example.at, jax.tree.map(draw, jax.eval_shape(example.fun, example.at, *example.args)), *example.args)
    return (example.at, *example.args)


def judged(name, rule, dtype, limit):
    """Checks some mutants of one rule: (descriptions missed, equivalent ones without a reason or called wrong)."""
    missed, unexplained = [], []
    with jax.enable_x64(dtype == np.float64):
        example, rng = drawn(name, dtype), np.random.default_rng(zlib.crc32(name.encode()))
        right = example.rules[rule]
        # A linear rule is wrong by another amount in each direction: the least favourable of three draws counts.
        points = [operands(example, rule, rng) for _ in range(3 if rule in ("hvp", "jvp", "vjp") else 1)]
        truths = [mechanical.values(right, args) for args in points]
        for mutant in mechanical.mutations(right, *points[0], rng=rng, limit=limit):
            errors = [mechanical.relative_error(mutant.rule, t, args) for t, args in zip(truths, points, strict=True)]
            options = {"args": example.args, "key": jax.random.key(zlib.crc32(mutant.description.encode()))}
            report = js.crosscheck(example.fun, example.at, **options, **{rule: mutant.rule})
            label = f"{name}.{rule} {mutant.description}"
            if max(errors) <= mechanical.SAME:
                if not equivalents.reason(label) or (report.verdict == "DISAGREE" and mutant.kind != "dtype"):
                    unexplained.append(f"{label}: {report.verdict}, {equivalents.reason(label)}")
                continue
            # A demotion shows when the rule runs, not in its formula.
            resolution = report.resolution_as_run if mutant.kind == "dtype" else report.resolution
            if report.verdict != "DISAGREE" and min(errors) > (resolution or 0.0):
                missed.append(f"{label}: {report.verdict}, error {min(errors):.1e}, resolution {resolution}")
    return missed, unexplained


@pytest.mark.parametrize(("place", "name", "rule"), PLACES)
def test_mutants_of_every_rule_are_found(place, name, rule):
    """A mutant of every rule of the zoo, one precision each; equivalent ones have a reason."""
    assert judged(name, rule, (np.float32, np.float64)[place % 2], 1) == ([], [])
