"""S1: logits, probabilities, log-probabilities and the loss against the naive sums, both dtypes, regularisers in."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins


@jax.jit
def _objective(W, problem):
    return {
        "logits": js.logits(W, problem),
        "probabilities": js.probabilities(W, problem),
        "log_probabilities": js.log_probabilities(W, problem),
        "loss": js.loss(W, problem),
    }


@pytest.mark.parametrize(("case", "dtype"), cases.RUNS, ids=str)
def test_objective_is_the_sum_of_S1(case, dtype):
    """S1, S21: Z = X Wᵀ, softmax by rows, and L = Σ s Σ t (-log y) + penalties, within the rounding of their terms."""
    W, _, _ = cases.directions(case, dtype)
    with jax.enable_x64(dtype == "float64"):
        problem = cases.problem(case, dtype)
        data = cases.data(case, problem)
        ours = _objective(W.astype(dtype), problem)
        assert {v.dtype for v in ours.values()} == {np.dtype(dtype)}
        ours = {k: np.asarray(v, np.float64) for k, v in ours.items()}
    N, D, C = case.N, case.D, case.C
    eps = np.finfo(dtype).eps + twins.EPS64
    Z = twins.logits(W, data.X)
    # An inner product of D terms errs by D eps Σ|x w|; exp turns that into a relative error of y, softmax doubles it.
    delta = D * eps * np.abs(data.X) @ np.abs(W).T
    np.testing.assert_array_less(np.abs(ours["logits"] - Z), delta + 1e-300)
    relative = 2 * np.max(delta, axis=1, keepdims=True) + 4 * eps * (1 + np.log2(C))
    Y = np.array([twins.softmax(z) for z in Z])
    np.testing.assert_array_less(np.abs(ours["probabilities"] - Y), relative * Y)
    log_y = np.array([twins.log_softmax(z) for z in Z])
    np.testing.assert_array_less(np.abs(ours["log_probabilities"] - log_y), relative * (1 + np.abs(log_y)))
    assert abs(ours["loss"] - twins.loss(W, data)) <= twins.loss_tolerance(W, data, eps)
    assert ours["logits"].shape == ours["probabilities"].shape == (N, C)


def test_loss_is_a_sum_over_samples_not_a_mean():
    """S1: at W = 0 every sample costs log C, so the loss is Σ s · log C."""
    problem = js.Problem(np.ones((6, 2)), np.full((6, 3), 1 / 3), sample_weight=np.array([1, 2, 0, 1, 1, 3]))
    assert float(js.loss(np.zeros((3, 2)), problem)) == pytest.approx(8 * np.log(3), rel=1e-6, abs=0)


def test_a_sample_of_weight_zero_takes_no_part_even_where_its_loss_overflows():
    """Section 0: s_n = 0 removes the sample, though its own loss is +inf; with weight it makes the loss +inf."""
    X = np.array([[1.0, 0.0], [0.0, 3e38]], np.float32)
    T = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    W = np.array([[0.5, 3.0], [0.0, 0.0]], np.float32)
    out = js.Problem(X, T, sample_weight=np.array([2.0, 0.0], np.float32))
    expected = 2 * np.log1p(np.exp(-0.5))
    assert float(js.loss(W, out)) == pytest.approx(expected, rel=1e-6, abs=0)
    value, grad = js.value_and_gradient(W, out)
    assert float(value) == pytest.approx(expected, rel=1e-6, abs=0)
    assert np.isfinite(np.asarray(grad)).all()
    assert float(js.loss(W, out.replace(sample_weight=np.ones(2, np.float32)))) == np.inf


@pytest.mark.slow
def test_bfloat16_inputs_accumulate_in_float32():
    """DESIGN, precision: X in bfloat16 is widened, so results are those of float32 arithmetic on the rounded X."""
    case = cases.CASES[0]
    X, T, s = cases.arrays(case)
    W, V, _ = cases.directions(case, "float32")
    narrow = js.Problem(X, T, sample_weight=s, dtype="bfloat16")
    assert narrow.X.dtype == jax.numpy.bfloat16
    assert narrow.dtype == np.float32
    data = twins.data_of(narrow)
    eps = np.finfo(np.float32).eps
    for ours, theirs, allowed in (
        (js.loss(W, narrow), twins.loss(W, data), twins.loss_tolerance(W, data, eps)),
        (js.gradient(W, narrow), twins.gradient(W, data), twins.gradient_tolerance(W, data, eps)),
        (js.value_and_gradient(W, narrow)[1], twins.gradient(W, data), twins.gradient_tolerance(W, data, eps)),
        (js.hvp(W, narrow, V), twins.hvp(W, data, V), twins.hvp_tolerance(W, data, V, eps)),
        (js.hessian(W, narrow).to_dense(), twins.hessian(W, data), twins.hessian_tolerance(W, data, eps)),
    ):
        assert ours.dtype == np.float32
        np.testing.assert_array_less(np.abs(np.asarray(ours, np.float64) - theirs), allowed + 1e-30)
