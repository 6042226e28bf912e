"""The convexity probe: the spectrum of the Hessian at a point, its null space (S6), and the bounds of S7 beside it.

Dense for C·D <= 3000 (dense.py), from products beyond (matrix_free.py). The eigenvalues answer two
questions: is any of them negative beyond what rounding explains (then S5 is refuted, with a witness direction), and are
exactly as many of them zero as S6 says.

**Resolution.** Probabilities are right within 4·eps·(1 + log₂C), so a product y_a y_b within twice that, and a sum
over N samples adds (8 + √N)·eps·Σ|terms|. Entry by entry the computed Hessian therefore errs by at most κ·eps·B with
κ = 16 + 8 log₂C + √N and B = Σ_n s_n |S(y_n)| ⊗ |x_n||x_n|ᵀ. |S(y)| = Σ_{a<b} y_a y_b (e_a + e_b)(e_a + e_b)ᵀ is
positive semi-definite with the trace of S(y), hence so is B, and ‖B‖ <= tr B = tr H. An error bounded entrywise by a
non-negative matrix has at most its norm. Errors of the logits move H between e^{−ρ}H and e^{ρ}H (S8): they change no
sign. Products H V err likewise, by κ·eps·B, so an iteration on products sees H to the same accuracy. A symmetric
eigensolver adds a backward error of about n·eps·λ_max, n = CD. Together every computed eigenvalue is
within

    resolution = eps·[κ·tr H + n·λ_max] <= c·eps·n·λ_max,  c = 1 + κ

of one of H's, and a number smaller than that is not distinguishable from 0 in float64. All of it survives a congruence
by a positive diagonal, so the kernel is counted where the diagonal is near 1 and units do not matter.

**Relative resolution.** In features scaled by Σ (powers of two) let H_s = Σ⁻¹HΣ⁻¹ ⪰ μ_s on (𝒦Σ)⊥, found above its own
resolution δ_s = eps·κ·tr H_s. By Sylvester H is then positive on 𝒦⊥ and its kernel is exactly 𝒦. Moreover each v in 𝒦⊥
is the projection of some w with u = wΣ in (𝒦Σ)⊥, of the same form, and |wᵀEw| <= δ_s‖u‖² <= (δ_s/μ_s) wᵀHw: forms,
hence the smallest eigenvalue, are known to a *relative* δ_s/μ_s. The matrix-free probe uses this where λ_min is below
the absolute resolution. On 60,000 images of digits it decides: pixels seen in one sample alone make λ_min/λ_max 10⁻¹³.

Forms along a given v are evaluated as sums of variances, accurate relative to their own size whatever v is: λ_min as
reported is such a form, an upper bound up to its rounding. In float32 (`dtype="float32"`) eps is float32's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.calculus.bounds.curvature import curvature_bound, samplewise_curvature_bound
from jaxsoftmax.calculus.loss.null_space import NullSpace, null_space
from jaxsoftmax.evidence.spectrum.dense import judge_symmetric, power_of_two_scale, resolution_of
from jaxsoftmax.evidence.spectrum.density import density_of_values
from jaxsoftmax.evidence.spectrum.matrix_free import Found, probe_matrix_free
from jaxsoftmax.evidence.spectrum.midpoints import probe_midpoints
from jaxsoftmax.evidence.spectrum.problem_operator import CountedHessian, problem_operator, random_members
from jaxsoftmax.evidence.spectrum.report import Convexity, ConvexityReport
from jaxsoftmax.linalg.enclosures import UP
from jaxsoftmax.problem.dtypes import narrowed, widened
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.memory import cannot_fit, devices_of, fits, shortage
from jaxsoftmax.support.validation import (
    as_weights,
    one_of,
    random_generator,
    require_concrete,
    show,
)

DENSE_LIMIT = 3000
METHODS = ("auto", "dense", "matrix-free")
# Matrices of C·D x C·D that the dense route has at one time: H, the same scaled, a basis, eigenvectors and workspace.
_MATRICES = 5


def probe_convexity(
    problem: Problem,
    W: Any,
    *,
    method: str = "auto",
    dtype: str = "float64",
    key: Any = None,
    progress: Callable[[str], None] | None = None,
) -> ConvexityReport:
    """Measure the curvature of the loss at W and compare it with the theory: is it convex there, and how flat is it?

    By theory no eigenvalue of the Hessian H(W) is negative (S5), exactly the predicted null space has eigenvalue zero
    (S6), and the others lie between two bounds (S7).

    Args:
        problem: the data, concrete. A float32 problem is widened exactly.
        W: (C, D) weights.
        method: "dense" diagonalises H (C·D <= 3000), "matrix-free" needs products with H alone; "auto" is the first
            where it is allowed and its memory is free.
        dtype: what H is computed in, "float64" or "float32" (a float64 problem is rounded to it).
        key: random key for starting vectors and directions; ``jax.random.key(0)`` when None.
        progress: called with one line before and during long stages.

    Returns:
        A `ConvexityReport` with its verdict. CONSISTENT: nothing contradicts the theory. REFUTED: some curvature is
        negative beyond rounding; along `witness` the curvature computed in another way is negative too, or the loss at
        a midpoint lies above its chord. UNRESOLVED: the smallest eigenvalue outside the null space cannot be told from
        0 in this precision, or the null space found is not the one predicted.

    Raises:
        ValueError: method="dense" with C·D > 3000, W does not fit the problem or is not finite, an unknown method or
            dtype; more memory is needed than is free (said before it is allocated).
        TypeError: a traced problem, or a key that is none.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> report = js.probe_convexity(problem, np.zeros((2, 2)))
        >>> report.verdict.value, report.kernel_dim, report.kernel_dim_predicted
        ('CONSISTENT', 2, 2)

    Source: S5 is the second theorem of Rychlik, arXiv:1903.12600.
    """
    require_concrete(problem)
    one_of("method", method, METHODS)
    one_of("dtype", dtype, ("float64", "float32"))
    size = problem.C * problem.D
    dense = 8 * _MATRICES * size**2
    if method == "auto":
        method = "dense" if size <= DENSE_LIMIT and fits(dense) else "matrix-free"
    if method == "dense" and size > DENSE_LIMIT:
        given = f"got 'dense', but C*D = {problem.C}*{problem.D} = {size} exceeds {DENSE_LIMIT}"
        raise WrongValue("method", given, "give 'matrix-free'")
    if method == "dense" and (free := shortage(dense)) is not None:
        raise cannot_fit("method", f"'dense' with {size:,} x {size:,} matrices", dense, free, "give 'matrix-free'")
    _refuse_the_copy(problem, dtype)
    W = np.asarray(as_weights(W, problem), np.float64)
    if not np.all(np.isfinite(W)):
        bad = np.argwhere(~np.isfinite(W))[0]
        raise WrongValue("W", f"entry ({bad[0]}, {bad[1]}) is {show(W[tuple(bad)])}", "give finite weights")
    rng = random_generator(key)
    tell = progress or (lambda line: None)
    begin = time.perf_counter()
    with jax.enable_x64(True):
        stored = widened(problem) if dtype == "float64" else narrowed(problem)
        W = W.astype(dtype).astype(np.float64)
        tell("null space: the rank of X")
        kern = null_space(stored)
        tell("proved bounds")
        upper = curvature_bound(stored)
        lower = samplewise_curvature_bound(W, stored)
        counted = CountedHessian(W.astype(dtype), stored)
        if method == "dense":
            tell("dense eigenvalues")
            found = _dense(counted, kern)
        else:
            found = probe_matrix_free(problem_operator(counted, kern, upper, rng, tell), rng, tell)
        tell("lines")
        directions = [rng.standard_normal(size) for _ in range(2)]
        directions += [v for v in (found.low_vector, found.high_vector) if v is not None]
        forms = [counted.form(v) for v in directions]
        members = random_members(kern, problem.C, rng, 1)
        if members is not None:
            forms.append(counted.form(members[:, 0]))
        lines = probe_midpoints(stored, W, [v.reshape(W.shape) for v in directions])
    verdict, reason, witness = found.verdict, found.reason, found.witness
    if verdict is not Convexity.REFUTED and lines.midpoint_excess > 1:
        verdict, witness = Convexity.REFUTED, lines.direction
        reason = f"A midpoint lies above its chord by {lines.midpoint_excess:.3g} times what rounding allows."
    low, high = found.lambda_min, found.lambda_max
    return ConvexityReport(
        lambda_min=low,
        lambda_max=high,
        lambda_min_bound=lower,
        lambda_max_bound=upper,
        kernel_dim=found.kernel_dim,
        kernel_dim_predicted=int(kern.dim),
        rank=int(kern.rank),
        condition_estimate=high / low if low > 0 else math.inf,
        condition_bound=upper / lower * UP if lower > 0 else math.inf,
        residual_estimate=max(found.residual_min, found.residual_max),
        residual_min_estimate=found.residual_min,
        residual_max_estimate=found.residual_max,
        resolution=found.resolution,
        rank_tolerance=kern.tolerance,
        form_min_measured=min(forms),
        midpoint_excess_measured=lines.midpoint_excess,
        products=counted.products,
        seconds=time.perf_counter() - begin,
        witness=None if witness is None else witness.reshape(W.shape),
        spectral_density=found.density,
        verdict=verdict,
        reason=reason,
        method=method,
        dtype=dtype,
        resolved=found.resolved,
    )


def _refuse_the_copy(problem: Problem, dtype: str) -> None:
    """Refuse to convert X where the memory is not free."""
    needed = problem.N * problem.D * np.dtype(dtype).itemsize
    if problem.X.dtype == dtype or (free := shortage(needed, devices_of(problem.X))) is None:
        return
    what = f"the copy of {problem.N:,} samples and {problem.D:,} columns in {dtype}"
    most = max(1, int(free // (problem.D * np.dtype(dtype).itemsize)))
    remedy = f"probe a problem of at most {most:,} samples at a time (the Hessian is the sum of theirs)"
    if dtype == "float64" and (problem.X.dtype == np.float32 or needed / 2 <= free):
        remedy = f"give the dtype 'float32', or {remedy}"
    raise cannot_fit("dtype", what, needed, free, remedy)


def _dense(counted: CountedHessian, kern: NullSpace) -> Found:
    """Diagonalise H; residuals and a witness's form by the matrix-free route."""
    problem = counted.H.problem
    N, C, eps = problem.N, problem.C, float(np.finfo(problem.dtype).eps)
    M = np.asarray(counted.H.to_dense(), np.float64)
    M = (M + M.T) / 2
    scale = power_of_two_scale(M)
    counting = M * scale[:, None] * scale[None, :]
    resolution = resolution_of(M, N, C, eps)
    judged = judge_symmetric(
        M,
        resolution=resolution,
        complement=np.asarray(kern.complement_basis(), np.float64),
        kernel_dim_predicted=int(kern.dim),
        counting=counting,
        counting_resolution=resolution_of(counting, N, C, eps),
        quadratic=lambda v: float(v @ counted.apply(v[:, None])[:, 0]),
    )
    residuals = [0.0, 0.0]
    pairs = ((judged.lambda_min, judged.low_vector), (judged.lambda_max, judged.high_vector))
    for place, (value, v) in enumerate(pairs):
        if v is not None:
            residuals[place] = float(np.linalg.norm(counted.apply(v[:, None])[:, 0] - value * v))
    resolved = bool(judged.lambda_min > resolution) or judged.low_vector is None
    low = judged.lambda_min
    if resolved and judged.low_vector is not None:
        low = counted.form(judged.low_vector)  # of second order in the error of the vector, and no cancellation
    return Found(
        judged.verdict, judged.reason, low, judged.lambda_max, judged.kernel_dim, resolution, resolved,
        residuals[0], residuals[1],
        judged.witness, judged.low_vector, judged.high_vector, density_of_values(judged.values),
    )  # fmt: skip
