"""The report of one `fit` or `probe` run of the command line; how any report is printed in colour.

Guarded by `tests/cli/test_report.py` and `tests/cli/test_runs.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxsoftmax.cli.messages import console
from jaxsoftmax.estimator.confusion import confusion_blocks
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Title
from jaxsoftmax.reporting.environment import headline
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.reporting.text import WIDTH, toned_lines
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.verification.inputs import problem_facts

__all__ = ["RunReport", "print_document"]

STYLES = {"title": "bold", "good": "bold green", "doubt": "yellow", "bad": "bold red"}


@dataclasses.dataclass(frozen=True, repr=False)
class RunReport(Report):
    """What one run found.

    Attributes:
        command: "fit" or "probe".
        version: of jaxsoftmax.
        environment: versions, platform and device.
        problem: what was trained or probed, JSON-ready.
        parts: "fit": a `Fit` or None; "convexity": a `ConvexityReport` or None; "at": where it was probed;
            "inference": an `Inference`; "confusion": (C, C) numbers of samples, true classes by predicted ones.
        findings: sentences for the reader.
        seconds: wall time, compilation included.
    """

    command: str
    version: str
    environment: dict[str, Any]
    problem: dict[str, Any]
    parts: dict[str, Any]
    findings: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `fit`, `convexity`, `problem`, `version` and `environment` as in the report of `verify`."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json_ready(found | found.pop("parts"))

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the spectrum of a "probe", the training of a "fit"."""
        drawn = self.parts.get("convexity") or self.parts.get("fit")
        if drawn is None:
            raise WrongValue("report", "nothing was trained or probed", "look at its findings")
        return drawn.plot(ax=ax)

    def document(self) -> Document:
        """What was trained on, how training ended, the curvature, what to know, and one last sentence."""
        facts = problem_facts(self.problem)
        if self.parts.get("at") is not None:
            facts.append(("at", self._place()))
        found: Document = [
            Title(headline(self.version, self.environment)),
            Title(f"{self.problem['name']}: {self.command} ({self.seconds:.1f} s)"),
            Facts(facts),
        ]
        for part in ("fit", "convexity"):
            if self.parts.get(part) is not None:
                found += self.parts[part].document()
        if self.parts.get("inference") is not None:
            found += self.parts["inference"].document()
        if "confusion" in self.parts:
            found.append(Title("predictions for the samples that it was trained on"))
            found += confusion_blocks(self.parts["confusion"], self.problem["classes"])
        found += [Paragraph(f"finding: {text}", "doubt") for text in self.findings]
        good, sentence = verdict(self)
        return [*found, Title(sentence, "good" if good else "bad")]

    def _place(self) -> str:
        at = self.parts["at"]
        seeded = f"a random W, seed {self.problem['seed']}"
        return {"zero": "W = 0", "random": seeded, "fit": "the W of the fit"}.get(at, f"the W of {at}")


def print_document(document: Document) -> None:
    """Print what a report says, in colour where the terminal has some.

    Example:
        >>> from jaxsoftmax.cli.report import print_document
        >>> from jaxsoftmax.reporting.blocks import Title
        >>> print_document([Title("iris")])
        iris
    """
    from rich.text import Text

    out = console()
    for line, tone in toned_lines(document, min(WIDTH, out.width)):
        out.print(Text(line, style=STYLES.get(tone, "")), soft_wrap=True)


def verdict(report: RunReport) -> tuple[bool, str]:
    """Whether the exit status is 0, and the report's last sentence."""
    fit, probe = report.parts.get("fit"), report.parts.get("convexity")
    if fit is not None and fit.interrupted:
        rest = "" if report.command == "fit" else "; the curvature was not probed"
        return False, f"Interrupted after {fit.steps} steps: this is the partial result{rest}."
    if report.command == "probe":
        words = {
            "CONSISTENT": "Consistent with convexity at this W.",
            "REFUTED": "Convexity is REFUTED at this W: the report has a direction of negative curvature.",
        }
        verdict = "UNRESOLVED" if probe is None else probe.verdict.value
        return verdict == "CONSISTENT", words.get(verdict, "Not resolved at this precision.")
    if fit is None:
        return False, "Nothing was trained."
    reached = fit.status.name == "GRADIENT_TOLERANCE"
    if fit.converged and reached:
        return True, "Converged: the tolerance was reached, and a minimiser is near (tested by S13)."
    if reached:
        return (
            True,
            "The tolerance was reached; whether a minimiser is near was not shown (S13's test did not succeed).",
        )
    near = "; a minimiser is near all the same (tested by S13)" if fit.converged else ""
    return False, f"The tolerance was not reached: {fit.status.name}{near}."
