"""One proposal of "gd-optimal" line by line: the eigenvalues it follows, the step, and the guard (S16, S17)."""

import jax.numpy as jnp
import numpy as np
import pytest

from helpers.oracles import oracle, point
from jaxsoftmax.training.methods.optimal_descent import OptimalDescent

G = np.float32([[3, 4], [0, 0]])  # v = (0.6, 0.8), and with H = diag(1, 2): θ = 1.64, Hv = (0.6, 1.6), r = 0.48
WEIGHTS = np.float32([[1, 2], [1, 1]])


def proposed(loss=lambda W: -100.0, shortest=0.01, **state):
    here, said = point(1.0, G), oracle(loss, G, WEIGHTS)
    method = OptimalDescent()
    begun = method.begin(here, said, shortest)._replace(**state)
    return method.propose(here, said, jnp.float32(shortest), begun)


@pytest.mark.parametrize(("shortest", "step"), [(0.01, 1 / 2.12), (0.9, 0.9)])
def test_the_first_step_is_that_of_the_power_iteration_or_the_safe_one_if_longer(shortest, step):
    """S17: Λ̂ = θ + r is above some eigenvalue; with nothing known of μ* the step is max(1/(θ + r), 1/Λ)."""
    made = proposed(shortest=shortest)
    # A dozen operations in float32.
    assert float(made.step_size) == pytest.approx(step, rel=2e-6)
    np.testing.assert_allclose(made.W, -step * G, rtol=2e-6)
    np.testing.assert_allclose(made.state.v, np.array([[0.6, 1.6], [0, 0]]) / np.hypot(0.6, 1.6), rtol=2e-6)
    assert float(made.state.high) == pytest.approx(2.12, rel=2e-6)
    assert int(made.state.step) == 1
    np.testing.assert_array_equal(made.state.gradient, G)


@pytest.mark.parametrize(
    ("turned", "step"),
    [(1.0, 2 / (1 + 4)), (0.25, 2 / (0.25 + 4)), (-1.0, 2 / 4), (9.0, 2 / (4 + 4))],
    ids=["within", "small", "below 0", "above Λ̂"],
)
def test_between_two_products_the_curvature_along_the_last_step_is_used(turned, step):
    """S17: 2/(μ̂ + Λ̂), μ̂ = ⟨ΔW, ΔG⟩/‖ΔW‖² brought into [0, Λ̂]; v and Λ̂ = 4 stay as they are."""
    moved = np.float32([[2, 0], [1, 0]])
    made = proposed(step=jnp.int32(1), high=jnp.float32(4), v=jnp.asarray(G), W=-moved, gradient=G - turned * moved)
    assert float(made.step_size) == pytest.approx(step, rel=2e-6)
    assert float(made.state.high) == 4.0
    np.testing.assert_array_equal(made.state.v, G)


def test_without_curvature_the_safe_step_is_taken():
    assert float(proposed(step=jnp.int32(1), high=jnp.float32(0)).step_size) == np.float32(0.01)


def test_a_step_that_does_not_lower_the_loss_is_replaced_by_the_safe_one():
    """S16: 10⁻⁴ η‖∇L‖² = 10⁻⁴ · 25/2.12 = 1.18·10⁻³ is asked for, up to 2 · (8 + √2) eps = 2.2·10⁻⁶ of rounding."""
    made = proposed(lambda W: 1.0)
    assert float(made.step_size) == np.float32(0.01)
    np.testing.assert_allclose(made.W, -0.01 * G, rtol=1e-6)
    assert float(proposed(lambda W: 1 - 1.17e-3).step_size) == np.float32(0.01)
    assert float(proposed(lambda W: 1 - 1.19e-3).step_size) == pytest.approx(1 / 2.12, rel=2e-6)
    assert float(proposed(lambda W: jnp.nan).step_size) == np.float32(0.01)
