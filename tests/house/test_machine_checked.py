"""House: the statements that `verify` calls machine-checked are those that proofs/README.md lists as proved.

`tests/verification/test_run.py` holds the report to the list. What the proofs assume is asked of Coq by
`proofs/check.py` in `.ci/run`; these tests need no Coq.
"""

import importlib.util
import re

import pytest

import jaxsoftmax as js
from helpers.house import ROOT
from jaxsoftmax.verification.machine_checked import MACHINE_CHECKED

PROOFS = ROOT / "proofs"
SPEC = importlib.util.spec_from_file_location("proofs_check", PROOFS / "check.py")
check = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check)
PAGE = (PROOFS / "README.md").read_text(encoding="utf-8")
ROWS = check.statements(PAGE)


def test_the_list_in_the_package_is_that_of_the_page():
    written = (ROOT / "jaxsoftmax" / "verification" / "machine_checked.py").read_text(encoding="utf-8")
    assert written == check.listing(check.proved_tags(ROWS))
    assert MACHINE_CHECKED == tuple(check.proved_tags(ROWS))


def test_the_theory_names_exactly_the_statements_that_are_machine_checked():
    theory = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    sentence = re.search(r"^Machine-checked, .*?\.$", theory.replace("README.md", ""), re.M | re.S)[0]
    assert re.findall(r"S\d+[a-e]?", sentence) == list(MACHINE_CHECKED)


def test_a_statement_with_a_part_missing_is_not_called_machine_checked():
    whole, part = (check.Statement("S2", "", ("A.t",), (), status) for status in ("proved", "partial: half of it"))
    assert check.proved_tags([whole]) == ["S2"]
    assert check.proved_tags([part]) == check.proved_tags([whole, part]) == []


@pytest.mark.parametrize("row", ROWS, ids=[row.tag for row in ROWS])
def test_a_row_names_statements_functions_and_theorems_that_are_there(row):
    theory = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    for tag in re.findall(r"S\d+[a-e]?", row.tag):
        assert re.search(rf"^### {tag}\. |^\*\*{tag}\.\*\*", theory, re.M), f"{tag}: not in docs/theory.md"
    assert row.functions, "a statement without a function"
    for name in row.functions:
        known, path = js.__all__, ROOT / "jaxsoftmax" / name
        assert name.removeprefix("js.") in known if name.startswith("js.") else path.is_file(), name
    for name in row.theorems:
        file, _, theorem = name.partition(".")
        source = (PROOFS / f"{file}.v").read_text(encoding="utf-8")
        assert re.search(rf"^ *(Theorem|Lemma|Corollary) {theorem}\b", source, re.M), f"{name} is not there"
    assert row.status == "proved" or re.match("partial: .+|not begun", row.status), row.status
    assert bool(row.theorems) == (row.status != "not begun")


@pytest.mark.parametrize("gap", ["Proof. Admitted.", "Axiom magic : False.", "Parameter x : nat.", "admit."])
def test_a_gap_in_a_proof_is_found_and_words_in_comments_are_none(gap):
    assert check.gaps(f"Lemma easy : True. (* a (* nested *) remark *) {gap}")
    assert not check.gaps(f"Lemma easy : True. Proof. exact I. Qed. (* a (* nested *) {gap} *)")


def test_no_file_has_a_gap_and_make_compiles_every_file():
    listed = re.findall(r"^(\w+\.v)$", (PROOFS / "_CoqProject").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted(path.name for path in PROOFS.glob("*.v"))
    for name in listed:
        assert not check.gaps((PROOFS / name).read_text(encoding="utf-8")), name


def test_coqs_answer_is_read_as_the_axioms_of_each_theorem():
    answer = "Axioms:\nA.first : forall P : Prop, P\nB.second\n  : nat ->\n    nat\nClosed under the global context\n"
    assert check.assumptions(answer) == [{"A.first", "B.second"}, set()]
    with pytest.raises(ValueError, match="not an answer"):
        check.assumptions(answer + "(something else)\n")


def test_the_page_lists_the_standard_axioms_of_the_reals_and_no_other():
    assert check.allowed_axioms(PAGE) == {
        "ClassicalDedekindReals.sig_forall_dec",
        "ClassicalDedekindReals.sig_not_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }
