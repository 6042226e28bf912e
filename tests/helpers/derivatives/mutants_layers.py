"""Wrong rules of the neural layers of the zoo."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives import zoo_layers as zoo
from helpers.derivatives.mutants_case import Mutant, after, at_point, leaf, only, through, times, with_fun


def norm_parts(x, eps):
    d = x - jnp.mean(x, axis=-1, keepdims=True)
    inverse = 1 / jnp.sqrt(jnp.mean(d * d, axis=-1, keepdims=True) + eps)
    return d * inverse, inverse


def norm_no_mean(x, ct):
    y, inverse = norm_parts(x, zoo.EPS)
    return inverse * (ct - y * jnp.mean(ct * y, axis=-1, keepdims=True))


def norm_constant_deviation(x, ct):
    _, inverse = norm_parts(x, zoo.EPS)
    return inverse * (ct - jnp.mean(ct, axis=-1, keepdims=True))


def norm_constant_statistics(x, ct):
    _, inverse = norm_parts(x, zoo.EPS)
    return inverse * ct


def norm_without_epsilon(x, ct):
    y, inverse = norm_parts(x, 0.0)
    return inverse * (ct - jnp.mean(ct, axis=-1, keepdims=True) - y * jnp.mean(ct * y, axis=-1, keepdims=True))


def rms_constant(x, ct, scale):
    return ct * scale / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + zoo.EPS)


def score_with(vjp):
    """The gradient of the layer norm's score with another backward pass."""

    def gradient(params, c):
        g = zoo.norm_score_gradient(params, c)
        return g | {"x": vjp(params["x"], c * params["scale"])}

    return gradient


def attention_constant_weights(x, c):
    g = zoo.attention_gradient(x, c)
    return g | {"q": jnp.zeros_like(g["q"]), "k": jnp.zeros_like(g["k"])}


def attention_key_reshaped(x, c):
    g = zoo.attention_gradient(x, c)
    return g | {"k": g["k"].T.reshape(g["k"].shape)}


def attention_naive(x, c):
    """exp without the shift by the maximum."""
    root = math.sqrt(x["q"].shape[0])
    e = jnp.exp(x["k"] @ x["q"] / root)
    a = e / jnp.sum(e)
    g = x["v"] @ c
    ds = a * (g - jnp.dot(a, g)) / root
    return {"q": x["k"].T @ ds, "k": jnp.outer(ds, x["q"]), "v": jnp.outer(a, c)}


def attention_uncentred(x, c):
    root = math.sqrt(x["q"].shape[0])
    a = jax.nn.softmax(x["k"] @ x["q"] / root)
    ds = a * (x["v"] @ c) / root
    return {"q": x["k"].T @ ds, "k": jnp.outer(ds, x["q"]), "v": jnp.outer(a, c)}


def lookup_with(backward):
    """The embedding's loss around a lookup with another backward pass."""

    @jax.custom_vjp
    def lookup(table, ids):
        return table[ids]

    def pulled(kept, ct):
        ids, shape = kept
        return backward(jnp.zeros(shape, ct.dtype), ids, ct), np.zeros(ids.shape, jax.dtypes.float0)

    lookup.defvjp(lambda table, ids: (table[ids], (ids, table.shape)), pulled)

    def embedding(table, ids, target):
        E = lookup(table, ids) - target
        return 0.5 * jnp.sum(E * E)

    return embedding


def softsign_with(slope):
    """The softsign's energy around a softsign with another custom derivative."""

    @jax.custom_jvp
    def softsign(x):
        return x / (1 + jnp.abs(x))

    @softsign.defjvp
    def _rule(primals, tangents):
        (x,), (v,) = primals, tangents
        return softsign(x), slope(x) * v

    return lambda x, c: jnp.sum(c * softsign(x) ** 2)


def own_rule(example):
    """No hand rule: the function carries its own."""
    return {}


def network_with(active, gain=None):
    """The network's gradient with another derivative of relu, and another gain in the backward pass."""

    def gradient(params, x, y):
        first, second = params["layers"]
        head = params["head"][0]
        before = x @ first.W + first.b
        hidden = jnp.maximum(before, 0)
        linear = hidden @ second.W + second.b
        d_out = (head * linear - y) / x.shape[0]
        d_linear = (head if gain is None else gain) * d_out
        d_before = (d_linear @ second.W.T) * active(before)
        layers = [
            zoo.Dense(x.T @ d_before, jnp.sum(d_before, axis=0)),
            zoo.Dense(hidden.T @ d_linear, jnp.sum(d_linear, axis=0)),
        ]
        return {"layers": layers, "head": (jnp.sum(d_out * linear),)}

    return gradient


def network_at_kink(example):
    """All inputs 0 for the first sample and one bias 0: that unit sits exactly at the kink."""
    first, second = example.at["layers"]
    b = first.b.copy()
    b[1] = 0
    x = example.args[0].copy()
    x[0] = 0
    at = example.at | {"layers": [zoo.Dense(first.W, b), second]}
    return replace(example, at=at, args=(x, example.args[1]))


def first_layer(edit):
    """An edit of the first layer's gradient."""
    return leaf("layers", lambda layers: [edit(layers[0]), layers[1]])


def backpropagation(drop=0, horizon=None, detach_square=False, shift=0):
    """Backpropagation through time with a fault.

    The last `drop` or all but the last `horizon` steps add nothing to the sums; tanh' is 1 − h instead of 1 − h²;
    the inputs are those of `shift` steps earlier.
    """

    def gradient(params, xs, target):
        A, B = params["A"], params["B"]
        states = [jnp.zeros(target.shape, xs.dtype)]
        for x in xs:
            states.append(jnp.tanh(A @ states[-1] + B @ x))
        dh, dA, dB, T = states[-1] - target, jnp.zeros_like(A), jnp.zeros_like(B), len(xs)
        for t in reversed(range(T)):
            new = states[t + 1]
            dz = dh * (1 - (new if detach_square else new * new))
            if t < T - drop and (horizon is None or t >= T - horizon):
                dA, dB = dA + jnp.outer(dz, states[t]), dB + jnp.outer(dz, xs[t - shift])
            dh = A.T @ dz
        return {"A": dA, "B": dB}

    return gradient


def off_by_one_convolution(h, x, y):
    r = jnp.convolve(x, h, mode="valid") - y
    return jnp.convolve(jnp.roll(x, 1)[::-1], r, mode="valid")


def tied_pool(x):
    x[0, :2] = x[0].max() + 1
    return x


def nearly_tied_pool(x):
    x[1, 0], x[1, 1] = 8, 8 + 2.0**-19
    return x


def tolerant_pool_gradient(x, c):
    """Everything within 1e-5 of the maximum shares the derivative."""
    top = x >= jnp.max(x, axis=1, keepdims=True) - 1e-5
    return c[:, None] * top / jnp.sum(top, axis=1, keepdims=True)


def constant_rows(x):
    x[1] = 2.0
    return x


def unprojected(x, v):
    return v / jnp.linalg.norm(x)


def over_projected(x, v):
    y = x / jnp.linalg.norm(x)
    return (v - 2 * y * jnp.dot(y, v)) / jnp.linalg.norm(x)


def cosine_unprojected(x):
    g = zoo.cosine_gradient(x)
    return g | {"a": x["b"] / (jnp.linalg.norm(x["a"]) * jnp.linalg.norm(x["b"]))}


MUTANTS = (
    # Attention.
    Mutant("attention-negative", "attention", "constant factor", after("gradient", times(-1.0))),
    Mutant("attention-key-no-root", "attention", "one leaf", after("gradient", leaf("k", lambda k: 2 * k))),
    Mutant("attention-value-zero", "attention", "one leaf", after("gradient", leaf("v", jnp.zeros_like))),
    Mutant("attention-constant-weights", "attention", "stop gradient", only("gradient", attention_constant_weights)),
    Mutant("attention-key-reshaped", "attention", "transpose", only("gradient", attention_key_reshaped)),
    Mutant("attention-uncentred", "attention", "stop gradient", only("gradient", attention_uncentred)),
    Mutant("attention-bfloat", "attention", "dtype", only("gradient", through(jnp.bfloat16, zoo.attention_gradient))),
    Mutant(
        "attention-naive",
        "attention",
        "nonfinite",
        only("gradient", attention_naive),
        at_point(lambda x: x | {"q": 4000 * x["q"]}),
    ),
    # Normalisations.
    Mutant("layer-norm-no-mean", "layer-norm", "gauge", only("vjp", norm_no_mean)),
    Mutant("layer-norm-score-no-mean", "layer-norm-score", "gauge", only("gradient", score_with(norm_no_mean))),
    Mutant("layer-norm-constant-deviation", "layer-norm", "stop gradient", only("vjp", norm_constant_deviation)),
    Mutant(
        "layer-norm-constant-statistics",
        "layer-norm-score",
        "stop gradient",
        only("gradient", score_with(norm_constant_statistics)),
    ),
    Mutant("layer-norm-no-epsilon", "layer-norm", "unnamed", only("vjp", norm_without_epsilon)),
    Mutant(
        "layer-norm-constant-row", "layer-norm", "nonfinite", only("vjp", norm_without_epsilon), at_point(constant_rows)
    ),
    Mutant(
        "layer-norm-scale-input",
        "layer-norm-score",
        "one leaf",
        only("gradient", lambda p, c: zoo.norm_score_gradient(p, c) | {"scale": jnp.sum(c * p["x"], axis=0)}),
    ),
    Mutant(
        "layer-norm-bias-mean",
        "layer-norm-score",
        "one leaf",
        only("gradient", lambda p, c: zoo.norm_score_gradient(p, c) | {"bias": jnp.mean(c, axis=0)}),
    ),
    Mutant("layer-norm-half-precision", "layer-norm", "dtype", only("vjp", through(jnp.float16, zoo.layer_norm_vjp))),
    Mutant("rms-norm-constant", "rms-norm", "stop gradient", only("vjp", rms_constant)),
    Mutant(
        "rms-norm-no-scale",
        "rms-norm",
        "unnamed",
        only("vjp", lambda x, ct, scale: zoo.rms_norm_vjp(x, ct, jnp.ones_like(scale))),
    ),
    Mutant("normalise-unprojected", "normalise", "stop gradient", only("jvp", unprojected)),
    Mutant("normalise-reflected", "normalise", "unnamed", only("vjp", over_projected)),
    Mutant("cosine-unprojected", "cosine", "one leaf", only("gradient", cosine_unprojected)),
    Mutant(
        "cosine-swapped",
        "cosine",
        "unnamed",
        only("gradient", lambda x: {"a": zoo.cosine_gradient(x)["b"], "b": zoo.cosine_gradient(x)["a"]}),
    ),
    # Functions with their own rules.
    Mutant(
        "embedding-set",
        "embedding",
        "unnamed",
        own_rule,
        with_fun(lookup_with(lambda zero, ids, ct: zero.at[ids].set(ct))),
    ),
    Mutant(
        "embedding-mean",
        "embedding",
        "constant factor",
        own_rule,
        with_fun(lookup_with(lambda zero, ids, ct: zero.at[ids].add(ct / ids.shape[0]))),
    ),
    Mutant(
        "embedding-padding",
        "embedding",
        "row",
        own_rule,
        with_fun(lookup_with(lambda zero, ids, ct: zero.at[ids].add(ct).at[3].set(0))),
    ),
    Mutant(
        "embedding-off-by-one",
        "embedding",
        "shift",
        own_rule,
        with_fun(lookup_with(lambda zero, ids, ct: zero.at[(ids + 1) % 8].add(ct))),
    ),
    Mutant(
        "softsign-half",
        "softsign",
        "constant factor",
        own_rule,
        with_fun(softsign_with(lambda x: 0.5 / (1 + jnp.abs(x)) ** 2)),
    ),
    Mutant(
        "softsign-no-square", "softsign", "unnamed", own_rule, with_fun(softsign_with(lambda x: 1 / (1 + jnp.abs(x))))
    ),
    # The network.
    Mutant(
        "network-relu-at-zero", "network", "kink", only("gradient", network_with(lambda z: z >= 0)), network_at_kink
    ),
    Mutant("network-no-relu", "network", "unnamed", only("gradient", network_with(jnp.ones_like))),
    Mutant("network-no-gain", "network", "unnamed", only("gradient", network_with(lambda z: z > 0, gain=1.0))),
    Mutant(
        "network-first-bias-mean",
        "network",
        "one leaf",
        after("gradient", first_layer(lambda d: zoo.Dense(d.W, d.b / 5))),
    ),
    Mutant(
        "network-first-weights-zero",
        "network",
        "one leaf",
        after("gradient", first_layer(lambda d: zoo.Dense(jnp.zeros_like(d.W), d.b))),
    ),
    Mutant("network-head-sign", "network", "one leaf", after("gradient", leaf("head", lambda head: (-head[0],)))),
    Mutant("network-sum", "network", "constant factor", after("gradient", times(5.0))),
    Mutant(
        "network-unit", "network", "row", after("gradient", first_layer(lambda d: zoo.Dense(d.W.at[2].set(0), d.b)))
    ),
    # Recurrence.
    Mutant("recurrent-dropped-step", "recurrent", "unnamed", only("gradient", backpropagation(drop=1))),
    Mutant("recurrent-truncated", "recurrent", "stop gradient", only("gradient", backpropagation(horizon=1))),
    Mutant("recurrent-tanh", "recurrent", "unnamed", only("gradient", backpropagation(detach_square=True))),
    Mutant("recurrent-inputs-late", "recurrent", "one leaf", only("gradient", backpropagation(shift=1))),
    Mutant("recurrent-transposed", "recurrent", "transpose", after("gradient", leaf("A", jnp.transpose))),
    Mutant("recurrent-inputs-zero", "recurrent", "one leaf", after("gradient", leaf("B", jnp.zeros_like))),
    # Convolution and pooling.
    Mutant("convolution-flipped", "convolution", "permutation", after("gradient", lambda g: g[::-1])),
    Mutant("convolution-off-by-one", "convolution", "shift", only("gradient", off_by_one_convolution)),
    Mutant(
        "convolution-no-target",
        "convolution",
        "wrong term",
        only("gradient", lambda h, x, y: zoo.convolution_gradient(h, x, 0 * y)),
    ),
    Mutant("circulant-rolled", "circulant", "shift", after("gradient", lambda g: jnp.roll(g, 1))),
    Mutant("circulant-first-doubled", "circulant", "entry", after("gradient", lambda g: g.at[0].multiply(2))),
    Mutant(
        "circulant-transposed",
        "circulant",
        "unnamed",
        only("gradient", lambda h, x, y: zoo.circulant_gradient(h, x[::-1], y)),
    ),
    Mutant("max-pool-tie", "max-pool", "kink", only("gradient", zoo.max_pool_gradient), at_point(tied_pool)),
    Mutant(
        "max-pool-near-tie", "max-pool", "kink", only("gradient", tolerant_pool_gradient), at_point(nearly_tied_pool)
    ),
    Mutant(
        "max-pool-unweighted",
        "max-pool",
        "sample weight",
        only("gradient", lambda x, c: zoo.max_pool_gradient(x, jnp.ones_like(c))),
    ),
    Mutant(
        "max-pool-everything",
        "max-pool",
        "unnamed",
        only("gradient", lambda x, c: c[:, None] * jnp.ones_like(x) / x.shape[1]),
    ),
)

EQUIVALENT: dict[str, str] = {}
