"""New samples for weights that were trained before: their columns matched by name, or counted where there are none.

Guarded by `tests/problem/test_new_samples.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.problem.arrays import require_finite, to_numpy
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.sparse_matrix import canonical

__all__ = ["new_samples", "sparse_samples"]

_REMEDY = "give the columns that the weights were trained on"


def new_samples(X: Any, names: Sequence[str] | None, width: int) -> np.ndarray:
    """X (N, width) as NumPy numbers, read-only, in the order of `names`, those of the columns trained on.

    A frame's columns are put in that order. What has no names, or new names where the weights have none, is taken in
    the order given.

    Raises:
        TypeError: no real numbers.
        ValueError: another number of columns, missing or unknown names, NaN or infinities.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.problem.new_samples import new_samples
        >>> new_samples([[1, 2]], ["width", "length"], 2).tolist()
        [[1, 2]]
    """
    array, columns = to_numpy(X, "X", copy=False)
    if array.ndim != 2:
        hint = "use X.reshape(1, -1) for one sample" if array.ndim == 1 else "give one row a sample"
        raise WrongValue("X", f"shape {array.shape}, expected (N, {width})", hint)
    if names is not None and columns is not None:
        missing = [name for name in names if name not in columns]
        unknown = [name for name in columns if name not in names]
        for found, words in ((missing, "lacks the columns"), (unknown, "has columns that the weights were not given:")):
            if found:
                more = "" if len(found) <= 5 else f" and {len(found) - 5} more"
                raise WrongValue("X", f"{words} {', '.join(map(repr, found[:5]))}{more}", _REMEDY)
        if list(names) != columns:
            twice = [name for name in columns if columns.count(name) > 1]
            if twice:
                raise WrongValue("X", f"two columns are named {twice[0]!r}", "rename one of them")
            array = array[:, [columns.index(name) for name in names]]
            columns = list(names)
    _refuse_other_width(array, width)
    require_finite(array, "X", columns=columns)
    return array


def sparse_samples(X: Any, width: int) -> Any:
    """A SciPy sparse X (N, width) in canonical CSR, never dense: columns are taken in the order given.

    Raises:
        TypeError: no real numbers.
        ValueError: another number of columns, NaN or infinities, too little memory for the copy.

    Example:
        >>> import scipy.sparse
        >>> from jaxsoftmax.problem.new_samples import sparse_samples
        >>> sparse_samples(scipy.sparse.coo_array([[0, 2]]), 2).toarray().tolist()
        [[0.0, 2.0]]
    """
    X = canonical(X)
    _refuse_other_width(X, width)
    return X


def _refuse_other_width(X: Any, width: int) -> None:
    if X.shape[1] != width:
        raise WrongValue("X", f"has {X.shape[1]} columns, the weights are for {width}", _REMEDY)
