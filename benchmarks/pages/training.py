"""How fast and how far training goes: solvers, growth, methods, the estimator, many fits."""

from __future__ import annotations

from typing import Any

from benchmarks.gap_picture import CASE as GAP_CASE
from benchmarks.pages import pictures
from benchmarks.pages.tables import INTRO, asked, load, machine, number, picture, table

CASES = ("solver", "growth", "training", "newton", "estimator", "many")


def page() -> str:
    """Solvers, growth, methods, the estimator, many fits."""
    found = load("solver")
    gaps = {name: case["seconds to a gap"] for name, case in found.items() if pictures.is_solved(case)}
    rows = []
    for name, gap in gaps.items():
        ours, peer, seconds = _fastest(gap["1e-06"])
        _, peer10, seconds10 = _fastest(gap["1e-10"])
        rows.append(
            [
                name,
                ours,
                gap["1e-10"]["js.fit"],
                f"{peer} {number(seconds)}",
                _peer(peer10, seconds10),
                None if seconds is None else seconds / ours,
            ]
        )
    alone = [
        [
            name,
            case["seconds to a gap"]["1e-06"]["js.fit"],
            _run(case)["seconds"],
            "yes" if _run(case)["converged"] else "no",
        ]
        for name, case in found.items()
        if isinstance(case, dict) and "seconds to a gap" in case and name not in gaps
    ]
    path = found[GAP_CASE]["seconds to a gap"]
    others = "; ".join(f"{pictures.short(k)} takes {number(s)} s" for k, s in path["1e-10"].items() if k != "js.fit")
    return f"""# Training

{INTRO}

## Solvers, to a given gap

How long does `js.fit` take until its loss is within a relative gap of the minimum, and how long do others? Peers run with
a list of tolerances; the fastest run that reaches the gap counts.

{machine("solver")}

{picture("solvers", _alt_solvers(gaps))}

{table(["problem", "js.fit to 10⁻⁶, s", "to 10⁻¹⁰, s", "fastest peer to 10⁻⁶, s", "to 10⁻¹⁰, s", "peer / ours, 10⁻⁶"], rows)}

{_read_off(found)}

A number below 1 in the last column is a problem on which we are slower. Where no peer reached the gap, or none takes the
problem:

{table(["problem", "js.fit to 10⁻⁶, s", "in all, s", "converged"], alone)}

![Relative gap to the minimum against seconds after compilation on {GAP_CASE}, both axes logarithmic. js.fit is within 1e-10
after {number(path["1e-10"]["js.fit"])} s; {others}; the L-BFGS of optax, jaxopt and torch do not reach it.](../pictures/gap_against_time.svg)

{asked("solver")}

## Growth

How do time and memory grow with the data? One size is changed at a time; an exponent of 1 is linear growth, and it is that of
the upper half of the sizes.

{machine("growth")}

{picture("growth", _alt_growth())}

{table(["size", "from", "to", "exponent of seconds", "exponent of peak memory", "seconds at the largest"], _growth_rows())}

{asked("growth")}

## Methods of `js.fit`

Steps and warm seconds until the relative gap is below 10⁻⁸; "–": not within twenty seconds. First-order methods need whitened
features (`whiten=True`) on raw data; the rows without show why. "bb-published" is now called "rychlik-bb".

{machine("training")}

{table(["method", *_METHOD_DATA], _method_rows())}

{asked("training")}

## Newton's method beside scikit-learn

{machine("newton")}

{table(["data", "solver", "steps", "ms", "relative gap"], _newton_rows())}

## The estimator

{machine("estimator")}

{_estimator()}

{asked("estimator")}

## Many fits at once

`js.fit_many` and `js.fit_path` train many problems in one compiled call; beside them loops of scikit-learn's solvers, which
stop where their tolerances say.

{machine("many")}

{picture("many", pictures.alt_of_rows(pictures.compiled_or_not(), "Seconds of many fits, by job and solver"))}

{table(["job", "who", "first call, s", "warm, s"], _many_rows())}

{asked("many")}
"""


def _read_off(found: dict[str, Any]) -> str:
    """On which problems our seconds are those of a moment of a run, not of a whole run."""
    told = {name: _run(case)["seconds"] for name, case in found.items() if pictures.is_solved(case) and _has_path(case)}
    runs = ", ".join(f"{name}, which returned after {number(s)} s" for name, s in told.items())
    return (
        f"Peers' seconds are those of whole runs. So are ours, except where they are read off the path of one run: {runs}; "
        "its end holds the evaluation of S13 on the data as given."
    )


def _has_path(case: dict[str, Any]) -> bool:
    return len(case["paths"]["js.fit"]) > 1


def _fastest(seconds: dict[str, float]) -> tuple[float, str | None, float | None]:
    """Our seconds; the fastest peer and its seconds, None where no peer came so far."""
    peers = {pictures.short(name): s for name, s in seconds.items() if name != "js.fit"}
    best = min(peers, key=lambda name: peers[name]) if peers else None
    return seconds["js.fit"], best, None if best is None else peers[best]


def _peer(name: str | None, seconds: float | None) -> str:
    return "not reached" if name is None else f"{name} {number(seconds)}"


def _run(case: dict[str, Any]) -> dict[str, Any]:
    return next(run for run in case["runs"] if run["solver"] == "js.fit")


def _alt_solvers(gaps: dict[str, Any]) -> str:
    faster = [name for name, gap in gaps.items() if min(gap["1e-06"], key=gap["1e-06"].get) == "js.fit"]
    return (
        f"Seconds of each solver to a relative gap of 1e-6 on {len(gaps)} problems. js.fit is the fastest on "
        f"{len(faster)} of them: {'; '.join(faster)}."
    )


def _alt_growth() -> str:
    found = load("growth")
    said = ", ".join(f"{k}: {number(found[f'in {k}']['exponent of seconds'])}" for k in "NDC")
    return f"Seconds and peak memory of a fit against N, D and C on logarithmic axes. Exponents of the seconds: {said}."


def _growth_rows() -> list[list[Any]]:
    found = load("growth")
    rows = []
    for letter, sweep in pictures.growth().items():
        about = found[f"in {letter}"]
        exponents = about["exponent of seconds"], about["exponent of peak memory"]
        rows.append([letter, sweep["size"][0], sweep["size"][-1], *exponents, sweep["seconds"][-1]])
    return rows


_METHOD_DATA = ("anes96", "digits, smoothing 0.01", "wine, smoothing 0.01, raw")


def _method_rows() -> list[list[Any]]:
    found = load("training")
    methods = [found[name]["methods"] for name in _METHOD_DATA]
    names = list(dict.fromkeys(name for each in methods for name in each))
    return [[f"`{name}`", *(_steps(each.get(name)) for each in methods)] for name in names]


def _steps(run: dict[str, Any] | None) -> str:
    if run is None or run["steps_to_1e-8"] is None:
        return "–" if run is None else f"– (gap {number(run['relative_gap'])})"
    return f"{run['steps_to_1e-8']:,} steps, {number(run['seconds'])} s"


def _newton_rows() -> list[list[Any]]:
    found = load("newton")
    return [
        [name, solver, run["steps"], run["median_ms"], run["relative_gap"]]
        for name in found["minima"]
        for solver, run in found[name].items()
    ]


def _estimator() -> str:
    found = load("estimator")
    parity, fits, folds = found["parity"], found["fit on iris, ms"], found["10 folds of digits, s"]
    worst = max(row["relative_difference"] for row in parity)
    same = sum(row["same_predictions"] for row in parity)
    rows = [[name, fits[name]["median_ms"], run["first"], run["warm"]] for name, run in folds.items()]
    return (
        f"`js.SoftmaxRegression` on {len(parity)} data sets: its coefficients are within {number(worst)} of scikit-learn's, "
        f"relative, and the predictions are the same on {same}.\n\n"
        + table(["estimator", "a fit on iris, ms", "ten folds of digits, first call, s", "warm, s"], rows)
    )


def _many_rows() -> list[list[Any]]:
    return [
        [name, who, times["first_s"], times["warm_s"]]
        for name, case in load("many").items()
        if isinstance(case, dict) and "times" in case
        for who, times in case["times"].items()
    ]
