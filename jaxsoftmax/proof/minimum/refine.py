"""Steps that gain digits of the weights: one float64 factor of the Hessian, exact gradients (chord method, for S13)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from jaxsoftmax.proof.exact.decimals import float_estimate, log2_estimate
from jaxsoftmax.proof.minimum.enclose import Enclosure, enclose
from jaxsoftmax.proof.minimum.objective import ProofData
from jaxsoftmax.support.countdown import Countdown

__all__ = ["FactoredHessian", "Refined", "float_columns", "refine"]

_MOST_STEPS = 60  # and one more for every 16 bits asked for; steps that contract gain twice that, or more
_GOOD_GAIN, _RENEWALS = 24.0, 6  # bits a step; below, so many further Hessians are made
_CHEAP = 2e11  # multiplications of one that is
_SPARE_PLACES = -8  # of the weights: rounding errors do not add up as the bound has them; more where they do
_LEAST_GAIN = 0.3  # of the gradient's norm in a step; less is no chord iteration any more
_BLOCK = 8192  # rows of X that are weighted at a time


class Refined(NamedTuple):
    """Weights W / 2**bits (C, K), what `enclose` found there, and the number of steps."""

    W: np.ndarray
    bits: int
    enclosure: Enclosure
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

    exponents: np.ndarray
    classes: int
    scale: np.ndarray
    factor: Any

    def __init__(
        self, data: ProofData, W: np.ndarray, exponents: np.ndarray, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self.exponents, self.classes = exponents, data.C
        X = float_columns(data, exponents)
        Y = _probabilities(X @ np.ldexp(W, exponents).T)
        s = (data.s_num / data.s_den).astype(np.float64)
        (_, K), C = X.shape, data.C
        H = np.zeros(((C - 1) * K, (C - 1) * K))
        penalty = np.diag(data.penalised * np.ldexp(float_estimate(data.alpha) / C, np.minimum(-2 * exponents, 900)))
        done, pairs = 0, C * (C - 1) // 2
        step = Countdown(progress, total=pairs)
        for a in range(C):
            for b in range(a + 1, C):
                M = _weighted_gram(X, s * Y[:, a] * Y[:, b]) + penalty
                _add_pair(H, M, a, b, C, K)
                done += 1
                if X.size > 10**7:
                    step(done, f"Hessian: {done} of {pairs} pairs of classes")
        diagonal = np.einsum("ii->i", H)
        diagonal += H.shape[0] * np.finfo(np.float64).eps * diagonal + np.finfo(np.float64).tiny
        self.scale = 1 / np.sqrt(diagonal)
        H *= self.scale[:, None]
        H *= self.scale
        # The transpose of a symmetric matrix in rows is the same one in columns, which LAPACK overwrites in place.
        self.factor = scipy.linalg.cho_factor(H.T, lower=True, overwrite_a=True, check_finite=False)

    def scaled_solve(self, gradient: np.ndarray) -> np.ndarray:
        """Newton's step H⁻¹ g in the scaled columns, gΣ⁻¹ to VΣ, for g that sums to 0 over the classes."""
        reduced = gradient[:-1] - gradient[-1]
        step = scipy.linalg.cho_solve(self.factor, reduced.ravel() * self.scale, check_finite=False) * self.scale
        step = step.reshape(reduced.shape)
        return np.vstack([step, -step.sum(axis=0)])

    def least_eigenvalue_estimate(self, steps: int = 12) -> float:
        """Of the Hessian in the scaled norm on {1ᵀV = 0}, by inverse iteration: from above."""
        V = np.random.default_rng(0).standard_normal((self.classes, len(self.exponents)))
        V -= V.mean(axis=0)
        least = np.inf
        with np.errstate(all="ignore"):  # of a Hessian that vanishes: 0
            for _ in range(steps):
                V /= np.linalg.norm(V)
                V = self.scaled_solve(V)
                least = 1 / float(np.linalg.norm(V))
        return least if np.isfinite(least) else 0.0


def float_columns(data: ProofData, exponents: np.ndarray | None = None, rows: np.ndarray | None = None) -> np.ndarray:
    """X / 2**exponents in float64, an entry at most three roundings off, for all rows or some; no overflow on the way.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.proof.minimum.refine import float_columns
        >>> from jaxsoftmax.proof.exact.data import ExactData
        >>> from jaxsoftmax.proof.minimum.objective import proof_data
        >>> data = proof_data(ExactData(js.Problem.from_labels([[1e30], [3e30]], [0, 1])))
        >>> float_columns(data, np.array([100, 0])).round(2).tolist()
        [[0.79, 1.0], [2.37, 1.0]]
    """
    A = data.A if rows is None else data.A[rows]
    places = np.zeros(A.shape[1], int) if exponents is None else exponents
    if A.dtype == object:
        up = [(q << int(e), 0) if e >= 0 else (q, -int(e)) for q, e in zip(data.scales, places, strict=True)]
        return np.array(
            [[(a << left) / q for a, (q, left) in zip(row, up, strict=True)] for row in A.tolist()], np.float64
        ).reshape(A.shape)
    bits = np.array([q.bit_length() for q in data.scales])
    X = A / np.array([q / (1 << q.bit_length()) for q in data.scales])
    return np.ldexp(X, -(bits + places).astype(np.int64), out=X)


def _probabilities(Z: np.ndarray) -> np.ndarray:
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def _weighted_gram(X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Xᵀ diag(weights) X in blocks of rows: X is not copied whole."""
    total = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _BLOCK):
        rows = slice(start, start + _BLOCK)
        part = X[rows] * np.sqrt(weights[rows])[:, None]
        total += part.T @ part
    return total


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
    beta: float,
    share: float = 1.0,
    curvature: float | None = None,
    radius: float = 0.0,
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
        beta: S13's β in the scaled norm.
        share: what is expected to be proved of the least eigenvalue; a lower one costs more precision.
        curvature: an estimate of the μ that will be proved; default: `share` times an estimate of the least eigenvalue.
        radius: log₂ of the scaled distance from the minimiser that is good enough.
        progress: called with a line of text now and then.

    Raises:
        ArithmeticError: the steps do not contract: W is too far from a minimiser, or there is none.

    Source: S13; Kantorovich's chord method with residuals in higher precision (iterative refinement).
    """
    W = W - W.mean(axis=0)
    try:
        factor = FactoredHessian(data, W, exponents, progress)
    except np.linalg.LinAlgError:
        raise ArithmeticError("the Hessian at W could not be factored") from None
    if curvature is None:
        curvature = share * factor.least_eigenvalue_estimate()
    sigma = [Fraction(2) ** int(e) for e in exponents]
    # A weight of column d is about 2^-e_d, a unit of the gradient's rounding Σ s_n σ_d.
    small = int(max(0, exponents.max(initial=0)))
    load = int(np.ceil(log2_estimate(Fraction(int(data.s_num.sum()), data.s_den))))
    bits, precision, before = 64 + small, 96, np.inf
    exact = _fixed(W, bits)
    log_mu, log_beta = float(np.log2(max(curvature, 1e-300))), float(np.log2(beta))
    (n, K), C = data.A.shape, data.C
    cost = n * K**2 * C * (C - 1) / 2 + ((C - 1) * K) ** 3 / 3
    spare, renewals = _SPARE_PLACES, _RENEWALS if cost <= _CHEAP else 0
    most = _MOST_STEPS + int(max(0.0, -target)) // 16
    first, told = 0.0, Countdown(progress, total=0.0)  # from the first step on: how far the gap is to go
    for step in range(most):
        found = enclose(data, exact, bits, precision, progress)
        norm = _log2_norm(found.gradient, found.gradient_error, sigma)
        gap = 2 * norm - log_mu - 1
        loss = log2_estimate(found.loss[1])
        if step == 0:
            first, told = gap, Countdown(progress, total=gap - loss - target)
        words = f"step {step}: log10 of the scaled gradient {norm * 0.30103:.1f}, of the gap {gap * 0.30103:.1f}"
        told(first - gap, words)
        if norm - log_mu < min(-1 - log_beta, radius) and gap <= loss + target:
            return Refined(exact, bits, found, step)
        if step >= 3 and norm > before + np.log2(_LEAST_GAIN) and not renewals:
            raise ArithmeticError(
                f"the steps gain too little: the last one took the scaled gradient from 2^{before:.1f} to 2^{norm:.1f}"
            )
        gain = max(before - norm, 8.0) if np.isfinite(before) else 24.0
        before = norm
        if step >= 1 and gain < _GOOD_GAIN and renewals:  # the start was rough: a factor nearer by
            renewals -= 1
            try:
                factor = FactoredHessian(data, np.array([[w / (1 << bits) for w in row] for row in exact]), exponents)
            except np.linalg.LinAlgError:
                renewals = 0
        scale = Fraction(2) ** int(np.floor(norm))
        # Of the order of one, as is what the factor makes of it over 2^norm/μ.
        gradient = np.array([[float(g / scale / s) for g, s in zip(row, sigma, strict=True)] for row in found.gradient])
        with np.errstate(over="ignore", invalid="ignore"):
            change = factor.scaled_solve(gradient)
        if not np.isfinite(change).all():
            raise ArithmeticError("the Hessian at W could not be factored")
        # What the next step can resolve: its gradient is about 2^(norm − gain), and must not drown in rounding.
        need = int(np.ceil(-norm)) + int(np.ceil(max(gain, 24.0) * 1.5)) + 32 + load
        precision = max(precision, need)
        # Places of W beyond these would only lengthen the certificate: cutting W there moves the gradient by less than
        # Λ_Σ √(CK) 2^(max e − places), Λ_Σ <= ½ K Σ s_n·O(1), which is a small part of the norm that ends the steps.
        wanted = min((loss + target + log_mu + 1) / 2, log_mu + min(-1 - log_beta, radius))
        enough = int(np.ceil(-wanted + load + 1.5 * np.log2(exact.size))) + small + spare
        finer = max(bits, min(need + small + 32, enough))
        spare += 8 if enough <= need + small + 32 else 0  # should this step not be the last, the bound was too low
        exact = exact * (1 << finer - bits)
        bits = finer
        shifts = [scale * (1 << bits) / s for s in sigma]
        moved = np.array(
            [[int(Fraction(float(v)) * f) for v, f in zip(row, shifts, strict=True)] for row in change[:-1]],
            dtype=object,
        )
        exact[:-1] -= moved
        exact[-1] = -exact[:-1].sum(axis=0)
    raise ArithmeticError(f"{most} steps were not enough; the scaled gradient is 2^{before:.1f}")


def _fixed(W: np.ndarray, bits: int) -> np.ndarray:
    """W as integers over 2**bits, every column summing to 0."""
    exact = np.array([[int(Fraction(float(w)) * (1 << bits)) for w in row] for row in W], dtype=object)
    exact[-1] = -exact[:-1].sum(axis=0)
    return exact


def _log2_norm(gradient: np.ndarray, error: np.ndarray, sigma: list[Fraction]) -> float:
    """log₂ of an upper bound of ‖gΣ⁻¹‖_F."""
    total = Fraction(0)
    for d, s in enumerate(sigma):
        for g in gradient[:, d]:
            total += ((abs(g) + error[d]) / s) ** 2
    return log2_estimate(total) / 2
