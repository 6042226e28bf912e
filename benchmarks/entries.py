"""Gradient, Hessian-vector product and Hessian entries against 50 digits, in units of the bound they promise."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck import reference, tolerances


def _units(floats: Any, balls: np.ndarray, tolerance: np.ndarray, N: int, C: int) -> float:
    """Largest error over eps·[(8 + √N) Σ|terms| + propagated], where that is above the smallest normal number a sample.

    tolerances.py has K ≥ 8 + √N in that place, so scaling by K/(8 + √N) gives an upper bound on the figure. Below that
    size every term may be flushed to zero, which is underflow, not rounding.
    """
    floats = np.asarray(floats)
    tolerance = np.where(tolerance > N * float(np.finfo(floats.dtype).tiny), tolerance, np.inf)
    error = highprecision.errors(floats, balls)
    return float((error / tolerance).max() * tolerances.sum_constant(N, C) / (8 + np.sqrt(N)))


def _measure(problem: js.Problem, W: np.ndarray, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    N, D, C = problem.shape
    W = W.astype(problem.dtype)
    V = rng.standard_normal((C, D)).astype(problem.dtype)
    columns = [(int(c), int(d)) for c, d in zip(rng.integers(0, C, 3), rng.integers(0, D, 3), strict=True)]
    where = [c * D + d for c, d in columns]
    exact = {
        "gradient": highprecision.gradient(W, problem),
        "hvp": highprecision.hvp(W, problem, V),
        "hessian": highprecision.hessian_columns(W, problem, columns),
    }
    bound = {
        "gradient": tolerances.gradient_tolerance(W, problem),
        "hvp": tolerances.hvp_tolerance(W, problem, V),
        "hessian": tolerances.hessian_tolerance(W, problem)[:, where],
    }
    H = js.hessian(W, problem)
    routes = {
        "gradient": {
            "ours": js.gradient(W, problem),
            "ours, fused": js.value_and_gradient(W, problem)[1],
            "autodiff of the textbook loss": reference.gradient(W, problem),
        },
        "hvp": {
            "ours": js.hvp(W, problem, V),
            "ours, operator": H @ V,
            "autodiff of the textbook loss": reference.hvp(W, problem, V),
        },
        "hessian": {
            "ours": H.to_dense()[:, np.asarray(where)],
            "autodiff of the textbook loss": np.asarray(reference.hessian(W, problem))[:, where],
        },
    }
    return {
        quantity: {name: _units(floats, exact[quantity], bound[quantity], N, C) for name, floats in named.items()}
        for quantity, named in routes.items()
    }


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"error": "largest entry error in units of eps·[(8 + √N)·Σ|terms| + propagated]"}
    worst: dict[str, float] = {}
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            rng = np.random.default_rng(2)
            digits = data.digits(dtype)
            problems = {"digits, W = 0": (digits, np.zeros((10, 65)))}
            problems["digits, W random"] = (digits, 0.3 * rng.standard_normal((10, 65)))
            problems["digits, W large"] = (digits, 5.0 * rng.standard_normal((10, 65)))
            for N, D, C, scale in ((500, 20, 4, 1.0), (500, 20, 4, 20.0), (60, 12, 25, 4.0)):
                problems[f"N={N} D={D} C={C} scale {scale:g}"] = data.random_problem(N, D, C, dtype, scale=scale)
            for name, (problem, W) in problems.items():
                table = result[f"{dtype} {name}"] = _measure(problem, W, rng)
                for quantity, routes in table.items():
                    ours = max(v for k, v in routes.items() if k.startswith("ours"))
                    worst[f"{dtype} {quantity}"] = max(worst.get(f"{dtype} {quantity}", 0.0), ours)
    result["targets"] = [harness.target(f"{key}, units of the bound", value, 1.0) for key, value in worst.items()]
    return result
