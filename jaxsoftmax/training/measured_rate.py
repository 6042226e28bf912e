"""The rate at which a run contracted (S17): what was seen in its history, and what the theory says.

Guarded by `tests/training/methods/test_gradient_descent.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.training.loop.protocol import Method
from jaxsoftmax.training.loop.run import NONFINITE, Carry


def measured_rate(steps: np.ndarray, gradient_norms: np.ndarray, floor: float) -> float | None:
    """The factor per step by which ‖∇L‖ shrank over the last part of a run, or None where that cannot be measured.

    Asymptotically the gradient norm contracts like the iterates, by S17's factor. The geometric mean is taken over the
    last half of the steps (in log scale one straight line), cut off where the norm is within 100 times of `floor`, the
    rounding level of the gradient: a plateau there measures the arithmetic, not the method.

    Args:
        steps: (k,) step numbers, increasing.
        gradient_norms: (k,) norms at those steps.
        floor: rounding level of the gradient norm.
    """
    steps, norms = np.asarray(steps, float), np.asarray(gradient_norms, float)
    usable = np.isfinite(norms) & (norms > max(100.0 * floor, 0.0))
    cut = usable.size if usable.all() else int(np.argmin(usable))
    steps, norms = steps[:cut], norms[:cut]
    if cut < 2:
        return None
    first = int(np.searchsorted(steps, steps[-1] / 2))
    first = min(first, cut - 2)
    if steps[-1] - steps[first] < 5 or not norms[-1] < norms[first]:
        return None
    return float(np.exp((np.log(norms[-1]) - np.log(norms[first])) / (steps[-1] - steps[first])))


def rates_of(
    problem: Problem, method: Method, raw: Carry, history: dict[str, np.ndarray], W0: Any
) -> dict[str, float | None]:
    """The fields of `Fit` on the contraction a step, seen and by the theory, in the features that were trained in."""
    rates: dict[str, float | None] = dict.fromkeys(("rate_measured", "rate_bound", "rate_estimate", "log_gain_bound"))
    if int(raw.status) == NONFINITE:
        return rates
    if method.linear:
        # The gradient's rounding: eps times its terms' absolute sum, at most a_d an entry.
        floor = float(np.finfo(problem.dtype).eps) * float(np.max(raw.scale))
        rates["rate_measured"] = measured_rate(history["step"], history["gradient_norm"], floor)
    step = float(raw.step_size)
    rates["rate_estimate"] = method.rate_estimate(problem, raw.W, step, W0)
    bound, gain = method.rate_bound(problem, raw.W, step), method.log_gain_bound(problem, W0)
    rates["rate_bound"] = bound if bound is not None and bound < 1.0 else None
    rates["log_gain_bound"] = gain if gain is not None and np.isfinite(gain) else None
    return rates
