"""js.crosscheck beside check_grads and gradcheck on derivatives of other libraries and on seeded bugs.

The zoo (tests/helpers/foreign) holds functions of other libraries and no hand rule; each seeded bug
(tests/helpers/seeded, and unseen, the set that came later) a wrong rule and the right one. The first runs are kept for
good: `--only seeded --out benchmarks/results/seeded_first_run.json`. `--help` lists the options.

Every check is cold: JAX's caches and the checker's compiled programs are emptied before it, imports and a first tiny
check are done. CPU seconds are those of the process, all threads together. Peers take a function without rules in all
of its float arguments, as crosscheck does; forward only where it has no reverse mode. Where a bug is in the second
order only, they check the gradient of the function, as `order=2` and gradgradcheck would.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import multiprocessing
import pathlib
import re
import sys
import time
import warnings
from collections.abc import Callable
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxsoftmax as js
from benchmarks import foreign_summary, harness, peers_derivatives
from benchmarks.foreign_items import DTYPES, Item, Problem, chosen, for_peers, libraries, problem
from jaxsoftmax.checker.inputs import program

LIMIT = 120.0  # wall seconds of a check; then its process is killed
RECYCLE = 40  # items a process checks, each with every checker
CHECKERS = ("ours", "quick", "check_grads", "gradcheck")
SPAWN = multiprocessing.get_context("spawn")


def ours(given: Problem, **options: Any) -> dict[str, Any]:
    """The verdict of js.crosscheck, the names it gives to the error, and why it did not decide."""
    report = js.crosscheck(given.fun, given.at, args=given.args, **given.rules, **options)
    found: dict[str, Any] = {"outcome": report.verdict}
    if report.diagnoses:
        found["names"] = [diagnosis.name for diagnosis in report.diagnoses]
    if report.verdict not in ("AGREE", "DISAGREE"):
        found["reason"] = _short(" | ".join([*(d.text for d in report.diagnoses), *report.notes]))
    return found


def peer(given: Problem, check: Callable[..., peers_derivatives.Verdict]) -> dict[str, Any]:
    """The worst of a peer's verdicts on the rules, seen one at a time; or that on the function's own rule."""
    if given.rules:
        rules = given.rules.items()
        found = [check(peers_derivatives.ruled(given.fun, given.at, given.args, *rule), given.at) for rule in rules]
    else:
        fun, x = for_peers(given)
        found = [check(peers_derivatives.ruled(fun, x, (), None, None), x)]
        if found[0].outcome == "error":  # a loop without reverse mode
            forward = check(peers_derivatives.Ruled(fun, jvp=lambda y, v: jax.jvp(fun, (y,), (v,))[1]), x)
            found = found if forward.outcome == "error" else [forward]
    worst = min(found, key=lambda v: ("fail", "error", "pass").index(v.outcome))
    return {"outcome": worst.outcome} | ({"reason": _short(worst.reason)} if worst.reason else {})


def checked(given: Problem, checker: str) -> dict[str, Any]:
    """What a checker says, and its CPU seconds from empty caches."""
    jax.clear_caches()
    program._compiled.clear()  # the one private name: code that the checker keeps for functions that trace alike
    gc.collect()
    began = time.process_time()
    try:
        if checker in ("ours", "quick"):
            found = ours(given, **({"budget": "quick"} if checker == "quick" else {}))
        else:
            found = peer(given, getattr(peers_derivatives, checker))
    except Exception as error:
        found = {"outcome": "error", "reason": _short(f"{type(error).__name__}: {error}")}
    found["cpu_s"] = round(time.process_time() - began, 3)
    if given.names and found["outcome"] == "DISAGREE":
        found["named"] = found.get("names", [None])[0] in given.names
    return found


def _short(text: str) -> str:
    """The beginning of a text, without the paths of this machine."""
    return re.sub(r"(?<![\w.])/[\w.@+-]+/\S*", "PATH", " ".join(str(text).split()))[:160]


def work(end: Any, checkers: tuple[str, ...]) -> None:
    """Say when warm, then answer one (item, checker) after another."""
    warnings.simplefilter("ignore")  # what other libraries warn of
    jax.config.update("jax_enable_compilation_cache", False)
    if "gradcheck" in checkers:
        peers_derivatives.torch_version()  # one thread
    for checker in checkers:
        checked(Problem(lambda x: jnp.sum(x * x), np.float32([1.0, 2.0]), (), {}), checker)
    end.send("warm")
    with contextlib.suppress(EOFError):
        while True:
            item, checker = end.recv()
            with jax.enable_x64(item.dtype == "float64"):
                try:
                    given = problem(item)
                except Exception as error:
                    found = {"outcome": "error", "reason": _short(f"cannot be made: {error}"), "cpu_s": None}
                else:
                    found = checked(given, checker)
            if (item.side, found["outcome"]) == ("wrong", "fail"):
                del found["reason"]  # of no interest
            end.send(found)


class Worker:
    """A process for checks: killed where one takes longer than LIMIT, and started again for the next."""

    def __init__(self, checkers: tuple[str, ...]) -> None:
        self.checkers = checkers
        self.process: Any = None

    def check(self, item: Item, checker: str) -> dict[str, Any]:
        """The row of one check."""
        if self.process is None:
            self.end, other = SPAWN.Pipe()
            self.process = SPAWN.Process(target=work, args=(other, self.checkers), daemon=True)
            self.process.start()
            other.close()
            self.end.recv()
        self.end.send((item, checker))
        found = {"outcome": "timeout", "cpu_s": None}
        try:
            if self.end.poll(LIMIT):
                return self.end.recv()
        except EOFError:
            found = {"outcome": "error", "reason": "the process died", "cpu_s": None}
        self.stop()
        return found

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = None


def rows_of(items: list[Item], checkers: tuple[str, ...]) -> list[tuple[Item, dict[str, dict[str, Any]]]]:
    """All checks of some items, in a process of their own."""
    worker = Worker(checkers)
    try:
        return [(item, {checker: worker.check(item, checker) for checker in checkers}) for item in items]
    finally:
        worker.stop()


def measure(options: argparse.Namespace, keep: Callable[[dict[str, Any]], object] = len) -> dict[str, Any]:
    """Settings, targets, the summary, and a row an item; `keep` is called with what is there after each process."""
    torch, began = peers_derivatives.torch_version(), time.perf_counter()
    checkers = tuple(name for name in CHECKERS if name in options.checkers and (torch or name != "gradcheck"))
    items, absent = chosen(options.only, DTYPES if options.dtype == "both" else (options.dtype,), options.every)
    total, before = len(items), done_before(options.out) if options.resume else {}
    rows = [(item, before[item.label]) for item in items if item.label in before]
    items = [item for item in items if item.label not in before]
    size = max(1, min(RECYCLE, math.ceil(len(items) / options.jobs)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    result: dict[str, Any] = {}
    with futures.ThreadPoolExecutor(options.jobs) as pool:
        for part in pool.map(lambda part: rows_of(part, checkers), parts):
            rows += part
            found = foreign_summary.summary(rows, checkers)
            result = {
                "settings": f"one item in {options.every}, {options.dtype}; {options.jobs} processes at once, a new "
                f"one every {size} items; at most {LIMIT:.0f} s a check; peers with their default steps and "
                "tolerances, gradcheck (which asks for float64) in float32 too",
                "torch": torch,
                "libraries": libraries(),
                "items of absent libraries": absent,
                "items done": f"{len(rows)} of {total}",
                "items of earlier runs": len(before),
                "wall_s": round(time.perf_counter() - began, 1),
                "targets": foreign_summary.targets(found),
                **found,
                "items": {item.label: row for item, row in rows},
            }
            print(f"  {result['items done']} items, {result['wall_s']:.0f} s", flush=True)
            keep(result)
    return result


def done_before(path: pathlib.Path) -> dict[str, Any]:
    """The items of an earlier run, stopped for want of time; none where there is no such file."""
    return json.loads(path.read_text())["items"] if path.exists() else {}


def parsed(words: list[str]) -> argparse.Namespace:
    """The options."""
    about, here = (__doc__ or "").partition("\n")[0], pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreign", description=about)
    parser.add_argument("--only", choices=("zoo", "seeded", "unseen"))
    parser.add_argument("--checkers", type=lambda text: text.split(","), default=list(CHECKERS), metavar="A,B")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th item")
    parser.add_argument("--dtype", choices=(*DTYPES, "both"), default="both")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default 2)")
    parser.add_argument("--resume", action="store_true", help="keep the items that --out has already")
    parser.add_argument("--out", type=pathlib.Path, default=here / "results" / "foreign.json", metavar="FILE")
    options = parser.parse_args(words)
    if unknown := set(options.checkers) - set(CHECKERS):
        parser.error(f"no checkers {sorted(unknown)}; checkers: {', '.join(CHECKERS)}")
    return options


def run(options: Any) -> dict[str, Any]:
    del options  # rounds and folders are no matter of this case
    return measure(parsed([]))


def main() -> int:
    """A part of the case, to a file of its own."""
    options, about = parsed(sys.argv[1:]), harness.machine()
    keep = lambda found: harness.save(options.out.stem, about, found, options.out.parent)  # noqa: E731
    harness.show("foreign", measure(options, keep))
    print(f"  -> {options.out}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
