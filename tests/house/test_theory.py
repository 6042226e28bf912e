"""House: every tag that a reader can meet leads to a statement with a proof or a source in docs/theory.md."""

import ast
import re

import pytest

import jaxsoftmax as js
from helpers.house import PACKAGE, ROOT, anchor, modules, tags, tree
from jaxsoftmax.reporting.statements import STATEMENTS

THEORY = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
_TAG = r"S\d+|7\.\d+"
HEADINGS = dict(re.findall(rf"^### ((?:{_TAG}))\. (.+)$", THEORY, re.M))
BODIES = dict(re.findall(rf"^### ({_TAG})\. .+\n((?:(?!##).*\n)*)", THEORY, re.M))
PARTS = {  # S7a -> its text, up to the next part or the end of the statement
    part: text
    for body in BODIES.values()
    for part, text in re.findall(r"^\*\*(S\d+[a-e])\.\*\*((?:(?!^\*\*S\d).*\n)*)", body, re.M)
}
TABLE = {
    tag: (phrase, link) for tag, phrase, link in re.findall(r"^\| (\S+) \| (.+) \| \[.+\]\(#(.+)\) \|$", THEORY, re.M)
}


def string_literals(name: str) -> str:
    nodes = ast.walk(tree(name))
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_every_statement_is_there_in_order():
    assert list(HEADINGS) == [f"S{n}" for n in range(1, 24)] + [f"7.{n}" for n in range(1, 11)]


def test_every_tag_in_a_string_of_the_package_is_explained():
    for name in modules():
        missing = tags(string_literals(name)) - {*HEADINGS, *PARTS}
        assert not missing, f"jaxsoftmax.{name} cites {sorted(missing)}: not in docs/theory.md"


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted(PACKAGE.rglob("*.md")),
        *sorted((ROOT / "notebooks").glob("*.py")),
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_every_tag_in_a_page_is_explained(path):
    missing = tags(path.read_text(encoding="utf-8")) - {*HEADINGS, *PARTS}
    assert not missing, f"{sorted(missing)}: not in docs/theory.md"


def test_the_table_has_every_statement_and_part_with_a_short_phrase_and_its_link():
    assert set(TABLE) == {*HEADINGS, *PARTS}
    for tag, (phrase, link) in TABLE.items():
        assert len(phrase.split()) <= 8, phrase
        whole = re.sub("[a-e]$", "", tag)
        assert link == anchor(f"{whole}. {HEADINGS[whole]}"), tag


def test_every_statement_and_part_has_a_proof_or_a_source_and_its_public_functions():
    whole = {tag: text for tag, text in BODIES.items() if not any(part[:-1] == tag for part in PARTS)}
    for tag, text in {**whole, **PARTS}.items():
        assert re.search(r"\*\*(Proof|Source)\.?\*\*", text), f"{tag} has no proof and no source"
        assert "\nIn the package: " in text, f"{tag} does not say which functions rest on it"


def test_the_functions_named_are_public():
    names = set(re.findall(r"`js\.(\w+)", THEORY))
    assert names
    assert names <= set(js.__all__), sorted(names - set(js.__all__))


def test_the_papers_cited_are_listed():
    text, papers = re.sub(r"^    .*$|`[^`]+`", "", THEORY, flags=re.M).split("\n## Papers\n")
    cited = set(re.findall(r"\[([A-Z][A-Za-z]?)\](?!\()", text))
    assert cited == set(re.findall(r"^- \[(\w+)\] ", papers, re.M))


def test_lines_fit_a_screen():
    assert max(map(len, THEORY.splitlines())) <= 120


def test_a_report_says_of_a_tag_what_this_page_says():
    """reporting/statements.py travels with the package, this page does not: the table's phrases, formulas as here."""
    assert list(STATEMENTS) == [tag for tag in TABLE if tag.startswith("S")]
    for tag, (phrase, formula) in STATEMENTS.items():
        assert phrase == TABLE[tag][0], tag
        body = " ".join(PARTS.get(tag, BODIES.get(tag, "")).replace("`", "").split())
        assert formula in body, f"{tag}: {formula}"
