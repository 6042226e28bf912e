"""The calculus under jit and vmap: nothing is traced twice, and dtypes stay what they are."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases

CASE = cases.Case("compiled", 8, 3, 4, intercept=True, alpha=0.5, gamma=0.75, cosh=(0.5, 1.5))


def everything(W, problem, V, kern):
    """Every public function of the calculus that takes arrays, called as a user does."""
    H = js.hessian(W, problem)
    return (
        js.logits(W, problem), js.probabilities(W, problem), js.log_probabilities(W, problem), js.loss(W, problem),
        js.gradient(W, problem), js.value_and_gradient(W, problem), js.hvp(W, problem, V),
        js.quadratic_form(W, problem, V), js.third_derivative(W, problem, V),
        js.third_derivative(W, problem, V, W), H @ V, H.to_dense(), H.blocks(), H.block(0, 1), H.diagonal(), H.trace(),
        H.quadratic_form(V), H.solve(V, null_space=kern), kern.project(V), js.max_logit_range(problem, V),
        js.self_concordance_factors(problem, V),
    )  # fmt: skip


@pytest.mark.slow
def test_a_second_call_traces_nothing(caplog):
    """Same shapes, dtypes and options: new numbers, strengths, names and host data compile nothing."""
    X, T, s = cases.arrays(CASE)
    W, V, _ = cases.directions(CASE, "float32")

    def made(shift, strength, names):
        return js.Problem(
            X + shift, T, intercept=True, sample_weight=s + shift, feature_names=names, classes=list("abcd"),
            regularizer=js.L2(strength) + js.LogCosh(strength, 3 * strength) + js.SelfRegularizer(2 * strength),
            dtype="float32",
        )  # fmt: skip

    first, second = made(0.0, 0.5, ["one", "two"]), made(0.25, 0.75, ["three", "four"])
    kern = js.null_space(first)
    everything(W, first, V, kern)
    W, V = W + 1, V - 1
    with caplog.at_level(logging.DEBUG, logger="jax"), jax.log_compiles(True):
        everything(W, second, V, kern)
        traced = [r.getMessage() for r in caplog.records if "ompil" in r.getMessage() or "tracing" in r.getMessage()]
        assert traced == []
        jax.jit(lambda w: w + 1)(jnp.ones(7))
        assert any("ompil" in r.getMessage() for r in caplog.records), "nothing would have been noticed"


@pytest.mark.slow
def test_float32_stays_float32_while_x64_is_on():
    """DESIGN, precision: no constant or NumPy scalar widens a float32 problem; float64 strengths do not either."""
    problem = cases.problem(CASE, "float32")
    W, V = (jnp.asarray(A, "float32") for A in cases.directions(CASE, "float32")[:2])
    kern = js.null_space(problem)
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda w, p, v: everything(w, p, v, kern), W, problem, V)
        front = jax.eval_shape(jax.hessian(js.loss), W, problem)
        assert {leaf.dtype for leaf in jax.tree.leaves((shapes, front))} == {np.dtype("float32")}
        problem = cases.problem(CASE, "float64")
        shapes = jax.eval_shape(
            lambda w, p, v: everything(w, p, v, kern), W.astype("float64"), problem, V.astype("float64")
        )
        assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {np.dtype("float64")}


@pytest.mark.slow
def test_vmap_over_weights_and_over_sample_weights_is_a_loop():
    """js functions under vmap, in W, in V and in the sample weights through problem.replace, the fused ones too."""
    problem = cases.problem(CASE, "float32")
    Ws = jnp.asarray(np.stack(cases.directions(CASE, "float32")), "float32")
    weights = jnp.asarray(np.random.default_rng(0).uniform(0.5, 2, size=(3, CASE.N)), "float32")

    def several(w, s):
        p = problem.replace(sample_weight=s)
        return js.loss(w, p), js.value_and_gradient(w, p), js.hvp(w, p, w), js.hessian(w, p).to_dense()

    together = jax.jit(jax.vmap(several))(Ws, weights)
    one = jax.jit(several)
    for k in range(3):
        jax.tree.map(
            lambda a, b, k=k: np.testing.assert_allclose(np.asarray(a[k]), np.asarray(b), rtol=2e-5, atol=2e-5),
            together,
            one(Ws[k], weights[k]),
        )


@pytest.mark.parametrize("name", ["gradient", "value_and_gradient", "hvp", "loss", "hessian", "probabilities"])
def test_weights_of_the_wrong_shape_or_dtype_are_refused(name):
    """W (D, C), a JAX array of another dtype and a float64 problem without x64 each name the argument."""
    problem = cases.problem(CASE, "float32")
    call = getattr(js, name)
    more = (np.zeros((4, 3)),) if name == "hvp" else ()
    with pytest.raises(ValueError, match=r"W: shape \(3, 4\)"):
        call(np.zeros((3, 4)), problem, *more)
    with pytest.raises(TypeError, match=r"W: .*float16"):
        call(jnp.zeros((4, 3), "float16"), problem, *more)
    if more:
        with pytest.raises(ValueError, match=r"V: shape \(3, 4\)"):
            call(np.zeros((4, 3)), problem, np.zeros((3, 4)))
    with jax.enable_x64(True):
        wide = cases.problem(CASE, "float64")
    with pytest.raises(ValueError, match="x64 is off"):
        call(np.zeros((4, 3)), wide, *more)
