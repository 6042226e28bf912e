"""Problem: the data, targets, weights and regulariser of one softmax regression, validated once, a pytree for JAX."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxsoftmax.problem import arrays as _arrays
from jaxsoftmax.problem import exact_targets as _targets
from jaxsoftmax.problem import labels as _labels
from jaxsoftmax.problem.dump import problem_report, write_dump
from jaxsoftmax.problem.fields import (
    LEAVES,
    HostData,
    names_tuple,
    problem_fields,
    replaced_fields,
    set_fields,
    smoothed_fields,
    with_formula,
)
from jaxsoftmax.problem.frames import formula_columns
from jaxsoftmax.problem.label_targets import given_targets
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import show


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, init=False, eq=False, repr=False)
class Problem:
    r"""A softmax regression problem (S1): minimise :math:`\sum_n s_n[\mathrm{lse}(Wx_n) - t_n^\top W x_n]` over W.

    The data are kept **as given** on the host (`problem.host`) and, in the compute dtype, on the device
    (`X`, `targets`, `sample_weight`, `regularizer`: the children of this pytree). Everything is validated here, once,
    and nothing when JAX rebuilds the tree; a rebuilt problem has ``host``, ``classes`` and ``feature_names`` None, and
    none of these ever causes a retrace.

    Args:
        X: (N, D) real design matrix, one row a sample: NumPy, JAX, nested lists, a pandas or polars frame, SciPy
            sparse (made dense), anything with ``__array__`` or ``__dlpack__``. A writeable NumPy array is copied.
        T: (N, C) probability rows, C >= 2. A float row t means t/Σt over the rationals and must sum to 1 within
            8·eps·C (eps of T's dtype); an integer or boolean row must be one-hot. The device T is the correctly
            rounded float of the exact rational.
        intercept: append a column of ones, last.
        sample_weight: (N,) weights >= 0, not all 0; None means ones. Samples of weight 0 take no part (section 0).
        regularizer: `L2`, `LogCosh`, `SelfRegularizer`, their sum, or a tuple of them; None for none.
            Strengths are cast to the compute dtype.
        dtype: compute dtype, "float32" or "float64", or "bfloat16" (X in bfloat16, everything else float32).
            Default: float64 if X is float64 or integer and x64 is on, else float32. X in bfloat16 or uint8 stays so
            and is widened some rows at a time.
            A JAX array must have its dtype already and keeps its sharding; the rest is placed as X's rows are.
        feature_names: a name for each column of the X given; default: a frame's column names.
        classes: a name for each column of T; default: a frame's column names.

    Attributes:
        X: (N, D) JAX array, the intercept column included; in the compute dtype, or narrower (bfloat16, uint8).
        targets: what is stored of T: from labels, the labels (`LabelTargets`), else T itself.
        sample_weight: (N,) JAX array.
        regularizer: tuple of regularisers.
        intercept: whether the last column of X is the appended one (static).
        dtype: the compute dtype, a `numpy.dtype` (static).
        host: `HostData`, or None once JAX has rebuilt the problem.
        classes: (C,) names or labels, or None.
        feature_names: D names, "intercept" last when there is one, or None.

    Raises:
        TypeError: objects, text, complex numbers, a JAX array of another dtype, a traced value.
        ValueError: NaN or infinities, wrong shapes, rows that are no probabilities, one class, no data, negative or
            all-zero weights, integers that no double holds, numbers beyond the compute dtype, float64 while x64 is off;
            too little memory for a copy of X.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> X = np.array([[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
        >>> problem = js.Problem(X, [[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]], regularizer=js.L2(0.1))
        >>> problem.shape
        (3, 2, 2)
        >>> print(problem)
        Problem: 3 samples, 2 features, 2 classes
          dtype: float32 (X is float64, but x64 is off)
          targets: probability rows
          sample weights: none (all 1)
          regularizer: L2(alpha=0.1, penalize_intercept=False)
    """

    X: Any
    targets: Any
    sample_weight: Any
    regularizer: Any
    intercept: bool
    dtype: np.dtype
    host: Any
    classes: Any
    feature_names: Any

    def __init__(
        self,
        X: Any,
        T: Any,
        *,
        intercept: bool = False,
        sample_weight: Any = None,
        regularizer: Any = None,
        dtype: Any = None,
        feature_names: Any = None,
        classes: Any = None,
    ) -> None:
        rows, columns = _arrays.to_numpy(T, "T")
        if rows.ndim != 2:
            hint = "for class labels use Problem.from_labels(X, y)" if rows.ndim == 1 else "give one row a sample"
            raise WrongValue("T", f"shape {rows.shape}, expected (N, C)", hint)
        if rows.shape[1] < 2:
            given = f"shape {rows.shape}: fewer than two classes"
            raise WrongValue("T", given, "give a column for each class, absent ones included")
        names = columns if classes is None else classes
        if names is not None:
            names = np.array(names_tuple(names, rows.shape[1], "classes", "column of T"))
            names.setflags(write=False)
        targets = _targets.from_rows(rows)
        set_fields(
            self,
            **problem_fields(X, T, targets, intercept, sample_weight, regularizer, dtype, feature_names, names),
        )

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
    ) -> Problem:
        r"""One-hot targets from labels, smoothed by S21(c): :math:`T \leftarrow (1-\varepsilon)T+\varepsilon/C`.

        Args:
            X: (N, D) real design matrix, as for `Problem`.
            y: (N,) labels: integers, booleans, text, integral floats, or a categorical.
            intercept: append a column of ones, last; here the default.
            label_smoothing: ε in [0, 1], exact: a float or text is the decimal it prints (0.01 is 1/100), "1/3" and
                `fractions.Fraction` are themselves.
            classes: every class, those absent from y included; default: the classes in y, or all categories of a
                categorical. Sorted in either case.
            sample_weight: (N,) weights, as for `Problem`.
            regularizer: as for `Problem`.
            dtype: compute dtype, as for `Problem`.
            feature_names: as for `Problem`.

        Returns:
            A Problem whose `classes` are the sorted labels; class c is row c of W.

        Raises:
            TypeError, ValueError: as for `Problem`; labels that are missing, continuous, of mixed types, beyond
                64 bits, not among `classes`, or all the same; a Series with another index than X.

        Example:
            >>> import jaxsoftmax as js
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], ["a", "b", "a"], label_smoothing=0.01)
            >>> problem.T
            Array([[0.995, 0.005],
                   [0.005, 0.995],
                   [0.995, 0.005]], dtype=float32)
            >>> problem.exact_targets()[0][0], problem.exact_targets()[1][0]
            (array([199,   1]), 200)
        """
        _arrays.require_same_index(X, y, "y")
        codes, names = _labels.encode_labels(y, classes)
        targets = _targets.ExactTargets(len(names), codes, None, _targets.exact_smoothing(label_smoothing))
        return set_fields(
            object.__new__(cls),
            **problem_fields(X, None, targets, intercept, sample_weight, regularizer, dtype, feature_names, names),
        )

    @classmethod
    def from_formula(cls, formula: str, frame: Any, **options: Any) -> Problem:
        """The problem of a formula over the columns of a pandas frame (extra `formula`: formulaic).

        Args:
            formula: a label column, "~" and features: a column for each level of text and of C(...) but the first,
                named "C(region)[T.south]". "- 1" leaves the intercept out.
            frame: a pandas frame without missing values.
            options: as for `from_labels`, but for `intercept` and `feature_names`.

        Raises:
            ImportError: formulaic is not installed.
            TypeError, ValueError: a formula that cannot be evaluated on the frame, and as for `from_labels`.

        Example:
            >>> import jaxsoftmax as js, pandas as pd
            >>> frame = pd.DataFrame({"vote": ["no", "yes", "no"], "age": [20, 30, 50], "region": ["n", "s", "s"]})
            >>> js.Problem.from_formula("vote ~ age + region", frame).feature_names
            ('age', 'region[T.s]', 'intercept')
        """
        features, labels, intercept, applied = formula_columns(formula, frame)
        return with_formula(cls.from_labels(features, labels, intercept=intercept, **options), applied)

    # shapes
    @property
    def N(self) -> int:
        """Number of samples, those of weight 0 included."""
        return self.X.shape[0]

    @property
    def D(self) -> int:
        """Number of columns of X, the intercept included."""
        return self.X.shape[1]

    @property
    def C(self) -> int:
        """Number of classes, absent ones included."""
        return self.targets.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, D, C)."""
        return self.N, self.D, self.C

    @property
    def T(self) -> Any:
        """The targets, an (N, C) JAX array; from labels it is computed anew at each use and never stored.

        To differentiate in the targets, replace them: ``problem.replace(T=problem.T)``.
        """
        return given_targets(self.targets)

    # derived problems
    def replace(self, **changes: Any) -> Problem:
        """The problem with `X`, `T`, `sample_weight` or `regularizer` replaced by device or traced arrays.

        This is how to differentiate in X, T or s, or to map over weights or strengths; values are not inspected. The
        host copy is dropped unless only regularisers change. X includes the intercept column.

        Raises:
            TypeError: another keyword, or a JAX array of another dtype.
            ValueError: shapes that do not fit together.

        Example:
            >>> import jaxsoftmax as js, numpy as np
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])
            >>> problem.replace(sample_weight=np.array([1.0, 0.0, 2.0])).sample_weight
            Array([1., 0., 2.], dtype=float32)
        """
        return set_fields(object.__new__(Problem), **replaced_fields(self, changes))

    def smoothed(self, eps: Any) -> Problem:
        """The problem with targets (1 − eps) T + eps/C, exactly (S21c); eps as in `from_labels`.

        Raises:
            TypeError, ValueError: eps is no number in [0, 1], or the host data were dropped by JAX.

        Example:
            >>> import jaxsoftmax as js
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])
            >>> problem.smoothed("0.1").exact_targets()[1][0]
            20
        """
        return set_fields(object.__new__(Problem), **smoothed_fields(self, self._need_host("smoothed"), eps))

    def astype(self, dtype: Any) -> Problem:
        """The same data in another compute dtype.

        Raises:
            TypeError, ValueError: as for `Problem`; the host data were dropped by JAX, or a strength was traced.

        Example:
            >>> import jaxsoftmax as js, jax, numpy as np
            >>> problem = js.Problem.from_labels(np.float64([[0.1], [1.0]]), [0, 1], dtype="float32")
            >>> with jax.enable_x64(True):
            ...     problem.astype("float64").X.dtype
            dtype('float64')
        """
        h, given = self._need_host("astype"), self.feature_names
        names = None if given is None else given[: h.X.shape[1]]
        fields = (self.intercept, h.sample_weight, h.regularizer, dtype, names, self.classes)
        new = set_fields(object.__new__(Problem), **problem_fields(h.X, None, h.targets, *fields))
        return with_formula(new, h.formula)

    # exact forms
    def exact_targets(self) -> tuple[np.ndarray, list[int]]:
        """The exact targets: numerators (N, C), int64 or Python ints, and N denominators, each row in lowest terms.

        Row n of the targets is ``numerators[n] / denominators[n]`` and sums to 1 exactly (section 7.9).

        Raises:
            ValueError: the host data were dropped by JAX.

        Example:
            >>> import jaxsoftmax as js
            >>> problem = js.Problem([[1.0], [2.0]], [[0.25, 0.75], [1.0, 0.0]])
            >>> problem.exact_targets()[1]
            [4, 1]
        """
        return self._need_host("exact_targets").targets.integers()

    def dump(self, path: Any, *, decimal: bool = False) -> None:
        """Write the exact problem as text that the standard library can read, whole or not at all.

        `jaxsoftmax/problem/dump.py` describes the format. X, weights and strengths are as given, before any rounding to
        the compute dtype: integers, hexadecimal floats (``float.fromhex`` reads them), or rationals p/q.

        Args:
            path: file to write.
            decimal: write each float as the shortest decimal that prints it, a rational (0.1 is 1/10), as a verdict
                with ``decimal=True`` reads it.

        Raises:
            ValueError: the host data were dropped by JAX, or the folder does not exist.

        Example:
            >>> import jaxsoftmax as js, pathlib, tempfile
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "problem.txt"
            >>> js.Problem([[3], [4]], [[1, 0], [0, 1]]).dump(path)
            >>> path.read_text().splitlines()[6:8]
            ['X', '3']
        """
        host = self._need_host("dump")
        if host.regularizer is None:
            raise WrongValue("dump", "a regulariser's strength was traced, without a number", "dump outside jit")
        write_dump(path, host, self.intercept, self.classes, self.feature_names, decimal)

    def _need_host(self, method: str) -> HostData:
        if self.host is None:
            raise WrongValue(
                method,
                "this Problem was rebuilt by JAX (or by replace), without the data as given",
                f"call {method} on the Problem that was constructed",
            )
        return self.host

    # report
    def __repr__(self) -> str:
        shapes = [getattr(leaf, "shape", None) for leaf in (self.X, self.targets)]
        if any(shape is None or len(shape) != 2 for shape in shapes):
            return f"Problem(X={show(self.X)}, T={show(self.targets)}, intercept={self.intercept}, dtype={self.dtype})"
        return problem_report(self)

    # pytree
    def tree_flatten(self):
        """Children X, targets, sample_weight, regularizer; static: intercept and dtype, nothing else."""
        return tuple(getattr(self, field) for field in LEAVES.values()), (self.intercept, str(self.dtype))

    def tree_flatten_with_keys(self):
        """The same with readable key paths: ``.X``, ``.T``, ``.regularizer[0].alpha``."""
        children = [(jax.tree_util.GetAttrKey(name), getattr(self, field)) for name, field in LEAVES.items()]
        return children, (self.intercept, str(self.dtype))

    @classmethod
    def tree_unflatten(cls, aux: tuple[bool, str], children) -> Problem:
        """Rebuild without validation and without host data: leaves may be tracers or placeholders."""
        return set_fields(
            object.__new__(cls),
            **dict(zip(LEAVES.values(), children, strict=True)),
            intercept=aux[0],
            dtype=np.dtype(aux[1]),
            host=None,
            classes=None,
            feature_names=None,
        )
