"""Right numbers in wrong places, and a wrong mean: transposes, shifts, permutations, gauges.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize

from jaxsoftmax.checker.diagnosis.case import Case, Guess, guess
from jaxsoftmax.checker.report.result import DiagnosisName

__all__ = ["gauge", "permutation", "shift", "transpose"]

# Slices of an axis are matched by an assignment of so many at most.
_MATCHED = 512


def _replaced(case: Case, i: int, leaf: np.ndarray) -> list[np.ndarray]:
    return [leaf if k == i else other for k, other in enumerate(case.theirs)]


def _one_failing(case: Case) -> int | None:
    return case.failing[0] if case.usable and len(case.failing) == 1 else None


def _moved(name: DiagnosisName, case: Case, i: int, how: str) -> Guess:
    """A leaf of the rule, or the rule, is `how`."""
    leaf = f"{case.paths[i]} of " if case.paths[i] else ""
    return guess(name, "looks like {leaf}{rule} is {how}", leaf=leaf, how=how)


def transpose(case: Case) -> Guess | None:
    """A leaf is its own transpose, or that in the leaf's shape; a square matrix is its transpose."""
    if case.usable and case.matrix:
        whole = case.joined(case.theirs)
        if whole.shape[0] == whole.shape[1] and case.explained(case.leaves([whole.T])):
            return guess("transpose", "looks like {rule} is the transpose of the right matrix")
        if _scaled_transpose(case):
            return guess("transpose", "looks like a matrix inside {rule} is transposed, between two factors a row")
    i = _one_failing(case)
    if i is None:
        return None
    leaf = case.theirs[i]
    if leaf.ndim < 3:
        return None
    axes = (*reversed(range(leaf.ndim - 1)), leaf.ndim - 1)
    for moved, text in (
        (leaf.transpose(axes).reshape(leaf.shape), "transposed"),
        (leaf.reshape(*leaf.shape[-2::-1], leaf.shape[-1]).transpose(axes), "filled in transposed order"),
    ):
        if case.explained(_replaced(case, i, moved)):
            shape = "" if leaf.shape[:-1] == leaf.shape[-2::-1] else " and reshaped"
            return _moved("transpose", case, i, f"{text}{shape}")
    return None


def _scaled_transpose(case: Case) -> bool:
    """ours = D Aᵀ where A D is right, or the like, with some diagonal D: ours_ij = theirs_ji r_i / r_j."""
    ours, theirs = case.joined(case.ours), case.joined(case.theirs).T
    n, limit = len(ours), max(case.limit(i) for i in range(len(case.error)))
    if case.suspect.kind not in ("jvp", "vjp") or ours.shape != theirs.shape or n < 3:
        return False
    if not (np.abs(theirs) + np.eye(n) > 2**20 * limit).all():
        return False
    r = ours[:, 0] / np.where(theirs[:, 0] == 0, 1.0, theirs[:, 0])
    r[0] = 1.0
    if not (np.isfinite(r) & (r != 0)).all():
        return False
    return case.explained(case.leaves([theirs * r[:, None] / r[None, :]]), [2**-20 * np.abs(o) for o in case.ours])


def shift(case: Case) -> Guess | None:
    """A leaf is rolled by one place, or a few, along an axis."""
    i = _one_failing(case)
    if i is None:
        return None
    leaf = case.theirs[i]
    for axis in range(leaf.ndim - 1):
        for step in (1, -1, 2, -2):
            if abs(step) < leaf.shape[axis] and case.explained(_replaced(case, i, np.roll(leaf, step, axis))):
                return _moved("shift", case, i, f"shifted by {step} along axis {axis}")
    return None


def permutation(case: Case) -> Guess | None:
    """The slices of a leaf along an axis are permuted."""
    i = _one_failing(case)
    if i is None:
        return None
    for axis in range(case.theirs[i].ndim - 1):
        order = _order(case, i, axis)
        if order is None:
            continue
        if case.explained(_replaced(case, i, np.take(case.theirs[i], order, axis=axis))):
            shown = ", ".join(map(str, order[:12])) + (", …" if len(order) > 12 else "")
            return _moved("permutation", case, i, f"permuted along axis {axis}: its entries are [{shown}]")
    return None


def _order(case: Case, i: int, axis: int) -> list[int] | None:
    """Which slice of theirs each slice of ours is."""
    mine, other = (np.moveaxis(a[i], axis, 0) for a in (case.ours, case.theirs))
    count = len(mine)
    if count < 2 or count > _MATCHED:
        return None
    mine, other = mine.reshape(count, -1), other.reshape(count, -1)
    if count * count * mine.shape[1] > 2**26:
        return None
    cost = np.abs(mine[:, None] - other[None]).max(axis=2)
    # Distances within rounding count as none, so that equal slices stay in place.
    cost = np.where(cost <= case.limit(i), 0.0, cost) + (1 - np.eye(count)) * case.limit(i) / (4 * count)
    return [int(k) for k in scipy.optimize.linear_sum_assignment(cost)[1]]


def gauge(case: Case, *, missing: bool = False) -> Guess | None:
    """One side sums to 0 along an axis of a wrong leaf, and the other does not: a projection is missing, or unwanted.

    Where theirs does, the function does not change with a constant added along that axis. `missing`: only that.
    """
    if not case.usable:
        return None
    for i in case.failing:
        for axis in range(case.error[i].ndim - 1):
            limit = 2 * case.limit(i) * case.error[i].shape[axis]
            sums = [np.abs(side[i].sum(axis=axis)).max() for side in (case.ours, case.theirs)]
            sizes = [np.abs(side[i]).max() for side in (case.ours, case.theirs)]
            values = {"leaf": f"{case.paths[i]} of " if case.paths[i] else "", "axis": axis}
            if sums[1] <= limit < 2**-8 * min(sizes[1], sums[0]):
                text = "{leaf}{rule} sums to {sum} along axis {axis} where 0 is right, as of a "
                text += "function that no constant added there changes"
                return guess("gauge", text, sum=f"{sums[0]:.6g}", **values)
            if not missing and sums[0] <= limit < 2**-8 * min(sizes[0], sums[1]):
                return guess(
                    "gauge", "{leaf}{rule} sums to 0 along axis {axis}, which removes its mean there", **values
                )
    return None
