"""Interleaved warm timings, the machine's description, and the JSON a run leaves behind."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

CASES = (
    "accuracy",
    "entries",
    "loss",
    "hessian",
    "mnist",
    "kernels",
    "newton",
    "solver",
    "growth",
    "training",
    "spectrum",
    "crosscheck",
    "estimator",
    "many",
    "kills",
    "sparse",
    "streaming",
    "sharding",
    "reading",
    "page",
    "detection",
    "foreign",
    "existence",
    "ablation",
    "corruption",
    "soundness",
    "knife_edge",
    "certify",
    "certify_soundness",
    "import_cost",
)
PACKAGES = (
    "jaxsoftmax",
    "jax",
    "jaxlib",
    "numpy",
    "scipy",
    "optax",
    "torch",
    "scikit-learn",
    "scikit-learn-intelex",
    "statsmodels",
    "python-flint",
)


def interleaved(
    calls: Mapping[str, Callable[[], Any]], repeats: int, *, warm: int = 2, least: int = 5, seconds: float = 60.0
) -> dict[str, dict[str, Any]]:
    """Time each call once a round, `repeats` rounds, so that a slow moment of the machine hits all of them.

    `warm` untimed calls first (compilation, caches), and one before each timed call, unless `warm` is 0: a peer that
    takes and frees hundreds of megabytes leaves the next call cold memory. Every timed call waits for its result.
    Rounds stop early, after at least `least`, once `seconds` are spent. Times in milliseconds.
    """
    for call in calls.values():
        for _ in range(warm):
            jax.block_until_ready(call())
    times: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    for done in range(repeats):
        if done >= least and time.perf_counter() - start > seconds:
            break
        for name, call in calls.items():
            if warm:
                jax.block_until_ready(call())
            before = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - before)
    return {name: summary(t) for name, t in times.items()}


def summary(seconds: list[float]) -> dict[str, Any]:
    """Median, minimum and quartiles of some times, in milliseconds."""
    low, median, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    ms = {"median_ms": median, "min_ms": min(seconds), "quartile_low_ms": low, "quartile_high_ms": high}
    return {name: round(value * 1e3, 4) for name, value in ms.items()} | {"repeats": len(seconds)}


def ratio(times: Mapping[str, Mapping[str, Any]], ours: str, peer: str) -> dict[str, float]:
    """Ours over the peer's, by medians and by minima (the second is less disturbed by other load)."""
    return {f"by_{k}": round(times[ours][f"{k}_ms"] / times[peer][f"{k}_ms"], 4) for k in ("median", "min")}


def target(what: str, value: float, limit: float, *, at_least: bool = False) -> dict[str, Any]:
    """A figure that the issue asks for, beside what was measured."""
    met = value >= limit if at_least else value <= limit
    return {"what": what, "measured": value, "limit": limit, "kind": ">=" if at_least else "<=", "met": bool(met)}


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, versions, load before the run, date."""
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), model)
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": model,
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_before": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": versions,
        "device": jax.devices()[0].device_kind,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def save(case: str, about: dict[str, Any], result: dict[str, Any], folder: pathlib.Path) -> pathlib.Path:
    """Write `folder`/`case`.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case}.json"
    path.write_text(json.dumps({"case": case, "machine": about, **result}, indent=1) + "\n")
    return path


def show(case: str, result: Mapping[str, Any]) -> None:
    """Print the leaves of a result, one line each, and its targets last."""

    def lines(value: Any, name: str) -> None:
        if isinstance(value, Mapping) and not any(isinstance(v, (Mapping, list)) for v in value.values()):
            print(f"  {name:58s} " + "  ".join(f"{k} {_short(v)}" for k, v in value.items()))
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                lines(inner, f"{name} / {key}" if name else key)
        else:
            print(f"  {name:58s} {_short(value)}")

    print(f"\n{case}")
    for key, value in result.items():
        if key not in ("targets", "items"):
            lines(value, key)
    for t in result.get("targets", ()):
        print(f"  {'met ' if t['met'] else 'MISSED'} {t['what']}: {_short(t['measured'])} {t['kind']} {t['limit']}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def times(seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and longest of some seconds, in milliseconds."""
    ranked = sorted(seconds)
    named = {"median_ms": statistics.median(ranked), "p99_ms": ranked[len(ranked) * 99 // 100], "max_ms": ranked[-1]}
    return {name: round(value * 1e3, 2) for name, value in named.items()}
