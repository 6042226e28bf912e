"""S5, S6, S7: the matrix-free probe against dense eigenvalues, its kernel, its density and its lines."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.evidence.spectrum import midpoints as line_probes
from jaxsoftmax.evidence.spectrum.density import density_of_chains, density_of_values
from jaxsoftmax.evidence.spectrum.matrix_free import probe_matrix_free
from jaxsoftmax.evidence.spectrum.problem_operator import (
    CountedHessian,
    _member_noise,
    random_members,
    resolution_from,
)
from jaxsoftmax.linalg.lanczos import lanczos

RNG = np.random.default_rng(31)
X = np.round(RNG.normal(size=(40, 4)) * 1024) / 1024  # combinations with dyadic factors are exact
DEFICIENT = np.column_stack([X[:, :3], X[:, :3] @ [1.0, -2.0, 0.5]])
EPS = float(np.finfo(float).eps)
LABELS = np.arange(40) % 3
WEIGHTS = RNG.normal(size=(3, 5))


def made(data=X, regularizer=None, **more):
    return js.Problem.from_labels(data, LABELS, regularizer=regularizer, **more)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "regularizer"),
    [
        (X, None),
        (DEFICIENT, None),
        pytest.param(DEFICIENT, js.L2(0.3), marks=pytest.mark.slow),
        pytest.param(DEFICIENT, js.SelfRegularizer(1.5), marks=pytest.mark.slow),
    ],
    ids=["full", "deficient", "L2", "self"],
)
def test_both_methods_find_the_same_spectrum(data, regularizer):
    """S5, S6, S7, S21: extreme eigenvalues, kernel, verdict and bounds; λ_min to the iteration's own 1e-4."""
    with jax.enable_x64(True):
        problem = made(data, regularizer)
        dense, free = (js.probe_convexity(problem, WEIGHTS, method=m) for m in ("dense", "matrix-free"))
    assert (dense.method, free.method) == ("dense", "matrix-free")
    for report in (dense, free):
        assert report.verdict.value == "CONSISTENT"
        assert report.kernel_dim == report.kernel_dim_predicted
        assert 0 <= report.lambda_min_bound <= report.lambda_min * (1 + 1e-12)
        assert report.lambda_min_bound > 0 or isinstance(regularizer, js.L2)  # S21a: a free intercept needs full rank
        assert report.lambda_min_interval == (report.lambda_min_bound, report.lambda_min)
        assert report.residual_estimate == max(report.residual_min_estimate, report.residual_max_estimate)
        assert report.midpoint_excess_measured <= 1
        assert report.form_min_measured >= 0
        assert report.products > 0
    assert free.lambda_max == pytest.approx(dense.lambda_max, rel=1e-8)
    assert free.lambda_min == pytest.approx(dense.lambda_min, rel=1e-3)
    # The resolution of evidence/spectrum/probe.py: κ·eps·tr H for the products, the rest a few eps·λ_max.
    density = dense.spectral_density
    products = (16 + 8 * np.log2(3) + np.sqrt(40)) * EPS * density.moment(1) * len(density.nodes)
    for report in (dense, free):
        assert products * (1 - 1e-9) <= report.resolution <= products + 40 * EPS * dense.lambda_max
    assert free.lambda_min >= dense.lambda_min * (1 - 1e-9)  # a Rayleigh quotient of the same matrix


@pytest.mark.slow
def test_density_has_the_moments_of_the_eigenvalues():
    """Quadrature: mean and mean square within five standard errors; every node inside [0, Λ] (S7a)."""
    with jax.enable_x64(True):
        problem = made()
        dense, free = (js.probe_convexity(problem, WEIGHTS, method=m) for m in ("dense", "matrix-free"))
    exact, found = dense.spectral_density, free.spectral_density
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert found.nodes.min() >= 0
    assert found.nodes.max() <= free.lambda_max_bound
    for power in (1, 2):
        mean, square = exact.moment(power), exact.moment(2 * power)
        # Var of vᵀHᵖv/‖v‖² for a random v in d dimensions is 2 (mean of squares − mean²)/(d + 2); 8 chains.
        error = np.sqrt(2 * (square - mean**2) / (len(exact.nodes) + 2) / 8)
        assert abs(found.moment(power) - mean) <= 5 * error
    step = np.diff(np.log10(found.grid))[0]
    assert found.density.sum() * step == pytest.approx(1, abs=0.02)  # three widths of tails on each side
    median = np.sort(exact.nodes)[len(exact.nodes) // 2]
    assert abs(found.mass_below(median * 1.001) - exact.mass_below(median * 1.001)) < 0.35


@pytest.mark.slow
def test_like_scales_resolve_what_units_hide():
    """S6, Sylvester: units over 2^40 put λ_min far below eps·Λ; scaled features decide, and λ_min keeps its digits."""
    units = 2.0 ** np.array([14, 0, -26, 0])
    with jax.enable_x64(True):
        problem = made(X * units)
        W = np.zeros((3, 5))
        report = js.probe_convexity(problem, W, method="matrix-free")
        # The truth in the same units, from a matrix of moderate condition: 1/λ_max of the inverse, scaled exactly.
        scale = np.append(units, 1.0)
        plain = np.asarray(js.hessian(W, made()).to_dense())
        Q = np.kron(js.helmert(3), np.eye(5))
        inverse = np.linalg.inv(Q @ plain @ Q.T) / np.tile(scale, 2)[:, None] / np.tile(scale, 2)
    exact = 1 / np.linalg.eigvalsh((inverse + inverse.T) / 2)[-1]
    assert report.lambda_min < 1e-20 * report.lambda_max
    assert report.verdict.value == "CONSISTENT"
    assert "like scale" in report.reason
    assert report.kernel_dim == report.kernel_dim_predicted
    assert report.lambda_min == pytest.approx(exact, rel=1e-2)
    assert 0 < report.lambda_min_bound <= exact


@pytest.mark.slow
def test_a_run_away_point_is_unresolved_matrix_free_too():
    """S6: far out on separated data no scaling resolves the smallest eigenvalue, and nothing is claimed."""
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, np.digitize(X[:, 0], [-0.4, 0.4]))
        report = js.probe_convexity(problem, js.fit(problem, "newton").W * 100, method="matrix-free")
    assert report.verdict.value == "UNRESOLVED"
    assert report.witness is None
    assert report.lambda_min_interval is None
    assert report.to_dict()["lambda_min_interval"] == "unresolved"
    assert "unresolved" in repr(report)


@pytest.mark.slow
def test_float32_says_what_it_resolves():
    """Section 7.5: computed in float32 the same problem has float32's resolution, and agrees to it."""
    problem = made(dtype="float32")
    W = WEIGHTS.astype(np.float32)
    for method in ("dense", "matrix-free"):
        wide = js.probe_convexity(problem, W, method=method)
        narrow = js.probe_convexity(problem, W, method=method, dtype="float32")
        assert (wide.dtype, narrow.dtype) == ("float64", "float32")
        assert narrow.resolution > 1e6 * wide.resolution
        assert narrow.verdict.value == "CONSISTENT"
        assert narrow.lambda_max == pytest.approx(wide.lambda_max, abs=narrow.resolution)
        assert narrow.lambda_min == pytest.approx(wide.lambda_min, abs=narrow.resolution)
        assert "count as 0 in float32" in repr(narrow)


@pytest.mark.slow
def test_no_curvature_off_the_kernel():
    """S6: one sample; 𝒦⊥ is one-dimensional for two classes. And X = 0: H = 0, 𝒦⊥ = {0}."""
    with jax.enable_x64(True):
        one = js.Problem(np.array([[2.0, 1.0, 0.0]]), np.array([[0.5, 0.5]]))
        report = js.probe_convexity(one, np.zeros((2, 3)), method="matrix-free")
        assert report.kernel_dim == report.kernel_dim_predicted == 5
        assert report.lambda_min == pytest.approx(report.lambda_max, rel=1e-12)
        assert report.lambda_max == pytest.approx(2.5, rel=1e-12)  # 2 y₁ y₂ ‖x‖² (S7d)
        nothing = js.Problem(np.zeros((2, 2)), np.full((2, 2), 0.5))
        report = js.probe_convexity(nothing, np.zeros((2, 2)), method="matrix-free")
    assert report.verdict.value == "CONSISTENT"
    assert np.isnan(report.lambda_min)
    assert report.kernel_dim == 4


@pytest.mark.slow
def test_midpoints_refute_a_loss_that_is_not_convex(monkeypatch):
    """S5: −L is concave: every midpoint lies above its chord, by far more than rounding; the witness is the line."""
    with jax.enable_x64(True):
        problem = made()
        true_loss = line_probes.loss
        monkeypatch.setattr(line_probes, "loss", lambda W, p: -true_loss(W, p))
        report = js.probe_convexity(problem, WEIGHTS, method="dense")
        assert report.verdict.value == "REFUTED"
        assert report.midpoint_excess_measured > 1e3
        assert report.witness.shape == (3, 5)
        monkeypatch.setattr(line_probes, "loss", true_loss)
        V = report.witness
        V = V / float(js.max_logit_range(problem, V))
        ends = [float(js.loss(WEIGHTS + t * V, problem)) for t in (-1, 0, 1)]
    assert -ends[1] > (-ends[0] - ends[2]) / 2


def test_the_resolution_counts_products_vectors_and_conversions():
    """evidence/spectrum/problem_operator.py: eps κ ‖B‖ + (8 √n eps₆₄ + 2 eps) λ_max, n = 16."""
    eps = 2.0**-23
    assert resolution_from(eps, 20.0, 3.0, 16, 0.0) == 60 * eps
    assert resolution_from(eps, 20.0, 0.0, 16, 5.0) == 160 * EPS + 10 * eps


def test_a_direction_that_counts_as_null_may_have_the_curvature_that_the_tolerance_leaves():
    """S6: the null vector of (a, b, a) in data (a, b, a + δc) whose smallest singular value the tolerance covers."""
    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=(3, 50))
    T = np.full((50, 3), 1 / 3)
    with jax.enable_x64(True):
        kern = js.null_space(js.Problem(np.column_stack([a, b, a]), T))
        near = np.column_stack([a, b, a + 1e-6 * c])
        problem = js.Problem(near, T)
        fine = np.exp2(np.floor(np.log2(np.linalg.norm(near, axis=0))))
        kern = dataclasses.replace(kern, tolerance=1.01 * np.linalg.svd(near / fine)[1][-1])
        members = random_members(kern, 3, rng)
        scale = np.asarray(feature_scale(problem), np.float64)
        noise = _member_noise(problem, kern, members, scale)
        exact = _member_noise(problem, dataclasses.replace(kern, tolerance=0.0), members, scale)
        counted = CountedHessian(np.zeros((3, 3)), problem)
        forms = np.array([counted.form(member) for member in members.T])
    assert (forms <= noise).all() and (forms > exact).any()


def test_the_sizes_of_columns_are_weighted():
    """a_d = Σ_n s_n |x_nd| + |γ| (the allowance in evidence/spectrum/midpoints.py)."""
    data, s = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32), np.array([10, 0.5], np.float32)
    problem = js.Problem(data, np.eye(2, dtype=np.float32), sample_weight=s)
    assert line_probes._column_sizes(problem).tolist() == [11.5, 22.0]
    own = problem.replace(regularizer=js.SelfRegularizer(-3.0) + js.SelfRegularizer(0.5))
    assert line_probes._column_sizes(own).tolist() == [15.0, 25.5]


@pytest.mark.parametrize("losses", [(0.0, 0.0, 1.0), (5.0, 3.0, 4.5)])
def test_a_midpoint_is_measured_in_units_of_its_allowance(monkeypatch, losses):
    """S1, S5: ½(r_A + r_B) + r_M, r = eps (8 + √N) L + 2 (D + 2) eps Σ_d a_d max_c|w_cd|, written out here."""
    with jax.enable_x64(True):
        problem = js.Problem(np.array([[1.0, -2.0], [3.0, 4.0]]), np.eye(2), sample_weight=np.array([10, 0.5]))
        W, V = np.array([[1.0, 2.0], [-3.0, 0.5]]), np.array([[0.25, 0.0], [0.0, -0.5]])
        spread = float(js.max_logit_range(problem, V))
        given = iter(losses)
        monkeypatch.setattr(line_probes, "loss", lambda w, p: next(given))
        monkeypatch.setattr(line_probes, "REACHES", (1.0,))
        found = line_probes.probe_midpoints(problem, W, [V])

    def rounding(at, value):
        return EPS * (8 + 2**0.5) * value + 2 * 4 * EPS * float(np.array([11.5, 22.0]) @ np.abs(at).max(axis=0))

    A, B = W + V / spread, W - V / spread
    allowed = (rounding(A, losses[0]) + rounding(B, losses[1])) / 2 + rounding(W, losses[2])
    assert found.midpoint_excess == pytest.approx((losses[2] - (losses[0] + losses[1]) / 2) / allowed, rel=1e-9)


@pytest.mark.slow
def test_same_key_same_report_and_progress_is_told():
    lines = []
    problem = made(dtype="float32")
    first, second, other = (
        js.probe_convexity(problem, WEIGHTS, method="matrix-free", key=jax.random.key(seed), progress=lines.append)
        for seed in (5, 5, 6)
    )
    assert first.to_dict() | {"seconds": 0} == second.to_dict() | {"seconds": 0}
    assert first.residual_min_estimate != other.residual_min_estimate
    assert any("Lanczos" in line for line in lines)
    assert json.loads(json.dumps(first.to_dict()))["method"] == "matrix-free"
    leaves, tree = jax.tree.flatten(first)
    assert repr(jax.tree.unflatten(tree, leaves)) == repr(first)


def test_an_interrupt_passes_through():
    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        js.probe_convexity(made(), np.zeros((3, 5)), method="matrix-free", progress=stop)


def test_bad_options_are_named():
    problem, W = made(), np.zeros((3, 5))
    with pytest.raises(ValueError, match=r"method: got 'lanczos'; give one of .auto., .dense., .matrix-free."):
        js.probe_convexity(problem, W, method="lanczos")
    with pytest.raises(ValueError, match=r"dtype: got 'bfloat16'"):
        js.probe_convexity(problem, W, dtype="bfloat16")
    with pytest.raises(TypeError, match=r"key: got 3, an int; give one JAX random key"):
        js.probe_convexity(problem, W, key=3)
    with pytest.raises(TypeError, match=r"problem: got"):
        js.probe_convexity(W, problem)


@pytest.mark.gpu
@pytest.mark.skipif(jax.default_backend() != "gpu", reason="no GPU here")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_on_a_gpu_the_two_methods_agree(dtype):
    """S5, S6: products on the device, vectors on the host."""
    with jax.enable_x64(True):
        problem = made(DEFICIENT)
        dense, free = (js.probe_convexity(problem, WEIGHTS, method=m, dtype=dtype) for m in ("dense", "matrix-free"))
    assert dense.verdict.value == free.verdict.value == "CONSISTENT"
    assert free.kernel_dim == free.kernel_dim_predicted
    assert free.lambda_min == pytest.approx(dense.lambda_min, rel=1e-3, abs=free.resolution)
    assert free.lambda_max == pytest.approx(dense.lambda_max, rel=1e-6)


def test_the_mass_below_an_eigenvalue_has_the_eigenvalue_in_it():
    """ "At most": two of the four eigenvalues are at most 1."""
    assert density_of_values(np.array([0.5, 1.0, 2.0, 4.0])).mass_below(1.0) == 0.5


def test_what_a_member_of_the_kernel_may_have_is_rounding_rank_and_penalty():
    """S6: (2 (D + κ) eps √(Σ s max_c (Σ|x v|)²) + 2 τ √(N max s/2) ‖v Σ‖)² + (8 C D eps)² Σ (α + α²), κ of probe.py."""
    x, s = np.array([[1.0, -2.0], [3.0, 0.5], [0.25, 4.0]], np.float32), np.array([2.0, 0.5, 1.0], np.float32)
    problem = js.Problem(x, np.full((3, 4), 0.25), sample_weight=s, regularizer=js.L2(0.5) + js.SelfRegularizer(-2.0))
    V, scale, eps = np.array([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5], [0.0, 0.25]]), np.array([2.0, 0.125]), 2.0**-23
    absolute = np.sqrt(s @ (abs(x) @ abs(V).T).max(axis=1) ** 2)
    kappa = 16 + 8 * 2 + 3**0.5
    rounding, penalty = 2 * (2 + kappa) * eps * absolute, (8 * 4 * 2 * eps) ** 2 * (0.5 + 0.25 + 2 + 4)
    for tolerance in (0.0, 1e-3):
        kern = SimpleNamespace(tolerance=tolerance)
        (found,) = _member_noise(problem, kern, V.reshape(-1, 1), scale)
        rank = 2 * tolerance * np.sqrt(3 * 2.0 / 2) * np.linalg.norm(V * scale)
        assert found == pytest.approx((rounding + rank) ** 2 + penalty, rel=1e-6, abs=0)  # `absolute` is a float32


def test_members_of_the_kernel_are_a_shift_of_all_classes_and_null_vectors_that_sum_to_0():
    """S6: 1 ⊗ g for g of the row space, z_c ⊗ n with Σ_c z_c = 0 for n of the null space; of length 1."""
    kern = SimpleNamespace(gauge=np.eye(3)[:, :1], null=np.eye(3)[:, 1:2], dim=3)
    members = random_members(kern, 4, np.random.default_rng(0), 5).T.reshape(5, 4, 3)
    for V in members:
        assert (V[:, 0] == V[0, 0]).all() and V[0, 0] != 0 and (V[:, 2] == 0).all()
        assert abs(V[:, 1].sum()) <= 4 * EPS and abs(V[:, 1]).min() > 0
        assert np.linalg.norm(V) == pytest.approx(1, rel=1e-15)
    assert random_members(SimpleNamespace(gauge=np.zeros((3, 0)), null=np.zeros((3, 0)), dim=0), 4, None) is None


def test_the_density_is_that_of_weighted_nodes_under_bells():
    """Nodes ascend; 0.15 decades of a normal bell a node, weighted; below 0 no logarithm; chains are averaged."""
    values = np.array([4.0, -1.0, 1.0, 100.0])
    found = density_of_values(values)
    np.testing.assert_array_equal(found.nodes, np.sort(values))
    np.testing.assert_array_equal(found.weights, 0.25)
    assert (found.moment(1), found.moment(2), found.mass_below(2.0)) == (26.0, (16 + 1 + 1 + 1e4) / 4, 0.5)
    np.testing.assert_allclose(found.grid[[0, -1]], [10**-0.45, 10**2.45], rtol=1e-12)
    bells = [np.exp(-0.5 * ((np.log10(found.grid) - np.log10(v)) / 0.15) ** 2) for v in (1.0, 4.0, 100.0)]
    np.testing.assert_allclose(found.density, sum(bells) / 4 / (0.15 * np.sqrt(2 * np.pi)), rtol=1e-12)
    assert density_of_values(-values[:1]).density.shape == (0,) and density_of_values(values[:0]) is None
    A, start = np.array([1.0, 3.0]), np.array([[1.0, 1.0], [1.0, 0.0]])
    chains = density_of_chains(lanczos(lambda V: A[:, None] * V, start, 2))
    # The first chain, of (1, 1), has both eigenvalues with the weight 1/2; the second, of (1, 0), the first alone.
    assert (chains.mass_below(2.0), chains.weights.sum()) == (pytest.approx(0.75), pytest.approx(1.0))


@pytest.mark.parametrize(
    ("forms", "verdict", "dim", "top"),
    [
        (None, "CONSISTENT", 3, 0.0),
        ([0.05], "CONSISTENT", 3, 0.0),
        ([0.5], "UNRESOLVED", 2, 0.5),
        ([-0.5], "REFUTED", 2, 0.5),
    ],
)
def test_where_the_kernel_is_everything_its_members_decide(forms, verdict, dim, top):
    """S5, S6: no direction is left for an eigenvalue; no member of a zero matrix has a form beyond its noise, 0.1."""
    members = None if forms is None else np.eye(3)[:, :1]
    operator = SimpleNamespace(
        size=3, kernel_dim=3, members=members, member_noise=np.full(1, 0.1), form=lambda v: forms[0],
        resolution=lambda top: 2 * top,
    )  # fmt: skip
    found = probe_matrix_free(operator, np.random.default_rng(0), lambda line: None)
    assert (found.verdict.value, found.kernel_dim, found.lambda_max, found.resolution) == (verdict, dim, top, 2 * top)
    assert (found.witness is not None) is (verdict == "REFUTED")
