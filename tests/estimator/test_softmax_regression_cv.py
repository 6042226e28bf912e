"""Cross-validation chooses the penalty that a plain loop over folds chooses, and begins each fit at the last one."""

import numpy as np
import pytest

import jaxsoftmax as js

pytest.importorskip("sklearn")

from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold

X, Y = make_classification(120, 5, n_informative=4, n_redundant=0, n_classes=3, flip_y=0.2, random_state=0)
STRENGTHS = [10.0, 0.001, 0.1]


@pytest.mark.slow
def test_scores_are_those_of_a_plain_loop():
    model = js.SoftmaxRegressionCV(Cs=STRENGTHS, cv=3).fit(X, Y)
    naive = np.array(
        [
            [js.SoftmaxRegression(C=C).fit(X[train], Y[train]).score(X[test], Y[test]) for C in sorted(STRENGTHS)]
            for train, test in StratifiedKFold(3).split(X, Y)
        ]
    )
    np.testing.assert_array_equal(model.scores_, naive)
    assert model.Cs_.tolist() == sorted(STRENGTHS) and model.C_ == model.Cs_[np.argmax(naive.mean(axis=0))]
    np.testing.assert_allclose(model.coef_, js.SoftmaxRegression(C=model.C_).fit(X, Y).coef_, rtol=1e-6)
    assert model.predict(X[:3]).shape == (3,) and model.n_features_in_ == 5


@pytest.mark.slow
def test_weights_and_a_scorer_are_used():
    """A sample of weight 0 takes no part in the fits, nor in the scores."""
    s = np.ones(len(Y))
    s[::7] = 0
    folds = [(np.arange(40, 120), np.arange(40)), (np.arange(80), np.arange(80, 120))]
    changed = np.where(s > 0, Y, (Y + 1) % 3)
    one, two = (
        js.SoftmaxRegressionCV(Cs=[1.0], cv=folds, scoring="neg_log_loss").fit(X, labels, s) for labels in (Y, changed)
    )
    np.testing.assert_allclose(one.scores_, two.scores_, rtol=1e-9)
    assert (one.scores_ < 0).all()


@pytest.mark.parametrize(
    ("options", "y", "words"),
    [
        ({"Cs": [1.0, 0.0]}, Y, "Cs: got .*give numbers > 0"),
        ({"Cs": 0}, Y, "Cs: got 0"),
        ({}, np.full((120, 3), 1 / 3), "matrix of probabilities.*give labels"),
        ({"cv": 1}, Y, "cv|splits|folds"),
    ],
    ids=["zero", "none", "probabilities", "one fold"],
)
def test_what_cannot_be_chosen_from_is_told(options, y, words):
    with pytest.raises(ValueError, match=words):
        js.SoftmaxRegressionCV(**options).fit(X, y)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.where(np.arange(120) < 40, 1.0, 0.0), "sample_weight: is 0 for all samples that fold 0"),
        ([np.inf] * 120, "not finite"),
    ],
)
def test_weights_that_no_fold_can_use_are_named_as_given(weights, words):
    folds = [(np.arange(40, 120), np.arange(40)), (np.arange(80), np.arange(80, 120))]
    with pytest.raises(ValueError, match=words):
        js.SoftmaxRegressionCV(Cs=[1.0], cv=folds).fit(X, Y, weights)


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_a_weight_that_is_none_is_told(wrong):
    s = np.where(np.arange(120) == 3, wrong, 1.0)
    with pytest.raises(ValueError, match=r"sample_weight: holds a weight that is negative or not finite"):
        js.SoftmaxRegressionCV(Cs=[1.0]).fit(X, Y, s)


@pytest.mark.slow
def test_a_class_missing_from_a_fold_is_told_in_scikit_learns_words():
    """Its intercept is not penalised and runs away (S21e); what helps is the folds' business, not `fit_many`'s."""
    folds = [(np.flatnonzero(Y != 2), np.flatnonzero(Y == 2)), (np.arange(80), np.arange(80, 120))]
    with pytest.warns(ConvergenceWarning, match=r"C = 1: in 1 of 2 folds .* class missing from a fold"):
        js.SoftmaxRegressionCV(Cs=[1.0], cv=folds).fit(X, Y)
