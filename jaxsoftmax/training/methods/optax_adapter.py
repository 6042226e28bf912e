"""Any optax gradient transformation as a method: full batches, or minibatches drawn with a key.

W ← apply_updates(W, update(∇L(W))). Transformations that ask for more (optax's L-BFGS with its line search) are handed
the loss, the gradient and the loss function. With `batch_size` B one step of the loop is an **epoch**: the samples in
a new random order, cut into ⌊N/B⌋ batches (what is left over differs from epoch to epoch), and an update for each with
the unbiased gradient (N/B) Σ_{n in batch} s_n (y_n − t_n) x_nᵀ + ∇R(W). Loss, gradient and the stopping test are of the
whole data, once an epoch.

optax's states carry weakly typed numbers, which makes a plain jitted loop compile twice; the loop strips them. The
transformation is static and compared by identity of its functions: the same object traces once.

Guarded by `tests/training/methods/test_methods.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from jaxsoftmax.calculus.bounds.steps import descent_step_bound
from jaxsoftmax.calculus.loss.derivatives import gradient_on_arrays
from jaxsoftmax.calculus.loss.objective import loss_on_arrays
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Transformation(Method):
    """An optax transformation as a method, on full batches or on minibatches.

    Attributes:
        transformation: an `optax.GradientTransformation` (or `…ExtraArgs`).
        batch_size: samples a minibatch, or None for full batches.
    """

    transformation: Any
    batch_size: int | None = None

    name: ClassVar[str] = "optax"
    patience: ClassVar[int] = 1000

    def bytes_needed(self, N: int, D: int, C: int, itemsize: int) -> dict[str, int]:
        """A batch's samples and logits; whole data are worked through in blocks."""
        if self.batch_size is None:
            return {}
        return {f"batches of {self.batch_size:,} samples": self.batch_size * (D + C) * itemsize}

    def constants(self, problem: Problem, key: Any) -> Any:
        """The random key, where minibatches are drawn."""
        return () if self.batch_size is None else key

    def begin(self, point: Point, oracle: Oracle, constants: Any) -> Any:
        """The transformation's state, and the key."""
        return self.transformation.init(point.W), constants

    def propose(self, point: Point, oracle: Oracle, constants: Any, state: Any) -> Proposal:
        """One update, or an epoch of them."""
        inner, key = state
        problem = oracle.problem
        if self.batch_size is None:
            W, inner = self._update(point.W, inner, point.value, point.gradient, problem)
        else:
            key, draw = jax.random.split(key)
            W, inner = self._epoch(point.W, inner, problem, draw)
        return Proposal(W, jnp.full_like(point.value, jnp.nan), (inner, key))

    def _update(self, W: Array, inner: Any, value: Array, gradient: Array, problem: Problem) -> tuple[Array, Any]:
        rule = optax.with_extra_args_support(self.transformation)
        updates, inner = rule.update(
            gradient, inner, W, value=value, grad=gradient, value_fn=lambda W: loss_on_arrays(W, problem)
        )
        given = jnp.shape(updates)  # type: ignore[arg-type]
        if given != W.shape:
            raise TypeError(
                f"method: the transformation returns updates of shape {given} for weights of shape "
                f"{W.shape}. It must keep the shape."
            )
        return jnp.asarray(optax.apply_updates(W, updates)).astype(W.dtype), inner

    def _epoch(self, W: Array, inner: Any, problem: Problem, key: Array) -> tuple[Array, Any]:
        N, B = problem.N, self.batch_size
        assert B is not None
        order = jax.random.permutation(key, N)[: N // B * B].reshape(N // B, B)

        def one(carry: tuple[Array, Any], rows: Array) -> tuple[tuple[Array, Any], None]:
            W, inner = carry
            batch = problem.replace(
                X=problem.X[rows], T=problem.targets[rows], sample_weight=problem.sample_weight[rows] * (N / B)
            )
            value, gradient = loss_on_arrays(W, batch), gradient_on_arrays(W, batch)
            W, after = self._update(W, inner, value, gradient, batch)
            return (W, _like(after, inner)), None

        (W, inner), _ = jax.lax.scan(one, (W, inner), order)
        return W, inner


def sgd(problem: Problem, learning_rate: float | None, batch_size: int | None, whiten: bool) -> Transformation:
    """optax's plain gradient descent ("sgd").

    The loss is a sum over the samples (S1), so a step that suits one data set is too long for a larger one. The default
    is 1/Λ, which suits every size and scale (S16); in whitened features Λ = 1 (S19).
    """
    if learning_rate is None:
        learning_rate = 1.0 if whiten else descent_step_bound(problem)
    return Transformation(_sgd(learning_rate if math.isfinite(learning_rate) else 1.0), batch_size)


def adam(learning_rate: float | None, batch_size: int | None) -> Transformation:
    """optax's Adam ("adam"): its steps do not depend on the gradient's size, so 0.01 suits weights of size 1."""
    return Transformation(_adam(0.01 if learning_rate is None else learning_rate), batch_size)


def lbfgs() -> Transformation:
    """optax's L-BFGS with its line search ("lbfgs")."""
    return Transformation(_lbfgs())


# The same settings are the same object, so that a second fit compiles nothing.
_sgd, _adam, _lbfgs = map(functools.cache, (optax.sgd, optax.adam, optax.lbfgs))


def _like(state: Any, like: Any) -> Any:
    """`state` with the dtypes of `like`, weak types stripped."""
    return jax.tree.map(lambda new, old: jax.lax.convert_element_type(new, jnp.asarray(old).dtype), state, like)
