"""S1, S2, S4 as logits-level rules: softmax_cross_entropy and the differentiable front, every order and mode."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsoftmax as js
from helpers import cases, twins
from helpers.stages import fast
from jaxsoftmax.calculus.loss import rules

TIGHT = {"rtol": 1e-11, "atol": 1e-12}  # float64, well-conditioned values of order 1: 1e4 roundings


def textbook(z, t):
    """(Σt) lse(z) - tᵀz, written with exp and log only, summed over rows; autodiff makes every derivative of it."""
    top = jax.lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    lse = jnp.log(jnp.sum(jnp.exp(z - top), axis=-1)) + top[..., 0]
    return jnp.sum(jnp.sum(t, axis=-1) * lse - jnp.sum(t * z, axis=-1))


def ours(z, t):
    return jnp.sum(js.softmax_cross_entropy(z, t))


def _pair(seed=0, shape=(3, 4)):
    """Logits and targets that do not sum to 1: soft, counts, and a row of one count."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 1, size=shape)
    t[0], t[-1] = rng.integers(0, 3, size=shape[-1]), 2 * np.eye(shape[-1])[1]
    if len(t) > 2:
        t[1] = [1, 1, -1, 0]  # two entries equal the sum of the row: neither carries the whole target
    return rng.normal(size=shape), t


MODES = {  # transformations of f(z, t); 2 or 3 nested derivatives, in both arguments and across them
    "reverse in z": lambda f: jax.grad(f, 0),
    "reverse in t": lambda f: jax.grad(f, 1),
    "hessian in both": lambda f: jax.hessian(f, (0, 1)),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f, 0), 0),
    "reverse over reverse, z then t": lambda f: jax.jacrev(jax.grad(f, 0), 1),
    "reverse over forward, t then z": lambda f: jax.jacrev(jax.jacfwd(f, 1), 0),
    "third, forward over forward over reverse": lambda f: jax.jacfwd(jax.jacfwd(jax.grad(f, 0), 0), 0),
    "third, across": lambda f: jax.jacfwd(jax.jacfwd(jax.grad(f, 0), 1), 0),
}


@pytest.mark.slow_cases("hessian in both")
@pytest.mark.parametrize("mode", fast(MODES, *range(len(MODES) - 2)))
def test_derivatives_of_the_cross_entropy_are_those_of_the_textbook(mode):
    """S1, S2, S4: in logits and in targets, orders one to three, against autodiff of the textbook in float64."""
    z, t = _pair(shape=(2, 3) if "third" in mode else (3, 4))
    with jax.enable_x64(True):
        mine, theirs = (jax.jit(MODES[mode](f))(jnp.asarray(z), jnp.asarray(t)) for f in (ours, textbook))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TIGHT), mine, theirs)


@pytest.mark.slow
def test_mixed_modes_along_directions():
    """S2, S4, S8: value, jvp, jvp of grad, grad of jvp and a third derivative along directions in z and t at once."""
    z, t = _pair()
    dz, dt = _pair(1)
    with jax.enable_x64(True):
        z, t, dz, dt = (jnp.asarray(a) for a in (z, t, dz, dt))

        def everything(f):
            along = lambda z, t: jax.jvp(f, (z, t), (dz, dt))[1]  # noqa: E731
            return jax.jit(
                lambda z, t: (
                    f(z, t),
                    along(z, t),
                    jax.jvp(jax.grad(f, (0, 1)), (z, t), (dz, dt))[1],
                    jax.grad(along, (0, 1))(z, t),
                    jax.jvp(along, (z, t), (dz, dt))[1],
                    jax.grad(lambda z, t: jax.jvp(along, (z, t), (dz, dt))[1], (0, 1))(z, t),
                )
            )(z, t)

        mine, theirs = everything(ours), everything(textbook)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TIGHT), mine, theirs)


def test_softmax_and_log_softmax_rows_have_the_jacobians_of_S4():
    """S4: D y = S(y), D(-log y) = **1**yᵀ - I, and the next derivative of both."""
    z = np.random.default_rng(3).normal(size=4)
    y = twins.softmax(z)
    S = twins.category_covariance(y)
    second = np.einsum("ij,ik->ijk", np.eye(4) - y, np.eye(4) - y)  # y_i[(δ_ij - y_j)(δ_ik - y_k) - S_jk]
    with jax.enable_x64(True):
        expected = (S, y - np.eye(4), y[:, None, None] * (second - S[None]), np.broadcast_to(S, (4, 4, 4)))
        kinds = [(jax.jacfwd, rules.softmax_rows), (jax.jacrev, rules.neg_log_softmax_rows)]
        kinds += [(jax.hessian, rules.softmax_rows), (jax.hessian, rules.neg_log_softmax_rows)]
        for value, true in zip(jax.jit(lambda z: [kind(f)(z) for kind, f in kinds])(z), expected, strict=True):
            np.testing.assert_allclose(np.asarray(value), true, **TIGHT)


OPTAX = {  # logits shape, targets shape, axis, where shape
    "axis 0": ((4, 3), (4, 3), 0, None),
    "middle axis, where": ((2, 4, 3), (2, 4, 3), 1, (2, 4, 3)),
    "one target row for all": ((3, 4), (4,), -1, None),
    "where by class": ((3, 4), (3, 4), -1, (1, 4)),
}


@pytest.mark.slow_cases("axis 0")
@pytest.mark.parametrize("name", fast(OPTAX, 0, 2))
def test_cross_entropy_is_a_drop_in_for_optax(name):
    """S1: values and derivatives of optax.losses.softmax_cross_entropy, targets that do not sum to 1, axis, where."""
    shape, t_shape, axis, where_shape = OPTAX[name]
    rng = np.random.default_rng(5)
    z, t = rng.normal(size=shape), rng.uniform(0, 2, size=t_shape)
    where = None if where_shape is None else rng.uniform(size=where_shape) < 0.7
    if where is not None:
        where[(0,) * where.ndim] = True
        where[..., 0] = True
    with jax.enable_x64(True):

        def both(f):
            total = lambda z, t: jnp.vdot(f(z, t, axis=axis, where=where), cotangent)  # noqa: E731
            return jax.jit(lambda z, t: (f(z, t, axis=axis, where=where), jax.grad(total, (0, 1))(z, t)))(z, t)

        shape_out = jax.eval_shape(lambda: js.softmax_cross_entropy(z, t, axis=axis)).shape
        cotangent = rng.normal(size=shape_out)
        z, t = jnp.asarray(z), jnp.asarray(t)
        mine, theirs = both(js.softmax_cross_entropy), both(optax.losses.softmax_cross_entropy)
        np.testing.assert_allclose(np.asarray(mine[0]), np.asarray(theirs[0]), **TIGHT)
        np.testing.assert_allclose(np.asarray(mine[1][0]), np.asarray(theirs[1][0]), **TIGHT)
        inside = np.ones(t.shape, bool) if where is None else np.broadcast_to(where, t.shape)
        np.testing.assert_allclose(np.asarray(mine[1][1])[inside], np.asarray(theirs[1][1])[inside], **TIGHT)
        by_name = js.softmax_cross_entropy(z, labels=t, axis=axis, where=where)
        np.testing.assert_allclose(np.asarray(by_name), np.asarray(theirs[0]), **TIGHT)


def test_logits_broadcast_against_targets_and_vmap_is_the_same():
    """S1: one row of logits against many targets, and vmap over rows."""
    z, t = _pair()
    z, t = jnp.asarray(z, "float32"), jnp.asarray(t, "float32")

    @jax.jit
    def ways(z, t):
        rows, grads = js.softmax_cross_entropy(z, t), jax.grad(ours)(z, t)
        mapped = jax.vmap(js.softmax_cross_entropy)(z, t), jax.vmap(jax.grad(js.softmax_cross_entropy))(z, t)
        same = js.softmax_cross_entropy(z[0], t), js.softmax_cross_entropy(jnp.stack([z[0]] * 3), t)
        return (rows, grads), mapped, same

    direct, mapped, same = jax.tree.map(np.asarray, ways(z, t))
    for one, other in (*zip(direct, mapped, strict=True), same):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.slow_cases("float16")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_dtypes_below_32_bits_come_back_as_they_went_in(dtype):
    """DESIGN, precision: computed in float32, returned (value and derivative) in the promoted dtype of the inputs."""
    z = jnp.asarray([[1.0, -2.0, 0.5], [40.0, 0.0, 8.0]], dtype)
    t = jnp.asarray([[1, 0, 0], [0, 1, 0]])  # integer labels, one-hot
    total = jax.grad(lambda z: jnp.sum(js.softmax_cross_entropy(z, t).astype("float32")))
    value, slope = jax.jit(lambda z: (js.softmax_cross_entropy(z, t), total(z)))(z)
    assert value.dtype == slope.dtype == z.dtype
    # On CPUs XLA may widen on its own; elsewhere it need not, so the program itself has to say so.
    assert not re.search(
        r":(bf16|f16)\[[\d,]*\] = (exp|log1p|sub|div) ", str(jax.make_jaxpr(js.softmax_cross_entropy)(z, t))
    )
    wide = np.asarray(z, np.float64)
    expected = [-twins.log_softmax(row)[k] for row, k in zip(wide, (0, 1), strict=True)]
    # The one rounding to the output dtype, half an eps, and the float32 arithmetic before it.
    allowed = float(jnp.finfo(dtype).eps) / 2 + 16 * float(jnp.finfo("float32").eps)
    np.testing.assert_allclose(np.asarray(value, np.float64), expected, rtol=allowed)
    residual = np.array([twins.softmax(row) for row in wide]) - np.asarray(t)
    np.testing.assert_allclose(np.asarray(slope, np.float64), residual, rtol=allowed, atol=1e-7)
    with jax.enable_x64(True):
        mixed = jax.jit(js.softmax_cross_entropy)(jnp.asarray(wide), jnp.asarray(t, "float32"))
        assert mixed.dtype == np.float64
        np.testing.assert_allclose(np.asarray(mixed), expected, rtol=1e-14)


def test_a_confidently_right_sample_keeps_its_digits_through_autodiff():
    """Section 7.2, 7.3: loss e^-690 = 1e-300 has value, gradient and second derivative right to a few eps."""
    with jax.enable_x64(True):
        z, t = jnp.array([690.0, 0.0]), jnp.array([1.0, 0.0])
        small = np.exp(-690.0)
        value, slope, turn = jax.jit(lambda z: (ours(z, t), jax.grad(ours)(z, t), jax.hessian(ours)(z, t)))(z)
        assert float(value) == pytest.approx(small, rel=1e-14, abs=0)
        np.testing.assert_allclose(np.asarray(slope), [-small, small], rtol=1e-14)
        np.testing.assert_allclose(np.asarray(turn), [[small, -small], [-small, small]], rtol=1e-14)


def test_an_impossible_class_gives_no_nan_in_derivatives_of_targets():
    """Section 7.1: -log 0 = ∞ times a zero tangent is 0; the derivative in the targets is otherwise -log y."""
    z, t = jnp.array([0.0, 1.0, -jnp.inf]), jnp.array([0.5, 0.5, 0.0])
    dz, dt = jnp.array([1.0, 0.0, 0.0]), jnp.array([1.0, -1.0, 0.0])
    by_z, by_t, tangent = jax.jit(lambda z, t: (*jax.grad(ours, (0, 1))(z, t), jax.jvp(ours, (z, t), (dz, dt))[1]))(
        z, t
    )
    np.testing.assert_allclose(np.asarray(by_t)[:2], [np.log1p(np.e), np.log1p(np.exp(-1))], rtol=1e-6)
    assert by_t[2] > 1e38
    y = twins.softmax(np.array([0.0, 1.0]))
    assert float(tangent) == pytest.approx(y[0] - 0.5 + 1.0, rel=1e-6, abs=0)
    np.testing.assert_allclose(np.asarray(by_z), [*(y - 0.5), 0], rtol=1e-6)


def test_bad_arguments_of_the_cross_entropy_are_named():
    """One message style: argument, what was given, remedy."""
    z = jnp.zeros((2, 3))
    with pytest.raises(TypeError, match="exactly one of"):
        js.softmax_cross_entropy(z)
    with pytest.raises(TypeError, match="exactly one of"):
        js.softmax_cross_entropy(z, z, labels=z)
    with pytest.raises(TypeError, match="logits: dtype int32"):
        js.softmax_cross_entropy(jnp.zeros((2, 3), int), z)
    with pytest.raises(TypeError, match="targets: dtype complex64"):
        js.softmax_cross_entropy(z, jnp.zeros((2, 3), complex))
    with pytest.raises(ValueError, match="targets: shape"):
        js.softmax_cross_entropy(z, jnp.zeros((2, 4)))
    for axis in (2, -3):
        with pytest.raises(ValueError, match="axis: "):
            js.softmax_cross_entropy(z, z, axis=axis)


# ── the front: jax transformations of js.loss and of the closed forms ──
def _names_of_rules(jaxpr) -> set[str]:
    """Names of the custom_jvp functions called anywhere in a jaxpr."""
    found = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "custom_jvp_call":
            found.add(equation.params["call_jaxpr"].jaxpr.debug_info.func_name)
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    found |= _names_of_rules(inner)
    return found


def test_autodiff_of_the_loss_runs_through_the_hand_rules():
    """S1, S2: js.loss calls cross_entropy_rows; its gradient calls residual_rows; its Hessian softmax_rows."""
    case = cases.CASES[0]
    problem = cases.problem(case, "float32")
    W = jnp.zeros((case.C, case.D))

    def names(f):
        return " ".join(sorted(_names_of_rules(jax.make_jaxpr(f)(W, problem).jaxpr)))

    assert "cross_entropy_rows" in names(js.loss)
    assert "residual_rows" in names(jax.grad(js.loss))
    assert "softmax_rows" in names(jax.hessian(js.loss))
    by_t = jax.grad(lambda W, p, t: js.loss(W, p.replace(T=t)), argnums=2)
    assert "neg_log_softmax_rows" in names(lambda W, p: by_t(W, p, p.T))


FRONT = cases.Case("front", 5, 3, 4, intercept=True, alpha=0.5, gamma=-0.75)


@pytest.mark.slow
def test_derivatives_of_the_front_in_weights_are_the_closed_forms():
    """S1-S4, S8, S21: jax.grad, jax.hessian, jvp of grad of js.loss, and derivatives of the closed forms themselves."""
    W, V, U = cases.directions(FRONT, "float64")
    with jax.enable_x64(True):
        problem = cases.problem(FRONT, "float64")
        data = cases.data(FRONT, problem)

        @jax.jit
        def derivatives(W, p, V, U):
            along = lambda f: jax.jvp(lambda w: f(w, p), (W,), (V,))[1]  # noqa: E731
            return {
                "grad of loss": jax.grad(js.loss)(W, p),
                "hessian of loss": jax.hessian(js.loss)(W, p),
                "jvp of grad of loss": along(jax.grad(js.loss)),
                "grad of jvp of loss": jax.grad(lambda w: jax.jvp(lambda x: js.loss(x, p), (w,), (V,))[1])(W),
                "jvp of gradient": along(js.gradient),
                "jacobian of gradient": jax.jacrev(js.gradient)(W, p),
                "jvp of value_and_gradient": along(js.value_and_gradient),
                "grad of value": jax.grad(lambda w: js.value_and_gradient(w, p)[0])(W),
                "jvp of hvp": jnp.vdot(along(lambda w, p: js.hvp(w, p, U)), U),
                "jvp of quadratic_form": along(lambda w, p: js.quadratic_form(w, p, U)),
                "jvp of cached product": jnp.vdot(along(lambda w, p: js.hessian(w, p) @ U), U),
                "jvp of dense": U.reshape(-1) @ along(lambda w, p: js.hessian(w, p).to_dense()) @ U.reshape(-1),
                "jvp of log_probabilities": along(js.log_probabilities),
                "jvp of probabilities": along(js.probabilities),
            }

        out = {k: jax.tree.map(np.asarray, v) for k, v in derivatives(W, problem, V, U).items()}
    slope, turn = np.sum(twins.gradient(W, data) * V), twins.hvp(W, data, V)
    H, third = twins.hessian(W, data), twins.third_derivative(W, data, V, U)
    Y = np.array([twins.softmax(z) for z in twins.logits(W, data.X)])
    u = twins.logits(V, data.X)
    centred = u - np.sum(Y * u, axis=1, keepdims=True)
    expected = {
        "grad of loss": twins.gradient(W, data),
        "hessian of loss": H.reshape(*W.shape, *W.shape),
        "jvp of grad of loss": turn,
        "grad of jvp of loss": turn,
        "jvp of gradient": turn,
        "jacobian of gradient": H.reshape(*W.shape, *W.shape),
        "jvp of value_and_gradient": (slope, turn),
        "grad of value": twins.gradient(W, data),
        "jvp of log_probabilities": centred,
        "jvp of probabilities": Y * centred,
    }
    expected |= dict.fromkeys(("jvp of hvp", "jvp of quadratic_form", "jvp of cached product", "jvp of dense"), third)
    assert set(expected) == set(out)
    for name, value in expected.items():
        # Values up to 100, five samples: 1e-10 is 1e5 roundings and far below any wrong term.
        jax.tree.map(lambda a, b, n=name: np.testing.assert_allclose(a, b, 1e-10, 1e-10, err_msg=n), out[name], value)


@pytest.mark.slow
def test_derivatives_of_the_front_in_data_are_the_closed_forms():
    """S1, S2: in X it is s (y - t) W, in T s (-log y), in s the sample's loss; of js.gradient and js.hvp too."""
    W, V, U = cases.directions(FRONT, "float64")
    with jax.enable_x64(True):
        problem = cases.problem(FRONT, "float64")
        data = cases.data(FRONT, problem)

        def scalars(x, t, s, p):
            q = p.replace(X=x, T=t, sample_weight=s)
            return js.loss(W, q), jnp.vdot(js.gradient(W, q), V), jnp.vdot(js.hvp(W, q, V), U)

        jacobian = jax.jit(jax.jacrev(scalars, argnums=(0, 1, 2)))
        out = jax.tree.map(np.asarray, jacobian(problem.X, problem.T, problem.sample_weight, problem))
        cross = jax.grad(lambda x, w: jnp.vdot(jax.grad(js.loss)(w, problem.replace(X=x)), V))(
            problem.X, jnp.asarray(W)
        )
        cross = np.asarray(cross)
    of_loss, of_gradient, of_hvp = out
    Z = twins.logits(W, data.X)
    Y, cost = np.array([twins.softmax(z) for z in Z]), np.array([-twins.log_softmax(z) for z in Z])
    R, s = Y - data.T, data.s[:, None]
    v, u = twins.logits(V, data.X), twins.logits(U, data.X)
    mean_v, mean_u = (np.sum(Y * a, axis=1, keepdims=True) for a in (v, u))
    tight = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(of_loss[0], s * (R @ W), **tight)
    np.testing.assert_allclose(of_loss[1], s * cost, **tight)
    np.testing.assert_allclose(of_loss[2], np.sum(data.T * cost, axis=1), **tight)
    by_x = s * (R @ V + (Y * (v - mean_v)) @ W)
    np.testing.assert_allclose(of_gradient[0], by_x, **tight)
    np.testing.assert_allclose(cross, by_x, **tight)
    np.testing.assert_allclose(of_gradient[1], s * (mean_v - v), **tight)
    np.testing.assert_allclose(of_gradient[2], np.sum(R * v, axis=1), **tight)
    # ⟨H[V], U⟩ = Σ s Cov(v, u): third cumulants along W, covariances along V and U.
    both = Y * (v - mean_v) * (u - mean_u)
    third = both - Y * np.sum(both, axis=1, keepdims=True)
    by_x = s * (third @ W + (Y * (u - mean_u)) @ V + (Y * (v - mean_v)) @ U)
    np.testing.assert_allclose(of_hvp[0], by_x, **tight)
    np.testing.assert_allclose(of_hvp[1], 0, **tight)
    np.testing.assert_allclose(of_hvp[2], np.sum(both, axis=1), **tight)


def test_a_mask_of_fewer_dimensions_selects_rows_as_in_optax():
    """S1: `where` of shape (N,) is expanded at the class axis, also where N = C; a masked row has loss 0."""
    z, t = np.log(np.float32([[1, 2, 3], [3, 1, 2], [2, 5, 1]])), np.eye(3, dtype=np.float32)
    mask = np.array([True, True, False])
    ours = np.asarray(js.softmax_cross_entropy(z, t, where=mask))
    # Rows 0 and 1 whole: -log(1/6), -log(1/6); float32 logits and logarithm, a few eps.
    np.testing.assert_allclose(ours, [np.log(6), np.log(6), 0.0], rtol=8 * 2.0**-23)
