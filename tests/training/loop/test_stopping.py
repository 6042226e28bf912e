"""When a theorem says that a minimiser exists, and the rounding of a loss whose logits are long sums (S9, S21)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.problem.dtypes import widened
from jaxsoftmax.training.loop import stopping


def known(y, s, regularizer, **options):
    X = np.arange(len(y), dtype=np.float32)[:, None]
    problem = js.Problem.from_labels(X, y, sample_weight=s, regularizer=regularizer, **options)
    return bool(stopping.attains_for_certain(problem))


def test_a_class_whose_only_sample_has_weight_zero_is_absent():
    """S21 a, b, section 0: a free intercept falls without bound for a class that no sample with s > 0 is in."""
    y, s = [0, 1, 0, 1, 2], [1.0, 1.0, 1.0, 1.0, 0.0]
    for penalty in (js.L2, lambda a, **more: js.LogCosh(a, 1.0, **more)):
        assert not known(y, s, penalty(0.1))
        assert known(y, [1.0] * 5, penalty(0.1))
        assert known(y, s, penalty(0.1, penalize_intercept=True))
        assert known(y, s, penalty(0.1), intercept=False)


def test_one_of_several_penalties_is_enough():
    """S21: what one penalty makes certain, another beside it does not unsay; one of strength 0 says nothing."""
    y, s = [0, 1, 0, 1, 2], [1.0, 1.0, 1.0, 1.0, 0.0]
    assert known(y, s, js.SelfRegularizer(0.5) + js.L2(0.1))
    assert known(y, s, js.L2(0.1) + js.SelfRegularizer(0.5))
    assert not known(y, [1.0] * 5, js.L2(0.0))


def test_loss_rounding_covers_logits_that_are_long_sums():
    """A logit of D = 10⁵ equal terms errs by hundreds of eps; the bound has γ_D = D eps for it (and 2 Σ a|w|)."""
    X = np.full((1, 10**5), 0.1, np.float32)
    W = np.stack([np.ones(10**5, np.float32), np.zeros(10**5, np.float32)])
    problem = js.Problem(X, np.float32([[0, 1]]))  # the loss is the logit, 10⁴
    value = js.loss(W, problem)
    scale = stopping.gradient_scale(problem)
    bound = float(stopping.loss_rounding(jnp.asarray(W), value, problem, scale))
    with jax.enable_x64(True):
        truth = float(js.loss(W.astype(float), widened(problem)))
    eps = float(np.finfo(np.float32).eps)
    without_D = eps * 9 * truth + 2 * eps * float(np.sum(scale * np.abs(W).max(axis=0)))
    assert without_D < abs(float(value) - truth) <= bound
    logits = 2 * 10**5 * eps * float(np.sum(scale * np.abs(W).max(axis=0)))  # each of a difference of two
    assert bound == pytest.approx(eps * 9 * float(value) + logits, rel=1e-5)


@pytest.mark.slow
def test_loss_rounding_covers_a_sum_of_many_terms():
    """S1: at W = 0 logits are exact, and N terms cost eps (8 + √N) L: a float32 sum in sequence errs by more than 8."""
    N, reached = 10**5, 0.0
    eps = float(np.finfo(np.float32).eps)
    problem = js.Problem(np.ones((N, 1), np.float32), np.full((N, 2), 0.5, np.float32))
    rounding, W, scale = jax.jit(stopping.loss_rounding), np.zeros((2, 1), np.float32), np.ones(1, np.float32)
    for seed in range(3):
        terms = np.random.default_rng(seed).random(N).astype(np.float32)
        truth = float(terms.astype(float).sum())
        bound = float(rounding(W, np.float32(truth), problem, scale))
        np.testing.assert_allclose(bound, eps * (8 + np.sqrt(N)) * truth, rtol=1e-6)
        error = abs(float(np.cumsum(terms)[-1]) - truth)
        assert error <= bound
        reached = max(reached, error / (eps * truth))
    assert reached > 8


def test_the_rounding_of_the_loss_is_that_of_the_largest_weight_of_either_sign():
    """Σ_d a_d max_c |w_cd|: all weights of one column are negative, and at the loss 0 the logits alone count."""
    W, scale = np.float32([[-3, 1], [-2, -4]]), np.float32([2, 5])
    problem = js.Problem(np.ones((1, 2), np.float32), np.float32([[1, 0]]))
    bound = float(stopping.loss_rounding(jnp.asarray(W), jnp.float32(0), problem, scale))
    assert bound == 2 * 2 * 2.0**-23 * (2 * 3 + 5 * 4)  # integers times a power of two: exact


def test_a_norm_of_any_size():
    """3, 4, 12 have the norm 13, in units whose squares leave the doubles or vanish too, and nothing has the norm 0."""
    for power in (-120, 0, 120):
        x = np.float32([3, 4, 12]) * np.float32(2.0) ** power
        assert float(stopping.frobenius(jnp.asarray(x))) == 13 * 2.0**power
    assert float(stopping.frobenius(jnp.zeros(3))) == 0
    assert not np.isfinite(float(stopping.frobenius(jnp.asarray([1.0, np.inf]))))
