"""A rule of a function with many outputs against values: one random combination of the outputs, along directions.

Guarded by `tests/checker/compare/test_combined.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.checker.compare.autodiff import DOUBT
from jaxsoftmax.checker.compare.directional import check_differences
from jaxsoftmax.checker.compare.routes import routes_of
from jaxsoftmax.checker.compare.witnesses import contradict, credible
from jaxsoftmax.checker.inputs.context import U64, Session, ravel
from jaxsoftmax.checker.inputs.linear_maps import LinearMap
from jaxsoftmax.checker.numeric.directions import Direction

_PROBES = 2


def check_combined(session: Session, rule: str, hand: LinearMap, truth: LinearMap) -> None:
    """Hold <w, J v> of a rule, and of autodiff, to differences of <w, fun(x + tv)> for one random w.

    Args:
        session: the check.
        rule: what the report calls the rule.
        hand: v -> J v, or w -> w J.
        truth: autodiff's.
    """
    routes = routes_of(session)
    if routes.lean:
        return
    probes = session.normal(_PROBES)
    if not probes.any():
        return
    w = ravel(routes.weights)
    touched = (True,) * len(session.point.leaves)
    directions = [Direction(f"random {i}", "random", session.split(v), touched) for i, v in enumerate(probes)]
    differences = [routes.difference(direction.leaves) for direction in directions]

    def slopes(product: LinearMap) -> tuple[np.ndarray, np.ndarray]:
        if product.inputs is session.point.leaves:
            values, units = product.measure(probes)
            values, units = values @ w, units @ np.abs(w)
        else:
            values, units = product.measure(w[None])
            values, units = probes @ values[0], np.abs(probes) @ units[0]
        units = np.where(np.isfinite(units), U64 * units, np.sqrt(U64) * np.abs(values))
        return values, units + U64 * (4 + 2 * np.sqrt(len(w))) * np.abs(values)

    theirs, own = slopes(truth)
    for i, found in enumerate(differences):
        off = abs(theirs[i] - float(found.value)) > own[i] + DOUBT * float(found.error_estimate)
        if off and credible(routes, directions[i].leaves, found, float(theirs[i]), float(own[i]), 0.0):
            contradict(session, float(theirs[i]), found)
            break
    ours, mine = slopes(hand)
    check_differences(session, routes, rule, ours.tolist(), mine.tolist(), differences, directions, 0.0)
