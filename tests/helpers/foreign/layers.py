"""Layers of flax.linen, flax.nnx and equinox in their parameters, and some in their input."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from helpers.foreign.case import Foreign, drawn, normal, weighted


def filled(shapes: Any, rng: np.random.Generator, dtype: Any) -> Any:
    """Normal numbers in the shapes of a tree: no zero bias, no scale of one."""
    return jax.tree.map(lambda leaf: (0.7 * rng.standard_normal(leaf.shape)).astype(dtype), shapes)


def layer(name, library, taken, inputs, vector, in_input, note=""):
    """A case of a layer; ``taken(xs)`` gives the shapes of its parameters and ``apply(parameters, *xs)``."""

    def make(rng, dtype):
        xs = drawn(inputs, rng, dtype, keep=True)
        shapes, apply = taken(xs)
        parameters = filled(shapes, rng, dtype)
        fun = apply if vector else weighted(apply)
        if in_input:
            return (lambda x, p, *rest: fun(p, x, *rest)), xs[0], (parameters, *xs[1:])
        return fun, parameters, xs

    return Foreign(name, library, make, note=note)


def linen(name, build, *inputs, vector=False, in_input=False, note=""):
    """A layer of flax.linen."""

    def taken(xs):
        import flax.linen

        module = build(flax.linen)
        return jax.eval_shape(module.init, jax.random.key(0), *xs), module.apply

    return layer(f"flax.linen.{name}", "flax", taken, inputs, vector, in_input, note)


def nnx(name, build, *inputs, vector=False, in_input=False, note=""):
    """A layer of flax.nnx, in the leaves of its state of parameters."""

    def taken(xs):
        from flax import nnx as library

        module = build(library, library.Rngs(0))
        definition, state, rest = library.split(module, library.Param, ...)
        leaves, structure = jax.tree.flatten(state)

        def apply(parameters, *arrays):
            return library.merge(definition, jax.tree.unflatten(structure, parameters), rest)(*arrays)

        return leaves, apply

    return layer(f"flax.nnx.{name}", "flax", taken, inputs, vector, in_input, note)


def equinox(name, build, *inputs, vector=False, in_input=False, note=""):
    """A layer of equinox, in the leaves of its inexact arrays."""

    def taken(xs):
        import equinox as library

        module = build(library.nn, jax.random.key(0))
        inexact, static = library.partition(module, library.is_inexact_array)
        leaves, structure = jax.tree.flatten(inexact)

        def apply(parameters, *arrays):
            return library.combine(jax.tree.unflatten(structure, parameters), static)(*arrays)

        return leaves, apply

    return layer(f"equinox.nn.{name}", "equinox", taken, inputs, vector, in_input, note)


X23, X34, IMAGE = normal(2, 3), normal(3, 4), normal(1, 3, 3, 1)

CASES = [
    linen("Dense", lambda nn: nn.Dense(4), X23, vector=True),
    linen("Dense in its input", lambda nn: nn.Dense(4), X23, in_input=True),
    linen("DenseGeneral", lambda nn: nn.DenseGeneral((2, 3)), X23),
    linen("Einsum", lambda nn: nn.Einsum((3, 4), "bi,ij->bj"), X23),
    linen("Bilinear in Dense and sum", lambda nn: nn.Sequential([nn.Dense(3), nn.tanh, nn.Dense(2)]), X23, vector=True),
    linen("LayerNorm", lambda nn: nn.LayerNorm(), X34),
    linen("LayerNorm in its input", lambda nn: nn.LayerNorm(), X34, in_input=True, vector=True),
    linen("RMSNorm in its input", lambda nn: nn.RMSNorm(), X34, in_input=True),
    linen("GroupNorm in its input", lambda nn: nn.GroupNorm(2), X34, in_input=True),
    linen("Conv", lambda nn: nn.Conv(2, (2, 2)), IMAGE, vector=True),
    linen("Conv in its input, strided", lambda nn: nn.Conv(2, (2, 2), strides=2), IMAGE, in_input=True),
    linen("ConvTranspose", lambda nn: nn.ConvTranspose(2, (2,)), normal(1, 3, 2)),
    linen("Embed", lambda nn: nn.Embed(5, 3), [0, 3, 3, 1], vector=True),
    linen("PReLU", lambda nn: nn.PReLU(), X23),
    linen("LSTMCell in its input", lambda nn: _Cell(nn.LSTMCell(2)), normal(3), in_input=True),
    linen("GRUCell in its input", lambda nn: _Cell(nn.GRUCell(2)), normal(3), in_input=True, vector=True),
    linen("SimpleCell", lambda nn: _Cell(nn.SimpleCell(2)), normal(3)),
    linen(
        "MultiHeadDotProductAttention in its input",
        lambda nn: nn.MultiHeadDotProductAttention(2, qkv_features=4),
        normal(1, 3, 4),
        in_input=True,
    ),
    nnx("Linear", lambda nnx, rngs: nnx.Linear(3, 4, rngs=rngs), X23, vector=True),
    nnx("LayerNorm in its input", lambda nnx, rngs: nnx.LayerNorm(4, rngs=rngs), X34, in_input=True),
    nnx("RMSNorm", lambda nnx, rngs: nnx.RMSNorm(4, rngs=rngs), X34),
    nnx("GroupNorm in its input", lambda nnx, rngs: nnx.GroupNorm(4, num_groups=2, rngs=rngs), X34, in_input=True),
    nnx("Conv", lambda nnx, rngs: nnx.Conv(2, 2, (2,), rngs=rngs), normal(1, 4, 2)),
    nnx(
        "Sequential of Linear and gelu",
        lambda nnx, rngs: nnx.Sequential(nnx.Linear(3, 3, rngs=rngs), nnx.gelu, nnx.Linear(3, 1, rngs=rngs)),
        X23,
    ),
    nnx(
        "MultiHeadAttention in its input",
        lambda nnx, rngs: nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs),
        normal(1, 3, 4),
        in_input=True,
        vector=True,
    ),
    equinox("Linear", lambda nn, key: nn.Linear(3, 4, key=key), normal(3), vector=True),
    equinox("MLP", lambda nn, key: nn.MLP(2, 2, 3, 1, jax.nn.softplus, key=key), normal(2), vector=True),
    equinox("MLP, a tower", lambda nn, key: nn.MLP("scalar", "scalar", 3, 2, jax.nn.tanh, key=key), 0.7),
    equinox("LayerNorm", lambda nn, key: nn.LayerNorm(5), normal(5)),
    equinox("LayerNorm in its input", lambda nn, key: nn.LayerNorm(5), normal(5), in_input=True, vector=True),
    equinox("RMSNorm in its input", lambda nn, key: nn.RMSNorm(5), normal(5), in_input=True),
    equinox("GroupNorm in its input", lambda nn, key: nn.GroupNorm(2, 4), normal(4, 3), in_input=True),
    equinox("Conv1d", lambda nn, key: nn.Conv1d(2, 2, 3, key=key), normal(2, 5), vector=True),
    equinox("Conv2d in its input", lambda nn, key: nn.Conv2d(1, 2, 2, key=key), normal(1, 4, 3), in_input=True),
    equinox("ConvTranspose1d", lambda nn, key: nn.ConvTranspose1d(2, 1, 3, key=key), normal(2, 4)),
    equinox("AvgPool1d in its input", lambda nn, key: nn.AvgPool1d(2), normal(2, 5), in_input=True),
    equinox("MaxPool2d in its input", lambda nn, key: nn.MaxPool2d(2), normal(1, 4, 4), in_input=True),
    equinox(
        "GRUCell in its input",
        lambda nn, key: nn.GRUCell(3, 2, key=key),
        normal(3),
        normal(2),
        in_input=True,
        vector=True,
    ),
    equinox(
        "LSTMCell in its input",
        lambda nn, key: nn.LSTMCell(3, 2, key=key),
        normal(3),
        (normal(2), normal(2)),
        in_input=True,
    ),
    equinox(
        "MultiheadAttention in its query",
        lambda nn, key: nn.MultiheadAttention(2, 4, key=key),
        X34,
        X34,
        X34,
        in_input=True,
    ),
    equinox("Embedding", lambda nn, key: nn.Embedding(5, 3, key=key), 2),
    equinox("PReLU", lambda nn, key: nn.PReLU(0.25), normal(4)),
    equinox(
        "RotaryPositionalEmbedding in its input", lambda nn, key: nn.RotaryPositionalEmbedding(4), X34, in_input=True
    ),
]


class _Cell:
    """A recurrent cell of flax.linen from a carry of zeros, as a module of its input alone."""

    def __init__(self, cell):
        self.cell = cell

    def _carry(self, x):
        return jax.tree.map(
            lambda leaf: jax.numpy.zeros(leaf.shape, x.dtype) + 0.5,
            jax.eval_shape(lambda: self.cell.initialize_carry(jax.random.key(0), x.shape)),
        )

    def init(self, key, x):
        return self.cell.init(key, self._carry(x), x)

    def apply(self, parameters, x):
        return self.cell.apply(parameters, self._carry(x), x)
