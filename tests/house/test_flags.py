"""Flags live in the command line: no text of another room names an option; checkers that run alone have their own."""

import ast
import re

import pytest

from helpers.house import modules, tree


def flags(name):
    """What looks like an option in the string literals of a module, docstrings and f-strings among them."""
    texts = (node.value for node in ast.walk(tree(name)) if isinstance(node, ast.Constant))
    return {found for text in texts if isinstance(text, str) for found in re.findall(r"(?<![\w-])--[a-z][\w-]*", text)}


@pytest.mark.parametrize("name", [name for name in modules() if not name.startswith(("cli", "proof.checkers"))])
def test_only_the_command_line_names_an_option(name):
    assert flags(name) == set()


def test_options_are_seen_where_they_are():
    assert {"--max-steps", "--label-smoothing"} <= flags("cli.messages")
    assert "--labels" in flags("proof.checkers.check_existence")
