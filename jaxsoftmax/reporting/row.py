"""`Row`: one observation beside its bound, of a cross-check or of `verify`; how it is judged, and rows as a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from jaxsoftmax.reporting.blocks import Line, Table
from jaxsoftmax.reporting.digits import told_apart
from jaxsoftmax.reporting.json_values import json_ready

__all__ = ["Row", "compare", "not_run", "rows_table", "yes_or_no"]

_MARKS = {
    None: ("open", "doubt"),
    "AGREE": ("pass", ""),
    "ROUNDING": ("rounding", "doubt"),
    "DISAGREE": ("FAIL", "bad"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison.

    Attributes:
        statement: the tag in docs/theory.md, such as "S3"; "" where no statement is meant.
        quantity: what is compared, in words.
        route: what it was compared with, in words; "" where the bound says it.
        at: the point ("random W", "fitted W"), or "".
        measured: the number found: of two computations of one quantity |ours - theirs| at the worst entry (the one with
            the largest error in units of its tolerance); None where nothing was measured.
        relation: how it must lie to the bound: "<=", ">=" or "=" (equal within `allowance`); "" for a yes or no.
        bound: the other side; of two computations both sides' tolerances at that entry, derived from the arithmetic and
            not chosen. Sums may contain the probabilistic constant sqrt(N), so it is derived and not rigorous.
        allowance: how far rounding (and, for S17, curvature over the distance used) may carry it beyond the bound.
        passed: True or False; None where the check was not run or rounding decides.
        ratio: the share of what is allowed that was used, error over tolerance; at most 1 where the row passed. inf for
            a non-finite value that the other side does not share; None without a number.
        worst: the worst entry: {"path", "ours", "theirs"}, and {"class", "feature", "sample", "ours", "theirs"} in a
            cross-check of a Problem; None where an index does not apply. Empty for a row that is not about entries.
        blind: the tolerance is so wide that a factor 2 would have passed.
        note: why it failed or was not run, or what a reader should know.

    Example:
        >>> from jaxsoftmax.reporting.row import Row
        >>> Row(statement="S5", quantity="smallest eigenvalue", at="random W", passed=True).label()
        'smallest eigenvalue (S5), random W'
    """

    statement: str
    quantity: str
    route: str = ""
    at: str = ""
    measured: Any = None
    relation: str = ""
    bound: Any = None
    allowance: float = 0.0
    passed: Any = None
    ratio: Any = None
    worst: dict[str, Any] = dataclasses.field(default_factory=dict)
    blind: bool = False
    note: str = ""

    @property
    def verdict(self) -> str | None:
        """DISAGREE if not passed, ROUNDING if passed but blind, else AGREE; None where nothing was decided."""
        if self.passed is None:
            return None
        return "DISAGREE" if not self.passed else "ROUNDING" if self.blind else "AGREE"

    def label(self) -> str:
        """What was compared, the statement after it, with what, and where."""
        tag = f" ({self.statement})" if self.statement else ""
        return (
            f"{self.quantity}{tag}" + (f", against {self.route}" if self.route else "") + f", {self.at}" * bool(self.at)
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes and the verdict, JSON-ready."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json_ready(fields | {"verdict": self.verdict})


def compare(
    statement: str,
    quantity: str,
    at: str,
    measured: float,
    relation: str,
    bound: float,
    allowance: float,
    note: str = "",
) -> Row:
    """The row for `measured relation bound`, up to the allowance. NaN passes nothing.

    Example:
        >>> from jaxsoftmax.reporting.row import compare
        >>> row = compare("S7a", "largest eigenvalue", "fitted W", 2.0, "<=", 7.0, 1.0)
        >>> row.passed, row.ratio
        (True, 0.25)
    """
    measured, bound, allowance = float(measured), float(bound), float(allowance)
    if relation == "=":
        value, limit = 0.0 if measured == bound else abs(measured - bound), allowance
    else:
        sign = 1.0 if relation == "<=" else -1.0
        value, limit = sign * measured, sign * bound + allowance
    row = Row(
        statement=statement, quantity=quantity, at=at, measured=measured, relation=relation, bound=bound, note=note
    )
    return dataclasses.replace(row, allowance=allowance, passed=value <= limit, ratio=_share(value, limit))


def _share(value: float, limit: float) -> float:
    """At most 1 exactly if value <= limit."""
    if limit > 0:
        found = max(value, 0.0) / limit
    elif value < 0:
        found = abs(limit / value)
    else:
        found = 0.0 if value <= limit else math.inf
    return found if not math.isnan(found) else 1.0 if value <= limit else math.inf


def yes_or_no(statement: str, quantity: str, at: str, passed: bool, note: str = "") -> Row:
    """The row of a check without a number."""
    return Row(statement=statement, quantity=quantity, at=at, passed=passed, note=note)


def not_run(statement: str, quantity: str, at: str, note: str) -> Row:
    """The row of a check that was not run, and why."""
    return Row(statement=statement, quantity=quantity, at=at, note=note)


def rows_table(rows: Sequence[Row]) -> Table:
    """The rows as a table; below one that did not pass stands what is known about it.

    Example:
        >>> from jaxsoftmax.reporting.row import compare, rows_table
        >>> rows_table([compare("S5", "smallest eigenvalue", "", 2.0, ">=", 0.0, 1e-9)]).rows[0].cells
        ('smallest eigenvalue (S5)', '2', '>= -1.0e-09', '0', 'pass')
    """
    return Table(("check", "found", "allowed", "ratio", ""), [_line(row) for row in rows], "<><><")


def _line(row: Row) -> Line:
    """A bound of 0 is shown as its allowance for rounding."""
    measured = "" if row.measured is None else _number(row.measured)
    if row.bound is None:
        bound = ""
    elif row.relation == "=":
        bound = f"= {_number(row.bound)}" + (f" ± {row.allowance:.0e}" if row.allowance else "")
    elif row.bound == 0 and row.allowance:
        bound = f"{row.relation} {'-' if row.relation == '>=' else ''}{row.allowance:.1e}"
    else:
        bound = f"{row.relation} {_number(row.bound)}"
    mark, tone = _MARKS[row.verdict]
    ratio = "" if row.ratio is None or row.passed is None else f"{row.ratio:.3g}"
    note = "" if row.passed else "; ".join(filter(None, (row.note, _place(row))))
    return Line((row.label(), measured, bound, ratio, mark), tone, note)


def _place(row: Row) -> str:
    """The worst entry in words."""
    worst = row.worst
    if worst.get("ours") is None:
        return ""
    where = [f"{key} {worst[key]}" for key in ("sample", "class", "feature") if worst.get(key) is not None]
    ours, theirs = told_apart(worst["ours"], worst["theirs"])
    return f"{worst.get('path') or ', '.join(where) or 'value'}: {ours} against {theirs}"


def _number(value: float) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.6g}" if 1e-3 <= abs(value) < 1e6 or not math.isfinite(value) else f"{value:.2e}"
