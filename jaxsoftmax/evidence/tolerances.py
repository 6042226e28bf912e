"""Entrywise rounding tolerances for the derivatives (S1-S4, S8, S21), derived from dtype, terms and logit error.

Each function says how far a rule run in a given dtype may be from the exact value at the stored numbers, entry by
entry, evaluated in float64 NumPy on the actual data. ``compensated=True`` describes the hand rules (THEORY section 7);
``compensated=False`` the plain textbook formulas of ``reference``. The tolerance of a comparison is the sum of the two
sides'. With eps the machine epsilon, u = eps/2, gamma_k = k u/(1 - k u):

*Logits.* A computed inner product errs by at most ``delta_nc = gamma_k sum_d |x_nd w_cd|`` in any order of summation,
with or without FMA; k is the number of non-zero x_nd, since adding an exact zero is exact (k <= D). Plain formulas
round z - max once more: ``+ u |z - max|``; compensated ones carry that error along (THEORY 7.1).

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
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxsoftmax.evidence import reference

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
    "residual_tolerance",
    "sum_constant",
    "third_derivative_tolerance",
]

_BLOCK_ENTRIES = 2**22
_EXP_LIMIT = 700.0


def sum_constant(N: int, C: int) -> float:
    """K of the module docstring: a sum of N rows of C classes errs by about eps K sum|terms| at most.

    Example:
        >>> from jaxsoftmax.evidence import tolerances
        >>> tolerances.sum_constant(100, 2)
        18.0
    """
    return 8.0 + np.sqrt(N) + 4.0 * max(0.0, np.log2(C / 2))


@dataclasses.dataclass(frozen=True)
class _Rows:
    """A block of samples: data in float64, exact-enough softmax, and the errors of logits and probabilities."""

    X: np.ndarray
    T: np.ndarray
    s: np.ndarray
    Z: np.ndarray
    Y: np.ndarray
    complement: np.ndarray
    neg_log: np.ndarray
    gamma: np.ndarray
    dy: np.ndarray
    dlog: np.ndarray

    def directional(self, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U = X V' and the error of its computation."""
        return self.X @ V.T, self.gamma * (np.abs(self.X) @ np.abs(V).T)


@dataclasses.dataclass(frozen=True)
class _Model:
    """What a rule computes with: the data, the unit roundoff, and whether it is compensated."""

    W: np.ndarray
    data: reference.PlainProblem
    eps: float
    tiny: float
    compensated: bool

    @property
    def samples(self) -> int:
        return self.data.X.shape[0] + sum(self.data.X.shape[1] for t in self.data.regularizer if t.kind == "self")

    @property
    def K(self) -> float:
        return self.eps * sum_constant(self.samples, self.W.shape[0])

    @property
    def own(self) -> float:
        """Relative error of one softmax entry by its own evaluation; a plain sum over C classes may add C eps."""
        C = self.W.shape[0]
        return self.eps * (4.0 * (1.0 + np.log2(C)) + (0.0 if self.compensated else C))

    def quadratic(self) -> Iterator[tuple[float, np.ndarray]]:
        """(alpha, which columns) of each L2 term."""
        for term in self.data.regularizer:
            if term.kind == "l2":
                mask = np.ones(self.W.shape[1])
                if self.data.intercept and not term.penalize_intercept:
                    mask[-1] = 0.0
                yield float(term.value), mask

    def blocks(self, *, extra: bool = True) -> Iterator[_Rows]:
        """The samples block by block, then the D samples gamma e_d of each self-regulariser (S21d)."""
        N, D = self.data.X.shape
        C = self.W.shape[0]
        size = max(1, _BLOCK_ENTRIES // (D + 4 * C))
        for i in range(0, N, size):
            yield self._rows(
                *(np.asarray(a[i : i + size]) for a in (self.data.X, self.data.T, self.data.sample_weight))
            )
        for term in self.data.regularizer if extra else ():
            for i in range(0, D, size) if term.kind == "self" else ():
                n = min(size, D - i)
                yield self._rows(float(term.value) * np.eye(n, D, i), np.full((n, C), 1.0 / C), np.ones(n))

    def _rows(self, X: np.ndarray, T: np.ndarray, s: np.ndarray) -> _Rows:
        u = self.eps / 2
        k = np.count_nonzero(X, axis=1)[:, None]
        gamma = k * u / np.maximum(1.0 - k * u, u)
        Z = X @ self.W.T
        delta = gamma * (np.abs(X) @ np.abs(self.W).T)
        top = Z.argmax(axis=1)[:, None]
        d = Z - np.take_along_axis(Z, top, 1)
        e = np.exp(d)
        np.put_along_axis(e, top, 0.0, 1)
        others = e.sum(axis=1, keepdims=True)
        np.put_along_axis(e, top, 1.0, 1)
        Y = e / (1.0 + others)
        complement = 1.0 - Y
        np.put_along_axis(complement, top, others / (1.0 + others), 1)
        if not self.compensated:
            delta = delta + u * np.abs(d)
        odds = np.minimum(delta + delta.max(axis=1, keepdims=True), _EXP_LIMIT)
        change = np.expm1(odds)
        dy = np.minimum(Y * complement * change, np.maximum(Y, complement)) + self.tiny
        dlog = np.minimum(odds, complement * change) + self.tiny
        return _Rows(X, T, s, Z, Y, complement, np.log1p(others) - d, gamma, dy, dlog)

    def residual_size(self, rows: _Rows) -> np.ndarray:
        """The magnitude that y - t is accurate relative to: itself where one class has the whole target."""
        plain = np.maximum(rows.Y, rows.T)
        if not self.compensated:
            return plain
        sole = (rows.T != 0).sum(axis=1, keepdims=True) == 1
        return np.where(sole, np.where(rows.T != 0, rows.T * rows.complement, rows.Y), plain)

    def moments(self, rows: _Rows, V: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(u - ubar, magnitude subtracted in it, its propagated error) for u = V x."""
        U, dU = rows.directional(V)
        shifted = U - np.take_along_axis(U, rows.Y.argmax(axis=1)[:, None], 1)
        centred = shifted - (rows.Y * shifted).sum(axis=1, keepdims=True)
        base = np.abs(shifted if self.compensated else U)
        size = base + (rows.Y * base).sum(axis=1, keepdims=True)
        mean = (rows.dy * np.abs(centred) + (rows.Y + rows.dy) * dU).sum(axis=1, keepdims=True)
        return centred, size, dU + mean


def _model(W: Any, problem: Any, dtype: Any, compensated: bool) -> _Model:
    data = problem if isinstance(problem, reference.PlainProblem) else reference.plain(problem)
    if dtype is None:
        dtype = np.dtype(getattr(problem, "dtype", np.float64))
    info = np.finfo(dtype)
    return _Model(np.asarray(W).astype(np.float64), data, float(info.eps), float(info.tiny), compensated)


# --- per sample ------------------------------------------------------------------------------------------------------


def probability_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For Y (S1), (N, C): dy + 4 eps (1 + log2 C) y.

    Args:
        W: (C, D) weights as the rule saw them.
        problem: the problem, or its `reference.plain` form.
        dtype: the dtype that the rule computes in; the problem's when None (float64 for a plain form).
        compensated: the hand rules (True) or the textbook formulas (False).

    Returns:
        Float64 NumPy; all functions of this module take these arguments.
    """
    m = _model(W, problem, dtype, compensated)
    return np.concatenate([r.dy + m.own * r.Y for r in m.blocks(extra=False)])


def log_probability_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For -log Y (S1), (N, C): dlog + 4 eps (1 + log2 C)(-log y); plain rules lose relative to |lse| + |z|."""
    m = _model(W, problem, dtype, compensated)
    return np.concatenate([r.dlog + m.own * _log_size(m, r) for r in m.blocks(extra=False)])


def _log_size(m: _Model, rows: _Rows) -> np.ndarray:
    if m.compensated:
        return rows.neg_log
    return 2.0 * np.abs(rows.Z) + rows.neg_log + np.log(m.W.shape[0])


def residual_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For Y - T (S2), (N, C): dy + 4 eps (1 + log2 C) times y - t itself (one-hot) or max(y, t) (soft)."""
    m = _model(W, problem, dtype, compensated)
    return np.concatenate([r.dy + m.own * m.residual_size(r) for r in m.blocks(extra=False)])


def input_gradient_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For dL/dX = diag(s)(Y - T) W (S2 seen from X), (N, D)."""
    m = _model(W, problem, dtype, compensated)
    C, own = m.W.shape[0], max(m.own, m.eps * sum_constant(m.W.shape[0], m.W.shape[0]))
    parts = [(r.s[:, None] * (r.dy + own * m.residual_size(r))) @ np.abs(m.W) for r in m.blocks(extra=False)]
    return np.concatenate(parts) + C * m.tiny


# --- sums over samples -----------------------------------------------------------------------------------------------


def loss_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> float:
    """For the loss (S1, S21): eps K sum|terms| + sum_n s_n sum_i t_ni dlog_ni."""
    m = _model(W, problem, dtype, compensated)
    total = 0.0
    for r in m.blocks():
        # np.where: a class of target 0 takes no part, whatever its logarithm.
        total += float((r.s[:, None] * np.where(r.T == 0, 0.0, r.T * (m.K * _log_size(m, r) + r.dlog))).sum())
    for alpha, mask in m.quadratic():
        total += m.eps * (8 + np.sqrt(m.W.size)) * alpha / 2 * float((mask * m.W**2).sum())
    return total + m.tiny


def gradient_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For the gradient (S2, S21), (C, D): eps K sum_n s_n |r_nc x_nd| + sum_n s_n |x_nd| dy_nc.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.evidence import tolerances
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 2])
        >>> bool(tolerances.gradient_tolerance(np.zeros((3, 4)), problem).max() < 1e-5)
        True
    """
    m = _model(W, problem, dtype, compensated)
    out = np.full(m.W.shape, m.tiny)
    for r in m.blocks():
        out += (r.s[:, None] * (m.K * m.residual_size(r) + r.dy)).T @ np.abs(r.X)
    for alpha, mask in m.quadratic():
        out += m.K * alpha * mask * np.abs(m.W)
    return out


def hvp_tolerance(W: Any, problem: Any, V: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For the Hessian-vector product (S4, S21), (C, D).

    With P = y (u - ubar): |dP| <= dy (|u - ubar| + du + dubar) + y (du + dubar),
    dubar = sum_j dy_j |u_j - ubar| + (y_j + dy_j) du_j, where du is the error of U = X V'.
    """
    m = _model(W, problem, dtype, compensated)
    V = np.asarray(V).astype(np.float64)
    out = np.full(m.W.shape, m.tiny)
    for r in m.blocks():
        centred, size, error = m.moments(r, V)
        weight = m.K * r.Y * size + r.dy * (np.abs(centred) + error) + r.Y * error
        out += (r.s[:, None] * weight).T @ np.abs(r.X)
    for alpha, mask in m.quadratic():
        out += m.K * alpha * mask * np.abs(V)
    return out


def quadratic_form_tolerance(W: Any, problem: Any, V: Any, *, dtype: Any = None, compensated: bool = True) -> float:
    """For D^2 L(W)[V, V] as a sum of variances (S4): no first-order error from the mean, since it minimises.

    |dVar| <= sum_c dy_c a_c^2 + 2 y_c a_c e_c + (y_c + dy_c) e_c^2 with a = |u - ubar| and e its error.
    """
    m = _model(W, problem, dtype, compensated)
    V = np.asarray(V).astype(np.float64)
    total = m.tiny
    for r in m.blocks():
        centred, size, error = m.moments(r, V)
        a = np.abs(centred)
        parts = m.K * r.Y * a * size + r.dy * a**2 + 2 * r.Y * a * error + (r.Y + r.dy) * error**2
        total += float((r.s[:, None] * parts).sum())
    for alpha, mask in m.quadratic():
        total += m.eps * (8 + np.sqrt(m.W.size)) * alpha * float((mask * V**2).sum())
    return total


def third_derivative_tolerance(
    W: Any, problem: Any, V: Any, U: Any = None, *, dtype: Any = None, compensated: bool = True
) -> float:
    """For D^3 L(W)[V, U, U] (S8): the derivative of E[a b^2], a = v - vbar, b = u - ubar, in y, v and u.

    By the mean value theorem with every magnitude enlarged by its own error (y, A = |a|, B = |b| below):
    sum_c dy_c (A B^2 + A Var + 2 B Cov) + y_c dv_c (B^2 + Var) + 2 y_c du_c (A B + Cov).
    """
    m = _model(W, problem, dtype, compensated)
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
    return total


# --- the dense Hessian -----------------------------------------------------------------------------------------------


def _pair_weight(m: _Model, r: _Rows, i: int, j: int) -> np.ndarray:
    """Tolerance of the sample weights y_i (delta_ij - y_j) of block (i, j), as (n,)."""
    yi, yj, di, dj = r.Y[:, i], r.Y[:, j], r.dy[:, i], r.dy[:, j]
    if i != j:
        return m.K * yi * yj + di * yj + dj * yi + di * dj
    q = r.complement[:, i]
    return m.K * yi * (q if m.compensated else 1.0) + di * (np.abs(q - yi) + di)


def hessian_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """For the dense Hessian (S4, S21), (C D, C D), row-major vec: Gram products of |X| with the pair tolerances.

    Terms s y_i y_j |x x'| off the diagonal blocks, s y_i (1 - y_i)|x x'| on them.
    """
    m = _model(W, problem, dtype, compensated)
    C, D = m.W.shape
    out = np.full((C, D, C, D), m.tiny)
    for r in m.blocks():
        A = np.abs(r.X)
        for i in range(C):
            for j in range(i, C):
                block = (A * (r.s * _pair_weight(m, r, i, j))[:, None]).T @ A
                out[i, :, j, :] += block
                if i != j:
                    out[j, :, i, :] += block.T
    _add_diagonal(m, np.einsum("cdcd->cd", out))
    return out.reshape(C * D, C * D)


def hessian_diagonal_tolerance(W: Any, problem: Any, *, dtype: Any = None, compensated: bool = True) -> np.ndarray:
    """The diagonal of `hessian_tolerance`, (C, D), without forming it."""
    m = _model(W, problem, dtype, compensated)
    out = np.full(m.W.shape, m.tiny)
    for r in m.blocks():
        weights = np.stack([r.s * _pair_weight(m, r, c, c) for c in range(m.W.shape[0])])
        out += weights @ r.X**2
    _add_diagonal(m, out)
    return out


def _add_diagonal(m: _Model, diagonal: np.ndarray) -> None:
    for alpha, mask in m.quadratic():
        diagonal += m.K * alpha * mask
