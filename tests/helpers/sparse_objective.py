"""A small sparse objective with its dense numbers, for the tests of `training/sparse/`."""

import numpy as np
import scipy.sparse

from jaxsoftmax.problem.exact_targets import ExactTargets, exact_smoothing
from jaxsoftmax.support.sparse_matrix import canonical
from jaxsoftmax.training.sparse.objective import objective
from jaxsoftmax.training.sparse.rows import SparseRows

N, COLUMNS, C = 11, 6, 3


def made(dtype, intercept, strengths=(0.75, 0.25), smoothing="0.1", shift=0.0):
    """The objective with weights (one of them 0), an empty row and an empty column; (X, T, s, a_d); W and V (D, C)."""
    rng = np.random.default_rng(3)
    A = rng.normal(size=(N, COLUMNS)) * (rng.random((N, COLUMNS)) < 0.5)
    A += shift * (A != 0)
    A[1], A[:, 4] = 0, 0
    A, s = A.astype(dtype).astype(float), rng.uniform(0.5, 2, N).astype(dtype).astype(float)
    s[2] = 0
    codes, eps = np.arange(N) % C, float(smoothing)
    T = np.full((N, C), eps / C) + (1 - eps) * np.eye(C)[codes]
    D = COLUMNS + intercept
    held = np.r_[np.full(COLUMNS, strengths[0]), np.full(D - COLUMNS, strengths[1])][:, None]
    W, V = (rng.normal(size=(D, C)).astype(dtype) for _ in range(2))
    targets = ExactTargets(C, codes, None, exact_smoothing(smoothing))
    built = objective(SparseRows.of(canonical(scipy.sparse.csr_array(A)), intercept), targets, s, strengths, dtype)
    whole = np.hstack([A, np.ones((N, 1))]) if intercept else A
    return built, (whole, T, s, held), W, V


def matrix_of(apply, D):
    """The (CD, CD) matrix of a linear map of (D, C)."""
    return np.array([apply(e.reshape(D, C)).ravel() for e in np.eye(D * C)]).T
