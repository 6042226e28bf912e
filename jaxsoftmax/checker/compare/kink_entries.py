"""Entries where autodiff is no judge: points of no derivative, and entries where it gives NaN; differences decide.

What it allows for is guarded by `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.checker.compare.autodiff import DIFFERENCE_ENTRIES, DIFFERENCES, DOUBT, Truth
from jaxsoftmax.checker.compare.routes import routes_of
from jaxsoftmax.checker.inputs.context import U64, Kinked, Session, ravel
from jaxsoftmax.checker.inputs.matrices import EntryNames
from jaxsoftmax.checker.numeric.differences import Difference
from jaxsoftmax.checker.numeric.kinks import Shape, kink

# So many entries in doubt are looked at one by one.
_LOOKED_AT = 64
_LOOKED_AT_LARGE = 3


class Judged(NamedTuple):
    """What a gradient is held to after differences were asked about the entries in doubt.

    Attributes:
        target: a leaf each.
        tolerance: likewise.
    """

    target: list[np.ndarray]
    tolerance: list[np.ndarray]


def judge(
    session: Session, truth: Truth, ours: list[Any], target: list[np.ndarray], tolerance: list[np.ndarray]
) -> Judged:
    """Where ours misses the target, or the target is not a number, let one-sided differences say what is right there.

    At a point of no derivative any value between the slopes from both sides is accepted (a subgradient, for convex
    functions); beside one nothing is, but the report can say so.
    """
    mine, other = ravel(ours), ravel(target)
    limit = np.concatenate([np.broadcast_to(t, o.shape).ravel() for t, o in zip(tolerance, target, strict=True)])
    with np.errstate(all="ignore"):
        lost = ~np.isfinite(other)
        doubt = np.flatnonzero(lost | ~(np.abs(mine - other) <= limit))
    if not len(doubt):
        return Judged(target, tolerance)
    other, limit = other.copy(), limit.copy()
    names, routes = EntryNames(session), routes_of(session)
    beside: list[str] = []
    for i in (int(k) for k in doubt[: _LOOKED_AT if not routes.lean else _LOOKED_AT_LARGE]):
        found = routes.difference(session.basis(i))
        seen = kink(found)
        if not (lost[i] or seen.kinked):
            continue
        name = names(i) or "x"
        if seen.kinked:
            session.kinks.append(Kinked(name, seen.evidence))
        left, right, slack = _sides(session, truth, i, found)
        if not np.isfinite([left, right]).all():
            if lost[i]:
                session.note(f"the derivative at {name} is not finite, so that entry was not checked")
            continue
        slack += float(limit[i]) if np.isfinite(limit[i]) else 0.0  # the rule's own rounding, in its dtype
        low, high = min(left, right) - slack, max(left, right) + slack
        if high - low > 4 * slack and low <= mine[i] <= high:
            session.note(
                f"no derivative at {name}: the slope is {left:.6g} from the left and {right:.6g} from the right; the "
                f"rule's {mine[i]:.6g} lies between them, which is accepted"
            )
            other[i], limit[i] = mine[i], slack
            session.nonsmooth.add(i)
        elif lost[i]:
            beside.append(name)
            other[i], limit[i] = (left + right) / 2, high - low
    if beside:
        more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
        session.note(
            f"autodiff gives no finite derivative at {', '.join(beside[:3])}{more}: the slopes just beside the point "
            "were used instead"
        )
    return Judged(session.split(other), session.split(limit))


def _sides(session: Session, truth: Truth, i: int, found: Difference) -> tuple[float, float, float]:
    """(slope from the left, from the right, their tolerance) in entry i.

    Autodiff a few ulps to either side, where it is finite: that tells a kink at the point from one beside it, which
    differences, whose steps are longer, cannot. Else the one-sided differences.
    """
    size = max(float(np.max(np.abs(leaf), initial=0.0)) for leaf in map(np.asarray, session.point.leaves)) or 1.0
    at = ravel(session.point.leaves)[i]
    step = max(abs(float(at)) * 2.0**-50, size * 2.0**-300)
    slopes = []
    if truth.route != DIFFERENCES:
        with jax.enable_x64(True):
            for sign in (-1.0, 1.0):
                moved = [x + sign * step * v for x, v in zip(session.wide(), session.basis(i), strict=True)]
                gradient = session.values(truth.program, moved)[1:]
                slopes.append(float(ravel(gradient)[i]))
        if np.isfinite(slopes).all():
            return slopes[0], slopes[1], 2.0**-40 * max(abs(slopes[0]), abs(slopes[1]))
    slack = DOUBT * max(float(found.left_error), float(found.right_error))
    return float(found.left), float(found.right), slack


def leave_out_kinks(session: Session, columns: np.ndarray) -> None:
    """Of the columns of a Jacobian that are in doubt, leave out those in which the function has no derivative."""
    names, routes = EntryNames(session), routes_of(session)
    for j in columns[: _LOOKED_AT if not routes.lean else _LOOKED_AT_LARGE]:
        seen = kink(routes.difference(session.basis(int(j))))
        if seen.shape is Shape.KINK:
            session.nonsmooth.add(int(j))
            session.note(f"no derivative at {names(int(j)) or 'x'}, so that entry was left out. {seen.evidence}")
        if seen.kinked:
            session.kinks.append(Kinked(names(int(j)) or "x", seen.evidence))


class Slopes(NamedTuple):
    """A Jacobian by differences.

    Attributes:
        matrix: (outputs, entries), or its transpose; NaN where no sample was finite.
        units: its error in units of u, infinite there.
        kinks: evidence, for the entries of the point in which some output has no derivative.
    """

    matrix: np.ndarray
    units: np.ndarray
    kinks: dict[int, str]

    @property
    def transposed(self) -> Slopes:
        """That of the map from cotangents."""
        return Slopes(self.matrix.T, self.units.T, self.kinks)

    def measure(self, directions: np.ndarray, *, narrow: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """As `LinearMap.measure`."""
        return directions @ self.matrix.T, np.abs(directions) @ self.units.T

    def leave_out_kinks(self, session: Session, entries: np.ndarray) -> None:
        """Of the entries of the point that are in doubt, leave out those in which there is no derivative."""
        for j in (int(entry) for entry in entries):
            if j in self.kinks:
                name = EntryNames(session)(j) or "x"
                session.nonsmooth.add(j)
                session.kinks.append(Kinked(name, self.kinks[j]))
                session.note(f"no derivative at {name}, so that entry was left out. {self.kinks[j]}")


def slopes_by_differences(session: Session, noise: np.ndarray) -> Slopes | None:
    """All columns of the Jacobian; None where they would take more than two fifths of the budget's seconds.

    Args:
        session: the check.
        noise: how wrong each output may be, as one vector.
    """
    n, routes, clock = session.point.size, routes_of(session), session.clock
    if n > DIFFERENCE_ENTRIES or routes.lean:
        return None
    found, began = [], clock.seconds
    for i in range(n):
        found.append(routes.difference(session.basis(i), noise, whole=True))
        if i == 0:
            began = clock.seconds  # the first one compiled
        elif (clock.seconds - began) / i * n > 0.4 * clock.budget.seconds:
            return None
    seen = {i: kink(one, noise) for i, one in enumerate(found)}
    kinks = {i: one.evidence for i, one in seen.items() if one.shape is Shape.KINK}
    matrix, errors = np.stack([d.value for d in found], axis=1), np.stack([d.error_estimate for d in found], axis=1)
    lost = ~np.isfinite(matrix) | ~np.isfinite(errors)
    return Slopes(np.where(lost, np.nan, matrix), np.where(lost, np.inf, DOUBT / U64 * errors), kinks)
