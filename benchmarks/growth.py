"""How js.fit grows with N, D and C: warm seconds in all, and peak memory beyond the data, a process for each size.

Each process makes random data of its size (`solver.random_problem`), fits once (compilation), then three times; the
median of these is its time. Peak memory is that of the whole process, less what it had after a fit of the same kind on
few samples. The exponent of a power law is fitted by least squares in logarithms over the upper half of the sizes,
where constant costs matter least.

    python -m benchmarks.growth N D C             # one size; prints what it measured as JSON
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

REPEATS = 3
FEW = 200  # samples of the fit before the memory is looked at
SWEEPS = {
    "N": [(N, 20, 5) for N in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)],
    "D": [(20_000, D, 5) for D in (10, 30, 100, 300, 1_000)],
    "C": [(20_000, 20, C) for C in (2, 5, 10, 20, 50, 100, 200)],
}


def _peak_bytes() -> int:
    """The most memory that this process has had; Linux counts it in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(N: int, D: int, C: int) -> dict[str, Any]:
    """One size, in this process: D counts the features, without the intercept."""
    import jax
    import numpy as np

    import jaxsoftmax as js
    from benchmarks.solver import random_problem

    def made(rows: int) -> tuple[np.ndarray, js.Problem]:
        X, y = random_problem(rows, D, C)
        X.flags.writeable = False
        return X, js.Problem.from_labels(X, y, classes=range(C), regularizer=js.L2(1.0))

    js.fit(made(min(N, FEW))[1])  # what JAX and its compiler take is not the samples'
    before = _peak_bytes()
    X, problem = made(N)
    jax.block_until_ready(problem.X)
    held = X.nbytes + problem.X.nbytes
    began = time.perf_counter()
    fit = js.fit(problem)
    cold, warm = time.perf_counter() - began, []
    for _ in range(REPEATS):
        began = time.perf_counter()
        js.fit(problem)
        warm.append(time.perf_counter() - began)
    peak = _peak_bytes()
    return {
        "shape": [N, D, C],
        "seconds": round(statistics.median(warm), 5),
        "cold_s": round(cold, 3),
        "steps": int(fit.steps),
        "method": fit.method,
        "status": fit.status.name,
        "peak_mb": round(peak / 1e6, 1),
        "data_mb": round(held / 1e6, 3),
        "peak_bytes_a_row": round(max(0, peak - before) / N, 1),
    }


def exponent(sizes: list[float], values: list[float]) -> float | None:
    """The slope of log value against log size by least squares over the upper half of the sizes; None without two."""
    pairs = sorted((size, value) for size, value in zip(sizes, values, strict=True) if value > 0)
    pairs = [(math.log(size), math.log(value)) for size, value in pairs[len(pairs) // 2 :]]
    if len(pairs) < 2:
        return None
    middle = [statistics.fmean(column) for column in zip(*pairs, strict=True)]
    spread = sum((x - middle[0]) ** 2 for x, _ in pairs)
    return round(sum((x - middle[0]) * (y - middle[1]) for x, y in pairs) / spread, 3)


def sweep(sizes: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """Each size in a process of its own, so that no peak of memory is another's."""
    rows = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.growth", *map(str, size)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append(json.loads(said.splitlines()[-1]))
        print(f"    {size}: {rows[-1]['seconds']} s, peak {rows[-1]['peak_mb']} MB", flush=True)
    return rows


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"settings": f"float32, L2(1), method 'auto', median of {REPEATS} warm fits"}
    for place, (name, sizes) in enumerate(SWEEPS.items()):
        print(f"  {name}", flush=True)
        rows = sweep(sizes)
        along = [float(row["shape"][place]) for row in rows]
        result[f"in {name}"] = {
            "exponent of seconds": exponent(along, [row["seconds"] for row in rows]),
            "exponent of peak memory": exponent(along, [row["peak_bytes_a_row"] * row["shape"][0] for row in rows]),
            "runs": rows,
        }
    return result


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
