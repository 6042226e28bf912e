"""The directions of a map that is too large to be compared whole, and what they guarantee.

Guarded by `tests/checker/inputs/test_linear_maps.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.checker.inputs.context import Session, ravel
from jaxsoftmax.checker.inputs.linear_maps import LinearMap
from jaxsoftmax.checker.numeric.directions import directions
from jaxsoftmax.checker.numeric.guarantee import guarantee

# Gaussian directions carry the guarantee; the others look where errors of structure are.
GAUSSIAN = 8
_KINDS = {"random": GAUSSIAN, "scaled": 2, "leaf": 6, "rows": 3, "columns": 3, "entry": 8}


def structured_probes(
    session: Session, rule: str, products: LinearMap, names: list[str]
) -> tuple[np.ndarray, list[str]]:
    """(directions, their names): Gaussian ones, single leaves, blocks of rows and columns, basis vectors, x itself.

    The Gaussian ones come first; the others as the time allows. What they guarantee goes into the report.
    """
    entries = products.inputs is session.point.leaves
    given = {}
    with np.errstate(all="ignore"):
        if entries and any(np.asarray(leaf).any() for leaf in session.point.leaves):
            given = {"x": [np.asarray(leaf).astype(np.float64) for leaf in session.point.leaves]}
    count = _KINDS if session.clock.allows(0.5) else {"random": GAUSSIAN}
    found = list(directions(products.inputs, session.rng, count=count, names=names, given=given))
    found.sort(key=lambda d: d.kind != "random")  # stable
    flat = np.array([ravel(d.leaves) for d in found])
    flat = session.smooth(flat) if entries else flat
    keep = [i for i, row in enumerate(flat) if row.any()]
    kinds = [found[i].kind for i in keep]
    text = guarantee(products.width, gaussian=kinds.count("random"), entries=kinds.count("entry"))
    session.guarantee = f"{'' if session.guarantee is None else f'{session.guarantee} '}{rule}: {text}"
    return flat[keep], [found[i].name for i in keep]


def residual_probe(ours: Any, theirs: Any, width: int) -> np.ndarray | None:
    """The error of the worst probe as a direction, where the map goes from a space to itself: (1, width) or None."""
    error = np.asarray(ours) - np.asarray(theirs)
    if error.shape[1] != width or not np.isfinite(error).all():
        return None
    worst = error[np.abs(error).max(axis=1).argmax()]
    size = np.abs(worst).max()
    return (worst / size)[None] if size > 0 else None
