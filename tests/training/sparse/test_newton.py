"""Newton's direction from products: the preconditioner, conjugate gradients, and steps that keep S8's promise."""

import itertools
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from helpers.sparse_objective import C, made, matrix_of
from jaxsoftmax.training.loop.run import DIVERGING, GRADIENT_TOLERANCE, STALLED, STEP_LIMIT, Limits
from jaxsoftmax.training.sparse import newton as module
from jaxsoftmax.training.sparse.newton import Direction, conjugate_gradients, inverse_diagonal, minimise

EPS = float(np.finfo(np.float64).eps)


def test_the_preconditioner_inverts_the_diagonal_off_the_gauge():
    """S3, S4: the inverse of the diagonal's restriction to {1ᵀV = 0}, and 0 on what all classes share."""
    with jax.enable_x64(True):
        built, (X, *_), W, _ = made("float64", True)
        sample = built.at(built.rows.logits(W))
        M, D = built.diagonal(sample), X.shape[1]
        found = matrix_of(inverse_diagonal(built, sample), D)
    whole = np.zeros((D, C, D, C))
    for d in range(D):
        Q = np.linalg.qr(np.hstack([np.ones((C, 1)), np.eye(C)[:, :-1]]))[0][:, 1:]
        whole[d, :, d] = Q @ np.linalg.inv(Q.T @ np.diag(M[d]) @ Q) @ Q.T
    np.testing.assert_allclose(found, whole.reshape(D * C, D * C), rtol=0, atol=100 * EPS * np.max(whole))


def test_conjugate_gradients_solve_newtons_system():
    """H V = −g, S4, to the residual asked for; slope and curvature are λ² where the solve is exact."""
    with jax.enable_x64(True):
        built, (X, *_), W, _ = made("float64", True)
        W -= W.mean(axis=1, keepdims=True)
        sample, D = built.at(built.rows.logits(W)), X.shape[1]
        g = built.gradient(W, sample)
        H = matrix_of(lambda V: built.product(V, sample)[0], D)
        to = conjugate_gradients(built, sample, g, inverse_diagonal(built, sample), 1e-26)
    V = np.linalg.solve(H, -g.ravel()).reshape(D, C)
    V -= V.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(to.V, V, rtol=0, atol=1e-10)  # residual 1e-13 over a curvature of 1e-1
    np.testing.assert_allclose(to.U, X @ V, rtol=0, atol=1e-10)
    np.testing.assert_allclose([to.slope, to.curvature], -np.sum(g * V), rtol=1e-10)


@pytest.mark.parametrize(("tolerance", "status"), [(1e-10, STALLED), (1e3, GRADIENT_TOLERANCE)])
def test_a_direction_that_rounding_spoils_ends_the_run_without_a_gap(tolerance, status, monkeypatch):
    """A preconditioner that rounding left indefinite gives no direction: its λ² of 0 is no gap of 0."""
    monkeypatch.setattr(module, "inverse_diagonal", lambda *_: np.negative)
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True)
        run = minimise(built, W, Limits(tolerance, 50, tolerance), True, None, 0.0)
    assert run.status == status
    assert np.isnan(run.decrement)
    assert np.linalg.norm(run.gradient) > 0


@pytest.mark.parametrize(("most", "status"), [(50, GRADIENT_TOLERANCE), (2, STEP_LIMIT)])
def test_every_step_lowers_the_loss_and_the_last_point_is_kept(most, status):
    """S8, from a far start."""
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True)
        run = minimise(built, 5 * W, Limits(1e-10, most, 1e-10), True, None, 0.0)
        sample = built.at(built.rows.logits(run.W))
        value, gradient = built.value(run.W, sample), built.gradient(run.W, sample)
    losses = [row[0] for row in run.history] + [run.value]
    assert run.status == status
    assert len(run.history) <= most
    assert all(after < before for before, after in itertools.pairwise(losses) if before - run.value > 1e-9)
    assert abs(value - run.value) <= 100 * EPS * value
    np.testing.assert_allclose(gradient, run.gradient, rtol=0, atol=1e-12)


def test_ctrl_c_keeps_the_last_point():
    calls = []

    def stop(progress):
        calls.append(progress)
        raise KeyboardInterrupt

    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True)
        run = minimise(built, W, Limits(1e-10, 9, 1e-10), True, stop, 0.0)
    assert calls[0].step == 0
    assert np.array_equal(run.W, W - W.mean(axis=1, keepdims=True))


# A direction with a = 4, b = 2 and logits of range ρ = 2, as in `test_damping.py`: S8's step and its promise.
SAFE = float(np.log1p(2 * 4 / 2) / 2)
PROMISE = 4 * SAFE - 2 * (np.expm1(2 * SAFE) - 2 * SAFE) / 4


def stepped(loss, rho=2.0, curvature=2.0):
    """The step that is taken from W = 0 along V = 1, where `loss` is a function of the step and 10 at 0."""
    stub = SimpleNamespace(dtype=np.dtype(np.float64), s=np.ones(1), at=lambda Z: Z, value=lambda W, _: loss(W[0, 0]))
    to = Direction(np.ones((1, 2)), np.array([[0.0, rho]]), 4.0, curvature, 1)
    with jax.enable_x64(True):
        t, W, Z, _, value = module._damped(stub, np.zeros((1, 2)), np.zeros((1, 2)), 10.0, to)
    np.testing.assert_array_equal([W[0, 0], Z[0, 1], value], [t, t * rho, loss(t)])
    return t


def test_a_step_is_the_longest_half_that_keeps_s8s_promise_and_a_quarter_of_the_slopes():
    """log(1 + ρa/b)/ρ where the loss does not fall; the full step where it falls by the larger of the two."""
    assert stepped(lambda t: 10.0) == pytest.approx(SAFE, rel=1e-12)
    assert stepped(lambda t: 10 - 1.01 * PROMISE) == 1.0
    assert stepped(lambda t: 10 - 0.99 * PROMISE) == pytest.approx(SAFE, rel=1e-12)
    # ρ = 200 makes the promise small: at t = 1 a quarter of the slope is 1, at ½ it is ½.
    assert stepped(lambda t: 10 - (0.9 if t > 0.6 else 0.51 if t > 0.3 else 0), rho=200.0) == 0.5
    # A curvature lost in rounding counts as half of the slope, 2.
    assert stepped(lambda t: 10.0, curvature=0.0) == pytest.approx(SAFE, rel=1e-12)
    # Without a range the step is a/b = 2, longer than 1, and the first to be tried.
    assert stepped(lambda t: 10.0, rho=0.0) == 2.0


def test_a_gap_is_small_beside_the_loss_or_its_rounding():
    """A 10⁻¹²th of the loss in float64; in float32 a thousandth of eps, which is more."""
    for dtype, limit in (("float64", 1e-12), ("float32", 1e-3 * 2.0**-23)):
        for factor, small in ((0.99, True), (1.01, False)):
            assert module._is_small(factor * limit * 5, -5.0, np.dtype(dtype)) is small


def rounding_of(X, W, value, scale):
    """Twice eps (8 + √N) |L| + 2 γ Σ_d a_d max_c |w_dc|, γ = eps times the entries of the longest row."""
    longest = int(np.count_nonzero(X[:, :-1], axis=1).max()) + 1
    return 2 * EPS * ((8 + len(X) ** 0.5) * value + 2 * longest * scale @ np.abs(W).max(axis=1))


def test_the_rounding_of_the_loss_counts_the_entries_of_the_longest_row():
    with jax.enable_x64(True):
        built, (X, *_), W, _ = made("float64", True)
        found = module._rounding(built, W, -7.0, built.scale())
    assert found == pytest.approx(rounding_of(X, W, 7.0, built.scale()), rel=1e-12, abs=0)


@pytest.mark.parametrize(("share", "steps"), [(0.9, module.PATIENCE), (1.1, 0)])
def test_a_step_that_raises_the_loss_beyond_its_rounding_was_never_taken(share, steps, monkeypatch):
    """Within it the run goes on, until PATIENCE steps have improved neither the loss nor the gradient."""
    with jax.enable_x64(True):
        built, (X, *_), W, _ = made("float64", True)
        W -= W.mean(axis=1, keepdims=True)
        value = built.value(W, built.at(built.rows.logits(W)))
        more = share * rounding_of(X, W, value, built.scale())

        def still(objective, W, Z, value, to):
            return 1.0, W, Z, objective.at(Z), value + more / (1 if share > 1 else module.PATIENCE)

        monkeypatch.setattr(module, "_damped", still)
        run = minimise(built, W, Limits(1e-30, 50, 1e-5), True, None, 0.0)
    assert run.status == STALLED and len(run.history) == steps


def test_what_all_classes_share_is_taken_out_where_a_penalty_acts():
    """S3, S21a: least at 0 on the features; the free intercept keeps its own."""
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True, (0.75, 0.0))
        run = minimise(built, W, Limits(1e-10, 0, 1e-10), True, None, 0.0)
    np.testing.assert_allclose(run.W[:-1], (W - W.mean(axis=1, keepdims=True))[:-1], rtol=0, atol=4 * EPS)
    np.testing.assert_array_equal(run.W[-1], W[-1])


@pytest.mark.parametrize("attains", [False, True])
def test_weights_that_keep_growing_are_told_unless_a_theorem_says_otherwise(attains):
    """S9: 11 samples, 7 columns, no penalty: a direction separates them."""
    with jax.enable_x64(True):
        built, _, W, _ = made("float64", True, (0.0, 0.0), "0")
        run = minimise(built, 0 * W, Limits(1e-5, 40, 1e-5), attains, None, 0.0)
    assert (run.status == DIVERGING) is not attains
