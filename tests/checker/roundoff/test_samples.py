"""Sampled rounding errors: they cover real float32 errors, also where the entrywise bound has lost all meaning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.roundoff.calls import Arithmetic
from jaxsoftmax.checker.roundoff.interpreter import with_errors
from jaxsoftmax.checker.roundoff.samples import sampled_errors, signs

U32 = 2.0**-24
TINY32 = float(np.finfo(np.float32).tiny)
N = np.random.Generator.standard_normal


def recurrent(w, u, xs):
    def step(h, x):
        h = jnp.tanh(w @ h + u @ x)
        return h, h

    return jnp.sum(lax.scan(step, jnp.zeros(w.shape[0], w.dtype), xs)[1] ** 2)


def attention(q, k, v):
    return jnp.sum(jnp.tanh(jax.nn.softmax(q @ k.T / jnp.sqrt(q.shape[1])) @ v))


def log_determinant(a):
    return 2 * jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(a @ a.T + 5 * jnp.eye(len(a))))))


def branchy(x):
    def body(c):
        i, y = c
        return i + 1, lax.cond(i % 2 == 0, lambda y: jnp.sin(y) + x, lambda y: y * x, y)

    return lax.while_loop(lambda c: c[0] < 7, body, (0, x))[1]


def contraction(x):
    """h <- h + a h + 1 with a near -0.9: errors shrink by 1 + a, absolute values grow by 1 + |a|."""
    return lax.scan(lambda h, a: (h + a * h + 1.0, None), jnp.zeros((), x.dtype), x)[0]


# name: (function, arguments, how much larger than the largest error the largest estimate may be). The factor of 16 for
# safety, k from 1 to 8 for each rounding, and the square root of sums make about 16 x 4 x 4 usual.
CASES = {
    "recurrent net": (
        jax.grad(recurrent, (0, 1)),
        lambda r: (0.3 * N(r, (10, 10)), N(r, (10, 4)), N(r, (30, 4))),
        1e3,
    ),
    "attention": (jax.grad(attention, (0, 1, 2)), lambda r: (N(r, (20, 8)), N(r, (20, 8)), N(r, (20, 8))), 2e3),
    "log-determinant": (jax.grad(log_determinant), lambda r: (N(r, (15, 15)),), 1e4),
    "logsumexp Hessian": (jax.hessian(jax.nn.logsumexp), lambda r: (5 * N(r, 20),), 2e3),
    "contraction": (contraction, lambda r: (r.uniform(-0.95, -0.85, 40),), 2e3),
    "while and cond": (branchy, lambda r: (N(r, 10),), 2e3),
    "solve": (
        jax.grad(lambda a, b: jnp.sum(jnp.linalg.solve(a, b) ** 2), (0, 1)),
        lambda r: (N(r, (20, 20)) + 10 * np.eye(20), N(r, 20)),
        1e4,
    ),
    "standard deviation": (jax.grad(jnp.std), lambda r: (100 + N(r, 50),), 1e4),
}


def runs(name, seeds=range(3)):
    """For each seed: float32 outputs, float64 outputs, sampled errors, entrywise bounds."""
    fun, make, _ = CASES[name]
    arithmetic = Arithmetic(TINY32 / U32, digits=24)
    first = [np.asarray(a, np.float64) for a in make(np.random.default_rng(0))]
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(fun)(*first)
        both = jax.jit(lambda *v: (sampled_errors(jaxpr, v, arithmetic), with_errors(jaxpr, v, arithmetic)))
    for seed in seeds:
        args = [np.asarray(a, np.float32) for a in make(np.random.default_rng(seed))]
        single = [np.asarray(o, np.float64) for o in jax.tree.leaves(jax.jit(fun)(*args))]
        with jax.enable_x64(True):
            sampled, bound = both(*[np.asarray(a, np.float64) for a in args])
            yield (
                single,
                *([np.asarray(v) for v in values] for values in (sampled.outs, sampled.errors, bound.errors)),
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_entry_lies_within_its_estimate_and_the_estimate_is_tight(name):
    """sampled_errors: |f32 - f64| <= u estimate for every entry, three seeds, and no wild excess."""
    estimates, seen = 0.0, 0.0
    for single, double, errors, _ in runs(name):
        gaps = [np.abs(s - d) for s, d in zip(single, double, strict=True)]
        assert all(np.all(gap <= U32 * error + TINY32) for gap, error in zip(gaps, errors, strict=True))
        estimates = np.maximum(estimates, [U32 * np.max(error) for error in errors])
        seen = np.maximum(seen, [np.max(gap) for gap in gaps])
    assert np.all(estimates <= CASES[name][2] * seen)


@pytest.mark.slow
def test_where_absolute_values_explode_the_estimate_does_not():
    """The contraction's bound is 1.9^40 units while its estimate, which holds (test above), is a few hundred.

    The gradient of tanh is written g + a g in JAX 0.10, so recurrent nets have this shape there.
    """
    for _, _, errors, bounds in runs("contraction", [0]):
        assert np.max(bounds[0]) > 1e8 and np.max(errors[0]) < 1e4


@pytest.mark.slow
def test_an_error_shared_by_two_terms_cancels_with_them():
    """y - y is 0 for y = exp(x): the bound adds the error of exp twice, a sample subtracts it from itself."""

    def fun(x):
        y = jnp.exp(x)
        return y - y

    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(fun)(np.float64(1))
        (estimate,), (bound,) = (f(jaxpr, [np.float64(1)]).errors for f in (sampled_errors, with_errors))
        assert float(estimate) == 0
        np.testing.assert_allclose(float(bound), 2 * 4 * np.e, rtol=1e-14)  # k = 4 of exp, twice


@pytest.mark.slow
def test_seeds_draw_other_signs():
    """seed: other samples, estimates of the same size (chi-square with 8 degrees: within a factor of 8)."""
    x = np.random.default_rng(0).standard_normal(50)
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda v: jnp.sum(jnp.sin(v)))(x)
        first, again, other = (float(sampled_errors(jaxpr, [x], seed=s).errors[0]) for s in (0, 0, 1))
    assert first == again != other
    assert 1 / 8 < first / other < 8


def test_one_rounding_has_the_same_size_in_every_sample():
    """A single product errs by ±u|xy| in each sample, whatever the signs: the root mean square is u|xy|, times 16."""
    x = np.linspace(0.5, 1.5, 16)
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda v: v * v)(x)
        (estimate,) = jax.jit(lambda v: sampled_errors(jaxpr, [v]).errors)(x)
    np.testing.assert_allclose(estimate, 16 * x * x, rtol=1e-14)


@pytest.mark.slow
def test_a_program_without_a_forward_derivative_has_infinite_estimates():
    """sampled_errors: a pure_callback has no jvp: inf, and nothing raises."""

    def fun(x):
        return jax.pure_callback(lambda v: np.sin(v), jax.ShapeDtypeStruct((), jnp.float64), x) + x

    with jax.enable_x64(True):
        result = sampled_errors(jax.make_jaxpr(fun)(0.5), [np.float64(0.5)])
        assert [float(e) for e in result.errors] == [np.inf]
        np.testing.assert_allclose(float(result.outs[0]), np.sin(0.5) + 0.5, rtol=1e-15)


def estimate(function, x, **options):
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(function)(x)
        return np.asarray(jax.jit(lambda v: sampled_errors(jaxpr, [v], **options).errors[0])(x))


def test_an_error_in_the_imaginary_part_counts():
    """The product errs by u x² in the imaginary part alone: 16 times its modulus."""
    x = np.array([0.5, -2.0])
    np.testing.assert_allclose(estimate(lambda v: lax.complex(0 * v, v * v), x), 16 * x * x, rtol=1e-14)


def test_a_shared_error_cancels_and_others_do_not():
    """y − y of y = x·x is exact; x·x − x·x is not to be relied on: two operations round by themselves."""
    x = np.array([0.7, 1.3])
    assert (estimate(lambda v: (lambda y: y - y)(v * v), x) == 0).all()
    assert (estimate(lambda v: v * v - v * v, x) > 0).all()


def test_a_value_beyond_the_working_dtype_has_an_infinite_estimate():
    """`huge`: 9 is within 10 and 16 is not."""
    found = estimate(lambda v: v * v, np.array([3.0, 4.0]), arithmetic=Arithmetic(huge=10.0))
    assert found.tolist() == [16 * 9, np.inf]


@pytest.mark.slow
def test_numbers_that_differ_in_their_first_digits_alone_have_signs_of_their_own():
    """Small whole numbers share the low half of their bits: of 64 signs some 32 are +, within 4 standard deviations."""
    with jax.enable_x64(True):
        for dtype in (np.float32, np.float64):
            drawn = np.asarray(signs(jnp.arange(1, 65, dtype=dtype), jnp.uint32(3), 7))
            assert set(drawn.tolist()) == {-1.0, 1.0} and abs(drawn.sum()) <= 2 * 16
