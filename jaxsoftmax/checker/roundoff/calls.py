"""One equation seen by a rounding rule: its values, their errors in units of u, and the arithmetic they are bounds for.

An error is a nonnegative real array of the value's shape, or None where the value is known exactly. Rules are linear
in u: products of errors are dropped, and an error of 0 times an infinite slope counts as 0 (sqrt at an exact 0).

Guarded by `tests/checker/roundoff/test_interpreter.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxsoftmax.checker.jaxprs import equations

Errors = list[jax.Array | None]


@dataclass(frozen=True)
class Arithmetic:
    """The working precision that the errors are bounds for.

    Attributes:
        tiny_over_u: smallest normal number of the working dtype over its unit roundoff; 0 leaves underflow out.
        matmul_units: roundoff of a factor of a matrix product over u (TF32 under float32: 2^13); 1 for none.
        digits: binary digits of the working dtype's significand (8, 11, 24, 53); None where it is not known, and
            then literals count as exact only when 8 digits hold them.
        huge: largest finite number of the working dtype; a value beyond it has an error of inf.
    """

    tiny_over_u: float = 0.0
    matmul_units: float = 1.0
    digits: int | None = None
    huge: float = math.inf

    @property
    def held_digits(self) -> int:
        """The binary digits within which a constant is surely representable."""
        return 8 if self.digits is None else self.digits

    @property
    def underflow_gate(self) -> float:
        """Magnitude below which a result may underflow: 2 tiny, or tiny/u (too much, still sound) without digits."""
        return self.tiny_over_u * (1.0 if self.digits is None else 2.0 ** (1 - self.digits))

    def size(self, out: jax.Array) -> jax.Array:
        """What one rounding of `out` errs by, in units of u: |out|, or tiny/u where out may underflow.

        Exact zeros stay exact: a sum or product that is 0 in float64 is 0 or flushed to 0 in the working dtype.
        Infinities and NaN are the same in both and count nothing.
        """
        size = jnp.abs(out)
        if self.tiny_over_u:
            size = jnp.where((size < self.underflow_gate) & (size > 0), self.tiny_over_u, size)
        return jnp.where(jnp.isfinite(size), size, 0.0)


@dataclass
class Call:
    """One equation of a jaxpr with the values and errors of its operands."""

    primitive: Any
    params: dict[str, Any]
    values: list[Any]
    errors: Errors
    arithmetic: Arithmetic
    generic: list[str]

    @property
    def name(self) -> str:
        """The primitive's name."""
        return self.primitive.name

    def bind(self, *values: Any, **changed: Any) -> list[Any]:
        """The primitive applied to `values`, always as a list of outputs."""
        return equations.bind(self, values, {**self.params, **changed})

    @property
    def exact(self) -> bool:
        """Whether every operand is known exactly."""
        return all(error is None for error in self.errors)

    def dense_errors(self) -> list[jax.Array]:
        """The operands' errors, zeros where exact."""
        return [zeros(v) if e is None else e for v, e in zip(self.values, self.errors, strict=True)]

    def moved(self, **changed: Any) -> list[Any]:
        """The primitive applied to the errors of its float operands, integer operands as they are."""
        pairs = zip(self.values, self.dense_errors(), strict=True)
        return self.bind(*[e if is_float(v) else v for v, e in pairs], **changed)


Rule = Callable[[Call, list[Any]], Errors]


def is_float(value: Any) -> bool:
    """Whether a value is real or complex floating point, so that it can carry an error."""
    dtype = getattr(value, "dtype", None)
    dtype = np.result_type(value) if dtype is None else dtype
    return bool(jnp.issubdtype(dtype, np.inexact))


def real_dtype(value: Any) -> Any:
    """The dtype of a value's errors: its own, or its real part's."""
    return jnp.finfo(value.dtype).dtype if is_float(value) else jnp.result_type(float)


def zeros(value: Any) -> jax.Array:
    """A zero error for `value`."""
    return jnp.zeros(np.shape(value), real_dtype(value))


def times(slope: jax.Array, error: jax.Array) -> jax.Array:
    """|slope| error, 0 where either is 0."""
    return jnp.where((slope == 0) | (error == 0), 0.0, jnp.abs(slope) * error)


def total(*errors: jax.Array | None) -> jax.Array | None:
    """The sum of errors, None when all are."""
    known = [error for error in errors if error is not None]
    return sum(known[1:], known[0]) if known else None


def slope_times(function: Callable[[Any], Any], at: jax.Array, error: jax.Array) -> jax.Array:
    """|f'(at)| error for an elementwise f, 0 where the error is 0."""
    slope = jax.jvp(function, (at,), (error.astype(at.dtype),))[1]
    return jnp.where(error == 0, 0.0, jnp.abs(slope))


def sum_growth(n: int) -> float:
    """K(n): the rounding of a sum of n terms is at most K u sum|terms|, K = min(n - 1, 4 + 2 sqrt(n)).

    n - 1 is the worst case of any order; the square root holds with overwhelming probability for independent or
    mean-independent roundings (Higham and Mary, SIAM J. Sci. Comput. 41 (2019)), with 2 standard deviations to spare.
    """
    return float(min(max(n - 1, 0), 4 + 2 * math.sqrt(max(n, 0))))


def number(value: Any) -> float | None:
    """The number behind a literal operand, None for anything else."""
    if isinstance(value, (np.ndarray, np.generic, float, int)) and np.size(value) == 1 and not np.iscomplexobj(value):
        return float(np.reshape(np.asarray(value, np.float64), ()))
    return None


def fits(values: Any, digits: int) -> np.ndarray:
    """Entrywise: whether `digits` binary digits hold each number (its exponent is not looked at).

    Example:
        >>> import numpy as np
        >>> fits(np.array([0.5, 3.0, 0.1]), 8).tolist()
        [True, True, False]
    """
    mantissa = np.frexp(np.asarray(values, np.float64))[0] * 2.0**digits
    return np.logical_or(mantissa == np.floor(mantissa), ~np.isfinite(mantissa))


def constant_error(value: Any, arithmetic: Arithmetic) -> jax.Array | None:
    """The error of a constant that the working program rounds to its dtype: |c| where the digits do not hold c."""
    digits = arithmetic.held_digits
    if not is_float(value) or digits >= 53:
        return None
    if isinstance(value, Tracer) or np.iscomplexobj(value):
        held = jax.lax.reduce_precision(jnp.real(value), 11, digits - 1)
        if np.iscomplexobj(value):
            return jnp.where((held == jnp.real(value)) & (jnp.imag(value) == 0), 0.0, jnp.abs(value))
        return jnp.where(held == value, 0.0, jnp.abs(value))
    known = fits(value, digits)
    return None if known.all() else jnp.asarray(np.where(known, 0.0, np.abs(np.asarray(value))), real_dtype(value))


def roundings(value: Any) -> float:
    """What a product errs by, in units of u times its modulus: 1, and √5 < 3 of complex numbers (four products).

    Source: Brent, Percival and Zimmermann, Error bounds on complex multiplication, Math. Comp. 76.
    """
    return 3.0 if np.iscomplexobj(value) else 1.0


def quotient_roundings(value: Any) -> float:
    """What a division errs by, in units of u times the quotient: XLA may multiply by a rounded reciprocal instead."""
    return 8.0 if np.iscomplexobj(value) else 2.0


def infinite_if_unknown(error: jax.Array | None) -> jax.Array | None:
    """An error of NaN (an infinite one times 0) made inf: no bound is known."""
    return None if error is None else jnp.where(jnp.isnan(error), jnp.inf, error)


def literal_value(atom: Any) -> np.ndarray:
    """The number behind a literal in the dtype of its trace."""
    return np.asarray(atom.val, atom.aval.dtype)
