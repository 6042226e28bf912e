"""A document as HTML: with its colours in it, which notebooks show, or with classes for the style sheet of a page.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from jaxsoftmax.reporting.blocks import Block, Facts, Paragraph, Picture, Table, Title

__all__ = ["NOTEBOOK", "Look", "as_html"]

_COLOURS = {"good": "color:green", "doubt": "color:#b58900", "bad": "color:#c00;font-weight:bold"}


class Look(NamedTuple):
    """How a document is written.

    heading: the element of a title.
    classes: tones and alignments as classes (good, doubt, bad, right), in place of styles.
    table: the class of tables, "" for none; those of a class stand in a box that can be scrolled, by keys too.
    text: a text as HTML.
    """

    heading: str = "p"
    classes: bool = False
    table: str = ""
    text: Callable[[str], str] = escape


NOTEBOOK = Look()


def as_html(document: Sequence[Block], look: Look = NOTEBOOK) -> str:
    """The document as HTML.

    Example:
        >>> from jaxsoftmax.reporting.blocks import Paragraph, Title
        >>> from jaxsoftmax.reporting.html import Look, as_html
        >>> document = [Title("iris", "good"), Paragraph("150 samples, C < 4")]
        >>> print(as_html(document))
        <p style="font-weight:bold;color:green">iris</p>
        <p>150 samples, C &lt; 4</p>
        >>> print(as_html(document, Look(heading="h4", classes=True)))
        <h4 class="good">iris</h4>
        <p>150 samples, C &lt; 4</p>
    """
    return "\n".join(part for block in document for part in _parts(block, look))


def _parts(block: Block, look: Look) -> Iterator[str]:
    match block:
        case Title(text, tone):
            style = _tone(tone, look) if look.classes else f' style="font-weight:bold;{_COLOURS.get(tone, "")}"'
            yield f"<{look.heading}{style}>{look.text(text)}</{look.heading}>"
        case Paragraph(text, tone):
            yield f"<p{_tone(tone, look)}>{look.text(text)}</p>"
        case Facts(pairs):
            # A label that is empty goes on from the one above, and is no head.
            heads = [_cell("th" if label else "td", label, "<", look, "row") for label, _ in pairs]
            rows = [_row([head, _cell("td", pair[1], "<", look)]) for head, pair in zip(heads, pairs, strict=True)]
            yield f"<table{_class('facts', look)}><tbody>{''.join(rows)}</tbody></table>" if rows else ""
        case Table():
            yield _table(block, look)
        case Picture(lines):
            yield f"<pre>{look.text(chr(10).join(lines))}</pre>"


def _table(table: Table, look: Look) -> str:
    """A body for each row and the note below it, so that they stay together wherever they are sorted to."""
    head = [
        _cell("th" if text else "td", text, a, look, "col") for text, a in zip(table.head, table.align, strict=True)
    ]
    parts = [f"<thead>{_row(head)}</thead>"]
    for line in table.rows:
        first, *rest = zip(line.cells, table.align, strict=True)
        rows = _row([_cell("th", *first, look, "row"), *(_cell("td", *cell, look) for cell in rest)])
        if line.note:
            rows += _row([f'<td colspan="{len(table.head)}">{look.text(line.note)}</td>'])
        parts.append(f"<tbody{_tone(line.tone, look)}>{rows}</tbody>")
    whole = f"<table{_class(look.table, look)}>{''.join(parts)}</table>"
    if not look.table:
        return whole
    return f'<div class="scroll" role="group" aria-label="a table that scrolls sideways" tabindex="0">{whole}</div>'


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _cell(tag: str, text: str, align: str, look: Look, scope: str = "") -> str:
    if look.classes:
        style = "" if align == "<" else ' class="right"'
    else:
        weight = ";font-weight:normal" if (tag, scope) == ("th", "row") else ""
        style = f' style="text-align:{"left" if align == "<" else "right"}{weight}"'
    return f"<{tag}{f' scope={chr(34)}{scope}{chr(34)}' if tag == 'th' else ''}{style}>{look.text(text)}</{tag}>"


def _class(name: str, look: Look) -> str:
    return f' class="{name}"' if look.classes and name else ""


def _tone(tone: str, look: Look) -> str:
    if tone not in _COLOURS:
        return ""
    return f' class="{tone}"' if look.classes else f' style="{_COLOURS[tone]}"'
