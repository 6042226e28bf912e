"""What a stage proposes is taken into a verdict only after the search's own exact check (S9, S10)."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.exact.witness import Block, Multipliers
from jaxsoftmax.proof.existence import stages as search
from jaxsoftmax.proof.overlap import pair as overlapping_pair
from jaxsoftmax.proof.separation import search as separation_search
from jaxsoftmax.proof.separation.linear_program import Recession

# Two classes that meet at 2, with two samples each there: the threshold separates the other three samples.
X, LABELS = [[0.0], [1.0], [2.0], [2.0], [2.0], [2.0], [3.0]], list("aaababb")
PROPOSED = {
    "a full family": ([0, 0, 1, -1, 1, -1, 0], "quasi-complete", True),
    "one that leaves pairs of the face out": ([0, 0, 1, -1, 0, 0, 0], "quasi-complete", False),
    "one that is not stationary": ([0, 0, 1, -2, 1, -1, 0], "open", None),
    "one that is negative where V separates": ([1, -2, 2, -1, 1, -1, 0], "open", None),
    "one of the wrong sign": ([0, 0, -1, 1, -1, 1, 0], "open", None),
    "nothing": ([0, 0, 0, 0, 0, 0, 0], "open", None),
}


@pytest.fixture
def proposes(monkeypatch):
    """Puts what every stage but the first finds in place of what it would find."""

    def put(G, V=None):
        monkeypatch.setattr(search, "exact_multipliers", lambda *_: G)
        monkeypatch.setattr(overlapping_pair, "overlapping_pair", lambda *_: G)
        monkeypatch.setattr(separation_search, "separating_weights", lambda *_: None)
        monkeypatch.setattr(search, "solve_recession", lambda A, support, _: Recession(V, None, support & False))
        monkeypatch.setattr(search, "solve_rationally", lambda A, support, *_: Recession(None, None, support & False))

    return put


@pytest.mark.parametrize("name", PROPOSED)
def test_multipliers_are_taken_for_what_they_prove(name, proposes):
    """S10: G is stationary, >= 0 on every pair, > 0 on one (not complete) or on all that V leaves (maximal)."""
    column, kind, maximal = PROPOSED[name]
    rows = np.arange(7)
    proposes(Multipliers((Block(1, rows, np.stack([-np.array(column), np.array(column)], axis=1)),)))
    verdict = js.decide_existence(js.Problem.from_labels(X, LABELS))
    assert (verdict.type, verdict.face_maximal) == (kind, maximal)
    assert (verdict.multipliers is not None) is (kind != "open")


def test_the_fit_leaves_out_what_is_separated_already(monkeypatch):
    """S11: on the face that the threshold leaves the loss has a minimum; with all pairs the fit would diverge."""
    monkeypatch.setattr(search, "solve_recession", lambda A, support, _: Recession(None, None, support & False))
    monkeypatch.setattr(overlapping_pair, "overlapping_pair", lambda *_: None)
    verdict = js.decide_existence(js.Problem.from_labels(X, LABELS))
    assert (verdict.type, verdict.face_maximal) == ("quasi-complete", True)


def test_no_stage_is_begun_that_the_budget_does_not_cover(monkeypatch):
    """What is proved until then is kept: nothing, or the threshold (S12)."""
    spent = js.decide_existence(js.Problem.from_labels(X, LABELS), budget=1e-9)
    assert spent.status is js.Existence.UNDECIDED and spent.stages == () and spent.budget_spent
    monkeypatch.setattr(search, "_SECONDS_AN_ENTRY", 1e6)  # of data that take days to read
    first = js.decide_existence(js.Problem.from_labels(X, LABELS), budget=60)
    assert first.type == "open" and first.budget_spent
    assert [name for name, _ in first.stages] == ["one feature at a time (S12)"]


def test_the_minimum_is_attained_only_with_multipliers_on_every_pair(proposes):
    """S10: without a direction, G must be > 0 on every pair."""
    points, labels = [[0.0], [0.0], [1.0], [1.0]], list("abab")
    for column, attained in (([1, -1, 1, -1], True), ([1, -1, 0, 0], None)):
        proposes(Multipliers((Block(1, np.arange(4), np.stack([-np.array(column), np.array(column)], axis=1)),)))
        assert js.decide_existence(js.Problem.from_labels(points, labels)).attained is attained


def test_directions_found_one_after_the_other_are_added(proposes):
    """S9: recession directions form a cone; the sum separates what each of them does, and only true ones are added."""
    # One feature separates c from the rest; a and b are separated by x + y alone, but for two that meet at (1, 1).
    points = [[-3, 3, 0], [3, -2, 0], [1, 1, 0], [1, 1, 0], [4, -1, 0], [-4, 8, 0], [1, 1, 9], [2, 2, 8]]
    problem = js.Problem.from_labels(points, list("aaabbbcc"))
    oblique = np.array([[0, 0, 0, 0], [1, 1, 0, -2], [1, 1, 0, -2]])  # b and c rise together with x + y − 2
    for V, more in ((None, 0), (oblique, 1), (-oblique, 0)):
        proposes(None, V)
        verdict = js.decide_existence(problem)
        assert verdict.type == "open" and verdict.direction is not None and verdict.separated is not None
        Z = np.column_stack([points, np.ones(8, int)]) @ verdict.direction.T.astype(np.int64)
        assert (verdict.separated == (Z.max(axis=1, keepdims=True) > Z)).all()
        a_from_b, c_from_b = verdict.separated[:2, 1], verdict.separated[6:, 1]
        assert a_from_b.all() == bool(more) and not verdict.separated[2:4, :2].any() and c_from_b.all()


def test_the_direction_is_in_the_units_of_the_features_whatever_their_denominators():
    """S9: halves beside quarters; x + y alone separates, by ±1/4 at ±5½, so weights for 2x and 4y do not."""
    points = np.array([[5.5, -5.75], [-5.5, 5.25], [5.5, -5.25], [-5.5, 5.75]])
    labels = np.array([0, 0, 1, 1])
    verdict = js.decide_existence(js.Problem.from_labels(points, labels))
    assert verdict.type == "complete"
    Z = np.column_stack([points, np.ones(4)]) @ verdict.direction.T.astype(float)
    assert (np.argmax(Z, axis=1) == labels).all() and np.ptp(Z, axis=1).all()
