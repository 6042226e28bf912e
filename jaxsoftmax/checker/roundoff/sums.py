"""Rounding rules of sums, products and matrix products: every primitive that adds many terms.

A sum of n terms errs by K(n) u sum|terms| (`sum_growth`). XLA sums by vectorized trees, where that is generous: sums of
10^6 equal float32 terms on CPU erred by 16 u sum|terms| at most. Matrix products and scatters add one term after the
other, and equal terms then round the same way each time (10^6 equal float32 terms: 1.6e5 u), so K grows there by n
times the share of terms that repeat their neighbour in both factors.

Guarded by `tests/checker/roundoff/test_interpreter.py`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsoftmax.checker.roundoff.calls import Call, Errors, Rule, real_dtype, roundings, sum_growth, total, zeros


def repeats(values: Any, axes: tuple[int, ...]) -> jax.Array:
    """The largest share, along any of the axes and in any line, of nonzero entries that repeat their neighbour.

    Example:
        >>> import jax.numpy as jnp
        >>> float(repeats(jnp.array([1.0, 1.0, 1.0, 2.0]), (0,)))
        0.5
    """
    shares = [jnp.zeros((), real_dtype(values))]
    for axis in axes:
        n = values.shape[axis]
        if n > 1 and values.size:
            first = lax.slice_in_dim(values, 0, n - 1, axis=axis)
            second = lax.slice_in_dim(values, 1, n, axis=axis)
            shares.append(jnp.max(jnp.sum((first == second) & (first != 0), axis=axis)) / n)
    return jnp.max(jnp.stack(shares)).astype(real_dtype(values))


def sequential_growth(n: int, *factors: tuple[Any, tuple[int, ...]]) -> Any:
    """K of a sum in sequence of n products, given each factor and its summed axes."""
    if n <= 16:
        return float(max(n - 1, 0))
    share = repeats(*factors[0])
    for factor in factors[1:]:
        share = jnp.minimum(share, repeats(*factor))
    return jnp.minimum(n - 1.0, sum_growth(n) + n * share)


def reduce_sum_rule(call: Call, outs: list[Any]) -> Errors:
    """sum(e) + K(n) u sum|v|."""
    (value,), axes = call.values, tuple(call.params["axes"])
    growth = sum_growth(math.prod(value.shape[axis] for axis in axes))
    terms = total(call.errors[0], growth * jnp.abs(value) if growth else None)
    return [None if terms is None else jnp.sum(terms, axis=axes)]


def reduce_largest_rule(call: Call, outs: list[Any]) -> Errors:
    """reduce_max, reduce_min: the largest error among the candidates (the maximum is 1-Lipschitz)."""
    return [None if call.errors[0] is None else jnp.max(call.errors[0], axis=tuple(call.params["axes"]))]


def multilinear(call: Call) -> Errors:
    """Propagated part of a function that is increasing and multilinear in |v|: its jvp at |v| along e."""
    if call.exact:
        return [None]
    magnitude = jnp.abs(call.values[0])
    tangent = call.dense_errors()[0].astype(magnitude.dtype)
    return [jax.jvp(lambda v: call.bind(v)[0], (magnitude,), (tangent,))[1]]


def product_rule(call: Call, outs: list[Any]) -> Errors:
    """reduce_prod, cumprod: sum_i e_i prod_(j != i) |v_j| + (n - 1) u|out| (3u for complex)."""
    axes = tuple(call.params["axes"]) if "axes" in call.params else (call.params["axis"],)
    n = math.prod(call.values[0].shape[axis] for axis in axes)
    return [total(*multilinear(call), max(n - 1, 0) * roundings(outs[0]) * call.arithmetic.size(outs[0]))]


def cumsum_rule(call: Call, outs: list[Any]) -> Errors:
    """cumsum(e + K(n) u|v|)."""
    growth = sum_growth(call.values[0].shape[call.params["axis"]])
    return call.bind(total(call.errors[0], growth * jnp.abs(call.values[0])))


def cumlogsumexp_rule(call: Call, outs: list[Any]) -> Errors:
    """Softmax weights of e, the relative error of the sum of exponentials, and the largest exponent's rounding."""
    carried = None
    if not call.exact:
        carried = jax.jvp(lambda v: call.bind(v)[0], (call.values[0],), (call.dense_errors()[0],))[1]
    n = call.values[0].shape[call.params["axis"]]
    return [total(carried, (n + 8.0) * (1.0 + call.arithmetic.size(outs[0])))]


def window_sum_rule(call: Call, outs: list[Any]) -> Errors:
    """reduce_window_sum: the window sums of e + K u|v|."""
    growth = sum_growth(math.prod(call.params["window_dimensions"]))
    return call.bind(total(call.errors[0], growth * jnp.abs(call.values[0])))


def window_max_rule(call: Call, outs: list[Any]) -> Errors:
    """reduce_window_max: the largest error of each window, 0 where a window holds padding only."""
    return [None] if call.exact else [jnp.maximum(call.moved()[0], 0.0)]


def window_min_rule(call: Call, outs: list[Any]) -> Errors:
    """reduce_window_min: as for the maximum."""
    return [None] if call.exact else [jnp.maximum(-call.bind(-call.dense_errors()[0])[0], 0.0)]


def select_and_scatter_rule(call: Call, outs: list[Any]) -> Errors:
    """select_and_scatter_add: errors of the source scattered alike, with K of the overlapping windows."""
    source, operand = call.values
    growth = sum_growth(math.prod(call.params["window_dimensions"]))
    terms = total(call.errors[0], growth * jnp.abs(source) if growth else None)
    return [None] if terms is None else call.bind(terms, operand)


def scatter_add_rule(call: Call, outs: list[Any]) -> Errors:
    """scatter-add, scatter-sub: errors added alike, and K u sum|terms|, K from the count of terms of each target."""
    operand, indices, updates = call.values
    sign = -1.0 if "sub" in call.name else 1.0  # scatter-sub of negative errors adds them

    def added(base: Any, terms: Any) -> jax.Array:
        return call.bind(base, indices, sign * terms)[0]

    size = added(jnp.abs(operand), jnp.abs(updates))
    if call.params["unique_indices"]:
        growth = 1.0
    else:
        count = added(zeros(operand), jnp.ones(updates.shape, real_dtype(updates)))
        random = 4 + 2 * jnp.sqrt(count) + count * repeats(updates, tuple(range(updates.ndim)))
        growth = jnp.minimum(count, random)
    carried = None if call.exact else added(call.dense_errors()[0], call.dense_errors()[2])
    return [total(carried, growth * size)]


def scatter_mul_rule(call: Call, outs: list[Any]) -> Errors:
    """scatter-mul: P(t) = scatter(|a| + t e_a, |b| + t (e_b + |b|)) has coefficients >= 0: P'(0) <= (P(t) - P(0))/t.

    Complex products err by 3u: 3|b| then.
    """
    operand, indices, updates = call.values
    e_a, _, e_b = call.dense_errors()
    t = 2.0**-40  # the subtraction loses 2^-13 of one unit of P(0)
    a, b = jnp.abs(operand), jnp.abs(updates)
    own = max(roundings(operand), roundings(updates)) * b
    grown = call.bind(a + t * e_a, indices, b + t * (e_b + own))[0] - call.bind(a, indices, b)[0]
    return [grown / t + 2.0**-12 * call.arithmetic.size(outs[0])]


def scatter_extreme_rule(call: Call, outs: list[Any]) -> Errors:
    """scatter-max, scatter-min: the largest error among the candidates."""
    if call.exact:
        return [None]
    names = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    e_a, _, e_b = call.dense_errors()
    return [lax.scatter_max(e_a, call.values[1], e_b, **{name: call.params[name] for name in names})]


def product_of(call: Call, a: Any, b: Any) -> jax.Array:
    """The matrix product or convolution of two nonnegative arrays in their own dtype and at full precision."""
    return call.bind(a, b, precision=lax.Precision.HIGHEST, preferred_element_type=None)[0]


def bilinear(call: Call, growth: Any) -> Errors:
    """|A| (e_B + (K + 1) u|B|) + e_A |B|, one or two more products; rounded factors (TF32) add 2 of their units a term.

    Complex sums of k products are real sums of 2k: √2 · 2k u at most for a worst case of k u, hence the factor 3.
    """
    units = max(map(roundings, call.values)) * (growth + 1.0)
    (a, b), (ea, eb) = (jnp.abs(v) for v in call.values), call.errors
    common = jnp.result_type(a, b)
    a, b = a.astype(common), b.astype(common)
    if call.arithmetic.matmul_units > 1:
        units = units + 2 * call.arithmetic.matmul_units
    right = total(eb, units * b)
    if ea is None:
        return [_coarse(call, a, right)]
    return [_coarse(call, a, right) + _coarse(call, ea, b)]


def _coarse(call: Call, a: Any, b: Any) -> jax.Array:
    """A product of nonnegative arrays that is at most too large by a little: of large float64 ones in float32.

    Each factor is divided by its largest entry and raised by 2^-60, which no float32 product then flushes to 0; 2^-10
    covers the rounding of the sums (a sum in sequence of n terms errs by n 2^-24 at most).
    """
    terms = max(a.size, b.size)
    if a.dtype != jnp.float64 or a.size * b.size < 2**34 or terms > 2**33:
        return product_of(call, a, b)
    tops = [jnp.maximum(jnp.max(v, axis=None), jnp.finfo(np.float64).tiny) for v in (a, b)]
    small = [(v / top + 2.0**-60).astype(np.float32) for v, top in zip((a, b), tops, strict=True)]
    return product_of(call, *small).astype(np.float64) * (tops[0] * tops[1] * (1 + 2.0**-10))


def dot_general_rule(call: Call, outs: list[Any]) -> Errors:
    """dot_general with k contracted terms: one rounding a product and k - 1 additions."""
    a, b = call.values
    (axes_a, axes_b), _ = call.params["dimension_numbers"]
    k = math.prod(a.shape[axis] for axis in axes_a)
    return bilinear(call, sequential_growth(k, (a, tuple(axes_a)), (b, tuple(axes_b))))


def convolution_rule(call: Call, outs: list[Any]) -> Errors:
    """conv_general_dilated: as a matrix product with one term for each entry of a filter."""
    lhs, rhs = call.values
    spec = call.params["dimension_numbers"].rhs_spec
    k = rhs.size // max(rhs.shape[spec[0]], 1)
    every = tuple(range(lhs.ndim))
    return bilinear(call, sequential_growth(k, (lhs, every), (rhs, every)))


def fft_rule(call: Call, outs: list[Any]) -> Errors:
    """fft: each entry by the 1-norm of e and 8 log2(n) u times the 2-norm of the transform (norm-wise stable)."""
    out, lengths = outs[0], call.params["fft_lengths"]
    axes = tuple(range(-len(lengths), 0))
    norm = jnp.sqrt(jnp.sum(jnp.abs(out) ** 2, axis=axes, keepdims=True)) * math.sqrt(2.0)  # half spectra count twice
    own = 8 * math.log2(max(math.prod(lengths), 2)) * norm
    if call.errors[0] is not None:
        kind = call.params["fft_type"]
        inverse = getattr(kind, "name", str(kind)).upper().rpartition(".")[2].startswith("I")
        scale = 1.0 / math.prod(lengths) if inverse else 1.0
        own = own + 2 * scale * jnp.sum(call.errors[0], axis=axes, keepdims=True)
    return [jnp.broadcast_to(own, np.shape(out)).astype(zeros(out).dtype)]


SUMS: dict[str, Rule] = {
    "reduce_sum": reduce_sum_rule,
    "reduce_max": reduce_largest_rule,
    "reduce_min": reduce_largest_rule,
    "reduce_prod": product_rule,
    "cumprod": product_rule,
    "cumsum": cumsum_rule,
    "cumlogsumexp": cumlogsumexp_rule,
    "reduce_window_sum": window_sum_rule,
    "reduce_window_max": window_max_rule,
    "reduce_window_min": window_min_rule,
    "select_and_scatter_add": select_and_scatter_rule,
    **dict.fromkeys(("scatter-add", "scatter_add", "scatter-sub", "scatter_sub"), scatter_add_rule),
    **dict.fromkeys(("scatter-mul", "scatter_mul"), scatter_mul_rule),
    **dict.fromkeys(("scatter-max", "scatter_max", "scatter-min", "scatter_min"), scatter_extreme_rule),
    "dot_general": dot_general_rule,
    "conv_general_dilated": convolution_rule,
    "fft": fft_rule,
}
