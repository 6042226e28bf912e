"""js.SoftmaxRegression beside scikit-learn's LogisticRegression: coefficients and predictions on 30 data sets, times.

The peer's newton-cholesky (newton-cg where its Hessian is large) runs at tolerance 1e-12; ours at its default. Times
are of warm calls; the first cross-validation also says what compiling adds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import jaxsoftmax as js
from benchmarks import harness


class Case(NamedTuple):
    """A data set with the penalty's C, sample weights and class weights that both are given."""

    name: str
    X: Any
    y: Any
    C: float = 1.0
    sample_weight: np.ndarray | None = None
    class_weight: Any = None


def cases() -> Iterator[Case]:
    """Toy sets, grids of made ones, imbalanced, sparse, weighted and without a penalty: 30."""
    from scipy.sparse import random as sparse_random
    from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification
    from sklearn.preprocessing import scale

    for load in (load_iris, load_wine, load_breast_cancer, load_digits):
        raw: Any = load()
        name = load.__name__.removeprefix("load_")
        yield Case(name, scale(raw.data), raw.target)
        yield Case(f"{name}, C = 0.01, balanced", scale(raw.data), raw.target, 0.01, class_weight="balanced")
    for K in (2, 3, 6):
        for D in (5, 20):
            options = {"n_classes": K, "n_informative": 5, "n_redundant": 0, "flip_y": 0.2, "random_state": K * D}
            X, y = make_classification(600, D, n_clusters_per_class=1, **options)
            yield Case(f"made, {K} classes, {D} features, no penalty", X, y, np.inf)
            yield Case(f"made, {K} classes, {D} features, C = 0.1", X, y, 0.1)
            s = np.random.default_rng(K).integers(0, 4, len(y)).astype(float)
            yield Case(f"made, {K} classes, {D} features, weighted", X, y, 10.0, s)
    for K in (2, 4):
        shares = [0.9] + [0.1 / (K - 1)] * (K - 1)
        X, y = make_classification(2000, 10, n_classes=K, n_informative=6, weights=shares, flip_y=0.05, random_state=K)
        yield Case(f"imbalanced, {K} classes", X, y, 1.0, class_weight="balanced")
    rng = np.random.default_rng(0)
    for K in (2, 5):
        X = sparse_random(800, 40, 0.1, format="csr", rng=rng)
        y = np.argmax(X @ rng.normal(size=(40, K)) + rng.gumbel(size=(800, K)), axis=1)
        yield Case(f"sparse, {K} classes", X, y)


def _parity() -> list[dict[str, Any]]:
    from sklearn.linear_model import LogisticRegression

    rows = []
    for case in cases():
        common = {"C": case.C, "class_weight": case.class_weight}
        size = len(np.unique(case.y)) * case.X.shape[1]
        solver = "newton-cholesky" if size <= 600 else "newton-cg"
        theirs = LogisticRegression(**common, solver=solver, tol=1e-12, max_iter=10_000)
        theirs.fit(case.X, case.y, case.sample_weight)
        ours = js.SoftmaxRegression(**common).fit(case.X, case.y, case.sample_weight)
        largest = float(np.max(np.abs(theirs.coef_)))
        difference = float(np.max(np.abs(ours.coef_ - theirs.coef_))) / largest
        same = bool(np.array_equal(ours.predict(case.X), theirs.predict(case.X)))
        rows.append({"data": case.name, "relative_difference": difference, "same_predictions": same})
        print(f"    {case.name}: coefficients differ by {difference:.1e}, predictions the same: {same}", flush=True)
    return rows


def _times(repeats: int) -> dict[str, Any]:
    from sklearn.datasets import load_digits, load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    iris: Any = load_iris()
    digits: Any = load_digits()
    pixels = digits.data / 16
    found: dict[str, Any] = {}
    calls = {"SoftmaxRegression": lambda: js.SoftmaxRegression(C=1.0).fit(iris.data, iris.target).coef_}
    for solver in ("lbfgs", "newton-cholesky"):
        calls[f"LogisticRegression, {solver}"] = lambda solver=solver: (
            LogisticRegression(solver=solver, max_iter=1000).fit(iris.data, iris.target).coef_
        )
    found["fit on iris, ms"] = harness.interleaved(calls, repeats)
    models = {"SoftmaxRegression": js.SoftmaxRegression(C=1.0)}
    models |= {
        f"LogisticRegression, {solver}": LogisticRegression(solver=solver, max_iter=3000)
        for solver in ("lbfgs", "newton-cholesky")
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    scores = {}
    for _ in range(3):
        for name, model in models.items():
            began = time.perf_counter()
            scores[name] = float(np.mean(cross_val_score(model, pixels, digits.target, cv=10)))
            seconds[name].append(time.perf_counter() - began)
    found["10 folds of digits, s"] = {
        name: {"first": times[0], "warm": min(times[1:]), "mean score": scores[name]} for name, times in seconds.items()
    }
    return found


def run(options: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's of tolerances that rounding keeps it from
        parity, times = _parity(), _times(min(options.repeats, 20))
    worst = max(row["relative_difference"] for row in parity)
    same = sum(row["same_predictions"] for row in parity)
    iris = times["fit on iris, ms"]
    folds = times["10 folds of digits, s"]
    peers = [name for name in iris if name.startswith("Logistic")]
    usual = iris["LogisticRegression, lbfgs"]["median_ms"]
    targets = [
        harness.target(f"coefficients of {len(parity)} data sets: largest relative difference", worst, 1e-6),
        harness.target("data sets with the same predictions", same, len(parity), at_least=True),
        harness.target(
            "fit on iris over LogisticRegression (lbfgs)", round(iris["SoftmaxRegression"]["median_ms"] / usual, 2), 2.0
        ),
        harness.target(
            "10 folds of digits, with compilation, over LogisticRegression (best)",
            round(folds["SoftmaxRegression"]["first"] / min(folds[name]["warm"] for name in peers), 2),
            1.0,
        ),
    ]
    return {"parity": parity, **times, "targets": targets}
