"""js.decide_existence where only the last bits of doubles decide; every certificate is checked from the data alone.

The sets are those of the tests (tests/helpers/certificates/knife_edge.py): points with tenths as coordinates, some of
them on a hyperplane between two groups of classes in decimals, but not as the doubles that are read. In the plane every
verdict is compared with an exact enumeration of the lines through two points.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time
from collections import Counter
from typing import Any, NamedTuple

import jax

import jaxsoftmax as js
from benchmarks import harness
from jaxsoftmax.proof.checkers import check_existence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from helpers.certificates import knife_edge  # pyright: ignore[reportMissingImports] (of tests/)

SETS = 2_000
PLANAR = 60
LARGEST = (200, 6, 4)  # samples, features, classes
OF_LARGEST = 20
LISTED = 20
RATIONAL = "rational arithmetic"  # in the name of its stage


class Outcome(NamedTuple):
    """What became of a set: the verdict in words, how and how fast it was decided and checked, what was wrong."""

    name: str
    said: str
    reason: str
    seconds: float
    rational_seconds: float
    check_seconds: float
    certificate_bytes: int
    errors: tuple[str, ...]


def judged(name: str, found: Any, folder: pathlib.Path, planar: bool = False) -> Outcome:
    """Decide in the default budget, save, and check the certificate from the data; in the plane enumerate too."""
    problem = js.Problem.from_labels(found.X, found.labels)
    began = time.perf_counter()
    verdict = js.decide_existence(problem)
    seconds = time.perf_counter() - began
    said = " ".join(filter(None, (verdict.status.name, verdict.type)))
    rational = sum(taken for stage, taken in verdict.stages if RATIONAL in stage)
    if verdict.status is js.Existence.UNDECIDED or verdict.type == "open":
        return Outcome(name, said, verdict.reason, seconds, rational, 0.0, 0, ())
    errors = []
    certificate, data = folder / "certificate.json", folder / "data.txt"
    verdict.save(certificate)
    problem.dump(data)
    began = time.perf_counter()
    try:
        checked = check_existence.check(certificate, data)
        if (checked.status, checked.type, checked.face_maximal) != (*said.split(), verdict.face_maximal):
            errors.append(f"the checker proved {checked.status} {checked.type}")
    except Exception as error:
        errors.append(f"the checker: {error}")
    check_seconds = time.perf_counter() - began
    if planar:
        expected = knife_edge.separated_in_the_plane(found)
        kind = "none" if not expected.any() else "complete" if expected.all() else "quasi-complete"
        separated = expected & False if verdict.separated is None else verdict.separated.any(axis=1)
        if verdict.type != kind or (separated != expected).any():
            errors.append(f"the enumeration says {kind}")
    size = certificate.stat().st_size
    return Outcome(name, said, verdict.reason, seconds, rational, check_seconds, size, tuple(errors))


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Counts and times, and the cases to look at."""
    rational = [o.rational_seconds for o in outcomes if o.rational_seconds]
    undecided = [o for o in outcomes if not o.check_seconds]
    return {
        "sets": len(outcomes),
        "verdicts": dict(Counter(o.said for o in outcomes).most_common()),
        "decided by": dict(
            Counter(o.reason.partition(";")[0][:100] for o in outcomes if o.check_seconds).most_common()
        ),
        "certificates verified": sum(o.check_seconds > 0 and not o.errors for o in outcomes),
        "certificate, most bytes": max(o.certificate_bytes for o in outcomes),
        "decide": harness.times([o.seconds for o in outcomes]),
        "of this in rational arithmetic": {"sets": len(rational), **(harness.times(rational) if rational else {})},
        "check": harness.times([o.check_seconds for o in outcomes if o.check_seconds]),
        "wrong": [f"{o.name}: {o.said}: {'; '.join(o.errors)}" for o in outcomes if o.errors][:LISTED],
        "undecided": [f"{o.name}: {o.said}: {o.reason}" for o in undecided[:LISTED]],
        "slowest": [f"{o.name}: {o.seconds:.2f} s" for o in sorted(outcomes, key=lambda o: -o.seconds)[:3]],
    }


def run(options: Any) -> dict[str, Any]:
    del options  # seeded: nothing to repeat
    began = time.perf_counter()
    rows: dict[str, list[Outcome]] = {"random": [], "plane": [], "largest": []}
    with jax.enable_x64(True), tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        judged("warm", knife_edge.ATTAINED, folder)  # the first call also imports the stages
        for seed in range(PLANAR):
            rows["plane"].append(judged(f"seed {seed}", knife_edge.planar_set(seed), folder, planar=True))
        for seed in range(OF_LARGEST):
            rows["largest"].append(judged(f"seed {seed}", knife_edge.sized_set(seed, *LARGEST), folder))
        for seed in range(SETS):
            rows["random"].append(judged(f"seed {seed}", knife_edge.knife_edge_set(seed), folder))
            if seed % 200 == 199:
                print(f"  {seed + 1} sets after {time.perf_counter() - began:.0f} s …", flush=True)
    outcomes = [o for row in rows.values() for o in row]
    return {
        "settings": f"seeds from 0, default budget (60 s), one process; random: N <= 200, D in 2–6, C in 2–4, an "
        f"intercept; plane: two classes, N <= 48; largest: N, D, C = {LARGEST}. Deciding compiles nothing.",
        "seconds": round(time.perf_counter() - began, 1),
        f"{SETS:,} random sets": summary(rows["random"]),
        f"{PLANAR} sets in the plane": summary(rows["plane"]),
        f"{OF_LARGEST} sets of the largest shape": summary(rows["largest"]),
        "targets": [
            harness.target("undecided or open", sum(not o.check_seconds for o in outcomes), 0),
            harness.target("wrong, or certificates not verified", sum(bool(o.errors) for o in outcomes), 0),
        ],
    }
