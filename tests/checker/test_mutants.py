"""Wrong rules are found: every frozen mutant whose error exceeds the reported resolution, half in each dtype."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.derivatives.mutants import ALSO_TRUE, EQUIVALENT, MUTANTS
from helpers.stages import dtype_of, sampled

# At a point without a derivative a value between the slopes of the two sides is as right as any: these "mutants" give
# one, so they are not accused, and the report says where the function has no derivative.
SUBGRADIENTS = {
    "max-pool-tie": "all of a tie's weight on one of the tied entries, where autodiff splits it",
    "distances-at-a-point": "0 at a cone's tip, where autodiff of the formula is NaN",
    "absolute-at-zero": "-1 for |x| at 0",
    "clip-at-one": "the slope from inside at the end of a clip",
    "network-relu-at-zero": "1 for a relu at 0",
}
PUBLISHED = ("matlab-l2", "matlab-logcosh")


def report(mutant, dtype=np.float32, seed=0):
    made = mutant.make(np.random.default_rng(seed), dtype)
    key = jax.random.key(seed)
    return js.crosscheck(made.fun, made.at, args=made.args, key=key, psd=mutant.psd, **made.rules)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.name in PUBLISHED], ids=lambda m: m.name)
def test_the_published_bugs_are_found_and_named(mutant):
    """S21 a, b: the loss α|W|² with gradient αW, and the log-cosh gradient with the wrong sign."""
    found = report(mutant)
    assert found.verdict == "DISAGREE"
    assert found.diagnoses[0].name == mutant.diagnosis


# First names that are not the frozen one, each with what is said instead (it matches the rule numerically).
OTHERWISE = {
    "self-missing": "stop gradient",
    "softmax-map-rank-one": "gauge",
    "hessian-column-stacked": "gauge",
    "softmax-hvp-uncentred": "gauge",
    "gauss-newton-student": "stop gradient",
    "exponential-no-jacobian": "kink",
    "embedding-set": "row",
    "softsign-half": "one leaf",
    "network-no-relu": "wrong term",
    "network-no-gain": "wrong term",
    "network-unit": "entry",
    "max-pool-near-tie": "entry",
    "bilinear-transposed": "transpose",
    "runge-kutta-weights": "wrong term",
    "chain-no-inner": "wrong term",
}


def test_four_of_five_names_are_right():
    """What the issue asks for; the test below holds every mutant to its name, or to the one listed above."""
    wrong = [m for m in MUTANTS if m.name in OTHERWISE]
    assert len(wrong) == len(OTHERWISE) <= 0.2 * len([m for m in MUTANTS if m.name not in EQUIVALENT])


def named_right(mutant, found):
    first = found.diagnoses[0].name if found.diagnoses else "unnamed"
    wanted = OTHERWISE.get(mutant.name, mutant.diagnosis)
    return first == wanted or first in ALSO_TRUE.get(mutant.name, ())


@pytest.mark.parametrize("mutant", sampled(MUTANTS, 24), ids=lambda m: m.name)
def test_every_mutant_is_found_and_named(mutant):
    """No wrong rule passes, each in one dtype; the equivalent ones, each listed with its reason, are not accused.

    The names are frozen for float32 and the points of seed 0; in float64, at those of seed 1, only the verdict is held.
    """
    wide = dtype_of(mutant.name) is np.float64
    found = report(mutant, np.float64, 1) if wide else report(mutant)
    if mutant.name in EQUIVALENT:
        assert found.verdict in ("AGREE", "ROUNDING"), f"{EQUIVALENT[mutant.name]}\n{found}"
        return
    expected = ("AGREE",) if mutant.name in SUBGRADIENTS else ("DISAGREE",)
    if wide and mutant.name in SUBGRADIENTS:
        expected = ("AGREE", "ROUNDING")
    assert found.verdict in expected, f"{mutant.diagnosis}\n{found}"
    if wide:
        return
    assert named_right(mutant, found), f"{mutant.diagnosis}\n{found}"
    if mutant.name in SUBGRADIENTS:
        assert any("no derivative" in note for note in found.notes)
