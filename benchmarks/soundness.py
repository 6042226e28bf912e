"""js.decide_existence on 10,000 random small problems beside an exact oracle; every certificate is checked.

The problems and the oracle are those of the tests (tests/helpers/certificates): small integers, halves and tenths
full of ties, hard and soft targets, weights, regularisers. The oracle decides by Bland's rule in integers and proves
each answer.
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
from helpers.certificates import random_problems, soundness  # pyright: ignore[reportMissingImports] (of tests/)

PROBLEMS = 10_000
EDGE_PROBLEMS = 2_000
LISTED = 40  # cases named in the JSON, of each kind
SLOW_SECONDS = 0.5
BLOCK = 250


def judged(kind: str, first: int) -> list[soundness.Outcome]:
    """The outcomes of one block of seeds."""
    draw = random_problems.small_problem if kind == "plain" else random_problems.edge_problem
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        soundness.judge(draw(first), folder)  # the first call of a process also imports the stages
        return [soundness.judge(draw(seed), folder) for seed in range(first, first + BLOCK)]


def _how(reason: str) -> str:
    """The reason without the numbers, for counting."""
    return reason.partition(";")[0].partition(":")[0][:100]


def summary(outcomes: list[soundness.Outcome]) -> dict[str, Any]:
    """Counts and times, and the cases to look at."""
    undecided = [o for o in outcomes if o.undecided and not o.errors]
    slow = sorted((o for o in outcomes if o.seconds > SLOW_SECONDS), key=lambda o: -o.seconds)
    quasi = [o for o in outcomes if o.said == "NOT_ATTAINED quasi-complete"]
    table = Counter((o.truth, o.said) for o in outcomes)
    return {
        "problems": len(outcomes),
        "truth": dict(sorted(Counter(o.truth for o in outcomes).items())),
        "verdicts": {f"{truth}: {said}": count for (truth, said), count in sorted(table.items())},
        "quasi-complete, face proved maximal": sum(o.maximal is True for o in quasi),
        "quasi-complete, face not proved maximal": sum(o.maximal is not True for o in quasi),
        "certificates verified": sum(o.check_seconds > 0 for o in outcomes),
        "decided by": dict(Counter(_how(o.reason) for o in outcomes if not o.undecided).most_common()),
        "decide": harness.times([o.seconds for o in outcomes]),
        "check": harness.times([o.check_seconds for o in outcomes if o.check_seconds]),
        "wrong": [f"seed {o.seed} ({o.truth}): {o.said}: {'; '.join(o.errors)}" for o in _wrong(outcomes)[:LISTED]],
        "undecided": [f"seed {o.seed} ({o.truth}): {o.said}: {o.reason}" for o in undecided[:LISTED]],
        "slow": [f"seed {o.seed} ({o.truth}): {o.said}: {o.seconds:.2f} s: {o.reason}" for o in slow[:LISTED]],
    }


def _wrong(outcomes: list[soundness.Outcome]) -> list[soundness.Outcome]:
    return [o for o in outcomes if o.errors]


def run(options: Any) -> dict[str, Any]:
    del options  # seeded: nothing to repeat
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    blocks = [("plain", first) for first in range(0, PROBLEMS, BLOCK)]
    blocks += [("edge", first) for first in range(0, EDGE_PROBLEMS, BLOCK)]
    began = time.perf_counter()
    with futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(judged, *zip(*blocks, strict=True)))
    kinds: dict[str, list[soundness.Outcome]] = {"plain": [], "edge": []}
    for (kind, _), part in zip(blocks, parts, strict=True):
        kinds[kind] += part
    plain, edge = kinds["plain"], kinds["edge"]
    return {
        "settings": f"N <= 12, D <= 4 and perhaps an intercept, C <= 4; {workers} processes; times are of warm "
        "calls: deciding compiles nothing, the first call of a process imports SciPy and python-flint",
        "seconds": round(time.perf_counter() - began, 1),
        "random": summary(plain),
        "edge of floating point": summary(edge),
        "targets": [
            harness.target("verdicts that the oracle refutes, or certificates not verified", len(_wrong(plain)), 0),
            harness.target("undecided or open, share", sum(o.undecided for o in plain) / len(plain), 0.01),
            harness.target("wrong at the edge of floating point", len(_wrong(edge)), 0),
            harness.target("undecided or open there", sum(o.undecided for o in edge), 0),
        ],
    }
