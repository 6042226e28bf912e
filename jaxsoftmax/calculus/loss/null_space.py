"""S3 and S6: the null space of the Hessian and its complement, and weights without the part that it leaves free."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.penalty_sum import holding
from jaxsoftmax.linalg.products import PRECISION
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import require_concrete

Array = jax.Array


def helmert(C: int, dtype: Any = None) -> np.ndarray:
    """The Helmert matrix Q, (C-1, C): an orthonormal basis of the vectors over classes that sum to zero (S6).

    Q Qᵀ = I and Q **1** = 0, so that V with **1**ᵀV = 0 has the coordinates U = Q V, and V = Qᵀ U.

    Args:
        C: number of classes, at least 1.
        dtype: NumPy dtype of the result, float64 by default.

    Raises:
        ValueError: if C < 1.

    Example:
        >>> import jaxsoftmax as js
        >>> js.helmert(3).round(3).tolist()
        [[0.707, -0.707, 0.0], [0.408, 0.408, -0.816]]
    """
    if C < 1:
        raise ValueError(f"C: got {C}; a Helmert basis needs at least one class.")
    Q = np.zeros((C - 1, C))
    for k in range(1, C):
        Q[k - 1, :k] = 1.0
        Q[k - 1, k] = -k
        Q[k - 1] /= np.sqrt(k * (k + 1))
    return Q.astype(np.float64 if dtype is None else dtype)


def center_classes(W: Any) -> Array:
    """W less its mean over the classes, W - **1** **1**ᵀW/C: the loss is the same, and columns sum to zero (S3).

    Args:
        W: (C, D), or any array with classes on its first axis.

    Example:
        >>> import jaxsoftmax as js, jax.numpy as jnp
        >>> js.center_classes(jnp.array([[1.0, 2.0], [3.0, 2.0]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    W = jnp.asarray(W)
    return W - jnp.mean(W, axis=0, keepdims=True)


def to_reference(W: Any, reference: int) -> Array:
    """W less the row of one class, w_c - w_r: the loss is the same, and that row is zero (S3, S22).

    Args:
        W: (C, D).
        reference: row index r, 0 ≤ r < C.

    Raises:
        ValueError: if `reference` is not a row of W.

    Example:
        >>> import jaxsoftmax as js, jax.numpy as jnp
        >>> js.to_reference(jnp.array([[1.0, 2.0], [3.0, 2.0]]), 0).tolist()
        [[0.0, 0.0], [2.0, 0.0]]
    """
    W = jnp.asarray(W)
    if not 0 <= reference < W.shape[0]:
        raise ValueError(f"reference: got {reference}; give a class index from 0 to {W.shape[0] - 1}.")
    return W - W[reference]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NullSpace:
    """The null space 𝒦 of the Hessian, along which the loss does not change, and its complement 𝒦⊥ (S6, S21e).

    𝒦 = {**1**vᵀ : v ∈ span `gauge`} ⊕ {V : **1**ᵀV = 0, rows of V ∈ span `null`}; it does not depend on W.

    Attributes:
        gauge: (D, k) orthonormal columns.
        null: (D, m) orthonormal columns.
        C: number of classes.
        rank: rank R of the rows of X with positive weight, as found at `tolerance`.
        tolerance: singular values of the equilibrated X below this count as zero.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> js.null_space(js.Problem(np.eye(3, dtype="float32"), np.eye(3, dtype="float32"))).dim
        3
    """

    gauge: Any
    null: Any
    C: int = dataclasses.field(metadata={"static": True})
    rank: int = dataclasses.field(metadata={"static": True})
    tolerance: float = dataclasses.field(metadata={"static": True})

    @property
    def dim(self) -> int:
        """dim 𝒦: D + (C-1)(D-R) without regulariser (S6)."""
        return self.gauge.shape[1] + (self.C - 1) * self.null.shape[1]

    def project(self, V: Any) -> Array:
        """The orthogonal projection of V (C, D) on 𝒦⊥, in V's dtype."""
        V = jnp.asarray(V)
        gauge, null = jnp.asarray(self.gauge, V.dtype), jnp.asarray(self.null, V.dtype)
        product = functools.partial(jnp.matmul, precision=PRECISION)
        mean = jnp.mean(V, axis=0, keepdims=True)
        rest = V - mean
        rest = rest - product(product(rest, null), null.T)
        return rest + (mean - product(product(mean, gauge), gauge.T))

    def basis(self) -> np.ndarray:
        """(C·D, dim) orthonormal columns spanning 𝒦, row-major vec."""
        ones = np.full((self.C, 1), 1 / np.sqrt(self.C))
        gauge, null = np.asarray(self.gauge, np.float64), np.asarray(self.null, np.float64)
        return np.hstack([np.kron(ones, gauge), np.kron(helmert(self.C).T, null)])

    def complement_basis(self) -> np.ndarray:
        """(C·D, C·D - dim) orthonormal columns spanning 𝒦⊥, row-major vec."""
        ones = np.full((self.C, 1), 1 / np.sqrt(self.C))
        gauge, null = orthogonal_complement(self.gauge), orthogonal_complement(self.null)
        return np.hstack([np.kron(ones, gauge), np.kron(helmert(self.C).T, null)])


def orthogonal_complement(columns: Any) -> np.ndarray:
    """Orthonormal columns spanning the orthogonal complement of orthonormal `columns` (D, k)."""
    columns = np.asarray(columns, np.float64)
    D, k = columns.shape
    if k == 0:
        return np.eye(D)
    return np.linalg.svd(columns, full_matrices=True)[0][:, k:]


def _null_space(X: np.ndarray) -> tuple[np.ndarray, int, float]:
    """(orthonormal basis (D, D-R) of the null space of X, R, tolerance), float64.

    The columns are first scaled by powers of two (exact, rank unchanged) to norms in [1, 2): otherwise units of
    measurement decide the rank. The tolerance is max(N, D)·eps·σ_max, as in numpy.linalg.matrix_rank.
    """
    N, D = X.shape
    largest = np.max(np.abs(X), axis=0, initial=0.0)
    live = largest > 0
    exponent = np.zeros(D)
    exponent[live] = np.frexp(largest[live])[1]
    scaled = np.ldexp(X, -exponent.astype(int))
    norms = np.sqrt(np.sum(scaled * scaled, axis=0))
    fine = np.zeros(D, int)
    fine[live] = np.frexp(norms[live])[1] - 1
    scaled = np.ldexp(scaled, -fine)
    if N > 2 * D:
        scaled = np.linalg.qr(scaled, mode="r")
    _, sigma, Vt = np.linalg.svd(scaled, full_matrices=True)
    tolerance = max(N, D) * np.finfo(np.float64).eps * (sigma[0] if sigma.size else 0.0)
    rank = int(np.sum(sigma > tolerance))
    null = Vt[rank:].T
    if null.shape[1]:
        # X Σ⁻¹ n = 0 means Σ⁻¹ n is in the null space of X. As B R⁻¹ each row keeps its own relative accuracy, which
        # the orthogonal factor would not: Σ may span many decades.
        rows = null * np.exp2(np.min(exponent + fine) - (exponent + fine))[:, None]
        factor = np.asarray(np.linalg.qr(rows, mode="r"))
        null = np.linalg.solve(factor.T, rows.T).T
    return null, rank, tolerance


def null_space(problem: Problem) -> NullSpace:
    """The null space of a problem's Hessian: the moves of W that the loss does not see, at any W (S6, S21).

    Its dimension rests on the rank of X, which is decided in float64 by singular values, after the columns were scaled
    by powers of two, at the tolerance that `NullSpace.tolerance` reports: an estimate, not a proof.

    Args:
        problem: concrete data (not traced): the dimension of the null space is a shape.

    Raises:
        TypeError: if called on a traced problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> X = np.array([[1, 2, 3], [2, 4, 7], [3, 6, 1]], dtype="float32")  # rank 2
        >>> js.null_space(js.Problem.from_labels(X, [0, 1, 2], intercept=False)).dim  # D + (C-1)(D-R) = 3 + 2·1
        5
    """
    require_concrete(problem)
    weight = np.asarray(problem.sample_weight)
    X = np.asarray(problem.X).astype(np.float64)[weight > 0]
    D = X.shape[1]
    null, rank, tolerance = _null_space(X)
    gauge = np.eye(D)
    for _, columns in holding(problem):
        # Free directions are multiples of e_bias in every class; the column of ones keeps them out of null(X).
        gauge = gauge[:, :0] if columns.all() or not gauge.shape[1] else np.eye(D)[:, D - 1 :]
    if any(p.strength > 0 for p in problem.regularizer):
        null = null[:, :0]
    return NullSpace(gauge=gauge, null=null, C=problem.C, rank=rank, tolerance=float(tolerance))
