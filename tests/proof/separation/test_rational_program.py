"""S11 in rational arithmetic: every answer is checked in fractions, from any start, with and without floating point."""

import numpy as np
import pytest

from helpers import integer_problems as tiny
from helpers.certificates import knife_edge
from jaxsoftmax.proof.exact.numbers import integer_columns
from jaxsoftmax.proof.separation import rational_program
from jaxsoftmax.proof.separation.rational_program import exchange_cost, solve_rationally


def decided(A, support, known=None) -> np.ndarray:
    """The pairs that the answer separates; fails unless direction and multipliers prove that no others are."""
    known = np.zeros(support.shape, bool) if known is None else known
    found = solve_rationally(A, support, known, 60.0)
    separated = np.zeros(support.shape, bool) if found.V is None else tiny.separated_by(A, support, found.V)
    assert np.array_equal(found.separated | known, separated | known)
    separated |= known
    if not (separated | support).all():
        # G > 0 on all pairs of margin 0 proves that no direction separates them (strict complementarity).
        tiny.assert_multipliers(A, support, ~(support | separated), found.G)
    return separated


def kind(separated, support) -> str:
    return "none" if not separated.any() else "complete" if (separated | support).all() else "quasi-complete"


def with_ones(found: knife_edge.PointSet) -> tuple[np.ndarray, np.ndarray]:
    A, _ = integer_columns(found.X)
    return np.hstack([A, np.ones((len(A), 1), A.dtype)]), np.eye(found.labels.max() + 1, dtype=bool)[found.labels]


def test_tiny_problems_are_all_decided():
    """Hard, soft and mixed targets, dependent columns, duplicates, absent classes: 𝒫 with its proof for each."""
    kinds = [kind(decided(*problem), problem[1]) for problem in map(tiny.tiny_problem, range(50))]
    assert min(kinds.count(name) for name in ("none", "complete", "quasi-complete")) > 5


@pytest.mark.slow
def test_more_tiny_problems_are_all_decided():
    for seed in range(1000, 3000):
        decided(*tiny.tiny_problem(seed))


@pytest.mark.parametrize("seed", range(12))
def test_lines_through_two_points_decide_the_plane(seed):
    """The answer's 𝒫 is that of the exact enumeration of all lines through two points."""
    found = knife_edge.planar_set(seed)
    A, support = with_ones(found)
    expected = knife_edge.separated_in_the_plane(found)
    assert np.array_equal(decided(A, support), expected[:, None] & ~support)


@pytest.mark.parametrize("proposal", ["nothing", "noise", "the opposite"])
def test_a_wrong_start_changes_no_answer(monkeypatch, proposal):
    """Floating point proposes the first basis alone: without it, or with a wrong one, the same pairs are separated."""
    whole, rng = rational_program.solve_program, np.random.default_rng(0)

    def proposed(A, support, pairs, end):
        if proposal == "nothing":
            return None
        solved = whole(A, support, pairs, end)
        assert solved is not None
        V, G = solved
        return (-V, -G) if proposal == "the opposite" else (rng.standard_normal(V.shape), rng.standard_normal(G.shape))

    problems = [tiny.tiny_problem(seed) for seed in range(10)]
    problems += [with_ones(knife_edge.planar_set(seed)) for seed in (0, 1)]
    expected = [decided(*problem) for problem in problems]
    monkeypatch.setattr(rational_program, "solve_program", proposed)
    for problem, separated in zip(problems, expected, strict=True):
        assert np.array_equal(decided(*problem), separated)


def test_no_exchange_leaves_the_set_where_the_sum_is_maximised(monkeypatch):
    """The form that becomes tight first takes the place: every form stays ≥ −b, so the sum grows and it ends."""
    heights, whole = [], rational_program._first_tight

    def watched(slopes, above):
        heights.append(min(above.tolist()))
        return whole(slopes, above)

    monkeypatch.setattr(rational_program, "_first_tight", watched)
    for seed in range(8):
        decided(*with_ones(knife_edge.planar_set(seed)))
    assert len(heights) > 10 and min(heights) == 0


def test_pairs_known_to_be_separated_are_left_out():
    """Whatever part of 𝒫 is known: the rest is found, and G is 0 on all of it."""
    for seed in range(12):
        A, support = tiny.tiny_problem(seed)
        whole = decided(A, support)
        one_less = whole.copy()
        if whole.any():
            one_less[tuple(np.argwhere(whole)[0])] = False
        assert np.array_equal(decided(A, support, whole), whole)
        assert np.array_equal(decided(A, support, one_less), whole)


def test_units_of_any_size():
    """Columns scaled by 3³⁰ and 2⁶⁰⁰: the same pairs."""
    for seed in range(6):
        A, support = tiny.tiny_problem(seed)
        scale = np.array([1, 3**30, 2**600, 7], dtype=object)[: A.shape[1]]
        assert np.array_equal(decided(A.astype(object) * scale, support), decided(A, support))


def test_no_columns_and_no_pairs():
    support = np.eye(2, dtype=bool)
    assert not decided(np.zeros((2, 0), np.int64), support).any()
    assert not decided(np.array([[1], [2]]), np.ones((2, 2), bool)).any()
    assert not decided(np.zeros((2, 2), np.int64), support).any()


def test_no_time_no_answer():
    A, support = with_ones(knife_edge.planar_set(0))
    found = solve_rationally(A, support, support & False, 0.0)
    assert found.V is None and found.G is None and not found.separated.any()


def test_the_cost_of_an_exchange_grows_with_the_size():
    support = np.eye(4, dtype=bool)[np.arange(200) % 4]
    small, wide, long = (exchange_cost(np.full((200, K), 2**bits), support) for K, bits in ((3, 50), (7, 50), (7, 60)))
    assert small < wide < long < np.inf
    assert exchange_cost(np.ones((10**5, 100), np.int64), np.eye(10, dtype=bool)[np.arange(10**5) % 10]) == np.inf
