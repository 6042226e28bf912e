"""The theorem of S13 about one data set: radius, interval of the minimum, curvature and rate, in safe decimals."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.chord import Refined, float_columns, refine
from jaxsoftmax.proof.curvature import Curvature, certify_curvature, scaling_exponents
from jaxsoftmax.proof.exact_products import integer_product
from jaxsoftmax.proof.fixed_point import Enclosure, enclose
from jaxsoftmax.proof.minimiser_data import ProofData

__all__ = ["Claims", "NotProved", "Proof", "claims_of", "decimal_text", "prove_minimum"]

_OUTWARD = Fraction(10**9 + 1, 10**9)  # claims leave this much room for a checker's own rounding


class NotProved(ValueError):
    """A proof that a minimiser exists near W failed, and why: q >= 1, no curvature, steps that do not contract.

    Example:
        >>> import jaxsoftmax as js
        >>> issubclass(js.NotProved, ValueError)
        True
    """


class Claims(NamedTuple):
    """What is proved, each as a decimal string rounded in the safe direction (S13, S17)."""

    loss_lower: str
    loss_upper: str
    digits: int
    q: str
    radius: str
    radius_euclidean: str
    curvature: str
    curvature_euclidean: str
    curvature_upper: str
    condition: str
    rate: str


class Proof(NamedTuple):
    """The claims with their witness: weights W / 2**bits on the columns of `data`, and the curvature's."""

    claims: Claims
    W: np.ndarray
    bits: int
    precision: int
    curvature: Curvature
    data: ProofData
    steps: int


def prove_minimum(
    data: ProofData,
    everything: ProofData,
    W: np.ndarray,
    digits: int,
    method: str = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Proof:
    """Refine W until S13 proves `digits` decimals of the minimum, and state what is proved.

    Args:
        data: the objective on independent columns (all columns under an L2 penalty).
        everything: the same with all columns, for the upper bound of the curvature.
        W: (C, K) float64 weights near a minimiser, on the columns of `data`.
        digits: significant decimals of the minimum asked for.
        method: of the curvature.
        progress: called with a line of text now and then.

    Raises:
        NotProved: with the reason.

    Source: S13-S15, S17, S8.
    """
    exponents = scaling_exponents(data)
    beta = _beta_upper(data, exponents)
    W = W - W.mean(axis=0)
    start = np.array([[int(Fraction(float(w)) * (1 << 128)) for w in row] for row in W], dtype=object)
    start[-1] = -start[:-1].sum(axis=0)
    progress("curvature at the start")
    first = enclose(data, start, 128, 160, progress)
    curvature = certify_curvature(data, first.probabilities, 160, exponents, method, progress)
    if curvature is None:
        raise NotProved(
            "certify: no curvature above 0 could be proved at W (the factorisation failed): W is far from a minimiser, "
            "the problem is too badly conditioned, or there is no minimiser. Ask jaxsoftmax.decide_existence(problem)."
        )
    try:
        refined = refine(
            data,
            W,
            exponents,
            -(digits + 2) * math.log2(10),
            curvature=float(curvature.mu) / 2,
            beta=float(beta),
            progress=progress,
        )
    except ArithmeticError as error:
        raise NotProved(
            f"certify: {error}. W is too far from a minimiser, or none exists: train longer, or ask "
            "jaxsoftmax.decide_existence(problem)."
        ) from None
    # The loss needs the digits too, the gradient only half of them.
    found = refined.enclosure
    wanted = _loss_precision(found, digits)
    if wanted > found.precision:
        progress("the loss at its final precision")
        found = enclose(data, refined.W, refined.bits, wanted, progress)
    progress("curvature at the end point")
    final = certify_curvature(data, found.probabilities, found.precision, exponents, method, progress)
    if final is None:
        raise NotProved("certify: no curvature above 0 could be proved at the refined weights.")
    claims = claims_of(data, everything, refined, found, final, beta)
    return Proof(claims, refined.W, refined.bits, found.precision, final, data, refined.steps)


def _loss_precision(found: Enclosure, digits: int) -> int:
    width = found.loss[1] - found.loss[0]
    if width == 0:
        return found.precision
    have = math.log2(found.loss[1] / width) if found.loss[1] / width < 2**1000 else 1000
    missing = (digits + 3) * math.log2(10) - have
    return found.precision + max(0, math.ceil(missing))


def claims_of(
    data: ProofData,
    everything: ProofData,
    refined: Refined,
    found: Enclosure,
    curvature: Curvature,
    beta: Fraction,
) -> Claims:
    """The claims that S13, S8 and S17 allow from an enclosure, a curvature and β.

    Raises:
        NotProved: q >= 1.
    """
    exponents, mu = curvature.exponents, curvature.mu
    sigma = [Fraction(2) ** int(e) for e in exponents]
    square = Fraction(0)
    for d, s in enumerate(sigma):
        square += sum(((abs(g) + found.gradient_error[d]) / s) ** 2 for g in found.gradient[:, d])
    q = beta * _sqrt_upper(square) / mu * _OUTWARD
    if q >= 1:
        raise NotProved(
            f"certify: S13's q = {float(q):.3g} is not below 1 at W: W is too far from a minimiser, or none exists. "
            "Train longer, or ask jaxsoftmax.decide_existence(problem)."
        )
    # −log(1 − q) = q + q²/2 + … <= q + q²/(2 (1 − q)); q + (1 − q) log(1 − q) <= q²/(2 (1 − q)).
    tail = q * q / (2 * (1 - q))
    radius = (q + tail) / beta * _OUTWARD
    gap = tail * mu / beta**2 * _OUTWARD
    low = Fraction(2) ** int(min(exponents))
    mu_euclidean = mu * low**2
    upper = _largest_curvature(everything)
    # Descent stays in the Euclidean ball about W*, which may leave the scaled one: S8 once more from W*.
    trace = _trace(everything, weighted=False)
    rho = _sqrt_upper(2 * trace) * radius / low
    gain = mu_euclidean * (1 - q) * max(1 - rho, Fraction(0)) / upper * (1 - Fraction(1, 10**6))
    lower, top = found.loss[0] - gap, found.loss[1]
    digits = _common_digits(lower, top)
    places = _places(lower, top, digits)
    return Claims(
        loss_lower=decimal_text(lower, places, up=False),
        loss_upper=decimal_text(top, places, up=True),
        digits=digits,
        q=short_text(q, up=True),
        radius=short_text(radius, up=True),
        radius_euclidean=short_text(radius / low * _OUTWARD, up=True),
        curvature=short_text(mu, up=False),
        curvature_euclidean=short_text(mu_euclidean, up=False),
        curvature_upper=short_text(upper, up=True),
        condition=short_text(Fraction(short_text(upper, up=True)) / (mu_euclidean * (1 - q)), up=True),
        rate=_rate_text(gain * upper / Fraction(short_text(upper, up=True))),
    )


# ── bounds ──
def _beta_upper(data: ProofData, exponents: np.ndarray) -> Fraction:
    """√2 max_n ‖Σ⁻¹ x_n‖, from above: the largest rows by floating point, each within a relative 2^-40 (S13)."""
    X = float_columns(data) * 2.0 ** -exponents.astype(np.float64)
    largest = float(np.einsum("nk,nk->n", X, X).max())
    # K terms with (K + 4) roundings of 2^-53 each: far below 2^-30 for K < 2^20.
    return _sqrt_upper(2 * Fraction(largest) * (1 + Fraction(1, 2**30)))


def _sqrt_upper(x: Fraction) -> Fraction:
    """A rational at most a relative 2^-60 above √x."""
    if x <= 0:
        return Fraction(0)
    shift = max(0, 130 - x.numerator.bit_length() + x.denominator.bit_length())
    shift += shift % 2
    return Fraction(math.isqrt((x.numerator << shift) // x.denominator) + 1, 1 << shift // 2)


def _trace(data: ProofData, weighted: bool) -> Fraction:
    """tr XᵀX or tr XᵀSX, exactly."""
    A = data.A
    total = Fraction(0)
    weights = data.s_num if weighted else np.array([1] * len(A), dtype=object)
    for d, scale in enumerate(data.scales):
        column = A[:, d].astype(object)
        total += Fraction(int((column * column * weights).sum()), scale * scale)
    return total / (data.s_den if weighted else 1)


def _largest_curvature(data: ProofData) -> Fraction:
    """S7a's Λ from above: ½ min(trace, largest row sum of |XᵀSX|) + alpha, exactly."""
    A, s = data.A, data.s_num
    weighted = A * s.astype(np.int64)[:, None] if _fits(A, s) else A.astype(object) * s[:, None]
    gram = integer_product(weighted.T, A)
    inverse = [Fraction(1, q) for q in data.scales]
    rows = [
        sum((abs(int(v)) * f for v, f in zip(row, inverse, strict=True) if v), Fraction(0)) * own
        for row, own in zip(gram.tolist(), inverse, strict=True)
    ]
    return min(_trace(data, weighted=True), max(rows) / data.s_den) / 2 + data.alpha


def _fits(A: np.ndarray, s: np.ndarray) -> bool:
    top = max((int(v) for v in s), default=1)
    return A.dtype != object and int(abs(A).max(initial=0)).bit_length() + top.bit_length() <= 62


# ── decimals ──
def decimal_text(x: Fraction, places: int, up: bool) -> str:
    """x > 0 or not, with so many decimal places, rounded up or down."""
    scaled = x * 10**places if places >= 0 else x / 10**-places
    whole = math.ceil(scaled) if up else math.floor(scaled)
    if places <= 0:
        return str(whole * 10**-places)
    sign = "-" if whole < 0 else ""
    digits = str(abs(whole)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def short_text(x: Fraction, up: bool, digits: int = 12) -> str:
    """A positive rational with so many significant decimals in scientific notation, rounded up or down."""
    if x <= 0:
        return "0"
    e = _exponent(x)
    scaled = x * Fraction(10) ** (digits - 1 - e)
    whole = math.ceil(scaled) if up else math.floor(scaled)
    text = str(whole)
    e += len(text) - digits
    return f"{text[0]}.{text[1:].rstrip('0') or '0'}e{e}"


def _exponent(x: Fraction) -> int:
    """floor(log10 x) for x > 0."""
    e = math.floor((x.numerator.bit_length() - x.denominator.bit_length()) * math.log10(2))
    while Fraction(10) ** e > x:
        e -= 1
    while Fraction(10) ** (e + 1) <= x:
        e += 1
    return e


def _rate_text(gain: Fraction) -> str:
    """1 − gain rounded up, with digits enough that it stays below 1."""
    if gain <= 0:
        return "1"
    places = max(12, 12 - _exponent(gain))
    return decimal_text(1 - gain, places, up=True)


def _common_digits(lower: Fraction, upper: Fraction) -> int:
    """Significant decimals on which both agree as printed."""
    if lower <= 0:
        return 0
    e = _exponent(upper)
    width = upper - lower
    most = 10**6 if width == 0 else max(0, e - _exponent(width) + 2)
    for digits in range(most, 0, -1):
        places = digits - 1 - e
        if decimal_text(lower, places, up=False) == decimal_text(upper, places, up=False):
            return digits
    return 0


def _places(lower: Fraction, upper: Fraction, digits: int) -> int:
    """Decimal places that show the common digits and four more."""
    e = _exponent(upper) if upper > 0 else 0
    return max(digits, 12) + 3 - e
