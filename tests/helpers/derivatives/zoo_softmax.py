"""Cases of the zoo around softmax: cross-entropy and its regularisers (S1–S4, S21), logsumexp, KL, the softmax map.

Weights are (C, D), inputs X (N, D), targets T (N, C), sample weights s (N,).
"""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives.zoo_case import Case, Example, normal, uniform


def softmax_loss(W, X, T, s):
    Z = X @ W.T
    return jnp.sum(s * (jax.nn.logsumexp(Z, axis=1) - jnp.sum(T * Z, axis=1)))


def softmax_gradient(W, X, T, s):
    """S2: (Y − T)ᵀ diag(s) X."""
    Y = jax.nn.softmax(X @ W.T, axis=1)
    return ((Y - T) * s[:, None]).T @ X


def softmax_value_and_gradient(W, X, T, s):
    return softmax_loss(W, X, T, s), softmax_gradient(W, X, T, s)


def softmax_hvp(W, V, X, T, s):
    """S4: (Y ∘ (U − ū))ᵀ diag(s) X."""
    Y = jax.nn.softmax(X @ W.T, axis=1)
    U = X @ V.T
    mean = jnp.sum(Y * U, axis=1, keepdims=True)
    return (Y * (U - mean) * s[:, None]).T @ X


def softmax_hessian(W, X, T, s):
    """S4: block (i, j) is Xᵀ diag(s ∘ (δ_ij y_i − y_i y_j)) X."""
    Y = jax.nn.softmax(X @ W.T, axis=1)
    C, D = W.shape
    S = Y[:, :, None] * (jnp.eye(C, dtype=Y.dtype) - Y[:, None, :])
    return jnp.einsum("n,nij,nd,ne->idje", s, S, X, X).reshape(C * D, C * D)


def l2_loss(W, X, T, s, alpha):
    return softmax_loss(W, X, T, s) + 0.5 * alpha * jnp.sum(W * W)


def l2_gradient(W, X, T, s, alpha):
    return softmax_gradient(W, X, T, s) + alpha * W


def l2_hvp(W, V, X, T, s, alpha):
    return softmax_hvp(W, V, X, T, s) + alpha * V


def l2_hessian(W, X, T, s, alpha):
    return softmax_hessian(W, X, T, s) + alpha * jnp.eye(W.size, dtype=W.dtype)


def logcosh_loss(W, X, T, s, alpha, gamma):
    return softmax_loss(W, X, T, s) + alpha / gamma * jnp.sum(jnp.logaddexp(gamma * W, -gamma * W))


def logcosh_gradient(W, X, T, s, alpha, gamma):
    """S21b: + α tanh(γW)."""
    return softmax_gradient(W, X, T, s) + alpha * jnp.tanh(gamma * W)


def logcosh_hvp(W, V, X, T, s, alpha, gamma):
    return softmax_hvp(W, V, X, T, s) + alpha * gamma * V / jnp.cosh(gamma * W) ** 2


def logcosh_hessian(W, X, T, s, alpha, gamma):
    return softmax_hessian(W, X, T, s) + jnp.diag(alpha * gamma / jnp.cosh(gamma * W.ravel()) ** 2)


def self_loss(W, X, T, s, gamma):
    """S21d: + Σ_d [lse(γ w_·d) − γ mean(w_·d)]."""
    extra = jax.nn.logsumexp(gamma * W, axis=0) - gamma * jnp.mean(W, axis=0)
    return softmax_loss(W, X, T, s) + jnp.sum(extra)


def self_gradient(W, X, T, s, gamma):
    return softmax_gradient(W, X, T, s) + gamma * (jax.nn.softmax(gamma * W, axis=0) - 1 / W.shape[0])


def self_hvp(W, V, X, T, s, gamma):
    P = jax.nn.softmax(gamma * W, axis=0)
    return softmax_hvp(W, V, X, T, s) + gamma**2 * P * (V - jnp.sum(P * V, axis=0))


def self_hessian(W, X, T, s, gamma):
    P = jax.nn.softmax(gamma * W, axis=0)
    C, D = W.shape
    S = P.T[:, :, None] * (jnp.eye(C, dtype=P.dtype) - P.T[:, None, :])  # (D, C, C)
    extra = jnp.einsum("dij,de->idje", S, jnp.eye(D, dtype=P.dtype)).reshape(C * D, C * D)
    return softmax_hessian(W, X, T, s) + gamma**2 * extra


def _weights_and_data(rng, dtype, N=9, C=4, D=5):
    T = rng.dirichlet(np.full(C, 0.5), N).astype(dtype)
    X = normal(rng, dtype, N, D)
    return normal(rng, dtype, C, D, scale=0.7), X, T, uniform(rng, dtype, 0.3, 3.0, N)


def _softmax(rng, dtype):
    W, *data = _weights_and_data(rng, dtype)
    rules = {
        "gradient": softmax_gradient,
        "value_and_gradient": softmax_value_and_gradient,
        "hvp": softmax_hvp,
        "hessian": softmax_hessian,
    }
    return Example(softmax_loss, W, tuple(data), rules)


def _l2(rng, dtype):
    W, *data = _weights_and_data(rng, dtype)
    rules = {"gradient": l2_gradient, "hvp": l2_hvp, "hessian": l2_hessian}
    return Example(l2_loss, W, (*data, dtype(0.7)), rules)


def _logcosh(rng, dtype):
    W, *data = _weights_and_data(rng, dtype)
    rules = {"gradient": logcosh_gradient, "hvp": logcosh_hvp, "hessian": logcosh_hessian}
    return Example(logcosh_loss, W, (*data, dtype(0.6), dtype(2.5)), rules)


def _self(rng, dtype):
    W, *data = _weights_and_data(rng, dtype)
    rules = {"gradient": self_gradient, "hvp": self_hvp, "hessian": self_hessian}
    return Example(self_loss, W, (*data, dtype(1.3)), rules)


def labels_loss(params, X, labels):
    """Mean cross-entropy of integer labels, with a bias that is not penalised and a ridge on the rest."""
    Z = X @ params["W"].T + params["b"]
    chosen = jnp.take_along_axis(Z, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(Z, axis=1) - chosen) + 0.05 * jnp.sum(params["W"] ** 2)


def labels_gradient(params, X, labels):
    Y = jax.nn.softmax(X @ params["W"].T + params["b"], axis=1)
    R = (Y - jax.nn.one_hot(labels, Y.shape[1], dtype=Y.dtype)) / X.shape[0]
    return {"W": R.T @ X + 0.1 * params["W"], "b": jnp.sum(R, axis=0)}


def _labels(rng, dtype):
    at = {"W": normal(rng, dtype, 3, 4), "b": normal(rng, dtype, 3)}
    args = (normal(rng, dtype, 8, 4), rng.integers(0, 3, 8).astype(np.int32))
    return Example(labels_loss, at, args, {"gradient": labels_gradient})


def smoothing_loss(Z, labels):
    """Label smoothing by ε = 0.1 as optax does it: targets (1 − ε) onehot + ε/C, mean over the samples."""
    T = 0.9 * jax.nn.one_hot(labels, Z.shape[1], dtype=Z.dtype) + 0.1 / Z.shape[1]
    return -jnp.mean(jnp.sum(T * jax.nn.log_softmax(Z, axis=1), axis=1))


def smoothing_gradient(Z, labels):
    T = 0.9 * jax.nn.one_hot(labels, Z.shape[1], dtype=Z.dtype) + 0.1 / Z.shape[1]
    return (jax.nn.softmax(Z, axis=1) - T) / Z.shape[0]


def _smoothing(rng, dtype):
    args = (rng.integers(0, 5, 7).astype(np.int32),)
    return Example(smoothing_loss, normal(rng, dtype, 7, 5), args, {"gradient": smoothing_gradient})


def masked_loss(Z, labels, mask):
    """Mean cross-entropy over the positions that are not padding."""
    losses = -jnp.take_along_axis(jax.nn.log_softmax(Z, axis=-1), labels[..., None], axis=-1)[..., 0]
    return jnp.sum(mask * losses) / jnp.sum(mask)


def masked_gradient(Z, labels, mask):
    R = jax.nn.softmax(Z, axis=-1) - jax.nn.one_hot(labels, Z.shape[-1], dtype=Z.dtype)
    return R * (mask / jnp.sum(mask))[..., None]


def _masked(rng, dtype):
    mask = np.arange(5) < np.asarray([[5], [3], [2]])
    args = (rng.integers(0, 4, (3, 5)).astype(np.int32), mask.astype(dtype))
    return Example(masked_loss, normal(rng, dtype, 3, 5, 4), args, {"gradient": masked_gradient})


def lse(x):
    return jax.nn.logsumexp(x)


def lse_gradient(x):
    return jax.nn.softmax(x)


def lse_hvp(x, v):
    y = jax.nn.softmax(x)
    return y * (v - y @ v)


def lse_hessian(x):
    y = jax.nn.softmax(x)
    return jnp.diag(y) - jnp.outer(y, y)


def _lse(rng, dtype):
    rules = {"gradient": lse_gradient, "hvp": lse_hvp, "hessian": lse_hessian}
    return Example(lse, normal(rng, dtype, 12, scale=3.0), (), rules)


def kl(x):
    """KL(softmax(p) ‖ softmax(q)) of the two leaves."""
    log_p, log_q = jax.nn.log_softmax(x["p"]), jax.nn.log_softmax(x["q"])
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q))


def kl_gradient(x):
    log_p, log_q = jax.nn.log_softmax(x["p"]), jax.nn.log_softmax(x["q"])
    P, Q = jnp.exp(log_p), jnp.exp(log_q)
    ratio = log_p - log_q
    return {"p": P * (ratio - jnp.sum(P * ratio)), "q": Q - P}


def _kl(rng, dtype):
    return Example(kl, {"p": normal(rng, dtype, 6), "q": normal(rng, dtype, 6)}, (), {"gradient": kl_gradient})


def softmax_map(z, temperature):
    return jax.nn.softmax(z / temperature)


def softmax_map_jvp(z, v, temperature):
    y = jax.nn.softmax(z / temperature)
    return y * (v - jnp.sum(y * v)) / temperature


def softmax_map_vjp(z, ct, temperature):
    y = jax.nn.softmax(z / temperature)
    return y * (ct - jnp.sum(y * ct)) / temperature


def _softmax_map(rng, dtype):
    rules = {"jvp": softmax_map_jvp, "vjp": softmax_map_vjp}
    return Example(softmax_map, normal(rng, dtype, 7), (dtype(1.7),), rules)


CASES = (
    Case("softmax-loss", _softmax),
    Case("softmax-l2", _l2),
    Case("softmax-logcosh", _logcosh),
    Case("softmax-self", _self),
    Case("softmax-labels", _labels),
    Case("label-smoothing", _smoothing),
    Case("masked-loss", _masked),
    Case("logsumexp", _lse),
    Case("kl", _kl),
    Case("softmax-map", _softmax_map),
)
