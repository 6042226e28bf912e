"""The zoo: correct derivative rules written by hand, on which the checker must raise no alarm."""

from helpers.derivatives import zoo_calculus, zoo_layers, zoo_models, zoo_softmax
from helpers.derivatives.zoo_case import Case, Example

__all__ = ["CASES", "Case", "Example", "case"]

CASES: tuple[Case, ...] = (*zoo_softmax.CASES, *zoo_models.CASES, *zoo_layers.CASES, *zoo_calculus.CASES)
_BY_NAME = {entry.name: entry for entry in CASES}


def case(name: str) -> Case:
    """The case of that name."""
    return _BY_NAME[name]
