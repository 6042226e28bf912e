"""The one compiled training loop: stopping, history, rollback and status codes, the same for every method.

Two compiled functions, each traced once for a method and the shapes: `start` evaluates the first point, `advance` is
one `lax.while_loop` over steps. The method is static; the problem, the start, the tolerance, the step limit and the
method's constants are traced, so changing any of them (shapes and dtypes kept) traces nothing.

`run` calls `advance` in chunks of steps that take about a quarter of a second, and between chunks the host reports
progress and hears Ctrl-C. A chunk costs the host some 0.1 ms, so this is far below one percent of a long run, and
chunks change no number: the loop's whole memory is its carry.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.linalg.blocks import Placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.countdown import duration
from jaxsoftmax.training.loop.checkpoints import Checkpoints
from jaxsoftmax.training.loop.protocol import InnerSolve, Method, Oracle, Point, Proposal
from jaxsoftmax.training.loop.stopping import (
    frobenius,
    gradient_scale,
    scaled_gradient,
)

Array = jax.Array

RUNNING, GRADIENT_TOLERANCE, STEP_LIMIT, DIVERGING, STALLED, NONFINITE, INTERRUPTED, HALTED = range(8)

HISTORY_ROWS = 1024  # rows of the history buffer; a power of two, so that thinning by two keeps whole strides
HISTORY_COLUMNS = ("loss", "gradient_norm", "weight_norm", "step_size")

# A method whose direction keeps moving every sample's logits by this much while the gradient is already below the
# tolerance is running away: next to a minimiser the move goes to zero (quadratically for Newton).
RUNAWAY_RANGE = 0.5
RUNAWAY_STEPS = 3

CHUNK_SECONDS = 0.25
FIRST_CHUNK = 16  # steps, at most; fewer where one pass over the data is slow
FIRST_CHUNK_WORK = 3e8  # N·D·C·steps


class Progress(NamedTuple):
    """Where a run stands, as the host sees it between two chunks of steps, and when the end point is evaluated."""

    step: int
    max_steps: int
    loss: float
    scaled_gradient: float
    seconds: float
    phase: str = "training"  # then "end point", while that is evaluated

    def words(self) -> str:
        """The same as a line of text, with the time left should every step up to the limit be taken at this pace.

        Example:
            >>> from jaxsoftmax.training.loop.run import Progress
            >>> Progress(40, 200, 1.5, 2e-3, 3.21).words()
            'training: up to 13 s left at this pace, step 40 of 200, loss 1.5, scaled gradient 2.0e-03'
            >>> Progress(40, 200, 1.5, 2e-3, 3.21, "end point").words()
            'trained in 40 steps; evaluating the end point'
        """
        if self.phase == "end point":
            return f"trained in {self.step} steps; evaluating the end point"
        left = ""
        if self.step:  # before the first step there is no pace, only compilation
            rest = self.seconds / self.step * (self.max_steps - self.step)
            left = f"up to {duration(rest)} left at this pace, "
        return (
            f"training: {left}step {self.step} of {self.max_steps}, "
            f"loss {float(self.loss):.8g}, scaled gradient {float(self.scaled_gradient):.1e}"
        )


class Limits(NamedTuple):
    """When to stop, scalars that are traced.

    `tolerance`: the scaled gradient must reach it (and the method be `ready`). `max_steps`. `runaway_below`: only below
    this scaled gradient may a run that keeps moving be called DIVERGING.
    """

    tolerance: Any
    max_steps: Any
    runaway_below: Any


class Carry(NamedTuple):
    """The loop's whole memory, on the device. Of the rows of `history` the first `rows` are filled."""

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
    step_size: Array
    history: Array
    rows: Array
    stride: Array
    scale: Array  # a_d of the stopping test; the next two never change in a run
    attains: Array


def _held(state: Any, like: Any, name: str) -> Any:
    """`state` with the dtypes of `like` and no weak types, so that every step and every chunk is the same trace.

    Raises:
        TypeError: the method's state changes its structure or a shape from one step to the next.
    """
    if jax.tree.structure(state) != jax.tree.structure(like):
        raise TypeError(f"method: the state of {name} changes its structure in a step. It must keep one structure.")

    def cast(new: Array, old: Array) -> Array:
        if jnp.shape(new) != jnp.shape(old):
            raise TypeError(
                f"method: an array in the state of {name} changes its shape in a step, from {jnp.shape(old)} to "
                f"{jnp.shape(new)}. It must keep one shape."
            )
        if jnp.issubdtype(jnp.asarray(old).dtype, jax.dtypes.extended):  # a random key
            return new
        return jax.lax.convert_element_type(new, jnp.asarray(old).dtype)

    return jax.tree.map(cast, state, like)


def _record(carry: Carry, norm: Array, step_size: Array) -> Carry:
    """Write the present point into the history if its step number is a multiple of the stride.

    When the buffer is full every second row is dropped and the stride doubles, so the rows always are the steps
    0, stride, 2·stride, …: a run of any length fits and stays evenly spaced.
    """

    def thin(c: Carry) -> Carry:
        kept = c.history[::2]
        history = jnp.concatenate([kept, jnp.zeros_like(kept)])
        return c._replace(history=history, rows=c.rows // 2, stride=c.stride * 2)

    def write(c: Carry) -> Carry:
        c = jax.lax.cond(c.rows >= len(c.history), thin, lambda c: c, c)
        row = jnp.stack([c.value, norm, frobenius(c.W), step_size]).astype(c.history.dtype)
        # After thinning the step may no longer be due: it is then not written.
        due = c.step % c.stride == 0
        history = jnp.where(due, c.history.at[c.rows].set(row), c.history)
        return c._replace(history=history, rows=c.rows + due.astype(c.rows.dtype))

    return jax.lax.cond(carry.step % carry.stride == 0, write, lambda c: c, carry)


@partial(jax.jit, static_argnames=("method", "where", "history_rows"))
def start(
    method: Method, where: Placement, problem: Problem, W0: Array, constants: Any, history_rows: int = HISTORY_ROWS
) -> Carry:
    """The loop's memory before the first step, W0 (C, D) in the compute dtype; `history_rows` is a power of two."""
    return _start(method, Oracle(problem, where, gradient_scale(problem)), W0, constants, history_rows)


def _start(method: Method, oracle: Oracle, W0: Array, constants: Any, history_rows: int = HISTORY_ROWS) -> Carry:
    dtype = W0.dtype
    value, gradient = oracle.value_and_gradient(W0)
    norm = frobenius(gradient)
    zero = jnp.zeros((), jnp.int32)
    nan = jnp.asarray(jnp.nan, dtype)
    state = method.begin(Point(W0, value, gradient, zero), oracle, constants)
    return Carry(
        W=W0,
        value=value,
        gradient=gradient,
        state=_held(state, state, method.name),
        status=jnp.where(jnp.isfinite(value) & jnp.isfinite(norm), RUNNING, NONFINITE).astype(jnp.int32),
        step=zero,
        idle=zero,
        runaway=zero,
        best_value=value,
        best_norm=norm,
        decrement=nan,
        spread=nan,
        step_size=nan,
        history=jnp.zeros((history_rows, len(HISTORY_COLUMNS)), dtype),
        rows=zero,
        stride=zero + 1,
        scale=oracle.scale,
        attains=oracle.attains(),
    )


@partial(jax.jit, static_argnames=("method", "where"))
def advance(
    method: Method, where: Placement, problem: Problem, carry: Carry, constants: Any, until: Array, limits: Limits
) -> Carry:
    """Take steps until one of the endings, until step number `until`, or until the method's constants are worn out."""
    return _advance(method, Oracle(problem, where, carry.scale), carry, constants, until, limits)


def _advance(
    method: Method, oracle: Oracle, carry: Carry, constants: Any, until: Array | np.int32, limits: Limits
) -> Carry:
    dtype, first = carry.W.dtype, carry.step

    def proceed(carry: Carry) -> Array:
        # One step at least, lest a method that renews nothing stand still.
        worn = (carry.step > first) & method.is_worn(constants, carry.state)
        return (carry.status == RUNNING) & (carry.step < until) & ~worn

    def move(carry: Carry, proposal: Proposal) -> Carry:
        if proposal.evaluated is None:
            value, gradient = oracle.value_and_gradient(proposal.W)
        else:
            value, gradient = proposal.evaluated
        norm = frobenius(gradient)
        finite = jnp.isfinite(value) & jnp.isfinite(norm) & jnp.all(jnp.isfinite(proposal.W))
        idle = jnp.where((value < carry.best_value) | (norm < carry.best_norm), 0, carry.idle + 1).astype(jnp.int32)
        refused = jnp.zeros((), bool)
        if method.monotone:
            refused = value > carry.value + 2 * oracle.rounding(carry.W, carry.value)
        status = jnp.where(refused | (idle >= method.patience), STALLED, RUNNING)
        status = jnp.where(finite, status, NONFINITE).astype(jnp.int32)
        here = carry._replace(
            W=proposal.W,
            value=value,
            gradient=gradient,
            state=_held(proposal.state, carry.state, method.name),
            step=carry.step + 1,
            idle=idle,
            best_value=jnp.minimum(carry.best_value, value),
            best_norm=jnp.minimum(carry.best_norm, norm),
        )
        # Roll back: a step that left the finite numbers, or broke a promise of descent, was never taken.
        after = jax.lax.cond(finite & ~refused, lambda: here, lambda: carry)
        return after._replace(status=status)

    def body(carry: Carry) -> Carry:
        point = Point(carry.W, carry.value, carry.gradient, carry.idle)
        proposal = method.propose(point, oracle, constants, carry.state)
        step_size = proposal.step_size.astype(dtype)
        carry = _record(carry, frobenius(carry.gradient), step_size)._replace(step_size=step_size)
        small = scaled_gradient(carry.gradient, carry.scale)
        status = jnp.where(carry.step >= limits.max_steps, STEP_LIMIT, RUNNING)
        if proposal.halt is not None:
            status = jnp.where(proposal.halt, HALTED, status)
        if proposal.decrement is not None:
            carry = carry._replace(decrement=proposal.decrement.astype(dtype))
        if proposal.spread is not None:
            moving = (small <= limits.runaway_below) & (proposal.spread >= RUNAWAY_RANGE) & ~carry.attains
            runaway = jnp.where(moving, carry.runaway + 1, 0).astype(jnp.int32)
            carry = carry._replace(spread=proposal.spread.astype(dtype), runaway=runaway)
            status = jnp.where(runaway >= RUNAWAY_STEPS, DIVERGING, status)
        reached = small <= limits.tolerance
        if proposal.ready is not None:
            reached = reached & proposal.ready
        status = jnp.where(reached, GRADIENT_TOLERANCE, status).astype(jnp.int32)
        return jax.lax.cond(status != RUNNING, lambda c, p: c._replace(status=status), move, carry, proposal)

    return jax.lax.while_loop(proceed, body, carry)


def run(
    method: Method,
    where: Placement,
    problem: Problem,
    W0: Array,
    limits: Limits,
    constants: Any,
    progress: Callable[[Progress], None] | None = None,
    checkpoints: Checkpoints | None = None,
    oracle: Oracle | None = None,
) -> tuple[Carry, Any, tuple[InnerSolve, ...]]:
    """Run `method` from W0 until one of the endings: the carry as NumPy arrays, the constants at the end, the solves.

    Ctrl-C (KeyboardInterrupt, also one that `progress` raises) ends the run with status INTERRUPTED and what was done
    up to the last whole chunk. `progress` is called after each chunk, in the thread of the caller. Where `checkpoints`
    has one, the run goes on from there; neither it nor the chunks change a number.

    An `oracle` answers in place of the problem where the samples are not in memory: the loop is then not compiled, it
    runs one operation after another, and each chunk is one step.
    """
    began = time.perf_counter()
    if oracle is None:
        carry, go = start(method, where, problem, W0, constants), partial(advance, method, where, problem)
    else:
        with jax.disable_jit():
            carry, go = _start(method, oracle, W0, constants), _not_compiled(partial(_advance, method, oracle))
    # One step more than the limit: the last pass through the loop takes no step, it sees that the limit is reached.
    last, done, made, status, interrupted = int(limits.max_steps) + 1, 0, 0, RUNNING, False
    work = problem.N * problem.D * problem.C if oracle is None else np.inf
    first = size = int(np.clip(FIRST_CHUNK_WORK / work, 1, FIRST_CHUNK))
    first_solve = method.inner_solve(constants)
    solves = [] if first_solve is None else [first_solve]
    found = None if checkpoints is None else checkpoints.load((carry, method.kept(constants)))
    if found is not None:
        (carry, kept), notes = found
        solves, done = [InnerSolve(*row) for row in notes], int(carry.step)
        last = max(last, done + 1)  # a smaller limit than that of the run before is reached at once
        constants = method.with_kept(problem, constants, kept, solves[-1]) if solves else constants
    while True:
        before = time.perf_counter()
        try:
            after = go(carry, constants, np.int32(min(done + size, last)), limits)
            status, made = int(after.status), int(after.step) - done  # waits for the chunk
            carry, done = after, done + made
            # Compilation makes the first chunk look slow, so a chunk never gets smaller than the first one.
            elapsed = max(time.perf_counter() - before, 1e-6)
            size = int(min(8 * size, max(first, made * CHUNK_SECONDS / elapsed))) if oracle is None else 1
            if status == RUNNING and solves:
                renewed = method.renew(problem, carry.W, constants, carry.state, solves[-1]._replace(step=done))
                if renewed is not None:
                    constants, carry = renewed[0], carry._replace(state=renewed[1])
                    solves.append(renewed[2])
            if status == RUNNING and checkpoints is not None:
                checkpoints.save(done, (carry, method.kept(constants)), [list(solve) for solve in solves])
            if progress is not None:
                progress(told(carry, limits, began))
        except KeyboardInterrupt:
            interrupted = True
        if status != RUNNING or interrupted:
            break
    carry = jax.tree.map(np.asarray, carry._replace(state=()))
    if int(carry.status) == RUNNING:
        carry = carry._replace(status=np.int32(INTERRUPTED))
    return carry, constants, tuple(solves)


def _not_compiled(function: Callable[..., Carry]) -> Callable[..., Carry]:
    def called(*args: Any) -> Carry:
        with jax.disable_jit():
            return function(*args)

    return called


def told(carry: Carry, limits: Limits, began: float, phase: str = "training") -> Progress:
    """What `progress` is told about a point."""
    small, seconds = largest_ratio(carry.gradient, carry.scale), time.perf_counter() - began
    return Progress(int(carry.step), int(limits.max_steps), float(carry.value), small, seconds, phase)


def largest_ratio(gradient: Any, scale: Any) -> float:
    """max_cd |g_cd| / a_d, the number that the tolerance is compared with, on the host."""
    gradient, scale = np.asarray(gradient), np.asarray(scale)
    return float(np.max(np.abs(gradient[:, scale > 0]) / scale[scale > 0], initial=0.0))
