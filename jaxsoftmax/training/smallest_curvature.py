"""The smallest curvature off the null space, for S13's q where the dense Hessian is too large to form.

λ_min of Σ⁻¹H(W)Σ⁻¹ on {1ᵀV = 0} less the null space, Σ the powers of two of `feature_scale`: by the block Davidson
method, preconditioned by the class blocks at W. A Ritz value is never below λ_min; the estimate of its error and the
rounding of the products are stated beside it, and taken off before anything is said (`end_point.existence_ratio`).

Guarded by `tests/training/test_smallest_curvature.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.bounds.bohning import apply_inverse
from jaxsoftmax.calculus.loss.class_blocks import class_block_inverses
from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.null_space import free_directions, row_space
from jaxsoftmax.calculus.loss.penalty_sum import holding, penalised
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.linalg.davidson import smallest_pairs
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.columns import ExactData
from jaxsoftmax.training.methods.newton_cg import NewtonCG, Solver

MOST_STEPS = 60
WANTED = 0.1  # q needs no more than the first digit


_apply_inverses = jax.jit(jax.vmap(apply_inverse, (None, 0)))  # to some directions at once: M⁺ is read once


class CurvatureEstimate(NamedTuple):
    """A Ritz value of the smallest eigenvalue, and what it may exceed it by: `error` is estimated, not proved."""

    value: float
    error: float


def smallest_curvature(problem: Problem, W: Any, solver: Solver | None = None) -> CurvatureEstimate:
    """The estimate at W (C, D) for a problem without log-cosh penalties; products as newton-cg takes them.

    `solver` is what newton-cg ended with, which also serves here; class blocks at W are made where there is none.
    """
    if solver is None:
        solver = NewtonCG().constants(problem, None)
        blocks = class_block_inverses(problem, solver.inner, W) if int(solver.patience) else None
        if blocks is not None:
            solver = solver._replace(inverse=solver.inverse._replace(inverse=blocks))
    M, inner, dtype = solver.inverse, solver.inner, solver.inner.dtype
    M = M._replace(**{name: jnp.asarray(part, dtype) for name, part in M._asdict().items()})
    C, D = problem.C, problem.D
    scale, null = feature_scale(problem), np.asarray(free_directions(problem).null, np.float64)
    inside = np.linalg.qr(null * scale[:, None])[0]
    H = hessian(jnp.asarray(W, dtype), inner)

    def shaped(R: np.ndarray) -> np.ndarray:
        return R.T.reshape(-1, C, D)

    def flat(U: np.ndarray) -> np.ndarray:
        return U.reshape(len(U), C * D).T

    def project(R: np.ndarray) -> np.ndarray:
        U = shaped(R) - shaped(R).mean(axis=1, keepdims=True)
        return flat(U - (U @ inside) @ inside.T)

    units = np.tile(scale, C)[:, None]

    def products(R: np.ndarray) -> np.ndarray:
        return np.asarray(H @ jnp.asarray(R / units, dtype), np.float64) / units

    def inverse(R: np.ndarray) -> np.ndarray:
        return flat(np.asarray(_apply_inverses(M, jnp.asarray(shaped(R) * scale, dtype)), np.float64) * scale)

    # Two directions at once: one alone may settle on the second smallest first.
    start = np.random.default_rng(0).standard_normal((C * D, min(2, C * D)))
    found = smallest_pairs(
        products,
        project(inverse(start)),
        precondition=inverse,
        project=project,
        rtol=WANTED,
        max_steps=MOST_STEPS,
    )
    # The Rayleigh quotient as a sum of squares keeps its relative accuracy, which a product's would not.
    V = jnp.asarray(found.vectors[:, 0].reshape(C, D) / scale, dtype)
    value = float(H.quadratic_form(V)) / float(np.sum((np.asarray(V, np.float64) * scale) ** 2))
    rounding = 8 * float(np.finfo(dtype).eps) * (D + problem.N**0.5) * value
    # The estimate of the error is as good as the preconditioner: it is not trusted below half of the value.
    error = max(2 * found.error, 0.5 * value) + rounding
    return CurvatureEstimate(value, error if found.converged else np.inf)


def curvature_as_given(
    working: Problem, exact: ExactData, V: np.ndarray, solver: Solver | None = None
) -> CurvatureEstimate | None:
    """The smallest curvature at V in the working columns as rounded; None where that says nothing of the data.

    It does not where rounding changed the rank, nor with log-cosh, which couples the gauge directions with the rest.
    """
    if any(penalty.concordance is not None for penalty, _ in holding(working)):
        return None
    if not penalised(working) and row_space(working).rank != row_space(exact.problem).rank:
        return None
    return smallest_curvature(working, V, solver)
