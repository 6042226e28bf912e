"""S11: one linear program decides; every answer is checked in fractions, which proves that nothing was left out."""

import time

import numpy as np
import pytest

from helpers import integer_problems as tiny
from jaxsoftmax.datasets.embedded import load_iris
from jaxsoftmax.proof.separation import linear_program
from jaxsoftmax.proof.separation.direction_rounding import coprime_entries, exact_direction
from jaxsoftmax.proof.separation.linear_program import solve_recession
from jaxsoftmax.proof.separation.recession_program import solve_program


def decided(A, support) -> str:
    """What the checked answer says: none, complete or quasi-complete; fails unless direction and multipliers agree."""
    found = solve_recession(A, support, 60.0)
    separated = np.zeros(support.shape, bool) if found.V is None else tiny.separated_by(A, support, found.V)
    assert np.array_equal(found.separated, separated) and (found.V is None) == (not separated.any())
    assert found.G is not None
    # G > 0 on all pairs of margin 0 proves that no direction separates them (strict complementarity).
    tiny.assert_multipliers(A, support, ~(support | separated), found.G)
    return "none" if not separated.any() else "complete" if (separated | support).all() else "quasi-complete"


def count(seeds) -> dict[str, int]:
    answers = [decided(*tiny.tiny_problem(seed)) for seed in seeds]
    return {answer: answers.count(answer) for answer in set(answers)}


def test_tiny_problems_are_all_decided():
    counts = count(range(150))
    assert min(counts[kind] for kind in ("none", "complete", "quasi-complete")) > 15


@pytest.mark.slow
def test_more_tiny_problems_are_all_decided():
    count(range(1000, 5000))


def planted(seed: int):
    """150–500 rows of small integers where one class is separated from the rest with ties, the rest overlap or not."""
    rng = np.random.default_rng(seed)
    n, K, C = int(rng.integers(150, 500)), int(rng.integers(2, 6)), int(rng.integers(2, 5))
    A = rng.integers(-6, 7, (n, K))
    A[:, -1] = 1
    z = A @ rng.integers(-2, 3, K)
    codes = rng.integers(1, C, n) if seed % 2 else 1 + (A[:, 0] > 0) * (C > 2)
    codes[(z > 0) | (z == 0) & (rng.random(n) < 0.5)] = 0
    if seed % 3 == 0:
        A[:, 0] = 0
        A[rng.integers(0, n, 3), 0] = 1  # a feature of few rows, which a working set need not see
    return A, np.eye(C, dtype=bool)[codes]


def test_a_working_set_of_rows_settles_all_rows():
    answers = [decided(*planted(seed)) for seed in range(12)]
    assert answers.count("quasi-complete") >= 8


def test_rows_outside_the_working_set_get_multipliers_too():
    rng = np.random.default_rng(0)
    A, support = rng.integers(-9, 10, (800, 3)), np.eye(3, dtype=bool)[rng.integers(0, 3, 800)]
    solved = solve_program(A / 9, support, ~support, time.monotonic() + 60)
    assert solved is not None
    V, G = solved
    assert not V.any() and np.count_nonzero(G.any(axis=1)) < 100
    assert decided(A, support) == "none"


def test_iris_in_tenths_of_millimetres():
    """Setosa is separated from both others, which overlap: 200 of 300 pairs."""
    iris = load_iris()
    A = np.hstack([np.rint(10 * iris.X).astype(np.int64), np.ones((150, 1), np.int64)])
    support = iris.y[:, None] == np.array(iris.classes)
    assert decided(A, support) == "quasi-complete"
    found = solve_recession(A, support, 60.0)
    setosa = support[:, 0]
    assert np.array_equal(found.separated, setosa[:, None] != (np.arange(3) == 0)[None])
    assert abs(found.V).max() < 2**8  # small integers, read by people


def test_offsets_and_large_entries():
    """Columns such as years next to a column of ones, units that differ by 2⁴⁰, huge entries: the same pairs."""
    for seed in range(8):
        A, support = tiny.tiny_problem(seed)
        A[:, -1] = 1
        expected = solve_recession(A, support, 60.0).separated
        for moved in (np.hstack([A[:, :-1] + 2000, A[:, -1:]]), A * 2 ** np.arange(0, 41, 10)[: A.shape[1]]):
            decided(moved, support)
            assert np.array_equal(solve_recession(moved, support, 60.0).separated, expected)
        huge = A.astype(object) * 3 ** (30 * np.arange(A.shape[1]).astype(object))
        decided(huge, support)
        assert np.array_equal(solve_recession(huge, support, 60.0).separated, expected)


def test_a_face_of_a_face():
    """Pairs that only a second direction separates, tied under the first, need both in one: t V₁ + V₂."""
    A = np.array([[1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1], [0, 0, 1], [0, 0, 1], [5, -9, 1], [-5, 9, 1]])
    codes = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    assert decided(A, np.eye(2, dtype=bool)[codes]) == "quasi-complete"
    separated = solve_recession(A, np.eye(2, dtype=bool)[codes], 60.0).separated
    assert np.flatnonzero(~separated.any(axis=1)).tolist() == [4, 5]


def test_directions_found_one_after_the_other_are_joined(monkeypatch):
    """t V₁ + V₂ with t so large that the pairs that V₂ would lose stay separated."""
    A = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [2, -9], [0, 0]])
    support = np.eye(2, dtype=bool)[[0, 0, 0, 0, 0, 1]]
    steps = iter([np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]]), None])
    monkeypatch.setattr(linear_program, "exact_direction", lambda *_: next(steps))
    found = solve_recession(A, support, 60.0)
    assert found.V is not None and found.V.tolist() == [[5, 1], [0, 0]]
    assert np.array_equal(tiny.separated_by(A, support, found.V), found.separated)


def test_a_false_direction_never_leaves(monkeypatch):
    A, support = np.array([[1], [2]]), np.eye(2, dtype=bool)
    steps = iter([np.array([[1], [0]]), None])
    monkeypatch.setattr(linear_program, "exact_direction", lambda *_: next(steps))
    with pytest.raises(ArithmeticError, match="report"):
        solve_recession(A, support, 60.0)


def test_rows_that_occur_several_times_share_their_multipliers(monkeypatch):
    """S11: what is handed to the exact correction is stationary up to the solver's tolerance, 1e-7 a column."""
    seen = []
    monkeypatch.setattr(linear_program, "exact_multipliers", lambda *given: seen.append(given))
    A = np.array([[0, 1], [1, 1], [1, 1], [1, 1], [2, 1], [3, 1]])
    solve_recession(A, np.eye(2, dtype=bool)[[0, 1, 1, 1, 0, 1]], 10.0)
    ((_, _, positive, G),) = seen
    assert (G[positive] > 0.1).all() and abs(A.T @ G).max() < 1e-6 and abs(G.sum(axis=1)).max() < 1e-6


def test_a_direction_is_not_accepted_against_a_pair():
    """Whatever floats claim, the rounding returns exact directions of the pairs asked for, or None."""
    A, support = np.array([[1, 1], [2, 1], [3, 1]]), np.array([[True, False], [False, True], [True, False]])
    wrong = np.array([[-2.0, 5.0], [0.0, 0.0]])
    assert exact_direction(A, support, ~support, wrong) is None
    first_two = ~support & (np.arange(3) < 2)[:, None]
    step = exact_direction(A, support, first_two, np.array([[-6.0, 3.0], [0.0, 0.0]]))
    assert step is not None
    assert coprime_entries(np.array([[4, -6], [0, 8]])).tolist() == [[2, -3], [0, 4]]
    margin = (A @ (step[0] - step[1])) * np.array([1, -1, 1])
    assert all(margin[:2] > 0)


def test_no_time_no_answer():
    A, support = planted(1)
    found = solve_recession(A, support, 0.0)
    assert found.V is None and found.G is None and not found.separated.any()


def test_programs_beyond_reach_are_not_begun():
    found = solve_recession(np.ones((2, 1500), np.int64), np.eye(2, dtype=bool), 60.0)
    assert found.V is None and found.G is None and not found.separated.any()


def test_no_columns_and_no_pairs():
    """Without columns every G with rows that sum to 0 serves; without pairs the empty one does."""
    support = np.eye(2, dtype=bool)
    assert decided(np.zeros((2, 0), np.int64), support) == "none"
    assert decided(np.array([[1], [2]]), np.ones((2, 2), bool)) == "none"


def test_a_rounding_that_leaves_a_margin_at_0_is_refined():
    """S9: of V = (60, 0.6) two bits keep the first margin alone; six keep both, and none is given away."""
    A, support = np.array([[1, 0], [0, 1]]), np.array([[True, False], [True, False]])
    step = exact_direction(A, support, ~support, np.array([[60.0, 0.6], [0.0, 0.0]]))
    assert step is not None and (A @ (step[0] - step[1]) > 0).all()
