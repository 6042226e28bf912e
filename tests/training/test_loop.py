"""The compiled loop: scale-free stopping, traces, history, rollback (S2, S9, S16, S21)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax._widen import widened
from jaxsoftmax.calculus.blocks import placement
from jaxsoftmax.training import endings, loop
from jaxsoftmax.training.loop import Proposal

RNG = np.random.default_rng(20240)
X = RNG.normal(size=(12, 3)).astype(np.float32)
T = RNG.dirichlet(np.ones(3), size=12).astype(np.float32)
TRACES: list[str] = []


@dataclasses.dataclass(frozen=True)
class Scripted:
    """Gradient descent at a fixed step that counts its traces and misbehaves at a given step."""

    mishap: str = ""
    at: int = 3
    patience: ClassVar[int] = 20
    monotone: ClassVar[bool] = True
    name: ClassVar[str] = "scripted"

    def constants(self, problem):
        return np.float32(0.05)

    def begin(self, point, problem, constants):
        return jnp.zeros((), jnp.int32)

    def propose(self, point, problem, constants, state):
        TRACES.append(self.mishap)
        now = state == self.at
        W = point.W - constants * point.gradient
        if self.mishap == "nan":
            W = jnp.where(now, jnp.nan, W)
        elif self.mishap == "ascend":
            W = jnp.where(now, point.W + 5 * point.gradient, W)
        elif self.mishap == "stand":
            W = jnp.where(state >= self.at, point.W, W)
        nan = jnp.full((), jnp.nan, point.W.dtype)
        return Proposal(W, constants.astype(point.W.dtype), nan, nan, jnp.ones((), bool), state + 1)


def go(method, problem, tolerance=0.0, steps=50, W0=None):
    W0 = jnp.zeros((problem.C, problem.D), problem.dtype) if W0 is None else jnp.asarray(W0, problem.dtype)
    kind = problem.dtype.type
    raw = loop.run(
        method, placement(problem), problem, W0, kind(tolerance), np.int32(steps), kind(0), method.constants(problem)
    )
    return jax.tree.map(np.asarray, raw)


def scaled(problem, W):
    g = js.gradient(W, problem)
    return float(loop.scaled_gradient(g, loop.gradient_scale(problem)))


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
    plain = loop.gradient_scale(js.Problem.from_labels(X, y))
    ridge = loop.gradient_scale(js.Problem.from_labels(X, y, regularizer=js.L2(2.0)))
    own = loop.gradient_scale(js.Problem.from_labels(X, y, regularizer=js.SelfRegularizer(-0.5)))
    np.testing.assert_allclose(ridge - plain, [2, 2, 2, 0], atol=1e-5)
    np.testing.assert_allclose(own - plain, 0.5, atol=1e-5)
    cosh = loop.gradient_scale(js.Problem.from_labels(X, y, regularizer=js.LogCosh(2.0, 5.0)))
    np.testing.assert_allclose(cosh - plain, [2, 2, 2, 0], atol=1e-5)


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


@pytest.mark.parametrize("method", ["gd", "newton"])
def test_a_second_fit_traces_nothing(method):
    """Same shapes, other numbers, tolerance, limit, start, penalty and rank: no new entry in the loop's cache."""
    js.fit(js.Problem(X, T, regularizer=js.L2(0.1)), method, max_steps=3)
    before = loop.run._cache_size()
    deficient = np.stack([X[:, 0], X[:, 0], X[:, 2]], axis=1)
    js.fit(js.Problem(deficient, T, regularizer=js.L2(0.7)), method, max_steps=4, tol=1e-2, W0=W1)
    assert loop.run._cache_size() == before


def test_history_of_a_long_run_is_thinned_evenly():
    """5000 steps fit into 1024 rows: steps 0, stride, 2·stride, …, with the values of an unthinned twin."""
    problem = js.Problem(X, T)
    raw = go(Patient(), problem, tolerance=-1.0, steps=300)
    table = endings.history_table(raw)
    assert table["step"].tolist() == list(range(301))
    long = go(Patient(), problem, tolerance=-1.0, steps=5000)
    thin = endings.history_table(long)
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


@pytest.mark.parametrize(("mishap", "status"), [("nan", loop.NONFINITE), ("ascend", loop.STALLED)])
def test_a_bad_step_is_rolled_back(mishap, status):
    """A step into NaN, or one that breaks S16's promise of descent, was never taken: the last good point stays."""
    problem = js.Problem(X, T)
    bad, good = go(Scripted(mishap), problem), go(Scripted(), problem, steps=3)
    assert bad.status == status and bad.steps == 3
    np.testing.assert_array_equal(bad.W, good.W)
    assert bad.value == good.value == pytest.approx(float(js.loss(bad.W, problem)), rel=1e-6)


def test_standing_still_is_stalled_after_patience():
    raw = go(Scripted("stand"), js.Problem(X, T))
    assert raw.status == loop.STALLED and raw.steps == 3 + Scripted.patience


def test_nonfinite_start_is_reported_without_a_step():
    raw = go(Scripted(), js.Problem(X, T), W0=np.full((3, 3), np.nan))
    assert raw.status == loop.NONFINITE and raw.steps == 0


def test_loss_rounding_bounds_the_error_of_a_float32_loss():
    """The allowance beyond which a rise refutes S16, against the same loss in float64."""
    for scale in (1.0, 30.0, 1000.0):
        W = (scale * W1).astype(np.float32)
        problem = js.Problem(X, T)
        value = js.loss(W, problem)
        bound = float(loop.loss_rounding(jnp.asarray(W), value, problem, loop.gradient_scale(problem)))
        with jax.enable_x64(True):
            truth = float(js.loss(W.astype(float), widened(problem)))
        assert abs(float(value) - truth) <= bound <= 0.05 * max(1.0, scale)


def test_attainment_by_theorem_alone():
    """S9, S21: positive targets, a full penalty, the self-regulariser; L2 beside a free intercept, no class absent."""
    y = np.arange(12) % 3

    def known(**options):
        return bool(loop.attains_for_certain(js.Problem.from_labels(X, y, **options)))

    assert not known()
    assert known(smoothing=0.1)
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
    assert not bool(loop.attains_for_certain(js.Problem(X, one)))
    s[0] = 0  # a sample of weight 0 takes no part
    assert bool(loop.attains_for_certain(js.Problem(X, one, sample_weight=s)))
