"""`StreamedProblem`: a softmax regression problem whose X is read in chunks, from disk or by several processes."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np

from jaxsoftmax.problem.exact_targets import ExactTargets, exact_smoothing
from jaxsoftmax.problem.fields import given_weights, names_tuple
from jaxsoftmax.problem.labels import encode_labels
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import as_regularizers, cast_strengths
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.memory import cannot_fit, shortage
from jaxsoftmax.support.validation import X64_REMEDY, flag, is_traced, show, warn_if_miscompiling, x64_is_on
from jaxsoftmax.training.result import Fit
from jaxsoftmax.training.streamed import processes
from jaxsoftmax.training.streamed.fit import fit_streamed
from jaxsoftmax.training.streamed.parquet import parquet_labels
from jaxsoftmax.training.streamed.rows import RowSource
from jaxsoftmax.training.streamed.source import open_source

__all__ = ["StreamedProblem"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StreamedProblem:
    r"""A softmax regression problem (S1) whose samples are read in chunks, again in each pass. Made by `from_labels`.

    For data larger than memory, and for processes that hold a part of the samples each. It lives on the host and is no
    pytree: `fit` takes it, outside jit, with full-batch methods, and says of the result what it says of others.

    Attributes:
        source: the rows of X, without the intercept.
        targets: the exact targets of the samples of this process.
        sample_weight: theirs as given, or None.
        regularizer: tuple of penalties.
        intercept: whether W has an intercept column, last.
        dtype: the compute dtype, a `numpy.dtype`.
        classes: (C,) labels; class c is row c of W.
        feature_names: D names, "intercept" last when there is one, or None.
        across_processes: whether each process of `jax.distributed` holds samples of its own.
        N: number of samples of all processes.

    Example:
        >>> import jaxsoftmax as js, numpy as np, tempfile
        >>> rng = np.random.default_rng(0)
        >>> path = f"{tempfile.mkdtemp()}/X.npy"
        >>> np.save(path, rng.normal(size=(1000, 3)).astype("float32"))
        >>> problem = js.StreamedProblem.from_labels(path, rng.integers(0, 2, 1000))
        >>> problem
        StreamedProblem: 1,000 samples, 3 features, 2 classes, float32
    """

    source: RowSource
    targets: ExactTargets
    sample_weight: np.ndarray | None
    regularizer: tuple[Any, ...]
    intercept: bool
    dtype: np.dtype
    classes: np.ndarray
    feature_names: tuple[str, ...] | None
    across_processes: bool
    N: int

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
        across_processes: bool = False,
    ) -> StreamedProblem:
        r"""One-hot targets from labels, smoothed by S21(c), as `Problem.from_labels` makes them.

        Args:
            X: (N, columns) `np.memmap` or array, or the path of a .npy, .npz, IDX or Parquet file. Nothing is copied
                whole; numbers are used as stored, some rows at a time.
            y: (N,) labels, as for `Problem.from_labels`; for a Parquet file also the name of the column that has them.
            intercept: whether there is an intercept, the last column of W.
            label_smoothing: ε in [0, 1], exact.
            sample_weight: (N,) weights >= 0, not all 0; None means ones.
            regularizer: penalties, as for `Problem`; None for none.
            dtype: compute dtype, "float32" or "float64"; default: float64 if X is float64 or integer (bytes excepted)
                and x64 is on, else float32. What is said at the end is evaluated in float64 in either case.
            classes: every class; default: the classes in y. All processes must give the same.
            feature_names: a name for each column of X.
            across_processes: whether X, y and weights are the samples of this process alone, and the other processes
                of `jax.distributed` hold more: `fit` is then called in all of them.

        Raises:
            TypeError, ValueError: as for `Problem`; what cannot be read as rows of numbers; processes that disagree.

        Example:
            >>> import jaxsoftmax as js, numpy as np
            >>> js.StreamedProblem.from_labels(np.float32([[0, 1], [2, 0], [0, 0]]), [0, 1, 0]).shape
            (3, 3, 2)
        """
        warn_if_miscompiling()
        across = flag("across_processes", across_processes)
        with processes.together() if across else contextlib.nullcontext():
            if isinstance(y, str):
                source, y = _rows_and_labels(X, y)
            else:
                source = open_source(X)
            held = flag("intercept", intercept)
            codes, names = encode_labels(y, classes)
            targets = ExactTargets(len(names), codes.astype(np.int32), None, exact_smoothing(label_smoothing))
            if targets.N != source.N:
                raise WrongValue("y", f"{targets.N} rows for the {source.N} rows of X", "give one for each sample")
            compute = _compute_dtype(source.dtype, dtype)
            weights, _ = given_weights(sample_weight, source.N, compute, None)
            penalties = as_regularizers(regularizer)
            if any(is_traced(penalty.strength) for penalty in penalties):
                raise WrongType("regularizer", "its strength is traced", "build the problem outside jit")
            cast_strengths(penalties, compute)  # refuses what is out of the dtype's range
            feature_names = source.column_names if feature_names is None else feature_names
            if feature_names is not None:
                feature_names = tuple(
                    map(str, names_tuple(feature_names, source.width, "feature_names", "column of X"))
                )
                feature_names += ("intercept",) * held
            N = source.N
            if across:
                told = {"intercept": held, "dtype": str(compute), "label_smoothing": str(targets.label_smoothing)}
                told |= {
                    "classes": tuple(names.tolist()),
                    "regularizer": str(penalties),
                    "feature_names": str(feature_names),
                }
                processes.agree(**{"columns of X": source.width}, **told)
                N = int(processes.add_up(np.array(N)))
            return cls(source, targets, weights, penalties, held, compute, names, feature_names, across, N)

    @property
    def D(self) -> int:
        """Number of columns of W, the intercept included."""
        return self.source.width + self.intercept

    @property
    def C(self) -> int:
        """Number of classes, absent ones included."""
        return self.targets.C

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, D, C)."""
        return self.N, self.D, self.C

    def train(self, method: Any = "auto", **options: Any) -> Fit:
        """What ``fit(problem, method, ...)`` calls; use that."""
        return fit_streamed(self, method, **options)

    def to_dense(self) -> Problem:
        """The same problem with X in memory, for everything else: `decide_existence`, `certify`, other methods.

        Raises:
            ValueError: too little memory, before any of it is allocated; samples that other processes hold.

        Example:
            >>> import jaxsoftmax as js, numpy as np
            >>> streamed = js.StreamedProblem.from_labels(np.eye(3), [0, 1, 0], label_smoothing="0.1")
            >>> js.decide_existence(streamed.to_dense()).attained
            True
        """
        if self.across_processes:
            raise WrongValue("problem", "other processes hold some of its samples", "gather them in one process")
        source, names = self.source, self.feature_names
        needed = source.N * source.width * source.dtype.itemsize
        if (free := shortage(needed)) is not None:
            raise cannot_fit("problem", "X in memory", needed, free, "give fewer samples")
        X = np.empty((source.N, source.width), source.dtype)
        for rows, chunk in source.chunks(max(1, 2**20 // source.width)):
            X[rows] = chunk
        X.setflags(write=False)  # used as it is, without a copy
        return Problem.from_labels(
            X,
            self.classes[self.targets.codes],
            intercept=self.intercept,
            label_smoothing=self.targets.label_smoothing,
            sample_weight=self.sample_weight,
            regularizer=self.regularizer or None,
            dtype=self.dtype,
            classes=self.classes,
            feature_names=None if names is None else names[: source.width],
        )

    def __repr__(self) -> str:
        shape = f"{self.N:,} samples, {self.source.width:,} features, {self.C:,} classes"
        return f"StreamedProblem: {shape}, {self.dtype}"


def _rows_and_labels(X: Any, name: str) -> tuple[RowSource, np.ndarray]:
    """The rows of a Parquet file without the column that has the labels, and the labels."""
    try:
        source = open_source(X, without=(name,))
    except WrongValue as error:
        if error.argument != "without":
            raise
        given = f"got the text {show(name)}, but X is no Parquet file, whose columns have names"
        raise WrongValue("y", given, "give the labels, one for each sample") from None
    return source, parquet_labels(X, name)


def _compute_dtype(stored: np.dtype, dtype: Any) -> np.dtype:
    """The compute dtype that was asked for, or the rule of `Problem`."""
    if dtype is None:
        wide = (stored.kind == "f" and stored.itemsize == 8) or (stored.kind in "biu" and stored.itemsize > 1)
        return np.dtype("float64" if wide and x64_is_on() else "float32")
    try:
        asked = np.dtype(dtype)
    except TypeError:
        asked = np.dtype(object)
    if asked not in (np.float32, np.float64):
        raise WrongType("dtype", f"got {show(dtype)}", "give 'float32' or 'float64'")
    if asked == np.float64 and not x64_is_on():
        raise WrongValue("dtype", "got float64, but x64 is off", f"{X64_REMEDY}, or choose 'float32'")
    return asked
