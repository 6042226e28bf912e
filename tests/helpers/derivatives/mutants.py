"""The mutants: wrong derivative rules written by hand, frozen before the names of errors were programmed.

A mutant whose error exceeds the reported resolution must be detected, and most should get the name in `diagnosis`.
"""

from helpers.derivatives import mutants_calculus, mutants_curvature, mutants_layers, mutants_models, mutants_softmax
from helpers.derivatives.mutants_case import DIAGNOSES, Mutant

__all__ = ["ALSO_TRUE", "DIAGNOSES", "EQUIVALENT", "MUTANTS", "Mutant", "mutant"]

_PARTS = (mutants_softmax, mutants_curvature, mutants_models, mutants_layers, mutants_calculus)
MUTANTS: tuple[Mutant, ...] = tuple(entry for part in _PARTS for entry in part.MUTANTS)
EQUIVALENT: dict[str, str] = {name: reason for part in _PARTS for name, reason in part.EQUIVALENT.items()}

# A second name that states the same error truly; `diagnosis` stays the one wanted. A roll is a permutation; a penalty
# that is wrong on one leaf or row concerns that leaf or row alone; a constant mean, norm or normaliser is a stopped
# gradient, or a missing projection; a lost constant is also a lost term.
ALSO_TRUE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "softmax-classes-rolled",
            "softmax-hvp-columns-rolled",
            "embedding-off-by-one",
            "circulant-rolled",
            "rosenbrock-rolled",
            "lennard-jones-rolled",
            "spectrum-rolled",
        ),
        ("permutation",),
    ),
    **dict.fromkeys(("layer-norm-no-mean", "layer-norm-score-no-mean"), ("stop gradient",)),
    **dict.fromkeys(("lse-hessian-no-outer", "lse-hvp-no-outer"), ("gauge",)),
    **dict.fromkeys(
        (
            "labels-no-penalty",
            "labels-half-penalty",
            "ridge-no-penalty",
            "ridge-two-lambda",
            "ridge-hvp-no-penalty",
            "attention-key-reshaped",
            "recurrent-transposed",
            "factorisation-row",
            "network-unit",
        ),
        ("one leaf",),
    ),
    **dict.fromkeys(
        ("ridge-intercept-penalised", "labels-bias-penalised", "l2-one-class-unpenalised"), ("missing regulariser",)
    ),
    **dict.fromkeys(("entropy-no-one", "self-no-uniform"), ("wrong term",)),
    "self-hessian-blocks": ("shift",),
    "trajectory-swapped": ("shift",),
    "gamma-hessian-skew": ("entry",),
}
_BY_NAME = {entry.name: entry for entry in MUTANTS}


def mutant(name: str) -> Mutant:
    """The mutant of that name."""
    return _BY_NAME[name]
