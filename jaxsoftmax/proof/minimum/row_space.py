"""Which columns of X are independent, and every other one as an exact combination of them (S6, S13).

Guarded by `tests/proof/minimum/test_prove.py`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from jaxsoftmax.proof.exact.rational import pivot_columns, solve_exactly
from jaxsoftmax.proof.minimum.objective import ProofData

__all__ = ["Dropped", "drop_dependent_columns", "reduced_weights"]


class Dropped(NamedTuple):
    """A column of X that is Σ_i coefficient_i times others, exactly; no coefficients: a column of zeros."""

    column: int
    coefficients: dict[int, Fraction]  # by column of X


def drop_dependent_columns(data: ProofData) -> tuple[ProofData, list[Dropped]]:
    """The objective on independent columns, and what the others are; with an L2 penalty every column is kept.

    Logits, loss and curvature on the row space of X are the same on fewer columns (S6): a weight of a dropped column
    can be moved to those it is made of. An L2 penalty sees the difference, and makes independence unnecessary.

    Raises:
        ImportError: python-flint is not installed.
        ArithmeticError: the rank found modulo a prime was not the rank (practically impossible).

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.proof.exact.data import ExactData
        >>> from jaxsoftmax.proof.minimum.objective import proof_data
        >>> from jaxsoftmax.proof.minimum.row_space import drop_dependent_columns
        >>> problem = js.Problem.from_labels([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]], [0, 1], intercept=False)
        >>> drop_dependent_columns(proof_data(ExactData(problem)))[1]
        [Dropped(column=1, coefficients={0: Fraction(2, 1)}), Dropped(column=2, coefficients={})]
    """
    if data.alpha > 0:
        return data, []
    kept = pivot_columns(data.A)
    others = np.setdiff1d(np.arange(data.A.shape[1]), kept)
    dropped = []
    nonzero = [d for d in others if (data.A[:, d] != 0).any()]
    if nonzero:
        solved = solve_exactly(data.A[:, kept], data.A[:, nonzero])
        if solved is None:
            raise ArithmeticError(
                "certify: columns found dependent are not, a fault of jaxsoftmax. Please report the data set."
            )
        numerators, q = solved
        for column, d in enumerate(nonzero):
            # x_d = A_d / scale_d and A_d = Σ (numerator / q) A_i.
            found = {
                int(data.columns[i]): Fraction(int(numerators[k, column]), q) * data.scales[i] / data.scales[d]
                for k, i in enumerate(kept)
                if numerators[k, column] != 0
            }
            dropped.append(Dropped(int(data.columns[d]), found))
    dropped += [Dropped(int(data.columns[d]), {}) for d in others if d not in nonzero]
    return data.restricted(kept), sorted(dropped)


def reduced_weights(W: np.ndarray, data: ProofData, dropped: list[Dropped]) -> np.ndarray:
    """Float64 weights (C, K) on the columns of `data` with the logits of W (C, D).

    Example:
        >>> import numpy as np
        >>> from fractions import Fraction
        >>> from types import SimpleNamespace
        >>> from jaxsoftmax.proof.minimum.row_space import Dropped, reduced_weights
        >>> reduced_weights(np.array([[1.0, 3.0]]), SimpleNamespace(columns=[0]), [Dropped(1, {0: Fraction(2)})])
        array([[7.]])
    """
    place = {int(d): k for k, d in enumerate(data.columns)}
    found = W[:, data.columns].astype(np.float64)
    for one in dropped:
        for i, coefficient in one.coefficients.items():
            found[:, place[i]] += W[:, one.column] * float(coefficient)
    return found
