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

from jaxsoftmax.proof.exact.float_basis import float_basis
from jaxsoftmax.proof.overlap.face_loss import FaceLoss, FaceTerms
from jaxsoftmax.proof.overlap.face_systems import ConjugateSystems, DenseSystems

__all__ = ["FaceFit", "fit_face"]

_DENSE = 1500  # weights up to which the Hessian is a matrix
_STEPS = 300
_SMALL = 0.03  # ρ from which Newton's step needs no line search, and old factors contract by about ρ a step
_DONE = 1e-10  # ρ at which another step would change nothing
_WIDE = 0.3  # ρ of a step that still moves log-odds
_SPENT = 1e-13  # decrement² / loss at which such a step has nothing to gain: the loss has reached its infimum
_FARTHEST = 64.0  # log-odds that one line search may add
_EPS = float(np.finfo(np.float64).eps)


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
        >>> from jaxsoftmax.proof.overlap.face_fit import fit_face
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
        dense = (self.C - 1) * self.R <= _DENSE
        self.systems = DenseSystems(X, loss) if dense else ConjugateSystems(X, loss, end)
        self.last = np.inf  # ρ of the last step
        self.moved = np.inf  # how far log-odds have moved since the last system

    def gradient(self) -> np.ndarray:
        return self.terms.residual @ self.X

    def run(self) -> None:
        if not self.R:
            self.decrement, self.converged = 0.0, True
            return
        while self.steps < _STEPS and time.perf_counter() < self.end:
            solve, self.moved = self.systems.at(self.terms.Y, self.moved), 0.0
            g = self.gradient()
            V = solve(g)
            moved, rho = self.measure(g, V)
            if not V.any() and g.any():  # conjugate gradients broke down
                return
            if rho >= _WIDE and self.decrement**2 <= _SPENT * self.terms.loss:
                self.diverging = True
                return
            if rho < _SMALL:
                if self.finish(solve, V, moved, rho):
                    self.converged = True
                    return
            elif not self.search(V, moved, rho):
                return
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

    def move(self, t: float, V: np.ndarray, moved: np.ndarray, rho: float, terms: FaceTerms | None = None) -> None:
        self.moved += t * rho
        self.U += t * V
        self.Z += t * moved
        self.terms = self.loss.terms(self.Z) if terms is None else terms

    def finish(self, solve: Callable[[np.ndarray], np.ndarray], V: np.ndarray, moved: np.ndarray, rho: float) -> bool:
        """Full steps with the factors in hand while each is a tenth of the last; whether they ended at rounding."""
        first = rho
        while True:
            self.move(1.0, V, moved, rho)
            if rho <= _DONE:
                return True
            g = self.gradient()
            V = solve(g)
            last, (moved, rho) = rho, self.measure(g, V)
            if rho > max(0.1, 10 * self.systems.tolerance) * last:
                # A new factor would do better, except where ρ has been at the level of rounding since before.
                return rho <= _DONE or (first > 0.5 * self.last and self.decrement**2 <= _EPS * self.terms.loss)

    def search(self, V: np.ndarray, moved: np.ndarray, rho: float) -> bool:
        """A point along V where the slope is a tenth of what it was: any smooth convex function has one or falls on.

        Along a direction in which the loss falls like e^{−t} the step grows, so divergence shows after a few steps.
        False where rounding lets the loss fall no more.
        """
        slope = -(self.decrement**2)
        low, high, t = 0.0, np.inf, min(1.0, _FARTHEST / rho)
        low_slope, at, best = slope, 0.0, self.terms
        for _ in range(40):
            terms = self.loss.terms(self.Z + t * moved)
            here = float(np.vdot(terms.residual, moved))
            if terms.loss < best.loss:
                at, best = t, terms
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
        if not at:
            return False
        self.move(at, V, moved, rho, best)
        return True
