"""Seeded small problems full of ties, each with the exact data that tests/helpers/certificates/exact_oracle.py decides.

`small_problem(seed)` draws one: N <= 12, D <= 4 and perhaps an intercept, C <= 4; small integers, halves or tenths
(read as doubles or as decimals), duplicated rows, dependent and badly scaled columns, absent classes, hard, soft and
mixed targets, weights with zeros, regularisers. What the oracle is given is worked out here from what was drawn, not
from the Problem: rows of positive weight, the columns that no regulariser penalises (S21e), supports of the targets.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import jax
import numpy as np

import jaxsoftmax as js


@dataclass(frozen=True)
class SmallProblem:
    """What was drawn. X, T or labels, weights: as given to `js.Problem`.

    supports: for each row the classes of positive target.
    free: the columns (the intercept is number D) that no regulariser penalises.
    decimal: read floats as decimals.   x64: build and decide with 64-bit types on.
    """

    seed: int
    X: np.ndarray
    T: np.ndarray | None
    labels: np.ndarray | None
    label_smoothing: str
    C: int
    intercept: bool
    weights: np.ndarray | None
    regularizer: Any
    supports: tuple[frozenset[int], ...]
    free: tuple[int, ...]
    decimal: bool
    x64: bool

    def build(self) -> js.Problem:
        """The Problem, to be used where `jax.enable_x64(self.x64)` holds."""
        options = {"intercept": self.intercept, "sample_weight": self.weights, "regularizer": self.regularizer}
        with jax.enable_x64(self.x64):
            if self.labels is None:
                return js.Problem(self.X, self.T, **options)
            names = range(self.C)
            return js.Problem.from_labels(
                self.X, self.labels, classes=names, label_smoothing=self.label_smoothing, **options
            )

    def exact(self) -> tuple[list[list[Fraction]], list[frozenset[int]], int]:
        """The oracle's arguments: rows of positive weight and free columns, their supports, C."""
        rows = self.active()
        X = [[*(self.number(x) for x in self.X[n]), *([Fraction(1)] if self.intercept else [])] for n in rows]
        return [[x[d] for d in self.free] for x in X], [self.supports[n] for n in rows], self.C

    def active(self) -> list[int]:
        """Rows of positive weight."""
        return [n for n in range(len(self.X)) if self.weights is None or self.weights[n] > 0]

    def number(self, x: Any) -> Fraction:
        """An entry of X as it is to be read."""
        if self.X.dtype.kind == "i":
            return Fraction(int(x))
        return Fraction(str(x)) if self.decimal else Fraction(float(x))

    def kind(self) -> str:
        """In words, for the findings."""
        targets = "labels" if self.T is None else f"T {self.T.dtype}"
        return (
            f"seed {self.seed}: X {self.X.dtype} {self.X.shape}, C {self.C}, {targets}, intercept {self.intercept}, "
            f"free {self.free}, weights {self.weights is not None}, decimal {self.decimal}, x64 {self.x64}"
        )


def small_problem(seed: int) -> SmallProblem:
    """The problem of a seed; the same on every machine."""
    draw = random.Random(seed)
    N, D, C = draw.randint(2, 12), draw.randint(1, 4), draw.randint(2, 4)
    intercept = draw.random() < 0.6
    numerators = _matrix(draw, N, D)
    X = _as_given(draw, numerators)
    supports = _supports(draw, numerators, C)
    T, labels, label_smoothing = _targets(draw, supports, C)
    if label_smoothing != "0":
        supports = [frozenset(range(C))] * N
    regularizer, free = _regularizer(draw, D, intercept)
    weights = _weights(draw, N)
    decimal, x64 = draw.random() < 0.4, draw.random() < 0.5
    return SmallProblem(
        seed, X, T, labels, label_smoothing, C, intercept, weights, regularizer, tuple(supports), free, decimal, x64
    )


def edge_problem(seed: int) -> SmallProblem:
    """The problem of a seed with X in float64 moved to where floating point fails.

    Columns or rows are scaled by powers of two up to 2^±600 (which change no verdict without an intercept), entries
    moved by a few last bits, or columns shifted by up to 10^12.
    """
    drawn, draw = small_problem(seed), random.Random(-seed - 1)
    X = drawn.X.astype(np.float64)
    kind = draw.choice(("columns", "rows", "bits", "offsets"))
    if kind == "columns":
        X *= np.array([2.0 ** draw.choice((-600, -40, 0, 40, 500)) for _ in X.T])
    elif kind == "rows":
        X *= np.array([[2.0 ** draw.choice((-300, -20, 0, 20, 300))] for _ in X])
    elif kind == "bits":
        X *= 1 + 2.0**-52 * np.array([[draw.choice((-2, -1, 0, 0, 0, 1, 2)) for _ in row] for row in X])
    else:
        X += np.array([draw.choice((0.0, 1e6, 1e12)) for _ in X.T])
    return replace(drawn, X=X, x64=True, decimal=drawn.decimal and kind in ("bits", "offsets"))


def _matrix(draw: random.Random, N: int, D: int) -> list[list[int]]:
    """Small integers; perhaps repeated rows, a dependent column, a column on another scale (float32 rounds it)."""
    entries = draw.choice([(-1, 0, 1), (0, 1), (-2, -1, 0, 1, 2), (0, 1, 2, 3), tuple(range(-9, 10)), (0, 0, 0, 1)])
    rows = [[draw.choice(entries) for _ in range(D)] for _ in range(N)]
    if draw.random() < 0.3:
        rows = [list(draw.choice(rows[: 1 + N // 2])) for _ in range(N)]
    if draw.random() < 0.25:
        d, a, b, shift = draw.randrange(D), draw.randint(-1, 1), draw.randint(-1, 1), draw.randint(-1, 1)
        first, last = (d + 1) % D, (d + 2) % D
        for row in rows:
            row[d] = (a * row[first] if first != d else 0) + (b * row[last] if last != d else 0) + shift
    if draw.random() < 0.15:
        d, factor = draw.randrange(D), draw.choice((10**3, 10**6, 97, 123456789))
        for row in rows:
            row[d] *= factor
    return rows


def _as_given(draw: random.Random, numerators: list[list[int]]) -> np.ndarray:
    """The integers, or divided by 2 or 10 in floats: tenths are no dyadic rationals, so their ties need decimals."""
    divisor = draw.choice((1, 1, 1, 2, 10, 10))
    dtype = draw.choice((np.int64, np.int32, np.float64, np.float32) if divisor == 1 else (np.float64, np.float32))
    return np.array([[m / divisor if divisor > 1 else m for m in row] for row in numerators], dtype)


def _supports(draw: random.Random, rows: list[list[int]], C: int) -> list[frozenset[int]]:
    """Drawn blindly, or around the largest logits of planted integer weights; perhaps not from all classes."""
    classes = draw.sample(range(C), draw.randint(1, C)) if draw.random() < 0.25 else list(range(C))
    style = draw.choice(("hard", "hard", "soft", "mixed"))
    planted = draw.random() < 0.6
    noise = draw.choice((0.0, 0.1, 0.3))
    W = [[draw.randint(-1, 1) for _ in rows[0]] + [draw.randint(-1, 1)] for _ in classes]
    found = []
    for row in rows:
        if planted and draw.random() >= noise:
            scores = [sum(w * x for w, x in zip(w_c, [*row, 1], strict=True)) for w_c in W]
            pool = [c for c, score in zip(classes, scores, strict=True) if score == max(scores)]
        else:
            pool = classes
        hard = style == "hard" or (style == "mixed" and draw.random() < 0.5)
        found.append(frozenset(draw.sample(pool, 1 if hard else draw.randint(1, len(pool)))))
    return found


def _targets(
    draw: random.Random, supports: list[frozenset[int]], C: int
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    """(T, None, "0") or (None, labels, smoothing) with these supports."""
    if all(len(support) == 1 for support in supports):
        codes = np.array([min(support) for support in supports])
        if draw.random() < 0.7:
            return None, codes, "1/10" if draw.random() < 0.05 else "0"
        return np.eye(C, dtype=draw.choice((np.int64, np.float64, np.float32)))[codes], None, "0"
    T = np.zeros((len(supports), C))
    for n, support in enumerate(supports):
        parts = [draw.randint(1, 3) for _ in support]
        T[n, sorted(support)] = [part / sum(parts) for part in parts]
        if len(support) > 1 and draw.random() < 0.1:  # positive is positive, however small
            T[n, sorted(support)] = [1.0] + [1e-30] * (len(support) - 1)
    return T, None, "0"


def _weights(draw: random.Random, N: int) -> np.ndarray | None:
    if draw.random() < 0.6:
        return None
    pool = draw.choice(((0, 1, 2), (0.0, 0.5, 1.0), (0.001, 1.0, 1000.0)))
    weights = [draw.choice(pool) for _ in range(N)]
    weights[draw.randrange(N)] = pool[1]  # not all 0
    return np.array(weights)


def _regularizer(draw: random.Random, D: int, intercept: bool) -> tuple[Any, tuple[int, ...]]:
    """A regulariser or none, and the columns along which it is constant (S21e)."""
    everything = tuple(range(D + intercept))
    if draw.random() < 0.88:
        return None, everything
    spared = not draw.random() < 0.3
    alpha = draw.choice((0.0, 0.1, 1.0))
    kind = draw.choice(("l2", "l2", "logcosh", "self", "both"))
    if kind == "self":
        return js.SelfRegularizer(draw.choice((0.5, -1.0))), ()
    own = {"penalize_intercept": not spared}
    part = js.LogCosh(alpha, 2.0, **own) if kind == "logcosh" else js.L2(alpha, **own)
    free = everything if alpha == 0 else (D,) if intercept and spared else ()
    if kind == "both":
        return js.L2(0.25) + part, tuple(d for d in free if intercept and d == D)
    return part, free
