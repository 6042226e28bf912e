"""The convexity probe: spectrum, kernel and bounds of H (S5, S6, S7), and planted matrices that must be refuted."""

import json

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.evidence.spectrum.dense import judge_symmetric, resolution_of
from jaxsoftmax.evidence.spectrum.report import Convexity
from jaxsoftmax.support import memory

RNG = np.random.default_rng(20245)
X = RNG.normal(size=(20, 3))
DEFICIENT = np.column_stack([X[:, :2], X[:, :2] @ [1.0, -2.0]])
MIXED = np.arange(20) % 3
EPS = float(np.finfo(float).eps)


def planted(values, n=12):
    """A symmetric matrix with the given eigenvalues (padded by values between 1 and 2) and random eigenvectors."""
    Q = np.linalg.qr(RNG.normal(size=(n, n)))[0]
    spectrum = np.concatenate([values, RNG.uniform(1, 2, size=n - len(values))])
    M = (Q * spectrum) @ Q.T
    return (M + M.T) / 2, Q


def resolution(M):
    return resolution_of(M, samples=20, classes=3)


@pytest.mark.parametrize("negative", 10.0 ** -np.linspace(2, 6, 25))
def test_planted_negative_eigenvalue_is_refuted_with_a_witness(negative):
    """S5: one eigenvalue of relative size -1e-2 … -1e-6, four matrices a size, with and without a predicted kernel."""
    for kernel in (0, 0, 2, 2):
        M, Q = planted(np.concatenate([np.zeros(kernel), [-negative]]))
        complement = Q[:, kernel:] if kernel else None
        found = judge_symmetric(M, resolution=resolution(M), complement=complement, kernel_dim_predicted=kernel)
        assert found.verdict is Convexity.REFUTED
        assert found.witness @ M @ found.witness < 0
        assert found.lambda_min == pytest.approx(-negative, rel=1e-6)


def test_negative_curvature_inside_the_predicted_kernel_is_refuted_too():
    """S5 speaks of every direction, those of the predicted kernel included."""
    M, Q = planted([-1e-3, 0.0])
    found = judge_symmetric(M, resolution=resolution(M), complement=Q[:, 2:], kernel_dim_predicted=2)
    assert found.verdict is Convexity.REFUTED
    assert found.lambda_min >= 1 - 1e-9
    assert found.witness @ M @ found.witness < 0


def test_planted_kernels():
    """S6: the right dimension is CONSISTENT, another one UNRESOLVED, and so is an eigenvalue below the resolution."""
    M, Q = planted([0.0, 0.0, 1e-6])
    rule = {"resolution": resolution(M)}
    right = judge_symmetric(M, complement=Q[:, 2:], kernel_dim_predicted=2, **rule)
    assert right.verdict is Convexity.CONSISTENT
    assert right.kernel_dim == 2
    assert right.lambda_min == pytest.approx(1e-6, rel=1e-6)
    assert judge_symmetric(M, complement=Q[:, 1:], kernel_dim_predicted=1, **rule).verdict is Convexity.UNRESOLVED
    assert judge_symmetric(M, complement=Q[:, 3:], kernel_dim_predicted=3, **rule).verdict is Convexity.UNRESOLVED
    tiny, Q = planted([0.0, 1e-17])
    assert judge_symmetric(tiny, complement=Q[:, 1:], kernel_dim_predicted=1, **rule).verdict is Convexity.UNRESOLVED


@pytest.mark.parametrize(("counted", "predicted"), [((1.0, 1e-20), 0), ((1.0, 1.0), 1), ((1e-20, -1e-20), 1)])
def test_a_kernel_of_another_dimension_than_predicted_is_unresolved(counted, predicted):
    """S6: more zeros than predicted say as little as fewer; they are counted in the matrix given for it."""
    options = {"counting": np.diag(counted), "counting_resolution": 1e-15, "kernel_dim_predicted": predicted}
    found = judge_symmetric(np.eye(2), resolution=1e-15, complement=np.eye(2)[:, predicted:], **options)
    assert found.verdict is Convexity.UNRESOLVED
    assert found.kernel_dim == sum(abs(value) < 1e-15 for value in counted)


def test_what_counts_as_zero_is_the_resolution_itself():
    """S5, S6: at the resolution an eigenvalue is 0, a little above it is not; below minus it S5 is refuted."""
    for value, verdict in ((1.0, "UNRESOLVED"), (1.001, "CONSISTENT"), (-1.0, "UNRESOLVED"), (-1.001, "REFUTED")):
        # The kernel is counted elsewhere, where none is found.
        counting = {"counting": np.eye(2), "counting_resolution": 0.5}
        found = judge_symmetric(np.diag([1.0, value * 2.0**-20]), resolution=2.0**-20, **counting)
        assert found.verdict.value == verdict


def test_the_resolution_is_the_derived_one():
    """evidence/spectrum/probe.py: eps κ tr|M| + eps₆₄ n ‖M‖_F, κ = 16 + 8 log₂C + √N, eps that of the products."""
    M = np.diag([3.0, -4.0])
    for eps in (EPS, 2.0**-23):
        found = resolution_of(M, samples=25, classes=4, eps=eps)
        assert found == pytest.approx(eps * (16 + 16 + 5) * 7 + EPS * 2 * 5, rel=1e-12, abs=0)


def test_a_witness_needs_the_second_route():
    """A negative eigenvalue of the dense matrix that the matrix-free form does not confirm is no refutation."""
    M, _ = planted([-0.1])
    found = judge_symmetric(M, resolution=resolution(M), quadratic=lambda v: 1.0)
    assert found.verdict is Convexity.UNRESOLVED
    assert "disagree" in found.reason


UNITS = DEFICIENT * [2.0**20, 1, 2.0**-12]


@pytest.mark.slow_cases(
    "data7-regularizer7",
    "data4-regularizer4",
    "data5-regularizer5",
    "data1-regularizer1",
    "data2-regularizer2",
)
@pytest.mark.parametrize(
    ("data", "regularizer"),
    [(data, penalty) for data in (X, DEFICIENT) for penalty in (None, js.L2(0.3), js.SelfRegularizer(1.5))]
    # Not L2 here: its 0.3 on the gauge directions is 1e-14 of the largest eigenvalue, which float64 cannot tell from 0.
    + [(UNITS, None), (UNITS, js.SelfRegularizer(1.5))],
)
def test_spectrum_kernel_and_bounds(data, regularizer):
    """S5, S6, S7, S21: verdict, kernel as predicted (units notwithstanding), eigenvalues inside the rigorous bounds."""
    with jax.enable_x64(True):
        problem = js.Problem(data, np.eye(3)[MIXED], regularizer=regularizer)
        W = RNG.normal(size=(3, 3)) / np.abs(data).max(axis=0)
        report = js.probe_convexity(problem, W)
        H = np.asarray(js.hessian(W, problem).to_dense())
        predicted = js.null_space(problem).dim
    values = np.linalg.eigvalsh(H)
    assert report.kernel_dim == report.kernel_dim_predicted == predicted
    assert report.lambda_max == pytest.approx(values[-1], rel=1e-12)
    assert report.lambda_max <= report.lambda_max_bound
    assert report.residual_estimate <= report.resolution
    if data is UNITS:
        return  # units spread over 2^32: the smallest eigenvalue itself may be below what float64 resolves
    assert report.verdict is Convexity.CONSISTENT
    assert report.lambda_min == pytest.approx(values[predicted], abs=2 * report.resolution)
    assert 0 <= report.lambda_min_bound <= report.lambda_min + report.resolution
    assert report.condition_estimate <= report.condition_bound * (1 + 1e-9)


def test_float32_problem_is_probed_in_float64():
    """section 7.5: the stored float32 numbers, widened exactly; the x64 switch is as before afterwards."""
    problem = js.Problem(X.astype(np.float32), np.eye(3, dtype=np.float32)[MIXED])
    W = RNG.normal(size=(3, 3)).astype(np.float32)
    report = js.probe_convexity(problem, W)
    with jax.enable_x64(True):
        wide = js.Problem(X.astype(np.float32).astype(float), np.eye(3)[MIXED])
        again = js.probe_convexity(wide, W.astype(float))
    assert report.verdict is Convexity.CONSISTENT
    assert report.lambda_min == pytest.approx(again.lambda_min, abs=2 * report.resolution)
    assert np.asarray(jax.numpy.zeros(1)).dtype == np.float32


@pytest.mark.slow
def test_a_run_away_point_is_unresolved_not_refuted():
    """S6: far out on separated data the smallest eigenvalue is positive but below what float64 resolves."""
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, np.digitize(X[:, 0], [-0.4, 0.4]))
        report = js.probe_convexity(problem, js.fit(problem, "newton").W * 100)
    assert report.verdict is Convexity.UNRESOLVED
    assert report.witness is None


@pytest.mark.slow
def test_report_is_json_ready_and_readable():
    problem = js.Problem.from_labels(X, MIXED)
    report = js.probe_convexity(problem, np.zeros((3, 4)))
    out = json.loads(json.dumps(report.to_dict()))
    wanted = {"verdict", "lambda_min", "lambda_max", "lambda_min_bound", "lambda_max_bound", "kernel_dim"}
    assert wanted | {"kernel_dim_predicted", "rank", "condition_estimate", "residual_estimate", "witness"} <= set(out)
    assert out["verdict"] == "CONSISTENT"
    assert out["lambda_min_interval"] == [out["lambda_min_bound"], out["lambda_min"]]
    assert "dimension 4, 4 predicted from rank" in repr(report)
    leaves, tree = jax.tree.flatten(report)
    assert repr(jax.tree.unflatten(tree, leaves)) == repr(report)


def test_bad_input_is_named():
    problem = js.Problem.from_labels(X, MIXED)
    with pytest.raises(ValueError, match=r"W: entry \(1, 2\) is nan"):
        js.probe_convexity(problem, np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 0.0))
    with pytest.raises(ValueError, match=r"W: shape"):
        js.probe_convexity(problem, np.zeros((3, 3)))
    large = js.Problem(np.zeros((2, 1600), np.float32), np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match=r"C\*D = 2\*1600 = 3200 exceeds 3000"):
        js.probe_convexity(large, np.zeros((2, 1600)), method="dense")
    with pytest.raises(TypeError, match="traced"):
        jax.jit(lambda p: js.probe_convexity(p, np.zeros((3, 4))).lambda_max)(problem)


@pytest.mark.slow
def test_matrices_that_cannot_fit_are_not_made(monkeypatch):
    """C·D = 6: five matrices of 288 bytes; "auto" goes by products instead. X in float64 takes 64 bytes."""
    problem = js.Problem.from_labels(np.arange(4, dtype=np.float32)[:, None], [0, 1, 2, 1])
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 5 * 288)
    assert js.probe_convexity(problem, np.zeros((3, 2))).method == "dense"
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 5 * 288 - 1)
    assert js.probe_convexity(problem, np.zeros((3, 2))).method == "matrix-free"
    with pytest.raises(ValueError, match=r"^method: 'dense' with 6 x 6 matrices needs .* are free; give 'matrix-free'"):
        js.probe_convexity(problem, np.zeros((3, 2)), method="dense")
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 63)
    words = (
        r"^dtype: the copy of 4 samples and 2 columns in float64 needs .*; give the dtype 'float32', or .* at most 3 "
    )
    with pytest.raises(ValueError, match=words):
        js.probe_convexity(problem, np.zeros((3, 2)))
