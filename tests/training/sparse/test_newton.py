"""Newton's direction from products: the preconditioner, conjugate gradients, and steps that keep S8's promise."""

import itertools

import jax
import numpy as np
import pytest

from helpers.sparse_objective import C, made, matrix_of
from jaxsoftmax.training.loop.run import GRADIENT_TOLERANCE, STALLED, STEP_LIMIT, Limits
from jaxsoftmax.training.sparse import newton as module
from jaxsoftmax.training.sparse.newton import conjugate_gradients, inverse_diagonal, minimise

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
