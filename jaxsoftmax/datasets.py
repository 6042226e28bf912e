"""Data sets in memory: iris and digits, which travel with the package, and the synthetic makers with known truth.

No network and no scikit-learn. The makers live in `synthetic.py` and `synthetic_separated.py`, are loaded on first use,
and are public here.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from importlib import import_module, resources
from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = ["Dataset", "load_digits", "load_iris"]

if TYPE_CHECKING:  # the names of _SYNTHETIC for type checkers and editors
    from .synthetic import SyntheticDataset as SyntheticDataset
    from .synthetic import make_collinear as make_collinear
    from .synthetic import make_huge_logits as make_huge_logits
    from .synthetic import make_imbalanced as make_imbalanced
    from .synthetic import make_overlapping as make_overlapping
    from .synthetic_separated import make_quasi_separable as make_quasi_separable
    from .synthetic_separated import make_separable as make_separable

_SYNTHETIC = {
    "SyntheticDataset": "synthetic",
    "make_collinear": "synthetic",
    "make_huge_logits": "synthetic",
    "make_imbalanced": "synthetic",
    "make_overlapping": "synthetic",
    "make_quasi_separable": "synthetic_separated",
    "make_separable": "synthetic_separated",
}


def __getattr__(name: str) -> Any:
    if name not in _SYNTHETIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its names are {', '.join(__dir__())}")
    value = getattr(import_module(f"jaxsoftmax.{_SYNTHETIC[name]}"), name)
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_SYNTHETIC})


@dataclass(frozen=True)
class Dataset:
    """A table of numbers with labels (or probability targets), as it was read, and where it came from.

    Attributes:
        name: a short name for reports.
        X: features, shape (N, D), float64, without an intercept column.
        y: labels, shape (N,), text or integers; or probability targets, shape (N, C), float64.
        feature_names: D names.
        target_name: the name of the label column or array.
        source: where the numbers come from, in words.
        notes: things a reader of the data should know, each one sentence.
        table: how a text table was read, {"delimiter": "," or another, None for runs of blanks; "header": whether its
            first row holds names; "target": the label column, from 0}, which is what a certificate needs to say of it;
            None for other formats.

    Example:
        >>> import jaxsoftmax as js
        >>> iris = js.datasets.load_iris()
        >>> iris.X.shape, iris.classes
        ((150, 4), ('setosa', 'versicolor', 'virginica'))
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    target_name: str
    source: str
    notes: tuple[str, ...] = ()
    table: dict[str, Any] | None = None

    @property
    def has_probabilities(self) -> bool:
        """Whether `y` holds probability targets, (N, C), and not labels."""
        return self.y.ndim == 2

    @property
    def classes(self) -> tuple:
        """The sorted distinct labels; column numbers where `y` holds probabilities."""
        return tuple(range(self.y.shape[1])) if self.has_probabilities else tuple(np.unique(self.y).tolist())

    def __repr__(self) -> str:
        N, D = self.X.shape
        return f"Dataset({self.name}: N={N}, D={D}, C={len(self.classes)}, target {self.target_name!r}; {self.source})"


def _read_bytes(filename: str) -> bytes:
    return (resources.files("jaxsoftmax") / "data" / filename).read_bytes()


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
