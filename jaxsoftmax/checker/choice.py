"""Which arguments a check is about: those that the user names; x; or, for a function's own rules, all that hold floats.

Guarded by `tests/checker/test_arguments_and_orders.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jaxsoftmax.checker.inputs.calls import Call, all_floats, parameter_names, read_call, require_argnums
from jaxsoftmax.checker.inputs.tracing import Traced


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
