"""Many fits at once beside loops of scikit-learn's: bootstrap samples, folds, a path of penalties, cross-validation.

"first" has the compilation in it, "warm" is the median of the calls after it. Every loop of the peer's is run whole,
lbfgs with its default of 100 iterations, after which it has often not converged: see its gaps.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness
from jaxsoftmax.training.many import lanes

DRAWS = 1000
STRENGTHS = 50
FOLDS = 10


def _timed(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of each call, the calls in turn: the first, and the median of the others."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    for name, spent in seconds.items():
        print(f"    {name}: {', '.join(f'{one:.3f}' for one in spent)} s", flush=True)
    return {
        name: {"first_s": round(spent[0], 4), "warm_s": round(statistics.median(spent[1:]), 4)}
        for name, spent in seconds.items()
    }


def _peer(solver: str, **options: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver=solver, **options)


def _bootstrap() -> dict[str, Any]:
    X, y = data.anes96()
    problem = js.Problem.from_labels(X, y)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=DRAWS)
    rows = [np.repeat(np.arange(len(y)), row) for row in counts]
    start = js.fit(problem).W
    found: dict[str, Any] = {}

    def ours() -> None:
        found["fits"] = js.fit_many(problem, sample_weights=counts, W0=start)

    def theirs(solver: str) -> Callable[[], None]:
        def loop() -> None:
            found[solver] = [_peer(solver, C=np.inf).fit(X[row], y[row]) for row in rows]

        return loop

    calls = {"js.fit_many": ours} | {f"loop of {solver}": theirs(solver) for solver in ("newton-cholesky", "lbfgs")}
    times = _timed(calls, 3)
    fits = found["fits"]

    def worst(models: list[Any]) -> float:
        pairs = zip(fits, models, counts, strict=True)
        return max(_loss(X, y, row, model.coef_, model.intercept_) / fit.loss - 1 for fit, model, row in pairs)

    converged = int(fits.converged.sum())
    gaps = {solver: worst(found[solver]) for solver in ("newton-cholesky", "lbfgs")}
    return {"times": times, "converged": converged, "largest relative gap of the peer to ours": gaps}


def _loss(X: np.ndarray, y: np.ndarray, counts: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> float:
    Z = X @ coef.T + intercept
    Z -= Z.max(axis=1, keepdims=True)
    return float(counts @ (np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(y)), y]))


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    raw: Any = load_digits()
    return raw.data / 16, raw.target


def _folds() -> dict[str, Any]:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    X, y = _digits()
    problem = js.Problem.from_labels(X, y)
    folds = list(StratifiedKFold(FOLDS).split(X, y))
    taken = np.array([np.isin(np.arange(len(y)), train) * 1.0 for train, _ in folds])
    programs = (lanes.train, lanes.train_kept, lanes.evaluate_ground)
    before = [program._cache_size() for program in programs]
    calls: dict[str, Callable[[], Any]] = {
        "js.fit_many": lambda: js.fit_many(problem, sample_weights=taken, regularizers=[js.L2(1.0)] * FOLDS),
        "cross_val_score of js.SoftmaxRegression": lambda: cross_val_score(js.SoftmaxRegression(C=1.0), X, y, cv=FOLDS),
    }
    for solver in ("newton-cholesky", "lbfgs"):
        calls[f"cross_val_score of {solver}"] = lambda solver=solver: cross_val_score(_peer(solver), X, y, cv=FOLDS)
    times = _timed(calls, 3)
    compiled = [program._cache_size() - count for program, count in zip(programs, before, strict=True)]
    return {"times": times, "most times that a program was compiled": max(compiled)}


def _path() -> dict[str, Any]:
    X, y = _digits()
    problem = js.Problem.from_labels(X, y)
    strengths = np.logspace(-4, 4, STRENGTHS)
    calls: dict[str, Callable[[], Any]] = {"js.fit_path": lambda: js.fit_path(problem, 1 / strengths)}
    for solver in ("newton-cholesky", "lbfgs"):
        calls[f"loop of {solver}"] = lambda solver=solver: [_peer(solver, C=C).fit(X, y) for C in strengths]
    return {"times": _timed(calls, 2)}


def _cross_validated() -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegressionCV

    X, y = _digits()
    common = {"Cs": STRENGTHS, "cv": 5}
    new = {"use_legacy_attributes": False, "l1_ratios": (0.0,)}  # silence a warning of newer versions
    options = {name: value for name, value in new.items() if name in LogisticRegressionCV().get_params()}
    calls = {
        "js.SoftmaxRegressionCV": lambda: js.SoftmaxRegressionCV(**common).fit(X, y),
        "LogisticRegressionCV": lambda: LogisticRegressionCV(**common, **options).fit(X, y),
    }
    return {"times": _timed(calls, 2)}


def run(options: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's of lines that do not search further
        found = {
            f"{DRAWS} bootstrap fits of anes96": _bootstrap(),
            f"{FOLDS} folds of digits, C = 1": _folds(),
            f"{STRENGTHS} penalties on digits": _path(),
            f"{STRENGTHS} penalties on digits, 5 folds": _cross_validated(),
        }
    compiled = found[f"{FOLDS} folds of digits, C = 1"]["most times that a program was compiled"]
    bootstrap, folds, path, chosen = (part["times"] for part in found.values())

    def faster(times: dict[str, dict[str, float]], ours: str, ours_at: str = "warm_s") -> float:
        best = min(spent["warm_s"] for name, spent in times.items() if "js." not in name)
        return round(best / times[ours][ours_at], 1)

    targets = [
        harness.target("bootstrap: best loop over js.fit_many", faster(bootstrap, "js.fit_many"), 50, at_least=True),
        harness.target("folds: most times that a program was compiled", compiled, 1),
        harness.target(
            "folds: best cross_val_score over js.fit_many with its compilation",
            faster(folds, "js.fit_many", "first_s"),
            1,
            at_least=True,
        ),
        harness.target("path: best loop over js.fit_path", faster(path, "js.fit_path"), 10, at_least=True),
        harness.target(
            "cross-validated: LogisticRegressionCV over ours",
            faster(chosen, "js.SoftmaxRegressionCV"),
            10,
            at_least=True,
        ),
    ]
    return found | {"targets": targets}
