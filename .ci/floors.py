"""Print the core dependencies of pyproject.toml at their floors (`name==version`), as a pip constraints file."""

import re
import tomllib
from pathlib import Path


def floors(dependencies: list[str]) -> list[str]:
    """Turn each `name>=version` into `name==version`; left-out versions (`!=`) are dropped, all else is an error."""
    pins = []
    for requirement in dependencies:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9][0-9.]*)(?:\s*,\s*!=\s*[0-9.]+)*", requirement)
        if match is None:
            raise SystemExit(f"pyproject.toml: {requirement!r} has no plain floor; write name>=version.")
        pins.append(f"{match[1]}=={match[2]}")
    return pins


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(*floors(project["dependencies"]), sep="\n")
