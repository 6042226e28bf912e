"""All functions of others on which the checker is held: the modules of this room in one list."""

from __future__ import annotations

from helpers.foreign import arrays, layers, linalg, nn, optax, probability, solvers, special
from helpers.foreign.case import Foreign

MODULES = (nn, special, linalg, arrays, optax, solvers, layers, probability)
CASES: list[Foreign] = [entry for module in MODULES for entry in module.CASES]
