"""A document as text: at most 80 columns, broken between words; a name is never broken, however long."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from jaxsoftmax.reporting.blocks import Block, Facts, Line, Paragraph, Picture, Table, Title

__all__ = ["WIDTH", "as_text", "toned_lines"]

WIDTH = 80
LEAST = 30  # columns for a table's words; where fewer are left, words that are longer stand on lines of their own


def as_text(document: Sequence[Block], width: int = WIDTH) -> str:
    """The document as text.

    Example:
        >>> from jaxsoftmax.reporting.blocks import Facts, Line, Table, Title
        >>> from jaxsoftmax.reporting.text import as_text
        >>> rows = [Line(("gradient (S2)", "0.1"), note="fine"), Line(("Hessian (S4)", "0.25"))]
        >>> print(as_text([Title("iris"), Facts([("data", "150 samples")]), Table(("check", "ratio"), rows, "<>")]))
        iris
          data  150 samples
          check          ratio
          gradient (S2)    0.1
            fine
          Hessian (S4)    0.25
    """
    return "\n".join(line for line, _ in toned_lines(document, width))


def toned_lines(document: Sequence[Block], width: int = WIDTH) -> Iterator[tuple[str, str]]:
    """The lines of the text, each with the tone of its block, which a terminal shows as a colour."""
    for k, block in enumerate(document):
        match block:
            case Title(text, tone):
                yield from [("", "")] * (k > 0)
                yield from ((line, tone) for line in _wrapped(text, width, rest="  "))
            case Paragraph(text, tone):
                yield from ((line, tone) for line in _wrapped(text, width, "  "))
            case Facts(pairs):
                room = max((len(label) for label, _ in pairs), default=0)
                for label, text in pairs:
                    yield from ((line, "") for line in _wrapped(text, width, f"  {label:<{room}}  ", " " * (room + 4)))
            case Table():
                yield from _table(block, width)
            case Picture(lines):
                yield from ((f"  {line}", "") for line in lines)


def _table(table: Table, width: int) -> Iterator[tuple[str, str]]:
    rows = [Line(table.head), *table.rows]
    used = [i for i in range(len(table.head)) if i == 0 or any(row.cells[i] for row in table.rows)]
    widths = [max(len(row.cells[i]) for row in rows) for i in used]
    room = max(0, width - 2 - sum(w + 2 for w in widths[1:]))
    column = min(widths[0], room)
    for row in rows:
        words = _wrapped(row.cells[0], column if room >= LEAST else width - 2, rest="  ")
        # What is longer than its column stands alone, and the other cells below it.
        beside = all(len(line) <= column for line in words)
        cells = [f"{row.cells[i]:{table.align[i]}{w}}" for i, w in zip(used[1:], widths[1:], strict=True)]
        for n, line in enumerate(words if beside else [*words, ""]):
            here = cells if n == (0 if beside else len(words)) else []
            yield ("  " + "  ".join([f"{line:<{column}}", *here])).rstrip(), row.tone
        if row.note:
            yield from ((line, row.tone) for line in _wrapped(row.note, width, "    "))


def _wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """Lines that begin with `first`, and with `rest` (as far in, if it is left out) where the text goes on."""
    found = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
        break_long_words=False,
        expand_tabs=False,  # a tab in a name is one blank, as in a table's cells
    )
    return found or [first.rstrip()]
