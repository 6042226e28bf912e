"""S5: arbitrary operators: planted negative curvature is witnessed, dense and matrix-free; bad input is named."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.evidence.spectrum.any_operator import _Counted, _require_symmetric
from jaxsoftmax.evidence.spectrum.matrix_free import _members
from jaxsoftmax.evidence.spectrum.preconditioner import class_block_preconditioner

RNG = np.random.default_rng(99)
EPS = float(np.finfo(float).eps)
# Half of the hundred here; benchmarks/spectrum.py plants all of them.
SIZES = 10.0 ** -np.linspace(2, 6, 25)


def with_spectrum(values):
    Q = np.linalg.qr(RNG.normal(size=(len(values),) * 2))[0]
    M = (Q * values) @ Q.T
    return (M + M.T) / 2, Q


@pytest.mark.parametrize("dense_limit", fast([1000, 1], 1), ids=["dense", "matrix-free"])
def test_planted_negative_eigenvalues_are_refuted_with_a_witness(dense_limit):
    """S5: H − (λ_i + δλ_max) v_i v_iᵀ, δ = 1e-2 … 1e-6, H the Hessian of a problem: one negative eigenvalue."""
    X = RNG.normal(size=(30, 4)) * [1.0, 0.1, 10.0, 1.0]
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, np.arange(30) % 3)
        W = RNG.normal(size=(3, 5)) * 0.3
        H = js.hessian(W, problem)
        kern = js.null_space(problem)
        dense = np.asarray(H.to_dense())
        precondition = class_block_preconditioner(H, kern)
    basis = kern.basis()
    values, vectors = np.linalg.eigh(dense)
    for i, relative in enumerate(SIZES):
        j = kern.dim + i % (len(values) - kern.dim)
        v, planted = vectors[:, j], values[j] + relative * values[-1]

        def matvec(u, v=v, planted=planted):
            return dense @ u - planted * v * (v @ u)

        report = js.probe_operator(
            matvec, 15, kernel_basis=basis, dense_limit=dense_limit,
            precondition=lambda r: precondition(r[:, None])[:, 0],
        )  # fmt: skip
        assert report.verdict.value == "REFUTED"
        # The eigenvalue itself: -δλ_max, but for λ_max too when that was the one displaced.
        assert report.lambda_min == pytest.approx(-relative * values[-1], rel=1e-3)
        assert report.witness @ matvec(report.witness) < 0


@pytest.mark.parametrize("dense_limit", [1000, 1], ids=["dense", "matrix-free"])
def test_synthetic_spectra_up_to_a_condition_of_1e10(dense_limit):
    """λ_min within 1 % without any preconditioner: eps·n·1e10 is 2e-4 of it."""
    for condition in (1e2, 1e10):
        A, _ = with_spectrum(np.geomspace(1 / condition, 1, 80))
        report = js.probe_operator(lambda v, A=A: A @ v, 80, dense_limit=dense_limit)
        assert report.verdict.value == "CONSISTENT"
        assert report.lambda_min == pytest.approx(1 / condition, rel=1e-2)
        assert report.lambda_max == pytest.approx(1, rel=1e-8)
        assert report.kernel_dim == 0


@pytest.mark.parametrize("dense_limit", [1000, 1], ids=["dense", "matrix-free"])
def test_a_negative_curvature_below_the_resolution_refutes_nothing(dense_limit):
    """S5: −10⁻¹⁷ beside eigenvalues of 1 to 2 is what rounding makes of a kernel that was not announced."""
    values = np.concatenate([[-1e-17], np.linspace(1, 2, 20)])
    report = js.probe_operator(lambda v: values * v, 21, dense_limit=dense_limit)
    assert (report.verdict.value, report.witness) == ("UNRESOLVED", None)
    assert not report.resolved


@pytest.mark.parametrize("dense_limit", [1000, 1], ids=["dense", "matrix-free"])
def test_the_resolution_is_relative_to_the_largest_magnitude(dense_limit):
    """S5: products wrong by 10⁻³ of the norm, 100, which a negative eigenvalue has: 0.1, not 10⁻³ of the largest, 2."""
    values = np.concatenate([[-100.0], np.linspace(1, 2, 20)])
    report = js.probe_operator(lambda v: values * v, 21, dense_limit=dense_limit, product_error=1e-3)
    assert report.resolution == pytest.approx(0.1, rel=1e-9)
    assert report.verdict.value == "REFUTED"
    rounded = js.probe_operator(lambda v: values * v, 21, dense_limit=dense_limit)
    assert rounded.resolution == pytest.approx(EPS * (16 + 21**0.5) * 100, rel=1e-9, abs=0)


def test_a_member_of_the_kernel_may_have_the_rounding_of_the_norm():
    """S6: products wrong by 10⁻⁶ of 200: 5·10⁻⁵ along the kernel is no curvature; ±1 beside 0.1 are."""
    values = np.concatenate([[5e-5], np.linspace(100, 200, 20)])
    report = js.probe_operator(
        lambda v: values * v, 21, kernel_basis=np.eye(21)[:, :1], dense_limit=1, product_error=1e-6
    )
    assert (report.verdict.value, report.kernel_dim) == ("CONSISTENT", 1)
    forms = np.array([-1.0, 0.05, 1.0])
    found = _members(SimpleNamespace(members=np.eye(3), member_noise=np.full(3, 0.1), form=lambda v: forms @ v))
    assert (found.tried, found.lost, found.lowest) == (3, 2, -1.0) and found.witness.tolist() == [1, 0, 0]


def test_an_asymmetry_shows_beyond_the_rounding_of_two_products():
    """⟨u, Av⟩ = 1 + d against ⟨v, Au⟩ = 1: n = 4 entries of products wrong by r of their norms, √4 r (1 + d + 1)."""
    u, v, r = np.eye(4)[0], np.eye(4)[1], 1e-6
    rng = SimpleNamespace(standard_normal=lambda shape: np.stack([u, v]))

    def asked(d):
        A = np.array([[0.0, 1 + d, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        _require_symmetric(_Counted(lambda w: A @ w, 4), rng, r)

    asked(3.9 * r)
    with pytest.raises(ValueError, match="not symmetric"):
        asked(4.1 * r)


@pytest.mark.parametrize("dense_limit", [1000, 1], ids=["dense", "matrix-free"])
def test_kernels_given_rightly_and_wrongly(dense_limit):
    """S6's question for any operator: the given kernel, one too small, one too large, and curvature inside it."""
    A, Q = with_spectrum(np.concatenate([[0, 0], np.linspace(1, 2, 20)]))
    negative = A - 1e-3 * np.outer(Q[:, 0], Q[:, 0])

    def probe(M, k):
        return js.probe_operator(lambda v: M @ v, 22, kernel_basis=Q[:, :k] if k else None, dense_limit=dense_limit)

    right = probe(A, 2)
    assert (right.verdict.value, right.kernel_dim) == ("CONSISTENT", 2)
    small, large = probe(A, 1), probe(A, 3)
    assert small.verdict.value == large.verdict.value == "UNRESOLVED"
    assert small.kernel_dim == 2
    assert large.kernel_dim < 3
    inside = probe(negative, 2)
    assert inside.verdict.value == "REFUTED"
    assert inside.witness @ negative @ inside.witness < 0


def test_jax_operators_and_float32_have_their_own_resolution():
    """A JAX function of float32 weights: the resolution is float32's, and it says so; 1e-9 is not resolved then."""
    A, _ = with_spectrum(np.concatenate([[1e-9], np.linspace(1, 2, 11)]))
    low = js.probe_operator(lambda v: jnp.asarray(A, "float32") @ jnp.asarray(v, "float32"), 12)
    assert low.dtype == "float32"
    assert low.verdict.value == "UNRESOLVED"
    high = js.probe_operator(lambda v: jnp.asarray(A) @ v, 12)
    assert high.dtype == "float64"
    assert high.verdict.value == "CONSISTENT"
    hessian = js.probe_operator(lambda v: jax.jvp(jax.grad(lambda w: jnp.sum(jnp.cosh(w))), (v * 0,), (v,))[1], 5)
    assert hessian.lambda_min == pytest.approx(1, rel=1e-12)


def test_operators_that_are_not_symmetric_are_named():
    """⟨u, Av⟩ against ⟨v, Au⟩: an asymmetry of 1e-6 shows; a transposed block is typical."""
    A, _ = with_spectrum(np.linspace(1, 2, 30))
    skew = A.copy()
    skew[3, 17] += 1e-6
    for M in (skew, np.triu(A)):
        with pytest.raises(ValueError, match=r"matvec: the operator is not symmetric: <u, Av> = .* but <v, Au>"):
            js.probe_operator(lambda v, M=M: M @ v, 30)


def test_bad_input_is_named():
    def fine(v):
        return v

    with pytest.raises(TypeError, match=r"matvec: got 3, an int"):
        js.probe_operator(3, 4)
    with pytest.raises(ValueError, match=r"size: got 0"):
        js.probe_operator(fine, 0)
    with pytest.raises(ValueError, match=r"matvec: returned shape \(3,\), expected \(4,\)"):
        js.probe_operator(lambda v: v[:3], 4)
    with pytest.raises(ValueError, match=r"entry 2 of A v is not finite"):
        js.probe_operator(lambda v: np.where(np.arange(4) == 2, np.nan, v), 4)
    with pytest.raises(TypeError, match=r"matvec: returned .*complex"):
        js.probe_operator(lambda v: v * 1j, 4)
    with pytest.raises(ValueError, match=r"kernel_basis: shape \(3, 1\)"):
        js.probe_operator(fine, 4, kernel_basis=np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"kernel_basis: its columns are dependent"):
        js.probe_operator(fine, 4, kernel_basis=np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"kernel_basis: its columns are dependent"):
        js.probe_operator(fine, 4, kernel_basis=np.ones((4, 2)) + 2 * EPS * np.eye(4)[:, :2])
    with pytest.raises(TypeError, match=r"key: got"):
        js.probe_operator(fine, 4, key="zero")
    with pytest.raises(ValueError, match=r"product_error: got -1"):
        js.probe_operator(fine, 4, product_error=-1.0)
    with pytest.raises(TypeError, match=r"precondition: got"):
        js.probe_operator(fine, 4, precondition=np.eye(4))


@pytest.mark.parametrize(("smallest", "resolved"), [(1e-8, False), (1e-3, True)])
def test_an_eigenvalue_within_the_error_of_products_is_not_resolved(smallest, resolved):
    """S5: products that err by 10⁻⁶ of λ_max = 2 tell no eigenvalue below 2·10⁻⁶ from 0, positive or not."""
    d = np.array([smallest, 1.0, 2.0])
    report = js.probe_operator(lambda v: d * v, 3, product_error=1e-6)
    assert report.resolved is resolved
    assert report.resolution == pytest.approx(2e-6, rel=1e-12)
