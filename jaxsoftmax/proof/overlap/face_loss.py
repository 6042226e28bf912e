"""The loss of a face (S1 with classes left out of a row's sum, S11) at logits, in NumPy: value, residual, curvature.

Guarded by `tests/proof/overlap/test_face_fit.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["FaceLoss", "FaceTerms", "PairGrams"]

_STORED = 2**24  # entries of products of features that are kept in memory
_BLOCK = 4096


class FaceTerms(NamedTuple):
    """What the loss says at logits Z (C, n): arrays are class-major, sums over classes then run over long vectors."""

    loss: float
    residual: np.ndarray  # (C, n) s (Y − T), rows of single targets without cancellation
    Y: np.ndarray  # (C, n) probabilities, 0 on the classes left out


class FaceLoss:
    """Σ_n s_n [log Σ_{i in mask_n} exp z_ni − t_nᵀ z_n] over class-major logits (section 7.1–7.3).

    Args:
        targets: (n, C) float64, rows of sum 1.
        weights: (n,) positive float64.
        mask: (n, C) bool: the classes that take part in a row's sum; every t_ni > 0 among them.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.face_loss import FaceLoss
        >>> loss = FaceLoss(np.array([[1.0, 0, 0]]), np.ones(1), np.array([[True, True, False]]))
        >>> terms = loss.terms(np.array([[700.0], [0.0], [900.0]]))
        >>> bool(np.isclose(terms.loss, np.exp(-700.0), rtol=1e-12, atol=0)), terms.residual[:, 0].tolist()[2]
        (True, 0.0)
    """

    s: np.ndarray | None
    mask: np.ndarray | None
    labels: np.ndarray
    one_hot: bool
    others: np.ndarray

    def __init__(self, targets: np.ndarray, weights: np.ndarray, mask: np.ndarray) -> None:
        self.T = np.ascontiguousarray(targets.T)
        self.s = None if (weights == 1).all() else weights
        self.mask = None if mask.all() else np.ascontiguousarray(mask.T)
        support = self.T > 0
        single = support.sum(axis=0) == 1
        self.labels = support & single  # (C, n) the one class of a row's target, where it is one
        self.one_hot = bool(single.all())
        self.others = ~support if self.mask is None else self.mask & ~support  # the pairs of the face

    def terms(self, Z: np.ndarray) -> FaceTerms:
        """Value, residual and probabilities at logits Z (C, n)."""
        if self.mask is not None:
            Z = np.where(self.mask, Z, -np.inf)
        D = Z - Z.max(axis=0)
        top = D == 0
        Y = np.exp(D)
        # 1 + rest is the row's sum; rest alone keeps the digits of a row whose target dominates (section 7.2).
        rest = np.where(top, 0.0, Y).sum(axis=0) + (top.sum(axis=0) - 1)
        if self.mask is not None:
            D = np.where(self.mask, D, 0.0)
        losses = np.log1p(rest) - np.einsum("cn,cn->n", self.T, D)
        Y /= 1 + rest
        residual = Y - self.T
        residual[self.labels] = 0.0
        if self.one_hot:
            residual -= np.where(self.labels, residual.sum(axis=0), 0.0)
        else:
            residual -= np.where(self.labels, np.where(self.labels, 0.0, Y).sum(axis=0), 0.0)
        if self.s is not None:
            losses *= self.s
            residual *= self.s
        return FaceTerms(float(losses.sum()), residual, Y)

    def ranges(self, U: np.ndarray) -> float:
        """max_n of range(u_n) over the classes that take part: how far a step moves the log-odds (S8)."""
        if self.mask is None:
            return float((U.max(axis=0) - U.min(axis=0)).max())
        return float((np.where(self.mask, U, -np.inf).max(axis=0) - np.where(self.mask, U, np.inf).min(axis=0)).max())

    def separates(self, Z: np.ndarray) -> bool:
        """Whether every pair of the face has a positive margin at Z, all targets being single classes (S9)."""
        if not self.one_hot:
            return False
        best_other = np.where(self.others, Z, -np.inf).max(axis=0)
        return bool((best_other < np.where(self.labels, Z, -np.inf).max(axis=0)).all())

    def hessian_product(self, Y: np.ndarray, U: np.ndarray) -> np.ndarray:
        """s Y ∘ (U − ū), (C, n): the Hessian in logits times U (S4)."""
        product = Y * (U - np.einsum("cn,cn->n", Y, U))
        return product if self.s is None else product * self.s


class PairGrams:
    """M_ab = Xᵀ diag(s y_a y_b) X for all pairs of classes (S14), and the Hessian that they make."""

    def __init__(self, X: np.ndarray, s: np.ndarray | None) -> None:
        self.X, self.s = X, s
        R = X.shape[1]
        self.rows, self.columns = np.triu_indices(R)
        self._stored: np.ndarray | None = None

    @property
    def products(self) -> np.ndarray | None:
        """All products of two features, where they are few enough to keep."""
        if self._stored is None and len(self.X) * len(self.rows) <= _STORED:
            self._stored = self.X[:, self.rows] * self.X[:, self.columns]
        return self._stored

    def hessian(self, Y: np.ndarray, reference: int) -> np.ndarray:
        """The Hessian with the reference class's weights fixed, ((C − 1) R, (C − 1) R), its lower block triangle."""
        C, R = len(Y), self.X.shape[1]
        first, second = np.triu_indices(C, 1)
        weights = Y[first] * Y[second]
        if self.s is not None:
            weights *= self.s
        H = np.zeros((C, R, C, R))
        products = self.products
        packed = None if products is None else weights @ products
        for pair, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
            if packed is not None:
                M = np.empty((R, R))
                M[self.rows, self.columns] = packed[pair]
                M[self.columns, self.rows] = packed[pair]
            else:
                M = self._weighted(weights[pair])
            H[a, :, a] += M
            H[b, :, b] += M
            H[b, :, a] -= M
        kept = [c for c in range(C) if c != reference]
        return H[np.ix_(kept, range(R), kept, range(R))].reshape((C - 1) * R, (C - 1) * R)

    def block(self, weights: np.ndarray) -> np.ndarray:
        """Xᵀ diag(s weights) X."""
        return self._weighted(weights if self.s is None else weights * self.s)

    def _weighted(self, weights: np.ndarray) -> np.ndarray:
        root = np.sqrt(weights)[:, None]
        M = np.zeros((self.X.shape[1],) * 2)
        block = max(_BLOCK, _STORED // max(1, self.X.shape[1]))
        for start in range(0, len(root), block):
            part = self.X[start : start + block] * root[start : start + block]
            M += part.T @ part  # one array on both sides: BLAS computes half of it
        return M
