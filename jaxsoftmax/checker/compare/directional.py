"""Routes without any rule of JAX's reverse mode: forward mode, complex step, differences, Taylor remainders.

What it allows for is guarded by `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from jaxsoftmax.checker.compare.autodiff import (
    DIFFERENCES,
    DOUBT,
    FORWARD,
    REVERSE,
    Truth,
    dot,
    dot_tolerance,
    finite,
)
from jaxsoftmax.checker.compare.first_order import FIRST, Hand
from jaxsoftmax.checker.compare.routes import Routes, routes_of
from jaxsoftmax.checker.compare.witnesses import credible
from jaxsoftmax.checker.inputs.context import U64, Kinked, Session, ravel
from jaxsoftmax.checker.inputs.linear_maps import LinearMap
from jaxsoftmax.checker.numeric.differences import Difference
from jaxsoftmax.checker.numeric.directions import Direction, directions
from jaxsoftmax.checker.numeric.kinks import Shape, kink
from jaxsoftmax.checker.numeric.taylor import MARGIN
from jaxsoftmax.checker.report.finding import Aspect, Subject
from jaxsoftmax.checker.report.verdict import Family

# A complex product or quotient takes up to six real operations where forward mode takes three.
_COMPLEX = 4.0


def probe_directions(session: Session, routes: Routes, truth: Truth) -> list[Direction]:
    """Gaussian directions, one leaf at a time, blocks, and directions in which small entries count as much as large."""
    if routes.lean or session.quick:
        count = {"random": 1}
    else:
        count = {"random": 2, "scaled": 1, "leaf": 6, "rows": 1, "columns": 1}
    with np.errstate(all="ignore"):
        sizes = [1 / np.abs(g) for g in truth.gradient]
    largest = max((float(np.max(s, initial=0.0, where=np.isfinite(s))) for s in sizes), default=1.0) or 1.0
    found = directions(
        session.point.leaves,
        session.rng,
        count=count,
        names=session.point.paths,
        magnitudes=[s / largest for s in sizes],
    )
    if not session.nonsmooth:
        return list(found)
    out = []
    for probe in found:
        flat = session.smooth(ravel(probe.leaves))
        out.append(dataclasses.replace(probe, leaves=session.split(flat)))
    return [probe for probe in out if any(v.any() for v in probe.leaves)]


def check_along(session: Session, hands: list[Hand], truth: Truth, hvp: LinearMap | None = None) -> None:
    """Hold the hand gradients, and reverse autodiff itself, to the other routes along directions."""
    routes = routes_of(session)
    probes = probe_directions(session, routes, truth)
    gradients = [(REVERSE, truth.gradient, truth.tolerance)] if truth.route == REVERSE and not session.quick else []
    gradients += [(hand.name, hand.gradient, hand.tolerance) for hand in hands]
    gradients = [g for g in gradients if finite(g[1])]
    if not gradients or not probes:
        return
    # Routes through the program share the fault of its branch, or of what makes its reverse mode NaN.
    branched = session.branched or not finite(truth.gradient)
    refusal = None if branched else routes.complex_refusal()
    few = [] if routes.lean and truth.route != DIFFERENCES else probes[:3]
    if routes.lean:
        session.note(
            "the function is large: complex step, differences and Taylor test were left out; forward autodiff was not"
        )
    elif refusal is not None and not session.quick:
        session.note(f"no complex step: {refusal} cannot be continued to complex numbers")
    program = truth.route != DIFFERENCES and not branched and not session.quick
    forward = [_forward(session, routes, probe, truth) for probe in probes] if program else []
    steps = [routes.complex_step(probe.leaves) for probe in few] if program and refusal is None else []
    noise = U64 * truth.value_units if np.isfinite(truth.value_units) else 0.0
    differences = [routes.difference(probe.leaves, noise) for probe in few]
    for name, gradient, tolerance in gradients:
        slopes = [dot(gradient, probe.leaves) for probe in probes]
        owns = [dot_tolerance(gradient, probe.leaves, tolerance) for probe in probes]
        names = [probe.name for probe in probes]
        values, bounds = [f[0] for f in forward], [f[1] for f in forward]
        if forward:
            _add(session, name, FORWARD, slopes, values, owns, bounds, names)
        seen = [i for i, step in enumerate(steps) if np.isfinite(step)]  # 0/0 may have no complex continuation
        if seen:
            rows = (slopes, steps, owns, [_COMPLEX * b for b in bounds], names)
            picked: list[Any] = [[row[i] for i in seen] for row in rows]
            _add(session, name, "complex step (float64)", *picked)
        check_differences(session, routes, name, slopes, owns, differences, probes, noise)
    for hand in hands:
        if finite(hand.gradient) and not routes.lean and not session.quick:
            _check_taylor(session, routes, hand, few[0], differences[0], noise, hvp)


def _forward(session: Session, routes: Routes, probe: Direction, truth: Truth) -> tuple[float, float]:
    """(slope, tolerance) by forward mode; of a large function the reverse mode's bound, twice, stands in."""
    direction = session.like_point(ravel(probe.leaves))
    if routes.lean:
        slope = float(session.values(routes.forward, session.wide(), direction)[1])
        return slope, 2 * dot_tolerance(truth.gradient, probe.leaves, truth.tolerance)
    measured = session.measure(routes.forward, session.wide(), direction)
    return float(measured.values[1]), U64 * float(measured.errors[1])


def _add(
    session: Session,
    name: str,
    route: str,
    slopes: list[float],
    values: list[float],
    owns: list[float],
    bounds: list[float],
    names: list[str],
    family: Family = Family.PROGRAM,
) -> None:
    n = len(values)
    tolerance = np.array(owns[:n]) + np.array(bounds[:n])
    session.add(
        FIRST,
        Subject(name, Aspect.DIRECTIONS),
        route,
        [np.array([s]) for s in slopes[:n]],
        [np.array([v]) for v in values],
        [np.array([t]) for t in tolerance],
        [np.array([b]) for b in bounds[:n]],
        paths=names[:n],
        identity=True,
        family=family,
    )


def check_differences(
    session: Session,
    routes: Routes,
    name: str,
    slopes: list[float],
    owns: list[float],
    found: list[Difference],
    probes: list[Direction],
    noise: float,
) -> None:
    """Differences only estimate their error: they reject a slope where the Taylor remainder does too."""
    values = [float(d.value) for d in found]
    bounds = [DOUBT * float(d.error_estimate) for d in found]
    # A slope whose own error has no bound is held to half of the digits.
    owns = [o if np.isfinite(o) else math.sqrt(U64) * abs(s) for s, o in zip(slopes, owns, strict=True)]
    keep = []
    for i, difference in enumerate(found):
        where = probes[i].name
        if abs(slopes[i] - values[i]) <= owns[i] + bounds[i]:
            keep.append(i)
            continue
        seen = kink(difference)
        if seen.shape is not Shape.SMOOTH:
            session.kinks.append(Kinked(None, seen.evidence))
            session.note(f"differences along {where} were left out. {seen.evidence}")
        elif credible(routes, probes[i].leaves, difference, slopes[i], owns[i], noise):
            keep.append(i)
        else:
            session.note(f"differences along {where} were left out: the Taylor remainder does not confirm them")
    if keep:
        rows = (slopes, values, owns, bounds, [probe.name for probe in probes])
        picked: list[Any] = [[row[i] for i in keep] for row in rows]
        _add(session, name, DIFFERENCES, *picked, family=Family.VALUES)


def _check_taylor(
    session: Session,
    routes: Routes,
    hand: Hand,
    probe: Direction,
    difference: Difference,
    noise: float,
    hvp: LinearMap | None,
) -> None:
    """f(x + tv) - f(x) - t<g, v> falls like t², and like t³ when t²<v, Hv>/2 is taken off too."""
    slope = dot(hand.gradient, probe.leaves)
    doubt = dot_tolerance(hand.gradient, probe.leaves, hand.tolerance)
    orders: list[tuple[int, float | None]] = [(2, None)]
    if hvp is not None and not routes.lean:
        flat = ravel(probe.leaves)
        orders.append((3, float(flat @ hvp.values(flat[None])[0])))
    for order, bend in orders:
        found = routes.taylor(probe.leaves, slope, bend, noise, doubt)
        if found.passed is None:
            session.note(f"the Taylor test of order {order} was left out. {found.text}")
            continue
        if not found.passed and not session.kinks:
            # The rule may have the mean of two slopes, as central differences do: only the remainder shows the kink.
            seen = kink(difference)
            session.kinks += [Kinked(None, seen.evidence)] if seen.shape is Shape.KINK else []
        if not found.passed and session.kinks:
            session.note(f"the Taylor test of order {order} was left out, beside a kink. {found.text}")
            continue
        rule = hand.name if order == 2 else "hvp"
        about = [f for f in session.findings if f.subject.rule == rule and f.subject.aspect is not Aspect.VALUE]
        values = [f.check.passed for f in about if f.family is Family.VALUES]
        if not found.passed and (all(f.check.passed for f in about) or (values and all(values))):
            # An order is fitted, not bounded: where every entry agrees, or differences do, it does not accuse.
            session.note(
                f"the Taylor test of order {order} was left out, since the other comparisons agree. {found.text}"
            )
            continue
        session.add(
            FIRST if order == 2 else "second order",
            Subject(rule, Aspect.TAYLOR),
            f"t^{order}",
            [found.order_fitted],
            [float(order)],
            [max(MARGIN, abs(found.order_fitted - order)) if found.passed else MARGIN],
            paths=[probe.name],
            identity=True,
            family=Family.VALUES,
        )
