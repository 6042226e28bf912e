"""What the training loop asks about samples that are read in chunks, and the small problem that stands for them.

Methods compute their constants (step, preconditioner, null space) from second moments alone. The stand-in has D samples
F with FᵀF ⪰ XᵀSX, equal but for rounding, the moments and the row space of all samples, and the penalties.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.bounds.steps import max_logit_range
from jaxsoftmax.calculus.loss.moments import Rows, moments
from jaxsoftmax.calculus.loss.null_space import row_space, same_row_space
from jaxsoftmax.calculus.loss.penalty_sum import penalised, penalty_gradient, penalty_hvp, penalty_value
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Oracle
from jaxsoftmax.training.loop.stopping import gradient_scale
from jaxsoftmax.training.streamed.passes import Found, Samples

Array = jax.Array


def samples_of_weight_0(penalties: Any, C: int, D: int, intercept: bool, dtype: Any) -> Problem:
    """A problem of one sample that takes no part: the penalties alone."""
    parts = (np.zeros((1, D)), np.full((1, C), 1 / C), np.zeros(1))
    X, T, s = (jnp.asarray(part, dtype) for part in parts)
    return Problem.tree_unflatten((intercept, str(np.dtype(dtype))), (X, T, s, jax.tree.map(jnp.asarray, penalties)))


def stand_in(problem: Problem, rows: Rows) -> Problem:
    """The problem with D samples F in place of all, and with the moments and the row space of `rows`.

    In features u = x/σ, FᵀF = Σ_i max(λ_i + δ, δ) v_i v_iᵀ with λ_i, v_i the eigenvalues and vectors of the computed
    Gram matrix and δ what rounding may have changed them by: of the sums, of the eigenvalues, and of F's entries, which
    errs FᵀF by 2 eps ‖F‖² at most.
    """
    found = moments(problem, rows)
    if not penalised(problem):
        row_space(problem, rows)
    values, vectors = np.linalg.eigh(found.gram)
    eps = problem.D * float(np.finfo(float).eps) + 2 * float(np.finfo(problem.dtype).eps)
    doubt = 2 * (found.error_bound + eps) * max(float(np.trace(found.gram)), 0.0)
    F = np.sqrt(np.maximum(values + doubt, doubt))[:, None] * vectors.T * found.scale
    D, C = problem.D, problem.C
    parts = (F, np.full((D, C), 1 / C), np.ones(D))
    X, T, s = (jnp.asarray(part, problem.dtype) for part in parts)
    out = problem.replace(X=X, T=T, sample_weight=s)
    same_row_space(out, problem)
    return out


@dataclasses.dataclass(frozen=True)
class StreamedOracle(Oracle):
    """The oracle whose every answer is one pass over the samples, without compiling the loop around it.

    Attributes:
        problem: the penalties with one sample of weight 0.
        samples: all samples.
        known: whether a theorem says that a minimiser exists.
    """

    samples: Samples
    known: bool

    def value(self, W: Array) -> Array:
        """L(W) (S1, S21)."""
        return self.value_and_gradient(W)[0]

    def value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        """(L(W), ∇L(W)) (S1, S2, S21)."""
        value, gradient = self.samples.value_and_gradient(W)
        value = value + np.asarray(penalty_value(W, self.problem))
        return jnp.asarray(value, W.dtype), jnp.asarray(
            gradient + np.asarray(penalty_gradient(W, self.problem)), W.dtype
        )

    def hessian_at(self, W: Array) -> Callable[[Array], Array]:
        """V -> H(W) V (S4, S21); the probabilities at W are computed in each product."""

        def product(V: Array) -> Array:
            HV = self.samples.product(W, V) + np.asarray(penalty_hvp(W, self.problem, V))
            return jnp.asarray(HV, V.dtype)

        return product

    def spread(self, V: Array) -> Array:
        """ρ, the largest range of the logits of V over the samples and the penalties (S8)."""
        found = max(self.samples.spread(V), float(max_logit_range(self.problem, V)))
        return jnp.asarray(found, V.dtype)

    def rounding(self, W: Array, value: Array) -> Array:
        """As for dense problems, for a sum of the samples of one chunk: the chunks are added in float64."""
        eps, D = jnp.finfo(W.dtype).eps, self.samples.D
        summing = eps * (8 + self.samples.rows**0.5) * jnp.abs(value)
        return summing + 2 * D * eps * jnp.sum(self.scale * jnp.max(jnp.abs(W), axis=0))

    def attains(self) -> Array:
        """Whether a theorem says that a minimiser exists."""
        return jnp.asarray(self.known)

    def on(self, inner: Problem) -> Oracle:
        """Itself: products are taken in the compute dtype."""
        return self


def oracle_of(samples: Samples, problem: Problem, found: Found, known: bool) -> StreamedOracle:
    """The oracle; `problem` has the penalties and a sample of weight 0, in the compute dtype."""
    scale = jnp.asarray(found.sums + np.asarray(gradient_scale(problem), np.float64), problem.dtype)
    return StreamedOracle(problem, placement(problem), scale, samples, known)
