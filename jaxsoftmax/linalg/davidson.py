"""Block Davidson: the smallest eigenpairs of a symmetric operator, by a preconditioner, with an orthonormal basis.

Rayleigh-Ritz in a growing basis; each step adds the preconditioned residuals of the lowest k Ritz pairs, orthogonalised
twice, and one product with k columns; a full basis restarts from its lowest Ritz vectors. LOBPCG is this with a basis
of three blocks; keeping more costs only host memory and saves products with X, which is where the time goes.

Ours, not `scipy.sparse.linalg.lobpcg`, which with the same preconditioner finds the same values (the benchmark
`spectrum` runs both): SciPy stops by an absolute residual, whose right size is known only once the eigenvalue is, where
the estimate below stops at a wanted relative error; it drops to fewer columns as pairs converge, another shape to
compile for a jitted operator; and it warns, where this reports, when it does not get there.

**Stopping.** For T ≈ (H − θ)⁻¹ on the complement of x the error of the Ritz value θ is ⟨r, (H − θ)⁻¹ r⟩ to leading
order, r = H x − θ x; `error` is |⟨r, T r⟩|, an estimate as good as the preconditioner, and the run ends when it and
the last change of θ are both at most rtol |θ|, or when r is not larger than what rounding leaves in products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Apply = Callable[[np.ndarray], np.ndarray]


class SmallestPairs(NamedTuple):
    """The k lowest Ritz pairs, ascending: values (k,), unit vectors (n, k), ‖Hx − θx‖ (k,).

    `error` estimates by how much values[0] exceeds the eigenvalue; `converged`: it ended by its own rule.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    error: float
    converged: bool
    steps: int


def smallest_pairs(
    apply: Apply,
    start: np.ndarray,
    *,
    precondition: Apply,
    project: Apply,
    rtol: float = 1e-4,
    noise: float = 0.0,
    max_steps: int = 200,
    basis_blocks: int = 16,
    tell: Callable[[str], None] | None = None,
    seed: int = 0,
) -> SmallestPairs:
    """The lowest eigenpairs on the range of `project`.

    Args:
        apply: (n, k) -> (n, k), symmetric.
        start: (n, k), k the block size. Random: one that is exactly another eigenvector is taken for the answer.
        precondition: (n, k) -> (n, k), approximately the inverse on the range of `project`.
        project: orthogonal projector on an invariant subspace.
        rtol: wanted relative accuracy of the smallest value.
        noise: absolute size of rounding in products: residuals below it say nothing.
        max_steps: products (of k columns) at most.
        basis_blocks: the basis holds so many blocks before it restarts.
        tell: called now and then with one line.
        seed: of the random columns that replace dependent ones, so that products keep their shape.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.linalg.davidson import smallest_pairs
        >>> d = np.arange(1.0, 101.0)
        >>> found = smallest_pairs(
        ...     lambda V: d[:, None] * V,
        ...     np.eye(100, 2, -50) + 0.1,
        ...     precondition=lambda R: R / d[:, None],
        ...     project=lambda V: V,
        ... )
        >>> print(round(found.values[0], 3))
        1.0
    """
    rng = np.random.default_rng(seed)
    n, k = start.shape
    limit = min(n, basis_blocks * k)
    Q = _fresh(project(np.array(start, np.float64)), np.empty((n, 0)), project, rng)
    HQ = np.asarray(apply(Q), np.float64)
    last = np.inf
    for step in range(1, max_steps + 1):
        G = Q.T @ HQ
        values, S = np.linalg.eigh((G + G.T) / 2)
        theta, x, hx = values[:k], Q @ S[:, :k], HQ @ S[:, :k]
        R = project(hx - x * theta)
        residuals = np.linalg.norm(R, axis=0)
        T = precondition(R)
        error = abs(float(R[:, 0] @ T[:, 0]))
        small = error <= rtol * abs(theta[0]) and abs(last - theta[0]) <= rtol * abs(theta[0])
        converged = bool(small or residuals[0] <= noise)
        if tell is not None and (step % 10 == 0 or converged):
            tell(f"smallest eigenvalue: step {step}, {theta[0]:.6g}, estimated error {error:.1e}")
        if converged or step == max_steps:
            return SmallestPairs(theta, x, residuals, error, converged, step)
        last = theta[0]
        if Q.shape[1] + k > limit:
            keep = min(2 * k, max(1, limit - k))
            Q, HQ = Q @ S[:, :keep], HQ @ S[:, :keep]
        new = _fresh(T, Q, project, rng)
        if not new.shape[1]:
            return SmallestPairs(theta, x, residuals, error, True, step)
        Q, HQ = np.hstack([Q, new]), np.hstack([HQ, np.asarray(apply(new), np.float64)])
    raise AssertionError("max_steps >= 1")


def _fresh(T: np.ndarray, Q: np.ndarray, project: Apply, rng: np.random.Generator) -> np.ndarray:
    """The columns of T made orthonormal to Q and to each other; dependent ones give way to random directions.

    Fewer columns, or none, when the space has no more.
    """
    out = Q
    for j in range(T.shape[1]):
        v = T[:, j : j + 1]
        for _ in range(3):
            size = np.linalg.norm(v)
            if size > 0:
                v = v / size
                for _ in range(2):
                    v = project(v - out @ (out.T @ v))
                norm = np.linalg.norm(v)
                if norm > 1e-8:
                    v = v / norm
                    v = v - out @ (out.T @ v)
                    out = np.hstack([out, v / np.linalg.norm(v)])
                    break
            v = project(rng.standard_normal((len(T), 1)))
    return out[:, Q.shape[1] :]
