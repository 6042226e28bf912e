"""How each primitive acts on complex operands so that it is the analytic continuation of the real one.

A rule takes the operands (complex where perturbed, real or integer elsewhere) and the primitive's parameters. The
primitives whose complex version in XLA loses digits of a tiny imaginary part, or takes another branch, are written
out by identities; those that look at order (max, sort, abs, clamp) decide on the real parts, as the real function does.

Guarded by `tests/checker/jaxprs/test_complex_step.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

LOG2 = math.log(2.0)
NAN = complex(math.nan, math.nan)  # jnp.nan alone would leave the imaginary part 0


def lift(x: Any) -> Any:
    """A floating array as complex128; integers and booleans as they are."""
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, np.complexfloating):
        return x
    return x.astype(np.complex128) if jnp.issubdtype(x.dtype, np.floating) else x


def real(x: Any) -> Any:
    """The real part of a complex array, other arrays as they are."""
    return x.real if jnp.issubdtype(jnp.asarray(x).dtype, np.complexfloating) else x


def _number(x: Any) -> Any:
    """Any numeric operand as complex128 (the integer exponent of `pow`, say)."""
    return jnp.asarray(x).astype(np.complex128)


def _maximum(x: Any, y: Any, sign: float = 1.0) -> Any:
    """max (or min for sign −1) by the real parts; at a tie the mean, which is what a central difference sees."""
    a, b = sign * x.real, sign * y.real
    chosen = jnp.where(a > b, x, jnp.where(a < b, y, 0.5 * x + 0.5 * y))
    return jnp.where(jnp.isnan(a + b), NAN, chosen)


def _of_axes(sign: float, x: Any, *, axes: tuple[int, ...], **_: Any) -> Any:
    """reduce_max / reduce_min: the mean of the entries at the extremum."""
    extreme = (jnp.max if sign > 0 else jnp.min)(x.real, axis=axes, keepdims=True)
    at = (x.real == extreme).astype(x.real.dtype)
    imag = jnp.sum(at * x.imag, axis=axes) / jnp.sum(at, axis=axes)
    return lax.complex(jnp.squeeze(extreme, axes), imag)


def _running(sign: float, x: Any, *, axis: int, reverse: bool) -> Any:
    """cummax / cummin."""
    return lax.associative_scan(functools.partial(_maximum, sign=sign), x, axis=axis, reverse=reverse)


def _absolute(x: Any) -> Any:
    return jnp.sign(x.real) * x


def _clamp(low: Any, x: Any, high: Any) -> Any:
    inside = jnp.where(x.real < low.real, low, x)
    return jnp.where(x.real > high.real, high, inside)


def _divide(x: Any, y: Any) -> Any:
    """Smith's quotient: the real part of the divisor is the larger one, so nothing is squared and may overflow."""
    ratio = y.imag / y.real
    below = y.real + y.imag * ratio
    return lax.complex((x.real + x.imag * ratio) / below, (x.imag - x.real * ratio) / below)


def _remainder(x: Any, y: Any) -> Any:
    """x − qy with the integer q of the real parts."""
    rest = lax.rem(x.real, y.real)
    return lax.complex(rest, x.imag - jnp.round((x.real - rest) / y.real) * y.imag)


def _exp2(x: Any, **_: Any) -> Any:
    """2^{Re z}·e^{i ln2 Im z}: e^{z ln 2} would lose |Re z| ulps."""
    return jnp.exp2(x.real) * jnp.exp(lax.complex(jnp.zeros_like(x.real), LOG2 * x.imag))


def _expm1(x: Any, **params: Any) -> Any:
    """Below −1 as e^z − 1: XLA's imaginary part there is (expm1(Re z) + 1) sin(Im z), which cancels."""
    return jnp.where(x.real < -1, jnp.exp(x) - 1, lax.expm1_p.bind(x, **params))


def _cosh(x: Any, **_: Any) -> Any:
    """cosh a cos b + i sinh a sin b: XLA's (e^z + e^{−z})/2 has an imaginary part that cancels at small Re z."""
    a, b = x.real, x.imag
    return lax.complex(jnp.cosh(a) * jnp.cos(b), jnp.sinh(a) * jnp.sin(b))


def _sinh(x: Any, **_: Any) -> Any:
    """sinh a cos b + i cosh a sin b, for the same reason (there it is the real part that cancels)."""
    a, b = x.real, x.imag
    return lax.complex(jnp.sinh(a) * jnp.cos(b), jnp.cosh(a) * jnp.sin(b))


def _log_of_ratio(z: Any) -> Any:
    """log(z / Re z): about i·Im z / Re z, with no digits lost."""
    return jnp.log1p(lax.complex(jnp.zeros_like(z.real), z.imag / z.real))


def _cbrt(x: Any, **_: Any) -> Any:
    """cbrt(Re z)·e^{log(z/Re z)/3}; at 0 the slope is infinite, and NaN says that there is none."""
    return jnp.cbrt(x.real) * jnp.exp(_log_of_ratio(x) / 3)


def _power(x: Any, y: Any, **_: Any) -> Any:
    """(Re x)^{Re y}·e^{Re y log(x/Re x) + i Im y log x}: e^{y log x} would lose |y log x| ulps."""
    x, y = _number(x), _number(y)
    moved = jnp.where(y.imag == 0, 0, lax.complex(jnp.zeros_like(y.imag), y.imag) * jnp.log(x))
    away = x.real != 0
    stable = jnp.power(x.real, y.real) * jnp.exp(y.real * _log_of_ratio(jnp.where(away, x, 1)) + moved)
    bad = (x.real < 0) & (y.imag != 0)  # the real power has no derivative by its exponent there
    return jnp.where(bad, NAN, jnp.where(away, stable, jnp.power(x, y)))


def _atan2(y: Any, x: Any, **_: Any) -> Any:
    """Turned so that the quotient is at most 1; the turn is a constant."""
    steep = jnp.abs(y.real) > jnp.abs(x.real)
    below = jnp.where(steep, y, x)
    angle = jnp.arctan(_divide(jnp.where(steep, -x, y), jnp.where(below.real == 0, NAN, below)))
    return lax.complex(jnp.arctan2(y.real, x.real), angle.imag)


def _sort(*operands: Any, dimension: int, is_stable: bool, num_keys: int) -> list[Any]:
    """The order of the real parts, applied to all operands."""
    places = lax.broadcasted_iota(np.int32, operands[0].shape, dimension)
    keys = [real(key) for key in operands[:num_keys]]
    order = lax.sort((*keys, places), dimension=dimension, is_stable=is_stable, num_keys=num_keys)[-1]
    return [jnp.take_along_axis(operand, order, axis=dimension) for operand in operands]


def _top_k(x: Any, *, k: int, axis: int = -1, **_: Any) -> list[Any]:
    """The k largest real parts."""
    last = jnp.moveaxis(x, axis, -1)
    places = lax.top_k(last.real, k)[1]
    return [jnp.moveaxis(out, -1, axis) for out in (jnp.take_along_axis(last, places, axis=-1), places)]


def _scatter(function: Callable[..., Any], operand: Any, indices: Any, updates: Any, **params: Any) -> Any:
    """By the public function: the parameters of the primitive hold a jaxpr of the real update."""
    names = ("indices_are_sorted", "unique_indices", "mode")
    return function(operand, indices, updates, params["dimension_numbers"], **{name: params[name] for name in names})


def _to_dtype(x: Any, *, new_dtype: Any, **_: Any) -> Any:
    """To another floating type: unchanged, since all is float64 here. To an integer or a boolean: of the real part."""
    return x if jnp.issubdtype(new_dtype, np.floating) else x.real.astype(new_dtype)


def _guarded(function: Callable[..., Any], real_function: Callable[..., Any]) -> Callable[..., Any]:
    """NaN where the real function has no finite value: the complex one goes on there (log of a negative number)."""

    def rule(x: Any, **_: Any) -> Any:
        return jnp.where(jnp.isfinite(real_function(x.real)), function(x), NAN)

    return rule


def _bound(primitive: Any) -> Callable[..., Any]:
    """The primitive itself on complex operands."""

    def rule(*operands: Any, **params: Any) -> Any:
        return primitive.bind(*operands, **params)

    return rule


def _bilinear(primitive: Any, x: Any, y: Any, **params: Any) -> Any:
    """Products in real parts: XLA's complex convolution takes three products, whose sum loses a tiny imaginary part.

    The product of the two imaginary parts, h² times smaller than the real part, is left out.
    """
    if params.get("preferred_element_type") is not None:
        params["preferred_element_type"] = np.dtype(np.float64)
    a, b = (jnp.asarray(real(part), np.float64) for part in (x, y))
    moved = [primitive.bind(x.imag, b, **params)] if jnp.iscomplexobj(x) else []
    moved += [primitive.bind(a, y.imag, **params)] if jnp.iscomplexobj(y) else []
    return lax.complex(primitive.bind(a, b, **params), sum(moved[1:], start=moved[0]))


# Complex operands as they are: linear ones, products, and elementwise functions whose complex versions are accurate.
_BOUND = (
    "add add_any sub mul neg square integer_pow exp sin cos tan tanh asinh atan logistic "
    "reduce_sum cumsum cumprod reduce_prod reduce_window_sum triangular_solve lu "
    "broadcast_in_dim reshape squeeze transpose rev slice dynamic_slice dynamic_update_slice gather concatenate pad "
    "split stack unstack tile copy copy_p name select_n optimization_barrier sharding_constraint device_put"
)
BILINEAR = frozenset(("dot_general", "conv_general_dilated"))
# Functions that are constant between jumps, and order's answers: of the real parts, with derivative zero.
_CONSTANT = "sign floor ceil round is_finite eq ne lt le gt ge eq_to le_to lt_to argmax argmin"
BOUND, CONSTANT = frozenset(_BOUND.split()), frozenset(_CONSTANT.split())

RULES: dict[str, Callable[..., Any]] = {
    "div": _divide,
    "max": _maximum,
    "min": functools.partial(_maximum, sign=-1.0),
    "reduce_max": functools.partial(_of_axes, 1.0),
    "reduce_min": functools.partial(_of_axes, -1.0),
    "cummax": functools.partial(_running, 1.0),
    "cummin": functools.partial(_running, -1.0),
    "abs": _absolute,
    "clamp": _clamp,
    "rem": _remainder,
    "exp2": _exp2,
    "expm1": _expm1,
    "cosh": _cosh,
    "sinh": _sinh,
    "cbrt": _cbrt,
    "pow": _power,
    "atan2": _atan2,
    "sort": _sort,
    "top_k": _top_k,
    "scatter": functools.partial(_scatter, lax.scatter),
    "scatter-add": functools.partial(_scatter, lax.scatter_add),
    "scatter_add": functools.partial(_scatter, lax.scatter_add),
    "scatter-mul": functools.partial(_scatter, lax.scatter_mul),
    "scatter_mul": functools.partial(_scatter, lax.scatter_mul),
    "convert_element_type": _to_dtype,
    "reduce_precision": lambda x, **_: x,
    "stop_gradient": lambda x, **_: x,
    **{
        name: _guarded(function, function)
        for name, function in {
            "log": jnp.log,
            "log1p": jnp.log1p,
            "sqrt": jnp.sqrt,
            "rsqrt": lax.rsqrt,
            "asin": jnp.arcsin,
            "acos": jnp.arccos,
            "acosh": jnp.arccosh,
            "atanh": jnp.arctanh,
        }.items()
    },
}


def rule_of(primitive: Any) -> Callable[..., Any] | None:
    """The rule of a primitive for complex operands, None where there is none."""
    if primitive.name in CONSTANT:
        return lambda *operands, **params: primitive.bind(*map(real, operands), **params)
    if primitive.name in BILINEAR:
        return functools.partial(_bilinear, primitive)
    if primitive.name in BOUND:
        return _bound(primitive)
    return RULES.get(primitive.name)


def apply(primitive: Any, operands: list[Any], params: dict[str, Any]) -> list[Any]:
    """The outputs of a primitive that has a rule, at least one operand being complex."""
    rule = rule_of(primitive)
    assert rule is not None
    if primitive.name not in CONSTANT | BILINEAR:
        operands = [lift(operand) for operand in operands]
    outputs = rule(*operands, **params)
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


__all__ = ["apply", "lift", "real", "rule_of"]
