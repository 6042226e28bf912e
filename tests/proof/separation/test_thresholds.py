"""S12: separation by one feature, against all thresholds tried one by one in fractions."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.separation.thresholds import one_feature_directions


def naive_cuts(X, y, C):
    """S12, literally: (feature, classes above) for some θ with every class wholly in x >= θ or wholly in x <= θ."""
    present = sorted(set(y.tolist()))
    found = set()
    for f in range(X.shape[1]):
        values = sorted({Fraction(v) for v in X[:, f].tolist()})
        candidates = values + [(a + b) / 2 for a, b in pairwise(values)]
        for theta in candidates:
            if all(v == theta for v in values):
                continue
            sides = {}
            for c in present:
                inside = [Fraction(v) for v in X[y == c, f].tolist()]
                sides[c] = (all(v >= theta for v in inside), all(v <= theta for v in inside))
            if all(any(side) for side in sides.values()):
                free = [c for c in present if all(sides[c])]  # wholly at θ: may join either side
                fixed = {c for c in present if sides[c][0] and c not in free}
                found |= {
                    (f, tuple(sorted(fixed | extra)))
                    for extra in subsets(free)
                    if 0 < len(fixed | extra) < len(present)
                }
    return found


def subsets(items):
    return [{x for k, x in enumerate(items) if mask >> k & 1} for mask in range(1 << len(items))]


def recession(X, y, entries, C, intercept):
    """S9 for the direction found: margins in fractions; None where it is no recession direction."""
    rows = [[Fraction(v) for v in row] + [Fraction(1)] * intercept for row in X.tolist()]
    Z = [[sum(entries.get((c, d), 0) * x for d, x in enumerate(row)) for c in range(C)] for row in rows]
    if any(z[c] != max(z) for z, c in zip(Z, y.tolist(), strict=True)):
        return None
    return [max(z) - v for z in Z for v in z]


@pytest.mark.slow_cases("True")
@pytest.mark.parametrize("intercept", [True, False])
def test_every_direction_is_a_recession_direction_and_none_is_missed(intercept):
    rng = np.random.default_rng(int(intercept))
    histogram = [0, 0]
    for _ in range(400):
        N, D, C = rng.integers(1, 7), rng.integers(1, 4), rng.integers(2, 5)
        low = rng.integers(-2, 1)
        X = rng.integers(low, 4, (N, D)).astype(np.float64)
        y = rng.integers(0, C, N)
        problem = js.Problem.from_labels(X, y, classes=list(range(C)), intercept=intercept)
        found = one_feature_directions(ExactData(problem))
        cuts = naive_cuts(X, y, C)
        known = {(t.feature, t.above) for t in found.thresholds}
        assert known <= cuts
        if found.entries:
            gaps = recession(X, y, found.entries, C, intercept)
            assert gaps is not None and any(gaps)
        histogram[bool(found.entries)] += 1
        if intercept:
            # A cut at 0 of a feature that is silent for a class is there as a (class, feature) pair instead.
            silent = set(found.never[:, 1].tolist())
            assert {f for f, _ in cuts} <= {t.feature for t in found.thresholds} | silent
            assert bool(found.entries) == bool(cuts or found.absent or len(found.never))
    assert min(histogram) > 20


def test_a_threshold_in_a_gap_is_a_short_number_strictly_inside():
    X, y = np.array([[1.9], [1.0], [3.0], [6.1]]), [0, 0, 1, 2]
    (first, second) = one_feature_directions(ExactData(js.Problem.from_labels(X, y), decimal=True)).thresholds
    assert first.theta == Fraction(49, 20) and first.strict and first.above == (1, 2) and first.below == (0,)
    assert Fraction(3) < second.theta < Fraction(61, 10)


def test_a_sample_of_weight_zero_is_on_no_side():
    """S12: 9 in class 0 would forbid any threshold between 1 and 2; with weight 0 it is not there."""
    problem = js.Problem.from_labels([[9.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], sample_weight=[0, 1, 1, 1])
    (only,) = one_feature_directions(ExactData(problem)).thresholds
    assert 1 < only.theta < 2 and (only.above, only.below) == ((1,), (0,))


def test_ties_at_the_threshold_are_not_called_strict():
    (only,) = one_feature_directions(
        ExactData(js.Problem.from_labels([[1.0], [2.0], [2.0], [3.0]], [0, 0, 1, 1]))
    ).thresholds
    assert only.theta == 2 and not only.strict


def test_features_that_never_act_for_a_class():
    X = np.array([[0, 3, 0], [0, 1, -1], [2, 0, 0], [0, 5, -3]])
    found = one_feature_directions(ExactData(js.Problem.from_labels(X, [0, 0, 1, 2], intercept=False)))
    assert found.never.tolist() == [[0, 0], [1, 1], [1, 2], [2, 0]]
    assert all(t.feature != 0 or t.theta != 0 for t in found.thresholds)


def test_absent_classes_fall_along_the_intercept_and_along_features_of_one_sign():
    problem = js.Problem.from_labels([[1.0], [2.0], [1.5]], [0, 2, 0], classes=[0, 1, 2])
    found = one_feature_directions(ExactData(problem))
    assert found.absent == (1,) and found.entries[1, 1] < 0 and [1, 0] in found.never.tolist()


def test_with_a_penalty_only_the_intercept_is_looked_at():
    """S21e: L2 spares the intercept, so a separating feature does not count, an absent class does."""
    penalty = js.L2(0.1)
    assert not one_feature_directions(
        ExactData(js.Problem.from_labels([[1.0], [2.0]], [0, 1], regularizer=penalty))
    ).entries
    problem = js.Problem.from_labels([[1.0], [2.0]], [0, 1], classes=[0, 1, 2], regularizer=penalty)
    assert one_feature_directions(ExactData(problem)).entries == {(2, 1): Fraction(-1)}


def test_where_the_intercept_is_penalised_nothing_falls():
    """S21e: no admissible column, no direction, an absent class or not."""
    coercive = js.L2(0.1, penalize_intercept=True)
    problem = js.Problem.from_labels([[1.0], [2.0]], [0, 1], classes=[0, 1, 2], regularizer=coercive)
    found = one_feature_directions(ExactData(problem))
    assert not found.entries and not found.thresholds and found.absent == (2,)


def test_the_remedy_for_an_absent_class_penalises_the_intercept():
    """S21e: L2 that spares the intercept does not help where a class has no sample."""
    for regularizer in (None, js.L2(0.1)):
        problem = js.Problem.from_labels([[0.0], [1.0], [0.5]], [0, 1, 0], classes=[0, 1, 2], regularizer=regularizer)
        verdict = js.decide_existence(problem)
        assert verdict.attained is False and "penalize_intercept=True" in verdict.explain()
    cured = js.Problem.from_labels(
        [[0.0], [1.0], [0.5]], [0, 1, 0], classes=[0, 1, 2], regularizer=js.L2(0.1, penalize_intercept=True)
    )
    assert js.decide_existence(cured).attained
