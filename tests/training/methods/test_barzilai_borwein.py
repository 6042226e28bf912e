"""One proposal of "bb" line by line: which step is tried, which is taken, and what is remembered (S16, [BB])."""

import jax.numpy as jnp
import numpy as np
import pytest

from helpers.oracles import oracle, point
from jaxsoftmax.training.methods.barzilai_borwein import MEMORY, BarzilaiBorwein

SHORTEST = 0.01  # stands for 1/Λ
# ⟨ΔW, ΔW⟩ = 16, ⟨ΔW, ΔG⟩ = 2, ⟨ΔG, ΔG⟩ = 0.5: the two quotients are 8 and 4.
MOVED, TURNED = np.float32([[4, 0], [0, 0]]), np.float32([[0.5, 0.5], [0, 0]])


def proposed(loss, step=2, moved=MOVED, turned=TURNED, losses=None, value=1.0):
    """The proposal at W = 0 with gradient 1, loss `value` and the given last move; and the oracle's answers."""
    here, said = point(value), oracle(loss)
    method = BarzilaiBorwein()
    state = method.begin(here, said, SHORTEST)
    state = state._replace(step=jnp.int32(step), W=here.W - moved, gradient=here.gradient - turned)
    if losses is not None:
        state = state._replace(losses=jnp.asarray(losses, jnp.float32))
    return method.propose(here, said, jnp.float32(SHORTEST), state)


def falling(W):
    return -100.0


def along(W):
    """The step with which W was reached from 0 along the gradient of ones."""
    return -jnp.mean(W)


@pytest.mark.slow_cases("2-8.0")
@pytest.mark.parametrize(("step", "quotient"), [(2, 8.0), (3, 4.0)])
def test_the_two_quotients_alternate(step, quotient):
    """[BB]: ⟨ΔW, ΔW⟩/⟨ΔW, ΔG⟩ at even steps and ⟨ΔW, ΔG⟩/⟨ΔG, ΔG⟩ at odd ones; the next state holds this point."""
    made = proposed(falling, step)
    assert float(made.step_size) == quotient
    np.testing.assert_array_equal(made.W, -quotient * np.ones((2, 2)))
    np.testing.assert_array_equal(made.evaluated[0], -100.0)
    assert int(made.state.step) == step + 1
    np.testing.assert_array_equal(made.state.W, np.zeros((2, 2)))
    np.testing.assert_array_equal(made.state.gradient, np.ones((2, 2)))
    assert float(made.state.losses[step % MEMORY]) == 1.0


@pytest.mark.parametrize(
    ("moved", "turned"),
    [
        (0 * MOVED, 0 * TURNED),  # the first step has no last one
        (MOVED, -TURNED),  # rounding turned ⟨ΔW, ΔG⟩ negative
        (MOVED, 1000 * MOVED),  # a quotient below 1/Λ
        (np.float32(1e19) * MOVED, TURNED),  # ‖ΔW‖² is beyond all numbers
    ],
)
def test_a_quotient_that_is_no_step_is_replaced_by_the_safe_one(moved, turned):
    """S16, S20's remark: nothing but a finite quotient above 1/Λ is tried."""
    assert float(proposed(falling, moved=moved, turned=turned).step_size) == np.float32(SHORTEST)


def test_a_loss_that_does_not_fall_takes_the_safe_step():
    """The guard asks for a sufficient decrease: at a constant loss every longer step is refused, down to 1/Λ (S16)."""
    made = proposed(lambda W: 1.0)
    assert float(made.step_size) == np.float32(SHORTEST)
    np.testing.assert_allclose(made.W, -SHORTEST * np.ones((2, 2)), rtol=1e-6)


def test_the_decrease_asked_for_is_a_ten_thousandth_of_the_slope():
    """10⁻⁴ η‖∇L‖², here 10⁻⁴ · 8 · 4 = 3.2·10⁻³, up to twice the loss's rounding, 2 · (8 + √2) eps = 2.2·10⁻⁶."""
    assert float(proposed(lambda W: 1.0 - 3.3e-3).step_size) == 8.0
    assert float(proposed(lambda W: jnp.where(along(W) > 5, 1.0 - 3.1e-3, 0.5)).step_size) == 4.0


def test_a_loss_above_the_guard_by_its_own_rounding_is_admitted():
    """Up to 2 (8 + √2) eps L = 2.2·10⁻⁶ above the guard is no rise that could be seen; a half more is one."""
    guard = 1.0 - 3.2e-3
    assert float(proposed(lambda W: guard + 1.9e-6).step_size) == 8.0
    assert float(proposed(lambda W: jnp.where(along(W) > 5, guard + 3.3e-6, 0.5)).step_size) == 4.0


def test_the_longest_of_the_halves_that_is_admitted_is_taken():
    """8 and 4 are refused, 2 is taken, with the loss and the gradient found there."""
    made = proposed(lambda W: jnp.where(along(W) > 3, 5.0, 0.25))
    assert float(made.step_size) == 2.0
    assert float(made.evaluated[0]) == 0.25


def test_not_a_number_is_refused():
    assert float(proposed(lambda W: jnp.where(along(W) > 3, jnp.nan, 0.25)).step_size) == 2.0


def test_the_ceiling_is_the_largest_of_the_last_ten_losses():
    """Grippo, Lampariello and Lucidi: a rise is allowed up to the memory, of which the eldest is forgotten."""
    losses = np.full(MEMORY, -np.inf)
    assert float(proposed(lambda W: 2.5, losses=losses).step_size) == np.float32(SHORTEST)
    losses[0] = 3.0
    assert float(proposed(lambda W: 2.5, step=4, losses=losses).step_size) == 8.0
    assert float(proposed(lambda W: 2.5, step=MEMORY, losses=losses).step_size) == np.float32(SHORTEST)
