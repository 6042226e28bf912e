"""Naive twins of the calculus: the theory's sums written as loops over n, i, c, d in float64 NumPy, nothing clever.

Written from the statements, not from the package: a twin knows no shift, no fused pass and no packed Gram product.
`rounding` is the one place where the tests' tolerances come from.
"""

from __future__ import annotations

import dataclasses

import numpy as np

EPS64 = float(np.finfo(np.float64).eps)


@dataclasses.dataclass(frozen=True)
class Data:
    """The numbers of a problem as float64: X (N, D), T (N, C), s (N,), and the strengths of S21 a, b, d (0: absent)."""

    X: np.ndarray
    T: np.ndarray
    s: np.ndarray
    alpha: float = 0.0
    penalised: np.ndarray | None = None  # (D,) of 0 and 1; None: every column
    gamma: float = 0.0
    cosh: tuple[float, float] = (0.0, 1.0)  # alpha and gamma of log-cosh, on the same columns as L2

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, D, C)."""
        return self.X.shape[0], self.X.shape[1], self.T.shape[1]


def data_of(
    problem, alpha: float = 0.0, penalised: np.ndarray | None = None, gamma: float = 0.0, cosh=(0.0, 1.0)
) -> Data:
    """The stored device numbers of a problem, widened exactly; the strengths are the test's own, not read from it."""
    X, T, s = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.T, problem.sample_weight))
    return Data(X, T, s, alpha, penalised, gamma, cosh)


# ── the pieces ──
def logits(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """z_nc = Σ_d w_cd x_nd."""
    Z = np.zeros((len(X), len(W)))
    for n in range(len(X)):
        for c in range(len(W)):
            for d in range(X.shape[1]):
                Z[n, c] += W[c, d] * X[n, d]
    return Z


def softmax(z: np.ndarray) -> np.ndarray:
    """exp(z_i - max z) / Σ_j exp(z_j - max z) of one row."""
    e = np.exp(z - np.max(z))
    return e / sum(e)


def log_softmax(z: np.ndarray) -> np.ndarray:
    """z_i - log Σ_j exp(z_j) of one row."""
    top = np.max(z)
    return (z - top) - np.log(sum(np.exp(z - top)))


def with_extra_samples(data: Data) -> Data:
    """S21d literally: D more samples γ e_d of weight 1 with uniform targets."""
    _, D, C = data.shape
    if data.gamma == 0:
        return data
    X = np.vstack([data.X, data.gamma * np.eye(D)])
    T = np.vstack([data.T, np.full((D, C), 1 / C)])
    s = np.concatenate([data.s, np.ones(D)])
    return dataclasses.replace(data, X=X, T=T, s=s, gamma=0.0)


def l2_mask(data: Data) -> np.ndarray:
    """(D,): 1 for the columns that L2 and log-cosh penalise."""
    return np.ones(data.X.shape[1]) if data.penalised is None else np.asarray(data.penalised, float)


# ── S21b, entry by entry: (α/γ) log(e^x + e^-x), x = γ w, and its derivatives, as (C, D) arrays ──
def cosh_value(W: np.ndarray, data: Data) -> np.ndarray:
    """(α/γ) log(2 cosh γw) on penalised columns."""
    alpha, gamma = data.cosh
    x = np.abs(gamma * W)
    return l2_mask(data) * alpha / gamma * (x + np.log(1 + np.exp(-2 * x)))


def cosh_slope(W: np.ndarray, data: Data) -> np.ndarray:
    """α tanh(γ w)."""
    return l2_mask(data) * data.cosh[0] * np.tanh(data.cosh[1] * W)


def cosh_curvature(W: np.ndarray, data: Data) -> np.ndarray:
    """αγ / cosh²(γ w)."""
    return l2_mask(data) * data.cosh[0] * data.cosh[1] / np.cosh(data.cosh[1] * W) ** 2


def cosh_third(W: np.ndarray, data: Data) -> np.ndarray:
    """-2 αγ² tanh(γ w) / cosh²(γ w)."""
    return -2 * data.cosh[1] * np.tanh(data.cosh[1] * W) * cosh_curvature(W, data)


def cosh_rounding(W: np.ndarray, data: Data, eps: float) -> np.ndarray:
    """Relative error of an entry of the curvature: γw has one rounding, sech² a relative slope of at most 2|x|; and 12
    eps for its dozen operations.
    """
    return eps * (12 + 2 * np.abs(data.cosh[1] * W))


# ── S1, S2, S4, S8 with S21 ──
def loss(W: np.ndarray, data: Data) -> float:
    """S1: Σ_n s_n Σ_i t_ni (-log y_ni) + S21."""
    mask, total = l2_mask(data), 0.0
    data = with_extra_samples(data)
    N, D, C = data.shape
    Z = logits(W, data.X)
    for n in range(N):
        log_y = log_softmax(Z[n])
        for i in range(C):
            total += data.s[n] * data.T[n, i] * -log_y[i]
    for c in range(C):
        for d in range(D):
            total += data.alpha / 2 * mask[d] * W[c, d] ** 2
    return total + float(np.sum(cosh_value(W, data)))


def gradient(W: np.ndarray, data: Data) -> np.ndarray:
    """S2: g_cd = Σ_n s_n (y_nc - t_nc) x_nd + S21."""
    mask = l2_mask(data)
    data = with_extra_samples(data)
    N, D, C = data.shape
    Z = logits(W, data.X)
    G = data.alpha * mask[None, :] * W + cosh_slope(W, data)
    for n in range(N):
        y = softmax(Z[n])
        for c in range(C):
            for d in range(D):
                G[c, d] += data.s[n] * (y[c] - data.T[n, c]) * data.X[n, d]
    return G


def hessian(W: np.ndarray, data: Data) -> np.ndarray:
    """S4: Σ_n s_n S(y_n) ⊗ x_n x_nᵀ, (CD, CD), row-major vec, + S21."""
    mask = l2_mask(data)
    data = with_extra_samples(data)
    N, _, C = data.shape
    Z = logits(W, data.X)
    H = data.alpha * np.kron(np.eye(C), np.diag(mask)) + np.diag(cosh_curvature(W, data).reshape(-1))
    for n in range(N):
        y, x = softmax(Z[n]), data.X[n]
        S = np.array([[-y[i] * y[j] for j in range(C)] for i in range(C)])
        for i in range(C):
            S[i, i] = y[i] * sum(y[j] for j in range(C) if j != i)
        H = H + data.s[n] * np.kron(S, np.outer(x, x))
    return H


def hvp(W: np.ndarray, data: Data, V: np.ndarray) -> np.ndarray:
    """S4: entry (c, d) is Σ_n s_n y_nc Σ_j y_nj (u_nc - u_nj) x_nd, u_n = V x_n, + S21."""
    mask = l2_mask(data)
    data = with_extra_samples(data)
    N, D, C = data.shape
    Z, U = logits(W, data.X), logits(V, data.X)
    out = data.alpha * mask[None, :] * V + cosh_curvature(W, data) * V
    for n in range(N):
        y, u = softmax(Z[n]), U[n]
        for c in range(C):
            tangent = sum(y[c] * y[j] * (u[c] - u[j]) for j in range(C))
            for d in range(D):
                out[c, d] += data.s[n] * tangent * data.X[n, d]
    return out


def quadratic_form(W: np.ndarray, data: Data, V: np.ndarray) -> float:
    """S4: Σ_n s_n Σ_{a<b} y_a y_b (u_a - u_b)² + S21."""
    mask = l2_mask(data)
    data = with_extra_samples(data)
    N, D, C = data.shape
    Z, U = logits(W, data.X), logits(V, data.X)
    total = sum(data.alpha * mask[d] * V[c, d] ** 2 for c in range(C) for d in range(D))
    total += float(np.sum(cosh_curvature(W, data) * V**2))
    for n in range(N):
        y, u = softmax(Z[n]), U[n]
        for a in range(C):
            for b in range(a + 1, C):
                total += data.s[n] * y[a] * y[b] * (u[a] - u[b]) ** 2
    return total


def third_derivative(W: np.ndarray, data: Data, V: np.ndarray, U: np.ndarray) -> float:
    """S8: Σ_n s_n E_y[(v - v̄)(u - ū)²], a third cumulant, + S21 (L2 has none)."""
    total = float(np.sum(cosh_third(W, data) * V * U**2))
    data = with_extra_samples(data)
    Z, vs, us = logits(W, data.X), logits(V, data.X), logits(U, data.X)
    for n in range(len(data.X)):
        y, v, u = softmax(Z[n]), vs[n], us[n]
        mean_v, mean_u = sum(y * v), sum(y * u)
        for i in range(len(y)):
            total += data.s[n] * y[i] * (v[i] - mean_v) * (u[i] - mean_u) ** 2
    return total


# ── S6, S7, S8, S17 ──
def kernel_dimension(data: Data) -> int:
    """S6: D + (C - 1)(D - R), R the rank of the rows with s_n > 0; S21e: 0, 1 (free intercept) or D."""
    _, D, C = data.shape
    if data.alpha > 0 or data.cosh[0] > 0:
        return int(D - np.sum(l2_mask(data)))
    rank = np.linalg.matrix_rank(with_extra_samples(data).X[with_extra_samples(data).s > 0])
    return int(D + (C - 1) * (D - rank))


def singular_values(data: Data) -> np.ndarray:
    """Of diag(√s) X with the extra samples of S21d, in decreasing order."""
    data = with_extra_samples(data)
    return np.linalg.svd(np.sqrt(data.s)[:, None] * data.X, compute_uv=False)


def curvature_bound(data: Data) -> float:
    """S7a, S21: Λ = ½ σ_max(diag(√s) X)² + α + γ²/2, and αγ of log-cosh."""
    plain = dataclasses.replace(data, gamma=0.0)
    return singular_values(plain)[0] ** 2 / 2 + data.alpha + data.gamma**2 / 2 + data.cosh[0] * data.cosh[1]


def category_covariance(y: np.ndarray) -> np.ndarray:
    """S(y) = diag(y) - y yᵀ, entry by entry."""
    C = len(y)
    return np.array([[y[i] * ((i == j) - y[j]) for j in range(C)] for i in range(C)])


def lambda2(y: np.ndarray) -> float:
    """The smallest eigenvalue of S(y) on **1**⊥ by a full eigendecomposition."""
    C = len(y)
    P = np.eye(C) - 1 / C
    basis = np.linalg.svd(P)[0][:, : C - 1]
    return float(np.linalg.eigvalsh(basis.T @ category_covariance(y) @ basis)[0])


def max_logit_range(data: Data, V: np.ndarray) -> float:
    """S8: ρ = max_n (max_i - min_i) (V x_n)_i over the samples with s_n > 0, the extra samples of S21d included.

    With log-cosh (S21b) also 2γ |v_cd| over its entries.
    """
    entries = 2 * data.cosh[1] * float(np.max(l2_mask(data) * np.abs(V))) if data.cosh[0] > 0 else 0.0
    data = with_extra_samples(data)
    U = logits(V, data.X)
    return max(entries, *(float(np.max(U[n]) - np.min(U[n])) for n in range(len(U)) if data.s[n] > 0))


def contraction_rate(step: float, mu: float, top: float) -> float:
    """S17: max(|1 - ημ|, |1 - ηΛ|)."""
    return max(abs(1 - step * mu), abs(1 - step * top))


# ── tolerances ──
def rounding(W: np.ndarray, data: Data, eps: float, terms: np.ndarray, degree: int, products: int = 1) -> np.ndarray:
    """How far a sum over samples may be from its exact value when computed with unit `eps` (twice the roundoff u).

    `terms` (N, ...) are the magnitudes of what is summed for each sample (of the extra samples of S21d too), formed
    with Σ_d |x_d v_d| in the place of each u = V x. Then

    * summing N of them and forming each: eps (8 + √N) Σ|terms| (what docs/benchmarks.md says; √N as roundings have);
    * each factor u carries D eps relative to Σ|x v|: `products`·D·eps;
    * each factor y (there are `degree`) is multiplied by e^(±2δ_n) when the logits err by δ_n = D eps Σ_d |x w|, the
      largest over the classes, and by 1 ± 4 eps (1 + log2 C) of its own.

    To first order these add. The result is for one side; a comparison with a float64 twin adds that side at EPS64.
    """
    data = with_extra_samples(data)
    N, D, C = data.shape
    delta = D * eps * np.max(np.abs(data.X) @ np.abs(W).T, axis=1)
    factor = eps * (8 + np.sqrt(N) + products * D) + degree * (2 * delta + 4 * eps * (1 + np.log2(C)))
    return np.tensordot(factor, terms, axes=(0, 0))


def magnitudes(V: np.ndarray, data: Data) -> np.ndarray:
    """(N,) the largest Σ_d |x_nd v_cd| over the classes: bounds |u_c|; four times it bounds a shifted, centred u."""
    return np.max(np.abs(with_extra_samples(data).X) @ np.abs(V).T, axis=1)


def gradient_tolerance(W: np.ndarray, data: Data, eps: float) -> np.ndarray:
    """Terms s (y + t) |x|, degree 1; α W has one rounding or two."""
    e = with_extra_samples(data)
    Y = np.array([softmax(z) for z in logits(W, e.X)])
    terms = (e.s[:, None] * (Y + e.T))[:, :, None] * np.abs(e.X)[:, None, :]
    return rounding(W, data, eps, terms, 1) + 4 * eps * data.alpha * np.abs(W) + 12 * eps * np.abs(cosh_slope(W, data))


def loss_tolerance(W: np.ndarray, data: Data, eps: float) -> float:
    """Terms s t |log y|; -log y itself moves by 2δ (the propagated logit error)."""
    e = with_extra_samples(data)
    log_y = np.array([log_softmax(z) for z in logits(W, e.X)])
    terms = np.sum(e.s[:, None] * e.T * np.abs(log_y), axis=1)
    delta = e.X.shape[1] * eps * magnitudes(W, data)
    own = rounding(np.zeros_like(W), data, eps, terms, 1)
    penalties = 10 * eps * data.alpha * np.sum(W**2) + (12 + np.sqrt(W.size)) * eps * np.sum(cosh_value(W, data))
    return float(own + np.sum(2 * delta * e.s * np.sum(e.T, axis=1)) + penalties)


def hvp_tolerance(W: np.ndarray, data: Data, V: np.ndarray, eps: float) -> np.ndarray:
    """Terms s y_c (4 max|u|) |x_d|, degree 2."""
    e = with_extra_samples(data)
    Y = np.array([softmax(z) for z in logits(W, e.X)])
    rows = 4 * (e.s * magnitudes(V, data))[:, None] * Y
    terms = rows[:, :, None] * np.abs(e.X)[:, None, :]
    return (
        rounding(W, data, eps, terms, 2)
        + 4 * eps * data.alpha * np.abs(V)
        + cosh_rounding(W, data, eps) * cosh_curvature(W, data) * np.abs(V)
    )


def hessian_tolerance(W: np.ndarray, data: Data, eps: float) -> np.ndarray:
    """Terms s y_i y_j |x_d x_e| off the diagonal blocks, s y_i (1 - y_i) |x_d x_e| on them, degree 2."""
    e = with_extra_samples(data)
    Y = np.array([softmax(z) for z in logits(W, e.X)])
    C = Y.shape[1]
    terms = np.stack(
        [
            s * np.kron(np.outer(y, y) * (1 - np.eye(C)) + np.diag(y * (1 - y)), np.outer(np.abs(x), np.abs(x)))
            for s, y, x in zip(e.s, Y, e.X, strict=True)
        ]
    )
    curvature = np.diag((cosh_rounding(W, data, eps) * cosh_curvature(W, data)).reshape(-1))
    return rounding(W, data, eps, terms, 2, products=0) + 4 * eps * data.alpha * np.eye(terms.shape[1]) + curvature


def quadratic_form_tolerance(W: np.ndarray, data: Data, V: np.ndarray, eps: float) -> float:
    """Terms s (4 max|u|)², degree 2."""
    e = with_extra_samples(data)
    own = rounding(W, data, eps, e.s * (4 * magnitudes(V, data)) ** 2, 2, products=2)
    entries = (cosh_rounding(W, data, eps) + np.sqrt(V.size) * eps) * cosh_curvature(W, data) * V**2
    return float(own + 10 * eps * data.alpha * np.sum(V**2) + np.sum(entries))


def third_derivative_tolerance(W: np.ndarray, data: Data, V: np.ndarray, U: np.ndarray, eps: float) -> float:
    """Terms s (4 max|v|)(4 max|u|)², degree 3."""
    e = with_extra_samples(data)
    terms = e.s * 4 * magnitudes(V, data) * (4 * magnitudes(U, data)) ** 2
    entries = (cosh_rounding(W, data, eps) + (12 + np.sqrt(V.size)) * eps) * np.abs(cosh_third(W, data) * V) * U**2
    return float(rounding(W, data, eps, terms, 3, products=3) + np.sum(entries))
