"""The compiled loop: scale-free stopping, traces, history, rollback (S2, S9, S16, S21)."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.problem.dtypes import widened
from jaxsoftmax.training.judge import history_table
from jaxsoftmax.training.loop import run as loop
from jaxsoftmax.training.loop import stopping
from jaxsoftmax.training.loop.protocol import InnerSolve, Method, Proposal

RNG = np.random.default_rng(20240)
X = RNG.normal(size=(12, 3)).astype(np.float32)
T = RNG.dirichlet(np.ones(3), size=12).astype(np.float32)
TRACES: list[str] = []


@dataclasses.dataclass(frozen=True)
class Scripted(Method):
    """Gradient descent at a fixed step that counts its traces and misbehaves at a given step."""

    mishap: str = ""
    at: int = 3
    patience: ClassVar[int] = 20
    monotone: ClassVar[bool] = True
    halt_words: ClassVar[str] = "Scripted."
    name: ClassVar[str] = "scripted"

    def constants(self, problem, key):
        return np.float32(0.05)

    def begin(self, point, oracle, constants):
        return jnp.zeros((), jnp.int32)

    def propose(self, point, oracle, constants, state):
        TRACES.append(self.mishap)
        now = state == self.at
        W = point.W - constants * point.gradient
        if self.mishap == "nan":
            W = jnp.where(now, jnp.nan, W)
        elif self.mishap == "ascend":
            W = jnp.where(now, point.W + 5 * point.gradient, W)
        elif self.mishap == "stand":
            W = jnp.where(state >= self.at, point.W, W)
        halt = (state >= self.at) if self.mishap == "halt" else None
        return Proposal(W, constants.astype(point.W.dtype), state + 1, halt=halt)


def go(method, problem, tolerance=0.0, steps=50, W0=None, progress=None):
    W0 = jnp.zeros((problem.C, problem.D), problem.dtype) if W0 is None else jnp.asarray(W0, problem.dtype)
    kind = problem.dtype.type
    limits = loop.Limits(kind(tolerance), np.int32(steps), kind(0))
    return loop.run(method, placement(problem), problem, W0, limits, method.constants(problem, None), progress)[0]


def scaled(problem, W):
    g = js.gradient(W, problem)
    return float(stopping.scaled_gradient(g, stopping.gradient_scale(problem)))


W1 = RNG.normal(size=(3, 3)).astype(np.float32)


def test_scaled_gradient_is_at_most_one_and_does_not_see_units_weights_or_repetition():
    """S2: |y - t| <= 1 bounds every entry by a_d, and both sides scale alike. Powers of two, so to rounding only."""
    base = scaled(js.Problem(X, T), W1)
    assert 0 < base <= 1
    units = np.float32([2**10, 1, 2**-7])
    # Rounding: N + D + a few operations per entry, each at most eps relative to a_d.
    close = pytest.approx(base, abs=30 * float(np.finfo(np.float32).eps))
    assert scaled(js.Problem(X * units, T), W1 / units) == close
    assert scaled(js.Problem(X, T, sample_weight=np.full(12, 8.0, np.float32)), W1) == close
    assert scaled(js.Problem(np.vstack([X, X]), np.vstack([T, T])), W1) == close


def test_scaled_gradient_leaves_out_columns_that_no_sample_has():
    """S6: a column of zeros has gradient 0 and scale 0; 0/0 must not become NaN."""
    Z = X.copy()
    Z[:, 1] = 0
    assert np.isfinite(scaled(js.Problem(Z, T), W1)) and scaled(js.Problem(Z, T), W1) > 0


def test_gradient_scale_counts_regularisers():
    """S21 a, b, d: α on penalised columns (the intercept left out), |γ| on every column."""
    y = np.arange(12) % 3
    plain = stopping.gradient_scale(js.Problem.from_labels(X, y))
    ridge = stopping.gradient_scale(js.Problem.from_labels(X, y, regularizer=js.L2(2.0)))
    own = stopping.gradient_scale(js.Problem.from_labels(X, y, regularizer=js.SelfRegularizer(-0.5)))
    np.testing.assert_allclose(ridge - plain, [2, 2, 2, 0], atol=1e-5)
    np.testing.assert_allclose(own - plain, 0.5, atol=1e-5)
    cosh = loop.gradient_scale(js.Problem.from_labels(X, y, regularizer=js.LogCosh(2.0, 5.0)))
    np.testing.assert_allclose(cosh - plain, [2, 2, 2, 0], atol=1e-5)


@pytest.mark.slow
def test_everything_but_the_method_and_the_shapes_is_traced_once():
    """Tolerance, step limit, penalties and data of the same shape trace nothing."""
    method = Scripted("count")
    TRACES.clear()
    ridge = js.Problem(X, T, regularizer=js.L2(0.1))
    go(method, ridge)
    first = TRACES.count("count")
    assert first >= 1
    go(method, ridge, tolerance=1e-3)
    go(method, ridge, steps=7)
    go(method, js.Problem(X, T, regularizer=js.L2(3.0)))
    go(method, js.Problem(X[::-1] * 2, T, sample_weight=np.arange(12.0), regularizer=js.L2(0.1)))
    go(Scripted("count"), ridge)
    assert TRACES.count("count") == first


def test_history_of_a_long_run_is_thinned_evenly():
    """5000 steps fit into 1024 rows: steps 0, stride, 2·stride, …, with the values of an unthinned twin."""
    problem = js.Problem(X, T)
    raw = go(Patient(), problem, tolerance=-1.0, steps=300)
    table = history_table(raw)
    assert table["step"].tolist() == list(range(301))
    long = go(Patient(), problem, tolerance=-1.0, steps=5000)
    thin = history_table(long)
    stride = int(long.stride)
    assert stride == 8 and int(long.rows) <= loop.HISTORY_ROWS
    assert thin["step"].tolist() == [*range(0, 5001, stride)]
    shared = thin["step"][thin["step"] <= 300]
    np.testing.assert_array_equal(thin["loss"][: shared.size], table["loss"][shared])
    np.testing.assert_array_equal(thin["weight_norm"][: shared.size], table["weight_norm"][shared])


@dataclasses.dataclass(frozen=True)
class Patient(Scripted):
    """The same steps without stalling at the rounding level."""

    patience: ClassVar[int] = 10**6


@pytest.mark.parametrize(("mishap", "status"), fast([("nan", loop.NONFINITE), ("ascend", loop.STALLED)], 0))
def test_a_bad_step_is_rolled_back(mishap, status):
    """A step into NaN, or one that breaks S16's promise of descent, was never taken: the last good point stays."""
    problem = js.Problem(X, T)
    bad, good = go(Scripted(mishap), problem), go(Scripted(), problem, steps=3)
    assert bad.status == status and bad.step == 3
    np.testing.assert_array_equal(bad.W, good.W)
    assert bad.value == good.value == pytest.approx(float(js.loss(bad.W, problem)), rel=1e-6)


@pytest.mark.slow
def test_standing_still_is_stalled_after_patience():
    raw = go(Scripted("stand"), js.Problem(X, T))
    assert raw.status == loop.STALLED and raw.step == 3 + Scripted.patience


def test_nonfinite_start_is_reported_without_a_step():
    raw = go(Scripted(), js.Problem(X, T), W0=np.full((3, 3), np.nan))
    assert raw.status == loop.NONFINITE and raw.step == 0


def test_loss_rounding_bounds_the_error_of_a_float32_loss():
    """The allowance beyond which a rise refutes S16, against the same loss in float64."""
    for scale in (1.0, 30.0, 1000.0):
        W = (scale * W1).astype(np.float32)
        problem = js.Problem(X, T)
        value = js.loss(W, problem)
        bound = float(stopping.loss_rounding(jnp.asarray(W), value, problem, stopping.gradient_scale(problem)))
        with jax.enable_x64(True):
            truth = float(js.loss(W.astype(float), widened(problem)))
        assert abs(float(value) - truth) <= bound <= 0.05 * max(1.0, scale)


def test_attainment_by_theorem_alone():
    """S9, S21: positive targets, a full penalty, the self-regulariser; L2 beside a free intercept, no class absent."""
    y = np.arange(12) % 3

    def known(**options):
        return bool(stopping.attains_for_certain(js.Problem.from_labels(X, y, **options)))

    assert not known()
    assert known(label_smoothing=0.1)
    assert known(regularizer=js.L2(0.1))
    assert known(regularizer=js.L2(0.1), intercept=False)
    assert not known(regularizer=js.L2(0.0), intercept=False)
    assert not known(regularizer=js.L2(0.1), classes=[0, 1, 2, 3])
    assert known(regularizer=js.L2(0.1, penalize_intercept=True), classes=[0, 1, 2, 3])
    assert known(regularizer=js.LogCosh(0.1, 2.0))
    assert not known(regularizer=js.LogCosh(0.0, 2.0), intercept=False)
    assert not known(regularizer=js.LogCosh(0.1, 2.0), classes=[0, 1, 2, 3])
    assert known(regularizer=js.LogCosh(0.1, 2.0, penalize_intercept=True), classes=[0, 1, 2, 3])
    assert known(regularizer=js.SelfRegularizer(0.1))
    one = np.float32([[1, 0, 0]] + [[0.5, 0.25, 0.25]] * 11)
    s = np.ones(12, np.float32)
    assert not bool(stopping.attains_for_certain(js.Problem(X, one)))
    s[0] = 0  # a sample of weight 0 takes no part
    assert bool(stopping.attains_for_certain(js.Problem(X, one, sample_weight=s)))


def test_a_methods_own_stop_is_reported_where_it_stands():
    raw = go(Scripted("halt"), js.Problem(X, T))
    assert raw.status == loop.HALTED and raw.step == 3


class Script(NamedTuple):
    """What happens at each step: the loss and the gradient norm reached, and what the method says before it."""

    values: np.ndarray
    norms: np.ndarray
    spread: np.ndarray
    ready: np.ndarray


@dataclasses.dataclass(frozen=True)
class Told(Method):
    """Does what its constants say, which are traced: one compilation for every story."""

    patience: ClassVar[int] = 5
    name: ClassVar[str] = "told"

    def begin(self, point, oracle, constants):
        return jnp.zeros((), jnp.int32)

    def propose(self, point, oracle, constants, state):
        unit = jnp.zeros((3, 3)).at[0, 0].set(1.0)
        evaluated = (constants.values[state], constants.norms[state] * unit)
        spread, ready = constants.spread[state], constants.ready[state]
        return Proposal(point.W, point.value, state + 1, spread=spread, ready=ready, evaluated=evaluated)


LONG = 12  # steps of a story, more than the patience
DOWN, FLAT = (8 - 0.5 * np.arange(LONG + 1)).astype(np.float32), np.full(LONG + 1, 8.0, np.float32)
ONE_CLASS = np.eye(3, dtype=np.float32)[[0] * 12]  # no theorem says that a minimiser exists; the loss at 0 is above 13


@dataclasses.dataclass(frozen=True)
class Promised(Told):
    """The same of a method that promises descent, and whose weights leave the numbers where it is ready."""

    monotone: ClassVar[bool] = True

    def propose(self, point, oracle, constants, state):
        made = super().propose(point, oracle, constants, state)
        return made._replace(W=jnp.where(made.ready, jnp.inf, made.W), ready=None)


def told(
    values=DOWN,
    norms=FLAT,
    spread=0.0,
    ready=True,
    tolerance=-1.0,
    runaway_below=-1.0,
    targets=ONE_CLASS,
    method=Told(),
):
    """(status, steps) of a story; the gradient's norms are hundredths, below the one at W = 0."""
    problem = js.Problem(X, targets)
    story = Script(values, norms / 100, *(np.broadcast_to(v, LONG + 1) for v in (np.float32(spread), ready)))
    limits = loop.Limits(np.float32(tolerance), np.int32(LONG), np.float32(runaway_below))
    raw = loop.run(method, placement(problem), problem, jnp.zeros((3, 3)), limits, story)[0]
    return int(raw.status), int(raw.step)


def test_a_step_is_idle_only_where_neither_loss_nor_gradient_improves():
    """Either record is progress: STALLED after `patience` steps without one, and not before."""
    assert told(DOWN, FLAT) == (loop.STEP_LIMIT, LONG)
    assert told(FLAT, DOWN) == (loop.STEP_LIMIT, LONG)
    assert told(FLAT, FLAT) == (loop.STALLED, 1 + Told.patience)
    assert told(DOWN[::-1].copy(), FLAT) == (loop.STALLED, 1 + Told.patience)
    again = np.where(np.arange(LONG + 1) >= 4, np.float32(7), FLAT)  # one record in between
    assert told(again, FLAT) == (loop.STALLED, 5 + Told.patience)


def test_a_rise_breaks_a_promise_of_descent_beyond_twice_the_loss_rounding():
    """S16: at W = 0 the loss 8 of N = 12 samples errs by eps (8 + √12) 8 at most, and so does the one after it."""
    unit = float(np.finfo(np.float32).eps) * (8 + 12**0.5) * 8
    for factor, ending in ((1.95, (loop.STEP_LIMIT, LONG)), (2.05, (loop.STALLED, 1))):
        rising = (8 + factor * unit * np.arange(LONG + 1)).astype(np.float32)
        assert told(rising, DOWN, ready=False, method=Promised()) == ending


def test_infinite_weights_are_no_step_whatever_loss_is_said():
    """A method may hand over a finite loss with weights that left the numbers: the last good point stays."""
    assert told(ready=np.arange(LONG + 1) >= 4, method=Promised()) == (loop.NONFINITE, 4)


def test_running_away_is_three_long_steps_in_a_row_below_the_tolerance():
    """S9: a small gradient whose method still moves logits by 0.5, unless a theorem says that a minimiser exists."""
    assert told(spread=0.5, runaway_below=1.0) == (loop.DIVERGING, loop.RUNAWAY_STEPS - 1)
    assert told(spread=0.49, runaway_below=1.0) == (loop.STEP_LIMIT, LONG)
    assert told(spread=0.5, runaway_below=1e-3) == (loop.STEP_LIMIT, LONG)  # the scaled gradient is above that
    short = np.full(LONG + 1, 0.5)
    short[2::3] = 0.1  # every third step is short
    assert told(spread=short, runaway_below=1.0) == (loop.STEP_LIMIT, LONG)
    assert told(spread=0.5, runaway_below=1.0, targets=T) == (loop.STEP_LIMIT, LONG)  # positive targets


def test_a_tolerance_counts_where_the_method_is_ready():
    """GRADIENT_TOLERANCE comes before the other endings, and waits for the method's own condition."""
    assert told(tolerance=1.0) == (loop.GRADIENT_TOLERANCE, 0)
    assert told(tolerance=1.0, ready=False) == (loop.STEP_LIMIT, LONG)
    assert told(tolerance=1.0, ready=np.arange(LONG + 1) >= 3) == (loop.GRADIENT_TOLERANCE, 3)
    assert told(tolerance=1.0, ready=np.arange(LONG + 1) >= 2, spread=0.5, runaway_below=1.0) == (
        loop.GRADIENT_TOLERANCE,
        2,
    )


def test_chunks_change_no_number():
    """A run in one chunk and one whose host looked in between are the same, bit by bit; progress sees it grow."""
    seen = []
    problem = js.Problem(X, T)
    whole = go(Patient(), problem, tolerance=-1.0, steps=300)
    again = go(Patient(), problem, tolerance=-1.0, steps=300, progress=seen.append)
    for one, other in zip(whole[:-2], again[:-2], strict=True):
        np.testing.assert_array_equal(one, other)
    steps = [p.step for p in seen]
    assert len(steps) >= 2 and steps == sorted(set(steps)) and steps[-1] == 300
    last = seen[-1]
    assert last.max_steps == 300 and last.loss == whole.value and last.seconds > 0
    assert last.scaled_gradient == pytest.approx(loop.largest_ratio(whole.gradient, whole.scale), rel=0)


@dataclasses.dataclass(frozen=True)
class Wearing(Scripted):
    """Its constants are worn out at every third step; the host renews them, or does not."""

    renews: bool = True

    def inner_solve(self, constants):
        return InnerSolve(0, "majorant", "float32", 0.0)

    def is_worn(self, constants, state):
        return state >= 3

    def renew(self, problem, W, constants, state, solved):
        return (constants, jnp.zeros_like(state), solved) if self.renews and int(state) >= 3 else None


@pytest.mark.slow
def test_worn_constants_are_renewed_at_once_and_not_at_the_end_of_a_chunk():
    """The loop comes back to the host as soon as the method asks; where nothing is renewed, it still goes on."""
    problem = js.Problem(X, T)
    for renews, steps in ((True, (0, 3, 6, 9)), (False, (0,))):
        method = Wearing(renews=renews)
        limits, start = loop.Limits(np.float32(-1), np.int32(11), np.float32(0)), jnp.zeros((3, 3))
        raw, _, solves = loop.run(method, placement(problem), problem, start, limits, method.constants(problem, None))
        assert raw.step == 11 and tuple(solve.step for solve in solves) == steps


def test_the_time_left_is_told_only_where_there_is_a_pace():
    """10 s for 4 steps, so 15 s for the 6 that may come; before the first step all the time was compilation."""
    told = loop.Progress(step=4, max_steps=10, loss=1.0, scaled_gradient=0.5, seconds=10.0)
    assert told.words().startswith("training: up to 15 s left at this pace, step 4 of 10, loss 1,")
    assert told._replace(step=0).words().startswith("training: step 0 of 10, loss 1,")


def test_ctrl_c_keeps_what_is_done():
    """KeyboardInterrupt while a chunk is under way: the point reached, status INTERRUPTED, history up to there."""
    problem = js.Problem(X, T)
    calls = []
    real = loop.advance

    def pressed(*args):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(args)
        return real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "advance", pressed)
        raw = go(Patient(), problem, tolerance=-1.0, steps=10**6)
    assert raw.status == loop.INTERRUPTED and 0 < raw.step < 10**6
    table = history_table(raw)
    assert table["step"][-1] == raw.step and np.all(np.isfinite(table["loss"]))
    same = go(Patient(), problem, tolerance=-1.0, steps=int(raw.step))
    np.testing.assert_array_equal(raw.W, same.W)


@dataclasses.dataclass(frozen=True)
class Shifty(Scripted):
    """A method whose state grows."""

    def propose(self, point, oracle, constants, state):
        return super().propose(point, oracle, constants, state)._replace(state=jnp.zeros(2, jnp.int32))


def test_a_state_that_changes_its_shape_is_named():
    with pytest.raises(TypeError, match=r"state of scripted changes its shape in a step, from \(\) to \(2,\)"):
        go(Shifty("shape"), js.Problem(X, T))
