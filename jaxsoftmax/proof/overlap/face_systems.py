"""Newton's linear systems for the loss of a face: the Hessian as a matrix, or conjugate gradients (S4, S14).

Guarded by `tests/proof/overlap/test_face_fit.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from jaxsoftmax.proof.overlap.face_loss import FaceLoss, PairGrams

__all__ = ["ConjugateSystems", "DenseSystems"]

_EPS = float(np.finfo(np.float64).eps)
_CONJUGATE_STEPS = 500
_FLOOR = 1e-6  # of y(1 − y) in the preconditioner: what vanishes there would amplify rounding
_NEAR = 0.3  # a step in log-odds below which accurate systems pay
_DRIFT = 1.0  # the Hessian is within e^±ρ of itself where log-odds have moved by ρ (S8): old factors still precondition

_Direction = Callable[[np.ndarray], np.ndarray]


class _Factor:
    """Cholesky factor of a positive semidefinite matrix (its lower triangle) with unit diagonal and a tiny ridge."""

    def __init__(self, H: np.ndarray) -> None:
        from scipy.linalg import get_lapack_funcs

        potrf, self.potrs = get_lapack_funcs(("potrf", "potrs"), dtype=np.float64)
        self.size = np.sqrt(np.diag(H))
        self.size[self.size == 0] = 1.0
        H /= self.size[:, None]
        H /= self.size
        ridge = len(H) * _EPS
        while True:
            # Faces have kernels beyond the gauge, and far out curvature underflows: a ridge that rounding warrants.
            np.fill_diagonal(H, 1 + ridge)
            self.factor, failed = potrf(H.T, lower=0, clean=0)
            if not failed:
                return
            ridge *= 100

    def solve(self, right: np.ndarray) -> np.ndarray:
        return self.potrs(self.factor, right / self.size, lower=0)[0] / self.size


class DenseSystems:
    """g ↦ −H⁻¹g by the Hessian's matrix, the weights of one class fixed (the gauge, S3)."""

    tolerance: float = 0.0
    grams: PairGrams
    reference: int
    kept: np.ndarray

    def __init__(self, X: np.ndarray, loss: FaceLoss) -> None:
        self.grams = PairGrams(X, loss.s)
        self.reference = int(loss.labels.sum(axis=1).argmax())
        self.kept = np.delete(np.arange(len(loss.T)), self.reference)

    def at(self, Y: np.ndarray, moved: float) -> _Direction:
        """The map at probabilities Y (C, n)."""
        factor = _Factor(self.grams.hessian(Y, self.reference))

        def solve(g: np.ndarray) -> np.ndarray:
            V = np.zeros_like(g)
            V[self.kept] = -factor.solve(g[self.kept].ravel()).reshape(-1, g.shape[1])
            return V

        return solve


class ConjugateSystems:
    """g ↦ about −H⁻¹g by conjugate gradients on the products of S4, preconditioned by the Hessian's class blocks.

    Block c is Xᵀ diag(s y_c (1 − y_c)) X. The blocks are factored anew when log-odds have moved by 1 since (S8).
    """

    X: np.ndarray
    loss: FaceLoss
    end: float
    blocks: PairGrams
    drift: float
    tolerance: float

    def __init__(self, X: np.ndarray, loss: FaceLoss, end: float) -> None:
        self.X, self.loss, self.end = X, loss, end
        self.blocks = PairGrams(X, loss.s)
        self.factors: list[_Factor] = []
        self.drift = np.inf
        self.tolerance = 0.1

    def at(self, Y: np.ndarray, moved: float) -> _Direction:
        """The map at probabilities Y (C, n), where log-odds have moved by `moved` since the last call."""
        self.drift += moved
        self.tolerance = 0.1 if moved > _NEAR else 0.01  # of the residual in the preconditioner's norm
        if self.drift > _DRIFT:
            self.factors, self.drift = [_Factor(self.blocks.block(np.maximum(y * (1 - y), _FLOOR))) for y in Y], 0.0

        def preconditioned(r: np.ndarray) -> np.ndarray:
            return np.stack([factor.solve(part) for factor, part in zip(self.factors, r, strict=True)])

        def solve(g: np.ndarray) -> np.ndarray:
            V, r = np.zeros_like(g), -g
            p = preconditioned(r)
            rz = float(np.vdot(r, p))
            target = self.tolerance**2 * rz
            for _ in range(_CONJUGATE_STEPS):
                if rz <= target or time.perf_counter() > self.end:
                    break
                q = self.loss.hessian_product(Y, p @ self.X.T) @ self.X
                curvature = float(np.vdot(p, q))
                if curvature <= 0:
                    break
                V = V + (rz / curvature) * p
                r = r - (rz / curvature) * q
                z = preconditioned(r)
                rz, before = float(np.vdot(r, z)), rz
                p = z + (rz / before) * p
            return V

        return solve
