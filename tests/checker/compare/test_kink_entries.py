"""Points without a derivative: a subgradient passes and is named, a wrong slope does not; NaN of autodiff is judged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.crosscheck import crosscheck

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

X = np.float32([0.7, 0.0, -1.2])


def relu(x):
    return jnp.sum(jnp.maximum(x, 0) * jnp.float32([1, 2, 3]))


def slopes(x, at_zero):
    return jnp.where(x > 0, 1.0, jnp.where(x < 0, 0.0, at_zero)).astype(x.dtype) * jnp.float32([1, 2, 3])


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_any_value_between_the_one_sided_slopes_passes_and_is_named(at_zero):
    """2 max(x₁, 0) at 0 has slopes 0 and 2: 0, 1 and 2 are subgradients; autodiff takes 1."""
    report = crosscheck(relu, X, gradient=lambda x: slopes(x, at_zero))
    assert report.verdict == "AGREE", report
    assert at_zero == 0.5 or any("no derivative at [1]" in note and "lies between" in note for note in report.notes)


@pytest.mark.parametrize("at_zero", [-0.01, 1.01, -1.0])
def test_a_value_outside_the_one_sided_slopes_disagrees(at_zero):
    report = crosscheck(relu, X, gradient=lambda x: slopes(x, at_zero))
    assert report.verdict == "DISAGREE" and report.worst.worst["path"] == "[1]"


def test_a_wrong_entry_beside_a_kink_is_still_seen():
    """Leaving [1] out must not leave the error in [2] out."""
    report = crosscheck(relu, X, gradient=lambda x: slopes(x, 0.0).at[2].add(1e-3))
    assert report.verdict == "DISAGREE"
    (row,) = [s for s in report.statements if s.quantity == "gradient"]
    assert row.worst["path"] == "[2]"


KINKS = {
    "abs": (lambda x: jnp.sum(jnp.abs(x)), jnp.sign),
    "maximum at a tie": (lambda x: jnp.maximum(x[0] - 0.75, x[1]) + x[2], lambda x: jnp.float32([1, 0, 1])),
    "max of an array at a tie": (lambda x: jnp.max(x**2), lambda x: jnp.float32([0, 2, 0])),
    "clip at its bound": (lambda x: jnp.sum(jnp.clip(x, -1, 1) ** 2), lambda x: jnp.float32([1.5, 0, 2])),
    "a where": (lambda x: jnp.sum(jnp.where(x > 0.75, x, 0.75)), lambda x: jnp.float32([0, 1, 0])),
    "leaky": (lambda x: jnp.sum(jax.nn.leaky_relu(x - 0.75)), lambda x: jnp.where(x > 0.75, 1, 0.01)),
}
POINTS = {
    "abs": np.float32([0.75, 0.0, -1.0]),
    "maximum at a tie": np.float32([1.75, 1.0, 0.5]),
    "max of an array at a tie": np.float32([-1.0, 1.0, 0.5]),
    "clip at its bound": np.float32([0.75, 0.0, 1.0]),
    "a where": np.float32([0.75, 1.5, 0.25]),
    "leaky": np.float32([0.75, 1.5, 0.25]),
}


@pytest.mark.parametrize("name", KINKS)
def test_one_of_several_subgradients_passes(name):
    """Ties and kinks in the ways that JAX splits them and a hand rule does not."""
    fun, gradient = KINKS[name]
    report = crosscheck(fun, POINTS[name], gradient=lambda x: gradient(x).astype(x.dtype))
    assert report.verdict == "AGREE", report


def test_own_differentiation_at_a_kink_agrees():
    """No rule given, none inside: JAX's ½ at a tie is a subgradient."""
    assert crosscheck(lambda x: jnp.max(x), np.float32([1.0, 1.0, 0.5])).verdict == "AGREE"


def test_nan_of_autodiff_is_judged_by_differences():
    """√(x²) by where: the untaken branch gives NaN in reverse mode; the function is smooth there, its slope 0."""

    def fun(x):
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(x) ** 3, 0 * x)) + x[0]

    x = np.float32([1.0, -0.5])
    assert np.isnan(jax.grad(fun)(x)).any()
    right = lambda x: jnp.where(x > 0, 1.5 * jnp.sqrt(jnp.abs(x)), 0.0) + jnp.float32([1, 0])  # noqa: E731
    report = crosscheck(fun, x, gradient=right)
    assert any("no finite derivative at [1]" in note for note in report.notes)
    assert {s.passed for s in report.statements if s.quantity.startswith("gradient")} == {True}, report
    report = crosscheck(fun, x, gradient=lambda x: right(x) + jnp.float32([0, 0.01]))
    assert report.verdict == "DISAGREE"


def test_xlogy_at_zero_has_the_slope_of_its_other_argument():
    """∂/∂y x log y = x/y = 0 at x = 0, finite: the rule agrees at the point where x log y itself gives NaN."""
    y = np.float32([0.5, 2.0])
    weights = np.float32([0.0, 3.0])
    report = crosscheck(lambda y: jnp.sum(jax.scipy.special.xlogy(weights, y)), y, gradient=lambda y: weights / y)
    assert report.verdict == "AGREE", report


def test_columns_of_a_jacobian_without_a_derivative_are_left_out():
    """jvp and vjp of relu at 0 with slope 1: that column is left out and named, the others are compared."""
    fun = lambda x: jnp.maximum(x, 0) * x[0]  # noqa: E731
    step = lambda x: (x >= 0).astype(x.dtype)  # noqa: E731
    right = lambda x, v: step(x) * v * x[0] + jnp.maximum(x, 0) * v[0]  # noqa: E731
    back = lambda x, ct: (step(x) * ct * x[0]).at[0].add(jnp.maximum(x, 0) @ ct)  # noqa: E731
    report = crosscheck(fun, X, jvp=right, vjp=back)
    assert any("no derivative at [1]" in note for note in report.notes)
    assert report.verdict == "AGREE", report
    assert crosscheck(fun, X, jvp=lambda x, v: right(x, v).at[2].add(0.01 * v[2])).verdict == "DISAGREE"


def test_products_with_a_hessian_leave_kinks_out():
    """max(x, 0)² has no second derivative at 0: hvp with either one-sided value passes, a wrong one elsewhere not."""
    fun = lambda x: jnp.sum(jnp.maximum(x, 0) ** 2) + x[0] * x[2]  # noqa: E731

    def product(x, v, wrong=0.0):
        out = jnp.where(x > 0, 2.0, 0.0).astype(x.dtype) * v
        return out.at[0].add(v[2] + wrong * v[2]).at[2].add(v[0] + wrong * v[0])

    assert crosscheck(fun, np.float32([0.7, 0.3, -1.2]), hvp=product).verdict == "AGREE"
    assert crosscheck(fun, X, hvp=lambda x, v: product(x, v, 0.01)).verdict == "DISAGREE"
