"""Vector functions without a bound of rounding: half of the digits, and values that must agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import special

import jaxsoftmax as js
from helpers.stages import fast

A = np.array([0.7, 2.5])
S = np.array([[3.0, 1.0], [1.0, 2.0]])

FUNCTIONS = {
    "gammainc in a": lambda a: special.gammainc(a, jnp.asarray([1.0, 2.0])),
    "solve in b": lambda b: jnp.linalg.solve(jnp.asarray(S), b),
}


@pytest.mark.slow_cases("2.0-DISAGREE-solve in b")
@pytest.mark.parametrize("name", fast(FUNCTIONS, 1))
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "AGREE"), (2.0, "DISAGREE")])
def test_a_rule_without_a_bound_is_decided_by_values(name, factor, verdict):
    fun = FUNCTIONS[name]
    report = js.crosscheck(fun, A, jvp=lambda a, v: factor * jax.jvp(fun, (a,), (v,))[1])
    assert report.verdict == verdict, str(report)


@pytest.mark.slow
def test_no_infinite_tolerance_passes():
    """A doubled gradient of the eigenvalues' sizes, whose rounding nobody bounds."""
    fun = lambda M: jnp.sum(jnp.abs(jnp.linalg.eigvals(M)))  # noqa: E731
    at = np.array([[1.0, 2.0], [0.5, -1.5]])
    right = js.crosscheck(fun, at, gradient=jax.grad(fun))
    assert right.verdict == "AGREE", str(right)
    assert all(np.isfinite(row.bound) for row in right.statements)
    with pytest.raises(js.DerivativeError):
        js.assert_derivatives(fun, at, gradient=lambda M: 2 * jax.grad(fun)(M))
