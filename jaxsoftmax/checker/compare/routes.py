"""The function along a direction: differences, Taylor samples, complex step and forward mode, compiled on first use.

Guarded by `tests/checker/compare/test_directional.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxsoftmax.checker.inputs.context import LEAN_BYTES, Session
from jaxsoftmax.checker.inputs.program import Program, compiled
from jaxsoftmax.checker.jaxprs.complex_step import complex_step, why_not
from jaxsoftmax.checker.jaxprs.equations import primitives, stops_at_a_tolerance
from jaxsoftmax.checker.jaxprs.replay import FOREIGN, Replay
from jaxsoftmax.checker.numeric.differences import Difference, difference_kernel, directional_difference
from jaxsoftmax.checker.numeric.second_differences import SecondDifference, second_difference, second_kernel
from jaxsoftmax.checker.numeric.taylor import taylor_kernel, taylor_slopes

_LEVELS = 8
# Steps beyond a loop's tolerance: they shrink an error that falls by 1 % in each to half.
_FURTHER = 64


class Routes:
    """The function along directions: programs of one check, compiled on first use."""

    weights: list[np.ndarray]
    value: Program
    lean: bool

    def __init__(self, session: Session) -> None:
        """Trace the function's value."""
        self.session = session
        fun = session.fun
        # Of a function with many outputs, one random combination: whatever one of them does shows in it.
        shapes = [out.shape for out in jax.tree.leaves(fun.out)]
        scalar = shapes == [()]
        draws = np.random.default_rng(0)
        self.weights = [np.ones(())] if scalar else [draws.standard_normal(s) for s in shapes]

        def combined(c: Any, leaves: Any) -> Any:
            outs = fun.run(c, leaves)
            return [outs[0] if scalar else sum(jnp.vdot(w, out) for w, out in zip(self.weights, outs, strict=True))]

        self.value = session.program(combined, fun.consts, session.wide())
        self.lean = 4 * self.value.cost > LEAN_BYTES
        # One after the other where memory asks for it, or where foreign code has no batching rule.
        self._batch = 1 if self.lean or primitives(fun.closed) & FOREIGN else None

    @functools.cached_property
    def forward(self) -> Program:
        """(leaves, tangents) -> [value, derivative along the tangents], by forward mode."""
        fun, wide = self.session.fun, self.session.wide()

        def along(c: Any, leaves: Any, tangents: Any) -> Any:
            return jax.jvp(lambda x: fun.run(c, x)[0], (leaves,), (tangents,))

        return self.session.program(along, fun.consts, wide, wide)

    @functools.cached_property
    def outputs(self) -> Program:
        """Leaves -> all outputs as one vector."""
        fun = self.session.fun

        def raveled(c: Any, leaves: Any) -> Any:
            return jnp.concatenate([jnp.ravel(out) for out in fun.run(c, leaves)])

        return self.session.program(raveled, fun.consts, self.session.wide())

    def _kernel(self, kind: str, make: Callable[..., Any], program: Program | None = None) -> Callable[..., Any]:
        program = self.value if program is None else program
        jaxpr, consts = program.jaxpr, program.consts

        def build() -> Callable[..., Any]:
            def function(c: Any) -> Callable[[Any], Any]:
                return lambda leaves: Replay().run(jaxpr, (), [*c, *leaves])[0]

            return lambda c, x, v, h: make(function(c), x, v, h)

        code = compiled((kind, self._batch), program.text, consts, build, program.options)
        return lambda x, v, h: code(consts, x, v, h)

    def difference(self, direction: Sequence[Any], noise: Any = 0.0, *, whole: bool = False) -> Difference:
        """Extrapolated differences along a direction: of the value, or of the vector of all outputs (`whole`)."""
        levels = _LEVELS
        kernel = self._kernel(
            f"differences {levels}",
            lambda f, x, v, h: difference_kernel(f, x, v, h, levels=levels, batch=self._batch),
            self.outputs if whole else self.value,
        )
        with jax.enable_x64(True):
            found = directional_difference(
                lambda leaves: leaves,
                self.session.wide(),
                [jax.device_put(v) for v in direction],
                levels=levels,
                noise=noise,
                kernel=kernel,
                # Small steps see the stairs of a loop that stops at a tolerance, not the function.
                attempts=1 if self.lean or self.session.iterative else 4,
            )
        self.session.clock.evaluations += found.evaluations
        return found

    @functools.cached_property
    def later(self) -> Program:
        """The value, with loops that go on for some steps after they have stopped at a tolerance."""
        fun = self.session.fun

        def combined(c: Any, leaves: Any) -> Any:
            outs = Replay(keep_stop_gradient=fun.keep_stops, further=_FURTHER).run(fun.closed.jaxpr, c, leaves)
            return [sum(jnp.vdot(w, out) for w, out in zip(self.weights, outs, strict=True))]

        return self.session.program(combined, fun.consts, self.session.wide())

    def second(self, direction: Sequence[Any]) -> SecondDifference:
        """Extrapolated second differences of the value along a direction.

        Of a loop that stops at a tolerance the curvature lags behind that of its limit; how it moves in further steps
        belongs to the estimate.
        """
        with jax.enable_x64(True):
            x, v, found = self.session.wide(), [jnp.asarray(d) for d in direction], []
            for program in (self.value, self.later) if stops_at_a_tolerance(self.value.jaxpr) else (self.value,):
                make = lambda f, x, v, h: second_kernel(f, x, v, h, batch=self._batch)  # noqa: E731
                found.append(second_difference(x, v, self._kernel("second", make, program)))
                self.session.clock.evaluations += 1
        first, last = found[0], found[-1]
        lag = abs(first.value - last.value) + last.error_estimate if len(found) > 1 else 0.0
        return first._replace(error_estimate=first.error_estimate + lag)

    def taylor(self, direction: Sequence[Any], slope: float, bend: float | None, noise: float, doubt: float) -> Any:
        """The Taylor test of a slope (and of a second derivative) along a direction."""
        kernel = self._kernel("taylor", lambda f, x, v, t: taylor_kernel(f, x, v, t, batch=self._batch))
        with jax.enable_x64(True):
            x, v = self.session.wide(), [jax.device_put(d) for d in direction]
            return taylor_slopes(lambda y: y, x, slope, v, bend, noise=noise, slope_error=doubt, kernel=kernel)

    def complex_refusal(self) -> str | None:
        """Why the complex step does not apply, or None."""
        active = [False] * len(self.value.consts) + [True] * len(self.session.point.leaves)
        return why_not(ClosedJaxpr(self.value.jaxpr, []), active)

    def complex_step(self, direction: Sequence[Any]) -> float:
        """Im f(x + ihv)/h."""
        jaxpr, consts = self.value.jaxpr, self.value.consts

        def build() -> Callable[..., Any]:
            def run(c: Any, x: Any, v: Any) -> Any:
                return complex_step(ClosedJaxpr(jaxpr, []), [*c, *x], [*[None] * len(c), *v])[0]

            return run

        with jax.enable_x64(True):
            code = compiled("complex step", self.value.text, consts, build, self.value.options)
            self.session.clock.evaluations += 1
            return float(code(consts, self.session.wide(), [jax.device_put(d) for d in direction]))


def routes_of(session: Session) -> Routes:
    """The routes of a check, made once."""
    if session.routes is None:
        session.routes = Routes(session)
    return session.routes
