"""Derivatives of the function tampered with: values held constant, constants replaced, terms scaled.

Every use of a constant, every factor on the derivative that flows through a value, and every factor on a term is an
input of one compiled program, so that hundreds of guesses cost one trace.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxsoftmax.checker.compare.autodiff import FORWARD, Truth
from jaxsoftmax.checker.diagnosis.case import Case
from jaxsoftmax.checker.diagnosis.flat import Flat
from jaxsoftmax.checker.jaxprs.equations import bind

__all__ = ["Tampered", "TooLarge"]

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


class TooLarge(Exception):
    """The guesses take more memory than the check's budget."""


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

        Raises:
            TooLarge: one alone exceeds the budget's bytes.
        """
        rows = len(factors) if factors is not None else len(scales) if scales is not None else 1
        one, session = max(rows, 1), self.case.session
        factors = np.ones((one, self.counts[0])) if factors is None else factors
        scales = np.ones((one, self.counts[1])) if scales is None else scales
        batch = self.batch if rows > 1 else 1
        found = []
        with jax.enable_x64(True):
            held = [jnp.asarray(v, np.float64) for v in (self.used if values is None else values)]
            try:
                self._compiled(held, batch)
            except TooLarge:
                if batch == 1:
                    raise
                self.batch = batch = 1
            for start in range(0, rows, batch):
                parts = [_padded(a[start : start + batch], batch) for a in (factors, scales)]
                program = self._compiled(held, batch)
                (out,) = session.values(program, session.wide(), *map(jnp.asarray, parts), held)
                found += list(out[: min(batch, rows - start)])
        return [self.case.leaves([q]) for q in found]

    def _compiled(self, held: list[Any], batch: int) -> Any:
        if self._program is None or self._program[0] != batch:
            session = self.case.session

            def run(c: Any, leaves: Any, factors: Any, scales: Any, values: Any) -> Any:
                one = lambda f, s: self._derivative(c, leaves, f, values, s)  # noqa: E731
                return jax.vmap(one)(factors, scales) if batch > 1 else one(factors[0], scales[0])[None]

            shapes = [jax.ShapeDtypeStruct((batch, n), np.float64) for n in self.counts]
            program = session.program(run, self.flat.consts, session.wide(), *shapes, held)
            if program.cost > session.clock.budget.bytes:
                raise TooLarge
            self._program = batch, program
        return self._program[1]


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rows, np.ones((count - len(rows), rows.shape[1]))])
