"""The functions of others are fit to be checked: they can be made, and are finite with their gradients."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.stages import sampled

pytest.importorskip("jax", minversion="0.10.2")  # the cases name functions that older releases lack
pytest.importorskip("optax", minversion="0.2.8")
from helpers.foreign.cases import CASES

DTYPES = (np.float32, np.float64)
QUIET = pytest.mark.filterwarnings("ignore")  # whatever another library warns of is no matter of ours


def total(fun, args):
    """The sum of all outputs, as a function of the point."""
    return lambda x: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(fun(x, *args)))


@pytest.mark.slow
def test_there_are_enough_and_no_name_is_there_twice():
    """At least 210 functions, a quarter of them with vector outputs, of nine libraries."""
    names = Counter(case.name for case in CASES)
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) >= 210
    assert len({case.library for case in CASES}) == 9


@QUIET
@pytest.mark.parametrize("case", sampled(CASES, 24), ids=lambda case: case.name)
def test_a_case_is_finite_with_its_gradient_in_float64(case):
    pytest.importorskip(case.library)
    fun, at, args = case.example(np.float64)
    leaves = jax.tree.leaves(at)
    assert {np.asarray(leaf).dtype for leaf in leaves} == {np.dtype(np.float64)}
    assert sum(np.size(leaf) for leaf in leaves) <= 30
    slope = (lambda x: 0.0) if case.undefined else jax.grad(total(fun, args))
    with jax.enable_x64(True):
        value, gradient = jax.jit(lambda x: (fun(x, *args), slope(x)))(at)
    assert {leaf.dtype for leaf in jax.tree.leaves(value)} == {np.dtype(np.float64)}
    assert case.fault or all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves((value, gradient)))


@pytest.mark.long
@QUIET
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_keeps_float32(case):
    """With x64 off. With it on, some libraries turn integers, or constants of their own, into float64."""
    pytest.importorskip(case.library)
    fun, at, args = case.example(np.float32)
    shapes = jax.eval_shape(fun, at, *args)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}
