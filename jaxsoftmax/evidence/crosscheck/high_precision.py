"""Fifty-digit twin of the derivatives (S1-S4, S8, S21) in ball arithmetic, on the stored numbers read exactly.

Every float32, float64 or bfloat16 is a dyadic rational, and Arb (through python-flint) takes it as it is: no decimal
detour, no rounding on input. Results are object arrays of ``flint.arb`` balls, which enclose the exact value; the
working precision leaves about 30 digits of guard below the requested ones, and a ball says itself how wide it is.
Cancellation is avoided where section 7 avoids it, so that a loss or residual of 1e-300 has its 50 digits too.

Pass the numbers that the hand rule saw (for a float32 problem, W already in float32). The balls live at a precision
above Arb's default; use `errors` to compare floats with them, since a subtraction at the default precision would
discard the digits. Needs python-flint: ``pip install "jaxsoftmax[exact]"``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxsoftmax.evidence.crosscheck import reference
from jaxsoftmax.evidence.crosscheck.entrywise import Entrywise, entrywise

__all__ = [
    "available",
    "errors",
    "gradient",
    "hessian_columns",
    "hvp",
    "logits",
    "loss",
    "neg_log_probabilities",
    "probabilities",
    "quadratic_form",
    "residual",
    "third_derivative",
    "to_float",
]

_GUARD_BITS = 100


def available() -> bool:
    """Whether python-flint can be imported."""
    try:
        import flint  # noqa: F401
    except ImportError:
        return False
    return True


def _flint() -> Any:
    try:
        import flint
    except ImportError as error:
        raise ImportError(
            "high precision needs python-flint, which is not installed. "
            'Install it with: pip install "jaxsoftmax[exact]".'
        ) from error
    return flint


@contextlib.contextmanager
def _precision(digits: int) -> Iterator[Any]:
    """Arb's working precision for the block, restored afterwards."""
    flint = _flint()
    before = flint.ctx.prec
    flint.ctx.prec = int(np.ceil(digits * np.log2(10))) + _GUARD_BITS
    try:
        yield flint
    finally:
        flint.ctx.prec = before


def _balls(a: Any) -> np.ndarray:
    """An object array of exact balls from floats; arrays of balls pass through."""
    a = np.asarray(a)
    if a.dtype == object:
        return a
    arb = _flint().arb
    out = np.empty(a.shape, object)
    out.ravel()[:] = [arb(x) for x in a.astype(np.float64).ravel().tolist()]
    return out


def _matmul(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    mat = _flint().arb_mat
    (n, k), (_, m) = A.shape, B.shape
    product = mat(n, k, A.ravel().tolist()) * mat(k, m, B.ravel().tolist())
    out = np.empty(n * m, object)
    out[:] = product.entries()
    return out.reshape(n, m)


def _total(a: np.ndarray) -> Any:
    total = _flint().arb(0)
    for x in a.ravel():
        total += x
    return total


# --- per-logit pieces, one row of balls at a time --------------------------------------------------------------------


def _row_exp(z: Sequence[Any]) -> tuple[int, list[Any]]:
    """The index of the largest logit and exp(z - max); the subtraction is of balls, so nothing is lost."""
    k = int(np.argmax([float(x.mid()) for x in z]))
    return k, [(x - z[k]).exp() for x in z]


def _row_pieces(z: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """(y, 1 - y, -log y) of a row, the complement and the logarithm summed over the other classes."""
    k, e = _row_exp(z)
    others: Any = sum((x for j, x in enumerate(e) if j != k), _flint().arb(0))
    total = 1 + others
    y = [x / total for x in e]
    complement = [1 - x for x in y]
    complement[k] = others / total
    log1p = others.log1p()
    return y, complement, [log1p - (x - z[k]) for x in z]


def _by_row(z: Any, function: Any, *more: Any) -> np.ndarray:
    z = _balls(z)
    rows, out = z.reshape(-1, z.shape[-1]), np.empty(z.shape, object)
    flat = out.reshape(rows.shape)
    extra = [np.broadcast_to(_balls(a), z.shape).reshape(rows.shape) for a in more]
    for n, row in enumerate(rows):
        flat[n, :] = function(row, *(a[n] for a in extra))
    return out


def _row_residual(z: Sequence[Any], t: Sequence[Any]) -> list[Any]:
    y, complement, _ = _row_pieces(z)
    total = sum(t, _flint().arb(0))
    return [-ti * q if ti == total else total * p - ti for p, q, ti in zip(y, complement, t, strict=True)]


def probabilities(z: Any, *, digits: int = 50) -> np.ndarray:
    """softmax of stored logits along the last axis (S1); object array of balls, same shape."""
    with _precision(digits):
        return _by_row(z, lambda row: _row_pieces(row)[0])


def neg_log_probabilities(z: Any, *, digits: int = 50) -> np.ndarray:
    """-log softmax of stored logits along the last axis (S1); object array of balls, same shape."""
    with _precision(digits):
        return _by_row(z, lambda row: _row_pieces(row)[2])


def residual(z: Any, t: Any, *, digits: int = 50) -> np.ndarray:
    """(1't) softmax(z) - t (S2), the exact derivative of ``sum_i t_i (-log y_i)``; object array of balls.

    For rows that sum to 1 that is y - t. Where one class carries the whole target, the other classes are summed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.evidence.crosscheck import high_precision
        >>> r = high_precision.residual(np.array([700.0, 0.0]), np.array([1.0, 0.0]))
        >>> f"{float(r[0]):.3e}"
        '-9.860e-305'
    """
    with _precision(digits):
        return _by_row(z, _row_residual, t)


# --- the problem -----------------------------------------------------------------------------------------------------


def logits(W: Any, problem: Any, *, digits: int = 50) -> np.ndarray:
    """Z = X W' (N, C) of the stored numbers; object array of balls."""
    with _precision(digits):
        return _matmul(_balls(reference.plain(problem).X), _balls(W).T)


def _softened(problem: Any, C: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Entrywise]]:
    """(X, T, s) with the self-regulariser written out as samples gamma e_d (S21d), and the entrywise penalties."""
    data = reference.plain(problem)
    X, T, s = _balls(data.X), _balls(data.T), _balls(data.sample_weight)
    D, arb = X.shape[1], _flint().arb
    for term in data.regularizer:
        if term.kind == "self":
            extra = np.full((D, D), arb(0), object)
            np.fill_diagonal(extra, arb(float(term.value)))
            X = np.concatenate([X, extra])
            T = np.concatenate([T, np.full((D, C), 1 / arb(C), object)])
            s = np.concatenate([s, np.full(D, arb(1), object)])
    return X, T, s, list(entrywise(data, arb))


def _penalised(W: Any, terms: list[Entrywise], order: str) -> np.ndarray:
    """The (C, D) sum of "value", "slope", "curvature" or "third" of the entrywise penalties (S21 a, b)."""
    W, zero = _balls(W), _flint().arb(0)
    out = np.full(W.shape, zero, object)
    for term in terms:
        for c, d in np.argwhere(np.broadcast_to(term.mask > 0, W.shape)):
            out[c, d] += getattr(term, order)(W[c, d])
    return out


def loss(W: Any, problem: Any, *, digits: int = 50) -> Any:
    """The loss with its penalties (S1, S21), a ball: sum_n s_n sum_i t_ni (-log y_ni) for the stored T."""
    with _precision(digits):
        X, T, s, terms = _softened(problem, np.shape(W)[0])
        logs = _by_row(_matmul(X, _balls(W).T), lambda row: _row_pieces(row)[2])
        return _total(s[:, None] * T * logs) + _total(_penalised(W, terms, "value"))


def gradient(W: Any, problem: Any, *, digits: int = 50) -> np.ndarray:
    """(Y - T)' diag(s) X plus penalties (S2), all entries; (C, D) object array of balls.

    Stored rows of T may miss the sum 1 by a rounding error; Y is then scaled by that sum, which makes this the exact
    derivative of `loss`.
    """
    with _precision(digits):
        X, T, s, terms = _softened(problem, np.shape(W)[0])
        R = _by_row(_matmul(X, _balls(W).T), _row_residual, T)
        return _matmul((s[:, None] * R).T, X) + _penalised(W, terms, "slope")


def _centred(Y: np.ndarray, U: np.ndarray) -> np.ndarray:
    """u - ybar(u), row by row; exactly zero when the row of U is constant."""
    mean = (Y * U).sum(axis=1, keepdims=True)
    return np.where((U == U[:, :1]).all(axis=1, keepdims=True), _flint().arb(0), U - mean)


def hvp(W: Any, problem: Any, V: Any, *, digits: int = 50) -> np.ndarray:
    """Hessian-vector product (S4), all entries; (C, D) object array of balls."""
    return _products(W, problem, [np.asarray(V)], digits)[0]


def _products(W: Any, problem: Any, directions: Sequence[np.ndarray], digits: int) -> list[np.ndarray]:
    with _precision(digits):
        X, _, s, terms = _softened(problem, np.shape(W)[0])
        Y, curvature = (
            _by_row(_matmul(X, _balls(W).T), lambda row: _row_pieces(row)[0]),
            _penalised(W, terms, "curvature"),
        )
        weighted, out = s[:, None] * Y, []
        for V in directions:
            P = weighted * _centred(Y, _matmul(X, _balls(V).T))
            out.append(_matmul(P.T, X) + curvature * _balls(V))
        return out


def quadratic_form(W: Any, problem: Any, V: Any, *, digits: int = 50) -> Any:
    """D^2 L(W)[V, V] (S4), a ball."""
    HV = hvp(W, problem, V, digits=digits)
    with _precision(digits):
        return _total(_balls(V) * HV)


def hessian_columns(W: Any, problem: Any, columns: Sequence[tuple[int, int]], *, digits: int = 50) -> np.ndarray:
    """Columns (c, d) of the Hessian (S4), row-major vec: a (C D, len(columns)) object array of balls."""
    C, D = np.shape(W)
    directions = []
    for c, d in columns:
        V = np.zeros((C, D))
        V[c, d] = 1.0
        directions.append(V)
    return np.stack([P.ravel() for P in _products(W, problem, directions, digits)], axis=1)


def third_derivative(W: Any, problem: Any, V: Any, U: Any = None, *, digits: int = 50) -> Any:
    """D^3 L(W)[V, U, U] (S8, S21), a ball: the sum of s_n E[(v - vbar)(u - ubar)^2] and penalties; U is V if None."""
    with _precision(digits):
        X, _, s, terms = _softened(problem, np.shape(W)[0])
        Y = _by_row(_matmul(X, _balls(W).T), lambda row: _row_pieces(row)[0])
        v = _centred(Y, _matmul(X, _balls(V).T))
        u = v if U is None else _centred(Y, _matmul(X, _balls(U).T))
        penalty = _penalised(W, terms, "third") * _balls(V) * _balls(V if U is None else U) ** 2
        return _total(s[:, None] * Y * v * u * u) + _total(penalty)


# --- comparing floats with balls -------------------------------------------------------------------------------------


def to_float(balls: Any) -> np.ndarray:
    """Midpoints rounded to float64 (values beyond its range become inf or 0)."""
    balls = np.asarray(balls, object)
    return np.array([float(x.mid()) for x in balls.ravel()], np.float64).reshape(balls.shape)


def errors(floats: Any, balls: Any, *, digits: int = 50) -> np.ndarray:
    """|float - exact| entry by entry as float64, subtracted in high precision; NaN where the float is not finite.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.evidence.crosscheck import high_precision
        >>> y = high_precision.probabilities(np.array([0.0, 0.0, 0.0]))
        >>> bool(high_precision.errors(np.full(3, 1 / 3), y).max() < 2.0**-54)
        True
    """
    balls = np.asarray(balls, object)
    floats = np.broadcast_to(np.asarray(floats).astype(np.float64), balls.shape)
    with _precision(digits) as flint:
        pairs = zip(floats.ravel().tolist(), balls.ravel(), strict=True)
        found = [float(abs(flint.arb(x) - b).mid()) if np.isfinite(x) else np.nan for x, b in pairs]
    return np.array(found, np.float64).reshape(balls.shape)
