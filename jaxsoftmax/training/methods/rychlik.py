"""The published trainer, exactly as S20 has it ("rychlik-bb"): free Barzilai-Borwein steps and re-centring.

    η = ⟨ΔW, ΔG⟩ / (eps + ‖ΔG‖²),  first step 1/(eps + σ_max(∇L(W₀))), σ_max the spectral norm,

every 100 epochs W ← W − **11**ᵀW/C, and an end when η falls below 10⁻⁵. eps is that of the compute dtype. An epoch is
one step: the gradient is over all samples. Two of the three published programs take 2·10⁻⁵ as the first step instead:
`learning_rate=2e-5`.

The order within an epoch is the author's: step, gradient, η, the stop, re-centring. Hence

- η is compared only after a step: the first step is always taken, however short, and a run that stops at a hundredth
  epoch stops before it would re-centre;
- ΔW does not contain the shift of re-centring, and the step after it uses the gradient of the weights before it. Where
  re-centring changes the objective, under L2 and log-cosh penalties (S21 a, b), that gradient is stale, as published;
  otherwise the two are the same (S3). The loss, the gradient and the stopping test of `fit` are those of W itself.

What the theory says of it:

- The gradient is cocoercive, so η >= 1/Λ at every step, up to the eps in the denominator. Hence the stop at η < 10⁻⁵
  can fire only if Λ > 10⁵, when ΔG = 0, or once ‖ΔG‖² is no longer large beside eps: then eps takes over the
  denominator, the next step is shorter, its ΔG smaller, and the steps collapse within a few epochs (‖ΔG‖ near 10⁻⁸ in
  float64, 10⁻⁴ in float32, whatever the scale of the loss). None of these says anything about convergence: the run ends
  STEP_LIMIT, and the reason says which limit.
- There is no guarantee that the loss falls, or that the run converges, even where a minimiser exists; "bb" has one.
- `fit` adds its test of the scaled gradient; with tol=0 the iterates run on as published.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxsoftmax.training.loop.protocol import Method, Oracle, Point, Proposal

Array = jax.Array

RECENTRE_EVERY = 100
LEAST_STEP = 1e-5


class _State(NamedTuple):
    step: Array
    size: Array  # η of the next step
    gradient: Array  # that the next step goes along: of W, or of what W was before it was re-centred


@dataclasses.dataclass(frozen=True)
class PublishedTrainer(Method):
    """The published trainer, step by step (S20); `learning_rate` is the first step, None the spectral one."""

    learning_rate: float | None = None
    name: ClassVar[str] = "rychlik-bb"
    patience: ClassVar[int] = 2**30  # the published trainer never gives up for want of progress
    halt_words: ClassVar[str] = (
        "The published stop: the Barzilai-Borwein step fell below 1e-5, which is no test of convergence (S20)."
    )

    def begin(self, point: Point, oracle: Oracle, constants: Any) -> _State:
        """The first step: the one given, or from the spectral norm of the gradient at W₀."""
        first = self.learning_rate
        if first is None:
            first = 1 / (jnp.finfo(point.W.dtype).eps + jnp.linalg.norm(point.gradient, ord=2))
        return _State(jnp.zeros((), jnp.int32), jnp.asarray(first, point.W.dtype), point.gradient)

    def propose(self, point: Point, oracle: Oracle, constants: Any, state: _State) -> Proposal:
        """W − ηG, re-centred after every hundredth step that does not end the run."""
        W = point.W - state.size * state.gradient
        value, gradient = oracle.value_and_gradient(W)
        moved, turned = W - point.W, gradient - state.gradient
        size = jnp.sum(moved * turned) / (jnp.finfo(W.dtype).eps + jnp.sum(turned * turned))
        after = _State(state.step + 1, size, gradient)

        def recentred() -> tuple[Array, tuple[Array, Array]]:
            centred = W - jnp.mean(W, axis=0, keepdims=True)
            return centred, oracle.value_and_gradient(centred)

        due = (after.step % RECENTRE_EVERY == 0) & ~(size < LEAST_STEP)
        W, evaluated = jax.lax.cond(due, recentred, lambda: (W, (value, gradient)))
        halt = (state.step > 0) & (state.size < LEAST_STEP)
        return Proposal(W, state.size, after, halt=halt, evaluated=evaluated)
