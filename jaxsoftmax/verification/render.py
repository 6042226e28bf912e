"""The verify report as text and as rich tables: the same sentences and rows, for terminals and for files."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from jaxsoftmax.verification.row import Check
    from jaxsoftmax.verification.run import DatasetReport, VerifyReport

__all__ = ["as_text", "print_report", "problem_lines", "title"]

_MARKS = {True: "pass", False: "FAIL", None: "–"}
_WIDTH = 100
LEGEND = (
    "rows not marked (random W) or (fitted W) are its comparisons: the error and the tolerance of the entry that comes "
    "nearest to its tolerance, at either W, against autodiff of a textbook loss in float64 and 50-digit arithmetic"
)


def as_text(report: VerifyReport, width: int = _WIDTH) -> str:
    """The report as plain text, without rich; what ``repr(report)`` shows.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.verification.render import as_text
        >>> report = js.verify((np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1]))
        >>> as_text(report).splitlines()[-1].startswith("All")
        True
    """
    lines = [title(report.version, report.environment)]
    for data in report.datasets:
        lines += ["", heading(data)]
        for name, text in summary(data):
            lines += _paragraph(f"{name}: {text}" if name else f"  {text}", width)
        lines.append("")
        head = ("", "check", "measured", "bound", "")
        rows = [head, *(_cells(check) for check in data.checks)]
        fixed = [max(len(row[i]) for row in rows) for i in range(5)]
        room = max(30, width - sum(fixed) + fixed[1] - 8)
        for row in rows:
            wrapped = textwrap.wrap(row[1], room) or [""]
            first = f"{row[0]:<{fixed[0]}}  {wrapped[0]:<{min(room, fixed[1])}}  {row[2]:>{fixed[2]}}  "
            lines.append(f"{first}{row[3]:<{fixed[3]}}  {row[4]}".rstrip())
            lines += [" " * (fixed[0] + 2) + more for more in wrapped[1:]]
        for text in data.findings:
            lines += _paragraph(f"finding: {text}", width)
    return "\n".join([*lines, "", *_paragraph(verdict(report), width, "")])


def print_report(report: VerifyReport, console: Console) -> None:
    """Print the report through rich, in tables that fit the console's width."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    console.print(Text(title(report.version, report.environment), style="bold"))
    for data in report.datasets:
        console.print()
        console.print(Text(heading(data), style="bold"))
        facts = Table(box=None, show_header=False, pad_edge=False)
        facts.add_column(no_wrap=True, style="dim")
        facts.add_column(overflow="fold")
        for name, text in summary(data):
            facts.add_row(name, Text(text))
        console.print(facts)
        table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
        table.add_column("", no_wrap=True)
        table.add_column("check", overflow="fold", ratio=1)
        table.add_column("measured", justify="right", no_wrap=True)
        table.add_column("bound", no_wrap=True)
        table.add_column("", no_wrap=True)
        for check in data.checks:
            tag, what, measured, bound, mark = _cells(check)
            style = {True: "green", False: "bold red", None: "yellow"}[check.passed]
            table.add_row(tag, Text(what), measured, bound, f"[{style}]{escape(mark)}[/]")
        console.print(table)
        for text in data.findings:
            console.print(Text.assemble(("finding: ", "yellow"), text), overflow="fold")
    console.print()
    console.print(Text(verdict(report), style="bold green" if report.passed else "bold red"))


def heading(data: DatasetReport) -> str:
    """The name of a data set, how long it took and how it went."""
    outcome = f"{len(data.failed)} FAILED" if data.failed else "no check failed"
    return f"{data.name}: {len(data.checks)} checks, {outcome} ({data.seconds:.1f} s)"


def verdict(report: VerifyReport) -> str:
    """One sentence over all data sets."""
    checks = [check for data in report.datasets for check in data.checks]
    passed, open_ = sum(c.passed is True for c in checks), sum(c.passed is None for c in checks)
    rest = f"; {open_} marked – were not run or are decided by rounding" if open_ else ""
    if report.passed:
        return f"All {passed} checks passed{rest}."
    failed = [
        f"{data.name}: {c.statement} {c.check}{f' ({c.at})' if c.at else ''}"
        for data in report.datasets
        for c in data.failed
    ]
    return f"{len(failed)} of {len(checks)} checks FAILED: {'; '.join(failed)}{rest}."


def problem_lines(about: dict[str, Any]) -> list[tuple[str, str]]:
    """(subject, sentence) lines about what is trained on, from `describe`'s dictionary."""
    columns, features = f"{about['D']} columns", about["D"] - 1
    if about["intercept"]:
        columns += f" ({features} feature{'s' * (features != 1)} and an intercept)"
    lines = [("data", f"N = {about['N']} samples, D = {columns}, C = {about['C']} classes{_classes(about)}")]
    if about.get("source") and about.get("target"):
        lines.append(("source", f"{about['source']}; label: {about['target']!r}"))
    penalties = ", ".join(about["regularizer"]) or "none"
    objective = f"summed cross-entropy, smoothing {about['label_smoothing']}, penalty {penalties}, {about['dtype']}"
    lines.append(("objective", objective))
    return lines


def summary(data: DatasetReport) -> list[tuple[str, str]]:
    """(subject, sentence) lines: what was trained on, how training ended, and the curvature there."""
    fit, probe = data.fit, data.convexity
    lines = problem_lines(data.problem)
    at_fit = _verdict(data.crosscheck_at_fit)
    lines.append(("cross-check", f"{_verdict(data.crosscheck)} at a random W, {at_fit} after the fit"))
    lines.append(("", LEGEND))
    result = f"loss {fit.loss:.15g}, |gradient| {fit.gradient_norm:.2e}"
    lines.append(("fit", f"{fit.method}, {fit.steps} steps, {fit.status.name}: {result}"))
    if fit.q_estimate is not None:
        claim = "a minimiser exists nearby" if fit.converged else "no claim that a minimiser exists"
        known = fit.gap_estimate is not None and fit.q_estimate < 1
        gap = "" if not known else f", estimated gap to the minimum {fit.gap_estimate:.1e}"
        lines.append(("", f"S13: q = {fit.q_estimate:.2e} (evaluated, not proved): {claim}{gap}"))
    if data.existence is not None:
        lines.append(("existence", _existence(data.existence)))
    if data.certificate is not None:
        lines.append(("minimum", _minimum(data.certificate)))
    if probe is not None:
        lines.append(("curvature", _curvature(probe)))
        kernel = f"dimension {probe.kernel_dim_predicted} predicted (rank of X {probe.rank}), {probe.kernel_dim} found"
        lines.append(("kernel", f"{kernel}; verdict {probe.verdict.value}"))
    return lines


def _existence(verdict: Any) -> str:
    headline = repr(verdict).splitlines()[0].partition(": ")[2]
    return f"{headline}, in {verdict.seconds:.3f} s: {verdict.reason}"


def _minimum(certificate: Any) -> str:
    """What is proved, with digits that are all correct."""
    known = certificate.loss_lower
    if certificate.digits:  # the first digit is not 0 unless L* < 1, where a zero is shown and not counted
        known = _common(certificate.loss_lower, certificate.loss_upper) + "…"
    return (
        f"L* = {known}, {certificate.digits} digits proved (S13: q <= {float(certificate.q):.1e}), "
        f"‖W* − Ŵ‖ <= {float(certificate.radius_euclidean):.1e}, curvature >= "
        f"{float(certificate.curvature_euclidean_bound):.3g} {certificate.directions()}, in {certificate.seconds:.2f} s"
    )


def _common(lower: str, upper: str) -> str:
    """The prefix that both decimals share."""
    return lower[: next((k for k, pair in enumerate(zip(lower, upper, strict=False)) if pair[0] != pair[1]), None)]


def _curvature(probe: Any) -> str:
    high = f"λ_max = {probe.lambda_max:.6g} (S7a: <= {probe.lambda_max_bound:.6g})"
    if not probe.resolved:
        return f"off the kernel: {high}; λ_min is below what float64 resolves here, {probe.resolution:.1e}"
    below = f" (S7c: >= {probe.lambda_min_bound:.3g})" if probe.lambda_min_bound > 0 else ""
    bound = f" (S7c: <= {probe.condition_bound:.3g})" if math.isfinite(probe.condition_bound) else ""
    low = f"λ_min = {probe.lambda_min:.6g}{below}"
    return f"off the kernel: {low}, {high}, condition {probe.condition_estimate:.4g}{bound}"


def _classes(about: dict[str, Any]) -> str:
    names, counts = about.get("classes"), about.get("class_counts")
    if not names:
        return ""
    if counts is None:
        return ": probability targets"
    if len(names) <= 6:
        return ": " + ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    return f", {min(counts)} to {max(counts)} samples each"


def _verdict(crosscheck: Any) -> str:
    passed = sum(item.passed for item in crosscheck.statements)
    total = len(crosscheck.statements)
    blind = ", some numbers smaller than their tolerance" if crosscheck.verdict == "ROUNDING" else ""
    return f"{crosscheck.verdict} ({passed} of {total} comparisons within tolerance{blind})"


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.6g}" if 1e-3 <= abs(value) < 1e6 else f"{value:.2e}"


def _cells(check: Check) -> tuple[str, str, str, str, str]:
    """Statement, words, measured, bound, mark. A bound of 0 is shown as its allowance for rounding."""
    where = f" ({check.at})" if check.at else ""
    what = f"{check.check}{where}"
    if check.passed is not True and check.note:
        what += f": {check.note}"
    measured = "" if check.measured is None else _number(check.measured)
    if check.bound is None:
        bound = ""
    elif check.relation == "=":
        bound = f"= {_number(check.bound)}" + (f" ± {check.allowance:.0e}" if check.allowance else "")
    elif check.bound == 0 and check.allowance:
        bound = f"{check.relation} {'-' if check.relation == '>=' else ''}{check.allowance:.1e}"
    else:
        bound = f"{check.relation} {_number(check.bound)}"
    return check.statement, what, measured, bound, _MARKS[check.passed]


def title(version: str, e: dict[str, Any]) -> str:
    """The first line: every version, the platform and the device."""
    return (
        f"jaxsoftmax {version}: Python {e['python']}, JAX {e['jax']} (jaxlib {e['jaxlib']}), "
        f"NumPy {e['numpy']}, {e['platform']}, {e['device']}"
    )


def _paragraph(text: str, width: int, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)
