"""Reads IDX files, the format of MNIST: an array of any shape, the images beside a file of their labels.

Guarded by `tests/readers/test_formats.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.readers.columns import as_labels, refuse_nonfinite
from jaxsoftmax.support.array_files import IDX_HEADER_BYTES, idx_header, require_size
from jaxsoftmax.support.errors import WrongValue

__all__ = ["idx_array", "is_idx", "labels_beside", "read_idx"]


def is_idx(name: str) -> bool:
    """Whether a file of this name (without .gz) holds IDX: a.idx, a-idx3-ubyte, a.idx1-ubyte.

    Example:
        >>> from jaxsoftmax.readers.idx import is_idx
        >>> [is_idx(name) for name in ("train-images-idx3-ubyte", "t10k-labels.idx1-ubyte", "a.idx", "a.csv")]
        [True, True, True, False]
    """
    return re.search(r"[.-]idx(\d(-?[a-z]+)?)?$", name.lower()) is not None


def idx_array(path: Path, content: bytes) -> np.ndarray:
    """The array that the bytes of an IDX file hold, in native byte order.

    Raises:
        ValueError: the magic number, the type or the length is wrong.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.readers.idx import idx_array
        >>> idx_array(Path("a.idx"), bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])).tolist()
        [7, 8, 9]
    """
    header = idx_header(path, content[:IDX_HEADER_BYTES])
    require_size(path, header, len(content))
    stored = np.frombuffer(content, header.dtype, offset=header.offset).reshape(header.shape)
    return stored.astype(header.dtype.newbyteorder("="))


def read_idx(path: Path, content: bytes, target: str | int | None, load: Callable[[Path], bytes]) -> Dataset:
    """Read images (N, …) from IDX with the labels (N,) of the file beside them; the values are used as stored.

    Args:
        path: of the images.
        content: its bytes, decompressed.
        target: the path of the labels; None: as MNIST names it, `images` replaced by `labels` and `idx3` by `idx1`.
        load: reads and decompresses another file.

    Raises:
        ValueError: a file is damaged, is not what it should be, or the counts differ.
        FileNotFoundError: there is no file of labels.
    """
    images = idx_array(path, content)
    if images.ndim < 2 or not images.size:
        given = f"holds an array of shape {images.shape}, not images (N, rows, columns)"
        raise WrongValue(path, given, "name the file of images, beside which that of its labels is found")
    beside = Path(str(target)) if target is not None else labels_beside(path)
    y = idx_array(beside, load(beside))
    if y.ndim != 1:
        raise WrongValue("target", f"{beside} has the shape {y.shape}, not (N,)", "name the file of the labels")
    if len(y) != len(images):
        given = f"{beside} has {len(y)} labels, and {path.name} has {len(images)} images"
        raise WrongValue("target", given, "name the labels of these images")
    X = images.reshape(len(images), -1).astype(np.float64)
    inner = images.shape[1:]
    names = [f"x{d}" for d in range(X.shape[1])]
    if len(inner) > 1:
        names = ["pixel_" + "_".join(map(str, place)) for place in np.ndindex(*inner)]
    refuse_nonfinite(path, X, lambda n, d: f"image {n}, {names[d]}")
    labels = as_labels(beside, y, lambda n: f"label {n}").astype(np.int64)
    return Dataset(path.name, X, labels, tuple(names), beside.name, f"files {path.name} and {beside.name}")


def labels_beside(path: Path) -> Path:
    """The file of the labels of these images by MNIST's convention, compressed or not.

    Raises:
        ValueError: there is none.

    Example:
        >>> import pathlib, tempfile
        >>> from jaxsoftmax.readers.idx import labels_beside
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "train-labels-idx1-ubyte.gz").touch()
        >>> labels_beside(folder / "train-images-idx3-ubyte").name
        'train-labels-idx1-ubyte.gz'
    """
    name = re.sub(r"idx\d", "idx1", path.name.replace("images", "labels"))
    plain = re.sub(r"\.gz$", "", name)
    candidates = [path.with_name(found) for found in dict.fromkeys((name, plain, plain + ".gz")) if found != path.name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = f" ({candidates[0].name} is not beside it)" if "images" in path.name else ""
    raise WrongValue("target", f"the labels of {path} were not found{tried}", "name the file that holds them")
