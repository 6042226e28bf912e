"""The checker on functions that this project did not write: no derivative of a library is accused that is right."""

import pytest

import jaxsoftmax as js
from helpers.stages import dtype_of, sampled

pytest.importorskip("jax", minversion="0.10.2")  # the cases name functions that older releases lack
pytest.importorskip("optax", minversion="0.2.8")
from helpers.foreign.cases import CASES

pytestmark = pytest.mark.filterwarnings("ignore")  # whatever another library warns of is no matter of ours

# What the checker refuses with a message, and why.
REFUSED = {
    "jax.scipy.stats.gumbel_l.logpdf in scale": "JAX raises a TypeError at its gradient (its `fault`)",
    "jax.scipy.stats.gumbel_r.logpdf in scale": "JAX raises a TypeError at its gradient (its `fault`)",
}


@pytest.mark.parametrize("case", sampled(CASES, 24), ids=lambda case: case.name)
def test_a_right_derivative_is_not_accused(case):
    """No hand rule is given: the derivative under test is the library's own. A confirmed fault may be found.

    The quick budget: what does not agree to half of its digits goes to the whole check.
    """
    pytest.importorskip(case.library)
    fun, at, args = case.example(dtype_of(case.name))
    if case.name in REFUSED:
        with pytest.raises((TypeError, ValueError), match="fun"):
            js.crosscheck(fun, at, args=args, budget="quick")
        return
    report = js.crosscheck(fun, at, args=args, budget="quick")
    assert report.verdict != "DISAGREE" or case.fault or case.undefined, str(report)
