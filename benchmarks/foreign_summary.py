"""What the rows of `foreign.py` come to: counts by checker, dtype and family, CPU seconds, and what is worth naming."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks import harness

REJECTED, ACCEPTED = ("DISAGREE", "fail"), ("AGREE", "pass")
Pair = tuple[Any, dict[str, Any]]  # an item, and the row of one checker


def seconds_of(rows: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Median, 90 %, largest and total of the CPU seconds of some rows, and how many (timeouts) have none."""
    measured = [row["cpu_s"] for row in rows]
    times = [value for value in measured if value is not None] or [math.nan]
    figures = {"median": np.median(times), "p90": np.quantile(times, 0.9), "max": max(times), "total": sum(times)}
    return {**{name: round(float(value), 3) for name, value in figures.items()}, "without": measured.count(None)}


def counts(rows: list[Pair], right: set[tuple[Any, ...]]) -> dict[str, int]:
    """How many of some items were rejected, accepted, left undecided; `right` holds those whose right rule passes."""
    named = [row["named"] for item, row in rows if item.side == "wrong" and "named" in row]
    wrong = [(item, row["outcome"]) for item, row in rows if item.side == "wrong"]
    fine = [row["outcome"] for item, row in rows if item.side == "right" and not _faulty(item)]
    sure = [item for item, said in wrong if said in REJECTED and item[:3] in right]
    found = {"right": len(fine), "right rejected": sum(said in REJECTED for said in fine)}
    found["right undecided"] = sum(said not in REJECTED + ACCEPTED for said in fine)
    if wrong:
        found |= {"wrong": len(wrong), "wrong rejected": sum(said in REJECTED for _, said in wrong)}
        found |= {"wrong rejected, right accepted": len(sure)}
        found |= {"wrong accepted": sum(said in ACCEPTED for _, said in wrong)}
        found |= {"wrong undecided": sum(said not in REJECTED + ACCEPTED for _, said in wrong)}
        found |= {"named rightly": sum(named), "of": len(named)} if named else {}
    else:
        found["faults found"] = sum(row["outcome"] in REJECTED for item, row in rows if _faulty(item))
        found["faults"] = sum(_faulty(item) for item, _ in rows)
    return found


def _faulty(item: Any) -> bool:
    """Whether the library's derivative is known to be wrong there, or not finite."""
    return item.kind == "zoo" and bool(item.case.fault or item.case.undefined)


def told(pairs: list[Pair], side: str, outcomes: tuple[str, ...]) -> list[str]:
    """The items of a side with such an outcome, faults of a library left out, and what was said of them."""
    mine = [(i, r) for i, r in pairs if i.side == side and r["outcome"] in outcomes and not _faulty(i)]
    return [f"{item.label}: {' '.join([*row.get('names', ()), row.get('reason', '')])}".strip() for item, row in mine]


def summary(rows: list[tuple[Any, dict[str, Any]]], checkers: tuple[str, ...]) -> dict[str, Any]:
    """Of each set and checker: counts in all, by dtype and by family, seconds, and what is worth naming."""
    result: dict[str, Any] = {}
    for kind in dict.fromkeys(item.kind for item, _ in rows):
        for checker in checkers:
            mine = [(item, row[checker]) for item, row in rows if item.kind == kind]
            right = {item[:3] for item, row in mine if item.side == "right" and row["outcome"] in ACCEPTED}
            part = {"all": counts(mine, right)}
            for name in dict.fromkeys(item.dtype for item, _ in mine):
                part[name] = counts([pair for pair in mine if pair[0].dtype == name], right)
            for name in sorted({item.family for item, _ in mine}):
                part[f"family: {name}"] = counts([pair for pair in mine if pair[0].family == name], right)
            part["outcomes"] = dict(sorted(Counter(f"{i.side}: {r['outcome']}" for i, r in mine).items()))
            part["cpu_s"] = seconds_of(row for _, row in mine)
            part |= {
                "right ones rejected": told(mine, "right", REJECTED),
                "wrong ones accepted": told(mine, "wrong", ACCEPTED),
                "misnamed": told([pair for pair in mine if pair[1].get("named") is False], "wrong", REJECTED),
                "undecided": [
                    f"{item.label}: {row['outcome']} {row.get('reason', '')}".strip()
                    for item, row in mine
                    if row["outcome"] not in REJECTED + ACCEPTED
                ],
            }
            result[f"{kind}, {checker}"] = part
    return result


def targets(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures asked for."""
    result = []
    for checker in ("ours", "quick"):
        if part := found.get(f"zoo, {checker}"):
            share = part["all"]["right undecided"] / max(part["all"]["right"], 1)
            result += [
                harness.target(f"zoo: right derivatives rejected, {checker}", part["all"]["right rejected"], 0),
                harness.target(f"zoo: share undecided, {checker}", share, 0.03),
            ]
        for kind in ("seeded", "unseen"):
            if not (part := found.get(f"{kind}, {checker}")):
                continue
            named = part["all"].get("named rightly", 0) / max(part["all"].get("of", 0), 1)
            result += [
                harness.target(f"{kind}: right rules rejected, {checker}", part["all"]["right rejected"], 0),
                harness.target(f"{kind}: wrong rules accepted, {checker}", part["all"]["wrong accepted"], 0),
                harness.target(f"{kind}: share named rightly, {checker}", named, 0.8, at_least=True),
            ]
    if quick := found.get("zoo, quick"):
        result.append(harness.target("zoo: CPU s of quick, median", quick["cpu_s"]["median"], 1.0))
        if peer := found.get("zoo, check_grads"):
            ratio = quick["cpu_s"]["median"] / peer["cpu_s"]["median"]
            result.append(harness.target("zoo: quick over check_grads, medians of CPU s", ratio, 3.0))
    return result
