"""A Problem is a pytree that JAX rebuilds unasked: same leaves, no validation, no retrace for names, same sharding."""

import os
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax import L2, SelfRegularizer
from jaxsoftmax.problem.problem import Problem

X = np.array([[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
T = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
y = ["b", "a", "b"]


def test_leaves_have_readable_paths_and_static_data_are_intercept_and_dtype_only():
    problem = Problem(X, T, regularizer=L2(0.5) + SelfRegularizer(2))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(problem)[0]]
    assert paths == [".X", ".T", ".sample_weight", ".regularizer[0].alpha", ".regularizer[1].gamma"]
    structure = jax.tree.structure(problem)
    named = Problem(X + 1, T, regularizer=L2(7) + SelfRegularizer(1), classes=["p", "q"], feature_names=["u", "v"])
    assert structure == jax.tree.structure(named)
    assert structure != jax.tree.structure(
        Problem(X[:, :1], T, intercept=True, regularizer=L2(0.5) + SelfRegularizer(2))
    )
    assert hash(structure) == hash(jax.tree.structure(named))


def test_a_rebuilt_problem_has_the_leaves_and_nobodys_host_data():
    problem = Problem.from_labels(X, y, label_smoothing=0.1, feature_names=["u", "v"], regularizer=L2(0.5))
    for rebuilt in (jax.tree.map(lambda leaf: leaf, problem), jax.jit(lambda p: p)(problem), jax.device_put(problem)):
        assert isinstance(rebuilt, Problem)
        for ours, theirs in zip(jax.tree.leaves(problem), jax.tree.leaves(rebuilt), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert (rebuilt.host, rebuilt.classes, rebuilt.feature_names) == (None, None, None)
        assert (rebuilt.intercept, rebuilt.dtype, rebuilt.shape) == (True, np.dtype("float32"), (3, 3, 2))
        assert "dropped" in repr(rebuilt)


def test_replaced_parts_leave_the_host_copy_behind_and_a_penalty_keeps_it():
    """What was given is no longer what is stored: only a penalty is replaced in the host copy too."""
    problem = Problem(X, T, sample_weight=[1, 2, 3], regularizer=L2(1))
    for part in ({"X": X + 1}, {"T": T[::-1]}, {"sample_weight": np.ones(3)}):
        assert problem.replace(**part).host is None
        assert problem.replace(regularizer=L2(2), **part).host is None
    assert problem.replace(regularizer=L2(0.5)).host.sample_weight.tolist() == [1, 2, 3]


def test_unflatten_validates_nothing():
    leaves, tree = jax.tree.flatten(Problem(X, T, regularizer=L2(1)))
    for odd in (None, object(), -1, np.nan, "text", jax.ShapeDtypeStruct((2,), "int8")):
        rebuilt = jax.tree.unflatten(tree, [odd] * len(leaves))
        assert rebuilt.X is odd
        assert rebuilt.regularizer[0].alpha is odd
        assert "Problem(" in repr(rebuilt)
    shapes = jax.eval_shape(lambda p: p, Problem(X, T))
    assert shapes.shape == (3, 2, 2)
    assert "3 samples" in repr(shapes)


def test_names_classes_and_host_data_do_not_retrace():
    traces = []

    @jax.jit
    def total(problem):
        traces.append(problem.shape)
        return problem.T.sum() + problem.X.sum() + sum(r.alpha for r in problem.regularizer)

    total(Problem.from_labels(X, ["a", "b", "a"], regularizer=L2(0.1)))
    total(Problem.from_labels(X * 2, [5, 6, 6], feature_names=["u", "v"], regularizer=L2(0.3)))
    total(
        Problem.from_labels(
            X.tolist(), [True, False, True], label_smoothing=0.1, sample_weight=[1, 2, 0], regularizer=L2(1)
        )
    )
    total(Problem(np.c_[X, [1, 1, 1]], T, regularizer=L2(0.1)))  # no appended intercept: static, so one more trace
    total(Problem.from_labels(X[:, :1], y, regularizer=L2(0.1)))
    assert traces == [(3, 3, 2), (3, 3, 2), (3, 2, 2)]


@pytest.mark.slow
def test_problems_map_and_differentiate():
    """vmap over weights and gradients in X, T and s go through `replace`, whose values are not inspected."""
    problem = Problem(X, T)

    def value(problem):
        return (problem.sample_weight * jnp.sum(problem.X @ jnp.ones((2, 2)) * problem.T, axis=1)).sum()

    weights = np.array([[1, 0, 0], [0, 2, -1]], np.float32)
    direct = [value(problem.replace(sample_weight=s)) for s in weights]
    np.testing.assert_array_equal(jax.vmap(lambda s: value(problem.replace(sample_weight=s)))(weights), direct)
    tree = jax.tree.structure(problem)
    axes = jax.tree.unflatten(tree, [None, None, 0])
    mapped = jax.tree.unflatten(tree, [problem.X, problem.T, weights])
    np.testing.assert_array_equal(jax.vmap(value, in_axes=(axes,))(mapped), direct)
    gradient = jax.grad(value)(problem)
    np.testing.assert_allclose(gradient.X, np.ones((3, 2)), rtol=1e-6)  # Σ_c t_nc = 1, one rounding each
    for name in ("X", "T", "sample_weight"):
        part = jax.grad(lambda leaf, name=name: value(problem.replace(**{name: leaf})))(getattr(problem, name))
        np.testing.assert_array_equal(part, getattr(gradient, name))


def test_replace_keeps_what_still_describes_the_problem():
    problem = Problem.from_labels(X, y, feature_names=["u", "v"])
    penalised = problem.replace(regularizer=L2(0.1))
    np.testing.assert_array_equal(penalised.host.X, X)
    assert penalised.host.regularizer[0].alpha == 0.1
    assert problem.regularizer == problem.host.regularizer == ()
    moved = problem.replace(X=np.ones((5, 4)), T=np.ones((5, 3)), sample_weight=np.ones(5))
    assert (moved.host, moved.classes, moved.feature_names, moved.shape) == (None, None, None, (5, 4, 3))
    assert moved.X.dtype == np.float32
    assert problem.replace(sample_weight=np.zeros(3)).classes.tolist() == ["a", "b"]
    traced = jax.jit(lambda a: problem.replace(regularizer=L2(a)).host.regularizer is None)(0.5)
    assert traced


def test_a_problem_survives_pickling():
    problem = pickle.loads(pickle.dumps(Problem.from_labels(X, y, label_smoothing=0.1, regularizer=L2(0.1))))
    assert problem.exact_targets()[0].tolist() == [[1, 19], [19, 1], [1, 19]]
    assert problem.classes.tolist() == ["a", "b"]
    np.testing.assert_array_equal(problem.host.X, X)


SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxsoftmax.problem.problem import Problem

assert jax.device_count() == 4
X = np.arange(32, dtype="float32").reshape(8, 4)
y = np.arange(8) % 3
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(kind,))
    rows, vector = NamedSharding(mesh, P("rows", None)), NamedSharding(mesh, P("rows"))
    x = jax.device_put(X, rows)
    for intercept in (False, True):
        p = Problem.from_labels(x, y, intercept=intercept, sample_weight=np.ones(8) if intercept else None)
        assert p.X.sharding == rows and p.T.sharding == rows and p.sample_weight.sharding == vector
        assert p.smoothed(0.1).T.sharding == rows
        np.testing.assert_array_equal(p.X, np.c_[X, np.ones(8)] if intercept else X)
        np.testing.assert_array_equal(jax.jit(lambda p: p.T * p.sample_weight[:, None])(p), np.eye(3)[y])
    t, s = jax.device_put(np.eye(3, dtype="float32")[y], rows), jax.device_put(np.ones(8, "float32"), vector)
    p = Problem(x, t, sample_weight=s)
    assert p.X is x and p.T is t and p.sample_weight is s
    inexact = jax.device_put(np.full((8, 3), 1 / 3, "float32") * np.float32(1 + 2e-7), rows)
    assert Problem(x, inexact).T.sharding == rows  # normalised, and still in place
    mesh = jax.make_mesh((2, 2), ("rows", "columns"), axis_types=(kind, kind))
    x = jax.device_put(X, NamedSharding(mesh, P("rows", "columns")))
    p = Problem.from_labels(x, y, intercept=False)
    assert p.X is x and p.T.sharding == NamedSharding(mesh, P("rows", None))
    p = Problem.from_labels(x, y)  # five columns cannot be split in two: replicated along them
    assert p.X.sharding.is_equivalent_to(NamedSharding(mesh, P("rows", None)), 2)
    np.testing.assert_array_equal(p.X, np.c_[X, np.ones(8)])
x = jax.device_put(X, jax.devices()[2])
p = Problem.from_labels(x, y)
assert all(leaf.devices() == {jax.devices()[2]} for leaf in jax.tree.leaves(p))
"""


def test_rows_stay_sharded_as_X_is_on_automatic_and_explicit_meshes():
    """Intercept, targets and weights follow the rows of a sharded X, in a process with four virtual CPU devices."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    run = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
