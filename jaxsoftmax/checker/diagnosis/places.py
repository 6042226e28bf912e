"""Errors with a place: some entries, whole slices of a leaf, one leaf.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.checker.diagnosis.case import Case, Guess, guess, scale_fit
from jaxsoftmax.reporting.digits import told_apart

__all__ = ["few_entries", "one_leaf", "row_factors", "rows", "some_entries"]

_FEW = 3
# Where more than this share of the entries that are not 0 is wrong, saying which says nothing.
_MOST = 0.75


def few_entries(case: Case) -> Guess | None:
    """At most three entries and a third of those that are not 0, or a hundredth, which are not a whole leaf."""
    if not case.usable or any(case.wrong[i].all() and len(case.error) > 1 for i in case.failing):
        return None
    wrong, seen = _counts(case)
    return _entries(case) if wrong <= max(min(_FEW, seen // 3), seen // 100) else None


def some_entries(case: Case) -> Guess | None:
    """Some entries, others being right and not 0."""
    if not case.usable:
        return None
    wrong, seen = _counts(case)
    if wrong == case.size == 1 and not case.ours[0].any():
        return _entries(case)
    return None if wrong > _MOST * seen else _entries(case)


def _seen(case: Case, i: int) -> np.ndarray:
    """Which entries of a leaf are not 0 on both sides."""
    return case.wrong[i] | (np.maximum(np.abs(case.ours[i]), np.abs(case.theirs[i])) > case.limit(i))


def _counts(case: Case) -> tuple[int, int]:
    """How many entries are wrong, and how many are not 0."""
    return sum(int(w.sum()) for w in case.wrong), sum(int(_seen(case, i).sum()) for i in range(len(case.error)))


def _entries(case: Case) -> Guess:
    count = sum(int(w.sum()) for w in case.wrong)
    shown = []
    for i, index in list(case.places(_FEW))[:_FEW]:
        mine, other = told_apart(case.ours[i][index], case.theirs[i][index])
        shown.append(f"{case.entry(i, index)}, {mine} where {other} is right")
    verb, more = "is" if count == 1 else "are", "; …" if count > len(shown) else ""
    text = "{count} of {size} entries {verb} wrong: {shown}"
    return guess("entry", text, count=count, size=case.size, verb=verb, shown="; ".join(shown) + more)


def row_factors(case: Case) -> Guess | None:
    """Each slice of one leaf along an axis is a multiple of the right one, with factors of their own."""
    if not case.usable or len(case.failing) != 1:
        return None
    i = case.failing[0]
    for axis in range(case.error[i].ndim - 1):
        mine, other = (np.moveaxis(a[i], axis, 0).reshape(a[i].shape[axis], -1) for a in (case.ours, case.theirs))
        fits = [scale_fit([a], [b], [case.limit(i)]) for a, b in zip(mine, other, strict=True)]
        sure = [fit[:2] for fit in fits if fit is not None and fit[2] >= 2]
        if len(fits) < 2 or len(sure) < len(fits):
            continue
        c, spread = np.array(sure).T[:, :, None]
        if (np.abs(mine - c * other) <= case.limit(i) * (1 + np.abs(c)) + spread * np.abs(other)).all():
            text = "looks like each slice of {rule} along axis {axis}{leaf} has a factor of its own: {factors}"
            factors = ", ".join(f"{float(x):.4g}" for x in c[:5, 0]) + (", …" if len(c) > 5 else "")
            return guess("row", text, axis=axis, leaf=f" of {case.paths[i]}" if case.paths[i] else "", factors=factors)
    return None


def rows(case: Case) -> Guess | None:
    """Along some axis of one leaf each slice is wrong throughout, in more than one entry, or right; or one is wrong."""
    if not case.usable or len(case.failing) != 1:
        return None
    i = case.failing[0]
    seen, axes = _seen(case, i), range(case.wrong[i].ndim)
    for axis in axes[:-1] if len(axes) > 2 else ():
        rest = tuple(k for k in axes if k != axis)
        wrong, counted = case.wrong[i].sum(axis=rest), seen.sum(axis=rest)
        hit = wrong > 0
        whole = (wrong[hit] == counted[hit]).all() or (hit.sum() == 1 < len(hit) - 1)
        if (wrong[hit] > 1).all() and whole and (counted[~hit] > 1).any():
            where = ", ".join(str(k) for k in np.flatnonzero(hit)[:5])
            zero = ", it is 0" if not np.compress(hit, case.ours[i], axis).any() else ""
            values = {"where": where, "axis": axis, "leaf": f" of {case.paths[i]}" if case.paths[i] else ""}
            text = f"only index {{where}} along axis {{axis}}{{leaf}} is wrong in {{rule}}{zero}; the rest agrees"
            return guess("row", text, **values)
    return None


def one_leaf(case: Case) -> Guess | None:
    """One leaf of several."""
    if not case.usable or len(case.error) < 2 or len(case.failing) != 1:
        return None
    rest = len(case.error) - 1
    others = "the other leaf agrees" if rest == 1 else f"the other {rest} leaves agree"
    return guess(
        "one leaf", "only {leaf} is wrong in {rule}; {others}", leaf=case.paths[case.failing[0]], others=others
    )
