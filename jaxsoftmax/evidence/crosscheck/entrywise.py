"""The penalties that act entry by entry (S21 a, b) as the evidence sees them: float64, its rounding, and 50 digits.

L2 is (α/2) w² and log-cosh (α/γ) log(2 cosh γw), on the columns of a mask. Each class knows value, slope, curvature and
third derivative of one entry, for any numbers that have abs, tanh, exp and log1p of `functions`: NumPy's or balls.
Independent of the package's formulas like everything in evidence/.

*Rounding.* γw has one rounding; tanh and log cosh are as well conditioned as that, so they err by some eps relative.
sech² moves by a factor e^(2|δ|) when γw moves by δ = eps|γw|: its relative error is e^(2 eps |γw|) - 1 and some eps.
Plain formulas (the two-class softmax of (γw, -γw)) subtract numbers of size 1 in the slope, the curvature and, up to
six of them, in the third derivative, so their errors are relative to those.

Guarded by `tests/evidence/crosscheck/test_tolerances.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxsoftmax.evidence.crosscheck import reference

__all__ = ["Entrywise", "entrywise"]

_EXP_LIMIT = 700.0


def _absolute_log1p_exp(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return np.log1p(np.exp(-2 * np.abs(x)))
    return (-2 * abs(x)).exp().log1p()


def _tanh(x: Any) -> Any:
    return np.tanh(x) if isinstance(x, np.ndarray) else x.tanh()


def _sech_squared(x: Any) -> Any:
    e = np.exp(-2 * np.abs(x)) if isinstance(x, np.ndarray) else (-2 * abs(x)).exp()
    return 4 * e / (1 + e) ** 2


@dataclasses.dataclass(frozen=True)
class Entrywise:
    """One penalty: `alpha`, `gamma` (None for L2) and the (D,) float mask of the columns that it acts on.

    `alpha` and `gamma` are floats for float64 arrays, balls where single balls are given.
    """

    alpha: Any
    gamma: Any
    mask: np.ndarray

    def value(self, w: Any) -> Any:
        """(α/2) w² or (α/γ) log(2 cosh γw)."""
        if self.gamma is None:
            return self.alpha / 2 * w * w
        x = self.gamma * w
        return self.alpha / self.gamma * (abs(x) + _absolute_log1p_exp(x))

    def slope(self, w: Any) -> Any:
        """α w or α tanh γw."""
        return self.alpha * (w if self.gamma is None else _tanh(self.gamma * w))

    def curvature(self, w: Any) -> Any:
        """α or αγ sech² γw."""
        if self.gamma is None:
            return self.alpha + 0 * w
        return self.alpha * self.gamma * _sech_squared(self.gamma * w)

    def third(self, w: Any) -> Any:
        """0 or -2αγ² tanh sech² γw."""
        if self.gamma is None:
            return 0 * w
        return -2 * self.gamma * _tanh(self.gamma * w) * self.curvature(w)

    def _spread(self, w: np.ndarray, eps: float) -> np.ndarray:
        """Relative error of sech² γw from the rounding of γw."""
        if self.gamma is None:
            return np.zeros_like(w)
        return np.expm1(np.minimum(2 * eps * np.abs(self.gamma * w), _EXP_LIMIT))

    def slope_error(self, w: np.ndarray, K: float, compensated: bool) -> np.ndarray:
        """(C, D) tolerance of the slope, K the relative error of a term."""
        size = np.abs(self.slope(w)) if compensated or self.gamma is None else self.alpha + 0 * w
        return K * self.mask * size

    def curvature_error(self, w: np.ndarray, K: float, eps: float, tiny: float, compensated: bool) -> np.ndarray:
        """(C, D) tolerance of the curvature; a flushed exponential moves it by 4αγ times the smallest normal."""
        exact = self.curvature(w)
        if self.gamma is None:
            return K * self.mask * exact
        size = exact if compensated else self.alpha * self.gamma
        return self.mask * (K * size + self._spread(w, eps) * exact + 4 * self.alpha * self.gamma * tiny)

    def third_error(self, w: np.ndarray, K: float, eps: float, tiny: float, compensated: bool) -> np.ndarray:
        """(C, D) tolerance of the third derivative."""
        if self.gamma is None:
            return np.zeros_like(w)
        exact, limit = np.abs(self.third(w)), 2 * self.alpha * self.gamma**2
        size = exact if compensated else 3 * limit
        return self.mask * (K * size + self._spread(w, eps) * exact + 4 * limit * tiny)


def entrywise(data: reference.PlainProblem, number: Any = float) -> Iterator[Entrywise]:
    """The entrywise penalties of a problem, their strengths made by `number` (float, or a ball from a float)."""
    for term in data.regularizer:
        if term.kind in ("l2", "logcosh"):
            mask = np.ones(np.shape(data.X)[1])
            if data.intercept and not term.penalize_intercept:
                mask[-1] = 0.0
            gamma = None if term.kind == "l2" else number(float(term.gamma))
            yield Entrywise(number(float(term.value)), gamma, mask)
