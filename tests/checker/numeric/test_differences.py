"""checker/differences and checker/kinks: extrapolated differences, their error estimates, and points without slope."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.numeric.differences import (
    Samples,
    difference_kernel,
    directional_difference,
    extrapolate,
    length_scale,
    sample_noise,
)
from jaxsoftmax.checker.numeric.kinks import Shape, kink

U = 2.0**-53
RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 4))
X0, V = RNG.normal(size=4), RNG.normal(size=4)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def both(f, x=X0, v=V, **options):
    """The difference of f (a function of one array) along v, and the exact derivative by jvp."""
    found = directional_difference(lambda leaves: f(leaves[0]), [jnp.asarray(x)], [jnp.asarray(v)], **options)
    return found, np.asarray(jax.jvp(f, (jnp.asarray(x),), (jnp.asarray(v),))[1])


SMOOTH = {
    "exp": lambda x: jnp.sum(jnp.exp(x)),
    "log": lambda x: jnp.sum(jnp.log(jnp.abs(x))),
    "logsumexp": lambda x: jax.nn.logsumexp(3 * x),
    "quadratic": lambda x: x @ A @ x,
    "vector": lambda x: jnp.tanh(A @ x),
    "matrix": lambda x: jnp.outer(jnp.sin(x), x),
    "fast": lambda x: jnp.sum(jnp.sin(100 * x)),
    "very fast": lambda x: jnp.sum(jnp.sin(1e4 * x)),
    "offset": lambda x: 1e10 + jnp.sum(jnp.sin(x)),
    "near a zero": lambda x: jnp.sum(x * x) - float(np.sum(X0 * X0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_is_within_the_estimate_and_small(name):
    """value = f′(x)v to its error estimate, and the estimate is of the order of the unavoidable noise.

    Eight levels from L/16: the truncation vanishes, and the step L/2¹¹ or longer leaves 2¹²/L of a sample's noise. That
    is 4u|f| and, from the rounded argument, 2uΣ|gᵢxᵢ|. The fast functions have their own shorter length, 1e-2 and 1e-4,
    and the tableau doubles the noise at most.
    """
    f = SMOOTH[name]
    found, exact = both(f)
    assert np.all(np.abs(found.value - exact) <= found.error_estimate)
    slopes = np.abs(np.asarray(jax.jacfwd(f)(jnp.asarray(X0)))) @ np.abs(X0)
    size = np.max(np.abs(np.asarray(f(X0)))) + 4 + np.max(slopes) / 2
    length = {"fast": 1e-2, "very fast": 1e-4}.get(name, 1.0) * length_scale([X0], [V])
    assert np.all(found.error_estimate <= 2 * 4 * U * size * 2.0**12 / length)
    assert found.value.dtype == np.float64 and found.value.shape == exact.shape


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1e8, 1e200])
def test_huge_and_tiny_scales_neither_overflow_nor_underflow(scale):
    """Σ log|xᵢ| and Σ aᵢxᵢ have the length scale of x: the relative error does not depend on it.

    4u·(|f|/(|f′|L))·2¹² of noise, and |f| ≤ 4·500 for the logarithms of 1e±200.
    """
    for f, size in ((lambda x: jnp.sum(jnp.log(jnp.abs(x))), 2000), (lambda x: jnp.sum(A[0] * x), 10)):
        found, exact = both(f, x=X0 * scale)
        assert abs(found.value - exact) <= found.error_estimate
        assert found.error_estimate <= 2 * 4 * U * 2.0**12 * size * abs(exact)
        assert found.evaluations == 19


@pytest.mark.slow
def test_a_function_of_scale_one_at_a_tiny_point_is_resolved():
    """x = 1e-200 moved by its own scale leaves sin + cos unchanged: the unit scale is tried next."""
    found, exact = both(lambda x: jnp.sum(jnp.sin(x)) + 1.0, x=X0 * 1e-200)
    assert found.evaluations == 38
    assert abs(found.value - exact) <= found.error_estimate <= 1e-10


def test_the_tableau_removes_every_even_power():
    """Neville: K levels remove h², …, h^{2K−2} from the central differences of an odd polynomial.

    Of degree 2K − 3, the last two columns agree and the estimate is rounding; of degree 2K − 1 the last entry is exact
    but nothing confirms it, so that the estimate is not small; it still covers the error.
    """
    K = 4
    h = [Fraction(1, 2**k) for k in range(K)]

    def samples(power):
        values = np.array([float(step + step**power) for step in h])
        return Samples(np.float64(0.0), values, -values, np.zeros(2))

    confirmed = extrapolate(samples(2 * K - 3), 1.0)
    # samples of size 2, noise 8u at h = 1/8, doubled by the tableau
    assert abs(confirmed.value - 1.0) <= confirmed.error_estimate <= 2 * 64 * U
    beyond = extrapolate(samples(2 * K - 1), 1.0)
    assert abs(beyond.value - 1.0) <= beyond.error_estimate and beyond.error_estimate > 1e-4


@pytest.mark.slow
def test_one_sided_slopes_come_from_the_same_samples():
    """|x| + 3x at 0: 4 from the right and 2 from the left, 3 by the central difference, exactly."""
    found, _ = both(lambda x: jnp.abs(x[0]) + 3 * x[0], x=np.zeros(1), v=np.ones(1))
    assert (float(found.left), float(found.value), float(found.right)) == (2.0, 3.0, 4.0)
    smooth, exact = both(SMOOTH["exp"])
    assert abs(smooth.left - exact) <= smooth.left_error and abs(smooth.right - exact) <= smooth.right_error


def test_the_one_sided_tableau_removes_every_power():
    """h + h² + h³ from the right: five levels remove h and h² of the quotient, and the next column confirms it.

    Samples of size 3, noise 2·12u/h at h = 1/16; the weights of ratio 2 add up to Π(2ʲ + 1)/(2ʲ − 1) < 9.
    """
    h = 0.5 ** np.arange(5)
    found = extrapolate(Samples(np.float64(0.0), h + h**2 + h**3, -h + h**2 - h**3, np.zeros(2)), 1.0)
    assert abs(found.right - 1) <= found.right_error <= 2 * 9 * 24 * U * 16
    assert abs(found.left - 1) <= found.left_error <= 2 * 9 * 24 * U * 16


def test_rounding_is_carried_through_the_tableau():
    """Samples wrong by ε at random: the error stays below the estimate's rounding part, N = Σ|weights|ε/h.

    f is linear, so that rounding is all there is; 200 draws of ±ε on every sample.
    """
    h, eps = 0.5 ** np.arange(8), 1e-6
    rng = np.random.default_rng(3)
    shape = (200,)
    signs = rng.choice([-1.0, 1.0], size=(2, 8, *shape))
    column = h[:, None]
    found = extrapolate(
        Samples(np.zeros(shape), column + eps * signs[0], -column + eps * signs[1], np.zeros((2, *shape))), 1.0, eps
    )
    assert np.all(np.abs(found.value - 1) <= found.noise)
    # the first difference alone is wrong by ε/h₀ at most; extrapolating towards short steps must cost more
    assert np.all(found.noise >= eps)
    assert np.all(found.error_estimate >= found.noise)


def test_the_noise_of_one_sided_slopes_is_twice_that_of_a_sample():
    """Two levels: N(1, 1) = 2·2w/(h/2) + 2w/h = 10w/h from one side, and (4·w/(h/2) + w/h)/3 = 3w/h by both.

    Samples wrong by ±w reach 8w/h from the right: the centre is too small by w and the shorter step's value too large.
    """
    w, h, ones = 1e-6, 0.25, np.ones(2)
    still = extrapolate(Samples(np.float64(1), ones, ones, ones), h, w - 4 * U)
    assert still.value == still.left == still.right == 0
    assert float(still.right_error) == pytest.approx(10 * w / h, rel=1e-12, abs=0)
    assert float(still.left_error) == pytest.approx(10 * w / h, rel=1e-12, abs=0)
    assert float(still.error_estimate) == pytest.approx(3 * w / h, rel=1e-12, abs=0)
    assert float(still.noise) == float(still.error_estimate)
    moved = Samples(np.float64(1 - w), np.array([1 - w, 1 + w]), np.array([1 - w, 1 + w]), (1 - w) * ones)
    found = extrapolate(moved, h, w)
    assert abs(float(found.right)) == abs(float(found.left)) == pytest.approx(8 * w / h, rel=1e-6, abs=0)
    assert 8 * w / h <= found.right_error


def test_the_noise_of_a_central_difference_is_reached():
    """(4·w/(h/2) + w/h)/3: the signs of a sample's error alternate as the weights of the tableau do."""
    w, h = 1e-6, 0.25
    plus = 1 + w * np.array([-1.0, 1.0])
    found = extrapolate(Samples(np.float64(1), plus, 2 - plus, np.ones(2)), h, w)
    assert float(found.value) == pytest.approx(3 * w / h, rel=1e-6, abs=0)
    assert 3 * w / h <= found.noise <= 3 * w / h * (1 + 1e-6)


def test_noise_of_the_argument_is_seen():
    """(10⁶x)² − … of a rounded x: f is computed exactly, but x + hv is rounded, and f is steep."""
    steep = Samples(np.float64(0.0), np.zeros(2), np.zeros(2), np.array([3e-5, -2e-5]))
    assert sample_noise(steep) == 3e-5
    assert sample_noise(steep, 1e-5) == 4e-5
    assert sample_noise(Samples(np.float64(2.0), np.array([8.0]), np.array([-1.0]), np.full(2, 2.0))) == 32 * U


@pytest.mark.slow
def test_samples_that_are_not_finite_are_left_out():
    """log at a point from which the long steps leave its domain: NaN there, the short ones serve."""
    found, exact = both(lambda x: jnp.log(x[0]), x=np.array([1e-3, 1.0]), v=np.array([1.0, 0.1]))
    assert abs(found.value - exact) <= found.error_estimate <= 1e-6 * abs(exact)
    nowhere, _ = both(lambda x: jnp.log(x[0]), x=np.array([-1.0]), v=np.array([1.0]))
    assert np.isinf(nowhere.error_estimate)


def test_the_length_scale_is_that_of_the_touched_entries():
    assert length_scale([np.array([3.0, 1e9]), np.array(8.0)], [np.array([2.0, 0.0]), np.array(-4.0)]) == 2.0
    assert length_scale([np.zeros(2)], [np.array([0.0, 4.0])]) == 0.25
    assert length_scale([np.ones(2)], [np.zeros(2)]) == 1.0
    assert length_scale([np.zeros((0, 3))], [np.zeros((0, 3))]) == 1.0


@pytest.mark.slow
def test_a_direction_of_zeros_gives_zero():
    found, _ = both(SMOOTH["exp"], v=np.zeros(4))
    assert found.value == 0 and found.evaluations == 19


@pytest.mark.slow
def test_batches_only_change_how_the_samples_are_computed():
    """vmap may order sums otherwise: values of size ≤ 20 differ by a few u."""
    runs = [difference_kernel(lambda x: jnp.sum(jnp.exp(x[0])), [X0], [V], 0.1, batch=b) for b in (None, 1, 5)]
    for run in runs[1:]:
        for first, other in zip(runs[0], run, strict=True):
            np.testing.assert_allclose(np.asarray(first), np.asarray(other), rtol=16 * U)


@pytest.mark.slow
def test_a_compiled_kernel_serves_all_directions():
    """One trace for many directions and steps."""
    traced = []

    def f(leaves):
        traced.append(0)
        return jnp.sum(jnp.exp(leaves[0])) * leaves[1]

    kernel = jax.jit(functools.partial(difference_kernel, f))
    x = [jnp.asarray(X0), jnp.float64(2.0)]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        v = [rng.normal(size=4), rng.normal()]
        found = directional_difference(f, x, [jnp.asarray(b) for b in v], kernel=kernel)
        exact = 2 * np.exp(X0) @ v[0] + np.sum(np.exp(X0)) * v[1]
        assert abs(found.value - exact) <= found.error_estimate
    assert len(traced) == 1


# --- kinks -----------------------------------------------------------------------------------------------------------


def kind(f, x=X0, v=V, noise=0.0):
    return kink(both(f, x, v)[0], noise)


AT = {
    "abs": lambda x: jnp.sum(jnp.abs(x - X0)),
    "relu": lambda x: jax.nn.relu(A @ (x - X0)),
    "abs on a curve": lambda x: jnp.sum(jnp.exp(x)) + 1e-3 * jnp.sum(jnp.abs(x - X0)),
    "square root": lambda x: jnp.sum(jnp.sqrt(jnp.abs(x - X0))),
    "jump": lambda x: jnp.sum(jnp.where(x > X0, 1.0, 0.0)),
    "max": lambda x: jnp.maximum(x[0] - X0[0], 2 * (x[1] - X0[1])),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AT)
def test_a_kink_at_the_point_is_found(name):
    assert kind(AT[name]).shape is Shape.KINK


@pytest.mark.slow
def test_the_jump_is_the_difference_of_the_slopes():
    """Σ|xᵢ − aᵢ| at a: 2Σ|vᵢ|, to the noise of second differences at the shortest step, and named in the evidence."""
    found = kind(AT["abs"])
    assert found.jump == pytest.approx(2 * np.abs(V).sum(), rel=1e-10)
    assert "jumps by 5." in found.evidence or f"{found.jump:.3g}" in found.evidence
    assert kind(AT["relu"]).index == (int(np.argmax(np.abs(A @ V))),)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_has_no_kink(name):
    """Also where a sine turns several times within the first step."""
    if name != "very fast":
        assert kind(SMOOTH[name]).shape is Shape.SMOOTH


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_smooth_functions_have_no_kink(seed):
    """A two-layer network with softplus and a logarithm of a sum, at random points and directions."""
    rng = np.random.default_rng(seed)
    W, B = rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
    f = lambda x: jax.nn.logsumexp(B @ jax.nn.softplus(W @ x)) + jnp.sum(x**4)  # noqa: E731
    found = kind(f, rng.normal(size=4), rng.normal(size=4))
    assert found.shape is Shape.SMOOTH, found


@pytest.mark.slow
@pytest.mark.parametrize("distance", [2.0**-8, 2.0**-9, 2.0**-10])
def test_a_kink_within_the_steps_is_nearby(distance):
    """|x − d| at 0 along 1, with steps from 2⁻⁴ to 2⁻¹¹."""
    f = lambda x: jnp.abs(x[0] - 1 - distance) + x[0] ** 2  # noqa: E731
    found = kind(f, np.ones(1), np.ones(1))
    assert found.shape is Shape.KINK_NEARBY
    assert distance / 8 <= found.step <= 8 * distance


@pytest.mark.slow
def test_two_kinks_that_central_differences_do_not_see_are_nearby():
    """Huber's function at its centre: even, hence all central differences are 0, but s(h) stays for h above its width.

    s(h) = 2 − w/h for h > w = 2⁻¹⁰: three steps of it are flat; below w it is smooth.
    """
    w = 2.0**-10
    y = lambda x: jnp.abs(x[0] - 1)  # noqa: E731
    huber = lambda x: jnp.where(y(x) < w, y(x) ** 2 / (2 * w), y(x) - w / 2)  # noqa: E731
    assert kind(huber, np.ones(1), np.ones(1)).shape is Shape.KINK_NEARBY


@pytest.mark.slow
@pytest.mark.parametrize("width", [2.0**-3, 2.0**-6, 2.0**-9])
def test_a_rounded_kink_is_not_one_at_the_point(width):
    """√(y² + w²) is smooth; for w within the steps its coarse part looks like |y|, its fine part does not."""
    f = lambda x: jnp.sqrt((x[0] - 1) ** 2 + width**2)  # noqa: E731
    assert kind(f, np.ones(1), np.ones(1)).shape is (Shape.SMOOTH if width > 2.0**-4 else Shape.KINK_NEARBY)


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0.5, 2.0**-13, 2.0**-45])
def test_a_kink_is_one_at_the_point_only_below_all_steps(distance):
    """At 2⁻¹³ the shorter length scale 2⁻¹² resolves the slope, −1 + 2; at 2⁻⁴⁵ none does (the last step is 2⁻³⁵)."""
    f = lambda x: jnp.abs(x[0] - 1 - distance) + x[0] ** 2  # noqa: E731
    found = both(f, np.ones(1), np.ones(1))[0]
    assert kink(found).shape is (Shape.KINK if distance < 2.0**-35 else Shape.SMOOTH)
    if distance > 2.0**-35:
        assert abs(found.value - 1) <= found.error_estimate
        assert found.evaluations == (19 if distance == 0.5 else 38)


def line(f, h0=2.0**-4, levels=8):
    """The samples of a function of NumPy's along a line through 1, an ulp to each side included."""
    h = h0 * 0.5 ** np.arange(levels)
    sampled = [np.asarray(f(1 + part)) for part in (np.zeros(()), h, -h, 2.0**-52 * np.array([1.0, -1.0]))]
    return extrapolate(Samples(*sampled), h0)


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (lambda x: abs(x - 1) + x**2, Shape.KINK),
        (lambda x: np.sqrt(abs(x - 1)), Shape.KINK),
        (lambda x: np.where(x > 1, 1.0, 0.0), Shape.KINK),
        (lambda x: abs(x - 1 - 2.0**-9) + x**2, Shape.KINK_NEARBY),
        (lambda x: np.where(abs(x - 1) < 2.0**-10, 2.0**9 * (x - 1) ** 2, abs(x - 1) - 2.0**-11), Shape.KINK_NEARBY),
        (lambda x: abs(x - 1) ** 1.5 + x, Shape.KINK_NEARBY),
        (lambda x: np.exp(x), Shape.SMOOTH),
        (lambda x: np.sin(20 * x), Shape.SMOOTH),
        (lambda x: 0.1 * x, Shape.SMOOTH),
        (lambda x: np.ones_like(x), Shape.SMOOTH),
    ],
    ids=["abs", "root", "jump", "abs beside", "even", "no second derivative", "exp", "sine", "line", "constant"],
)
def test_the_shape_of_a_function_shows_in_its_samples(f, shape):
    """The module's table: three steps of a steady jump, or of differences that do not settle; rounding is neither."""
    assert kink(line(f)).shape is shape


@pytest.mark.parametrize(("units", "shape"), [(100, Shape.SMOOTH), (600, Shape.KINK_NEARBY), (4096, Shape.KINK)])
def test_a_bend_counts_from_eight_times_its_rounding_on(units, shape):
    """1 ± h + a h: s = J = 2a, a h₀ in units of u; noise is 4.25u a sample.

    At three steps, h₀/h <= 4, s counts where 2a h₀ > 8·4·4.25·4 = 544 units, and J where 2a h₀ > 544·(4 + 1) = 2720.
    """
    h = 2.0**-4 * 0.5 ** np.arange(8)
    bend = units * 2.0**-53 * h / h[0]
    samples = Samples(np.array(1.0), 1 + h + bend, 1 - h + bend, np.ones(2))
    assert kink(extrapolate(samples, float(h[0]))).shape is shape


def drawn_line(s, c=1.0, moved=1.0):
    """Samples around f = 1 whose second difference quotients are s and whose central ones are c, h from 1/16 on."""
    h = 2.0**-4 * 0.5 ** np.arange(8)
    odd, even = np.broadcast_to(c, 8) * h, np.broadcast_to(s, 8) * h / 2
    return extrapolate(Samples(np.array(1.0), 1 + odd + even, 1 - odd + even, np.array([moved, 1.0])), float(h[0]))


def test_a_kink_has_one_sign_and_three_steady_steps():
    """s = 1 at all steps is |x|; s in turns ±1/3 has J = ∓1; a J halved two steps ago is not steady."""
    assert kink(drawn_line(1.0)).shape is Shape.KINK
    assert kink(drawn_line((-1.0) ** np.arange(8) / 3)).shape is Shape.SMOOTH
    assert kink(drawn_line([1, 1, 1, 1, 1, 1, 0.75, 0.625])).shape is Shape.KINK_NEARBY


def test_central_differences_settle_slowly_only_over_four_steps_beyond_rounding():
    """Changes of 1 and 0.6 and no more are no slope of one; changes of 3 · 4.25u/h each, which grow, are rounding."""
    settling = np.array([2.6, 1.6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    halving = 1 + 0.5 ** np.arange(8)  # first order: the last change counted is 2⁻⁶ of the largest, not less
    h = 2.0**-4 * 0.5 ** np.arange(8)
    rough = 1 - np.concatenate([[0.0], np.cumsum(51 * 2.0**-53 / h[:-1])])
    assert kink(drawn_line(0.0, settling)).shape is Shape.SMOOTH
    assert kink(drawn_line(0.0, rough)).shape is Shape.SMOOTH
    assert kink(drawn_line(0.0, halving + 1e-3 * (halving - 1) ** 0.5)).shape is Shape.KINK_NEARBY


def test_a_jump_is_flat_on_both_sides():
    """An ulp of x moves f by 10⁻⁵: a jump where f stands still beside it, a badly conditioned f where it does not."""
    assert kink(drawn_line(0.0, 0.0, 1 + 1e-5)).shape is Shape.KINK
    assert kink(drawn_line(0.0, 1.0, 1 + 1e-5)).shape is Shape.SMOOTH


def test_a_function_below_its_own_rounding_is_noise():
    """1e20 + sin: steps of size 1e-1 change it by less than half an ulp, 8192, save where a sum turns over."""
    samples = Samples(np.float64(1e20), np.full(8, 1e20), np.full(8, 1e20), np.full(2, 1e20))
    samples.plus[0] += 16384.0
    assert kink(extrapolate(samples, 0.1)).shape is Shape.NOISE


@pytest.mark.slow
def test_known_noise_of_the_function_is_taken_into_account():
    """A float32 function seen in float64: without its rounding the samples look rough, with it they are smooth."""
    f = lambda x: jnp.sum(jnp.sin(x.astype(jnp.float32))).astype(jnp.float64)  # noqa: E731
    assert kind(f).shape is not Shape.SMOOTH
    assert kind(f, noise=8 * 2.0**-24 * 4).shape is Shape.SMOOTH


@pytest.mark.slow
def test_a_function_without_entries_is_smooth():
    assert kind(lambda x: jnp.zeros((0,))).shape is Shape.SMOOTH


def test_a_bend_below_rounding_is_no_kink():
    """1 + h(1 + a) to the right and 1 − h to the left, a h₀ = 64u: s is the same at every step, in its noise."""
    h = 2.0**-4 * 0.5 ** np.arange(6)
    one = np.array(1.0)
    found = extrapolate(Samples(one, 1 + h + 64 * 2.0**-53 * h / h[0], 1 - h, np.ones(2)), float(h[0]))
    assert kink(found).shape is Shape.SMOOTH
    bent = extrapolate(Samples(one, 1 + h + 640 * 2.0**-53 * h / h[0], 1 - h, np.ones(2)), float(h[0]))
    assert kink(bent).kinked
