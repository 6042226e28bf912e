"""Integer columns of any scale and offset as well-scaled, independent float64 columns with the same span.

Guarded by `tests/proof/overlap/test_face_fit.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["FloatBasis", "float_basis", "scaled_columns"]

_SHIFTED_BITS = 61  # two integers below 2**61 have an int64 difference
_FLOAT_RANGE = 1000  # bits
_STAGE = 1e-8  # a pivot of a Gram matrix below this has lost half of its digits: orthogonalise, then look again
_ROUNDINGS = 64.0  # a residual below this many roundings of its own computation is taken for 0
_EPS = float(np.finfo(np.float64).eps)


class FloatBasis(NamedTuple):
    """X = A @ back up to rounding, with independent columns; logits A Wᵀ = X Uᵀ for W = U backᵀ."""

    X: np.ndarray  # (n, R) float64, columns of root mean square about 1
    back: np.ndarray  # (K, R) float64


def float_basis(A: np.ndarray) -> FloatBasis:
    """Well-scaled independent columns that span what the columns of an integer matrix span.

    Where A has a constant column, every other column first loses the integer nearest to its mean, exactly; then it is
    divided by a power of two. So no digit is lost to an offset. Columns that depend on others are dropped: pivoted
    Cholesky of the Gram matrix decides while its pivots keep half of their digits, and what is left is orthogonalised
    against the chosen ones before it is looked at again. Nothing is proved here.

    Args:
        A: (n, K) integers, int64 or Python integers.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.float_basis import float_basis
        >>> A = np.array([[10**15, 1, 2], [10**15 + 1, 1, 2], [10**15 + 2, 1, 2]])
        >>> X, back = float_basis(A)
        >>> X.shape, back.shape
        ((3, 2), (3, 2))
    """
    n, K = A.shape
    if not A.size:
        return FloatBasis(np.zeros((n, 0)), np.zeros((K, 0)))
    X, offsets, exponents, anchor = scaled_columns(A)
    X, chosen, mix = _reduced(X)
    if mix is None:
        mix = np.eye(K)[:, chosen]
    if anchor is not None:
        level = int(A[0, anchor]) / (1 << int(exponents[anchor]))
        # A scaled column is A_d / 2**exponent_d − offset_d, and the constant column stands for the offset.
        mix[anchor] -= (offsets / level) @ mix
    return FloatBasis(X, np.ldexp(1.0, -exponents)[:, None] * mix)


def scaled_columns(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int | None]:
    """A / 2**exponents − offsets in float64, about 1 in size: the offsets are integers near the means, so scaled.

    Without a non-zero constant column nothing is shifted: the span would change. Integers of any size are taken.

    Args:
        A: (n, K) integers, n > 0.

    Returns:
        The scaled matrix, offsets (K,) and exponents (K,), and the index of the constant column (None without one).

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.exact.float_basis import scaled_columns
        >>> X, offsets, exponents, constant = scaled_columns(np.array([[10**15, 2], [10**15 + 2, 2]]))
        >>> X.tolist(), offsets.tolist(), exponents.tolist(), constant
        ([[-0.5, 0.5], [0.5, 0.5]], [500000000000000.5, 0.0], [1, 2], 1)
    """
    K = A.shape[1]
    constant = np.flatnonzero((A == A[0]).all(axis=0) & (A[0] != 0))
    anchor = int(constant[0]) if len(constant) else None
    shifts = np.zeros(K, dtype=np.int64)
    exponents = np.zeros(K, dtype=np.int64)
    if A.dtype == object and max(int(A.max()).bit_length(), int(A.min()).bit_length()) > _SHIFTED_BITS:
        X = np.empty(A.shape)
        offsets = np.zeros(K)
        for d in range(K):
            column = A[:, d].tolist()
            shift = 0 if anchor is None or d == anchor else sum(column) // len(column)
            spread = max(max(column) - shift, shift - min(column))
            if shift.bit_length() - spread.bit_length() > _FLOAT_RANGE:
                shift = 0  # not even the scaled shift is a float: the column is constant to working precision
            column = [value - shift for value in column]
            exponents[d] = max(value.bit_length() for value in column)
            X[:, d] = [value / (1 << int(exponents[d])) for value in column]
            offsets[d] = shift / (1 << int(exponents[d]))
        return X, offsets, exponents, anchor
    A = A.astype(np.int64, copy=False)
    if anchor is not None:
        shifts = np.rint(A.mean(axis=0)).astype(np.int64)
        shifts[anchor] = 0
        A = A - shifts
    X = A.astype(np.float64)
    size = np.sqrt(np.einsum("nd,nd->d", X, X) / len(X))
    exponents = np.frexp(size)[1].astype(np.int64)
    X *= np.ldexp(1.0, -exponents)
    return X, np.ldexp(shifts.astype(np.float64), -exponents), exponents, anchor


def _reduced(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Independent columns Q, the indices of those that are X's own, and mix with Q = X mix (None: Q = X[:, chosen])."""
    n, K = X.shape
    gram = X.T @ X / n
    chosen, rest = _pivots(gram)
    if len(chosen) == K:
        return X, np.arange(K), None
    chosen = np.sort(chosen)
    Q, mix = X[:, chosen], np.eye(K)[:, chosen]
    E, S = X[:, rest], np.eye(K)[:, rest]
    while E.shape[1]:
        size = np.sqrt(np.einsum("nd,nd->d", E, E) / n)
        noise = np.zeros(E.shape[1])
        inner = Q.T @ Q / n
        for _ in range(2):  # the second pass removes what the first one's rounding left
            coefficients = _solve(inner, Q.T @ E / n)
            E = E - Q @ coefficients
            S = S - mix @ coefficients
            noise = np.maximum(noise, _EPS * (size + np.abs(coefficients).sum(axis=0)))
        size = np.sqrt(np.einsum("nd,nd->d", E, E) / n)
        kept = size > _ROUNDINGS * noise
        E, S = E[:, kept] / size[kept], S[:, kept] / size[kept]
        chosen_now, rest = _pivots(E.T @ E / n)
        Q, mix = np.hstack([Q, E[:, chosen_now]]), np.hstack([mix, S[:, chosen_now]])
        E, S = E[:, rest], S[:, rest]
    return Q, chosen, mix


def _pivots(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of columns that a pivoted Cholesky of their Gram matrix finds independent, and the other ones."""
    from scipy.linalg import get_lapack_funcs

    size = np.sqrt(np.diag(gram))
    alive = np.flatnonzero(size > 0)
    if not len(alive):
        return alive, np.array([], dtype=np.int64)
    scale = size[alive]
    (pstrf,) = get_lapack_funcs(("pstrf",), dtype=np.float64)
    _, order, rank, _ = pstrf(gram[np.ix_(alive, alive)] / scale[:, None] / scale, tol=_STAGE)
    order = alive[order - 1]
    return order[:rank], order[rank:]


def _solve(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    from scipy.linalg import get_lapack_funcs

    (posv,) = get_lapack_funcs(("posv",), dtype=np.float64)
    return posv(gram, right)[1]
