"""Oracles that say what a test wants to hear, so that a line of a method's rule can be seen alone."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

import jaxsoftmax as js
from jaxsoftmax.training.loop.protocol import Point
from jaxsoftmax.training.loop.stopping import loss_rounding

PROBLEM = js.Problem(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))


def oracle(loss, gradient=None, weights=1.0):
    """An oracle whose loss is `loss(W)`, whose gradient is fixed, and whose Hessian multiplies by `weights`."""
    slope = jnp.ones((2, 2)) if gradient is None else gradient
    return SimpleNamespace(
        problem=PROBLEM,
        scale=jnp.ones(2),
        value_and_gradient=lambda W: (jnp.asarray(loss(W), W.dtype), slope.astype(W.dtype)),
        hessian_at=lambda W: lambda V: jnp.asarray(weights, V.dtype) * V,
        rounding=lambda W, value: loss_rounding(W, value, PROBLEM, jnp.ones(2)),
    )


def point(value=1.0, gradient=((1.0, 1.0), (1.0, 1.0)), idle=0):
    """A point at W = 0."""
    return Point(jnp.zeros((2, 2)), jnp.asarray(value), jnp.asarray(gradient), jnp.asarray(idle, jnp.int32))
