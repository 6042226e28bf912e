"""What a cross-check found: one `Finding` per comparison, with its `Row` for readers; `CrossCheckReport` of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any, Literal

from jaxsoftmax.checker.report.entries import Entry, UlpHistogram, bar_lines
from jaxsoftmax.checker.report.finding import Finding
from jaxsoftmax.checker.report.verdict import VERDICTS, Family, Says, VerdictName, gravest, verdict_on
from jaxsoftmax.reporting.blocks import Document, Facts, Line, Paragraph, Picture, Table, Title
from jaxsoftmax.reporting.digits import told_apart
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.reporting.row import Row, rows_table

DiagnosisName = Literal[
    "constant factor", "missing regulariser", "wrong term", "transpose", "permutation", "shift", "gauge",
    "sample weight", "stop gradient", "kink", "dtype", "one leaf", "entry", "row", "asymmetric",
    "nonlinear", "indefinite", "nonfinite", "resolution",
]  # fmt: skip
TONES = dict.fromkeys(VERDICTS, "doubt") | {"AGREE": "good", "DISAGREE": "bad"}


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What an error looks like: a name, and a sentence about this error.

    Example:
        >>> from jaxsoftmax.checker.report.result import Diagnosis
        >>> print(Diagnosis("constant factor", "gradient is half of the right one"))
        constant factor: gradient is half of the right one
    """

    name: DiagnosisName
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


_FACTOR = "the tolerance exceeds half of the largest value, so a factor 2 would have passed"
_OPEN = "no bound of its rounding is known: it agrees to half of the digits, and counts only if values agree"


def _verdict(findings: list[Finding], contradicted: bool) -> VerdictName:
    """The verdict on one rule, by the table."""
    said = {family: [f.says for f in findings if f.family is family] for family in Family}
    return verdict_on(said[Family.PROGRAM], said[Family.VALUES], contradicted=contradicted)


def allowed_verdicts(allow: Collection[str]) -> tuple[str, ...]:
    """The verdicts that pass besides "AGREE".

    Raises:
        ValueError: one of them is no verdict that may be allowed.
    """
    given = (allow,) if isinstance(allow, str) else tuple(allow)
    for name in given:
        if name not in VERDICTS[1:-1]:
            raise ValueError(f"allow: got {name!r}; give verdicts among {', '.join(map(repr, VERDICTS[1:-1]))}.")
    return given


class DerivativeError(AssertionError):
    """A hand rule and the independent routes disagree; the message is the report, and `report` holds it.

    Example:
        >>> import jaxsoftmax as js
        >>> try:
        ...     raise js.DerivativeError(js.CrossCheckReport("DISAGREE", ()))
        ... except AssertionError as error:
        ...     print(str(error).splitlines()[0], "|", error.report.verdict)
        Cross-check: DISAGREE (0 of 0 comparisons within tolerance) | DISAGREE
    """

    def __init__(self, report: CrossCheckReport) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return repr(self.report)


@dataclasses.dataclass(frozen=True, repr=False)
class CrossCheckReport(Report):
    """The hand rules against independent routes, comparison by comparison; its ``repr`` is the report.

    Attributes:
        verdict: "AGREE"; "DISAGREE" when some entry is further off than its tolerance; "INCONCLUSIVE" when
            independent routes contradict each other; "NOT CHECKED" when no route has a finite bound of its error;
            "ROUNDING" when all passed but some quantity is so small beside its tolerance that a factor 2 in it would
            have passed too, or a difference was seen that a rounding of the data explains (`diagnoses` of the name
            "resolution" say which). `checker/report/verdict.py` has the table.
        statements: the comparisons, in the order of the statements.
        diagnoses: what an error looks like, a `Diagnosis` each with `name` and `text`; the quantities behind a
            ROUNDING verdict have the name "resolution".
        notes: what fell back to another route, and what was not done.
        worst_entries: the entries with the largest error in units of their tolerance, of all comparisons.
        ulp_histogram: how many entries are how many ulps off.
        resolution: the largest relative error, in units of its leaf's largest entry, that an entry of a compared
            formula could have and still pass; the coarsest of the quantities.
        resolution_as_run: the same for the rules as they run in their own dtype: what a demotion must exceed.
        guarantee: with which probability an error escapes where not every entry was compared; None where every one was.
        seconds: how long the check took.
        evaluations: how many evaluations of the function or of one of its derivatives it took.
        function: the name of the function; None where the check is of none.
        called_from: the pytest test in which the check ran, if any.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 1])
        >>> js.crosscheck_problem(problem, np.ones((2, 4)) * [[0.5], [-0.5]]).verdict
        'AGREE'
    """

    verdict: VerdictName
    statements: tuple[Row, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    worst_entries: tuple[Entry, ...] = ()
    ulp_histogram: UlpHistogram | None = None
    resolution: float | None = None
    resolution_as_run: float | None = None
    guarantee: str | None = None
    seconds: float | None = None
    evaluations: int | None = None
    function: str | None = None
    called_from: str | None = None

    @classmethod
    def from_findings(
        cls,
        findings: list[Finding],
        *,
        contradicted: bool = False,
        diagnoses: tuple[Diagnosis, ...] = (),
        **more: Any,
    ) -> CrossCheckReport:
        """Decide the verdict.

        Args:
            findings: the comparisons.
            contradicted: the function's values reject the derivative of its own program.
            diagnoses: what the error looks like; a "resolution" diagnosis is added for each reason why some comparisons
                are blind.
            more: the other attributes, by name.
        """
        reasons: dict[str, list[str]] = {}
        for f in (f for f in findings if f.blind):
            name = f"{' '.join(filter(None, (f.check.statement, f.check.quantity)))} ({f.check.route})"
            reasons.setdefault(f.excuse or _FACTOR, []).append(name)
        blind = tuple(
            Diagnosis("resolution", f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {reason}")
            for reason, names in reasons.items()
        )
        checks = tuple(
            dataclasses.replace(f.check, blind=f.blind)
            if f.says is not Says.SILENT
            else dataclasses.replace(f.check, passed=None, note=f.check.note or _OPEN)
            for f in findings
        )
        rules = dict.fromkeys(f.subject.rule for f in findings)
        found: list[VerdictName] = [
            _verdict([f for f in findings if f.subject.rule == rule], contradicted) for rule in rules
        ]
        found.append("ROUNDING" if blind else "AGREE" if findings else "NOT CHECKED")
        return cls(gravest(found), checks, (*diagnoses, *blind), **more)

    @property
    def worst(self) -> Row:
        """The comparison with the largest ratio."""
        return max(self.statements, key=lambda s: s.ratio)

    def raise_unless_agree(self, allow: Collection[str] = ()) -> None:
        """Raise unless the verdict is "AGREE", or one that is allowed by name.

        Args:
            allow: verdicts besides "AGREE" that pass, such as ("ROUNDING",).

        Raises:
            DerivativeError: an AssertionError whose message is the report.
            ValueError: `allow` holds something else than "ROUNDING", "NOT CHECKED" or "INCONCLUSIVE".
        """
        __tracebackhide__ = True
        if self.verdict != "AGREE" and self.verdict not in allowed_verdicts(allow):
            raise DerivativeError(self)

    def to_dict(self) -> dict[str, Any]:
        """The attributes, JSON-ready: "verdict", "statements", "diagnoses" first."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json_ready(fields | {"diagnoses": [str(s) for s in self.diagnoses]})

    def plot(self, *, most: int = 40, ax: Any = None) -> Any:
        """Draw the error over the tolerance of each comparison (`js.plots.plot_checks`), at most `most` of them.

        How many ulps the entries are off is drawn by `js.plots.ulp_histogram`.
        """
        from jaxsoftmax.plots.checks import plot_checks

        return plot_checks(self.statements, most=most, ax=ax)

    def document(self) -> Document:
        """The comparisons, what an error looks like, the worst entries, how many ulps off, and what it took."""
        undecided = sum(s.passed is None for s in self.statements)
        passed = f"{sum(bool(s.passed) for s in self.statements)} of {len(self.statements)} comparisons"
        passed += f" within tolerance{f', {undecided} open' if undecided else ''}"
        of = "" if self.function is None else f" of {self.function}"
        caller = "" if self.called_from is None else f", called from {self.called_from}"
        text = f"Cross-check{of}: {self.verdict} ({passed}){caller}"
        found: Document = [Title(text, TONES[self.verdict])]
        if self.statements:
            found.append(rows_table(self.statements))
        found += [Paragraph(str(s), "doubt" if s.name == "resolution" else "bad") for s in self.diagnoses]
        if self.worst_entries:
            head = ("entry", "ours", "theirs", "error", "tolerance", "ulps")
            found += [Title("worst entries"), Table(head, [_line(e) for e in self.worst_entries], "<>>>>>")]
        histogram = self.ulp_histogram
        if histogram is not None and histogram.total:
            entries = f"{histogram.total} entr{'y' if histogram.total == 1 else 'ies'}"
            found += [Title(f"error in ulps of {histogram.dtype}, {entries}"), Picture(list(bar_lines(histogram)))]
        return [*found, Facts(list(self._remarks()))]

    def _remarks(self) -> Iterator[tuple[str, str]]:
        if self.resolution is not None:
            coarser = self.resolution_as_run
            ran = "" if coarser is None or coarser <= self.resolution else f" ({coarser:.1e} in the rule's own dtype)"
            text = f"an error below {self.resolution:.1e} of an array's largest entry could have passed{ran}"
            yield "resolution", text
        if self.guarantee:
            yield "guarantee", self.guarantee
        yield from (("note", text) for text in self.notes)
        cost = [] if self.evaluations is None else [f"{self.evaluations} evaluations"]
        cost += [] if self.seconds is None else [f"{self.seconds:.2g} s"]
        if cost:
            yield "cost", ", ".join(cost)


def _line(e: Entry) -> Line:
    ulps = f"{e.ulps:.3g}" if e.ulps < 1e4 else f"{e.ulps:.1e}"
    numbers = (*told_apart(e.ours, e.theirs, 9), f"{e.error:.1e}", f"{e.tolerance:.1e}", ulps)
    return Line((f"{e.quantity} {e.path}".rstrip(), *numbers))
