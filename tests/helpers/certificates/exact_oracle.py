"""S11 decided exactly by another road than the library's: Bland's rule on the cone of recession directions.

No linear-programming library, no floats, no bound σ <= 1. The recession directions are the cone of all V with
(V x_n)_i = (V x_n)_i0 on the supports and margin_nj(V) >= 0. Maximise the sum of the margins of the pairs not yet
separated; as every constraint is homogeneous, Bland's rule ends in one of two ways:

- at a ray of the cone with a positive sum: its pairs are separated, and the sum goes on without them;
- at a proof that the sum is <= 0 on the cone: multipliers λ >= 1 of the pairs left, whose margins are 0 throughout.

The sum of the rays is V; the last multipliers are the G of S10. `decide` proves its answer by `prove`, then returns it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Matrix = Sequence[Sequence[Fraction]]
Supports = Sequence[frozenset[int]]


class Answer(NamedTuple):
    """A verdict of S9 and S11 with both proofs.

    verdict: "attained", "complete" or "quasi-complete".
    separated: P, the pairs (n, j) that some recession direction separates.
    V: (C, K), a recession direction whose margins are >= 1 on P and 0 on all other pairs.
    G: (N, C), weights absorbed (S10): >= 1 on the other pairs, 0 on P, any sign on the supports.
    pivots: exchanges that the search took.
    """

    verdict: str
    separated: frozenset[tuple[int, int]]
    V: list[list[Fraction]]
    G: list[list[Fraction]]
    pivots: int


def decide(X: Matrix, supports: Supports, C: int) -> Answer:
    """The verdict for rows X (N, K) of rationals (rows of weight 0 and inadmissible columns left out before)."""
    K = len(X[0])
    scale = [math.lcm(*(x.denominator for x in row)) for row in X]
    rows = [[int(x * q) for x in row] for row, q in zip(X, scale, strict=True)]
    pairs = [(n, j) for n, support in enumerate(supports) for j in range(C) if j not in support]
    ties = [(n, i) for n, support in enumerate(supports) for i in sorted(support)[1:]]
    forms, members = _distinct_margins(rows, supports, pairs, C)
    names = [("tie", k) for k in range(len(ties))] + [("form", k) for k in range(len(forms))]
    table = [_difference(rows[n], i, min(supports[n]), C) for n, i in ties] + forms
    cone = Dictionary(names, table, [("v", k) for k in range((C - 1) * K)])
    cone.enter("tie")
    cone.enter("form")

    values, left = [Fraction(0)] * ((C - 1) * K), set(range(len(forms)))
    while (column := cone.maximise(left)) is not None:
        ray = cone.ray(column)
        left -= {k for (kind, k), value in ray.items() if kind == "form" and value > 0}
        for (kind, k), value in ray.items():
            if kind == "v":
                values[k] += value
    V = [values[c * K : (c + 1) * K] for c in range(C - 1)] + [[Fraction(0)] * K]
    weights = cone.multipliers(left)
    G = [[Fraction(0)] * C for _ in supports]
    for k, own in enumerate(members):
        for (n, j), factor in own:  # scale · margin = factor · form
            G[n][j] = weights.get(("form", k), Fraction(0)) * scale[n] / (factor * len(own))
    for k, (n, i) in enumerate(ties):
        G[n][i] = -weights.get(("tie", k), Fraction(0)) * scale[n]
    for g, support in zip(G, supports, strict=True):
        g[min(support)] = -sum(g)
    separated = frozenset(pair for k, own in enumerate(members) if k not in left for pair, _ in own)
    verdict = "attained" if not separated else "complete" if len(separated) == len(pairs) else "quasi-complete"
    answer = Answer(verdict, separated, *_scaled(X, supports, pairs, separated, V, G), cone.pivots)
    prove(X, supports, C, answer)
    return answer


def true_verdict(X: Matrix, support: Sequence[Sequence[bool]]) -> tuple[str, str, frozenset[tuple[int, int]]]:
    """(status, type, separated pairs) in a certificate's words, for supports given as rows of booleans."""
    C = len(support[0])
    answer = decide(X, [frozenset(j for j in range(C) if row[j]) for row in support], C)
    if answer.verdict == "attained":
        return "ATTAINED", "none", answer.separated
    return "NOT_ATTAINED", answer.verdict, answer.separated


def prove(X: Matrix, supports: Supports, C: int, answer: Answer) -> None:
    """S11's duality written out: V separates exactly P, and G (S10) lets no direction separate another pair."""
    V, G, P = answer.V, answer.G, answer.separated
    Z = [[sum(v * x for v, x in zip(row, x_n, strict=True)) for row in V] for x_n in X]
    total, bound, pairs = Fraction(0), Fraction(0), 0
    for n, support in enumerate(supports):
        assert sum(G[n]) == 0
        assert all(Z[n][i] == max(Z[n]) for i in support)
        for j in set(range(C)) - support:
            margin, multiplier = max(Z[n]) - Z[n][j], G[n][j]
            assert multiplier >= 0
            assert (margin >= 1 and multiplier == 0) if (n, j) in P else (margin == 0 and multiplier >= 1)
            total += min(margin, Fraction(1))  # the primal objective Σ σ of S11
            bound += max(1 - multiplier, Fraction(0))  # its dual: multipliers of σ <= 1
            pairs += 1
    assert total == bound == len(P)
    assert all(sum(x[d] * g[j] for x, g in zip(X, G, strict=True)) == 0 for d in range(len(X[0])) for j in range(C))
    assert answer.verdict == ("attained" if not P else "complete" if len(P) == pairs else "quasi-complete")


class Dictionary:
    """Linear functions `rows` of the variables `columns`: function i is Σ_j table[i][j] · columns[j] / denominator.

    Names are (kind, number): "v" an entry of V (free), "tie" an equality (0), "form" a margin (>= 0). Pivots are
    fraction-free: every entry is a minor of the first table, the denominator stays positive.
    """

    def __init__(self, rows: list[tuple[str, int]], table: list[list[int]], columns: list[tuple[str, int]]):
        self.rows, self.table, self.columns, self.denominator, self.pivots = rows, table, columns, 1, 0

    def pivot(self, i: int, j: int) -> None:
        """Exchange function i and variable j: row i is solved for the variable, the result put into the others."""
        pivot_row, old = self.table[i], self.denominator
        sign, new = (1 if pivot_row[j] > 0 else -1), abs(pivot_row[j])
        for other, row in enumerate(self.table):
            entry = sign * row[j]
            if entry:
                self.table[other] = [(new * a - entry * b) // old for a, b in zip(row, pivot_row, strict=True)]
                self.table[other][j] = entry
            elif new != old:
                self.table[other] = [new * a // old for a in row]
        self.table[i] = [-sign * a for a in pivot_row]
        self.table[i][j] = sign * old
        self.denominator = new
        self.rows[i], self.columns[j] = self.columns[j], self.rows[i]
        self.pivots += 1

    def enter(self, kind: str) -> None:
        """Exchange free variables for functions of a kind, as many as are independent of the variables before them."""
        for i, name in enumerate(self.rows):
            if name[0] == kind:
                free = [j for j, (k, _) in enumerate(self.columns) if k == "v" and self.table[i][j]]
                if free:
                    self.pivot(i, free[0])

    def slopes(self, left: set[int]) -> list[int]:
        """Σ of the forms `left` as a combination of the columns, times the denominator."""
        total = [self.denominator if kind == "form" and k in left else 0 for kind, k in self.columns]
        for (kind, k), row in zip(self.rows, self.table, strict=True):
            if kind == "form" and k in left:
                total = [a + b for a, b in zip(total, row, strict=True)]
        return total

    def maximise(self, left: set[int]) -> int | None:
        """Bland's rule for the sum of the forms `left`: the column of a ray where it grows, None when it is <= 0."""
        while True:
            slopes = self.slopes(left)
            entering = [(k, j) for j, (kind, k) in enumerate(self.columns) if kind == "form" and slopes[j] > 0]
            if not entering:
                return None
            j = min(entering)[1]
            blocking = [(k, i) for i, (kind, k) in enumerate(self.rows) if kind == "form" and self.table[i][j] < 0]
            if not blocking:
                return j
            self.pivot(min(blocking)[1], j)

    def ray(self, j: int) -> dict[tuple[str, int], Fraction]:
        """Every function and variable along column j."""
        values = {name: Fraction(row[j], self.denominator) for name, row in zip(self.rows, self.table, strict=True)}
        return values | {self.columns[j]: Fraction(1)}

    def multipliers(self, left: set[int]) -> dict[tuple[str, int], Fraction]:
        """At the end of `maximise`: λ with Σ λ · function = 0 for all V, λ >= 1 on `left`, >= 0 on the other forms."""
        weights = {("form", k): Fraction(1) for k in left}
        for name, slope in zip(self.columns, self.slopes(left), strict=True):
            weights[name] = weights.get(name, Fraction(0)) - Fraction(slope, self.denominator)
        return weights


def _difference(row: Sequence[int], up: int, down: int, C: int) -> list[int]:
    """(V x)_up − (V x)_down as a linear form of the first C − 1 rows of V; the last one is 0 (S3's gauge)."""
    form = [0] * (C * len(row))
    for d, x in enumerate(row):
        form[up * len(row) + d] += x
        form[down * len(row) + d] -= x
    return form[: (C - 1) * len(row)]


def _distinct_margins(
    rows: Sequence[Sequence[int]], supports: Supports, pairs: Sequence[tuple[int, int]], C: int
) -> tuple[list[list[int]], list[list[tuple[tuple[int, int], int]]]]:
    """The margins up to positive factors, as primitive integer forms, and for each the pairs with their factors."""
    found: dict[tuple[int, ...], list[tuple[tuple[int, int], int]]] = {}
    for n, j in pairs:
        form = _difference(rows[n], min(supports[n]), j, C)
        factor = math.gcd(*form) or 1
        found.setdefault(tuple(a // factor for a in form), []).append(((n, j), factor))
    return [list(form) for form in found], list(found.values())


def _scaled(
    X: Matrix, supports: Supports, pairs: Sequence[tuple[int, int]], P: frozenset[tuple[int, int]], V: list, G: list
) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """V with margins >= 1 on P, G >= 1 on the other pairs."""
    difference = {
        (n, j): sum((a - b) * x for a, b, x in zip(V[min(supports[n])], V[j], X[n], strict=True)) for n, j in P
    }
    least = min(difference.values(), default=Fraction(1))
    smallest = min((G[n][j] for n, j in pairs if (n, j) not in P), default=Fraction(1))
    return [[v / least for v in row] for row in V], [[g / smallest for g in row] for row in G]
