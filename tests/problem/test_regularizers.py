"""Regularisers (S21 a, b, d) are data: validated once, composable by +, their strengths leaves that never retrace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax import L2, LogCosh, SelfRegularizer
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import as_regularizers


def test_composition_by_plus_keeps_the_order():
    """S21: penalties add; every way of writing the sum gives the same flat tuple."""
    a, b, c = L2(0.1), SelfRegularizer(2), L2(1, penalize_intercept=True)
    assert a + b == (a, b)
    assert a + b + c == (a, b, c)
    assert a + (b + c) == (a, b, c)
    assert [a] + c == (a, c)  # noqa: RUF005  (the point is the + itself)
    assert a + [b] == (a, b)  # noqa: RUF005
    assert sum([a, b, c]) == (a, b, c)
    assert as_regularizers(None) == ()
    assert as_regularizers(a) == (a,)
    assert as_regularizers([a, b]) == (a, b)
    with pytest.raises(TypeError):
        _ = a + 1


@pytest.mark.parametrize(
    "value", [1, 0.5, np.float32(0.5), np.int64(2), np.array(0.5), jnp.float32(0.5), jnp.bfloat16(0.5)]
)
def test_real_numbers_of_every_kind_are_strengths(value):
    """S21: Python, NumPy and JAX scalars all do; repr shows the number."""
    number = float(value)
    assert float(eval(repr(L2(value)), {"L2": L2}).alpha) == number
    assert float(SelfRegularizer(value).gamma) == number
    both = eval(repr(LogCosh(value, value, penalize_intercept=True)), {"LogCosh": LogCosh})
    assert (float(both.alpha), float(both.gamma), both.penalize_intercept) == (number, number, True)
    problem = Problem([[1.0], [2.0]], np.eye(2), regularizer=L2(value) + LogCosh(value, value) + SelfRegularizer(value))
    for leaf in jax.tree.leaves(problem.regularizer):
        assert isinstance(leaf, jax.Array)
        assert leaf.dtype == np.float32
        assert not leaf.weak_type
        assert float(leaf) == number


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda: L2(-0.5), ValueError, ["alpha", "-0.5", ">= 0"]),
        (lambda: L2(np.nan), ValueError, ["alpha", "nan", "finite"]),
        (lambda: L2(jnp.inf), ValueError, ["alpha", "inf", "finite"]),
        (lambda: L2([0.1]), TypeError, ["alpha", "[0.1]", "real number"]),
        (lambda: L2(np.ones(2)), ValueError, ["alpha", "(2,)", "one real number"]),
        (lambda: L2("0.1"), TypeError, ["alpha", "'0.1'", "real number"]),
        (lambda: L2(True), TypeError, ["alpha", "True", "real number"]),
        (lambda: L2(1j), TypeError, ["alpha", "1j", "real number"]),
        (lambda: L2(0.1, 1), TypeError, ["penalize_intercept", "1", "True or False"]),  # pyright: ignore[reportArgumentType]
        (lambda: LogCosh(-1, 1), ValueError, ["alpha", "-1", ">= 0"]),
        (lambda: LogCosh(1, 0), ValueError, ["gamma", "0", "> 0"]),
        (lambda: LogCosh(1, -2.0), ValueError, ["gamma", "-2.0", "> 0"]),
        (lambda: LogCosh(1, np.inf), ValueError, ["gamma", "inf", "finite"]),
        (lambda: LogCosh(1, "2"), TypeError, ["gamma", "'2'", "real number"]),
        (lambda: LogCosh(1, 2, 0), TypeError, ["penalize_intercept", "0", "True or False"]),  # pyright: ignore[reportArgumentType]
        (lambda: SelfRegularizer(0), ValueError, ["gamma", "0", "give another number"]),
        (lambda: SelfRegularizer(-np.inf), ValueError, ["gamma", "-inf", "finite"]),
        (lambda: SelfRegularizer(None), TypeError, ["gamma", "None", "real number"]),
        (
            lambda: Problem([[1.0], [2.0]], np.eye(2), regularizer=0.1),
            TypeError,
            ["regularizer", "0.1", "js.L2(alpha)"],
        ),
        (
            lambda: Problem([[1.0], [2.0]], np.eye(2), regularizer=[L2(1), 2]),
            TypeError,
            ["regularizer", "js.L2(alpha)"],
        ),
        (
            lambda: Problem([[1.0], [2.0]], np.eye(2), regularizer=L2(1e-60)),
            ValueError,
            ["regularizer", "1e-60", "rescale"],
        ),
        (  # not zero in float32, but XLA takes it for zero
            lambda: Problem([[1.0], [2.0]], np.eye(2), regularizer=L2(1e-40)),
            ValueError,
            ["regularizer", "1e-40", "rescale"],
        ),
        (
            lambda: Problem([[1.0], [2.0]], np.eye(2), regularizer=L2(1e60)),
            ValueError,
            ["regularizer", "1e+60", "rescale"],
        ),
    ],
)
def test_unusable_strengths_are_named(build, error, says):
    """S21: alpha >= 0, gamma not 0, both finite, and neither lost nor infinite in the compute dtype."""
    with pytest.raises(error) as caught:
        build()
    for part in says:
        assert part in str(caught.value)


def test_a_strength_is_a_leaf_and_the_intercept_flag_is_static():
    """S21: a new strength retraces nothing, a new intercept flag does; unflatten validates neither."""
    traces = []

    @jax.jit
    def strength(penalty):
        traces.append(penalty.penalize_intercept)
        return 2 * penalty.alpha

    assert strength(L2(jnp.float32(0.25))) == 0.5
    assert strength(L2(jnp.float32(0.5))) == 1.0
    assert strength(L2(jnp.float32(0.5), penalize_intercept=True)) == 1.0
    assert traces == [False, True]
    for penalty in (L2(0.5), SelfRegularizer(0.5)):
        leaves, tree = jax.tree.flatten(penalty)
        for odd in (-1.0, 0, None, object(), jax.ShapeDtypeStruct((3,), "int32")):
            assert jax.tree.leaves(jax.tree.unflatten(tree, [odd]), is_leaf=lambda x: x is None) == [odd]
        assert repr(jax.tree.unflatten(tree, [leaves[0]])) == repr(penalty)
    leaves, tree = jax.tree.flatten(LogCosh(0.5, 2.0, penalize_intercept=True))
    assert leaves == [0.5, 2.0]
    assert repr(jax.tree.unflatten(tree, leaves)) == "LogCosh(alpha=0.5, gamma=2.0, penalize_intercept=True)"
    assert jax.tree.unflatten(tree, [None, object()]).alpha is None
    paths = jax.tree_util.tree_flatten_with_path(L2(1) + LogCosh(3, 4) + SelfRegularizer(2))[0]
    assert [jax.tree_util.keystr(path) for path, _ in paths] == ["[0].alpha", "[1].alpha", "[1].gamma", "[2].gamma"]


def test_strengths_map_and_differentiate():
    """S21: vmap over alpha and a derivative in gamma go through the constructors, which skip traced values."""
    alphas = jnp.array([0.0, 1.0, -3.0])  # the values of tracers are not looked at
    np.testing.assert_array_equal(jax.vmap(lambda alpha: L2(alpha).alpha * 2)(alphas), 2 * alphas)
    problem = Problem([[1.0], [2.0]], np.eye(2))

    def square(gamma):
        return problem.replace(regularizer=SelfRegularizer(gamma)).regularizer[0].gamma ** 2

    assert jax.grad(square)(3.0) == 6.0
