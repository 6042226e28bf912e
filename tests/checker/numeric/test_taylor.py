"""checker/taylor: the slope of the Taylor remainder is the order of what a claimed derivative gets right."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.numeric.differences import Samples
from jaxsoftmax.checker.numeric.taylor import MARGIN, fit_slope, taylor_kernel, taylor_slopes

U = 2.0**-53
RNG = np.random.default_rng(0)
A = RNG.normal(size=(5, 5))
X0, V = RNG.normal(size=5), RNG.normal(size=5)

FUNCTIONS = {
    "exp": lambda x: jnp.sum(jnp.exp(x)),
    "log": lambda x: jnp.sum(jnp.log(jnp.abs(x))),
    "logsumexp": lambda x: jax.nn.logsumexp(3 * x),
    "powers": lambda x: jnp.sum(x**9),
    "fast": lambda x: jnp.sum(jnp.sin(100 * x)),
}
QUADRATIC = lambda x: x @ A @ x + 2.0  # noqa: E731


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def claims(f):
    """⟨g, v⟩ and ⟨v, Hv⟩ by autodiff."""
    return float(jax.grad(f)(jnp.asarray(X0)) @ V), float(V @ jax.hessian(f)(jnp.asarray(X0)) @ V)


def slopes(f, g, h=None, x=X0, **options):
    return taylor_slopes(lambda leaves: f(leaves[0]), [jnp.asarray(x)], g, [jnp.asarray(V)], h, **options)


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "behind"])
def test_the_hessians_term_is_taken_off_on_both_sides_of_the_point(ahead):
    """Samples of e^t on one side; on the other those of 1 + t + t²/2, which leave nothing of order three."""
    t = 0.25 ** np.arange(1, 9)
    plus, minus = (np.exp(t), 1 - t + t**2 / 2) if ahead else (1 + t + t**2 / 2, np.exp(-t))
    found = fit_slope(Samples(np.array(1.0), plus, minus, np.ones(2)), 0.25, 1.0, 1.0)
    assert found.passed and abs(found.order_fitted - 3) <= MARGIN / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_right_derivatives_have_orders_two_and_three(name):
    """r(t) = t²⟨v, Hv⟩/2 + …, and t³f‴/6 + … with the Hessian: the fitted slope is within the margin's half.

    Noise moves a fit by 0.1 at most, the next power of t by log2(1 + ct)/2 per octave: c ≤ 100 at t ≤ 2⁻¹⁰ here.
    """
    f = FUNCTIONS[name]
    g, h = claims(f)
    first, second = slopes(f, g), slopes(f, g, h)
    assert first.passed and abs(first.order_fitted - 2) <= MARGIN / 2
    assert second.passed and abs(second.order_fitted - 3) <= MARGIN / 2
    assert (first.order_expected, second.order_expected) == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_gradient_wrong_by_one_in_a_thousand_has_slope_one(name):
    """t⟨e, v⟩ rules once t < 10⁻³|⟨g, v⟩|/|⟨v, Hv⟩|: order 1."""
    f = FUNCTIONS[name]
    g, h = claims(f)
    for curvature in (None, h):
        found = slopes(f, 1.001 * g, curvature)
        assert found.passed is False and abs(found.order_fitted - 1) <= MARGIN / 2
        assert "too slowly for the gradient" in found.text


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_hessian_wrong_by_one_in_a_hundred_has_slope_two(name):
    f = FUNCTIONS[name]
    g, h = claims(f)
    found = slopes(f, g, 1.01 * h)
    assert found.passed is False and abs(found.order_fitted - 2) <= MARGIN / 2


@pytest.mark.slow
def test_a_quadratic_is_exact_to_second_order_and_nothing_can_be_fitted():
    """With the Hessian's term the remainder is rounding: None, not a pass; without it slope 2."""
    g, h = claims(QUADRATIC)
    assert slopes(QUADRATIC, g).passed is True
    exact = slopes(QUADRATIC, g, h)
    assert exact.passed is None and math.isnan(exact.order_fitted) and "quadratic along v" in exact.text
    assert slopes(QUADRATIC, g, 1.01 * h).passed is False


@pytest.mark.slow
def test_a_linear_function_says_nothing_unless_the_gradient_is_wrong():
    f = lambda x: A[0] @ x - 3.0  # noqa: E731
    g, _ = claims(f)
    right = slopes(f, g)
    assert right.passed is None and "linear along v" in right.text
    wrong = slopes(f, g * (1 + 1e-6))
    assert wrong.passed is False and abs(wrong.order_fitted - 1) <= 0.1


@pytest.mark.slow
def test_a_function_whose_changes_are_rounding_says_nothing():
    """1e17 + Σxᵢ: an ulp is 16, whatever the claim."""
    for claim in (0.0, 1.0):
        assert slopes(lambda x: 1e17 + jnp.sum(x), claim).passed is None


@pytest.mark.slow
def test_a_window_that_is_too_short_says_nothing():
    """1e10 + sin: one or two remainders stand above 4u·1e10."""
    f = lambda x: 1e10 + jnp.sum(jnp.sin(x))  # noqa: E731
    found = slopes(f, claims(f)[0])
    assert found.passed is None and "no slope can be fitted" in found.text


def test_a_jump_or_unexpected_noise_is_not_called_a_wrong_gradient():
    """A remainder that stays while t falls has slope 0; a wrong gradient leaves 1 at least."""
    jump = np.ones(8)
    found = fit_slope(Samples(np.array(0.0), jump, -jump, np.zeros(2)), 0.25, 0.0)
    assert found.passed is None and abs(found.order_fitted) <= 1e-12 and "does not fall" in found.text


@pytest.mark.slow
def test_a_float32_function_needs_its_noise():
    """Its staircase is not followed below 2⁻²⁴; with noise told, the longer steps show order 2, or nothing."""
    f = lambda x: jnp.sum(jnp.exp(x.astype(jnp.float32))).astype(jnp.float64)  # noqa: E731
    g, _ = claims(FUNCTIONS["exp"])
    assert slopes(f, g).passed is False
    size = float(FUNCTIONS["exp"](X0)) + 5
    # 5 terms: the argument (|x|eˣ ≤ 2eˣ here), exp and the sum round by 2⁻²⁴ of the size each, the sum 4 times
    assert slopes(f, g, noise=8 * 2.0**-24 * size).passed is not False
    assert slopes(f, 1.1 * g, noise=8 * 2.0**-24 * size).passed is False


@pytest.mark.slow
def test_noise_covers_the_remainder_of_a_linear_function():
    """The claimed noise bounds the rounding of f(x + tv) − f(x) − t⟨g, v⟩: 100 linear functions of 5 terms."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        a = rng.normal(size=5)
        found = slopes(
            lambda x, a=a: a @ x, float(a @ V), x=rng.normal(size=5), slope_error=5 * U * float(abs(a) @ abs(V))
        )
        assert found.passed is None, (seed, found)


def test_the_rounding_of_the_claimed_terms_is_noise():
    """2u|t⟨g, v⟩| + t·(the caller's error of ⟨g, v⟩) + 2u|t²⟨v, Hv⟩/2|, beside that of the samples."""
    t = 0.25 ** np.arange(1, 6)
    silent = Samples(np.array(0.0), np.zeros(5), np.zeros(5), np.zeros(2))
    np.testing.assert_allclose(fit_slope(silent, 0.25, -3.0).noise, 6 * U * t, rtol=4 * U)
    np.testing.assert_allclose(fit_slope(silent, 0.25, 0.0, slope_error=1e-3).noise, 1e-3 * t, rtol=4 * U)
    np.testing.assert_allclose(fit_slope(silent, 0.25, 0.0, -8.0, noise=1e-9).noise, 8 * U * t**2 + 1e-9, rtol=4 * U)


def test_an_odd_and_an_even_term_cannot_cancel():
    """r(t) = t² − t³/t₀-like cancellation at one sign of t is seen at the other: the larger remainder counts."""
    t = 0.25 ** np.arange(1, 9)
    samples = Samples(np.array(0.0), t**2 - 4 * t**3, t**2 + 4 * t**3, np.zeros(2))
    found = fit_slope(samples, 0.25, 0.0)
    assert np.all(found.remainders == t**2 + 4 * t**3) and found.passed


def test_a_gap_of_rounding_does_not_hide_the_run_above_it():
    """One short step whose rounding exceeds eight times the assumed noise is no run of three."""
    t = 0.25 ** np.arange(1, 14)
    plus, minus = 1 + t**2, 1 + t**2
    plus[-1] += 1e-13
    assert fit_slope(Samples(np.array(1.0), plus, minus, np.ones(2)), 0.25, 0.0).passed is True


@pytest.mark.slow
def test_a_function_that_is_not_finite_says_so():
    assert "not finite" in slopes(lambda x: jnp.sum(x) * jnp.nan, 1.0).text


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_scales_do_not_matter(scale):
    """Σ (x/s)³: t follows the length scale of x."""
    f = lambda x: jnp.sum((x / scale) ** 3)  # noqa: E731
    x = X0 * scale
    g = float(jax.grad(f)(jnp.asarray(x)) @ V)
    assert slopes(f, g, x=x).passed is True
    assert slopes(f, 1.001 * g, x=x).passed is False


@pytest.mark.slow
def test_a_compiled_kernel_serves_all_directions():
    traced = []

    def f(leaves):
        traced.append(0)
        return jnp.sum(jnp.exp(leaves[0]))

    kernel = jax.jit(functools.partial(taylor_kernel, f))
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=5)
        found = taylor_slopes(f, [jnp.asarray(X0)], float(np.exp(X0) @ v), [jnp.asarray(v)], kernel=kernel)
        assert found.passed
    assert len(traced) == 1


def test_a_wrong_hessian_leaves_order_two():
    """Samples of e^t: with ⟨v, Hv⟩ = 1.01 the remainder is t²/200, of order two where three is expected."""
    t = 0.25 ** np.arange(1, 9)
    samples = Samples(np.array(1.0), np.exp(t), np.exp(-t), np.ones(2))
    found = fit_slope(samples, 0.25, 1.0, 1.5)
    assert found.passed is False and abs(found.order_fitted - 2) <= MARGIN / 2


T = 0.25 ** np.arange(1, 14)


def even(remainder):
    """Samples of a function whose remainder is the same on both sides of the point, where it is 0."""
    return Samples(np.array(0.0), remainder, remainder, np.zeros(2))


def test_the_order_is_that_of_the_shortest_steps():
    """t³ + 10⁻⁹t: of order three down to t = 2⁻¹⁵, of order one below, which is what a wrong gradient leaves."""
    found = fit_slope(Samples(np.array(0.0), T**3 + 1e-9 * T, -(T**3) - 1e-9 * T, np.zeros(2)), 0.25, 0.0)
    assert found.passed is False and abs(found.order_fitted - 1) <= 0.02


@pytest.mark.parametrize(("counted", "passed"), [(4, True), (3, True), (2, None), (0, None)])
def test_a_remainder_counts_from_eight_times_its_noise(counted, passed):
    """t² with a noise that lets so many steps stand out: three are needed to fit a slope."""
    edge = T[counted - 1] ** 2 / 8 if counted else 1.0
    found = fit_slope(even(T**2), 0.25, 0.0, noise=0.99 * edge)
    assert found.passed is passed
    assert np.isnan(found.order_fitted) if passed is None else abs(found.order_fitted - 2) <= 1e-9
    if counted == 2:
        assert "Only 2 of 13 remainders" in found.text


@pytest.mark.parametrize(("bend", "word"), [(None, "linear"), (-6.0, "quadratic")])
def test_a_function_that_is_its_expansion_leaves_nothing_to_fit(bend, word):
    """2t and 2t − 3t² with their own derivatives: None, not a pass; a slope of 2.01 leaves the order 1."""
    curved = 0 if bend is None else bend / 2 * T**2
    samples = Samples(np.array(0.0), 2 * T + curved, -2 * T + curved, np.zeros(2))
    right, wrong = fit_slope(samples, 0.25, 2.0, bend), fit_slope(samples, 0.25, 2.01, bend)
    assert right.passed is None and f"{word} along v" in right.text
    assert wrong.passed is False and abs(wrong.order_fitted - 1) <= 1e-6


def test_where_no_remainder_is_finite_nothing_is_said():
    found = fit_slope(even(np.nan * T), 0.25, 0.0)
    assert found.passed is None and "not finite" in found.text
