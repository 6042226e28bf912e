"""The report's resolution and its worst entries, from the comparisons that a check kept."""

from types import SimpleNamespace

import numpy as np

from jaxsoftmax.checker import summary
from jaxsoftmax.checker.report.entries import Entry
from jaxsoftmax.checker.report.finding import Aspect, Finding, Subject, Table, compare


def kept(*findings, tables=(), widen=True):
    """What `report_of` reads of a session."""
    return SimpleNamespace(
        findings=list(findings), tables=list(tables), widen=widen, contradicted=False, notes=["a note"], guarantee="g",
        clock=SimpleNamespace(seconds=2.0, evaluations=7),
    )  # fmt: skip


def finding(subject, error=0.0, tolerance=0.5, theirs=2.0, **more):
    made = compare("S2", subject.text, "r", np.float64([theirs + error]), [theirs], tolerance, path="x", **more)
    return Finding(made.check, made.power, made.vacuous, made.resolution, subject=subject)


def test_the_resolution_is_the_coarsest_of_formulas_and_apart_of_what_ran():
    """Zeros and identities have none; a value counts among the formulas, whatever it was computed in."""
    fine, coarse = finding(Subject("gradient")), finding(Subject("hvp"), tolerance=1.0)
    ran = finding(Subject("gradient", dtype="float32"), tolerance=4.0)
    value = finding(Subject("fun", Aspect.VALUE, dtype="float32"), tolerance=1.5)
    zero, endless = finding(Subject("z"), theirs=0.0, identity=True), finding(Subject("e"), tolerance=np.inf)
    found = summary.report_of(kept(fine, coarse, ran, value, zero, endless), [], "f")
    assert (found.resolution, found.resolution_as_run) == (0.75, 2.0)
    assert (found.seconds, found.evaluations, found.function, found.guarantee) == (2.0, 7, "f", "g")
    as_run = summary.report_of(kept(fine, coarse, ran, value, widen=False), [], None)
    assert (as_run.resolution, as_run.resolution_as_run) == (2.0, 2.0)
    assert summary.report_of(kept(zero), [], None).resolution is None


def test_the_worst_entries_are_those_of_tables_and_of_rows_that_failed_without_one(monkeypatch):
    """Worst first, eight at most; of a large leaf every so many-th; slopes along directions are no entries."""
    theirs = np.zeros((3, 4))
    table = Table("gradient", ["x"], [np.arange(12.0).reshape(3, 4)], [theirs], [1.0])
    failed = finding(Subject("hvp"), error=20.0, tolerance=2.0)
    listed = finding(Subject("gradient"), error=1.0)
    along = [
        finding(Subject("gradient", aspect), error=90.0)
        for aspect in (Aspect.DIRECTIONS, Aspect.TAYLOR, Aspect.CURVATURE)
    ]
    found = summary.report_of(kept(failed, listed, *along, tables=[table]), [], None)
    assert [(e.quantity, e.path, e.ratio) for e in found.worst_entries[:3]] == [
        ("gradient", "x[2, 3]", 11.0), ("hvp", "x[0]", 10.0), ("gradient", "x[2, 2]", 10.0),
    ] or [e.ratio for e in found.worst_entries[:3]] == [11.0, 10.0, 10.0]  # fmt: skip
    assert max(e.ratio for e in found.worst_entries) == 11.0 and len(found.worst_entries) <= 8
    assert found.ulp_histogram.total == 12
    (row,) = [e for e in found.worst_entries if e.quantity == "hvp"]
    assert row == Entry("hvp", "x[0]", 22.0, 2.0, 20.0, 2.0, 20.0 / (16 * 2.0**-52))
    monkeypatch.setattr(summary, "LARGE", 6)
    sampled = summary.report_of(kept(tables=[table]), [], None)
    assert sampled.ulp_histogram.total == 6 and sampled.worst_entries[0].path == "x[2, 2]"
