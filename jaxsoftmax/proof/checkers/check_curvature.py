"""Checks a lower bound of the curvature at a point, for check_minimiser.py: standard library and python-flint alone.

S14. On {1ᵀV = 0}, D²L[V, V] = Σ_{a<b} (v_a − v_b)ᵀ M_ab (v_a − v_b), where v_c are the rows of V and M_ab = Σ_n w_n x_n
x_nᵀ + diag(α)/C, w_n = s_n y_na y_nb. Less w_n, 0 included, only lower M_ab: they are rounded down to multiples of
2^-b, so that M_ab has integer entries over a denominator. With powers of two σ_d, Σ = diag(σ), two methods prove that
D²L[V, V] ≥ μ Σ (V_cd σ_d)²:

- "pairs": M_ab ⪰ m_ab Σ² for the pairs (a, b) of some graph on the classes, and μ ≤ λ₂ of its Laplacian with weights m;
- "full": the matrix of the whole form minus μ times that of Σ (V_cd σ_d)².

Either way v_C = 0 replaces 1ᵀV = 0: the form does not notice, and Σ_c v_c² becomes uᵀ(I − 11ᵀ/C)u in the others, u.

S15b. A matrix P of integers is semidefinite if P − RRᵀ is, whatever R is; and a symmetric E is if for some v > 0
E_ii v_i ≥ Σ_{j≠i} |E_ij| v_j for all i. R comes from Cholesky's method in floating point and nothing depends on it.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from operator import mul
from typing import Any, NamedTuple

if __package__:
    from .check_samples import SampleIntegers, require, weighted_gram
else:
    from check_samples import SampleIntegers, require, weighted_gram

# Limits that are checked before any work.
_MOST_BITS = 1 << 12  # of m and μ, before or behind the point
_MOST_ORDER = 1 << 12  # of a matrix that is factored
_MOST_PAIRS = 4  # times those of a tree
_MOST_CLASSES = 512
_MOST_ELIMINATION = 1 << 37  # order^4 times bits of a matrix that is eliminated in integers


def shows_semidefinite(P: list[list]) -> bool:
    """Whether the symmetric matrix P of integers is shown to be semidefinite, by S15b.

    It is if λ_min ≥ 3δ after scaling rows and columns by powers of two so that the diagonal lies in [1/4, 1].
    """
    from flint import fmpz, fmpz_mat

    # In rows scaled by 2^-h the remainder's row sums are at most n(n + 2) 2^-52: n γ_(n+1) by Cholesky's method, n u by
    # the rounding of P, 2 n^1.5 u by that of R (u = 2^-53). Roundings do not all add up: sixteen an entry are ample for
    # large n, and where they were not, this function would say False.
    n = len(P)
    h = [(int(row[i]).bit_length() + 1) // 2 for i, row in enumerate(P)]
    delta, R = n * min(n + 2, 16) * 2.0**-52, []
    for i, row in enumerate(P):
        # Semidefinite matrices have |p_ik|² ≤ p_ii p_kk; and what is larger than that may be no float.
        if any(int(x).bit_length() > h[i] + k for x, k in zip(row, h, strict=True)):
            return False
        scaled = [int(x) / (1 << (h[i] + k)) for x, k in zip(row[: i + 1], h, strict=False)]
        found: list[float] = []
        for x, other in zip(scaled, R, strict=False):
            found.append((x - sum(map(mul, found, other))) / other[-1])
        square = scaled[i] - delta - sum(map(mul, found, found))
        if not square > 0:
            return False
        R.append([*found, math.sqrt(square)])
    low, high = min(h), max(h)
    rows = [[round(x * 2.0**52) << (k - low) for x in row] + [0] * (n - len(row)) for row, k in zip(R, h, strict=True)]
    factor, shift = fmpz_mat(rows), 2 * (52 - low)
    left, right = fmpz(1) << max(shift, 0), fmpz(1) << max(-shift, 0)
    E = (fmpz_mat(P) * left - factor * factor.transpose() * right).tolist()
    v = [fmpz(1) << (high - k) for k in h]
    return all(2 * row[i] * v[i] >= sum(map(mul, map(abs, row), v)) for i, row in enumerate(E))


def decides_semidefinite(P: list[list[int]]) -> bool:
    """Whether a small symmetric matrix of integers is semidefinite, by elimination without fractions (Bareiss)."""
    P, before = [list(row) for row in P], 1
    for k, top in enumerate(P):
        if top[k] < 0 or (top[k] == 0 and any(top[k:])):
            return False
        if top[k] > 0:
            for i in range(k + 1, len(P)):
                P[i] = [(top[k] * x - P[i][k] * y) // before for x, y in zip(P[i], top, strict=True)]
            before = top[k]
    return True


def _short(x: Fraction, up: bool) -> Fraction:
    """x > 0 rounded to 64 bits, up or down: nothing after it takes longer for a longer fraction."""
    k = 64 - x.numerator.bit_length() + x.denominator.bit_length()
    require(abs(k) <= _MOST_BITS, f"curvature: a number is beyond 2^±{_MOST_BITS}.")
    scaled = x * Fraction(2) ** k
    return (math.ceil(scaled) if up else math.floor(scaled)) / Fraction(2) ** k


class _Form(NamedTuple):
    """What all the pairs share: ΣM_abΣ without its penalty is a matrix of integers times `unit`, plus diag(penalty)."""

    samples: SampleIntegers
    columns: list[Sequence[int]]
    shift: list[int]
    unit: Fraction
    penalty: list[Fraction]

    def pair(self, Y: list[list], a: int, c: int, chosen: Sequence[int], drop: int) -> list[list]:
        """Σ⁻¹ M_ac Σ⁻¹ of the chosen samples, in the unit; y_nj ≥ (Y_nj − 1)/2^P, and `drop` = 2P − b."""
        w = [0] * len(Y)
        for n in chosen:
            low = max(Y[n][a] - 1, 0) * max(Y[n][c] - 1, 0) * self.samples.weights[n] // self.samples.weight_unit
            w[n] = int(low >> drop)
        rows = zip(weighted_gram(self.columns, w), self.shift, strict=True)
        return [[x << (j + k) for x, k in zip(row, self.shift, strict=True)] for row, j in rows]

    def exceeds(self, blocks: list[list[list[list]]], factors: list[list[int]], m: Fraction, one: Fraction) -> bool:
        """Whether the matrix of these blocks, plus factors ⊗ (diag(penalty) − m one I), is shown to be semidefinite."""
        added = [h - m * one for h in self.penalty]
        common = math.lcm(self.unit.denominator, *(x.denominator for x in added))
        by, diagonal, P = int(self.unit * common), [int(x * common) for x in added], []
        for line, some in zip(blocks, factors, strict=True):
            for d, x in enumerate(diagonal):
                row = [by * entry for block in line for entry in block[d]]
                for j, factor in enumerate(some):
                    row[j * len(added) + d] += factor * x
                P.append(row)
        return shows_semidefinite(P)


def is_above_curvature(Lambda: Fraction, samples: SampleIntegers, row_sums: list[int]) -> bool:
    """Whether ½ min(trace, largest row sum of |XᵀSX|) + max α ≤ Λ (S7a); `row_sums` serve where no x is negative."""
    room = 2 * (Lambda - max(samples.alpha)) * samples.Q**2 * samples.weight_unit
    if sum(sum(map(mul, map(mul, column, column), samples.weights)) for column in samples.columns) <= room:
        return True
    if all(min(column) >= 0 for column in samples.columns):
        return max(row_sums) <= room
    return max(int(sum(map(abs, row))) for row in weighted_gram(samples.columns, samples.weights)) <= room


def check_curvature(
    stated: dict, number: Any, samples: SampleIntegers, kept: list[int], scaling: list[int], Y: list[list], P: int
) -> Fraction:
    """The lower bound μ that a witness states, once it is proved (S14).

    Args:
        stated: the witness's curvature.
        number: reads a rational number.
        samples: the samples.
        kept: the columns of X that count.
        scaling: exponents of the powers of two σ_d.
        Y: integers within 1 of 2^P times the probabilities.
        P: that exponent.

    Returns:
        μ > 0.
    """
    C, b, pairs, claimed = len(Y[0]), stated["weight_bits"], stated["pairs"], number(stated["mu"], "mu")
    require(claimed > 0 and -64 <= b <= 256 and b <= 2 * P, "curvature: needs mu > 0, and weight_bits in [-64, 256].")
    order = len(kept) * (C - 1 if stated["method"] == "full" else 1)
    require(order <= _MOST_ORDER, f"curvature: a matrix of order {order}; at most {_MOST_ORDER} is factored.")
    mu = _short(claimed, up=True)  # what is proved, and no less than what is claimed
    top, columns = max(scaling), [samples.columns[d] for d in kept]
    unit = Fraction(2) ** (-b - 2 * top) / samples.Q**2
    penalty = [samples.alpha[d] / C / Fraction(4) ** k for d, k in zip(kept, scaling, strict=True)]
    form = _Form(samples, columns, [top - k for k in scaling], unit, penalty)
    if stated["method"] == "full" and pairs is None:
        M = {(a, c): form.pair(Y, a, c, range(len(Y)), 2 * P - b) for c in range(C) for a in range(c)}
        M |= {(c, a): block for (a, c), block in M.items()}
        blocks = []
        for a in range(C - 1):
            parts = [M[a, c] for c in range(C) if c != a]
            whole = [[sum(entries) for entries in zip(*rows, strict=True)] for rows in zip(*parts, strict=True)]
            blocks.append([whole if a == c else [[-x for x in row] for row in M[a, c]] for c in range(C - 1)])
        # The penalty diag(α) and Σ² multiply the same form C I − 11ᵀ, over C.
        factors = [[C * (a == c) - 1 for c in range(C - 1)] for a in range(C - 1)]
        proved = form.exceeds(blocks, factors, mu, Fraction(1, C))
        require(proved, "curvature: mu is not proved: the matrix is not shown to be semidefinite.")
        return claimed
    require(stated["method"] == "pairs" and pairs, "curvature: needs the method 'full', or 'pairs' and some pairs.")
    fine = len(pairs) <= _MOST_PAIRS * (C - 1) and C <= _MOST_CLASSES
    require(fine, f"curvature: {len(pairs)} pairs of {C} classes; {_MOST_PAIRS} (C − 1) of {_MOST_CLASSES} may be.")
    laplacian = [[mu / C - mu * (a == c) for c in range(C)] for a in range(C)]
    place, seen = {n: k for k, n in enumerate(samples.numbers)}, set()
    for pair in pairs:
        classes, numbers, m = tuple(pair["classes"]), pair["rows"], number(pair["m"], "m")
        right = len(classes) == 2 and 0 <= classes[0] < classes[1] < C and classes not in seen and m > 0
        require(right, f"curvature: pair {classes!r:.40}: needs classes a < b < {C}, each pair once, and m > 0.")
        m = _short(m, up=False)
        right = numbers is None or (all(i < j for i, j in pairwise(numbers)) and all(n in place for n in numbers))
        require(right, f"curvature: pair {classes}: rows must rise and have positive weight.")
        (a, c), chosen = classes, range(len(Y)) if numbers is None else [place[n] for n in numbers]
        proved = form.exceeds([[form.pair(Y, a, c, chosen, 2 * P - b)]], [[1]], m, Fraction(1))
        require(proved, f"curvature: pair {classes}: m is not proved: the matrix is not shown to be semidefinite.")
        for i, j, sign in ((a, a, 1), (c, c, 1), (a, c, -1), (c, a, -1)):
            laplacian[i][j] += sign * m
        seen.add(classes)
    common = math.lcm(*(x.denominator for row in laplacian for x in row))
    reduced = [[int(x * common) for x in row[:-1]] for row in laplacian[:-1]]
    few = len(reduced) ** 4 * max(abs(x) for row in reduced for x in row).bit_length() <= _MOST_ELIMINATION
    proved = shows_semidefinite(reduced) or (few and decides_semidefinite(reduced))
    require(proved, "curvature: mu is more than the graph of the pairs gives.")
    return claimed
