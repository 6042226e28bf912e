"""The class-block factors of H: Cholesky factors of its C diagonal blocks, an approximate inverse on 𝒦⊥ (S6, S19).

Block (c, c) of H is M_c = Xᵀ diag(s y_c (1 − y_c)) X + penalties. The C factorisations cost what C of the C(C + 1)/2
Gram products of the dense matrix cost, and applying them costs nothing beside a product with X. They are S19's fixed
Gram factor ½ XᵀSX with each sample's own curvature in place of ½: on 1ᵀV = 0 the Hessian is the sum of these blocks and
of coupling between classes, so what is left of the condition number does not depend on that of X, nor, unlike S19's,
on how confident the samples are.

Everything happens in features scaled by powers of two, scaled to a unit diagonal; the part of the row space's
complement is filled by a multiple of its projector, and both sides are projected on 𝒦⊥. Where C factors would not fit
(more than `MOST_ENTRIES` numbers, or than the memory that is free holds) S19's one factor serves all classes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from jaxsoftmax.calculus.loss.hessian import HessianOperator
from jaxsoftmax.calculus.loss.null_space import NullSpace
from jaxsoftmax.calculus.loss.penalty_sum import penalty_class_blocks
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, complement_projectors
from jaxsoftmax.linalg.blocks import placement, whole_columns
from jaxsoftmax.linalg.products import sum_over_samples
from jaxsoftmax.support.memory import fits

Array = jax.Array

MOST_ENTRIES = 250_000_000  # 2 GB


@jax.jit
def _weighted_gram(X: Array, weight: Array) -> Array:
    return sum_over_samples(X * weight[:, None], X)


def _gram_on_host(X: Any, weight: Any) -> np.ndarray:
    """The same by BLAS's symmetric product, which does half the work, in blocks of rows that bound the memory."""
    X, root = np.asarray(X), np.sqrt(np.asarray(weight))
    total = np.zeros((X.shape[1],) * 2, X.dtype)
    for i in range(0, len(X), 8192):
        A = X[i : i + 8192] * root[i : i + 8192, None]
        total += A.T @ A
    return total


@jax.jit
def _block_weights(Y: Array, s: Array) -> Array:
    """(C, N): s y_c (1 − y_c), the second factor as the sum of the other classes (section 7.3)."""
    C = Y.shape[1]
    others = jnp.einsum("nc,ck->nk", Y, 1 - jnp.eye(C, dtype=Y.dtype), precision=jax.lax.Precision.HIGHEST)
    return (s[:, None] * Y * others).T


def remove_kernel_on_host(V: np.ndarray, gauge: np.ndarray, null: np.ndarray) -> np.ndarray:
    """V (k, C, D) minus its part in 𝒦, by the feature projectors of `ComplementProjectors`; twice, for accuracy."""
    for _ in range(2):
        mean = V.mean(axis=1, keepdims=True)
        rest = V - mean
        V = (mean - mean @ gauge) + (rest - rest @ null)
    return V


@dataclasses.dataclass(frozen=True)
class ClassBlockPreconditioner:
    """Approximate H⁺ on 𝒦⊥ for columns of flat vectors; made by `class_block_preconditioner`.

    Attributes:
        factors: per class the lower Cholesky factor (D, D) and the Jacobi scaling (D,), in scaled features.
        projectors: of 𝒦, with the scaling.
        C: number of classes.
    """

    factors: tuple[tuple[np.ndarray, np.ndarray], ...]
    projectors: ComplementProjectors
    C: int

    def project(self, R: np.ndarray) -> np.ndarray:
        """The projection of the columns of R (C·D, k) on 𝒦⊥."""
        return self._without(R, self.projectors.gauge, self.projectors.null)

    def project_scaled(self, R: np.ndarray) -> np.ndarray:
        """The same for columns U = VΣ in scaled features: the projection on (𝒦Σ)⊥."""
        return self._without(R, self.projectors.gauge_scaled, self.projectors.null_scaled)

    def unscale(self, R: np.ndarray) -> np.ndarray:
        """The columns with each feature divided by its scale Σ: a power of two, exact."""
        return R / np.tile(self.projectors.scale, self.C)[:, None]

    def scaled(self, R: np.ndarray) -> np.ndarray:
        """The preconditioned columns for Σ⁻¹HΣ⁻¹, in (𝒦Σ)⊥."""
        k = R.shape[1]
        V = np.array(self.project_scaled(R).T.reshape(k, self.C, -1))
        self._solve(V)
        return self.project_scaled(V.reshape(k, -1).T)

    def __call__(self, R: np.ndarray) -> np.ndarray:
        """The preconditioned columns for H, in 𝒦⊥."""
        k = R.shape[1]
        V = np.array(self.unscale(self.project(R)).T.reshape(k, self.C, -1))
        self._solve(V)
        return self.project(self.unscale(V.reshape(k, -1).T))

    def _solve(self, V: np.ndarray) -> None:
        """Class by class, in place, V (k, C, D) in scaled features."""
        for c, (factor, jacobi) in enumerate(self.factors):
            V[:, c] = scipy.linalg.cho_solve((factor, True), (V[:, c] * jacobi).T, check_finite=False).T * jacobi

    def _without(self, R: np.ndarray, gauge: np.ndarray, null: np.ndarray) -> np.ndarray:
        V = remove_kernel_on_host(R.T.reshape(R.shape[1], self.C, -1), gauge, null)
        return V.reshape(R.shape[1], -1).T


def class_block_preconditioner(H: HessianOperator, kern: NullSpace) -> ClassBlockPreconditioner:
    """Factor the C diagonal blocks of H, of concrete data, on the host in float64.

    Args:
        H: the Hessian as an operator.
        kern: the problem's kernel.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.evidence.spectrum.preconditioner import class_block_preconditioner
        >>> problem = js.Problem(np.diag([3.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> H = js.hessian(np.zeros((2, 2), dtype="float32"), problem)
        >>> apply = class_block_preconditioner(H, js.null_space(problem))
        >>> apply(np.array([[1.0], [0.0], [-1.0], [0.0]])).round(6).ravel().tolist()  # twice H⁺: C/(C − 1)
        [0.444444, 0.0, -0.444444, 0.0]
    """
    problem = H.problem
    projectors = ComplementProjectors(*(np.asarray(part, np.float64) for part in complement_projectors(problem, kern)))
    weights = _block_weights(H.probabilities, problem.sample_weight)
    X = whole_columns(problem.X, placement(problem))[0].astype(H.W.dtype)
    on_host = all(device.platform == "cpu" for device in X.devices())
    extra = np.asarray(penalty_class_blocks(H.W, problem), np.float64) if problem.regularizer else None
    gram = _gram_on_host if on_host else _weighted_gram
    eps = np.finfo(problem.dtype).eps
    if problem.C * problem.D**2 > MOST_ENTRIES or not fits(8 * problem.C * problem.D**2):
        M = np.asarray(gram(X, problem.sample_weight), np.float64) / 2
        if extra is not None:
            M = M + np.diag(np.mean(np.einsum("ccd->cd", extra), axis=0))
        shared = _factor(M, projectors.scale, projectors.null_scaled, eps)
        return ClassBlockPreconditioner((shared,) * problem.C, projectors, problem.C)
    factors = []
    for c in range(problem.C):
        M = np.asarray(gram(X, weights[c]), np.float64)
        if extra is not None:
            M = M + np.diag(extra[c, c])
        factors.append(_factor(M, projectors.scale, projectors.null_scaled, eps))
    return ClassBlockPreconditioner(tuple(factors), projectors, problem.C)


def _factor(M: np.ndarray, scale: np.ndarray, null: np.ndarray, eps: Any) -> tuple[np.ndarray, np.ndarray]:
    """Cholesky factor and Jacobi scaling of Σ⁻¹MΣ⁻¹ + τ·null, the shift raised until it runs to completion."""
    A = (M + M.T) / 2 / scale[:, None] / scale[None, :]
    D = len(A)
    mean = float(np.trace(A)) / D
    A = A + (mean if mean > 0 else 1.0) * null
    diagonal = np.diagonal(A)
    floor = float(eps) * max(mean, np.finfo(np.float64).tiny)
    jacobi = 1 / np.sqrt(np.maximum(diagonal, floor))
    A = A * jacobi[:, None] * jacobi[None, :]
    shift = D * float(eps)
    while True:
        try:
            return scipy.linalg.cholesky(A + shift * np.eye(D), lower=True, check_finite=False), jacobi
        except scipy.linalg.LinAlgError:
            if shift > 1:
                return np.eye(D), jacobi
            shift *= 100
