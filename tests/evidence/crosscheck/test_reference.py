"""evidence/crosscheck/reference.py: independent by construction, and right against sums written out."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.evidence.crosscheck import reference

N, D, C = 6, 3, 4
EPS = float(np.finfo(np.float64).eps)


def make(dtype="float64", seed=0, **options):
    """A small problem with soft targets and weights, W and two directions (call inside x64 for float64)."""
    rng = np.random.default_rng(seed)
    X, T = rng.normal(size=(N, D - 1)), rng.dirichlet(np.ones(C), size=N)
    s = rng.uniform(0.5, 2.0, size=N)
    problem = js.Problem(X, T, intercept=True, sample_weight=s, dtype=dtype, **options)
    return problem, *rng.normal(size=(3, C, D)).astype(dtype)


def written_out(W, X, T, s, alpha=0.0, gamma=None, cosh=None):
    """S1 + S21a, b (intercept excluded) + S21d as loops: sum_n s_n sum_i t_ni log(sum_j exp(z_nj - z_ni))."""
    total = 0.0
    for n in range(len(X)):
        z = [sum(W[c, d] * X[n, d] for d in range(D)) for c in range(C)]
        total += s[n] * sum(T[n, i] * np.log(sum(np.exp(z[j] - z[i]) for j in range(C))) for i in range(C))
    total += alpha / 2 * sum(W[c, d] ** 2 for c in range(C) for d in range(D - 1))
    if cosh is not None:
        a, g = cosh
        total += a / g * sum(np.log(2 * np.cosh(g * W[c, d])) for c in range(C) for d in range(D - 1))
    if gamma is not None:
        for d in range(D):
            z = [gamma * W[c, d] for c in range(C)]
            total += np.log(sum(np.exp(v) for v in z)) - sum(z) / C
    return total


def custom_rules(jaxpr):
    """Names of the primitives with custom rules, in the jaxpr and everything nested in it."""
    found = set()
    for equation in jaxpr.eqns:
        if "custom" in equation.primitive.name:
            found.add(equation.primitive.name)
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found |= custom_rules(inner)
    return found


CALLS = {
    "loss": lambda W, p, V, U: reference.loss(W, p),
    "probabilities": lambda W, p, V, U: reference.probabilities(W, p),
    "log_probabilities": lambda W, p, V, U: reference.log_probabilities(W, p),
    "gradient": lambda W, p, V, U: reference.gradient(W, p),
    "value_and_gradient": lambda W, p, V, U: reference.value_and_gradient(W, p),
    "hvp": lambda W, p, V, U: reference.hvp(W, p, V),
    "quadratic_form": lambda W, p, V, U: reference.quadratic_form(W, p, V),
    "hessian": lambda W, p, V, U: reference.hessian(W, p),
    "third_derivative": lambda W, p, V, U: reference.third_derivative(W, p, V, U),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_custom_rule_anywhere_in_the_reference(name):
    """S1-S4, S8: what the hand rules are compared with is differentiated by JAX's own primitives alone."""
    problem, W, V, U = make("float32", regularizer=js.L2(0.3) + js.LogCosh(0.4, 1.5) + js.SelfRegularizer(0.7))
    jaxpr = jax.make_jaxpr(lambda w, v, u: CALLS[name](w, problem, v, u))(W, V, U)
    assert custom_rules(jaxpr.jaxpr) == set()


def test_the_scan_sees_custom_rules_where_there_are_some():
    """The scan itself: our loss has nested rules, and jax.nn.relu has one."""
    problem, W, *_ = make("float32")
    assert custom_rules(jax.make_jaxpr(lambda w: js.loss(w, problem))(W).jaxpr)
    assert custom_rules(jax.make_jaxpr(jax.nn.relu)(W).jaxpr)


def test_every_public_function_is_scanned():
    """No function can join the reference without being scanned."""
    helpers = {"plain", "PlainProblem", "PlainTerm"}
    assert set(CALLS) == set(reference.__all__) - helpers


def test_loss_equals_the_sums_written_out(x64):
    """S1, S21a, S21b, S21d. A few dozen terms of size <= 10: 64 eps * 10 is ample for both sides' rounding."""
    problem, W, *_ = make(regularizer=js.L2(0.3) + js.LogCosh(0.4, 1.5) + js.SelfRegularizer(0.7))
    X, T, s = (np.asarray(a) for a in (problem.X, problem.T, problem.sample_weight))
    expected = written_out(W, X, T, s, alpha=0.3, gamma=0.7, cosh=(0.4, 1.5))
    assert abs(float(reference.loss(W, problem)) - expected) <= 64 * EPS * abs(expected)


def test_the_two_forms_of_the_loss_agree_for_rows_that_miss_one(x64):
    """S1: (1't) lse - t'z and sum t (-log y) are one function of T, also where a row's sum is not 1."""
    problem, W, *_ = make()
    stretched = problem.replace(T=problem.T * 1.25)
    logs = np.asarray(reference.log_probabilities(W, stretched))
    other = -(np.asarray(stretched.sample_weight)[:, None] * np.asarray(stretched.T) * logs).sum()
    assert abs(float(reference.loss(W, stretched)) - other) <= 64 * EPS * abs(other)


@pytest.mark.slow
def test_derivatives_are_those_of_the_sums_written_out(x64):
    """S2, S4, S8 by central differences of the loops.

    Step h = 1e-3 along V: the error of a central difference is h^2/6 times the third derivative along V (h^2/4 the
    fourth, for second differences), each at most (range(V x) <= 12)^k sum(s) <= 12^k * 12, plus eps * loss / h^k.
    """
    problem, W, V, U = make()
    X, T, s = (np.asarray(a) for a in (problem.X, problem.T, problem.sample_weight))
    form, third_derivative = jax.jit(reference.quadratic_form), jax.jit(reference.third_derivative)
    h, spread = 1e-3, np.ptp(X @ V.T, axis=1).max()
    values = [written_out(W + k * h * V, X, T, s) for k in (-1, 0, 1)]
    first = (values[2] - values[0]) / (2 * h)
    second = (values[2] - 2 * values[1] + values[0]) / h**2
    size = spread**3 * s.sum()
    assert abs(float((jax.jit(reference.gradient)(W, problem) * V).sum()) - first) <= h**2 / 6 * size + 1e-11
    assert abs(float(form(W, problem, V)) - second) <= h**2 / 4 * size * spread + 1e-7
    hessian = np.asarray(jax.jit(reference.hessian)(W, problem))
    np.testing.assert_allclose(
        hessian @ U.ravel(), np.asarray(jax.jit(reference.hvp)(W, problem, U)).ravel(), atol=1e-12
    )
    # D^3[V, U, U] is the derivative along V of the quadratic form in U; a fifth-order quantity bounds the remainder.
    forms = [float(form(W + k * h * V, problem, U)) for k in (-1, 1)]
    third, wide = (forms[1] - forms[0]) / (2 * h), np.ptp(X @ U.T, axis=1).max()
    limit = h**2 / 6 * spread**3 * wide**2 * s.sum() + 1e-10
    assert abs(float(third_derivative(W, problem, V, U)) - third) <= limit


def test_third_derivative_defaults_to_one_direction(x64):
    """S8: U=None means U=V."""
    problem, W, V, _ = make()
    third_derivative = jax.jit(reference.third_derivative)
    both = float(third_derivative(W, problem, V)), float(third_derivative(W, problem, V, V))
    assert abs(both[0] - both[1]) <= 64 * EPS * abs(both[0])


def test_plain_upcasts_exactly_and_rounds_strengths_to_the_compute_dtype():
    """S1, S21: the reference sees the stored numbers, bfloat16 and float32 ones too."""
    problem, *_ = make("bfloat16", regularizer=js.L2(0.1, penalize_intercept=True))
    data = reference.plain(problem)
    assert {a.dtype for a in (data.X, data.T, data.sample_weight)} == {np.dtype(np.float64)}
    assert (data.X == np.asarray(problem.X).astype(np.float64)).all()
    assert float(data.regularizer[0].value) == float(np.float32(0.1)) != 0.1
    assert data.regularizer[0].penalize_intercept
    assert reference.plain(problem, slice(2, 4), regularizer=False).X.shape == (2, D)
    assert reference.plain(problem, slice(2, 4), regularizer=False).regularizer == ()


def test_unknown_penalties_are_refused():
    """S21: nothing is silently left out of the loss."""

    class Lasso:
        strength = 1.0

    for term in (Lasso(), object()):
        problem = reference.PlainProblem(np.eye(2), np.eye(2), np.ones(2), (term,))
        with pytest.raises(TypeError, match="regularizer"):
            reference.loss(np.zeros((2, 2)), problem)
