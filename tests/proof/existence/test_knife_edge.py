"""Ties that only the last bits of doubles break are decided (S9–S11), and the checker verifies each certificate."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.certificates import knife_edge
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.existence import stages


def decided(found: knife_edge.PointSet, folder) -> js.ExistenceVerdict:
    """The verdict in the default budget, its certificate verified from the data alone."""
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(found.X, found.labels)
        verdict = js.decide_existence(problem)
        assert verdict.status is not js.Existence.UNDECIDED and verdict.type != "open", verdict.reason
        verdict.save(folder / "certificate.json")
        problem.dump(folder / "data.txt")
    checked = check_existence.check(folder / "certificate.json", folder / "data.txt")
    assert (checked.status, checked.type) == (verdict.status.name, verdict.type)
    assert checked.face_maximal == verdict.face_maximal
    return verdict


def as_enumerated(found: knife_edge.PointSet, folder) -> str:
    """The verdict's kind, the same as that of every line through two points."""
    separated = knife_edge.separated_in_the_plane(found)
    verdict = decided(found, folder)
    kind = "none" if not separated.any() else "complete" if separated.all() else "quasi-complete"
    assert verdict.type == kind
    if verdict.separated is not None:
        assert np.array_equal(verdict.separated.any(axis=1), separated)
    return kind


def test_four_points_on_a_decimal_line_have_no_minimiser(tmp_path):
    """x + 2y = 2.9 in decimals; as doubles the second and fourth point lie on one side of the other two."""
    assert as_enumerated(knife_edge.NOT_ATTAINED, tmp_path) != "none"


def test_five_points_on_a_decimal_line_have_a_minimiser(tmp_path):
    assert as_enumerated(knife_edge.ATTAINED, tmp_path) == "none"


@pytest.mark.parametrize("seed", range(4))
def test_sets_in_the_plane_are_decided_as_the_lines_through_two_points_do(seed, tmp_path):
    as_enumerated(knife_edge.planar_set(seed), tmp_path)


@pytest.mark.slow
def test_sixty_sets_in_the_plane_are_decided_as_the_lines_through_two_points_do(tmp_path):
    kinds = [as_enumerated(knife_edge.planar_set(seed), tmp_path) for seed in range(60)]
    assert {"none", "complete"} <= set(kinds)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_sets_of_up_to_200_points_6_features_and_4_classes_are_all_decided(block, tmp_path):
    for seed in range(10 * block, 10 * block + 10):
        decided(knife_edge.knife_edge_set(seed), tmp_path)


def test_what_the_budget_leaves_out_is_said(monkeypatch):
    """Too little time for one exchange, or time that ends: UNDECIDED, the reason, and a larger budget as the remedy."""
    problem = js.Problem.from_labels(knife_edge.ATTAINED.X, knife_edge.ATTAINED.labels)
    with jax.enable_x64(True):
        monkeypatch.setattr(stages, "exchange_cost", lambda *_: 1e6)
        small = js.decide_existence(problem)
        monkeypatch.setattr(stages, "exchange_cost", lambda *_: np.inf)
        never = js.decide_existence(problem)
        monkeypatch.setattr(stages, "exchange_cost", lambda *_: 0.0)
        monkeypatch.setattr(stages, "_RATIONAL_SHARE", 0.0)
        ended = js.decide_existence(problem)
    for verdict, larger in ((small, True), (never, False), (ended, True)):
        assert verdict.status is js.Existence.UNDECIDED
        assert verdict.budget_spent is larger and ("a larger budget" in verdict.explain()) is larger
        assert "rational arithmetic" in verdict.reason
