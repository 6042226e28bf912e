"""Entrywise rounding tolerances for the derivatives (S1-S4, S8, S21), derived from dtype, terms and logit error.

Each function says how far a rule run in a given dtype may be from the exact value at the stored numbers, entry by
entry, evaluated in float64 NumPy on the actual data. ``compensated=True`` describes the hand rules (section 7);
``compensated=False`` the plain textbook formulas of ``reference``. The tolerance of a comparison is the sum of the two
sides'. With eps the machine epsilon, u = eps/2, gamma_k = k u/(1 - k u):

*Logits.* A computed inner product errs by at most ``delta_nc = gamma_k sum_d |x_nd w_cd|`` in any order of summation,
with or without FMA; k is the number of non-zero x_nd, since adding an exact zero is exact (k <= D). Plain formulas
round z - max once more: ``+ u |z - max|``; compensated ones carry that error along (section 7.1).

*Probabilities.* Perturbing z by at most delta multiplies the odds y_c/(1 - y_c) by at most e^(E), E_c = delta_c +
max_j delta_j. Hence |dy_c| <= y_c (1 - y_c)(e^E - 1), and |d(-log y_c)| <= min(E, (1 - y_c)(e^E - 1)). For small
errors this is first order in delta; it needs no smallness. The factor 1 - y_c is what lets a confidently right sample
keep its digits. Evaluating softmax itself adds 4 eps (1 + log2 C) relative; flushed subnormals add the smallest normal.

*Sums.* ``gradient = sum_n s_n r_nc x_nd`` etc. err by the propagated part, sum_n s_n |x_nd| |dr_nc|, which is a bound,
and by their own rounding, ``eps K sum|terms|``, which is an estimate: the worst case grows like N, the square root is
the size that independent or mean-independent roundings have with overwhelming probability (Higham and Mary, SIAM J.
Sci. Comput. 41 (2019); 42 (2020)). K = 8 + sqrt(N) + 4 max(0, log2(C/2)): the last summand lets one row have the
full error 4 eps (1 + log2 C) of its softmax. Hence the names: tolerances, not bounds.

*Terms.* Where a rule subtracts, the "term" is what is subtracted: max(y, t) for a soft target; after the shift by
k = argmax y, y_c (|u_c - u_k| + sum_j y_j |u_j - u_k|) for y (u - ubar), unshifted for the plain rule.
The penalties that act entry by entry (S21 a, b) have their own model in ``entrywise``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.evidence.crosscheck.roundoff import model, sum_constant

__all__ = [
    "gradient_tolerance",
    "hessian_diagonal_tolerance",
    "hessian_tolerance",
    "hvp_tolerance",
    "input_gradient_tolerance",
    "log_probability_tolerance",
    "loss_tolerance",
    "probability_tolerance",
    "quadratic_form_tolerance",
    "third_derivative_tolerance",
]

# --- per sample ------------------------------------------------------------------------------------------------------


def probability_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For Y (S1), (N, C): dy + 4 eps (1 + log2 C) y.

    Args:
        W: (C, D) weights as the rule saw them.
        problem: the problem, its `reference.plain` form, or a `Model` made by `model`, which shares one softmax
            between calls (W, dtype and compensated are then the model's).
        dtype: the dtype that the rule computes in; the problem's when None (float64 for a plain form).
        compensated: the hand rules (True) or the textbook formulas (False).

    Returns:
        Float64 NumPy; all functions of this module take these arguments.
    """
    m = model(W, problem, dtype, compensated)
    return np.concatenate([r.dy + m.own * r.Y for r in m.blocks(extra=False)])


def log_probability_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For -log Y (S1), (N, C): dlog + 4 eps (1 + log2 C)(-log y); plain rules lose relative to |lse| + |z|."""
    m = model(W, problem, dtype, compensated)
    return np.concatenate([r.dlog + m.own * m.log_size(r) for r in m.blocks(extra=False)])


def input_gradient_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For dL/dX = diag(s)(Y - T) W (S2 seen from X), (N, D)."""
    m = model(W, problem, dtype, compensated)
    C, own = m.W.shape[0], max(m.own, m.eps * sum_constant(m.W.shape[0], m.W.shape[0]))
    parts = [(r.s[:, None] * (r.dy + own * m.residual_size(r))) @ np.abs(m.W) for r in m.blocks(extra=False)]
    return np.concatenate(parts) + C * m.tiny


# --- sums over samples -----------------------------------------------------------------------------------------------


def loss_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> float:
    """For the loss (S1, S21): eps K sum|terms| + sum_n s_n sum_i t_ni dlog_ni."""
    m = model(W, problem, dtype, compensated)
    total = 0.0
    for r in m.blocks():
        # np.where: a class of target 0 takes no part, whatever its logarithm.
        total += float((r.s[:, None] * np.where(r.T == 0, 0.0, r.T * (m.K * m.log_size(r) + r.dlog))).sum())
    return total + float(m.entrywise_errors("value", m.entry_sum).sum()) + m.tiny


def gradient_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For the gradient (S2, S21), (C, D): eps K sum_n s_n |r_nc x_nd| + sum_n s_n |x_nd| dy_nc.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.evidence.crosscheck import tolerances
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 2])
        >>> bool(tolerances.gradient_tolerance(np.zeros((3, 4)), problem).max() < 1e-5)
        True
    """
    m = model(W, problem, dtype, compensated)
    out = np.full(m.W.shape, m.tiny)
    for r in m.blocks():
        out += (r.s[:, None] * (m.K * m.residual_size(r) + r.dy)).T @ np.abs(r.X)
    return out + m.entrywise_errors("slope", m.K)


def hvp_tolerance(W: Any, problem: Any, V: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For the Hessian-vector product (S4, S21), (C, D).

    With P = y (u - ubar): |dP| <= dy (|u - ubar| + du + dubar) + y (du + dubar),
    dubar = sum_j dy_j |u_j - ubar| + (y_j + dy_j) du_j, where du is the error of U = X V'.
    """
    m = model(W, problem, dtype, compensated)
    V = np.asarray(V).astype(np.float64)
    out = np.full(m.W.shape, m.tiny)
    for r in m.blocks():
        centred, size, error = m.moments(r, V)
        weight = m.K * r.Y * size + r.dy * (np.abs(centred) + error) + r.Y * error
        out += (r.s[:, None] * weight).T @ np.abs(r.X)
    return out + m.entrywise_errors("curvature", m.K) * np.abs(V)


def quadratic_form_tolerance(W: Any, problem: Any, V: Any, *, dtype: Any = None, compensated: bool = True) -> float:
    """For D^2 L(W)[V, V] as a sum of variances (S4): no first-order error from the mean, since it minimises.

    |dVar| <= sum_c dy_c a_c^2 + 2 y_c a_c e_c + (y_c + dy_c) e_c^2 with a = |u - ubar| and e its error.
    """
    m = model(W, problem, dtype, compensated)
    V = np.asarray(V).astype(np.float64)
    total = m.tiny
    for r in m.blocks():
        centred, size, error = m.moments(r, V)
        a = np.abs(centred)
        parts = m.K * r.Y * a * size + r.dy * a**2 + 2 * r.Y * a * error + (r.Y + r.dy) * error**2
        total += float((r.s[:, None] * parts).sum())
    return total + float((m.entrywise_errors("curvature", m.entry_sum) * V**2).sum())


def third_derivative_tolerance(
    W: Any, problem: Any, V: Any, U: Any = None, *, dtype: Any = None, compensated: bool = True
) -> float:
    """For D^3 L(W)[V, U, U] (S8): the derivative of E[a b^2], a = v - vbar, b = u - ubar, in y, v and u.

    By the mean value theorem with every magnitude enlarged by its own error (y, A = |a|, B = |b| below):
    sum_c dy_c (A B^2 + A Var + 2 B Cov) + y_c dv_c (B^2 + Var) + 2 y_c du_c (A B + Cov).
    """
    m = model(W, problem, dtype, compensated)
    V = np.asarray(V).astype(np.float64)
    U = V if U is None else np.asarray(U).astype(np.float64)
    total = m.tiny
    for r in m.blocks():
        (a, size_a, da), (b, size_b, db) = m.moments(r, V), m.moments(r, U)
        (dv, du), y = (r.directional(Q)[1] for Q in (V, U)), r.Y + r.dy
        A, B = np.abs(a) + da, np.abs(b) + db
        var, cov = (y * B * B).sum(axis=1, keepdims=True), (y * A * B).sum(axis=1, keepdims=True)
        # The plain rule subtracts raw moments, so both factors of b count at full size there.
        rounding = r.Y * size_a * size_b * (np.abs(b) if m.compensated else size_b)
        parts = m.K * rounding + r.dy * (A * B * B + A * var + 2 * B * cov) + y * dv * (B * B + var)
        total += float((r.s[:, None] * (parts + 2 * y * du * (A * B + cov))).sum())
    return total + float((m.entrywise_errors("third", m.entry_sum) * np.abs(V) * U**2).sum())


# --- the dense Hessian -----------------------------------------------------------------------------------------------


def hessian_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For the dense Hessian (S4, S21), (C D, C D), row-major vec: Gram products of |X| with the pair tolerances.

    Terms s y_i y_j |x x'| off the diagonal blocks, s y_i (1 - y_i)|x x'| on them.
    """
    m = model(W, problem, dtype, compensated)
    C, D = m.W.shape
    out = np.full((C, D, C, D), m.tiny)
    for r in m.blocks():
        A = np.abs(r.X)
        for i in range(C):
            for j in range(i, C):
                block = (A * (r.s * m.pair_weight(r, i, j))[:, None]).T @ A
                out[i, :, j, :] += block
                if i != j:
                    out[j, :, i, :] += block.T
    np.einsum("cdcd->cd", out)[...] += m.entrywise_errors("curvature", m.K)
    return out.reshape(C * D, C * D)


def hessian_diagonal_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """The diagonal of `hessian_tolerance`, (C, D), without forming it."""
    m = model(W, problem, dtype, compensated)
    out = np.full(m.W.shape, m.tiny)
    for r in m.blocks():
        weights = np.stack([r.s * m.pair_weight(r, c, c) for c in range(m.W.shape[0])])
        out += weights @ r.X**2
    return out + m.entrywise_errors("curvature", m.K)
