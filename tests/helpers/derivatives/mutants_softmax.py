"""Wrong rules around softmax, among them the two bugs of published MATLAB trainers (S21)."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives import zoo_softmax as zoo
from helpers.derivatives.mutants_case import Mutant, after, at_point, kept, leaf, only, through, times, with_fun


def residual(W, X, T, s):
    """diag(s)(Y − T)."""
    return (jax.nn.softmax(X @ W.T, axis=1) - T) * s[:, None]


def published_l2_loss(W, X, T, s, alpha):
    return zoo.softmax_loss(W, X, T, s) + alpha * jnp.sum(W * W)


def published_logcosh_gradient(W, X, T, s, alpha, gamma):
    return zoo.softmax_gradient(W, X, T, s) - alpha * jnp.tanh(gamma * W)


def unweighted(W, X, T, s):
    return (jax.nn.softmax(X @ W.T, axis=1) - T).T @ X


def bfloat_product(W, X, T, s):
    low = jnp.matmul(residual(W, X, T, s).T.astype(jnp.bfloat16), X.astype(jnp.bfloat16))
    return low.astype(W.dtype)


def orthogonal_error(W, X, T, s):
    """Wrong by 20 % along one direction, chosen orthogonal to the only one that check_grads tries."""
    tried = jnp.asarray(np.random.RandomState(0).randn(*W.shape), W.dtype)
    g = zoo.softmax_gradient(W, X, T, s)
    wrong = jnp.sin(1.0 + jnp.arange(W.size, dtype=W.dtype)).reshape(W.shape)
    wrong = wrong - tried * jnp.sum(tried * wrong) / jnp.sum(tried * tried)
    return g + 0.2 * wrong * jnp.linalg.norm(g) / jnp.linalg.norm(wrong)


def wrong_axis(W, X, T, s):
    return ((jax.nn.softmax(X @ W.T, axis=0) - T) * s[:, None]).T @ X


def labels_off_by_one(params, X, labels):
    return zoo.labels_gradient(params, X, (labels + 1) % 3)


def labels_dropped_penalty(params, X, labels):
    g = zoo.labels_gradient(params, X, labels)
    return g | {"W": g["W"] - 0.1 * params["W"]}


def labels_half_penalty(params, X, labels):
    g = zoo.labels_gradient(params, X, labels)
    return g | {"W": g["W"] - 0.05 * params["W"]}


def labels_penalised_bias(params, X, labels):
    g = zoo.labels_gradient(params, X, labels)
    return g | {"b": g["b"] + 0.1 * params["b"]}


def naive_lse_gradient(x):
    e = jnp.exp(x)
    return e / jnp.sum(e)


def naive_kl_gradient(x):
    P, Q = jax.nn.softmax(x["p"]), jax.nn.softmax(x["q"])
    ratio = jnp.log(P) - jnp.log(Q)
    return {"p": P * (ratio - jnp.sum(P * ratio)), "q": Q - P}


MUTANTS = (
    # The two published bugs.
    Mutant("matlab-l2", "softmax-l2", "missing regulariser", kept("gradient"), with_fun(published_l2_loss)),
    Mutant("matlab-logcosh", "softmax-logcosh", "wrong term", only("gradient", published_logcosh_gradient)),
    # Factors.
    Mutant("softmax-half", "softmax-loss", "constant factor", after("gradient", times(0.5))),
    Mutant("softmax-double", "softmax-loss", "constant factor", after("gradient", times(2.0))),
    Mutant("softmax-descent", "softmax-loss", "constant factor", after("gradient", times(-1.0))),
    Mutant("softmax-permille", "softmax-loss", "constant factor", after("gradient", times(1 - 1e-3))),
    Mutant(
        "softmax-mean",
        "softmax-loss",
        "constant factor",
        only("gradient", lambda W, X, T, s: zoo.softmax_gradient(W, X, T, s) / X.shape[0]),
    ),
    Mutant(
        "softmax-normalised-weights",
        "softmax-loss",
        "constant factor",
        only("gradient", lambda W, X, T, s: zoo.softmax_gradient(W, X, T, s / jnp.sum(s))),
    ),
    Mutant(
        "softmax-value-half",
        "softmax-loss",
        "constant factor",
        after("value_and_gradient", lambda pair: (pair[0], 0.5 * pair[1])),
    ),
    Mutant("smoothing-mean-twice", "label-smoothing", "constant factor", after("gradient", times(1 / 7))),
    Mutant(
        "masked-all-positions",
        "masked-loss",
        "constant factor",
        only("gradient", lambda Z, k, m: zoo.masked_gradient(Z, k, m) * jnp.sum(m) / m.size),
    ),
    Mutant(
        "softmax-map-no-temperature",
        "softmax-map",
        "constant factor",
        only("jvp", lambda z, v, t: t * zoo.softmax_map_jvp(z, v, t)),
    ),
    # Regularisers.
    Mutant(
        "l2-missing",
        "softmax-l2",
        "missing regulariser",
        only("gradient", lambda W, X, T, s, a: zoo.softmax_gradient(W, X, T, s)),
    ),
    Mutant(
        "l2-two-alpha",
        "softmax-l2",
        "missing regulariser",
        only("gradient", lambda W, X, T, s, a: zoo.l2_gradient(W, X, T, s, 2 * a)),
    ),
    Mutant(
        "l2-minus",
        "softmax-l2",
        "missing regulariser",
        only("gradient", lambda W, X, T, s, a: zoo.l2_gradient(W, X, T, s, -a)),
    ),
    Mutant(
        "softmax-weight-decay",
        "softmax-loss",
        "missing regulariser",
        only("gradient", lambda W, X, T, s: zoo.softmax_gradient(W, X, T, s) + 0.01 * W),
    ),
    Mutant("labels-no-penalty", "softmax-labels", "missing regulariser", only("gradient", labels_dropped_penalty)),
    Mutant("labels-half-penalty", "softmax-labels", "missing regulariser", only("gradient", labels_half_penalty)),
    Mutant(
        "logcosh-missing",
        "softmax-logcosh",
        "wrong term",
        only("gradient", lambda W, X, T, s, a, g: zoo.softmax_gradient(W, X, T, s)),
    ),
    Mutant(
        "logcosh-no-gamma",
        "softmax-logcosh",
        "wrong term",
        only("gradient", lambda W, X, T, s, a, g: zoo.softmax_gradient(W, X, T, s) + a * jnp.tanh(W)),
    ),
    Mutant(
        "logcosh-over-gamma",
        "softmax-logcosh",
        "wrong term",
        only("gradient", lambda W, X, T, s, a, g: zoo.softmax_gradient(W, X, T, s) + a / g * jnp.tanh(g * W)),
    ),
    Mutant(
        "logcosh-linear",
        "softmax-logcosh",
        "wrong term",
        only("gradient", lambda W, X, T, s, a, g: zoo.softmax_gradient(W, X, T, s) + a * g * W),
    ),
    Mutant(
        "self-missing",
        "softmax-self",
        "wrong term",
        only("gradient", lambda W, X, T, s, g: zoo.softmax_gradient(W, X, T, s)),
    ),
    Mutant(
        "self-no-gamma",
        "softmax-self",
        "wrong term",
        only(
            "gradient", lambda W, X, T, s, g: zoo.softmax_gradient(W, X, T, s) + jax.nn.softmax(g * W, axis=0) - 1 / 4
        ),
    ),
    Mutant(
        "self-no-uniform",
        "softmax-self",
        "gauge",
        only("gradient", lambda W, X, T, s, g: zoo.self_gradient(W, X, T, s, g) + g / 4),
    ),
    # Layout.
    Mutant(
        "softmax-reshaped",
        "softmax-loss",
        "transpose",
        only("gradient", lambda W, X, T, s: (X.T @ residual(W, X, T, s)).reshape(W.shape)),
    ),
    Mutant(
        "softmax-classes-swapped",
        "softmax-loss",
        "permutation",
        after("gradient", lambda g: g[jnp.array([1, 0, 2, 3])]),
    ),
    Mutant(
        "softmax-classes-permuted",
        "softmax-loss",
        "permutation",
        after("gradient", lambda g: g[jnp.array([2, 0, 3, 1])]),
    ),
    Mutant("softmax-features-reversed", "softmax-l2", "permutation", after("gradient", lambda g: g[:, ::-1])),
    Mutant(
        "smoothing-classes-permuted",
        "label-smoothing",
        "permutation",
        after("gradient", lambda g: g[:, jnp.array([4, 1, 0, 3, 2])]),
    ),
    Mutant("softmax-classes-rolled", "softmax-loss", "shift", after("gradient", lambda g: jnp.roll(g, 1, axis=0))),
    # Projections.
    Mutant("l2-centred", "softmax-l2", "gauge", after("gradient", lambda g: g - jnp.mean(g, axis=0))),
    Mutant("logcosh-centred", "softmax-logcosh", "gauge", after("gradient", lambda g: g - jnp.mean(g, axis=0))),
    Mutant("lse-centred", "logsumexp", "gauge", after("gradient", lambda g: g - jnp.mean(g))),
    # Weights.
    Mutant("softmax-unweighted", "softmax-loss", "sample weight", only("gradient", unweighted)),
    Mutant(
        "softmax-weights-squared",
        "softmax-loss",
        "sample weight",
        only("gradient", lambda W, X, T, s: zoo.softmax_gradient(W, X, T, s * s)),
    ),
    Mutant(
        "softmax-weights-rooted",
        "softmax-loss",
        "sample weight",
        only("gradient", lambda W, X, T, s: zoo.softmax_gradient(W, X, T, jnp.sqrt(s))),
    ),
    Mutant(
        "l2-unweighted",
        "softmax-l2",
        "sample weight",
        only("gradient", lambda W, X, T, s, a: unweighted(W, X, T, s) + a * W),
    ),
    Mutant(
        "masked-ignored",
        "masked-loss",
        "sample weight",
        only("gradient", lambda Z, k, m: zoo.masked_gradient(Z, k, jnp.ones_like(m)) * m.size / jnp.sum(m)),
    ),
    # Parts of the result.
    Mutant("softmax-entry-sign", "softmax-loss", "entry", after("gradient", lambda g: g.at[2, 3].multiply(-1))),
    Mutant("softmax-entry-l2", "softmax-l2", "entry", after("gradient", lambda g: g.at[0, 0].multiply(1.05))),
    Mutant("softmax-reference-class", "softmax-loss", "row", after("gradient", lambda g: g.at[3].set(0))),
    Mutant("softmax-class-sign", "softmax-loss", "row", after("gradient", lambda g: g.at[1].multiply(-1))),
    Mutant("softmax-bias-column", "softmax-loss", "row", after("gradient", lambda g: g.at[:, 4].set(0))),
    Mutant(
        "l2-one-class-unpenalised",
        "softmax-l2",
        "row",
        only("gradient", lambda W, X, T, s, a: zoo.l2_gradient(W, X, T, s, a).at[0].add(-a * W[0])),
    ),
    Mutant("smoothing-last-sample", "label-smoothing", "row", after("gradient", lambda g: g.at[-1].set(0))),
    Mutant("labels-bias-sum", "softmax-labels", "one leaf", after("gradient", leaf("b", lambda b: 8 * b))),
    Mutant("labels-bias-penalised", "softmax-labels", "one leaf", only("gradient", labels_penalised_bias)),
    Mutant("labels-bias-zero", "softmax-labels", "one leaf", after("gradient", leaf("b", jnp.zeros_like))),
    Mutant("kl-q-sign", "kl", "one leaf", after("gradient", leaf("q", lambda q: -q))),
    Mutant("kl-q-zero", "kl", "one leaf", after("gradient", leaf("q", jnp.zeros_like))),
    # Second order.
    # Precision and range.
    Mutant("softmax-bfloat-product", "softmax-loss", "dtype", only("gradient", bfloat_product)),
    Mutant("softmax-half-precision", "softmax-l2", "dtype", only("gradient", through(jnp.float16, zoo.l2_gradient))),
    Mutant("lse-naive", "logsumexp", "nonfinite", only("gradient", naive_lse_gradient), at_point(lambda x: x + 1000)),
    Mutant(
        "kl-naive",
        "kl",
        "nonfinite",
        only("gradient", naive_kl_gradient),
        at_point(lambda x: x | {"p": 1000 * x["p"]}),
    ),
    # Others.
    Mutant("softmax-orthogonal-error", "softmax-loss", "unnamed", only("gradient", orthogonal_error)),
    Mutant("softmax-wrong-axis", "softmax-loss", "unnamed", only("gradient", wrong_axis)),
    Mutant("labels-off-by-one", "softmax-labels", "unnamed", only("gradient", labels_off_by_one)),
    Mutant(
        "smoothing-hard",
        "label-smoothing",
        "unnamed",
        only(
            "gradient",
            lambda Z, k: (jax.nn.softmax(Z, axis=1) - jax.nn.one_hot(k, Z.shape[1], dtype=Z.dtype)) / Z.shape[0],
        ),
    ),
    Mutant(
        "softmax-map-not-centred",
        "softmax-map",
        "stop gradient",
        only("vjp", lambda z, ct, t: jax.nn.softmax(z / t) * ct / t),
    ),
    Mutant(
        "softmax-map-rank-one",
        "softmax-map",
        "unnamed",
        only(
            "jvp",
            lambda z, v, t: (
                zoo.softmax_map_jvp(z, v, t) - jax.nn.softmax(z / t) * jnp.dot(jax.nn.softmax(z / t), v) / t
            ),
        ),
    ),
    # Equal to the right rule, see EQUIVALENT.
    Mutant("softmax-centred", "softmax-loss", "gauge", after("gradient", lambda g: g - jnp.mean(g, axis=0))),
    Mutant(
        "labels-bias-centred", "softmax-labels", "one leaf", after("gradient", leaf("b", lambda b: b - jnp.mean(b)))
    ),
)

EQUIVALENT = {
    "softmax-centred": "S3: the gradient sums to 0 over the classes already, so the projection does nothing",
    "labels-bias-centred": "the gradient of the bias sums to 0 over the classes already (each row of Y − T does)",
}
