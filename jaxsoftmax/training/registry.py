"""Training methods by name for the command line and `verify`: those of `fit`, and three of optax with settings."""

from __future__ import annotations

import math
from typing import Any

from jaxsoftmax.calculus.bounds.steps import descent_step_bound
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import one_of, positive_real, show
from jaxsoftmax.training.fit import METHODS

__all__ = ["OPTAX_METHODS", "check_method", "named_method"]

OPTAX_METHODS = ("sgd", "adam", "lbfgs")
WITH_LEARNING_RATE = ("sgd", "adam")
ADAM_RATE = 0.01


def check_method(method: Any, learning_rate: Any = None, batch_size: Any = None) -> None:
    """Refuse a name that is not known, and settings that do not go with the method.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> from jaxsoftmax.training.registry import check_method
        >>> check_method("adam", learning_rate=0.1)
    """
    known = ("auto", *METHODS, *OPTAX_METHODS)
    if isinstance(method, str):
        one_of("method", method, known)
    for name, value in (("learning_rate", learning_rate), ("batch_size", batch_size)):
        if value is not None and method not in WITH_LEARNING_RATE:
            raise WrongValue(
                name,
                f"goes with the methods {' and '.join(WITH_LEARNING_RATE)}, not with {show(method)}",
                "leave it out, or choose one of these",
            )
    if learning_rate is not None:
        positive_real("learning_rate", learning_rate)


def named_method(method: Any, problem: Problem, learning_rate: float | None = None, whitened: bool = False) -> Any:
    """What `fit` takes as its method: an optax transformation for "sgd", "adam" and "lbfgs", otherwise `method` itself.

    The loss is a sum (S1), so a step that suits one data set is too long for a larger one: the default of "sgd" is
    1/Λ, S16's, which suits every size and scale (1 in whitened features, where Λ = 1: S19). That of "adam", whose steps
    do not depend on the gradient's size, is 0.01 in the units of the weights.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.training.registry import named_method
        >>> problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), [0, 1, 0])
        >>> named_method("newton", problem), hasattr(named_method("sgd", problem), "update")
        ('newton', True)
    """
    check_method(method, learning_rate)
    if method not in OPTAX_METHODS:
        return method
    import optax

    if method == "lbfgs":
        return optax.lbfgs()
    if method == "adam":
        return optax.adam(ADAM_RATE if learning_rate is None else learning_rate)
    step = learning_rate
    if step is None:
        step = 1.0 if whitened else descent_step_bound(problem)
    return optax.sgd(step if math.isfinite(step) else 1.0)
