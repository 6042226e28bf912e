"""Separated data: the face on which the likelihood still has a maximum, and which coefficients run to infinity (S11).

Where a direction V separates pairs P of a sample and another class, the likelihood rises along V for ever. Its
supremum is the maximum of the likelihood with the pairs P dropped from the row sums, if no direction separates more.
Coefficients on which all maxima of the face agree are finite and have the standard errors of the face; those that move
along V run to infinity, with the sign of V; what moves neither way is not identified.

Guarded by `tests/uncertainty/test_separated.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.proof.existence.status import Separation
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.uncertainty.likelihood import Likelihood

__all__ = ["face_mask", "signs_along"]


def face_mask(data: Likelihood, verdict: ExistenceVerdict) -> np.ndarray:
    """(n, C) bool: the classes that stay in each row's sum, the target's own among them.

    Raises:
        ValueError: the verdict does not say which pairs a direction can separate at most.
    """
    separated = verdict.separated
    if separated is None or not (verdict.type is Separation.COMPLETE or verdict.face_maximal):
        raise WrongValue(
            "fit",
            "no minimiser exists, and which coefficients are finite is not known, for another direction may separate "
            f"more. {sentence(verdict)}",
            "pass existence=jaxsoftmax.decide_existence(problem, decimal=True, budget=600), if the data are decimals",
        )
    if separated.shape != (data.given.N, data.given.C):
        raise WrongValue("existence", "the verdict is about other data", "give decide_existence(problem)")
    support = data.T > 0
    return support | ~separated[data.rows]


def sentence(verdict: ExistenceVerdict) -> str:
    """What the verdict says, in one line."""
    return " ".join(verdict.explain().splitlines())


def signs_along(verdict: ExistenceVerdict, reference: int | None) -> np.ndarray:
    """(K, D) -1, 0, 1: the sign of V, exact, in the gauge shown: against the class `reference`, or sum to zero."""
    V: Any = verdict.direction
    if reference is None:
        moved = V * len(V) - V.sum(axis=0)
    else:
        moved = np.delete(V - V[reference], reference, axis=0)
    return (moved > 0).astype(np.int8) - (moved < 0).astype(np.int8)
