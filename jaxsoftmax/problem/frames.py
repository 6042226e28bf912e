"""Data frames: their columns, formulas over them (by formulaic, the extra `formula`), containers without numbers.

Guarded by `tests/problem/test_frames.py`.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show

__all__ = ["Formula", "formula_columns", "frame_columns", "is_frame", "refuse_container"]

_ENCODE = "encode it as numbers, such as by pandas.get_dummies or scikit-learn's OneHotEncoder"


def is_frame(value: Any) -> bool:
    """Whether `value` is a pandas or polars frame."""
    return hasattr(value, "columns") and (hasattr(value, "iloc") or hasattr(value, "to_series"))


def frame_columns(frame: Any, name: str) -> tuple[list[str], list[np.ndarray]]:
    """The names and columns of a frame, each a NumPy array of its own type.

    Raises:
        TypeError: a column of text or categories.
        ValueError: missing values, in a column that can say so.
    """
    names = [str(column) for column in frame.columns]
    series = [frame.iloc[:, j] if hasattr(frame, "iloc") else frame.to_series(j) for j in range(len(names))]
    arrays = []
    for label, column in zip(names, series, strict=True):
        missing = _missing(column)
        if missing:
            cells = "cell is" if missing == 1 else "cells are"
            given = f"{missing} {cells} missing"
            raise WrongValue(f"{name}, column {label!r}", given, "fill them in, or drop these samples")
        array = np.asarray(column.to_numpy())
        if array.dtype.kind in "mM":
            hint = "give numbers, such as days since a date"
            raise WrongType(f"{name}, column {label!r}", f"holds dates or times, such as {array[:1]}", hint)
        if array.dtype.kind in "OUT" and len(array) and isinstance(array[0], str):
            raise WrongType(f"{name}, column {label!r}", f"holds text, such as {array[0]!r:.40}", _ENCODE)
        arrays.append(array)
    return names, arrays


def _missing(column: Any) -> int:
    """How many cells of a pandas or polars column say that they have no value."""
    if hasattr(column, "isna"):
        return int(column.isna().sum())
    missing = int(column.null_count())
    return missing + int(column.is_nan().sum()) if column.dtype.is_float() else missing


def refuse_container(value: Any, name: str) -> None:
    """Refuse what looks like an array and has no numbers to read: a lazy frame, some torch tensors.

    Raises:
        TypeError: naming what it is, and the call that makes numbers of it.
    """
    house = type(value).__module__.partition(".")[0]
    if house == "polars" and type(value).__name__ == "LazyFrame":
        raise WrongType(name, "got a polars LazyFrame, which is not computed yet", f"use {name}.collect()")
    if house == "torch" and hasattr(value, "is_sparse"):
        if value.is_meta:
            raise WrongType(name, "got a torch tensor on the device 'meta', which has no numbers", "give one that has")
        if str(value.layout) != "torch.strided":
            raise WrongType(name, "got a sparse torch tensor", f"use {name}.to_dense()")
        if value.requires_grad:
            raise WrongType(name, "got a torch tensor that requires grad", f"use {name}.detach()")
        if value.device.type != "cpu":
            raise WrongType(name, f"got a torch tensor on {value.device}", f"use {name}.cpu()")


@dataclasses.dataclass(frozen=True, eq=False)
class Formula:
    """The right side of a formula as it was applied once: its levels, means and knots are those of that frame.

    Attributes:
        text: the right side, as written.
        spec: formulaic's `ModelSpec`.
    """

    text: str
    spec: Any

    def columns(self, frame: Any) -> Any:
        """The frame of features of another frame, without the intercept.

        Raises:
            ValueError: a column or a level that is not there or new, or a missing value.
        """
        from formulaic.errors import DataMismatchWarning

        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)  # new levels, which formulaic makes zeros
            features = _evaluated(lambda: self.spec.get_model_matrix(frame, na_action="raise"), "X", self.text)
        return _without_intercept(features)


def _evaluated(make: Callable[[], Any], name: str, text: str) -> Any:
    try:
        return make()
    except Exception as error:  # formulaic's own classes, NameError of a column, ValueError of a missing value
        words = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:200]
        raise WrongValue(name, f"{show(text)} cannot be evaluated ({words})", "correct it, or the frame") from None


def _without_intercept(features: Any) -> Any:
    return features.drop(columns="Intercept", errors="ignore").astype(float)


def formula_columns(formula: Any, frame: Any) -> tuple[Any, Any, bool, Formula]:
    """(features, labels, intercept, formula): the right side's columns without the intercept, and the left column.

    The last makes the same columns of new samples.

    A text column and C(column) become a column for each level but the first, named by the level: "C(region)[T.south]".
    "- 1" or "0 +" on the right side leaves the intercept out.

    Raises:
        ImportError: formulaic is not installed; the message names the extra.
        TypeError: the formula is no text, or no pandas frame is given.
        ValueError: no left side, a column that is not there, a missing value, a formula that cannot be read.
    """
    try:
        import formulaic
    except ImportError:
        words = "formula: a formula needs formulaic. Run: pip install 'jaxsoftmax[formula]'"
        raise ImportError(words, name="formulaic") from None
    if not isinstance(formula, str):
        raise WrongType("formula", f"got {show(formula)}, {kind_of(formula)}", 'give text such as "vote ~ age"')
    if not hasattr(frame, "iloc") or not hasattr(frame, "columns"):
        raise WrongType("frame", f"got {kind_of(frame)}", "give a pandas frame (of polars: frame.to_pandas())")
    left, tilde, right = (part.strip() for part in formula.partition("~"))
    if not tilde or not left or not right:
        raise WrongValue("formula", f"got {show(formula)}", 'write a label column, "~" and features: "vote ~ age"')
    if left not in frame.columns:
        known = ", ".join(map(str, frame.columns[:12]))
        raise WrongValue("formula", f"the frame has no column {left!r}, the label", f"name one of {known}")
    others = frame.drop(columns=left)  # "." on the right side means all columns but the label
    whole = partial(formulaic.model_matrix, right, others, na_action="raise", output="pandas")
    features = _evaluated(whole, "formula", right)
    intercept = "Intercept" in features.columns
    return _without_intercept(features), frame[left], intercept, Formula(right, features.model_spec)
