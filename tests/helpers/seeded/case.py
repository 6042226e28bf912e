"""What a seeded bug is: a function, a derivative of it that is wrong, the right one, and the names it may be called by.

`tests/checker/test_seeded_cases.py` proves every case without the checker.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import jax
import numpy as np

FACTOR, SIGN, TRANSPOSE, TERM = "wrong factor", "wrong sign", "transpose", "missing term"
ARGUMENT, SECOND, BRANCH, BATCH = "wrong argument", "second order only", "wrong branch", "wrong under vmap"
DEMOTED, SEVERAL, MEAN, CHAIN = (
    "float32 inside float64",
    "one of several arguments",
    "missing normalisation",
    "forgotten chain rule",
)
SET, ADJOINT, STALE, CLIPPED = "wrong accumulation", "adjoint of a solve", "stale closure", "clipped"
FAMILIES = (
    *(FACTOR, SIGN, TRANSPOSE, TERM, ARGUMENT, SECOND, BRANCH, BATCH),
    *(DEMOTED, SEVERAL, MEAN, CHAIN, SET, ADJOINT, STALE, CLIPPED),
)


@dataclass(frozen=True)
class Setup:
    """One bug at one point.

    `wrong` and `right` hold keyword rules of `js.crosscheck`; both are empty where `fun` carries its own wrong custom
    rule and `right_fun` the right one. `plain` is the same function without a custom rule, differentiable by JAX.
    A function of several arguments takes them as `fun(at, *args)`: the bug may lie in one of the float `args`.
    """

    fun: Callable[..., Any]
    at: Any
    args: tuple[Any, ...]
    wrong: dict[str, Callable[..., Any]]
    right_fun: Callable[..., Any]
    right: dict[str, Callable[..., Any]]
    names: tuple[str, ...]
    plain: Callable[..., Any]


@dataclass(frozen=True)
class Seeded:
    """A bug with its name, its family and the dtypes it can be seen in; `library`, if any, must be importable."""

    name: str
    family: str
    make: Callable[[np.random.Generator, np.dtype], Setup] = field(repr=False)
    dtypes: tuple[str, ...] = ("float32", "float64")
    library: str | None = None

    def setup(self, dtype: str) -> Setup:
        """Return the case at its own point: the seed is the name's."""
        return self.make(np.random.default_rng(crc32(self.name.encode())), np.dtype(dtype))


def seeded(cases: list[Seeded], family: str, name: str) -> Callable[[Callable[..., Setup]], Callable[..., Setup]]:
    """Put the decorated `make` into `cases`."""

    def put(make):
        dtypes = ("float64",) if family == DEMOTED else ("float32", "float64")
        cases.append(Seeded(name, family, make, dtypes))
        return make

    return put


def hand(fun, at, kind, rule, *names, args=(), plain=None) -> Setup:
    """Return a case of a hand rule: `rule(bug)` returns the wrong one for True, the right one for False."""
    return Setup(fun, at, tuple(args), {kind: rule(True)}, fun, {kind: rule(False)}, names, plain or fun)


def own_jvp(value, at, tangent, *names, args=(), plain=None) -> Setup:
    """Return a case of a custom_jvp: `tangent(bug)(*primals, *tangents)` returns the output's tangent."""

    def decorate(rule):
        function = jax.custom_jvp(value)

        @function.defjvp
        def _(primals, tangents):
            return function(*primals), rule(*primals, *tangents)

        return function

    wrong, right = decorate(tangent(True)), decorate(tangent(False))
    return Setup(wrong, at, tuple(args), {}, right, {}, names, plain or value)


def own_vjp(value, at, pull, *names, args=(), plain=None) -> Setup:
    """Return a case of a custom_vjp: `pull(bug)(*arguments, cotangent)` returns the tuple of their cotangents."""

    def decorate(rule):
        function = jax.custom_vjp(value)

        def forward(*arguments):
            return function(*arguments), arguments

        def backward(arguments, cotangent):
            return rule(*arguments, cotangent)

        function.defvjp(forward, backward)
        return function

    wrong, right = decorate(pull(True)), decorate(pull(False))
    return Setup(wrong, at, tuple(args), {}, right, {}, names, plain or value)


def composed(setup: Setup, outer: Callable[..., Any]) -> Setup:
    """Return the case of `outer(function)`, for a custom rule that is used inside something larger."""
    return Setup(
        outer(setup.fun), setup.at, setup.args, {}, outer(setup.right_fun), {}, setup.names, outer(setup.plain)
    )


def normal(rng, dtype, *shape) -> np.ndarray:
    """Return standard normal numbers."""
    return np.asarray(rng.normal(size=shape), dtype)


def positive(rng, dtype, *shape) -> np.ndarray:
    """Return numbers in (0.5, 2)."""
    return np.asarray(rng.uniform(0.5, 2.0, size=shape), dtype)


def spd(rng, dtype, n) -> np.ndarray:
    """Return a symmetric positive definite matrix whose eigenvalues are at least 1."""
    factor = rng.normal(size=(n, n))
    return np.asarray(factor @ factor.T / n + np.eye(n), dtype)


def square(rng, dtype, n) -> np.ndarray:
    """Return a well-conditioned matrix without symmetry."""
    return np.asarray(rng.normal(size=(n, n)) / n + 2.0 * np.eye(n), dtype)
