"""House: the map (jaxsoftmax/README.md), the code and the tests cite the same statements."""

import re

import pytest

from helpers.house import PACKAGE, ROOT, imports, is_package, modules, room, tags

MAP = (PACKAGE / "README.md").read_text(encoding="utf-8")
BUILT = {  # statement -> (modules, tests), from the rows `| S1 … | what | modules | tests |`
    row[0].split()[0]: (re.findall(r"`([^`]+\.py)`", row[2]), re.findall(r"`([^`]+\.py)`", row[3]))
    for line in MAP.splitlines()
    if re.match(r"\| (S\d|7\.\d)", line)
    for row in [[cell.strip() for cell in line.strip("|").split("|")]]
}
LATER = set().union(*(tags(line) for line in MAP.splitlines() if line.startswith("Not yet built: ")))


def cited_in(*paths) -> set[str]:
    return set().union(*(tags(path.read_text(encoding="utf-8")) for path in paths))


def test_the_map_has_every_statement_once():
    """S1–S23 and section 7, each either built (with modules and tests) or named as not yet built."""
    everything = {re.sub("[a-e]$", "", tag) for tag in {*BUILT, *LATER} if tag.startswith("S")}
    assert everything == {f"S{number}" for number in range(1, 24)}
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


ROOMS = re.findall(r"^\| ((?:`[\w/.]+` ?)+)\|", MAP.partition("## Rooms")[2].partition("\n## ")[0], re.M)
FLOORS = [re.findall(r"`([\w/]+?)(?:/|\.py)`", row) for row in ROOMS]  # as the page lists them, the top first


def test_every_room_is_in_the_map():
    listed = {name for floor in FLOORS for name in floor}
    inner = set(re.findall(r"`(\w+)/`", next(line for line in MAP.splitlines() if line.startswith("| `checker/`"))))
    listed |= {f"checker/{name}" for name in inner} - {"checker/checker"}
    there = {room(name).replace(".", "/") for name in modules() if name and not is_package(name)}
    assert listed >= there
    assert all((PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file() for name in listed)


@pytest.mark.parametrize("name", [name for name in modules() if name])
def test_imports_go_down_the_list_of_the_map(name):
    """What the page says of the order of the rooms is so."""
    floor = {top: number for number, names in enumerate(FLOORS) for top in names}
    floor |= {
        inner: floor["checker"] for inner in {room(n).replace(".", "/") for n in modules() if n} if "checker/" in inner
    }
    here = floor.get(room(name).replace(".", "/"))
    if here is not None:
        targets = {room(i.target).replace(".", "/") for i in imports(name) if i.target}
        assert not {target for target in targets if floor[target] < here}


def test_the_calls_of_the_map_go_down_in_at_most_six_rooms():
    """Each room of a walk is there, and the walk follows the order in which the rooms use each other."""
    walks = re.findall(r"^\| `(\w+)\(.*?\| (`.*→.*`) \|$", MAP, re.M)
    assert {name for name, _ in walks} == {"fit", "verify", "decide_existence", "certify", "crosscheck"}
    uses = {}
    for name in modules():
        if name:
            uses.setdefault(room(name), set()).update(room(i.target) for i in imports(name) if i.target)
    for _, line in walks:
        steps = [step.strip().strip("`").replace("/", ".") for step in line.split("→")]
        assert len(steps) <= 6 and set(steps) <= set(uses)
        for number, step in enumerate(steps[1:], 1):
            assert any(step in uses[before] for before in steps[:number]), f"no room before {step} uses it"
            assert not set(steps[:number]) & uses[step], f"{step} uses a room above it"
