"""Programs: a traced function as one plain jaxpr over flat leaves, compiled once for all functions that trace alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxsoftmax.checker.jaxprs.equations import equations, signature
from jaxsoftmax.checker.jaxprs.replay import Replay
from jaxsoftmax.checker.roundoff.calls import Arithmetic
from jaxsoftmax.checker.roundoff.interpreter import with_errors
from jaxsoftmax.checker.roundoff.samples import sampled_errors

# Compiled programs kept, the oldest dropped first. They hold code and no data: constants are arguments.
_KEEP = 192
# Below this many bytes of intermediate values a program is compiled without LLVM's optimizations: that saves a third of
# the compilation, which is nearly all of what a small check takes.
_SMALL = 2.0**22
_compiled: OrderedDict[Any, Callable[..., Any]] = OrderedDict()


class Measured(NamedTuple):
    """Values and their first-order rounding bounds in units of the unit roundoff (None: exact), a leaf each."""

    values: list[Any]
    errors: list[Any]


def compiled(
    kind: Any,
    text: Any,
    consts: Sequence[Any],
    build: Callable[[], Callable[..., Any]],
    options: dict[str, Any] | None = None,
) -> Callable[..., Any]:
    """The compiled function of a jaxpr's `signature`: `build`'s the first time, then that one again."""
    key = (kind, text, tuple((np.shape(c), str(getattr(c, "dtype", None))) for c in consts))
    if key not in _compiled:
        _compiled[key] = jax.jit(build(), compiler_options=options)
        if len(_compiled) > _KEEP:
            _compiled.popitem(last=False)
    _compiled.move_to_end(key)
    return _compiled[key]


class Program:
    """A function of flat leaves as a jaxpr with its constants passed in; everything in float64, under x64.

    Two programs whose jaxprs print alike share their compiled code, so that other data, another key or a new closure of
    the same function compile nothing.
    """

    jaxpr: Any
    consts: list[Any]
    text: tuple[Any, ...]
    cost: float

    def __init__(self, fn: Callable[..., Any], consts: Sequence[Any], *templates: Any) -> None:
        """Trace ``fn(consts, *templates)``; its output is flattened."""
        # Constants are arguments, so that the text below determines the program.
        closed = jax.make_jaxpr(lambda c, *t: jax.tree.leaves(fn(c, *t)))(list(consts), *templates)
        inner = closed.jaxpr
        self.jaxpr = inner.replace(constvars=[], invars=[*inner.constvars, *inner.invars])
        self.consts = [*closed.consts, *consts]
        self.text = signature(self.jaxpr)
        self.cost = cost(self.jaxpr)

    @property
    def options(self) -> dict[str, Any] | None:
        """Compiler options."""
        return {"xla_backend_optimization_level": 0} if self.cost < _SMALL else None

    def values(self, *args: Any) -> list[Any]:
        """The outputs, flattened."""
        jaxpr = self.jaxpr

        def build() -> Callable[..., Any]:
            return lambda c, a: Replay().run(jaxpr, (), [*c, *a])

        code = compiled("values", self.text, self.consts, build, self.options)
        return code(self.consts, jax.tree.leaves(args))

    def errors(
        self,
        *args: Any,
        arithmetic: Arithmetic,
        narrow: bool = False,
        sampled: bool = False,
        data: bool = False,
    ) -> Measured:
        """The outputs with their rounding bounds.

        Args:
            args: as for `values`.
            arithmetic: of the dtype that is bounded.
            narrow: float constants that float32 does not hold are rounded too.
            data: every float of the constants and the arguments is rounded once too.
            sampled: estimate the errors from random signs instead of bounding them (`roundoff.samples`).
        """
        jaxpr, analyse = self.jaxpr, sampled_errors if sampled else with_errors

        def build() -> Callable[..., Any]:
            closed = ClosedJaxpr(jaxpr, [])

            def run(c: Any, a: Any) -> Any:
                given = [_constant_error(x, narrow) for x in c] + [None] * len(a)
                if data:
                    given = [abs(x) if getattr(x, "dtype", None) == np.float64 else None for x in (*c, *a)]
                outs, errors, _ = analyse(closed, [*c, *a], arithmetic, input_errors=given)
                return outs, errors

            return run

        kind = ("errors", arithmetic, narrow, sampled, data)
        code = compiled(kind, self.text, self.consts, build, self.options)
        return Measured(*code(self.consts, jax.tree.leaves(args)))


def _constant_error(constant: Any, narrow: bool) -> Any:
    """The rounding of a constant in units of u: of numbers (a decimal's rounding), and of float64 data in float32."""
    dtype = getattr(constant, "dtype", None)
    if dtype != np.float64 or (np.size(constant) != 1 and not narrow):
        return None
    short = constant.astype("bfloat16" if np.size(constant) == 1 else np.float32).astype(np.float64)
    return jax.numpy.where(short == constant, 0.0, abs(constant))


def cost(jaxpr: Any) -> float:
    """Bytes of all intermediate values of a jaxpr, loops counted by their trips: an upper bound of its memory."""
    outputs = [(times, v.aval) for eqn, times in equations(jaxpr) for v in eqn.outvars]
    return sum(times * float(np.prod(aval.shape)) * 8.0 for times, aval in outputs if hasattr(aval, "shape"))
