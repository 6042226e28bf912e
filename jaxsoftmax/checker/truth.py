"""The truth that a gradient is held to: derivatives of the stripped function in float64, with their rounding bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.checker.program import Program
from jaxsoftmax.checker.session import U64, Session

REVERSE = "reverse autodiff (float64)"
FORWARD = "forward autodiff (float64)"
# Where reverse mode is impossible (a while loop), so many forward passes replace it at most.
_FORWARD_ENTRIES = 2048


class Truth(NamedTuple):
    """Value and gradient in float64.

    Attributes:
        value: the function's.
        value_units: its rounding bound in units of u.
        gradient: a float64 array a leaf.
        units: rounding bounds of the gradient in units of u.
        route: how it was found.
        program: (consts, leaves) -> [value, *gradient].
    """

    value: float
    value_units: float
    gradient: list[np.ndarray]
    units: list[np.ndarray]
    route: str
    program: Program

    @property
    def tolerance(self) -> list[np.ndarray]:
        """The gradient's own tolerance: float64's unit roundoff times the bound."""
        return [U64 * e for e in self.units]


def scalar(run: Any, consts: Sequence[Any]) -> Any:
    """The replayed function of the leaves alone."""
    return lambda leaves: run(consts, leaves)[0]


def gradient_program(session: Session, run: Any, consts: Sequence[Any]) -> tuple[Program, str]:
    """(leaves -> [value, *gradient], route): reverse mode, or forward mode where reverse mode is impossible.

    Raises:
        ValueError: neither works.
    """
    wide = session.wide()

    def reverse(c: Any, leaves: Any) -> Any:
        return jax.value_and_grad(scalar(run, c))(leaves)

    def forward(c: Any, leaves: Any) -> Any:
        return run(c, leaves)[0], jax.jacfwd(scalar(run, c))(leaves)

    try:
        program = session.program(reverse, consts, wide)
        if program.cost <= session.clock.budget.bytes or session.point.size > _FORWARD_ENTRIES:
            return program, REVERSE
    except Exception as error:  # JAX says why in many ways; the next route is tried and the note says so
        session.note(f"reverse autodiff of the stripped function is impossible here ({_reason(error)})")
    if session.point.size > _FORWARD_ENTRIES:
        raise ValueError(f"fun: reverse autodiff is impossible and {session.point.size} entries are too many for others.")
    return session.program(forward, consts, wide), FORWARD


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:100]}" if lines else type(error).__name__


def find_truth(session: Session, *, narrow: bool = False) -> Truth:
    """Value and gradient of the stripped function with rounding bounds.

    Args:
        session: the check.
        narrow: from the trace in the working dtype, whose constants are that dtype's numbers.
    """
    fun = session.fun
    run, consts = (fun.run_narrow, list(fun.narrow.consts)) if narrow else (fun.run, fun.consts)
    program, route = gradient_program(session, run, consts)
    measured = session.measure(program, session.wide())
    value, *gradient = measured.values
    value_units, *units = measured.errors
    return Truth(float(value), float(value_units), gradient, units, route, program)


def directional(session: Session) -> Program:
    """(leaves, tangents) -> [value, derivative along the tangents], by forward mode."""
    fun, wide = session.fun, session.wide()

    def along(c: Any, leaves: Any, tangents: Any) -> Any:
        return jax.jvp(scalar(fun.run, c), (leaves,), (tangents,))

    return session.program(along, fun.consts, wide, wide)


def dot(first: Sequence[Any], second: Sequence[Any]) -> float:
    """<first, second> over all leaves."""
    return float(sum(np.vdot(a, b) for a, b in zip(first, second, strict=True)))


def dot_tolerance(first: Sequence[Any], second: Sequence[Any], tolerances: Sequence[Any]) -> float:
    """Tolerance of `dot` when `first` has the given tolerances: propagated, and float64's own rounding of the sum."""
    n = sum(np.size(a) for a in first)
    size = float(sum(np.vdot(np.abs(a), np.abs(b)) for a, b in zip(first, second, strict=True)))
    carried = float(sum(np.sum(np.asarray(t) * np.abs(b)) for t, b in zip(tolerances, second, strict=True)))
    return carried + U64 * (4 + 2 * np.sqrt(n)) * size


def finite(leaves: Sequence[Any]) -> bool:
    """Whether every entry is finite."""
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)


__all__ = ["FORWARD", "REVERSE", "Truth", "directional", "dot", "dot_tolerance", "find_truth", "finite", "scalar"]
