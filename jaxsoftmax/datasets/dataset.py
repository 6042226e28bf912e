"""`Dataset`: a table of numbers with labels or probability targets, and where it came from.

Guarded by `tests/datasets/test_embedded.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Dataset"]


@dataclass(frozen=True)
class Dataset:
    """A table of numbers with labels (or probability targets), as it was read, and where it came from.

    Attributes:
        name: a short name for reports.
        X: features, shape (N, D), float64, without an intercept column.
        y: labels, shape (N,), text or integers; or probability targets, shape (N, C), float64.
        feature_names: D names.
        target_name: the name of the label column or array.
        source: where the numbers come from, in words.
        notes: things a reader of the data should know, each one sentence.
        table: how a text table was read, {"delimiter": "," or another, None for runs of blanks; "header": whether its
            first row holds names; "target": the label column, from 0}, which is what a certificate needs to say of it;
            None for other formats.

    Example:
        >>> import jaxsoftmax as js
        >>> iris = js.datasets.load_iris()
        >>> iris.X.shape, iris.classes
        ((150, 4), ('setosa', 'versicolor', 'virginica'))
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    target_name: str
    source: str
    notes: tuple[str, ...] = ()
    table: dict[str, Any] | None = None

    @property
    def has_probabilities(self) -> bool:
        """Whether `y` holds probability targets, (N, C), and not labels."""
        return self.y.ndim == 2

    @property
    def classes(self) -> tuple[Any, ...]:
        """The sorted distinct labels; column numbers where `y` holds probabilities."""
        return tuple(range(self.y.shape[1])) if self.has_probabilities else tuple(np.unique(self.y).tolist())

    def __repr__(self) -> str:
        N, D = self.X.shape
        return f"Dataset({self.name}: N={N}, D={D}, C={len(self.classes)}, target {self.target_name!r}; {self.source})"
