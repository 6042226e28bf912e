"""The bootstrap (S22): the observations drawn again with replacement, and the model fitted to each draw.

A draw takes n of the n observations, each as likely as the other, so that the counts of the distinct ones are
multinomial; the fits differ by these counts alone and are made in one compiled call (`fit_many`).

Guarded by `tests/uncertainty/test_bootstrap.py`.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.blocks import Document, Facts, Line, Table, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.many.fit_many import fit_many
from jaxsoftmax.uncertainty.likelihood import Likelihood
from jaxsoftmax.uncertainty.wald import as_frame, head, shown

__all__ = ["Bootstrap", "bootstrap_weights"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Report):
    """What `Inference.bootstrap` returns; arrays are (K, D) as in `Inference`.

    Attributes:
        classes, features: the names of the K classes shown and of the D features.
        coefficients: the estimates of the data themselves.
        draws: (B, K, D) the estimates of those draws that have one.
        without_maximum: how many draws have none, because they are separated or leave a coefficient open; they are
            left out below.
        standard_errors: the standard deviations of the draws.
        lower, upper: their quantiles at the ends of the level (the percentile interval).
        level: the level of confidence.
    """

    classes: tuple[Any, ...]
    features: tuple[str, ...]
    coefficients: np.ndarray
    draws: np.ndarray
    without_maximum: int
    level: float

    @property
    def standard_errors(self) -> np.ndarray:
        """(K, D) standard deviations over the draws."""
        return self.draws.std(axis=0, ddof=1)

    @property
    def lower(self) -> np.ndarray:
        """(K, D) lower ends of the percentile intervals."""
        return np.quantile(self.draws, 0.5 * (1 - self.level), axis=0)

    @property
    def upper(self) -> np.ndarray:
        """(K, D) upper ends of the percentile intervals."""
        return np.quantile(self.draws, 0.5 * (1 + self.level), axis=0)

    def _columns(self) -> dict[str, np.ndarray]:
        names = ("coefficients", "standard_errors", "lower", "upper")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the draws."""
        names = {"classes": self.classes, "features": self.features, "level": self.level}
        return json_ready(names | {"without_maximum": self.without_maximum} | self._columns())

    def to_frame(self) -> Any:
        """A pandas frame, a row for each class and feature."""
        return as_frame(self.classes, self.features, self._columns())

    def plot(self, *, most: int = 30, ax: Any = None) -> Any:
        """Draw the estimates with their percentile intervals (`js.plots.plot_coefficients`), at most `most` of them."""
        from jaxsoftmax.plots.intervals import plot_coefficients

        return plot_coefficients(self, most=most, ax=ax)

    def document(self) -> Document:
        """A table for each class."""
        facts = [("draws", f"{len(self.draws) + self.without_maximum}, each of as many observations as the data")]
        if self.without_maximum:
            facts.append(("left out", f"{self.without_maximum} of them, which have no maximum or more than one"))
        document: Document = [Title("Bootstrap (S22)"), Facts(facts)]
        columns = list(self._columns().values())
        heads = ("feature", *(name for name in head(self.level) if name not in ("z", "P>|z|")))
        for k, name in enumerate(self.classes):
            rows = [
                Line((feature, *(shown(float(column[k, d])) for column in columns)))
                for d, feature in enumerate(self.features)
            ]
            document += [Title(f"class {name}"), Table(heads, rows, "<>>>>")]
        return document


def bootstrap_weights(data: Likelihood, W: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """((B, C, D) weights of the draws that have a maximum, how many have none), each fit begun at W (C, D)."""
    problem, counts = _listed(data)
    drawn = rng.multinomial(data.n, counts / counts.sum(), size=draws)
    alone = _of_full_rank(data, drawn)
    if not alone.any():
        raise WrongValue("draws", "no draw of the data identifies the coefficients", "use the standard errors")
    with warnings.catch_warnings(), jax.enable_x64(True):
        warnings.simplefilter("ignore", NoMinimizerWarning)
        fits = fit_many(problem, sample_weights=drawn[alone], W0=W)
    good = fits.converged
    if good.sum() < 2:
        raise WrongValue("draws", "fewer than two draws of the data have a maximum", "use the standard errors")
    return fits.W[good], draws - int(good.sum())


def _listed(data: Likelihood) -> tuple[Problem, np.ndarray]:
    """A problem with a row for each sample and label that was seen, float64, and how often each was seen."""
    given, counts = data.given, np.round(data.s[:, None] * data.T)
    rows, codes = np.nonzero(counts)
    options = {"classes": range(given.C), "intercept": given.intercept, "dtype": "float64"}
    with jax.enable_x64(True):
        problem = Problem.from_labels(given.host.X[data.rows][rows], codes, **options)
    return problem, counts[rows, codes]


def _of_full_rank(data: Likelihood, drawn: np.ndarray) -> np.ndarray:
    """(B,) bool: whether the rows of a draw span what the rows of the data span: if not, weights are left open."""
    rows = np.nonzero(np.round(data.s[:, None] * data.T))[0]
    X = data.X[rows] / np.maximum(np.abs(data.X).max(axis=0), np.finfo(float).tiny)
    i, j = np.triu_indices(X.shape[1])
    rank, full = int(np.linalg.matrix_rank(X)), np.ones(len(drawn), bool)
    grams = np.zeros((len(drawn), X.shape[1], X.shape[1]))
    grams[:, j, i] = grams[:, i, j] = (drawn > 0).astype(float) @ (X[:, i] * X[:, j])
    values = np.linalg.eigvalsh(grams)[:, X.shape[1] - rank :]
    # Squared singular values: above this share of the largest their sign is beyond the rounding of the sums.
    doubtful = values[:, 0] <= 1e-10 * values[:, -1]
    for draw in np.flatnonzero(doubtful):
        full[draw] = np.linalg.matrix_rank(X[drawn[draw] > 0]) == rank
    return full
