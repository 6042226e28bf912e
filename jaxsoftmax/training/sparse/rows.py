"""A sparse X as given, in canonical CSR, and its products with (D, C) and (N, C) arrays.

The products are SciPy's: on one core of a CPU they took a fraction of the time of gathers and sorted segment sums
compiled by XLA, or of `jax.experimental.sparse` (`benchmarks/sparse.py`). The transposed product reads the same arrays
(a CSR matrix is its transpose's CSC), so X is there once. The intercept is no stored column: it is added to the logits,
and its row of a gradient is a sum over the samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.memory import cannot_fit, shortage
from jaxsoftmax.support.validation import kind_of, show

LARGEST = 2.0**53  # every integer up to here is a double
PART = 2**20  # entries of X of which a changed copy is there at a time


class SparseRows(NamedTuple):
    """X (N, D) in CSR, and whether its last column stands for ones: it is then empty.

    Weights are taken as (D, C) and logits as (N, C), both C-contiguous, in the dtype of X; D counts the intercept.

    Example:
        >>> import numpy as np, scipy.sparse
        >>> from jaxsoftmax.training.sparse.rows import SparseRows
        >>> X = SparseRows.of(scipy.sparse.csr_array(np.array([[0.0, 2.0], [3.0, 0.0]])), True)
        >>> X.logits(np.array([[1.0], [10.0], [100.0]])).tolist(), X.transposed(np.array([[1.0], [2.0]])).tolist()
        ([[120.0], [103.0]], [[6.0], [2.0], [3.0]])
    """

    matrix: Any
    intercept: bool

    @classmethod
    def of(cls, X: Any, intercept: bool) -> SparseRows:
        """From X (N, columns) without the intercept; its arrays are shared."""
        shape = (X.shape[0], X.shape[1] + intercept)
        return cls(scipy.sparse.csr_array((X.data, X.indices, X.indptr), shape), intercept)

    def logits(self, V: np.ndarray) -> np.ndarray:
        """X V, (N, C), for V (D, C)."""
        U = self.matrix @ V
        if self.intercept:
            U += V[-1]
        return U

    def transposed(self, G: np.ndarray) -> np.ndarray:
        """Xᵀ G, (D, C), for G (N, C)."""
        return self._with_sums(self.matrix.T @ G, G)

    def squares_transposed(self, G: np.ndarray) -> np.ndarray:
        """(X∘X)ᵀ G, (D, C); the squares are there a part at a time."""
        out = np.zeros((self.matrix.shape[1], G.shape[1]), G.dtype)
        for rows, part in self.parts():
            out += scipy.sparse.csr_array((part.data**2, part.indices, part.indptr), part.shape).T @ G[rows]
        return self._with_sums(out, G)

    def absolute_sums(self, s: np.ndarray) -> np.ndarray:
        """Σ_n s_n |x_nd|, (D,): what the stopping test compares with."""
        out = np.zeros(self.matrix.shape[1], s.dtype)
        for rows, part in self.parts():
            out += np.bincount(part.indices, np.abs(part.data) * np.repeat(s[rows], np.diff(part.indptr)), len(out))
        return self._with_sums(out, s)

    def square_norms(self) -> np.ndarray:
        """‖x_n‖², (N,), the intercept left out."""
        out = np.zeros(self.matrix.shape[0])
        for rows, part in self.parts():
            filled = np.diff(part.indptr) > 0
            out[rows][filled] = np.add.reduceat(part.data.astype(np.float64) ** 2, part.indptr[:-1][filled])
        return out

    def parts(self) -> Iterator[tuple[slice, Any]]:
        """X in blocks of rows of some `PART` entries, as CSR matrices that share its numbers."""
        X, start = self.matrix, 0
        while start < X.shape[0]:
            stop = int(np.searchsorted(X.indptr, X.indptr[start] + PART, side="right")) - 1
            stop = min(max(stop, start + 1), X.shape[0])
            here = slice(X.indptr[start], X.indptr[stop])
            part = (X.data[here], X.indices[here], X.indptr[start : stop + 1] - X.indptr[start])
            yield slice(start, stop), scipy.sparse.csr_array(part, (stop - start, X.shape[1]))
            start = stop

    def astype(self, dtype: Any) -> SparseRows:
        """The same X in another dtype; places are shared.

        Raises:
            ValueError: an entry is beyond the largest number of the dtype.
        """
        X = self.matrix
        if X.dtype == dtype:
            return self
        with np.errstate(over="ignore"):
            data = X.data.astype(dtype)
        if not np.isfinite(data).all():
            row, column, entry = _place(X, ~np.isfinite(data))
            given = f"entry ({row}, {column}) is {show(entry)}, beyond the largest {np.dtype(dtype)}"
            raise WrongValue("X", given, "rescale that column, or choose the dtype 'float64'")
        return self._replace(matrix=scipy.sparse.csr_array((data, X.indices, X.indptr), X.shape))

    def _with_sums(self, out: np.ndarray, G: np.ndarray) -> np.ndarray:
        """`out` with the intercept's row: what X gives for its column of ones."""
        if self.intercept:
            out[-1] = G.sum(axis=0, dtype=np.float64)
        return out


def canonical(X: Any) -> Any:
    """A read-only copy of a SciPy sparse matrix in CSR: duplicates summed, zeros dropped, columns in order.

    Floats stay float32 or float64, exactly as given; integers and booleans become float64.

    Raises:
        TypeError: no SciPy sparse matrix, or one of other numbers.
        ValueError: not two-dimensional, NaN or infinities, integers that no double holds, too little memory.
    """
    if not scipy.sparse.issparse(X):
        remedy = "give a SciPy sparse matrix, or use Problem.from_labels for a dense X"
        raise WrongType("X", f"got {kind_of(X)}", remedy)
    if len(X.shape) != 2:
        raise WrongValue("X", f"shape {X.shape}, expected (N, D)", "give one row a sample")
    kind = X.dtype.kind
    if kind not in "biuf" or (kind == "f" and X.dtype.itemsize > 8):
        raise WrongType("X", f"got a sparse matrix of dtype {X.dtype}", "convert it by .astype('float64') first")
    dtype = np.promote_types(X.dtype, np.float32) if kind == "f" else np.dtype(np.float64)
    needed = X.nnz * (dtype.itemsize + 4) + 4 * X.shape[0]
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
    X.eliminate_zeros()
    if kind in "iu" and np.abs(X.data).max(initial=0.0) > LARGEST:
        row, column, entry = _place(X, np.abs(X.data) > LARGEST)
        given = f"the entries at ({row}, {column}) sum to {entry:.0f}, which may be rounded"
        raise WrongValue("X", given, "rescale that column, or convert X to float if the rounding is meant")
    if not np.isfinite(X.data).all():
        row, column, entry = _place(X, ~np.isfinite(X.data))
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


def _place(X: Any, wrong: np.ndarray) -> tuple[int, int, Any]:
    """Row, column and number of the first entry that is `wrong`."""
    k = int(np.argmax(wrong))
    return int(np.searchsorted(X.indptr, k, side="right")) - 1, int(X.indices[k]), X.data[k]
