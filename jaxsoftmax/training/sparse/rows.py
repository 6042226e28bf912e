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

from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.sparse_matrix import place_of
from jaxsoftmax.support.validation import show

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
            row, column, entry = place_of(X, ~np.isfinite(data))
            given = f"entry ({row}, {column}) is {show(entry)}, beyond the largest {np.dtype(dtype)}"
            raise WrongValue("X", given, "rescale that column, or choose the dtype 'float64'")
        return self._replace(matrix=scipy.sparse.csr_array((data, X.indices, X.indptr), X.shape))

    def _with_sums(self, out: np.ndarray, G: np.ndarray) -> np.ndarray:
        """`out` with the intercept's row: what X gives for its column of ones."""
        if self.intercept:
            out[-1] = G.sum(axis=0, dtype=np.float64)
        return out
