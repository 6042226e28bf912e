"""The loss of sparse data, its gradient and its Hessian's products and diagonal (S1, S2, S4, S21a), on the host.

The work in X is SciPy's (`rows.py`); what is done with the logits, an (N, C) array, is compiled and the same that dense
problems use (`linalg/stable_softmax.py`). Weights are (D, C) here, one column a class.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.linalg.stable_softmax import (
    centred,
    softmax_terms,
    terms_neg_log,
    terms_probabilities,
    terms_residual,
    weighted_neg_log,
)
from jaxsoftmax.problem.exact_targets import ExactTargets
from jaxsoftmax.problem.label_targets import dense_targets, stored_targets
from jaxsoftmax.training.sparse.rows import SparseRows

Array = jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """L(W) = Σ_n s_n CE(Wx_n, t_n) + ½ Σ_d a_d ‖w_d‖² in one dtype (S1, S21a); used with x64 on.

    Attributes:
        rows: X in the dtype.
        targets: `LabelTargets`.
        s: (N,) sample weights.
        held: (D, 1) the strengths a_d of the L2 penalties.
    """

    rows: SparseRows
    targets: Any
    s: np.ndarray
    held: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        """That of all arrays."""
        return self.held.dtype

    def penalty(self, W: np.ndarray) -> float:
        """½ Σ_d a_d ‖w_d‖², summed in float64."""
        return 0.5 * float(np.sum(self.held * np.square(W, dtype=np.float64)))

    def at(self, Z: np.ndarray) -> Sample:
        """What the logits Z (N, C) say of each sample."""
        return Sample(*_samples(Z, self.targets, self.s))

    def value(self, W: np.ndarray, sample: Sample) -> float:
        """L(W), its sums in float64 (S1)."""
        return float(sample.loss) + self.penalty(W)

    def gradient(self, W: np.ndarray, sample: Sample) -> np.ndarray:
        """∇L(W), (D, C): Xᵀ diag(s) (Y − T) + a W (S2)."""
        return self.rows.transposed(np.asarray(sample.residual)) + self.held * W

    def product(self, V: np.ndarray, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """(H V, X V): Xᵀ diag(s) (Y ∘ (U − ū)) + a V with U = X V (S4)."""
        U = self.rows.logits(V)
        HV = self.rows.transposed(np.asarray(_weighed(U, sample.Y, self.s)))
        HV += self.held * V
        return HV, U

    def diagonal(self, sample: Sample) -> np.ndarray:
        """The Hessian's diagonal Σ_n s_n y_c (1 − y_c) x_nd² + a_d, (D, C) (S4)."""
        return self.rows.squares_transposed(np.asarray(_variances(sample.Y, self.s))) + self.held

    def scale(self) -> np.ndarray:
        """a_d of the stopping test, (D,): Σ_n s_n |x_nd| and the penalties' strength."""
        return self.rows.absolute_sums(self.s) + self.held[:, 0]


class Sample(NamedTuple):
    """Σ_n s_n CE_n in float64, s (Y − T) (N, C), and Y (C, N), on the device."""

    loss: Any
    residual: Any
    Y: Any


def objective(
    rows: SparseRows, targets: ExactTargets, s: np.ndarray | None, strengths: tuple[float, float], dtype: Any
) -> Objective:
    """The objective in a dtype; `strengths` are those of the L2 penalties on features and on the intercept."""
    rows, dtype = rows.astype(dtype), np.dtype(dtype)
    held = np.full((rows.matrix.shape[1], 1), strengths[0], dtype)
    if rows.intercept:
        held[-1] = strengths[1]
    weights = np.ones(targets.N, dtype) if s is None else np.asarray(s, dtype)
    return Objective(rows, jax.tree.map(jnp.asarray, stored_targets(targets, dtype)), weights, held)


@jax.jit
def _samples(Z: Array, targets: Any, s: Array) -> tuple[Array, Array, Array]:
    """S1 and S2 for each sample, classes first: many samples are then one vectorised sweep."""
    t = dense_targets(targets, 0)
    terms = softmax_terms(Z.T, 0)
    Y = terms_probabilities(terms)
    ce = weighted_neg_log(t, terms_neg_log(terms), 0)
    value = jnp.sum(s * jnp.where((s > 0) | jnp.isfinite(ce), ce, 0), dtype=jnp.float64)
    return value, (terms_residual(terms, Y, t, 0) * s).T, Y


@jax.jit
def _weighed(U: Array, Y: Array, s: Array) -> Array:
    """s Y ∘ (U − ū), (N, C) (S4)."""
    return (Y * centred(Y, U.T, 0) * s).T


@jax.jit
def _variances(Y: Array, s: Array) -> Array:
    """s y (1 − y), (N, C)."""
    return (Y * (1 - Y) * s).T


@jax.jit
def logit_range(U: Array, s: Array) -> Array:
    """ρ = max_n range(U_n) over the samples that take part (S8)."""
    return jnp.max(jnp.where(s > 0, jnp.max(U, axis=1) - jnp.min(U, axis=1), 0))
