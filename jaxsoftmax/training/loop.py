"""The one compiled training loop: stopping, history, rollback and status codes, the same for every method.

A *method* is a small hashable object that proposes the next weights from the present ones. The loop owns everything
else. It is one `lax.while_loop` in one `jit`: the method object is static; the problem, the start, the tolerance, the
step limit and the method's constants are traced, so changing any of them (shapes and dtypes kept) traces nothing.

**Stopping.** The test is on the scaled gradient max_cd |g_cd| / a_d with a_d = Σ_n s_n |x_nd| (plus the regulariser's
own scale). Because |y - t| <= 1, |g_cd| <= a_d always, so the number lies in [0, 1] without a regulariser and does not
change when a feature is rescaled, when all weights are multiplied, or when the data are repeated.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxsoftmax.calculus.blocks import Placement
from jaxsoftmax.calculus.fused import fused_value_and_gradient
from jaxsoftmax.calculus.penalties import penalty_gradient, penalty_value
from jaxsoftmax.problem import Problem
from jaxsoftmax.regularizers import L2, LogCosh, SelfRegularizer

Array = jax.Array

RUNNING, GRADIENT_TOLERANCE, STEP_LIMIT, DIVERGING, STALLED, NONFINITE = range(6)

HISTORY_ROWS = 1024  # rows of the history buffer; a power of two, so that thinning by two keeps whole strides
HISTORY_COLUMNS = ("loss", "gradient_norm", "weight_norm", "step_size")

# A method whose direction keeps moving every sample's logits by this much while the gradient is already below the
# tolerance is running away: next to a minimiser the move goes to zero (quadratically for Newton).
RUNAWAY_RANGE = 0.5
RUNAWAY_STEPS = 3


class Proposal(NamedTuple):
    """What a method wants to do at W: the next weights, and what it knows about the present ones.

    `spread` is the range ρ of the full step's logits (S8) and `decrement` λ² = gᵀH⁺g; both NaN where a method does not
    compute them. `ready` is the method's own condition for ending with GRADIENT_TOLERANCE (in addition to the test).
    """

    W: Array
    step_size: Array
    spread: Array
    decrement: Array
    ready: Array
    state: Any


class Point(NamedTuple):
    """The present point of the loop, as a method sees it."""

    W: Array
    value: Array
    gradient: Array
    idle: Array  # consecutive steps that improved neither the loss nor the gradient norm


class Method(Protocol):
    """A training method: hashable, compared by value, no arrays inside (arrays belong in `constants`)."""

    name: ClassVar[str]
    patience: ClassVar[int]  # idle steps after which the run has STALLED
    monotone: ClassVar[bool]  # the theory promises that no step raises the loss

    def constants(self, problem: Problem) -> Any:
        """Arrays computed once on the host from concrete data; traced by the loop."""
        ...

    def begin(self, point: Point, problem: Problem, constants: Any) -> Any:
        """The method's state at the start (a pytree of arrays)."""
        ...

    def propose(self, point: Point, problem: Problem, constants: Any, state: Any) -> Proposal:
        """The next weights."""
        ...


class LoopResult(NamedTuple):
    """What the compiled loop returns; `history` has HISTORY_ROWS rows of which the first `rows` are filled."""

    W: Array
    value: Array
    gradient: Array
    gradient_norm: Array
    scaled_gradient: Array
    status: Array
    steps: Array
    decrement: Array
    spread: Array
    history: Array
    rows: Array
    stride: Array


class _Carry(NamedTuple):
    W: Array
    value: Array
    gradient: Array
    state: Any
    status: Array
    step: Array
    idle: Array
    runaway: Array
    best_value: Array
    best_norm: Array
    decrement: Array
    spread: Array
    history: Array
    rows: Array
    stride: Array


def gradient_scale(problem: Problem) -> Array:
    """a_d, (D,): Σ_n s_n |x_nd| plus α on penalised columns (S21 a, b) and |γ| for the self-regulariser (S21d)."""
    X = jnp.abs(problem.X.astype(problem.dtype))
    scale = jnp.einsum("n,nd->d", problem.sample_weight, X, precision=jax.lax.Precision.HIGHEST)
    for penalty in problem.regularizer:
        if isinstance(penalty, (L2, LogCosh)):
            columns = jnp.ones_like(scale)
            if problem.intercept and not penalty.penalize_intercept:
                columns = columns.at[-1].set(0)
            scale = scale + jnp.asarray(penalty.alpha, scale.dtype) * columns
        elif isinstance(penalty, SelfRegularizer):
            scale = scale + jnp.abs(jnp.asarray(penalty.gamma, scale.dtype))
    return scale


def scaled_gradient(gradient: Array, scale: Array) -> Array:
    """max_cd |g_cd| / a_d; columns with a_d = 0 (no sample, no penalty) take no part."""
    ratio = jnp.where(scale > 0, jnp.abs(gradient) / jnp.where(scale > 0, scale, 1), 0)
    return jnp.max(ratio, initial=0.0)


def loss_rounding(W: Array, value: Array, problem: Problem, scale: Array) -> Array:
    """A bound on the rounding error of the computed loss.

    The terms of S1 are non-negative, so summing N of them costs eps·(8 + √N)·L. A logit errs by at most
    γ_D Σ_d |x_nd w_cd|, γ_D = D·eps; the loss moves by at most Σ_c |y - t|_nc <= 2 times that, so summed over the
    samples by 2·γ_D·Σ_d a_d max_c |w_cd|.
    """
    eps = jnp.finfo(W.dtype).eps
    N, D = problem.X.shape
    summing = eps * (8 + N**0.5) * jnp.abs(value)
    logits = 2 * D * eps * jnp.sum(scale * jnp.max(jnp.abs(W), axis=0))
    return summing + logits


def attains_for_certain(problem: Problem) -> Array:
    """True where a theorem, not a computation, says that a minimiser exists (S9, S21).

    All targets of the samples that take part positive [NR]; an L2 or log-cosh penalty on every column; a
    self-regulariser; or an L2 or log-cosh penalty that leaves the intercept out when every class has positive mass.
    """
    takes_part = problem.sample_weight > 0
    known = jnp.all(jnp.where(takes_part[:, None], problem.T > 0, True))
    for penalty in problem.regularizer:
        if isinstance(penalty, SelfRegularizer):
            known = known | (jnp.asarray(penalty.gamma) != 0)
        elif isinstance(penalty, (L2, LogCosh)):
            positive = jnp.asarray(penalty.alpha) > 0
            if problem.intercept and not penalty.penalize_intercept:
                present = jnp.any((problem.T > 0) & takes_part[:, None], axis=0)
                positive = positive & jnp.all(present)
            known = known | positive
    return known


def _norm(x: Array) -> Array:
    """Frobenius norm that neither overflows nor underflows on the way."""
    top = jnp.max(jnp.abs(x), initial=0.0)
    unit = jnp.where((top > 0) & jnp.isfinite(top), top, 1)
    return unit * jnp.sqrt(jnp.sum((x / unit) ** 2))


def _record(carry: _Carry, norm: Array, step_size: Array) -> _Carry:
    """Write the present point into the history if its step number is a multiple of the stride.

    When the buffer is full every second row is dropped and the stride doubles, so the rows always are the steps
    0, stride, 2·stride, …: a run of any length fits and stays evenly spaced.
    """

    def thin(c: _Carry) -> _Carry:
        kept = c.history[::2]
        history = jnp.concatenate([kept, jnp.zeros_like(kept)])
        return c._replace(history=history, rows=c.rows // 2, stride=c.stride * 2)

    carry = jax.lax.cond(carry.rows >= HISTORY_ROWS, thin, lambda c: c, carry)
    row = jnp.stack([carry.value, norm, _norm(carry.W), step_size]).astype(carry.history.dtype)
    due = carry.step % carry.stride == 0
    place = jnp.minimum(carry.rows, HISTORY_ROWS - 1)
    history = jnp.where(due, carry.history.at[place].set(row), carry.history)
    return carry._replace(history=history, rows=carry.rows + due.astype(carry.rows.dtype))


@partial(jax.jit, static_argnames=("method", "where"))
def run(
    method: Method,
    where: Placement,
    problem: Problem,
    W0: Array,
    tolerance: Array,
    max_steps: Array,
    runaway_below: Array,
    constants: Any,
) -> LoopResult:
    """Run `method` from W0 until the scaled gradient is at most `tolerance`, or until one of the other endings.

    Args:
        method: static.
        where: static; `blocks.placement(problem)`, decided outside jit.
        problem: traced.
        W0: (C, D) in the compute dtype.
        tolerance: scalar; the scaled gradient must reach it (and the method be `ready`).
        max_steps: integer scalar.
        runaway_below: scalar; only below this scaled gradient may a run that keeps moving be called DIVERGING.
        constants: what `method.constants(problem)` returned.
    """
    dtype = W0.dtype
    scale = gradient_scale(problem)
    attains = attains_for_certain(problem)
    nan = jnp.asarray(jnp.nan, dtype)
    zero = jnp.zeros((), jnp.int32)

    def evaluate(W: Array) -> tuple[Array, Array]:
        value, gradient = fused_value_and_gradient(W, problem, where)
        value = value + penalty_value(W, problem)
        return value.astype(dtype), (gradient + penalty_gradient(W, problem)).astype(dtype)

    def proceed(carry: _Carry) -> Array:
        return carry.status == RUNNING

    def move(carry: _Carry, proposal: Proposal) -> _Carry:
        value, gradient = evaluate(proposal.W)
        norm = _norm(gradient)
        finite = jnp.isfinite(value) & jnp.isfinite(norm) & jnp.all(jnp.isfinite(proposal.W))
        idle = jnp.where((value < carry.best_value) | (norm < carry.best_norm), 0, carry.idle + 1).astype(jnp.int32)
        rose = value > carry.value + 2 * loss_rounding(carry.W, carry.value, problem, scale)
        refused = rose if method.monotone else jnp.zeros((), bool)
        status = jnp.where(refused | (idle >= method.patience), STALLED, RUNNING)
        status = jnp.where(finite, status, NONFINITE).astype(jnp.int32)
        accepted = finite & ~refused
        here = carry._replace(
            W=proposal.W,
            value=value,
            gradient=gradient,
            state=proposal.state,
            step=carry.step + 1,
            idle=idle,
            best_value=jnp.minimum(carry.best_value, value),
            best_norm=jnp.minimum(carry.best_norm, norm),
        )
        # Roll back: a step that left the finite numbers, or broke a promise of descent, was never taken.
        after = jax.tree.map(partial(jnp.where, accepted), here, carry)
        return after._replace(status=status)

    def body(carry: _Carry) -> _Carry:
        point = Point(carry.W, carry.value, carry.gradient, carry.idle)
        proposal = method.propose(point, problem, constants, carry.state)
        carry = carry._replace(decrement=proposal.decrement.astype(dtype), spread=proposal.spread.astype(dtype))
        carry = _record(carry, _norm(carry.gradient), proposal.step_size)
        small = scaled_gradient(carry.gradient, scale)
        moving = (small <= runaway_below) & (proposal.spread >= RUNAWAY_RANGE) & ~attains
        runaway = jnp.where(moving, carry.runaway + 1, 0).astype(jnp.int32)
        carry = carry._replace(runaway=runaway)
        status = jnp.where(carry.step >= max_steps, STEP_LIMIT, RUNNING)
        status = jnp.where(runaway >= RUNAWAY_STEPS, DIVERGING, status)
        status = jnp.where((small <= tolerance) & proposal.ready, GRADIENT_TOLERANCE, status).astype(jnp.int32)
        stop = status != RUNNING
        return jax.lax.cond(stop, lambda c, p: c._replace(status=status), move, carry, proposal)

    value, gradient = evaluate(W0)
    norm = _norm(gradient)
    finite = jnp.isfinite(value) & jnp.isfinite(norm)
    state = method.begin(Point(W0, value, gradient, zero), problem, constants)
    start = _Carry(
        W=W0,
        value=value,
        gradient=gradient,
        state=state,
        status=jnp.where(finite, RUNNING, NONFINITE).astype(jnp.int32),
        step=zero,
        idle=zero,
        runaway=zero,
        best_value=value,
        best_norm=norm,
        decrement=nan,
        spread=nan,
        history=jnp.zeros((HISTORY_ROWS, len(HISTORY_COLUMNS)), dtype),
        rows=zero,
        stride=zero + 1,
    )
    end = jax.lax.while_loop(proceed, body, start)
    return LoopResult(
        W=end.W,
        value=end.value,
        gradient=end.gradient,
        gradient_norm=_norm(end.gradient),
        scaled_gradient=scaled_gradient(end.gradient, scale),
        status=end.status,
        steps=end.step,
        decrement=end.decrement,
        spread=end.spread,
        history=end.history,
        rows=end.rows,
        stride=end.stride,
    )
