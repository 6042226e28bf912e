"""Whether the function's values confirm the derivative of its program, and which of the two is believed where not.

Autodiff differentiates the branches that a program takes at the point. A ``where`` that holds there alone, a bisection,
a table lookup: such a program has another derivative than the function it computes, and every route through the program
has the same fault. Values tell: extrapolated differences, and a Taylor remainder that falls like t² with their slope
and like t with the program's.

Guarded by `tests/checker/compare/test_witnesses.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.checker.compare.autodiff import (
    DIFFERENCES,
    DOUBT,
    REVERSE,
    Truth,
    dot,
    dot_tolerance,
    find_truth,
    finite,
)
from jaxsoftmax.checker.compare.curvature import OVER_FORWARD, OVER_REVERSE, hessian_products
from jaxsoftmax.checker.compare.routes import Routes, routes_of
from jaxsoftmax.checker.inputs.context import U64, Session, ravel, unravel
from jaxsoftmax.checker.inputs.matrices import EntryNames, compare_matrices
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.jaxprs.equations import primitives
from jaxsoftmax.checker.numeric.differences import Difference
from jaxsoftmax.checker.numeric.kinks import Shape, kink
from jaxsoftmax.checker.report.finding import Aspect, Subject

BESIDE = "autodiff just beside the point"
# Up to this many entries each gets its own differences.
_ENTRIES = 256
# In steps beside the point.
_DISTANCES = (1.0, 2.0, 3.0, 5.0)
# What a program decides with; without any of these it has no branches.
_DECISIONS = {
    "eq", "ne", "lt", "le", "gt", "ge", "select_n", "cond", "while", "sign", "floor", "ceil", "round", "is_finite",
    "argmax", "argmin", "sort", "top_k", "rem", "clamp", "max", "min", "convert_element_type", "bitcast_convert_type",
}  # fmt: skip


def credible(
    routes: Routes, direction: list[np.ndarray], found: Difference, slope: float, own: float, noise: float
) -> bool:
    """Whether values really reject a slope: they see no kink, and remainders fall too slowly with it alone.

    Args:
        routes: of the check.
        direction: the direction of the difference.
        found: the difference.
        slope: the slope that it rejects.
        own: the tolerance of that slope.
        noise: how wrong a value of the function may be.
    """
    error = float(found.error_estimate)
    if not np.isfinite(error) or kink(found).shape is not Shape.SMOOTH:
        return False
    theirs = routes.taylor(direction, float(found.value), None, noise, DOUBT * error)
    mine = routes.taylor(direction, slope, None, noise, own)
    return mine.passed is False and theirs.passed is not False


def step_beside(session: Session, probe: np.ndarray, bits: int) -> np.ndarray:
    """A small step along a direction: 2^-bits of the point's largest entry."""
    size = float(np.max(np.abs(ravel(session.point.leaves)), initial=0.0)) or 1.0
    return size * 2.0**-bits / (float(np.max(np.abs(probe))) or 1.0) * probe


def beside(session: Session) -> Session:
    """The same check at a point next to this one, where the program takes the branch that it takes all around.

    Comparisons, notes and tables go into the report of this check.
    """
    point = session.point
    step = step_beside(session, session.normal(1)[0], 20 if session.double else 12)
    moved = session.like_point(ravel(point.leaves) + step)
    with point.scope():
        leaves = [new.astype(old.dtype) for new, old in zip(moved, point.leaves, strict=True)]
    session.note("what the branch at the point touches besides the gradient was checked at a point next to it")
    return dataclasses.replace(session, point=dataclasses.replace(point, leaves=leaves), routes=None, branched=False)


def where_curved(session: Session, truth: Truth) -> tuple[Session, Truth]:
    """(check, truth) at which second derivatives are compared: those given, or next to the point.

    A branch that holds at the point alone may have the right slope and another curvature (sin(x)/x at 0): the Hessian
    of the program is then the same on both sides, and another one between them.
    """
    if session.quick or session.branched or truth.route == DIFFERENCES:
        return session, truth
    route = OVER_REVERSE if truth.route == REVERSE else OVER_FORWARD
    v, at = session.normal(1), ravel(session.point.leaves)
    step = step_beside(session, session.normal(1)[0], 20 if session.double else 12)

    def product(leaves: list[Any]) -> np.ndarray:
        moved = dataclasses.replace(session, point=dataclasses.replace(session.point, leaves=leaves))
        return hessian_products(moved, session.fun.run, session.fun.consts, route).values(v)[0]

    here, left, right = (product(session.like_point(at + sign * step)) for sign in (0.0, -1.0, 1.0))
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return session, truth
    apart, largest = np.abs(right - left), float(np.max(np.abs([left, right]), initial=0.0))
    if (np.abs(here - (left + right) / 2) <= 2 * apart + 2.0**-20 * largest).all():  # NaN is not
        return session, truth
    moved = beside(session)
    return moved, find_truth(moved)


def check_at_the_point(session: Session, kind: str, name: str, traced: Traced, outputs: Sequence[Any]) -> None:
    """Hold a rule that was compared next to the point to itself: at the point it is what it is on both sides.

    Args:
        session: the check at the point.
        kind: "hvp", "hessian", "jvp" or "vjp".
        name: what the report calls the rule.
        traced: the rule.
        outputs: the shapes of the function's outputs.
    """
    at, step = ravel(session.point.leaves), step_beside(session, session.normal(1)[0], 20)
    if kind == "hessian":
        direction: list[Any] = []
    elif kind == "vjp":
        direction = [unravel(session.rng.standard_normal(sum(int(np.prod(o.shape)) for o in outputs)), outputs)]
    else:
        direction = [session.like_point(session.normal(1)[0])]
    program = session.program(traced.run, traced.consts, session.wide(), *direction)

    def values(factor: float) -> np.ndarray:
        return ravel(session.values(program, session.like_point(at + factor * step), *direction))

    # Next to a removable singularity a formula cancels: its rounding there belongs to the tolerance.
    measured = [session.measure(program, session.like_point(at + sign * step), *direction) for sign in (0.0, -1.0, 1.0)]
    here, left, right = (ravel(one.values) for one in measured)
    rounding = U64 * sum(ravel(one.errors) for one in measured)
    means = [np.mean([values(sign * factor) for sign in (-1.0, 1.0)], axis=0) for factor in _DISTANCES]
    slack = 2 * np.abs(right - left) + 2.0**-20 * float(np.max(np.abs([left, right]), initial=0.0))
    with np.errstate(invalid="ignore"):
        known = np.isfinite(rounding)  # elsewhere, what the mean scatters at other distances tells it
        tolerance = slack + np.where(known, rounding, DOUBT * np.ptp(means, axis=0))
        # What grows as the point comes nearer (|x|^1.5 has no second derivative at 0) has no value there.
        grows = np.abs(means[0]) - np.abs(means[-1]) > slack + np.where(known, rounding, 0.0)
    here, middle = np.where(grows, 0.0, here), np.where(grows, np.nan, (left + right) / 2)
    second, names = kind in ("hvp", "hessian"), EntryNames(session)
    shape = (session.point.size, -1) if kind == "hessian" else (-1, 1)
    ours, theirs, limit = (part.reshape(shape) for part in (here, middle, tolerance))
    compare_matrices(
        session,
        "second order" if second else "first order",
        Subject(name, Aspect.CONTINUITY),
        "the mean of its values just beside",
        ours,
        theirs,
        limit,
        0.0,
        (lambda i: f"output {i}") if kind == "jvp" else names,
        names if kind == "hessian" else (lambda i: "a random direction"),
        identity=True,
    )


def settle(session: Session, truth: Truth) -> Truth:
    """The derivative that rules are held to: the program's where values do not reject it.

    Where they do: that of the program just beside the point, if values agree with it there; differences entry by entry,
    if the program decides anything by comparisons; otherwise the check is marked as contradicted.
    """
    routes = routes_of(session)
    if truth.route == DIFFERENCES or routes.lean or not finite(truth.gradient):
        return truth
    probe = session.split(session.normal(1)[0])
    noise = U64 * truth.value_units
    noise = noise if np.isfinite(noise) else 0.0
    found = routes.difference(probe, noise)
    slope, own = dot(truth.gradient, probe), dot_tolerance(truth.gradient, probe, truth.tolerance)
    own = own if np.isfinite(own) else 2.0**-26 * abs(slope)
    bound = own + DOUBT * float(found.error_estimate)
    if not abs(slope - float(found.value)) > bound:
        return truth
    along = ravel(probe)
    at, step = ravel(session.point.leaves), step_beside(session, along, 40)
    sides = [session.values(truth.program, session.like_point(at + sign * step)) for sign in (-1.0, 1.0)]
    steepest = max(abs(float(s)) for s in (slope, found.value, found.left, found.right))  # a kink has two slopes
    moved = steepest * float(np.max(np.abs(step))) / (float(np.max(np.abs(along))) or 1.0)
    if any(abs(float(side[0]) - truth.value) > 8 * moved + 4 * noise + 2.0**-44 * abs(truth.value) for side in sides):
        session.contradicted = True
        session.note(
            "fun jumps at the point (a branch that holds there alone has another value), so no derivative is right"
        )
        return truth
    if not credible(routes, probe, found, slope, own, noise):
        if session.iterative:  # it stops at a tolerance, and its derivative lags behind
            contradict(session, slope, found)
        return truth
    there = _beside(session, truth, [ravel(side[1:]) for side in sides], along, float(found.value), bound)
    if there is not None:
        return there
    if primitives(routes.value.jaxpr) & _DECISIONS and session.point.size <= _ENTRIES:
        return _by_values(session, routes, truth, noise)
    contradict(session, slope, found)
    return truth


def contradict(session: Session, slope: float, found: Difference) -> None:
    """Mark the check: values and program contradict each other, and neither is believed."""
    session.contradicted = True
    session.note(
        "routes contradict each other: along a random direction the function's values rise by "
        f"{float(found.value):.9g} (an error below {DOUBT * float(found.error_estimate):.1e} is estimated), autodiff "
        f"of its program says {slope:.9g}"
    )


def _beside(
    session: Session, truth: Truth, sides: list[np.ndarray], probe: np.ndarray, slope: float, bound: float
) -> Truth | None:
    """The program's gradient a little to both sides of the point, where values confirm it."""
    if not np.isfinite(sides).all():
        return None
    middle, apart = (sides[0] + sides[1]) / 2, np.abs(sides[1] - sides[0])
    largest = float(np.max(np.abs(middle), initial=0.0))
    slack = apart + 2.0**-36 * largest
    if abs(float(middle @ probe) - slope) > bound + float(slack @ np.abs(probe)):
        return None
    here, own = ravel(truth.gradient), np.concatenate([np.asarray(t).ravel() for t in truth.tolerance])
    off = np.abs(here - middle) > own + slack
    if not off.any():  # nothing but the rounding of a difference
        return truth
    names = [EntryNames(session)(int(i)) or "x" for i in np.flatnonzero(off)[:3]]
    session.note(
        f"at the point itself the program takes a branch that it does not take around it ({', '.join(names)}): its "
        "derivative there was taken just beside the point, where the function's values confirm it"
    )
    session.branched = True
    gradient, units = np.where(off, middle, here), np.where(off, slack / U64, own / U64)
    return truth._replace(gradient=session.split(gradient), units=session.split(units), route=BESIDE)


def _by_values(session: Session, routes: Routes, truth: Truth, noise: float) -> Truth:
    """The gradient by extrapolated differences, entry by entry: the program decides by comparisons."""
    n = session.point.size
    slopes, errors = np.zeros(n), np.zeros(n)
    for i in range(n):
        found = routes.difference(session.basis(i), noise)
        smooth = kink(found).shape is Shape.SMOOTH  # elsewhere the slopes of both sides are asked for, entry by entry
        slopes[i], errors[i] = float(found.value) if smooth else np.nan, DOUBT * float(found.error_estimate)
    session.note(
        "autodiff of the program is not the derivative of the function's values, since the program decides by "
        "comparisons (a bisection, a lookup, a rounding): extrapolated differences were used instead"
    )
    session.branched = True
    return truth._replace(gradient=session.split(slopes), units=session.split(errors / U64), route=DIFFERENCES)
