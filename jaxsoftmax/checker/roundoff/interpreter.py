"""Running error analysis of a jaxpr: every output with a first-order bound of its rounding error.

`with_errors` interprets a plain jaxpr (custom rules already inlined) on values and errors at once. For a computation
of the same jaxpr in a precision of unit roundoff u, |computed - exact| <= u error to first order in u, entry by entry,
where exact is what the values hold: run it in float64 to judge float32, or, with values taken for exact, float64
itself. Sums use the probabilistic constant of `sum_growth`, so the bound is one that holds in practice, not a theorem.

Loops and branches recurse through lax.scan, lax.while_loop and lax.switch on pairs.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.extend import core

from jaxsoftmax.checker.jaxprs.equations import advance, body_of, evaluate, scan_counts
from jaxsoftmax.checker.roundoff.calls import (
    Arithmetic,
    Call,
    Errors,
    Rule,
    constant_error,
    infinite_if_unknown,
    is_float,
    literal_value,
    zeros,
)
from jaxsoftmax.checker.roundoff.elementwise import ELEMENTWISE
from jaxsoftmax.checker.roundoff.linalg import LINALG, generic_rule
from jaxsoftmax.checker.roundoff.sums import SUMS

RULES: dict[str, Rule] = {**ELEMENTWISE, **SUMS, **LINALG}
Pairs = tuple[list[Any], Errors]


@partial(jax.tree_util.register_dataclass, data_fields=("outs", "errors"), meta_fields=("generic",))
@dataclass
class Rounded:
    """Values, errors and what was estimated; a pytree, so that a jitted function can return it.

    Attributes:
        outs: the values of the jaxpr's outputs.
        errors: for each a bound of its error in units of u, of its shape; None where exact or not a float.
        generic: names of primitives treated by the sampled rule (or, with errors of inf, not at all), sorted.
    """

    outs: list[Any]
    errors: list[jax.Array | None]
    generic: tuple[str, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.outs, self.errors, self.generic))


def with_errors(
    jaxpr: core.ClosedJaxpr,
    args: Sequence[Any],
    arithmetic: Arithmetic = Arithmetic(),  # noqa: B008
    *,
    input_errors: Sequence[Any] | None = None,
) -> Rounded:
    """Run a jaxpr on values and first-order rounding errors together. Traceable; never raises for a primitive.

    Args:
        jaxpr: a jaxpr without custom rules (a custom rule's body is used where one is met).
        args: its arguments, arrays.
        arithmetic: of the working dtype.
        input_errors: for each argument an array of its shape in units of u, or None for exact.

    Returns:
        A `Rounded`, which also unpacks as ``outs, errors, generic``.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> jaxpr = jax.make_jaxpr(lambda x: (x * x, 2 * x))(3.0)
        >>> outs, errors, generic = with_errors(jaxpr, [jnp.float32(3.0)])
        >>> float(outs[0]), float(errors[0]), errors[1], generic
        (9.0, 9.0, None, ())
    """
    run = Run(arithmetic, [])
    outs, errors = run.closed(jaxpr, list(args), list(input_errors or [None] * len(args)))
    return Rounded(outs, [infinite_if_unknown(error) for error in errors], tuple(sorted(set(run.generic))))


@dataclass
class Run:
    """The interpreter: an arithmetic, and the names of primitives that were treated generically so far."""

    arithmetic: Arithmetic
    generic: list[str]

    def closed(self, jaxpr: Any, values: list[Any], errors: Errors) -> Pairs:
        """Interpret a closed or an open jaxpr."""

        def constant(value: Any) -> tuple[Any, Any]:
            return value, self.checked(value, constant_error(value, self.arithmetic))

        def equation(eqn: Any, given: list[Any]) -> list[Any]:
            found = self.equation(eqn, [value for value, _ in given], [error for _, error in given])
            return list(zip(*found, strict=True))

        pairs = evaluate(
            getattr(jaxpr, "jaxpr", jaxpr),
            list(zip(values, errors, strict=True)),
            equation,
            consts=list(map(constant, getattr(jaxpr, "consts", ()))),
            literal=lambda atom: constant(literal_value(atom)),
        )
        return [jnp.asarray(v) if isinstance(v, np.ndarray) else v for v, _ in pairs], [error for _, error in pairs]

    def equation(self, eqn: Any, values: list[Any], errors: Errors) -> Pairs:
        """One equation: a loop or branch, a call, a rule, or the generic rule."""
        name, params, body = eqn.primitive.name, eqn.params, body_of(eqn)
        if body is not None:
            return self.closed(body, values, errors)
        if name in CONTROL:
            with contextlib.suppress(TypeError, KeyError, AttributeError):  # a loop of another release: see below
                return CONTROL[name](self, params, values, errors)
        call = Call(eqn.primitive, params, values, errors, self.arithmetic, self.generic)
        outs = call.bind(*values)
        rule = RULES.get(name)
        try:
            found = generic_rule(call, outs) if rule is None else rule(call, outs)
        except Exception:  # a rule meets a parameter of another release: say so rather than fail the user's check
            found = generic_rule(call, outs)
        return outs, [self.checked(out, error) for out, error in zip(outs, found, strict=True)]

    def checked(self, out: Any, error: Any) -> Any:
        """The error of a float, inf where the working dtype overflows, however exact; None for what is no float."""
        if not is_float(out):
            return None
        if math.isinf(self.arithmetic.huge):
            return error
        size = np.abs(out) if isinstance(out, np.ndarray) else jnp.abs(out)
        beyond = (size > self.arithmetic.huge) & (size < math.inf)
        if error is None and not isinstance(beyond, Tracer) and not beyond.any():
            return None
        return jnp.where(beyond, jnp.inf, zeros(out) if error is None else error)

    def inexact_after(self, body: Callable[[list[Any], Errors], Errors], values: list[Any], errors: Errors) -> Errors:
        """Which outputs of `body` carry errors, found by tracing it once: a list of true or None."""
        found: Errors = []

        def trace(given: list[Any], known: Errors) -> None:
            found[:] = body(given, known)

        before = len(self.generic)
        jax.eval_shape(trace, values, errors)
        del self.generic[before:]
        return [None if error is None else True for error in found]  # type: ignore[misc]


def filled(errors: Errors, like: list[Any], wanted: Sequence[Any]) -> Errors:
    """Errors with zeros where one is wanted and none is known."""
    rows = zip(errors, like, wanted, strict=True)
    return [zeros(v) if e is None and want is not None else e for e, v, want in rows]


def settled(
    run: Run, step: Callable[[list[Any], Errors], Errors], values: list[Any], errors: Errors, row: Sequence[Any] = ()
) -> Errors:
    """Errors of a loop's carry, dense where an iteration makes them so; two rounds, then every float is dense."""
    for _ in range(2):
        after = run.inexact_after(step, [*values, *row], errors)
        wanted = [a if e is None else e for a, e in zip(after, errors, strict=True)]
        if all((w is None) == (e is None) for w, e in zip(wanted, errors, strict=True)):
            return errors
        errors = filled(errors, values, wanted)
    return filled(errors, values, [True if is_float(v) else None for v in values])


def scan(run: Run, params: dict[str, Any], values: list[Any], errors: Errors) -> Pairs:
    """lax.scan on pairs; constants stay outside the carry."""
    n_consts, n_carry = scan_counts(params)
    body = params["jaxpr"]
    consts, carry, xs = split(values, n_consts, n_carry)
    const_errors, carry_errors, xs_errors = split(errors, n_consts, n_carry)
    row = [jax.ShapeDtypeStruct(np.shape(x)[1:], x.dtype) for x in xs]
    row_errors = [None if e is None else jnp.zeros(e.shape[1:], e.dtype) for e in xs_errors]

    def step(held: list[Any], held_errors: Errors, x: list[Any], x_errors: Errors) -> Pairs:
        return run.closed(body, [*consts, *held, *x], [*const_errors, *held_errors, *x_errors])

    def carried(given: list[Any], known: Errors) -> Errors:
        return step(given[:n_carry], known, given[n_carry:], row_errors)[1][:n_carry]

    carry_errors = settled(run, carried, carry, carry_errors, row)

    def pairs(held: Any, x: Any) -> Any:
        outs, found = step(*held, *x)
        found_carry = filled(found[:n_carry], outs[:n_carry], carry_errors)
        return (outs[:n_carry], found_carry), (outs[n_carry:], found[n_carry:])

    (end, end_errors), (ys, ys_errors) = lax.scan(
        pairs, (carry, carry_errors), (xs, xs_errors), params["length"], params["reverse"], params["unroll"]
    )
    return [*end, *ys], [*end_errors, *ys_errors]


def while_loop(run: Run, params: dict[str, Any], values: list[Any], errors: Errors) -> Pairs:
    """lax.while_loop on pairs; the condition reads values only."""
    cond_consts, body_consts, carry = split(values, params["cond_nconsts"], params["body_nconsts"])
    _, body_errors, carry_errors = split(errors, params["cond_nconsts"], params["body_nconsts"])

    def step(held: list[Any], held_errors: Errors) -> Pairs:
        return run.closed(params["body_jaxpr"], [*body_consts, *held], [*body_errors, *held_errors])

    carry_errors = settled(run, lambda v, e: step(v, e)[1], carry, carry_errors)

    holds = core.jaxpr_as_fun(params["cond_jaxpr"])

    def pairs(held: Any) -> Any:
        outs, found = step(*held)
        return advance(holds(*cond_consts, *held[0])[0], (outs, filled(found, outs, carry_errors)), held)

    return lax.while_loop(lambda held: jnp.any(holds(*cond_consts, *held[0])[0]), pairs, (carry, carry_errors))


def cond(run: Run, params: dict[str, Any], values: list[Any], errors: Errors) -> Pairs:
    """lax.switch on pairs; an output is exact where every branch says so."""
    index, *operands = values
    known = errors[1:]
    bodies = [lambda v, e, branch=branch: run.closed(branch, v, e) for branch in params["branches"]]
    patterns = [run.inexact_after(lambda v, e, body=body: body(v, e)[1], operands, known) for body in bodies]
    wanted = [True if any(p is not None for p in of_output) else None for of_output in zip(*patterns, strict=True)]

    def padded(body: Any) -> Callable[..., Any]:
        def branch(given: list[Any], given_errors: Errors) -> Any:
            outs, found = body(given, given_errors)
            return outs, filled(found, outs, wanted)

        return branch

    return lax.switch(index, [padded(body) for body in bodies], operands, known)


def split(items: Sequence[Any], first: int, second: int) -> tuple[list[Any], list[Any], list[Any]]:
    """The first so many items, the next so many, the rest."""
    items = list(items)
    return items[:first], items[first : first + second], items[first + second :]


CONTROL: dict[str, Callable[[Run, dict[str, Any], list[Any], Errors], Pairs]] = {
    "scan": scan,
    "while": while_loop,
    "cond": cond,
}
