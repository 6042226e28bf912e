"""What a report is made of: a document is a list of titles, paragraphs, facts, tables and pictures.

A tone is "", "title", "good", "doubt" or "bad", which terminals and notebooks show as a colour.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Block", "Document", "Facts", "Line", "Paragraph", "Picture", "Table", "Title"]


class Title(NamedTuple):
    """A line that begins a part; a blank line stands before it."""

    text: str
    tone: str = "title"


class Paragraph(NamedTuple):
    """Sentences."""

    text: str
    tone: str = ""


class Facts(NamedTuple):
    """(label, sentence) pairs, one below the other."""

    pairs: Sequence[tuple[str, str]]


class Line(NamedTuple):
    """One row of a table: as many cells as the head has, and what is to be said below them."""

    cells: Sequence[str]
    tone: str = ""
    note: str = ""


class Table(NamedTuple):
    """Rows of cells. The first column holds words and may be broken; `align` has "<" or ">" for each column."""

    head: Sequence[str]
    rows: Sequence[Line]
    align: str


class Picture(NamedTuple):
    """Lines that are shown as they are."""

    lines: Sequence[str]


Block = Title | Paragraph | Facts | Table | Picture
Document = list[Block]
