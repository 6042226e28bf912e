"""The report of a finished check: its worst entries, ulps and resolution, from the comparisons that it kept.

Guarded by `tests/checker/test_summary.py` and `tests/checker/test_crosscheck.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.large import LARGE
from jaxsoftmax.checker.report.entries import Entry, UlpHistogram, ulps_apart, worst_entries_of
from jaxsoftmax.checker.report.finding import Aspect, Finding
from jaxsoftmax.checker.report.origin import calling_test
from jaxsoftmax.checker.report.result import CrossCheckReport, Diagnosis
from jaxsoftmax.reporting.row import Row


def report_of(session: Session, diagnoses: list[Diagnosis], function: str | None) -> CrossCheckReport:
    """The report of a check whose comparisons are done.

    Args:
        session: the check.
        diagnoses: what its errors look like.
        function: the name of the function.
    """
    entries, histogram = [], None
    for table in session.tables:
        for path, mine, other, tolerance in zip(table.paths, table.ours, table.theirs, table.tolerances, strict=True):
            positions = None
            if np.size(other) > LARGE:  # a sample of a large leaf
                step = -(-np.size(other) // LARGE)
                places = np.arange(0, np.size(other), step)
                positions = list(zip(*np.unravel_index(places, np.shape(other)), strict=True))
                tolerance = np.broadcast_to(tolerance, np.shape(other))
                mine, other, tolerance = (np.asarray(a).ravel()[::step] for a in (mine, other, tolerance))
            entries += worst_entries_of(
                table.quantity, path, mine, other, tolerance, name=table.name, positions=positions
            )
            counted = UlpHistogram.of(np.asarray(mine), other)
            histogram = counted if histogram is None else histogram + counted
    whole = (Aspect.DIRECTIONS, Aspect.TAYLOR, Aspect.CURVATURE)  # one number for many entries
    failed = [f.check for f in session.findings if not f.check.passed and f.subject.aspect not in whole]
    entries += [_worst_of_row(check) for check in failed if not _listed(check, entries)]
    entries.sort(key=lambda e: -e.ratio)
    as_run = [f for f in session.findings if f.subject.dtype is not None and f.subject.aspect is not Aspect.VALUE]
    formulas = [f for f in session.findings if f.subject.dtype is None or f.subject.aspect is Aspect.VALUE]
    return CrossCheckReport.from_findings(
        session.findings,
        contradicted=session.contradicted,
        diagnoses=tuple(diagnoses),
        notes=tuple(session.notes),
        worst_entries=tuple(entries[:8]),
        ulp_histogram=histogram,
        resolution=_coarsest(formulas if session.widen else as_run),
        resolution_as_run=_coarsest(as_run),
        guarantee=session.guarantee,
        seconds=session.clock.seconds,
        evaluations=session.clock.evaluations,
        function=function,
        called_from=calling_test(),
    )


def _coarsest(findings: list[Finding]) -> float | None:
    """The coarsest resolution of some comparisons, those of zeros and identities left out."""
    return max((f.resolution for f in findings if not f.vacuous and np.isfinite(f.resolution)), default=None)


def _listed(check: Row, entries: list[Entry]) -> bool:
    return any((e.quantity, e.path) == (check.quantity, check.worst["path"]) for e in entries)


def _worst_of_row(check: Row) -> Entry:
    """The worst entry of a comparison that failed, where no table of it was kept or the sample left it out."""
    ours, theirs = check.worst["ours"], check.worst["theirs"]
    apart = float(ulps_apart(np.float64(ours), np.float64(theirs)))
    return Entry(check.quantity, check.worst["path"], ours, theirs, check.measured, check.bound, apart)
