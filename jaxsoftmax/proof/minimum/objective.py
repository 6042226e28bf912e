"""What a proof about the minimiser works on: exact integers for X, T, the weights and the L2 penalty (S13, S21)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.numbers import exact_number
from jaxsoftmax.proof.exact.products import as_smallest

__all__ = ["ProofData", "proof_data"]


class ProofData(NamedTuple):
    """The objective Σ_n s_n [lse(W x_n) − t_nᵀ W x_n] + (alpha/2) Σ_{d penalised} ‖W_·d‖² in exact numbers.

    The rows are the samples of positive weight, then the samples that a self-regulariser adds (S21d): γ e_d with
    uniform targets, for every column d.

    A: (n, K) integers, int64 or Python integers; x_nd = A[n, d] / scales[d].
    scales: K positive integers.
    P: (n, C) integers, q: (n,) Python integers; t_nj = P[n, j] / q[n], and each row of P sums to q[n].
    s_num: (n,) Python integers, s_den: a Python integer; s_n = s_num[n] / s_den > 0.
    alpha: Fraction >= 0. penalised: (K,) bool.
    columns: (K,) the columns of X they are; D_given is the appended intercept.
    """

    A: np.ndarray
    scales: list[int]
    P: np.ndarray
    q: np.ndarray
    s_num: np.ndarray
    s_den: int
    alpha: Fraction
    penalised: np.ndarray
    columns: np.ndarray

    @property
    def C(self) -> int:
        """Number of classes."""
        return self.P.shape[1]

    def restricted(self, places: np.ndarray) -> ProofData:
        """The same with some of the columns only, given by their places in `columns`."""
        return self._replace(
            A=np.ascontiguousarray(self.A[:, places]),
            scales=[self.scales[d] for d in places],
            penalised=self.penalised[places],
            columns=self.columns[places],
        )


def proof_data(data: ExactData) -> ProofData:
    """The exact objective of a problem, all columns kept.

    Raises:
        ValueError: a penalty that a proof does not cover: log-cosh, or two L2 penalties that treat the intercept
            differently.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.proof.exact.data import ExactData
        >>> from jaxsoftmax.proof.minimum.objective import proof_data
        >>> problem = js.Problem.from_labels(
        ...     [[0.5], [1.0]], [0, 1], label_smoothing="0.1", regularizer=js.SelfRegularizer(0.25)
        ... )
        >>> found = proof_data(ExactData(problem))
        >>> found.A.tolist(), found.scales, found.P[0].tolist(), found.q.tolist()
        ([[2, 4], [4, 4], [1, 0], [0, 1]], [4, 4], [19, 1], [20, 20, 2, 2])

    Source: S21a, S21d; sections 7.7, 7.9 and 7.10.
    """
    A, scales = data.all_columns()
    numerators, denominators = data.host.targets.integers()
    P, q = numerators[data.rows], np.array(denominators, dtype=object)[data.rows]
    weights = data.host.sample_weight
    if weights is None:
        s = [Fraction(1)] * len(data.rows)
    else:
        s = [exact_number(weights[n], data.decimal) for n in data.rows]
    alpha, flags = Fraction(0), set()
    for part in data.host.regularizer:
        if part.sample_scale is not None:
            gamma = exact_number(part.sample_scale, data.decimal)
            A, scales = _with_own_samples(A, scales, gamma)
            K = A.shape[1]
            P = np.vstack([P, np.ones((K, data.C), P.dtype)])
            q = np.concatenate([q, np.array([data.C] * K, dtype=object)])
            s += [Fraction(1)] * K
        elif part.strength > 0:
            if part.concordance is not None:
                raise ValueError(
                    f"regularizer: {part!r} is not covered by the proof (S13), which needs descent to stay where the "
                    "loss curves (S21b). Use L2 or the self-regulariser."
                )
            alpha += exact_number(part.strength, data.decimal)
            flags.add(bool(part.penalize_intercept) or not data.intercept)
    if len(flags) > 1:
        raise ValueError(
            "regularizer: two L2 penalties treat the intercept differently, which a proof does not cover. Give one."
        )
    penalised = np.full(A.shape[1], alpha > 0)
    if flags == {False}:
        penalised[-1] = False
    s_den = math.lcm(*(each.denominator for each in s))
    return ProofData(
        A=as_smallest(A),
        scales=scales,
        P=P,
        q=q,
        s_num=np.array([each.numerator * (s_den // each.denominator) for each in s], dtype=object),
        s_den=s_den,
        alpha=alpha,
        penalised=penalised,
        columns=np.arange(A.shape[1]),
    )


def _with_own_samples(A: np.ndarray, scales: list[int], gamma: Fraction) -> tuple[np.ndarray, list[int]]:
    """The rows γ e_d below, the scales made such that γ·scale is an integer."""
    wider = [math.lcm(q, gamma.denominator) for q in scales]
    factor = np.array([w // q for w, q in zip(wider, scales, strict=True)], dtype=object)
    own = np.diag(np.array([int(gamma * w) for w in wider], dtype=object))
    return np.vstack([A.astype(object) * factor, own]), wider
