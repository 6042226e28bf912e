"""First derivatives: every entry of a hand gradient against autodiff, then routes that share nothing with either.

Guarded by `tests/checker/test_crosscheck.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.checker.compare.autodiff import Truth, find_truth
from jaxsoftmax.checker.compare.kink_entries import Judged, judge
from jaxsoftmax.checker.inputs.context import U64, Session, Suspect, numbers
from jaxsoftmax.checker.inputs.large import leafwise
from jaxsoftmax.checker.inputs.program import Program
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.jaxprs.equations import primitives
from jaxsoftmax.checker.jaxprs.replay import FOREIGN
from jaxsoftmax.checker.report.finding import Aspect, Finding, Subject, half_digits

FIRST = "first order"


class Hand(NamedTuple):
    """A first-order rule, evaluated.

    Attributes:
        name: what the report calls it.
        traced: the rule.
        program: leaves -> its outputs in float64.
        gradient: its gradient in float64 (the formula), a leaf each.
        tolerance: of the formula's values.
        ran: the gradient as it runs in the working dtype.
    """

    name: str
    traced: Traced
    program: Program
    gradient: list[np.ndarray]
    tolerance: list[np.ndarray]
    ran: list[Any]


def check_gradient(session: Session, name: str, traced: Traced, truth: Truth, *, with_value: bool) -> Hand:
    """Compare a hand gradient with the truth, as a formula and as it runs.

    Args:
        session: the check.
        name: for the report.
        traced: (x) -> gradient, or (value, gradient).
        truth: what it is held to.
        with_value: the rule returns the value first.
    """
    program = session.program(traced.run, traced.consts, session.wide())
    ran = traced.as_run(session.point.leaves)
    session.clock.evaluations += 1
    formula, units = _evaluated(session, program, truth, ran, with_value)
    if with_value:
        value, *ran = ran
        value64, *formula = formula
        value_units, *units = units
        _check_value(session, name, value, value64, value_units, truth)
    own = truth.tolerance
    # Foreign code that was traced in a narrow dtype rounds to that, wherever it is called from.
    u = session.u if traced.replay.opaque else U64
    tolerance = [u * e + t for e, t in zip(units, own, strict=True)]
    bounded = [half_digits(t, g, u) for t, g in zip(tolerance, truth.gradient, strict=True)]
    tolerance, unbounded = [t for t, _ in bounded], any(lost for _, lost in bounded)
    known = [u * e for e in units]  # what is known of the formula's errors
    if session.widen:
        judged = judge(session, truth, formula, truth.gradient, tolerance)
        own = [np.minimum(a, b) for a, b in zip(own, judged.tolerance, strict=True)]
        table = session.double and not traced.reduced
        options: Any = {"table": table, "family": truth.family, "unbounded": unbounded}
        finding = session.add(FIRST, Subject(name), truth.route, formula, *judged, own, **options)
        uniform = len({leaf.dtype for leaf in session.point.leaves}) == 1  # one rounding of the data is one number
        if not finding.check.passed and uniform and not session.double and not session.quick:
            finding, effects = _excused(session, finding, program, formula, judged, truth, with_value)
            known = [e + session.u * d for e, d in zip(known, effects, strict=True)]
        finding = _not_finite(session, finding, judged.target)
        if not finding.check.passed:
            session.suspects.append(Suspect("gradient", name, formula, *judged, True, traced))
    _check_as_run(session, name, traced, ran, units, truth, with_value)
    return Hand(name, traced, program, formula, known, ran)


def _not_finite(session: Session, finding: Finding, target: list[np.ndarray]) -> Finding:
    """Entries whose derivative is infinite, or not a number, say nothing: a comparison of them cannot agree."""
    lost = sum(int(np.size(g) - np.isfinite(g).sum()) for g in target)
    if lost and finding.check.passed and finding.excuse is None:
        text = f"the derivative is not finite in {lost} entries, which were not checked"
        session.findings[-1] = finding = dataclasses.replace(finding, excuse=text)
    return finding


def _excused(
    session: Session,
    finding: Finding,
    program: Program,
    formula: list[np.ndarray],
    judged: Judged,
    truth: Truth,
    with_value: bool,
) -> tuple[Finding, list[np.ndarray]]:
    """A formula that holds for data within one rounding of the given is told apart from a wrong one: it is "ROUNDING".

    Targets rounded to float32, say, have rows that sum to 1 only nearly, and a rule that uses the sum is off by that.
    The effect of one rounding of every datum is the difference of two analyses, for both sides.

    Returns:
        The finding that stands, and the effects in units of u that excuse it (0 where nothing does).
    """
    none = [np.zeros(np.shape(g)) for g in truth.gradient]
    if (primitives(program.jaxpr) | primitives(truth.program.jaxpr)) & FOREIGN:
        return finding, none  # no analysis sees through foreign code
    effects = none
    for code, first in ((program, int(with_value)), (truth.program, 1)):
        with_data = session.measure(code, session.wide(), data=True).errors[first:]
        without = session.measure(code, session.wide()).errors[first:]
        with np.errstate(invalid="ignore"):  # what is unknown excuses nothing
            # never negative: estimates from samples stand in for some bounds, and other samples may be smaller
            more = [np.maximum(a - b, 0.0) for a, b in zip(with_data, without, strict=True)]
            more = [np.where(np.isfinite(d), d, 0.0) for d in more]
        effects = [e + d for e, d in zip(effects, more, strict=True)]
    tolerance = [t + session.u * e for t, e in zip(judged.tolerance, effects, strict=True)]
    check = finding.check
    again = leafwise(FIRST, check.quantity, check.route, formula, judged.target, tolerance, None, session.point.paths)
    if not again.check.passed:
        return finding, none
    text = (
        f"the formula is off by {check.measured:.1e} at {check.worst['path'] or 'x'}, no more than rounding the data "
        f"once to {session.point.dtype} can explain"
    )
    session.findings[-1] = dataclasses.replace(again, excuse=text, subject=finding.subject, family=finding.family)
    return session.findings[-1], effects


def _evaluated(
    session: Session, program: Program, truth: Truth, ran: Sequence[Any], with_value: bool
) -> tuple[list[np.ndarray], list[Any]]:
    """The rule in float64 and its rounding bounds; for a large rule that agrees, twice the truth's stand in for them.

    Both compute the same quantity, and the screening tolerance is what the report states: an error above it leads to
    the rule's own analysis.
    """
    if session.lean(program):
        formula = session.values(program, session.wide())
        units = [2 * e for e in ([truth.value_units] if with_value else []) + list(truth.units)]
        exact = ([np.asarray(truth.value)] if with_value else []) + list(truth.gradient)
        if _within(ran, exact, [session.u * e for e in units]) and _within(formula, exact, [U64 * e for e in units]):
            return formula, units
    measured = session.measure(program, session.wide())
    if primitives(program.jaxpr) & FOREIGN:
        return measured.values, _foreign_units(session, measured.errors, truth, with_value)
    return measured.values, measured.errors


def _foreign_units(session: Session, units: list[Any], truth: Truth, with_value: bool) -> list[Any]:
    """Bounds of a rule that calls code which JAX does not see into: the truth's, doubled, and four roundings."""
    session.note("code that JAX does not see into has no rounding bound; twice the bound of the truth was used instead")
    own = ([np.asarray(truth.value_units)] if with_value else []) + list(truth.units)
    exact = ([np.asarray(truth.value)] if with_value else []) + list(truth.gradient)
    return [
        np.where(np.isfinite(e), e, 2 * np.asarray(t) + 4 * np.abs(v))
        for e, t, v in zip(units, own, exact, strict=True)
    ]


def _within(ours: Sequence[Any], theirs: Sequence[Any], tolerances: Sequence[Any]) -> bool:
    paths = [""] * len(theirs)
    return leafwise("", "", "", ours, theirs, tolerances, None, paths).check.passed


def _check_value(session: Session, name: str, ran: Any, formula: Any, units: Any, truth: Truth) -> None:
    own = U64 * truth.value_units
    runs = [(ran, session.u, session.point.dtype)]
    for value, u, dtype in [(formula, U64, None), *runs] if session.widen else runs:
        tolerance, target = u * float(units) + own, truth.value
        if u != U64 and not abs(float(np.asarray(value)) - target) <= tolerance:  # another function in this dtype?
            narrow = find_truth(session, narrow=True)
            target, tolerance = narrow.value, tolerance + U64 * narrow.value_units
        subject, route = Subject(name, Aspect.VALUE, dtype), "the function (float64)"
        session.add(FIRST, subject, route, [value], [target], [tolerance], [own], paths=[""])


def _check_as_run(
    session: Session, name: str, traced: Traced, ran: list[Any], units: list[Any], truth: Truth, with_value: bool
) -> None:
    """The rule as the user gets it: every rounding of the working dtype is allowed for, and nothing else."""
    own = truth.tolerance
    tolerance = [session.u * e + t for e, t in zip(units, own, strict=True)]
    target = truth.gradient
    wrong = any(suspect.name == name for suspect in session.suspects)  # then it need not be looked into why
    if not wrong and not _within(ran, target, tolerance):
        # Constants may be other numbers in the working dtype (data rounded on the way in, machine epsilons): hold the
        # rule to the function of those numbers.
        narrow = find_truth(session, narrow=True)
        program = session.program(traced.run_narrow, list(traced.narrow.consts), session.wide())
        measured = session.measure(program, session.wide(), narrow=True)
        found = measured.errors
        if primitives(program.jaxpr) & FOREIGN:
            found = _foreign_units(session, found, truth, with_value)
        more = found[1:] if with_value else found
        wider = [session.u * e + U64 * t for e, t in zip(more, narrow.units, strict=True)]
        if _within(ran, narrow.gradient, wider) or not session.widen:
            target, tolerance, own = narrow.gradient, wider, narrow.tolerance
        target, tolerance = judge(session, truth, ran, target, tolerance)
        own = [np.minimum(a, b) for a, b in zip(own, tolerance, strict=True)]
    finding = session.add(
        FIRST,
        Subject(name, dtype=session.point.dtype),
        truth.route,
        ran,
        target,
        tolerance,
        own,
        table=not session.double or bool(traced.reduced),
        family=truth.family,
    )
    if not finding.check.passed and not wrong:
        tolerance = [half_digits(t, o, session.u)[0] for t, o in zip(tolerance, target, strict=True)]
        session.suspects.append(Suspect("gradient", name, numbers(ran), target, tolerance, False, traced))
