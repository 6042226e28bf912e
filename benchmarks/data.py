"""The data of the benchmarks: MNIST or its synthetic double, digits, anes96, and random problems."""

from __future__ import annotations

import gzip
import pathlib
from typing import Any

import numpy as np

import jaxsoftmax as js


def _idx(path: pathlib.Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def mnist(folder: pathlib.Path | str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """(X (60000, 784) float32 in [0, 1], labels, which data): from `folder`, else synthetic, 19 % non-zeros too."""
    if folder is not None:
        folder = pathlib.Path(folder)
        X = _idx(folder / "train-images-idx3-ubyte.gz").reshape(60_000, 784)
        labels = _idx(folder / "train-labels-idx1-ubyte.gz").astype(int)
        return (X / np.float32(255)).astype(np.float32), labels, "MNIST"
    rng = np.random.default_rng(0)
    X = np.where(rng.random((60_000, 784), np.float32) < 0.19, rng.random((60_000, 784), np.float32), np.float32(0))
    return X, rng.integers(0, 10, 60_000), "synthetic, MNIST's shape and sparsity"


def digits(dtype: Any, *, label_smoothing: float | str = "0.01") -> js.Problem:
    """digits with X = pixel/16, an intercept and targets 991/1000, 1/1000 (smoothing 0.01)."""
    raw = js.datasets.load_digits()
    return js.Problem.from_labels(
        np.asarray(raw.X, np.float64) / 16, raw.y, label_smoothing=label_smoothing, dtype=dtype
    )


def anes96() -> tuple[np.ndarray, np.ndarray]:
    """(X (944, 5) raw, labels 0..6) of statsmodels' anes96, in the order that statsmodels gives."""
    import statsmodels.api as sm

    raw = sm.datasets.anes96.load()
    return np.asarray(raw.exog, np.float64), np.asarray(raw.endog).astype(int)


def random_problem(N: int, D: int, C: int, dtype: Any, *, scale: float = 1.0) -> tuple[js.Problem, np.ndarray]:
    """A problem with an intercept column (D includes it) and weights W at which Y is neither uniform nor saturated."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D - 1))
    W = scale * rng.standard_normal((C, D)) / np.sqrt(D)
    return js.Problem.from_labels(X, np.arange(N) % C, dtype=dtype), W.astype(dtype)
