"""js.fit by every method to a relative gap of 1e-8: steps, time, gap, and S17's or S19's step count beside it."""

from __future__ import annotations

import math
import time
from decimal import Decimal
from typing import Any

import jax
import numpy as np
import optax

import jaxsoftmax as js
from benchmarks import data, harness
from jaxsoftmax.calculus.bounds.bohning import whitening
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.training.loop import run as loop
from jaxsoftmax.training.registry import METHODS

OWN_METHODS = [name for name, row in METHODS.items() if "optax" not in row.module]
GAP = 1e-8
SECOND_ORDER = ("newton", "newton-cg", "mm")
WHITENED = ("gd", "gd-optimal", "agd", "bb", "rychlik-bb")
PLAIN_SECONDS = 20.0  # given to each first-order method in the features as they are
NO_MINIMISER = ("DIVERGING", "STEP_LIMIT")


def _optax() -> dict[str, Any]:
    """Transformations for whitened features, where the curvature is at most 1; one object a name, so one trace."""
    return {
        "optax.lbfgs()": optax.lbfgs(),
        "optax.sgd(1, momentum=0.9, nesterov=True)": optax.sgd(1.0, momentum=0.9, nesterov=True),
        "optax.adam(cosine 0.05, 20000 steps)": optax.adam(optax.cosine_decay_schedule(0.05, 20_000)),
    }


def _loss(W: np.ndarray, problem: js.Problem) -> Decimal:
    return Decimal(highprecision.loss(np.asarray(W, np.float64), problem).mid().str(40, radius=False))


def _minimum(problem: js.Problem) -> tuple[Decimal, float]:
    """(L at Newton's end point at 50 digits, the gap that the Newton decrement leaves there)."""
    best = js.fit(problem, "newton")
    return _loss(best.W, problem), float(best.gap_estimate)


def _first_within(history: dict[str, np.ndarray], best: float) -> int | None:
    """The first step of the (thinned) history with a relative gap of at most GAP."""
    near = (history["loss"] - best) / best <= GAP
    return int(history["step"][np.argmax(near)]) if near.any() else None


def _spectrum(problem: js.Problem, W: np.ndarray) -> tuple[float, float]:
    """(μ*, Λ*): the extreme eigenvalues of H(W) on 𝒦⊥, dense."""
    values = np.linalg.eigvalsh(np.asarray(js.hessian(W, problem).to_dense()))
    return float(values[js.null_space(problem).dim]), float(values[-1])


def _theory(problem: js.Problem, best: js.Fit) -> dict[str, float]:
    """Steps in which the loss's excess falls from L(0) − L* to GAP·L* at the local rates of S17 and S19, a method each.

    Near W* the excess contracts by the square of the iterates' factor.
    """
    A = whitening(problem, null_space(problem))
    white = problem.replace(X=jax.numpy.asarray(np.asarray(problem.X) @ A.T))
    mu, Lambda = _spectrum(white, best.W @ np.linalg.pinv(A))
    start = float(js.loss(np.zeros((problem.C, problem.D)), problem)) - best.loss
    decades = math.log(start / (GAP * best.loss))
    plain = _spectrum(problem, best.W)
    rates = {
        "gd": 1 - plain[0] * js.descent_step_bound(problem),
        "gd-optimal": js.optimal_rate(*plain),
        "mm": 1 - mu,
        "gd, whitened": 1 - mu * js.descent_step_bound(white),
        "gd-optimal, whitened": js.optimal_rate(mu, Lambda),
    }
    return {name: decades / (-2 * math.log(rate)) if rate < 1 else math.inf for name, rate in rates.items()}


def _measure(problem: js.Problem, method: Any, best: Decimal, theory: float | None, **options: Any) -> dict[str, Any]:
    js.fit(problem, method, **(options | {"max_steps": 1}))  # compiles
    begin = time.perf_counter()
    fit = js.fit(problem, method, **options)
    seconds = time.perf_counter() - begin
    reached = _first_within(fit.history, float(best))
    row = {
        "status": fit.status.name,
        "steps": int(fit.steps),
        "steps_to_1e-8": reached,
        "seconds": round(seconds, 3),
        "relative_gap": float((_loss(fit.W, problem) - best) / best),
        "q_estimate": fit.q_estimate if fit.q_estimate is None or math.isfinite(fit.q_estimate) else None,
        "rate_measured": fit.rate_measured,
    }
    return row if theory is None else row | {"steps_by_theory": round(theory, 1) if math.isfinite(theory) else None}


class _TimeIsUp:
    """Ends a run after some seconds, as Ctrl-C does: the partial result is used."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, state: loop.Progress) -> None:
        if state.seconds > self.seconds:
            raise KeyboardInterrupt


def _case(problem: js.Problem) -> dict[str, Any]:
    best, left = _minimum(problem)
    newton = js.fit(problem, "newton")
    theory = _theory(problem, newton)
    rows = {}
    for name in SECOND_ORDER:
        rows[name] = _measure(problem, name, best, theory.get(name), max_steps=100_000)
    for name in WHITENED:
        key = f"{name}, whitened"
        rows[key] = _measure(problem, name, best, theory.get(key), max_steps=100_000, whiten=True)
    for name, transformation in _optax().items():
        rows[f"{name}, whitened"] = _measure(problem, transformation, best, None, max_steps=30_000, whiten=True)
    for name in WHITENED:
        budget = _TimeIsUp(PLAIN_SECONDS)
        rows[name] = _measure(problem, name, best, theory.get(name), max_steps=10**9, progress=budget)
    mu, Lambda = _spectrum(problem, newton.W)
    return {
        "shape": list(problem.shape),
        "minimum": str(best),
        "minimum_uncertainty": left,
        "condition_at_minimum": Lambda / mu,
        "condition_for_step_1_over_Lambda": js.curvature_bound(problem) / mu,
        "methods": rows,
    }


def _separable() -> dict[str, dict[str, str]]:
    """How every method ends on raw iris, wine and digits, one-hot, which have no minimiser."""
    from sklearn import datasets

    out: dict[str, dict[str, str]] = {}
    for load in (datasets.load_iris, datasets.load_wine, datasets.load_digits):
        raw = load()
        problem = js.Problem.from_labels(raw.data, raw.target)
        ends = {name: js.fit(problem, name, max_steps=3000).status.name for name in OWN_METHODS}
        white = ("gd", "agd", "bb", "rychlik-bb")
        ends |= {f"{n}, whitened": js.fit(problem, n, max_steps=3000, whiten=True).status.name for n in white}
        for name, transformation in _optax().items():
            ends[f"{name}, whitened"] = js.fit(problem, transformation, max_steps=3000, whiten=True).status.name
        out[load.__name__.removeprefix("load_")] = ends
    return out


def _traces(problem: js.Problem) -> dict[str, list[int]]:
    """Entries that a first and a second fit add to the caches of the two compiled functions, start and advance."""
    counts = {}
    for name, method in {**{n: n for n in OWN_METHODS}, **_optax()}.items():
        seen = []
        loop.start.clear_cache()
        loop.advance.clear_cache()
        for k in (1, 2):
            js.fit(problem, method, max_steps=20 * k, W0=np.full((problem.C, problem.D), 0.01 * k))
            seen += [loop.start._cache_size(), loop.advance._cache_size()]
        counts[name] = seen
    return counts


def _overhead(problem: js.Problem) -> dict[str, float]:
    """What progress costs: one chunk of 200 000 steps against chunks of a quarter second with a callback."""
    times: dict[str, list[float]] = {"chunks, with progress": [], "one chunk": []}
    chunk, first = loop.CHUNK_SECONDS, loop.FIRST_CHUNK
    try:
        for _ in range(5):
            for name in times:
                loop.CHUNK_SECONDS, loop.FIRST_CHUNK = (1e9, 10**9) if name == "one chunk" else (chunk, first)
                told = None if name == "one chunk" else (lambda state: None)
                begin = time.perf_counter()
                js.fit(problem, "gd", tol=0.0, max_steps=200_000, progress=told)
                times[name].append(time.perf_counter() - begin)
    finally:
        loop.CHUNK_SECONDS, loop.FIRST_CHUNK = chunk, first
    least = {name: round(min(t), 4) for name, t in times.items()}
    return least | {"ratio_of_least": round(least["chunks, with progress"] / least["one chunk"], 4)}


def run(options: Any) -> dict[str, Any]:
    with jax.enable_x64(True):
        from sklearn.datasets import load_wine

        wine, (X, y) = load_wine(), data.anes96()
        problems = {
            "anes96": js.Problem.from_labels(X, y),
            "digits, smoothing 0.01": data.digits("float64"),
            "wine, smoothing 0.01, raw": js.Problem.from_labels(wine.data, wine.target, label_smoothing="0.01"),
        }
        result: dict[str, Any] = {name: _case(problem) for name, problem in problems.items()}
        result["without a minimiser"] = separable = _separable()
        result["traces (start, advance) after the first and the second fit"] = traces = _traces(problems["anes96"])
        iris = js.datasets.load_iris()
        small = js.Problem.from_labels(iris.X, iris.y, label_smoothing="0.01")
        result["progress, 200 000 steps of gd on iris, seconds"] = overhead = _overhead(small)
    targets = []
    for name in problems:
        rows = result[name]["methods"]
        aided = {m: r for m, r in rows.items() if m in SECOND_ORDER or m.endswith("whitened")}
        worst = max(abs(r["relative_gap"]) for r in aided.values())
        targets.append(harness.target(f"{name}: worst relative gap, whitened or second order", worst, GAP))
        plain = max(abs(rows[m]["relative_gap"]) for m in WHITENED)
        targets.append(harness.target(f"{name}: worst relative gap in {PLAIN_SECONDS:g} s, raw features", plain, GAP))
        promised = [r["steps_to_1e-8"] / r["steps_by_theory"] for r in aided.values() if r.get("steps_by_theory")]
        targets.append(harness.target(f"{name}: steps over those of S17 or S19", max(promised), 1.0))
    ends = [status for ends in separable.values() for status in ends.values()]
    wrong = sum(status not in NO_MINIMISER for status in ends)
    targets.append(harness.target(f"{len(ends)} runs without a minimiser that end otherwise", wrong, 0))
    retraced = sum(counts != [1, 1, 1, 1] for counts in traces.values())
    targets.append(harness.target("methods that trace other than once", retraced, 0))
    targets.append(harness.target("time with progress over time without", overhead["ratio_of_least"], 1.01))
    return {"settings": "float64; seconds of a second fit, its evaluation at the end included", **result} | {
        "targets": targets
    }
