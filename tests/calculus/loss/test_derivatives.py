"""S2, S4, S8: gradient, Hessian-vector product, quadratic form, third derivative against the naive sums."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins


@jax.jit
def _derivatives(W, problem, V, U):
    value, grad = js.value_and_gradient(W, problem)
    return {
        "gradient": js.gradient(W, problem),
        "value, fused": value,
        "gradient, fused": grad,
        "hvp": js.hvp(W, problem, V),
        "quadratic_form": js.quadratic_form(W, problem, V),
        "third_derivative": js.third_derivative(W, problem, V, U),
    }


def expected(W, data, V, U, eps):
    """What the functions of `_derivatives` should give, and how far rounding may take them."""
    return {
        "gradient": (twins.gradient(W, data), twins.gradient_tolerance(W, data, eps)),
        "value, fused": (twins.loss(W, data), twins.loss_tolerance(W, data, eps)),
        "gradient, fused": (twins.gradient(W, data), twins.gradient_tolerance(W, data, eps)),
        "hvp": (twins.hvp(W, data, V), twins.hvp_tolerance(W, data, V, eps)),
        "quadratic_form": (twins.quadratic_form(W, data, V), twins.quadratic_form_tolerance(W, data, V, eps)),
        "third_derivative": (
            twins.third_derivative(W, data, V, U),
            twins.third_derivative_tolerance(W, data, V, U, eps),
        ),
        "third_derivative, U = V": (
            twins.third_derivative(W, data, V, V),
            twins.third_derivative_tolerance(W, data, V, V, eps),
        ),
    }


@pytest.mark.slow_cases("two-classes-l2-float64", "deficient-absent-float64")
@pytest.mark.parametrize(("case", "dtype"), cases.RUNS, ids=str)
def test_derivatives_are_the_sums_of_S2_S4_S8(case, dtype):
    """S2, S4, S8, S21: every derivative, penalties included, within the rounding of its terms."""
    W, V, U = cases.directions(case, dtype)
    with jax.enable_x64(dtype == "float64"):
        problem = cases.problem(case, dtype)
        data = cases.data(case, problem)
        ours = _derivatives(*(a.astype(dtype) if isinstance(a, np.ndarray) else a for a in (W, problem, V, U)))
        assert {v.dtype for v in ours.values()} == {np.dtype(dtype)}
        ours = {k: np.asarray(v, np.float64) for k, v in ours.items()}
    theirs = expected(W, data, V, U, np.finfo(dtype).eps + twins.EPS64)
    for name in ours:
        value, allowed = theirs[name]
        assert ours[name].shape == np.shape(value), name
        assert np.all(np.abs(ours[name] - value) <= allowed), name


@pytest.mark.slow
def test_derivatives_outside_jit_are_the_same_functions():
    """S2, S4, S8: the public functions called eagerly, NumPy and JAX arrays in, float64."""
    case = cases.CASES[4]
    W, V, U = cases.directions(case, "float64")
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64")
        data = cases.data(case, problem)
        jW = jax.numpy.asarray(W)
        value, grad = js.value_and_gradient(W, problem)
        ours = {
            "gradient": js.gradient(jW, problem),
            "value, fused": value,
            "gradient, fused": grad,
            "hvp": js.hvp(jW, problem, V),
            "quadratic_form": js.quadratic_form(W, problem, jax.numpy.asarray(V)),
            "third_derivative": js.third_derivative(W.tolist(), problem, V, U),
            "third_derivative, U = V": js.third_derivative(W, problem, V),
        }
        ours = {k: np.asarray(v) for k, v in ours.items()}
    for name, (theirs, allowed) in expected(W, data, V, U, 2 * twins.EPS64).items():
        assert np.all(np.abs(ours[name] - theirs) <= allowed), name


def test_derivatives_agree_with_difference_quotients_of_the_loss_twin():
    """S1 to S8 as derivatives: the twins themselves are checked, each against differences of the one before.

    Central differences with h = 2⁻¹³: truncation h²/6 · |next-but-one derivative| (all below 1e4 here) and rounding
    eps·|value|/h, together below 1e-4.
    """
    case, h = cases.CASES[4], 2.0**-13
    W, V, U = cases.directions(case, "float64")
    with jax.enable_x64(True):
        data = cases.data(case, cases.problem(case, "float64"))
    slope = (twins.loss(W + h * V, data) - twins.loss(W - h * V, data)) / (2 * h)
    assert np.sum(twins.gradient(W, data) * V) == pytest.approx(slope, abs=1e-5)
    turn = (twins.gradient(W + h * V, data) - twins.gradient(W - h * V, data)) / (2 * h)
    np.testing.assert_allclose(twins.hvp(W, data, V), turn, rtol=0, atol=1e-5)
    np.testing.assert_allclose((twins.hessian(W, data) @ V.reshape(-1)).reshape(V.shape), turn, rtol=0, atol=1e-5)
    assert np.sum(turn * V) == pytest.approx(twins.quadratic_form(W, data, V), abs=1e-4)
    change = (twins.quadratic_form(W + h * V, data, U) - twins.quadratic_form(W - h * V, data, U)) / (2 * h)
    assert change == pytest.approx(twins.third_derivative(W, data, V, U), abs=1e-4)


@pytest.mark.slow_cases("float32")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quadratic_form_keeps_its_digits_where_dominant_classes_share_one_u(dtype):
    """S4, S5, section 7.4: U nearly constant over the dominating classes; Σ y u² - ū² would be 0 or negative here.

    Two classes carry all the mass but e^-20 and share u = 3; the third is 1 further: the form is y_3 (1 - y_3).
    Three factors y with an exact logit and two exact differences: 3·4 eps (1 + log2 3) and a few roundings.
    """
    gap = 20.0
    X, T = np.array([[1.0]]), np.array([[1.0, 0.0, 0.0]])
    W, V = np.array([[0.0], [0.0], [-gap]]), np.array([[3.0], [3.0], [4.0]])
    with jax.enable_x64(dtype == "float64"):
        problem = js.Problem(X, T, dtype=dtype)
        W, V = W.astype(dtype), V.astype(dtype)
        H = js.hessian(W, problem)
        forms = [float(f) for f in (js.quadratic_form(W, problem, V), H.quadratic_form(V))]
        product = np.asarray(js.hvp(W, problem, V), np.float64)[:, 0]
        cached = np.asarray(H @ V, np.float64)[:, 0]
        third = float(js.third_derivative(W, problem, V))
    y3 = np.exp(-gap) / (2 + np.exp(-gap))
    eps = float(np.finfo(dtype).eps)
    assert forms == pytest.approx([y3 * (1 - y3)] * 2, rel=40 * eps, abs=0)
    true = np.array([-(1 - y3) / 2 * y3, -(1 - y3) / 2 * y3, y3 * (1 - y3)])
    np.testing.assert_allclose(product, true, rtol=40 * eps)
    np.testing.assert_allclose(cached, true, rtol=40 * eps)
    assert third == pytest.approx(y3 * (1 - y3) * (1 - 2 * y3), rel=60 * eps, abs=0)
