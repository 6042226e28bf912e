"""Corrupted certificates and data files, each refused or confirmed: 10,000 of existence, 5,000 of minimisers.

The corruptions are those of the tests (tests/helpers/certificates/corruptions.py): every number by one, an ulp of X,
labels, weights, V and G negated or mixed up, verdicts exchanged, other hashes, bytes and truncations of either file;
the hash of changed data is recomputed in half of the cases. An accepted certificate must be true of the data as the
oracle decides them.
Those of minimisers (minimiser_corruptions.py beside it) change weights, curvature, claims, dependences and pairs; a
claim of an accepted one must be true of the minimiser that mpmath finds in 60 digits.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import sys
import tempfile
import time
from collections import Counter
from concurrent import futures
from typing import Any

from benchmarks import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from helpers.certificates import corruptions, minimiser_corruptions  # pyright: ignore[reportMissingImports] (of tests/)

CERTIFICATES = {"existence": 600, "minimiser": 250}
WANTED = {"existence": 10_000, "minimiser": 5_000}
EACH = 30  # tried for each certificate; those that do not apply are not counted
BLOCK = 25
LISTED = 40  # wrong cases named in the JSON


def tried(kind: str, first: int) -> tuple[int, list[tuple[int, Any]]]:
    """How many certificates there were, and the trials, with their seeds, of one block of seeds."""
    found, certificates = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for seed in range(first, first + BLOCK):
            existence = kind == "existence"
            base = corruptions.base(seed, folder) if existence else minimiser_corruptions.base(seed)
            certificates += base is not None
            for k in range(EACH * seed, EACH * (seed + 1) if base else 0):
                result = (corruptions if existence else minimiser_corruptions).trial(k, base, folder)
                if result is not None:
                    found.append((k, result))
    return certificates, found


def run(options: Any) -> dict[str, Any]:
    del options  # seeded: nothing to repeat
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = {kind: _summary(kind, pool, workers) for kind in CERTIFICATES}
    return {**parts, "targets": [target for part in parts.values() for target in part.pop("targets")]}


def _summary(kind: str, pool: futures.Executor, workers: int) -> dict[str, Any]:
    began = time.perf_counter()
    starts = range(0, CERTIFICATES[kind], BLOCK)
    blocks = list(pool.map(tried, [kind] * len(starts), starts))
    trials = [trial for _, found in blocks for trial in found]
    wrong = [(seed, trial) for seed, trial in trials if trial.wrong]
    table: dict[str, Counter] = {}
    for _, trial in trials:
        table.setdefault(trial.kind, Counter())["wrong" if trial.wrong else trial.outcome] += 1
    return {
        "settings": f"{sum(count for count, _ in blocks)} certificates of random problems; {workers} processes",
        "seconds": round(time.perf_counter() - began, 1),
        "outcomes": dict(Counter("wrong" if trial.wrong else trial.outcome for _, trial in trials).most_common()),
        "by kind": {kind: dict(sorted(counts.items())) for kind, counts in sorted(table.items())},
        "wrong": [f"seed {seed}: {trial.kind}: {trial.outcome}" for seed, trial in wrong[:LISTED]],
        "targets": [
            harness.target(f"{kind}: corruptions accepted although untrue, or ending otherwise", len(wrong), 0),
            harness.target(f"{kind}: corruptions tried", len(trials), WANTED[kind], at_least=True),
        ],
    }
