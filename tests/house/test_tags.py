"""House: the map (jaxsoftmax/README.md), the code and the tests cite the same statements."""

import re

import pytest

from helpers.house import PACKAGE, ROOT, modules, tags

MAP = (PACKAGE / "README.md").read_text(encoding="utf-8")
BUILT = {  # statement -> (modules, tests), from the rows `| S1 … | what | modules | tests |`
    row[0].split()[0]: (re.findall(r"`([^`]+\.py)`", row[2]), re.findall(r"`([^`]+\.py)`", row[3]))
    for line in MAP.splitlines()
    if re.match(r"\| (S\d|7\.\d)", line)
    for row in [[cell.strip() for cell in line.strip("|").split("|")]]
}
LATER = set().union(*(tags(line) for line in MAP.splitlines() if line.startswith("Not yet built: ")))
ISSUE_2 = {f"S{n}" for n in (*range(1, 9), 16, 17)} | {"S21a", "S21c", "S21d"}


def cited_in(*paths) -> set[str]:
    return set().union(*(tags(path.read_text(encoding="utf-8")) for path in paths))


def test_the_map_has_every_statement_once():
    """S1–S22 and section 7, each either built (with modules and tests) or named as not yet built."""
    assert set(BUILT) >= ISSUE_2
    everything = {re.sub("[a-e]$", "", tag) for tag in {*BUILT, *LATER} if tag.startswith("S")}
    assert everything == {f"S{number}" for number in range(1, 23)}
    assert {tag for tag in {*BUILT, *LATER} if tag.startswith("7")} == {f"7.{number}" for number in range(1, 11)}


def test_every_tag_cited_in_code_is_in_the_map():
    known = {*BUILT, *LATER} | {re.sub("[a-e]$", "", tag) for tag in BUILT}
    for name, path in modules().items():
        for tag in cited_in(path):
            assert tag in known or re.sub("[a-e]$", "", tag) in known, f"jaxsoftmax.{name} cites {tag}: not in the map"


@pytest.mark.parametrize("statement", BUILT)
def test_the_map_points_at_code_and_tests_that_cite_the_statement(statement):
    where, guards = BUILT[statement]
    assert where, "a statement without a module"
    assert guards, "a statement without a test"
    for path in [*(PACKAGE / file for file in where), *(ROOT / "tests" / file for file in guards)]:
        assert path.is_file(), f"the map names {path.relative_to(ROOT)}, which is not there"
        assert statement in cited_in(path), f"{path.relative_to(ROOT)} does not cite {statement}"


def test_every_module_is_in_the_map():
    missing = [path.relative_to(PACKAGE) for name, path in modules().items() if name and f"`{path.name}`" not in MAP]
    missing = [p for p in missing if p.name != "__init__.py" and f"`{p.as_posix()}`" not in MAP]
    assert not missing
