"""Weights in an NPZ file: W with its classes and feature names, so that they fit no other data by mistake."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.readers.messages import listing
from jaxsoftmax.support.errors import WrongValue

__all__ = ["load_weights", "save_weights"]


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
        FileNotFoundError: no such file.
        ValueError: the file is damaged, has no W, or belongs to other data.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Give zero, random, fit, or a file that fit --weights wrote.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (AttributeError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise WrongValue(path, "is not an NPZ file of weights", "write one with fit --weights") from None
    W = arrays.get("W")
    if W is None or W.dtype.kind not in "fiu":
        raise WrongValue(
            path, f"has no numeric array W (found: {', '.join(arrays) or 'none'})", "write one with fit --weights"
        )
    if W.shape != (problem.C, problem.D):
        raise WrongValue(
            path,
            f"W has shape {W.shape}",
            f"these data need (C, D) = ({problem.C}, {problem.D}), the intercept last. Name the weights of a fit "
            "of these data",
        )
    if not np.isfinite(W).all():
        c, d = (int(k) for k in np.argwhere(~np.isfinite(W))[0])
        raise WrongValue(path, f"W[{c}, {d}] is {W[c, d]}", "finite weights are needed. Fit again")
    for key, ours in (("classes", problem.classes), ("feature_names", problem.feature_names)):
        if key in arrays and ours is not None and [str(k) for k in arrays[key].tolist()] != [str(k) for k in ours]:
            theirs = listing([str(k) for k in arrays[key].tolist()])
            raise WrongValue(
                path,
                f"its {key} are {theirs}",
                f"those of these data are {listing([str(k) for k in ours])}. Name the weights of a fit of these data",
            )
    return W
