"""`Report`: what every result is that shows itself, as text in a terminal, as HTML in a notebook and as a picture.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from jaxsoftmax.reporting.blocks import Document
from jaxsoftmax.reporting.html import as_html
from jaxsoftmax.reporting.text import as_text

__all__ = ["Report"]


class Report(ABC):
    """A result with a `document`, which is its ``repr`` as text, and what a notebook shows as HTML; and a `plot`.

    Example:
        >>> from jaxsoftmax.reporting.blocks import Title
        >>> from jaxsoftmax.reporting.report import Report
        >>> class Eggs(Report):
        ...     def document(self):
        ...         return [Title("12 eggs")]
        ...
        ...     def plot(self, *, ax=None):
        ...         return ax
        >>> Eggs()
        12 eggs
    """

    @abstractmethod
    def document(self) -> Document:
        """What the report says, part by part."""

    @abstractmethod
    def plot(self, *, ax: Any = None) -> Any:
        """Draw the report into `ax`, or into new axes; the axes. `js.plots.alt_text` says of them what they show."""

    def __repr__(self) -> str:
        return as_text(self.document())

    def _repr_html_(self) -> str:
        return as_html(self.document())
