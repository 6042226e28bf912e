"""Replays: the derivative of a replay is that of the same function written without rules; dtypes are widened."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxsoftmax.checker.jaxprs.equations import inner_jaxprs, primitives
from jaxsoftmax.checker.jaxprs.replay import FOREIGN, Replay, widen, widened

U64 = 2.0**-53
POINT = np.linspace(0.3, 1.7, 5)


@jax.custom_jvp
def jvp_sin(x):
    return jnp.sin(x)


@jvp_sin.defjvp
def _(primals, tangents):
    return jvp_sin(*primals), 100.0 * tangents[0]  # wrong on purpose


@jax.custom_vjp
def vjp_sin(x):
    return jnp.sin(x)


vjp_sin.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (100.0 * ct,))


def replayed(fun, *args, **options):
    """(x -> the replay of fun's jaxpr as traced at args, the Replay)."""
    closed, out = jax.make_jaxpr(fun, return_shape=True)(*args)
    replay = Replay(**options)
    return (lambda *given: jax.tree.unflatten(jax.tree.structure(out), replay(closed, *given))), replay


def scan_of(s):
    return lambda x: (
        lax.scan(lambda c, y: (s(c) * y, s(c + y)), x[0], x)[1].sum()
        + 0.5 * lax.scan(lambda c, y: (c + s(y), None), 0.0 * x[0], x, reverse=True)[0]
    )


WRAPPED = {
    "bare": lambda s: lambda x: jnp.sum(s(x) * x),
    "jit": lambda s: lambda x: jnp.sum(jax.jit(lambda y: s(y) ** 2)(x)),
    "jit in jit": lambda s: lambda x: jax.jit(lambda y: jax.jit(s)(y).sum() * y[0])(x),
    "scan": scan_of,
    "fori_loop": lambda s: lambda x: lax.fori_loop(0, 3, lambda i, y: s(y) + x[i], x).sum(),
    "while": lambda s: lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, s(c[1]) * x), (0, x))[1].sum(),
    "while with constants": lambda s: (
        lambda x: lax.while_loop(lambda y: y[1] < x[-1] + 2, lambda y: y + s(y) ** 2 + x[0], x).sum()
    ),
    "cond": lambda s: lambda x: lax.cond(x[0] < 0.5, lambda y: s(y).sum(), lambda y: (y**3).sum(), x),
    "switch": lambda s: (
        lambda x: lax.switch(jnp.int32(x[-1]), [jnp.sum, lambda y: s(2 * y).sum(), lambda y: -y.sum()], x)
    ),
    "remat": lambda s: lambda x: jax.checkpoint(lambda y: jnp.sum(s(s(y))))(x),
    "remat with a policy": lambda s: (
        lambda x: jax.checkpoint(lambda y: (s(y) @ y) ** 2, policy=jax.checkpoint_policies.dots_saveable)(x)
    ),
    "vmap": lambda s: lambda x: jax.vmap(lambda a, b: s(a * b))(x, x[::-1]).sum(),
    "scan of remat of cond": lambda s: (
        lambda x: lax.scan(
            lambda c, y: (jax.checkpoint(lambda z: lax.cond(z > 0.2, s, jnp.cos, z))(c * y), c), x[0], x
        )[1].sum()
    ),
    "grad inside": lambda s: lambda x: jax.grad(lambda y: jnp.sum(y**2 * x))(s(x))[1] + s(x)[2],
}


@pytest.mark.parametrize("rule", [jvp_sin, vjp_sin], ids=["custom_jvp", "custom_vjp"])
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_the_derivative_is_that_of_the_function_without_rules(wrap, rule, x64):
    """Forward mode through the replay, in both rules, equals forward mode of the plain function.

    The operations are the same; a fused multiply-add here and there moves each of at most 200 by one rounding, and
    values and tangents stay below 100 in size.
    """
    plain, custom = wrap(jnp.sin), wrap(rule)
    run, replay = replayed(custom, POINT)
    direction = np.cos(POINT)
    value, slope = jax.jvp(plain, (POINT,), (direction,))
    ours, mine = jax.jvp(run, (jnp.asarray(POINT),), (jnp.asarray(direction),))
    assert abs(ours - value) <= 200 * 100 * U64 and abs(mine - slope) <= 200 * 100 * U64
    assert replay.rules and not replay.opaque
    assert {"custom_jvp_call", "custom_vjp_call"}.isdisjoint(primitives(jax.make_jaxpr(run)(POINT)))


@pytest.mark.slow_cases("custom_vjp", "custom_jvp")
@pytest.mark.parametrize("rule", [jvp_sin, vjp_sin], ids=["custom_jvp", "custom_vjp"])
def test_reverse_mode_and_second_derivatives_see_no_rule(rule, x64):
    """∇ and ∇² of Σ sin(sin x)·x through the replay are those of the plain function (40 roundings of O(1) numbers)."""
    run, _ = replayed(lambda x: jnp.sum(rule(rule(x)) * x), POINT)
    plain = lambda x: jnp.sum(jnp.sin(jnp.sin(x)) * x)  # noqa: E731
    np.testing.assert_allclose(jax.grad(run)(POINT), jax.grad(plain)(POINT), rtol=0, atol=40 * U64)
    np.testing.assert_allclose(jax.hessian(run)(POINT), jax.hessian(plain)(POINT), rtol=0, atol=80 * U64)


def test_nested_rules_are_all_inlined(x64):
    """A custom_vjp whose body calls a custom_jvp inside jit: both names are kept, in the order met."""

    @jax.custom_vjp
    def outer(x):
        return jax.jit(jvp_sin)(x) ** 2

    outer.defvjp(lambda x: (outer(x), None), lambda _, ct: (0.0 * ct,))
    run, replay = replayed(lambda x: outer(x).sum(), POINT)
    expected = jax.grad(lambda x: jnp.sum(jnp.sin(x) ** 2))(POINT)
    np.testing.assert_allclose(jax.grad(run)(POINT), expected, rtol=0, atol=16 * U64)
    assert replay.rules[:2] == ["custom_vjp_call", "custom_jvp_call"]


@pytest.mark.slow
def test_a_custom_vjp_with_integer_and_static_arguments_is_inlined(x64):
    """nondiff_argnums and integer operands do not disturb the inlining: d/dx Σ x[i]² is 2x at the chosen entries."""

    @jax.custom_vjp
    def picked(x, i):
        return jnp.sum(x[i] ** 2)

    picked.defvjp(lambda x, i: (picked(x, i), (x, i)), lambda res, ct: (res[0] * 0, np.zeros(2, jax.dtypes.float0)))
    run, replay = replayed(lambda x: picked(x, jnp.array([1, 3])), POINT)
    np.testing.assert_array_equal(jax.grad(run)(POINT), [0, 2 * POINT[1], 0, 2 * POINT[3], 0])
    assert replay.rules == ["custom_vjp_call"]


def stopped(x):
    return jnp.sum(x * lax.stop_gradient(x**2))


@pytest.mark.parametrize(("keep", "power"), [(False, 3), (True, 1)])
def test_stop_gradient_is_dropped_or_kept(keep, power, x64):
    """Σ x·stop(x²): the gradient is 3x² when the stop is dropped and x² when it is kept (2 to 4 roundings)."""
    run, replay = replayed(stopped, POINT, keep_stop_gradient=keep)
    np.testing.assert_allclose(jax.grad(run)(POINT), power * POINT**2, rtol=8 * U64)
    # JAX has no equation for stop_gradient under some tracers: what it leaves is told apart by the count.
    assert replay.stops >= 1


@pytest.mark.parametrize(("keep", "power"), [(False, 3), (True, 1)])
def test_stop_gradient_inside_loops_is_found(keep, power, x64):
    """The same inside scan, jit and remat."""

    def looped(x):
        body = jax.checkpoint(lambda y: jax.jit(stopped)(y[None]))
        return lax.scan(lambda c, y: (c + body(y), None), jnp.zeros((), x.dtype), x)[0]

    run, replay = replayed(looped, POINT, keep_stop_gradient=keep)
    np.testing.assert_allclose(jax.grad(run)(POINT), power * POINT**2, rtol=8 * U64)
    assert replay.stops >= 1


REDUCED = {
    "cast to float32": lambda x: jnp.sum(x.astype(jnp.float32) ** 2),
    "cast to bfloat16": lambda x: jnp.sum(x.astype(jnp.bfloat16) ** 2),
    "cast to float16 and back": lambda x: jnp.sum(x.astype(jnp.float16).astype(x.dtype) ** 2),
    "a float32 constant": lambda x: jnp.sum(x * x * jnp.ones(5, jnp.float32)),
    "reduce_precision": lambda x: jnp.sum(lax.reduce_precision(x, 8, 7) ** 2),
    "dot of float32": lambda x: jnp.dot(x.astype(jnp.float32), x.astype(jnp.float32)),
    "dot of bfloat16 into float32": lambda x: jnp.dot(
        x.astype(jnp.bfloat16), x.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    ),
    "dot by an algorithm": lambda x: lax.dot_general(
        x.astype(jnp.float32), x.astype(jnp.float32), (((0,), (0,)), ((), ())), precision="F32_F32_F32"
    ),
    "scan with a float32 carry": lambda x: lax.scan(lambda c, y: (c + y * y, None), jnp.float32(0), jnp.float32(x))[0],
    "while with a bfloat16 carry": lambda x: lax.while_loop(
        lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] + jnp.bfloat16(x)[c[0]] ** 2), (0, jnp.bfloat16(0))
    )[1],
    "cond of float32": lambda x: lax.cond(
        jnp.float32(x[0]) > 0, lambda y: jnp.sum(jnp.float32(y) ** 2), lambda y: jnp.float32(0 * y[0]), x
    ),
    "cumsum of float16": lambda x: jnp.cumsum(x.astype(jnp.float16) ** 2)[-1],
    "scatter-add into float32": lambda x: jnp.zeros(2, jnp.float32).at[0].add(jnp.sum(jnp.float32(x) ** 2))[0],
    "scatter-multiply of float32": lambda x: jnp.sum(
        jnp.float32(x).at[jnp.arange(5)].multiply(jnp.float32(x), unique_indices=True)
    ),
    "segment sums of bfloat16": lambda x: jax.ops.segment_sum(
        jnp.bfloat16(x) ** 2, jnp.array([0, 1, 1, 0, 2]), 3
    ).sum(),
    "a reduction of float32 by a function": lambda x: lax.reduce(
        jnp.float32(x) ** 2, np.float32(0), lambda a, b: a + b * 1, (0,)
    ),
    "a window of float32": lambda x: lax.reduce_window(
        jnp.float32(x) ** 2, np.float32(0), lax.add, (5,), (1,), "VALID"
    )[0],
    "iota of float32": lambda x: jnp.sum(x * x * (1 + 0 * jnp.arange(5, dtype=jnp.float32))),
    "convolution": lambda x: jnp.convolve(jnp.float32(x), jnp.float32(x)[::-1], "valid")[0],
}


@pytest.mark.parametrize("fun", REDUCED.values(), ids=REDUCED)
def test_reduced_precision_is_widened(fun, x64):
    """Σ x² by any narrow detour is Σ x² in float64 in the replay, and so is its gradient (8 roundings of the sum).

    The narrow function itself is off by 2⁻²⁵ or more, so that a replay that did not widen would not pass.
    """
    run, _ = replayed(fun, POINT)
    value = jax.jit(run)(POINT)
    assert value.dtype == np.float64
    assert abs(value - np.sum(POINT**2)) <= 8 * U64 * np.sum(POINT**2)
    np.testing.assert_allclose(jax.jvp(run, (POINT,), (jnp.ones(5),))[1], 2 * POINT.sum(), rtol=16 * U64)


def test_a_trace_at_float32_inputs_is_replayed_in_float64(x64):
    """The narrow trace, which a user's function with its own casts may be the only one of, gives float64 values."""
    run, _ = replayed(lambda x: jnp.sum(jnp.exp(x) * jnp.float32(0.5)), POINT.astype(np.float32))
    assert abs(run(POINT) - 0.5 * np.exp(POINT).sum()) <= 16 * U64 * np.exp(POINT).sum()


def test_bits_are_looked_at_in_the_traced_dtype(x64):
    """bitcast_convert_type sees the float32 number: the sign bit of x, as code that reads bits expects."""

    def sign(x):
        bits = lax.bitcast_convert_type(x, jnp.int32)
        return jnp.sum(jnp.where(bits < 0, -x, x))

    x = np.array([-1.5, 2.0, -0.25], np.float32)
    run, replay = replayed(sign, x)
    np.testing.assert_array_equal(run(x.astype(np.float64)), 3.75)
    np.testing.assert_array_equal(jax.grad(run)(x.astype(np.float64)), [-1, 1, -1])
    assert set(replay.opaque) == {"bitcast_convert_type"}


MATRIX = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.25], [0.5, 0.25, 1.0]])


LINEAR_ALGEBRA = {
    "solve": lambda A, b: jnp.sum(jnp.linalg.solve(A, b) ** 2),
    "inverse": lambda A, b: b @ jnp.linalg.inv(A) @ b,
    "Cholesky factor": lambda A, b: jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(A)))) + b @ b,
    "Cholesky solve": lambda A, b: b @ jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(A), b),
    "triangular solve": lambda A, b: jnp.sum(jax.scipy.linalg.solve_triangular(A, b, lower=True) ** 2),
    "eigenvalues": lambda A, b: jnp.linalg.eigvalsh(A)[0] * b[0],
    "determinant": lambda A, b: jnp.linalg.slogdet(A)[1] * b[1],
    "conjugate gradients": lambda A, b: b @ jax.scipy.sparse.linalg.cg(lambda v: A @ v, b, maxiter=8)[0],
}


@pytest.mark.slow
@pytest.mark.parametrize("fun", LINEAR_ALGEBRA.values(), ids=LINEAR_ALGEBRA)
def test_linear_algebra_differentiates_through_the_replay(fun, x64):
    """Forward and reverse derivatives of solves and factorizations equal those of the function itself.

    Condition number of A below 8, numbers of size O(10): 500 roundings cover both sides.
    """
    b = np.array([1.0, -2.0, 0.5])
    run, replay = replayed(fun, MATRIX, b)
    for ours, theirs in zip(
        jax.grad(run, argnums=(0, 1))(MATRIX, b), jax.grad(fun, argnums=(0, 1))(jnp.asarray(MATRIX), b), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=500 * 10 * U64)
    A = MATRIX + 0.0
    ours = jax.jvp(run, (A, b), (MATRIX, b))[1]
    np.testing.assert_allclose(ours, jax.jvp(fun, (A, b), (MATRIX, b))[1], rtol=0, atol=500 * 10 * U64)
    assert not replay.opaque


def test_solves_of_float32_are_solved_in_float64(x64):
    """A solve traced in float32 is accurate to float64 in the replay: the factorization is widened too.

    The residual of a stable 3×3 solve is below 50 roundings of |A||x|, whose entries are below 10.
    """
    b = np.array([1.0, -2.0, 0.5])
    run, replay = replayed(lambda A, b: jnp.linalg.solve(jnp.float32(A), jnp.float32(b)), MATRIX, b)
    x = np.asarray(run(MATRIX, b))
    assert np.abs(MATRIX @ x - b).max() <= 50 * 10 * U64
    assert not replay.opaque


def test_symmetric_solves_keep_their_transpose(x64):
    """lax.custom_linear_solve(symmetric=True) has no transposed solve of its own: reverse mode works all the same."""

    def fun(b):
        x = lax.custom_linear_solve(lambda v: MATRIX @ v, b, lambda mv, y: jnp.linalg.solve(MATRIX, y), symmetric=True)
        return jnp.sum(x**2)

    b = np.array([1.0, -2.0, 0.5])
    run, _ = replayed(fun, b)
    expected = 2 * np.linalg.solve(MATRIX, np.linalg.solve(MATRIX, b))
    np.testing.assert_allclose(jax.grad(run)(b), expected, rtol=0, atol=500 * 10 * U64)


def test_an_asymmetric_solve_differentiates_by_its_transposed_solve(x64):
    """lax.custom_linear_solve with transpose_solve: reverse mode solves with Aᵀ."""
    A = np.triu(MATRIX) + np.eye(3)

    def fun(b):
        solve = lambda _, y: jnp.linalg.solve(A, y)  # noqa: E731
        back = lambda _, y: jnp.linalg.solve(A.T, y)  # noqa: E731
        return jnp.sum(lax.custom_linear_solve(lambda v: A @ v, b, solve, back) ** 2)

    b = np.array([1.0, -2.0, 0.5])
    run, _ = replayed(fun, b)
    expected = 2 * np.linalg.solve(A.T, np.linalg.solve(A, b))
    np.testing.assert_allclose(jax.grad(run)(b), expected, rtol=0, atol=500 * 10 * U64)


def test_foreign_code_runs_in_the_dtypes_it_was_traced_with(x64):
    """A pure_callback that was declared for float32 gets float32, and the replay says that it was opaque."""
    seen = []

    def outside(x):
        seen.append(x.dtype)
        return np.sin(x)

    def fun(x):
        y = x.astype(jnp.float32)
        return jnp.sum(jax.pure_callback(outside, jax.ShapeDtypeStruct(y.shape, y.dtype), y))

    run, replay = replayed(fun, POINT)
    value = run(POINT)
    assert seen[-1] == np.float32 and value.dtype == np.float64
    # five float32 sines and roundings of their arguments, each below 2⁻²³; the sum itself is in float64
    assert abs(value - np.sin(POINT).sum()) <= 5 * 2.0**-23
    assert replay.opaque == ["pure_callback"] and "pure_callback" in FOREIGN


def test_foreign_code_inside_a_custom_rule_is_inlined_with_it(x64):
    """What is left of a callback with a custom_jvp is the callback, which JAX cannot differentiate."""

    @jax.custom_jvp
    def fun(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="expand_dims")

    fun.defjvp(lambda primals, tangents: (fun(*primals), jnp.cos(primals[0]) * tangents[0]))
    run, replay = replayed(lambda x: fun(x).sum(), POINT)
    assert abs(run(POINT) - np.sin(POINT).sum()) <= 16 * U64
    assert replay.rules == ["custom_jvp_call"] and not replay.opaque
    with pytest.raises(ValueError, match="JVP"):
        jax.grad(run)(POINT)


def test_shard_map_is_replayed_on_its_mesh(x64):
    """The body of a shard_map is inlined in a shard_map: a rule in it is stripped, and the sum over devices remains."""
    from jax.sharding import PartitionSpec as P

    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

    def fun(x):
        body = lambda y: lax.psum(jnp.sum(vjp_sin(y) * y), "data")  # noqa: E731
        return jax.shard_map(body, mesh=mesh, in_specs=P("data"), out_specs=P())(x)

    run, replay = replayed(fun, POINT)
    expected = jax.grad(lambda x: jnp.sum(jnp.sin(x) * x))(POINT)
    np.testing.assert_allclose(jax.jit(jax.grad(run))(POINT), expected, rtol=0, atol=16 * U64)
    assert replay.rules == ["custom_vjp_call"]


def test_random_keys_pass_through_as_constants(x64):
    """A typed PRNG key closed over, split and used inside is no float: the draws are those of the key.

    The draws were made in float32 by the traced function; the replay makes them in float64, from the same bits: they
    are uniform numbers of other digits, but the same ones at every evaluation.
    """
    key = jax.random.key(3)
    run, replay = replayed(lambda x: jnp.sum(x * jax.random.bernoulli(jax.random.fold_in(key, 1), 0.5, x.shape)), POINT)
    mask = np.asarray(jax.random.bernoulli(jax.random.fold_in(key, 1), 0.5, POINT.shape))
    np.testing.assert_array_equal(jax.grad(run)(POINT), mask.astype(np.float64))
    assert not replay.opaque


@pytest.mark.slow
def test_random_numbers_drawn_inside_are_those_of_the_function(x64):
    """normal and uniform draws of a key argument in the wide trace are what the function itself draws under x64."""

    def fun(x, key):
        return jnp.sum(x * jax.random.normal(key, x.shape, x.dtype)) + jax.random.uniform(key, (), x.dtype)

    key = jax.random.key(4)
    run, _ = replayed(fun, POINT, key)
    assert abs(run(POINT, key) - fun(POINT, key)) <= 32 * U64 * 10


def test_float32_draws_stay_float32_numbers(x64):
    """uniform builds its float32 number out of bits: the widened replay must give the same number."""

    def fun(x, key):
        return jnp.sum(x * jax.random.uniform(key, x.shape, jnp.float32))

    key = jax.random.key(4)
    run, _ = replayed(fun, POINT, key)
    drawn = np.asarray(jax.random.uniform(key, POINT.shape, jnp.float32), np.float64)
    assert abs(run(POINT, key) - POINT @ drawn) <= 16 * U64 * POINT.sum()


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("float16", "float64"), ("bfloat16", "float64"), ("float32", "float64"), ("float64", "float64"),
     ("complex64", "complex128"), ("complex128", "complex128"), ("int8", "int8"), ("bool", "bool"),
     ("float8_e4m3fn", "float64")],
)  # fmt: skip
def test_every_float_dtype_widens_to_float64(narrow, wide, x64):
    """`widened` maps dtypes, `widen` values, which it does not change."""
    assert widened(jnp.dtype(narrow)) == jnp.dtype(wide)
    value = jnp.asarray([1, 0], jnp.dtype(narrow))
    assert widen(value).dtype == jnp.dtype(wide) and widen(np.asarray(value)).dtype == jnp.dtype(wide)
    np.testing.assert_array_equal(np.asarray(widen(value)), [1, 0])


def test_keys_have_no_wider_dtype():
    key = jax.random.key(0)
    assert widened(key.dtype) == key.dtype and widen(key) is key


def test_complex_parts_are_widened(x64):
    """|exp(i x)|² + Re: complex64 inside a real function becomes complex128; its gradient is that of cos (20 u)."""
    run, _ = replayed(lambda x: jnp.sum(jnp.exp(1j * x.astype(jnp.complex64)).real), POINT)
    np.testing.assert_allclose(jax.grad(run)(POINT), -np.sin(POINT), rtol=0, atol=20 * U64)


def test_primitives_are_found_at_every_depth(x64):
    """`primitives` looks into loops and branches: sin inside a cond inside a scan."""
    closed = jax.make_jaxpr(lambda x: lax.scan(lambda c, y: (lax.cond(y > 0, jnp.sin, jnp.cos, c), None), x[0], x)[0])(
        POINT
    )
    assert {"scan", "cond", "sin", "cos", "gt"} <= primitives(closed)
    (scan,) = [eqn for eqn in closed.jaxpr.eqns if eqn.primitive.name == "scan"]
    assert len(inner_jaxprs(scan.params)) == 1
