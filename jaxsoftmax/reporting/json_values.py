"""The one way to JSON: arrays become lists, infinities and NaN the texts "inf", "-inf", "nan"; None: not evaluated.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["json_ready"]


def json_ready(value: Any) -> Any:
    """A JSON-ready copy: of numbers, arrays, dicts, lists, and of what has a `to_dict`.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.reporting.json_values import json_ready
        >>> json_ready({"a": np.float32(0.5), "b": (np.arange(2), -np.inf), "c": None})
        {'a': 0.5, 'b': [[0, 1], '-inf'], 'c': None}
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, dict):
        return {str(key): json_ready(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(entry) for entry in value]
    if hasattr(value, "tolist"):
        return json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
