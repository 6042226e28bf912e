"""The columns a fit works in: the same logits in other letters; nothing is said about other numbers than the user's."""

import warnings
from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.methods import OWN_METHODS
from helpers.stages import fast
from jaxsoftmax.calculus.loss.null_space import row_space
from jaxsoftmax.problem import arrays
from jaxsoftmax.training import columns as columns_module
from jaxsoftmax.training.columns import Columns, ExactData, exact_data, exactly_in_columns, in_columns, working_columns
from jaxsoftmax.training.end_point import evaluate, separates, slope_at
from jaxsoftmax.training.result import Status

RNG = np.random.default_rng(0)
# The price example: float32 has one number for the whole column. The minimum is that of the column less 10⁹.
PRICE = np.column_stack([1e9 + RNG.normal(size=300), RNG.normal(size=300)])
BOUGHT = PRICE[:, 0] - 1e9 + PRICE[:, 1] + RNG.logistic(size=300) > 0
NEAR = PRICE - [1e9, 0]


def exact_logits(W, X, shift, unit):
    """Σ_d w_d (x_d − m_d)/σ_d + b in rationals, the twin; X without the column of ones."""
    out = []
    for x in X:
        u = [
            (Fraction(float(v)) - Fraction(float(m))) / Fraction(float(s))
            for v, m, s in zip(x, shift, unit, strict=False)
        ] + [1]
        out.append([sum(Fraction(float(w)) * v for w, v in zip(row, u, strict=True)) for row in W])
    return out


def test_weights_translate_both_ways_within_the_rounding_of_the_intercept():
    """z = Σ (w_d σ_d) u_d + (b + Σ w_d m_d), exactly but for one rounding of the intercept."""
    columns = Columns(np.array([1e9, -0.1, 0.0, 0.0]), np.array([1.0, 2.0**-70, 2.0**90, 1.0]))
    X = RNG.normal(size=(3, 3)) * [1.0, 1e-21, 1e27] + columns.shift[:3]
    for translate, before, after in (
        (columns.inward, (np.zeros(4), np.ones(4)), (columns.shift, columns.unit)),
        (columns.outward, (columns.shift, columns.unit), (np.zeros(4), np.ones(4))),
    ):
        W = RNG.normal(size=(2, 4))
        V = translate(W)
        np.testing.assert_array_equal(V[:, :3], (W * after[1] / before[1])[:, :3])  # w_d u_d stays
        ones, others = exact_logits(W, X, *before), exact_logits(V, X, *after)
        for row, other in zip(ones, others, strict=True):
            for c in range(2):
                assert abs(row[c] - other[c]) <= Fraction(float(np.spacing(abs(V[c, -1])))) / 2


def test_the_intercept_is_rounded_once_and_overflows_to_infinity():
    columns = Columns(np.array([1e16, 1e16, 0.0]), np.ones(3))
    assert columns.inward([[1.0, -1.0, 2.0**-60]]).tolist() == [[1.0, -1.0, 2.0**-60]]  # in floats the sum is 0
    assert columns.inward([[1e300, 0.0, 0.0]])[0, -1] == np.inf
    assert np.isnan(columns.inward([[np.nan, 0.0, 0.0]])[0, -1])


def test_the_gradient_is_translated_by_the_chain_rule():
    columns = Columns(np.array([3.0, 0.0, 0.0]), np.array([2.0, 0.5, 1.0]))
    assert columns.gradient_outward(np.array([[1.0, 4.0, 10.0]])).tolist() == [[32.0, 2.0, 10.0]]


def test_what_is_shifted_and_scaled():
    """Means beyond four deviations where there is an intercept; units where squares would leave the dtype."""
    t = np.tile([-1.0, 1.0], 4)
    X = np.column_stack([t + 3.9, t + 4.1, 7.0 + 0 * t, t * 1e-20, t * 1e11, 1e30 + 1e16 * t])
    y = np.arange(8) // 4
    s = np.append(np.ones(8), 0.0)
    X, y = np.vstack([X, np.full(6, -1e30)]), np.append(y, 0)  # a sample of weight 0 counts for nothing
    made = working_columns(js.Problem.from_labels(X, y, sample_weight=s))
    assert made.shift == pytest.approx([0.0, 4.1, 7.0, 0.0, 0.0, 1e30, 0.0], rel=1e-15, abs=0)
    assert made.unit[[0, 1, 2, 6]].tolist() == [1.0] * 4
    size = np.array([1e-20, 1e11, 1e16])
    assert (np.abs(size / made.unit[3:6]) <= 1).all() and (np.abs(size / made.unit[3:6]) > 0.25).all()
    penalised = working_columns(js.Problem.from_labels(X, y, sample_weight=s, regularizer=js.L2(1.0)))
    assert penalised.shift.tolist() == made.shift.tolist() and (penalised.unit == 1).all()
    for other in (
        js.Problem.from_labels(X, y, sample_weight=s, intercept=False),
        js.Problem.from_labels(X, y, sample_weight=s, regularizer=js.L2(1.0, penalize_intercept=True)),
        js.Problem.from_labels(X, y, sample_weight=s, regularizer=js.SelfRegularizer(1.0)),
    ):
        assert not working_columns(other).shift.any()


def test_one_entry_of_many_may_bring_odd_units():
    """2³³ among 1,023 zeros: the root mean square is 32 times smaller; units are taken out beyond 2³².

    The largest entry decides, the moments know only its root mean square; what they cannot exclude is looked at.
    """
    for entry, unit in ((2.0**33, 2.0**34), (2.0**-41, 2.0**-40), (2.0**31, 1.0), (2.0**-31, 1.0)):
        x = np.zeros((1024, 1), np.float32)
        x[7] = entry
        problem = js.Problem.from_labels(x, np.arange(1024) % 2, intercept=False, dtype="float32")
        assert working_columns(problem).unit.tolist() == [unit]


def test_columns_in_ordinary_units_are_not_read_again(monkeypatch):
    """The moments alone say that ±2²⁰ is not odd in float32; 2³⁰ may be, by its root mean square."""

    def read(X):
        raise AssertionError("read")

    monkeypatch.setattr(columns_module, "float64_blocks", read)
    t = np.tile([-1.0, 1.0], 8)[:, None]
    for size in (2.0**-20, 1.0, 2.0**20):
        problem = js.Problem.from_labels(np.float32(size * t), np.arange(16) % 2, intercept=False)
        assert working_columns(problem).as_given
    with pytest.raises(AssertionError, match="read"):
        working_columns(js.Problem.from_labels(np.float32(2.0**30 * t), np.arange(16) % 2, intercept=False))


def test_a_column_may_be_shifted_and_scaled_at_once():
    """u = (x − m)/σ: 10³⁰ ± 10²⁹ in float32 is ±10²⁹/2^97; the same numbers from the working columns of the problem."""
    t = np.tile([-1.0, 1.0], 4)
    problem = js.Problem.from_labels((1e30 + 1e29 * t)[:, None].astype(np.float32), [0, 1] * 4)
    columns = working_columns(problem)
    assert columns.shift[0] > 9e29 and columns.unit[0] == 2.0**97
    u = columns.matrix(problem, np.float64)[:, 0]
    np.testing.assert_array_equal(u, (problem.host.X[:, 0].astype(float) - columns.shift[0]) / columns.unit[0])
    # float32 holds 10^30 to 2^-24 of it, ten times as much of the difference
    np.testing.assert_allclose(u, 1e29 / 2.0**97 * t, rtol=20 * 2.0**-24)


def test_columns_that_are_near_stay_as_they_are():
    problem = js.Problem.from_labels(NEAR, BOUGHT)
    assert in_columns(problem, working_columns(problem)) is problem


def test_the_matrix_is_made_from_the_numbers_given(monkeypatch, x64):
    """In float64 before anything is rounded; a problem rebuilt by JAX has only its stored numbers. In any blocks."""
    monkeypatch.setattr(arrays, "_BLOCK", 100)
    problem = js.Problem.from_labels(PRICE, BOUGHT, dtype="float32", label_smoothing="0.1", regularizer=js.L2(0.1))
    columns = working_columns(problem)
    m = columns.shift[0]
    assert m == pytest.approx(np.mean(PRICE[:, 0]), rel=1e-15)
    wanted = np.column_stack([PRICE[:, 0] - m, PRICE[:, 1], np.ones(300)])
    exact = exactly_in_columns(problem, columns)
    np.testing.assert_array_equal(exact.X, wanted)
    assert exact.regularizer[0].alpha == 0.1 and float(np.asarray(exact.T).min()) == 0.05
    np.testing.assert_array_equal(in_columns(problem, columns).X, wanted.astype(np.float32))
    rebuilt = problem.replace(sample_weight=np.ones(300))
    assert rebuilt.host is None
    np.testing.assert_array_equal(exactly_in_columns(rebuilt, columns).X[:, 0], np.float32(PRICE[:, 0]) - m)


@pytest.fixture(scope="module")
def minimum():
    """The minimum of the price example, from the column less 10⁹ in float64."""
    with jax.enable_x64(True):
        return js.fit(js.Problem.from_labels(NEAR, BOUGHT)).loss


METHODS = [(False, "newton"), *((False, m) for m in OWN_METHODS if m != "newton"), (True, "gd"), (True, "newton")]


@pytest.mark.slow_cases("False-newton")
@pytest.mark.parametrize(("whiten", "method"), fast(METHODS, 0))
def test_converged_is_about_the_numbers_given(method, whiten, minimum):
    """S13: 157.05 is the minimum; float32's own numbers have 188.03. Said to be converged only at the former."""
    result = js.fit(js.Problem.from_labels(PRICE, BOUGHT), method, whiten=whiten, max_steps=2000)
    Z = PRICE @ result.W[:, :2].T + result.W[:, 2]  # the logits of W on the data as given: 10⁹ + b, b rounded
    own = Z[np.arange(300), BOUGHT.astype(int)]
    loss = float(np.sum(np.logaddexp(Z[:, 0], Z[:, 1]) - own))
    assert result.loss == pytest.approx(loss, abs=300 * 1e9 * 2.0**-50)
    assert result.loss >= minimum - 1e-6
    if result.loss < 2 * minimum:  # half the squared Newton decrement is good only where it is small
        assert result.gap_estimate == pytest.approx(result.loss - minimum, rel=0.5, abs=1e-5)
    if result.converged:
        assert result.loss - minimum < 1e-3
    if whiten or method in ("newton", "newton-cg", "mm"):
        assert result.converged and result.status is Status.GRADIENT_TOLERANCE
        assert result.loss - minimum < 1e-5


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(1e12 + 7.0 * np.arange(300), id="identities"),
        pytest.param(1.7e12 + 600.0 * np.arange(300), id="timestamps", marks=pytest.mark.slow),
        pytest.param(1e-46 * np.arange(300), id="tiny", marks=pytest.mark.slow),
    ],
)
def test_far_and_tiny_columns_train_in_float32(column):
    """In each the column runs evenly, so that the minimum is that of 0, 1, 2, …"""
    evenly = np.column_stack([np.arange(300.0), NEAR[:, 1]])
    far = js.fit(js.Problem.from_labels(np.column_stack([column, NEAR[:, 1]]), BOUGHT))
    near = js.fit(js.Problem.from_labels(evenly, BOUGHT))
    assert far.converged and near.converged
    assert far.loss == pytest.approx(near.loss, rel=1e-6)


@pytest.mark.slow
def test_separation_that_float32_cannot_see_is_seen():
    """S12 on the data as given: the identities separate the classes, in float32 they are one number."""
    X = (1e12 + np.arange(40.0))[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", js.NoMinimizerWarning)
        result = js.fit(js.Problem.from_labels(X, np.arange(40) > 19))
    assert result.status is Status.DIVERGING and not result.converged
    assert result.existence.type == "complete"


@pytest.mark.slow
def test_a_gradient_that_is_small_in_rounded_numbers_alone_has_stalled():
    """bfloat16 holds the features to three digits: the loop is at rest there, and on the data as given it is not."""
    result = js.fit(js.Problem.from_labels(NEAR, BOUGHT, dtype="bfloat16"), "gd", tol=1e-6)
    assert result.status is Status.STALLED and result.scaled_gradient > 2e-6
    assert "on the data as given it is larger" in result.reason
    assert abs(result.loss - result.loss_in_training) > 1e-3
    assert "in training, on rounded numbers" in " ".join(repr(result).split())


def test_the_rounding_of_a_far_intercept_is_no_stall(x64):
    """In float64 too the intercept near -10⁹ has an ulp of 10⁻⁷: the tolerance was reached all the same."""
    result = js.fit(js.Problem.from_labels(PRICE, BOUGHT))
    assert result.status is Status.GRADIENT_TOLERANCE and result.converged
    assert result.scaled_gradient > 2 * np.finfo(float).eps ** (2 / 3)


@pytest.mark.slow_cases("uint8", "float32")
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_numbers_that_are_stored_as_given_are_not_copied(dtype, x64):
    """The end point in float64 reads the stored X, which holds the numbers given, and says what a float64 X says."""
    X = np.clip(NEAR * 20 + 50, 0, 255).astype(dtype)
    problem = js.Problem.from_labels(X, BOUGHT, dtype="float32", regularizer=js.L2(1.0))
    data = exact_data(problem, working_columns(problem))
    assert data.problem.X is problem.X and data.problem.dtype == np.float64 and not list(data.more())
    whole = ExactData(js.Problem.from_labels(X.astype("float64"), BOUGHT, regularizer=js.L2(1.0)), lambda: iter(()))
    W = np.array([[0.01, -0.02, 0.3], [0.0, 0.01, -0.1]])
    found, wanted = (evaluate(part, W, slope_at(part, W)) for part in (data, whole))
    assert found.loss == pytest.approx(wanted.loss, rel=1e-14) and found.q == pytest.approx(wanted.q, rel=1e-10)
    np.testing.assert_allclose(found.gradient, wanted.gradient, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["float64", "far"])
def test_data_in_blocks_say_what_they_say_whole(given, x64, monkeypatch):
    """Loss, gradient, q, gap and separation summed over blocks of rows are those of the whole, and so is the rank."""
    data = (PRICE if given == "far" else NEAR).astype("float64")
    s = np.linspace(0, 2, 300)
    problem = js.Problem.from_labels(data, BOUGHT, dtype="float32", sample_weight=s, regularizer=js.LogCosh(0.1, 2.0))
    columns = working_columns(problem)
    whole = exact_data(problem, columns)
    monkeypatch.setattr(columns_module, "WHOLE", 0)
    monkeypatch.setattr(arrays, "_BLOCK", 100)
    blocks = exact_data(problem, columns)
    assert not list(whole.more())
    assert sum(part.N for part in blocks.more()) >= 300
    assert len({part.N for part in blocks.more()}) == 1
    W = np.array([[0.1, -0.2, 0.3], [0.0, 0.1, -0.1]])
    found, wanted = (evaluate(part, W, slope_at(part, W)) for part in (blocks, whole))
    assert found.loss == pytest.approx(wanted.loss, rel=1e-13)
    np.testing.assert_allclose(found.gradient, wanted.gradient, rtol=0, atol=1e-11)
    for name in ("q", "gap", "spread"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-8)
    assert row_space(blocks.problem).rank == row_space(whole.problem).rank == 3
    assert not separates(blocks, W)


def test_separation_in_blocks_is_of_every_block(x64, monkeypatch):
    """One sample on the wrong side, in whichever block, and the weights separate nothing."""
    monkeypatch.setattr(columns_module, "WHOLE", 0)
    monkeypatch.setattr(arrays, "_BLOCK", 20)
    X = np.linspace(-3, 3, 40)[:, None]
    for wrong in (None, 0, 39):
        y = (X[:, 0] > 0).astype(int)
        if wrong is not None:
            y[wrong] = 1 - y[wrong]
        problem = js.Problem.from_labels(X, y, dtype="float32")
        data = exact_data(problem, working_columns(problem))
        assert separates(data, np.array([[-1.0, 0.0], [1.0, 0.0]])) == (wrong is None)


def test_a_mean_of_five_standard_deviations_is_taken_out():
    """FAR is four: (mean²)/(mean square) is 16/17 there, and 25/26 here."""
    X = np.tile([[4.0], [6.0]], (10, 1))
    assert working_columns(js.Problem.from_labels(X, np.arange(20) % 2)).shift.tolist() == [5.0, 0.0]
    X = np.tile([[2.0], [4.0]], (10, 1))  # three standard deviations stay
    assert working_columns(js.Problem.from_labels(X, np.arange(20) % 2)).as_given


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_column_that_only_the_largest_weights_make_matter_is_refused(dtype):
    """Below 2⁻¹⁰⁰⁰ it would be trained as zeros; at 2⁻⁹⁹⁰ it is trained on, in other units."""
    x = np.arange(6.0)
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", js.RoundedDataWarning)
        make = lambda unit: js.Problem.from_labels(  # noqa: E731
            np.column_stack([x, x * unit]), [0, 1, 0, 1, 0, 1], dtype=dtype, feature_names=["a", "b"]
        )
        with pytest.raises(ValueError, match=r"^problem: column 'b' of X has no entry above .* other units"):
            working_columns(make(1e-304))
        assert working_columns(make(1e-299)).unit[1] < 1e-290
        assert working_columns(make(1e-318)).unit.tolist() == [1, 1, 1]  # no double makes it matter
        assert working_columns(make(0.0)).as_given


def test_a_constant_column_is_shifted_to_zeros():
    """S6: its mean is its one number, though sums of tenths are rounded: what is left would count as a direction."""
    rounded = 0
    for N in range(3, 40):
        x = np.full((N, 1), 0.1)
        rounded += bool(x.sum(axis=0)[0] / N != 0.1)
        assert working_columns(js.Problem.from_labels(x, np.arange(N) % 2)).shift.tolist() == [0.1, 0.0]
    assert rounded


def test_the_largest_doubles_have_a_unit(x64):
    """2¹⁰²⁴ is no double: from 2¹⁰⁰⁰ on the unit is that."""
    x = np.array([[1.5 * 2.0**1023], [0.0], [1.0], [0.0]])
    assert working_columns(js.Problem.from_labels(x, [0, 1, 0, 1], intercept=False)).unit.tolist() == [2.0**1000]
