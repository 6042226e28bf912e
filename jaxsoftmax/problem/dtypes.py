"""Copies of a problem's stored device numbers: float64 for everything that is called a check, float32 on request.

Guarded by `tests/training/loop/test_run.py`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import require_x64


def widened(problem: Problem) -> Problem:
    """The same stored numbers (float32, bfloat16 or float64) as a float64 problem; every conversion is exact.

    It is about the numbers that were trained on, not about `problem.host`, so it has no host data.

    Raises:
        ValueError: x64 is off.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.problem.dtypes import widened
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])
        >>> with jax.enable_x64(True):
        ...     print(widened(problem).dtype)
        float64
    """
    require_x64("widened", np.float64)
    parts = (problem.X, problem.T, problem.sample_weight, problem.regularizer)
    wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf).astype(np.float64)), parts)
    return Problem.tree_unflatten((problem.intercept, "float64"), wide)


def narrowed(problem: Problem) -> Problem:
    """The stored numbers rounded to float32, as a float32 problem; a float32 problem keeps its own.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.problem.dtypes import narrowed
        >>> print(narrowed(js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])).dtype)
        float32
    """
    parts = (problem.X, problem.T, problem.sample_weight, problem.regularizer)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf).astype(np.float32)), parts)
    return Problem.tree_unflatten((problem.intercept, "float32"), narrow)
