"""What a sum over the entries of W adds to the protocol of a regulariser: its bounds, and its Hessian (S21 a, b).

R(W) = Σ r(w_cd) over the columns that R holds, r even, convex and least at 0.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxsoftmax.problem.regularizers import Regularizer
from jaxsoftmax.support.validation import flag, nonnegative_real


class Entrywise(Regularizer):
    """The protocol of a penalty on the entries of W, those of the intercept included or not; `alpha` is its strength.

    The host's bounds are Python floats in float64 from concrete strengths; whoever asks rounds them outwards.
    """

    alpha: Any

    def __post_init__(self) -> None:
        nonnegative_real("alpha", self.alpha)
        object.__setattr__(self, "penalize_intercept", flag("penalize_intercept", self.penalize_intercept))

    @property
    def strength(self) -> Any:
        """α."""
        return self.alpha

    @abstractmethod
    def curvatures(self, W: Array, held: Any) -> Array:
        """r″(w_cd) on the columns held, 0 elsewhere: the Hessian's diagonal, (C, D) or (D,)."""

    @abstractmethod
    def curvature_bound(self) -> float:
        """The largest r″ (S7a, S19), to a few roundings."""

    @abstractmethod
    def curvature_floor(self, largest: float) -> float:
        """A lower bound for r″ over |w| <= `largest` (S7c), to a few roundings of the product with α."""

    @abstractmethod
    def excess(self, w: np.ndarray) -> float:
        """R(W) - R(0) of the entries |w| that are held (S18), within γ_{n+8} + 4 EXP_SLACK relative for n entries."""

    @abstractmethod
    def log_floor(self, excess: float) -> list[float]:
        """Terms whose sum is the log of a lower bound for r″ over the entries with r(w) - r(0) <= `excess` (S18)."""

    def hvp(self, W: Array, held: Any, V: Array) -> Array:
        """r″ ∘ V."""
        return self.curvatures(W, held) * V

    def quadratic_form(self, W: Array, held: Any, V: Array) -> Array:
        """Σ r″ v²."""
        return jnp.sum(self.curvatures(W, held) * V**2)

    def class_blocks(self, W: Array, held: Any) -> Array:
        """r″ where the classes are equal."""
        return jnp.eye(len(W), dtype=W.dtype)[:, :, None] * self.curvatures(W, held)
