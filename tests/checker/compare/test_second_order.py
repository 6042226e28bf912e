"""Hand Hessians and their products: each way to be wrong fails the comparison that is meant for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.inputs.budget import Budget

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

N = 5
RNG = np.random.default_rng(0)
A = (RNG.standard_normal((8, N)) / 2).astype(np.float32)
X = RNG.standard_normal(N).astype(np.float32)
S = np.float32(np.arange(N)[:, None] == np.arange(N)[::-1])  # symmetric
K = np.float32(np.triu(np.ones((N, N)), 1) - np.tril(np.ones((N, N)), -1))  # skew


def f(x):
    return jnp.sum(jnp.logaddexp(0, A @ x))


def gradient(x):
    return A.T @ jax.nn.sigmoid(A @ x)


def hvp(x, v):
    p = jax.nn.sigmoid(A @ x)
    return A.T @ (p * (1 - p) * (A @ v))


def hessian(x):
    p = jax.nn.sigmoid(A @ x)
    return A.T @ ((p * (1 - p))[:, None] * A)


def failed(report):
    return {(s.quantity, s.route) for s in report.statements if not s.passed}


def quantities(report):
    return {s.quantity for s in report.statements}


DENSE = None
MATRIX_FREE = Budget(bytes=1)


@pytest.mark.parametrize("budget", [DENSE, MATRIX_FREE], ids=["dense", "matrix-free"])
def test_right_rules_agree(budget):
    """All comparisons of second order are made, and pass."""
    report = crosscheck(f, X, gradient=gradient, hvp=hvp, hessian=hessian, psd=True, budget=budget)
    assert report.verdict == "AGREE", report
    expected = {
        "hvp along directions",
        "hvp, as it runs in float32",
        "hvp, linear in the direction",
        "hvp, symmetry",
        "hvp, order of the Taylor remainder",
        "Hessian, semidefinite",
    }
    expected |= {"hvp", "hessian", "hessian, symmetry"} if budget is DENSE else {"hvp", "hessian along directions"}
    assert expected <= quantities(report)


@pytest.mark.parametrize("budget", [DENSE, MATRIX_FREE], ids=["dense", "matrix-free"])
@pytest.mark.parametrize("E", [S, K], ids=["symmetric", "skew"])
def test_a_wrong_matrix_is_seen_and_only_a_skew_error_breaks_symmetry(E, budget):
    """H + 10⁻³ S keeps <u, Hv> = <v, Hu>; H + 10⁻³ K does not; the truth is missed by both, in every comparison."""
    report = crosscheck(f, X, hvp=lambda x, v: hvp(x, v) + 1e-3 * E @ v, budget=budget)
    names = {q for q, _ in failed(report)}
    assert {"hvp along directions", "hvp, as it runs in float32"} <= names
    assert ("hvp" in names) == (budget is DENSE)
    assert ("hvp, symmetry" in names) == (E is K)
    assert "hvp, linear in the direction" not in names


@pytest.mark.parametrize("E", [S, K], ids=["symmetric", "skew"])
def test_a_wrong_hessian_is_seen_in_its_entries(E):
    """The formula, and the matrix as it runs; the symmetry only when the error is skew."""
    report = crosscheck(f, X, hessian=lambda x: hessian(x) + 1e-3 * E)
    names = {q for q, _ in failed(report)}
    assert {"hessian", "hessian, as it runs in float32"} <= names and ("hessian, symmetry" in names) == (E is K)


def test_a_wrong_hessian_is_seen_by_probes():
    report = crosscheck(f, X, hessian=lambda x: hessian(x) + 1e-3 * S, budget=MATRIX_FREE)
    assert {q for q, _ in failed(report)} == {"hessian along directions"}


def test_a_wrong_hessian_that_is_wrong_only_as_it_runs_is_seen_by_its_float32_row():
    """A demotion to bfloat16 that the float64 trace computes in, too, is no error of the formula."""
    report = crosscheck(f, X, hessian=lambda x: hessian(x).astype(jnp.bfloat16).astype(x.dtype))
    assert {q for q, _ in failed(report)} == {"hessian, as it runs in float32"}


def test_one_wrong_entry_of_the_hessian_is_named():
    """(2, 4) and (4, 2) doubled: the worst entry of the report is one of them."""
    report = crosscheck(f, X, hessian=lambda x: hessian(x).at[2, 4].multiply(2).at[4, 2].multiply(2))
    assert report.verdict == "DISAGREE"
    assert report.worst_entries[0].path in ("[2], [4]", "[4], [2]")


def test_a_product_right_on_the_basis_but_not_linear_is_seen():
    """v₀v₁ e₀ vanishes at every basis vector, so the matrix is right; directions and linearity tell."""
    report = crosscheck(f, X, hvp=lambda x, v: hvp(x, v).at[0].add(0.1 * v[0] * v[1]))
    names = {q for q, _ in failed(report)}
    assert {"hvp along directions", "hvp, linear in the direction"} <= names and "hvp" not in names


def test_a_product_that_is_homogeneous_but_not_additive_is_seen():
    """|v| is homogeneous for positive factors only: −8 v and the sum betray it."""
    report = crosscheck(f, X, hvp=lambda x, v: hvp(x, v) + 0.1 * (jnp.abs(v) - v))
    assert "hvp, linear in the direction" in {q for q, _ in failed(report)}


def test_gradient_and_product_of_another_function_are_consistent_and_wrong():
    """2∇f and 2Hv: the derivative of the hand gradient is the hand product, the truth is neither."""
    report = crosscheck(f, X, gradient=lambda x: 2 * gradient(x), hvp=lambda x, v: 2 * hvp(x, v))
    assert ("hvp", "derivative of the hand gradient") not in failed(report)
    assert {"gradient", "hvp"} <= {q for q, _ in failed(report)}


def test_an_inconsistent_product_misses_the_derivative_of_the_hand_gradient():
    report = crosscheck(f, X, gradient=gradient, hvp=lambda x, v: 2 * hvp(x, v))
    assert ("hvp", "derivative of the hand gradient") in failed(report)
    assert not {q for q, _ in failed(report) if q.startswith("gradient")}


def test_a_gradient_that_cannot_be_differentiated_is_noted():
    """A hand gradient behind a callback has no derivative: the comparison is left out, and said so."""
    outside = lambda x: np.asarray(A, x.dtype).T @ (1 / (1 + np.exp(-np.asarray(A, x.dtype) @ x)))  # noqa: E731
    rule = lambda x: jax.pure_callback(lambda y: outside(np.asarray(y)), jax.ShapeDtypeStruct((N,), x.dtype), x)  # noqa: E731
    report = crosscheck(f, X, gradient=rule, hvp=hvp)
    assert any("cannot differentiate the hand gradient" in note for note in report.notes)


@pytest.mark.parametrize(("factor", "passes"), [(1.0, True), (1.01, False)])
def test_the_taylor_remainder_has_order_three_with_the_right_product_only(factor, passes):
    """f(x+tv) − f − t<g,v> − t²<v,Hv>/2 falls like t³; with 1 % more curvature it falls like t²."""
    report = crosscheck(f, X, gradient=gradient, hvp=lambda x, v: factor * hvp(x, v))
    (row,) = [s for s in report.statements if s.quantity == "hvp, order of the Taylor remainder"]
    assert row.passed == passes
    assert row.route == "t^3"
    (first,) = [s for s in report.statements if s.quantity == "gradient, order of the Taylor remainder"]
    assert first.passed


def test_a_wrong_gradient_has_a_remainder_of_order_one():
    report = crosscheck(f, X, gradient=lambda x: 1.01 * gradient(x))
    (row,) = [s for s in report.statements if s.quantity == "gradient, order of the Taylor remainder"]
    assert not row.passed and abs(row.worst["ours"] - 1) < 0.2


@pytest.mark.parametrize("budget", [DENSE, MATRIX_FREE], ids=["dense", "matrix-free"])
@pytest.mark.parametrize(("shift", "passes"), [(0.0, True), (-0.5, False)], ids=["semidefinite", "indefinite"])
def test_a_claim_of_convexity_is_probed(shift, passes, budget):
    """xᵀMx/2 with eigenvalues 0 (twice) and more, or one of −½."""
    Q = np.linalg.qr(RNG.standard_normal((6, 6)))[0]
    M = ((Q * np.array([shift, 0, 0, 1, 2, 3])) @ Q.T).astype(np.float64)
    M = (M + M.T) / 2 + 2.0**-40 * np.eye(6)  # the rounding of M itself moves an eigenvalue 0 by 2⁻⁵⁰
    fun = lambda x: x @ (jnp.asarray(M, x.dtype) @ x) / 2  # noqa: E731
    report = crosscheck(
        fun, RNG.standard_normal(6), hvp=lambda x, v: jnp.asarray(M, x.dtype) @ v, psd=True, budget=budget
    )
    (row,) = [s for s in report.statements if s.quantity == "Hessian, semidefinite"]
    assert row.passed == passes
    assert passes or abs(row.worst["ours"] + 0.5) < 1e-6


def test_a_scalar_point_may_claim_convexity_matrix_free():
    """One entry: there is nothing for Lanczos to do."""
    report = crosscheck(lambda x: x**2, np.float32(1.5), gradient=lambda x: 2 * x, psd=True, budget=MATRIX_FREE)
    assert [s.passed for s in report.statements if s.quantity == "Hessian, semidefinite"] == [True]
    report = crosscheck(lambda x: -(x**2), np.float32(1.5), gradient=lambda x: -2 * x, psd=True, budget=MATRIX_FREE)
    assert [s.passed for s in report.statements if s.quantity == "Hessian, semidefinite"] == [False]


class Operator:
    def __init__(self, dense):
        self.dense = dense

    def to_dense(self):
        return self.dense


jax.tree_util.register_pytree_node(Operator, lambda o: ((o.dense,), None), lambda _, c: Operator(*c))


@pytest.mark.parametrize("form", ["nested", "matrix", "operator"])
def test_a_hessian_comes_in_three_forms(form):
    """What jax.hessian returns, an (n, n) matrix in the order of the raveled leaves, an object with to_dense()."""
    at = {"b": np.float32(0.5), "w": X[:4].reshape(2, 2)}
    fun = lambda p: f(jnp.concatenate([p["b"][None], p["w"].ravel()]))  # noqa: E731
    flat = lambda p: jnp.concatenate([p["b"][None], p["w"].ravel()])  # noqa: E731

    def rule(p, wrong=0.0):
        H = hessian(flat(p)).at[0, 2].add(wrong).at[2, 0].add(wrong)
        if form == "nested":
            return {
                "b": {"b": H[0, 0], "w": H[0, 1:].reshape(2, 2)},
                "w": {"b": H[1:, 0].reshape(2, 2), "w": H[1:, 1:].reshape(2, 2, 2, 2)},
            }
        return H if form == "matrix" else Operator(H)

    assert crosscheck(fun, at, hessian=rule).verdict == "AGREE"
    report = crosscheck(fun, at, hessian=lambda p: rule(p, 1e-3))
    assert report.verdict == "DISAGREE"
    assert report.worst_entries[0].path in ("['b'], ['w'][0, 1]", "['w'][0, 1], ['b']")


def test_a_matrix_of_more_columns_than_are_analysed_is_still_compared_entry_by_entry():
    """100 entries: one wrong pair of 10⁴ entries is named, the right matrix agrees."""
    n = 100
    c = RNG.integers(1, 9, n).astype(np.float32)  # 12 c is exact in float32
    fun = lambda x: jnp.sum(c * x**4) + jnp.sum(x) ** 2  # noqa: E731

    def right(x):
        return jnp.diag(12 * c * x**2) + 2.0

    def product(x, v):
        return 12 * c * x**2 * v + 2 * jnp.sum(v)

    x = RNG.standard_normal(n).astype(np.float32)
    assert crosscheck(fun, x, hessian=right, hvp=product).verdict == "AGREE"
    report = crosscheck(fun, x, hessian=lambda x: right(x).at[70, 3].add(1e-2).at[3, 70].add(1e-2))
    assert report.verdict == "DISAGREE" and report.worst_entries[0].path in ("[70], [3]", "[3], [70]")
    report = crosscheck(fun, x, hvp=lambda x, v: product(x, v).at[70].add(1e-4 * v[3]))
    assert ("hvp", "jvp of grad (float64)") in failed(report)


def test_second_derivatives_of_foreign_code_are_refused():
    """Without its rule a callback has differences only, which give no Hessian."""

    @jax.custom_jvp
    def outside(x):
        return jax.pure_callback(lambda y: np.sin(np.asarray(y)), jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    outside.defjvp(lambda p, t: (outside(*p), jnp.cos(p[0]) * t[0]))
    with pytest.raises(ValueError, match=r"hvp, hessian, psd: without its custom rules .* first-order rules only"):
        crosscheck(lambda x: jnp.sum(outside(x)), X, hvp=lambda x, v: -jnp.sin(x) * v)


@pytest.mark.parametrize("where", ["a v + w", "-8 v"])
def test_each_row_of_the_linearity_test_judges(where):
    """hvp(a v + w) = a hvp(v) + hvp(w) and hvp(-8 v) = -8 hvp(v), of integer v, w of size 8: one of them is broken."""
    x = np.array([1.0, -2.0, 0.5, 3.0, 1.5, -0.5])

    def broken(x, v):
        size = jnp.abs(v)
        scaled = jnp.max(size) > 40  # no entry of a v + w is larger than 32
        summed = jnp.any((size > 8) & (v == jnp.round(v)) & (jnp.round(v) % 8 != 0))  # no entry of -8 v
        return 2 * v * jnp.where(summed if where == "a v + w" else scaled, 1.001, 1.0)

    report = crosscheck(lambda x: jnp.sum(x**2), x, hvp=broken)
    (row,) = [s for s in report.statements if "linear in the direction" in s.quantity]
    assert not row.passed and row.worst["path"].startswith(where)


def test_the_bound_of_the_smallest_eigenvalue_is_neither_zero_nor_wide():
    """psd=True: eigenvalues of a singular matrix are negative by rounding; -1e-9 of the largest is not rounding."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    for smallest, verdict in ((0.0, "AGREE"), (-1e-9, "DISAGREE")):
        A = (Q * np.array([smallest] * 6 + [1.0] * 6)) @ Q.T
        A = (A + A.T) / 2
        fun, rule = (lambda x, A: x @ A @ x / 2), (lambda x, A: A @ x)
        report = crosscheck(fun, rng.standard_normal(12), args=(A,), gradient=rule, psd=True)
        assert report.verdict == verdict, report
