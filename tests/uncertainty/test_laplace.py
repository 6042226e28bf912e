"""`laplace` (S4, S6, S22): the normal distribution at a minimiser against loops, quadrature and autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxsoftmax as js
from helpers import twins
from helpers.made_fit import made_fit
from jaxsoftmax.training.columns import Columns
from jaxsoftmax.uncertainty.laplace import Laplace

RNG = np.random.default_rng(9)
X = RNG.normal(size=(25, 2))
LABELS = RNG.integers(3, size=25)
NEW = RNG.normal(size=(4, 2))
ONES = np.column_stack([NEW, np.ones(4)])


def centred(C):
    return np.eye(C) - 1 / C


@pytest.mark.slow_cases("none", "L2")
@pytest.mark.parametrize("penalty", [None, js.L2(0.7)], ids=["none", "L2"])
def test_the_covariance_of_log_odds_is_that_of_the_naive_hessian(penalty):
    """S4, S6: differences of logits have the covariance xᵀ H⁺ x of the Hessian by loops, in every gauge."""
    problem = js.Problem.from_labels(X, LABELS, regularizer=penalty)
    posterior = js.laplace(problem, js.fit(problem, tol=1e-12))
    mask = np.array([1.0, 1.0, 0.0])
    data = twins.Data(np.column_stack([X, np.ones(25)]), np.eye(3)[LABELS], np.ones(25), 0.7 if penalty else 0.0, mask)
    H = twins.hessian(posterior.fit.W, data).reshape(9, 9)
    naive = np.linalg.pinv(H, rcond=1e-10).reshape(3, 3, 3, 3)
    found = posterior.logit_covariance(NEW)
    for x, covariance in zip(ONES, found, strict=True):
        by_loops = np.einsum("d,adbe,e->ab", x, naive, x)
        np.testing.assert_allclose(centred(3) @ covariance @ centred(3), centred(3) @ by_loops @ centred(3), rtol=1e-9)


@pytest.mark.slow
def test_two_classes_against_quadrature():
    """The mean of the logistic function of a normal number, by Gauss and Hermite in 60 points."""
    far = 4 * NEW  # where the distribution is wide
    problem = js.Problem.from_labels(X, LABELS > 0)
    posterior = js.laplace(problem, js.fit(problem))
    z, weights = np.polynomial.hermite_e.hermegauss(60)
    margin = posterior.fit.logits(far) @ [-1, 1]
    spread = np.sqrt(np.einsum("a,nab,b->n", [-1, 1], posterior.logit_covariance(far), [-1, 1]))
    exact = (1 / (1 + np.exp(-(margin[:, None] + spread[:, None] * z)))) @ weights / weights.sum()
    samples = 20_000
    found = posterior.probabilities(far, samples=samples, key=jax.random.key(1))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    # Five standard errors of a mean of numbers between 0 and 1.
    np.testing.assert_allclose(found[:, 1], exact, rtol=0, atol=5 * 0.5 / np.sqrt(samples))


@pytest.mark.slow
def test_a_far_offset_changes_no_prediction():
    """The columns worked in are shifted; the distribution of the logits is the same."""
    near, far = js.Problem.from_labels(X, LABELS), js.Problem.from_labels(X + 1e6, LABELS)
    one, other = (js.laplace(problem, js.fit(problem)) for problem in (near, far))
    cut = centred(3) @ one.logit_covariance(NEW) @ centred(3)
    np.testing.assert_allclose(centred(3) @ other.logit_covariance(NEW + 1e6) @ centred(3), cut, rtol=1e-6)


@pytest.mark.slow
def test_draws_come_in_pairs_so_that_even_odds_stay_even():
    """Where the mean of the logits is (0, 0), −ε undoes what ε does: one half, with two draws as with many."""
    problem = js.Problem.from_labels(np.array([[1.0], [1.0], [-1.0], [-1.0]]), [0, 1, 0, 1])
    posterior = js.laplace(problem, js.fit(problem))
    for samples in (2, 10):
        # Sums of `samples` numbers up to 1, each from a logit that errs by eps.
        np.testing.assert_allclose(posterior.probabilities([[3.0]], samples=samples), 0.5, rtol=0, atol=1e-14)


@pytest.mark.slow
def test_blocks_of_samples(monkeypatch):
    problem = js.Problem.from_labels(X, LABELS)
    posterior = js.laplace(problem, js.fit(problem))
    whole = posterior.probabilities(NEW, samples=10)
    monkeypatch.setattr("jaxsoftmax.uncertainty.laplace._NUMBERS", 3 * 5 * 3)
    np.testing.assert_allclose(posterior.probabilities(NEW, samples=10), whole, rtol=1e-14)
    # Draws come in pairs: nine are ten.
    np.testing.assert_allclose(posterior.probabilities(NEW, samples=9), whole, rtol=1e-14)
    np.testing.assert_array_equal(posterior.covariance, posterior.covariance.T)
    assert "standard deviations" in repr(posterior)


@pytest.mark.slow
def test_the_hessian_of_a_networks_last_layer():
    """S4: with a network's features for X, `hessian` is what autodiff finds for its last layer's weights."""
    inner = RNG.normal(size=(2, 4))

    def features(x):
        return jnp.tanh(x @ inner)

    def loss(last):
        z = jnp.column_stack([features(X), jnp.ones(25)]) @ last.T
        return -jnp.sum(jax.nn.log_softmax(z)[jnp.arange(25), LABELS])

    with jax.enable_x64(True):
        problem = js.Problem.from_labels(np.asarray(features(X)), LABELS)
        W = RNG.normal(size=(3, 5))
        ours = np.asarray(js.hessian(W, problem).to_dense())
        auto = np.asarray(jax.hessian(loss)(jnp.asarray(W))).reshape(15, 15)
    np.testing.assert_allclose(ours, auto, rtol=0, atol=1e-12 * np.abs(auto).max())


def test_what_is_refused():
    problem = js.Problem.from_labels(X, LABELS)
    fit = js.fit(problem)
    with pytest.raises(TypeError, match=r"^problem: "):
        js.laplace(X, fit)
    with pytest.raises(TypeError, match=r"^fit: "):
        js.laplace(problem, fit.W)
    with pytest.raises(ValueError, match=r"^fit: it ended STEP_LIMIT"):
        js.laplace(problem, js.fit(problem, max_steps=1))
    with pytest.raises(ValueError, match=r"^fit: its weights have the shape"):
        js.laplace(js.Problem.from_labels(X[:, :1], LABELS), fit)
    for other in (js.Problem.from_labels(X * 2, LABELS), js.Problem.from_labels(X, LABELS, regularizer=js.L2(1.0))):
        with pytest.raises(ValueError, match=r"^fit: its loss is"):
            js.laplace(other, fit)
    assert js.laplace(problem, fit).probabilities(X[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match=r"^X: "):
        js.laplace(problem, fit).probabilities(X[:, :1])
    with pytest.raises(ValueError, match=r"^samples: "):
        js.laplace(problem, fit).probabilities(X, samples=0)


@pytest.mark.peers
def test_intervals_are_of_the_weights_less_their_mean_over_the_classes():
    """Of two classes (w_0d - w_1d)/2 has the variance (S_00 - S_01 - S_10 + S_11)/4; what both share has no part."""
    axes = pytest.importorskip("matplotlib.figure").Figure().add_subplot()
    root = np.random.default_rng(0).normal(size=(6, 6))
    shared = np.kron(np.ones((2, 2)) / 2, np.eye(3))  # an L2 penalty of strength 1 leaves (w_0d + w_1d)/√2 this much
    S = root @ root.T + shared
    Laplace(made_fit(), S, Columns(np.zeros(3), np.ones(3))).plot(ax=axes)
    blocks = S.reshape(2, 3, 2, 3)
    drawn = [segment[1, 0] - segment[0, 0] for lines in axes.collections for segment in lines.get_segments()]
    for place, width in enumerate(drawn):
        d = place % 3  # class by class; the sums of four cancel little: a few dozen roundings
        naive = sum((1 if a == b else -1) * blocks[a, d, b, d] for a in range(2) for b in range(2)) / 4
        assert np.isclose(width, 2 * stats.norm.ppf(0.975) * np.sqrt(naive), rtol=1e-12)
    assert len(drawn) == 6
