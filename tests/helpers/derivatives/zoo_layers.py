"""Cases of the zoo from neural networks: attention, normalisations, nested parameters, recurrence, convolution.

Two cases carry their own custom rule (embedding: custom_vjp with integer inputs; softsign: custom_jvp).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives.zoo_case import Case, Example, away_from, normal

EPS = 1e-3  # of the normalisations: large enough that leaving it out of a derivative is visible


def attention(x, c):
    """c · Σ_j softmax(k q/√d)_j v_j."""
    weights = jax.nn.softmax(x["k"] @ x["q"] / math.sqrt(x["q"].shape[0]))
    return jnp.dot(c, weights @ x["v"])


def attention_gradient(x, c):
    root = math.sqrt(x["q"].shape[0])
    a = jax.nn.softmax(x["k"] @ x["q"] / root)
    g = x["v"] @ c
    ds = a * (g - jnp.dot(a, g)) / root
    return {"q": x["k"].T @ ds, "k": jnp.outer(ds, x["q"]), "v": jnp.outer(a, c)}


def _attention(rng, dtype):
    at = {"q": normal(rng, dtype, 4), "k": normal(rng, dtype, 6, 4), "v": normal(rng, dtype, 6, 3)}
    return Example(attention, at, (normal(rng, dtype, 3),), {"gradient": attention_gradient})


def layer_norm(x):
    d = x - jnp.mean(x, axis=-1, keepdims=True)
    return d / jnp.sqrt(jnp.mean(d * d, axis=-1, keepdims=True) + EPS)


def layer_norm_vjp(x, ct):
    d = x - jnp.mean(x, axis=-1, keepdims=True)
    inverse = 1 / jnp.sqrt(jnp.mean(d * d, axis=-1, keepdims=True) + EPS)
    y = d * inverse
    return inverse * (ct - jnp.mean(ct, axis=-1, keepdims=True) - y * jnp.mean(ct * y, axis=-1, keepdims=True))


def layer_norm_jvp(x, v):
    d = x - jnp.mean(x, axis=-1, keepdims=True)
    inverse = 1 / jnp.sqrt(jnp.mean(d * d, axis=-1, keepdims=True) + EPS)
    y = d * inverse
    u = v - jnp.mean(v, axis=-1, keepdims=True)
    return inverse * (u - y * jnp.mean(u * y, axis=-1, keepdims=True))


def _layer_norm(rng, dtype):
    rules = {"jvp": layer_norm_jvp, "vjp": layer_norm_vjp}
    return Example(layer_norm, normal(rng, dtype, 3, 6, scale=1.5, shift=0.5), (), rules)


def norm_score(params, c):
    """The scalar Σ c ∘ (scale ∘ LN(x) + bias)."""
    return jnp.sum(c * (params["scale"] * layer_norm(params["x"]) + params["bias"]))


def norm_score_gradient(params, c):
    y = layer_norm(params["x"])
    return {
        "x": layer_norm_vjp(params["x"], c * params["scale"]),
        "scale": jnp.sum(c * y, axis=0),
        "bias": jnp.sum(c, axis=0),
    }


def _norm_score(rng, dtype):
    at = {"x": normal(rng, dtype, 4, 6), "scale": normal(rng, dtype, 6), "bias": normal(rng, dtype, 6)}
    return Example(norm_score, at, (normal(rng, dtype, 4, 6),), {"gradient": norm_score_gradient})


def rms_norm(x, scale):
    return scale * x / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPS)


def rms_norm_vjp(x, ct, scale):
    inverse = 1 / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPS)
    g, y = ct * scale, x * inverse
    return inverse * (g - y * jnp.mean(g * y, axis=-1, keepdims=True))


def _rms_norm(rng, dtype):
    args = (normal(rng, dtype, 6, scale=0.3, shift=1.0),)
    return Example(rms_norm, normal(rng, dtype, 3, 6), args, {"vjp": rms_norm_vjp})


@jax.custom_vjp
def lookup(table, ids):
    return table[ids]


def _lookup_forward(table, ids):
    return table[ids], (ids, table.shape)


def _lookup_backward(kept, ct):
    ids, shape = kept
    return jnp.zeros(shape, ct.dtype).at[ids].add(ct), np.zeros(ids.shape, jax.dtypes.float0)


lookup.defvjp(_lookup_forward, _lookup_backward)


def embedding(table, ids, target):
    """Squared distance of the looked-up rows to a target; ids repeat. The rule is the custom one of `lookup`."""
    E = lookup(table, ids) - target
    return 0.5 * jnp.sum(E * E)


def _embedding(rng, dtype):
    ids = np.append(rng.integers(0, 8, 6), [3, 3, 5]).astype(np.int32)
    return Example(embedding, normal(rng, dtype, 8, 3), (ids, normal(rng, dtype, 9, 3)), {})


@jax.custom_jvp
def softsign(x):
    return x / (1 + jnp.abs(x))


@softsign.defjvp
def _softsign_jvp(primals, tangents):
    (x,), (v,) = primals, tangents
    return softsign(x), v / (1 + jnp.abs(x)) ** 2


def softsign_energy(x, c):
    """Σ c softsign(x)²; the rule is the custom one of `softsign`."""
    y = softsign(x)
    return jnp.sum(c * y * y)


def _softsign(rng, dtype):
    return Example(softsign_energy, away_from(rng, dtype, 10), (normal(rng, dtype, 10),), {})


class Dense(NamedTuple):
    """One layer's parameters."""

    W: jax.Array
    b: jax.Array


def network(params, x, y):
    """A two-layer relu network with a scalar gain: nested dict, list, namedtuple and tuple."""
    first, second = params["layers"]
    hidden = jax.nn.relu(x @ first.W + first.b)
    out = params["head"][0] * (hidden @ second.W + second.b)
    return 0.5 * jnp.mean(jnp.sum((out - y) ** 2, axis=1))


def network_gradient(params, x, y):
    first, second = params["layers"]
    gain = params["head"][0]
    before = x @ first.W + first.b
    hidden = jnp.maximum(before, 0)
    linear = hidden @ second.W + second.b
    d_out = (gain * linear - y) / x.shape[0]
    d_linear = gain * d_out
    d_before = (d_linear @ second.W.T) * (before > 0)
    layers = [
        Dense(x.T @ d_before, jnp.sum(d_before, axis=0)),
        Dense(hidden.T @ d_linear, jnp.sum(d_linear, axis=0)),
    ]
    return {"layers": layers, "head": (jnp.sum(d_out * linear),)}


def _network(rng, dtype):
    first = Dense(normal(rng, dtype, 3, 4), normal(rng, dtype, 4))
    x = normal(rng, dtype, 5, 3)
    before = x.astype(np.float64) @ first.W + first.b
    x[np.abs(before).min(axis=1) < 1e-3] = 1.0  # a unit this close to its kink is another test's subject
    second = Dense(normal(rng, dtype, 4, 2), normal(rng, dtype, 2))
    at = {"layers": [first, second], "head": (normal(rng, dtype, shift=1.0),)}
    return Example(network, at, (x, normal(rng, dtype, 5, 2)), {"gradient": network_gradient})


def recurrent(params, xs, target):
    """½ |h_T − target|² of h_t = tanh(A h_{t−1} + B x_t), by scan."""

    def step(h, x):
        return jnp.tanh(params["A"] @ h + params["B"] @ x), None

    h, _ = jax.lax.scan(step, jnp.zeros(target.shape, xs.dtype), xs)
    return 0.5 * jnp.sum((h - target) ** 2)


def recurrent_gradient(params, xs, target):
    """Backpropagation through time."""

    def forward(h, x):
        new = jnp.tanh(params["A"] @ h + params["B"] @ x)
        return new, (h, new)

    last, (before, after) = jax.lax.scan(forward, jnp.zeros(target.shape, xs.dtype), xs)

    def backward(carry, kept):
        dh, dA, dB = carry
        h, new, x = kept
        dz = dh * (1 - new * new)
        return (params["A"].T @ dz, dA + jnp.outer(dz, h), dB + jnp.outer(dz, x)), None

    start = (last - target, jnp.zeros_like(params["A"]), jnp.zeros_like(params["B"]))
    (_, dA, dB), _ = jax.lax.scan(backward, start, (before, after, xs), reverse=True)
    return {"A": dA, "B": dB}


def _recurrent(rng, dtype):
    at = {"A": normal(rng, dtype, 3, 3, scale=0.7), "B": normal(rng, dtype, 3, 2)}
    return Example(recurrent, at, (normal(rng, dtype, 6, 2), normal(rng, dtype, 3)), {"gradient": recurrent_gradient})


def convolution(h, x, y):
    """½ |h ∗ x − y|² with the 'valid' part of the convolution."""
    r = jnp.convolve(x, h, mode="valid") - y
    return 0.5 * jnp.sum(r * r)


def convolution_gradient(h, x, y):
    """∂/∂h_k = Σ_i r_i x_{i + K − 1 − k}."""
    r = jnp.convolve(x, h, mode="valid") - y
    return jnp.convolve(x[::-1], r, mode="valid")


def _convolution(rng, dtype):
    args = (normal(rng, dtype, 12), normal(rng, dtype, 9))
    return Example(convolution, normal(rng, dtype, 4), args, {"gradient": convolution_gradient})


def circulant(h, x, y):
    """½ |C(h) x − y|² with the circulant matrix of h, written with rolls."""
    r = sum(h[k] * jnp.roll(x, k) for k in range(h.shape[0])) - y
    return 0.5 * jnp.sum(r * r)


def circulant_gradient(h, x, y):
    rolled = jnp.stack([jnp.roll(x, k) for k in range(h.shape[0])])
    return rolled @ (h @ rolled - y)


def _circulant(rng, dtype):
    args = (normal(rng, dtype, 8), normal(rng, dtype, 8))
    return Example(circulant, normal(rng, dtype, 5), args, {"gradient": circulant_gradient})


def normalise(x):
    return x / jnp.linalg.norm(x)


def normalise_jvp(x, v):
    size = jnp.linalg.norm(x)
    y = x / size
    return (v - y * jnp.dot(y, v)) / size


def _normalise(rng, dtype):
    rules = {"jvp": normalise_jvp, "vjp": normalise_jvp}  # the Jacobian is symmetric
    return Example(normalise, normal(rng, dtype, 5), (), rules)


def cosine(x):
    return jnp.dot(x["a"], x["b"]) / (jnp.linalg.norm(x["a"]) * jnp.linalg.norm(x["b"]))


def cosine_gradient(x):
    size_a, size_b = jnp.linalg.norm(x["a"]), jnp.linalg.norm(x["b"])
    a, b = x["a"] / size_a, x["b"] / size_b
    c = jnp.dot(a, b)
    return {"a": (b - c * a) / size_a, "b": (a - c * b) / size_b}


def _cosine(rng, dtype):
    return Example(cosine, {"a": normal(rng, dtype, 6), "b": normal(rng, dtype, 6)}, (), {"gradient": cosine_gradient})


def max_pool(x, c):
    """Σ c ∘ (maximum of each row)."""
    return jnp.dot(c, jnp.max(x, axis=1))


def max_pool_gradient(x, c):
    return c[:, None] * (jnp.arange(x.shape[1]) == jnp.argmax(x, axis=1)[:, None])


def _max_pool(rng, dtype):
    x = (rng.permuted(np.tile(np.arange(5.0), (4, 1)), axis=1) + 0.3 * rng.uniform(size=(4, 5))).astype(dtype)
    return Example(max_pool, x, (normal(rng, dtype, 4),), {"gradient": max_pool_gradient})


CASES = (
    Case("attention", _attention),
    Case("layer-norm", _layer_norm),
    Case("layer-norm-score", _norm_score),
    Case("rms-norm", _rms_norm),
    Case("embedding", _embedding),
    Case("softsign", _softsign),
    Case("network", _network),
    Case("recurrent", _recurrent),
    Case("convolution", _convolution),
    Case("circulant", _circulant),
    Case("normalise", _normalise),
    Case("cosine", _cosine),
    Case("max-pool", _max_pool),
)
