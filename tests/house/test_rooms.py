"""House: rooms a stranger can find, imports that point down only, and evidence that stays independent."""

import ast
import re
from graphlib import TopologicalSorter

import pytest

from helpers.house import PACKAGE, ROOT, imports, is_package, modules, room, tree

# Which rooms of the first level a room may use: the ground floor first. A module at the top is a room of its own.
MAY_USE = {
    "support": set(),
    "plots": {"support"},
    "reporting": {"support"},
    "problem": {"support"},
    "linalg": {"problem", "support"},
    "calculus": {"linalg", "problem", "support"},
    "checker": {"plots", "reporting", "support"},
    "proof": {"plots", "problem", "reporting", "support"},
    "training": {"calculus", "linalg", "plots", "problem", "proof", "reporting", "support"},
    "uncertainty": {"calculus", "linalg", "plots", "problem", "proof", "reporting", "support", "training"},
    "evidence": {"calculus", "checker", "linalg", "plots", "problem", "reporting", "support"},
    "datasets": {"support"},
    "readers": {"datasets", "problem", "support"},
    "estimator": {
        "calculus",
        "linalg",
        "problem",
        "proof",
        "readers",
        "reporting",
        "support",
        "training",
        "uncertainty",
    },
    "certification": {"problem", "proof", "support", "training"},
}
MAY_USE["verification"] = set(MAY_USE) - {"readers"}
MAY_USE["cli"] = set(MAY_USE)
NAMES = [name for name in modules() if name]


def first(name: str) -> str:
    return name.partition(".")[0]


def test_the_rooms_are_those_of_this_house():
    assert {first(name) for name in NAMES} == set(MAY_USE)


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_down(name):
    wrong = [
        i.target for i in imports(name) if i.target and first(i.target) not in {first(name), *MAY_USE[first(name)]}
    ]
    assert not wrong, f"{name} imports {wrong}"


def test_no_room_uses_one_that_uses_it():
    """The rooms of the second level form no circle either, with what is imported for type checkers alone."""
    arrows = {room(name): set() for name in NAMES}
    for name in NAMES:
        arrows[room(name)] |= {room(i.target) for i in imports(name) if i.target} - {room(name)}
    TopologicalSorter(arrows).prepare()


def test_no_module_imports_one_that_imports_it():
    """At any depth of the code, lazily, by `import_module`, or for type checkers alone."""
    TopologicalSorter({name: {i.target for i in imports(name)} - {"", name} for name in NAMES}).prepare()


@pytest.mark.parametrize("where", sorted({room(name) for name in NAMES}))
def test_a_room_has_at_most_twelve_modules(where):
    inside = [name for name in NAMES if room(name) == where and not is_package(name)]
    assert len(inside) <= 12, f"{where}: {len(inside)} modules"


@pytest.mark.parametrize("name", NAMES)
def test_only_the_surfaces_use_the_front_door(name):
    used = [i.name for i in imports(name) if i.target == "" and i.name != "__version__"]
    assert not used or first(name) in ("cli", "verification"), f"{name} imports {used} from the root"


@pytest.mark.parametrize("name", NAMES)
def test_no_module_reaches_into_another(name):
    """No underscore name is imported from, or read off, another module of ours."""
    private = [f"{i.target}.{i.name}" for i in imports(name) if i.name and i.name.startswith("_")]
    private = [found for found in private if found != ".__version__"]
    whole = {i.local for i in imports(name) if i.name is None}
    for node in ast.walk(tree(name)):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=attr) if module in whole:
                if attr.startswith("_") and not attr.startswith("__"):
                    private.append(f"{module}.{attr}")
    assert not private


def test_the_reference_imports_nothing_of_ours():
    """evidence/crosscheck/reference.py derives everything from its own textbook loss."""
    assert imports("evidence.crosscheck.reference") == []


def test_the_high_precision_twin_imports_no_calculus():
    """The 50-digit twin shares no formula with calculus/ or the stable softmax."""
    assert not {
        i.target for i in imports("evidence.crosscheck.high_precision") if first(i.target) in ("calculus", "linalg")
    }


def test_the_checkers_share_nothing_with_what_they_check():
    """Each file of proof/checkers/ but the one that finds the checker of a format imports only its siblings."""
    for name in NAMES:
        if room(name) == "proof.checkers" and name != "proof.checkers.dispatch":
            assert {room(i.target) for i in imports(name)} <= {"proof.checkers"}, name
    assert imports("proof.checkers.check_existence") == []


def reached(name: str) -> set[str]:
    """The modules that a module imports, directly or through others."""
    found, ahead = set(), {name}
    while ahead:
        found |= ahead
        ahead = {i.target for module in ahead for i in imports(module)} - found - {""}
    return found - {name}


def test_derivatives_and_reference_meet_only_in_compare():
    """That is what makes the cross-check independent; above it, only the surfaces see both."""
    meeting = {"calculus.loss.derivatives", "evidence.crosscheck.reference"}
    below = [name for name in NAMES if first(name) not in ("verification", "cli")]
    assert [name for name in below if meeting <= reached(name)] == ["evidence.crosscheck.compare"]


@pytest.mark.parametrize("name", [name for name in NAMES if is_package(name)])
def test_rooms_hold_a_docstring_only(name):
    """One import path a name: rooms re-export nothing, save `js.datasets` and `js.plots`, public as modules."""
    if name not in ("datasets", "plots"):
        assert [type(node) for node in tree(name).body] == [ast.Expr]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_one_purpose_and_a_test(name):
    """At most 16 KB (44 for the checker that is one file on purpose); its first line says what it is for.

    Its test has its name in the same place of tests/, or its docstring names the test that guards it.
    """
    path = modules()[name]
    assert path.stat().st_size <= (45056 if name == "proof.checkers.check_existence" else 16384), (
        "is it still one room?"
    )
    doc = ast.get_docstring(tree(name)) or ""
    assert len(doc.partition("\n")[0]) > 20, "the docstring's first line must say what the module is for"
    if not is_package(name):
        namesake = ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
        named = [ROOT / found for found in re.findall(r"`(tests/[\w/]+\.py)`", doc)]
        assert namesake.is_file() or named, f"no {namesake.relative_to(ROOT)}, and the docstring names no test"
        assert all(found.is_file() for found in named), f"the docstring names a test that is not there: {named}"
