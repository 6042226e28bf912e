"""`SoftmaxRegression`: the classifier with scikit-learn's contract, which says where no unpenalised fit exists."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from jaxsoftmax.calculus.penalties.l2 import L2
from jaxsoftmax.estimator.predicting import Predicting
from jaxsoftmax.estimator.targets import as_y, class_weights, labels_of, penalty_of, probability_rows
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import as_regularizers
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.sparse_matrix import is_sparse
from jaxsoftmax.support.validation import one_of, positive_int
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.fit import fit
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.training.sparse.problem import SparseProblem
from jaxsoftmax.uncertainty.inference import inference

__all__ = ["SoftmaxRegression"]

NO_VERDICT = (
    "The weights keep growing; probably no minimiser exists. X is sparse, so no verdict was sought, and existence_ is "
    "None: for the verdict, where it fits, give X.toarray()."
)
SMOOTHING = "0.01"  # of on_separation="smooth": every probability then stays above 0.01/K


class SoftmaxRegression(Predicting):
    """Multi-class logistic regression, without a penalty unless one is asked for (S1, S21).

    The first fit of each shape compiles for some seconds; later ones compile nothing.

    A SciPy sparse X stays sparse: in predictions always, in training (`SparseProblem`) with labels, the method "auto"
    or "newton-cg", no penalty but `L2` and no minibatches. With other arguments training makes it dense, if it fits.

    On separable data no maximum-likelihood fit exists: the weights would grow for ever. Then `fit` warns, in words that
    name the classes and features, and `existence_` holds the verdict (S9). For an X that stays sparse no verdict is
    sought: the warning says that the weights keep growing, and `existence_` is None.

    Args:
        C: inverse strength of scikit-learn's penalty ‖w‖²/(2C), as in its LogisticRegression, for two classes too,
            where it has one row of weights; inf for none.
        alpha: strength of the penalty (alpha/2)·‖W‖² on a row for each class (`L2`); in place of C.
        label_smoothing: ε in [0, 1]: targets (1 - ε) T + ε/K, as for `Problem.from_labels`.
        regularizer: another penalty, or several, as for `Problem`; in place of C and alpha.
        fit_intercept: whether each class has an intercept, which no penalty of C and alpha touches.
        method: a method of `fit`, by name or an optax transformation.
        tol: the scaled gradient at which training ends; None is the default of `fit`.
        max_iter: most steps; None is the default of the method.
        class_weight: "balanced", a dict from classes to weights, or None.
        warm_start: whether `fit` starts from the weights of the last one.
        dtype: compute dtype, "float64" or "float32"; None is that of X, and float64 for integers.
        batch_size: samples in a minibatch for "sgd", "adam" and optax transformations; None is all of them.
        on_separation: what `fit` does where the weights grow for ever: "warn" (a ConvergenceWarning), "raise" (a
            ValueError), "ignore", or "smooth": train again with targets smoothed by 0.01.
        random_state: seed of the order of minibatches; nothing else is random.

    Attributes:
        coef_: (K, D) weights, one row a class; (1, D) for two classes, those of the second against the first.
        intercept_: (K,) or (1,).
        classes_: (K,) labels; 0 to K - 1, or a frame's columns, where y is a matrix of probabilities.
        n_iter_: (1,) steps taken.
        n_features_in_, feature_names_in_: as in scikit-learn.
        fit_: the `Fit`, with status, gap, rates and history.
        existence_: the `ExistenceVerdict` where the weights kept growing and X was dense, else None.
        label_smoothing_: the ε that was used; differs from `label_smoothing` after on_separation="smooth".

    Example:
        >>> import jaxsoftmax as js
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]
        >>> model = js.SoftmaxRegression().fit(X, y)
        >>> model.predict([[-1.0], [4.0]]).tolist(), model.coef_.shape
        (['no', 'yes'], (1, 1))

    Source: S1, S9, S21; the contract is scikit-learn's.
    """

    def __init__(
        self,
        *,
        C: float = np.inf,
        alpha: float | None = None,
        label_smoothing: Any = 0.0,
        regularizer: Any = None,
        fit_intercept: bool = True,
        method: Any = "auto",
        tol: float | None = None,
        max_iter: int | None = None,
        class_weight: Any = None,
        warm_start: bool = False,
        dtype: Any = None,
        batch_size: int | None = None,
        on_separation: str = "warn",
        random_state: Any = None,
    ) -> None:
        self.C = C
        self.alpha = alpha
        self.label_smoothing = label_smoothing
        self.regularizer = regularizer
        self.fit_intercept = fit_intercept
        self.method = method
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.dtype = dtype
        self.batch_size = batch_size
        self.on_separation = on_separation
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SoftmaxRegression:
        """Train on X (N, D) and labels y (N,), or a matrix y (N, K) of probabilities; returns itself.

        As in scikit-learn, rows belong together by their place, whatever the index of a frame or Series says.

        Raises:
            TypeError, ValueError: as for `Problem` and `jaxsoftmax.fit`; separable data with on_separation="raise".
        """
        one_of("on_separation", self.on_separation, ("warn", "raise", "ignore", "smooth"))
        if self.max_iter is not None:
            positive_int("max_iter", self.max_iter)
        problem = self._problem(X, y, sample_weight, reset=True)
        start = self._start(problem) if self.warm_start else None
        found, words = self._train(problem, start)
        self.existence_, smoothing = found.existence, self.label_smoothing
        if found.status is Status.DIVERGING and self.on_separation == "raise":
            raise ValueError(words)
        if found.status is Status.DIVERGING and self.on_separation == "smooth":
            smoothing = SMOOTHING
            with jax.enable_x64(problem.dtype == np.float64):
                problem = problem.smoothed(SMOOTHING)
            found, words = self._train(problem, None)
        silent = found.status is Status.DIVERGING and self.on_separation == "ignore"
        if found.status is not Status.GRADIENT_TOLERANCE and not silent:
            warnings.warn(words, ConvergenceWarning, stacklevel=2)
        self.label_smoothing_, self._trained_on = smoothing, problem
        return self._keep(found)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SoftmaxRegression:
        """One step of gradient descent on these samples alone, from the weights so far: for data that come in parts.

        The step is 1/Λ of these samples (S16), so their loss falls. The first call names all `classes`.

        Raises:
            ValueError: no `classes` in the first call, other ones in a later call, or labels that are not among them.
        """
        first = not hasattr(self, "fit_")
        if first and classes is None:
            raise WrongValue("classes", "the first call of partial_fit names no classes", "give every label")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise WrongValue("classes", "differ from those of the first call", "leave them out")
        every: Any = classes if first else self.classes_
        problem = self._problem(X, y, sample_weight, reset=first, classes=np.unique(every), keep_sparse=False)
        start = None if first else self._start(problem)
        with jax.enable_x64(problem.dtype == np.float64), warnings.catch_warnings():
            warnings.simplefilter("ignore", NoMinimizerWarning)
            found = fit(problem, "gd", max_steps=1, W0=start)
        self.existence_, self.label_smoothing_, self._trained_on = None, self.label_smoothing, None
        return self._keep(found)

    def summary(self, **options: Any) -> Any:
        """The coefficients' table: standard errors, tests and intervals, as `jaxsoftmax.inference` makes it (S22).

        An X that stayed sparse is made dense here, and the fit is ended there, from the weights found.

        Args:
            **options: of `inference`: reference, covariance, level.

        Raises:
            NotFittedError: `fit` was not called.
            ValueError: there is a penalty or smoothing, for which likelihoods have no table; or the model was stored
                and read again, which leaves the data behind.

        Example:
            >>> import jaxsoftmax as js, numpy as np
            >>> model = js.SoftmaxRegression().fit(np.arange(8)[:, None], [0, 0, 1, 0, 1, 0, 1, 1])
            >>> model.summary().coefficients.round(3).tolist()
            [[0.594, -2.079]]
        """
        check_is_fitted(self)
        problem = getattr(self, "_trained_on", None)
        if problem is None:
            given = "the data of this model are gone: it was stored and read again, or trained in parts"
            raise WrongValue("summary", given, "fit it again, or call jaxsoftmax.inference(problem, model.fit_)")
        with jax.enable_x64(problem.dtype == np.float64):
            found, verdict = self.fit_, self.existence_
            if isinstance(problem, SparseProblem):
                problem = problem.to_dense()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", NoMinimizerWarning)  # the table says it
                    found = fit(problem, W0=found.W)
                verdict = found.existence
            return inference(problem, found, existence=verdict, **options)

    def __getstate__(self) -> dict[str, Any]:
        """What is stored: everything but the data trained on."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_trained_on"}

    def _keeps_sparse(self) -> bool:
        """Whether these arguments train on a sparse X as it is, given labels."""
        if self.method not in ("auto", "newton-cg") or self.batch_size is not None or "bfloat16" in str(self.dtype):
            return False
        return all(isinstance(penalty, L2) for penalty in as_regularizers(self.regularizer))

    def _problem(
        self, X: Any, y: Any, sample_weight: Any, reset: bool, classes: Any = None, keep_sparse: bool = True
    ) -> Any:
        """The validated `Problem` or `SparseProblem`; sets classes_, n_features_in_ and feature_names_in_."""
        rows = None if y is None else probability_rows(y)
        X = self.read(X, y, reset, keep_sparse and rows is None and self._keeps_sparse())
        labels = None
        if rows is None:
            labels = labels_of(y, X.shape[0])
            known: Any = np.unique(labels) if classes is None else classes
            self.classes_ = known
        else:
            self.classes_ = rows.classes
        count = len(self.classes_)
        dtype = self.dtype
        if dtype is None and X.dtype in (np.float32, np.float64):  # a JAX array may be another; its Problem decides
            dtype = str(X.dtype)
        options: dict[str, Any] = {
            "intercept": bool(self.fit_intercept),
            "sample_weight": class_weights(self.class_weight, labels, self.classes_, sample_weight),
            "regularizer": penalty_of(self.C, self.alpha, self.regularizer, count),
            "dtype": dtype,
            "feature_names": getattr(self, "feature_names_in_", None),
        }
        with jax.enable_x64(str(dtype) == "float64"), as_y():
            if labels is not None:
                kind = SparseProblem if is_sparse(X) else Problem
                return kind.from_labels(
                    X, labels, classes=self.classes_, label_smoothing=self.label_smoothing, **options
                )
            assert rows is not None
            problem = Problem(X, rows.T, classes=self.classes_, **options)
            return problem.smoothed(self.label_smoothing) if self.label_smoothing else problem

    def _start(self, problem: Any) -> np.ndarray | None:
        """The weights of the last fit where they fit this problem."""
        last = getattr(self, "fit_", None)
        return last.W if last is not None and last.W.shape == (problem.C, problem.D) else None

    def _train(self, problem: Any, start: Any) -> tuple[Fit, str]:
        """The fit, and what is to be said where it did not end at a minimum."""
        key = None
        if self.batch_size is not None:
            key = jax.random.key(int(check_random_state(self.random_state).randint(2**31 - 1)))
        options = {"tol": self.tol, "max_steps": self.max_iter, "W0": start, "batch_size": self.batch_size, "key": key}
        with jax.enable_x64(problem.dtype == np.float64), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NoMinimizerWarning)
            found = fit(problem, self.method, **options)
        words = found.reason
        for warning in caught:
            if warning.category is NoMinimizerWarning:
                told = NO_VERDICT if isinstance(problem, SparseProblem) else warning.message
                words = f"{told}\n  Here: C=1.0 adds a penalty, on_separation='smooth' smooths the targets."
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return found, words

    def _keep(self, found: Fit) -> SoftmaxRegression:
        """The model with a fit of its data; returns itself."""
        self.fit_ = found
        W, b = found.coef, found.intercept
        two = len(W) == 2
        self.coef_, self.intercept_ = (W[1:] - W[:1], b[1:] - b[:1]) if two else (W, b)
        self.n_iter_ = np.array([found.steps])
        return self
