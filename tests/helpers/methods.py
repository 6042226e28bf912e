"""The package's own methods by name, and a toy method that a test adds by one row of the registry."""

import dataclasses
from typing import ClassVar

from jaxsoftmax.training.loop.protocol import Method, Proposal
from jaxsoftmax.training.registry import METHODS

OWN_METHODS = tuple(name for name, row in METHODS.items() if "optax" not in row.module)


@dataclasses.dataclass(frozen=True)
class Toy(Method):
    """Gradient descent at a step that is given, with two claims about its rate."""

    learning_rate: float | None = None
    name: ClassVar[str] = "toy"

    def propose(self, point, oracle, constants, state):
        """W − η∇L(W)."""
        step = 0.25 if self.learning_rate is None else self.learning_rate
        return Proposal(point.W - step * point.gradient, 0 * point.value + step, state)

    def rate_bound(self, problem, W, step_size):
        """A made-up number in which the arguments can be recognised."""
        return 0.5 + step_size

    def rate_estimate(self, problem, W, step_size, W0):
        """Another."""
        return 0.25
