"""Every page and picture of `docs/benchmarks/`, made and written."""

from __future__ import annotations

import pathlib
import re

from benchmarks.pages import checker, data, index, kernels, pictures, proofs, training

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
MODULES = {"index": index, "training": training, "kernels": kernels, "checker": checker, "proofs": proofs, "data": data}


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    made = {f"{name}.md": module.page() for name, module in MODULES.items()}
    return {name: re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n" for name, text in made.items()}


def write() -> None:
    """Write the pages and their pictures."""
    (FOLDER / "pictures").mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)
    for name in pictures.PICTURES:
        print(pictures.save(name, FOLDER / "pictures" / f"{name}.svg"))
