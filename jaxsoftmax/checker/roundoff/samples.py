"""Sampled rounding errors: an estimate that sees cancellation, where the entrywise bound grows without reason.

`with_errors` adds absolute values, so in a long recursion its bound grows like products of absolute values while the
errors themselves contract: |W|^30 instead of W^30. `sampled_errors` instead lets every operation err by plus or minus
its own rounding (the rules of `with_errors` with exact operands) and carries these signed errors through the program's
derivative, several times with other signs. Shared errors stay shared and cancel where the program makes them cancel.

The signs come from a hash of the value and the operation: equal numbers that one operation rounds, as in a constant
array or a loop at its fixed point, err the same way, as true roundings do. The samples' root mean square estimates the
size of the error and is not a bound; it may decide a verdict only together with the bound (the smaller of both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from jaxsoftmax.checker.jaxprs.equations import advance, body_of, evaluate, scan_counts
from jaxsoftmax.checker.roundoff.calls import (
    Arithmetic,
    Call,
    constant_error,
    infinite_if_unknown,
    is_float,
    literal_value,
)
from jaxsoftmax.checker.roundoff.interpreter import RULES, Rounded, split
from jaxsoftmax.checker.roundoff.linalg import generic_rule

# With s samples of a sum of many signed terms, rms^2 is chi-square_s / s of its variance. One entry in 10^6 has an rms
# below 0.13 for s = 8. Roundings are spread over +-1 of their bound, with at most 0.58 of its standard deviation, and
# 1 entry in 10^6 exceeds 5 standard deviations. An entry would have to be one of both kinds to need more than
# 0.58 x 5 / 0.13 = 22; 16 leaves that to about one entry in 10^10.
SAFETY = 16.0


def sampled_errors(
    jaxpr: core.ClosedJaxpr,
    args: Sequence[Any],
    arithmetic: Arithmetic = Arithmetic(),  # noqa: B008
    *,
    input_errors: Sequence[Any] | None = None,
    samples: int = 8,
    seed: int = 0,
) -> Rounded:
    """Run a jaxpr with an estimate of its rounding errors from `samples` runs of its derivative. Traceable.

    Arguments and result are those of `with_errors`; the errors are estimates (see the module), 0 instead of None where
    nothing errs, and inf for every output when the program has no forward derivative.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> jaxpr = jax.make_jaxpr(lambda x: (lambda y: y - y)(jnp.exp(x)))(3.0)
        >>> float(sampled_errors(jaxpr, [jnp.float32(3.0)]).errors[0])  # the error of exp cancels, in the bound it adds
        0.0
    """
    known = input_errors or [None] * len(args)
    generic: list[str] = []

    def tangents(salt: Any) -> list[Any]:
        def of_size(t: Any) -> list[Any]:
            run = Signed(arithmetic, generic, t, salt)
            given = [run.erring(a, e) for a, e in zip(args, known, strict=True)]
            return [out for out in run.closed(jaxpr, given) if is_float(out)]

        return jax.jvp(of_size, (0.0,), (1.0,))[1]

    outs = core.jaxpr_as_fun(jaxpr)(*args)
    try:
        salts = jnp.arange(seed * samples, (seed + 1) * samples, dtype=jnp.uint32)
        found = [SAFETY * jnp.sqrt(jnp.mean(jnp.abs(d) ** 2, axis=0)) for d in jax.vmap(tangents)(salts)]
    except Exception:  # no forward derivative: said in as many ways as there are such primitives
        found = [jnp.full(np.shape(out), jnp.inf) for out in outs if is_float(out)]
    errors = map(infinite_if_unknown, found)
    return Rounded(list(outs), [next(errors) if is_float(out) else None for out in outs], tuple(sorted(set(generic))))


@jax.custom_jvp
def inject(value: Any, t: Any, noise: Any) -> Any:
    """`value` itself, with derivative `noise` in t: keeps the values apart from the samples under vmap."""
    return value


@inject.defjvp
def inject_jvp(primals: Any, tangents: Any) -> Any:
    """d(value + t noise) at t = 0."""
    value, _, noise = primals
    return value, tangents[0] + (tangents[1] * noise).astype(value.dtype)


def signs(value: Any, salt: Any, operation: int) -> jax.Array:
    """+-1 for each entry from a hash of its bits, the sample and the operation (murmur3's finalizer).

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([1.0, 2.0, 3.0, 1.0])
        >>> s = signs(x, jnp.uint32(0), 5)
        >>> bool(jnp.all(jnp.abs(s) == 1)), bool(s[0] == s[3])
        (True, True)
    """
    real = jnp.real(value) + (jnp.imag(value) if jnp.iscomplexobj(value) else 0)
    real = real if real.dtype == jnp.float64 else real.astype(jnp.float32)
    bits = lax.bitcast_convert_type(real, jnp.uint32)
    mixed = bits if real.dtype != jnp.float64 else bits[..., 0] ^ (bits[..., 1] * jnp.uint32(0x9E3779B9))
    mixed = mixed ^ (salt * jnp.uint32(0x85EBCA6B) + jnp.uint32(operation * 0xC2B2AE35 % 2**32))
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(factor)
    mixed = mixed ^ (mixed >> 15)
    return 1.0 - 2.0 * (mixed & 1).astype(real.dtype)


@dataclass
class Signed:
    """An interpreter of values whose derivative in t is one sample of signed rounding errors."""

    arithmetic: Arithmetic
    generic: list[str]
    t: Any
    salt: Any
    operations: int = 0

    def erring(self, value: Any, error: Any) -> Any:
        """`value` with a signed error of the given size."""
        self.operations += 1
        if error is None or not is_float(value):
            return value
        value = jnp.asarray(value)
        noise = lax.stop_gradient(error * signs(lax.stop_gradient(value), self.salt, self.operations))
        return inject(value, self.t, noise)

    def closed(self, jaxpr: Any, values: list[Any]) -> list[Any]:
        """Interpret a closed or an open jaxpr."""

        def constant(value: Any) -> Any:
            return self.erring(value, constant_error(value, self.arithmetic))

        outs = evaluate(
            getattr(jaxpr, "jaxpr", jaxpr),
            values,
            self.equation,
            consts=list(map(constant, getattr(jaxpr, "consts", ()))),
            literal=lambda atom: constant(literal_value(atom)),
        )
        return [jnp.asarray(v) if isinstance(v, np.ndarray) else v for v in outs]

    def equation(self, eqn: Any, values: list[Any]) -> list[Any]:
        """One equation; a loop or branch through lax, anything else with the rounding of its own rule."""
        name, params, body = eqn.primitive.name, eqn.params, body_of(eqn)
        if body is not None:
            return self.closed(body, values)
        if name == "scan":
            return self.scan(params, values)
        if name == "while":
            cond_consts, consts, carry = split(values, params["cond_nconsts"], params["body_nconsts"])
            holds = core.jaxpr_as_fun(params["cond_jaxpr"])

            def step(held: Any) -> Any:
                after = self.closed(params["body_jaxpr"], [*consts, *held])
                return advance(holds(*cond_consts, *held)[0], after, held)

            return lax.while_loop(lambda held: jnp.any(holds(*cond_consts, *held)[0]), step, carry)
        if name == "cond":
            bodies = [lambda *v, branch=branch: self.closed(branch, list(v)) for branch in params["branches"]]
            return lax.switch(values[0], bodies, *values[1:])
        if name == "custom_linear_solve":  # its derivative reads the matrix and right-hand side, not the factors
            lengths = params["const_lengths"]
            factors = slice(lengths.matvec, sum(lengths))
            values = [*values[: factors.start], *map(lax.stop_gradient, values[factors]), *values[factors.stop :]]
        call = Call(eqn.primitive, params, values, [None] * len(values), self.arithmetic, self.generic)
        outs = call.bind(*values)
        if not any(map(is_float, outs)):
            return outs
        call.values = [v if isinstance(v, np.ndarray) else lax.stop_gradient(v) for v in values]
        still = [lax.stop_gradient(out) for out in outs]
        own = RULES.get(name, generic_rule)(call, still)
        if not math.isinf(self.arithmetic.huge):
            own = [
                e if e is None else jnp.where(jnp.abs(o) > self.arithmetic.huge, jnp.inf, e)
                for o, e in zip(still, own, strict=True)
            ]
        return [self.erring(out, error) for out, error in zip(outs, own, strict=True)]

    def scan(self, params: dict[str, Any], values: list[Any]) -> list[Any]:
        """lax.scan on values."""
        n_consts, n_carry = scan_counts(params)
        consts, carry, xs = split(values, n_consts, n_carry)

        def step(held: Any, x: Any) -> Any:
            outs = self.closed(params["jaxpr"], [*consts, *held, *x])
            return outs[:n_carry], outs[n_carry:]

        end, ys = lax.scan(step, carry, xs, params["length"], params["reverse"], params["unroll"])
        return [*end, *ys]
