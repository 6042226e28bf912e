"""checker/complex_rules, the fast part: where XLA's complex version loses the digits of a tiny imaginary part."""

import jax
import numpy as np
from jax import lax

from jaxsoftmax.checker.jaxprs.complex_step import complex_step


def test_the_slope_of_expm1_far_below_zero_has_its_digits():
    """e^x at x = -30 and -40: XLA's imaginary part is (expm1(x) + 1) sin h, which has three digits and none."""
    with jax.enable_x64(True):
        x = np.array([-40.0, -30.0, -0.5, 2.0])
        found = complex_step(jax.make_jaxpr(lax.expm1)(x), [x], [np.ones_like(x)])[0]
    # A few units of e^x, and those of its imaginary part.
    np.testing.assert_allclose(found, np.exp(x), rtol=16 * 2.0**-53)
