"""The complex step: the derivative of a jaxpr along a direction as Im f(x + ihv)/h, without subtraction.

For f analytic at x, f(x + ihv) = f(x) + ih f′(x)v − h² f″(x)[v, v]/2 − …, so Im f(x + ihv)/h = f′(x)v + O(h²). No two
close numbers are subtracted, hence h may be 2⁻¹⁰⁰ and the error term vanishes: what remains is the rounding of one
evaluation of f in complex arithmetic. No differentiation rule of JAX takes part (Squire and Trapp 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxsoftmax.checker.jaxprs.complex_rules import apply, lift, real, rule_of
from jaxsoftmax.checker.jaxprs.equations import advance, bind, body_of, evaluate, scan_counts

__all__ = ["NotAnalytic", "complex_step", "step_of", "why_not"]


class NotAnalytic(ValueError):
    """The program holds an operation that has no complex continuation here; the message names it.

    Example:
        >>> from jaxsoftmax.checker.jaxprs.complex_step import NotAnalytic
        >>> str(NotAnalytic("primitive 'cholesky'"))
        "primitive 'cholesky'"
    """


def _open(jaxpr: Any) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr


def _is_float(aval: Any) -> bool:
    return jnp.issubdtype(getattr(aval, "dtype", np.dtype(bool)), np.floating)


class _Walk:
    """Which variables depend on the perturbed inputs, and the first operation on them that has no rule."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def refuse(self, text: str) -> None:
        self.reason = self.reason or text

    def jaxpr(self, jaxpr: Any, active: Sequence[bool]) -> list[bool]:
        jaxpr = _open(jaxpr)
        on = {var for var, flag in zip(jaxpr.invars, active, strict=True) if flag}
        for eqn in jaxpr.eqns:
            given = [not isinstance(v, Literal) and v in on for v in eqn.invars]
            if any(given):
                outs = self.equation(eqn, given)
                on |= {v for v, flag in zip(eqn.outvars, outs, strict=True) if flag and _is_float(v.aval)}
        return [not isinstance(v, Literal) and v in on for v in jaxpr.outvars]

    def equation(self, eqn: Any, given: list[bool]) -> list[bool]:
        name, params, body = eqn.primitive.name, eqn.params, body_of(eqn)
        if body is not None:
            return self.jaxpr(body, given)
        if name == "scan":
            consts, carry = scan_counts(params)
            flags = self.loop(params["jaxpr"], given[:consts], given[consts : consts + carry], given[consts + carry :])
            return self.jaxpr(params["jaxpr"], [*given[:consts], *flags, *given[consts + carry :]])
        if name == "while":
            test, body = params["cond_nconsts"], params["body_nconsts"]
            consts = given[test : test + body]
            flags = self.loop(params["body_jaxpr"], consts, given[test + body :], [])
            self.jaxpr(params["cond_jaxpr"], [*given[:test], *flags])
            return flags
        if name == "cond":
            outs = [self.jaxpr(branch, given[1:]) for branch in params["branches"]]
            return [any(flags) for flags in zip(*outs, strict=True)]
        if name == "custom_linear_solve":
            operands, consts = self.linear_solve(eqn, given)
            return self.jaxpr(params["jaxprs"].solve, [*consts, *operands])
        if any(jnp.issubdtype(getattr(v.aval, "dtype", np.dtype(bool)), np.complexfloating) for v in eqn.outvars):
            self.refuse(f"primitive {name!r} of complex numbers")
        elif rule_of(eqn.primitive) is None:
            self.refuse(f"primitive {name!r}")
        constant = eqn.primitive.name in ("sign", "floor", "ceil", "round")
        return [not constant for _ in eqn.outvars]

    def loop(self, body: Any, consts: list[bool], carry: list[bool], xs: list[bool]) -> list[bool]:
        """The least flags of the carry that the body maps into themselves."""
        while True:
            outs = self.jaxpr(body, [*consts, *carry, *xs])[: len(carry)]
            joined = [a or b for a, b in zip(carry, outs, strict=True)]
            if joined == carry:
                return carry
            carry = joined

    @staticmethod
    def linear_solve(eqn: Any, values: list[Any]) -> tuple[list[Any], list[Any]]:
        """The right-hand sides, and the constants of the solver's own program."""
        lengths = eqn.params["const_lengths"]
        start = lengths.matvec + lengths.vecmat
        return values[sum(lengths) :], values[start : start + lengths.solve]


def why_not(jaxpr: ClosedJaxpr, active: Sequence[bool] | None = None) -> str | None:
    """The first operation that the complex step cannot continue, as text, or None: nothing is evaluated.

    Args:
        jaxpr: the plain program.
        active: one flag for each input: is it perturbed? All floating inputs when None.

    Returns:
        None, or a text such as "primitive 'cholesky'".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxsoftmax.checker.jaxprs.complex_step import why_not
        >>> why_not(jax.make_jaxpr(jnp.sin)(1.0)), why_not(jax.make_jaxpr(jax.lax.erf)(1.0))
        (None, "primitive 'erf'")
    """
    walk = _Walk()
    inputs = _open(jaxpr).invars
    if any(jnp.issubdtype(getattr(v.aval, "dtype", np.dtype(bool)), np.complexfloating) for v in inputs):
        return "a complex input"
    walk.jaxpr(jaxpr, [_is_float(v.aval) for v in inputs] if active is None else active)
    return walk.reason


def step_of(x: Sequence[Any], v: Sequence[Any]) -> Any:
    """The step h, a power of two: 2⁻¹⁰⁰ of the smallest |xᵢ|/|vᵢ| of the entries with xᵢvᵢ ≠ 0 (1 where none is).

    The truncation error is (h|vᵢ|/xᵢ)² ≤ 2⁻²⁰⁰ relative to the function's scale at each entry. The ratio is clipped to
    [2⁻⁷⁰⁰, 2⁶⁰]: below, h times a derivative would underflow; above, h would not be small beside the 1 of sin and exp.

    Args:
        x: the leaves.
        v: the leaves of the direction; None for a leaf that stays.

    Returns:
        A float64 scalar (traced where the leaves are).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxsoftmax.checker.jaxprs.complex_step import step_of
        >>> with jax.enable_x64(True):
        ...     print(float(step_of([jnp.array([3.0, 0.0])], [jnp.array([1.0, 1.0])])) == 2.0**-99)
        True
    """
    least = jnp.asarray(2.0**60, np.float64)
    touched = jnp.asarray(False)
    for a, b in zip(x, v, strict=True):
        if b is not None and np.size(a):
            a, b = jnp.abs(jnp.asarray(a, np.float64)), jnp.abs(jnp.asarray(b, np.float64))
            both = (a > 0) & (b > 0)
            least = jnp.minimum(least, jnp.min(jnp.where(both, a / jnp.where(both, b, 1.0), jnp.inf)))
            touched = touched | jnp.any(both)
    ratio = jnp.where(touched, jnp.maximum(least, 2.0**-700), 1.0)
    exponent = jnp.frexp(ratio)[1] - 1
    return jnp.ldexp(jnp.asarray(1.0, np.float64), exponent - 100)


def complex_step(jaxpr: ClosedJaxpr, x: Sequence[Any], v: Sequence[Any], *, h: Any = None) -> list[Any]:
    """The derivative of a plain program along v by the complex step; can be traced by `jax.jit`.

    max, min, abs, sort, comparisons and the like follow the real parts, hence the branch that the real function takes;
    at a tie of max the mean of both slopes, as a central difference. Where the real function is not finite or has no
    value (log of a negative number) the answer is NaN. All floating types are carried as complex128.

    Args:
        jaxpr: the program, custom rules inlined; called under `jax.enable_x64(True)`.
        x: one array for each of its inputs.
        v: one array for each input, of the same shape, or None for an input that stays.
        h: the step; that of `step_of` when None.

    Returns:
        Im f(x + ihv)/h for each output: float64, the output's shape; zeros for an output that does not depend on v.

    Raises:
        NotAnalytic: the program holds an operation without a complex continuation.

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.checker.jaxprs.complex_step import complex_step
        >>> with jax.enable_x64(True):
        ...     program = jax.make_jaxpr(lambda x: x * jnp.exp(x))(2.0)
        ...     (slope,) = complex_step(program, [2.0], [1.0])
        ...     print(abs(float(slope) / (3 * np.exp(2.0)) - 1) < 1e-15)
        True
    """
    active = [b is not None and _is_float(var.aval) for b, var in zip(v, _open(jaxpr).invars, strict=True)]
    reason = why_not(jaxpr, active)
    if reason is not None:
        raise NotAnalytic(reason)
    v = [b if flag else None for b, flag in zip(v, active, strict=True)]
    h = step_of(x, v) if h is None else jnp.asarray(h, np.float64)
    inputs = [
        jnp.asarray(a) if b is None else lax.complex(jnp.asarray(a, np.float64), h * jnp.asarray(b, np.float64))
        for a, b in zip(x, v, strict=True)
    ]
    outputs = _evaluate(jaxpr, inputs)
    return [
        out.imag / h if _is_complex(out) else jnp.zeros(np.shape(out), np.float64) for out in map(jnp.asarray, outputs)
    ]


def _is_complex(value: Any) -> bool:
    return jnp.issubdtype(getattr(value, "dtype", np.dtype(bool)), np.complexfloating)


def _evaluate(jaxpr: Any, inputs: Sequence[Any]) -> list[Any]:
    """The program on inputs of which some are complex."""

    def equation(eqn: Any, values: list[Any]) -> list[Any]:
        return _equation(eqn, values) if any(map(_is_complex, values)) else bind(eqn, values)

    return evaluate(_open(jaxpr), inputs, equation, consts=getattr(jaxpr, "consts", ()))


def _equation(eqn: Any, values: list[Any]) -> list[Any]:
    name, params, body = eqn.primitive.name, eqn.params, body_of(eqn)
    if body is not None:
        return _evaluate(body, values)
    if name == "scan":
        return _scan(params, values)
    if name == "while":
        return _while(params, values)
    if name == "cond":
        flags = _Walk().equation(eqn, [_is_complex(value) for value in values])
        branches = [lambda *operands, b=b: _lifted(_evaluate(b, operands), flags) for b in params["branches"]]
        return list(lax.switch(jnp.asarray(values[0], np.int32), branches, *values[1:]))
    if name == "custom_linear_solve":
        operands, consts = _Walk.linear_solve(eqn, values)
        return _evaluate(params["jaxprs"].solve, [*consts, *operands])
    return apply(eqn.primitive, values, params)


def _lifted(values: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [lift(value) if flag else value for value, flag in zip(values, flags, strict=True)]


def _scan(params: dict[str, Any], values: list[Any]) -> list[Any]:
    consts, carry = scan_counts(params)
    given = [_is_complex(value) for value in values]
    flags = _Walk().loop(params["jaxpr"], given[:consts], given[consts : consts + carry], given[consts + carry :])

    def body(state: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        outs = _evaluate(params["jaxpr"], [*values[:consts], *state, *xs])
        return _lifted(outs[:carry], flags), outs[carry:]

    state, ys = lax.scan(
        body,
        _lifted(values[consts : consts + carry], flags),
        values[consts + carry :],
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*state, *ys]


def _while(params: dict[str, Any], values: list[Any]) -> list[Any]:
    test, body = params["cond_nconsts"], params["body_nconsts"]
    given = [_is_complex(value) for value in values]
    flags = _Walk().loop(params["body_jaxpr"], given[test : test + body], given[test + body :], [])

    def going(state: list[Any]) -> Any:
        return jnp.any(real(_evaluate(params["cond_jaxpr"], [*values[:test], *state])[0]))

    def step(state: list[Any]) -> list[Any]:
        after = _lifted(_evaluate(params["body_jaxpr"], [*values[test : test + body], *state]), flags)
        return advance(real(_evaluate(params["cond_jaxpr"], [*values[:test], *state])[0]), after, state)

    return list(lax.while_loop(lambda s: jnp.any(going(s)), step, _lifted(values[test + body :], flags)))
