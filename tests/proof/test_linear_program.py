"""S11: one linear program decides; every answer is checked in fractions, which proves that nothing was left out."""

import numpy as np
import pytest

import integer_problems as tiny
from jaxsoftmax.datasets import load_iris
from jaxsoftmax.proof.direction_rounding import coprime_entries, exact_direction
from jaxsoftmax.proof.linear_program import solve_recession


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
    counts = count(range(300))
    assert min(counts[kind] for kind in ("none", "complete", "quasi-complete")) >= 30


@pytest.mark.slow
def test_more_tiny_problems_are_all_decided():
    count(range(1000, 5000))
