"""What to know of a jaxpr's equations: how each JAX version binds them, what is inside them, what tells two apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def bind(eqn: Any, given: Sequence[Any], params: dict[str, Any] | None = None) -> list[Any]:
    """The outputs of an equation for other operands and, where given, other parameters."""
    bound = eqn.primitive.get_bind_params(eqn.params if params is None else params)
    subfuns, bound = bound if isinstance(bound, tuple) else ((), bound)  # a pair up to JAX 0.10.1
    out = eqn.primitive.bind(*subfuns, *given, **bound)
    return list(out) if eqn.primitive.multiple_results else [out]


def scan_counts(params: dict[str, Any], operands: int) -> tuple[int, int]:
    """(number of constants, number of carries) of a scan with so many operands."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].update(list(range(operands))).unpack()  # since JAX 0.12
    return len(list(consts)), len(list(carry))


def advance(going: jax.Array, after: Any, before: Any) -> Any:
    """The carry of a while loop after a step; under vmap only those of the batch whose own condition holds move.

    Args:
        going: what the condition said before the step: a scalar, or one for each of the batch (leading axes).
        after: the carry after the step, a pytree.
        before: the carry before it.
    """
    if not going.ndim:
        return after

    def chosen(new: Any, old: Any) -> Any:
        return jnp.where(jnp.reshape(going, going.shape + (1,) * (np.ndim(new) - going.ndim)), new, old)

    return jax.tree.map(chosen, after, before)


def inner_jaxprs(params: dict[str, Any]) -> list[Any]:
    """The jaxprs in an equation's parameters, closed or open."""
    found = []
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                found.append(part)
    return found


def primitives(jaxpr: Any) -> set[str]:
    """The names of all primitives in a jaxpr, at any depth."""
    names = set()
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        names.add(eqn.primitive.name)
        for inner in inner_jaxprs(eqn.params):
            names |= primitives(inner)
    return names


def inner_consts(jaxpr: Any) -> list[Any]:
    """The constants of all jaxprs inside a jaxpr, at any depth: what a jitted function closes over."""
    found = []
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        for inner in inner_jaxprs(eqn.params):
            found += [*getattr(inner, "consts", ()), *inner_consts(inner)]
    return found


class Same:
    """A value that equals itself alone, whatever it is; it keeps the value alive."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def signature(jaxpr: Any) -> tuple[Any, ...]:
    """A hashable value: jaxprs with the same one compute the same, constants at the top level apart.

    It is the text, and what a text does not show: constants of inner jaxprs, and host functions (callbacks), whose
    addresses some JAX versions print as 0xXXXX.
    """
    return (str(jaxpr), *map(Same, inner_consts(jaxpr)), *_host_code(jaxpr))


def _host_code(jaxpr: Any) -> list[Any]:
    found = []
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        for inner in inner_jaxprs(eqn.params):
            found += _host_code(inner)
        # Rules hold new functions at every trace, which running the equation does not call.
        if not inner_jaxprs(eqn.params):
            for value in eqn.params.values():
                if " at 0x" in repr(value):
                    found.append(value if _hashable(value) else Same(value))
    return found


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
