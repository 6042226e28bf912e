"""Rounding rules of the matrix factorizations, and the generic rule for primitives without one.

Triangular solves and Cholesky have bounds from their backward errors, entry by entry. Everything else is treated
generically: its float operands are perturbed by random signs times their errors and times the backward error of a
norm-wise stable algorithm, through the primitive's own jvp, and the largest response of each matrix counts for all its
entries. That is an estimate; the names of primitives so treated are reported.

Guarded by `tests/checker/roundoff/test_interpreter.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsoftmax.checker.roundoff.calls import (
    Call,
    Errors,
    Rule,
    is_float,
    quotient_roundings,
    roundings,
    sum_growth,
    total,
    zeros,
)

PATTERNS = 4  # random sign patterns of the generic rule
# A response to random signs is a sum of independent terms: its standard deviation is the size expected of roundings.
# Of 4 patterns, pooled over a matrix, the largest is seldom below it; 4 standard deviations are seldom exceeded.
SAFETY = 4.0


def triangular_solve_rule(call: Call, outs: list[Any]) -> Errors:
    """|T^-1| (K(n+1) u |T||X| + e_T |X| + e_B): substitution solves (T + dT) X = B with |dT| <= K u |T|.

    Higham, Accuracy and Stability of Numerical Algorithms, Theorem 8.5. T^-1 is formed: n^3/3 operations a matrix.
    K(2) + 1 = 2 is a quotient's; complex numbers have four times as much, as their quotients do.
    """
    a, (ea, eb), x = call.values[0], call.errors, outs[0]
    lower, transpose = call.params["lower"], call.params["transpose_a"]
    inverse = jnp.abs(call.bind(a, jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), a.shape))[0])

    def part(t: Any) -> jax.Array:
        t = jnp.tril(jnp.abs(t)) if lower else jnp.triu(jnp.abs(t))
        if call.params["unit_diagonal"]:
            t = t - t * jnp.eye(t.shape[-1], dtype=t.dtype)
        return jnp.swapaxes(t, -1, -2) if transpose else t

    growth = quotient_roundings(x) / 2 * (sum_growth(a.shape[-1] + 1) + 1)
    size = growth * part(a)  # the unit diagonal is neither rounded nor read
    size = size if ea is None else size + part(ea)
    left = call.params["left_side"]
    residual = high(size, jnp.abs(x)) if left else high(jnp.abs(x), size)
    residual = residual if eb is None else residual + eb
    return [high(inverse, residual) if left else high(residual, inverse)]


def cholesky_rule(call: Call, outs: list[Any]) -> Errors:
    """|L| Phi(|L^-1| (K(n+1) u |L||L^T| + e_A) |L^-T|), Phi the lower triangle with half the diagonal.

    The computed factor is that of A + dA with |dA| <= K u |L||L^T| (Higham, Theorem 10.3); dL = L Phi(L^-1 dA L^-T).
    """
    factor, error = jnp.tril(outs[0]), call.errors[0]  # the primitive leaves the operand's entries above
    n = factor.shape[-1]
    eye = jnp.broadcast_to(jnp.eye(n, dtype=factor.dtype), factor.shape)
    inverse = jnp.abs(lax.linalg.triangular_solve(factor, eye, left_side=True, lower=True))
    size = jnp.abs(factor)
    change = roundings(factor) * (sum_growth(n + 1) + 1) * high(size, jnp.swapaxes(size, -1, -2))
    if error is not None:  # JAX's cholesky may symmetrize its operand or read one triangle: the larger of both
        change = change + jnp.maximum(error, jnp.swapaxes(error, -1, -2))
    inner = jnp.tril(high(high(inverse, change), jnp.swapaxes(inverse, -1, -2)))
    inner = inner * (1 - 0.5 * jnp.eye(n, dtype=inner.dtype))
    return [high(size, inner)]


def high(a: Any, b: Any) -> jax.Array:
    """A matrix product at full precision."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def backward_size(value: Any, error: Any) -> jax.Array:
    """Entrywise perturbation of an operand: its error and (4 + sqrt(n)) u times the root-mean-square column norm."""
    size = jnp.abs(value)
    if value.ndim < 2:
        own = 8.0 * size
    else:
        n = value.shape[-1]
        rms = jnp.sqrt(jnp.sum(size**2, axis=(-2, -1), keepdims=True) / max(n, 1))
        own = jnp.broadcast_to((4.0 + np.sqrt(n)) * rms, size.shape)
    return own if error is None else own + error


def pooled(response: jax.Array) -> jax.Array:
    """The largest |entry| of each matrix (or of the whole vector) in every entry of it."""
    size = jnp.abs(response)
    axes = tuple(range(max(size.ndim - 2, 0), size.ndim))
    return jnp.broadcast_to(jnp.max(size, axis=axes, keepdims=True), size.shape) if size.size else size


def generic_rule(call: Call, outs: list[Any]) -> Errors:
    """Sampled: SAFETY times the largest jvp along 4 random sign patterns, pooled, + 8 u max|out|; inf where no jvp."""
    if not any(map(is_float, outs)) or not any(map(is_float, call.values)):
        return [None] * len(outs)
    call.generic.append(call.name)
    floats = [i for i, v in enumerate(call.values) if is_float(v)]
    values = [jnp.asarray(call.values[i]) for i in floats]
    rng = np.random.default_rng(0)

    def of_floats(*operands: Any) -> list[Any]:
        filled = list(call.values)
        for i, operand in zip(floats, operands, strict=True):
            filled[i] = operand
        return [out for out in call.bind(*filled) if is_float(out)]

    try:
        sizes = [backward_size(v, call.errors[i]) for i, v in zip(floats, values, strict=True)]
        largest: list[Any] = []
        for _ in range(PATTERNS):
            signs = [jnp.asarray(rng.choice([-1, 1], size=v.shape).astype(np.int8)) for v in values]
            tangents = tuple((s * z).astype(v.dtype) for s, z, v in zip(signs, sizes, values, strict=True))
            responses = [pooled(t) for t in jax.jvp(of_floats, tuple(values), tangents)[1]]
            largest = [jnp.maximum(a, b) for a, b in zip(largest, responses, strict=True)] if largest else responses
        found = iter(largest)
        return [
            total(SAFETY * next(found), 8.0 * pooled(call.arithmetic.size(out))) if is_float(out) else None
            for out in outs
        ]
    except Exception:  # a primitive without a jvp says so in many ways; the report carries its name and no bound
        return [jnp.full(np.shape(out), jnp.inf, zeros(out).dtype) if is_float(out) else None for out in outs]


LINALG: dict[str, Rule] = {"triangular_solve": triangular_solve_rule, "cholesky": cholesky_rule}
