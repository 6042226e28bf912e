"""Wrong rules are found: every frozen mutant whose error exceeds the reported resolution, in both dtypes."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from checker.mutants import EQUIVALENT, MUTANTS

# At a point without a derivative a value between the slopes of the two sides is as right as any: these "mutants" give
# one, so they are not accused, and the report says where the function has no derivative.
SUBGRADIENTS = {
    "max-pool-tie": "all of a tie's weight on one of the tied entries, where autodiff splits it",
    "distances-at-a-point": "0 at a cone's tip, where autodiff of the formula is NaN",
    "absolute-at-zero": "-1 for |x| at 0",
    "clip-at-one": "the slope from inside at the end of a clip",
}
# One mutant of each kind for the fast run.
QUICK = ("matlab-l2", "matlab-logcosh")


def report(mutant, dtype=np.float32, seed=0):
    made = mutant.make(np.random.default_rng(seed), dtype)
    key = jax.random.key(seed)
    return js.crosscheck(made.fun, made.at, args=made.args, key=key, psd=mutant.psd, **made.rules)


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.name in QUICK], ids=lambda m: m.name)
def test_the_published_bugs_are_found_and_named(mutant):
    """S21 a, b: the loss α|W|² with gradient αW, and the log-cosh gradient with the wrong sign."""
    found = report(mutant)
    assert found.verdict == "DISAGREE"
    assert found.smells[0].name == mutant.smell


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_found(mutant, dtype):
    """No wrong rule passes; the equivalent ones, each listed with its reason, are not accused."""
    found = report(mutant, dtype)
    if mutant.name in SUBGRADIENTS:
        assert found.verdict == "AGREE"
        assert any("no derivative" in note for note in found.notes)
        assert found.smells[0].name == "kink"
    elif mutant.name in EQUIVALENT:
        assert found.verdict in ("AGREE", "ROUNDING"), f"{EQUIVALENT[mutant.name]}\n{found}"
    else:
        assert found.verdict == "DISAGREE", f"{mutant.smell}\n{found}"
