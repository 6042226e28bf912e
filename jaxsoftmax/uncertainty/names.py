"""Classes and features by name, and the gauge in which coefficients are shown: against a class, or sum to zero (S22).

Guarded by `tests/uncertainty/test_refusals.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import show

__all__ = ["Gauge", "class_names", "feature_names", "gauge", "index_of"]

SUM = "sum"


def class_names(problem: Problem) -> tuple[Any, ...]:
    """The labels, or 0, 1, … where there are none."""
    return tuple(range(problem.C)) if problem.classes is None else tuple(problem.classes.tolist())


def feature_names(problem: Problem) -> tuple[str, ...]:
    """The D names of the columns, the intercept's last."""
    if problem.feature_names is not None:
        return tuple(map(str, problem.feature_names))
    given = problem.D - int(problem.intercept)
    return (*(f"x{d}" for d in range(given)), *(["intercept"] if problem.intercept else []))


def index_of(argument: str, value: Any, known: Sequence[Any], what: str) -> int:
    """The place of a name.

    Raises:
        ValueError: it is none of them.
    """
    for place, name in enumerate(known):
        if type(value) is not bool and isinstance(value, (str, int, float, np.generic)) and name == value:
            return place
        if value is name:
            return place
    shown = ", ".join(map(repr, known[:8])) + (", …" if len(known) > 8 else "")
    raise WrongValue(argument, f"got {show(value)}, which is no {what}", f"give one of {shown}")


class Gauge(NamedTuple):
    """Which differences of class weights are shown.

    Attributes:
        reference: the reference class's label, or "sum".
        classes: K labels, one for each row shown.
        matrix: (K, C): row k of it times the weights is what is shown for class k; its entries sum to 0.
        index: the place of the reference class; None for "sum".

    Example:
        >>> from jaxsoftmax.uncertainty.names import gauge
        >>> gauge(None, ("a", "b", "c")).matrix.tolist()
        [[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]
    """

    reference: Any
    classes: tuple[Any, ...]
    matrix: np.ndarray
    index: int | None


def gauge(reference: Any, classes: tuple[Any, ...]) -> Gauge:
    """The gauge of a reference class (None: the first), or of sums to zero ("sum").

    Raises:
        ValueError: no such class; or "sum" where a class has that name.
    """
    C = len(classes)
    if isinstance(reference, str) and reference == SUM:
        if SUM in classes:
            raise WrongValue("reference", "'sum' is also the name of a class", "rename the class, or give another one")
        return Gauge(SUM, classes, np.eye(C) - 1 / C, None)
    r = 0 if reference is None else index_of("reference", reference, classes, "class (nor 'sum')")
    kept = [c for c in range(C) if c != r]
    return Gauge(classes[r], tuple(classes[c] for c in kept), np.eye(C)[kept] - np.eye(C)[r], r)
