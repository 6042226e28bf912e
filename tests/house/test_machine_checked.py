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
        assert check.is_theorem(source, theorem), f"{name} is not stated once, as a theorem"
    assert row.status == "proved" or re.match("partial: .+|not begun", row.status), row.status
    assert bool(row.theorems) == (row.status != "not begun")


@pytest.mark.parametrize(
    "gap",
    ["Proof. Admitted.", "Axiom magic : False.", "Parameter x : nat.", "admit.", "Variable magic : False.", "Abort."],
)
def test_a_gap_in_a_proof_is_found_and_words_in_comments_are_none(gap):
    assert check.gaps(f"Lemma easy : True. (* a (* nested *) remark *) {gap}")
    assert not check.gaps(f"Lemma easy : True. Proof. exact I. Qed. (* a (* nested *) {gap} *)")


def test_a_variable_of_a_section_is_no_gap():
    assert not check.gaps("Section S. Variable x : nat. Hypothesis h : x = 0. End S.")
    assert check.gaps("Section S. End S. Hypothesis h : 0 = 1.") == ["Hypothesis"]
    assert check.gaps("Module M. Variable h : 0 = 1. End M.") == ["Variable"]


@pytest.mark.parametrize(
    "source",
    [
        "(* Theorem t : False. *) Definition t := I.",
        "Theorem t : False. Definition t := I.",
        "Theorem t' : True.",
        "Definition t := I.",
        "Theorem t : True. Module M. Theorem t : False. End M.",
    ],
)
def test_a_name_that_is_no_theorem_or_means_more_than_one_thing_is_none(source):
    assert not check.is_theorem(source, "t")
    assert check.is_theorem("(* t *) Theorem t (n : nat) : n = n. Proof. now apply t. Qed.", "t")


def test_what_coq_reads_as_each_theorem_is_committed():
    text = (PROOFS / "statements.txt").read_text(encoding="utf-8")
    named = set(re.findall(r"^([A-Z]\w*\.[\w']+)$", text, re.M))
    short = {name.partition(".")[2] for row in ROWS for name in row.theorems}
    assert {name.partition(".")[2] for name in named} | set(re.findall(r"^([\w']+)$", text, re.M)) >= short


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
