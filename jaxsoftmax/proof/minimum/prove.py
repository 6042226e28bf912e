"""Prove a minimiser near given weights: its distance, the minimum, curvature and rate, in safe decimals (S13, S17)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.decimals import (
    common_digits,
    decimal_text,
    float_estimate,
    log2_estimate,
    rate_text,
    short_text,
    sqrt_bound,
)
from jaxsoftmax.proof.exact.products import as_smallest, integer_bits, integer_product
from jaxsoftmax.proof.minimum.curvature import Curvature, certify_curvature, chosen_method, scaling_exponents
from jaxsoftmax.proof.minimum.enclose import Enclosure, enclose
from jaxsoftmax.proof.minimum.objective import ProofData
from jaxsoftmax.proof.minimum.refine import Refined, refine

__all__ = ["Claims", "NotProved", "Proof", "claims_of", "prove_minimum"]

_OUTWARD = Fraction(10**9 + 1, 10**9)  # claims leave this much room for a checker's own rounding
_ATTEMPTS = 3
_FULL_SHARE, _PAIRS_SHARE = 2.0**-2, 2.0**-7  # of the least eigenvalue that is expected to be proved
_BLOCK = 8192  # rows of X at a time
_LEAST_WEIGHT = -200  # log₂ of the largest sample weight: leaves 56 places to the weights s y_a y_b


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
    _refuse_degenerate(data)
    exponents = scaling_exponents(data)
    beta = _beta_bound(data, exponents)
    near = Fraction(2) ** int(min(exponents)) / sqrt_bound(
        2 * _trace(everything, weighted=False)
    )  # ρ = 1 at this radius
    curvature = None
    for _ in range(_ATTEMPTS):
        refined = _refined(data, W, digits, exponents, (beta, near), method, curvature, progress)
        # The loss needs the digits too, the gradient only half of them.
        found = refined.enclosure
        wanted = _loss_precision(found, digits)
        if wanted > found.precision:
            progress("the loss at its final precision")
            found = enclose(data, refined.W, refined.bits, wanted, progress)
        progress("curvature")
        final = certify_curvature(data, found.probabilities, found.precision, exponents, method, progress)
        if final is None:
            raise NotProved(
                "certify: no curvature above 0 could be proved at W (the factorisation failed): W is far from a "
                "minimiser, the problem is too badly conditioned, or there is no minimiser. Ask "
                "jaxsoftmax.decide_existence(problem)."
            )
        curvature = float_estimate(final.mu) / 2
        q = _newton_ratio(found, final, beta)
        if q < min(1, near * beta / 2) and _tail(q) * final.mu / beta**2 * 10 ** (digits + 1) <= found.loss[1]:
            break  # else the curvature was less than expected: more steps, knowing it
    claims = claims_of(data, everything, refined, found, final, beta)
    # A checker that computes 1 − gain needs bits that tell it from 1; a sharper one than the maker proves no less.
    precision = max(found.precision, math.ceil(log2_estimate(Fraction(claims.condition))) + 64)
    return Proof(claims, refined.W, refined.bits, precision, final, data, refined.steps)


def _refuse_degenerate(data: ProofData) -> None:
    if not data.A.any():
        raise NotProved("certify: X is 0, so the logits are 0 whatever W is, and there is nothing to prove.")
    heaviest = log2_estimate(Fraction(max(data.s_num.tolist()), data.s_den))
    if heaviest < _LEAST_WEIGHT:
        raise NotProved(
            f"certify: every sample weight is below 2^{heaviest + 1:.0f}, finer than a certificate's 256 binary "
            "places. Multiply all of them by one number: that multiplies the loss by it, and moves no minimiser."
        )


def _refined(
    data: ProofData,
    W: np.ndarray,
    digits: int,
    exponents: np.ndarray,
    sizes: tuple[Fraction, Fraction],
    method: str,
    curvature: float | None,
    progress: Callable[[str], None],
) -> Refined:
    full = chosen_method(method, data.C, data.A.shape[1]) == "full"
    target, share = -(digits + 2) * math.log2(10), _FULL_SHARE if full else _PAIRS_SHARE
    try:
        return refine(
            data,
            W,
            exponents,
            target,
            beta=float(sizes[0]),
            share=share,
            curvature=curvature,
            radius=log2_estimate(sizes[1]) - 10,  # of e^−ρ for descent, a thousandth is given away at most
            progress=progress,
        )
    except ArithmeticError as error:
        raise NotProved(
            f"certify: {error}. W is too far from a minimiser, or none exists: train longer, or ask "
            "jaxsoftmax.decide_existence(problem)."
        ) from None


def _loss_precision(found: Enclosure, digits: int) -> int:
    width = found.loss[1] - found.loss[0]
    missing = (digits + 3) * math.log2(10) - log2_estimate(found.loss[1]) + log2_estimate(width)
    return found.precision if width == 0 else found.precision + max(0, math.ceil(missing))


def _newton_ratio(found: Enclosure, curvature: Curvature, beta: Fraction) -> Fraction:
    """S13's q = β ‖g‖_* / μ, from above."""
    square = Fraction(0)
    for d, e in enumerate(curvature.exponents):
        column = sum((abs(g) + found.gradient_error[d]) ** 2 for g in found.gradient[:, d])
        square += column / Fraction(4) ** int(e)
    return beta * sqrt_bound(square) / curvature.mu * _OUTWARD


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
    q = _newton_ratio(found, curvature, beta)
    if q >= 1:
        raise NotProved(
            f"certify: no minimiser is proved near W: q = {float_estimate(q):.3g} is not below 1 (S13). W is too far "
            "from one, or none exists. Train longer, or ask jaxsoftmax.decide_existence(problem)."
        )
    tail = _tail(q)
    radius = (q + tail) / beta * _OUTWARD
    gap = tail * mu / beta**2 * _OUTWARD
    low = Fraction(2) ** int(min(exponents))
    mu_euclidean = mu * low**2
    upper = _largest_curvature(everything)
    # Descent stays in the Euclidean ball about W*, which may leave the scaled one: S8 once more from W*.
    trace = _trace(everything, weighted=False)
    rho = sqrt_bound(2 * trace) * radius / low
    gain = mu_euclidean * (1 - q) * max(1 - rho, Fraction(0)) / upper * (1 - Fraction(1, 10**6))
    lower, top = found.loss[0] - gap, found.loss[1]
    digits, places = common_digits(lower, top)
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
        rate=rate_text(gain * upper / Fraction(short_text(upper, up=True))),
    )


# ── bounds ──
def _tail(q: Fraction) -> Fraction:
    """q²/(2 (1 − q)), an upper bound of −log(1 − q) − q and of q + (1 − q) log(1 − q), for 0 <= q < 1."""
    return q * q / (2 * (1 - q))


def _beta_bound(data: ProofData, exponents: np.ndarray) -> Fraction:
    """√2 max_n ‖Σ⁻¹ x_n‖ (S13), from above: squares summed in integers, one root rounded up."""
    inverse = [1 / (q * Fraction(2) ** int(e)) for q, e in zip(data.scales, exponents, strict=True)]
    common = math.lcm(*(f.denominator for f in inverse))
    squares = np.array([[int(f * common) ** 2] for f in inverse], dtype=object)
    largest = 0
    for A in _blocks(data.A):
        A = A if integer_bits(A) <= 31 else A.astype(object)
        largest = max(largest, int(integer_product(A * A, squares).max(initial=0)))
    return sqrt_bound(Fraction(2 * largest, common * common))


def _blocks(A: np.ndarray) -> Iterator[np.ndarray]:
    """A in blocks of rows."""
    for start in range(0, len(A), _BLOCK):
        yield A[start : start + _BLOCK]


def _trace(data: ProofData, weighted: bool) -> Fraction:
    """tr XᵀX or tr XᵀSX, exactly."""
    weights = data.s_num if weighted else np.ones(len(data.A), dtype=np.int64)
    sums = np.zeros(data.A.shape[1], dtype=object)
    for A, s in zip(_blocks(data.A), _blocks(weights), strict=True):
        A = A if integer_bits(A) <= 31 else A.astype(object)
        sums = sums + integer_product(s[None, :], A * A)[0]
    total = sum((Fraction(int(v), q * q) for v, q in zip(sums, data.scales, strict=True)), Fraction(0))
    return total / (data.s_den if weighted else 1)


def _largest_curvature(data: ProofData) -> Fraction:
    """S7a's Λ from above: ½ min(trace, largest row sum of |XᵀSX|) + alpha, exactly."""
    K = data.A.shape[1]
    gram = np.zeros((K, K), dtype=object)
    for A, s in zip(_blocks(data.A), _blocks(data.s_num), strict=True):
        weights = as_smallest(s)
        if A.dtype == object or weights.dtype == object or integer_bits(A) + integer_bits(weights) > 62:
            A, weights = A.astype(object), weights.astype(object)
        gram = gram + integer_product((A * weights[:, None]).T, A)
    inverse = [Fraction(1, q) for q in data.scales]
    rows = [
        sum((abs(int(v)) * f for v, f in zip(row, inverse, strict=True) if v), Fraction(0)) * own
        for row, own in zip(gram.tolist(), inverse, strict=True)
    ]
    return min(_trace(data, weighted=True), max(rows) / data.s_den) / 2 + data.alpha
