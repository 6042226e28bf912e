"""`SparseProblem`: a softmax regression problem whose X stays sparse, validated once, for `fit`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxsoftmax.problem.arrays import BFLOAT16, choose_dtypes
from jaxsoftmax.problem.exact_targets import ExactTargets, exact_smoothing
from jaxsoftmax.problem.fields import given_weights, names_tuple
from jaxsoftmax.problem.labels import encode_labels
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import as_regularizers, cast_strengths
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.sparse_matrix import canonical
from jaxsoftmax.support.validation import flag, is_traced, show, warn_if_miscompiling
from jaxsoftmax.training.result import Fit
from jaxsoftmax.training.sparse.fit import fit_sparse
from jaxsoftmax.training.sparse.rows import SparseRows

__all__ = ["SparseProblem"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SparseProblem:
    r"""A softmax regression problem (S1) with sparse X: text data 10^4 to 10^6 columns wide. Made by `from_labels`.

    It lives on the host and is no pytree: `fit` takes it, outside jit, with the method "newton-cg", and says of the
    result what it says of others. X is kept once, read-only, in CSR; the intercept is no stored column.

    Attributes:
        X: (N, columns) SciPy CSR array, without the intercept: float32 or float64 as given, integers as float64.
        targets: the exact targets.
        sample_weight: (N,) as given, or None.
        regularizer: tuple of L2 penalties.
        intercept: whether W has an intercept column, last.
        dtype: the compute dtype, a `numpy.dtype`.
        classes: (C,) labels; class c is row c of W.
        feature_names: D names, "intercept" last when there is one, or None.

    Example:
        >>> import jaxsoftmax as js, scipy.sparse
        >>> words = scipy.sparse.csr_array([[1, 0, 2], [0, 3, 0], [1, 1, 0], [0, 0, 1]])
        >>> problem = js.SparseProblem.from_labels(words, ["ham", "spam", "spam", "ham"], regularizer=js.L2(1.0))
        >>> result = js.fit(problem)
        >>> result.status.name, result.converged, result.W.shape
        ('GRADIENT_TOLERANCE', True, (2, 4))
        >>> problem
        SparseProblem: 4 samples, 3 features, 2 classes, 6 entries (50%), float32
    """

    X: Any
    targets: ExactTargets
    sample_weight: np.ndarray | None
    regularizer: tuple[Any, ...]
    intercept: bool
    dtype: np.dtype
    classes: np.ndarray
    feature_names: tuple[str, ...] | None

    @classmethod
    def from_labels(
        cls,
        X: Any,
        y: Any,
        *,
        intercept: bool = True,
        label_smoothing: Any = 0.0,
        sample_weight: Any = None,
        regularizer: Any = None,
        dtype: Any = None,
        classes: Any = None,
        feature_names: Any = None,
    ) -> SparseProblem:
        r"""One-hot targets from labels, smoothed by S21(c), as `Problem.from_labels` makes them.

        Args:
            X: (N, columns) SciPy sparse matrix of any format. It is copied once, in rows; duplicate entries are summed.
            y: (N,) labels, as for `Problem.from_labels`.
            intercept: whether there is an intercept, the last column of W.
            label_smoothing: ε in [0, 1], exact.
            sample_weight: (N,) weights >= 0, not all 0; None means ones.
            regularizer: `L2`, a sum or a tuple of them; None for none (S13's q is then not evaluated).
            dtype: compute dtype, "float32" or "float64"; default: float64 if X is float64 or integer and x64 is on,
                else float32. What is said at the end is evaluated in float64 on the data as given in either case.
            classes: every class, those absent from y included; default: the classes in y.
            feature_names: a name for each column of X.

        Raises:
            TypeError: X is no SciPy sparse matrix of real numbers; otherwise as for `Problem`.
            ValueError: a penalty other than L2; NaN, infinities, integers that no double holds, with row and column;
                too little memory for the copy of X; otherwise as for `Problem`.

        Example:
            >>> import jaxsoftmax as js, numpy as np, scipy.sparse
            >>> X = scipy.sparse.coo_array(np.float32([[0, 1], [2, 0], [0, 0]]))
            >>> js.SparseProblem.from_labels(X, [0, 1, 0]).shape
            (3, 3, 2)
        """
        warn_if_miscompiling()
        codes, names = encode_labels(y, classes)
        targets = ExactTargets(len(names), codes, None, exact_smoothing(label_smoothing))
        given, held = X, flag("intercept", intercept)
        X = canonical(given)
        N, columns = X.shape
        if N == 0 or (columns == 0 and not held):
            raise WrongValue("X", f"shape {X.shape} has no numbers", "give at least one row and one column")
        if targets.N != N:
            raise WrongValue("y", f"{targets.N} rows for the {N} rows of X", "give one for each sample")
        compute, storage, _ = choose_dtypes(given, given, dtype)
        if storage == BFLOAT16:
            raise WrongValue("dtype", "got bfloat16, but X is sparse", "give 'float32' or 'float64'")
        weights, _ = given_weights(sample_weight, N, compute, None)
        penalties = as_regularizers(regularizer)
        for penalty in penalties:
            if penalty.sample_scale is not None or penalty.concordance is not None:
                remedy = "give js.L2(alpha), or for a small X use problem.to_dense()"
                raise WrongValue("regularizer", f"got {show(penalty)}, but X is sparse", remedy)
            if is_traced(penalty.strength):
                raise WrongType("regularizer", "its strength is traced", "build the problem outside jit")
        cast_strengths(penalties, compute)  # refuses what is out of the dtype's range
        SparseRows.of(X, held).astype(compute)
        if feature_names is not None:
            feature_names = tuple(map(str, names_tuple(feature_names, columns, "feature_names", "column of X")))
            feature_names += ("intercept",) * held
        return cls(X, targets, weights, penalties, held, compute, names, feature_names)

    @property
    def N(self) -> int:
        """Number of samples, those of weight 0 included."""
        return self.X.shape[0]

    @property
    def D(self) -> int:
        """Number of columns of W, the intercept included."""
        return self.X.shape[1] + self.intercept

    @property
    def C(self) -> int:
        """Number of classes, absent ones included."""
        return self.targets.C

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, D, C)."""
        return self.N, self.D, self.C

    @property
    def strengths(self) -> tuple[float, float]:
        """The strength of the penalties on the features, and on the intercept (S21a)."""
        alphas = [(float(p.strength), p.penalize_intercept) for p in self.regularizer]
        return sum(alpha for alpha, _ in alphas), sum(alpha for alpha, both in alphas if both)

    def smoothed(self, eps: Any) -> SparseProblem:
        """The problem with targets (1 − eps) T + eps/C, exactly (S21c); eps as in `from_labels`.

        Raises:
            TypeError, ValueError: eps is no number in [0, 1].

        Example:
            >>> import jaxsoftmax as js, scipy.sparse
            >>> separable = js.SparseProblem.from_labels(scipy.sparse.eye_array(3), [0, 1, 0])
            >>> js.fit(separable.smoothed("0.01")).status.name
            'GRADIENT_TOLERANCE'
        """
        return dataclasses.replace(self, targets=self.targets.smoothed(exact_smoothing(eps, "eps")))

    def train(self, method: Any = "auto", **options: Any) -> Fit:
        """What ``fit(problem, method, ...)`` calls; use that."""
        return fit_sparse(self, method, **options)

    def to_dense(self) -> Problem:
        """The same problem with X dense, for everything else: `decide_existence`, `certify`, other methods.

        Raises:
            ValueError: too little memory, before any of it is allocated.

        Example:
            >>> import jaxsoftmax as js, scipy.sparse
            >>> sparse = js.SparseProblem.from_labels(scipy.sparse.eye_array(3), [0, 1, 0], label_smoothing="0.1")
            >>> js.decide_existence(sparse.to_dense()).attained
            True
        """
        names = self.feature_names
        return Problem.from_labels(
            self.X,
            self.classes[self.targets.codes],
            intercept=self.intercept,
            label_smoothing=self.targets.label_smoothing,
            sample_weight=self.sample_weight,
            regularizer=self.regularizer or None,
            dtype=self.dtype,
            classes=self.classes,
            feature_names=None if names is None else names[: self.X.shape[1]],
        )

    def __repr__(self) -> str:
        filled = self.X.nnz / max(1, self.N * self.X.shape[1])
        shape = f"{self.N:,} samples, {self.X.shape[1]:,} features, {self.C:,} classes"
        return f"SparseProblem: {shape}, {self.X.nnz:,} entries ({100 * filled:.3g}%), {self.dtype}"
