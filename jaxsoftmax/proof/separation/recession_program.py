"""The linear program of S11 in floating point: HiGHS on a working set of rows that grows until it settles all.

Guarded by `tests/proof/separation/test_linear_program.py`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse

__all__ = ["solve_program"]

_PAIRS_PER_WEIGHT = 6  # of the first working set
_LARGEST_WHOLE = 2**24  # pairs times weights
_FEASIBLE = 1e-7  # what HiGHS accepts as 0, its default


def solve_program(
    A: np.ndarray, support: np.ndarray, pairs: np.ndarray, end: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights V with margins σ ≤ 1 that the program maximises in sum, and multipliers G, in floating point (S11).

    The program is solved for some of the rows; those where its V violates a pair are added, and those where V leaves a
    margin of 0 that other V, with the same margins of 0, would not. Then V is a solution for all rows (up to its scale)
    and the multipliers of further rows, 0 here, can be any small positive numbers: `exact_multipliers` chooses them.

    Args:
        A: (n, K) floats, columns of magnitude about 1.
        support: (n, C) bool.
        pairs: (n, C) bool, the pairs that take part, off the support.
        end: time.monotonic() at which to stop.

    Returns:
        V (C, K), its last row 0, and G (n, C); None when time is over or HiGHS fails.

    Example:
        >>> import numpy as np, time
        >>> from jaxsoftmax.proof.separation.recession_program import solve_program
        >>> A, support = np.array([[1.0], [-1.0]]), np.eye(2, dtype=bool)
        >>> V, G = solve_program(A, support, ~support, time.monotonic() + 10)
        >>> bool(V[0, 0] >= 1), G.tolist()
        (True, [[0.0, 0.0], [0.0, 0.0]])
    """
    (n, C), K = support.shape, A.shape[1]
    anchors = support.argmax(axis=1)
    tied = support.copy()
    tied[np.arange(n), anchors] = False
    F = _edge_matrix(A, tied, anchors)
    counts = pairs.sum(axis=1)
    start = _PAIRS_PER_WEIGHT * (C - 1) * K
    active = counts > 0
    if counts.sum() > 2 * start:
        order = np.random.default_rng(n).permutation(n)
        active[order[np.cumsum(counts[order]) > start]] = False
    while True:
        chosen = pairs & active[:, None]
        E = _edge_matrix(A, chosen, anchors)
        solved = _highs(E, F, end)
        if solved is None:
            return None
        v, values, phi = solved
        V = np.vstack([v.reshape(C - 1, K), np.zeros((1, K))])
        G = _edges_as_family(chosen, values, anchors) + _edges_as_family(tied, phi, anchors)
        waiting = (counts > 0) & ~active
        worst = _unsettled(A, anchors, pairs & waiting[:, None], V, E, F) if waiting.any() else np.zeros(n)
        if not worst.any():
            return V, G
        most = max(active.sum() // 2, start // max(C - 1, 1) // 4, 1)
        active[np.argsort(-worst, kind="stable")[: min(most, np.count_nonzero(worst))]] = True
        # Solutions on a part of separable rows rarely hold for the others: many rounds would cost more than all rows.
        separable = 2 * np.count_nonzero(E @ v > 0.5) > len(values) and counts.sum() * len(v) <= _LARGEST_WHOLE
        if separable or active.sum() > 0.9 * np.count_nonzero(counts):
            active = counts > 0


def _unsettled(
    A: np.ndarray,
    anchors: np.ndarray,
    waiting: np.ndarray,
    V: np.ndarray,
    E: scipy.sparse.csr_array,
    F: scipy.sparse.csr_array,
) -> np.ndarray:
    """How much each row's pairs violate V, or else leave the span of those that have margin 0 under it."""
    margins = _margins(A, anchors, V)
    violation = np.where(waiting, -margins, 0.0).max(axis=1)
    violation[violation <= _FEASIBLE * max(1.0, abs(V).max(initial=0.0))] = 0.0
    if violation.any():
        return violation
    at_zero = waiting & (margins <= 0.5)
    ties = scipy.sparse.vstack([E[E @ V[:-1].ravel() <= 0.5], F])
    size, vectors = np.linalg.eigh((ties.T @ ties).toarray())
    worst = np.zeros(len(A))
    for u in vectors[:, size <= 1e-12 * max(size.max(initial=0.0), 1.0)].T:
        U = np.append(u, np.zeros(A.shape[1])).reshape(V.shape)
        worst = np.maximum(worst, np.where(at_zero, abs(_margins(A, anchors, U)), 0.0).max(axis=1))
    worst[worst <= 1e-6] = 0.0
    return worst


def _margins(A: np.ndarray, anchors: np.ndarray, V: np.ndarray) -> np.ndarray:
    Z = A @ V.T
    return Z[np.arange(len(Z)), anchors][:, None] - Z


def _highs(E: Any, F: Any, end: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """v, λ on the rows of E and multipliers on those of F: minimise Σ μ, Eᵀ(1 + ν − μ) + Fᵀφ = 0, 0 ≤ μ ≤ 1, ν ≥ 0."""
    from scipy.optimize import linprog  # costs 0.2 s

    (p, m), (f, _) = E.shape, F.shape
    if not p or not m:
        return np.zeros(m), np.ones(p), np.zeros(f)
    equations = scipy.sparse.hstack([E.T, -E.T, F.T]).tocsc()
    cost = np.concatenate([np.zeros(p), np.ones(p), np.zeros(f)])
    bounds = np.array([(0.0, np.inf)] * p + [(0.0, 1.0)] * p + [(-np.inf, np.inf)] * f)
    for method in ("highs-ds", "highs-ipm"):
        left = end - time.monotonic()
        if left <= 0:
            return None
        options = {"time_limit": left}
        result: Any = linprog(cost, A_eq=equations, b_eq=-E.sum(axis=0), bounds=bounds, method=method, options=options)
        if result.status == 0:
            nu, mu, phi = np.split(result.x, [p, 2 * p])
            return -result.eqlin.marginals, 1 + nu - mu, phi
    return None


def _edge_matrix(A: np.ndarray, mask: np.ndarray, anchors: np.ndarray) -> scipy.sparse.csr_array:
    """One row for each (n, j) of the mask: vec of (e_i − e_j) ⊗ a_n without the last class, whose weights are 0."""
    (rows, classes), (C, K) = np.nonzero(mask), (mask.shape[1], A.shape[1])
    places, each = np.repeat(np.arange(len(rows)), K), np.arange(K)
    data = np.concatenate([A[rows].ravel(), -A[rows].ravel()])
    where = [(c[:, None] * K + each).ravel() for c in (anchors[rows], classes)]
    whole = scipy.sparse.csc_array((data, (np.tile(places, 2), np.concatenate(where))), shape=(len(rows), C * K))
    return whole[:, : (C - 1) * K].tocsr()


def _edges_as_family(mask: np.ndarray, values: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    G = np.zeros(mask.shape)
    G[mask] = values
    G[np.arange(len(G)), anchors] -= G.sum(axis=1)
    return G
