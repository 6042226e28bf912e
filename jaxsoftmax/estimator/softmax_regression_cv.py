"""`SoftmaxRegressionCV`: the penalty chosen by cross-validation along a path, all folds at once."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv

from jaxsoftmax.estimator.predicting import Predicting
from jaxsoftmax.estimator.softmax_regression import SoftmaxRegression
from jaxsoftmax.estimator.targets import class_weights, labels_of, penalty_of, probability_rows
from jaxsoftmax.problem.regularizers import as_regularizers
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import positive_int, show
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.fit import fit
from jaxsoftmax.training.many.fit_path import walk
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.training.sparse.problem import SparseProblem

__all__ = ["SoftmaxRegressionCV"]

_FOUND = ("coef_", "intercept_", "classes_", "n_iter_", "fit_", "existence_", "n_features_in_", "feature_names_in_")


def sparse_walk(
    problem: SparseProblem, penalties: list, taken: np.ndarray, tol: float | None, max_steps: int | None
) -> Iterator[list[Fit]]:
    """For each penalty the fits of the folds, whose sample weights are the rows of `taken`, (folds, N)."""
    starts: list[Any] = [None] * len(taken)
    for penalty in penalties:
        fits = []
        for start, row in zip(starts, taken, strict=True):
            fold = dataclasses.replace(problem, regularizer=penalty, sample_weight=row)
            with jax.enable_x64(problem.dtype == np.float64):
                fits.append(fit(fold, tol=tol, max_steps=max_steps, W0=start))
        yield fits
        starts = [one.W for one in fits]


class SoftmaxRegressionCV(Predicting):
    """`SoftmaxRegression` with scikit-learn's penalty C chosen by cross-validation.

    The path goes from the strongest penalty to the weakest; all folds are trained at once, each begun where
    its weights under the last two penalties point to. The best C by mean score is then used on all samples.

    A sparse X stays sparse where it does in `SoftmaxRegression`; its folds are trained one by one, each begun at its
    weights under the last penalty.

    Args:
        Cs: strengths C > 0, or how many: then as many on a logarithmic scale from 1e-4 to 1e4, as in scikit-learn.
        cv: folds, as scikit-learn's `check_cv` takes them; None: five, stratified.
        scoring: a scorer or its name; None: accuracy.
        fit_intercept, tol, max_iter, class_weight, dtype: as for `SoftmaxRegression`.
        method: of the last fit, on all samples; as for `SoftmaxRegression`.

    Attributes:
        C_: the best C.
        Cs_: (n,) those tried, ascending.
        scores_: (folds, n) scores.
        coef_, intercept_, classes_, n_iter_, fit_, existence_: of the last fit, on all samples.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> X = np.random.default_rng(0).normal(size=(60, 2))
        >>> y = X[:, 0] > 0
        >>> model = js.SoftmaxRegressionCV(Cs=[0.1, 10.0], cv=3).fit(X, y)
        >>> model.scores_.shape, model.C_ in (0.1, 10.0)
        ((3, 2), True)

    Source: S1, S21a; the contract is scikit-learn's.
    """

    def __init__(
        self,
        *,
        Cs: Any = 10,
        cv: Any = None,
        scoring: Any = None,
        fit_intercept: bool = True,
        method: Any = "auto",
        tol: float | None = None,
        max_iter: int | None = None,
        class_weight: Any = None,
        dtype: Any = None,
    ) -> None:
        self.Cs = Cs
        self.cv = cv
        self.scoring = scoring
        self.fit_intercept = fit_intercept
        self.method = method
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.dtype = dtype

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SoftmaxRegressionCV:
        """Choose C on folds of X (N, D) and labels y (N,), then train on all; returns itself.

        Raises:
            TypeError, ValueError: as for `SoftmaxRegression`; strengths that are not positive; probability rows.
        """
        if y is not None and probability_rows(y) is not None:
            remedy = "give labels, or use SoftmaxRegression with a C of your own"
            raise WrongValue("y", "is a matrix of probabilities, which folds and scores do not take", remedy)
        strengths = self._strengths()
        samples = self.read(X, y, reset=True, keep_sparse=self._model(strengths[0])._keeps_sparse())
        labels = labels_of(y, samples.shape[0])
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            raise WrongValue("sample_weight", "holds a weight that is negative or not finite", "give weights >= 0")
        folds: Any = check_cv(self.cv, labels, classifier=True)
        folds = list(folds.split(np.zeros(len(labels)), labels))
        scores = self._scores(samples, labels, weights, folds, strengths)
        self.scores_, self.Cs_ = scores, strengths
        self.C_ = float(strengths[np.argmax(scores.mean(axis=0))])
        best = self._model(self.C_).fit(X, y, sample_weight)
        for name in _FOUND:
            if hasattr(best, name):
                setattr(self, name, getattr(best, name))
        return self

    def _scores(self, X: Any, y: np.ndarray, weights: np.ndarray | None, folds: list, strengths: np.ndarray) -> Any:
        """(folds, strengths): the score of each fold's held-out samples under each penalty."""
        model = self._model(strengths[0])
        problem = model._problem(X, y, None, reset=True)
        scorer: Any = check_scoring(model, scoring=self.scoring)
        taken = np.zeros((len(folds), len(y)))
        for row, (train, _) in zip(taken, folds, strict=True):
            mine = np.ones(len(train)) if weights is None else weights[train]
            row[train] = class_weights(self.class_weight, y[train], model.classes_, mine)
        empty = np.flatnonzero(~taken.any(axis=1))
        if empty.size:
            given = f"is 0 for all samples that fold {empty[0]} is trained on"
            raise WrongValue("sample_weight", given, "give other weights, or fewer folds")
        scores = np.empty((len(folds), len(strengths)))
        penalties = [as_regularizers(penalty_of(C, None, None, problem.C)) for C in strengths]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoMinimizerWarning)  # said below in words of this class
            if isinstance(problem, SparseProblem):
                path = sparse_walk(problem, penalties, taken, self.tol, self.max_iter)
            else:
                path = walk(problem, penalties, taken, self.tol, self.max_iter)
            for column, fits in enumerate(path):
                C, grew = strengths[column], sum(one.status is Status.DIVERGING for one in fits)
                if grew:
                    words = (
                        f"C = {C:g}: in {grew} of {len(folds)} folds the weights keep growing; probably no minimiser "
                    )
                    hint = "exists. Is a class missing from a fold? Give fewer folds, or a cv that stratifies."
                    warnings.warn(words + hint, ConvergenceWarning, stacklevel=3)
                for row, ((_, test), found) in enumerate(zip(folds, fits, strict=True)):
                    weighed = {} if weights is None else {"sample_weight": weights[test]}
                    scores[row, column] = scorer(model._keep(found), X[test], y[test], **weighed)
        return scores

    def _strengths(self) -> np.ndarray:
        if np.ndim(self.Cs) == 0:
            return np.logspace(-4, 4, positive_int("Cs", self.Cs))
        strengths = np.unique(np.asarray(self.Cs, dtype=np.float64))
        if not strengths.size or not (strengths > 0).all():
            raise WrongValue("Cs", f"got {show(self.Cs)}", "give numbers > 0, or how many to try")
        return strengths

    def _model(self, C: float) -> SoftmaxRegression:
        return SoftmaxRegression(
            C=C,
            fit_intercept=self.fit_intercept,
            method=self.method,
            tol=self.tol,
            max_iter=self.max_iter,
            class_weight=self.class_weight,
            dtype=self.dtype,
        )
