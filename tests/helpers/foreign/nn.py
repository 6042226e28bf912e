"""Activations and the like of `jax.nn`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from helpers.foreign.case import apart, case, normal, simplex

X = [-3.1, -1.2, -0.4, 0.3, 0.9, 2.7]
FAR = [-90.0, -30.0, -8.5, 8.5, 30.0, 90.0]
nn = jax.nn

CASES = [
    case("jax.nn.relu", nn.relu, X, vector=True),
    case("jax.nn.relu at 0", nn.relu, [-1.0, 0.0, 2.0], note="a kink: 0 by JAX's custom rule"),
    case("jax.nn.relu6", nn.relu6, [-3.1, 0.3, 5.5, 6.7]),
    case("jax.nn.sigmoid", nn.sigmoid, X, vector=True),
    case("jax.nn.sigmoid far out", nn.sigmoid, FAR[1:-1]),
    case("jax.nn.log_sigmoid", nn.log_sigmoid, X),
    case("jax.nn.log_sigmoid far out", nn.log_sigmoid, FAR),
    case("jax.nn.softplus", nn.softplus, X),
    case("jax.nn.softplus far out", nn.softplus, FAR),
    case("jax.nn.softplus at 0", nn.softplus, [0.0], note="no kink: logaddexp's own tie"),
    case("jax.nn.sparse_plus", nn.sparse_plus, [-2.0, -0.5, 0.5, 1.5]),
    case("jax.nn.sparse_sigmoid", nn.sparse_sigmoid, [-2.0, -0.5, 0.5, 1.5]),
    case("jax.nn.soft_sign", nn.soft_sign, X, vector=True),
    case("jax.nn.silu", nn.silu, X, vector=True),
    case("jax.nn.silu far out", nn.silu, FAR[1:-1]),
    case("jax.nn.mish", nn.mish, X),
    case("jax.nn.mish far out", nn.mish, FAR[1:-1]),
    case("jax.nn.gelu", nn.gelu, X),
    case("jax.nn.gelu, erf", lambda x: nn.gelu(x, approximate=False), X, vector=True),
    case("jax.nn.elu", nn.elu, X),
    case("jax.nn.elu, large negative", lambda x: nn.elu(x, alpha=0.5), [-40.0, -12.0, 3.0]),
    case("jax.nn.selu", nn.selu, X),
    case("jax.nn.celu", lambda x: nn.celu(x, 1.5), X, vector=True),
    case("jax.nn.leaky_relu", nn.leaky_relu, X),
    case("jax.nn.hard_tanh", nn.hard_tanh, [-1.5, -0.5, 0.4, 1.2]),
    case("jax.nn.hard_sigmoid", nn.hard_sigmoid, X),
    case("jax.nn.hard_silu", nn.hard_silu, X),
    case("jax.nn.squareplus", nn.squareplus, X),
    case("jax.nn.squareplus of x and b", nn.squareplus, X, 2.5),
    case("jax.nn.glu", nn.glu, normal(3, 6), vector=True),
    case("jax.nn.softmax", nn.softmax, normal(3, 4), vector=True),
    case("jax.nn.softmax, large logits", nn.softmax, normal(2, 5, scale=20.0, shift=1e3)),
    case(
        "jax.nn.softmax, where",
        lambda x, m: nn.softmax(x, where=m),
        normal(2, 4),
        args=([[True, True, False, True]] * 2,),
    ),
    case("jax.nn.log_softmax", nn.log_softmax, normal(3, 4)),
    case("jax.nn.log_softmax, a sure class", nn.log_softmax, [[60.0, 0.5, -60.0], [1.0, -2.0, 0.0]], vector=True),
    case("jax.nn.logsumexp", nn.logsumexp, normal(3, 4)),
    case("jax.nn.logsumexp, ties", nn.logsumexp, [1.0, 1.0, 1.0, -2.0]),
    case("jax.nn.logmeanexp", lambda x: nn.logmeanexp(x, axis=1), normal(3, 4)),
    case("jax.nn.log1mexp", nn.log1mexp, [0.02, 0.5, 0.69, 0.7, 3.0, 25.0]),
    case("jax.nn.standardize", nn.standardize, normal(2, 5), vector=True),
    case("jax.nn.dot_product_attention", nn.dot_product_attention, *[normal(1, 2, 2, 2)] * 3),
    case(
        "jax.nn.dot_product_attention, causal",
        lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
        *[normal(1, 3, 1, 3)] * 3,
        vector=True,
    ),
    case(
        "cross-entropy by jax.nn.one_hot and log_softmax",
        lambda z, t: -jnp.mean(jnp.sum(nn.one_hot(t, 4) * nn.log_softmax(z), axis=-1)),
        normal(3, 4),
        args=([0, 3, 1],),
    ),
    case(
        "cross-entropy by indexing a log_softmax",
        lambda z, t: -jnp.sum(nn.log_softmax(z)[jnp.arange(3), t]),
        normal(3, 4),
        args=([2, 0, 1],),
    ),
    case(
        "a two-layer perceptron of jax.nn.gelu",
        lambda p, x: nn.gelu(x @ p["W"] + p["b"]) @ p["V"],
        {"W": normal(3, 4), "b": normal(4), "V": normal(4, 2)},
        args=(normal(2, 3),),
    ),
    case(
        "distillation by jax.nn.softmax at a temperature",
        lambda z, p: -jnp.sum(p * nn.log_softmax(z / 2.0)),
        normal(2, 5),
        args=(simplex(2, 5),),
    ),
    case("jax.nn.hard_tanh at its corner", nn.hard_tanh, [-1.0, 0.5, 1.0], note="a kink"),
    case("jax.nn.leaky_relu at 0", nn.leaky_relu, [0.0, -1.0], note="a kink: the slope of the right side"),
    case("maxout by jnp.max", lambda x: jnp.max(x.reshape(2, 3, 2), axis=1), apart(12), vector=True),
]
