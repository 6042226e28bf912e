"""Curvature is never above the Hessian's and near it (S14, S15): pivots at 120 digits, exact pairs, roundings down."""

import itertools
from fractions import Fraction
from math import floor

import mpmath
import numpy as np
import pytest

from helpers.certificates.minimum_twins import DIGITS, Objective, as_mpf, drawn, integer_weights, is_definite
from jaxsoftmax.proof.minimum import class_graph
from jaxsoftmax.proof.minimum import curvature as module
from jaxsoftmax.proof.minimum.curvature import certify_curvature, scaling_exponents
from jaxsoftmax.proof.minimum.enclose import enclose

pytest.importorskip("flint")

PRECISION, BITS = 120, 160


def at_some_weights(seed, size=1.0, **given):
    """A drawn objective, its exact form, exponents, W as mpf and the probabilities enclosed."""
    objective = drawn(seed, **given)
    data, shape = objective.exact_form(), objective.shape
    exponents = scaling_exponents(data)
    W = integer_weights(np.ldexp(np.random.default_rng(seed).normal(0, size / 2, shape), -exponents), BITS)
    found = enclose(data, W, BITS, PRECISION)
    with mpmath.workdps(DIGITS):
        return objective, data, exponents, as_mpf(W, BITS), found.probabilities


def check_sharpness(seed):
    """μ is proved by the twin's pivots; full within 10 times the least eigenvalue, pairs within 1000."""
    objective, data, exponents, W, Y = at_some_weights(seed)
    with mpmath.workdps(DIGITS):
        least = objective.least_eigenvalue(W, exponents)
        for method, factor in (("full", 10), ("pairs", 1000)):
            found = certify_curvature(data, Y, PRECISION, exponents, method)
            assert found is not None and found.method == method
            assert objective.has_curvature(W, exponents, found.mu)
            assert float(found.mu) * factor >= least, (method, float(found.mu), least)
            if method == "full":
                # The guess gives a 64th away, the rounding to 12 bits less; what is left are weights off the grid.
                assert float(found.mu) >= 0.9 * least or min(objective.s) < Fraction(1, 1000)


@pytest.mark.parametrize("seed", range(20))
def test_never_above_and_near_the_least_eigenvalue(seed):
    check_sharpness(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 200))
def test_never_above_and_near_on_two_hundred_problems(seed):
    check_sharpness(seed)


@pytest.mark.parametrize(
    "case", [{"scale": 20, "own": None}, {"scale": -20, "own": None, "alpha": Fraction(1, 10)}], ids=str
)
def test_columns_of_any_scale(case):
    for method in ("full", "pairs"):
        objective, data, exponents, W, Y = at_some_weights(41, **case)
        found = certify_curvature(data, Y, PRECISION, exponents, method)
        assert found is not None
        with mpmath.workdps(DIGITS):
            assert objective.has_curvature(W, exponents, found.mu)


@pytest.mark.parametrize("seed", range(6))
def test_every_pair_and_the_laplacian_are_exact(seed):
    """M_ab ⪰ m Σ² with weights floor(2^b s l_a l_b) / 2^b, l two units below Y, and μ <= λ₂, all in fractions."""
    objective, data, exponents, _, Y = at_some_weights(seed)
    found = certify_curvature(data, Y, PRECISION, exponents, "pairs")
    C, K = objective.shape
    scale = Fraction(2) ** found.weight_bits
    low = [[max(Fraction(int(y) - 2, 2**PRECISION), Fraction(0)) for y in row] for row in Y]
    sigma = [Fraction(4) ** int(e) for e in exponents]
    assert len(found.pairs) == C - 1 and found.pairs == tuple(sorted(found.pairs, key=lambda pair: (pair.a, pair.b)))
    L = [[Fraction(0)] * C for _ in range(C)]
    for pair in found.pairs:
        w = [floor(s * y[pair.a] * y[pair.b] * scale) / scale for s, y in zip(objective.s, low, strict=True)]
        M = [[sum(v * x[d] * x[e] for v, x in zip(w, objective.X, strict=True)) for e in range(K)] for d in range(K)]
        for d in range(K):
            M[d][d] += objective.alpha / C * objective.penalised[d] - pair.m * sigma[d]
        assert is_definite(M)
        L[pair.a][pair.a] += pair.m
        L[pair.b][pair.b] += pair.m
        L[pair.a][pair.b] -= pair.m
        L[pair.b][pair.a] -= pair.m
    assert is_definite([[L[i][j] - found.mu * ((i == j) - Fraction(1, C)) for j in range(C - 1)] for i in range(C - 1)])
    second = np.linalg.eigvalsh(np.array(L, dtype=np.float64))[1]
    assert float(found.mu) >= 0.98 * second


@pytest.mark.parametrize("method", ["full", "pairs"])
def test_an_inflated_guess_is_not_believed(monkeypatch, method):
    """The guess is what floating point says, times 1.1 and more: the proof fails there, and a lower one is taken."""
    guess = module._provable
    for factor in (1.1, 1.9, 30.0):
        monkeypatch.setattr(module, "_provable", lambda N, metric, f=factor: f * guess(N, metric))
        heavy = {"alpha": Fraction(50), "intercept": False, "own": None, "C": 3, "weights": "ones"}
        for seed, given in ((0, {}), (1, {}), (2, {}), (3, heavy)):
            objective, data, exponents, W, Y = at_some_weights(seed, **given)
            found = certify_curvature(data, Y, PRECISION, exponents, method)
            with mpmath.workdps(DIGITS):
                assert found is None or objective.has_curvature(W, exponents, found.mu)


def test_an_inflated_guess_of_the_laplacian_is_not_believed(monkeypatch):
    """λ₂ of a path of three classes with weights 1 is 1; what is proved is below it, whatever the guess."""
    edges = [(0, 1, Fraction(1)), (1, 2, Fraction(1))]
    for factor in (1.0, 1.05, 1.5):
        monkeypatch.setattr(class_graph.np.linalg, "eigvalsh", lambda L, f=factor: np.array([0.0, f, 3.0]))
        found = class_graph.laplacian_bound(3, edges)
        assert Fraction(8, 10) < found < 1
    monkeypatch.setattr(class_graph.np.linalg, "eigvalsh", lambda L: np.array([0.0, 30.0, 3.0]))
    assert class_graph.laplacian_bound(3, edges) is None


@pytest.mark.parametrize("precision", [24, 60, 61, 120])
@pytest.mark.parametrize("seed", [0, 4, 24])
def test_grid_weights_are_rounded_down(seed, precision):
    """Never above floor(2^b s l_a l_b) with l = (Y − 2)/2^p, which a checker recomputes, and next to it."""
    objective, data, _, _, Y = at_some_weights(seed, weights="far" if seed == 24 else "fractions")
    Y = Y >> (PRECISION - precision)
    work = module._Weights(data, Y, precision)
    low = [[Fraction(max(int(y) - 2, 0), 2**precision) for y in row] for row in Y]
    places = Fraction(2) ** work.bits
    for a, b in itertools.combinations(range(objective.shape[0]), 2):
        found = work.integers(a, b, None)
        for n, (s, y) in enumerate(zip(objective.s, low, strict=True)):
            exact = s * y[a] * y[b] * places
            # The lower bounds are cut to 60 places, which costs s (y_a + y_b) 2^-60 at most.
            assert exact - 1 - s * (y[a] + y[b]) * places / 2**60 < found[n] <= floor(exact)


def test_some_of_the_rows_are_enough(monkeypatch):
    """Many columns: a pair's sum runs over rows of high leverage only, increasing, and the bound stays one."""
    monkeypatch.setattr(module, "_MANY_COLUMNS", 1)
    monkeypatch.setattr(module, "_ROWS_A_COLUMN", 2)
    objective, _data, exponents, W, Y = at_some_weights(5, K=2, intercept=False, own=None, alpha=Fraction(0))
    repeated = Objective(objective.X * 3, objective.T * 3, objective.s * 3, objective.alpha, objective.penalised)
    found = certify_curvature(repeated.exact_form(), np.vstack([Y] * 3), PRECISION, exponents, "pairs")
    for pair in found.pairs:
        assert len(pair.rows) == 4 and (np.diff(pair.rows) > 0).all()
    with mpmath.workdps(DIGITS):
        assert repeated.has_curvature(W, exponents, found.mu)


def test_no_curvature_no_proof():
    """Probabilities below every unit, dependent columns, a column of zeros: None, not a number."""
    _, data, exponents, _, Y = at_some_weights(6, alpha=Fraction(0), own=None)
    twice = data._replace(
        A=np.hstack([data.A, data.A[:, :1]]),
        scales=[*data.scales, data.scales[0]],
        penalised=np.append(data.penalised, False),
    )
    zero = twice._replace(A=np.hstack([data.A, 0 * data.A[:, :1]]))
    certain = np.zeros_like(Y)
    certain[:, 0] = 1 << PRECISION
    for method in ("full", "pairs"):
        assert certify_curvature(data, certain, PRECISION, exponents, method) is None
        for dependent in (twice, zero):
            assert certify_curvature(dependent, Y, PRECISION, scaling_exponents(dependent), method) is None


def test_with_a_penalty_dependent_columns_have_curvature():
    objective, _data, _exponents, W, Y = at_some_weights(7, alpha=Fraction(1, 10), own=None, intercept=True)
    X = [[row[0], Fraction(0), *row] for row in objective.X]
    wider = Objective(X, objective.T, objective.s, objective.alpha, [True, True, *objective.penalised])
    zero = mpmath.mpf(0)
    for method in ("full", "pairs"):
        wide = wider.exact_form()
        found = certify_curvature(wide, Y, PRECISION, scaling_exponents(wide), method)
        with mpmath.workdps(DIGITS):
            assert found is not None and wider.has_curvature(
                [[zero, zero, *row] for row in W], scaling_exponents(wide), found.mu
            )


def test_exponents_are_those_of_the_root_mean_squares():
    X = [[Fraction(10) ** k * v for k in (0, 20, -20, 400, -400)] + [Fraction(0)] for v in (1, -2, 3)]
    objective = Objective(X, [[Fraction(1, 2)] * 2] * 3, [Fraction(1)] * 3, Fraction(0), [False] * 6)
    for places in (np.arange(6), np.array([1]), np.array([2]), np.array([0, 5])):
        data = objective.exact_form().restricted(places)
        for e, d in zip(scaling_exponents(data), places, strict=True):
            square = sum(x[d] ** 2 for x in X) / 3 / Fraction(4) ** int(e)
            assert (e == 0 and d == 5) or Fraction(1, 2) * Fraction(99, 100) <= square <= 2 * Fraction(101, 100)


def test_the_tree_spans_and_takes_the_heaviest_pairs(monkeypatch):
    _objective, data, exponents, _, Y = at_some_weights(9, C=4, own=None)
    found = certify_curvature(data, Y, PRECISION, exponents, "pairs")
    weight = {
        pair: sum(float(y[pair[0]]) * float(y[pair[1]]) for y in Y) for pair in itertools.combinations(range(4), 2)
    }
    trees = [t for t in itertools.combinations(weight, 3) if len(set(itertools.chain(*t))) == 4 and _spans(t)]
    best = max(trees, key=lambda tree: sum(weight[pair] for pair in tree))
    assert {(pair.a, pair.b) for pair in found.pairs} == set(best)


def _spans(tree) -> bool:
    reached = {0}
    for _ in tree:
        reached |= {c for pair in tree if set(pair) & reached for c in pair}
    return len(reached) == 4


def test_rows_of_most_leverage_tell_the_curvature():
    """Of one column the leverage is s y_a y_b x²: the two rows where it is largest, in order; fewer are all taken."""
    half = [[Fraction(1, 2)] * 2] * 5
    s = [Fraction(v) for v in (1, 9, 1, 1, 30)]
    one = Objective([[Fraction(v)] for v in (4, 2, -3, 1, 1)], half, s, Fraction(0), [False]).exact_form()
    work = module._Weights(one, np.full((5, 2), 1 << 63, dtype=object), 64)
    weights = work.estimate(0, 1)
    np.testing.assert_allclose(weights, [float(v) / 4 for v in s], rtol=1e-15)  # y is two units of 2^-64 below ½
    # s x² = 16, 36, 9, 1, 30
    assert module._telling_rows(one, weights, np.zeros(1, int)).tolist() == [1, 4]
    assert module._telling_rows(one.restricted(np.array([0, 0, 0])), weights, np.zeros(3, int)) is None
    # A column that the weights leave nothing of takes no part, and divides by nothing.
    beside = one._replace(A=np.hstack([one.A, np.eye(5, 1, dtype=np.int64)]), scales=[1, 1])
    rows = module._telling_rows(beside, weights * [0, 1, 1, 1, 1], np.zeros(2, int))
    assert {1, 4} <= set(rows.tolist()) and len(rows) == 4
