"""Data sets that travel with the package: iris and digits. No network and no scikit-learn."""

from __future__ import annotations

import csv
import io
from importlib import resources

import numpy as np

from jaxsoftmax.datasets.dataset import Dataset

__all__ = ["load_digits", "load_iris"]


def _read_bytes(filename: str) -> bytes:
    return (resources.files("jaxsoftmax.datasets") / "data" / filename).read_bytes()


def load_iris() -> Dataset:
    """Fisher's iris: 150 flowers, 4 measurements in cm, 3 species as text labels.

    Without smoothing or a penalty its loss has no minimiser (setosa is separated from the rest).

    Returns:
        Dataset with X (150, 4) float64, the decimals of the paper, and y (150,) text.

    Example:
        >>> import jaxsoftmax as js
        >>> js.datasets.load_iris().X[0].tolist()
        [5.1, 3.5, 1.4, 0.2]

    Source: R. A. Fisher, Annals of Eugenics 7 (1936); UCI Machine Learning Repository, doi:10.24432/C56C76.
    """
    header, *rows = csv.reader(io.StringIO(_read_bytes("iris.csv").decode("utf-8")))
    return Dataset(
        name="iris",
        X=np.array([[float(cell) for cell in row[:-1]] for row in rows]),
        y=np.array([row[-1] for row in rows]),
        feature_names=tuple(header[:-1]),
        target_name=header[-1],
        source="Fisher 1936, UCI Iris",
        table={"delimiter": ",", "header": True, "target": len(header) - 1},
    )


def load_digits() -> Dataset:
    """UCI optical digits, test part: 1797 images of 8x8 pixels with integer values 0..16, 10 classes.

    Returns:
        Dataset with X (1797, 64) float64 holding the integers 0..16, and y (1797,) int64.

    Example:
        >>> import jaxsoftmax as js
        >>> digits = js.datasets.load_digits()
        >>> digits.X.shape, float(digits.X.max()), digits.classes
        ((1797, 64), 16.0, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9))

    Source: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0.
    """
    with np.load(io.BytesIO(_read_bytes("digits.npz")), allow_pickle=False) as stored:
        X, y = stored["X"].astype(np.float64), stored["y"].astype(np.int64)
    return Dataset(
        name="digits",
        X=X,
        y=y,
        feature_names=tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        target_name="digit",
        source="Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits",
    )
