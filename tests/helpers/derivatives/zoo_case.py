"""What a case of the zoo is: a function, a point, data, and derivative rules written by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Example:
    """One drawn instance: fun(at, *args) and its rules.

    `rules` maps names among gradient(x, *args), value_and_gradient(x, *args), hvp(x, v, *args), hessian(x, *args),
    jvp(x, v, *args) and vjp(x, ct, *args) to functions; an empty dict means that fun carries its own custom rule.
    """

    fun: Callable
    at: Any
    args: tuple
    rules: dict[str, Callable]


@dataclass(frozen=True)
class Case:
    """A named family of examples; make(rng, dtype) draws `at` and the data in float64 and rounds them to dtype."""

    name: str
    make: Callable[[np.random.Generator, Any], Example]


def normal(rng: np.random.Generator, dtype: Any, *shape: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Normal numbers drawn in float64 and rounded to dtype."""
    return np.asarray(shift + scale * rng.standard_normal(shape)).astype(dtype)


def uniform(rng: np.random.Generator, dtype: Any, low: float, high: float, *shape: int) -> np.ndarray:
    """Uniform numbers drawn in float64 and rounded to dtype."""
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype)


def away_from(rng: np.random.Generator, dtype: Any, *shape: int, gap: float = 0.1, scale: float = 1.0) -> np.ndarray:
    """Normal numbers pushed away from 0 by `gap`: for functions with a kink there."""
    draw = scale * rng.standard_normal(shape)
    return (draw + np.copysign(gap, draw)).astype(dtype)


def definite(rng: np.random.Generator, dtype: Any, n: int) -> np.ndarray:
    """A symmetric positive definite (n, n) matrix, condition number about 10."""
    root = rng.standard_normal((n, n))
    matrix = (np.eye(n) + root @ root.T / n).astype(dtype)
    return (np.tril(matrix) + np.tril(matrix, -1).T).astype(dtype)  # symmetric also after rounding
