"""House: what is said twice agrees, what must be said once is, and nothing of one machine is in a tracked file."""

import re
import shlex
import subprocess
import tomllib
from importlib.metadata import version

import pytest

import jaxsoftmax
from helpers.house import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: which files are tracked is unknown")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def lines_of(block: str) -> list[str]:
    fences = re.findall(rf"^```{block}\n(.*?)^```$", README, re.M | re.S)
    return [line for fence in fences for line in fence.splitlines()]


def test_versions_agree():
    """pyproject.toml is the source; the installed metadata, CITATION.cff and CHANGELOG.md follow."""
    assert jaxsoftmax.__version__ == version("jaxsoftmax") == PROJECT["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.M) == [PROJECT["version"]]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d.+?)\]", changelog, re.M)[0] == PROJECT["version"]


def test_extras_copy_no_list():
    """Every distribution is required in one place; extras reach each other through the project's own name."""
    extras = PROJECT["optional-dependencies"]
    everywhere = [("core", r) for r in PROJECT["dependencies"]] + [(e, r) for e, rs in extras.items() for r in rs]
    names = [re.split(r"[\[<>=!~; ]", r)[0].lower() for _, r in everywhere]
    others = [name for name in names if name != "jaxsoftmax"]
    assert len(others) == len(set(others)), "a requirement is listed twice"
    for extra, requirement in everywhere:
        if requirement.startswith("jaxsoftmax"):
            inner = re.fullmatch(r"jaxsoftmax\[([a-z,]+)\]", requirement)
            assert inner is not None
            assert set(inner[1].split(",")) <= set(extras) - {extra}
    assert all(r.startswith("jaxsoftmax[") for r in extras["dev"])


def test_core_dependencies_have_plain_floors():
    """.ci/floors.py turns these, and no copy of them, into the versions of the floor run."""
    assert {r.split(">=")[0] for r in PROJECT["dependencies"]} == {"jax", "jaxlib", "numpy", "optax", "chex"}
    assert all(re.fullmatch(r"[a-z]+>=\d+(\.\d+)*(,!=\d+(\.\d+)*)*", r) for r in PROJECT["dependencies"])


def test_readme_prints_two_commands_of_one_line():
    """Each makes its own virtual environment, installs from the clone with extras that exist, and runs one thing."""
    commands = lines_of("sh")
    assert len(commands) == 2
    runs = []
    for command in commands:
        make, install, run = (shlex.split(part) for part in command.split(" && "))
        assert make == ["python3", "-m", "venv", ".venv"]
        assert install[:3] == [".venv/bin/pip", "install", "-q"]
        asked = re.fullmatch(r"\.\[([a-z,]+)\]", install[-1])
        assert asked is not None
        assert set(asked[1].split(",")) <= set(PROJECT["optional-dependencies"])
        assert run[0].startswith(".venv/bin/")
        runs.append(run)
    assert [" ".join(run) for run in runs] == [".venv/bin/jaxsoftmax verify", ".venv/bin/pytest"]
    assert "jaxsoftmax" in PROJECT["scripts"]


def test_ci_runs_the_readme_lines_and_holds_no_copy():
    assert not [line for line in lines_of("sh") if line in CI]
    for ending in ("jaxsoftmax verify", "pytest"):
        pattern = re.search(r'grep -E "(.+?)" README\.md', CI)
        assert pattern is not None
        pattern = pattern[1].replace("${1}", ending).replace("\\$", "$")
        assert [line for line in README.splitlines() if re.search(pattern, line)] == [
            line for line in lines_of("sh") if line.endswith(ending)
        ]


def test_ci_minutes_add_up_to_less_than_seventy():
    minutes = [int(m) for m in re.findall(r"^stage (\d+) ", CI, re.M)]
    assert len(minutes) == 7
    assert sum(minutes) < 70


@pytest.mark.slow
def test_the_tour_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a fit
    code = "\n".join(lines_of("python"))
    exec(compile(code, "README.md", "exec"), {})


def test_tracked_files_hold_no_machine_path_and_no_index():
    """The patterns are put together here so that this file does not match itself."""
    path = re.compile(r"(^|[^A-Za-z0-9_.])/(" + "|".join(["work", "farm", "root", "tmp"]) + ")/")
    index = re.compile("index" + "-url|extra" + "-index|registry" + " *=", re.I)
    found = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data[:8192] and not name.endswith(".svg"):
            for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
                if path.search(line) or index.search(line):
                    found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not found


def test_tracked_files_hold_no_left_over_notes():
    words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]) + r")\b")
    found = []
    for name in tracked():
        ours = name.startswith(("jaxsoftmax/", "tests/", "benchmarks/")) and name.endswith((".py", ".md"))
        if ours and words.search((ROOT / name).read_text(encoding="utf-8")):
            found.append(name)
    assert not found


def test_package_data_travels():
    """py.typed, the map and the data are inside the package, where the wheel takes everything from."""
    assert {"py.typed", "README.md"} <= {path.name for path in PACKAGE.iterdir()}
    assert {"iris.csv", "digits.npz"} <= {path.name for path in (PACKAGE / "datasets" / "data").iterdir()}
