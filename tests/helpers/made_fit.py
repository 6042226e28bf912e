"""A `Fit` made by hand, with every field filled, for tests of what is done with one: nothing is trained or compiled."""

from typing import Any

import numpy as np

import jaxsoftmax as js
from jaxsoftmax.training.loop.protocol import InnerSolve
from jaxsoftmax.training.result import Fit


def made_fit(**changes: Any) -> Fit:
    """Two classes, the features width and length, an intercept; fields by name in place of these."""
    fields: dict[str, Any] = {
        "W": np.array([[0.25, -1.0, 1 / 3], [-0.25, 1.0, -1 / 3]]),
        "loss": 2.5,
        "loss_in_training": 2.5000001,
        "gradient_norm": 1e-9,
        "scaled_gradient": 1e-11,
        "gap_estimate": 1e-18,
        "steps": 7,
        "rate_measured": 0.5,
        "rate_bound": None,
        "rate_estimate": None,
        "log_gain_bound": None,
        "q_estimate": 0.125,
        "history": {"step": np.arange(3), "loss": np.array([4.0, 3.0, 2.5])},
        "status": js.Status.GRADIENT_TOLERANCE,
        "method": "newton-cg",
        "has_intercept": True,
        "reason": "The scaled gradient reached the tolerance.",
        "inner_solves": (InnerSolve(0, "majorant", "float32", 0.0), InnerSolve(3, "class blocks", "float64", 12.0)),
        "classes": ("crow", "wren"),
        "feature_names": ("width", "length", "intercept"),
    }
    return Fit(**(fields | changes))
