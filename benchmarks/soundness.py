"""js.decide_existence on 10,000 random small problems beside an exact oracle; every certificate is checked.

The problems and the oracle are those of the tests (tests/proof): small integers, halves and tenths full of ties, hard
and soft targets, weights, regularisers. The oracle decides by Bland's rule in integers and proves each answer.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent import futures
from typing import Any

from benchmarks import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from proof import soundness  # pyright: ignore[reportMissingImports] (of tests/)

PROBLEMS = 10_000
LISTED = 40  # cases named in the JSON, of each kind
SLOW_SECONDS = 0.5
BLOCK = 250


def judged(first: int) -> list[soundness.Outcome]:
    """The outcomes of one block of seeds."""
    with tempfile.TemporaryDirectory() as folder:
        return [soundness.judge(seed, pathlib.Path(folder)) for seed in range(first, first + BLOCK)]


def _times(seconds: list[float]) -> dict[str, float]:
    ranked = sorted(seconds)
    named = {"median_ms": statistics.median(ranked), "p99_ms": ranked[len(ranked) * 99 // 100], "max_ms": ranked[-1]}
    return {name: round(value * 1e3, 2) for name, value in named.items()}


def _how(reason: str) -> str:
    """The reason without the numbers, for counting."""
    return reason.partition(";")[0].partition(":")[0][:100]


def run(options: Any) -> dict[str, Any]:
    del options  # seeded: nothing to repeat
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    began = time.perf_counter()
    with futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        outcomes = [outcome for block in pool.map(judged, range(0, PROBLEMS, BLOCK)) for outcome in block]
    wrong = [o for o in outcomes if o.errors]
    undecided = [o for o in outcomes if o.undecided and not o.errors]
    slow = sorted((o for o in outcomes if o.seconds > SLOW_SECONDS), key=lambda o: -o.seconds)
    quasi = [o for o in outcomes if o.said == "NOT_ATTAINED quasi-complete"]
    table = Counter((o.truth, o.said) for o in outcomes)
    return {
        "settings": f"{PROBLEMS} seeds; N <= 12, D <= 4 and perhaps an intercept, C <= 4; {workers} processes",
        "seconds": round(time.perf_counter() - began, 1),
        "truth": dict(sorted(Counter(o.truth for o in outcomes).items())),
        "verdicts": {f"{truth}: {said}": count for (truth, said), count in sorted(table.items())},
        "quasi-complete, face proved maximal": sum(o.maximal is True for o in quasi),
        "quasi-complete, face not proved maximal": sum(o.maximal is not True for o in quasi),
        "decided by": dict(Counter(_how(o.reason) for o in outcomes).most_common()),
        "decide": _times([o.seconds for o in outcomes]),
        "check": _times([o.check_seconds for o in outcomes if o.check_seconds]),
        "wrong": [f"seed {o.seed} ({o.truth}): {o.said}: {'; '.join(o.errors)}" for o in wrong[:LISTED]],
        "undecided": [f"seed {o.seed} ({o.truth}): {o.said}: {o.reason}" for o in undecided[:LISTED]],
        "slow": [f"seed {o.seed} ({o.truth}): {o.said}: {o.seconds:.2f} s: {o.reason}" for o in slow[:LISTED]],
        "targets": [
            harness.target("verdicts that the oracle refutes, or certificates not verified", len(wrong), 0),
            harness.target("undecided or open, share", len(undecided) / len(outcomes), 0.01),
        ],
    }
