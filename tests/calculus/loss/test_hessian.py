"""S4, S6: the Hessian operator: products, dense form, blocks, diagonal, trace, and the solve on 𝒦⊥."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins
from helpers.stages import fast
from jaxsoftmax.calculus.loss import dense_hessian as gram
from jaxsoftmax.calculus.loss import hessian
from jaxsoftmax.support import memory


@jax.jit
def _operator(W, problem, V, columns):
    H = js.hessian(W, problem)
    C, D = W.shape
    return {
        "dense": H.to_dense(),
        "blocks": jnp.swapaxes(H.blocks(), 1, 2).reshape(C * D, C * D),
        "block 01": H.block(0, 1),
        "block 11": H.block(1, 1),
        "diagonal": H.diagonal(),
        "trace": H.trace(),
        "product": H @ V,
        "product, flat": (H @ V.reshape(-1)).reshape(C, D),
        "products": H @ columns,
        "form": H.quadratic_form(V),
    }


@pytest.mark.slow_cases("two-classes-l2-float64", "deficient-absent-float64")
@pytest.mark.parametrize(("case", "dtype"), cases.RUNS, ids=str)
def test_the_operator_is_the_Kronecker_sum_of_S4(case, dtype):
    """S4, S21: dense form, blocks, diagonal, trace and products are Σ s S(y) ⊗ xxᵀ + penalties, to rounding."""
    W, V, U = cases.directions(case, dtype)
    columns = np.stack([U.reshape(-1), V.reshape(-1)], axis=1)
    with jax.enable_x64(dtype == "float64"):
        problem = cases.problem(case, dtype)
        data = cases.data(case, problem)
        ours = _operator(W.astype(dtype), problem, V.astype(dtype), columns.astype(dtype))
        assert {v.dtype for v in ours.values()} == {np.dtype(dtype)}
        ours = {k: np.asarray(v, np.float64) for k, v in ours.items()}
    C, D = case.C, case.D
    eps = np.finfo(dtype).eps + twins.EPS64
    H, allowed = twins.hessian(W, data), twins.hessian_tolerance(W, data, eps)
    products = [(twins.hvp(W, data, A), twins.hvp_tolerance(W, data, A, eps)) for A in (V, U)]
    # A diagonal block of the dense form is the sum of C - 1 others (S3): C eps more, relative to the same terms.
    expected = {
        "dense": (H, allowed),
        "blocks": (H, allowed),
        "block 01": (H[:D, D : 2 * D], allowed[:D, D : 2 * D]),
        "block 11": (H[D : 2 * D, D : 2 * D], allowed[D : 2 * D, D : 2 * D]),
        "diagonal": (np.diag(H).reshape(C, D), np.diag(allowed).reshape(C, D)),
        "trace": (np.trace(H), np.trace(allowed) + C * D * eps * np.trace(H)),
        "product": products[0],
        "product, flat": products[0],
        "products": tuple(np.stack([b.reshape(-1), a.reshape(-1)], axis=1) for a, b in zip(*products, strict=True)),
        "form": (twins.quadratic_form(W, data, V), twins.quadratic_form_tolerance(W, data, V, eps)),
    }
    for name, (value, tolerance) in expected.items():
        assert ours[name].shape == np.shape(value), name
        assert np.all(np.abs(ours[name] - value) <= tolerance), name


def test_dense_form_over_row_blocks_and_chunks_of_products(monkeypatch):
    """S4: several row blocks with a remainder and several padded chunks of feature products give the same matrix."""
    rng = np.random.default_rng(3)
    N, D, C = 131, 5, 3
    X, T, s = rng.normal(size=(N, D)), rng.dirichlet(np.ones(C), size=N), rng.uniform(0, 2, size=N)
    W = rng.normal(size=(C, D))
    monkeypatch.setattr(gram, "_ROWS", 64)  # 131 rows: two blocks of 64 and one of 3
    monkeypatch.setattr(gram, "_CHUNK_ENTRIES", 4 * 64)  # 15 products: four chunks of 4, one of them padded
    with jax.enable_x64(True):
        problem = js.Problem(X, T, sample_weight=s)
        Y = js.probabilities(W, problem)
        assert gram._feature_products(D, 64)[0].shape == (4, 2, 4)
        where = hessian.placement(problem)
        # A fresh function, because the compiled one may hold the unpatched sizes for these shapes.
        ours = jax.jit(lambda *a: gram.dense_hessian(*a, where))(Y, jnp.asarray(W), problem)
        ours = np.asarray(ours)
        data = twins.data_of(problem)
    assert np.all(np.abs(ours - twins.hessian(W, data)) <= twins.hessian_tolerance(W, data, 2 * twins.EPS64))


def test_entries_of_the_Hessian_keep_their_digits_for_a_confident_sample():
    """S4, section 7.3: y (1 - y) of a class with 1 - y = e^-40 is e^-40, not 0, in every form of the diagonal."""
    with jax.enable_x64(True):
        problem = js.Problem(np.array([[1.0]]), np.array([[1.0, 0.0, 0.0]]))
        H = js.hessian(np.array([[40.0], [0.0], [0.0]]), problem)
        other = np.exp(-40.0) / (1 + 2 * np.exp(-40.0))
        first = 2 * other * (1 - 2 * other)
        for value in (H.to_dense()[0, 0], H.block(0, 0)[0, 0], H.diagonal()[0, 0]):
            assert float(value) == pytest.approx(first, rel=40 * twins.EPS64, abs=0)
        np.testing.assert_allclose(np.asarray(H.to_dense()[1, 0]), -other * (1 - 2 * other), rtol=40 * twins.EPS64)


def test_the_operator_passes_through_jit_as_a_pytree():
    """An operator made outside a jitted function and used inside is the same operator."""
    case = cases.CASES[0]
    W, V, _ = cases.directions(case, "float32")
    problem = cases.problem(case, "float32")
    H = js.hessian(W, problem)
    W32, V32 = jnp.asarray(W, "float32"), jnp.asarray(V, "float32")
    inside = jax.jit(lambda op, v: op @ v)(H, V32)
    data = cases.data(case, problem)
    allowed = twins.hvp_tolerance(W, data, V, np.finfo(np.float32).eps)
    assert np.all(np.abs(np.asarray(inside) - twins.hvp(W, data, V)) <= allowed)
    assert H.shape == (case.C * case.D,) * 2
    assert H.dtype == np.float32
    leaves, tree = jax.tree.flatten(H)
    again = jax.tree.unflatten(tree, leaves)
    np.testing.assert_array_equal(np.asarray(again @ V32), np.asarray(H @ V32))
    np.testing.assert_array_equal(np.asarray(H.W), np.asarray(W32))


def test_products_refuse_other_shapes_and_dtypes():
    """H @ V takes (C, D), (C·D,) and (C·D, k); other shapes, dtypes and class indices name the argument."""
    case = cases.CASES[0]
    W, _, _ = cases.directions(case, "float32")
    H = js.hessian(W, cases.problem(case, "float32"))
    with pytest.raises(ValueError, match="V: shape"):
        H @ np.zeros((case.D, case.C), np.float32)
    with pytest.raises(ValueError, match="V: shape"):
        H @ np.zeros(case.C * case.D + 1, np.float32)
    with pytest.raises(TypeError, match=r"V: .*float16"):
        H @ jnp.zeros(case.C * case.D, jnp.float16)
    for i, j in ((-1, 0), (0, case.C)):
        with pytest.raises(ValueError, match="class index"):
            H.block(i, j)


# C·D = 10, 15, 12, 16: with null directions, without, and with each regulariser.
SOLVES = (
    cases.Case("full-rank", 11, 3, 5),
    cases.Case("deficient", 9, 4, 6, intercept=True, deficient=True),
    cases.Case("l2-free-intercept", 9, 4, 3, intercept=True, alpha=0.5, deficient=True),
    cases.Case("l2-everywhere", 7, 4, 3, intercept=True, alpha=0.5, penalize_intercept=True, deficient=True),
    cases.Case("self", 9, 4, 3, intercept=True, gamma=0.7, deficient=True),
    cases.Case("wide", 3, 5, 4, targets="soft"),
)


def _pseudo_inverse(H: np.ndarray, dim: int) -> tuple[np.ndarray, float]:
    """H⁺ with the `dim` smallest eigenvalues as zeros, and cond(H|𝒦⊥)."""
    values, vectors = np.linalg.eigh(H)
    keep = vectors[:, dim:]
    return keep / values[dim:] @ keep.T, values[-1] / values[dim]


@pytest.mark.slow_cases("conjugate gradients-l2-everywhere", "cholesky-l2-everywhere", "cholesky-full-rank")
@pytest.mark.parametrize("case", fast(SOLVES, 0, 3), ids=str)
@pytest.mark.parametrize("branch", ["cholesky", "conjugate gradients"])
def test_solve_is_the_pseudo_inverse_on_the_complement_of_the_kernel(case, branch, monkeypatch):
    """S6, S21: H.solve(B) = H⁺ B, for B outside 𝒦⊥ too, and the answer lies in 𝒦⊥.

    A backward stable solve errs by a few n eps cond relative, and NumPy's pseudo-inverse by as much; conjugate
    gradients stop at a relative residual eps^(3/4), which the condition number amplifies.
    """
    if branch != "cholesky":
        monkeypatch.setattr(hessian, "DENSE_LIMIT", 0)
    W, B, _ = cases.directions(case, "float64")
    with jax.enable_x64(True):
        problem = cases.problem(case, "float64")
        data = cases.data(case, problem)
        H = js.hessian(W, problem)
        V = np.asarray(H.solve(B))
        V_known = np.asarray(H.solve(B, null_space=js.null_space(problem)))
    inverse, cond = _pseudo_inverse(twins.hessian(W, data), twins.kernel_dimension(data))
    exact = inverse @ B.reshape(-1)
    n, eps = B.size, twins.EPS64
    relative = 8 * n * eps * cond + (cond * eps**0.75 if branch != "cholesky" else 0)
    assert relative < 1e-5, "the problem is too badly conditioned to test anything"
    assert np.linalg.norm(V.reshape(-1) - exact) <= relative * np.linalg.norm(exact)
    np.testing.assert_array_equal(V, V_known)
    # Whatever the condition, the residual of conjugate gradients is below its tolerance, and rounding.
    dense = twins.hessian(W, data)
    wanted = dense @ exact
    left = np.linalg.norm(dense @ V.reshape(-1) - wanted)
    assert left <= eps**0.75 * np.linalg.norm(wanted) + 8 * n * eps * np.linalg.norm(dense, 2) * np.linalg.norm(exact)


@pytest.mark.slow_cases("float32-(0.125, 1.0, 8.0)")
@pytest.mark.parametrize(
    ("dtype", "units"), [("float32", (0.125, 1.0, 8.0)), ("float64", (2.0**-20, 1.0, 2.0**20))], ids=str
)
def test_solve_does_not_care_about_units_of_measurement(dtype, units):
    """S6: columns of X in other units, powers of two, change V by exactly those; the conditioning of H/units² is meant.

    Both answers are within a few n eps cond of the exact one, cond that of the problem in equal units.
    """
    case = cases.Case("units", 11, 3, 5)
    X, T, s = cases.arrays(case)
    W, B, _ = cases.directions(case, "float32")
    W, units = W / 8, np.array(units)
    with jax.enable_x64(dtype == "float64"):
        plain = js.Problem(X, T, sample_weight=s, dtype=dtype)
        scaled = js.Problem(X * units, T, sample_weight=s, dtype=dtype)
        B = np.asarray(js.center_classes(jnp.asarray(B, dtype)))
        V = np.asarray(js.hessian(W, plain).solve(B))
        V_scaled = np.asarray(js.hessian(W / units, scaled).solve(B * units)) * units
    _, cond = _pseudo_inverse(twins.hessian(W, twins.data_of(plain)), case.D)
    allowed = 16 * B.size * float(np.finfo(dtype).eps) * cond
    assert allowed < 0.02
    assert np.linalg.norm(V_scaled - V) <= allowed * np.linalg.norm(V)


@pytest.mark.slow
def test_solve_under_jit_needs_the_kernel_and_then_works():
    """S6: the kernel's dimension is a shape, so a traced problem needs it from outside; with it, the same answer."""
    case = SOLVES[1]
    W, B, _ = cases.directions(case, "float32")
    problem = cases.problem(case, "float32")
    kern = js.null_space(problem)
    W, B = jnp.asarray(W, "float32"), jnp.asarray(B, "float32")
    inside = jax.jit(lambda w, p, b: js.hessian(w, p).solve(b, null_space=kern))(W, problem, B)
    outside = js.hessian(W, problem).solve(B, null_space=kern)
    _, cond = _pseudo_inverse(twins.hessian(np.asarray(W, np.float64), cases.data(case, problem)), kern.dim)
    allowed = 16 * B.size * np.finfo(np.float32).eps * cond
    np.testing.assert_allclose(np.asarray(inside), np.asarray(outside), atol=allowed * float(jnp.max(jnp.abs(outside))))
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda w, p, b: js.hessian(w, p).solve(b))(W, problem, B)


def test_a_matrix_that_cannot_fit_is_refused_and_products_go_on(monkeypatch):
    """(C·D)² and C(C − 1)/2 · D(D + 1)/2 numbers: for C = 2 and D = 3, 36 and 6; under jit nothing is asked."""
    problem = js.Problem(np.eye(3, dtype="float32"), np.eye(2, dtype="float32")[[0, 1, 1]])
    H = js.hessian(np.zeros((2, 3)), problem)
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 4 * 42)
    assert H.to_dense().shape == (6, 6)
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 4 * 42 - 1)
    with pytest.raises(ValueError, match=r"^to_dense: the Hessian of 6 x 6 .* needs about .* are free; use .* H @ V"):
        H.to_dense()
    assert (H @ np.zeros((2, 3))).shape == (2, 3)
    assert jax.jit(lambda W: js.hessian(W, problem).to_dense())(H.W).shape == (6, 6)
