"""The function linearised: the Jacobian of every equation at the point, and the derivative's flow to and from it.

The derivative is a sum over the paths of the flat program. With the Jacobian of what leads to a value, and of what
follows it, the contribution of any place to the derivative, and what becomes of it when the place is tampered with,
is a product of matrices: one compiled program serves all guesses.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxsoftmax.checker.diagnosis.flat import Edge, Flat
from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.jaxprs.replay import Replay

__all__ = ["Linear"]

# So many numbers in all Jacobians of equations, and in the flow to and from all values.
_NUMBERS = 2**22
# Equations that act entry by entry: their Jacobian by an operand of the result's shape is a diagonal.
_ENTRYWISE = {
    "abs", "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "clamp", "copy", "cos",
    "convert_element_type", "cosh", "digamma", "div", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "integer_pow",
    "lgamma", "log", "log1p", "logistic", "max", "min", "mul", "neg", "pow", "rem", "rsqrt", "select_n", "sign", "sin",
    "sinh", "sqrt", "square", "sub", "tan", "tanh",
}  # fmt: skip


class Linear:
    """A flat program's linearisation.

    Attributes:
        flat: the program.
        local: for each edge, the Jacobian of each output: a vector where it is a diagonal.
        chosen: for each equation that chooses one of two values, where it takes the second.
        ahead: for each variable, its Jacobian (size, n).
        behind: for each variable, the Jacobian (m, size) of the outputs by it.
    """

    def __init__(self, session: Session, flat: Flat) -> None:
        """Linearise at the session's point.

        Raises:
            MemoryError: the Jacobians hold too many numbers.
        """
        self.flat = flat
        n = sum(leaf.size for leaf in session.point.leaves)
        m = sum(int(np.prod(v.aval.shape)) for v in flat.jaxpr.outvars)
        self.shape = m, n
        self._plan()
        flows = sum(_size(v) for _, eqn in flat.live for v in eqn.outvars if v in flat.active)
        numbers = sum(_size(o) * (1 if diagonal else _size(a)) for _, a, outs, diagonal in self._edges for o in outs)
        if numbers > _NUMBERS or flows * (m + n) > _NUMBERS:
            raise MemoryError
        program = session.program(self._jacobians, flat.consts, session.wide())
        found = iter(session.values(program, session.wide()))
        self.local: dict[Edge, dict[Any, np.ndarray]] = {}
        for edge, atom, outs, diagonal in self._edges:
            shapes = [(_size(o),) if diagonal else (_size(o), _size(atom)) for o in outs]
            self.local[edge] = {o: next(found).reshape(s) for o, s in zip(outs, shapes, strict=True)}
        self.chosen = {k: next(found).astype(bool) for k in self._choices}
        self._flow(n, m)

    def _plan(self) -> None:
        """The edges, and the equations that choose between two values."""
        flat = self.flat
        self._edges: list[tuple[Edge, Any, list[Any], bool]] = []
        for k, eqn in flat.live:
            outs = [v for v in eqn.outvars if flat.flows(v) and flat.uses[v]]
            for j, atom in enumerate(eqn.invars):
                if flat.flows(atom) and outs and _differentiated(eqn, j):
                    diagonal = eqn.primitive.name in _ENTRYWISE and atom.aval.shape == outs[0].aval.shape
                    self._edges.append(((k, j), atom, outs, diagonal))
        self._choices = [
            k for k, eqn in flat.live
            if eqn.primitive.name == "select_n" and len(eqn.invars) == 3 and any(map(flat.flows, eqn.invars))
            and eqn.invars[0].aval.dtype == bool and eqn.invars[0].aval.shape == eqn.outvars[0].aval.shape
        ]  # fmt: skip

    def _jacobians(self, consts: Any, leaves: Any) -> list[Any]:
        flat, replay = self.flat, Replay()
        env: dict[Any, Any] = dict(zip(flat.jaxpr.invars, [*consts, *leaves], strict=True))
        given: dict[int, list[Any]] = {}
        for k, eqn in flat.live:
            given[k] = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
            env.update(zip(eqn.outvars, replay.equation(eqn, given[k]), strict=True))
        found = []
        for (k, j), _, outs, diagonal in self._edges:
            eqn = flat.jaxpr.eqns[k]
            kept = [eqn.outvars.index(v) for v in outs]

            def one(value: Any, k: int = k, j: int = j, eqn: Any = eqn, kept: Any = kept) -> list[Any]:
                results = replay.equation(eqn, [*given[k][:j], value, *given[k][j + 1 :]])
                return [results[i] for i in kept]

            value = jnp.asarray(given[k][j])
            found += jax.jvp(one, (value,), (jnp.ones_like(value),))[1] if diagonal else jax.jacfwd(one)(value)
        return [*found, *(given[k][0] for k in self._choices)]

    def _flow(self, n: int, m: int) -> None:
        flat = self.flat
        ends = np.cumsum([_size(v) for v in flat.leaf_vars])
        self.ahead: dict[Any, np.ndarray] = {}
        for v, end in zip(flat.leaf_vars, ends, strict=True):
            self.ahead[v] = np.eye(n)[end - _size(v) : end]
        for edge, atom, outs, _ in self._edges:
            for out in outs:
                self.ahead[out] = self.ahead.get(out, 0.0) + _times(self.local[edge][out], self.ahead[atom])
        self.behind: dict[Any, np.ndarray] = {}
        start = 0
        for v in flat.jaxpr.outvars:
            if not isinstance(v, Literal):
                self.behind[v] = self.behind.get(v, 0.0) + np.eye(m)[:, start : start + _size(v)]
            start += _size(v)
        for edge, atom, outs, _ in reversed(self._edges):
            for out in outs:
                if out in self.behind:
                    self.behind[atom] = self.behind.get(atom, 0.0) + _after(self.behind[out], self.local[edge][out])

    def edges(self) -> list[Edge]:
        """Where derivatives flow to an output."""
        return [edge for edge, _, outs, _ in self._edges if any(out in self.behind for out in outs)]

    def through(self, edge: Edge, changed: Any = None) -> np.ndarray:
        """The contribution (m, n) of an edge, its Jacobians replaced by `changed` (out, Jacobian) of them, if given."""
        atom = self.flat.jaxpr.eqns[edge[0]].invars[edge[1]]
        total = np.zeros(self.shape)
        for out, local in self.local[edge].items():
            if out in self.behind:
                local = local if changed is None else changed(out, local)
                total += self.behind[out] @ _times(local, self.ahead[atom])
        return total


def _differentiated(eqn: Any, j: int) -> bool:
    """Whether an operand counts: what only helps to solve a linear system does not."""
    lengths = eqn.params["const_lengths"] if eqn.primitive.name == "custom_linear_solve" else None
    return lengths is None or j < lengths.matvec or j >= sum(lengths)


def _size(atom: Any) -> int:
    return int(np.prod(atom.aval.shape))


def _times(local: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return local[:, None] * matrix if local.ndim == 1 else local @ matrix


def _after(matrix: np.ndarray, local: np.ndarray) -> np.ndarray:
    return matrix * local if local.ndim == 1 else matrix @ local
