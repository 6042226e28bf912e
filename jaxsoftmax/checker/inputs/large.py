"""Comparisons leaf by leaf; large leaves in one compiled pass, where NumPy's many would be most of a check's cost.

Guarded by `tests/checker/inputs/test_large.py` and `tests/checker/test_crosscheck.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.report.entries import index_text
from jaxsoftmax.checker.report.finding import Finding, compare, compared, half_of, parted

# Leaves with more entries than this are compared here.
LARGE = 2**16


@jax.jit
def _ratios(ours: Any, theirs: Any, tolerance: Any, own: Any) -> tuple[Any, Any, Any]:
    """Entrywise, as in `report.compare`: error and |theirs| over tolerance, and is theirs beyond its own."""
    limit = float(jnp.finfo(ours.dtype).max)
    mine, tol = ours.astype(np.float64), jnp.broadcast_to(tolerance, theirs.shape)
    error, size = jnp.abs(mine - theirs), jnp.abs(theirs)
    overflow = jnp.isinf(mine) & jnp.isfinite(tol) & (size + tol >= limit) & (jnp.sign(mine) == jnp.sign(theirs))
    ratio = jnp.where(error == 0, 0.0, error / jnp.maximum(tol, 0.0))
    ratio = jnp.where(jnp.isfinite(mine) & jnp.isfinite(theirs), ratio, jnp.inf)
    ratio = jnp.where(overflow, 0.0, jnp.where(jnp.isnan(ratio), jnp.inf, ratio))
    return ratio, jnp.where(size > 0, size / tol, 0.0), size > jnp.where(jnp.isfinite(own), own, -1.0)


def compare_large(
    statement: str,
    quantity: str,
    route: str,
    ours: Any,
    theirs: Any,
    tolerance: Any,
    own: Any,
    path: str,
    name: Callable[[tuple[int, ...]], str] | None = None,
) -> Finding:
    """`report.compare` of one large leaf (`tolerance` is both sides' together), in one compiled pass.

    `name` makes the path of an entry of its index, where the leaf's path and the index do not.
    """
    shape = np.shape(theirs)
    # The maxima are NumPy's: XLA's reductions on CPU take ten times as long.
    with jax.enable_x64(True):
        parts = _ratios(jnp.asarray(ours), jnp.asarray(theirs), jnp.asarray(tolerance), jnp.asarray(own))
        ratios, powers, beyond = (np.asarray(part) for part in parts)
    index = tuple(int(k) for k in np.unravel_index(int(ratios.argmax()), shape))
    tolerances, values = np.broadcast_to(np.asarray(tolerance), shape), np.asarray(theirs)
    ratio, mine, other = float(ratios[index]), float(np.asarray(ours[index])), float(values[index])
    bound, error = float(tolerances[index]), 0.0 if ratio == 0 else abs(mine - other)
    power, vacuous = float(powers.max()), not beyond.any() and float(np.max(own)) <= half_of(ours)
    largest, coarsest = float(max(values.max(), -values.min())), float(np.asarray(tolerance).max())
    place = path + index_text(index) if name is None else name(index)
    worst = {"path": place, "ours": mine, "theirs": other}
    check = compared(statement, quantity, route, error, bound, ratio, worst)
    return Finding(check, power, vacuous, coarsest / largest if largest > 0 else np.inf)


def inner_products(first: Any, second: Any, tolerance: Any) -> tuple[float, float, float]:
    """(<a, b>, <|a|, |b|>, <t, |b|>) of one leaf.

    Example:
        >>> import numpy as np
        >>> inner_products(np.array([1.0, -2.0]), np.array([3.0, 1.0]), np.array([0.5, 0.25]))
        (1.0, 5.0, 1.75)
    """
    a, b, t = np.asarray(first), np.asarray(second), np.broadcast_to(tolerance, np.shape(first))
    sizes = np.abs(b)
    if not np.isfinite(t).all():
        t = np.where(sizes > 0, t, 0.0)  # an entry of unknown error times 0
    return float(np.vdot(a, b)), float(np.vdot(np.abs(a), sizes)), float(np.vdot(t, sizes))


def leafwise(
    statement: str,
    quantity: str,
    route: str,
    ours: Sequence[Any],
    theirs: Sequence[Any],
    tolerances: Sequence[Any],
    owns: Sequence[Any] | None,
    paths: Sequence[str],
    *,
    identity: bool = False,
) -> Finding:
    """One finding about all leaves: the worst entry's, blind where one leaf that is not zero is blind.

    `tolerances` are both sides' together; `owns` the part of it that is theirs (what makes a leaf zero to rounding).
    """
    owns = [0.0] * len(theirs) if owns is None else owns
    found = []
    for mine, other, tolerance, own, path in zip(ours, theirs, tolerances, owns, paths, strict=True):
        if np.size(other) > LARGE and not identity:
            found.append(compare_large(statement, quantity, route, mine, other, tolerance, own, path))
            continue
        rest, part = parted(tolerance, own)
        options = {"own_tolerance": part, "path": path, "identity": identity}
        found.append(compare(statement, quantity, route, mine, other, rest, **options))
    top = max(found, key=lambda f: f.check.ratio)
    seen = [f for f in found if not f.vacuous]
    power = min((f.power for f in seen), default=0.0)
    resolution = max((f.resolution for f in seen), default=np.inf)
    return Finding(top.check, power, not seen, resolution)
