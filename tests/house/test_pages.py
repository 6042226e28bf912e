"""House: the README and docs/ run, print what they show, lead somewhere, and name all that is public."""

import contextlib
import doctest
import io
import os
import re
import warnings
from pathlib import Path

import jax
import pytest

import jaxsoftmax as js
from helpers.house import PACKAGE, ROOT, anchor

README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [page for page in (README, *DOCS) if "```python" in page.read_text("utf-8") and page.name != "gallery.md"]
OTHERS = [*sorted(PACKAGE.rglob("*.md")), *(ROOT / f for f in ("benchmarks/README.md", "notebooks/README.md"))]
FAST = {"docs/guide/bad_input.md"}  # what runs in less than two seconds
_BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.M | re.S)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)\s]+)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.M | re.S)


def run(text: str) -> list[str]:
    """Run the blocks of a page in order; of each that prints something else than the block of text below it, both."""
    names: dict = {"__name__": "page"}
    wrong = []
    for code, shown in _BLOCK.findall(text):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a page may show what is warned of
            exec(compile(code, "page", "exec"), names)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if shown and not doctest.OutputChecker().check_output(shown, said.getvalue(), flags):
            wrong.append(f"shown:\n{shown}\nprinted:\n{said.getvalue()}")
    return wrong


def run_in(text: str, folder: Path) -> list[str]:
    """`run` where a page may write files and switch x64 on, as its reader would."""
    x64, here = jax.config.jax_enable_x64, Path.cwd()
    test = os.environ.pop("PYTEST_CURRENT_TEST", None)  # a reader is in no test, and a report would name it
    try:
        os.chdir(folder)
        return run(text)
    finally:
        os.chdir(here)
        os.environ |= {} if test is None else {"PYTEST_CURRENT_TEST": test}
        jax.config.update("jax_enable_x64", x64)


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=name_of(p), marks=() if name_of(p) in FAST else pytest.mark.slow) for p in PAGES],
)
def test_the_blocks_of_a_page_run_and_print_what_is_shown(page, tmp_path):
    text = page.read_text("utf-8")
    for code, _ in _BLOCK.findall(text):
        for library in re.findall(r"^\s*(?:import|from) (\w+)", code, re.M):
            pytest.importorskip(library)
    assert run_in(text, tmp_path) == []


def test_a_page_that_shows_something_else_is_told():
    page = "```python\nprint(1 + 1)\n```\n\n```text\n{}\n```\n"
    assert run(page.format("2")) == run(page.format("...")) == []
    assert "printed:\n2" in run(page.format("3"))[0]


@pytest.mark.parametrize("page", [README, *DOCS, *OTHERS, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_links_lead_to_files_of_the_repository_and_to_headings(page):
    for link in _LINK.findall(prose(page)):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert target.is_relative_to(ROOT), f"{name_of(page)}: {link}"
        if heading:
            assert heading in {anchor(title) for title in re.findall(r"^#+ (.+)$", prose(target), re.M)}, link


def test_the_readme_is_read_in_two_minutes():
    text = README.read_bytes()
    assert len(text.splitlines()) <= 150
    assert len(text) <= 9_000


def test_the_readme_names_every_notebook():
    named = set(re.findall(r"\(notebooks/(\w+)\.ipynb\)", README.read_text("utf-8")))
    assert named == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_every_public_name_is_on_one_page_of_the_reference():
    pages = "\n".join(page.read_text("utf-8") for page in sorted((ROOT / "docs" / "api").glob("*.md")))
    assert sorted([*re.findall(r"^::: jaxsoftmax\.(\w+)$", pages, re.M), "__version__"]) == js.__all__
