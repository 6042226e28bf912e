"""Routes that no rule of JAX's reverse mode takes part in: forward mode, complex step, differences, Taylor remainders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxsoftmax.checker.complex_step import complex_step, why_not
from jaxsoftmax.checker.differences import Difference, difference_kernel, directional_difference
from jaxsoftmax.checker.directions import Direction, directions
from jaxsoftmax.checker.first_order import FIRST, Hand
from jaxsoftmax.checker.kinks import kink
from jaxsoftmax.checker.linear_maps import LinearMap
from jaxsoftmax.checker.program import compiled
from jaxsoftmax.checker.replay import Replay
from jaxsoftmax.checker.session import U64, Session
from jaxsoftmax.checker.taylor import taylor_kernel, taylor_slopes
from jaxsoftmax.checker.truth import FORWARD, Truth, directional, dot, dot_tolerance, finite, scalar

# An estimate of a difference's error is that: the error itself may be larger, by no more than this as far as was seen.
_DOUBT = 10.0
# A complex product or quotient takes up to six real operations where forward mode takes three.
_COMPLEX = 4.0
_LEVELS = 8
_LEAN_LEVELS = 2


class Routes:
    """The function along directions: programs of one check, compiled on first use."""

    def __init__(self, session: Session) -> None:
        self.session = session
        fun = session.fun
        self.value = session.program(lambda c, leaves: [scalar(fun.run, c)(leaves)], fun.consts, session.wide())
        self.forward = directional(session)
        self.lean = session.lean(self.forward)
        self._batch = 1 if self.lean else None

    def _function(self, consts: Any) -> Callable[[Any], Any]:
        jaxpr = self.value.jaxpr
        return lambda leaves: Replay().run(jaxpr, (), [*consts, *leaves])[0]

    def _kernel(self, kind: str, make: Callable[..., Any]) -> Callable[..., Any]:
        consts = self.value.consts

        def build() -> Callable[..., Any]:
            return lambda c, x, v, h: make(self._function(c), x, v, h)

        code = compiled((kind, self._batch), str(self.value.jaxpr), consts, build)
        return lambda x, v, h: code(consts, x, v, h)

    def difference(self, direction: Sequence[Any], noise: float = 0.0) -> Difference:
        """Extrapolated differences along a direction."""
        levels = _LEAN_LEVELS if self.lean else _LEVELS
        kernel = self._kernel(
            f"differences {levels}",
            lambda f, x, v, h: difference_kernel(f, x, v, h, levels=levels, batch=self._batch),
        )
        with jax.enable_x64(True):
            found = directional_difference(
                lambda leaves: leaves,
                self.session.wide(),
                [jnp.asarray(v) for v in direction],
                levels=levels,
                noise=noise,
                kernel=kernel,
                attempts=1 if self.lean else 4,
            )
        self.session.clock.evaluations += found.evaluations
        return found

    def taylor(self, direction: Sequence[Any], slope: float, bend: float | None, noise: float, doubt: float) -> Any:
        """The Taylor test of a slope (and of a second derivative) along a direction."""
        kernel = self._kernel("taylor", lambda f, x, v, t: taylor_kernel(f, x, v, t, batch=self._batch))
        with jax.enable_x64(True):
            x, v = self.session.wide(), [jnp.asarray(d) for d in direction]
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
            code = compiled("complex step", str(jaxpr), consts, build)
            self.session.clock.evaluations += 1
            return float(code(consts, self.session.wide(), [jnp.asarray(d) for d in direction]))


def probe_directions(session: Session, routes: Routes, truth: Truth) -> list[Direction]:
    """Gaussian directions, one leaf at a time, blocks, and directions in which small entries count as much as large."""
    if routes.lean:
        count = {"random": 1}
    else:
        count = {"random": 2, "scaled": 1, "leaf": 6, "rows": 1, "columns": 1}
    with np.errstate(all="ignore"):
        sizes = [1 / np.abs(g) for g in truth.gradient]
    largest = max((float(np.max(s, initial=0.0, where=np.isfinite(s))) for s in sizes), default=1.0) or 1.0
    found = directions(
        session.point.leaves,
        session.rng,
        count=count,
        names=session.point.paths,
        magnitudes=[s / largest for s in sizes],
    )
    return list(found)


def check_along(session: Session, hands: list[Hand], truth: Truth, hvp: LinearMap | None = None) -> None:
    """Hold the hand gradients, and reverse autodiff itself, to the other routes along directions."""
    routes = Routes(session)
    probes = probe_directions(session, routes, truth)
    gradients = [("reverse autodiff (float64)", truth.gradient, truth.tolerance)] if truth.route != FORWARD else []
    gradients += [(hand.name, hand.gradient, hand.tolerance) for hand in hands]
    gradients = [g for g in gradients if finite(g[1])]
    if not gradients:
        return
    refusal = routes.complex_refusal()
    if refusal is not None:
        session.note(f"no complex step: {refusal} has no complex continuation")
    forward = [_forward(session, routes, probe, truth) for probe in probes]
    few = probes[:1] if routes.lean else probes[:3]
    steps = [] if refusal is not None or routes.lean else [routes.complex_step(probe.leaves) for probe in few]
    noise = U64 * truth.value_units
    differences = [routes.difference(probe.leaves, noise) for probe in few]
    for name, gradient, tolerance in gradients:
        slopes = [dot(gradient, probe.leaves) for probe in probes]
        owns = [dot_tolerance(gradient, probe.leaves, tolerance) for probe in probes]
        names = [probe.name for probe in probes]
        values, bounds = [f[0] for f in forward], [f[1] for f in forward]
        _add(session, name, FORWARD, slopes, values, owns, bounds, names)
        agreed = True
        if steps:
            bounds = [_COMPLEX * b for b in bounds]
            agreed = _add(session, name, "complex step (float64)", slopes, steps, owns, bounds, names)
        _check_differences(session, name, slopes, owns, differences, names, agreed and bool(steps))
    for hand in hands:
        if finite(hand.gradient):
            _check_taylor(session, routes, hand, few[0], noise, hvp)


def _forward(session: Session, routes: Routes, probe: Direction, truth: Truth) -> tuple[float, float]:
    """(slope, tolerance) by forward mode; of a large function the reverse mode's bound, twice, stands in."""
    direction = session.like_point(np.concatenate([np.ravel(v) for v in probe.leaves]))
    if routes.lean:
        slope = float(session.values(routes.forward, session.wide(), direction)[1])
        return slope, 2 * dot_tolerance(truth.gradient, probe.leaves, truth.tolerance)
    measured = session.measure(routes.forward, session.wide(), direction)
    return float(measured.values[1]), U64 * float(measured.errors[1])


def _add(
    session: Session,
    name: str,
    route: str,
    slopes: list[float],
    values: list[float],
    owns: list[float],
    bounds: list[float],
    names: list[str],
) -> bool:
    n = len(values)
    tolerance = np.array(owns[:n]) + np.array(bounds[:n])
    finding = session.add(
        FIRST,
        f"{name} along directions",
        route,
        [np.array([s]) for s in slopes[:n]],
        [np.array([v]) for v in values],
        [np.array([t]) for t in tolerance],
        [np.array([b]) for b in bounds[:n]],
        paths=names[:n],
        identity=True,
    )
    return finding.check.passed


def _check_differences(
    session: Session,
    name: str,
    slopes: list[float],
    owns: list[float],
    found: list[Difference],
    names: list[str],
    confirmed: bool,
) -> None:
    """Differences only estimate their error: where the complex step agrees, they are told to be off and do not judge."""
    values = [float(d.value) for d in found]
    bounds = [_DOUBT * float(d.error_estimate) for d in found]
    with np.errstate(invalid="ignore"):
        off = [not abs(s - v) <= o + b for s, v, o, b in zip(slopes, values, owns, bounds, strict=False)]
    for wrong, difference, where in zip(off, found, names, strict=False):
        shape = kink(difference)
        if wrong and (shape.kind != "smooth" or confirmed):
            session.note(f"differences along {where} do not judge: {shape.evidence}")
        if wrong and shape.kind != "smooth":
            session.kinks.append(shape.evidence)
    keep = [i for i, d in enumerate(found) if not (off[i] and (confirmed or kink(d).kind != "smooth"))]
    if keep:
        picked = [[row[i] for i in keep] for row in (slopes, values, owns, bounds, names)]
        _add(session, name, "extrapolated differences", *picked)  # pyright: ignore[reportArgumentType]


def _check_taylor(
    session: Session, routes: Routes, hand: Hand, probe: Direction, noise: float, hvp: LinearMap | None
) -> None:
    """f(x + tv) - f(x) - t<g, v> falls like t², and like t³ when t²<v, Hv>/2 is taken off too."""
    slope = dot(hand.gradient, probe.leaves)
    doubt = dot_tolerance(hand.gradient, probe.leaves, hand.tolerance)
    orders: list[tuple[int, float | None]] = [(2, None)]
    if hvp is not None and not routes.lean:
        flat = np.concatenate([np.ravel(v) for v in probe.leaves])
        orders.append((3, float(flat @ hvp.values(flat[None])[0])))
    for order, bend in orders:
        found = routes.taylor(probe.leaves, slope, bend, noise, doubt)
        if found.passed is None:
            session.note(f"Taylor remainder of order {order}: {found.text}")
            continue
        if not found.passed and session.kinks:
            session.note(f"Taylor remainder of order {order} beside a kink: {found.text}")
            continue
        quantity = hand.name if order == 2 else "hvp"
        session.add(
            FIRST if order == 2 else "2nd",
            f"{quantity}, order of the Taylor remainder",
            f"t^{order}",
            [found.order_fitted],
            [float(order)],
            [0.0 if not found.passed else max(0.5, abs(found.order_fitted - order))],
            paths=[probe.name],
            identity=True,
        )

