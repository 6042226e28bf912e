"""Rounding rules of the elementwise and the structural primitives.

An elementwise f errs by |f'(v)| e from its operand and by k u |f(v)| by itself. k is a table: roundings of XLA's own
implementations on CPU and GPU in float32 and float64, generous and reasoned rather than proved (2 units are one ulp;
published GPU bounds are 1 to 4 ulp for the first group). Functions whose argument is reduced or combined first (asinh,
acos near 1, erfc in its tail) also get the error of a relative perturbation of the argument, k u |v f'(v)|.
sign, floor, round, comparisons and argmax count as exact: at a jump no first-order bound exists.

Guarded by `tests/checker/roundoff/test_interpreter.py`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.roundoff.calls import (
    Call,
    Errors,
    Rule,
    is_float,
    number,
    quotient_roundings,
    roundings,
    slope_times,
    times,
    total,
    zeros,
)

# name: (k, relative perturbation of the argument, absolute error in units of u beside them)
UNARY: dict[str, tuple[float, float, float]] = {
    **dict.fromkeys(("exp", "log", "sqrt", "rsqrt"), (4.0, 0.0, 0.0)),
    # polynomials for |v| < 1/2, else exp(v) - 1 and log(1 + v), whose subtraction magnifies 4u to at most 4u 0.61/0.39
    **dict.fromkeys(("log1p", "expm1"), (12.0, 0.0, 0.0)),
    **dict.fromkeys(("tanh", "logistic", "erf", "atan"), (8.0, 0.0, 0.0)),
    "cbrt": (16.0, 0.0, 0.0),  # exp(log|v|/3) on some backends
    "log2": (6.0, 0.0, 0.0),  # since JAX 0.12; log v times a rounded constant elsewhere
    "exp2": (4.0, 2.0, 0.0),  # exp(v log 2): the product is rounded
    **dict.fromkeys(("sin", "cos", "tan"), (8.0, 2.0, 2.0)),  # reduced argument; near a zero only the absolute error
    **dict.fromkeys(("asin", "acos", "sinh", "cosh", "asinh", "acosh", "atanh", "erfc"), (16.0, 4.0, 0.0)),
    **dict.fromkeys(("lgamma", "digamma", "erf_inv", "bessel_i0e", "bessel_i1e"), (64.0, 4.0, 64.0)),
}
# name: k of primitives of two or more real operands, absolute error beside it
SPECIAL: dict[str, tuple[float, float]] = {
    "atan2": (16.0, 0.0),
    **dict.fromkeys(("igamma", "igammac", "random_gamma_grad", "regularized_incomplete_beta"), (1024.0, 1024.0)),
    **dict.fromkeys(("polygamma", "zeta", "igamma_grad_a"), (1024.0, 64.0)),
}
# Outputs are the operands, one by one.
IDENTITY = (
    "conj", "copy", "copy_p", "device_put", "layout_constraint", "name", "neg", "optimization_barrier", "pbroadcast",
    "pcast", "pvary", "real", "imag", "reduce_precision", "reshard", "sharding_constraint", "stop_gradient",
    "to_edtype", "mesh_cast", "relayout",
)  # fmt: skip
# The primitive itself moves the errors as it moves the values.
STRUCTURAL = (
    "broadcast_in_dim", "concatenate", "cummax", "dynamic_slice", "dynamic_update_slice", "expand_dims", "pad",
    "reshape", "rev", "scatter", "select_and_gather_add", "select_n", "slice", "split", "squeeze", "stack", "tile",
    "transpose", "unstack",
)  # fmt: skip
EXACT = (
    "sign", "floor", "ceil", "round", "is_finite", "argmax", "argmin", "empty", "empty2", "eq", "ne", "lt",
    "le", "gt", "ge", "eq_to", "le_to", "lt_to", "and", "or", "not", "xor", "random_bits", "random_wrap",
    "random_unwrap", "random_seed", "random_split", "random_fold_in", "random_gamma", "rng_uniform",
    "rng_bit_generator", "bitcast_convert_type", "population_count", "clz", "shift_left", "shift_right_logical",
    "shift_right_arithmetic", "axis_index", "platform_index", "create_token", "debug_callback", "debug_print",
)  # fmt: skip


def unary_rule(call: Call, outs: list[Any]) -> Errors:
    """|f'| (e + r|v|) + k|out| + a."""
    k, relative, absolute = UNARY[call.name]
    (value,), (error,), out = call.values, call.errors, outs[0]
    own = k * call.arithmetic.size(out)
    if absolute:
        own = own + jnp.where(jnp.isfinite(jnp.abs(out)), absolute * (jnp.minimum(jnp.abs(value), 1.0)), 0.0)
        if call.name in ("lgamma", "digamma"):  # small where the argument is not; cos and i0e are large near 0
            own = jnp.where(jnp.isfinite(jnp.abs(out)), jnp.maximum(own, absolute), own)
    if relative:
        error = total(error, jnp.where(jnp.isfinite(jnp.abs(value)), relative * jnp.abs(value), 0.0))
    if error is None:
        return [own]
    return [own + slope_times(lambda v: call.bind(v)[0], value, error)]


def elementwise(call: Call) -> Errors:
    """The propagated part of an elementwise function of several operands: sum of |df/dv_i| e_i, in a list of one."""
    parts: Errors = []
    for i, error in enumerate(call.errors):
        if error is not None:

            def of_one(v: Any, i: int = i) -> Any:
                return call.bind(*call.values[:i], v, *call.values[i + 1 :])[0]

            parts.append(slope_times(of_one, jnp.asarray(call.values[i]), error))
    return [total(*parts)]


def special_rule(call: Call, outs: list[Any]) -> Errors:
    """A special function of several operands: propagated part + k max(|out|, a/k)."""
    k, absolute = SPECIAL[call.name]
    return [total(*elementwise(call), jnp.maximum(k * call.arithmetic.size(outs[0]), absolute))]


def add_rule(call: Call, outs: list[Any]) -> Errors:
    """add, sub: e1 + e2 + u|out|; a literal 0 adds nothing, not even a rounding, nor do small whole numbers."""
    carried = total(*call.errors)
    known = [number(v) for v in call.values]
    # the order of a derivative, as polygamma's, is counted up by literals, and has no derivative itself
    if 0 in known or all(v is not None and abs(v) <= 2**7 and v == round(v) for v in known):
        return [carried]
    return [total(carried, call.arithmetic.size(outs[0]))]


def power_of_two(value: float | None) -> bool:
    """Whether a literal is +-2^k, by which multiplying and dividing is exact apart from underflow."""
    return value is not None and value != 0 and math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5


def underflow(call: Call, out: Any) -> jax.Array | None:
    """The error of flushing an otherwise exact result to 0."""
    if not call.arithmetic.tiny_over_u:
        return None
    small = (jnp.abs(out) < call.arithmetic.underflow_gate) & (out != 0)
    return jnp.where(small, call.arithmetic.tiny_over_u, 0.0).astype(zeros(out).dtype)


def mul_rule(call: Call, outs: list[Any]) -> Errors:
    """|a| e_b + |b| e_a + u|out| (3u for complex); by a literal +-2^k exact."""
    (a, b), (ea, eb), out = call.values, call.errors, outs[0]
    carried = total(None if eb is None else times(a, eb), None if ea is None else times(b, ea))
    literals = [c for c in map(number, (a, b)) if power_of_two(c)]
    if literals:
        return [carried if abs(literals[0] or 0) >= 1 else total(carried, underflow(call, out))]
    return [total(carried, roundings(out) * call.arithmetic.size(out))]


def div_rule(call: Call, outs: list[Any]) -> Errors:
    """e_a/|b| + |out| e_b/|b| + 2u|out| (8u for complex)."""
    b, (ea, eb), out = call.values[1], call.errors, outs[0]
    by_b = total(ea, None if eb is None else times(out, eb))
    carried = None if by_b is None else jnp.where(by_b == 0, 0.0, by_b / jnp.abs(b))
    literal = number(b)
    if power_of_two(literal):
        return [carried if abs(literal or 0) <= 1 else total(carried, underflow(call, out))]
    return [total(carried, quotient_roundings(out) * call.arithmetic.size(out))]


def pow_rule(call: Call, outs: list[Any]) -> Errors:
    """x^y: propagated + (16 + 2|y log x|) u|out|, as for exp(y log x) with a rounded exponent."""
    x, y = call.values
    exponent = jnp.abs(y * jnp.log(jnp.abs(x)))
    k = 16 + 2 * jnp.where(jnp.isfinite(exponent), exponent, 0.0)
    return [total(*elementwise(call), k * call.arithmetic.size(outs[0]))]


def integer_pow_rule(call: Call, outs: list[Any]) -> Errors:
    """x^k by repeated squaring: |k| |x|^(k-1) e + (|k| - 1)u|out|, one more division for k < 0 (complex: as mul, div).

    A rounding counts as often as its product is a factor, and every way to multiply |k| factors counts |k| - 1.
    """
    y, out = call.params["y"], outs[0]
    own = max(abs(y) - 1, 0) * roundings(out) + (quotient_roundings(out) if y < 0 else 0.0)
    return [total(*elementwise(call), own * call.arithmetic.size(out))]


def square_rule(call: Call, outs: list[Any]) -> Errors:
    """2|x| e + u|out| (3u for complex)."""
    return [total(*elementwise(call), roundings(outs[0]) * call.arithmetic.size(outs[0]))]


def one_minus_square_rule(call: Call, outs: list[Any]) -> Errors:
    """1 - x^2 (a primitive since JAX 0.12): 2|x| e + u(x^2 + 2|out|), whether as 1 - x x or as (1 - x)(1 + x).

    Complex products count 3u: u(3|x^2| + 4|out|).
    """
    k = roundings(outs[0])
    own = k * call.arithmetic.size(jnp.square(call.values[0])) + (k + 1) * call.arithmetic.size(outs[0])
    return [total(*elementwise(call), own)]


def magnitude_rule(call: Call, outs: list[Any]) -> Errors:
    """abs: e; of a complex number also 2u|out| for the square root of a sum of squares."""
    own = 2.0 * call.arithmetic.size(outs[0]) if np.iscomplexobj(call.values[0]) else None
    return [total(call.errors[0], own)]


def largest_rule(call: Call, outs: list[Any]) -> Errors:
    """max, min, clamp: the largest of the operands' errors (no rounding of their own)."""
    if call.exact:
        return [None]
    largest = zeros(outs[0])
    for error in call.errors:
        largest = largest if error is None else jnp.maximum(largest, error)
    return [largest]


def rem_rule(call: Call, outs: list[Any]) -> Errors:
    """rem: e_a + |trunc(a/b)| e_b; the remainder itself is exact."""
    return elementwise(call)


def nextafter_rule(call: Call, outs: list[Any]) -> Errors:
    """nextafter: a step is one ulp, at most 2u|out|, in the working dtype."""
    return [total(call.errors[0], 2 * call.arithmetic.size(outs[0]))]


def identity_rule(call: Call, outs: list[Any]) -> Errors:
    """Outputs that are the operands: their errors."""
    return call.errors[: len(outs)]


def complex_rule(call: Call, outs: list[Any]) -> Errors:
    """complex(re, im): the modulus of the error is at most the sum."""
    return [total(*call.errors)]


def exact_rule(call: Call, outs: list[Any]) -> Errors:
    """No error of first order."""
    return [None] * len(outs)


def iota_rule(call: Call, outs: list[Any]) -> Errors:
    """iota: rounded where the digits, if they are known, do not hold the index."""
    out, digits = outs[0], call.arithmetic.digits
    if not is_float(out) or digits is None or call.params["shape"][call.params["dimension"]] <= 2**digits:
        return [None]
    return [jnp.where(jax.lax.reduce_precision(out, 11, digits - 1) == out, 0.0, jnp.abs(out))]


def convert_rule(call: Call, outs: list[Any]) -> Errors:
    """Float to float: the widened replay keeps the value. From integers: rounded where the digits do not hold it."""
    value, out = call.values[0], outs[0]
    if not is_float(out):
        return [None]
    if is_float(value):
        error = None if call.errors[0] is None else call.errors[0].astype(zeros(out).dtype)
        narrowed = jnp.finfo(out.dtype).bits < jnp.finfo(value.dtype).bits
        return [total(error, call.arithmetic.size(out)) if narrowed else error]
    digits = call.arithmetic.held_digits
    if digits >= 53 or value.dtype == bool or jnp.iinfo(value.dtype).bits <= digits:
        return [None]
    held = jax.lax.reduce_precision(jnp.real(out), 8, digits - 1)
    return [jnp.where(held == out, 0.0, jnp.abs(out))]


def structural_rule(call: Call, outs: list[Any]) -> Errors:
    """The operation itself moves the errors."""
    return [None] * len(outs) if call.exact else list(call.moved())


def cummin_rule(call: Call, outs: list[Any]) -> Errors:
    """cummin: the running largest error."""
    return [None] if call.exact else [-call.bind(-call.dense_errors()[0])[0]]


def gather_rule(call: Call, outs: list[Any]) -> Errors:
    """gather: errors at the indices, 0 where an index is out of bounds and the value is a fill."""
    return [None] if call.exact else call.moved(fill_value=0)  # type: ignore[return-value]


def sort_rule(call: Call, outs: list[Any]) -> Errors:
    """sort: the errors ride along as further operands, permuted alike."""
    if call.exact:
        return [None] * len(outs)
    return call.bind(*call.values, *call.dense_errors())[len(outs) :]


def top_k_rule(call: Call, outs: list[Any]) -> Errors:
    """top_k: errors of the chosen entries."""
    axis = call.params.get("axis", -1)
    error = call.errors[0]
    return [None if error is None else jnp.take_along_axis(error, outs[1], axis), None]


ELEMENTWISE: dict[str, Rule] = {
    **dict.fromkeys(UNARY, unary_rule),
    **dict.fromkeys(SPECIAL, special_rule),
    **dict.fromkeys(("add", "sub", "add_any"), add_rule),
    **dict.fromkeys(("max", "min", "clamp"), largest_rule),
    **dict.fromkeys(IDENTITY, identity_rule),
    **dict.fromkeys(STRUCTURAL, structural_rule),
    **dict.fromkeys(EXACT, exact_rule),
    "mul": mul_rule,
    "div": div_rule,
    "pow": pow_rule,
    "integer_pow": integer_pow_rule,
    "square": square_rule,
    "one_minus_square": one_minus_square_rule,
    "abs": magnitude_rule,
    "cummin": cummin_rule,
    "rem": rem_rule,
    "nextafter": nextafter_rule,
    "complex": complex_rule,
    "convert_element_type": convert_rule,
    "gather": gather_rule,
    "iota": iota_rule,
    "sort": sort_rule,
    "top_k": top_k_rule,
}
