"""S4 as a matrix: the dense Hessian from C(C-1)/2 weighted Gram products, no N×C×C×D×D intermediate.

Off the diagonal, block (a, b) is -Xᵀ diag(s y_a y_b) X; a diagonal block is minus the sum of its row of blocks (S3),
which is accurate relative to its own size where y_a - y_a² is not. All pairs and all feature products x_i x_j, i ≤ j,
meet in one matrix product, (pairs × samples)·(samples × feature products), taken in chunks of feature products so that
the products never exist all at once.

Guarded by `tests/calculus/loss/test_hessian.py`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.penalty_sum import penalty_class_blocks
from jaxsoftmax.linalg.blocks import Placement, placement, sum_blocks, whole_columns
from jaxsoftmax.linalg.products import PRECISION, sum_over_samples
from jaxsoftmax.problem.problem import Problem

Array = jax.Array

# A block of rows times a chunk of feature products: this many entries stay in a second-level cache.
_ROWS = 1024
_CHUNK_ENTRIES = 1 << 18


def _class_pairs(C: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows a < b of the pairs, and the (C, C) table of where each pair stands, in either order."""
    a, b = np.triu_indices(C, 1)
    table = np.zeros((C, C), np.int32)
    table[a, b] = table[b, a] = np.arange(len(a))
    return a, b, table


def _feature_products(D: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (chunks, 2, width) of the products i ≤ j, padded by repeats, and the (D, D) table of their places."""
    i, j = np.triu_indices(D)
    table = np.zeros((D, D), np.int32)
    table[i, j] = table[j, i] = np.arange(len(i))
    chunks = -(-len(i) // max(1, _CHUNK_ENTRIES // rows))
    width = -(-len(i) // chunks)
    padded = np.zeros((2, chunks * width), np.int32)
    padded[:, : len(i)] = i, j
    return padded.reshape(2, chunks, width).swapaxes(0, 1), table


def _packed_gram(Y: Array, X: Array, s: Array, where: Placement) -> tuple[Array, np.ndarray, np.ndarray]:
    """(chunks, class pairs, products a chunk) of Xᵀ diag(s y_a y_b) X, and where pairs and products stand in it."""
    X, where = whole_columns(X, where)
    (N, D), C = X.shape, Y.shape[1]
    a, b, pair_table = _class_pairs(C)
    products, product_table = _feature_products(D, min(N, _ROWS))
    chunks, _, width = products.shape

    def block(xb: Array, yb: Array, sb: Array) -> Array:
        xt, yt = xb.T.astype(yb.dtype), yb.T
        weights = yt[a] * yt[b] * sb

        def chunk(ij: Array) -> Array:
            return jnp.einsum("pn,kn->pk", weights, xt[ij[0]] * xt[ij[1]], precision=PRECISION)

        return jax.lax.map(chunk, jnp.asarray(products))

    out = jax.ShapeDtypeStruct((chunks, len(a), width), Y.dtype)
    total = sum_blocks(where, block, (), (X, Y, s), out, rows_limit=_ROWS)
    return total, pair_table, product_table


def dense_hessian(Y: Array, W: Array, problem: Problem, where: Placement) -> Array:
    """H(W), (C·D, C·D), row-major vec over (C, D), penalties included, at probabilities Y = softmax(X Wᵀ) (S4, S21)."""
    C, D = W.shape
    packed, pairs, products = _packed_gram(Y, problem.X, problem.sample_weight, where)
    classes = jnp.arange(C)

    def block_row(c: Array) -> Array:
        """The (D, C, D) blocks of class c: unpacked class by class, the temporaries stay C times smaller."""
        row = packed[np.arange(len(packed)), jnp.asarray(pairs)[c][:, None]].reshape(C, -1)
        own = jnp.einsum("b,bk->k", (classes != c).astype(row.dtype), row, precision=PRECISION)
        blocks = jnp.where((classes == c)[:, None, None], own[products], -row[:, products])
        return jnp.swapaxes(blocks, 0, 1)

    H = jax.lax.map(block_row, classes)
    if problem.regularizer:
        extra = penalty_class_blocks(W, problem)
        H = H + jnp.swapaxes(extra, 1, 2)[:, :, :, None] * jnp.eye(D, dtype=W.dtype)[None, :, None, :]
    return H.reshape(C * D, C * D)


def hessian_block(Y: Array, W: Array, problem: Problem, i: int, j: int) -> Array:
    """Block (i, j) of H(W), (D, D): Xᵀ diag(s ∘ (δ_ij y_i - y_i y_j)) X + penalties (S4, S21)."""
    weight = problem.sample_weight * _pair_weight(Y, i, j)
    X = whole_columns(problem.X, placement(problem))[0].astype(W.dtype)
    block = sum_over_samples(X * weight[:, None], X)
    if not problem.regularizer:
        return block
    return block + jnp.diag(penalty_class_blocks(W, problem)[i, j])


def _pair_weight(Y: Array, i: int, j: int) -> Array:
    if i != j:
        return -Y[:, i] * Y[:, j]
    others = jnp.sum(jnp.where(jnp.arange(Y.shape[1]) == i, 0, Y), axis=1)
    return Y[:, i] * others


def hessian_diagonal(Y: Array, W: Array, problem: Problem) -> Array:
    """The diagonal of H(W) as a (C, D) array: Σ_n s_n y_nc (1 - y_nc) x_nd² + penalties (S4, S21)."""
    C = Y.shape[1]
    # 1 - y as the sum of the other classes: no cancellation for a dominating class (section 7.3).
    others = jnp.einsum("nc,ck->nk", Y, 1 - jnp.eye(C, dtype=Y.dtype), precision=PRECISION)
    weight = problem.sample_weight[:, None] * Y * others
    X = problem.X.astype(W.dtype)
    diagonal = sum_over_samples(weight, X * X)
    if not problem.regularizer:
        return diagonal
    return diagonal + jnp.einsum("ccd->cd", penalty_class_blocks(W, problem))
