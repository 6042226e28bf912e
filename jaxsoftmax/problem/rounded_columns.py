"""A warning that names the columns of X whose numbers the compute dtype does not hold well enough.

Guarded by `tests/problem/test_rounded_columns.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.arrays import float64_blocks
from jaxsoftmax.support.validation import show

__all__ = ["RoundedDataWarning", "warn_of_rounded_columns"]

COARSE = 1e-3  # a unit in the last place of more than this part of the standard deviation
MERGED = 0.1  # of the distinct values that are looked at, become equal to another
_LOOKED_AT = 1_000  # rows, evenly spread, in which merged values are counted
_NAMED = 5  # columns named in the message


class RoundedDataWarning(UserWarning):
    """Rounding to the compute dtype changes what some columns of X say.

    Example:
        >>> import jaxsoftmax as js, numpy as np, warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     problem = js.Problem.from_labels(np.float64([[1e9], [1e9 + 1]]), [0, 1])
        >>> caught[0].category is js.RoundedDataWarning
        True
    """


def rounded_columns(X: np.ndarray, storage: np.dtype) -> list[int]:
    """The columns of X (N, D) that lose digits that matter in the dtype `storage`.

    A column is among them when a unit in the last place of its largest number (of the smallest normal number at least)
    is above COARSE of its standard deviation, or where more than MERGED of its distinct values become equal to another.
    A dtype of fewer than four digits is held to what it has: 16 eps instead of COARSE, and its values merge.
    """
    N, D = X.shape
    if X.dtype == storage:
        return []
    changed, top, total = np.zeros(D, bool), np.zeros(D), np.zeros(D)
    for _, block in float64_blocks(X):
        changed |= (block != block.astype(storage)).any(axis=0)
        top = np.maximum(top, np.abs(block).max(axis=0))
    if not changed.any():
        return []
    squares = np.zeros(D)
    unit = np.where(top > 0, top, 1.0)  # so that no square leaves the doubles
    for _, block in float64_blocks(X):
        total += (block / unit).sum(axis=0)
    for _, block in float64_blocks(X):
        squares += ((block / unit - total / N) ** 2).sum(axis=0)
    info = jnp.finfo(storage)
    deviation = unit * np.sqrt(squares / N)
    ulp = np.maximum(np.ldexp(float(info.eps), np.frexp(top)[1] - 1), float(info.tiny))
    coarse = (deviation > 0) & (ulp > max(COARSE, 16 * float(info.eps)) * deviation)
    sample = X[:: max(1, -(-N // _LOOKED_AT))].astype(np.float64)
    fine = info.eps < COARSE
    return [d for d in np.flatnonzero(changed).tolist() if coarse[d] or (fine and _merges(sample[:, d], storage))]


def _merges(values: np.ndarray, storage: np.dtype) -> bool:
    distinct = np.unique(values)
    return len(distinct) - len(np.unique(distinct.astype(storage))) > MERGED * len(distinct)


def warn_of_rounded_columns(X: np.ndarray, storage: np.dtype, names: Sequence[str] | None, stacklevel: int) -> None:
    """Warn (RoundedDataWarning) where `rounded_columns` finds some."""
    found = rounded_columns(X, storage)
    if not found:
        return
    called = [show(str(names[d])) if names else f"column {d}" for d in found[:_NAMED]]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    warnings.warn(
        f"X: {storage} does not hold the numbers of {', '.join(called)}{more} well enough: values that differ become "
        "equal, or nearly so, in derivatives and in first-order methods. Remedy: the dtype float64 (in a program, "
        "jax.config.update('jax_enable_x64', True) at its start), or subtract the column's mean and divide by its "
        "standard deviation.",
        RoundedDataWarning,
        stacklevel=stacklevel,
    )
