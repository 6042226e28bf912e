"""S22: the coefficients' table against loops over observations, in either gauge, any dtype and any columns."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy import stats

import jaxsoftmax as js
from helpers import naive_inference as naive
from jaxsoftmax.calculus.loss.null_space import row_space
from jaxsoftmax.uncertainty.coordinates import Coordinates, face_coordinates, full_coordinates
from jaxsoftmax.uncertainty.inference import _has_bias
from jaxsoftmax.uncertainty.likelihood import likelihood_of
from jaxsoftmax.uncertainty.maximum import _inverse, climb, objective_of
from jaxsoftmax.uncertainty.wald import wald

RNG = np.random.default_rng(22)
X = RNG.normal(size=(60, 2))
LABELS = RNG.integers(3, size=60)
NAMES = ["red", "green", "blue"]


def problem_of(X=X, labels=LABELS, **options):
    return js.Problem.from_labels(X, np.array(["a", "b", "c"])[labels], feature_names=NAMES[: X.shape[1]], **options)


def table_of(problem, fit=naive.fitted, **options):
    with jax.enable_x64(problem.dtype == np.float64):
        return js.inference(problem, fit(problem), **options)


@pytest.fixture(scope="module")
def twin():
    """B, information, covariance and loss by loops, class a as reference."""
    ones = np.column_stack([X, np.ones(len(X))])
    B = naive.maximum(ones, LABELS, 3)
    H = naive.information(B, ones)
    return B, H, np.linalg.inv(H), naive.loss(B, ones, LABELS)


def test_the_table_is_that_of_the_loops(twin):
    """S22: coefficients, covariance, errors, z, p and limits, from a float32 fit."""
    B, H, covariance, loss = twin
    table = table_of(problem_of(), level=0.9)
    close = naive.rounding(H, 60)
    errors = np.sqrt(np.diagonal(covariance)).reshape(2, 3)
    assert table.classes == ("b", "c") and table.features == ("red", "green", "intercept") and table.reference == "a"
    # A coefficient's error: that of the gradient, eps times the sum of its terms, times the covariance's norm.
    gradient = 60 * naive.EPS * np.abs(np.column_stack([X, np.ones(60)])).sum()
    np.testing.assert_allclose(table.coefficients, B, rtol=0, atol=np.abs(covariance).sum(axis=1).max() * gradient)
    np.testing.assert_allclose(table.covariance, covariance, rtol=0, atol=close * np.abs(covariance).max())
    np.testing.assert_allclose(table.standard_errors, errors, rtol=close)
    np.testing.assert_allclose(table.z, B / errors, rtol=1e-9)  # the coefficient's absolute error by its size
    np.testing.assert_allclose(table.p_values, 2 * stats.norm.sf(np.abs(B / errors)), rtol=1e-8)
    reach = stats.norm.ppf(0.95) * errors
    np.testing.assert_allclose(table.upper - table.coefficients, reach, rtol=10 * close)
    np.testing.assert_allclose(table.coefficients - table.lower, reach, rtol=10 * close)
    assert table.identified.all() and table.attained
    assert table.log_likelihood == pytest.approx(-loss, rel=60 * naive.EPS)
    assert table.relative_error < 1e-11


def test_the_numbers_of_the_model(twin):
    """S22: the null model has the classes' shares, (C − 1) R parameters, χ² with (C − 1)(R − 1) degrees."""
    _, _, _, loss = twin
    table = table_of(problem_of())
    counts = np.bincount(LABELS)
    null = sum(count * np.log(count / 60) for count in counts)
    assert table.log_likelihood_null == pytest.approx(null, rel=1e-14)
    assert (table.n, table.parameters, table.lr_degrees_of_freedom) == (60, 6, 4)
    assert table.lr_statistic == pytest.approx(2 * (-loss - null), rel=1e-11)  # two losses of 60 cancel to 3
    assert table.lr_p_value == pytest.approx(stats.chi2.sf(table.lr_statistic, 4), rel=1e-11)
    assert table.mcfadden == pytest.approx(1 - loss / -null, rel=1e-11)
    assert table.aic == pytest.approx(12 + 2 * loss, rel=1e-13)
    assert table.bic == pytest.approx(6 * np.log(60) + 2 * loss, rel=1e-13)


@pytest.mark.parametrize("reference", ["b", "c", "sum"])
def test_another_gauge_is_a_linear_map(twin, reference):
    """S22, S3: w_c − w_r, or w_c less the mean, with the covariance carried along exactly."""
    B, H, covariance, _ = twin
    W = np.vstack([np.zeros(3), B])
    table = table_of(problem_of(), reference=reference)
    if reference == "sum":
        G = np.eye(3) - 1 / 3
        assert table.classes == ("a", "b", "c")
    else:
        r = "abc".index(reference)
        G = np.delete(np.eye(3) - np.eye(3)[r], r, axis=0)
        assert table.classes == tuple(name for name in "abc" if name != reference)
    A = np.kron(G[:, 1:], np.eye(3))
    close = 10 * naive.rounding(H, 60)
    np.testing.assert_allclose(table.coefficients, G @ W, rtol=0, atol=1e-12)  # as above, of size 1
    np.testing.assert_allclose(table.covariance, A @ covariance @ A.T, rtol=0, atol=close * np.abs(covariance).max())


def test_sum_to_zero_is_the_pseudo_inverse():
    """S22, S6: the covariance of the sum-to-zero gauge is H⁺ of the whole dense Hessian."""
    problem = problem_of()
    table = table_of(problem, reference="sum")
    with jax.enable_x64(True):
        wide = problem.astype("float64")
        H = np.asarray(js.hessian(table.coefficients, wide).to_dense())
    values = np.linalg.eigvalsh(H)
    expected = np.linalg.pinv(H, rcond=1e-10, hermitian=True)  # three zeros, and the rest within a factor 100
    allowed = 9 * naive.EPS * values[-1] / values[3] * 60 * np.abs(expected).max()
    np.testing.assert_allclose(table.covariance, expected, rtol=0, atol=allowed)


@pytest.mark.slow
def test_float32_and_float64_fits_have_one_table():
    """S22: the table is that of the maximum for the data given, whatever the fit was trained in."""
    narrow = table_of(problem_of(), js.fit)
    with jax.enable_x64(True):
        wide = table_of(problem_of(), js.fit)
    assert wide.coefficients.dtype == np.float64
    np.testing.assert_allclose(narrow.coefficients, wide.coefficients, rtol=1e-10)
    np.testing.assert_allclose(narrow.standard_errors, wide.standard_errors, rtol=1e-10)


def test_far_and_scaled_features_keep_their_digits():
    """S22: x -> 10^6 + x/1000 multiplies a slope and its error by 1000; the intercept's error is that far out."""
    # Exact in doubles: what is moved is rounded to the grid 2^-20 first.
    grid = np.round(X * 2**20) / 2**20
    near = table_of(problem_of(grid))
    with jax.enable_x64(True):
        far = table_of(problem_of(grid / 1024 + 2.0**20))
    np.testing.assert_allclose(far.coefficients[:, :2], 1024 * near.coefficients[:, :2], rtol=1e-9)
    np.testing.assert_allclose(far.standard_errors[:, :2], 1024 * near.standard_errors[:, :2], rtol=1e-9)
    A = np.eye(3)
    A[2, :2] = -(2.0**30)
    for k in range(2):
        block = near.covariance[3 * k : 3 * k + 3, 3 * k : 3 * k + 3]
        expected = np.sqrt(A[2] @ block @ A[2])
        assert far.standard_errors[k, 2] == pytest.approx(expected, rel=1e-9)


def test_weights_are_frequencies():
    """S22: a sample of weight 3 is three samples, one of weight 0 is none."""
    s = RNG.integers(4, size=60)
    s[:3] = [0, 1, 3]
    weighted = table_of(problem_of(sample_weight=s))
    repeated = table_of(problem_of(np.repeat(X, s, axis=0), np.repeat(LABELS, s)))
    assert weighted.n == repeated.n == s.sum()
    for field in ("coefficients", "standard_errors", "log_likelihood", "log_likelihood_null", "bic", "lr_statistic"):
        np.testing.assert_allclose(getattr(weighted, field), getattr(repeated, field), rtol=1e-10)


def test_counts_are_their_observations():
    """S22: rows of shares with the totals as weights are the observations listed one by one."""
    counts = RNG.integers(5, size=(12, 3)) + (np.arange(3) == 0)
    few = np.round(RNG.normal(size=(12, 2)), 2)
    totals = counts.sum(axis=1)
    counted = js.Problem(few, counts / totals[:, None], intercept=True, sample_weight=totals)
    rows, labels = naive.listed(few, counts / totals[:, None], totals)
    one_by_one = js.Problem.from_labels(rows, labels)
    first, second = table_of(counted), table_of(one_by_one)
    assert first.classes == second.classes == (1, 2) and first.features == ("x0", "x1", "intercept")
    for field in ("coefficients", "standard_errors", "log_likelihood", "aic"):
        np.testing.assert_allclose(getattr(first, field), getattr(second, field), rtol=1e-10)
    counted_robust, listed_robust = (table_of(p, covariance="robust").covariance for p in (counted, one_by_one))
    np.testing.assert_allclose(counted_robust, listed_robust, rtol=1e-8, atol=1e-10 * np.abs(listed_robust).max())


def test_what_others_span_is_not_identified():
    """S22, S6: with R < D the spanned features have no numbers, the others those of the fit without it."""
    doubled = np.column_stack([X, X[:, 1] * 3 + 2])
    table, without = table_of(problem_of(doubled)), table_of(problem_of(X))
    assert table.identified.tolist() == [[True, False, False, False]] * 2
    np.testing.assert_allclose(table.coefficients[:, 0], without.coefficients[:, 0], rtol=1e-9)
    np.testing.assert_allclose(table.standard_errors[:, 0], without.standard_errors[:, 0], rtol=1e-9)
    assert np.isnan(table.coefficients[:, 1:]).all() and np.isnan(table.standard_errors[:, 1:]).all()
    assert np.isnan(table.p_values[:, 1:]).all() and np.isnan(table.covariance[0, 1:4]).all()
    assert (table.parameters, table.lr_degrees_of_freedom) == (6, 4)
    assert "not identified" in repr(table) and "green, blue, intercept" in repr(table)


@pytest.mark.slow
def test_nearly_dependent_columns_beside_a_spanned_one_are_identified():
    """S22, S6: the null space of a, a + 2⁻¹⁴b, c, c is turned by eps times the condition, 2¹⁵ or so, not more."""
    b = RNG.normal(size=60)
    near = np.column_stack([X[:, 0], X[:, 0] + 2.0**-14 * b])
    with jax.enable_x64(True):
        table = table_of(js.Problem.from_labels(np.column_stack([near, X[:, 1], X[:, 1]]), LABELS), js.fit)
    assert table.identified.tolist() == [[True, True, False, False, True]] * 2


def test_without_an_intercept_there_is_no_null_model():
    """S22: McFadden's null model needs a bias; columns that sum to a constant are one."""
    assert table_of(problem_of(intercept=False)).mcfadden is None
    parts = np.column_stack([X[:, 0], 0.3 - X[:, 0] / 7])
    bias = table_of(problem_of(parts, intercept=False))
    named = table_of(problem_of(X[:, :1]))
    assert bias.mcfadden == pytest.approx(named.mcfadden, rel=1e-9)
    assert bias.lr_degrees_of_freedom == 2


@pytest.mark.slow
def test_columns_that_make_a_constant_by_large_weights_are_a_bias(x64):
    """S22: 2¹²(b − a) = 1 makes a constant, up to rounding of 2¹² times the columns."""
    pair = np.column_stack([X[:, 0], X[:, 0] + 2.0**-12])
    table = table_of(js.Problem.from_labels(pair, LABELS, intercept=False), js.fit)
    assert table.mcfadden is not None and table.lr_degrees_of_freedom == 2


def test_columns_of_any_unit_make_a_constant():
    """x and 1 − x are a bias in units of 10⁻³⁰ and 10³⁰ too; x alone is none in either."""
    x = np.random.default_rng(0).random(20)
    for unit in (1.0, 1e-30, 1e30):
        both, alone = np.column_stack([unit * x, 1 - x]), unit * x[:, None]
        for X, bias in ((both, True), (alone, False)):
            assert _has_bias(SimpleNamespace(given=SimpleNamespace(intercept=False), X=X)) is bias


def test_p_values_far_out_keep_their_digits():
    """S22: erfc(|z|/√2), not 1 − erf, which has no digit left at z = 8 and is 0 at 10; z may be off by an ulp."""
    z = np.array([8.0, 10.0, 30.0])
    np.testing.assert_allclose(wald(z, np.ones(3), 0.95).p_values, 2 * stats.norm.sf(z), rtol=1e-12)


def test_the_rounding_of_a_far_intercept_is_allowed_for():
    """b − w·10⁹ is rounded to 10⁻⁷, which moves the loss by no more than n times that: no fit of other data."""
    rng = np.random.default_rng(4)
    x, labels = rng.normal(size=(30, 1)), rng.integers(2, size=30)
    near = naive.fitted(js.Problem.from_labels(x, labels))
    problem = js.Problem.from_labels(x + 1e9, labels)
    W = near.W - np.column_stack([np.zeros(2), near.W[:, 0] * 1e9])
    table = js.inference(problem, dataclasses.replace(near, W=W))
    # x + 10⁹ is rounded, too, by 6·10⁻⁸.
    np.testing.assert_allclose(table.coefficients[0, 0], near.W[1, 0] - near.W[0, 0], rtol=1e-5)


def test_what_the_data_see_is_relative_to_the_length_of_a_functional():
    """S6: a part 10⁻⁵ outside the basis is not identified and one of 10⁻²⁰ is, however small or large the units."""
    space = Coordinates(2, 0, np.ones(2), np.array([[1.0], [0.0]]), 1e-10, 1)
    features = np.array([[1e-30, 1e-35], [1e30, 1e10], [1.0, 1e-5], [1.0, 1e-20]])
    assert space.seen(np.array([[-1.0, 1.0]]), features).tolist() == [False, True, False, True]


def test_a_loss_of_other_data_is_one_beyond_the_rounding_of_both():
    """S1: n + C units of the loss and, for each sample, 2 (D + 4) of its logits' terms and of the intercept; 4 eps."""
    problem = problem_of()
    fit = naive.fitted(problem)
    V, ones = fit.W - fit.W[:1], np.column_stack([X, np.ones(60)])
    here = naive.loss(V[1:], ones, LABELS)
    logits = np.abs(ones) @ np.abs(V).max(axis=0) + np.abs(fit.W[:, -1]).max()
    allowed = 4 * naive.EPS * ((60 + 3) * here + 2 * (3 + 4) * logits.sum())
    js.inference(problem, dataclasses.replace(fit, loss=here + 0.99 * allowed))
    with pytest.raises(ValueError, match=r"^fit: its loss is"):
        js.inference(problem, dataclasses.replace(fit, loss=here + 1.01 * allowed))


@pytest.mark.parametrize("unit", [1.0, 2.0**-40])
def test_the_error_of_a_covariance_is_eps_times_the_condition_in_any_units(unit):
    """S22: H = [[1, c], [c, 1]] has the condition (1 + c)/(1 − c) in the 1-norm; beyond 10⁻² it is refused."""
    for apart, known in ((2.0**-20, True), (2.0**-42, True), (2.0**-46, False)):
        H = np.array([[1.0, (1 - apart) * unit], [(1 - apart) * unit, unit**2]])
        if known:
            # The inverse itself is known to the error told.
            assert _inverse(H)[1] == pytest.approx(2 * naive.EPS * (2 - apart) / apart, rel=1e-2)
        else:
            with pytest.raises(ValueError, match=r"^problem: its information matrix is singular"):
                _inverse(H)


def test_what_counts_as_seen_grows_with_the_samples_and_their_condition():
    """S6: max(n, D) eps times the condition of the row space, by which its null space may be turned; 10⁻³ at most."""
    for apart, least in ((2.0**-14, 1e4), (2.0**-42, 1e12)):
        near = np.column_stack([X[:, 0], X[:, 0] + apart * X.prod(axis=1), X[:, 1], X[:, 1]])
        with jax.enable_x64(True):
            data = likelihood_of(js.Problem.from_labels(near, LABELS))
            condition = row_space(data.problem).condition
            found = full_coordinates(data).tolerance
        assert condition > least
        assert found == pytest.approx(min(60 * naive.EPS * condition, 1e-3), rel=1e-12)


def test_separated_data_have_infinite_coefficients_in_their_direction():
    """S11: the larger x, the more likely class b: against a its slope runs to +inf, and a's against b to -inf."""
    problem = js.Problem.from_labels(np.arange(4.0)[:, None], ["a", "a", "b", "b"])
    fit = naive.fitted(problem)
    for reference, slope in (("a", np.inf), ("b", -np.inf)):
        table = js.inference(problem, fit, reference=reference)
        assert table.coefficients.tolist() == [[slope, -slope]] and not table.attained


@pytest.mark.parametrize("far", [3.0, 30.0])
def test_a_climb_from_afar_ends_at_the_same_maximum(far):
    """Newton's full step leads away from there, and damped steps that do not shrink are not yet the end (S8)."""
    data = likelihood_of(js.Problem.from_labels(np.arange(8.0)[:, None], [0, 0, 1, 0, 1, 0, 1, 1]))
    space = full_coordinates(data)
    near = climb(objective_of(data, space), np.zeros(space.size))
    found = climb(objective_of(data, space), far * np.ones(space.size))
    # The last step moves no log-odds by more than 1e-10, and its error is the square of that.
    np.testing.assert_allclose(found.V @ data.X.T, near.V @ data.X.T, rtol=0, atol=1e-10)
    assert np.abs(found.objective.gradient(found.terms)).max() <= 1e-10 * np.abs(data.X).sum()


def test_a_climb_along_a_constraint_keeps_it_and_ends_where_the_gradient_is_its_multiple():
    """S22: with a·θ held the maximum has ∇ = λ a; from a point off it, and the functional stays what it was there."""
    maximum = table_of(problem_of()).maximum
    a, start = np.array([1.0, -2.0, 0.5, 0.0, 1.0, 3.0]), maximum.theta + 0.1
    held = climb(maximum.objective, start, a)
    assert a @ held.theta == pytest.approx(a @ start, rel=1e-12)
    gradient = maximum.objective.gradient(held.terms)
    multiple = gradient @ a / (a @ a)
    assert abs(multiple) > 1e-3
    # A last step below 10⁻¹⁰ log-odds leaves a gradient of rounding: eps times some hundred terms of size 2.
    np.testing.assert_allclose(gradient, multiple * a, rtol=0, atol=1e-11)


def test_coordinates_know_nothing_of_the_gauge():
    """S3: θ of W and of W + 1vᵀ are one; θ of the weights of θ is θ, class 1 having none."""
    space, theta = Coordinates(3, 1, np.array([2.0, 0.5]), None, 0.0, 2), np.array([1.0, -2.0, 3.0, 0.5])
    W = space.weights(theta)
    assert W[1].tolist() == [0.0, 0.0]
    assert space.of(W).tolist() == space.of(W + np.array([4.0, -8.0])).tolist() == theta.tolist()


def test_what_counts_as_seen_on_a_face_grows_with_its_condition():
    """S6, S11: where no class is left out the face is everything; of two classes its rows are those of X/σ."""
    near = np.column_stack([X[:, 0], X[:, 0] + 2.0**-14 * X.prod(axis=1)])
    with jax.enable_x64(True):
        data = likelihood_of(js.Problem.from_labels(near, LABELS > 0))
        space = face_coordinates(data, np.ones((60, 2), bool))
    sigma = np.linalg.svd(data.X / space.scale, compute_uv=False)
    assert sigma[0] > 1e4 * sigma[2] and space.size == 3
    assert space.tolerance == pytest.approx(60 * naive.EPS * sigma[0] / sigma[2], rel=1e-6)


def test_a_class_without_a_sample_has_no_part_in_the_null_model():
    """S22, S11: 0·log 0 is 0; the class's own coefficients run to infinity, and the others are theirs."""
    problem = js.Problem.from_labels(np.arange(4.0)[:, None], ["a", "b", "a", "b"], classes=["a", "b", "c"])
    table = js.inference(problem, naive.fitted(problem))
    assert table.log_likelihood_null == pytest.approx(4 * np.log(0.5), rel=1e-14)
    assert np.isfinite(table.standard_errors[0]).all() and not table.attained
