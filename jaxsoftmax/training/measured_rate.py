"""The rate at which a run was seen to contract (S17), from its history.

Guarded by `tests/training/methods/test_gradient_descent.py`.
"""

from __future__ import annotations

import numpy as np


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
