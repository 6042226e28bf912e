"""Seeded bugs: right for one sample and wrong for a batch; a sum for a mean and other normalisations."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import BATCH, MEAN, hand, normal, own_jvp, own_vjp, positive, seeded, spd, square

CASES = []


@seeded(CASES, BATCH, "softmax: ct·p summed over the batch")
def _(rng, dtype):
    def pull(bug):
        def rule(z, ct):
            p = jax.nn.softmax(z, -1)
            return (p * (ct - (jnp.vdot(ct, p) if bug else jnp.sum(ct * p, -1, keepdims=True))),)

        return rule

    return own_vjp(lambda z: jax.nn.softmax(z, -1), normal(rng, dtype, 3, 4), pull, "wrong term", "gauge")


@seeded(CASES, BATCH, "layer norm: means of the cotangent over the batch too")
def _(rng, dtype):
    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)

    def pull(bug):
        def mean(a):
            return jnp.mean(a) if bug else a.mean(-1, keepdims=True)

        def rule(x, ct):
            y = norm(x)
            return ((ct - mean(ct) - y * mean(ct * y)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5),)

        return rule

    return own_vjp(norm, normal(rng, dtype, 3, 5), pull, "wrong term", "gauge")


@seeded(CASES, BATCH, "logsumexp of rows: softmax over the whole array in the gradient")
def _(rng, dtype):
    return hand(
        lambda z: jnp.sum(jax.nn.logsumexp(z, -1)),
        normal(rng, dtype, 3, 4),
        "gradient",
        lambda bug: lambda z: jax.nn.softmax(z, (0, 1) if bug else -1),
        "row",
        "sample weight",
        "constant factor",
    )


@seeded(CASES, BATCH, "norms of rows: x·v summed over the batch")
def _(rng, dtype):
    def rows(x):
        return jnp.sqrt(jnp.sum(x**2, -1))

    return own_jvp(
        rows,
        normal(rng, dtype, 3, 4),
        lambda bug: lambda x, v: (jnp.sum(x * v) if bug else jnp.sum(x * v, -1)) / rows(x),
    )


@seeded(CASES, BATCH, "bias of a dense layer: the first sample's cotangent alone")
def _(rng, dtype):
    x = normal(rng, dtype, 6, 4)

    def pull(bug):
        def rule(w, b, ct):
            g = ct * (1 - jnp.tanh(x @ w + b) ** 2)
            return x.T @ g, g[0] if bug else g.sum(0)

        return rule

    return own_vjp(
        lambda w, b: jnp.tanh(x @ w + b),
        normal(rng, dtype, 4, 3),
        pull,
        "one leaf",
        "wrong term",
        args=(normal(rng, dtype, 3),),
    )


@seeded(CASES, BATCH, "per-sample scales broadcast along the features")
def _(rng, dtype):
    scale = positive(rng, dtype, 4)
    return hand(
        lambda x: jnp.sin(x) * scale[:, None],
        normal(rng, dtype, 4, 4),
        "jvp",
        lambda bug: lambda x, v: jnp.cos(x) * v * (scale if bug else scale[:, None]),
        "transpose",
        "sample weight",
    )


@seeded(CASES, BATCH, "batched matrix-vector product: every sample with the first matrix")
def _(rng, dtype):
    a = normal(rng, dtype, 3, 4, 4)

    def rule(bug):
        def vjp(x, ct):
            g = ct * (1 - jnp.tanh(jnp.einsum("bij,bj->bi", a, x)) ** 2)
            return g @ a[0] if bug else jnp.einsum("bij,bi->bj", a, g)

        return vjp

    return hand(lambda x: jnp.tanh(jnp.einsum("bij,bj->bi", a, x)), 0.5 * normal(rng, dtype, 3, 4), "vjp", rule, "row")


@seeded(CASES, BATCH, "a shared scale: its cotangent from the batch's mean")
def _(rng, dtype):
    def pull(bug):
        def rule(x, s, ct):
            ds = jnp.sum(ct) * jnp.mean(x) if bug else jnp.sum(ct * x)
            return ct * s, ds

        return rule

    return own_vjp(lambda x, s: x * s, normal(rng, dtype, 6), pull, "one leaf", args=(np.asarray(1.3, dtype),))


@seeded(CASES, BATCH, "quadratic forms of a batch: the cotangents summed first")
def _(rng, dtype):
    a = spd(rng, dtype, 3)

    def pull(bug):
        return lambda x, ct: (2 * (jnp.sum(ct) if bug else ct[:, None]) * (x @ a),)

    return own_vjp(lambda x: jnp.einsum("bi,ij,bj->b", x, a, x), normal(rng, dtype, 4, 3), pull, "row", "sample weight")


@seeded(CASES, BATCH, "sample weights: their mean for each")
def _(rng, dtype):
    data, y, weight = normal(rng, dtype, 8, 3), normal(rng, dtype, 8), positive(rng, dtype, 8)

    def rule(bug):
        return lambda w: data.T @ ((weight.mean() if bug else weight) * (data @ w - y))

    return hand(
        lambda w: 0.5 * jnp.sum(weight * (data @ w - y) ** 2), normal(rng, dtype, 3), "gradient", rule, "sample weight"
    )


@seeded(CASES, BATCH, "a batching rule of its own that reduces over the batch")
def _(rng, dtype):
    def rule(bug):
        @jax.custom_batching.custom_vmap
        def unit(x, v):
            n = jnp.sqrt(jnp.sum(x**2))
            return v / n - x * jnp.sum(x * v) / n**3

        @unit.def_vmap
        def _(size, batched, x, v):
            n = jnp.sqrt(jnp.sum(x**2, -1, keepdims=True))
            inner = jnp.sum(x * v) if bug else jnp.sum(x * v, -1, keepdims=True)
            return v / n - x * inner / n**3, True

        return lambda x, v: jax.vmap(unit)(x, v)

    return hand(
        lambda x: x / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True)),
        normal(rng, dtype, 3, 4),
        "jvp",
        rule,
        "wrong term",
    )


@seeded(CASES, BATCH, "cosine similarities: norms of the batch for norms of the rows")
def _(rng, dtype):
    y = normal(rng, dtype, 3, 4)

    def parts(x, axis):
        return jnp.sqrt(jnp.sum(x**2, axis, keepdims=True)), jnp.sqrt(jnp.sum(y**2, -1, keepdims=True))

    def value(x):
        nx, ny = parts(x, -1)
        return jnp.sum(x * y / (nx * ny))

    def rule(bug):
        def gradient(x):
            nx, ny = parts(x, None if bug else -1)
            cos = jnp.sum(x * y, -1, keepdims=True) / (nx * ny)
            return y / (nx * ny) - cos * x / nx**2

        return gradient

    return hand(value, normal(rng, dtype, 3, 4), "gradient", rule, "row")


@seeded(CASES, MEAN, "mean squared error: the gradient of the sum")
def _(rng, dtype):
    data, y = normal(rng, dtype, 7, 3), normal(rng, dtype, 7)
    return hand(
        lambda w: jnp.mean((data @ w - y) ** 2),
        normal(rng, dtype, 3),
        "gradient",
        lambda bug: lambda w: 2 * data.T @ (data @ w - y) / (1 if bug else 7),
        "constant factor",
    )


@seeded(CASES, MEAN, "logistic regression: a mean loss and a summed Hessian product")
def _(rng, dtype):
    data = normal(rng, dtype, 7, 3)

    def rule(bug):
        def hvp(w, v):
            s = jax.nn.sigmoid(data @ w)
            return data.T @ (s * (1 - s) * (data @ v)) / (1 if bug else 7)

        return hvp

    return hand(lambda w: jnp.mean(jax.nn.softplus(data @ w)), normal(rng, dtype, 3), "hvp", rule, "constant factor")


@seeded(CASES, MEAN, "batch centring: the sum subtracted in the vjp")
def _(rng, dtype):
    def pull(bug):
        return lambda x, ct: (ct - (ct.sum(0) if bug else ct.mean(0)),)

    return own_vjp(lambda x: x - x.mean(0), normal(rng, dtype, 5, 3), pull, "wrong term", "gauge")


@seeded(CASES, MEAN, "cross entropy: divided by N·C for N")
def _(rng, dtype):
    hot = np.eye(4, dtype=dtype)[[0, 3, 1]]
    return hand(
        lambda z: -jnp.sum(hot * jax.nn.log_softmax(z, -1)) / 3,
        normal(rng, dtype, 3, 4),
        "value_and_gradient",
        lambda bug: (
            lambda z: (
                -jnp.sum(hot * jax.nn.log_softmax(z, -1)) / 3,
                (jax.nn.softmax(z, -1) - hot) / (12 if bug else 3),
            )
        ),
        "constant factor",
    )


@seeded(CASES, MEAN, "average pooling: 1/k forgotten in the vjp")
def _(rng, dtype):
    return own_vjp(
        lambda x: jnp.mean(x.reshape(3, 2), 1) ** 2,
        normal(rng, dtype, 6),
        lambda bug: lambda x, ct: (jnp.repeat(2 * ct * jnp.mean(x.reshape(3, 2), 1), 2) / (1 if bug else 2),),
        "constant factor",
    )


@seeded(CASES, MEAN, "weighted mean: divided by N for the sum of the weights")
def _(rng, dtype):
    weight = positive(rng, dtype, 6)
    return hand(
        lambda x: jnp.sum(weight * jnp.cosh(x)) / jnp.sum(weight),
        normal(rng, dtype, 6),
        "gradient",
        lambda bug: lambda x: weight * jnp.sinh(x) / (6 if bug else jnp.sum(weight)),
        "constant factor",
    )


@seeded(CASES, MEAN, "masked mean: divided by all positions")
def _(rng, dtype):
    mask = np.asarray([1, 0, 1, 1, 0, 0], dtype)
    return hand(
        lambda x: jnp.sum(mask * x**3) / jnp.sum(mask),
        normal(rng, dtype, 6),
        "gradient",
        lambda bug: lambda x: 3 * mask * x**2 / (mask.size if bug else jnp.sum(mask)),
        "constant factor",
    )


@seeded(CASES, MEAN, "variance: n for n − 1")
def _(rng, dtype):
    return hand(
        lambda x: jnp.var(x, ddof=1),
        normal(rng, dtype, 5),
        "gradient",
        lambda bug: lambda x: 2 * (x - x.mean()) / (5 if bug else 4),
        "constant factor",
    )


@seeded(CASES, MEAN, "Monte Carlo bound: one leaf summed over the samples")
def _(rng, dtype):
    noise = normal(rng, dtype, 6, 2)

    def bound(q):
        return jnp.mean(jnp.sum(jnp.cos(q["m"] + q["s"] * noise), -1))

    def rule(bug):
        def gradient(q):
            d = -jnp.sin(q["m"] + q["s"] * noise)
            return {"m": d.mean(0), "s": (d * noise).sum(0) / (1 if bug else 6)}

        return gradient

    point = {"m": normal(rng, dtype, 2), "s": positive(rng, dtype, 2)}
    return hand(bound, point, "gradient", rule, "one leaf", "constant factor")


@seeded(CASES, MEAN, "discrete Fourier energy: n forgotten in Parseval's adjoint")
def _(rng, dtype):
    n = 6
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    c, s = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
    return hand(
        lambda x: jnp.sum((c @ x) ** 2 + (s @ x) ** 2),
        normal(rng, dtype, n),
        "gradient",
        lambda bug: lambda x: 2 * x * (1 if bug else n),
        "constant factor",
    )


@seeded(CASES, MEAN, "trapezoidal rule: the step left out of the jvp")
def _(rng, dtype):
    return hand(
        lambda y: 0.25 * jnp.cumsum((y[1:] ** 2 + y[:-1] ** 2) / 2),
        normal(rng, dtype, 5),
        "jvp",
        lambda bug: lambda y, v: (1 if bug else 0.25) * jnp.cumsum(y[1:] * v[1:] + y[:-1] * v[:-1]),
        "constant factor",
    )


@seeded(CASES, MEAN, "whitened covariance: 1/n in the value, none in the rule")
def _(rng, dtype):
    w = square(rng, dtype, 3)
    return hand(
        lambda x: jnp.sum(w * (x.T @ x)) / 5,
        normal(rng, dtype, 5, 3),
        "gradient",
        lambda bug: lambda x: x @ (w + w.T) / (1 if bug else 5),
        "constant factor",
    )
