"""S9 and S10: the exact check of directions and of multipliers, against fractions entry by entry."""

from fractions import Fraction

import numpy as np
import pytest

from jaxsoftmax.proof.exact.witness import Block, Multipliers, is_stationary, margins, signs


def naive_margins(A, support, V):
    """S9: max_i z_ni − z_nj, or None where a class of the support falls short."""
    out = []
    for x, in_support in zip(A.tolist(), support.tolist(), strict=True):
        z = [sum(Fraction(a) * v for a, v in zip(x, row, strict=True)) for row in V.tolist()]
        row = [max(z) - each for each in z]
        if any(m for m, inside in zip(row, in_support, strict=True) if inside):
            return None
        out.append(row)
    return out


def total(G, n, C):
    """G as fractions."""
    out = [[Fraction(0)] * C for _ in range(n)]
    for block in G.blocks:
        for row, values in zip(block.rows.tolist(), block.values.tolist(), strict=True):
            out[row] = [old + Fraction(int(v), block.denominator) for old, v in zip(out[row], values, strict=True)]
    return out


@pytest.mark.parametrize("big", [1, 2**40, 2**80])
def test_margins_equal_those_in_fractions(big):
    rng = np.random.default_rng(5)
    kinds = set()
    for _ in range(200):
        n, K, C = rng.integers(1, 5, 3) + np.array([0, 0, 1])
        A = rng.integers(-2, 3, (n, K)).astype(object) * big
        V = rng.integers(-1, 2, (C, K)).astype(object)
        support = rng.random((n, C)) < 0.3
        support[np.arange(n), rng.integers(0, C, n)] = True
        if rng.random() < 0.5:  # make V a recession direction: the winners are the supports
            Z = A @ V.T
            support = Z == Z.max(axis=1, keepdims=True)
        found, expected = margins(A, support, V), naive_margins(A, support, V)
        kinds.add(expected is None)
        assert (found is None) == (expected is None)
        assert found is None or found.tolist() == expected
    assert kinds == {True, False}


def test_stationarity_and_signs_equal_those_in_fractions():
    rng = np.random.default_rng(6)
    seen = set()
    for _ in range(300):
        n, K, C = 4, 2, 3
        A = rng.integers(-1, 2, (n, K))
        blocks = []
        for q in (1, 6):
            rows = np.flatnonzero(rng.random(n) < 0.6)
            values = rng.integers(-1, 2, (len(rows), C)).astype(object)
            if rng.random() < 0.8:
                values[:, -1] = -values[:, :-1].sum(axis=1)
            blocks.append(Block(q, rows, values * (q if rng.random() < 0.7 else 1)))
        if rng.random() < 0.5:  # cancel the first block: G = 0 is stationary
            blocks[1] = Block(7, blocks[0].rows, -7 * blocks[0].values)
        G = Multipliers(tuple(blocks))
        exact = total(G, n, C)
        rows_vanish = all(sum(row) == 0 for row in exact)
        columns_vanish = all(sum(int(A[i, d]) * exact[i][j] for i in range(n)) == 0 for d in range(K) for j in range(C))
        assert is_stationary(A, G) == (rows_vanish and columns_vanish)
        assert signs(G, n, C).tolist() == [[(v > 0) - (v < 0) for v in row] for row in exact]
        seen.add((rows_vanish, columns_vanish))
    assert seen >= {(True, True), (True, False), (False, False)}


def test_stationary_columns_do_not_excuse_a_row_that_does_not_sum_to_0():
    """S10: G **1** = 0 is a requirement of its own, in every row and over all blocks together."""
    A, rows = np.array([[1], [1]]), np.array([0, 1])
    uneven = Block(2, rows, np.array([[3, 0], [-3, 0]]))
    assert not is_stationary(A, Multipliers((uneven,)))
    assert not is_stationary(A, Multipliers((uneven, Block(4, rows, np.array([[0, -3], [0, 3]])))))
    assert is_stationary(A, Multipliers((uneven, Block(4, rows, np.array([[0, -6], [0, 6]])))))


def test_no_multipliers_are_stationary_and_prove_nothing():
    assert is_stationary(np.array([[1]]), Multipliers(()))
    assert not signs(Multipliers(()), 1, 2).any()
