"""Saves weights to an NPZ file and reads them, with the classes and feature names that they belong to.

Guarded by `tests/cli/test_runs.py`.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.readers.columns import listing
from jaxsoftmax.support.errors import WrongValue

__all__ = ["load_weights", "save_weights"]

_REMEDY = "give weights of a fit of these data, as save_weights writes them"


def save_weights(path: Path, W: np.ndarray, problem: Problem) -> None:
    """Save W (C, D), whether its last column is the intercept, and the names of classes and columns if any.

    Example:
        >>> import jaxsoftmax as js, numpy as np, pathlib, tempfile
        >>> from jaxsoftmax.readers.weights_file import load_weights, save_weights
        >>> problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), ["a", "b", "a"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(pathlib.Path(folder) / "w.npz", np.eye(2), problem)
        ...     load_weights(pathlib.Path(folder) / "w.npz", problem).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    arrays = {"W": np.asarray(W), "intercept": np.array(bool(problem.intercept))}
    if problem.classes is not None:
        arrays["classes"] = np.asarray(problem.classes)
    if problem.feature_names is not None:
        arrays["feature_names"] = np.array(problem.feature_names, dtype=np.str_)
    with path.open("wb") as file:  # an open file: numpy.savez would add .npz to another name
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def load_weights(path: Path, problem: Problem) -> np.ndarray:
    """The W of such a file, (C, D), after a comparison of its classes and columns with the problem's.

    Raises:
        ValueError: there is no such file, it is damaged, has no W, or belongs to other data.
    """
    if not path.is_file():
        raise WrongValue(path, "no such file", _REMEDY)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (AttributeError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise WrongValue(path, "is not an NPZ file of weights", _REMEDY) from None
    W = arrays.get("W")
    if W is None or W.dtype.kind not in "fiu":
        raise WrongValue(path, f"has no numeric array W (found: {', '.join(arrays) or 'none'})", _REMEDY)
    if W.shape != (problem.C, problem.D):
        needed = f"(C, D) = ({problem.C}, {problem.D}), the intercept last"
        raise WrongValue(path, f"W has shape {W.shape}; these data need {needed}", _REMEDY)
    if not np.isfinite(W).all():
        c, d = (int(k) for k in np.argwhere(~np.isfinite(W))[0])
        raise WrongValue(path, f"W[{c}, {d}] is {W[c, d]}, not finite", _REMEDY)
    for key, ours in (("classes", problem.classes), ("feature_names", problem.feature_names)):
        if key in arrays and ours is not None and [str(k) for k in arrays[key].tolist()] != [str(k) for k in ours]:
            theirs = listing([str(k) for k in arrays[key].tolist()])
            given = f"its {key} are {theirs}, those of these data {listing([str(k) for k in ours])}"
            raise WrongValue(path, given, _REMEDY)
    return W
