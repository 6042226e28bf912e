"""The function under test as one flat jaxpr: what depends on x, what is used how often, where its sums are.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.jaxprs.equations import bind, evaluate, scan_counts

__all__ = ["Edge", "Flat", "flatten"]

# (equation, operand): a place where derivatives flow.
Edge = tuple[int, int]

# Loops of so many steps are unrolled, and no function becomes longer than so many equations.
_STEPS = 16
# Of longer loops that keep their last state alone, so many steps at the end are unrolled.
_LAST = 2
_EQUATIONS = 600
# Equations that pass a sum on term by term, in their first operand.
_PASS = {
    "neg", "reduce_sum", "reshape", "broadcast_in_dim", "transpose", "squeeze", "convert_element_type", "copy", "slice",
    "rev", "cumsum", "expand_dims", "real", "copy_p",
}  # fmt: skip
_SUMS = {"add", "add_any", "sub"}


@dataclasses.dataclass
class Flat:
    """A jaxpr without calls.

    Attributes:
        jaxpr: its inputs are the constants, then the leaves.
        consts: values of the constants.
        leaves: how many leaves.
        active: float variables that depend on the leaves.
        live: the equations that the outputs depend on, numbered.
        uses: how many live equations (and outputs) read a variable.
    """

    jaxpr: Any
    consts: list[Any]
    leaves: int
    active: set[Any]
    live: list[tuple[int, Any]]
    uses: Counter[Any]

    @property
    def leaf_vars(self) -> list[Any]:
        """The inputs that are leaves."""
        return list(self.jaxpr.invars[len(self.jaxpr.invars) - self.leaves :])

    def flows(self, atom: Any) -> bool:
        """Whether a derivative flows through an operand."""
        return _inexact(atom) and atom in self.active

    def terms(self) -> list[Edge]:
        """The summands that the outputs are made of; [] for a function of one term."""
        makers = {v: (k, eqn) for k, eqn in self.live for v in eqn.outvars}
        found: list[Edge] = []

        def walk(atom: Any, edge: Edge | None) -> None:
            k, eqn = makers.get(atom, (-1, None))
            name = "" if eqn is None or self.uses[atom] > 1 else eqn.primitive.name
            live = [] if eqn is None else [j for j, a in enumerate(eqn.invars) if self.flows(a)]
            split = name in _SUMS or name == "concatenate"
            passed = (name in _PASS or name == "div") and live == [0]
            if eqn is None or not (split or passed or (name == "mul" and len(live) == 1)):
                if edge is not None and edge not in found:
                    found.append(edge)
                return
            for j in live:
                walk(eqn.invars[j], (k, j) if split else edge)

        for out in self.jaxpr.outvars:
            if self.flows(out):
                walk(out, None)
        return found if len(found) > 1 else []

    def text(self, place: Any) -> str:
        """A variable in words, by the primitive that made it and its shape; of an edge also who uses it."""
        atom, use = place, ""
        if isinstance(place, tuple):
            eqn = self.jaxpr.eqns[place[0]]
            atom, use = eqn.invars[place[1]], f" where {eqn.primitive.name} uses it"
        maker = next((e.primitive.name for e in self.jaxpr.eqns if atom in e.outvars), "input")
        return f"the {maker} of shape {tuple(atom.aval.shape)}{use}"


def _inexact(atom: Any) -> bool:
    return not isinstance(atom, Literal) and jnp.issubdtype(atom.aval.dtype, jnp.inexact)


def flatten(session: Session, *, gradient: bool = False) -> Flat | None:
    """The stripped function, or its gradient, as a flat jaxpr in float64, short scans unrolled; None if too long."""
    fun = session.fun

    def run(c: Any, leaves: Any) -> Any:
        return jax.grad(lambda x: fun.run(c, x)[0])(leaves) if gradient else fun.run(c, leaves)

    program = session.program(run, fun.consts, session.wide())
    if any(eqn.primitive.name == "scan" for eqn in program.jaxpr.eqns):
        jaxpr, consts = program.jaxpr, program.consts
        program = session.program(lambda c, leaves: _unrolled(jaxpr, [*c, *leaves]), consts, session.wide())
    jaxpr = program.jaxpr
    if len(jaxpr.eqns) > _EQUATIONS:
        return None
    count = len(session.point.leaves)
    active = set(jaxpr.invars[len(jaxpr.invars) - count :])
    for eqn in jaxpr.eqns:
        if any(_inexact(a) and a in active for a in eqn.invars) and eqn.primitive.name != "stop_gradient":
            active |= set(filter(_inexact, eqn.outvars))
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    uses: Counter[Any] = Counter(needed)
    live = []
    for k, eqn in reversed(list(enumerate(jaxpr.eqns))):
        if any(v in needed for v in eqn.outvars):
            read = [a for a in eqn.invars if not isinstance(a, Literal)]
            needed |= set(read)
            uses.update(read)
            live.append((k, eqn))
    return Flat(jaxpr, list(program.consts), count, active, live[::-1], uses)


def _unrolled(jaxpr: Any, args: Sequence[Any]) -> list[Any]:
    """A jaxpr with its short scans as straight code, and the last steps of its long ones."""

    def equation(eqn: Any, given: list[Any]) -> list[Any]:
        return _steps(eqn, given) if eqn.primitive.name == "scan" else bind(eqn, given)

    return evaluate(jaxpr, args, equation)


def _steps(eqn: Any, given: list[Any]) -> list[Any]:
    params = eqn.params
    n, m = scan_counts(params)
    body, length = params["jaxpr"], params["length"]
    if length > _STEPS and len(eqn.outvars) > m:
        return bind(eqn, given)
    consts, carry, xs = given[:n], given[n : n + m], given[n + m :]
    inner = body.jaxpr.replace(constvars=[], invars=[*body.jaxpr.constvars, *body.jaxpr.invars])

    def step(held: Any, row: Any) -> Any:
        return _unrolled(inner, [*body.consts, *consts, *held, *row]), None

    order = list(reversed(range(length)) if params["reverse"] else range(length))
    rolled = length - _LAST if length > _STEPS else 0
    if rolled:
        part = [x[min(order[:rolled]) : max(order[:rolled]) + 1] for x in xs]
        carry = lax.scan(step, carry, part, length=rolled, reverse=params["reverse"])[0]
    rows = {}
    for k in order[rolled:]:
        outs = step(carry, [x[k] for x in xs])[0]
        carry, rows[k] = outs[:m], outs[m:]
    return [*carry, *(jnp.stack([rows[k][j] for k in range(length)]) for j in range(len(eqn.outvars) - m))]
