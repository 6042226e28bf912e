"""What the house tests share: where the tree is, its modules, and the tags that a text cites."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jaxsoftmax"


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, dotted name without the leading `jaxsoftmax.`; the root itself is ''."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def is_package(name: str) -> bool:
    return modules()[name].name == "__init__.py"


class Import(NamedTuple):
    """One import of ours: from which module, which name (None: the module itself), and what it is called locally."""

    target: str
    name: str | None
    local: str


@cache
def imports(name: str, *, typing: bool = True) -> list[Import]:
    """Every import of ours in a module, at any depth of its code, relative ones resolved; also those for types only.

    `import_module` and `__import__` count too: of a text the module that it names; of anything else, every module that
    a text of the file names, with or without the leading `jaxsoftmax.`.
    """
    found, skipped = [], set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.If) and not typing and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "jaxsoftmax":
                    target = alias.name.removeprefix("jaxsoftmax").removeprefix(".")
                    found.append(Import(target, None, alias.asname or alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            if node.level:
                here = name.split(".") if name else []
                base = here[: len(here) - node.level + is_package(name)] + base
            elif base[0] == "jaxsoftmax":
                base = base[1:]
            else:
                continue
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                whole = inner in modules()
                target = inner if whole else ".".join(base)
                found.append(Import(target, None if whole else alias.name, alias.asname or alias.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            named = node.args[:1] if isinstance(node.args[0], ast.Constant) else ast.walk(tree(name))
            texts = {
                n.value.removeprefix("jaxsoftmax.")
                for n in named
                if isinstance(n, ast.Constant)
                and isinstance(n.value, str)
                and n.value  # '' is the root's name here, but names no module in a program
                and n.value.removeprefix("jaxsoftmax.") in modules()
            }
            found += [Import(text, None, text) for text in sorted(texts)]
    return found


def room(name: str) -> str:
    """The folder of a module, dotted; a module at the top is a room of its own."""
    return name if is_package(name) else name.rpartition(".")[0] or name


def anchor(heading: str) -> str:
    """The anchor that GitHub, and the site, give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def tags(text: str) -> set[str]:
    """The statements that a text cites, a part with its whole: S7, S7a, S21(c), S21 a, d, S1–S4, section 7.1–7.3."""
    found = set()
    for first, last in re.findall(r"\bS(\d{1,2})(?:[a-e]?\b|(?=\())(?:\s?[–-]\s?S(\d{1,2})\b)?", text):
        found |= {f"S{number}" for number in range(int(first), int(last or first) + 1)}
    for number, letters in re.findall(r"\bS(\d{1,2})(?:\s?\(|\s(?=[a-e],))?([a-e](?:, [a-e]|,[a-e])*)\b", text):
        found |= {f"S{number}{letter}" for letter in re.findall("[a-e]", letters)}
    for facts in re.findall(r"\b(?:sections?|THEORY) (7\.\d+(?:(?:, | and |[–-])7\.\d+)*)", text):
        for first, last in re.findall(r"7\.(\d+)(?:[–-]7\.(\d+))?", facts):
            found |= {f"7.{number}" for number in range(int(first), int(last or first) + 1)}
    for first, last in re.findall(r"\bsection 7, facts? (\d+)(?:[–-](\d+))?", text):
        found |= {f"7.{number}" for number in range(int(first), int(last or first) + 1)}
    return found
