"""Corrupts certificates of minimisers and their data files, and says whether what the checker then accepts is true.

The certificates are those of minimisers.py about random small problems. Where the data change, the hash is
recomputed in half of the cases, so that the mathematics has to refuse. An accepted certificate is true when each claim
is true of the minimiser, the Hessian and the gradient that mpmath finds in 60 digits for the corrupted data.
"""

from __future__ import annotations

import copy
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpmath import eigsy, mp, mpf, sqrt

from helpers.certificates import corruptions
from helpers.certificates.certificates import Tiny
from helpers.certificates.corruptions import Base, Trial, integer
from helpers.certificates.minimisers import (
    DIGITS,
    Options,
    certify,
    exact,
    gradient,
    hessian,
    newton,
    probabilities,
    real,
)
from jaxsoftmax.proof.checkers.check_minimiser import check


# ── the certificates ──
def problem(draw: random.Random) -> tuple[Tiny, Options]:
    """Soft or, under a regulariser, hard targets, so that there is a minimiser; perhaps weights, dependent columns."""
    N, D, C = draw.randint(3, 8), draw.randint(1, 2), draw.randint(2, 3)
    unit = draw.choice((1, 2, 10))
    X = [[Fraction(draw.randint(-3 * unit, 3 * unit), unit) for _ in range(D)] for _ in range(N)]
    lines = draw.choice(([], [], ["l2 1/10 1"], ["l2 2 1", "l2 1/3 0"], ["self 1/2"], ["self -2", "l2 1/7 0"]))
    if lines and draw.random() < 0.6:
        T = [[int(j == k) for j in range(C)] for k in (draw.randrange(C) for _ in range(N))]
    else:
        counts = [[draw.randint(1, 5) for _ in range(C)] for _ in range(N)]
        T = [[Fraction(k, sum(row)) for k in row] for row in counts]
    weights = [draw.choice((0, 1, 1, 2, Fraction(1, 3))) for _ in range(N)] if draw.random() < 0.4 else None
    options = Options(draw.choice(("full", "pairs")))
    if not lines and draw.random() < 0.4:
        factor, more = draw.randint(-2, 2), Fraction(draw.randint(-3, 3), 2)
        X = [[*row, factor * row[0] + more] for row in X]
        entries = [[d, int(2 * p)] for d, p in ((0, factor), (D + 1, more)) if p]
        options.kept, options.dropped = [*range(D), D + 1], [{"column": D, "denominator": 2, "entries": entries}]
    columns = len(options.kept or X[0]) + (not options.kept)
    options.scaling = [draw.randint(-1, 1) for _ in range(columns)]
    tiny = Tiny(X, T, label_smoothing=None, weights=weights, regularizers=lines)
    if options.method == "pairs" and draw.random() < 0.5:
        some = exact(tiny).numbers
        options.rows = {(0, 1): sorted(draw.sample(some, max(len(some) - 1, 1)))}
    return tiny, options


def base(seed: int) -> Base | None:
    """The certificate of a random problem; None where some curvature is 0 (few samples, dependent columns)."""
    tiny, options = problem(random.Random(seed))
    try:
        certificate = certify(tiny, options)
    except (ZeroDivisionError, ValueError, AssertionError):
        return None
    return Base(certificate, tiny.dump().split("\n"))


# ── the truth ──
def untrue(certificate: dict, lines: list[str]) -> str:
    """Which claim of an accepted certificate is not true of these data; empty when all are."""
    tiny = corruptions.read(lines, certificate["data"])
    if certificate["data"] != tiny.data() | {"table": certificate["data"]["table"]}:
        return "the certificate's data are not those of the file"
    with mp.workdps(DIGITS):
        return _untrue(certificate["claims"], certificate["witness"], tiny)


def _untrue(claims: dict, witness: dict, tiny: Tiny) -> str:
    rows, kept, e = exact(tiny), witness["columns"], witness["scaling"]
    C, everything = len(rows.T[0]), list(range(len(rows.X[0])))
    for entry in witness["dropped"]:
        for x in rows.X:
            p = sum(integer(p) * x[i] for i, p in entry["entries"])
            if p != integer(entry["denominator"]) * x[entry["column"]]:
                return "a dropped column is not dependent"
    W = [[mpf(integer(w)) / mpf(2) ** witness["bits"] for w in row] for row in witness["weights"]]
    star = newton(rows, kept)
    loss, _ = probabilities(rows, star, kept)
    _, Y = probabilities(rows, W, kept)
    number = {name: real(Fraction(text)) for name, text in claims.items()}
    sigma = [mpf(2) ** k for k in e]
    apart = [[(a - b) for a, b in zip(r, s, strict=True)] for r, s in zip(W, star, strict=True)]
    scaled = sqrt(sum((v * x) ** 2 for row in apart for v, x in zip(row, sigma, strict=True)))
    plain = sqrt(sum(v**2 for row in apart for v in row))
    pairs = {(a, b): lambda n, a=a, b=b: real(rows.s[n]) * Y[n][a] * Y[n][b] for b in range(C) for a in range(b)}
    mu = min(eigsy(hessian(rows, pairs, kept, C, e), eigvals_only=True))
    flat = min(eigsy(hessian(rows, pairs, kept, C, [0] * len(kept)), eigvals_only=True))
    top = max(eigsy(hessian(rows, pairs, everything, C, [0] * len(everything)), eigvals_only=True))
    g = sqrt(sum((v / x) ** 2 for row in gradient(rows, W, Y, kept) for v, x in zip(row, sigma, strict=True)))
    beta = sqrt(2 * max(sum((real(x[d]) / k) ** 2 for d, k in zip(kept, sigma, strict=True)) for x in rows.X))
    width = number["loss_upper"] - number["loss_lower"]
    wrong = {
        "loss": not number["loss_lower"] <= loss <= number["loss_upper"],
        "digits": claims["digits"] > 0 and width > 10 * number["loss_lower"] / mpf(10) ** claims["digits"],
        "q": not beta * g / mu <= number["q"] < 1,
        "radius": scaled > number["radius"],
        "radius_euclidean": plain > number["radius_euclidean"],
        "curvature": number["curvature"] > mu,
        "curvature_euclidean": number["curvature_euclidean"] > flat,
        "curvature_upper": number["curvature_upper"] < top,
        "condition": number["condition"] < top / flat,
        "rate": not 1 - flat / number["curvature_upper"] <= number["rate"] < 1,
    }
    return ", ".join(name for name, false in wrong.items() if false)


# ── the corruptions ──
def one_more_or_less(draw, certificate, lines):
    step = draw.choice((-1, 1))
    return corrupt_integer(draw, certificate, lambda value: value + step)


def a_sign(draw, certificate, lines):
    return corrupt_integer(draw, certificate, lambda value: -value)


def a_zero(draw, certificate, lines):
    return corrupt_integer(draw, certificate, lambda value: 0)


def a_number_of_another_type(draw, certificate, lines):
    other = draw.choice((True, None, 0.5, "1", "0X1", [], {}, "1e3"))
    return corrupt_integer(draw, certificate, lambda value: other)


def corrupt_integer(draw: random.Random, certificate: dict, function: Any) -> bool:
    """Any part of the witness with the same chance, and one of its integers."""
    parts = [part for part in certificate["witness"] if corruptions.places(certificate["witness"][part])]
    part = draw.choice(parts)
    inside = {part: certificate["witness"][part]}
    corruptions.change(inside, draw.choice(corruptions.places(inside)), function)
    certificate["witness"][part] = inside[part]
    return True


def weights_moved(draw, certificate, lines):
    """The same for all is no corruption of the sums; a small move may be within what is claimed."""
    W, power = certificate["witness"]["weights"], draw.choice((0, 1, 5, 20, 100, 150, 160))
    a, b = draw.sample(range(len(W)), 2)
    k = draw.randrange(len(W[0]))
    W[a][k], W[b][k] = hex(integer(W[a][k]) + 2**power), hex(integer(W[b][k]) - 2**power)
    return True


def weights_of_two_classes_exchanged(draw, certificate, lines):
    W = certificate["witness"]["weights"]
    a, b = draw.sample(range(len(W)), 2)
    W[a], W[b] = W[b], W[a]
    return True


def weights_scaled(draw, certificate, lines):
    certificate["witness"]["bits"] += draw.choice((-1, 1))
    return True


def a_rational(draw, certificate, lines):
    """Of μ and the m of pairs, more or less."""
    curvature = certificate["witness"]["curvature"]
    holder, key = draw.choice([(curvature, "mu"), *((pair, "m") for pair in curvature["pairs"] or [])])
    holder[key] = str(Fraction(holder[key]) * (1 + draw.choice((-1, 1, 1)) * Fraction(1, 10 ** draw.randint(0, 7))))
    return True


def a_claim(draw, certificate, lines):
    """Any of them, to its safe or unsafe side, by a lot or by little."""
    key = draw.choice(sorted(set(certificate["claims"]) - {"digits"}))
    value, move = Fraction(certificate["claims"][key]), draw.choice((-1, 1)) * Fraction(1, 10 ** draw.randint(0, 12))
    moved = 1 - (1 - value) * (1 - move) if key == "rate" else value * (1 + move)
    if "loss" in key:
        moved = value + move / 10 ** draw.choice((0, 10, 20, 28))
    certificate["claims"][key] = str(moved)
    return True


def digits(draw, certificate, lines):
    certificate["claims"]["digits"] += draw.choice((-1, 1, 2))
    return True


def two_claims_exchanged(draw, certificate, lines):
    a, b = draw.sample(sorted(set(certificate["claims"]) - {"digits"}), 2)
    claims = certificate["claims"]
    claims[a], claims[b] = claims[b], claims[a]
    return True


def the_method(draw, certificate, lines):
    curvature = certificate["witness"]["curvature"]
    C = certificate["data"]["C"]
    if curvature["method"] == "full":
        pairs = [{"classes": [c, c + 1], "rows": None, "m": curvature["mu"]} for c in range(C - 1)]
        curvature.update(method="pairs", pairs=pairs)
    else:
        curvature.update(method="full", pairs=None)
    return True


def the_pairs(draw, certificate, lines):
    pairs = certificate["witness"]["curvature"]["pairs"]
    if not pairs:
        return False
    pair = draw.choice(pairs)
    what = draw.randrange(5)
    if what == 0:
        pairs.remove(pair)
    elif what == 1:
        pairs.append(copy.deepcopy(pair))
    elif what == 2:
        pair["classes"] = draw.choice(([0, 2], [1, 2], [0, 1], pair["classes"][::-1]))
    elif what == 3:
        pair["rows"] = None
    else:
        N = certificate["data"]["N"]
        pair["rows"] = sorted(draw.sample(range(N), draw.randint(1, N)))
    return True


def a_dependence(draw, certificate, lines):
    dropped = certificate["witness"]["dropped"]
    if not dropped:
        return False
    what = draw.randrange(3)
    if what == 0:
        dropped.pop()
    elif what == 1 and dropped[0]["entries"]:
        dropped[0]["entries"].pop()
    else:
        dropped[0]["entries"].append([draw.randrange(3), draw.choice((-1, 0, 1))])
    return True


OF_THE_CERTIFICATE = (
    *(one_more_or_less, one_more_or_less, a_sign, a_zero, a_number_of_another_type),
    *(weights_moved, weights_moved, weights_of_two_classes_exchanged, weights_scaled),
    *(a_rational, a_rational, a_claim, a_claim, a_claim, digits, two_claims_exchanged),
    *(the_method, the_pairs, the_pairs, a_dependence),
    *(corruptions.the_description_of_the_data, corruptions.another_hash),
)


def trial(seed: int, found: Base, folder: Path) -> Trial | None:
    """One corruption of a valid certificate; None where the one drawn does not apply or changes nothing."""
    return corruptions.attempt(seed, found, folder, OF_THE_CERTIFICATE, check, untrue)
