"""What fitted classifiers predict for new samples, computed where their array lives: NumPy, JAX or torch.

Guarded by `tests/estimator/test_softmax_regression.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsoftmax.problem.arrays import require_finite, to_numpy
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.sparse_matrix import is_sparse
from jaxsoftmax.support.validation import is_traced

__all__ = ["Predicting"]

_SPARSE = ("csr", "csc", "coo")


class Predicting(ClassifierMixin, BaseEstimator):
    """Predictions from coef_, intercept_ and classes_, and how X is read.

    JAX arrays and torch tensors give theirs, on their device; anything else gives NumPy.
    """

    coef_: np.ndarray
    intercept_: np.ndarray
    classes_: np.ndarray
    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        """Sparse X is taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def read(self, X: Any, y: Any, reset: bool, keep_sparse: bool = False) -> Any:
        """X (N, D) for training: a JAX array as it is, anything else as NumPy floats; sets n_features_in_.

        A sparse X becomes CSR with `keep_sparse`, else it is made dense, if so much memory is free.

        Raises:
            TypeError, ValueError: as scikit-learn's `validate_data`; y is None.
        """
        if y is None:
            name = type(self).__name__
            raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
        if isinstance(X, jax.Array):
            if reset:
                self.n_features_in_ = X.shape[-1]
                self.__dict__.pop("feature_names_in_", None)  # of a frame that an earlier fit was given
            else:
                _refuse_other_width(self, X)
            return X
        X = X.detach().cpu().numpy() if _is_torch(X) else X
        if hasattr(X, "columns"):  # a frame: what cannot be used is told by its column
            array, columns = to_numpy(X, "X", copy=False)
            require_finite(array, "X", columns=columns)
        X = validate_data(self, X, accept_sparse=_SPARSE, dtype=[np.float64, np.float32], reset=reset)
        if not is_sparse(X):
            return X
        return X.tocsr() if keep_sparse else to_numpy(X, "X", copy=False)[0]

    def decision_function(self, X: Any) -> Any:
        """The logits (N, K) of samples X; for two classes (N,), those of the second against the first."""
        scores = _scores(self, X)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> Any:
        """The most probable class of each sample, (N,)."""
        scores = self.decision_function(X)
        codes = (scores > 0) * 1 if scores.ndim == 1 else scores.argmax(1)
        return _looked_up(self.classes_, codes)

    def predict_proba(self, X: Any) -> Any:
        """The probabilities (N, K) of the classes; rows sum to 1."""
        return _by_row("softmax", self.decision_function(X))

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of the probabilities (N, K), finite also where these underflow."""
        return _by_row("log_softmax", self.decision_function(X))


def _is_torch(X: Any) -> bool:
    """Whether X is a torch tensor, without importing torch."""
    return type(X).__module__.partition(".")[0] == "torch" and hasattr(X, "detach")


def _refuse_other_width(model: Any, X: Any) -> None:
    if X.ndim != 2 or X.shape[1] != model.n_features_in_:
        given = f"shape {tuple(X.shape)}, expected (N, {model.n_features_in_})"
        raise WrongValue("X", given, "give the features that the model was fitted on")


def _refuse_not_finite(finite: bool) -> None:
    if not finite:
        raise WrongValue("X", "it holds NaN or infinities", "remove those samples, or fill them in")


def _scores(model: Any, X: Any) -> Any:
    """X times the weights plus the intercepts, (N, rows of coef_), in the library and on the device of X."""
    check_is_fitted(model)
    if isinstance(X, jax.Array) or _is_torch(X):
        _refuse_other_width(model, X)
        if _is_torch(X):
            tensor: Any = X
            tensor = tensor if tensor.is_floating_point() else tensor.double()
            _refuse_not_finite(bool(tensor.isfinite().all()))
            return tensor @ tensor.new_tensor(model.coef_).T + tensor.new_tensor(model.intercept_)
        # Integers and half precisions would round the weights.
        X = X.astype(jax.numpy.promote_types(X.dtype, np.float32))
        _refuse_not_finite(is_traced(X) or bool(jax.numpy.isfinite(X).all()))
        return X @ model.coef_.T.astype(X.dtype) + model.intercept_.astype(X.dtype)
    X = validate_data(model, X, accept_sparse=_SPARSE, dtype=[np.float64, np.float32], reset=False)
    return safe_sparse_dot(X, model.coef_.T, dense_output=True) + model.intercept_


def _looked_up(classes: np.ndarray, codes: Any) -> Any:
    """The classes of the codes (N,): beside the codes where the classes are integers, else in NumPy."""
    if classes.dtype.kind not in "iu":
        return classes[np.asarray(codes.cpu() if _is_torch(codes) else codes)]
    if _is_torch(codes):
        return codes.new_tensor(classes)[codes]
    return jax.numpy.asarray(classes)[codes] if isinstance(codes, jax.Array) else classes[codes]


def _two_columns(scores: Any) -> Any:
    """Scores (N, K); (N,) of two classes become 0 beside themselves."""
    if scores.ndim == 2:
        return scores
    if _is_torch(scores):
        both = scores.new_zeros((len(scores), 2))
        both[:, 1] = scores
        return both
    library = jax.numpy if isinstance(scores, jax.Array) else np
    return library.stack([library.zeros_like(scores), scores], axis=1)


def _by_row(function: str, scores: Any) -> Any:
    """softmax or log_softmax, by the name that each library has for it, (N, K)."""
    scores = _two_columns(scores)
    if _is_torch(scores):
        return getattr(scores, function)(1)
    if isinstance(scores, jax.Array):
        return getattr(jax.nn, function)(scores, axis=1)
    from scipy import special

    return getattr(special, function)(scores, axis=1)
