"""Certificates of minimisers of tiny problems, made from the specification in 60 digits (mpmath), not by the library.

Newton's method, the eigenvalues of the Hessian in a Helmert basis (S6) and of the matrices of pairs (S14), S13: every
number is worked out by a formula that the checker does not use.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from fractions import Fraction
from typing import Any

from mpmath import eigsy, log, log1p, lu_solve, matrix, mp, mpf, sqrt

from helpers.certificates.certificates import Tiny

DIGITS = 60
BITS = 160
PRECISION = 200
WEIGHT_BITS = 24
ROOM = mpf(10) ** -9  # by which claims are rounded to their safe side


def real(x: Any) -> mpf:
    x = Fraction(x)
    return mpf(x.numerator) / x.denominator


@dataclasses.dataclass
class Exact:
    """The rows of the loss as rationals: active samples, then those of S21(d); `numbers` as certificates index them."""

    X: list[list[Fraction]]
    T: list[list[Fraction]]
    s: list[Fraction]
    alpha: list[Fraction]
    numbers: list[int]


def exact(tiny: Tiny) -> Exact:
    weights = [Fraction(w) for w in tiny.weights or [1] * len(tiny.X)]
    active = [n for n, w in enumerate(weights) if w > 0]
    X = [[Fraction(x) for x in tiny.X[n]] + [Fraction(1)] * tiny.intercept for n in active]
    T = [[Fraction(t) for t in tiny.T[n]] for n in active]
    s, D, C = [weights[n] for n in active], len(X[0]), len(T[0])
    alpha, numbers = [Fraction(0)] * D, list(active)
    for line in tiny.regularizers:
        name, strength, *flag = line.split(" ")
        if name == "l2":
            alpha = [a + Fraction(strength) * (d < len(tiny.X[0]) or flag == ["1"]) for d, a in enumerate(alpha)]
        else:
            numbers += range(len(tiny.X) + len(X) - len(active), len(tiny.X) + len(X) - len(active) + D)
            X += [[Fraction(strength) * (d == e) for e in range(D)] for d in range(D)]
            T += [[Fraction(1, C)] * C] * D
            s += [Fraction(1)] * D
    return Exact(X, T, s, alpha, numbers)


def probabilities(rows: Exact, W: list[list[mpf]], kept: list[int]) -> tuple[mpf, list[list[mpf]]]:
    """The loss and Y (S1), textbook formulas."""
    loss, Y = mpf(0), []
    for x, t, s in zip(rows.X, rows.T, rows.s, strict=True):
        z = [sum(w * real(x[d]) for w, d in zip(row, kept, strict=True)) for row in W]
        whole = sum(map(mp.exp, z))
        Y.append([mp.exp(v) / whole for v in z])
        loss += real(s) * (log(whole) - sum(real(p) * v for p, v in zip(t, z, strict=True)))
    loss += sum(real(rows.alpha[d]) * w * w for row in W for w, d in zip(row, kept, strict=True)) / 2
    return loss, Y


def gradient(rows: Exact, W: list[list[mpf]], Y: list[list[mpf]], kept: list[int]) -> list[list[mpf]]:
    return [
        [
            sum(
                real(s) * (y[c] - real(t[c])) * real(x[d]) for x, t, s, y in zip(rows.X, rows.T, rows.s, Y, strict=True)
            )
            + real(rows.alpha[d]) * W[c][k]
            for k, d in enumerate(kept)
        ]
        for c in range(len(W))
    ]


def helmert(C: int) -> list[list[mpf]]:
    """C − 1 orthonormal rows, orthogonal to 1."""
    rows = []
    for k in range(1, C):
        r = sqrt(mpf(k * (k + 1)))
        rows.append([1 / r] * k + [-k / r] + [mpf(0)] * (C - k - 1))
    return rows


def hessian(rows: Exact, pairs: dict, kept: list[int], C: int, e: list[int]) -> matrix:
    """(S4) in Helmert's basis and scaled by Σ⁻¹; pairs[a, b](n) is the weight of a sample, s y_a y_b or less."""
    Q, K = helmert(C), len(kept)
    H = matrix((C - 1) * K, (C - 1) * K)
    for (a, b), weight in pairs.items():
        for n, x in enumerate(rows.X):
            w = weight(n)
            u = [[(q[a] - q[b]) * real(x[d]) / mpf(2) ** k for d, k in zip(kept, e, strict=True)] for q in Q]
            flat = [v for part in u for v in part]
            for i, v in enumerate(flat):
                for j, other in enumerate(flat):
                    H[i, j] += w * v * other
    for i in range((C - 1) * K):
        H[i, i] += real(rows.alpha[kept[i % K]]) / mpf(4) ** e[i % K]
    return H


def least(H: matrix) -> mpf:
    return min(eigsy(H, eigvals_only=True))


def newton(rows: Exact, kept: list[int]) -> list[list[mpf]]:
    """The minimiser modulo the gauge, on the columns kept."""
    C, K = len(rows.T[0]), len(kept)
    Q, W = helmert(C), [[mpf(0)] * K for _ in range(C)]
    for _ in range(60):
        _, Y = probabilities(rows, W, kept)
        G = gradient(rows, W, Y, kept)
        pairs = {
            (a, b): lambda n, a=a, b=b, Y=Y: real(rows.s[n]) * Y[n][a] * Y[n][b] for b in range(C) for a in range(b)
        }
        H = hessian(rows, pairs, kept, C, [0] * K)
        g = matrix([sum(q[c] * G[c][k] for c in range(C)) for q in Q for k in range(K)])
        step = lu_solve(H, -g)
        size = max(map(abs, step))
        damp = mpf(1) / max(1, size)
        W = [
            [W[c][k] + damp * sum(Q[i][c] * step[i * K + k] for i in range(C - 1)) for k in range(K)] for c in range(C)
        ]
        if size < mpf(10) ** (-DIGITS // 2 - 2):
            return W
    raise AssertionError("Newton's method did not converge; has the problem a minimiser?")


def text(x: mpf, up: bool, absolute: mpf | None = None) -> str:
    """A decimal on the safe side."""
    moved = x + (1 if up else -1) * (absolute if absolute is not None else abs(x) * ROOM)
    return mp.nstr(moved, 50)


def dyadic(x: mpf) -> Fraction:
    """At most x, by about ROOM; x is a curvature."""
    if x < mpf(10) ** -20:
        raise ValueError(f"the curvature {x} may be 0")
    k = 60 - math.floor(mp.log(x, 2))
    return Fraction(int(mp.floor(x * (1 - ROOM) * mpf(2) ** k))) / Fraction(2) ** k


@dataclasses.dataclass
class Options:
    method: str = "full"
    kept: list[int] | None = None
    dropped: list[dict] = dataclasses.field(default_factory=list)
    scaling: list[int] | None = None
    tree: list[tuple[int, int]] | None = None
    rows: dict = dataclasses.field(default_factory=dict)
    nudge: Fraction = Fraction(0)  # Ŵ is moved by so much: the certificate of a poorer Ŵ


def certify(tiny: Tiny, options: Options | None = None) -> dict[str, Any]:
    """The certificate, every claim as sharp as ROOM allows."""
    options = options or Options()
    with mp.workdps(DIGITS):
        return _certify(tiny, options)


def _certify(tiny: Tiny, options: Options) -> dict[str, Any]:
    rows = exact(tiny)
    C, D = len(rows.T[0]), len(rows.X[0])
    kept = options.kept or list(range(D))
    K, e = len(kept), options.scaling or [0] * len(kept)
    W = newton(rows, kept)
    integers = [[int(mp.nint(w * mpf(2) ** BITS)) for w in row] for row in W]
    integers[0][0] += int(options.nudge * 2**BITS)
    integers[-1] = [-sum(row[k] for row in integers[:-1]) for k in range(K)]
    W = [[mpf(w) / mpf(2) ** BITS for w in row] for row in integers]
    loss, Y = probabilities(rows, W, kept)
    sigma = [mpf(2) ** k for k in e]
    G = gradient(rows, W, Y, kept)
    g = sqrt(sum((v / r) ** 2 for row in G for v, r in zip(row, sigma, strict=True)))
    beta = sqrt(2 * max(sum((real(x[d]) / r) ** 2 for d, r in zip(kept, sigma, strict=True)) for x in rows.X))

    def grid(a: int, b: int, chosen: list[int] | None) -> Any:
        def weight(n: int) -> mpf:
            if chosen is not None and rows.numbers[n] not in chosen:
                return mpf(0)
            low = real(rows.s[n]) * Y[n][a] * Y[n][b] - mpf(2) ** -100
            return mp.floor(max(low, 0) * mpf(2) ** WEIGHT_BITS) / mpf(2) ** WEIGHT_BITS

        return weight

    if options.method == "full":
        every = {(a, b): grid(a, b, None) for b in range(C) for a in range(b)}
        mu, pairs = dyadic(least(hessian(rows, every, kept, C, e))), None
    else:
        pairs, laplacian = [], matrix(C, C)
        for a, b in options.tree or [(c, c + 1) for c in range(C - 1)]:
            M, weight = matrix(K, K), grid(a, b, options.rows.get((a, b)))
            for n, x in enumerate(rows.X):
                u = [real(x[d]) / r for d, r in zip(kept, sigma, strict=True)]
                for i in range(K):
                    for j in range(K):
                        M[i, j] += weight(n) * u[i] * u[j]
            for i, d in enumerate(kept):
                M[i, i] += real(rows.alpha[d]) / C / sigma[i] ** 2
            m = dyadic(least(M))
            pairs.append({"classes": [a, b], "rows": options.rows.get((a, b)), "m": str(m)})
            for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
                laplacian[i, j] += sign * real(m)
        mu = dyadic(sorted(eigsy(laplacian, eigvals_only=True))[1])
    m, low = real(mu), min(sigma)
    q = beta * g / m
    r = -log1p(-q) / beta
    gap = m / beta**2 * q**2 / 2 / (1 - q)
    S = [
        [sum(real(s) * real(x[i] * x[j]) for x, s in zip(rows.X, rows.s, strict=True)) for j in range(D)]
        for i in range(D)
    ]
    trace, row = sum(S[d][d] for d in range(D)), max(sum(map(abs, line)) for line in S)
    Lambda = min(trace, row) / 2 + max(map(real, rows.alpha))
    upper = mpf(text(Lambda, True))
    rho = sqrt(2 * sum(max(abs(real(x[d])) for x in rows.X) ** 2 for d in range(D))) * r / low
    curvature = m * low**2 * (1 - q) / upper
    spare = abs(loss) * mpf(10) ** -40
    lower, higher = text(loss - gap, False, spare), text(loss, True, spare)
    difference = mpf(higher) - mpf(lower)
    digits = max(0, math.floor(mp.log10(mpf(lower))) + 1 - math.ceil(mp.log10(difference)))
    claims = {
        "loss_lower": lower,
        "loss_upper": higher,
        "digits": digits,
        "q": text(q, True),
        "radius": text(r, True),
        "radius_euclidean": text(r / low, True),
        "curvature": text(m, False),
        "curvature_euclidean": text(m * low**2, False),
        "curvature_upper": text(Lambda, True),
        "condition": text(1 / curvature, True),
        "rate": text(1 - curvature * mp.exp(-rho), True, curvature * ROOM),
    }
    return {
        "format": "jaxsoftmax-minimiser",
        "version": 1,
        "made_by": "hand",
        "data": tiny.data(),
        "claims": claims,
        "witness": {
            "bits": BITS,
            "weights": [[hex(w) for w in row] for row in integers],
            "columns": kept,
            "dropped": options.dropped,
            "scaling": e,
            "precision": PRECISION,
            "curvature": {"method": options.method, "weight_bits": WEIGHT_BITS, "pairs": pairs, "mu": str(mu)},
        },
    }


# ── small problems with minimisers, of every kind ──
HOT = {c: [int(c == k) for k in "abc"] for c in "abc"}
OVERLAP = [[0], [1], [2], [3], [1], [2]], [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]
PLANE = [["0.1", -2], ["1.3", 0], ["0.7", 1], [-1, "2.5"], ["-0.4", 1], [2, -1], ["0.3", "0.3"]]
SOFT = [
    *(["1/2", "1/3", "1/6"], ["1/5", "1/5", "3/5"], ["1/10", "4/5", "1/10"], ["1/7", "2/7", "4/7"]),
    *(["1/3", "1/3", "1/3"], ["3/4", "1/8", "1/8"], ["1/9", "7/9", "1/9"]),
]


def _dependent() -> Tiny:
    """Columns x, 2x + 1/3, 0, y: with the intercept the second depends on the first, and the third is 0."""
    X = [[x, 2 * Fraction(x) + Fraction(1, 3), 0, y] for x, y in PLANE]
    return Tiny(X, SOFT, label_smoothing=None)


DEPENDENT = [
    {"column": 1, "denominator": 3, "entries": [[0, 6], [4, 1]]},
    {"column": 2, "denominator": 1, "entries": []},
]
CASES: dict[str, tuple[Tiny, Options]] = {
    "two classes": (Tiny(*OVERLAP, label_smoothing=None), Options()),
    "a pair": (Tiny(*OVERLAP, label_smoothing=None), Options("pairs", scaling=[1, -1])),
    "soft": (Tiny(PLANE, SOFT, label_smoothing=None), Options(scaling=[0, 1, 0])),
    "a tree": (Tiny(PLANE, SOFT, label_smoothing=None), Options("pairs", tree=[(0, 2), (1, 2)], scaling=[0, 1, -1])),
    "all pairs": (Tiny(PLANE, SOFT, label_smoothing=None), Options("pairs", tree=[(0, 1), (0, 2), (1, 2)])),
    "some rows": (
        Tiny(PLANE, SOFT, label_smoothing=None),
        Options("pairs", rows={(0, 1): [0, 1, 3, 5, 6], (1, 2): [0, 2, 3, 4]}),
    ),
    "weights": (
        Tiny(PLANE, SOFT, label_smoothing=None, weights=["1/2", 0, 3, "2/3", 1, 1, 5]),
        Options("pairs", rows={(1, 2): [0, 2, 3, 4, 6]}),
    ),
    "no intercept": (Tiny(PLANE, SOFT, label_smoothing=None, intercept=False), Options()),
    "L2": (
        Tiny([[0], [1], [2]], [[1, 0], [0, 1], [0, 1]], label_smoothing=None, regularizers=["l2 1/10 0"]),
        Options(scaling=[2, -1]),
    ),
    "L2 on everything": (
        Tiny(PLANE, [HOT[c] for c in "abcabcc"], label_smoothing=None, regularizers=["l2 1/3 0", "l2 1/7 1"]),
        Options("pairs", tree=[(0, 1), (0, 2), (1, 2)], scaling=[1, 0, -1]),
    ),
    "self": (
        Tiny(PLANE[:3], [HOT[c] for c in "aba"], label_smoothing=None, regularizers=["self -1/2"]),
        Options("pairs", rows={(1, 2): [0, 1, 3, 4, 5]}),
    ),
    "two selves and L2": (
        Tiny(
            [[0], [1], [2]],
            [HOT[c] for c in "abb"],
            label_smoothing=None,
            regularizers=["self 1/3", "l2 1/5 0", "self 2"],
        ),
        Options(),
    ),
    "dependent columns": (_dependent(), Options(kept=[0, 3, 4], dropped=DEPENDENT, scaling=[0, 1, -1])),
    "dependent columns, pairs": (_dependent(), Options("pairs", kept=[0, 3, 4], dropped=DEPENDENT)),
    "a poorer point": (Tiny(PLANE, SOFT, label_smoothing=None), Options(nudge=Fraction(1, 1000))),
}


@functools.cache
def made(name: str) -> tuple[Tiny, str]:
    """The problem of a case and its certificate, as text."""
    tiny, options = CASES[name]
    return tiny, json.dumps(certify(tiny, options))
