"""House: every block of docs/gallery.md runs and prints what the page shows, and what it shows is a fault still.

A block leaves two lists behind: `found`, what the library gives, and `right`, what mpmath gives.
"""

import contextlib
import doctest
import importlib.metadata
import io
import re

import jax
import pytest

from helpers.house import ROOT

pytest.importorskip("mpmath")

PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
FAULTS, _, MENDED = PAGE.partition("\n## Mended\n")
_ENTRY = r"^### (.+)\n\n```python\n((?:(?!```).*\n)+)```$"
# Digits beyond float64's own rounding never make a fault; the one float32 number of the page is a factor 21 off.
RELATIVE = 1e-13


def entries(text: str) -> list:
    found = re.findall(_ENTRY, text, re.M)
    assert len(found) == len(re.findall(r"^### ", text, re.M)), "an entry is a heading, a blank line and a block"
    return [pytest.param(title, block, id=re.sub(r"\W+", "-", title).strip("-")) for title, block in found]


def close(a: float, b: float) -> bool:
    """Equal up to rounding; NaN is equal to nothing."""
    return abs(a - b) <= RELATIVE * max(abs(a), abs(b))


def run(title: str, block: str) -> tuple[dict, str]:
    """The names that the block leaves behind, and what doctest says; "" where it prints what the page shows."""
    names: dict = {}
    test = doctest.DocTestParser().get_doctest(block, names, title, "docs/gallery.md", 0)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said = io.StringIO()
    x64 = jax.config.jax_enable_x64
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runner.run(test, out=said.write, clear_globs=False)
    finally:
        jax.config.update("jax_enable_x64", x64)  # the blocks switch it on for their reader
    assert "found" in test.globs and "right" in test.globs, f"{title}: the block did not run\n{said.getvalue()}"
    assert len(test.globs["found"]) == len(test.globs["right"]) > 0
    return test.globs, said.getvalue()


def versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "mpmath"))


@pytest.mark.slow
@pytest.mark.parametrize(("title", "block"), entries(FAULTS))
def test_the_fault_is_there_as_the_page_shows_it(title, block):
    names, said = run(title, block)
    faults = [not close(a, b) for a, b in zip(names["found"], names["right"], strict=True)]
    shown = f"{title}, with {versions()}: found {names['found']}, right {names['right']}"
    if not any(faults):
        pytest.fail(f"the fault is gone: move the entry to the section of mended ones. {shown}")
    if said:
        pytest.fail(f"the fault is there and looks different: show what is found now. {shown}\n{said}")


@pytest.mark.slow
def test_mended_faults_stay_mended():
    for entry in entries(MENDED):
        title, block = entry.values
        names, said = run(title, block)
        assert not said, said
        assert all(close(a, b) for a, b in zip(names["found"], names["right"], strict=True)), f"{title}: it is back"


def test_the_page_is_in_form():
    blocks = [parameter.values[1] for parameter in entries(FAULTS) + entries(MENDED)]
    assert blocks
    for block in blocks:
        assert len(block.splitlines()) <= 12, block
        assert max(map(len, block.splitlines())) <= 120, block


def test_a_fault_that_is_gone_is_said_to_be_gone():
    block = ">>> found, right = [1.0], [1.0]\n>>> print(found)\n[2.0]\n"
    with pytest.raises(pytest.fail.Exception, match="the fault is gone: move the entry"):
        test_the_fault_is_there_as_the_page_shows_it("an entry", block)


def test_a_fault_that_looks_different_is_told_apart():
    block = ">>> found, right = [float('nan')], [1.0]\n>>> print(found)\n[0.0]\n"
    with pytest.raises(pytest.fail.Exception, match="looks different"):
        test_the_fault_is_there_as_the_page_shows_it("an entry", block)
