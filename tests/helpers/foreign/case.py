"""One function of somebody else's library, and the points at which its derivatives are checked.

A case is a function that this project did not write, with the derivative that its library gives it. The derivative is
right unless `fault` says, with a value from mpmath, that it is not. The modules beside this one hold the cases, a
module a group of functions; `cases.py` collects them. A library other than JAX and optax is imported when a case is
made, never before.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Foreign:
    """A function of another library.

    Attributes:
        name: what is called, as one would write it, and in words what is special about the point.
        library: the module that must be there, for `pytest.importorskip`.
        make: ``make(rng, dtype)`` -> (fun, at, args): a function of JAX arrays, a pytree of NumPy arrays of that
            dtype, and further arguments held fixed (integers keep their dtype).
        fault: a confirmed fault of the library's derivative at this point: the value in mpmath, and the versions.
        undefined: why the function or its derivative is not finite there, where that is right.
        note: what is worth knowing of the case.
    """

    name: str
    library: str
    make: Callable[[np.random.Generator, Any], tuple[Callable[..., Any], Any, tuple[Any, ...]]]
    fault: str = ""
    undefined: str = ""
    note: str = ""

    def example(self, dtype: Any) -> tuple[Callable[..., Any], Any, tuple[Any, ...]]:
        """The function, the point and the arguments, with a seed that depends on the name."""
        return self.make(np.random.default_rng(zlib.crc32(self.name.encode())), dtype)


def weighted(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The outputs of a function summed with fixed weights of either sign, which float32 holds exactly."""

    def total(*inputs: Any) -> jax.Array:
        rng, terms = np.random.default_rng(0), []
        for leaf in jax.tree.leaves(fun(*inputs)):
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                weights = rng.choice([-1, 1], leaf.shape) * rng.integers(32, 97, leaf.shape) / 64
                terms.append(jnp.sum(jnp.asarray(weights, leaf.dtype) * leaf))
        return sum(terms[1:], terms[0])

    return total


def drawn(value: Any, rng: np.random.Generator, dtype: Any, keep: bool) -> Any:
    """A point or an argument as NumPy arrays of the dtype; what is not a float stays as it is where `keep`."""
    if isinstance(value, dict):
        return {key: drawn(item, rng, dtype, keep) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(drawn(item, rng, dtype, keep) for item in value)
    array = np.asarray(value(rng) if callable(value) else value)
    if keep and array.dtype.kind != "f":
        return array.astype(np.int32) if array.dtype.kind == "i" else array
    return array.astype(dtype)


def case(
    name: str,
    fun: Callable[..., Any],
    *points: Any,
    args: tuple[Any, ...] = (),
    vector: bool = False,
    library: str = "jax",
    fault: str = "",
    undefined: str = "",
    note: str = "",
) -> Foreign:
    """A case of a function of arrays: ``fun(*points, *args)``, summed with weights unless `vector`.

    A point is a list of numbers, a drawing function of a generator, or a dict of these; several make a tuple. With a
    library other than JAX and optax, `fun` takes nothing, imports it and returns the function.
    """

    def make(rng: np.random.Generator, dtype: Any) -> tuple[Callable[..., Any], Any, tuple[Any, ...]]:
        inner = fun if library in ("jax", "optax") else fun()
        at = drawn(points, rng, dtype, keep=False)
        outer = inner if len(points) == 1 else lambda x, *rest: inner(*x, *rest)
        return outer if vector else weighted(outer), at[0] if len(points) == 1 else at, drawn(args, rng, dtype, True)

    return Foreign(name, library, make, fault, undefined, note)


def normal(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Draw:
    """Normal numbers."""
    return lambda rng: shift + scale * rng.standard_normal(shape)


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Uniform numbers between two bounds."""
    return lambda rng: rng.uniform(low, high, shape)


def apart(*shape: int, low: float = -2.0, high: float = 2.0) -> Draw:
    """Numbers in a random order, no two of them equal and none near 0: away from ties and kinks."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        count = int(np.prod(shape))
        grid = np.linspace(low, high, count + 2)[1:-1] + 0.07
        return rng.permutation(grid).reshape(shape)

    return draw


def simplex(*shape: int) -> Draw:
    """Positive numbers that sum to 1 over the last axis."""
    return lambda rng: rng.dirichlet(np.full(shape[-1], 3.0), shape[:-1])


def definite(n: int, ridge: float = 1.0) -> Draw:
    """A symmetric positive definite matrix."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        factor = rng.standard_normal((n, n))
        return factor @ factor.T / n + ridge * np.eye(n)

    return draw


def regular(n: int) -> Draw:
    """A well-conditioned matrix without symmetry."""
    return lambda rng: rng.standard_normal((n, n)) / n + np.diag(np.arange(2.0, n + 2.0))
