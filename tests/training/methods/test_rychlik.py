"""The published trainer against a naive twin of the author's loop, its stop and its re-centring (S20)."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.training.methods import rychlik as published
from jaxsoftmax.training.result import Status

RNG = np.random.default_rng(20244)
X = RNG.normal(size=(20, 2)) * [1.0, 3.0]
T = RNG.dirichlet(2 * np.ones(3), size=20)
EPS = float(np.finfo(float).eps)


def loss_and_gradient(W, alpha):
    Z = X @ W.T
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    Y = E / E.sum(axis=1, keepdims=True)
    return -np.sum(T * np.log(Y)) + alpha / 2 * np.sum(W**2), (Y - T).T @ X + alpha * W


def authors_loop(W, epochs, alpha=0.0, first=None, every=100, least=1e-5):
    """Step, gradient, η, stop, re-centring, in the author's order: the points W, the steps taken, the last η."""
    _, G = loss_and_gradient(W, alpha)
    eta = 1 / (EPS + np.linalg.svd(G, compute_uv=False)[0]) if first is None else first
    points, steps = [W], []
    for epoch in range(1, epochs + 1):
        before, G_before = W, G
        W = W - eta * G
        steps.append(eta)
        _, G = loss_and_gradient(W, alpha)
        eta = np.sum((W - before) * (G - G_before)) / (EPS + np.sum((G - G_before) ** 2))
        if eta < least:
            points.append(W)
            break
        if epoch % every == 0:
            W = W - W.mean(axis=0)  # and G stays
        points.append(W)
    return points, steps, eta


FAR = RNG.normal(size=(3, 2)) + 5.0  # far from centred, so that re-centring shows


def agrees(result, points, steps, alpha, lost=1e3):
    """A BB step divides differences of weights and of gradients, whose cancellation loses digits: here three."""
    tolerance = {"rtol": lost * 50 * EPS}
    assert result.steps == len(steps)
    np.testing.assert_allclose(result.history["step_size"][: len(steps)], steps, **tolerance)
    there = [loss_and_gradient(W, alpha) for W in points]
    values, norms = [value for value, _ in there], [np.linalg.norm(G) for _, G in there]
    np.testing.assert_allclose(result.history["loss"], values, **tolerance)
    np.testing.assert_allclose(result.W, points[-1], atol=lost * 50 * EPS * np.abs(points[-1]).max(), rtol=0)
    # At W itself, re-centred or not: a gradient's entries are sums of 20 terms of size 3, less near the end.
    np.testing.assert_allclose(result.history["gradient_norm"], norms, rtol=1e-9)


def test_published_trainer_is_s20_to_the_letter(x64):
    """S20: first step 1/(eps + σ_max(∇L)), then ⟨ΔW, ΔG⟩/(eps + ‖ΔG‖²)."""
    points, steps, _ = authors_loop(FAR, 5)
    agrees(js.fit(js.Problem(X, T), "rychlik-bb", tol=0.0, max_steps=5, W0=FAR), points, steps, 0.0)


@pytest.mark.slow
def test_a_step_after_re_centring_goes_along_the_gradient_from_before(x64, monkeypatch):
    """S20, S21a: with L2 that gradient is stale, ΔW leaves the shift out, and the published run does just this.

    The first step is the 2·10⁻⁵ of two of the published programs; the stop would end the run before the first epoch if
    it looked at it (S20: it compares only the η of a step that was taken).
    """
    monkeypatch.setattr(published, "RECENTRE_EVERY", 2)  # compiled in: the first step makes this trainer one of its own
    monkeypatch.setattr(published, "LEAST_STEP", 2.5e-5)
    p = js.Problem(X, T, regularizer=js.L2(0.5))
    # The first step changes W by a part in 10⁴: its differences have five digits less.
    points, steps, _ = authors_loop(FAR, 7, 0.5, first=2e-5, every=2, least=2.5e-5)
    assert len(steps) == 7
    agrees(js.fit(p, "rychlik-bb", tol=0.0, max_steps=7, W0=FAR, learning_rate=2e-5), points, steps, 0.5, lost=1e5)


@pytest.mark.slow
def test_the_stop_comes_after_a_step_and_before_re_centring(x64, monkeypatch):
    """S20: at an η below the least step the point reached is kept as it is, also at an epoch that re-centres."""
    monkeypatch.setattr(published, "RECENTRE_EVERY", 3)
    monkeypatch.setattr(published, "LEAST_STEP", 0.0252)
    points, steps, eta = authors_loop(FAR, 20, first=0.0123, every=3, least=0.0252)
    assert eta < 0.0252 and len(steps) == 3
    assert np.abs(points[-1].mean(axis=0)).min() > 1  # kept as it is
    result = js.fit(js.Problem(X, T), "rychlik-bb", tol=0.0, max_steps=20, W0=FAR, learning_rate=0.0123)
    agrees(result, points, steps, 0.0)
    assert result.status is Status.STEP_LIMIT and "published stop" in result.reason


@pytest.mark.slow
def test_published_trainer_recentres_after_the_hundredth_epoch(x64, monkeypatch):
    """S20, S3: before it the class mean is W0's, after it 0; the loss does not see it."""
    monkeypatch.setattr(published, "LEAST_STEP", -np.inf)  # this problem is solved before the hundredth epoch
    p = js.Problem(X[:-4], T[:-4])  # a shape of its own: the constant is compiled in
    W0 = np.tile([2.0, -1.0], (3, 1))
    before = js.fit(p, "rychlik-bb", tol=0.0, max_steps=99, W0=W0)
    after = js.fit(p, "rychlik-bb", tol=0.0, max_steps=100, W0=W0)
    assert (before.steps, after.steps) == (99, 100)
    np.testing.assert_allclose(before.W.mean(axis=0), [2.0, -1.0], rtol=1e-12)
    np.testing.assert_allclose(after.W.mean(axis=0), 0, atol=1e-14)
    assert after.loss == pytest.approx(before.loss, rel=1e-9)


def test_published_stop_is_not_called_convergence(x64):
    """S20: η < 10⁻⁵ with Λ > 10⁵ fires far from the minimum, after one step at least; the run says what it is worth."""
    stretched = js.Problem(X * 1e5, T)
    assert 1 / np.linalg.norm(js.gradient(np.zeros((3, 2)), stretched), 2) < 1e-5  # the first step is below the least
    result = js.fit(stretched, "rychlik-bb")
    assert result.steps >= 1
    assert result.status is Status.STEP_LIMIT and "no test of convergence" in result.reason
