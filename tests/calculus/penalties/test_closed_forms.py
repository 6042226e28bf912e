"""Each penalty's third derivative and blocks against its closed form in NumPy, at strengths other than 1 (S8, S21)."""

from decimal import Decimal, localcontext

import jax
import numpy as np
import pytest

import jaxsoftmax as js

EPS = float(np.finfo(float).eps)
W, V, U = (np.array([[a], [b]]) for a, b in ((0.3, -0.7), (0.5, 1.5), (-2.0, 0.25)))


def test_the_third_derivative_of_log_cosh_is_linear_in_its_first_direction(x64):
    """S8, S21b: −2αγ² Σ sech² γw tanh γw v u²: v once and u twice; two summands of one size."""
    alpha, gamma = 0.4, 3.0
    tanh = np.tanh(gamma * W)
    expected = np.sum(-2 * alpha * gamma**2 * tanh * (1 - tanh**2) * V * U**2)
    found = jax.jit(js.LogCosh(alpha, gamma).third_derivative)(W, np.ones(1), V, U)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_the_excess_of_log_cosh_keeps_its_digits_near_zero():
    """S18, S21b: (α/γ) log cosh γw is αγw²/2 for γw = 3·10⁻⁹, where cosh is 1; far out it is α|w| − (α/γ) log 2."""
    penalty, w = js.LogCosh(2.0, 3.0), np.array([1e-9, 1e-9])
    np.testing.assert_allclose(penalty.excess(w), 2 * 3.0 * 1e-18, rtol=1e-14)
    np.testing.assert_allclose(penalty.excess(np.array([100.0])), 200 - 2 / 3 * np.log(2), rtol=1e-14)


def test_the_third_derivative_of_a_self_regulariser_has_the_cube_of_its_scale(x64):
    """S8, S21d: γ³ E[(v − v̄)(u − ū)²] under softmax(γw); within rounding of its two terms."""
    third = jax.jit(lambda penalty: penalty.third_derivative(W, np.ones(1), V, U))
    for gamma in (0.5, -3.0):
        y = np.exp(gamma * W) / np.exp(gamma * W).sum()
        v, u = V - np.sum(y * V), U - np.sum(y * U)
        # v and u lose some eps of 2.25 and 2 to the means; each factor is met with at most 20 of them.
        allowed = 20 * EPS * abs(gamma) ** 3 * np.sum(y * (np.abs(v) + 2.25) * (np.abs(u) + 2.0) ** 2)
        found = third(js.SelfRegularizer(gamma))
        np.testing.assert_allclose(found, gamma**3 * np.sum(y * v * u**2), rtol=0, atol=allowed)


@pytest.mark.slow
def test_the_curvature_of_a_self_regulariser_has_the_square_of_its_scale(x64):
    """S4, S21d: γ² Var(v) under softmax(γw), here of two classes: γ² y₁y₂ (v₁ − v₂)²."""
    for gamma in (0.5, -3.0):
        y = np.exp(gamma * W) / np.exp(gamma * W).sum()
        expected = gamma**2 * y[0, 0] * y[1, 0] * (V[0, 0] - V[1, 0]) ** 2
        found = js.SelfRegularizer(gamma).quadratic_form(W, np.ones(1), V)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_the_blocks_of_a_self_regulariser_are_at_its_own_logits(x64):
    """S21d: γ² S(softmax(γ w_d)); the strength is a leaf, so that one compiled function serves both."""
    w = np.array([[0.3, 2.0], [-0.7, 0.1], [1.0, -1.0]])
    blocks = jax.jit(lambda penalty: penalty.class_blocks(w, np.ones(2)))
    for gamma in (0.5, -3.0):
        found = blocks(js.SelfRegularizer(gamma))
        for d, y in enumerate((np.exp(gamma * w) / np.exp(gamma * w).sum(axis=0)).T):
            np.testing.assert_allclose(found[:, :, d], gamma**2 * (np.diag(y) - np.outer(y, y)), rtol=1e-13)


def test_the_floor_of_log_cosh_is_below_where_its_exponential_is_subnormal():
    """S7c, S21b: α γ sech² γw with α = 10³⁰: e^(−2γw) of the last few doubles has no digits, and 10³⁰ would show it."""
    for w in np.linspace(371.5, 372.6, 23).tolist():
        with localcontext(prec=60):
            exact = 4 * Decimal(10) ** 30 * (-2 * Decimal(w)).exp()  # sech² x < 4e^(−2x), by e^(−2x) relative
        assert Decimal(js.LogCosh(1e30, 1.0).curvature_floor(w)) <= exact


def test_the_floor_on_a_sublevel_set_is_attained_by_one_entry():
    """S18, S21b: an entry whose own excess is all of E has the curvature αγ sech² γw = αγ exp(−2γE/α) exactly."""
    alpha, gamma, w = 0.5, 2.0, 1.3
    penalty = js.LogCosh(alpha, gamma)
    found = sum(penalty.log_floor(penalty.excess(np.array([w]))))
    np.testing.assert_allclose(np.exp(found), alpha * gamma / np.cosh(gamma * w) ** 2, rtol=1e-13)


def test_the_floor_of_log_cosh_is_below_at_zero():
    """S7c, S21b: sech² 0 = 1 exactly, so that every outward slack shows."""
    assert js.LogCosh(0.5, 2.0).curvature_floor(0.0) <= 1.0


@pytest.mark.slow
def test_the_blocks_of_a_dominated_column_keep_their_digits(x64):
    """S21d, S3: γ² y(1 − y) of the class that has nearly all is γ² y times the others, where 1 − y itself is 0."""
    gamma = 2.0
    w = np.array([[20.0], [0.0], [-1.0]])
    others = np.exp(-40.0) + np.exp(-42.0)
    found = js.SelfRegularizer(gamma).class_blocks(w, np.ones(1))
    np.testing.assert_allclose(found[0, 0, 0], gamma**2 * others, rtol=64 * EPS)
