"""What a gradient is held to: autodiff in float64 of the function without custom rules, with its rounding bounds.

Guarded by `tests/checker/compare/test_directional.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.checker.compare.routes import routes_of
from jaxsoftmax.checker.inputs.context import U64, Session
from jaxsoftmax.checker.inputs.large import inner_products
from jaxsoftmax.checker.inputs.program import Program
from jaxsoftmax.checker.report.verdict import Family

REVERSE = "reverse autodiff (float64)"
FORWARD = "forward autodiff (float64)"
DIFFERENCES = "extrapolated differences"
# An estimate of a difference's error is no more than that: the error itself may be so many times larger.
DOUBT = 10.0
# Where reverse mode is impossible (a while loop), so many forward passes replace it at most.
_FORWARD_ENTRIES = 2048
# Where both are, so many differences.
DIFFERENCE_ENTRIES = 256


class NoAutodiff(Exception):
    """Neither mode of autodiff works on the stripped function."""


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
    def family(self) -> Family:
        """What it shares with other routes."""
        return Family.VALUES if self.route == DIFFERENCES else Family.PROGRAM

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
        NoAutodiff: neither works.
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
        session.note(f"without the custom rules, reverse autodiff is impossible here ({_reason(error)})")
    if session.point.size > _FORWARD_ENTRIES:
        raise NoAutodiff
    try:
        return session.program(forward, consts, wide), FORWARD
    except Exception as error:
        session.note(f"without the custom rules, forward autodiff is impossible here ({_reason(error)})")
        raise NoAutodiff from error


def with_stops(session: Session, attempt: Callable[[], Any]) -> Any:
    """What `attempt` returns; where it fails without ``stop_gradient``, with it.

    The rules of some solvers need it: their transposes have no derivative.
    """
    kept = len(session.notes)
    try:
        return attempt()
    except Exception:
        if not session.fun.replay.stops:
            raise
        session.fun.keep_stops = True
        try:
            found = attempt()
        except Exception:
            session.fun.keep_stops = False
            raise
    del session.notes[kept:]
    session.note("stop_gradient was left in the function: without it JAX cannot differentiate the solver inside")
    return found


def _by_differences(session: Session) -> Truth:
    """The truth of a function that JAX cannot differentiate once its rules are gone (a callback, foreign code)."""
    if session.point.size > DIFFERENCE_ENTRIES:
        raise ValueError(
            f"fun: without its custom rules JAX cannot differentiate it, and {session.point.size} entries are too many "
            f"for finite differences (at most {DIFFERENCE_ENTRIES}). Check it at a smaller point."
        )
    routes = routes_of(session)
    session.note(
        "without its custom rules JAX cannot differentiate the function, so finite differences were used instead"
    )
    value = float(session.values(routes.value, session.wide())[0])
    # Foreign code runs in the dtype that it was traced with: its values are rounded to that.
    rounding = (4 * session.u if session.fun.replay.opaque else 0.0) * abs(value)
    slopes = np.zeros(session.point.size)
    errors = np.zeros(session.point.size)
    for i in range(session.point.size):
        found = routes.difference(session.basis(i), rounding)
        slopes[i], errors[i] = float(found.value), DOUBT * float(found.error_estimate)
    return Truth(
        value,
        rounding / U64,
        session.split(slopes),
        [e / U64 for e in session.split(errors)],
        DIFFERENCES,
        routes.value,
    )


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:100]}" if lines else type(error).__name__


def find_truth(session: Session, *, narrow: bool = False) -> Truth:
    """Value and gradient of the stripped function with rounding bounds; by differences where autodiff is impossible.

    Args:
        session: the check.
        narrow: from the trace in the working dtype, whose constants are that dtype's numbers.
    """
    fun = session.fun
    run, consts = (fun.run_narrow, list(fun.narrow.consts)) if narrow else (fun.run, fun.consts)
    try:
        program, route = with_stops(session, lambda: gradient_program(session, run, consts))
    except NoAutodiff:
        return _by_differences(session)
    measured = session.measure(program, session.wide())
    value, *gradient = measured.values
    value_units, *units = measured.errors
    return Truth(float(value), float(value_units), gradient, units, route, program)


def dot(first: Sequence[Any], second: Sequence[Any]) -> float:
    """<first, second> over all leaves."""
    return float(sum(np.vdot(a, b) for a, b in zip(first, second, strict=True)))


def dot_tolerance(first: Sequence[Any], second: Sequence[Any], tolerances: Sequence[Any]) -> float:
    """Tolerance of `dot` when `first` has the given tolerances: propagated, and float64's own rounding of the sum."""
    n = sum(np.size(a) for a in first)
    parts = [inner_products(a, b, t) for a, b, t in zip(first, second, tolerances, strict=True)]
    return sum(p[2] for p in parts) + U64 * (4 + 2 * np.sqrt(n)) * sum(p[1] for p in parts)


def finite(leaves: Sequence[Any]) -> bool:
    """Whether every entry is finite."""
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)
