"""Data larger than memory: what a pass and a fit of a StreamedProblem take beside np.memmap sums of the same file.

The first file holds 10^7 x 50 float32 numbers (2 GB) in a .npy, five classes drawn from a linear model; it is in the
page cache, or, where "cold" is said, put out of it before each call. `np.memmap sums` adds up its rows block by block
through a fresh map, which is what reading costs there. A pass is one value and gradient; "in memory" is the same
of a `Problem`. Each runs in a process of its own, which states its peak memory. The second file is
MNIST's training images repeated 100 times as IDX (4.7 GB); a few steps are taken, as few as it takes to see that it
trains.

    python -m benchmarks.streaming PART FILE LABELS      # one part in this process; prints JSON
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness

N, D, C = 10_000_000, 50, 5
REPEATS = 100
ROUNDS = 5
STEPS = 3


def _make(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The file of the random numbers and that of its labels."""
    rng, W = np.random.default_rng(0), np.random.default_rng(1).normal(size=(D, C)) * 0.3
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (N, D))
    y = np.empty(N, np.int8)
    for start in range(0, N, 500_000):
        block = rng.standard_normal((500_000, D), np.float32)
        X[start : start + 500_000] = block
        y[start : start + 500_000] = np.argmax(block @ W + rng.gumbel(size=(500_000, C)), axis=1)
    X.flush()
    np.save(folder / "y.npy", y)
    return folder / "X.npy", folder / "y.npy"


def _repeat(folder: pathlib.Path, mnist: Any) -> tuple[pathlib.Path, pathlib.Path]:
    images, labels, _ = data.mnist(mnist)
    images = np.rint(np.asarray(images).reshape(len(labels), -1) * 255).astype(np.uint8)
    with (folder / "images-idx2-ubyte").open("wb") as file:
        file.write(bytes([0, 0, 8, 2]) + struct.pack(">II", REPEATS * len(images), images.shape[1]))
        for _ in range(REPEATS):
            file.write(images.tobytes())
    np.save(folder / "labels.npy", np.tile(np.asarray(labels).astype(np.int8), REPEATS))
    return folder / "images-idx2-ubyte", folder / "labels.npy"


def _seconds(call: Any, cold: pathlib.Path | None = None) -> list[float]:
    out = []
    for _ in range(ROUNDS):
        if cold is not None:
            with cold.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        call()
        out.append(round(time.perf_counter() - began, 3))
    return out


def _sums(path: pathlib.Path) -> float:
    X = np.load(path, mmap_mode="r")
    return float(sum(X[start : start + 2**17].sum() for start in range(0, len(X), 2**17)))


def part(name: str, path: pathlib.Path, labels: pathlib.Path) -> dict[str, Any]:
    """One measurement, alone in this process."""
    cold = path if name.startswith("cold") else None
    if name.endswith("np.memmap sums"):
        return {"seconds": _seconds(lambda: _sums(path), cold)}
    problem = js.StreamedProblem.from_labels(path, np.load(labels), regularizer=js.L2(1.0))
    if name == "read alone":
        return {"seconds": _seconds(lambda: [None for _ in problem.source.chunks(160_000)])}
    if name == "in memory":
        whole, W = problem.to_dense(), jax.numpy.zeros((problem.C, problem.D), problem.dtype)
        js.value_and_gradient(W, whole)
        return {"seconds": _seconds(lambda: jax.block_until_ready(js.value_and_gradient(W, whole)))}
    if name in ("pass", "cold pass"):
        from jaxsoftmax.training.streamed.fit import samples_of

        with jax.enable_x64(True):
            samples, W = samples_of(problem, problem.dtype), jax.numpy.zeros((problem.C, problem.D), problem.dtype)
            samples.value_and_gradient(W)
            products = _seconds(lambda: samples.product(W, W + 1), cold)
            return {"seconds": _seconds(lambda: samples.value_and_gradient(W), cold), "product_s": products}
    began = time.perf_counter()
    fit = js.fit(problem, max_steps=STEPS if name == "images" else None)
    said = {"status": fit.status.name, "converged": fit.converged, "q": fit.q_estimate, "steps": fit.steps}
    return said | {"seconds": round(time.perf_counter() - began, 1), "loss": fit.history["loss"].tolist()}


def _apart(name: str, path: pathlib.Path, labels: pathlib.Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.streaming", name, str(path), str(labels)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print(f"  {name}: {found}", flush=True)
    return found


def run(options: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = _make(pathlib.Path(folder))
        for name in ("np.memmap sums", "read alone", "in memory", "pass", "cold np.memmap sums", "cold pass", "fit"):
            found[name] = _apart(name, *files)
    with tempfile.TemporaryDirectory() as folder:
        found["images"] = _apart("images", *_repeat(pathlib.Path(folder), options.mnist))
    middle = {name: statistics.median(found[name]["seconds"]) for name in list(found)[:6]}
    targets = [
        *(
            harness.target(
                f"{name}: rate over that of {sums}", round(middle[sums] / middle[name], 3), 0.7, at_least=True
            )
            for name, sums in (("cold pass", "cold np.memmap sums"), ("pass", "np.memmap sums"))
        ),
        harness.target("a fit of 2 GB: peak memory, GB", found["fit"]["peak_gb"], 1),
        harness.target("a fit of 4.7 GB of images: peak memory, GB", found["images"]["peak_gb"], 1.5),
    ]
    return {"N": N, "D": D, "C": C, **found, "targets": targets}


if __name__ == "__main__":
    out = part(sys.argv[1], *map(pathlib.Path, sys.argv[2:4]))
    # VmHWM begins anew with a program; ru_maxrss would begin with its parent's.
    status = dict(line.split(":") for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    print(json.dumps(out | {"peak_gb": round(int(status["VmHWM"].split()[0]) * 1024 / 1e9, 3)}))
