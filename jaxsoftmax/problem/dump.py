"""The two texts of a Problem: the exact dump and the report of repr.

The dump, "jaxsoftmax-problem 1". Lines, in this order; tokens are separated by one space and every number is exact::

    jaxsoftmax-problem 1
    shape N D C                      D counts the columns of the X rows below (no intercept column)
    intercept 0|1                    1: append a column of ones, last
    regularizers K                   then K lines, each one of
    l2 ALPHA 0|1                       (ALPHA/2)·‖W‖²; 1: the intercept column is included
      logcosh ALPHA GAMMA 0|1            (ALPHA/GAMMA)·Σ log(2 cosh(GAMMA·w)); 1: likewise
    self GAMMA                         S21(d)
    classes JSON                     list of names, or null
    features JSON                    list of D names, or null
    X                                then N lines of D numbers
    T                                then N lines of C rationals p/q (or p when q is 1)
    sample_weight                    then N lines of one number
    end

A number is a decimal integer where an integer was given, otherwise the hexadecimal float of ``float.hex``, or a
rational p/q with `decimal`.

Guarded by `tests/problem/test_arrays.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from jaxsoftmax.support.atomic_write import write_text
from jaxsoftmax.support.validation import show


def number(value: Any, decimal: bool = False) -> str:
    """One exact token: a decimal integer for an integer, `float.hex` for a float, p/q for its shortest `decimal`."""
    if hasattr(value, "dtype"):
        value = np.asarray(value)[()]
    if isinstance(value, (bool, int, np.bool_, np.integer)):
        return str(int(value))
    return str(Fraction(str(value))) if decimal else float(value).hex()


def _rows(array: np.ndarray, decimal: bool) -> Iterator[str]:
    if array.dtype.kind in "biu":
        return (" ".join(str(int(entry)) for entry in row) for row in array.tolist())
    if decimal:
        return _decimal_rows(array)
    return (" ".join(float(entry).hex() for entry in row) for row in array.astype(np.float64).tolist())


def _decimal_rows(array: np.ndarray) -> Iterator[str]:
    """The shortest decimals, those of the array's own dtype; each of the last million different numbers once."""
    known: dict[int, str] = {}
    bits = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    for row, keys in zip(array, bits, strict=True):
        texts = []
        for place, key in enumerate(keys.tolist()):
            text = known.get(key)
            if text is None:
                if len(known) >= 10**6:
                    known.clear()
                text = known[key] = number(row[place], True)
            texts.append(text)
        yield " ".join(texts)


def _names(names: Any) -> str:
    return "null" if names is None else json.dumps([str(name) for name in names])


def dump_lines(host: Any, intercept: bool, classes: Any, feature_names: Any, decimal: bool) -> Iterator[str]:
    """The lines of the text form, without newlines."""
    numerators, denominators = host.targets.integers()
    N, D = host.X.shape
    yield "jaxsoftmax-problem 1"
    yield f"shape {N} {D} {host.targets.C}"
    yield f"intercept {int(intercept)}"
    yield f"regularizers {len(host.regularizer)}"
    for part in host.regularizer:
        yield part.dump_line(lambda strength: number(strength, decimal))
    yield f"classes {_names(classes)}"
    yield f"features {_names(None if feature_names is None else feature_names[:D])}"
    yield "X"
    yield from _rows(host.X, decimal)
    yield "T"
    for row, q in zip(numerators.tolist(), denominators, strict=True):
        yield " ".join(str(p) if q == 1 else f"{p}/{q}" for p in row)
    yield "sample_weight"
    weights = np.ones((N, 1), dtype=int) if host.sample_weight is None else host.sample_weight[:, None]
    yield from _rows(weights, decimal)
    yield "end"


def write_dump(path: Any, host: Any, intercept: bool, classes: Any, feature_names: Any, decimal: bool = False) -> None:
    """Write the text form beside `path`, then move it into place: a reader never sees half a file.

    Raises:
        TypeError, ValueError: `path` cannot be written to.
    """
    lines = dump_lines(host, intercept, classes, feature_names, decimal)
    write_text(path, (line + "\n" for line in lines), "ascii")


def problem_report(problem: Any) -> str:
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
        eps = host.targets.label_smoothing
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
            total = float(host.sample_weight.sum(dtype=np.float64))
            lines.append(f"  sample weights: given, sum {total:.6g}, of which 0 (take no part): {zero}")
    given = problem.regularizer if host is None or host.regularizer is None else host.regularizer
    lines.append("  regularizer: " + (" + ".join(map(repr, given)) if isinstance(given, tuple) and given else "none"))
    if problem.classes is not None:
        lines.append(f"  classes: {show(problem.classes.tolist(), 80)}")
    return "\n".join(lines)
