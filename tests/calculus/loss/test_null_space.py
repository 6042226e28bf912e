"""S3, S5, S6: gauge invariance, the kernel and its complement, coordinates without the gauge; S21 where it matters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxsoftmax as js
from helpers import cases, twins
from jaxsoftmax.calculus.loss import null_space as null_space_module

SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([0.0, 0.3, 1.0, 8.0])
EPS = twins.EPS64

# Few shapes, so that the compiled functions are used again.
FREE = cases.CASES[0]
DEFICIENT = cases.Case("deficient", 9, 4, 6, intercept=True, deficient=True, targets="soft")
L2_FREE_INTERCEPT = cases.Case("l2", 9, 4, 6, intercept=True, deficient=True, alpha=0.5)
L2_EVERYWHERE = cases.Case("l2 on all", 9, 4, 6, intercept=True, deficient=True, alpha=0.5, penalize_intercept=True)
SELF = cases.Case("self", 9, 4, 6, intercept=True, deficient=True, gamma=0.75)
BOTH = cases.Case("both", 9, 4, 6, intercept=True, deficient=True, alpha=0.5, gamma=0.75)
WIDE = cases.Case("wide", 3, 5, 4, targets="soft")
KERNELS = (FREE, DEFICIENT, L2_FREE_INTERCEPT, L2_EVERYWHERE, SELF, BOTH, WIDE)


@given(seed=SEEDS, scale=SCALES, case=st.sampled_from([FREE, SELF]))
def test_column_sums_of_the_gradient_vanish_and_the_loss_ignores_the_gauge(seed, scale, case):
    """S3: **1**ᵀ∇L = 0 and L(W + **1**vᵀ) = L(W), for any data, also with the self-regulariser (S21d)."""
    W, V, _ = (scale * A for A in cases.directions(case, "float64", seed))
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64", seed)
        data = cases.data(case, problem)
        moved = W + V[:1]
        sums = np.asarray(js.gradient(W, problem)).sum(axis=0)
        values = float(js.loss(W, problem)), float(js.loss(moved, problem))
    # C entries, each within its tolerance.
    assert np.all(np.abs(sums) <= np.sum(twins.gradient_tolerance(W, data, EPS), axis=0))
    allowed = twins.loss_tolerance(W, data, EPS) + twins.loss_tolerance(moved, data, 2 * EPS)
    assert abs(values[0] - values[1]) <= allowed


@given(seed=SEEDS, scale=SCALES, case=st.sampled_from([FREE, BOTH]), far=st.sampled_from([0.0, 1e3, 1e8]), share=SCALES)
def test_quadratic_form_is_never_negative(seed, scale, case, far, share):
    """S5: D²L[V, V] ≥ 0 for all W, V, exactly, also for V close to a gauge direction of any size."""
    W, V, U = cases.directions(case, "float64", seed)
    direction = share * V + far * U[:1]
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64", seed)
        assert float(js.quadratic_form(10 * scale * W, problem, direction)) >= 0
    with jax.enable_x64(False):
        problem = cases.problem(case, "float32", seed)
        assert float(js.quadratic_form(10 * scale * W, problem, direction)) >= 0


@given(seed=SEEDS, scale=SCALES)
def test_quadratic_form_is_the_sum_over_pairs_relative_to_its_own_size(seed, scale):
    """S4, S5: with logits and u exact (one integer feature), every digit of Σ_{a<b} y_a y_b (u_a - u_b)² is right.

    y within 4 eps (1 + log2 C) of its row's softmax, two factors; the rest are a few roundings of terms ≥ 0.
    """
    case = cases.Case("one-feature", 6, 1, 3)
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, size=(6, 1)).astype(float)
    W, V = np.round(scale * rng.normal(size=(3, 1)) * 8), rng.integers(-4, 5, size=(3, 1)) + 2.0**20
    with jax.enable_x64(True):
        problem = js.Problem(X, np.full((6, 3), 1 / 3))
        ours = float(js.quadratic_form(W, problem, V))
        data = cases.data(case, problem)
    true = twins.quadratic_form(W, data, V)
    # The twin's softmax has its own error: exp of exact differences and a sum, fewer eps than ours.
    assert abs(ours - true) <= 2 * (2 * 4 * EPS * (1 + np.log2(3)) + (8 + np.sqrt(6)) * EPS) * true


@pytest.mark.slow_cases("self")
@pytest.mark.parametrize("case", KERNELS, ids=str)
def test_kernel_has_the_dimension_of_S6_and_its_directions_give_zero(case):
    """S6, S21e: dim 𝒦 = D + (C - 1)(D - R), or what the regulariser leaves; H vanishes on it at every W."""
    W, _, _ = cases.directions(case, "float64")
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64")
        data = cases.data(case, problem)
        kern = js.null_space(problem)
        basis = kern.basis()
        assert kern.dim == twins.kernel_dimension(data) == basis.shape[1]
        assert kern.rank == np.linalg.matrix_rank(data.X[data.s > 0])
        H = js.hessian(W, problem)
        images = np.asarray(H @ basis) if kern.dim else np.zeros((basis.shape[0], 0))
    np.testing.assert_allclose(basis.T @ basis, np.eye(kern.dim), atol=50 * EPS)
    values = np.linalg.eigvalsh(twins.hessian(W, data))
    assert np.all(values[: kern.dim] <= 200 * EPS * values[-1])
    assert values[kern.dim] > 1e-6 * values[-1], "a direction of 𝒦⊥ without curvature, or a test problem too flat"
    for column, image in zip(basis.T, images.T, strict=True):
        direction = column.reshape(W.shape)
        # The basis itself is within some eps·max(N, D)·cond of the kernel: twenty times the rounding of a product.
        allowed = 20 * twins.hvp_tolerance(W, data, direction, EPS)
        assert np.all(np.abs(image.reshape(W.shape)) <= allowed)


@pytest.mark.slow_cases("l2")
@pytest.mark.parametrize("case", KERNELS, ids=str)
def test_projection_on_the_complement_is_orthogonal_and_gradients_stay_in_it(case):
    """S6: Π is symmetric, idempotent, kills 𝒦, fixes 𝒦⊥; ∇L(W) ∈ 𝒦⊥ for W ∈ 𝒦⊥ (S21a), so descent stays there."""
    W, V, U = cases.directions(case, "float64")
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64")
        data = cases.data(case, problem)
        kern = js.null_space(problem)
        project = jax.jit(lambda A: kern.project(A))
        PV, PU = np.asarray(project(V)), np.asarray(project(U))
        np.testing.assert_allclose(np.asarray(project(PV)), PV, atol=20 * EPS * np.max(np.abs(V)))
        assert np.sum(PV * U) == pytest.approx(np.sum(V * PU), abs=100 * EPS * np.linalg.norm(V) * np.linalg.norm(U))
        W = np.asarray(project(W))
        gradient = np.asarray(js.gradient(W, problem))
        left = gradient - np.asarray(project(gradient))
    basis, rest = kern.basis(), kern.complement_basis()
    P = np.eye(V.size) - basis @ basis.T
    np.testing.assert_allclose(P @ V.reshape(-1), PV.reshape(-1), atol=50 * EPS * np.linalg.norm(V))
    assert rest.shape == (V.size, V.size - kern.dim)
    np.testing.assert_allclose(rest @ rest.T, P, atol=50 * EPS)
    size = np.linalg.norm(twins.gradient_tolerance(W, data, EPS)) + 50 * EPS * np.linalg.norm(gradient)
    assert np.linalg.norm(left) <= 4 * size


def test_samples_of_weight_zero_do_not_count_for_the_rank():
    """Section 0, S6: the rank is that of the rows with s_n > 0."""
    X = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], np.float32)
    T = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    problem = js.Problem(X, T)
    assert js.null_space(problem).dim == 2
    out = problem.replace(sample_weight=np.array([1, 1, 0], np.float32))
    assert js.null_space(out).dim == 2 + 2 * (2 - 1)
    np.testing.assert_array_equal(np.abs(np.asarray(js.null_space(out).null)), [[0], [1]])


def test_units_of_measurement_do_not_decide_the_rank():
    """S6: columns in units from 2⁻³⁰⁰ to 2³⁰⁰ leave the kernel as it is; nearly dependent is not dependent."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(9, 4))
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    units = np.array([2.0**-300, 1.0, 2.0**300, 2.0**-300])
    T = rng.dirichlet(np.ones(3), size=9)
    with jax.enable_x64(True):
        kern = js.null_space(js.Problem(X * units, T))
        assert (kern.rank, kern.dim) == (3, 4 + 2)
        # The direction of the kernel: x_3/2^-300 - x_0/2^-300 + 2 x_1 vanishes.
        direction = np.array([-(2.0**300), 2.0, 0.0, 2.0**300])
        direction /= np.max(np.abs(direction))
        null = np.asarray(kern.null)[:, 0]
        np.testing.assert_allclose(np.outer(null, null), np.outer(direction, direction) / 2, atol=1e-12)
        X[:, 3] += 1e-9 * rng.normal(size=9)
        assert js.null_space(js.Problem(X, T)).rank == 4
        assert js.null_space(js.Problem(np.zeros((9, 4)), T)).dim == 12


@pytest.mark.parametrize(("apart", "rank"), [(2.0**-46, 2), (2.0**-42, 3)])
def test_the_rank_of_many_rows_is_decided_at_rows_times_eps_times_the_largest_singular_value(apart, rank):
    """S6: h_0, h_1 and h_0 + δ h_2, h orthogonal of norm 1 once scaled: σ_max = √2, and δ/√2 against 256 eps σ_max."""
    n = np.arange(256)
    h = np.stack([np.ones(256), 1 - 2.0 * (n % 2), 1 - 2.0 * (n // 2 % 2)], axis=1)
    with jax.enable_x64(True):
        X = np.stack([h[:, 0], h[:, 1], h[:, 0] + apart * h[:, 2]], axis=1)
        kern = js.null_space(js.Problem(X, np.full((256, 2), 0.5)))
    assert kern.rank == rank
    assert kern.tolerance == pytest.approx(256 * EPS * 2**0.5, rel=1e-12, abs=0)


@pytest.mark.parametrize("first", [0, 1])
def test_two_l2_terms_leave_what_both_leave(first):
    """S21e: L2 on every column with L2 beside a free intercept leaves no kernel, in either order."""
    parts = (js.L2(0.5, penalize_intercept=True), js.L2(0.25))
    problem = js.Problem(
        np.eye(3, 2, dtype="float32"),
        np.eye(3, dtype="float32"),
        intercept=True,
        regularizer=(parts[first], parts[1 - first]),
    )
    kern = js.null_space(problem)
    assert kern.dim == 0
    assert kern.basis().shape == (9, 0)
    V = np.arange(9, dtype=np.float32).reshape(3, 3)
    np.testing.assert_allclose(np.asarray(kern.project(V)), V, rtol=1e-6)
    assert js.null_space(problem.replace(regularizer=js.L2(0.0))).dim == 3, "a strength of 0 is no penalty"


def test_a_penalty_of_strength_0_leaves_the_null_space():
    """S6, S21a: X of rank 1 with two columns has D + (C − 1)(D − R) = 3, whether L2(0) is beside it or not."""
    problem = js.Problem(np.float32([[1, 2], [2, 4], [3, 6]]), np.full((3, 2), 0.5, np.float32))
    assert js.null_space(problem).dim == js.null_space(problem.replace(regularizer=js.L2(0.0))).dim == 3
    assert js.null_space(problem.replace(regularizer=js.L2(0.5))).dim == 0


def test_kernel_needs_concrete_data():
    """S6: the dimension is a shape; under jit the error says so."""
    problem = cases.problem(FREE, "float32")
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda p: js.null_space(p).project(jnp.zeros((5, 3))))(problem)


@pytest.mark.parametrize("C", [1, 2, 5, 40])
def test_helmert_rows_are_an_orthonormal_basis_of_the_complement_of_the_gauge(C):
    """S6: Q Qᵀ = I, Q **1** = 0, Qᵀ Q = I - **11**ᵀ/C, shape (C - 1, C)."""
    Q = js.helmert(C)
    assert Q.shape == (C - 1, C)
    assert Q.dtype == np.float64
    np.testing.assert_allclose(Q @ Q.T, np.eye(C - 1), atol=C * EPS)
    np.testing.assert_allclose(Q @ np.ones(C), 0, atol=C * EPS)
    np.testing.assert_allclose(Q.T @ Q, np.eye(C) - 1 / C, atol=C * EPS)
    assert js.helmert(C, np.float32).dtype == np.float32


def test_representatives_of_the_gauge_orbit():
    """S3: center gives **1**ᵀW = 0, to_reference gives w_r = 0, and both differ from W by some **1**vᵀ."""
    W, _, _ = cases.directions(FREE, "float32")
    W = jnp.asarray(W, "float32")
    centred, referred = js.center_classes(W), js.to_reference(W, 3)
    np.testing.assert_allclose(np.asarray(centred).sum(axis=0), 0, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(referred)[3], 0)
    for moved in (centred, referred):
        difference = np.asarray(W - moved)
        np.testing.assert_allclose(difference, np.broadcast_to(difference[:1], W.shape), atol=1e-6)
        assert moved.dtype == np.float32
    for r in (-1, 5):
        with pytest.raises(ValueError, match="class index"):
            js.to_reference(W, r)
    with pytest.raises(ValueError, match="C: got 0"):
        js.helmert(0)


def test_the_rank_of_few_rows_is_decided_at_columns_times_eps(x64):
    """Two rows of a thousand columns that differ by 200 eps: σ₂/σ₁ is 100 eps, which sums of a thousand terms hide."""
    D, eps = 1000, 2.0**-52
    sign = np.where(np.arange(D) % 2, 1.0, -1.0)
    for apart, rank in ((200 * eps, 1), (4000 * eps, 2)):
        X = np.vstack([np.ones(D), 1 + apart * sign])
        assert js.null_space(js.Problem(X, np.full((2, 2), 0.5))).rank == rank


def test_under_a_penalty_X_is_not_looked_at(monkeypatch, x64):
    """S21: a penalty on all entries holds all directions; one that spares the intercept leaves e_bias in each class."""
    X = np.ones((3, 4))
    free = js.Problem(X, np.eye(3), intercept=True)
    monkeypatch.setattr(null_space_module, "row_space", lambda problem: pytest.fail("X was factored"))
    for penalty, gauge in (
        (js.L2(0.1), np.eye(5)[:, 4:]),
        (js.L2(0.1, penalize_intercept=True), np.zeros((5, 0))),
        (js.SelfRegularizer(0.1), np.eye(5)),
    ):
        found = null_space_module.free_directions(free.replace(regularizer=penalty))
        np.testing.assert_array_equal(found.gauge, gauge)
        assert found.null.shape == (5, 0) and found.dim(3) == gauge.shape[1]
    with pytest.raises(pytest.fail.Exception, match="X was factored"):
        null_space_module.free_directions(free)
