"""What the loop and a training method say to each other: the point, the proposal, the oracle and the protocol.

A *method* is a small hashable object without arrays: it is a static argument of the compiled loop, so two that compare
equal share one compilation. Arrays that it computes once on the host are its `constants`, arrays that change its state.

Guarded by `tests/training/loop/test_run.py`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.bounds.steps import max_logit_range
from jaxsoftmax.calculus.loss.fused import (
    fused_hvp_from_probabilities,
    fused_probabilities,
    fused_value_and_gradient,
)
from jaxsoftmax.calculus.loss.objective import loss_on_arrays
from jaxsoftmax.calculus.loss.penalty_sum import penalty_gradient, penalty_hvp, penalty_value
from jaxsoftmax.linalg.blocks import Placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.stopping import attains_for_certain, loss_rounding

Array = jax.Array


class Point(NamedTuple):
    """The present point of the loop, as a method sees it."""

    W: Array
    value: Array
    gradient: Array
    idle: Array  # consecutive steps that improved neither the loss nor the gradient norm


class Proposal(NamedTuple):
    """What a method wants to do at W: the next weights, and what it knows about the present ones.

    `spread` is the range ρ of the full step's logits (S8) and `decrement` λ² = gᵀH⁺g; None where a method does not
    compute them. `ready` is the method's own condition for ending with GRADIENT_TOLERANCE (in addition to the test),
    `halt` its own reason to stop here (see `Method.halt_words`). `evaluated` is the loss and gradient at the next
    weights, where the method has them already.
    """

    W: Array
    step_size: Array
    state: Any
    spread: Array | None = None
    decrement: Array | None = None
    ready: Array | None = None
    halt: Array | None = None
    evaluated: tuple[Array, Array] | None = None


class InnerSolve(NamedTuple):
    """How a method solves its linear systems from a step on.

    `preconditioner`: "majorant", a fixed matrix above every Hessian (S19), "class blocks", the Hessian's blocks, one
    for each class (S23), or "diagonal", the Hessian's at each step. `products_dtype`: of the Hessian-vector products.
    `wasted_products`: those taken before, beyond what this choice was expected to need; they are why it was made.
    `failed`: class blocks were to be made here, one of them had no Cholesky factor, and what there was stayed.
    """

    step: int
    preconditioner: str
    products_dtype: str
    wasted_products: float
    failed: bool = False


@dataclasses.dataclass(frozen=True)
class Oracle:
    """What may be asked about the objective inside the compiled loop.

    Attributes:
        problem: traced.
        where: how its rows lie.
        scale: (D,) a_d of `stopping.gradient_scale`.
    """

    problem: Problem
    where: Placement
    scale: Array

    def value(self, W: Array) -> Array:
        """L(W) alone (S1, S21); differentiable."""
        return loss_on_arrays(W, self.problem)

    def value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        """(L(W), ∇L(W)), X read once (S1, S2, S21)."""
        value, gradient = fused_value_and_gradient(W, self.problem, self.where)
        value = value + penalty_value(W, self.problem)
        return value.astype(W.dtype), (gradient + penalty_gradient(W, self.problem)).astype(W.dtype)

    def hessian_at(self, W: Array) -> Callable[[Array], Array]:
        """V -> H(W) V with the probabilities at W computed once (S4, S21)."""
        Y = fused_probabilities(W, self.problem, self.where)

        def product(V: Array) -> Array:
            return fused_hvp_from_probabilities(Y, self.problem, V, self.where) + penalty_hvp(W, self.problem, V)

        return product

    def spread(self, V: Array) -> Array:
        """ρ, the largest range of the logits of V over the samples (S8)."""
        return jnp.asarray(max_logit_range(self.problem, V))

    def rounding(self, W: Array, value: Array) -> Array:
        """A bound on the rounding error of the computed loss."""
        return loss_rounding(W, value, self.problem, self.scale)

    def attains(self) -> Array:
        """Whether a theorem says that a minimiser exists."""
        return attains_for_certain(self.problem)

    def on(self, inner: Problem) -> Oracle:
        """The same questions about the problem in another precision."""
        return dataclasses.replace(self, problem=inner)


class Method(ABC):
    """What every training method derives from: hashable, compared by value, no arrays inside.

    A method states its formula in `propose`. What the theory says about its speed it states in the last three
    functions, which `fit` calls before and after the run; here they claim nothing.
    """

    name: ClassVar[str]
    default_steps: ClassVar[int] = 10_000
    patience: ClassVar[int] = 100  # idle steps after which the run has STALLED
    monotone: ClassVar[bool] = False  # the theory promises that no step raises the loss: one that does is refused
    linear: ClassVar[bool] = True  # near a minimiser the gradient contracts by a factor a step, which can be measured
    any_columns: ClassVar[bool] = False  # the path is the same however features are scaled or, with them, shifted
    halt_words: ClassVar[str] = ""  # what the method's own stop means; "" where it has none

    def suits(self, problem: Problem) -> bool:
        """Whether "auto" may take this method for the problem."""
        return True

    def bytes_needed(self, N: int, D: int, C: int, itemsize: int) -> dict[str, int]:
        """What it needs beyond the data at one time for certain, in bytes by what they are for; little: nothing."""
        return {}

    def constants(self, problem: Problem, key: Any) -> Any:
        """Arrays computed once on the host from concrete data (and a random key); traced by the loop."""
        return ()

    def inner_solve(self, constants: Any) -> InnerSolve | None:
        """How the first linear systems are solved; None for a method without any."""
        return None

    def is_worn(self, constants: Any, state: Any) -> Any:
        """Whether the loop should come back to the host for `renew`; inside jit, a boolean scalar."""
        return False

    def renew(
        self, problem: Problem, W: Any, constants: Any, state: Any, solved: InnerSolve
    ) -> tuple[Any, Any, InnerSolve] | None:
        """New constants (of the same shapes) and state, made on the host between two chunks; None: go on as before.

        Asked only of methods that have an `inner_solve`; `solved` is the present one, at this step.
        """
        return None

    def kept(self, constants: Any) -> Any:
        """The arrays of the constants that `renew` makes: what a checkpoint holds beside the state."""
        return ()

    def with_kept(self, problem: Problem, constants: Any, kept: Any, solved: InnerSolve) -> Any:
        """The constants of a run's beginning with what was kept of them at a checkpoint, where `solved` was in use."""
        return constants

    def begin(self, point: Point, oracle: Oracle, constants: Any) -> Any:
        """The method's state at the start (a pytree of arrays)."""
        return ()

    @abstractmethod
    def propose(self, point: Point, oracle: Oracle, constants: Any, state: Any) -> Proposal:
        """The next weights."""

    def log_gain_bound(self, problem: Problem, W0: Any) -> float | None:
        """Known before training, proved: log(q) with every step shrinking L − L* by 1 − q (S18); None: no claim."""
        return None

    def rate_bound(self, problem: Problem, W: Any, step_size: float) -> float | None:
        """Proved at the end point W: a bound below 1 on the contraction a step (S17, S19); otherwise no claim."""
        return None

    def rate_estimate(self, problem: Problem, W: Any, step_size: float, W0: Any) -> float | None:
        """Evaluated at the end point W of a run from W0: the contraction a step (S17); None where it is not known."""
        return None
