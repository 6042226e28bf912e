"""`Report`: what every result is that shows itself, as text in a terminal and as HTML in a notebook.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxsoftmax.reporting.blocks import Document
from jaxsoftmax.reporting.html import as_html
from jaxsoftmax.reporting.text import as_text

__all__ = ["Report"]


class Report(ABC):
    """A result with a `document`, which is its ``repr`` as text, and what a notebook shows as HTML.

    Example:
        >>> from jaxsoftmax.reporting.blocks import Title
        >>> from jaxsoftmax.reporting.report import Report
        >>> class Eggs(Report):
        ...     def document(self):
        ...         return [Title("12 eggs")]
        >>> Eggs()
        12 eggs
    """

    @abstractmethod
    def document(self) -> Document:
        """What the report says, part by part."""

    def __repr__(self) -> str:
        return as_text(self.document())

    def _repr_html_(self) -> str:
        return as_html(self.document())
