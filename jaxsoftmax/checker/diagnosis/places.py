"""Errors with a place: a few entries, one slice of a leaf, one leaf; matrices wrong in one direction, or skew.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.checker.diagnosis.case import Case, Fitted, Guess, guess, scale_fit

__all__ = ["asymmetric", "direction", "entries", "one_leaf", "one_slice"]

_FEW = 3


def entries(case: Case) -> Guess | None:
    """One entry, or at most three and a tenth of all, or at most a hundredth of all."""
    if not case.usable:
        return None
    count = sum(int(w.sum()) for w in case.wrong)
    if len(case.failing) == 1 and case.wrong[case.failing[0]].all() and len(case.error) > 1:
        return None  # a whole leaf, of one entry
    few = count <= max(min(_FEW, case.size // 10), case.size // 100)
    # More than one entry in one slice of a leaf: that slice says more.
    if not count or not ((count == 1 and case.size > 2) or (few and one_slice(case) is None)):
        return None
    shown = []
    for i, index in list(case.places(_FEW))[:_FEW]:
        mine, other = case.ours[i][index], case.theirs[i][index]
        shown.append(f"{case.entry(i, index)}, {mine:.6g} where {other:.6g} is right")
    verb = "is" if count == 1 else "are"
    text = "{count} of {size} entries {verb} wrong: {shown}"
    return guess("entry", text, count=count, size=case.size, verb=verb, shown="; ".join(shown))


def one_slice(case: Case) -> Guess | None:
    """All wrong entries share one index along an axis of one leaf, of which the slice has more than one."""
    if not case.usable or len(case.failing) != 1:
        return None
    i = case.failing[0]
    wrong = case.wrong[i]
    best = None
    for axis in range(wrong.ndim - 1):
        if wrong.shape[axis] < 3:
            continue
        rest = tuple(k for k in range(wrong.ndim) if k != axis)
        hit = np.flatnonzero(wrong.any(axis=rest))
        inside = wrong.size // wrong.shape[axis]
        if len(hit) == 1 and inside > 1 and (best is None or inside < best[2]):
            best = axis, int(hit[0]), inside
    if best is None:
        return None
    axis, index, _ = best
    mine, other = (np.take(a[i], index, axis=axis) for a in (case.ours, case.theirs))
    name = case.paths[i] + "[" + ", ".join([":"] * axis + [str(index)] + [":"] * (wrong.ndim - 2 - axis)) + "]"
    factor = _factor(mine, other, case.limit(i))
    by = "" if factor is None else ", it is 0" if factor == 0.0 else " by the factor {factor}"
    return guess("row", "only {part} of {rule} is wrong" + by + "; the rest agrees", part=name, factor=factor)


def _factor(mine: np.ndarray, other: np.ndarray, limit: float) -> Fitted | float | None:
    """The factor between two slices; 0 where one of them is, None where there is none."""
    found = scale_fit([mine], [other], [limit])
    if found is None:
        return None
    c, spread, _ = found
    if not (np.abs(mine - c * other) <= limit * (1 + abs(c)) + spread * np.abs(other)).all():
        return None
    return 0.0 if abs(c) <= 2 * spread else Fitted.of(c, spread)


def one_leaf(case: Case) -> Guess | None:
    """One leaf of several."""
    if not case.usable or len(case.error) < 2 or len(case.failing) != 1:
        return None
    rest = len(case.error) - 1
    others = "the other leaf agrees" if rest == 1 else f"the other {rest} leaves agree"
    return guess(
        "one leaf", "only {leaf} is wrong in {rule}; {others}", leaf=case.paths[case.failing[0]], others=others
    )


def direction(case: Case) -> Guess | None:
    """The error of a matrix has rank one: ours − theirs = c u v' with unit vectors.

    The second singular value of what rounding adds is at most that matrix's Frobenius norm.
    """
    if not case.usable or not case.matrix:
        return None
    error = case.joined(case.error)
    if min(error.shape) < 3 or error.size > 2**22:
        return None
    values = np.linalg.svd(error, compute_uv=False)
    noise = float(np.sqrt(sum(e.size * case.limit(i) ** 2 for i, e in enumerate(case.error))))
    noise += 2.0**-50 * float(values[0])  # of the decomposition itself
    if not values[1] <= noise < values[0] / 16:
        return None
    return guess(
        "direction",
        "looks like {rule} is wrong in one direction only: the error is a matrix of rank one and size {size}, to "
        "within {rest} of it",
        size=Fitted.of(float(values[0]), noise),
        rest=f"{values[1] / values[0]:.0e}",
    )


def asymmetric(case: Case) -> Guess | None:
    """A Hessian that is not its own transpose, where the right one is."""
    if not case.usable or case.suspect.kind not in ("hvp", "hessian"):
        return None
    ours, limits = (
        case.joined(case.ours),
        case.joined([np.full(e.shape, case.limit(i)) for i, e in enumerate(case.error)]),
    )
    skew = np.abs(ours - ours.T)
    if not (skew > limits + limits.T).any():
        return None
    i, j = (int(k) for k in np.unravel_index(int(skew.argmax()), skew.shape))
    entries = f"entry ({i}, {j}) is {ours[i, j]:.6g} and entry ({j}, {i}) is {ours[j, i]:.6g}"
    return guess("asymmetric", "{rule} is not symmetric: {entries}", entries=entries)
