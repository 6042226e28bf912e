"""Tiny integer problems full of ties, and the naive check in fractions of what claims to decide them (S9–S11)."""

from fractions import Fraction

import numpy as np


def tiny_problem(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A (n, K) and support (n, C): hard, soft or mixed targets, duplicates, absent classes, dependent columns."""
    rng = np.random.default_rng(seed)
    n, K, C = int(rng.integers(1, 13)), int(rng.integers(1, 5)), int(rng.integers(2, 5))
    size = int(rng.choice([1, 2, 3, 10]))
    A = rng.integers(-size, size + 1, (n, K))
    if rng.random() < 0.6:
        A[:, -1] = 1
    if rng.random() < 0.2 and K > 1:
        A[:, 0] = A[:, 1] * int(rng.integers(-2, 3))
    codes = rng.integers(0, C - (C > 2 and rng.random() < 0.2), n)
    if rng.random() < 0.3:  # separable, or nearly
        codes = np.minimum(np.digitize(A @ rng.integers(-2, 3, K), [0, 2, 4]), C - 1)
    support = np.eye(C, dtype=bool)[codes]
    kind = rng.integers(4)
    if kind == 1:
        support |= rng.random(support.shape) < 0.3
    elif kind == 2:
        support[rng.random(n) < 0.3] = True
    elif kind == 3:
        support |= (rng.random(support.shape) < 0.6) & (rng.random(n) < 0.3)[:, None]
    if rng.random() < 0.3:
        again = rng.integers(0, n, n)
        A, support = A[again], support[again]
    return A, support


def fractions_of(G, n: int, C: int) -> list[list[Fraction]]:
    """The family that blocks of integers over denominators add up to."""
    family = [[Fraction(0)] * C for _ in range(n)]
    for block in G.blocks:
        assert all(np.diff(block.rows) > 0)
        for row, values in zip(block.rows.tolist(), block.values.tolist(), strict=True):
            for j in range(C):
                family[row][j] += Fraction(values[j], block.denominator)
    return family


def assert_multipliers(A, support, positive, G) -> None:
    """S10 in fractions: rows sum to 0, AᵀG = 0, G > 0 on `positive` and 0 on the other pairs."""
    (n, C), rows = support.shape, A.tolist()
    family = fractions_of(G, n, C)
    assert all(sum(row) == 0 for row in family)
    for j in range(C):
        for d in range(A.shape[1]):
            assert sum(rows[i][d] * family[i][j] for i in range(n)) == 0
        for i in range(n):
            assert family[i][j] > 0 if positive[i, j] else support[i, j] or family[i][j] == 0


def separated_by(A, support, V) -> np.ndarray:
    """S9 in Python integers: V is a recession direction; the pairs of positive margin."""
    found = np.zeros(support.shape, bool)
    for i, a in enumerate(A.tolist()):
        z = [sum(v * x for v, x in zip(row, a, strict=True)) for row in V.tolist()]
        assert all(z[j] == max(z) for j in np.flatnonzero(support[i]))
        found[i] = [value < max(z) for value in z]
    return found


def eliminated(A) -> tuple[list[list[Fraction]], list[int]]:
    """The reduced row echelon form in fractions, and its pivot columns."""
    table = [[Fraction(x) for x in row] for row in np.asarray(A).tolist()]
    pivots: list[int] = []
    for column in range(np.shape(A)[1]):
        rank = len(pivots)
        found = next((i for i in range(rank, len(table)) if table[i][column]), None)
        if found is None:
            continue
        table[rank], table[found] = table[found], table[rank]
        table[rank] = [x / table[rank][column] for x in table[rank]]
        for i in range(len(table)):
            if i != rank and table[i][column]:
                table[i] = [x - table[i][column] * y for x, y in zip(table[i], table[rank], strict=True)]
        pivots.append(column)
    return table, pivots
