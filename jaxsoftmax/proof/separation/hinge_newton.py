"""A float search for complete separation (S9): the squared hinge of all margins, by truncated Newton steps.

f(U) = ½ Σ_n Σ_{j≠y_n} max(0, 1 − (z_{n y_n} − z_nj))², Z = B Uᵀ, is convex and once differentiable, and its minimum
is 0 exactly when some U has every margin positive. Along a line f is a convex piecewise quadratic, minimised on the
margins alone. Only *active* rows, with a margin below 1, enter gradient and Hessian; a search that succeeds has few of
them left. The Hessian is shifted as in Levenberg and Marquardt; conjugate gradients stop early and are preconditioned,
class by class, with the Gram matrix of the active rows.

**When to give up.** Let h ≥ 0 be the hinges at U and g = ∇f(U). For a U' with every margin ≥ 1,
−⟨g, U'⟩ = Σ h_nj (margin of U') ≥ Σ h_nj, so that ‖U'‖_M ≥ Σ h / ‖g‖_{M⁻¹} for any positive-definite M. With M the
Gram matrix of the active rows, slightly damped, ‖U'‖_M is the size of the logits on these rows: once they would have to
be `_LARGEST` times the margin on average, whoever continues looks for differences that rounding hides. At a minimiser
with f > 0, g is 0: data that overlap are left after a few steps.

Guarded by `tests/proof/separation/test_search.py`.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

__all__ = ["HingeFit", "hinge_separator"]

_ENOUGH = 0.1  # the least margin, where 1 is aimed at: waiting for more costs more time than it saves digits
_LARGEST = {np.dtype(np.float32): 1e4, np.dtype(np.float64): 1e9}  # well inside 1 / (unit roundoff)
_NOISE = 4.0  # a decrease of the loss by so many units of roundoff is none
_MOST_STEPS = 1000
_INNER_STEPS = 60
_INNER_TOLERANCE = 0.05  # of the norm of the residual: more digits of a Newton step are lost at the next kink
_SHIFTS = 1e-3, 1e-2  # first and largest shift of the Hessian, relative to the mean diagonal of the Gram matrix
_LEAST_SHIFT = 1e3  # units of roundoff
_DAMPING = 0.1  # of the preconditioner, relative to the same
_FACTORED_COLUMNS = 2000  # beyond, the cubic cost of an inverse is not repaid: the diagonal preconditions
_FEW_COLUMNS = 128  # an inverse for each step costs nothing
_STEADY = 0.8  # with more, it is kept while the number of active rows stays within this ratio
_PLATEAU = 5, 0.02  # a smaller relative decrease over so many steps is the end, unless their directions were accurate
_HOPE = 2.0  # times the remaining time may be what the rest would take at the present rate


class HingeFit(NamedTuple):
    """U (C, K), the least of its margins (positive where it separates), the steps taken and why they ended."""

    U: np.ndarray
    least: float
    steps: int
    ending: str  # separated, overlap, stalled, time or steps


class _Active(NamedTuple):
    """The rows of B with a margin below 1, their labels, and their pairs with such a margin as 0 and 1."""

    B: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray


def hinge_separator(B: np.ndarray, labels: np.ndarray, classes: int, seconds: float) -> HingeFit:
    """Weights U whose logits B Uᵀ have every margin positive as far as floating point can tell, or the end of hope.

    Args:
        B: (N, K) float32 or float64, columns of similar size.
        labels: (N,) the class of each row.
        classes: C ≥ 2.
        seconds: stop after this time, or before when the present rate of progress is too low for it.

    Returns:
        The fit; it separates where `least` > 0.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.separation.hinge_newton import hinge_separator
        >>> B, labels = np.array([[-1.0, 1.0], [0.5, 1.0], [1.0, 1.0]]), np.array([0, 1, 1])
        >>> hinge_separator(B, labels, 2, 1.0).ending
        'separated'
        >>> hinge_separator(np.vstack([B, [[2.0, 1.0]]]), np.append(labels, 0), 2, 1.0).least > 0
        False
    """
    start = time.perf_counter()
    real, everyone, unit = B.dtype.type, np.arange(len(B)), float(np.finfo(B.dtype).eps)
    U, Z = np.zeros((classes, B.shape[1]), B.dtype), np.zeros((len(B), classes), B.dtype)
    shift, inverse, scale, size = _SHIFTS[0], None, 1.0, 0
    losses: list[float] = []
    accurate: list[bool] = []
    least, ending = 0.0, "steps"
    for _ in range(_MOST_STEPS):
        slack = Z - Z[everyone, labels][:, None] + real(1)  # 1 − margin
        slack[everyone, labels] = 0
        worst = slack.max(axis=1)
        least = 1 - float(worst.max())
        if least >= _ENOUGH:
            ending = "separated"
            break
        rows = np.flatnonzero(worst > 0)
        hinges = np.maximum(slack[rows], 0)
        active = _Active(B[rows], labels[rows], (hinges > 0).astype(B.dtype))
        losses.append(0.5 * float(np.vdot(hinges, hinges)))
        if _hopeless(losses, accurate, len(rows), time.perf_counter() - start, seconds):
            ending = "stalled"
            break
        total = float(hinges.sum(dtype=np.float64))
        hinges[np.arange(len(rows)), active.labels] = -hinges.sum(axis=1)  # now the derivative by the logits
        gradient = hinges.T @ active.B  # (C, K): BLAS reads B in the order of its rows
        if inverse is None or B.shape[1] <= _FEW_COLUMNS or not _STEADY * size <= len(rows) <= size / _STEADY:
            inverse, scale, size = *_damped_inverse(active.B), len(rows)
        dual_norm = math.sqrt(max(float(np.vdot(gradient, _apply(inverse, gradient))), 0.0))
        if total >= _LARGEST[B.dtype] * dual_norm * math.sqrt(len(rows)):
            ending = "overlap"
            break
        D, full = _newton_direction(active, gradient, inverse, real(shift * scale), start + seconds)
        accurate.append(full)
        dZ = B @ D.T
        t, gained = _line_minimum(slack, dZ, labels)
        if not gained > _NOISE * unit * losses[-1]:
            ending = "stalled"
            break
        expected = -0.5 * float(np.vdot(gradient, D))  # by the quadratic model, at t = 1
        change = 0.3 if gained > 0.7 * expected else 3.0 if gained < 0.25 * expected else 1.0
        shift = min(max(shift * change, _LEAST_SHIFT * unit), _SHIFTS[1])
        U += real(t) * D
        Z += real(t) * dZ
        if time.perf_counter() > start + seconds:
            ending = "time"
            break
    return HingeFit(U, least, len(losses), ending)


def _hopeless(losses: list[float], accurate: list[bool], active: int, elapsed: float, seconds: float) -> bool:
    """Whether the loss has stopped falling, or falls so slowly that the time will not suffice by far."""
    span, fraction = _PLATEAU
    if len(losses) <= span:
        return False
    if losses[-1] > (1 - fraction) * losses[-1 - span] and not all(accurate[-span:]):
        return True
    rate = math.log(losses[-4] / losses[-1]) / 3
    missing = math.log(max(losses[-1] / (0.02 * active), 1.0))  # a loss of 0.02 for each active row is nearly enough
    return missing * elapsed > _HOPE * max(seconds - elapsed, 0.0) * rate * len(accurate)


def _damped_inverse(B: np.ndarray) -> tuple[np.ndarray, float]:
    """The inverse of BᵀB (of many columns: of its diagonal) plus a multiple of the mean diagonal, and that mean."""
    columns = B.shape[1]
    gram = np.einsum("nk,nk->k", B, B) if columns > _FACTORED_COLUMNS else B.T @ B
    scale = float(gram.sum() if gram.ndim == 1 else np.trace(gram)) / columns or 1.0  # all rows 0: any will do
    if gram.ndim == 1:
        return 1 / (gram + B.dtype.type(_DAMPING * scale)), scale
    gram[np.diag_indices(columns)] += B.dtype.type(_DAMPING * scale)
    return np.linalg.inv(gram), scale


def _apply(inverse: np.ndarray, G: np.ndarray) -> np.ndarray:
    return G @ inverse if inverse.ndim == 2 else G * inverse


def _newton_direction(
    active: _Active, gradient: np.ndarray, inverse: np.ndarray, shift: np.floating, end: float
) -> tuple[np.ndarray, bool]:
    """Conjugate gradients from 0 on (∇²f + shift) D = −gradient, and whether they reached their tolerance.

    ∇²f[P] = Mᵀ B with, for P's logits u, M_nj = u_nj − u_{n y_n} on the active pairs and rows that sum to 0.
    """
    real, everyone = gradient.dtype.type, np.arange(len(active.labels))
    D, residual = np.zeros_like(gradient), -gradient
    P = _apply(inverse, residual)
    size = first = float(np.vdot(residual, P))
    for _ in range(_INNER_STEPS):
        moved = active.B @ P.T
        moved -= moved[everyone, active.labels][:, None]
        moved *= active.pairs
        moved[everyone, active.labels] = -moved.sum(axis=1)
        product = moved.T @ active.B
        product += shift * P
        curvature = float(np.vdot(P, product))
        if not curvature > 0:
            break
        D += real(size / curvature) * P
        residual -= real(size / curvature) * product
        preconditioned = _apply(inverse, residual)
        size, last = float(np.vdot(residual, preconditioned)), size
        if size <= _INNER_TOLERANCE**2 * first:
            return D, True
        if time.perf_counter() > end:
            break
        P *= real(size / last)
        P += preconditioned
    return D, False


def _line_minimum(slack: np.ndarray, dZ: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """A t > 0 near the minimum of φ(t) = ½ Σ max(0, slack + t·change)², change that of 1 − margin, and φ(0) − φ(t).

    φ is convex with a piecewise linear derivative: Newton's method, kept between the bounds that the slopes give.
    """
    change = dZ - dZ[np.arange(len(labels)), labels][:, None]
    hinge = np.maximum(slack, 0)
    before = after = 0.5 * float(np.vdot(hinge, hinge))
    t, guess, low, high = 0.0, 1.0, 0.0, math.inf
    for _ in range(40):
        t = guess
        hinge = np.maximum(slack + slack.dtype.type(t) * change, 0)
        after = 0.5 * float(np.vdot(hinge, hinge))
        slope, moving = float(np.vdot(hinge, change)), change[hinge > 0]
        curvature = float(np.vdot(moving, moving))
        low, high = (low, t) if slope > 0 else (t, high)
        if curvature == 0:
            break
        guess = t - slope / curvature
        if not low < guess < high:
            guess = (low + high) / 2 if high < math.inf else 2 * t
        if abs(guess - t) <= 1e-2 * t:
            break
    return t, before - after
