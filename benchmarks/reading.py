"""Reading a CSV file of some 200 MB (230,000 x 48 numbers, a label): processor seconds, peak memory, beside pandas.

Each runs in a process of its own, so that nobody inherits another's memory.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from benchmarks import harness

ROWS, COLUMNS = 230_000, 48
_MEASURE = """
import json, resource, sys, time
path = sys.argv[1]
{imports}
began = time.process_time()
shape = {call}
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps(dict(shape=shape, cpu_s=time.process_time() - began, peak_GB=used.ru_maxrss / 1e6)))
"""
_READERS = {
    "jaxsoftmax read_table": (
        "from jaxsoftmax.readers.read_table import read_table",
        "list(read_table(path).X.shape)",
    ),
    "pandas read_csv": (
        "import pandas",
        "list(pandas.read_csv(path).iloc[:, :-1].to_numpy().shape)",
    ),
}


def _write(path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    with path.open("w", encoding="ascii") as file:
        file.write(",".join(f"f{k}" for k in range(COLUMNS)) + ",label\n")
        for _ in range(ROWS // 10_000):
            X, y = rng.normal(size=(10_000, COLUMNS)), rng.integers(0, 5, 10_000)
            lines = (",".join(f"{v:.14f}" for v in row) + f",c{c}\n" for row, c in zip(X.tolist(), y, strict=True))
            file.writelines(lines)


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "table.csv"
        _write(path)
        result["file_MB"] = path.stat().st_size / 1e6
        for name, (imports, call) in _READERS.items():
            code = _MEASURE.format(imports=imports, call=call)
            done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
            result[name] = json.loads(done.stdout)
    ours = result["jaxsoftmax read_table"]
    return result | {
        "targets": [
            harness.target("processor seconds to read the table", round(ours["cpu_s"], 2), 16.0),
            harness.target("peak memory, GB", round(ours["peak_GB"], 3), 0.6),
        ]
    }
