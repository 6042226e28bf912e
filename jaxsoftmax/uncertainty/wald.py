"""Wald statistics of estimates with standard errors (S22): z, p-values and limits, and how their numbers are shown.

Guarded by `tests/uncertainty/test_inference.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import real_number, show

__all__ = ["Wald", "as_frame", "as_level", "cells", "chi_square_tail", "freedom", "head", "normal_quantile", "wald"]


class Wald(NamedTuple):
    """Arrays of one shape, NaN where the estimate or its error is.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.uncertainty.wald import wald
        >>> found = wald(np.array([2.0]), np.array([1.0]), 0.95)
        >>> found.z.tolist(), found.p_values.round(4).tolist(), found.upper.round(2).tolist()
        ([2.0], [0.0455], [3.96])
    """

    estimates: np.ndarray
    standard_errors: np.ndarray
    z: np.ndarray
    p_values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def wald(estimates: np.ndarray, standard_errors: np.ndarray, level: float) -> Wald:
    """z = estimate/error, p = P(|Z| > |z|) of a standard normal Z, and the limits estimate ± quantile · error.

    An effect that is 0 whatever the weights (of a class or feature alone) has error 0: z is then NaN.
    """
    from scipy.special import erfc  # costs 0.1 s

    with np.errstate(invalid="ignore", divide="ignore"):
        z = estimates / standard_errors
        reach = normal_quantile(level) * standard_errors
        p = np.asarray(erfc(np.abs(z) / np.sqrt(2.0)))
    return Wald(estimates, standard_errors, z, p, estimates - reach, estimates + reach)


def normal_quantile(level: float) -> float:
    """The q with P(|Z| ≤ q) = level."""
    from scipy.special import ndtri

    return -float(ndtri(0.5 * (1 - level)))


def chi_square_tail(statistic: float, degrees: int) -> float | None:
    """P(χ² ≥ statistic); None without degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(degrees, max(statistic, 0.0))) if degrees > 0 else None


def freedom(degrees: int) -> str:
    """A number of them, in words."""
    return f"{degrees} degree{'s' * (degrees != 1)} of freedom"


def as_level(level: Any) -> float:
    """A level of confidence between 0 and 1.

    Raises:
        TypeError, ValueError: it is no number, or not between 0 and 1.
    """
    value = float(real_number("level", level))
    if not 0 < value < 1:
        raise WrongValue("level", f"got {show(level)}", "give a number between 0 and 1, such as 0.95")
    return value


def head(level: float) -> tuple[str, ...]:
    """The heads of the columns of numbers."""
    low = f"{50 * (1 - level):.4g}"
    return ("estimate", "std err", "z", "P>|z|", f"[{low} %", f"{100 - float(low):.6g} %]")


def cells(table: Wald, place: tuple[int, ...]) -> tuple[str, ...]:
    """One estimate's numbers as texts."""
    values = [float(part[place]) for part in table]
    return (
        shown(values[0]),
        shown(values[1]),
        "" if np.isnan(values[2]) else f"{values[2]:.3f}",
        "" if np.isnan(values[3]) else f"{values[3]:.3f}" if values[3] >= 0.0005 else "<0.001",
        shown(values[4]),
        shown(values[5]),
    )


def shown(value: float) -> str:
    """A number in about five digits; nothing for NaN."""
    if np.isnan(value):
        return ""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 or np.isinf(value) else f"{value:.3e}"


def as_frame(classes: tuple[Any, ...], features: tuple[str, ...], columns: dict[str, np.ndarray]) -> Any:
    """A pandas frame with a row for each class and feature, from arrays (classes, features).

    Raises:
        ImportError: pandas is not installed.
    """
    import pandas as pd

    index = pd.MultiIndex.from_product([list(classes), list(features)], names=["class", "feature"])
    return pd.DataFrame({name: np.asarray(values).ravel() for name, values in columns.items()}, index=index)
