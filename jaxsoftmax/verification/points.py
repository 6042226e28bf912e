"""Points to check at: the data as the device holds them, and random weights whose logits have a given size.

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.problem.problem import Problem

__all__ = ["columns", "draw", "stored"]

LOGIT_SPREAD = 2.0  # standard deviation of the logits at the random W: softmax neither flat nor saturated


def columns(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """X (N, D) and s (N,) as the device holds them, float64 on the host."""
    return np.asarray(problem.X, np.float64), np.asarray(problem.sample_weight, np.float64)


def stored(V: np.ndarray, problem: Problem) -> np.ndarray:
    """V rounded to the problem's dtype, as float64: what the functions under check will see."""
    return np.asarray(np.asarray(V, problem.dtype), np.float64)


def draw(problem: Problem, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """A random (C, D) matrix whose logits have the root mean square `spread`, whatever the features' scales.

    A weight is normal, divided by the largest |x_nd| of its column: dividing by the column's mean size would saturate
    the samples that have a rare feature. The entries are numbers of the problem's dtype, stored as float64.
    """
    X, s = columns(problem)
    top = np.abs(X[s > 0]).max(axis=0, initial=0.0)
    W = rng.standard_normal((problem.C, problem.D)) / np.where(top > 0, top, 1.0)
    size = float(np.sqrt(np.mean((X[s > 0] @ W.T) ** 2)))
    return stored(W * (spread / size) if size > 0 else W, problem)
