"""Saves a fit to an NPZ file and reads it: weights, classes, feature names, how the run ended, its history."""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.readers.columns import listing
from jaxsoftmax.support.atomic_write import as_path
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show
from jaxsoftmax.training.loop.protocol import InnerSolve
from jaxsoftmax.training.result import Fit, Status

__all__ = ["load_fit", "load_weights", "save_fit"]

_REMEDY = "give a file that save_fit wrote"
_SAME_DATA = "give a fit of these data, as save_fit writes it"
# In arrays of their own, which any program that reads NPZ finds, or made from these; a verdict is not kept.
_APART = ("W", "history", "has_intercept", "classes", "feature_names", "status", "inner_solves", "existence")
_REST = tuple(field.name for field in dataclasses.fields(Fit) if field.name not in _APART)


def save_fit(fit: Fit, path: Any) -> None:
    """Write a fit to an NPZ file, from which `load_fit` makes it again.

    The arrays W, intercept (whether W's last column is one), classes and feature_names can be read by any program that
    reads NPZ. A verdict in `fit.existence` is not written: save it with its own `save`.

    Args:
        fit: the result of `fit`.
        path: the file to write; one that is there is replaced.

    Raises:
        TypeError: no `Fit`, or no path.
        OSError: the file cannot be written.

    Example:
        >>> import jaxsoftmax as js, pathlib, tempfile
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "fit.npz"
        >>> js.save_fit(js.fit(problem), path)
        >>> js.load_fit(path).predict([[-1.0], [4.0]]).tolist()
        ['no', 'yes']
    """
    if not isinstance(fit, Fit) or not isinstance(fit.W, np.ndarray):
        raise WrongType("fit", f"got {show(fit)}, {kind_of(fit)}", "give what jaxsoftmax.fit returned")
    arrays = {"W": fit.W, "intercept": np.array(bool(fit.has_intercept))}
    if fit.classes is not None:
        arrays["classes"] = np.asarray(fit.classes)
    if fit.feature_names is not None:
        arrays["feature_names"] = np.array(fit.feature_names, dtype=np.str_)
    about = {name: getattr(fit, name) for name in _REST} | {"status": fit.status.name}
    about["inner_solves"] = [solve._asdict() for solve in fit.inner_solves]
    arrays["fit"] = np.array(json.dumps(about, default=lambda number: number.item()))
    arrays |= {f"history_{name}": np.asarray(values) for name, values in fit.history.items()}
    with as_path(path).open("wb") as file:  # an open file: numpy.savez would add .npz to another name
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def _arrays_of(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Everything in such a file, W being numbers, finite, (C, D)."""
    if not path.is_file():
        raise WrongValue(path, "no such file", remedy)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (AttributeError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise WrongValue(path, "is not an NPZ file of weights", remedy) from None
    W = arrays.get("W")
    if W is None or W.dtype.kind not in "fiu":
        raise WrongValue(path, f"has no numeric array W (found: {', '.join(arrays) or 'none'})", remedy)
    if W.ndim == 2 and not np.isfinite(W).all():
        c, d = (int(k) for k in np.argwhere(~np.isfinite(W))[0])
        raise WrongValue(path, f"W[{c}, {d}] is {W[c, d]}, not finite", remedy)
    return arrays


def load_fit(path: Any) -> Fit:
    """The fit of a file that `save_fit`, or the command line's fit, wrote; its `existence` is None.

    Raises:
        TypeError: no path.
        ValueError: there is no such file, or it is damaged or holds something else.

    Example:
        >>> import jaxsoftmax as js, pathlib, tempfile
        >>> fit = js.fit(js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]))
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "fit.npz"
        >>> js.save_fit(fit, path)
        >>> js.load_fit(path).status is fit.status
        True
    """
    path = as_path(path)
    arrays = _arrays_of(path, _REMEDY)
    W = arrays["W"].astype(np.float64)
    columns, classes = arrays.get("feature_names"), arrays.get("classes")
    try:
        about = json.loads(str(arrays["fit"]))
        about["status"] = Status[about["status"]]
        about["inner_solves"] = tuple(InnerSolve(**solve) for solve in about["inner_solves"])
        history = {name[8:]: values for name, values in arrays.items() if name.startswith("history_")}
        fit = Fit(
            W=W,
            history=history,
            has_intercept=bool(arrays["intercept"]),
            classes=None if classes is None else tuple(classes.tolist()),
            feature_names=None if columns is None else tuple(columns.tolist()),
            **about,
        )
    except (KeyError, TypeError, ValueError):
        raise WrongValue(path, "holds weights, but no whole fit", _REMEDY) from None
    counts = [
        len(names) if names is not None else size for names, size in zip((classes, columns), W.shape, strict=False)
    ]
    if W.ndim != 2 or counts != list(W.shape):
        raise WrongValue(path, f"W has shape {W.shape}, which does not fit its classes and feature names", _REMEDY)
    return fit


def load_weights(path: Path, problem: Problem) -> np.ndarray:
    """The W of such a file, (C, D), after a comparison of its classes and columns with the problem's.

    Raises:
        ValueError: there is no such file, it is damaged, has no W, or belongs to other data.
    """
    arrays = _arrays_of(path, _SAME_DATA)
    W = arrays["W"]
    if W.shape != (problem.C, problem.D):
        needed = f"(C, D) = ({problem.C}, {problem.D}), the intercept last"
        raise WrongValue(path, f"W has shape {W.shape}; these data need {needed}", _SAME_DATA)
    for key, ours in (("classes", problem.classes), ("feature_names", problem.feature_names)):
        if key in arrays and ours is not None and [str(k) for k in arrays[key].tolist()] != [str(k) for k in ours]:
            theirs = listing([str(k) for k in arrays[key].tolist()])
            given = f"its {key} are {theirs}, those of these data {listing([str(k) for k in ours])}"
            raise WrongValue(path, given, _SAME_DATA)
    return W
