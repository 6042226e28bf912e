"""Separation by one feature, found by comparisons alone (S12): thresholds, and features that never act for a class."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.numbers import exact_number

__all__ = ["Found", "Threshold", "one_feature_directions"]


class Threshold(NamedTuple):
    """Every class of `above` lies wholly in x_f >= theta, every other one that occurs wholly in x_f <= theta (S12)."""

    feature: int  # the column of X given
    theta: Fraction
    above: tuple[int, ...]
    below: tuple[int, ...]
    strict: bool  # no sample has x_f = theta


class Found(NamedTuple):
    """What one feature at a time shows.

    entries: {(class, column of X): rational}, the sum of the directions found, a recession direction.
    thresholds: those used.
    never: (class, feature) pairs: the feature keeps one sign (or 0) over all samples, is not 0 for some, and is 0 for
        every sample of the class, which may be absent.
    absent: classes in no target.
    """

    entries: dict[tuple[int, int], Fraction]
    thresholds: tuple[Threshold, ...]
    never: np.ndarray  # (pairs, 2)
    absent: tuple[int, ...]


def one_feature_directions(data: ExactData) -> Found:
    r"""Every recession direction of one feature and the bias (S12), for one-hot targets; the sum of them in `entries`.

    A threshold θ gives :math:`V = \sum_{c\in A} e_c\otimes(e_f-\theta e_{bias})`; a feature that keeps one sign and is
    0 on class c gives :math:`V = \mp e_c\otimes e_f`, without a bias. A class that is absent falls for ever along the
    bias. Only comparisons of the numbers given decide, so nothing is rounded; θ is a short number in the gap.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.proof.exact.data import ExactData
        >>> from jaxsoftmax.proof.separation.thresholds import one_feature_directions
        >>> data = ExactData(js.Problem.from_labels([[1.9], [3.0], [4.5]], ["a", "b", "b"]), decimal=True)
        >>> one_feature_directions(data).thresholds[0].theta
        Fraction(49, 20)

    Source: S12; Albert & Anderson, Biometrika 71 (1984), for complete and quasi-complete separation.
    """
    C, bias = data.C, data.given if data.intercept and data.given in data.columns else None
    codes = data.codes
    present = np.bincount(codes, minlength=C) > 0
    absent = tuple(np.flatnonzero(~present).tolist())
    entries: dict[tuple[int, int], Fraction] = {}
    if bias is not None:
        entries |= {(c, bias): Fraction(-1) for c in absent}
    features = data.columns[data.columns < data.given]
    thresholds: list[Threshold] = []
    never = np.zeros((0, 2), int)
    if len(features):
        low, high = _ranges(data, codes, present)
        never, sign = _never_active(low, high, present)
        for (c, f), s in zip(never.tolist(), sign.tolist(), strict=True):
            entries[c, f] = entries.get((c, f), Fraction(0)) - s
        silent = set(never[:, 1].tolist())
        for f, above, left, right in _cuts(low, high, present):
            theta = _short_number_between(left, right, data.decimal)
            if (theta != 0 and bias is None) or (left == right == 0 and f in silent):
                continue  # the latter are the directions above once more, with more entries
            below = tuple(c for c in np.flatnonzero(present).tolist() if c not in above)
            thresholds.append(Threshold(f, theta, above, below, bool(left < right)))
            for c in above:
                entries[c, f] = entries.get((c, f), Fraction(0)) + 1
                if theta != 0 and bias is not None:
                    entries[c, bias] = entries.get((c, bias), Fraction(0)) - theta
    entries = {place: value for place, value in entries.items() if value != 0}
    return Found(entries, tuple(thresholds), never, absent)


def _ranges(data: ExactData, codes: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of each feature in each class, (C, D) in X's own dtype; absent classes are left at 0."""
    X = data.values
    order = np.argsort(codes, kind="stable")
    ordered = X[data.rows[order]]
    starts = np.searchsorted(codes[order], np.flatnonzero(present))
    low, high = (np.zeros((data.C, data.given), X.dtype) for _ in range(2))
    low[present] = np.minimum.reduceat(ordered, starts, axis=0)
    high[present] = np.maximum.reduceat(ordered, starts, axis=0)
    return low, high


def _never_active(low: np.ndarray, high: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(class, feature) pairs of a feature of one sign that is 0 on the class, and the sign; absent classes count."""
    least, most = low[present].min(axis=0), high[present].max(axis=0)
    positive, negative = (least >= 0) & (most > 0), (most <= 0) & (least < 0)
    silent = (low == 0) & (high == 0)  # absent classes were left at 0
    pairs = np.argwhere(silent & (positive | negative))
    return pairs, np.where(positive[pairs[:, 1]], 1, -1)


def _cuts(low: np.ndarray, high: np.ndarray, present: np.ndarray) -> list[tuple[int, tuple[int, ...], Any, Any]]:
    """(feature, classes above, left, right): those below end at `left`, those above begin at `right`."""
    classes = np.flatnonzero(present)
    if len(classes) < 2:
        return []
    order = np.lexsort((high[classes], low[classes]), axis=0)  # by low, then by high
    below = np.maximum.accumulate(np.take_along_axis(high[classes], order, axis=0), axis=0)[:-1]
    above = np.take_along_axis(low[classes], order, axis=0)[1:]
    varies = low[classes].min(axis=0) < high[classes].max(axis=0)  # x_f ≠ θ for some sample
    found = []
    for k, f in np.argwhere((below <= above) & varies):
        upper = tuple(sorted(classes[order[k + 1 :, f]].tolist()))
        found.append((int(f), upper, below[k, f], above[k, f]))
    return found


def _short_number_between(left: Any, right: Any, decimal: bool) -> Fraction:
    """A rational in [left, right], strictly inside where the gap is open: 0, or the middle rounded to few digits."""
    a, b = exact_number(left, decimal), exact_number(right, decimal)
    if a <= 0 <= b and (a < 0 < b or a == b):
        return Fraction(0)
    middle = (a + b) / 2
    if a == b:
        return a
    base = 10 if decimal else 2
    step = Fraction(1)
    while step > (b - a) / 16:
        step /= base
    return Fraction(round(middle / step)) * step
