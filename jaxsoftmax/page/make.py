"""The report of `verify` as one page, from the reports and the problems; what it has beside them is computed here.

Guarded by `tests/page/test_page.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax

from jaxsoftmax.page.frame import LOOK, PLAIN, Section, page
from jaxsoftmax.page.sections import Extra, sections
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph
from jaxsoftmax.reporting.html import as_html
from jaxsoftmax.support.errors import WrongArgument
from jaxsoftmax.training.result import Fit, whole
from jaxsoftmax.uncertainty.inference import inference
from jaxsoftmax.uncertainty.table import Inference
from jaxsoftmax.verification.inputs import Prepared
from jaxsoftmax.verification.report import DatasetReport, VerifyReport
from jaxsoftmax.verification.rows_existence import fit_quietly, verdict_on

__all__ = ["extras", "report_page"]

MOST_COEFFICIENTS = 1000  # of a table: its covariance has as many rows and columns


def extras(report: VerifyReport, prepared: Sequence[Prepared]) -> list[Extra]:
    """What the page has beside the report, for each data set: the coefficients' table; a fit where that needs one.

    Example:
        >>> from jaxsoftmax.page.make import extras
        >>> callable(extras)
        True
    """
    with jax.enable_x64(True):
        return [_extra(data, each) for data, each in zip(report.datasets, prepared, strict=True)]


def _extra(data: DatasetReport, prepared: Prepared) -> Extra:
    if prepared.shown_raw is None:
        return Extra(_table(prepared.problem, data.fit, data.existence))
    raw = prepared.shown_raw
    fit = whole(fit_quietly(raw))
    verdict = verdict_on(raw, prepared.decimal, fit.existence)
    return Extra(_table(raw, fit, verdict), " without label smoothing", verdict)


def _table(problem: Problem, fit: Fit, verdict: ExistenceVerdict | None) -> Inference | str:
    """The table of a likelihood, or why there is none."""
    if problem.C * problem.D > MOST_COEFFICIENTS:
        return f"{problem.C * problem.D} coefficients are too many for a page; js.inference makes it."
    try:
        return inference(problem, fit, existence=verdict)  # the page's own: the fit's may be about other numbers
    except WrongArgument as error:
        return f"{error}"


def report_page(report: VerifyReport, extra: Sequence[Extra], prepared: Sequence[Prepared], again: Document) -> str:
    """The page.

    Args:
        report: of `verify_prepared`.
        extra: of `extras`, for the same.
        prepared: the problems that were verified, in order.
        again: how to check it again: what stands under that heading.

    Returns:
        HTML that needs no other file. The same arguments give the same bytes.

    Raises:
        ImportError: matplotlib is missing.

    Example:
        >>> from jaxsoftmax.page.make import report_page
        >>> callable(report_page)
        True
    """
    names = ", ".join(data.name for data in report.datasets)
    lead = [
        Paragraph(report.verdict(), "good" if report.passed else "bad"),
        Paragraph(
            "This page says what was trained on these data, whether a best fit exists and why, how training went, and "
            "how every formula that it rests on was checked. It needs no other file and no network."
        ),
    ]
    whole = [
        part
        for number, parts in enumerate(zip(report.datasets, prepared, extra, strict=True), 1)
        for part in sections(number, *parts)
    ]
    whole.append(Section("again", "How to check it again", 2, as_html(again, PLAIN)))
    whole.append(Section("versions", "Versions", 2, as_html([Facts(_versions(report))], PLAIN)))
    return page(f"jaxsoftmax report: {names}", as_html(lead, LOOK), whole)


def _versions(report: VerifyReport) -> list[tuple[str, str]]:
    own = [("jaxsoftmax", report.version)]
    return own + [(key.replace("_", "-"), str(value or "not installed")) for key, value in report.environment.items()]
