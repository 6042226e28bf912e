"""Profile-likelihood intervals (S22): all values of one coefficient that a likelihood-ratio test does not reject.

With the coefficient held at β the largest log-likelihood of the others is −p(β); p is convex, so that the interval
{β : 2 (p(β) − p(β̂)) ≤ χ²} has two ends, one on either side of the estimate β̂. The signed root √(2 (p(β) − p(β̂))) is
nearly linear in β: its Newton steps, kept within the bracket, find each end, every p(β) by Newton's method with the
coefficient held. The slope p'(β) is the multiplier of that constraint, (a·H⁻¹g)/(a·H⁻¹a).

Guarded by `tests/uncertainty/test_profile.py`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from jaxsoftmax.reporting.blocks import Document, Facts, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.uncertainty.maximum import Maximum, climb
from jaxsoftmax.uncertainty.wald import normal_quantile, shown

__all__ = ["ProfileInterval", "profile_limits"]

_STEPS = 60
_DONE = 1e-9  # of a standard error: how far an end may still move


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ProfileInterval(Report):
    """What `Inference.profile_interval` returns.

    Attributes:
        class_name, feature: whose coefficient it is.
        estimate: the coefficient.
        lower, upper: the ends of the profile-likelihood interval.
        wald_lower, wald_upper: the ends of the Wald interval at the same level, for comparison.
        level: the level of confidence.
    """

    class_name: Any
    feature: str
    estimate: float
    lower: float
    upper: float
    wald_lower: float
    wald_upper: float
    level: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return json_ready(dataclasses.asdict(self))

    def plot(self, *, ax: Any = None) -> Any:
        """Draw both intervals (`js.plots.plot_intervals`)."""
        from jaxsoftmax.plots.intervals import plot_intervals

        ends = [self.lower, self.wald_lower], [self.upper, self.wald_upper]
        names = ["profile likelihood", "Wald"]
        ax = plot_intervals(names, [self.estimate] * 2, *ends, level=self.level, ax=ax)
        ax.set_xlabel(f"coefficient of {self.feature}, class {self.class_name}, with {100 * self.level:g} % interval")
        return ax

    def document(self) -> Document:
        """Both intervals."""
        title = f"{100 * self.level:g} % interval of {self.feature} for class {self.class_name} (S22)"
        facts = [
            ("estimate", shown(self.estimate)),
            ("profile likelihood", f"{shown(self.lower)} to {shown(self.upper)}"),
            ("Wald", f"{shown(self.wald_lower)} to {shown(self.wald_upper)}"),
        ]
        return [Title(title), Facts(facts)]


def profile_limits(maximum: Maximum, functional: np.ndarray, level: float) -> tuple[float, float]:
    """How far below and above its estimate the functional (r,) on θ can lie: (negative, positive).

    Raises:
        ValueError: an end was not found.
    """
    target = normal_quantile(level)
    across = maximum.inverse @ functional
    error = math.sqrt(float(functional @ across))
    below = _end(maximum, functional, across / error, error, target, -1.0)
    return below, _end(maximum, functional, across / error, error, target, 1.0)


def _end(maximum: Maximum, a: np.ndarray, unit: np.ndarray, error: float, target: float, side: float) -> float:
    """The end on one side, as a difference to the estimate; `unit` moves θ so that the functional moves by `error`."""
    low, high, t, at, point = 0.0, math.inf, target, 0.0, maximum  # in standard errors
    for _ in range(_STEPS):
        point = climb(maximum.objective, point.theta + side * (t - at) * unit, a)
        at = t
        root = math.sqrt(2 * max(point.terms.loss - maximum.terms.loss, 0.0))
        low, high = (t, high) if root < target else (low, t)
        g = maximum.objective.gradient(point.terms)
        across = point.inverse @ a
        slope = side * error * float(across @ g) / float(across @ a)  # of the loss, in standard errors
        step = (target - root) * root / slope if root > 0 and slope > 0 else target
        if abs(step) <= _DONE:
            return side * error * (t + step)
        t += step
        if not low < t < high:
            t = 0.5 * (low + high) if math.isfinite(high) else 2 * max(low, target)
    raise WrongValue("feature", "an end of the profile interval was not found", "use the Wald interval")
