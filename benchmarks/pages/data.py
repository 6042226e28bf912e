"""Data that are sparse, large, sharded, in files; runs that are killed; the import."""

from __future__ import annotations

from typing import Any

from benchmarks.pages.tables import INTRO, asked, load, machine, number, table

CASES = ("sparse", "streaming", "sharding", "reading", "kills", "import_cost", "page")


def page() -> str:
    """Sparse, larger than memory, several devices, files, kills, import."""
    found = load("streaming")
    rows = [[name, min(found[name]["seconds"]), found[name]["peak_gb"]]
            for name in ("np.memmap sums", "read alone", "pass", "cold np.memmap sums", "cold pass")]  # fmt: skip
    fits = [[name, found[k]["seconds"], found[k]["steps"], found[k]["status"], found[k]["peak_gb"]]
            for name, k in (("numbers, float32", "fit"), ("images, uint8", "images"))]  # fmt: skip
    kills = load("kills")
    same = sum(run["same bits"] for run in kills["runs"])
    return f"""# Data

{INTRO}

What if the data are sparse, larger than memory, on several devices, or in a file, and what if the run is killed?

## Sparse X

One entry in a thousand is filled. Peers run at the loosest tolerance that reaches a relative gap of 10⁻⁶.

{machine("sparse")}

{table(["rows × columns", "solver", "first call, s", "warm, s", "relative gap", "converged"], _sparse_rows())}

{asked("sparse")}

## Larger than memory

`js.StreamedProblem` on N = {number(found["N"])}, D = {number(found["D"])}, C = {number(found["C"])}; "cold" is from the disk, the others from the page
cache. {found["note"][0].upper() + found["note"][1:]}.

{machine("streaming")}

{table(["what", "seconds, least of five", "peak memory, GB"], rows)}

{table(["fit", "seconds", "steps", "ended", "peak memory, GB"], fits)}

{asked("streaming")}

## Several devices and processes on one machine

Nothing is gained on one machine; this shows what is lost.

{machine("sharding")}

{table(["how", "first call, s", "warm, s", "loss"], _sharding_rows())}

{asked("sharding")}

## Reading a file

A CSV file of {number(load("reading")["file_MB"])} MB.

{machine("reading")}

{table(["who", "processor seconds", "peak memory, GB"], [[k, v["cpu_s"], v["peak_GB"]] for k, v in load("reading").items() if isinstance(v, dict) and "cpu_s" in v])}

{asked("reading")}

## Killed and begun again

Runs with checkpoints, killed at {kills["kills"]} random moments and begun again: {same} of {len(kills["runs"])} runs end in the same bits as one
that nobody disturbed.

{machine("kills")}

{asked("kills")}

## Import

{machine("import_cost")}

{table(["statement", "ms"], [[f"`{k}`", t["median_ms"]] for k, t in load("import_cost")["times"].items()])}

{asked("import_cost")}

## The page of `jaxsoftmax report`

What a page with the packaged digits and iris takes beyond `jaxsoftmax verify`, and until a headless Chromium has loaded it.

{machine("page")}

{table(["what", "measured", "at most"], [[t["what"], t["measured"], t["limit"]] for t in load("page")["targets"]])}

{asked("page")}
"""


def _sparse_rows() -> list[list[Any]]:
    return [
        [name, solver, run["first_s"], run["warm_s"], abs(run["gap"]), run.get("converged")]
        for name, case in load("sparse").items()
        if isinstance(case, dict) and "fits" in case
        for solver, run in case["fits"].items()
        if "warm_s" in run
    ]


def _sharding_rows() -> list[list[Any]]:
    found = load("sharding")
    return [
        [k, v["first_s"], v["warm_s"], f"{v['loss']:.3f}"]
        for k, v in found.items()
        if isinstance(v, dict) and "warm_s" in v
    ]
