"""A function with a declared example: the point and the hand rules to check it with, for the command line and tests.

Guarded by `tests/checker/test_assertions.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show

__all__ = ["ATTRIBUTE", "OPTIONS", "declare_example", "declared_example"]

ATTRIBUTE = "__crosscheck__"
# The arguments of crosscheck after the function.
OPTIONS = ("at", "gradient", "value_and_gradient", "hvp", "hessian", "jvp", "vjp", "args", "key", "budget")
OPTIONS += ("dtype_policy", "psd", "twin", "argnums", "kwargs", "has_aux", "intent", "equation")
_HOW = "decorate it with @js.declare_example(at=..., gradient=...), the arguments of js.crosscheck"

Fun = TypeVar("Fun")


def declare_example(make: Callable[[], Mapping[str, Any]] | None = None, /, **arguments: Any) -> Callable[[Fun], Fun]:
    """Declare, on the function itself, with what `js.crosscheck` is to check it.

    ``jaxsoftmax crosscheck module:function`` and ``js.assert_derivatives(function)`` read the declaration. The function
    itself is returned, unchanged but for the attribute ``__crosscheck__``.

    Args:
        make: a function without arguments that returns the arguments as a dict: nothing is computed before it is
            called, so a module stays cheap to import, and rules may be defined below the function.
        arguments: the arguments of `js.crosscheck` after the function: `at`, and what else is wanted (`args`,
            `gradient`, `hvp`, ...). Instead of `make`.

    Returns:
        A decorator.

    Raises:
        TypeError: `at` is missing, an argument is not one of `js.crosscheck`, or both or neither form is used.

    Example:
        >>> import jax.numpy as jnp, jaxsoftmax as js, numpy as np
        >>> @js.declare_example(at=np.float32([1.0, 2.0]), gradient=lambda x: 2 * x)
        ... def square(x):
        ...     return jnp.sum(x**2)
        >>> sorted(square.__crosscheck__)
        ['at', 'gradient']
    """
    if make is None:
        example: Any = _checked(arguments, "declare_example")
    elif arguments:
        raise WrongType("declare_example", f"got a function and {', '.join(arguments)}", "give one or the other")
    elif callable(make):
        example = make
    else:
        raise WrongType(
            "declare_example",
            f"got {show(make)}, {kind_of(make)}",
            "give the arguments of js.crosscheck by name (at=..., gradient=...), or a function without arguments "
            "that returns them as a dict",
        )

    def declare(fun: Fun) -> Fun:
        try:
            setattr(fun, ATTRIBUTE, example)
        except AttributeError:
            raise WrongType(
                "declare_example",
                f"{show(fun)}, {kind_of(fun)}, takes no attributes",
                "wrap it in a function of your own",
            ) from None
        return fun

    return declare


def declared_example(fun: Any) -> dict[str, Any]:
    """The arguments of `js.crosscheck` that were declared for a function.

    Args:
        fun: the function; its attribute ``__crosscheck__`` is a dict, or a function without arguments returning one.

    Returns:
        A new dict with the key "at".

    Raises:
        ValueError: there is no declaration.
        TypeError: it is not a dict, lacks "at", or names what is no argument of `js.crosscheck`.

    Example:
        >>> from jaxsoftmax.checker.example import declared_example
        >>> def cube(x):
        ...     return x**3
        >>> cube.__crosscheck__ = lambda: {"at": 2.0}
        >>> declared_example(cube)
        {'at': 2.0}
    """
    name = getattr(fun, "__name__", None) or show(fun)
    example = getattr(fun, ATTRIBUTE, None)
    if example is None:
        raise WrongValue(name, "no example is declared for it", _HOW)
    made = " returned"
    if callable(example):
        example = example()
    else:
        made = " is"
    if not isinstance(example, Mapping):
        raise WrongType(name, f"its {ATTRIBUTE}{made} {show(example)}, {kind_of(example)}", f"give a dict: {_HOW}")
    return _checked(example, name)


def _checked(arguments: Mapping[str, Any], name: str) -> dict[str, Any]:
    for given in arguments:
        if given not in OPTIONS:
            near = difflib.get_close_matches(str(given), OPTIONS, 1)
            hint = f"give {near[0]}, if you mean that" if near else f"give some of {', '.join(OPTIONS)}"
            raise WrongType(name, f"{show(given)} is no argument of js.crosscheck", hint)
    if "at" not in arguments:
        raise WrongType(name, "at is missing", "give the point at which to check, a pytree with float leaves")
    return dict(arguments)
