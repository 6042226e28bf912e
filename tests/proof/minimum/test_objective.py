"""A problem's objective in exact numbers is the one that was meant: X, T, weights, L2, S21d's rows (S13, S21)."""

from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.minimum.objective import proof_data


def fractions_of(data):
    """Rows X, T, s of a ProofData as Fractions."""
    X = [[Fraction(int(a), q) for a, q in zip(row, data.scales, strict=True)] for row in data.A]
    T = [[Fraction(int(p), int(q)) for p in row] for row, q in zip(data.P, data.q, strict=True)]
    return X, T, [Fraction(int(s), data.s_den) for s in data.s_num]


def exactly(X, T=None, labels=None, decimal=False, **options):
    with jax.enable_x64(True):
        problem = js.Problem(X, T, **options) if labels is None else js.Problem.from_labels(X, labels, **options)
    return proof_data(ExactData(problem, decimal))


@pytest.mark.parametrize("decimal", [False, True])
def test_rows_weights_and_own_samples_are_those_given(decimal):
    """Rows of weight 0 go, tenths are doubles or decimals, γ e_d come last, the intercept's among them (S21d)."""
    X, weights = np.array([[0.1, 3.0], [0.7, -1.0], [0.2, 2.0]]), [0.3, 0.0, 1.5]
    data = exactly(
        X,
        labels=[0, 1, 2],
        label_smoothing="1/10",
        sample_weight=weights,
        regularizer=js.SelfRegularizer(0.3),
        decimal=decimal,
    )
    read = (lambda v: Fraction(str(v))) if decimal else Fraction
    found, T, s = fractions_of(data)
    gamma, zero = read(0.3), Fraction(0)
    own = [[gamma if d == e else zero for e in range(3)] for d in range(3)]
    assert found == [[read(0.1), 3, 1], [read(0.2), 2, 1], *own]
    low, third = Fraction(1, 30), Fraction(1, 3)
    assert T == [[1 - 2 * low, low, low], [low, low, 1 - 2 * low]] + [[third] * 3] * 3
    assert s == [read(0.3), read(1.5), 1, 1, 1]
    assert data.alpha == 0 and not data.penalised.any() and data.columns.tolist() == [0, 1, 2]


def test_soft_targets_sum_to_one_exactly_each_with_its_own_denominator():
    """Section 7.9: the doubles of a row need not sum to 1; the row is their ratio to their sum."""
    rows = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0]])
    data = exactly(np.eye(3), rows)
    _, T, _ = fractions_of(data)
    for row, given in zip(T, rows, strict=True):
        total = sum(Fraction(v) for v in given)
        assert row == [Fraction(v) / total for v in given] and sum(row) == 1
    assert len({int(q) for q in data.q}) > 1


@pytest.mark.parametrize("penalize", [False, True])
def test_l2_adds_up_and_spares_the_intercept_only_if_told(penalize):
    regularizer = js.L2(0.25, penalize_intercept=penalize) + js.L2(0.5, penalize_intercept=penalize)
    data = exactly([[1.0, 2.0], [3.0, 5.0]], labels=[0, 1], regularizer=regularizer)
    assert data.alpha == Fraction(3, 4) and data.penalised.tolist() == [True, True, penalize]
    data = exactly([[1.0, 2.0], [3.0, 5.0]], labels=[0, 1], regularizer=js.L2(0.25), intercept=False)
    assert data.penalised.tolist() == [True, True]


def test_huge_and_tiny_numbers_stay_exact():
    """Columns over 2^±900 are integers of any size; weights of 10^-300 are what they are."""
    X = [[2.0**900, 3 * 2.0**-900], [1.0, 5 * 2.0**-880]]
    data = exactly(X, labels=[0, 1], sample_weight=[1e-300, 1e300])
    found, _, s = fractions_of(data)
    assert found == [[*map(Fraction, row), 1] for row in X] and s == [Fraction(1e-300), Fraction(1e300)]
    assert data.A.dtype == object


def test_what_is_not_covered_is_refused():
    with pytest.raises(ValueError, match="not covered by the proof"):
        exactly([[1.0], [2.0]], labels=[0, 1], regularizer=js.LogCosh(0.1, 1.0))
    mixed = js.L2(0.1) + js.L2(0.1, penalize_intercept=True)
    with pytest.raises(ValueError, match="treat the intercept differently"):
        exactly([[1.0], [2.0]], labels=[0, 1], regularizer=mixed)


def test_restricted_keeps_the_columns_chosen():
    data = exactly([[0.5, 2.0], [3.0, 0.25]], labels=[0, 1], regularizer=js.L2(0.1))
    part = data.restricted(np.array([1, 2]))
    assert part.A.tolist() == [[8, 1], [1, 1]] and part.scales == [4, 1]
    assert part.penalised.tolist() == [True, False] and part.columns.tolist() == [1, 2]
