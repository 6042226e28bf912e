"""Checks a certificate of `js.certify` against its data, with the standard library and python-flint (FLINT, Arb) alone.

Run ``python check_minimiser.py CERTIFICATE DATA [--labels FILE]``: it ends with 0 when every claim is proved, 1 when
the certificate does not prove one of them, 2 when the input cannot be used. Beside it must lie check_existence.py,
which reads the data and the JSON.

The problem. L(W) = Σ_n s_n [lse(W x_n) − t_nᵀ W x_n] + ½ Σ_d α_d ‖W_·d‖² over the samples of weight s_n > 0 and, with a
self-regulariser γ, D more samples γ e_d of weight 1 with uniform targets (S21d). Weights are meant modulo the gauge:
1ᵀW = 0. Columns of X that are exact combinations of the others are dropped: the logits do not need them. (V on all
columns, in the row space of X, and its V' on the columns kept have the same logits, and ‖V‖ ≤ ‖V'‖.)

The claim (S13). The witness Ŵ is exact. With the exact powers of two σ_d let ‖V‖_Σ² = Σ (V_cd σ_d)², ‖g‖_*² =
Σ (g_cd/σ_d)² for g = ∇L(Ŵ), β² = 2 max_n Σ_d (x_nd/σ_d)², and D²L(Ŵ)[V, V] ≥ μ ‖V‖_Σ² wherever 1ᵀV = 0. If
q = β‖g‖_*/μ < 1, there is a minimiser W*, unique modulo the kernel, ‖W* − Ŵ‖_Σ ≤ r = −log(1 − q)/β, and
0 ≤ L(Ŵ) − L(W*) ≤ (μ/β²)(q + (1 − q) log(1 − q)) ≤ (μ/β²) q²/(2 − 2q).
S8. The Hessian falls by at most e^(−βr) = 1 − q in that ball. Gradient descent from Ŵ with step 1/Λ, Λ ≥ all curvature
(S7a), stays in the Euclidean ball of radius r/min σ about W*, where S8 gives a further factor e^(−ρ), so it contracts
(S17) by 1 − μ min σ² (1 − q) e^(−ρ)/Λ a step.

The curvature (S14). D²L[V, V] = Σ_{a<b} (v_a − v_b)ᵀ M_ab (v_a − v_b), v_c being the rows of V and M_ab = Σ_n w_n x_n
x_nᵀ + (α/C), w_n = s_n y_na y_nb. Lower bounds of w_n, 0 included, only lower M_ab: they are rounded down to multiples
of 2^-b, so that M_ab is a matrix of integers. "pairs": M_ab ⪰ m_ab Σ² for some pairs; then μ may be any lower bound of
λ₂ of the graph Laplacian L' with weights m_ab. "full": all M_ab at once. Both times v_C = 0 is the gauge, in which
‖V‖² becomes the form of I − 11ᵀ/C on the other classes.

Matrices P are shown to be positive semidefinite by an exact remainder (S15b): some R, found by Cholesky's method in
floating point, so not trusted, and integers P − RRᵀ that are diagonally dominant.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, compress, pairwise, repeat
from operator import add, mul
from pathlib import Path
from typing import Any, NamedTuple

if __package__:
    from .check_existence import DATA_FORM, ReadData, RefusedCertificate, load_data, read_certificate
else:
    from check_existence import DATA_FORM, ReadData, RefusedCertificate, load_data, read_certificate

_UPPER = ("loss_upper", "q", "radius", "radius_euclidean", "curvature_upper", "condition", "rate")
_LOWER = ("loss_lower", "curvature", "curvature_euclidean")
_PAIR = {"classes": [int], "rows": (None, ["integer"]), "m": str}
_FORM = {
    "format": str,
    "version": int,
    "made_by": str,
    "data": DATA_FORM,
    "claims": {**dict.fromkeys(_LOWER + _UPPER, str), "digits": int},
    "witness": {
        "bits": int,
        "weights": [["integer"]],
        "columns": [int],
        "dropped": [{"column": int, "denominator": "integer", "entries": [["integer"]]}],
        "scaling": [int],
        "precision": int,
        "curvature": {"method": str, "weight_bits": int, "pairs": (None, [_PAIR]), "mu": str},
    },
}
_GUARD = 32  # more bits than the maker's: probabilities to 2^-(precision + 32), Arb at precision + 64
_BLOCK = 1 << 21  # entries of X in one matrix


@dataclass(frozen=True)
class CheckedMinimiser:
    """Claims that were proved, by name, as the certificate prints them; `str` of it is the report."""

    claims: dict[str, Any]
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join(["VERIFIED: there is a minimiser", *self.lines])


class _Rows(NamedTuple):
    """The samples of the loss: x_nd = columns[d][n]/Q, targets p/q (p integers), weights s[n]/s_unit, all integers."""

    numbers: Sequence[int]
    columns: list[Sequence[int]]
    Q: int
    targets: list[tuple[list[int], int]]
    s: list[int]
    s_unit: int
    alpha: list[Fraction]


class _Point(NamedTuple):
    """At Ŵ: the loss (arb), y_nj 2^P to within 1, the gradient Σ_n (..) x_n as integers, and ½ XᵀSX's row sums."""

    loss: Any
    Y: list[list]
    gradient: list[list[int]]
    row_sums: list[int] | None


def _number(text: str, where: str) -> Fraction:
    """A decimal or a ratio, exactly."""
    form = r"-?\d{1,20000}(\.\d{1,20000}|/0*[1-9]\d{0,20000})?([eE]-?\d{1,4})?"
    if not re.fullmatch(form, text) or ("/" in text and "e" in text.lower()):
        raise ValueError(f"certificate: {where} is {text!r:.60}; it must be a decimal number or p/q.")
    if "/" in text:
        p, q = map(_integer, text.split("/"))
        return Fraction(p, q)
    digits, _, exponent = text.lower().partition("e")
    whole, _, decimals = digits.partition(".")
    return _integer(whole + decimals) * Fraction(10) ** (int(exponent or 0) - len(decimals))


def _integer(digits: str) -> int:
    """FLINT reads any length, which Python's own reader refuses."""
    from flint import fmpz

    return int(fmpz(digits))


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise RefusedCertificate(message)


# ── the rows ──
def _rows(data: ReadData) -> _Rows:
    """The samples of positive weight, those of the self-regularisers after them, and the strengths α_d (S21a, d)."""
    N, D, C = len(data.targets), len(data.columns) + data.intercept, data.targets[0].count(" ") + 1
    alpha, extra = [Fraction(0)] * D, []
    for line in data.regularizers:
        name, strength, *flag = line.split(" ")
        if name == "self":
            extra.append(Fraction(strength))
        elif name == "l2":
            alpha = [a + Fraction(strength) * (d < len(data.columns) or flag == ["1"]) for d, a in enumerate(alpha)]
        else:
            _need(strength == "0", f"regularizer {line!r:.60}: log-cosh is not covered.")
    weights = [Fraction(w) for w in dict.fromkeys(data.weights)]
    s_unit = math.lcm(*(w.denominator for w in weights))
    s_of = {str(w): w.numerator * (s_unit // w.denominator) for w in weights}
    Q = math.lcm(*(column.denominator for column in data.columns), *(gamma.denominator for gamma in extra))
    active = [w != "0" for w in data.weights]
    given = [(c.integers, c.denominator) for c in data.columns] + [(b"\1" * N, 1)] * data.intercept
    columns: list[Sequence[int]] = []
    for d, (integers, denominator) in enumerate(given):
        if Q > denominator or extra or not all(active):
            integers = [m * (Q // denominator) for m in compress(integers, active)]
            integers += [int(gamma * Q) * (d == other) for gamma in extra for other in range(D)]
        columns.append(integers)
    exact = {}
    for line in dict.fromkeys(data.targets):
        t = [Fraction(number) for number in line.split(" ")]
        q = math.lcm(*(x.denominator for x in t))
        exact[line] = [x.numerator * (q // x.denominator) for x in t], q
    many = len(extra) * D
    return _Rows(
        [*compress(range(N), active), *range(N, N + many)],
        columns,
        Q,
        [exact[line] for line in compress(data.targets, active)] + [([1] * C, C)] * many,
        [s_of[w] for w in compress(data.weights, active)] + [s_unit] * many,
        s_unit,
        alpha,
    )


def _blocks(columns: list[Sequence[int]]) -> Iterator[tuple[int, int, Any]]:
    """Blocks of rows: the first, the end, and Xᵀ there."""
    from flint import fmpz_mat

    n, step = len(columns[0]), max(1, _BLOCK // len(columns))
    for low in range(0, n, step):
        high = min(n, low + step)
        yield low, high, fmpz_mat(len(columns), high - low, list(chain.from_iterable(c[low:high] for c in columns)))


# ── at the witness ──
def _dependences(witness: dict, D: int) -> list[list[int]]:
    """For each dropped column d the coefficients of −q x_d + Σ p_i x_i, which must vanish."""
    kept, rows, numbers = witness["columns"], [], []
    for entry in witness["dropped"]:
        row = [0] * D
        for pair in entry["entries"]:
            _need(len(pair) == 2 and pair[0] in kept and row[pair[0]] == 0, f"dropped: {pair!r:.60} is no [column, p].")
            row[pair[0]] = pair[1]
        _need(entry["denominator"] > 0, "dropped: a denominator must be > 0.")
        numbers.append(entry["column"])
        rows.append((entry["column"], entry["denominator"], row))
    rising = all(a < b for part in (kept, numbers) for a, b in pairwise(part))
    _need(rising and sorted(kept + numbers) == list(range(D)), f"columns and dropped must part the columns 0..{D - 1}.")
    for d, q, row in rows:
        row[d] = -q
    return [row for _, _, row in rows]


def _evaluate(rows: _Rows, W: list[list[int]], bits: int, dropped: list[list[int]], P: int) -> _Point:
    """One pass over X (S1, S2). W has a row a class and a column a column of X."""
    from flint import arb, fmpz, fmpz_mat

    C, D = len(W), len(rows.columns)
    one, unit, half = fmpz(1) << P, arb(1) / (fmpz(rows.Q) << bits), arb(0.5)
    positive = all(min(column) >= 0 for column in rows.columns)
    left = fmpz_mat([*W, [1] * D, *dropped])
    total, loss, Y = fmpz_mat(D, C + 1), arb(0), []
    target = {id(t): (p, q, [(one * x) // q for x in p]) for t in rows.targets for p, q in [t]}
    for low, high, Xt in _blocks(rows.columns):
        product = (left * Xt).tolist()
        for row in product[C + 1 :]:
            _need(not any(row), "dropped: a column is not the combination of the others that it is said to be.")
        flat = []
        for n, sums, *z in zip(range(low, high), product[C], *product[:C], strict=True):
            top = max(z)
            u = [x - top for x in z]
            e = [(x * unit).exp() for x in map(arb, u)]
            whole = sum(e)
            p, q, rounded = target[id(rows.targets[n])]
            loss += (whole.log() - arb(sum(map(mul, p, u))) * unit / q) * rows.s[n]
            whole = one / whole
            y = [x * whole for x in e]
            _need(all(x.rad() < 0.25 for x in y), "precision: the logits are too large for it.")
            y = [(x.mid() + half).floor().unique_fmpz() for x in y]
            flat += [(a - b) * rows.s[n] for a, b in zip(y, rounded, strict=True)]
            flat.append(sums * rows.s[n])
            Y.append(y)
        total += Xt * fmpz_mat(high - low, C + 1, flat)
    gradient = total.tolist()
    sums = [int(row[C]) for row in gradient] if positive else None
    return _Point(loss / rows.s_unit, Y, [list(map(int, row[:C])) for row in gradient], sums)


def _gram(columns: list[Sequence[int]], w: Sequence[int]) -> list[list]:
    """Σ_n w_n x_n x_nᵀ (without the Q²)."""
    from flint import fmpz_mat

    some = [n for n, weight in enumerate(w) if weight]
    total, step = fmpz_mat(len(columns), len(columns)), max(1, _BLOCK // len(columns))
    for low in range(0, len(some), step):
        chosen = some[low : low + step]
        weights = [w[n] for n in chosen]
        parts = [list(map(column.__getitem__, chosen)) for column in columns]
        right = fmpz_mat(len(columns), len(chosen), list(chain.from_iterable(map(mul, x, weights) for x in parts)))
        total += fmpz_mat(len(columns), len(chosen), list(chain.from_iterable(parts))) * right.transpose()
    return total.tolist()


# ── curvature ──
def _semidefinite(P: list[list]) -> bool:
    """Whether the integer matrix P ⪰ 0 was proved; P ⪰ 3δ, P scaled to a diagonal in [1/4, 1], is sure to be (S15)."""
    from flint import fmpz, fmpz_mat

    n = len(P)
    # Rows and columns are scaled by 2^-h. Cholesky's method in double precision then errs by rows of less than
    # n γ_(n+1), the rounding of P and R by n 2^-53 and 2 n^1.5 2^-53 more; δ is no less than their sum.
    h = [(int(row[i]).bit_length() + 1) // 2 for i, row in enumerate(P)]
    delta, R = n * (n + 2) * 2.0**-52, []
    for i, row in enumerate(P):
        scaled = [int(x) / (1 << (h[i] + k)) for x, k in zip(row[: i + 1], h, strict=False)]
        found: list[float] = []
        for j in range(i):
            found.append((scaled[j] - sum(map(mul, found, R[j]))) / R[j][j])
        square = scaled[i] - delta - sum(map(mul, found, found))
        if not square > 0:
            return False
        R.append([*found, math.sqrt(square)])
    low = min(h)
    factor = fmpz_mat(
        [[*(round(x * 2.0**52) << (k - low) for x in r), *repeat(0, n - len(r))] for r, k in zip(R, h, strict=True)]
    )
    shift = 2 * (52 - low)
    left, right = fmpz(1) << max(shift, 0), fmpz(1) << max(-shift, 0)
    E = (fmpz_mat(P) * left - factor * factor.transpose() * right).tolist()
    weights = [fmpz(1) << (max(h) - k) for k in h]
    return all(2 * E[i][i] * weights[i] >= sum(map(mul, map(abs, E[i]), weights)) for i in range(n))


def _exactly_semidefinite(P: list[list[int]]) -> bool:
    """Elimination without fractions (Bareiss), for the small Laplacian: exact, at any rank."""
    P, before = [list(row) for row in P], 1
    for k, top in enumerate(P):
        if top[k] < 0 or (top[k] == 0 and any(top[k:])):
            return False
        if top[k] > 0:
            for i in range(k + 1, len(P)):
                P[i] = [(top[k] * x - P[i][k] * y) // before for x, y in zip(P[i], top, strict=True)]
            before = top[k]
    return True


def _check_curvature(stated: dict, rows: _Rows, kept: list[int], e: list[int], Y: list[list], P: int) -> Fraction:
    """μ of the witness, once it is proved to be a lower bound of the curvature (S14)."""
    C, K, b, pairs = len(Y[0]), len(kept), stated["weight_bits"], stated["pairs"]
    columns, mu = [rows.columns[d] for d in kept], _number(stated["mu"], "mu")
    _need(mu > 0 and -64 <= b <= 256, "curvature: mu must be > 0, and weight_bits in [-64, 256].")
    place, top = {n: k for k, n in enumerate(rows.numbers)}, max(e)
    sigma = [Fraction(2) ** -k for k in e]
    penalty = [rows.alpha[d] / C * x * x for d, x in zip(kept, sigma, strict=True)]
    unit = Fraction(2) ** (-b - 2 * top) / rows.Q**2
    shift = [top - k for k in e]

    def weighted(a: int, c: int, chosen: Iterable[int]) -> list[list]:
        """M_ab without the penalty, times Σ⁻¹ on both sides, in the given unit."""
        w = [0] * len(Y)
        for n in chosen:
            low = max(Y[n][a] - 1, 0) * max(Y[n][c] - 1, 0) * rows.s[n] // rows.s_unit
            w[n] = int(low >> (2 * P - b))
        M = _gram(columns, w)
        return [[x << (j + k) for x, k in zip(row, shift, strict=True)] for row, j in zip(M, shift, strict=True)]

    def proved(blocks: list[list[list[list]]], diagonals: list[list[list[Fraction]]]) -> bool:
        """Whether the matrix of blocks (in the given unit), plus the diagonals of its blocks, is semidefinite."""
        common = math.lcm(unit.denominator, *(h.denominator for line in diagonals for part in line for h in part))
        by, whole = int(unit * common), []
        for line, added in zip(blocks, diagonals, strict=True):
            for d in range(K):
                row = [x * by for block in line for x in block[d]]
                for j, part in enumerate(added):
                    row[j * K + d] += int(part[d] * common)
                whole.append(row)
        return _semidefinite(whole)

    if stated["method"] == "full" and pairs is None:
        M = {(a, c): weighted(a, c, range(len(Y))) for c in range(C) for a in range(c)}
        M |= {(c, a): block for (a, c), block in M.items()}
        blocks, diagonals = [], []
        for a in range(C - 1):
            whole = [
                [sum(x) for x in zip(*lines, strict=True)]
                for lines in zip(*(M[a, c] for c in range(C) if c != a), strict=True)
            ]
            blocks.append([whole if a == c else [[-x for x in row] for row in M[a, c]] for c in range(C - 1)])
            # Both the penalty and ‖V‖² are the form of I − 11ᵀ/C.
            diagonals.append([[(C * (a == c) - 1) * (h - mu / C) for h in penalty] for c in range(C - 1)])
        _need(proved(blocks, diagonals), "curvature: mu is not proved: the matrix is not shown to be semidefinite.")
        return mu
    _need(
        stated["method"] == "pairs" and bool(pairs), "curvature: the method must be 'full' or 'pairs' with its pairs."
    )
    laplacian = [[mu / C - mu * (a == c) for c in range(C)] for a in range(C)]
    seen = set()
    for pair in pairs:
        (a, c), numbers, m = (pair["classes"] + [0, 0])[:2], pair["rows"], _number(pair["m"], "m")
        fine = len(pair["classes"]) == 2 and 0 <= a < c < C and (a, c) not in seen and m > 0
        _need(fine, f"curvature: pair {pair['classes']!r:.40}: needs classes a < b < {C}, each pair once, and m > 0.")
        seen.add((a, c))
        if numbers is not None:
            rising = all(i < j for i, j in pairwise(numbers)) and all(n in place for n in numbers)
            _need(rising, f"curvature: pair {a}, {c}: rows must rise, and be samples of positive weight.")
        M = weighted(a, c, range(len(Y)) if numbers is None else [place[n] for n in numbers])
        fine = proved([[M]], [[[h - m for h in penalty]]])
        _need(fine, f"curvature: pair {a}, {c}: m is not proved: the matrix is not shown to be semidefinite.")
        for i, j, sign in ((a, a, 1), (c, c, 1), (a, c, -1), (c, a, -1)):
            laplacian[i][j] += sign * m
    common = math.lcm(*(x.denominator for row in laplacian for x in row))
    fine = _exactly_semidefinite([[int(x * common) for x in row[:-1]] for row in laplacian[:-1]])
    _need(fine, "curvature: mu is more than the graph of the pairs gives.")
    return mu


# ── the claims ──
def _witness(witness: dict, C: int, D: int) -> tuple[list[list[int]], list[list[int]]]:
    """Ŵ with a column for each column of X, and the dependences."""
    W, kept, e = witness["weights"], witness["columns"], witness["scaling"]
    dropped = _dependences(witness, D)
    _need(len(W) == C and all(len(row) == len(kept) for row in W), f"weights: need {C} rows of {len(kept)} integers.")
    _need(not any(map(sum, zip(*W, strict=True))), "weights: a column does not sum to 0 over the classes.")
    _need(len(e) == len(kept) > 0 and max(map(abs, e)) <= 2000, "scaling: needs an exponent a column, at most 2000.")
    fine = 0 <= witness["bits"] <= 1 << 16 and 32 <= witness["precision"] <= 1 << 16
    _need(fine, "bits and precision: must be in [0, 65536] and [32, 65536].")
    where = {d: k for k, d in enumerate(kept)}
    return [[row[where[d]] if d in where else 0 for d in range(D)] for row in W], dropped


def _ratio(x: Fraction) -> Any:
    from flint import arb, fmpq

    return arb(fmpq(x.numerator, x.denominator))


def _prove(claims: dict, witness: dict, rows: _Rows, sizes: Fraction) -> None:
    """Every claim, against what follows from the data and the witness; sizes ≥ max_n ‖x_n‖²."""
    C, D, P = len(rows.targets[0][0]), len(rows.columns), witness["precision"] + _GUARD
    stated = {name: _number(claims[name], name) for name in _LOWER + _UPPER}
    W, dropped = _witness(witness, C, D)
    kept, e, bits = witness["columns"], witness["scaling"], witness["bits"]
    _need(not dropped or not any(rows.alpha), "dropped: no column may be dropped under an L2 penalty.")
    point = _evaluate(rows, W, bits, dropped, P)
    mu = _check_curvature(witness["curvature"], rows, kept, e, point.Y, P)
    unit, total = Fraction(1, rows.Q * rows.s_unit << P), sum(rows.s)
    square = penalty = Fraction(0)
    for d, k in zip(kept, e, strict=True):
        column, weight = rows.columns[d], rows.alpha[d] / (1 << bits)
        # Each y is within 1, each rounded t too: 2 units of 2^-P in each term of the sum.
        error = 2 * unit * total * max(max(column), -min(column))
        g = [abs(unit * point.gradient[d][c] + weight * W[c][d]) + error for c in range(C)]
        square += sum(x * x for x in g) / Fraction(4) ** k
        penalty += weight * sum(row[d] ** 2 for row in W) / (2 << bits)
    norms = [0] * len(rows.s)
    for d, k in zip(kept, e, strict=True):
        squares = {x: x * x << 2 * (max(e) - k) for x in set(rows.columns[d])}
        norms = list(map(add, norms, map(squares.__getitem__, rows.columns[d])))
    beta2 = 2 * max(norms) / Fraction(4) ** max(e) / rows.Q**2
    beta = _ratio(beta2).sqrt()
    q = (_ratio(beta2 * square)).sqrt() / _ratio(mu)
    _need(bool(q < 1), f"q is {q.str(5)}, and only q < 1 proves that there is a minimiser (S13).")
    low, mu_low = Fraction(2) ** min(e), mu * Fraction(4) ** min(e)
    r = -(-q).log1p() / beta
    gap = _ratio(mu / beta2 / 2) * q * q / (1 - q)
    top = stated["curvature_upper"]
    _need(_is_above_curvature(top, rows, point.row_sums), "claims.curvature_upper is less than the data's bound (S7a).")
    curvature = _ratio(mu_low / top) * (1 - q)
    rho = (2 * _ratio(sizes)).sqrt() * r / _ratio(low)
    loss = point.loss + _ratio(penalty)
    proved = {
        "loss_lower": loss - gap,
        "loss_upper": loss,
        "q": q,
        "radius": r,
        "radius_euclidean": r / _ratio(low),
        "condition": 1 / curvature,
        "rate": 1 - curvature * (-rho).exp(),
        "curvature": _ratio(mu),
        "curvature_euclidean": _ratio(mu_low),
    }
    exact = {"curvature": mu, "curvature_euclidean": mu_low}
    for name, value in proved.items():
        claim = _ratio(stated[name])
        fine = stated[name] <= exact[name] if name in exact else claim <= value if name in _LOWER else claim >= value
        _need(bool(fine), f"claims.{name} is {claims[name]:.40}, and {value.str(12)} is what the data prove.")
    _need(stated["q"] < 1 and stated["rate"] < 1, "claims: q and rate must be < 1.")
    lower, digits = stated["loss_lower"], claims["digits"]
    _need(digits == 0 or (0 < digits <= 20000 and lower > 0), "claims.digits: must be 0, or > 0 with loss_lower > 0.")
    if digits:
        place = math.floor(math.log10(lower.numerator) - math.log10(lower.denominator))
        place += (lower >= Fraction(10) ** (place + 1)) - (lower < Fraction(10) ** place)
        fine = stated["loss_upper"] - lower <= Fraction(10) ** (place + 1 - digits)
        _need(fine, f"claims.digits is {digits}, and loss_lower and loss_upper differ by more.")


def _is_above_curvature(top: Fraction, rows: _Rows, row_sums: list[int] | None) -> bool:
    """Whether ½ min(trace, largest row sum of |XᵀSX|) + max α ≤ top (S7a)."""
    room = 2 * (top - max(rows.alpha)) * rows.Q**2 * rows.s_unit
    if row_sums and max(row_sums) <= room:
        return True
    if sum(sum(map(mul, map(mul, column, column), rows.s)) for column in rows.columns) <= room:
        return True
    return row_sums is None and max(sum(map(abs, row)) for row in _gram(rows.columns, rows.s)) <= room


def check(certificate: Any, data: Any, labels: Any = None) -> CheckedMinimiser:
    """Verify a certificate file about a data file.

    Args:
        certificate: path of the certificate.
        data: path of an exact dump, of a table as the certificate describes it, or of IDX images; or of these in gzip.
        labels: path of the IDX labels, where they are not beside the images.

    Returns:
        The claims, all proved (S7, S8, S13, S14, S15, S17).

    Raises:
        RefusedCertificate: the certificate does not prove a claim about these data.
        ValueError: a file cannot be read or used, or python-flint is missing.

    Example:
        >>> from jaxsoftmax.proof.check_minimiser import check
        >>> check("missing.json", "iris.csv")
        Traceback (most recent call last):
        ValueError: missing.json: cannot be read ([Errno 2] No such file or directory: 'missing.json'). Check...
    """
    path = Path(certificate)
    stated = read_certificate(path, "minimiser", _FORM)
    try:
        from flint import ctx
    except ImportError:
        raise ValueError("python-flint is missing, and proofs need it. Install it: pip install python-flint") from None
    about, claims, witness = stated["data"], stated["claims"], stated["witness"]
    found = load_data(about, Path(data), None if labels is None else Path(labels))
    rows = _rows(found)
    if about["C"] < 2:
        raise ValueError("certificate: one class leaves nothing to prove: the loss is constant.")
    selves = [Fraction(line.split(" ")[1]) ** 2 for line in found.regularizers if line.startswith("self")]
    sizes = max([*selves, found.intercept + sum(Fraction(c.size, c.denominator) ** 2 for c in found.columns)])
    with ctx.workprec(max(0, min(witness["precision"], 1 << 16)) + 2 * _GUARD):
        _prove(claims, witness, rows, sizes)
    kept = len(witness["columns"])
    size = f"{about['N']} samples, {about['D']} columns{' and an intercept' * found.intercept}, {about['C']} classes"
    method = {"full": "all pairs of classes at once", "pairs": "a graph of pairs of classes"}
    lines = (
        f"data: {Path(data).name}: {size}; numbers read as {about['numbers']}s",
        f"table: {about['table']}; smoothing: {about['smoothing']}",
        f"regularizers: {', '.join(found.regularizers) or 'none'}",
        f"sha256: {about['sha256']}",
        f"L* is in [{claims['loss_lower']},",
        f"         {claims['loss_upper']}]: {claims['digits']} digits (S13, q ≤ {claims['q']})",
        f"‖W* − Ŵ‖ ≤ {claims['radius_euclidean']}, {claims['radius']} in the scaled norm; {kept} independent columns",
        f"curvature ≥ {claims['curvature_euclidean']} ({claims['curvature']} scaled) at Ŵ, by "
        f"{method[witness['curvature']['method']]} (S14, S15); ≤ {claims['curvature_upper']} everywhere (S7a)",
        f"condition ≤ {claims['condition']} in the ball (S8); gradient descent from Ŵ contracts by {claims['rate']} (S17)",
    )
    return CheckedMinimiser(claims, lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Check the files of a command line; 0: verified, 1: refused, 2: the input cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("certificate")
    parser.add_argument("data", help="an exact dump, a table of text, or IDX images; each may be compressed by gzip")
    parser.add_argument("--labels", help="the IDX file of the labels, where it is not beside the images")
    options = parser.parse_args(argv)
    try:
        sys.stdout.write(f"{check(options.certificate, options.data, options.labels)}\n")
    except ValueError as error:
        refused = isinstance(error, RefusedCertificate)
        sys.stderr.write(f"{'REFUSED' if refused else 'ERROR'}: {error}\n")
        return 1 if refused else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
