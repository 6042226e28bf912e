"""Random small problems with and without a minimiser, each with its exact numbers, and weights a trainer would reach.

What `certify_soundness.py` compares with is worked out here in fractions from what was drawn, not from the Problem.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

import jaxsoftmax as js


class Drawn(NamedTuple):
    """A problem and the same in fractions: X (n, K) with the intercept, T (n, C), s (n,), penalties per column."""

    problem: js.Problem
    X: list[list[Fraction]]
    T: list[list[Fraction]]
    s: list[Fraction]
    alpha: list[Fraction]
    kind: str


def draw(seed: int) -> Drawn:
    """N <= 40, D <= 4 and perhaps an intercept, C <= 4; what is wanted of it in fractions beside the Problem."""
    rng = random.Random(seed)
    N, D, C, intercept = rng.randint(8, 40), rng.randint(1, 4), rng.randint(2, 4), rng.random() < 0.7
    unit = rng.choice((1.0, 0.5, 0.1))
    rows = [[unit * rng.randint(-6, 6) for _ in range(D)] for _ in range(N)]
    if rng.random() < 0.3:
        rows = [[x * (1000.0 if d == 0 else 1.0) for d, x in enumerate(row)] for row in rows]
    if D > 2 and unit != 0.1 and rng.random() < 0.5:
        rows = [[*row[:-1], row[0] - 2 * row[1]] for row in rows]  # exactly: all are multiples of 1/2
    weights = [rng.choice((0.0, 0.5, 1.0, 3.0)) for _ in range(N)] if rng.random() < 0.3 else None
    regularizer: Any = None
    choice = rng.random()
    if choice < 0.15:
        regularizer = js.L2(rng.choice((0.25, 2.0)), penalize_intercept=rng.random() < 0.5)
    elif choice < 0.3:
        regularizer = js.SelfRegularizer(rng.choice((0.5, 1.0)))
    options: dict[str, Any] = {"intercept": intercept, "sample_weight": weights, "regularizer": regularizer}
    targets = rng.choice(("labels", "smoothed", "rational"))
    if targets == "rational":
        soft = [[rng.randint(1, 8) for _ in range(C)] for _ in range(N)]
        # Denominators are powers of two, so that the doubles are the rationals.
        soft = [[*row[:-1], 64 - sum(row[:-1])] for row in soft]
        T = [[Fraction(v, 64) for v in row] for row in soft]
        problem = js.Problem(np.array(rows), np.array(soft) / 64, **options)
    else:
        noise = 4.0 * unit if targets == "labels" else 1.0
        slopes = [[rng.gauss(0, 1) for _ in range(D)] for _ in range(C)]
        scores = [[math.fsum(v * x for v, x in zip(w, row, strict=True)) for w in slopes] for row in rows]
        labels = [max(range(C), key=lambda c, z=z: z[c] / 4 + rng.gauss(0, noise)) for z in scores]
        label_smoothing = rng.choice(("0.01", "0.1", "0.5")) if targets == "smoothed" else "0"
        e = Fraction(label_smoothing)
        T = [[(1 - e) * (c == label) + e / C for c in range(C)] for label in labels]
        problem = js.Problem.from_labels(
            np.array(rows), labels, classes=range(C), label_smoothing=label_smoothing, dtype="float64", **options
        )
    return _in_fractions(problem, rows, T, weights, regularizer, intercept, f"{targets}, {regularizer!r}")


def _in_fractions(
    problem: js.Problem, rows: Any, T: Any, weights: Any, regularizer: Any, intercept: bool, kind: str
) -> Drawn:
    X = [[*(Fraction(float(x)) for x in row), *([Fraction(1)] if intercept else [])] for row in rows]
    s = [Fraction(1)] * len(X) if weights is None else [Fraction(w) for w in weights]
    active = [n for n, w in enumerate(s) if w > 0]
    X, T, s = [X[n] for n in active], [T[n] for n in active], [s[n] for n in active]
    K, C = len(X[0]) if X else 0, problem.C
    alpha = [Fraction(0)] * K
    if isinstance(regularizer, js.SelfRegularizer):
        X = X + [[Fraction(float(regularizer.gamma)) * (d == k) for k in range(K)] for d in range(K)]
        T, s = T + [[Fraction(1, C)] * C] * K, s + [Fraction(1)] * K
    elif isinstance(regularizer, js.L2):
        alpha = [Fraction(float(regularizer.alpha))] * K
        if intercept and not regularizer.penalize_intercept:
            alpha[-1] = Fraction(0)
    return Drawn(problem, X, T, s, alpha, kind)


def draw_separable(seed: int) -> tuple[js.Problem, bool]:
    """(problem, complete): integers V, X; each sample's label attains max_c (V x)_c, which is not constant (S9)."""
    rng = random.Random(seed)
    N, D, C, intercept = rng.randint(6, 40), rng.randint(1, 4), rng.randint(2, 4), rng.random() < 0.7
    K = D + intercept
    while True:
        V = [[rng.randint(-3, 3) for _ in range(K)] for _ in range(C)]
        X = [[rng.randint(-4, 4) for _ in range(D)] for _ in range(N)]
        Z = [[sum(v * x for v, x in zip(w, [*row, 1], strict=False)) for w in V] for row in X]
        ties = sum(z.count(max(z)) > 1 for z in Z)
        if any(len(set(z)) > 1 for z in Z) and (seed % 2 == 0 or ties):
            break
    if seed % 2 == 0:  # ties leave the data: complete
        kept = [n for n, z in enumerate(Z) if z.count(max(z)) == 1]
        if len(kept) < 2:
            return draw_separable(seed + 10_000)
        X, Z = [X[n] for n in kept], [Z[n] for n in kept]
    labels = [rng.choice([c for c, value in enumerate(z) if value == max(z)]) for z in Z]
    problem = js.Problem.from_labels(
        np.array(X, dtype=float), labels, classes=range(C), intercept=intercept, dtype="float64"
    )
    return problem, seed % 2 == 0


def start_of(drawn: Drawn, steps: int) -> np.ndarray:
    """Weights (C, D) after so many Newton steps in float64 from 0, halved where the loss would rise: a trainer."""
    X, T, s, penalty = (np.array(part, dtype=object).astype(np.float64) for part in drawn[1:5])
    (_, D), C = X.shape, T.shape[1]
    W = np.zeros((C, D))

    def loss(W: np.ndarray) -> float:
        Z = X @ W.T
        top = Z.max(axis=1)
        terms = top + np.log(np.exp(Z - top[:, None]).sum(axis=1)) - (T * Z).sum(axis=1)
        return float(s @ terms + (W**2 @ penalty).sum() / 2)

    for _ in range(steps):
        Z = X @ W.T
        Y = np.exp(Z - Z.max(axis=1, keepdims=True))
        Y /= Y.sum(axis=1, keepdims=True)
        g = ((Y - T) * s[:, None]).T @ X + W * penalty
        S = s[:, None, None] * (np.eye(C) * Y[:, :, None] - Y[:, :, None] * Y[:, None, :])
        H = np.einsum("nab,nd,ne->adbe", S, X, X).reshape(C * D, C * D) + np.kron(np.eye(C), np.diag(penalty))
        step = np.linalg.lstsq(H, g.ravel(), rcond=1e-13)[0].reshape(C, D)
        before, t = loss(W), 1.0
        while t > 1e-9 and not loss(W - t * step) <= before:
            t /= 2
        if t <= 1e-9:
            break
        W = W - t * step
    return W - W.mean(axis=0)
