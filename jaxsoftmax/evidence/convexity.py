"""The convexity probe: the spectrum of the Hessian at a point, its kernel as S6 predicts it, and S7's bounds beside it.

Dense and in float64, for C·D <= 3000. The eigenvalues answer two questions: is any of them negative beyond what
rounding explains (then S5 is refuted, with a witness direction), and are exactly as many of them zero as S6 says.

**Resolution.** Probabilities are right within 4·eps·(1 + log₂C), so a product y_a y_b within twice that, and a sum
over N samples adds (8 + √N)·eps·Σ|terms|. Entry by entry the computed Hessian therefore errs by at most κ·eps·B with
κ = 16 + 8 log₂C + √N and B = Σ_n s_n |S(y_n)| ⊗ |x_n||x_n|ᵀ. |S(y)| = Σ_{a<b} y_a y_b (e_a + e_b)(e_a + e_b)ᵀ is
positive semi-definite with the trace of S(y), hence so is B, and ‖B‖ <= tr B = tr H. An error bounded entrywise by a
non-negative matrix has at most its norm. Errors of the logits move H between e^{−ρ}H and e^{ρ}H (S8): they change no
sign. A symmetric eigensolver adds a backward error of about n·eps·λ_max, n = CD. Together every computed eigenvalue is
within

    resolution = eps·[κ·tr H + n·λ_max] <= c·eps·n·λ_max,  c = 1 + κ

of one of H's, and a number smaller than that is not distinguishable from 0 in float64. All of it survives a congruence
by a positive diagonal, so the kernel is counted where the diagonal is near 1 and units do not matter.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax._checks import as_weights, is_traced, show
from jaxsoftmax._widen import widened
from jaxsoftmax.calculus.bounds import condition_bound, curvature_bound, curvature_lower_bound
from jaxsoftmax.calculus.gauge import kernel
from jaxsoftmax.calculus.hessian import hessian
from jaxsoftmax.problem import Problem

DENSE_LIMIT = 3000
EPS = float(np.finfo(np.float64).eps)


class Convexity(enum.Enum):
    """The verdict: CONSISTENT with S5 and S6; REFUTED, with a witness; UNRESOLVED at this precision."""

    CONSISTENT = "CONSISTENT"
    REFUTED = "REFUTED"
    UNRESOLVED = "UNRESOLVED"


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


def resolution_of(M: np.ndarray, samples: int, classes: int) -> float:
    """The resolution of the module's docstring, with λ_max bounded by the Frobenius norm."""
    kappa = 16.0 + 8.0 * math.log2(classes) + math.sqrt(samples)
    trace = float(np.abs(np.diagonal(M)).sum())
    return EPS * (kappa * trace + M.shape[0] * float(np.linalg.norm(M)))


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
    basis = np.eye(n) if complement is None else complement
    if basis.shape[1]:
        values, vectors = np.linalg.eigh(basis.T @ M @ basis)
        lambda_min, lambda_max = float(values[0]), float(values[-1])
        low, high = basis @ vectors[:, 0], basis @ vectors[:, -1]

    def done(verdict: Convexity, reason: str, witness: np.ndarray | None = None) -> Judgement:
        return Judgement(verdict, lambda_min, lambda_max, kernel_dim, witness, low, high, reason)

    if plain[0] < -resolution or lambda_min < -resolution:
        v = low if lambda_min < -resolution else np.linalg.eigh(M)[1][:, 0]
        assert v is not None
        form = float(v @ M @ v) if quadratic is None else quadratic(v)
        if form < 0:
            return done(Convexity.REFUTED, f"The quadratic form is {form:.3g} < 0 along the witness.", v)
        return done(
            Convexity.UNRESOLVED,
            f"The dense matrix has the eigenvalue {min(plain[0], lambda_min):.3g} < 0, but the matrix-free form is "
            f"{form:.3g} there: the two routes disagree.",
        )
    if basis.shape[1] and abs(lambda_min) <= resolution:
        return done(
            Convexity.UNRESOLVED,
            f"The smallest eigenvalue off the kernel, {lambda_min:.3g}, is below the resolution {resolution:.3g}.",
        )
    if kernel_dim != kernel_dim_predicted:
        return done(
            Convexity.UNRESOLVED,
            f"{kernel_dim} eigenvalues are zero to the resolution; S6 predicts {kernel_dim_predicted}.",
        )
    return done(Convexity.CONSISTENT, "No eigenvalue is negative, and the kernel is the one that S6 predicts.")


_DATA = (
    "lambda_min",
    "lambda_max",
    "lambda_min_bound",
    "lambda_max_bound",
    "kernel_dim",
    "kernel_dim_predicted",
    "rank",
    "condition_estimate",
    "condition_bound",
    "residual_estimate",
    "resolution",
    "witness",
)


@partial(jax.tree_util.register_dataclass, data_fields=_DATA, meta_fields=("verdict", "reason"))
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ConvexityReport:
    """What `probe_convexity` found; numbers are float64 (Python floats), arrays NumPy.

    Attributes:
        lambda_min, lambda_max: extreme eigenvalues of H(W) on 𝒦⊥ (lambda_min NaN when 𝒦⊥ = {0}).
        lambda_min_bound, lambda_max_bound: rigorous bounds by S7c (0.0: none) and S7a.
        kernel_dim, kernel_dim_predicted: eigenvalues of H that are 0 to the resolution, and S6's dimension.
        rank: rank R of X over the samples that take part (S6).
        condition_estimate, condition_bound: λ_max/λ_min on 𝒦⊥ and S7c's bound on it (inf: none).
        residual_estimate: larger of ‖Hv − λv‖ over the two extreme pairs, H applied matrix-free, ‖v‖ = 1.
        resolution: what float64 can resolve here (the module's docstring derives it).
        witness: (C, D) direction of negative curvature when REFUTED, else None.
        verdict: a `Convexity`.
        reason: one sentence.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> report = js.probe_convexity(problem, np.zeros((2, 2)))
        >>> report.to_dict()["lambda_max"] <= report.lambda_max_bound
        True
    """

    lambda_min: Any
    lambda_max: Any
    lambda_min_bound: Any
    lambda_max_bound: Any
    kernel_dim: Any
    kernel_dim_predicted: Any
    rank: Any
    condition_estimate: Any
    condition_bound: Any
    residual_estimate: Any
    resolution: Any
    witness: Any
    verdict: Convexity
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, keys as the fields; inf and NaN become None."""
        out: dict[str, Any] = {"verdict": self.verdict.value}
        for name in _DATA[:-1]:
            value = getattr(self, name)
            out[name] = value if math.isfinite(value) else None
        out["witness"] = None if self.witness is None else np.asarray(self.witness).tolist()
        return out | {"reason": self.reason}

    def __repr__(self) -> str:
        if not isinstance(self.lambda_max, float):  # rebuilt by JAX with something else in the leaves
            return f"ConvexityReport({self.verdict.value})"
        lower = f"S7c {self.lambda_min_bound:.6g}" if self.lambda_min_bound > 0 else "no rigorous bound"
        upper = f"S7c {self.condition_bound:.6g}" if math.isfinite(self.condition_bound) else "no rigorous bound"
        return "\n".join(
            (
                f"Convexity probe: {self.verdict.value}. {self.reason}",
                f"  smallest eigenvalue off the kernel {self.lambda_min:.6g}  (at least: {lower})",
                f"  largest eigenvalue {self.lambda_max:.6g}  (at most: S7a {self.lambda_max_bound:.6g})",
                f"  condition number off the kernel {self.condition_estimate:.6g}  (at most: {upper})",
                f"  kernel dimension {self.kernel_dim}, S6 predicts {self.kernel_dim_predicted}; rank of X {self.rank}",
                f"  residual |Hv - λv| {self.residual_estimate:.2g}; float64 resolves {self.resolution:.2g} here",
            )
        )


def probe_convexity(problem: Problem, W: Any) -> ConvexityReport:
    """Diagonalise H(W) in float64 and compare with S5 (no negative eigenvalue), S6 (kernel) and S7 (bounds).

    Args:
        problem: the data, concrete, with C·D <= 3000. A float32 problem is widened exactly.
        W: (C, D) weights.

    Returns:
        A `ConvexityReport` with verdict CONSISTENT, REFUTED (an eigenvalue negative beyond rounding; `witness` is a
        direction along which the matrix-free quadratic form is negative) or UNRESOLVED (the smallest eigenvalue off the
        kernel is below the resolution, or the kernel found is not the one predicted).

    Raises:
        ValueError: C·D > 3000, or W does not fit the problem or is not finite.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> report = js.probe_convexity(problem, np.zeros((2, 2)))
        >>> report.verdict.value, report.kernel_dim, report.kernel_dim_predicted
        ('CONSISTENT', 2, 2)

    Source: S5 is the second theorem of Rychlik, arXiv:1903.12600.
    """
    size = problem.C * problem.D
    if size > DENSE_LIMIT:
        raise ValueError(
            f"problem: C*D = {problem.C}*{problem.D} = {size} exceeds {DENSE_LIMIT}, the limit of the dense probe. "
            "Probe a problem with fewer columns or classes, or use js.hessian(W, problem) matrix-free."
        )
    if is_traced(problem.X):
        raise TypeError("problem: its arrays are traced; the probe needs concrete data. Call it outside jit and vmap.")
    W = np.asarray(as_weights(W, problem), np.float64)
    if not np.all(np.isfinite(W)):
        bad = np.argwhere(~np.isfinite(W))[0]
        raise ValueError(f"W: entry ({bad[0]}, {bad[1]}) is {show(W[tuple(bad)])}; the probe needs finite weights.")
    predicted = kernel(problem)
    with jax.enable_x64(True):
        wide = widened(problem)
        H = hessian(W, wide)
        M = np.asarray(H.to_dense())
        M = (M + M.T) / 2
        scale = _power_of_two_scale(M)

        def apply(v: np.ndarray) -> np.ndarray:
            return np.asarray(H @ jax.numpy.asarray(v.reshape(W.shape))).reshape(-1)

        counting = M * scale[:, None] * scale[None, :]
        judgement = judge_symmetric(
            M,
            resolution=resolution_of(M, problem.N, problem.C),
            complement=np.asarray(predicted.complement_basis(), np.float64),
            kernel_dim_predicted=int(predicted.dim),
            counting=counting,
            counting_resolution=resolution_of(counting, problem.N, problem.C),
            quadratic=lambda v: float(v @ apply(v)),
        )
        residual = 0.0
        pairs = ((judgement.lambda_min, judgement.low_vector), (judgement.lambda_max, judgement.high_vector))
        for value, v in pairs:
            if v is not None:
                residual = max(residual, float(np.linalg.norm(apply(v) - value * v)))
        lower = float(curvature_lower_bound(W, wide))
        condition = float(condition_bound(W, wide))
    low, high = judgement.lambda_min, judgement.lambda_max
    return ConvexityReport(
        lambda_min=low,
        lambda_max=high,
        lambda_min_bound=lower,
        lambda_max_bound=float(curvature_bound(problem)),
        kernel_dim=judgement.kernel_dim,
        kernel_dim_predicted=int(predicted.dim),
        rank=int(predicted.rank),
        condition_estimate=high / low if low > 0 else math.inf,
        condition_bound=condition,
        residual_estimate=residual,
        resolution=resolution_of(M, problem.N, problem.C),
        witness=None if judgement.witness is None else judgement.witness.reshape(W.shape),
        verdict=judgement.verdict,
        reason=judgement.reason,
    )


def _power_of_two_scale(M: np.ndarray) -> np.ndarray:
    """Powers of two that bring the diagonal of M near 1, so that the kernel count does not depend on units."""
    diagonal = np.abs(np.diagonal(M))
    return np.where(diagonal > 0, np.exp2(-np.round(np.log2(np.where(diagonal > 0, diagonal, 1.0)) / 2)), 1.0)
