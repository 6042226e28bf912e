"""A SciPy sparse matrix as a user gives it: its numbers checked, in canonical CSR."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.memory import cannot_fit, shortage
from jaxsoftmax.support.validation import kind_of

__all__ = ["canonical", "is_sparse", "place_of"]

LARGEST = 2.0**53  # every integer up to here is a double


def is_sparse(X: Any) -> bool:
    """Whether X is a SciPy sparse matrix or array, without importing SciPy where nothing has."""
    return "scipy.sparse" in sys.modules and sys.modules["scipy.sparse"].issparse(X)


def canonical(X: Any) -> Any:
    """A read-only copy of a SciPy sparse matrix in CSR: duplicates summed, zeros dropped, columns in order.

    Floats stay float32 or float64, exactly as given; integers and booleans become float64.

    Raises:
        TypeError: no SciPy sparse matrix, or one of other numbers.
        ValueError: not two-dimensional, NaN or infinities, integers that no double holds, too little memory.
    """
    if not is_sparse(X):
        remedy = "give a SciPy sparse matrix, or use Problem.from_labels for a dense X"
        raise WrongType("X", f"got {kind_of(X)}", remedy)
    import scipy.sparse

    if len(X.shape) != 2:
        raise WrongValue("X", f"shape {X.shape}, expected (N, D)", "give one row a sample")
    kind = X.dtype.kind
    if kind not in "biuf" or (kind == "f" and X.dtype.itemsize > 8):
        raise WrongType("X", f"got a sparse matrix of dtype {X.dtype}", "convert it by .astype('float64') first")
    dtype = np.promote_types(X.dtype, np.float32) if kind == "f" else np.dtype(np.float64)
    given = X.nnz
    needed = given * (dtype.itemsize + 4) + 4 * X.shape[0]
    if (free := shortage(needed)) is not None:
        raise cannot_fit("X", "its copy in rows", needed, free, "give fewer samples")
    if kind in "iu" and X.dtype.itemsize == 8:
        _require_doubles(X.tocoo())
    # Duplicates of small integers are summed as doubles, where they cannot overflow; those of booleans are one entry.
    if kind == "b":
        X = scipy.sparse.csr_array(X, copy=True)
        X.sum_duplicates()
    X = scipy.sparse.csr_array(X.astype(dtype, copy=False), copy=X.dtype == dtype)
    X.sum_duplicates()
    summed = X.nnz < given
    X.eliminate_zeros()
    if kind in "iu" and summed and np.abs(X.data).max(initial=0.0) > LARGEST:
        row, column, entry = place_of(X, np.abs(X.data) > LARGEST)
        words = f"the entries at ({row}, {column}) sum to {entry:.0f}, which may be rounded"
        raise WrongValue("X", words, "rescale that column, or convert X to float if the rounding is meant")
    if not np.isfinite(X.data).all():
        row, column, entry = place_of(X, ~np.isfinite(X.data))
        remedy = "every entry must be finite: fill it in or drop the sample"
        raise WrongValue("X", f"entry ({row}, {column}) is {float(entry)}", remedy)
    for array in (X.data, X.indices, X.indptr):
        array.setflags(write=False)
    return X


def _require_doubles(X: Any) -> None:
    """Refuse 64-bit integers that no double holds."""
    wrong = np.array([int(float(entry)) != int(entry) for entry in X.data[np.abs(X.data.astype(float)) >= LARGEST]])
    if wrong.any():
        k = np.flatnonzero(np.abs(X.data.astype(float)) >= LARGEST)[int(np.argmax(wrong))]
        given = f"entry ({X.row[k]}, {X.col[k]}) is the integer {int(X.data[k])}, which no double holds exactly"
        raise WrongValue("X", given, "rescale that column, or convert X to float if the rounding is meant")


def place_of(X: Any, wrong: np.ndarray) -> tuple[int, int, Any]:
    """Row, column and number of the first entry that is `wrong`."""
    k = int(np.argmax(wrong))
    return int(np.searchsorted(X.indptr, k, side="right")) - 1, int(X.indices[k]), X.data[k]
