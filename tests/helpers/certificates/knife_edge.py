"""Sets of points whose ties are decimal: as doubles, their last bits decide; and an exact oracle for the plane.

Points on a hyperplane a·x = c with tenths as coordinates, of all classes, and more points off it, on the side of their
class. As decimals such a set is separated by the hyperplane, with ties. As doubles the points on it are moved by
about 2⁻⁵³ of their size, and what they then allow is decided by bits that floating-point arithmetic cannot see.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import NamedTuple

import numpy as np


class PointSet(NamedTuple):
    """X (N, D) in float64, tenths; labels 0, …, C − 1, all of which occur."""

    X: np.ndarray
    labels: np.ndarray


NOT_ATTAINED = PointSet(np.array([[0.3, 1.3], [0.9, 1.0], [2.3, 0.3], [1.5, 0.7]]), np.array([0, 1, 0, 1]))
ATTAINED = PointSet(np.array([[1.9, 0.5], [0.9, 1.0], [2.5, 0.2], [2.7, 0.1], [2.1, 0.4]]), np.array([0, 1, 0, 1, 0]))


def planar_set(seed: int) -> PointSet:
    """Two classes in the plane, at most 48 points, 3 to 8 of them on a line; not all on one line as doubles."""
    draw = random.Random(seed)
    while True:
        found = _points(draw, 2, 2, draw.randint(3, 8), draw.choice((0, draw.randint(1, 40))))
        if _rank_is_full(found.X):
            return found


def knife_edge_set(seed: int, most: int = 200, features: int = 6, classes: int = 4) -> PointSet:
    """Up to so many points, features and classes; 2 D to 4 D points on a hyperplane between two groups of classes."""
    draw = random.Random(seed)
    D, C = draw.randint(2, features), draw.randint(2, classes)
    on = draw.randint(2 * D, 4 * D)
    return _points(draw, D, C, on, draw.choice((0, draw.randint(1, most - on))))


def sized_set(seed: int, points: int, features: int, classes: int) -> PointSet:
    """The same of one size, 3 D points on the hyperplane."""
    return _points(random.Random(seed), features, classes, 3 * features, points - 3 * features)


def _points(draw: random.Random, D: int, C: int, on: int, off: int) -> PointSet:
    """In tenths. The last coefficient of the hyperplane is 1: every choice of the others has its point on it.

    Along the first coordinate the points on it take the classes in turn, so that few are separated within it.
    """
    normal = [draw.choice((-3, -2, -1, 1, 2, 3)), *(draw.randint(-3, 3) for _ in range(D - 2)), 1]
    order = draw.sample(range(D), D)
    upper = set(draw.sample(range(C), draw.randint(1, C - 1)))
    level = draw.randint(5, 60)
    points, labels = [], []
    for k, first in enumerate(sorted([draw.randint(0, 30) for _ in range(D - 1)] for _ in range(on))):
        points.append([*first, level - sum(a * x for a, x in zip(normal, first, strict=False))])
        labels.append(k % C)
    for _ in range(off):
        point = [draw.randint(-30, 60) for _ in range(D)]
        above = sum(a * x for a, x in zip(normal, point, strict=True)) - level
        points.append(point if above else [*point[:-1], point[-1] + 1])
        labels.append(draw.choice([c for c in range(C) if (c in upper) == (above >= 0)]))
    return PointSet(np.array(points)[:, order] / 10, np.array(labels))


def _rank_is_full(X: np.ndarray) -> bool:
    first, *rest = [[Fraction(x) for x in row] for row in X.tolist()]
    moved = [(p[0] - first[0], p[1] - first[1]) for p in rest]
    return any(a[0] * b[1] != a[1] * b[0] for a in moved for b in moved)


def separated_in_the_plane(found: PointSet) -> np.ndarray:
    """(N,) bool: the points of two classes in the plane, not all on one line, that some line separates; all exact.

    A recession direction is an affine function h with s_n h(x_n) >= 0 for all n, s_n = ±1 the side of the class (S9).
    The cone of these has no line, so it is spanned by its edges, and on an edge two independent constraints are tight:
    h vanishes in two different points. So all lines through two points are tried, in both directions.
    """
    points = [[Fraction(x) for x in row] for row in found.X.tolist()]
    scale = max(x.denominator for row in points for x in row)  # all are powers of two
    P = np.array([[int(x * scale) for x in row] for row in points], dtype=object)
    side = np.where(found.labels == 1, 1, -1)
    separated = np.zeros(len(P), bool)
    for i in range(len(P)):
        moved = P - P[i]
        for j in range(i):
            h = (moved[j, 0] * moved[:, 1] - moved[j, 1] * moved[:, 0]) * side
            for one in (h, -h):
                if (one >= 0).all():
                    separated |= (one > 0).astype(bool)
    return separated
