"""What a cross-check found: one `Finding` per comparison, with its `Row` for readers; `CrossCheckReport` of all."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxsoftmax.checker.report.entries import Entry, UlpHistogram, bar_lines, errors_and_ratios, index_text
from jaxsoftmax.checker.report.verdict import VERDICTS, Family, Says, VerdictName, gravest, verdict_on
from jaxsoftmax.reporting.blocks import Document, Facts, Line, Paragraph, Picture, Table, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.reporting.row import Row, rows_table

DiagnosisName = Literal[
    "constant factor", "missing regulariser", "wrong term", "transpose", "permutation", "shift", "gauge",
    "sample weight", "stop gradient", "kink", "dtype", "one leaf", "entry", "row", "direction", "asymmetric",
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


class Aspect(enum.Enum):
    """What of a rule was compared; the value says it in words."""

    ENTRIES = "{rule}"
    VALUE = "value of {rule}"
    DIRECTIONS = "{rule} along directions"
    SYMMETRY = "{rule}, symmetry"
    LINEARITY = "{rule}, linear in the direction"
    TAYLOR = "{rule}, order of the Taylor remainder"
    SEMIDEFINITE = "{rule}, semidefinite"


class Subject(NamedTuple):
    """What a comparison is about.

    Attributes:
        rule: what the report calls the rule.
        aspect: what of it.
        dtype: the dtype in which it ran; None where its formula was evaluated in float64.
    """

    rule: str
    aspect: Aspect = Aspect.ENTRIES
    dtype: str | None = None

    @property
    def text(self) -> str:
        """The quantity of a `Row`."""
        ran = "" if self.dtype is None else f", as it runs in {self.dtype}"
        return self.aspect.value.format(rule=self.rule) + ran


_ANY = Subject("")


@dataclasses.dataclass(frozen=True)
class Finding:
    """A comparison's `Row` with what the verdict needs: could the comparison have seen a factor 2 at all?

    Attributes:
        power: the largest |theirs| / tolerance. Below 2, a value twice too large could pass.
        vacuous: theirs is zero to its own rounding, or the check is an identity or an inequality: nothing to double.
        resolution: the largest tolerance over the largest |theirs|: the relative error, in units of the largest entry,
            that an entry could have and still pass; inf where theirs is zero.
        excuse: why the arithmetic cannot tell a difference that was seen, if one was.
        subject: what was compared, for `crosscheck`; the quantity is its text.
        family: what the route shares with others.
        unbounded: no bound of some entry's error is finite; it was held to half of the digits instead.
    """

    check: Row
    power: float
    vacuous: bool
    resolution: float = np.inf
    excuse: str | None = None
    subject: Subject = _ANY
    family: Family = Family.PROGRAM
    unbounded: bool = False

    @property
    def says(self) -> Says:
        """What the comparison says of the rule. As it runs, half of the digits are enough: its formula is bounded."""
        if not self.unbounded or (self.subject.dtype is not None and self.check.passed):
            return Says.AGREES if self.check.passed else Says.REJECTS
        return Says.SILENT if self.check.passed else Says.SUSPECTS

    @property
    def blind(self) -> bool:
        """The comparison passed, and a factor 2 would have passed too, or it passed by an excuse."""
        return self.check.passed and (self.excuse is not None or (not self.vacuous and self.power < 2.0))

    def at(self, place: dict[str, Any]) -> Finding:
        """The finding with the place of its (single) entry filled in."""
        check = dataclasses.replace(self.check, worst={**self.check.worst, **place})
        return dataclasses.replace(self, check=check)


def compare(
    statement: str,
    quantity: str,
    route: str,
    ours: Any,
    theirs: Any,
    tolerance: Any,
    *,
    own_tolerance: Any = 0.0,
    error: Any = None,
    label: Callable[[tuple[int, ...]], dict[str, Any]] | None = None,
    path: str | None = None,
    identity: bool = False,
) -> Finding:
    """Compare two arrays (or scalars) of the same shape entry by entry.

    Args:
        statement: the tag in docs/theory.md, or "".
        quantity: what is compared.
        route: what it is compared with.
        ours: values of the rule under test, any float dtype.
        theirs: float64 values of the other side.
        tolerance: the tolerance of ours, broadcastable.
        own_tolerance: the tolerance of theirs.
        error: |ours - theirs| where the subtraction was done in higher precision.
        label: index -> {"class": …, "feature": …, "sample": …} of an entry, or {"path": …}.
        path: the pytree path of a leaf, instead of `label`: an entry is then {"path": path and index}.
        identity: theirs is a value that a factor cannot change (a zero, an inequality).

    Raises:
        ValueError: the shapes differ.
    """
    theirs = np.asarray(theirs, np.float64)
    if np.shape(ours) != theirs.shape:
        raise ValueError(
            f"{quantity}: the rule under test returned shape {np.shape(ours)}, expected {theirs.shape}. "
            "Return that shape."
        )
    own = np.asarray(own_tolerance, np.float64)
    errors, tol, ratio = errors_and_ratios(ours, theirs, np.asarray(tolerance, np.float64) + own, error)
    with np.errstate(all="ignore"):
        size = np.abs(theirs)
        power = float(np.max(np.where(size > 0, size / tol, 0.0), initial=0.0))
        vacuous = identity or bool((size <= np.where(np.isfinite(own), own, -1.0)).all())  # unknown is not zero
        largest = float(np.max(size, initial=0.0))
        resolution = float(np.max(tol, initial=0.0)) / largest if largest > 0 else np.inf
    if path is not None:
        label = lambda index: {"path": path + index_text(index)}  # noqa: E731
    flat = int(np.argmax(ratio)) if ratio.size else 0
    index = tuple(int(i) for i in np.unravel_index(flat, ratio.shape)) if ratio.size else ()
    place = {"path": path} if path is not None else {"class": None, "feature": None, "sample": None}
    if label is not None and ratio.size:
        found = label(index)
        place = found if "path" in found else {**place, **found}
    if not ratio.size:
        check = compared(statement, quantity, route, 0.0, 0.0, 0.0, {**place, "ours": None, "theirs": None})
        return Finding(check, 0.0, True, 0.0)
    worst = {**place, "ours": float(np.asarray(ours)[index]), "theirs": float(theirs[index])}
    error, limit, share = (float(values[index]) for values in (errors, tol, ratio))
    return Finding(compared(statement, quantity, route, error, limit, share, worst), power, vacuous, resolution)


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


def compared(
    statement: str, quantity: str, route: str, error: float, tolerance: float, ratio: float, worst: dict[str, Any]
) -> Row:
    """The row of two computations of one quantity, by their worst entry."""
    row = Row(statement=statement, quantity=quantity, route=route, measured=error, relation="<=", bound=tolerance)
    return dataclasses.replace(row, passed=ratio <= 1.0, ratio=ratio, worst=worst)


def worst_of(findings: list[Finding]) -> Finding:
    """Findings about row blocks, or leaves, of one quantity as one; the resolution is the coarsest of theirs."""
    top = max(findings, key=lambda f: f.check.ratio)
    seen = [f.resolution for f in findings if not f.vacuous]
    vacuous = all(f.vacuous for f in findings)
    unbounded = any(f.unbounded for f in findings)
    return Finding(top.check, max(f.power for f in findings), vacuous, max(seen, default=np.inf), unbounded=unbounded)


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
            diagnoses: what the error looks like; a "resolution" diagnosis is added for each comparison that is blind.
            more: the other attributes, by name.
        """
        blind = tuple(
            Diagnosis(
                "resolution",
                f"{' '.join(filter(None, (f.check.statement, f.check.quantity)))} ({f.check.route}): "
                + (f.excuse or "the tolerance exceeds half of the largest value, so a factor 2 would have passed"),
            )
            for f in findings
            if f.blind
        )
        checks = tuple(
            dataclasses.replace(f.check, blind=f.blind, passed=None if f.says is Says.SILENT else f.check.passed)
            for f in findings
        )
        rules = dict.fromkeys(f.subject.rule for f in findings)
        found = [_verdict([f for f in findings if f.subject.rule == rule], contradicted) for rule in rules]
        return cls(gravest([*found, "ROUNDING" if blind else "AGREE"]), checks, (*diagnoses, *blind), **more)

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

    def document(self) -> Document:
        """The comparisons, what an error looks like, the worst entries, how many ulps off, and what it took."""
        passed = f"{sum(bool(s.passed) for s in self.statements)} of {len(self.statements)}"
        of = "" if self.function is None else f" of {self.function}"
        caller = "" if self.called_from is None else f", called from {self.called_from}"
        text = f"Cross-check{of}: {self.verdict} ({passed} comparisons within tolerance){caller}"
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
    # Nine digits tell two float32 numbers apart.
    ulps = f"{e.ulps:.3g}" if e.ulps < 1e4 else f"{e.ulps:.1e}"
    numbers = (f"{e.ours:.9g}", f"{e.theirs:.9g}", f"{e.error:.1e}", f"{e.tolerance:.1e}", ulps)
    return Line((f"{e.quantity} {e.path}".rstrip(), *numbers))
