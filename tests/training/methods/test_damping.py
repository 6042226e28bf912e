"""The damped step line by line: S8's bound to all digits, the step that is taken, and when Newton is done (S8)."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from helpers.oracles import oracle, point
from jaxsoftmax.training.methods import damping


@pytest.mark.parametrize("x", [1e-7, 5e-4, 1.1e-3, 0.3])
@pytest.mark.parametrize(("t", "a", "b"), [(1.0, 0.0, 1.0), (0.7, 3.0, 2.0)])
def test_the_guaranteed_decrease_on_both_sides_of_its_branch(x, t, a, b):
    """S8: a t − b (e^{ρt} − 1 − ρt)/ρ², x = ρt, against 30 digits.

    Below x = 10⁻³ the series ends with x⁴/24, and x⁵/120 is 2·x³/120 of the whole; above, e^x − 1 − x loses 2 eps/x.
    """
    rho = x / t
    with mpmath.workdps(30):
        r, s = mpmath.mpf(rho), mpmath.mpf(t)
        exact = float(b * (mpmath.expm1(r * s) - r * s) / r**2)
    with jax.enable_x64(True):
        found = float(damping.guaranteed_decrease(*(jnp.float64(v) for v in (rho, a, b, t))))
    eps = 2.0**-52
    relative = x**3 / 60 + 8 * eps if x < 1e-3 else 8 * eps / x
    assert abs(a * t - exact - found) <= relative * exact + 4 * eps * a * t


# D²L of `helpers.oracles.PROBLEM` at W = 0, samples e_1 and e_2: Σ_n ¼ (v_1n − v_2n)². Here a = 4, b = 2, ρ = 2.
V = np.float32([[-1, -1], [1, 1]])
GRADIENT = ((1.0, 1.0), (-1.0, -1.0))
ALONG = jnp.float32(2), jnp.float32(2)
SAFE = float(np.log1p(2 * 4 / 2) / 2)
PROMISE = 4 * SAFE - 2 * (np.expm1(2 * SAFE) - 2 * SAFE) / 4


def moved(loss, **more):
    return damping.damped_move(point(10.0, GRADIENT, **more), oracle(loss), jnp.asarray(V), (), *ALONG)


def length(W):
    return W[1, 0]


def test_the_numbers_of_the_hand_computation():
    """a = −⟨g, V⟩, b = D²L[V, V] and ρ enter as they should: log(1 + ρa/b)/ρ = 0.805 and its promise."""
    made = moved(lambda W: 10.0)
    assert (float(made.decrement), float(made.spread)) == (4.0, 2.0)
    assert float(made.step_size) == pytest.approx(SAFE, rel=1e-6)


def test_a_loss_that_does_not_fall_takes_the_step_of_s8():
    """The full step is refused; no half of it is below S8's."""
    made = moved(lambda W: 10.0)
    np.testing.assert_allclose(made.W, SAFE * V, rtol=1e-6)


def test_the_full_step_is_taken_where_the_loss_falls_by_what_was_promised():
    """max(S8's promise, a quarter of the slope's) = max(PROMISE, 1): here the promise."""
    assert PROMISE > 1.0
    assert float(moved(lambda W: 10 - 1.01 * PROMISE).step_size) == 1.0
    assert float(moved(lambda W: 10 - 0.99 * PROMISE).step_size) == pytest.approx(SAFE, rel=1e-6)


def test_a_quarter_of_the_slope_is_asked_for_where_that_is_more():
    """An outlying sample (ρ = 200 in these units) makes S8's promise small; a t/4 decides, and halves are tried."""
    said = oracle(lambda W: 10 - jnp.where(length(W) > 0.6, 0.9, jnp.where(length(W) > 0.3, 0.51, 0.0)))
    far = jnp.float32(2), jnp.float32(200)
    made = damping.damped_move(point(10.0, GRADIENT), said, jnp.asarray(V), (), *far)
    assert float(made.step_size) == 0.5  # 0.9 < 1 is refused, 0.51 >= 0.5 taken; the promise is far below both
    assert float(made.evaluated[0]) == pytest.approx(10 - 0.51, rel=1e-6)


def test_a_curvature_lost_in_rounding_counts_as_half_the_slope():
    """Newton's direction has b = a = 4: with b = 0 the step would be the longest of all, with 2 it is SAFE."""
    lost = damping.damped_move(
        point(10.0, GRADIENT), oracle(lambda W: 10.0), jnp.asarray(V), (), 0 * ALONG[0], ALONG[1]
    )
    assert float(lost.step_size) == pytest.approx(SAFE, rel=1e-6)


def test_newton_is_ready_where_the_gap_is_small_or_a_step_improved_nothing():
    """λ²/2 = 2 is no part in 10¹² of the loss; a step without progress says that rounding has been reached."""
    assert not bool(moved(lambda W: 10.0).ready)
    assert bool(moved(lambda W: 10.0, idle=1).ready)
    done = damping.damped_move(
        point(10.0, np.float32(1e-12) * np.float32(GRADIENT)), oracle(lambda W: 10.0), V, (), *ALONG
    )
    assert bool(done.ready)


def test_a_gap_is_small_only_beside_the_loss_or_its_rounding(x64):
    """A 10⁻¹²th of the loss in float64; in float32 a thousandth of eps, which is more."""
    for dtype, limit in ((np.float64, 1e-12), (np.float32, 1e-3 * 2.0**-23)):
        for factor, small in ((0.99, True), (1.01, False)):
            assert bool(damping.is_small(dtype(factor * limit * 5), jnp.asarray(-5, dtype))) is small
