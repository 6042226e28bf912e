"""A problem's data as exact integers: what a verdict on existence is about, and the hash that binds it to them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.exact.numbers import exact_number, integer_columns

__all__ = ["ExactData"]


class ExactData:
    """The data of a problem, read exactly (section 7.10); everything is computed when it is first asked for.

    The *active* rows are those of positive weight. The *admissible* columns are those along which the regulariser does
    not grow (S21e): all of them without one; the intercept alone when L2 or log-cosh spare it; none when the penalty is
    coercive (modulo the gauge, in the case of the self-regulariser).

    Args:
        problem: a Problem that still has its data as given.
        decimal: read floats as their shortest decimals.

    Attributes:
        rows: (n,) indices of the active rows.
        columns: (K,) indices of the admissible columns, the intercept being the last one, D_given.
        support: (n, C) bool: t_nj > 0.
        one_hot: whether every support is a single class.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.proof.exact.data import ExactData
        >>> data = ExactData(js.Problem.from_labels([[0.5], [1.0], [2.0]], [0, 1, 0], sample_weight=[1, 1, 0]))
        >>> data.integers.tolist(), data.scales, data.rows.tolist()
        ([[1, 1], [2, 1]], [2, 1], [0, 1])
    """

    problem: Problem
    host: Any
    decimal: bool
    N: int
    given: int
    C: int
    intercept: bool
    rows: np.ndarray
    columns: np.ndarray

    def __init__(self, problem: Problem, decimal: bool = False) -> None:
        host = problem.host
        if host is None:
            raise ValueError(
                "problem: it was rebuilt by JAX (or by replace) and no longer has the data as given, which an exact "
                "verdict is about. Pass the Problem that was constructed."
            )
        if host.regularizer is None:
            raise ValueError(
                "problem: a regulariser's strength was traced, so its number is unknown. Call outside jit."
            )
        self.problem, self.host, self.decimal = problem, host, decimal
        self.N, self.given, self.C = *host.X.shape, problem.C
        self.intercept = problem.intercept
        weights = host.sample_weight
        self.rows = np.arange(self.N) if weights is None else np.flatnonzero(weights > 0)
        self.columns = self._admissible()

    def _admissible(self) -> np.ndarray:
        columns = np.arange(self.given + self.intercept)
        for part in self.host.regularizer:
            if part.strength > 0:
                free = self.intercept and not part.penalize_intercept
                columns = columns[columns == self.given] if free else columns[:0]
        return columns

    @functools.cached_property
    def values(self) -> np.ndarray:
        """X as given (N, D), whole floats in the smallest type of integers that holds them: comparisons are faster."""
        X = self.host.X
        if X.dtype.kind in "biu" or not X.size:
            return X
        low, high = float(X.min()), float(X.max())
        if max(-low, high) >= 2.0**31 or (self.decimal and X.dtype != np.float64):
            return X
        whole = X.astype(np.uint8 if 0 <= low <= high < 256 else np.int32)
        return whole if (whole == X).all() else X

    @functools.cached_property
    def all_support(self) -> np.ndarray:
        """(N, C) bool, rows of weight 0 included."""
        targets = self.host.targets
        if targets.label_smoothing > 0:
            return np.ones((self.N, self.C), bool)
        if targets.codes is None:
            return np.asarray(targets.rows) > 0
        found = np.zeros((self.N, self.C), bool)
        found[np.arange(self.N), targets.codes] = True
        return found

    @functools.cached_property
    def support(self) -> np.ndarray:
        """(n, C) bool: t_nj > 0, active rows."""
        return self.all_support[self.rows]

    @functools.cached_property
    def one_hot(self) -> bool:
        """Whether every active row's target is one class."""
        return bool((self.support.sum(axis=1) == 1).all())

    @functools.cached_property
    def codes(self) -> np.ndarray:
        """(n,) the class of each active row of one-hot data."""
        return self.support.argmax(axis=1)

    @functools.cached_property
    def _with_intercept(self) -> tuple[np.ndarray, list[int]]:
        A, scales = integer_columns(self.values, self.decimal)
        if self.intercept:
            A, scales = np.hstack([A, np.ones((self.N, 1), A.dtype)]), [*scales, 1]
        return A, scales

    @property
    def _all_integers(self) -> tuple[np.ndarray, list[int]]:
        """The columns given, of all rows: a view, so that a large X is there once."""
        A, scales = self._with_intercept
        return A[:, : self.given], scales[: self.given]

    def all_columns(self) -> tuple[np.ndarray, list[int]]:
        """The active rows of every column, the intercept last, admissible or not, and the scales."""
        A, scales = self._with_intercept
        return A if len(self.rows) == self.N else A[self.rows], list(scales)

    @functools.cached_property
    def _admissible_integers(self) -> tuple[np.ndarray, list[int]]:
        A, scales = self.all_columns()
        whole = len(self.columns) == A.shape[1]
        return A if whole else A[:, self.columns], [scales[d] for d in self.columns]

    @property
    def integers(self) -> np.ndarray:
        """(n, K) the active rows and admissible columns, each column times its scale: int64 or Python integers."""
        return self._admissible_integers[0]

    @property
    def scales(self) -> list[int]:
        """K positive integers: X = integers / scales."""
        return self._admissible_integers[1]

    def some_columns(self, columns: np.ndarray) -> np.ndarray:
        """`integers` restricted to some admissible columns (by their place in it), without the rest where possible."""
        if "_admissible_integers" in self.__dict__ or self.values.dtype.kind not in "biu":
            return self.integers[:, columns]
        chosen = self.columns[columns]
        part = np.ones((len(self.rows), len(chosen)), np.int64)
        inner = chosen < self.given
        part[:, inner] = self.values[:, chosen[inner]][self.rows]
        return part

    @functools.cached_property
    def targets_and_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Float64 targets (n, C) and weights (n,) of the active rows, for the untrusted fits."""
        weights = self.host.sample_weight
        s = np.ones(self.N) if weights is None else weights.astype(np.float64)
        return self.host.targets.rounded(np.dtype(np.float64))[self.rows], s[self.rows]

    # ── how the data are named and written ──
    def regularizer_lines(self) -> list[str]:
        """The regularisers as the lines of the dump, every number an exact rational."""
        return [part.dump_line(lambda x: str(exact_number(x, self.decimal))) for part in self.host.regularizer]

    def _hashed(self) -> Iterator[bytes]:
        """The canonical bytes of the data as read: they depend on the numbers alone, not on how a file holds them."""
        head = [
            "jaxsoftmax-data 1",
            f"shape {self.N} {self.given} {self.C}",
            f"intercept {int(self.intercept)}",
            *self.regularizer_lines(),
            "X",
        ]
        yield "".join(line + "\n" for line in head).encode()
        A, scales = self._all_integers
        for d in range(self.given):
            column = A[:, d]
            width = max(int(column.max()).bit_length(), int(column.min()).bit_length()) // 8 + 1
            yield f"{scales[d]} {width}\n".encode()
            if width <= 8:
                octets = np.ascontiguousarray(column, dtype="<i8").view(np.uint8).reshape(self.N, 8)
                yield octets[:, :width].tobytes()
            else:
                yield b"".join(int(m).to_bytes(width, "little", signed=True) for m in column)
        yield b"T\n"
        yield self._target_lines().encode()
        yield b"sample_weight\n"
        weights = self.host.sample_weight
        if weights is None:
            yield b"1\n" * self.N
        else:
            yield "".join(f"{exact_number(s, self.decimal)}\n" for s in weights).encode()

    def _target_lines(self) -> str:
        numerators, denominators = self.host.targets.integers()
        codes = self.host.targets.codes
        if codes is not None:  # a line a class
            first = {int(c): n for n, c in reversed(list(enumerate(codes)))}
            lines = {c: _rationals(numerators[n].tolist(), denominators[n]) for c, n in first.items()}
            return "".join(lines[c] for c in codes.tolist())
        return "".join(_rationals(row, q) for row, q in zip(numerators.tolist(), denominators, strict=True))

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the data as read, as the certificate's specification has it."""
        digest = hashlib.sha256()
        for part in self._hashed():
            digest.update(part)
        return digest.hexdigest()

    def names(self) -> tuple[list[str], list[str]]:
        """Class and column names for people, the intercept's last."""
        classes, features = self.problem.classes, self.problem.feature_names
        named = [str(c) for c in range(self.C)] if classes is None else [str(c) for c in classes.tolist()]
        columns = [f"x{d}" for d in range(self.given)] if features is None else list(features[: self.given])
        return named, [*columns, *(["intercept"] if self.intercept else [])]

    def described(self) -> dict[str, Any]:
        """The certificate's `data`, without how a table is read."""
        targets, (_, columns) = self.host.targets, self.names()
        classes = self.problem.classes
        return {
            "sha256": self.sha256,
            "N": self.N,
            "D": self.given,
            "C": self.C,
            "intercept": self.intercept,
            "numbers": "decimal" if self.decimal else "double",
            "classes": None if classes is None else [c if type(c) is int else str(c) for c in classes.tolist()],
            "features": None if self.problem.feature_names is None else columns[: self.given],
            "label_smoothing": None if targets.codes is None else str(targets.label_smoothing),
            "regularizers": self.regularizer_lines(),
        }


def _rationals(numerators: list[int], denominator: int) -> str:
    return " ".join(str(Fraction(p, denominator)) for p in numerators) + "\n"
