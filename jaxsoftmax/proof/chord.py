"""Chord steps: a fixed float64 factor of the Hessian, exact residuals, so that weights gain digits at each (S13)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import scipy.linalg

from jaxsoftmax.proof.fixed_point import Enclosure, enclose
from jaxsoftmax.proof.minimiser_data import ProofData

__all__ = ["FactoredHessian", "Refined", "refine"]

_MOST_STEPS = 60  # and one more for every 16 bits asked for; steps that contract gain twice that, or more
_LEAST_GAIN = 0.3  # of the gradient's norm in a step; less is no chord iteration any more
_CRUDE = 40  # bits that a first float64 solution is worth


class Refined(NamedTuple):
    """Weights W / 2**bits (C, K), what `enclose` found there, and the estimate of S13's gap that ended the steps."""

    W: np.ndarray
    bits: int
    enclosure: Enclosure
    gap_estimate: float
    steps: int


class FactoredHessian:
    """The Hessian on {1ᵀV = 0} at float weights, in columns scaled by powers of two, factored once (S4, S14).

    With v_C = −Σ v_c the quadratic form Σ_{a<b} (v_a − v_b)ᵀ M_ab (v_a − v_b), M_ab = Xᵀ diag(s y_a y_b) X, has the
    blocks assembled here. A ridge of rounding's size keeps the factorisation running.

    Args:
        data: the objective.
        W: (C, K) float64, in units of X.
        exponents: (K,) integers e: the columns are divided by 2**e.
        progress: called with a line of text now and then.
    """

    def __init__(
        self, data: ProofData, W: np.ndarray, exponents: np.ndarray, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self.exponents = exponents
        X = float_columns(data) * 2.0 ** -exponents.astype(np.float64)
        Y = _probabilities(X @ (W * 2.0 ** exponents.astype(np.float64)).T)
        s = (data.s_num / data.s_den).astype(np.float64)
        (_, K), C = X.shape, data.C
        H = np.zeros(((C - 1) * K, (C - 1) * K))
        penalty = float(data.alpha) / C * np.diag(data.penalised * 4.0 ** -exponents.astype(np.float64))
        done, pairs = 0, C * (C - 1) // 2
        for a in range(C):
            for b in range(a + 1, C):
                weighted = X * np.sqrt(s * Y[:, a] * Y[:, b])[:, None]
                M = weighted.T @ weighted + penalty
                _add_pair(H, M, a, b, C, K)
                done += 1
                if X.size > 10**7:
                    progress(f"Hessian: {done} of {pairs} pairs of classes")
        size = H.shape[0]
        diagonal = np.einsum("ii->i", H)
        diagonal += size * np.finfo(np.float64).eps * diagonal.max(initial=1e-300)
        self.scale = 1 / np.sqrt(diagonal)
        H *= self.scale[:, None]
        H *= self.scale
        self.factor = scipy.linalg.cho_factor(H, lower=True, overwrite_a=True, check_finite=False)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        """Newton's step H⁻¹ g for a gradient (C, K) in units of X, its columns summing to 0 over the classes."""
        units = 2.0 ** -self.exponents.astype(np.float64)
        reduced = (gradient[:-1] - gradient[-1]) * units
        step = scipy.linalg.cho_solve(self.factor, reduced.ravel() * self.scale, check_finite=False) * self.scale
        step = step.reshape(reduced.shape) * units
        return np.vstack([step, -step.sum(axis=0)])


def float_columns(data: ProofData) -> np.ndarray:
    """X in float64, each entry rounded once."""
    A = data.A
    if A.dtype == object:
        return np.array([[a / q for a, q in zip(row, data.scales, strict=True)] for row in A.tolist()], np.float64)
    return A / np.array([float(q) for q in data.scales])


def _probabilities(Z: np.ndarray) -> np.ndarray:
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def _add_pair(H: np.ndarray, M: np.ndarray, a: int, b: int, C: int, K: int) -> None:
    """(v_a − v_b)ᵀ M (v_a − v_b) with v_{C−1} = −Σ_{c<C−1} v_c added to H."""
    rows = [slice(c * K, (c + 1) * K) for c in range(C - 1)]
    if b < C - 1:
        for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            H[rows[i], rows[j]] += sign * M
        return
    weight = np.ones(C - 1)  # v_a − v_{C−1} = v_a + Σ_c v_c
    weight[a] += 1
    for i in range(C - 1):
        for j in range(C - 1):
            H[rows[i], rows[j]] += weight[i] * weight[j] * M


def refine(
    data: ProofData,
    W: np.ndarray,
    exponents: np.ndarray,
    target: float,
    *,
    curvature: float,
    beta: float,
    progress: Callable[[str], None] = lambda _: None,
) -> Refined:
    r"""Chord steps from W until S13's gap, :math:`\beta^{-2}\mu q^2/(2(1-q))`, is below `target` times the loss.

    Each step evaluates the gradient with exact residuals at a precision that grows with what was gained, and solves
    with the factor of one Hessian; the gain a step is about the relative error of that factor and of its solves.

    Args:
        data: the exact objective, of independent columns.
        W: (C, K) float64 start, near the minimiser.
        exponents: (K,) integers, the powers of two of the scaled norm.
        target: relative gap asked for, as log₂ (a negative number).
        curvature: an estimate of μ in the scaled norm; a lower one costs more precision.
        beta: S13's β in the scaled norm.
        progress: called with a line of text now and then.

    Raises:
        ArithmeticError: the steps do not contract: W is too far from a minimiser, or there is none.

    Source: S13; Kantorovich's chord method with residuals in higher precision (iterative refinement).
    """
    W = W - W.mean(axis=0)
    factor = FactoredHessian(data, W, exponents, progress)
    sigma = [Fraction(2) ** int(e) for e in exponents]
    bits, before = 64 + int(max(0, -exponents.min())), np.inf
    exact = _fixed(W, bits)
    log_mu, log_beta = np.log2(curvature), np.log2(beta)
    precision = 96 + int(max(0, exponents.max()))
    most = _MOST_STEPS + int(max(0.0, -target)) // 16
    for step in range(most):
        found = enclose(data, exact, bits, precision, progress)
        norm = _log2_norm(found.gradient, found.gradient_error, sigma)
        gap = 2 * norm - log_mu - 1
        loss = _log2(found.loss[1])
        progress(f"step {step}: log10 of the scaled gradient {norm * 0.30103:.1f}, of the gap {gap * 0.30103:.1f}")
        if norm + log_beta - log_mu < -1 and gap <= loss + target:
            return Refined(exact, bits, found, 2.0 ** max(gap, -1000.0), step)
        if step >= 3 and norm > before + np.log2(_LEAST_GAIN):
            raise ArithmeticError(
                f"the steps do not contract: the scaled gradient went from 2^{before:.1f} to 2^{norm:.1f}"
            )
        gain = max(before - norm, 8.0) if np.isfinite(before) else 24.0
        before = norm
        scale = Fraction(2) ** int(np.floor(norm))
        gradient = np.array([[float(g / scale / s) for g, s in zip(row, sigma, strict=True)] for row in found.gradient])
        units = 2.0 ** exponents.astype(np.float64)
        change = factor.solve(gradient * units)  # of the order of one in the scaled norm's units over 2^norm
        # What the next step can resolve: its gradient is about 2^(norm − gain), and must not drown in rounding.
        wanted = int(np.ceil(max(gain, 24.0) * 1.5)) + 32
        need = int(np.ceil(-norm)) + wanted + int(max(0, exponents.max()))
        precision = max(precision, need + int(np.ceil(np.log2(max(float(data.A.shape[0]), 2)))))
        finer = max(bits, need + int(max(0, -exponents.min())) + 32)
        exact = exact * (1 << finer - bits)
        bits = finer
        shifted = Fraction(2) ** (int(np.floor(norm)) + bits)
        moved = np.array([[int(Fraction(float(v)) * shifted) for v in row] for row in change[:-1]], dtype=object)
        exact[:-1] -= moved
        exact[-1] = -exact[:-1].sum(axis=0)
    raise ArithmeticError(f"{most} steps were not enough; the scaled gradient is 2^{before:.1f}")


def _fixed(W: np.ndarray, bits: int) -> np.ndarray:
    """W as integers over 2**bits, every column summing to 0."""
    exact = np.array([[int(Fraction(float(w)) * (1 << bits)) for w in row] for row in W], dtype=object)
    exact[-1] = -exact[:-1].sum(axis=0)
    return exact


def _log2(x: Fraction) -> float:
    """log₂ of a positive rational of any size."""
    if x <= 0:
        return -np.inf
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return float(np.log2(float(x / Fraction(2) ** e))) + e


def _log2_norm(gradient: np.ndarray, error: np.ndarray, sigma: list[Fraction]) -> float:
    """log₂ of an upper bound of ‖gΣ⁻¹‖_F."""
    total = Fraction(0)
    for d, s in enumerate(sigma):
        for g in gradient[:, d]:
            total += ((abs(g) + error[d]) / s) ** 2
    return _log2(total) / 2
