"""The one row: what passes, its ratio, its JSON; the one JSON convention."""

import json
import math

import numpy as np
import pytest

from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.row import Row, compare, not_run, rows_table, yes_or_no

VALUES = [-math.inf, -2.0, -1e-9, 0.0, 1e-9, 0.5, 2.0, math.inf, math.nan]


@pytest.mark.parametrize("relation", ["<=", ">=", "="])
@pytest.mark.parametrize("bound", VALUES)
@pytest.mark.parametrize("allowance", [0.0, 1e-9, 1.0])
def test_the_ratio_is_at_most_1_exactly_where_the_row_passes(relation, bound, allowance):
    for measured in VALUES:
        row = compare("S5", "x", "", measured, relation, bound, allowance)
        assert row.passed is (row.ratio <= 1), row
        assert row.ratio >= 0


def test_the_ratio_is_the_share_that_was_used():
    assert compare("", "x", "", 0.75, "<=", 1.0, 0.5).ratio == 0.5
    assert compare("", "x", "", -0.5, ">=", 0.0, 1.0).ratio == 0.5
    assert compare("", "x", "", 4.0, ">=", 1.0, 0.0).ratio == 0.25
    assert compare("", "x", "", 1.5, "=", 1.0, 2.0).ratio == 0.25


def test_a_row_is_json_in_one_convention():
    row = Row(statement="S2", quantity="gradient", route="50 digits", measured=np.inf, ratio=math.nan, passed=False)
    out = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert (out["measured"], out["ratio"], out["bound"], out["verdict"]) == ("inf", "nan", None, "DISAGREE")
    assert json_ready({"a": (np.float32(-np.inf), np.bool_(True)), "b": row})["b"] == row.to_dict()


def test_what_did_not_pass_is_explained_below_its_row():
    worst = {"path": "['W'][3]", "ours": 1.0, "theirs": 2.0}
    wrong = Row(statement="S2", quantity="gradient", passed=False, worst=worst, note="worst of 4 comparisons")
    lines = rows_table([wrong, not_run("S17", "pace", "", "no minimiser"), yes_or_no("S9", "checker", "", True)]).rows
    assert [line.cells[-1] for line in lines] == ["FAIL", "open", "pass"]
    assert [line.tone for line in lines] == ["bad", "doubt", ""]
    assert lines[0].note == "worst of 4 comparisons; ['W'][3]: 1 against 2"
    assert lines[1].note == "no minimiser" and lines[2].note == ""
