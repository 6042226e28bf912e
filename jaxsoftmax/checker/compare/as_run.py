"""A linear rule as its user gets it: in its own dtype, along some directions, every rounding of that dtype allowed.

Guarded by `tests/checker/test_crosscheck.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.inputs.context import U64, Session, unravel
from jaxsoftmax.checker.inputs.linear_maps import LinearMap
from jaxsoftmax.checker.inputs.matrices import compare_matrices
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.report.finding import Subject
from jaxsoftmax.checker.report.verdict import Family


def representable(session: Session, probes: np.ndarray) -> np.ndarray:
    """Directions rounded to numbers that the rule's dtype holds."""
    return probes if session.double else np.asarray(probes.astype(np.float32), np.float64)


def check_as_run(
    session: Session,
    statement: str,
    rule: str,
    route: str,
    traced: Traced,
    hand: LinearMap,
    of: Callable[[Any, Any], LinearMap],
    probes: np.ndarray,
    theirs: np.ndarray,
    own: np.ndarray,
    units: np.ndarray,
    rows: Callable[[int], str],
    columns: Callable[[int], str],
    family: Family = Family.PROGRAM,
) -> None:
    """Compare what a rule returns in its own dtype along directions with the truth.

    Args:
        session: the check.
        statement: the tag of the comparison.
        rule: what the report calls the rule.
        route: how the truth was found.
        traced: the rule.
        hand: the rule in float64.
        of: (trace, constants) of the function -> the truth made from it.
        probes: (count, inputs) directions, of numbers of the rule's dtype.
        theirs: (count, outputs) the truth along them.
        own: its rounding bounds in units of u.
        units: the rule's rounding bounds, likewise.
        rows: the name of an output.
        columns: the name of a direction.
        family: what the truth shares with other routes.
    """
    ran = []
    for probe in probes:
        entries = hand.inputs is session.point.leaves
        with jax.enable_x64(True):
            parts = session.like_point(probe) if entries else map(jnp.asarray, unravel(probe, hand.inputs))
            parts = [part.astype(leaf.dtype) for part, leaf in zip(parts, hand.inputs, strict=True)]
        ran.append(np.concatenate([np.asarray(y).ravel() for y in traced.as_run(session.point.leaves, parts)]))
        session.clock.evaluations += 1
    mine, tolerance = np.array(ran).astype(np.float64), session.u * units + U64 * own
    with np.errstate(invalid="ignore"):
        if not (np.abs(mine - theirs) <= tolerance).all():
            # In the working dtype the function may be another one (random draws, rounded data): hold the rule to that.
            narrow, narrow_own = of(session.fun.run_narrow, session.fun.narrow.consts).measure(probes, narrow=True)
            same = LinearMap(session, traced.run_narrow, traced.narrow.consts, hand.inputs)
            wider = session.u * same.measure(probes, narrow=True)[1] + U64 * narrow_own
            if (np.abs(mine - narrow) <= wider).all():
                theirs, own, tolerance = narrow, narrow_own, wider
    subject, ran = Subject(rule, dtype=session.point.dtype), np.array(ran).T
    options: Any = {"table": True, "family": family}
    compare_matrices(
        session, statement, subject, route, ran, theirs.T, tolerance.T, U64 * own.T, rows, columns, **options
    )
