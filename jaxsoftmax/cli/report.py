"""The report of one `fit` or `probe` run of the command line: as JSON, and printed through rich."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Any

from jaxsoftmax.verification.render import problem_lines, title
from jaxsoftmax.verification.row import plain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["RunReport", "print_run", "progress_line", "wrapped_line"]


@dataclasses.dataclass(frozen=True)
class RunReport:
    """What one run found.

    Attributes:
        command: "fit" or "probe".
        version: of jaxsoftmax.
        environment: versions, platform and device.
        problem: what was trained or probed, JSON-ready.
        parts: "fit": a `Fit` or None; "convexity": a `ConvexityReport` or None; "at": where it was probed.
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
        parts = {name: part.to_dict() if hasattr(part, "to_dict") else part for name, part in self.parts.items()}
        head = {"command": self.command, "version": self.version, "environment": self.environment}
        return (
            head
            | {"problem": plain(self.problem)}
            | parts
            | {
                "findings": list(self.findings),
                "seconds": self.seconds,
            }
        )


def print_run(report: RunReport, console: Console) -> None:
    """Print the report: what was trained on, how training ended, the curvature, what to know, and one last sentence."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(title(report.version, report.environment), style="bold"))
    console.print()
    console.print(Text(f"{report.problem['name']}: {report.command} ({report.seconds:.1f} s)", style="bold"))
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    for name, text in problem_lines(report.problem):
        facts.add_row(name, Text(text))
    if report.parts.get("at") is not None:
        facts.add_row("at", Text(_place(report)))
    console.print(facts)
    for part in ("fit", "convexity"):
        if report.parts.get(part) is not None:
            console.print()
            for line in repr(report.parts[part]).splitlines():
                console.print(Text("\n".join(wrapped_line(line, console.width))))
    if report.findings:
        console.print()
    for text in report.findings:
        console.print(Text.assemble(("finding: ", "yellow"), text), overflow="fold")
    console.print()
    good, sentence = verdict(report)
    console.print(Text(sentence, style="bold green" if good else "bold red"))


def wrapped_line(line: str, width: int) -> list[str]:
    """A line of a report, broken at blanks, what follows indented by two more than its beginning.

    Example:
        >>> from jaxsoftmax.cli.report import wrapped_line
        >>> wrapped_line("  one two three four five", 20)
        ['  one two three four', '    five']
    """
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line.strip(), max(20, width), initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )


def _place(report: RunReport) -> str:
    at = report.parts["at"]
    return {"zero": "W = 0", "random": f"a random W, seed {report.problem['seed']}", "fit": "the W of the fit"}.get(
        at, f"the W of {at}"
    )


def verdict(report: RunReport) -> tuple[bool, str]:
    """Whether the exit status is 0, and the report's last sentence."""
    fit, probe = report.parts.get("fit"), report.parts.get("convexity")
    if fit is not None and fit.status.name == "INTERRUPTED":
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
        return True, "Converged: the tolerance was reached, and S13's q < 1 was evaluated."
    if reached:
        return True, "The tolerance was reached; S13's q < 1 was not evaluated, so no minimiser is claimed."
    near = "; S13's q < 1 was evaluated, so a minimiser is near" if fit.converged else ""
    return False, f"The tolerance was not reached: {fit.status.name}{near}."


def progress_line(name: str, state: Any) -> str:
    """The line that a terminal shows while `fit` runs; `state` is what `fit` hands its `progress`.

    Example:
        >>> from types import SimpleNamespace
        >>> from jaxsoftmax.cli.report import progress_line
        >>> progress_line("eggs", SimpleNamespace(step=40, max_steps=200, loss=1.5, scaled_gradient=2e-3, seconds=3.21))
        'eggs: step 40 of 200, loss 1.5, scaled gradient 2.0e-03, 3 s'
    """
    return (
        f"{name}: step {state.step} of {state.max_steps}, loss {float(state.loss):.8g}, scaled gradient "
        f"{float(state.scaled_gradient):.1e}, {float(state.seconds):.0f} s"
    )
