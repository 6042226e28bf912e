"""The L2 penalty (α/2)‖W‖² (S21a). Guarded by `tests/calculus/loss/test_penalty_sum.py`."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxsoftmax.calculus.penalties.entrywise import Entrywise


class L2(Entrywise):
    r"""The ridge penalty :math:`\frac{\alpha}{2}\lVert W\rVert_F^2` (S21a).

    Args:
        alpha: strength, one real number >= 0. A pytree leaf: traced values are fine.
        penalize_intercept: whether the intercept column (the last, when ``problem.intercept``) is included.
            Static: changing it retraces.

    Raises:
        TypeError: `alpha` is not a real number, or `penalize_intercept` is not a bool.
        ValueError: `alpha` is negative or not finite.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> js.L2(0.1)
        L2(alpha=0.1, penalize_intercept=False)
        >>> js.L2(0.1) + js.SelfRegularizer(0.5)
        (L2(alpha=0.1, penalize_intercept=False), SelfRegularizer(gamma=0.5))

    Source: Rychlik, arXiv:1903.12600 (whose code has the loss α‖W‖² beside the gradient αW; here the two agree).
    """

    alpha: Any
    penalize_intercept: bool = False
    kind = "l2"
    concordance = None

    def value(self, W: Array, held: Any) -> Array:
        """(α/2) Σ w²."""
        return 0.5 * self.alpha * jnp.sum(W * (W * held))

    def gradient(self, W: Array, held: Any) -> Array:
        """α W."""
        return self.alpha * (W * held)

    def curvatures(self, W: Array, held: Any) -> Array:
        """α."""
        return self.alpha * held

    def hvp(self, W: Array, held: Any, V: Array) -> Array:
        """α V."""
        return self.alpha * (V * held)

    def quadratic_form(self, W: Array, held: Any, V: Array) -> Array:
        """α Σ v²."""
        return self.alpha * jnp.sum(V * (V * held))

    def third_derivative(self, W: Array, held: Any, V: Array, U: Array) -> Array:
        """0."""
        return jnp.zeros((), V.dtype)

    def curvature_bound(self) -> float:
        """α."""
        return float(self.alpha)

    def curvature_floor(self, largest: float) -> float:
        """α."""
        return float(self.alpha)

    def excess(self, w: Any) -> float:
        """(α/2) Σ w²."""
        return float(self.alpha) / 2 * (w * w).sum()

    def log_floor(self, excess: float) -> list[float]:
        """log α."""
        return [math.log(float(self.alpha))]
