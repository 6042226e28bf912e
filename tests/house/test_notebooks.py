"""Notebooks: every script runs and its claims hold; the .ipynb beside it has the same cells, executed, and no more."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.house import ROOT

FOLDER = ROOT / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
NAMES = [script.stem for script in SCRIPTS]


def stored(script: Path) -> list[dict]:
    """The cells of the .ipynb beside a script."""
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]


def execute(*arguments: Path | str) -> subprocess.CompletedProcess:
    for needed in ("jupytext", "nbclient", "ipykernel", "matplotlib", "sklearn"):
        pytest.importorskip(needed)
    command = [sys.executable, str(FOLDER / "execute.py"), *map(str, arguments)]
    reader = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=reader)


def test_there_are_notebooks_and_each_is_named_in_their_readme():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(NAMES) >= 3
    assert all(f"({name}.ipynb)" in text for name in NAMES)


@pytest.mark.peers
@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_script_and_notebook_hold_the_same_cells(script):
    jupytext = pytest.importorskip("jupytext")
    source = [(cell.cell_type, cell.source) for cell in jupytext.read(script).cells]
    assert source == [(cell["cell_type"], "".join(cell["source"])) for cell in stored(script)]


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_notebook_was_executed_from_top_to_bottom(script):
    """Counts 1, 2, 3, …; no error and nothing on stderr (warnings); no path of a machine; the claims printed last."""
    code = [cell for cell in stored(script) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    words = "".join("".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in outputs)
    assert not re.search(r"/(home|tmp|usr|Users|root)/|site-packages|[A-Z]:\\", words)
    assert "assert not failed" in "".join(code[-1]["source"])
    assert re.search(r"All \d+ claims hold\.", "".join(code[-1]["outputs"][-1]["text"]))


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_notebook_begins_with_what_the_reader_will_see(script):
    """The first cell: a title, and then a paragraph in plain words, without formulas or tags."""
    title, paragraph = "".join(stored(script)[0]["source"]).split("\n\n")[:2]
    assert title.startswith("# ")
    assert "You will see" in paragraph
    assert not re.search(r"\$|\bS\d+\b", paragraph), paragraph


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_every_picture_is_described_in_words(script):
    """For those who do not see it: Jupyter and nbconvert read `alt` from the output's metadata."""
    pictures = [
        output for cell in stored(script) for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert pictures
    for picture in pictures:
        assert len(picture["metadata"].get("image/png", {}).get("alt", "")) > 60


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_notebook_is_small(script):
    assert script.with_suffix(".ipynb").stat().st_size < 400 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_script_runs_its_claims_hold_and_it_prints_the_words_that_are_stored(script):
    """The numbers of a stored notebook may be another machine's; its words are those of this version."""
    libraries = re.findall(r"\b(sklearn|statsmodels|optimistix|jaxopt|flint)\b", script.read_text("utf-8"))
    whole = all(map(importlib.util.find_spec, libraries))  # what is not installed is left out of the text
    done = execute(*["--check"] * whole, script)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_a_stored_notebook_that_shows_other_words_fails_the_check(tmp_path):
    """Other numbers and other line breaks pass, another word fails, and says in which cell."""
    script = tmp_path / "00_words.py"
    script.write_text("# %%\nprint('loss 220.66, 1.5e-09 above the', 'minimum')\n", encoding="utf-8")
    assert execute("--write", script).returncode == 0
    for source, code in (
        ("'loss 219.9, -inf above the\\n', 'minimum'", 0),
        ("'loss 220.66, 1e-9 over the minimum'", 1),
    ):
        script.write_text(f"# %%\nprint({source})\n", encoding="utf-8")
        done = execute("--check", script)
        assert (done.returncode, "cell 0" in done.stderr) == (code, bool(code)), done.stderr
    assert "- above" in done.stderr and "+ over" in done.stderr


@pytest.mark.slow
def test_a_false_claim_fails_the_run(tmp_path):
    script = tmp_path / "00_false.py"
    script.write_text("# %%\nassert 1 + 1 == 3, 'arithmetic'\n", encoding="utf-8")
    done = execute(script)
    assert done.returncode == 1
    assert "arithmetic" in done.stderr
    assert not list(tmp_path.glob("*.ipynb"))


def test_the_size_of_a_picture_is_no_word_of_a_cell():
    """Drawn larger, a notebook says the same; what is printed beside the picture counts."""
    place = importlib.util.spec_from_file_location("execute_notebooks", FOLDER / "execute.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    picture = {"data": {"text/plain": "<Figure size 480x320 with 1 Axes>", "image/png": ""}}
    assert module.words({"outputs": [picture, {"text": "loss 220.66"}]}) == ["loss", "#"]
