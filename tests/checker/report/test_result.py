"""result.py: the verdict, the error that carries the report, and what the text shows."""

import json
import pickle

import numpy as np
import pytest

from jaxsoftmax.checker.report.entries import Entry, UlpHistogram, bar_lines
from jaxsoftmax.checker.report.finding import compare, worst_of
from jaxsoftmax.checker.report.result import CrossCheckReport, DerivativeError, Diagnosis


def finding(ours=1.0, theirs=1.0, tolerance=0.1, **options):
    options.setdefault("path", "['W']")
    return compare("", "gradient", "reverse autodiff (float64)", np.float32(ours), theirs, tolerance, **options)


def full(**changes):
    """A report with every part, and with numbers that JSON has no token for."""
    ours = np.float32([1.0, 2.0, 3.0, np.nan])
    parts = {
        "diagnoses": (Diagnosis("constant factor", "looks like the gradient is half of it (factor 0.5 ± 1e-7)"),),
        "notes": ("the primal could not be stripped: finite differences instead",),
        "worst_entries": (Entry("gradient", "['W'][3]", np.nan, 1.0, np.nan, 1e-7, np.inf),),
        "ulp_histogram": UlpHistogram.of(ours, [1.0, 2.0, 3.5, 1.0]),
        "resolution": 3e-6,
        "guarantee": "an error in a tenth of the entries escapes with probability at most 1e-9",
        "seconds": 0.25,
        "evaluations": 14,
    }
    return CrossCheckReport.from_findings([finding(ours, [1.0, 2.0, 3.5, 1.0])], **{**parts, **changes})


def test_a_diagnosis_reads_as_its_name_and_its_sentence():
    diagnosis = Diagnosis("one leaf", "only ['b'] is wrong: the rest agrees")
    assert str(diagnosis) == "one leaf: only ['b'] is wrong: the rest agrees"
    report = CrossCheckReport.from_findings([finding()], diagnoses=(diagnosis,))
    assert report.to_dict()["diagnoses"] == ["one leaf: only ['b'] is wrong: the rest agrees"]


def test_compare_names_the_entry_by_path_and_index():
    found = finding(np.float32([[1, 2], [3, 4]]), [[1, 2], [5, 4]], 0.5)
    assert found.check.worst == {"path": "['W'][1, 0]", "ours": 3.0, "theirs": 5.0}
    assert finding(1.0, 2.0).check.worst == {"path": "['W']", "ours": 1.0, "theirs": 2.0}
    by_label = finding(np.ones(2), [1.0, 2.0], path=None, label=lambda index: {"path": f"row {index[0]}"})
    assert by_label.check.worst == {"path": "row 1", "ours": 1.0, "theirs": 2.0}
    empty = finding(np.zeros((0, 2)), np.zeros((0, 2)))
    assert empty.check.passed and empty.vacuous
    assert empty.check.worst == {"path": "['W']", "ours": None, "theirs": None}


@pytest.mark.parametrize(("own", "vacuous"), [(1e-12, True), (100.0, False)])
def test_zero_to_its_own_rounding_is_seen_only_where_that_is_small(own, vacuous):
    """A second derivative that is 0 ± 100 could be 3: nothing was checked."""
    found = compare("", "hvp", "", np.float64(0.0), 0.0, 0.0, own_tolerance=own)
    assert (found.vacuous, found.blind) == (vacuous, not vacuous)


def test_a_problems_entries_keep_their_three_keys():
    found = finding(path=None, label=lambda index: {"class": 1})
    assert list(found.check.worst) == ["class", "feature", "sample", "ours", "theirs"]


def test_the_resolution_is_the_largest_tolerance_in_units_of_the_largest_entry():
    """An error of 0.5 in the second entry, an eighth of the largest value, passes: that is what the number says."""
    theirs, tolerance = np.array([4.0, 0.0]), np.array([0.1, 0.5])
    found = finding(theirs, theirs, tolerance)
    assert found.resolution == 0.125
    assert finding(np.add(theirs, [0.0, 0.5]), theirs, tolerance).check.passed
    assert not finding(np.add(theirs, [0.0, 0.5625]), theirs, tolerance).check.passed
    assert finding(np.zeros(2), np.zeros(2)).resolution == np.inf
    coarse = finding(1.0, 1.0, 0.25)
    zero = finding(0.0, 0.0, 0.0)
    assert worst_of([found, coarse, zero]).resolution == 0.25


@pytest.mark.parametrize(
    ("findings", "verdict", "each"),
    [
        ([finding()], "AGREE", ["AGREE"]),
        ([finding(), finding(1.0, 2.0)], "DISAGREE", ["AGREE", "DISAGREE"]),
        ([finding(tolerance=0.75)], "ROUNDING", ["ROUNDING"]),  # twice 1 is off by 1 / 0.75 < 2 tolerances: |1|/tol < 2
        ([finding(tolerance=0.75), finding(1.0, 2.0)], "DISAGREE", ["ROUNDING", "DISAGREE"]),
        ([finding(0.0, 0.0, 1.0, own_tolerance=0.0)], "AGREE", ["AGREE"]),  # nothing to double
        ([finding(np.nan, np.nan)], "DISAGREE", ["DISAGREE"]),
        ([], "NOT CHECKED", []),
    ],
)
def test_the_verdict_and_that_of_each_comparison(findings, verdict, each):
    report = CrossCheckReport.from_findings(findings)
    assert report.verdict == verdict
    assert [s.verdict for s in report.statements] == each
    assert [s.name for s in report.diagnoses] == ["resolution"] * ("ROUNDING" in each)


def test_given_diagnoses_come_before_the_blind_comparisons():
    report = CrossCheckReport.from_findings(
        [finding(tolerance=0.75)], diagnoses=(Diagnosis("transpose", "looks like it"),)
    )
    assert [s.name for s in report.diagnoses] == ["transpose", "resolution"]


@pytest.mark.parametrize(
    ("verdict", "allow", "raises"),
    [
        ("AGREE", (), False),
        ("ROUNDING", (), True),
        ("ROUNDING", ("ROUNDING",), False),
        ("INCONCLUSIVE", ("ROUNDING", "NOT CHECKED"), True),
        ("DISAGREE", ("ROUNDING", "NOT CHECKED", "INCONCLUSIVE"), True),
    ],
)
def test_raise_unless_agree_raises_an_assertion_with_the_report(verdict, allow, raises):
    report = CrossCheckReport(verdict, (finding().check,))
    if not raises:
        assert report.raise_unless_agree(allow) is None
        return
    with pytest.raises(AssertionError) as caught:
        report.raise_unless_agree(allow)
    assert isinstance(caught.value, DerivativeError)
    assert str(caught.value) == repr(report)
    assert caught.value.report is report


@pytest.mark.parametrize("allow", ["DISAGREE", ("AGREE",), "rounding"])
def test_what_may_be_allowed_is_named(allow):
    with pytest.raises(
        ValueError, match=r"allow: got .*; give verdicts among 'ROUNDING', 'NOT CHECKED', 'INCONCLUSIVE'"
    ):
        CrossCheckReport("ROUNDING", ()).raise_unless_agree(allow)


def test_the_error_and_the_report_travel_between_processes():
    """As pytest-xdist and multiprocessing send them."""
    error = pickle.loads(pickle.dumps(DerivativeError(full(worst_entries=()))))
    assert error.report.to_dict() == full(worst_entries=()).to_dict()
    assert [s.name for s in error.report.diagnoses] == ["constant factor"]


def test_the_document_is_json_with_the_old_keys_first():
    document = json.loads(json.dumps(full().to_dict(), allow_nan=False))
    keys = [
        "verdict",
        "statements",
        "diagnoses",
        "notes",
        "worst_entries",
        "ulp_histogram",
        "resolution",
        "resolution_as_run",
        "guarantee",
    ]
    assert list(document) == [*keys, "seconds", "evaluations", "function", "called_from"]
    assert document["worst_entries"][0]["ours"] == "nan"
    assert document["ulp_histogram"]["edges"][0] == "-inf"
    assert sum(document["ulp_histogram"]["counts"]) == 4
    assert document["statements"][0]["verdict"] == "DISAGREE"
    assert CrossCheckReport("AGREE", ()).to_dict()["ulp_histogram"] is None


def test_the_text_shows_every_part():
    text = repr(full())
    for words in (
        "Cross-check: DISAGREE (0 of 1 comparisons within tolerance)",
        "reverse autodiff (float64)",
        "['W'][3]: nan against 1",
        "constant factor: looks like the gradient is half",
        "worst entries",
        "error in ulps of float32, 4 entries",
        "█",
        "resolution an error below 3.0e-06 of an array's largest entry could have passed",
        "guarantee an error in a tenth",
        "note the primal could not be stripped",
        "cost 14 evaluations, 0.25 s",
    ):
        assert words in " ".join(text.split())
    assert "\n\n\n" not in text


def test_a_report_stays_within_80_columns_and_keeps_the_index():
    path = "".join(f"['a rather long name of layer {i}']" for i in range(9))
    entry = Entry("gradient", f"{path}[123456, 7]", -1.23456789e-100, 1.2345e300, 1.2e300, 1e-300, 1e12)
    found = finding(np.zeros((2, 3)), np.ones((2, 3)) * 1e300, 1e-300, path=path)
    diagnosis = Diagnosis("one leaf", "only " + path)
    report = CrossCheckReport.from_findings([found, finding()], worst_entries=(entry,), diagnoses=(diagnosis,))
    assert max(map(len, repr(report).splitlines())) <= 80
    shown = " ".join(repr(report).split())
    assert f"gradient {path}[123456, 7] -1.23456789e-100" in shown
    assert f"{path}[0, 0]: 0 against 1e+300" in shown


def test_one_entry_of_a_million_is_seen_in_the_picture():
    ours = np.ones(10**6, np.float32)
    theirs = np.ones(10**6)
    theirs[77] = 2.0
    lines = list(bar_lines(UlpHistogram.of(ours, theirs)))
    assert lines[0].endswith("█ 999999")
    assert lines[-1].split() == ["≤", "2^22", "▏", "1"]
    assert max(map(len, lines)) <= 80


def test_a_notebook_shows_the_same_without_rich():
    html = full(diagnoses=(Diagnosis("one leaf", "only <b>['b']</b> is wrong"),))._repr_html_()
    assert "&lt;b&gt;[" in html  # text, and not markup
    for words in ("Cross-check: DISAGREE", "color:#c00", "worst entries", "≤ 2^21", "guarantee", "14 evaluations"):
        assert words in html
