"""Every line of the verdict's table, and what several comparisons say together."""

import itertools

import pytest

from jaxsoftmax.checker.report.verdict import TABLE, VERDICTS, Says, gravest, together, verdict_on

A, R, U, S = Says.AGREES, Says.REJECTS, Says.SUSPECTS, Says.SILENT

LINES = {
    "all agree": (A, A, "AGREE", "AGREE"),
    "the program agrees, values were not asked": (A, S, "AGREE", "INCONCLUSIVE"),
    "values reject what the program says": (A, R, "INCONCLUSIVE", "INCONCLUSIVE"),
    "the program is finer than values, unless they contradict it": (R, A, "DISAGREE", "INCONCLUSIVE"),
    "the program rejects": (R, S, "DISAGREE", "INCONCLUSIVE"),
    "both reject": (R, R, "DISAGREE", "INCONCLUSIVE"),
    "no bound, and values agree": (U, A, "INCONCLUSIVE", "INCONCLUSIVE"),
    "no bound, and no values": (U, S, "NOT CHECKED", "NOT CHECKED"),
    "no bound, and values reject": (U, R, "DISAGREE", "DISAGREE"),
    "values alone agree": (S, A, "AGREE", "AGREE"),
    "nobody was heard": (S, S, "NOT CHECKED", "NOT CHECKED"),
    "values alone reject": (S, R, "DISAGREE", "DISAGREE"),
}


@pytest.mark.parametrize(("program", "values", "plain", "contradicted"), LINES.values(), ids=LINES)
def test_each_line_of_the_table(program, values, plain, contradicted):
    assert verdict_on([program], [values]) == plain
    assert verdict_on([program], [values], contradicted=True) == contradicted


def test_the_table_has_these_lines_and_no_others():
    assert set(TABLE) == {line[:2] for line in LINES.values()}
    # A family of values has estimates and never suspects without one.
    assert set(TABLE) == {(p, v) for p, v in itertools.product(Says, Says) if v is not U}


def test_no_verdict_of_agreement_without_one_who_agrees():
    """What nobody confirmed is not agreed, and what somebody rejected neither."""
    for (program, values), verdicts in TABLE.items():
        if "AGREE" in verdicts:
            assert A in (program, values)
            assert R not in (program, values)


def test_what_was_left_unchecked_is_not_covered_by_what_was_checked():
    assert together([A, A]) is A
    assert together([A, S]) is S
    assert together([S, U, A]) is U
    assert together([U, R]) is R
    assert together([]) is S


def test_the_gravest_of_several_rules_is_the_verdict():
    assert [gravest([name, "AGREE"]) for name in VERDICTS] == list(VERDICTS)
    assert gravest(["INCONCLUSIVE", "DISAGREE", "ROUNDING"]) == "DISAGREE"
    assert gravest([]) == "AGREE"
