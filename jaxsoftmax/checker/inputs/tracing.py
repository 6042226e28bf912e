"""A user's function, traced as it runs and once more in float64, with what its trace gives away."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxsoftmax.checker.inputs.arguments import Point, called, double, rule_on
from jaxsoftmax.checker.inputs.closures import forget_dtypes, fresh_arrays
from jaxsoftmax.checker.inputs.program import compiled
from jaxsoftmax.checker.jaxprs.equations import equations, inner_consts, signature
from jaxsoftmax.checker.jaxprs.replay import Replay, widen
from jaxsoftmax.support.validation import is_traced

# Rules with more equations are not traced again to see whether they are random.
_SHORT = 200
# Where an object lies in memory: older versions of JAX print it of a callback's function, which may be new each time.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Traced:
    """A function of flat leaves and further pytrees, as jaxprs.

    Attributes:
        name: what the user calls it.
        out: the pytree of shapes that it returns, in the dtypes that it runs in.
        narrow: its closed jaxpr in those dtypes.
        closed: its closed jaxpr at float64 inputs; `narrow` where it refuses those (`wide` is then False).
        replay: what was met in replays so far (`rules`, `stops`, `opaque`).
        keep_stops: leave ``stop_gradient`` in: the derivatives of some solvers cannot be formed without it.
    """

    name: str
    point: Point
    out: Any
    narrow: Any
    closed: Any
    wide: bool
    replay: Replay
    keep_stops: bool

    def __init__(
        self,
        name: str,
        rule: Callable[..., Any],
        point: Point,
        args: tuple[Any, ...],
        *more: Any,
        twice: bool | None = None,
    ) -> None:
        """Trace ``rule(x, *more, *args)``.

        Args:
            name: for messages.
            rule: the user's function.
            point: x.
            args: further arguments, held fixed.
            twice: trace it twice, to see whether it depends on something that it changes. None: if it is short.
            more: templates of the arguments between x and args: lists of leaves in the working dtype, and how to put
                them together: (leaves, treedef).

        Raises:
            TypeError, ValueError: it cannot be traced, raises, has side effects or holds a tracer.
        """
        self.name, self.point, given = name, point, args
        trees = [tree for _, tree in more]

        with point.scope():
            args = jax.tree.map(_traceable, args)

        def flat(leaves: Any, *parts: Any, held: tuple[Any, ...] = args) -> Any:
            joined = [jax.tree.unflatten(tree, part) for tree, part in zip(trees, parts, strict=True)]
            return rule_on(rule, point, held)(leaves, *joined)

        templates = [point.leaves, *(leaves for leaves, _ in more)]

        def trace(held: Any, templates: list[Any]) -> tuple[ClosedJaxpr, Any]:
            # As a new function each time: JAX keeps old traces.
            return jax.make_jaxpr(lambda *parts: flat(*parts, held=held), return_shape=True)(*templates)

        with point.scope(), called(name):
            try:
                self.narrow, self.out = trace(args, templates)
            except Exception as error:
                with fresh_arrays(rule) as replaced:
                    if not replaced or not isinstance(error, TypeError):
                        raise
                    self.narrow, self.out = trace(args, templates)
            twice = len(self.narrow.jaxpr.eqns) < _SHORT if twice is None else twice
            again = trace(args, templates)[0] if twice else self.narrow
        self._refuse_effects(again)
        del again
        self.narrow = forget_dtypes(self.narrow, floats=False)
        self.closed, self.wide = self.narrow, False
        with jax.enable_x64(True):
            if id(given) not in point.widened:  # `given` is held by the caller for as long as the point
                point.widened[id(given)] = jax.tree.map(_wide_argument, given)
            ways = (point.widened[id(given)], jax.tree.map(_fresh, args))
            wide = [[_widened(leaf) for leaf in part] for part in templates]
            found = self._first(trace, ways, wide)
            if found is None:
                with fresh_arrays(rule) as replaced:
                    found = self._first(trace, ways, wide) if replaced else None
            if found is not None:
                self.closed, self.wide = found, True
        self.narrow, self.closed = (forget_dtypes(closed, floats=True) for closed in (self.narrow, self.closed))
        self.replay, self.keep_stops = Replay(), False

    def _first(self, trace: Callable[..., Any], ways: Sequence[Any], templates: list[Any]) -> ClosedJaxpr | None:
        """The trace with the first of some further arguments that the function takes."""
        for held in ways:
            try:
                closed, out = trace(held, templates)
            except Exception:  # whatever the function says to float64
                continue
            if jax.tree.structure(out) == jax.tree.structure(self.out):
                return closed
        return None

    def _refuse_effects(self, again: Any) -> None:
        held, held_again = ([*closed.consts, *inner_consts(closed)] for closed in (self.narrow, again))
        if any(map(is_traced, held)):
            raise TypeError(
                f"{self.name}: closes over a traced value of another transformation. Call crosscheck outside jit, "
                "grad and vmap, and pass the value through args."
            )
        if self.narrow.effects:
            raise ValueError(
                f"{self.name}: has side effects ({', '.join(sorted({str(e) for e in self.narrow.effects}))}): "
                "prints, callbacks or mutable references. Check the function without them."
            )
        texts = [_ADDRESS.sub("", str(closed.jaxpr)) for closed in (self.narrow, again)]
        if texts[0] != texts[1] or not all(map(_same, held, held_again)):
            raise ValueError(
                f"{self.name}: two traces of it differ: it is random or depends on something that it changes. "
                "Pass keys and state through args."
            )

    @property
    def consts(self) -> list[Any]:
        """The float64 trace's constants: closed-over arrays and args."""
        return list(self.closed.consts)

    def run(self, consts: Sequence[Any], *args: Any, keep_stops: bool = False) -> list[Any]:
        """The flat outputs, in float64, custom rules inlined; differentiable, under x64."""
        replay = Replay(keep_stop_gradient=True) if keep_stops or self.keep_stops else self.replay
        return replay.run(self.closed.jaxpr, consts, jax.tree.leaves(args))

    def run_narrow(self, consts: Sequence[Any], *args: Any) -> list[Any]:
        """The same from the trace in the working dtype: its constants are those numbers."""
        replay = Replay(keep_stop_gradient=True) if self.keep_stops else self.replay
        return replay.run(self.narrow.jaxpr, consts, jax.tree.leaves(args))

    def as_run(self, *args: Any) -> list[Any]:
        """The flat outputs as a user gets them: custom rules, dtypes and shardings untouched."""
        jaxpr, consts = self.narrow.jaxpr, list(self.narrow.consts)

        def build() -> Callable[..., Any]:
            hoisted = jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])
            run = jaxpr_as_fun(ClosedJaxpr(hoisted, []))
            return lambda c, a: run(*c, *a)

        # A demotion is carried out as written, as it is outside jit: XLA would skip a pair of casts if it may.
        options = {"xla_allow_excess_precision": False}
        with self.point.scope():
            code = compiled(("as run", self.point.double), self._signature, consts, build, options)
            return code(consts, jax.tree.leaves(args))

    @functools.cached_property
    def _signature(self) -> tuple[Any, ...]:
        return signature(self.narrow.jaxpr)

    @functools.cached_property
    def closes_over_narrow(self) -> bool:
        """Whether the float64 trace, whose args are float64, still holds arrays of a narrower float dtype."""
        held = [getattr(const, "dtype", None) for const in (*self.closed.consts, *inner_consts(self.closed))]
        return self.wide and any(_is_narrow(dtype) for dtype in held)

    @functools.cached_property
    def reduced(self) -> tuple[str, ...]:
        """Float dtypes narrower than float64 that the float64 trace still computes in."""
        return _narrow_dtypes(self.closed) if self.wide else ()


def _traceable(arg: Any) -> Any:
    """A NumPy float as a JAX array: what NumPy computes from it while a rule is traced, nobody sees."""
    if isinstance(arg, np.ndarray | np.generic) and jnp.issubdtype(arg.dtype, jnp.floating):
        return jnp.asarray(arg)
    return arg


def _wide_argument(arg: Any) -> Any:
    """An array in the widened dtype of its own; anything else as it is."""
    if isinstance(arg, jax.Array) and _is_narrow(arg.dtype):
        return double(arg)
    return _fresh(_traceable(widen(arg))) if isinstance(arg, jax.Array | np.ndarray | np.generic) else arg


def _fresh(arg: Any) -> Any:
    """A copy of a NumPy array: JAX remembers the dtype that an array object was given while x64 was off."""
    return arg.copy() if isinstance(arg, np.ndarray) else arg


def _widened(template: Any) -> Any:
    """An array, or the shape of one, in float64."""
    if isinstance(template, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(template.shape, np.float64)
    return double(template)


def _is_narrow(dtype: Any) -> bool:
    """Whether it is a float dtype other than float64 (keys have dtypes that are none)."""
    if dtype is None or jnp.issubdtype(dtype, jax.dtypes.extended):
        return False
    return bool(jnp.issubdtype(dtype, jnp.floating)) and dtype != np.float64


def _same(first: Any, second: Any) -> bool:
    if first is second:
        return True
    if jnp.issubdtype(getattr(first, "dtype", np.float32), jax.dtypes.extended):
        first, second = jax.random.key_data(first), jax.random.key_data(second)
    return bool(np.array_equal(np.asarray(first), np.asarray(second), equal_nan=False) or _both_nan(first, second))


def _both_nan(first: Any, second: Any) -> bool:
    first, second = np.asarray(first), np.asarray(second)
    return first.shape == second.shape and first.dtype == second.dtype and first.tobytes() == second.tobytes()


def _narrow_dtypes(jaxpr: Any) -> tuple[str, ...]:
    found = {getattr(var.aval, "dtype", None) for eqn, _ in equations(jaxpr) for var in eqn.outvars}
    return tuple(sorted(str(dtype) for dtype in found if _is_narrow(dtype)))
