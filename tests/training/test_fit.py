"""`fit`: honest endings on data with and without a minimiser (S9, S12, S13), validation, and the result object."""

import itertools
import json
import math
from fractions import Fraction
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest

import jaxsoftmax as js
from helpers.made_fit import made_fit
from helpers.methods import OWN_METHODS
from helpers.stages import fast
from jaxsoftmax.training import fit as fit_module
from jaxsoftmax.training.columns import working_columns
from jaxsoftmax.training.end_point import EndPoint
from jaxsoftmax.training.result import Status
from jaxsoftmax.training.result import whole as whole_fit
from jaxsoftmax.training.smallest_curvature import CurvatureEstimate

RNG = np.random.default_rng(20243)
X = RNG.normal(size=(20, 2))
MIXED = np.arange(20) % 3
SEPARATED = np.digitize(X[:, 0], [-0.4, 0.4])
NO_MINIMISER = (Status.DIVERGING, Status.STEP_LIMIT)
# Compilation is what a method costs: one by default, all of them among the slow tests.
QUICK = ("gd",)
EACH_METHOD = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in OWN_METHODS]
SGD = optax.sgd(0.01)
KEY = jax.random.key(3)


def claims_nothing(result):
    assert not result.converged
    assert "onverged" not in repr(result)
    assert json.dumps(result.to_dict())
    return True


@pytest.mark.slow_cases("float64-gd")
@pytest.mark.parametrize("method", EACH_METHOD)
@pytest.mark.parametrize("dtype", fast(["float32", "float64"], 1))
def test_complete_separation_never_ends_converged(x64, method, dtype):
    """S9, S12: every margin positive at W proves that no minimiser exists; the report says so in words."""
    result = js.fit(js.Problem.from_labels(X, SEPARATED, dtype=dtype), method, max_steps=2000)
    assert result.status is Status.DIVERGING
    assert claims_nothing(result)
    assert "every sample is already classified with a positive margin" in result.reason


@pytest.mark.slow
@pytest.mark.parametrize("method", fast(OWN_METHODS, OWN_METHODS.index("newton-cg")))
def test_quasi_complete_separation_never_ends_converged(x64, method):
    """S9: raw iris is quasi-completely separated: no margin certificate, but Newton's step stays long (S8)."""
    iris = js.datasets.load_iris()
    result = js.fit(js.Problem.from_labels(iris.X, iris.y), method)
    newton = method.startswith("newton")
    assert result.status in ((Status.DIVERGING,) if newton else NO_MINIMISER)
    assert claims_nothing(result)
    if newton:
        # The infimum is the face minimum 5.949273...; the run gets near it while ‖W‖ grows.
        assert result.loss == pytest.approx(5.9492734, abs=1e-5)
        assert np.all(np.diff(result.history["weight_norm"][-20:]) > 0)


@pytest.mark.slow
def test_a_small_gradient_far_out_is_divergence_for_gradient_descent_too(x64):
    """S9, S13: from where Newton gave up the gradient test is met at once; q >= 1 and a long Newton step say why."""
    iris = js.datasets.load_iris()
    problem = js.Problem.from_labels(iris.X, iris.y)
    result = js.fit(problem, "gd", W0=js.fit(problem, "newton").W)
    assert result.steps == 0
    assert result.status is Status.DIVERGING
    assert claims_nothing(result)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"),
    [*itertools.product(["load_wine", "load_iris"], OWN_METHODS), ("load_digits", "gd"), ("load_digits", "newton")],
)
def test_real_data_without_a_minimiser(x64, name, method):
    """S9: raw iris, wine and digits, one-hot: DIVERGING or STEP_LIMIT, nothing claimed."""
    data = getattr(pytest.importorskip("sklearn.datasets"), name)()
    result = js.fit(js.Problem.from_labels(data.data, data.target), method)
    assert result.status in NO_MINIMISER
    assert claims_nothing(result)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["load_wine", "load_digits", "load_iris"])
def test_smoothed_real_data_converge(x64, name):
    """S9: with smoothing 0.01 a minimiser exists; raw units (pixels 0..16, wine's proline near 1000), S13 fires."""
    data = getattr(pytest.importorskip("sklearn.datasets"), name)()
    result = js.fit(js.Problem.from_labels(data.data, data.target, label_smoothing=0.01), "newton")
    assert result.status is Status.GRADIENT_TOLERANCE
    assert result.converged
    assert result.q_estimate < 1e-3


@pytest.mark.slow_cases("None")
@pytest.mark.parametrize(
    "regularizer",
    [
        None,
        pytest.param(js.L2(0.2), marks=pytest.mark.slow),
        pytest.param(js.SelfRegularizer(0.7), marks=pytest.mark.slow),
        pytest.param(js.L2(0.2, penalize_intercept=True), marks=pytest.mark.slow),
    ],
)
def test_both_methods_find_the_same_minimum(x64, regularizer):
    """S13, S21: Newton and gradient descent agree, each within the other's gap."""
    problem = js.Problem.from_labels(X, MIXED, regularizer=regularizer)
    newton, gd = js.fit(problem, "newton"), js.fit(problem, "gd")
    assert newton.converged
    assert gd.converged
    # The Newton decrement estimates the gap to a factor near 1 when q << 1; rounding of a loss of about 20.
    assert abs(gd.loss - newton.loss) <= 2 * (gd.gap_estimate + newton.gap_estimate) + 1e-13 * newton.loss
    both = np.asarray(js.null_space(problem).project(newton.W - gd.W))
    np.testing.assert_allclose(both, 0, atol=1e-6)


@pytest.mark.parametrize("method", [*QUICK, *(pytest.param(m, marks=pytest.mark.slow) for m in ("newton", "bb"))])
def test_samples_of_weight_zero_take_no_part(x64, method):
    """Weight 0 (section 0): the fit is the one without the sample, and an outlier of weight 0 delays nothing."""
    s = np.ones(20)
    s[3] = 0
    outlier = X.copy()
    outlier[3] = 1e6
    with_it = js.fit(js.Problem.from_labels(outlier, MIXED, sample_weight=s), method)
    without = js.fit(js.Problem.from_labels(np.delete(X, 3, 0), np.delete(MIXED, 3)), method)
    assert with_it.converged
    np.testing.assert_allclose(with_it.W, without.W, atol=1e-7)


def test_start_outside_the_complement_keeps_its_kernel_part(x64):
    """S3, S6: the loss does not see 𝒦, so W0's part in it stays in W, and the loss is the same."""
    problem = js.Problem.from_labels(X, MIXED)
    W0 = np.tile([1.0, -2.0, 0.5], (3, 1))
    moved, plain = js.fit(problem, "newton", W0=W0), js.fit(problem, "newton")
    np.testing.assert_allclose(moved.W - W0, plain.W, atol=1e-9)
    assert moved.loss == pytest.approx(plain.loss, rel=1e-13)


@pytest.mark.slow
def test_auto_takes_newton_up_to_its_limit():
    small = js.fit(js.Problem.from_labels(X, MIXED), max_steps=1)
    assert small.method == "newton"
    wide = np.random.default_rng(0).normal(size=(4, 800))
    large = js.fit(js.Problem.from_labels(wide, [0, 1, 0, 1]), max_steps=1)
    assert large.method == "newton-cg"
    assert large.q_estimate is None
    assert not large.converged


def test_a_tolerance_of_zero_stalls_at_the_rounding_level(x64):
    """The loss cannot fall further in this precision: STALLED, at the minimum all the same."""
    problem = js.Problem.from_labels(X, MIXED)
    result = js.fit(problem, "newton", tol=0.0)
    assert result.status in (Status.STALLED, Status.GRADIENT_TOLERANCE)
    assert result.loss == pytest.approx(js.fit(problem, "newton").loss, rel=1e-13)


def test_a_loose_tolerance_is_no_sign_of_divergence(x64):
    """A run stopped early by the user is not suspected of having no minimiser, and does not claim one either."""
    result = js.fit(js.Problem.from_labels(X, MIXED), "gd", tol=0.05)
    assert result.status is Status.GRADIENT_TOLERANCE
    assert result.scaled_gradient <= 0.05
    assert result.q_estimate < 1 and not result.converged, "one exists near, and the loss is far above the minimum"


def test_step_limit():
    result = js.fit(js.Problem.from_labels(X, MIXED), "gd", max_steps=3)
    assert result.status is Status.STEP_LIMIT
    assert result.steps == 3
    assert result.history["step"].tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_nonfinite_start():
    result = js.fit(js.Problem.from_labels(X, MIXED), W0=np.full((3, 3), np.inf))
    assert result.status is Status.NONFINITE
    assert claims_nothing(result)
    assert result.to_dict()["loss"] == "nan"


@pytest.mark.slow
def test_result_is_split_serialised_and_outlives_its_x64_scope():
    """DESIGN: `coef` and `intercept` split W; results leave a scope as NumPy; the pytree round trip is exact."""
    with jax.enable_x64(True):
        result = js.fit(js.Problem.from_labels(X, MIXED))
    assert isinstance(result.W, np.ndarray)
    assert result.W.dtype == np.float64
    assert np.array_equal(np.column_stack([result.coef, result.intercept]), result.W)
    out = json.loads(json.dumps(result.to_dict()))
    wanted = {"W", "status", "loss", "gradient_norm", "gap_estimate", "steps", "rate_measured", "rate_bound", "history"}
    assert wanted | {"method", "q_estimate", "rate_estimate", "converged"} <= set(out)
    assert np.array_equal(out["W"], result.W)
    assert out["status"] == "GRADIENT_TOLERANCE"
    leaves, tree = jax.tree.flatten(result)
    again = jax.tree.unflatten(tree, leaves)
    assert repr(again) == repr(result)
    assert again.converged
    assert "Converged" in repr(result)
    bare = js.fit(js.Problem(X, np.eye(3)[MIXED]), max_steps=2)
    assert bare.coef is bare.W
    assert np.array_equal(bare.intercept, np.zeros(3))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            ValueError,
            {"method": "zebra"},
            r"method: got 'zebra'; give one of 'auto', 'gd', .*'newton-cg', 'sgd', .*, or an optax",
        ),
        (TypeError, {"method": 3}, r"method: got 3"),
        (ValueError, {"tol": -1e-3}, r"tol: got -0\.001.*>= 0"),
        (TypeError, {"tol": "small"}, r"tol: got 'small'"),
        (ValueError, {"tol": math.nan}, r"tol: got nan"),
        (ValueError, {"max_steps": 0}, r"max_steps: got 0"),
        (TypeError, {"max_steps": 2.5}, r"max_steps: got 2\.5"),
        (ValueError, {"W0": np.zeros((3, 2))}, r"W0: shape \(3, 2\), expected \(C, D\) = \(3, 3\)"),
        (TypeError, {"W0": np.array([["a"] * 3] * 3)}, r"W0: "),
        (TypeError, {"W0": jax.numpy.zeros((3, 3), "bfloat16")}, r"W0: got a JAX array of dtype bfloat16"),
        (TypeError, {"method": optax.sgd}, r"method: got .*call it first, as in optax\.sgd"),
        (
            ValueError,
            {"method": "gd", "batch_size": 5},
            r"batch_size: goes with the methods sgd and adam, not with",
        ),
        (
            ValueError,
            {"method": SGD, "batch_size": 21, "key": KEY},
            r"batch_size: got 21, more than the N = 20 samples",
        ),
        (ValueError, {"method": SGD, "batch_size": 0, "key": KEY}, r"batch_size: got 0"),
        (ValueError, {"batch_size": 5}, r"batch_size: goes with the methods sgd and adam, not with 'auto'"),
        (
            ValueError,
            {"method": SGD, "learning_rate": 0.1},
            r"learning_rate: goes with the methods rychlik-bb, sgd and adam",
        ),
        (ValueError, {"method": "sgd", "learning_rate": 0.0}, r"learning_rate: got 0\.0"),
        (ValueError, {"method": SGD, "batch_size": 5}, r"key: got None, but minibatches"),
        (TypeError, {"method": SGD, "batch_size": 5, "key": 0}, r"key: got 0, an int; give a JAX random key"),
        (TypeError, {"key": np.zeros(2)}, r"key: got array.*give a JAX random key"),
        (ValueError, {"key": jax.random.split(KEY)}, r"key: got keys of shape \(2,\)"),
        (TypeError, {"progress": "bar"}, r"progress: got 'bar'"),
    ],
)
def test_bad_arguments_are_named(kind, options, message):
    with pytest.raises(kind, match=message):
        js.fit(js.Problem.from_labels(X, MIXED), **options)


def test_a_fit_under_a_transformation_of_jax_is_refused_by_its_name():
    """Whatever is traced is named, with what to do; a problem that was closed over too, whose arrays jit traces."""
    problem = js.Problem.from_labels(X, MIXED)
    W0 = np.zeros((2, 3, 3), np.float32)
    words = r"fit was called inside jit, vmap or grad, .*; call fit outside of them"
    with pytest.raises(TypeError, match=f"^problem: {words}"):
        jax.jit(lambda p: js.fit(p).W)(problem)
    with pytest.raises(TypeError, match=f"^problem: {words}"):
        jax.jit(lambda: js.fit(problem).W)()
    with pytest.raises(TypeError, match=f"^W0: {words}"):
        jax.vmap(lambda W: js.fit(problem, W0=W).W)(W0)
    with pytest.raises(TypeError, match=f"^tol: {words}"):
        jax.grad(lambda tol: js.fit(problem, tol=tol).loss)(0.1)


def test_bad_problems_are_named():
    with pytest.raises(TypeError, match="problem: got"):
        js.fit(X)  # pyright: ignore[reportArgumentType]
    with jax.enable_x64(True):
        wide = js.Problem.from_labels(X, MIXED)
    with pytest.raises(ValueError, match="x64 is off"):
        js.fit(wide)


@pytest.mark.parametrize(("decrement", "gap"), [(0.08, 0.04), (-1e-20, 0.0), (math.nan, None)])
def test_without_a_dense_hessian_the_gap_is_half_the_squared_decrement(decrement, gap, monkeypatch):
    """S6, S13: λ² = gᵀH⁺g of the method's last direction; the quadratic model falls by λ²/2 to its minimum."""
    problem = js.Problem(np.zeros((1, 1), np.float32), np.float32([[0.5, 0.5]]))
    W = np.zeros((2, 1))
    raw = SimpleNamespace(W=W, value=0.7, gradient=W, step=3, scale=np.ones(1), decrement=decrement, status=2)
    route = SimpleNamespace(weights=lambda W: W, gradient=lambda g: g)
    monkeypatch.setattr(fit_module, "evaluate", lambda *_: EndPoint(0.7, W))
    monkeypatch.setattr(fit_module, "judge", lambda *_: (Status.STEP_LIMIT, ""))
    method, rates = (
        SimpleNamespace(name="a method"),
        dict.fromkeys(("rate_measured", "rate_bound", "rate_estimate", "log_gain_bound")),
    )
    columns = working_columns(problem)
    result = fit_module._finish(problem, problem, columns, route, method, raw, {}, None, rates, 0.0, None, None, ())
    assert result.gap_estimate == gap


@pytest.mark.slow
def test_newton_cg_looks_at_the_dense_hessian_only_where_its_own_products_show_nothing(monkeypatch):
    """S13: the curvature comes from products, and from the dense Hessian where it is small and q from these is >= 1."""
    problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1])
    asked, evaluate = [], fit_module.evaluate

    def told(*given):
        asked.append(len(given))
        return evaluate(*given)

    monkeypatch.setattr(fit_module, "evaluate", told)
    assert js.fit(problem, "newton-cg").converged and js.fit(problem, "newton").converged
    assert asked == [4, 3]
    monkeypatch.setattr(fit_module, "curvature_as_given", lambda *_: CurvatureEstimate(1.0, np.inf))
    assert js.fit(problem, "newton-cg").converged and asked == [4, 3, 4, 3]


def test_ctrl_c_after_the_loop_keeps_the_finished_training(monkeypatch):
    """The evaluation of the end point may be cut short: W, its loss and gradient are those of the training."""
    problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1])
    whole = js.fit(problem)

    def interrupted(*_):
        raise KeyboardInterrupt

    phases = []
    monkeypatch.setattr(fit_module, "slope_at", interrupted)
    cut = js.fit(problem, progress=lambda state: phases.append(state.phase))
    assert phases[-1] == "end point" and set(phases[:-1]) == {"training"}
    np.testing.assert_array_equal(cut.W, whole.W)
    assert cut.status is whole.status and cut.steps == whole.steps
    assert cut.loss == pytest.approx(whole.loss, rel=1e-6) and cut.gradient_norm < 1e-4
    assert cut.q_estimate is None and not cut.converged and "Ctrl-C" in cut.reason
    assert cut.interrupted and not whole.interrupted


def test_who_keeps_no_part_of_a_fit_is_interrupted_too():
    """Whether Ctrl-C came in the training or at the end point."""
    assert whole_fit(done := made_fit()) is done
    for part in (made_fit(status=js.Status.INTERRUPTED), made_fit(end_point_cut=True)):
        with pytest.raises(KeyboardInterrupt):
            whole_fit(part)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gd", pytest.param("lbfgs", marks=pytest.mark.slow)])
def test_far_offsets_do_not_pass_for_a_minimum(method):
    """S13's q < 1 holds 1.5 % above the minimum here, and the scaled gradient is small by the offset: not converged."""
    rng = np.random.default_rng(2)
    far = 1e4 + rng.normal(size=(200, 2)).round(1)
    problem = js.Problem.from_labels(far, (rng.random(200) < 0.4).astype(int))
    poor, best = js.fit(problem, method), js.fit(problem)
    assert best.converged and best.status is js.Status.GRADIENT_TOLERANCE
    assert poor.loss > 1.005 * best.loss and poor.q_estimate < 1
    assert not poor.converged and poor.status is js.Status.STALLED and "newton" in poor.reason


@pytest.mark.slow
def test_a_common_part_of_the_weights_costs_the_loss_no_digits(x64, monkeypatch):
    """S3: what all classes share moves no logit's difference, and 1e29 of it on a column at 1e12 swamps the intercept.

    The loss that is told is that of the differences between the rows of W, in exact arithmetic.
    """
    X = 1e12 + np.array([[0.002], [0.0], [0.001], [0.0], [0.002]])
    problem = js.Problem.from_labels(X, [0, 1, 0, 0, 1])
    W = np.array([[2.0**97, -0.5], [2.0**97, 0.25]])
    found = js.fit(problem, "gd", W0=W, max_steps=1)
    moved = np.asarray(found.W)
    differences = [Fraction(b) - Fraction(a) for a, b in zip(*moved.tolist(), strict=True)]
    logits = [float(differences[0] * Fraction(x) + differences[1]) for x in X[:, 0].tolist()]
    signs = [-1, 1, -1, -1, 1]
    wanted = sum(np.logaddexp(0, -sign * z) for sign, z in zip(signs, logits, strict=True))
    assert found.loss == pytest.approx(wanted, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["newton", *(pytest.param(m, marks=pytest.mark.slow) for m in ("newton-cg", "mm"))])
def test_a_column_too_small_for_any_weight_is_left_alone(method, x64):
    """A column below 2^-1054: no double weight makes it matter, so it is trained as if it were not there."""
    tiny = np.column_stack([X[:, 0], np.where(np.arange(len(X)) % 2, 5e-324, 0)])
    found, without = (js.fit(js.Problem.from_labels(data, MIXED), method) for data in (tiny, X[:, :1]))
    assert found.loss == pytest.approx(without.loss, rel=1e-12) and np.isfinite(found.W).all()


def test_entries_that_replace_let_in_are_named():
    problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), [0, 1, 0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        js.fit(problem.replace(X=problem.X.at[0, 0].set(np.nan)))
