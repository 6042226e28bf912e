"""A way round a cache of JAX: NumPy arrays that a function closes over keep the dtype of their first trace.

JAX 0.10 and later turn a NumPy array that is met in a trace into an array of its own, int32 for int64 where x64 is off,
and remember it by the array's identity for as long as anything holds it (``_canonicalize_ndarray_dtype`` in
``jax/_src/abstract_arrays.py``; in C++ from jaxlib 0.11 on). Under x64 the same array then still is int32 to primitives
and int64 to NumPy, and ``z[jnp.arange(4), labels]`` adds the two. A copy of the array has no such past.

Guarded by `tests/checker/inputs/test_closures.py`.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np
from jax.extend.core import ClosedJaxpr

__all__ = ["forget_dtypes", "fresh_arrays"]

# Functions within functions that are looked at.
_DEPTH = 8
# Whose functions are left alone.
_LIBRARIES = ("jax", "jaxlib", "numpy", "builtins")


def forget_dtypes(closed: ClosedJaxpr, *, floats: bool) -> ClosedJaxpr:
    """The jaxpr with copies of the NumPy arrays among its constants, so that JAX's own are let go.

    Args:
        closed: it.
        floats: copy arrays of floats too.
    """

    def copied(const: Any) -> Any:
        if not isinstance(const, np.ndarray) or (const.dtype.kind not in "iub" and not floats):
            return const
        if getattr(const, "weak_type", False):  # what only JAX's own array can say
            return const
        return np.array(const, subok=False)

    consts = [copied(const) for const in closed.consts]
    return (
        closed if all(a is b for a, b in zip(consts, closed.consts, strict=True)) else ClosedJaxpr(closed.jaxpr, consts)
    )


@contextmanager
def fresh_arrays(*functions: Any) -> Iterator[int]:
    """Put copies in the place of the NumPy integer arrays that functions close over, or name as globals; then undo it.

    Functions within them are followed: of ``functools.partial``, jit, custom rules, closures and globals.

    Yields:
        How many arrays were replaced.
    """
    undo: list[Callable[[], None]] = []
    seen: set[int] = set()
    copies: dict[int, np.ndarray] = {}
    for fun in functions:
        _replace(fun, undo, seen, copies, _DEPTH)
    try:
        yield len(undo)
    finally:
        for restore in reversed(undo):
            restore()


def _replace(
    fun: Any, undo: list[Callable[[], None]], seen: set[int], copies: dict[int, np.ndarray], depth: int
) -> None:
    if depth == 0 or id(fun) in seen or str(getattr(fun, "__module__", "")).partition(".")[0] in _LIBRARIES:
        return
    seen.add(id(fun))
    if isinstance(fun, functools.partial):
        inner: list[Any] = [fun.func, *fun.args, *fun.keywords.values()]
    else:
        inner = [getattr(fun, name, None) for name in ("__wrapped__", "__func__", "fun", "jvp", "fwd", "bwd")]
    if isinstance(fun, types.FunctionType):
        for cell in fun.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            if _stale(value):
                undo.append(functools.partial(setattr, cell, "cell_contents", value))
                cell.cell_contents = copies.setdefault(id(value), value.copy())
            else:
                inner.append(value)
        held = fun.__globals__
        for name in _names(fun.__code__):
            value = held.get(name)
            if _stale(value) and copies.get(id(value)) is not value:
                undo.append(functools.partial(held.__setitem__, name, value))
                held[name] = copies.setdefault(id(value), value.copy())
            else:
                inner.append(value)
    for value in inner:
        if callable(value) and not isinstance(value, type):
            _replace(value, undo, seen, copies, depth - 1)


def _names(code: types.CodeType) -> Iterator[str]:
    """The global names of a function's code, with those of the functions defined in it."""
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)


def _stale(value: Any) -> TypeGuard[np.ndarray]:
    return type(value) is np.ndarray and value.dtype.kind in "iu"
