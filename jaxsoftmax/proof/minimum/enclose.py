"""Enclose loss and gradient at given weights: exact products, exp and log as balls of Arb (sections 7.7 and 7.8)."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.products import integer_bits, integer_product
from jaxsoftmax.proof.minimum.objective import ProofData
from jaxsoftmax.support.countdown import Countdown

__all__ = ["Enclosure", "enclose"]

_GUARD = 32  # bits of Arb's working precision beyond those of the result
_BLOCK = 8192  # rows whose logits are held at a time


class Enclosure(NamedTuple):
    """What `enclose` found at weights W.

    loss: (lower, upper) Fractions around L(W).
    gradient: (C, K) object array of Fractions, and gradient_error: (K,) Fractions: |g_cd − gradient[c, d]| is at most
        gradient_error[d]; in units of X, the penalty included.
    probabilities: (n, C) object array of integers Y with |y_nj − Y_nj / 2**precision| <= 2**-precision.
    precision: bits.
    """

    loss: tuple[Fraction, Fraction]
    gradient: np.ndarray
    gradient_error: np.ndarray
    probabilities: np.ndarray
    precision: int


def enclose(
    data: ProofData,
    W: np.ndarray,
    bits: int,
    precision: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Enclosure:
    r"""Enclose L(W), ∇L(W) and the probabilities (S1, S2) at the weights W / 2**bits.

    Logits are exact integers. With d_nj = z_nj − max_i z_ni, Arb encloses :math:`e^{d_{nj}}`, its sum over j and the
    sum's logarithm. Each y is then an integer over 2**precision, at most one unit off, and so is each target, so that
    the gradient is one exact product of integers, off by at most 2 units times Σ_n s_n|x_nd|.

    Args:
        data: the exact objective.
        W: (C, K) Python integers, in units of X times 2**bits.
        bits: binary places of W.
        precision: binary places of the probabilities, at least 8.
        progress: called with a line of text now and then.

    Returns:
        An `Enclosure`.

    Raises:
        ImportError: python-flint is not installed.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.proof.exact.data import ExactData
        >>> from jaxsoftmax.proof.minimum.enclose import enclose
        >>> from jaxsoftmax.proof.minimum.objective import proof_data
        >>> data = proof_data(ExactData(js.Problem.from_labels([[1.0], [2.0]], [0, 1])))
        >>> found = enclose(data, np.zeros((2, 2), dtype=object), bits=0, precision=100)
        >>> float(found.loss[0]), found.gradient[0].tolist()  # twice log 2; ((0.5 - 1)·1 + 0.5·2, 0)
        (1.3862943611198906, [Fraction(1, 2), Fraction(0, 1)])

    Source: S1, S2; sections 7.1, 7.7, 7.8.
    """
    try:
        import flint
    except ImportError as error:
        raise ImportError("certify: needs python-flint. pip install 'jaxsoftmax[exact]'") from error
    n, C = data.P.shape
    common = math.lcm(*data.scales)
    scaled = W.astype(object) * np.array([common // q for q in data.scales], dtype=object)
    Y = np.empty((n, C), dtype=object)
    total = np.zeros(scaled.shape, dtype=object)
    sums = np.zeros(scaled.shape[1], dtype=object)  # Σ s_num |A|
    linear: dict[int, int] = {}  # denominator of the targets -> Σ s_num (q max z − Σ P z), over q·common·2^bits·s_den
    unit, logs = flint.arb(common), flint.arb(0)
    phase = f"loss and gradient at {precision} bits"
    progress(phase)
    step = Countdown(progress, total=n)
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        A, P, q, s = data.A[rows], data.P[rows].astype(object), data.q[rows], data.s_num[rows]
        Z = integer_product(A, scaled.T).astype(object)
        top = Z.max(axis=1)
        fixed = (q * top - (P * Z).sum(axis=1)) * s
        for denominator, value in zip(q.tolist(), fixed.tolist(), strict=True):
            linear[denominator] = linear.get(denominator, 0) + value
        below = Z - top[:, None]
        # |d| < 2^reach, and an error of d's last place is |d| times as large in e^d.
        reach = max(0, integer_bits(below) - bits - common.bit_length() + 1)
        with _working(flint, precision + _GUARD + reach):
            part, Y[rows] = _softmax(flint, below.tolist(), s.tolist(), unit, bits, precision)
            logs += part
        T = (P << precision) // q[:, None]
        total = total + integer_product(((Y[rows] - T) * s[:, None]).T, A)
        sums = sums + integer_product(s[None, :], abs(A))[0]
        if n > _BLOCK:
            step(rows.stop, f"{phase}: {rows.stop} of {n} rows")
    with _working(flint, precision + _GUARD):
        logs = logs / data.s_den
        radius, middle = _fraction(logs.rad()), _fraction(logs.mid())
    # One rounding down for each denominator: the exact sum has the product of all of them for its own.
    places = precision + _GUARD
    floors = sum((value << places) // q for q, value in linear.items())
    low = Fraction(floors, data.s_den * common << bits + places)
    high = Fraction(floors + len(linear), data.s_den * common << bits + places)
    penalised = np.where(data.penalised[None, :], W, 0).astype(object)
    penalty = data.alpha / 2 * Fraction(int((penalised * penalised).sum()), 1 << 2 * bits)
    units = [data.s_den * q << precision for q in data.scales]
    gradient = np.empty(scaled.shape, dtype=object)
    for c, d in np.ndindex(*scaled.shape):
        gradient[c, d] = Fraction(int(total[c, d]), units[d]) + data.alpha * Fraction(int(penalised[c, d]), 1 << bits)
    error = np.array([Fraction(2 * int(a), unit_) for a, unit_ in zip(sums, units, strict=True)], dtype=object)
    loss = (middle - radius + low + penalty, middle + radius + high + penalty)
    return Enclosure(loss, gradient, error, Y, precision)


class _working:
    """Arb's precision for a while: python-flint keeps it in a global context."""

    def __init__(self, flint: Any, bits: int) -> None:
        self.flint, self.bits = flint, bits

    def __enter__(self) -> None:
        self.before, self.flint.ctx.prec = self.flint.ctx.prec, self.bits

    def __exit__(self, *_: object) -> None:
        self.flint.ctx.prec = self.before


def _softmax(
    flint: Any, below: list[list[int]], s: list[int], unit: Any, bits: int, precision: int
) -> tuple[Any, np.ndarray]:
    """Σ s log Σ_j exp(d_nj) as a ball, and the probabilities as integers; d = below / (unit·2^bits), largest 0."""
    arb, Y, logs = flint.arb, [], flint.arb(0)
    negligible = arb((1, -precision - 1))  # half a unit
    whole = unit == 1
    for row, weight in zip(below, s, strict=True):
        if whole:
            powers = [arb((d, -bits)).exp() for d in row]
        else:
            powers = [(arb((d, -bits)) / unit).exp() for d in row]
        total: Any = sum(powers, arb(0))
        logs += weight * total.log()
        values = []
        for power in powers:
            y = power / total
            if y < negligible:
                values.append(0)
                continue
            # Rounding costs half a unit at most and a ball of this accuracy 2^-15 of one: one unit is enough.
            if y.rel_accuracy_bits() < precision + 16:
                raise ArithmeticError("a probability could not be enclosed to the working precision")
            middle, exponent = y.mid().man_exp()
            mantissa, shift = int(middle), int(exponent) + precision
            values.append(mantissa << shift if shift >= 0 else (mantissa + (1 << -shift - 1)) >> -shift)
        Y.append(values)
    return logs, np.array(Y, dtype=object)


def _fraction(ball: Any) -> Fraction:
    """An exact ball (of radius 0) as a Fraction."""
    mantissa, exponent = ball.man_exp()
    m, e = int(mantissa), int(exponent)
    return Fraction(m << e) if e >= 0 else Fraction(m, 1 << -e)
