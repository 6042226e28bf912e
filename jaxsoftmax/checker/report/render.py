"""A cross-check's report as plain text of at most 120 columns, and as tables of rich where that is installed."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxsoftmax.checker.report.entries import Entry, UlpHistogram
    from jaxsoftmax.checker.report.result import CrossCheckReport, StatementCheck

__all__ = ["as_html", "as_rich", "as_text", "bar_lines"]

WIDTH = 120
_BAR = 40
_STYLES = {"AGREE": "green", "ROUNDING": "yellow", "DISAGREE": "bold red"}
_CHECK_HEAD = ("", "quantity", "against", "error", "tolerance", "ratio", "", "worst entry")
_ENTRY_HEAD = ("quantity", "entry", "ours", "theirs", "error", "tolerance", "ulps")


def as_text(report: CrossCheckReport, width: int = WIDTH) -> str:
    """The report as plain text, without rich; what ``repr(report)`` shows.

    The rows of a Problem's cross-check are not cut: each is one line, whatever its length.

    Example:
        >>> from jaxsoftmax.checker.report.result import CrossCheckReport, Diagnosis
        >>> from jaxsoftmax.checker.report.render import as_text
        >>> print(as_text(CrossCheckReport("DISAGREE", (), (Diagnosis("constant factor", "looks like half"),))))
        Cross-check: DISAGREE (0 of 0 comparisons within tolerance)
        constant factor: looks like half
    """
    lines = [_title(report)]
    general = not report.statements or "path" in report.statements[0].worst
    if report.statements:
        rows = [_CHECK_HEAD, *(_check_cells(s) for s in report.statements)]
        lines += _table(rows, width if general else None, cut=(1, 2, 7), wrap=True)
    for diagnosis in report.diagnoses:
        lines += _wrapped(str(diagnosis), width if general else None)
    if report.worst_entries:
        lines += ["", "worst entries"]
        lines += _table([_ENTRY_HEAD, *(_entry_cells(e) for e in report.worst_entries)], width, cut=(0, 1))
    if report.ulp_histogram is not None and report.ulp_histogram.total:
        lines += ["", _histogram_title(report.ulp_histogram), *bar_lines(report.ulp_histogram)]
    for text in _remarks(report):
        lines += _wrapped(text, width)
    return "\n".join(lines)


def bar_lines(histogram: UlpHistogram, width: int = _BAR) -> Iterator[str]:
    """One line a bin: its label, a bar as long as its share of the fullest bin, the count; ⋮ for a run of empty bins.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.report.entries import UlpHistogram
        >>> from jaxsoftmax.checker.report.render import bar_lines
        >>> for line in bar_lines(UlpHistogram.of(np.float32([1, 2, 3]), [1.0, 2.0, 3 + 4e-7]), 8):
        ...     print(line)
         exact ████████ 2
         ≤ 1/2 0
           ≤ 1 0
           ≤ 2 ████ 1
    """
    bins = histogram.bins()
    room = max(len(label) for label, _ in bins)
    most = max(count for _, count in bins) or 1
    for empty, run in itertools.groupby(bins, lambda bin: bin[1] == 0):
        run = list(run)
        if empty and len(run) > 3:
            yield f" {'⋮':>{room}}"
            continue
        for label, count in run:
            # A bin that is not empty shows at least a sliver: one entry of 10^6 is what a reader looks for.
            eighths = max(round(8 * width * count / most), 1) if count else 0
            bar = "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
            yield f" {label:>{room}} {bar}{' ' if bar else ''}{count}"


def as_rich(report: CrossCheckReport) -> Any:
    """The report as rich tables in red, yellow and green; what ``rich.print(report)`` shows.

    Raises:
        ImportError: rich is not installed.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def table(head: Sequence[str], rows: Sequence[tuple[str, ...]], styles: Sequence[str]) -> Table:
        out = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
        used = [i for i in range(len(head)) if any(row[i] for row in rows)]
        for i in used:
            numeric = head[i] in ("error", "tolerance", "ratio", "ours", "theirs", "ulps")
            out.add_column(head[i], justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
        for row, style in zip(rows, styles, strict=True):
            out.add_row(*(Text(row[i], style=style if not head[i] else "") for i in used))
        return out

    parts: list[Any] = [Text(_title(report), style=_STYLES[report.verdict])]
    if report.statements:
        rows = [_check_cells(s) for s in report.statements]
        parts.append(table(_CHECK_HEAD, rows, [_STYLES[s.verdict] for s in report.statements]))
    for diagnosis in report.diagnoses:
        style = "yellow" if diagnosis.name == "resolution" else "bold red"
        parts.append(Text.assemble((diagnosis.name, style), f": {diagnosis.text}"))
    if report.worst_entries:
        parts += ["", Text("worst entries", style="bold")]
        parts.append(
            table(_ENTRY_HEAD, [_entry_cells(e) for e in report.worst_entries], [""] * len(report.worst_entries))
        )
    if report.ulp_histogram is not None and report.ulp_histogram.total:
        parts += ["", Text(_histogram_title(report.ulp_histogram), style="bold")]
        parts += [Text(line, style="cyan") for line in bar_lines(report.ulp_histogram)]
    parts += [Text(text, style="dim") for text in _remarks(report)]
    return Group(*parts)


def as_html(report: CrossCheckReport) -> str | None:
    """The same as HTML for notebooks; None, so that they show the text, where rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    import io

    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_jupyter=False)
    console.print(as_rich(report))
    style = "font-family:monospace;line-height:normal;overflow-x:auto"
    return console.export_html(inline_styles=True, code_format=f'<pre style="{style}"><code>{{code}}</code></pre>')


def _title(report: CrossCheckReport) -> str:
    passed = sum(s.passed for s in report.statements)
    return f"Cross-check: {report.verdict} ({passed} of {len(report.statements)} comparisons within tolerance)"


def _histogram_title(histogram: UlpHistogram) -> str:
    entries = f"{histogram.total} entr{'y' if histogram.total == 1 else 'ies'}"
    return f"error in ulps of {histogram.dtype}, {entries}"


def _remarks(report: CrossCheckReport) -> Iterator[str]:
    if report.resolution is not None:
        coarser = report.resolution_as_run
        ran = "" if coarser is None or coarser <= report.resolution else f" ({coarser:.1e} as it runs)"
        yield f"resolution: an entry off by {report.resolution:.1e} of its leaf's largest entry could have passed{ran}"
    if report.guarantee:
        yield f"guarantee: {report.guarantee}"
    yield from (f"note: {text}" for text in report.notes)
    cost = [] if report.evaluations is None else [f"{report.evaluations} evaluations"]
    cost += [] if report.seconds is None else [f"{report.seconds:.2g} s"]
    if cost:
        yield f"cost: {', '.join(cost)}"


def _check_cells(s: StatementCheck) -> tuple[str, ...]:
    if "path" in s.worst:
        place = s.worst["path"] or ""
    else:
        place = ", ".join(f"{k} {s.worst[k]}" for k in ("sample", "class", "feature") if s.worst.get(k) is not None)
    if s.worst.get("ours") is not None:
        place += f"{': ' if place else ''}{s.worst['ours']:.6g} against {s.worst['theirs']:.6g}"
    ratio = f"{s.ratio:.3f}" if s.ratio < 1e4 or s.ratio == float("inf") else f"{s.ratio:.1e}"
    mark = s.verdict if "path" in s.worst else "pass" if s.passed else "FAIL"
    return (s.statement, s.quantity, s.route, f"{s.max_error:.1e}", f"{s.bound:.1e}", ratio, mark, place)


def _entry_cells(e: Entry) -> tuple[str, ...]:
    # Nine digits tell two float32 numbers apart.
    ulps = f"{e.ulps:.3g}" if e.ulps < 1e4 else f"{e.ulps:.1e}"
    return (e.quantity, e.path, f"{e.ours:.9g}", f"{e.theirs:.9g}", f"{e.error:.1e}", f"{e.tolerance:.1e}", ulps)


def _table(rows: list[tuple[str, ...]], width: int | None, cut: tuple[int, ...], wrap: bool = False) -> list[str]:
    """Aligned rows. Where they are wider than `width`, the widest of the columns `cut` give up room.

    What then does not fit is continued on further lines (`wrap`), or loses its middle.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    used = [i for i in range(len(widths)) if widths[i]]
    while width is not None and sum(widths[i] + 2 for i in used) - 2 > width:
        widest = max(cut, key=lambda i: widths[i])
        if widths[widest] <= 12:
            break
        widths[widest] -= 1
    out = []
    for row in rows:
        cells = [_folded(row[i], widths[i]) if wrap else [_shortened(row[i], widths[i])] for i in used]
        for line in itertools.zip_longest(*cells, fillvalue=""):
            out.append("  ".join(cell.ljust(widths[i]) for cell, i in zip(line, used, strict=True)).rstrip())
    return out


def _folded(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_on_hyphens=False) if len(text) > room else [text]


def _shortened(text: str, room: int) -> str:
    """The text with its middle left out: a path and the values at its end matter more."""
    if len(text) <= room:
        return text
    head = (room - 1) // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False) or [""]
