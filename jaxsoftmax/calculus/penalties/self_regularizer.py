"""The self-regulariser: the loss of D more samples γ e_d with uniform targets (S21d).

Its logits are the rows of γ Wᵀ, so S2 and S4 apply to (D, C) rows.

Guarded by `tests/calculus/loss/test_penalty_sum.py`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxsoftmax.calculus.loss.rules import cross_entropy_rows, residual_rows, softmax_rows
from jaxsoftmax.linalg.stable_softmax import centred
from jaxsoftmax.problem.regularizers import Regularizer
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import is_traced, real_number


class SelfRegularizer(Regularizer):
    r"""The self-regulariser :math:`\sum_d [\mathrm{lse}(\gamma w_{\cdot d}) - \gamma\,\mathrm{mean}(w_{\cdot d})]`.

    (S21d) It is the loss of D extra samples :math:`\gamma e_d` with uniform targets, over all D columns, the
    intercept column included: a minimiser then always exists, and the loss is constant along the gauge alone.

    Args:
        gamma: scale of the extra samples, one finite real number, not 0. A pytree leaf.

    Raises:
        TypeError: `gamma` is not a real number.
        ValueError: `gamma` is 0 or not finite.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> js.SelfRegularizer(0.5)
        SelfRegularizer(gamma=0.5)

    Source: Rychlik, arXiv:1903.12600.
    """

    gamma: Any
    kind = "self"
    penalize_intercept = True
    concordance = None

    def __post_init__(self) -> None:
        real_number("gamma", self.gamma)
        if not is_traced(self.gamma) and self.gamma == 0:
            raise WrongValue("gamma", "got 0", "give another number, or leave this penalty out")

    @property
    def sample_scale(self) -> Any:
        """γ."""
        return self.gamma

    @property
    def strength(self) -> Any:
        """|γ|."""
        return abs(self.gamma)

    def value(self, W: Array, held: Any) -> Array:
        """Σ_d [lse(γ w_d) - γ mean(w_d)]."""
        return jnp.sum(cross_entropy_rows(self.gamma * W.T, jnp.full_like(W.T, 1.0 / len(W))))

    def gradient(self, W: Array, held: Any) -> Array:
        """γ (softmax(γ w_d) - 1/C) on column d."""
        return self.gamma * residual_rows(self.gamma * W.T, jnp.full_like(W.T, 1.0 / len(W))).T

    def hvp(self, W: Array, held: Any, V: Array) -> Array:
        """γ² S(softmax(γ w_d)) v_d on column d."""
        y = softmax_rows(self.gamma * W.T)
        return self.gamma**2 * (y * centred(y, V.T)).T

    def quadratic_form(self, W: Array, held: Any, V: Array) -> Array:
        """γ² times a sum of variances (S4)."""
        y = softmax_rows(self.gamma * W.T)
        return self.gamma**2 * jnp.sum(y * centred(y, V.T) ** 2)

    def third_derivative(self, W: Array, held: Any, V: Array, U: Array) -> Array:
        """γ³ times a sum of third cumulants (S8)."""
        y = softmax_rows(self.gamma * W.T)
        return self.gamma**3 * jnp.sum(y * centred(y, V.T) * centred(y, U.T) ** 2)

    def class_blocks(self, W: Array, held: Any) -> Array:
        """γ² S(y_d): off the diagonal -y_a y_b; on it the sum of the others (S3), which keeps relative accuracy."""
        eye = jnp.eye(len(W), dtype=W.dtype)[:, :, None]
        y = softmax_rows(self.gamma * W.T).T
        pairs = self.gamma**2 * y[:, None, :] * y[None, :, :] * (1 - eye)
        return eye * jnp.sum(pairs, axis=1)[:, None, :] - pairs
