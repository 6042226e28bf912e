"""evidence/crosscheck/compare.py: right rules agree, and every planted mistake is found, in float32 and float64."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.loss import derivatives, hessian, objective
from jaxsoftmax.checker.report.finding import compare
from jaxsoftmax.evidence.crosscheck import first_order, second_order, sides, tolerances
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck.compare import crosscheck_problem
from jaxsoftmax.evidence.crosscheck.second_order import compare_third
from jaxsoftmax.evidence.crosscheck.sides import Ours, Sides

N, D, C = 20, 4, 3
DTYPES = ("float32", "float64")


def make(dtype="float64", *, regularized=True, seed=0, **options):
    """One-hot and soft rows, weights (one of them 0), an intercept, both penalties; W."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D - 1)) * np.array([1.0, 20.0, 0.1])
    T = np.where(np.arange(N)[:, None] % 2 == 0, np.eye(C)[rng.integers(0, C, N)], rng.dirichlet(np.ones(C), size=N))
    s = rng.uniform(0.5, 2.0, size=N)
    s[3] = 0.0
    penalties = js.L2(0.25) + js.LogCosh(0.5, 1.5) + js.SelfRegularizer(0.5) if regularized else None
    with jax.enable_x64(dtype == "float64"):
        problem = js.Problem(X, T, intercept=True, sample_weight=s, regularizer=penalties, dtype=dtype, **options)
    return problem, (rng.normal(size=(C, D)) * np.array([1.0, 0.05, 1.0, 1.0])).astype(dtype)


def failed(report):
    return {(s.statement, s.quantity) for s in report.statements if not s.passed}


AGREE = [
    pytest.param(d, r, marks=() if d == "float64" and r else pytest.mark.slow) for d in DTYPES for r in (True, False)
]


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "regularized"), AGREE)
def test_right_rules_agree(dtype, regularized):
    """S1-S5, S8, S21: every comparison within its tolerance, and able to see a factor 2; x64 stays as it was."""
    problem, W = make(dtype, regularized=regularized)
    report = crosscheck_problem(problem, W)
    assert report.verdict == "AGREE", report
    assert {s.statement for s in report.statements} == {"S1", "S2", "S3", "S4", "S5", "S8"}
    assert report.diagnoses == ()
    assert jnp.zeros(1).dtype == np.float32


@pytest.mark.slow
def test_zero_weights_are_fine():
    """S1-S8 at W = 0, where the third derivative of two classes is exactly 0: nothing to double, no ROUNDING."""
    X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    problem = js.Problem.from_labels(X, [0, 1] * 4)
    assert crosscheck_problem(problem, np.zeros((2, 3))).verdict == "AGREE"


@pytest.mark.slow
def test_one_sample_and_rank_deficient_data():
    """S1-S8 for N = 1 and for a constant and a repeated feature."""
    problem = js.Problem.from_labels(np.array([[1.0, 1.0, 0.0]], np.float32), [1], classes=[0, 1, 2])
    W = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert crosscheck_problem(problem, W).verdict == "AGREE"


def doubled(function):
    return lambda *a, **k: jax.tree.map(lambda x: 2 * x, function(*a, **k))


def second_only(index):
    """value_and_gradient with one of its two results doubled."""

    def wrap(function):
        def call(*a):
            out = list(function(*a))
            out[index] = 2 * out[index]
            return tuple(out)

        return call

    return wrap


def operator_with(name):
    """A HessianOperator one of whose methods returns the double."""

    def wrap(function):
        def call(*a):
            inner = function(*a)

            class Broken:
                def __getattr__(self, attribute):
                    return getattr(inner, attribute)

                def __matmul__(self, V):
                    return 2 * (inner @ V) if name == "@" else inner @ V

            broken = Broken()
            if name != "@":
                setattr(broken, name, doubled(getattr(inner, name)))
            return broken

        return call

    return wrap


def wrong_slope(function):
    """A loss of the right value whose derivatives are doubled."""
    return lambda W, p: 2 * function(W, p) - jax.lax.stop_gradient(function(W, p))


def wrong_curvature(function):
    """A loss of the right value and gradient whose Hessian is doubled: f + (f - its tangent plane)."""

    def call(W, p):
        at = jax.lax.stop_gradient(W)
        slope = jax.lax.stop_gradient(jax.grad(function)(at, p))
        return 2 * function(W, p) - function(at, p) - jnp.sum(slope * (W - at))

    return call


def lost_in(leaf):
    """A loss of the right value and derivative in W whose derivative in X, T or s is doubled."""

    def wrap(function):
        def call(W, problem):
            if not isinstance(getattr(problem, leaf), jax.core.Tracer):
                return function(W, problem)
            fixed = problem.replace(**{leaf: jax.lax.stop_gradient(getattr(problem, leaf))})
            return 2 * function(W, problem) - function(W, fixed)

        return call

    return wrap


PLANTS = {
    "loss": (objective, "loss", doubled, ("S1", "loss")),
    "probabilities": (objective, "probabilities", doubled, ("S1", "probabilities")),
    "log-probabilities": (objective, "log_probabilities", doubled, ("S1", "log-probabilities")),
    "gradient": (derivatives, "gradient", doubled, ("S2", "gradient")),
    "fused value": (derivatives, "value_and_gradient", second_only(0), ("S1", "loss, fused")),
    "fused gradient": (derivatives, "value_and_gradient", second_only(1), ("S2", "gradient, fused")),
    "hvp": (derivatives, "hvp", doubled, ("S4", "Hessian-vector product")),
    "quadratic form": (derivatives, "quadratic_form", doubled, ("S4", "quadratic form")),
    "third derivative": (derivatives, "third_derivative", doubled, ("S8", "third derivative")),
    "operator @": (hessian, "hessian", operator_with("@"), ("S4", "Hessian-vector product, operator")),
    "operator form": (hessian, "hessian", operator_with("quadratic_form"), ("S4", "quadratic form, operator")),
    "dense": (hessian, "hessian", operator_with("to_dense"), ("S4", "Hessian")),
    "blocks": (hessian, "hessian", operator_with("blocks"), ("S4", "Hessian, blocks")),
    "diagonal": (hessian, "hessian", operator_with("diagonal"), ("S4", "Hessian, diagonal")),
    "trace": (hessian, "hessian", operator_with("trace"), ("S4", "Hessian, trace")),
    "rule, first order": (objective, "loss", wrong_slope, ("S2", "gradient, jax.grad of our loss")),
    "rule, second order": (objective, "loss", wrong_curvature, ("S4", "Hessian, jax.hessian of our loss")),
    "rule in X": (objective, "loss", lost_in("X"), ("S2", "gradient in X, jax.grad of our loss")),
    "rule in T": (objective, "loss", lost_in("T"), ("S1", "gradient in T, jax.grad of our loss")),
    "rule in s": (objective, "loss", lost_in("sample_weight"), ("S1", "gradient in s, jax.grad of our loss")),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
@pytest.mark.parametrize("name", fast(PLANTS, 0, 3, 8, 12))
def test_a_planted_factor_two_is_found(monkeypatch, name, dtype):
    """S1-S4, S8: doubling any one hand rule is a DISAGREE that names the rule."""
    module, attribute, wrap, culprit = PLANTS[name]
    problem, W = make(dtype)
    monkeypatch.setattr(module, attribute, wrap(getattr(module, attribute)))
    # 50 digits in half of the cases, so that either arbiter alone is seen to find the plant.
    report = crosscheck_problem(problem, W, high_precision=False if dtype == "float32" else None)
    assert report.verdict == "DISAGREE"
    assert culprit in failed(report)


@pytest.mark.slow
def test_a_planted_factor_two_is_found_by_columns(monkeypatch):
    """S4: where the dense Hessian is too large, columns, their diagonal entries and the trace are compared."""
    problem, W = make()
    quantities = {s.quantity for s in crosscheck_problem(problem, W, hessian_budget=0).statements}
    assert "Hessian" not in quantities and "Hessian, some columns" in quantities
    real = hessian.hessian
    for name, quantity in (
        ("@", "Hessian, some columns"),
        ("diagonal", "Hessian, diagonal of these columns"),
        ("trace", "Hessian, trace"),
    ):
        monkeypatch.setattr(hessian, "hessian", operator_with(name)(real))
        assert ("S4", quantity) in failed(crosscheck_problem(problem, W, hessian_budget=0))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mistake", ["one entry", "transposed class", "missing weight", "W for V", "NaN"])
def test_small_mistakes_are_found_and_located(monkeypatch, mistake, dtype):
    """S2, S4: a single wrong entry is reported by class and feature; other slips are found too."""
    problem, W = make(dtype, classes=["ash", "birch", "cedar"], feature_names=["height", "girth", "age"])
    gradient, hvp = derivatives.gradient, derivatives.hvp

    def broken(w, p):
        if mistake == "one entry":
            return gradient(w, p).at[1, 2].multiply(1 + 1e-3)
        if mistake == "NaN":
            return gradient(w, p).at[1, 2].set(jnp.nan)
        if mistake == "transposed class":
            return gradient(w, p)[jnp.array([0, 2, 1])]
        return gradient(w, p.replace(sample_weight=jnp.ones_like(p.sample_weight)))

    if mistake == "W for V":
        monkeypatch.setattr(derivatives, "hvp", lambda w, p, v: hvp(w, p, w))
    else:
        monkeypatch.setattr(derivatives, "gradient", broken)
    report = crosscheck_problem(problem, W, high_precision=False)
    assert report.verdict == "DISAGREE"
    culprit = ("S4", "Hessian-vector product") if mistake == "W for V" else ("S2", "gradient")
    check = next(s for s in report.statements if (s.statement, s.quantity) == culprit)
    assert not check.passed
    if mistake in ("one entry", "NaN"):
        assert (check.worst["class"], check.worst["feature"]) == ("birch", "age")
        # Stable JSON in any case: no NaN or Infinity tokens.
        json.dumps(report.to_dict(), allow_nan=False)


def test_a_negative_quadratic_form_fails(monkeypatch):
    """S5: any negative value, however small, is a bug and not noise."""
    problem, W = make()
    monkeypatch.setattr(derivatives, "quadratic_form", lambda *a: jnp.asarray(-1e-30, W.dtype))
    assert ("S5", "quadratic form: not negative") in failed(crosscheck_problem(problem, W, high_precision=False))


@pytest.mark.slow
@pytest.mark.parametrize("plant", [False, True])
def test_rounding_is_said_where_a_factor_two_would_pass(monkeypatch, plant):
    """S2: at a float32 minimiser the gradient is rounding, so neither agreement nor a factor 2 can be seen in it."""
    rng = np.random.default_rng(0)
    problem = js.Problem(
        rng.normal(size=(N, D - 1)).astype(np.float32), rng.dirichlet(np.ones(C), size=N), intercept=True
    )
    W = np.zeros((C, D))
    for _ in range(30):  # Newton in float64 NumPy on the stored numbers, so that float32 sees only its own rounding
        X, T = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.T))
        Y = np.exp(X @ W.T)
        Y /= Y.sum(axis=1, keepdims=True)
        S = np.einsum("ni,ij->nij", Y, np.eye(C)) - np.einsum("ni,nj->nij", Y, Y)
        H = np.einsum("nij,nd,ne->idje", S, X, X).reshape(C * D, C * D)
        W = W - (np.linalg.pinv(H, rcond=1e-10) @ ((Y - T).T @ X).ravel()).reshape(C, D)
    if plant:
        monkeypatch.setattr(derivatives, "gradient", doubled(derivatives.gradient))
    report = crosscheck_problem(problem, W.astype(np.float32))
    assert report.verdict == "ROUNDING"
    assert all("gradient" in s.text and "factor 2" in s.text for s in report.diagnoses) and report.diagnoses
    assert {s.name for s in report.diagnoses} == {"resolution"}
    blind = [s for s in report.statements if s.blind]
    assert blind and all(s.verdict == "ROUNDING" for s in blind)


def test_report_has_the_documented_keys_and_reads_as_a_table():
    """DESIGN's table of fields; repr is the report."""
    problem, W = make()
    report = crosscheck_problem(problem, W)
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    fields = [
        "verdict",
        "statements",
        "diagnoses",
        "notes",
        "worst_entries",
        "ulp_histogram",
        "resolution",
        "resolution_as_run",
        "guarantee",
    ]
    fields += ["seconds", "evaluations", "function", "called_from"]
    assert list(document) == fields
    keys = ["statement", "quantity", "route", "at", "measured", "relation", "bound", "allowance", "passed", "ratio"]
    keys += ["worst", "blind", "note", "verdict"]
    for statement in document["statements"]:
        assert list(statement) == keys
        assert list(statement["worst"]) == ["class", "feature", "sample", "ours", "theirs"]
    assert [f.name for f in dataclasses.fields(report)] == fields
    text = repr(report)
    assert text.startswith("Cross-check: AGREE") and text.count(" pass") == len(report.statements)
    assert report.worst.ratio == max(s.ratio for s in report.statements)


def test_the_key_decides_the_directions():
    """Seeded: the same key gives the same report, another key other directions (S4)."""
    problem, W = make()

    def form(key):
        report = crosscheck_problem(problem, W, key=key, high_precision=False)
        return next(s.worst["ours"] for s in report.statements if s.quantity == "quadratic form")

    assert form(None) == form(jax.random.key(0)) != form(jax.random.key(1))


def test_high_precision_can_be_asked_for_and_declined(monkeypatch):
    """The 50-digit route needs python-flint; without it, asking is an error that names the extra."""
    problem, W = make()
    routes = {s.route for s in crosscheck_problem(problem, W, high_precision=False).statements}
    assert "50 digits" not in routes
    if highprecision.available():
        routes = {s.route for s in crosscheck_problem(problem, W, high_precision=True).statements}
        assert "50 digits" in routes
    monkeypatch.setitem(sys.modules, "flint", None)
    assert crosscheck_problem(problem, W).verdict == "AGREE"
    with pytest.raises(ImportError, match=r"jaxsoftmax\[exact\]"):
        crosscheck_problem(problem, W, high_precision=True)


def test_unusable_weights_are_refused():
    """W of the wrong shape or with NaN."""
    problem, W = make()
    with pytest.raises(ValueError, match="W"):
        crosscheck_problem(problem, W.T)
    W[0, 0] = np.nan
    with pytest.raises(ValueError, match="W: has NaN"):
        crosscheck_problem(problem, W)


@pytest.mark.slow
def test_bfloat16_inputs():
    """S1-S8 with X in bfloat16: the stored X is widened exactly, and its gradient is rounded to bfloat16."""
    rng = np.random.default_rng(0)
    problem = js.Problem.from_labels(rng.normal(size=(N, 3)), rng.integers(0, C, N), dtype="bfloat16")
    assert crosscheck_problem(problem, rng.normal(size=(C, 4)).astype(np.float32)).verdict == "AGREE"


@pytest.mark.slow
def test_row_blocks_change_nothing(monkeypatch):
    """S1-S8: the float64 side in several row blocks adds up, penalties counted once, samples keep their numbers."""
    from jaxsoftmax.evidence.crosscheck import sides as _sides

    problem, W = make()
    monkeypatch.setattr(_sides, "_BLOCK_ENTRIES", 8 * (D + C))
    assert crosscheck_problem(problem, W, high_precision=False).verdict == "AGREE"
    scale = jnp.ones(N).at[13].set(1.5)
    real = objective.probabilities
    monkeypatch.setattr(objective, "probabilities", lambda w, p: real(w, p) * scale[:, None])
    report = crosscheck_problem(problem, W, high_precision=False)
    assert next(s for s in report.statements if not s.passed).worst["sample"] == 13


def test_the_bound_on_the_third_derivative_of_log_cosh_is_nearly_reached(x64):
    """S8, S21b: at w = 3 along ones it is 2γ tanh 3 = 1.99γ times the form, of which the data hold nothing: 2γ|v|."""
    problem = js.Problem(np.full((2, 1), 1e-6), np.full((2, 2), 0.5), regularizer=js.LogCosh(10.0, 1.0))
    both = Sides(problem, np.full((2, 1), 3.0), Ours(objective, derivatives, hessian), jax.random.key(0), False)
    both.V = both.U = np.ones((2, 1))
    *_, excess = compare_third(both)
    assert excess.check.quantity == "|third derivative| <= range * quadratic form" and excess.check.passed


@pytest.mark.slow
def test_the_bound_on_the_third_derivative_knows_no_sign_of_gamma(x64):
    """S8, S21d: with γ = -5 and small features the range is that of the regulariser's samples, |γ| times that of V."""
    problem = js.Problem(np.full((2, 1), 1e-6), np.full((2, 2), 0.5), regularizer=js.SelfRegularizer(-5.0))
    ours = Ours(objective, derivatives, hessian)
    both = Sides(problem, np.array([[0.4], [-0.2]]), ours, jax.random.key(0), False)
    both.V = both.U = np.array([[1.0], [-1.0]])
    *_, excess = compare_third(both)
    assert excess.check.quantity == "|third derivative| <= range * quadratic form" and excess.check.passed


def test_directions_have_the_units_of_the_weights_whatever_the_features_are_measured_in(x64):
    """S4, S8: X in units 2⁴⁰ times smaller has V, U and the gauge direction 2⁴⁰ times smaller, to the last bit."""
    X, T = np.array([[3.0, 0.5], [-1.0, 2.0]]), np.full((2, 2), 0.5)
    ours = Ours(objective, derivatives, hessian)
    one, other = (
        Sides(js.Problem(X * unit, T), np.zeros((2, 2)), ours, jax.random.key(0), False)
        for unit in ([1, 1], [2**40, 1])
    )
    for name in ("V", "U", "gauge_direction"):
        np.testing.assert_array_equal(getattr(other, name) * [2.0**40, 1], getattr(one, name))
    assert (np.abs(one.V) * np.abs(X).max(axis=0) < 8).all()  # normal numbers, of size 1 in the logits


def test_penalties_ride_on_the_first_block_alone(x64):
    """S21: sums over blocks of rows have each penalty once, and each row once."""
    problem = js.Problem(np.eye(3), np.eye(3), regularizer=js.L2(1.0), sample_weight=[1.0, 2.0, 3.0])
    both = Sides(problem, np.ones((3, 3)), Ours(objective, derivatives, hessian), jax.random.key(0), False)
    parts = list(both.blocks(2))
    assert [len(part.regularizer) for _, part in parts] == [1, 0]
    assert np.concatenate([part.sample_weight for _, part in parts]).tolist() == [1.0, 2.0, 3.0]
    assert both.textbook("loss", rows=1) == pytest.approx(both.textbook("loss"), rel=1e-15)


def test_compare_treats_infinities_and_zeros_as_documented():
    """inf is right exactly where the value is beyond the dtype's range; a zero tolerance admits only equality."""
    check = compare("S1", "q", "r", np.float32([1.0, 3.0]), [1.0, 2.5], [1.0, 0.25], own_tolerance=[0.0, 0.15]).check
    assert (check.measured, check.bound, check.ratio) == (0.5, 0.4, 1.25) and not check.passed
    big = np.array([np.inf, 1.0], np.float32)
    assert compare("S1", "q", "r", big, [1e39, 1.0], 0.0).check.passed
    assert not compare("S1", "q", "r", big, [1e30, 1.0], 0.0).check.passed
    assert not compare("S1", "q", "r", -big, [1e39, -1.0], 0.0).check.passed
    assert not compare("S1", "q", "r", np.float32([np.nan, 1.0]), [np.nan, 1.0], 1.0).check.passed
    assert compare("S1", "q", "r", np.float32([0.5]), [0.5], 0.0).check.ratio == 0.0
    assert compare("S1", "q", "r", np.float32([0.5]), [0.25], 0.0).check.ratio == np.inf
    assert compare("S1", "q", "r", np.zeros((0, 2)), np.zeros((0, 2)), 0.0).check.passed
    with pytest.raises(ValueError, match="shape"):
        compare("S1", "q", "r", np.zeros(2), np.zeros(3), 0.0)


@pytest.fixture(params=DTYPES)
def recorded(request, monkeypatch):
    """Real `Sides`, whose rules and textbook give drawn numbers, and what is handed to `compare`, by the quantity."""
    problem, W = make(request.param)
    k = Sides(problem, W, Ours(None, None, None), jax.random.key(0), False)
    k.V, k.U = (np.asarray(v * [1, 1, 1, 3], k.dtype) for v in (k.V, k.U))
    rng = np.random.default_rng(7)
    shapes = {"hvp": (C, D), "gradient": (C, D), "hessian": (C * D, C * D)}
    drawn = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    drawn |= {"quadratic_form": rng.uniform(), "third_derivative": rng.uniform(), "loss": rng.uniform()}
    drawn["hessian_diagonal"] = rng.normal(size=(C, D))
    k.textbook = lambda name, *_, **__: drawn[name]
    k.autodiff = lambda name, *_: drawn[name]

    class Operator:
        def __matmul__(self, V):
            return drawn["hvp"]

        def blocks(self):
            return drawn["hessian"].reshape(C, D, C, D).transpose(0, 2, 1, 3)

        quadratic_form = staticmethod(lambda V: drawn["quadratic_form"])
        to_dense = staticmethod(lambda: drawn["hessian"])
        diagonal = staticmethod(lambda: drawn["hessian_diagonal"])
        trace = staticmethod(lambda: 5.0)

    rules = {name: lambda *_, value=value: value for name, value in drawn.items()}
    k.ours = Ours(
        SimpleNamespace(loss=lambda w, p: 3.0 if w is k.W else -5.0),
        SimpleNamespace(**rules),
        SimpleNamespace(hessian=lambda W, p: Operator()),
    )
    seen = {}

    def record(statement, quantity, route, ours, theirs, tolerance, *, own_tolerance=0.0, **_):
        seen.setdefault((quantity, route), (ours, theirs, tolerance, own_tolerance))
        return compare("", "", "", 0.0, 0.0, 0.0)

    for module in (first_order, second_order, sides):
        monkeypatch.setattr(module, "compare", record)
    return k, drawn, seen


def alike(found, expected):
    """Sums of some ten float64 terms of one sign, in another order."""
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gauge_invariance_has_the_rounding_of_its_sums_and_of_the_moved_weights(recorded):
    """S3: C eps Σ_c (|g| + |slope|) a column; E of W + 1vᵀ moves the loss by 2 Σ_n s_n max_c |E x_n|_c.

    Both losses add 4 eps of themselves, the penalties C D eps of themselves at |W + 1vᵀ| + |W|.
    """
    k, drawn, seen = recorded
    first_order.compare_gauge(k)
    W, v, eps = k.W.astype(float), k.gauge_direction.astype(float), 2.0**-52
    mask = np.array([1, 1, 1, 0])
    slope = mask * (0.25 * W + 0.5 * np.tanh(1.5 * W))
    G = drawn["gradient"]
    sums, expected, tolerance, own = seen["column sums of the gradient", "its theorem"]
    alike(sums, G.sum(axis=0))
    np.testing.assert_allclose(expected, slope.sum(axis=0), rtol=0, atol=1e-14)  # of terms below 1
    alike(tolerance, k.tolerance("gradient").sum(axis=0))
    alike(own, C * eps * (abs(G) + abs(slope)).sum(axis=0))

    def penalty(W):
        return (mask * (0.125 * W**2 + 0.5 / 1.5 * np.log(2 * np.cosh(1.5 * W)))).sum()

    moved = k.W + k.gauge_direction
    E = abs(moved.astype(float) - W - v)
    if k.dtype == np.float64:
        E = E + eps * (abs(moved) + abs(W) + abs(v))
    X, s = np.asarray(k.data.X), np.asarray(k.data.sample_weight)
    slack = 2 * 0.5 * E.max(axis=0).sum() + 2 * (s * (abs(X) @ E.T).max(axis=1)).sum()
    after, before, tolerance, _ = seen["loss along a gauge direction", "its theorem"]
    alike([before, after], [3.0 - penalty(W), -5.0 - penalty(moved.astype(float))])
    whole = k.tolerance("loss") + k.tolerance("loss", W=moved) + slack + 4 * eps * 8.0
    alike(tolerance, whole + C * D * eps * penalty(abs(moved.astype(float)) + abs(W)))


def test_second_derivatives_have_the_rounding_of_their_sums(recorded):
    """S4: ⟨V, HV⟩ of the textbook Σ|v|(own + C D eps|hv|); the trace Σ tol + eps (8 + √(C D)) Σ|h|; H − Hᵀ twice."""
    k, drawn, seen = recorded
    second_order.compare_second(k)
    own = k.textbook_tolerance("hvp", k.V) + 2.0**-52 * C * D * abs(drawn["hvp"])
    for name in ("quadratic form", "quadratic form, operator"):
        ours, theirs, tolerance, theirs_own = seen[name, sides.FORWARD_OVER_REVERSE]
        assert ours == theirs == drawn["quadratic_form"]
        alike([tolerance, theirs_own], [k.tolerance("quadratic_form", k.V), (abs(k.V.astype(float)) * own).sum()])
        assert seen[f"{name}: not negative", "its theorem"][:3] == (0.0, 0.0, 0.0)
    second_order._dense_hessian(k)
    each, theirs = k.tolerance("hessian_diagonal"), np.diag(drawn["hessian"])
    _, total, tolerance, own = seen["Hessian, trace", sides.FORWARD_OVER_REVERSE]
    eps = float(np.finfo(k.dtype).eps)
    np.testing.assert_allclose(total, theirs.sum(), rtol=0, atol=1e-13)  # of a dozen terms of size 1
    alike(tolerance, each.sum() + eps * (8 + (C * D) ** 0.5) * abs(theirs).sum())
    alike(own, k.textbook_tolerance("hessian_diagonal").sum())
    H, transposed, tolerance, _ = seen["Hessian, symmetry", "its transpose"]
    assert (H.T == transposed).all()
    alike(tolerance, 2 * k.tolerance("hessian"))
    second_order._some_columns(k)
    trace, total, tolerance, _ = seen["Hessian, trace", "sum of the diagonal"]
    assert trace == 5.0
    np.testing.assert_allclose(total, drawn["hessian_diagonal"].sum(), rtol=0, atol=1e-13)
    alike(tolerance, each.sum() + eps * (8 + (C * D) ** 0.5) * abs(total))


def test_the_third_derivative_may_exceed_its_bound_by_both_tolerances(recorded):
    """S8, S21: the range is the largest of samples of positive weight, of γ e_d and 2γ|v|; it scales the form's own."""
    k, drawn, seen = recorded
    V, weights = k.V.astype(float), np.array(k.data.sample_weight)
    weights[np.ptp(np.asarray(k.data.X) @ V.T, axis=1).argmax()] = 0  # the widest sample of all takes no part
    for regularizer, own in ((k.data.regularizer, 0.5 * np.ptp(V, axis=0).max()), ((), 0.0)):
        k.data = dataclasses.replace(k.data, regularizer=regularizer, sample_weight=weights)
        seen.clear()
        second_order.compare_third(k)
        X, s = np.asarray(k.data.X), np.asarray(k.data.sample_weight)
        span = max(np.ptp(X[s > 0] @ V.T, axis=1).max(), own, 2 * 1.5 * abs(V[:, :-1]).max() if regularizer else 0)
        size, limit, tolerance, _ = seen["|third derivative| <= range * quadratic form", "its theorem"]
        form = drawn["quadratic_form"]
        alike([size, limit], [max(drawn["third_derivative"], span * form), span * form])
        both = k.tolerance("third_derivative", k.V, k.U) + span * k.tolerance("quadratic_form", k.U)
        alike(tolerance, both + 2.0**-45 * limit)


def test_gradients_in_the_data_have_the_tolerances_of_their_sample(recorded, monkeypatch):
    """S1, S2: of X its own; of T and s twice that of −log y, times s or summed with T; a narrower X is rounded once."""
    k, _, seen = recorded
    rng = np.random.default_rng(3)
    shapes = ((N, D), (N, C), (N,))
    ours = tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)
    theirs = tuple(rng.normal(size=shape) for shape in shapes)
    k.autodiff = lambda name: ours
    k.on_block = lambda name, d: theirs
    first_order.compare_inputs(k)
    s, T, eps = (np.asarray(a) for a in (k.data.sample_weight, k.data.T, np.finfo(np.float32).eps))
    rounded = eps * abs(theirs[0]) if k.dtype == np.float64 else 0.0
    model = tolerances.model(k.W, k.data, np.float64, compensated=False)
    for side, found in ((k._hand_model, 2), (model, 3)):
        logs = 2 * tolerances.log_probability_tolerance(None, side)
        in_X = tolerances.input_gradient_tolerance(None, side) + (rounded if found == 2 else 0.0)
        for name, expected in zip("XTs", (in_X, s[:, None] * logs, (T * logs).sum(axis=1)), strict=True):
            alike(seen[f"gradient in {name}, jax.grad of our loss", sides.REVERSE][found], expected)
