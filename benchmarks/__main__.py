"""The runner: `python -m benchmarks [case ...]`, each case in a process of its own, results in benchmarks/results/.

`python -m benchmarks pages` measures nothing: it writes the pages of docs/benchmarks/ from the results.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import subprocess
import sys

from benchmarks import harness
from benchmarks.pages.write import write


def main() -> int:
    names = ", ".join(harness.CASES)
    folder = "folder of train-images-idx3-ubyte.gz and its labels (or set JAXSOFTMAX_MNIST); else synthetic data"
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"any of {names}; all when none is named; or pages")
    parser.add_argument(
        "--mnist", type=pathlib.Path, default=os.environ.get("JAXSOFTMAX_MNIST"), metavar="DIR", help=folder
    )
    parser.add_argument("--repeats", type=int, default=40, help="rounds of interleaved timings (default 40)")
    parser.add_argument("--out", type=pathlib.Path, default=here / "results", help="folder of the JSON files")
    options = parser.parse_args()
    if options.cases == ["pages"]:
        write()
        return 0
    cases = options.cases or harness.CASES
    for case in cases:
        if case not in harness.CASES:
            parser.error(f"no case {case!r}; cases: {names}")
    if len(cases) > 1:
        # A process a case: no case inherits another's threads, memory or compiled code.
        more = ["--repeats", str(options.repeats), "--out", str(options.out.resolve())]
        more += ["--mnist", str(options.mnist)] if options.mnist else []
        return max([subprocess.run([sys.executable, "-m", "benchmarks", case, *more]).returncode for case in cases])
    about = harness.machine()
    result = importlib.import_module(f"benchmarks.{cases[0]}").run(options)
    harness.show(cases[0], result)
    print(f"  -> {harness.save(cases[0], about, result, options.out)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
