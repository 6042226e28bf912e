"""What the derivative checker finds and accuses, and what it costs."""

from __future__ import annotations

from typing import Any

from benchmarks.pages import pictures
from benchmarks.pages.tables import INTRO, asked, load, machine, number, picture, table

CASES = ("foreign", "unseen_first_run", "detection", "crosscheck")


def page() -> str:
    """What the checker finds and accuses, and what it costs."""
    counts = [
        [f"{name}, {dtype}", *(f"{found} of {of}" for found, of in tools.values())]
        for dtype in ("float32", "float64")
        for name, tools in pictures.checker_counts(dtype).items()
    ]
    unseen = load("unseen_first_run")
    tools = {"js.crosscheck": "ours", "check_grads": "check_grads", "gradcheck": "gradcheck"}
    rows = [[name, all_["wrong rejected"], all_["wrong"], all_["right rejected"], all_["right"]]
            for name, key in tools.items() for all_ in [unseen[f"unseen, {key}"]["all"]]]  # fmt: skip
    return f"""# Checker

{INTRO}

Which wrong derivatives does `js.crosscheck` find, which right ones does it accuse, and what do `jax.test_util.check_grads`
and torch's `gradcheck` say of the same functions? Peers run with their default steps and tolerances; `gradcheck` asks for
float64 and is given float32 too, where its rows say little.

## Found, and accused

Wrong rules by hand and by machine are bugs in rules of a collection of functions (`detection`). Right rules are derivatives of
functions of nine released libraries (`foreign`); none of them may be rejected.

{machine("detection")}

{machine("foreign")}

{picture("checkers", pictures.alt_of_rows(pictures.checkers(), "Percent of wrong rules found, and of right ones rejected, by checker"))}

{table(["what", "js.crosscheck", "check_grads", "gradcheck"], counts)}

`detection` is older than the verdict's say of values (see the changelog) and was not measured again since. Of the wrong rules
that are not found, those at a kink return a valid subgradient there, and the report says so.

{asked("detection")}

{asked("foreign")}

Seconds of processor time a check, cold, on the functions of nine libraries:

{table(["checker", "median", "nine of ten below", "longest"], _cost_rows())}

## Bugs by hands that had not read the checker

Wrong rules seeded by others, each checked beside the right one, in float64. The first run, kept as it was.

{machine("unseen_first_run")}

{table(["checker", "wrong rules found", "of", "right rules rejected", "of"], rows)}

{asked("unseen_first_run")}

{_seeded()}

## What a check costs

Warm, with tracing, comparison and report, in evaluations of the gradient (or of the Hessian).

{machine("crosscheck")}

{table(["check", "ms", "evaluations of the derivative"], _crosscheck_rows())}

{asked("crosscheck")}
"""


def _seeded() -> str:
    first = load("seeded_first_run")
    share = number(100 * first["share"])
    return (
        f"An earlier list of such bugs, on {first['run']} ({first['processor']}; `results/seeded_first_run.json`): of "
        f"{first['run_cases']} wrong rules that were run {first['accepted']} were accepted; the first name given to the bug was "
        f"right in {share} % of those that have a right name."
    )


def _cost_rows() -> list[list[Any]]:
    found = load("foreign")
    keys = {"js.crosscheck, quick": "zoo, quick", "check_grads": "zoo, check_grads", "gradcheck": "zoo, gradcheck"}
    return [[name, *(found[key]["cpu_s"][k] for k in ("median", "p90", "max"))] for name, key in keys.items()]


def _crosscheck_rows() -> list[list[Any]]:
    found, rows = load("crosscheck"), []
    for dtype in ("float32", "float64"):
        for name, what in (("softmax", "first order, through products"), ("wave", "first order, elementwise")):
            case = found[f"cost, {dtype}"][name]
            rows.append([f"{what}, {dtype}", case["times"]["crosscheck"]["median_ms"],
                         case["gradient_evaluations"]["by_median"]])  # fmt: skip
    case = found["cost, Hessian"]
    rows.append(["whole Hessian, float64", case["times"]["crosscheck"]["median_ms"], case["hessians"]["by_median"]])
    return rows
