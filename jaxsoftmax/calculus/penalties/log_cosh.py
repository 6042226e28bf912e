"""The log-cosh penalty, and log(2 cosh x), tanh x and sech² x without cancellation or overflow (S21b).

With e = exp(-2|x|) in (0, 1]: log(2 cosh x) = |x| + log1p(e), tanh|x| = -expm1(-2|x|)/(1 + e) and sech² x =
4e/(1 + e)², each within a few eps relative. 1 - tanh² would lose every digit of sech² from |x| = 18 on, and automatic
derivatives of |x| are wrong at 0, where training starts; so each is the rule of the one before.
Guarded by `tests/calculus/loss/test_penalty_sum.py`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.penalties.entrywise import Entrywise
from jaxsoftmax.linalg.enclosures import EXP_SLACK, UP, normal_or_zero
from jaxsoftmax.support.validation import positive_real

Array = jax.Array


@jax.custom_jvp
def log_cosh(x: Array) -> Array:
    """log(2 cosh x) = |x| + log1p(exp(-2|x|)), derivative tanh x."""
    return jnp.abs(x) + jnp.log1p(jnp.exp(-2 * jnp.abs(x)))


@jax.custom_jvp
def tanh(x: Array) -> Array:
    """tanh x, derivative sech² x; never beyond ±1."""
    a = -2 * jnp.abs(x)
    return jnp.sign(x) * (-jnp.expm1(a) / (1 + jnp.exp(a)))


@jax.custom_jvp
def sech_squared(x: Array) -> Array:
    """sech² x = 1/cosh² x, derivative -2 tanh x sech² x."""
    e = jnp.exp(-2 * jnp.abs(x))
    return 4 * e / (1 + e) ** 2


log_cosh.defjvps(lambda t, out, x: tanh(x) * t)
tanh.defjvps(lambda t, out, x: sech_squared(x) * t)
sech_squared.defjvps(lambda t, out, x: -2 * tanh(x) * sech_squared(x) * t)


class LogCosh(Entrywise):
    r"""The log-cosh penalty :math:`\frac{\alpha}{\gamma}\sum_{c,d}\log(2\cosh\gamma w_{cd})` (S21b).

    A smooth :math:`\alpha\lVert W\rVert_1`: gradient :math:`\alpha\tanh\gamma W`, never beyond α, and curvature
    :math:`\alpha\gamma\,\mathrm{sech}^2\gamma W`. It is strictly convex and coercive in the columns that it
    penalises; with the intercept left out, the null space and the existence of a minimiser are those of `L2` (S21e).
    Unlike L2 it does not keep 𝒦⊥ invariant, and with three classes or more :math:`\mathbf 1^\top W\ne 0` at its
    minimiser in general.

    Args:
        alpha: strength, one real number >= 0. A pytree leaf.
        gamma: sharpness, one finite real number > 0. A pytree leaf.
        penalize_intercept: whether the intercept column (the last, when ``problem.intercept``) is included.
            Static: changing it retraces.

    Raises:
        TypeError: a strength is not a real number, or `penalize_intercept` is not a bool.
        ValueError: `alpha` is negative, `gamma` is not positive, or one is not finite.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> js.LogCosh(0.1, 2.0)
        LogCosh(alpha=0.1, gamma=2.0, penalize_intercept=False)

    Source: Rychlik, arXiv:1903.12600 (whose code subtracts the gradient; here it is added, as S21b has it).
    """

    alpha: Any
    gamma: Any
    penalize_intercept: bool = False
    kind = "logcosh"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_real("gamma", self.gamma)

    @property
    def concordance(self) -> Any:
        """2γ: with h = αγ sech² γw, |h′| = 2γ |tanh γw| h."""
        return 2 * self.gamma

    def value(self, W: Array, held: Any) -> Array:
        """(α/γ) Σ log(2 cosh γw)."""
        return self.alpha / self.gamma * jnp.sum(log_cosh(self.gamma * W) * held)

    def gradient(self, W: Array, held: Any) -> Array:
        """α tanh γW."""
        return self.alpha * (tanh(self.gamma * W) * held)

    def curvatures(self, W: Array, held: Any) -> Array:
        """αγ sech² γW."""
        return self.alpha * self.gamma * sech_squared(self.gamma * W) * held

    def third_derivative(self, W: Array, held: Any, V: Array, U: Array) -> Array:
        """-2αγ² Σ sech² γw tanh γw v u²."""
        return jnp.sum(-2 * self.gamma * tanh(self.gamma * W) * self.curvatures(W, held) * V * U**2)

    def curvature_bound(self) -> float:
        """αγ."""
        return float(self.alpha) * float(self.gamma)

    def curvature_floor(self, largest: float) -> float:
        """αγ sech² γ|w| at the largest |w|, rounded up: 4e/(1 + e)² >= e for e <= 1 keeps it normal or 0."""
        e = float(normal_or_zero(math.exp(-2 * (float(self.gamma) * largest * UP))))
        return float(normal_or_zero(float(self.alpha) * float(self.gamma) * (4 * e / (1 + e) ** 2) * (1 - EXP_SLACK)))

    def excess(self, w: np.ndarray) -> float:
        """(α/γ) Σ log cosh γw."""
        x = float(self.gamma) * w
        # log cosh x = log1p(2 sinh²(x/2)), which keeps its digits near 0
        near = np.log1p(2 * np.sinh(np.minimum(x, 1.0) / 2) ** 2)
        rows = np.where(x < 1, near, x + np.log1p(np.exp(-2 * x)) - math.log(2.0))
        return float(self.alpha) / float(self.gamma) * np.sum(rows)

    def log_floor(self, excess: float) -> list[float]:
        """log αγ - 2γE/α: one entry's (α/γ) log cosh γw is at most E, and sech² = exp(-2 log cosh)."""
        alpha, gamma = float(self.alpha), float(self.gamma)
        return [math.log(alpha), math.log(gamma), -2 * gamma * excess / alpha]
