"""What `verify` found on each data set, as rows, as JSON and in a dozen lines; `VerifyReport`, `DatasetReport`.

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from jaxsoftmax.checker.report.result import CrossCheckReport
from jaxsoftmax.evidence.spectrum.report import ConvexityReport
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.proof.minimum.certificate import Certificate
from jaxsoftmax.reporting.blocks import Document, Facts, Line, Paragraph, Table, Title
from jaxsoftmax.reporting.environment import headline
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.reporting.row import Row, rows_table
from jaxsoftmax.reporting.text import as_text
from jaxsoftmax.training.result import Fit
from jaxsoftmax.verification.inputs import problem_facts
from jaxsoftmax.verification.machine_checked import MACHINE_CHECKED

__all__ = ["DatasetReport", "VerifyReport", "in_order"]


@dataclasses.dataclass(frozen=True, repr=False)
class DatasetReport(Report):
    """Everything found on one data set.

    Attributes:
        name: of the data set.
        problem: sizes, classes, dtype and options, JSON-ready.
        checks: the rows, in the order of the statements.
        findings: what a reader should know that is no check, one text each.
        crosscheck: `CrossCheckReport` at a random W.
        crosscheck_at_fit: the same at the fitted W.
        fit: the `Fit`.
        convexity: `ConvexityReport` at the fitted W, or None where N·D·C is too large for a probe.
        existence: `ExistenceVerdict` on the data, or None for a problem without its data as given.
        certificate: `Certificate` of the minimiser, or None where nothing is proved about it; a row says why.
        seconds: wall time, compilation included.
        progress: what the training told on its way, with its seconds, as `fit` hands it to `progress`.
    """

    name: str
    problem: dict[str, Any]
    checks: tuple[Row, ...]
    findings: tuple[str, ...]
    crosscheck: CrossCheckReport
    crosscheck_at_fit: CrossCheckReport
    fit: Fit
    convexity: ConvexityReport | None
    existence: ExistenceVerdict | None
    certificate: Certificate | None
    seconds: float
    progress: tuple[Any, ...] = ()

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows that failed."""
        return tuple(check for check in self.checks if check.passed is False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of DESIGN.md, and the rows, findings and seconds."""
        names = ("problem", "crosscheck", "crosscheck_at_fit", "fit", "convexity", "existence", "certificate")
        return json_ready({name: getattr(self, name) for name in (*names, "checks", "findings", "seconds")})

    def plot(self, *, most: int = 40, ax: Any = None) -> Any:
        """Draw what share of its limit each check used (`js.plots.plot_checks`), at most `most` of them."""
        from jaxsoftmax.plots.checks import plot_checks

        return plot_checks(self.checks, most=most, ax=ax)

    def document(self, *, all: bool = False) -> Document:
        """What was checked, found and proved, the worst ratio of each group of checks, or (`all`) every row.

        Rows that failed, were not run or are decided by rounding are always shown.
        """
        failed, open_ = len(self.failed), [row for row in self.checks if row.passed is None]
        outcome = f"{failed} FAILED" if failed else "none failed"
        outcome += f", {len(open_)} not run or decided by rounding" * bool(open_)
        title = f"{self.name}: {len(self.checks)} checks, {outcome} ({self.seconds:.1f} s)"
        rest = [*self.failed, *open_]
        tables = [rows_table(self.checks)] if all else [*self.groups(), *([rows_table(rest)] if rest else [])]
        findings = [Paragraph(f"finding: {text}", "doubt") for text in self.findings]
        facts = Facts([*problem_facts(self.problem), *self.found()])
        return [Title(title, "bad" if failed else "title"), facts, *tables, *findings]

    def found(self) -> list[tuple[str, str]]:
        """What training, the proofs and the probe found, a sentence each."""
        fit, facts = self.fit, []
        run = f"{fit.method}, {fit.steps} steps, loss {fit.loss:.12g}"
        ended = f"{fit.status.name}: {run}. {fit.reason}"
        facts.append(("fit", f"converged, a minimiser is near (S13): {run}" if fit.converged else ended))
        if self.existence is not None:
            words = {True: "one exists", False: "none exists", None: "not decided whether one exists"}
            proved = ", proved" * (self.existence.proof is not None)
            facts.append(("minimiser", f"{words[self.existence.attained]}{proved}: {self.existence.reason}"))
        if self.certificate is not None:
            facts.append(("minimum", self.certificate.summary()))
        if self.convexity is not None:
            facts.append(("curvature", self.convexity.summary()))
        return facts

    def groups(self) -> Document:
        """A line for each group of statements, with its worst ratio; a star marks what Coq has checked."""
        rows = []
        for words, numbers in GROUPS:
            group = [row for row in self.checks if _number(row.statement) in numbers]
            if group:
                tags = ", ".join(dict.fromkeys(_marked(row.statement) for row in group))
                ratios = [row.ratio for row in group if row.ratio is not None and row.passed is not None]
                passed = sum(row.passed is True for row in group)
                failed = any(row.passed is False for row in group)
                cells = (f"{words} ({tags})", f"{passed} of {len(group)}", f"{max(ratios):.3g}" if ratios else "")
                rows.append(Line(cells, "bad" if failed else ""))
        return [Table(("checks", "passed", "worst share of limit"), rows, "<>>"), Paragraph(MARKED)]


MARKED = "* machine-checked: Coq has checked the proof of the statement (proofs/ in the repository)"
GROUPS = (
    ("loss and gradient", (1, 2, 3)),
    ("Hessian", (4,)),
    ("convexity and null space", (5, 6)),
    ("bounds on eigenvalues", (7,)),
    ("third derivative", (8,)),
    ("existence of a minimiser", (9, 10, 11, 12, 21)),
    ("the minimum, proved", (13, 14, 15)),
    ("gradient descent", (16, 17, 18, 19, 20)),
)


def _marked(statement: str) -> str:
    return statement + "*" * (statement in MACHINE_CHECKED)


def _number(statement: str) -> int:
    return int("".join(c for c in statement if c.isdigit()) or 0)


def in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows in the order of the statements."""
    return tuple(sorted(rows, key=lambda row: (_number(row.statement), row.statement)))


@dataclasses.dataclass(frozen=True, repr=False)
class VerifyReport(Report):
    """What `verify` found; its ``repr`` is the report.

    Attributes:
        version: of jaxsoftmax.
        environment: versions, platform and device.
        datasets: a `DatasetReport` each, the primary one first.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> report = js.verify((np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1]))
        >>> report.passed, report.datasets[0].fit.converged
        (True, True)
    """

    version: str
    environment: dict[str, Any]
    datasets: tuple[DatasetReport, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(data.failed for data in self.datasets)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: version, environment, the first data set's keys, and the remaining data sets under "others"."""
        first, *others = (data.to_dict() for data in self.datasets)
        return {"version": self.version, "environment": dict(self.environment)} | first | {"others": others}

    def plot(self, *, most: int = 40, ax: Any = None) -> Any:
        """Draw what share of its limit each check of all data sets used (`js.plots.plot_checks`), at most `most`."""
        from jaxsoftmax.plots.checks import plot_checks

        return plot_checks([row for data in self.datasets for row in data.checks], most=most, ax=ax)

    def document(self, *, all: bool = False) -> Document:
        """Each data set's document, and one sentence over all of them."""
        found: Document = [Title(headline(self.version, self.environment))]
        for data in self.datasets:
            found += data.document(all=all)
        return [*found, Title(self.verdict(), "good" if self.passed else "bad")]

    def text(self, *, all: bool = False) -> str:
        """The report as text; with `all`, every row."""
        return as_text(self.document(all=all))

    def verdict(self) -> str:
        """One sentence over all data sets."""
        checks = [row for data in self.datasets for row in data.checks]
        passed, open_ = (sum(row.passed is state for row in checks) for state in (True, None))
        rest = f"; {open_} were not run or are decided by rounding" if open_ else ""
        if self.passed:
            return f"All {passed} checks passed{rest}."
        failed = "; ".join(f"{data.name}: {row.label()}" for data in self.datasets for row in data.failed)
        return f"{len(checks) - passed - open_} of {len(checks)} checks FAILED: {failed}{rest}."
