"""The maximum of a likelihood and the covariances there, observed and robust, in what the data identify (S22).

A fit ends where its tolerance says, in its own dtype; a table is about the maximum. So a few Newton steps in float64
on the data as given go on from the fit until a step moves no log-odds by more than rounding.

Guarded by `tests/uncertainty/test_inference.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxsoftmax.linalg.definite_inverse import definite_inverse
from jaxsoftmax.proof.overlap.face_loss import FaceLoss, FaceTerms, PairGrams
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.uncertainty.coordinates import Coordinates
from jaxsoftmax.uncertainty.likelihood import Likelihood

__all__ = ["Maximum", "Objective", "climb", "objective_of", "robust_covariance"]

_STEPS = 60
_DONE = 1e-10  # log-odds that a last Newton step moves: its own error is the square of that
_QUADRATIC = 0.01  # log-odds from which Newton's steps contract surely (S8), and need no line search
_LEAST_DIGITS = 1e-2  # a larger relative error of a variance is no standard error
_EPS = float(np.finfo(np.float64).eps)
_BLOCK_ENTRIES = 2**22  # of scores that are held at once


class Objective(NamedTuple):
    """The negative log-likelihood in coordinates θ; on a face (S11) its row sums run over some classes only."""

    data: Likelihood
    space: Coordinates
    loss: FaceLoss
    grams: PairGrams

    def logits(self, theta: np.ndarray) -> np.ndarray:
        """(C, n) class-major."""
        return self.space.weights(theta) @ self.data.X.T

    def gradient(self, terms: FaceTerms) -> np.ndarray:
        """(r,) the gradient (S2) in θ."""
        return self.space.pull((terms.residual @ self.data.X)[None])[0]

    def curvature(self, probabilities: np.ndarray) -> np.ndarray:
        """(r, r) Σ_n s_n S(p_n) ⊗ x_n x_nᵀ (S4) in θ for rows p_n, class-major: the Hessian where they are Y."""
        # Its lower triangle, in blocks of a class: the blocks on the diagonal are whole.
        H = np.tril(self.grams.hessian(probabilities, self.space.base))
        return self.space.reduce(H + np.tril(H, -1).T)


class Maximum(NamedTuple):
    """Where the likelihood is largest (along a constraint, if there was one), and what is known there.

    Attributes:
        objective: the likelihood.
        theta: (r,) the point.
        terms: loss, residual and probabilities there, class-major.
        information: (r, r) the Hessian there.
        inverse: (r, r) its inverse, the covariance of θ.
        relative_error: an estimate of the inverse's relative error: r·eps times the condition of the information with
            its diagonal scaled to ones.
    """

    objective: Objective
    theta: np.ndarray
    terms: FaceTerms
    information: np.ndarray
    inverse: np.ndarray
    relative_error: float

    @property
    def V(self) -> np.ndarray:
        """(C, D) weights in the likelihood's columns."""
        return self.objective.space.weights(self.theta)

    @property
    def W(self) -> np.ndarray:
        """(C, D) weights of the columns given."""
        return self.objective.data.columns.outward(self.V)


def objective_of(data: Likelihood, space: Coordinates, mask: np.ndarray | None = None) -> Objective:
    """The likelihood, or with `mask` (n, C) that of the face where row n's sum runs over the classes of mask_n."""
    loss = FaceLoss(data.T, data.s, np.ones(data.T.shape, bool) if mask is None else mask)
    return Objective(data, space, loss, PairGrams(data.X, loss.s))


def climb(objective: Objective, theta: np.ndarray, fixed: np.ndarray | None = None) -> Maximum:
    """The maximum from θ by Newton's method; with `fixed`, a functional (r,), among the points where it stays as it is.

    Raises:
        ValueError: the information is singular to working precision, or the steps do not end.
    """
    loss, last = objective.loss, np.inf
    if not len(theta):
        empty = np.zeros((0, 0))
        return Maximum(objective, theta, loss.terms(objective.logits(theta)), empty, empty, 0.0)
    Z = objective.logits(theta)
    terms = loss.terms(Z)
    for _ in range(_STEPS):
        inverse, _ = _inverse(objective.curvature(terms.Y))
        g = objective.gradient(terms)
        step = -inverse @ g
        if fixed is not None:
            across = inverse @ fixed
            step -= across * (fixed @ step) / (fixed @ across)
        moved = objective.logits(step)
        rho = loss.ranges(moved)
        if rho < _QUADRATIC and rho > 0.5 * last:  # rounding: no further step is shorter
            break
        t, slope = 1.0, float(g @ step)
        while t * rho > _QUADRATIC and not loss.terms(Z + t * moved).loss <= terms.loss + 1e-4 * t * slope:
            t /= 2
        theta = theta + t * step
        Z = objective.logits(theta)
        terms = loss.terms(Z)
        if rho <= _DONE:
            break
        last = rho
    else:
        raise WrongValue("fit", f"{_STEPS} Newton steps from it reach no maximum", "train further: method='newton'")
    H = objective.curvature(terms.Y)
    inverse, error = _inverse(H)
    return Maximum(objective, theta, terms, H, inverse, error)


def _inverse(H: np.ndarray) -> tuple[np.ndarray, float]:
    """The inverse, and an estimate of its relative error."""
    found, error = definite_inverse(H), np.inf
    if found is not None:
        unit = np.sqrt(np.diagonal(H))
        condition = np.linalg.norm(H / unit / unit[:, None], 1) * np.linalg.norm(found * unit * unit[:, None], 1)
        error = len(H) * _EPS * float(condition)
    if found is None or error > _LEAST_DIGITS:
        raise WrongValue(
            "problem",
            "its information matrix is singular to working precision, so that no digit of a standard error is known",
            "drop features that others almost determine, or that hardly vary",
        )
    return found, error


def robust_covariance(maximum: Maximum) -> np.ndarray:
    """(r, r) the sandwich H⁻¹ M H⁻¹ in θ (S22), valid also where the model is not the one that made the data.

    An observation with label c has the score g = (y − e_c) ⊗ x (S2), and M = Σ g gᵀ over the observations (HC0).
    Weights are frequencies: a sample of weight s_n stands for s_n observations alike. Where row n of T has shares t_n,
    s_n t_nc of them have label c, and together they add

        s_n [S(t_n) + (y_n − t_n)(y_n − t_n)ᵀ] ⊗ x_n x_nᵀ,

    because Σ_c t_c (y − e_c)(y − e_c)ᵀ is the square of its mean y − t plus the covariance S(t) of e_c around it. So M
    does not depend on whether observations are listed or counted.
    """
    objective = maximum.objective
    data, space = objective.data, objective.space
    meat = np.zeros_like(maximum.inverse)
    if not (data.T.max(axis=1) == 1).all():
        meat += objective.curvature(data.T.T)  # Σ s S(t) ⊗ x xᵀ, 0 for labels
    residual = maximum.terms.residual.T / data.s[:, None]  # Y − T with the digits of dominating classes
    C, D = residual.shape[1], data.X.shape[1]
    many = max(1, _BLOCK_ENTRIES // (C * D))
    for start in range(0, data.X.shape[0], many):
        rows = slice(start, start + many)
        scores = space.pull(residual[rows, :, None] * data.X[rows, None, :])
        meat += scores.T @ (data.s[rows, None] * scores)
    return maximum.inverse @ meat @ maximum.inverse
