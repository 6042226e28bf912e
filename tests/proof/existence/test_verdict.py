"""What a verdict says beyond its status: inf L, the pairs separated, and the sentences about them (S9, S11, S12)."""

import json
import math
import time

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.existence import stages as search

EPS = np.finfo(float).eps
TIE = [[0.0], [1.0], [2.0], [2.0], [3.0]]  # classes a, a, a, b, b meet at 2


def entropy_sum(*weights):
    """min over p of −Σ w log p: the loss of samples at one point, by hand."""
    return -sum(w * math.log(w / sum(weights)) for w in weights)


def close_to(value):
    """One sample's term errs by a few roundings, a sum of a few by as many; the fit ends at rounding (decrement²)."""
    return pytest.approx(value, rel=100 * EPS, abs=0)


@pytest.mark.parametrize("weights", [None, [1, 1, 3, 1, 1], [0, 2, 5, 0.5, 2]])
def test_inf_l_counts_a_sample_by_its_weight(weights):
    """S11: the samples that meet at 2 stay on the face, with the weights that they have."""
    verdict = js.decide_existence(js.Problem.from_labels(TIE, list("aaabb"), sample_weight=weights))
    left, right = (1, 1) if weights is None else weights[2:4]
    assert (verdict.type, verdict.face_maximal) == ("quasi-complete", True)
    assert verdict.infimum_estimate == close_to(entropy_sum(left, right))


def test_inf_l_of_soft_targets_is_not_0_under_complete_separation():
    """S9, S11: what two classes share of a target stays; 0 is the infimum for one-hot targets alone."""
    shared = [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    verdict = js.decide_existence(js.Problem([[0.0], [0.0], [1.0]], shared, intercept=True))
    assert verdict.type == "complete"
    assert verdict.infimum_estimate == close_to(2 * math.log(2))
    assert "inf L = 1.386294361 and never reaches it (S11, estimated in float64)" in verdict.explain()
    labels = js.decide_existence(js.Problem.from_labels([[0.0], [1.0]], [0, 1]))
    assert labels.infimum_estimate == 0 and "inf L = 0 and never reaches it (S11, exact)" in labels.explain()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("labels", [[0, 1, 0], [0, 0, 0]])
def test_inf_l_is_not_told_where_a_regulariser_belongs_to_the_loss(labels, exact):
    """S21e: L2 spares the intercept, an absent class falls; the infimum of the loss alone would be another number."""
    problem = js.Problem.from_labels([[0.0], [1.0], [0.5]], labels, classes=[0, 1, 2], regularizer=js.L2(0.1))
    verdict = js.decide_existence(problem, exact=exact)
    assert verdict.attained is False and verdict.infimum_estimate is None and "inf L" not in verdict.explain()


def test_floating_point_alone_is_called_so_and_cannot_be_saved(tmp_path):
    """Section 7.10: exact=False proves nothing, whatever the fit suggests."""
    for labels in (list("ababa"), list("aaabb")):
        verdict = js.decide_existence(js.Problem.from_labels(TIE, labels), exact=False)
        assert verdict.attained is (labels[1] == "b") and not verdict.proved and verdict.proof is None
        assert ", not proved\n" in repr(verdict)
        with pytest.raises(ValueError, match="rests on floating point alone"):
            verdict.save(tmp_path / "cert.json")


# Classes a, a, a, b, b, b meet at (1, 1) and lie on both sides of x + y = 2; no feature alone separates anything.
OBLIQUE = [[-3.0, 3.0], [3.0, -2.0], [1.0, 1.0], [1.0, 1.0], [4.0, -1.0], [-4.0, 8.0]]


def test_rows_of_weight_0_keep_their_places(tmp_path):
    """S9, S10: `separated` and the rows of the certificate count all rows of the data; the sentences do not."""
    X, labels = [[9.0, 9.0], *OBLIQUE, [9.0, 9.0]], list("aaaabbba")
    problem = js.Problem.from_labels(X, labels, sample_weight=[0, 1, 1, 1, 1, 1, 1, 0])
    verdict = js.decide_existence(problem)
    assert (verdict.type, verdict.face_maximal) == ("quasi-complete", True) and verdict.separated is not None
    assert np.flatnonzero(verdict.separated.any(axis=1)).tolist() == [1, 2, 5, 6]
    for one, other in ("ab", "ba"):
        assert f"2 of 3 samples of class {one} are separated from class {other}." in verdict.explain()
    verdict.save(tmp_path / "cert.json")
    problem.dump(tmp_path / "data.txt")
    stored = json.loads((tmp_path / "cert.json").read_text(encoding="utf-8"))
    assert sorted({n for block in stored["multipliers"] for n in block["rows"]}) == [3, 4]
    assert check_existence.check(tmp_path / "cert.json", tmp_path / "data.txt").face_maximal


def test_a_reader_that_rounds_long_integers_meets_none(tmp_path):
    """Section 7.6: from 2⁵³ on an integer is hexadecimal text, which reads back to the same number."""
    problem = js.Problem.from_labels([[0.0], [0.1], [0.1], [1.0]], list("aabb"))
    verdict = js.decide_existence(problem)  # the double 0.1 is 3602879701896397 / 2**55
    verdict.save(tmp_path / "cert.json")
    stored, plain = (tmp_path / "cert.json").read_text(encoding="utf-8"), []
    entries = json.loads(stored, parse_int=lambda text: plain.append(int(text)) or int(text))["direction"]["entries"]
    assert max(map(abs, plain)) < 2**53
    assert [v if isinstance(v, int) else int(v, 16) for _, _, v in entries] == [2**55, -3602879701896397]
    problem.dump(tmp_path / "data.txt")
    assert check_existence.check(tmp_path / "cert.json", tmp_path / "data.txt").type == "quasi-complete"


@pytest.mark.parametrize(("large", "maximal"), [(search.LARGE, True), (0, False)])
def test_a_face_is_called_maximal_only_with_multipliers_on_all_of_it(large, maximal, monkeypatch):
    """S10, S11: two overlapping classes of three refute complete separation, and say nothing about the third."""
    monkeypatch.setattr(search, "LARGE", large)  # 0: two classes come before the fit of all
    X = [*OBLIQUE, [0.0, 50.0], [0.0, 60.0]]
    verdict = js.decide_existence(js.Problem.from_labels([[*row, row[0]] for row in X], list("aaabbbcc")))
    assert (verdict.type, verdict.face_maximal) == ("quasi-complete", maximal)
    assert (verdict.infimum_estimate is not None) is maximal
    said = "no other direction separates more" if maximal else "another direction may separate more"
    assert said in verdict.explain()
    assert ("drop from the loss the pairs that V separates" in verdict.explain()) is maximal


def test_a_threshold_is_told_from_the_side_of_the_one_class():
    """S12: `<` where the one class lies below, `>` where above; `<=` and `>=` where both sides meet."""
    explained = js.decide_existence(js.Problem.from_labels(TIE, list("aaabb"))).explain()
    assert "class a lies in x0 <= 2, class b in x0 >= 2." in explained
    X, labels = [[0.0], [1.0], [4.0], [5.0], [4.0], [6.0]], list("aabbcc")
    explained = js.decide_existence(js.Problem.from_labels(X, labels, feature_names=["u"])).explain()
    assert "class a is separated from the rest by u < 2.5." in explained
    X = [[0.0], [1.0], [0.0], [1.0], [5.0], [6.0]]
    explained = js.decide_existence(js.Problem.from_labels(X, list("ababcc"), feature_names=["u"])).explain()
    assert "class c is separated from the rest by u > 3." in explained
    X = [[0.0], [2.0], [0.0], [2.0], [2.0], [6.0]]
    explained = js.decide_existence(js.Problem.from_labels(X, list("ababcc"), feature_names=["u"])).explain()
    assert "class c lies in u >= 2, the rest in u <= 2." in explained


@pytest.mark.parametrize("intercept", [True, False])
def test_an_intercept_falls_only_where_there_is_one(intercept):
    """S12: an absent class falls along the intercept, or along a feature of one sign."""
    problem = js.Problem.from_labels([[1.0], [2.0], [1.5]], [0, 1, 0], classes=[0, 1, 2], intercept=intercept)
    explained = js.decide_existence(problem).explain()
    assert ("No sample has class 2: in training its intercept falls without bound." in explained) is intercept
    assert "never changes sign elsewhere separates it: x0 and class 2." in explained


@pytest.mark.parametrize("moving", range(3))
def test_the_class_that_moves_alone_is_named_alone(moving):
    """S3, S9: V is known up to the gauge; whichever class is at x = 2 and above, the other two do not move."""
    others = [c for c in range(3) if c != moving]
    X, labels = [[0.0], [0.0], [1.0], [1.0], [2.0], [3.0]], [*others, *others, moving, moving]
    verdict = js.decide_existence(js.Problem.from_labels(X, labels))
    assert verdict.diverging() == [(str(moving), ["x0", "intercept"])]


@pytest.mark.parametrize(
    ("labels", "kind", "multipliers", "separated"),
    [("ababa", "none", True, None), ("aaabb", "quasi-complete", True, 3), ("aaaab", "complete", False, 5)],
)
def test_a_file_and_a_dictionary_hold_the_witness_that_the_verdict_needs(
    labels, kind, multipliers, separated, tmp_path
):
    """S9, S10: a direction where no minimiser exists, multipliers where one does or a face has one."""
    verdict = js.decide_existence(
        js.Problem.from_labels([[0.0], [1.0], [2.0], [2.0 + (kind == "complete")], [3.5]], list(labels))
    )
    found = verdict.to_dict()
    assert found["type"] == kind and found["separated_pairs"] == separated
    assert (found["direction"] is None) is (kind == "none")
    table = {"delimiter": ",", "header": True, "target": 1}
    verdict.save(tmp_path / "verdict.json", table)
    written = json.loads((tmp_path / "verdict.json").read_text("utf-8"))
    assert written["data"]["table"] == table
    assert (written["direction"] is None) is (kind == "none")
    assert (written["multipliers"] is not None) is multipliers
    for wrong in ([], {"delimiter": ","}, table | {"target": "1"}, table | {"header": 1}, table | {"delimiter": 0}):
        with pytest.raises(ValueError, match="table: got"):
            verdict.save(tmp_path / "other.json", wrong)


def test_the_seconds_of_a_verdict_are_those_that_it_took():
    began = time.perf_counter()
    verdict = js.decide_existence(js.Problem.from_labels(TIE, list("ababa")))
    assert 0 < verdict.seconds <= time.perf_counter() - began
