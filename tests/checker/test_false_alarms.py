"""No false alarm: correct rules of many kinds, two dtypes, many keys, are never said to disagree."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.derivatives.zoo import CASES
from helpers.stages import dtype_of, sampled

KEYS = 20
# For the fast run: vjp and jvp, a loop.
QUICK = ("normalise", "fori-loop")


def report(case, dtype, seed):
    example = case.make(np.random.default_rng(seed), dtype)
    return js.crosscheck(example.fun, example.at, args=example.args, key=jax.random.key(seed), **example.rules)


def assert_right(case, dtype, seed):
    """A correct rule may only be told to be right, or beyond what the arithmetic can tell."""
    found = report(case, dtype, seed)
    assert found.verdict in ("AGREE", "ROUNDING"), f"{case.name} {np.dtype(dtype)} key {seed}:\n{found}"
    return found


@pytest.mark.slow_cases("fori-loop-float32", "normalise-float32")
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", [c for c in CASES if c.name in QUICK], ids=lambda c: c.name)
def test_a_correct_rule_agrees(case, dtype):
    """S2, S4 on any function: entrywise agreement within derived tolerances, and nothing vacuous about it."""
    found = assert_right(case, dtype, 0)
    assert found.verdict == "AGREE"
    assert found.resolution is not None and found.resolution < 1e-9


@pytest.mark.parametrize("case", sampled(CASES, 6), ids=lambda c: c.name)
def test_no_correct_rule_is_accused(case):
    """A sixth of the zoo, each case in one dtype; and nothing is named in a rule that is right."""
    found = assert_right(case, dtype_of(case.name), 0)
    assert {diagnosis.name for diagnosis in found.diagnoses} <= {"resolution"}


@pytest.mark.long
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_no_correct_rule_is_accused_with_any_of_twenty_keys(case, dtype):
    """The whole zoo: point, data and directions differ from key to key."""
    for seed in range(KEYS):
        assert_right(case, dtype, seed)
