"""Print the installed final CPython releases that pyproject.toml admits, one path a line, oldest first."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

# Runs inside each candidate: its version if it is a final release with the GIL that can make virtual environments.
PROBE = """
import ensurepip, sys, sysconfig, venv
usable = sys.version_info.releaselevel == "final" and sys.implementation.name == "cpython"
usable = usable and not sysconfig.get_config_var("Py_GIL_DISABLED")
print(*sys.version_info[:3] if usable else ())
"""


def candidates() -> list[Path]:
    """Interpreters on PATH by their versioned names, and those of pyenv where it is installed."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob("versions/*/bin/python"))
    for folder in os.get_exec_path():
        if Path(folder) != pyenv / "shims":
            found += sorted(p for p in Path(folder).glob("python3*") if re.fullmatch(r"python3(\.\d+)?", p.name))
    return [*found, Path(sys.executable)]


def version_of(python: Path) -> tuple[int, ...]:
    """The version, or () when the interpreter cannot be used."""
    try:
        answer = subprocess.run([python, "-Ic", PROBE], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(int(part) for part in answer.stdout.split()) if answer.returncode == 0 else ()


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floor = tuple(int(part) for part in project["requires-python"].removeprefix(">=").split("."))
    minors: dict[tuple[int, ...], tuple[tuple[int, ...], Path]] = {}
    for python in candidates():
        version = version_of(python)
        if version >= floor and version > minors.get(version[:2], ((), python))[0]:
            minors[version[:2]] = (version, python)
    print(*(str(python) for _, (_, python) in sorted(minors.items())), sep="\n")
