"""Newton's method for the loss of a face (S1, S11) in NumPy: a floating-point proposal that exact integers verify.

The face loss is Σ_n s_n [log Σ_{i ∈ S_n ∪ allowed_n} exp z_ni − t_nᵀ z_n]. It has a minimiser exactly when no recession
direction (S9) separates an allowed pair, and at the minimiser the residual s(Y − T) is a family of multipliers (S10),
up to rounding. Two features of Newton's step Δ make the ending plain. In the convex region of quadratic convergence the
range ρ = max_n range(Δ x_n) of its logits squares from step to step (S8); where no minimiser exists the loss falls
along some direction like e^{−t}, Newton's step there moves a log-odds by about 1, and ρ never falls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.face_loss import FaceLoss, FaceTerms, PairGrams
from jaxsoftmax.proof.float_basis import float_basis

__all__ = ["FaceFit", "fit_face"]

_DENSE = 1500  # weights up to which the Hessian is a matrix
_STEPS = 300
_SMALL = 0.03  # ρ from which Newton's step needs no line search, and old factors contract by about ρ a step
_DONE = 1e-10  # ρ at which another step would change nothing
_WIDE = 0.3  # ρ of a step that still moves log-odds
_SPENT = 1e-13  # decrement² / loss at which such a step has nothing to gain: the loss has reached its infimum
_FARTHEST = 64.0  # log-odds that one line search may add
_EPS = float(np.finfo(np.float64).eps)

Direction = Callable[[np.ndarray], np.ndarray]


class FaceFit(NamedTuple):
    """Where the fit of a face ended."""

    W: np.ndarray  # (C, K) float64: logits are A Wᵀ
    loss: float
    residual: np.ndarray  # (n, C) s(Y − T), 0 on the classes left out of a row's sum
    decrement: float  # √(gᵀH⁻¹g) of the last step: before it the loss was about decrement²/2 above its infimum
    diverging: bool  # the loss falls to an infimum that it does not attain; W is then roughly a recession direction
    steps: int
    converged: bool  # the last step moved no log-odds by more than rounding


def fit_face(
    A: np.ndarray,
    support: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    allowed: np.ndarray,
    seconds: float = np.inf,
) -> FaceFit:
    """Minimise the loss with only the classes of a row's support and its allowed pairs in its log-sum-exp (S1, S11).

    Nothing about the result is proved. Damped Newton on independent, well-scaled columns, one class's weights fixed
    (the gauge, S3); beyond about 1500 weights its systems are solved by conjugate gradients.

    Args:
        A: (n, K) integers.
        support: (n, C) bool: t_nj > 0.
        targets: (n, C) float64.
        weights: (n,) positive sample weights.
        allowed: (n, C) bool: the pairs that stay in the sums; those on the support do not matter.
        seconds: stop at the first step after this time.

    Returns:
        A FaceFit; neither converged nor diverging when time or steps ran out.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.face_fit import fit_face
        >>> A, support = np.array([[1], [1], [1]]), np.array([[True, False], [True, False], [False, True]])
        >>> fit = fit_face(A, support, support * 1.0, np.ones(3), ~support)
        >>> round(fit.loss, 12), fit.residual.round(12).tolist()
        (1.909542504884, [[-0.333333333333, 0.333333333333], [-0.333333333333, 0.333333333333],
          [0.666666666667, -0.666666666667]])
    """
    end = time.perf_counter() + seconds
    n, C = support.shape
    mask = support | allowed
    rows = np.flatnonzero(mask.sum(axis=1) > 1)  # one class alone: its loss is 0 whatever the weights
    residual = np.zeros((n, C))
    W = np.zeros((C, A.shape[1]))
    if not len(rows):
        return FaceFit(W, 0.0, residual, 0.0, False, 0, True)
    classes = np.flatnonzero(mask[rows].any(axis=0))
    inner = np.ix_(rows, classes)
    basis = float_basis(A if len(rows) == n else A[rows])
    loss = FaceLoss(np.asarray(targets, np.float64)[inner], np.asarray(weights, np.float64)[rows], mask[inner])
    search = _Search(basis.X, loss, end)
    search.run()
    W[classes] = search.U @ basis.back.T
    residual[inner] = search.terms.residual.T
    return FaceFit(W, search.terms.loss, residual, search.decrement, search.diverging, search.steps, search.converged)


class _Search:
    """The iteration: weights U (C, R), their logits Z (C, n) and what the loss says there."""

    def __init__(self, X: np.ndarray, loss: FaceLoss, end: float) -> None:
        self.X, self.loss, self.end = X, loss, end
        self.C, self.n = loss.T.shape
        self.R = X.shape[1]
        self.U, self.Z = np.zeros((self.C, self.R)), np.zeros((self.C, self.n))
        self.terms: FaceTerms = loss.terms(self.Z)
        self.decrement, self.steps = np.inf, 0
        self.converged = self.diverging = False
        self.reference = int(loss.labels.sum(axis=1).argmax())
        self.grams = PairGrams(X, loss.s) if (self.C - 1) * self.R <= _DENSE else None
        self.inner: np.ndarray | None = None
        self.last = np.inf  # ρ of the last step

    def gradient(self) -> np.ndarray:
        return self.terms.residual @ self.X

    def run(self) -> None:
        if not self.R:
            self.decrement, self.converged = 0.0, True
            return
        while self.steps < _STEPS and time.perf_counter() < self.end:
            solve = self.direction()
            g = self.gradient()
            V = solve(g)
            moved, rho = self.measure(g, V)
            if rho >= _WIDE and self.decrement**2 <= _SPENT * self.terms.loss:
                self.diverging = True
                return
            if rho < _SMALL:
                if self.finish(solve, V, moved, rho):
                    self.converged = True
                    return
            else:
                self.search(V, moved, rho)
            self.steps += 1
            if rho >= _WIDE and self.loss.separates(self.Z):
                self.diverging = True
                return
            self.last = rho

    def measure(self, g: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, float]:
        """The logits of a step and how far it moves a log-odds; sets the decrement."""
        moved = V @ self.X.T
        self.decrement = float(np.sqrt(max(0.0, -float(np.vdot(g, V)))))
        return moved, self.loss.ranges(moved)

    def move(self, t: float, V: np.ndarray, moved: np.ndarray, terms: FaceTerms | None = None) -> None:
        self.U += t * V
        self.Z += t * moved
        self.terms = self.loss.terms(self.Z) if terms is None else terms

    def finish(self, solve: Direction, V: np.ndarray, moved: np.ndarray, rho: float) -> bool:
        """Full steps with the factors in hand while each is a tenth of the last; whether they ended at rounding."""
        first = rho
        while True:
            self.move(1.0, V, moved)
            if rho <= _DONE:
                return True
            g = self.gradient()
            V = solve(g)
            last, (moved, rho) = rho, self.measure(g, V)
            if rho > 0.1 * last:
                # A new factor would do better, except where ρ has been at the level of rounding since before.
                return rho <= _DONE or (first > 0.5 * self.last and self.decrement**2 <= _EPS * self.terms.loss)

    def search(self, V: np.ndarray, moved: np.ndarray, rho: float) -> None:
        """A point along V where the slope is a tenth of what it was: any smooth convex function has one or falls on.

        Along a direction in which the loss falls like e^{−t} the step grows, so divergence shows after a few steps.
        """
        slope = -(self.decrement**2)
        low, high, t = 0.0, np.inf, 1.0
        low_slope, best = slope, None
        for _ in range(40):
            terms = self.loss.terms(self.Z + t * moved)
            here = float(np.vdot(terms.residual, moved))
            best = terms
            if not here <= -0.1 * slope:  # too far (or not finite)
                high, high_slope = t, here
            elif here < 0.1 * slope and t * rho < _FARTHEST:
                low, low_slope = t, here
            else:
                break
            if np.isfinite(high):
                share = low_slope / (low_slope - high_slope) if np.isfinite(high_slope) else 0.5
                t = low + (high - low) * min(max(share, 0.1), 0.9)
            else:
                t *= 2
        self.move(t, V, moved, best)

    def direction(self) -> Direction:
        """g ↦ −H⁻¹ g at the present point, on weights with the reference class's fixed at 0."""
        return self.dense() if self.grams is not None else self.conjugate()

    def dense(self) -> Direction:
        from scipy.linalg import get_lapack_funcs

        assert self.grams is not None
        potrf, potrs = get_lapack_funcs(("potrf", "potrs"), dtype=np.float64)
        H = self.grams.hessian(self.terms.Y, self.reference)
        size = np.sqrt(np.diag(H))
        size[size == 0] = 1.0
        H /= size[:, None]
        H /= size
        ridge = len(H) * _EPS
        while True:
            # Faces have kernels beyond the gauge, and far out curvature underflows: a ridge that rounding warrants.
            np.fill_diagonal(H, 1 + ridge)
            factor, failed = potrf(H.T, lower=0, clean=0)
            if not failed:
                break
            ridge *= 100
        kept = np.delete(np.arange(self.C), self.reference)

        def solve(g: np.ndarray) -> np.ndarray:
            V = np.zeros((self.C, self.R))
            V[kept] = -(potrs(factor, g[kept].ravel() / size, lower=0)[0] / size).reshape(-1, self.R)
            return V

        return solve

    def conjugate(self) -> Direction:
        """Conjugate gradients on the Hessian products of S4, preconditioned by the Gram matrix of S19."""
        from scipy.linalg import get_lapack_funcs

        potrf, potrs = get_lapack_funcs(("potrf", "potrs"), dtype=np.float64)
        if self.inner is None:
            root = 1.0 if self.loss.s is None else np.sqrt(self.loss.s)[:, None]
            scaled = self.X * root
            gram = scaled.T @ scaled
            np.fill_diagonal(gram, np.diag(gram) * (1 + self.R * _EPS))
            self.inner = potrf(gram, lower=1)[0]
        factor, Y = self.inner, self.terms.Y
        tolerance = max(1e-8, min(0.1, self.last))

        def solve(g: np.ndarray) -> np.ndarray:
            V, r = np.zeros_like(g), -g
            z = potrs(factor, r.T, lower=1)[0].T
            p, rz = z, float(np.vdot(r, z))
            target = tolerance**2 * rz
            for _ in range(500):
                if rz <= target or time.perf_counter() > self.end:
                    break
                q = self.loss.hessian_product(Y, p @ self.X.T) @ self.X
                curvature = float(np.vdot(p, q))
                if curvature <= 0:
                    break
                V = V + (rz / curvature) * p
                r = r - (rz / curvature) * q
                z = potrs(factor, r.T, lower=1)[0].T
                rz, before = float(np.vdot(r, z)), rz
                p = z + (rz / before) * p
            return V

        return solve
