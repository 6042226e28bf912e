"""Entries where autodiff is no judge: points of no derivative, and entries where it gives NaN; differences decide."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.checker.kinks import kink
from jaxsoftmax.checker.matrices import names_of
from jaxsoftmax.checker.routes import routes_of
from jaxsoftmax.checker.session import Session
from jaxsoftmax.checker.truth import DOUBT, basis, split

# So many entries in doubt are looked at one by one.
_LOOKED_AT = 64


class Judged(NamedTuple):
    """What a gradient is held to after differences were asked about the entries in doubt.

    Attributes:
        target: a leaf each.
        tolerance: likewise.
    """

    target: list[np.ndarray]
    tolerance: list[np.ndarray]


def judge(session: Session, ours: list[Any], target: list[np.ndarray], tolerance: list[np.ndarray]) -> Judged:
    """Where ours misses the target, or the target is not a number, let one-sided differences say what is right there.

    At a point of no derivative any value between the slopes from both sides is accepted (a subgradient, for convex
    functions); beside one nothing is, but the report can say so.
    """
    flat = [np.concatenate([np.ravel(np.asarray(a)).astype(np.float64) for a in part]) for part in (ours, target)]
    mine, other = flat
    limit = np.concatenate([np.broadcast_to(t, o.shape).ravel() for t, o in zip(tolerance, target, strict=True)])
    with np.errstate(all="ignore"):
        lost = ~np.isfinite(other)
        doubt = np.flatnonzero(lost | ~(np.abs(mine - other) <= limit))
    if not len(doubt) or not np.isfinite(mine[doubt]).any():
        return Judged(target, tolerance)
    other, limit = other.copy(), limit.copy()
    names, routes = names_of(session), routes_of(session)
    for i in doubt[:_LOOKED_AT]:
        found = routes.difference(basis(session, int(i)))
        shape = kink(found)
        low, high = sorted((float(found.left), float(found.right)))
        slack = DOUBT * max(float(found.left_error), float(found.right_error))
        slack += float(limit[i]) if np.isfinite(limit[i]) else 0.0  # the rule's own rounding, in its dtype
        if shape.kind == "kink at the point" and low - slack <= mine[i] <= high + slack:
            session.note(
                f"no derivative at {names(int(i)) or 'at'}: the slopes from the left and the right are "
                f"{float(found.left):.6g} and {float(found.right):.6g}; the rule's {mine[i]:.6g} lies between"
            )
            other[i], limit[i] = mine[i], slack
            session.nonsmooth.add(int(i))
        elif lost[i]:
            session.note(
                f"autodiff of the stripped function is not finite at {names(int(i)) or 'at'}: differences judge"
            )
            other[i], limit[i] = float(found.value), DOUBT * float(found.error_estimate)
        if shape.kind.startswith("kink"):
            session.kinks.append(f"{names(int(i)) or 'at'}: {shape.evidence}")
    return Judged(split(session, other), split(session, limit))


def leave_out_kinks(session: Session, columns: np.ndarray) -> None:
    """Of the columns of a Jacobian that are in doubt, leave out those in which the function has no derivative."""
    names, routes = names_of(session), routes_of(session)
    for j in columns[:_LOOKED_AT]:
        shape = kink(routes.difference(basis(session, int(j))))
        if shape.kind == "kink at the point":
            session.nonsmooth.add(int(j))
            session.note(f"no derivative at {names(int(j)) or 'at'} ({shape.evidence}): that entry is left out")
        if shape.kind.startswith("kink"):
            session.kinks.append(f"{names(int(j)) or 'at'}: {shape.evidence}")
