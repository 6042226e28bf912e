"""How often predictions are right, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxsoftmax.reporting.blocks import Document, Facts, Line, Paragraph, Table

__all__ = ["confusion_blocks", "confusion_counts"]

MOST_COLUMNS = 12  # classes that a table in a terminal has room for


def confusion_counts(true: np.ndarray, predicted: np.ndarray, C: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(C, C) sums of sample weights (numbers of samples without): row c is the true class, column k the predicted one.

    Args:
        true: (N,) class codes 0 to C - 1.
        predicted: (N,) likewise.
        C: number of classes.
        weights: (N,) or None.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.estimator.confusion import confusion_counts
        >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    return np.bincount(true * C + predicted, weights, minlength=C * C).reshape(C, C)


def confusion_blocks(counts: np.ndarray, names: Sequence[str]) -> Document:
    """Accuracy, and a table of true against predicted classes; of many classes the commonest mistakes.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.estimator.confusion import confusion_blocks
        >>> from jaxsoftmax.reporting.text import as_text
        >>> print(as_text(confusion_blocks(np.array([[1, 1], [0, 1]]), ["no", "yes"])))
          accuracy  0.6667 (2 of 3 samples)
          true class  no  yes
          no           1    1
          yes          0    1
    """
    right, total = int(np.trace(counts)), int(counts.sum())
    found: Document = [Facts([("accuracy", f"{right / total:.4g} ({right} of {total} samples)")])]
    if len(names) <= MOST_COLUMNS:
        rows = [Line((name, *map(str, row))) for name, row in zip(names, counts.tolist(), strict=True)]
        return [*found, Table(("true class", *names), rows, "<" + ">" * len(names))]
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_COLUMNS]
    pairs = [(int(k) // len(names), int(k) % len(names)) for k in order if wrong.flat[k]]
    if not pairs:
        return found
    words = ", ".join(f"{names[c]} as {names[k]} ({wrong[c, k]})" for c, k in pairs)
    return [*found, Paragraph(f"the commonest mistakes: {words}.")]
