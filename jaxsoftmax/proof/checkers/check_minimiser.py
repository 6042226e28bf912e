"""Checks a certificate of js.certify against its data, by the standard library and python-flint (FLINT, Arb) alone.

Run ``python check_minimiser.py CERTIFICATE DATA [--labels FILE]``: it ends with 0 when every claim is proved, 1 when
one is not, 2 when the input cannot be used, 74 when the report cannot be written. Beside it lie check_existence.py,
which reads the JSON and the data, check_samples.py, which makes integers of them, and check_curvature.py, which proves
μ (S14, S15).

The problem. L(W) = Σ_n s_n [lse(W x_n) − t_nᵀ W x_n] + ½ Σ_d α_d ‖W_·d‖² (S1, S21a), modulo the gauge: 1ᵀW = 0. Columns
of X that are combinations of the others are dropped, for the logits do not need them: if V is in the row space of X and
V' on the columns kept has the same logits, ‖V‖ ≤ ‖V'‖, so bounds for V' hold for V.

S13. The witness Ŵ is exact. For powers of two σ_d let ‖V‖_Σ² = Σ (V_cd σ_d)², ‖g‖_*² = Σ (g_cd/σ_d)² where g = ∇L(Ŵ),
β² = 2 max_n Σ_d (x_nd/σ_d)², and D²L(Ŵ)[V, V] ≥ μ ‖V‖_Σ² on {1ᵀV = 0}. If q = β‖g‖_*/μ < 1 there is a minimiser W*,
unique up to the null space (S6), ‖W* − Ŵ‖_Σ ≤ r = −log(1 − q)/β, and 0 ≤ L(Ŵ) − L(W*) ≤ (μ/β²)(q + (1 − q) log(1 −
q)), which is at most (μ/β²) q²/(2 − 2q).

S8. In that ball the Hessian is at least e^(−βr) = 1 − q times that at Ŵ. Gradient descent from Ŵ with step 1/Λ, where
no curvature exceeds Λ (S7a), comes nearer to W* at every step. It stays within R = r/min σ of W*, where the Hessian is
at least e^(−ρ) times that at W*, ρ = √2 R max_n ‖x_n‖: it contracts by 1 − μ min σ² (1 − q) e^(−ρ)/Λ a step (S17).
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from operator import add, mul
from pathlib import Path
from typing import Any, NamedTuple

if __package__:
    from .check_curvature import check_curvature, is_above_curvature
    from .check_existence import DATA_FORM, CheckedProblem, described, load_data, read_certificate, run
    from .check_samples import SampleIntegers, blocks_of_samples, require, samples_of
else:
    try:
        from check_curvature import check_curvature, is_above_curvature
        from check_existence import DATA_FORM, CheckedProblem, described, load_data, read_certificate, run
        from check_samples import SampleIntegers, blocks_of_samples, require, samples_of
    except ImportError as error:
        sys.stderr.write(
            f"ERROR: {error}. check_existence.py, check_samples.py, check_curvature.py belong beside it.\n"
        )
        sys.exit(2)

_ABOVE = ("loss_upper", "q", "radius", "radius_euclidean", "curvature_upper", "condition", "rate")
_BELOW = ("loss_lower", "curvature", "curvature_euclidean")
_FORM = {
    "format": str,
    "version": int,
    "made_by": str,
    "data": DATA_FORM,
    "claims": {**dict.fromkeys(_BELOW + _ABOVE, str), "digits": int},
    "witness": {
        "bits": int,
        "weights": [["integer"]],
        "columns": [int],
        "dropped": [{"column": int, "denominator": "integer", "entries": [["integer"]]}],
        "scaling": [int],
        "precision": int,
        "curvature": {
            "method": str,
            "weight_bits": int,
            "pairs": (None, [{"classes": [int], "rows": (None, ["integer"]), "m": str}]),
            "mu": str,
        },
    },
}
_GUARD = 32  # bits beyond the witness's precision: probabilities to 2^-(precision + 32), Arb at precision + 64
# Limits, checked before any work. A digit needs 3.4 bits, the conditioning of the problem some more.
_MOST_BITS, _BITS_A_DIGIT, _MOST_DIGITS = 1 << 13, 8, 4000
_MOST_LENGTH = 1 << 12  # bits of a weight before the point
_MOST_PROBABILITIES = 1 << 36  # bits of all of them
_MOST_DEPENDENCE = 1 << 43  # entries of X times bits of the dropped columns' coefficients


@dataclass(frozen=True)
class CheckedMinimiser(CheckedProblem):
    """Claims that were proved, by their names in the certificate."""

    claims: dict[str, Any]


class _Point(NamedTuple):
    """At Ŵ: the loss, a ball; integers Y within 1 of 2^P y; those of 2^P ∇L, times Q and the unit of the weights."""

    loss: Any
    Y: list[list]
    gradient: list[list[int]]
    row_sums: list[int]  # of XᵀSX in its integers


def _number(text: str, name: str) -> Fraction:
    """A decimal number or a ratio, exactly."""
    decimal, ratio = r"-?\d+(\.\d+)?(e[+-]?\d{1,4})?", r"-?\d+/0*[1-9]\d*"
    if len(text) > 4000 or not re.fullmatch(f"{decimal}|{ratio}", text, re.ASCII | re.IGNORECASE):
        raise ValueError(f"certificate: {name} is {text!r:.60}; it must be a decimal number or p/q.")
    return Fraction(text)


def _ball(x: Fraction) -> Any:
    from flint import arb, fmpq

    return arb(fmpq(x.numerator, x.denominator))


# ── the witness ──
def _check_sizes(witness: dict, digits: int, C: int, N: int) -> None:
    """The check takes no longer than the digits claimed need it."""
    most, P, W = _MOST_BITS + _BITS_A_DIGIT * digits, witness["precision"], witness["weights"]
    fine = 0 <= witness["bits"] <= most and 32 <= P <= most
    require(fine, f"bits and precision: must be in [0, {most}] and [32, {most}] for {digits} digits.")
    longest = max((abs(w) for row in W for w in row), default=0).bit_length()
    fine = longest <= witness["bits"] + _MOST_LENGTH and N * C * (P + 512) <= _MOST_PROBABILITIES
    require(fine, f"bits and precision: {longest} bits of a weight, and {P} of {N} x {C} probabilities are too many.")


def _weights(witness: dict, C: int, D: int) -> list[list[int]]:
    """Ŵ 2^bits, a row a class and a column a column of X."""
    W, kept, e = witness["weights"], witness["columns"], witness["scaling"]
    require(len(W) == C and all(len(row) == len(kept) for row in W), f"weights: need {C} rows of {len(kept)} integers.")
    require(not any(map(sum, zip(*W, strict=True))), "weights: a column does not sum to 0 over the classes.")
    require(kept and len(e) == len(kept) and max(map(abs, e)) <= 2000, "scaling: needs an exponent ≤ 2000 a column.")
    where = {d: k for k, d in enumerate(kept)}
    return [[row[where[d]] if d in where else 0 for d in range(D)] for row in W]


def _dependences(witness: dict, D: int) -> list[list[int]]:
    """For each dropped column d, x_d = Σ p_i/q x_i, the coefficients of Σ p_i x_i − q x_d = 0."""
    kept, dropped = witness["columns"], [entry["column"] for entry in witness["dropped"]]
    rising = all(a < b for part in (kept, dropped) for a, b in pairwise(part))
    require(rising and sorted(kept + dropped) == list(range(D)), f"columns, dropped: must part the columns 0..{D - 1}.")
    may, rows = set(kept), []
    for entry in witness["dropped"]:
        row = [0] * D
        for pair in entry["entries"]:
            fine = len(pair) == 2 and pair[0] in may and not row[pair[0]]
            require(fine, f"dropped: an entry of column {entry['column']} is no [column kept, p], each once.")
            row[pair[0]] = pair[1]
        require(entry["denominator"] > 0, "dropped: a denominator must be > 0.")
        row[entry["column"]] = -entry["denominator"]
        rows.append(row)
    return rows


def _evaluate(samples: SampleIntegers, W: list[list[int]], bits: int, dropped: list[list[int]], P: int) -> _Point:
    """The exact logits and what follows from them, in one pass over X (S1, S2); `dropped` must give zeros."""
    from flint import arb, fmpz, fmpz_mat

    C, D = len(W), len(samples.columns)
    one, unit, half = fmpz(1) << P, arb(1) / (fmpz(samples.Q) << bits), arb(0.5)
    targets = {id(t): (*t, [(p << P) // t[1] for p in t[0]]) for t in samples.targets}
    left, rest, total, loss, Y = fmpz_mat([*W, [1] * D]), fmpz_mat(dropped), fmpz_mat(D, C + 1), arb(0), []
    for low, high, Xt in blocks_of_samples(samples.columns):
        product, right = (left * Xt).tolist(), []
        combined = (rest * Xt).tolist() if dropped else []
        require(not any(map(any, combined)), "dropped: a column is not the combination that it is said to be.")
        for n, sums, *z in zip(range(low, high), product[C], *product[:C], strict=True):
            (p, q, rounded), s, top = targets[id(samples.targets[n])], samples.weights[n], max(z)
            z = [x - top for x in z]
            e = [(x * unit).exp() for x in map(arb, z)]
            whole = sum(e, arb(0))
            loss += (whole.log() - arb(sum(map(mul, p, z))) * unit / q) * s
            scaled = [x * (one / whole) for x in e]
            y: list[Any] = [(x.mid() + half).floor().unique_fmpz() for x in scaled]
            fine = None not in y and all(x.rad() < 0.25 for x in scaled)
            require(fine, "precision: is too low for the probabilities.")
            right += [*((a - b) * s for a, b in zip(y, rounded, strict=True)), sums * s]
            Y.append(y)
        total += Xt * fmpz_mat(high - low, C + 1, right)
    gradient = [list(map(int, row)) for row in total.tolist()]
    return _Point(loss / samples.weight_unit, Y, [row[:C] for row in gradient], [row[C] for row in gradient])


# ── the claims ──
def _prove(claims: dict, witness: dict, samples: SampleIntegers) -> None:
    """Every claim follows from the data and the witness, or the certificate is refused."""
    stated = {name: _number(claims[name], f"claims.{name}") for name in _BELOW + _ABOVE}
    C, D, P, bits = len(samples.targets[0][0]), len(samples.columns), witness["precision"] + _GUARD, witness["bits"]
    _check_digits(claims["digits"], stated["loss_lower"], stated["loss_upper"])
    _check_sizes(witness, claims["digits"], C, len(samples.numbers))
    W, dropped = _weights(witness, C, D), _dependences(witness, D)
    longest = max((abs(p) for row in dropped for p in row), default=0).bit_length()
    fine = longest * len(dropped) * D * len(samples.numbers) <= _MOST_DEPENDENCE
    require(fine, f"dropped: {len(dropped)} combinations with coefficients of {longest} bits are too much.")
    require(not dropped or not any(samples.alpha), "dropped: no column may be dropped under an L2 penalty.")
    point = _evaluate(samples, W, bits, dropped, P)
    kept, e = witness["columns"], witness["scaling"]
    mu = check_curvature(witness["curvature"], _number, samples, kept, e, point.Y, P)
    norms, square, penalty = [0] * len(samples.weights), Fraction(0), Fraction(0)
    unit = Fraction(1, samples.Q * samples.weight_unit << P)
    for d, k in zip(kept, e, strict=True):
        column, alpha = samples.columns[d], samples.alpha[d] / (1 << bits)
        # In each term of the gradient y is within 1 of 2^P y and t was rounded by less than 1.
        error = 2 * sum(samples.weights) * max(max(column), -min(column))
        g = [unit * (abs(x + alpha * row[d] / unit) + error) for x, row in zip(point.gradient[d], W, strict=True)]
        square += sum(x * x for x in g) / Fraction(4) ** k
        penalty += alpha * sum(row[d] ** 2 for row in W) / (2 << bits)
        squares = {x: x * x << 2 * (max(e) - k) for x in set(column)}
        norms = list(map(add, norms, map(squares.__getitem__, column)))
    beta2 = 2 * max(norms) / Fraction(4) ** max(e) / samples.Q**2
    require(beta2 > 0, "columns: all of them are 0.")
    beta, sigma, Lambda = _ball(beta2).sqrt(), Fraction(2) ** min(e), stated["curvature_upper"]
    q = _ball(beta2 * square).sqrt() / _ball(mu)
    require(q < 1, f"q is {q.str(10)}; only q < 1 proves that there is a minimiser (S13).")
    require(is_above_curvature(Lambda, samples, point.row_sums), "claims.curvature_upper is below the data's (S7a).")
    loss, r = point.loss + _ball(penalty), -(-q).log1p() / beta
    ratio = _ball(mu * sigma**2 / Lambda) * (1 - q)
    rho = _ball(2 * samples.size).sqrt() * r / _ball(sigma)
    proved = {
        "loss_lower": loss - _ball(mu / beta2 / 2) * q * q / (1 - q),
        "loss_upper": loss,
        "q": q,
        "radius": r,
        "radius_euclidean": r / _ball(sigma),
        "condition": 1 / ratio,
        "rate": 1 - ratio * (-rho).exp(),
    }
    for name, value in proved.items():
        claim = _ball(stated[name])
        fine = claim <= value if name in _BELOW else claim >= value
        require(fine, f"claims.{name} is {claim.str(60)}; the data prove {value.str(60)}.")
    for name, value in (("curvature", mu), ("curvature_euclidean", mu * sigma**2)):
        require(stated[name] <= value, f"claims.{name} is {claims[name]:.60}; the data prove {_ball(value).str(60)}.")
    require(max(stated["q"], stated["rate"]) < 1, "claims: q and rate must be below 1.")


def _check_digits(digits: int, lower: Fraction, upper: Fraction) -> None:
    """The loss is known to a unit of its last significant digit, if digits > 0."""
    fine = digits == 0 or (0 < digits <= _MOST_DIGITS and lower > 0)
    require(fine, "claims.digits: must be 0, or > 0 with loss_lower > 0.")
    if digits:
        place = math.floor(math.log10(lower.numerator) - math.log10(lower.denominator))
        place += (lower >= Fraction(10) ** (place + 1)) - (lower < Fraction(10) ** place)
        fine = upper - lower <= Fraction(10) ** (place + 1 - digits)
        require(fine, f"claims.digits is {digits}; loss_lower and loss_upper differ by more.")


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
        >>> import jaxsoftmax as js, numpy as np, pathlib, tempfile
        >>> from jaxsoftmax.proof.checkers.check_minimiser import check
        >>> at, problem = pathlib.Path(tempfile.mkdtemp()), js.Problem([[1.0], [-1.0]], [[0.5, 0.5], [0.25, 0.75]])
        >>> problem.dump(at / "data.txt")
        >>> js.certify(problem, np.array([[0.25], [-0.25]]), digits=20).save(at / "proof.json")
        >>> check(at / "proof.json", at / "data.txt").claims["loss_lower"][:11]
        '1.323126476'
    """
    path = Path(certificate)
    stated = read_certificate(path, "minimiser", _FORM)
    try:
        from flint import ctx
    except ImportError:
        raise ValueError("python-flint is missing, and the proof needs it. Run `pip install python-flint`.") from None
    about, claims, witness = stated["data"], stated["claims"], stated["witness"]
    found, read = load_data(about, Path(data), None if labels is None else Path(labels))
    if about["C"] < 2:
        raise ValueError("certificate: with one class the loss is constant, and there is nothing to prove.")
    most = _MOST_BITS + _BITS_A_DIGIT * _MOST_DIGITS
    with ctx.workprec(min(abs(witness["precision"]), most) + 2 * _GUARD):
        _prove(claims, witness, samples_of(found))
    how = {"full": "the whole matrix (S15)", "pairs": "pairs of classes (S14)"}[witness["curvature"]["method"]]
    fields = described(about, found, data, read, about["label_smoothing"], found.regularizers)
    fields["lines"] += (
        f"minimum L* ≥ {claims['loss_lower']}",
        f"minimum L* ≤ {claims['loss_upper']}: {claims['digits']} digits (S13)",
        f"minimiser W*: exists, for q ≤ {claims['q']} < 1 (S13)",
        f"distance ‖W* − Ŵ‖ ≤ {claims['radius_euclidean']}, scaled ≤ {claims['radius']}",
        f"curvature at Ŵ ≥ {claims['curvature_euclidean']}, scaled ≥ {claims['curvature']}, by {how}; anywhere ≤ "
        f"{claims['curvature_upper']} (S7a); {len(witness['columns'])} columns",
        f"condition number near Ŵ ≤ {claims['condition']} (S8)",
        f"gradient descent: a step 1/Λ from Ŵ multiplies the distance to W* by ≤ {claims['rate']} (S17)",
    )
    return CheckedMinimiser(**fields, head="the loss has a minimiser", claims=claims)


main = partial(run, check, __doc__)


if __name__ == "__main__":
    sys.exit(main())
