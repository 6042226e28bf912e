"""The function under test as one flat jaxpr: what depends on x, what is used how often, where it could be cut.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Literal

from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.jaxprs.equations import bind, evaluate, scan_counts

__all__ = ["Flat", "flatten", "has_loop"]

# Loops of so many steps are unrolled, and no function becomes longer than so many equations.
_STEPS = 16
_EQUATIONS = 600


@dataclasses.dataclass
class Flat:
    """A jaxpr without calls.

    Attributes:
        jaxpr: its inputs are the constants, then the leaves.
        consts: values of the constants.
        leaves: how many leaves.
        active: variables that depend on the leaves.
        live: variables that the output depends on.
        uses: how many live equations (and outputs) read a variable.
    """

    jaxpr: Any
    consts: list[Any]
    leaves: int
    active: set[Any]
    live: set[Any]
    uses: Counter[Any]

    @property
    def const_vars(self) -> list[Any]:
        """The inputs that are constants."""
        return list(self.jaxpr.invars[: len(self.jaxpr.invars) - self.leaves])

    @property
    def leaf_vars(self) -> list[Any]:
        """The inputs that are leaves."""
        return list(self.jaxpr.invars[len(self.jaxpr.invars) - self.leaves :])

    def equations(self) -> list[tuple[int, Any]]:
        """The live ones, numbered."""
        return [(k, eqn) for k, eqn in enumerate(self.jaxpr.eqns) if any(v in self.live for v in eqn.outvars)]

    def is_active(self, atom: Any) -> bool:
        """Whether an operand depends on the leaves."""
        return not isinstance(atom, Literal) and atom in self.active

    def gates(self) -> list[tuple[Any, ...]]:
        """Where a derivative can be cut: ("value", variable), and ("use", equation, operand) of values used twice.

        Cuts at every use of a leaf, or at its only use, are left out: they are zeros in the result, not a cause.
        """
        found: list[tuple[Any, ...]] = []
        leaves = set(self.leaf_vars)
        for k, eqn in self.equations():
            for j, atom in enumerate(eqn.invars):
                if self.is_active(atom) and self.uses[atom] > 1 and _inexact(atom):
                    found.append(("use", k, j))
            found += [("value", v) for v in eqn.outvars if v in self.active and v in self.live and _inexact(v)]
        outputs = {v for v in self.jaxpr.outvars if not isinstance(v, Literal)}
        return [g for g in found if g[0] == "use" or (g[1] not in outputs and g[1] not in leaves)]

    def const_uses(self) -> list[tuple[int, int]]:
        """(equation, operand) of every live use of a float constant."""
        consts = {v for v in self.const_vars if _float(v)}
        return [
            (k, j)
            for k, eqn in self.equations()
            for j, atom in enumerate(eqn.invars)
            if not isinstance(atom, Literal) and atom in consts
        ]

    def text(self, gate: tuple[Any, ...]) -> str:
        """What a gate cuts, in words: the primitive that made the value and its shape."""
        atom = gate[1] if gate[0] == "value" else self.jaxpr.eqns[gate[1]].invars[gate[2]]
        shape = tuple(atom.aval.shape)
        maker = next((eqn.primitive.name for eqn in self.jaxpr.eqns if atom in eqn.outvars), "input")
        use = "" if gate[0] == "value" else f" where {self.jaxpr.eqns[gate[1]].primitive.name} uses it"
        return f"the {maker} of shape {shape}{use}"


def _float(atom: Any) -> bool:
    return jnp.issubdtype(atom.aval.dtype, jnp.floating)


def _inexact(atom: Any) -> bool:
    return hasattr(atom.aval, "dtype") and jnp.issubdtype(atom.aval.dtype, jnp.inexact)


def has_loop(flat: Flat) -> bool:
    """Whether a scan is left in it."""
    return any(eqn.primitive.name == "scan" for eqn in flat.jaxpr.eqns)


def flatten(session: Session, *, unroll: bool = False) -> Flat | None:
    """The stripped function as a flat jaxpr in float64, short scans unrolled on request; None when it is too long."""
    fun = session.fun

    def run(c: Any, leaves: Any) -> Any:
        return fun.run(c, leaves)

    program = session.program(run, fun.consts, session.wide())
    if unroll:
        jaxpr, consts = program.jaxpr, program.consts
        program = session.program(lambda c, leaves: _unrolled(jaxpr, [*c, *leaves]), consts, session.wide())
    jaxpr = program.jaxpr
    if len(jaxpr.eqns) > _EQUATIONS:
        return None
    count = len(session.point.leaves)
    active = set(jaxpr.invars[len(jaxpr.invars) - count :])
    for eqn in jaxpr.eqns:
        depends = any(not isinstance(a, Literal) and a in active for a in eqn.invars)
        if depends and eqn.primitive.name != "stop_gradient":
            active |= set(eqn.outvars)
    live = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    uses: Counter[Any] = Counter(live)
    for eqn in reversed(jaxpr.eqns):
        if any(v in live for v in eqn.outvars):
            read = [a for a in eqn.invars if not isinstance(a, Literal)]
            live |= set(read)
            uses.update(read)
    return Flat(jaxpr, list(program.consts), count, active, live, uses)


def _unrolled(jaxpr: Any, args: Sequence[Any]) -> list[Any]:
    """A jaxpr with its short scans as straight code."""

    def equation(eqn: Any, given: list[Any]) -> list[Any]:
        short = eqn.primitive.name == "scan" and eqn.params["length"] <= _STEPS
        return _steps(eqn.params, given) if short else bind(eqn, given)

    return evaluate(jaxpr, args, equation)


def _steps(params: Any, given: list[Any]) -> list[Any]:
    n, m = scan_counts(params)
    body, length = params["jaxpr"], params["length"]
    consts, carry, xs = given[:n], given[n : n + m], given[n + m :]
    inner = body.jaxpr.replace(constvars=[], invars=[*body.jaxpr.constvars, *body.jaxpr.invars])
    rows: list[Any] = [None] * length
    for k in reversed(range(length)) if params["reverse"] else range(length):
        outs = _unrolled(inner, [*body.consts, *consts, *carry, *(x[k] for x in xs)])
        carry, rows[k] = outs[:m], outs[m:]
    ys = [jnp.stack([row[j] for row in rows]) for j in range(len(rows[0]))] if rows else []
    return [*carry, *ys]
