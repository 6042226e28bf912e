"""Run the notebooks: each script in a fresh kernel and a scratch folder; `--write` renews the .ipynb beside it.

The scripts (jupytext, percent format) are the sources. A cell that raises ends the run with its traceback and status 1.
Needs the extra `notebooks`: pip install "jaxsoftmax[notebooks]".
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = sorted(HERE.glob("[0-9][0-9]_*.py"))


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


def main() -> int:
    """Run the notebooks named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("script", nargs="*", type=Path, help="scripts to run; all by default")
    parser.add_argument("--write", action="store_true", help="write the .ipynb with outputs beside the script")
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
        if options.write:
            nbformat.write(notebook, script.with_suffix(".ipynb"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
