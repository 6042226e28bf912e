"""The validated construction of a Problem's fields, done once, shared by its constructors.

Guarded by `tests/support/test_validation.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem import arrays as _arrays
from jaxsoftmax.problem import exact_targets as _targets
from jaxsoftmax.problem.label_targets import LabelTargets, stored_targets
from jaxsoftmax.problem.regularizers import as_regularizers, cast_strengths
from jaxsoftmax.problem.rounded_columns import warn_of_rounded_columns
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import flag, is_traced, kind_of, require_x64, show, warn_if_miscompiling

LEAVES = {"X": "X", "T": "targets", "sample_weight": "sample_weight", "regularizer": "regularizer"}
"""The children of the pytree by the names that users give, and the fields that hold them."""


@dataclasses.dataclass(frozen=True, eq=False)
class HostData:
    """The data as given, on the host, read-only: what exact verdicts are about.

    Attributes:
        X: (N, D), or (N, D−1) when the problem has an intercept: NumPy, in the dtype given, no intercept column.
        sample_weight: (N,) as given, or None.
        targets: exact targets (`ExactTargets`); read them with ``problem.exact_targets()``.
        regularizer: the regularisers as given, before the cast to the compute dtype; None if a strength was traced.
        dtype_reason: why the compute dtype is what it is, in words.
        formula: what made X of a frame (`frames.Formula`), or None.
    """

    X: np.ndarray
    sample_weight: np.ndarray | None
    targets: _targets.ExactTargets
    regularizer: tuple[Any, ...] | None
    dtype_reason: str
    formula: Any = None


def strengths(regularizer: Any, dtype: np.dtype) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Regularisers in the compute dtype, and as given (None if traced)."""
    given = as_regularizers(regularizer)
    return cast_strengths(given, dtype), None if any(map(is_traced, jax.tree.leaves(given))) else given


def names_tuple(names: Any, count: int, name: str, each: str) -> tuple[Any, ...]:
    """`count` distinct names as a tuple."""
    if isinstance(names, str) or not hasattr(names, "__len__"):
        raise WrongType(name, f"got {show(names)}, {kind_of(names)}", f"give a list with one name for each {each}")
    names = tuple(names.tolist() if hasattr(names, "tolist") else names)
    if len(names) != count:
        raise WrongValue(name, f"{len(names)} names, expected {count}, one for each {each}", f"give {count} names")
    if len(set(names)) != count:
        raise WrongValue(name, f"{show(names)} repeats a name", "make the names distinct")
    return names


def _other_dtype(name: str, value: jax.Array, dtype: Any) -> WrongType:
    given = f"got {kind_of(value)}, but the problem's dtype is {dtype}"
    return WrongType(name, given, f"use {name}.astype({str(dtype)!r})")


def given_weights(given: Any, N: int, dtype: np.dtype, X: Any) -> tuple[np.ndarray | None, jax.Array]:
    """Sample weights as given and on the device."""
    if given is None:
        return None, _arrays.place_rows(np.ones(N, dtype), X)
    host, _ = _arrays.to_numpy(given, "sample_weight")
    if host.shape != (N,):
        hint = "use sample_weight[:, 0]" if host.shape == (N, 1) else "give one weight a sample"
        raise WrongValue("sample_weight", f"shape {host.shape}, expected ({N},)", hint)
    _arrays.require_finite(host, "sample_weight")
    if host.dtype.kind != "b" and (host < 0).any():
        n = int(np.argwhere(host < 0)[0, 0])
        raise WrongValue("sample_weight", f"entry {n} is {show(host[n])}", "give a weight >= 0, or remove the sample")
    if not host.any():
        raise WrongValue("sample_weight", "every weight is zero", "give at least one positive weight")
    if isinstance(given, jax.Array) and host.dtype != dtype:
        raise _other_dtype("sample_weight", given, dtype)
    array = _arrays.convert(host, dtype, "sample_weight")
    lost = (host > 0) & (array < np.finfo(dtype).tiny)
    if lost.any():
        n = int(np.argwhere(lost)[0, 0])
        small = f"entry {n} is {show(host[n])}, below the smallest normal {dtype}"
        raise WrongValue("sample_weight", small, "rescale the weights, or set it to 0")
    return host, given if isinstance(given, jax.Array) else _arrays.place_rows(array, X)


def place_targets(stored: Any, X: Any) -> Any:
    """Stored targets on the devices of X, a row where X has the sample's."""
    if not isinstance(stored, LabelTargets):
        return _arrays.place_rows(stored, X)
    return LabelTargets(_arrays.place_rows(stored.codes, X), _arrays.place_whole(stored.values, X), stored.C)


def problem_fields(
    X: Any,
    T: Any,
    targets: _targets.ExactTargets,
    intercept: Any,
    sample_weight: Any,
    regularizer: Any,
    dtype: Any,
    feature_names: Any,
    classes: np.ndarray | None,
) -> dict[str, Any]:
    """Every field of a Problem from what the user gave, validated; `T` is the given probability array or None.

    Raises:
        TypeError, ValueError: as `Problem` documents.
    """
    warn_if_miscompiling()
    intercept = flag("intercept", intercept)
    host_X, columns = _arrays.to_numpy(X, "X")
    if host_X.ndim != 2:
        hint = "give one row a sample"
        if host_X.ndim == 1 and host_X.size:
            hint = "use X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample"
        raise WrongValue("X", f"shape {host_X.shape}, expected (N, D)", hint)
    N, given_D = host_X.shape
    if N == 0:
        raise WrongValue("X", f"shape {host_X.shape} has no samples", "give at least one row")
    if given_D == 0 and not intercept:
        raise WrongValue("X", f"shape {host_X.shape} has no features", "give at least one column, or intercept=True")
    if targets.N != N:
        what = "T" if T is not None else "y"
        raise WrongValue(what, f"{targets.N} rows for the {N} rows of X", "give one for each sample")
    _arrays.require_same_index(X, T, "T")
    _arrays.require_same_index(X, sample_weight, "sample_weight")
    _arrays.require_finite(host_X, "X", columns=columns)
    compute, storage, why = _arrays.choose_dtypes(X, host_X, dtype)
    _arrays.refuse_too_large(X, host_X, storage, intercept)
    device_X = _arrays.device_matrix(X, host_X, storage, intercept)
    if isinstance(T, jax.Array):
        if T.dtype != compute:
            raise _other_dtype("T", T, compute)
        rounded = targets.rounded(compute)
        device_T = T if (np.asarray(T) == rounded).all() else jax.device_put(rounded, T.sharding)
    else:
        device_T = place_targets(targets.rounded(compute) if T is not None else stored_targets(targets, compute), X)
    host_s, device_s = given_weights(sample_weight, N, compute, X)
    cast, given_strengths = strengths(regularizer, compute)
    names = columns if feature_names is None else names_tuple(feature_names, given_D, "feature_names", "column of X")
    warn_of_rounded_columns(host_X, storage, names, stacklevel=4)
    if names is not None:
        names = tuple(map(str, names)) + (("intercept",) if intercept else ())
    return {
        "X": device_X,
        "targets": device_T,
        "sample_weight": device_s,
        "regularizer": cast,
        "intercept": intercept,
        "dtype": compute,
        "host": HostData(host_X, host_s, targets, given_strengths, why),
        "classes": classes,
        "feature_names": names,
    }


def replaced_fields(problem: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """Every field of `problem` with some leaves replaced; values are not inspected, shapes and dtypes are.

    Raises:
        TypeError, ValueError: as `Problem.replace` documents.
    """
    unknown = sorted(set(changes) - LEAVES.keys())
    if unknown:
        raise WrongType("replace", f"got {unknown[0]}=...", f"give some of {', '.join(LEAVES)}, or build a new Problem")
    require_x64("problem", problem.dtype)
    new = {name: getattr(problem, field) for name, field in LEAVES.items()}
    for name in changes.keys() - {"regularizer"}:
        dtype = new["X"].dtype if name == "X" and new["X"].dtype.kind != "u" else problem.dtype
        value = changes[name]
        if isinstance(value, LabelTargets) and name == "T":
            new[name] = value
            continue
        allowed = (dtype, problem.dtype, new[name].dtype) if name == "X" else (dtype,)
        if isinstance(value, jax.Array) and value.dtype not in allowed:
            raise _other_dtype(name, value, dtype)
        new[name] = value if isinstance(value, jax.Array) else jnp.asarray(value, dtype=dtype)
    host = problem.host if changes.keys() <= {"regularizer"} else None
    if "regularizer" in changes:
        new["regularizer"], given = strengths(changes["regularizer"], problem.dtype)
        host = None if host is None else dataclasses.replace(host, regularizer=given)
    X, T, s = new["X"], new["T"], new["sample_weight"]
    if X.ndim != 2 or len(T.shape) != 2 or s.shape != X.shape[:1] or T.shape[0] != X.shape[0]:
        raise WrongValue(
            "replace",
            f"X {X.shape}, T {T.shape} and sample_weight {s.shape} do not fit together",
            "give (N, D), with the intercept column if there is one, (N, C) and (N,) with one N",
        )
    return {LEAVES[name]: value for name, value in new.items()} | {
        "intercept": problem.intercept,
        "dtype": problem.dtype,
        "host": host,
        "classes": problem.classes if T.shape[1] == problem.C else None,
        "feature_names": problem.feature_names if X.shape[1] == problem.D else None,
    }


def reweighted(problem: Any, sample_weight: Any) -> Any:
    """The problem with other weights (N,), its data as given kept: validated and placed as its constructor does."""
    host, device = given_weights(sample_weight, problem.N, problem.dtype, problem.X)
    kept = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
    if problem.host is not None:
        kept["host"] = dataclasses.replace(problem.host, sample_weight=host)
    return set_fields(object.__new__(type(problem)), **(kept | {"sample_weight": device}))


def smoothed_fields(problem: Any, host: HostData, eps: Any) -> dict[str, Any]:
    """Every field of `problem` with its targets smoothed by eps.

    Raises:
        TypeError, ValueError: as `Problem.smoothed` documents.
    """
    require_x64("problem", problem.dtype)
    targets = host.targets.smoothed(_targets.exact_smoothing(eps, "eps"))
    return {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)} | {
        "targets": place_targets(stored_targets(targets, problem.dtype), problem.X),
        "host": dataclasses.replace(host, targets=targets),
    }


def set_fields(problem: Any, **fields: Any) -> Any:
    """The frozen `problem` itself, with fields set: only for one that nobody else has seen yet."""
    for name, value in fields.items():
        object.__setattr__(problem, name, value)
    return problem


def with_formula(problem: Any, formula: Any) -> Any:
    """The `problem` itself, whose X the formula made: only for one that nobody else has seen yet."""
    return set_fields(problem, host=dataclasses.replace(problem.host, formula=formula))
