"""The likelihood-ratio test of features (S22): the maximum without them beside the maximum with them.

Guarded by `tests/uncertainty/test_likelihood_ratio.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.blocks import Document, Facts, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show
from jaxsoftmax.training.columns import Columns
from jaxsoftmax.uncertainty.coordinates import full_coordinates
from jaxsoftmax.uncertainty.likelihood import Likelihood
from jaxsoftmax.uncertainty.maximum import Maximum, climb, objective_of
from jaxsoftmax.uncertainty.names import index_of
from jaxsoftmax.uncertainty.wald import chi_square_tail, freedom

__all__ = ["LikelihoodRatio", "likelihood_ratio"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LikelihoodRatio(Report):
    """What `Inference.lr_test` returns.

    Attributes:
        features: the features left out.
        statistic: twice the log-likelihood lost without them.
        degrees_of_freedom: how many parameters fewer there are, (C − 1) times the loss of rank.
        p_value: P(χ² ≥ statistic); None where nothing was lost because the other features span these.
        log_likelihood: with the features.
        log_likelihood_restricted: without.
    """

    features: tuple[str, ...]
    statistic: float
    degrees_of_freedom: int
    p_value: float | None
    log_likelihood: float
    log_likelihood_restricted: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return json_ready(dataclasses.asdict(self))

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the statistic in its distribution (`js.plots.plot_tail`).

        Raises:
            ValueError: there is no test, because the other features span these.
        """
        from jaxsoftmax.plots.intervals import plot_tail

        return plot_tail(max(self.statistic, 0.0), self.degrees_of_freedom, ax=ax)

    def document(self) -> Document:
        """The statistic and what it rests on."""
        if self.p_value is None:
            result = "no test: the other features span these"
        else:
            result = f"{self.statistic:.6g} on {freedom(self.degrees_of_freedom)}, p = {self.p_value:.4g}"
        both = f"{self.log_likelihood:.8g} with, {self.log_likelihood_restricted:.8g} without"
        title = f"Likelihood-ratio test of {', '.join(self.features)} (S22)"
        return [Title(title), Facts([("statistic", result), ("log-likelihood", both)])]


def likelihood_ratio(maximum: Maximum, features: tuple[str, ...], left_out: Any) -> LikelihoodRatio:
    """Refit without the features named, and compare.

    Raises:
        TypeError, ValueError: no feature of these names, or none would be left.
    """
    if isinstance(left_out, str):
        left_out = [left_out]
    if not isinstance(left_out, (list, tuple)) or not left_out:
        raise WrongType("features", f"got {show(left_out)}, {kind_of(left_out)}", "give a name or a list of names")
    out = sorted({index_of("features", name, features, "feature") for name in left_out})
    kept = [d for d in range(len(features)) if d not in out]
    if not kept:
        raise WrongValue("features", "no feature would be left", "leave one in, such as the intercept")
    data = maximum.objective.data
    restricted = _without(data, kept)
    space = full_coordinates(restricted)
    lower = climb(objective_of(restricted, space), np.zeros(space.size))
    degrees = (space.C - 1) * (maximum.objective.space.rank - space.rank)
    statistic = 2 * (lower.terms.loss - maximum.terms.loss)
    names = tuple(features[d] for d in out)
    pair = (-maximum.terms.loss, -lower.terms.loss)
    return LikelihoodRatio(names, statistic, degrees, chi_square_tail(statistic, degrees), *pair)


def _without(data: Likelihood, kept: list[int]) -> Likelihood:
    """The same observations with some columns only: in the working columns if the intercept is there to shift by."""
    D, intercept = data.X.shape[1], data.given.intercept and kept[-1] == data.X.shape[1] - 1
    columns, X = data.columns, data.X
    if not intercept and columns.shift.any():
        columns = Columns(np.zeros(D), np.ones(D))
        X = columns.matrix(data.given, np.float64)[data.rows]
    X = np.ascontiguousarray(X[:, kept])
    with jax.enable_x64(True):
        leaves = (jnp.asarray(X), jnp.asarray(data.T), jnp.asarray(data.s), ())
        inner = Problem.tree_unflatten((intercept, "float64"), leaves)
    nothing = Columns(np.zeros(len(kept)), np.ones(len(kept)))  # X is what the refit is given
    return Likelihood(data.given, nothing, data.rows, X, data.T, data.s, inner)
