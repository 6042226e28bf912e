"""Do a direction and multipliers prove a verdict? Margins (S9) and sums (S10) in exact integers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest, integer_product

__all__ = ["Block", "Multipliers", "is_stationary", "margins", "signs"]


class Block(NamedTuple):
    """Some rows of G: integers over one denominator."""

    denominator: int
    rows: np.ndarray  # (r,) indices of rows, int64, strictly increasing
    values: np.ndarray  # (r, C) int64 or Python integers


class Multipliers(NamedTuple):
    """A family G (n, C) of S10: the sum of its blocks; rows in no block are 0."""

    blocks: tuple[Block, ...]


def margins(A: np.ndarray, support: np.ndarray, V: np.ndarray) -> np.ndarray | None:
    """The exact margins max_i z_ni − z_nj of the logits Z = A Vᵀ, or None where V is no recession direction (S9).

    Args:
        A: (n, K) integers.
        support: (n, C) bool, t_nj > 0.
        V: (C, K) integers.

    Returns:
        (n, C) non-negative integers, 0 on the support; None if some class of a support falls short of the maximum.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.witness import margins
        >>> A, support = np.array([[-1], [2]]), np.array([[True, False], [False, True]])
        >>> margins(A, support, np.array([[0], [3]])).tolist()
        [[0, 3], [6, 0]]
        >>> margins(A, support, np.array([[3], [0]])) is None
        True
    """
    Z = integer_product(A, V.T)
    found = Z.max(axis=1, keepdims=True) - Z
    return None if (found[support] != 0).any() else found


def is_stationary(A: np.ndarray, G: Multipliers) -> bool:
    """Whether every row of G sums to 0 and AᵀG = 0, exactly (S10).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.witness import Block, Multipliers, is_stationary
        >>> G = Multipliers((Block(2, np.array([0, 1]), np.array([[-1, 1], [1, -1]])),))
        >>> is_stationary(np.array([[1], [1]]), G), is_stationary(np.array([[1], [2]]), G)
        (True, False)
    """
    common = math.lcm(*(block.denominator for block in G.blocks)) if G.blocks else 1
    row_sums: dict[int, int] = {}
    columns: np.ndarray | int = 0
    for block in G.blocks:
        factor = common // block.denominator
        values = as_smallest(block.values)
        for n, total in zip(block.rows.tolist(), values.astype(object).sum(axis=1).tolist(), strict=True):
            row_sums[n] = row_sums.get(n, 0) + factor * total
        columns = columns + integer_product(A[block.rows].T, values).astype(object) * factor
    return not any(row_sums.values()) and not np.any(columns)


def signs(G: Multipliers, n: int, C: int) -> np.ndarray:
    """The exact sign of each entry of G, (n, C) int8.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.witness import Block, Multipliers, signs
        >>> signs(Multipliers((Block(3, np.array([1]), np.array([[-2, 2]])),)), 2, 2).tolist()
        [[0, 0], [-1, 1]]
    """
    common = math.lcm(*(block.denominator for block in G.blocks)) if G.blocks else 1
    seen = np.zeros(n, int)
    for block in G.blocks:
        seen[block.rows] += 1
    result = np.zeros((n, C), np.int8)
    shared = np.zeros((n, C), dtype=object)  # entries of rows that several blocks have
    for block in G.blocks:
        alone = seen[block.rows] == 1
        values = block.values[alone]
        result[block.rows[alone]] = (values > 0).astype(np.int8) - (values < 0).astype(np.int8)
        rows = block.rows[~alone]
        shared[rows] += block.values[~alone].astype(object) * (common // block.denominator)
    both = seen > 1
    result[both] = (shared[both] > 0).astype(np.int8) - (shared[both] < 0).astype(np.int8)
    return result
