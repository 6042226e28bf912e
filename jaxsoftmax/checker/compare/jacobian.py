"""Functions with any number of outputs: hand jvp and vjp against autodiff, whole Jacobians where affordable.

What it allows for is guarded by `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.checker.compare.as_run import check_as_run, representable
from jaxsoftmax.checker.compare.autodiff import (
    DIFFERENCES,
    DOUBT,
    FORWARD,
    REVERSE,
    with_stops,
)
from jaxsoftmax.checker.compare.directional import check_differences
from jaxsoftmax.checker.compare.kink_entries import Slopes, leave_out_kinks, slopes_by_differences
from jaxsoftmax.checker.compare.routes import routes_of
from jaxsoftmax.checker.compare.witnesses import contradict, credible
from jaxsoftmax.checker.inputs.closed_data import excused
from jaxsoftmax.checker.inputs.context import U64, Session, ravel
from jaxsoftmax.checker.inputs.linear_maps import Bounds, LinearMap, doubtful
from jaxsoftmax.checker.inputs.matrices import EntryNames, compare_matrices, entry_path, suspect
from jaxsoftmax.checker.inputs.probes import structured_probes
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.numeric.directions import Direction
from jaxsoftmax.checker.report.finding import Aspect, Subject, not_compared
from jaxsoftmax.checker.report.verdict import Family

FIRST = "first order"
_DENSE_ENTRIES = 2**22
# Directions in which a combination of the outputs is held to values.
_ALONG = 2


class Outputs(NamedTuple):
    """What a function returns: float leaves.

    Attributes:
        tree: the structure.
        paths: the path of each leaf.
        leaves: shapes and dtypes.
    """

    tree: Any
    paths: tuple[str, ...]
    leaves: list[Any]

    @property
    def size(self) -> int:
        """The number of entries of all leaves."""
        return sum(int(np.prod(leaf.shape)) for leaf in self.leaves)

    def name(self, i: int) -> str:
        """The path and index of entry i of the raveled outputs."""
        return f"output{entry_path(self.paths, [leaf.shape for leaf in self.leaves], i)}"


def read_outputs(out: Any, paths: Sequence[str] | None = None) -> Outputs:
    """Flatten a function's output shapes.

    Args:
        out: the pytree of shapes; leaves that are no floats are left out of it already, if there are floats too.
        paths: the paths of its leaves, where they are not those of `out`.

    Raises:
        TypeError: an output is no real float array.
    """
    named, tree = jax.tree_util.tree_flatten_with_path(out)
    found = tuple(jax.tree_util.keystr(path) for path, _ in named) if paths is None else tuple(paths)
    for place, (_, leaf) in zip(found, named, strict=True):
        dtype = getattr(leaf, "dtype", None)
        if dtype is not None and jax.numpy.issubdtype(dtype, jax.numpy.complexfloating):
            raise TypeError(
                f"fun: output{place} has dtype {dtype}; only real floats are checked, for the checker does not know "
                "JAX's conjugate convention. Return its real and imaginary part as two outputs."
            )
        if dtype is None or not jax.numpy.issubdtype(dtype, jax.numpy.floating):
            raise TypeError(
                f"fun: output{place} has dtype {dtype or type(leaf).__name__}, and no output is a float; only real "
                "floats have derivatives. Return one."
            )
    if not named:
        raise ValueError("fun: returned nothing; a float array is needed. Return the value.")
    return Outputs(tree, found, [leaf for _, leaf in named])


def check_jvp(session: Session, traced: Traced, outputs: Outputs) -> LinearMap:
    """A hand jvp (x, v) -> J v against forward autodiff, column by column or along probes."""
    fun = session.fun

    def pushed(run: Any, consts: Any) -> LinearMap:
        def forward(c: Any, leaves: Any, v: Any) -> Any:
            return jax.jvp(lambda x: run(c, x), (leaves,), (v,))[1]

        return LinearMap(session, forward, consts, session.point.leaves)

    hand, truth = LinearMap(session, traced.run, traced.consts, session.point.leaves), pushed(fun.run, fun.consts)
    names = EntryNames(session)
    if not _differentiable(session, truth):
        _by_differences(session, "jvp", traced, hand, outputs.name, names)
        return hand
    _compare(session, "jvp", FORWARD, traced, hand, truth, outputs, outputs.size, outputs.name, names)
    _check_combined(session, "jvp", hand, truth)
    if not session.quick:
        _as_run(session, "jvp", FORWARD, traced, hand, truth, pushed, outputs.name)
    return hand


def check_vjp(session: Session, traced: Traced, outputs: Outputs) -> LinearMap:
    """A hand vjp (x, ct) -> ct J against reverse autodiff, row by row or along probes.

    Where reverse mode is impossible, ct J is formed by forward mode: <ct, J e_i> for every i.
    """
    fun = session.fun

    def pulled(run: Any, consts: Any, reverse: bool = True) -> LinearMap:
        def by_reverse(c: Any, leaves: Any, ct: Any) -> Any:
            return jax.vjp(lambda x: run(c, x), leaves)[1](list(ct))[0]

        def by_forward(c: Any, leaves: Any, ct: Any) -> Any:
            jacobians = jax.jacfwd(lambda x: run(c, x))(leaves)  # output leaves of input leaves
            rows = [[jax.numpy.tensordot(t, j, axes=t.ndim) for j in row] for t, row in zip(ct, jacobians, strict=True)]
            return [sum(parts) for parts in zip(*rows, strict=True)]

        return LinearMap(session, by_reverse if reverse else by_forward, consts, outputs.leaves)

    hand = LinearMap(session, traced.run, traced.consts, outputs.leaves)
    truth, route = pulled(fun.run, fun.consts), REVERSE
    try:
        with_stops(session, truth.chunk)
    except Exception as error:  # a while loop has no reverse mode
        session.note(f"without the custom rules, reverse autodiff is impossible here ({type(error).__name__})")
        truth, route = pulled(fun.run, fun.consts, False), FORWARD
    names = EntryNames(session)
    if route == FORWARD and not _differentiable(session, truth):
        _by_differences(session, "vjp", traced, hand, names, outputs.name)
        return hand
    _compare(session, "vjp", route, traced, hand, truth, outputs, session.point.size, names, outputs.name)
    _check_combined(session, "vjp", hand, truth)
    of = functools.partial(pulled, reverse=route == REVERSE)
    if not session.quick:
        _as_run(session, "vjp", route, traced, hand, truth, of, names)
    return hand


def _differentiable(session: Session, truth: LinearMap) -> bool:
    try:
        with_stops(session, truth.chunk)
    except Exception:  # JAX says why in many ways
        return False
    return True


def _by_differences(session: Session, rule: str, traced: Traced, hand: LinearMap, rows: Any, columns: Any) -> None:
    """Hold a rule to values alone, where JAX cannot differentiate the function without it: columns, else directions."""
    session.note(
        "without its custom rules JAX cannot differentiate the function, so finite differences were used instead"
    )
    value = session.values(routes_of(session).outputs, session.wide())[0]
    # Foreign code runs in the dtype that it was traced with: its values are rounded to that.
    noise = (4 * session.u if session.fun.replay.opaque else 0.0) * np.abs(value)
    forward, before = hand.inputs is session.point.leaves, len(session.findings)
    slopes, bounds = slopes_by_differences(session, noise), Bounds.of(hand, session.rng)
    if slopes is not None and bounds is not None:
        slopes = slopes if forward else slopes.transposed
        ours, own = bounds.matrix, U64 * slopes.units
        theirs = np.where(np.isfinite(own), slopes.matrix, ours)  # no sample was finite: that entry is not checked
        u = 4 * session.u if traced.replay.opaque else np.sqrt(U64)
        units = np.where(np.isfinite(bounds.units), bounds.units, u / U64 * np.max(np.abs(ours), initial=0.0))
        error, limit = np.abs(ours - theirs), U64 * units + own
        slopes.leave_out_kinks(session, doubtful(error, limit) if forward else doubtful(error.T, limit.T))
        args = (ours, theirs, limit, own, rows, columns)
        finding = compare_matrices(session, FIRST, Subject(rule), DIFFERENCES, *args, family=Family.VALUES)
        suspect(session, rule, finding, ours, theirs, limit, traced)
        if not (session.quick or session.double) and np.isfinite(own).all():
            of = lambda run, consts: slopes  # noqa: E731
            _as_run(session, rule, DIFFERENCES, traced, hand, slopes, of, rows, Family.VALUES)
    _check_combined(session, rule, hand, None, float(np.abs(ravel(routes_of(session).weights)) @ noise))
    if len(session.findings) == before:
        session.findings.append(not_compared(FIRST, Subject(rule), "differences found no slope that is smooth"))


def check_dual(session: Session, forward: LinearMap, reverse: LinearMap, rules: list[Traced]) -> None:
    """<ct, J v> = <ct J, v> for the two hand rules."""
    probes, duals = (m.probes(2) for m in (forward, reverse))
    pushed, push_units = forward.measure(probes)
    pulled, pull_units = reverse.measure(duals)
    pulled = session.smooth(pulled)  # entries without a derivative are left out
    ours, theirs = duals @ pushed.T, pulled @ probes.T
    sums = U64 * (4 + 2 * np.sqrt(max(forward.width, reverse.width)))
    own = np.abs(pulled) @ np.abs(probes).T * sums + U64 * pull_units @ np.abs(probes).T
    tolerance = np.abs(duals) @ np.abs(pushed).T * sums + U64 * np.abs(duals) @ push_units.T + own
    coarse = session.u / U64 * tolerance
    for traced in rules:
        (tolerance,) = excused(session, traced, traced.name, [ours], [theirs], [tolerance], [coarse])
    rows, columns = (lambda i: f"cotangent {i}"), (lambda i: f"direction {i}")
    compare_matrices(
        session, FIRST, Subject("jvp"), "<ct, Jv> with the hand vjp", ours, theirs, tolerance, own, rows, columns
    )


def _compare(
    session: Session,
    rule: str,
    route: str,
    traced: Traced,
    hand: LinearMap,
    truth: LinearMap,
    outputs: Outputs,
    height: int,
    rows: Any,
    columns: Any,
) -> None:
    subject = Subject(rule)
    dense = hand.width * height <= _DENSE_ENTRIES and 48.0 * hand.width * height <= session.clock.budget.bytes
    bounds = Bounds.of(hand, session.rng) if dense else None
    own = Bounds.of(truth, session.rng) if bounds is not None else None
    if bounds is not None and own is not None:
        ours, theirs = bounds.matrix, own.matrix
        error, limit = np.abs(ours - theirs), U64 * (bounds.units + own.units)
        in_doubt = doubtful(error, limit)
        if isinstance(columns, EntryNames):
            leave_out_kinks(session, in_doubt)
        else:
            leave_out_kinks(session, doubtful(error.T, limit.T))
        bounds.confirm(in_doubt)
        own.confirm(in_doubt)
        units, own_units = bounds.units, own.units
    else:
        paths = (
            list(session.point.paths) if hand.inputs is session.point.leaves else [f"output{p}" for p in outputs.paths]
        )
        probes, labels = structured_probes(session, rule, hand, paths)
        ours, units = hand.measure(probes)
        theirs, own_units = truth.measure(probes)
        ours, units, theirs, own_units = ours.T, units.T, theirs.T, own_units.T
        columns = lambda i: labels[i]  # noqa: E731
        subject = Subject(rule, Aspect.DIRECTIONS)
    coarse = session.u * units + U64 * own_units
    (tolerance,) = excused(session, traced, subject.text, [ours], [theirs], [U64 * (units + own_units)], [coarse])
    finding = compare_matrices(session, FIRST, subject, route, ours, theirs, tolerance, U64 * own_units, rows, columns)
    if bounds is not None and own is not None:
        suspect(session, rule, finding, ours, theirs, tolerance, traced)


def _as_run(
    session: Session,
    rule: str,
    route: str,
    traced: Traced,
    hand: LinearMap,
    truth: LinearMap | Slopes,
    of: Callable[[Any, Any], Any],
    rows: Any,
    family: Family = Family.PROGRAM,
) -> None:
    probes = representable(session, hand.probes(3))
    where, measured = (lambda i: f"direction {i}"), (*truth.measure(probes), hand.measure(probes)[1])
    check_as_run(session, FIRST, rule, route, traced, hand, of, probes, *measured, rows, where, family)


def _check_combined(session: Session, rule: str, hand: LinearMap, truth: LinearMap | None, noise: float = 0.0) -> None:
    """Hold <w, J v> of a rule, and of autodiff, to differences of <w, fun(x + tv)> for one random w.

    Args:
        session: the check.
        rule: what the report calls the rule.
        hand: v -> J v, or w -> w J.
        truth: autodiff's; None where there is none.
        noise: how wrong a value of <w, fun> may be.
    """
    routes = routes_of(session)
    if routes.lean and truth is not None:
        return
    probes = session.normal(_ALONG if truth is not None else 4 * _ALONG)
    if not probes.any():
        return
    w = ravel(routes.weights)
    touched = (True,) * len(session.point.leaves)
    directions = [Direction(f"random {i}", "random", session.split(v), touched) for i, v in enumerate(probes)]
    differences = [routes.difference(direction.leaves, noise) for direction in directions]

    def slopes(product: LinearMap) -> tuple[np.ndarray, np.ndarray]:
        if product.inputs is session.point.leaves:
            values, units = product.measure(probes)
            values, units = values @ w, units @ np.abs(w)
        else:
            values, units = product.measure(w[None])
            values, units = probes @ values[0], np.abs(probes) @ units[0]
        units = np.where(np.isfinite(units), U64 * units, np.sqrt(U64) * np.abs(values))
        return values, units + U64 * (4 + 2 * np.sqrt(len(w))) * np.abs(values)

    theirs, own = (np.zeros(0),) * 2 if truth is None else slopes(truth)
    for i, found in enumerate(differences[: len(theirs)]):
        off = abs(theirs[i] - float(found.value)) > own[i] + DOUBT * float(found.error_estimate)
        if off and credible(routes, directions[i].leaves, found, float(theirs[i]), float(own[i]), 0.0):
            contradict(session, float(theirs[i]), found)
            break
    ours, mine = slopes(hand)
    check_differences(session, routes, rule, ours.tolist(), mine.tolist(), differences, directions, noise)
