"""NumPy arrays that a function closes over, traced with x64 off and on in one process."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.closures import forget_dtypes, fresh_arrays
from jaxsoftmax.checker.inputs.tracing import Traced

Z = np.arange(12.0).reshape(4, 3)
LABELS = np.array([0, 2, 1, 0])


def from_globals(z):
    return -jnp.sum(z[jnp.arange(4), LABELS])


def from_closure(transform):
    labels = np.array([0, 2, 1, 0])
    return transform(lambda z: -jnp.sum(z[jnp.arange(4), labels]))


FUNCTIONS = {
    "closure": lambda: from_closure(lambda f: f),
    "jit": lambda: from_closure(jax.jit),
    "inner jit": lambda: functools.partial(lambda f, z: 2 * f(z), from_closure(jax.jit)),
    "globals": lambda: from_globals,
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_integer_labels_are_traced_in_both_dtypes_in_one_process(make):
    """Defect 6: the second dtype was refused, "lax.add requires arguments to have the same dtypes"."""
    fun = make()
    for dtype in (np.float32, np.float64, np.float32):
        traced = Traced("fun", fun, read_point(Z.astype(dtype)), (), twice=True)
        assert traced.wide and traced.narrow.jaxpr.invars[0].aval.dtype == dtype


def test_arrays_are_put_back():
    fun = from_closure(jax.jit)
    before = fun.__wrapped__.__closure__[0].cell_contents
    with fresh_arrays(fun, from_globals) as replaced:
        assert replaced == 2
        during = fun.__wrapped__.__closure__[0].cell_contents
        assert during is not before and np.array_equal(during, before)
        assert from_globals.__globals__["LABELS"] is not LABELS_BEFORE
    assert fun.__wrapped__.__closure__[0].cell_contents is before
    assert from_globals.__globals__["LABELS"] is LABELS_BEFORE


LABELS_BEFORE = LABELS


def test_forgotten_constants_are_the_same_numbers():
    labels = np.array([3, 1])
    closed = jax.make_jaxpr(lambda x: x + jnp.asarray(labels))(1.0)
    copied = forget_dtypes(closed, floats=True)
    assert [np.asarray(c).tolist() for c in copied.consts] == [np.asarray(c).tolist() for c in closed.consts]
    assert all(type(c) is np.ndarray for c in copied.consts if isinstance(c, np.ndarray))
