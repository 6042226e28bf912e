"""The linear program of S11 in rational arithmetic: a simplex method for data whose ties floating point cannot tell."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.products import as_smallest, integer_bits
from jaxsoftmax.proof.exact.rational import (
    independent_rows,
    orthonormal_columns,
    pivot_columns,
    solve_exactly,
    unit_columns,
)
from jaxsoftmax.proof.exact.witness import Block, Multipliers
from jaxsoftmax.proof.separation.direction_rounding import coprime_entries
from jaxsoftmax.proof.separation.linear_program import Recession
from jaxsoftmax.proof.separation.recession_program import solve_program

__all__ = ["exchange_cost", "solve_rationally"]

_SHARE = 0.2  # of the time may go to the program in floating point, which says where to begin
_NEAR = 1e-6  # a margin so small, relative to the largest, may be a tie
_TIGHT, _FLOOR = 2.0**-8, 2.0**-20  # weight in the first basis of a form that may be tight, and of any other one
_BITS = 40  # of the random numbers b: so rarely do two edges end at once
_LARGEST = 2**23  # entries of the forms


def solve_rationally(A: np.ndarray, support: np.ndarray, separated: np.ndarray, seconds: float) -> Recession:
    r"""A direction that separates every pair that any recession direction separates, and multipliers on the rest (S11).

    The margins are linear forms of the weights of all classes but the last, and so are, twice with opposite signs, the
    differences of two classes of one support; the recession directions are the cone where all forms are ≥ 0. The sum of
    the margins not yet separated is maximised where form r is ≥ −b_r, with random b > 0: that set has the same cone,
    and no two edges tie. At a vertex the sum is Σ c_r · form r over m = (C − 1)·rank A tight forms:

    - all c ≤ 0: the numbers −c complete multipliers that are ≥ 1 on every pair of the sum (S10);
    - c_r > 0: along the edge on which form r grows either no form falls, and it is a recession direction whose pairs
      leave the sum; or the form that becomes tight first takes the place of r, and the sum has grown.

    The first basis comes from the program in floating point, where it has one: what is left to do are the exchanges
    that floats cannot tell. Every number is an exact solution in the integers given: none grows from one to the next.

    Args:
        A: (n, K) integers, int64 or Python integers, of any rank.
        support: (n, C) bool, at least one in each row.
        separated: (n, C) bool, pairs that a known recession direction separates.
        seconds: time limit.

    Returns:
        V, integers (C, K), with exact margins > 0 exactly on the pairs `separated` (None where nothing more separates),
        and G, exact, > 0 on all pairs that neither V nor the known direction separates and 0 on the others (None where
        there are no such pairs, and where time ran out; V is then what was found until then).

    Raises:
        ImportError: python-flint is not installed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.rational_program import solve_rationally
        >>> tiny = 2**60  # (1/4, 1/2) and (1/2, 1) with the origin, but for a last bit
        >>> A = np.array([[0, 0, 1], [tiny, 2 * tiny, 1], [2 * tiny, 4 * tiny + 1, 1]], dtype=object)
        >>> support = np.array([[True, False], [False, True], [True, False]])
        >>> found = solve_rationally(A, support, support & False, 10.0)
        >>> found.G is None, bool((found.separated | support).all())
        (True, True)

    Source: S11; R. G. Bland, Math. Oper. Res. 2 (1977), and A. Charnes, Econometrica 20 (1952), for cones, where every
    exchange ties, and for b.
    """
    end = time.perf_counter() + seconds
    columns = pivot_columns(A)
    forms = _forms(support)
    E = forms.matrix(A[:, columns])
    left = forms.pairs & ~separated[forms.rows, forms.classes]
    weights = _weights(forms, unit_columns(A[:, columns])[0], support, separated, _SHARE * seconds)
    basis = independent_rows(E, orthonormal_columns(E, weights))
    sizes = np.linalg.norm(unit_columns(E)[0], axis=1)
    b = np.random.default_rng(len(A)).integers(2**_BITS, 2 ** (_BITS + 1), len(E)).astype(object)
    b[basis] = 0

    part, total = A[:, columns].astype(object), _total(E[left])
    V, separating = np.zeros(E.shape[1], dtype=object), np.zeros(len(E), bool)
    G: Multipliers | None = None
    while left.any() and time.perf_counter() < end:
        c, q = _solution(E[basis].T, total[:, None])
        rising = (c[:, 0] > 0).astype(bool)
        if not rising.any():
            G = forms.family(left, basis, -c[:, 0], q)
            break
        entering = int(np.where(rising, _floats(c[:, 0]) * sizes[basis], -1.0).argmax())
        sides = np.stack([np.arange(len(basis)) == entering, -b[basis]], axis=1).astype(object)
        solved, q = _solution(E[basis], sides)
        slopes = forms.values(part, solved[:, 0])
        first = _first_tight(slopes, forms.values(part, solved[:, 1]) + b * q)
        if first is None:
            V = V + coprime_entries(solved[:, 0])
            separating |= (slopes > 0).astype(bool)
            left &= ~separating
            total = _total(E[left])
        else:
            basis[entering] = first
    now = np.zeros(support.shape, bool)
    now[forms.rows[separating], forms.classes[separating]] = True
    if not now.any():
        return Recession(None, G, now)
    whole = np.zeros((support.shape[1], A.shape[1]), dtype=object)
    whole[:-1, columns] = V.reshape(-1, len(columns))
    return Recession(coprime_entries(as_smallest(whole)), G, now)


def exchange_cost(A: np.ndarray, support: np.ndarray) -> float:
    """About how many seconds one exchange of `solve_rationally` takes; infinite where its forms would not fit.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.rational_program import exchange_cost
        >>> exchange_cost(np.full((200, 7), 2**53), np.eye(4, dtype=bool)[np.arange(200) % 4]) < 0.1
        True
    """
    n, C = support.shape
    m = (C - 1) * A.shape[1]
    p = n * (C - 1)
    if p * m > _LARGEST:
        return np.inf
    size = max(integer_bits(A), 1) * m / 64  # words of a determinant
    return p * A.shape[1] * (3e-7 + 5e-9 * size) + 1.5e-7 * m**3


class _Forms(NamedTuple):
    """The linear forms sign · ((V a_n)_i − (V a_n)_j), i the anchor of row n: the pairs, then the ties, either way."""

    rows: np.ndarray  # (p,) n
    classes: np.ndarray  # (p,) j
    signs: np.ndarray  # (p,) 1 or −1
    pairs: np.ndarray  # (p,) bool: j is outside the support of row n
    anchors: np.ndarray  # (n,) i
    C: int

    def matrix(self, A: np.ndarray) -> np.ndarray:
        """(p, (C − 1) K) the coefficients of the weights of every class but the last, whose weights are 0."""
        E = np.zeros((len(self.rows), self.C, A.shape[1]), A.dtype)
        each, signed = np.arange(len(self.rows)), A[self.rows] * self.signs[:, None]
        E[each, self.anchors[self.rows]] = signed
        E[each, self.classes] = -signed
        return E[:, :-1].reshape(len(self.rows), -1)

    def values(self, A: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(p,) the forms at the weights v, A and v of Python integers: `matrix(A) @ v` with fewer products."""
        Z = A @ np.append(v, np.zeros(A.shape[1], dtype=object)).reshape(self.C, -1).T
        return self.signs * (Z[self.rows, self.anchors[self.rows]] - Z[self.rows, self.classes])

    def family(self, left: np.ndarray, basis: np.ndarray, numerators: np.ndarray, q: int) -> Multipliers:
        """1 for each form of `left` and numerators/q for those of the basis, as a family G of S10."""
        G = np.zeros((len(self.anchors), self.C), dtype=object)
        self._add(G, np.flatnonzero(left), np.ones(left.sum(), np.int64))
        touched = np.zeros(len(G), bool)
        touched[self.rows[basis[(numerators != 0).astype(bool)]]] = True
        G[touched] *= q
        self._add(G, basis, numerators)
        plain, rest = np.flatnonzero(G.any(axis=1) & ~touched), np.flatnonzero(touched)
        blocks = (Block(1, plain, as_smallest(G[plain])), Block(q, rest, as_smallest(G[rest])))
        return Multipliers(tuple(block for block in blocks if len(block.rows)))

    def _add(self, G: np.ndarray, chosen: np.ndarray, values: np.ndarray) -> None:
        rows, signed = self.rows[chosen], values * self.signs[chosen]
        np.add.at(G, (rows, self.classes[chosen]), signed)
        np.subtract.at(G, (rows, self.anchors[rows]), signed)


def _forms(support: np.ndarray) -> _Forms:
    anchors = support.argmax(axis=1)
    ties = support.copy()
    ties[np.arange(len(ties)), anchors] = False
    parts = [np.nonzero(~support), np.nonzero(ties), np.nonzero(ties)]
    kinds = np.repeat(np.arange(3), [len(rows) for rows, _ in parts])
    rows, classes = (np.concatenate([part[k] for part in parts]) for k in range(2))
    return _Forms(rows, classes, np.where(kinds == 2, -1, 1), kinds == 0, anchors, support.shape[1])


def _weights(forms: _Forms, A: np.ndarray, support: np.ndarray, separated: np.ndarray, seconds: float) -> np.ndarray:
    """How much each form ought to be in the first basis: its multiplier in floats beyond 1, or that it may be tight."""
    weights = np.full(len(forms.rows), _FLOOR)
    solved = solve_program(A, support, ~(support | separated), time.monotonic() + seconds)
    if solved is not None:
        V, G = solved
        Z = A @ V.T
        margins = abs(Z[forms.rows, forms.anchors[forms.rows]] - Z[forms.rows, forms.classes])
        weights[margins <= _NEAR * max(margins.max(initial=0.0), 1.0)] = _TIGHT
        beyond = np.where(forms.pairs, G[forms.rows, forms.classes] - 1, 0.0)
        if beyond.max(initial=0.0) > 0:
            weights = np.maximum(weights, beyond / beyond.max())
    return weights


def _total(E: np.ndarray) -> np.ndarray:
    return E.astype(object).sum(axis=0)


def _solution(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, int]:
    """Python integers Y and q > 0 with A Y = q B, A square and non-singular."""
    solved = solve_exactly(as_smallest(A), as_smallest(B))
    assert solved is not None  # the forms of a basis are independent
    return solved[0].astype(object), solved[1]


def _floats(c: np.ndarray) -> np.ndarray:
    """Integers of any size, divided by the largest."""
    largest = max(map(abs, c.tolist())) or 1
    return np.array([x / largest for x in c.tolist()])


def _first_tight(slopes: np.ndarray, heights: np.ndarray) -> int | None:
    """The form that falls to 0 first: the least height / −slope over the negative slopes; None without any."""
    best = None
    for r in np.flatnonzero((slopes < 0).astype(bool)).tolist():
        if best is None or heights[r] * -slopes[best] < heights[best] * -slopes[r]:
            best = r
    return best
