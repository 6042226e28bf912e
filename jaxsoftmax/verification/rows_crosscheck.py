"""S1-S5 and S8 as the cross-checks at two points found them: one row a quantity.

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import dataclasses

from jaxsoftmax.checker.report.result import CrossCheckReport
from jaxsoftmax.reporting.row import Row

__all__ = ["crosscheck_rows"]


def crosscheck_rows(random: CrossCheckReport, fitted: CrossCheckReport, at: str) -> list[Row]:
    """One row a quantity: the comparison with the largest error in units of its tolerance, of all routes and both W."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for where, report in (("random W", random), (at, fitted)):
        for row in report.statements:
            groups.setdefault((row.statement, row.quantity), []).append(dataclasses.replace(row, at=where))
    found = []
    for rows in groups.values():
        worst = max(rows, key=lambda row: (not row.passed, row.ratio))
        found.append(dataclasses.replace(worst, note=f"worst of {len(rows)} comparisons"))
    return found
