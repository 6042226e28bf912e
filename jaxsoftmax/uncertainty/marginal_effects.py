"""Marginal effects: how a class's probability moves with a feature, with standard errors by the delta method (S22).

With ``w̄_nk = Σ_i y_ni w_ik`` the probability of class j moves with feature k by ``y_nj d_nj``, ``d_nj = w_jk − w̄_nk``.
Its derivative in ``w_cd``, by ``∂y_nj/∂w_cd = y_nj (δ_jc − y_nc) x_nd`` and
``∂w̄_nk/∂w_cd = y_nc δ_kd + y_nc d_nc x_nd``, is

    [δ_jc y_nj d_nj − y_nj y_nc (d_nj + d_nc)] x_nd + δ_kd y_nj (δ_jc − y_nc),

and the variance of an effect is this, averaged over the samples, as a functional of the weights' covariance.

Guarded by `tests/uncertainty/test_marginal_effects.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxsoftmax.reporting.blocks import Document, Line, Paragraph, Table, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.support.validation import one_of
from jaxsoftmax.uncertainty.maximum import Maximum
from jaxsoftmax.uncertainty.wald import Wald, as_frame, cells, head, wald

__all__ = ["MarginalEffects", "marginal_effects"]

AT = ("overall", "mean")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MarginalEffects(Report):
    """What `Inference.marginal_effects` returns; arrays are (C, features), NaN where the data identify no effect.

    Attributes:
        at: "overall", the mean over the observations, or "mean", at the mean of the features.
        classes: the C labels.
        features: the names of the features that vary.
        effects: the derivatives of the probabilities; they sum to 0 over the classes.
        standard_errors, z, p_values, lower, upper: as in `Inference`.
        level: the level of the limits.
    """

    at: str
    classes: tuple[Any, ...]
    features: tuple[str, ...]
    effects: np.ndarray
    standard_errors: np.ndarray
    z: np.ndarray
    p_values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float

    def _columns(self) -> dict[str, np.ndarray]:
        names = ("standard_errors", "z", "p_values", "lower", "upper")
        return {"effects": self.effects} | {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        names = {"at": self.at, "classes": self.classes, "features": self.features, "level": self.level}
        return json_ready(names | self._columns())

    def to_frame(self) -> Any:
        """A pandas frame, a row for each class and feature."""
        return as_frame(self.classes, self.features, self._columns())

    def plot(self, *, most: int = 30, ax: Any = None) -> Any:
        """Draw the effects with their intervals (`js.plots.plot_coefficients`), at most `most` of them."""
        from jaxsoftmax.plots.intervals import plot_coefficients

        return plot_coefficients(self, most=most, ax=ax)

    def document(self) -> Document:
        """A table for each class."""
        where = "averaged over the observations" if self.at == "overall" else "at the mean of the features"
        document: Document = [
            Title(f"Marginal effects, {where}"),
            Paragraph("how much a class's probability moves with a feature; standard errors by the delta method (S22)"),
        ]
        table = Wald(self.effects, self.standard_errors, self.z, self.p_values, self.lower, self.upper)
        for j, name in enumerate(self.classes):
            rows = [Line((feature, *cells(table, (j, k)))) for k, feature in enumerate(self.features)]
            document += [Title(f"class {name}"), Table(("feature", *head(self.level)), rows, "<>>>>>>")]
        return document


def marginal_effects(
    maximum: Maximum,
    covariance: np.ndarray,
    classes: tuple[Any, ...],
    features: tuple[str, ...],
    at: str,
    level: float,
) -> MarginalEffects:
    """The effects of every feature that varies; `covariance` is that of the coordinates θ.

    Raises:
        ValueError: `at` is neither "overall" nor "mean".
    """
    one_of("at", at, AT)
    objective = maximum.objective
    data, space = objective.data, objective.space
    X, Y, shares = data.X, maximum.terms.Y.T, data.s / data.n
    varying = np.flatnonzero(np.ptp(X, axis=0) > 0)
    if at == "mean":
        X, shares = (shares @ X)[None], np.ones(1)
        Z = X @ maximum.V.T
        Y = np.exp(Z - Z.max())
        Y /= Y.sum()
    W, outward = maximum.W, data.columns.outward(np.eye(len(space.scale))).T
    C, F = len(W), len(varying)
    centred = (W - W.mean(axis=0))[:, varying]
    means = Y @ centred  # (n, F) w̄
    weighted = shares[:, None] * Y
    effects = np.einsum("nj,jk->jk", weighted, centred) - weighted.T @ means
    first = weighted.T @ X  # (C, D)
    slopes = np.zeros((C, F, C, X.shape[1]))
    for j in range(C):
        own = first[j] * centred[j][:, None] - (weighted[:, [j]] * means).T @ X
        slopes[j, :, j] += own
        for c in range(j, C):
            both = weighted[:, [j]] * Y[:, [c]]
            cross = 2 * (both * means).T @ X - (both.T @ X) * (centred[j] + centred[c])[:, None]
            slopes[j, :, c] += cross
            if c != j:
                slopes[c, :, j] += cross
    moves = np.diag(shares @ Y) - weighted.T @ Y  # mean of y_j (δ_jc − y_c)
    slopes += moves[:, None, :, None] * outward[varying][:, None, :]
    pulled = space.pull(slopes.reshape(C * F, C, -1))
    errors = np.sqrt(np.maximum(np.einsum("mr,mr->m", pulled @ covariance, pulled), 0.0)).reshape(C, F)
    seen = space.seen(np.eye(C) - 1 / C, outward[varying]).reshape(C, F)
    hidden = ~np.all(seen, axis=0)
    effects[:, hidden] = errors[:, hidden] = np.nan
    table = wald(effects, errors, level)
    return MarginalEffects(at, classes, tuple(features[k] for k in varying), *table, level=level)
