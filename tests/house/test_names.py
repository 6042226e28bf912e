"""House: every public name resolves, is documented by an example, and has one import path."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import jaxsoftmax
from helpers.house import modules, tree

TABLE = jaxsoftmax._MODULE_OF
# The same names on purpose: they are what is compared.
TWINS = {"evidence.crosscheck.reference", "evidence.crosscheck.high_precision"}


@pytest.mark.parametrize("name", [*TABLE, *jaxsoftmax._MODULES, "__version__"])
def test_public_name_resolves(name):
    assert getattr(jaxsoftmax, name) is not None
    assert name in dir(jaxsoftmax)


@pytest.mark.parametrize("name", TABLE)
def test_public_name_is_documented_by_an_example(name):
    doc = getattr(jaxsoftmax, name).__doc__  # of its own: a class does not inherit it
    assert doc, f"{name} has no docstring of its own"
    assert ">>> " in doc, f"{name}: the docstring has no example that runs"


@pytest.mark.parametrize("name", TABLE)
def test_public_name_has_one_home(name):
    """Defined in the module of the table, and by that name in no other one."""
    assert getattr(jaxsoftmax, name).__module__ == f"jaxsoftmax.{TABLE[name]}"
    homes = set()
    for module in modules():
        for node in tree(module).body if module else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                homes.add(module)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    homes.add(module)
    assert homes - TWINS == {TABLE[name]}


@pytest.mark.parametrize("name", [name for name in modules() if name not in ("", "datasets", "plots")])
def test_dunder_all_of_a_module_names_what_it_defines(name):
    module = import_module(f"jaxsoftmax.{name}")
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__ == module.__name__


def test_all_is_sorted_and_complete():
    assert jaxsoftmax.__all__ == sorted({*TABLE, *jaxsoftmax._MODULES, "__version__"})
    assert dir(jaxsoftmax) == jaxsoftmax.__all__


def test_type_checkers_see_the_same_table():
    """The imports under TYPE_CHECKING and the table of the front door are equal."""
    block = next(node for node in tree("").body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "re-exports are written `import x as x`"
                seen[alias.name] = node.module or ""
    assert seen == {**TABLE, **dict.fromkeys(jaxsoftmax._MODULES, "")}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sofmax'"):
        jaxsoftmax.sofmax  # noqa: B018


def test_sub_modules_do_not_shadow_public_names():
    """Importing a module binds its name in the package: no public function may have the name of a flat module."""
    flat = {name for name in modules() if name and "." not in name}
    assert not flat & set(TABLE)


@pytest.mark.slow
def test_every_public_name_also_resolves_in_a_fresh_process():
    """In alphabetical order and after all modules were imported: no order of imports matters."""
    code = (
        "import importlib, jaxsoftmax\n"
        f"for name in {[name for name in modules() if name]!r}: importlib.import_module('jaxsoftmax.' + name)\n"
        f"for name, module in {TABLE!r}.items():\n"
        "    assert getattr(jaxsoftmax, name).__module__ == 'jaxsoftmax.' + module, name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
