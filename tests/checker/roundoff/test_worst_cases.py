"""What each rounding rule counts: the number of roundings that the theory gives, and float32 data that come near it.

`OWN` has the bound of operations on exact operands, in units of u, by the formulas of the rules' docstrings written out
once more. `REACHED` runs operations in float32 on data built for them (ties, terms a little below half a unit in the
last place, many draws) and compares with float64: no entry errs more than its bound, and some entry by half of it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax import lax

from helpers.stages import fast
from jaxsoftmax.checker.roundoff.calls import Arithmetic
from jaxsoftmax.checker.roundoff.interpreter import with_errors

U32 = 2.0**-24
X, Y = 1.1, 0.7
Z = 0.6 - 0.8j  # of modulus 1
FIVE = np.array([0.3, 1.1, 0.9, 1.3, 0.7])
HUNDRED = np.linspace(0.1, 0.9, 100)


def errors_of(fun, *args, given=None):
    """Values and bounds in units of u, for operands that are exact or have `given` errors."""
    with jax.enable_x64(True):
        args = [np.asarray(a) for a in args]
        outs, errors, generic = with_errors(jax.make_jaxpr(fun)(*args), args, Arithmetic(), input_errors=given)
    assert generic == ()
    return np.asarray(outs[0]), np.asarray(0.0 if errors[0] is None else errors[0])


def factor(a):
    return lax.linalg.cholesky(a, symmetrize_input=False)


def windows(x):
    return lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "VALID")


# name: (function, operands, the bound in units of u)
OWN = {
    "add": (lambda x, y: x + y, (X, Y), 1.8),
    "sub": (lambda x, y: x - y, (X, Y), 0.4),
    "mul": (lambda x, y: x * y, (X, Y), 0.77),
    "mul, complex": (lambda x, y: x * y, (2 * Z, Z), 3 * 2),
    "div": (lambda x, y: x / y, (X, Y), 2 * X / Y),
    "div, complex": (lambda x, y: x / y, (2 * Z, Z), 8 * 2),
    "square": (jnp.square, (X,), X**2),
    "square, complex": (jnp.square, (2 * Z,), 3 * 4),
    "ninth power": (lambda x: lax.integer_pow(x, 9), (X,), 8 * X**9),
    "power -7": (lambda x: lax.integer_pow(x, -7), (X,), (6 + 2) * X**-7),
    "power -1": (lambda x: lax.integer_pow(x, -1), (X,), 2 / X),
    "third power, complex": (lambda x: lax.integer_pow(x, 3), (2 * Z,), 2 * 3 * 8),
    "power -3, complex": (lambda x: lax.integer_pow(x, -3), (Z / 2,), (2 * 3 + 8) * 8),
    "power": (lambda x, y: x**y, (X, Y), (16 + 2 * Y * np.log(X)) * X**Y),
    "modulus, complex": (jnp.abs, (3 * Z,), 2 * 3),
    "next number": (jnp.nextafter, (X, Y), 2 * X),
    "from integers of more digits": (lambda i: i.astype(jnp.float64), (np.int64(257),), 257.0),
    "from integers that fit": (lambda i: i.astype(jnp.float64), (np.int64(256),), 0.0),
    "narrowing": (lambda x: x.astype(jnp.float32).astype(jnp.float64), (X,), float(np.float32(X))),
    "exp": (jnp.exp, (X,), 4 * np.exp(X)),
    "exp2": (jnp.exp2, (X,), 4 * 2**X + 2 * X * np.log(2) * 2**X),
    "log1p": (jnp.log1p, (X,), 12 * np.log1p(X)),
    "tanh": (jnp.tanh, (X,), 8 * np.tanh(X)),
    "cbrt": (jnp.cbrt, (X,), 16 * np.cbrt(X)),
    "sin": (jnp.sin, (Y,), 8 * np.sin(Y) + 2 * Y + 2 * Y * np.cos(Y)),
    "sin, far": (jnp.sin, (5.0,), 8 * abs(np.sin(5.0)) + 2 + 2 * 5 * np.cos(5.0)),
    "cos at its zero": (jnp.cos, (np.pi / 2,), 2 + 8 * np.cos(np.pi / 2) + 2 * np.pi / 2),
    "cos near 0": (jnp.cos, (1e-9,), 8.0),
    "sinh": (jnp.sinh, (X,), 16 * np.sinh(X) + 4 * X * np.cosh(X)),
    "lgamma at its zero": (lax.lgamma, (1.0,), 64 + 4 * 0.5772156649015329),
    "lgamma below its zero": (lax.lgamma, (0.95,), 64 + 4 * 0.95 * abs(scipy.special.digamma(0.95))),
    "atan2": (jnp.arctan2, (X, Y), 16 * np.arctan2(X, Y)),
    "igamma": (lax.igamma, (X, Y), 1024.0),
    "sum of three": (jnp.sum, (FIVE[:3],), 2 * 2.3),
    "sum of a hundred": (jnp.sum, (HUNDRED,), 24 * HUNDRED.sum()),
    "sum of signs": (jnp.sum, (HUNDRED * (-1) ** np.arange(100),), 24 * HUNDRED.sum()),
    "cumulative sum": (jnp.cumsum, (FIVE,), 4 * np.cumsum(FIVE)),
    "sums of windows": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "VALID"),
        (FIVE,),
        FIVE[1:] + FIVE[:-1],
    ),
    "product": (jnp.prod, (FIVE,), 4 * FIVE.prod()),
    "product, complex": (jnp.prod, (FIVE * Z,), 4 * 3 * FIVE.prod()),
    "cumulative product": (jnp.cumprod, (FIVE,), 4 * np.cumprod(FIVE)),
    "log-sum-exp, cumulative": (
        lax.cumlogsumexp,
        (FIVE,),
        (5 + 8) * (1 + np.log(np.cumsum(np.exp(FIVE)))),
    ),
    "contraction of one": (lambda a, b: a @ b, (np.full((1, 1), X), np.full((1, 1), Y)), [[0.77]]),
    "contraction of one, complex": (lambda a, b: a @ b, (np.full((1, 1), Z), np.full((1, 1), Z)), [[3.0]]),
    "contraction of five": (lambda a, b: a @ b, (FIVE, FIVE[::-1].copy()), 5 * FIVE @ FIVE[::-1]),
    # equal terms round the same way each time: n times the 0.99 that repeat, beside 4 + 2 sqrt(n), is capped at n - 1
    "contraction of equal terms": (lambda a, b: a @ b, (np.full(100, X), np.ones(100)), 100 * 100 * X),
    "contraction of terms of which half repeat": (
        lambda a, b: a @ b,
        (np.r_[np.full(51, X), np.linspace(1, 2, 49)], np.ones(100)),
        (24 + 50 + 1) * (51 * X + np.linspace(1, 2, 49).sum()),
    ),
    "convolution": (lambda a, b: jnp.convolve(a, b, mode="valid"), (FIVE, np.ones(5)), 5 * FIVE.sum()),
    "scattered sum": (
        lambda a, b: a.at[jnp.array([1, 1, 1])].add(b),
        (FIVE[:2], FIVE[2:]),
        [0.0, 3 * (FIVE[1] + FIVE[2:].sum())],
    ),
    "scattered product": (
        lambda a, b: a.at[jnp.array([1, 1])].multiply(b),
        (FIVE[:2], FIVE[2:4]),
        [2.0**-12 * FIVE[0], 2 * FIVE[1] * FIVE[2] * FIVE[3]],
    ),
    "triangular solve": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
        (np.full((1, 1), X), np.full((1, 1), Y)),
        [[2 * Y / X]],
    ),
    "triangular solve, complex": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
        (np.full((1, 1), 2 * Z), np.full((1, 1), Z)),
        [[4 * 2 * 2 * 0.5 / 2]],
    ),
    # |T⁻ᵀ| 3 |Tᵀ||x| with x = (1, 1): (1, ½; 0, ¼) · 3 (1 + 2, 4)
    "triangular solve, transposed": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True, transpose_a=True),
        (np.array([[1.0, 0.0], [2.0, 4.0]]), np.array([[3.0], [4.0]])),
        [[15.0], [3.0]],
    ),
    # |T⁻¹| 3 |T||x| without T's diagonal, which is neither read nor rounded: x = (3, −2)
    "triangular solve, unit diagonal": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True, unit_diagonal=True),
        (np.array([[7.0, 0.0], [2.0, 7.0]]), np.array([[3.0], [4.0]])),
        [[0.0], [18.0]],
    ),
    "nothing added": (lambda x: x + 0.0, (X,), 0.0),
    "Cholesky factor": (
        lambda a: lax.linalg.cholesky(a, symmetrize_input=False),
        (np.full((1, 1), X),),
        [[np.sqrt(X)]],
    ),
    "Fourier transform": (
        lambda x: jnp.fft.fft(x),
        (FIVE[:4] + 0j,),
        np.full(4, 8 * 2 * np.sqrt(2) * np.linalg.norm(np.fft.fft(FIVE[:4]))),
    ),
}


@pytest.mark.slow_cases("scattered product", "triangular solve, unit diagonal", "triangular solve, transposed")
@pytest.mark.parametrize("name", OWN)
def test_a_rule_counts_its_own_roundings(name):
    """with_errors on exact operands: the bound of the rule's docstring."""
    fun, operands, bound = OWN[name]
    _, error = errors_of(fun, *operands)
    # 2^-12 is what the difference quotient of a scattered product may be off by.
    np.testing.assert_allclose(error, bound, rtol=2.0**-11 if name == "scattered product" else 1e-9, atol=1e-12)


FOUR_E = np.array([1.0, 2.0, 3.0, 4.0])
# name: (function, operands, their errors in units of u, the bound in units of u)
CARRIED = {
    # A + E has the factor L + L Φ(L⁻¹EL⁻ᵀ): of one entry √x + e/(2√x)
    "Cholesky factor": (
        lambda a: lax.linalg.cholesky(a, symmetrize_input=False),
        (np.full((1, 1), X),),
        (np.full((1, 1), 3.0),),
        [[np.sqrt(X) + 3 / (2 * np.sqrt(X))]],
    ),
    # I + E with E of one triangle alone, whichever is read: L is I + Φ(3 I + E), Φ with half the diagonal
    "Cholesky factor, an error below": (factor, (np.eye(2),), ([[0.0, 0.0], [5.0, 0.0]],), [[1.5, 0.0], [5.0, 1.5]]),
    "Cholesky factor, an error above": (factor, (np.eye(2),), ([[0.0, 5.0], [0.0, 0.0]],), [[1.5, 0.0], [5.0, 1.5]]),
    "triangular solve": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
        (np.full((1, 1), X), np.full((1, 1), Y)),
        ([[3.0]], [[5.0]]),
        [[(2 * Y + 3 * Y / X + 5) / X]],
    ),
    "log-sum-exp, cumulative": (
        lax.cumlogsumexp,
        (np.zeros(2),),
        ([3.0, 5.0],),
        [3 + (2 + 8) * 1, (3 + 5) / 2 + (2 + 8) * (1 + np.log(2))],
    ),
    "quotient": (lambda x, y: x / y, (X, Y), (3.0, 5.0), 3 / Y + X / Y * 5 / Y + 2 * X / Y),
    "quotient of a small divisor": (lambda x, y: x / y, (X, 1e-3), (0.0, 1.0), X / 1e-6 + 2 * X / 1e-3),
    "Fourier transform": (
        jnp.fft.fft,
        (FIVE[:4] + 0j,),
        (FOUR_E,),
        np.full(4, 8 * 2 * np.sqrt(2) * np.linalg.norm(np.fft.fft(FIVE[:4])) + 2 * FOUR_E.sum()),
    ),
    "inverse Fourier transform": (
        jnp.fft.ifft,
        (FIVE[:4] + 0j,),
        (FOUR_E,),
        np.full(4, 8 * 2 * np.sqrt(2) * np.linalg.norm(np.fft.ifft(FIVE[:4])) + 2 * FOUR_E.sum() / 4),
    ),
}


@pytest.mark.slow_cases("log-sum-exp, cumulative")
@pytest.mark.parametrize("name", CARRIED)
def test_a_rule_carries_the_errors_of_its_operands(name):
    """with_errors on operands that err: ∂f/∂x e of each, and the rule's own roundings beside them."""
    fun, operands, given, bound = CARRIED[name]
    _, error = errors_of(fun, *operands, given=[np.asarray(e) for e in given])
    np.testing.assert_allclose(error, bound, rtol=1e-9)


def test_equal_terms_in_sequence_err_more_than_by_chance():
    """A product of 10⁴ equal terms, added one after the other: K is near n, and 4 + 2√n would be too small."""
    n, worst = 10**4, 0.0
    for value in np.array([0.1, 0.3, 0.7, 1 / 3], np.float32):
        terms = np.full(n, value)
        exact, bound = errors_of(lambda a, b: a @ b, terms.astype(np.float64), np.ones(n))
        gap = abs(float(np.cumsum(terms)[-1]) - float(exact))  # in single precision, in sequence
        assert gap <= U32 * bound
        worst = max(worst, gap / (U32 * exact))
    assert worst > 2 * (4 + 2 * np.sqrt(n) + 1)


def ones_and_less(shape, seed=0):
    """A one in each column and a little less than 2^-24 otherwise: added after the one it is lost."""
    rng = np.random.default_rng(seed)
    terms = (U32 * (1 - 0.01 * rng.random(shape))).astype(np.float32)
    terms[rng.integers(0, 2, shape[1]) * (shape[0] - 1), np.arange(shape[1])] = 1  # the first or the last one
    return terms


def draws(*shape, seed=0):
    return (1 + np.random.default_rng(seed).random(shape)).astype(np.float32)


def turned(*shape, seed=0):
    """Complex numbers of modulus 1 to 2."""
    angles = 2 * np.pi * np.random.default_rng(seed + 1).random(shape)
    return (draws(*shape, seed=seed) * np.exp(1j * angles)).astype(np.complex64)


MANY = 20_000
# name: (function of float32 arrays, its operands, share of the bound that some entry reaches)
REACHED = {
    "add": (lambda x, y: x + y, (draws(MANY), draws(MANY, seed=1) * np.float32(2.0**-9)), 0.9),
    "mul": (lambda x, y: x * y, (draws(MANY), draws(MANY, seed=1)), 0.9),
    "div": (lambda x, y: x / y, (draws(MANY), draws(MANY, seed=1)), 0.49),
    "ninth power": (lambda x: x**9, (draws(MANY),), 0.5),
    "power -7": (lambda x: x**-7, (draws(MANY),), 0.5),
    "ninth power, complex": (lambda x: x**9, (turned(MANY),), 0.34),
    "product": (lambda x: jnp.prod(x, axis=0), (np.tile(draws(MANY), (9, 1)),), 0.5),
    "mul, complex": (lambda x, y: x * y, (turned(MANY), turned(MANY, seed=2)), 0.5),
    "contraction of one": (lambda a, b: a @ b, (draws(200, 1), draws(1, 200, seed=1)), 0.9),
    "contraction of one, complex": (lambda a, b: a @ b, (turned(200, 1), turned(1, 200, seed=2)), 0.34),
    "sum of four": (lambda x: jnp.sum(x, axis=0), (ones_and_less((4, 200)),), 0.5),
    "scattered sum": (
        lambda x: jnp.ones(len(x[0]), x.dtype).at[jnp.tile(jnp.arange(len(x[0])), 8)].add(x.ravel()),
        ((U32 * (1 - 0.01 * np.random.default_rng(0).random((8, 50)))).astype(np.float32),),
        0.9,
    ),
    "Cholesky factor": (factor, (draws(2000, 1, 1),), 0.9),
    "triangular solve": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
        (draws(2000, 1, 1), draws(2000, 1, 1, seed=1)),
        0.49,
    ),
}


QUICK = ("mul", "div", "ninth power", "power -7", "contraction of one")


@pytest.mark.parametrize("name", fast(REACHED, *[place for place, name in enumerate(REACHED) if name in QUICK]))
def test_the_bound_is_reached_within_a_factor_of_about_two(name):
    """with_errors: |f32 − f64| <= u error in every entry, and at least the stated share of it in some."""
    fun, operands, share = REACHED[name]
    single = np.asarray(jax.jit(fun)(*operands))
    wide = [a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in operands]
    double, error = errors_of(fun, *wide)
    gap = np.abs(single.astype(double.dtype) - double)
    # float64's own rounding is 2^-29 of this, and so are the products of roundings that first order drops.
    assert np.all(gap <= U32 * error * (1 + 2.0**-20))
    assert np.max(gap / (U32 * error)) >= share
