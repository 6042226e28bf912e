"""What a problem knows of a regulariser (S21): the protocol, composition by ``+``, and strengths as leaves.

A regulariser is one class of `calculus/penalties/`: its strengths and its formulas. This module and those above it know
none by name. Each is a frozen pytree whose strengths are leaves, so that changing them retraces nothing. They compose
by ``+``: ``L2(0.1) + SelfRegularizer(0.5)`` is the tuple of both, which is what ``Problem`` takes.
Values are checked by the constructors and never when JAX rebuilds a tree.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import is_traced, kind_of, show

Array = jax.Array


def _plain(value: Any) -> Any:
    """A concrete 0-d array as the Python number it holds, for reading; anything else as it is."""
    if isinstance(value, (jax.Array, np.ndarray, np.generic)) and not is_traced(value) and value.shape == ():
        return np.asarray(value).item()
    return value


@dataclass_transform(frozen_default=True, eq_default=False)
class Regularizer(ABC):
    """The protocol of a regulariser R: convex, smooth, its Hessian diagonal over features.

    A subclass becomes a frozen dataclass and a pytree. Its fields are its strengths, which are the leaves, and last,
    where it has a choice, `penalize_intercept`, which is static. It is either a sum over the entries of W, whose
    further bounds `calculus/penalties/entrywise.py` lists, or the loss of the samples that `sample_scale` tells of.

    W, V and U are (C, D). `held` is a (D,) array of their dtype: 1 for a column that R acts on, 0 for an intercept that
    it leaves out. The formulas run under jit.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    kind: ClassVar[str]
    """Its word in a problem's text form."""
    penalize_intercept: bool
    """Whether R acts on the intercept column too."""
    sample_scale: Any = None
    """γ where R is the loss of D more samples γ e_d with uniform targets (S21d); None for a sum over entries."""
    concordance: Any
    """M with |r‴| <= M r″ for a sum of r(w_cd), so that |D³R[V, U, U]| <= M max|v_cd| D²R[U, U] (S8, S13). None where
    r is (α/2)w² (S21a), the one sum over entries that a certificate covers, and for the loss of samples."""
    strength: Any
    """α or |γ|, >= 0: the size of the gradient's entries to which the stopping test compares. Where it is not 0, R
    grows along all directions in its columns, but for the gauge where it is the loss of samples (S21e)."""

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        jax.tree_util.register_pytree_with_keys_class(cls)

    @abstractmethod
    def value(self, W: Array, held: Any) -> Array:
        """R(W), a scalar."""

    @abstractmethod
    def gradient(self, W: Array, held: Any) -> Array:
        """∇R(W), (C, D)."""

    @abstractmethod
    def hvp(self, W: Array, held: Any, V: Array) -> Array:
        """D²R(W)[V, ·], (C, D)."""

    @abstractmethod
    def quadratic_form(self, W: Array, held: Any, V: Array) -> Array:
        """D²R(W)[V, V], a scalar that is never negative, as a sum of squares or variances (S5)."""

    @abstractmethod
    def third_derivative(self, W: Array, held: Any, V: Array, U: Array) -> Array:
        """D³R(W)[V, U, U], a scalar (S8)."""

    @abstractmethod
    def class_blocks(self, W: Array, held: Any) -> Array:
        """What broadcasts to (C, C, D): (a, b, d) is the Hessian's entry ((a, d), (b, d)); all others vanish."""

    def dump_line(self, number: Callable[[Any], str]) -> str:
        """Its line in a problem's text form: its kind, its strengths as `number` writes them, the intercept's flag."""
        values = [getattr(self, f.name) for f in dataclasses.fields(self)]
        return " ".join([self.kind, *(str(int(v)) if isinstance(v, bool) else number(v) for v in values)])

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)
        return f"{type(self).__name__}({', '.join(f'{f.name}={_plain(getattr(self, f.name))}' for f in fields)})"

    def tree_flatten_with_keys(self) -> tuple[tuple[tuple[Any, Any], ...], bool]:
        """Strengths with readable key paths; `penalize_intercept` is static."""
        names = [f.name for f in dataclasses.fields(self) if f.name != "penalize_intercept"]
        return tuple((jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in names), self.penalize_intercept

    @classmethod
    def tree_unflatten(cls, aux: bool, children: Any) -> Any:
        """Rebuild without validation: JAX also puts tracers and placeholders into leaves."""
        new = object.__new__(cls)
        for field, value in zip(dataclasses.fields(cls), (*children, aux), strict=False):
            object.__setattr__(new, field.name, value)
        return new

    def __add__(self, other: Any) -> tuple[Any, ...]:
        return (self, *as_regularizers(other))

    def __radd__(self, other: Any) -> tuple[Any, ...]:
        start = isinstance(other, int) and other == 0  # of sum([...])
        return (*as_regularizers(None if start else other), self)


def as_regularizers(value: Any) -> tuple[Any, ...]:
    """A tuple of regularisers from None, one regulariser, or a tuple or list of them.

    Raises:
        TypeError: something else is given.
    """
    parts = () if value is None else (value,) if isinstance(value, Regularizer) else value
    if not isinstance(parts, (tuple, list)) or not all(isinstance(part, Regularizer) for part in parts):
        raise WrongType(
            "regularizer",
            f"got {show(value)}, {kind_of(value)}",
            "give js.L2(alpha), js.LogCosh(alpha, gamma), js.SelfRegularizer(gamma), their sum, or a tuple of them",
        )
    return tuple(parts)


def cast_strengths(parts: tuple[Any, ...], dtype: np.dtype) -> tuple[Any, ...]:
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
