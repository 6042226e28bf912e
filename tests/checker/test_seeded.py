"""Bugs seeded by hands that had not read the checker: none is accepted, and no right rule of theirs is accused."""

import pytest

import jaxsoftmax as js
from helpers.seeded.cases import SEEDED
from helpers.stages import dtype_of, sampled
from helpers.unseen.cases import UNSEEN

pytestmark = pytest.mark.filterwarnings("ignore")


def setup(case):
    if case.library:
        pytest.importorskip(case.library)
    dtype = dtype_of(case.name).__name__
    return case.setup(dtype if dtype in case.dtypes else case.dtypes[0])


@pytest.mark.parametrize("case", sampled((*SEEDED, *UNSEEN), 24), ids=lambda case: case.name)
def test_a_seeded_bug_is_not_accepted(case):
    """In one dtype each; the whole budget, since a demotion hides in half of the digits."""
    bug = setup(case)
    report = js.crosscheck(bug.fun, bug.at, args=bug.args, **bug.wrong)
    assert report.verdict in ("DISAGREE", "INCONCLUSIVE", "NOT CHECKED"), str(report)


@pytest.mark.parametrize("case", sampled((*SEEDED, *UNSEEN), 24), ids=lambda case: case.name)
def test_the_right_rule_is_not_accused(case):
    """With the budget of a test."""
    bug = setup(case)
    report = js.crosscheck(bug.right_fun, bug.at, args=bug.args, budget="quick", **bug.right)
    assert report.verdict != "DISAGREE", str(report)
