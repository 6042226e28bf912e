"""What `fit_many` trains: the problems of a batch, checked, and the arrays in which its lanes differ.

Guarded by `tests/training/many/test_fit_many.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.problem.fields import reweighted
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import as_regularizers
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, refuse_sparse, show


@dataclasses.dataclass(frozen=True)
class Batch:
    """B problems: `shared` data under B weights or penalties, or `several` with data of their own.

    Attributes:
        shared: the problem whose X and targets all have; None where each has its own.
        several: the problems, where each has its own.
        weights: (B, N) float64 in place of the weights of `shared`, or None.
        penalties: B tuples of regularisers in place of those of `shared`, or None.
    """

    shared: Problem | None
    several: tuple[Problem, ...]
    weights: np.ndarray | None
    penalties: list[tuple] | None

    def __len__(self) -> int:
        if self.several:
            return len(self.several)
        return len(self.penalties) if self.weights is None else len(self.weights)  # pyright: ignore[reportArgumentType]

    @property
    def first(self) -> Problem:
        """Any problem of the batch: all have its D, C, dtype and intercept."""
        return self.several[0] if self.shared is None else self.shared

    def problem(self, place: int) -> Problem:
        """The problem of a lane, with its data as given."""
        if self.shared is None:
            return self.several[place]
        problem = self.shared
        if self.weights is not None:
            problem = reweighted(problem, self.weights[place])
        return problem if self.penalties is None else problem.replace(regularizer=self.penalties[place])

    def penalties_of(self, place: int) -> tuple[Any, ...]:
        """The regularisers of a lane as given."""
        if self.penalties is not None:
            return self.penalties[place]
        problem = self.first if self.shared is not None else self.several[place]
        given = None if problem.host is None else problem.host.regularizer
        return problem.regularizer if given is None else given


def batch_of(problems: Any, sample_weights: Any, regularizers: Any) -> Batch:
    """The batch of what the user gave.

    Raises:
        TypeError, ValueError: as `fit_many` documents.
    """
    if isinstance(problems, Problem):
        if sample_weights is None and regularizers is None:
            remedy = "give sample_weights (B, N), regularizers, or a list of problems; for one problem, jaxsoftmax.fit"
            raise WrongValue("problems", "one problem, and nothing in which the fits differ", remedy)
        weights = None if sample_weights is None else _weights(sample_weights, problems)
        penalties = None if regularizers is None else _penalties(regularizers)
        if weights is not None and penalties is not None and len(weights) != len(penalties):
            given = f"{len(penalties)} for {len(weights)} rows of sample_weights"
            raise WrongValue("regularizers", given, "give one for each row, or leave one of the two out")
        return Batch(problems, (), weights, penalties)
    for name, value in (("sample_weights", sample_weights), ("regularizers", regularizers)):
        if value is not None:
            raise WrongValue(name, "given beside a list of problems", "put it into each problem")
    return Batch(None, _several(problems), None, None)


def _several(problems: Any) -> tuple[Problem, ...]:
    refuse_sparse(problems, "problems")
    if not isinstance(problems, Sequence) or isinstance(problems, str) or not problems:
        given = f"got {show(problems)}, {kind_of(problems)}"
        raise WrongType("problems", given, "give a Problem or a list of them")
    for place, problem in enumerate(problems):
        refuse_sparse(problem, "problems")
        if not isinstance(problem, Problem):
            given = f"entry {place} is {show(problem)}, {kind_of(problem)}"
            raise WrongType("problems", given, "give jaxsoftmax.Problem objects")
        for what in ("D", "C", "intercept", "dtype", "classes", "feature_names"):
            mine, first = getattr(problem, what), getattr(problems[0], what)
            if not np.array_equal(np.asarray(mine, object), np.asarray(first, object)):
                given = f"entry {place} has the {what} {show(mine)}, entry 0 {show(first)}"
                remedy = "give problems of the same columns and classes (name all classes: classes=...)"
                raise WrongValue("problems", given, remedy)
        if _kinds(problem.regularizer) != _kinds(problems[0].regularizer):
            given = f"entry {place} has other kinds of regularizers than entry 0"
            raise WrongValue("problems", given, "give the same kinds, with strength 0 where there is none")
    return tuple(problems)


def _weights(given: Any, problem: Problem) -> np.ndarray:
    try:
        weights = np.asarray(given)
        real = weights.dtype.kind in "biuf"
        weights = weights.astype(np.float64) if real else weights
    except (TypeError, ValueError):
        real = False
    if not real:
        got = f"got {show(given)}, {kind_of(given)}"
        raise WrongType("sample_weights", got, "give a (B, N) array of numbers")
    if weights.ndim != 2 or weights.shape[1] != problem.N or not len(weights):
        given = f"shape {weights.shape}, expected (B, {problem.N})"
        raise WrongValue("sample_weights", given, "give a row for each fit, with a weight for each sample")
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        given = f"entry ({row}, {column}) is {weights[row, column]}"
        raise WrongValue("sample_weights", given, "give finite weights >= 0")
    empty = np.flatnonzero(~weights.any(axis=1))
    if empty.size:
        raise WrongValue("sample_weights", f"row {empty[0]} has only zeros", "give it a positive weight")
    return weights


def _penalties(given: Any) -> list[tuple]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        got = f"got {show(given)}, {kind_of(given)}"
        raise WrongType("regularizers", got, "give a list with one for each fit, e.g. [L2(0.1), L2(1.0)]")
    penalties = [as_regularizers(one) for one in given]
    for place, one in enumerate(penalties):
        if _kinds(one) != _kinds(penalties[0]):
            remedy = "give the same kinds, with strength 0 where there is none"
            raise WrongValue("regularizers", f"entry {place} is of other kinds than entry 0", remedy)
    return penalties


def _kinds(penalties: tuple) -> list[tuple[type, bool]]:
    return [(type(one), bool(one.penalize_intercept)) for one in penalties]
