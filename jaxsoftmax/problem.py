"""Problem: the data, targets, weights and regulariser of one softmax regression, validated once, a pytree for JAX."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax import _arrays, _labels, _targets
from jaxsoftmax._checks import is_traced, kind_of, show
from jaxsoftmax._dump import write_dump
from jaxsoftmax.regularizers import as_regularizers

_LEAVES = ("X", "T", "sample_weight", "regularizer")


@dataclasses.dataclass(frozen=True, eq=False)
class HostData:
    """The data as given, on the host, read-only: what exact verdicts are about.

    Attributes:
        X: (N, D), or (N, D−1) when the problem has an intercept: NumPy, in the dtype given, no intercept column.
        sample_weight: (N,) as given, or None.
        targets: exact targets (`ExactTargets`); read them with ``problem.exact_targets()``.
        regularizer: the regularisers as given, before the cast to the compute dtype; None if a strength was traced.
        dtype_reason: why the compute dtype is what it is, in words.
    """

    X: np.ndarray
    sample_weight: np.ndarray | None
    targets: _targets.ExactTargets
    regularizer: tuple | None
    dtype_reason: str


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, init=False, eq=False, repr=False)
class Problem:
    r"""A softmax regression problem (S1): minimise :math:`\sum_n s_n[\mathrm{lse}(Wx_n) - t_n^\top W x_n]` over W (C, D).

    The data are kept **as given** on the host (`problem.host`) and, in the compute dtype, on the device
    (`X`, `T`, `sample_weight`, `regularizer`: the leaves of this pytree). Everything is validated here, once, and
    nothing when JAX rebuilds the tree; a rebuilt problem has ``host``, ``classes`` and ``feature_names`` None, and
    none of these ever causes a retrace.

    Args:
        X: (N, D) real design matrix, one row a sample: NumPy, JAX, nested lists, a pandas or polars frame, SciPy
            sparse (made dense), anything with ``__array__`` or ``__dlpack__``. A writeable NumPy array is copied.
        T: (N, C) probability rows, C >= 2. A float row t means t/Σt over the rationals and must sum to 1 within
            8·eps·C (eps of T's dtype); an integer or boolean row must be one-hot. The device T is the correctly
            rounded float of the exact rational.
        intercept: append a column of ones, last.
        sample_weight: (N,) weights >= 0, not all 0; None means ones. Samples of weight 0 take no part (THEORY 0).
        regularizer: `L2`, `SelfRegularizer`, their sum, or a tuple of them; None for none. Strengths are cast to
            the compute dtype.
        dtype: compute dtype, "float32" or "float64", or "bfloat16" (X in bfloat16, everything else float32).
            Default: float64 if X is float64 or integer and x64 is on, else float32; bfloat16 X stays bfloat16.
            A JAX array must have its dtype already and keeps its sharding; the rest is placed as X's rows are.
        feature_names: a name for each column of the X given; default: a frame's column names.
        classes: a name for each column of T; default: a frame's column names.

    Attributes:
        X: (N, D) JAX array, the intercept column included.
        T: (N, C) JAX array.
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
            all-zero weights, integers that no double holds, numbers beyond the compute dtype, float64 while x64 is off.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
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
    T: Any
    sample_weight: Any
    regularizer: Any
    intercept: bool
    dtype: np.dtype
    host: HostData | None
    classes: np.ndarray | None
    feature_names: tuple[str, ...] | None

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
            raise ValueError(f"T: shape {rows.shape}, expected (N, C); {hint}.")
        if rows.shape[1] < 2:
            raise ValueError(f"T: shape {rows.shape} has {rows.shape[1]} classes; give at least two columns, absent classes included.")
        names = columns if classes is None else classes
        if names is not None:
            names = _names(names, rows.shape[1], "classes", "column of T")
            names = np.array(names, dtype=object if columns is None else str)
            names.setflags(write=False)
        _construct(
            self, X, T, _targets.from_rows(rows), intercept, sample_weight, regularizer, dtype, feature_names, names
        )

    @classmethod
    def from_labels(
        cls,
        X: Any,
        y: Any,
        *,
        intercept: bool = True,
        smoothing: Any = 0.0,
        sample_weight: Any = None,
        regularizer: Any = None,
        dtype: Any = None,
        classes: Any = None,
        feature_names: Any = None,
    ) -> Problem:
        r"""A problem with one-hot targets from labels, smoothed by S21(c): :math:`T \leftarrow (1-\varepsilon)T + \varepsilon/C`.

        Args:
            X, intercept, sample_weight, regularizer, dtype, feature_names: as for `Problem`.
            y: (N,) labels: integers, booleans, text, integral floats, or a categorical.
            smoothing: ε in [0, 1], exact: a float or text is the decimal it prints (0.01 is 1/100), "1/3" and
                `fractions.Fraction` are themselves.
            classes: every class, those absent from y included; default: the classes in y, or all categories of a
                categorical. Sorted in either case.

        Returns:
            A Problem whose `classes` are the sorted labels; class c is row c of W.

        Raises:
            TypeError, ValueError: as for `Problem`; labels that are missing, continuous, of mixed types, beyond
                64 bits, not among `classes`, or all the same.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], ["a", "b", "a"], smoothing=0.01)
            >>> problem.T
            Array([[0.995, 0.005],
                   [0.005, 0.995],
                   [0.995, 0.005]], dtype=float32)
            >>> problem.exact_targets()[0][0], problem.exact_targets()[1][0]
            (array([199,   1]), 200)
        """
        codes, names = _labels.encode_labels(y, classes)
        targets = _targets.ExactTargets(len(names), codes, None, _targets.exact_smoothing(smoothing))
        self = object.__new__(cls)
        _construct(self, X, None, targets, intercept, sample_weight, regularizer, dtype, feature_names, names)
        return self

    # ── shapes ──
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
        return self.T.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, D, C)."""
        return self.N, self.D, self.C

    # ── derived problems ──
    def replace(self, **changes: Any) -> Problem:
        """The problem with `X`, `T`, `sample_weight` or `regularizer` replaced by device or traced arrays.

        This is how to differentiate in X, T or s, or to map over weights or strengths; the values are not
        inspected. The host copy is dropped unless only regularisers change. NumPy values convert to the
        compute dtype; X includes the intercept column.

        Raises:
            TypeError: another keyword, or a JAX array of another dtype.
            ValueError: shapes that do not fit together.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])
            >>> problem.replace(sample_weight=np.array([1.0, 0.0, 2.0])).sample_weight
            Array([1., 0., 2.], dtype=float32)
        """
        unknown = sorted(set(changes) - set(_LEAVES))
        if unknown:
            raise TypeError(f"replace: got {unknown[0]}=...; only {', '.join(_LEAVES)} can be replaced. Build a new Problem.")
        new = {name: getattr(self, name) for name in _LEAVES}
        for name in changes.keys() - {"regularizer"}:
            dtype = new["X"].dtype if name == "X" else self.dtype
            value = changes[name]
            if isinstance(value, jax.Array) and value.dtype not in (dtype, self.dtype):
                raise TypeError(f"{name}: {kind_of(value)}, but the problem's dtype is {dtype}. Use {name}.astype({str(dtype)!r}).")
            new[name] = value if isinstance(value, jax.Array) else jnp.asarray(value, dtype=dtype)
        host = self.host if changes.keys() <= {"regularizer"} else None
        if "regularizer" in changes:
            new["regularizer"], given = _strengths(changes["regularizer"], self.dtype)
            host = None if host is None else dataclasses.replace(host, regularizer=given)
        X, T, s = new["X"], new["T"], new["sample_weight"]
        if X.ndim != 2 or T.ndim != 2 or s.shape != X.shape[:1] or T.shape[0] != X.shape[0]:
            raise ValueError(
                f"replace: X {X.shape}, T {T.shape} and sample_weight {s.shape} do not fit together. Give (N, D), (N, C) "
                "and (N,) with one N; X includes the intercept column."
            )
        return _assemble(
            object.__new__(Problem),
            **new,
            intercept=self.intercept,
            dtype=self.dtype,
            host=host,
            classes=self.classes if T.shape[1] == self.C else None,
            feature_names=self.feature_names if X.shape[1] == self.D else None,
        )

    def smoothed(self, eps: Any) -> Problem:
        """The problem with targets (1 − eps) T + eps/C, exactly (S21c); eps as in `from_labels`.

        Raises:
            TypeError, ValueError: eps is no number in [0, 1], or the host data were dropped by JAX.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])
            >>> problem.smoothed("0.1").exact_targets()[1][0]
            20
        """
        host = self._need_host("smoothed")
        targets = host.targets.smoothed(_targets.exact_smoothing(eps, "eps"))
        return _assemble(
            object.__new__(Problem),
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
            | {"T": _arrays.place_rows(targets.rounded(self.dtype), self.X)}
            | {"host": dataclasses.replace(host, targets=targets)},
        )

    # ── exact forms ──
    def exact_targets(self) -> tuple[np.ndarray, list[int]]:
        """The exact targets: numerators (N, C), int64 or Python ints, and N denominators, each row in lowest terms.

        Row n of the targets is ``numerators[n] / denominators[n]`` and sums to 1 exactly (THEORY 7.9).

        Raises:
            ValueError: the host data were dropped by JAX.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem([[1.0], [2.0]], [[0.25, 0.75], [1.0, 0.0]])
            >>> problem.exact_targets()[1]
            [4, 1]
        """
        return self._need_host("exact_targets").targets.integers()

    def dump(self, path: Any) -> None:
        """Write the exact problem as text that the standard library can read; the file is replaced atomically.

        Lines, in this order; tokens are separated by one space and every number is exact::

            jaxsoftmax-problem 1
            shape N D C                      D counts the columns of the X rows below (no intercept column)
            intercept 0|1                    1: append a column of ones, last
            regularizers K                   then K lines, each one of
            l2 ALPHA 0|1                       (ALPHA/2)·‖W‖²; 1: the intercept column is included
            self GAMMA                         S21(d)
            classes JSON                     list of names, or null
            features JSON                    list of D names, or null
            X                                then N lines of D numbers
            T                                then N lines of C rationals p/q (or p when q is 1)
            sample_weight                    then N lines of one number
            end

        A number is a decimal integer where an integer was given, otherwise the hexadecimal float of
        ``float.hex`` (read it with ``float.fromhex``). X, weights and strengths are as given, before any
        rounding to the compute dtype.

        Args:
            path: file to write; an existing file is replaced only once the new one is complete.

        Raises:
            ValueError: the host data were dropped by JAX, or the folder does not exist.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np, pathlib, tempfile
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "problem.txt"
            >>> js.Problem([[3], [4]], [[1, 0], [0, 1]]).dump(path)
            >>> path.read_text().splitlines()[6:8]
            ['X', '3']
        """
        host = self._need_host("dump")
        if host.regularizer is None:
            raise ValueError("dump: a regulariser's strength was traced, so its number is unknown. Dump outside jit.")
        write_dump(path, host, self.intercept, self.classes, self.feature_names)

    def _need_host(self, method: str) -> HostData:
        if self.host is None:
            raise ValueError(
                f"{method}: this Problem was rebuilt by JAX (or by replace) and no longer has the data as given. Call "
                f"{method} on the Problem that was constructed."
            )
        return self.host

    # ── report ──
    def __repr__(self) -> str:
        shapes = [getattr(leaf, "shape", None) for leaf in (self.X, self.T)]
        if any(shape is None or len(shape) != 2 for shape in shapes):
            return f"Problem(X={show(self.X)}, T={show(self.T)}, intercept={self.intercept}, dtype={self.dtype})"
        return _report(self)

    # ── pytree ──
    def tree_flatten_with_keys(self):
        """Leaves X, T, sample_weight, regularizer; static: intercept and dtype, nothing else."""
        children = [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in _LEAVES]
        return children, (self.intercept, str(self.dtype))

    @classmethod
    def tree_unflatten(cls, aux: tuple[bool, str], children) -> Problem:
        """Rebuild without validation and without host data: leaves may be tracers or placeholders."""
        return _assemble(
            object.__new__(cls),
            **dict(zip(_LEAVES, children, strict=True)),
            intercept=aux[0],
            dtype=np.dtype(aux[1]),
            host=None,
            classes=None,
            feature_names=None,
        )


def _assemble(problem: Problem, **fields: Any) -> Problem:
    for name, value in fields.items():
        object.__setattr__(problem, name, value)
    return problem


def _strengths(regularizer: Any, dtype: np.dtype) -> tuple[tuple, tuple | None]:
    """Regularisers in the compute dtype, and as given (None if traced)."""
    given = as_regularizers(regularizer)
    cast = as_regularizers(given, dtype)
    return cast, None if any(map(is_traced, jax.tree.leaves(given))) else given


def _names(names: Any, count: int, name: str, each: str) -> tuple:
    if isinstance(names, str) or not hasattr(names, "__len__"):
        raise TypeError(f"{name}: got {show(names)}, {kind_of(names)}. Give a list with one name for each {each}.")
    names = tuple(names.tolist() if hasattr(names, "tolist") else names)
    if len(names) != count:
        raise ValueError(f"{name}: {len(names)} names, expected {count}, one for each {each}. Give {count} names.")
    if len(set(names)) != count:
        raise ValueError(f"{name}: {show(names)} repeats a name. Make the names distinct.")
    return names


def _weights(given: Any, N: int, dtype: np.dtype, X: Any) -> tuple[np.ndarray | None, jax.Array]:
    """Sample weights as given and on the device."""
    if given is None:
        return None, _arrays.place_rows(np.ones(N, dtype), X)
    host, _ = _arrays.to_numpy(given, "sample_weight")
    if host.shape != (N,):
        hint = "use sample_weight[:, 0]" if host.shape == (N, 1) else "give one weight a sample"
        raise ValueError(f"sample_weight: shape {host.shape}, expected ({N},); {hint}.")
    _arrays.require_finite(host, "sample_weight")
    if host.dtype.kind != "b" and (host < 0).any():
        n = int(np.argwhere(host < 0)[0, 0])
        raise ValueError(
            f"sample_weight: entry {n} is {show(host[n])}; weights must be >= 0. Remove the sample or set its weight to 0."
        )
    if not host.any():
        raise ValueError("sample_weight: every weight is 0, so no sample takes part. Give at least one positive weight.")
    if isinstance(given, jax.Array) and host.dtype != dtype:
        raise TypeError(
            f"sample_weight: {kind_of(given)}, but the problem's dtype is {dtype}. Use sample_weight.astype({str(dtype)!r})."
        )
    array = _arrays.convert(host, dtype, "sample_weight")
    lost = (host > 0) & (array < np.finfo(dtype).tiny)
    if lost.any():
        n = int(np.argwhere(lost)[0, 0])
        raise ValueError(
            f"sample_weight: entry {n} is {show(host[n])}, below the smallest normal {dtype}; the sample would vanish. "
            "Rescale the weights, or set it to 0."
        )
    return host, given if isinstance(given, jax.Array) else _arrays.place_rows(array, X)


def _construct(self, X, T, targets, intercept, sample_weight, regularizer, dtype, feature_names, classes) -> None:
    """The validated build shared by both constructors; `T` is the given probability array or None."""
    if not isinstance(intercept, (bool, np.bool_)):
        raise TypeError(f"intercept: got {show(intercept)}. Give True or False.")
    intercept = bool(intercept)
    host_X, columns = _arrays.to_numpy(X, "X")
    if host_X.ndim != 2:
        hint = "use X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample" if host_X.ndim == 1 else "give one row a sample"
        raise ValueError(f"X: shape {host_X.shape}, expected (N, D); {hint}.")
    N, given_D = host_X.shape
    if N == 0:
        raise ValueError(f"X: shape {host_X.shape} has no samples. Give at least one row.")
    if given_D == 0 and not intercept:
        raise ValueError(f"X: shape {host_X.shape} has no features. Give at least one column, or intercept=True.")
    rows = len(targets.codes) if targets.codes is not None else len(targets.rows)
    if rows != N:
        what = "T" if T is not None else "y"
        raise ValueError(f"{what}: {rows} rows for the {N} rows of X. Give one for each sample.")
    _arrays.require_finite(host_X, "X")
    compute, storage, why = _arrays.choose_dtypes(X, host_X, dtype)
    device_X = _arrays.device_matrix(X, host_X, storage, intercept)
    device_T = targets.rounded(compute)
    if isinstance(T, jax.Array):
        if T.dtype != compute:
            raise TypeError(f"T: {kind_of(T)}, but the problem's dtype is {compute}. Use T.astype({str(compute)!r}).")
        device_T = T if (np.asarray(T) == device_T).all() else jax.device_put(device_T, T.sharding)
    else:
        device_T = _arrays.place_rows(device_T, X)
    host_s, device_s = _weights(sample_weight, N, compute, X)
    strengths, given_strengths = _strengths(regularizer, compute)
    names = columns if feature_names is None else _names(feature_names, given_D, "feature_names", "column of X")
    if names is not None:
        names = tuple(map(str, names)) + (("intercept",) if intercept else ())
    _assemble(
        self,
        X=device_X,
        T=device_T,
        sample_weight=device_s,
        regularizer=strengths,
        intercept=intercept,
        dtype=compute,
        host=HostData(host_X, host_s, targets, given_strengths, why),
        classes=classes,
        feature_names=names,
    )


def _report(problem: Problem) -> str:
    """The readable report that repr prints."""
    N, D, C = problem.shape
    host = problem.host
    bias = " (the last is the intercept)" if problem.intercept else ""
    lines = [f"Problem: {N} samples, {D} features{bias}, {C} classes"]
    X_dtype = getattr(problem.X, "dtype", problem.dtype)
    stored = "" if X_dtype == problem.dtype else f", X in {X_dtype}"
    lines.append(f"  dtype: {problem.dtype}{stored}" + (f" ({host.dtype_reason})" if host else ""))
    if host is None:
        lines.append("  host data: dropped (this Problem was rebuilt by JAX or by replace)")
    else:
        kind = "probability rows" if host.targets.codes is None else "one-hot"
        eps = host.targets.smoothing
        lines.append(f"  targets: {kind}" + (f", smoothing {eps}" if eps else ""))
        if host.targets.codes is not None:
            counts = np.bincount(host.targets.codes, minlength=C)
            if (counts == 0).any():
                absent = np.flatnonzero(counts == 0)
                labels = absent if problem.classes is None else problem.classes[absent]
                lines.append(f"  absent classes: {show(np.asarray(labels).tolist(), 80)}")
        if host.sample_weight is None:
            lines.append("  sample weights: none (all 1)")
        else:
            zero = int((host.sample_weight == 0).sum())
            lines.append(f"  sample weights: given, sum {float(host.sample_weight.sum()):.6g}; {zero} are 0 and take no part")
    given = problem.regularizer if host is None or host.regularizer is None else host.regularizer
    lines.append("  regularizer: " + (" + ".join(map(repr, given)) if isinstance(given, tuple) and given else "none"))
    if problem.classes is not None:
        lines.append(f"  classes: {show(problem.classes.tolist(), 80)}")
    return "\n".join(lines)
