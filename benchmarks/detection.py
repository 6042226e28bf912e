"""js.crosscheck beside check_grads and gradcheck: false alarms, and wrong rules found and named.

The right rules are the zoo of the tests, the wrong ones the tests' hand-written and mechanical mutants. Run where torch
(CPU) is installed too; without it the column of gradcheck is absent.
"""

from __future__ import annotations

import multiprocessing
import pathlib
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import harness, peers_derivatives

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from helpers.derivatives import equivalents, mechanical, mutants, zoo  # pyright: ignore[reportMissingImports] (of tests/)

DTYPES = ("float32", "float64")
KEYS = 1  # examples of each case of the zoo
PER_RULE = 1  # mechanical mutants of each rule and dtype, of kinds in turn


@dataclass
class Tally:
    """What one checker said of many rules, and the ones worth naming."""

    outcomes: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, verdict: peers_derivatives.Verdict, seconds: float, label: str | None) -> None:
        """Count a verdict; with a label it is also listed."""
        self.outcomes[verdict.outcome] += 1
        self.seconds += seconds
        if label is not None:
            self.named.append(f"{label}: {verdict.outcome} {' '.join(verdict.reason.split())[:120]}".strip())

    def as_dict(self) -> dict[str, Any]:
        """For the JSON."""
        return {**dict(sorted(self.outcomes.items())), "seconds": round(self.seconds, 1), "named": self.named}


def _example(case: Any, dtype: str, key: int) -> Any:
    return case.make(np.random.default_rng([zlib.crc32(case.name.encode()), key]), np.dtype(dtype).type)


def _ours(example: Any, rules: dict[str, Any], key: int, psd: bool = False) -> tuple[peers_derivatives.Verdict, Any]:
    """(pass or fail or error, the report or None)."""
    try:
        options = {"args": example.args, "key": jax.random.key(key), "psd": psd}
        report = js.crosscheck(example.fun, example.at, **options, **rules)
    except Exception as error:
        return peers_derivatives.Verdict("error", f"{type(error).__name__}: {str(error)[:160]}"), None
    failed = report.verdict == "DISAGREE"
    return peers_derivatives.Verdict("fail" if failed else "pass", report.verdict), report


def _peers() -> dict[str, Callable[..., peers_derivatives.Verdict]]:
    peers: dict[str, Callable[..., peers_derivatives.Verdict]] = {"check_grads": peers_derivatives.check_grads}
    if peers_derivatives.torch_version():
        peers["gradcheck"] = peers_derivatives.gradcheck
    return peers


def _by_peer(check: Callable[..., Any], example: Any, rules: dict[str, Any]) -> peers_derivatives.Verdict:
    """The worst of a peer's verdicts on the rules of an example: it sees them one at a time."""
    found = []
    for name, rule in rules.items() or {None: None}.items():
        function = peers_derivatives.ruled(example.fun, example.at, example.args, name, rule)
        found.append(check(function, example.at))
    return min(found, key=lambda v: ("fail", "error", "pass").index(v.outcome))


def _timed(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


def false_alarms(dtype: str) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """The zoo's right rules: every "fail" is a false alarm, every "error" a rule that could not be checked.

    Also the names of the cases on which each checker did not say "pass".
    """
    tallies = {name: Tally() for name in ("crosscheck", *_peers())}
    rounding = []
    for case in zoo.CASES:
        for key in range(KEYS):
            example = _example(case, dtype, key)
            label = f"{case.name} (key {key})"
            (verdict, report), seconds = _timed(_ours, example, example.rules, key)
            tallies["crosscheck"].add(verdict, seconds, None if verdict.outcome == "pass" else label)
            rounding += [label] if report is not None and report.verdict == "ROUNDING" else []
            for name, check in _peers().items():
                verdict, seconds = _timed(_by_peer, check, example, example.rules)
                tallies[name].add(verdict, seconds, None if verdict.outcome == "pass" else label)
        jax.clear_caches()  # thousands of small programs otherwise
    alarmed = {name: {entry.split(" (key")[0] for entry in tally.named} for name, tally in tallies.items()}
    result = {name: tally.as_dict() for name, tally in tallies.items()}
    return result | {"crosscheck said ROUNDING": rounding}, alarmed


@dataclass(frozen=True)
class Wrong:
    """A wrong rule: label, kind, case of the zoo and example, the rules given to the checkers, its relative error."""

    label: str
    kind: str
    case: str
    example: Any
    rules: dict[str, Any]
    error: float | None
    psd: bool = False


def _operands(example: Any, name: str, rng: np.random.Generator) -> tuple[Any, ...]:
    """Arguments of the rule of that name: a direction or a cotangent is drawn where it takes one."""

    def draw(leaf: Any) -> np.ndarray:
        return np.asarray(rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    if name in ("hvp", "jvp"):
        return (example.at, jax.tree.map(lambda leaf: draw(np.asarray(leaf)), example.at), *example.args)
    if name == "vjp":
        return (example.at, jax.tree.map(draw, jax.eval_shape(example.fun, example.at, *example.args)), *example.args)
    return (example.at, *example.args)


def mechanical_mutants(dtype: str, equivalent: list[str]) -> Iterator[Wrong]:
    """A few mechanical mutants of every rule of the zoo; those that equal the rule at the example are only listed."""
    for case in zoo.CASES:
        example = _example(case, dtype, 0)
        rng = np.random.default_rng(zlib.crc32(case.name.encode()))
        for name, rule in example.rules.items():
            args = _operands(example, name, rng)
            truth = mechanical.values(rule, args)
            for mutant in mechanical.mutations(rule, *args, rng=rng, limit=PER_RULE):
                error = mechanical.relative_error(mutant.rule, truth, args)
                label = f"{case.name}.{name} {mutant.description}"
                if error > mechanical.SAME:
                    yield Wrong(label, mutant.kind, case.name, example, {name: mutant.rule}, error)
                else:
                    equivalent.append(f"{label}: {equivalents.reason(label)}")
        jax.clear_caches()


def hand_written(dtype: str) -> Iterator[Wrong]:
    """The frozen hand-written mutants, one half a dtype, without those that their file lists as equivalent."""
    for count, mutant in enumerate(mutants.MUTANTS):
        if mutant.name not in mutants.EQUIVALENT and count % len(DTYPES) == DTYPES.index(dtype):
            example = mutant.make(np.random.default_rng([zlib.crc32(mutant.base.encode()), 0]), np.dtype(dtype).type)
            yield Wrong(mutant.name, mutant.diagnosis, mutant.base, example, example.rules, None, mutant.psd)
        if count % 20 == 19:
            jax.clear_caches()


def detected(wrong: Iterator[Wrong], alarmed: dict[str, set[str]], *, names: bool) -> dict[str, Any]:
    """Wrong rules found by each checker, by kind; ours also with the name it gave and its own resolution.

    A checker that rejects the right rules of a case too has found nothing when it rejects a wrong one: `alarmed` says
    on which cases each does, and detections on them are counted apart.
    """
    found = {name: Counter() for name in ("crosscheck", *_peers())}
    tallies = {name: Tally() for name in found}
    telling: Counter[str] = Counter()
    count: Counter[str] = Counter()
    below, missed, misnamed, named = [], [], [], 0
    for mutant in wrong:
        count[mutant.kind] += 1
        (verdict, report), seconds = _timed(_ours, mutant.example, mutant.rules, 0, mutant.psd)
        tallies["crosscheck"].add(verdict, seconds, mutant.label if verdict.outcome == "error" else None)
        found["crosscheck"][mutant.kind] += verdict.outcome == "fail"
        telling["crosscheck"] += verdict.outcome == "fail" and mutant.case not in alarmed["crosscheck"]
        diagnoses = [diagnosis.name for diagnosis in report.diagnoses] if report is not None else []
        if report is not None and verdict.outcome == "pass":
            resolution = report.resolution
            small = None not in (mutant.error, resolution) and mutant.error <= resolution
            (below if small else missed).append(f"{mutant.label}: error {mutant.error}, resolution {resolution}")
        elif names:
            # The first name counts; ALSO_TRUE lists second names that state the same error truly.
            first = diagnoses[0] if diagnoses else "unnamed"
            right = first in (mutant.kind, *mutants.ALSO_TRUE.get(mutant.label, ()))
            named += right
            misnamed += [] if right else [f"{mutant.label}: {mutant.kind}, said {diagnoses}"]
        for name, check in _peers().items():
            verdict, seconds = _timed(_by_peer, check, mutant.example, mutant.rules)
            tallies[name].add(verdict, seconds, None)
            found[name][mutant.kind] += verdict.outcome == "fail"
            telling[name] += verdict.outcome == "fail" and mutant.case not in alarmed[name]
    total = sum(count.values())
    result: dict[str, Any] = {
        "mutants": total,
        "detected": {name: sum(c.values()) for name, c in found.items()},
        "detected, where the right rules pass": {name: telling[name] for name in found},
        "could_not_check": {name: tally.outcomes["error"] for name, tally in tallies.items()},
        "seconds": {name: round(tally.seconds, 1) for name, tally in tallies.items()},
        "by_kind": {k: {"of": count[k], **{name: c[k] for name, c in found.items()}} for k in sorted(count)},
        "missed": missed,
        "missed, error below the reported resolution": below,
        "errors": tallies["crosscheck"].named,
    }
    return result | ({"right_name": named, "misnamed": misnamed} if names else {})


def survey(dtype: str) -> dict[str, Any]:
    """Everything of one dtype; runs in a process of its own."""
    with jax.enable_x64(dtype == "float64"):
        alarms, alarmed = false_alarms(dtype)
        hand = detected(hand_written(dtype), alarmed, names=True)
        equivalent: list[str] = []
        machine_made = detected(mechanical_mutants(dtype, equivalent), alarmed, names=False)
    return {"false alarms": alarms, "hand-written": hand, "mechanical": machine_made | {"equivalent": equivalent}}


def run(options: Any) -> dict[str, Any]:
    del options  # nothing is timed to be compared: the seconds are those of whole surveys, side by side
    result: dict[str, Any] = {
        "settings": f"{len(zoo.CASES)} cases of the zoo, {KEYS} key each; {PER_RULE} mechanical mutants a rule; peers "
        "with their default steps and tolerances, gradcheck in fast mode beyond "
        f"{peers_derivatives.ENTRYWISE} entries; one process a dtype, each with half of the hand-written mutants",
        "torch": peers_derivatives.torch_version(),
    }
    with futures.ProcessPoolExecutor(len(DTYPES), mp_context=multiprocessing.get_context("spawn")) as pool:
        found = dict(zip(DTYPES, pool.map(survey, DTYPES), strict=True))
    targets = []
    for dtype, parts in found.items():
        result |= {f"{name}, {dtype}": part for name, part in parts.items()}
        hand = parts["hand-written"]
        targets += [
            harness.target(f"false alarms, {dtype}", parts["false alarms"]["crosscheck"].get("fail", 0), 0),
            harness.target(f"hand-written mutants missed, {dtype}", len(hand["missed"]), 0),
            harness.target(f"mechanical mutants missed, {dtype}", len(parts["mechanical"]["missed"]), 0),
            harness.target(
                f"hand-written, named right, {dtype}", hand["right_name"] / hand["mutants"], 0.8, at_least=True
            ),
        ]
    return result | {"targets": targets}
