"""Jaxprs, equation by equation: one walk through all depths, one evaluation, what each JAX version calls things.

Guarded by `tests/checker/jaxprs/test_replay.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

# Primitives that run a jaxpr of their parameters in place, and the names that this parameter has.
_CALLS = {
    "jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call",
    "custom_vjp_call_jaxpr", "custom_transpose_call", "custom_lin", "eval_jaxpr", "composite", "custom_vmap_call",
}  # fmt: skip
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def body_of(eqn: Any) -> Any:
    """The jaxpr that a call runs in place, closed or open; None for any other equation (loops and branches too)."""
    if eqn.primitive.name not in _CALLS:
        return None
    return next((eqn.params[key] for key in _BODIES if key in eqn.params), None)


def evaluate(
    jaxpr: Any,
    args: Sequence[Any],
    equation: Callable[[Any, list[Any]], Sequence[Any]],
    *,
    consts: Sequence[Any] = (),
    literal: Callable[[Literal], Any] = lambda atom: atom.val,
) -> list[Any]:
    """The outputs of an open jaxpr, equation by equation.

    Args:
        jaxpr: the program.
        args: one value of any kind (an array, a pair of value and error) for each of its inputs.
        equation: (equation, values of its operands) -> values of its outputs.
        consts: values of its constants.
        literal: a literal operand -> its value.
    """
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return literal(atom) if isinstance(atom, Literal) else values[atom]

    for eqn in jaxpr.eqns:
        values.update(zip(eqn.outvars, equation(eqn, [read(atom) for atom in eqn.invars]), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(eqn: Any, given: Sequence[Any], params: dict[str, Any] | None = None) -> list[Any]:
    """The outputs of an equation for other operands and, where given, other parameters."""
    bound = eqn.primitive.get_bind_params(eqn.params if params is None else params)
    subfuns, bound = bound if isinstance(bound, tuple) else ((), bound)  # a pair up to JAX 0.10.1
    out = eqn.primitive.bind(*subfuns, *given, **bound)
    return list(out) if eqn.primitive.multiple_results else [out]


def scan_counts(params: dict[str, Any]) -> tuple[int, int]:
    """(number of constants, number of carried values) of a scan."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].unpack()  # since JAX 0.12
    return len(consts), len(carry)


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


def equations(jaxpr: Any, times: float = 1.0) -> Iterator[tuple[Any, float]]:
    """Every equation of a jaxpr, closed or open, at any depth, with how often the scans around it run it."""
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield eqn, times
        inside = times * (eqn.params["length"] if eqn.primitive.name == "scan" else 1)
        for inner in inner_jaxprs(eqn.params):
            yield from equations(inner, inside)


def reads_floats(jaxpr: Any) -> bool:
    """Whether some equation of a jaxpr, at any depth, has a float operand."""
    read = [getattr(v.aval, "dtype", None) for eqn, _ in equations(jaxpr) for v in eqn.invars]
    return any(dtype is not None and jnp.issubdtype(dtype, jnp.floating) for dtype in read)


def stops_at_a_tolerance(jaxpr: Any) -> bool:
    """Whether some while loop's condition reads floats: it ends when a number is small, not after so many steps."""
    return any(eqn.primitive.name == "while" and reads_floats(eqn.params["cond_jaxpr"]) for eqn, _ in equations(jaxpr))


def primitives(jaxpr: Any) -> set[str]:
    """The names of all primitives in a jaxpr, at any depth."""
    return {eqn.primitive.name for eqn, _ in equations(jaxpr)}


def inner_consts(jaxpr: Any) -> list[Any]:
    """The constants of all jaxprs inside a jaxpr, at any depth: what a jitted function closes over."""
    inside = [inner for eqn, _ in equations(jaxpr) for inner in inner_jaxprs(eqn.params)]
    return [const for inner in inside for const in getattr(inner, "consts", ())]


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
    # Rules hold new functions at every trace, which running an equation with a body does not call.
    leaves = [eqn for eqn, _ in equations(jaxpr) if not inner_jaxprs(eqn.params)]
    held = [value for eqn in leaves for value in eqn.params.values() if " at 0x" in repr(value)]
    return [value if _hashable(value) else Same(value) for value in held]


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
