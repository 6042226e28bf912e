"""The features that the loop runs in: those given, the working columns, or these whitened; and the mesh of devices.

Guarded by `tests/training/test_columns.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding

from jaxsoftmax.calculus.bounds.bohning import whitening
from jaxsoftmax.calculus.loss.null_space import free_directions
from jaxsoftmax.linalg.products import explicit_sharding
from jaxsoftmax.problem.arrays import place_rows
from jaxsoftmax.problem.fields import set_fields
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.columns import Columns, exactly_in_columns, in_columns


class Route(NamedTuple):
    """The features that the loop runs in, and the way from its weights and gradients to the working columns."""

    problem: Problem
    start: Any  # (C, D) there
    weights: Callable[[Any], np.ndarray]  # of the end point, in the columns given
    gradient: Callable[[np.ndarray], np.ndarray]  # from a gradient in the working columns
    working: bool = False  # whether the loop runs in the working columns themselves


def route_of(problem: Problem, columns: Columns, anywhere: bool, whiten: bool, W0: Any) -> Route:
    """The columns given, the working ones where the method's path is the same in any, or these whitened."""
    if not anywhere:
        return Route(problem, W0, lambda W: np.asarray(W, np.float64), columns.gradient_outward)
    V0 = columns.inward(W0)
    if whiten:
        with jax.enable_x64(True):
            exact = exactly_in_columns(problem, columns)
            A = whitening(exact, free_directions(exact))
            X = np.asarray(exact.X) @ A.T
        if len(A):  # X = 0 leaves nothing to whiten
            inner = problem.replace(X=place_rows(X.astype(problem.dtype), problem.X))
            U0 = jax.numpy.asarray((V0 @ np.linalg.pinv(A)).astype(problem.dtype))
            # The weights move by (U − U₀) A, so that the part of W₀ in the null space stays.
            moved = lambda U: columns.outward(V0 + (U.astype(np.float64) - np.asarray(U0)) @ A)  # noqa: E731
            return Route(inner, U0, moved, lambda g: g @ A.T)
    inner = in_columns(problem, columns)
    start = W0 if inner is problem else jax.numpy.asarray(V0.astype(problem.dtype))
    return Route(inner, start, columns.outward, lambda g: g, working=True)


def on_explicit_mesh(problem: Problem) -> bool:
    """Whether X lies on a mesh whose axes JAX wants named in every operation."""
    return explicit_sharding(problem.X) is not None


@contextlib.contextmanager
def automatic_mesh(problem: Problem) -> Iterator[Problem]:
    """The problem on a mesh of the same devices on which XLA places what it computes; no array is moved or copied."""
    given: Any = problem.X.sharding
    mesh = Mesh(given.mesh.devices, given.mesh.axis_names, axis_types=(AxisType.Auto,) * len(given.mesh.axis_names))

    def seen(leaf: Any) -> Any:
        spec = leaf.sharding.spec if isinstance(leaf.sharding, NamedSharding) else jax.sharding.PartitionSpec()
        return jax.device_put(leaf, NamedSharding(mesh, spec))

    with jax.set_mesh(mesh):
        moved = jax.tree.map(seen, problem)
        names = {name: getattr(problem, name) for name in ("host", "classes", "feature_names")}
        yield set_fields(moved, **names)
