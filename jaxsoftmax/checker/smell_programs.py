"""The function once more as equations that can be tampered with: values held constant, constants replaced, terms scaled.

The stripped function becomes one flat jaxpr. Every use of a constant, every factor on the derivative that flows through
a value, and every factor on a term is an input of one compiled program, so that hundreds of guesses cost one trace.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxsoftmax.checker.equations import bind, scan_counts
from jaxsoftmax.checker.session import Session
from jaxsoftmax.checker.smell_case import Case
from jaxsoftmax.checker.truth import FORWARD, Truth

__all__ = ["Flat", "Tampered", "flatten", "has_loop"]

# Loops of so many steps are unrolled, and no function becomes longer than so many equations.
_STEPS = 16
_EQUATIONS = 600
# Guesses evaluated at once, where all their values together are at most so many numbers.
_TOGETHER = 64
_NUMBERS = 2**22


@jax.custom_jvp
def _gate(value: Any, factor: Any) -> Any:
    """The value; its derivative is multiplied by the factor."""
    return value


@_gate.defjvp
def _gate_rule(primals: Any, tangents: Any) -> Any:
    value, factor = primals
    return _gate(value, factor), factor * tangents[0]


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
        return list(self.jaxpr.invars[: len(self.jaxpr.invars) - self.leaves])

    @property
    def leaf_vars(self) -> list[Any]:
        return list(self.jaxpr.invars[len(self.jaxpr.invars) - self.leaves :])

    def equations(self) -> list[tuple[int, Any]]:
        """The live ones, numbered."""
        return [(k, eqn) for k, eqn in enumerate(self.jaxpr.eqns) if any(v in self.live for v in eqn.outvars)]

    def is_active(self, atom: Any) -> bool:
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
    """The stripped function as a flat jaxpr in float64; with short scans unrolled on request; None when it is too long."""
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
        if eqn.primitive.name != "stop_gradient" and any(not isinstance(a, Literal) and a in active for a in eqn.invars):
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
    values: dict[Any, Any] = dict(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for eqn in jaxpr.eqns:
        given = [read(a) for a in eqn.invars]
        short = eqn.primitive.name == "scan" and eqn.params["length"] <= _STEPS
        outs = _steps(eqn.params, given) if short else bind(eqn, given)
        values.update(zip(eqn.outvars, outs, strict=True))
    return [read(a) for a in jaxpr.outvars]


def _steps(params: Any, given: list[Any]) -> list[Any]:
    n, m = scan_counts(params, len(given))
    body, length = params["jaxpr"], params["length"]
    consts, carry, xs = given[:n], given[n : n + m], given[n + m :]
    inner = body.jaxpr.replace(constvars=[], invars=[*body.jaxpr.constvars, *body.jaxpr.invars])
    rows: list[Any] = [None] * length
    for k in reversed(range(length)) if params["reverse"] else range(length):
        outs = _unrolled(inner, [*body.consts, *consts, *carry, *(x[k] for x in xs)])
        carry, rows[k] = outs[:m], outs[m:]
    ys = [jnp.stack([row[j] for row in rows]) for j in range(len(rows[0]))] if rows else []
    return [*carry, *ys]


class Tampered:
    """The derivative that a case is about, of a flat function whose parts are inputs.

    Args:
        case: whose kind and point count.
        flat: the function.
        truth: the gradient's, for the way in which it was found.
        gates: see `Flat.gates`; each has a factor on the derivative.
        uses: see `Flat.const_uses`; each has a value.
        terms: (equation, operand) pairs; each has a factor on the operand.
    """

    def __init__(
        self,
        case: Case,
        flat: Flat,
        truth: Truth | None,
        *,
        gates: Sequence[tuple[Any, ...]] = (),
        uses: Sequence[tuple[int, int]] = (),
        terms: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.case, self.flat = case, flat
        self._gates = {g: k for k, g in enumerate(gates)}
        self._uses = {u: k for k, u in enumerate(uses)}
        self._terms = {t: k for k, t in enumerate(terms)}
        self.used = [np.asarray(self._const(u)) for u in uses]
        self.counts = (len(gates), len(terms))
        session = case.session
        self._forward = truth is not None and truth.route == FORWARD
        together = 1 if not case.matrix and case.size * 4 > _NUMBERS else _TOGETHER
        total = max(case.size, session.point.size) * _TOGETHER
        self.batch = _TOGETHER if total <= _NUMBERS and together > 1 else 1
        self._program: Any = None

    def _const(self, use: tuple[int, int]) -> Any:
        atom = self.flat.jaxpr.eqns[use[0]].invars[use[1]]
        return self.flat.consts[self.flat.const_vars.index(atom)]

    def _run(self, consts: Any, leaves: Any, factors: Any, values: Any, scales: Any) -> list[Any]:
        flat = self.flat
        env: dict[Any, Any] = dict(zip(flat.jaxpr.invars, [*consts, *leaves], strict=True))

        def operand(k: int, j: int, atom: Any) -> Any:
            if isinstance(atom, Literal):
                return atom.val
            value = values[self._uses[k, j]] if (k, j) in self._uses else env[atom]
            if ("use", k, j) in self._gates:
                value = _gate(value, factors[self._gates["use", k, j]])
            return value * scales[self._terms[k, j]] if (k, j) in self._terms else value

        for k, eqn in flat.equations():
            outs = bind(eqn, [operand(k, j, atom) for j, atom in enumerate(eqn.invars)])
            for var, out in zip(eqn.outvars, outs, strict=True):
                gate = self._gates.get(("value", var))
                env[var] = out if gate is None else _gate(out, factors[gate])
        return [a.val if isinstance(a, Literal) else env[a] for a in flat.jaxpr.outvars]

    def _derivative(self, consts: Any, leaves: Any, factors: Any, values: Any, scales: Any) -> Any:
        vector, unravel = jax.flatten_util.ravel_pytree(list(leaves))

        def run(x: Any) -> Any:
            outs = self._run(consts, unravel(x), factors, values, scales)
            return jnp.concatenate([jnp.ravel(out) for out in outs])

        kind = self.case.suspect.kind
        if kind in ("jvp", "vjp"):
            jacobian = jax.jacfwd(run)(vector)
            return jacobian if kind == "jvp" else jacobian.T
        gradient = (jax.jacfwd if self._forward else jax.grad)(lambda x: run(x)[0])
        return gradient(vector)[:, None] if kind == "gradient" else jax.jacfwd(gradient)(vector)

    def __call__(
        self,
        factors: np.ndarray | None = None,
        values: Sequence[np.ndarray] | None = None,
        scales: np.ndarray | None = None,
    ) -> list[list[np.ndarray]]:
        """The quantity as the case lays it out, for each row of `factors` or `scales` (once without either).

        Args:
            factors: (B, gates) on derivatives; 1 by default.
            values: of the constants' uses; their own by default.
            scales: (B, terms); 1 by default.
        """
        rows = len(factors) if factors is not None else len(scales) if scales is not None else 1
        one, session = max(rows, 1), self.case.session
        factors = np.ones((one, self.counts[0])) if factors is None else factors
        scales = np.ones((one, self.counts[1])) if scales is None else scales
        batch = self.batch if rows > 1 else 1
        found = []
        with jax.enable_x64(True):
            held = [jnp.asarray(v, np.float64) for v in (self.used if values is None else values)]
            for start in range(0, rows, batch):
                parts = [_padded(a[start : start + batch], batch) for a in (factors, scales)]
                program = self._compiled(held, batch)
                (out,) = session.values(program, session.wide(), *map(jnp.asarray, parts), held)
                found += list(out[: min(batch, rows - start)])
        return [self.case.leaves([q]) if self.case.matrix else self._split(q) for q in found]

    def _compiled(self, held: list[Any], batch: int) -> Any:
        if self._program is None or self._program[0] != batch:
            session = self.case.session

            def run(c: Any, leaves: Any, factors: Any, scales: Any, values: Any) -> Any:
                one = lambda f, s: self._derivative(c, leaves, f, values, s)  # noqa: E731
                return jax.vmap(one)(factors, scales) if batch > 1 else one(factors[0], scales[0])[None]

            shapes = [jax.ShapeDtypeStruct((batch, n), np.float64) for n in self.counts]
            program = session.program(run, self.flat.consts, session.wide(), *shapes, held)
            self._program = batch, program
        return self._program[1]

    def _split(self, column: np.ndarray) -> list[np.ndarray]:
        shapes = self.case.row_shapes
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        return [p.reshape(*shape, 1) for p, shape in zip(np.split(column[:, 0], ends), shapes, strict=True)]


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rows, np.ones((count - len(rows), rows.shape[1]))])
