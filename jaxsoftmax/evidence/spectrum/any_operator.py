"""The convexity probe for any symmetric operator that is given as a function of a flat vector (S5)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.evidence.spectrum.dense import judge_symmetric
from jaxsoftmax.evidence.spectrum.density import density_of_values
from jaxsoftmax.evidence.spectrum.matrix_free import MEMBERS, Found, ProbedOperator, probe_matrix_free
from jaxsoftmax.evidence.spectrum.report import ConvexityReport
from jaxsoftmax.support.validation import kind_of, nonnegative_real, positive_int, random_generator, show

OPERATOR_DENSE_LIMIT = 1000


def probe_operator(
    matvec: Callable[[Any], Any],
    size: int,
    *,
    kernel_basis: Any = None,
    key: Any = None,
    dense_limit: int = OPERATOR_DENSE_LIMIT,
    product_error: float | None = None,
    precondition: Callable[[Any], Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ConvexityReport:
    """Whether a symmetric operator has no negative eigenvalue, and the null space that is expected (S5).

    Its matrix is formed and diagonalised up to `dense_limit`; beyond, Lanczos and block Davidson use products alone.

    **Resolution.** A product is taken to err by at most `product_error` relative to the largest eigenvalue, so no
    eigenvalue smaller than `product_error`·λ_max is distinguished from 0. The default, eps·(16 + √size) with the eps of
    what `matvec` returns, is right for sums of `size` terms without cancellation; an operator with longer or cancelling
    sums needs a larger one.

    Args:
        matvec: v -> A v for a flat vector (size,), NumPy in; NumPy or JAX out. It is called with float64, inside
            `jax.enable_x64(True)`.
        size: length of the vectors.
        kernel_basis: (size, k) independent columns that span its expected null space; None: A should be definite.
        key: random key for starting vectors; ``jax.random.key(0)`` when None.
        dense_limit: the largest size for which the matrix is formed (`size` products).
        product_error: relative accuracy of products, see above.
        precondition: r -> approximately A⁻¹r outside the null space, of a flat vector; without one the smallest
            eigenvalue takes many products.
        progress: called with one line now and then.

    Returns:
        A `ConvexityReport` (no S7 bounds, no midpoints: NaN). `witness` is flat.

    Raises:
        ValueError: A is not symmetric (⟨u, Av⟩ against ⟨v, Au⟩), returns another shape or what is not finite, or
            kernel_basis has another number of rows or dependent columns.
        TypeError: matvec is not a function, or an argument of another kind.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> d = np.array([0.0, 1.0, 2.0, -0.5])
        >>> report = js.probe_operator(lambda v: d * v, 4, kernel_basis=np.eye(4)[:, :1])
        >>> print(report.verdict.value, round(report.lambda_min, 9), np.abs(report.witness).round(6))
        REFUTED -0.5 [0. 0. 0. 1.]
    """
    if not callable(matvec):
        raise TypeError(
            f"matvec: got {show(matvec)}, {kind_of(matvec)}; a function v -> A v of a flat vector is needed."
        )
    if precondition is not None and not callable(precondition):
        raise TypeError(f"precondition: got {kind_of(precondition)}; a function of a flat vector is needed.")
    size, dense_limit = positive_int("size", size), positive_int("dense_limit", dense_limit)
    if product_error is not None:
        product_error = float(nonnegative_real("product_error", product_error))
    rng = random_generator(key)
    tell = progress or (lambda line: None)
    begin = time.perf_counter()
    with jax.enable_x64(True):
        counted = _Counted(matvec, size)
        basis = _orthonormal_basis(kernel_basis, size)
        eps = counted.first(rng)
        relative = eps * (16 + math.sqrt(size)) if product_error is None else product_error
        _require_symmetric(counted, rng, relative)

        def project(V: np.ndarray) -> np.ndarray:
            for _ in range(2):
                V = V - basis @ (basis.T @ V)
            return V

        if size <= dense_limit:
            method, found = "dense", _dense(counted, basis, relative, tell)
        else:
            method = "matrix-free"
            approximate = None if precondition is None else _columns(precondition, project, size)
            found = probe_matrix_free(_operator(counted, basis, project, relative, approximate, rng), rng, tell)
    low, high = found.lambda_min, found.lambda_max
    forms = [counted.form(v) for v in (found.low_vector, found.high_vector, rng.standard_normal(size)) if v is not None]
    return ConvexityReport(
        lambda_min=low,
        lambda_max=high,
        lambda_min_bound=math.nan,
        lambda_max_bound=math.nan,
        kernel_dim=found.kernel_dim,
        kernel_dim_predicted=basis.shape[1],
        rank=size - basis.shape[1],
        condition_estimate=high / low if low > 0 else math.inf,
        condition_bound=math.inf,
        residual_estimate=max(found.residual_min, found.residual_max),
        residual_min_estimate=found.residual_min,
        residual_max_estimate=found.residual_max,
        resolution=found.resolution,
        rank_tolerance=math.nan,
        form_min_measured=min(forms),
        midpoint_excess_measured=math.nan,
        products=counted.products,
        seconds=time.perf_counter() - begin,
        witness=found.witness,
        spectral_density=found.density,
        verdict=found.verdict,
        reason=found.reason,
        method=method,
        dtype="float32" if eps > 1e-10 else "float64",
        resolved=found.resolved,
    )


class _Counted:
    """The caller's function with its results checked and its calls counted."""

    def __init__(self, matvec: Callable[[Any], Any], size: int) -> None:
        self.matvec, self.size, self.products = matvec, size, 0
        self.dtype: Any = None

    def one(self, v: np.ndarray) -> np.ndarray:
        self.products += 1
        with jax.enable_x64(True):
            out = np.asarray(self.matvec(np.array(v)))
        if out.shape != (self.size,):
            raise ValueError(f"matvec: returned shape {out.shape}, expected ({self.size},). Return A v, flat as v is.")
        self.dtype = out.dtype
        if out.dtype.kind not in "iuf" and out.dtype != jnp.bfloat16:
            raise TypeError(f"matvec: returned {kind_of(out)}; real numbers are needed.")
        out = out.astype(np.float64)
        if not np.all(np.isfinite(out)):
            raise ValueError(f"matvec: entry {int(np.argmin(np.isfinite(out)))} of A v is not finite.")
        return out

    def first(self, rng: np.random.Generator) -> float:
        """The eps of what a product returns (float64's for integers)."""
        self.one(rng.standard_normal(self.size))
        return float(jnp.finfo(self.dtype).eps) if self.dtype.kind not in "iu" else float(np.finfo(np.float64).eps)

    def apply(self, V: np.ndarray) -> np.ndarray:
        return np.stack([self.one(V[:, j]) for j in range(V.shape[1])], axis=1)

    def form(self, v: np.ndarray) -> float:
        return float(v @ self.one(v)) / float(v @ v)


def _orthonormal_basis(kernel_basis: Any, size: int) -> np.ndarray:
    if kernel_basis is None:
        return np.zeros((size, 0))
    basis = np.asarray(kernel_basis, np.float64)
    if basis.ndim != 2 or basis.shape[0] != size or basis.shape[1] > size:
        raise ValueError(f"kernel_basis: shape {basis.shape}, expected ({size}, k) with k <= {size}: columns span it.")
    Q, R = np.linalg.qr(basis)
    pivots = np.abs(np.diagonal(R))
    if basis.shape[1] and not pivots.min() > size * np.finfo(np.float64).eps * pivots.max():
        raise ValueError("kernel_basis: its columns are dependent or not finite. Give independent columns.")
    return Q


def _require_symmetric(counted: _Counted, rng: np.random.Generator, relative: float) -> None:
    """⟨u, Av⟩ against ⟨v, Au⟩ for random u, v: they differ by uᵀ(A − Aᵀ)v, of the size of ‖A − Aᵀ‖_F.

    Rounding of the two products leaves at most relative·λ_max·‖u‖‖v‖ each. λ_max is not known yet: ‖Au‖/‖u‖ is at most
    that, so what is refused is refused rightly up to how large ‖Au‖ happens to be; hence the factor √size, which
    bounds the ratio for random u (E‖Au‖² = ‖A‖_F² >= λ_max², ‖u‖² ~ size).
    """
    for _ in range(3):
        u, v = rng.standard_normal((2, counted.size))
        Au, Av = counted.one(u), counted.one(v)
        there, back = float(u @ Av), float(v @ Au)
        size = np.linalg.norm(u) * np.linalg.norm(Av) + np.linalg.norm(v) * np.linalg.norm(Au)
        allowed = relative * math.sqrt(counted.size) * float(size)
        if abs(there - back) > allowed:
            raise ValueError(
                f"matvec: the operator is not symmetric: <u, Av> = {there:.9g} but <v, Au> = {back:.9g} for random u, "
                f"v, and rounding explains {allowed:.1e}. Give a symmetric operator, or a larger product_error."
            )


def _columns(function: Callable[[Any], Any], project: Any, size: int) -> Callable[[np.ndarray], np.ndarray]:
    def apply(R: np.ndarray) -> np.ndarray:
        R = project(R)
        out = [np.asarray(function(np.array(R[:, j])), np.float64) for j in range(R.shape[1])]
        for column in out:
            if column.shape != (size,):
                raise ValueError(f"precondition: returned shape {column.shape}, expected ({size},).")
        return project(np.stack(out, axis=1))

    return apply


def _operator(
    counted: _Counted, basis: np.ndarray, project: Any, relative: float, precondition: Any, rng: np.random.Generator
) -> ProbedOperator:
    members = noise = None
    if basis.shape[1]:
        members = basis @ rng.standard_normal((basis.shape[1], MEMBERS))
        members = members / np.linalg.norm(members, axis=0)
        # A form errs by at most the product's error, relative·λ_max; ‖A‖ is at least ‖Av‖/‖v‖ of any v seen.
        w = rng.standard_normal(counted.size)
        for _ in range(8):
            w = counted.one(w / np.linalg.norm(w))
        noise = np.full(MEMBERS, relative * float(np.linalg.norm(w)))
    return ProbedOperator(
        size=counted.size,
        apply=counted.apply,
        project=project,
        form=counted.form,
        resolution=lambda top: relative * top,
        kernel_dim=basis.shape[1],
        members=members,
        member_noise=noise,
        precondition=precondition,
    )


def _dense(counted: _Counted, basis: np.ndarray, relative: float, tell: Callable[[str], None]) -> Found:
    tell(f"forming the matrix by {counted.size} products")
    n, k = counted.size, basis.shape[1]
    M = counted.apply(np.eye(n))
    M = (M + M.T) / 2
    complement = np.linalg.svd(basis, full_matrices=True)[0][:, k:] if k else None
    resolution = relative * float(np.linalg.norm(M, 2))
    judged = judge_symmetric(
        M, resolution=resolution, complement=complement, kernel_dim_predicted=k, quadratic=counted.form
    )
    residuals = [
        0.0 if v is None else float(np.linalg.norm(counted.one(v) - value * v))
        for value, v in ((judged.lambda_min, judged.low_vector), (judged.lambda_max, judged.high_vector))
    ]
    resolved = judged.low_vector is None or judged.lambda_min > resolution
    return Found(
        judged.verdict, judged.reason, judged.lambda_min, judged.lambda_max, judged.kernel_dim, resolution, resolved,
        residuals[0], residuals[1], judged.witness, judged.low_vector, judged.high_vector,
        density_of_values(judged.values),
    )  # fmt: skip
