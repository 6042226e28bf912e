"""Second derivatives: hand Hessian and Hessian-vector product against autodiff, and the identities that they owe.

What it allows for is guarded by `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.compare.as_run import check_as_run, representable
from jaxsoftmax.checker.compare.autodiff import DOUBT
from jaxsoftmax.checker.compare.curvature import SECOND, Curvature, hessian_products
from jaxsoftmax.checker.compare.kink_entries import leave_out_kinks
from jaxsoftmax.checker.compare.routes import routes_of
from jaxsoftmax.checker.inputs.closed_data import excused
from jaxsoftmax.checker.inputs.context import U64, Session
from jaxsoftmax.checker.inputs.linear_maps import ANALYSED, Bounds, LinearMap, doubtful
from jaxsoftmax.checker.inputs.matrices import EntryNames, compare_matrices, suspect
from jaxsoftmax.checker.inputs.probes import residual_probe, structured_probes
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.numeric.kinks import Shape, kink
from jaxsoftmax.checker.report.finding import Aspect, Subject
from jaxsoftmax.checker.report.verdict import Family, Says, together

_PROBES = 8
# Directions along which a rule is held to second differences of values.
_ALONG = 3


def check_hessian(session: Session, traced: Traced, truth: Curvature) -> np.ndarray | None:
    """Compare a hand Hessian with autodiff: all entries, or its products with probes; and its symmetry."""
    program = session.program(traced.run, traced.consts, session.wide())
    names = EntryNames(session)
    (ran,) = traced.as_run(session.point.leaves)
    if truth.matrix is None or truth.bounds is None:
        _probe_hessian(session, program, ran, truth)
        return None
    own = U64 * truth.bounds.units
    if session.point.size <= ANALYSED:
        measured = session.measure(program, session.wide())
        (ours,), (units,) = measured.values, measured.errors
    else:
        (ours,) = session.values(program, session.wide())
        units = 2 * truth.bounds.units
        if len(doubtful(np.abs(ours - truth.matrix), U64 * units)):
            (units,) = session.measure(program, session.wide()).errors
    in_doubt = doubtful(np.abs(ours - truth.matrix), U64 * units + own)
    leave_out_kinks(session, in_doubt)
    truth.bounds.confirm(in_doubt)
    own = U64 * truth.bounds.units
    limit = session.u * units + own
    (tolerance,) = excused(session, traced, "hessian", [ours], [truth.matrix], [U64 * units + own], [limit])
    args = (truth.route, ours, truth.matrix, tolerance, own, names, names)
    finding = compare_matrices(session, SECOND, Subject("hessian"), *args, table=session.double)
    suspect(session, "hessian", finding, ours, truth.matrix, tolerance, traced)
    if len(doubtful(np.abs(np.asarray(ran).astype(np.float64) - truth.matrix), limit)):
        narrow = session.program(traced.run_narrow, list(traced.narrow.consts), session.wide())
        limit = np.maximum(limit, session.u * session.measure(narrow, session.wide(), narrow=True).errors[0] + own)
    subject = Subject("hessian", dtype=session.point.dtype)
    compare_matrices(
        session, SECOND, subject, truth.route, ran, truth.matrix, limit, own, names, names, table=not session.double
    )
    both = units + units.T
    (tolerance,) = excused(session, traced, "hessian", [ours], [ours.T], [U64 * both], [session.u * both])
    _compare_transpose(session, "hessian", ours, tolerance)
    return ours


def _compare_transpose(session: Session, rule: str, ours: np.ndarray, tolerance: Any) -> None:
    subject, names = Subject(rule, Aspect.SYMMETRY), EntryNames(session)
    compare_matrices(
        session, SECOND, subject, "its transpose", ours, ours.T, tolerance, 0.0, names, names, identity=True
    )


def _probe_hessian(session: Session, program: Any, ran: Any, truth: Curvature) -> None:
    n = session.point.size
    (ours,) = session.values(program, session.wide())
    probes, labels = structured_probes(session, "hessian", truth.map, list(session.point.paths))
    theirs, units = truth.map.measure(probes)
    # The rule's own matrix is multiplied here: its rounding is taken to be that of the products beside it.
    tolerance = U64 * (3 * units + (4 + 2 * np.sqrt(n)) * (np.abs(probes) @ np.abs(ours).T))
    names = EntryNames(session)
    compare_matrices(
        session,
        SECOND,
        Subject("hessian", Aspect.DIRECTIONS),
        truth.route,
        probes @ ours.T,
        theirs,
        tolerance,
        U64 * units,
        lambda i: labels[i],
        names,
    )


def check_hvp(session: Session, traced: Traced, truth: Curvature) -> LinearMap:
    """Compare a hand Hessian-vector product with autodiff: all columns, or probes; as it runs; linear; symmetric."""
    hand = LinearMap(session, traced.run, traced.consts, session.point.leaves)
    names = EntryNames(session)
    bounds = Bounds.of(hand, session.rng) if truth.matrix is not None else None
    if truth.matrix is not None and truth.bounds is not None and bounds is not None:
        ours = bounds.matrix
        error = np.abs(ours - truth.matrix)
        in_doubt = doubtful(error, U64 * (bounds.units + truth.bounds.units))
        leave_out_kinks(session, in_doubt)
        bounds.confirm(in_doubt)
        truth.bounds.confirm(in_doubt)
        own = U64 * truth.bounds.units
        fine, coarse = U64 * bounds.units + own, session.u * bounds.units + own
        (tolerance,) = excused(session, traced, "hvp", [ours], [truth.matrix], [fine], [coarse])
        finding = compare_matrices(
            session, SECOND, Subject("hvp"), truth.route, ours, truth.matrix, tolerance, own, names, names
        )
        suspect(session, "hvp", finding, ours, truth.matrix, tolerance, traced)
        both = bounds.units + bounds.units.T
        (tolerance,) = excused(session, traced, "hvp", [ours], [ours.T], [U64 * both], [session.u * both])
        _compare_transpose(session, "hvp", ours, tolerance)
    _check_probes(session, traced, hand, truth, whole=bounds is not None)
    if not session.quick:
        _check_linear(session, hand)
    return hand


def _check_probes(session: Session, traced: Traced, hand: LinearMap, truth: Curvature, *, whole: bool) -> None:
    """Along directions: the formula (few where the whole matrix was compared), and the rule as it runs."""
    if whole:
        probes = session.normal(_PROBES)
        labels = [f"random {i}" for i in range(len(probes))]
    else:
        probes, labels = structured_probes(session, "hvp", hand, list(session.point.paths))
    probes = representable(session, probes)
    ours, units = hand.measure(probes)
    theirs, own = truth.map.measure(probes)
    residual = None if whole else residual_probe(ours, theirs, hand.width)
    if residual is not None:
        more, more_units = hand.measure(residual)
        other, other_units = truth.map.measure(residual)
        ours, units = np.vstack([ours, more]), np.vstack([units, more_units])
        theirs, own = np.vstack([theirs, other]), np.vstack([own, other_units])
        probes, labels = np.vstack([probes, residual]), [*labels, "the residual of another"]
    names, where = EntryNames(session), lambda i: labels[i]
    coarse = session.u * units + U64 * own
    (tolerance,) = excused(session, traced, "hvp", [ours], [theirs], [U64 * (units + own)], [coarse])
    subject = Subject("hvp", Aspect.DIRECTIONS)
    compare_matrices(session, SECOND, subject, truth.route, ours, theirs, tolerance, U64 * own, where, names)
    if not whole:
        _check_symmetric(session, ours, U64 * units, probes)

    def of(run: Any, consts: Any) -> LinearMap:
        return hessian_products(session, run, consts, truth.route)

    if session.quick:
        return
    few = slice(3)
    measured = (probes[few], theirs[few], own[few], units[few])
    check_as_run(session, SECOND, "hvp", truth.route, traced, hand, of, *measured, names, where)


def _check_symmetric(session: Session, products: np.ndarray, tolerance: np.ndarray, probes: np.ndarray) -> None:
    """<u, Hv> = <v, Hu> for all pairs of probes."""
    forms = probes @ products.T
    size = np.abs(probes) @ np.abs(products).T
    limit = np.abs(probes) @ tolerance.T + U64 * (4 + 2 * np.sqrt(probes.shape[1])) * size
    where = lambda i: f"direction {i}"  # noqa: E731
    compare_matrices(
        session,
        SECOND,
        Subject("hvp", Aspect.SYMMETRY),
        "<u, Hv> = <v, Hu>",
        forms,
        forms.T,
        limit + limit.T,
        0.0,
        where,
        where,
        identity=True,
    )


def _check_linear(session: Session, hand: LinearMap) -> None:
    """hvp(a v + w) = a hvp(v) + hvp(w), and hvp(-8 v) = -8 hvp(v)."""
    # Small integers: a v + w and -8 v are exact.
    v, w = session.smooth(session.rng.integers(-8, 9, (2, session.point.size)).astype(np.float64))
    a = -3.0
    values, units = hand.measure(np.array([a * v + w, -8 * v, v, w]))
    with np.errstate(all="ignore"):
        expected = np.array([a * values[2] + values[3], -8 * values[2]])
        tolerance = U64 * np.array([units[0] + abs(a) * units[2] + units[3], units[1] + 8 * units[2]])
        tolerance += U64 * 4 * np.array([np.abs(a * values[2]) + np.abs(values[3]), np.abs(expected[1])])
    where = lambda i: ("a v + w", "-8 v")[i]  # noqa: E731
    compare_matrices(
        session,
        SECOND,
        Subject("hvp", Aspect.LINEARITY),
        "hvp(a v + w) = a hvp(v) + hvp(w)",
        values[:2],
        expected,
        tolerance,
        0.0,
        where,
        EntryNames(session),
        identity=True,
    )


def check_values(session: Session, rule: str, products: Callable[[np.ndarray], np.ndarray]) -> None:
    """Hold v'Hv of a rule to second differences of values, where no route through the program decides.

    Args:
        session: the check, the rule's comparisons done.
        rule: "hvp" or "hessian".
        products: (count, n) directions -> the rule's H v.
    """
    routes = routes_of(session)
    said = together(f.says for f in session.findings if f.subject.rule == rule)
    if session.quick or routes.lean or said not in (Says.SUSPECTS, Says.SILENT):
        return
    probes = session.normal(_ALONG)
    terms = probes * products(probes)
    # The rule's own error has no bound here: half of the digits. How far the curvature of a loop that stops at a
    # tolerance lags behind that of its limit is an estimate, too: a difference below a hundredth does not accuse.
    share = np.sqrt(U64) + (0.01 if session.iterative else 0.0)
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, str]] = []
    for i, (ours, slack) in enumerate(zip(terms.sum(axis=1), share * np.abs(terms).sum(axis=1), strict=True)):
        direction = session.split(probes[i])
        found = routes.second(direction)
        tolerance = slack + DOUBT * found.error_estimate
        off = abs(ours - found.value) > tolerance
        if not off and not 2 * tolerance <= abs(found.value):  # NaN and infinite estimates too
            session.note(
                f"second differences of values were left out along random {i}: their error may be {tolerance:.1e}, "
                f"beside {found.value:.1e}"
            )
        elif not off or kink(routes.difference(direction)).shape is Shape.SMOOTH:
            rows.append((np.array([ours]), np.array([found.value]), np.array([tolerance]), f"random {i}"))
    if rows:
        mine, theirs, limits, paths = map(list, zip(*rows, strict=True))
        subject, route = Subject(rule, Aspect.CURVATURE), "second differences of values"
        session.add(SECOND, subject, route, mine, theirs, limits, paths=paths, family=Family.VALUES)


def check_consistent(session: Session, gradient: Traced, traced: Traced, hand: LinearMap) -> None:
    """The hand Hessian-vector product is the derivative of the hand gradient (rules inlined) along the direction."""

    def along(c: Any, leaves: Any, v: Any) -> Any:
        outs = jax.jvp(lambda x: gradient.run(c, x), (leaves,), (v,))[1]
        return outs[-len(session.point.leaves) :]

    other = LinearMap(session, along, gradient.consts, session.point.leaves)
    probes = session.normal(3)
    try:
        theirs, own = other.measure(probes)
    except Exception as error:
        session.note(
            f"JAX cannot differentiate the hand gradient, so hvp was not compared with it ({type(error).__name__})"
        )
        return
    ours, units = hand.measure(probes)
    fine, coarse = U64 * (units + own), session.u * (units + own)
    (fine,) = excused(session, traced, "hvp", [ours], [theirs], [fine], [coarse])
    (tolerance,) = excused(session, gradient, "the hand gradient", [ours], [theirs], [fine], [coarse])
    compare_matrices(
        session,
        SECOND,
        Subject("hvp"),
        "derivative of the hand gradient",
        ours,
        theirs,
        tolerance,
        U64 * own,
        lambda i: f"direction {i}",
        EntryNames(session),
    )
