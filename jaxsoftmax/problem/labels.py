"""Labels to class codes: integers, booleans, text or categoricals, sorted classes, absent classes by declaration.

Guarded by `tests/problem/test_problem.py`.
"""

from __future__ import annotations

import numbers
from typing import Any

import jax
import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import is_traced, kind_of, show


def encode_labels(y: Any, classes: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N,) int64 into the sorted classes, and the classes (C,), both read-only.

    Classes are those of `y`, of its categories if it is categorical, and of `classes`; when `classes` is
    given it must contain every label.

    Raises:
        TypeError: labels of an unusable or mixed type, or a traced value.
        ValueError: y is not 1-D, has missing, non-integral or overflowing labels, a label that `classes`
            lacks, or only one class.
    """
    declared = None if classes is None else _distinct(classes)
    if declared is None:
        categories = _categories(y)
        declared = None if categories is None else _distinct(categories, "y.categories")
    labels = _labels(y, "y")
    if labels.size == 0:
        raise WrongValue("y", "has no labels", "give at least one sample")
    if declared is None:
        found, codes = np.unique(labels, return_inverse=True)
    else:
        found = declared
        if found.dtype.kind != labels.dtype.kind:
            raise WrongType("classes", f"got {kind_of(found)}, but y is {kind_of(labels)}", "give both the same type")
        codes = np.minimum(np.searchsorted(found, labels), len(found) - 1)
        if (found[codes] != labels).any():
            n = int(np.argwhere(found[codes] != labels)[0, 0])
            known = show(found.tolist())
            raise WrongValue(
                "y", f"entry {n} is {show(labels[n])}, which is not among classes {known}", "add it to classes"
            )
    if len(found) < 2:
        given = f"every label is {show(found.tolist()[0])}: one class"
        raise WrongValue("y", given, "give labels of two classes or more, or name those without a sample (classes=...)")
    codes = codes.reshape(-1).astype(np.int64)
    codes.setflags(write=False)
    found.setflags(write=False)
    return codes, found


def _distinct(classes: Any, name: str = "classes") -> np.ndarray:
    labels = _labels(classes, name)
    found = np.unique(labels)
    if len(found) != len(labels):
        raise WrongValue(name, f"{show(labels.tolist())} names a class twice", "name each class once")
    return found


def _categories(y: Any) -> Any:
    """The declared categories of a pandas categorical or a polars Enum, else None."""
    holder = getattr(y, "cat", None) if hasattr(y, "iloc") else y
    categories = getattr(holder, "categories", None)
    if categories is None and type(getattr(y, "dtype", None)).__name__ == "Enum":
        categories = getattr(y.dtype, "categories", None)
    return categories


def _labels(y: Any, name: str) -> np.ndarray:
    """A fresh 1-D array of int64, bool or text labels."""
    if is_traced(y):
        raise WrongType(name, "got a traced value", "build the Problem outside jit and pass it in (it is a pytree)")
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()
    if np.ma.isMaskedArray(y) and np.ma.getmaskarray(y).any():
        n = int(np.argwhere(np.ma.getmaskarray(y))[0, 0])
        raise WrongValue(name, f"entry {n} is masked (missing)", "drop that sample or label it")
    if isinstance(y, jax.Array) and not isinstance(y.dtype, np.dtype):
        raise WrongType(name, f"got {kind_of(y)}", "give integers or text")
    try:
        # Through objects for lists: NumPy would turn ["a", 1] and ["a", nan] into text without a word.
        array = np.array(y, dtype=object) if isinstance(y, (list, tuple)) else np.array(y)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WrongValue(name, f"cannot be made a 1-D array ({error})", "give one label a sample") from error
    if array.ndim != 1:
        hint = "give a 1-D array with one label a sample"
        if array.ndim == 2:
            hint = (
                f"use its one column, such as {name}[:, 0]"
                if array.shape[1] == 1
                else "for rows of probabilities use Problem(X, T)"
            )
        raise WrongValue(name, f"shape {array.shape}, expected (N,)", hint)
    if array.dtype.kind in "OT":
        array = _from_objects(array.astype(object), name)
    if array.dtype.kind == "S":
        array = array.astype(str)
    if array.dtype.kind in "bU":
        return array
    if array.dtype.kind == "f":
        return _from_floats(array, name)
    if array.dtype.kind not in "iu":
        raise WrongType(name, f"got {kind_of(array)}", "give integers, booleans or text, such as .astype(str)")
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        _overflow(name, int(np.argmax(array)), int(array.max()))
    return array.astype(np.int64)


def _overflow(name: str, n: int, value: Any) -> None:
    raise WrongValue(name, f"entry {n} is {value}, beyond 64-bit signed integers", "use text labels or smaller codes")


def _from_floats(array: np.ndarray, name: str) -> np.ndarray:
    """Integral floats as integers; NaN means missing and a fraction means a continuous target."""
    if not np.isfinite(array).all():
        n = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise WrongValue(name, f"entry {n} is {float(array[n])} (missing)", "drop that sample or label it")
    if (array != np.floor(array)).any():
        n = int(np.argwhere(array != np.floor(array))[0, 0])
        given = f"entry {n} is {float(array[n])}: the labels are continuous"
        raise WrongValue(name, given, "bin the values first, or use Problem(X, T) for probabilities")
    digits = min(np.finfo(array.dtype).nmant + 1, 53)
    if (np.abs(array) >= 2.0**digits).any():  # 2**53 is what 2**53 + 1 is rounded to
        n = int(np.argmax(np.abs(array)))
        given = f"entry {n} is {float(array[n])}: from 2**{digits} on a {array.dtype} names no single integer"
        raise WrongValue(name, given, "use integers or text")
    return array.astype(np.int64)


def _from_objects(array: np.ndarray, name: str) -> np.ndarray:
    entries = [entry.item() if getattr(entry, "shape", None) == () else entry for entry in array]
    for n, entry in enumerate(entries):
        missing = entry is None or type(entry).__name__ in ("NAType", "NaTType")
        if missing or (isinstance(entry, float) and entry != entry):
            raise WrongValue(name, f"entry {n} is {show(entry)} (missing)", "drop that sample or label it")
    if all(isinstance(entry, str) for entry in entries):
        for n, entry in enumerate(entries):
            if "\0" in entry or (not entry.isascii() and any("\ud800" <= letter <= "\udfff" for letter in entry)):
                # NumPy drops a zero letter at the end; half of a surrogate pair cannot be written to a file.
                raise WrongValue(name, f"entry {n} is {entry!r:.60}, with a letter that is none", "correct that label")
        return np.array(entries, dtype=str)
    if all(isinstance(entry, bool) for entry in entries):
        return np.array(entries, dtype=bool)
    if all(isinstance(entry, numbers.Integral) and not isinstance(entry, bool) for entry in entries):
        for n, entry in enumerate(entries):
            if not -(2**63) <= entry < 2**63:
                _overflow(name, n, entry)
        return np.array(entries, dtype=np.int64)
    if all(isinstance(entry, numbers.Real) and not isinstance(entry, bool) for entry in entries):
        return np.array([float(entry) for entry in entries])
    kinds = sorted({type(entry).__name__ for entry in entries})
    raise WrongType(name, f"labels of types {', '.join(kinds)}", "give all integers, all booleans or all text")
