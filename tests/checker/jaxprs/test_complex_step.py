"""checker/complex_step: the analytic continuation of a program, to rounding, and what it refuses by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.jaxprs.complex_step import NotAnalytic, complex_step, step_of, why_not

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

U = 2.0**-53


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def slope(f, x, v=None, **options):
    x = np.asarray(x, np.float64)
    return np.asarray(complex_step(jax.make_jaxpr(f)(x), [x], [np.ones_like(x) if v is None else v], **options)[0])


ALL = np.array([-30.0, -3.0, -0.7, -1e-9, 1e-200, 2e-5, 0.4, 1.3, 6.0, 40.0])
POSITIVE = np.array([1e-150, 3e-9, 0.2, 1.5, 8.0, 1e10, 1e150])
INSIDE = np.array([-0.9, -0.3, -1e-8, 1e-100, 0.05, 0.8])
# name: (function, points, derivative in a form without cancellation)
UNARY = {
    "exp": (lax.exp, ALL, np.exp),
    "exp2": (lax.exp2, ALL, lambda x: np.log(2) * np.exp2(x)),
    "expm1": (lax.expm1, ALL, np.exp),
    "log": (lax.log, POSITIVE, lambda x: 1 / x),
    "log1p": (lax.log1p, np.concatenate([INSIDE, POSITIVE]), lambda x: 1 / (1 + x)),
    "sin": (lax.sin, ALL, np.cos),
    "cos": (lax.cos, ALL, lambda x: -np.sin(x)),
    "tan": (lax.tan, INSIDE, lambda x: 1 / np.cos(x) ** 2),
    "sinh": (lax.sinh, INSIDE, np.cosh),
    "cosh": (lax.cosh, INSIDE, np.sinh),
    "tanh": (lax.tanh, ALL[1:-1], lambda x: 1 / np.cosh(x) ** 2),
    "asin": (lax.asin, INSIDE, lambda x: 1 / np.sqrt((1 - x) * (1 + x))),
    "acos": (lax.acos, INSIDE, lambda x: -1 / np.sqrt((1 - x) * (1 + x))),
    "atan": (lax.atan, ALL, lambda x: 1 / (1 + x * x)),
    "asinh": (lax.asinh, ALL, lambda x: 1 / np.hypot(1, x)),
    "acosh": (lax.acosh, np.array([1.5, 3.0, 1e10]), lambda x: 1 / np.sqrt((x - 1) * (x + 1))),
    "atanh": (lax.atanh, INSIDE, lambda x: 1 / ((1 - x) * (1 + x))),
    "sqrt": (lax.sqrt, POSITIVE, lambda x: 0.5 / np.sqrt(x)),
    "rsqrt": (lax.rsqrt, POSITIVE[:-1], lambda x: -0.5 / np.sqrt(x) / x),
    "cbrt": (lax.cbrt, POSITIVE[1:-1], lambda x: np.cbrt(x) / x / 3),
    "logistic": (lax.logistic, ALL, lambda x: np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2),
    "square": (lax.square, ALL, lambda x: 2 * x),
    "integer_pow": (lambda x: lax.integer_pow(x, 3), INSIDE[:3], lambda x: 3 * x * x),
    "pow": (lambda x: lax.pow(x, 2.5), POSITIVE[:-1], lambda x: 2.5 * np.power(x, 1.5)),
    "reciprocal": (lambda x: 1.0 / x, POSITIVE[1:-1], lambda x: -1 / x / x),
    "abs": (lax.abs, ALL, np.sign),
}


@pytest.mark.parametrize("name", UNARY)
def test_an_elementwise_function_has_its_derivative_to_rounding(name):
    """Im f(x + ih)/h = f′(x) + O(h²), one entry at a time, so that each has the step of its own scale.

    XLA's complex functions and NumPy's real ones are good to about 2 ulps (u each half); the closed forms here take
    at most 4 operations more: 16u in all. sinh, cosh and tanh, through e^x, add |x|u ≤ 2u (INSIDE) or 6u, and cbrt,
    which older releases compute by e^{log x/3}, adds 8u on its points.
    """
    function, points, derivative = UNARY[name]
    program = jax.make_jaxpr(function)(1.0)
    step = jax.jit(lambda x: complex_step(program, [x], [1.0])[0])
    found = np.array([float(step(x)) for x in points])
    expected = derivative(points)
    h = np.array([float(step_of([x], [1.0])) for x in points])
    tolerance = 24 * U * np.abs(expected) + 2.0**-1022 / h  # h·f′ below 2⁻¹⁰²² is flushed to 0
    assert np.all(np.abs(found - expected) <= tolerance), found / expected - 1


A = np.random.default_rng(1).normal(size=(5, 5)) + 5 * np.eye(5)
CONDITION = np.linalg.cond(A) ** 2


def _while(x):
    return lax.while_loop(lambda s: s[1] < 10.0, lambda s: (s[0] * jnp.cos(x), s[1] + jnp.abs(s[0][0]) + 1), (x, 0.0))[
        0
    ]


@jax.custom_jvp
def wrong_rule(x):
    return jnp.sin(x) * x


wrong_rule.defjvp(lambda primals, tangents: (wrong_rule(*primals), 7.0 * tangents[0]))


@jax.custom_vjp
def wrong_vjp(x):
    return jnp.sin(x) * x


wrong_vjp.defvjp(lambda x: (wrong_vjp(x), None), lambda _, g: (7.0 * g,))

# name: (function, conditioning of its algorithm, beyond that of its terms)
COMPOSED = {
    "logsumexp": (jax.nn.logsumexp, 1),
    "softmax": (jax.nn.softmax, 1),
    "huber": (lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, 0.5 * x * x, jnp.abs(x) - 0.5)), 1),
    "powers": (lambda x: jnp.sum(jnp.abs(x) ** 2.5 + x**3) + jnp.sum(jnp.abs(x) ** x), 1),
    "scan": (lambda x: lax.scan(lambda c, a: (c * a + jnp.sin(c), c), 1.0, x)[1], 10),
    "while": (_while, 1),
    "shifted carry": (
        lambda x: lax.fori_loop(0, 3, lambda i, c: (x * x, c[0], c[1]), (x * 0, *np.zeros((2, 5))))[2],
        1,
    ),
    "late carry": (
        lambda x: lax.scan(lambda c, _: ((x, c[0], c[1]), c[2]), (*np.zeros((3, 5)),), None, length=5)[1][4],
        1,
    ),
    "fori": (lambda x: jax.vmap(lambda a: lax.fori_loop(0, 4, lambda i, c: c * a, 1.0))(x), 1),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda y: y * y, jnp.ones_like, x), 1),
    "solve": (lambda x: jnp.linalg.solve(A + jnp.diag(x), x), CONDITION),
    "slogdet": (lambda x: jnp.linalg.slogdet(A + jnp.outer(x, x))[1], CONDITION),
    "conjugated triangle": (
        lambda x: lax.linalg.triangular_solve(
            A + jnp.diag(x), x[:, None], left_side=True, lower=True, transpose_a=True, conjugate_a=True
        )[:, 0],
        CONDITION,
    ),
    "sort": (lambda x: jnp.sort(x) * jnp.arange(5) + jnp.median(x), 1),
    "argsort": (lambda x: x[jnp.argsort(x)] * jnp.arange(5), 1),
    "extremes": (lambda x: jnp.max(x) + jnp.min(x) + jnp.maximum(x, 0.3) - jnp.minimum(x, -0.1), 1),
    "clamp": (lambda x: lax.clamp(-0.2, x, 0.4) * x, 1),
    "cummax": (lambda x: lax.cummax(x) * lax.cummin(x, reverse=True), 1),
    "gather": (lambda x: x[jnp.array([1, 1, 3])] @ x[:3], 1),
    "scatter": (lambda x: x.at[jnp.array([1, 1, 3])].add(x[:3] ** 2).at[2].multiply(x[0]).at[0].set(x[4] * 2), 1),
    "convolve": (lambda x: jnp.convolve(x, x), 1),
    "atan2": (lambda x: jnp.arctan2(x, x[::-1] * 1.3 + 0.2), 1),
    "activations": (lambda x: jax.nn.sigmoid(x) + jax.nn.softplus(x) + jax.nn.gelu(x) + jnp.tanh(x), 1),
    "logcosh": (lambda x: jnp.log(jnp.cosh(x)), 1),
    "remainder": (lambda x: x % (0.3 + x[::-1] ** 2) * x, 1),
    "top_k": (lambda x: lax.top_k(x, 2)[0], 1),
    "products": (lambda x: jnp.prod(x) + jnp.cumprod(x), 1),
    "layer norm": (lambda x: (x - x.mean()) / jnp.std(x), 10),
    "norm": (jnp.linalg.norm, 1),
    "quadratic": (lambda x: jnp.einsum("i,ij,j", x, A, x), 1),
    "remat": (jax.checkpoint(lambda y: jnp.sin(y) * y), 1),
    "float32 inside": (lambda x: (x.astype(jnp.float32).astype(jnp.float64)) * x, 1),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_a_program_has_the_derivative_of_jvp(name):
    """f′(x)v as jax.jvp computes it, under jit.

    Fewer than 32 rounded operations lie between an input and an output of these functions of 5 entries, each good to
    2u on both sides: 128u of Σⱼ|∂f/∂xⱼ||vⱼ|, times the conditioning of the algorithm in between.
    """
    f, condition = COMPOSED[name]
    rng = np.random.default_rng(7)
    x, v = rng.normal(size=5), rng.normal(size=5)
    program = jax.make_jaxpr(f)(x)
    assert why_not(program) is None
    (found,) = jax.jit(lambda x, v: complex_step(program, [x], [v]))(x, v)
    if name == "float32 inside":  # carried in float64: the derivative is that of x²
        f = lambda x: x * x  # noqa: E731
    _, expected = jax.jvp(f, (x,), (v,))
    size = np.abs(np.asarray(jax.jacfwd(f)(x))) @ np.abs(v)
    assert found.dtype == np.float64 and found.shape == expected.shape
    # the float32 value itself is off by 2⁻²⁴ in one factor
    tolerance = (128 * U * condition + (2.0**-24 if name == "float32 inside" else 0)) * size
    assert np.all(np.abs(np.asarray(found) - np.asarray(expected)) <= tolerance)


@pytest.mark.parametrize("function", [wrong_rule, wrong_vjp])
def test_a_custom_rule_takes_no_part(function):
    """The body is continued: sin(x)x has the slope sin x + x cos x, not the rule's 7."""
    assert abs(slope(function, 0.6) - (np.sin(0.6) + 0.6 * np.cos(0.6))) <= 8 * U


REFUSED = {
    "erf": lax.erf,
    "lgamma": lax.lgamma,
    "digamma": lax.digamma,
    "cholesky": lambda x: jnp.linalg.cholesky(jnp.eye(3) * x),
    "eigh": lambda x: jnp.linalg.eigh(jnp.eye(3) * x)[0],
    "complex": lambda x: lax.complex(x, x).real,
    "fft": lambda x: jnp.abs(jnp.fft.rfft(jnp.ones(4) * x)),
    "nextafter": lambda x: lax.nextafter(x, 1.0),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("inside", ["jit", "scan", "cond", "while"])
def test_what_is_not_analytic_is_refused_by_name(name, inside):
    g = REFUSED[name]
    f = {
        "jit": jax.jit(g),
        "scan": lambda x: lax.scan(lambda c, _: (c + jnp.sum(g(c)), None), x, None, length=2)[0],
        "cond": lambda x: lax.cond(x > 0, lambda y: jnp.sum(g(y)), lambda y: y, x),
        "while": lambda x: lax.while_loop(lambda c: c < 0, lambda c: c + jnp.sum(g(c)), x),
    }[inside]
    program = jax.make_jaxpr(f)(0.5)
    reason = why_not(program)
    assert reason is not None and f"primitive {name!r}" in reason
    with pytest.raises(NotAnalytic, match=name):
        complex_step(program, [0.5], [1.0])


def test_what_does_not_depend_on_the_perturbed_inputs_is_not_refused():
    """Activity: erf of an input that stays, and of a carry of a loop that v never reaches."""

    def f(x, y):
        return lax.fori_loop(0, 3, lambda i, c: (c[0] * x, lax.erf(c[1])), (x, y))

    program = jax.make_jaxpr(f)(2.0, 0.3)
    assert why_not(program) == "primitive 'erf'"
    assert why_not(program, [True, False]) is None
    moved, still = complex_step(program, [2.0, 0.3], [1.0, None])
    assert float(moved) == 4 * 2.0**3 and float(still) == 0


def test_integer_inputs_and_outputs_stay():
    program = jax.make_jaxpr(lambda x, i: (x[i] * 2, i + 1))(np.ones(3), 1)
    first, second = complex_step(program, [np.ones(3), 1], [np.arange(3.0), None])
    assert float(first) == 2.0 and float(second) == 0.0


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (jnp.abs, 0.0, 0.0),
        (lambda x: jnp.maximum(x, 0.0), 0.0, 0.5),
        (lambda x: jnp.minimum(x, -x), 0.0, 0.0),
        (lambda x: jnp.max(jnp.stack([x, 3 * x, -x])), 0.0, 1.0),
    ],
)
def test_at_a_tie_the_slopes_are_averaged(f, x, expected):
    """The mean over the entries that tie: for two, (f′₊ + f′₋)/2, what a central difference sees."""
    assert slope(f, x) == pytest.approx(expected, abs=2 * U)


@pytest.mark.parametrize("f", [jnp.log, jnp.sqrt, jnp.arccosh, lambda x: jnp.power(x, 0.5), lambda x: x ** (x + 0.5)])
def test_outside_the_real_domain_the_answer_is_nan(f):
    """log(−2 + ih) is a number; the real log has no value there, hence no derivative."""
    assert np.isnan(slope(f, -2.0))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e30, 1e140])
def test_the_step_follows_the_scale_of_x(scale):
    """d/dx of x·g(x/scale) at its scale: a fixed h would be no small perturbation of 1e-200."""
    x = 3.0 * scale
    found = slope(lambda y: jnp.log(y), x)
    assert abs(found * x - 1) <= 4 * U
    (h,) = [float(step_of([np.float64(x)], [np.float64(1.0)]))]
    assert np.log2(h) == np.floor(np.log2(h)) and h <= 2.0**-40 and (h / x) ** 2 < U


def test_a_zero_entry_does_not_set_the_step():
    assert float(step_of([np.array([0.0, 4.0])], [np.array([1.0, 2.0])])) == 2.0**-99
    assert float(step_of([np.zeros(2)], [np.ones(2)])) == 2.0**-100


def test_the_truncation_error_is_of_second_order_in_h():
    """Im e^{x+ih}/h = eˣ(1 − h²/6 + …): the formula itself, seen at a large step."""
    for h in (1e-2, 1e-3):
        assert (slope(jnp.exp, 0.5, h=h) / np.exp(0.5) - 1) / (-h * h / 6) == pytest.approx(1, rel=h)


def test_repeated_calls_of_a_compiled_step_trace_nothing():
    program = jax.make_jaxpr(jax.nn.logsumexp)(np.ones(4))
    traced = []
    step = jax.jit(lambda x, v: traced.append(0) or complex_step(program, [x], [v]))
    for seed in range(3):
        step(np.random.default_rng(seed).normal(size=4), np.ones(4))
    assert len(traced) == 1
