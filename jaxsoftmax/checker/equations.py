"""What differs between JAX versions in a jaxpr's equations: binding one again, and the parts of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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
