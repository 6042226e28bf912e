"""S3 and S6: the null space of the Hessian and its complement, and weights without the part that it leaves free."""

from __future__ import annotations

import dataclasses
import functools
import weakref
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.moments import Rows, moments, rows_of, same_samples
from jaxsoftmax.calculus.loss.penalty_sum import holding, penalised
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


class RowSpace(NamedTuple):
    """Of the samples that take part: `null` (D, D−R) orthonormal, rank R, the tolerance that decided, and `condition`.

    `condition` is σ_max/σ_min over the row space, in columns scaled by powers of two to norms in [1, 2); an estimate.
    """

    null: np.ndarray
    rank: int
    tolerance: float
    condition: float


_KNOWN: weakref.WeakKeyDictionary[Problem, RowSpace] = weakref.WeakKeyDictionary()


def same_row_space(problem: Problem, other: Problem) -> None:
    """Let `problem` have the moments of `other`, with the same samples, and its row space where that matters."""
    same_samples(problem, other)
    if not penalised(problem):
        _KNOWN[problem] = row_space(other)


def row_space(problem: Problem, rows: Rows | None = None) -> RowSpace:
    """The null space of X of a concrete problem, float64; computed once and kept as long as the problem lives.

    The columns are first scaled by powers of two (exact, rank unchanged) to norms in [1, 2): otherwise units of
    measurement decide the rank. The tolerance is max(N, D)·eps·σ_max, as in numpy.linalg.matrix_rank.

    An eigenvalue of the Gram matrix above what its rounding can have made is a direction of the row space. Only the
    directions below that are looked at in the rows of X, whose singular values they are: X itself is factored where
    it has few rows.
    """
    known = _KNOWN.get(problem)
    if known is not None:
        return known
    rows = rows_of(problem) if rows is None else rows
    found, D, live = moments(problem, rows), problem.D, rows.live
    norms = np.sqrt(np.diagonal(found.plain))
    fine = np.exp2(np.where(norms > 0, np.frexp(norms)[1] - 1, 0))
    scale = found.scale * fine
    eps = float(np.finfo(np.float64).eps)
    if live <= 2 * D:
        _, sigma, Vt = np.linalg.svd(rows.whole(scale), full_matrices=True)
        tolerance = max(live, D) * eps * (sigma[0] if sigma.size else 0.0)
        rank = int(np.sum(sigma > tolerance))
        null, kept = Vt[rank:].T, sigma[:rank]
    else:
        values, vectors = np.linalg.eigh(found.plain / fine / fine[:, None])
        top = max(float(values[-1]), 0.0)
        tolerance = live * eps * top**0.5
        # What the sums, the eigenvalues' own rounding and the tolerance may have made of a direction of the row space.
        doubt = found.error_bound * float(np.sum((norms / fine) ** 2)) + D * eps * top + 2 * tolerance**2
        doubtful = values <= 4 * doubt
        N, rest, inverse = vectors[:, doubtful], vectors[:, ~doubtful], 1 / values[~doubtful]
        # The eigenvectors lean towards the rest by eps·σ²_max/σ²: two steps of N − (XᵀX)⁻¹ Xᵀ(XN) set them upright.
        for _ in range(2):
            N = np.linalg.qr(N - rest @ (inverse[:, None] * (rest.T @ rows.square_times(scale, N))))[0]
        _, sigma, Vt = np.linalg.svd(rows.triangle(scale, N))
        null = N @ Vt[sigma <= tolerance].T
        rank = D - null.shape[1]
        kept = np.concatenate([top**0.5 * np.ones(1), sigma[sigma > tolerance], np.sqrt(values[~doubtful])])
    if null.shape[1]:
        # X Σ⁻¹ n = 0 means Σ⁻¹ n is in the null space of X. As B R⁻¹ each row keeps its own relative accuracy, which
        # the orthogonal factor would not: Σ may span many decades.
        B = null * (scale.min() / scale)[:, None]
        factor = np.asarray(np.linalg.qr(B, mode="r"))
        null = np.linalg.solve(factor.T, B.T).T
    condition = float(kept.max() / kept.min()) if rank else 1.0
    known = _KNOWN[problem] = RowSpace(null, rank, float(tolerance), condition)
    return known


class FreeDirections(NamedTuple):
    """The bases `gauge` and `null` of a `NullSpace`, without the rank of X."""

    gauge: np.ndarray
    null: np.ndarray

    def dim(self, C: int) -> int:
        """dim 𝒦 for C classes (S6)."""
        return self.gauge.shape[1] + (C - 1) * self.null.shape[1]


def free_directions(problem: Problem) -> FreeDirections:
    """The bases of a concrete problem's null space (S6, S21): where a penalty holds all of W, X is not looked at."""
    D = problem.D
    gauge = np.eye(D)
    for _, columns in holding(problem):
        # Free directions are multiples of e_bias in every class; the column of ones keeps them out of null(X).
        gauge = gauge[:, :0] if columns.all() or not gauge.shape[1] else np.eye(D)[:, D - 1 :]
    return FreeDirections(gauge, np.zeros((D, 0)) if penalised(problem) else row_space(problem).null)


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
    _, rank, tolerance, _ = row_space(problem)
    return NullSpace(*free_directions(problem), C=problem.C, rank=rank, tolerance=tolerance)
