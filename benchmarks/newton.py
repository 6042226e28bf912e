"""js.fit by Newton at its default settings on anes96 and digits, beside scikit-learn's newton-cg and lbfgs."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision

MINIMA = {"anes96": Decimal("1461.92274724814609569"), "digits, smoothing 0.01": Decimal("220.66032111114930")}


def _gap(W: np.ndarray, problem: js.Problem, minimum: Decimal) -> float:
    """(L(W) - minimum)/minimum with L at 50 digits: nothing is lost to rounding of L."""
    value = highprecision.loss(np.asarray(W, np.float64), problem).mid()
    return float((Decimal(value.str(40, radius=False)) - minimum) / minimum)


def _sklearn(X: np.ndarray, T: np.ndarray, solver: str, tol: float | None) -> tuple[Any, tuple[Any, ...]]:
    """The unpenalised estimator and (X, y, sample weights): soft targets become C weighted copies of each sample."""
    from sklearn.linear_model import LogisticRegression

    C = T.shape[1]
    keep = np.flatnonzero(T.ravel())
    more: dict[str, Any] = {} if tol is None else {"tol": tol}
    model = LogisticRegression(C=np.inf, solver=solver, max_iter=1000, **more)
    return model, (X[keep // C], keep % C, T.ravel()[keep])


def _case(name: str, X: np.ndarray, problem: js.Problem, repeats: int) -> dict[str, Any]:
    T = np.asarray(problem.T)
    fits: dict[str, Any] = {}

    def ours() -> Any:
        fits["js.fit newton"] = js.fit(problem, "newton")

    calls: dict[str, Any] = {}
    for solver in ("newton-cg", "lbfgs"):
        # Tight tolerances cost scikit-learn minutes on digits, whose soft targets make ten copies of each sample.
        for tol in (None, 1e-10) if name == "anes96" else (None,):
            label = f"scikit-learn {solver}, " + ("default tol" if tol is None else f"tol {tol:g}")
            model, arrays = _sklearn(X, T, solver, tol)

            def theirs(label: str = label, model: Any = model, arrays: Any = arrays) -> None:
                fits[label] = model.fit(*arrays)

            calls[label] = theirs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's complaints about unreachable tolerances; the gap tells
        times = harness.interleaved({"js.fit newton": ours}, repeats)
        # Some of these run for half a minute: nothing of theirs is compiled, and one round is enough then.
        times |= harness.interleaved(calls, 5, warm=0, least=1, seconds=20.0)
    rows = {}
    for label, fit in fits.items():
        if label.startswith("js"):
            W, steps = fit.W, int(fit.steps)
        else:
            W, steps = np.column_stack([fit.coef_, fit.intercept_]), int(fit.n_iter_[0])
        gap = _gap(W, problem, MINIMA[name])
        rows[label] = {"steps": steps, "relative_gap": gap} | {
            k: times[label][k] for k in ("median_ms", "min_ms", "repeats")
        }
    rows["js.fit newton"]["status"] = fits["js.fit newton"].status.name
    return rows


def run(options: Any) -> dict[str, Any]:
    with jax.enable_x64(True):
        soft, (X, y) = "digits, smoothing 0.01", data.anes96()
        digits = data.digits("float64")
        result = {
            "anes96": _case("anes96", X, js.Problem.from_labels(X, y), options.repeats),
            soft: _case(soft, np.asarray(digits.X)[:, :-1], digits, options.repeats),
        }
    gaps = {name: abs(rows["js.fit newton"]["relative_gap"]) for name, rows in result.items()}
    return {
        "settings": "default; float64; the time of js.fit includes its checks and S13's evaluation at the end",
        "minima": {name: str(value) for name, value in MINIMA.items()},
        **result,
        "targets": [harness.target(f"{name}: relative gap of js.fit", gap, 1e-10) for name, gap in gaps.items()],
    }
