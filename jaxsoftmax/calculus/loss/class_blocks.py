"""The class blocks of H from few rows: an approximate inverse on 𝒦⊥ that a trained classifier does not wear out.

Block (c, c) of the Hessian is Σ_n s_n y_nc (1 − y_nc) x_n x_nᵀ + penalties (S4, S21): the sum of S23's Grams over the
pairs that c is in. Its C inverses, applied class by class between projections on {1ᵀV = 0}, precondition H: what they
leave out is the coupling between classes. Unlike S19's ½ XᵀSX they weigh each sample by the curvature it has at W.

In a trained classifier few rows weigh on a class. Each row heavier than τ is therefore taken, with its own weight. The
lighter ones are thinned: one is taken for each τ of their summed weight, at equal distances along the rows, and counts
τ. So the sum of weights stays as it is but for τ, and nothing is random. τ is such that about `count` rows are taken
for each class.

Guarded by `tests/calculus/loss/test_class_blocks.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.moments import moments
from jaxsoftmax.calculus.loss.null_space import free_directions
from jaxsoftmax.calculus.loss.penalty_sum import penalty_class_blocks
from jaxsoftmax.calculus.loss.rules import softmax_rows
from jaxsoftmax.linalg.definite_inverse import definite_inverse
from jaxsoftmax.linalg.products import PRECISION, sample_logits
from jaxsoftmax.problem.problem import Problem

Array = jax.Array

_BISECTIONS = 20  # of an interval of 64 octaves: τ to a ten-thousandth of an octave
_OCTAVES = 64.0
# The part of each block that is its whole curvature spread over all rows alike: directions that no drawn row has, which
# would otherwise count as flat.
COMPLETION = 0.1
ROWS_A_COLUMN = 5  # rows drawn for a class block, as a multiple of D


def rows_drawn(N: int, D: int) -> int:
    """Rows that a class block is made of."""
    return min(N, ROWS_A_COLUMN * D)


def bytes_of_class_blocks(D: int, C: int, itemsize: int) -> int:
    """What making them takes at one time: the Grams and the inverses in the compute dtype, these in float64 before."""
    return C * D * D * (8 + 2 * itemsize)


def class_block_inverses(problem: Problem, inner: Problem, W: Any) -> np.ndarray | None:
    """The inverses of the class blocks at W in scaled features, (C, D, D), with projections on 𝒦⊥ on both sides.

    `inner` is the problem that products are taken with, in its own dtype. None where a factorisation fails.
    """
    found, null, dtype = moments(problem), np.asarray(free_directions(problem).null, np.float64), inner.dtype
    scale = jnp.asarray(found.scale, dtype)
    grams, masses = _grams(jnp.asarray(W, dtype), inner, scale, rows_drawn(problem.N, problem.D))
    held = np.einsum("ccd->cd", np.asarray(penalty_class_blocks(W, problem), np.float64)) / found.scale**2
    total = float(np.sum(np.asarray(problem.sample_weight, np.float64)))
    inverses = block_inverses(grams, masses, found.gram, total, held, np.linalg.qr(null * found.scale[:, None])[0])
    if inverses is not None and null.size:
        for inverse in inverses:
            for _ in range(2):  # as S19's: v -> v (I − N Nᵀ) reads v -> v Σ⁻¹(I − N Nᵀ)Σ in scaled features
                inverse -= ((inverse / found.scale) @ null) @ (null.T * found.scale)
                inverse[:] = inverse.T.copy()
    return inverses


@partial(jax.jit, static_argnames="count")
def _grams(W: Array, inner: Problem, scale: Array, count: int) -> tuple[Array, Array]:
    Y = softmax_rows(sample_logits(W, inner.X))
    return sampled_class_grams(Y, inner.X, inner.sample_weight, scale, count)


@partial(jax.jit, static_argnames="count")
def sampled_class_grams(Y: Array, X: Array, s: Array, scale: Array, count: int) -> tuple[Array, Array]:
    """(grams (C, D, D), masses (C,)): Σ_n w u uᵀ and Σ_n w with w = s y_c (1 − y_c), u = x/scale, from `count` rows.

    Args:
        Y: (N, C) probabilities.
        X: (N, D), any float or integer dtype; widened row by row.
        s: (N,) weights.
        scale: (D,).
        count: rows a class, at most N; N takes every row with its own weight.
    """
    N = X.shape[0]

    def one(y: Array) -> tuple[Array, Array]:
        w = s * y * (1 - y)
        if count >= N:
            U, weight = X, w
        else:
            tau = _threshold(w, count)
            reached = jnp.cumsum(jnp.minimum(1, w / tau))
            at = jnp.arange(count, dtype=w.dtype) + 0.5
            rows = jnp.minimum(jnp.searchsorted(reached, at), N - 1)
            U, weight = X[rows], jnp.where(at <= reached[-1], jnp.maximum(w[rows], tau), 0)
        U = U.astype(w.dtype) / scale * jnp.sqrt(weight)[:, None]
        return jnp.matmul(U.T, U, precision=PRECISION), jnp.sum(w)

    return jax.lax.map(one, Y.T)


def _threshold(w: Array, count: int) -> Array:
    """τ with Σ min(1, w/τ) = count; as small as can be where fewer rows have any weight."""
    top = jnp.max(w)
    top = jnp.where(top > 0, top, 1)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        many = jnp.sum(jnp.minimum(1, w / (top * jnp.exp2(middle)))) > count
        return jnp.where(many, middle, low), jnp.where(many, high, middle)

    # Where all weights are equal τ = top·N/count, above the largest.
    ends = (jnp.asarray(-_OCTAVES, w.dtype), jnp.asarray(np.log2(max(2, w.size)), w.dtype))
    return top * jnp.exp2(jax.lax.fori_loop(0, _BISECTIONS, halve, ends)[1])


def block_inverses(
    grams: Any, masses: Any, gram: np.ndarray, total: float, penalties: np.ndarray, null: np.ndarray
) -> np.ndarray | None:
    """(C, D, D) inverses of the completed blocks in scaled features, float64; None where a factorisation fails.

    Args:
        grams: (C, D, D) of `sampled_class_grams`.
        masses: (C,) of the same.
        gram: (D, D) Σ s u uᵀ of all rows.
        total: Σ s.
        penalties: (C, D) diagonal of the penalties' Hessian in scaled features.
        null: (D, m) orthonormal columns that span the null space of X in scaled features; it is filled.
    """
    fill, grams, masses = null @ null.T, np.asarray(grams), np.asarray(masses, np.float64)
    inverses = np.empty(grams.shape)
    for c, held in enumerate(penalties):
        M = (1 - COMPLETION) * grams[c].astype(np.float64) + (COMPLETION * masses[c] / total) * gram
        M[np.diag_indices(len(M))] += held
        size = float(np.trace(M)) / len(M)
        inverse = definite_inverse(M + size * fill if null.size else M)
        if inverse is None:
            return None
        inverses[c] = inverse
    return inverses
