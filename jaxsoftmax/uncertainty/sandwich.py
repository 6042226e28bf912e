"""The robust covariance of estimates: the sandwich H⁻¹ M H⁻¹ with the observations' own scores in M (S22).

An observation with label c has the score g = (y − e_c) ⊗ x (S2), and M = Σ g gᵀ over the observations (HC0). Weights
are frequencies: a sample of weight s_n stands for s_n observations alike. Where row n of T has shares t_n, s_n t_nc of
them have label c, and together they add

    s_n [S(t_n) + (y_n − t_n)(y_n − t_n)ᵀ] ⊗ x_n x_nᵀ,

because Σ_c t_c (y − e_c)(y − e_c)ᵀ is the square of its mean y − t plus the covariance S(t) of e_c around it. So M does
not depend on whether observations are listed or counted.

Guarded by `tests/uncertainty/test_sandwich.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.uncertainty.maximum import Maximum

__all__ = ["robust_covariance"]

_BLOCK_ENTRIES = 2**22  # of scores that are held at once


def robust_covariance(maximum: Maximum) -> np.ndarray:
    """(r, r) the sandwich in the coordinates θ, valid also where the model is not the one that made the data."""
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
