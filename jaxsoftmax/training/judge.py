"""How a run ended: the status and its meaning in words, from the loop's code and the end point's evaluation.

Guarded by `tests/training/loop/test_run.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.training.end_point import EndPoint
from jaxsoftmax.training.loop.protocol import Method
from jaxsoftmax.training.loop.run import (
    DIVERGING,
    GRADIENT_TOLERANCE,
    HALTED,
    HISTORY_COLUMNS,
    INTERRUPTED,
    NONFINITE,
    RUNAWAY_RANGE,
    STALLED,
    STEP_LIMIT,
    Carry,
    Limits,
)

FAR_ABOVE = 1e-4  # of the loss


def history_table(raw: Carry) -> dict[str, np.ndarray]:
    """The filled rows with their step numbers, and the end point last."""
    rows, stride, last = int(raw.rows), int(raw.stride), int(raw.step)
    steps = np.arange(rows) * stride
    table = np.asarray(raw.history[:rows], np.float64)
    if rows == 0 or steps[-1] != last:
        end = [raw.value, _norm(raw.gradient), _norm(raw.W), np.nan]
        table, steps = np.vstack([table, np.asarray(end, np.float64)]), np.append(steps, last)
    columns = [steps, *table.T]
    return dict(zip(("step", *HISTORY_COLUMNS), columns, strict=True))


def judge(
    method: Method,
    raw: Carry,
    limits: Limits,
    scaled_gradient: float,
    end: EndPoint,
    separated: bool,
    rounding: float,
    history: dict[str, np.ndarray],
) -> tuple[int, str]:
    """The status and its meaning in words; `scaled_gradient` and `end` are in float64 on the data as given.

    Where the loop says that the run ended well, this claims less if W separates the classes or Newton's step from it is
    still long: then it is DIVERGING. It claims less, too, if the gradient reached the tolerance in the loop's numbers
    but is more than twice as large on the data as given, by more than `rounding`, that of W; or if the loss is still
    far above its minimum, because large features make the scaled gradient small: then it has STALLED. Where S13's q < 1
    shows that a minimiser exists, the run cannot be DIVERGING.
    """
    status = int(raw.status)
    if status == NONFINITE and not np.isfinite(raw.value):
        return status, "The loss or its gradient is not finite at W0."
    if status == NONFINITE:
        return status, f"A step of {method.name} led to infinite or undefined numbers; this is the last good point."
    if status == INTERRUPTED:
        return status, f"Interrupted after {int(raw.step)} steps; this is the last point reached."
    if separated:
        return DIVERGING, (
            "Probably no minimiser exists: every sample is already classified with a positive margin (complete "
            "separation, S9), so scaling W up lowers the loss without end."
        )
    certain = bool(raw.attains)
    solved = end.q is not None and end.q < 1
    above = solved and far_above(end.gap, end.loss)
    if status == DIVERGING and solved:
        status = GRADIENT_TOLERANCE
    apart = status == GRADIENT_TOLERANCE and scaled_gradient > 2 * float(limits.tolerance) + rounding
    # A loose tolerance asks for no minimum.
    as_usual = float(limits.tolerance) <= float(limits.runaway_below)
    if apart or (status == GRADIENT_TOLERANCE and above and as_usual):
        status = STALLED
    at_rest = status in (GRADIENT_TOLERANCE, STALLED, HALTED) and scaled_gradient <= float(limits.runaway_below)
    stalled = status in (STALLED, HALTED) and _weights_grow(history)
    if (at_rest or stalled) and not solved and not certain and _runs_away(end, history):
        status = DIVERGING
    if status == DIVERGING:
        return status, "The weights keep growing and the loss keeps falling; probably no minimiser exists."
    if status == STEP_LIMIT:
        words = "The step limit was reached before the gradient tolerance."
    elif status == HALTED:
        # Not STALLED, which would say that the loss cannot fall further.
        status, words = STEP_LIMIT, method.halt_words
    elif apart:
        words = (
            "The scaled gradient reached the tolerance on rounded numbers; on the data as given it is larger. Train in "
            "float64, or subtract the features' means."
        )
    elif status == STALLED and above:
        words = (
            "The run ended far above the minimum (see the gap). Use method='newton', or subtract the features' means: "
            "far offsets make the scaled gradient small and the steps of other methods poor."
        )
    elif status == STALLED:
        words = "The loss cannot fall further in this precision; the gradient is above the tolerance."
    else:
        words = "The scaled gradient reached the tolerance."
    if above:
        return status, words + " A minimiser exists (tested by S13, in float64 on the data as given)."
    if solved:
        return status, words + " Converged: a minimiser exists nearby (tested by S13, in float64 on the data as given)."
    if certain:
        return status, words + " A minimiser exists (S9, S21); how far away is not known (S13's test did not succeed)."
    return status, words + " Whether a minimiser exists is not known (S13's test did not succeed)."


def far_above(gap: float | None, loss: float) -> bool:
    """Whether the estimated gap is more than a ten-thousandth of the loss: too much for the word converged."""
    return gap is not None and gap > FAR_ABOVE * abs(loss)


def _runs_away(end: EndPoint, history: dict[str, np.ndarray]) -> bool:
    """Whether the end point is no minimum in sight: the full Newton step still moves logits by RUNAWAY_RANGE or more.

    Without the dense Hessian: whether the weights still grew.
    """
    return end.spread >= RUNAWAY_RANGE if end.spread is not None else _weights_grow(history)


def _weights_grow(history: dict[str, np.ndarray]) -> bool:
    """Whether ‖W‖ grew by a thousandth over the last half of the steps while the loss fell, in a run worth the name."""
    steps, norms, loss = history["step"], history["weight_norm"], history["loss"]
    middle = int(np.searchsorted(steps, steps[-1] / 2))
    return bool(steps[-1] >= 100 and norms[-1] > 1.001 * norms[middle] and loss[-1] < loss[middle])


def _norm(x: Any) -> float:
    return float(np.linalg.norm(np.asarray(x, np.float64)))
