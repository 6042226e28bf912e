"""Convexity along lines: quadratic forms, and L((A + B)/2) <= (L(A) + L(B))/2 to the loss's own rounding (S1, S5).

**Allowance.** The terms of S1 and of the penalties are non-negative, so summing N of them costs eps (8 + √N) L. A logit
errs by at most γ_D Σ_d |x_nd w_cd|, γ_D = D eps, and a loss moves by at most Σ_c |y − t|_nc <= 2 times its logits'
error; two more eps pay for rounding the midpoint. Summed over the samples: 2 (D + 2) eps Σ_d a_d max_c |w_cd|,
a_d = Σ_n s_n |x_nd|, with |γ| more in a_d for each self-regulariser (its samples are γ e_d).

Guarded by `tests/evidence/spectrum/test_matrix_free.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.bounds.steps import max_logit_range
from jaxsoftmax.calculus.loss.objective import loss
from jaxsoftmax.calculus.loss.penalty_sum import sample_scales
from jaxsoftmax.problem.problem import Problem

# Half the distance between the ends, in the largest range of logits that it causes: near, and far enough to saturate.
REACHES = (1.0, 20.0)


class LineProbes(NamedTuple):
    """The largest excess of a midpoint over its chord, in units of the allowance, and the direction where it was."""

    midpoint_excess: float
    direction: np.ndarray | None  # (C, D)


def probe_midpoints(problem: Problem, W: np.ndarray, directions: Sequence[np.ndarray]) -> LineProbes:
    """Midpoint convexity on both sides of W along each direction (C, D)."""
    size = _column_sizes(problem)

    def rounding(at: np.ndarray, value: float) -> float:
        eps = float(np.finfo(problem.dtype).eps)
        N, D = problem.X.shape
        logits = 2 * (D + 2) * eps * float(size @ np.abs(at).max(axis=0))
        return eps * (8 + N**0.5) * abs(value) + logits

    worst, where = -np.inf, None
    for V in directions:
        spread = float(max_logit_range(problem, jnp.asarray(V, problem.dtype)))
        for reach in REACHES if spread > 0 else ():
            # Ends as the dtype stores them, so that the points compared are exactly those computed with.
            A, B = ((W + sign * (reach / spread) * V).astype(problem.dtype) for sign in (1, -1))
            middle = ((A.astype(np.float64) + B.astype(np.float64)) / 2).astype(problem.dtype)
            at_a, at_b, at_middle = (float(loss(jnp.asarray(point), problem)) for point in (A, B, middle))
            if not np.isfinite([at_a, at_b, at_middle]).all():
                continue
            allowance = (rounding(A, at_a) + rounding(B, at_b)) / 2 + rounding(middle, at_middle)
            excess = (at_middle - (at_a + at_b) / 2) / allowance
            if excess > worst:
                worst, where = excess, V
    return LineProbes(worst if where is not None else 0.0, where)


def _column_sizes(problem: Problem) -> np.ndarray:
    """a_d of the module's docstring, (D,)."""
    sizes = np.asarray(jnp.einsum("n,nd->d", problem.sample_weight, jnp.abs(problem.X.astype(problem.dtype))))
    return sizes.astype(np.float64) + sum(abs(float(gamma)) for gamma in sample_scales(problem))
