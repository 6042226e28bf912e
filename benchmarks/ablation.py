"""js.decide_existence with each stage of its search switched off: which verdicts and how much time a stage buys.

A variant is run where the whole search enters what it switches off; elsewhere it is the same search. A switch replaces
a method or a function of the package by one that finds nothing (`off`); the whole search counts the calls of each.
"""

from __future__ import annotations

import pathlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import existence, harness
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.existence.stages import Search
from jaxsoftmax.proof.overlap import face_fit, multipliers
from jaxsoftmax.proof.overlap import pair as overlapping_pair

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from helpers.certificates import random_problems  # pyright: ignore[reportMissingImports] (of tests/)

PROBLEMS = 10_000
EDGE_PROBLEMS = 2_000  # at the edge of floating point
FACTOR = 2.0  # in time, from which a stage has bought something
LISTED = 20
SECONDS = 20.0  # after which a row gets no further round
ALL = "all stages"
RANDOM = {
    f"{PROBLEMS:,} random problems": (random_problems.small_problem, PROBLEMS),
    f"{EDGE_PROBLEMS:,} at the edge of floating point": (random_problems.edge_problem, EDGE_PROBLEMS),
}


def many_classes(_: Any) -> tuple[np.ndarray, np.ndarray]:
    """6000 samples of 30 integers, labels of 60 classes drawn from a softmax of moderate logits: 1,829 weights."""
    rng = np.random.default_rng(0)
    X, W = rng.integers(-50, 51, (6000, 30)), 1.5 * rng.standard_normal((60, 30)) / 50 / np.sqrt(30)
    return X.astype(np.float64), np.argmax(X @ W.T + rng.gumbel(size=(6000, 60)), axis=1)


# The rows of existence.py have at most 210 weights or are separable: none needs a fit of more weights than 1,500.
MORE = existence.Row(many_classes, existence.ATTAINED, 10, 10)
ROWS = {**existence.ROWS, "overlap, 6000 x 30, 60 classes": MORE}


class Switch(NamedTuple):
    """What is replaced: `owner.name`, by `off` of the original."""

    owner: Any
    name: str
    off: Callable[[Callable[..., Any]], Callable[..., Any]]

    @property
    def key(self) -> str:
        """Its name in a count."""
        return f"{self.owner.__name__}.{self.name}"


def _nothing(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: None


def _not_final(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: False


def _as_they_come(ordered: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: sorted(ordered(*given))


def _every_row(_: Callable[..., Any]) -> Callable[..., Any]:
    def faced(A: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(A)), np.arange(A.shape[1])

    return faced


def _one_stage(_: Callable[..., Any]) -> Callable[..., Any]:
    def peeled(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(A), np.int64), np.array([A.shape[1]])

    return peeled


def _fails(_: Callable[..., Any]) -> Callable[..., Any]:
    def failing(*_: Any) -> None:
        raise np.linalg.LinAlgError("switched off")

    return failing


FEATURE, SEPARATE = Switch(Search, "_one_feature", _not_final), Switch(Search, "_separate", _not_final)
FACE, PAIR = Switch(Search, "_face", _not_final), Switch(Search, "_overlap", _not_final)
PROGRAM, REDUCED = Switch(Search, "_program", _not_final), Switch(Search, "_reduced_program", _not_final)
RATIONAL = Switch(Search, "_rational_program", _not_final)
VARIANTS: dict[str, tuple[Switch, ...]] = {
    "thresholds": (FEATURE,),
    "hinge search": (SEPARATE,),
    "face fits": (FACE,),
    "face fits: conjugate gradients": (Switch(face_fit, "ConjugateSystems", _fails),),
    "multipliers: coupled systems": (Switch(multipliers, "_correct_edges", _nothing),),
    "overlapping pairs": (PAIR,),
    "pairs: order by confusion": (Switch(overlapping_pair, "_by_confusion", _as_they_come),),
    "pairs: facets": (Switch(overlapping_pair, "faced", _every_row),),
    "pairs: peeling": (Switch(overlapping_pair, "peeled", _one_stage),),
    "linear program": (PROGRAM,),
    "LLL columns": (REDUCED,),
    "rational program": (RATIONAL,),
    "linear program, LLL columns": (PROGRAM, REDUCED),
    "linear program, LLL columns, rational program": (PROGRAM, REDUCED, RATIONAL),
    "linear program, LLL columns, pairs": (PROGRAM, REDUCED, PAIR),
    "linear program, LLL columns, face fits": (PROGRAM, REDUCED, FACE),
}
STAGES = [name for name, switches in VARIANTS.items() if len(switches) == 1]


@contextmanager
def without(switches: Sequence[Switch]) -> Iterator[None]:
    """The search with these switched off."""
    with ExitStack() as stack:
        for switch in switches:
            off = switch.off(getattr(switch.owner, switch.name))
            stack.enter_context(mock.patch.object(switch.owner, switch.name, off))
        yield


@contextmanager
def watched() -> Iterator[Counter[str]]:
    """The whole search; the switches that it came by, counted."""
    calls: Counter[str] = Counter()

    def counting(switch: Switch) -> Callable[..., Any]:
        whole = getattr(switch.owner, switch.name)

        def counted(*given: Any) -> Any:
            calls[switch.key] += 1
            return whole(*given)

        return counted

    with ExitStack() as stack:
        for switch in {switch.key: switch for switches in VARIANTS.values() for switch in switches}.values():
            stack.enter_context(mock.patch.object(switch.owner, switch.name, counting(switch)))
        yield calls


def reached(calls: Counter[str]) -> list[str]:
    """The variants whose first switch was come by."""
    return [name for name, switches in VARIANTS.items() if calls[switches[0].key]]


def said(verdict: js.ExistenceVerdict) -> str:
    face = {True: ", face maximal", False: ", face not proved maximal", None: ""}[verdict.face_maximal]
    return f"{verdict.status.name} {verdict.type or ''}{face}".strip()


def worth(verdict: js.ExistenceVerdict) -> int:
    """How much it decides: nothing, attained or not, complete or not, or all."""
    if verdict.status is js.Existence.UNDECIDED:
        return 0
    return 1 if verdict.type == "open" else 2 if verdict.face_maximal is False else 3


# ── the data sets ──
def measure(name: str, options: Any) -> dict[str, dict[str, Any]]:
    """A data set under the whole search and under each variant that it reaches."""
    row = ROWS[name]
    X, y = row.load(existence.pixels(options.mnist, row.mnist) if row.mnist else None)
    with jax.enable_x64(True), tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        problem, file = existence.prepared(row, X, y, folder)
        verdicts: dict[str, js.ExistenceVerdict] = {}
        spent: dict[str, list[float]] = {}

        def decide(variant: str) -> None:
            with without(VARIANTS.get(variant, ())):
                began = time.process_time()
                verdicts[variant] = js.decide_existence(problem, budget=row.budget, decimal=row.decimal)
                spent.setdefault(variant, []).append(time.process_time() - began)

        with watched() as calls:  # also warms up: SciPy and python-flint are imported
            decide(ALL)
        spent.clear()
        variants = [ALL, *reached(calls)]
        start = time.perf_counter()
        for _ in range(min(options.repeats, 5)):
            for variant in variants:
                decide(variant)
            if time.perf_counter() - start > SECONDS:
                break
        found = {}
        for variant in variants:
            verdict, seconds = verdicts[variant], statistics.median(spent[variant])
            found[variant] = {
                "verdict": said(verdict),
                "seconds": round(seconds, 4),
                "factor": round(seconds / statistics.median(spent[ALL]), 2),
                "rounds": len(spent[variant]),
                "reason": verdict.reason,
                "stages_s": {stage: round(taken, 4) for stage, taken in verdict.stages},
                **_checked(verdict, folder / "cert.json", file),
            }
    return found


def _checked(verdict: js.ExistenceVerdict, certificate: pathlib.Path, file: pathlib.Path) -> dict[str, Any]:
    """Bytes of the certificate and seconds of the checker, which must say the same."""
    if verdict.status is js.Existence.UNDECIDED:
        return {}
    verdict.save(certificate)
    began = time.perf_counter()
    checked = check_existence.check(certificate, file)
    seconds = time.perf_counter() - began
    same = (checked.status, checked.type, checked.face_maximal) == (
        verdict.status.name,
        verdict.type,
        verdict.face_maximal,
    )
    return {"verified": same, "certificate_bytes": certificate.stat().st_size, "check_s": round(seconds, 4)}


# ── the random problems ──
def random_row(draw: Callable[[int], Any], problems: int) -> dict[str, dict[str, Any]]:
    """Verdicts by kind and seconds of the whole search and of each variant on the problems that reach it."""
    spent: dict[str, list[float]] = {ALL: [], **{name: [] for name in VARIANTS}}
    whole: dict[str, float] = dict.fromkeys(VARIANTS, 0.0)  # seconds of all stages on the problems that reach a variant
    kinds: dict[str, Counter[str]] = {name: Counter() for name in spent}
    lost: dict[str, list[int]] = {name: [] for name in VARIANTS}
    gained: Counter[str] = Counter()
    contradicted: dict[str, list[int]] = {name: [] for name in VARIANTS}
    for seed in range(problems):
        drawn = draw(seed)
        problem = drawn.build()

        def decide(name: str) -> js.ExistenceVerdict:
            with without(VARIANTS.get(name, ())), jax.enable_x64(drawn.x64):  # noqa: B023 (called in this round only)
                began = time.process_time()
                verdict = js.decide_existence(problem, decimal=drawn.decimal)  # noqa: B023
                spent[name].append(time.process_time() - began)
            return verdict

        if not seed:
            decide(ALL)  # imports SciPy and python-flint
            spent[ALL].clear()
        with watched() as calls:
            full = decide(ALL)
        kinds[ALL][said(full)] += 1
        for name in reached(calls):
            verdict = decide(name)
            whole[name] += spent[ALL][-1]
            kinds[name][said(verdict)] += 1
            if worth(verdict) < worth(full):
                lost[name].append(seed)
            gained[name] += worth(verdict) > worth(full)
            if verdict.attained is not None and full.attained not in (None, verdict.attained):
                contradicted[name].append(seed)
            if {verdict.type, full.type} == {"complete", "quasi-complete"}:
                contradicted[name].append(seed)
        if seed % 1000 == 999:
            print(f"  {seed + 1} random problems …", flush=True)
    total = sum(spent[ALL])
    found: dict[str, dict[str, Any]] = {ALL: {"verdicts": dict(kinds[ALL].most_common()), "seconds": round(total, 1)}}
    for name, times in spent.items():
        if name == ALL or not times:
            continue
        found[name] = {
            "reached by": len(times),
            "verdicts of these": dict(kinds[name].most_common()),
            "verdicts lost": len(lost[name]),
            "verdicts gained": gained[name],
            "seeds": lost[name][:LISTED],
            "contradictions": contradicted[name],
            "seconds of these, all stages": round(whole[name], 2),
            "seconds of these": round(sum(times), 2),
            "factor on these": round(sum(times) / whole[name], 2),
            "factor": round((total - whole[name] + sum(times)) / total, 2),
        }
    return found


# ── the table ──
def cell(found: dict[str, dict[str, Any]], name: str) -> str:
    """What becomes of a row without a stage: the verdict where it changes, and the factor of time."""
    if name not in found:
        return "not reached"
    there, here = found[ALL], found[name]
    if "verdicts lost" in here:
        lost = f"{here['verdicts lost']} lost, " if here["verdicts lost"] else ""
        return f"{lost}x {here['factor']}"
    changed = "" if here["verdict"] == there["verdict"] else f"{here['verdict']}, "
    return f"{changed}x {here['factor']}"


def bought(rows: dict[str, dict[str, dict[str, Any]]], name: str) -> list[str]:
    """The rows on which a stage buys a verdict or a factor 2."""
    found = {row: cells for row, cells in rows.items() if name in cells}
    verdicts = [
        row
        for row, cells in found.items()
        if cells[name].get("verdicts lost") or cells[name].get("verdict") != cells[ALL].get("verdict")
    ]
    times = [row for row, cells in found.items() if row not in verdicts and cells[name]["factor"] >= FACTOR]
    return [f"{row}: the verdict" for row in verdicts] + [f"{row}: x {found[row][name]['factor']}" for row in times]


def run(options: Any) -> dict[str, Any]:
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    left_out = []
    for name, row in ROWS.items():
        if row.mnist and options.mnist is None:
            left_out.append(name)
            continue
        print(f"  {name} …", flush=True)
        rows[name] = measure(name, options)
    for name, (draw, problems) in RANDOM.items():
        rows[name] = random_row(draw, problems)
    return summary(rows, left_out)


def summary(rows: dict[str, dict[str, dict[str, Any]]], left_out: list[str]) -> dict[str, Any]:
    """The table, and what each stage buys, before the rows themselves."""
    buys = {name: bought(rows, name) for name in VARIANTS}
    cells_of = [(row, name, found) for row, cells in rows.items() for name, found in cells.items()]
    unverified = sum(not found.get("verified", True) for _, _, found in cells_of)
    wrong = sum(len(found.get("contradictions", ())) for _, _, found in cells_of)
    return {
        "settings": "decide only, in one process, all stages and the variants interleaved: medians of up to 5 rounds, "
        f"one where a round takes more than {SECONDS:.0f} s. Seconds are the processor's; budgets and stages go by the "
        "clock. Factor: seconds without the stage by seconds with all. A variant is run where all stages together come "
        "by what it switches off, and changes nothing elsewhere",
        "left out": left_out,
        "table": {name: {row: cell(cells, name) for row, cells in rows.items()} for name in VARIANTS},
        "buys": {name: what or ["nothing"] for name, what in buys.items()},
        "rows": rows,
        "targets": [
            harness.target(
                f"stages that buy neither a verdict nor a factor {FACTOR:.0f}", sum(not buys[s] for s in STAGES), 0
            ),
            harness.target("certificates that the checker did not verify", unverified, 0),
            harness.target("random problems: verdicts that contradict those of all stages", wrong, 0),
        ],
    }
