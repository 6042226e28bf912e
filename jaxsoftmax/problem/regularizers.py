"""Regularisers as data (S21 a, b, d): which penalty, how strong; the formulas live in calculus/loss/penalties.py.

Each is a frozen pytree whose strengths are leaves, so that changing them retraces nothing. They compose by
``+``: ``L2(0.1) + SelfRegularizer(0.5)`` is the tuple of both, which is what ``Problem`` takes.
Values are checked by the constructors and never when JAX rebuilds a tree.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import flag, is_traced, kind_of, nonnegative_real, positive_real, real_number, show


def _plain(value: Any) -> Any:
    """A concrete 0-d array as the Python number it holds, for reading; anything else as it is."""
    if isinstance(value, (jax.Array, np.ndarray, np.generic)) and not is_traced(value) and value.shape == ():
        return np.asarray(value).item()
    return value


class _Regularizer:
    """Composition by ``+``, shared by every regulariser."""

    def __add__(self, other: Any) -> tuple:
        if isinstance(other, _Regularizer):
            return (self, other)
        return (self, *other) if isinstance(other, (tuple, list)) else NotImplemented

    def __radd__(self, other: Any) -> tuple:
        if isinstance(other, int) and other == 0:  # so that sum([...]) composes
            return (self,)
        return (*other, self) if isinstance(other, (tuple, list)) else NotImplemented


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class L2(_Regularizer):
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

    def __post_init__(self) -> None:
        nonnegative_real("alpha", self.alpha)
        object.__setattr__(self, "penalize_intercept", flag("penalize_intercept", self.penalize_intercept))

    def __repr__(self) -> str:
        return f"L2(alpha={_plain(self.alpha)}, penalize_intercept={self.penalize_intercept})"

    def tree_flatten_with_keys(self):
        """Children with readable key paths; `penalize_intercept` is static."""
        return ((jax.tree_util.GetAttrKey("alpha"), self.alpha),), self.penalize_intercept

    @classmethod
    def tree_unflatten(cls, aux: bool, children) -> L2:
        """Rebuild without validation: JAX also puts tracers and placeholders into leaves."""
        new = object.__new__(cls)
        object.__setattr__(new, "alpha", children[0])
        object.__setattr__(new, "penalize_intercept", aux)
        return new


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LogCosh(_Regularizer):
    r"""The log-cosh penalty :math:`\frac{\alpha}{\gamma}\sum_{c,d}\log(2\cosh\gamma w_{cd})` (S21b).

    A smooth :math:`\alpha\lVert W\rVert_1`: gradient :math:`\alpha\tanh\gamma W`, never beyond α, and curvature
    :math:`\alpha\gamma\,\mathrm{sech}^2\gamma W`. It is strictly convex and coercive in the columns that it
    penalises; with the intercept left out, the kernel and the existence of a minimiser are those of `L2` (S21e).
    Unlike L2 it does not keep 𝒦⊥ invariant, and :math:`\mathbf 1^\top W\ne 0` at its minimiser.

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

    def __post_init__(self) -> None:
        nonnegative_real("alpha", self.alpha)
        positive_real("gamma", self.gamma)
        object.__setattr__(self, "penalize_intercept", flag("penalize_intercept", self.penalize_intercept))

    def __repr__(self) -> str:
        return (
            f"LogCosh(alpha={_plain(self.alpha)}, gamma={_plain(self.gamma)}, "
            f"penalize_intercept={self.penalize_intercept})"
        )

    def tree_flatten_with_keys(self):
        """Children with readable key paths; `penalize_intercept` is static."""
        children = ((jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in ("alpha", "gamma"))
        return tuple(children), self.penalize_intercept

    @classmethod
    def tree_unflatten(cls, aux: bool, children) -> LogCosh:
        """Rebuild without validation: JAX also puts tracers and placeholders into leaves."""
        new = object.__new__(cls)
        for name, value in zip(("alpha", "gamma", "penalize_intercept"), (*children, aux), strict=True):
            object.__setattr__(new, name, value)
        return new


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SelfRegularizer(_Regularizer):
    r"""The self-regulariser :math:`\sum_d [\mathrm{lse}(\gamma w_{\cdot d}) - \gamma\,\mathrm{mean}(w_{\cdot d})]`.

    (S21d) It is the loss of D extra samples :math:`\gamma e_d` with uniform targets, over all D columns, the
    intercept column included: a minimiser then always exists and the kernel is exactly the gauge.

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

    def __post_init__(self) -> None:
        real_number("gamma", self.gamma)
        if not is_traced(self.gamma) and self.gamma == 0:
            raise WrongValue("gamma", "got 0", "give another number, or leave this penalty out")

    def __repr__(self) -> str:
        return f"SelfRegularizer(gamma={_plain(self.gamma)})"

    def tree_flatten_with_keys(self):
        """Children with readable key paths; nothing is static."""
        return ((jax.tree_util.GetAttrKey("gamma"), self.gamma),), None

    @classmethod
    def tree_unflatten(cls, aux: None, children) -> SelfRegularizer:
        """Rebuild without validation: JAX also puts tracers and placeholders into leaves."""
        new = object.__new__(cls)
        object.__setattr__(new, "gamma", children[0])
        return new


def as_regularizers(value: Any) -> tuple:
    """A tuple of regularisers from None, one regulariser, or a tuple or list of them.

    Raises:
        TypeError: something else is given.
    """
    parts = () if value is None else (value,) if isinstance(value, _Regularizer) else value
    if not isinstance(parts, (tuple, list)) or not all(isinstance(part, _Regularizer) for part in parts):
        raise WrongType(
            "regularizer",
            f"got {show(value)}, {kind_of(value)}",
            "give js.L2(alpha), js.LogCosh(alpha, gamma), js.SelfRegularizer(gamma), their sum, or a tuple of them",
        )
    return tuple(parts)


def cast_strengths(parts: tuple, dtype: np.dtype) -> tuple:
    """The regularisers with their strengths as JAX scalars of `dtype`.

    Raises:
        ValueError: a strength overflows `dtype`, or is not 0 but vanishes in it (a penalty would be lost silently).
    """

    def cast(leaf: Any) -> jax.Array:
        if is_traced(leaf):
            return leaf.astype(dtype)
        number = float(leaf)
        with np.errstate(over="ignore"):
            rounded = np.asarray(number).astype(dtype)
        if not np.isfinite(rounded) or (number != 0 and abs(rounded) < np.finfo(dtype).tiny):
            given = f"strength {number} is outside the normal range of {dtype}"
            raise WrongValue("regularizer", given, "rescale it, or choose the dtype 'float64'")
        return jnp.asarray(rounded)

    return jax.tree.map(cast, parts)
