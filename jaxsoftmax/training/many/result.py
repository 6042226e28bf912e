"""`Fits`: the result of `fit_many` and `fit_path`, a sequence of `Fit` whose numbers are arrays over the fits.

Guarded by `tests/training/many/test_fit_many.py`.
"""

from __future__ import annotations

import dataclasses
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Title
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.training.result import Fit, Status

__all__ = ["Fits"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fits(Report, Sequence):
    """The results of many fits, in the order of what was given: ``fits[i]`` is the `Fit` of the i-th.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.arange(8.0)[:, None], [0, 0, 1, 0, 1, 0, 1, 1])
        >>> fits = js.fit_many(problem, regularizers=[js.L2(0.1), js.L2(1.0)])
        >>> fits.W.shape, fits.converged.tolist(), [one.steps for one in fits] == fits.steps.tolist()
        ((2, 2, 2), [True, True], True)
    """

    fits: tuple[Fit, ...]
    problem_of: Callable[[int], Problem]

    def __len__(self) -> int:
        return len(self.fits)

    def __getitem__(self, place: Any) -> Any:
        """The fit at a place; for a slice, a tuple of fits."""
        return self.fits[place]

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def _numbers(self, name: str) -> np.ndarray:
        """A field of every fit, NaN where it was not evaluated."""
        values = [getattr(fit, name) for fit in self.fits]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    @property
    def loss(self) -> np.ndarray:
        """(B,) losses at W."""
        return self._numbers("loss")

    @property
    def scaled_gradient(self) -> np.ndarray:
        """(B,) as `Fit.scaled_gradient`."""
        return self._numbers("scaled_gradient")

    @property
    def gap_estimate(self) -> np.ndarray:
        """(B,) as `Fit.gap_estimate`; NaN where it was not evaluated."""
        return self._numbers("gap_estimate")

    @property
    def q_estimate(self) -> np.ndarray:
        """(B,) as `Fit.q_estimate`; NaN where it was not evaluated."""
        return self._numbers("q_estimate")

    @property
    def W(self) -> np.ndarray:
        """(B, C, D) weights."""
        return np.stack([fit.W for fit in self.fits])

    @property
    def coef(self) -> np.ndarray:
        """(B, C, D) weights without the intercept column."""
        return np.stack([fit.coef for fit in self.fits])

    @property
    def intercept(self) -> np.ndarray:
        """(B, C) intercepts, zeros where the problems have none."""
        return np.stack([fit.intercept for fit in self.fits])

    @property
    def steps(self) -> np.ndarray:
        """(B,) steps taken."""
        return np.array([fit.steps for fit in self.fits])

    @property
    def status(self) -> tuple[Status, ...]:
        """How each ended."""
        return tuple(fit.status for fit in self.fits)

    @property
    def converged(self) -> np.ndarray:
        """(B,) bool: as `Fit.converged`."""
        return np.array([fit.converged for fit in self.fits])

    def problem(self, place: int) -> Problem:
        """The problem of the fit at a place, for `decide_existence`, `inference` or `certify`."""
        place = operator.index(place)
        self.fits[place]
        return self.problem_of(place % len(self.fits))

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the norms of the classes' weights (`js.plots.plot_path`), along the penalty's strength if it varies."""
        from jaxsoftmax.plots.path import plot_path

        problems = [self.problem(place) for place in range(len(self))]
        penalties = [one.regularizer if one.host is None else one.host.regularizer for one in problems]
        strengths = [float(one[0].strength) if len(one) == 1 else 0.0 for one in penalties]
        varies = min(strengths) > 0 and len(set(strengths)) > 1
        return plot_path(self, strengths if varies else None, ax=ax)

    def document(self) -> Document:
        """How many ended how, and between which numbers."""
        counts = Counter(status.name for status in self.status)
        ended = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        facts = [("ended", ended), ("converged", f"{int(self.converged.sum())} of {len(self)}")]
        facts += [("loss", _range(self.loss)), ("steps", f"{self.steps.min()} to {self.steps.max()}")]
        facts.append(("scaled gradient", f"at most {self.scaled_gradient.max():.3g}"))
        known = self.q_estimate[np.isfinite(self.q_estimate)]
        if known.size:
            few = "" if known.size == len(self) else f" of the {known.size} where it was evaluated"
            facts.append(("minimiser", f"q at most {known.max():.3g}{few}; one exists nearby where q < 1 (S13)"))
        document: Document = [Title(f"{len(self)} fits by {self.fits[0].method}"), Facts(facts)]
        reasons = Counter(fit.reason for fit in self.fits if not fit.converged)
        document += [Paragraph(f"{count} of them: {reason}", "doubt") for reason, count in reasons.most_common()]
        return document


def _range(values: np.ndarray) -> str:
    return f"{values.min():.9g} to {values.max():.9g}"
