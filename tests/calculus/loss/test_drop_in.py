"""S1, S2, S4: the losses beside optax's: arguments, derivatives of every order, dtypes, masks, impossible labels."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsoftmax as js
from helpers import twins
from helpers.stages import fast

TIGHT = {"rtol": 1e-11, "atol": 1e-12}  # float64, well-conditioned values of order 1: 1e4 roundings
ours, theirs = js.softmax_cross_entropy_with_integer_labels, optax.losses.softmax_cross_entropy_with_integer_labels

FORMS = {  # logits, labels, axis, where
    "last axis": ((5, 4), (5,), -1, None),
    "one row": ((4,), (), 0, None),
    "axis 0, where": ((4, 5), (5,), 0, (4, 5)),
    "middle axis": ((2, 4, 3), (2, 3), 1, None),
    "two axes in another order, where": ((2, 3, 5, 4), (3, 5), (3, 0), (2, 3, 5, 4)),
    "rows left out": ((5, 4), (5,), -1, (5,)),
    "many classes": ((3, 70), (3,), -1, None),
    "labels broadcast": ((5, 4), (1,), -1, None),
    "logits broadcast": ((1, 4), (5,), -1, None),
}


def _same(mine, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TIGHT), mine, other)


def _optax_takes_rows():
    """Older releases broadcast `where` with the logits."""
    try:
        theirs(jnp.zeros((2, 3)), jnp.zeros(2, int), where=jnp.ones(2, bool))
    except ValueError:
        return False
    return True


@pytest.mark.slow_cases("one row", "last axis", "rows left out", "two axes in another order, where")
@pytest.mark.parametrize("form", fast(FORMS, 0, 1, 4, 5))
def test_integer_labels_are_a_drop_in_for_optax(form):
    """S1, S2, S4: value, gradient, forward derivative and Hessian-vector product with optax's arguments, in float64."""
    shape, k_shape, axis, where_shape = FORMS[form]
    if form == "rows left out" and not _optax_takes_rows():
        pytest.skip("this optax takes no `where` with an entry a row")
    rng = np.random.default_rng(5)
    z, dz = rng.normal(size=shape), rng.normal(size=shape)
    C = np.prod([shape[a] for a in np.atleast_1d(axis)])
    k = rng.integers(0, C, size=k_shape)
    where = None if where_shape is None else rng.uniform(size=where_shape) < 0.7  # leaves some labels out as well
    with jax.enable_x64(True):
        weights = rng.normal(size=jax.eval_shape(lambda: theirs(jnp.asarray(z), k, axis)).shape)

        def everything(f):
            total = lambda z: jnp.vdot(weights, f(z, jnp.asarray(k), axis, where))  # noqa: E731
            return jax.jit(
                lambda z: (
                    f(z, jnp.asarray(k), axis=axis, where=where),
                    jax.grad(total)(z),
                    jax.jvp(lambda z: f(z, jnp.asarray(k), axis, where), (z,), (dz,)),
                    jax.jvp(jax.grad(total), (z,), (dz,))[1],
                    jax.grad(lambda z: jax.jvp(total, (z,), (dz,))[1])(z),
                )
            )(jnp.asarray(z))

        _same(everything(ours), everything(theirs))


@pytest.mark.slow_cases("hessian")
@pytest.mark.parametrize("mode", fast(["hessian", "third", "vjp of vmap"], 0, 2))
def test_higher_derivatives_of_integer_labels_are_those_of_optax(mode):
    """S4, S8: Hessian, third derivative, and gradients row by row under vmap, in float64."""
    rng = np.random.default_rng(6)
    z, k = rng.normal(size=(3, 4)), rng.integers(0, 4, size=3)
    modes = {
        "hessian": lambda f: jax.hessian(lambda z: f(z, k).sum()),
        "third": lambda f: jax.jacfwd(jax.hessian(lambda z: f(z, k).sum())),
        "vjp of vmap": lambda f: jax.grad(lambda z: jnp.sum(jax.vmap(f)(z, jnp.asarray(k)) ** 2)),
    }
    with jax.enable_x64(True):
        _same(*(jax.jit(modes[mode](f))(jnp.asarray(z)) for f in (ours, theirs)))


@pytest.mark.parametrize("f", [ours, js.softmax_cross_entropy])
def test_a_confidently_right_label_keeps_its_digits_through_every_derivative(f):
    """Section 7.2, 7.3: loss e^-690 = 1e-300: value, gradient and Hessian right to a few eps; optax gives 0."""
    with jax.enable_x64(True):
        z = jnp.array([690.0, 0.0])
        y = jnp.array([1.0, 0.0]) if f is js.softmax_cross_entropy else jnp.array(0)
        small = np.exp(-690.0)
        g = lambda z: f(z, y)  # noqa: E731
        value, slope, turn = jax.jit(lambda z: (g(z), jax.grad(g)(z), jax.hessian(g)(z)))(z)
        assert float(value) == pytest.approx(small, rel=1e-14, abs=0)
        np.testing.assert_allclose(np.asarray(slope), [-small, small], rtol=1e-14)
        np.testing.assert_allclose(np.asarray(turn), [[small, -small], [-small, small]], rtol=1e-14)


@pytest.mark.slow_cases("4-float16", "70-float16", "70-bfloat16")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("C", [4, 70])
def test_half_precision_is_rounded_once(dtype, C):
    """DESIGN, precision: value and gradient in float32 from the stored numbers, rounded at the end."""
    rng = np.random.default_rng(C)
    z = jnp.asarray(rng.normal(size=(6, C)) * [[1], [1], [4], [4], [16], [0]], dtype)
    k = rng.integers(0, C, size=6)
    total = lambda f, t: lambda z: (f(z, t), jax.grad(lambda z: f(z, t).astype("float32").sum())(z))  # noqa: E731
    forms = [total(ours, jnp.asarray(k)), total(js.softmax_cross_entropy, jnp.asarray(np.eye(C)[k], dtype))]
    wide = np.asarray(z, np.float64)
    loss = [-twins.log_softmax(row)[i] for row, i in zip(wide, k, strict=True)]
    residual = np.array([twins.softmax(row) for row in wide]) - np.eye(C)[k]
    # Half an eps for the one rounding, what the float32 arithmetic promises before it, and the spacing of subnormals.
    eps = float(jnp.finfo(dtype).eps) / 2 + 4 * 2.0**-23 * (1 + np.log2(C))
    tiny = float(jnp.finfo(dtype).smallest_subnormal)
    for form in forms:
        value, slope = jax.jit(form)(z)
        assert value.dtype == slope.dtype == z.dtype
        np.testing.assert_allclose(np.asarray(value, np.float64), loss, rtol=eps, atol=tiny)
        np.testing.assert_allclose(np.asarray(slope, np.float64), residual, rtol=eps, atol=tiny)


@pytest.mark.slow_cases("int8")
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int32"])
def test_labels_of_every_integer_dtype_mean_the_same(dtype):
    """More classes than int8 holds: class numbers do not wrap."""
    z = np.random.default_rng(7).normal(size=(3, 300)).astype(np.float32)
    k = np.array([0, 99, 127])
    np.testing.assert_array_equal(ours(z, k.astype(dtype)), ours(z, jnp.asarray(k)))


def test_extreme_logits_of_integer_labels_are_finite_or_infinite_and_never_nan():
    """Section 7.1: 1e30, masks of -inf, infinite logits, equal ones, one class; gradients y - e_k."""
    inf = np.inf
    expected = {  # z: (-log y, y)
        (1e30, -1e30, 0.0): ((0, inf, 1e30), (1, 0, 0)),
        (-1e30, -1e30, -1e30): ((np.log(3),) * 3, (1 / 3,) * 3),
        (0.0, -inf, 0.0): ((np.log(2), inf, np.log(2)), (0.5, 0, 0.5)),
        (inf, 0.0, -inf): ((0, inf, inf), (1, 0, 0)),
        (-inf, -inf, -inf): ((np.log(3),) * 3, (1 / 3,) * 3),
    }
    Z = np.float32(list(expected))
    run = jax.jit(lambda z, k: (ours(z, k), jax.grad(lambda z: ours(z, k).sum())(z)))
    for k in range(3):
        value, slope = run(Z, np.full(len(Z), k))
        loss = np.array([cost[k] for cost, _ in expected.values()])
        loss[0] = 2e30 if k == 1 else loss[0]
        np.testing.assert_allclose(value, loss, rtol=12 * 2.0**-23)
        np.testing.assert_allclose(
            slope, [np.array(y) - np.eye(3)[k] for _, y in expected.values()], rtol=12 * 2.0**-23
        )
    value, slope = run(np.float32([[5.0], [-inf], [1e30]]), np.zeros(3, int))
    np.testing.assert_array_equal(value, 0)
    np.testing.assert_array_equal(slope, 0)


def test_labels_that_are_no_class_are_refused_where_they_are_known():
    """Outside jit a ValueError that says which; in rows left out they are free."""
    z = jnp.zeros((3, 4))
    for k in ([0, 4, 1], [0, -1, 1]):
        with pytest.raises(ValueError, match=f"labels: {k[1]} is not one of the 4 classes"):
            ours(z, np.array(k))
        with pytest.raises(ValueError, match="labels: "):
            jax.grad(lambda z, k=k: ours(z, np.array(k)).sum())(z)
        masked = ours(z, np.array(k), where=np.array([True, False, True]))
        np.testing.assert_allclose(masked, [np.log(4), 0, np.log(4)], rtol=12 * 2.0**-23)
        slope = jax.grad(lambda z, k=k: ours(z, np.array(k), where=np.array([True, False, True])).sum())(z)
        np.testing.assert_array_equal(slope[1], 0)


def test_labels_that_are_no_class_inside_jit_are_those_of_optax():
    """Negative ones count from the end; others make the loss NaN, and here its gradient too."""
    z, k = np.random.default_rng(8).normal(size=(5, 4)).astype(np.float32), np.array([-1, -4, -5, 4, 2])
    mine, other = jax.jit(ours)(z, k), jax.jit(theirs)(z, k)
    np.testing.assert_array_equal(np.isnan(mine), [False, False, True, True, False])
    np.testing.assert_allclose(mine, other, rtol=40 * 2.0**-23)
    slopes = jax.jit(lambda z, k: jax.grad(lambda z: ours(z, k).sum())(z))(z, k)
    np.testing.assert_array_equal(np.isnan(slopes).all(axis=1), np.isnan(mine))


def test_bad_arguments_of_the_integer_form_are_named():
    """One message style: argument, what was given, remedy."""
    z, k = jnp.zeros((2, 3)), jnp.zeros(2, int)
    bad = [
        (TypeError, "logits: dtype int32", (jnp.zeros((2, 3), int), k)),
        (TypeError, "labels: dtype float32", (z, jnp.zeros(2))),
        (TypeError, "labels: dtype bool", (z, jnp.zeros(2, bool))),
        (ValueError, r"labels: shape \(2, 3\)", (z, jnp.zeros((2, 3), int))),
        (ValueError, r"labels: shape \(4,\)", (z, jnp.zeros(4, int))),
        (ValueError, "axis: 2", (z, k, 2)),
        (ValueError, "axis: None", (z, k, None)),
        (ValueError, r"axis: \(0, 0\)", (z, k, (0, 0))),
        (ValueError, "no class", (jnp.zeros((2, 0)), k)),
    ]
    for error, words, args in bad:
        with pytest.raises(error, match=words):
            ours(*args)


def test_one_hot_targets_over_two_axes_are_those_of_optax():
    """S1: the classes of two axes together."""
    rng = np.random.default_rng(9)
    z, t = rng.normal(size=(2, 3, 4)), rng.uniform(size=(2, 3, 4))
    with jax.enable_x64(True):
        value = js.softmax_cross_entropy(z, t, axis=(0, 2))
        _same(value, optax.losses.softmax_cross_entropy(jnp.asarray(z), jnp.asarray(t), axis=(0, 2)))
