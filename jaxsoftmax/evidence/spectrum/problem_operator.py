"""The Hessian of a problem as the matrix-free probe sees it: products, forms, kernel, resolutions (S4, S6).

Guarded by `tests/evidence/spectrum/test_matrix_free.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.hessian import HessianOperator, hessian
from jaxsoftmax.calculus.loss.null_space import NullSpace
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, complement_projectors
from jaxsoftmax.evidence.spectrum.dense import EPS, rounding_constant
from jaxsoftmax.evidence.spectrum.matrix_free import MEMBERS, ProbedOperator, Scaled
from jaxsoftmax.evidence.spectrum.preconditioner import class_block_preconditioner, remove_kernel_on_host
from jaxsoftmax.linalg.products import sample_logits
from jaxsoftmax.problem.problem import Problem


class CountedHessian:
    """H with NumPy vectors in and out, counting the columns it is applied to."""

    def __init__(self, W: Any, problem: Problem) -> None:
        self.H: HessianOperator = hessian(W, problem)
        self.products = 0

    def apply(self, V: np.ndarray) -> np.ndarray:
        """H V for V (n, k), float64 in and out; the product itself in the problem's dtype."""
        self.products += V.shape[1]
        return np.asarray(self.H @ jnp.asarray(V, self.H.dtype), np.float64)

    def form(self, v: np.ndarray) -> float:
        """D²L[V, V]/‖V‖² as a sum of variances: accurate relative to its own size (S4)."""
        V = jnp.asarray(v.reshape(self.H.W.shape), self.H.dtype)
        return float(self.H.quadratic_form(V)) / float(v @ v)


def problem_operator(
    counted: CountedHessian, kern: NullSpace, upper: float, rng: np.random.Generator, tell: Callable[[str], None]
) -> ProbedOperator:
    """The operator for `probe_matrix_free`; `upper` is Λ of S7a."""
    H, problem = counted.H, counted.H.problem
    n, C = H.shape[0], problem.C
    eps = float(np.finfo(problem.dtype).eps)
    kappa = rounding_constant(problem.N, C)
    diagonal = np.asarray(H.diagonal(), np.float64)
    size = float(diagonal.sum())
    if not problem.regularizer and bool(jnp.all(problem.X >= 0)):
        size = min(size, upper)  # B ⪯ ½ |X|ᵀ diag(s) |X| then (the rows of |S(y)| sum to at most 2 y (1 − y) <= ½)
    projectors = ComplementProjectors(*(np.asarray(p, np.float64) for p in complement_projectors(problem, kern)))

    def project(R: np.ndarray) -> np.ndarray:
        V = remove_kernel_on_host(R.T.reshape(R.shape[1], C, -1), projectors.gauge, projectors.null)
        return V.reshape(R.shape[1], -1).T

    precondition = None
    if n > kern.dim:
        tell(f"class-block preconditioner: {C} factorisations")
        precondition = class_block_preconditioner(H, kern)

    def scaled() -> Scaled:
        assert precondition is not None
        block = precondition

        def apply(U: np.ndarray) -> np.ndarray:
            return block.unscale(counted.apply(block.unscale(U)))

        trace = float((diagonal / projectors.scale**2).sum())
        return Scaled(apply, block.project_scaled, block.scaled, resolution_from(eps, kappa, trace, n, trace))

    members = random_members(kern, C, rng)
    return ProbedOperator(
        size=n,
        apply=counted.apply,
        project=project,
        form=counted.form,
        resolution=lambda top: resolution_from(eps, kappa, size, n, top),
        kernel_dim=kern.dim,
        members=members,
        member_noise=None if members is None else _member_noise(problem, kern, members, projectors.scale),
        precondition=precondition,
        scaled=scaled if precondition is not None else None,
    )


def resolution_from(eps: float, kappa: float, size: float, n: int, top: float) -> float:
    """eps κ ‖B‖ for the products (the docstring of probe.py), and 8 √n u λ_max for the vectors they are given.

    A vector converted to the compute dtype and an orthonormal basis err by eps or so a column, √n eps at most.
    """
    return eps * kappa * size + (8 * math.sqrt(n) * EPS + 2 * eps) * top


def random_members(kern: NullSpace, C: int, rng: np.random.Generator, count: int = MEMBERS) -> np.ndarray | None:
    """(C·D, count) random unit vectors of the predicted kernel, None when it is {0}."""
    gauge, null = np.asarray(kern.gauge, np.float64), np.asarray(kern.null, np.float64)
    if kern.dim == 0:
        return None
    V = np.zeros((count, C, gauge.shape[0]))
    V += (rng.standard_normal((count, gauge.shape[1])) @ gauge.T)[:, None, :]
    if null.shape[1] and C > 1:
        Z = rng.standard_normal((count, C, null.shape[1]))
        V += (Z - Z.mean(axis=1, keepdims=True)) @ null.T
    V = V.reshape(count, -1).T
    return V / np.linalg.norm(V, axis=0)


@jax.jit
def _absolute_logits(V: jax.Array, problem: Problem) -> jax.Array:
    """√(Σ_n s_n max_c (Σ_d |x_nd v_cd|)²)."""
    a = jnp.max(sample_logits(jnp.abs(V), jnp.abs(problem.X)), axis=1)
    return jnp.sqrt(jnp.sum(problem.sample_weight * a * a))


def _member_noise(problem: Problem, kern: NullSpace, members: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """What the form of a member of the predicted kernel may be, (k,): rounding, and S6's rank tolerance.

    Form = Σ_n ‖j_n‖² with j = √(s y)(u − ū), |u − ū| <= 2 max|u|. A computed u errs by D eps Σ|x v|, y by its own 4 eps
    (1 + log₂C) relative: √form errs by at most 2 (D + κ) eps √(Σ s max_c (Σ|x v|)²). The null vectors of X come from
    singular values below `NullSpace.tolerance` = τ of columns brought to norms in [1, 2), that is Σ N^½ times at most 2
    in the root-mean-square scale Σ: ‖X v‖ <= 2 τ ‖v Σ √N‖, and √form <= √(½ max s) times that. A regulariser's form
    of a member is exactly 0 up to rounding.
    """
    C, D = problem.C, problem.D
    eps = float(np.finfo(problem.dtype).eps)
    rank = 2 * kern.tolerance * math.sqrt(problem.N * float(jnp.max(problem.sample_weight)) / 2)
    noise = []
    for v in members.T:
        V = v.reshape(C, D)
        absolute = float(_absolute_logits(jnp.asarray(V, problem.dtype), problem))
        root = 2 * (D + rounding_constant(problem.N, C)) * eps * absolute
        root += rank * float(np.linalg.norm(V * scale))
        noise.append(root**2 + _penalty_noise(problem, eps))
    return np.array(noise)


def _penalty_noise(problem: Problem, eps: float) -> float:
    """A penalty's form of a unit member: gauge parts enter squared after cancellation to eps, so (D eps)² α or γ²."""
    strengths = sum(abs(float(leaf)) + float(leaf) ** 2 for leaf in jax.tree.leaves(problem.regularizer))
    return (8 * problem.D * problem.C * eps) ** 2 * strengths
