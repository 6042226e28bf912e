"""A proved lower bound of the Hessian's curvature at a point, by pairs of classes or by the whole matrix (S14, S15)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import scipy.linalg

from jaxsoftmax.proof.exact.decimals import dyadic_below, float_estimate, log2_estimate
from jaxsoftmax.proof.exact.products import as_smallest, integer_bits, integer_product
from jaxsoftmax.proof.minimum.class_graph import laplacian_bound
from jaxsoftmax.proof.minimum.objective import ProofData
from jaxsoftmax.proof.minimum.refine import float_columns
from jaxsoftmax.proof.minimum.semidefinite import factor_shift, proves_semidefinite, scaled_floats
from jaxsoftmax.support.countdown import Countdown

__all__ = ["Curvature", "Pair", "certify_curvature", "chosen_method", "scaling_exponents"]

_FULL = 160  # order (C − 1)K up to which "auto" takes the whole matrix: a checker factors it in pure Python
_MANY_COLUMNS = 300  # from here on a pair's matrix is summed over some of the rows only
_ROWS_A_COLUMN = 2
_FEW_BITS, _MORE_BITS = 30, 46  # of the largest weight, for few and for many columns: rare ones have small weights
_BLOCK = 8192  # rows of X at a time
_CANDIDATES = 6  # pairs that are tried for a class, as long as they are weak
_WEAK = 1e-13  # of a matrix of which m is a smaller part of the largest diagonal entry
_SLACK = 4.0  # times δ: what is left for the checker's own factorisation


class Pair(NamedTuple):
    """M_ab − m Σ² ⪰ 0 for a pair of classes; the rows that M_ab was summed over, or None for all."""

    a: int
    b: int
    rows: np.ndarray | None
    m: Fraction


class Curvature(NamedTuple):
    """H ⪰ mu in ‖·‖_Σ on {1ᵀV = 0}.

    method: "pairs" or "full". exponents: (K,) with Σ = diag(2^e). weight_bits: the binary places of the weights
    s y_a y_b, rounded down. pairs: of "pairs".
    """

    mu: Fraction
    method: str
    exponents: np.ndarray
    weight_bits: int
    pairs: tuple[Pair, ...]


def scaling_exponents(data: ProofData) -> np.ndarray:
    """(K,) integers e with 4^e near the mean square of each column plus alpha/Σs where penalised; 0 where that is 0."""
    n, K = data.A.shape
    first = np.zeros(K, int)
    for column in range(K):
        top = max(abs(v) for v in (int(data.A[:, column].max(initial=0)), int(data.A[:, column].min(initial=0))))
        first[column] = top.bit_length() - data.scales[column].bit_length()
    squares = np.zeros(K)
    for start in range(0, n, _BLOCK):
        X = float_columns(data, first, np.arange(start, min(start + _BLOCK, n)))
        squares += np.einsum("nk,nk->k", X, X)
    with np.errstate(divide="ignore"):
        logs = first + np.log2(squares / max(n, 1)) / 2
    if data.alpha > 0:
        own = log2_estimate(data.alpha / Fraction(int(data.s_num.sum()), data.s_den)) / 2
        logs = np.where(data.penalised, np.logaddexp2(2 * logs, 2 * own) / 2, logs)
    return np.where(np.isfinite(logs), np.rint(logs), 0).astype(int)


def chosen_method(method: str, C: int, K: int) -> str:
    """What "auto" stands for."""
    if method == "auto":
        return "full" if (C - 1) * K <= _FULL else "pairs"
    return method


def certify_curvature(
    data: ProofData,
    Y: np.ndarray,
    precision: int,
    exponents: np.ndarray,
    method: str = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Curvature | None:
    r"""The largest μ that could be proved with H(Ŵ) ⪰ μ in ‖·‖_Σ on {1ᵀV = 0}; None where none above 0 could be.

    D²L[V, V] = Σ_{a<b} (v_a − v_b)ᵀ M_ab (v_a − v_b) with M_ab = Xᵀ diag(s y_a y_b) X (S14). The weights are replaced
    by lower bounds on a coarse grid, which keeps a lower bound, and makes M_ab an exact matrix of integers. "pairs":
    for a spanning tree of pairs of classes M_ab ⪰ m_ab Σ², and μ is a lower bound of λ₂ of the graph's Laplacian.
    "full": the whole matrix on v_C = 0, H' − μ (I − 11ᵀ/C) ⊗ Σ² ⪰ 0.

    Args:
        data: the objective; its columns are independent, or all but the intercept penalised.
        Y: (n, C) integers with |y − Y / 2^precision| <= 2^-precision.
        precision: of Y.
        exponents: (K,) of Σ.
        method: "pairs", "full" or "auto" (full for small matrices).
        progress: called with a line of text now and then.

    Source: S14, S15; Böhning, Ann. Inst. Statist. Math. 44 (1992), for the class-pair form.
    """
    (_, K), C = data.A.shape, data.C
    method = chosen_method(method, C, K)
    work = _Weights(data, Y, precision)
    if method == "full":
        return _whole(data, work, exponents)
    together = work.floats.T @ work.floats
    pairs, inside = [], {0}
    step = Countdown(progress, total=C - 1)
    while len(inside) < C:
        found = _next_pair(data, work, together, inside, exponents, step)
        if found is None:
            return None
        pairs.append(found)
        inside |= {found.a, found.b}
    pairs.sort(key=lambda pair: (pair.a, pair.b))
    mu = laplacian_bound(C, [(pair.a, pair.b, pair.m) for pair in pairs])
    return None if mu is None else Curvature(mu, "pairs", exponents, work.bits, tuple(pairs))


class _Weights:
    """Lower bounds of s y_a y_b: integers over 2^bits."""

    def __init__(self, data: ProofData, Y: np.ndarray, precision: int) -> None:
        self.data = data
        cut = max(precision - 60, 0)
        # Two units below: a checker whose own Y is a unit sharper finds weights that are no smaller.
        self.low = np.maximum(Y - 2, 0) >> cut
        self.places = precision - cut
        self.s = (data.s_num / data.s_den).astype(np.float64)
        self.floats = self.low.astype(np.float64) * 2.0**-self.places
        top = max(float((self.s[:, None] * self.floats).max(initial=0.0)), 1e-300)
        many = data.A.shape[1] > _MANY_COLUMNS
        self.bits = int(np.clip((_MORE_BITS if many else _FEW_BITS) - math.floor(math.log2(top)), -64, 256))

    def estimate(self, a: int, b: int) -> np.ndarray:
        return self.s * self.floats[:, a] * self.floats[:, b]

    def integers(self, a: int, b: int, rows: np.ndarray | None) -> np.ndarray:
        """floor(2^bits · s · l_a · l_b) with lower bounds l, as Python integers."""
        chosen = slice(None) if rows is None else rows
        product = self.low[chosen, a] * self.low[chosen, b] * self.data.s_num[chosen]
        shift = 2 * self.places - self.bits
        down = product if shift <= 0 else product >> shift
        return (down << -shift if shift < 0 else down) // self.data.s_den


def _next_pair(
    data: ProofData,
    work: _Weights,
    together: np.ndarray,
    inside: set[int],
    exponents: np.ndarray,
    step: Countdown,
) -> Pair | None:
    """A pair that joins another class to those inside: of large Σ y_a y_b, and others where its matrix is too weak."""
    outside = set(range(data.C)) - inside
    order = sorted(itertools.product(inside, outside), key=lambda pair: -together[pair])
    best = None
    for a, b in order[:_CANDIDATES]:
        step(len(inside) - 1, f"curvature of the classes {a} and {b}: pair {len(inside)} of {data.C - 1}")
        found, largest = _pair(data, work, min(a, b), max(a, b), exponents)
        if found is not None and (best is None or found.m > best.m):
            best = found
        if best is not None and best.m > _WEAK * largest:
            return best
    return best


def _gram(data: ProofData, weights: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Aᵀ diag(w) A in Python integers."""
    chosen = np.arange(len(data.A)) if rows is None else rows
    used = np.flatnonzero(weights != 0)
    chosen, weights = chosen[used], as_smallest(weights[used])
    total = np.zeros((data.A.shape[1], data.A.shape[1]), dtype=object)
    for start in range(0, len(chosen), _BLOCK):
        A, w = data.A[chosen[start : start + _BLOCK]], weights[start : start + _BLOCK]
        if A.dtype == object or w.dtype == object or integer_bits(A) + integer_bits(w) > 62:
            A, w = A.astype(object), w.astype(object)
        total = total + integer_product((A * w[:, None]).T, A)
    return total


def _metric(data: ProofData, exponents: np.ndarray) -> tuple[list[Fraction], list[Fraction]]:
    """For the integers of A: the diagonals of scales² Σ² and of the penalty, scales² alpha/C on its columns."""
    squares = [Fraction(q) ** 2 * Fraction(4) ** int(e) for q, e in zip(data.scales, exponents, strict=True)]
    own = [
        Fraction(q) ** 2 * data.alpha / data.C if flag else Fraction(0)
        for q, flag in zip(data.scales, data.penalised, strict=True)
    ]
    return squares, own


def _proves(G: np.ndarray, bits: int, diagonal: list[Fraction]) -> bool:
    """Whether G / 2^bits + diag(diagonal) ⪰ 0 could be proved, G integers."""
    places = Fraction(2) ** bits
    exact = [d * places for d in diagonal]
    common = math.lcm(*(d.denominator for d in exact))
    M = G * common
    M[np.diag_indices(len(M))] += np.array([int(d * common) for d in exact], dtype=object)
    return proves_semidefinite(M)


def _floats(G: np.ndarray, bits: int, squares: list[Fraction], copies: int = 1) -> np.ndarray:
    """G / 2^bits in the metric where Σ² is the identity, in float64."""
    u = [(s.numerator.bit_length() - s.denominator.bit_length()) // 2 for s in squares]
    root = np.array([float(s / Fraction(4) ** k) ** -0.5 for s, k in zip(squares, u, strict=True)] * copies)
    return np.ldexp(scaled_floats(G, np.array(u * copies)), -bits) * root[:, None] * root


def _pair(data: ProofData, work: _Weights, a: int, b: int, exponents: np.ndarray) -> tuple[Pair | None, float]:
    """The pair with the largest m that could be proved, or None, and the largest diagonal entry of its matrix."""
    rows = _telling_rows(data, work.estimate(a, b), exponents) if data.A.shape[1] > _MANY_COLUMNS else None
    G = _gram(data, work.integers(a, b, rows), rows)
    squares, own = _metric(data, exponents)
    N = _floats(G, work.bits, squares)
    N[np.diag_indices(len(N))] += [float_estimate(o / x) for o, x in zip(own, squares, strict=True)]
    largest = float(np.diag(N).max())
    m = _provable(N, None)
    for _ in range(6):
        if m is None or m <= 0:
            break
        exact = dyadic_below(m)
        if _proves(G, work.bits, [o - exact * x for o, x in zip(own, squares, strict=True)]):
            return Pair(a, b, rows, exact), largest
        m /= 4
    return None, largest


def _provable(N: np.ndarray, metric: np.ndarray | None) -> float | None:
    """A float m such that N − m·metric leaves a checker's factorisation the slack that it needs, as an estimate.

    metric: None for the identity.
    """
    n = len(N)
    if not np.isfinite(N).all():
        return None
    m = float(scipy.linalg.eigh(N, metric, eigvals_only=True, subset_by_index=[0, 0])[0]) * (1 - 2.0**-6)
    for _ in range(30):
        if m <= 0:
            return None
        left = N - m * (np.eye(n) if metric is None else metric)
        diagonal = np.diag(left)
        if (diagonal > 0).all():
            scale = 1 / np.sqrt(diagonal)
            # Its least eigenvalue is above the slack where it can still be factored with the slack taken off.
            left = left * scale[:, None] * scale
            left[np.diag_indices(n)] -= _SLACK * factor_shift(n)
            if _factors(left):
                return m
        m /= 2
    return None


def _factors(N: np.ndarray) -> bool:
    try:
        scipy.linalg.cholesky(N.T, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return False
    return True


def _telling_rows(data: ProofData, weights: np.ndarray, exponents: np.ndarray) -> np.ndarray | None:
    """The rows of largest leverage w x Gram⁻¹ x: a few of them hold nearly all curvature in the flattest directions."""
    n, K = data.A.shape
    wanted = _ROWS_A_COLUMN * K
    if n <= wanted:
        return None
    # All rows take part, in columns of unit length: a direction may hang on one row of small weight.
    X = float_columns(data, exponents)
    X *= np.sqrt(weights)[:, None]
    lengths = np.sqrt(np.einsum("nk,nk->k", X, X))
    X /= np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(X.T @ X)
    leverage = _row_norms(X, vectors / np.sqrt(np.maximum(values, values[-1] * 1e-15)))
    return np.sort(np.argpartition(leverage, n - wanted)[n - wanted :])


def _row_norms(X: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    """Squared row norms of X @ whitening, in blocks of rows."""
    parts = [X[start : start + 8192] @ whitening for start in range(0, len(X), 8192)]
    return np.concatenate([np.einsum("nk,nk->n", part, part) for part in parts])


def _whole(data: ProofData, work: _Weights, exponents: np.ndarray) -> Curvature | None:
    K, C = data.A.shape[1], data.C
    size = (C - 1) * K
    G = np.zeros((size, size), dtype=object)
    for a, b in itertools.combinations(range(C), 2):
        M = _gram(data, work.integers(a, b, None), None)
        for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            if i < C - 1 and j < C - 1:
                G[i * K : (i + 1) * K, j * K : (j + 1) * K] += sign * M
    squares, own = _metric(data, exponents)
    projection = np.eye(C - 1) - 1 / C
    N = _floats(G, work.bits, squares, C - 1)
    # The penalty alpha ‖V‖² is (alpha/C) Σ_{a<b} ‖v_a − v_b‖² where 1ᵀV = 0: alpha (I − 11ᵀ/C) on v_C = 0.
    penalty = [float_estimate(C * o / x) for o, x in zip(own, squares, strict=True)]
    N += np.kron(projection, np.diag(penalty))
    mu = _provable(N, np.kron(projection, np.eye(K)))
    for _ in range(6):
        if mu is None or mu <= 0:
            return None
        exact = dyadic_below(mu)
        change = [C * o - exact * x for o, x in zip(own, squares, strict=True)]
        if _proves_whole(G, work.bits, change, C, K):
            return Curvature(exact, "full", exponents, work.bits, ())
        mu /= 2
    return None


def _proves_whole(G: np.ndarray, bits: int, diagonal: list[Fraction], C: int, K: int) -> bool:
    """Whether G / 2^bits + (I − 11ᵀ/C) ⊗ diag(diagonal) ⪰ 0 could be proved."""
    exact = [d * Fraction(2) ** bits / C for d in diagonal]
    common = math.lcm(*(d.denominator for d in exact))
    M = G * common
    whole = [int(d * common) for d in exact]
    for i in range(C - 1):
        for j in range(C - 1):
            for k in range(K):
                M[i * K + k, j * K + k] += whole[k] * (C * (i == j) - 1)
    return proves_semidefinite(M)
