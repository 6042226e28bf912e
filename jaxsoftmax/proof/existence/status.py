"""`Existence`: does a minimiser exist? `Separation`: if it does not, are all samples separated, or some?

Guarded by `tests/proof/existence/test_verdict.py`.
"""

from __future__ import annotations

import enum

__all__ = ["Existence", "Separation"]


class Existence(enum.Enum):
    """Whether L (plus its regulariser) attains its minimum (S9).

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> js.decide_existence(js.Problem.from_labels([[0.0], [1.0]], [0, 1])).status is js.Existence.NOT_ATTAINED
        True
    """

    ATTAINED = "attained"
    NOT_ATTAINED = "not attained"
    UNDECIDED = "undecided"


class Separation(enum.StrEnum):
    """How many pairs of a sample and a class outside its target one direction separates (S9); equal to its text.

    Example:
        >>> import jaxsoftmax as js
        >>> js.decide_existence(js.Problem.from_labels([[0.0], [1.0]], [0, 1])).type == "complete"
        True
    """

    NONE = "none"
    COMPLETE = "complete"
    QUASI_COMPLETE = "quasi-complete"
    OPEN = "open"
