"""Verdicts and certificates: what they cost, and how they were attacked."""

from __future__ import annotations

from typing import Any

from benchmarks.pages import pictures
from benchmarks.pages.tables import INTRO, asked, load, machine, number, picture, table

CASES = ("existence", "soundness", "knife_edge", "certify", "certify_soundness", "corruption", "spectrum")


def page() -> str:
    """Verdicts, certificates, attacks on them, the probe."""
    return f"""# Proofs

{INTRO}

What do verdicts and certificates cost, and has anybody caught one that was wrong?

## Does a minimiser exist?

{machine("existence")}

{picture("deciding", "Seconds to decide whether a minimiser exists and to check the certificate, by data set; the table has the numbers.")}

{table(["data", "N × D", "verdict", "decide, s", "check, s", "certificate, kB"], _existence_rows())}

{asked("existence")}

On the same data other libraries report (a fit that "converged" where no minimiser exists is an accident of a tolerance):

{table(["data, where none exists", "peer", "says converged", "norm of its weights"], _peer_rows())}

## Verdicts beside an oracle

Random small problems full of ties, each decided by an exact oracle too; and sets whose ties are decimals, read as doubles. The
first two rows are older than the stage in rational arithmetic, which decides what floating point leaves open.

{machine("soundness")}

{table(["problems", "how many", "wrong", "undecided or open", "certificates verified", "median, ms", "longest, ms"], _soundness_rows())}

{machine("knife_edge")}

{asked("soundness", "knife_edge")}

## Proved digits

`js.certify` encloses the minimum of the loss; the digits are those on which both ends of the interval agree.

{_certify_machines()}

{table(["data", "digits proved", "training, s", "making, s", "checking, s", "certificate, kB", "processor"], _certify_rows())}

{asked("certify")}

What others report as the minimum on the first of these, less the proved one:

{table(["solver", "reported − proved", "says converged"], _reported_rows())}

## Attacks

Certificates and data files corrupted in one place, with and without a hash that fits; and claims compared with a solve in
500 bits that shares no code. "Wrong" is what was accepted although untrue.

{machine("corruption")}

{table(["certificates", "refused", "unusable", "still true", "wrong"], _corruption_rows())}

{machine("certify_soundness")}

{_certify_soundness()}

{asked("corruption", "certify_soundness")}

## The package's own tests

One-line breaks of the package's own formulas and rounding terms, listed by hands that had not read the tests: how many do the
tests kill, on the first run? After each round tests were written for what had survived. (A third round was lost with its
machine.)

{table(["round", "day", "breaks", "killed", "by fast tests", "processor"], _breaks_rows())}

## The smallest eigenvalue

{machine("spectrum")}

{_spectrum()}

{asked("spectrum")}
"""


def _existence_rows() -> list[list[Any]]:
    rows = []
    for name, case in load("existence").items():
        if isinstance(case, dict) and "status" in case:
            times = [pictures.median_ms(case.get(k)) for k in ("decide", "check")]
            seconds = [None if ms is None else ms / 1e3 for ms in times]
            verdict = case["status"] + ("" if case["type"] in (None, "none") else f", {case['type']}")
            size = case.get("certificate_bytes")
            shape = " × ".join(f"{n:,}" for n in case["shape"])
            rows.append([name, shape, verdict, *seconds, None if size is None else size / 1e3])
    return rows


def _peer_rows() -> list[list[Any]]:
    return [
        [name, peer, said["says_converged"], float(said["norm"])]
        for name, case in load("existence").items()
        if isinstance(case, dict) and case.get("status") == "NOT_ATTAINED"
        for peer, said in (case.get("peers") or {}).items()
        if "norm" in said and "says_converged" in said
    ]


def _soundness_rows() -> list[list[Any]]:
    rows = []
    found, edge = load("soundness"), load("knife_edge")
    cases = {f"{k}, beside an exact oracle": found[k] for k in ("random", "edge of floating point")}
    cases |= {f"{k}, ties in decimals": case for k, case in edge.items() if isinstance(case, dict) and "sets" in case}
    for name, case in cases.items():
        many, times = case.get("problems", case.get("sets")), case["decide"]
        counts = [many, len(case["wrong"]), _open(case["verdicts"]), case["certificates verified"]]
        rows.append([name, *counts, times["median_ms"], times["max_ms"]])
    return rows


def _open(verdicts: dict[str, int]) -> int:
    return sum(n for verdict, n in verdicts.items() if "UNDECIDED" in verdict or verdict.endswith("open"))


def _certified() -> dict[str, Any]:
    return {name: case for name, case in load("certify").items() if isinstance(case, dict) and "loss_lower" in case}


def _certify_machines() -> str:
    days = sorted({case["machine"]["date"][:10] for case in _certified().values()})
    return (
        f"*Each row was measured on its own, between {days[0]} and {days[-1]}, on two cores (`results/certify.json`).*"
    )


def _certify_rows() -> list[list[Any]]:
    return [
        [name, case["digits"], case.get("train_s"), case.get("make_s"), case.get("check_s"), case.get("certificate_kb"),
         case["machine"]["cpu"]]
        for name, case in _certified().items()
    ]  # fmt: skip


def _reported_rows() -> list[list[Any]]:
    first = next(iter(_certified().values()))
    return [
        [name, float(said["reported_less_proved"]), said["says_converged"]] for name, said in first["peers"].items()
    ]


def _corruption_rows() -> list[list[Any]]:
    found = load("corruption")
    names = ("refused", "unusable", "still true")
    return [
        [k, *(found[k]["outcomes"].get(n, 0) for n in names), len(found[k]["wrong"])]
        for k in ("existence", "minimiser")
    ]


def _certify_soundness() -> str:
    found = load("certify_soundness")
    held, apart = found["with a minimiser"], found["separable"]
    false = held["claims made false on purpose"]
    return (
        f"{held['problems']} problems with a minimiser, by both methods: {len(held['claims refuted'])} claims refuted, "
        f"{len(held['certificates the checker refuses'])} certificates refused by the checker; of {false['of']:,} claims made "
        f"false on purpose the solve refutes {false['refuted']:,}. {apart['problems']} problems without one, tried "
        f"{apart['attempts']:,} times: {len(apart['certified'])} certified."
    )


def _breaks_rows() -> list[list[Any]]:
    rows = []
    for name in ("first", "second", "fourth", "fifth", "sixth", "seventh"):
        run = load(f"breaks_{name}_run")
        killed, fast = run["counts"], run["killed_by_fast_tests"]
        killed = killed.get("all", killed)["killed"]
        fast = fast["all"] if "all" in fast else fast["killed"]
        rows.append([name, run["date"], len(run["breaks"]), killed, fast, run["processor"]])
    return rows


def _spectrum() -> str:
    found = load("spectrum")
    planted, mnist = found["planted"], found["mnist"]
    rows = [
        [name, case["eigh"]["lambda_min"], case["matrix-free"]["lambda_min"], case["matrix-free"]["kernel_dim"],
         case["matrix-free"]["kernel_dim_predicted"]]
        for name, case in found.items()
        if isinstance(case, dict) and "eigh" in case
    ]  # fmt: skip
    header = ["data", "dense `eigh`", "the probe, by products", "null space found", "predicted (S6)"]
    return (
        f"{table(header, rows)}\n\nOf {planted['of']} planted negative eigenvalues the probe finds {planted['dense']} with the "
        f"matrix and {planted['matrix-free']} by products alone. On MNIST at its minimiser it takes {number(mnist['seconds'])} s."
    )
