"""Wrong Hessians and Hessian–vector products around softmax (S4, S21)."""

import jax
import jax.numpy as jnp

from helpers.derivatives import zoo_softmax as zoo
from helpers.derivatives.mutants_case import Mutant, after, kept, only, through, times, with_args


def column_stacked_hessian(W, X, T, s):
    """The matrix in the paper's order, which stacks columns of W."""
    C, D = W.shape
    return zoo.softmax_hessian(W, X, T, s).reshape(C, D, C, D).transpose(1, 0, 3, 2).reshape(C * D, C * D)


def upper_blocks_hessian(W, X, T, s):
    C, D = W.shape
    H = zoo.softmax_hessian(W, X, T, s).reshape(C, D, C, D)
    keep = jnp.triu(jnp.ones((C, C), W.dtype))
    return (H * keep[:, None, :, None]).reshape(C * D, C * D)


def targets_in_hessian(W, X, T, s):
    """S with t_j in the place of the second y_j."""
    Y = jax.nn.softmax(X @ W.T, axis=1)
    C, D = W.shape
    S = Y[:, :, None] * (jnp.eye(C, dtype=Y.dtype) - T[:, None, :])
    return jnp.einsum("n,nij,nd,ne->idje", s, S, X, X).reshape(C * D, C * D)


def swapped_inner_hessian(W, X, T, s):
    Y = jax.nn.softmax(X @ W.T, axis=1)
    C, D = W.shape
    S = Y[:, :, None] * (jnp.eye(C, dtype=Y.dtype) - Y[:, None, :])
    return jnp.einsum("n,nij,nd,ne->iejd", s, S, X, X).reshape(C * D, C * D)


def uncentred_hvp(W, V, X, T, s):
    """Y ∘ U in the place of Y ∘ (U − ū)."""
    Y = jax.nn.softmax(X @ W.T, axis=1)
    return (Y * (X @ V.T) * s[:, None]).T @ X


def differenced_hvp(W, V, X, T, s):
    """A difference of gradients with a step far too large."""
    return zoo.softmax_gradient(W + V, X, T, s) - zoo.softmax_gradient(W, X, T, s)


def normalised_hvp(W, V, X, T, s):
    return zoo.softmax_hvp(W, V / jnp.linalg.norm(V), X, T, s)


def self_block_shift(H):
    """Blocks of 5 rows rolled by one class."""
    return jnp.roll(H, 5, axis=0)


MUTANTS = (
    Mutant("softmax-hvp-half", "softmax-loss", "constant factor", after("hvp", times(0.5))),
    Mutant("lse-hessian-double", "logsumexp", "constant factor", after("hessian", times(2.0))),
    Mutant(
        "l2-hvp-missing",
        "softmax-l2",
        "missing regulariser",
        only("hvp", lambda W, V, X, T, s, a: zoo.softmax_hvp(W, V, X, T, s)),
    ),
    Mutant(
        "l2-hessian-half",
        "softmax-l2",
        "missing regulariser",
        only("hessian", lambda W, X, T, s, a: zoo.l2_hessian(W, X, T, s, a / 2)),
    ),
    Mutant(
        "logcosh-hvp-no-gamma",
        "softmax-logcosh",
        "wrong term",
        only("hvp", lambda W, V, X, T, s, a, g: zoo.softmax_hvp(W, V, X, T, s) + a * V / jnp.cosh(g * W) ** 2),
    ),
    Mutant(
        "logcosh-hvp-minus",
        "softmax-logcosh",
        "wrong term",
        only("hvp", lambda W, V, X, T, s, a, g: zoo.logcosh_hvp(W, V, X, T, s, -a, g)),
    ),
    Mutant("softmax-hvp-classes", "softmax-loss", "permutation", after("hvp", lambda g: g[jnp.array([0, 3, 2, 1])])),
    Mutant("hessian-column-stacked", "softmax-loss", "permutation", only("hessian", column_stacked_hessian)),
    Mutant("self-hessian-blocks", "softmax-self", "permutation", after("hessian", self_block_shift)),
    Mutant("softmax-hvp-columns-rolled", "softmax-self", "shift", after("hvp", lambda g: jnp.roll(g, 1, axis=1))),
    Mutant("l2-hvp-centred", "softmax-l2", "gauge", after("hvp", lambda g: g - jnp.mean(g, axis=0))),
    Mutant(
        "softmax-hvp-unweighted",
        "softmax-loss",
        "sample weight",
        only("hvp", lambda W, V, X, T, s: zoo.softmax_hvp(W, V, X, T, jnp.ones_like(s))),
    ),
    Mutant(
        "softmax-hessian-squared",
        "softmax-loss",
        "sample weight",
        only("hessian", lambda W, X, T, s: zoo.softmax_hessian(W, X, T, s * s)),
    ),
    Mutant(
        "lse-hessian-entry", "logsumexp", "entry", after("hessian", lambda H: H.at[1, 4].add(0.1).at[4, 1].add(0.1))
    ),
    Mutant("softmax-hvp-class", "softmax-loss", "row", after("hvp", lambda g: g.at[2].multiply(0.9))),
    Mutant(
        "lse-hessian-no-outer", "logsumexp", "stop gradient", only("hessian", lambda x: jnp.diag(jax.nn.softmax(x)))
    ),
    Mutant("lse-hvp-no-outer", "logsumexp", "stop gradient", only("hvp", lambda x, v: jax.nn.softmax(x) * v)),
    Mutant("softmax-hvp-uncentred", "softmax-loss", "unnamed", only("hvp", uncentred_hvp)),
    Mutant("softmax-hessian-upper", "softmax-loss", "asymmetric", only("hessian", upper_blocks_hessian)),
    Mutant("softmax-hessian-targets", "softmax-loss", "asymmetric", only("hessian", targets_in_hessian)),
    Mutant("softmax-hvp-differenced", "softmax-loss", "nonlinear", only("hvp", differenced_hvp)),
    Mutant("softmax-hvp-normalised", "softmax-loss", "nonlinear", only("hvp", normalised_hvp)),
    Mutant(
        "softmax-negative-weights",
        "softmax-loss",
        "indefinite",
        kept("hessian"),
        with_args(lambda X, T, s: (X, T, -s)),
        psd=True,
    ),
    Mutant(
        "softmax-hessian-bfloat", "softmax-loss", "dtype", only("hessian", through(jnp.bfloat16, zoo.softmax_hessian))
    ),
    Mutant("softmax-hessian-swapped", "softmax-loss", "permutation", only("hessian", swapped_inner_hessian)),
)

EQUIVALENT = {
    "softmax-hessian-swapped": "block (i, j) is a Gram matrix X' diag X, symmetric in the feature indices d and e",
}
