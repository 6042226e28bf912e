"""A document as HTML, which notebooks show.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from jaxsoftmax.reporting.blocks import Block, Facts, Paragraph, Picture, Table, Title

__all__ = ["as_html"]

_COLOURS = {"good": "color:green", "doubt": "color:#b58900", "bad": "color:#c00;font-weight:bold"}


def as_html(document: Sequence[Block]) -> str:
    """The document as HTML.

    Example:
        >>> from jaxsoftmax.reporting.blocks import Paragraph, Title
        >>> from jaxsoftmax.reporting.html import as_html
        >>> print(as_html([Title("iris", "good"), Paragraph("150 samples, C < 4")]))
        <p style="font-weight:bold;color:green">iris</p>
        <p>150 samples, C &lt; 4</p>
    """
    return "\n".join(part for block in document for part in _parts(block))


def _parts(block: Block) -> Iterator[str]:
    match block:
        case Title(text, tone):
            yield f'<p style="font-weight:bold;{_COLOURS.get(tone, "")}">{escape(text)}</p>'
        case Paragraph(text, tone):
            yield f"<p{_style(tone)}>{escape(text)}</p>"
        case Facts(pairs):
            yield _table([(_cell("th", label, "<") + _cell("td", text, "<"), "") for label, text in pairs])
        case Table(head, rows, align):
            lines = [("".join(map(_cell, ["th"] * len(head), head, align)), "")]
            for row in rows:
                lines.append(("".join(map(_cell, ["td"] * len(head), row.cells, align)), _style(row.tone)))
                if row.note:
                    lines.append((f'<td colspan="{len(head)}">{escape(row.note)}</td>', _style(row.tone)))
            yield _table(lines)
        case Picture(lines):
            yield f"<pre>{escape(chr(10).join(lines))}</pre>"


def _table(lines: list[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr{style}>{cells}</tr>" for cells, style in lines) + "</table>"


def _cell(tag: str, text: str, align: str) -> str:
    return f'<{tag} style="text-align:{"left" if align == "<" else "right"}">{escape(text)}</{tag}>'


def _style(tone: str) -> str:
    return f' style="{_COLOURS[tone]}"' if tone in _COLOURS else ""
