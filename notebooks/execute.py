"""Run the notebooks: each script in a fresh kernel and a scratch folder; `--write` renews the .ipynb beside it.

The scripts (jupytext, percent format) are the sources. A cell that raises ends the run with its traceback and status 1.
`--check` compares what the cells print with the .ipynb: the same words in the same order, whatever the numbers, which
differ between machines (what must hold of them is asserted in the notebook's last cell); a cell with other words ends
with status 1. Needs the extra `notebooks`: pip install "jaxsoftmax[notebooks]".
"""

import argparse
import difflib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = sorted(HERE.glob("[0-9][0-9]_*.py"))
NUMBER = re.compile(r"[-+−]?\b(?:\d[\d.,]*(?:e[-+]?\d+)?|inf\b|nan\b|[A-Za-z]\w*_\d\w*)")


def execute(script: Path):
    """The notebook of a script, run from top to bottom, with outputs and without what differs between machines."""
    import jupytext
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["IPYTHONDIR"] = os.environ["JUPYTER_RUNTIME_DIR"] = scratch
        # Sockets in the scratch folder where the system has them: nothing listens on a port.
        kernel = AsyncKernelManager(
            kernel_name="python3",
            transport="tcp" if os.name == "nt" else "ipc",
            connection_file=os.path.join(scratch, "kernel.json"),
        )
        NotebookClient(
            notebook, km=kernel, timeout=600, record_timing=False, resources={"metadata": {"path": scratch}}
        ).execute()
    notebook.metadata["language_info"] = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
    return notebook


def words(cell) -> list[str]:
    """What a cell printed and showed as text, word by word, a "#" for each number and each numbered name (pixel_0_2).

    How a text is cut into outputs, lines and columns depends on the time and on the numbers' lengths; it is left out.
    """
    texts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        text = "" if "image/png" in data else data.get("text/plain", "")  # of a picture only its size
        texts.append("".join(output.get("text", text)))
    return NUMBER.sub(" # ", "".join(texts)).split()


def changes(new, stored) -> Iterator[str]:
    """The cells of two notebooks whose words differ, each with what was stored and what is printed now."""
    for number, (mine, theirs) in enumerate(zip(new.cells, stored.cells, strict=True)):
        before, after = words(theirs), words(mine)
        if before != after:
            marked = (line for line in difflib.ndiff(before, after) if line[0] in "-+")
            yield f"cell {number}: {' '.join(marked)[:1000]}"


def main() -> int:
    """Run the notebooks named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("script", nargs="*", type=Path, help="scripts to run; all by default")
    parser.add_argument("--write", action="store_true", help="write the .ipynb with outputs beside the script")
    parser.add_argument("--check", action="store_true", help="compare the words printed with those of the .ipynb")
    options = parser.parse_args()
    import nbformat
    from nbclient.exceptions import CellExecutionError

    for script in options.script or SCRIPTS:
        began = time.perf_counter()
        try:
            notebook = execute(script)
        except CellExecutionError as error:
            print(f"{script.name}: a cell failed\n{error}", file=sys.stderr)
            return 1
        print(f"{script.name}: ran in {time.perf_counter() - began:.0f} s")
        other = script.with_suffix(".ipynb")
        if options.check and (found := list(changes(notebook, nbformat.read(other, nbformat.NO_CONVERT)))):
            print(f"{other.name} shows other words (renew it with --write):", *found, sep="\n", file=sys.stderr)
            return 1
        if options.write:
            nbformat.write(notebook, other)
    return 0


if __name__ == "__main__":
    sys.exit(main())
