"""S1: the loss of a problem and what it is made of: logits, probabilities, log-probabilities.

Autodiff through `loss`, in W, X, T and s and to any order, uses the hand-derived rules of rules.py.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.loss.penalty_sum import penalty_value
from jaxsoftmax.calculus.loss.rules import cross_entropy_rows, neg_log_softmax_rows, softmax_rows
from jaxsoftmax.linalg.products import sample_logits
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights

Array = jax.Array


def loss_on_arrays(W: Array, problem: Problem) -> Array:
    """S1 + S21 for checked arguments: Σ_n s_n CE(z_n, t_n) + penalties."""
    ce = cross_entropy_rows(sample_logits(W, problem.X), problem.T)
    s = problem.sample_weight
    # A sample of weight 0 takes no part, even where its loss overflows to inf.
    return jnp.sum(s * jnp.where((s > 0) | jnp.isfinite(ce), ce, 0)) + penalty_value(W, problem)


@jax.jit
def _logits(W: Array, problem: Problem) -> Array:
    return sample_logits(W, problem.X)


@jax.jit
def _probabilities(W: Array, problem: Problem) -> Array:
    return softmax_rows(sample_logits(W, problem.X))


@jax.jit
def _log_probabilities(W: Array, problem: Problem) -> Array:
    return -neg_log_softmax_rows(sample_logits(W, problem.X))


_loss = jax.jit(loss_on_arrays)


def logits(W: Any, problem: Problem) -> Array:
    """The logits Z = X Wᵀ, shape (N, C), compute dtype (section 0).

    Raises:
        ValueError, TypeError: if W does not fit the problem (shape (C, D), its compute dtype).

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> js.logits(np.array([[1, 2], [3, 4]], dtype="float32"), problem).tolist()
        [[1.0, 3.0], [2.0, 4.0]]
    """
    return _logits(as_weights(W, problem), problem)


def probabilities(W: Any, problem: Problem) -> Array:
    """The class probabilities Y = softmax(X Wᵀ), shape (N, C), compute dtype (S1).

    Each entry is within a relative 4·eps·(1 + log2 C) of the exact softmax of the computed logits.

    Raises:
        ValueError, TypeError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> js.probabilities(np.zeros((2, 2), dtype="float32"), problem).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    return _probabilities(as_weights(W, problem), problem)


def log_probabilities(W: Any, problem: Problem) -> Array:
    """The logarithms of the probabilities, shape (N, C), compute dtype (S1, section 7.2).

    Finite wherever the dtype can represent them, -inf beyond, never NaN.

    Raises:
        ValueError, TypeError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> print(js.log_probabilities(np.diag([80.0, 0.0]).astype("float32"), problem)[0])
        [-1.8048513e-35 -8.0000000e+01]
    """
    return _log_probabilities(as_weights(W, problem), problem)


def loss(W: Any, problem: Problem) -> Array:
    """The loss L(W) = Σ_n s_n Σ_i t_ni (-log y_ni) + penalties, a scalar (S1, S21).

    `jax.grad`, `jax.hessian` and mixed modes through it, in W, X, T and s, use the hand-derived rules. `gradient`,
    `value_and_gradient` and `hvp` are faster: they need no autodiff.

    Args:
        W: (C, D) weights in the problem's compute dtype (NumPy arrays are converted).
        problem: the data.

    Raises:
        ValueError, TypeError: if W does not fit the problem.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"))
        >>> print(js.loss(np.zeros((2, 2), dtype="float32"), problem))
        1.3862944

    Source: [R], the loss; in [R]'s layout X is D×N and T is C×N.
    """
    return _loss(as_weights(W, problem), problem)
