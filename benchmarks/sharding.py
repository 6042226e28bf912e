"""What sharding costs on one machine: one fit on one device, on eight forced ones, and in one and two processes.

200,000 x 50 float32, five classes drawn from a linear model, "newton-cg". Each way runs in processes of its own;
`warm_s` is the third fit. On one machine nothing is gained: what is seen is the price of exchanges and smaller blocks.

    python -m benchmarks.sharding WAY [NUMBER PORT]      # one way in this process; prints JSON
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

N, D, C = 200_000, 50, 5
WAYS = {
    "one device": 1,
    "eight devices, rows sharded": 1,
    "read in chunks, one process": 1,
    "read in chunks, two processes": 2,
}


def part(way: str, number: int = 0, port: int = 0) -> dict[str, Any]:
    """One way, in this process."""
    import jax
    import numpy as np

    import jaxsoftmax as js

    count = WAYS[way]
    if count > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", count, number)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D), np.float32)
    y = np.argmax(X @ rng.normal(size=(D, C)) * 0.3 + rng.gumbel(size=(N, C)), axis=1)
    mine = slice(number * N // count, (number + 1) * N // count)
    problem: Any
    if way.startswith("read"):
        across = {"across_processes": count > 1, "classes": range(C)}
        problem = js.StreamedProblem.from_labels(X[mine], y[mine], regularizer=js.L2(1.0), **across)
    elif way.startswith("eight"):
        mesh = jax.make_mesh((8,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
        placed = jax.device_put(X, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows", None)))
        problem = js.Problem.from_labels(placed, y, regularizer=js.L2(1.0))
    else:
        problem = js.Problem.from_labels(X, y, regularizer=js.L2(1.0))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        fit = js.fit(problem, "newton-cg")
        seconds.append(round(time.perf_counter() - began, 3))
    said = {"steps": fit.steps, "converged": fit.converged, "loss": fit.loss, "W_norm": float(np.linalg.norm(fit.W))}
    return {"first_s": seconds[0], "warm_s": seconds[-1], **said}


def _apart(way: str) -> dict[str, Any]:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"} if way.startswith("eight") else {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sharding", way, str(number), str(port)],
            env=os.environ | flags | {"JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WAYS[way])
    ]
    said = [process.communicate()[0].strip().splitlines()[-1] for process in started]
    assert len({json.loads(line)["loss"] for line in said}) == 1  # the same bits in every process
    found = json.loads(said[0])
    print(f"  {way}: {found}", flush=True)
    return found


def run(options: Any) -> dict[str, Any]:
    return {"N": N, "D": D, "C": C, **{way: _apart(way) for way in WAYS}, "targets": []}


if __name__ == "__main__":
    print("\n" + json.dumps(part(sys.argv[1], *map(int, sys.argv[2:4]))))
