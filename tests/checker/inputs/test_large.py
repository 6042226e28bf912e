"""Large leaves are compared as small ones are, and several leaves are one finding: the worst entry's."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxsoftmax.checker.inputs import large
from jaxsoftmax.checker.inputs.closed_data import excused
from jaxsoftmax.checker.inputs.large import compare_large, inner_products, leafwise
from jaxsoftmax.checker.report.finding import compare

MOST = float(np.finfo(np.float32).max)
# name: (ours, theirs, both sides' tolerance, theirs of it)
CASES = {
    "an error": ([1.0, -2.5], [1.0, -2.0], [0.25, 0.125], 0.0),
    "the worst share, not the worst error": ([1.5, -4.0], [1.0, -2.0], [0.125, 4.0], 0.0),
    "zero to its own rounding": ([0.5, 0.0], [2.0**-12, -(2.0**-12)], [1.0, 1.0], [2.0**-12, 2.0**-12]),
    "not zero to its own rounding": ([0.5, 0.0], [2.0**-12, -(2.0**-11)], [1.0, 1.0], [2.0**-12, 2.0**-12]),
    "zero to half of its digits and more": ([0.5, 0.0], [0.25, -0.25], [1.0, 1.0], [0.25, 0.25]),
    "unknown is not zero": ([0.5, 0.0], [0.0, 0.0], [np.inf, 1.0], [np.inf, 0.0]),
    "nothing is within 0": ([0.5, 0.25], [0.5, 0.5], [0.0, 0.0], 0.0),
    "nothing is within a negative tolerance": ([0.5, 0.25], [0.5, 0.5], [1.0, -1.0], 0.0),
    "not a number": ([np.nan, 0.0], [np.nan, 0.0], [1.0, 1.0], 0.0),
    "the right infinity": ([np.inf, 1.0], [2 * MOST, 1.0], [1.0, 1.0], 0.0),
    "an infinity within the tolerance of the range": ([np.inf, 1.0], [MOST - 2.0**104, 1.0], [2.0**105, 1.0], 0.0),
    "the wrong infinity": ([-np.inf, 1.0], [2 * MOST, 1.0], [1.0, 1.0], 0.0),
    "an infinity where a number is right": ([np.inf, 1.0], [1e30, 1.0], [1.0, 1.0], 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_a_large_leaf_is_judged_as_a_small_one(name):
    """`compare_large` finds what `compare` does, which is given theirs apart from the rest of both sides' tolerance."""
    ours, theirs, both, own = CASES[name]
    ours, (theirs, both, own) = np.float32(ours), (np.broadcast_to(np.float64(a), 2) for a in (theirs, both, own))
    found = compare_large("S1", "q", "r", ours, theirs, both, own, "x")
    rest = np.where(np.isfinite(both), both - np.where(np.isfinite(own), own, 0.0), np.inf)
    with np.errstate(invalid="ignore"):
        like = compare(
            "S1", "q", "r", ours, theirs, rest, own_tolerance=np.where(np.isfinite(both), own, both), path="x"
        )
    for part in ("passed", "ratio", "bound", *(["measured"] if like.check.ratio else [])):
        np.testing.assert_equal(getattr(found.check, part), getattr(like.check, part))
    assert found.check.worst["path"] == like.check.worst["path"]
    np.testing.assert_equal((found.power, found.resolution), (like.power, like.resolution))
    assert like.vacuous is (name == "zero to its own rounding")
    assert found.vacuous is like.vacuous or not like.check.passed


def test_leaves_make_one_finding(monkeypatch):
    """The worst entry is shown; the weakest power and the coarsest resolution count, of leaves that are not 0."""
    ours, theirs = (
        [np.float32([1.0]), np.float32([4.0, 2.0]), np.float32([0.0])],
        [np.ones(1), np.array([4.5, 2.0]), np.zeros(1)],
    )
    for most in (large.LARGE, 1):  # the second leaf is large then
        monkeypatch.setattr(large, "LARGE", most)
        found = leafwise("S1", "q", "r", ours, theirs, [0.5, 1.0, 1.0], None, ["a", "b", "c"])
        assert (found.check.worst["path"], found.check.ratio, found.check.measured) == ("b[0]", 0.5, 0.5)
        assert (found.power, found.resolution, found.vacuous) == (2.0, 0.5, False)
    nothing = leafwise("S1", "q", "r", ours[2:], theirs[2:], [1.0], [1e-4], ["c"])
    assert nothing.vacuous and nothing.power == 0.0


def test_products_leave_out_what_is_not_known_of_a_zero():
    """⟨a, b⟩, ⟨|a|, |b|⟩ and ⟨t, |b|⟩, where an infinite t is multiplied by 0."""
    a, b = np.array([1.0, -2.0, 3.0]), np.array([3.0, 1.0, 0.0])
    assert inner_products(a, b, np.array([0.5, 0.25, np.inf])) == (1.0, 5.0, 1.75)
    assert inner_products(a, -b, 0.5) == (-1.0, 5.0, 2.0)
    assert inner_products(a, b, np.array([0.5, np.inf, 1.0]))[2] == np.inf


@pytest.mark.parametrize(
    ("narrow", "error", "excuse"), [(True, 0.5, True), (False, 0.5, False), (True, 0.25, False), (True, 1.5, False)]
)
def test_a_formula_over_narrow_data_is_excused_where_the_coarse_bound_is_needed_and_enough(narrow, error, excuse):
    """Within float64's bound, 0.25, or beyond the working dtype's, 1, nothing is excused."""
    notes = []
    session = SimpleNamespace(note=notes.append, excuse=None, point=SimpleNamespace(dtype="float32"))
    traced = SimpleNamespace(closes_over_narrow=narrow)
    given = [np.array([1.0, 2.0])], [np.array([1.0, 2.0 - error])], [np.full(2, 0.25)], [np.ones(2)]
    found = excused(session, traced, "gradient", *given)
    assert found == given[3 if excuse else 2]
    assert (session.excuse is not None) is excuse and len(notes) == excuse
