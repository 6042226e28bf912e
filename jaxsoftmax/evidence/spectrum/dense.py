"""The dense probe: what the eigenvalues of a symmetric matrix say to its resolution (S5, S6).

Guarded by `tests/evidence/spectrum/test_probe.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxsoftmax.evidence.spectrum.report import Convexity

EPS = float(np.finfo(np.float64).eps)


class Judgement(NamedTuple):
    """What `judge_symmetric` finds in a symmetric matrix."""

    verdict: Convexity
    lambda_min: float  # smallest eigenvalue on the complement of the predicted kernel; NaN when that is {0}
    lambda_max: float
    kernel_dim: int  # eigenvalues of the whole matrix within the resolution of 0
    witness: np.ndarray | None  # (n,) unit vector with a negative quadratic form
    low_vector: np.ndarray | None  # (n,) eigenvector of lambda_min
    high_vector: np.ndarray | None
    reason: str
    values: np.ndarray  # eigenvalues on the complement, ascending


def rounding_constant(samples: int, classes: int) -> float:
    """κ of the docstring of probe.py."""
    return 16.0 + 8.0 * math.log2(classes) + math.sqrt(samples)


def resolution_of(M: np.ndarray, samples: int, classes: int, eps: float = EPS) -> float:
    """The resolution of probe.py's docstring, with λ_max bounded by the Frobenius norm.

    `eps` is that of the products which M comes from; the eigensolver works in float64.
    """
    trace = float(np.abs(np.diagonal(M)).sum())
    return eps * rounding_constant(samples, classes) * trace + EPS * M.shape[0] * float(np.linalg.norm(M))


def judge_symmetric(
    M: np.ndarray,
    *,
    resolution: float,
    complement: np.ndarray | None = None,
    kernel_dim_predicted: int = 0,
    counting: np.ndarray | None = None,
    counting_resolution: float | None = None,
    quadratic: Callable[[np.ndarray], float] | None = None,
) -> Judgement:
    """Whether the symmetric float64 matrix M is, to its resolution, non-negative with the predicted kernel.

    Args:
        M: (n, n) symmetric.
        resolution: absolute accuracy of its eigenvalues.
        complement: (n, n − k) orthonormal basis of the complement of the predicted kernel; None for the whole space.
        kernel_dim_predicted: k.
        counting: a matrix congruent to M (ΣMΣ, Σ a positive diagonal) in which the kernel is counted, better scaled;
            M itself when None. By Sylvester's law it has the same number of zero and negative eigenvalues.
        counting_resolution: its resolution.
        quadratic: v -> vᵀMv by another route, to confirm a witness; by M itself when None.
    """
    n = M.shape[0]
    plain = np.linalg.eigvalsh(M)
    scaled = plain if counting is None else np.linalg.eigvalsh(counting)
    zero = resolution if counting_resolution is None else counting_resolution
    kernel_dim = int(np.count_nonzero(np.abs(scaled) <= zero))
    low = high = None
    lambda_min, lambda_max = math.nan, float(plain[-1])
    values = np.zeros(0)
    basis = np.eye(n) if complement is None else complement
    if basis.shape[1]:
        values, vectors = np.linalg.eigh(basis.T @ M @ basis)
        lambda_min, lambda_max = float(values[0]), float(values[-1])
        low, high = basis @ vectors[:, 0], basis @ vectors[:, -1]

    def done(verdict: Convexity, reason: str, witness: np.ndarray | None = None) -> Judgement:
        return Judgement(verdict, lambda_min, lambda_max, kernel_dim, witness, low, high, reason, values)

    if plain[0] < -resolution or lambda_min < -resolution:
        v = low if lambda_min < -resolution else np.linalg.eigh(M)[1][:, 0]
        assert v is not None
        form = float(v @ M @ v) if quadratic is None else quadratic(v)
        if form < 0:
            return done(Convexity.REFUTED, f"The curvature along the witness is {form:.3g} < 0.", v)
        return done(
            Convexity.UNRESOLVED,
            f"The dense matrix has the eigenvalue {min(plain[0], lambda_min):.3g} < 0, but products with H give the "
            f"curvature {form:.3g} along its eigenvector: the two ways disagree.",
        )
    if basis.shape[1] and abs(lambda_min) <= resolution:
        return done(
            Convexity.UNRESOLVED,
            f"The smallest eigenvalue outside the null space, {lambda_min:.3g}, is below the resolution "
            f"{resolution:.3g}.",
        )
    if kernel_dim != kernel_dim_predicted:
        return done(
            Convexity.UNRESOLVED,
            f"{kernel_dim} eigenvalues cannot be told from zero; {kernel_dim_predicted} zeros were predicted.",
        )
    return done(Convexity.CONSISTENT, "No eigenvalue is negative, and the null space is the one predicted.")


def power_of_two_scale(M: np.ndarray) -> np.ndarray:
    """Powers of two that bring the diagonal of M near 1, so that the kernel count does not depend on units."""
    diagonal = np.abs(np.diagonal(M))
    return np.where(diagonal > 0, np.exp2(-np.round(np.log2(np.where(diagonal > 0, diagonal, 1.0)) / 2)), 1.0)
