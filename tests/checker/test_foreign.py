"""The checker on functions that this project did not write: no derivative of a library is accused that is right."""

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.foreign.cases import CASES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # whatever another library warns of is no matter of ours
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_right_derivative_is_not_accused(case, dtype):
    """No hand rule is given: the derivative under test is the library's own. A confirmed fault may be found."""
    pytest.importorskip(case.library)
    fun, at, args = case.example(dtype)
    report = js.crosscheck(fun, at, args=args)
    assert report.verdict != "DISAGREE" or case.fault or case.undefined, str(report)
