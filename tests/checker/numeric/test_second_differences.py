"""Second differences: what they return is within a few of their own estimates, whatever noise the values have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.numeric.second_differences import _extrapolated, second_difference, second_kernel


def noisy(size):
    """The sine with errors of about a size, which no two points share."""
    return lambda y: jnp.sin(y) + size * jnp.sin(1e9 * y + 1e5 * jnp.sin(1e7 * y))


CASES = {
    "sine": (jnp.sin, lambda y: -np.sin(y), 1e-8),
    "cube": (lambda y: y**3, lambda y: 6 * y, 1e-8),
    "fast": (lambda y: jnp.sin(50 * y), lambda y: -2500 * np.sin(50 * y), 1e2),
    "float32 inside": (lambda y: jnp.sin(y.astype(np.float32)).astype(np.float64), lambda y: -np.sin(y), 0.1),
    "noise of 1e-9": (noisy(1e-9), lambda y: -np.sin(y), 1e-2),
    "noise of 1e-3": (noisy(1e-3), lambda y: -np.sin(y), np.inf),
    "stairs": (lambda y: jnp.sin(y) + 1e-9 * jnp.floor(1e4 * y), lambda y: -np.sin(y), 0.1),
    "a jump beside it": (lambda y: jnp.sin(y) + 1e-6 * (y > 1.003), lambda y: -np.sin(y), 0.1),
}


@pytest.mark.parametrize(("fun", "truth", "most"), CASES.values(), ids=CASES)
def test_the_error_is_within_the_doubt_about_its_estimate(fun, truth, most):
    with jax.enable_x64(True):
        kernel = jax.jit(lambda x, v, delta: second_kernel(lambda y: fun(y[0]), x, v, delta))
        for x in (0.02, 0.7, 1.0, 2.1, 9.3, 100.3):
            for slope in (1.0, -2.0):
                found = second_difference([jnp.float64(x)], [jnp.float64(slope)], kernel)
                assert abs(found.value - slope**2 * truth(x)) <= 2 * found.error_estimate, x
                assert found.error_estimate <= most, x


def test_noise_that_hides_the_curvature_is_seen():
    with jax.enable_x64(True):
        kernel = lambda x, v, delta: second_kernel(lambda y: noisy(1e-2)(y[0]), x, v, delta)  # noqa: E731
        found = second_difference([jnp.float64(1.0)], [jnp.float64(1.0)], kernel)
    assert found.error_estimate > 0.1 and 1e-3 < found.noise < 1e-1


def test_a_kink_and_a_pole_have_no_second_difference():
    with jax.enable_x64(True):
        one = [jnp.float64(1.0)]
        bent = second_difference(one, one, lambda x, v, d: second_kernel(lambda y: abs(y[0] - 1), x, v, d))
        pole = second_difference(one, one, lambda x, v, d: second_kernel(lambda y: jnp.log(y[0] - 1), x, v, d))
    assert bent.error_estimate > abs(bent.value) / 20 and pole.error_estimate == np.inf


def test_a_curvature_below_the_rounding_of_equal_samples_is_not_denied():
    """1 + c y² rounds to 1 at all seventeen samples, whose differences show no noise: each may be wrong by half an ulp.

    What is hidden, c = 0.9 u/(8δ)², has the second derivative 2c; an estimate allows 4u for each of four samples, and
    is that of half the step, times 5/3 in the tableau.
    """
    delta = 2.0**-7
    hidden = 0.9 * 2.0**-53 / (8 * delta) ** 2
    samples = 1 + hidden * (delta * np.arange(-8, 9)) ** 2
    assert (samples == 1).all()
    found = second_difference([np.zeros(())], [np.ones(())], lambda x, v, d: samples)
    assert found.value == 0
    assert 2 * hidden <= found.error_estimate <= 64 * 2 * hidden
    assert found.noise == 4 * 2.0**-53


def test_the_error_of_a_constant_is_what_its_rounding_leaves_of_the_second_difference():
    """A sample off by ε = 4u|f| moves D(h) by 4ε/h²: of D at 8δ and 4δ the tableau makes (4·4ε/16δ² + 4ε/64δ²)/3."""
    delta, level = 2.0**-7, 3.0
    found = _extrapolated(np.full(17, level), delta)
    noise = 4 * 2.0**-53 * level
    assert (found.value, found.noise) == (0.0, noise)
    assert found.error_estimate == pytest.approx((1 + 1 / 16) / 3 * noise / delta**2, rel=1e-12, abs=0)
    assert np.isinf(_extrapolated(np.append(np.full(16, level), np.nan), delta).error_estimate)
