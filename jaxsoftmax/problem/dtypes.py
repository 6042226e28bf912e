"""Copies of a problem's stored device numbers: float64 for everything that is called a check, float32 on request.

Guarded by `tests/training/loop/test_run.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.label_targets import LabelTargets
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
    return _in_dtype(problem, "float64")


def narrowed(problem: Problem) -> Problem:
    """The stored numbers rounded to float32, as a float32 problem; a float32 problem keeps its own.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.problem.dtypes import narrowed
        >>> print(narrowed(js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])).dtype)
        float32
    """
    return _in_dtype(problem, "float32")


def stored_eps(problem: Problem) -> float:
    """How far a stored number may be from the one given, relatively: the larger eps of X and of the rest.

    Integers are stored as they are.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.problem.dtypes import stored_eps
        >>> stored_eps(js.Problem.from_labels(np.uint8([[1], [2]]), [0, 1], dtype="float32")) == 2.0**-23
        True
    """
    floats = [dtype for dtype in (problem.X.dtype, problem.dtype) if jnp.issubdtype(dtype, jnp.floating)]
    return max(float(jnp.finfo(dtype).eps) for dtype in floats)


def _in_dtype(problem: Problem, dtype: str) -> Problem:
    def cast(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf).astype(dtype, copy=False)), tree)

    targets = problem.targets
    if isinstance(targets, LabelTargets):
        targets = LabelTargets(jnp.asarray(np.asarray(targets.codes)), cast(targets.values), targets.C)
    else:
        targets = cast(targets)
    parts = (cast(problem.X), targets, cast(problem.sample_weight), cast(problem.regularizer))
    return Problem.tree_unflatten((problem.intercept, dtype), parts)
