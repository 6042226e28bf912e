"""House: imports point down only, and the evidence stays independent of what it checks."""

import ast
from graphlib import TopologicalSorter

import pytest

from helpers.house import imports, is_package, modules, tree

GROUND = {"problem", "regularizers"}  # and the flat modules with an underscore, which are nobody's public face
MAY_IMPORT = {
    "ground": {"ground"},
    "calculus": {"ground", "calculus"},
    "checker": {"ground", "checker"},
    "evidence": {"ground", "calculus", "checker", "evidence"},
    "proof": {"ground", "calculus", "proof"},
    "training": {"ground", "calculus", "proof", "training"},
    "surfaces": {"ground", "calculus", "checker", "evidence", "proof", "training", "surfaces"},
}


def layer(name: str) -> str:
    if name in GROUND or name.startswith("_"):
        return "ground"
    first, *rest = name.split(".")
    return first if rest or is_package(name) else "surfaces"


NAMES = [name for name in modules() if name]


def test_every_module_belongs_to_a_layer():
    assert {layer(name) for name in NAMES} <= set(MAY_IMPORT)
    assert set(modules()) >= GROUND


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_down(name):
    wrong = [i.target for i in imports(name) if i.target and layer(i.target) not in MAY_IMPORT[layer(name)]]
    assert not wrong, f"{name} ({layer(name)}) imports {wrong}"


@pytest.mark.parametrize("name", NAMES)
def test_only_surfaces_import_the_front_door(name):
    through_the_root = [i.name for i in imports(name) if i.target == "" and i.name != "__version__"]
    assert layer(name) == "surfaces" or not through_the_root, f"{name} imports {through_the_root} from the root"


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


def test_imports_have_no_cycle():
    """What is imported for type checkers alone does not count; what a function imports when it runs does."""
    TopologicalSorter({name: {i.target for i in imports(name, typing=False)} - {"", name} for name in NAMES}).prepare()


def test_the_reference_imports_nothing_of_ours():
    """DESIGN: evidence/crosscheck/reference.py derives everything from its own textbook loss."""
    assert imports("evidence.reference") == []


def test_the_high_precision_twin_imports_no_calculus():
    """DESIGN: the 50-digit twin shares no formula with calculus/ or the numerics."""
    seen = {i.target for i in imports("evidence.highprecision")}
    assert not {t for t in seen if layer(t) == "calculus" or t in ("_numerics", "_products")}


def reached(name: str) -> set[str]:
    """The modules that a module imports, directly or through others."""
    found, ahead = set(), {name}
    while ahead:
        found |= ahead
        ahead = {i.target for module in ahead for i in imports(module)} - found - {""}
    return found - {name}


def test_derivatives_and_reference_meet_only_in_crosscheck():
    """DESIGN: that is what makes the check independent; above it, only the surfaces see both."""
    meeting = {"calculus.derivatives", "evidence.reference"}
    both = [name for name in NAMES if layer(name) != "surfaces" and meeting <= reached(name)]
    assert both == ["evidence.crosscheck"]


@pytest.mark.parametrize("name", [name for name in NAMES if is_package(name)])
def test_sub_packages_hold_a_docstring_only(name):
    """One import path a name: sub-packages re-export nothing."""
    assert [type(node) for node in tree(name).body] == [ast.Expr]


# One file on purpose: whoever does not trust the library reads it alone, and runs it on a machine without the rest.
LARGER = {"proof.check_existence": 32768, "proof.check_minimiser": 17408}


@pytest.mark.parametrize("name", NAMES)
def test_module_is_one_room(name):
    """A module is at most 16 KB and its first line says its one purpose."""
    size = modules()[name].stat().st_size
    assert size <= LARGER.get(name, 16384), f"{name}: {size} bytes; is it still one room?"
    first_line = (ast.get_docstring(tree(name)) or "").partition("\n")[0]
    assert len(first_line) > 20, f"{name}: the docstring's first line must say what the module is for"
