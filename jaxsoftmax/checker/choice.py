"""Which arguments a check is about: those that the user names; x; or, for own rules, all that hold floats."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.calls import Call
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.support.validation import is_traced, show

__all__ = ["all_floats", "choose_call", "parameter_names", "read_call", "require_argnums"]


def choose_call(
    fun: Callable[..., Any],
    arguments: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: Any,
    *,
    has_aux: bool,
    rules: bool,
) -> tuple[Call, Traced, list[str]]:
    """Read the point, and trace the function there.

    Args:
        fun: the user's function.
        arguments: (at, *args).
        kwargs: keyword arguments.
        argnums: the user's; None where it is not given.
        has_aux: the function returns (value, aux).
        rules: rules are given.

    Returns:
        The call, the traced function, and what the report is to note.

    Raises:
        TypeError, ValueError: the arguments or the function cannot be used.
    """
    names = parameter_names(fun, len(arguments))
    chosen = 0 if argnums is None else require_argnums(argnums, len(arguments))
    if argnums is None and not rules:
        wider = [numbers for numbers in all_floats(arguments) if len(numbers) > 1]
        for numbers in wider:
            try:
                call = read_call(fun, arguments, kwargs, numbers, has_aux=has_aux, lenient=True)
                traced = _traced(fun, call)
                _differentiate(fun, call)
            except (TypeError, ValueError):
                continue
            named = ", ".join(names[i] for i in numbers)
            told = [f"fun's own derivatives were checked in {named}; argnums picks others", *call.notes()]
            left = [names[i] for i in wider[0] if i not in numbers]
            told += [f"held fixed, for JAX cannot differentiate fun there: {', '.join(left)}"] if left else []
            return call, traced, told
    call = read_call(fun, arguments, kwargs, chosen, has_aux=has_aux)
    traced = _traced(fun, call)
    told = call.notes()
    more = [i for i in all_floats(arguments)[0] if i not in call.numbers]
    if argnums is None and more:
        held = ", ".join(names[i] for i in more)
        numbers = (0, *more)
        told.append(
            f"held fixed: {held}. To check the rules there too, give argnums={numbers} and rules that return what "
            f"jax.grad(fun, argnums={numbers}) returns"
            if rules
            else f"held fixed, for JAX cannot differentiate fun there: {held}"
        )
    return call, traced, told


def _traced(fun: Callable[..., Any], call: Call) -> Traced:
    return Traced("fun", call.function(fun), call.point, call.args, twice=True)


def _differentiate(fun: Callable[..., Any], call: Call) -> None:
    """Trace a derivative in all arguments: some functions take some only as numbers, and say so late.

    Raises:
        ValueError: neither mode works.
    """
    run, x = call.function(fun), call.point.unflatten(call.point.leaves)

    def reverse(x: Any) -> Any:
        out, pull = jax.vjp(lambda y: run(y, *call.args), x)
        return pull(out)

    def forward(x: Any) -> Any:
        return jax.jvp(lambda y: run(y, *call.args), (x,), (x,))

    with call.point.scope():
        for mode in (reverse, forward):
            try:
                jax.eval_shape(mode, x)
                return
            except Exception as error:  # JAX says why in many ways
                last = error
    raise ValueError("fun: has no derivative in all of its arguments") from last


def require_argnums(argnums: Any, count: int) -> int | tuple[int, ...]:
    """`argnums` as positions from 0.

    Raises:
        TypeError: neither an int nor a tuple of them.
        ValueError: there is no such argument, or one is named twice.
    """
    several = isinstance(argnums, tuple | list)
    numbers = tuple(argnums) if several else (argnums,)
    for i in numbers:
        if isinstance(i, bool | np.bool_) or not isinstance(i, int | np.integer):
            raise TypeError(f"argnums: got {show(argnums)}; give an int or a tuple of ints, as to jax.grad.")
        if not -count <= i < count:
            raise ValueError(
                f"argnums: got {show(argnums)}; there are {count} arguments, at and args. Give positions from 0 "
                f"(at) to {count - 1}."
            )
    numbers = tuple(int(i) % count for i in numbers)
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"argnums: got {show(argnums)}; give each position once.")
    return numbers if several else numbers[0]


def parameter_names(fun: Any, count: int) -> list[str]:
    """What the report calls the first arguments of a function: its own names, or "at", "args[0]" and so on.

    Example:
        >>> parameter_names(lambda x, y: x, 2), parameter_names(max, 2)
        (['x', 'y'], ['at', 'args[0]'])
    """
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        found = [p.name for p in inspect.signature(fun).parameters.values() if p.kind in named]
    except (TypeError, ValueError):
        found = []
    return [found[i] if i < len(found) else f"args[{i - 1}]" if i else "at" for i in range(count)]


def read_call(
    fun: Any,
    arguments: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | tuple[int, ...],
    *,
    has_aux: bool = False,
    lenient: bool = False,
) -> Call:
    """Read the point of a check.

    Args:
        fun: the function, for the names of its parameters.
        arguments: (at, *args).
        kwargs: keyword arguments.
        argnums: which of the arguments are the point.
        has_aux: the function returns (value, auxiliary data).
        lenient: arguments after `at` were not asked for by the user: what cannot be used of them is held fixed, and
            they take the dtype that they would have beside `at`.

    Raises:
        TypeError, ValueError: from `read_point`.
    """
    names = parameter_names(fun, len(arguments))
    if isinstance(argnums, int):
        prefix = names[argnums] if argnums else ""
        point = read_point(arguments[argnums], lambda path: prefix + jax.tree_util.keystr(path))
        return Call(argnums, arguments, kwargs, point, has_aux)
    given = list(arguments)
    first = jax.tree.leaves(arguments[0]) if lenient else [x for i in argnums for x in jax.tree.leaves(arguments[i])]
    dtypes = [x.dtype for x in first if hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)]
    double = jnp.result_type(float) == np.float64 or any(dtype == np.float64 for dtype in dtypes)
    with jax.enable_x64(double):
        dtype = jnp.result_type(*dtypes) if dtypes else jnp.result_type(float)
    for i in argnums:
        given[i] = jax.tree.map(lambda x, i=i: _beside(x, dtype, double or i == 0 or not lenient), given[i])
    differentiated = tuple(given[i] for i in argnums)

    def place(path: Any) -> str:
        return names[argnums[path[0].idx]] + jax.tree_util.keystr(path[1:])

    point = read_point(differentiated, place, lenient=lambda path: lenient and argnums[path[0].idx] != 0)
    return Call(argnums, tuple(given), kwargs, point, has_aux)


def _beside(leaf: Any, dtype: Any, double: bool) -> Any:
    """A Python float in the dtype of the arrays beside it; NumPy's float64 in float32 where x64 is off."""
    if type(leaf) is float:
        return np.asarray(leaf, dtype)
    if not double and isinstance(leaf, np.ndarray | np.generic) and leaf.dtype == np.float64:
        return leaf.astype(np.float32)
    return leaf


def all_floats(arguments: tuple[Any, ...]) -> list[tuple[int, ...]]:
    """Which arguments to check where the user does not say: at and all that hold floats; at and arrays; at alone."""

    def holds(value: Any, numbers: bool) -> bool:
        def usable(leaf: Any) -> bool:
            if is_traced(leaf):
                return False
            if type(leaf) is float:
                return numbers and bool(np.isfinite(leaf))
            dtype = getattr(leaf, "dtype", None)
            floating = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
            return floating and bool(np.isfinite(np.asarray(leaf).astype(np.float64)).all())

        return any(usable(leaf) and np.size(leaf) for leaf in jax.tree.leaves(value))

    found = []
    for numbers in (True, False):
        found.append((0, *(i for i, value in enumerate(arguments) if i and holds(value, numbers))))
    return list(dict.fromkeys([*found, (0,)]))
