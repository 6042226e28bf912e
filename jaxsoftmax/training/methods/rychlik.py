"""The published trainer, exactly as S20 has it ("rychlik-bb"): free Barzilai-Borwein steps and re-centring.

    η = ⟨ΔW, ΔG⟩ / (eps + ‖ΔG‖²),  first step 1/(eps + σ_max(∇L(W₀))), σ_max the spectral norm,

every 100 epochs W ← W − **11**ᵀW/C, and an end when η falls below 10⁻⁵. eps is that of the compute dtype. An epoch is
one step: the gradient is over all samples.

What the theory says of it:

- The gradient is cocoercive, so η >= 1/Λ at every step, up to the eps in the denominator. Hence the stop at η < 10⁻⁵
  can fire only if Λ > 10⁵, when ΔG = 0, or once ‖ΔG‖² is no longer large beside eps: then eps takes over the
  denominator, the next step is shorter, its ΔG smaller, and the steps collapse within a few epochs (‖ΔG‖ near 10⁻⁸ in
  float64, 10⁻⁴ in float32, whatever the scale of the loss). None of these says anything about convergence: the run ends
  STEP_LIMIT, and the reason says which limit.
- There is no guarantee that the loss falls, or that the run converges, even where a minimiser exists; "bb" has one.
- Re-centring changes the objective under L2 and log-cosh penalties (S21 a, b); under smoothing and the self-regulariser
  it does not. The gradient is then that of the re-centred W; ΔW and ΔG are taken after re-centring.
- `fit` adds its test of the scaled gradient; with tol=0 the iterates run on as published.

Guarded by `tests/training/methods/test_methods.py`.
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
    first: Array  # η of the first step
    W: Array  # the point before this one
    gradient: Array


@dataclasses.dataclass(frozen=True)
class PublishedTrainer(Method):
    """The published trainer, reproduced step by step (S20)."""

    name: ClassVar[str] = "rychlik-bb"
    patience: ClassVar[int] = 2**30  # the published trainer never gives up for want of progress
    halt_words: ClassVar[str] = (
        "The published stop: the Barzilai-Borwein step fell below 1e-5, which is no test of convergence (S20)."
    )

    def begin(self, point: Point, oracle: Oracle, constants: Any) -> _State:
        """The first step, from the spectral norm of the gradient at W₀."""
        eps = jnp.finfo(point.W.dtype).eps
        first = 1 / (eps + jnp.linalg.norm(point.gradient, ord=2))
        return _State(jnp.zeros((), jnp.int32), first, point.W, point.gradient)

    def propose(self, point: Point, oracle: Oracle, constants: Any, state: _State) -> Proposal:
        """W − η∇L(W), re-centred after every hundredth step."""
        moved, turned = point.W - state.W, point.gradient - state.gradient
        quotient = jnp.sum(moved * turned) / (jnp.finfo(point.W.dtype).eps + jnp.sum(turned * turned))
        step = jnp.where(state.step == 0, state.first, quotient)
        W = point.W - step * point.gradient
        after = state.step + 1
        W = jnp.where(after % RECENTRE_EVERY == 0, W - jnp.mean(W, axis=0, keepdims=True), W)
        return Proposal(W, step, _State(after, state.first, point.W, point.gradient), halt=step < LEAST_STEP)
