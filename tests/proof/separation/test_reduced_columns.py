"""Lattice reduction of nearly dependent columns (S9–S11): an exact, invertible change, and what it decides."""

from fractions import Fraction

import flint
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.certificates.exact_oracle import decide
from helpers.certificates.random_problems import small_problem
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.separation.linear_program import solve_recession
from jaxsoftmax.proof.separation.reduced_columns import reduced_columns, reduction_cost

KNIFE_EDGE = (454, 3121, 4867, 5872, 6564, 8562, 9730)  # the linear program alone cannot round these to exact answers


def product(A, B):
    return [[sum(int(a) * int(b) for a, b in zip(row, col, strict=True)) for col in B.T] for row in A]


@pytest.mark.parametrize("seed", range(30))
def test_the_change_is_exact_and_invertible(seed):
    """B = A U with |det U| = 1: the same directions and multipliers, for any size and rank."""
    rng = np.random.default_rng(seed)
    n, K = rng.integers(1, 8, 2)
    A = rng.integers(-9, 10, (n, K)).astype(object) * 10 ** int(rng.integers(0, 30))
    if K > 1 and seed % 3 == 0:
        A[:, 0] = A[:, 1] * 2 + rng.integers(-1, 2, n)  # nearly, or exactly, dependent
    B, U = reduced_columns(A)
    assert product(A, U) == [[int(b) for b in row] for row in B]
    assert abs(flint.fmpz_mat([[int(u) for u in row] for row in U]).det()) == 1
    assert sum(b * b for b in B.astype(object).flat) <= sum(a * a for a in A.flat)


def test_the_last_bits_become_visible():
    """x, 2x and 3x as doubles: columns of 54 bits; 3x is rounded by at most 8 units of the integers' last place.

    The reduction returns a vector at most 2^((K − 1)/2) = 2 times as long as the shortest: below 2·8·√5 < 2⁶.
    """
    x = np.array([0.1, 0.2, 0.3, 0.7, 0.4])
    data = ExactData(js.Problem.from_labels(np.column_stack([x, 2 * x, 3 * x]), [0, 1, 0, 1, 0], intercept=False))
    B, _ = reduced_columns(data.integers)
    sizes = sorted(int(b).bit_length() for b in abs(B).max(axis=0))
    assert sizes[0] == 0 and sizes[1] <= 6 < 50 < sizes[2]


@pytest.mark.parametrize("seed", KNIFE_EDGE)
def test_columns_dependent_but_for_their_last_bits_are_decided(seed):
    """S11: the program in reduced columns finds the oracle's set of pairs, and multipliers for the rest."""
    drawn = small_problem(seed)
    data, truth = ExactData(drawn.build(), drawn.decimal), decide(*drawn.exact())
    B, _ = reduced_columns(data.integers)
    found = solve_recession(B, data.support, 10.0)
    assert {(n, j) for n, j in np.argwhere(found.separated).tolist()} == truth.separated
    assert found.G is not None
    verdict = js.decide_existence(drawn.build(), decimal=drawn.decimal)
    assert verdict.status.name == ("ATTAINED" if truth.verdict == "attained" else "NOT_ATTAINED")
    assert verdict.type == ("none" if truth.verdict == "attained" else truth.verdict)


def test_the_direction_comes_back_in_the_columns_given():
    """V = V' Uᵀ: x separates strictly only by what x + y and z differ in."""
    problem = js.Problem.from_labels([[0.1, 0.2, 0.1 + 0.2], [0.1, 0.2, 0.3]], [0, 1], intercept=False)
    verdict = js.decide_existence(problem)
    assert verdict.type == "complete" and verdict.direction is not None
    z = [[sum(Fraction(v) * Fraction(x) for v, x in zip(row, x_n, strict=True)) for row in verdict.direction]
         for x_n in problem.host.X.tolist()]  # fmt: skip
    assert z[0][0] > z[0][1] and z[1][1] > z[1][0]


def test_the_cost_grows_as_measured():
    small, large = np.full((12, 5), 2**55), np.full((2000, 21), 2**55)
    assert reduction_cost(small) < 1e-4 < 0.1 < reduction_cost(large) < 1
    assert 100 * reduction_cost(np.full((600, 718), 255)) > 60  # MNIST, 60,000 rows: not tried in the default budget
