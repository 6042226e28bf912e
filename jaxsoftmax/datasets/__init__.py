"""`js.datasets`: iris and digits, which travel with the package, and synthetic data whose answer is known exactly."""

from jaxsoftmax.datasets.dataset import Dataset as Dataset
from jaxsoftmax.datasets.embedded import load_digits as load_digits
from jaxsoftmax.datasets.embedded import load_iris as load_iris
from jaxsoftmax.datasets.synthetic import SyntheticDataset as SyntheticDataset
from jaxsoftmax.datasets.synthetic import make_collinear as make_collinear
from jaxsoftmax.datasets.synthetic import make_huge_logits as make_huge_logits
from jaxsoftmax.datasets.synthetic import make_imbalanced as make_imbalanced
from jaxsoftmax.datasets.synthetic import make_overlapping as make_overlapping
from jaxsoftmax.datasets.synthetic_separated import make_quasi_separable as make_quasi_separable
from jaxsoftmax.datasets.synthetic_separated import make_separable as make_separable

__all__ = [
    "Dataset",
    "SyntheticDataset",
    "load_digits",
    "load_iris",
    "make_collinear",
    "make_huge_logits",
    "make_imbalanced",
    "make_overlapping",
    "make_quasi_separable",
    "make_separable",
]
